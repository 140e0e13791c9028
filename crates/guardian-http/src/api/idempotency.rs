use axum::extract::FromRequestParts;
use http::request::Parts;

use super::Kind;
use crate::Problem;

/// The caller's own name for a request, from `Idempotency-Key`: by it a repetition is known. The header may be left out.
///
/// Both forms are read that clients send: the bare text, and a string in double quotes
/// (draft-ietf-httpapi-idempotency-key-header). Which characters may be in it, the operation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl IdempotencyKey {
    /// The name of the header.
    pub const HEADER: &'static str = "idempotency-key";

    /// The longest key, in bytes.
    pub const MAX_LEN: usize = 128;
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let invalid = |why| Kind::InvalidRequest.because(format_args!("the header `Idempotency-Key` {why}"));
        let mut values = parts.headers.get_all(Self::HEADER).iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        if values.next().is_some() {
            return Err(invalid("is there twice"));
        }
        let text = value.to_str().map_err(|_| invalid("is not of ASCII characters"))?.trim();
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(invalid("has not between 1 and 128 characters"));
        }
        Ok(Self(Some(text.to_owned())))
    }
}
