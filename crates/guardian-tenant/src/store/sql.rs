use async_trait::async_trait;
use guardian_core::{Event, Page, PageRequest, Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use guardian_sql::{
    Database, Error, Migration, Migrations, Param, Row, Sql, ToParam as _, Tx, Unscoped, params,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::order::{By, Key, Place};
use super::{TenantFilter, TenantStore, Written};
use crate::{Platform, Tenant, Version};

/// The tables of the registry: `guardian_tenants` and `guardian_tenant_events`.
pub const MIGRATIONS: Migrations = Migrations::new(
    "guardian_tenant",
    &[Migration::new(
        1,
        "tenants",
        include_str!("../../migrations/0001_tenants.sqlite.sql"),
        include_str!("../../migrations/0001_tenants.postgres.sql"),
    )],
);

/// Tenants in SQLite or Postgres.
///
/// What the platform does runs in unscoped transactions with the platform's reason; on Postgres the policies of the two
/// tables let those through and nothing else writes. [`own`](TenantStore::own) runs in the tenant's scope.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use guardian_sql::Database;
/// use guardian_tenant::{Registry, SqlStore};
///
/// let db = Database::open("sqlite::memory:").await?;
/// let registry = Registry::new(SqlStore::open(db).await?);
/// # let _ = registry;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SqlStore {
    db: Database,
}

impl SqlStore {
    /// The tenants of this database, whose tables are made or brought up to date.
    ///
    /// # Errors
    /// When the migration fails, or the tables are newer than this code.
    pub async fn open(db: Database) -> Result<Self, Error> {
        db.migrate(&MIGRATIONS).await?;
        Ok(Self::new(db))
    }

    /// The tenants of a database whose tables exist: where another role migrates, with [`MIGRATIONS`].
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    async fn begin(&self, platform: &Platform) -> Result<Tx<Unscoped>, StoreError> {
        self.db.begin_unscoped(&platform.unscoped()?).await
    }

    fn corrupt(&self, error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
        StoreError::new(StoreErrorKind::Corrupt, self.db.dialect().name()).with_source(error)
    }

    fn read<T: DeserializeOwned>(&self, row: &Row, column: &str) -> Result<T, StoreError> {
        let document: Value = row.get(column)?;
        serde_json::from_value(document).map_err(|error| self.corrupt(error))
    }

    fn write(&self, value: &impl serde::Serialize) -> Result<Value, StoreError> {
        serde_json::to_value(value).map_err(|error| self.corrupt(error))
    }

    async fn note(&self, tx: &mut Tx<Unscoped>, event: &Event) -> Result<(), StoreError> {
        let document = self.write(event)?;
        tx.execute(
            "INSERT INTO guardian_tenant_events (tenant_id, id, event) VALUES ($1, $2, $3)",
            params![event.tenant, event.id, document],
        )
        .await?;
        Ok(())
    }
}

/// The statement of a list, and what it is given.
fn listing<'f>(filter: &'f TenantFilter, behind: Option<&'f Place>, most: &'f i64) -> (Sql, Vec<Param<'f>>) {
    let mut sql = Sql::builder("SELECT document FROM guardian_tenants WHERE TRUE");
    let mut params = Vec::new();
    let labels = [
        (" AND status = ", filter.status.as_deref()),
        (" AND plan = ", filter.plan.as_ref().map(crate::Plan::as_str)),
        (" AND region = ", filter.region.as_ref().map(crate::Region::as_str)),
    ];
    for (test, label) in labels {
        if let Some(label) = label {
            sql.push(test).placeholder();
            params.push(label.to_param());
        }
    }
    let (columns, is_descending) = (columns(filter.order.by), filter.order.is_descending);
    if let Some(Place { key, id }) = behind {
        sql.push(" AND (").push(columns.tuple).push(if is_descending { ") < (" } else { ") > (" });
        match key {
            Key::Id => {}
            Key::Name(name) => params.push(name.to_param()),
            Key::Created(micros) => params.push(micros.to_param()),
        }
        params.push(id.to_param());
        sql.placeholders(columns.count).push(")");
    }
    sql.push(" ORDER BY ").push(if is_descending { columns.descending } else { columns.tuple });
    sql.push(" LIMIT ").placeholder();
    params.push(most.to_param());
    (sql.finish(), params)
}

/// The columns of an order.
struct Columns {
    tuple: &'static str,
    descending: &'static str,
    count: usize,
}

fn columns(by: By) -> Columns {
    match by {
        By::Id => Columns { tuple: "tenant_id", descending: "tenant_id DESC", count: 1 },
        By::Name => Columns { tuple: "name, tenant_id", descending: "name DESC, tenant_id DESC", count: 2 },
        By::Created => {
            Columns { tuple: "created, tenant_id", descending: "created DESC, tenant_id DESC", count: 2 }
        }
    }
}

/// Microseconds since 1970, which both databases order alike.
fn micros(time: Timestamp) -> i64 {
    time.timestamp_micros()
}

