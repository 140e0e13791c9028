//! Workers whose store or sink fails.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use guardian_core::{
    Clock as _, Event, EventSink, ManualClock, Page, PageRequest, Scope, SeededIds, StoreError,
    StoreErrorKind, TenantId, Timestamp,
};
use guardian_webhook::store::{
    Claim, Claimed, Enqueue, Enqueued, MemoryStore, QueueState, Removed, Saved, Settled, Settlement,
};
use guardian_webhook::{
    AeadVault, Answer, Attempt, Config, Delivery, DeliveryFilter, DeliveryId, DeliveryState, DeliveryStore,
    Endpoint, EndpointId, EndpointSettings, EndpointStatus, HealthRules, KeyChoice, Message, MessageId,
    Publish, Webhooks, Worker, WorkerConfig,
};
use serde_json::json;

use super::world::Scripted;

/// A store in memory that fails when it is told to.
#[derive(Debug, Default)]
struct Flaky {
    inner: MemoryStore,
    claim: AtomicUsize,
    settle: AtomicUsize,
    endpoint: AtomicUsize,
    endpoints_of: AtomicUsize,
    put_endpoint: AtomicUsize,
}

fn fails(left: &AtomicUsize) -> Result<(), StoreError> {
    let more = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    if more { Err(StoreError::new(StoreErrorKind::Unavailable, "flaky")) } else { Ok(()) }
}

macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty $(, fails by $left:ident)?;)+) => {
        #[async_trait]
        impl DeliveryStore for Flaky {
            $(async fn $name(&self, $($argument: $type),*) -> Result<$result, StoreError> {
                $(fails(&self.$left)?;)?
                self.inner.$name($($argument),*).await
            })+
        }
    };
}

forward! {
    put_endpoint(scope: &Scope, endpoint: &Endpoint, now: Timestamp) -> Saved, fails by put_endpoint;
    remove_endpoint(scope: &Scope, id: EndpointId, revision: Option<u64>, now: Timestamp) -> Removed;
    endpoint(scope: &Scope, id: EndpointId) -> Option<Endpoint>, fails by endpoint;
    endpoints(scope: &Scope, page: &PageRequest) -> Page<Endpoint>;
    endpoints_revision(scope: &Scope) -> i64;
    queue(scope: &Scope, id: EndpointId) -> Option<QueueState>;
    enqueue(scope: &Scope, batch: &[Enqueue]) -> Vec<Enqueued>;
    claim(claim: &Claim) -> Vec<Claimed>, fails by claim;
    settle(batch: &[Settlement], rules: &HealthRules, now: Timestamp) -> Vec<Settled>, fails by settle;
    endpoints_of(wanted: &[(TenantId, EndpointId)]) -> Vec<(TenantId, Endpoint)>, fails by endpoints_of;
    message(scope: &Scope, id: MessageId) -> Option<Message>;
    holding(scope: &Scope, deliveries: &[Delivery], text: &str) -> BTreeSet<DeliveryId>;
    deliveries(scope: &Scope, filter: &DeliveryFilter, page: &PageRequest) -> Page<Delivery>;
    attempts(scope: &Scope, id: DeliveryId) -> Vec<Attempt>;
    cancel(scope: &Scope, filter: &DeliveryFilter, limit: u32, now: Timestamp) -> u64;
    redrive(scope: &Scope, filter: &DeliveryFilter, limit: u32, now: Timestamp) -> u64;
    purge(before: Timestamp, now: Timestamp, limit: u32) -> u64;
}

/// A sink that takes nothing while it is told so.
#[derive(Debug, Default)]
struct Full(AtomicBool);

#[async_trait]
impl EventSink for Full {
    async fn emit(&self, _: Event) -> Result<(), StoreError> {
        if self.0.load(Ordering::SeqCst) {
            Err(StoreError::new(StoreErrorKind::Full, "sink"))
        } else {
            Ok(())
        }
    }
}

struct World {
    store: Arc<Flaky>,
    sink: Arc<Full>,
    clock: ManualClock,
    webhooks: Webhooks<Arc<Flaky>>,
    acme: Scope,
    endpoint: EndpointId,
}

async fn world() -> World {
    let (store, sink, clock) = (Arc::<Flaky>::default(), Arc::<Full>::default(), ManualClock::new());
    let webhooks = Webhooks::with_events(
        Arc::clone(&store),
        AeadVault::new([7; 32]),
        clock.clone(),
        SeededIds::new(1),
        Config::default(),
        Arc::clone(&sink) as Arc<dyn EventSink>,
    );
    let acme = Scope::system(TenantId::new("acme").unwrap());
    let settings = EndpointSettings::new("https://example.com/hooks");
    let endpoint = webhooks.create_endpoint(&acme, settings, KeyChoice::NewSecret).await.unwrap().0.id;
    World { store, sink, clock, webhooks, acme, endpoint }
}

