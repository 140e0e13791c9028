//! One call, and what it does to the accounts: a pure function, the same for every store.

use std::hash::Hasher;
use std::sync::Arc;

use guardian_core::{Scope, Timestamp};
use siphasher::sip128::{Hasher128, SipHasher13};
use uuid::Uuid;

use crate::account::{Account, Refusal, Turned};
use crate::entry::{Effect, Effects, Entry, EntryKind, Extra};
use crate::grant::{GrantState, HoldState, Parts};
use crate::period::moment;
use crate::plan::Beyond;
use crate::terms::{MeterTerms, Rung, Rungs};
use crate::{Decision, Error, EventKey, Hold, Level, Reason, Subject};

/// One call as a store sees it: data, and everything that the decision needs besides the accounts.
#[derive(Debug, Clone)]
pub struct Call {
    pub(crate) scope: Scope,
    pub(crate) terms: Arc<MeterTerms>,
    pub(crate) subject: Subject,
    pub(crate) action: Action,
    pub(crate) key: Option<EventKey>,
    pub(crate) note: Option<Box<str>>,
    pub(crate) now: Timestamp,
}

#[derive(Debug, Clone)]
pub(crate) enum Action {
    Consume { amount: u64, value: Option<u128> },
    Record { amount: u64, value: Option<u128>, at: Timestamp },
    Reserve { id: Uuid, amount: u64, expires: Timestamp, ttl: u64 },
    Commit { id: Uuid, amount: u64, expires: Timestamp },
    Extend { id: Uuid, expires: Timestamp },
    Release { id: Uuid },
    Grant(GrantState),
    Adjust { amount: i128 },
    Reset,
}

/// What a call comes to.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing changes.
    Denied(Decision),
    /// The accounts become these, and the entry is written with them.
    Done { accounts: Vec<Account>, entry: Box<Entry>, decision: Decision },
    /// The hold that it is about is not there: somebody closed it, or nobody opened it.
    NoHold,
}

impl Call {
    /// Whose data.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Of which meter.
    #[must_use]
    pub fn terms(&self) -> &MeterTerms {
        &self.terms
    }

    /// By whom.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// When.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The id under which the entry is found again: the caller's, or one that follows from what the call is about.
    pub(crate) fn identity(&self) -> Option<EventKey> {
        let own = |prefix: &str, id: &Uuid| EventKey::new(format!("{prefix}:{id}")).ok();
        match &self.action {
            Action::Commit { id, .. } | Action::Release { id } => own("close", id),
            Action::Grant(grant) => own("grant", &grant.id),
            _ => self.key.clone(),
        }
    }

