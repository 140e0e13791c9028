use crate::{Actor, TenantId};

/// Whose data a call may touch, and on whose behalf: the tenant and the actor.
///
/// Every storage call of the suite names its scope first, so there is no way to read or write a tenant's data
/// without saying which tenant. A scope is made once a request is authenticated and handed down from there.
///
/// ```
/// use guardian_core::{Actor, Scope, TenantId};
///
/// let scope = Scope::new(TenantId::new("acme")?, Actor::user("u_17")?);
/// assert_eq!(scope.tenant().as_str(), "acme");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    tenant: TenantId,
    actor: Actor,
}

impl Scope {
    /// The scope of one actor in one tenant.
    #[must_use]
    pub fn new(tenant: TenantId, actor: Actor) -> Self {
        Self { tenant, actor }
    }

    /// The scope of Guardian's own maintenance in one tenant.
    #[must_use]
    pub fn system(tenant: TenantId) -> Self {
        Self::new(tenant, Actor::system())
    }

    /// The tenant whose data may be touched.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }
}
