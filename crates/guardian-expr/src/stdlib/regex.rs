//! Regular expressions, on an engine whose time is linear in the text. Patterns are bounded in their compiled size.

use std::cell::RefCell;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::effort::{Effort, MATCH};
use super::{Entry, Native, invalid, mismatch};
use crate::budget::Context;
use crate::error::{ErrorKind, EvalError};
use crate::value::Value;

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Entry] = &[
    ("matches", matches::<false>, &["string.matches(string) -> bool", "matches(string, string) -> bool"]),
    (
        "regex.replace",
        replace::<false>,
        &[
            "regex.replace(string, string, string) -> string",
            "regex.replace(string, string, string, int) -> string",
        ],
    ),
    ("regex.extract", extract::<false>, &["regex.extract(string, string) -> optional_type(string)"]),
    ("regex.extractAll", extract_all::<false>, &["regex.extractAll(string, string) -> list(string)"]),
];

/// Bytes of a compiled pattern, and of the cache of its automaton.
const SIZE_LIMIT: usize = 1 << 18;
/// How deeply the groups of a pattern may nest.
pub(super) const NEST_LIMIT: u32 = 64;
/// Patterns that each thread keeps.
const KEPT: usize = 64;

/// A pattern that was compiled, or why it could not be.
#[derive(Clone)]
struct Pattern {
    effort: Effort,
    compiled: std::result::Result<Regex, EvalError>,
}

thread_local! {
    /// The patterns that were used last, because most conditions ask with the same one again and again.
    static PATTERNS: RefCell<Vec<(Arc<str>, Pattern)>> = const { RefCell::new(Vec::new()) };
}

/// The compiled pattern, and what a search with it costs. Its own cost does not depend on whether it was kept, so that costs
/// are the same everywhere: a pattern that is made while the expression runs is paid for each time, a constant of the program
/// is not (`known`).
fn pattern(
    context: &mut Context<'_>,
    text: &str,
    known: bool,
) -> std::result::Result<(Regex, Effort), EvalError> {
    let length = text.len() as u64;
    context.charge(10 + if known { length } else { 10 * length })?;
    let kept = PATTERNS.with_borrow_mut(|patterns| {
        let at = patterns.iter().position(|(each, _)| **each == *text)?;
        // The ones that are used stay at the end.
        let found = patterns.remove(at);
        let pattern = found.1.clone();
        patterns.push(found);
        Some(pattern)
    });
    let effort = match &kept {
        Some(pattern) => pattern.effort,
        None => Effort::of(text),
    };
    if !known {
        context.charge(effort.compilation)?;
    }
    let pattern = kept.unwrap_or_else(|| keep(text, effort));
    pattern.compiled.map(|regex| (regex, effort))
}

fn keep(text: &str, effort: Effort) -> Pattern {
    let compiled = RegexBuilder::new(text)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(SIZE_LIMIT)
        .nest_limit(NEST_LIMIT)
        .build()
        .map_err(|error| invalid(format!("`{text}` is no regular expression: {}", last_line(&error))));
    let pattern = Pattern { effort, compiled };
    PATTERNS.with_borrow_mut(|patterns| {
        if patterns.len() >= KEPT {
            patterns.remove(0);
        }
        patterns.push((text.into(), pattern.clone()));
    });
    pattern
}

fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn two<'v>(arguments: &'v [Value<'_>]) -> std::result::Result<(&'v str, &'v str), EvalError> {
    let [of, pattern] = arguments else { return Err(mismatch()) };
    Ok((of.as_str().ok_or_else(mismatch)?, pattern.as_str().ok_or_else(mismatch)?))
}

/// The functions for calls whose pattern is a constant.
pub(super) fn with_known_pattern(name: &str) -> Option<Native> {
    Some(match name {
        "matches" => matches::<true>,
        "regex.replace" => replace::<true>,
        "regex.extract" => extract::<true>,
        "regex.extractAll" => extract_all::<true>,
        _ => return None,
    })
}

