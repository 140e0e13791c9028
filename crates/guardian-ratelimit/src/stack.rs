use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;
use guardian_core::{Clock, MonoTime};

use crate::decision::{self, Decision, Outcome};
use crate::registry::Prepared;
use crate::store::memory::StackRequest;
use crate::{Error, FastClock, Limit, Limiter, MemoryStore, PolicyId, Realm, Subject};

/// Several policies of a limiter in memory, looked up once, that every request meets together: organisation,
/// integration, endpoint, key. For hosts that know their policies when they start and count the nanoseconds of a
/// request. Made by [`Limiter::stack`].
///
/// It decides exactly as [`Limiter::check_local`] with those limits, all-or-nothing and on the same counters. What is
/// changed on the limiter (rules, overrides, dry run) holds here from the next check on. Cloning is cheap.
///
/// ```
/// use guardian_core::{Clock, TenantId};
/// use guardian_ratelimit::{Limiter, Policy, Subject};
///
/// // When the service starts:
/// let limiter = Limiter::in_memory();
/// let per_org = limiter.define(Policy::new("per-org", "1000/min burst 200")?)?;
/// let per_key = limiter.define(Policy::new("per-key", "10/s burst 2")?)?;
/// let stack = limiter.stack([per_org, per_key])?;
///
/// // In a request, whose time was read once:
/// let (acme, now) = (TenantId::from(17), limiter.clock().monotonic());
/// let subjects = [Subject::Whole, Subject::Id(42)];
/// assert!(stack.check_at(&acme, subjects, now)?.is_allowed());
///
/// // The second costs 5 of the organisation's tokens and 2 of the key's.
/// let denied = stack.check_costs_at(&acme, [(Subject::Whole, 5), (Subject::Id(42), 2)], now)?;
/// assert_eq!(denied.binding().map(|limit| limit.policy()), Some(per_key));
/// assert_eq!(stack.check_at(&acme, subjects, now)?.outcomes()[0].remaining(), 198);
/// # Ok::<(), guardian_ratelimit::Error>(())
/// ```
#[derive(Debug)]
pub struct Stack<const N: usize, C = FastClock> {
    parts: [Part; N],
    /// Whether no policy is there twice: then no two limits can be for the same counter.
    distinct: bool,
    limiter: Limiter<MemoryStore, C>,
}

/// A policy that was looked up once and for all.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) prepared: Arc<Prepared>,
    policy: PolicyId,
}

impl<const N: usize, C> Clone for Stack<N, C> {
    fn clone(&self) -> Self {
        Self { parts: self.parts.clone(), distinct: self.distinct, limiter: self.limiter.clone() }
    }
}

/// The limits of a stack.
fn limits_of<'a, const N: usize>(parts: &[Part; N], charges: &[(Subject<'a>, u32); N]) -> [Limit<'a>; N] {
    let mut parts = parts.iter();
    charges.each_ref().map(|(subject, cost)| {
        // There are as many parts as charges.
        let policy = parts.next().map_or(PolicyId::from_bits(0), |part| part.policy);
        Limit { policy, subject: *subject, cost: *cost }
    })
}

impl<C: Clock> Limiter<MemoryStore, C> {
    /// Looks policies up once, for many checks of all of them. A policy may be there twice, for two subjects; such a
    /// stack is no faster than [`check_local_at`](Self::check_local_at).
    ///
    /// # Errors
    /// When they are none or more than [`Limiter::MAX_LIMITS`], one is unknown, or one is about concurrency.
    pub fn stack<const N: usize>(&self, policies: [PolicyId; N]) -> Result<Stack<N, C>, Error> {
        if N == 0 || N > Limiter::MAX_LIMITS {
            return Err(Error::LimitCount { given: N, max: Limiter::MAX_LIMITS });
        }
        let parts =
            policies.iter().map(|policy| Ok(Part { prepared: self.prepared(*policy)?, policy: *policy }));
        let parts = parts.collect::<Result<ArrayVec<Part, N>, Error>>()?;
        let parts = parts.into_inner().map_err(|parts| Error::LimitCount { given: parts.len(), max: N })?;
        let mut sorted = policies;
        sorted.sort_unstable();
        let distinct = sorted.windows(2).all(|pair| pair.first() != pair.last());
        Ok(Stack { parts, distinct, limiter: self.clone() })
    }
}

