use std::collections::HashMap;

use async_trait::async_trait;
use guardian_core::{Scope, StoreError, StoreErrorKind};
use guardian_sql::{
    Database, Dialect, Error, Migration, Migrations, Retry, Row, Sql, TenantTx, ToParam, params, retry,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{KeyStore, SubjectKey, owner};

/// Keys in a table of a SQL database, for services of several processes.
///
/// The keys stand there in the clear: keep them in another database than the log, with another owner and backups of
/// their own, or whoever steals one file has both. Subjects are kept as hashes.
///
/// # What is left of a destroyed key
/// `destroy` deletes the row, and from then on no query gives the key. The bytes go later:
/// - SQLite: the row is overwritten before it is deleted. The page before that is in the write-ahead log until the log is
///   reset, which a checkpoint with nobody reading does, and the bytes of a log that was reset stay until they are written
///   over. Copies of the file have it.
/// - PostgreSQL: the dead row stays in its page until `VACUUM`, the write-ahead log has the insertion until its segment is
///   recycled, and archives of it and replicas that lag have it longer.
/// - Backups have every key that they were made with.
///
/// So a promise to erase within some days needs vacuums, archives and backups that are shorter than that.
///
/// # Within a transaction of the caller's
/// Calls begin their own transactions. On SQLite one that writes waits for the caller's transaction on the same file to
/// end: [prepare](crate::AuditLog::prepare) events before it begins.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use guardian_audit::keys::{KeyStore, SqlKeys};
/// use guardian_core::{Scope, TenantId};
/// use guardian_sql::Database;
///
/// let keys = SqlKeys::open(Database::open("sqlite::memory:").await?).await?;
/// let acme = Scope::system(TenantId::new("acme")?);
/// let key = keys.key_of(&acme, "user:u_17").await?;
/// assert_eq!(keys.key_of(&acme, "user:u_17").await?.id, key.id);
/// assert!(keys.destroy(&acme, "user:u_17").await?);
/// assert!(keys.keys(&acme, &[key.id]).await?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SqlKeys {
    db: Database,
    retry: Retry,
}

const FIND: &str = "SELECT key_id, secret FROM guardian_audit_keys WHERE tenant_id = $1 AND owner = $2";

impl SqlKeys {
    /// The table of keys, `guardian_audit_keys`.
    pub const MIGRATIONS: Migrations = Migrations::new(
        "guardian_audit_keys",
        &[Migration::new(
            1,
            "keys",
            include_str!("../../migrations/3001_keys.sqlite.sql"),
            include_str!("../../migrations/3001_keys.postgres.sql"),
        )],
    );

    /// The keys of this database, whose table is made or brought up to date.
    ///
    /// # Errors
    /// When the migration fails, or the table is newer than this code.
    pub async fn open(db: Database) -> Result<Self, Error> {
        db.migrate(&Self::MIGRATIONS).await?;
        Ok(Self::new(&db))
    }

    /// The keys of a database whose table exists: where another role migrates, with [`Self::MIGRATIONS`].
    #[must_use]
    pub fn new(db: &Database) -> Self {
        Self { db: db.clone(), retry: Retry::default() }
    }
}

fn key(row: &Row) -> Result<SubjectKey, StoreError> {
    let secret = Zeroizing::new(row.get::<[u8; 32]>("secret")?);
    Ok(SubjectKey { id: row.get("key_id")?, secret })
}

async fn find(tx: &mut TenantTx, scope: &Scope, owner: &str) -> Result<Option<SubjectKey>, StoreError> {
    tx.fetch_optional(FIND, params![scope.tenant(), owner]).await?.as_ref().map(key).transpose()
}

#[async_trait]
impl KeyStore for SqlKeys {
    async fn key_of(&self, scope: &Scope, subject: &str) -> Result<SubjectKey, StoreError> {
        let owner = owner(scope.tenant(), subject);
        let mut tx = self.db.begin_read(scope).await?;
        let found = find(&mut tx, scope, &owner).await?;
        tx.commit().await?;
        if let Some(key) = found {
            return Ok(key);
        }
        let new = SubjectKey::generate()?;
        let make = || async {
            let mut tx = self.db.begin(scope).await?;
            // Who comes second waits here for the first, and takes its key.
            tx.execute(
                "INSERT INTO guardian_audit_keys (tenant_id, owner, key_id, secret) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (tenant_id, owner) DO NOTHING",
                params![scope.tenant(), owner, new.id, new.secret.as_slice()],
            )
            .await?;
            let found = find(&mut tx, scope, &owner).await?;
            tx.commit().await?;
            // It was there, and somebody destroyed it in between: once more, then.
            found.ok_or_else(|| StoreError::new(StoreErrorKind::Conflict, self.db.dialect().name()))
        };
        retry(&self.retry, make).await
    }

    async fn keys(&self, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, SubjectKey>, StoreError> {
        let mut keys = HashMap::new();
        if ids.is_empty() {
            return Ok(keys);
        }
        let mut tx = self.db.begin_read(scope).await?;
        for ids in ids.chunks(500) {
            let mut sql = Sql::builder("SELECT key_id, secret FROM guardian_audit_keys WHERE tenant_id = ");
            let sql = sql.placeholder().push(" AND key_id IN (").placeholders(ids.len()).push(")").finish();
            let given: Vec<_> =
                std::iter::once(scope.tenant().to_param()).chain(ids.iter().map(ToParam::to_param)).collect();
            for row in tx.fetch_all(sql, &given).await? {
                let key = key(&row)?;
                keys.insert(key.id, key);
            }
        }
        tx.commit().await?;
        Ok(keys)
    }

    async fn destroy(&self, scope: &Scope, subject: &str) -> Result<bool, StoreError> {
        let owner = owner(scope.tenant(), subject);
        let work = || async {
            let mut tx = self.db.begin(scope).await?;
            if tx.dialect() == Dialect::Sqlite {
                // A deleted row's bytes stay in its page until they are needed. On PostgreSQL an update would be one more
                // copy.
                tx.execute(
                    "UPDATE guardian_audit_keys SET secret = zeroblob(32) WHERE tenant_id = $1 AND owner = $2",
                    params![scope.tenant(), owner],
                )
                .await?;
            }
            let destroyed = tx
                .execute(
                    "DELETE FROM guardian_audit_keys WHERE tenant_id = $1 AND owner = $2",
                    params![scope.tenant(), owner],
                )
                .await?;
            tx.commit().await?;
            Ok::<_, StoreError>(destroyed > 0)
        };
        retry(&self.retry, work).await
    }
}
