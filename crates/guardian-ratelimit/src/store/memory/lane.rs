//! The counters of one policy in one shard, for the algorithms whose state explains itself.

use super::key::{Key, TableKey};
use super::shard::Work;
use super::table::{Slot, State, Table};
use crate::PermitId;
use crate::concurrency::{PermitSpec, Permits};
use crate::fixed::{FixedCount, FixedSpec};
use crate::reading::Reading;
use crate::window::{WindowLog, WindowSpec};

/// A state that decides. `now` is in the unit that the implementation keeps time in.
pub(super) trait Counter: State {
    type Spec;

    /// What the counter says; it may tidy itself up but charges nothing.
    fn probe(&mut self, spec: &Self::Spec, now: u64, cost: u32) -> Reading;

    /// Charges what `probe` has admitted.
    fn take(&mut self, spec: &Self::Spec, now: u64, cost: u32, permit: Option<PermitId>);

    /// Both in one go.
    #[inline]
    fn answer(&mut self, spec: &Self::Spec, now: u64, work: &Work<'_>, charge: bool) -> Reading {
        let reading = self.probe(spec, now, work.cost);
        if charge && reading.admits {
            self.take(spec, now, work.cost, work.permit);
        }
        reading
    }

    fn put_back(&mut self, spec: &Self::Spec, at: u64, now: u64, cost: u32);

    /// From when on the counter is as good as new.
    fn idle_at(&self) -> u64;

    /// How much would be lost by forgetting the counter: what it has counted, and then for how long. A bucket's
    /// time says both.
    fn worth(&self) -> u64 {
        self.idle_at()
    }
}

/// Two tables, for numbers and for fingerprints. `N` and `W` fill their buckets to whole cache lines.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Lane<S, const N: usize, const W: usize> {
    pub(super) narrow: Table<u64, S, N>,
    pub(super) wide: Table<u128, S, W>,
}

