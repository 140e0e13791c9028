//! The query language of the log, and its typed form.
//!
//! ```text
//! renewal acme                       both words, anywhere in the event's text
//! "annual renewal"                   the words in this order
//! renew*                             words that begin so
//! action:user.*                      a dimension; a star at the end for values that begin so
//! actor:"ann b" country:US,DE        quotes around spaces; a comma for "one of"
//! risk:>=high                        a level and those above
//! ip:10.0.0.0/8                      a network
//! created:2025-01..2025-03           recorded in these months, UTC; `occurred:` asks the host's own time
//! meta.plan:enterprise               an entry of metadata
//! has:country                        events that have one
//! -country:US                        not; also NOT
//! (a OR b) c                         AND binds tighter than OR and needs not be written
//! ```

mod parse;
mod time;
mod write;

use std::net::IpAddr;
use std::ops::Range;

use guardian_core::Timestamp;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::dimension::Dimension;
use crate::event::Risk;

pub use parse::{MAX_DEPTH, MAX_LENGTH, MAX_NODES, MAX_WORDS};

/// What is looked for in the log.
///
/// Written by people in the [query language](self), or by code from parts; one form converts into the other.
///
/// ```
/// use guardian_audit::{Dimension, Query, Risk};
///
/// let typed: Query = "renewal action:deal.* risk:>=high -country:US".parse()?;
/// let built = Query::text("renewal")
///     .and(Query::starts_with(Dimension::Action, "deal."))
///     .and(Query::risk_at_least(Risk::High))
///     .and(Query::equals(Dimension::Country, "US").negate());
/// assert_eq!(typed, built);
///
/// let error = "acme risk:>=hihg".parse::<Query>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`hihg` is no risk level: it is `low`, `medium`, `high` or `critical`, at byte 12; did you mean `high`?"
/// );
/// # Ok::<(), guardian_audit::QueryError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Query {
    /// Every event.
    All,
    /// Events of which this holds.
    Is(Condition),
    /// Events that the query does not find.
    Not(Box<Query>),
    /// Events that each of the queries finds.
    And(Vec<Query>),
    /// Events that one of the queries finds.
    Or(Vec<Query>),
}

/// One test of an event.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Condition {
    /// The text has these words, in this order.
    Text(String),
    /// The text has these words in this order, the last of which may go on.
    TextPrefix(String),
    /// A dimension has this value.
    Equals(Dimension, String),
    /// A dimension has a value that begins so.
    StartsWith(Dimension, String),
    /// A dimension has a value.
    Has(Dimension),
    /// An entry of metadata has this value.
    Metadata(String, String),
    /// An entry of metadata has a value that begins so.
    MetadataPrefix(String, String),
    /// The address is in this network.
    Network(IpNet),
    /// The risk is between these levels, both included.
    Risk(Risk, Risk),
    /// The log took it in this time.
    Recorded(TimeRange),
    /// It happened in this time, by the host's clock.
    Occurred(TimeRange),
    /// Its place in the log is between these, both included.
    Sequence(u64, u64),
}

/// A time from a moment to another, which is no part of it; open where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeRange {
    /// The first moment in it.
    pub from: Option<Timestamp>,
    /// The first moment after it.
    pub to: Option<Timestamp>,
}

impl TimeRange {
    /// The time from one moment on, before another.
    #[must_use]
    pub fn new(from: impl Into<Option<Timestamp>>, to: impl Into<Option<Timestamp>>) -> Self {
        Self { from: from.into(), to: to.into() }
    }
}

impl Query {
    /// Events whose text has these words in this order.
    #[must_use]
    pub fn text(words: impl Into<String>) -> Self {
        Self::Is(Condition::Text(words.into()))
    }

    /// Events in which a dimension has this value, without regard to case.
    #[must_use]
    pub fn equals(dimension: Dimension, value: impl Into<String>) -> Self {
        let value = value.into();
        match dimension {
            Dimension::Address => value.parse().map_or_else(
                |_| Self::Is(Condition::Equals(dimension, value.clone())),
                |address: IpAddr| Self::Is(Condition::Network(address.into())),
            ),
            _ => Self::Is(Condition::Equals(dimension, value)),
        }
    }

    /// Events in which a dimension has a value that begins so.
    #[must_use]
    pub fn starts_with(dimension: Dimension, value: impl Into<String>) -> Self {
        Self::Is(Condition::StartsWith(dimension, value.into()))
    }

    /// Events at this level of risk or above.
    #[must_use]
    pub fn risk_at_least(level: Risk) -> Self {
        Self::Is(Condition::Risk(level, Risk::Critical))
    }

    /// Events from an address of this network.
    #[must_use]
    pub fn network(network: IpNet) -> Self {
        Self::Is(Condition::Network(network))
    }

    /// Events that the log took in this time.
    #[must_use]
    pub fn recorded(range: TimeRange) -> Self {
        Self::Is(Condition::Recorded(range))
    }

    /// Events that this and the other query find.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, one) | (one, Self::All) => one,
            (Self::And(mut all), Self::And(more)) => {
                all.extend(more);
                Self::And(all)
            }
            (Self::And(mut all), one) => {
                all.push(one);
                Self::And(all)
            }
            (one, other) => Self::And(vec![one, other]),
        }
    }

    /// Events that this or the other query finds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Or(mut all), Self::Or(more)) => {
                all.extend(more);
                Self::Or(all)
            }
            (Self::Or(mut all), one) => {
                all.push(one);
                Self::Or(all)
            }
            (one, other) => Self::Or(vec![one, other]),
        }
    }

    /// Events that this query does not find.
    #[must_use]
    pub fn negate(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }
}

impl From<Condition> for Query {
    fn from(condition: Condition) -> Self {
        Self::Is(condition)
    }
}

/// A text that is not a query: what is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}, at byte {}{}", .at.start, suggested(.suggestion.as_deref()))]
pub struct QueryError {
    pub(crate) what: String,
    pub(crate) at: Range<usize>,
    pub(crate) suggestion: Option<String>,
}

impl QueryError {
    /// The part of the query that is wrong, in bytes.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.at.clone()
    }

    /// What may have been meant.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }
}

fn suggested(suggestion: Option<&str>) -> String {
    suggestion.map(|text| format!("; did you mean `{text}`?")).unwrap_or_default()
}
