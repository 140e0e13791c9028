//! A request through the full stack of layers beside the bare handler of axum, both as a router of axum answers them.
//!
//! The stack is everything at once: an id, a limit for the address, a bearer token, the tenant's state, ten rules about addresses,
//! three limits of the tenant in one decision, a permission, a quota, and an event for the audit log; all stores in memory. The request is a
//! small POST with five headers, the response has seven bytes.
//!
//! - `instructions`: what `valgrind` counts for a request, `stack count WAY REQUESTS` in a process of its own, so that what a
//!   process does before and after falls out; `full` has its event in the queue, `appended` has it in the log;
//! - `processor_time`: what a request takes of one thread, in turns;
//! - `latency`: on a connection of the loopback address, from the request's first byte to the response's last, while both servers have the
//!   same 2,000 requests a second in turns;
//! - `durable_sqlite`: requests a second of 128 connections, each of which is answered when the audit log on SQLite has its event.
#![expect(
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot run says so and ends, and reads the clock"
)]

#[path = "stack/load.rs"]
mod load;
#[path = "stack/world.rs"]
mod world;

use std::process::Command;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use guardian_audit::store::MemoryStore;
use guardian_audit::{AuditQueue, Overflow};
use http::{Request, StatusCode};
use tower::ServiceExt as _;

use world::{bare, full, queue, request};

const TURNS: usize = 101;
const IN_A_TURN: usize = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).filter(|one| *one != "--bench").collect();
    match arguments.as_slice() {
        ["count", way, requests] => return count(way, requests.parse().expect("a number")),
        ["--test"] => return,
        _ => {}
    }
    println!("bar stack/latency vs bare 1.15");
    let wanted = |part: &str| arguments.is_empty() || arguments.contains(&part);
    if wanted("instructions") {
        instructions();
    }
    if wanted("processor_time") {
        processor_time();
    }
    if wanted("latency") {
        load::latency();
    }
    if wanted("durable_sqlite") {
        load::durable_sqlite();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// As a server asks a router: with a clone of it for each request.
async fn ask(router: &Router, request: Request<Body>) {
    let response = router.clone().oneshot(request).await.expect("a router does not fail");
    assert_eq!(response.status(), StatusCode::CREATED);
}

/// How many events wait at most before they are appended.
const WAITING: usize = 500;

fn count(way: &str, requests: usize) {
    runtime().block_on(async {
        let queue = queue(MemoryStore::new(), Overflow::Fail);
        let router = if way == "bare" { bare() } else { full(&queue, None, way).await };
        for number in 0..requests {
            ask(&router, request(number)).await;
            if way == "appended" && number % WAITING == WAITING - 1 {
                queue.drain().await.expect("a log in memory");
            }
        }
        // What is left in it another thread would take out.
        std::mem::forget(queue);
    });
}

fn instructions() {
    let each = |way: &str| {
        let (few, many) = (counted(way, 500), counted(way, 3_000));
        let each = (many - few) as f64 / 2_500.0;
        println!("measure stack/instructions {way} {each:.0} instructions/request");
        each
    };
    let bare = each("bare");
    for without in ["no_audit", "no_quota", "no_permission", "no_limits", "no_addresses", "no_tenant"] {
        each(without);
    }
    let (full, appended) = (each("full"), each("appended"));
    println!("measure stack/instructions guardian_own {:.0} instructions/request", full - bare);
    println!("measure stack/instructions guardian_own_bar 25000 instructions/request");
    println!(
        "measure stack/instructions guardian_own_with_append {:.0} instructions/request",
        appended - bare
    );
}

/// How many instructions this program executes for so many requests.
fn counted(way: &str, requests: usize) -> u64 {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["count", way, &requests.to_string()]);
    let output = command.output().expect("`valgrind`, which counts the instructions");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "valgrind failed: {report}");
    let count = report.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    count.expect("a count of valgrind's")
}

/// What this thread was on a processor for, in nanoseconds.
fn on_processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("what Linux tells of threads");
    stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).expect("nanoseconds")
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn processor_time() {
    runtime().block_on(async {
        let queue: Arc<AuditQueue<MemoryStore>> = queue(MemoryStore::new(), Overflow::Fail);
        let (bare, full) = (bare(), full(&queue, None, "full").await);
        let (mut of_bare, mut of_own, mut of_append) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..TURNS {
            let (mut bare_took, mut full_took) = (0.0, 0.0);
            for place in 0..2 {
                let is_full = (turn + place) % 2 == 0;
                let requests: Vec<_> = (0..IN_A_TURN).map(request).collect();
                let before = on_processor();
                for request in requests {
                    ask(if is_full { &full } else { &bare }, request).await;
                }
                let took = (on_processor() - before) / IN_A_TURN as f64;
                *(if is_full { &mut full_took } else { &mut bare_took }) = took;
            }
            let before = on_processor();
            while queue.drain().await.expect("a log in memory") > 0 {}
            of_append.push((on_processor() - before) / IN_A_TURN as f64);
            of_bare.push(bare_took);
            of_own.push(full_took - bare_took);
        }
        println!("measure stack/processor_time bare {:.0} ns/request", median(&mut of_bare));
        println!("measure stack/processor_time guardian_own {:.0} ns/request", median(&mut of_own));
        println!("measure stack/processor_time guardian_own_bar 5000 ns/request");
        println!(
            "measure stack/processor_time appending_in_another_thread {:.0} ns/request",
            median(&mut of_append)
        );
    });
}
