//! Real kills: worker processes end with SIGKILL at points by chance, and others take over. A child is this test program again, told
//! what to do by the environment.

use std::collections::{HashMap, HashSet};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use guardian_core::{PageRequest, Scope, SystemClock, SystemIds, TenantId};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, DatabaseConfig};
use guardian_webhook::sink::{Behaviour, Sink};
use guardian_webhook::store::{MIGRATIONS, SqlStore};
use guardian_webhook::{
    AeadVault, Config, DeliveryFilter, DeliveryState, EgressPolicy, EndpointSettings, HealthRules,
    HttpConfig, KeyChoice, Publish, ReqwestSender, RetrySchedule, TokioTimer, Webhooks, Worker, WorkerConfig,
};
use serde_json::json;

const DATABASE: &str = "GUARDIAN_WEBHOOK_TEST_CHILD";
const PORT: &str = "GUARDIAN_WEBHOOK_TEST_PORT";
const CHILD: &str = "kill::child";

/// Attempts that a worker has under way, at most: what may come again for each kill.
const IN_FLIGHT: u32 = 8;

fn scope() -> Scope {
    Scope::system(TenantId::new("acme").unwrap())
}

fn webhooks(db: Database, port: u16) -> Webhooks<SqlStore> {
    let store = SqlStore::new(db, &scope()).unwrap();
    let config = Config::default().with_egress(EgressPolicy::default().allow_target("127.0.0.1", port));
    Webhooks::new(store, AeadVault::new([7; 32]), SystemClock::new(), SystemIds::new(), config)
}

/// Does nothing in the run of the tests.
#[tokio::test]
async fn child() {
    let (Some(url), Some(port)) = (std::env::var_os(DATABASE), std::env::var_os(PORT)) else {
        return;
    };
    let port = port.to_string_lossy().parse().unwrap();
    let config = DatabaseConfig::default().with_max_connections(2).with_busy_timeout(Duration::from_secs(60));
    let db = Database::open_with(&url.to_string_lossy(), config).await.unwrap();
    let policy = EgressPolicy::default().allow_target("127.0.0.1", port);
    let sender = ReqwestSender::new(HttpConfig::default().with_policy(policy)).unwrap();
    let schedule = RetrySchedule::new([Duration::from_millis(0); 40], 0).unwrap();
    let config = WorkerConfig::default()
        .with_concurrency(IN_FLIGHT)
        .with_batch(IN_FLIGHT)
        .with_lease(Duration::from_millis(1500))
        .with_poll(Duration::from_millis(5))
        .with_schedule(schedule)
        .with_rules(HealthRules::default().with_failures(100_000).unwrap());
    let worker = Worker::new(&webhooks(db, port), sender, config);
    loop {
        // A conflict with the other worker is no reason to stop.
        let _ = worker.run(&TokioTimer::new(), std::future::pending()).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn spawn(fresh: &Fresh, port: u16) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture"])
        .env(DATABASE, fresh.url())
        .env(PORT, port.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn survive(kind: Kind, messages: usize, kills: u32) {
    let sink = Sink::start(100_000).await.unwrap();
    let port = sink.address().port();
    let fresh = kind.open(&[&MIGRATIONS]).await.unwrap();
    let service = webhooks(fresh.database().clone(), port);
    for at in 0..5 {
        let settings =
            EndpointSettings::new(sink.url(&format!("/{at}"))).with_ordering(at == 0).with_concurrency(4);
        service.create_endpoint(&scope(), settings, KeyChoice::NewSecret).await.unwrap();
    }
    // One attempt in seven fails.
    sink.behave(|request| Behaviour::status(if request.number % 7 == 0 { 500 } else { 200 }));
    let mut children = vec![spawn(&fresh, port), spawn(&fresh, port)];
    let mut published = 0;
    for kill in 0..kills {
        // Messages come while workers die.
        let until = messages * (kill as usize + 1) / kills as usize;
        let batch = (published..until).map(|at| {
            Publish::json("deal.won", &json!({"at": at})).unwrap().with_ordering_key(format!("{}", at % 3))
        });
        service.publish_all(&scope(), batch).await.unwrap();
        published = until;
        tokio::time::sleep(Duration::from_millis(30 + u64::from(kill * 37 % 101))).await;
        let mut killed = children.remove(0);
        killed.kill().unwrap();
        killed.wait().unwrap();
        children.push(spawn(&fresh, port));
    }
    let finishing = async {
        let open = async |state| {
            let page = PageRequest::first(1).unwrap();
            !service
                .deliveries(&scope(), &DeliveryFilter::new().state(state), &page)
                .await
                .unwrap()
                .items
                .is_empty()
        };
        while open(DeliveryState::Queued).await
            || open(DeliveryState::Sending).await
            || open(DeliveryState::Waiting).await
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let finished = tokio::time::timeout(Duration::from_secs(240), finishing).await;
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    finished.expect("deliveries were lost");

    let (mut all, mut request) = (Vec::new(), Some(PageRequest::first(1000).unwrap()));
    while let Some(page) = request {
        let part = service.deliveries(&scope(), &DeliveryFilter::new(), &page).await.unwrap();
        all.extend(part.items);
        request = part.next.map(|next| PageRequest::first(1000).unwrap().after(next));
    }
    assert_eq!(all.len(), messages * 5, "{kind:?}: deliveries are missing");
    let mut recorded = 0;
    for delivery in &all {
        assert_eq!(delivery.state, DeliveryState::Succeeded, "{kind:?}: {delivery:?}");
        let (_, attempts) = service.delivery(&scope(), delivery.id).await.unwrap();
        let numbers: Vec<u32> = attempts.iter().map(|each| each.number).collect();
        assert_eq!(
            numbers,
            (1..=delivery.attempts).collect::<Vec<_>>(),
            "{kind:?}: recorded twice or not at all"
        );
        recorded += attempts.len();
    }
    let received = sink.received();
    let arrived: HashSet<(String, String)> = received
        .iter()
        .map(|each| (each.path.clone(), each.header("webhook-id").unwrap().to_owned()))
        .collect();
    assert_eq!(arrived.len(), messages * 5, "{kind:?}: messages never arrived");
    let repeats = received.len() - recorded;
    let bound = kills as usize * IN_FLIGHT as usize;
    assert!(repeats <= bound, "{kind:?}: {repeats} repeats, more than the {bound} that were in flight");
    // The ordered endpoint: the first arrival of each message is in order within its lane.
    let (mut seen, mut last) = (HashSet::new(), HashMap::new());
    for each in received.iter().filter(|each| each.path == "/0") {
        let at = serde_json::from_slice::<serde_json::Value>(&each.body).unwrap()["at"].as_u64().unwrap();
        if seen.insert(at) {
            let before = last.insert(at % 3, at);
            assert!(before.is_none_or(|before| before < at), "{kind:?}: {at} came behind {before:?}");
        }
    }
    println!(
        "{kind:?}: {kills} kills, {} deliveries, {recorded} attempts recorded, {repeats} repeats",
        all.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_killed_on_sqlite_lose_and_double_nothing() {
    survive(Kind::SqliteFile, 120, 25).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_killed_a_hundred_times_on_postgres_lose_and_double_nothing() {
    survive(Kind::Postgres, 400, 100).await;
}
