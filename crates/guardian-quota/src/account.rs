//! What a subject has used, holds and has left of one meter. Everything here is a function of the account, its terms and
//! the time: no store, no clock.

use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;
use uuid::Uuid;

use crate::grant::{GrantState, HoldState, Parts};
use crate::period::moment;
use crate::terms::LevelTerms;
use crate::{Aggregation, AtLimit, Grant, Period, Reason};

/// The state of an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    /// The terms that it was last used under.
    pub(crate) tag: u64,
    pub(crate) period: Period,
    /// The time of the last entry, in the organisation's account: the time of a ledger does not go back, whatever the clocks
    /// of processes say.
    #[serde(default)]
    pub(crate) seen: i64,
    /// What was spent in the period; of a rolling window, within the window.
    pub(crate) used: i128,
    /// What the allowance gave, to spending and to holds.
    pub(crate) taken: i128,
    /// What went beyond the limit, by spending and by holds.
    #[serde(default)]
    pub(crate) over: i128,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) over_since: Option<i64>,
    /// The highest threshold of the period that was told, in per cent.
    #[serde(default)]
    pub(crate) told: u16,
    /// What the grants of the period had that were used up and dropped.
    #[serde(default, skip_serializing_if = "crate::grant::is_zero")]
    pub(crate) dropped: i128,
    /// In the order in which they are used up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) grants: Vec<GrantState>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) holds: Vec<HoldState>,
    /// The different values of the period, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) values: Vec<u128>,
    /// When what was reported last happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) latest: Option<i64>,
    /// When something was spent last.
    #[serde(default)]
    pub(crate) last: i64,
    /// How wide the parts of a rolling window are, in microseconds; 0 for what is none.
    #[serde(default)]
    pub(crate) width: i64,
    /// The parts of a rolling window, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) buckets: Vec<Bucket>,
    /// The usage at which a threshold is next; 0 when that was not worked out.
    #[serde(skip)]
    next_tell: i128,
    /// The first moment at which a hold ends by itself; worked out with the above.
    #[serde(skip)]
    next_end: i64,
    /// What the period includes by the terms that the account was last used under; worked out with the above, and kept for
    /// what the period leaves to the next one.
    #[serde(default)]
    pub(crate) limit_now: i128,
}

/// A part of a rolling window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) number: i64,
    pub(crate) used: i128,
    pub(crate) taken: i128,
    pub(crate) over: i128,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            tag: 0,
            period: Period { start: i64::MIN, end: i64::MIN },
            seen: i64::MIN,
            used: 0,
            taken: 0,
            over: 0,
            over_since: None,
            told: 0,
            dropped: 0,
            grants: Vec::new(),
            holds: Vec::new(),
            values: Vec::new(),
            latest: None,
            last: 0,
            width: 0,
            buckets: Vec::new(),
            next_tell: 0,
            next_end: 0,
            limit_now: 0,
        }
    }
}

/// What became of an account by the time that passed.
#[derive(Debug, Default)]
pub(crate) struct Turned {
    /// The grants that unused units became.
    pub(crate) rolled: Vec<GrantState>,
    /// The period whose usage counts for the present one, because the bounds were changed.
    pub(crate) from: Option<Period>,
}

/// Why an amount cannot be had, and how much can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) available: i128,
}

impl Account {
    /// Whether a plain amount can be had of the allowance alone, with nothing to settle before and no threshold on the way:
    /// the common case, in a few comparisons. It says what [`deduct`](Self::deduct) would.
    #[inline]
    pub(crate) fn has_plainly(&self, tag: u64, amount: i128, now: i64) -> bool {
        self.tag == tag
            && self.period.has(now)
            && now < self.next_end
            && self.taken + amount <= self.limit_now
            && self.used + amount < self.next_tell
            && self.grants.is_empty()
            && self.buckets.is_empty()
    }

    #[inline]
    pub(crate) fn take_plainly(&mut self, amount: i128, now: i64) {
        self.last = now;
        self.used += amount;
        self.taken += amount;
    }

