//! One attempt over HTTP: the port, and what an answer means.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use guardian_core::Timestamp;

use crate::egress::Refused;
use crate::retry_after::retry_after;

#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod tls;

#[cfg(feature = "http")]
pub use self::http::{HttpConfig, ReqwestSender, SystemResolver};

/// A request as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// Where to.
    pub url: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: std::sync::Arc<[u8]>,
}

impl Request {
    /// A request; it is always a POST.
    #[must_use]
    pub fn new(url: impl Into<String>, headers: Vec<(String, String)>, body: std::sync::Arc<[u8]>) -> Self {
        Self { url: url.into(), headers, body }
    }
}

/// An answer, whatever it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, names in lower case; values that are not text are left out.
    pub headers: Vec<(String, String)>,
    /// The beginning of its body.
    pub body: Vec<u8>,
    /// Whether the body was longer than what is read.
    pub truncated: bool,
    /// Where it was connected to.
    pub address: Option<IpAddr>,
}

impl Answer {
    /// An answer with this status and nothing else.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// With a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// The first value of a header, its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }
}

/// Why there was no answer. All of these are tried again: a name, a certificate and a firewall can all be mended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The egress policy refused the target; nothing was connected to.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// There was no connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// The answer did not come in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// What came was no answer of HTTP, or one with headers beyond all measure.
    #[error("no proper answer: {0}")]
    Protocol(String),
}

/// Sends requests. [`ReqwestSender`] (feature `http`) is the one for production.
///
/// # Contract
/// A sender follows no redirect, reads a bounded part of an answer, and ends within a bounded time.
#[async_trait]
pub trait HttpSender: Send + Sync + fmt::Debug + 'static {
    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// Why there was no answer.
    async fn send(&self, request: Request) -> Result<Answer, SendError>;
}

#[async_trait]
impl<S: HttpSender + ?Sized> HttpSender for std::sync::Arc<S> {
    async fn send(&self, request: Request) -> Result<Answer, SendError> {
        (**self).send(request).await
    }
}

/// What the outcome of an attempt means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// Whether the endpoint took the message.
    pub success: bool,
    /// Whether the endpoint wants nothing any more: 410, or `webhook-delivery: disable`.
    pub disable: Option<crate::endpoint::DisableReason>,
    /// Whether this message shall not be tried again: `webhook-delivery: abort-message`.
    pub abort: bool,
    /// How long the endpoint asked to be left alone: `Retry-After` of a failure.
    pub retry_after: Option<Duration>,
    /// Whether the endpoint has too much: 429, 502, 503 and 504. All of its messages wait then, not this one alone.
    pub overload: bool,
}

/// Judges the outcome of an attempt.
///
/// ```
/// use guardian_core::Timestamp;
/// use guardian_webhook::{Answer, judge};
///
/// let now = Timestamp::UNIX_EPOCH;
/// assert!(judge(&Ok(Answer::new(204)), now).success);
/// assert!(!judge(&Ok(Answer::new(302)), now).success, "redirects are not followed");
/// assert!(judge(&Ok(Answer::new(410)), now).disable.is_some());
/// assert!(judge(&Ok(Answer::new(400).with_header("webhook-delivery", "abort-message")), now).abort);
/// ```
#[must_use]
pub fn judge(outcome: &Result<Answer, SendError>, now: Timestamp) -> Verdict {
    use crate::endpoint::DisableReason;
    let mut verdict =
        Verdict { success: false, disable: None, abort: false, retry_after: None, overload: false };
    let Ok(answer) = outcome else { return verdict };
    verdict.success = (200..300).contains(&answer.status);
    let wish = answer.header("webhook-delivery").map(str::trim);
    verdict.disable = match wish {
        Some("disable") => Some(DisableReason::Asked),
        _ if answer.status == 410 => Some(DisableReason::Gone),
        _ => None,
    };
    if !verdict.success {
        verdict.abort = wish == Some("abort-message");
        verdict.overload = matches!(answer.status, 429 | 502..=504);
        verdict.retry_after = answer.header("retry-after").and_then(|text| retry_after(text, now));
    }
    verdict
}
