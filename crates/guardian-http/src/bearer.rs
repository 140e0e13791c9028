//! Credentials in headers, and tokens in memory.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use foldhash::HashMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::RwLock;
use sha2::{Digest as _, Sha256};

use crate::{Authenticate, Identity, NotAuthenticated};

/// The longest credentials that are read, in bytes.
const MAX_LEN: usize = 8_192;

/// The token of `Authorization: Bearer TOKEN` (RFC 6750, section 2.1). Nothing where the field is not there exactly once, since two
/// readers of two fields could choose differently; where its scheme is another; and where the token is not one to 8,192 characters of
/// `a-z A-Z 0-9 - . _ ~ + /` with `=` at the end alone.
///
/// ```
/// use guardian_http::bearer_token;
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("authorization", "bearer mF_9.B5f-4.1JqM=".parse()?);
/// assert_eq!(bearer_token(&headers), Some("mF_9.B5f-4.1JqM="));
/// headers.append("authorization", "Bearer another".parse()?);
/// assert_eq!(bearer_token(&headers), None);
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[must_use]
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = only(headers, &AUTHORIZATION)?;
    let (scheme, token) = value.split_at_checked("bearer".len())?;
    let mut token = token.strip_prefix(b" ")?;
    while let [b' ', rest @ ..] | [rest @ .., b' '] = token {
        token = rest;
    }
    let mut body = token;
    while let [rest @ .., b'='] = body {
        body = rest;
    }
    let is_token = scheme.eq_ignore_ascii_case(b"bearer") && !body.is_empty();
    // All of it is ASCII then.
    (is_token && body.iter().all(|byte| is_plain(*byte))).then(|| str::from_utf8(token).ok()).flatten()
}

/// Looked up rather than compared: it is asked for each byte of each request's token.
fn is_plain(byte: u8) -> bool {
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let (mut rest, mut byte) = (plain.as_mut_slice(), 0_u8);
        while let [first, others @ ..] = rest {
            *first = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
            (rest, byte) = (others, byte.wrapping_add(1));
        }
        plain
    };
    PLAIN.get(usize::from(byte)).copied().unwrap_or_default()
}

/// The value of a header that carries a key, such as `x-api-key`. Nothing where it is not there exactly once, and where it is
/// not 1 to 8,192 visible characters of ASCII.
///
/// ```
/// use guardian_http::api_key;
/// use http::HeaderName;
///
/// let name = HeaderName::from_static("x-api-key");
/// let mut headers = http::HeaderMap::new();
/// headers.insert(&name, "k_4711".parse()?);
/// assert_eq!(api_key(&headers, &name), Some("k_4711"));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[must_use]
pub fn api_key<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let key = only(headers, name)?;
    key.iter().all(u8::is_ascii_graphic).then(|| str::from_utf8(key).ok()).flatten()
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    (1..=MAX_LEN).contains(&value.len()).then(|| value.as_bytes())
}

/// Bearer tokens in memory: for services with a handful of keys that come from their configuration, and for tests.
///
/// Held are SHA-256 digests, and a token is found by its digest. How long that takes depends on digests alone, of which a client
/// cannot choose a single bit without trying as many tokens; so it tells nothing of the tokens that are held. That takes tokens
/// that nobody can guess: at least 22 characters, which are 128 bits of a random token in base64. It is not for passwords.
///
/// In an `Arc` it gives out and revokes tokens while requests are answered.
///
/// ```
/// use std::sync::Arc;
/// use guardian_core::{Actor, Scope, TenantId};
/// use guardian_http::{AuthenticateLayer, BearerTokens, Identity};
///
/// let tokens = Arc::new(BearerTokens::new());
/// let layer = AuthenticateLayer::new(Arc::clone(&tokens));
///
/// let scope = Scope::new(TenantId::new("acme")?, Actor::api_key("key_1")?);
/// tokens.insert("4bJ8Yw2mQeR7tPz1LxK9vNcD", Identity::new(scope))?;
/// assert!(tokens.revoke("4bJ8Yw2mQeR7tPz1LxK9vNcD"));
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct BearerTokens {
    by_digest: RwLock<HashMap<[u8; 32], Identity>>,
}

/// A token that lets in nobody, or anybody. The token itself is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeakToken {
    /// Somebody could guess it.
    #[error(
        "the token has fewer than {} characters besides `=` at its end: somebody may guess it",
        BearerTokens::MIN_LEN
    )]
    Short,
    /// No client could send it (RFC 6750, section 2.1).
    #[error(
        "the token has characters that no client can send: it is letters, digits and `-._~+/`, with `=` at its end"
    )]
    Unsendable,
}

