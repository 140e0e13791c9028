//! Token buckets of one policy in one shard: eight bytes of state, as long as all are counted in the same units.

use super::key::Key;
use super::lane::{Counter, Lane};
use super::shard::Work;
use super::table::State;
use crate::PermitId;
use crate::bucket::{Bucket, PackedUnits, Units};
use crate::reading::Reading;

/// The token buckets of a policy.
///
/// A TAT means something only in the units of its rule. While every key of the shard has had the same rule, the
/// units are kept once; from the first override or live change on, each key carries its own (24 bytes more).
#[derive(Debug)]
pub(super) enum BucketLane {
    Uniform(Units, UniformLane),
    Mixed(Lane<MixedTat, 3, 4>),
}

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
        Self::Uniform(bucket.units(), Lane::new())
    }

    #[inline]
    pub(super) fn check(&mut self, bucket: &Bucket, work: &Work<'_>, charge: bool) -> Option<Reading> {
        self.follow(bucket);
        match self {
            Self::Uniform(_, lane) => lane.check_at(bucket, bucket.ticks(work.now), work, charge),
            Self::Mixed(lane) => lane.check(bucket, work, charge),
        }
    }

    /// The buckets, if all are counted in this bucket's units.
    #[inline(always)]
    pub(super) fn uniform_mut(&mut self, bucket: &Bucket) -> Option<&mut UniformLane> {
        match self {
            Self::Uniform(units, lane) if bucket.counts_in(units) => Some(lane),
            _ => None,
        }
    }

    /// The buckets, if all are counted in the same units.
    pub(super) fn any_uniform_mut(&mut self) -> Option<&mut UniformLane> {
        match self {
            Self::Uniform(_, lane) => Some(lane),
            Self::Mixed(_) => None,
        }
    }

    pub(super) fn probe_new(&mut self, bucket: &Bucket, work: &Work<'_>) -> Reading {
        bucket.decide(0, bucket.ticks(work.now), work.cost).0
    }

    pub(super) fn insert(&mut self, bucket: &Bucket, work: &Work<'_>) {
        self.follow(bucket);
        match self {
            Self::Uniform(_, lane) => {
                lane.insert_at(bucket, bucket.ticks(work.now), bucket.ticks(work.long_ago()), work);
            }
            Self::Mixed(lane) => lane.insert(bucket, work),
        }
    }

    pub(super) fn put_back(&mut self, bucket: &Bucket, work: &Work<'_>, at: u64) {
        self.follow(bucket);
        match self {
            Self::Uniform(_, lane) => lane.put_back(bucket, work, at),
            Self::Mixed(lane) => lane.put_back(bucket, work, at),
        }
    }

    pub(super) fn sweep_some(&mut self, near: Key, now: u64) {
        match self {
            Self::Uniform(units, lane) => lane.sweep_some(near, units.ticks(now)),
            Self::Mixed(lane) => lane.sweep_some(near, now),
        }
    }

    pub(super) fn evict_one(&mut self) {
        match self {
            Self::Uniform(_, lane) => lane.evict_one(),
            Self::Mixed(lane) => lane.evict_one(),
        }
    }

    /// Makes the lane able to hold this bucket's units.
    #[inline]
    fn follow(&mut self, bucket: &Bucket) {
        if matches!(self, Self::Mixed(lane) if lane.len() == 0) {
            *self = Self::new(bucket);
        }
        if let Self::Uniform(units, lane) = self
            && !bucket.counts_in(units)
        {
            if lane.len() == 0 {
                *units = bucket.units();
            } else {
                self.become_mixed();
            }
        }
    }

    #[cold]
    fn become_mixed(&mut self) {
        if let Self::Uniform(units, lane) = self {
            let packed = units.packed();
            let mut mixed = Lane::new();
            lane.move_into(&mut mixed, |Tat(tat)| MixedTat { tat, units: packed });
            *self = Self::Mixed(mixed);
        }
    }

    pub(super) fn sweep(&mut self, now: u64) {
        match self {
            Self::Uniform(units, lane) => lane.sweep(units.ticks(now)),
            Self::Mixed(lane) => {
                lane.sweep(now);
                self.become_uniform();
            }
        }
    }

    /// Goes back to the small states once all keys have the same units again.
    fn become_uniform(&mut self) {
        let Self::Mixed(lane) = self else { return };
        let mut states = lane.states_mut();
        let Some(packed) = states.next().map(|state| state.units) else {
            return;
        };
        if states.all(|state| state.units == packed) {
            drop(states);
            let mut uniform = Lane::new();
            lane.move_into(&mut uniform, |state| Tat(state.tat));
            *self = Self::Uniform(packed.unpacked(), uniform);
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Uniform(_, lane) => lane.len(),
            Self::Mixed(lane) => lane.len(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Uniform(_, lane) => lane.bytes(),
            Self::Mixed(lane) => lane.bytes(),
        }
    }

    pub(super) fn remove(&mut self, key: Key) {
        match self {
            Self::Uniform(_, lane) => lane.remove(key),
            Self::Mixed(lane) => lane.remove(key),
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
