use async_trait::async_trait;
use guardian_core::{Scope, StoreError, StoreErrorKind};
use guardian_sql::{Database, Dialect, Error, Migration, Migrations, Row, TenantTx, params};

use super::{Anchor, Anchored, fault, own, read};
use crate::checkpoint::SealedCheckpoint;

/// The table of anchors, `guardian_audit_anchors`.
pub const MIGRATIONS: Migrations = Migrations::new(
    "guardian_audit_anchors",
    &[Migration::new(
        1,
        "anchors",
        include_str!("../../migrations/1001_anchors.sqlite.sql"),
        include_str!("../../migrations/1001_anchors.postgres.sql"),
    )],
);

/// Keeps every checkpoint in a table of a database, which should be another one than the log's, with another owner.
///
/// Rows are inserted and never changed: on Postgres no policy lets the application update or delete them, on SQLite
/// triggers refuse it. Both stop mistakes; who owns the table can drop it.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use guardian_audit::anchor::{Anchor, SqlAnchor};
/// use guardian_core::{Scope, TenantId};
/// use guardian_sql::Database;
///
/// let anchor = SqlAnchor::open(Database::open("sqlite::memory:").await?).await?;
/// assert_eq!(anchor.latest(&Scope::system(TenantId::new("acme")?)).await?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SqlAnchor {
    db: Database,
}

impl SqlAnchor {
    /// The anchors of this database, whose table is made or brought up to date.
    ///
    /// # Errors
    /// When the migration fails, or the table is newer than this code.
    pub async fn open(db: Database) -> Result<Self, Error> {
        db.migrate(&MIGRATIONS).await?;
        Ok(Self::new(db))
    }

    /// The anchors of a database whose table exists: where another role migrates, with [`MIGRATIONS`].
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    fn backend(&self) -> &'static str {
        self.db.dialect().name()
    }

    async fn last(&self, tx: &mut TenantTx, scope: &Scope) -> Result<Option<SealedCheckpoint>, StoreError> {
        let row = tx
            .fetch_optional(
                "SELECT note FROM guardian_audit_anchors WHERE tenant_id = $1 ORDER BY size DESC, id DESC LIMIT 1",
                params![scope.tenant()],
            )
            .await?;
        row.map(|row: Row| read(scope, row.get::<&str>("note")?, self.backend())).transpose()
    }
}

#[async_trait]
impl Anchor for SqlAnchor {
    fn name(&self) -> &str {
        match self.db.dialect() {
            Dialect::Sqlite => "table guardian_audit_anchors, SQLite",
            Dialect::Postgres => "table guardian_audit_anchors, Postgres",
        }
    }

    async fn publish(&self, scope: &Scope, checkpoint: &SealedCheckpoint) -> Result<Anchored, StoreError> {
        own(scope, checkpoint, self.backend())?;
        let is = checkpoint.checkpoint();
        let Ok(size) = i64::try_from(is.size()) else {
            return Err(fault(
                StoreErrorKind::Unsupported,
                self.backend(),
                "a log of more than 2⁶³ − 1 events",
            ));
        };
        let mut tx = self.db.begin(scope).await?;
        if tx.dialect() == Dialect::Postgres {
            // One process at a time decides about a tenant; SQLite has one writer anyway.
            tx.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('guardian_audit_anchors:' || $1, 0))",
                params![scope.tenant()],
            )
            .await?;
        }
        if let Some(known) = Anchored::judge(self.last(&mut tx, scope).await?.as_ref(), checkpoint) {
            tx.rollback().await?;
            return Ok(known);
        }
        tx.execute(
            "INSERT INTO guardian_audit_anchors (tenant_id, id, size, made, note) \
             SELECT $1, COALESCE(MAX(id), 0) + 1, $2, $3, $4 FROM guardian_audit_anchors WHERE tenant_id = $1",
            params![scope.tenant(), size, is.time(), checkpoint.note()],
        )
        .await?;
        tx.commit().await?;
        Ok(Anchored::Kept)
    }

    async fn latest(&self, scope: &Scope) -> Result<Option<SealedCheckpoint>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let last = self.last(&mut tx, scope).await?;
        tx.commit().await?;
        Ok(last)
    }
}
