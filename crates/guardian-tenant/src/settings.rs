use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::InvalidField;

/// A tenant's settings: a JSON object with limits, so that no tenant can grow its row without bound.
///
/// At most [`MAX_BYTES`](Self::MAX_BYTES) as compact JSON, nested at most [`MAX_DEPTH`](Self::MAX_DEPTH) deep, at most
/// [`MAX_VALUES`](Self::MAX_VALUES) values in all; a key has 1 to [`MAX_KEY_LEN`](Self::MAX_KEY_LEN) bytes; whole numbers
/// fit into 64 bits with a sign; no text has the character U+0000, which Postgres does not keep.
///
/// ```
/// use guardian_tenant::Settings;
///
/// let settings: Settings = r#"{"locale": "de-CH", "seats": 40}"#.parse()?;
/// assert_eq!(settings.get("seats").and_then(|seats| seats.as_i64()), Some(40));
///
/// let error = "[1]".parse::<Settings>().unwrap_err();
/// assert_eq!(error.to_string(), "invalid settings `[1]`: they must be an object");
/// # Ok::<(), guardian_tenant::InvalidField>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Settings(Map<String, Value>);

impl Settings {
    /// The most bytes as compact JSON.
    pub const MAX_BYTES: usize = 64 * 1024;
    /// The deepest nesting; the object itself is the first level.
    pub const MAX_DEPTH: usize = 16;
    /// The most values, counted through all levels.
    pub const MAX_VALUES: usize = 4096;
    /// The longest key, in bytes.
    pub const MAX_KEY_LEN: usize = 128;

    /// No settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a JSON value that keeps the limits.
    ///
    /// # Errors
    /// When it is no object or breaks a limit; the error names the limit.
    pub fn from_value(value: Value) -> Result<Self, InvalidField> {
        let fault = |value: &Value, why: &str| Err(InvalidField::new("settings", &excerpt(value), why));
        let mut left = Self::MAX_VALUES;
        if let Err(why) = check(&value, 1, &mut left) {
            return fault(&value, why);
        }
        if value.to_string().len() > Self::MAX_BYTES {
            return fault(&value, "they have more than 65536 bytes");
        }
        match value {
            Value::Object(map) => Ok(Self(map)),
            other => fault(&other, "they must be an object"),
        }
    }

    /// The value of a key of the first level.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// All of them.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// Whether a value keeps the limits; says which one it breaks.
fn check(value: &Value, depth: usize, left: &mut usize) -> Result<(), &'static str> {
    if depth > Settings::MAX_DEPTH {
        return Err("they are nested deeper than 16 levels");
    }
    *left = left.checked_sub(1).ok_or("they have more than 4096 values")?;
    match value {
        Value::String(text) if text.contains('\0') => Err("a text has the character U+0000"),
        Value::Number(number) if number.is_u64() && !number.is_i64() => {
            Err("a whole number does not fit into 64 bits with a sign")
        }
        Value::Array(values) => values.iter().try_for_each(|value| check(value, depth + 1, left)),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            if key.is_empty() || key.len() > Settings::MAX_KEY_LEN || key.contains('\0') {
                return Err("a key must have 1 to 128 bytes and no U+0000");
            }
            check(value, depth + 1, left)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// What of a value is shown in an error; never the whole of a large one.
fn excerpt(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let keys: Vec<_> = map.keys().take(3).map(|key| format!("\"{key}\": …")).collect();
            format!("{{{}}}", keys.join(", "))
        }
        Value::Array(values) if values.len() > 3 => format!("[… {} values]", values.len()),
        Value::Array(values) if values.iter().any(|value| value.is_array() || value.is_object()) => {
            "[…]".to_owned()
        }
        other => other.to_string(),
    }
}

impl FromStr for Settings {
    type Err = InvalidField;

    /// Reads JSON text. Text above twice [`Settings::MAX_BYTES`] is refused unread.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > 2 * Self::MAX_BYTES {
            return Err(InvalidField::new("settings", text, "the text has more than 131072 bytes"));
        }
        let value = serde_json::from_str(text)
            .map_err(|fault| InvalidField::new("settings", text, fault.to_string()))?;
        Self::from_value(value)
    }
}

impl TryFrom<Value> for Settings {
    type Error = InvalidField;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        Self::from_value(value)
    }
}

impl From<Settings> for Value {
    fn from(settings: Settings) -> Self {
        Self::Object(settings.0)
    }
}

impl fmt::Display for Settings {
    /// Compact JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).map_err(|_| fmt::Error)?)
    }
}
