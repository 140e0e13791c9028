use std::fmt;
use std::sync::Arc;

use chrono::DateTime;
use guardian_core::{ActorId, TenantId, Timestamp};
use serde_json::Value;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use sqlx::{Row as _, TypeInfo as _, ValueRef as _};
use uuid::Uuid;

use crate::row::{Driver, Row};

/// One value of a row, before it is read as a type; see [`FromField`].
#[derive(Debug, Clone, Copy)]
pub struct Field<'r> {
    pub(crate) row: &'r Row,
    pub(crate) index: usize,
}

/// Why a column cannot be read as the type that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    expected: &'static str,
    found: String,
}

impl Mismatch {
    /// The column holds `found`, which is not `expected` (`"a tenant id"`). Leave the value itself out.
    #[must_use]
    pub fn new(expected: &'static str, found: impl Into<String>) -> Self {
        Self { expected, found: found.into() }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "holds {}, expected {}", self.found, self.expected)
    }
}

impl std::error::Error for Mismatch {}

/// What a column can be read as. Your own ids implement it in a few lines.
///
/// ```
/// use guardian_sql::{Field, FromField, Mismatch};
///
/// struct DealId(i64);
///
/// impl FromField<'_> for DealId {
///     fn from_field(field: &Field<'_>) -> Result<Self, Mismatch> {
///         field.integer().map(Self)
///     }
/// }
/// ```
pub trait FromField<'r>: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// When the column holds something else.
    fn from_field(field: &Field<'r>) -> Result<Self, Mismatch>;
}

/// The microseconds between 1970-01-01 and 2000-01-01, where PostgreSQL counts from.
#[cfg(feature = "postgres")]
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// A value as both databases can be asked for it.
enum Raw<'r> {
    Null,
    #[cfg(feature = "postgres")]
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(&'r str),
    Bytes(&'r [u8]),
    #[cfg(feature = "postgres")]
    Uuid(&'r [u8]),
    #[cfg(feature = "postgres")]
    Micros(i64),
    #[cfg(feature = "postgres")]
    Json(&'r [u8]),
    /// Something that this crate does not read, or cannot.
    Other(String),
}

impl<'r> Field<'r> {
    /// Whether the value is NULL.
    #[must_use]
    pub fn is_null(&self) -> bool {
        match &self.row.0 {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(row) => row.try_get_raw(self.index).is_ok_and(|raw| raw.is_null()),
            #[cfg(feature = "postgres")]
            Driver::Postgres(row) => row.try_get_raw(self.index).is_ok_and(|raw| raw.is_null()),
        }
    }

    /// As true or false. SQLite keeps 1 and 0.
    ///
    /// # Errors
    /// When it is neither.
    pub fn bool(&self) -> Result<bool, Mismatch> {
        match self.raw() {
            #[cfg(feature = "postgres")]
            Raw::Bool(value) => Ok(value),
            #[cfg(feature = "sqlite")]
            Raw::Integer(value @ 0..=1) if self.is_sqlite() => Ok(value == 1),
            other => Err(other.mismatch("true or false")),
        }
    }

    /// As a whole number.
    ///
    /// # Errors
    /// When it is none, or has a type that PostgreSQL widens sums to (`NUMERIC`): cast it in the statement.
    pub fn integer(&self) -> Result<i64, Mismatch> {
        match self.raw() {
            Raw::Integer(value) => Ok(value),
            other => Err(other.mismatch("a whole number of 64 bits")),
        }
    }

    /// As a number. A whole number below 2⁵³ is one too, because SQLite does not tell `1` from `1.0` in expressions.
    ///
    /// # Errors
    /// When it is none.
    pub fn float(&self) -> Result<f64, Mismatch> {
        const EXACT: i64 = 1 << 53;
        const LEAST: i64 = -EXACT;
        match self.raw() {
            Raw::Float(value) => Ok(value),
            #[expect(clippy::cast_precision_loss, reason = "whole numbers up to 2^53 are exact")]
            Raw::Integer(value @ LEAST..=EXACT) => Ok(value as f64),
            other => Err(other.mismatch("a number")),
        }
    }

    /// As text.
    ///
    /// # Errors
    /// When it is none.
    pub fn text(&self) -> Result<&'r str, Mismatch> {
        match self.raw() {
            Raw::Text(value) => Ok(value),
            other => Err(other.mismatch("text")),
        }
    }

    /// As bytes.
    ///
    /// # Errors
    /// When it is not.
    pub fn bytes(&self) -> Result<&'r [u8], Mismatch> {
        match self.raw() {
            Raw::Bytes(value) => Ok(value),
            other => Err(other.mismatch("bytes")),
        }
    }

    /// As a UUID. SQLite keeps its 16 bytes.
    ///
    /// # Errors
    /// When it is none.
    pub fn uuid(&self) -> Result<Uuid, Mismatch> {
        const EXPECTED: &str = "a UUID";
        let bytes = match self.raw() {
            #[cfg(feature = "postgres")]
            Raw::Uuid(bytes) => bytes,
            #[cfg(feature = "sqlite")]
            Raw::Bytes(bytes) if self.is_sqlite() => bytes,
            other => return Err(other.mismatch(EXPECTED)),
        };
        Uuid::from_slice(bytes).map_err(|_| Mismatch::new(EXPECTED, format!("{} bytes", bytes.len())))
    }

    /// As a moment. SQLite keeps the microseconds since 1970.
    ///
    /// # Errors
    /// When it is none, or lies beyond what [`Timestamp`] holds (PostgreSQL's `infinity`).
    pub fn timestamp(&self) -> Result<Timestamp, Mismatch> {
        const EXPECTED: &str = "a moment";
        let micros = match self.raw() {
            #[cfg(feature = "postgres")]
            Raw::Micros(micros) => micros.checked_add(POSTGRES_EPOCH),
            #[cfg(feature = "sqlite")]
            Raw::Integer(micros) if self.is_sqlite() => Some(micros),
            other => return Err(other.mismatch(EXPECTED)),
        };
        let moment = micros.and_then(DateTime::from_timestamp_micros);
        moment.ok_or_else(|| Mismatch::new(EXPECTED, "one too far away"))
    }

    /// As a JSON document. SQLite keeps its text.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value, Mismatch> {
        const EXPECTED: &str = "a JSON document";
        let text = match self.raw() {
            #[cfg(feature = "postgres")]
            Raw::Json(text) => text,
            #[cfg(feature = "sqlite")]
            Raw::Text(text) if self.is_sqlite() => text.as_bytes(),
            other => return Err(other.mismatch(EXPECTED)),
        };
        serde_json::from_slice(text).map_err(|error| {
            Mismatch::new(EXPECTED, format!("text with a fault at byte {}", error.column()))
        })
    }

    #[cfg(feature = "sqlite")]
    fn is_sqlite(&self) -> bool {
        matches!(self.row.0, Driver::Sqlite(_))
    }

    fn raw(&self) -> Raw<'r> {
        match &self.row.0 {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(row) => row.try_get_raw(self.index).map_or_else(Raw::unreadable, Raw::sqlite),
            #[cfg(feature = "postgres")]
            Driver::Postgres(row) => {
                row.try_get_raw(self.index).map_or_else(Raw::unreadable, |raw| Raw::postgres(&raw))
            }
        }
    }
}

