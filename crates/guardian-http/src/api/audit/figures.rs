//! Numbers of events: counts, facets, a histogram.

use axum::extract::State;
use guardian_audit::store::{AuditStore, Count};
use guardian_audit::{Dimension, TimeRange};
use guardian_core::{Timestamp, shorten};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{Answer, Items, Shared, failed, query, reads, sensible};
use crate::api::{Api, Caller, Json, Kind, Listed, Params};

/// What is counted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct AuditCounting {
    /// What the events have in common, in the language of the log; without it, all events.
    #[param(max_length = 4096, example = "action:user.login outcome:failure")]
    q: Option<String>,
    /// Where counting stops; 10,000 when nothing is said.
    #[param(minimum = 1, maximum = 1_000_000)]
    limit: Option<u64>,
}

/// Whose values are counted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct AuditFaceting {
    /// What the events have in common, in the language of the log; without it, all events.
    #[param(max_length = 4096, example = "risk:>=high")]
    q: Option<String>,
    /// Which values: the name before the colon of a query, such as `action`, `actor`, `country` or `risk`.
    #[param(max_length = 64, example = "action")]
    dimension: String,
    /// How many values at most; 10 when nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    size: Option<usize>,
}

/// Over which time events are counted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct AuditTimeline {
    /// What the events have in common, in the language of the log; without it, all events.
    #[param(max_length = 4096, example = "outcome:denied")]
    q: Option<String>,
    /// From when on.
    #[param(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Until when, that moment not included.
    #[param(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Into how many equal parts the time is divided; 24 when nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    buckets: Option<u32>,
}

/// How many events a query finds.
#[derive(Debug, Serialize, ToSchema)]
struct AuditCount {
    /// How many.
    count: u64,
    /// False when counting stopped there: it may be more.
    exact: bool,
}

/// How many of the events have a value.
#[derive(Debug, Serialize, ToSchema)]
struct AuditFacet {
    /// The value, in lower case.
    value: String,
    /// How many events have it.
    count: u64,
}

/// How many events were recorded in a part of the time.
#[derive(Debug, Serialize, ToSchema)]
struct AuditBucket {
    /// When the part begins.
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// How many events.
    count: u64,
}

pub(super) fn declare<S: AuditStore>(api: Api<Shared<S>>) -> Api<Shared<S>> {
    let count = reads("countAuditEvents", "How many events a query finds")
        .query::<AuditCounting>()
        .answers::<AuditCount>(StatusCode::OK, "The number.", json!({"count": 1250, "exact": true}));
    let facets = reads("listAuditFacets", "The most frequent values among the events that a query finds")
        .query::<AuditFaceting>()
        .answers::<Listed<AuditFacet>>(
            StatusCode::OK,
            "The values, the most frequent first.",
            json!({"items": [{"value": "deal.updated", "count": 310}], "next": null}),
        );
    let histogram = reads("readAuditHistogram", "When the events that a query finds were recorded")
        .query::<AuditTimeline>()
        .answers::<Listed<AuditBucket>>(
            StatusCode::OK,
            "All parts of the time.",
            json!({"items": [{"start": "2026-03-01T00:00:00Z", "count": 17}], "next": null}),
        );
    api.get("/audit/count", count, count_events::<S>).get("/audit/facets", facets, list_facets::<S>).get(
        "/audit/histogram",
        histogram,
        read_histogram::<S>,
    )
}

async fn count_events<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
    Params(asked): Params<AuditCounting>,
) -> Answer<AuditCount> {
    let query = query(asked.q.as_deref())?;
    let limit = asked.limit.unwrap_or(10_000);
    if !(1..=1_000_000).contains(&limit) {
        return Err(Kind::InvalidRequest.because("the limit is 1 to 1000000"));
    }
    let count = reached.log.count(&scope, &query, Some(limit)).await.map_err(|error| failed(&error))?;
    Ok(Json(match count {
        Count::Exact(count) => AuditCount { count, exact: true },
        Count::AtLeast(count) => AuditCount { count, exact: false },
        _ => AuditCount { count: 0, exact: false },
    }))
}

async fn list_facets<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
    Params(asked): Params<AuditFaceting>,
) -> Items<AuditFacet> {
    let query = query(asked.q.as_deref())?;
    let dimension = Dimension::of_name(&asked.dimension).ok_or_else(|| {
        let name = shorten(&asked.dimension);
        Kind::InvalidRequest
            .because(format_args!("events have no `{name}`: `action` and `actor` are such names"))
    })?;
    let size = asked.size.unwrap_or(10);
    if !(1..=1000).contains(&size) {
        return Err(Kind::InvalidRequest.because("the size is 1 to 1000"));
    }
    let facets = reached.log.facets(&scope, &query, dimension, size).await.map_err(|error| failed(&error))?;
    let facets = facets.into_iter().map(|facet| AuditFacet { value: facet.value, count: facet.count });
    Ok(Json(Listed::whole(facets.collect())))
}

async fn read_histogram<S: AuditStore>(
    State(reached): State<Shared<S>>,
    Caller(scope): Caller,
    Params(asked): Params<AuditTimeline>,
) -> Items<AuditBucket> {
    let query = query(asked.q.as_deref())?;
    let (since, until) = (sensible(asked.since)?, sensible(asked.until)?);
    let buckets = asked.buckets.unwrap_or(24);
    if since >= until || !(1..=1000).contains(&buckets) {
        return Err(Kind::InvalidRequest.because("`since` is before `until`, and the parts are 1 to 1000"));
    }
    let range = TimeRange::new(since, until);
    let parts =
        reached.log.histogram(&scope, &query, range, buckets).await.map_err(|error| failed(&error))?;
    let parts = parts.into_iter().map(|(start, count)| AuditBucket { start, count });
    Ok(Json(Listed::whole(parts.collect())))
}
