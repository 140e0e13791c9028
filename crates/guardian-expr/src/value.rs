//! Values. Those of an event borrow from it, those that an expression builds are shared.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::error::EvalError;
use crate::number;
use crate::time::{Duration, Timestamp};

mod display;

pub(crate) use display::{write_bytes, write_double, write_text};

pub(crate) const IP_TYPE: &str = "net.IP";
pub(crate) const CIDR_TYPE: &str = "net.CIDR";

/// A value of the language; 24 bytes.
///
/// What comes from an event is a reference into it, and cloning a value never copies a text, a list or a map.
///
/// ```
/// use guardian_expr::Value;
///
/// let json = serde_json::json!({"tags": ["new", "vip"]});
/// let value = Value::from(&json);
/// assert_eq!(value.to_string(), r#"{"tags": ["new", "vip"]}"#);
/// assert_eq!(Value::from(1_i64), Value::from(1.0));
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Value<'a> {
    /// `null`
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer without a sign.
    Uint(u64),
    /// A floating-point number.
    Double(f64),
    /// A text of the event or of the program.
    Str(&'a str),
    /// A text that was built.
    Shared(Arc<str>),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// A list.
    List(List<'a>),
    /// A map or a JSON object.
    Map(Map<'a>),
    /// An object of the host.
    Object(&'a dyn Lookup),
    /// A point in time.
    Timestamp(Timestamp),
    /// A length of time.
    Duration(Duration),
    /// A type, by its name.
    Type(Arc<str>),
    /// A value that may be absent.
    Optional(Option<Arc<Value<'a>>>),
    /// An IP address.
    Ip(Arc<IpAddr>),
    /// A range of IP addresses.
    Cidr(Arc<Cidr>),
}

/// An address and how many of its bits name the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    pub(crate) address: IpAddr,
    pub(crate) bits: u8,
}

impl Cidr {
    /// The address, whose host bits need not be zero.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits name the network.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.bits
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.bits)
    }
}

/// What variables and objects are read from: a JSON value, [`Bindings`], or a type of the host.
///
/// ```
/// use guardian_expr::{Env, Lookup, Value};
///
/// struct Deal { amount: i64 }
///
/// impl Lookup for Deal {
///     fn get(&self, name: &str) -> Option<Value<'_>> {
///         (name == "amount").then_some(Value::Int(self.amount))
///     }
///
///     fn names(&self) -> Vec<&str> {
///         vec!["amount"]
///     }
/// }
///
/// let program = Env::new().compile("amount * 2")?;
/// assert_eq!(program.evaluate(&Deal { amount: 21 }).unwrap(), Value::Int(42));
/// # Ok::<(), guardian_expr::Error>(())
/// ```
pub trait Lookup: Sync {
    /// The value of the variable or field.
    fn get(&self, name: &str) -> Option<Value<'_>>;

    /// The names that have a value, for expressions that go through all of them.
    fn names(&self) -> Vec<&str>;
}

impl Lookup for Json {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        match self {
            Self::Object(members) => json_member(members, name).map(Value::from),
            _ => None,
        }
    }

    fn names(&self) -> Vec<&str> {
        self.as_object().map(Lookup::names).unwrap_or_default()
    }
}

impl Lookup for serde_json::Map<String, Json> {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        serde_json::Map::get(self, name).map(Value::from)
    }

    fn names(&self) -> Vec<&str> {
        self.keys().map(String::as_str).collect()
    }
}

impl Lookup for BTreeMap<String, Json> {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        BTreeMap::get(self, name).map(Value::from)
    }

    fn names(&self) -> Vec<&str> {
        self.keys().map(String::as_str).collect()
    }
}

impl<S: std::hash::BuildHasher + Sync> Lookup for HashMap<String, Json, S> {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        HashMap::get(self, name).map(Value::from)
    }

    fn names(&self) -> Vec<&str> {
        self.keys().map(String::as_str).collect()
    }
}

/// Variables that are set one by one.
///
/// ```
/// use guardian_expr::{Bindings, Env, Value};
///
/// let json = serde_json::json!({"amount": 5000});
/// let bindings = Bindings::new().with("deal", &json).with("threshold", 1000_i64);
/// let program = Env::new().compile("deal.amount > threshold")?;
/// assert_eq!(program.evaluate(&bindings).unwrap(), Value::Bool(true));
/// # Ok::<(), guardian_expr::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Bindings<'a> {
    values: Vec<(String, Value<'a>)>,
}

