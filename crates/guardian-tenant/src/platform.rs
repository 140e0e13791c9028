use guardian_core::{Actor, Scope, TenantId};

use crate::error::InvalidField;

/// The right to look across tenants: who does it, and why.
///
/// The registry is the one place that knows every tenant, so its methods do not take a [`Scope`] but this. A request
/// handler of a tenant's user must not be able to get one: make it where the host authenticates its own operators
/// (or its own workers), and hand it down from there. The reason is in each event that the registry emits, and on a
/// database it is the reason of the unscoped transaction.
///
/// ```
/// use guardian_core::Actor;
/// use guardian_tenant::Platform;
///
/// let platform = Platform::new(Actor::user("ops_3")?, "ticket 4711: unpaid invoices")?;
/// assert_eq!(platform.reason(), "ticket 4711: unpaid invoices");
/// assert!(Platform::new(Actor::system(), "  ").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    actor: Actor,
    reason: String,
}

impl Platform {
    /// The longest reason, in bytes.
    pub const MAX_REASON_LEN: usize = 512;

    /// The right of this actor, for this reason.
    ///
    /// # Errors
    /// When the reason is blank, longer than [`Self::MAX_REASON_LEN`] bytes or has a control character.
    pub fn new(actor: Actor, reason: impl Into<String>) -> Result<Self, InvalidField> {
        let reason = reason.into();
        if reason.trim().is_empty() {
            return Err(InvalidField::new("reason", &reason, "it is empty"));
        }
        if reason.len() > Self::MAX_REASON_LEN {
            return Err(InvalidField::new("reason", &reason, "it has more than 512 bytes"));
        }
        if reason.chars().any(char::is_control) {
            return Err(InvalidField::new("reason", &reason, "it has a control character"));
        }
        Ok(Self { actor, reason })
    }

    /// Who.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// This actor in one tenant: what an event about it carries.
    pub(crate) fn scope(&self, tenant: &TenantId) -> Scope {
        Scope::new(tenant.clone(), self.actor.clone())
    }
}
