use guardian_core::{Actor, Scope, TenantId};

use crate::error::InvalidField;

/// The right to look across tenants: on whose behalf, and why.
///
/// The registry is the one place that knows every tenant, so its methods do not take a [`Scope`] but this. A request
/// handler of a tenant's user must not be able to get one: make it where the host authenticates its own operators
/// (or its own workers), and hand it down from there. The reason is in each event that the registry emits, and on a
/// database it is the reason of the unscoped transaction.
///
/// ```
/// use guardian_core::{Actor, Scope, TenantId};
/// use guardian_tenant::Platform;
///
/// // The operator's own tenant, which the suite treats as any other.
/// let operator = Scope::new(TenantId::new("operator")?, Actor::user("ops_3")?);
/// let platform = Platform::new(operator.clone(), "ticket 4711: unpaid invoices")?;
/// assert_eq!(platform.reason(), "ticket 4711: unpaid invoices");
/// assert!(Platform::new(operator, "because").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    scope: Scope,
    reason: String,
}

impl Platform {
    /// The shortest reason, in characters.
    pub const MIN_REASON: usize = 10;
    /// The longest reason, in characters.
    pub const MAX_REASON: usize = 200;

    /// The right of the actor of `scope`, whose tenant is the operator's own, for this reason.
    ///
    /// # Errors
    /// When the reason does not have 10 to 200 characters, or has a control character.
    pub fn new(scope: Scope, reason: impl Into<String>) -> Result<Self, InvalidField> {
        let reason = reason.into();
        let length = reason.trim().chars().count();
        let why = if length < Self::MIN_REASON {
            "it has fewer than 10 characters"
        } else if reason.chars().count() > Self::MAX_REASON {
            "it has more than 200 characters"
        } else if reason.contains(char::is_control) {
            "it has a control character"
        } else {
            return Ok(Self { scope, reason });
        };
        Err(InvalidField::new("reason", &reason, why))
    }

    /// On whose behalf.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Who.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        self.scope.actor()
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// This actor in one tenant: what an event about it carries.
    pub(crate) fn within(&self, tenant: &TenantId) -> Scope {
        Scope::new(tenant.clone(), self.actor().clone())
    }

    /// The same right as a database takes it.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn unscoped(&self) -> Result<guardian_sql::Unscoped, guardian_core::StoreError> {
        guardian_sql::Unscoped::new(self.scope.clone(), self.reason.clone()).map_err(|error| {
            // The limits are the same, so this is never seen.
            guardian_core::StoreError::new(guardian_core::StoreErrorKind::Internal, "sql").with_source(error)
        })
    }
}