    /// Lets the time pass: holds that expired give back, a period that ended gives way to the next.
    pub(crate) fn settle(&mut self, terms: &LevelTerms, seed: u128, now: i64) -> Turned {
        // A clock that was set back does not bring a period back.
        let now = now.max(self.period.start);
        let mut turned = Turned::default();
        if self.tag != terms.tag || !self.period.has(now) {
            self.end_holds(now.min(self.period.end));
            let next = terms.cycle.at(now);
            if self.period.end <= now || (next.start > self.period.start && self.starts_anew(terms, now)) {
                turned.rolled = self.roll_over(terms, seed, next, now);
                self.turn(next);
            } else if next != self.period && next.start <= self.period.start {
                // The same usage, within other bounds.
                turned.from = Some(self.period);
                for hold in &mut self.holds {
                    if hold.period == self.period {
                        hold.period = next;
                    } else if hold.period == next {
                        // Of a time when these were the bounds.
                        self.taken += hold.parts.allowance;
                        self.over += hold.parts.over;
                    }
                }
                self.period = next;
            }
            self.tag = terms.tag;
        }
        self.end_holds(now);
        if let Some((window, width)) = terms.cycle.rolling() {
            self.divide(width);
            let first = now.saturating_sub(window).saturating_add(1).div_euclid(width);
            let parts = self.buckets.len();
            while let Some(bucket) = self.buckets.first().filter(|bucket| bucket.number < first) {
                self.used -= bucket.used;
                self.taken -= bucket.taken;
                self.over -= bucket.over;
                self.buckets.remove(0);
            }
            if self.over == 0 {
                self.over_since = None;
            }
            if self.buckets.len() < parts {
                // What the window no longer has come to is told again when it does.
                let (base, used, told) = (self.base(terms), self.used, self.told);
                let holds = |percent: &&u16| **percent <= told && used >= threshold(base, **percent);
                self.told = terms.limit.thresholds.iter().filter(holds).max().copied().unwrap_or(0);
            }
        } else {
            self.width = 0;
        }
        self.grants.retain(|grant| grant.expires > now);
        for grant in &turned.rolled {
            self.add_grant(grant.clone());
        }
        self.look_ahead(terms);
        turned
    }

    /// Whether terms with shorter periods begin a new one before the one that runs is over: where it was begun anew, has no
    /// end, or was nobody's limit. Otherwise to change there and back would give the allowance twice.
    fn starts_anew(&self, terms: &LevelTerms, now: i64) -> bool {
        let anchor = terms.cycle.anchor().timestamp_micros();
        (self.period.start < anchor && anchor <= now)
            || self.period.end == i64::MAX
            || self.limit_now >= i128::from(crate::MAX_AMOUNT)
    }

    /// Makes the parts of a rolling window that wide. What was spent before there were any counts as of the last
    /// moment at which something was, and what was spent in a part of another width as of the end of that.
    fn divide(&mut self, width: i64) {
        if self.width == width {
            return;
        }
        let before = std::mem::replace(&mut self.width, width);
        if before == 0 {
            let held = self.holds.iter().filter(|hold| hold.period == self.period);
            let (allowance, over) = held.fold((0, 0), |(allowance, over), hold| {
                (allowance + hold.parts.allowance, over + hold.parts.over)
            });
            let number = self.last.div_euclid(width);
            let (taken, over) = (self.taken - allowance, self.over - over);
            if (self.used, taken, over) != (0, 0, 0) {
                self.buckets = vec![Bucket { number, used: self.used, taken, over }];
            }
            return;
        }
        let mut buckets: Vec<Bucket> = Vec::with_capacity(self.buckets.len());
        for bucket in self.buckets.drain(..) {
            let end = bucket.number.saturating_add(1).saturating_mul(before).saturating_sub(1);
            let number = end.div_euclid(width);
            match buckets.last_mut().filter(|last| last.number == number) {
                Some(last) => {
                    last.used += bucket.used;
                    last.taken += bucket.taken;
                    last.over += bucket.over;
                }
                None => buckets.push(Bucket { number, ..bucket }),
            }
        }
        self.buckets = buckets;
    }

    /// Works out what the plain calls go by.
    pub(crate) fn look_ahead(&mut self, terms: &LevelTerms) {
        self.next_tell = terms
            .limit
            .thresholds
            .iter()
            .find(|percent| **percent > self.told)
            .map_or(i128::MAX, |percent| threshold(self.base(terms), *percent));
        self.limit_now = terms.allowance(self.period.start);
        self.next_end = self.holds.iter().map(|hold| hold.expires).min().unwrap_or(i64::MAX);
    }

