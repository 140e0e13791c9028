//! The log of deliveries: reading it, sending again, and cancelling.

use std::time::Duration;

use axum::extract::State;
use guardian_core::Timestamp;
use guardian_webhook::{Attempt, Delivery, DeliveryId, DeliveryStore, Refused};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::endpoint::cursor_of_an_id;
use super::selection::{DeliveryQuery, WebhookDeliverySelection};
use super::{
    Answer, DELIVERY_ID, ENDPOINT_ID, Items, MESSAGE_ID, Reached, endpoint_id, failed, manages, named,
    of_endpoint, reads,
};
use crate::api::{Api, Caller, Json, Listed, Operation, Params, PathParam};

/// A message on its way to one endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookDelivery {
    /// Its id.
    id: String,
    /// What is delivered.
    message: String,
    /// Where to.
    endpoint: String,
    /// What happened.
    event_type: String,
    /// How far it is: `queued`, `sending`, `waiting`, `succeeded`, `dead` or `cancelled`.
    state: &'static str,
    /// Why it ended, where it did not succeed.
    reason: Option<String>,
    /// Attempts that were made.
    attempts: u32,
    /// When it is tried next.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_at: Option<Timestamp>,
    /// When it was published.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished: Option<Timestamp>,
    /// Its ordering key, at an ordered endpoint.
    ordering_key: Option<String>,
    /// The status of the last answer.
    last_status: Option<u16>,
}

/// A delivery with all that was tried.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookDeliveryLog {
    /// The delivery.
    delivery: WebhookDelivery,
    /// What was tried, in its order.
    attempts: Vec<WebhookAttempt>,
}

/// One attempt.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookAttempt {
    /// Its number, from 1.
    number: u32,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    started: Timestamp,
    /// How long it took, in milliseconds.
    latency_ms: u64,
    /// Whether the endpoint took the message.
    succeeded: bool,
    /// The status of the answer; null when there was none.
    status: Option<u16>,
    /// Where it was connected to.
    address: Option<String>,
    /// Why there was no answer.
    error: Option<String>,
    /// Headers that were sent; values of the endpoint's own are left out.
    request_headers: Vec<WebhookHeader>,
    /// Headers of the answer.
    response_headers: Vec<WebhookHeader>,
    /// The beginning of the answer's body; what is not UTF-8 is replaced.
    response_body: String,
    /// Whether the answer's body was longer.
    truncated: bool,
}

/// One header.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookHeader {
    /// Its name, in lower case.
    pub(super) name: String,
    /// Its value.
    pub(super) value: String,
}

/// Since when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookRecovery {
    /// Dead letters that were published then or later are sent again.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

/// How many deliveries were touched.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookDeliveriesTouched {
    /// How many.
    deliveries: u64,
}

/// Whether a delivery is sent again.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookDeliveryResent {
    /// False of one that has not ended, which is left alone.
    resent: bool,
}

impl From<&Delivery> for WebhookDelivery {
    fn from(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            message: delivery.message.to_string(),
            endpoint: delivery.endpoint.to_string(),
            event_type: delivery.event_type.to_string(),
            state: delivery.state.as_str(),
            reason: delivery.reason.clone(),
            attempts: delivery.attempts,
            next_at: delivery.next_at,
            created: delivery.created,
            finished: delivery.finished,
            ordering_key: delivery.lane.clone(),
            last_status: delivery.last_status,
        }
    }
}

