//! The cost of guardian-sql's parameters, rows and checks beside sqlx used directly: the same statement on SQLite in
//! memory, with the same settings, within one open transaction on both sides.
//!
//! - The peer is sqlx as its documentation shows it: `query(…).bind(…)`, `fetch_one`, `fetch_all`, `execute`. It stops
//!   after the first row of `fetch_one`; ours reads to the end, which is part of what it costs.
//! - Both read the same columns of every row into the same types, and the sums prove it.
//! - A statement is two threads that wake each other, so a busy machine moves the medians; the processor time that both
//!   spend is reported besides.
//! - Both take turns of some milliseconds, so a slow moment of the machine strikes them alike.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run says so and ends"
)]

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use guardian_core::{Clock, Scope, SystemClock, TenantId};
use guardian_sql::{Database, TenantTx, params};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{ConnectOptions, Executor, Row};
use tokio::runtime::Runtime;

const TABLE: &str = "CREATE TABLE notes (tenant_id TEXT NOT NULL, id INTEGER NOT NULL, body TEXT NOT NULL, \
                     score REAL NOT NULL, PRIMARY KEY (tenant_id, id)) STRICT";
const INSERT: &str = "INSERT INTO notes (tenant_id, id, body, score) VALUES ($1, $2, $3, $4)";
const POINT: &str = "SELECT id, body, score FROM notes WHERE tenant_id = $1 AND id = $2";
const PAGE: &str =
    "SELECT id, body, score FROM notes WHERE tenant_id = $1 AND id >= $2 ORDER BY id LIMIT 100";
const ROWS: i64 = 10_000;
const BODY: &str = "Called about the renewal; wants the new price list by Friday.";

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .without_plots()
        .configure_from_args();
    bars();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (_db, mut ours) = runtime.block_on(ours());
    let mut peer = runtime.block_on(peer());
    case(
        &mut criterion,
        &runtime,
        "point_select",
        300,
        [
            &mut |runtime, turn| {
                runtime.block_on(point_ours(&mut ours, turn));
            },
            &mut |runtime, turn| {
                runtime.block_on(point_peer(&mut peer, turn));
            },
        ],
    );
    case(
        &mut criterion,
        &runtime,
        "page_of_100",
        30,
        [
            &mut |runtime, turn| {
                runtime.block_on(page_ours(&mut ours, turn));
            },
            &mut |runtime, turn| {
                runtime.block_on(page_peer(&mut peer, turn));
            },
        ],
    );
    let (mut next_ours, mut next_peer) = (ROWS, ROWS);
    case(
        &mut criterion,
        &runtime,
        "insert",
        300,
        [
            &mut |runtime, turn| {
                runtime.block_on(insert_ours(&mut ours, &mut next_ours, turn));
            },
            &mut |runtime, turn| {
                runtime.block_on(insert_peer(&mut peer, &mut next_peer, turn));
            },
        ],
    );
    criterion.final_summary();
}

#[expect(clippy::print_stdout, reason = "bars are reported on standard output")]
fn bars() {
    for case in ["point_select", "page_of_100", "insert"] {
        println!("bar sql/{case} vs sqlx 1.10");
    }
}

async fn ours() -> (Database, TenantTx) {
    let db = Database::open("sqlite::memory:").await.expect("a database");
    let scope = Scope::system(TenantId::new("acme").expect("an id"));
    let mut tx = db.begin(&scope).await.expect("a transaction");
    tx.execute(TABLE, &[]).await.expect("a table");
    for id in 0..ROWS {
        tx.execute(INSERT, params!["acme", id, BODY, 0.5]).await.expect("a row");
    }
    (db, tx)
}

async fn peer() -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(":memory:")
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging();
    let mut conn = options.connect().await.expect("a connection");
    for sql in ["BEGIN IMMEDIATE", TABLE] {
        conn.execute(sql).await.expect("a table");
    }
    for id in 0..ROWS {
        sqlx::query(INSERT)
            .bind("acme")
            .bind(id)
            .bind(BODY)
            .bind(0.5)
            .execute(&mut conn)
            .await
            .expect("a row");
    }
    conn
}

async fn point_ours(tx: &mut TenantTx, count: u64) {
    for id in ids(count) {
        let row = tx.fetch_one(POINT, params!["acme", id]).await.expect("a row");
        let found: (i64, &str, f64) =
            (row.get(0).expect("id"), row.get(1).expect("body"), row.get(2).expect("score"));
        assert_eq!(black_box(found), (id, BODY, 0.5));
    }
}

async fn point_peer(conn: &mut SqliteConnection, count: u64) {
    for id in ids(count) {
        let row = sqlx::query(POINT).bind("acme").bind(id).fetch_one(&mut *conn).await.expect("a row");
        let found: (i64, &str, f64) = (row.get(0), row.get(1), row.get(2));
        assert_eq!(black_box(found), (id, BODY, 0.5));
    }
}

