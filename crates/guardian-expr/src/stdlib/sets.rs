//! `sets`: lists as sets, by the equality of the language.

use super::{Entry, mismatch};
use crate::budget::Context;
use crate::error::EvalError;
use crate::value::{List, Value};

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Entry] = &[
    ("sets.contains", contains, &["sets.contains(list(A), list(A)) -> bool"]),
    ("sets.equivalent", equivalent, &["sets.equivalent(list(A), list(A)) -> bool"]),
    ("sets.intersects", intersects, &["sets.intersects(list(A), list(A)) -> bool"]),
];

fn has(
    context: &mut Context<'_>,
    list: &List<'_>,
    wanted: &Value<'_>,
) -> std::result::Result<bool, EvalError> {
    for item in list.iter() {
        context.charge(3)?;
        if context.equal(&item, wanted)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn covers(
    context: &mut Context<'_>,
    list: &List<'_>,
    part: &List<'_>,
) -> std::result::Result<bool, EvalError> {
    for wanted in part.iter() {
        if !has(context, list, &wanted)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn contains<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [Value::List(list), Value::List(part)] = arguments else { return Err(mismatch()) };
    covers(context, list, part).map(Value::Bool)
}

fn equivalent<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [Value::List(a), Value::List(b)] = arguments else { return Err(mismatch()) };
    Ok(Value::Bool(covers(context, a, b)? && covers(context, b, a)?))
}

fn intersects<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [Value::List(a), Value::List(b)] = arguments else { return Err(mismatch()) };
    for item in b.iter() {
        if has(context, a, &item)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}
