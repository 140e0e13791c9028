//! One shard: what a lock protects.

use super::AtCapacity;
use super::bucket_lane::BucketLane;
use super::capacity::Capacity;
use super::key::Key;
use super::lane::Lane;
use crate::concurrency::Permits;
use crate::fixed::FixedCount;
use crate::reading::Reading;
use crate::rule::Engine;
use crate::window::WindowLog;
use crate::{PermitId, Rule};

/// The counters of all policies in a shard, each policy at its slot.
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// The first slots are here, so that no pointer need be followed to most policies that there are.
    first: [Lanes; FIRST_SLOTS],
    /// The slots after these.
    more: Vec<Lanes>,
    keys: usize,
}

const FIRST_SLOTS: usize = 4;

/// The counters of a policy in a shard. A policy keeps its algorithm, so it has one kind of counter.
///
/// Aligned so that a shift finds the one at a slot.
#[derive(Debug, Default)]
#[repr(align(128))]
enum Lanes {
    #[default]
    Unused,
    Bucket(BucketLane),
    Fixed(Lane<FixedCount, 4, 3>),
    Window(Lane<Option<Box<WindowLog>>, 4, 5>),
    Permits(Lane<Option<Box<Permits>>, 4, 5>),
}

/// One limit to decide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) rule: &'a Rule,
    pub(super) slot: u32,
    pub(super) key: Key,
    pub(super) cost: u32,
    /// Nanoseconds.
    pub(super) now: u64,
    pub(super) permit: Option<PermitId>,
}

/// How long a key stays idle before a growing table drops it: a key that comes back sooner finds its place, and one
/// that does not has cost one place for a second. In nanoseconds.
const GRACE: u64 = 1_000_000_000;

impl Work<'_> {
    pub(super) fn long_ago(&self) -> u64 {
        self.now.saturating_sub(GRACE)
    }
}

/// No store hands out slots above this.
const MAX_SLOTS: usize = 1 << 16;

impl Shard {
    /// Decides, and charges the counter if asked to and the answer is yes. `None` for a slot that no store gave.
    #[inline]
    pub(super) fn check(&mut self, work: &Work<'_>, capacity: &Capacity, charge: bool) -> Option<Reading> {
        let known = self.lanes_at(work.slot).and_then(|lanes| lanes.check(work, charge));
        if known.is_some() { known } else { self.check_new(work, capacity, charge) }
    }

    /// A policy's token buckets, if it has any here.
    #[inline(always)]
    pub(super) fn bucket_lane(&mut self, slot: u32) -> Option<&mut BucketLane> {
        match self.lanes_at(slot)? {
            Lanes::Bucket(lane) => Some(lane),
            _ => None,
        }
    }

    #[inline(always)]
    fn lanes_at(&mut self, slot: u32) -> Option<&mut Lanes> {
        let slot = slot as usize;
        if slot < FIRST_SLOTS { self.first.get_mut(slot) } else { self.more.get_mut(slot - FIRST_SLOTS) }
    }

    fn all_lanes_mut(&mut self) -> impl Iterator<Item = &mut Lanes> {
        self.first.iter_mut().chain(&mut self.more)
    }

    /// A key without a counter: as good as new, if there is room for it.
    #[inline(never)]
    fn check_new(&mut self, work: &Work<'_>, capacity: &Capacity, charge: bool) -> Option<Reading> {
        let lanes = self.lanes(work)?;
        let (reading, evictable) = (lanes.probe_new(work), lanes.is_evictable());
        if !reading.admits {
            return Some(reading);
        }
        if !capacity.has_room(self.keys) {
            self.sweep_some(work, capacity);
        }
        let full = Reading { admits: false, room: 0, wait: reading.reset, ..reading };
        let (evict, admit) = match capacity.at_capacity {
            // A permit too may take the place of a counter that can be forgotten.
            AtCapacity::Evict => (true, false),
            AtCapacity::Admit => (false, evictable),
            AtCapacity::Deny => (false, false),
        };
        if !charge {
            let welcome = evict || admit || capacity.has_room(self.keys);
            return Some(if welcome { reading } else { full });
        }
        if capacity.reserve(self.keys) {
            self.keys += 1;
        } else if admit {
            return Some(reading);
        } else if !(evict && self.evict_one()) {
            return Some(full);
        }
        // The place is reserved, or was the evicted key's.
        let lanes = self.lanes(work)?;
        let before = lanes.len();
        lanes.insert(work);
        let removed = before + 1 - lanes.len();
        self.forget(removed, capacity);
        Some(reading)
    }

    /// Removes what is idle among a few keys of the policy.
    fn sweep_some(&mut self, work: &Work<'_>, capacity: &Capacity) {
        if let Some(lanes) = self.lanes_at(work.slot) {
            let before = lanes.len();
            lanes.sweep_some(work);
            let removed = before - lanes.len();
            self.forget(removed, capacity);
        }
    }

    /// Evicts a key of the policy that has the most of those whose counters may be forgotten.
    fn evict_one(&mut self) -> bool {
        let evictable = self.all_lanes_mut().filter(|lanes| lanes.is_evictable() && lanes.len() > 0);
        evictable.max_by_key(|lanes| lanes.len()).map(Lanes::evict_one).is_some()
    }

    fn forget(&mut self, removed: usize, capacity: &Capacity) {
        if removed > 0 {
            capacity.give_back(self.keys, self.keys - removed);
            self.keys -= removed;
        }
    }

