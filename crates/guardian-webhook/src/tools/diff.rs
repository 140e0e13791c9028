//! What differs between two payloads.

use std::fmt;

use serde_json::Value;

/// One place where two payloads differ.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// A JSON pointer (RFC 6901) to the place.
    pub place: String,
    /// What the first payload has there, if anything.
    pub before: Option<Value>,
    /// What the second payload has there, if anything.
    pub after: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.place.is_empty() { "(all)" } else { &self.place };
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "~ {place}: {before} -> {after}"),
            (Some(before), None) => write!(f, "- {place}: {before}"),
            (None, Some(after)) => write!(f, "+ {place}: {after}"),
            (None, None) => write!(f, "= {place}"),
        }
    }
}

/// Differences that are named, at most.
const MAX: usize = 1000;

/// What differs between two payloads, by places in order, the first 1000: of a message and its replay, or of two versions. Payloads that
/// are not both JSON are compared as a whole.
///
/// ```
/// use guardian_webhook::tools::payload_diff;
///
/// let found = payload_diff(br#"{"id": 7, "stage": "open", "tags": ["a"]}"#, br#"{"id": 7, "stage": "won", "tags": ["a", "b"]}"#);
/// let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
/// assert_eq!(lines, [r#"~ /stage: "open" -> "won""#, r#"+ /tags/1: "b""#]);
/// ```
#[must_use]
pub fn payload_diff(before: &[u8], after: &[u8]) -> Vec<Difference> {
    let mut found = Vec::new();
    match (serde_json::from_slice(before), serde_json::from_slice(after)) {
        (Ok(before), Ok(after)) => compare(String::new(), &before, &after, &mut found),
        _ if before == after => {}
        _ => {
            let text = |bytes: &[u8]| Some(Value::from(String::from_utf8_lossy(bytes).into_owned()));
            found.push(Difference { place: String::new(), before: text(before), after: text(after) });
        }
    }
    found
}

fn compare(place: String, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    if found.len() >= MAX || before == after {
        return;
    }
    let mut at = |key: &str, before: Option<&Value>, after: Option<&Value>| {
        let place = format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"));
        match (before, after) {
            (Some(before), Some(after)) => compare(place, before, after, found),
            (before, after) if found.len() < MAX => {
                found.push(Difference { place, before: before.cloned(), after: after.cloned() });
            }
            _ => {}
        }
    };
    match (before, after) {
        (Value::Object(one), Value::Object(two)) => {
            for (key, value) in one {
                at(key, Some(value), two.get(key));
            }
            for (key, value) in two.iter().filter(|(key, _)| !one.contains_key(*key)) {
                at(key, None, Some(value));
            }
        }
        (Value::Array(one), Value::Array(two)) => {
            for index in 0..one.len().max(two.len()) {
                at(&index.to_string(), one.get(index), two.get(index));
            }
        }
        _ => found.push(Difference { place, before: Some(before.clone()), after: Some(after.clone()) }),
    }
}
