//! What whoever runs the service can see and change: the limits of a tenant.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use guardian::core::TenantId;
use guardian::http::Problem;
use guardian::ratelimit::Rule;
use serde::Deserialize;
use serde_json::Value;

use crate::App;
use crate::routes::bad_request;

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
    let tenant = tenant_id(&tenant)?;
    let rule: Rule = new.rule.parse().map_err(|error| bad_request(&error))?;
    app.limits.set_rule(&policy, &tenant, Some(rule)).map_err(|error| bad_request(&error))?;
    limits_of(&app, &tenant).await
}

async fn restore_rule(
    State(app): State<App>,
    Path((tenant, policy)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let tenant = tenant_id(&tenant)?;
    app.limits.set_rule(&policy, &tenant, None).map_err(|error| bad_request(&error))?;
    limits_of(&app, &tenant).await
}

async fn limits_of(app: &App, tenant: &TenantId) -> Result<Json<Value>, Problem> {
    let limits = app.limits.of_tenant(tenant).await;
    limits
        .map(Json)
        .map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE).with_detail(error.to_string()))
}

fn tenant_id(text: &str) -> Result<TenantId, Problem> {
    TenantId::new(text).map_err(|error| bad_request(&error))
}
