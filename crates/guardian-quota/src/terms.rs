use std::hash::Hasher;
use std::sync::Arc;

use arrayvec::ArrayVec;
use foldhash::HashMap;
use siphasher::sip::SipHasher13;

use crate::period::Cycle;
use crate::{AtLimit, Cadence, FeatureName, Level, Limit, Meter, PlanName, Subject};

/// A limit with its cycle, as accounts go by.
#[derive(Debug)]
pub(crate) struct LevelTerms {
    pub(crate) limit: Limit,
    pub(crate) cycle: Cycle,
    /// Allowances that a change of plan left for single periods, by their start.
    pub(crate) prorated: Vec<(i64, u64)>,
    /// Nothing limits this level; its usage is counted all the same.
    pub(crate) is_unlimited: bool,
    /// Differs where the periods or the limit differ, so that an account knows when its terms changed.
    pub(crate) tag: u64,
}

impl LevelTerms {
    pub(crate) fn new(limit: Limit, cycle: Cycle, prorated: Vec<(i64, u64)>, is_unlimited: bool) -> Self {
        // The same in every process: accounts keep it.
        let mut hasher = SipHasher13::new_with_keys(0, 0);
        hasher.write(format!("{limit:?} {cycle:?} {prorated:?}").as_bytes());
        let tag = hasher.finish() | 1;
        Self { limit, cycle, prorated, is_unlimited, tag }
    }

    /// A level that nobody limits: counted by months.
    pub(crate) fn unlimited(cycle: Cycle) -> Self {
        let limit = Limit::hard(crate::MAX_AMOUNT, Cadence::Month).with_at_limit(AtLimit::Soft);
        Self::new(limit, cycle, Vec::new(), true)
    }

    pub(crate) fn allowance(&self, start: i64) -> i128 {
        let prorated = self.prorated.iter().find(|(period, _)| *period == start);
        i128::from(prorated.map_or(self.limit.amount, |(_, amount)| *amount))
    }
}

/// What a tenant's plan says of one meter, resolved.
#[derive(Debug)]
pub struct MeterTerms {
    pub(crate) feature: FeatureName,
    pub(crate) plan: PlanName,
    pub(crate) meter: Meter,
    /// The revision of the subscription that this was made of.
    pub(crate) revision: u64,
    /// Whether everything that limits is hard and adds up, so that most calls are a comparison and an addition.
    pub(crate) is_plain: bool,
    pub(crate) root: Arc<LevelTerms>,
    pub(crate) levels: [Option<Arc<LevelTerms>>; 4],
    /// The tags of the levels, so that the common case need not look further.
    pub(crate) tags: [u64; 4],
    /// Limits of single subjects, by their digest.
    pub(crate) overrides: HashMap<u128, Arc<LevelTerms>>,
}

/// One level of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rung<'a> {
    pub(crate) level: Level,
    pub(crate) digest: u128,
    pub(crate) terms: &'a LevelTerms,
    /// The tag of the terms, and whether nothing limits.
    pub(crate) tag: u64,
    pub(crate) is_unlimited: bool,
}

pub(crate) type Rungs<'a> = ArrayVec<Rung<'a>, 4>;

impl MeterTerms {
    /// The feature.
    #[must_use]
    pub fn feature(&self) -> &FeatureName {
        &self.feature
    }

    /// The plan that it is of.
    #[must_use]
    pub fn plan(&self) -> &PlanName {
        &self.plan
    }

    /// The meter.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The levels of a subject that have accounts, the organisation first. It always has one, because it gives entries
    /// their numbers.
    #[inline]
    pub(crate) fn rungs<'a>(&'a self, subject: &Subject) -> Rungs<'a> {
        let mut rungs = Rungs::new();
        for level in Level::ALL {
            let Some(digest) = subject.digest_at(level) else { continue };
            let own = if self.overrides.is_empty() { None } else { self.overrides.get(&digest) };
            let (terms, tag) = match (own, self.levels.get(level.index()), self.tags.get(level.index())) {
                (Some(own), ..) => (own, own.tag),
                (None, Some(Some(terms)), Some(tag)) => (terms, *tag),
                _ if level == Level::Org => {
                    rungs.push(Rung {
                        level,
                        digest,
                        terms: &self.root,
                        tag: self.root.tag,
                        is_unlimited: true,
                    });
                    continue;
                }
                _ => continue,
            };
            rungs.push(Rung { level, digest, terms, tag, is_unlimited: false });
        }
        rungs
    }

    /// Whether the subject itself has a limit.
    pub(crate) fn limits(&self, subject: &Subject) -> bool {
        self.overrides.contains_key(&subject.digest())
            || matches!(self.levels.get(subject.level().index()), Some(Some(_)))
    }

    /// The terms of one subject's own account, also where nothing limits it.
    pub(crate) fn of(&self, subject: &Subject) -> &Arc<LevelTerms> {
        self.overrides
            .get(&subject.digest())
            .or_else(|| self.levels.get(subject.level().index()).and_then(Option::as_ref))
            .unwrap_or(&self.root)
    }
}
