use guardian_core::{Scope, TenantId};

use crate::PolicyId;

/// Whose counters a check touches: one tenant's, or those that belong to no tenant.
///
/// Every call to a store names its realm first. Counters of two tenants never meet, whatever the subjects are
/// called; [`Realm::Shared`] is for what comes before a tenant is known, such as a limit per client address.
///
/// ```
/// use guardian_core::TenantId;
/// use guardian_ratelimit::Realm;
///
/// let acme = TenantId::new("acme")?;
/// assert_eq!(Realm::from(&acme), Realm::Tenant(&acme));
/// # Ok::<(), guardian_core::InvalidTenantId>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a counter belongs to a tenant or to none; stores match on it")]
pub enum Realm<'a> {
    /// The counters of one tenant.
    Tenant(&'a TenantId),
    /// Counters that belong to no tenant.
    Shared,
}

impl<'a> Realm<'a> {
    /// The tenant, if there is one.
    #[must_use]
    pub fn tenant(self) -> Option<&'a TenantId> {
        match self {
            Self::Tenant(tenant) => Some(tenant),
            Self::Shared => None,
        }
    }
}

impl<'a> From<&'a TenantId> for Realm<'a> {
    fn from(tenant: &'a TenantId) -> Self {
        Self::Tenant(tenant)
    }
}

impl<'a> From<&'a Scope> for Realm<'a> {
    fn from(scope: &'a Scope) -> Self {
        Self::Tenant(scope.tenant())
    }
}

/// Who or what within the realm is counted.
///
/// Numbers are the fastest; resolve names to ids once if you can. `Id(7)` and `Text("7")` are two subjects.
///
/// ```
/// use guardian_ratelimit::Subject;
///
/// assert_eq!(Subject::from(7), Subject::Id(7));
/// assert_eq!(Subject::from("POST /deals"), Subject::Text("POST /deals"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "stores match on it, and a new kind of subject is a new contract"
)]
pub enum Subject<'a> {
    /// The realm as a whole: the tenant's own limit.
    Whole,
    /// A number: a user, an API key, an integration.
    Id(u64),
    /// A text of at most [`Subject::MAX_LEN`] bytes: an endpoint, an address.
    Text(&'a str),
}

impl Subject<'_> {
    /// The longest text, in bytes.
    pub const MAX_LEN: usize = 512;

    pub(crate) fn is_too_long(&self) -> bool {
        matches!(self, Self::Text(text) if text.len() > Self::MAX_LEN)
    }
}

impl From<u64> for Subject<'_> {
    fn from(id: u64) -> Self {
        Self::Id(id)
    }
}

impl<'a> From<&'a str> for Subject<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Subject<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

/// One limit of a check: a policy, whom it counts, and what this request costs.
///
/// ```
/// # use guardian_ratelimit::{Limit, Limiter, Policy};
/// # let limiter = Limiter::in_memory();
/// let per_org = limiter.define(Policy::new("per-org", "1000/min")?)?;
/// let per_endpoint = limiter.define(Policy::new("per-endpoint", "100/min burst 20")?)?;
///
/// let limits = [Limit::whole(per_org), Limit::of(per_endpoint, "POST /deals").cost(5)];
/// # Ok::<(), guardian_ratelimit::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct Limit<'a> {
    pub(crate) policy: PolicyId,
    pub(crate) subject: Subject<'a>,
    pub(crate) cost: u32,
}

impl<'a> Limit<'a> {
    /// The limit of the realm as a whole, at cost 1.
    pub fn whole(policy: PolicyId) -> Self {
        Self { policy, subject: Subject::Whole, cost: 1 }
    }

    /// The limit of one subject, at cost 1.
    pub fn of(policy: PolicyId, subject: impl Into<Subject<'a>>) -> Self {
        Self { policy, subject: subject.into(), cost: 1 }
    }

    /// The same limit at another cost; at least 1. A cost above the policy's capacity is denied for good.
    pub fn cost(mut self, cost: u32) -> Self {
        self.cost = cost;
        self
    }
}
