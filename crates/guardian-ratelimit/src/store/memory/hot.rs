//! The hot path: token buckets that have counters already, in plain units, in one shard.
//!
//! A check is bound by its longest chain of loads and by its instructions in about equal parts, so everything here is
//! inlined by force and written for one kind of key at a time: handed from call to call, the dozen numbers of a limit
//! would cost more than deciding it. Whatever is not plain is left, untouched, to the general path, which decides the
//! same.

use arrayvec::ArrayVec;
use guardian_core::{MonoTime, TenantId};

use super::bucket_lane::{BucketLane, Tat, UniformLane};
use super::key::TableKey;
use super::shard::Shard;
use super::table::{State, Table};
use super::{Guard, MemoryStore};
use crate::decision::{Decision, Outcome};
use crate::registry::{Hot, PlainBucket, Registry, Serial};
use crate::store::Request;
use crate::{Limit, Limiter, Realm, Subject};

mod prepared;

pub(crate) use prepared::StackRequest;

/// The table of one kind of key.
trait HotKey<const N: usize>: TableKey {
    fn table(lane: &mut UniformLane) -> &mut Table<Self, Tat, N>;
}

impl HotKey<4> for u64 {
    #[inline(always)]
    fn table(lane: &mut UniformLane) -> &mut Table<Self, Tat, 4> {
        &mut lane.narrow
    }
}

impl HotKey<5> for u128 {
    #[inline(always)]
    fn table(lane: &mut UniformLane) -> &mut Table<Self, Tat, 5> {
        &mut lane.wide
    }
}

/// A limit that was looked up.
#[derive(Debug, Clone, Copy)]
struct Ready<'a, K> {
    key: K,
    hot: &'a Hot,
    serial: Serial,
    cost: u32,
}

/// How the subjects of one check become keys of one kind in one shard.
trait Keys<K> {
    fn realm(&self) -> Realm<'_>;

    #[inline(always)]
    fn is_tenants(&self) -> bool {
        matches!(self.realm(), Realm::Tenant(_))
    }

    /// The shard of all keys, which the first subject chooses, and that subject's key.
    fn first(&self, store: &MemoryStore, subject: Subject<'_>) -> Option<(usize, K)>;

    /// Another subject's key, if it is of this kind and lies in the shard.
    fn key(&self, store: &MemoryStore, subject: Subject<'_>, shard: usize) -> Option<K>;
}

/// Numbers in the shared realm.
struct SharedNumbers;

impl Keys<u64> for SharedNumbers {
    #[inline(always)]
    fn realm(&self) -> Realm<'_> {
        Realm::Shared
    }

    #[inline(always)]
    fn first(&self, store: &MemoryStore, subject: Subject<'_>) -> Option<(usize, u64)> {
        let Subject::Id(id) = subject else { return None };
        let key = store.secret.number(id);
        Some((store.shard_at(key), key))
    }

    #[inline(always)]
    fn key(&self, store: &MemoryStore, subject: Subject<'_>, shard: usize) -> Option<u64> {
        let Subject::Id(id) = subject else { return None };
        let key = store.secret.number(id);
        (store.shard_at(key) == shard).then_some(key)
    }
}

/// Texts in the shared realm, and the realm as a whole.
struct SharedTexts;

impl Keys<u128> for SharedTexts {
    #[inline(always)]
    fn realm(&self) -> Realm<'_> {
        Realm::Shared
    }

    #[inline(always)]
    fn first(&self, store: &MemoryStore, subject: Subject<'_>) -> Option<(usize, u128)> {
        let key = store.secret.wide(None, subject)?;
        (!matches!(subject, Subject::Id(_))).then(|| (store.shard_at(key.spread()), key))
    }

    #[inline(always)]
    fn key(&self, store: &MemoryStore, subject: Subject<'_>, shard: usize) -> Option<u128> {
        let key = store.secret.wide(None, subject)?;
        (!matches!(subject, Subject::Id(_)) && store.shard_at(key.spread()) == shard).then_some(key)
    }
}

/// The subjects of a tenant, all of whose keys share a shard.
struct OfTenant<'t>(&'t TenantId);

