//! Where the registry's tenants live: the contract that every store keeps, and the stores that come with the crate.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Event, Page, PageRequest, Scope, StoreError, TenantId, Timestamp};
use uuid::Uuid;

use crate::{Plan, Platform, Region, Tenant, Version};

mod memory;
mod order;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;

pub use memory::MemoryStore;
pub use order::TenantOrder;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::{MIGRATIONS, SqlStore};

/// Which tenants a list shows, and in which order; what is not named is not asked for.
///
/// ```
/// use guardian_tenant::{Plan, TenantFilter};
///
/// let enterprise = TenantFilter::new().status("active").plan(Plan::new("enterprise")?);
/// # let _ = enterprise;
/// # Ok::<(), guardian_tenant::InvalidField>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct TenantFilter {
    pub(crate) status: Option<String>,
    pub(crate) plan: Option<Plan>,
    pub(crate) region: Option<Region>,
    pub(crate) order: TenantOrder,
}

impl TenantFilter {
    /// Every tenant, those that are gone too.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those with this [`Status::name`](crate::Status::name); another text finds none.
    pub fn status(mut self, name: impl Into<String>) -> Self {
        self.status = Some(name.into());
        self
    }

    /// Only those with this plan.
    pub fn plan(mut self, plan: Plan) -> Self {
        self.plan = Some(plan);
        self
    }

    /// Only those in this region.
    pub fn region(mut self, region: Region) -> Self {
        self.region = Some(region);
        self
    }

    /// In this order.
    pub fn order(mut self, order: TenantOrder) -> Self {
        self.order = order;
        self
    }

    /// Whether the tenant is one of them.
    #[must_use]
    pub fn matches(&self, tenant: &Tenant) -> bool {
        self.status.as_ref().is_none_or(|name| name == tenant.status.name())
            && self.plan.as_ref().is_none_or(|plan| *plan == tenant.plan)
            && self.region.as_ref().is_none_or(|region| *region == tenant.region)
    }
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "stores make it and the registry reads it; a new case breaks both"
)]
pub enum Written {
    /// It is stored, and the event with it.
    Done,
    /// [`TenantStore::insert`]: the id is taken. Nothing was written.
    Exists,
    /// [`TenantStore::replace`]: there is no such tenant. Nothing was written.
    Missing,
    /// [`TenantStore::replace`]: it has this version instead. Nothing was written.
    Conflict(Version),
}

/// Keeps the registry's tenants and the events that have not been delivered yet.
///
/// # Contract
/// Every method is atomic: of two concurrent calls one happens entirely before the other. A call that returns an
/// error may or may not have happened, and nothing of it is half done. What `Ok` acknowledged survives whatever the
/// store says that it survives. Ids are compared byte for byte, and lists are in the order of their bytes
/// unless the filter wants another ([`TenantOrder`]).
///
/// All methods but [`own`](Self::own) look across tenants and therefore want a [`Platform`].
///
/// The `testkit` (feature) has each promise as a law to run against any store.
#[async_trait]
pub trait TenantStore: Send + Sync + fmt::Debug + 'static {
    /// Stores a tenant whose id was never used, and its event, both or neither.
    ///
    /// # Errors
    /// When the store fails; an id that is taken is [`Written::Exists`].
    async fn insert(
        &self,
        platform: &Platform,
        tenant: &Tenant,
        event: &Event,
    ) -> Result<Written, StoreError>;

    /// Stores a tenant in the place of that with the same id and the version `expected`, and its event, both or
    /// neither.
    ///
    /// # Errors
    /// When the store fails; another version is [`Written::Conflict`].
    async fn replace(
        &self,
        platform: &Platform,
        tenant: &Tenant,
        expected: Version,
        event: &Event,
    ) -> Result<Written, StoreError>;

    /// The tenant of this id.
    ///
    /// # Errors
    /// When the store fails.
    async fn get(&self, platform: &Platform, id: &TenantId) -> Result<Option<Tenant>, StoreError>;

    /// The tenant of this scope, read with the rights of the scope alone.
    ///
    /// # Errors
    /// When the store fails.
    async fn own(&self, scope: &Scope) -> Result<Option<Tenant>, StoreError>;

    /// The tenants that the filter lets through, ordered by id. A tenant that exists during the whole walk through
    /// the pages and always matches is seen exactly once, whatever else is written meanwhile.
    ///
    /// # Errors
    /// When the store fails. A cursor of another list is [`StoreErrorKind::Constraint`](guardian_core::StoreErrorKind).
    async fn list(
        &self,
        platform: &Platform,
        filter: &TenantFilter,
        page: &PageRequest,
    ) -> Result<Page<Tenant>, StoreError>;

    /// At most `limit` tenants that are being deleted and whose grace period is over at `now`, those first whose
    /// period ended first, then by id.
    ///
    /// # Errors
    /// When the store fails.
    async fn due(&self, platform: &Platform, now: Timestamp, limit: u32) -> Result<Vec<Tenant>, StoreError>;

    /// At most `limit` events that were stored and not yet marked as delivered, ordered by id: the oldest first, as far as
    /// clocks agree.
    ///
    /// # Errors
    /// When the store fails.
    async fn undelivered(&self, platform: &Platform, limit: u32) -> Result<Vec<Event>, StoreError>;

    /// Forgets an event, because its sink has taken it over. One that is not known is nothing to forget.
    ///
    /// # Errors
    /// When the store fails.
    async fn delivered(&self, platform: &Platform, event: Uuid) -> Result<(), StoreError>;
}

#[async_trait]
impl<S: TenantStore + ?Sized> TenantStore for Arc<S> {
    async fn insert(
        &self,
        platform: &Platform,
        tenant: &Tenant,
        event: &Event,
    ) -> Result<Written, StoreError> {
        (**self).insert(platform, tenant, event).await
    }

    async fn replace(
        &self,
        platform: &Platform,
        tenant: &Tenant,
        expected: Version,
        event: &Event,
    ) -> Result<Written, StoreError> {
        (**self).replace(platform, tenant, expected, event).await
    }

    async fn get(&self, platform: &Platform, id: &TenantId) -> Result<Option<Tenant>, StoreError> {
        (**self).get(platform, id).await
    }

    async fn own(&self, scope: &Scope) -> Result<Option<Tenant>, StoreError> {
        (**self).own(scope).await
    }

    async fn list(
        &self,
        platform: &Platform,
        filter: &TenantFilter,
        page: &PageRequest,
    ) -> Result<Page<Tenant>, StoreError> {
        (**self).list(platform, filter, page).await
    }

    async fn due(&self, platform: &Platform, now: Timestamp, limit: u32) -> Result<Vec<Tenant>, StoreError> {
        (**self).due(platform, now, limit).await
    }

    async fn undelivered(&self, platform: &Platform, limit: u32) -> Result<Vec<Event>, StoreError> {
        (**self).undelivered(platform, limit).await
    }

    async fn delivered(&self, platform: &Platform, event: Uuid) -> Result<(), StoreError> {
        (**self).delivered(platform, event).await
    }
}
