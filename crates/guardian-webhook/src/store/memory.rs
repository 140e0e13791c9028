//! Everything in memory: the plain definition of what the other stores do.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Cursor, Page, PageRequest, Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{
    Allowance, Claim, Claimed, DeliveryStore, Enqueue, Enqueued, Next, QueueState, Removed, Saved, Settled,
    Settlement, WINDOW, gate_of, in_turn,
};
use crate::delivery::{Attempt, Delivery, DeliveryFilter, DeliveryState, first_id};
use crate::endpoint::{Endpoint, EndpointStatus};
use crate::health::{Health, HealthRules};
use crate::id::{DeliveryId, EndpointId, MessageId};
use crate::message::Message;

/// Everything in memory, for tests, demos and hosts that lose nothing when they stop.
///
/// ```
/// use guardian_webhook::store::MemoryStore;
///
/// let store = MemoryStore::new();
/// # let _ = store;
/// ```
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.lock();
        f.debug_struct("MemoryStore").field("tenants", &inner.tenants.len()).finish_non_exhaustive()
    }
}

type QueueKey = (TenantId, EndpointId);

#[derive(Default)]
struct Inner {
    tenants: HashMap<TenantId, Tenant>,
    queues: HashMap<QueueKey, Queue>,
    ready: BTreeSet<(Timestamp, TenantId, EndpointId)>,
    sequence: u64,
}

#[derive(Default)]
struct Tenant {
    revision: i64,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    messages: BTreeMap<MessageId, Arc<Message>>,
    deliveries: BTreeMap<DeliveryId, Row>,
    of_message: HashMap<MessageId, Vec<DeliveryId>>,
    of_endpoint: HashMap<EndpointId, BTreeSet<DeliveryId>>,
    keys: HashMap<String, KeyUse>,
}

/// What an idempotency key was used for, and until when that holds.
struct KeyUse {
    message: MessageId,
    until: Timestamp,
    digest: [u8; 32],
}

struct Row {
    delivery: Delivery,
    sequence: u64,
    fence: i64,
    attempts: Vec<Attempt>,
}

/// The deliveries of an endpoint that have not ended.
#[derive(Default)]
struct Queue {
    due: BTreeMap<(Timestamp, u64), DeliveryId>,
    leases: BTreeSet<(Timestamp, DeliveryId)>,
    lanes: HashMap<String, BTreeMap<u64, DeliveryId>>,
    open: u64,
    health: Health,
    gate: Option<Timestamp>,
    ready: Option<Timestamp>,
    paused: bool,
    concurrency: u32,
    rate: Option<u32>,
    revision: u64,
}

impl Inner {
    /// Says when a queue is ready: when its first delivery is due, not before the floor, never while it is paused.
    fn refresh(&mut self, key: &QueueKey, floor: Timestamp) {
        let Some(queue) = self.queues.get_mut(key) else { return };
        if let Some(ready) = queue.ready.take() {
            self.ready.remove(&(ready, key.0.clone(), key.1));
        }
        let Some(((due, _), _)) = queue.due.first_key_value() else { return };
        if !queue.paused {
            let ready = (*due).max(floor);
            queue.ready = Some(ready);
            self.ready.insert((ready, key.0.clone(), key.1));
        }
    }

    /// Puts a delivery that has not ended into its queue, to be due at this time, or to wait for its turn in its lane.
    fn admit(&mut self, tenant: &TenantId, id: DeliveryId, at: Timestamp) {
        self.sequence += 1;
        let sequence = self.sequence;
        let Some(row) = self.tenants.get_mut(tenant).and_then(|tenant| tenant.deliveries.get_mut(&id)) else {
            return;
        };
        let key = (tenant.clone(), row.delivery.endpoint);
        let queue = self.queues.entry(key.clone()).or_default();
        row.sequence = sequence;
        queue.open += 1;
        let first = match &row.delivery.lane {
            Some(lane) => {
                let lane = queue.lanes.entry(lane.clone()).or_default();
                lane.insert(sequence, id);
                lane.len() == 1
            }
            None => true,
        };
        if first {
            (row.delivery.state, row.delivery.next_at) = (DeliveryState::Queued, Some(at));
            queue.due.insert((at, sequence), id);
            // A queue that is ready keeps its place among the others.
            let floor = queue.gate.unwrap_or_else(|| queue.ready.unwrap_or(at).min(at));
            self.refresh(&key, floor);
        } else {
            (row.delivery.state, row.delivery.next_at) = (DeliveryState::Waiting, None);
        }
    }

