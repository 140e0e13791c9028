use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Kind;
use super::objects::Objects;
use crate::Problem;

/// The longest body of a request, in bytes: 1 MiB.
pub const MAX_BODY: usize = 1 << 20;

/// A body as JSON, in a request and in an answer. A request's body that is no JSON, does not fit its type, is longer than
/// [`MAX_BODY`] or has a text with the character NUL, which no store keeps, is answered with a problem that says where.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind =
            request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !is_json(kind) {
            return Err(
                Kind::NotJson.because("the body has to be JSON, with `Content-Type: application/json`")
            );
        }
        let bytes = read(request).await?;
        if has_nul(&bytes) {
            return Err(Kind::InvalidRequest.because("the body: no text has the character NUL"));
        }
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        // Depth is bounded by the reader (128); the body's bytes bound everything else.
        let value = parse(&mut reader)?;
        reader.end().map_err(|error| Kind::InvalidRequest.because(format_args!("the body: {error}")))?;
        Ok(Self(value))
    }
}

fn parse<T: DeserializeOwned>(
    reader: &mut serde_json::Deserializer<serde_json::de::SliceRead<'_>>,
) -> Result<T, Problem> {
    T::deserialize(Objects(reader))
        .map_err(|error| Kind::InvalidRequest.because(format_args!("the body: {error}")))
}

/// Whether one of its texts has the character NUL, which JSON writes in one way. What is no JSON is told of otherwise.
fn has_nul(json: &[u8]) -> bool {
    let mut rest = json.iter();
    while let Some(byte) = rest.next() {
        if *byte == b'\\' {
            if rest.as_slice().starts_with(b"u0000") {
                return true;
            }
            // What is escaped begins nothing.
            rest.next();
        }
    }
    false
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

async fn read(request: Request) -> Result<Bytes, Problem> {
    match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Kind::TooLarge.because(format_args!("the body has more than {MAX_BODY} bytes")))
        }
        Err(_) => Err(Kind::InvalidRequest.because("the body ended too early")),
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => ([(CONTENT_TYPE, "application/json")], bytes).into_response(),
            Err(_) => Kind::Internal.because("the answer could not be written").into_response(),
        }
    }
}
