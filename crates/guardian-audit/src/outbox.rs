//! Events that are committed with the caller's own change, and move into the log afterwards.

use guardian_core::{Scope, StoreError, TenantId};
use guardian_sql::{
    Database, Error as SqlError, Migration, Migrations, Retry, Row, Sql, TenantTx, ToParam, Unscoped, params,
    retry,
};
use uuid::Uuid;

use crate::error::Error;
use crate::event::{Assessment, AuditEvent};
use crate::log::AuditLog;
use crate::store::{AuditStore, Batch, Draft, wire};

/// The table of events on their way into the log, `guardian_audit_outbox`; it belongs into the database whose changes
/// are recorded with [`AuditLog::record_in`].
pub const OUTBOX_MIGRATIONS: Migrations = Migrations::new(
    "guardian_audit_outbox",
    &[Migration::new(
        1,
        "outbox",
        include_str!("../migrations/2001_outbox.sqlite.sql"),
        include_str!("../migrations/2001_outbox.postgres.sql"),
    )],
);

/// An event that waits for the transaction it was recorded in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// The event's id, by which it will be found in the log.
    pub id: Uuid,
    /// How risky it was found.
    pub risk: Assessment,
}

/// What moving events into the log did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// How many events the log has that were waiting.
    pub moved: u64,
    /// How many of those it had before: somebody else moved them, or stopped before they were struck off.
    pub duplicates: u64,
    /// Whether there may be more.
    pub more: bool,
}

/// The tenants of a database that have events waiting, in the order of their ids; at most `limit`, after one where it is
/// given: so that one whose events cannot be moved keeps nobody behind it waiting.
///
/// # Errors
/// When the database failed, or the sink of the event that tells of crossing tenants.
pub async fn outbox_tenants(
    db: &Database,
    leave: &Unscoped,
    after: Option<&TenantId>,
    limit: u32,
) -> Result<Vec<TenantId>, StoreError> {
    let mut tx = db.begin_unscoped(leave).await?;
    let rows = tx
        .fetch_all(
            "SELECT DISTINCT tenant_id FROM guardian_audit_outbox WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2",
            params![after.map_or("", TenantId::as_str), limit],
        )
        .await?;
    tx.commit().await?;
    rows.iter().map(|row| row.get("tenant_id")).collect()
}

/// Makes the table of waiting events, or brings it up to date.
///
/// # Errors
/// When the migration fails, or the table is newer than this code.
pub async fn migrate_outbox(db: &Database) -> Result<u64, SqlError> {
    db.migrate(&OUTBOX_MIGRATIONS).await
}

impl<S: AuditStore> AuditLog<S> {
    /// Records an event with the caller's own change: it is in the log if the transaction commits, and leaves no trace if
    /// it does not. The tenant is the transaction's.
    ///
    /// The event is written to a [table](OUTBOX_MIGRATIONS) of the caller's database, and is found once
    /// [`drain_outbox`](Self::drain_outbox) has moved it into the log: call that after the commit, and now and then for
    /// what a crash left behind.
    ///
    /// Where personal data is sealed and the keys are in the same SQLite file, [`prepare`](Self::prepare) the event before
    /// the transaction begins and give it to [`record_draft_in`](Self::record_draft_in): making a key takes a transaction
    /// of its own, which would wait for this one.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// use guardian_audit::store::MemoryStore;
    /// use guardian_audit::{AuditConfig, AuditEvent, AuditLog, migrate_outbox};
    /// use guardian_core::{Scope, TenantId};
    /// use guardian_sql::Database;
    ///
    /// let db = Database::open("sqlite::memory:").await?;
    /// migrate_outbox(&db).await?;
    /// let log = AuditLog::new(MemoryStore::new(), AuditConfig::default());
    /// let acme = Scope::system(TenantId::new("acme")?);
    ///
    /// let mut tx = db.begin(&acme).await?;
    /// // … the change itself …
    /// log.record_in(&mut tx, AuditEvent::new("deal.updated")).await?;
    /// tx.commit().await?;
    ///
    /// assert_eq!(log.drain_outbox(&db, &acme, 1_000).await?.moved, 1);
    /// assert_eq!(log.head(&acme).await?.size, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the event is none the log takes, or the database or the store of keys failed.
    pub async fn record_in(&self, tx: &mut TenantTx, event: AuditEvent) -> Result<Pending, Error> {
        let scope = tx.scope().clone();
        let (draft, risk) = self.prepare(&scope, event).await?;
        self.record_draft_in(tx, &draft).await?;
        Ok(Pending { id: draft.id, risk })
    }

