//! A query in terms of the index: what a store evaluates.

use crate::dimension::Dimension;
use crate::event::Risk;
use crate::query::{Condition, Query, TimeRange};
use crate::terms::{self, Terms, WORD};

/// A query compiled into [terms](Terms) and ranges. Stores evaluate plans; hosts write [queries](Query).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plan {
    /// Every event.
    All,
    /// No event.
    None,
    /// Events with this term.
    Term(String),
    /// Events with a term that begins so.
    Prefix(String),
    /// Events with a term between these, both included, in the order of bytes.
    Range(String, String),
    /// Events with these terms one after the other; the last one may go on when `open`.
    Phrase {
        /// The terms; at least two.
        terms: Vec<String>,
        /// Whether the last term is the beginning of one.
        open: bool,
    },
    /// Events recorded in this range of microseconds since 1970, the end not included.
    Recorded(i64, i64),
    /// Events that occurred in this range of microseconds since 1970, the end not included.
    Occurred(i64, i64),
    /// Events with a sequence between these, both included.
    Sequence(u64, u64),
    /// Events that the plan does not find.
    Not(Box<Plan>),
    /// Events that each plan finds; at least two.
    And(Vec<Plan>),
    /// Events that one of the plans finds; at least two.
    Or(Vec<Plan>),
}

/// What a plan is held against.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Candidate<'a> {
    /// The terms of the event.
    pub terms: &'a Terms,
    /// Its place in the log.
    pub sequence: u64,
    /// When the log took it, in microseconds since 1970.
    pub recorded: i64,
    /// When it happened, in microseconds since 1970.
    pub occurred: i64,
}

impl<'a> Candidate<'a> {
    /// An event to hold a plan against.
    #[must_use]
    pub fn new(terms: &'a Terms, sequence: u64, recorded: i64, occurred: i64) -> Self {
        Self { terms, sequence, recorded, occurred }
    }
}

impl Plan {
    /// Compiles a query. `blind` gives the keyed term under which a sealed value of a dimension is indexed, if that
    /// dimension is sealed.
    #[must_use]
    pub fn compile(query: &Query, blind: &dyn Fn(Dimension, &str) -> Option<String>) -> Self {
        match query {
            Query::All => Self::All,
            Query::Is(condition) => Self::of_condition(condition, blind),
            Query::Not(inner) => match Self::compile(inner, blind) {
                Self::All => Self::None,
                Self::None => Self::All,
                Self::Not(inner) => *inner,
                plan => Self::Not(Box::new(plan)),
            },
            Query::And(queries) => {
                Self::all(queries.iter().map(|query| Self::compile(query, blind)).collect())
            }
            Query::Or(queries) => {
                Self::any(queries.iter().map(|query| Self::compile(query, blind)).collect())
            }
        }
    }

    fn of_condition(condition: &Condition, blind: &dyn Fn(Dimension, &str) -> Option<String>) -> Self {
        match condition {
            Condition::Text(text) => Self::words(text, false),
            Condition::TextPrefix(text) => Self::words(text, true),
            Condition::Equals(dimension, value) => Self::any(
                dimension
                    .parts()
                    .into_iter()
                    .flat_map(|part| {
                        let plain = part.code().map(|code| terms::value_term(code, value));
                        [plain, blind(part, value)]
                    })
                    .flatten()
                    .map(Self::Term)
                    .collect(),
            ),
            Condition::StartsWith(dimension, value) => Self::any(
                dimension
                    .parts()
                    .into_iter()
                    .filter_map(|part| Some(Self::Prefix(terms::value_prefix(part.code()?, value))))
                    .collect(),
            ),
            Condition::Has(dimension) => Self::any(
                dimension
                    .parts()
                    .into_iter()
                    .filter_map(|part| Some(Self::Prefix(part.code()?.into())))
                    .collect(),
            ),
            Condition::Metadata(key, value) => Self::Term(terms::metadata_term(key, value)),
            Condition::MetadataPrefix(key, value) => {
                let mut start = terms::metadata_term(key, "");
                start.extend(value.chars().flat_map(char::to_lowercase).take(90));
                Self::Prefix(start)
            }
            Condition::Network(network) => {
                let (first, last) = (network.network(), network.broadcast());
                let plain = Self::range(terms::address_term(first), terms::address_term(last));
                // A sealed address is found by itself, not by its network.
                let sealed =
                    blind(Dimension::Address, &first.to_canonical().to_string()).filter(|_| first == last);
                Self::any([Some(plain), sealed.map(Self::Term)].into_iter().flatten().collect())
            }
            Condition::Risk(from, to) => Self::any(
                Risk::ALL
                    .into_iter()
                    .filter(|level| (from..=to).contains(&level))
                    .filter_map(|level| {
                        Some(Self::Term(terms::value_term(Dimension::Risk.code()?, level.as_str())))
                    })
                    .collect(),
            ),
            Condition::Recorded(range) => Self::time(range, Self::Recorded),
            Condition::Occurred(range) => Self::time(range, Self::Occurred),
            Condition::Sequence(from, to) if from > to || *from == u64::MAX => Self::None,
            Condition::Sequence(0, u64::MAX) => Self::All,
            Condition::Sequence(from, to) => Self::Sequence(*from, *to),
        }
    }

