//! Counters in this process's memory.

use std::hint;
use std::num::NonZeroUsize;
use std::thread;

use arrayvec::ArrayVec;
use foldhash::HashMap;
use guardian_core::{MonoTime, StoreError, StoreErrorKind, TenantId};
use parking_lot::Mutex;
use spin::mutex::{SpinMutex, SpinMutexGuard};

use super::{Call, Item, Release, Request, Store};
use crate::decision::{Decision, Outcome};
use crate::reading::Reading;
use crate::{Limiter, PolicyName, Realm};

mod bucket_lane;
mod capacity;
mod hot;
mod key;
mod lane;
mod shard;
mod table;

use capacity::Capacity;
pub(crate) use hot::StackRequest;
use key::{Key, Secret};
use shard::{Shard, Work};

/// The most shards: 2 to this power. Tables take their bits from below.
const SHARD_BITS: u32 = 6;
const MAX_SHARDS: usize = 1 << SHARD_BITS;
const SHARDS_PER_PROCESSOR: usize = 16;
/// A store with a small cap has fewer shards, so that each holds at least this many keys.
const MIN_KEYS_PER_SHARD: usize = 256;

/// Counters in this process's memory: exact, fast, and bounded.
///
/// The counters are spread over 16 shards for each processor, at most 64, with a lock each. All counters of a tenant share a shard, so
/// a check of all its limits takes one lock; counters in the shared realm are spread by subject, and a check that
/// names several locks their shards in a fixed order. Numbers are compared as they are, within their tenant or the
/// shared realm; texts by a 128-bit keyed hash.
///
/// Keys that are as good as new are swept out before a table grows, and a few at a time when the store is full. At
/// [`max_keys`](MemoryConfig::max_keys) the store does what [`AtCapacity`] says, so that a flood of new keys costs
/// no more memory than the cap: a token bucket's key takes 16 bytes (a tenant's 26), 22 to 29 with the table's
/// free space.
///
/// ```
/// use guardian_ratelimit::{AtCapacity, Limiter, MemoryConfig, MemoryStore};
///
/// let config = MemoryConfig::default().with_max_keys(100_000).with_at_capacity(AtCapacity::Deny);
/// let limiter = Limiter::new(MemoryStore::with_config(config));
/// assert_eq!(limiter.store().stats().keys, 0);
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    secret: Secret,
    shards: Box<[Padded]>,
    /// One less than the number of shards, which is a power of two.
    shard_mask: usize,
    capacity: Capacity,
    names: Mutex<HashMap<PolicyName, u32>>,
}

/// How much a [`MemoryStore`] may hold.
///
/// ```
/// use guardian_ratelimit::{AtCapacity, MemoryConfig};
///
/// let config = MemoryConfig::default();
/// assert_eq!((config.max_keys, config.at_capacity), (1_000_000, AtCapacity::Evict));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryConfig {
    /// The most keys of all policies together. Half of it is divided among the shards, so that a tenant with a
    /// flood of keys cannot crowd out the others; the other half goes to whoever comes first.
    pub max_keys: usize,
    /// What happens to a new key when there is no room.
    pub at_capacity: AtCapacity,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { max_keys: 1_000_000, at_capacity: AtCapacity::Evict }
    }
}

impl MemoryConfig {
    /// The same with another cap.
    #[must_use]
    pub fn with_max_keys(mut self, max_keys: usize) -> Self {
        self.max_keys = max_keys;
        self
    }

    /// The same with another answer at the cap.
    #[must_use]
    pub fn with_at_capacity(mut self, at_capacity: AtCapacity) -> Self {
        self.at_capacity = at_capacity;
        self
    }
}

/// What a [`MemoryStore`] does with a new key when it holds as many as it may. Keys that are there already are
/// decided exactly in any case. The counters of concurrency limits stand for work in progress: they are never
/// evicted nor left uncounted, but may take the place of others.
///
/// ```
/// use guardian_ratelimit::AtCapacity;
///
/// assert_ne!(AtCapacity::Evict, AtCapacity::Deny);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AtCapacity {
    /// Forget the key that has counted least, or is nearest to being as good as new, among a sample of 16. A flood of
    /// keys that come once pushes out its own keys rather than those at their limit; where the limit is 1, all
    /// keys are at it, and the oldest goes.
    Evict,
    /// Deny the new key.
    Deny,
    /// Admit the new key uncounted.
    Admit,
}