    /// What thresholds are per cent of: the allowance, or where there is none, what was granted.
    pub(crate) fn base(&self, terms: &LevelTerms) -> i128 {
        let allowance = terms.allowance(self.period.start);
        if allowance > 0 {
            allowance
        } else {
            self.grants.iter().map(|grant| grant.amount).sum::<i128>() + self.dropped
        }
    }

    fn turn(&mut self, next: Period) {
        self.period = next;
        (self.used, self.taken, self.over, self.over_since, self.told, self.dropped) = (0, 0, 0, None, 0, 0);
        self.values.clear();
        self.buckets.clear();
        self.width = 0;
    }

    /// Ends the holds whose time is over.
    fn end_holds(&mut self, now: i64) {
        if self.holds.iter().all(|hold| hold.expires > now) {
            return;
        }
        let (ended, alive) =
            std::mem::take(&mut self.holds).into_iter().partition(|hold| hold.expires <= now);
        self.holds = alive;
        let ended: Vec<HoldState> = ended;
        for hold in ended {
            self.free(&hold);
        }
    }

    /// Gives back what a hold took, as far as its period and its grants are still there.
    pub(crate) fn free(&mut self, hold: &HoldState) {
        if hold.period == self.period {
            self.taken -= hold.parts.allowance;
            self.over -= hold.parts.over;
            if self.over == 0 {
                self.over_since = None;
            }
        }
        for (id, amount) in &hold.parts.grants {
            if let Some(grant) = self.grants.iter_mut().find(|grant| grant.id == *id) {
                grant.left += amount;
            }
        }
    }

    pub(crate) fn add_grant(&mut self, grant: GrantState) {
        if self.grants.iter().all(|each| each.id != grant.id) {
            let at = self.grants.partition_point(|each| each.rank() < grant.rank());
            self.grants.insert(at, grant);
        }
    }

    /// Drops grants of which nothing is left, spent or held. Their entries stay in the ledger.
    pub(crate) fn drop_used_up(&mut self) {
        let (holds, dropped) = (&self.holds, &mut self.dropped);
        let is_held = |id: Uuid| {
            holds.iter().any(|hold| hold.parts.grants.iter().any(|(each, amount)| *each == id && *amount > 0))
        };
        self.grants.retain(|grant| {
            let stays = grant.left > 0 || is_held(grant.id);
            *dropped += if stays { 0 } else { grant.amount };
            stays
        });
    }

    /// What the periods that ended leave to the next ones: the last one what it did not use, and those that nobody used
    /// their allowance.
    fn roll_over(&self, terms: &LevelTerms, seed: u128, next: Period, now: i64) -> Vec<GrantState> {
        let Some(rollover) = terms.limit.rollover else { return Vec::new() };
        if self.period.start == i64::MIN {
            return Vec::new();
        }
        let cycle = &terms.cycle;
        let (mut last, current) =
            (cycle.number_at(moment(self.period.start)), cycle.number_at(moment(next.start)));
        if cycle.period(last) != Some(self.period) {
            // A period of another plan: only what it left itself.
            last = current - 1;
        }
        let lives = i64::from(rollover.periods);
        let mut rolled = Vec::new();
        for number in last.max(current - lives)..current {
            let Some(period) = cycle.period(number) else { continue };
            let unused = if number == last {
                // Not more than it included when it was lived: the terms may be those of another plan.
                self.limit_now.min(terms.allowance(self.period.start)) - self.taken
            } else {
                terms.allowance(period.start)
            };
            let amount = unused.min(i128::from(rollover.most));
            let expires = cycle.period(number + lives).map_or(i64::MAX, |period| period.end);
            if amount <= 0 || expires <= now {
                continue;
            }
            let mut hasher = SipHasher13::new_with_keys(0, 1);
            hasher.write(&seed.to_be_bytes());
            hasher.write(&period.start.to_be_bytes());
            rolled.push(GrantState {
                id: Uuid::from_u128(hasher.finish128().as_u128()),
                amount,
                left: amount,
                priority: Grant::ROLLOVER,
                starts: period.end,
                expires,
                created: period.end,
            });
        }
        rolled
    }

