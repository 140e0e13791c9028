//! One call, and what it does to the accounts: a pure function, the same for every store.

use std::hash::Hasher;
use std::sync::Arc;

use guardian_core::{Scope, Timestamp};
use siphasher::sip128::{Hasher128, SipHasher13};
use uuid::Uuid;

use crate::account::{Account, Refusal, Turned};
use crate::entry::{Entry, EntryKind};
use crate::grant::GrantState;
use crate::period::moment;
use crate::terms::{MeterTerms, Rung, Rungs};
use crate::{Decision, Error, EventKey, Hold, Level, Reason, Subject};

mod work;

use work::Work;

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
    /// Of the catalog of plans that the terms are from.
    pub(crate) epoch: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum Action {
    Consume {
        amount: u64,
        value: Option<u128>,
    },
    Record {
        amount: u64,
        value: Option<u128>,
        at: Timestamp,
    },
    Reserve {
        id: Uuid,
        amount: u64,
        expires: Timestamp,
        ttl: u64,
    },
    Commit {
        id: Uuid,
        amount: u64,
        expires: Timestamp,
    },
    Extend {
        id: Uuid,
        expires: Timestamp,
    },
    Release {
        id: Uuid,
    },
    /// `starts` is the start that the caller named.
    Grant {
        grant: GrantState,
        starts: Option<i64>,
    },
    Adjust {
        amount: i128,
    },
    Reset,
}

/// What a call comes to.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing changes: it is denied, or there is nothing to do.
    Unchanged(Decision),
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
            Action::Grant { grant, .. } => own("grant", &grant.id),
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
            Action::Grant { grant, starts } => {
                let at = |moment: i64| u128::from(moment.cast_unsigned());
                let numbers = [grant.amount.cast_unsigned(), grant.priority.into(), at(grant.expires)];
                put(7, &numbers);
                put(u8::from(starts.is_some()), &[at(starts.unwrap_or(0))]);
            }
            Action::Adjust { amount } => put(8, &[amount.cast_unsigned()]),
            Action::Reset => put(9, &[]),
        }
        put(0, &[self.subject.digest()]);
        hasher.finish128().as_u128()
    }

    /// The accounts that it touches, the organisation's first.
    pub(crate) fn rungs(&self) -> Rungs<'_> {
        let mut rungs = self.terms.rungs(&self.subject);
        if let Action::Grant { .. } = self.action {
            // A grant is the subject's alone; the organisation's account comes along for the entry's number.
            rungs.retain(|rung| rung.level == Level::Org);
            if self.subject.level() != Level::Org {
                let (level, digest) = (self.subject.level(), self.subject.digest());
                let terms = self.terms.of(&self.subject);
                rungs.push(Rung { level, digest, terms, tag: terms.tag, is_unlimited: terms.is_unlimited });
            }
        }
        rungs
    }

    /// What the same call was told before.
    pub(crate) fn replayed(&self, entry: &Entry, accounts: &[Account]) -> Result<Decision, Error> {
        if entry.fingerprint() != self.fingerprint() {
            return Err(match &self.action {
                Action::Commit { id, .. } | Action::Release { id } => Error::HoldClosed {
                    hold: *id,
                    committed: (entry.kind == EntryKind::Commit).then_some(entry.amount),
                },
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
        let settle =
            |(rung, account): (&Rung<'_>, &mut Account)| account.settle(rung.terms, rung.digest, now);
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
            Action::Record { amount, value, at } => {
                work.consume((*amount).into(), *value, Some(at.timestamp_micros()))
            }
            Action::Reserve { id, amount, expires, .. } => work.reserve(*id, *amount, *expires),
            Action::Commit { id, amount, expires } => work.commit(*id, (*amount).into(), *expires),
            Action::Extend { id, expires } => Ok(work.extend(*id, expires.timestamp_micros())),
            Action::Release { id } => Ok(work.release(*id)),
            Action::Grant { grant, .. } => work.grant(grant),
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

    fn allowed(
        &self,
        rungs: &[Rung<'_>],
        accounts: &[Account],
        reason: Reason,
        beyond: i128,
        now: i64,
    ) -> Decision {
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
