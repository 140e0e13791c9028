//! Numbers of different types on one number line: 1, 1u and 1.0 are equal.

use std::cmp::Ordering;

use crate::value::Value;

/// 2⁶³, the first double above every int.
const INT_END: f64 = 9_223_372_036_854_775_808.0;
/// 2⁵³; below it every int is a double.
const EXACT_END: f64 = 9_007_199_254_740_992.0;
/// 2⁶⁴, the first double above every uint.
const UINT_END: f64 = 18_446_744_073_709_551_616.0;

/// The order of two numbers; `None` where one is NaN or no number.
pub(crate) fn compare(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Uint(a), Value::Uint(b)) => Some(a.cmp(b)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Uint(b)) => Some(int_uint(*a, *b)),
        (Value::Uint(a), Value::Int(b)) => Some(int_uint(*b, *a).reverse()),
        (Value::Int(a), Value::Double(b)) => int_double(*a, *b),
        (Value::Double(a), Value::Int(b)) => int_double(*b, *a).map(Ordering::reverse),
        (Value::Uint(a), Value::Double(b)) => uint_double(*a, *b),
        (Value::Double(a), Value::Uint(b)) => uint_double(*b, *a).map(Ordering::reverse),
        _ => None,
    }
}

fn int_uint(int: i64, uint: u64) -> Ordering {
    u64::try_from(int).map_or(Ordering::Less, |int| int.cmp(&uint))
}

/// Beyond ±2⁵³, where not every int is a double, the int counts as the double nearest to it; the conformance tests of the
/// language ask for that.
fn int_double(int: i64, double: f64) -> Option<Ordering> {
    if double > INT_END {
        return Some(Ordering::Less);
    }
    int_to_double(int).partial_cmp(&double)
}

fn uint_double(uint: u64, double: f64) -> Option<Ordering> {
    if double > UINT_END {
        return Some(Ordering::Less);
    }
    uint_to_double(uint).partial_cmp(&double)
}

/// The int that a double is, where no other int is as near to it.
pub(crate) fn exact_int(double: f64) -> Option<i64> {
    (double.abs() < EXACT_END && double.trunc() == double).then(|| double_to_int(double)).flatten()
}

/// The double nearest to an int.
#[expect(clippy::cast_precision_loss, reason = "the nearest double is what is asked for")]
pub(crate) fn int_to_double(int: i64) -> f64 {
    int as f64
}

/// The double nearest to a uint.
#[expect(clippy::cast_precision_loss, reason = "the nearest double is what is asked for")]
pub(crate) fn uint_to_double(uint: u64) -> f64 {
    uint as f64
}

/// The int that a double has left of its point; the ends of the range are left out, as cel-go does it.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(crate) fn double_to_int(double: f64) -> Option<i64> {
    (double > -INT_END && double < INT_END).then_some(double as i64)
}

/// The uint that a double has left of its point.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
pub(crate) fn double_to_uint(double: f64) -> Option<u64> {
    (0.0..UINT_END).contains(&double).then_some(double as u64)
}

/// A length as an int.
pub(crate) fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
