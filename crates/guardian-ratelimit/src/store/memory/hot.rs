//! The hot path: token buckets that have counters already, in plain units, in one shard.
//!
//! Everything here is inlined by force and written for one kind of key at a time: handed from call to call, the dozen
//! numbers of a limit would cost more than deciding it. Whatever is not plain is left, untouched, to the general
//! path, which decides the same.

use arrayvec::ArrayVec;
use guardian_core::MonoTime;

use super::bucket_lane::{BucketLane, Tat, UniformLane};
use super::key::{Key, TableKey};
use super::shard::Shard;
use super::table::{Slot, State, Table};
use super::{Guard, MemoryStore};
use crate::bucket::Bucket;
use crate::decision::{Decision, Outcome};
use crate::reading::Reading;
use crate::rule::Engine;
use crate::store::Item;
use crate::{Limiter, Realm};

/// A counter that was charged, and what it was before: 0 if it was not charged.
#[derive(Debug, Clone, Copy)]
struct Charge {
    policy: u32,
    at: Slot,
    before: Tat,
}

/// The table of one kind of key.
trait HotKey<const N: usize>: TableKey {
    fn of(lane: &mut UniformLane) -> &mut Table<Self, Tat, N>;

    /// The key as one of this kind, if it lies in the shard.
    fn in_shard(key: Key, shard: usize, store: &MemoryStore, realm: Realm<'_>) -> Option<Self>;

    #[inline(always)]
    fn table<'a>(lane: &'a mut BucketLane, bucket: &Bucket) -> Option<&'a mut Table<Self, Tat, N>> {
        lane.uniform_mut(bucket).map(Self::of)
    }
}

impl HotKey<4> for u64 {
    #[inline(always)]
    fn in_shard(key: Key, shard: usize, store: &MemoryStore, realm: Realm<'_>) -> Option<Self> {
        match key {
            Key::Narrow(narrow) if store.shard_of(realm, key) == shard => Some(narrow),
            _ => None,
        }
    }

    #[inline(always)]
    fn of(lane: &mut UniformLane) -> &mut Table<Self, Tat, 4> {
        &mut lane.narrow
    }
}

impl HotKey<5> for u128 {
    /// All keys of a tenant share the shard.
    #[inline(always)]
    fn in_shard(key: Key, shard: usize, store: &MemoryStore, realm: Realm<'_>) -> Option<Self> {
        match (key, realm) {
            (Key::Wide(wide), Realm::Tenant(_)) => Some(wide),
            (Key::Wide(wide), Realm::Shared) if store.shard_of(realm, key) == shard => Some(wide),
            _ => None,
        }
    }

    #[inline(always)]
    fn of(lane: &mut UniformLane) -> &mut Table<Self, Tat, 5> {
        &mut lane.wide
    }
}

impl MemoryStore {
    /// One token bucket that has a counter.
    #[inline(always)]
    pub(crate) fn check_hot_one(&self, realm: Realm<'_>, item: &Item<'_>, now: MonoTime) -> Option<Outcome> {
        let key = self.secret.key(realm, item.subject);
        let mut shard = self.shards.get(self.shard_of(realm, key))?.0.lock();
        let (reading, _) = match key {
            Key::Narrow(key) => charge(&mut shard, item, key, now)?,
            Key::Wide(key) => charge(&mut shard, item, key, now)?,
        };
        Some(Outcome::from_reading(item.policy, item.mode, reading))
    }

    /// [`Store::check_at_once`](crate::store::Store::check_at_once): token buckets that have counters, in one shard.
    #[inline(always)]
    pub(super) fn check_hot<'i>(
        &self,
        realm: Realm<'_>,
        mut items: impl Iterator<Item = Option<Item<'i>>>,
        now: MonoTime,
        decision: &mut Decision,
    ) -> Option<()> {
        let first = items.next()??;
        let key = self.secret.key(realm, first.subject);
        let place = self.shard_of(realm, key);
        let shard = self.shards.get(place)?.0.lock();
        match key {
            Key::Narrow(key) => run::<u64, 4>(self, realm, place, shard, first, key, items, now, decision),
            Key::Wide(key) => run::<u128, 5>(self, realm, place, shard, first, key, items, now, decision),
        }
    }
}

