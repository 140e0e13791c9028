//! What tenants are told: every change is an event in the transaction that makes it, which their endpoints hear of after: there is no change
//! that nobody is told of, and nobody is told of a change that was not kept.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use guardian::core::{PageRequest, Scope};
use guardian::http::Problem;
use guardian::rbac::Rbac;
use guardian::webhook::{
    Config, DeliveryFilter, EgressPolicy, EndpointSettings, Error, KeyChoice, NewKey, Publish,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::App;
use crate::roles;
use crate::routes::{bad_request, failed};

/// The key that secrets are sealed with. A service keeps its own where it keeps its passwords; this one is the demo's.
pub(crate) const DEMO_KEY: [u8; 32] = *b"the demo's key, known to all .. ";

/// The demo may send to one port of this machine, if it is told which; otherwise to the Internet alone.
pub(crate) fn config(inside: Option<u16>) -> Config {
    let policy = inside
        .into_iter()
        .fold(EgressPolicy::default(), |policy, port| policy.allow_target("127.0.0.1", port));
    Config::default().with_egress(policy).with_source("urn:example:crm")
}

/// `POST /webhooks`, `GET /webhooks`, `GET /webhooks/deliveries`, `POST /webhooks/{endpoint}/test`.
pub(crate) fn api(rbac: &Rbac) -> Result<Router<App>, guardian::rbac::Error> {
    let takes = roles::takes(rbac, "integration:edit")?;
    Ok(Router::new()
        .route("/webhooks", post(create).get(list))
        .route("/webhooks/deliveries", get(deliveries))
        .route("/webhooks/{endpoint}/test", post(test))
        .layer(takes))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    url: String,
    #[serde(default)]
    types: Vec<String>,
}

async fn create(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
    asked: Result<Json<Asked>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Json(Asked { url, types }) = asked.map_err(|rejection| bad_request(&rejection.body_text()))?;
    let settings = EndpointSettings::new(url)
        .with_types(types.iter().map(String::as_str))
        .map_err(|error| bad_request(&error))?
        .with_ordering(true);
    let created = app.guardian.webhooks().create_endpoint(&scope, settings, KeyChoice::NewSecret).await;
    let (endpoint, key) = created.map_err(refused)?;
    let secret = match key {
        NewKey::Secret(secret) => json!(*secret.reveal()),
        _ => Value::Null,
    };
    Ok((
        StatusCode::CREATED,
        Json(json!({"id": endpoint.id, "url": endpoint.settings.url, "secret": secret})),
    ))
}

async fn list(State(app): State<App>, Extension(scope): Extension<Scope>) -> Result<Json<Value>, Problem> {
    let page = PageRequest::first(100).map_err(|error| bad_request(&error))?;
    let found = app.guardian.webhooks().endpoints(&scope, &page).await.map_err(refused)?;
    let shown = found
        .items
        .iter()
        .map(|each| json!({"id": each.id, "url": each.settings.url, "status": each.status}));
    Ok(Json(json!({"items": shown.collect::<Vec<_>>()})))
}

async fn deliveries(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
) -> Result<Json<Value>, Problem> {
    let page = PageRequest::first(50).map_err(|error| bad_request(&error))?;
    let found =
        app.guardian.webhooks().deliveries(&scope, &DeliveryFilter::new(), &page).await.map_err(refused)?;
    Ok(Json(json!({"items": found.items})))
}

async fn test(
    State(app): State<App>,
    Extension(scope): Extension<Scope>,
    Path(endpoint): Path<String>,
) -> Result<Json<Value>, Problem> {
    let endpoint = endpoint.parse().map_err(|error| bad_request(&error))?;
    let publish = Publish::json("crm.test", &json!({"type": "crm.test"})).map_err(refused)?;
    let trial = app
        .guardian
        .webhooks()
        .send_test(&scope, endpoint, app.guardian.sender(), publish)
        .await
        .map_err(refused)?;
    let outcome = match &trial.outcome {
        Ok(answer) => json!({"status": answer.status}),
        Err(error) => json!({"error": error.to_string()}),
    };
    Ok(Json(json!({"request": trial.request.headers, "outcome": outcome, "success": trial.verdict.success})))
}

/// What the client can mend is the client's, the rest is not.
fn refused(error: Error) -> Problem {
    match error {
        Error::Store(error) => failed(&error),
        Error::NoEndpoint { .. } => Problem::new(StatusCode::NOT_FOUND).with_detail(error.to_string()),
        other => bad_request(&other),
    }
}
