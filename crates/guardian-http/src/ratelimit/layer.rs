use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use guardian_core::Clock;
use guardian_ratelimit::store::Store;
use guardian_ratelimit::{AnyStore, Decision, FastClock, Limiter, OnStoreError, PolicyId, Rule};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use tower_layer::Layer;

use super::{By, RateLimit, fields};
use crate::PolicyName;

/// What happens to a request that does not carry what a limit counts by.
///
/// ```
/// use guardian_http::OnMissing;
/// use http::StatusCode;
///
/// // A route that needs an API key, in front of which authentication has run.
/// let strict = OnMissing::Refuse(StatusCode::UNAUTHORIZED);
/// # let _ = strict;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnMissing {
    /// The limit does not apply to the request. When the tenant is missing, none of the layer's limits does.
    Skip,
    /// All such requests are counted as one. Without a tenant they are counted in the shared realm.
    Together,
    /// The request is answered with this status, 400 to 599, and a problem document that says what is missing. 400 says
    /// that the client should have sent it, 503 that the host did not put it into the request.
    Refuse(StatusCode),
}

/// A layer that cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// No limit was named.
    #[error("the layer has no limits")]
    NoLimits,
    /// A check has at most [`Limiter::MAX_LIMITS`].
    #[error("the layer has {given} limits, the most is {}", Limiter::MAX_LIMITS)]
    TooManyLimits {
        /// How many were named.
        given: usize,
    },
    /// A policy was defined on another limiter.
    #[error("a policy of the layer is not one of its limiter")]
    UnknownPolicy,
    /// A policy was named twice.
    #[error("the layer names the policy `{name}` twice")]
    DuplicatePolicy {
        /// The policy's name.
        name: String,
    },
    /// A request cannot be refused with a status that is not an error.
    #[error("status `{status}` is not an error, refuse with 400 to 599")]
    NotAnError {
        /// The status.
        status: StatusCode,
    },
}

/// Puts rate limits in front of a service, for any tower server over `http` requests and responses.
///
/// A request that all limits admit goes on, and its response carries the `RateLimit` and `RateLimit-Policy` fields. A
/// request that a limit denies is answered 429 with those fields, `Retry-After` and a problem document; one that
/// nobody could decide about, because the store is down and a policy says
/// [`Closed`](guardian_ratelimit::OnStoreError::Closed), 503.
///
/// The type names no kind of key: what finds them ([`By`]) is behind a pointer, so that layers with different limits
/// have one type and fit in a field. One indirect call per limit is not measurable beside a request.
///
/// ```
/// use guardian_http::{By, OnMissing, RateLimitLayer, TrustedProxies};
/// use guardian_ratelimit::{Limiter, Policy};
/// use http::StatusCode;
///
/// let limiter = Limiter::in_memory();
/// let per_address = limiter.define(Policy::new("per-address", "20/s burst 50")?)?;
/// let per_org = limiter.define(Policy::new("per-org", "1000/min burst 200")?)?;
/// let per_key = limiter.define(Policy::new("per-key", "10/s")?)?;
///
/// let before_auth = RateLimitLayer::shared(&limiter)
///     .limit(per_address, By::client_addr(TrustedProxies::none()), OnMissing::Refuse(StatusCode::SERVICE_UNAVAILABLE))
///     .build()?;
/// let after_auth = RateLimitLayer::per_tenant(&limiter, OnMissing::Refuse(StatusCode::UNAUTHORIZED))
///     .whole(per_org)
///     .limit(per_key, By::api_key(), OnMissing::Skip)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RateLimitLayer<S = AnyStore, C = FastClock> {
    config: Arc<Config<S, C>>,
}