/// What a [`MemoryStore`] holds.
///
/// ```
/// let stats = guardian_ratelimit::MemoryStore::new().stats();
/// assert_eq!((stats.keys, stats.table_bytes), (0, 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MemoryStats {
    /// Keys of all policies, those not yet swept out included.
    pub keys: usize,
    /// Bytes of the tables. Logs of sliding windows and permits come on top.
    pub table_bytes: usize,
}

/// A shard on cache lines of its own, so that two threads on neighbouring shards do not slow each other.
#[derive(Debug)]
#[repr(align(128))]
struct Padded(Lock);

/// A lock whose release is a plain store. It is held for some ten nanoseconds, some more
/// for long logs and many permits, or while a shard's table grows, and
/// an uncontended check costs one locked instruction instead of a mutex's two, which is a third of its time.
type Lock = SpinMutex<Shard, SpinThenYield>;
type Guard<'a> = SpinMutexGuard<'a, Shard>;

/// Waits a moment, then lets the holder run in case it was suspended.
#[derive(Debug)]
struct SpinThenYield;

impl spin::RelaxStrategy for SpinThenYield {
    #[cold]
    #[inline(never)]
    fn relax() {
        for _ in 0..32 {
            hint::spin_loop();
        }
        thread::yield_now();
    }
}

impl MemoryStore {
    /// A store with the default bounds.
    #[must_use]
    pub fn new() -> Self {
        Self::with_config(MemoryConfig::default())
    }

    /// A store with these bounds.
    #[must_use]
    pub fn with_config(config: MemoryConfig) -> Self {
        // Some for each processor, so that two threads seldom meet; no more, as all of them want to stay in the cache.
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let enough = processors.saturating_mul(SHARDS_PER_PROCESSOR).min(MAX_SHARDS);
        let wanted = (config.max_keys / MIN_KEYS_PER_SHARD).clamp(1, enough);
        // A power of two, so that a mask chooses.
        let shards = 1 << wanted.ilog2();
        let padded = || Padded(SpinMutex::new(Shard::default()));
        Self {
            secret: Secret::random(),
            shards: std::iter::repeat_with(padded).take(shards).collect(),
            shard_mask: shards - 1,
            capacity: Capacity::new(config, shards),
            names: Mutex::default(),
        }
    }

    /// What the store holds now. Locks each shard in turn.
    #[must_use]
    pub fn stats(&self) -> MemoryStats {
        let mut stats = MemoryStats::default();
        for shard in &self.shards {
            let shard = shard.0.lock();
            stats.keys += shard.len();
            stats.table_bytes += shard.bytes();
        }
        stats
    }

    /// Drops every key that is as good as new at `now` and gives memory back. Never needed for correctness or to
    /// keep the bound; for hosts that want the memory of a past peak back. O(keys), one shard at a time.
    pub fn sweep(&self, now: MonoTime) {
        for shard in &self.shards {
            shard.0.lock().sweep(now.as_nanos(), &self.capacity);
        }
    }

    /// Decides one limit: the hot path.
    #[inline]
    pub(crate) fn check_one(&self, realm: Realm<'_>, item: &Item<'_>, now: MonoTime) -> Option<Reading> {
        let key = self.secret.key(realm, item.subject)?;
        let mut shard = self.shards.get(self.shard_of(realm, key))?.0.lock();
        let Item { rule, slot, cost, .. } = *item;
        let work = Work { rule, slot, key, cost, now: now.as_nanos(), permit: None };
        shard.check(&work, &self.capacity, true)
    }

