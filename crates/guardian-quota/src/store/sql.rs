//! Accounts and ledgers in a SQL database: SQLite or PostgreSQL.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use guardian_sql::{Database, Error as SqlError, Migration, Migrations, Unscoped, params};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use super::{AccountState, Book, Executed, QuotaStore};
use crate::account::Account;
use crate::call::Call;
use crate::entry::Entry;
use crate::subscription::Subscription;
use crate::{Error, FeatureName};

mod apply;
mod lane;

use apply::{Answer, Work};
use lane::{Key, Lane};

/// Everything in SQLite or PostgreSQL.
///
/// A decision takes one round trip to PostgreSQL. The store decides on the accounts as it saw them last, by the same function
/// as in memory, and the statement that keeps the decision finds out whether they are still that; if another process was
/// faster it learns how they are and decides again. So no decision rests on anything but the state that it changes. Calls on
/// one meter of a tenant that come while another is on its way travel together, in one statement, up to 64 of them.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use guardian_core::{Scope, TenantId};
/// use guardian_quota::store::sql::SqlStore;
/// use guardian_sql::Database;
///
/// let operator = Scope::system(TenantId::new("operator")?);
/// let store = SqlStore::open(Database::open("sqlite::memory:").await?, &operator).await?;
/// # let _ = store;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Who waits for whom
/// Calls on one meter of a tenant take turns, whatever their subjects, because what the organisation has left is one number;
/// others do not meet. On SQLite all calls that write take turns.
///
/// # When the database is away
/// Calls fail with an error of the store, and whether the last one happened is not known: give calls a key and repeat them.
/// Dropping a call's future leaves a charge that is whole or absent.
#[derive(Clone)]
pub struct SqlStore {
    inner: Arc<Inner>,
}

struct Inner {
    db: Database,
    unscoped: Unscoped,
    lanes: Box<[Lanes]>,
}

type Lanes = Mutex<HashMap<Key, Arc<Lane>>>;

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("db", &self.inner.db).finish_non_exhaustive()
    }
}

const SHARDS: usize = 16;

impl SqlStore {
    /// The tables and, on PostgreSQL, the function that keeps decisions.
    pub const MIGRATIONS: Migrations = Migrations::new(
        "guardian_quota",
        &[
            Migration::new(
                1,
                "tables",
                include_str!("../../migrations/0001_tables.sqlite.sql"),
                include_str!("../../migrations/0001_tables.postgres.sql"),
            ),
            Migration::new(2, "functions", "", include_str!("../../migrations/0002_functions.postgres.sql")),
        ],
    );

    /// The quotas of this database, whose tables are made or brought up to date. The operator is who relays act for where
    /// they go across tenants.
    ///
    /// # Errors
    /// When the migration fails, or the tables are newer than this code.
    pub async fn open(db: Database, operator: &Scope) -> Result<Self, SqlError> {
        db.migrate(&Self::MIGRATIONS).await?;
        Self::new(db, operator)
    }

    /// The quotas of a database whose tables exist: where another role migrates, with [`Self::MIGRATIONS`].
    ///
    /// # Errors
    /// None with the reason that it gives; the type is the reason's.
    pub fn new(db: Database, operator: &Scope) -> Result<Self, SqlError> {
        let unscoped = Unscoped::new(operator.clone(), "relays look for the ledgers of all tenants")?;
        let lanes = std::iter::repeat_with(|| Mutex::new(HashMap::new())).take(SHARDS).collect();
        Ok(Self { inner: Arc::new(Inner { db, unscoped, lanes }) })
    }
}

