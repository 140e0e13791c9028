//! Rate limits in memory beside governor.
//!
//! What makes the comparison fair to the peer:
//!
//! - `vs/governor_foldhash` is governor with the hasher that we use, which is faster than its default;
//!   `vs/governor_default` is what its users get without asking.
//! - A request's time is read once and passed to us, which governor cannot take. So that this is no hidden advantage,
//!   `vs/governor_given_time` is governor with a clock that is only a load from memory, and `..._with_clock` counts our
//!   own clock too.
//! - Both walk the same keys in the same order by the same loop, every outcome is counted, the tables are filled
//!   before the time begins, and the counts prove that both admitted (or denied) the same.
//! - Within a case the functions alternate: ours, the peer, ours, the peer.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;

#[path = "ratelimit/contention.rs"]
mod contention;
#[path = "ratelimit/contestants.rs"]
mod contestants;
#[path = "ratelimit/lap.rs"]
mod lap;
#[path = "ratelimit/programs.rs"]
mod programs;

use contestants::{Denying, Single, Stacked};
use lap::Lap;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .without_plots()
        .configure_from_args();
    bars();
    one_check_10k(&mut criterion);
    one_check_10k_with_clock(&mut criterion);
    three_stacked_10k(&mut criterion);
    one_check_denied(&mut criterion);
    contention::distinct_keys(&mut criterion);
    contention::one_hot_key(&mut criterion);
    one_check_1m(&mut criterion);
    criterion.final_summary();
    // Criterion passes `--test` on `cargo test --benches`, where nothing is measured.
    if !std::env::args().any(|argument| argument == "--test") {
        programs::memory();
        programs::abstraction();
    }
}

#[expect(clippy::print_stdout, reason = "bars are reported on standard output")]
fn bars() {
    println!("bar ratelimit/one_check_10k:one_limit vs governor_foldhash 0.55");
    println!("bar ratelimit/one_check_10k_with_clock vs governor_foldhash 0.95");
    println!("bar ratelimit/three_stacked_10k vs governor_foldhash 0.65");
    println!("bar ratelimit/one_check_1m vs governor_foldhash 0.65");
}

/// 10,000 keys, which fit the processor's caches; the request's time is given.
fn one_check_10k(criterion: &mut Criterion) {
    let single = Single::new(10_000);
    let mut lap = Lap::new(&single.keys);
    let mut group = criterion.benchmark_group("one_check_10k");
    group.bench_function("guardian:one_limit", |b| {
        b.iter_custom(|n| lap.run(n, |now, key| single.ours_one(now, key)));
    });
    group.bench_function("vs/governor_foldhash", |b| {
        b.iter_custom(|n| lap.run(n, |_, key| single.peer_foldhash(key)));
    });
    group.bench_function("guardian:slice_of_one", |b| {
        b.iter_custom(|n| lap.run(n, |now, key| single.ours_slice(now, key)));
    });
    group.bench_function("vs/governor_given_time", |b| {
        b.iter_custom(|n| lap.run(n, |now, key| single.peer_given_time(now, key)));
    });
    group.bench_function("vs/governor_default", |b| {
        b.iter_custom(|n| lap.run(n, |_, key| single.peer_default(key)));
    });
    group.finish();
    lap.expect_all_admitted();
}

/// The same with our clock read in every check.
fn one_check_10k_with_clock(criterion: &mut Criterion) {
    let single = Single::new(10_000);
    let mut lap = Lap::new(&single.keys);
    let mut group = criterion.benchmark_group("one_check_10k_with_clock");
    group.bench_function("guardian", |b| {
        b.iter_custom(|n| lap.run(n, |_, key| single.ours_with_clock(key)));
    });
    group.bench_function("vs/governor_foldhash", |b| {
        b.iter_custom(|n| lap.run(n, |_, key| single.peer_foldhash(key)));
    });
    group.finish();
    lap.expect_all_admitted();
}

/// Organisation, integration and endpoint: one call of ours beside three of the peer, which does not undo the first
/// when the last denies.
fn three_stacked_10k(criterion: &mut Criterion) {
    let stacked = Stacked::new(10_000);
    let mut lap = Lap::new(&stacked.keys);
    let mut group = criterion.benchmark_group("three_stacked_10k");
    group.bench_function("guardian:tenant", |b| {
        b.iter_custom(|n| lap.run(n, |now, key| stacked.ours_in_tenant(now, key)));
    });
    group.bench_function("vs/governor_foldhash", |b| {
        b.iter_custom(|n| lap.run(n, |_, key| stacked.peer_foldhash(key)));
    });
    group.bench_function("guardian:shared", |b| {
        b.iter_custom(|n| lap.run(n, |now, key| stacked.ours_in_shared(now, key)));
    });
    group.bench_function("vs/governor_given_time", |b| {
        b.iter_custom(|n| lap.run(n, |now, key| stacked.peer_given_time(now, key)));
    });
    group.finish();
    lap.expect_all_admitted();
}

/// A million keys, which do not fit: what is measured is mostly memory.
fn one_check_1m(criterion: &mut Criterion) {
    let single = Single::new(1_000_000);
    let mut lap = Lap::new(&single.keys);
    let mut group = criterion.benchmark_group("one_check_1m");
    group.bench_function("guardian:one_limit", |b| {
        b.iter_custom(|n| lap.run(n, |now, key| single.ours_one(now, key)));
    });
    group.bench_function("vs/governor_foldhash", |b| {
        b.iter_custom(|n| lap.run(n, |_, key| single.peer_foldhash(key)));
    });
    group.bench_function("vs/governor_given_time", |b| {
        b.iter_custom(|n| lap.run(n, |now, key| single.peer_given_time(now, key)));
    });
    group.finish();
    lap.expect_all_admitted();
}

/// Clients that are over their limit and go on: texts in one tenant beside the peer's texts without a tenant.
fn one_check_denied(criterion: &mut Criterion) {
    let denying = Denying::new(10_000);
    let mut lap = Lap::new(&denying.keys);
    let mut group = criterion.benchmark_group("one_check_denied");
    group.bench_function("guardian:one_limit", |b| {
        b.iter_custom(|n| lap.run(n, |now, key| denying.ours_one(now, key)));
    });
    group.bench_function("vs/governor_foldhash", |b| {
        b.iter_custom(|n| lap.run(n, |_, key| denying.peer_foldhash(key)));
    });
    group.bench_function("guardian:with_clock", |b| {
        b.iter_custom(|n| lap.run(n, |_, key| denying.ours_with_clock(key)));
    });
    group.finish();
    black_box(&denying);
    lap.expect_all_denied();
}