    /// The hold that it is about.
    pub(crate) fn hold(&self) -> Option<Uuid> {
        match &self.action {
            Action::Commit { id, .. } | Action::Release { id } | Action::Extend { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// What two calls of one identity must agree on.
    pub(crate) fn fingerprint(&self) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(0, 2);
        let mut put = |kind: u8, numbers: &[u128]| {
            hasher.write(&[kind]);
            for number in numbers {
                hasher.write(&number.to_be_bytes());
            }
        };
        match &self.action {
            Action::Consume { amount, value } => put(1, &[(*amount).into(), value.unwrap_or(0)]),
            Action::Record { amount, value, at } => {
                put(2, &[(*amount).into(), value.unwrap_or(0), at.timestamp_micros().cast_unsigned().into()]);
            }
            Action::Reserve { amount, ttl, .. } => put(3, &[(*amount).into(), (*ttl).into()]),
            Action::Commit { amount, .. } => put(4, &[(*amount).into()]),
            Action::Release { .. } => put(5, &[]),
            Action::Extend { expires, .. } => put(6, &[expires.timestamp_micros().cast_unsigned().into()]),
            Action::Grant(grant) => put(7, &[grant.amount.cast_unsigned(), grant.priority.into()]),
            Action::Adjust { amount } => put(8, &[amount.cast_unsigned()]),
            Action::Reset => put(9, &[]),
        }
        put(0, &[self.subject.digest()]);
        hasher.finish128().as_u128()
    }

    /// The accounts that it touches, the organisation's first.
    pub(crate) fn rungs(&self) -> Rungs<'_> {
        let mut rungs = self.terms.rungs(&self.subject);
        if let Action::Grant(_) = self.action {
            // A grant is the subject's alone; the organisation's account comes along for the entry's number.
            rungs.retain(|rung| rung.level == Level::Org);
            if self.subject.level() != Level::Org {
                let (level, digest) = (self.subject.level(), self.subject.digest());
                rungs.push(Rung { level, digest, terms: self.terms.of(&self.subject) });
            }
        }
        rungs
    }

    /// What the same call was told before.
    pub(crate) fn replayed(&self, entry: &Entry, accounts: &[Account]) -> Result<Decision, Error> {
        if entry.fingerprint() != self.fingerprint() {
            return Err(match &self.action {
                Action::Commit { id, .. } | Action::Release { id } => Error::HoldClosed { hold: *id },
                _ => Error::KeyReused { key: self.identity().map(|key| key.to_string()).unwrap_or_default() },
            });
        }
        let rungs = self.rungs();
        let mut settled = accounts.to_vec();
        let now = self.time(&settled);
        self.settle(&rungs, &mut settled, now);
        let beyond = entry.beyond();
        let mut decision = self.allowed(&rungs, &settled, Reason::Within, beyond, now);
        (decision.entry, decision.replayed) = (Some(entry.seq), true);
        if let (EntryKind::Reserve, Some(extra)) = (entry.kind, &entry.extra)
            && let (Some(id), Some(expires)) = (extra.hold, extra.expires)
        {
            decision.hold = Some(Hold {
                id,
                feature: self.terms.feature.clone(),
                subject: entry.subject.clone(),
                amount: u64::try_from(entry.amount).unwrap_or(0),
                expires: moment(expires),
            });
        }
        Ok(decision)
    }

    /// The time of the call: not before that of the last entry.
    pub(crate) fn time(&self, accounts: &[Account]) -> i64 {
        let now = self.now.timestamp_micros();
        accounts.first().map_or(now, |root| now.max(root.seen))
    }

    fn settle(&self, rungs: &[Rung<'_>], accounts: &mut [Account], now: i64) -> Vec<Turned> {
        let settle = |(rung, account): (&Rung<'_>, &mut Account)| account.settle(rung.terms, rung.digest, now);
        rungs.iter().zip(accounts).map(settle).collect()
    }

    /// What the call comes to on these accounts, one for each of [`Self::rungs`]. `seq` is the number of the last entry.
    pub(crate) fn run(&self, mut accounts: Vec<Account>, seq: u64) -> Result<Step, Error> {
        let rungs = self.rungs();
        let now = self.time(&accounts);
        let turned = self.settle(&rungs, &mut accounts, now);
        let work = Work { call: self, rungs, accounts, turned, seq, now };
        match &self.action {
            Action::Consume { amount, value } => work.consume((*amount).into(), *value, None),
            Action::Record { amount, value, at } => work.consume((*amount).into(), *value, Some(at.timestamp_micros())),
            Action::Reserve { id, amount, expires, .. } => work.reserve(*id, *amount, *expires),
            Action::Commit { id, amount, expires } => work.commit(*id, (*amount).into(), *expires),
            Action::Extend { id, expires } => Ok(work.extend(*id, expires.timestamp_micros())),
            Action::Release { id } => Ok(work.release(*id)),
            Action::Grant(grant) => Ok(work.grant(grant)),
            Action::Adjust { amount } => work.adjust(*amount),
            Action::Reset => work.reset(),
        }
    }

    /// Whether the call could be had, without doing it.
    pub(crate) fn look(&self, mut accounts: Vec<Account>) -> Decision {
        let rungs = self.rungs();
        let now = self.time(&accounts);
        self.settle(&rungs, &mut accounts, now);
        let (amount, value) = match self.action {
            Action::Consume { amount, value } => (i128::from(amount), value),
            _ => (0, None),
        };
        let how = self.terms.meter.aggregation;
        let mut reason = (Reason::Within, 0);
        for (rung, account) in rungs.iter().zip(&accounts) {
            let demand = account.aggregated(how, amount, value, now) - account.used;
            match account.deduct(rung.terms, demand.max(0), now, false) {
                Ok(parts) if parts.over > 0 && !rung.terms.is_unlimited => {
                    reason = (Account::reason_beyond(rung.terms), parts.over);
                }
                Ok(_) => {}
                Err(refusal) => return denied(rung, account, refusal),
            }
        }
        self.allowed(&rungs, &accounts, reason.0, reason.1, now)
    }

    fn allowed(&self, rungs: &[Rung<'_>], accounts: &[Account], reason: Reason, beyond: i128, now: i64) -> Decision {
        let left = |(rung, account): &(&Rung<'_>, &Account)| {
            account.available(rung.terms, now).unwrap_or(if rung.terms.is_unlimited {
                i128::MAX
            } else {
                i128::MAX / 2 + account.included(rung.terms, now)
            })
        };
        let binding = rungs.iter().zip(accounts).min_by_key(left);
        let mut decision = Decision {
            allowed: true,
            reason,
            level: Level::Org,
            limit: None,
            used: 0,
            remaining: None,
            beyond,
            resets_at: None,
            entry: None,
            replayed: false,
            hold: None,
        };
        if let Some((rung, account)) = binding {
            decision.level = rung.level;
            decision.limit = (!rung.terms.is_unlimited)
                .then(|| u64::try_from(rung.terms.allowance(account.period.start)).unwrap_or(u64::MAX));
            decision.used = account.used;
            decision.remaining = account.available(rung.terms, now);
            decision.resets_at = account.resets_at(rung.terms);
        }
        decision
    }
}

fn denied(rung: &Rung<'_>, account: &Account, refusal: Refusal) -> Decision {
    Decision {
        allowed: false,
        reason: refusal.reason,
        level: rung.level,
        limit: Some(u64::try_from(rung.terms.allowance(account.period.start)).unwrap_or(u64::MAX)),
        used: account.used,
        remaining: Some(refusal.available),
        beyond: 0,
        resets_at: account.resets_at(rung.terms),
        entry: None,
        replayed: false,
        hold: None,
    }
}

/// A call at work on settled accounts.
struct Work<'a> {
    call: &'a Call,
    rungs: Rungs<'a>,
    accounts: Vec<Account>,
    turned: Vec<Turned>,
    seq: u64,
    now: i64,
}

impl Work<'_> {
    fn consume(mut self, amount: i128, value: Option<u128>, recorded: Option<i64>) -> Result<Step, Error> {
        let how = self.call.terms.meter.aggregation;
        let at = recorded.unwrap_or(self.now);
        let force = recorded.is_some();
        let mut chosen = Vec::with_capacity(self.rungs.len());
        for (rung, account) in self.rungs.iter().zip(&self.accounts) {
            // What happened in a period that is over corrects that period, and leaves the present one alone.
            let period = match rung.terms.cycle.rolling() {
                Some((window, _)) if force && at <= self.now.saturating_sub(window) => Some(account.period),
                None if force && at < account.period.start => Some(rung.terms.cycle.at(at)),
                _ => None,
            };
            if let Some(period) = period {
                chosen.push((0, Parts::default(), Some(period)));
                continue;
            }
            let usage = account.aggregated(how, amount, value, at);
            let demand = usage - account.used;
            let parts = if demand < 0 {
                account.give_back(-demand)
            } else {
                match account.deduct(rung.terms, demand, self.now, force) {
                    Ok(parts) => parts,
                    Err(refusal) => return Ok(Step::Denied(denied(rung, account, refusal))),
                }
            };
            if how == crate::Aggregation::Unique && usage > i128::from(crate::Aggregation::MAX_UNIQUE) {
                return Err(Error::range("the number of different values", "at most 10000 a period"));
            }
            chosen.push((demand, parts, None));
        }
        let is_late = chosen.iter().any(|(.., period)| period.is_some());
        let reason = self.reason(chosen.iter().map(|(_, parts, _)| parts), force);
        let mut effects = Vec::with_capacity(chosen.len());
        for (index, (demand, parts, late)) in chosen.into_iter().enumerate() {
            let (now, turned) = (self.now, self.take_turned(index));
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else { continue };
            if late.is_none() {
                account.take(&parts, now);
                account.spend(rung.terms, demand, &parts, at);
                account.remember(how, value, at);
            }
            effects.push(effect(rung, account, parts, turned, late.unwrap_or(account.period)));
        }
        let extra = value.map(|value| Extra { value: Some(value), ..Extra::default() });
        let kind = if is_late { EntryKind::Adjust } else { EntryKind::Consume };
        Ok(self.done(kind, amount, at, effects, extra, reason))
    }

    fn reserve(mut self, id: Uuid, amount: u64, expires: Timestamp) -> Result<Step, Error> {
        let wanted = i128::from(amount);
        let mut chosen = Vec::with_capacity(self.rungs.len());
        for (rung, account) in self.rungs.iter().zip(&self.accounts) {
            if account.holds.len() >= MAX_HOLDS {
                return Err(Error::range("the number of holds", "at most 4096 at a time and subject"));
            }
            match account.deduct(rung.terms, wanted, self.now, false) {
                Ok(parts) => chosen.push(parts),
                Err(refusal) => return Ok(Step::Denied(denied(rung, account, refusal))),
            }
        }
        let reason = self.reason(chosen.iter(), false);
        let until = expires.timestamp_micros();
        let mut effects = Vec::with_capacity(chosen.len());
        for (index, parts) in chosen.into_iter().enumerate() {
            let (now, turned) = (self.now, self.take_turned(index));
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else { continue };
            account.take(&parts, now);
            let period = account.period;
            account.holds.push(HoldState { id, amount: wanted, parts: parts.clone(), expires: until, period });
            effects.push(effect(rung, account, parts, turned, period));
        }
        let extra = Extra { hold: Some(id), expires: Some(until), ..Extra::default() };
        let mut step = self.done(EntryKind::Reserve, wanted, i64::MIN, effects, Some(extra), reason);
        if let Step::Done { decision, entry, .. } = &mut step {
            decision.hold = Some(Hold {
                id,
                feature: self.call.terms.feature.clone(),
                subject: entry.subject.clone(),
                amount,
                expires,
            });
        }
        Ok(step)
    }

    fn commit(mut self, id: Uuid, actual: i128, expires: Timestamp) -> Result<Step, Error> {
        let meter = &self.call.terms.meter;
        let held = self.accounts.first().and_then(|root| root.holds.iter().find(|hold| hold.id == id)).cloned();
        let Some(held) = held else {
            if expires.timestamp_micros() > self.now {
                return Ok(Step::NoHold);
            }
            // It expired. What was used may be used all the same.
            return match meter.late {
                Beyond::Refuse => Ok(Step::Denied(self.refused(Reason::HoldExpired))),
                rule => self.charge(id, actual, rule == Beyond::Always),
            };
        };
        if actual > held.amount && meter.excess == Beyond::Refuse {
            return Ok(Step::Denied(self.refused(Reason::ExceedsHold)));
        }
        let force = meter.excess == Beyond::Always;
        let excess = (actual - held.amount).max(0);
        let mut chosen = Vec::with_capacity(self.rungs.len());
        for index in 0..self.rungs.len() {
            let now = self.now;
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else { continue };
            let place = account.holds.iter().position(|hold| hold.id == id);
            // A level that came under a limit after the hold was opened: it has to give everything now.
            let Some(place) = place else {
                match account.deduct(rung.terms, actual, now, force) {
                    Ok(parts) => chosen.push((parts, account.period)),
                    Err(refusal) => return Ok(Step::Denied(denied(rung, account, refusal))),
                }
                continue;
            };
            let hold = account.holds.remove(place);
            account.free(&hold);
            let mut parts = spent_of(account, &hold.parts, actual);
            if excess > 0 {
                // What was held is taken again first, so that the excess finds what is left besides.
                let mut besides = account.clone();
                if hold.period == besides.period {
                    besides.take(&hold.parts, now);
                } else {
                    besides.take(&Parts { grants: hold.parts.grants.clone(), ..Parts::default() }, now);
                }
                match besides.deduct(rung.terms, excess, now, force) {
                    Ok(more) if hold.period == besides.period => parts = joined(parts, more),
                    // The excess is of today, what was held of a period that is over.
                    Ok(more) => parts = joined(parts, Parts { allowance: 0, over: more.allowance + more.over, grants: more.grants }),
                    Err(refusal) => return Ok(Step::Denied(denied(rung, account, refusal))),
                }
            }
            chosen.push((parts, hold.period));
        }
        let reason = self.reason(chosen.iter().map(|(parts, _)| parts), force);
        let mut effects = Vec::with_capacity(chosen.len());
        for (index, (parts, period)) in chosen.into_iter().enumerate() {
            let (now, turned) = (self.now, self.take_turned(index));
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else { continue };
            if period == account.period {
                account.take(&parts, now);
                account.spend(rung.terms, actual, &parts, now);
            } else {
                // Spending of the period that it was held in, which is over.
                account.take(&Parts { grants: parts.grants.clone(), ..Parts::default() }, now);
            }
            effects.push(effect(rung, account, parts, turned, period));
        }
        let extra = Extra { hold: Some(id), ..Extra::default() };
        Ok(self.done(EntryKind::Commit, actual, self.now, effects, Some(extra), reason))
    }

    /// A commit whose hold is gone: it is charged like a new call.
    fn charge(mut self, id: Uuid, actual: i128, force: bool) -> Result<Step, Error> {
        let mut chosen = Vec::with_capacity(self.rungs.len());
        for (rung, account) in self.rungs.iter().zip(&self.accounts) {
            match account.deduct(rung.terms, actual, self.now, force) {
                Ok(parts) => chosen.push(parts),
                Err(refusal) => return Ok(Step::Denied(denied(rung, account, refusal))),
            }
        }
        let reason = self.reason(chosen.iter(), force);
        let mut effects = Vec::with_capacity(chosen.len());
        for (index, parts) in chosen.into_iter().enumerate() {
            let (now, turned) = (self.now, self.take_turned(index));
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else { continue };
            account.take(&parts, now);
            account.spend(rung.terms, actual, &parts, now);
            let period = account.period;
            effects.push(effect(rung, account, parts, turned, period));
        }
        let extra = Extra { hold: Some(id), ..Extra::default() };
        Ok(self.done(EntryKind::Commit, actual, self.now, effects, Some(extra), reason))
    }

    fn extend(mut self, id: Uuid, expires: i64) -> Step {
        let mut effects = Vec::with_capacity(self.rungs.len());
        let mut held = 0;
        for index in 0..self.rungs.len() {
            let turned = self.take_turned(index);
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else { continue };
            let period = match account.holds.iter_mut().find(|hold| hold.id == id) {
                Some(hold) => {
                    // Never shorter.
                    hold.expires = hold.expires.max(expires);
                    held = hold.amount;
                    hold.period
                }
                None if index == 0 => return Step::NoHold,
                None => account.period,
            };
            effects.push(effect(rung, account, Parts::default(), turned, period));
        }
        let extra = Extra { hold: Some(id), expires: Some(expires), ..Extra::default() };
        let mut step = self.done(EntryKind::Extend, held, self.now, effects, Some(extra), (Reason::Within, 0));
        if let Step::Done { decision, .. } = &mut step {
            decision.hold = Some(Hold {
                id,
                feature: self.call.terms.feature.clone(),
                subject: self.call.subject.clone(),
                amount: u64::try_from(held).unwrap_or(0),
                expires: moment(expires),
            });
        }
        step
    }

    fn release(mut self, id: Uuid) -> Step {
        let mut effects = Vec::with_capacity(self.rungs.len());
        let mut held = 0;
        for index in 0..self.rungs.len() {
            let turned = self.take_turned(index);
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else { continue };
            let place = account.holds.iter().position(|hold| hold.id == id);
            let period = match place {
                Some(place) => {
                    let hold = account.holds.remove(place);
                    account.free(&hold);
                    held = hold.amount;
                    hold.period
                }
                None if index == 0 => return Step::NoHold,
                None => account.period,
            };
            effects.push(effect(rung, account, Parts::default(), turned, period));
        }
        let extra = Extra { hold: Some(id), ..Extra::default() };
        self.done(EntryKind::Release, held, self.now, effects, Some(extra), (Reason::Within, 0))
    }

    fn grant(mut self, grant: &GrantState) -> Step {
        let last = self.rungs.len().saturating_sub(1);
        let mut effects = Vec::with_capacity(self.rungs.len());
        for index in 0..self.rungs.len() {
            let turned = self.take_turned(index);
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else { continue };
            if index == last {
                account.add_grant(grant.clone());
            }
            let period = account.period;
            effects.push(effect(rung, account, Parts::default(), turned, period));
        }
        let extra = Extra { grant: Some(grant.clone()), ..Extra::default() };
        self.done(EntryKind::Grant, grant.amount, self.now, effects, Some(extra), (Reason::Within, 0))
    }

    fn adjust(mut self, amount: i128) -> Result<Step, Error> {
        let mut effects = Vec::with_capacity(self.rungs.len());
        for index in 0..self.rungs.len() {
            let (now, turned) = (self.now, self.take_turned(index));
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else { continue };
            if rung.terms.cycle.rolling().is_some() {
                return Err(Error::kind(&self.call.terms.feature, "has a rolling window, which cannot be corrected"));
            }
            if account.used + amount < 0 {
                return Err(Error::range("the correction", "no more than what was used in the period"));
            }
            let parts = if amount < 0 {
                account.give_back(-amount)
            } else {
                match account.deduct(rung.terms, amount, now, true) {
                    Ok(parts) => parts,
                    Err(refusal) => return Ok(Step::Denied(denied(rung, account, refusal))),
                }
            };
            account.take(&parts, now);
            account.spend(rung.terms, amount, &parts, now);
            let period = account.period;
            effects.push(effect(rung, account, parts, turned, period));
        }
        Ok(self.done(EntryKind::Adjust, amount, self.now, effects, None, (Reason::Recorded, 0)))
    }

    /// Sets the spending of the subject's own period to nothing; those above keep theirs.
    fn reset(mut self) -> Result<Step, Error> {
        if self.rungs.last().is_none_or(|rung| rung.level != self.call.subject.level()) {
            return Err(Error::kind(&self.call.terms.feature, "has no limit at that level, so nothing is counted there"));
        }
        let last = self.rungs.len().saturating_sub(1);
        let mut effects = Vec::with_capacity(self.rungs.len());
        let mut gone = 0;
        for index in 0..self.rungs.len() {
            let (now, turned) = (self.now, self.take_turned(index));
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else { continue };
            let mut parts = Parts::default();
            if index == last {
                gone = account.used;
                parts = account.give_back(gone);
                account.take(&parts, now);
                account.used = 0;
            }
            let period = account.period;
            effects.push(effect(rung, account, parts, turned, period));
        }
        Ok(self.done(EntryKind::Reset, -gone, self.now, effects, None, (Reason::Recorded, 0)))
    }

    fn refused(&self, reason: Reason) -> Decision {
        let mut decision = self.call.allowed(&self.rungs, &self.accounts, reason, 0, self.now);
        decision.allowed = false;
        decision
    }

    fn take_turned(&mut self, index: usize) -> Turned {
        self.turned.get_mut(index).map(std::mem::take).unwrap_or_default()
    }

    /// Why it is allowed, and how much goes beyond the outermost limit that it exceeds.
    fn reason<'p>(&self, parts: impl Iterator<Item = &'p Parts>, force: bool) -> (Reason, i128) {
        let beyond = self.rungs.iter().zip(parts).find(|(rung, parts)| parts.over > 0 && !rung.terms.is_unlimited);
        match beyond {
            Some((rung, parts)) => (Account::reason_beyond(rung.terms), parts.over),
            None => (if force { Reason::Recorded } else { Reason::Within }, 0),
        }
    }

    fn done(
        &mut self,
        kind: EntryKind,
        amount: i128,
        at: i64,
        mut effects: Vec<Effect>,
        extra: Option<Extra>,
        (reason, beyond): (Reason, i128),
    ) -> Step {
        let call = self.call;
        for ((rung, account), effect) in self.rungs.iter().zip(&mut self.accounts).zip(&mut effects) {
            if kind.is_spending() && effect.period == account.period {
                effect.told = account.tell(rung.terms);
                if !effect.told.is_empty() {
                    effect.base = Some(account.base(rung.terms));
                }
                effect.used = account.used;
            }
            account.look_ahead(rung.terms);
        }
        let mut extra = extra;
        if let Some(key) = call.identity() {
            let extra = extra.get_or_insert_default();
            (extra.key, extra.fingerprint) = (Some(key), call.fingerprint());
        }
        if let Some(note) = &call.note {
            extra.get_or_insert_default().note = Some(note.clone());
        }
        if let Some(root) = self.accounts.first_mut() {
            root.seen = self.now;
        }
        let decision = call.allowed(&self.rungs, &self.accounts, reason, beyond, self.now);
        let seq = self.seq + 1;
        let entry = Entry {
            seq,
            subject: call.subject.clone(),
            kind,
            amount,
            at: if at == i64::MIN { self.now } else { at },
            recorded: self.now,
            actor: call.scope.actor().clone(),
            billed: call.terms.meter.billed,
            effects: Effects::Detailed(effects.into_boxed_slice()).compact(amount),
            extra: extra.map(Box::new),
        };
        Step::Done {
            accounts: std::mem::take(&mut self.accounts),
            entry: Box::new(entry),
            decision: Decision { entry: Some(seq), ..decision },
        }
    }
}

/// The most holds of one account.
pub(crate) const MAX_HOLDS: usize = 4096;

fn effect(rung: &Rung<'_>, account: &Account, parts: Parts, turned: Turned, period: crate::Period) -> Effect {
    let Turned { rolled, from } = turned;
    Effect { level: rung.level, period, parts, rolled, from, told: Vec::new(), base: None, used: account.used }
}

/// The part of a hold that was spent: what is used up first, as when it was taken.
fn spent_of(account: &Account, held: &Parts, actual: i128) -> Parts {
    let mut left = actual.min(held.total());
    let mut spent = Parts::default();
    let is_behind = |id: &Uuid| {
        account.grants.iter().any(|grant| grant.id == *id && grant.priority >= crate::Grant::ALLOWANCE)
    };
    let (behind, before): (Vec<_>, Vec<_>) = held.grants.iter().partition(|(id, _)| is_behind(id));
    let mut spend = |left: &mut i128, grants: Vec<&(Uuid, i128)>| {
        for (id, amount) in grants {
            let part = (*left).min(*amount);
            if part > 0 {
                spent.grants.push((*id, part));
                *left -= part;
            }
        }
    };
    spend(&mut left, before);
    let allowance = left.min(held.allowance);
    left -= allowance;
    spend(&mut left, behind);
    (spent.allowance, spent.over) = (allowance, left);
    spent
}

fn joined(mut parts: Parts, more: Parts) -> Parts {
    parts.allowance += more.allowance;
    parts.over += more.over;
    for (id, amount) in more.grants {
        match parts.grants.iter_mut().find(|(each, _)| *each == id) {
            Some((_, sum)) => *sum += amount,
            None => parts.grants.push((id, amount)),
        }
    }
    parts
}

impl Effects {
    /// The short form, where it says the same.
    fn compact(self, amount: i128) -> Self {
        let Self::Detailed(effects) = &self else { return self };
        let Some(first) = effects.first() else { return self };
        let is_plain = effects.iter().all(|effect| {
            effect.period == first.period
                && effect.parts.allowance == amount
                && effect.parts.over == 0
                && effect.parts.grants.is_empty()
                && effect.rolled.is_empty()
                && effect.from.is_none()
                && effect.told.is_empty()
        });
        if !is_plain {
            return self;
        }
        let levels = effects.iter().fold(0, |levels, effect| levels | 1 << effect.level.index());
        Self::Plain(first.period, levels)
    }
}
