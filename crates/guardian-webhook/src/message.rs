//! What happened, and how it is written for an endpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use guardian_core::Timestamp;
use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::event_type::EventTypeName;
use crate::id::MessageId;
use crate::secret::encode;

/// Something that happened, to be published.
///
/// ```
/// use guardian_webhook::Publish;
/// use serde_json::json;
///
/// let deal = Publish::json("deal.won", &json!({"id": 7, "amount": 120_000}))?
///     .with_idempotency_key("deal-7-won")
///     .with_ordering_key("deal-7");
/// # let _ = deal;
/// # Ok::<(), guardian_webhook::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    pub(crate) event_type: EventTypeName,
    pub(crate) content_type: String,
    pub(crate) body: Arc<[u8]>,
    pub(crate) versions: BTreeMap<String, Arc<[u8]>>,
    pub(crate) ordering_key: Option<String>,
    pub(crate) idempotency_key: Option<String>,
}

/// The longest key of a caller, in bytes.
const MAX_KEY: usize = 256;

impl Publish {
    /// A payload of bytes, whatever they are.
    ///
    /// # Errors
    /// When the event type's name or the content type does not do.
    pub fn bytes(event_type: &str, content_type: &str, body: impl Into<Arc<[u8]>>) -> Result<Self, Error> {
        if content_type.is_empty()
            || content_type.len() > 128
            || http::HeaderValue::from_str(content_type).is_err()
        {
            return Err(Error::message("a content type is 1 to 128 visible characters"));
        }
        Ok(Self {
            event_type: event_type.parse()?,
            content_type: content_type.to_owned(),
            body: body.into(),
            versions: BTreeMap::new(),
            ordering_key: None,
            idempotency_key: None,
        })
    }

    /// A payload in JSON.
    ///
    /// # Errors
    /// When the event type's name does not do.
    pub fn json(event_type: &str, payload: &Value) -> Result<Self, Error> {
        Self::bytes(event_type, "application/json", payload.to_string().into_bytes())
    }

    /// With the payload as an older or newer version of your API has it: endpoints that ask for this version get it.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>, body: impl Into<Arc<[u8]>>) -> Self {
        self.versions.insert(version.into(), body.into());
        self
    }

    /// With the key of its lane: an ordered endpoint gets the messages of a lane one after the other, as they were committed.
    #[must_use]
    pub fn with_ordering_key(mut self, key: impl Into<String>) -> Self {
        self.ordering_key = Some(key.into());
        self
    }

    /// With a key under which it is published once, within the tenant and the time of [`Config::idempotency`].
    ///
    /// Published again with the same key it is [`Published::Duplicate`] and comes to nobody a second time. It has to be the same
    /// message then: type, content type, body, versions and ordering key, byte by byte. Another message with the key is
    /// [`Error::Reused`], so that none is lost in silence. Leave out of the body what differs when it is told again, as a clock's time.
    ///
    /// [`Config::idempotency`]: crate::Config::idempotency
    /// [`Published::Duplicate`]: crate::Published::Duplicate
    #[must_use]
    pub fn with_idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    pub(crate) fn check(&self, max_payload: usize) -> Result<(), Error> {
        let bodies = self.versions.values().chain([&self.body]);
        let size: usize = bodies.map(|body| body.len()).sum();
        if size > max_payload {
            return Err(Error::message(format!(
                "its {size} bytes are more than the {max_payload} that are allowed"
            )));
        }
        for key in self.ordering_key.iter().chain(&self.idempotency_key).chain(self.versions.keys()) {
            if key.is_empty() || key.len() > MAX_KEY || key.contains('\0') {
                return Err(Error::message("a key is 1 to 256 bytes without a NUL"));
            }
        }
        Ok(())
    }
}

/// A message as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Its id, the same for all endpoints and attempts.
    pub id: MessageId,
    /// What happened.
    pub event_type: EventTypeName,
    /// When it was published.
    pub created: Timestamp,
    /// What the body is.
    pub content_type: String,
    /// The body.
    pub body: Arc<[u8]>,
    /// The body as other versions have it.
    pub versions: BTreeMap<String, Arc<[u8]>>,
    /// Its lane.
    pub ordering_key: Option<String>,
}

