use std::time::Duration;

use guardian_core::Clock;
use guardian_ratelimit::store::Store;
use guardian_ratelimit::{Decision, DecisionSource, Outcome};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response};

use super::LimitedBody;
use super::fields::{Fields, outcome_of};
use super::layer::Config;
use super::request::{Asked, Counted, Missing};
use super::wording;
use crate::{Problem, RetryAfter};

/// When a place under a concurrency limit is worth another try. The limit's own answer is the longest life of a permit;
/// most end long before.
const BUSY: Duration = Duration::from_secs(1);

/// The answer to a request that does not go on.
pub(super) struct Refusal {
    problem: Problem,
    retry_after: Option<RetryAfter>,
    fields: Option<Fields>,
}

impl Refusal {
    pub(super) fn missing(missing: &Missing) -> Self {
        let detail = format!("this request has no {}, by which requests are counted here", missing.what);
        Self { problem: Problem::new(missing.status).with_detail(detail), retry_after: None, fields: None }
    }

    /// A limit denies the request, or nobody could tell.
    pub(super) fn denied<S: Store, C: Clock>(
        config: &Config<S, C>,
        asked: &Asked<'_>,
        decision: &Decision,
    ) -> Self {
        let fields = Some(Fields::of(config, asked, decision));
        if decision.source() == DecisionSource::FailClosed {
            let closed = asked.counted.iter().filter(|one| one.entry.fails_closed && !one.entry.dry_run);
            let names = closed.map(|one| one.entry.name.as_str());
            return Self { fields, ..Self::outage(names, config.outage) };
        }
        let denying: Vec<(&Counted<'_>, &Outcome)> = asked
            .counted
            .iter()
            .filter_map(|one| Some((one, outcome_of(one.entry, decision)?)))
            .filter(|(_, outcome)| outcome.denies())
            .collect();
        let wait = denying
            .iter()
            .map(|(one, outcome)| wait(one, outcome))
            .try_fold(Duration::ZERO, |longest, wait| Some(longest.max(wait?)));
        let retry_after = wait.map(RetryAfter::from);
        let exceeded =
            denying.iter().filter_map(|(one, _)| Some((one.entry.name.as_str(), asked.rule(config, one)?)));
        let detail = wording::detail(exceeded, retry_after);
        let names = denying.iter().map(|(one, _)| one.entry.name.as_str());
        Self { problem: Problem::quota_exceeded(names).with_detail(detail), retry_after, fields }
    }

    /// The limits cannot be told at all.
    pub(super) fn outage<'n>(names: impl Iterator<Item = &'n str>, wait: Duration) -> Self {
        let retry_after = RetryAfter::from(wait);
        let detail = format!(
            "requests cannot be counted for the moment; try again in {}",
            wording::seconds(retry_after)
        );
        Self {
            problem: Problem::temporary_reduced_capacity(names).with_detail(detail),
            retry_after: Some(retry_after),
            fields: None,
        }
    }

    pub(super) fn into_response<B>(self) -> Response<LimitedBody<B>> {
        let mut response = Response::new(LimitedBody::of_problem(self.problem.to_bytes()));
        *response.status_mut() = self.problem.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(Problem::CONTENT_TYPE));
        if let Some(fields) = self.fields {
            fields.add_to(headers);
        }
        if let Some(retry_after) = self.retry_after {
            headers.insert(RETRY_AFTER, retry_after.header_value());
        }
        response
    }
}

/// How long until this limit is worth another try; `None` when the request can never pass it.
fn wait(counted: &Counted<'_>, outcome: &Outcome) -> Option<Duration> {
    let wait = outcome.retry_after()?;
    Some(if counted.entry.holds_permits { wait.min(BUSY) } else { wait })
}
