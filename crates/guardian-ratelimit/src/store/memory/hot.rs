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

    #[inline(always)]
    fn table<'a>(lane: &'a mut BucketLane, bucket: &Bucket) -> Option<&'a mut Table<Self, Tat, N>> {
        lane.uniform_mut(bucket).map(Self::of)
    }
}

impl HotKey<4> for u64 {
    #[inline(always)]
    fn of(lane: &mut UniformLane) -> &mut Table<Self, Tat, 4> {
        &mut lane.narrow
    }
}

impl HotKey<5> for u128 {
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
            Key::Narrow(key) => {
                let key_of = |item: &Item<'_>| match self.secret.key(realm, item.subject) {
                    Key::Narrow(key) if self.shard_of(realm, Key::Narrow(key)) == place => Some(key),
                    _ => None,
                };
                run::<u64, 4>(shard, &first, key, items, key_of, now, decision)
            }
            Key::Wide(key) => {
                // All keys of a tenant share the shard.
                let key_of = |item: &Item<'_>| match self.secret.key(realm, item.subject) {
                    Key::Wide(key) if realm != Realm::Shared => Some(key),
                    _ => None,
                };
                run::<u128, 5>(shard, &first, key, items, key_of, now, decision)
            }
        }
    }
}

type Charges = ArrayVec<Charge, { Limiter::MAX_LIMITS }>;

/// Charges one limit after the other, and takes it all back if one that is enforced denies, or is not plain.
#[inline(always)]
fn run<'i, K: HotKey<N>, const N: usize>(
    mut shard: Guard<'_>,
    first: &Item<'_>,
    first_key: K,
    mut rest: impl Iterator<Item = Option<Item<'i>>>,
    key_of: impl Fn(&Item<'_>) -> Option<K>,
    now: MonoTime,
    decision: &mut Decision,
) -> Option<()> {
    let mut charges = Charges::new();
    let mut plain = visit(&mut shard, first, first_key, now, &mut charges, decision);
    while plain.is_some() {
        let Some(item) = rest.next() else { break };
        plain = item.and_then(|item| visit(&mut shard, &item, key_of(&item)?, now, &mut charges, decision));
    }
    if plain.is_none() || decision.is_denied() {
        take_back::<K, N>(&mut shard, &charges);
    }
    plain
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
    let (reading, charge) = charge(shard, item, key, now)?;
    let twice = charges.iter().any(|other| other.policy == charge.policy && other.at == charge.at);
    let kept = charges.try_push(charge);
    decision.push(Outcome::from_reading(item.policy, item.mode, reading));
    (kept.is_ok() && !twice).then_some(())
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
    let at = table.find(key, key.spread())?;
    let state = table.state_mut(at)?;
    let mut charge = Charge { policy: item.slot, at, before: Tat::default() };
    let (reading, tat) = bucket.decide(state.ticks(), bucket.ticks(now.as_nanos()), item.cost);
    if let Some(tat) = tat {
        charge.before = std::mem::replace(state, Tat::at(tat));
    }
    Some((reading, charge))
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
