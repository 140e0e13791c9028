use std::sync::{Arc, OnceLock};

use arrayvec::ArrayVec;
use guardian_core::{Clock, MonoTime, StoreError};

use crate::decision::{Decision, DecisionSource, Outcome};
use crate::registry::{Entry, Registry, RuleRef, Target};
use crate::store::memory::MemoryStore;
use crate::store::{AnyStore, Call, Item, Release, ReleaseCounter, Request, Store};
use crate::{
    Admission, Error, FastClock, Limit, Mode, OnStoreError, Permit, PermitId, Policy, PolicyId, Realm, Rule,
    Subject,
};

/// Decides whether requests may go ahead, by the policies that were defined on it and the counters in its store.
///
/// A check names all limits of a request at once and is decided all-or-nothing: a denial at any level consumes
/// nowhere. Cloning is cheap and shares everything.
///
/// ```
/// use guardian_core::TenantId;
/// use guardian_ratelimit::{Limit, Limiter, Policy};
///
/// let limiter = Limiter::in_memory();
/// let per_org = limiter.define(Policy::new("per-org", "1000/min burst 200")?)?;
/// let per_key = limiter.define(Policy::new("per-key", "10/s")?)?;
///
/// let acme = TenantId::new("acme").expect("a valid id");
/// let decision = limiter.check_local(&acme, &[Limit::whole(per_org), Limit::of(per_key, 42)])?;
/// assert!(decision.is_allowed());
/// # Ok::<(), guardian_ratelimit::Error>(())
/// ```
#[derive(Debug)]
pub struct Limiter<S = AnyStore, C = FastClock> {
    inner: Arc<Inner<S, C>>,
}

#[derive(Debug)]
struct Inner<S, C> {
    registry: Registry,
    store: S,
    clock: C,
    /// This process's share of the limits, for [`OnStoreError::Local`]; made when it is first needed.
    local: OnceLock<MemoryStore>,
}

impl<S, C> Clone for Limiter<S, C> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl Limiter {
    /// The most policies of a limiter.
    pub const MAX_POLICIES: usize = 1024;
    /// The most limits of one check.
    pub const MAX_LIMITS: usize = 8;
}

impl Limiter<MemoryStore> {
    /// A limiter that counts in this process's memory, with the default bounds.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::new(MemoryStore::new())
    }
}

impl<S: Store> Limiter<S> {
    /// A limiter that counts in this store.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self::with_clock(store, FastClock::new())
    }
}

impl<S: Store, C: Clock> Limiter<S, C> {
    /// A limiter that counts in this store and takes its time from this clock.
    #[must_use]
    pub fn with_clock(store: S, clock: C) -> Self {
        let inner = Inner { registry: Registry::new(), store, clock, local: OnceLock::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Adds a policy.
    ///
    /// # Errors
    /// When a policy of that name exists, or there are [`Limiter::MAX_POLICIES`] already.
    pub fn define(&self, policy: Policy) -> Result<PolicyId, Error> {
        let slot = self.inner.store.register(policy.name());
        self.inner.registry.add(policy, slot)
    }

    /// The policy of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PolicyId> {
        self.inner.registry.find(name)
    }

    /// The policy as it was defined.
    #[must_use]
    pub fn policy(&self, id: PolicyId) -> Option<&Policy> {
        self.inner.registry.get(id).map(|entry| &entry.policy)
    }

    /// All policies, in the order of their definition.
    pub fn policies(&self) -> impl Iterator<Item = (PolicyId, &Policy)> {
        self.inner.registry.ids().filter_map(|id| Some((id, self.policy(id)?)))
    }

    /// The rule that holds for a subject now: its own override, its tenant's, the policy's.
    #[must_use]
    pub fn effective_rule<'a>(
        &self,
        id: PolicyId,
        realm: impl Into<Realm<'a>>,
        subject: Subject<'_>,
    ) -> Option<Rule> {
        Some(*self.inner.registry.get(id)?.effective(realm.into(), subject).0)
    }

