//! What the operators do with values.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::ast::BinaryOp;
use crate::budget::{Context, weight};
use crate::error::{ErrorKind, EvalError};
use crate::machine::no_overload;
use crate::number;
use crate::types::Type;
use crate::value::{Elements, List, Map, Value};

/// What a text costs that is built, beside its bytes.
pub(crate) const TEXT: u64 = 4;

#[cold]
fn undefined(symbol: &str, left: &Value<'_>, right: &Value<'_>) -> EvalError {
    no_overload(format!("`{symbol}` is not defined for `{}` and `{}`", left.type_name(), right.type_name()))
}

#[cold]
fn overflow(symbol: &str) -> EvalError {
    EvalError::new(ErrorKind::Overflow, format!("the result of `{symbol}` is out of range"))
}

#[cold]
fn by_zero(symbol: &str) -> EvalError {
    let message = if symbol == "%" { "remainder of a division by zero" } else { "division by zero" };
    EvalError::new(ErrorKind::DivideByZero, message)
}

pub(crate) fn binary<'a>(
    context: &mut Context<'_>,
    op: BinaryOp,
    left: &Value<'a>,
    right: &Value<'a>,
) -> Result<Value<'a>, EvalError> {
    match op {
        BinaryOp::In => contains(context, right, left).map(Value::Bool),
        BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Remainder => {
            arithmetic(op, left, right)
        }
        _ => compare(context, op, left, right).map(Value::Bool),
    }
}

/// Whether a comparison of two values of one type holds; `None` for other operators.
#[inline]
pub(crate) fn holds<T: PartialOrd>(op: BinaryOp, a: &T, b: &T) -> Option<bool> {
    Some(match op {
        BinaryOp::Equal => a == b,
        BinaryOp::NotEqual => a != b,
        BinaryOp::Less => a < b,
        BinaryOp::LessEqual => a <= b,
        BinaryOp::Greater => a > b,
        BinaryOp::GreaterEqual => a >= b,
        _ => return None,
    })
}

/// What an operator makes of two ints, where that is no error.
#[inline]
pub(crate) fn of_ints<'a>(op: BinaryOp, a: i64, b: i64) -> Option<Value<'a>> {
    let number = match op {
        BinaryOp::Subtract => a.checked_sub(b),
        BinaryOp::Multiply => a.checked_mul(b),
        BinaryOp::Divide => a.checked_div(b),
        BinaryOp::Remainder => a.checked_rem(b),
        _ => return holds(op, &a, &b).map(Value::Bool),
    };
    number.map(Value::Int)
}

fn arithmetic<'a>(op: BinaryOp, left: &Value<'a>, right: &Value<'a>) -> Result<Value<'a>, EvalError> {
    let symbol = op.symbol();
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => of_ints(op, *a, *b).ok_or_else(|| match op {
            BinaryOp::Divide | BinaryOp::Remainder if *b == 0 => by_zero(symbol),
            _ => overflow(symbol),
        }),
        (Value::Uint(a), Value::Uint(b)) => {
            let result = match op {
                BinaryOp::Subtract => a.checked_sub(*b),
                BinaryOp::Multiply => a.checked_mul(*b),
                _ if *b == 0 => return Err(by_zero(symbol)),
                BinaryOp::Divide => a.checked_div(*b),
                _ => a.checked_rem(*b),
            };
            result.map(Value::Uint).ok_or_else(|| overflow(symbol))
        }
        (Value::Double(a), Value::Double(b)) => match op {
            BinaryOp::Subtract => Ok(Value::Double(a - b)),
            BinaryOp::Multiply => Ok(Value::Double(a * b)),
            BinaryOp::Divide => Ok(Value::Double(a / b)),
            _ => Err(undefined(symbol, left, right)),
        },
        (Value::Timestamp(a), Value::Timestamp(b)) if op == BinaryOp::Subtract => {
            a.since(*b).map(Value::Duration)
        }
        (Value::Timestamp(a), Value::Duration(b)) if op == BinaryOp::Subtract => {
            a.minus(*b).map(Value::Timestamp)
        }
        (Value::Duration(a), Value::Duration(b)) if op == BinaryOp::Subtract => {
            a.minus(*b).map(Value::Duration)
        }
        _ => Err(undefined(symbol, left, right)),
    }
}

pub(crate) fn negate<'a>(value: &Value<'a>) -> Result<Value<'a>, EvalError> {
    match value {
        Value::Int(int) => int.checked_neg().map(Value::Int).ok_or_else(|| overflow("-")),
        Value::Double(double) => Ok(Value::Double(-double)),
        Value::Duration(duration) => duration.negated().map(Value::Duration),
        other => Err(no_overload(format!("`-` is not defined for `{}`", other.type_name()))),
    }
}