async fn page_ours(tx: &mut TenantTx, count: u64) {
    for id in ids(count) {
        let rows = tx.fetch_all(PAGE, params!["acme", id]).await.expect("rows");
        let mut sum = (0, 0, 0.0);
        for row in &rows {
            sum.0 += row.get::<i64>(0).expect("id") - id;
            sum.1 += row.get::<&str>(1).expect("body").len();
            sum.2 += row.get::<f64>(2).expect("score");
        }
        assert_eq!(black_box(sum), (4950, 100 * BODY.len(), 50.0));
    }
}

async fn page_peer(conn: &mut SqliteConnection, count: u64) {
    for id in ids(count) {
        let rows = sqlx::query(PAGE).bind("acme").bind(id).fetch_all(&mut *conn).await.expect("rows");
        let mut sum = (0, 0, 0.0);
        for row in &rows {
            sum.0 += row.get::<i64, _>(0) - id;
            sum.1 += row.get::<&str, _>(1).len();
            sum.2 += row.get::<f64, _>(2);
        }
        assert_eq!(black_box(sum), (4950, 100 * BODY.len(), 50.0));
    }
}

async fn insert_ours(tx: &mut TenantTx, next: &mut i64, count: u64) {
    for _ in 0..count {
        tx.execute(INSERT, params!["acme", *next, BODY, 0.5]).await.expect("a row");
        *next += 1;
    }
}

async fn insert_peer(conn: &mut SqliteConnection, next: &mut i64, count: u64) {
    for _ in 0..count {
        sqlx::query(INSERT)
            .bind("acme")
            .bind(*next)
            .bind(BODY)
            .bind(0.5)
            .execute(&mut *conn)
            .await
            .expect("a row");
        *next += 1;
    }
}

/// Ids spread over the first part of the table, the same for both.
fn ids(count: u64) -> impl Iterator<Item = i64> {
    (0..i64::try_from(count).unwrap_or(0)).map(|turn| turn * 7919 % (ROWS - 100))
}

type Turn<'t> = &'t mut dyn FnMut(&Runtime, u64);

/// Whenever one is to be measured both take a turn; the other's time waits until criterion comes to it.
fn case(criterion: &mut Criterion, runtime: &Runtime, name: &str, turn: u64, mut contestants: [Turn<'_>; 2]) {
    let clock = SystemClock::new();
    let mut waiting = [VecDeque::new(), VecDeque::new()];
    let mut group = criterion.benchmark_group(name);
    for (own, function) in ["guardian", "vs/sqlx"].into_iter().enumerate() {
        group.bench_function(function, |bencher| {
            bencher.iter_custom(|iterations| {
                let turns = iterations.div_ceil(turn);
                let mut total = Duration::ZERO;
                for _ in 0..turns {
                    while waiting[own].is_empty() {
                        for (contestant, times) in contestants.iter_mut().zip(&mut waiting) {
                            let start = clock.monotonic();
                            contestant(runtime, turn);
                            times.push_back(clock.monotonic().since(start));
                        }
                    }
                    total += waiting[own].pop_front().unwrap_or_default();
                }
                // Whole turns, scaled to what was asked for.
                total.mul_f64(precise(iterations) / precise(turns * turn))
            });
        });
    }
    group.finish();
    // Criterion passes `--test` on `cargo test --benches`, where nothing is measured.
    if !std::env::args().any(|argument| argument == "--test") {
        work(runtime, name, turn, &mut contestants);
    }
}

/// The processor time of both threads, caller's and SQLite's, and the fastest turns. A busy machine moves the medians
/// above, where two threads wake each other for each statement, far more than it moves these.
#[expect(clippy::print_stdout, reason = "values are reported on standard output")]
fn work(runtime: &Runtime, name: &str, turn: u64, contestants: &mut [Turn<'_>; 2]) {
    const ROUNDS: u32 = 200;
    let clock = SystemClock::new();
    let (mut spent, mut fastest) = ([0, 0], [Duration::MAX, Duration::MAX]);
    for round in 0..ROUNDS {
        for step in 0..2 {
            let own = usize::from((round + step) % 2 == 1);
            let (before, start) = (processor_time(), clock.monotonic());
            contestants[own](runtime, turn);
            fastest[own] = fastest[own].min(clock.monotonic().since(start));
            spent[own] += processor_time().saturating_sub(before);
        }
    }
    println!("measure sql/{name} processor_time_vs_sqlx {:.3} ratio", precise(spent[0]) / precise(spent[1]));
    let least = fastest[0].as_secs_f64() / fastest[1].as_secs_f64();
    println!("measure sql/{name} fastest_turn_vs_sqlx {least:.3} ratio");
}

/// Nanoseconds that all threads of this process ran.
fn processor_time() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let times = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
    times.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum()
}

#[expect(clippy::cast_precision_loss, reason = "iterations are few")]
fn precise(count: u64) -> f64 {
    count as f64
}
