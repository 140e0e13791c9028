use std::fmt;
use std::time::Duration;

use arrayvec::ArrayVec;
use guardian_core::MonoTime;

use crate::reading::Reading;
use crate::{Limiter, Mode, PolicyId};

/// What was decided for one request against all its limits at once.
///
/// Allowed means that every enforced limit admitted the request and each was charged; denied means that nothing
/// was charged anywhere.
///
/// ```
/// use std::time::Duration;
/// use guardian_ratelimit::{Limit, Limiter, Policy, Realm};
///
/// let limiter = Limiter::in_memory();
/// let policy = limiter.define(Policy::new("demo", "1/s burst 2")?)?;
/// let limits = [Limit::of(policy, 7)];
///
/// let first = limiter.check_local(Realm::Shared, &limits)?;
/// assert!(first.is_allowed());
/// assert_eq!(first.binding().unwrap().remaining(), 1);
///
/// limiter.check_local(Realm::Shared, &limits)?;
/// let third = limiter.check_local(Realm::Shared, &limits)?;
/// assert!(third.is_denied());
/// assert!(third.retry_after().unwrap() <= Duration::from_secs(1));
/// # Ok::<(), guardian_ratelimit::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a decision that nobody looks at limits nobody"]
pub struct Decision {
    allowed: bool,
    source: DecisionSource,
    at: MonoTime,
    outcomes: ArrayVec<Outcome, { Limiter::MAX_LIMITS }>,
}

impl Decision {
    /// The decision that follows from what each limit says: allowed if every enforced one admits. For stores.
    ///
    /// Outcomes past [`Limiter::MAX_LIMITS`] are ignored.
    pub fn from_outcomes(at: MonoTime, outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        let mut decision = Self::empty(at);
        for outcome in outcomes {
            decision.push(outcome);
        }
        decision
    }

    #[inline(always)]
    pub(crate) fn empty(at: MonoTime) -> Self {
        Self { allowed: true, source: DecisionSource::Store, at, outcomes: ArrayVec::new() }
    }

    /// Makes it empty again, for another request.
    #[inline(always)]
    pub(crate) fn clear(&mut self, at: MonoTime) {
        (self.allowed, self.source, self.at) = (true, DecisionSource::Store, at);
        self.outcomes.clear();
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, outcome: Outcome) {
        self.allowed &= !outcome.denies();
        let _ = self.outcomes.try_push(outcome);
    }

    /// [`push`](Self::push) for an outcome that admits.
    #[inline(always)]
    pub(crate) fn push_admitted(&mut self, outcome: Outcome) {
        let _ = self.outcomes.try_push(outcome);
    }

    /// A decision that no store made.
    pub(crate) fn without_store(at: MonoTime, allowed: bool) -> Self {
        let source = if allowed { DecisionSource::FailOpen } else { DecisionSource::FailClosed };
        Self { allowed, source, at, outcomes: ArrayVec::new() }
    }

    pub(crate) fn with_source(mut self, source: DecisionSource) -> Self {
        self.source = source;
        self
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

    /// The limit that decides: of a denied request the one to wait longest for, of an allowed one the one with
    /// the least room left, relative to its capacity. `None` when no store was asked.
    #[must_use]
    pub fn binding(&self) -> Option<&Outcome> {
        binding(&self.outcomes, self.allowed)
    }

    /// What each limit says, in the order of the check.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// When the same request is worth another try: the longest wait among the limits that deny it, after which
    /// it is admitted if nobody else comes first. `None` when it is allowed, or can never be.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if self.allowed {
            return None;
        }
        self.binding().and_then(Outcome::retry_after)
    }

    /// The moment of the decision; [`Limiter::refund`] wants it back.
    #[must_use]
    #[inline]
    pub fn at(&self) -> MonoTime {
        self.at
    }

    /// Who decided: the store, or a policy's answer to a store that failed.
    #[must_use]
    pub fn source(&self) -> DecisionSource {
        self.source
    }
}

/// Who made a [`Decision`].
///
/// ```
/// # use guardian_ratelimit::{DecisionSource, Limit, Limiter, Policy, Realm};
/// # let limiter = Limiter::in_memory();
/// # let policy = limiter.define(Policy::new("demo", "1/s")?)?;
/// let decision = limiter.check_local(Realm::Shared, &[Limit::whole(policy)])?;
/// assert_eq!(decision.source(), DecisionSource::Store);
/// # Ok::<(), guardian_ratelimit::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecisionSource {
    /// The store, by counting.
    Store,
    /// The store failed and every policy said to admit.
    FailOpen,
    /// The store failed and a policy said to deny.
    FailClosed,
    /// The store failed and this process's share decided.
    LocalShare,
}

/// What one limit says of one request.
///
/// ```
/// use std::time::Duration;
/// use guardian_ratelimit::{Limit, Limiter, Policy, Realm};
///
/// let limiter = Limiter::in_memory();
/// let policy = limiter.define(Policy::new("demo", "60/min burst 10")?)?;
/// let decision = limiter.check_local(Realm::Shared, &[Limit::of(policy, 7).cost(4)])?;
/// let outcome = &decision.outcomes()[0];
/// assert_eq!((outcome.limit(), outcome.remaining()), (10, 6));
/// assert_eq!(outcome.reset_after(), Duration::from_secs(4));
/// # Ok::<(), guardian_ratelimit::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Outcome {
    // What a `Reading` holds, laid out flat: 40 bytes, of which a decision keeps up to eight.
    head: OutcomeHead,
    room: u64,
    unit: u64,
    wait: u64,
    reset: u64,
}

