use serde::{Deserialize, Serialize};

use crate::{Cadence, InvalidPlan, Price};

/// The largest amount of one call, one limit or one grant: 2⁶² − 1. Sums of them are `i128`.
pub const MAX_AMOUNT: u64 = (1 << 62) - 1;

/// How events become usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Aggregation {
    /// The number of events; a call's amount is how many.
    Count,
    /// The sum of the amounts.
    Sum,
    /// The largest amount of the period: a peak.
    Max,
    /// How many different values there are in the period: active users, devices. At most
    /// [`Self::MAX_UNIQUE`] a period and subject.
    Unique,
    /// The amount that was reported last, which outlives periods: stored bytes, records.
    Latest,
}

impl Aggregation {
    /// The most different values of [`Self::Unique`].
    pub const MAX_UNIQUE: u64 = 10_000;

    /// Whether amounts add up, so that they can be reserved, adjusted and reset.
    #[must_use]
    pub const fn adds_up(self) -> bool {
        matches!(self, Self::Count | Self::Sum)
    }
}

/// What happens at the limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AtLimit {
    /// Nothing is denied; thresholds tell.
    Soft,
    /// No unit beyond the limit.
    Hard,
    /// Some way beyond the limit, until the extra amount is used or the time is over, whichever comes first. The time runs
    /// from the first unit beyond the limit in a period.
    Grace {
        /// How many units beyond the limit; without it, any number.
        #[serde(skip_serializing_if = "Option::is_none")]
        extra: Option<u64>,
        /// For how many seconds; without it, to the period's end.
        #[serde(skip_serializing_if = "Option::is_none")]
        seconds: Option<u64>,
    },
    /// Units beyond the limit are sold.
    Overage {
        /// What they cost.
        price: Price,
        /// How many at most; without it, any number.
        #[serde(skip_serializing_if = "Option::is_none")]
        cap: Option<u64>,
    },
}

/// How much of a meter one subject may use.
///
/// ```
/// use guardian_quota::{AtLimit, Limit};
///
/// let limit: Limit = serde_json::from_str(r#"{"amount": 1000, "period": "month", "at_limit": "hard", "thresholds": [80, 100]}"#)?;
/// assert_eq!((limit.amount, limit.at_limit), (1000, AtLimit::Hard));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plan is written by hand, in code too")]
pub struct Limit {
    /// How many units each period includes; 0 where grants alone give any.
    pub amount: u64,
    /// The periods; left out, months.
    #[serde(default = "month")]
    pub period: Cadence,
    /// What happens at the limit; left out, [`AtLimit::Hard`].
    #[serde(default = "hard")]
    pub at_limit: AtLimit,
    /// At how many per cent of the amount somebody is told, each once a period; 1 to 1000.
    #[serde(default)]
    pub thresholds: Vec<u16>,
    /// What becomes of units that a period leaves unused; without it they end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollover: Option<Rollover>,
}

fn month() -> Cadence {
    Cadence::Month
}

fn hard() -> AtLimit {
    AtLimit::Hard
}

impl Limit {
    /// The most thresholds.
    pub const MAX_THRESHOLDS: usize = 16;

    /// A hard limit a period.
    #[must_use]
    pub fn hard(amount: u64, period: Cadence) -> Self {
        Self { amount, period, at_limit: AtLimit::Hard, thresholds: Vec::new(), rollover: None }
    }

    /// The same with another behaviour at the limit.
    #[must_use]
    pub fn with_at_limit(mut self, at_limit: AtLimit) -> Self {
        self.at_limit = at_limit;
        self
    }

    /// The same with thresholds, in per cent.
    #[must_use]
    pub fn with_thresholds(mut self, thresholds: impl IntoIterator<Item = u16>) -> Self {
        self.thresholds = thresholds.into_iter().collect();
        self
    }

    /// The same with a rollover.
    #[must_use]
    pub fn with_rollover(mut self, rollover: Rollover) -> Self {
        self.rollover = Some(rollover);
        self
    }

    pub(crate) fn check(&self, aggregation: Aggregation) -> Result<(), InvalidPlan> {
        let invalid = |why: &str| Err(InvalidPlan::new("limit", why));
        self.period.check()?;
        if self.amount > MAX_AMOUNT {
            return invalid("the amount is above 2^62 - 1");
        }
        if self.thresholds.len() > Self::MAX_THRESHOLDS {
            return invalid("it has more than 16 thresholds");
        }
        if self.thresholds.iter().any(|percent| !(1..=1000).contains(percent))
            || !self.thresholds.is_sorted_by(|a, b| a < b)
        {
            return invalid("the thresholds do not rise within 1 to 1000 per cent");
        }
        let beyond = match &self.at_limit {
            AtLimit::Grace { extra, seconds } => {
                if extra.is_none() && seconds.is_none() {
                    return invalid("a grace needs `extra` units, or `seconds`, or both");
                }
                if seconds.is_some_and(|seconds| seconds > 10 * 366 * 86_400) {
                    return invalid("the grace is longer than ten years");
                }
                *extra
            }
            AtLimit::Overage { price, cap } => {
                price.check()?;
                *cap
            }
            AtLimit::Soft | AtLimit::Hard => None,
        };
        if beyond.is_some_and(|beyond| beyond > MAX_AMOUNT) {
            return invalid("the amount beyond it is above 2^62 - 1");
        }
        let rolls = matches!(self.period, Cadence::Rolling(_));
        if rolls && !aggregation.adds_up() {
            return invalid("a rolling window needs the aggregation `count` or `sum`");
        }
        if aggregation == Aggregation::Latest && self.period != Cadence::Lifetime {
            return invalid("the aggregation `latest` needs the period `lifetime`");
        }
        if aggregation == Aggregation::Unique && self.amount > Aggregation::MAX_UNIQUE {
            return invalid("the aggregation `unique` counts up to 10000 different values");
        }
        let Some(rollover) = &self.rollover else { return Ok(()) };
        let apart = match self.period {
            Cadence::Lifetime => Some("lifetime"),
            Cadence::Rolling(_) => Some("rolling"),
            Cadence::Custom(_) => Some("custom"),
            _ => None,
        };
        if let Some(period) = apart {
            return invalid(&format!("a rollover needs periods that follow each other, not `{period}`"));
        }
        if !aggregation.adds_up() {
            return invalid("a rollover needs the aggregation `count` or `sum`");
        }
        if !(1..=12).contains(&rollover.periods) || rollover.most > MAX_AMOUNT {
            return invalid("a rollover lives for 1 to 12 periods, and is at most 2^62 - 1");
        }
        Ok(())
    }
}

/// What becomes of the units that a period leaves unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plan is written by hand, in code too")]
pub struct Rollover {
    /// How many of them at most become a grant of the next period.
    pub most: u64,
    /// For how many periods that grant lives, 1 to 12.
    pub periods: u8,
}
