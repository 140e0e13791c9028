//! `format`: the clauses of `printf` that cel-go has.

use std::fmt::Write;

use super::{invalid, mismatch};
use crate::budget::{Context, weight};
use crate::error::EvalError;
use crate::number;
use crate::value::Value;

/// The digits behind the point where a clause says nothing.
const PRECISION: usize = 6;
/// What a part of a value costs, and what an entry of a map costs more: their keys are sorted as texts.
const PIECE: u64 = 2;
const ENTRY: u64 = 10;
/// The most digits that a clause may ask for.
const MOST_PRECISION: usize = 1000;

pub(super) fn format<'a>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [template, Value::List(list)] = arguments else { return Err(mismatch()) };
    let mut rest = template.as_str().ok_or_else(mismatch)?;
    let mut out = String::new();
    let mut next = 0;
    while let Some(at) = rest.find('%') {
        out.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let mut precision = None;
        if let Some(after) = rest.strip_prefix('.') {
            let digits = after.find(|each: char| !each.is_ascii_digit()).unwrap_or(after.len());
            let number = after.get(..digits).unwrap_or_default();
            let wanted: usize =
                number.parse().map_err(|_| invalid("a precision has a number behind the point"))?;
            if wanted > MOST_PRECISION {
                return Err(invalid(format!("a precision of {wanted} is more than {MOST_PRECISION}")));
            }
            precision = Some(wanted);
            rest = after.get(digits..).unwrap_or_default();
        }
        let clause = rest.chars().next().ok_or_else(|| invalid("the text ends within a clause"))?;
        rest = rest.get(clause.len_utf8()..).unwrap_or_default();
        let value = list
            .get(next)
            .ok_or_else(|| invalid(format!("there is no argument {next} for the clauses of the text")))?;
        next += 1;
        let before = out.len();
        write_clause(context, &mut out, clause, precision, &value)?;
        context.build((out.len() - before) as u64)?;
    }
    out.push_str(rest);
    context.build(rest.len() as u64)?;
    Ok(Value::Shared(out.into()))
}

fn wrong(clause: char, value: &Value<'_>) -> EvalError {
    invalid(format!("`%{clause}` is not defined for `{}`", value.type_name()))
}

fn write_clause(
    context: &mut Context<'_>,
    out: &mut String,
    clause: char,
    precision: Option<usize>,
    value: &Value<'_>,
) -> Result<(), EvalError> {
    let precision = precision.unwrap_or(PRECISION);
    match (clause, value) {
        ('s', value) => write_text(context, out, value)?,
        ('d', Value::Int(value)) => push(out, format_args!("{value}")),
        ('d', Value::Uint(value)) => push(out, format_args!("{value}")),
        ('d' | 'f' | 'e', Value::Double(value)) if !value.is_finite() => push_special(out, *value),
        ('f' | 'e', value) => {
            let double = match value {
                Value::Double(value) => *value,
                Value::Int(value) => number::int_to_double(*value),
                Value::Uint(value) => number::uint_to_double(*value),
                _ => return Err(wrong(clause, value)),
            };
            context.charge(precision as u64)?;
            if clause == 'f' {
                push(out, format_args!("{double:.precision$}"));
            } else {
                let shown = format!("{double:.precision$e}");
                let (digits, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
                let (sign, exponent) = match exponent.strip_prefix('-') {
                    Some(exponent) => ('-', exponent),
                    None => ('+', exponent),
                };
                push(out, format_args!("{digits}e{sign}{exponent:0>2}"));
            }
        }
        ('b', Value::Bool(value)) => out.push(if *value { '1' } else { '0' }),
        ('b', Value::Int(value)) => {
            push(out, format_args!("{}{:b}", minus(*value), value.unsigned_abs()));
        }
        ('b', Value::Uint(value)) => push(out, format_args!("{value:b}")),
        ('o', Value::Int(value)) => {
            push(out, format_args!("{}{:o}", minus(*value), value.unsigned_abs()));
        }
        ('o', Value::Uint(value)) => push(out, format_args!("{value:o}")),
        ('x', Value::Int(value)) => {
            push(out, format_args!("{}{:x}", minus(*value), value.unsigned_abs()));
        }
        ('X', Value::Int(value)) => {
            push(out, format_args!("{}{:X}", minus(*value), value.unsigned_abs()));
        }
        ('x', Value::Uint(value)) => push(out, format_args!("{value:x}")),
        ('X', Value::Uint(value)) => push(out, format_args!("{value:X}")),
        ('x' | 'X', value) => {
            let bytes = match value {
                Value::Bytes(bytes) => bytes,
                other => other.as_str().ok_or_else(|| wrong(clause, value))?.as_bytes(),
            };
            context.build(bytes.len() as u64 * 2)?;
            for byte in bytes {
                match clause {
                    'x' => push(out, format_args!("{byte:02x}")),
                    _ => push(out, format_args!("{byte:02X}")),
                }
            }
        }
        ('d' | 'b' | 'o', value) => return Err(wrong(clause, value)),
        _ => return Err(invalid(format!("`%{clause}` is no clause"))),
    }
    Ok(())
}

fn minus(value: i64) -> &'static str {
    if value < 0 { "-" } else { "" }
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string never fails.
    let _ = out.write_fmt(arguments);
}

