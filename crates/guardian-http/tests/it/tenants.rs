//! Tenants' lives in front of a service.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use guardian_core::{
    Actor, Event, ManualClock, Page, PageRequest, Scope, StoreError, StoreErrorKind, TenantId, Timestamp,
};
use guardian_http::{OnRegistryOutage, TenantLayer};
use guardian_tenant::store::{TenantFilter, TenantStore, Written};
use guardian_tenant::{MemoryStore, NewTenant, Platform, Registry, Tenant, Version};
use http::{Request, Response, StatusCode};
use proptest::prelude::*;
use tower::{Layer, Service, ServiceExt};

/// A store that counts who asks, fails while it is told to, and keeps them waiting while it is closed.
#[derive(Debug, Default)]
struct Watched {
    store: MemoryStore,
    asked: AtomicUsize,
    fails: Mutex<Option<StoreErrorKind>>,
    closed: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Watched {
    fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
        std::mem::take(&mut *self.waiting.lock().unwrap()).into_iter().for_each(Waker::wake);
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

#[async_trait]
impl TenantStore for Watched {
    async fn insert(&self, by: &Platform, tenant: &Tenant, event: &Event) -> Result<Written, StoreError> {
        self.store.insert(by, tenant, event).await
    }

    async fn replace(
        &self,
        by: &Platform,
        tenant: &Tenant,
        expected: Version,
        event: &Event,
    ) -> Result<Written, StoreError> {
        self.store.replace(by, tenant, expected, event).await
    }

    async fn get(&self, by: &Platform, id: &TenantId) -> Result<Option<Tenant>, StoreError> {
        self.store.get(by, id).await
    }

    async fn own(&self, scope: &Scope) -> Result<Option<Tenant>, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let found = self.store.own(scope).await;
        std::future::poll_fn(|context| {
            if !self.closed.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            self.waiting.lock().unwrap().push(context.waker().clone());
            Poll::Pending
        })
        .await;
        match *self.fails.lock().unwrap() {
            Some(kind) => Err(StoreError::new(kind, "watched")),
            None => found,
        }
    }

    async fn list(
        &self,
        by: &Platform,
        filter: &TenantFilter,
        page: &PageRequest,
    ) -> Result<Page<Tenant>, StoreError> {
        self.store.list(by, filter, page).await
    }

    async fn due(&self, by: &Platform, now: Timestamp, limit: u32) -> Result<Vec<Tenant>, StoreError> {
        self.store.due(by, now, limit).await
    }

    async fn undelivered(&self, by: &Platform, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.store.undelivered(by, limit).await
    }

    async fn delivered(&self, by: &Platform, event: uuid::Uuid) -> Result<(), StoreError> {
        self.store.delivered(by, event).await
    }
}

struct World {
    store: Arc<Watched>,
    registry: Registry,
    clock: ManualClock,
}

fn id(tenant: &str) -> TenantId {
    TenantId::new(tenant).unwrap()
}

fn platform() -> Platform {
    Platform::new(Scope::new(id("operator"), Actor::user("ops").unwrap()), "a test of the door").unwrap()
}

impl World {
    async fn new(tenants: &[&str]) -> Self {
        let store = Arc::new(Watched::default());
        let clock = ManualClock::new();
        let registry = Registry::new(Arc::clone(&store)).with_clock(clock.clone());
        for tenant in tenants {
            let new = NewTenant::new(id(tenant), tenant, "team", "eu").unwrap();
            registry.create(&platform(), new).await.unwrap();
        }
        Self { store, registry, clock }
    }

    fn layer(&self, on_outage: OnRegistryOutage) -> TenantLayer {
        TenantLayer::new(self.registry.clone(), on_outage).with_clock(self.clock.clone())
    }

    async fn version(&self, tenant: &str) -> Version {
        self.registry.get(&platform(), &id(tenant)).await.unwrap().version
    }

    async fn suspend(&self, tenant: &str) {
        let version = self.version(tenant).await;
        self.registry.suspend(&platform(), &id(tenant), version, "unpaid").await.unwrap();
    }

    async fn resume(&self, tenant: &str) {
        let version = self.version(tenant).await;
        self.registry.resume(&platform(), &id(tenant), version).await.unwrap();
    }

    fn fail(&self, kind: Option<StoreErrorKind>) {
        *self.store.fails.lock().unwrap() = kind;
    }
}

type Answer = Pin<Box<dyn Future<Output = Response<Vec<u8>>> + Send>>;

fn ask(layer: &TenantLayer, tenant: &str, path: &str) -> Answer {
    let inner = tower::service_fn(|_: Request<()>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Vec::new()))
    });
    let mut service = layer.layer(inner);
    let mut request = Request::get(path).body(()).unwrap();
    request.extensions_mut().insert(Scope::new(id(tenant), Actor::user("ann").unwrap()));
    Box::pin(async move { service.ready().await.unwrap().call(request).await.unwrap() })
}