impl<'r> Raw<'r> {
    #[expect(clippy::needless_pass_by_value, reason = "`map_or_else` hands the error over")]
    fn unreadable(error: sqlx::Error) -> Self {
        Self::Other(error.to_string())
    }

    #[cfg(feature = "sqlite")]
    fn sqlite(raw: sqlx::sqlite::SqliteValueRef<'r>) -> Self {
        use sqlx::{Decode, Sqlite};
        enum Kind {
            Integer,
            Float,
            Text,
            Bytes,
        }
        let kind = {
            let info = raw.type_info();
            match info.name() {
                _ if raw.is_null() => return Self::Null,
                "INTEGER" => Kind::Integer,
                "REAL" => Kind::Float,
                "TEXT" => Kind::Text,
                "BLOB" => Kind::Bytes,
                other => return Self::Other(other.to_owned()),
            }
        };
        let read = match kind {
            Kind::Integer => <i64 as Decode<'r, Sqlite>>::decode(raw).map(Self::Integer),
            Kind::Float => <f64 as Decode<'r, Sqlite>>::decode(raw).map(Self::Float),
            Kind::Text => <&'r str as Decode<'r, Sqlite>>::decode(raw).map(Self::Text),
            Kind::Bytes => <&'r [u8] as Decode<'r, Sqlite>>::decode(raw).map(Self::Bytes),
        };
        read.unwrap_or_else(|_| Self::Other("text that is not UTF-8".to_owned()))
    }

