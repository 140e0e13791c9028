//! Real kills: processes that spend and relay end with SIGKILL at any point, and others go on. A child is this test program
//! again, told what to do by the environment.

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use guardian_core::{Event, EventSink, Scope, StoreError, SystemClock, SystemIds, TenantId};
use guardian_quota::billing::{BillingEvent, BillingSink, Receipt, Relay, RelayConfig};
use guardian_quota::{
    Aggregation, Cadence, Entry, Feature, FeatureName, Level, Limit, Meter, Plan, PlanName, Quotas, SqlStore,
    Subject, Subscription, Usage,
};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, DatabaseConfig, Durability, Migration, Migrations, params};

const STORE: &str = "GUARDIAN_QUOTA_TEST_STORE";
const SINK: &str = "GUARDIAN_QUOTA_TEST_SINK";
const NUMBER: &str = "GUARDIAN_QUOTA_TEST_NUMBER";
const CHILD: &str = "kill::child";
const TENANTS: u64 = 4;
const BATCH: u32 = 20;

/// The billing system's own database. It keeps one of each id, and counts how often each came.
const RECEIPTS: Migrations = Migrations::new(
    "receipts",
    &[Migration::same(
        1,
        "receipts",
        "CREATE TABLE receipts (tenant_id TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL, \
         times BIGINT NOT NULL, PRIMARY KEY (tenant_id, id))",
    )],
);

#[derive(Debug, Clone)]
struct System(Database);

impl System {
    async fn keep(&self, id: &str, kind: &str, payload: &str) -> Result<(), StoreError> {
        let scope = tenant("billing");
        let mut tx = self.0.begin(&scope).await?;
        tx.execute(
            "INSERT INTO receipts (tenant_id, id, kind, payload, times) VALUES ($1, $2, $3, $4, 1) \
             ON CONFLICT (tenant_id, id) DO UPDATE SET times = receipts.times + 1 WHERE receipts.payload = excluded.payload",
            params![scope.tenant(), id, kind, payload],
        )
        .await?;
        tx.commit().await
    }
}

#[async_trait]
impl BillingSink for System {
    async fn send(&self, events: &[BillingEvent]) -> Result<Vec<Receipt>, StoreError> {
        let mut receipts = Vec::new();
        for event in events {
            self.keep(&event.id.to_string(), "event", &event.to_cloud_event("guardian").to_string()).await?;
            receipts.push(Receipt::Accepted);
        }
        Ok(receipts)
    }
}

#[async_trait]
impl EventSink for System {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        self.keep(&event.id.to_string(), &event.name, &serde_json::to_string(&event).unwrap()).await
    }
}

fn tenant(name: &str) -> Scope {
    Scope::system(TenantId::new(name).unwrap())
}

fn quotas(db: Database) -> Quotas<SqlStore> {
    let limit = Limit::hard(400, Cadence::Year).with_thresholds([25, 50, 75, 100]);
    let meter = Meter::new("token", Aggregation::Sum).with_billed(true).with_limit(Level::Org, limit);
    let plan = Plan::new(PlanName::new("p").unwrap())
        .with_feature(FeatureName::new("tokens").unwrap(), Feature::Metered(meter));
    Quotas::new(SqlStore::new(db, &tenant("operator")).unwrap(), [plan]).unwrap()
}

async fn open(variable: &str) -> Option<Database> {
    let url = std::env::var_os(variable)?;
    let config = DatabaseConfig::default()
        .with_max_connections(2)
        .with_busy_timeout(Duration::from_secs(60))
        .with_durability(Durability::Relaxed);
    Some(Database::open_with(&url.to_string_lossy(), config).await.unwrap())
}

/// Does nothing in the run of the tests.
#[tokio::test]
async fn child() {
    let Some(db) = open(STORE).await else { return };
    let system = System(open(SINK).await.unwrap());
    let number = std::env::var_os(NUMBER).unwrap().to_string_lossy().into_owned();
    let quotas = quotas(db);
    let relay = Relay::new(&quotas, system.clone())
        .with_events(system)
        .with_config(RelayConfig::default().with_batch(BATCH).with_lease(Duration::from_millis(300)));
    let mut turn = 0_u64;
    loop {
        let scope = tenant(&format!("t{}", turn % TENANTS));
        let usage = Usage::of("tokens", &Subject::org(), 1 + turn % 3).unwrap();
        let usage = usage.with_key(format!("{number}-{turn}")).unwrap();
        // A conflict with the other process is no reason to stop.
        let _ = quotas.consume(&scope, &usage).await;
        if turn.is_multiple_of(5) {
            let hold = quotas
                .reserve(&scope, &Usage::of("tokens", &Subject::org(), 4).unwrap(), Duration::from_secs(1))
                .await;
            if let Ok(Some(hold)) = hold.map(|decision| decision.hold) {
                let _ = quotas.commit(&scope, &hold, 2).await;
            }
        }
        if turn.is_multiple_of(3) {
            let _ = relay.run_once().await;
        }
        turn += 1;
    }
}

