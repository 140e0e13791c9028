//! Numbers of different types on one number line: 1, 1u and 1.0 are equal, and 2⁵³ + 1 is above 2.0⁵³.
//!
//! There is one exception, because the conformance tests of the language ask for it: the greatest int equals the double
//! 2⁶³, and the greatest uint the double 2⁶⁴, which are above them by one.

use std::cmp::Ordering;

use crate::value::Value;

/// 2⁶³, the first double above every int.
const INT_END: f64 = 9_223_372_036_854_775_808.0;
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

fn int_double(int: i64, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double > INT_END {
        return Some(Ordering::Less);
    }
    if double < -INT_END {
        return Some(Ordering::Greater);
    }
    // At the end of the range this is the greatest int.
    let whole = truncated(double);
    Some(int.cmp(&whole).then_with(|| compare_fraction(double)))
}

fn uint_double(uint: u64, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double > UINT_END {
        return Some(Ordering::Less);
    }
    if double < 0.0 {
        return Some(Ordering::Greater);
    }
    let whole = truncated_uint(double);
    Some(uint.cmp(&whole).then_with(|| compare_fraction(double)))
}

/// The order of what a double has left of its point and the double.
fn compare_fraction(double: f64) -> Ordering {
    double.trunc().partial_cmp(&double).unwrap_or(Ordering::Equal)
}

/// The int that a double is.
pub(crate) fn exact_int(double: f64) -> Option<i64> {
    ((-INT_END..INT_END).contains(&double) && double.trunc() == double).then(|| truncated(double))
}

/// The int that equals a double: the int that it is, or the greatest int for 2⁶³.
pub(crate) fn equal_int(double: f64) -> Option<i64> {
    if double == INT_END { Some(i64::MAX) } else { exact_int(double) }
}

#[expect(clippy::cast_possible_truncation, reason = "what lies outside of the range becomes its end")]
fn truncated(double: f64) -> i64 {
    double as i64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what lies outside of the range becomes its end"
)]
fn truncated_uint(double: f64) -> u64 {
    double as u64
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