fn push_special(out: &mut String, value: f64) {
    out.push_str(if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    });
}

enum Piece<'a> {
    Value(Value<'a>),
    Text(&'static str),
    Owned(String),
}

/// `%s`: texts without quotes, lists and maps with their elements in the same way. Maps are in the order of their keys.
fn write_text(context: &mut Context<'_>, out: &mut String, value: &Value<'_>) -> Result<(), EvalError> {
    let mut pieces = vec![Piece::Value(value.clone())];
    while let Some(piece) = pieces.pop() {
        let value = match piece {
            Piece::Text(text) => {
                out.push_str(text);
                continue;
            }
            Piece::Owned(text) => {
                out.push_str(&text);
                continue;
            }
            Piece::Value(value) => value,
        };
        context.charge(PIECE)?;
        context.build(1 + 16 * weight(&value))?;
        match &value {
            Value::Null => out.push_str("null"),
            Value::Bool(value) => push(out, format_args!("{value}")),
            Value::Int(value) => push(out, format_args!("{value}")),
            Value::Uint(value) => push(out, format_args!("{value}")),
            Value::Double(value) if value.is_finite() => push(out, format_args!("{value}")),
            Value::Double(value) => push_special(out, *value),
            Value::Str(text) => out.push_str(text),
            Value::Shared(text) => out.push_str(text),
            Value::Bytes(bytes) => out.push_str(&String::from_utf8_lossy(bytes)),
            Value::Timestamp(value) => push(out, format_args!("{value}")),
            Value::Duration(value) => push(out, format_args!("{value}")),
            Value::Type(name) => out.push_str(name),
            Value::List(list) => {
                out.push('[');
                pieces.push(Piece::Text("]"));
                for at in (0..list.len()).rev() {
                    pieces.push(Piece::Value(list.get(at).unwrap_or_default()));
                    if at > 0 {
                        pieces.push(Piece::Text(", "));
                    }
                }
            }
            Value::Map(map) => {
                context.charge(ENTRY * map.len() as u64)?;
                let mut entries = Vec::with_capacity(map.len());
                for (key, value) in map.entries() {
                    let mut text = String::new();
                    match &key {
                        Value::Bool(value) => push(&mut text, format_args!("{value}")),
                        Value::Int(value) => push(&mut text, format_args!("{value}")),
                        Value::Uint(value) => push(&mut text, format_args!("{value}")),
                        other => text.push_str(other.as_str().unwrap_or_default()),
                    }
                    entries.push((text, value));
                }
                entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                out.push('{');
                pieces.push(Piece::Text("}"));
                for (at, (key, value)) in entries.into_iter().enumerate().rev() {
                    pieces.push(Piece::Value(value));
                    pieces.push(Piece::Text(": "));
                    pieces.push(Piece::Owned(key));
                    if at > 0 {
                        pieces.push(Piece::Text(", "));
                    }
                }
            }
            other => return Err(wrong('s', other)),
        }
    }
    Ok(())
}