#[async_trait]
impl TenantStore for SqlStore {
    async fn insert(
        &self,
        platform: &Platform,
        tenant: &Tenant,
        event: &Event,
    ) -> Result<Written, StoreError> {
        let document = self.write(tenant)?;
        let mut tx = self.begin(platform).await?;
        let inserted = tx
            .execute(
                "INSERT INTO guardian_tenants (tenant_id, status, plan, region, purge_after, version, document, name, created) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant_id) DO NOTHING",
                params![
                    tenant.id,
                    tenant.status.name(),
                    tenant.plan.as_str(),
                    tenant.region.as_str(),
                    tenant.status.purge_after().map(micros),
                    tenant.version.number(),
                    document,
                    tenant.name.as_str(),
                    micros(tenant.created)
                ],
            )
            .await?;
        if inserted == 0 {
            tx.rollback().await?;
            return Ok(Written::Exists);
        }
        self.note(&mut tx, event).await?;
        tx.commit().await?;
        Ok(Written::Done)
    }

    async fn replace(
        &self,
        platform: &Platform,
        tenant: &Tenant,
        expected: Version,
        event: &Event,
    ) -> Result<Written, StoreError> {
        let document = self.write(tenant)?;
        let mut tx = self.begin(platform).await?;
        let updated = tx
            .execute(
                "UPDATE guardian_tenants SET status = $3, plan = $4, region = $5, purge_after = $6, version = $7, \
                 document = $8, name = $9, created = $10 WHERE tenant_id = $1 AND version = $2",
                params![
                    tenant.id,
                    expected.number(),
                    tenant.status.name(),
                    tenant.plan.as_str(),
                    tenant.region.as_str(),
                    tenant.status.purge_after().map(micros),
                    tenant.version.number(),
                    document,
                    tenant.name.as_str(),
                    micros(tenant.created)
                ],
            )
            .await?;
        if updated == 0 {
            let found = tx
                .fetch_optional(
                    "SELECT version FROM guardian_tenants WHERE tenant_id = $1",
                    params![tenant.id],
                )
                .await?;
            let actual = found.map(|row| row.get::<i64>("version")).transpose()?;
            tx.rollback().await?;
            return Ok(actual.map_or(Written::Missing, |version| Written::Conflict(Version::new(version))));
        }
        self.note(&mut tx, event).await?;
        tx.commit().await?;
        Ok(Written::Done)
    }

    async fn get(&self, platform: &Platform, id: &TenantId) -> Result<Option<Tenant>, StoreError> {
        let mut tx = self.begin(platform).await?;
        let row = tx
            .fetch_optional("SELECT document FROM guardian_tenants WHERE tenant_id = $1", params![id])
            .await?;
        tx.commit().await?;
        row.map(|row| self.read(&row, "document")).transpose()
    }

    async fn own(&self, scope: &Scope) -> Result<Option<Tenant>, StoreError> {
        let mut tx = self.db.begin_read(scope).await?;
        let row = tx
            .fetch_optional(
                "SELECT document FROM guardian_tenants WHERE tenant_id = $1",
                params![scope.tenant()],
            )
            .await?;
        tx.commit().await?;
        row.map(|row| self.read(&row, "document")).transpose()
    }

    async fn list(
        &self,
        platform: &Platform,
        filter: &TenantFilter,
        page: &PageRequest,
    ) -> Result<Page<Tenant>, StoreError> {
        let behind = filter.order.behind(page, self.db.dialect().name())?;
        let mut tx = self.begin(platform).await?;
        // One more than the page holds tells whether there is another.
        let most = i64::from(page.size()) + 1;
        let (sql, params) = listing(filter, behind.as_ref(), &most);
        let rows = tx.fetch_all(sql, &params).await?;
        tx.commit().await?;
        let tenants: Result<_, _> = rows.iter().map(|row| self.read(row, "document")).collect();
        Ok(filter.order.page(tenants?, page))
    }

    async fn due(&self, platform: &Platform, now: Timestamp, limit: u32) -> Result<Vec<Tenant>, StoreError> {
        let mut tx = self.begin(platform).await?;
        let rows = tx
            .fetch_all(
                "SELECT document FROM guardian_tenants WHERE purge_after IS NOT NULL AND purge_after <= $1 \
                 ORDER BY purge_after, tenant_id LIMIT $2",
                params![micros(now), i64::from(limit)],
            )
            .await?;
        tx.commit().await?;
        rows.iter().map(|row| self.read(row, "document")).collect()
    }

    async fn undelivered(&self, platform: &Platform, limit: u32) -> Result<Vec<Event>, StoreError> {
        let mut tx = self.begin(platform).await?;
        let rows = tx
            .fetch_all(
                "SELECT event FROM guardian_tenant_events ORDER BY id LIMIT $1",
                params![i64::from(limit)],
            )
            .await?;
        tx.commit().await?;
        rows.iter().map(|row| self.read(row, "event")).collect()
    }

    async fn delivered(&self, platform: &Platform, event: Uuid) -> Result<(), StoreError> {
        let mut tx = self.begin(platform).await?;
        tx.execute("DELETE FROM guardian_tenant_events WHERE id = $1", params![event]).await?;
        tx.commit().await
    }
}
