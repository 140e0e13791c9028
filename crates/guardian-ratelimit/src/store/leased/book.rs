//! What a process holds of each counter.

use std::collections::VecDeque;
use std::time::Duration;

use foldhash::HashMap;
use guardian_core::{MonoTime, TenantId};

use crate::store::{Item, OwnedSubject};
use crate::{PolicyName, Realm, Rule};

/// The name of a counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Counter {
    tenant: Option<TenantId>,
    policy: PolicyName,
    subject: OwnedSubject,
}

impl Counter {
    pub(super) fn new(realm: Realm<'_>, item: &Item<'_>) -> Self {
        Self { tenant: realm.tenant().cloned(), policy: item.name.clone(), subject: item.subject.into() }
    }
}

/// Tokens of one counter that are charged at the remote store and not spent yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    pub(super) tokens: u32,
    /// As many as the last taking left, which nothing put back exceeds.
    granted: u32,
    pub(super) charged_at: MonoTime,
    expires: MonoTime,
    rule: Rule,
    /// One call is taking more for this counter.
    taking: bool,
    /// What the remote store said when it was last asked: the room left, and when the counter is as good as new.
    pub(super) room: u32,
    pub(super) new_at: MonoTime,
    serial: u64,
}

/// The leases of some realms, behind one lock.
#[derive(Debug, Default)]
pub(super) struct Book {
    leases: HashMap<Counter, Lease>,
    /// The counters by age. An entry whose serial is not the lease's is of an earlier lease.
    by_age: VecDeque<(Counter, u64)>,
    next: u64,
}

/// What there is for an item.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// Tokens to spend, for now.
    pub(super) lease: Option<Lease>,
    /// Tokens that have expired, to be put back at the remote store.
    pub(super) expired: Option<(u32, MonoTime)>,
}

impl Book {
    /// The lease that holds for this rule now; one that does not is dropped.
    pub(super) fn find(&mut self, counter: &Counter, rule: &Rule, now: MonoTime) -> Found {
        let Some(lease) = self.leases.get(counter).copied() else {
            return Found { lease: None, expired: None };
        };
        let fits = lease.rule == *rule;
        if fits && (lease.expires > now || lease.taking) {
            let tokens = if lease.expires > now { lease.tokens } else { 0 };
            return Found { lease: Some(Lease { tokens, ..lease }), expired: None };
        }
        self.leases.remove(counter);
        Found { lease: None, expired: (fits && lease.tokens > 0).then_some((lease.tokens, lease.charged_at)) }
    }

    pub(super) fn spend(&mut self, counter: &Counter, tokens: u32) {
        if let Some(lease) = self.leases.get_mut(counter) {
            lease.tokens = lease.tokens.saturating_sub(tokens);
        }
    }

    /// Puts tokens back that were not spent after all. Of a lease that was dropped meanwhile they are lost.
    pub(super) fn put_back(&mut self, counter: &Counter, tokens: u32) {
        if let Some(lease) = self.leases.get_mut(counter) {
            lease.tokens = lease.tokens.saturating_add(tokens).min(lease.granted);
        }
    }

    /// Puts tokens back that a refund returns, if they can be from this lease.
    pub(super) fn refund(&mut self, counter: &Counter, item: &Item<'_>, now: MonoTime, at: MonoTime) -> bool {
        let Some(lease) = self.leases.get_mut(counter) else {
            return false;
        };
        let fits = lease.rule == *item.rule && lease.expires > now && lease.charged_at <= at;
        let after = lease.tokens.saturating_add(item.cost);
        if fits && after <= lease.granted {
            lease.tokens = after;
            return true;
        }
        false
    }

    /// Marks that a call is taking tokens for a counter; `false` if another one is already.
    pub(super) fn begin(&mut self, counter: &Counter, rule: &Rule, now: MonoTime, most: usize) -> bool {
        if let Some(lease) = self.leases.get_mut(counter) {
            return !std::mem::replace(&mut lease.taking, true);
        }
        self.make_room(now, most);
        self.next += 1;
        let lease = Lease {
            tokens: 0,
            granted: 0,
            charged_at: now,
            expires: now,
            rule: *rule,
            taking: true,
            room: 0,
            new_at: now,
            serial: self.next,
        };
        self.by_age.push_back((counter.clone(), self.next));
        self.leases.insert(counter.clone(), lease);
        true
    }

    /// Ends what `begin` began, with what was taken.
    pub(super) fn end(&mut self, counter: &Counter, rule: &Rule, taken: Option<Taken>) {
        let Some(lease) = self.leases.get_mut(counter) else {
            return;
        };
        lease.taking = false;
        if let Some(taken) = taken.filter(|_| lease.rule == *rule) {
            lease.tokens = taken.tokens;
            lease.granted = taken.tokens;
            lease.charged_at = taken.at;
            lease.expires = taken.at + taken.lives;
            lease.room = taken.room;
            lease.new_at = taken.at + taken.new_after;
        } else if lease.tokens == 0 {
            self.leases.remove(counter);
        }
    }

    pub(super) fn drop_lease(&mut self, counter: &Counter) {
        self.leases.remove(counter);
    }

    pub(super) fn len(&self) -> usize {
        self.leases.len()
    }

    pub(super) fn held(&self) -> u64 {
        self.leases.values().map(|lease| u64::from(lease.tokens)).sum()
    }

    /// Drops what is over at the old end, and the oldest if there are too many.
    fn make_room(&mut self, now: MonoTime, most: usize) {
        while let Some((counter, serial)) = self.by_age.front() {
            let current = self.leases.get(counter).filter(|lease| lease.serial == *serial);
            let over = current.is_none_or(|lease| lease.expires <= now && !lease.taking);
            if !over && self.leases.len() < most {
                break;
            }
            if current.is_some() {
                self.leases.remove(counter);
            }
            self.by_age.pop_front();
        }
        if self.by_age.len() > 2 * self.leases.len() + 64 {
            let leases = &self.leases;
            self.by_age
                .retain(|(counter, serial)| leases.get(counter).is_some_and(|lease| lease.serial == *serial));
        }
    }
}

/// What a call has taken at the remote store beyond its own cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) tokens: u32,
    pub(super) at: MonoTime,
    pub(super) lives: Duration,
    pub(super) room: u32,
    pub(super) new_after: Duration,
}
