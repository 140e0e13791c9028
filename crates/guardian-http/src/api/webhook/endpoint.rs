//! Endpoints.

mod settings;
mod view;

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse};
use guardian_core::Cursor;
use guardian_webhook::{
    DeliveryStore, DisableReason, Endpoint, EndpointStatus, Error, KeyChoice, NewKey, PublicKeys,
};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde_json::json;

use self::settings::{NewWebhookEndpoint, NewWebhookKey, WebhookEndpointPatch};
use self::view::{
    WebhookEndpoint, WebhookEndpointMade, WebhookKeyShown, WebhookPublicKeys, WebhookQueue, endpoint_example,
    key_example, queue_example,
};
use super::{Answer, Items, Reached, endpoint_id, failed, manages, of_endpoint, reads};
use crate::Problem;
use crate::api::{
    Api, Caller, IfMatch, IfNoneMatch, Json, Kind, Listed, Operation, PageParams, PathParam, Tagged,
};

pub(super) fn declare<S: DeliveryStore>(api: Api<Reached<S>>) -> Api<Reached<S>> {
    let told = |operation: Operation| {
        operation.tagged().answers::<WebhookEndpoint>(
            StatusCode::OK,
            "The endpoint as it is now.",
            endpoint_example(),
        )
    };
    let list =
        reads("listWebhookEndpoints", "The tenant's endpoints").pages().answers::<Listed<WebhookEndpoint>>(
            StatusCode::OK,
            "A page.",
            json!({"items": [endpoint_example()], "next": null}),
        );
    let create = manages("createWebhookEndpoint", "Make an endpoint")
        .about("Its key is in this answer and in no other.")
        .body::<NewWebhookEndpoint>(json!({
            "url": "https://example.com/hooks", "types": ["deal.*"], "headers": {"x-environment": "live"},
        }))
        .tagged()
        .answers::<WebhookEndpointMade>(
            StatusCode::CREATED,
            "The endpoint, and its key.",
            json!({"endpoint": endpoint_example(), "key": key_example()}),
        );
    let read = of_endpoint(reads("readWebhookEndpoint", "One endpoint"));
    let update = of_endpoint(manages("updateWebhookEndpoint", "Change some of an endpoint's settings"))
        .about("What is not named stays as it is. Headers are changed one by one: null takes one away.")
        .if_match()
        .body::<WebhookEndpointPatch>(
            json!({"description": "Deals", "headers": {"x-environment": null}, "rate": 50}),
        );
    let remove = of_endpoint(manages("removeWebhookEndpoint", "Forget an endpoint"))
        .about("What was queued for it is cancelled.")
        .if_match()
        .answers_nothing(StatusCode::NO_CONTENT, "It is.");
    let enable = of_endpoint(manages("enableWebhookEndpoint", "Enable an endpoint again"))
        .about("What was queued goes on, and the breaker is closed.");
    let disable = of_endpoint(manages("disableWebhookEndpoint", "Disable an endpoint"))
        .about("Nothing new is queued for it, and what is queued waits.");
    let rotate = of_endpoint(manages("rotateWebhookKey", "Give an endpoint a new key"))
        .about("The old one goes on signing beside it for a day, or as the host says. The new one is in this answer and in no other.")
        .body::<NewWebhookKey>(json!({"kind": "hmac"}))
        .answers::<WebhookKeyShown>(StatusCode::OK, "The new key.", key_example());
    let keys = of_endpoint(reads(
        "readWebhookPublicKeys",
        "The public keys that an endpoint's messages are signed with",
    ))
    .about("A JSON Web Key Set (RFC 7517). Shared secrets are never in it.")
    .answers::<WebhookPublicKeys>(StatusCode::OK, "The keys.", json!({"keys": []}));
    let queue = of_endpoint(reads("readWebhookQueue", "What waits for an endpoint, and how it does"))
        .answers::<WebhookQueue>(StatusCode::OK, "The queue.", queue_example());
    api.get("/webhooks/endpoints", list, list_endpoints::<S>)
        .post("/webhooks/endpoints", create, create_endpoint::<S>)
        .get("/webhooks/endpoints/{endpoint}", told(read), read_endpoint::<S>)
        .patch("/webhooks/endpoints/{endpoint}", told(update), update_endpoint::<S>)
        .delete("/webhooks/endpoints/{endpoint}", remove, remove_endpoint::<S>)
        .post("/webhooks/endpoints/{endpoint}/enable", told(enable), enable_endpoint::<S>)
        .post("/webhooks/endpoints/{endpoint}/disable", told(disable), disable_endpoint::<S>)
        .post("/webhooks/endpoints/{endpoint}/rotate-key", rotate, rotate_key::<S>)
        .get("/webhooks/endpoints/{endpoint}/public-keys", keys, read_keys::<S>)
        .get("/webhooks/endpoints/{endpoint}/queue", queue, read_queue::<S>)
}

/// The cursors of webhooks are ids.
pub(super) fn cursor_of_an_id(cursor: Option<&Cursor>) -> Result<(), Problem> {
    if cursor.is_none_or(|cursor| cursor.as_bytes().len() == 16) {
        return Ok(());
    }
    Err(Kind::InvalidRequest.because("the cursor is none of this list: pass on what the last page gave"))
}

async fn found<S: DeliveryStore>(
    reached: &Reached<S>,
    scope: &guardian_core::Scope,
    id: &str,
) -> Result<Endpoint, Problem> {
    reached.webhooks.endpoint(scope, endpoint_id(id)?).await.map_err(|error| failed(&error))
}

