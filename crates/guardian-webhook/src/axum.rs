//! The extractor: a handler gets a webhook only after it was verified.

use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequest, Request};
use axum::response::{IntoResponse, Response};
use guardian_core::Clock;
use http::{StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::verify::{Verified, Verifier, VerifyError};

/// What the extractor needs, in the router's state: the verifier, the clock, and how long a body may be.
///
/// A host with several senders has one state (or one wrapper type) for each.
#[derive(Clone)]
pub struct Receiver {
    verifier: Arc<Verifier>,
    clock: Arc<dyn Clock>,
    max_body: usize,
}

impl Receiver {
    /// A receiver of bodies of up to 1 MiB.
    pub fn new(verifier: Verifier, clock: impl Clock) -> Self {
        Self { verifier: Arc::new(verifier), clock: Arc::new(clock), max_body: 1 << 20 }
    }

    /// With another bound of a body's bytes.
    #[must_use]
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

/// A verified webhook: the signature was over exactly these bytes, the time is near, and with a replay cache it is the first of
/// its kind, where the sender signs a time. The payload is read from JSON, or from a form as an object of texts.
///
/// ```
/// use axum::{Router, routing::post};
/// use guardian_core::SystemClock;
/// use guardian_webhook::Verifier;
/// use guardian_webhook::axum::{Receiver, VerifiedWebhook};
///
/// #[derive(serde::Deserialize)]
/// struct Deal {
///     id: u64,
/// }
///
/// async fn won(webhook: VerifiedWebhook<Deal>) -> String {
///     format!("deal {} was won", webhook.payload.id)
/// }
///
/// let verifier = Verifier::standard(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?], [])?;
/// let app: Router = Router::new().route("/hooks", post(won)).with_state(Receiver::new(verifier, SystemClock::new()));
/// # Ok::<(), guardian_webhook::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VerifiedWebhook<T> {
    /// What it says.
    pub payload: T,
    /// What it says of itself.
    pub verified: Verified,
    /// The bytes that were signed.
    pub body: Vec<u8>,
}

/// Why there is no webhook: 401 when it is not believed, 409 when it came before, 413 when it is too long, 422 when it is believed
/// and does not read, 503 when the replay cache fails. The answer does not say more than that.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// It is not believed, or came before.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// It is longer than allowed.
    #[error("the body is longer than {limit} bytes")]
    TooLong {
        /// The bound.
        limit: usize,
    },
    /// The body did not come to its end.
    #[error("the body broke off")]
    Body,
    /// It is believed and does not read.
    #[error("the payload does not read: {why}")]
    Payload {
        /// What is wrong with it.
        why: String,
    },
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Verify(VerifyError::Replayed) => (StatusCode::CONFLICT, "received before"),
            Self::Verify(VerifyError::Cache(_)) => (StatusCode::SERVICE_UNAVAILABLE, "come back later"),
            Self::Verify(_) => (StatusCode::UNAUTHORIZED, "not verified"),
            Self::TooLong { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too long"),
            Self::Body => (StatusCode::BAD_REQUEST, "broken off"),
            Self::Payload { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "not readable"),
        };
        (status, text).into_response()
    }
}

impl<T, S> FromRequest<S> for VerifiedWebhook<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
    Receiver: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let receiver = Receiver::from_ref(state);
        let (parts, body) = request.into_parts();
        let limit = receiver.max_body;
        let body = Limited::new(body, limit).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { Rejection::TooLong { limit } } else { Rejection::Body }
        })?;
        let body = body.to_bytes().to_vec();
        let verified = receiver.verifier.verify_once(&parts.headers, &body, receiver.clock.now()).await?;
        let is_form =
            parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(
                |kind| kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"),
            );
        let payload = if is_form {
            let pairs = url::form_urlencoded::parse(&body).into_owned();
            let object: Map<String, Value> =
                pairs.map(|(name, value)| (name, Value::String(value))).collect();
            serde_json::from_value(Value::Object(object))
        } else {
            serde_json::from_slice(&body)
        };
        let payload = payload.map_err(|error| Rejection::Payload { why: error.to_string() })?;
        Ok(Self { payload, verified, body })
    }
}