impl Outcome {
    /// In a place where another will be.
    pub(crate) const NONE: Self = Self { head: OutcomeHead(0), room: 0, unit: 0, wait: 0, reset: 0 };

    /// An outcome in plain numbers, for stores: what is left after the decision, how long until the same request
    /// passes (`None` for never; zero if it passes), and how long until the limit is as good as new.
    #[must_use]
    pub fn new(
        policy: PolicyId,
        mode: Mode,
        admits: bool,
        limit: u32,
        remaining: u32,
        retry_after: Option<Duration>,
        reset_after: Duration,
    ) -> Self {
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(Reading::NEVER - 1);
        let wait = retry_after.map_or(Reading::NEVER, nanos);
        Self::from_reading(
            policy,
            mode,
            Reading::new(admits, limit, u64::from(remaining), wait, nanos(reset_after)),
        )
    }

    #[inline(always)]
    pub(crate) fn from_reading(policy: PolicyId, mode: Mode, reading: Reading) -> Self {
        Self::from_head(OutcomeHead::new(policy, mode, reading.limit), reading)
    }

    /// The outcome of a limit that admits, by numbers as in a [`Reading`].
    #[inline(always)]
    pub(crate) fn admitting(head: OutcomeHead, room: u64, unit: u64, reset: u64) -> Self {
        Self { head: head.admitting(true), room, unit, wait: 0, reset }
    }

    /// The outcome of a limit that does not admit.
    #[inline(always)]
    pub(crate) fn refusing(head: OutcomeHead, room: u64, unit: u64, wait: u64, reset: u64) -> Self {
        Self { head, room, unit, wait, reset }
    }

    #[inline(always)]
    pub(crate) fn from_head(head: OutcomeHead, reading: Reading) -> Self {
        let Reading { admits, limit: _, room, unit, wait, reset } = reading;
        Self { head: head.admitting(admits), room, unit, wait, reset }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> PolicyId {
        self.head.policy()
    }

    /// Whether the policy was enforced or on trial at the time.
    #[must_use]
    pub fn mode(&self) -> Mode {
        if self.head.is_enforced() { Mode::Enforce } else { Mode::DryRun }
    }

    /// Whether this limit, taken alone, admits the request.
    #[must_use]
    #[inline(always)]
    pub fn admits(&self) -> bool {
        self.head.admits()
    }

    /// Whether this limit denies the request: it is enforced and does not admit it.
    #[must_use]
    #[inline(always)]
    pub fn denies(&self) -> bool {
        self.head.denies()
    }

    /// Whether this limit would have denied the request but is only on trial.
    #[must_use]
    pub fn would_deny(&self) -> bool {
        !self.admits() && !self.denies()
    }

    /// The most that can be admitted at once: the burst, the limit or the permits.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.head.limit()
    }

    /// How much may still be admitted at this moment. After an allowed request its cost is already taken off;
    /// of a limit that would have admitted a request which another denied, nothing was taken, and the number
    /// says what would have been left.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        u32::try_from(self.room / self.unit.max(1)).unwrap_or(self.limit())
    }

    /// How long until the same request passes this limit; zero if it does, `None` if its cost is above the
    /// capacity and it never will.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        (self.wait != Reading::NEVER).then(|| Duration::from_nanos(self.wait))
    }

    /// How long until the limit is as good as new, if nothing more comes.
    #[must_use]
    pub fn reset_after(&self) -> Duration {
        Duration::from_nanos(self.reset)
    }
}

/// [`Decision::binding`] of these outcomes.
pub(crate) fn binding(outcomes: &[Outcome], allowed: bool) -> Option<&Outcome> {
    if !allowed {
        let denying = outcomes.iter().filter(|outcome| outcome.denies());
        return denying.max_by_key(|outcome| outcome.wait);
    }
    let enforced = outcomes.iter().filter(|outcome| outcome.mode() == Mode::Enforce);
    // a/b < c/d is a·d < c·b, which needs no division.
    enforced.min_by(|a, b| {
        let left = |x: &Outcome, y: &Outcome| u64::from(x.remaining()) * u64::from(y.limit());
        left(a, b).cmp(&left(b, a))
    })
}

/// An outcome's policy, mode, answer and limit in one word: a policy has its own ready, and a check sets one bit of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OutcomeHead(u64);

impl OutcomeHead {
    const ADMITS: u64 = 1 << 16;
    const ENFORCED: u64 = 1 << 17;

    pub(crate) fn new(policy: PolicyId, mode: Mode, limit: u32) -> Self {
        let enforced = if mode == Mode::Enforce { Self::ENFORCED } else { 0 };
        Self(u64::from(policy.bits()) | enforced | u64::from(limit) << 32)
    }

    #[inline(always)]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    #[inline(always)]
    fn admitting(self, admits: bool) -> Self {
        Self(self.0 | if admits { Self::ADMITS } else { 0 })
    }

    #[inline(always)]
    fn admits(self) -> bool {
        self.0 & Self::ADMITS != 0
    }

    #[inline(always)]
    fn is_enforced(self) -> bool {
        self.0 & Self::ENFORCED != 0
    }

    #[inline(always)]
    fn denies(self) -> bool {
        self.is_enforced() && !self.admits()
    }

    fn policy(self) -> PolicyId {
        PolicyId::from_bits((self.0 & 0xffff) as u16)
    }

    #[inline(always)]
    pub(crate) fn limit(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// What the accessors say, rather than the numbers that they say it from.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("policy", &self.policy())
            .field("mode", &self.mode())
            .field("admits", &self.admits())
            .field("limit", &self.limit())
            .field("remaining", &self.remaining())
            .field("retry_after", &self.retry_after())
            .field("reset_after", &self.reset_after())
            .finish()
    }
}
