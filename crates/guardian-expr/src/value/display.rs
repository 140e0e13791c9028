//! Values as text.

use std::fmt;

use super::{List, Map, Value, entries};

impl fmt::Debug for Value<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Debug for List<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Value::List(self.clone()), formatter)
    }
}

impl fmt::Debug for Map<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Value::Map(self.clone()), formatter)
    }
}

/// What is still to be written.
enum Piece<'a> {
    Value(Value<'a>),
    Text(&'static str),
}

/// The value as it is written in the language. It is written with an explicit stack, at any depth.
impl fmt::Display for Value<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pieces = vec![Piece::Value(self.clone())];
        while let Some(piece) = pieces.pop() {
            let value = match piece {
                Piece::Text(text) => {
                    formatter.write_str(text)?;
                    continue;
                }
                Piece::Value(value) => value,
            };
            match value {
                Value::Null => formatter.write_str("null")?,
                Value::Bool(value) => write!(formatter, "{value}")?,
                Value::Int(value) => write!(formatter, "{value}")?,
                Value::Uint(value) => write!(formatter, "{value}u")?,
                Value::Double(value) => write_double(formatter, value)?,
                Value::Str(text) => write_text(formatter, text)?,
                Value::Shared(text) => write_text(formatter, &text)?,
                Value::Bytes(bytes) => write_bytes(formatter, &bytes)?,
                Value::Timestamp(time) => write!(formatter, "timestamp(\"{time}\")")?,
                Value::Duration(duration) => write!(formatter, "duration(\"{duration}\")")?,
                Value::Type(name) => formatter.write_str(&name)?,
                Value::Ip(address) => write!(formatter, "ip(\"{address}\")")?,
                Value::Cidr(range) => write!(formatter, "cidr(\"{range}\")")?,
                Value::Optional(None) => formatter.write_str("optional.none()")?,
                Value::Optional(Some(inner)) => {
                    formatter.write_str("optional.of(")?;
                    pieces.push(Piece::Text(")"));
                    pieces.push(Piece::Value((*inner).clone()));
                }
                Value::List(list) => {
                    formatter.write_str("[")?;
                    pieces.push(Piece::Text("]"));
                    for at in (0..list.len()).rev() {
                        pieces.push(Piece::Value(list.get(at).unwrap_or_default()));
                        if at > 0 {
                            pieces.push(Piece::Text(", "));
                        }
                    }
                }
                map @ (Value::Map(_) | Value::Object(_)) => {
                    formatter.write_str("{")?;
                    pieces.push(Piece::Text("}"));
                    for (at, (key, value)) in entries(&map).into_iter().enumerate().rev() {
                        pieces.push(Piece::Value(value));
                        pieces.push(Piece::Text(": "));
                        pieces.push(Piece::Value(key));
                        if at > 0 {
                            pieces.push(Piece::Text(", "));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// A double so that it reads as one.
pub(crate) fn write_double(to: &mut impl fmt::Write, value: f64) -> fmt::Result {
    if value.is_finite() {
        write!(to, "{value:?}")
    } else if value.is_nan() {
        to.write_str("double(\"NaN\")")
    } else {
        write!(to, "double(\"{}Infinity\")", if value < 0.0 { "-" } else { "" })
    }
}

/// A text in double quotes with escapes.
pub(crate) fn write_text(to: &mut impl fmt::Write, text: &str) -> fmt::Result {
    to.write_str("\"")?;
    for each in text.chars() {
        match each {
            '"' => to.write_str("\\\"")?,
            '\\' => to.write_str("\\\\")?,
            '\n' => to.write_str("\\n")?,
            '\r' => to.write_str("\\r")?,
            '\t' => to.write_str("\\t")?,
            control if control.is_control() => write!(to, "\\u{:04x}", u32::from(control))?,
            other => to.write_char(other)?,
        }
    }
    to.write_str("\"")
}

/// Bytes in double quotes with escapes.
pub(crate) fn write_bytes(to: &mut impl fmt::Write, bytes: &[u8]) -> fmt::Result {
    to.write_str("b\"")?;
    for byte in bytes {
        match byte {
            b'"' => to.write_str("\\\"")?,
            b'\\' => to.write_str("\\\\")?,
            b' '..=b'~' => to.write_char(char::from(*byte))?,
            _ => write!(to, "\\x{byte:02x}")?,
        }
    }
    to.write_str("\"")
}