/// Compares with an operator.
pub(crate) fn compare(
    context: &mut Context<'_>,
    op: BinaryOp,
    left: &Value<'_>,
    right: &Value<'_>,
) -> Result<bool, EvalError> {
    match op {
        BinaryOp::Equal => return context.equal(left, right),
        BinaryOp::NotEqual => return context.equal(left, right).map(|equal| !equal),
        _ => {}
    }
    let ordering = match order(left, right) {
        Some(ordering) => ordering,
        // A comparison with NaN is never true.
        None if is_number(left) && is_number(right) => return Ok(false),
        None => return Err(undefined(op.symbol(), left, right)),
    };
    context.charge(weight(left).min(weight(right)))?;
    Ok(match op {
        BinaryOp::Less => ordering == Ordering::Less,
        BinaryOp::LessEqual => ordering != Ordering::Greater,
        BinaryOp::Greater => ordering == Ordering::Greater,
        BinaryOp::GreaterEqual => ordering != Ordering::Less,
        _ => false,
    })
}

pub(crate) fn is_number(value: &Value<'_>) -> bool {
    matches!(value, Value::Int(_) | Value::Uint(_) | Value::Double(_))
}

/// The order of two values of a type that has one.
pub(crate) fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        _ => match (left.as_str(), right.as_str()) {
            // The order of UTF-8 bytes is the order of code points.
            (Some(a), Some(b)) => Some(a.cmp(b)),
            _ => number::compare(left, right),
        },
    }
}

/// The sum of a chain of `+`, from the left.
pub(crate) fn add<'a>(context: &mut Context<'_>, terms: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [first, rest @ ..] = terms else { return Ok(Value::Null) };
    context.charge(rest.len() as u64)?;
    match first {
        Value::Str(_) | Value::Shared(_) => {
            context.charge(TEXT)?;
            let mut length = 0;
            for term in terms {
                length += term.as_str().ok_or_else(|| undefined("+", first, term))?.len();
            }
            context.build(length as u64)?;
            let mut text = String::with_capacity(length);
            terms.iter().filter_map(Value::as_str).for_each(|term| text.push_str(term));
            Ok(Value::Shared(text.into()))
        }
        Value::Bytes(_) => {
            let mut length = 0;
            for term in terms {
                let Value::Bytes(bytes) = term else { return Err(undefined("+", first, term)) };
                length += bytes.len();
            }
            context.build(length as u64)?;
            let mut all = Vec::with_capacity(length);
            for term in terms {
                if let Value::Bytes(bytes) = term {
                    all.extend_from_slice(bytes);
                }
            }
            Ok(Value::Bytes(all.into()))
        }
        Value::List(_) => {
            let mut length = 0;
            for term in terms {
                let Value::List(list) = term else { return Err(undefined("+", first, term)) };
                length += list.len();
            }
            context.charge(length as u64)?;
            context.build_items(length)?;
            let mut all = Vec::with_capacity(length);
            for term in terms {
                if let Value::List(list) = term {
                    all.extend(list.iter());
                }
            }
            Ok(Value::List(List::new(all)))
        }
        _ => rest.iter().try_fold(first.clone(), |sum, term| plus(&sum, term)),
    }
}

fn plus<'a>(left: &Value<'a>, right: &Value<'a>) -> Result<Value<'a>, EvalError> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => a.checked_add(*b).map(Value::Int).ok_or_else(|| overflow("+")),
        (Value::Uint(a), Value::Uint(b)) => a.checked_add(*b).map(Value::Uint).ok_or_else(|| overflow("+")),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::Timestamp(time), Value::Duration(duration))
        | (Value::Duration(duration), Value::Timestamp(time)) => time.plus(*duration).map(Value::Timestamp),
        (Value::Duration(a), Value::Duration(b)) => a.plus(*b).map(Value::Duration),
        _ => Err(undefined("+", left, right)),
    }
}

