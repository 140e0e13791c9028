//! What the owner of an endpoint sets.

use std::collections::BTreeMap;

use guardian_core::shorten;
use guardian_webhook::{EndpointSettings, Error, KeyChoice, PayloadMode};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Problem;
use crate::api::Kind;
use crate::api::patch::Patch;

/// An endpoint to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWebhookEndpoint {
    /// Where it is.
    #[schema(max_length = 2048)]
    url: String,
    /// What it is, for people.
    #[serde(default)]
    #[schema(max_length = 1000)]
    description: String,
    /// Which event types it gets: names, `deal.*` for all that begin with `deal.`, or `*`; none is all.
    #[serde(default)]
    #[schema(max_items = 200)]
    types: Vec<String>,
    /// Headers that it gets with every message: their values are not shown again.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// How messages are written; plain when nothing is said.
    #[serde(default)]
    mode: WebhookMode,
    /// The version of payloads that it gets, where a message has it.
    #[schema(max_length = 256)]
    payload_version: Option<String>,
    /// Attempts a second, at most; no bound when nothing is said.
    #[schema(minimum = 1, maximum = 100_000)]
    rate: Option<u32>,
    /// Attempts at the same time, at most; 10 when nothing is said.
    #[schema(minimum = 1, maximum = 1000)]
    concurrency: Option<u32>,
    /// Whether messages with the same ordering key come one after the other.
    #[serde(default)]
    ordered: bool,
    /// What it is signed with; a new shared secret when nothing is said.
    pub(super) key: Option<NewWebhookKey>,
}

/// What an endpoint shall be signed with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWebhookKey {
    /// What it is; a shared secret when nothing is said.
    #[serde(default)]
    kind: WebhookKeyKind,
    /// A key of your own: `whsec_…` or `whsk_…`; a new one when nothing is said.
    #[schema(max_length = 512)]
    value: Option<String>,
}

/// What a key is.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum WebhookKeyKind {
    /// A shared secret, `v1`.
    #[default]
    Hmac,
    /// An Ed25519 key, `v1a`.
    Ed25519,
}

/// How messages are written.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum WebhookMode {
    /// The payload as it was published.
    #[default]
    Plain,
    /// `CloudEvents` 1.0 in the body.
    CloudEventsStructured,
    /// `CloudEvents` 1.0 in headers.
    CloudEventsBinary,
}

/// Settings to be changed; what is not named stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookEndpointPatch {
    /// Where it is. If scheme, host or port are others, each header that it has must be named in `headers` as well.
    #[schema(max_length = 2048)]
    url: Option<String>,
    /// What it is, for people.
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// Which event types it gets, in place of those from before; none is all.
    #[schema(max_items = 200)]
    types: Option<Vec<String>>,
    /// Headers by their names: one with a value is set, one with null is taken away.
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    /// How messages are written.
    mode: Option<WebhookMode>,
    /// The version of payloads that it gets; null for the newest.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 256)]
    payload_version: Patch<String>,
    /// Attempts a second, at most; null for no bound.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000)]
    rate: Patch<u32>,
    /// Attempts at the same time, at most.
    #[schema(minimum = 1, maximum = 1000)]
    concurrency: Option<u32>,
    /// Whether messages with the same ordering key come one after the other.
    ordered: Option<bool>,
}

impl From<WebhookMode> for PayloadMode {
    fn from(mode: WebhookMode) -> Self {
        match mode {
            WebhookMode::Plain => Self::Plain,
            WebhookMode::CloudEventsStructured => Self::CloudEventsStructured,
            WebhookMode::CloudEventsBinary => Self::CloudEventsBinary,
        }
    }
}

impl NewWebhookEndpoint {
    pub(super) fn settings(self) -> Result<EndpointSettings, Error> {
        let mut settings = EndpointSettings::new(self.url)
            .with_description(self.description)
            .with_types(self.types.iter().map(String::as_str))?
            .with_mode(self.mode.into())
            .with_rate(self.rate)
            .with_ordering(self.ordered);
        settings.payload_version = self.payload_version;
        if let Some(concurrency) = self.concurrency {
            settings.concurrency = concurrency;
        }
        for (name, value) in &self.headers {
            settings = settings.with_header(name, value)?;
        }
        Ok(settings)
    }
}

/// Where a URL leads: its scheme, host and port.
fn receiver(url: &str) -> Option<(String, String)> {
    let url: http::Uri = url.parse().ok()?;
    Some((url.scheme_str()?.to_ascii_lowercase(), url.authority()?.as_str().to_ascii_lowercase()))
}

impl WebhookEndpointPatch {
    /// Headers are shown to nobody, and were meant for the receiver that they were given for: whoever names another one has to say anew
    /// what it gets.
    pub(super) fn keeps_headers_from_others(&self, before: &EndpointSettings) -> Result<(), Problem> {
        let Some(url) = self.url.as_ref().filter(|url| receiver(url) != receiver(&before.url)) else {
            return Ok(());
        };
        let is_said = |name: &str| self.headers.keys().any(|said| said.eq_ignore_ascii_case(name));
        match before.headers.iter().find(|(name, _)| !is_said(name)) {
            None => Ok(()),
            Some((name, _)) => Err(Kind::Unprocessable.because(format_args!(
                "`{}` is another receiver: give the header `{name}` a value for it, or null",
                shorten(url)
            ))),
        }
    }

    pub(super) fn apply(self, mut settings: EndpointSettings) -> Result<EndpointSettings, Error> {
        if let Some(url) = self.url {
            settings.url = url;
        }
        if let Some(description) = self.description {
            settings.description = description;
        }
        if let Some(types) = &self.types {
            settings = settings.with_types(types.iter().map(String::as_str))?;
        }
        for (name, value) in &self.headers {
            settings.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            if let Some(value) = value {
                settings = settings.with_header(name, value)?;
            }
        }
        if let Some(mode) = self.mode {
            settings.mode = mode.into();
        }
        self.payload_version.apply(&mut settings.payload_version);
        self.rate.apply(&mut settings.rate);
        if let Some(concurrency) = self.concurrency {
            settings.concurrency = concurrency;
        }
        if let Some(ordered) = self.ordered {
            settings.ordered = ordered;
        }
        Ok(settings)
    }
}

impl NewWebhookKey {
    pub(super) fn choice(&self) -> Result<KeyChoice, Error> {
        Ok(match (self.kind, &self.value) {
            (WebhookKeyKind::Hmac, None) => KeyChoice::NewSecret,
            (WebhookKeyKind::Hmac, Some(value)) => KeyChoice::Secret(value.parse()?),
            (WebhookKeyKind::Ed25519, None) => KeyChoice::NewPrivateKey,
            (WebhookKeyKind::Ed25519, Some(value)) => KeyChoice::PrivateKey(value.parse()?),
        })
    }
}
