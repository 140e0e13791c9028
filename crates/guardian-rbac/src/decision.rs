use std::fmt;

use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::GrantId;
use crate::window::seconds;

/// How new a policy is: 0 when nothing was ever written, one more with each write. A token to demand "at least as new as"
/// with.
///
/// ```
/// use guardian_rbac::Revision;
///
/// let token: Revision = "41".parse().unwrap();
/// assert!(Revision::new(42) > token);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(i64);

impl Revision {
    /// This many writes.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// How many writes.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Revision {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
#[non_exhaustive]
pub enum Outcome {
    /// A rule gives it, and none takes it.
    Allow,
    /// A rule takes it, whatever others give.
    Forbidden,
    /// No rule gives it.
    NotPermitted,
    /// No rule gives it now. The last that did was over at this time.
    Expired {
        /// When.
        at: Timestamp,
    },
    /// No rule gives it now. The first that will opens at this time.
    NotYetActive {
        /// When.
        at: Timestamp,
    },
}

impl Outcome {
    /// Whether it may be done.
    #[must_use]
    pub fn is_allowed(self) -> bool {
        self == Self::Allow
    }

    /// The name of the case: `allow`, `forbidden`, `not_permitted`, `expired`, `not_yet_active`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Forbidden => "forbidden",
            Self::NotPermitted => "not_permitted",
            Self::Expired { .. } => "expired",
            Self::NotYetActive { .. } => "not_yet_active",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("allowed"),
            Self::Forbidden => f.write_str("forbidden"),
            Self::NotPermitted => f.write_str("not permitted"),
            Self::Expired { at } => write!(f, "not permitted any more since {}", seconds(*at)),
            Self::NotYetActive { at } => write!(f, "not permitted before {}", seconds(*at)),
        }
    }
}

/// An [`Outcome`] and what it rests on.
///
/// Where several cases are true, the first of this order is told: a rule that takes (`Forbidden`), one that gives
/// (`Allow`), one that will (`NotYetActive`), one that did (`Expired`), none (`NotPermitted`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[must_use]
pub struct Decision {
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    pub(crate) grant: Option<GrantId>,
    pub(crate) revision: Revision,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) emergency: bool,
}

impl Decision {
    /// The answer.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether it may be done.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.outcome.is_allowed()
    }

    /// The grant whose role gives it, or takes it.
    #[must_use]
    pub fn grant(&self) -> Option<GrantId> {
        self.grant
    }

    /// Whether it rests on a grant that was taken in an emergency.
    #[must_use]
    pub fn is_emergency(&self) -> bool {
        self.emergency
    }

    /// How new the policy was.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }
}
