//! The policies of a limiter, and the rules that were changed while it runs.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};

use foldhash::HashMap;
use guardian_core::TenantId;
use parking_lot::{Mutex, RwLock};

use crate::store::OwnedSubject;
use crate::{Error, Limiter, Mode, Policy, PolicyId, Realm, Rule, Subject};

/// The policies, readable without a lock: an id is an index, and an entry never moves.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Tells this limiter's ids from another's.
    limiter: u16,
    entries: Box<[OnceLock<Box<Entry>>]>,
    names: Mutex<HashMap<String, PolicyId>>,
}

/// A policy and what was changed about it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) policy: Policy,
    pub(crate) slot: u32,
    /// Whether `changes` holds anything; almost always not, and then nobody looks.
    changed: AtomicBool,
    changes: RwLock<Changes>,
}

#[derive(Debug, Default)]
struct Changes {
    rule: Option<Arc<Rule>>,
    mode: Option<Mode>,
    shared: RealmChanges,
    tenants: HashMap<TenantId, RealmChanges>,
}

#[derive(Debug, Default)]
struct RealmChanges {
    /// For every subject without a rule of its own.
    rule: Option<Arc<Rule>>,
    ids: HashMap<u64, Arc<Rule>>,
    texts: HashMap<Box<str>, Arc<Rule>>,
    whole: Option<Arc<Rule>>,
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
        let entries = std::iter::repeat_with(OnceLock::new).take(Limiter::MAX_POLICIES).collect();
        Self { limiter: LIMITERS.fetch_add(1, Ordering::Relaxed), entries, names: Mutex::default() }
    }

    pub(crate) fn add(&self, policy: Policy, slot: u32) -> Result<PolicyId, Error> {
        let mut names = self.names.lock();
        if names.contains_key(policy.name().as_str()) {
            return Err(Error::DuplicatePolicy { name: policy.name().clone() });
        }
        let full = || Error::TooManyPolicies { max: Limiter::MAX_POLICIES };
        let index = u16::try_from(names.len()).map_err(|_| full())?;
        let entry = self.entries.get(usize::from(index)).ok_or_else(full)?;
        let id = PolicyId::new(self.limiter, index);
        names.insert(policy.name().as_str().to_owned(), id);
        let _ = entry.set(Box::new(Entry {
            policy,
            slot,
            changed: AtomicBool::new(false),
            changes: RwLock::default(),
        }));
        Ok(id)
    }

    #[inline(always)]
    pub(crate) fn get(&self, id: PolicyId) -> Option<&Entry> {
        self.entries.get(id.index_in(self.limiter)?)?.get().map(Box::as_ref)
    }

    pub(crate) fn find(&self, name: &str) -> Option<PolicyId> {
        self.names.lock().get(name).copied()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = PolicyId> {
        (0..).map(|index| PolicyId::new(self.limiter, index)).take(self.names.lock().len())
    }
}

impl Entry {
    /// The rule and mode that hold for a subject now: its own, its tenant's, the policy's.
    #[inline]
    pub(crate) fn effective(&self, realm: Realm<'_>, subject: Subject<'_>) -> (RuleRef<'_>, Mode) {
        if self.changed.load(Ordering::Acquire) {
            self.changed_rule(realm, subject)
        } else {
            (RuleRef::Defined(self.policy.rule()), self.policy.mode())
        }
    }

    /// The policy's rule, if nothing was changed.
    #[inline(always)]
    pub(crate) fn rule_as_defined(&self) -> Option<&Rule> {
        if self.changed.load(Ordering::Acquire) { None } else { Some(self.policy.rule()) }
    }

    #[cold]
    fn changed_rule(&self, realm: Realm<'_>, subject: Subject<'_>) -> (RuleRef<'_>, Mode) {
        let changes = self.changes.read();
        let in_realm = match realm {
            Realm::Tenant(tenant) => changes.tenants.get(tenant),
            Realm::Shared => Some(&changes.shared),
        };
        let in_realm = in_realm.and_then(|realm| realm.rule_for(subject).or(realm.rule.as_ref()));
        let rule = in_realm.or(changes.rule.as_ref()).cloned();
        let rule = rule.map_or(RuleRef::Defined(self.policy.rule()), RuleRef::Changed);
        (rule, changes.mode.unwrap_or(self.policy.mode()))
    }

    /// Sets or removes the rule for a target.
    pub(crate) fn change_rule(&self, target: Target<'_>, rule: Option<Rule>) -> Result<(), Error> {
        if let Some(rule) = &rule
            && !rule.same_algorithm(self.policy.rule())
        {
            let (old, new) = (self.policy.rule().to_string(), rule.to_string());
            return Err(Error::AlgorithmChange { policy: self.policy.name().clone(), old, new });
        }
        let rule = rule.map(Arc::new);
        let mut changes = self.changes.write();
        match target {
            Target::Everyone => changes.rule = rule,
            Target::Realm(realm) => changes.realm(realm).rule = rule,
            Target::Subject(realm, subject) => changes.realm(realm).set_rule(subject, rule),
        }
        changes.tenants.retain(|_, realm| !realm.is_empty());
        self.changed.store(!changes.is_empty(), Ordering::Release);
        Ok(())
    }

    pub(crate) fn change_mode(&self, mode: Mode) {
        let mut changes = self.changes.write();
        changes.mode = (mode != self.policy.mode()).then_some(mode);
        self.changed.store(!changes.is_empty(), Ordering::Release);
    }
}

impl Changes {
    fn realm(&mut self, realm: Realm<'_>) -> &mut RealmChanges {
        match realm {
            Realm::Tenant(tenant) => self.tenants.entry(tenant.clone()).or_default(),
            Realm::Shared => &mut self.shared,
        }
    }

    fn is_empty(&self) -> bool {
        self.rule.is_none() && self.mode.is_none() && self.shared.is_empty() && self.tenants.is_empty()
    }
}

impl RealmChanges {
    fn rule_for(&self, subject: Subject<'_>) -> Option<&Arc<Rule>> {
        match subject {
            Subject::Whole => self.whole.as_ref(),
            Subject::Id(id) => self.ids.get(&id),
            Subject::Text(text) => self.texts.get(text),
        }
    }

    fn set_rule(&mut self, subject: Subject<'_>, rule: Option<Arc<Rule>>) {
        match (OwnedSubject::from(subject), rule) {
            (OwnedSubject::Whole, rule) => self.whole = rule,
            (OwnedSubject::Id(id), Some(rule)) => drop(self.ids.insert(id, rule)),
            (OwnedSubject::Id(id), None) => drop(self.ids.remove(&id)),
            (OwnedSubject::Text(text), Some(rule)) => drop(self.texts.insert(text, rule)),
            (OwnedSubject::Text(text), None) => drop(self.texts.remove(&text)),
        }
    }

    fn is_empty(&self) -> bool {
        self.rule.is_none() && self.whole.is_none() && self.ids.is_empty() && self.texts.is_empty()
    }
}
