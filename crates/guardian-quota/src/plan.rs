use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shape;
use crate::{Aggregation, AtLimit, FeatureName, InvalidPlan, Level, Limit, PlanName};

/// What a tenant gets: features that are there or not, settings, and meters with limits.
///
/// A plan is data, written as JSON:
///
/// ```
/// use guardian_quota::Plan;
///
/// let pro = Plan::parse(r#"{
///   "name": "pro",
///   "features": {
///     "sso":       {"boolean": true},
///     "region":    {"static": "eu"},
///     "api_calls": {"metered": {"unit": "call", "aggregation": "count", "limits": {
///       "org":  {"amount": 100000, "at_limit": {"overage": {"price": {"currency": "usd", "micros": 20000000, "per": 1000}}}, "thresholds": [80, 100]},
///       "user": {"amount": 5000, "period": "day"}
///     }}}
///   }
/// }"#)?;
/// assert_eq!(pro.name.as_str(), "pro");
/// # Ok::<(), guardian_quota::InvalidPlan>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plan is written by hand, in code too")]
pub struct Plan {
    /// The name.
    pub name: PlanName,
    /// The features.
    #[serde(default, deserialize_with = "crate::written::once")]
    pub features: BTreeMap<FeatureName, Feature>,
}

/// One feature of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Feature {
    /// It is there or not.
    Boolean(bool),
    /// A value that the host reads.
    Static(Value),
    /// Its use is counted.
    Metered(Meter),
}

/// What is counted, and how much of it each level may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plan is written by hand, in code too")]
pub struct Meter {
    /// What one unit is, for people and bills: `call`, `token`, `byte`, `seat`.
    pub unit: String,
    /// How events become usage.
    pub aggregation: Aggregation,
    /// The limits of each level; a level without one is not limited.
    #[serde(default, deserialize_with = "crate::written::once")]
    pub limits: BTreeMap<Level, Limit>,
    /// Whether spending goes to the billing sink; left out, no.
    #[serde(default)]
    pub billed: bool,
    /// What a commit may do beyond what was held; left out, [`Beyond::IfRoom`].
    #[serde(default)]
    pub excess: Beyond,
    /// What a commit may do after its hold expired; left out, [`Beyond::IfRoom`].
    #[serde(default)]
    pub late: Beyond,
}

impl Meter {
    /// A meter without limits.
    #[must_use]
    pub fn new(unit: impl Into<String>, aggregation: Aggregation) -> Self {
        Self {
            unit: unit.into(),
            aggregation,
            limits: BTreeMap::new(),
            billed: false,
            excess: Beyond::IfRoom,
            late: Beyond::IfRoom,
        }
    }

    /// The same with a limit at a level.
    #[must_use]
    pub fn with_limit(mut self, level: Level, limit: Limit) -> Self {
        self.limits.insert(level, limit);
        self
    }

    /// The same, billed or not.
    #[must_use]
    pub fn with_billed(mut self, billed: bool) -> Self {
        self.billed = billed;
        self
    }

    /// The same with these rules for commits.
    #[must_use]
    pub fn with_commits(mut self, excess: Beyond, late: Beyond) -> Self {
        (self.excess, self.late) = (excess, late);
        self
    }
}

/// What a commit may do beyond its hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Beyond {
    /// Nothing: the commit is denied.
    Refuse,
    /// As much as a new call could use.
    #[default]
    IfRoom,
    /// Anything: what was used was used, and may exceed the limit.
    Always,
}

impl Plan {
    /// The largest document, in bytes.
    pub const MAX_LEN: usize = 1 << 20;
    /// The most features.
    pub const MAX_FEATURES: usize = 1000;

    /// A plan without features.
    #[must_use]
    pub fn new(name: PlanName) -> Self {
        Self { name, features: BTreeMap::new() }
    }

    /// The same with a feature.
    #[must_use]
    pub fn with_feature(mut self, name: FeatureName, feature: Feature) -> Self {
        self.features.insert(name, feature);
        self
    }

    /// Reads a plan and checks it.
    ///
    /// # Errors
    /// When the text is no plan, too large, has a key twice, or says something that cannot be.
    pub fn parse(text: &str) -> Result<Self, InvalidPlan> {
        if text.len() > Self::MAX_LEN {
            return Err(InvalidPlan::new(
                "plan",
                format!("it has {} bytes, the most is {}", text.len(), Self::MAX_LEN),
            ));
        }
        let value = shape::read(text)?;
        // The text itself, in which a key that is there twice can be seen.
        let plan: Self = serde_json::from_str(text).map_err(|error| shape::blame(&value, &error))?;
        plan.check()?;
        Ok(plan)
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first thing that cannot be.
    pub fn check(&self) -> Result<(), InvalidPlan> {
        if self.features.len() > Self::MAX_FEATURES {
            return Err(InvalidPlan::new("plan", "it has more than 1000 features"));
        }
        for (name, feature) in &self.features {
            let Feature::Metered(meter) = feature else { continue };
            meter.check().map_err(|error| error.within(name.as_str()).within(self.name.as_str()))?;
        }
        Ok(())
    }
}

impl Meter {
    fn check(&self) -> Result<(), InvalidPlan> {
        if self.unit.is_empty() || self.unit.len() > 64 || self.unit.contains(char::is_control) {
            return Err(InvalidPlan::new(
                "unit",
                "it has not between 1 and 64 bytes, or a control character",
            ));
        }
        let mut currency = None;
        for (level, limit) in &self.limits {
            limit.check(self.aggregation).map_err(|error| error.within(level.as_str()))?;
            if let AtLimit::Overage { price, .. } = &limit.at_limit
                && *currency.get_or_insert(price.currency()) != price.currency()
            {
                return Err(InvalidPlan::new("meter", "it has prices in two currencies"));
            }
        }
        Ok(())
    }
}
