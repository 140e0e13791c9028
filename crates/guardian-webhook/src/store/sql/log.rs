//! The log, and operations on what it shows.

use std::collections::BTreeSet;

use super::*;

impl SqlStore {
    fn delivery_of(&self, row: &Row) -> Result<Delivery, StoreError> {
        let number = |column: &str| -> Result<u32, StoreError> {
            u32::try_from(row.get::<i64>(column)?).map_err(|error| self.corrupt(error))
        };
        let state =
            DeliveryState::of_number(row.get("state")?).ok_or_else(|| self.corrupt("an unknown state"))?;
        let status: Option<i64> = row.get("last_status")?;
        Ok(Delivery {
            id: DeliveryId::new(row.get("id")?),
            message: MessageId::new(row.get("message_id")?),
            endpoint: EndpointId::new(row.get("endpoint_id")?),
            event_type: row
                .get::<&str>("event_type")?
                .parse()
                .map_err(|error: crate::Error| self.corrupt(error))?,
            state,
            reason: row.get("reason")?,
            attempts: number("attempts")?,
            round_start: number("round_start")?,
            next_at: row.get("next_at")?,
            created: row.get("created")?,
            finished: row.get("finished")?,
            lane: row.get("lane")?,
            last_status: status.map(u16::try_from).transpose().map_err(|error| self.corrupt(error))?,
        })
    }

    pub(super) async fn log_page(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        request: &PageRequest,
    ) -> Result<Page<Delivery>, StoreError> {
        let after = after_cursor(request, self.backend())?;
        let mut sql = Sql::builder(
            "SELECT id, message_id, endpoint_id, event_type, state, reason, attempts, round_start, next_at, created, finished, \
             lane, last_status FROM guardian_webhook_deliveries",
        );
        let mut values = Vec::new();
        conditions(&mut sql, &mut values, scope, filter);
        if let Some(after) = after {
            sql.push(" AND id < ").placeholder();
            values.push(Param::Uuid(after));
        }
        sql.push(" ORDER BY id DESC LIMIT ").placeholder();
        values.push(Param::Integer(i64::from(request.size()) + 1));
        let mut tx = self.db.begin_read(scope).await?;
        let rows = tx.fetch_all(sql.finish(), &values).await?;
        tx.commit().await?;
        let items = rows.iter().map(|row| self.delivery_of(row)).collect::<Result<Vec<_>, _>>()?;
        Ok(page_of(items, request, |each| each.id.number()))
    }

    /// The database looks for the text and knows it in bodies. Where it is in the document of an attempt, which has more in it than
    /// what was said, and where a message has other versions, which are encoded, it is looked at again here.
    pub(super) async fn holding_text(
        &self,
        scope: &Scope,
        deliveries: &[Delivery],
        text: &str,
    ) -> Result<BTreeSet<DeliveryId>, StoreError> {
        if deliveries.is_empty() {
            return Ok(BTreeSet::new());
        }
        // As a document writes it, without the quotes around it.
        let written = self.write(&text)?;
        let written = written.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        let bytes = || Param::Bytes(text.as_bytes().into());
        let mut values = vec![bytes(), bytes(), written.to_param(), scope.tenant().to_param()];
        values.extend(deliveries.iter().map(|delivery| Param::Uuid(delivery.id.number())));
        let (body, attempt, end) = if self.is_postgres() {
            ("position(", "strpos(a.document, ", " IN m.body) > 0")
        } else {
            ("instr(m.body, ", "instr(a.document, ", ") > 0")
        };
        let mut sql = Sql::builder("SELECT d.id, d.message_id, CASE WHEN ");
        sql.push(body).placeholder().push(end).push(
            " THEN CAST(1 AS BIGINT) ELSE 0 END AS known FROM guardian_webhook_deliveries d \
             JOIN guardian_webhook_messages m ON m.tenant_id = d.tenant_id AND m.id = d.message_id WHERE (",
        );
        sql.push(body).placeholder().push(end).push(
            " OR m.versions IS NOT NULL OR EXISTS (SELECT 1 FROM guardian_webhook_attempts a \
             WHERE a.tenant_id = d.tenant_id AND a.delivery_id = d.id AND ",
        );
        sql.push(attempt).placeholder().push(") > 0)) AND d.tenant_id = ").placeholder();
        sql.push(" AND d.id IN (").placeholders(deliveries.len()).push(")");
        let mut tx = self.db.begin_read(scope).await?;
        let rows = tx.fetch_all(sql.finish(), &values).await?;
        tx.commit().await?;
        let mut holding = BTreeSet::new();
        for row in &rows {
            let id = DeliveryId::new(row.get("id")?);
            if row.get::<i64>("known")? == 1
                || self.holds(scope, id, MessageId::new(row.get("message_id")?), text).await?
            {
                holding.insert(id);
            }
        }
        Ok(holding)
    }

