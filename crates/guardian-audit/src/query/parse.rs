//! Reads the query language.

use std::net::IpAddr;
use std::ops::Range;
use std::str::FromStr;

use ipnet::IpNet;

use super::{Condition, Query, QueryError, TimeRange, time};
use crate::dimension::Dimension;
use guardian_core::shorten;

use crate::error::excerpt;
use crate::event::{Outcome, Risk};

/// The longest query, in bytes.
pub const MAX_LENGTH: usize = 8 * 1024;

/// The most conditions in a query.
pub const MAX_NODES: usize = 256;

/// The deepest that parentheses and negations nest.
pub const MAX_DEPTH: usize = 32;

/// The most words that follow each other, in one condition.
pub const MAX_WORDS: usize = 64;

/// Names before a colon that are no dimension.
const OTHER_NAMES: [&str; 5] = ["created", "occurred", "sequence", "has", "text"];

impl FromStr for Query {
    type Err = QueryError;

    /// Reads a query of the [language](crate::query).
    fn from_str(text: &str) -> Result<Self, QueryError> {
        if text.len() > MAX_LENGTH {
            return Err(QueryError {
                what: format!("the query has {} bytes, the most is {MAX_LENGTH}", text.len()),
                at: MAX_LENGTH..text.len(),
                suggestion: None,
            });
        }
        let mut parser = Parser { text, at: 0, nodes: 0 };
        parser.space();
        if parser.rest().is_empty() {
            return Ok(Self::All);
        }
        let query = parser.any_of(0)?;
        match parser.rest() {
            "" => Ok(query),
            _ => Err(parser.error(parser.at..parser.at + 1, "this `)` closes nothing")),
        }
    }
}

impl TryFrom<String> for Query {
    type Error = QueryError;

