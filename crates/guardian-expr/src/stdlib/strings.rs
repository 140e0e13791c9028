//! Texts. Places in them count code points, from 0.

use std::sync::Arc;

use super::{Entry, REPLACED, format, mismatch};
use crate::budget::{Context, weight};
use crate::error::{ErrorKind, EvalError};
use crate::number;
use crate::value::Value;

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Entry] = &[
    ("contains", contains, &["string.contains(string) -> bool"]),
    ("startsWith", starts_with, &["string.startsWith(string) -> bool"]),
    ("endsWith", ends_with, &["string.endsWith(string) -> bool"]),
    ("charAt", char_at, &["string.charAt(int) -> string"]),
    ("indexOf", index_of, &["string.indexOf(string) -> int", "string.indexOf(string, int) -> int"]),
    (
        "lastIndexOf",
        last_index_of,
        &["string.lastIndexOf(string) -> int", "string.lastIndexOf(string, int) -> int"],
    ),
    ("join", join, &["list(string).join() -> string", "list(string).join(string) -> string"]),
    ("lowerAscii", lower, &["string.lowerAscii() -> string"]),
    ("upperAscii", upper, &["string.upperAscii() -> string"]),
    (
        "replace",
        replace,
        &["string.replace(string, string) -> string", "string.replace(string, string, int) -> string"],
    ),
    ("split", split, &["string.split(string) -> list(string)", "string.split(string, int) -> list(string)"]),
    ("substring", substring, &["string.substring(int) -> string", "string.substring(int, int) -> string"]),
    ("trim", trim, &["string.trim() -> string"]),
    ("reverse", reverse, &["string.reverse() -> string", "list(A).reverse() -> list(A)"]),
    ("strings.quote", quote, &["strings.quote(string) -> string"]),
    ("format", format::format, &["string.format(list(dyn)) -> string"]),
];

fn text<'v>(value: &'v Value<'_>) -> std::result::Result<&'v str, EvalError> {
    value.as_str().ok_or_else(mismatch)
}

fn int(value: &Value<'_>) -> std::result::Result<i64, EvalError> {
    match value {
        Value::Int(int) => Ok(*int),
        _ => Err(mismatch()),
    }
}

/// A part of a text as a value: of a text of the event it borrows.
fn part<'a>(context: &mut Context<'_>, of: &Value<'a>, range: std::ops::Range<usize>) -> Result<'a> {
    match of {
        Value::Str(text) => Ok(Value::Str(text.get(range).unwrap_or_default())),
        other => {
            context.build(range.len() as u64)?;
            Ok(Value::Shared(text(other)?.get(range).unwrap_or_default().into()))
        }
    }
}

fn built<'a>(context: &mut Context<'_>, text: String) -> Result<'a> {
    context.build(text.len() as u64)?;
    Ok(Value::Shared(Arc::from(text)))
}

fn out_of_range(at: i64) -> EvalError {
    EvalError::new(ErrorKind::IndexOutOfRange, format!("index out of range: {at}"))
}

/// The byte at which the code point of this number begins; the end of the text where it has just so many.
fn offset(text: &str, at: i64) -> std::result::Result<usize, EvalError> {
    let wanted = usize::try_from(at).map_err(|_| out_of_range(at))?;
    if text.is_ascii() {
        return if wanted <= text.len() { Ok(wanted) } else { Err(out_of_range(at)) };
    }
    let mut starts = text.char_indices().map(|(start, _)| start).chain([text.len()]);
    starts.nth(wanted).ok_or_else(|| out_of_range(at))
}

/// How many code points are in front of a byte.
fn points(text: &str, byte: usize) -> i64 {
    number::length(text.get(..byte).unwrap_or(text).chars().count())
}

fn contains<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [of, part] = arguments else { return Err(mismatch()) };
    context.charge(weight(of))?;
    Ok(Value::Bool(text(of)?.contains(text(part)?)))
}

fn starts_with<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [of, part] = arguments else { return Err(mismatch()) };
    Ok(Value::Bool(text(of)?.starts_with(text(part)?)))
}

fn ends_with<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [of, part] = arguments else { return Err(mismatch()) };
    Ok(Value::Bool(text(of)?.ends_with(text(part)?)))
}

fn char_at<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [of, at] = arguments else { return Err(mismatch()) };
    let start = offset(text(of)?, int(at)?)?;
    let length = text(of)?.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    part(context, of, start..start + length)
}

fn index_of<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    context.charge(arguments.first().map_or(0, weight))?;
    let (of, wanted, from) = match arguments {
        [of, wanted] => (text(of)?, text(wanted)?, 0),
        [of, wanted, from] => (text(of)?, text(wanted)?, int(from)?),
        _ => return Err(mismatch()),
    };
    let start = offset(of, from)?;
    let found = of.get(start..).and_then(|rest| rest.find(wanted));
    Ok(Value::Int(found.map_or(-1, |at| points(of, start + at))))
}

