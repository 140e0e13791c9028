//! How a tenant becomes one.

use guardian_core::Scope;
use guardian_quota::{PlanName, Subscription};
use guardian_rbac::{Change, Revision};
use guardian_tenant::{NewTenant, Platform, Status, Tenant};

use crate::Error;
use crate::backend::Backend;
use crate::guardian::Guardian;

impl<B: Backend> Guardian<B> {
    /// Makes a tenant: in the registry, with the roles that new tenants begin with, and with a subscription to the quota plan that is
    /// named as the tenant's own, where there is one. What is there already stays as it is, so it may be said again: after a crash
    /// between two of the three steps, or at each start of a service that has tenants of its own.
    ///
    /// # Errors
    /// When the tenant is being deleted or is gone, or a store fails.
    pub async fn welcome(&self, platform: &Platform, new: NewTenant) -> Result<Tenant, Error> {
        let id = new.id().clone();
        let parts = &self.parts;
        let tenant = match parts.registry.create(platform, new).await {
            Ok(tenant) => tenant,
            Err(error @ guardian_tenant::Error::Exists { .. }) => {
                let known = parts.registry.get(platform, &id).await?;
                if !matches!(known.status, Status::Active | Status::Suspended(_)) {
                    return Err(error.into());
                }
                known
            }
            Err(error) => return Err(error.into()),
        };
        let host = Scope::system(id);
        if parts.rbac.load(&host).await?.snapshot().revision() == Revision::default() {
            let changes = parts.roles.iter().cloned().map(Change::Put).collect();
            parts.rbac.import(&host, changes).await?;
        }
        if parts.quotas.subscription(&host).await?.is_none()
            && let Ok(plan) = PlanName::new(tenant.plan.as_str())
            && parts.quotas.plans().iter().any(|known| known.name == plan)
        {
            let subscribed = parts.quotas.subscribe(&host, Subscription::new(plan, parts.clock.now())).await;
            match subscribed {
                // Somebody else was a moment faster.
                Ok(()) | Err(guardian_quota::Error::AlreadySubscribed(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(tenant)
    }
}