    fn words(text: &str, open: bool) -> Self {
        let mut terms: Vec<_> = terms::words(text).into_iter().map(|word| format!("{WORD}{word}")).collect();
        // A star after something that is no letter begins a new word: any.
        let open = open && text.chars().next_back().is_some_and(char::is_alphanumeric);
        match (terms.len(), open) {
            (0, _) => Self::None,
            (1, false) => Self::Term(terms.swap_remove(0)),
            (1, true) => Self::Prefix(terms.swap_remove(0)),
            _ => Self::Phrase { terms, open },
        }
    }

    fn range(from: String, to: String) -> Self {
        match from == to {
            true => Self::Term(from),
            false => Self::Range(from, to),
        }
    }

    fn time(range: &TimeRange, make: impl FnOnce(i64, i64) -> Self) -> Self {
        let from = range.from.map_or(i64::MIN, |time| time.timestamp_micros());
        let to = range.to.map_or(i64::MAX, |time| time.timestamp_micros());
        match (from, to) {
            (i64::MIN, i64::MAX) => Self::All,
            (from, to) if from >= to => Self::None,
            (from, to) => make(from, to),
        }
    }

    fn all(plans: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(plans.len());
        for plan in plans {
            match plan {
                Self::All => {}
                Self::None => return Self::None,
                Self::And(inner) => flat.extend(inner),
                plan => flat.push(plan),
            }
        }
        once(&mut flat);
        match flat.len() {
            0 => Self::All,
            1 => flat.swap_remove(0),
            _ => Self::And(flat),
        }
    }

    fn any(plans: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(plans.len());
        for plan in plans {
            match plan {
                Self::None => {}
                Self::All => return Self::All,
                Self::Or(inner) => flat.extend(inner),
                plan => flat.push(plan),
            }
        }
        once(&mut flat);
        match flat.len() {
            0 => Self::None,
            1 => flat.swap_remove(0),
            _ => Self::Or(flat),
        }
    }

    /// Whether the plan finds this event, told from its terms one by one: the meaning that every store's own way of
    /// finding is held against. Takes time in proportion to the plan times the terms.
    #[must_use]
    pub fn finds(&self, event: &Candidate<'_>) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Term(term) => event.terms.iter().any(|other| other == term),
            Self::Prefix(start) => event.terms.iter().any(|other| other.starts_with(start.as_str())),
            Self::Range(from, to) => {
                event.terms.iter().any(|other| (from.as_str()..=to.as_str()).contains(&other))
            }
            Self::Phrase { terms, open } => follows(event.terms, terms, *open),
            Self::Recorded(from, to) => (*from..*to).contains(&event.recorded),
            Self::Occurred(from, to) => (*from..*to).contains(&event.occurred),
            Self::Sequence(from, to) => (*from..=*to).contains(&event.sequence),
            Self::Not(plan) => !plan.finds(event),
            Self::And(plans) => plans.iter().all(|plan| plan.finds(event)),
            Self::Or(plans) => plans.iter().any(|plan| plan.finds(event)),
        }
    }
}

/// Takes out plans that are there already: asking twice takes twice the memory.
fn once(plans: &mut Vec<Plan>) {
    let mut kept: Vec<Plan> = Vec::with_capacity(plans.len());
    for plan in plans.drain(..) {
        if !kept.contains(&plan) {
            kept.push(plan);
        }
    }
    *plans = kept;
}

/// Whether the terms stand one after the other in the event.
fn follows(event: &Terms, phrase: &[String], open: bool) -> bool {
    let all: Vec<&str> = event.iter().collect();
    all.windows(phrase.len().max(1)).any(|window| {
        let last = phrase.len().saturating_sub(1);
        window.iter().zip(phrase).enumerate().all(|(index, (term, wanted))| {
            if open && index == last { term.starts_with(wanted.as_str()) } else { term == wanted }
        })
    })
}
