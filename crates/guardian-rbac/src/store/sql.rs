use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::DateTime;
#[cfg(feature = "postgres")]
use guardian_core::TenantId;
use guardian_core::{Event, Scope, StoreError, StoreErrorKind, Timestamp};
use guardian_sql::{Database, Error, Insert, Migration, Migrations, Param, Row, TenantTx, ToParam, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::{Committed, MAX_NEWS, News, PolicyStore};
use crate::{Change, GrantId, Item, Key, Revision};

/// The tables of policies: `guardian_rbac_heads`, `_items`, `_log`, `_events` and `_uses`.
pub const MIGRATIONS: Migrations = Migrations::new(
    "guardian_rbac",
    &[Migration::new(
        1,
        "policies",
        include_str!("../../migrations/0001_policies.sqlite.sql"),
        include_str!("../../migrations/0001_policies.postgres.sql"),
    )],
);

const ITEMS: Insert<4> = Insert::into("guardian_rbac_items", ["tenant_id", "kind", "name", "document"])
    .on_conflict("(tenant_id, kind, name) DO UPDATE SET document = excluded.document");
const EVENTS: Insert<3> = Insert::into("guardian_rbac_events", ["tenant_id", "id", "event"]);
const USES: Insert<3> = Insert::into("guardian_rbac_uses", ["tenant_id", "grant_id", "used"]).on_conflict(
    "(tenant_id, grant_id) DO UPDATE SET used = excluded.used WHERE guardian_rbac_uses.used < excluded.used",
);

/// Policies in SQLite or Postgres, each transaction in its tenant's scope; on Postgres under row-level security.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use guardian_rbac::{Catalog, Rbac, SqlStore};
/// use guardian_sql::Database;
///
/// let db = Database::open("sqlite::memory:").await?;
/// let rbac = Rbac::new(Catalog::builder().permission("deal:read", "See deals").build()?, SqlStore::open(db).await?);
/// # let _ = rbac;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SqlStore {
    db: Database,
    #[cfg(feature = "postgres")]
    notices: Option<std::sync::Arc<guardian_sql::Notices>>,
}

/// Where commits are told.
const CHANNEL: &str = "guardian_rbac";

impl SqlStore {
    /// The policies of this database, whose tables are made or brought up to date.
    ///
    /// # Errors
    /// When the migration fails, or the tables are newer than this code.
    pub async fn open(db: Database) -> Result<Self, Error> {
        db.migrate(&MIGRATIONS).await?;
        Ok(Self::new(db))
    }

