//! Parameters on their way into a driver: refused when the two databases would keep them differently.

use std::io;

use chrono::{DateTime, Datelike};
use guardian_core::{StoreError, StoreErrorKind, Timestamp};
use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use sqlx::Arguments as _;

use crate::param::Param;
#[cfg(feature = "postgres")]
use crate::param::Type;
use crate::{Dialect, fault};

fn refused(dialect: Dialect, index: usize, why: &str) -> StoreError {
    fault::own(StoreErrorKind::Constraint, dialect, format!("the parameter `${}` {why}", index + 1))
}

/// What SQLite's driver takes.
#[cfg(feature = "sqlite")]
pub(crate) fn sqlite(params: &[Param<'_>]) -> Result<sqlx::sqlite::SqliteArguments, StoreError> {
    use std::sync::Arc;
    let refused = |index, why: &str| refused(Dialect::Sqlite, index, why);
    let mut arguments = sqlx::sqlite::SqliteArguments::default();
    arguments.reserve(params.len(), 0);
    for (index, param) in params.iter().enumerate() {
        let added = match param {
            Param::Null(_) => arguments.add(None::<i64>),
            Param::Bool(value) => arguments.add(i64::from(*value)),
            Param::Integer(value) => arguments.add(*value),
            Param::Float(value) => arguments.add(float(*value).map_err(|why| refused(index, why))?),
            Param::Text(value) => {
                text(value).map_err(|why| refused(index, why))?;
                arguments.add(Arc::<str>::from(&**value))
            }
            Param::Bytes(value) => arguments.add(&**value),
            Param::Uuid(value) => arguments.add(&value.as_bytes()[..]),
            Param::Timestamp(value) => {
                arguments.add(moment(*value).map_err(|why| refused(index, why))?.timestamp_micros())
            }
            Param::Json(value) => arguments.add(json(value).map_err(|why| refused(index, why))?),
        };
        added.map_err(|error| refused(index, &error.to_string()))?;
    }
    Ok(arguments)
}

/// What PostgreSQL's driver takes.
#[cfg(feature = "postgres")]
pub(crate) fn postgres(params: &[Param<'_>]) -> Result<sqlx::postgres::PgArguments, StoreError> {
    let refused = |index, why: &str| refused(Dialect::Postgres, index, why);
    let mut arguments = sqlx::postgres::PgArguments::default();
    arguments.reserve(params.len(), params.len() * 16);
    for (index, param) in params.iter().enumerate() {
        let added = match param {
            Param::Null(Type::Bool) => arguments.add(None::<bool>),
            Param::Null(Type::Integer) => arguments.add(None::<i64>),
            Param::Null(Type::Float) => arguments.add(None::<f64>),
            Param::Null(Type::Text) => arguments.add(None::<&str>),
            Param::Null(Type::Bytes) => arguments.add(None::<&[u8]>),
            Param::Null(Type::Uuid) => arguments.add(None::<uuid::Uuid>),
            Param::Null(Type::Timestamp) => arguments.add(None::<Timestamp>),
            Param::Null(Type::Json) => arguments.add(None::<Document>),
            Param::Bool(value) => arguments.add(*value),
            Param::Integer(value) => arguments.add(*value),
            Param::Float(value) => arguments.add(float(*value).map_err(|why| refused(index, why))?),
            Param::Text(value) => {
                text(value).map_err(|why| refused(index, why))?;
                arguments.add(&**value)
            }
            Param::Bytes(value) => arguments.add(&**value),
            Param::Uuid(value) => arguments.add(*value),
            Param::Timestamp(value) => arguments.add(moment(*value).map_err(|why| refused(index, why))?),
            Param::Json(value) => arguments.add(Document(json(value).map_err(|why| refused(index, why))?)),
        };
        added.map_err(|error| refused(index, &error.to_string()))?;
    }
    Ok(arguments)
}

/// A document's text, sent as `jsonb`.
#[cfg(feature = "postgres")]
struct Document(String);

#[cfg(feature = "postgres")]
impl sqlx::Type<sqlx::Postgres> for Document {
    fn type_info() -> sqlx::postgres::PgTypeInfo {
        <sqlx::types::Json<Value> as sqlx::Type<sqlx::Postgres>>::type_info()
    }
}

#[cfg(feature = "postgres")]
impl sqlx::Encode<'_, sqlx::Postgres> for Document {
    fn encode_by_ref(
        &self,
        buffer: &mut sqlx::postgres::PgArgumentBuffer,
    ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
        // The version of the binary format, then the text.
        buffer.push(1);
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(sqlx::encode::IsNull::No)
    }
}

/// SQLite stores not-a-number as NULL, and forgets the sign of zero.
fn float(value: f64) -> Result<f64, &'static str> {
    if value.is_nan() { Err("is not a number, which SQLite cannot keep") } else { Ok(value + 0.0) }
}

/// PostgreSQL stores no NUL in a text.
fn text(value: &str) -> Result<(), &'static str> {
    if value.as_bytes().contains(&0) { Err("has a NUL in its text, which PostgreSQL cannot keep") } else { Ok(()) }
}

/// Both keep microseconds; PostgreSQL begins in the year 4713 before our era, chrono ends before PostgreSQL does.
fn moment(value: Timestamp) -> Result<Timestamp, &'static str> {
    let micros = DateTime::from_timestamp_micros(value.timestamp_micros());
    micros.filter(|moment| moment.year() > -4712).ok_or("is a moment before PostgreSQL's calendar begins")
}

/// The text of a document, such that both databases give the same document back.
fn json(value: &Value) -> Result<String, &'static str> {
    let mut text = Vec::with_capacity(128);
    let mut serializer = Serializer::with_formatter(&mut text, Portable);
    value.serialize(&mut serializer).map_err(|_| "cannot be written as JSON")?;
    let text = String::from_utf8(text).map_err(|_| "cannot be written as JSON")?;
    if has_nul(value, &text) {
        return Err("has a NUL in a text of its document, which PostgreSQL cannot keep");
    }
    Ok(text)
}

fn has_nul(value: &Value, text: &str) -> bool {
    fn within(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(within),
            Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || within(value)),
            _ => false,
        }
    }
    // Only a text with this escape is worth the walk.
    text.contains("\\u0000") && within(value)
}

/// Writes a float so that `jsonb`, which keeps decimal numbers, does not turn it into an integer: `1e16` as
/// `10000000000000000.0`. Zero has no sign there.
struct Portable;

impl Formatter for Portable {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        const PLAIN: f64 = 1e15;
        if value.abs() >= PLAIN {
            write!(writer, "{value:.1}")
        } else {
            CompactFormatter.write_f64(writer, value + 0.0)
        }
    }
}