impl Inner {
    fn backend(&self) -> &'static str {
        self.db.dialect().name()
    }

    fn corrupt(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
        StoreError::new(StoreErrorKind::Corrupt, self.backend()).with_source(error)
    }

    fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|error| self.corrupt(error))
    }

    fn write(&self, value: &impl serde::Serialize) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|error| self.corrupt(error))
    }

    fn number(&self, number: i64) -> Result<u64, StoreError> {
        u64::try_from(number).map_err(|error| self.corrupt(error))
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl QuotaStore for SqlStore {
    async fn execute(&self, call: &Call) -> Result<Executed, Error> {
        lane::execute(&self.inner, call).await
    }

    async fn accounts(&self, call: &Call) -> Result<Option<Vec<AccountState>>, StoreError> {
        let mut work = Work::looking(call.terms.revision);
        let rungs = call.rungs();
        let mut paths = Vec::with_capacity(rungs.len());
        for rung in &rungs {
            let path =
                call.subject.at(rung.level).map(|subject| subject.path().to_owned()).unwrap_or_default();
            work.subjects.insert(path.clone(), rung.digest);
            paths.push(path);
        }
        match self.inner.apply(&call.scope, &call.terms.feature, &work).await? {
            Answer::Accounts(mut found) => {
                let state = |path: &String| {
                    AccountState(found.remove(path).map(|(_, account)| account).unwrap_or_default())
                };
                Ok(Some(paths.iter().map(state).collect()))
            }
            Answer::Stale => Ok(None),
            Answer::Kept | Answer::Entries(_) => {
                Err(StoreError::new(StoreErrorKind::Internal, self.inner.backend()))
            }
        }
    }

    async fn entries(
        &self,
        scope: &Scope,
        feature: &FeatureName,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut tx = self.inner.db.begin_read(scope).await?;
        let sql = "SELECT document FROM guardian_quota_entries WHERE tenant_id = $1 AND feature = $2 AND seq > $3 \
                   ORDER BY seq LIMIT $4";
        let rows = tx
            .fetch_all(sql, params![scope.tenant(), feature.as_str(), signed(after), i64::from(limit)])
            .await?;
        tx.commit().await?;
        rows.iter().map(|row| self.inner.read(row.get::<&str>("document")?)).collect()
    }

    async fn subscription(&self, scope: &Scope) -> Result<Option<Subscription>, StoreError> {
        let mut tx = self.inner.db.begin_read(scope).await?;
        let sql = "SELECT document FROM guardian_quota_subscriptions WHERE tenant_id = $1";
        let row = tx.fetch_optional(sql, params![scope.tenant()]).await?;
        tx.commit().await?;
        row.map(|row| self.inner.read(row.get::<&str>("document")?)).transpose()
    }

    async fn subscribe(&self, scope: &Scope, subscription: &Subscription) -> Result<bool, StoreError> {
        let document = self.inner.write(subscription)?;
        let revision = signed(subscription.revision);
        let mut tx = self.inner.db.begin(scope).await?;
        let sql = if revision == 1 {
            "INSERT INTO guardian_quota_subscriptions (tenant_id, revision, document) VALUES ($1, $2, $3) \
             ON CONFLICT (tenant_id) DO NOTHING"
        } else {
            "UPDATE guardian_quota_subscriptions SET revision = $2, document = $3 WHERE tenant_id = $1 AND revision = $2 - 1"
        };
        let changed = tx.execute(sql, params![scope.tenant(), revision, document]).await?;
        tx.commit().await?;
        Ok(changed > 0)
    }

    async fn unsent(&self, after: Option<&Book>, limit: u32) -> Result<Vec<Book>, StoreError> {
        let (tenant, feature) = after.map_or(("", ""), |book| (book.tenant.as_str(), book.feature.as_str()));
        let mut tx = self.inner.db.begin_unscoped(&self.inner.unscoped).await?;
        let sql = "SELECT a.tenant_id AS tenant_id, a.feature AS feature, a.version AS version, COALESCE(r.sent, 0) AS sent \
                   FROM guardian_quota_accounts a LEFT JOIN guardian_quota_relays r \
                   ON r.tenant_id = a.tenant_id AND r.feature = a.feature \
                   WHERE a.subject = '' AND a.version > COALESCE(r.sent, 0) AND (a.tenant_id, a.feature) > ($1, $2) \
                   ORDER BY a.tenant_id, a.feature LIMIT $3";
        let rows = tx.fetch_all(sql, params![tenant, feature, i64::from(limit)]).await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| {
                Ok(Book {
                    tenant: row.get("tenant_id")?,
                    feature: FeatureName::new(row.get::<&str>("feature")?)
                        .map_err(|error| self.inner.corrupt(error))?,
                    last: self.inner.number(row.get("version")?)?,
                    sent: self.inner.number(row.get("sent")?)?,
                })
            })
            .collect()
    }

    async fn relayed(&self, scope: &Scope, feature: &FeatureName) -> Result<u64, StoreError> {
        let mut tx = self.inner.db.begin_read(scope).await?;
        let sql = "SELECT sent FROM guardian_quota_relays WHERE tenant_id = $1 AND feature = $2";
        let row = tx.fetch_optional(sql, params![scope.tenant(), feature.as_str()]).await?;
        tx.commit().await?;
        row.map_or(Ok(0), |row| self.inner.number(row.get("sent")?))
    }

    async fn claim(
        &self,
        tenant: &TenantId,
        feature: &FeatureName,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<(u64, i64)>, StoreError> {
        let mut tx = self.inner.db.begin(&Scope::system(tenant.clone())).await?;
        let sql = "INSERT INTO guardian_quota_relays (tenant_id, feature, sent, fence, held) VALUES ($1, $2, 0, 1, $4) \
                   ON CONFLICT (tenant_id, feature) DO UPDATE SET fence = guardian_quota_relays.fence + 1, held = $4 \
                   WHERE guardian_quota_relays.held IS NULL OR guardian_quota_relays.held <= $3 RETURNING sent, fence";
        let row = tx.fetch_optional(sql, params![tenant, feature.as_str(), now, until]).await?;
        tx.commit().await?;
        row.map(|row| Ok((self.inner.number(row.get("sent")?)?, row.get("fence")?))).transpose()
    }

    async fn advance(
        &self,
        tenant: &TenantId,
        feature: &FeatureName,
        fence: i64,
        sent: u64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.inner.db.begin(&Scope::system(tenant.clone())).await?;
        let sql = "UPDATE guardian_quota_relays SET held = NULL, sent = CASE WHEN sent < $4 THEN $4 ELSE sent END \
                   WHERE tenant_id = $1 AND feature = $2 AND fence = $3 AND held IS NOT NULL";
        let changed = tx.execute(sql, params![tenant, feature.as_str(), fence, signed(sent)]).await?;
        tx.commit().await?;
        Ok(changed > 0)
    }
}

/// Accounts by the path of their subject, with their version.
type Found = BTreeMap<String, (u64, Account)>;