    async fn holds(
        &self,
        scope: &Scope,
        id: DeliveryId,
        message: MessageId,
        text: &str,
    ) -> Result<bool, StoreError> {
        if self.message(scope, message).await?.is_some_and(|message| message.holds(text)) {
            return Ok(true);
        }
        Ok(self.attempts(scope, id).await?.iter().any(|attempt| attempt.holds(text)))
    }

    /// The ids, endpoints and lanes of what the filter shows and the condition allows, the oldest first. On PostgreSQL the
    /// queues are locked, in one order for all, before the rows are looked at again.
    async fn picked(
        &self,
        tx: &mut TenantTx,
        filter: &DeliveryFilter,
        condition: &'static str,
        now: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<(Uuid, Uuid, Option<String>)>, StoreError> {
        let scope = tx.scope().clone();
        let mut sql = Sql::builder("SELECT id, endpoint_id, lane FROM guardian_webhook_deliveries");
        let mut values = Vec::new();
        conditions(&mut sql, &mut values, &scope, filter);
        sql.push(condition);
        if let Some(now) = now {
            sql.placeholder();
            values.push(Param::Timestamp(now));
        }
        sql.push(" ORDER BY id LIMIT ").placeholder();
        values.push(Param::Integer(i64::from(limit)));
        let sql = sql.finish();
        let found = tx.fetch_all(sql.clone(), &values).await?;
        let mut endpoints: BTreeSet<Uuid> = BTreeSet::new();
        for row in &found {
            endpoints.insert(row.get("endpoint_id")?);
        }
        for endpoint in &endpoints {
            let sql = if self.is_postgres() {
                "SELECT revision FROM guardian_webhook_queues WHERE tenant_id = $1 AND endpoint_id = $2 FOR UPDATE"
            } else {
                "SELECT revision FROM guardian_webhook_queues WHERE tenant_id = $1 AND endpoint_id = $2"
            };
            tx.fetch_optional(sql, params![scope.tenant(), *endpoint]).await?;
        }
        let rows = if self.is_postgres() { tx.fetch_all(sql, &values).await? } else { found };
        let mut picked = Vec::with_capacity(rows.len());
        for row in &rows {
            let endpoint = row.get("endpoint_id")?;
            // Where others have ended meanwhile, the second look goes further, to queues that nobody has locked.
            if endpoints.contains(&endpoint) {
                picked.push((row.get("id")?, endpoint, row.get("lane")?));
            }
        }
        Ok(picked)
    }

    pub(super) async fn cancel_once(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut tx = self.db.begin(scope).await?;
        let picked = self.picked(&mut tx, filter, " AND state < 3", None, limit).await?;
        let mut cancelled = 0;
        let mut lanes = BTreeSet::new();
        for (id, endpoint, lane) in picked {
            let sql = "UPDATE guardian_webhook_deliveries SET state = 5, next_at = NULL, finished = $3, reason = $4 \
                       WHERE tenant_id = $1 AND id = $2 AND state < 3";
            cancelled += tx.execute(sql, params![scope.tenant(), id, now, "cancelled"]).await?;
            if let Some(lane) = lane {
                lanes.insert((scope.tenant().clone(), endpoint, lane));
            }
        }
        for (tenant, endpoint, lane) in &lanes {
            self.ring(&mut tx, tenant, *endpoint, Some(lane), now).await?;
        }
        tx.commit().await?;
        Ok(cancelled)
    }

    /// Has workers look at a queue.
    async fn ring(
        &self,
        tx: &mut TenantTx,
        tenant: &TenantId,
        endpoint: Uuid,
        lane: Option<&String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let lane = lane.cloned();
        let sql =
            "INSERT INTO guardian_webhook_bells (tenant_id, endpoint_id, lane, at) VALUES ($1, $2, $3, $4)";
        tx.execute(sql, params![tenant, endpoint, lane, now]).await?;
        Ok(())
    }

    pub(super) async fn redrive_once(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let tenant = scope.tenant();
        let mut tx = self.db.begin(scope).await?;
        let condition = " AND state >= 3 AND EXISTS (SELECT 1 FROM guardian_webhook_queues q WHERE q.tenant_id = \
                         guardian_webhook_deliveries.tenant_id AND q.endpoint_id = guardian_webhook_deliveries.endpoint_id) \
                         AND finished <= ";
        let picked = self.picked(&mut tx, filter, condition, Some(now), limit).await?;
        let mut redriven = 0;
        let mut bells = BTreeSet::new();
        for (id, endpoint, lane) in picked {
            let state = if lane.is_some() { DeliveryState::Waiting } else { DeliveryState::Queued };
            let due = lane.is_none().then_some(now);
            // It comes behind what is there: its place is a new one.
            let sql = if self.is_postgres() {
                "UPDATE guardian_webhook_deliveries SET state = $3, next_at = $4, finished = NULL, reason = NULL, \
                 round_start = attempts, seq = nextval('guardian_webhook_seq') WHERE tenant_id = $1 AND id = $2 AND state >= 3"
            } else {
                "UPDATE guardian_webhook_deliveries SET state = $3, next_at = $4, finished = NULL, reason = NULL, \
                 round_start = attempts, seq = (SELECT MAX(seq) + 1 FROM guardian_webhook_deliveries) \
                 WHERE tenant_id = $1 AND id = $2 AND state >= 3"
            };
            redriven += tx.execute(sql, params![tenant, id, state.number(), due]).await?;
            bells.insert((endpoint, lane));
        }
        for (endpoint, lane) in &bells {
            self.ring(&mut tx, tenant, *endpoint, lane.as_ref(), now).await?;
        }
        tx.commit().await?;
        Ok(redriven)
    }

    pub(super) async fn purge_once(
        &self,
        before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let mut tx = self.db.begin_unscoped(&self.unscoped).await?;
        let sql = "DELETE FROM guardian_webhook_keys WHERE until <= $1";
        tx.execute(sql, params![now]).await?;
        let mut purged = 0;
        // Those that were passed by do not show the next time, so a round in which all were is not the last one.
        while purged == 0 {
            let sql = "SELECT tenant_id, id FROM guardian_webhook_messages m WHERE id < $1 AND NOT EXISTS (SELECT 1 FROM \
                       guardian_webhook_deliveries d WHERE d.tenant_id = m.tenant_id AND d.message_id = m.id AND d.state < 3) \
                       ORDER BY id LIMIT $2";
            let rows = tx.fetch_all(sql, params![first_id(before), i64::from(limit)]).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                purged += u64::from(self.forget(&mut tx, &row.get("tenant_id")?, row.get("id")?).await?);
            }
        }
        tx.commit().await?;
        Ok(purged)
    }