impl<'a> Bindings<'a> {
    /// No variables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a variable, which replaces an earlier one of this name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value<'a>>) -> Self {
        let name = name.into();
        self.values.retain(|(each, _)| *each != name);
        self.values.push((name, value.into()));
        self
    }
}

impl Lookup for Bindings<'_> {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        self.values.iter().find(|(each, _)| each == name).map(|(_, value)| value.clone())
    }

    fn names(&self) -> Vec<&str> {
        self.values.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// A list: of JSON values in place, or of values that were built.
#[derive(Clone)]
pub struct List<'a>(pub(crate) Elements<'a>);

#[derive(Clone)]
pub(crate) enum Elements<'a> {
    Json(&'a Vec<Json>),
    Built(Arc<Built<'a>>),
}

/// Elements, and how deeply they nest; the depth is bounded, so that dropping them needs little stack.
pub(crate) struct Built<'a> {
    pub(crate) items: Vec<Value<'a>>,
    pub(crate) depth: u32,
}

impl<'a> List<'a> {
    pub(crate) fn new(items: Vec<Value<'a>>) -> Self {
        let depth = 1 + items.iter().map(Value::depth).max().unwrap_or(0);
        Self(Elements::Built(Arc::new(Built { items, depth })))
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Elements::Json(items) => items.len(),
            Elements::Built(built) => built.items.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at a place from 0.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<Value<'a>> {
        match &self.0 {
            Elements::Json(items) => items.get(at).map(Value::from),
            Elements::Built(built) => built.items.get(at).cloned(),
        }
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

/// A map: a JSON object in place, or one that was built. Keys are booleans, numbers and texts.
#[derive(Clone)]
pub struct Map<'a>(pub(crate) Entries<'a>);

#[derive(Clone)]
pub(crate) enum Entries<'a> {
    Json(&'a serde_json::Map<String, Json>),
    Built(Arc<BuiltMap<'a>>),
}

pub(crate) struct BuiltMap<'a> {
    pub(crate) entries: Vec<(Value<'a>, Value<'a>)>,
    /// The places of the entries in the order of their keys; empty where a scan is as good.
    order: Vec<u32>,
    pub(crate) depth: u32,
}

/// JSON objects with up to so many members are scanned: those of one node of its tree.
const SCANNED_MEMBERS: usize = 11;
/// Up to so many entries are scanned.
const SCANNED: usize = 8;

impl<'a> Map<'a> {
    /// A map of these entries; the first key that is there twice where one is.
    pub(crate) fn new(entries: Vec<(Value<'a>, Value<'a>)>) -> Result<Self, Value<'a>> {
        let depth = 1 + entries.iter().map(|(_, value)| value.depth()).max().unwrap_or(0);
        let mut order = Vec::new();
        if entries.len() <= SCANNED {
            for (at, (key, _)) in entries.iter().enumerate() {
                if entries.iter().skip(at + 1).any(|(other, _)| compare_keys(key, other).is_eq()) {
                    return Err(key.clone());
                }
            }
        } else {
            order = (0..crate::ast::count(entries.len())).collect();
            let key = |at: &u32| entries.get(*at as usize).map_or(&Value::Null, |(key, _)| key);
            order.sort_by(|a, b| compare_keys(key(a), key(b)));
            for (a, b) in order.iter().zip(order.iter().skip(1)) {
                if compare_keys(key(a), key(b)).is_eq() {
                    return Err(key(a).clone());
                }
            }
        }
        Ok(Self(Entries::Built(Arc::new(BuiltMap { entries, order, depth }))))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Entries::Json(members) => members.len(),
            Entries::Built(built) => built.entries.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key. 1, 1u and 1.0 are the same key.
    #[must_use]
    pub fn get(&self, key: &Value<'_>) -> Option<Value<'a>> {
        match &self.0 {
            Entries::Json(members) => members.get(key.as_str()?).map(Value::from),
            Entries::Built(built) => built.find(key).cloned(),
        }
    }

    pub(crate) fn get_str(&self, key: &str) -> Option<Value<'a>> {
        match &self.0 {
            Entries::Json(members) => json_member(members, key).map(Value::from),
            Entries::Built(built) => built.find(&Value::Str(key)).cloned(),
        }
    }