pub(super) struct Config<S, C> {
    pub(super) limiter: Limiter<S, C>,
    /// What happens without a tenant; `None` when the counters belong to none.
    pub(super) tenants: Option<OnMissing>,
    pub(super) entries: Vec<Entry>,
    pub(super) cost: Option<Box<CostOf>>,
    pub(super) on_decision: Option<Box<OnDecision>>,
    pub(super) fields_on_success: bool,
    /// The field about all limits that are not in a dry run, by their rules as they were when the layer was built.
    pub(super) policies: Option<HeaderValue>,
    /// How many limits that field is about.
    pub(super) enforced: usize,
    pub(super) outage: Duration,
}

type CostOf = dyn Fn(&Parts) -> u32 + Send + Sync;
type OnDecision = dyn Fn(&Parts, &Decision) + Send + Sync;

/// One limit of a layer.
pub(super) struct Entry {
    /// Its place in the layer.
    pub(super) place: usize,
    pub(super) policy: PolicyId,
    /// Its rule when the layer was built.
    pub(super) rule: Rule,
    pub(super) name: PolicyName,
    pub(super) dry_run: bool,
    pub(super) holds_permits: bool,
    pub(super) fails_closed: bool,
    /// Whom it counts; `None` for the realm as a whole.
    pub(super) by: Option<(By, OnMissing)>,
}

impl RateLimitLayer {
    /// How long clients are asked to wait while the store is down, unless
    /// [`outage_retry`](RateLimitBuilder::outage_retry) says otherwise.
    pub const OUTAGE_RETRY: Duration = Duration::from_secs(5);
}

impl<S: Store, C: Clock> RateLimitLayer<S, C> {
    /// A layer whose counters belong to no tenant: for what comes before authentication.
    pub fn shared(limiter: &Limiter<S, C>) -> RateLimitBuilder<S, C> {
        RateLimitBuilder::new(limiter, None)
    }

    /// A layer that counts for each tenant on its own. The tenant is that of the extension [`Scope`], or else the
    /// extension [`TenantId`]; authentication puts one of them into the request.
    ///
    /// [`Scope`]: guardian_core::Scope
    /// [`TenantId`]: guardian_core::TenantId
    pub fn per_tenant(limiter: &Limiter<S, C>, without_tenant: OnMissing) -> RateLimitBuilder<S, C> {
        RateLimitBuilder::new(limiter, Some(without_tenant))
    }
}

impl<S: Store, C: Clock> RateLimitLayer<S, C> {
    /// A layer without limits, which lets everything through: for hosts whose settings leave limits out, because the layer with them
    /// changes the type of the body and cannot simply be absent.
    #[must_use]
    pub fn off(limiter: &Limiter<S, C>) -> Self {
        Self { config: Arc::new(RateLimitBuilder::new(limiter, None).config) }
    }
}

impl<S, C> Clone for RateLimitLayer<S, C> {
    fn clone(&self) -> Self {
        Self { config: Arc::clone(&self.config) }
    }
}

impl<S, C> fmt::Debug for RateLimitLayer<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

impl<T, S, C> Layer<T> for RateLimitLayer<S, C> {
    type Service = RateLimit<T, S, C>;

    fn layer(&self, inner: T) -> Self::Service {
        RateLimit::new(inner, Arc::clone(&self.config))
    }
}

/// Makes a [`RateLimitLayer`].
#[must_use = "a builder does nothing until `build`"]
pub struct RateLimitBuilder<S = AnyStore, C = FastClock> {
    config: Config<S, C>,
    limits: Vec<(PolicyId, Option<(By, OnMissing)>)>,
}

impl<S: Store, C: Clock> RateLimitBuilder<S, C> {
    fn new(limiter: &Limiter<S, C>, tenants: Option<OnMissing>) -> Self {
        let config = Config {
            limiter: limiter.clone(),
            tenants,
            entries: Vec::new(),
            cost: None,
            on_decision: None,
            fields_on_success: true,
            policies: None,
            enforced: 0,
            outage: RateLimitLayer::OUTAGE_RETRY,
        };
        Self { config, limits: Vec::new() }
    }