impl<S: State, const N: usize, const W: usize> Lane<S, N, W> {
    pub(super) fn new() -> Self {
        Self { narrow: Table::new(), wide: Table::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.narrow.len() + self.wide.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.narrow.bytes() + self.wide.bytes()
    }

    pub(super) fn remove(&mut self, key: Key) {
        if let Some(at) = self.find(key) {
            match key {
                Key::Narrow(_) => drop(self.narrow.remove(at)),
                Key::Wide(_) => drop(self.wide.remove(at)),
            }
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut S> {
        self.find(key).and_then(|at| self.at(key, at))
    }

    #[inline(always)]
    pub(super) fn find(&self, key: Key) -> Option<Slot> {
        match key {
            Key::Narrow(key) => self.narrow.find(key, key.spread()),
            Key::Wide(key) => self.wide.find(key, key.spread()),
        }
    }

    /// The state that `find` has found.
    #[inline(always)]
    pub(super) fn at(&mut self, key: Key, slot: Slot) -> Option<&mut S> {
        match key {
            Key::Narrow(_) => self.narrow.state_mut(slot),
            Key::Wide(_) => self.wide.state_mut(slot),
        }
    }

    pub(super) fn states_mut(&mut self) -> impl Iterator<Item = &mut S> {
        self.narrow.states_mut().chain(self.wide.states_mut())
    }

    /// Moves every counter into another lane, changed.
    pub(super) fn move_into<T: State, const A: usize, const B: usize>(
        &mut self,
        to: &mut Lane<T, A, B>,
        change: impl Fn(S) -> T,
    ) {
        for (key, state) in self.narrow.drain() {
            to.narrow.place(key, change(state));
        }
        for (key, state) in self.wide.drain() {
            to.wide.place(key, change(state));
        }
    }
}

/// In nanoseconds, which most counters keep.
impl<S: Counter, const N: usize, const W: usize> Lane<S, N, W> {
    #[inline]
    pub(super) fn check(&mut self, spec: &S::Spec, work: &Work<'_>, charge: bool) -> Option<Reading> {
        self.check_at(spec, work.now, work, charge)
    }

    pub(super) fn probe_new(&mut self, spec: &S::Spec, work: &Work<'_>) -> Reading {
        S::default().probe(spec, work.now, work.cost)
    }

    pub(super) fn insert(&mut self, spec: &S::Spec, work: &Work<'_>) {
        self.insert_at(spec, work.now, work.long_ago(), work);
    }

    pub(super) fn put_back(&mut self, spec: &S::Spec, work: &Work<'_>, at: u64) {
        if let Some(counter) = self.get_mut(work.key) {
            counter.put_back(spec, at, work.now, work.cost);
        }
    }
}

/// In whatever the counters keep time in.
impl<S: Counter, const N: usize, const W: usize> Lane<S, N, W> {
    /// Answers for a key that has a counter, and charges it if asked to and the answer is yes.
    #[inline]
    pub(super) fn check_at(
        &mut self,
        spec: &S::Spec,
        now: u64,
        work: &Work<'_>,
        charge: bool,
    ) -> Option<Reading> {
        Some(self.get_mut(work.key)?.answer(spec, now, work, charge))
    }

    /// Puts a key in that has no counter, and charges it. A table that would grow first drops what has been idle
    /// since `long_ago`.
    pub(super) fn insert_at(&mut self, spec: &S::Spec, now: u64, long_ago: u64, work: &Work<'_>) {
        let mut counter = S::default();
        counter.take(spec, now, work.cost, work.permit);
        let idle = |state: &S| state.idle_at() <= long_ago;
        match work.key {
            Key::Narrow(key) => self.narrow.make_room(idle).insert(key, key.spread(), counter),
            Key::Wide(key) => self.wide.make_room(idle).insert(key, key.spread(), counter),
        }
    }

    /// Looks through a few keys, where the next one will go, and removes the idle ones.
    pub(super) fn sweep_some(&mut self, near: Key, now: u64) {
        let idle = |state: &S| state.idle_at() <= now;
        match near {
            Key::Narrow(_) => self.narrow.sweep_one(idle),
            Key::Wide(_) => self.wide.sweep_one(idle),
        }
    }

    pub(super) fn sweep(&mut self, now: u64) {
        let idle = |state: &S| state.idle_at() <= now;
        self.narrow.sweep_all(idle);
        self.wide.sweep_all(idle);
        self.narrow.shrink();
        self.wide.shrink();
    }

    /// Removes the key among a sample that is the nearest to being as good as new.
    pub(super) fn evict_one(&mut self) {
        if self.narrow.len() >= self.wide.len() {
            self.narrow.evict_one(S::worth);
        } else {
            self.wide.evict_one(S::worth);
        }
    }
}

/// A count in the upper bits and a time in the lower ones, which are 16 milliseconds each.
fn worth(counted: u64, idle_at: u64) -> u64 {
    const COUNT_BITS: u32 = 24;
    counted.min((1 << COUNT_BITS) - 1) << (u64::BITS - COUNT_BITS) | idle_at >> COUNT_BITS
}

impl State for FixedCount {
    fn is_vacant(&self) -> bool {
        Self::is_vacant(self)
    }
}

impl Counter for FixedCount {
    type Spec = FixedSpec;

    fn probe(&mut self, spec: &FixedSpec, now: u64, cost: u32) -> Reading {
        Self::probe(self, spec, now, cost)
    }

    fn take(&mut self, spec: &FixedSpec, now: u64, cost: u32, _permit: Option<PermitId>) {
        Self::take(self, spec, now, cost);
    }

    fn put_back(&mut self, spec: &FixedSpec, at: u64, now: u64, cost: u32) {
        Self::put_back(self, spec, at, now, cost);
    }

    fn idle_at(&self) -> u64 {
        Self::idle_at(self)
    }

    fn worth(&self) -> u64 {
        worth(self.counted(), Self::idle_at(self))
    }
}

impl<T> State for Option<Box<T>> {
    fn is_vacant(&self) -> bool {
        self.is_none()
    }
}

impl Counter for Option<Box<WindowLog>> {
    type Spec = WindowSpec;

    fn probe(&mut self, spec: &WindowSpec, now: u64, cost: u32) -> Reading {
        match self {
            Some(log) => log.probe(spec, now, cost),
            None => WindowLog::new(spec).probe(spec, now, cost),
        }
    }

    fn take(&mut self, spec: &WindowSpec, now: u64, cost: u32, _permit: Option<PermitId>) {
        self.get_or_insert_with(|| Box::new(WindowLog::new(spec))).take(spec, now, cost);
    }

    fn put_back(&mut self, spec: &WindowSpec, at: u64, now: u64, cost: u32) {
        if let Some(log) = self {
            log.put_back(spec, at, now, cost);
        }
    }

    fn idle_at(&self) -> u64 {
        self.as_ref().map_or(0, |log| log.idle_at())
    }

    fn worth(&self) -> u64 {
        self.as_ref().map_or(0, |log| worth(log.counted(), log.idle_at()))
    }
}

impl Counter for Option<Box<Permits>> {
    type Spec = PermitSpec;

    fn probe(&mut self, spec: &PermitSpec, now: u64, cost: u32) -> Reading {
        match self {
            Some(permits) => permits.probe(spec, now, cost),
            None => Permits::default().probe(spec, now, cost),
        }
    }

    fn take(&mut self, spec: &PermitSpec, now: u64, cost: u32, permit: Option<PermitId>) {
        if let Some(id) = permit {
            self.get_or_insert_default().take(spec, now, cost, id);
        }
    }

    /// What is taken of a concurrency limit is released, not refunded.
    fn put_back(&mut self, _spec: &PermitSpec, _at: u64, _now: u64, _cost: u32) {}

    fn idle_at(&self) -> u64 {
        self.as_ref().map_or(0, |permits| permits.idle_at())
    }
}
