use guardian_core::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::{Happened, Subject, Usage};
use guardian_core::shorten;

/// A text that is no usage event; says which and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid usage event `{input}`: {why}")]
pub struct InvalidEvent {
    input: String,
    why: String,
}

#[derive(Deserialize)]
struct Written {
    id: Option<String>,
    source: Option<String>,
    specversion: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    feature: Option<String>,
    subject: Option<String>,
    time: Option<Timestamp>,
    amount: Option<u64>,
    value: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    amount: Option<u64>,
    value: Option<Value>,
    subject: Option<String>,
}

impl Happened {
    /// The longest event, in bytes.
    pub const MAX_LEN: usize = 64 * 1024;

    /// Reads a usage event from one line of JSON: ours,
    /// `{"id": "e1", "feature": "tokens", "subject": "user:u_17", "time": "2026-03-01T00:00:00Z", "amount": 1250}`, or a
    /// CloudEvent (`specversion` is `1.0`), whose `type` is the feature, and whose `data` has the `value` or `amount` and may
    /// have the `subject`. An event without an amount counts 1; one with a text as its value is one of different values. The
    /// `source` of a CloudEvent is part of its key.
    ///
    /// ```
    /// use guardian_quota::Happened;
    ///
    /// let event = Happened::parse(r#"{"specversion": "1.0", "id": "e1", "source": "api", "type": "tokens", "subject": "acme",
    ///     "time": "2026-03-01T00:00:00Z", "data": {"value": "1250"}}"#)?;
    /// assert_eq!((event.usage.amount(), event.usage.key().map(|key| key.as_str())), (1250, Some("api/e1")));
    /// # Ok::<(), guardian_quota::InvalidEvent>(())
    /// ```
    ///
    /// # Errors
    /// When the text is too long, no JSON, or lacks something.
    pub fn parse(text: &str) -> Result<Self, InvalidEvent> {
        let invalid = |why: String| InvalidEvent { input: shorten(text), why };
        if text.len() > Self::MAX_LEN {
            return Err(invalid(format!("it has {} bytes, the most is {}", text.len(), Self::MAX_LEN)));
        }
        let written: Written = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let at = written.time.ok_or_else(|| invalid("it has no `time`".to_owned()))?;
        let is_cloud = match written.specversion.as_deref() {
            None => false,
            Some("1.0") => true,
            Some(_) => return Err(invalid("its `specversion` is not `1.0`".to_owned())),
        };
        let (feature, subject, amount, value, key) = if is_cloud {
            let data = written.data.unwrap_or(Data { amount: None, value: None, subject: None });
            let (amount, value) = match data.value {
                None => (data.amount, None),
                Some(Value::Number(number)) => (
                    Some(
                        number
                            .as_u64()
                            .ok_or_else(|| invalid("its `value` is not a whole number".to_owned()))?,
                    ),
                    None,
                ),
                Some(Value::String(text)) => match text.parse() {
                    Ok(number) => (Some(number), None),
                    Err(_) => (data.amount, Some(text)),
                },
                Some(_) => return Err(invalid("its `value` is neither a number nor a text".to_owned())),
            };
            let id = written.id.ok_or_else(|| invalid("it has no `id`".to_owned()))?;
            let source = written.source.ok_or_else(|| invalid("it has no `source`".to_owned()))?;
            (written.kind, data.subject, amount, value, Some(format!("{source}/{id}")))
        } else {
            (written.feature, written.subject, written.amount, written.value, written.id)
        };
        let feature = feature.ok_or_else(|| invalid("it names no feature".to_owned()))?;
        let subject: Subject = match subject {
            Some(text) => text.parse().map_err(|error: crate::InvalidSubject| invalid(error.to_string()))?,
            None => Subject::org(),
        };
        let mut usage =
            Usage::of(feature, &subject, amount.unwrap_or(1)).map_err(|error| invalid(error.to_string()))?;
        if let Some(key) = key {
            usage = usage.with_key(key).map_err(|error| invalid(error.to_string()))?;
        }
        if let Some(value) = value {
            usage = usage.with_value(&value);
        }
        Ok(Self { usage, at })
    }
}
