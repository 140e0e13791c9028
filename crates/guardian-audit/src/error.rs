use std::ops::Range;

use guardian_core::{InvalidCursor, StoreError, shorten};

use crate::checkpoint::NotaryError;
use crate::lifecycle::Subject;
use crate::query::QueryError;

/// Why the log did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An event that the log does not take.
    #[error(transparent)]
    InvalidEvent(#[from] InvalidEvent),
    /// A query that is not one.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A text that is not a cursor.
    #[error(transparent)]
    InvalidCursor(#[from] InvalidCursor),
    /// The cursor was made for another tenant or another query, or it was altered.
    #[error("the cursor does not belong to this search: begin again without one")]
    ForeignCursor,
    /// What is stored is not what the log writes.
    #[error("event {sequence} of the log cannot be read")]
    Corrupt {
        /// The event's place in the tenant's log.
        sequence: u64,
        /// What is wrong with it.
        #[source]
        source: Malformed,
    },
    /// A legal hold keeps events of the person.
    #[error("`{subject}` cannot be erased: the hold `{hold}` keeps their events")]
    Held {
        /// The person.
        subject: Subject,
        /// The name of the hold.
        hold: String,
    },
    /// A hold was placed while a person whose events it is to keep was being forgotten.
    #[error(
        "the hold `{hold}` is placed, but `{subject}` is being erased: what it keeps of them may be unreadable"
    )]
    Erasing {
        /// The person.
        subject: Subject,
        /// The name of the hold.
        hold: String,
    },
    /// What an export is written to does not take it.
    #[error("the export could not be written")]
    Export(#[source] std::io::Error),
    /// No checkpoint was made.
    #[error("no checkpoint was made")]
    Checkpoint(#[from] NotaryError),
    /// The store failed.
    #[error("the audit log is not reachable")]
    Store(#[from] StoreError),
}

/// An event that the log does not take; says which field, its value and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {field} `{input}`: {why}")]
pub struct InvalidEvent {
    field: &'static str,
    input: String,
    why: String,
}

impl InvalidEvent {
    pub(crate) fn new(field: &'static str, input: &str, why: impl Into<String>) -> Self {
        Self { field, input: shorten(input), why: why.into() }
    }

    /// The name of the field.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }
}

/// Bytes that are not an event in its canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Malformed {
    why: String,
}

impl Malformed {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

/// The part of `text` at `range`, for an error.
pub(crate) fn excerpt(text: &str, range: &Range<usize>) -> String {
    shorten(text.get(range.clone()).unwrap_or_default())
}
