//! Events that wait in the database until all who listen have heard of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use futures_util::{StreamExt as _, stream};
use guardian_audit::outbox_tenants;
use guardian_core::{
    Clock, Event, EventSink, IdSource, Scope, StoreError, StoreErrorKind, TenantId, Timestamp,
};
use guardian_sql::{Database, Dialect, Migration, Migrations, Row, TenantTx, Unscoped, params};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::heard::Heard;
use crate::spool::{Refusal, Settle, Spool, Teller, Telling, Told, Turn};

/// The tables of the assembly: `guardian_outbox` and `guardian_limit_rules`.
pub const MIGRATIONS: Migrations = Migrations::new(
    "guardian_assembly",
    &[Migration::new(
        1,
        "tables",
        include_str!("../migrations/0001_tables.sqlite.sql"),
        include_str!("../migrations/0001_tables.postgres.sql"),
    )],
);

/// How long whoever took events has to tell them before somebody else may.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// When no further event of a batch is begun, so that the lease does not end meanwhile.
const ENOUGH: Duration = Duration::from_secs(30);
/// How many are taken at a time.
const BATCH: u32 = 100;
/// Of how many tenants events are told side by side.
const SIDE_BY_SIDE: usize = 8;
/// The longest pause before an event is told again that somebody does not take.
const MAX_PAUSE: TimeDelta = TimeDelta::minutes(10);

/// The outbox of a database.
#[derive(Debug, Clone)]
pub struct Outbox {
    db: Database,
    all: Unscoped,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    filled: Arc<Notify>,
}

/// An event that was taken.
struct Taken {
    number: i64,
    attempts: i64,
    heard: Heard,
    /// Or why it cannot be read.
    telling: Result<Telling, StoreError>,
}

/// What is to be written about one that was taken.
enum Fate {
    Done(i64),
    Again { number: i64, heard: Heard, at: Timestamp, is_attempt: bool },
}

