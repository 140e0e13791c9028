//! Where endpoints, messages and deliveries live: the contract that every store keeps.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Page, PageRequest, Scope, StoreError, TenantId, Timestamp};

use crate::delivery::{Attempt, Delivery, DeliveryFilter, DeliveryState};
use crate::endpoint::Endpoint;
use crate::health::{Breaker, Health, HealthChange, HealthRules};
use crate::id::{DeliveryId, EndpointId, MessageId};
use crate::message::Message;
use crate::time::after;

mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;

pub use memory::MemoryStore;
#[cfg(feature = "redis")]
pub use redis::RedisStore;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::{MIGRATIONS, SqlStore};

/// A message to be stored with its deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the service makes it and stores read it; a new field breaks both"
)]
pub struct Enqueue {
    /// The message.
    pub message: Message,
    /// Where it goes: the delivery, the endpoint, and the lane where that is ordered.
    pub fanout: Vec<(DeliveryId, EndpointId, Option<String>)>,
    /// A key under which it is stored once, and until when that holds.
    pub idempotency: Option<(String, Timestamp)>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "stores make it and the service reads it; a new case breaks both"
)]
pub enum Enqueued {
    /// It is stored.
    New,
    /// Its key was used before for the same message, by its [digest](Message::digest): it is not stored a second time.
    Duplicate(MessageId),
    /// Its key was used before, in this batch or earlier, for a message with another digest. Nothing of the batch is stored.
    Taken(MessageId),
}

/// How an endpoint was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "stores make it and webhooks read it; a new case breaks both")]
pub enum Removed {
    /// It is gone.
    Done,
    /// There is none.
    Missing,
    /// It has another revision. Nothing was removed.
    Conflict,
}

/// How an endpoint was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "stores make it and the service reads it; a new case breaks both"
)]
pub enum Saved {
    /// It is stored.
    Done,
    /// It has another revision, or is not there. Nothing was stored.
    Conflict,
}

/// What a worker asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "workers make it and stores read it; a new field breaks both")]
pub struct Claim {
    /// The time.
    pub now: Timestamp,
    /// Until when it holds what it gets.
    pub until: Timestamp,
    /// How many deliveries, at most.
    pub limit: u32,
}

/// A delivery that a worker holds until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "stores make it and workers read it; a new field breaks both")]
pub struct Claimed {
    /// Whose it is.
    pub tenant: TenantId,
    /// The delivery.
    pub delivery: DeliveryId,
    /// Where it goes.
    pub endpoint: EndpointId,
    /// The endpoint's revision, to know whether what is known of it is still true.
    pub revision: u64,
    /// The number of this holding; a later one makes it worthless.
    pub fence: i64,
    /// Attempts that were recorded.
    pub attempts: u32,
    /// Those of them before this round.
    pub round_start: u32,
    /// The message.
    pub message: Arc<Message>,
}

/// How a worker ends its holding of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "workers make it and stores read it; a new field breaks both")]
pub struct Settlement {
    /// Whose it is.
    pub tenant: TenantId,
    /// The delivery.
    pub delivery: DeliveryId,
    /// Where it goes.
    pub endpoint: EndpointId,
    /// The number of the worker's holding.
    pub fence: i64,
    /// The attempt that was made, if one was.
    pub attempt: Option<Attempt>,
    /// What comes next.
    pub next: Next,
    /// How the endpoint did: a success, a failure, or nothing that tells.
    pub health: Option<bool>,
    /// Until when the endpoint gets nothing, because it said that it has too much.
    pub pause: Option<Timestamp>,
}

/// What comes after a holding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "workers make it and stores read it; a new case breaks both")]
pub enum Next {
    /// It is tried again then.
    At(Timestamp),
    /// It ended so, for this reason where it did not succeed.
    Ended(DeliveryState, Option<String>),
}

/// What became of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "stores make it and workers read it; a new field breaks both")]
pub struct Settled {
    /// Whether it is stored; not if another worker held the delivery meanwhile, or it was cancelled.
    pub kept: bool,
    /// What it changed for the endpoint.
    pub change: Option<HealthChange>,
}

