//! What operators send.

use guardian_core::Timestamp;
use guardian_quota::Proration;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::limit::QuotaLimit;

/// A tenant's first subscription.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewQuotaSubscription {
    /// The name of the plan.
    #[schema(max_length = 64)]
    pub(super) plan: String,
    /// Where periods are counted from; now when nothing is said.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) anchor: Option<Timestamp>,
    /// The IANA time zone on whose clocks periods begin; `UTC` when nothing is said.
    #[schema(max_length = 64)]
    pub(super) zone: Option<String>,
}

/// Limits of single subjects.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaLimitChanges {
    /// The limits.
    #[schema(min_items = 1, max_items = 1000)]
    pub(super) limits: Vec<QuotaLimitChange>,
}

/// A limit of one subject.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaLimitChange {
    /// The name of the feature.
    #[schema(max_length = 64)]
    pub(super) feature: String,
    /// Whose limit it is: `org`, `team:sales`, `user:ann`.
    #[schema(max_length = 256)]
    pub(super) subject: String,
    /// The limit; null for the plan's.
    pub(super) limit: Option<QuotaLimit>,
}

/// A move to another plan.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaPlanChange {
    /// The name of the new plan.
    #[schema(max_length = 64)]
    pub(super) plan: String,
    /// What it means for the period that runs; `immediate` when nothing is said.
    #[serde(default)]
    pub(super) proration: QuotaProration,
}

/// What a change of plan means for the period that runs.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum QuotaProration {
    /// The new amounts hold at once.
    #[default]
    Immediate,
    /// Old and new amounts in proportion to the time.
    ByTime,
    /// A new period begins.
    Restart,
    /// The old amounts hold to the period's end.
    NextPeriod,
}

impl From<QuotaProration> for Proration {
    fn from(how: QuotaProration) -> Self {
        match how {
            QuotaProration::Immediate => Self::Immediate,
            QuotaProration::ByTime => Self::ByTime,
            QuotaProration::Restart => Self::Restart,
            QuotaProration::NextPeriod => Self::NextPeriod,
        }
    }
}

/// Units besides what the plan includes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewQuotaGrant {
    /// Whose: `org`, or a path below it.
    #[serde(default = "org")]
    #[schema(max_length = 512)]
    pub(super) subject: String,
    /// How many units.
    #[schema(minimum = 1, maximum = 4_611_686_018_427_387_903_u64)]
    pub(super) amount: u64,
    /// Your own id of it: a repetition with it changes nothing.
    #[schema(format = "uuid")]
    pub(super) id: Option<String>,
    /// Which is used first: the least. What the plan includes has 100; 200 when nothing is said.
    pub(super) priority: Option<u8>,
    /// From when on it can be used; at once when nothing is said.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) starts: Option<Timestamp>,
    /// Until when; for ever when nothing is said.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) expires: Option<Timestamp>,
}

fn org() -> String {
    "org".to_owned()
}

/// A correction of what was spent in the present period.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaAdjustment {
    /// Whose: `org`, or a path below it.
    #[serde(default = "org")]
    #[schema(max_length = 512)]
    pub(super) subject: String,
    /// How much more was spent, or less when it is negative.
    #[schema(minimum = -4_611_686_018_427_387_903_i64, maximum = 4_611_686_018_427_387_903_i64)]
    pub(super) amount: i64,
}

/// Whose spending is set to nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaReset {
    /// Whose: `org`, or a path below it.
    #[serde(default = "org")]
    #[schema(max_length = 512)]
    pub(super) subject: String,
}