async fn status(layer: &TenantLayer, tenant: &str) -> StatusCode {
    ask(layer, tenant, "/").await.status()
}

const REFUSE: OnRegistryOutage = OnRegistryOutage::Refuse;
const OK: StatusCode = StatusCode::OK;
const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;
const AWAY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

#[tokio::test]
async fn a_suspension_is_seen_within_a_second_and_one_request_in_a_second_asks() {
    let world = World::new(&["acme"]).await;
    let layer = world.layer(REFUSE);
    for _ in 0..100 {
        assert_eq!(status(&layer, "acme").await, OK);
    }
    assert_eq!(world.store.asked(), 1);
    // Fast there and back again: what holds is what the registry said last, at most a second ago.
    world.suspend("acme").await;
    world.clock.advance(Duration::from_millis(1_000));
    assert_eq!(status(&layer, "acme").await, OK);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(status(&layer, "acme").await, FORBIDDEN);
    world.resume("acme").await;
    world.suspend("acme").await;
    world.resume("acme").await;
    assert_eq!(status(&layer, "acme").await, FORBIDDEN);
    world.clock.advance(Duration::from_millis(1_001));
    assert_eq!(status(&layer, "acme").await, OK);
    assert_eq!(world.store.asked(), 2);
}

#[tokio::test]
async fn who_is_suspended_may_do_little_and_who_is_gone_nothing() {
    let world = World::new(&["acme", "globex", "initech"]).await;
    world.suspend("acme").await;
    for (tenant, grace) in [("globex", 3_600), ("initech", 0)] {
        let version = world.version(tenant).await;
        world.registry.delete(&platform(), &id(tenant), version, Duration::from_secs(grace)).await.unwrap();
    }
    world.registry.purge(&platform(), &id("initech"), world.version("initech").await).await.unwrap();
    let layer = world.layer(REFUSE).suspended_may(|request| request.uri.path().starts_with("/billing"));
    assert_eq!(ask(&layer, "acme", "/billing/pay").await.status(), OK);
    let suspended = ask(&layer, "acme", "/deals").await;
    assert_eq!(suspended.status(), FORBIDDEN);
    let text = |response: Response<Vec<u8>>| String::from_utf8(response.into_body()).unwrap();
    let suspended = text(suspended);
    assert!(suspended.contains(TenantLayer::SUSPENDED) && !suspended.contains("unpaid"), "{suspended}");
    let mut gone = Vec::new();
    for tenant in ["globex", "initech", "nobody-knows"] {
        let answer = ask(&layer, tenant, "/billing/pay").await;
        assert_eq!(answer.status(), FORBIDDEN);
        gone.push(text(answer));
    }
    assert!(gone[0].contains(TenantLayer::GONE) && gone.iter().all(|text| *text == gone[0]), "{gone:?}");
    // The operator's own tenant is no customer's, and in no registry.
    let besides = layer.clone().besides(id("nobody-knows"));
    assert_eq!(ask(&besides, "nobody-knows", "/deals").await.status(), OK);
    assert_eq!(ask(&besides, "globex", "/deals").await.status(), FORBIDDEN);
    let inner = tower::service_fn(|_: Request<()>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Vec::<u8>::new()))
    });
    let nobody = layer.layer(inner).oneshot(Request::new(())).await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn while_the_registry_is_away_the_last_it_said_holds_for_so_long() {
    let world = World::new(&["acme", "globex"]).await;
    let strict = world.layer(REFUSE);
    let mild = world.layer(OnRegistryOutage::LastKnown(Duration::from_secs(60)));
    assert_eq!((status(&strict, "acme").await, status(&mild, "acme").await), (OK, OK));
    world.suspend("globex").await;
    assert_eq!(status(&mild, "globex").await, FORBIDDEN);
    world.store.asked();
    world.fail(Some(StoreErrorKind::Unavailable));
    world.clock.advance(Duration::from_secs(2));
    let refused = ask(&strict, "acme", "/").await;
    assert_eq!((refused.status(), refused.headers()["retry-after"].as_bytes()), (AWAY, &b"5"[..]));
    assert_eq!(world.store.asked(), 1);
    for _ in 0..20 {
        assert_eq!(status(&mild, "acme").await, OK);
        assert_eq!(status(&mild, "globex").await, FORBIDDEN, "what was known was a suspension");
        assert_eq!(status(&mild, "initech").await, AWAY, "nothing was known");
    }
    assert_eq!(world.store.asked(), 3, "a registry that fails is left alone for a second");
    world.clock.advance(Duration::from_secs(58));
    assert_eq!(status(&mild, "acme").await, OK);
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(status(&mild, "acme").await, AWAY, "it is too long ago");
    world.fail(Some(StoreErrorKind::Corrupt));
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(status(&mild, "acme").await, StatusCode::INTERNAL_SERVER_ERROR);
    world.fail(None);
    world.clock.advance(Duration::from_secs(2));
    assert_eq!((status(&strict, "acme").await, status(&mild, "acme").await), (OK, OK));
}

