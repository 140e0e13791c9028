//! Token buckets of one policy in one shard: eight bytes of state, as long as all are counted in the same units.

use super::key::Key;
use super::lane::{Counter, Lane};
use super::shard::Work;
use super::table::State;
use crate::PermitId;
use crate::bucket::{Bucket, PackedUnits};
use crate::reading::Reading;

/// The token buckets of a policy.
///
/// A TAT means something only in the units of its rule. While every key of the shard has had the same rule, the
/// units are kept once; from the first override or live change on, each key carries its own (24 bytes more).
///
/// In this order, what a check needs first lies in one cache line.
#[derive(Debug)]
#[repr(C)]
pub(super) struct BucketLane {
    /// The serial number of the policy that was last found to count in the units of the uniform lane: seldom does
    /// more than one ask. 0 is none, and so it is while the states are mixed.
    known: u64,
    uniform: UniformLane,
    /// All of the states, when they have different units. Then the uniform lane is empty.
    mixed: Option<Box<MixedLane>>,
    units: PackedUnits,
}

type MixedLane = Lane<MixedTat, 3, 4>;
pub(super) type UniformLane = Lane<Tat, 4, 5>;

/// A theoretical arrival time in ticks. It is never 0 when anything was consumed, so 0 is vacant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tat(u64);

/// A TAT with the units it is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct MixedTat {
    tat: u64,
    units: PackedUnits,
}

impl Tat {
    #[inline(always)]
    pub(super) fn at(ticks: u64) -> Self {
        Self(ticks)
    }

    #[inline(always)]
    pub(super) fn ticks(self) -> u64 {
        self.0
    }
}

impl BucketLane {
    pub(super) fn new(bucket: &Bucket) -> Self {
        Self { known: 0, uniform: Lane::new(), mixed: None, units: bucket.units().packed() }
    }

    #[inline]
    pub(super) fn check(&mut self, bucket: &Bucket, work: &Work<'_>, charge: bool) -> Option<Reading> {
        self.follow(bucket);
        match &mut self.mixed {
            None => self.uniform.check_at(bucket, bucket.ticks(work.now), work, charge),
            Some(mixed) => mixed.check(bucket, work, charge),
        }
    }

    /// The serial number of the policy that was last [remembered](Self::remember).
    #[inline(always)]
    pub(super) fn known(&self) -> u64 {
        self.known
    }

    /// Remembers a policy whose units all states are counted in.
    pub(super) fn remember(&mut self, serial: u64) {
        self.known = serial;
    }

    /// Whether all states are counted in the units of this bucket.
    pub(super) fn counts_in_units_of(&self, bucket: &Bucket) -> bool {
        self.mixed.is_none() && bucket.counts_in(&self.units)
    }

    /// The states, as long as they have the same units.
    #[inline(always)]
    pub(super) fn uniform_mut(&mut self) -> &mut UniformLane {
        &mut self.uniform
    }

    /// The buckets, if all are counted in the same units.
    pub(super) fn any_uniform_mut(&mut self) -> Option<&mut UniformLane> {
        self.mixed.is_none().then_some(&mut self.uniform)
    }

    pub(super) fn probe_new(&mut self, bucket: &Bucket, work: &Work<'_>) -> Reading {
        bucket.decide(0, bucket.ticks(work.now), work.cost).0
    }

    pub(super) fn insert(&mut self, bucket: &Bucket, work: &Work<'_>) {
        self.follow(bucket);
        match &mut self.mixed {
            None => {
                let (now, long_ago) = (bucket.ticks(work.now), bucket.ticks(work.long_ago()));
                self.uniform.insert_at(bucket, now, long_ago, work);
            }
            Some(mixed) => mixed.insert(bucket, work),
        }
    }

    pub(super) fn put_back(&mut self, bucket: &Bucket, work: &Work<'_>, at: u64) {
        self.follow(bucket);
        match &mut self.mixed {
            None => self.uniform.put_back(bucket, work, at),
            Some(mixed) => mixed.put_back(bucket, work, at),
        }
    }

    pub(super) fn sweep_some(&mut self, near: Key, now: u64) {
        match &mut self.mixed {
            None => self.uniform.sweep_some(near, self.units.unpacked().ticks(now)),
            Some(mixed) => mixed.sweep_some(near, now),
        }
    }

    pub(super) fn evict_one(&mut self) {
        match &mut self.mixed {
            None => self.uniform.evict_one(),
            Some(mixed) => mixed.evict_one(),
        }
    }

