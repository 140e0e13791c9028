//! Quotas in front of a service: a tower layer that spends units of a metered feature for each request.

use std::time::Duration;

use guardian_core::Timestamp;
use guardian_quota::{Decision, Error};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::ratelimit_fields::quota_field;
use crate::{PolicyName, Problem, RATELIMIT, RATELIMIT_POLICY, RetryAfter, ServiceLimit};

mod layer;

pub use layer::{QuotaGuard, QuotaLayer, QuotaResponse};

/// What becomes of requests while nobody can tell what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a request goes on or it does not")]
pub enum OnOutage {
    /// They go on, uncounted.
    Admit,
    /// They get a 503.
    Refuse,
}

/// The time until a moment; none when it is past.
fn until(now: Timestamp, moment: Timestamp) -> Duration {
    // Of the calendar, in which a difference takes many steps, nothing is needed.
    let micros = moment.timestamp_micros().saturating_sub(now.timestamp_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// What a client is told of its quota: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11), under the
/// name of the feature. Nothing where nothing limits it.
fn tell(headers: &mut HeaderMap, name: &PolicyName, decision: &Decision, now: Timestamp) {
    let policy = decision.limit.and_then(|limit| quota_field(name, limit));
    Told { policy, left: left(name, decision, now) }.add_to(headers);
}

/// What a client is told, as it was when that was decided.
struct Told {
    policy: Option<HeaderValue>,
    left: Option<HeaderValue>,
}

impl Told {
    fn add_to(self, headers: &mut HeaderMap) {
        if let Some(field) = self.policy {
            headers.append(RATELIMIT_POLICY, field);
        }
        if let Some(field) = self.left {
            headers.append(RATELIMIT, field);
        }
    }
}

/// The field about what is left, where that is limited.
fn left(name: &PolicyName, decision: &Decision, now: Timestamp) -> Option<HeaderValue> {
    let remaining = decision.remaining?;
    let left = ServiceLimit::new(name, u64::try_from(remaining.max(0)).unwrap_or(u64::MAX));
    let left = match decision.resets_at {
        Some(resets) => left.with_reset(until(now, resets)),
        None => left,
    };
    ServiceLimit::field([left])
}

/// The answer to a request that may not go on: 429 where waiting is enough, and 402 where it takes another plan or payment.
fn denied(name: &PolicyName, decision: &Decision, now: Timestamp) -> Response<Vec<u8>> {
    let waits = decision.resets_at.filter(|_| !decision.reason.is_about_payment());
    let problem = match waits {
        Some(_) => {
            Problem::quota_exceeded([name.as_str()]).with_detail("the quota is used up until it starts anew")
        }
        None => Problem::new(StatusCode::PAYMENT_REQUIRED)
            .with_detail("the quota is used up, and more of it takes another plan or a payment"),
    };
    let mut problem = problem;
    let facts = [
        ("feature", serde_json::Value::from(name.as_str())),
        ("reason", decision.reason.as_str().into()),
        ("level", decision.level.as_str().into()),
        ("limit", decision.limit.into()),
        ("remaining", decision.remaining.and_then(|left| u64::try_from(left).ok()).into()),
        ("resets_at", decision.resets_at.map(|at| at.to_rfc3339()).into()),
    ];
    for (member, value) in facts {
        // None of them is the standard's own.
        problem = problem.clone().with_extension(member, value).unwrap_or(problem);
    }
    let mut response = problem.to_response();
    if let Some(resets) = waits {
        response.headers_mut().insert(RETRY_AFTER, RetryAfter::from(until(now, resets)).header_value());
    }
    tell(response.headers_mut(), name, decision, now);
    response
}

/// Nobody could tell. A feature that the plan lacks is one that takes another plan.
fn undecided(error: &Error) -> Response<Vec<u8>> {
    let problem = match error {
        Error::UnknownFeature { .. } | Error::NoSubscription(_) => {
            Problem::new(StatusCode::PAYMENT_REQUIRED).with_detail("the plan does not include this")
        }
        Error::KeyReused { .. } => Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
            .with_detail("the idempotency key was used before, for something else"),
        Error::Name(_) | Error::Subject(_) => {
            Problem::new(StatusCode::BAD_REQUEST).with_detail("the idempotency key is none")
        }
        Error::Store(error) if error.is_transient() => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE).with_detail("quotas cannot be told at the moment")
        }
        _ => Problem::new(StatusCode::INTERNAL_SERVER_ERROR).with_detail("quotas cannot be told"),
    };
    problem.to_response()
}