    /// The same with an event that was [prepared](Self::prepare) before, for the same tenant.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn record_draft_in(&self, tx: &mut TenantTx, draft: &Draft) -> Result<(), Error> {
        let tenant = tx.scope().tenant().clone();
        let (terms, blind) = wire::written(draft);
        tx.execute(
            "INSERT INTO guardian_audit_outbox (tenant_id, event_id, occurred, body, terms, blind) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![tenant, draft.id, draft.occurred, draft.body, terms, blind],
        )
        .await?;
        Ok(())
    }

    /// Moves waiting events of the scope's tenant into the log, at most `limit` and at least one, in the order in which
    /// they were recorded.
    ///
    /// They are appended first and struck off then. A crash in between leaves events in both, and the next call finds the
    /// log to have them already, by their ids; so do two calls at once. Events of transactions that ran side by side on
    /// PostgreSQL may come in another order than they were written in: one that commits late is moved late.
    ///
    /// # Errors
    /// When the database or the log's store failed: what was not struck off waits for the next call.
    pub async fn drain_outbox(&self, db: &Database, scope: &Scope, limit: u32) -> Result<Drained, Error> {
        let limit = limit.max(1);
        let mut tx = db.begin_read(scope).await?;
        let rows = tx
            .fetch_all(
                "SELECT id, event_id, occurred, body, terms, blind FROM guardian_audit_outbox \
                 WHERE tenant_id = $1 ORDER BY id LIMIT $2",
                params![scope.tenant(), limit],
            )
            .await?;
        tx.commit().await?;
        if rows.is_empty() {
            return Ok(Drained::default());
        }
        let waiting = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let (ids, drafts): (Vec<i64>, Vec<Draft>) = waiting.into_iter().unzip();
        let placed = self.store().append(&[Batch::new(scope, &drafts)], self.config().now()).await?;
        let placed: Vec<_> = placed.into_iter().flatten().collect();
        if placed.len() != drafts.len() {
            return Err(crate::log::lost());
        }
        let strike = || strike(db, scope, &ids);
        retry(&Retry::default(), strike).await?;
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Ok(Drained {
            moved: number(placed.len()),
            duplicates: number(placed.iter().filter(|one| one.duplicate).count()),
            more: u32::try_from(ids.len()).is_ok_and(|count| count >= limit),
        })
    }
}

fn read(row: &Row) -> Result<(i64, Draft), StoreError> {
    let (terms, blind) = (row.get::<&str>("terms")?, row.get::<&str>("blind")?);
    let draft = wire::draft(row.get("event_id")?, row.get("occurred")?, row.get("body")?, terms, blind);
    Ok((row.get("id")?, draft))
}

async fn strike(db: &Database, scope: &Scope, ids: &[i64]) -> Result<(), StoreError> {
    let mut tx = db.begin(scope).await?;
    // In one order for all, so that no two wait for each other in a circle.
    for ids in ids.chunks(500) {
        let mut sql = Sql::builder("DELETE FROM guardian_audit_outbox WHERE tenant_id = ");
        let sql = sql.placeholder().push(" AND id IN (").placeholders(ids.len()).push(")").finish();
        let given: Vec<_> =
            std::iter::once(scope.tenant().to_param()).chain(ids.iter().map(ToParam::to_param)).collect();
        tx.execute(sql, &given).await?;
    }
    tx.commit().await
}
