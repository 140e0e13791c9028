//! The policies of a limiter, and the rules that were changed while it runs.

use std::ops::Deref;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};

use foldhash::HashMap;
use parking_lot::{Mutex, RwLock};

use crate::bucket::Bucket;
use crate::rule::Engine;
use crate::store::Item;
use crate::{Error, Limit, Limiter, Mode, Policy, PolicyId, Realm, Rule, Subject};

mod changes;
mod hot;

pub(crate) use changes::Changes;
use changes::Note;
pub(crate) use hot::{Hot, PlainBucket, Prepared, Serial};

/// The policies, readable without a lock: an id is an index, and an entry never moves.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Tells this limiter's ids from another's.
    limiter: u16,
    /// At each policy's place what the hot path needs of it.
    hot: Box<[Hot]>,
    entries: Box<[OnceLock<Box<Entry>>]>,
    names: Mutex<HashMap<String, PolicyId>>,
}

/// A policy and what was changed about it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) policy: Policy,
    pub(crate) slot: u32,
    /// For whoever looks the policy up once and for all.
    pub(crate) prepared: Arc<Prepared>,
    /// The serial number that is shown as far as nothing was changed.
    serial: Serial,
    note: Note,
    changes: RwLock<Changes>,
}

/// The rule of one check: the policy's own, or a changed one, kept alive for as long as the check takes.
#[derive(Debug)]
pub(crate) enum RuleRef<'a> {
    Defined(&'a Rule),
    Changed(Arc<Rule>),
}

impl Deref for RuleRef<'_> {
    type Target = Rule;

    #[inline]
    fn deref(&self) -> &Rule {
        match self {
            Self::Defined(rule) => rule,
            Self::Changed(rule) => rule,
        }
    }
}

/// Whom a changed rule is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    Everyone,
    Realm(Realm<'a>),
    Subject(Realm<'a>, Subject<'a>),
}

impl Registry {
    pub(crate) fn new() -> Self {
        static LIMITERS: AtomicU16 = AtomicU16::new(0);
        Self {
            limiter: LIMITERS.fetch_add(1, Ordering::Relaxed),
            hot: std::iter::repeat_with(Hot::default).take(Limiter::MAX_POLICIES).collect(),
            entries: std::iter::repeat_with(OnceLock::new).take(Limiter::MAX_POLICIES).collect(),
            names: Mutex::default(),
        }
    }

    pub(crate) fn add(&self, policy: Policy, slot: u32) -> Result<PolicyId, Error> {
        let mut names = self.names.lock();
        if names.contains_key(policy.name().as_str()) {
            return Err(Error::DuplicatePolicy { name: policy.name().clone() });
        }
        let full = || Error::TooManyPolicies { max: Limiter::MAX_POLICIES };
        let index = u16::try_from(names.len()).map_err(|_| full())?;
        let place = self.entries.get(usize::from(index)).ok_or_else(full)?;
        let id = PolicyId::new(self.limiter, index);
        names.insert(policy.name().as_str().to_owned(), id);
        let serial = Serial::of(&policy, slot);
        if let Some(hot) = self.hot.get(usize::from(index)) {
            hot.fill(id, &policy, serial);
        }
        let prepared = Arc::new(Prepared::new(id, &policy, serial));
        let (note, changes) = (Note::default(), RwLock::default());
        let _ = place.set(Box::new(Entry { policy, slot, prepared, serial, note, changes }));
        Ok(id)
    }

    #[inline(always)]
    pub(crate) fn get(&self, id: PolicyId) -> Option<&Entry> {
        self.entries.get(id.place_in(self.limiter))?.get().map(Box::as_ref)
    }

    /// What the hot path needs of a policy, if there is one.
    #[inline(always)]
    pub(crate) fn hot(&self, id: PolicyId) -> Option<&Hot> {
        self.hot.get(id.place_in(self.limiter))
    }

    /// Does something to the changes of a policy, and notes what there is of them.
    pub(crate) fn change<T>(
        &self,
        id: PolicyId,
        change: impl FnOnce(&Policy, &mut Changes) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let entry = self.get(id).ok_or_else(|| Error::UnknownPolicy { policy: id.number().to_string() })?;
        let mut changes = entry.changes.write();
        let done = change(&entry.policy, &mut changes)?;
        // Still locked, so that the notes of two changes do not cross.
        let extent = entry.note.take(&changes);
        entry.prepared.show(entry.serial, extent);
        if let Some(hot) = self.hot(id) {
            hot.show(entry.serial, extent);
        }
        Ok(done)
    }

    /// What a store needs of a limit whose policy is as it was defined, with nothing to complain about.
    pub(crate) fn item_as_defined<'a>(&'a self, realm: Realm<'_>, limit: &Limit<'a>) -> Option<Item<'a>> {
        let entry = self.get(limit.policy)?;
        let rule = entry.rule_as_defined(realm)?;
        let sound = limit.cost != 0 && !limit.subject.is_too_long() && !rule.holds_permits();
        sound.then(|| entry.item(limit, rule, entry.policy.mode()))
    }

    pub(crate) fn find(&self, name: &str) -> Option<PolicyId> {
        self.names.lock().get(name).copied()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = PolicyId> {
        (0..).map(|index| PolicyId::new(self.limiter, index)).take(self.names.lock().len())
    }
}

impl Entry {
    /// The limit as a store sees it.
    #[inline]
    pub(crate) fn item<'i>(&'i self, limit: &Limit<'i>, rule: &'i Rule, mode: Mode) -> Item<'i> {
        let Limit { policy, subject, cost } = *limit;
        Item { policy, slot: self.slot, name: self.policy.name(), rule, mode, subject, cost }
    }

    /// The rule and mode that hold for a subject now: its own, its tenant's, the policy's.
    #[inline]
    pub(crate) fn effective(&self, realm: Realm<'_>, subject: Subject<'_>) -> (RuleRef<'_>, Mode) {
        if self.note.may_concern(realm) {
            self.changed_rule(realm, subject)
        } else {
            (RuleRef::Defined(self.policy.rule()), self.policy.mode())
        }
    }

    /// The policy's rule, if nothing was changed that could hold in the realm.
    #[inline(always)]
    pub(crate) fn rule_as_defined(&self, realm: Realm<'_>) -> Option<&Rule> {
        if self.note.may_concern(realm) { None } else { Some(self.policy.rule()) }
    }

    /// The numbers of a token bucket, if nothing was changed that could hold in the realm.
    #[inline(always)]
    pub(crate) fn bucket_as_defined(&self, realm: Realm<'_>) -> Option<&Bucket> {
        match &self.rule_as_defined(realm)?.engine {
            Engine::Bucket(bucket) => Some(bucket),
            _ => None,
        }
    }

    /// The serial number that the counters know, as far as the policy is as it was defined.
    pub(crate) fn serial(&self) -> Serial {
        self.serial
    }

    #[cold]
    fn changed_rule(&self, realm: Realm<'_>, subject: Subject<'_>) -> (RuleRef<'_>, Mode) {
        let changes = self.changes.read();
        let rule = changes.rule_for(realm, subject).cloned();
        let rule = rule.map_or(RuleRef::Defined(self.policy.rule()), RuleRef::Changed);
        (rule, changes.mode().unwrap_or(self.policy.mode()))
    }
}