    /// What an amount is made of, or why it cannot be had. The one function that decides, for checks, reservations,
    /// consumption and commits alike. With `force` it can always be had. The account must be settled.
    pub(crate) fn deduct(
        &self,
        terms: &LevelTerms,
        amount: i128,
        now: i64,
        force: bool,
    ) -> Result<Parts, Refusal> {
        let now = now.max(self.period.start);
        let mut parts = Parts::default();
        let mut missing = amount;
        let included = (terms.allowance(self.period.start) - self.taken).max(0);
        let (before, after): (Vec<_>, Vec<_>) = self
            .grants
            .iter()
            .filter(|grant| grant.is_live(now) && grant.left > 0)
            .partition(|grant| grant.priority < Grant::ALLOWANCE);
        let mut granted = 0;
        for grant in before {
            let part = missing.min(grant.left);
            granted += grant.left;
            if part > 0 {
                parts.grants.push((grant.id, part));
                missing -= part;
            }
        }
        parts.allowance = missing.min(included);
        missing -= parts.allowance;
        for grant in after {
            let part = missing.min(grant.left);
            granted += grant.left;
            if part > 0 {
                parts.grants.push((grant.id, part));
                missing -= part;
            }
        }
        if missing == 0 {
            return Ok(parts);
        }
        let (room, reason) = self.beyond(terms, now);
        if missing > room && !force {
            return Err(Refusal { reason, available: included + granted + room });
        }
        parts.over = missing;
        Ok(parts)
    }

    /// How much may go beyond the limit, and what it is called when that is not enough.
    fn beyond(&self, terms: &LevelTerms, now: i64) -> (i128, Reason) {
        match &terms.limit.at_limit {
            AtLimit::Soft => (i128::MAX / 4, Reason::LimitReached),
            AtLimit::Hard => (0, Reason::LimitReached),
            AtLimit::Grace { extra, seconds } => {
                let ends = seconds.and_then(|seconds| {
                    let span = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
                    self.over_since?.checked_add(span)
                });
                if ends.is_some_and(|ends| ends <= now) {
                    return (0, Reason::GraceOver);
                }
                let room = extra.map_or(i128::MAX / 4, |extra| (i128::from(extra) - self.over).max(0));
                (room, Reason::GraceOver)
            }
            AtLimit::Overage { cap, .. } => {
                let room = cap.map_or(i128::MAX / 4, |cap| (i128::from(cap) - self.over).max(0));
                (room, Reason::CapReached)
            }
        }
    }

    /// What a call beyond the limit is allowed by.
    pub(crate) fn reason_beyond(terms: &LevelTerms) -> Reason {
        match terms.limit.at_limit {
            AtLimit::Grace { .. } => Reason::Grace,
            AtLimit::Overage { .. } => Reason::Overage,
            AtLimit::Soft => Reason::OverSoftLimit,
            AtLimit::Hard => Reason::Recorded,
        }
    }

    /// How much a call could have now; `None` where nothing limits it.
    pub(crate) fn available(&self, terms: &LevelTerms, now: i64) -> Option<i128> {
        if terms.is_unlimited || terms.limit.at_limit == AtLimit::Soft {
            return None;
        }
        let now = now.max(self.period.start);
        let granted: i128 =
            self.grants.iter().filter(|grant| grant.is_live(now)).map(|grant| grant.left).sum();
        let included = (terms.allowance(self.period.start) - self.taken).max(0);
        let (room, _) = self.beyond(terms, now);
        (room < i128::MAX / 4).then_some(included + granted + room)
    }

    /// How much is included and left: what soft limits and overage count down as well.
    pub(crate) fn included(&self, terms: &LevelTerms, now: i64) -> i128 {
        let now = now.max(self.period.start);
        let granted: i128 =
            self.grants.iter().filter(|grant| grant.is_live(now)).map(|grant| grant.left).sum();
        (terms.allowance(self.period.start) - self.taken).max(0) + granted
    }

    /// Takes what was deducted out of the pools.
    pub(crate) fn take(&mut self, parts: &Parts, now: i64) {
        self.taken += parts.allowance;
        self.over += parts.over;
        if self.over <= 0 {
            self.over_since = None;
        } else if parts.over > 0 && self.over_since.is_none() {
            self.over_since = Some(now.max(self.period.start));
        }
        for (id, amount) in &parts.grants {
            if let Some(grant) = self.grants.iter_mut().find(|grant| grant.id == *id) {
                grant.left -= amount;
            }
        }
    }