/// The pattern, ready for a search in a text, which is paid for.
fn search(
    context: &mut Context<'_>,
    of: &str,
    text: &str,
    known: bool,
) -> std::result::Result<Regex, EvalError> {
    let (regex, effort) = pattern(context, text, known)?;
    context.charge(effort.search(of.len() as u64))?;
    Ok(regex)
}

fn matches<'a, const KNOWN: bool>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let (of, text) = two(arguments)?;
    Ok(Value::Bool(search(context, of, text, KNOWN)?.is_match(of)))
}

fn replace<'a, const KNOWN: bool>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let (of, text, with, most) = match arguments {
        [of, text, with] => (of, text, with, -1),
        [of, text, with, Value::Int(most)] => (of, text, with, *most),
        _ => return Err(mismatch()),
    };
    let (of, text) = (of.as_str().ok_or_else(mismatch)?, text.as_str().ok_or_else(mismatch)?);
    let with = with.as_str().ok_or_else(mismatch)?;
    let regex = search(context, of, text, KNOWN)?;
    let parts = template(with, regex.captures_len())?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut out = String::new();
    let mut end = 0;
    for found in regex.captures_iter(of).take(most) {
        let Some(whole) = found.get(0) else { continue };
        let before = out.len();
        out.push_str(of.get(end..whole.start()).unwrap_or_default());
        for part in &parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Group(group) => out.push_str(found.get(*group).map_or("", |group| group.as_str())),
            }
        }
        end = whole.end();
        context.charge(MATCH)?;
        context.build((out.len() - before) as u64)?;
    }
    let rest = of.get(end..).unwrap_or_default();
    context.build(rest.len() as u64)?;
    out.push_str(rest);
    Ok(Value::Shared(out.into()))
}

enum Part {
    Text(String),
    Group(usize),
}

/// Reads a replacement: `\1` is a group, `\\` a backslash.
fn template(with: &str, groups: usize) -> std::result::Result<Vec<Part>, EvalError> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut characters = with.chars();
    while let Some(each) = characters.next() {
        if each != '\\' {
            text.push(each);
            continue;
        }
        match characters.next() {
            Some('\\') => text.push('\\'),
            Some(digit) if digit.is_ascii_digit() => {
                let group = digit.to_digit(10).unwrap_or(0) as usize;
                if group >= groups {
                    return Err(invalid(format!("the pattern has no group {group}")));
                }
                parts.push(Part::Text(std::mem::take(&mut text)));
                parts.push(Part::Group(group));
            }
            _ => return Err(invalid("a backslash in a replacement is followed by a digit or a backslash")),
        }
    }
    parts.push(Part::Text(text));
    Ok(parts)
}

/// The only group of a pattern, or all of it where it has none.
fn group(regex: &Regex, text: &str) -> std::result::Result<usize, EvalError> {
    match regex.captures_len() {
        1 => Ok(0),
        2 => Ok(1),
        _ => Err(EvalError::new(
            ErrorKind::InvalidArgument,
            format!("`{text}` has more than one group, so it is not clear what to extract"),
        )),
    }
}

fn extract<'a, const KNOWN: bool>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let (of, text) = two(arguments)?;
    let regex = search(context, of, text, KNOWN)?;
    let wanted = group(&regex, text)?;
    let found = regex.captures(of).and_then(|found| found.get(wanted));
    match found {
        Some(found) => {
            context.build(found.len() as u64)?;
            Ok(Value::Optional(Some(Arc::new(Value::Shared(found.as_str().into())))))
        }
        None => Ok(Value::Optional(None)),
    }
}

fn extract_all<'a, const KNOWN: bool>(context: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let (of, text) = two(arguments)?;
    let regex = search(context, of, text, KNOWN)?;
    let wanted = group(&regex, text)?;
    let mut all = Vec::new();
    for found in regex.captures_iter(of) {
        if let Some(found) = found.get(wanted) {
            context.charge(MATCH)?;
            context.build(32 + found.len() as u64)?;
            all.push(Value::Shared(found.as_str().into()));
        }
    }
    Ok(Value::list(all))
}
