//! What transactions that overlap do to each other, on a real Postgres.

use std::time::Duration;

use guardian_core::{Clock as _, ManualClock, PageRequest, Scope, SeededIds, TenantId};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_webhook::store::{Claim, Claimed, MIGRATIONS, Next, Settlement, SqlStore};
use guardian_webhook::{
    AeadVault, Config, DeliveryFilter, DeliveryState, DeliveryStore as _, EndpointSettings, HealthRules,
    KeyChoice, Publish, Webhooks,
};
use serde_json::json;

struct World {
    fresh: Fresh,
    store: SqlStore,
    webhooks: Webhooks<SqlStore>,
    clock: ManualClock,
    scope: Scope,
}

async fn world() -> World {
    let fresh = Kind::Postgres.open(&[&MIGRATIONS]).await.unwrap();
    let operator = Scope::system(TenantId::new("operator").unwrap());
    let store = SqlStore::new(fresh.database().clone(), &operator).unwrap();
    let clock = ManualClock::new();
    let vault = AeadVault::new([7; 32]);
    let webhooks = Webhooks::new(store.clone(), vault, clock.clone(), SeededIds::new(1), Config::default());
    let scope = Scope::system(TenantId::new("acme").unwrap());
    let settings = EndpointSettings::new("https://example.com/hooks").with_ordering(true);
    webhooks.create_endpoint(&scope, settings, KeyChoice::NewSecret).await.unwrap();
    World { fresh, store, webhooks, clock, scope }
}

impl World {
    async fn claim(&self) -> Vec<Claimed> {
        let now = self.clock.now();
        let claim = Claim { now, until: now + Duration::from_secs(60), limit: 10 };
        self.store.claim(&claim).await.unwrap()
    }

    async fn settle(&self, claimed: &Claimed, next: Next) {
        let settlement = Settlement {
            tenant: claimed.tenant.clone(),
            delivery: claimed.delivery,
            endpoint: claimed.endpoint,
            fence: claimed.fence,
            attempt: None,
            next,
            health: None,
            pause: None,
        };
        let settled =
            self.store.settle(&[settlement], &HealthRules::default(), self.clock.now()).await.unwrap();
        assert!(settled[0].kept);
    }
}

fn deal() -> Publish {
    Publish::json("deal.won", &json!({"id": 7})).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_has_one_under_way_whoever_commits_first() {
    let world = world().await;
    let mut early = world.fresh.database().begin(&world.scope).await.unwrap();
    world.webhooks.publish_in(&mut early, deal().with_ordering_key("seven")).await.unwrap();
    world.webhooks.publish(&world.scope, deal().with_ordering_key("seven")).await.unwrap();
    let late = world.claim().await;
    assert_eq!(late.len(), 1);
    // It has the lower number, and shows when the other one is under way.
    early.commit().await.unwrap();
    assert!(world.claim().await.is_empty(), "two of a lane are under way");
    let retry = world.clock.now() + Duration::from_secs(5);
    world.settle(&late[0], Next::At(retry)).await;
    assert!(world.claim().await.is_empty(), "another one came before the retry");
    world.clock.advance(Duration::from_secs(5));
    let again = world.claim().await;
    assert_eq!(again.iter().map(|each| each.delivery).collect::<Vec<_>>(), [late[0].delivery]);
    world.settle(&again[0], Next::Ended(DeliveryState::Succeeded, None)).await;
    assert_eq!(world.claim().await.len(), 1, "the lane did not go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_again_meanwhile_is_not_forgotten() {
    let world = world().await;
    for _ in 0..2 {
        world.webhooks.publish(&world.scope, deal()).await.unwrap();
    }
    let held = world.claim().await;
    for each in &held {
        world.settle(each, Next::Ended(DeliveryState::Dead, None)).await;
    }
    world.clock.advance(Duration::from_secs(3600));
    let now = world.clock.now();
    let mut redrive = world.fresh.database().begin(&world.scope).await.unwrap();
    let sql = "UPDATE guardian_webhook_deliveries SET state = 0, next_at = $2, finished = NULL WHERE id = $1";
    redrive.execute(sql, guardian_sql::params![held[0].delivery.number(), now]).await.unwrap();
    let store = world.store.clone();
    let purging = tokio::spawn(async move { store.purge(now, now, 1).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(500)).await;
    redrive.commit().await.unwrap();
    // The first one is passed by, and the one behind it is not kept for that.
    assert_eq!(purging.await.unwrap(), 1);
    let page = PageRequest::first(10).unwrap();
    let left = world.store.deliveries(&world.scope, &DeliveryFilter::new(), &page).await.unwrap().items;
    assert_eq!(left.iter().map(|each| each.id).collect::<Vec<_>>(), [held[0].delivery]);
    assert_eq!(world.webhooks.purge(Duration::ZERO).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_are_made_at_once_there_are_never_too_many_endpoints() {
    let world = world().await;
    let config = Config::default().with_max_endpoints(3);
    let vault = AeadVault::new([7; 32]);
    let few = Webhooks::new(world.store.clone(), vault, world.clock.clone(), SeededIds::new(2), config);
    let making: Vec<_> = (0..8)
        .map(|_| {
            let (few, scope) = (few.clone(), world.scope.clone());
            let settings = EndpointSettings::new("https://example.com/hooks");
            tokio::spawn(
                async move { few.create_endpoint(&scope, settings, KeyChoice::NewSecret).await.is_ok() },
            )
        })
        .collect();
    let mut made = 1;
    for each in making {
        made += usize::from(each.await.unwrap());
    }
    let page = PageRequest::first(100).unwrap();
    let there = few.endpoints(&world.scope, &page).await.unwrap().items.len();
    assert!(there <= 3 && there == made, "{there} are there, {made} were made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_forgotten_when_its_time_is_over() {
    let world = world().await;
    world.webhooks.publish(&world.scope, deal().with_idempotency_key("seven")).await.unwrap();
    let keys = async || {
        let mut tx = world.fresh.owner().begin(&world.scope).await.unwrap();
        let rows = tx.fetch_all("SELECT 1 AS one FROM guardian_webhook_keys", &[]).await.unwrap();
        rows.len()
    };
    let keep = Duration::from_secs(30 * 86_400);
    world.clock.advance(Config::default().idempotency - Duration::from_secs(1));
    world.webhooks.purge(keep).await.unwrap();
    assert_eq!(keys().await, 1);
    world.clock.advance(Duration::from_secs(1));
    world.webhooks.purge(keep).await.unwrap();
    assert_eq!(keys().await, 0, "it was kept for as long as messages are");
}