    fn try_from(text: String) -> Result<Self, QueryError> {
        text.parse()
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    nodes: usize,
}

/// A value after a colon: its text, where it stands, whether it was in quotes, and whether a star follows.
struct Value {
    text: String,
    at: Range<usize>,
    quoted: bool,
    star: bool,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, at: Range<usize>, what: impl Into<String>) -> QueryError {
        QueryError { what: what.into(), at, suggestion: None }
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes a word that is not followed by more of a word.
    fn keyword(&mut self, word: &str) -> bool {
        let Some(after) = self.rest().strip_prefix(word) else { return false };
        if !after.is_empty() && !after.starts_with(|c: char| c.is_whitespace() || c == '(') {
            return false;
        }
        self.at += word.len();
        self.space();
        true
    }

    fn any_of(&mut self, depth: usize) -> Result<Query, QueryError> {
        let mut queries = vec![self.all_of(depth)?];
        loop {
            let start = self.at;
            if !self.keyword("OR") {
                break;
            }
            if self.ends() {
                return Err(self.error(start..start + 2, "nothing follows this `OR`"));
            }
            queries.push(self.all_of(depth)?);
        }
        Ok(match (queries.pop(), queries.is_empty()) {
            (Some(one), true) => one,
            (last, _) => {
                queries.extend(last);
                Query::Or(queries)
            }
        })
    }

    fn all_of(&mut self, depth: usize) -> Result<Query, QueryError> {
        let mut queries = Vec::new();
        loop {
            let start = self.at;
            if self.keyword("AND") && (queries.is_empty() || self.ends()) {
                return Err(self.error(start..start + 3, "this `AND` does not stand between two conditions"));
            }
            if self.ends() {
                break;
            }
            let or = self.at;
            if self.keyword("OR") {
                if queries.is_empty() {
                    return Err(self.error(or..or + 2, "nothing stands before this `OR`"));
                }
                self.at = or;
                break;
            }
            queries.push(self.one(depth)?);
            self.space();
        }
        match (queries.pop(), queries.is_empty()) {
            (None, _) => Err(self.error(self.at..self.at, "a condition is missing")),
            (Some(one), true) => Ok(one),
            (Some(last), false) => {
                queries.push(last);
                Ok(Query::And(queries))
            }
        }
    }

    /// Whether a group or the query ends here.
    fn ends(&self) -> bool {
        matches!(self.rest().chars().next(), None | Some(')'))
    }

    fn one(&mut self, depth: usize) -> Result<Query, QueryError> {
        let start = self.at;
        if depth >= MAX_DEPTH {
            return Err(
                self.error(start..start + 1, format!("the query nests deeper than {MAX_DEPTH} levels"))
            );
        }
        let dash = self.rest().starts_with('-');
        if dash || self.keyword("NOT") {
            self.at += usize::from(dash);
            if self.ends() || self.rest().starts_with(char::is_whitespace) {
                return Err(self.error(start..self.at, "nothing follows to be negated"));
            }
            return Ok(self.one(depth + 1)?.negate());
        }
        if self.rest().starts_with('(') {
            self.at += 1;
            self.space();
            if self.ends() {
                return Err(self.error(start..start + 1, "the parentheses are empty"));
            }
            let inner = self.any_of(depth + 1)?;
            if !self.rest().starts_with(')') {
                return Err(self.error(start..start + 1, "this `(` is not closed"));
            }
            self.at += 1;
            return Ok(inner);
        }
        self.condition()
    }

    fn condition(&mut self) -> Result<Query, QueryError> {
        let start = self.at;
        let (name, key) = match self.rest().starts_with("meta.\"") {
            true => (String::new(), Some(self.quoted_key(start)?)),
            false => (self.name(), None),
        };
        if name.is_empty() && key.is_none() {
            let value = self.value()?;
            return self.words(value);
        }
        // Keys of metadata keep their case for people, and compare without it.
        let key = key.or_else(|| {
            name.get(..5)
                .filter(|start| start.eq_ignore_ascii_case("meta."))
                .map(|_| name.get(5..).unwrap_or_default().to_owned())
        });
        self.at += name.len() + 1;
        let name = name.to_ascii_lowercase();
        let at = start..self.at - 1;
        let mut queries = Vec::new();
        loop {
            queries.push(self.qualified(&name, key.as_deref(), &at)?);
            if !self.rest().starts_with(',') {
                break;
            }
            self.at += 1;
        }
        Ok(match (queries.pop(), queries.is_empty()) {
            (Some(one), true) => one,
            (last, _) => {
                queries.extend(last);
                Query::Or(queries)
            }
        })
    }

    /// The key of `meta."a key":`, up to the colon.
    fn quoted_key(&mut self, start: usize) -> Result<String, QueryError> {
        self.at += "meta.".len();
        let key = self.quoted(self.at)?;
        if key.star || !self.rest().starts_with(':') {
            return Err(self.error(start..self.at, "a colon and a value follow the key"));
        }
        Ok(key.text)
    }

    /// The name before a colon, if one stands here.
    fn name(&self) -> String {
        let rest = self.rest();
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, ':' | '"' | '(' | ')'))
            .unwrap_or(rest.len());
        match rest.get(end..).is_some_and(|after| after.starts_with(':')) {
            true => rest.get(..end).unwrap_or_default().to_owned(),
            false => String::new(),
        }
    }

    fn value(&mut self) -> Result<Value, QueryError> {
        let start = self.at;
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.error(start..start, format!("the query has more than {MAX_NODES} conditions")));
        }
        if self.rest().starts_with('"') {
            return self.quoted(start);
        }
        let rest = self.rest();
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | ','))
            .unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default();
        let (text, star) = text.strip_suffix('*').map_or((text, false), |text| (text, true));
        let text = text.to_owned();
        self.at += end;
        let at = start..self.at;
        if text.contains('*') {
            return Err(self.error(at, format!("the star of `{}` does not stand at the end", shorten(&text))));
        }
        Ok(Value { text, at, quoted: false, star })
    }

    /// A value in quotes, in which `\"` and `\\` stand for themselves.
    fn quoted(&mut self, start: usize) -> Result<Value, QueryError> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        let length = loop {
            match chars.next() {
                None => return Err(self.error(start..start + 1, "this quotation mark is not closed")),
                Some((at, '"')) => break at + 1,
                Some((_, '\\')) => match chars.next() {
                    Some((_, c @ ('"' | '\\'))) => text.push(c),
                    Some((_, c)) => text.extend(['\\', c]),
                    None => {}
                },
                Some((_, c)) => text.push(c),
            }
        };
        self.at += length;
        let star = self.rest().starts_with('*');
        self.at += usize::from(star);
        Ok(Value { text, at: start..self.at, quoted: true, star })
    }

    fn words(&mut self, value: Value) -> Result<Query, QueryError> {
        let Value { text, at, star, .. } = value;
        let words = crate::terms::words(&text).len();
        if words > MAX_WORDS {
            return Err(self.error(at, format!("there are {words} words in a row, the most is {MAX_WORDS}")));
        }
        if words == 0 {
            // A comma is not part of a word, and nothing has moved past it.
            let at = at.start..at.end.max(at.start + self.rest().chars().next().map_or(0, char::len_utf8));
            return Err(
                self.error(at.clone(), format!("`{}` has no letter and no digit", excerpt(self.text, &at)))
            );
        }
        Ok(match star {
            true => Condition::TextPrefix(text),
            false => Condition::Text(text),
        }
        .into())
    }

    fn qualified(
        &mut self,
        name: &str,
        key: Option<&str>,
        name_at: &Range<usize>,
    ) -> Result<Query, QueryError> {
        let value = self.value()?;
        if value.text.is_empty() && !value.star {
            return Err(self.error(name_at.clone(), format!("`{}:` has no value", shorten(name))));
        }
        if let Some(key) = key {
            if key.is_empty() {
                return Err(self.error(name_at.clone(), "`meta.` needs the name of an entry"));
            }
            let key = key.to_owned();
            return Ok(match value.star {
                true => Condition::MetadataPrefix(key, value.text),
                false => Condition::Metadata(key, value.text),
            }
            .into());
        }
        match name {
            "text" => self.words(value),
            "created" => Ok(Condition::Recorded(self.time_range(&value)?).into()),
            "occurred" => Ok(Condition::Occurred(self.time_range(&value)?).into()),
            "sequence" => self.sequence(&value),
            "has" => self.has(&value),
            _ => match Dimension::of_name(name) {
                Some(dimension) => self.dimension(dimension, value),
                None => Err(QueryError {
                    what: format!(
                        "there is no qualifier `{}`; a text with a colon stands in quotation marks",
                        shorten(name)
                    ),
                    at: name_at.clone(),
                    suggestion: closest(name, names()).map(|name| format!("{name}:")),
                }),
            },
        }
    }

    fn dimension(&self, dimension: Dimension, value: Value) -> Result<Query, QueryError> {
        match dimension {
            Dimension::Address if !value.star => self.network(&value),
            Dimension::Address => {
                Err(self.error(value.at, "an address has no star: write a network, `10.0.0.0/8`"))
            }
            Dimension::Risk => self.risk(&value),
            Dimension::Outcome if !value.star => {
                let known = Outcome::ALL.map(Outcome::as_str);
                if !known.iter().any(|name| name.eq_ignore_ascii_case(&value.text)) {
                    return Err(QueryError {
                        what: format!(
                            "`{}` is no outcome: it is `success`, `failure` or `denied`",
                            shorten(&value.text)
                        ),
                        suggestion: closest(&value.text, known),
                        at: value.at,
                    });
                }
                Ok(Query::equals(dimension, value.text))
            }
            _ if value.star && value.text.is_empty() => Ok(Condition::Has(dimension).into()),
            _ if value.star => Ok(Query::starts_with(dimension, value.text)),
            _ => Ok(Query::equals(dimension, value.text)),
        }
    }

    fn has(&self, value: &Value) -> Result<Query, QueryError> {
        match Dimension::of_name(&value.text.to_ascii_lowercase()) {
            Some(dimension) => Ok(Condition::Has(dimension).into()),
            None => Err(QueryError {
                what: format!("there is no dimension `{}`", shorten(&value.text)),
                at: value.at.clone(),
                suggestion: closest(&value.text, Dimension::ALL.map(Dimension::name)),
            }),
        }
    }

    fn network(&self, value: &Value) -> Result<Query, QueryError> {
        let address = value.text.parse::<IpAddr>().map(IpNet::from);
        match address.or_else(|_| value.text.parse::<IpNet>().map_err(drop)) {
            Ok(network) => Ok(Query::network(network.trunc())),
            Err(_) => {
                let what = format!(
                    "`{}` is no address and no network: write `10.1.2.3` or `10.0.0.0/8`",
                    shorten(&value.text)
                );
                Err(self.error(value.at.clone(), what))
            }
        }
    }

    fn risk(&self, value: &Value) -> Result<Query, QueryError> {
        let level = |text: &str| {
            let found = Risk::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text));
            found.ok_or_else(|| QueryError {
                what: format!(
                    "`{}` is no risk level: it is `low`, `medium`, `high` or `critical`",
                    shorten(text)
                ),
                at: value.at.end.saturating_sub(text.len()).max(value.at.start)..value.at.end,
                suggestion: closest(text, Risk::ALL.map(Risk::as_str)),
            })
        };
        let (from, to) = match bounds(&value.text) {
            Bounds::Exactly(text) => (level(text)?, level(text)?),
            Bounds::AtLeast(text) => (level(text)?, Risk::Critical),
            Bounds::AtMost(text) => (Risk::Low, level(text)?),
            Bounds::Above(text) => {
                match Risk::ALL.into_iter().find(|other| Some(*other) > level(text).ok()) {
                    Some(above) if level(text)? < Risk::Critical => (above, Risk::Critical),
                    _ => return Err(self.error(value.at.clone(), "no level is above `critical`")),
                }
            }
            Bounds::Below(text) => {
                let bound = level(text)?;
                match Risk::ALL.into_iter().rev().find(|other| *other < bound) {
                    Some(below) => (Risk::Low, below),
                    None => return Err(self.error(value.at.clone(), "no level is below `low`")),
                }
            }
            Bounds::Between(from, to) => (level(from)?, level(to)?),
        };
        if from > to {
            return Err(self.error(value.at.clone(), "the range ends before it begins"));
        }
        Ok(Condition::Risk(from, to).into())
    }

    fn sequence(&self, value: &Value) -> Result<Query, QueryError> {
        let number = |text: &str| {
            let what = || self.error(value.at.clone(), format!("`{}` is no place in the log", shorten(text)));
            text.parse::<u64>().map_err(|_| what())
        };
        let (from, to) = match bounds(&value.text) {
            Bounds::Exactly(text) => (number(text)?, number(text)?),
            Bounds::AtLeast(text) => (number(text)?, u64::MAX),
            Bounds::AtMost(text) => (0, number(text)?),
            Bounds::Above(text) => (number(text)?.saturating_add(1), u64::MAX),
            Bounds::Below(text) => match number(text)?.checked_sub(1) {
                Some(to) => (0, to),
                None => return Err(self.error(value.at.clone(), "no event is before the first")),
            },
            Bounds::Between(from, to) => (number(from)?, number(to)?),
        };
        if from > to {
            return Err(self.error(value.at.clone(), "the range ends before it begins"));
        }
        Ok(Condition::Sequence(from, to).into())
    }

    fn time_range(&self, value: &Value) -> Result<TimeRange, QueryError> {
        let period = |text: &str| {
            time::period(text).ok_or_else(|| {
                let what = format!(
                    "`{}` is no time: write `2025`, `2025-03`, `2025-03-07` or `2025-03-07T14:30Z`",
                    shorten(text)
                );
                self.error(value.at.clone(), what)
            })
        };
        let range = match bounds(&value.text) {
            Bounds::Exactly(text) => {
                let (from, to) = period(text)?;
                TimeRange::new(from, to)
            }
            Bounds::AtLeast(text) => TimeRange::new(period(text)?.0, None),
            Bounds::AtMost(text) => TimeRange::new(None, period(text)?.1),
            Bounds::Above(text) => TimeRange::new(period(text)?.1, None),
            Bounds::Below(text) => TimeRange::new(None, period(text)?.0),
            Bounds::Between(from, to) => {
                let (from, to) = (period(from)?.0, period(to)?.1);
                if from >= to {
                    return Err(self.error(value.at.clone(), "the range ends before it begins"));
                }
                TimeRange::new(from, to)
            }
        };
        if value.star || value.quoted && value.text.is_empty() {
            return Err(self.error(value.at.clone(), "a time has no star"));
        }
        Ok(range)
    }
}

