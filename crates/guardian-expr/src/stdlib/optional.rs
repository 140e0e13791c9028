//! Values that may be absent. `or` and `orValue` are instructions, because their argument is evaluated only if it is needed.

use std::sync::Arc;

use super::{Entry, invalid, mismatch};
use crate::budget::Context;
use crate::error::EvalError;
use crate::value::Value;

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Entry] = &[
    ("optional.of", of, &["optional.of(A) -> optional_type(A)"]),
    ("optional.ofNonZeroValue", of_non_zero, &["optional.ofNonZeroValue(A) -> optional_type(A)"]),
    ("optional.none", none, &["optional.none() -> optional_type(A)"]),
    ("hasValue", has_value, &["optional_type(A).hasValue() -> bool"]),
    ("value", value, &["optional_type(A).value() -> A"]),
    ("or", strict, &["optional_type(A).or(optional_type(A)) -> optional_type(A)"]),
    ("orValue", strict, &["optional_type(A).orValue(A) -> A"]),
    ("optional.unwrap", unwrap, &["optional.unwrap(list(optional_type(A))) -> list(A)"]),
    ("unwrapOpt", unwrap, &["list(optional_type(A)).unwrapOpt() -> list(A)"]),
];

fn of<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [value] = arguments else { return Err(mismatch()) };
    context.build(24)?;
    Ok(Value::Optional(Some(Arc::new(value.clone()))))
}

fn of_non_zero<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [value] = arguments else { return Err(mismatch()) };
    let zero = match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Int(value) => *value == 0,
        Value::Uint(value) => *value == 0,
        Value::Double(value) => *value == 0.0,
        Value::Str(text) => text.is_empty(),
        Value::Shared(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(list) => list.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Timestamp(time) => time.seconds() == 0 && time.nanos() == 0,
        Value::Duration(duration) => duration.seconds() == 0 && duration.nanos() == 0,
        Value::Optional(inner) => inner.is_none(),
        _ => false,
    };
    if zero { Ok(Value::Optional(None)) } else { of(context, arguments) }
}

fn none<'a>(_: &mut Context<'_>, _: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Optional(None))
}

fn has_value<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    match arguments {
        [Value::Optional(inner)] => Ok(Value::Bool(inner.is_some())),
        _ => Err(mismatch()),
    }
}

fn value<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    match arguments {
        [Value::Optional(Some(inner))] => Ok((**inner).clone()),
        [Value::Optional(None)] => Err(invalid("the optional value is absent")),
        _ => Err(mismatch()),
    }
}

/// Never called: calls of these are compiled into instructions.
fn strict<'a>(_: &mut Context<'_>, _: &[Value<'a>]) -> Result<'a> {
    Err(mismatch())
}

fn unwrap<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [Value::List(list)] = arguments else { return Err(mismatch()) };
    context.build_items(list.len())?;
    let mut given = Vec::new();
    for item in list.iter() {
        match item {
            Value::Optional(Some(inner)) => given.push((*inner).clone()),
            Value::Optional(None) => {}
            _ => return Err(mismatch()),
        }
    }
    Ok(Value::list(given))
}