/// How the queue of an endpoint stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "stores make it; a new field breaks them")]
pub struct QueueState {
    /// How the endpoint does.
    pub health: Health,
    /// Deliveries that have not ended.
    pub open: u64,
    /// When the next of them is due.
    pub next_at: Option<Timestamp>,
}

/// Keeps endpoints, messages, deliveries and attempts, and hands deliveries out to workers.
///
/// # Contract
/// Every method is atomic: it happens as a whole or not at all. One that returns an error may have happened, but never in part.
/// A call in one tenant's scope sees nothing of another's. The methods for workers look across tenants.
///
/// # How deliveries are handed out
/// Each endpoint is a queue of its own. It is ready when its first delivery is due and its gate is open: the gate is shut while
/// the breaker is open, while the endpoint asked for a pause, and for as long as its rate says. Queues that are ready take turns,
/// tenants first, then endpoints, so neither a tenant nor an endpoint with a long queue keeps others waiting, and a queue
/// behind a shut gate costs nothing, however long it is. No attempt is spent by waiting.
///
/// The `testkit` (feature) has each promise as a law to run against any store.
#[async_trait]
pub trait DeliveryStore: Send + Sync + fmt::Debug + 'static {
    /// Stores an endpoint whose revision is one more than what is stored; the first is 1. Enabling makes its queue ready.
    ///
    /// # Errors
    /// When the store fails; another revision is [`Saved::Conflict`].
    async fn put_endpoint(
        &self,
        scope: &Scope,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Result<Saved, StoreError>;

    /// Forgets an endpoint, if it has this revision where one is given; what was queued for it is cancelled.
    ///
    /// # Errors
    /// When the store fails.
    async fn remove_endpoint(
        &self,
        scope: &Scope,
        id: EndpointId,
        revision: Option<u64>,
        now: Timestamp,
    ) -> Result<Removed, StoreError>;

    /// An endpoint.
    ///
    /// # Errors
    /// When the store fails.
    async fn endpoint(&self, scope: &Scope, id: EndpointId) -> Result<Option<Endpoint>, StoreError>;

    /// The endpoints, by their ids.
    ///
    /// # Errors
    /// When the store fails.
    async fn endpoints(&self, scope: &Scope, page: &PageRequest) -> Result<Page<Endpoint>, StoreError>;

    /// A number that is another one after any endpoint of the tenant was changed.
    ///
    /// # Errors
    /// When the store fails.
    async fn endpoints_revision(&self, scope: &Scope) -> Result<i64, StoreError>;

    /// How the queue of an endpoint stands.
    ///
    /// # Errors
    /// When the store fails.
    async fn queue(&self, scope: &Scope, id: EndpointId) -> Result<Option<QueueState>, StoreError>;

    /// Stores messages with their deliveries, all or none, and says what became of each, in order. A delivery is due at the
    /// time of its message; in a lane, when all before it in the lane have ended. With an idempotency key the message's
    /// [digest](Message::digest) is kept. If one of the batch is [`Enqueued::Taken`], nothing of it is stored and no key is used up.
    ///
    /// # Errors
    /// When the store fails.
    async fn enqueue(&self, scope: &Scope, batch: &[Enqueue]) -> Result<Vec<Enqueued>, StoreError>;

    /// Gives a worker deliveries that are due and that nobody holds, as the contract says. It holds them until the time that it
    /// says, each with a fence greater than every earlier one.
    ///
    /// # Errors
    /// When the store fails.
    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError>;

    /// Ends holdings: for each the attempt and the state are stored together, and an attempt of one number once. What became of
    /// each, in order.
    ///
    /// # Errors
    /// When the store fails; all of it is stored then, or nothing.
    async fn settle(
        &self,
        batch: &[Settlement],
        rules: &HealthRules,
        now: Timestamp,
    ) -> Result<Vec<Settled>, StoreError>;

    /// Endpoints of any tenant, for workers; those that are not there are left out.
    ///
    /// # Errors
    /// When the store fails.
    async fn endpoints_of(
        &self,
        wanted: &[(TenantId, EndpointId)],
    ) -> Result<Vec<(TenantId, Endpoint)>, StoreError>;

    /// A message.
    ///
    /// # Errors
    /// When the store fails.
    async fn message(&self, scope: &Scope, id: MessageId) -> Result<Option<Message>, StoreError>;

    /// The log: deliveries that the filter shows, the newest first.
    ///
    /// # Errors
    /// When the store fails.
    async fn deliveries(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<Page<Delivery>, StoreError>;

    /// Which of these deliveries hold a text, byte by byte: in the payload, whatever its version, in the error of an attempt, or
    /// in what was kept of an answer's body. The text is not empty.
    ///
    /// # Errors
    /// When the store fails.
    async fn holding(
        &self,
        scope: &Scope,
        deliveries: &[Delivery],
        text: &str,
    ) -> Result<BTreeSet<DeliveryId>, StoreError>;

    /// The attempts of a delivery, in order.
    ///
    /// # Errors
    /// When the store fails.
    async fn attempts(&self, scope: &Scope, id: DeliveryId) -> Result<Vec<Attempt>, StoreError>;

    /// Cancels deliveries that the filter shows and that have not ended, at most so many; how many it were. An attempt that is
    /// under way may still arrive; it is not recorded.
    ///
    /// # Errors
    /// When the store fails.
    async fn cancel(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Begins the schedule anew for deliveries that the filter shows and that have ended by now, the oldest first, at most so many;
    /// how many it were. In a lane they come behind what is there. Those of endpoints that are gone are left alone.
    ///
    /// # Errors
    /// When the store fails.
    async fn redrive(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Forgets messages published before this time whose deliveries have all ended, with their deliveries and attempts, at most
    /// so many messages of any tenant; how many it were. Fewer than that may be because some are sent again meanwhile; none is the end.
    /// Idempotency keys whose time is over at `now` are forgotten as well.
    ///
    /// # Errors
    /// When the store fails.
    async fn purge(&self, before: Timestamp, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)+) => {
        #[async_trait]
        impl<S: DeliveryStore + ?Sized> DeliveryStore for Arc<S> {
            $(async fn $name(&self, $($argument: $type),*) -> Result<$result, StoreError> {
                (**self).$name($($argument),*).await
            })+
        }
    };
}

forward! {
    put_endpoint(scope: &Scope, endpoint: &Endpoint, now: Timestamp) -> Saved;
    remove_endpoint(scope: &Scope, id: EndpointId, revision: Option<u64>, now: Timestamp) -> Removed;
    endpoint(scope: &Scope, id: EndpointId) -> Option<Endpoint>;
    endpoints(scope: &Scope, page: &PageRequest) -> Page<Endpoint>;
    endpoints_revision(scope: &Scope) -> i64;
    queue(scope: &Scope, id: EndpointId) -> Option<QueueState>;
    enqueue(scope: &Scope, batch: &[Enqueue]) -> Vec<Enqueued>;
    claim(claim: &Claim) -> Vec<Claimed>;
    settle(batch: &[Settlement], rules: &HealthRules, now: Timestamp) -> Vec<Settled>;
    endpoints_of(wanted: &[(TenantId, EndpointId)]) -> Vec<(TenantId, Endpoint)>;
    message(scope: &Scope, id: MessageId) -> Option<Message>;
    holding(scope: &Scope, deliveries: &[Delivery], text: &str) -> BTreeSet<DeliveryId>;
    deliveries(scope: &Scope, filter: &DeliveryFilter, page: &PageRequest) -> Page<Delivery>;
    attempts(scope: &Scope, id: DeliveryId) -> Vec<Attempt>;
    cancel(scope: &Scope, filter: &DeliveryFilter, limit: u32, now: Timestamp) -> u64;
    redrive(scope: &Scope, filter: &DeliveryFilter, limit: u32, now: Timestamp) -> u64;
    purge(before: Timestamp, now: Timestamp, limit: u32) -> u64;
}

/// Ready queues that one claim looks at, the longest ready first.
const WINDOW: usize = 1024;

/// The deliveries that one queue gives in one claim where nothing else bounds it: others come in between.
const TURN: u32 = 64;

/// Puts ready queues in turn: the first of every tenant, then the second of every tenant, and so on. They come in the order in
/// which they became ready, and go so within each round.
fn in_turn<Q>(ready: Vec<Q>, tenant: impl Fn(&Q) -> &TenantId) -> Vec<Q> {
    let mut ranks: std::collections::HashMap<TenantId, u32> = std::collections::HashMap::new();
    let mut ranked: Vec<(u32, Q)> = ready
        .into_iter()
        .map(|queue| {
            let rank = ranks.entry(tenant(&queue).clone()).or_default();
            *rank += 1;
            (*rank, queue)
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, queue)| queue).collect()
}

/// What a queue may give now, and how its gate stands after it gave something: the part of a claim that is the same in every
/// store.
struct Allowance {
    /// What it may give now.
    most: u32,
    /// What it may have under way.
    cap: u32,
    rate: Option<u32>,
    inflight: u32,
    /// Until when the breaker is open.
    open: Option<Timestamp>,
}

/// Attempts under way at an endpoint whose last one failed: one that never answers should not hold the places of others.
const CAUTION: u32 = 2;

impl Allowance {
    /// Nothing while the breaker is open; one probe while it is half open; else what concurrency and rate leave.
    fn of(health: &Health, concurrency: u32, rate: Option<u32>, inflight: u32, now: Timestamp) -> Self {
        let breaker = health.breaker(now);
        let cap = match breaker {
            Breaker::Open(_) => 0,
            Breaker::HalfOpen => 1,
            Breaker::Closed if health.failures > 0 => concurrency.min(CAUTION),
            Breaker::Closed => concurrency,
        };
        let most = cap.saturating_sub(inflight).min(TURN);
        let most = rate.map_or(most, |rate| most.min(rate));
        let open = if let Breaker::Open(until) = breaker { Some(until) } else { None };
        Self { most, cap, rate, inflight, open }
    }

    /// Before when the queue is not ready again, after it gave so many.
    fn floor(&self, given: u32, claim: &Claim, gate: Option<Timestamp>) -> (Option<Timestamp>, Timestamp) {
        let paced = self.rate.filter(|_| given > 0).map(|rate| {
            after(claim.now, std::time::Duration::from_secs(1).saturating_mul(given) / rate.max(1))
        });
        let gate = gate.max(paced).max(self.open).filter(|gate| *gate > claim.now);
        // A full queue is ready when a place becomes free, which a settlement says, or at the latest when the leases end.
        let full = self.cap > 0 && self.inflight.saturating_add(given) >= self.cap;
        let floor = gate.unwrap_or(claim.now).max(if full { claim.until } else { claim.now });
        (gate, floor)
    }
}

/// The gate of a queue after attempts ended: shut while the breaker is open or the endpoint asked for a pause.
fn gate_of(
    health: &Health,
    gate: Option<Timestamp>,
    pause: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    gate.max(pause).max(health.open_until).filter(|gate| *gate > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_take_turns_before_endpoints_do() {
        let tenant = |name: &str| TenantId::new(name).unwrap();
        let ready: Vec<(TenantId, u32)> =
            [("big", 1), ("big", 2), ("big", 3), ("small", 4), ("tiny", 5), ("small", 6)]
                .map(|(t, n)| (tenant(t), n))
                .to_vec();
        let order: Vec<u32> = in_turn(ready, |(tenant, _)| tenant).into_iter().map(|(_, n)| n).collect();
        assert_eq!(order, [1, 4, 5, 2, 6, 3]);
    }
}