    /// Forgets a message, unless a delivery of it is sent again meanwhile.
    async fn forget<B>(&self, tx: &mut Tx<B>, tenant: &TenantId, id: Uuid) -> Result<bool, StoreError> {
        if self.is_postgres() {
            let sql = "SELECT state FROM guardian_webhook_deliveries WHERE tenant_id = $1 AND message_id = $2 ORDER BY id FOR UPDATE";
            for row in tx.fetch_all(sql, params![tenant, id]).await? {
                if row.get::<i64>("state")? < 3 {
                    return Ok(false);
                }
            }
        }
        for sql in [
            "DELETE FROM guardian_webhook_attempts WHERE tenant_id = $1 AND delivery_id IN (SELECT id FROM \
             guardian_webhook_deliveries WHERE tenant_id = $1 AND message_id = $2)",
            "DELETE FROM guardian_webhook_deliveries WHERE tenant_id = $1 AND message_id = $2",
            "DELETE FROM guardian_webhook_messages WHERE tenant_id = $1 AND id = $2",
        ] {
            tx.execute(sql, params![tenant, id]).await?;
        }
        Ok(true)
    }
}

/// The condition of a filter.
fn conditions<'p>(
    sql: &mut SqlBuilder,
    values: &mut Vec<Param<'p>>,
    scope: &'p Scope,
    filter: &'p DeliveryFilter,
) {
    sql.push(" WHERE tenant_id = ").placeholder();
    values.push(scope.tenant().to_param());
    let mut and = |literal: &'static str, value: Option<Param<'p>>| {
        if let Some(value) = value {
            sql.push(literal).placeholder();
            values.push(value);
        }
    };
    and(" AND id = ", filter.delivery.map(|id| Param::Uuid(id.number())));
    and(" AND message_id = ", filter.message.map(|id| Param::Uuid(id.number())));
    and(" AND endpoint_id = ", filter.endpoint.map(|id| Param::Uuid(id.number())));
    and(" AND event_type = ", filter.event_type.as_ref().map(|name| Param::Text(name.as_str().into())));
    and(" AND state = ", filter.state.map(|state| Param::Integer(state.number())));
    and(" AND last_status = ", filter.status.map(|status| Param::Integer(status.into())));
    and(" AND id >= ", filter.since.map(|time| Param::Uuid(first_id(time))));
    and(" AND id < ", filter.until.map(|time| Param::Uuid(first_id(time))));
    if filter.state.is_some_and(|state| state != DeliveryState::Succeeded) {
        // The condition of the index, for a plan that does not know the value.
        sql.push(" AND state <> 3");
    }
}