/// `element in container`
fn contains(
    context: &mut Context<'_>,
    container: &Value<'_>,
    element: &Value<'_>,
) -> Result<bool, EvalError> {
    match container {
        Value::List(List(Elements::Json(items))) => {
            for item in *items {
                context.charge(1)?;
                let found = match (item, element) {
                    (serde_json::Value::String(a), Value::Str(b)) => {
                        context.charge(a.len().min(b.len()) as u64 / 16)?;
                        a == b
                    }
                    _ => context.equal(&Value::from(item), element)?,
                };
                if found {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::List(list) => {
            for item in list.iter() {
                context.charge(1)?;
                if context.equal(&item, element)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Map(map) => {
            context.charge(weight(element))?;
            context.search(map.len())?;
            Ok(map.get(element).is_some())
        }
        Value::Object(object) => Ok(element.as_str().is_some_and(|name| object.get(name).is_some())),
        other => Err(undefined("in", element, other)),
    }
}

fn list_place(index: &Value<'_>) -> Result<Option<usize>, EvalError> {
    match index {
        Value::Int(at) => Ok(usize::try_from(*at).ok()),
        Value::Uint(at) => Ok(usize::try_from(*at).ok()),
        Value::Double(at) if at.trunc() == *at => {
            Ok(number::double_to_int(*at).and_then(|at| usize::try_from(at).ok()))
        }
        other => Err(no_overload(format!("the index of a list is an `int`, not a `{}`", other.type_name()))),
    }
}

pub(crate) fn index<'a>(of: Value<'a>, index: &Value<'a>) -> Result<Value<'a>, EvalError> {
    match of {
        Value::List(list) => list_place(index)?.and_then(|at| list.get(at)).ok_or_else(|| {
            let message = format!("index {index} is outside of a list of {}", list.len());
            EvalError::new(ErrorKind::IndexOutOfRange, message)
        }),
        Value::Map(_) | Value::Object(_) => entry(&of, index)?.ok_or_else(|| {
            let shown = index.as_str().map_or_else(|| index.to_string(), str::to_owned);
            EvalError::new(ErrorKind::NoSuchKey, format!("no such key: `{shown}`"))
        }),
        Value::Optional(_) => index_optional(of, index),
        other => Err(undefined("[]", &other, index)),
    }
}

fn entry<'a>(of: &Value<'a>, key: &Value<'_>) -> Result<Option<Value<'a>>, EvalError> {
    if !key.is_key() {
        return Err(no_overload(format!("a value of type `{}` is no key", key.type_name())));
    }
    Ok(match of {
        Value::Map(map) => map.get(key),
        Value::Object(object) => key.as_str().and_then(|name| object.get(name)),
        _ => None,
    })
}

/// `a[?index]`, and `a[index]` where `a` is optional.
pub(crate) fn index_optional<'a>(of: Value<'a>, index: &Value<'a>) -> Result<Value<'a>, EvalError> {
    let of = match of {
        Value::Optional(None) => return Ok(Value::Optional(None)),
        Value::Optional(Some(inner)) => (*inner).clone(),
        other => other,
    };
    let found = match &of {
        Value::List(list) => list_place(index)?.and_then(|at| list.get(at)),
        Value::Map(_) | Value::Object(_) => entry(&of, index)?,
        other => return Err(undefined("[?]", other, index)),
    };
    Ok(Value::Optional(found.map(Arc::new)))
}

/// What an element that is marked with `?` gives, if it does.
pub(crate) fn given(value: Value<'_>) -> Result<Option<Value<'_>>, EvalError> {
    match value {
        Value::Optional(inner) => Ok(inner.map(|inner| (*inner).clone())),
        other => Err(no_overload(format!("`?` marks an optional value, not a `{}`", other.type_name()))),
    }
}

pub(crate) fn build_map<'a>(entries: Vec<(Value<'a>, Value<'a>)>) -> Result<Value<'a>, EvalError> {
    if let Some((key, _)) = entries.iter().find(|(key, _)| !key.is_key() || matches!(key, Value::Double(_))) {
        return Err(no_overload(format!("a value of type `{}` is no key", key.type_name())));
    }
    Map::new(entries)
        .map(Value::Map)
        .map_err(|key| EvalError::new(ErrorKind::InvalidArgument, format!("the key {key} is there twice")))
}

/// Whether the arguments are of the types that a function of the host declares.
pub(crate) fn accepts(parameters: &[Type], arguments: &[Value<'_>]) -> bool {
    parameters.len() == arguments.len()
        && parameters.iter().zip(arguments).all(|(parameter, value)| is_a(value, parameter))
}

/// Whether a value is of a type, looking at the outermost constructor only.
pub(crate) fn is_a(value: &Value<'_>, wanted: &Type) -> bool {
    match (wanted, value) {
        (Type::Dyn | Type::Param(_), _)
        | (Type::Null | Type::Nullable(_), Value::Null)
        | (Type::Bool, Value::Bool(_))
        | (Type::Int, Value::Int(_))
        | (Type::Uint, Value::Uint(_))
        | (Type::Double, Value::Double(_))
        | (Type::String, Value::Str(_) | Value::Shared(_))
        | (Type::Bytes, Value::Bytes(_))
        | (Type::Timestamp, Value::Timestamp(_))
        | (Type::Duration, Value::Duration(_))
        | (Type::Type(_), Value::Type(_))
        | (Type::List(_), Value::List(_))
        | (Type::Map(..) | Type::Object(_), Value::Map(_) | Value::Object(_))
        | (Type::Optional(_), Value::Optional(_)) => true,
        (Type::Nullable(inner), value) => match &**inner {
            Type::Nullable(_) => false,
            inner => is_a(value, inner),
        },
        (Type::Opaque(name, _), value) => value.type_name() == name,
        _ => false,
    }
}
