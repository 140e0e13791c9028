//! `lists`: slices, order, flattening.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Entry, invalid, mismatch};
use crate::budget::Context;
use crate::error::{ErrorKind, EvalError};
use crate::operators;
use crate::value::{List, Value};

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Entry] = &[
    ("slice", slice, &["list(A).slice(int, int) -> list(A)"]),
    ("flatten", flatten, &["list(A).flatten() -> list(dyn)", "list(A).flatten(int) -> list(dyn)"]),
    ("distinct", distinct, &["list(A).distinct() -> list(A)"]),
    ("sort", sort, &["list(A).sort() -> list(A)"]),
    ("first", first, &["list(A).first() -> optional_type(A)"]),
    ("last", last, &["list(A).last() -> optional_type(A)"]),
    ("lists.range", range, &["lists.range(int) -> list(int)"]),
];

fn slice<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [Value::List(list), Value::Int(start), Value::Int(end)] = arguments else { return Err(mismatch()) };
    let place = |at: i64| usize::try_from(at).ok().filter(|at| *at <= list.len());
    match (place(*start), place(*end)) {
        (Some(from), Some(to)) if from <= to => {
            context.build_items(to - from)?;
            Ok(Value::list((from..to).filter_map(|at| list.get(at)).collect()))
        }
        _ => Err(EvalError::new(
            ErrorKind::IndexOutOfRange,
            format!("no slice from {start} to {end} of a list of {}", list.len()),
        )),
    }
}

/// Opens lists within the list, one level or so many; the order stays.
fn flatten<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let (list, levels) = match arguments {
        [Value::List(list)] => (list, 1),
        [Value::List(list), Value::Int(levels)] => (list, *levels),
        _ => return Err(mismatch()),
    };
    let levels = u64::try_from(levels).map_err(|_| invalid("the number of levels is negative"))?;
    let mut flat = Vec::new();
    let mut open: Vec<(List<'a>, usize)> = vec![(list.clone(), 0)];
    while let Some((list, at)) = open.last_mut() {
        context.charge(1)?;
        let item = list.get(*at);
        *at += 1;
        match item {
            None => {
                open.pop();
            }
            Some(Value::List(inner)) if open.len() as u64 <= levels => {
                context.build_items(1)?;
                open.push((inner, 0));
            }
            Some(item) => {
                context.build_items(1)?;
                flat.push(item);
            }
        }
    }
    Ok(Value::list(flat))
}

fn distinct<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [Value::List(list)] = arguments else { return Err(mismatch()) };
    let mut kept: Vec<Value<'a>> = Vec::new();
    'items: for item in list.iter() {
        for known in &kept {
            context.charge(1)?;
            if context.equal(known, &item)? {
                continue 'items;
            }
        }
        context.build_items(1)?;
        kept.push(item);
    }
    Ok(Value::list(kept))
}

fn sort<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [Value::List(list)] = arguments else { return Err(mismatch()) };
    context.build_items(list.len())?;
    let pairs = list.iter().map(|item| (item.clone(), item)).collect();
    sort_pairs(context, pairs).map(Value::list)
}

/// The values in the order of their keys, those of equal keys in the order that they had. The keys must be of one type
/// that has an order.
pub(crate) fn sort_pairs<'a>(
    context: &mut Context<'_>,
    mut pairs: Vec<(Value<'a>, Value<'a>)>,
) -> std::result::Result<Vec<Value<'a>>, EvalError> {
    let count = pairs.len() as u64;
    let texts: u64 = pairs.iter().map(|(key, _)| crate::budget::weight(key)).sum();
    let depth = u64::from(count.max(1).ilog2()) + 1;
    context.charge(count.saturating_mul(depth).saturating_add(texts.saturating_mul(depth)))?;
    let unordered = pairs.iter().zip(pairs.iter().skip(1)).find(|((a, _), (b, _))| !comparable(a, b));
    let alone = pairs.first().filter(|(key, _)| !comparable(key, key)).map(|(key, _)| (key, key));
    if let Some((a, b)) = unordered.map(|((a, _), (b, _))| (a, b)).or(alone) {
        let (a, b) = (a.type_name(), b.type_name());
        let message = format!("values of type `{a}` and `{b}` have no order");
        return Err(EvalError::new(ErrorKind::NoSuchOverload, message));
    }
    // NaN has no place among numbers; it comes last.
    let nan = |value: &Value<'_>| matches!(value, Value::Double(double) if double.is_nan());
    pairs.sort_by(|(a, _), (b, _)| {
        operators::order(a, b).unwrap_or_else(|| match (nan(a), nan(b)) {
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ => Ordering::Equal,
        })
    });
    Ok(pairs.into_iter().map(|(_, value)| value).collect())
}

fn comparable(a: &Value<'_>, b: &Value<'_>) -> bool {
    operators::order(a, b).is_some() || operators::is_number(a) && operators::is_number(b)
}

fn ends<'a>(list: &List<'a>, at: Option<usize>) -> Result<'a> {
    Ok(Value::Optional(at.and_then(|at| list.get(at)).map(Arc::new)))
}

fn first<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [Value::List(list)] = arguments else { return Err(mismatch()) };
    ends(list, Some(0))
}

fn last<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [Value::List(list)] = arguments else { return Err(mismatch()) };
    ends(list, list.len().checked_sub(1))
}

fn range<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [Value::Int(end)] = arguments else { return Err(mismatch()) };
    let count = u64::try_from(*end).map_err(|_| invalid("the end of a range is negative"))?;
    context.charge(count)?;
    context.build(count.saturating_mul(32))?;
    Ok(Value::list((0..*end).map(Value::Int).collect()))
}