    /// The entries, in the order in which they were written; those of a JSON object in that of `serde_json`.
    #[must_use]
    pub fn entries(&self) -> Vec<(Value<'a>, Value<'a>)> {
        match &self.0 {
            Entries::Json(members) => {
                members.iter().map(|(key, value)| (Value::Str(key), Value::from(value))).collect()
            }
            Entries::Built(built) => built.entries.clone(),
        }
    }
}

impl<'a> BuiltMap<'a> {
    fn find(&self, key: &Value<'_>) -> Option<&Value<'a>> {
        if !key.is_key() {
            return None;
        }
        if self.order.is_empty() {
            return self
                .entries
                .iter()
                .find(|(each, _)| compare_keys(each, key).is_eq())
                .map(|(_, value)| value);
        }
        let entry = |at: &u32| self.entries.get(*at as usize);
        let found = self
            .order
            .binary_search_by(|at| entry(at).map_or(Ordering::Less, |(each, _)| compare_keys(each, key)));
        self.order.get(found.ok()?).and_then(entry).map(|(_, value)| value)
    }
}

/// The member of a JSON object. In a small object most names differ in their length, so looking at each is faster than
/// searching, which compares letters.
#[inline]
pub(crate) fn json_member<'j>(members: &'j serde_json::Map<String, Json>, name: &str) -> Option<&'j Json> {
    if members.len() <= SCANNED_MEMBERS {
        return members.iter().find(|(each, _)| each.as_str() == name).map(|(_, value)| value);
    }
    members.get(name)
}

/// A total order of keys in which keys that are equal are the same.
pub(crate) fn compare_keys(left: &Value<'_>, right: &Value<'_>) -> Ordering {
    let rank = |value: &Value<'_>| match value {
        Value::Bool(_) => 0,
        Value::Int(_) | Value::Uint(_) | Value::Double(_) => 1,
        _ => 2,
    };
    match (left, right) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => match (left.as_str(), right.as_str()) {
            (Some(a), Some(b)) => a.cmp(b),
            _ => rank(left)
                .cmp(&rank(right))
                // NaN is no key; it is put in front of every number.
                .then_with(|| number::compare(left, right).unwrap_or(Ordering::Less)),
        },
    }
}

impl<'a> Value<'a> {
    /// A list of these elements.
    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(List::new(items))
    }

    /// A map of these entries; `None` where a key is there twice or is neither boolean, integer nor text.
    #[must_use]
    pub fn map(entries: Vec<(Self, Self)>) -> Option<Self> {
        let valid = entries.iter().all(|(key, _)| key.is_key() && !matches!(key, Value::Double(_)));
        valid.then(|| Map::new(entries).ok().map(Self::Map)).flatten()
    }

    /// The text, of a text.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            Self::Shared(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, of a boolean.
    #[must_use]
    #[inline]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// How the value's type is called in the language.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Str(_) | Self::Shared(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) | Self::Object(_) => "map",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional_type",
            Self::Ip(_) => IP_TYPE,
            Self::Cidr(_) => CIDR_TYPE,
        }
    }

    /// Whether it consists of other values.
    #[inline]
    pub(crate) fn has_parts(&self) -> bool {
        matches!(self, Self::List(_) | Self::Map(_) | Self::Object(_) | Self::Optional(_))
    }

    pub(crate) fn is_key(&self) -> bool {
        matches!(
            self,
            Self::Bool(_) | Self::Int(_) | Self::Uint(_) | Self::Double(_) | Self::Str(_) | Self::Shared(_)
        )
    }

    /// How deeply built values nest in it; what borrows from an event counts as flat.
    pub(crate) fn depth(&self) -> u32 {
        match self {
            Self::List(List(Elements::Built(built))) => built.depth,
            Self::Map(Map(Entries::Built(built))) => built.depth,
            Self::Optional(Some(inner)) => inner.depth() + 1,
            _ => 0,
        }
    }

    /// The bytes that it takes beside its own 24.
    pub(crate) fn footprint(&self) -> u64 {
        match self {
            Self::Shared(text) => text.len() as u64,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::List(List(Elements::Built(built))) => 24 * built.items.len() as u64,
            Self::Map(Map(Entries::Built(built))) => 48 * built.entries.len() as u64,
            _ => 0,
        }
    }

    /// The same value, read without the program or the event that it came from.
    ///
    /// What borrows is copied. Values that nest deeper than 256 become `null` there.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        own(&self, 0)
    }

    /// The value as JSON: bytes as base64, times, durations and addresses as text, an absent value as `null`.
    ///
    /// Doubles that are not finite, and what nests deeper than 256, become `null` too.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json(self, 0)
    }
}

