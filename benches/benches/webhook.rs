//! Webhooks delivered to a receiver on the loopback address, in memory and on PostgreSQL, over the real sender:
//!
//! - `durable`: deliveries a second, beside a naive loop that takes, sends and records one row a transaction (on the same server, with
//!   the same sender and receiver), in turns; the rate of eight such loops side by side is told as well;
//! - `latency`: from publishing to the first byte at the receiver, at 500 messages a second;
//! - `black_holes`: the same for endpoints that are well, while 5 of 100 never answer, beside a run in which all are well;
//! - `log`: a page of the log of 100,000 endpoints and 1,000,000 deliveries, on SQLite and PostgreSQL (`LOG_DELIVERIES` for fewer).

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot run says so and ends, and reads the clock"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use guardian_core::{Clock as _, IdSource as _, PageRequest, Scope, SystemClock, SystemIds, TenantId};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{
    Database, DatabaseConfig, Insert, Migration, Migrations, Param, ToParam as _, Unscoped, params,
};
use guardian_webhook::sink::{Behaviour, Sink};
use guardian_webhook::store::{MIGRATIONS, MemoryStore, SqlStore};
use guardian_webhook::{
    AeadVault, Config, DeliveryFilter, DeliveryState, DeliveryStore, EgressPolicy, EndpointId,
    EndpointSettings, HttpConfig, HttpSender, KeyChoice, Publish, Request, ReqwestSender, TokioTimer,
    Webhooks, Worker, WorkerConfig,
};
use serde_json::json;

const ENDPOINTS: usize = 100;

fn main() {
    println!("bar webhook/durable_postgres vs naive 0.25");
    println!("bar webhook/black_holes_memory vs all_well 1.2");
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    };
    let (service, receiver) = (runtime(), runtime());
    let wanted =
        |part: &str| std::env::args().nth(1).is_none_or(|only| only.starts_with('-') || only == part);
    if wanted("durable") {
        service.block_on(durable(&receiver));
    }
    if wanted("latency") {
        service.block_on(latencies(&receiver));
    }
    if wanted("log") {
        service.block_on(log());
    }
}

fn scope() -> Scope {
    Scope::system(TenantId::new("acme").expect("an id"))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .get(((values.len() as f64 * part) as usize).min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0)
}

/// A receiver that notes when each message came first, by its path and body.
async fn receiver(runtime: &tokio::runtime::Runtime) -> (Arc<Sink>, Arc<Mutex<HashMap<String, Instant>>>) {
    let sink = Arc::new(runtime.spawn(Sink::start(1)).await.expect("a task").expect("a sink"));
    let seen: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let noted = Arc::clone(&seen);
    sink.behave(move |request| {
        if request.path.starts_with("/hole") {
            return Behaviour::BlackHole;
        }
        let key = format!("{}{}", request.path, String::from_utf8_lossy(&request.body));
        noted.lock().expect("a lock").entry(key).or_insert_with(Instant::now);
        Behaviour::status(204)
    });
    (sink, seen)
}

fn policy(sink: &Sink) -> EgressPolicy {
    EgressPolicy::default().allow_target("127.0.0.1", sink.address().port())
}

fn sender(sink: &Sink) -> ReqwestSender {
    let config = HttpConfig::default().with_policy(policy(sink)).with_idle_connections(300);
    ReqwestSender::new(config).expect("a sender")
}

fn webhooks<S: DeliveryStore>(store: S, sink: &Sink) -> Webhooks<S> {
    let config = Config::default().with_egress(policy(sink)).with_max_endpoints(1_000_000);
    Webhooks::new(store, AeadVault::new([7; 32]), SystemClock::new(), SystemIds::new(), config)
}

async fn endpoints<S: DeliveryStore>(webhooks: &Webhooks<S>, sink: &Sink, holes: usize) {
    for at in 0..ENDPOINTS {
        let path = if at < holes { format!("/hole{at}") } else { format!("/{at}") };
        let settings =
            EndpointSettings::new(sink.url(&path)).with_types([&*format!("type{at}")]).expect("a type");
        webhooks
            .create_endpoint(&scope(), settings.with_concurrency(32), KeyChoice::NewSecret)
            .await
            .expect("an endpoint");
    }
}

