//! What whoever runs the service can see and change: the limits of a tenant.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use guardian::assembly::Error;
use guardian::core::TenantId;
use guardian::http::Problem;
use guardian::ratelimit::{self, Rule};
use serde::Deserialize;
use serde_json::Value;

use crate::App;
use crate::auth;
use crate::routes::{bad_request, failed};

pub(crate) fn api() -> Router<App> {
    Router::new()
        .route("/tenants/{tenant}/limits", get(show))
        .route("/tenants/{tenant}/limits/{policy}", put(override_rule).delete(restore_rule))
}

async fn show(State(app): State<App>, Path(tenant): Path<String>) -> Result<Json<Value>, Problem> {
    limits_of(&app, &tenant_id(&tenant)?).await
}

/// `{"rule": "1000/min burst 200"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRule {
    rule: String,
}

async fn override_rule(
    State(app): State<App>,
    Path((tenant, policy)): Path<(String, String)>,
    body: Result<Json<NewRule>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(new) = body.map_err(|rejection| bad_request(&rejection.body_text()))?;
    let rule: Rule = new.rule.parse().map_err(|error| bad_request(&error))?;
    change(&app, &tenant, &policy, Some(rule)).await
}

async fn restore_rule(
    State(app): State<App>,
    Path((tenant, policy)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    change(&app, &tenant, &policy, None).await
}

/// It is kept, and in the operator's own log stands who did it.
async fn change(app: &App, tenant: &str, policy: &str, rule: Option<Rule>) -> Result<Json<Value>, Problem> {
    let tenant = tenant_id(tenant)?;
    if !app.limits.is_of_tenants(policy) {
        return Err(bad_request(&ratelimit::Error::UnknownPolicy { policy: policy.to_owned() }));
    }
    let platform = auth::platform("the operator's API was told so").map_err(|error| bad_request(&error))?;
    let changed = app.guardian.limit_tenant(&platform, &tenant, policy, rule).await;
    changed.map_err(|error| refused(&error))?;
    limits_of(app, &tenant).await
}

async fn limits_of(app: &App, tenant: &TenantId) -> Result<Json<Value>, Problem> {
    let limits = app.limits.of_tenant(tenant).await;
    limits
        .map(Json)
        .map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE).with_detail(error.to_string()))
}

/// A tenant that there is.
pub(crate) fn tenant_id(text: &str) -> Result<TenantId, Problem> {
    let tenant = TenantId::new(text).map_err(|error| bad_request(&error))?;
    let known = auth::tenants().any(|other| other == tenant);
    let nobody = || Problem::new(StatusCode::NOT_FOUND).with_detail(format!("there is no tenant `{tenant}`"));
    if known { Ok(tenant) } else { Err(nobody()) }
}

fn refused(error: &Error) -> Problem {
    match error {
        Error::Store(error) | Error::RateLimit(ratelimit::Error::Store(error)) => failed(error),
        error => bad_request(error),
    }
}