impl Message {
    /// Whether its body, in any version, has these bytes in it.
    pub(crate) fn holds(&self, text: &str) -> bool {
        // In linear time, whatever the body and the text repeat.
        let text = memmem::Finder::new(text);
        let held = |body: &Arc<[u8]>| text.find(body).is_some();
        held(&self.body) || self.versions.values().any(held)
    }

    pub(crate) fn of(id: MessageId, created: Timestamp, publish: Publish) -> Self {
        let Publish { event_type, content_type, body, versions, ordering_key, .. } = publish;
        Self { id, event_type, created, content_type, body, versions, ordering_key }
    }

    /// SHA-256 of what was published: type, content type, body, versions and ordering key, each with its length before it. The id
    /// and the time are no part of it. Stores keep it beside an idempotency key, so no version of this crate changes it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        fn part(hash: &mut Sha256, bytes: &[u8]) {
            hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(bytes);
        }
        let mut hash = Sha256::new();
        part(&mut hash, self.event_type.as_str().as_bytes());
        part(&mut hash, self.content_type.as_bytes());
        part(&mut hash, &self.body);
        hash.update([u8::from(self.ordering_key.is_some())]);
        part(&mut hash, self.ordering_key.as_deref().unwrap_or_default().as_bytes());
        for (version, body) in &self.versions {
            part(&mut hash, version.as_bytes());
            part(&mut hash, body);
        }
        hash.finalize().into()
    }

    /// The body of a version, or the usual one.
    #[must_use]
    pub fn body_of(&self, version: Option<&str>) -> &Arc<[u8]> {
        version.and_then(|version| self.versions.get(version)).unwrap_or(&self.body)
    }
}

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PayloadMode {
    /// The body as it was published.
    #[default]
    Plain,
    /// A CloudEvent (1.0) in JSON, the body within it: as JSON if it is, else in base64.
    CloudEventsStructured,
    /// The body as it was published, with the attributes of a CloudEvent in `ce-` headers.
    CloudEventsBinary,
}

/// A message as it is sent: headers in order, and the body.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rendered {
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, which is also what is signed.
    pub body: Arc<[u8]>,
}

/// Writes a message for an endpoint. `source` is the CloudEvents attribute: a URI that names the sender.
#[must_use]
pub fn render(message: &Message, mode: PayloadMode, version: Option<&str>, source: &str) -> Rendered {
    let body = message.body_of(version);
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let time = message.created.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    match mode {
        PayloadMode::Plain => {
            Rendered { headers: vec![header("content-type", &message.content_type)], body: Arc::clone(body) }
        }
        PayloadMode::CloudEventsBinary => {
            let attributes = [
                ("ce-specversion", "1.0".to_owned()),
                ("ce-id", message.id.to_string()),
                ("ce-source", source.to_owned()),
                ("ce-type", message.event_type.to_string()),
                ("ce-time", time),
            ];
            let mut headers = vec![header("content-type", &message.content_type)];
            headers.extend(attributes.map(|(name, value)| header(name, &percent_encoded(&value))));
            Rendered { headers, body: Arc::clone(body) }
        }
        PayloadMode::CloudEventsStructured => {
            let mut event = Map::new();
            let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
            put("specversion", "1.0".into());
            put("id", message.id.to_string().into());
            put("source", source.into());
            put("type", message.event_type.as_str().into());
            put("time", time.into());
            put("datacontenttype", message.content_type.as_str().into());
            let kind = message.content_type.split(';').next().unwrap_or_default().trim();
            let json = (kind == "application/json" || kind.ends_with("+json"))
                .then(|| serde_json::from_slice::<Value>(body).ok())
                .flatten();
            match (json, std::str::from_utf8(body)) {
                (Some(data), _) => put("data", data),
                (None, Ok(text)) if kind.starts_with("text/") => put("data", text.into()),
                _ => put("data_base64", encode(body).into()),
            };
            Rendered {
                headers: vec![header("content-type", "application/cloudevents+json; charset=utf-8")],
                body: Value::Object(event).to_string().into_bytes().into(),
            }
        }
    }
}

