//! What the hot path needs of a policy.

use std::sync::atomic::{AtomicU64, Ordering};

use super::changes::Extent;
use crate::decision::{Outcome, OutcomeHead};
use crate::reading::Reading;
use crate::rule::Engine;
use crate::{Policy, PolicyId};

/// What the hot path needs of a policy that is looked up by its id, in one cache line and behind one question: is the
/// serial number that the realm sees the one that the counters know?
///
/// Atomic, because a place is there before its policy is. The numbers are written before a serial number shows, and
/// never again; a live change swaps the serial numbers alone.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Hot {
    shown: Shown,
    head: AtomicU64,
    per_token: AtomicU64,
    tolerance: AtomicU64,
    bit: AtomicU64,
}

/// The same for whoever has looked a policy up once and for all: it is there, so only what changes need be atomic.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Prepared {
    shown: Shown,
    pub(crate) bucket: PlainBucket,
}

/// A token bucket that counts in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PlainBucket {
    /// What the policy's outcomes begin with.
    pub(crate) head: OutcomeHead,
    per_token: u64,
    tolerance: u64,
}

/// The serial numbers of a policy that its counters should know, for tenants and for the shared realm.
#[derive(Debug, Default)]
struct Shown {
    in_tenants: AtomicU64,
    in_shared: AtomicU64,
}

/// A serial number that the hot path saw, with the slot of the policy's counters in its lowest bits: whoever compares the
/// number has the slot in a register, and need not fetch it behind the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Serial(u64);

impl Serial {
    /// No policy, one that is no token bucket, or one that was changed: not for the hot path.
    const OFF: Self = Self(0);
    /// As it was defined for some of the realm's subjects, which has to be looked up; or a bucket that counts in other
    /// ticks than nanoseconds. No counters know this number.
    const SOME: Self = Self(1);
    const FIRST: u64 = 1 << Self::SLOT_BITS;
    const SLOT_BITS: u32 = u16::BITS;

    /// The next serial number of a policy, if its counters may know it.
    pub(super) fn of(policy: &Policy, slot: u32) -> Self {
        static SERIALS: AtomicU64 = AtomicU64::new(Serial::FIRST);
        match (&policy.rule().engine, u16::try_from(slot)) {
            (Engine::Bucket(bucket), Ok(slot)) if bucket.is_in_nanos() => {
                Self(SERIALS.fetch_add(Self::FIRST, Ordering::Relaxed) | u64::from(slot))
            }
            (Engine::Bucket(_), _) => Self::SOME,
            _ => Self::OFF,
        }
    }

    /// The slot of the policy's counters; without a meaning where it is not [`plain`](Self::plain).
    #[inline(always)]
    pub(crate) fn slot(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are wanted")]
        {
            u32::from(self.0 as u16)
        }
    }

    /// Itself, if the policy is for the hot path.
    #[inline(always)]
    pub(crate) fn on(self) -> Option<Self> {
        (self != Self::OFF).then_some(self)
    }

    /// Its number, if counters may know it.
    #[inline(always)]
    pub(crate) fn plain(self) -> Option<u64> {
        (self.0 >= Self::FIRST).then_some(self.0)
    }

    /// Whether it is the one that counters know.
    #[inline(always)]
    pub(crate) fn is(self, known: u64) -> bool {
        self.0 == known
    }
}

impl Shown {
    /// Shows a serial number as far as the policy is as it was defined.
    fn show(&self, serial: Serial, changed: Extent) {
        let (in_tenants, in_shared) = match changed {
            _ if serial == Serial::OFF => (Serial::OFF, Serial::OFF),
            Extent::Nothing => (serial, serial),
            Extent::SomeTenants => (Serial::SOME, serial),
            Extent::Anything => (Serial::OFF, Serial::OFF),
        };
        self.in_tenants.store(in_tenants.0, Ordering::Release);
        self.in_shared.store(in_shared.0, Ordering::Release);
    }

    #[inline(always)]
    fn serial(&self, tenants: bool, order: Ordering) -> Serial {
        let serial = if tenants { &self.in_tenants } else { &self.in_shared };
        Serial(serial.load(order))
    }
}

