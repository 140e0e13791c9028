//! What calls take and answer.

use guardian_core::Timestamp;
use guardian_quota::{Decision, Hold, Posted};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was decided. A denial is an answer and no failure: nothing was spent then.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api::quota) struct QuotaDecision {
    /// Whether it is allowed.
    pub(super) allowed: bool,
    /// Why: `within`, `over_soft_limit`, `grace`, `overage`, `recorded`, `limit_reached`, `grace_over`, `cap_reached`,
    /// `hold_expired`, `exceeds_hold` or `not_included`.
    pub(super) reason: &'static str,
    /// Which level decided: `org`, `team`, `user` or `key`.
    pub(super) level: &'static str,
    /// What a period includes at that level; null where nothing limits it.
    pub(super) limit: Option<u64>,
    /// What was spent at that level.
    pub(super) used: i128,
    /// What is left at that level; null for any amount.
    pub(super) remaining: Option<i128>,
    /// How much of this call went beyond the limit.
    pub(super) beyond: i128,
    /// When usage at that level starts anew; null for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) resets_at: Option<Timestamp>,
    /// The number of the entry that was written; null when none was.
    pub(super) entry: Option<u64>,
    /// Whether it was decided before, for the same key.
    pub(super) replayed: bool,
    /// The hold, of a reservation that is allowed.
    pub(super) hold: Option<QuotaHold>,
}

/// Units that are held. Whoever commits or releases it names all of it again.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api::quota) struct QuotaHold {
    /// Its id.
    #[schema(format = "uuid")]
    pub(super) id: String,
    /// The feature.
    pub(super) feature: String,
    /// Whose.
    pub(super) subject: String,
    /// How much.
    pub(super) amount: u64,
    /// When it ends by itself.
    #[schema(value_type = String, format = DateTime)]
    pub(super) expires: Timestamp,
}

/// What was written.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api::quota) struct QuotaPosted {
    /// The number of the entry; null when none was written.
    pub(super) entry: Option<u64>,
    /// Whether it was written before, for the same key.
    pub(super) replayed: bool,
}

/// What is used.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api::quota) struct NewQuotaUsage {
    /// Who uses it: `org`, or a path below it.
    #[serde(default = "org")]
    #[schema(max_length = 512)]
    pub(in crate::api::quota) subject: String,
    /// How much, 0 to 2^62 - 1.
    #[schema(maximum = 4_611_686_018_427_387_903_u64)]
    pub(in crate::api::quota) amount: u64,
    /// The value, of features that count different values; of no others.
    #[schema(max_length = 1024)]
    pub(in crate::api::quota) value: Option<String>,
}

fn org() -> String {
    "org".to_owned()
}

/// What was used already.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PastQuotaUsage {
    /// Who used it: `org`, or a path below it.
    #[serde(default = "org")]
    #[schema(max_length = 512)]
    pub(super) subject: String,
    /// How much, 0 to 2^62 - 1.
    #[schema(maximum = 4_611_686_018_427_387_903_u64)]
    pub(super) amount: u64,
    /// The value, of features that count different values; of no others.
    #[schema(max_length = 1024)]
    pub(super) value: Option<String>,
    /// When it happened: at most five minutes from now.
    #[schema(value_type = String, format = DateTime)]
    pub(super) at: Timestamp,
}

/// What is to be held, and for how long.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewQuotaHold {
    /// Who: `org`, or a path below it.
    #[serde(default = "org")]
    #[schema(max_length = 512)]
    pub(super) subject: String,
    /// How much, 1 to 2^62 - 1.
    #[schema(minimum = 1, maximum = 4_611_686_018_427_387_903_u64)]
    pub(super) amount: u64,
    /// For how many seconds, 30 days at most.
    #[schema(minimum = 1, maximum = 2_592_000)]
    pub(super) seconds: u64,
}

/// A hold, and what was used of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaHoldCommit {
    /// The hold's `subject`.
    #[serde(default = "org")]
    #[schema(max_length = 512)]
    pub(super) subject: String,
    /// The hold's `expires`.
    #[schema(value_type = String, format = DateTime)]
    pub(super) expires: Timestamp,
    /// What was used: that is spent, and the rest is free again.
    #[schema(maximum = 4_611_686_018_427_387_903_u64)]
    pub(super) amount: u64,
}

/// A hold, and how long it shall last.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaHoldExtension {
    /// The hold's `subject`.
    #[serde(default = "org")]
    #[schema(max_length = 512)]
    pub(super) subject: String,
    /// For how many seconds from now, 30 days at most; never shorter than it does.
    #[schema(minimum = 1, maximum = 2_592_000)]
    pub(super) seconds: u64,
}

/// A hold that is given up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaHoldRelease {
    /// The hold's `subject`.
    #[serde(default = "org")]
    #[schema(max_length = 512)]
    pub(super) subject: String,
    /// The hold's `expires`.
    #[schema(value_type = String, format = DateTime)]
    pub(super) expires: Timestamp,
}

/// How long a hold lasts now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuotaHoldEnd {
    /// When it ends by itself.
    #[schema(value_type = String, format = DateTime)]
    pub(super) expires: Timestamp,
}

impl From<Decision> for QuotaDecision {
    fn from(decision: Decision) -> Self {
        Self {
            allowed: decision.allowed,
            reason: decision.reason.as_str(),
            level: decision.level.as_str(),
            limit: decision.limit,
            used: decision.used,
            remaining: decision.remaining,
            beyond: decision.beyond,
            resets_at: decision.resets_at,
            entry: decision.entry,
            replayed: decision.replayed,
            hold: decision.hold.as_ref().map(QuotaHold::from),
        }
    }
}

impl From<&Hold> for QuotaHold {
    fn from(hold: &Hold) -> Self {
        Self {
            id: hold.id.to_string(),
            feature: hold.feature.to_string(),
            subject: hold.subject.to_string(),
            amount: hold.amount,
            expires: hold.expires,
        }
    }
}

impl From<Posted> for QuotaPosted {
    fn from(posted: Posted) -> Self {
        Self { entry: posted.entry, replayed: posted.replayed }
    }
}
