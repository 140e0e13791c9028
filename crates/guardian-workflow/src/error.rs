use guardian_core::{StoreError, StoreErrorKind};
use uuid::Uuid;

use crate::definition::{InvalidName, InvalidSpan, NodeId};
use crate::validate::Report;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that is no definition.
    #[error("the definition cannot be read: {why}")]
    Definition {
        /// What is wrong with it.
        why: String,
    },
    /// A definition that makes no sense; the report says what and where.
    #[error("the definition has {} {}: {}", .report.errors().count(), if .report.errors().count() == 1 { "fault" } else { "faults" }, .report.first())]
    Invalid {
        /// All findings.
        report: Box<Report>,
    },
    /// A text that is no content hash.
    #[error("invalid content hash `{input}`: it is 64 lower-case hexadecimal digits")]
    Hash {
        /// The text.
        input: String,
    },
    /// A name that does not do.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A length of time that does not do.
    #[error(transparent)]
    Span(#[from] InvalidSpan),
    /// There is no such workflow.
    #[error("there is no workflow `{name}`")]
    NoWorkflow {
        /// Its name.
        name: String,
    },
    /// There is no such version.
    #[error("the workflow `{name}` has no version `{version}`")]
    NoVersion {
        /// The workflow.
        name: String,
        /// The version or channel.
        version: String,
    },
    /// No version of the workflow is published.
    #[error("the workflow `{name}` has no published version: `Library::publish` one first")]
    NotPublished {
        /// The workflow.
        name: String,
    },
    /// The workflow is archived: no further run begins.
    #[error("the workflow `{name}` is archived: `Library::archive` it no more, and runs begin again")]
    Archived {
        /// The workflow.
        name: String,
    },
    /// A key that began a run before, with another input.
    #[error("the key `{key}` began the run `{run}` before, with another input")]
    Reused {
        /// The key.
        key: String,
        /// That run.
        run: Uuid,
    },
    /// Somebody changed the workflow since the caller read it.
    #[error(
        "the workflow `{name}` is at revision {actual}, and the change is based on {wanted}: read it again"
    )]
    Changed {
        /// The workflow.
        name: String,
        /// The revision that it has; 0 where there is none.
        actual: u64,
        /// The one that the change is based on.
        wanted: u64,
    },
    /// Somebody else changed the workflow since it was read.
    #[error("the workflow `{name}` is at version {actual}, not {expected}: read it again, or merge")]
    Conflict {
        /// The workflow.
        name: String,
        /// The version that the caller started from.
        expected: u64,
        /// The version that it has.
        actual: u64,
    },
    /// The path of a webhook is another workflow's.
    #[error("the path `{path}` is the webhook of another workflow")]
    PathTaken {
        /// The path.
        path: String,
    },
    /// There is no such run.
    #[error("there is no run `{run}`")]
    NoRun {
        /// The run.
        run: Uuid,
    },
    /// The run is not in a state in which this can be done.
    #[error("the run `{run}` is {status}: {why}")]
    RunState {
        /// The run.
        run: Uuid,
        /// What it is.
        status: String,
        /// Why that is in the way.
        why: String,
    },
    /// A run cannot be moved to another version.
    #[error("the run `{run}` cannot go on in version {version}: {why}")]
    Migration {
        /// The run.
        run: Uuid,
        /// The version.
        version: u64,
        /// Why not.
        why: String,
    },
    /// An input that does not fit the workflow's schema.
    #[error("the input does not fit: {why}")]
    Input {
        /// What does not fit.
        why: String,
    },
    /// There is no such node.
    #[error("there is no node `{node}`")]
    NoNode {
        /// The node.
        node: NodeId,
    },
    /// A diff that does not fit what it is applied to.
    #[error("the change cannot be made: {why}")]
    Change {
        /// What does not fit.
        why: String,
    },
    /// A patch of RFC 6902 that is faulty or does not fit.
    #[error("the patch cannot be applied: operation {index}: {why}")]
    Patch {
        /// Which of its operations, from 0.
        index: usize,
        /// What is wrong.
        why: String,
    },
    /// A document of another format that cannot be read.
    #[error("the {format} document cannot be read: {why}")]
    Import {
        /// The format.
        format: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A bundle that cannot be trusted or read.
    #[error("the bundle cannot be used: {why}")]
    Bundle {
        /// What is wrong.
        why: String,
    },
    /// The store failed.
    #[error("the workflow store failed")]
    Store(#[from] StoreError),
}

impl Error {
    pub(crate) fn definition(why: impl Into<String>) -> Self {
        Self::Definition { why: why.into() }
    }

    /// Whether the store failed, and not one thing in it that cannot be understood: that is the fault of whose it is, and
    /// nobody else's.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Store(error) if error.kind() != StoreErrorKind::Corrupt)
    }

    pub(crate) fn change(why: impl Into<String>) -> Self {
        Self::Change { why: why.into() }
    }
}

/// JSON as it may be shown to people: bounded, quotes and backslashes as they are there, other control characters escaped.
pub(crate) fn shorten_json(value: &serde_json::Value) -> String {
    const SHOWN: usize = 80;
    let text = value.to_string();
    let mut shown = String::new();
    for c in text.chars().take(SHOWN) {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            other => shown.extend(other.escape_debug()),
        }
    }
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
