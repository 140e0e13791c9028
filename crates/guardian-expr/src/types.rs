//! Types as hosts declare them and as the checker gives them back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The type of a value.
///
/// ```
/// use guardian_expr::Type;
///
/// let type_of_scores = Type::map(Type::String, Type::list(Type::Double));
/// assert_eq!(type_of_scores.to_string(), "map(string, list(double))");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Type {
    /// Not known before the expression runs; everything may be tried on it.
    #[default]
    Dyn,
    /// The type of `null`.
    Null,
    /// `true` and `false`.
    Bool,
    /// Integers of 64 bits.
    Int,
    /// Integers of 64 bits without a sign.
    Uint,
    /// Floating-point numbers of 64 bits.
    Double,
    /// Texts.
    String,
    /// Byte sequences.
    Bytes,
    /// Points in time.
    Timestamp,
    /// Lengths of time.
    Duration,
    /// A type as a value, such as `int` in `type(x) == int`.
    Type(Box<Type>),
    /// Lists of elements of one type.
    List(Box<Type>),
    /// Maps from keys of one type to values of one type.
    Map(Box<Type>, Box<Type>),
    /// A value that may be absent.
    Optional(Box<Type>),
    /// A value or `null`.
    Nullable(Box<Type>),
    /// In the declaration of a function: any type, the same one wherever the name stands.
    Param(String),
    /// Another type by its name, such as `net.IP`, with its parameters.
    Opaque(String, Vec<Type>),
    /// An object with known fields.
    Object(Arc<ObjectType>),
}

impl Type {
    /// Lists of this type.
    #[must_use]
    pub fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    /// Maps with such keys and values.
    #[must_use]
    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(Box::new(key), Box::new(value))
    }

    /// A value of this type that may be absent.
    #[must_use]
    pub fn optional(inner: Self) -> Self {
        Self::Optional(Box::new(inner))
    }

    /// A value of this type or `null`.
    #[must_use]
    pub fn nullable(inner: Self) -> Self {
        Self::Nullable(Box::new(inner))
    }

    /// A type parameter of a function.
    #[must_use]
    pub fn param(name: impl Into<String>) -> Self {
        Self::Param(name.into())
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let simple = match self {
            Self::Dyn => "dyn",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::Type(inner) => return write!(formatter, "type({inner})"),
            Self::List(element) => return write!(formatter, "list({element})"),
            Self::Map(key, value) => return write!(formatter, "map({key}, {value})"),
            Self::Optional(inner) => return write!(formatter, "optional_type({inner})"),
            Self::Nullable(inner) => return write!(formatter, "wrapper({inner})"),
            Self::Param(name) => name,
            Self::Object(object) => &object.name,
            Self::Opaque(name, parameters) => {
                formatter.write_str(name)?;
                for (at, parameter) in parameters.iter().enumerate() {
                    write!(formatter, "{}{parameter}", if at == 0 { "(" } else { ", " })?;
                }
                return formatter.write_str(if parameters.is_empty() { "" } else { ")" });
            }
        };
        formatter.write_str(simple)
    }
}

/// The fields of an object.
///
/// ```
/// use guardian_expr::{Env, ObjectType, Type};
///
/// let deal = ObjectType::new("Deal").field("amount", Type::Int).optional_field("owner", Type::String);
/// let env = Env::builder().variable("deal", deal).build()?;
/// let error = env.compile("deal.ammount > 5").unwrap_err();
/// assert_eq!(error.faults()[0].hint.as_deref(), Some("did you mean `amount`?"));
/// # Ok::<(), guardian_expr::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ObjectType {
    /// How it is called in messages.
    pub name: String,
    /// The type of each field, and whether it may be absent.
    pub fields: BTreeMap<String, Field>,
    /// The type of the fields that are not listed; `None` where there are none.
    pub others: Option<Type>,
}

/// A field of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// The type of its value.
    pub r#type: Type,
    /// Whether it may be absent.
    pub optional: bool,
}

impl ObjectType {
    /// An object without fields.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// With a field that is always present.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, r#type: impl Into<Type>) -> Self {
        self.fields.insert(name.into(), Field { r#type: r#type.into(), optional: false });
        self
    }

    /// With a field that may be absent.
    #[must_use]
    pub fn optional_field(mut self, name: impl Into<String>, r#type: impl Into<Type>) -> Self {
        self.fields.insert(name.into(), Field { r#type: r#type.into(), optional: true });
        self
    }

    /// With further fields of this type under any name.
    #[must_use]
    pub fn other_fields(mut self, r#type: impl Into<Type>) -> Self {
        self.others = Some(r#type.into());
        self
    }
}

impl From<ObjectType> for Type {
    fn from(object: ObjectType) -> Self {
        Self::Object(Arc::new(object))
    }
}

/// The type that values of a Rust type have in expressions.
///
/// ```
/// use guardian_expr::{ExprType, Type};
///
/// assert_eq!(<Vec<f64>>::expr_type(), Type::list(Type::Double));
/// assert_eq!(<Option<String>>::expr_type(), Type::nullable(Type::String));
/// ```
pub trait ExprType {
    /// The type.
    fn expr_type() -> Type;
}

macro_rules! expr_types {
    ($($rust:ty => $type:expr),* $(,)?) => {
        $(impl ExprType for $rust {
            fn expr_type() -> Type {
                $type
            }
        })*
    };
}

expr_types! {
    bool => Type::Bool,
    i8 => Type::Int,
    i16 => Type::Int,
    i32 => Type::Int,
    i64 => Type::Int,
    u8 => Type::Int,
    u16 => Type::Int,
    u32 => Type::Int,
    f32 => Type::Double,
    f64 => Type::Double,
    str => Type::String,
    String => Type::String,
    serde_json::Value => Type::Dyn,
    std::time::Duration => Type::Duration,
    std::net::IpAddr => Type::Opaque(crate::value::IP_TYPE.to_owned(), Vec::new()),
}

impl<T: chrono::TimeZone> ExprType for chrono::DateTime<T> {
    fn expr_type() -> Type {
        Type::Timestamp
    }
}

impl<T: ExprType> ExprType for Option<T> {
    fn expr_type() -> Type {
        Type::nullable(T::expr_type())
    }
}

impl<T: ExprType> ExprType for Vec<T> {
    fn expr_type() -> Type {
        Type::list(T::expr_type())
    }
}

impl<T: ExprType> ExprType for BTreeMap<String, T> {
    fn expr_type() -> Type {
        Type::map(Type::String, T::expr_type())
    }
}

impl<T: ExprType> ExprType for std::collections::HashMap<String, T> {
    fn expr_type() -> Type {
        Type::map(Type::String, T::expr_type())
    }
}

impl<T: ExprType + ?Sized> ExprType for &T {
    fn expr_type() -> Type {
        T::expr_type()
    }
}
