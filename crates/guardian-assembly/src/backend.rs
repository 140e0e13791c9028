//! Where everything is kept.

use std::fmt;
use std::sync::Arc;

use guardian_audit::store::AuditStore;
use guardian_ipaccess::AccessStore;
use guardian_quota::store::QuotaStore;
use guardian_rbac::store::PolicyStore;
use guardian_sentiment::store::SentimentStore;
use guardian_tenant::store::TenantStore;
use guardian_webhook::DeliveryStore;
use guardian_workflow::WorkflowStore;

use crate::rules::Rules;

/// Where an assembly keeps what it keeps: in [`Memory`], or in a database (`Sql`). The types of its stores follow from it, so
/// that what only a database can do, such as an event in the caller's own transaction, is there when there is one.
pub trait Backend: private::Sealed + fmt::Debug + Send + Sync + 'static {
    /// The audit log's store.
    type Audit: AuditStore + Clone;
    /// The store of rules about addresses.
    type Access: AccessStore;
    /// The store of quotas.
    type Quota: QuotaStore;
    /// The store of webhooks.
    type Webhook: DeliveryStore;
    /// The store of workflows.
    type Workflow: WorkflowStore + Clone;
}

/// Everything in the memory of this process, and gone with it: for tests, trials and demonstrations.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "it is the name of a choice and has no values")]
pub enum Memory {}

impl Backend for Memory {
    type Audit = Arc<guardian_audit::store::MemoryStore>;
    type Access = Arc<guardian_ipaccess::MemoryStore>;
    type Quota = Arc<guardian_quota::MemoryStore>;
    type Webhook = Arc<guardian_webhook::store::MemoryStore>;
    type Workflow = Arc<guardian_workflow::MemoryStore>;
}

/// Everything in one database, SQLite or PostgreSQL, and there again after a crash.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "it is the name of a choice and has no values")]
pub enum Sql {}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl Backend for Sql {
    type Audit = guardian_audit::store::SqlStore;
    type Access = guardian_ipaccess::SqlStore;
    type Quota = guardian_quota::SqlStore;
    type Webhook = guardian_webhook::store::SqlStore;
    type Workflow = guardian_workflow::SqlStore;
}

/// Nobody else has one.
pub(crate) mod private {
    use crate::spool::Spool;

    pub trait Sealed {
        /// Where events wait.
        type Spool: Spool;
    }

    impl Sealed for super::Memory {
        type Spool = crate::spool::AtOnce;
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    impl Sealed for super::Sql {
        type Spool = crate::outbox::Outbox;
    }
}

/// The stores of all parts.
pub(crate) struct Stores<B: Backend> {
    pub(crate) audit: B::Audit,
    pub(crate) access: B::Access,
    pub(crate) quota: B::Quota,
    pub(crate) webhook: B::Webhook,
    pub(crate) workflow: B::Workflow,
    pub(crate) roles: Arc<dyn PolicyStore>,
    pub(crate) sentiment: Arc<dyn SentimentStore>,
    pub(crate) tenants: Arc<dyn TenantStore>,
    pub(crate) rules: Arc<dyn Rules>,
    pub(crate) spool: B::Spool,
}

impl Stores<Memory> {
    pub(crate) fn in_memory() -> Self {
        Self {
            audit: Arc::default(),
            access: Arc::default(),
            quota: Arc::new(guardian_quota::MemoryStore::new()),
            webhook: Arc::default(),
            workflow: Arc::default(),
            roles: Arc::new(guardian_rbac::MemoryStore::new()),
            sentiment: Arc::new(guardian_sentiment::MemoryStore::new()),
            tenants: Arc::new(guardian_tenant::MemoryStore::new()),
            rules: Arc::new(crate::rules::Forgotten),
            spool: crate::spool::AtOnce,
        }
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl Stores<Sql> {
    /// The stores of a database, whose tables are made or brought up to date.
    pub(crate) async fn open(
        db: &guardian_sql::Database,
        operator: &guardian_core::Scope,
        (clock, ids): (Arc<dyn guardian_core::Clock>, Arc<dyn guardian_core::IdSource>),
    ) -> Result<Self, crate::Error> {
        db.migrate(&crate::outbox::MIGRATIONS).await?;
        guardian_audit::migrate_outbox(db).await?;
        Ok(Self {
            audit: guardian_audit::store::SqlStore::open(db.clone()).await?,
            access: guardian_ipaccess::SqlStore::open(db.clone()).await?,
            quota: guardian_quota::SqlStore::open(db.clone(), operator).await?,
            webhook: guardian_webhook::store::SqlStore::open(db.clone(), operator).await?,
            workflow: guardian_workflow::SqlStore::open(db.clone(), operator).await?,
            roles: Arc::new(guardian_rbac::SqlStore::open(db.clone()).await?),
            sentiment: Arc::new(guardian_sentiment::SqlStore::open(db.clone()).await?),
            tenants: Arc::new(guardian_tenant::SqlStore::open(db.clone()).await?),
            rules: Arc::new(crate::rules::SqlRules::new(db, operator, Arc::clone(&clock))?),
            spool: crate::outbox::Outbox::new(db, operator, clock, ids)?,
        })
    }
}