fn publish(at: usize) -> Publish {
    Publish::json(&format!("type{}", at % ENDPOINTS), &json!({"n": at})).expect("a message")
}

/// Publishes so many messages and delivers them; deliveries a second, from the first claim to the last record.
async fn deliver<S: DeliveryStore>(webhooks: &Webhooks<S>, sink: &Sink, count: usize) -> f64 {
    for some in (0..count).collect::<Vec<_>>().chunks(500) {
        webhooks.publish_all(&scope(), some.iter().map(|at| publish(*at))).await.expect("published");
    }
    let worker = Worker::new(webhooks, sender(sink), WorkerConfig::default());
    let begun = Instant::now();
    let mut done = 0;
    while done < count as u64 {
        done += worker.run_once().await.expect("a run").succeeded;
    }
    count as f64 / begun.elapsed().as_secs_f64()
}

const NAIVE: Migrations = Migrations::new(
    "naive",
    &[Migration::same(
        1,
        "jobs",
        "CREATE TABLE naive_jobs (tenant_id TEXT NOT NULL, id BIGINT NOT NULL, url TEXT NOT NULL, body TEXT NOT NULL, done BIGINT NOT NULL, \
         PRIMARY KEY (tenant_id, id)); \
         CREATE TABLE naive_attempts (tenant_id TEXT NOT NULL, id BIGINT NOT NULL, number BIGINT NOT NULL, status BIGINT NOT NULL, \
         PRIMARY KEY (tenant_id, id, number)); \
         CREATE INDEX naive_open ON naive_jobs (done, id)",
    )],
);

/// What one writes first: take a row with `SKIP LOCKED`, send, record, commit; so many of them side by side.
async fn naive(db: &Database, sink: &Sink, count: usize, from: usize, loops: usize) -> f64 {
    const JOBS: Insert<5> = Insert::into("naive_jobs", ["tenant_id", "id", "url", "body", "done"]);
    let scope = scope();
    let mut tx = db.begin(&scope).await.expect("begun");
    let urls: Vec<(i64, String)> =
        (from..from + count).map(|at| (at as i64, sink.url(&format!("/{}", at % ENDPOINTS)))).collect();
    let rows: Vec<_> = urls
        .iter()
        .map(|(at, url)| {
            [
                scope.tenant().to_param(),
                Param::Integer(*at),
                url.to_param(),
                Param::Text("{\"n\":1}".into()),
                Param::Integer(0),
            ]
        })
        .collect();
    tx.insert_many(&JOBS, rows).await.expect("inserted");
    tx.commit().await.expect("committed");
    let sender = Arc::new(sender(sink));
    let begun = Instant::now();
    let loops: Vec<_> = (0..loops)
        .map(|_| {
            let (db, sender, scope) = (db.clone(), Arc::clone(&sender), scope.clone());
            tokio::spawn(async move {
                loop {
                    let mut tx = db.begin(&scope).await.expect("begun");
                    let sql = "SELECT id, url, body FROM naive_jobs WHERE tenant_id = $1 AND done = 0 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED";
                    let Some(row) = tx.fetch_optional(sql, params![scope.tenant()]).await.expect("a row") else { return };
                    let (id, url, body): (i64, String, String) =
                        (row.get("id").expect("id"), row.get("url").expect("url"), row.get("body").expect("body"));
                    let answer = sender.send(Request::new(url, Vec::new(), body.into_bytes().into())).await.expect("an answer");
                    let sql = "INSERT INTO naive_attempts (tenant_id, id, number, status) VALUES ($1, $2, 1, $3)";
                    tx.execute(sql, params![scope.tenant(), id, i64::from(answer.status)]).await.expect("recorded");
                    let sql = "UPDATE naive_jobs SET done = 1 WHERE tenant_id = $1 AND id = $2";
                    tx.execute(sql, params![scope.tenant(), id]).await.expect("changed");
                    tx.commit().await.expect("committed");
                }
            })
        })
        .collect();
    for each in loops {
        each.await.expect("a loop");
    }
    count as f64 / begun.elapsed().as_secs_f64()
}

async fn open(kind: Kind, connections: u32) -> Fresh {
    let config = DatabaseConfig::default().with_max_connections(connections);
    kind.open_with(&[&MIGRATIONS, &NAIVE], config).await.expect("a database")
}

