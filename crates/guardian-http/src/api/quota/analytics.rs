//! Usage over time, who uses most, when it will be used up, and what that costs.

use std::time::Duration;

use axum::extract::State;
use guardian_core::Timestamp;
use guardian_quota::analytics::{Forecast, UsagePoint};
use guardian_quota::billing::InvoiceLine;
use guardian_quota::store::QuotaStore;
use guardian_quota::{Cadence, Level, Period, Quotas};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{Answer, FEATURE, Items, OfSubject, bound, failed, reads, sensible, subject};
use crate::Problem;
use crate::api::{Api, Caller, Json, Kind, Listed, Params, PathParam};

/// How long a step of a series is.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum QuotaStep {
    /// A day of the tenant's time zone.
    #[default]
    Day,
    /// A week.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// Which series.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Series {
    /// Whose: `org` for the tenant as a whole, as it is when nothing is said, or a path below it.
    #[param(max_length = 512, example = "team:sales")]
    subject: Option<String>,
    /// From when on; 30 days ago when nothing is said.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Until when, that moment not included; now when nothing is said.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// How long a step is; a day when nothing is said.
    #[param(inline)]
    step: Option<QuotaStep>,
}

/// Whose use is compared.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Ranking {
    /// Which level is compared: `team`, `user`, `key`, or `org`; users when nothing is said.
    #[param(inline)]
    level: Option<QuotaLevel>,
    /// From when on; 30 days ago when nothing is said.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Until when, that moment not included; now when nothing is said.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// How many at most; 10 when nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    size: Option<u16>,
}

/// A level of the hierarchy.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum QuotaLevel {
    /// The tenant as a whole.
    Org,
    /// Teams.
    Team,
    /// Users.
    User,
    /// Keys.
    Key,
}

/// Of which moment.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct AtMoment {
    /// A moment of the periods that are meant; now when nothing is said.
    #[param(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
}

/// Usage in one step of a series.
#[derive(Debug, Serialize, ToSchema)]
struct QuotaUsagePoint {
    /// When the step begins.
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// When it ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    end: Option<Timestamp>,
    /// What was spent in it.
    amount: i128,
}

/// What one subject spent.
#[derive(Debug, Serialize, ToSchema)]
struct QuotaConsumer {
    /// Who.
    subject: String,
    /// How much.
    amount: i128,
}

/// When something will be used up, as the days before let one expect.
#[derive(Debug, Serialize, ToSchema)]
struct QuotaForecast {
    /// Whether there is a forecast: it takes three whole days of use, and a limit. All else is null without one.
    available: bool,
    /// The mean of the days, in units a day.
    per_day: Option<f64>,
    /// When it is used up, at the mean; null when it is not within a century.
    #[schema(value_type = Option<String>, format = DateTime)]
    exhausted: Option<Timestamp>,
    /// The beginning of the interval that holds with 90 per cent.
    #[schema(value_type = Option<String>, format = DateTime)]
    earliest: Option<Timestamp>,
    /// Its end; null for open.
    #[schema(value_type = Option<String>, format = DateTime)]
    latest: Option<Timestamp>,
    /// Whether usage starts anew before that, at the mean.
    resets_first: Option<bool>,
}

/// A line that the invoice of a period will have.
#[derive(Debug, Serialize, ToSchema)]
struct QuotaInvoiceLine {
    /// The feature.
    feature: String,
    /// What one unit is.
    unit: String,
    /// Who is charged.
    subject: String,
    /// When the period began; null when it has no beginning.
    #[schema(value_type = Option<String>, format = DateTime)]
    period_start: Option<Timestamp>,
    /// When it ends; null when it has no end.
    #[schema(value_type = Option<String>, format = DateTime)]
    period_end: Option<Timestamp>,
    /// What the plan includes.
    included: u64,
    /// What was spent.
    used: i128,
    /// How much of it is neither included nor paid for by grants.
    beyond: i128,
    /// The currency: three small letters of ISO 4217.
    currency: String,
    /// What it comes to, in the currency's minor unit.
    minor: i128,
    /// The same in millionths of the minor unit, before rounding.
    micros: i128,
}

impl From<QuotaStep> for Cadence {
    fn from(step: QuotaStep) -> Self {
        match step {
            QuotaStep::Day => Self::Day,
            QuotaStep::Week => Self::Week,
            QuotaStep::Month => Self::Month,
            QuotaStep::Year => Self::Year,
        }
    }
}

impl From<QuotaLevel> for Level {
    fn from(level: QuotaLevel) -> Self {
        match level {
            QuotaLevel::Org => Self::Org,
            QuotaLevel::Team => Self::Team,
            QuotaLevel::User => Self::User,
            QuotaLevel::Key => Self::Key,
        }
    }
}

impl From<UsagePoint> for QuotaUsagePoint {
    fn from(point: UsagePoint) -> Self {
        Self { start: point.period.start(), end: point.period.end().and_then(bound), amount: point.amount }
    }
}

impl From<Option<Forecast>> for QuotaForecast {
    fn from(forecast: Option<Forecast>) -> Self {
        Self {
            available: forecast.is_some(),
            per_day: forecast.map(|found| found.per_day),
            exhausted: forecast.and_then(|found| found.exhausted),
            earliest: forecast.and_then(|found| found.earliest),
            latest: forecast.and_then(|found| found.latest),
            resets_first: forecast.map(|found| found.resets_first),
        }
    }
}

