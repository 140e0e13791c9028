//! The audit log over a million events of a CRM: writing, searching, counting, exporting.
//!
//! Each number is of one run over the whole; medians and 99th percentiles are over many different queries of a class. The
//! number of events is the argument, a million without it.
#![expect(clippy::print_stdout, reason = "values are reported on standard output")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unreachable,
    reason = "a benchmark that cannot go on ends"
)]

#[path = "audit/queries.rs"]
mod queries;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use guardian_audit::merkle::{Frontier, Hash, leaf_hash};
use guardian_audit::store::{
    AuditStore, Batch, Count, Draft, Durability, Maintenance, SegmentConfig, SegmentStore,
};
use guardian_audit::{AuditConfig, AuditLog, ExportFormat, Plan, Query, ReadAudit, canonical};
use guardian_benches::crm::Crm;
use guardian_core::{Clock, Scope, SystemClock};

fn main() {
    // Criterion passes `--test` on `cargo test --benches`, where nothing is measured.
    let test = std::env::args().any(|argument| argument == "--test");
    let events = std::env::args().find_map(|argument| argument.parse().ok());
    let events = if test { 2_000 } else { events.unwrap_or(1_000_000) };
    let folder = std::env::temp_dir().join(format!("guardian-audit-bench-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let store = ingest(&folder.join("batched"), events, 1_000, Durability::Synced);
    settle(&store);
    size(&folder.join("batched"), events);
    search(&store);
    counts(&store);
    let store = export(store);
    verify(&store);
    drop(store);
    reopen(&folder.join("batched"));
    drop(ingest(&folder.join("single"), events.min(100_000), 20, Durability::Synced));
    together(&folder.join("together"), events.min(100_000));
    let _ = std::fs::remove_dir_all(&folder);
}

/// Four writers at once, each of which waits until the disk has its twenty events: they share the waits.
fn together(folder: &Path, events: usize) {
    const WRITERS: usize = 4;
    let clock = SystemClock::new();
    let store = SegmentStore::open(folder).expect("a store");
    let mut crm = Crm::new(42);
    let scopes: Vec<_> = crm.tenants().iter().map(|tenant| Scope::system(tenant.clone())).collect();
    let made: Vec<_> = (0..events).map(|_| crm.event()).collect();
    let (store, scopes) = (&store, &scopes);
    let start = clock.monotonic();
    std::thread::scope(|threads| {
        for part in made.chunks(events.div_ceil(WRITERS)) {
            threads.spawn(move || {
                for made in part.chunks(20) {
                    let at = made.last().expect("an event").at;
                    let mut batches: BTreeMap<usize, Vec<Draft>> = BTreeMap::new();
                    for one in made {
                        let draft = Draft::new(&one.event, &one.risk, &[], &[]).expect("a draft");
                        batches.entry(one.tenant).or_default().push(draft);
                    }
                    let batches: Vec<_> =
                        batches.iter().map(|(tenant, drafts)| Batch::new(&scopes[*tenant], drafts)).collect();
                    ready(store.append(&batches, at)).expect("appended");
                }
            });
        }
    });
    let rate = precise(events) / clock.monotonic().since(start).as_secs_f64();
    println!("measure audit/ingest_batches_of_20_by_{WRITERS} Synced {rate:.0} events/s");
}

/// The events of one call, by tenant.
struct Call {
    at: guardian_core::Timestamp,
    batches: BTreeMap<usize, Vec<Draft>>,
}

fn ingest(folder: &Path, events: usize, batch: usize, durability: Durability) -> SegmentStore {
    let clock = SystemClock::new();
    let config = SegmentConfig::default().with_durability(durability);
    let store = SegmentStore::open_with(folder, config).expect("a store");
    let mut crm = Crm::new(42);
    let scopes: Vec<_> = crm.tenants().iter().map(|tenant| Scope::system(tenant.clone())).collect();
    let (mut spent, mut busy, mut left) = (Duration::ZERO, Duration::ZERO, events);
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if store.maintain().expect("maintenance") == Maintenance::Idle {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        while left > 0 {
            let made: Vec<_> = (0..batch.min(left)).map(|_| crm.event()).collect();
            left -= made.len();
            // From here on it is what a host pays: encoding, terms, the chain, the index, the disk.
            let (start, ran) = (clock.monotonic(), processor_time());
            let mut call = Call { at: made.last().expect("an event").at, batches: BTreeMap::new() };
            for one in made {
                let draft = Draft::new(&one.event, &one.risk, &[], &[]).expect("a draft");
                call.batches.entry(one.tenant).or_default().push(draft);
            }
            let batches: Vec<_> =
                call.batches.iter().map(|(tenant, drafts)| Batch::new(&scopes[*tenant], drafts)).collect();
            ready(store.append(&batches, call.at)).expect("appended");
            spent += clock.monotonic().since(start);
            busy += processor_time().saturating_sub(ran);
        }
        done.store(true, Ordering::Relaxed);
    });
    // What the appending thread alone ran, whatever else the machine did.
    println!(
        "measure audit/ingest_batches_of_{batch} processor_time {:.2} µs/event",
        busy.as_secs_f64() * 1e6 / precise(events)
    );
    let rate = precise(events) / spent.as_secs_f64();
    println!("measure audit/ingest_batches_of_{batch} {durability:?} {rate:.0} events/s");
    store
}

fn settle(store: &SegmentStore) {
    let clock = SystemClock::new();
    let start = clock.monotonic();
    store.seal().expect("sealed");
    while store.maintain().expect("maintenance") != Maintenance::Idle {}
    println!("measure audit/maintenance after_ingest {:.2} s", clock.monotonic().since(start).as_secs_f64());
}

fn size(folder: &Path, events: usize) {
    let files = std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok);
    let bytes: u64 = files.filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum();
    println!("measure audit/size bytes_an_event {:.0} B", many(bytes) / precise(events));
}