/// How a value bounds: `x`, `>=x`, `<x`, `x..y`, `x..`, `..y`.
enum Bounds<'a> {
    Exactly(&'a str),
    AtLeast(&'a str),
    AtMost(&'a str),
    Above(&'a str),
    Below(&'a str),
    Between(&'a str, &'a str),
}

fn bounds(text: &str) -> Bounds<'_> {
    if let Some(rest) = text.strip_prefix(">=") {
        Bounds::AtLeast(rest)
    } else if let Some(rest) = text.strip_prefix("<=") {
        Bounds::AtMost(rest)
    } else if let Some(rest) = text.strip_prefix('>') {
        Bounds::Above(rest)
    } else if let Some(rest) = text.strip_prefix('<') {
        Bounds::Below(rest)
    } else {
        match text.split_once("..") {
            Some((from, "" | "*")) => Bounds::AtLeast(from),
            Some(("" | "*", to)) => Bounds::AtMost(to),
            Some((from, to)) => Bounds::Between(from, to),
            None => Bounds::Exactly(text),
        }
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    Dimension::ALL.into_iter().map(Dimension::name).chain(OTHER_NAMES)
}

/// The name that is closest to a mistyped one, when it is close.
fn closest(text: &str, names: impl IntoIterator<Item = &'static str>) -> Option<String> {
    let text: Vec<char> = text.to_lowercase().chars().take(32).collect();
    let best = names.into_iter().map(|name| (distance(&text, name), name)).min()?;
    (best.0 <= 1 + text.len() / 4).then(|| best.1.to_owned())
}

/// How many letters must be changed, added, taken away or swapped with the next.
fn distance(text: &[char], name: &str) -> usize {
    let name: Vec<char> = name.chars().collect();
    let mut rows: [Vec<usize>; 3] = [Vec::new(), Vec::new(), (0..=name.len()).collect()];
    for (i, a) in text.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in name.iter().enumerate() {
            let at = |row: &Vec<usize>, index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let [before_last, last] = [&rows[1], &rows[2]];
            let mut least = (at(last, j) + usize::from(a != b)).min(at(last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && text.get(i - 1) == Some(b) && name.get(j - 1) == Some(a);
            if swapped {
                least = least.min(at(before_last, j - 1) + 1);
            }
            row.push(least);
        }
        rows.rotate_left(1);
        rows[2] = row;
    }
    rows[2].last().copied().unwrap_or(usize::MAX)
}
