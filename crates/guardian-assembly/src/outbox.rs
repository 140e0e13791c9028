//! Events that wait in the database until all who listen have heard of them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use guardian_audit::outbox_tenants;
use guardian_core::{Clock, Event, EventSink, IdSource, Scope, StoreError, StoreErrorKind};
use guardian_sql::{Database, Dialect, Migration, Migrations, TenantTx, Unscoped, params};
use serde_json::Value;
use tokio::sync::Notify;

use crate::spool::{Settle, Spool, Teller, Telling, Turn};

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
const LEASE: TimeDelta = TimeDelta::seconds(30);

/// How many are taken at a time.
const BATCH: u32 = 100;

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
    pub(crate) async fn put(&self, tx: &mut TenantTx, telling: &Telling) -> Result<(), StoreError> {
        let text = serde_json::to_string(telling)
            .map_err(|error| StoreError::new(StoreErrorKind::Internal, "outbox").with_source(error))?;
        let sql = "INSERT INTO guardian_outbox (tenant_id, id, event, attempts, next_at) VALUES ($1, $2, $3, 0, $4)";
        let event = &telling.event;
        tx.execute(sql, params![&event.tenant, event.id, text, self.clock.now()]).await?;
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

    async fn take(&self) -> Result<Vec<(i64, i64, Telling)>, StoreError> {
        let mut tx = self.db.begin_unscoped(&self.all).await?;
        let now = self.clock.now();
        let sql = match tx.dialect() {
            Dialect::Sqlite => {
                "UPDATE guardian_outbox SET next_at = $1 WHERE number IN \
                 (SELECT number FROM guardian_outbox WHERE next_at <= $2 ORDER BY next_at, number LIMIT $3) \
                 RETURNING number, attempts, event"
            }
            Dialect::Postgres => {
                "UPDATE guardian_outbox SET next_at = $1 WHERE number IN \
                 (SELECT number FROM guardian_outbox WHERE next_at <= $2 ORDER BY next_at, number LIMIT $3 \
                  FOR UPDATE SKIP LOCKED) \
                 RETURNING number, attempts, event"
            }
        };
        let rows = tx.fetch_all(sql, params![now + LEASE, now, BATCH]).await?;
        tx.commit().await?;
        let mut taken = Vec::with_capacity(rows.len());
        for row in &rows {
            let text: String = row.get("event")?;
            let telling = serde_json::from_str(&text)
                .map_err(|error| StoreError::new(StoreErrorKind::Corrupt, "outbox").with_source(error))?;
            taken.push((row.get("number")?, row.get("attempts")?, telling));
        }
        // What an update returns comes in no order.
        taken.sort_unstable_by_key(|(number, ..)| *number);
        Ok(taken)
    }

    async fn strike_off(&self, number: i64) -> Result<(), StoreError> {
        let mut tx = self.db.begin_unscoped(&self.all).await?;
        tx.execute("DELETE FROM guardian_outbox WHERE number = $1", params![number]).await?;
        tx.commit().await
    }

    async fn put_off(&self, number: i64, attempts: i64) -> Result<(), StoreError> {
        let exponent = u32::try_from(attempts.clamp(0, 20)).unwrap_or(20);
        let pause = TimeDelta::seconds(1 << exponent).min(MAX_PAUSE);
        let mut tx = self.db.begin_unscoped(&self.all).await?;
        let sql = "UPDATE guardian_outbox SET attempts = attempts + 1, next_at = $2 WHERE number = $1";
        tx.execute(sql, params![number, self.clock.now() + pause]).await?;
        tx.commit().await
    }
}

/// What a part reports is committed here at once, so that it does not fail because somebody who listens is away.
#[async_trait]
impl EventSink for Outbox {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        let mut tx = self.db.begin(&Scope::system(event.tenant.clone())).await?;
        self.put(&mut tx, &event.into()).await?;
        tx.commit().await?;
        self.ring();
        Ok(())
    }
}

#[async_trait]
impl Spool for Outbox {
    fn entrance(&self, _: &Arc<dyn EventSink>) -> Arc<dyn EventSink> {
        Arc::new(self.clone())
    }

    async fn wait(&self, at_most: Duration) {
        // Either way it is time to look.
        let _ = tokio::time::timeout(at_most, self.filled.notified()).await;
    }

    async fn pump(&self, everybody: &dyn Teller) -> Result<Turn, StoreError> {
        let mut turn = Turn::default();
        for (number, attempts, telling) in self.take().await? {
            turn.taken += 1;
            let id = telling.event.id;
            match everybody.tell(telling).await {
                Ok(()) => self.strike_off(number).await?,
                Err(error) => {
                    self.put_off(number, attempts).await?;
                    turn.refused.push((id, error));
                }
            }
        }
        Ok(turn)
    }

    async fn settle(&self, log: &dyn Settle) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let some = outbox_tenants(&self.db, &self.all, after.as_ref(), BATCH).await?;
            let Some(last) = some.last() else { return Ok(()) };
            after = Some(last.clone());
            for tenant in some {
                log.settle(&self.db, &Scope::system(tenant)).await?;
            }
        }
    }
}
