//! A hash table for one shard: open addressing in cache-line buckets, with exact keys and no tombstones.
//!
//! A bucket holds `N` keys and their states side by side and is aligned to a cache line, so that looking a key up
//! costs one memory access in nearly every case, and comparing all keys of a bucket needs no branch. Buckets
//! that overflow spill into the next one. Capacity is not a power of two: the table grows by a third, so it is
//! never less than 60 % full after it has grown once.

use std::hint::select_unpredictable;

use super::key::TableKey;

/// A state that can lie in a table; the default one is vacant and stands for no key.
pub(super) trait State: Default {
    fn is_vacant(&self) -> bool;
}

#[derive(Debug)]
pub(super) struct Table<K, S, const N: usize> {
    buckets: Vec<Bucket<K, S, N>>,
    len: usize,
    /// Where the next sweep goes on.
    cursor: usize,
}

#[derive(Debug)]
#[repr(align(64))]
struct Bucket<K, S, const N: usize> {
    keys: [K; N],
    states: [S; N],
}

/// A slot: the bucket and the place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    bucket: usize,
    place: usize,
}

/// What a removal took out, and whether it pulled a key from the front of the table around to the back.
#[derive(Debug)]
pub(super) struct Removed<S> {
    /// Read by tests; everybody else only drops it.
    #[cfg_attr(not(test), expect(dead_code, reason = "kept for the tests' comparison with a model"))]
    pub(super) state: S,
    pulled_around: bool,
}

/// A table is at most this full, in percent, before it grows.
const MAX_LOAD: usize = 80;
/// If removing what is idle leaves a crowded table no fuller than this, in percent, it need not grow.
const ENOUGH_FREED: usize = 65;