    /// The policies of a database whose tables exist: where another role migrates, with [`MIGRATIONS`].
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self {
            #[cfg(feature = "postgres")]
            notices: db.notices(CHANNEL).map(std::sync::Arc::new),
            db,
        }
    }

    fn corrupt(&self, error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
        StoreError::new(StoreErrorKind::Corrupt, self.db.dialect().name()).with_source(error)
    }

    fn read<T: DeserializeOwned>(&self, row: &Row, column: &str) -> Result<T, StoreError> {
        let document: Value = row.get(column)?;
        serde_json::from_value(document).map_err(|error| self.corrupt(error))
    }

    fn write(&self, value: &impl Serialize) -> Result<Value, StoreError> {
        serde_json::to_value(value).map_err(|error| self.corrupt(error))
    }

    async fn head(&self, tx: &mut TenantTx) -> Result<Revision, StoreError> {
        let tenant = tx.scope().tenant().clone();
        let sql = "SELECT revision FROM guardian_rbac_heads WHERE tenant_id = $1";
        let row = tx.fetch_optional(sql, params![tenant]).await?;
        Ok(Revision::new(row.map(|row| row.get("revision")).transpose()?.unwrap_or(0)))
    }

    /// Makes the head one above what was expected; whether it was there.
    async fn advance(tx: &mut TenantTx, expected: Revision) -> Result<bool, StoreError> {
        let tenant = tx.scope().tenant().clone();
        let next = expected.next().number();
        let changed = if expected == Revision::default() {
            let sql = "INSERT INTO guardian_rbac_heads (tenant_id, revision) VALUES ($1, $2) \
                       ON CONFLICT (tenant_id) DO NOTHING";
            tx.execute(sql, params![tenant, next]).await?
        } else {
            let sql = "UPDATE guardian_rbac_heads SET revision = $2 WHERE tenant_id = $1 AND revision = $3";
            tx.execute(sql, params![tenant, next, expected.number()]).await?
        };
        Ok(changed == 1)
    }

    /// Writes what is put, in runs, between what is removed.
    async fn apply(&self, tx: &mut TenantTx, changes: &[Change]) -> Result<(), StoreError> {
        let tenant = tx.scope().tenant().clone();
        let mut run: BTreeMap<Key, Value> = BTreeMap::new();
        for change in changes {
            match change {
                Change::Put(item) => {
                    run.insert(item.key(), self.write(item)?);
                }
                Change::Remove(key) => {
                    Self::flush(tx, std::mem::take(&mut run)).await?;
                    let sql =
                        "DELETE FROM guardian_rbac_items WHERE tenant_id = $1 AND kind = $2 AND name = $3";
                    tx.execute(sql, params![tenant, key.kind(), key.name()]).await?;
                    if let Key::Grant(grant) = key {
                        let sql = "DELETE FROM guardian_rbac_uses WHERE tenant_id = $1 AND grant_id = $2";
                        tx.execute(sql, params![tenant, grant.uuid()]).await?;
                    }
                }
            }
        }
        Self::flush(tx, run).await
    }

    async fn flush(tx: &mut TenantTx, run: BTreeMap<Key, Value>) -> Result<(), StoreError> {
        if run.is_empty() {
            return Ok(());
        }
        let tenant = tx.scope().tenant().clone();
        let rows: Vec<(&str, String, Value)> =
            run.into_iter().map(|(key, document)| (key.kind(), key.name(), document)).collect();
        // Not lazily: what the iterator borrows would have to live for any time.
        let rows: Vec<[Param<'_>; 4]> = rows
            .iter()
            .map(|(kind, name, document)| {
                [tenant.to_param(), kind.to_param(), name.to_param(), document.to_param()]
            })
            .collect();
        tx.insert_many(&ITEMS, rows).await.map(drop)
    }
}

#[async_trait]
impl PolicyStore for SqlStore {
    async fn load(&self, scope: &Scope) -> Result<(Revision, Vec<Item>), StoreError> {
        // Both statements must see the same commit.
        let mut tx = self.db.begin_serializable(scope).await?;
        let revision = self.head(&mut tx).await?;
        let sql = "SELECT document FROM guardian_rbac_items WHERE tenant_id = $1";
        let rows = tx.fetch_all(sql, params![scope.tenant()]).await?;
        tx.commit().await?;
        let items = rows.iter().map(|row| self.read(row, "document")).collect::<Result<_, _>>()?;
        Ok((revision, items))
    }

    async fn commit(
        &self,
        scope: &Scope,
        expected: Revision,
        changes: &[Change],
        events: &[Event],
    ) -> Result<Committed, StoreError> {
        let log = self.write(&changes)?;
        let events: Vec<(Uuid, Value)> = events
            .iter()
            .map(|event| Ok((event.id, self.write(event)?)))
            .collect::<Result<_, StoreError>>()?;
        let tenant = scope.tenant();
        let mut tx = self.db.begin(scope).await?;
        if !Self::advance(&mut tx, expected).await? {
            let found = self.head(&mut tx).await?;
            tx.rollback().await?;
            return Ok(Committed::Conflict(found));
        }
        self.apply(&mut tx, changes).await?;
        let revision = expected.next();
        let sql = "INSERT INTO guardian_rbac_log (tenant_id, revision, changes) VALUES ($1, $2, $3)";
        tx.execute(sql, params![tenant, revision.number(), log]).await?;
        if !events.is_empty() {
            let rows: Vec<[Param<'_>; 3]> = events
                .iter()
                .map(|(id, event)| [tenant.to_param(), id.to_param(), event.to_param()])
                .collect();
            tx.insert_many(&EVENTS, rows).await?;
        }
        tx.notify(CHANNEL, tenant.as_str()).await?;
        tx.commit().await?;
        Ok(Committed::Done(revision))
    }

    async fn since(&self, scope: &Scope, after: Revision) -> Result<News, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let head = self.head(&mut tx).await?;
        if after >= head {
            tx.commit().await?;
            return Ok(if after == head { News::Changes(Vec::new()) } else { News::Reload });
        }
        let sql = "SELECT revision, changes FROM guardian_rbac_log WHERE tenant_id = $1 AND revision > $2 \
                   ORDER BY revision LIMIT $3";
        let most = i64::try_from(MAX_NEWS + 1).unwrap_or(i64::MAX);
        let rows = tx.fetch_all(sql, params![scope.tenant(), after.number(), most]).await?;
        tx.commit().await?;
        let news: Vec<(Revision, Vec<Change>)> = rows
            .iter()
            .map(|row| Ok((Revision::new(row.get("revision")?), self.read(row, "changes")?)))
            .collect::<Result<_, StoreError>>()?;
        let complete =
            news.first().is_some_and(|(first, _)| *first == after.next()) && news.len() <= MAX_NEWS;
        Ok(if complete { News::Changes(news) } else { News::Reload })
    }