impl Outbox {
    pub(crate) fn new(
        db: &Database,
        operator: &Scope,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Result<Self, guardian_sql::Error> {
        let all = Unscoped::new(operator.clone(), "workers tell the events of all tenants")?;
        Ok(Self { db: db.clone(), all, clock, ids, filled: Arc::default() })
    }

    pub(crate) fn database(&self) -> &Database {
        &self.db
    }

    /// Puts an event into the caller's transaction. It is told some time after the commit, or never if there is none.
    pub(crate) async fn put(
        &self,
        tx: &mut TenantTx,
        telling: &Telling,
        heard: Heard,
    ) -> Result<(), StoreError> {
        let internal = |error| StoreError::new(StoreErrorKind::Internal, "outbox").with_source(error);
        let text = serde_json::to_string(telling).map_err(internal)?;
        let sql = "INSERT INTO guardian_outbox (tenant_id, id, about, event, heard, attempts, next_at) \
                   VALUES ($1, $2, $3, $4, $5, 0, $6)";
        let event = &telling.event;
        let heard = i64::from(heard.bits());
        let about = telling.about.as_deref();
        tx.execute(sql, params![&event.tenant, event.id, about, text, heard, self.clock.now()]).await?;
        Ok(())
    }

    /// An event of the transaction's tenant and actor, now.
    pub(crate) fn event(&self, tx: &TenantTx, name: &str, data: Value) -> Event {
        let now = self.clock.now();
        Event::new(self.ids.next_id(now), now, tx.scope(), name).with_data(data)
    }

    /// Somebody may have committed: whoever waits looks.
    pub(crate) fn ring(&self) {
        self.filled.notify_one();
    }

    async fn take(&self) -> Result<Vec<Taken>, StoreError> {
        let mut tx = self.db.begin_unscoped(&self.all).await?;
        let now = self.clock.now();
        // Of two about one thing the elder first, whoever has taken it.
        let sql = match tx.dialect() {
            Dialect::Sqlite => {
                "UPDATE guardian_outbox SET next_at = $1 WHERE number IN \
                 (SELECT number FROM guardian_outbox AS it WHERE next_at <= $2 AND (about IS NULL OR NOT EXISTS \
                   (SELECT 1 FROM guardian_outbox AS elder WHERE elder.tenant_id = it.tenant_id \
                    AND elder.about = it.about AND elder.number < it.number)) \
                  ORDER BY number LIMIT $3) \
                 RETURNING number, attempts, heard, event"
            }
            Dialect::Postgres => {
                "UPDATE guardian_outbox SET next_at = $1 WHERE number IN \
                 (SELECT number FROM guardian_outbox AS it WHERE next_at <= $2 AND (about IS NULL OR NOT EXISTS \
                   (SELECT 1 FROM guardian_outbox AS elder WHERE elder.tenant_id = it.tenant_id \
                    AND elder.about = it.about AND elder.number < it.number)) \
                  ORDER BY number LIMIT $3 FOR UPDATE SKIP LOCKED) \
                 RETURNING number, attempts, heard, event"
            }
        };
        let rows = tx.fetch_all(sql, params![now + LEASE, now, BATCH]).await?;
        tx.commit().await?;
        let mut taken = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        // What an update returns comes in no order.
        taken.sort_unstable_by_key(|one| one.number);
        Ok(taken)
    }

    /// Tells the events of one tenant in their order.
    async fn tell_of_one(
        &self,
        everybody: &dyn Teller,
        of_tenant: Vec<Taken>,
        begun: Instant,
    ) -> (Vec<Fate>, Vec<Refusal>) {
        let (mut fates, mut refusals) = (Vec::with_capacity(of_tenant.len()), Vec::new());
        for Taken { number, attempts, heard, telling } in of_tenant {
            let now = self.clock.now();
            if begun.elapsed() > ENOUGH {
                fates.push(Fate::Again { number, heard, at: now, is_attempt: false });
                continue;
            }
            let told = match &telling {
                Ok(telling) => everybody.tell(telling, heard).await,
                Err(_) => Told { heard, refusals: Vec::new() },
            };
            let is_done = telling.is_ok() && told.is_done();
            refusals.extend(told.refusals);
            if let Err(error) = telling {
                let of = Heard::NOBODY;
                refusals.push(Refusal { who: "the outbox", of, error, is_final: false });
            }
            fates.push(if is_done {
                Fate::Done(number)
            } else {
                let at = self.clock.now() + pause(attempts);
                Fate::Again { number, heard: told.heard, at, is_attempt: true }
            });
        }
        (fates, refusals)
    }

    async fn write(&self, fates: &[Fate]) -> Result<(), StoreError> {
        let mut tx = self.db.begin_unscoped(&self.all).await?;
        for fate in fates {
            match fate {
                Fate::Done(number) => {
                    tx.execute("DELETE FROM guardian_outbox WHERE number = $1", params![*number]).await?;
                }
                Fate::Again { number, heard, at, is_attempt } => {
                    let sql = "UPDATE guardian_outbox SET attempts = attempts + $4, heard = $3, next_at = $2 \
                               WHERE number = $1";
                    let heard = i64::from(heard.bits());
                    tx.execute(sql, params![*number, *at, heard, i64::from(*is_attempt)]).await?;
                }
            }
        }
        tx.commit().await
    }
}

fn read(row: &Row) -> Result<Taken, StoreError> {
    let text: String = row.get("event")?;
    let telling = serde_json::from_str(&text)
        .map_err(|error| StoreError::new(StoreErrorKind::Corrupt, "outbox").with_source(error));
    let heard = Heard::from_bits(row.get("heard")?);
    Ok(Taken { number: row.get("number")?, attempts: row.get("attempts")?, heard, telling })
}

/// How long an event waits that was told so often in vain: 1, 2, 4 … seconds.
fn pause(attempts: i64) -> TimeDelta {
    let exponent = u32::try_from(attempts.clamp(0, 20)).unwrap_or(20);
    TimeDelta::seconds(1 << exponent).min(MAX_PAUSE)
}

#[async_trait]
impl Spool for Outbox {
    fn entrance(&self, _: &Arc<dyn Teller>, but: Heard) -> Arc<dyn EventSink> {
        Arc::new(Entrance { outbox: self.clone(), but })
    }

    async fn wait(&self, at_most: Duration) {
        // Either way it is time to look.
        let _ = timeout(at_most, self.filled.notified()).await;
    }

