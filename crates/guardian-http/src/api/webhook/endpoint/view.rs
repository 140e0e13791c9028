//! What is told of an endpoint.

use guardian_core::Timestamp;
use guardian_webhook::store::QueueState;
use guardian_webhook::{Endpoint, EndpointKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::disabled;

/// Where messages go.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookEndpoint {
    /// Its id.
    id: String,
    /// Where it is.
    url: String,
    /// What it is, for people.
    description: String,
    /// Which event types it gets; none is all.
    types: Vec<String>,
    /// The names of headers that it gets with every message. Their values are not shown.
    header_names: Vec<String>,
    /// How messages are written: `plain`, `cloud_events_structured` or `cloud_events_binary`.
    #[schema(value_type = String)]
    mode: Value,
    /// The version of payloads that it gets, where a message has it; null for the newest.
    payload_version: Option<String>,
    /// Attempts a second, at most; null for no bound.
    rate: Option<u32>,
    /// Attempts at the same time, at most.
    concurrency: u32,
    /// Whether messages with the same ordering key come one after the other.
    ordered: bool,
    /// Whether it gets anything.
    enabled: bool,
    /// Since when it gets nothing.
    #[schema(value_type = Option<String>, format = DateTime)]
    disabled_since: Option<Timestamp>,
    /// Why it gets nothing: `by hand`, `gone`, `asked for it` or `failing for too long`.
    disabled_reason: Option<String>,
    /// What it is signed with, the newest last. Secrets are not shown.
    keys: Vec<WebhookKey>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// Counts its changes, from 1: its `ETag`.
    revision: u64,
}

/// A key that messages are signed with, for a time.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookKey {
    /// What it is: `hmac`, `ed25519` or `external`.
    #[schema(value_type = String)]
    kind: Value,
    /// The public key of an Ed25519 key.
    public: Option<String>,
    /// Since when it signs.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Until when, if another one follows.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// A key as it is shown: once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookKeyShown {
    /// What it is: `hmac` or `ed25519`.
    pub(super) kind: &'static str,
    /// The shared secret, which the receiver has to have: `whsec_…`. It is not shown again.
    pub(super) secret: Option<String>,
    /// The public key of an Ed25519 key: `whpk_…`.
    pub(super) public: Option<String>,
}

/// An endpoint that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookEndpointMade {
    /// The endpoint.
    pub(super) endpoint: WebhookEndpoint,
    /// Its key.
    pub(super) key: WebhookKeyShown,
}

/// Public keys, as a JSON Web Key Set (RFC 7517).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct WebhookPublicKeys {
    /// The keys that are valid now.
    keys: Vec<WebhookPublicKey>,
}

/// A public key (RFC 8037).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct WebhookPublicKey {
    /// Its type: `OKP`.
    kty: String,
    /// Its curve: `Ed25519`.
    crv: String,
    /// Its algorithm: `EdDSA`.
    alg: String,
    /// What it is for: `sig`.
    #[serde(rename = "use")]
    usage: String,
    /// Its thumbprint (RFC 7638).
    kid: String,
    /// The key.
    x: String,
    /// The key as Standard Webhooks writes it.
    whpk: String,
}

/// What waits for an endpoint, and how it does.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookQueue {
    /// Deliveries that have not ended.
    open: u64,
    /// When the next of them is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_at: Option<Timestamp>,
    /// Failures since the last success.
    failures: u32,
    /// When the first of them was.
    #[schema(value_type = Option<String>, format = DateTime)]
    failing_since: Option<Timestamp>,
    /// Until when the breaker is open; null when it is not.
    #[schema(value_type = Option<String>, format = DateTime)]
    breaker_open_until: Option<Timestamp>,
    /// How often the breaker opened since the last success.
    breaker_openings: u32,
}

impl From<&Endpoint> for WebhookEndpoint {
    fn from(endpoint: &Endpoint) -> Self {
        let settings = &endpoint.settings;
        let (disabled_since, disabled_reason) = disabled(&endpoint.status).unzip();
        Self {
            id: endpoint.id.to_string(),
            url: settings.url.clone(),
            description: settings.description.clone(),
            types: settings.types.iter().map(ToString::to_string).collect(),
            header_names: settings.headers.iter().map(|(name, _)| name.clone()).collect(),
            mode: serde_json::to_value(settings.mode).unwrap_or_default(),
            payload_version: settings.payload_version.clone(),
            rate: settings.rate,
            concurrency: settings.concurrency,
            ordered: settings.ordered,
            enabled: disabled_since.is_none(),
            disabled_since,
            disabled_reason,
            keys: endpoint.keys.iter().map(WebhookKey::from).collect(),
            created: endpoint.created,
            revision: endpoint.revision,
        }
    }
}

impl From<&EndpointKey> for WebhookKey {
    fn from(key: &EndpointKey) -> Self {
        Self {
            kind: serde_json::to_value(key.kind).unwrap_or_default(),
            public: key.public.clone(),
            since: key.since,
            until: key.until,
        }
    }
}

impl From<QueueState> for WebhookQueue {
    fn from(queue: QueueState) -> Self {
        Self {
            open: queue.open,
            next_at: queue.next_at,
            failures: queue.health.failures,
            failing_since: queue.health.failing_since,
            breaker_open_until: queue.health.open_until,
            breaker_openings: queue.health.openings,
        }
    }
}

pub(super) fn endpoint_example() -> Value {
    json!({
        "id": super::super::ENDPOINT_ID, "url": "https://example.com/hooks", "description": "Deals",
        "types": ["deal.*"], "header_names": ["x-environment"], "mode": "plain", "payload_version": null,
        "rate": null, "concurrency": 10, "ordered": false, "enabled": true, "disabled_since": null,
        "disabled_reason": null,
        "keys": [{"kind": "hmac", "public": null, "since": "2026-03-01T00:00:00Z", "until": null}],
        "created": "2026-03-01T00:00:00Z", "revision": 1,
    })
}

pub(super) fn key_example() -> Value {
    json!({"kind": "hmac", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "public": null})
}

pub(super) fn queue_example() -> Value {
    json!({
        "open": 3, "next_at": "2026-03-01T00:00:05Z", "failures": 0, "failing_since": null,
        "breaker_open_until": null, "breaker_openings": 0,
    })
}
