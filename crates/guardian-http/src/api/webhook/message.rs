//! Event types and messages.

use std::collections::BTreeMap;

use axum::extract::State;
use guardian_core::Timestamp;
use guardian_webhook::{DeliveryStore, EventType, EventTypeName, Message, MessageId, Publish, Published};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{Answer, Items, MESSAGE_ID, Reached, failed, manages, named, reads};
use crate::Problem;
use crate::api::{Api, Caller, IdempotencyKey, Json, Kind, Listed, Operation, Params, PathParam};

/// Something that can happen.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookEventType {
    /// Its name.
    name: String,
    /// What it is, for people.
    description: String,
    /// A JSON Schema of the payload; null when there is none.
    #[schema(value_type = Option<Value>)]
    schema: Option<Value>,
    /// A payload to show; null when there is none.
    #[schema(value_type = Option<Value>)]
    sample: Option<Value>,
    /// Whether new endpoints should not ask for it any more.
    deprecated: bool,
}

/// Which of the payloads that can be made up.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Seed {
    /// The same number gives the same payload; 0 when nothing is said.
    seed: Option<u64>,
}

/// A payload that was made up.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookSample {
    /// The payload.
    #[schema(value_type = Value)]
    payload: Value,
}

/// Something that happened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWebhookMessage {
    /// What happened: `deal.won`.
    #[schema(max_length = 128)]
    event_type: String,
    /// What is told about it.
    #[schema(value_type = Value)]
    payload: Value,
    /// Payloads for endpoints that want another version, by the version's name.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Value>)]
    versions: BTreeMap<String, Value>,
    /// What it is about: at ordered endpoints messages with the same key come one after the other.
    #[schema(min_length = 1, max_length = 256)]
    ordering_key: Option<String>,
}

/// What publishing came to.
#[derive(Debug, Serialize, ToSchema)]
struct PublishedWebhookMessage {
    /// The id of the message.
    id: String,
    /// To how many endpoints it goes; null of a repetition.
    deliveries: Option<usize>,
    /// Whether it was published before, with the same key.
    duplicate: bool,
}

/// A message that was published.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookMessage {
    /// Its id: the `webhook-id` of every attempt.
    id: String,
    /// What happened.
    event_type: String,
    /// When it was published.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// The media type of the body.
    content_type: String,
    /// The body as text, byte for byte; null when it is not UTF-8.
    body: Option<String>,
    /// How many bytes the body has.
    size: usize,
    /// The names of other versions of the body.
    versions: Vec<String>,
    /// What it is about.
    ordering_key: Option<String>,
}

impl From<&EventType> for WebhookEventType {
    fn from(of: &EventType) -> Self {
        Self {
            name: of.name.to_string(),
            description: of.description.clone(),
            schema: of.schema.clone(),
            sample: of.sample.clone(),
            deprecated: of.deprecated,
        }
    }
}

impl From<Message> for WebhookMessage {
    fn from(message: Message) -> Self {
        Self {
            id: message.id.to_string(),
            event_type: message.event_type.to_string(),
            created: message.created,
            content_type: message.content_type,
            body: std::str::from_utf8(&message.body).ok().map(str::to_owned),
            size: message.body.len(),
            versions: message.versions.into_keys().collect(),
            ordering_key: message.ordering_key,
        }
    }
}

