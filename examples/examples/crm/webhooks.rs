//! What tenants are told: every change is published to their endpoints in the transaction that makes it, so there is no change that
//! nobody is told of, and nobody is told of a change that was not kept.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use guardian::core::{
    Event, PageRequest, Scope, StoreError, StoreErrorKind, SystemClock, SystemIds, TenantId,
};
use guardian::http::Problem;
use guardian::http::api::Api;
use guardian::rbac::Rbac;
use guardian::sql::{Database, TenantTx};
use guardian::webhook::store::SqlStore;
use guardian::webhook::{
    AeadVault, Config, DeliveryFilter, EgressPolicy, EndpointSettings, Error, KeyChoice, NewKey, Publish,
    ReqwestSender, TokioTimer, Webhooks, Worker, WorkerConfig,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::App;
use crate::roles;
use crate::routes::{bad_request, failed};

/// The key that secrets are sealed with. A service keeps its own where it keeps its passwords; this one is the demo's.
const DEMO_KEY: [u8; 32] = *b"the demo's key, known to all .. ";

#[derive(Debug)]
pub(crate) struct Hooks {
    webhooks: Webhooks<SqlStore>,
    sender: ReqwestSender,
    worker: Worker<SqlStore, ReqwestSender>,
}

impl Hooks {
    /// Opens the webhooks. The demo may send to one port of this machine, if it is told which; otherwise to the Internet alone.
    pub(crate) async fn open(db: Database, inside: Option<u16>) -> Result<Self, Box<dyn std::error::Error>> {
        let operator = Scope::system(TenantId::new("operator")?);
        let policy = inside
            .into_iter()
            .fold(EgressPolicy::default(), |policy, port| policy.allow_target("127.0.0.1", port));
        let store = SqlStore::open(db, &operator).await?;
        let config = Config::default().with_egress(policy).with_source("urn:example:crm");
        let webhooks =
            Webhooks::new(store, AeadVault::new(DEMO_KEY), SystemClock::new(), SystemIds::new(), config);
        let sender = ReqwestSender::new(webhooks.config().http())?;
        let worker = Worker::new(&webhooks, sender.clone(), WorkerConfig::default());
        Ok(Self { webhooks, sender, worker })
    }

    /// The ready-made operations on webhooks; trials are sent as deliveries are.
    pub(crate) fn api(&self) -> Api {
        guardian::http::api::webhook::api(self.webhooks.clone(), self.sender.clone())
    }

    /// Publishes a change within its own transaction; messages of one record come in order.
    pub(crate) async fn publish(
        &self,
        tx: &mut TenantTx,
        event: &str,
        id: Uuid,
        (before, after): (&Value, &Value),
    ) -> Result<(), StoreError> {
        let body = json!({"type": event, "id": id, "data": after, "before": before});
        let publish = Publish::json(event, &body).map_err(fault)?.with_ordering_key(id.to_string());
        self.webhooks.publish_in(tx, publish).await.map(drop).map_err(fault)
    }

    /// Publishes an event that another part raised; once, however often it comes.
    pub(crate) async fn tell(&self, event: &Event) -> Result<(), StoreError> {
        let body = json!({"type": event.name, "id": event.id, "data": event.data});
        let publish =
            Publish::json(&event.name, &body).map_err(fault)?.with_idempotency_key(event.id.to_string());
        let scope = Scope::new(event.tenant.clone(), event.actor.clone());
        self.webhooks.publish(&scope, publish).await.map(drop).map_err(fault)
    }

    /// Delivers until `stop` is true, and then what is under way. A store that is away for a moment is tried again.
    #[expect(clippy::print_stderr, reason = "the terminal is this demo's log")]
    pub(crate) async fn deliver(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let asked = Box::pin(async {
                // Whoever could ask is gone: that is asking as well.
                let _ = stop.wait_for(|stop| *stop).await;
            });
            if let Err(error) = self.worker.run(&TokioTimer::new(), asked).await {
                eprintln!("crm: webhooks: {error}");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }
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
    let created = app.hooks.webhooks.create_endpoint(&scope, settings, KeyChoice::NewSecret).await;
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
    let found = app.hooks.webhooks.endpoints(&scope, &page).await.map_err(refused)?;
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
        app.hooks.webhooks.deliveries(&scope, &DeliveryFilter::new(), &page).await.map_err(refused)?;
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
        .hooks
        .webhooks
        .send_test(&scope, endpoint, app.hooks.worker.sender(), publish)
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

fn fault(error: Error) -> StoreError {
    match error {
        Error::Store(error) => error,
        other => StoreError::new(StoreErrorKind::Internal, "webhooks").with_source(other),
    }
}
