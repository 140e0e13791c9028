use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use guardian_core::{ActorId, TenantId, Timestamp};
use serde_json::Value;
use uuid::Uuid;

/// The types that both databases keep in the same way; see the crate's front page for how each is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Type {
    /// True or false.
    Bool,
    /// A whole number of 64 bits.
    Integer,
    /// A binary floating-point number of 64 bits.
    Float,
    /// Text in UTF-8.
    Text,
    /// Bytes.
    Bytes,
    /// A UUID.
    Uuid,
    /// A moment, to the microsecond.
    Timestamp,
    /// A JSON document.
    Json,
}

/// One value on its way into a statement.
///
/// Made by [`ToParam`], mostly through [`params!`](crate::params); borrows what it can.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Param<'a> {
    /// No value, of a type: PostgreSQL wants to know which.
    Null(Type),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number; not-a-number is refused, because SQLite would store it as NULL.
    Float(f64),
    /// A text; a NUL in it is refused, because PostgreSQL stores none.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// A UUID.
    Uuid(Uuid),
    /// A moment; cut to the microsecond, towards the past.
    Timestamp(Timestamp),
    /// A JSON document.
    Json(Cow<'a, Value>),
}

impl Param<'_> {
    /// The type, also of a missing value.
    #[must_use]
    pub fn kind(&self) -> Type {
        match self {
            Self::Null(kind) => *kind,
            Self::Bool(_) => Type::Bool,
            Self::Integer(_) => Type::Integer,
            Self::Float(_) => Type::Float,
            Self::Text(_) => Type::Text,
            Self::Bytes(_) => Type::Bytes,
            Self::Uuid(_) => Type::Uuid,
            Self::Timestamp(_) => Type::Timestamp,
            Self::Json(_) => Type::Json,
        }
    }
}

/// What can be a parameter of a statement. Your own ids implement it in a line.
///
/// ```
/// use guardian_sql::{Param, ToParam, Type};
///
/// struct DealId(i64);
///
/// impl ToParam for DealId {
///     const TYPE: Type = Type::Integer;
///
///     fn to_param(&self) -> Param<'_> {
///         self.0.to_param()
///     }
/// }
///
/// let none: Option<DealId> = None;
/// assert_eq!(guardian_sql::params![DealId(7), none], &[Param::Integer(7), Param::Null(Type::Integer)]);
/// ```
pub trait ToParam {
    /// The type, also of a missing value.
    const TYPE: Type;

    /// The value as a parameter.
    fn to_param(&self) -> Param<'_>;
}

/// The parameters of one statement, `$1` first: a borrowed array of [`Param`](crate::Param), on the stack.
///
/// It belongs into the call; kept in a variable, it can only borrow from variables.
///
/// ```
/// use guardian_sql::{Param, params};
///
/// let name = String::from("Ann");
/// let given = params!["acme", name, 3_i64, Some(true)];
/// assert_eq!(given.len(), 4);
/// assert_eq!(given[2], Param::Integer(3));
/// ```
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        (&[$($crate::ToParam::to_param(&$value)),*] as &[$crate::Param<'_>])
    };
}

impl<T: ToParam + ?Sized> ToParam for &T {
    const TYPE: Type = T::TYPE;

    fn to_param(&self) -> Param<'_> {
        (**self).to_param()
    }
}

impl<T: ToParam> ToParam for Option<T> {
    const TYPE: Type = T::TYPE;

    fn to_param(&self) -> Param<'_> {
        self.as_ref().map_or(Param::Null(T::TYPE), T::to_param)
    }
}

macro_rules! to_param {
    ($($type:ty, $kind:ident, $self:ident => $param:expr;)+) => {$(
        impl ToParam for $type {
            const TYPE: Type = Type::$kind;

            fn to_param(&$self) -> Param<'_> {
                $param
            }
        }
    )+};
}

to_param! {
    bool, Bool, self => Param::Bool(*self);
    i64, Integer, self => Param::Integer(*self);
    i32, Integer, self => Param::Integer(i64::from(*self));
    u32, Integer, self => Param::Integer(i64::from(*self));
    i16, Integer, self => Param::Integer(i64::from(*self));
    u16, Integer, self => Param::Integer(i64::from(*self));
    u8, Integer, self => Param::Integer(i64::from(*self));
    f64, Float, self => Param::Float(*self);
    str, Text, self => Param::Text(Cow::Borrowed(self));
    String, Text, self => Param::Text(Cow::Borrowed(self));
    Arc<str>, Text, self => Param::Text(Cow::Borrowed(self));
    Box<str>, Text, self => Param::Text(Cow::Borrowed(self));
    Cow<'_, str>, Text, self => Param::Text(Cow::Borrowed(self));
    TenantId, Text, self => Param::Text(Cow::Borrowed(self.as_str()));
    ActorId, Text, self => Param::Text(Cow::Borrowed(self.as_str()));
    [u8], Bytes, self => Param::Bytes(Cow::Borrowed(self));
    Vec<u8>, Bytes, self => Param::Bytes(Cow::Borrowed(self));
    Uuid, Uuid, self => Param::Uuid(*self);
    DateTime<Utc>, Timestamp, self => Param::Timestamp(*self);
    Value, Json, self => Param::Json(Cow::Borrowed(self));
}

impl<const N: usize> ToParam for [u8; N] {
    const TYPE: Type = Type::Bytes;

    fn to_param(&self) -> Param<'_> {
        Param::Bytes(Cow::Borrowed(self))
    }
}

impl ToParam for Param<'_> {
    // A missing value that nobody gave a type is taken for a text, the type of an unknown literal.
    const TYPE: Type = Type::Text;

    fn to_param(&self) -> Param<'_> {
        match self {
            Self::Null(kind) => Param::Null(*kind),
            Self::Bool(value) => Param::Bool(*value),
            Self::Integer(value) => Param::Integer(*value),
            Self::Float(value) => Param::Float(*value),
            Self::Text(value) => Param::Text(Cow::Borrowed(value)),
            Self::Bytes(value) => Param::Bytes(Cow::Borrowed(value)),
            Self::Uuid(value) => Param::Uuid(*value),
            Self::Timestamp(value) => Param::Timestamp(*value),
            Self::Json(value) => Param::Json(Cow::Borrowed(value)),
        }
    }
}
