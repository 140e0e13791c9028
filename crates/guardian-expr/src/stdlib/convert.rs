//! Conversions among types, `type`, `dyn` and `size`.

use std::sync::Arc;

use super::{Entry, mismatch};
use crate::budget::Context;
use crate::error::{ErrorKind, EvalError};
use crate::number;
use crate::time::{Duration, Timestamp};
use crate::value::Value;

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Entry] = &[
    ("bool", to_bool, &["bool(bool) -> bool", "bool(string) -> bool"]),
    ("bytes", to_bytes, &["bytes(bytes) -> bytes", "bytes(string) -> bytes"]),
    (
        "double",
        to_double,
        &[
            "double(double) -> double",
            "double(int) -> double",
            "double(uint) -> double",
            "double(string) -> double",
        ],
    ),
    ("duration", to_duration, &["duration(duration) -> duration", "duration(string) -> duration"]),
    ("dyn", dynamic, &["dyn(A) -> dyn"]),
    (
        "int",
        to_int,
        &[
            "int(int) -> int",
            "int(uint) -> int",
            "int(double) -> int",
            "int(string) -> int",
            "int(timestamp) -> int",
        ],
    ),
    (
        "size",
        size,
        &[
            "size(string) -> int",
            "size(bytes) -> int",
            "size(list(A)) -> int",
            "size(map(A, B)) -> int",
            "string.size() -> int",
            "bytes.size() -> int",
            "list(A).size() -> int",
            "map(A, B).size() -> int",
        ],
    ),
    (
        "string",
        to_string,
        &[
            "string(string) -> string",
            "string(bool) -> string",
            "string(int) -> string",
            "string(uint) -> string",
            "string(double) -> string",
            "string(bytes) -> string",
            "string(timestamp) -> string",
            "string(duration) -> string",
            "string(net.IP) -> string",
            "string(net.CIDR) -> string",
        ],
    ),
    (
        "timestamp",
        to_timestamp,
        &[
            "timestamp(timestamp) -> timestamp",
            "timestamp(string) -> timestamp",
            "timestamp(int) -> timestamp",
        ],
    ),
    ("type", type_of, &["type(A) -> type(A)"]),
    (
        "uint",
        to_uint,
        &["uint(uint) -> uint", "uint(int) -> uint", "uint(double) -> uint", "uint(string) -> uint"],
    ),
];

#[cold]
fn unconverted(value: &Value<'_>, to: &str) -> EvalError {
    EvalError::new(ErrorKind::Conversion, format!("{value} cannot be converted to `{to}`"))
}

#[cold]
fn range(value: &Value<'_>, to: &str) -> EvalError {
    EvalError::new(ErrorKind::Overflow, format!("{value} is out of the range of `{to}`"))
}

fn to_bool<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    match arguments {
        [Value::Bool(value)] => Ok(Value::Bool(*value)),
        [value] => match value.as_str() {
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(Value::Bool(true)),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(Value::Bool(false)),
            Some(_) => Err(unconverted(value, "bool")),
            None => Err(mismatch()),
        },
        _ => Err(mismatch()),
    }
}

fn to_bytes<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    match arguments {
        [value @ Value::Bytes(_)] => Ok(value.clone()),
        [value] => {
            let text = value.as_str().ok_or_else(mismatch)?;
            context.build(text.len() as u64)?;
            Ok(Value::Bytes(text.as_bytes().into()))
        }
        _ => Err(mismatch()),
    }
}

fn to_double<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [value] = arguments else { return Err(mismatch()) };
    Ok(Value::Double(match value {
        Value::Double(double) => *double,
        Value::Int(int) => number::int_to_double(*int),
        Value::Uint(uint) => number::uint_to_double(*uint),
        _ => {
            let text = value.as_str().ok_or_else(mismatch)?;
            text.parse().map_err(|_| unconverted(value, "double"))?
        }
    }))
}

fn to_int<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [value] = arguments else { return Err(mismatch()) };
    let int = match value {
        Value::Int(int) => Some(*int),
        Value::Uint(uint) => i64::try_from(*uint).ok(),
        Value::Double(double) => number::double_to_int(*double),
        Value::Timestamp(time) => Some(time.seconds()),
        _ => {
            let text = value.as_str().ok_or_else(mismatch)?;
            return text.parse().map(Value::Int).map_err(|_| unconverted(value, "int"));
        }
    };
    int.map(Value::Int).ok_or_else(|| range(value, "int"))
}

fn to_uint<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [value] = arguments else { return Err(mismatch()) };
    let uint = match value {
        Value::Uint(uint) => Some(*uint),
        Value::Int(int) => u64::try_from(*int).ok(),
        Value::Double(double) => number::double_to_uint(*double),
        _ => {
            let text = value.as_str().ok_or_else(mismatch)?;
            return text.parse().map(Value::Uint).map_err(|_| unconverted(value, "uint"));
        }
    };
    uint.map(Value::Uint).ok_or_else(|| range(value, "uint"))
}

fn to_duration<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    match arguments {
        [Value::Duration(duration)] => Ok(Value::Duration(*duration)),
        [value] => Duration::parse(value.as_str().ok_or_else(mismatch)?).map(Value::Duration),
        _ => Err(mismatch()),
    }
}

fn to_timestamp<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    match arguments {
        [Value::Timestamp(time)] => Ok(Value::Timestamp(*time)),
        [value @ Value::Int(seconds)] => {
            Timestamp::new(*seconds, 0).map(Value::Timestamp).ok_or_else(|| range(value, "timestamp"))
        }
        [value] => Timestamp::parse(value.as_str().ok_or_else(mismatch)?).map(Value::Timestamp),
        _ => Err(mismatch()),
    }
}

fn dynamic<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    arguments.first().cloned().ok_or_else(mismatch)
}

fn type_of<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [value] = arguments else { return Err(mismatch()) };
    Ok(Value::Type(value.type_name().into()))
}

fn size<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [value] = arguments else { return Err(mismatch()) };
    let size = match value {
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        Value::Object(object) => object.names().len(),
        _ => value.as_str().ok_or_else(mismatch)?.chars().count(),
    };
    Ok(Value::Int(number::length(size)))
}

fn to_string<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [value] = arguments else { return Err(mismatch()) };
    let text = match value {
        Value::Str(_) | Value::Shared(_) => return Ok(value.clone()),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Double(value) => double(*value),
        Value::Timestamp(value) => value.to_string(),
        Value::Duration(value) => value.to_string(),
        Value::Ip(value) => super::network::show(**value),
        Value::Cidr(value) => value.to_string(),
        Value::Bytes(bytes) => {
            let text = std::str::from_utf8(bytes)
                .map_err(|_| EvalError::new(ErrorKind::Conversion, "the bytes are not valid UTF-8"))?;
            text.to_owned()
        }
        _ => return Err(mismatch()),
    };
    context.build(text.len() as u64)?;
    Ok(Value::Shared(Arc::from(text)))
}

/// A double in the shortest form that reads back as it, with an exponent below 10⁻⁴ and from 10²¹ on.
pub(super) fn double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let magnitude = value.abs();
    if value == 0.0 || (1e-4..1e21).contains(&magnitude) {
        return format!("{value}");
    }
    let shown = format!("{value:e}");
    let (digits, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}