impl<const N: usize, C: Clock> Stack<N, C> {
    /// Decides a request that costs 1 of every limit, all-or-nothing, and charges them if it is allowed. The subjects
    /// are in the order of the policies. Reads the limiter's clock.
    ///
    /// # Errors
    /// When a subject is too long, or one policy that is there twice has the same subject twice.
    #[inline(always)]
    pub fn check<'a>(
        &self,
        realm: impl Into<Realm<'a>>,
        subjects: [Subject<'a>; N],
    ) -> Result<Verdict<N>, Error> {
        self.check_at(realm, subjects, self.limiter.clock().monotonic())
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
        subjects: [Subject<'a>; N],
        now: MonoTime,
    ) -> Result<Verdict<N>, Error> {
        self.check_costs_at(realm, subjects.map(|subject| (subject, 1)), now)
    }

    /// [`check_at`](Self::check_at) for a request with a cost of its own at each limit.
    ///
    /// # Errors
    /// As [`check`](Self::check), and when a cost is 0.
    #[inline(always)]
    pub fn check_costs_at<'a>(
        &self,
        realm: impl Into<Realm<'a>>,
        charges: [(Subject<'a>, u32); N],
        now: MonoTime,
    ) -> Result<Verdict<N>, Error> {
        let request = &StackRequest { parts: &self.parts, realm: realm.into(), charges, now };
        if self.distinct
            && let Some(verdict) = self.limiter.store().attempt_stack(request)
        {
            return Ok(verdict);
        }
        // A copy, so that the original need not be in memory for the sake of this line.
        self.check_anyhow(&{ *request })
    }

    #[inline(never)]
    fn check_anyhow(&self, request: &StackRequest<'_, N>) -> Result<Verdict<N>, Error> {
        let limits = limits_of(&self.parts, &request.charges);
        let mut decision = Decision::empty(request.now);
        self.limiter.check_local_into(request.realm, &limits, request.now, &mut decision)?;
        let said = decision.outcomes();
        match <[Outcome; N]>::try_from(said) {
            Ok(outcomes) => Ok(Verdict::new(request.now, outcomes)),
            Err(_) => Err(Error::LimitCount { given: said.len(), max: N }),
        }
    }

    /// The limits of a request that costs 1 of every limit, for the limiter's other calls: `peek`, `refund`, `reset`.
    pub fn limits<'a>(&self, subjects: [Subject<'a>; N]) -> [Limit<'a>; N] {
        limits_of(&self.parts, &subjects.map(|subject| (subject, 1)))
    }

    /// The policies, in the order of the subjects.
    #[must_use]
    pub fn policies(&self) -> [PolicyId; N] {
        self.parts.each_ref().map(|part| part.policy)
    }

    /// The limiter.
    #[must_use]
    pub fn limiter(&self) -> &Limiter<MemoryStore, C> {
        &self.limiter
    }
}

/// What a [`Stack`] of limits has decided: a [`Decision`] of so many outcomes, and smaller.
///
/// ```
/// use guardian_ratelimit::{Decision, Limiter, Policy, Realm, Subject};
///
/// let limiter = Limiter::in_memory();
/// let stack = limiter.stack([limiter.define(Policy::new("per-client", "1/min burst 2")?)?])?;
///
/// let verdict = stack.check(Realm::Shared, [Subject::Text("192.0.2.7")])?;
/// assert!(verdict.is_allowed());
/// assert_eq!(verdict.outcomes()[0].remaining(), 1);
/// // For what wants a decision, such as the header fields of an answer.
/// let decision = Decision::from(verdict);
/// assert_eq!(decision.outcomes().len(), 1);
/// # Ok::<(), guardian_ratelimit::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "a verdict that nobody looks at limits nobody"]
pub struct Verdict<const N: usize> {
    allowed: bool,
    at: MonoTime,
    outcomes: [Outcome; N],
}

impl<const N: usize> Verdict<N> {
    /// The verdict that follows from what each limit says.
    #[inline(always)]
    pub(crate) fn new(at: MonoTime, outcomes: [Outcome; N]) -> Self {
        Self { allowed: !outcomes.iter().any(Outcome::denies), at, outcomes }
    }

    /// The same where no limit denies.
    #[inline(always)]
    pub(crate) fn admitted(at: MonoTime, outcomes: [Outcome; N]) -> Self {
        Self { allowed: true, at, outcomes }
    }

    /// Whether the request may go ahead.
    #[must_use]
    #[inline(always)]
    pub fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// Whether the request must not go ahead.
    #[must_use]
    #[inline(always)]
    pub fn is_denied(&self) -> bool {
        !self.allowed
    }

    /// The limit that decides, as [`Decision::binding`]. `None` when it is allowed and no policy is enforced.
    #[must_use]
    pub fn binding(&self) -> Option<&Outcome> {
        decision::binding(&self.outcomes, self.allowed)
    }

    /// What each limit says, in the order of the stack.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome; N] {
        &self.outcomes
    }

    /// When the same request is worth another try, as [`Decision::retry_after`].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if self.allowed { None } else { self.binding().and_then(Outcome::retry_after) }
    }

    /// The moment of the decision; [`Limiter::refund`] wants it back.
    #[must_use]
    #[inline]
    pub fn at(&self) -> MonoTime {
        self.at
    }
}

impl<const N: usize> From<Verdict<N>> for Decision {
    fn from(verdict: Verdict<N>) -> Self {
        Self::from_outcomes(verdict.at, verdict.outcomes)
    }
}