impl Keys<u128> for OfTenant<'_> {
    #[inline(always)]
    fn realm(&self) -> Realm<'_> {
        Realm::Tenant(self.0)
    }

    #[inline(always)]
    fn first(&self, store: &MemoryStore, subject: Subject<'_>) -> Option<(usize, u128)> {
        Some((store.shard_of_tenant(self.0), store.secret.wide(Some(self.0), subject)?))
    }

    #[inline(always)]
    fn key(&self, store: &MemoryStore, subject: Subject<'_>, _shard: usize) -> Option<u128> {
        store.secret.wide(Some(self.0), subject)
    }
}

impl MemoryStore {
    /// One token bucket that has a counter.
    #[inline(always)]
    pub(crate) fn check_hot_one(
        &self,
        registry: &Registry,
        realm: Realm<'_>,
        limit: &Limit<'_>,
        now: MonoTime,
    ) -> Option<Outcome> {
        match (realm, limit.subject) {
            (Realm::Tenant(tenant), _) => self.charge_one(&OfTenant(tenant), registry, limit, now),
            (Realm::Shared, Subject::Id(_)) => self.charge_one(&SharedNumbers, registry, limit, now),
            (Realm::Shared, _) => self.charge_one(&SharedTexts, registry, limit, now),
        }
    }

    #[inline(always)]
    fn charge_one<K: HotKey<N>, const N: usize>(
        &self,
        keys: &impl Keys<K>,
        registry: &Registry,
        limit: &Limit<'_>,
        now: MonoTime,
    ) -> Option<Outcome> {
        let hot = registry.hot(limit.policy)?;
        let serial = hot.serial(keys.is_tenants()).on()?;
        let (place, key) = keys.first(self, limit.subject)?;
        let mut shard = self.shards.get(place)?.0.lock();
        match charge(&mut shard, serial, &hot.bucket(), limit.cost, key, || now) {
            Some((outcome, _)) => Some(outcome),
            // A copy, so that the original need not be in memory for the sake of this line.
            None => charge_anyhow(&mut shard, registry, keys.realm(), &{ *limit }, key, now)
                .map(|(outcome, _)| outcome),
        }
    }

    /// [`Store::check_at_once`](crate::store::Store::check_at_once): token buckets that have counters, in one shard.
    #[inline(always)]
    pub(super) fn check_hot(&self, request: &Request<'_>, decision: &mut Decision) -> Option<()> {
        let first = request.limits.first()?;
        match (request.realm, first.subject) {
            (Realm::Tenant(tenant), _) => self.charge_all(&OfTenant(tenant), request, first, decision),
            (Realm::Shared, Subject::Id(_)) => self.charge_all(&SharedNumbers, request, first, decision),
            (Realm::Shared, _) => self.charge_all(&SharedTexts, request, first, decision),
        }
    }

    /// Charges one limit after the other, and takes it all back if one that is enforced denies, or is not plain.
    #[inline(always)]
    fn charge_all<K: HotKey<N>, const N: usize>(
        &self,
        keys: &impl Keys<K>,
        request: &Request<'_>,
        first: &Limit<'_>,
        decision: &mut Decision,
    ) -> Option<()> {
        let (place, first) = keys.first(self, first.subject)?;
        // In two rounds, because one would need more numbers at a time than there are registers; and what can be done
        // before the lock is taken need not be done behind it.
        let mut ready = ArrayVec::<Ready<'_, K>, { Limiter::MAX_LIMITS }>::new();
        let mut seen = 0;
        for limit in request.limits {
            let hot = request.registry.hot(limit.policy)?;
            let serial = hot.serial(keys.is_tenants()).on()?;
            if seen & hot.bit() != 0 && is_twice(request.limits, ready.len()) {
                return None;
            }
            seen |= hot.bit();
            let key = if ready.is_empty() { first } else { keys.key(self, limit.subject, place)? };
            ready.try_push(Ready { key, hot, serial, cost: limit.cost }).ok()?;
        }
        let mut shard = self.shards.get(place)?.0.lock();
        // What the counters were before; vacant for one that was not charged.
        let mut before = [Tat::default(); Limiter::MAX_LIMITS];
        let (mut visited, now) = (0, decision.at());
        for (Ready { key, hot, serial, cost }, before) in ready.iter().zip(&mut before) {
            if let Some((outcome, was)) = charge(&mut shard, *serial, &hot.bucket(), *cost, *key, || now) {
                match was {
                    Some(was) => {
                        decision.push_admitted(outcome);
                        *before = was;
                    }
                    None => decision.push(outcome),
                }
            } else if visit_anyhow(&mut shard, request, visited, *key, decision, before).is_none() {
                break;
            }
            visited += 1;
        }
        let complete = visited == request.limits.len();
        if !complete || (decision.is_denied() && visited > 1) {
            // Copies, so that the originals need not be in memory for the sake of this line.
            let (request, before) = (*request, before);
            take_back(self, keys, &request, &before, place, shard);
        }
        complete.then_some(())
    }
}