    /// The binary formats are those of PostgreSQL's `*send` functions; types are told by their fixed object ids
    /// (`pg_type.dat`).
    #[cfg(feature = "postgres")]
    fn postgres(raw: &sqlx::postgres::PgValueRef<'r>) -> Self {
        if raw.is_null() {
            return Self::Null;
        }
        let info = raw.type_info();
        let other = || Self::Other(format!("`{}`", info.name()));
        let Ok(bytes) = raw.as_bytes() else {
            return other();
        };
        let value = match info.oid().map(|oid| oid.0) {
            Some(16) => bytes.first().map(|byte| Self::Bool(*byte != 0)),
            Some(17) => Some(Self::Bytes(bytes)),
            Some(20) => bytes.try_into().ok().map(|it| Self::Integer(i64::from_be_bytes(it))),
            Some(21) => bytes.try_into().ok().map(|it| Self::Integer(i64::from(i16::from_be_bytes(it)))),
            Some(23) => bytes.try_into().ok().map(|it| Self::Integer(i64::from(i32::from_be_bytes(it)))),
            // An object id; the catalog is full of them.
            Some(26) => bytes.try_into().ok().map(|it| Self::Integer(i64::from(u32::from_be_bytes(it)))),
            // char, name, text, unknown, bpchar, varchar.
            Some(18 | 19 | 25 | 705 | 1042 | 1043) => std::str::from_utf8(bytes).ok().map(Self::Text),
            Some(114) => Some(Self::Json(bytes)),
            Some(700) => bytes.try_into().ok().map(|it| Self::Float(f64::from(f32::from_be_bytes(it)))),
            Some(701) => bytes.try_into().ok().map(|it| Self::Float(f64::from_be_bytes(it))),
            Some(1184) => bytes.try_into().ok().map(|it| Self::Micros(i64::from_be_bytes(it))),
            Some(2950) => Some(Self::Uuid(bytes)),
            // A byte with the format's version comes first.
            Some(3802) => bytes.split_first().filter(|(version, _)| **version == 1).map(|(_, it)| Self::Json(it)),
            _ => None,
        };
        value.unwrap_or_else(other)
    }

    #[cold]
    fn mismatch(self, expected: &'static str) -> Mismatch {
        let found = match self {
            Self::Null => "NULL".to_owned(),
            #[cfg(feature = "postgres")]
            Self::Bool(_) => "true or false".to_owned(),
            Self::Integer(_) => "a whole number".to_owned(),
            Self::Float(_) => "a number".to_owned(),
            Self::Text(_) => "text".to_owned(),
            Self::Bytes(_) => "bytes".to_owned(),
            #[cfg(feature = "postgres")]
            Self::Uuid(_) => "a UUID".to_owned(),
            #[cfg(feature = "postgres")]
            Self::Micros(_) => "a moment".to_owned(),
            #[cfg(feature = "postgres")]
            Self::Json(_) => "a JSON document".to_owned(),
            Self::Other(what) => what,
        };
        Mismatch { expected, found }
    }
}

impl<'r, T: FromField<'r>> FromField<'r> for Option<T> {
    fn from_field(field: &Field<'r>) -> Result<Self, Mismatch> {
        if field.is_null() { Ok(None) } else { T::from_field(field).map(Some) }
    }
}

macro_rules! from_field {
    ($($type:ty, $field:ident => $value:expr;)+) => {$(
        impl<'r> FromField<'r> for $type {
            fn from_field($field: &Field<'r>) -> Result<Self, Mismatch> {
                $value
            }
        }
    )+};
}

from_field! {
    bool, field => field.bool();
    i64, field => field.integer();
    i32, field => narrow(field.integer()?);
    u32, field => narrow(field.integer()?);
    u64, field => narrow(field.integer()?);
    i16, field => narrow(field.integer()?);
    u16, field => narrow(field.integer()?);
    u8, field => narrow(field.integer()?);
    f64, field => field.float();
    &'r str, field => field.text();
    String, field => field.text().map(str::to_owned);
    Box<str>, field => field.text().map(Into::into);
    Arc<str>, field => field.text().map(Into::into);
    &'r [u8], field => field.bytes();
    Vec<u8>, field => field.bytes().map(<[u8]>::to_vec);
    Uuid, field => field.uuid();
    Timestamp, field => field.timestamp();
    Value, field => field.json();
    TenantId, field => {
        TenantId::new(field.text()?).map_err(|_| Mismatch::new("a tenant id", "another text"))
    };
    ActorId, field => {
        ActorId::new(field.text()?).map_err(|_| Mismatch::new("an actor id", "another text"))
    };
}

impl<'r, const N: usize> FromField<'r> for [u8; N] {
    fn from_field(field: &Field<'r>) -> Result<Self, Mismatch> {
        let bytes = field.bytes()?;
        bytes.try_into().map_err(|_| Mismatch::new("bytes of a fixed number", format!("{} bytes", bytes.len())))
    }
}

fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, Mismatch> {
    T::try_from(value).map_err(|_| Mismatch::new("a whole number of a narrower type", "one out of its range"))
}