    async fn prune(&self, scope: &Scope, up_to: Revision) -> Result<(), StoreError> {
        let mut tx = self.db.begin(scope).await?;
        let sql = "DELETE FROM guardian_rbac_log WHERE tenant_id = $1 AND revision <= $2";
        tx.execute(sql, params![scope.tenant(), up_to.number()]).await?;
        tx.commit().await
    }

    async fn undelivered(&self, scope: &Scope, limit: u32) -> Result<Vec<Event>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT event FROM guardian_rbac_events WHERE tenant_id = $1 ORDER BY id LIMIT $2";
        let rows = tx.fetch_all(sql, params![scope.tenant(), limit]).await?;
        tx.commit().await?;
        rows.iter().map(|row| self.read(row, "event")).collect()
    }

    async fn delivered(&self, scope: &Scope, event: Uuid) -> Result<(), StoreError> {
        let mut tx = self.db.begin(scope).await?;
        let sql = "DELETE FROM guardian_rbac_events WHERE tenant_id = $1 AND id = $2";
        tx.execute(sql, params![scope.tenant(), event]).await?;
        tx.commit().await
    }

    async fn record_uses(&self, scope: &Scope, grants: &[GrantId], at: Timestamp) -> Result<(), StoreError> {
        // In one order, so that two that note the same do not wait for each other in a circle.
        let ids: std::collections::BTreeSet<Uuid> = grants.iter().map(|grant| grant.uuid()).collect();
        let (tenant, at) = (scope.tenant(), at.timestamp_micros());
        let mut tx = self.db.begin(scope).await?;
        let mut known = Vec::with_capacity(ids.len());
        for id in &ids {
            let sql =
                "SELECT 1 FROM guardian_rbac_items WHERE tenant_id = $1 AND kind = 'grant' AND name = $2";
            let name = id.hyphenated().to_string();
            if tx.fetch_optional(sql, params![tenant, name]).await?.is_some() {
                known.push(*id);
            }
        }
        if !known.is_empty() {
            let rows: Vec<[Param<'_>; 3]> =
                known.iter().map(|id| [tenant.to_param(), id.to_param(), Param::Integer(at)]).collect();
            tx.insert_many(&USES, rows).await?;
        }
        tx.commit().await
    }

    async fn uses(&self, scope: &Scope) -> Result<BTreeMap<GrantId, Timestamp>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT grant_id, used FROM guardian_rbac_uses WHERE tenant_id = $1";
        let rows = tx.fetch_all(sql, params![scope.tenant()]).await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| {
                let used = DateTime::from_timestamp_micros(row.get("used")?).unwrap_or_default();
                Ok((GrantId::new(row.get("grant_id")?), used))
            })
            .collect()
    }

    #[cfg(feature = "postgres")]
    async fn changed(&self) -> Result<Option<TenantId>, StoreError> {
        match &self.notices {
            // A name that is none is nobody's of ours.
            Some(notices) => Ok(notices.next().await?.and_then(|tenant| TenantId::new(tenant).ok())),
            None => std::future::pending().await,
        }
    }
}
