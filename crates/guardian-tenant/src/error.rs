use std::time::Duration;

use chrono::SecondsFormat;
use guardian_core::{InvalidCursor, StoreError, TenantId, Timestamp, shorten};

use crate::Version;

/// Why the registry did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tenant with this id exists, or existed: an id is never given twice.
    #[error("the tenant `{tenant}` exists already, or did: an id is never given twice")]
    Exists {
        /// The id.
        tenant: TenantId,
    },
    /// No tenant has this id.
    #[error("there is no tenant `{tenant}`")]
    NotFound {
        /// The id.
        tenant: TenantId,
    },
    /// Somebody changed the tenant since it was read.
    #[error("the tenant `{tenant}` is at version {actual}, not {expected}: read it again and decide anew")]
    Conflict {
        /// The tenant.
        tenant: TenantId,
        /// The version that the caller had read.
        expected: Version,
        /// The version it has now.
        actual: Version,
    },
    /// The step is not possible where the tenant is in its life.
    #[error("cannot {step} the tenant `{tenant}`")]
    Transition {
        /// The tenant.
        tenant: TenantId,
        /// The step.
        step: &'static str,
        /// Why not.
        #[source]
        source: InvalidTransition,
    },
    /// A tenant that is being deleted, or is gone, keeps what it has.
    #[error("the tenant `{tenant}` is {status} and cannot be changed: bring it back first")]
    NotChangeable {
        /// The tenant.
        tenant: TenantId,
        /// What it is.
        status: &'static str,
    },
    /// A text or a document that does not do.
    #[error(transparent)]
    InvalidField(#[from] InvalidField),
    /// The cursor is not one of this list.
    #[error("the cursor does not belong to this list: begin again without one")]
    ForeignCursor,
    /// A text that is not a cursor.
    #[error(transparent)]
    InvalidCursor(#[from] InvalidCursor),
    /// What the host does to purge a tenant's data failed; the tenant is still being deleted.
    #[error("the data of the tenant `{tenant}` could not be purged")]
    Purge {
        /// The tenant.
        tenant: TenantId,
        /// What failed.
        #[source]
        source: StoreError,
    },
    /// The store failed.
    #[error("the tenant registry is not reachable")]
    Store(#[from] StoreError),
}

/// Why a step in a tenant's life is not possible now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTransition {
    /// The step does not lead away from this status.
    #[error("one that is {status} cannot be the subject of `{step}`")]
    NoSuchStep {
        /// What it is.
        status: &'static str,
        /// The step.
        step: &'static str,
    },
    /// The grace period is not over.
    #[error("it may be purged from `{}` on, now is `{}`", seconds(.from), seconds(.now))]
    TooEarly {
        /// When it is over.
        from: Timestamp,
        /// The time of the step.
        now: Timestamp,
    },
    /// The grace period is over.
    #[error("it could be brought back until `{}`, now is `{}`", seconds(.until), seconds(.now))]
    TooLate {
        /// When it was over.
        until: Timestamp,
        /// The time of the step.
        now: Timestamp,
    },
    /// The grace period would end beyond the year 9999.
    #[error("a grace period of {} seconds ends beyond the year 9999", .grace.as_secs())]
    GraceTooLong {
        /// The grace period.
        grace: Duration,
    },
}

fn seconds(time: &Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A field whose value does not do; says which field, the value and why.
///
/// ```
/// let error = "Gold!".parse::<guardian_tenant::Plan>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "invalid plan `Gold!`: the character `G` at byte 0 is not one of `a-z 0-9 . _ -`",
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {field} `{input}`: {why}")]
pub struct InvalidField {
    field: &'static str,
    input: String,
    why: String,
}

impl InvalidField {
    pub(crate) fn new(field: &'static str, input: &str, why: impl Into<String>) -> Self {
        Self { field, input: shorten(input), why: why.into() }
    }

    /// Which field.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }
}