    /// Makes the lane able to hold this bucket's units.
    #[inline]
    fn follow(&mut self, bucket: &Bucket) {
        if self.mixed.as_ref().is_some_and(|mixed| mixed.len() == 0) {
            *self = Self::new(bucket);
        }
        if self.mixed.is_none() && !bucket.counts_in(&self.units) {
            if self.uniform.len() == 0 {
                (self.known, self.units) = (0, bucket.units().packed());
            } else {
                self.become_mixed();
            }
        }
    }

    #[cold]
    fn become_mixed(&mut self) {
        let packed = self.units;
        let mut mixed = Lane::new();
        self.uniform.move_into(&mut mixed, |Tat(tat)| MixedTat { tat, units: packed });
        (self.known, self.mixed) = (0, Some(Box::new(mixed)));
    }

    pub(super) fn sweep(&mut self, now: u64) {
        match &mut self.mixed {
            None => self.uniform.sweep(self.units.unpacked().ticks(now)),
            Some(mixed) => {
                mixed.sweep(now);
                self.become_uniform();
            }
        }
    }

    /// Goes back to the small states once all keys have the same units again.
    fn become_uniform(&mut self) {
        let Some(mixed) = &mut self.mixed else { return };
        let mut states = mixed.states_mut();
        let Some(packed) = states.next().map(|state| state.units) else {
            return;
        };
        if states.all(|state| state.units == packed) {
            drop(states);
            mixed.move_into(&mut self.uniform, |state| Tat(state.tat));
            (self.units, self.mixed) = (packed, None);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.mixed.as_ref().map_or(self.uniform.len(), |mixed| mixed.len())
    }

    pub(super) fn bytes(&self) -> usize {
        self.uniform.bytes() + self.mixed.as_ref().map_or(0, |mixed| mixed.bytes())
    }

    pub(super) fn remove(&mut self, key: Key) {
        match &mut self.mixed {
            None => self.uniform.remove(key),
            Some(mixed) => mixed.remove(key),
        }
    }
}

impl State for Tat {
    #[inline]
    fn is_vacant(&self) -> bool {
        self.0 == 0
    }
}

/// Time is in ticks of the lane's units.
impl Counter for Tat {
    type Spec = Bucket;

    #[inline]
    fn probe(&mut self, bucket: &Bucket, now: u64, cost: u32) -> Reading {
        bucket.decide(self.0, now, cost).0
    }

    #[inline]
    fn take(&mut self, bucket: &Bucket, now: u64, cost: u32, _permit: Option<PermitId>) {
        if let (_, Some(tat)) = bucket.decide(self.0, now, cost) {
            self.0 = tat;
        }
    }

    #[inline]
    fn answer(&mut self, bucket: &Bucket, now: u64, work: &Work<'_>, charge: bool) -> Reading {
        let (reading, tat) = bucket.decide(self.0, now, work.cost);
        if let (true, Some(tat)) = (charge, tat) {
            self.0 = tat;
        }
        reading
    }

    /// Here times are in nanoseconds, as the bucket wants them.
    fn put_back(&mut self, bucket: &Bucket, at: u64, now: u64, cost: u32) {
        // A state of 0 would be vacant; 1 lies in the past just as well.
        self.0 = bucket.put_back(self.0, at, now, cost).max(1);
    }

    fn idle_at(&self) -> u64 {
        self.0
    }
}

impl State for MixedTat {
    fn is_vacant(&self) -> bool {
        self.tat == 0
    }
}

/// Time is in nanoseconds.
impl Counter for MixedTat {
    type Spec = Bucket;

    fn probe(&mut self, bucket: &Bucket, now: u64, cost: u32) -> Reading {
        self.settle(bucket, now);
        bucket.decide(self.tat, bucket.ticks(now), cost).0
    }

    fn take(&mut self, bucket: &Bucket, now: u64, cost: u32, _permit: Option<PermitId>) {
        self.settle(bucket, now);
        if let (_, Some(tat)) = bucket.decide(self.tat, bucket.ticks(now), cost) {
            self.tat = tat;
        }
    }

    fn put_back(&mut self, bucket: &Bucket, at: u64, now: u64, cost: u32) {
        self.settle(bucket, now);
        self.tat = bucket.put_back(self.tat, at, now, cost).max(1);
    }

    /// A nanosecond late at most, as the way back from ticks rounds up.
    fn idle_at(&self) -> u64 {
        self.units.nanos_for(self.tat)
    }
}

impl MixedTat {
    fn settle(&mut self, bucket: &Bucket, now: u64) {
        let units = bucket.units();
        if self.units != units.packed() {
            if !self.is_vacant() {
                self.tat = self.units.unpacked().convert(self.tat, now, &units);
            }
            self.units = units.packed();
        }
    }
}