fn tagged(endpoint: &Endpoint) -> Tagged<WebhookEndpoint> {
    Tagged::new(endpoint.revision, WebhookEndpoint::from(endpoint))
}

/// A key is shown to the caller and to no cache.
fn kept_by_nobody(answer: impl IntoResponse) -> impl IntoResponse {
    (AppendHeaders([(CACHE_CONTROL, "no-store")]), answer)
}

async fn list_endpoints<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    page: PageParams,
) -> Items<WebhookEndpoint> {
    let page = page.request()?;
    cursor_of_an_id(page.cursor())?;
    let page = reached.webhooks.endpoints(&scope, &page).await.map_err(|error| failed(&error))?;
    Ok(Json(Listed::of(page, |endpoint| WebhookEndpoint::from(&endpoint))))
}

async fn create_endpoint<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    Json(new): Json<NewWebhookEndpoint>,
) -> Result<impl IntoResponse, Problem> {
    let key = choice(new.key.as_ref())?;
    let settings = new.settings().map_err(|error| failed(&error))?;
    let made = reached.webhooks.create_endpoint(&scope, settings, key).await;
    let (endpoint, key) = made.map_err(|error| failed(&error))?;
    let told = WebhookEndpointMade { endpoint: (&endpoint).into(), key: shown(&key) };
    Ok(kept_by_nobody(Tagged::created(endpoint.revision, told)))
}

async fn read_endpoint<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    known: IfNoneMatch,
) -> Result<Tagged<WebhookEndpoint>, Problem> {
    Ok(tagged(&found(&reached, &scope, &id).await?).unless(known))
}

async fn update_endpoint<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    wanted: IfMatch,
    Json(patch): Json<WebhookEndpointPatch>,
) -> Result<Tagged<WebhookEndpoint>, Problem> {
    let endpoint = found(&reached, &scope, &id).await?;
    wanted.holds(endpoint.revision)?;
    patch.keeps_headers_from_others(&endpoint.settings)?;
    let settings = patch.apply(endpoint.settings.clone()).map_err(|error| failed(&error))?;
    match reached.webhooks.update_endpoint(&scope, &endpoint, settings).await {
        Ok(endpoint) => Ok(tagged(&endpoint)),
        // Somebody else was between the reading and the writing here.
        Err(error @ Error::Conflict { .. }) => Err(Kind::Changed.because(error)),
        Err(error) => Err(failed(&error)),
    }
}

async fn remove_endpoint<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    wanted: IfMatch,
) -> Result<StatusCode, Problem> {
    let id = endpoint_id(&id)?;
    let removed = match wanted {
        IfMatch::Revision(revision) => reached.webhooks.remove_endpoint_at(&scope, id, revision).await,
        IfMatch::Any => reached.webhooks.remove_endpoint(&scope, id).await,
    };
    match removed {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error @ Error::Conflict { .. }) => Err(Kind::Changed.because(error)),
        Err(error) => Err(failed(&error)),
    }
}

async fn enable_endpoint<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
) -> Result<Tagged<WebhookEndpoint>, Problem> {
    let endpoint = reached.webhooks.enable_endpoint(&scope, endpoint_id(&id)?).await;
    endpoint.map(|endpoint| tagged(&endpoint)).map_err(|error| failed(&error))
}

async fn disable_endpoint<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
) -> Result<Tagged<WebhookEndpoint>, Problem> {
    let reason = DisableReason::ByHand;
    let endpoint = reached.webhooks.disable_endpoint(&scope, endpoint_id(&id)?, reason).await;
    endpoint.map(|endpoint| tagged(&endpoint)).map_err(|error| failed(&error))
}

async fn rotate_key<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    Json(new): Json<NewWebhookKey>,
) -> Result<impl IntoResponse, Problem> {
    let (id, key) = (endpoint_id(&id)?, choice(Some(&new))?);
    let key = reached.webhooks.rotate_key(&scope, id, key).await.map_err(|error| failed(&error))?;
    Ok(kept_by_nobody(Json(shown(&key))))
}

async fn read_keys<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
) -> Answer<WebhookPublicKeys> {
    let endpoint = found(&reached, &scope, &id).await?;
    let document = PublicKeys::of(&endpoint, reached.webhooks.now()).to_json();
    serde_json::from_value(document).map(Json).map_err(|_| Kind::Internal.because("the keys do not read"))
}

async fn read_queue<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
) -> Answer<WebhookQueue> {
    let queue = reached.webhooks.queue(&scope, endpoint_id(&id)?).await.map_err(|error| failed(&error))?;
    Ok(Json(queue.into()))
}

fn choice(wanted: Option<&NewWebhookKey>) -> Result<KeyChoice, Problem> {
    wanted.map_or(Ok(KeyChoice::NewSecret), NewWebhookKey::choice).map_err(|error| failed(&error))
}

fn shown(key: &NewKey) -> WebhookKeyShown {
    let (kind, secret, public) = match key {
        NewKey::Secret(secret) => ("hmac", Some(secret.reveal().to_string()), None),
        NewKey::Public(public) => ("ed25519", None, Some(public.to_string())),
        _ => ("external", None, None),
    };
    WebhookKeyShown { kind, secret, public }
}

fn disabled(status: &EndpointStatus) -> Option<(guardian_core::Timestamp, String)> {
    match status {
        EndpointStatus::Disabled { since, reason } => Some((*since, reason.to_string())),
        _ => None,
    }
}
