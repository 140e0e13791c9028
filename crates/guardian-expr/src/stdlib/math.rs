//! `math`.

use std::cmp::Ordering;

use super::{Entry, invalid, mismatch};
use crate::budget::Context;
use crate::error::{ErrorKind, EvalError};
use crate::number;
use crate::operators::is_number;
use crate::value::Value;

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

macro_rules! extreme_signatures {
    ($name:literal) => {
        &[
            concat!("math.", $name, "(int) -> int"),
            concat!("math.", $name, "(uint) -> uint"),
            concat!("math.", $name, "(double) -> double"),
            concat!("math.", $name, "(list(int)) -> int"),
            concat!("math.", $name, "(list(uint)) -> uint"),
            concat!("math.", $name, "(list(double)) -> double"),
            concat!("math.", $name, "(list(dyn)) -> dyn"),
            concat!("math.", $name, "(int, int) -> int"),
            concat!("math.", $name, "(uint, uint) -> uint"),
            concat!("math.", $name, "(double, double) -> double"),
            concat!("math.", $name, "(int, uint) -> dyn"),
            concat!("math.", $name, "(int, double) -> dyn"),
            concat!("math.", $name, "(uint, int) -> dyn"),
            concat!("math.", $name, "(uint, double) -> dyn"),
            concat!("math.", $name, "(double, int) -> dyn"),
            concat!("math.", $name, "(double, uint) -> dyn"),
        ]
    };
}

macro_rules! same_signatures {
    ($name:literal) => {
        &[
            concat!("math.", $name, "(int) -> int"),
            concat!("math.", $name, "(uint) -> uint"),
            concat!("math.", $name, "(double) -> double"),
        ]
    };
}

pub(super) const FUNCTIONS: &[Entry] = &[
    ("math.greatest", greatest, extreme_signatures!("greatest")),
    ("math.least", least, extreme_signatures!("least")),
    ("math.ceil", ceil, &["math.ceil(double) -> double"]),
    ("math.floor", floor, &["math.floor(double) -> double"]),
    ("math.round", round, &["math.round(double) -> double"]),
    ("math.trunc", trunc, &["math.trunc(double) -> double"]),
    ("math.abs", abs, same_signatures!("abs")),
    ("math.sign", sign, same_signatures!("sign")),
    (
        "math.sqrt",
        sqrt,
        &["math.sqrt(int) -> double", "math.sqrt(uint) -> double", "math.sqrt(double) -> double"],
    ),
    ("math.isInf", is_inf, &["math.isInf(double) -> bool"]),
    ("math.isNaN", is_nan, &["math.isNaN(double) -> bool"]),
    ("math.isFinite", is_finite, &["math.isFinite(double) -> bool"]),
    ("math.bitAnd", bit_and, &["math.bitAnd(int, int) -> int", "math.bitAnd(uint, uint) -> uint"]),
    ("math.bitOr", bit_or, &["math.bitOr(int, int) -> int", "math.bitOr(uint, uint) -> uint"]),
    ("math.bitXor", bit_xor, &["math.bitXor(int, int) -> int", "math.bitXor(uint, uint) -> uint"]),
    ("math.bitNot", bit_not, &["math.bitNot(int) -> int", "math.bitNot(uint) -> uint"]),
    (
        "math.bitShiftLeft",
        shift_left,
        &["math.bitShiftLeft(int, int) -> int", "math.bitShiftLeft(uint, int) -> uint"],
    ),
    (
        "math.bitShiftRight",
        shift_right,
        &["math.bitShiftRight(int, int) -> int", "math.bitShiftRight(uint, int) -> uint"],
    ),
];

fn extreme<'a>(wanted: Ordering, arguments: &[Value<'a>]) -> Result<'a> {
    match arguments {
        [Value::List(list)] => extreme_of(wanted, list.iter()),
        _ => extreme_of(wanted, arguments.iter().cloned()),
    }
}

fn extreme_of<'a>(wanted: Ordering, items: impl Iterator<Item = Value<'a>>) -> Result<'a> {
    let mut best: Option<Value<'a>> = None;
    for item in items {
        if !is_number(&item) {
            return Err(mismatch());
        }
        let better = best.as_ref().is_none_or(|best| number::compare(&item, best) == Some(wanted));
        if better {
            best = Some(item);
        }
    }
    best.ok_or_else(|| invalid("an empty list has neither a greatest nor a least number"))
}

