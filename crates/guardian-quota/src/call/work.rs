//! What a call does to settled accounts.

use guardian_core::Timestamp;
use uuid::Uuid;

use super::{Call, Step, denied};
use crate::account::{Account, Turned};
use crate::entry::{Effect, Effects, Entry, EntryKind, Extra};
use crate::grant::{GrantState, HoldState, Parts};
use crate::period::moment;
use crate::plan::Beyond;
use crate::terms::{Rung, Rungs};
use crate::{Decision, Error, Hold, Reason};

/// A call at work on settled accounts.
pub(super) struct Work<'a> {
    pub(super) call: &'a Call,
    pub(super) rungs: Rungs<'a>,
    pub(super) accounts: Vec<Account>,
    pub(super) turned: Vec<Turned>,
    pub(super) seq: u64,
    pub(super) now: i64,
}

impl Work<'_> {
    pub(super) fn consume(
        mut self,
        amount: i128,
        value: Option<u128>,
        recorded: Option<i64>,
    ) -> Result<Step, Error> {
        let how = self.call.terms.meter.aggregation;
        let at = recorded.unwrap_or(self.now);
        let force = recorded.is_some();
        if amount == 0 && how.adds_up() {
            return Ok(self.nothing(if force { Reason::Recorded } else { Reason::Within }));
        }
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
                    Err(refusal) => return Ok(Step::Unchanged(denied(rung, account, refusal))),
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
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else {
                continue;
            };
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

    pub(super) fn reserve(mut self, id: Uuid, amount: u64, expires: Timestamp) -> Result<Step, Error> {
        let wanted = i128::from(amount);
        let mut chosen = Vec::with_capacity(self.rungs.len());
        for (rung, account) in self.rungs.iter().zip(&self.accounts) {
            if account.holds.len() >= MAX_HOLDS {
                return Err(Error::range("the number of holds", "at most 4096 at a time and subject"));
            }
            match account.deduct(rung.terms, wanted, self.now, false) {
                Ok(parts) => chosen.push(parts),
                Err(refusal) => return Ok(Step::Unchanged(denied(rung, account, refusal))),
            }
        }
        let reason = self.reason(chosen.iter(), false);
        let until = expires.timestamp_micros();
        let mut effects = Vec::with_capacity(chosen.len());
        for (index, parts) in chosen.into_iter().enumerate() {
            let (now, turned) = (self.now, self.take_turned(index));
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else {
                continue;
            };
            account.take(&parts, now);
            let period = account.period;
            account.holds.push(HoldState {
                id,
                amount: wanted,
                parts: parts.clone(),
                expires: until,
                period,
            });
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

    pub(super) fn commit(mut self, id: Uuid, actual: i128, expires: Timestamp) -> Result<Step, Error> {
        let meter = &self.call.terms.meter;
        let held =
            self.accounts.first().and_then(|root| root.holds.iter().find(|hold| hold.id == id)).cloned();
        let Some(held) = held else {
            if expires.timestamp_micros() > self.now {
                return Ok(Step::NoHold);
            }
            // It expired. What was used may be used all the same.
            return match meter.late {
                Beyond::Refuse => Ok(Step::Unchanged(self.refused(Reason::HoldExpired))),
                rule => self.charge(id, actual, rule == Beyond::Always),
            };
        };
        if actual > held.amount && meter.excess == Beyond::Refuse {
            return Ok(Step::Unchanged(self.refused(Reason::ExceedsHold)));
        }
        let force = meter.excess == Beyond::Always;
        let excess = (actual - held.amount).max(0);
        let mut chosen = Vec::with_capacity(self.rungs.len());
        for index in 0..self.rungs.len() {
            let now = self.now;
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else {
                continue;
            };
            let place = account.holds.iter().position(|hold| hold.id == id);
            // A level that came under a limit after the hold was opened: it has to give everything now.
            let Some(place) = place else {
                match account.deduct(rung.terms, actual, now, force) {
                    Ok(parts) => chosen.push((parts, account.period)),
                    Err(refusal) => return Ok(Step::Unchanged(denied(rung, account, refusal))),
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
                    Ok(more) => {
                        parts = joined(
                            parts,
                            Parts { allowance: 0, over: more.allowance + more.over, grants: more.grants },
                        );
                    }
                    Err(refusal) => return Ok(Step::Unchanged(denied(rung, account, refusal))),
                }
            }
            chosen.push((parts, hold.period));
        }
        let reason = self.reason(chosen.iter().map(|(parts, _)| parts), force);
        let mut effects = Vec::with_capacity(chosen.len());
        for (index, (parts, period)) in chosen.into_iter().enumerate() {
            let (now, turned) = (self.now, self.take_turned(index));
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else {
                continue;
            };
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
                Err(refusal) => return Ok(Step::Unchanged(denied(rung, account, refusal))),
            }
        }
        let reason = self.reason(chosen.iter(), force);
        let mut effects = Vec::with_capacity(chosen.len());
        for (index, parts) in chosen.into_iter().enumerate() {
            let (now, turned) = (self.now, self.take_turned(index));
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else {
                continue;
            };
            account.take(&parts, now);
            account.spend(rung.terms, actual, &parts, now);
            let period = account.period;
            effects.push(effect(rung, account, parts, turned, period));
        }
        let extra = Extra { hold: Some(id), ..Extra::default() };
        Ok(self.done(EntryKind::Commit, actual, self.now, effects, Some(extra), reason))
    }

    pub(super) fn extend(mut self, id: Uuid, expires: i64) -> Step {
        let mut effects = Vec::with_capacity(self.rungs.len());
        let mut held = 0;
        for index in 0..self.rungs.len() {
            let turned = self.take_turned(index);
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else {
                continue;
            };
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
        let mut step =
            self.done(EntryKind::Extend, held, self.now, effects, Some(extra), (Reason::Within, 0));
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

    pub(super) fn release(mut self, id: Uuid) -> Step {
        let mut effects = Vec::with_capacity(self.rungs.len());
        let mut held = 0;
        for index in 0..self.rungs.len() {
            let turned = self.take_turned(index);
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else {
                continue;
            };
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

    pub(super) fn grant(mut self, grant: &GrantState) -> Result<Step, Error> {
        let last = self.rungs.len().saturating_sub(1);
        let mut effects = Vec::with_capacity(self.rungs.len());
        for index in 0..self.rungs.len() {
            let turned = self.take_turned(index);
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else {
                continue;
            };
            if index == last {
                if account.grants.len() >= MAX_GRANTS {
                    account.drop_used_up();
                }
                if account.grants.len() >= MAX_GRANTS {
                    return Err(Error::range(
                        "the number of grants",
                        "at most 256 a subject that are not used up",
                    ));
                }
                account.add_grant(grant.clone());
            }
            let period = account.period;
            effects.push(effect(rung, account, Parts::default(), turned, period));
        }
        let extra = Extra { grant: Some(grant.clone()), ..Extra::default() };
        Ok(self.done(EntryKind::Grant, grant.amount, self.now, effects, Some(extra), (Reason::Within, 0)))
    }

    pub(super) fn adjust(mut self, amount: i128) -> Result<Step, Error> {
        // Of an administrator's correction the reason is worth an entry.
        if amount == 0 && self.call.note.is_none() {
            return Ok(self.nothing(Reason::Recorded));
        }
        let mut effects = Vec::with_capacity(self.rungs.len());
        for index in 0..self.rungs.len() {
            let (now, turned) = (self.now, self.take_turned(index));
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else {
                continue;
            };
            if rung.terms.cycle.rolling().is_some() {
                return Err(Error::kind(
                    &self.call.terms.feature,
                    "has a rolling window, which cannot be corrected",
                ));
            }
            if account.used + amount < 0 {
                let subject = self.call.subject.at(rung.level).unwrap_or_else(crate::Subject::org);
                return Err(Error::MoreThanUsed { subject: subject.to_string(), used: account.used });
            }
            let parts = if amount < 0 {
                account.give_back(-amount)
            } else {
                match account.deduct(rung.terms, amount, now, true) {
                    Ok(parts) => parts,
                    Err(refusal) => return Ok(Step::Unchanged(denied(rung, account, refusal))),
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
    pub(super) fn reset(mut self) -> Result<Step, Error> {
        if self.rungs.last().is_none_or(|rung| rung.level != self.call.subject.level()) {
            return Err(Error::kind(
                &self.call.terms.feature,
                "has no limit at that level, so nothing is counted there",
            ));
        }
        let last = self.rungs.len().saturating_sub(1);
        let mut effects = Vec::with_capacity(self.rungs.len());
        let mut gone = 0;
        for index in 0..self.rungs.len() {
            let (now, turned) = (self.now, self.take_turned(index));
            let (Some(rung), Some(account)) = (self.rungs.get(index), self.accounts.get_mut(index)) else {
                continue;
            };
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

    /// Nothing was used, and nothing is written.
    fn nothing(&self, reason: Reason) -> Step {
        Step::Unchanged(self.call.allowed(&self.rungs, &self.accounts, reason, 0, self.now))
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
        let beyond =
            self.rungs.iter().zip(parts).find(|(rung, parts)| parts.over > 0 && !rung.terms.is_unlimited);
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

/// The most grants of one account: it is written as a whole with every call.
const MAX_GRANTS: usize = 256;
/// The most holds of one account.
const MAX_HOLDS: usize = 4096;

fn effect(rung: &Rung<'_>, account: &Account, parts: Parts, turned: Turned, period: crate::Period) -> Effect {
    let Turned { rolled, from } = turned;
    Effect {
        level: rung.level,
        period,
        parts,
        rolled,
        from,
        told: Vec::new(),
        base: None,
        used: account.used,
    }
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