impl<K: TableKey, S: State, const N: usize> Table<K, S, N> {
    pub(super) const fn new() -> Self {
        Self { buckets: Vec::new(), len: 0, cursor: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<Bucket<K, S, N>>()
    }

    /// Where a key lies. O(1) expected.
    #[inline(always)]
    pub(super) fn find(&self, key: K, spread: u64) -> Option<Slot> {
        let mut bucket = self.home(spread);
        for _ in 0..self.buckets.len() {
            let Bucket { keys, states } = self.buckets.get(bucket)?;
            let place = place_in(keys, spread);
            if let (Some(k), Some(state)) = (keys.get(place), states.get(place)) {
                if *k == key && !state.is_vacant() {
                    return Some(Slot { bucket, place });
                }
                // Another key has the same bits, as the key of vacant places may.
                let taken = |(k, state): (&K, &S)| *k == key && !state.is_vacant();
                if let Some(place) = keys.iter().zip(states).position(taken) {
                    return Some(Slot { bucket, place });
                }
            }
            if states.iter().any(State::is_vacant) {
                return None;
            }
            bucket = self.next(bucket);
        }
        None
    }

    /// The state of a key that lies in its home bucket, as nine in ten do, or in the next, as nearly all others do.
    #[inline(always)]
    pub(super) fn near_home(&mut self, key: K, spread: u64) -> Option<&mut S> {
        let home = self.home(spread);
        let mut bucket = home;
        let mut place = place_in(&self.buckets.get(bucket)?.keys, spread);
        if place >= N {
            bucket = self.next(home);
            place = place_in(&self.buckets.get(bucket)?.keys, spread);
        }
        let Bucket { keys, states } = self.buckets.get_mut(bucket)?;
        let state = states.get_mut(place)?;
        let found = keys.get(place)?.has_rest_of(key) && !state.is_vacant();
        found.then_some(state)
    }

    /// The state of a key. O(1) expected.
    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut S> {
        self.find(key, key.spread()).and_then(|slot| self.state_mut(slot))
    }

    #[inline(always)]
    pub(super) fn state_mut(&mut self, slot: Slot) -> Option<&mut S> {
        self.buckets.get_mut(slot.bucket)?.states.get_mut(slot.place)
    }

    /// Puts in a key that is not there. The caller has made room.
    pub(super) fn insert(&mut self, key: K, spread: u64, state: S) {
        if self.buckets.is_empty() {
            self.rehash(1);
        }
        let mut bucket = self.home(spread);
        for _ in 0..self.buckets.len() {
            if let Some(found) = self.buckets.get_mut(bucket) {
                let free = found.keys.iter_mut().zip(&mut found.states).find(|(_, state)| state.is_vacant());
                if let Some((k, s)) = free {
                    (*k, *s) = (key, state);
                    self.len += 1;
                    return;
                }
            }
            bucket = self.next(bucket);
        }
        debug_assert!(false, "a table below its maximum load has a free slot");
    }

    /// Whether one more key would exceed the load at which the table grows.
    #[inline]
    fn is_crowded(&self) -> bool {
        (self.len + 1) * 100 > self.buckets.len() * N * MAX_LOAD
    }

    /// Makes sure that one more key fits: by removing what is idle if that frees a good part, else by growing.
    pub(super) fn make_room(&mut self, idle: impl FnMut(&S) -> bool) -> &mut Self {
        if self.is_crowded() {
            self.sweep_all(idle);
            if self.len * 100 > self.buckets.len() * N * ENOUGH_FREED {
                self.grow();
            }
        }
        self
    }

    /// Puts in a key that is not there, growing if needed.
    pub(super) fn place(&mut self, key: K, state: S) {
        if self.is_crowded() {
            self.grow();
        }
        self.insert(key, key.spread(), state);
    }

    /// Makes the table larger by a third.
    fn grow(&mut self) {
        let buckets = self.buckets.len();
        self.rehash((buckets + buckets / 3).max(buckets + 1));
    }

    /// Gives the memory of an emptied table back, down to what the keys need.
    pub(super) fn shrink(&mut self) {
        let needed = (self.len * 100 / MAX_LOAD / N) + 1;
        if self.len == 0 {
            *self = Self::new();
        } else if needed * 4 < self.buckets.len() {
            self.rehash(needed * 3 / 2);
        }
    }

    fn rehash(&mut self, buckets: usize) {
        let mut fresh = Vec::with_capacity(buckets);
        fresh.resize_with(buckets, Bucket::default);
        let old = std::mem::replace(&mut self.buckets, fresh);
        self.len = 0;
        self.cursor = 0;
        for bucket in old {
            for (key, state) in bucket.keys.into_iter().zip(bucket.states) {
                if !state.is_vacant() {
                    self.insert(key, key.spread(), state);
                }
            }
        }
    }

    /// Looks through the next bucket and removes what is idle: the amortised part of eviction.
    pub(super) fn sweep_one(&mut self, idle: impl FnMut(&S) -> bool) {
        let bucket = self.cursor;
        self.cursor = if bucket + 1 >= self.buckets.len() { 0 } else { bucket + 1 };
        self.sweep_bucket(bucket, idle);
    }

    /// Looks through all buckets and removes what is idle. O(capacity).
    pub(super) fn sweep_all(&mut self, mut idle: impl FnMut(&S) -> bool) {
        loop {
            // Backwards: a removal pulls keys from later buckets, which have been looked through by then; unless it
            // pulls one from the front around to the back, and then the round is repeated.
            let mut pulled_around = false;
            for bucket in (0..self.buckets.len()).rev() {
                pulled_around |= self.sweep_bucket(bucket, &mut idle);
            }
            if !pulled_around {
                return;
            }
        }
    }

    /// Removes what is idle in a bucket; says whether a key was pulled from the front of the table around to the back.
    fn sweep_bucket(&mut self, bucket: usize, mut idle: impl FnMut(&S) -> bool) -> bool {
        let (mut place, mut pulled_around) = (0, false);
        while let Some(state) = self.buckets.get(bucket).and_then(|b| b.states.get(place)) {
            if !state.is_vacant() && idle(state) {
                // What moved into the hole, if anything, is looked at next.
                pulled_around |=
                    self.remove(Slot { bucket, place }).is_some_and(|removed| removed.pulled_around);
                let refilled = self.buckets.get(bucket).and_then(|b| b.states.get(place));
                if refilled.is_some_and(|state| !state.is_vacant()) {
                    continue;
                }
            }
            place += 1;
        }
        pulled_around
    }

    /// Removes the key with the lowest score among the next few keys.
    ///
    /// The sample is so many keys, not so many buckets: buckets would be drained evenly however few keys they hold,
    /// until a sample held nothing but what should be spared.
    pub(super) fn evict_one(&mut self, score: impl Fn(&S) -> u64) {
        const SAMPLE: usize = 16;
        let (mut victim, mut seen) = (None, 0);
        let mut at = self.cursor.min(self.buckets.len().saturating_sub(1));
        for _ in 0..self.buckets.len() {
            if seen >= SAMPLE {
                break;
            }
            let states = self.buckets.get(at).into_iter().flat_map(|bucket| bucket.states.iter());
            for (place, state) in states.enumerate().filter(|(_, state)| !state.is_vacant()) {
                seen += 1;
                let score = score(state);
                if victim.is_none_or(|(least, _)| score < least) {
                    victim = Some((score, Slot { bucket: at, place }));
                }
            }
            at = self.next(at);
        }
        self.cursor = at;
        if let Some((_, slot)) = victim {
            self.remove(slot);
        }
    }

    /// Takes a key out and closes the hole, so that no later lookup stops short.
    ///
    /// INVARIANT: between a key's home bucket and the bucket it lies in, every bucket is full.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Removed<S>> {
        let (mut hole, mut was_full) = (slot, self.is_full(slot.bucket));
        let mut removed = Removed { state: self.take(slot)?, pulled_around: false };
        self.len -= 1;
        let mut bucket = self.next(slot.bucket);
        // At most once around: a bucket with a free slot ends the run.
        for _ in 1..self.buckets.len() {
            if !was_full {
                break;
            }
            let full = self.is_full(bucket);
            if let Some(place) = self.passes_through(bucket, hole.bucket) {
                let moved = Slot { bucket, place };
                if let Some((key, state)) = self.lift(moved) {
                    self.set(hole, key, state);
                }
                removed.pulled_around |= bucket < hole.bucket;
                hole = moved;
            }
            was_full = full;
            bucket = self.next(bucket);
        }
        Some(removed)
    }