    /// Where the counters live.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.inner.store
    }

    /// Where the time comes from.
    #[must_use]
    pub fn clock(&self) -> &C {
        &self.inner.clock
    }

    /// Decides a request against all its limits, all-or-nothing, and charges them if it is allowed.
    ///
    /// The clock is read once. When the store fails, the policies' own [`OnStoreError`] decides: deny if one says
    /// `Closed`; otherwise this process's share if one says `Local`; otherwise admit.
    ///
    /// # Errors
    /// When the limits are none, too many, unknown, doubled, free of cost or about concurrency.
    pub async fn check<'a>(
        &self,
        realm: impl Into<Realm<'a>>,
        limits: &[Limit<'_>],
    ) -> Result<Decision, Error> {
        let (realm, now) = (realm.into(), self.inner.clock.monotonic());
        self.check_at(realm, limits, now).await
    }

    /// [`check`](Self::check) at a time that the caller has read from this limiter's clock already, as a server
    /// does once for each request.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn check_at(
        &self,
        realm: Realm<'_>,
        limits: &[Limit<'_>],
        now: MonoTime,
    ) -> Result<Decision, Error> {
        {
            // Gone before anything is awaited, so that it need not be kept in the future.
            let mut decision = Decision::empty(now);
            if self.decide_at_once(realm, limits, &mut decision).is_some() {
                return Ok(decision);
            }
        }
        self.ask_store(realm, limits, now).await
    }

    /// [`check_at`](Self::check_at) without a future, where the store can decide without waiting and nothing about the limits is
    /// special. `None` changes nothing, and [`check_at`](Self::check_at) decides.
    #[must_use]
    pub fn check_at_once(&self, realm: Realm<'_>, limits: &[Limit<'_>], now: MonoTime) -> Option<Decision> {
        let mut decision = Decision::empty(now);
        self.decide_at_once(realm, limits, &mut decision).map(|()| decision)
    }

    async fn ask_store(
        &self,
        realm: Realm<'_>,
        limits: &[Limit<'_>],
        now: MonoTime,
    ) -> Result<Decision, Error> {
        let (mut prepared, mut items) = (Prepared::new(), Items::new());
        self.prepare_all(realm, limits, false, &mut prepared)?;
        Self::items(&prepared, limits, &mut items);
        let call = Call { realm, now, items: &items, permit: None };
        let decided = self.inner.store.check(&call).await;
        Ok(decided.unwrap_or_else(|error| self.decide_without_store(&call, &error)))
    }

    /// The hot path: limits of policies as they were defined, with nothing to complain about, on a store that can
    /// decide them without waiting.
    #[inline(always)]
    fn decide_at_once(&self, realm: Realm<'_>, limits: &[Limit<'_>], decision: &mut Decision) -> Option<()> {
        if limits.len() > Limiter::MAX_LIMITS {
            return None;
        }
        let request = Request { realm, limits, registry: &self.inner.registry };
        self.inner.store.check_at_once(&request, decision)
    }

    /// Decides the same and charges nothing. Concurrency limits may be peeked at too.
    ///
    /// # Errors
    /// As [`check`](Self::check), and when the store fails: a peek has nothing to protect.
    pub async fn peek<'a>(
        &self,
        realm: impl Into<Realm<'a>>,
        limits: &[Limit<'_>],
    ) -> Result<Decision, Error> {
        let (realm, now) = (realm.into(), self.inner.clock.monotonic());
        let (mut prepared, mut items) = (Prepared::new(), Items::new());
        self.prepare_all(realm, limits, true, &mut prepared)?;
        Self::items(&prepared, limits, &mut items);
        Ok(self.inner.store.peek(&Call { realm, now, items: &items, permit: None }).await?)
    }

    /// Decides like [`check`](Self::check), for limits of which some are about concurrency: an allowed request gets
    /// a permit, which counts until it is dropped, released, or its rule's time is over.
    ///
    /// # Errors
    /// As [`check`](Self::check), except that concurrency is welcome.
    pub async fn acquire<'a>(
        &self,
        realm: impl Into<Realm<'a>>,
        limits: &[Limit<'_>],
    ) -> Result<Admission<S, C>, Error> {
        let (realm, now) = (realm.into(), self.inner.clock.monotonic());
        self.acquire_at(realm, limits, now).await
    }

    /// [`acquire`](Self::acquire) at a time that the caller has read from this limiter's clock already.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub async fn acquire_at(
        &self,
        realm: Realm<'_>,
        limits: &[Limit<'_>],
        now: MonoTime,
    ) -> Result<Admission<S, C>, Error> {
        let (mut prepared, mut items) = (Prepared::new(), Items::new());
        self.prepare_all(realm, limits, true, &mut prepared)?;
        Self::items(&prepared, limits, &mut items);
        let id = new_permit_id();
        let call = Call { realm, now, items: &items, permit: Some(id) };
        let counters = items.iter().filter(|item| item.rule.holds_permits()).map(|item| ReleaseCounter {
            slot: item.slot,
            name: item.name.clone(),
            subject: item.subject.into(),
        });
        let release = Release { tenant: realm.tenant().cloned(), counters: counters.collect(), permit: id };
        // Made before the store is asked: if the caller goes away meanwhile, or the answer is lost, the store may
        // hold a permit that nobody else would end.
        let permit = Permit::new(self.clone(), release);
        let decision = match self.inner.store.check(&call).await {
            Ok(decision) if decision.is_denied() => {
                permit.forget();
                return Ok(Admission { decision, permit: None });
            }
            Ok(decision) => decision,
            Err(error) => self.decide_without_store(&call, &error),
        };
        let permit = decision.is_allowed().then_some(permit);
        Ok(Admission { decision, permit })
    }

    /// Puts back what an allowed check consumed, as far as it still counts: for work that failed through no fault
    /// of the caller. `consumed_at` is that decision's [`at`](Decision::at). A counter is never better than new, and what a
    /// bucket has refilled since then is not given a second time.
    ///
    /// # Errors
    /// As [`check`](Self::check), and when the store fails.
    pub async fn refund<'a>(
        &self,
        realm: impl Into<Realm<'a>>,
        limits: &[Limit<'_>],
        consumed_at: MonoTime,
    ) -> Result<(), Error> {
        let (realm, now) = (realm.into(), self.inner.clock.monotonic());
        let (mut prepared, mut items) = (Prepared::new(), Items::new());
        self.prepare_all(realm, limits, false, &mut prepared)?;
        Self::items(&prepared, limits, &mut items);
        let call = Call { realm, now, items: &items, permit: None };
        Ok(self.inner.store.refund(&call, consumed_at).await?)
    }

    /// Makes counters as good as new. On a concurrency limit this forgets the permits that are held.
    ///
    /// # Errors
    /// As [`check`](Self::check), and when the store fails.
    pub async fn reset<'a>(&self, realm: impl Into<Realm<'a>>, limits: &[Limit<'_>]) -> Result<(), Error> {
        let (realm, now) = (realm.into(), self.inner.clock.monotonic());
        let (mut prepared, mut items) = (Prepared::new(), Items::new());
        self.prepare_all(realm, limits, true, &mut prepared)?;
        Self::items(&prepared, limits, &mut items);
        Ok(self.inner.store.reset(&Call { realm, now, items: &items, permit: None }).await?)
    }

    /// Gives a policy another rule for everyone who has no override, from the next check on, keeping what was
    /// consumed: a bucket keeps the tokens taken, a window what it has counted. `None` restores the defined rule.
    ///
    /// Changed rules live in this limiter; a host that stores them sets them again when it starts.
    ///
    /// # Errors
    /// When the policy is unknown, or the rule is of another algorithm.
    pub fn set_rule(&self, id: PolicyId, rule: impl Into<Option<Rule>>) -> Result<(), Error> {
        self.change_rule(id, Target::Everyone, rule.into())
    }

    /// Gives one tenant (or the shared realm) a rule of its own for a policy, likewise keeping what was consumed.
    /// `None` removes it.
    ///
    /// # Errors
    /// As [`set_rule`](Self::set_rule).
    pub fn set_override<'a>(
        &self,
        id: PolicyId,
        realm: impl Into<Realm<'a>>,
        rule: impl Into<Option<Rule>>,
    ) -> Result<(), Error> {
        self.change_rule(id, Target::Realm(realm.into()), rule.into())
    }

    /// Gives one subject a rule of its own for a policy, before its tenant's. `None` removes it.
    ///
    /// # Errors
    /// As [`set_rule`](Self::set_rule).
    pub fn set_subject_override<'a>(
        &self,
        id: PolicyId,
        realm: impl Into<Realm<'a>>,
        subject: impl Into<Subject<'a>>,
        rule: impl Into<Option<Rule>>,
    ) -> Result<(), Error> {
        self.change_rule(id, Target::Subject(realm.into(), subject.into()), rule.into())
    }

    /// Switches a policy between enforcing and dry run while it runs.
    ///
    /// # Errors
    /// When the policy is unknown.
    pub fn set_mode(&self, id: PolicyId, mode: Mode) -> Result<(), Error> {
        self.inner.registry.change(id, |policy, changes| {
            changes.set_mode(policy, mode);
            Ok(())
        })
    }

    fn change_rule(&self, id: PolicyId, target: Target<'_>, rule: Option<Rule>) -> Result<(), Error> {
        self.inner.registry.change(id, |policy, changes| changes.set_rule(policy, target, rule))
    }

    pub(crate) async fn release(&self, release: Release) -> Result<(), Error> {
        self.release_local(&release);
        Ok(self.inner.store.release(&release).await?)
    }

    pub(crate) fn release_detached(&self, release: Release) {
        self.release_local(&release);
        self.inner.store.release_detached(release);
    }

    /// Ends the part of a permit that this process's own share holds, which knows the policies by other slots.
    fn release_local(&self, release: &Release) {
        if let Some(local) = self.inner.local.get() {
            let mut release = release.clone();
            for counter in &mut release.counters {
                counter.slot = local.register(&counter.name);
            }
            local.release_detached(release);
        }
    }

    pub(crate) fn entry(&self, id: PolicyId) -> Result<&Entry, Error> {
        self.inner.registry.get(id).ok_or_else(|| unknown(id))
    }

    /// One limit, checked for what the type system does not.
    #[inline]
    fn prepare(
        &self,
        realm: Realm<'_>,
        limit: &Limit<'_>,
        permits_welcome: bool,
    ) -> Result<(&Entry, RuleRef<'_>, Mode), Error> {
        let entry = self.entry(limit.policy)?;
        let (rule, mode) = entry.effective(realm, limit.subject);
        check_limit(entry, &rule, limit, permits_welcome)?;
        Ok((entry, rule, mode))
    }

    /// All limits of a check. They are written where the caller keeps them, as moving eight at a time would cost
    /// more than deciding.
    #[inline]
    fn prepare_all<'s>(
        &'s self,
        realm: Realm<'_>,
        limits: &[Limit<'_>],
        permits_welcome: bool,
        prepared: &mut Prepared<'s>,
    ) -> Result<(), Error> {
        if limits.is_empty() || limits.len() > Limiter::MAX_LIMITS {
            return Err(Error::LimitCount { given: limits.len(), max: Limiter::MAX_LIMITS });
        }
        for (index, limit) in limits.iter().enumerate() {
            let mut before = limits.iter().take(index);
            let ready = self.prepare(realm, limit, permits_welcome)?;
            if before.any(|other| other.policy == limit.policy && other.subject == limit.subject) {
                return Err(Error::DuplicateLimit { policy: ready.0.policy.name().clone() });
            }
            prepared.push(ready);
        }
        Ok(())
    }

    #[inline]
    fn items<'i>(prepared: &'i Prepared<'_>, limits: &'i [Limit<'_>], items: &mut Items<'i>) {
        for ((entry, rule, mode), limit) in prepared.iter().zip(limits) {
            items.push(entry.item(limit, rule, *mode));
        }
    }

    /// What the policies say about a store that failed.
    #[cold]
    fn decide_without_store(&self, call: &Call<'_>, _error: &StoreError) -> Decision {
        let answer = |item: &Item<'_>| {
            // A dry run protects nothing: it lets pass whatever happens.
            let entry = self.inner.registry.get(item.policy).filter(|_| item.mode == Mode::Enforce);
            entry.map_or(OnStoreError::Open, |entry| entry.policy.store_error_answer())
        };
        if call.items.iter().any(|item| answer(item) == OnStoreError::Closed) {
            return Decision::without_store(call.now, false);
        }
        let shares: ArrayVec<(&Item<'_>, Rule), { Limiter::MAX_LIMITS }> = call
            .items
            .iter()
            .filter_map(|item| match answer(item) {
                OnStoreError::Local { processes } => Some((item, item.rule.divided(processes.get()))),
                _ => None,
            })
            .collect();
        if shares.is_empty() {
            return Decision::without_store(call.now, true);
        }
        let local = self.inner.local.get_or_init(MemoryStore::new);
        let items: Items<'_> = shares
            .iter()
            .map(|(item, rule)| Item { slot: local.register(item.name), rule, ..**item })
            .collect();
        let mut decision = Decision::empty(call.now);
        let _ = local.check_all(&Call { items: &items, ..*call }, true, &mut decision);
        decision.with_source(DecisionSource::LocalShare)
    }
}

