//! What is limited, and for whom.

use axum::http::StatusCode;
use axum::http::request::Parts;
use guardian::http::{By, LayerError, OnMissing, RateLimitLayer};
use guardian::ratelimit;
use guardian::ratelimit::{AnyStore, Decision, Limiter, Policy, PolicyId};

use crate::addresses;

/// The limits of a tenant without a plan of its own.
pub(crate) fn policies() -> Result<[Policy; 4], ratelimit::Error> {
    Ok([
        // Generous, since offices share an address; it is there for those who have no key and guess.
        Policy::new(PER_ADDRESS, "50/s burst 200")?,
        Policy::new(PER_ORG, "120/min burst 40")?,
        Policy::new("per-endpoint", "60/min burst 20")?,
        // No key may use up what its organisation has.
        Policy::new("per-key", "1/s burst 10")?,
    ])
}

/// What those have who pay for more.
pub(crate) const BUSINESS: [(&str, &str); 3] =
    [(PER_ORG, "3000/min burst 500"), ("per-endpoint", "1200/min burst 300"), ("per-key", "50/s burst 100")];

const PER_ADDRESS: &str = "per-address";
const PER_ORG: &str = "per-org";

/// The limits in front of the routes.
pub(crate) struct Limits {
    limiter: Limiter<AnyStore>,
    per_address: PolicyId,
    per_org: PolicyId,
    per_endpoint: PolicyId,
    per_key: PolicyId,
}

impl Limits {
    pub(crate) fn of(limiter: &Limiter<AnyStore>) -> Result<Self, ratelimit::Error> {
        let known = |name: &str| {
            let unknown = || ratelimit::Error::UnknownPolicy { policy: name.to_owned() };
            limiter.find(name).ok_or_else(unknown)
        };
        Ok(Self {
            limiter: limiter.clone(),
            per_address: known(PER_ADDRESS)?,
            per_org: known(PER_ORG)?,
            per_endpoint: known("per-endpoint")?,
            per_key: known("per-key")?,
        })
    }

    /// In front of authentication nothing is known but the address, so guessing keys is limited too.
    pub(crate) fn before_auth(&self) -> Result<RateLimitLayer<AnyStore>, LayerError> {
        let by_address = By::client_addr(addresses::proxies());
        RateLimitLayer::shared(&self.limiter)
            .limit(self.per_address, by_address, OnMissing::Refuse(StatusCode::SERVICE_UNAVAILABLE))
            .build()
    }

    /// Behind authentication the tenant's limits are decided together: a request that its key may not make is not
    /// charged to its organisation either.
    pub(crate) fn after_auth(&self) -> Result<RateLimitLayer<AnyStore>, LayerError> {
        let limiter = self.limiter.clone();
        RateLimitLayer::per_tenant(&self.limiter, OnMissing::Refuse(StatusCode::UNAUTHORIZED))
            .whole(self.per_org)
            .limit(self.per_endpoint, By::route(), OnMissing::Together)
            .limit(self.per_key, By::api_key(), OnMissing::Skip)
            .on_decision(move |request, decision| tell_of_denial(&limiter, request, decision))
            .build()
    }
}

/// Where a real host counts metrics and emits events, this one writes a line.
#[expect(clippy::print_stdout, reason = "the terminal is this demo's log")]
fn tell_of_denial(limiter: &Limiter<AnyStore>, request: &Parts, decision: &Decision) {
    for outcome in decision.outcomes().iter().filter(|outcome| outcome.denies()) {
        let name = limiter.policy(outcome.policy()).map_or("?", |policy| policy.name().as_str());
        println!("denied by {name}: {} {}", request.method, request.uri.path());
    }
}
