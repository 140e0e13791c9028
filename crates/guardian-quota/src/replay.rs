use std::collections::{BTreeMap, BTreeSet};

use guardian_core::Timestamp;
use uuid::Uuid;

use crate::entry::{Effect, Effects, Entry, EntryKind};
use crate::grant::{GrantState, Parts};
use crate::{Aggregation, Cycle, GrantBalance, Level, Period, Subject};

/// The balance as the ledger alone has it: a fold over entries.
///
/// It is a fold over a set. Entries may be added in any order and any number of times, in parts that are
/// [merged](Self::merge) later: the balances are the same. What an account keeps is only a cache of it.
///
/// ```
/// use guardian_quota::{Aggregation, Replay};
///
/// let replay = Replay::new(Aggregation::Sum);
/// assert_eq!(replay.entries(), 0);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    how: Aggregation,
    seen: BTreeSet<u64>,
    accounts: BTreeMap<Subject, Folded>,
    holds: BTreeMap<Uuid, FoldedHold>,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Folded {
    periods: BTreeMap<Period, Usage>,
    /// From which period's bounds usage went to which other's.
    moved: BTreeMap<Period, Period>,
    grants: BTreeMap<Uuid, FoldedGrant>,
    /// What was spent of grants.
    spent: BTreeMap<Uuid, i128>,
    /// Sums by moment, of periods without bounds: rolling windows are cut out of them.
    moments: BTreeMap<i64, i128>,
}

#[derive(Debug, Clone, PartialEq)]
struct FoldedGrant {
    grant: GrantState,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Usage {
    sum: i128,
    max: i128,
    values: BTreeSet<u128>,
    /// What was reported last, with the moment and the entry's number.
    latest: Option<(i64, u64, i128)>,
    parts: Parts,
    /// What grants paid.
    granted: i128,
    told: BTreeSet<u16>,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct FoldedHold {
    amount: i128,
    expires: i64,
    is_closed: bool,
    is_open: bool,
    effects: Vec<(Subject, Period, Parts)>,
}

/// What a [`Replay`] says of one subject at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// What was spent in the period.
    pub used: i128,
    /// What is held.
    pub held: i128,
    /// What was spent or is held beyond the limit.
    pub beyond: i128,
    /// The grants that can be used, and those that cannot yet.
    pub grants: Vec<GrantBalance>,
    /// The thresholds that were told in the period, in per cent.
    pub told: Vec<u16>,
}

impl Replay {
    /// Of no entries, for a meter that aggregates like this.
    #[must_use]
    pub fn new(how: Aggregation) -> Self {
        Self { how, seen: BTreeSet::new(), accounts: BTreeMap::new(), holds: BTreeMap::new() }
    }

    /// Of these entries.
    pub fn of<'e>(how: Aggregation, entries: impl IntoIterator<Item = &'e Entry>) -> Self {
        let mut replay = Self::new(how);
        entries.into_iter().for_each(|entry| replay.add(entry));
        replay
    }

