//! What a plan includes: API calls, records and seats. Everything is in the database, so it is there again after a restart.

use std::error::Error as StdError;

use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use guardian::core::Scope;
use guardian::http::{OnOutage, Problem, QuotaLayer};
use guardian::quota::{Decision, Error, Plan, Quotas, SqlStore, Subject, Usage};
use serde_json::{Value, json};

use crate::App;
use crate::routes::{bad_request, failed};

type Shared = Quotas<SqlStore>;

const FEATURES: [&str; 3] = ["api_calls", "records", "seats"];

/// The plans. A seat is a key that was used in the month.
pub(crate) fn plans() -> Result<[Plan; 2], Box<dyn StdError>> {
    let plan = |name: &str, calls: u64, records: u64, seats: u64| {
        let text = json!({ "name": name, "features": {
            "api_calls": { "metered": { "unit": "call", "aggregation": "count", "billed": true, "limits": { "org": {
                "amount": calls, "thresholds": [80, 100],
                "at_limit": { "overage": { "price": { "currency": "usd", "micros": 50_000_000, "per": 1_000 }, "cap": calls } },
            } } } },
            "records": { "metered": { "unit": "record", "aggregation": "sum", "limits": { "org": {
                "amount": records, "period": "lifetime", "thresholds": [90],
            } } } },
            "seats": { "metered": { "unit": "seat", "aggregation": "unique", "limits": { "org": { "amount": seats } } } },
        } });
        Plan::parse(&text.to_string())
    };
    Ok([plan("starter", 10_000, 500, 3)?, plan("business", 1_000_000, 100_000, 100)?])
}

/// A call for each request that our side does not fail.
pub(crate) fn calls(quotas: &Shared) -> Result<QuotaLayer<SqlStore>, Error> {
    let layer = QuotaLayer::new(quotas, "api_calls", OnOutage::Admit)?;
    Ok(layer.counting(|status| !status.is_server_error()).silent())
}

/// The key of a request takes a seat for the month, unless it has one.
pub(crate) async fn take_a_seat(State(app): State<App>, request: Request, next: Next) -> Response {
    if let Some(scope) = request.extensions().get::<Scope>()
        && let Err(problem) =
            spend(&app, scope, "seats", |usage| usage.with_value(&scope.actor().to_string())).await
    {
        return problem.into_response();
    }
    next.run(request).await
}

/// A record more, if the plan has room for it. It is spent for first: a process that dies in between counts a record that is not
/// there, which an operator corrects (`Quotas::adjust`), and never lets one in that is not counted.
pub(crate) async fn add_record(app: &App, scope: &Scope) -> Result<(), Problem> {
    spend(app, scope, "records", |usage| usage).await
}

/// A record less.
pub(crate) async fn remove_record(app: &App, scope: &Scope) -> Result<(), Problem> {
    let usage = Usage::of("records", &Subject::org(), 1).map_err(|error| refused(&error))?;
    match app.guardian.quotas().give_back(scope, &usage).await {
        // Of before there were quotas.
        Ok(_) | Err(Error::OutOfRange { .. }) => Ok(()),
        Err(error) => Err(refused(&error)),
    }
}

async fn spend(
    app: &App,
    scope: &Scope,
    feature: &str,
    with: impl FnOnce(Usage) -> Usage,
) -> Result<(), Problem> {
    let usage = Usage::of(feature, &Subject::org(), 1).map_err(|error| refused(&error))?;
    let decision =
        app.guardian.quotas().consume(scope, &with(usage)).await.map_err(|error| refused(&error))?;
    if decision.allowed { Ok(()) } else { Err(used_up(feature, &decision)) }
}

fn used_up(feature: &str, decision: &Decision) -> Problem {
    let included = decision.limit.unwrap_or(0);
    Problem::new(StatusCode::PAYMENT_REQUIRED)
        .with_detail(format!("the plan includes {included} {feature}, and they are used up"))
}

fn refused(error: &Error) -> Problem {
    match error {
        Error::Store(error) => failed(error),
        error => bad_request(error),
    }
}

pub(crate) fn api() -> Router<App> {
    Router::new().route("/usage", get(show))
}

async fn show(State(app): State<App>, Extension(scope): Extension<Scope>) -> Result<Json<Value>, Problem> {
    let mut usage = serde_json::Map::new();
    for feature in FEATURES {
        let balance = app
            .guardian
            .quotas()
            .balance(&scope, feature, &Subject::org())
            .await
            .map_err(|error| refused(&error))?;
        let number = |amount: i128| i64::try_from(amount).unwrap_or(i64::MAX);
        let stands = json!({
            "used": number(balance.used),
            "included": balance.limit,
            "left": balance.remaining.map(number),
            "resets_at": balance.resets_at,
        });
        usage.insert(feature.to_owned(), stands);
    }
    let subscription = app.guardian.quotas().subscription(&scope).await.map_err(|error| refused(&error))?;
    let plan = subscription.map(|subscription| subscription.plan().to_string());
    Ok(Json(json!({ "plan": plan, "usage": usage })))
}
