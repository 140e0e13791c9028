//! The policies of a limiter, and the rules that were changed while it runs.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use foldhash::HashMap;
use guardian_core::TenantId;
use parking_lot::{Mutex, RwLock};

use crate::bucket::Bucket;
use crate::decision::{Outcome, OutcomeHead};
use crate::reading::Reading;
use crate::rule::Engine;
use crate::store::{Item, OwnedSubject};
use crate::{Error, Limit, Limiter, Mode, Policy, PolicyId, Realm, Rule, Subject};

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

/// What the hot path needs of a policy, in one cache line and behind one question.
///
/// Atomic, because a place is there before its policy is. All is written before `state` says so, and never again.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Hot {
    state: AtomicU32,
    slot: AtomicU32,
    head: AtomicU64,
    serial: AtomicU64,
    per_token: AtomicU64,
    tolerance: AtomicU64,
    bit: AtomicU64,
}

/// What a policy is to the hot path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not there, of another algorithm, or changed while it runs: not for the hot path.
    Other = 0,
    /// A token bucket as it was defined, in nanoseconds.
    Nanos = 1,
    /// A token bucket as it was defined, in other ticks.
    Ticks = 2,
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
pub(crate) struct Changes {
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
        let entry = self.entries.get(usize::from(index)).ok_or_else(full)?;
        let id = PolicyId::new(self.limiter, index);
        names.insert(policy.name().as_str().to_owned(), id);
        if let Some(hot) = self.hot.get(usize::from(index)) {
            hot.fill(id, &policy, slot);
        }
        let (changed, changes) = (AtomicBool::new(false), RwLock::default());
        let _ = entry.set(Box::new(Entry { policy, slot, changed, changes }));
        Ok(id)
    }

    #[inline(always)]
    pub(crate) fn get(&self, id: PolicyId) -> Option<&Entry> {
        self.entries.get(id.place_in(self.limiter))?.get().map(Box::as_ref)
    }

    /// The numbers of a policy that is a token bucket, as it was defined.
    #[inline(always)]
    pub(crate) fn hot(&self, id: PolicyId) -> Option<&Hot> {
        let hot = self.hot.get(id.place_in(self.limiter))?;
        if hot.state.load(Ordering::Acquire) == State::Other as u32 { None } else { Some(hot) }
    }

    /// The numbers of a policy that was defined as a token bucket.
    #[inline(never)]
    pub(crate) fn bucket(&self, id: PolicyId) -> Option<&Bucket> {
        match &self.get(id)?.policy.rule().engine {
            Engine::Bucket(bucket) => Some(bucket),
            _ => None,
        }
    }

    /// Does something to the changes of a policy, and notes whether there are any.
    pub(crate) fn change<T>(
        &self,
        id: PolicyId,
        change: impl FnOnce(&Policy, &mut Changes) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let entry = self.get(id).ok_or_else(|| Error::UnknownPolicy { policy: id.number().to_string() })?;
        let mut changes = entry.changes.write();
        let done = change(&entry.policy, &mut changes)?;
        // Still locked, so that the notes of two changes do not cross.
        entry.changed.store(!changes.is_empty(), Ordering::Release);
        if let Some(hot) = self.hot.get(id.place_in(self.limiter)) {
            hot.set_state(if changes.is_empty() { State::of(&entry.policy) } else { State::Other });
        }
        Ok(done)
    }

    /// What a store needs of a limit whose policy is as it was defined, with nothing to complain about.
    pub(crate) fn item_as_defined<'a>(&'a self, limit: &Limit<'a>) -> Option<Item<'a>> {
        let entry = self.get(limit.policy)?;
        let rule = entry.rule_as_defined()?;
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

impl State {
    fn of(policy: &Policy) -> Self {
        match &policy.rule().engine {
            Engine::Bucket(bucket) if bucket.is_in_nanos() => Self::Nanos,
            Engine::Bucket(_) => Self::Ticks,
            _ => Self::Other,
        }
    }
}

impl Hot {
    fn fill(&self, id: PolicyId, policy: &Policy, slot: u32) {
        static SERIALS: AtomicU64 = AtomicU64::new(1);
        let Engine::Bucket(bucket) = &policy.rule().engine else { return };
        let (burst, per_token, tolerance) = bucket.numbers();
        self.slot.store(slot, Ordering::Relaxed);
        self.head.store(OutcomeHead::new(id, policy.mode(), burst).bits(), Ordering::Relaxed);
        self.serial.store(SERIALS.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        self.per_token.store(per_token, Ordering::Relaxed);
        self.tolerance.store(tolerance, Ordering::Relaxed);
        self.bit.store(1 << (id.number() % 64), Ordering::Relaxed);
        self.set_state(State::of(policy));
    }

    fn set_state(&self, state: State) {
        self.state.store(state as u32, Ordering::Release);
    }

    /// Whether a tick of the bucket is a nanosecond.
    #[inline(always)]
    pub(crate) fn is_in_nanos(&self) -> bool {
        self.state.load(Ordering::Relaxed) == State::Nanos as u32
    }

    #[inline(always)]
    pub(crate) fn slot(&self) -> u32 {
        self.slot.load(Ordering::Relaxed)
    }

    /// What the policy's outcomes begin with.
    #[inline(always)]
    pub(crate) fn head(&self) -> OutcomeHead {
        OutcomeHead::from_bits(self.head.load(Ordering::Relaxed))
    }

    /// Unlike that of any other policy in the process.
    #[inline(always)]
    pub(crate) fn serial(&self) -> u64 {
        self.serial.load(Ordering::Relaxed)
    }

    /// A bit that few other policies have.
    #[inline(always)]
    pub(crate) fn bit(&self) -> u64 {
        self.bit.load(Ordering::Relaxed)
    }

    /// What a bucket in nanoseconds says, and its TAT afterwards if it admits: as `Bucket::decide`.
    #[inline(always)]
    pub(crate) fn decide_in_nanos(&self, tat: u64, now: u64, cost: u32) -> (Outcome, Option<u64>) {
        let (unit, tolerance) =
            (self.per_token.load(Ordering::Relaxed), self.tolerance.load(Ordering::Relaxed));
        let debt = tat.saturating_sub(now);
        let after = debt.saturating_add(unit.saturating_mul(u64::from(cost)));
        if after <= tolerance {
            let outcome = Outcome::admitting(self.head(), tolerance - after, unit, after);
            return (outcome, Some(now.saturating_add(after)));
        }
        (self.refusal(debt, after, cost), None)
    }

    #[inline(always)]
    fn refusal(&self, debt: u64, after: u64, cost: u32) -> Outcome {
        let (unit, tolerance) =
            (self.per_token.load(Ordering::Relaxed), self.tolerance.load(Ordering::Relaxed));
        let head = self.head();
        let wait = if cost > head.limit() { Reading::NEVER } else { after - tolerance };
        Outcome::refusing(head, tolerance.saturating_sub(debt), unit, wait, debt)
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
}

impl Changes {
    /// Sets or removes the rule for a target.
    pub(crate) fn set_rule(
        &mut self,
        policy: &Policy,
        target: Target<'_>,
        rule: Option<Rule>,
    ) -> Result<(), Error> {
        if let Some(rule) = &rule
            && !rule.same_algorithm(policy.rule())
        {
            let (old, new) = (policy.rule().to_string(), rule.to_string());
            return Err(Error::AlgorithmChange { policy: policy.name().clone(), old, new });
        }
        let rule = rule.map(Arc::new);
        match target {
            Target::Everyone => self.rule = rule,
            Target::Realm(realm) => self.realm(realm).rule = rule,
            Target::Subject(realm, subject) => self.realm(realm).set_rule(subject, rule),
        }
        self.tenants.retain(|_, realm| !realm.is_empty());
        Ok(())
    }

    pub(crate) fn set_mode(&mut self, policy: &Policy, mode: Mode) {
        self.mode = (mode != policy.mode()).then_some(mode);
    }

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