impl From<Attempt> for WebhookAttempt {
    fn from(attempt: Attempt) -> Self {
        let headers = |all: Vec<(String, String)>| {
            all.into_iter().map(|(name, value)| WebhookHeader { name, value }).collect()
        };
        Self {
            number: attempt.number,
            started: attempt.started,
            latency_ms: millis(attempt.latency),
            succeeded: attempt.succeeded(),
            status: attempt.status,
            address: attempt.address.map(|address| address.to_string()),
            error: attempt.error.map(|error| Refused::for_tenants(&error).to_owned()),
            request_headers: headers(attempt.exchange.request),
            response_headers: headers(attempt.exchange.response),
            response_body: attempt.exchange.body,
            truncated: attempt.exchange.truncated,
        }
    }
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn example() -> Value {
    json!({
        "id": DELIVERY_ID, "message": MESSAGE_ID, "endpoint": ENDPOINT_ID, "event_type": "deal.won",
        "state": "dead", "reason": "the schedule has ended", "attempts": 8, "next_at": null,
        "created": "2026-03-01T00:00:00Z", "finished": "2026-03-02T04:00:00Z", "ordering_key": null,
        "last_status": 500,
    })
}

fn touched(operation: Operation) -> Operation {
    operation.answers::<WebhookDeliveriesTouched>(
        StatusCode::OK,
        "How many deliveries it were.",
        json!({"deliveries": 12}),
    )
}

pub(super) fn declare<S: DeliveryStore>(api: Api<Reached<S>>) -> Api<Reached<S>> {
    let of_delivery = |operation: Operation| operation.path("delivery", "Its id.", DELIVERY_ID);
    let list = reads("listWebhookDeliveries", "The log of deliveries, the newest first")
        .query::<DeliveryQuery>()
        .answers::<Listed<WebhookDelivery>>(
            StatusCode::OK,
            "A page.",
            json!({"items": [example()], "next": null}),
        );
    let read = of_delivery(reads("readWebhookDelivery", "One delivery, with all that was tried"))
        .answers::<WebhookDeliveryLog>(
        StatusCode::OK,
        "The delivery and its attempts.",
        json!({"delivery": example(), "attempts": [{
            "number": 1, "started": "2026-03-01T00:00:01Z", "latency_ms": 40, "succeeded": false,
            "status": 500, "address": "203.0.113.7", "error": null,
            "request_headers": [{"name": "webhook-id", "value": MESSAGE_ID}],
            "response_headers": [], "response_body": "out of order", "truncated": false,
        }]}),
    );
    let resend = of_delivery(manages("resendWebhookDelivery", "Send one delivery again"))
        .about("One that has not ended is left alone.")
        .answers::<WebhookDeliveryResent>(StatusCode::OK, "Whether it is.", json!({"resent": true}));
    let cancel = touched(manages("cancelWebhookDeliveries", "Cancel deliveries that have not ended"))
        .body::<WebhookDeliverySelection>(json!({"endpoint": ENDPOINT_ID, "state": "queued"}));
    let replay = touched(manages("replayWebhookDeliveries", "Send deliveries again that have ended"))
        .about("Whatever their end was: those that succeeded too, unless a state is named.")
        .body::<WebhookDeliverySelection>(json!({"state": "dead", "since": "2026-03-01T00:00:00Z"}));
    let recover =
        of_endpoint(touched(manages("recoverWebhookEndpoint", "Send an endpoint's dead letters again")))
            .about("All that were published since: after it was mended.")
            .body::<WebhookRecovery>(json!({"since": "2026-03-01T00:00:00Z"}));
    api.get("/webhooks/deliveries", list, list_deliveries::<S>)
        .get("/webhooks/deliveries/{delivery}", read, read_delivery::<S>)
        .post("/webhooks/deliveries/{delivery}/resend", resend, resend_delivery::<S>)
        .post("/webhooks/deliveries/cancel", cancel, cancel_deliveries::<S>)
        .post("/webhooks/deliveries/replay", replay, replay_deliveries::<S>)
        .post("/webhooks/endpoints/{endpoint}/recover", recover, recover_endpoint::<S>)
}

async fn list_deliveries<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    Params(query): Params<DeliveryQuery>,
) -> Items<WebhookDelivery> {
    let (selection, text, page) = query.split();
    let (filter, page) = (selection.filter()?, page.request()?);
    cursor_of_an_id(page.cursor())?;
    let page = match text {
        Some(text) => reached.webhooks.search(&scope, &text, &filter, &page).await,
        None => reached.webhooks.deliveries(&scope, &filter, &page).await,
    };
    let page = page.map_err(|error| failed(&error))?;
    Ok(Json(Listed::of(page, |delivery| WebhookDelivery::from(&delivery))))
}

async fn read_delivery<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
) -> Answer<WebhookDeliveryLog> {
    let id: DeliveryId = named("delivery", &id)?;
    let found = reached.webhooks.delivery(&scope, id).await.map_err(|error| failed(&error))?;
    Ok(Json(WebhookDeliveryLog {
        delivery: (&found.0).into(),
        attempts: found.1.into_iter().map(WebhookAttempt::from).collect(),
    }))
}

async fn resend_delivery<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
) -> Answer<WebhookDeliveryResent> {
    let id: DeliveryId = named("delivery", &id)?;
    let resent = reached.webhooks.resend(&scope, id).await.map_err(|error| failed(&error))?;
    Ok(Json(WebhookDeliveryResent { resent }))
}

async fn cancel_deliveries<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    Json(selection): Json<WebhookDeliverySelection>,
) -> Answer<WebhookDeliveriesTouched> {
    let deliveries = reached.webhooks.cancel(&scope, &selection.some()?).await;
    Ok(Json(WebhookDeliveriesTouched { deliveries: deliveries.map_err(|error| failed(&error))? }))
}

async fn replay_deliveries<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    Json(selection): Json<WebhookDeliverySelection>,
) -> Answer<WebhookDeliveriesTouched> {
    let deliveries = reached.webhooks.replay(&scope, &selection.some()?).await;
    Ok(Json(WebhookDeliveriesTouched { deliveries: deliveries.map_err(|error| failed(&error))? }))
}

async fn recover_endpoint<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    Json(WebhookRecovery { since }): Json<WebhookRecovery>,
) -> Answer<WebhookDeliveriesTouched> {
    let id = endpoint_id(&id)?;
    // An endpoint that is not there has nothing to recover, which would look as if all were well.
    reached.webhooks.endpoint(&scope, id).await.map_err(|error| failed(&error))?;
    let deliveries = reached.webhooks.recover(&scope, id, since).await;
    Ok(Json(WebhookDeliveriesTouched { deliveries: deliveries.map_err(|error| failed(&error))? }))
}