type Charges = ArrayVec<Charge, { Limiter::MAX_LIMITS }>;

/// Charges one limit after the other, and takes it all back if one that is enforced denies, or is not plain.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "bundled, they would be written to memory and read back")]
fn run<'i, K: HotKey<N>, const N: usize>(
    store: &MemoryStore,
    realm: Realm<'_>,
    place: usize,
    mut shard: Guard<'_>,
    mut item: Item<'i>,
    mut key: K,
    mut rest: impl Iterator<Item = Option<Item<'i>>>,
    now: MonoTime,
    decision: &mut Decision,
) -> Option<()> {
    let mut charges = Charges::new();
    loop {
        if visit(&mut shard, &item, key, now, &mut charges, decision).is_none() {
            break;
        }
        item = match rest.next() {
            Some(Some(next)) => next,
            Some(None) => break,
            None => {
                if decision.is_denied() {
                    take_back::<K, N>(&mut shard, &charges);
                }
                return Some(());
            }
        };
        key = match K::in_shard(store.secret.key(realm, item.subject), place, store, realm) {
            Some(key) => key,
            None => break,
        };
    }
    take_back::<K, N>(&mut shard, &charges);
    None
}

/// Charges one limit of several.
#[inline(always)]
fn visit<K: HotKey<N>, const N: usize>(
    shard: &mut Shard,
    item: &Item<'_>,
    key: K,
    now: MonoTime,
    charges: &mut Charges,
    decision: &mut Decision,
) -> Option<()> {
    if charges.is_full() {
        return None;
    }
    let (reading, charge) = charge(shard, item, key, now)?;
    let twice = charges.iter().any(|other| other.policy == charge.policy && other.at == charge.at);
    let _ = charges.try_push(charge);
    decision.push(Outcome::from_reading(item.policy, item.mode, reading));
    if twice { None } else { Some(()) }
}

/// Charges one limit, if it admits.
#[inline(always)]
fn charge<K: HotKey<N>, const N: usize>(
    shard: &mut Shard,
    item: &Item<'_>,
    key: K,
    now: MonoTime,
) -> Option<(Reading, Charge)> {
    let Engine::Bucket(bucket) = &item.rule.engine else { return None };
    let table = K::table(shard.bucket_lane(item.slot)?, bucket)?;
    let ticks = bucket.ticks(now.as_nanos());
    if let Some((at, state)) = table.at_home(key, key.spread()) {
        return Some(charge_state(state, at, bucket, ticks, item));
    }
    let (at, state) = table.anywhere(key, key.spread())?;
    Some(charge_state(state, at, bucket, ticks, item))
}

#[inline(always)]
fn charge_state(
    state: &mut Tat,
    at: Slot,
    bucket: &Bucket,
    ticks: u64,
    item: &Item<'_>,
) -> (Reading, Charge) {
    let mut charge = Charge { policy: item.slot, at, before: Tat::default() };
    let (reading, tat) = bucket.decide(state.ticks(), ticks, item.cost);
    if let Some(tat) = tat {
        charge.before = std::mem::replace(state, Tat::at(tat));
    }
    (reading, charge)
}

/// Undoes charges, the last first. Nothing else has happened to the shard in between.
#[cold]
fn take_back<K: HotKey<N>, const N: usize>(shard: &mut Shard, charges: &Charges) {
    for charge in charges.iter().rev().filter(|charge| !charge.before.is_vacant()) {
        let lane = shard.bucket_lane(charge.policy).and_then(BucketLane::any_uniform_mut);
        if let Some(state) = lane.and_then(|lane| K::of(lane).state_mut(charge.at)) {
            *state = charge.before;
        }
    }
}