fn last_index_of<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    context.charge(arguments.first().map_or(0, weight))?;
    let (of, wanted, end) = match arguments {
        [of, wanted] => (text(of)?, text(wanted)?, None),
        [of, wanted, last] => {
            // The last place at which the part may begin.
            let (of, wanted) = (text(of)?, text(wanted)?);
            let last = offset(of, int(last)?)?;
            (of, wanted, Some((last + wanted.len()).min(of.len())))
        }
        _ => return Err(mismatch()),
    };
    let mut end = end.unwrap_or(of.len());
    while !of.is_char_boundary(end) {
        end += 1;
    }
    let found = of.get(..end).and_then(|front| front.rfind(wanted));
    Ok(Value::Int(found.map_or(-1, |at| points(of, at))))
}

fn join<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let (list, between) = match arguments {
        [Value::List(list)] => (list, ""),
        [Value::List(list), between] => (list, text(between)?),
        _ => return Err(mismatch()),
    };
    context.charge(list.len() as u64)?;
    let mut length = 0;
    for item in list.iter() {
        length += text(&item)?.len() + between.len();
    }
    context.build(length as u64)?;
    let mut joined = String::with_capacity(length);
    for (at, item) in list.iter().enumerate() {
        if at > 0 {
            joined.push_str(between);
        }
        joined.push_str(text(&item)?);
    }
    Ok(Value::Shared(joined.into()))
}

fn lower<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [of] = arguments else { return Err(mismatch()) };
    if !text(of)?.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Ok(of.clone());
    }
    built(context, text(of)?.to_ascii_lowercase())
}

fn upper<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [of] = arguments else { return Err(mismatch()) };
    if !text(of)?.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Ok(of.clone());
    }
    built(context, text(of)?.to_ascii_uppercase())
}

fn replace<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let (of, from, to, most) = match arguments {
        [of, from, to] => (text(of)?, text(from)?, text(to)?, -1),
        [of, from, to, most] => (text(of)?, text(from)?, text(to)?, int(most)?),
        _ => return Err(mismatch()),
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    // The length is known before anything is built.
    let found = of.matches(from).take(most).count();
    let length = of.len() - found * from.len() + found * to.len();
    context.charge((found as u64).saturating_mul(REPLACED))?;
    context.build(length as u64)?;
    Ok(Value::Shared(of.replacen(from, to, most).into()))
}

fn split<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let (of, by, most) = match arguments {
        [of, by] => (of, text(by)?, -1),
        [of, by, most] => (of, text(by)?, int(most)?),
        _ => return Err(mismatch()),
    };
    let whole = text(of)?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut ranges = Vec::new();
    let mut start = 0;
    if by.is_empty() {
        let mut ends: Vec<usize> = whole.char_indices().skip(1).map(|(at, _)| at).collect();
        ends.truncate(most.saturating_sub(1));
        for end in ends {
            ranges.push(start..end);
            start = end;
        }
        if most > 0 && !whole.is_empty() {
            ranges.push(start..whole.len());
        }
    } else if most > 0 {
        for (at, found) in whole.match_indices(by) {
            if ranges.len() + 1 >= most {
                break;
            }
            ranges.push(start..at);
            start = at + found.len();
        }
        ranges.push(start..whole.len());
    }
    context.charge(ranges.len() as u64)?;
    context.build_items(ranges.len())?;
    let parts: std::result::Result<Vec<_>, _> =
        ranges.into_iter().map(|range| part(context, of, range)).collect();
    Ok(Value::list(parts?))
}

fn substring<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let (of, start, end) = match arguments {
        [of, start] => (of, offset(text(of)?, int(start)?)?, text(of)?.len()),
        [of, start, end] => (of, offset(text(of)?, int(start)?)?, offset(text(of)?, int(end)?)?),
        _ => return Err(mismatch()),
    };
    if start > end {
        return Err(EvalError::new(
            ErrorKind::IndexOutOfRange,
            "the end of a part of a text lies in front of its start",
        ));
    }
    part(context, of, start..end)
}

fn trim<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [of] = arguments else { return Err(mismatch()) };
    let whole = text(of)?;
    let start = whole.len() - whole.trim_start().len();
    part(context, of, start..start + whole.trim().len())
}

fn reverse<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [of] = arguments else { return Err(mismatch()) };
    if let Value::List(list) = of {
        context.build_items(list.len())?;
        return Ok(Value::list((0..list.len()).rev().filter_map(|at| list.get(at)).collect()));
    }
    built(context, text(of)?.chars().rev().collect())
}

fn quote<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [of] = arguments else { return Err(mismatch()) };
    let of = text(of)?;
    let mut quoted = String::with_capacity(of.len() + 2);
    quoted.push('"');
    for each in of.chars() {
        let escape = match each {
            '\x07' => "\\a",
            '\x08' => "\\b",
            '\x0c' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\x0b' => "\\v",
            '\\' => "\\\\",
            '"' => "\\\"",
            other => {
                quoted.push(other);
                continue;
            }
        };
        quoted.push_str(escape);
    }
    quoted.push('"');
    built(context, quoted)
}
