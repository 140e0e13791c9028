//! How a tenant becomes one.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Clock, Scope, StoreError, StoreErrorKind, TenantId};
use guardian_quota::{PlanName, Quotas, Subscription};
use guardian_rbac::{Change, Item, Rbac, Revision};
use guardian_tenant::store::TenantStore;
use guardian_tenant::{NewTenant, Platform, Status, Tenant};

use crate::Error;
use crate::backend::Backend;
use crate::events::Equip;
use crate::guardian::Guardian;

/// What a tenant begins with.
pub(crate) struct Equipment<B: Backend> {
    pub(crate) tenants: Arc<dyn TenantStore>,
    pub(crate) rbac: Rbac,
    pub(crate) roles: Vec<Item>,
    pub(crate) quotas: Quotas<B::Quota>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl<B: Backend> fmt::Debug for Equipment<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Equipment").finish_non_exhaustive()
    }
}

impl<B: Backend> Equipment<B> {
    /// The roles, unless the tenant has any, and a subscription to the plan of this name, unless it has one or there is no such plan.
    pub(crate) async fn give(&self, tenant: &TenantId, plan: &str) -> Result<(), Error> {
        let host = Scope::system(tenant.clone());
        if self.rbac.load(&host).await?.snapshot().revision() == Revision::default() {
            let changes = self.roles.iter().cloned().map(Change::Put).collect();
            // Written at this revision or not at all, so that two who do it at once do it once.
            match self.rbac.based_on(Revision::default()).import(&host, changes).await {
                Ok(_) | Err(guardian_rbac::Error::Changed { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.quotas.subscription(&host).await?.is_none()
            && let Ok(plan) = PlanName::new(plan)
            && self.quotas.plans().iter().any(|known| known.name == plan)
        {
            match self.quotas.subscribe(&host, Subscription::new(plan, self.clock.now())).await {
                // Somebody else was a moment faster.
                Ok(()) | Err(guardian_quota::Error::AlreadySubscribed(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

#[async_trait]
impl<B: Backend> Equip for Equipment<B> {
    async fn equip(&self, tenant: &TenantId) -> Result<(), StoreError> {
        // It may be gone again when its event comes late.
        let Some(known) = self.tenants.own(&Scope::system(tenant.clone())).await? else { return Ok(()) };
        if !matches!(known.status, Status::Active | Status::Suspended(_)) {
            return Ok(());
        }
        self.give(tenant, known.plan.as_str()).await.map_err(|error| match error {
            Error::Store(error) => error,
            other => StoreError::new(StoreErrorKind::Unavailable, "tenants").with_source(other),
        })
    }
}

impl<B: Backend> Guardian<B> {
    /// Makes a tenant: in the registry, with the roles that new tenants begin with, and with a subscription to the quota plan that is
    /// named as the tenant's own, where there is one. What is there already stays as it is, so it may be said again, at each start of a
    /// service that has tenants of its own, say. Tenants that are created over the API of administrators get the same.
    ///
    /// # Errors
    /// When there are quota plans and none of that name, the id is the operator's, the tenant is being deleted or is gone, or a store fails.
    pub async fn welcome(&self, platform: &Platform, new: NewTenant) -> Result<Tenant, Error> {
        let id = new.id().clone();
        let parts = &self.parts;
        let plans = parts.quotas.plans();
        if !plans.is_empty() && !plans.iter().any(|plan| plan.name.as_str() == new.plan().as_str()) {
            return Err(Error::NoPlan { plan: new.plan().as_str().to_owned() });
        }
        let tenant = match parts.registry.create(platform, new).await {
            Ok(tenant) => tenant,
            Err(error @ guardian_tenant::Error::Exists { .. }) => {
                let known = parts.registry.get(platform, &id).await;
                match known {
                    Ok(known) if matches!(known.status, Status::Active | Status::Suspended(_)) => known,
                    _ => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        };
        parts.equipment.give(&id, tenant.plan.as_str()).await?;
        Ok(tenant)
    }

    /// Gives the operator's own tenant, which is no customer and so not in the registry, roles and a quota plan. It may be said again.
    ///
    /// # Errors
    /// When a store fails.
    pub async fn welcome_operator(&self, plan: &str) -> Result<(), Error> {
        self.parts.equipment.give(self.parts.operator.tenant(), plan).await
    }
}
