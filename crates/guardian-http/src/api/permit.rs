use std::fmt;

use async_trait::async_trait;
use guardian_core::Scope;

use crate::Problem;

/// Who may do what: the port to whatever the host decides by. With the feature `rbac` roles implement it.
///
/// A permission is written `quotas:read`; which ones there are, [`Document::permissions`](super::Document::permissions) tells.
#[async_trait]
pub trait Permit: fmt::Debug + Send + Sync + 'static {
    /// Goes on if the scope's actor has the permission in the scope's tenant.
    ///
    /// # Errors
    /// The problem to answer with: 403 when they have not, 503 or 500 when nobody could tell.
    async fn permit(&self, scope: &Scope, permission: &str) -> Result<(), Problem>;
}

/// Permits everything to everybody who is signed in: for a host that guards the router by itself, and for tests.
#[derive(Debug, Clone, Copy)]
pub struct Unguarded;

#[async_trait]
impl Permit for Unguarded {
    async fn permit(&self, _: &Scope, _: &str) -> Result<(), Problem> {
        Ok(())
    }
}

/// Roles decide, in the tenant as a whole.
#[cfg(feature = "rbac")]
#[async_trait]
impl Permit for guardian_rbac::Rbac {
    async fn permit(&self, scope: &Scope, permission: &str) -> Result<(), Problem> {
        use super::Kind;
        use guardian_rbac::{Error, Resource};
        match self.check(scope, permission, Resource::tenant()).await {
            Ok(decision) if decision.is_allowed() => Ok(()),
            Ok(_) => Err(Kind::Forbidden.because(format_args!("this takes the permission `{permission}`"))),
            Err(Error::UnknownPermission { permission, .. }) => Err(Kind::Internal.because(format_args!(
                "the catalog of roles has no permission `{permission}`: add those of `api::PERMISSIONS`"
            ))),
            Err(Error::Store(error)) => Err((&error).into()),
            Err(_) => Err(Kind::Unavailable.because("permissions cannot be told at the moment")),
        }
    }
}