fn greatest<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    extreme(Ordering::Greater, arguments)
}

fn least<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    extreme(Ordering::Less, arguments)
}

fn of_double<'a>(arguments: &[Value<'a>], function: fn(f64) -> f64) -> Result<'a> {
    match arguments {
        [Value::Double(value)] => Ok(Value::Double(function(*value))),
        _ => Err(mismatch()),
    }
}

fn ceil<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    of_double(arguments, f64::ceil)
}

fn floor<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    of_double(arguments, f64::floor)
}

fn round<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    of_double(arguments, f64::round)
}

fn trunc<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    of_double(arguments, f64::trunc)
}

fn abs<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    match arguments {
        [Value::Int(value)] => value
            .checked_abs()
            .map(Value::Int)
            .ok_or_else(|| EvalError::new(ErrorKind::Overflow, "the absolute value is out of range")),
        [Value::Uint(value)] => Ok(Value::Uint(*value)),
        [Value::Double(value)] => Ok(Value::Double(value.abs())),
        _ => Err(mismatch()),
    }
}

fn sign<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    match arguments {
        [Value::Int(value)] => Ok(Value::Int(value.signum())),
        [Value::Uint(value)] => Ok(Value::Uint((*value).min(1))),
        [Value::Double(value)] if *value == 0.0 => Ok(Value::Double(0.0)),
        [Value::Double(value)] => Ok(Value::Double(value.signum())),
        _ => Err(mismatch()),
    }
}

fn sqrt<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let value = match arguments {
        [Value::Int(value)] => number::int_to_double(*value),
        [Value::Uint(value)] => number::uint_to_double(*value),
        [Value::Double(value)] => *value,
        _ => return Err(mismatch()),
    };
    Ok(Value::Double(value.sqrt()))
}

fn test<'a>(arguments: &[Value<'a>], function: fn(f64) -> bool) -> Result<'a> {
    match arguments {
        [Value::Double(value)] => Ok(Value::Bool(function(*value))),
        _ => Err(mismatch()),
    }
}

fn is_inf<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    test(arguments, f64::is_infinite)
}

fn is_nan<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    test(arguments, f64::is_nan)
}

fn is_finite<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    test(arguments, f64::is_finite)
}

fn bits<'a>(arguments: &[Value<'a>], int: fn(i64, i64) -> i64, uint: fn(u64, u64) -> u64) -> Result<'a> {
    match arguments {
        [Value::Int(a), Value::Int(b)] => Ok(Value::Int(int(*a, *b))),
        [Value::Uint(a), Value::Uint(b)] => Ok(Value::Uint(uint(*a, *b))),
        _ => Err(mismatch()),
    }
}

fn bit_and<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    bits(arguments, |a, b| a & b, |a, b| a & b)
}

fn bit_or<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    bits(arguments, |a, b| a | b, |a, b| a | b)
}

fn bit_xor<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    bits(arguments, |a, b| a ^ b, |a, b| a ^ b)
}

fn bit_not<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    match arguments {
        [Value::Int(value)] => Ok(Value::Int(!value)),
        [Value::Uint(value)] => Ok(Value::Uint(!value)),
        _ => Err(mismatch()),
    }
}

/// Shifts the 64 bits; those that are pushed out are lost, and the places that become free are zero.
fn shift<'a>(arguments: &[Value<'a>], function: fn(u64, u32) -> Option<u64>) -> Result<'a> {
    let [value, Value::Int(by)] = arguments else { return Err(mismatch()) };
    if !matches!(value, Value::Int(_) | Value::Uint(_)) {
        return Err(mismatch());
    }
    let by = u64::try_from(*by).map_err(|_| invalid(format!("a shift by {by} is negative")))?;
    let shifted = |bits: u64| u32::try_from(by).ok().and_then(|by| function(bits, by)).unwrap_or(0);
    Ok(match value {
        Value::Int(value) => Value::Int(shifted(value.cast_unsigned()).cast_signed()),
        Value::Uint(value) => Value::Uint(shifted(*value)),
        _ => return Err(mismatch()),
    })
}

fn shift_left<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    shift(arguments, u64::checked_shl)
}

fn shift_right<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    shift(arguments, u64::checked_shr)
}