impl World {
    async fn publish(&self, count: usize) {
        for _ in 0..count {
            let deal = Publish::json("deal.won", &json!({"id": 7})).unwrap();
            self.webhooks.publish(&self.acme, deal).await.unwrap();
        }
    }

    fn worker(&self, sender: &Scripted, config: WorkerConfig) -> Worker<Arc<Flaky>, Scripted> {
        Worker::new(&self.webhooks, sender.clone(), config)
    }

    async fn all(&self) -> Vec<Delivery> {
        let page = PageRequest::first(1000).unwrap();
        self.webhooks.deliveries(&self.acme, &DeliveryFilter::new(), &page).await.unwrap().items
    }

    async fn attempts(&self) -> usize {
        let mut count = 0;
        for each in self.all().await {
            count += self.store.attempts(&self.acme, each.id).await.unwrap().len();
        }
        count
    }
}

#[tokio::test]
async fn a_sink_that_fails_ends_no_run() {
    let world = world().await;
    world.publish(5).await;
    world.sink.0.store(true, Ordering::SeqCst);
    let worker = world.worker(&Scripted::status(410), WorkerConfig::default().with_batch(2));
    let progress = worker.run_once().await.unwrap();
    assert!(progress.events_lost > 0, "{progress:?}");
    assert_eq!(u64::try_from(world.attempts().await).unwrap(), progress.attempts);
    let found = world.webhooks.endpoint(&world.acme, world.endpoint).await.unwrap();
    assert_eq!(found.status, EndpointStatus::Enabled, "it was disabled without the event before");
    // The next attempt says the same again.
    world.sink.0.store(false, Ordering::SeqCst);
    world.clock.advance(Duration::from_secs(60));
    worker.run_once().await.unwrap();
    let found = world.webhooks.endpoint(&world.acme, world.endpoint).await.unwrap();
    assert!(matches!(found.status, EndpointStatus::Disabled { .. }), "{found:?}");
}

#[tokio::test]
async fn a_store_that_cannot_disable_ends_no_run() {
    let world = world().await;
    world.publish(1).await;
    world.store.put_endpoint.store(1, Ordering::SeqCst);
    let worker = world.worker(&Scripted::status(410), WorkerConfig::default());
    assert_eq!(worker.run_once().await.unwrap().events_lost, 1);
}

#[tokio::test]
async fn what_is_under_way_is_recorded_when_a_claim_or_a_settlement_fails() {
    for claim in [true, false] {
        let world = world().await;
        world.publish(4).await;
        let sender = Scripted::new({
            let store = Arc::clone(&world.store);
            move |number, _| {
                // While the first two are under way, the store begins to fail.
                if number == 1 {
                    (if claim { &store.claim } else { &store.settle }).store(1, Ordering::SeqCst);
                }
                Ok(Answer::new(200))
            }
        });
        let worker = world.worker(&sender, WorkerConfig::default().with_batch(2));
        worker.run_once().await.unwrap_err();
        let recorded = world.attempts().await;
        let made = sender.requests.lock().len();
        assert!(
            made > 0 && recorded == made,
            "of {made} attempts {recorded} were recorded; a claim: {claim}"
        );
        worker.run_once().await.unwrap();
        assert!(world.all().await.iter().all(|each| each.state == DeliveryState::Succeeded));
        assert_eq!(sender.requests.lock().len(), 4, "an attempt was made twice");
    }
}

#[tokio::test]
async fn a_store_that_does_not_tell_the_endpoint_costs_no_attempt() {
    let world = world().await;
    world.publish(1).await;
    world.store.endpoints_of.store(1, Ordering::SeqCst);
    world.store.endpoint.store(1, Ordering::SeqCst);
    let sender = Scripted::status(200);
    let worker = world.worker(&sender, WorkerConfig::default());
    let now = world.clock.now();
    worker.run_once().await.unwrap();
    let all = world.all().await;
    assert_eq!((all[0].attempts, all[0].state), (0, DeliveryState::Queued), "{all:?}");
    assert_eq!(all[0].next_at, Some(now + Duration::from_secs(5)));
    world.clock.advance(Duration::from_secs(5));
    worker.run_once().await.unwrap();
    assert_eq!(world.all().await[0].state, DeliveryState::Succeeded);
    assert_eq!(world.attempts().await, 1);
}