/// A page of the newest 50, decoded.
fn search(store: &SegmentStore) {
    let clock = SystemClock::new();
    let crm = Crm::new(42);
    for (class, texts) in queries::classes() {
        let mut times = Vec::new();
        let mut found = 0;
        for round in 0..5 {
            for (index, text) in texts.iter().enumerate() {
                // The largest tenant in most rounds, others in between.
                let rank = if round % 2 == 0 { 0 } else { (index * 7 + round) % 60 };
                let scope = Scope::system(crm.tenants()[rank].clone());
                let start = clock.monotonic();
                let plan = Plan::compile(&text.parse::<Query>().expect("a query"), &|_, _| None);
                let page = ready(store.search(&scope, &plan, None, 50)).expect("a page");
                for record in &page.records {
                    black_box(
                        canonical::decode_body(record.body.as_deref().expect("a body")).expect("an event"),
                    );
                }
                times.push(clock.monotonic().since(start));
                found += page.records.len();
            }
        }
        report(&format!("search/{class}"), &mut times);
        println!(
            "measure audit/search/{class} hits_a_page {:.1} events",
            precise(found) / precise(times.len())
        );
    }
}

fn counts(store: &SegmentStore) {
    let clock = SystemClock::new();
    let crm = Crm::new(42);
    let scope = Scope::system(crm.tenants()[0].clone());
    for (class, texts) in queries::counted() {
        let mut times = Vec::new();
        let mut sum = 0;
        for _ in 0..5 {
            for text in &texts {
                let start = clock.monotonic();
                let plan = Plan::compile(&text.parse::<Query>().expect("a query"), &|_, _| None);
                if let Count::Exact(count) = ready(store.count(&scope, &plan, None)).expect("a count") {
                    sum += count;
                }
                times.push(clock.monotonic().since(start));
            }
        }
        report(&format!("count/{class}"), &mut times);
        println!("measure audit/count/{class} counted {:.0} events", many(sum) / precise(times.len()));
    }
}

/// What the largest tenant has, at most about 100,000 events, as CSV to nowhere: reading, decoding, writing.
fn export(store: SegmentStore) -> SegmentStore {
    let clock = SystemClock::new();
    let scope = Scope::system(Crm::new(42).tenants()[0].clone());
    let log = AuditLog::new(store, AuditConfig::default().with_read_audit(ReadAudit::Exports));
    let size = ready(log.head(&scope)).expect("a head").size;
    let query = format!("sequence:>={}", size.saturating_sub(100_000)).parse().expect("a query");
    for (name, format) in
        [("csv", ExportFormat::Csv), ("ndjson", ExportFormat::NdJson), ("ocsf", ExportFormat::Ocsf)]
    {
        let before = guardian_benches::resident::bytes();
        let mut most = 0;
        let start = clock.monotonic();
        let manifest = ready(log.export(&scope, &query, format, &mut std::io::sink(), |_| {
            most = most.max(guardian_benches::resident::bytes().unwrap_or(0));
        }))
        .expect("exported");
        let spent = clock.monotonic().since(start).as_secs_f64();
        let each = spent * 1e6 / many(manifest.count.max(1));
        println!("measure audit/export_{name} of_{} {spent:.3} s", manifest.count);
        println!("measure audit/export_{name} each {each:.2} µs/event");
        let extra = most.saturating_sub(before.unwrap_or(most));
        println!("measure audit/export_{name} extra_memory {:.1} MB", many(extra) / 1e6);
    }
    log.into_store()
}

/// Every leaf of every tenant from its event, and every root.
fn verify(store: &SegmentStore) {
    let clock = SystemClock::new();
    let start = clock.monotonic();
    let mut events = 0;
    for tenant in store.tenants() {
        let scope = Scope::system(tenant);
        let head = ready(store.head(&scope)).expect("a head");
        let mut frontier = Frontier::new();
        while frontier.size() < head.size {
            for record in ready(store.records(&scope, frontier.size(), 1_000)).expect("records") {
                frontier.append(leaf_hash(&record.leaf(scope.tenant()).expect("a body")));
            }
        }
        assert_eq!(frontier.root(), Hash::new(head.root));
        events += head.size;
    }
    println!("measure audit/verify of_{events} {:.2} s", clock.monotonic().since(start).as_secs_f64());
}

fn reopen(folder: &Path) {
    let clock = SystemClock::new();
    let start = clock.monotonic();
    let store = SegmentStore::open(folder).expect("a store");
    println!("measure audit/open after_seal {:.3} s", clock.monotonic().since(start).as_secs_f64());
    drop(store);
}

fn report(case: &str, times: &mut [Duration]) {
    times.sort_unstable();
    for (name, share) in [("p50", 50), ("p99", 99), ("max", 100)] {
        let at = (times.len() * share).div_ceil(100).saturating_sub(1);
        println!("measure audit/{case} {name} {:.4} ms", times[at].as_secs_f64() * 1e3);
    }
}

/// How long this thread has run, where the system tells.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// The store of files answers before it returns.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => unreachable!("the store waits for something"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes and events are few")]
fn many(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "events are few")]
fn precise(count: usize) -> f64 {
    count as f64
}
