use std::fmt;

use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Hold, Level};

/// What was decided about a call, and why.
///
/// ```
/// # async fn example(quotas: &guardian_quota::Quotas<guardian_quota::MemoryStore>, scope: &guardian_core::Scope)
/// # -> Result<(), guardian_quota::Error> {
/// use guardian_quota::{Subject, Usage};
///
/// let decision = quotas.consume(scope, &Usage::of("api_calls", &Subject::org(), 1)?).await?;
/// if decision.is_denied() {
///     println!("{}: {}, try again at {:?}", decision.level, decision.reason, decision.resets_at);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Decision {
    /// Whether the call may go on.
    pub allowed: bool,
    /// Why.
    pub reason: Reason,
    /// The level that decided: that of a denial the outermost one that denies, else the one with the least left.
    pub level: Level,
    /// The amount that the limit of that level includes; `None` where nothing limits it.
    pub limit: Option<u64>,
    /// What was spent there in the period, this call included.
    pub used: i128,
    /// How much a next call could have there, holds and this call taken off; `None` for any amount.
    pub remaining: Option<i128>,
    /// How much of this call goes beyond the limit there.
    pub beyond: i128,
    /// When usage starts anew there; `None` for never.
    pub resets_at: Option<Timestamp>,
    /// The number of the entry in the ledger; `None` of a denial, of a check, and where nothing was spent.
    pub entry: Option<u64>,
    /// Whether the call was a repetition of one that was decided before, and changed nothing.
    pub replayed: bool,
    /// The hold, of a reservation that was allowed.
    pub hold: Option<Hold>,
}

impl Decision {
    /// Whether the call may not go on.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        !self.allowed
    }
}

/// What was written to the ledger without a decision, because nothing of the sort is ever denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Posted {
    /// The number of the entry; `None` when the amount was 0, and nothing was written.
    pub entry: Option<u64>,
    /// Whether it was there before, and nothing changed.
    pub replayed: bool,
}

impl From<Decision> for Posted {
    fn from(decision: Decision) -> Self {
        Self { entry: decision.entry, replayed: decision.replayed }
    }
}

/// Why a call was allowed or denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Allowed: within what is included and granted.
    Within,
    /// Allowed: beyond a soft limit.
    OverSoftLimit,
    /// Allowed: within the grace beyond the limit.
    Grace,
    /// Allowed: beyond the limit, to be paid for.
    Overage,
    /// Allowed: it happened before anybody could decide.
    Recorded,
    /// Denied: the limit.
    LimitReached,
    /// Denied: the grace is used up or over.
    GraceOver,
    /// Denied: the cap of what may be bought.
    CapReached,
    /// Denied: the hold had expired, and the meter refuses late commits.
    HoldExpired,
    /// Denied: more than was held, and the meter refuses that.
    ExceedsHold,
    /// Denied: the plan does not have the feature.
    NotIncluded,
}

impl Reason {
    /// The reason as text: `limit_reached`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::OverSoftLimit => "over_soft_limit",
            Self::Grace => "grace",
            Self::Overage => "overage",
            Self::Recorded => "recorded",
            Self::LimitReached => "limit_reached",
            Self::GraceOver => "grace_over",
            Self::CapReached => "cap_reached",
            Self::HoldExpired => "hold_expired",
            Self::ExceedsHold => "exceeds_hold",
            Self::NotIncluded => "not_included",
        }
    }

    /// Whether money could change a denial: a cap, a grace or an overage, or a limit of the plan. A web service answers 402
    /// to these, and 429 where waiting is enough.
    #[must_use]
    pub fn is_about_payment(self) -> bool {
        matches!(self, Self::GraceOver | Self::CapReached | Self::NotIncluded)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
