//! Trying an endpoint out, and calculating signatures.

use axum::extract::State;
use guardian_webhook::{DeliveryStore, Publish, Refused, Trial, tools};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::delivery::{WebhookHeader, millis};
use super::{Answer, MESSAGE_ID, Reached, endpoint_id, failed, manages, of_endpoint, reads};
use crate::api::{Api, Caller, Json, Kind, PathParam};

/// A message to try an endpoint with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookTestMessage {
    /// What happened.
    #[schema(max_length = 128)]
    event_type: String,
    /// What is told about it; made up from the event type's schema when nothing is said.
    #[schema(value_type = Option<Value>)]
    payload: Option<Value>,
}

/// A trial of an endpoint, with all that was said.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookTrial {
    /// Whether the endpoint took the message.
    succeeded: bool,
    /// The status of the answer; null when there was none.
    status: Option<u16>,
    /// Why there was no answer.
    error: Option<String>,
    /// How long it took, in milliseconds.
    latency_ms: u64,
    /// Headers that were sent; values of the endpoint's own are left out.
    request_headers: Vec<WebhookHeader>,
    /// The body that was sent; what is not UTF-8 is replaced.
    request_body: String,
    /// Headers of the answer.
    response_headers: Vec<WebhookHeader>,
    /// The beginning of the answer's body; what is not UTF-8 is replaced.
    response_body: String,
    /// Whether the answer's body was longer.
    truncated: bool,
}

/// A message whose signature is calculated.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookSignatureInput {
    /// The key: `whsec_…` or `whsk_…`. It is not kept.
    #[schema(max_length = 512)]
    key: String,
    /// The header `webhook-id`.
    #[schema(max_length = 256)]
    id: String,
    /// The header `webhook-timestamp`, in seconds since 1970.
    timestamp: i64,
    /// The body, byte for byte.
    body: String,
}

/// A signature with what went into it.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookSignature {
    /// What is signed.
    signed_content: String,
    /// How many bytes that is.
    signed_length: usize,
    /// The header `webhook-signature`.
    signature: String,
    /// What is peculiar about the input, for those who wonder why theirs differs.
    hints: Vec<&'static str>,
}

pub(super) fn declare<S: DeliveryStore>(api: Api<Reached<S>>) -> Api<Reached<S>> {
    let test = of_endpoint(manages("testWebhookEndpoint", "Send a message to an endpoint at once"))
        .about(
            "It is signed as always. Nothing is stored and no attempt is counted; a disabled endpoint can be tried too. \
             What the endpoint answers is no failure.",
        )
        .body::<WebhookTestMessage>(json!({"event_type": "deal.won", "payload": {"id": 7}}))
        .answers::<WebhookTrial>(
            StatusCode::OK,
            "What was said.",
            json!({
                "succeeded": true, "status": 204, "error": null, "latency_ms": 31,
                "request_headers": [{"name": "content-type", "value": "application/json"}],
                "request_body": "{\"id\":7}", "response_headers": [], "response_body": "",
                "truncated": false,
            }),
        );
    let sign = reads("calculateWebhookSignature", "Every step of a signature, to compare with one's own")
        .may(Kind::Unprocessable)
        .body::<WebhookSignatureInput>(json!({
            "key": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "id": MESSAGE_ID, "timestamp": 1_772_323_200,
            "body": "{\"id\":7}",
        }))
        .answers::<WebhookSignature>(
            StatusCode::OK,
            "The signature, and what went into it.",
            json!({
                "signed_content": format!("{MESSAGE_ID}.1772323200.{{\"id\":7}}"), "signed_length": 56,
                "signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "hints": [],
            }),
        );
    api.post("/webhooks/endpoints/{endpoint}/test", test, send_test::<S>).post(
        "/webhooks/signatures",
        sign,
        calculate,
    )
}

async fn send_test<S: DeliveryStore>(
    State(reached): State<Reached<S>>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    Json(test): Json<WebhookTestMessage>,
) -> Answer<WebhookTrial> {
    let Reached { webhooks, sender } = &reached;
    let id = endpoint_id(&id)?;
    let endpoint = webhooks.endpoint(&scope, id).await.map_err(|error| failed(&error))?;
    let payload = match test.payload {
        Some(payload) => payload,
        None => webhooks.simulate(&test.event_type, 0).map_err(|error| failed(&error))?,
    };
    let message = Publish::json(&test.event_type, &payload).map_err(|error| failed(&error))?;
    let trial = webhooks.send_test(&scope, id, &**sender, message).await;
    let trial = trial.map_err(|error| failed(&error))?;
    let own = |name: &str| endpoint.settings.headers.iter().any(|(known, _)| known == name);
    Ok(Json(told(&trial, own)))
}

/// How much is told of an answer's body, in bytes.
const MOST: usize = 64 << 10;

fn told(trial: &Trial, is_own: impl Fn(&str) -> bool) -> WebhookTrial {
    let header = |(name, value): &(String, String)| WebhookHeader {
        name: name.clone(),
        value: if is_own(name) { "…".to_owned() } else { value.clone() },
    };
    let answer = trial.outcome.as_ref().ok();
    let body = answer.map_or(&[][..], |answer| &answer.body);
    let plain = |(name, value): &(String, String)| WebhookHeader { name: name.clone(), value: value.clone() };
    WebhookTrial {
        succeeded: trial.verdict.success,
        status: answer.map(|answer| answer.status),
        error: trial.outcome.as_ref().err().map(|error| Refused::for_tenants(&error.to_string()).to_owned()),
        latency_ms: millis(trial.latency),
        request_headers: trial.request.headers.iter().map(header).collect(),
        request_body: String::from_utf8_lossy(&trial.request.body).into_owned(),
        response_headers: answer.into_iter().flat_map(|answer| answer.headers.iter().map(plain)).collect(),
        response_body: String::from_utf8_lossy(body.get(..MOST).unwrap_or(body)).into_owned(),
        truncated: answer.is_some_and(|answer| answer.truncated) || body.len() > MOST,
    }
}

async fn calculate(Caller(_): Caller, Json(input): Json<WebhookSignatureInput>) -> Answer<WebhookSignature> {
    let found = tools::calculate(&input.key, &input.id, input.timestamp, input.body.as_bytes());
    let found = found.map_err(|error| failed(&error))?;
    Ok(Json(WebhookSignature {
        signed_content: found.signed_content,
        signed_length: found.signed_length,
        signature: found.signature,
        hints: found.hints,
    }))
}