    /// Counts as spent what was taken, at a moment.
    pub(crate) fn spend(&mut self, terms: &LevelTerms, amount: i128, parts: &Parts, at: i64) {
        self.used += amount;
        self.last = self.last.max(at);
        if let Some((_, width)) = terms.cycle.rolling() {
            let number = at.div_euclid(width);
            let place = self.buckets.partition_point(|bucket| bucket.number < number);
            if self.buckets.get(place).is_none_or(|bucket| bucket.number != number) {
                self.buckets.insert(place, Bucket { number, used: 0, taken: 0, over: 0 });
            }
            if let Some(bucket) = self.buckets.get_mut(place) {
                bucket.used += amount;
                bucket.taken += parts.allowance;
                bucket.over += parts.over;
            }
        }
    }

    /// What giving back an amount consists of, beyond the limit first, then the allowance, then the grants that were used
    /// last. Never more than was spent.
    pub(crate) fn give_back(&self, amount: i128) -> Parts {
        let mut left = amount.min(self.used).max(0);
        let held = |part: fn(&Parts) -> i128| -> i128 {
            self.holds.iter().filter(|hold| hold.period == self.period).map(|hold| part(&hold.parts)).sum()
        };
        let mut parts = Parts::default();
        let over = left.min((self.over - held(|parts| parts.over)).max(0));
        left -= over;
        let allowance = left.min((self.taken - held(|parts| parts.allowance)).max(0));
        left -= allowance;
        (parts.over, parts.allowance) = (-over, -allowance);
        for grant in self.grants.iter().rev() {
            let held: i128 = self
                .holds
                .iter()
                .flat_map(|hold| &hold.parts.grants)
                .filter(|(id, _)| *id == grant.id)
                .map(|(_, amount)| amount)
                .sum();
            let part = left.min((grant.amount - grant.left - held).max(0));
            if part > 0 {
                parts.grants.push((grant.id, -part));
                left -= part;
            }
        }
        parts
    }

    /// The thresholds that the usage has come to and that were not told in this period; from now on they were.
    pub(crate) fn tell(&mut self, terms: &LevelTerms) -> Vec<u16> {
        let base = self.base(terms);
        let reached: Vec<u16> = terms
            .limit
            .thresholds
            .iter()
            .copied()
            .filter(|percent| *percent > self.told && base > 0 && self.used >= threshold(base, *percent))
            .collect();
        self.told = reached.last().copied().unwrap_or(self.told);
        reached
    }

    /// The usage that an event leads to.
    pub(crate) fn aggregated(&self, how: Aggregation, amount: i128, value: Option<u128>, at: i64) -> i128 {
        match how {
            Aggregation::Count | Aggregation::Sum => self.used + amount,
            Aggregation::Max => self.used.max(amount),
            Aggregation::Unique => {
                let is_new = value.is_some_and(|value| self.values.binary_search(&value).is_err());
                self.used + i128::from(is_new)
            }
            Aggregation::Latest => {
                if self.latest.is_none_or(|latest| latest <= at) {
                    amount
                } else {
                    self.used
                }
            }
        }
    }

    /// Remembers the value or the moment of an event.
    pub(crate) fn remember(&mut self, how: Aggregation, value: Option<u128>, at: i64) {
        match (how, value) {
            (Aggregation::Unique, Some(value)) => {
                if let Err(place) = self.values.binary_search(&value) {
                    self.values.insert(place, value);
                }
            }
            (Aggregation::Latest, _) => self.latest = Some(self.latest.map_or(at, |latest| latest.max(at))),
            _ => {}
        }
    }

    /// When more can be had: at the end of the period, or of the oldest part of a rolling window.
    pub(crate) fn resets_at(&self, terms: &LevelTerms) -> Option<Timestamp> {
        match terms.cycle.rolling() {
            Some((window, width)) => {
                let bucket = self.buckets.first()?;
                let end = bucket.number.saturating_add(1).saturating_mul(width);
                Some(moment(end.saturating_sub(1).saturating_add(window)))
            }
            None => self.period.end(),
        }
    }
}

/// The least usage that is so many per cent of a base.
fn threshold(base: i128, percent: u16) -> i128 {
    let product = base.saturating_mul(i128::from(percent));
    product / 100 + i128::from(product % 100 != 0)
}