impl Prepared {
    pub(super) fn new(id: PolicyId, policy: &Policy, serial: Serial) -> Self {
        let prepared = Self { shown: Shown::default(), bucket: PlainBucket::of(id, policy) };
        prepared.show(serial, Extent::Nothing);
        prepared
    }

    pub(super) fn show(&self, serial: Serial, changed: Extent) {
        self.shown.show(serial, changed);
    }

    /// The serial number that the counters of tenants, or of the shared realm, should know.
    #[inline(always)]
    pub(crate) fn serial(&self, tenants: bool) -> Serial {
        // Nothing else that changes is read after it.
        self.shown.serial(tenants, Ordering::Relaxed)
    }
}

impl Hot {
    /// Fills the place of a new policy.
    pub(super) fn fill(&self, id: PolicyId, policy: &Policy, serial: Serial) {
        let PlainBucket { head, per_token, tolerance } = PlainBucket::of(id, policy);
        self.head.store(head.bits(), Ordering::Relaxed);
        self.per_token.store(per_token, Ordering::Relaxed);
        self.tolerance.store(tolerance, Ordering::Relaxed);
        self.bit.store(1 << (id.number() % 64), Ordering::Relaxed);
        self.show(serial, Extent::Nothing);
    }

    pub(super) fn show(&self, serial: Serial, changed: Extent) {
        self.shown.show(serial, changed);
    }

    /// The serial number that the counters of tenants, or of the shared realm, should know.
    #[inline(always)]
    pub(crate) fn serial(&self, tenants: bool) -> Serial {
        self.shown.serial(tenants, Ordering::Acquire)
    }

    /// A bit that few other policies have.
    #[inline(always)]
    pub(crate) fn bit(&self) -> u64 {
        self.bit.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(crate) fn bucket(&self) -> PlainBucket {
        PlainBucket {
            head: OutcomeHead::from_bits(self.head.load(Ordering::Relaxed)),
            per_token: self.per_token.load(Ordering::Relaxed),
            tolerance: self.tolerance.load(Ordering::Relaxed),
        }
    }
}

impl PlainBucket {
    /// Zeros for a policy that is no token bucket, and without a use for one that counts in other ticks.
    fn of(id: PolicyId, policy: &Policy) -> Self {
        let Engine::Bucket(bucket) = &policy.rule().engine else { return Self::default() };
        let (burst, per_token, tolerance) = bucket.numbers();
        Self { head: OutcomeHead::new(id, policy.mode(), burst), per_token, tolerance }
    }

    /// What the bucket says, and its TAT afterwards if it admits: as `Bucket::decide`.
    #[inline(always)]
    pub(crate) fn decide(&self, tat: u64, now: u64, cost: u32) -> (Outcome, Option<u64>) {
        match self.admit(tat, now, cost) {
            Some((outcome, tat)) => (outcome, Some(tat)),
            None => (self.refuse(tat, now, cost), None),
        }
    }

    /// The same for a bucket that admits, and `None` if it does not.
    #[inline(always)]
    pub(crate) fn admit(&self, tat: u64, now: u64, cost: u32) -> Option<(Outcome, u64)> {
        let after = self.debts(tat, now, cost).1;
        if after > self.tolerance {
            return None;
        }
        let outcome = Outcome::admitting(self.head, self.tolerance - after, self.per_token, after);
        Some((outcome, now.saturating_add(after)))
    }

    #[inline(always)]
    fn refuse(&self, tat: u64, now: u64, cost: u32) -> Outcome {
        let (debt, after) = self.debts(tat, now, cost);
        let wait = if cost > self.head.limit() { Reading::NEVER } else { after - self.tolerance };
        Outcome::refusing(self.head, self.tolerance.saturating_sub(debt), self.per_token, wait, debt)
    }

    /// What the bucket lacks, and what it would lack after a request of `cost`.
    #[inline(always)]
    fn debts(&self, tat: u64, now: u64, cost: u32) -> (u64, u64) {
        let debt = tat.saturating_sub(now);
        (debt, debt.saturating_add(self.per_token.saturating_mul(u64::from(cost))))
    }
}
