use std::time::Duration;

use arrayvec::ArrayVec;
use guardian_core::Clock;
use guardian_ratelimit::store::Store;
use guardian_ratelimit::{Algorithm, Decision, Limiter, Outcome, Rule};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue};

use super::layer::{Config, Entry};
use super::request::{Asked, Counted};
use crate::{PolicyName, QuotaPolicy, QuotaUnit, RATELIMIT, RATELIMIT_POLICY, ServiceLimit};

/// The two fields of one response.
pub(super) struct Fields {
    policies: Option<HeaderValue>,
    limits: Option<HeaderValue>,
}

impl Fields {
    /// What a client should know about a decision. Policies in a dry run are not shown, since they limit nobody.
    ///
    /// Of a denied request only the limits that deny it are listed in `RateLimit`. Nothing was charged to the others,
    /// and every effective window that is told then ends no later than `Retry-After`.
    pub(super) fn of<S: Store, C: Clock>(
        config: &Config<S, C>,
        asked: &Asked<'_>,
        decision: &Decision,
    ) -> Self {
        // A check has no more limits than there is room for.
        let mut enforced: ArrayVec<(&Counted<'_>, Option<&Outcome>), { Limiter::MAX_LIMITS }> =
            ArrayVec::new();
        let mut as_built = true;
        for (place, one) in asked.counted.iter().enumerate() {
            let outcome = outcome_at(place, one.entry, decision);
            if is_trial(one.entry, outcome) {
                continue;
            }
            as_built &=
                !one.entry.dry_run && asked.rule(config, one).is_some_and(|rule| rule == one.entry.rule);
            let _ = enforced.try_push((one, outcome));
        }
        let policies = if as_built && enforced.len() == config.enforced {
            config.policies.clone()
        } else {
            let policies = enforced
                .iter()
                .filter_map(|(one, _)| Some(quota_policy(one.entry.name.clone(), &asked.rule(config, one)?)));
            QuotaPolicy::field(policies)
        };
        let is_allowed = decision.is_allowed();
        let limits = enforced
            .iter()
            .filter_map(|(one, outcome)| Some((*one, (*outcome)?)))
            .filter(|(_, outcome)| is_allowed || outcome.denies())
            .map(|(one, outcome)| service_limit(one, outcome));
        Self { policies, limits: ServiceLimit::field(limits) }
    }

    /// Adds the fields to those that layers further in have put there: both fields are lists, which may be spread over
    /// several lines. A response that says `Retry-After` already explains itself by the limit that it is about.
    pub(super) fn add_to(self, headers: &mut HeaderMap) {
        if let Some(policies) = self.policies {
            headers.append(RATELIMIT_POLICY, policies);
        }
        if let Some(limits) = self.limits.filter(|_| !headers.contains_key(RETRY_AFTER)) {
            headers.append(RATELIMIT, limits);
        }
    }
}

/// The field about these limits, by their rules as the layer found them.
pub(super) fn policies<'e>(entries: impl Iterator<Item = &'e Entry>) -> Option<HeaderValue> {
    QuotaPolicy::field(entries.map(|entry| quota_policy(entry.name.clone(), &entry.rule)))
}

/// What the decision says about this limit; nothing when the store could not be asked.
pub(super) fn outcome_of<'d>(entry: &Entry, decision: &'d Decision) -> Option<&'d Outcome> {
    decision.outcomes().iter().find(|outcome| outcome.policy() == entry.policy)
}

/// The same for a limit that was asked about in this place; outcomes stand in the order of limits.
fn outcome_at<'d>(place: usize, entry: &Entry, decision: &'d Decision) -> Option<&'d Outcome> {
    let outcome = decision.outcomes().get(place).filter(|outcome| outcome.policy() == entry.policy);
    outcome.or_else(|| outcome_of(entry, decision))
}

/// Whether the limit is in a dry run. An outcome that does not admit says so for sure, also when the mode was switched
/// while the service runs.
fn is_trial(entry: &Entry, outcome: Option<&Outcome>) -> bool {
    match outcome {
        Some(outcome) if !outcome.admits() => outcome.would_deny(),
        _ => entry.dry_run,
    }
}

/// What a rule allots: a client that uses at most the quota in any span as long as the window is not denied.
///
/// Of a token bucket that is the bucket and the time in which it fills, not the rate's own window: `100/min burst 20`
/// admits 20 in 12 seconds, and never 100 at once.
fn quota_policy(name: PolicyName, rule: &Rule) -> QuotaPolicy {
    let policy = QuotaPolicy::new(name, u64::from(rule.capacity()));
    match rule.algorithm() {
        Algorithm::TokenBucket { rate, burst } => {
            policy.with_window(filling_time(rate.window(), burst, rate.count()))
        }
        Algorithm::Concurrency { .. } => policy.with_unit(QuotaUnit::ConcurrentRequests),
        _ => policy.with_window(rule.window()),
    }
}

/// window · burst / count, rounded up.
fn filling_time(window: Duration, burst: u32, count: u32) -> Duration {
    let nanos = (window.as_nanos() * u128::from(burst)).div_ceil(u128::from(count.max(1)));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// What is left. The effective window of a limit that denies ends when the same request passes, of one that admits when
/// it is as good as new.
fn service_limit<'a>(counted: &'a Counted<'_>, outcome: &Outcome) -> ServiceLimit<'a> {
    let limit = ServiceLimit::new(&counted.entry.name, u64::from(outcome.remaining()));
    let window = if outcome.admits() { Some(outcome.reset_after()) } else { outcome.retry_after() };
    match window {
        // A permit may end at any moment, which no window describes.
        Some(window) if !counted.entry.holds_permits => limit.with_reset(window),
        _ => limit,
    }
}
