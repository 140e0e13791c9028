//! The statements of workers.
//!
//! Whoever hands out deliveries of an endpoint, or records what came of them, holds the row of its queue: claims take rows that are
//! free and pass the others by, everybody else locks them in one order. So an endpoint has one claim at a time, its breaker is
//! one machine, and the head of a lane is found and moved by one transaction at a time.

use std::collections::HashMap;
use std::sync::Arc;

use super::*;
use crate::store::{Allowance, Next, WINDOW, gate_of, in_turn};

type Key = (TenantId, Uuid);

/// A delivery and the number of its holding.
type Holding = (TenantId, Uuid, i64);

/// Queues or deliveries that one statement names.
const CHUNK: usize = 128;

/// Bells that one claim takes.
const MAX_BELLS: i64 = 1024;

/// A queue that is ready.
struct Ready {
    key: Key,
    revision: u64,
    concurrency: u32,
    rate: Option<u32>,
    inflight: u32,
    gate: Option<Timestamp>,
    health: Health,
}

/// How a queue stands after a transaction.
struct Refreshed<'h> {
    key: Key,
    gate: Option<Timestamp>,
    health: Option<&'h str>,
    floor: Timestamp,
}

impl SqlStore {
    pub(super) async fn claim_once(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        let mut tx = self.db.begin_unscoped(&self.unscoped).await?;
        let rang = self.answer_bells(&mut tx, claim.now).await?;
        let sql = "SELECT tenant_id, endpoint_id FROM guardian_webhook_queues WHERE ready <= $1 AND NOT paused ORDER BY ready LIMIT $2";
        let window = i64::try_from(WINDOW).unwrap_or(i64::MAX);
        let rows = tx.fetch_all(sql, params![claim.now, window]).await?;
        let ready: Vec<Key> = rows
            .iter()
            .map(|row| Ok((row.get("tenant_id")?, row.get("endpoint_id")?)))
            .collect::<Result<_, StoreError>>()?;
        let mut left = claim.limit;
        let mut claimed = Vec::new();
        let mut turn = in_turn(ready, |(tenant, _)| tenant).into_iter();
        while left > 0 {
            // At least one delivery of each, or it was not ready; so no more of them than there are places.
            let some: Vec<Key> =
                turn.by_ref().take(CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))).collect();
            if some.is_empty() {
                break;
            }
            let queues = self.hold(&mut tx, &some, claim.now).await?;
            let taken = self.take(&mut tx, claim, &queues, left).await?;
            left = left.saturating_sub(u32::try_from(taken.len()).unwrap_or(u32::MAX));
            claimed.extend(taken);
        }
        if claimed.is_empty() && rang == 0 && rows.is_empty() {
            tx.rollback().await?;
            return Ok(Vec::new());
        }
        let claimed = self.with_messages(&mut tx, claimed).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// Makes queues ready in which something was queued, and lets the heads of lanes come; how many bells it were.
    async fn answer_bells<B>(&self, tx: &mut Tx<B>, now: Timestamp) -> Result<usize, StoreError> {
        let sql = if self.is_postgres() {
            "DELETE FROM guardian_webhook_bells WHERE number IN (SELECT number FROM guardian_webhook_bells ORDER BY number LIMIT $1 \
             FOR UPDATE SKIP LOCKED) RETURNING tenant_id, endpoint_id, lane, at"
        } else {
            "DELETE FROM guardian_webhook_bells WHERE number IN (SELECT number FROM guardian_webhook_bells ORDER BY number LIMIT $1) \
             RETURNING tenant_id, endpoint_id, lane, at"
        };
        let rows = tx.fetch_all(sql, params![MAX_BELLS]).await?;
        let mut queues: BTreeMap<Key, Timestamp> = BTreeMap::new();
        let mut lanes = BTreeSet::new();
        for row in &rows {
            let key: Key = (row.get("tenant_id")?, row.get("endpoint_id")?);
            let at: Timestamp = row.get("at")?;
            if let Some(lane) = row.get::<Option<String>>("lane")? {
                lanes.insert((key.0.clone(), key.1, lane));
            }
            let first = queues.entry(key).or_insert(at);
            *first = (*first).min(at);
        }
        let keys: Vec<Key> = queues.keys().cloned().collect();
        self.lock(tx, &keys).await?;
        self.promote(tx, &lanes, now).await?;
        let queues: Vec<(Key, Timestamp)> = queues.into_iter().collect();
        for some in queues.chunks(CHUNK) {
            let mut sql = Sql::builder("WITH rung (t, e, a) AS (VALUES ");
            let mut values = Vec::with_capacity(some.len() * 3);
            for (at, ((tenant, endpoint), first)) in some.iter().enumerate() {
                sql.push(if at > 0 { ", (" } else { "(" }).placeholders(3).push(")");
                values.extend([tenant.to_param(), Param::Uuid(*endpoint), Param::Timestamp(*first)]);
            }
            sql.push(
                ") UPDATE guardian_webhook_queues SET ready = CASE WHEN gate > a THEN gate ELSE a END FROM rung \
                 WHERE tenant_id = t AND endpoint_id = e AND (ready IS NULL OR ready > CASE WHEN gate > a THEN gate ELSE a END)",
            );
            tx.execute(sql.finish(), &values).await?;
        }
        Ok(rows.len())
    }

    /// Locks queues in the order of their keys, which is everybody's.
    async fn lock<B>(
        &self,
        tx: &mut Tx<B>,
        keys: &[Key],
    ) -> Result<HashMap<Key, (Option<Timestamp>, String)>, StoreError> {
        let mut found = HashMap::with_capacity(keys.len());
        for some in keys.chunks(CHUNK) {
            let mut sql = Sql::builder(
                "SELECT tenant_id, endpoint_id, gate, health FROM guardian_webhook_queues WHERE (tenant_id, endpoint_id) IN (VALUES ",
            );
            let values = push_keys(&mut sql, some);
            sql.push(") ORDER BY tenant_id, endpoint_id");
            if self.is_postgres() {
                sql.push(" FOR UPDATE");
            }
            for row in tx.fetch_all(sql.finish(), &values).await? {
                let key = (row.get("tenant_id")?, row.get("endpoint_id")?);
                found.insert(key, (row.get("gate")?, row.get("health")?));
            }
        }
        Ok(found)
    }

    /// Lets the head of each lane come that waits, unless another one of the lane is on its way: with overlapping transactions that
    /// may be one with a greater number, which was committed first.
    async fn promote<B>(
        &self,
        tx: &mut Tx<B>,
        lanes: &BTreeSet<(TenantId, Uuid, String)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for (tenant, endpoint, lane) in lanes {
            let sql = "UPDATE guardian_webhook_deliveries SET state = 0, next_at = $4 WHERE tenant_id = $1 AND state = 2 AND id = \
                       (SELECT id FROM guardian_webhook_deliveries WHERE tenant_id = $1 AND endpoint_id = $2 AND lane = $3 \
                       AND lane IS NOT NULL AND state < 3 ORDER BY seq LIMIT 1) AND NOT EXISTS (SELECT 1 FROM guardian_webhook_deliveries a \
                       WHERE a.tenant_id = $1 AND a.endpoint_id = $2 AND a.lane = $3 AND a.lane IS NOT NULL AND a.state < 2)";
            tx.execute(sql, params![tenant, endpoint, lane, now]).await?;
        }
        Ok(())
    }

    /// Queues that are still ready and that nobody else holds.
    async fn hold<B>(&self, tx: &mut Tx<B>, keys: &[Key], now: Timestamp) -> Result<Vec<Ready>, StoreError> {
        let mut sql = Sql::builder(
            "SELECT tenant_id, endpoint_id, revision, concurrency, rate, gate, health FROM guardian_webhook_queues \
             WHERE (tenant_id, endpoint_id) IN (VALUES ",
        );
        let mut values = push_keys(&mut sql, keys);
        sql.push(") AND NOT paused AND ready <= ").placeholder();
        values.push(Param::Timestamp(now));
        if self.is_postgres() {
            sql.push(" FOR UPDATE SKIP LOCKED");
        }
        let number = |row: &Row, column: &str| -> Result<u32, StoreError> {
            u32::try_from(row.get::<i64>(column)?).map_err(|error| self.corrupt(error))
        };
        let rows = tx.fetch_all(sql.finish(), &values).await?;
        let locked = rows
            .iter()
            .map(|row| Ok((row.get("tenant_id")?, row.get("endpoint_id")?)))
            .collect::<Result<Vec<Key>, StoreError>>()?;
        let inflight = self.inflight(tx, &locked, now).await?;
        let mut found = rows
            .iter()
            .zip(locked)
            .map(|(row, key)| {
                let rate: Option<i64> = row.get("rate")?;
                Ok(Ready {
                    inflight: inflight.get(&key).copied().unwrap_or(0),
                    key,
                    revision: u64::try_from(row.get::<i64>("revision")?)
                        .map_err(|error| self.corrupt(error))?,
                    concurrency: number(row, "concurrency")?,
                    rate: rate.map(u32::try_from).transpose().map_err(|error| self.corrupt(error))?,
                    gate: row.get("gate")?,
                    health: self.read(row.get("health")?)?,
                })
            })
            .collect::<Result<Vec<Ready>, StoreError>>()?;
        // Back into turn.
        let place: HashMap<&Key, usize> = keys.iter().enumerate().map(|(at, key)| (key, at)).collect();
        found.sort_by_key(|queue| place.get(&queue.key).copied());
        Ok(found)
    }

    /// What is under way in queues that are locked. It is a statement of its own behind the lock: one that locks and counts would
    /// count as things were before whoever held the lock until then was done.
    async fn inflight<B>(
        &self,
        tx: &mut Tx<B>,
        keys: &[Key],
        now: Timestamp,
    ) -> Result<HashMap<Key, u32>, StoreError> {
        let mut found = HashMap::with_capacity(keys.len());
        if keys.is_empty() {
            return Ok(found);
        }
        let mut sql = Sql::builder("WITH held (t, e) AS (VALUES ");
        let mut values = push_keys(&mut sql, keys);
        sql.push(
            ") SELECT t, e, (SELECT COUNT(*) FROM guardian_webhook_deliveries d WHERE d.tenant_id = t AND d.endpoint_id = e \
             AND d.state = 1 AND d.next_at > ",
        );
        sql.placeholder().push(") AS inflight FROM held");
        values.push(Param::Timestamp(now));
        for row in tx.fetch_all(sql.finish(), &values).await? {
            let count = u32::try_from(row.get::<i64>("inflight")?).map_err(|error| self.corrupt(error))?;
            found.insert((row.get("t")?, row.get("e")?), count);
        }
        Ok(found)
    }

    /// Takes what the queues may give.
    async fn take<B>(
        &self,
        tx: &mut Tx<B>,
        claim: &Claim,
        queues: &[Ready],
        limit: u32,
    ) -> Result<Vec<Taken>, StoreError> {
        let (mut left, mut wanted) = (limit, Vec::with_capacity(queues.len()));
        let mut allowances = Vec::with_capacity(queues.len());
        // How much a queue has is not known before it is looked at, so the places are shared out.
        let share = limit.div_ceil(u32::try_from(queues.len()).unwrap_or(1).max(1));
        for queue in queues {
            let allowance =
                Allowance::of(&queue.health, queue.concurrency, queue.rate, queue.inflight, claim.now);
            let most = allowance.most.min(left).min(share);
            left -= most;
            if most > 0 {
                wanted.push((queue, most));
            }
            allowances.push((queue, allowance, most));
        }
        let mut taken = if self.is_postgres() {
            self.take_at_once(tx, claim, &wanted).await?
        } else {
            self.take_one_by_one(tx, claim, &wanted).await?
        };
        taken.sort_by_key(|each| each.seq);
        let mut given: HashMap<Uuid, u32> = HashMap::with_capacity(queues.len());
        for each in &taken {
            *given.entry(each.endpoint).or_default() += 1;
        }
        let refreshed: Vec<Refreshed<'_>> = allowances
            .iter()
            // One that was not asked for lack of places stays ready as it is.
            .filter(|(_, allowance, most)| *most > 0 || allowance.most == 0)
            .map(|(queue, allowance, _)| {
                let given = given.get(&queue.key.1).copied().unwrap_or(0);
                let (gate, floor) = allowance.floor(given, claim, queue.gate);
                Refreshed { key: queue.key.clone(), gate, health: None, floor }
            })
            .collect();
        self.refresh(tx, &refreshed).await?;
        Ok(taken)
    }

    async fn take_at_once<B>(
        &self,
        tx: &mut Tx<B>,
        claim: &Claim,
        wanted: &[(&Ready, u32)],
    ) -> Result<Vec<Taken>, StoreError> {
        let mut taken = Vec::new();
        if wanted.is_empty() {
            return Ok(taken);
        }
        let mut sql = Sql::builder("WITH wanted (t, e, n) AS (VALUES ");
        let mut values = Vec::with_capacity(wanted.len() * 3 + 3);
        for (at, (queue, most)) in wanted.iter().enumerate() {
            sql.push(if at > 0 { ", (" } else { "(" }).placeholders(3).push(")");
            values.extend([queue.key.0.to_param(), Param::Uuid(queue.key.1), Param::Integer((*most).into())]);
        }
        sql.push(
            "), picked AS MATERIALIZED (SELECT d.of_tenant, d.place FROM wanted CROSS JOIN LATERAL \
             (SELECT tenant_id AS of_tenant, ctid AS place FROM guardian_webhook_deliveries \
             WHERE tenant_id = t AND endpoint_id = e AND next_at <= ",
        );
        sql.placeholder()
            .push(" ORDER BY next_at, seq LIMIT n) d) UPDATE guardian_webhook_deliveries SET state = 1, fence = fence + 1, next_at = ")
            .placeholder()
            // Asked again, for a row that was changed meanwhile; and so that no index is thought of.
            .push(" FROM picked WHERE tenant_id = of_tenant AND ctid = place AND (next_at <= ")
            .placeholder()
            .push(") IS TRUE RETURNING ")
            .push(TAKEN);
        values.extend([
            Param::Timestamp(claim.now),
            Param::Timestamp(claim.until),
            Param::Timestamp(claim.now),
        ]);
        let rows = tx.fetch_all(sql.finish(), &values).await?;
        let revisions: HashMap<Uuid, u64> =
            wanted.iter().map(|(queue, _)| (queue.key.1, queue.revision)).collect();
        for row in &rows {
            let revision = revisions.get(&row.get::<Uuid>("endpoint_id")?).copied().unwrap_or(0);
            taken.push(self.taken_of(row, revision)?);
        }
        Ok(taken)
    }

    async fn take_one_by_one<B>(
        &self,
        tx: &mut Tx<B>,
        claim: &Claim,
        wanted: &[(&Ready, u32)],
    ) -> Result<Vec<Taken>, StoreError> {
        let mut taken = Vec::new();
        for (queue, most) in wanted {
            let sql = "UPDATE guardian_webhook_deliveries SET state = 1, fence = fence + 1, next_at = $4 WHERE tenant_id = $1 AND id IN \
                       (SELECT id FROM guardian_webhook_deliveries WHERE tenant_id = $1 AND endpoint_id = $2 AND next_at <= $3 \
                       ORDER BY next_at, seq LIMIT $5) \
                       RETURNING tenant_id, id, endpoint_id, message_id, fence, attempts, round_start, seq";
            let (tenant, endpoint) = (&queue.key.0, queue.key.1);
            let rows = tx
                .fetch_all(sql, params![tenant, endpoint, claim.now, claim.until, i64::from(*most)])
                .await?;
            for row in &rows {
                taken.push(self.taken_of(row, queue.revision)?);
            }
        }
        Ok(taken)
    }

    fn taken_of(&self, row: &Row, revision: u64) -> Result<Taken, StoreError> {
        let number = |column: &str| -> Result<u32, StoreError> {
            u32::try_from(row.get::<i64>(column)?).map_err(|error| self.corrupt(error))
        };
        Ok(Taken {
            tenant: row.get("tenant_id")?,
            delivery: DeliveryId::new(row.get("id")?),
            endpoint: row.get("endpoint_id")?,
            message: row.get("message_id")?,
            revision,
            fence: row.get("fence")?,
            attempts: number("attempts")?,
            round_start: number("round_start")?,
            seq: row.get("seq")?,
        })
    }

    /// Adds the messages, each read once.
    async fn with_messages<B>(&self, tx: &mut Tx<B>, taken: Vec<Taken>) -> Result<Vec<Claimed>, StoreError> {
        let wanted: BTreeSet<Key> = taken.iter().map(|each| (each.tenant.clone(), each.message)).collect();
        let wanted: Vec<Key> = wanted.into_iter().collect();
        let mut found: HashMap<Key, Arc<Message>> = HashMap::with_capacity(wanted.len());
        for some in wanted.chunks(CHUNK) {
            let mut sql = Sql::builder("WITH wanted (t, i) AS (VALUES ");
            let values = push_keys(&mut sql, some);
            sql.push(") SELECT tenant_id, id, event_type, created, content_type, body, versions, ordering_key FROM wanted ");
            sql.push(if self.is_postgres() {
                // One look-up each: behind a policy the planner takes a table for next to empty, and reads it from end to end.
                "CROSS JOIN LATERAL (SELECT * FROM guardian_webhook_messages WHERE tenant_id = t AND id = i LIMIT 1) m"
            } else {
                "JOIN guardian_webhook_messages ON tenant_id = t AND id = i"
            });
            for row in tx.fetch_all(sql.finish(), &values).await? {
                let message = self.message_of(&row)?;
                found.insert((row.get("tenant_id")?, message.id.number()), Arc::new(message));
            }
        }
        taken
            .into_iter()
            .map(|each| {
                let message = found.get(&(each.tenant.clone(), each.message)).cloned();
                Ok(Claimed {
                    message: message.ok_or_else(|| self.corrupt("a delivery without its message"))?,
                    tenant: each.tenant,
                    delivery: each.delivery,
                    endpoint: EndpointId::new(each.endpoint),
                    revision: each.revision,
                    fence: each.fence,
                    attempts: each.attempts,
                    round_start: each.round_start,
                })
            })
            .collect()
    }

    /// Says when queues are ready: when the first delivery is due, not before the floor.
    async fn refresh<B>(&self, tx: &mut Tx<B>, queues: &[Refreshed<'_>]) -> Result<(), StoreError> {
        for some in queues.chunks(CHUNK) {
            let mut sql = Sql::builder("WITH stands (t, e, g, h, f) AS (VALUES ");
            let mut values = Vec::with_capacity(some.len() * 5);
            for (at, queue) in some.iter().enumerate() {
                sql.push(if at > 0 { ", (" } else { "(" }).placeholders(5).push(")");
                values.extend([
                    queue.key.0.to_param(),
                    Param::Uuid(queue.key.1),
                    queue.gate.to_param(),
                    queue.health.to_param(),
                    Param::Timestamp(queue.floor),
                ]);
            }
            sql.push(
                ") UPDATE guardian_webhook_queues SET gate = g, health = COALESCE(h, health), ready = (SELECT CASE WHEN f > d.next_at \
                 THEN f ELSE d.next_at END FROM guardian_webhook_deliveries d WHERE d.tenant_id = t AND d.endpoint_id = e \
                 AND d.next_at IS NOT NULL ORDER BY d.next_at LIMIT 1) FROM stands WHERE tenant_id = t AND endpoint_id = e",
            );
            tx.execute(sql.finish(), &values).await?;
        }
        Ok(())
    }

    pub(super) async fn settle_once(
        &self,
        batch: &[Settlement],
        rules: &HealthRules,
        now: Timestamp,
    ) -> Result<Vec<Settled>, StoreError> {
        let mut tx = self.db.begin_unscoped(&self.unscoped).await?;
        let keys: BTreeSet<Key> =
            batch.iter().map(|each| (each.tenant.clone(), each.endpoint.number())).collect();
        let keys: Vec<Key> = keys.into_iter().collect();
        let mut queues: HashMap<Key, (Option<Timestamp>, Health)> = HashMap::with_capacity(keys.len());
        for (key, (gate, health)) in self.lock(&mut tx, &keys).await? {
            queues.insert(key, (gate, self.read(&health)?));
        }
        let lanes = self.record(&mut tx, batch, now).await?;
        let attempts = batch
            .iter()
            .filter(|each| lanes.contains_key(&holding(each)))
            .filter_map(|each| Some((each, each.attempt.as_ref()?)))
            .map(|(each, attempt)| Ok((each, attempt.number, self.write(attempt)?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        let rows: Vec<_> = attempts
            .iter()
            .map(|(each, number, document)| {
                [
                    each.tenant.to_param(),
                    Param::Uuid(each.delivery.number()),
                    Param::Integer((*number).into()),
                    Param::Text(document.as_str().into()),
                ]
            })
            .collect();
        tx.insert_many(&ATTEMPTS, rows).await?;
        let mut settled = Vec::with_capacity(batch.len());
        let mut free = BTreeSet::new();
        for each in batch {
            let key = (each.tenant.clone(), each.endpoint.number());
            let Some(lane) = lanes.get(&holding(each)) else {
                settled.push(Settled { kept: false, change: None });
                continue;
            };
            let mut change = None;
            if let Some((gate, health)) = queues.get_mut(&key) {
                change = each.health.and_then(|success| health.record(success, now, rules));
                *gate = gate_of(health, *gate, each.pause, now);
            }
            if let (Some(lane), Next::Ended(..)) = (lane, &each.next) {
                free.insert((key.0, key.1, lane.clone()));
            }
            settled.push(Settled { kept: true, change });
        }
        self.promote(&mut tx, &free, now).await?;
        let healths = queues
            .iter()
            .map(|(key, (_, health))| Ok((key, self.write(health)?)))
            .collect::<Result<HashMap<_, _>, StoreError>>()?;
        let refreshed: Vec<Refreshed<'_>> = keys
            .iter()
            .filter_map(|key| {
                let (gate, _) = queues.get(key)?;
                let health = healths.get(key).map(String::as_str);
                Some(Refreshed { key: key.clone(), gate: *gate, health, floor: gate.unwrap_or(now) })
            })
            .collect();
        self.refresh(&mut tx, &refreshed).await?;
        tx.commit().await?;
        Ok(settled)
    }

    /// Writes the states of deliveries that are still held; the lanes of those that were, by their holdings: a batch may have one
    /// that was lost and the one that followed it.
    async fn record<B>(
        &self,
        tx: &mut Tx<B>,
        batch: &[Settlement],
        now: Timestamp,
    ) -> Result<HashMap<Holding, Option<String>>, StoreError> {
        let mut kept = HashMap::with_capacity(batch.len());
        for some in batch.chunks(CHUNK / 2) {
            let mut sql = Sql::builder("WITH done (t, i, f, s, n, r, fin, a, code) AS (VALUES ");
            let mut values = Vec::with_capacity(some.len() * 9);
            for (at, each) in some.iter().enumerate() {
                sql.push(if at > 0 { ", (" } else { "(" }).placeholders(9).push(")");
                let (state, next, reason, finished) = match &each.next {
                    Next::At(at) => (DeliveryState::Queued, Some(*at), None, None),
                    Next::Ended(state, reason) => (*state, None, reason.as_deref(), Some(now)),
                };
                let attempt = each.attempt.as_ref();
                values.extend([
                    each.tenant.to_param(),
                    Param::Uuid(each.delivery.number()),
                    Param::Integer(each.fence),
                    Param::Integer(state.number()),
                    moment(next),
                    reason.map_or(Param::Null(Type::Text), |reason| Param::Text(reason.into())),
                    moment(finished),
                    number(attempt.map(|attempt| attempt.number.into())),
                    number(attempt.and_then(|attempt| attempt.status).map(i64::from)),
                ]);
            }
            if self.is_postgres() {
                // Found by their keys, whatever the planner takes the rows behind the policy for: not by the state, whose index has
                // all that is under way and was. The rows are its queues' who holds them.
                sql.push(
                    "), held AS MATERIALIZED (SELECT done.*, place FROM done CROSS JOIN LATERAL (SELECT ctid AS place \
                     FROM guardian_webhook_deliveries WHERE tenant_id = t AND id = i AND fence = f AND state + 0 = 1 LIMIT 1) d",
                );
            }
            sql.push(
                ") UPDATE guardian_webhook_deliveries SET state = s, next_at = n, reason = r, finished = fin, \
                 last_status = CASE WHEN a IS NULL THEN last_status ELSE code END, attempts = COALESCE(a, attempts) ",
            );
            sql.push(if self.is_postgres() {
                "FROM held WHERE tenant_id = t AND ctid = place AND fence = f AND state + 0 = 1 "
            } else {
                "FROM done WHERE tenant_id = t AND id = i AND fence = f AND state = 1 "
            });
            sql.push("RETURNING tenant_id, id, fence, lane");
            for row in tx.fetch_all(sql.finish(), &values).await? {
                kept.insert((row.get("tenant_id")?, row.get("id")?, row.get("fence")?), row.get("lane")?);
            }
        }
        Ok(kept)
    }
}

/// What a statement that takes deliveries gives of them.
const TAKEN: &str = "tenant_id, id, endpoint_id, message_id, fence, attempts, round_start, seq";

/// A delivery that was taken.
struct Taken {
    tenant: TenantId,
    delivery: DeliveryId,
    endpoint: Uuid,
    message: Uuid,
    revision: u64,
    fence: i64,
    attempts: u32,
    round_start: u32,
    seq: i64,
}

fn holding(settlement: &Settlement) -> Holding {
    (settlement.tenant.clone(), settlement.delivery.number(), settlement.fence)
}

/// The keys as rows of a `VALUES` list, and their parameters.
fn push_keys<'k>(sql: &mut SqlBuilder, keys: &'k [Key]) -> Vec<Param<'k>> {
    let mut values = Vec::with_capacity(keys.len() * 2);
    for (at, (tenant, id)) in keys.iter().enumerate() {
        sql.push(if at > 0 { ", (" } else { "(" }).placeholders(2).push(")");
        values.extend([tenant.to_param(), Param::Uuid(*id)]);
    }
    values
}