    async fn pump(&self, everybody: &dyn Teller) -> Result<Turn, StoreError> {
        let (taken, begun) = (self.take().await?, Instant::now());
        let mut turn = Turn { taken: taken.len(), refusals: Vec::new() };
        let mut by_tenant: BTreeMap<String, Vec<Taken>> = BTreeMap::new();
        for one in taken {
            let tenant = one.telling.as_ref().map_or("", |telling| telling.event.tenant.as_str()).to_owned();
            by_tenant.entry(tenant).or_default().push(one);
        }
        let telling = by_tenant.into_values().map(|some| self.tell_of_one(everybody, some, begun));
        let mut telling = stream::iter(telling).buffer_unordered(SIDE_BY_SIDE);
        let mut fates = Vec::new();
        while let Some((some, refusals)) = telling.next().await {
            fates.extend(some);
            turn.refusals.extend(refusals);
        }
        if !fates.is_empty() {
            self.write(&fates).await?;
        }
        Ok(turn)
    }

    async fn settle(&self, log: &dyn Settle) -> Result<(), StoreError> {
        let (mut after, mut first) = (None, Ok(()));
        loop {
            let some = outbox_tenants(&self.db, &self.all, after.as_ref(), BATCH).await?;
            let Some(last) = some.last() else { return first };
            after = Some(last.clone());
            for tenant in some {
                let settled = log.settle(&self.db, &Scope::system(tenant)).await;
                first = first.and(settled.map(drop));
            }
        }
    }

    async fn forget(&self, tenant: &TenantId, everybody: &dyn Teller) -> Result<(), StoreError> {
        let (scope, begun) = (Scope::system(tenant.clone()), Instant::now());
        loop {
            let mut tx = self.db.begin_read(&scope).await?;
            let sql = "SELECT number, attempts, heard, event FROM guardian_outbox WHERE tenant_id = $1 ORDER BY number LIMIT $2";
            let rows = tx.fetch_all(sql, params![tenant, BATCH]).await?;
            tx.commit().await?;
            if rows.is_empty() {
                break;
            }
            let waiting = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            let (mut told, mut missing) = (Vec::with_capacity(waiting.len()), None);
            for one in &waiting {
                // One that hangs keeps nobody else's purge back for longer.
                if begun.elapsed() > ENOUGH {
                    let rest = StoreError::new(StoreErrorKind::Unavailable, "outbox");
                    missing = Some(rest.with_source("more of it waits than is told at once"));
                    break;
                }
                // Nothing of it is delivered or started any more, and one that cannot be read never was.
                let but = one.heard | Heard::WEBHOOKS | Heard::WORKFLOWS;
                if let Ok(telling) = &one.telling {
                    missing = everybody.tell(telling, but).await.into_missing();
                }
                if missing.is_some() {
                    break;
                }
                told.push(one.number);
            }
            let mut tx = self.db.begin(&scope).await?;
            for number in told {
                let sql = "DELETE FROM guardian_outbox WHERE tenant_id = $1 AND number = $2";
                tx.execute(sql, params![tenant, number]).await?;
            }
            tx.commit().await?;
            if let Some(error) = missing {
                return Err(error);
            }
        }
        let mut tx = self.db.begin(&scope).await?;
        tx.execute("DELETE FROM guardian_limit_rules WHERE tenant_id = $1", params![tenant]).await?;
        tx.commit().await
    }
}

/// What a part reports is committed here at once, so that it does not fail because somebody who listens is away.
#[derive(Debug)]
struct Entrance {
    outbox: Outbox,
    but: Heard,
}

#[async_trait]
impl EventSink for Entrance {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        let mut tx = self.outbox.db.begin(&Scope::system(event.tenant.clone())).await?;
        self.outbox.put(&mut tx, &event.into(), self.but).await?;
        tx.commit().await?;
        self.outbox.ring();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::pause;

    #[test]
    fn pauses_grow_to_ten_minutes() {
        let seconds: Vec<i64> = [0, 1, 2, 9, 10, 1_000].map(|n| pause(n).num_seconds()).into();
        assert_eq!(seconds, [1, 2, 4, 512, 600, 600]);
    }
}