impl BearerTokens {
    /// The shortest token, in characters.
    pub const MIN_LEN: usize = 22;

    /// No tokens yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets in whoever has this token; instead of another, if it was known.
    ///
    /// # Errors
    /// When the token has fewer than [`MIN_LEN`](Self::MIN_LEN) characters before `=` at its end, or others than letters and digits of
    /// ASCII and `-._~+/`, with `=` at its end, which no client could send (RFC 6750 section 2.1).
    pub fn insert(&self, token: &str, identity: Identity) -> Result<(), WeakToken> {
        let characters = token.trim_end_matches('=');
        if characters.len() < Self::MIN_LEN {
            return Err(WeakToken::Short);
        }
        if !characters.bytes().all(is_plain) {
            return Err(WeakToken::Unsendable);
        }
        self.insert_digest(digest(token), identity);
        Ok(())
    }

    /// Lets in whoever has the token with this SHA-256 digest, for configurations that hold no secrets. The token must be as hard to
    /// guess as [`insert`](Self::insert) wants it.
    pub fn insert_digest(&self, digest: [u8; 32], identity: Identity) {
        self.by_digest.write().insert(digest, identity);
    }

    /// Lets nobody in by this token any more; whether it was known.
    pub fn revoke(&self, token: &str) -> bool {
        self.by_digest.write().remove(&digest(token)).is_some()
    }

    fn look_up(&self, token: Option<&str>) -> Result<Identity, NotAuthenticated> {
        let token = token.ok_or(NotAuthenticated::Refused)?;
        self.by_digest.read().get(&digest(token)).cloned().ok_or(NotAuthenticated::Refused)
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl fmt::Debug for BearerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerTokens").field("tokens", &self.by_digest.read().len()).finish()
    }
}

#[async_trait]
impl Authenticate for BearerTokens {
    async fn authenticate(&self, request: &Parts) -> Result<Identity, NotAuthenticated> {
        self.look_up(bearer_token(&request.headers))
    }

    fn authenticate_at_once(&self, request: &Parts) -> Option<Result<Identity, NotAuthenticated>> {
        Some(self.look_up(bearer_token(&request.headers)))
    }
}

/// API keys in a header of their own, such as `X-Api-Key`: the tokens of a [`BearerTokens`], sent another way.
///
/// The same tokens may be taken as `Authorization: Bearer` elsewhere, by sharing them in an `Arc`.
///
/// ```
/// use std::sync::Arc;
/// use guardian_core::{Actor, Scope, TenantId};
/// use guardian_http::{ApiKeyHeader, AuthenticateLayer, BearerTokens, Identity};
/// use http::HeaderName;
///
/// let keys = Arc::new(BearerTokens::new());
/// let scope = Scope::new(TenantId::new("acme")?, Actor::api_key("key_1")?);
/// keys.insert("4bJ8Yw2mQeR7tPz1LxK9vNcD", Identity::new(scope))?;
/// let layer = AuthenticateLayer::new(ApiKeyHeader::new(HeaderName::from_static("x-api-key"), Arc::clone(&keys)));
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ApiKeyHeader {
    name: HeaderName,
    keys: Arc<BearerTokens>,
    challenge: HeaderValue,
}

impl ApiKeyHeader {
    /// Keys in this header. Whoever is refused is asked for `ApiKey header="…"` in `WWW-Authenticate`: there is no registered scheme.
    #[must_use]
    pub fn new(name: HeaderName, keys: impl Into<Arc<BearerTokens>>) -> Self {
        // The name of a header is made of characters that a quoted string may have.
        let challenge = HeaderValue::try_from(format!("ApiKey header=\"{name}\""))
            .unwrap_or(HeaderValue::from_static("ApiKey"));
        Self { name, keys: keys.into(), challenge }
    }

    fn look_up(&self, request: &Parts) -> Result<Identity, NotAuthenticated> {
        self.keys.look_up(api_key(&request.headers, &self.name))
    }
}

#[async_trait]
impl Authenticate for ApiKeyHeader {
    async fn authenticate(&self, request: &Parts) -> Result<Identity, NotAuthenticated> {
        self.look_up(request)
    }

    fn authenticate_at_once(&self, request: &Parts) -> Option<Result<Identity, NotAuthenticated>> {
        Some(self.look_up(request))
    }

    fn challenge(&self) -> HeaderValue {
        self.challenge.clone()
    }
}
