//! Limits as they are written: the same words as in a plan.

use guardian_quota::{InvalidPlan, Limit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::Problem;
use crate::api::Kind;

/// How much of a meter one subject may use.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaLimit {
    /// How many units each period includes; 0 where grants alone give any.
    #[schema(maximum = 4_611_686_018_427_387_903_u64)]
    pub(super) amount: u64,
    /// The periods; left out, months.
    #[serde(default = "month")]
    pub(super) period: QuotaCadence,
    /// What happens at the limit; left out, no unit beyond it.
    #[serde(default = "hard")]
    pub(super) at_limit: QuotaAtLimit,
    /// At how many per cent of the amount somebody is told, each once a period: 1 to 1000, rising.
    #[serde(default)]
    #[schema(max_items = 16)]
    pub(super) thresholds: Vec<u16>,
    /// What becomes of units that a period leaves unused; without it they end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rollover: Option<QuotaRollover>,
}

fn month() -> QuotaCadence {
    QuotaCadence::Month
}

fn hard() -> QuotaAtLimit {
    QuotaAtLimit::Hard
}

/// How usage is divided in time.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum QuotaCadence {
    /// Each day.
    Day,
    /// Each week.
    Week,
    /// Each month.
    Month,
    /// Each year.
    Year,
    /// One period without an end.
    Lifetime,
    /// Every so many days.
    Days(u16),
    /// Every so many months.
    Months(u16),
    /// The window of so many seconds that ends now.
    Rolling(u32),
    /// From each of these moments (RFC 3339, rising) to the next.
    Custom(Vec<String>),
}

/// What happens at a limit.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum QuotaAtLimit {
    /// Nothing is denied; thresholds tell.
    Soft,
    /// No unit beyond the limit.
    Hard,
    /// Some way beyond the limit, until the extra amount is used or the time is over.
    Grace {
        /// How many units beyond the limit; without it, any number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        extra: Option<u64>,
        /// For how many seconds; without it, to the period's end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u64>,
    },
    /// Units beyond the limit are sold.
    Overage {
        /// What they cost.
        price: QuotaPrice,
        /// How many at most; without it, any number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cap: Option<u64>,
    },
}

/// What units cost.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaPrice {
    /// The currency: three small letters of ISO 4217.
    pub(super) currency: String,
    /// The price of a package, in millionths of the currency's minor unit: a cent is 1,000,000.
    pub(super) micros: u64,
    /// How many units a package has.
    #[serde(default = "one")]
    pub(super) per: u64,
}

fn one() -> u64 {
    1
}

/// What becomes of units that a period leaves unused: a grant of the next one.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaRollover {
    /// How many of them at most.
    pub(super) most: u64,
    /// For how many periods that grant lives.
    #[schema(minimum = 1, maximum = 12)]
    pub(super) periods: u8,
}

impl QuotaLimit {
    pub(super) fn tell(limit: &Limit) -> Result<Self, Problem> {
        let unwritten = |_| Kind::Internal.because("a limit could not be written");
        serde_json::to_value(limit).and_then(serde_json::from_value).map_err(unwritten)
    }

    /// As the service takes it. What is out of range the service says.
    pub(super) fn read(&self) -> Result<Limit, Problem> {
        let unread = |error| Kind::InvalidRequest.because(format_args!("the limit: {error}"));
        serde_json::to_value(self).and_then(serde_json::from_value).map_err(unread)
    }
}

pub(super) fn invalid(error: &InvalidPlan) -> Problem {
    Kind::InvalidRequest.because(error)
}

pub(super) fn example() -> Value {
    json!({"amount": 2_000_000, "period": "month", "at_limit": "hard", "thresholds": [80, 100]})
}
