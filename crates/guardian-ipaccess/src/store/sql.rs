use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Scope, StoreError, StoreErrorKind};
use guardian_sql::{Database, Error, Migration, Migrations, params};
use serde_json::Value;

use super::{AccessStore, Stored};

/// The table of policies: `guardian_ipaccess`.
pub const MIGRATIONS: Migrations = Migrations::new(
    "guardian_ipaccess",
    &[Migration::new(
        1,
        "policies",
        include_str!("../../migrations/0001_policies.sqlite.sql"),
        include_str!("../../migrations/0001_policies.postgres.sql"),
    )],
);

/// Policies in SQLite or Postgres, a document a tenant, each in its tenant's scope.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use guardian_ipaccess::{IpAccess, SqlStore};
/// use guardian_sql::Database;
///
/// let db = Database::open("sqlite::memory:").await?;
/// let access = IpAccess::new(SqlStore::open(db).await?);
/// # let _ = access;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SqlStore {
    db: Database,
}

impl SqlStore {
    /// The policies of this database, whose table is made or brought up to date.
    ///
    /// # Errors
    /// When the migration fails, or the table is newer than this code.
    pub async fn open(db: Database) -> Result<Self, Error> {
        db.migrate(&MIGRATIONS).await?;
        Ok(Self::new(db))
    }

    /// The policies of a database whose table exists: where another role migrates, with [`MIGRATIONS`].
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    fn corrupt(&self, error: serde_json::Error) -> StoreError {
        StoreError::new(StoreErrorKind::Corrupt, self.db.dialect().name()).with_source(error)
    }
}

#[async_trait]
impl AccessStore for SqlStore {
    async fn load(&self, scope: &Scope) -> Result<Option<(i64, Arc<Stored>)>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT revision, document FROM guardian_ipaccess WHERE tenant_id = $1";
        let row = tx.fetch_optional(sql, params![scope.tenant()]).await?;
        tx.commit().await?;
        let Some(row) = row else { return Ok(None) };
        let document: Value = row.get("document")?;
        let stored: Stored = serde_json::from_value(document).map_err(|error| self.corrupt(error))?;
        Ok(Some((row.get("revision")?, Arc::new(stored))))
    }

    async fn revision(&self, scope: &Scope) -> Result<i64, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let sql = "SELECT revision FROM guardian_ipaccess WHERE tenant_id = $1";
        let row = tx.fetch_optional(sql, params![scope.tenant()]).await?;
        tx.commit().await?;
        row.map_or(Ok(0), |row| row.get("revision"))
    }

    async fn save(&self, scope: &Scope, expected: i64, stored: Arc<Stored>) -> Result<bool, StoreError> {
        let document = serde_json::to_value(&*stored).map_err(|error| self.corrupt(error))?;
        let mut tx = self.db.begin(scope).await?;
        let changed = if expected == 0 {
            let sql = "INSERT INTO guardian_ipaccess (tenant_id, revision, document) VALUES ($1, 1, $2) \
                       ON CONFLICT (tenant_id) DO NOTHING";
            tx.execute(sql, params![scope.tenant(), document]).await?
        } else {
            let sql = "UPDATE guardian_ipaccess SET revision = revision + 1, document = $3 \
                       WHERE tenant_id = $1 AND revision = $2";
            tx.execute(sql, params![scope.tenant(), expected, document]).await?
        };
        tx.commit().await?;
        Ok(changed == 1)
    }
}