fn spawn(store: &Fresh, sink: &Fresh, number: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture"])
        .env(STORE, store.url())
        .env(SINK, sink.url())
        .env(NUMBER, number.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn survive(kind: Kind, kills: u32) {
    let store = kind.open(&[&SqlStore::MIGRATIONS]).await.unwrap();
    let sink = Kind::SqliteFile.open(&[&RECEIPTS]).await.unwrap();
    let quotas = quotas(store.database().clone())
        .with_clock(SystemClock::new())
        .unwrap()
        .with_ids(SystemIds::new())
        .unwrap();
    for number in 0..TENANTS {
        let subscription =
            Subscription::new(PlanName::new("p").unwrap(), "2026-01-01T00:00:00Z".parse().unwrap());
        quotas.subscribe(&tenant(&format!("t{number}")), subscription).await.unwrap();
    }
    let mut children = vec![spawn(&store, &sink, 0), spawn(&store, &sink, 1)];
    let mut kill = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(60 + u64::from(kill * 37 % 190))).await;
        let mut killed = children.remove(0);
        killed.kill().unwrap();
        killed.wait().unwrap();
        kill += 1;
        children.push(spawn(&store, &sink, kill + 1));
        // On a slow machine a process may be killed before it does anything: enough has to have happened.
        let mut entries = 0;
        for number in 0..TENANTS {
            entries +=
                quotas.entries(&tenant(&format!("t{number}")), "tokens", 0, 10_000).await.unwrap().len();
        }
        if kill >= kills && entries >= 150 {
            break;
        }
        assert!(kill < 500, "only {entries} entries after {kill} kills");
    }
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // Somebody comes later and does the rest.
    let system = System(sink.database().clone());
    let relay = Relay::new(&quotas, system.clone()).with_events(system);
    let draining = async {
        while relay.run_once().await.unwrap().ledgers > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), draining).await.expect("the ledgers were not drained");

    let scope = tenant("billing");
    let mut tx = sink.database().begin_read(&scope).await.unwrap();
    let sql = "SELECT id, kind, payload, times FROM receipts WHERE tenant_id = $1";
    let rows = tx.fetch_all(sql, params![scope.tenant()]).await.unwrap();
    tx.commit().await.unwrap();
    let mut events: HashMap<String, (String, i64)> = HashMap::new();
    let mut thresholds = 0;
    for row in &rows {
        let (id, kind, payload): (String, String, String) =
            (row.get("id").unwrap(), row.get("kind").unwrap(), row.get("payload").unwrap());
        match kind.as_str() {
            "event" => drop(events.insert(id, (payload, row.get("times").unwrap()))),
            "quota.threshold_reached" => thresholds += 1,
            other => panic!("an event that nobody told: `{other}`"),
        }
    }
    let (mut spending, mut expected_thresholds, mut repeated) = (0, 0, 0);
    for number in 0..TENANTS {
        let scope = tenant(&format!("t{number}"));
        let entries: Vec<Entry> = quotas.entries(&scope, "tokens", 0, 10_000).await.unwrap();
        let mut sum = 0;
        for entry in &entries {
            let feature = FeatureName::new("tokens").unwrap();
            let Some(event) = BillingEvent::of(scope.tenant(), &feature, entry) else { continue };
            spending += 1;
            sum += entry.amount();
            let (payload, times) = events.remove(&event.id.to_string()).expect("an entry was never billed");
            assert_eq!(payload, event.to_cloud_event("guardian").to_string());
            repeated += times - 1;
        }
        assert!(sum <= 400, "t{number} spent {sum}");
        expected_thresholds += [100, 200, 300, 400].into_iter().filter(|threshold| sum >= *threshold).count();
    }
    assert!(events.is_empty(), "what nobody spent was billed: {events:?}");
    assert_eq!(thresholds, expected_thresholds, "thresholds that were told");
    println!("{kind:?}: {spending} events, {repeated} came again, {thresholds} thresholds");
    assert!(spending > 50, "{spending}");
    // Only a batch whose answer was lost comes again.
    assert!(repeated <= i64::from(kill + 2) * i64::from(BATCH), "{repeated} came again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_killed_on_sqlite_lose_and_double_nothing() {
    survive(Kind::SqliteFile, 15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_killed_on_postgres_lose_and_double_nothing() {
    survive(Kind::Postgres, 15).await;
}