    /// How many different entries it has.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.seen.len()
    }

    /// Adds an entry; one that it has changes nothing.
    pub fn add(&mut self, entry: &Entry) {
        if !self.seen.insert(entry.seq) {
            return;
        }
        let effects = entry.effects.each(entry);
        let own = effects.len().saturating_sub(1);
        for (index, effect) in effects.iter().enumerate() {
            let Some(subject) = entry.subject.at(effect.level) else { continue };
            let account = self.accounts.entry(subject).or_default();
            account.add(entry, effect, index == own);
        }
        if let Some(extra) = &entry.extra
            && let Some(id) = extra.hold
        {
            let hold = self.holds.entry(id).or_default();
            match entry.kind {
                EntryKind::Reserve => {
                    hold.is_open = true;
                    hold.amount = entry.amount;
                    hold.expires = hold.expires.max(extra.expires.unwrap_or(i64::MIN));
                    hold.effects = effects
                        .iter()
                        .filter_map(|effect| {
                            Some((entry.subject.at(effect.level)?, effect.period, effect.parts.clone()))
                        })
                        .collect();
                }
                EntryKind::Extend => hold.expires = hold.expires.max(extra.expires.unwrap_or(i64::MIN)),
                _ => hold.is_closed = true,
            }
        }
    }

    /// Adds all that another replay has and this one lacks. They must not share entries: what both have would be
    /// counted twice, and `false` says that nothing was merged.
    #[must_use]
    pub fn merge(&mut self, other: &Self) -> bool {
        if self.how != other.how || !self.seen.is_disjoint(&other.seen) {
            return false;
        }
        self.seen.extend(&other.seen);
        for (subject, folded) in &other.accounts {
            self.accounts.entry(subject.clone()).or_default().merge(folded);
        }
        for (id, hold) in &other.holds {
            let own = self.holds.entry(*id).or_default();
            own.is_closed |= hold.is_closed;
            own.expires = own.expires.max(hold.expires);
            if hold.is_open {
                own.is_open = true;
                own.amount = hold.amount;
                own.effects.clone_from(&hold.effects);
            }
        }
        true
    }

    /// The subjects that have an account.
    pub fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.accounts.keys()
    }

    /// The periods of a subject that have usage.
    #[must_use]
    pub fn periods(&self, subject: &Subject) -> Vec<Period> {
        let Some(account) = self.accounts.get(subject) else { return Vec::new() };
        account.periods.keys().filter(|period| !account.moved.contains_key(period)).copied().collect()
    }

    /// What was spent in a period.
    #[must_use]
    pub fn used(&self, subject: &Subject, period: Period) -> i128 {
        self.accounts.get(subject).map_or(0, |account| account.usage(period).used(self.how))
    }

    /// What was spent in the rolling window that ends at a moment, counted in the parts of the cycle; of a cycle without one,
    /// what was spent in the period.
    #[must_use]
    pub fn used_within(&self, subject: &Subject, cycle: &Cycle, now: Timestamp) -> i128 {
        let Some((window, width)) = cycle.rolling() else { return self.used(subject, cycle.period_at(now)) };
        let Some(account) = self.accounts.get(subject) else { return 0 };
        let now = now.timestamp_micros();
        let first = now.saturating_sub(window).saturating_add(1).div_euclid(width).saturating_mul(width);
        account.moments.range(first..).map(|(_, amount)| amount).sum()
    }

    /// How much of what was spent in a period is neither included, of so many units, nor paid for by grants. What came late
    /// into the period finds what it left unused.
    #[must_use]
    pub fn beyond(&self, subject: &Subject, period: Period, included: i128) -> i128 {
        let Some(account) = self.accounts.get(subject) else { return 0 };
        let usage = account.usage(period);
        let paid = usage.parts.allowance + usage.parts.over + usage.granted;
        let late = (usage.used(self.how) - paid).max(0);
        usage.parts.over + (late - (included - usage.parts.allowance).max(0)).max(0)
    }

    /// The balance of a subject in a period, at a moment.
    #[must_use]
    pub fn at(&self, subject: &Subject, period: Period, now: Timestamp) -> Replayed {
        let now = now.timestamp_micros();
        let empty = Folded::default();
        let account = self.accounts.get(subject).unwrap_or(&empty);
        let usage = account.usage(period);
        let mut left: BTreeMap<Uuid, i128> = BTreeMap::new();
        let (mut held, mut beyond) = (0, usage.parts.over);
        for hold in self.holds.values().filter(|hold| hold.is_open && !hold.is_closed && hold.expires > now) {
            let Some((_, opened, parts)) = hold.effects.iter().find(|(each, ..)| each == subject) else {
                continue;
            };
            held += hold.amount;
            if account.resolved(*opened) == account.resolved(period) {
                beyond += parts.over;
            }
            for (id, amount) in &parts.grants {
                *left.entry(*id).or_default() += amount;
            }
        }
        let mut grants: Vec<GrantState> = account
            .grants
            .values()
            .filter(|each| each.grant.expires > now)
            .map(|each| {
                let id = each.grant.id;
                let gone = account.spent.get(&id).copied().unwrap_or(0) + left.get(&id).copied().unwrap_or(0);
                GrantState { left: each.grant.amount - gone, ..each.grant.clone() }
            })
            .collect();
        grants.sort_by_key(GrantState::rank);
        Replayed {
            used: usage.used(self.how),
            held,
            beyond,
            grants: grants.iter().map(GrantBalance::from).collect(),
            told: usage.told.iter().copied().collect(),
        }
    }
}