    /// Adds the limit of the tenant as a whole or, in a shared layer, of everyone together.
    pub fn whole(mut self, policy: PolicyId) -> Self {
        self.limits.push((policy, None));
        self
    }

    /// Adds a limit for each of what `by` finds.
    pub fn limit(mut self, policy: PolicyId, by: By, on_missing: OnMissing) -> Self {
        self.limits.push((policy, Some((by, on_missing))));
        self
    }

    /// What a request costs, 1 unless this is said. A cost of 0 exempts the request from all limits of the layer, say
    /// a health check or the `OPTIONS` request with which a browser asks for permission. Concurrency limits count every
    /// request that is not exempt as one.
    pub fn cost(mut self, cost: impl Fn(&Parts) -> u32 + Send + Sync + 'static) -> Self {
        self.config.cost = Some(Box::new(cost));
        self
    }

    /// Shows every decision, allowed or not, to the function, which should return at once: for logs, metrics and
    /// events, and the only way to see what a policy in a dry run [would deny](guardian_ratelimit::Outcome::would_deny).
    pub fn on_decision(mut self, observe: impl Fn(&Parts, &Decision) + Send + Sync + 'static) -> Self {
        self.config.on_decision = Some(Box::new(observe));
        self
    }

    /// Whether responses to allowed requests carry the fields too; they do unless this is said.
    pub fn fields_on_success(mut self, fields: bool) -> Self {
        self.config.fields_on_success = fields;
        self
    }

    /// How long clients are asked to wait while the store is down, [`RateLimitLayer::OUTAGE_RETRY`] unless this is
    /// said.
    pub fn outage_retry(mut self, wait: Duration) -> Self {
        self.config.outage = wait;
        self
    }

    /// The layer.
    ///
    /// # Errors
    /// [`LayerError`] when there are no limits or too many, or a policy is named twice or belongs to another limiter, or
    /// requests would be refused with a status that is no error.
    pub fn build(mut self) -> Result<RateLimitLayer<S, C>, LayerError> {
        match self.limits.len() {
            0 => return Err(LayerError::NoLimits),
            given if given > Limiter::MAX_LIMITS => return Err(LayerError::TooManyLimits { given }),
            _ => {}
        }
        let refusals = self.limits.iter().filter_map(|(_, by)| by.as_ref().map(|by| by.1));
        for answer in refusals.chain(self.config.tenants) {
            if let OnMissing::Refuse(status) = answer
                && !(status.is_client_error() || status.is_server_error())
            {
                return Err(LayerError::NotAnError { status });
            }
        }
        let mut seen = HashSet::new();
        for (id, by) in self.limits {
            let policy = self.config.limiter.policy(id).ok_or(LayerError::UnknownPolicy)?;
            let name = policy.name().as_str();
            if !seen.insert(id) {
                return Err(LayerError::DuplicatePolicy { name: name.to_owned() });
            }
            self.config.entries.push(Entry {
                place: self.config.entries.len(),
                policy: id,
                rule: *policy.rule(),
                // A limiter's names are a subset of the fields' names.
                name: PolicyName::new(name).map_err(|_| LayerError::UnknownPolicy)?,
                dry_run: policy.mode() == guardian_ratelimit::Mode::DryRun,
                holds_permits: policy.rule().holds_permits(),
                fails_closed: policy.store_error_answer() == OnStoreError::Closed,
                by,
            });
        }
        let enforced = || self.config.entries.iter().filter(|entry| !entry.dry_run);
        let (policies, count) = (fields::policies(enforced()), enforced().count());
        (self.config.policies, self.config.enforced) = (policies, count);
        Ok(RateLimitLayer { config: Arc::new(self.config) })
    }
}

impl<S, C> fmt::Debug for RateLimitBuilder<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<S, C> fmt::Debug for Config<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.entries.iter().map(|entry| (entry.name.as_str(), &entry.by));
        f.debug_struct("RateLimitLayer")
            .field("tenants", &self.tenants)
            .field("limits", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