    /// Ends a delivery and lets the next of its lane come.
    fn end(
        &mut self,
        tenant: &TenantId,
        id: DeliveryId,
        state: DeliveryState,
        reason: Option<String>,
        now: Timestamp,
    ) {
        let Some(of_tenant) = self.tenants.get_mut(tenant) else { return };
        let Some(row) = of_tenant.deliveries.get_mut(&id) else { return };
        let Some(queue) = self.queues.get_mut(&(tenant.clone(), row.delivery.endpoint)) else { return };
        queue.take_out(row);
        queue.open = queue.open.saturating_sub(1);
        let next = row.delivery.lane.as_ref().and_then(|name| {
            let lane = queue.lanes.get_mut(name)?;
            lane.remove(&row.sequence);
            let next = lane.first_key_value().map(|(sequence, id)| (*sequence, *id));
            if next.is_none() {
                queue.lanes.remove(name);
            }
            next
        });
        row.delivery.state = state;
        row.delivery.reason = reason;
        row.delivery.next_at = None;
        row.delivery.finished = Some(now);
        if let Some((sequence, next)) = next
            && let Some(row) = of_tenant.deliveries.get_mut(&next)
            && row.delivery.state == DeliveryState::Waiting
        {
            (row.delivery.state, row.delivery.next_at) = (DeliveryState::Queued, Some(now));
            queue.due.insert((now, sequence), next);
        }
    }

    fn found(&self, scope: &Scope, filter: &DeliveryFilter) -> Vec<DeliveryId> {
        let Some(tenant) = self.tenants.get(scope.tenant()) else { return Vec::new() };
        let shown = |row: &&Row| filter.shows(&row.delivery);
        let id = |row: &Row| row.delivery.id;
        if let Some(wanted) = filter.delivery {
            return tenant.deliveries.get(&wanted).into_iter().filter(shown).map(id).collect();
        }
        if let Some(message) = &filter.message {
            let ids = tenant.of_message.get(message).into_iter().flatten();
            return ids.filter_map(|id| tenant.deliveries.get(id)).filter(shown).map(id).collect();
        }
        tenant.deliveries.values().filter(shown).map(id).collect()
    }
}

impl Queue {
    /// Takes a delivery out of what is due.
    fn take_out(&mut self, row: &Row) {
        if let Some(at) = row.delivery.next_at {
            self.due.remove(&(at, row.sequence));
            self.leases.remove(&(at, row.delivery.id));
        }
    }

    fn inflight(&self, now: Timestamp) -> u32 {
        let from = (now, DeliveryId::new(Uuid::max()));
        u32::try_from(self.leases.range(from..).count()).unwrap_or(u32::MAX)
    }
}

fn page<T>(items: impl Iterator<Item = T>, request: &PageRequest, cursor: impl Fn(&T) -> Uuid) -> Page<T> {
    let size = usize::try_from(request.size()).unwrap_or(usize::MAX);
    let mut items: Vec<T> = items.take(size.saturating_add(1)).collect();
    let more = items.len() > size;
    items.truncate(size);
    let next = items.last().filter(|_| more).map(|item| Cursor::from_bytes(cursor(item).as_bytes()));
    Page::new(items, next)
}

/// The id that a cursor names.
pub(super) fn after_cursor(request: &PageRequest, backend: &'static str) -> Result<Option<Uuid>, StoreError> {
    request
        .cursor()
        .map(|cursor| {
            Uuid::from_slice(cursor.as_bytes()).map_err(|_| {
                StoreError::new(StoreErrorKind::Unsupported, backend)
                    .with_source("the cursor is not one of this list")
            })
        })
        .transpose()
}

const BACKEND: &str = "memory";

