//! Writes a query in its language.

use std::fmt;

use chrono::{SecondsFormat, TimeDelta};
use guardian_core::Timestamp;

use super::{Condition, Query, TimeRange};
use crate::event::Risk;

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Or(queries) if queries.is_empty() => f.write_str(NOTHING),
            Self::Not(inner) if matches!(**inner, Self::All) => f.write_str(NOTHING),
            Self::Is(condition) => condition.fmt(f),
            Self::Not(inner) => match inner.as_ref() {
                Self::And(_) | Self::Or(_) => write!(f, "-({inner})"),
                inner => write!(f, "-{inner}"),
            },
            Self::And(queries) => list(f, queries, " ", |query| matches!(query, Self::And(_) | Self::Or(_))),
            Self::Or(queries) => list(f, queries, " OR ", |query| matches!(query, Self::Or(_))),
        }
    }
}

/// Finds nothing: no log has this place. What finds nothing must not read back as what finds everything.
const NOTHING: &str = "sequence:18446744073709551615";

impl From<Query> for String {
    fn from(query: Query) -> Self {
        query.to_string()
    }
}

fn list(
    f: &mut fmt::Formatter<'_>,
    queries: &[Query],
    between: &str,
    group: impl Fn(&Query) -> bool,
) -> fmt::Result {
    for (index, query) in queries.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        match group(query) {
            true => write!(f, "({query})")?,
            false => write!(f, "{query}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(words) | Self::TextPrefix(words) if crate::terms::words(words).is_empty() => {
                f.write_str(NOTHING)
            }
            Self::Text(words) => write!(f, "{}", Word(words)),
            Self::TextPrefix(words) => write!(f, "{}*", Word(words)),
            Self::Equals(dimension, value) => write!(f, "{dimension}:{}", Text(value)),
            Self::StartsWith(dimension, value) => write!(f, "{dimension}:{}*", Text(value)),
            Self::Has(dimension) => write!(f, "has:{dimension}"),
            Self::Metadata(key, value) => write!(f, "meta.{}:{}", Text(key), Text(value)),
            Self::MetadataPrefix(key, value) => write!(f, "meta.{}:{}*", Text(key), Text(value)),
            Self::Network(network) => write!(f, "ip:{network}"),
            Self::Risk(from, to) if from == to => write!(f, "risk:{from}"),
            Self::Risk(from, Risk::Critical) => write!(f, "risk:>={from}"),
            Self::Risk(from, to) => write!(f, "risk:{from}..{to}"),
            Self::Recorded(range) => time(f, "created", range),
            Self::Occurred(range) => time(f, "occurred", range),
            Self::Sequence(from, to) if from == to => write!(f, "sequence:{from}"),
            Self::Sequence(from, u64::MAX) => write!(f, "sequence:>={from}"),
            Self::Sequence(from, to) => write!(f, "sequence:{from}..{to}"),
        }
    }
}

/// A range that is open on both sides holds of every event that has a time: all.
fn time(f: &mut fmt::Formatter<'_>, name: &str, range: &TimeRange) -> fmt::Result {
    match (range.from, range.to) {
        // What is written after the dots is part of the range.
        (Some(from), Some(to)) => {
            write!(f, "{name}:{}..{}", moment(from), moment(to - TimeDelta::microseconds(1)))
        }
        (Some(from), None) => write!(f, "{name}:>={}", moment(from)),
        (None, Some(to)) => write!(f, "{name}:<{}", moment(to)),
        (None, None) => write!(f, "{name}:>=0000"),
    }
}

fn moment(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A text that may stand by itself: not a keyword, nor with a sign that means something.
struct Word<'a>(&'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "AND" | "OR" | "NOT" => write!(f, "\"{}\"", self.0),
            text => Text(text).fmt(f),
        }
    }
}

/// A value, in quotes where it needs them.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '@' | '/');
        if !self.0.is_empty() && self.0.chars().all(plain) {
            return f.write_str(self.0);
        }
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}
