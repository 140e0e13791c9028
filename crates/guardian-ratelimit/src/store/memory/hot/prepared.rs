//! The hot path of limits whose policies were looked up once and for all.

use guardian_core::MonoTime;

use super::{HotKey, Keys, OfTenant, SharedNumbers, SharedTexts, charge};
use crate::decision::Outcome;
use crate::registry::{Prepared, Serial};
use crate::stack::{Part, Verdict};
use crate::store::memory::bucket_lane::Tat;
use crate::store::memory::shard::Shard;
use crate::store::memory::{Guard, MemoryStore};
use crate::{Realm, Subject};

/// A stack of limits, and what one request wants of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StackRequest<'a, const N: usize> {
    pub(crate) parts: &'a [Part; N],
    pub(crate) realm: Realm<'a>,
    /// Whom each limit counts, and at what cost.
    pub(crate) charges: [(Subject<'a>, u32); N],
    pub(crate) now: MonoTime,
}

impl MemoryStore {
    /// One token bucket that has a counter, in the straight way, if nobody else has the shard. `None` leaves it to the
    /// ordinary way, which begins anew: nothing of what it needs is kept for it.
    ///
    /// The time is asked for behind the lock: a locked instruction waits for all before it, so a clock read earlier adds
    /// to the look-up what now passes beside it.
    #[inline(always)]
    pub(crate) fn attempt_one(
        &self,
        prepared: &Prepared,
        realm: Realm<'_>,
        subject: Subject<'_>,
        cost: u32,
        now: impl Fn() -> MonoTime,
    ) -> Option<Outcome> {
        match (realm, subject) {
            (Realm::Tenant(tenant), _) => self.attempt(&OfTenant(tenant), prepared, subject, cost, now),
            (Realm::Shared, Subject::Id(_)) => self.attempt(&SharedNumbers, prepared, subject, cost, now),
            (Realm::Shared, _) => self.attempt(&SharedTexts, prepared, subject, cost, now),
        }
    }

    #[inline(always)]
    fn attempt<K: HotKey<N>, const N: usize>(
        &self,
        keys: &impl Keys<K>,
        prepared: &Prepared,
        subject: Subject<'_>,
        cost: u32,
        now: impl Fn() -> MonoTime,
    ) -> Option<Outcome> {
        let serial = prepared.serial(keys.is_tenants());
        serial.plain()?;
        let (place, key) = keys.first(self, subject)?;
        let mut shard = self.shards.get(place)?.0.try_lock_weak()?;
        charge(&mut shard, serial, &prepared.bucket, cost, key, now).map(|(outcome, _)| outcome)
    }

    /// Token buckets that have counters, in one shard, no two of one policy, in the straight way, if nobody else has the
    /// shard and all admit. `None` leaves it to the ordinary way, which begins anew.
    #[inline(always)]
    pub(crate) fn attempt_stack<const N: usize>(&self, request: &StackRequest<'_, N>) -> Option<Verdict<N>> {
        let (first, _) = request.charges.first()?;
        match (request.realm, first) {
            (Realm::Tenant(tenant), _) => self.attempt_all(&OfTenant(tenant), request),
            (Realm::Shared, Subject::Id(_)) => self.attempt_all(&SharedNumbers, request),
            (Realm::Shared, _) => self.attempt_all(&SharedTexts, request),
        }
    }

    #[inline(always)]
    fn attempt_all<K: HotKey<B>, const B: usize, const N: usize>(
        &self,
        keys: &impl Keys<K>,
        request: &StackRequest<'_, N>,
    ) -> Option<Verdict<N>> {
        let (first, _) = request.charges.first()?;
        let (place, first) = keys.first(self, *first)?;
        // What can be done before the lock is taken need not be done behind it.
        let mut ready = [(Serial::default(), K::default()); N];
        for (at, ((subject, _), (_, key))) in request.charges.iter().zip(&mut ready).enumerate() {
            *key = if at == 0 { first } else { keys.key(self, *subject, place)? };
        }
        for (part, (ready, _)) in request.parts.iter().zip(&mut ready) {
            let serial = part.prepared.serial(keys.is_tenants());
            serial.plain()?;
            *ready = serial;
        }
        let mut shard = self.shards.get(place)?.0.try_lock_weak()?;
        let (mut outcomes, mut before) = ([Outcome::NONE; N], [Tat::default(); N]);
        let mut charged = 0;
        let places = outcomes.iter_mut().zip(&mut before);
        let limits = request.parts.iter().zip(&request.charges).zip(&ready);
        for (((part, (_, cost)), (serial, key)), (outcome, before)) in limits.zip(places) {
            let said = charge_admitted(&mut shard, &part.prepared, *serial, *cost, *key, request.now);
            let Some((said, was)) = said else { break };
            (*outcome, *before) = (said, was);
            charged += 1;
        }
        if charged == N {
            return Some(Verdict::admitted(request.now, outcomes));
        }
        if charged > 0 {
            // Copies, so that the originals need not be in memory for the sake of this line.
            take_back_parts(shard, &{ ready }, &{ before }, charged);
        }
        None
    }
}

/// Undoes charges. Nothing else has happened to the shard in between, so every key is where it was.
#[cold]
#[inline(never)]
fn take_back_parts<K: HotKey<N>, const N: usize>(
    mut shard: Guard<'_>,
    ready: &[(Serial, K)],
    before: &[Tat],
    charged: usize,
) {
    for ((serial, key), was) in ready.iter().zip(before).take(charged) {
        if let Some(lane) = shard.bucket_lane(serial.slot())
            && let Some(state) = K::table(lane.uniform_mut()).get_mut(*key)
        {
            *state = *was;
        }
    }
}

/// Charges one limit in the straight way, if it admits, and says what the counter was before.
#[inline(always)]
fn charge_admitted<K: HotKey<N>, const N: usize>(
    shard: &mut Shard,
    prepared: &Prepared,
    serial: Serial,
    cost: u32,
    key: K,
    now: MonoTime,
) -> Option<(Outcome, Tat)> {
    if cost == 0 {
        return None;
    }
    let lane = shard.bucket_lane(serial.slot())?;
    if !serial.is(lane.known()) {
        return None;
    }
    let state = K::table(lane.uniform_mut()).near_home(key, key.spread())?;
    let (outcome, tat) = prepared.bucket.admit(state.ticks(), now.as_nanos(), cost)?;
    Some((outcome, std::mem::replace(state, Tat::at(tat))))
}