fn poll(answer: &mut Answer) -> Option<StatusCode> {
    match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => Some(response.status()),
        Poll::Pending => None,
    }
}

#[tokio::test]
async fn who_comes_meanwhile_waits_for_the_one_who_asks_and_goes_on_if_that_one_goes_away() {
    let world = World::new(&["acme"]).await;
    let layer = world.layer(REFUSE);
    world.store.closed.store(true, Ordering::SeqCst);
    let mut asks = ask(&layer, "acme", "/");
    assert_eq!(poll(&mut asks), None);
    let waiting: Vec<_> = (0..50).map(|_| tokio::spawn(ask(&layer, "acme", "/"))).collect();
    tokio::task::yield_now().await;
    // However long it takes: nobody asks while somebody does.
    world.clock.advance(Duration::from_secs(30));
    tokio::task::yield_now().await;
    assert_eq!(world.store.asked(), 1);
    // The one who asked goes away, and one of the others asks.
    drop(asks);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.store.asked(), 1);
    world.store.open();
    for answer in waiting {
        assert_eq!(answer.await.unwrap().status(), OK);
    }
    assert_eq!(world.store.asked(), 0, "one answer is for all who had come before it was asked for");
}

#[tokio::test]
async fn a_failure_is_for_all_who_waited() {
    let world = World::new(&["acme"]).await;
    let layer = world.layer(REFUSE).fresh_for(Duration::ZERO);
    world.store.closed.store(true, Ordering::SeqCst);
    world.fail(Some(StoreErrorKind::Timeout));
    let waiting: Vec<_> = (0..50).map(|_| tokio::spawn(ask(&layer, "acme", "/"))).collect();
    tokio::task::yield_now().await;
    world.store.open();
    for answer in waiting {
        assert_eq!(answer.await.unwrap().status(), AWAY);
    }
    assert_eq!(world.store.asked(), 1);
}

#[tokio::test]
async fn invented_tenants_do_not_fill_the_memory() {
    let world = World::new(&["acme"]).await;
    let layer = world.layer(REFUSE).remembering(64);
    assert_eq!(status(&layer, "acme").await, OK);
    for number in 0..1_000 {
        assert_eq!(status(&layer, &format!("invented-{number}")).await, FORBIDDEN);
        if number % 16 == 0 {
            assert_eq!(status(&layer, "acme").await, OK);
        }
    }
    assert_eq!(world.store.asked(), 1_001, "who comes again and again is remembered");
    // The last 32 at least are remembered, and the first are not.
    assert_eq!(status(&layer, "invented-999").await, FORBIDDEN);
    assert_eq!(world.store.asked(), 0);
    for number in 0..100 {
        assert_eq!(status(&layer, &format!("invented-{number}")).await, FORBIDDEN);
    }
    assert_eq!(world.store.asked(), 100, "at most 64 were remembered");
}

#[derive(Debug, Clone)]
enum Step {
    Ask(usize),
    Suspend(usize),
    Resume(usize),
    Pass(u64),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A request is answered by a state that its tenant had at most so long ago.
    #[test]
    fn answers_are_of_the_last_second(steps in prop::collection::vec(prop_oneof![
        4 => (0..2_usize).prop_map(Step::Ask),
        1 => (0..2_usize).prop_map(Step::Suspend),
        1 => (0..2_usize).prop_map(Step::Resume),
        2 => (1..800_u64).prop_map(Step::Pass),
    ], 1..60)) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let names = ["acme", "globex"];
            let world = World::new(&names).await;
            let layer = world.layer(REFUSE);
            let mut now = 0_u64;
            // Of each tenant since when it is what.
            let mut lives = [vec![(0_u64, true)], vec![(0_u64, true)]];
            for step in steps {
                match step {
                    Step::Pass(millis) => {
                        now += millis;
                        world.clock.advance(Duration::from_millis(millis));
                    }
                    Step::Suspend(who) if lives[who].last().unwrap().1 => {
                        world.suspend(names[who]).await;
                        lives[who].push((now, false));
                    }
                    Step::Resume(who) if !lives[who].last().unwrap().1 => {
                        world.resume(names[who]).await;
                        lives[who].push((now, true));
                    }
                    Step::Suspend(_) | Step::Resume(_) => {}
                    Step::Ask(who) => {
                        let active = status(&layer, names[who]).await == OK;
                        let from = now.saturating_sub(1_000);
                        let life = &lives[who];
                        let possible = life.iter().enumerate().any(|(at, (_, state))| {
                            *state == active && life.get(at + 1).is_none_or(|(until, _)| *until >= from)
                        });
                        assert!(possible, "{active} at {now} of {life:?}");
                    }
                }
            }
        });
    }
}