/// Nothing that an expression builds nests deeper.
pub(crate) const MAX_DEPTH: u32 = 256;

fn own(value: &Value<'_>, depth: u32) -> Value<'static> {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    match value {
        Value::Null => Value::Null,
        Value::Bool(value) => Value::Bool(*value),
        Value::Int(value) => Value::Int(*value),
        Value::Uint(value) => Value::Uint(*value),
        Value::Double(value) => Value::Double(*value),
        Value::Str(text) => Value::Shared((*text).into()),
        Value::Shared(text) => Value::Shared(Arc::clone(text)),
        Value::Bytes(bytes) => Value::Bytes(Arc::clone(bytes)),
        Value::List(list) => Value::list(list.iter().map(|item| own(&item, depth + 1)).collect()),
        Value::Map(map) => own_map(&map.entries(), depth),
        Value::Object(object) => own_map(&object_entries(*object), depth),
        Value::Timestamp(time) => Value::Timestamp(*time),
        Value::Duration(duration) => Value::Duration(*duration),
        Value::Type(name) => Value::Type(Arc::clone(name)),
        Value::Optional(inner) => {
            Value::Optional(inner.as_deref().map(|inner| Arc::new(own(inner, depth + 1))))
        }
        Value::Ip(address) => Value::Ip(Arc::clone(address)),
        Value::Cidr(range) => Value::Cidr(Arc::clone(range)),
    }
}

fn own_map(entries: &[(Value<'_>, Value<'_>)], depth: u32) -> Value<'static> {
    let entries = entries.iter().map(|(key, value)| (own(key, depth + 1), own(value, depth + 1))).collect();
    Map::new(entries).map_or(Value::Null, Value::Map)
}

pub(crate) fn object_entries(object: &dyn Lookup) -> Vec<(Value<'_>, Value<'_>)> {
    let entry = |name| Some((Value::Str(name), object.get(name)?));
    object.names().into_iter().filter_map(entry).collect()
}

fn json(value: &Value<'_>, depth: u32) -> Json {
    if depth > MAX_DEPTH {
        return Json::Null;
    }
    let object = |entries: Vec<(Value<'_>, Value<'_>)>| {
        let entry = |(key, value): &(Value<'_>, Value<'_>)| {
            let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            (key, json(value, depth + 1))
        };
        Json::Object(entries.iter().map(entry).collect())
    };
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::from(*value),
        Value::Uint(value) => Json::from(*value),
        Value::Double(value) => Json::from(*value),
        Value::Str(text) => Json::from(*text),
        Value::Shared(text) => Json::from(&**text),
        Value::Bytes(bytes) => Json::from(crate::stdlib::encoders::encode(bytes)),
        Value::List(list) => Json::Array(list.iter().map(|item| json(&item, depth + 1)).collect()),
        Value::Map(map) => object(map.entries()),
        Value::Object(host) => object(object_entries(*host)),
        Value::Timestamp(time) => Json::from(time.to_string()),
        Value::Duration(duration) => Json::from(duration.to_string()),
        Value::Type(name) => Json::from(&**name),
        Value::Optional(inner) => inner.as_deref().map_or(Json::Null, |inner| json(inner, depth + 1)),
        Value::Ip(address) => Json::from(address.to_string()),
        Value::Cidr(range) => Json::from(range.to_string()),
    }
}

impl<'a> From<&'a Json> for Value<'a> {
    /// Reads JSON in place. Whole numbers of 64 bits are ints, all others doubles.
    #[inline]
    fn from(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(int) => Self::Int(int),
                None => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Str(text),
            Json::Array(items) => Self::List(List(Elements::Json(items))),
            Json::Object(members) => Self::Map(Map(Entries::Json(members))),
        }
    }
}