pub(super) fn declare<S: DeliveryStore>(api: Api<Reached<S>>) -> Api<Reached<S>> {
    let example = json!({
        "name": "deal.won", "description": "A deal was won", "sample": {"id": 7}, "deprecated": false,
        "schema": {"type": "object", "properties": {"id": {"type": "integer"}}},
    });
    let of_type = |operation: Operation| operation.path("event_type", "Its name.", "deal.won");
    let published = |operation: Operation, status, about, is_new: bool| {
        let deliveries = is_new.then_some(2);
        operation.answers::<PublishedWebhookMessage>(
            status,
            about,
            json!({"id": MESSAGE_ID, "deliveries": deliveries, "duplicate": !is_new}),
        )
    };
    let types = reads("listWebhookEventTypes", "What can happen")
        .about("Without any, every name and payload is taken.")
        .answers::<Listed<WebhookEventType>>(
            StatusCode::OK,
            "All event types.",
            json!({"items": [example], "next": null}),
        );
    let one = of_type(reads("readWebhookEventType", "One event type")).answers::<WebhookEventType>(
        StatusCode::OK,
        "It.",
        example,
    );
    let sample = of_type(reads("makeWebhookSample", "A payload of an event type, made up from its schema"))
        .query::<Seed>()
        .may(Kind::Unprocessable)
        .answers::<WebhookSample>(StatusCode::OK, "The payload.", json!({"payload": {"id": 7}}));
    let publish = manages("publishWebhookMessage", "Tell all endpoints that want to know what happened")
        .about("With an idempotency key a repetition within a day, or as the host says, goes out once.")
        .idempotency_key()
        .body::<NewWebhookMessage>(
            json!({"event_type": "deal.won", "payload": {"id": 7}, "ordering_key": "deal-7"}),
        );
    let publish = published(publish, StatusCode::CREATED, "It is stored, and goes out.", true);
    let publish = published(publish, StatusCode::OK, "It was published before, with the same key.", false);
    let read = reads("readWebhookMessage", "One message")
        .path("message", "Its id.", MESSAGE_ID)
        .answers::<WebhookMessage>(
        StatusCode::OK,
        "The message.",
        json!({
            "id": MESSAGE_ID, "event_type": "deal.won", "created": "2026-03-01T00:00:00Z",
            "content_type": "application/json", "body": "{\"id\":7}", "size": 8, "versions": [],
            "ordering_key": "deal-7",
        }),
    );
    api.get("/webhooks/event-types", types, list_types::<S>)
        .get("/webhooks/event-types/{event_type}", one, read_type::<S>)
        .get("/webhooks/event-types/{event_type}/sample", sample, make_sample::<S>)
        .post("/webhooks/messages", publish, publish_message::<S>)
        .get("/webhooks/messages/{message}", read, read_message::<S>)
}

async fn list_types<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(_): Caller,
) -> Items<WebhookEventType> {
    let types = reached.webhooks.config().types.iter().map(WebhookEventType::from);
    Ok(Json(Listed::whole(types.collect())))
}

fn found<'a, S: DeliveryStore>(reached: &'a Reached<S>, name: &str) -> Result<&'a EventType, Problem> {
    let name: EventTypeName = named("event type", name)?;
    let none = || Kind::NotFound.because(format_args!("there is no event type `{name}`"));
    reached.webhooks.config().types.get(&name).ok_or_else(none)
}

async fn read_type<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(_): Caller,
    PathParam(name): PathParam<String>,
) -> Answer<WebhookEventType> {
    Ok(Json(found(&reached, &name)?.into()))
}

async fn make_sample<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(_): Caller,
    PathParam(name): PathParam<String>,
    Params(Seed { seed }): Params<Seed>,
) -> Answer<WebhookSample> {
    found(&reached, &name)?;
    let payload = reached.webhooks.simulate(&name, seed.unwrap_or(0)).map_err(|error| failed(&error))?;
    Ok(Json(WebhookSample { payload }))
}

async fn publish_message<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    key: IdempotencyKey,
    Json(new): Json<NewWebhookMessage>,
) -> Result<(StatusCode, Json<PublishedWebhookMessage>), Problem> {
    let mut message = Publish::json(&new.event_type, &new.payload).map_err(|error| failed(&error))?;
    for (version, payload) in new.versions {
        message = message.with_version(version, payload.to_string().into_bytes());
    }
    if let Some(ordering) = new.ordering_key {
        message = message.with_ordering_key(ordering);
    }
    if let Some(key) = key.0 {
        message = message.with_idempotency_key(key);
    }
    let published = reached.webhooks.publish(&scope, message).await.map_err(|error| failed(&error))?;
    let id = published.id().to_string();
    Ok(match published {
        Published::New { deliveries, .. } => {
            let told = PublishedWebhookMessage { id, deliveries: Some(deliveries), duplicate: false };
            (StatusCode::CREATED, Json(told))
        }
        _ => (StatusCode::OK, Json(PublishedWebhookMessage { id, deliveries: None, duplicate: true })),
    })
}

async fn read_message<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
) -> Answer<WebhookMessage> {
    let id: MessageId = named("message", &id)?;
    let message = reached.webhooks.message(&scope, id).await.map_err(|error| failed(&error))?;
    Ok(Json(message.into()))
}
