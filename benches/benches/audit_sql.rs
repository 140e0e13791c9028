//! The audit log's SQL store over a million events of a CRM, on a file of SQLite and on PostgreSQL: writing, searching, counting,
//! exporting.
//!
//! The events and queries are those of the benchmark `audit`. Events are appended in batches of 1,000 of one tenant, eight to a call; a page of the 50
//! newest is searched for each of the six largest tenants and one of middle size. On PostgreSQL, the server at
//! `GUARDIAN_TEST_POSTGRES_URL`, the store works as a role that is bound by row-level security. The number of events is the argument, a
//! million without it; the name of a database, `sqlite` or `postgres`, leaves the other out.
#![expect(clippy::print_stdout, reason = "values are reported on standard output")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot go on ends, and a rate need not be exact"
)]

#[path = "audit/queries.rs"]
mod queries;

use std::time::Duration;

use guardian_audit::store::{AuditStore, Batch, Draft, SqlStore};
use guardian_audit::{AuditConfig, AuditLog, ExportFormat, Plan, Query, ReadAudit};
use guardian_benches::crm::{Crm, TENANTS};
use guardian_core::{Clock, Scope, SystemClock, Timestamp};
use guardian_sql::testkit::Kind;

const BATCH: usize = 1_000;
/// How many batches come together in a call, most of them of different tenants.
const BATCHES: usize = 8;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Criterion passes `--test` on `cargo test --benches`, where nothing is measured.
    let test = arguments.iter().any(|argument| argument == "--test");
    let events = arguments.iter().find_map(|argument| argument.parse().ok());
    let events = if test { 2_000 } else { events.unwrap_or(1_000_000) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (name, kind) in [("sqlite", Kind::SqliteFile), ("postgres", Kind::Postgres)] {
        let other = if name == "sqlite" { "postgres" } else { "sqlite" };
        if !test && arguments.iter().any(|argument| argument == other) {
            continue;
        }
        runtime.block_on(async {
            let fresh = kind.open(&[&SqlStore::MIGRATIONS]).await.expect("a database");
            let store = SqlStore::new(fresh.database());
            ingest(name, &store, events).await;
            search(name, &store).await;
            export(name, store).await;
        });
    }
}

fn scopes() -> Vec<Scope> {
    Crm::new(42).tenants().iter().map(|tenant| Scope::system(tenant.clone())).collect()
}

async fn ingest(name: &str, store: &SqlStore, events: usize) {
    let (mut crm, scopes) = (Crm::new(42), scopes());
    let mut waiting: Vec<Vec<Draft>> = (0..TENANTS).map(|_| Vec::new()).collect();
    let (mut full, mut last) = (Vec::new(), Timestamp::default());
    let (mut spent, mut longest) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..events {
        let made = crm.event();
        last = made.at;
        let drafts = &mut waiting[made.tenant];
        drafts.push(Draft::new(&made.event, &made.risk, &[], &[]).expect("a draft"));
        if drafts.len() == BATCH {
            full.push((made.tenant, std::mem::take(drafts)));
        }
        if full.len() == BATCHES {
            let took = append(store, &scopes, &mut full, last).await;
            (spent, longest) = (spent + took, longest.max(took));
        }
    }
    full.extend(waiting.into_iter().enumerate());
    spent += append(store, &scopes, &mut full, last).await;
    let rate = events as f64 / spent.as_secs_f64();
    println!("measure audit_sql/{name}_ingest {BATCHES}_batches_of_{BATCH} {rate:.0} events/s");
    println!("measure audit_sql/{name}_ingest longest_call {:.1} ms", longest.as_secs_f64() * 1e3);
}

async fn append(
    store: &SqlStore,
    scopes: &[Scope],
    full: &mut Vec<(usize, Vec<Draft>)>,
    at: Timestamp,
) -> Duration {
    let batches: Vec<_> = full.iter().map(|(tenant, drafts)| Batch::new(&scopes[*tenant], drafts)).collect();
    let clock = SystemClock::new();
    let start = clock.monotonic();
    store.append(&batches, at).await.expect("appended");
    let took = clock.monotonic().since(start);
    full.clear();
    took
}

async fn search(name: &str, store: &SqlStore) {
    let (clock, scopes) = (SystemClock::new(), scopes());
    let searched = queries::classes().into_iter().map(|class| ("search", class));
    let counted = queries::counted().into_iter().map(|class| ("count", class));
    for (what, (class, texts)) in searched.chain(counted) {
        let mut times = Vec::new();
        for text in &texts {
            let plan = Plan::compile(&text.parse::<Query>().expect("a query"), &|_, _| None);
            for scope in scopes.iter().take(6).chain(scopes.get(40)) {
                let start = clock.monotonic();
                match what {
                    "count" => drop(store.count(scope, &plan, None).await.expect("a count")),
                    _ => drop(store.search(scope, &plan, None, 50).await.expect("a page")),
                }
                times.push(clock.monotonic().since(start));
            }
        }
        times.sort_unstable();
        for (key, share) in [("p50", 50), ("p99", 99), ("max", 100)] {
            let at = (times.len() * share).div_ceil(100).saturating_sub(1);
            println!("measure audit_sql/{name}_{what}/{class} {key} {:.2} ms", times[at].as_secs_f64() * 1e3);
        }
    }
}

/// The last 100,000 events of the largest tenant, to nowhere.
async fn export(name: &str, store: SqlStore) {
    let (clock, scope) = (SystemClock::new(), &scopes()[0]);
    let log = AuditLog::new(store, AuditConfig::default().with_read_audit(ReadAudit::Exports));
    let size = log.head(scope).await.expect("a head").size;
    let query = format!("sequence:>={}", size.saturating_sub(100_000)).parse().expect("a query");
    let before = guardian_benches::resident::bytes().unwrap_or(0);
    let mut most = before;
    let start = clock.monotonic();
    let mut nowhere = std::io::sink();
    let exported = log.export(scope, &query, ExportFormat::Csv, &mut nowhere, |_| {
        most = most.max(guardian_benches::resident::bytes().unwrap_or(0));
    });
    let manifest = exported.await.expect("exported");
    let spent = clock.monotonic().since(start).as_secs_f64();
    println!("measure audit_sql/{name}_export_csv of_{} {spent:.2} s", manifest.count);
    println!("measure audit_sql/{name}_export_csv extra_memory {:.1} MB", (most - before) as f64 / 1e6);
}