#[async_trait]
impl DeliveryStore for MemoryStore {
    async fn put_endpoint(
        &self,
        scope: &Scope,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Result<Saved, StoreError> {
        let mut inner = self.inner.lock();
        let tenant = inner.tenants.entry(scope.tenant().clone()).or_default();
        let stored = tenant.endpoints.get(&endpoint.id).map_or(0, |stored| stored.revision);
        if stored + 1 != endpoint.revision {
            return Ok(Saved::Conflict);
        }
        tenant.revision += 1;
        tenant.endpoints.insert(endpoint.id, endpoint.clone());
        let key = (scope.tenant().clone(), endpoint.id);
        let queue = inner.queues.entry(key.clone()).or_default();
        let paused = endpoint.status != EndpointStatus::Enabled;
        if queue.paused && !paused {
            (queue.health, queue.gate) = (Health::default(), None);
        }
        queue.paused = paused;
        queue.concurrency = endpoint.settings.concurrency;
        queue.rate = endpoint.settings.rate;
        queue.revision = endpoint.revision;
        let floor = queue.gate.unwrap_or(now).max(now);
        inner.refresh(&key, floor);
        Ok(Saved::Done)
    }

    async fn remove_endpoint(
        &self,
        scope: &Scope,
        id: EndpointId,
        revision: Option<u64>,
        now: Timestamp,
    ) -> Result<Removed, StoreError> {
        let mut inner = self.inner.lock();
        let Some(tenant) = inner.tenants.get_mut(scope.tenant()) else { return Ok(Removed::Missing) };
        let Some(endpoint) = tenant.endpoints.get(&id) else { return Ok(Removed::Missing) };
        if revision.is_some_and(|revision| revision != endpoint.revision) {
            return Ok(Removed::Conflict);
        }
        tenant.endpoints.remove(&id);
        tenant.revision += 1;
        let open: Vec<DeliveryId> = tenant.of_endpoint.get(&id).into_iter().flatten().copied().collect();
        for delivery in open {
            let is_open = inner
                .tenants
                .get(scope.tenant())
                .and_then(|tenant| tenant.deliveries.get(&delivery))
                .is_some_and(|row| !row.delivery.state.is_final());
            if is_open {
                inner.end(
                    scope.tenant(),
                    delivery,
                    DeliveryState::Cancelled,
                    Some("the endpoint was removed".into()),
                    now,
                );
            }
        }
        let key = (scope.tenant().clone(), id);
        inner.refresh(&key, now);
        inner.queues.remove(&key);
        Ok(Removed::Done)
    }

    async fn endpoint(&self, scope: &Scope, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let inner = self.inner.lock();
        Ok(inner.tenants.get(scope.tenant()).and_then(|tenant| tenant.endpoints.get(&id)).cloned())
    }

    async fn endpoints(&self, scope: &Scope, request: &PageRequest) -> Result<Page<Endpoint>, StoreError> {
        let after = after_cursor(request, BACKEND)?;
        let inner = self.inner.lock();
        let Some(tenant) = inner.tenants.get(scope.tenant()) else { return Ok(Page::new(Vec::new(), None)) };
        let found =
            tenant.endpoints.values().filter(|each| after.is_none_or(|after| each.id.number() > after));
        Ok(page(found.cloned(), request, |each| each.id.number()))
    }

    async fn endpoints_revision(&self, scope: &Scope) -> Result<i64, StoreError> {
        Ok(self.inner.lock().tenants.get(scope.tenant()).map_or(0, |tenant| tenant.revision))
    }

    async fn queue(&self, scope: &Scope, id: EndpointId) -> Result<Option<QueueState>, StoreError> {
        let inner = self.inner.lock();
        let queue = inner.queues.get(&(scope.tenant().clone(), id));
        Ok(queue.map(|queue| QueueState {
            health: queue.health.clone(),
            open: queue.open,
            next_at: queue.due.first_key_value().map(|((at, _), _)| *at),
        }))
    }

    async fn enqueue(&self, scope: &Scope, batch: &[Enqueue]) -> Result<Vec<Enqueued>, StoreError> {
        let mut inner = self.inner.lock();
        let tenant = inner.tenants.entry(scope.tenant().clone()).or_default();
        let mut answers = Vec::with_capacity(batch.len());
        let mut keys: HashMap<&str, KeyUse> = HashMap::new();
        for Enqueue { message, idempotency, .. } in batch {
            let Some((key, until)) = idempotency else {
                answers.push(Enqueued::New);
                continue;
            };
            let digest = message.digest();
            let used = keys.get(key.as_str()).or_else(|| tenant.keys.get(key));
            answers.push(match used {
                Some(used) if used.until > message.created && used.digest == digest => {
                    Enqueued::Duplicate(used.message)
                }
                Some(used) if used.until > message.created => Enqueued::Taken(used.message),
                _ => {
                    keys.insert(key, KeyUse { message: message.id, until: *until, digest });
                    Enqueued::New
                }
            });
        }
        if answers.iter().any(|answer| matches!(answer, Enqueued::Taken(_))) {
            return Ok(answers);
        }
        tenant.keys.extend(keys.into_iter().map(|(key, used)| (key.to_owned(), used)));
        for (each, _) in batch.iter().zip(&answers).filter(|(_, answer)| **answer == Enqueued::New) {
            let message = &each.message;
            let tenant = inner.tenants.entry(scope.tenant().clone()).or_default();
            tenant.messages.insert(message.id, Arc::new(message.clone()));
            for (id, endpoint, lane) in &each.fanout {
                let delivery = Delivery {
                    id: *id,
                    message: message.id,
                    endpoint: *endpoint,
                    event_type: message.event_type.clone(),
                    state: DeliveryState::Queued,
                    reason: None,
                    attempts: 0,
                    round_start: 0,
                    next_at: None,
                    created: message.created,
                    finished: None,
                    lane: lane.clone(),
                    last_status: None,
                };
                let row = Row { delivery, sequence: 0, fence: 0, attempts: Vec::new() };
                let tenant = inner.tenants.entry(scope.tenant().clone()).or_default();
                tenant.deliveries.insert(*id, row);
                tenant.of_message.entry(message.id).or_default().push(*id);
                tenant.of_endpoint.entry(*endpoint).or_default().insert(*id);
                inner.admit(scope.tenant(), *id, message.created);
            }
        }
        Ok(answers)
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        let ready: Vec<QueueKey> = inner
            .ready
            .iter()
            .take_while(|(at, ..)| *at <= claim.now)
            .take(WINDOW)
            .map(|(_, tenant, endpoint)| (tenant.clone(), *endpoint))
            .collect();
        let mut claimed = Vec::new();
        // How much a queue has is not known before it is looked at, so the places are shared out.
        let share = claim.limit.div_ceil(u32::try_from(ready.len()).unwrap_or(1).max(1));
        for key in in_turn(ready, |(tenant, _)| tenant) {
            let left = claim.limit.saturating_sub(u32::try_from(claimed.len()).unwrap_or(u32::MAX));
            if left == 0 {
                break;
            }
            let Some(queue) = inner.queues.get_mut(&key) else { continue };
            let Some(tenant) = inner.tenants.get_mut(&key.0) else { continue };
            let inflight = queue.inflight(claim.now);
            let allowance = Allowance::of(&queue.health, queue.concurrency, queue.rate, inflight, claim.now);
            let most = usize::try_from(allowance.most.min(left).min(share)).unwrap_or(usize::MAX);
            let due: Vec<((Timestamp, u64), DeliveryId)> = queue
                .due
                .range(..=(claim.now, u64::MAX))
                .take(most)
                .map(|(place, id)| (*place, *id))
                .collect();
            for (place, id) in &due {
                let Some(row) = tenant.deliveries.get_mut(id) else { continue };
                let Some(message) = tenant.messages.get(&row.delivery.message) else { continue };
                queue.due.remove(place);
                queue.leases.remove(&(place.0, *id));
                queue.due.insert((claim.until, place.1), *id);
                queue.leases.insert((claim.until, *id));
                row.delivery.state = DeliveryState::Sending;
                row.delivery.next_at = Some(claim.until);
                row.fence += 1;
                claimed.push(Claimed {
                    tenant: key.0.clone(),
                    delivery: *id,
                    endpoint: key.1,
                    revision: queue.revision,
                    fence: row.fence,
                    attempts: row.delivery.attempts,
                    round_start: row.delivery.round_start,
                    message: Arc::clone(message),
                });
            }
            let given = u32::try_from(due.len()).unwrap_or(u32::MAX);
            let (gate, floor) = allowance.floor(given, claim, queue.gate);
            queue.gate = gate;
            inner.refresh(&key, floor);
        }
        Ok(claimed)
    }

    async fn settle(
        &self,
        batch: &[Settlement],
        rules: &HealthRules,
        now: Timestamp,
    ) -> Result<Vec<Settled>, StoreError> {
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        let mut answers = Vec::with_capacity(batch.len());
        for each in batch {
            let key = (each.tenant.clone(), each.endpoint);
            let row = inner
                .tenants
                .get_mut(&each.tenant)
                .and_then(|tenant| tenant.deliveries.get_mut(&each.delivery));
            let queue = inner.queues.get_mut(&key);
            let (Some(row), Some(queue)) = (row, queue) else {
                answers.push(Settled { kept: false, change: None });
                continue;
            };
            if row.fence != each.fence || row.delivery.state != DeliveryState::Sending {
                answers.push(Settled { kept: false, change: None });
                continue;
            }
            if let Some(attempt) = &each.attempt {
                row.delivery.attempts = attempt.number;
                row.delivery.last_status = attempt.status;
                row.attempts.push(attempt.clone());
            }
            let change = each.health.and_then(|success| queue.health.record(success, now, rules));
            queue.gate = gate_of(&queue.health, queue.gate, each.pause, now);
            match &each.next {
                Next::At(at) => {
                    queue.take_out(row);
                    (row.delivery.state, row.delivery.next_at) = (DeliveryState::Queued, Some(*at));
                    queue.due.insert((*at, row.sequence), each.delivery);
                }
                Next::Ended(state, reason) => {
                    inner.end(&each.tenant, each.delivery, *state, reason.clone(), now);
                }
            }
            let floor = inner.queues.get(&key).and_then(|queue| queue.gate).unwrap_or(now);
            inner.refresh(&key, floor);
            answers.push(Settled { kept: true, change });
        }
        Ok(answers)
    }

    async fn endpoints_of(
        &self,
        wanted: &[(TenantId, EndpointId)],
    ) -> Result<Vec<(TenantId, Endpoint)>, StoreError> {
        let inner = self.inner.lock();
        let found = |(tenant, id): &(TenantId, EndpointId)| {
            Some((tenant.clone(), inner.tenants.get(tenant)?.endpoints.get(id)?.clone()))
        };
        Ok(wanted.iter().filter_map(found).collect())
    }

    async fn message(&self, scope: &Scope, id: MessageId) -> Result<Option<Message>, StoreError> {
        let inner = self.inner.lock();
        let message = inner.tenants.get(scope.tenant()).and_then(|tenant| tenant.messages.get(&id));
        Ok(message.map(|message| Message::clone(message)))
    }

    async fn holding(
        &self,
        scope: &Scope,
        deliveries: &[Delivery],
        text: &str,
    ) -> Result<BTreeSet<DeliveryId>, StoreError> {
        let mut holding = BTreeSet::new();
        let mut messages = Vec::with_capacity(deliveries.len());
        {
            let inner = self.inner.lock();
            let Some(tenant) = inner.tenants.get(scope.tenant()) else { return Ok(holding) };
            for id in deliveries.iter().map(|delivery| delivery.id) {
                let Some(row) = tenant.deliveries.get(&id) else { continue };
                if row.attempts.iter().any(|attempt| attempt.holds(text)) {
                    holding.insert(id);
                } else if let Some(message) = tenant.messages.get(&row.delivery.message) {
                    messages.push((id, Arc::clone(message)));
                }
            }
        }
        // Bodies may be long: nobody waits for the store meanwhile.
        holding.extend(messages.iter().filter(|(_, message)| message.holds(text)).map(|(id, _)| *id));
        Ok(holding)
    }

    async fn deliveries(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        request: &PageRequest,
    ) -> Result<Page<Delivery>, StoreError> {
        let after = after_cursor(request, BACKEND)?;
        let inner = self.inner.lock();
        let Some(tenant) = inner.tenants.get(scope.tenant()) else { return Ok(Page::new(Vec::new(), None)) };
        let upper = [after, filter.until.map(first_id)].into_iter().flatten().min().unwrap_or(Uuid::max());
        let lower = filter.since.map_or(Uuid::nil(), first_id);
        if lower > upper {
            return Ok(Page::new(Vec::new(), None));
        }
        let range = DeliveryId::new(lower)..DeliveryId::new(upper);
        let shown = |delivery: &&Delivery| filter.shows(delivery);
        let id = |delivery: &Delivery| delivery.id.number();
        if let Some(endpoint) = &filter.endpoint {
            let ids = tenant.of_endpoint.get(endpoint).map(|ids| ids.range(range).rev());
            let rows = ids.into_iter().flatten().filter_map(|id| tenant.deliveries.get(id));
            return Ok(page(rows.map(|row| &row.delivery).filter(shown).cloned(), request, id));
        }
        let rows = tenant.deliveries.range(range).rev().map(|(_, row)| &row.delivery);
        Ok(page(rows.filter(shown).cloned(), request, id))
    }

    async fn attempts(&self, scope: &Scope, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        let inner = self.inner.lock();
        let row = inner.tenants.get(scope.tenant()).and_then(|tenant| tenant.deliveries.get(&id));
        Ok(row.map(|row| row.attempts.clone()).unwrap_or_default())
    }

    async fn cancel(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut inner = self.inner.lock();
        let mut cancelled = 0;
        for id in inner.found(scope, filter) {
            let row = inner.tenants.get(scope.tenant()).and_then(|tenant| tenant.deliveries.get(&id));
            let Some(endpoint) =
                row.filter(|row| !row.delivery.state.is_final()).map(|row| row.delivery.endpoint)
            else {
                continue;
            };
            if cancelled >= u64::from(limit) {
                break;
            }
            inner.end(scope.tenant(), id, DeliveryState::Cancelled, Some("cancelled".into()), now);
            let key = (scope.tenant().clone(), endpoint);
            let floor = inner.queues.get(&key).and_then(|queue| queue.gate).unwrap_or(now);
            inner.refresh(&key, floor);
            cancelled += 1;
        }
        Ok(cancelled)
    }

    async fn redrive(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut inner = self.inner.lock();
        let mut redriven = 0;
        for id in inner.found(scope, filter) {
            if redriven >= u64::from(limit) {
                break;
            }
            let Some(tenant) = inner.tenants.get_mut(scope.tenant()) else { break };
            let Some(row) = tenant.deliveries.get_mut(&id).filter(|row| {
                row.delivery.state.is_final() && row.delivery.finished.is_none_or(|ended| ended <= now)
            }) else {
                continue;
            };
            if !tenant.endpoints.contains_key(&row.delivery.endpoint) {
                continue;
            }
            row.delivery.round_start = row.delivery.attempts;
            (row.delivery.finished, row.delivery.reason) = (None, None);
            inner.admit(scope.tenant(), id, now);
            redriven += 1;
        }
        Ok(redriven)
    }

    async fn purge(&self, before: Timestamp, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut inner = self.inner.lock();
        let mut purged = 0;
        for tenant in inner.tenants.values_mut() {
            tenant.keys.retain(|_, used| used.until > now);
            let old: Vec<MessageId> = tenant
                .messages
                .values()
                .take_while(|message| message.id.number() < first_id(before))
                .filter(|message| {
                    let ids = tenant.of_message.get(&message.id).into_iter().flatten();
                    ids.filter_map(|id| tenant.deliveries.get(id)).all(|row| row.delivery.state.is_final())
                })
                .map(|message| message.id)
                .take(usize::try_from(u64::from(limit).saturating_sub(purged)).unwrap_or(usize::MAX))
                .collect();
            for id in old {
                tenant.messages.remove(&id);
                for delivery in tenant.of_message.remove(&id).into_iter().flatten() {
                    if let Some(row) = tenant.deliveries.remove(&delivery)
                        && let Some(of_endpoint) = tenant.of_endpoint.get_mut(&row.delivery.endpoint)
                    {
                        of_endpoint.remove(&delivery);
                    }
                }
                purged += 1;
            }
        }
        Ok(purged)
    }
}
