use guardian_core::Scope;

use crate::Error;
use guardian_core::shorten;

/// The leave to cross tenants: on whose behalf, and why.
///
/// Retention, schedules and migrations of data look at all tenants at once. Such a transaction is opened with a reason,
/// and each one emits an event `sql.unscoped` before it begins, into the sink that the database was given. On PostgreSQL
/// the setting `guardian.tenant` is empty in it, and `guardian.unscoped` is `on`, for policies that mean to let it pass.
///
/// ```
/// use guardian_core::{Scope, TenantId};
/// use guardian_sql::Unscoped;
///
/// // The operator's own tenant, in whose audit log the event belongs.
/// let operator = Scope::system(TenantId::new("operator")?);
/// let retention = Unscoped::new(operator, "delete audit events past retention")?;
/// assert!(Unscoped::new(retention.scope().clone(), "because").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unscoped {
    scope: Scope,
    reason: String,
}

impl Unscoped {
    /// The shortest reason, in characters.
    pub const MIN_REASON: usize = 10;
    /// The longest reason, in characters.
    pub const MAX_REASON: usize = 200;

    /// The event's name.
    pub const EVENT: &'static str = "sql.unscoped";

    /// Leave for the actor of `scope`; the event goes to the tenant of `scope`, which is the operator's own.
    ///
    /// # Errors
    /// When the reason is not 10 to 200 characters, without control characters.
    pub fn new(scope: Scope, reason: impl Into<String>) -> Result<Self, Error> {
        let reason = reason.into();
        let length = reason.trim().chars().count();
        let why = if length < Self::MIN_REASON {
            "it has fewer than 10 characters"
        } else if length > Self::MAX_REASON {
            "it has more than 200 characters"
        } else if reason.contains(char::is_control) {
            "it has a control character"
        } else {
            return Ok(Self { scope, reason });
        };
        Err(Error::InvalidReason { input: shorten(&reason), why })
    }

    /// On whose behalf.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}