    /// The policy's lanes, made for its rule. `None` if they are of another algorithm: a limiter allows no such
    /// change, but two that share a store may disagree.
    fn lanes(&mut self, work: &Work<'_>) -> Option<&mut Lanes> {
        let slot = work.slot as usize;
        if slot >= MAX_SLOTS {
            return None;
        }
        if slot >= FIRST_SLOTS + self.more.len() {
            self.more.resize_with(slot + 1 - FIRST_SLOTS, Lanes::default);
        }
        let lanes = self.lanes_at(work.slot)?;
        if matches!(lanes, Lanes::Unused) {
            *lanes = Lanes::for_rule(work.rule);
        }
        lanes.fits(work.rule).then_some(lanes)
    }

    pub(super) fn put_back(&mut self, work: &Work<'_>, at: u64) {
        if let Some(lanes) = self.lanes_at(work.slot) {
            lanes.put_back(work, at);
        }
    }

    pub(super) fn remove(&mut self, work: &Work<'_>, capacity: &Capacity) {
        if let Some(lanes) = self.lanes_at(work.slot) {
            let before = lanes.len();
            lanes.remove(work.key);
            let removed = before - lanes.len();
            self.forget(removed, capacity);
        }
    }

    pub(super) fn release(&mut self, slot: u32, key: Key, permit: PermitId) {
        if let Some(Lanes::Permits(lane)) = self.lanes_at(slot)
            && let Some(Some(permits)) = lane.get_mut(key)
        {
            permits.release(permit);
        }
    }

    pub(super) fn sweep(&mut self, now: u64, capacity: &Capacity) {
        let left = self.all_lanes_mut().map(|lanes| lanes.sweep(now)).sum::<usize>();
        self.forget(self.keys - left, capacity);
    }

    pub(super) fn len(&self) -> usize {
        self.keys
    }

    pub(super) fn bytes(&self) -> usize {
        self.first.iter().chain(&self.more).map(Lanes::bytes).sum()
    }
}

/// Does the same to lanes of every kind.
macro_rules! each_kind {
    ($lanes:expr, $unused:expr, $lane:ident => $action:expr) => {
        match $lanes {
            Lanes::Unused => $unused,
            Lanes::Bucket($lane) => $action,
            Lanes::Fixed($lane) => $action,
            Lanes::Window($lane) => $action,
            Lanes::Permits($lane) => $action,
        }
    };
}

/// Does the same to lanes of every kind, with the rule's numbers for that kind.
macro_rules! each_engine {
    ($lanes:expr, $rule:expr, $otherwise:expr, $lane:ident, $spec:ident => $action:expr) => {
        match ($lanes, &$rule.engine) {
            (Lanes::Bucket($lane), Engine::Bucket($spec)) => $action,
            (Lanes::Fixed($lane), Engine::Fixed($spec)) => $action,
            (Lanes::Window($lane), Engine::Window($spec)) => $action,
            (Lanes::Permits($lane), Engine::Permits($spec)) => $action,
            _ => $otherwise,
        }
    };
}

impl Lanes {
    fn for_rule(rule: &Rule) -> Self {
        match &rule.engine {
            Engine::Bucket(bucket) => Self::Bucket(BucketLane::new(bucket)),
            Engine::Window(_) => Self::Window(Lane::new()),
            Engine::Fixed(_) => Self::Fixed(Lane::new()),
            Engine::Permits(_) => Self::Permits(Lane::new()),
        }
    }

    fn fits(&self, rule: &Rule) -> bool {
        each_engine!(self, rule, false, _lane, _spec => true)
    }

    /// Answers for a key that has a counter.
    #[inline]
    fn check(&mut self, work: &Work<'_>, charge: bool) -> Option<Reading> {
        each_engine!(self, work.rule, None, lane, spec => lane.check(spec, work, charge))
    }

    /// Answers for a key that has none.
    fn probe_new(&mut self, work: &Work<'_>) -> Reading {
        let nothing = Reading::new(false, 0, 0, Reading::NEVER, 0);
        each_engine!(self, work.rule, nothing, lane, spec => lane.probe_new(spec, work))
    }

    fn insert(&mut self, work: &Work<'_>) {
        each_engine!(self, work.rule, (), lane, spec => lane.insert(spec, work));
    }

    fn put_back(&mut self, work: &Work<'_>, at: u64) {
        each_engine!(self, work.rule, (), lane, spec => lane.put_back(spec, work, at));
    }

    fn sweep_some(&mut self, work: &Work<'_>) {
        each_kind!(self, (), lane => lane.sweep_some(work.key, work.now));
    }

    /// Says how many keys are left.
    fn sweep(&mut self, now: u64) -> usize {
        each_kind!(self, (), lane => lane.sweep(now));
        self.len()
    }

    fn remove(&mut self, key: Key) {
        each_kind!(self, (), lane => lane.remove(key));
    }

    fn evict_one(&mut self) {
        each_kind!(self, (), lane => lane.evict_one());
    }

    fn len(&self) -> usize {
        each_kind!(self, 0, lane => lane.len())
    }

    fn bytes(&self) -> usize {
        each_kind!(self, 0, lane => lane.bytes())
    }

    /// Permits stand for work in progress: forgetting one would admit more work than there may be.
    fn is_evictable(&self) -> bool {
        !matches!(self, Self::Permits(_))
    }
}
