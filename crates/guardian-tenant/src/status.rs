use std::fmt;
use std::time::Duration;

use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::InvalidTransition;

/// Where a tenant is in its life.
///
/// ```text
///            suspend                delete                  purge, once the grace has passed
///  active ─────────────▶ suspended ────────▶ deleting ─────────────────────────────────────▶ purged
///    ▲ ◀─────────────────── │ ▲                │ ▲
///    │        resume        │ └── undelete ────┘ │
///    └───────────────────── │ ──── undelete ─────┘ (back to what it was)
///                           └── delete also from active
/// ```
///
/// ```
/// use std::time::Duration;
/// use guardian_core::{Clock, ManualClock};
/// use guardian_tenant::{Status, Transition};
///
/// let now = ManualClock::new().now();
/// let deleting = Status::Active.after(&Transition::Delete { grace: Duration::from_secs(60) }, now)?;
/// assert_eq!(deleting.name(), "deleting");
///
/// let early = deleting.after(&Transition::Purge, now).unwrap_err();
/// assert_eq!(early.to_string(), "it may be purged from `2020-01-01T00:01:00Z` on, now is `2020-01-01T00:00:00Z`");
/// # Ok::<(), guardian_tenant::InvalidTransition>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// It works.
    Active,
    /// It was stopped and keeps its data; it can be resumed or deleted.
    Suspended(Suspension),
    /// It is on its way out: nobody works in it, and until `purge_after` it can be brought back.
    Deleting(Deletion),
    /// It is gone. What remains is its id, so that no other tenant ever gets it.
    Purged {
        /// Since when.
        since: Timestamp,
    },
}

/// Why and since when a tenant is suspended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Suspension {
    /// Since when.
    pub since: Timestamp,
    /// Why, in the operator's words. The tenant itself does not read it.
    pub reason: String,
}

/// The grace period of a tenant that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deletion {
    /// When the deletion was asked for.
    pub since: Timestamp,
    /// The first moment at which it can be purged, and the first at which it can no longer be brought back.
    pub purge_after: Timestamp,
    /// What it goes back to when it is brought back: the suspension that it had, or nothing when it was active.
    pub suspension: Option<Suspension>,
}

/// A step in a tenant's life.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transition {
    /// Stop it, with the reason.
    Suspend {
        /// Why, in the operator's words.
        reason: String,
    },
    /// Let it work again.
    Resume,
    /// Begin the grace period.
    Delete {
        /// How long it can still be brought back; zero means that it can be purged at once.
        grace: Duration,
    },
    /// Bring it back within the grace period.
    Undelete,
    /// Make an end of it after the grace period.
    Purge,
}

impl Status {
    /// The status after this step, taken at `now`.
    ///
    /// # Errors
    /// When the step does not lead away from this status, or comes before or after its time; the error says which.
    pub fn after(&self, step: &Transition, now: Timestamp) -> Result<Self, InvalidTransition> {
        match (self, step) {
            (Self::Active, Transition::Suspend { reason }) => {
                Ok(Self::Suspended(Suspension { since: now, reason: reason.clone() }))
            }
            (Self::Suspended(_), Transition::Resume) => Ok(Self::Active),
            (Self::Active, Transition::Delete { grace }) => deleting(None, *grace, now),
            (Self::Suspended(suspension), Transition::Delete { grace }) => {
                deleting(Some(suspension.clone()), *grace, now)
            }
            (Self::Deleting(deletion), Transition::Undelete) if now < deletion.purge_after => {
                Ok(deletion.suspension.clone().map_or(Self::Active, Self::Suspended))
            }
            (Self::Deleting(deletion), Transition::Undelete) => {
                Err(InvalidTransition::TooLate { until: deletion.purge_after, now })
            }
            (Self::Deleting(deletion), Transition::Purge) if now >= deletion.purge_after => {
                Ok(Self::Purged { since: now })
            }
            (Self::Deleting(deletion), Transition::Purge) => {
                Err(InvalidTransition::TooEarly { from: deletion.purge_after, now })
            }
            (status, step) => Err(InvalidTransition::NoSuchStep { status: status.name(), step: step.name() }),
        }
    }

    /// The status in a word: `active`, `suspended`, `deleting` or `purged`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended(_) => "suspended",
            Self::Deleting(_) => "deleting",
            Self::Purged { .. } => "purged",
        }
    }

    /// Whether its users may work: only in an active tenant.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self, Self::Active)
    }

    /// From when on it can be purged, if it is being deleted.
    #[must_use]
    pub fn purge_after(&self) -> Option<Timestamp> {
        match self {
            Self::Deleting(deletion) => Some(deletion.purge_after),
            _ => None,
        }
    }
}

fn deleting(
    suspension: Option<Suspension>,
    grace: Duration,
    now: Timestamp,
) -> Result<Status, InvalidTransition> {
    let purge_after = chrono::TimeDelta::from_std(grace)
        .ok()
        .and_then(|grace| now.checked_add_signed(grace))
        // Both databases keep years of four digits without a fuss.
        .filter(|end| chrono::Datelike::year(end) <= 9999)
        .ok_or(InvalidTransition::GraceTooLong { grace })?;
    Ok(Status::Deleting(Deletion { since: now, purge_after, suspension }))
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Transition {
    /// The step in a word: `suspend`, `resume`, `delete`, `undelete` or `purge`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Suspend { .. } => "suspend",
            Self::Resume => "resume",
            Self::Delete { .. } => "delete",
            Self::Undelete => "undelete",
            Self::Purge => "purge",
        }
    }

    /// The name of the event that tells of it.
    pub(crate) fn event(&self) -> &'static str {
        match self {
            Self::Suspend { .. } => "tenant.suspended",
            Self::Resume => "tenant.resumed",
            Self::Delete { .. } => "tenant.deletion_started",
            Self::Undelete => "tenant.undeleted",
            Self::Purge => "tenant.purged",
        }
    }
}