/// A header's value as the HTTP binding of CloudEvents writes it (section 3.1.3.2).
fn percent_encoded(value: &str) -> String {
    use std::fmt::Write as _;
    value.bytes().fold(String::with_capacity(value.len()), |mut text, byte| {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%') {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use uuid::Uuid;

    fn message(content_type: &str, body: &[u8]) -> Message {
        let publish = Publish::bytes("deal.won", content_type, body).unwrap().with_version("old", *b"old");
        Message::of(MessageId::new(Uuid::from_u128(1)), "2026-01-02T03:04:05Z".parse().unwrap(), publish)
    }

    #[test]
    fn bodies_that_are_no_text_travel_in_every_mode() {
        let message = message("application/octet-stream", &[0xff, 0, 0xfe]);
        assert_eq!(&*render(&message, PayloadMode::Plain, None, "/x").body, [0xff, 0, 0xfe]);
        assert_eq!(&*render(&message, PayloadMode::CloudEventsBinary, Some("old"), "/x").body, b"old");
        let structured = render(&message, PayloadMode::CloudEventsStructured, Some("none"), "/x");
        let event: Value = serde_json::from_slice(&structured.body).unwrap();
        assert_eq!(event["data_base64"], "/wD+");
        assert_eq!(event["type"], "deal.won");
    }

    #[test]
    fn json_and_text_are_within_a_structured_event_as_they_are() {
        let of = |kind: &str, body: &[u8]| -> Value {
            let rendered = render(&message(kind, body), PayloadMode::CloudEventsStructured, None, "/x");
            serde_json::from_slice(&rendered.body).unwrap()
        };
        assert_eq!(of("application/json", b"{\"a\":1}")["data"], json!({"a": 1}));
        assert_eq!(of("text/plain", "grüße".as_bytes())["data"], "grüße");
        assert_eq!(of("application/json", b"{broken")["data_base64"], "e2Jyb2tlbg==");
    }

    #[test]
    fn a_digest_is_of_what_was_published_and_of_nothing_else() {
        let of = |number, publish: Publish| {
            let created = "2026-01-02T03:04:05Z".parse().unwrap();
            Message::of(MessageId::new(Uuid::from_u128(number)), created, publish).digest()
        };
        let plain = || Publish::bytes("deal.won", "text/plain", *b"7").unwrap();
        assert_eq!(of(1, plain()), of(2, plain().with_idempotency_key("k")));
        // What is in stores today has to be found tomorrow.
        let hex = of(1, plain()).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        assert_eq!(hex, "c765a5d23b6a39cd2993f85588c9c6db0e9485c40de2cdee1a19bd0d241f81a2");
        let others = [
            Publish::bytes("deal.lost", "text/plain", *b"7").unwrap(),
            Publish::bytes("deal.won", "text/html", *b"7").unwrap(),
            Publish::bytes("deal.won", "text/plain", *b"8").unwrap(),
            plain().with_ordering_key("a"),
            plain().with_ordering_key("b"),
            plain().with_version("a", *b"bc"),
            plain().with_version("ab", *b"c"),
            plain().with_version("a", *b"b").with_version("c", *b""),
        ];
        let mut found: Vec<_> = others.into_iter().chain([plain()]).map(|each| of(1, each)).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 9, "two messages have one digest");
    }

    #[test]
    fn attributes_in_headers_are_escaped() {
        let rendered =
            render(&message("text/plain", b""), PayloadMode::CloudEventsBinary, None, "/a b/ü\r\n%");
        assert!(rendered.headers.contains(&("ce-source".to_owned(), "/a%20b/%C3%BC%0D%0A%25".to_owned())));
    }
}