macro_rules! from_rust {
    ($($rust:ty, $value:ident => $made:expr;)*) => {
        $(impl<'a> From<$rust> for Value<'a> {
            fn from($value: $rust) -> Self {
                $made
            }
        })*
    };
}

from_rust! {
    bool, value => Self::Bool(value);
    i64, value => Self::Int(value);
    i32, value => Self::Int(value.into());
    u32, value => Self::Int(value.into());
    u64, value => Self::Uint(value);
    f64, value => Self::Double(value);
    &'a str, value => Self::Str(value);
    String, value => Self::Shared(value.into());
    Vec<u8>, value => Self::Bytes(value.into());
    Timestamp, value => Self::Timestamp(value);
    Duration, value => Self::Duration(value);
    IpAddr, value => Self::Ip(Arc::new(value));
    Vec<Value<'a>>, value => Self::list(value);
}

/// Equality of the language: numbers by their value, maps in any order, and values of different types are not equal.
impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        equal(self, other)
    }
}

/// Whether two values are equal.
#[inline]
pub(crate) fn equal(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        _ if left.has_parts() && right.has_parts() => {
            equal_paid(left, right, &mut |_, _| Ok(())).unwrap_or(false)
        }
        _ => equal_flat(left, right),
    }
}

/// Whether two values without parts are equal.
pub(crate) fn equal_flat(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::Type(a), Value::Type(b)) => a == b,
        (Value::Ip(a), Value::Ip(b)) => a == b,
        (Value::Cidr(a), Value::Cidr(b)) => a == b,
        _ => match (left.as_str(), right.as_str()) {
            (Some(a), Some(b)) => a == b,
            _ => number::compare(left, right) == Some(Ordering::Equal),
        },
    }
}

/// Compares with a list of pairs that are still to do, so values of any depth need no stack. Each pair is paid for before
/// it is looked at.
pub(crate) fn equal_paid(
    left: &Value<'_>,
    right: &Value<'_>,
    pay: &mut dyn FnMut(&Value<'_>, &Value<'_>) -> Result<(), EvalError>,
) -> Result<bool, EvalError> {
    let mut pairs = vec![(left.clone(), right.clone())];
    while let Some((left, right)) = pairs.pop() {
        pay(&left, &right)?;
        match (left, right) {
            (Value::List(a), Value::List(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                pairs.extend(a.iter().zip(b.iter()));
            }
            (Value::Optional(a), Value::Optional(b)) => match (a, b) {
                (None, None) => {}
                (Some(a), Some(b)) => pairs.push(((*a).clone(), (*b).clone())),
                _ => return Ok(false),
            },
            (Value::Map(Map(Entries::Json(a))), Value::Map(Map(Entries::Json(b)))) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                // Members mostly come in the same order.
                for ((key, value), (other_key, other)) in a.iter().zip(b.iter()) {
                    match if key == other_key { Some(other) } else { b.get(key) } {
                        Some(other) => pairs.push((value.into(), other.into())),
                        None => return Ok(false),
                    }
                }
            }
            (a @ (Value::Map(_) | Value::Object(_)), b @ (Value::Map(_) | Value::Object(_))) => {
                let (a, b) = (entries(&a), as_map(b));
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (key, value) in a {
                    match b.get(&key) {
                        Some(other) => pairs.push((value, other)),
                        None => return Ok(false),
                    }
                }
            }
            (a, b) => {
                if !equal_flat(&a, &b) {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

fn entries<'a>(value: &Value<'a>) -> Vec<(Value<'a>, Value<'a>)> {
    match value {
        Value::Map(map) => map.entries(),
        Value::Object(object) => object_entries(*object),
        _ => Vec::new(),
    }
}

fn as_map(value: Value<'_>) -> Map<'_> {
    match value {
        Value::Map(map) => map,
        // The names of an object that are there twice are those of a faulty host; it equals nothing.
        other => Map::new(entries(&other)).unwrap_or_else(|_| {
            Map(Entries::Built(Arc::new(BuiltMap { entries: Vec::new(), order: Vec::new(), depth: 0 })))
        }),
    }
}
