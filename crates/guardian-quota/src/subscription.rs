use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;
use foldhash::HashMap;
use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::period::Cycle;
use crate::terms::{LevelTerms, MeterTerms};
use crate::{Cadence, Error, Feature, FeatureName, InvalidPlan, Level, Limit, Plan, PlanName, Subject};

/// A tenant's plan, and what is special about it. A tenant is given one once, by
/// [`Quotas::subscribe`](crate::Quotas::subscribe).
///
/// ```
/// use guardian_quota::{PlanName, Subscription};
///
/// let subscription = Subscription::new(PlanName::new("pro")?, "2026-01-31T00:00:00Z".parse()?)
///     .with_zone("Europe/Vienna")?;
/// assert_eq!(subscription.zone(), "Europe/Vienna");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    pub(crate) plan: PlanName,
    pub(crate) anchor: Timestamp,
    #[serde(with = "crate::calendar::zone")]
    pub(crate) zone: Tz,
    #[serde(default)]
    pub(crate) revision: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) overrides: Vec<Override>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) prorated: Vec<Prorated>,
}

/// A limit of one subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Override {
    pub(crate) feature: FeatureName,
    pub(crate) subject: Subject,
    pub(crate) limit: Limit,
}

/// What is included in the period in which the plan changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prorated {
    pub(crate) feature: FeatureName,
    pub(crate) level: Level,
    pub(crate) start: i64,
    pub(crate) amount: u64,
    /// What a whole period includes of the plan that holds for the rest of this one; `None` for that of the old plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<u64>,
}

/// What a change of plan means for the period that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Proration {
    /// The new plan's amounts hold at once, and what was used counts against them. Where the new periods are shorter, the one
    /// that runs goes on to its end.
    #[default]
    Immediate,
    /// The period includes the old amount for the part that is over and the new one for the rest, in proportion to the time,
    /// rounded down. Where the two plans have different periods the new amounts hold at once.
    ByTime,
    /// A new period begins with the change, and what was used is behind.
    Restart,
    /// The old plan's amounts hold to the end of the period.
    NextPeriod,
}

impl Subscription {
    /// The most limits of single subjects.
    pub const MAX_OVERRIDES: usize = 10_000;

    /// A plan whose periods are counted from an anchor, on the clocks of UTC.
    #[must_use]
    pub fn new(plan: PlanName, anchor: Timestamp) -> Self {
        Self { plan, anchor, zone: Tz::UTC, revision: 0, overrides: Vec::new(), prorated: Vec::new() }
    }

    /// The same on the clocks of a zone of the IANA database.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn with_zone(mut self, zone: &str) -> Result<Self, InvalidPlan> {
        self.zone = zone.parse().map_err(|_| InvalidPlan::zone(zone))?;
        Ok(self)
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &PlanName {
        &self.plan
    }

    /// Where periods are counted from.
    #[must_use]
    pub fn anchor(&self) -> Timestamp {
        self.anchor
    }

    /// The zone.
    #[must_use]
    pub fn zone(&self) -> &'static str {
        self.zone.name()
    }

    /// How often it was changed.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The limits of single subjects, in the order in which they were set.
    pub fn limits(&self) -> impl Iterator<Item = (&FeatureName, &Subject, &Limit)> {
        self.overrides.iter().map(|each| (&each.feature, &each.subject, &each.limit))
    }

    pub(crate) fn cycle(&self, cadence: Cadence) -> Cycle {
        Cycle::of(cadence, self.anchor, self.zone)
    }

    /// Sets or takes away the limit of one subject.
    pub(crate) fn set_override(
        &mut self,
        feature: &FeatureName,
        subject: &Subject,
        limit: Option<Limit>,
    ) -> Result<(), Error> {
        self.overrides.retain(|each| each.feature != *feature || each.subject != *subject);
        if let Some(limit) = limit {
            if self.overrides.len() >= Self::MAX_OVERRIDES {
                return Err(Error::range(
                    "the number of limits of single subjects",
                    "at most 10000 a tenant",
                ));
            }
            self.overrides.push(Override { feature: feature.clone(), subject: subject.clone(), limit });
        }
        Ok(())
    }

    /// The subscription after a change of plan.
    pub(crate) fn changed(&self, old: &Plan, new: &Plan, now: Timestamp, how: Proration) -> Self {
        let mut next = self.clone();
        next.plan = new.name.clone();
        let at = now.timestamp_micros();
        // Periods that are over need none any more.
        next.prorated.retain(|each| {
            let cadence = metered(old, &each.feature).and_then(|meter| meter.limits.get(&each.level));
            cadence.is_some_and(|limit| self.cycle(limit.period.clone()).at(at).start <= each.start)
        });
        if how == Proration::Restart {
            next.anchor = now;
            next.prorated.clear();
            return next;
        }
        if how == Proration::Immediate {
            next.prorated.clear();
            return next;
        }
        for (feature, value) in &new.features {
            let Feature::Metered(meter) = value else { continue };
            for (level, limit) in &meter.limits {
                let before = metered(old, feature).and_then(|meter| meter.limits.get(level));
                let Some(before) = before.filter(|before| before.period == limit.period) else { continue };
                let period = self.cycle(limit.period.clone()).at(at);
                if period.end == i64::MAX || period.start == i64::MIN {
                    continue;
                }
                let own = |each: &&Prorated| {
                    each.feature == *feature && each.level == *level && each.start == period.start
                };
                let known = self.prorated.iter().find(own);
                let (total, rate) = known.map_or((before.amount, before.amount), |each| {
                    (each.amount, each.rate.unwrap_or(before.amount))
                });
                let (amount, rate) = match how {
                    Proration::NextPeriod => (total, rate),
                    _ => (by_time(total, rate, limit.amount, period, at), limit.amount),
                };
                next.prorated.retain(|each| !own(&each));
                next.prorated.push(Prorated {
                    feature: feature.clone(),
                    level: *level,
                    start: period.start,
                    amount,
                    rate: Some(rate),
                });
            }
        }
        next
    }
}

