//! What can happen: event types with their schemas and samples, and patterns of them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::tools::schema;
use guardian_core::shorten;

macro_rules! text {
    ($name:ident, $error:ident, $check:expr) => {
        impl $name {
            /// As text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err(Error::$error { input: shorten(text) }) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// The name of an event type: `deal.won`, parts of letters, digits, `_` and `-` joined by dots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventTypeName(Arc<str>);

text!(EventTypeName, EventType, is_name);

fn is_name(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    text.len() <= 128 && text.split('.').all(part)
}

/// Some event types: one by its name, all that begin with `deal.` as `deal.*`, or all as `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TypePattern(Arc<str>);

text!(TypePattern, Pattern, |text| text == "*" || is_name(text.strip_suffix(".*").unwrap_or(text)));

impl TypePattern {
    /// Whether it is about this event type.
    #[must_use]
    pub fn matches(&self, name: &EventTypeName) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => name.0.len() > beginning.len() && name.0.starts_with(beginning),
            None => self.0 == name.0,
        }
    }
}

/// Something that can happen, with the shape of what is told about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventType {
    /// Its name.
    pub name: EventTypeName,
    /// What it is, for people.
    pub description: String,
    /// A JSON Schema of the payload, see [`tools::schema`](crate::tools::schema) for the part that is known.
    pub schema: Option<Value>,
    /// A payload to show.
    pub sample: Option<Value>,
    /// Whether new endpoints should not ask for it any more.
    pub deprecated: bool,
}

impl EventType {
    /// An event type.
    ///
    /// # Errors
    /// When the name does not do.
    pub fn new(name: &str, description: impl Into<String>) -> Result<Self, Error> {
        Ok(Self {
            name: name.parse()?,
            description: description.into(),
            schema: None,
            sample: None,
            deprecated: false,
        })
    }

    /// With a schema of its payload.
    ///
    /// # Errors
    /// When the schema is faulty or uses what is not known.
    pub fn with_schema(mut self, schema: Value) -> Result<Self, Error> {
        schema::check(&schema)?;
        if let Some(sample) = &self.sample {
            schema::validate(&schema, sample)?;
        }
        self.schema = Some(schema);
        Ok(self)
    }

    /// With a payload to show.
    ///
    /// # Errors
    /// When it does not fit the schema.
    pub fn with_sample(mut self, sample: Value) -> Result<Self, Error> {
        if let Some(schema) = &self.schema {
            schema::validate(schema, &sample)?;
        }
        self.sample = Some(sample);
        Ok(self)
    }
}

/// The event types that a host has.
///
/// ```
/// use guardian_webhook::{EventType, EventTypes};
/// use serde_json::json;
///
/// let types = EventTypes::new([EventType::new("deal.won", "A deal was won")?
///     .with_schema(json!({"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer"}}}))?]);
/// let name = "deal.won".parse()?;
/// assert!(types.check(&name, &json!({"amount": 5})).is_ok());
/// assert_eq!(types.check(&name, &json!({"amount": "5"})).unwrap_err().to_string(),
///     "the payload does not fit at `/amount`: it is not of the type `integer`");
/// # Ok::<(), guardian_webhook::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventTypes(BTreeMap<EventTypeName, EventType>);

impl EventTypes {
    /// These types; of two with the same name the later one.
    pub fn new(types: impl IntoIterator<Item = EventType>) -> Self {
        Self(types.into_iter().map(|each| (each.name.clone(), each)).collect())
    }

    /// A type by its name.
    #[must_use]
    pub fn get(&self, name: &EventTypeName) -> Option<&EventType> {
        self.0.get(name)
    }

    /// All types, by name.
    pub fn iter(&self) -> impl Iterator<Item = &EventType> {
        self.0.values()
    }

    /// Whether there is no type: then every name and payload is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a pattern is about any of them; without types about anything.
    pub(crate) fn have(&self, pattern: &TypePattern) -> bool {
        self.is_empty() || self.0.keys().any(|name| pattern.matches(name))
    }

    /// Whether a payload is one of this type.
    ///
    /// # Errors
    /// When there are types but not this one, or the payload does not fit its schema.
    pub fn check(&self, name: &EventTypeName, payload: &Value) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let found = self.get(name).ok_or_else(|| Error::NoEventType { name: name.to_string() })?;
        found.schema.as_ref().map_or(Ok(()), |schema| schema::validate(schema, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_parts() {
        let name = |text: &str| text.parse::<EventTypeName>().unwrap();
        let pattern = |text: &str| text.parse::<TypePattern>().unwrap();
        assert!(pattern("*").matches(&name("deal")));
        assert!(pattern("deal.*").matches(&name("deal.won.big")));
        assert!(!pattern("deal.*").matches(&name("deal")));
        assert!(!pattern("deal.*").matches(&name("dealer.won")));
        assert!(!pattern("deal").matches(&name("deal.won")));
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "*.a", "a*", "a.*.b", "ä"] {
            assert!(bad.parse::<TypePattern>().is_err(), "{bad}");
        }
        assert!("a.*".parse::<EventTypeName>().is_err());
    }
}