    /// Decides several limits at once, charging all or none. `None` for a call that names no shard, which none does.
    #[inline]
    pub(crate) fn check_all(&self, call: &Call<'_>, charge: bool, decision: &mut Decision) -> Option<()> {
        let mut keys = Keys::new();
        self.keys(call, &mut keys)?;
        let (_, first) = *keys.first()?;
        if keys.iter().all(|(_, shard)| *shard == first) {
            let mut shard = self.shards.get(first)?.0.lock();
            return decide_all(call, &keys, charge, decision, |work, _, step| {
                step.take(&mut shard, work, &self.capacity)
            });
        }
        let mut guards = Guards::new();
        self.lock_all(&keys, &mut guards)?;
        decide_all(call, &keys, charge, decision, |work, shard, step| {
            step.take(locked(&mut guards, shard)?, work, &self.capacity)
        })
    }

    /// The key and the shard of each item.
    #[inline]
    fn keys(&self, call: &Call<'_>, keys: &mut Keys) -> Option<()> {
        for item in call.items {
            let key = self.secret.key(call.realm, item.subject)?;
            keys.try_push((key, self.shard_of(call.realm, key))).ok()?;
        }
        Some(())
    }

    /// Locks each shard once, in their order, which every call keeps: no two calls wait for each other.
    fn lock_all<'a>(&'a self, keys: &Keys, guards: &mut Guards<'a>) -> Option<()> {
        let mut wanted: ArrayVec<usize, { Limiter::MAX_LIMITS }> =
            keys.iter().map(|(_, shard)| *shard).collect();
        wanted.sort_unstable();
        for shard in wanted {
            if guards.last().is_none_or(|(last, _)| *last != shard) {
                guards.push((shard, self.shards.get(shard)?.0.lock()));
            }
        }
        Some(())
    }

    /// Does something to each counter of a call, all locked together.
    fn for_each(&self, call: &Call<'_>, act: impl Fn(&mut Shard, &Work<'_>)) -> Option<()> {
        let (mut keys, mut guards) = (Keys::new(), Guards::new());
        self.keys(call, &mut keys)?;
        self.lock_all(&keys, &mut guards)?;
        for (item, (key, shard)) in call.items.iter().zip(&keys) {
            act(locked(&mut guards, *shard)?, &work(call, item, *key));
        }
        Some(())
    }

    /// The shard of a key. All keys of a tenant share one; in the shared realm the key itself chooses.
    #[inline(always)]
    fn shard_of(&self, realm: Realm<'_>, key: Key) -> usize {
        match realm {
            Realm::Tenant(tenant) => self.shard_of_tenant(tenant),
            Realm::Shared => self.shard_at(key.spread()),
        }
    }

    #[inline(always)]
    fn shard_of_tenant(&self, tenant: &TenantId) -> usize {
        self.shard_at(self.secret.place_of(tenant))
    }

    #[inline(always)]
    fn shard_at(&self, spread: u64) -> usize {
        (spread >> (u64::BITS - SHARD_BITS)) as usize & self.shard_mask
    }
}

/// What is done to one limit of several.
#[derive(Debug, Clone, Copy)]
enum Step {
    Probe,
    Charge,
    /// Takes back a charge of the same call.
    Undo,
}

impl Step {
    #[inline]
    fn take(self, shard: &mut Shard, work: &Work<'_>, capacity: &Capacity) -> Option<Reading> {
        match self {
            Self::Probe => shard.check(work, capacity, false),
            Self::Charge => shard.check(work, capacity, true),
            Self::Undo => {
                shard.put_back(work, work.now);
                if let Some(permit) = work.permit {
                    shard.release(work.slot, work.key, permit);
                }
                shard.check(work, capacity, false)
            }
        }
    }
}

