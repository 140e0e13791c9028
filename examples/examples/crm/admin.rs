//! What whoever runs the service can see and change: the limits of a tenant.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
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
    let tenant = tenant_id(&tenant)?;
    let rule: Rule = new.rule.parse().map_err(|error| bad_request(&error))?;
    app.limits.set_rule(&policy, &tenant, Some(rule)).await.map_err(|error| refused(&error))?;
    limits_of(&app, &tenant).await
}

async fn restore_rule(
    State(app): State<App>,
    Path((tenant, policy)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let tenant = tenant_id(&tenant)?;
    app.limits.set_rule(&policy, &tenant, None).await.map_err(|error| refused(&error))?;
    limits_of(&app, &tenant).await
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

fn refused(error: &ratelimit::Error) -> Problem {
    match error {
        ratelimit::Error::Store(error) => failed(error),
        error => bad_request(error),
    }
}