impl From<InvoiceLine> for QuotaInvoiceLine {
    fn from(line: InvoiceLine) -> Self {
        Self {
            minor: line.minor(),
            feature: line.feature.to_string(),
            unit: line.unit,
            subject: line.subject.to_string(),
            period_start: bound(line.period.start()),
            period_end: line.period.end().and_then(bound),
            included: line.included,
            used: line.used,
            beyond: line.beyond,
            currency: line.price.currency().to_owned(),
            micros: line.micros,
        }
    }
}

pub(super) fn declare<S: QuotaStore>(api: Api<Quotas<S>>) -> Api<Quotas<S>> {
    let usage = reads("readQuotaUsage", "What was spent, step by step")
        .about("Steps without use are there too. It reads the ledger: 10,000 steps at most.")
        .path("feature", FEATURE, "tokens")
        .query::<Series>()
        .answers::<Listed<QuotaUsagePoint>>(
            StatusCode::OK,
            "All steps.",
            json!({
                "items": [
                    {"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z", "amount": 1250},
                ],
                "next": null,
            }),
        );
    let top = reads("listTopConsumers", "Who spent most")
        .path("feature", FEATURE, "tokens")
        .query::<Ranking>()
        .answers::<Listed<QuotaConsumer>>(
            StatusCode::OK,
            "Those who spent most, the first one first.",
            json!({"items": [{"subject": "user:ann", "amount": 1250}], "next": null}),
        );
    let forecast = reads("readQuotaForecast", "When a subject will have used up what it has")
        .path("feature", FEATURE, "tokens")
        .query::<OfSubject>()
        .answers::<QuotaForecast>(
            StatusCode::OK,
            "The forecast.",
            json!({
                "available": true, "per_day": 100.0, "exhausted": "2026-03-20T00:00:00Z",
                "earliest": "2026-03-19T02:00:00Z", "latest": "2026-03-20T22:00:00Z", "resets_first": false,
            }),
        );
    let invoice = reads("readInvoice", "What use beyond the plan costs, by now")
        .query::<AtMoment>()
        .answers::<Listed<QuotaInvoiceLine>>(
            StatusCode::OK,
            "The lines of the invoice to come.",
            json!({
                "items": [{
                    "feature": "api_calls", "unit": "call", "subject": "org",
                    "period_start": "2026-02-28T00:00:00Z", "period_end": "2026-03-31T00:00:00Z",
                    "included": 1000, "used": 3500, "beyond": 2500, "currency": "usd", "minor": 60,
                    "micros": 60_000_000,
                }],
                "next": null,
            }),
        );
    api.get("/quotas/features/{feature}/usage", usage, read_usage::<S>)
        .get("/quotas/features/{feature}/top", top, list_top::<S>)
        .get("/quotas/features/{feature}/forecast", forecast, read_forecast::<S>)
        .get("/quotas/invoice", invoice, read_invoice::<S>)
}

const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// The span that is asked for.
fn span(now: Timestamp, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Period, Problem> {
    let until = sensible(until.unwrap_or(now))?;
    let since = sensible(since.unwrap_or_else(|| until - MONTH))?;
    if since > until {
        return Err(Kind::InvalidRequest.because("`since` is after `until`"));
    }
    Ok(Period::new(since, until))
}

async fn read_usage<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    PathParam(feature): PathParam<String>,
    Params(asked): Params<Series>,
) -> Items<QuotaUsagePoint> {
    let subject = subject(asked.subject.as_deref().unwrap_or("org"))?;
    let span = span(quotas.now(), asked.since, asked.until)?;
    let step = asked.step.unwrap_or_default().into();
    let points = quotas.usage(&scope, &feature, &subject, span, step).await;
    let points = points.map_err(|error| failed(&error))?;
    Ok(Json(Listed::whole(points.into_iter().map(QuotaUsagePoint::from).collect())))
}

async fn list_top<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    PathParam(feature): PathParam<String>,
    Params(asked): Params<Ranking>,
) -> Items<QuotaConsumer> {
    let size = asked.size.unwrap_or(10);
    if !(1..=1000).contains(&size) {
        return Err(Kind::InvalidRequest.because("the size is 1 to 1000"));
    }
    let span = span(quotas.now(), asked.since, asked.until)?;
    let level = asked.level.map_or(Level::User, Level::from);
    let top = quotas.top(&scope, &feature, level, span, size.into()).await;
    let tell = |(subject, amount): (guardian_quota::Subject, i128)| QuotaConsumer {
        subject: subject.to_string(),
        amount,
    };
    Ok(Json(Listed::whole(top.map_err(|error| failed(&error))?.into_iter().map(tell).collect())))
}

async fn read_forecast<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    PathParam(feature): PathParam<String>,
    Params(of): Params<OfSubject>,
) -> Answer<QuotaForecast> {
    let forecast = quotas.forecast(&scope, &feature, &of.subject()?).await;
    Ok(Json(forecast.map_err(|error| failed(&error))?.into()))
}

async fn read_invoice<S: QuotaStore>(
    State(quotas): State<Quotas<S>>,
    Caller(scope): Caller,
    Params(asked): Params<AtMoment>,
) -> Items<QuotaInvoiceLine> {
    let at = sensible(asked.at.unwrap_or_else(|| quotas.now()))?;
    let lines = quotas.invoice(&scope, at).await.map_err(|error| failed(&error))?;
    Ok(Json(Listed::whole(lines.into_iter().map(QuotaInvoiceLine::from).collect())))
}