fn metered<'p>(plan: &'p Plan, feature: &FeatureName) -> Option<&'p crate::Meter> {
    match plan.features.get(feature) {
        Some(Feature::Metered(meter)) => Some(meter),
        _ => None,
    }
}

/// What a period includes that had so much in all at the old rate, when the rest of it is at the new one; rounded down.
fn by_time(total: u64, old: u64, new: u64, period: crate::Period, at: i64) -> u64 {
    let (rest, length) =
        (i128::from(period.end) - i128::from(at), i128::from(period.end) - i128::from(period.start));
    let more = ((i128::from(new) - i128::from(old)) * rest).div_euclid(length.max(1));
    u64::try_from(i128::from(total) + more).unwrap_or(0)
}

/// A subscription with its plan, as calls go by.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) plan: Arc<Plan>,
    pub(crate) meters: HashMap<FeatureName, Arc<MeterTerms>>,
}

impl Resolved {
    pub(crate) fn new(subscription: &Subscription, plan: Arc<Plan>) -> Self {
        let meters = plan
            .features
            .iter()
            .filter_map(|(name, feature)| {
                let Feature::Metered(meter) = feature else { return None };
                Some((name.clone(), Arc::new(Self::terms(subscription, &plan, name, meter))))
            })
            .collect();
        Self { plan, meters }
    }

    fn terms(
        subscription: &Subscription,
        plan: &Plan,
        feature: &FeatureName,
        meter: &crate::Meter,
    ) -> MeterTerms {
        let prorated: BTreeMap<Level, Vec<(i64, u64)>> = subscription
            .prorated
            .iter()
            .filter(|each| each.feature == *feature)
            .fold(BTreeMap::new(), |mut levels, each| {
                levels.entry(each.level).or_insert_with(Vec::new).push((each.start, each.amount));
                levels
            });
        let at = |limit: &Limit, prorated: Vec<(i64, u64)>| {
            Arc::new(LevelTerms::new(
                limit.clone(),
                subscription.cycle(limit.period.clone()),
                prorated,
                false,
            ))
        };
        let mut levels = [const { None }; 4];
        for (level, limit) in &meter.limits {
            if let Some(place) = levels.get_mut(level.index()) {
                *place = Some(at(limit, prorated.get(level).cloned().unwrap_or_default()));
            }
        }
        // What is reported last, and what the plan does not divide, is counted for ever.
        let cadence = match meter.aggregation {
            crate::Aggregation::Latest => Cadence::Lifetime,
            _ => Cadence::Month,
        };
        let overrides: HashMap<u128, Arc<LevelTerms>> = subscription
            .overrides
            .iter()
            .filter(|each| each.feature == *feature)
            .map(|each| (each.subject.digest(), at(&each.limit, Vec::new())))
            .collect();
        let is_hard = |terms: &Arc<LevelTerms>| terms.limit.at_limit == crate::AtLimit::Hard;
        let is_plain = meter.aggregation.adds_up()
            && levels.iter().flatten().all(is_hard)
            && overrides.values().all(is_hard);
        MeterTerms {
            is_plain,
            tags: std::array::from_fn(|level| {
                levels.get(level).and_then(Option::as_ref).map_or(0, |terms| terms.tag)
            }),
            feature: feature.clone(),
            plan: plan.name.clone(),
            meter: meter.clone(),
            revision: subscription.revision,
            root: Arc::new(LevelTerms::unlimited(subscription.cycle(cadence))),
            levels,
            overrides,
        }
    }
}