fn sql(fresh: &Fresh) -> SqlStore {
    SqlStore::new(fresh.database().clone(), &scope()).expect("a store")
}

async fn durable(runtime: &tokio::runtime::Runtime) {
    let (sink, _) = receiver(runtime).await;
    let mut rates = Vec::new();
    for _ in 0..3 {
        let webhooks = webhooks(Arc::new(MemoryStore::new()), &sink);
        endpoints(&webhooks, &sink, 0).await;
        rates.push(deliver(&webhooks, &sink, 20_000).await);
    }
    println!("measure webhook/durable_memory per_second {:.0} 1/s", median(&mut rates));
    let fresh = open(Kind::Postgres, 10).await;
    let webhooks = webhooks(sql(&fresh), &sink);
    endpoints(&webhooks, &sink, 0).await;
    let (mut ours, mut theirs, mut eight, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for turn in 0..5 {
        let one = deliver(&webhooks, &sink, 5_000).await;
        let other = naive(fresh.database(), &sink, 500, turn * 1500, 1).await;
        ratios.push(other / one);
        ours.push(one);
        theirs.push(other);
        eight.push(naive(fresh.database(), &sink, 1000, turn * 1500 + 500, 8).await);
    }
    println!("measure webhook/durable_postgres per_second {:.0} 1/s", median(&mut ours));
    println!("measure webhook/durable_postgres naive_per_second {:.0} 1/s", median(&mut theirs));
    println!("measure webhook/durable_postgres eight_naive_per_second {:.0} 1/s", median(&mut eight));
    println!("measure webhook/durable_postgres median_of_turns {:.3} ratio", median(&mut ratios));
}

/// From publishing to the first byte, in milliseconds, at 500 messages a second for so many seconds.
async fn latency<S: DeliveryStore>(
    webhooks: Webhooks<S>,
    sink: &Sink,
    seen: &Mutex<HashMap<String, Instant>>,
    holes: usize,
    seconds: usize,
) -> Vec<f64> {
    endpoints(&webhooks, sink, holes).await;
    let worker = Arc::new(Worker::new(&webhooks, sender(sink), WorkerConfig::default()));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn({
        let worker = Arc::clone(&worker);
        async move {
            let stop = async {
                let _ = stopped.await;
            };
            worker.run(&TokioTimer::new(), Box::pin(stop)).await.expect("a run");
        }
    });
    seen.lock().expect("a lock").clear();
    let mut published = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for tick in 0..seconds * 50 {
        ticks.tick().await;
        // Ten messages in one transaction: one by one, the disk alone would not take 500 a second.
        let ten = tick * 10..tick * 10 + 10;
        let begun = Instant::now();
        published.extend(ten.clone().map(|at| (at, begun)));
        webhooks.publish_all(&scope(), ten.map(publish)).await.expect("published");
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let _ = stop.send(());
    // Attempts at black holes may still be under way.
    running.abort();
    let seen = seen.lock().expect("a lock");
    published
        .iter()
        .skip(500)
        .filter(|(at, _)| at % ENDPOINTS >= holes)
        .map(|(at, begun)| {
            let key = format!("/{}{}", at % ENDPOINTS, json!({"n": at}));
            let arrived = seen.get(&key).copied().expect("a message did not arrive in time");
            arrived.saturating_duration_since(*begun).as_secs_f64() * 1000.0
        })
        .collect()
}

async fn latencies(runtime: &tokio::runtime::Runtime) {
    let (sink, seen) = receiver(runtime).await;
    let memory = || webhooks(Arc::new(MemoryStore::new()), &sink);
    let (mut well, mut ill, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        let one = percentile(&mut latency(memory(), &sink, &seen, 0, 8).await, 0.99);
        let other = percentile(&mut latency(memory(), &sink, &seen, 5, 8).await, 0.99);
        ratios.push(other / one);
        well.push(one);
        ill.push(other);
    }
    println!("measure webhook/latency_memory p99 {:.1} ms", median(&mut well));
    println!("measure webhook/black_holes_memory p99 {:.1} ms", median(&mut ill));
    println!("measure webhook/black_holes_memory median_of_turns {:.3} ratio", median(&mut ratios));
    let fresh = open(Kind::Postgres, 10).await;
    let mut times = latency(webhooks(sql(&fresh), &sink), &sink, &seen, 0, 8).await;
    println!("measure webhook/latency_postgres p99 {:.1} ms", percentile(&mut times, 0.99));
}

const LOG: Insert<14> = Insert::into(
    "guardian_webhook_deliveries",
    [
        "tenant_id",
        "id",
        "message_id",
        "endpoint_id",
        "event_type",
        "state",
        "attempts",
        "round_start",
        "created",
        "finished",
        "last_status",
        "fence",
        "reason",
        "lane",
    ],
);

async fn log() {
    let wanted: usize =
        std::env::var("LOG_DELIVERIES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    for kind in [Kind::SqliteFile, Kind::Postgres] {
        let fresh = open(kind, 4).await;
        let (scope, ids, clock) = (scope(), SystemIds::new(), SystemClock::new());
        let endpoints: Vec<EndpointId> =
            (0..100_000).map(|_| EndpointId::new(ids.next_id(clock.now()))).collect();
        let mut at = 0;
        while at < wanted {
            let mut tx = fresh.database().begin(&scope).await.expect("begun");
            let rows: Vec<_> = (at..(at + 20_000).min(wanted))
                .map(|at| {
                    let (id, now) = (ids.next_id(clock.now()), clock.now());
                    let state = if at % 50 == 0 { 4 } else { 3 };
                    let kind = if at % 1000 == 0 { "rare.type" } else { "deal.won" };
                    [
                        scope.tenant().to_param(),
                        Param::Uuid(id),
                        Param::Uuid(id),
                        Param::Uuid(endpoints[at * 7 % 100_000].number()),
                        Param::Text(kind.into()),
                        Param::Integer(state),
                        Param::Integer(1),
                        Param::Integer(0),
                        Param::Timestamp(now),
                        Param::Timestamp(now),
                        Param::Integer(if state == 3 { 200 } else { 500 }),
                        Param::Integer(1),
                        Param::Null(guardian_sql::Type::Text),
                        Param::Null(guardian_sql::Type::Text),
                    ]
                })
                .collect();
            tx.insert_many(&LOG, rows).await.expect("inserted");
            tx.commit().await.expect("committed");
            at += 20_000;
        }
        if matches!(kind, Kind::Postgres) {
            // As autovacuum does within a minute on a server that has time.
            let unscoped = Unscoped::new(scope.clone(), "statistics of the whole table").expect("a reason");
            let mut tx = fresh.owner().begin_unscoped(&unscoped).await.expect("begun");
            tx.execute("ANALYZE guardian_webhook_deliveries", &[]).await.expect("analysed");
            tx.commit().await.expect("committed");
        }
        let store = sql(&fresh);
        let filters = [
            ("all", DeliveryFilter::new()),
            ("endpoint", DeliveryFilter::new().endpoint(endpoints[70])),
            ("dead", DeliveryFilter::new().state(DeliveryState::Dead)),
            ("rare_type", DeliveryFilter::new().event_type("rare.type".parse().expect("a type"))),
            (
                "dead_rare",
                DeliveryFilter::new()
                    .state(DeliveryState::Dead)
                    .event_type("rare.type".parse().expect("a type")),
            ),
            ("dead_endpoint", DeliveryFilter::new().state(DeliveryState::Dead).endpoint(endpoints[350])),
        ];
        let mut worst = 0.0_f64;
        for (_, filter) in &filters {
            // The first page, and a page in the middle.
            let mut request = PageRequest::first(50).expect("a page");
            for _ in 0..20 {
                let begun = Instant::now();
                let page = store.deliveries(&scope, filter, &request).await.expect("a page");
                worst = worst.max(begun.elapsed().as_secs_f64() * 1000.0);
                let Some(next) = page.next else { break };
                request = PageRequest::first(50).expect("a page").after(next);
            }
        }
        let name = if matches!(kind, Kind::Postgres) { "postgres" } else { "sqlite" };
        println!("measure webhook/log_{name} deliveries {wanted} 1");
        println!("measure webhook/log_{name} slowest_page {worst:.1} ms");
    }
}