    /// A key in `bucket` whose way from home leads through `hole`.
    fn passes_through(&self, bucket: usize, hole: usize) -> Option<usize> {
        let Bucket { keys, states } = self.buckets.get(bucket)?;
        let from_hole = self.distance(hole, bucket);
        keys.iter().zip(states).position(|(key, state)| {
            !state.is_vacant() && self.distance(self.home(key.spread()), bucket) >= from_hole
        })
    }

    fn is_full(&self, bucket: usize) -> bool {
        self.buckets.get(bucket).is_some_and(|bucket| !bucket.states.iter().any(State::is_vacant))
    }

    fn take(&mut self, slot: Slot) -> Option<S> {
        let bucket = self.buckets.get_mut(slot.bucket)?;
        *bucket.keys.get_mut(slot.place)? = K::default();
        let state = std::mem::take(bucket.states.get_mut(slot.place)?);
        (!state.is_vacant()).then_some(state)
    }

    fn lift(&mut self, slot: Slot) -> Option<(K, S)> {
        let key = self.buckets.get(slot.bucket)?.keys.get(slot.place).copied()?;
        Some((key, self.take(slot)?))
    }

    fn set(&mut self, slot: Slot, key: K, state: S) {
        let Some(bucket) = self.buckets.get_mut(slot.bucket) else {
            return;
        };
        if let (Some(k), Some(s)) = (bucket.keys.get_mut(slot.place), bucket.states.get_mut(slot.place)) {
            (*k, *s) = (key, state);
        }
    }

    /// All states with their keys, leaving the table empty.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (K, S)> + use<K, S, N> {
        let old = std::mem::replace(self, Self::new());
        let pairs = old.buckets.into_iter().flat_map(|bucket| bucket.keys.into_iter().zip(bucket.states));
        pairs.filter(|(_, state)| !state.is_vacant())
    }

    /// All states.
    pub(super) fn states_mut(&mut self) -> impl Iterator<Item = &mut S> {
        let states = self.buckets.iter_mut().flat_map(|bucket| &mut bucket.states);
        states.filter(|state| !state.is_vacant())
    }

    /// The bucket where a key belongs. The top bits of the spread chose the shard, the next ones choose here.
    #[inline(always)]
    fn home(&self, spread: u64) -> usize {
        let bucket = crate::grid::high_half(spread << super::SHARD_BITS, self.buckets.len() as u64);
        #[expect(clippy::cast_possible_truncation, reason = "it is less than the number of buckets")]
        {
            bucket as usize
        }
    }

    #[inline(always)]
    fn next(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets.len() { 0 } else { bucket + 1 }
    }

    /// How many steps forward from one bucket to another.
    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.buckets.len() - from }
    }
}