/// Whether the limit at this place is of the same policy as one before it: two subjects, or the same counter twice. The
/// general path tells.
#[cold]
#[inline(never)]
fn is_twice(limits: &[Limit<'_>], at: usize) -> bool {
    limits.get(at).is_some_and(|limit| limits.iter().take(at).any(|other| other.policy == limit.policy))
}

/// Charges one limit in the straight way, if it admits: the policy known to the lane, the key near its home. Then it says
/// what the counter was before. `None` leaves it to [`charge_anyhow`], which begins anew, so that nothing need be kept for it.
#[inline(always)]
fn charge<K: HotKey<N>, const N: usize>(
    shard: &mut Shard,
    serial: Serial,
    bucket: &PlainBucket,
    cost: u32,
    key: K,
    now: impl FnOnce() -> MonoTime,
) -> Option<(Outcome, Option<Tat>)> {
    if cost == 0 {
        return None;
    }
    let lane = shard.bucket_lane(serial.slot())?;
    if !serial.is(lane.known()) {
        return None;
    }
    let state = K::table(lane.uniform_mut()).near_home(key, key.spread())?;
    match bucket.decide(state.ticks(), now().as_nanos(), cost) {
        (outcome, Some(tat)) => Some((outcome, Some(std::mem::replace(state, Tat::at(tat))))),
        (outcome, None) => Some((outcome, None)),
    }
}

/// Charges one limit that is a token bucket with a counter, if it admits: then it says what the counter was before.
#[inline(never)]
fn charge_anyhow<K: HotKey<N>, const N: usize>(
    shard: &mut Shard,
    registry: &Registry,
    realm: Realm<'_>,
    limit: &Limit<'_>,
    key: K,
    now: MonoTime,
) -> Option<(Outcome, Option<Tat>)> {
    if limit.cost == 0 {
        return None;
    }
    let entry = registry.get(limit.policy)?;
    let bucket = entry.bucket_as_defined(realm)?;
    let lane = shard.bucket_lane(entry.slot)?;
    if !lane.counts_in_units_of(bucket) {
        return None;
    }
    if let Some(serial) = entry.serial().plain() {
        lane.remember(serial);
    }
    let state = K::table(lane.uniform_mut()).get_mut(key)?;
    let (reading, tat) = bucket.decide(state.ticks(), bucket.ticks(now.as_nanos()), limit.cost);
    let was = tat.map(|tat| std::mem::replace(state, Tat::at(tat)));
    Some((Outcome::from_head(entry.prepared.bucket.head, reading), was))
}

/// The same for one limit of several.
#[inline(never)]
fn visit_anyhow<K: HotKey<N>, const N: usize>(
    shard: &mut Shard,
    request: &Request<'_>,
    index: usize,
    key: K,
    decision: &mut Decision,
    before: &mut Tat,
) -> Option<()> {
    let limit = request.limits.get(index)?;
    let (outcome, was) = charge_anyhow(shard, request.registry, request.realm, limit, key, decision.at())?;
    decision.push(outcome);
    *before = was.unwrap_or_default();
    Some(())
}

/// Undoes charges. Nothing else has happened to the shard in between, so every key is where it was.
#[cold]
#[inline(never)]
fn take_back<K: HotKey<N>, const N: usize>(
    store: &MemoryStore,
    keys: &impl Keys<K>,
    request: &Request<'_>,
    before: &[Tat],
    place: usize,
    mut shard: Guard<'_>,
) {
    for (limit, was) in request.limits.iter().zip(before).filter(|(_, was)| !was.is_vacant()) {
        let slot = request.registry.get(limit.policy).map(|entry| entry.slot);
        let lane = slot.and_then(|slot| shard.bucket_lane(slot)).and_then(BucketLane::any_uniform_mut);
        let key = keys.key(store, limit.subject, place);
        if let (Some(lane), Some(key)) = (lane, key)
            && let Some(state) = K::table(lane).get_mut(key)
        {
            *state = *was;
        }
    }
}