impl Folded {
    fn add(&mut self, entry: &Entry, effect: &Effect, is_own: bool) {
        if let Some(from) = effect.from {
            self.moved.insert(from, effect.period);
        }
        for grant in &effect.rolled {
            self.grants.insert(grant.id, FoldedGrant { grant: grant.clone() });
        }
        if let (EntryKind::Grant, true, Some(grant)) =
            (entry.kind, is_own, entry.extra.as_ref().and_then(|extra| extra.grant.as_ref()))
        {
            self.grants.insert(grant.id, FoldedGrant { grant: grant.clone() });
        }
        if !entry.kind.is_spending() {
            return;
        }
        let usage = self.periods.entry(effect.period).or_default();
        // A reset is of the subject alone.
        if entry.kind != EntryKind::Reset || is_own {
            usage.sum += entry.amount;
            if effect.period.start == i64::MIN {
                *self.moments.entry(entry.at).or_default() += entry.amount;
            }
        }
        usage.max = usage.max.max(entry.amount);
        usage.values.extend(entry.value());
        let latest = (entry.at, entry.seq, entry.amount);
        usage.latest = Some(usage.latest.map_or(latest, |before| before.max(latest)));
        usage.parts.allowance += effect.parts.allowance;
        usage.parts.over += effect.parts.over;
        usage.told.extend(&effect.told);
        for (id, amount) in &effect.parts.grants {
            usage.granted += amount;
            *self.spent.entry(*id).or_default() += amount;
        }
    }

    fn merge(&mut self, other: &Self) {
        for (period, usage) in &other.periods {
            self.periods.entry(*period).or_default().merge(usage);
        }
        self.moved.extend(&other.moved);
        self.grants.extend(other.grants.iter().map(|(id, grant)| (*id, grant.clone())));
        for (id, amount) in &other.spent {
            *self.spent.entry(*id).or_default() += amount;
        }
        for (at, amount) in &other.moments {
            *self.moments.entry(*at).or_default() += amount;
        }
    }

    /// The period that a period's usage counts for in the end.
    fn resolved(&self, period: Period) -> Period {
        let mut period = period;
        // A change of plan moves bounds outwards, so that this ends; the bound is for ledgers that were tampered with.
        for _ in 0..=self.moved.len() {
            match self.moved.get(&period) {
                Some(next) if *next != period => period = *next,
                _ => break,
            }
        }
        period
    }

    fn usage(&self, period: Period) -> Usage {
        let mut total = Usage::default();
        for (each, usage) in &self.periods {
            if *each == period || self.resolved(*each) == self.resolved(period) {
                total.merge(usage);
            }
        }
        total
    }
}

impl Usage {
    fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.max = self.max.max(other.max);
        self.values.extend(&other.values);
        self.latest = match (self.latest, other.latest) {
            (Some(own), Some(other)) => Some(own.max(other)),
            (own, other) => own.or(other),
        };
        self.parts.allowance += other.parts.allowance;
        self.parts.over += other.parts.over;
        self.granted += other.granted;
        self.told.extend(&other.told);
    }

    fn used(&self, how: Aggregation) -> i128 {
        match how {
            Aggregation::Count | Aggregation::Sum => self.sum,
            Aggregation::Max => self.max,
            Aggregation::Unique => i128::try_from(self.values.len()).unwrap_or(i128::MAX),
            Aggregation::Latest => self.latest.map_or(0, |(_, _, amount)| amount),
        }
    }
}

impl Effects {
    /// All effects, the short form written out.
    pub(crate) fn each(&self, entry: &Entry) -> Vec<Effect> {
        match self {
            Self::Detailed(effects) => effects.to_vec(),
            Self::Plain(period, levels) => Level::ALL
                .into_iter()
                .filter(|level| levels & (1 << level.index()) != 0)
                .map(|level| Effect {
                    level,
                    period: *period,
                    parts: Parts { allowance: entry.amount, ..Parts::default() },
                    rolled: Vec::new(),
                    from: None,
                    told: Vec::new(),
                    base: None,
                    used: 0,
                })
                .collect(),
        }
    }
}