/// Where a key with these bits may be, or `N`. All are compared without a branch; usually one of them is it.
#[inline(always)]
fn place_in<K: TableKey, const N: usize>(keys: &[K; N], spread: u64) -> usize {
    let mut place = N;
    for (i, k) in keys.iter().enumerate() {
        place = select_unpredictable(k.spread() == spread, i, place);
    }
    place
}

impl<K: TableKey, S: State, const N: usize> Default for Bucket<K, S, N> {
    fn default() -> Self {
        Self { keys: [K::default(); N], states: std::array::from_fn(|_| S::default()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[derive(Debug, Default, Clone, Copy, PartialEq)]
    struct Value(u64);

    impl State for Value {
        fn is_vacant(&self) -> bool {
            self.0 == 0
        }
    }

    #[derive(Debug, Clone)]
    enum Op {
        Put(u64, u64),
        Remove(u64),
        Sweep(u64),
        SweepAll(u64),
        Evict,
        Shrink,
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        // Few keys, and keys that are multiples of a large number, so that runs of full buckets form.
        let key = prop_oneof![0u64..40, (0u64..40).prop_map(|k| k << 58), any::<u64>()];
        proptest::collection::vec(
            prop_oneof![
                8 => (key.clone(), 1u64..1000).prop_map(|(k, v)| Op::Put(k, v)),
                4 => key.prop_map(Op::Remove),
                1 => (1u64..1000).prop_map(Op::Sweep),
                1 => (1u64..300).prop_map(Op::SweepAll),
                1 => Just(Op::Evict),
                1 => Just(Op::Shrink),
            ],
            0..400,
        )
    }

    /// The key itself as its spread, so that tests can force collisions.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    struct Plain(u64);

    impl TableKey for Plain {
        fn has_rest_of(self, other: Self) -> bool {
            self == other
        }

        fn spread(self) -> u64 {
            self.0
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn behaves_as_a_map(ops in ops()) {
            let mut table = Table::<Plain, Value, 3>::new();
            let mut model = HashMap::new();
            for op in ops {
                match op {
                    Op::Put(key, value) => {
                        let key = Plain(key);
                        if let Some(slot) = table.find(key, key.spread()) {
                            *table.state_mut(slot).unwrap() = Value(value);
                        } else {
                            table.place(key, Value(value));
                        }
                        model.insert(key.0, value);
                    }
                    Op::Remove(key) => {
                        let slot = table.find(Plain(key), key);
                        let removed = slot.and_then(|slot| table.remove(slot)).map(|removed| removed.state.0);
                        prop_assert_eq!(removed, model.remove(&key));
                    }
                    Op::Sweep(below) => {
                        table.sweep_one(|v| v.0 < below);
                        model.retain(|k, v| *v >= below || table.find(Plain(*k), *k).is_some());
                    }
                    Op::SweepAll(below) => {
                        table.sweep_all(|v| v.0 < below);
                        model.retain(|_, v| *v >= below);
                    }
                    Op::Evict => {
                        let before = table.len();
                        table.evict_one(|v| v.0);
                        prop_assert_eq!(table.len(), before.saturating_sub(1));
                        model.retain(|k, _| table.find(Plain(*k), *k).is_some());
                    }
                    Op::Shrink => table.shrink(),
                }
                prop_assert_eq!(table.len(), model.len());
                for (key, value) in &model {
                    let slot = table.find(Plain(*key), *key);
                    prop_assert_eq!(slot.and_then(|slot| table.state_mut(slot)).map(|v| v.0), Some(*value));
                }
            }
        }
    }
}
