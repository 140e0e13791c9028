use std::sync::Arc;

use guardian_core::{Clock, MonoTime};

use crate::registry::Prepared;
use crate::{Error, FastClock, Limit, Limiter, MemoryStore, Outcome, PolicyId, Realm, Subject};

/// One policy of a limiter in memory, looked up once: the shortest way to a decision, for hosts that know their
/// policies when they start and count the nanoseconds of a request. Made by [`Limiter::gate`].
///
/// It decides exactly as [`Limiter::check_local`] with that one limit, on the same counters. What is changed on the
/// limiter (rules, overrides, dry run) holds here from the next check on. Cloning is cheap.
///
/// ```
/// use guardian_core::{Clock, TenantId};
/// use guardian_ratelimit::{Limiter, Policy};
///
/// // When the service starts:
/// let limiter = Limiter::in_memory();
/// let per_key = limiter.define(Policy::new("per-key", "10/s burst 2")?)?;
/// let gate = limiter.gate(per_key)?;
///
/// // In a request, whose time was read once:
/// let (acme, now) = (TenantId::from(17), limiter.clock().monotonic());
/// assert!(!gate.check_at(&acme, 42, now)?.denies());
/// let outcome = gate.check_cost_at(&acme, 42, 2, now)?;
/// assert!(outcome.denies() && outcome.retry_after().is_some());
/// # Ok::<(), guardian_ratelimit::Error>(())
/// ```
#[derive(Debug)]
pub struct Gate<C = FastClock> {
    prepared: Arc<Prepared>,
    policy: PolicyId,
    limiter: Limiter<MemoryStore, C>,
}

impl<C> Clone for Gate<C> {
    fn clone(&self) -> Self {
        Self { prepared: Arc::clone(&self.prepared), policy: self.policy, limiter: self.limiter.clone() }
    }
}

impl<C: Clock> Limiter<MemoryStore, C> {
    /// Looks a policy up once, for many checks.
    ///
    /// # Errors
    /// When the policy is unknown, or is about concurrency.
    pub fn gate(&self, policy: PolicyId) -> Result<Gate<C>, Error> {
        Ok(Gate { prepared: self.prepared(policy)?, policy, limiter: self.clone() })
    }

    /// What the hot path needs of a policy that can be checked without a permit.
    pub(crate) fn prepared(&self, policy: PolicyId) -> Result<Arc<Prepared>, Error> {
        let entry = self.entry(policy)?;
        if entry.policy.rule().holds_permits() {
            return Err(Error::PermitNeeded { policy: entry.policy.name().clone() });
        }
        Ok(Arc::clone(&entry.prepared))
    }
}

impl<C: Clock> Gate<C> {
    /// Decides a request of cost 1 and charges it if it is allowed: if the outcome does not [deny](Outcome::denies).
    /// Reads the limiter's clock, while it has the counter, so that the reading does not add to the time that the look-up
    /// takes: a clock that itself asks the limiter would wait for ever.
    ///
    /// # Errors
    /// When the subject is too long.
    #[inline(always)]
    pub fn check<'a>(
        &self,
        realm: impl Into<Realm<'a>>,
        subject: impl Into<Subject<'a>>,
    ) -> Result<Outcome, Error> {
        self.check_when(realm.into(), subject.into(), 1, || self.limiter.clock().monotonic())
    }

    /// [`check`](Self::check) at a time that the caller has read from the limiter's clock already, as a server does
    /// once for each request.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    #[inline(always)]
    pub fn check_at<'a>(
        &self,
        realm: impl Into<Realm<'a>>,
        subject: impl Into<Subject<'a>>,
        now: MonoTime,
    ) -> Result<Outcome, Error> {
        self.check_cost_at(realm, subject, 1, now)
    }

    /// [`check_at`](Self::check_at) for a request that costs more than others.
    ///
    /// # Errors
    /// As [`check`](Self::check), and when the cost is 0.
    #[inline(always)]
    pub fn check_cost_at<'a>(
        &self,
        realm: impl Into<Realm<'a>>,
        subject: impl Into<Subject<'a>>,
        cost: u32,
        now: MonoTime,
    ) -> Result<Outcome, Error> {
        self.check_when(realm.into(), subject.into(), cost, || now)
    }

    #[inline(always)]
    fn check_when(
        &self,
        realm: Realm<'_>,
        subject: Subject<'_>,
        cost: u32,
        now: impl Fn() -> MonoTime,
    ) -> Result<Outcome, Error> {
        match self.limiter.store().attempt_one(&self.prepared, realm, subject, cost, &now) {
            Some(outcome) => Ok(outcome),
            // A copy, so that the original need not be in memory for the sake of this line.
            None => self.check_anyhow(realm, &{ subject }, cost, now()),
        }
    }

    #[inline(never)]
    fn check_anyhow(
        &self,
        realm: Realm<'_>,
        subject: &Subject<'_>,
        cost: u32,
        now: MonoTime,
    ) -> Result<Outcome, Error> {
        self.limiter.check_one_local_at(realm, &self.limit(*subject).cost(cost), now)
    }

    /// The limit of one subject, for the limiter's other calls: `peek`, `refund`, `reset`.
    #[inline(always)]
    pub fn limit<'a>(&self, subject: impl Into<Subject<'a>>) -> Limit<'a> {
        Limit { policy: self.policy, subject: subject.into(), cost: 1 }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> PolicyId {
        self.policy
    }

    /// The limiter.
    #[must_use]
    pub fn limiter(&self) -> &Limiter<MemoryStore, C> {
        &self.limiter
    }
}