impl<C: Clock> Limiter<MemoryStore, C> {
    /// [`check`](Self::check) without a future: decides in memory, at once, without allocating.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    #[inline]
    pub fn check_local<'a>(
        &self,
        realm: impl Into<Realm<'a>>,
        limits: &[Limit<'_>],
    ) -> Result<Decision, Error> {
        self.check_local_at(realm.into(), limits, self.inner.clock.monotonic())
    }

    /// [`check_at`](Self::check_at) without a future.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    #[inline(always)]
    pub fn check_local_at(
        &self,
        realm: Realm<'_>,
        limits: &[Limit<'_>],
        now: MonoTime,
    ) -> Result<Decision, Error> {
        // The decision is made where the caller keeps it: it is too large to be handed around for nothing.
        let mut decision = Decision::empty(now);
        match self.decide_at_once(realm, limits, &mut decision) {
            Some(()) => Ok(decision),
            None => self.decide_general_apart(realm, limits, now),
        }
    }

    /// [`check_local_at`](Self::check_local_at) into a decision that the caller keeps, whatever was in it before. A
    /// decision has room for eight outcomes and is some 350 bytes long: hosts that count nanoseconds save moving it.
    ///
    /// # Errors
    /// As [`check`](Self::check); then the decision says nothing of use.
    #[inline(always)]
    pub fn check_local_into(
        &self,
        realm: Realm<'_>,
        limits: &[Limit<'_>],
        now: MonoTime,
        decision: &mut Decision,
    ) -> Result<(), Error> {
        decision.clear(now);
        match self.decide_at_once(realm, limits, decision) {
            Some(()) => Ok(()),
            None => self.decide_general(realm, limits, now, decision),
        }
    }

    /// One limit, one outcome: the shortest way to a decision, for hosts that count its nanoseconds. The request
    /// may go ahead unless the outcome [`denies`](Outcome::denies).
    ///
    /// # Errors
    /// As [`check`](Self::check).
    #[inline(always)]
    pub fn check_one_local_at(
        &self,
        realm: Realm<'_>,
        limit: &Limit<'_>,
        now: MonoTime,
    ) -> Result<Outcome, Error> {
        if let Some(outcome) = self.inner.store.check_hot_one(&self.inner.registry, realm, limit, now) {
            return Ok(outcome);
        }
        // A copy, so that the original need not be in memory for the sake of this line.
        let limit = *limit;
        self.check_one_local(realm, &limit, now)
    }

    #[inline(never)]
    fn check_one_local(&self, realm: Realm<'_>, limit: &Limit<'_>, now: MonoTime) -> Result<Outcome, Error> {
        let (entry, rule, mode) = self.prepare(realm, limit, false)?;
        let reading = self.inner.store.check_one(realm, &entry.item(limit, &rule, mode), now);
        let reading = reading.ok_or_else(|| unknown(limit.policy))?;
        Ok(Outcome::from_reading(limit.policy, mode, reading))
    }

    #[inline(never)]
    fn decide_general_apart(
        &self,
        realm: Realm<'_>,
        limits: &[Limit<'_>],
        now: MonoTime,
    ) -> Result<Decision, Error> {
        let mut decision = Decision::empty(now);
        self.decide_general(realm, limits, now, &mut decision).map(|()| decision)
    }

    #[inline(never)]
    fn decide_general(
        &self,
        realm: Realm<'_>,
        limits: &[Limit<'_>],
        now: MonoTime,
        decision: &mut Decision,
    ) -> Result<(), Error> {
        decision.clear(now);
        let (mut prepared, mut items) = (Prepared::new(), Items::new());
        self.prepare_all(realm, limits, false, &mut prepared)?;
        Self::items(&prepared, limits, &mut items);
        let call = Call { realm, now, items: &items, permit: None };
        match self.inner.store.check_all(&call, true, decision) {
            Some(()) => Ok(()),
            None => Err(Error::LimitCount { given: limits.len(), max: Limiter::MAX_LIMITS }),
        }
    }
}

type Prepared<'a> = ArrayVec<(&'a Entry, RuleRef<'a>, Mode), { Limiter::MAX_LIMITS }>;
type Items<'a> = ArrayVec<Item<'a>, { Limiter::MAX_LIMITS }>;

#[inline]
fn check_limit(entry: &Entry, rule: &Rule, limit: &Limit<'_>, permits_welcome: bool) -> Result<(), Error> {
    let policy = || entry.policy.name().clone();
    if limit.cost == 0 {
        return Err(Error::ZeroCost { policy: policy() });
    }
    if rule.holds_permits() && !permits_welcome {
        return Err(Error::PermitNeeded { policy: policy() });
    }
    match limit.subject {
        Subject::Text(text) if limit.subject.is_too_long() => {
            Err(Error::SubjectTooLong { policy: policy(), len: text.len(), max: Subject::MAX_LEN })
        }
        _ => Ok(()),
    }
}

#[cold]
fn unknown(id: PolicyId) -> Error {
    Error::UnknownPolicy { policy: id.number().to_string() }
}

/// 128 bits of the system's randomness: two permits never share an id.
fn new_permit_id() -> PermitId {
    let mut bytes = [0; 16];
    // Without randomness an address that is unique while the permit lives would still do; Linux always has it.
    let _ = getrandom::fill(&mut bytes);
    PermitId::from_u128(u128::from_le_bytes(bytes))
}
