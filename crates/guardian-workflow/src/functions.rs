//! Functions that definitions have beside the standard library.

use guardian_expr::{ErrorKind, EvalError, HostFunction, Value};

/// `merge(a, b)`: the entries of both maps, those of `b` where both have one.
/// `put(a, "x.y", v)`: the map with a value at a place; maps on the way are made.
pub(crate) fn functions() -> [HostFunction; 2] {
    [
        HostFunction::new("merge(dyn, dyn) -> dyn", |arguments| match arguments {
            [a, b] => {
                let (a, b) = (entries(a)?, entries(b)?);
                let kept = a.into_iter().filter(|(key, _)| !b.iter().any(|(other, _)| other == key));
                let all: Vec<_> = kept.chain(b.iter().cloned()).collect();
                made(all)
            }
            _ => Err(refused("it has two arguments")),
        })
        .cost(20),
        HostFunction::new("put(dyn, string, dyn) -> dyn", |arguments| match arguments {
            [whole, place, value] => {
                let place = place.as_str().unwrap_or_default().to_owned();
                let parts: Vec<&str> = place.split('.').collect();
                put(whole, &parts, value.clone())
            }
            _ => Err(refused("it has three arguments")),
        })
        .cost(20),
    ]
}

fn refused(why: &str) -> EvalError {
    EvalError::new(ErrorKind::InvalidArgument, why)
}

type Entries<'a> = Vec<(Value<'a>, Value<'a>)>;

fn entries<'a>(value: &Value<'a>) -> Result<Entries<'a>, EvalError> {
    match value {
        Value::Map(map) => Ok(map.entries()),
        Value::Null => Ok(Vec::new()),
        other => Err(refused(&format!("a `{}` has no entries", other.type_name()))),
    }
}

fn made(entries: Entries<'_>) -> Result<Value<'_>, EvalError> {
    Value::map(entries).ok_or_else(|| refused("two entries have the same key"))
}

/// Places are texts of an expression, so they are short; each dot is one step.
fn put<'a>(whole: &Value<'a>, place: &[&str], value: Value<'a>) -> Result<Value<'a>, EvalError> {
    let Some((first, rest)) = place.split_first() else { return Ok(value) };
    if place.len() > 32 {
        return Err(refused("the place is deeper than 32"));
    }
    let mut known = entries(whole)?;
    let at = known.iter().position(|(key, _)| key.as_str() == Some(first));
    let inner = match at {
        Some(at) => known.swap_remove(at).1,
        None => Value::Null,
    };
    let inner = if rest.is_empty() { Value::Null } else { inner };
    known.push((Value::from((*first).to_owned()), put(&inner, rest, value)?));
    made(known)
}
