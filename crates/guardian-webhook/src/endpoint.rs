//! Where webhooks go, and what its owner wants to have.

use std::fmt;

use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::event_type::{EventTypeName, TypePattern};
use crate::id::EndpointId;
use crate::message::PayloadMode;
use guardian_core::shorten;

/// An endpoint as it is kept. Its secrets are sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// What its owner set.
    pub settings: EndpointSettings,
    /// What it is signed with, the newest last.
    pub keys: Vec<EndpointKey>,
    /// Whether it gets anything.
    pub status: EndpointStatus,
    /// When it was made.
    pub created: Timestamp,
    /// Counts its changes, from 1.
    pub revision: u64,
}

/// What the owner of an endpoint sets.
///
/// ```
/// use guardian_webhook::EndpointSettings;
///
/// let settings = EndpointSettings::new("https://example.com/hooks")
///     .with_types(["deal.*", "contact.created"])?
///     .with_header("x-environment", "production")?
///     .with_rate(Some(50))
///     .with_ordering(true);
/// assert_eq!(settings.concurrency, 10);
/// # Ok::<(), guardian_webhook::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EndpointSettings {
    /// Where it is.
    pub url: String,
    /// What it is, for people.
    pub description: String,
    /// Which event types it gets; none is all.
    pub types: Vec<TypePattern>,
    /// Headers that it gets with every attempt. They are not for secrets that must be sealed: the store shows them.
    pub headers: Vec<(String, String)>,
    /// How messages are written.
    pub mode: PayloadMode,
    /// The version of payloads that it gets, where a message has it.
    pub payload_version: Option<String>,
    /// Attempts a second, at most; `None` for no bound. Up to a second's worth may come at once.
    pub rate: Option<u32>,
    /// Attempts at the same time, at most; 10 by default.
    pub concurrency: u32,
    /// Whether messages with the same ordering key come one after the other.
    pub ordered: bool,
}

/// Headers that are ours, or that would change what HTTP means by the request.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

impl EndpointSettings {
    /// An endpoint that gets everything at this URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            description: String::new(),
            types: Vec::new(),
            headers: Vec::new(),
            mode: PayloadMode::default(),
            payload_version: None,
            rate: None,
            concurrency: 10,
            ordered: false,
        }
    }

    /// With a description.
    #[must_use]
    pub fn with_description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// With the event types that it gets.
    ///
    /// # Errors
    /// When a pattern does not do.
    pub fn with_types<'t>(mut self, patterns: impl IntoIterator<Item = &'t str>) -> Result<Self, Error> {
        self.types = patterns.into_iter().map(str::parse).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// With a header more.
    ///
    /// # Errors
    /// When the name or the value is none of a header, or the header is one of ours.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        check_header(name, value)?;
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        Ok(self)
    }

    /// With another way of writing messages.
    #[must_use]
    pub fn with_mode(mut self, mode: PayloadMode) -> Self {
        self.mode = mode;
        self
    }

    /// With a version of payloads.
    #[must_use]
    pub fn with_payload_version(mut self, version: impl Into<String>) -> Self {
        self.payload_version = Some(version.into());
        self
    }

    /// With another bound of attempts a second.
    #[must_use]
    pub fn with_rate(mut self, rate: Option<u32>) -> Self {
        self.rate = rate;
        self
    }

    /// With another bound of attempts at the same time.
    #[must_use]
    pub fn with_concurrency(mut self, attempts: u32) -> Self {
        self.concurrency = attempts;
        self
    }

    /// With or without the order of ordering keys.
    #[must_use]
    pub fn with_ordering(mut self, ordered: bool) -> Self {
        self.ordered = ordered;
        self
    }

    /// Whether it gets messages of this type.
    #[must_use]
    pub fn wants(&self, name: &EventTypeName) -> bool {
        self.types.is_empty() || self.types.iter().any(|pattern| pattern.matches(name))
    }

    /// What can be said of settings alone; the URL is the egress policy's to judge.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(1..=1000).contains(&self.concurrency) {
            return Err(Error::endpoint("it gets 1 to 1000 attempts at the same time"));
        }
        if self.rate.is_some_and(|rate| !(1..=100_000).contains(&rate)) {
            return Err(Error::endpoint("its rate is 1 to 100000 attempts a second"));
        }
        if self.types.len() > 200 || self.headers.len() > 30 || self.description.len() > 1000 {
            return Err(Error::endpoint(
                "it has at most 200 patterns, 30 headers and 1000 bytes of description",
            ));
        }
        self.headers.iter().try_for_each(|(name, value)| check_header(name, value))
    }
}

fn check_header(name: &str, value: &str) -> Result<(), Error> {
    let lower = name.to_ascii_lowercase();
    let readable = http::HeaderName::from_bytes(lower.as_bytes()).is_ok()
        && http::HeaderValue::from_str(value).is_ok()
        && lower.len() <= 128
        && value.len() <= 4096;
    if !readable {
        return Err(Error::endpoint(format!("the header `{}` is none of HTTP, or too long", shorten(name))));
    }
    if RESERVED.contains(&lower.as_str()) || lower.starts_with("webhook-") || lower.starts_with("ce-") {
        return Err(Error::endpoint(format!("the header `{}` is not yours to set", shorten(name))));
    }
    Ok(())
}

/// Whether an endpoint gets anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndpointStatus {
    /// It does.
    Enabled,
    /// It does not: nothing new is queued for it, and what is queued waits until it is enabled or cancelled.
    Disabled {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: DisableReason,
    },
}

/// Why an endpoint gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DisableReason {
    /// Somebody disabled it.
    ByHand,
    /// It answered 410 Gone.
    Gone,
    /// It answered with `webhook-delivery: disable`.
    Asked,
    /// It failed for too long.
    Failing,
}

impl fmt::Display for DisableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByHand => "by hand",
            Self::Gone => "gone",
            Self::Asked => "asked for it",
            Self::Failing => "failing for too long",
        })
    }
}

/// A key that attempts are signed with, for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EndpointKey {
    /// What it is.
    pub kind: KeyKind,
    /// The secret or private key, sealed by the [`Vault`](crate::Vault), in base64; of an external key its reference, as text.
    pub sealed: String,
    /// The public key of an Ed25519 key, `whpk_…`.
    pub public: Option<String>,
    /// Since when it signs.
    pub since: Timestamp,
    /// Until when it signs, if another one follows.
    pub until: Option<Timestamp>,
}

impl EndpointKey {
    /// Whether it signed before this time, and does so no more.
    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether it signs at this time.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.since <= now && self.until.is_none_or(|until| now < until)
    }
}

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyKind {
    /// A shared secret, `v1`.
    Hmac,
    /// An Ed25519 key, `v1a`.
    Ed25519,
    /// A key in a key service.
    External,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_are_ours_or_none_are_refused() {
        let settings = || EndpointSettings::new("https://example.com");
        for (name, value) in [
            ("Host", "x"),
            ("content-length", "1"),
            ("Webhook-Id", "x"),
            ("ce-type", "x"),
            ("a b", "x"),
            ("x", "a\r\nb: c"),
            ("", "x"),
            ("transfer-encoding", "chunked"),
        ] {
            assert!(settings().with_header(name, value).is_err(), "{name}");
        }
        assert!(settings().with_header("Authorization", "Bearer x").is_ok());
    }
}