/// Reads every limit, and charges them in a second round if the decision is to.
#[inline]
fn decide_all(
    call: &Call<'_>,
    keys: &Keys,
    charge: bool,
    decision: &mut Decision,
    mut probe: impl FnMut(&Work<'_>, usize, Step) -> Option<Reading>,
) -> Option<()> {
    for (item, (key, shard)) in call.items.iter().zip(keys) {
        let reading = probe(&work(call, item, *key), *shard, Step::Probe)?;
        decision.push(Outcome::from_reading(item.policy, item.mode, reading));
    }
    if !charge || decision.is_denied() {
        return Some(());
    }
    let mut full = None;
    for (place, (item, (key, shard))) in call.items.iter().zip(keys).enumerate() {
        // A dry run that would deny is not charged.
        if !decision.outcomes().get(place)?.admits() {
            continue;
        }
        // New keys that each found room may not find it together.
        let reading = probe(&work(call, item, *key), *shard, Step::Charge)?;
        if !reading.admits {
            full = Some((place, Outcome::from_reading(item.policy, item.mode, reading)));
            break;
        }
    }
    let Some((place, outcome)) = full else { return Some(()) };
    for (index, (item, (key, shard))) in call.items.iter().zip(keys).enumerate().take(place) {
        if decision.outcomes().get(index)?.admits() {
            probe(&work(call, item, *key), *shard, Step::Undo)?;
        }
    }
    let outcomes = decision.outcomes().iter().copied().enumerate();
    *decision = Decision::from_outcomes(
        call.now,
        outcomes.map(|(at, said)| if at == place { outcome } else { said }),
    );
    Some(())
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

type Keys = ArrayVec<(Key, usize), { Limiter::MAX_LIMITS }>;
type Guards<'a> = ArrayVec<(usize, Guard<'a>), { Limiter::MAX_LIMITS }>;

#[inline]
fn locked<'g>(guards: &'g mut Guards<'_>, shard: usize) -> Option<&'g mut Shard> {
    guards.iter_mut().find(|(at, _)| *at == shard).map(|(_, guard)| &mut **guard)
}

#[inline]
fn work<'c>(call: &Call<'_>, item: &Item<'c>, key: Key) -> Work<'c> {
    let Item { rule, slot, cost, .. } = *item;
    Work { rule, slot, key, cost, now: call.now.as_nanos(), permit: call.permit }
}

/// The answer to a call that breaks the contract by naming more limits than there may be.
#[cold]
fn misused() -> StoreError {
    StoreError::new(StoreErrorKind::Internal, "memory")
        .with_source("the call names too many limits, or a policy that has another algorithm here")
}

impl Store for MemoryStore {
    fn register(&self, name: &PolicyName) -> u32 {
        let mut names = self.names.lock();
        let next = u32::try_from(names.len()).unwrap_or(u32::MAX);
        *names.entry(name.clone()).or_insert(next)
    }

    #[inline(always)]
    fn check_at_once(&self, request: &Request<'_>, decision: &mut Decision) -> Option<()> {
        self.check_hot(request, decision)
    }

    async fn check(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        let mut decision = Decision::empty(call.now);
        if let ([item], None) = (call.items, call.permit) {
            let reading = self.check_one(call.realm, item, call.now).ok_or_else(misused)?;
            decision.push(Outcome::from_reading(item.policy, item.mode, reading));
        } else {
            self.check_all(call, true, &mut decision).ok_or_else(misused)?;
        }
        Ok(decision)
    }

    async fn peek(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        let mut decision = Decision::empty(call.now);
        self.check_all(call, false, &mut decision).ok_or_else(misused)?;
        Ok(decision)
    }

    async fn refund(&self, call: &Call<'_>, consumed_at: MonoTime) -> Result<(), StoreError> {
        let at = consumed_at.as_nanos();
        self.for_each(call, |shard, work| shard.put_back(work, at)).ok_or_else(misused)
    }

    async fn reset(&self, call: &Call<'_>) -> Result<(), StoreError> {
        self.for_each(call, |shard, work| shard.remove(work, &self.capacity)).ok_or_else(misused)
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        self.release_now(release);
        Ok(())
    }

    fn release_detached(&self, release: Release) {
        self.release_now(&release);
    }
}

impl MemoryStore {
    fn release_now(&self, release: &Release) {
        for counter in &release.counters {
            let Some(key) = self.secret.key(release.realm(), counter.subject.as_subject()) else { continue };
            if let Some(shard) = self.shards.get(self.shard_of(release.realm(), key)) {
                shard.0.lock().release(counter.slot, key, release.permit);
            }
        }
    }
}
