//! Two threads at once: the time from their common start to the end of the slower one, for each check.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use criterion::Criterion;
use guardian_core::MonoTime;

use super::contestants::Single;
use super::lap::Lap;

/// Each thread has half of the keys for itself.
pub(crate) fn distinct_keys(criterion: &mut Criterion) {
    let single = Single::new(10_000);
    let (left, right) = single.keys.split_at(single.keys.len() / 2);
    compare(criterion, "two_threads_distinct_keys", &single, [left, right]);
}

/// Both threads want the same key at the same time.
pub(crate) fn one_hot_key(criterion: &mut Criterion) {
    let single = Single::new(10_000);
    let hot = vec![single.keys.first().copied().unwrap_or_default(); 10_000];
    compare(criterion, "two_threads_one_hot_key", &single, [&hot, &hot]);
}

fn compare(criterion: &mut Criterion, case: &str, single: &Single, keys: [&[u64]; 2]) {
    let mut group = criterion.benchmark_group(case);
    group.bench_function("guardian:one_limit", |b| {
        b.iter_custom(|n| together(keys, n, |now, key| single.ours_one(now, key)));
    });
    group.bench_function("vs/governor_foldhash", |b| {
        b.iter_custom(|n| together(keys, n, |_, key| single.peer_foldhash(key)));
    });
    group.bench_function("guardian:with_clock", |b| {
        b.iter_custom(|n| together(keys, n, |_, key| single.ours_with_clock(key)));
    });
    group.finish();
}

/// So many checks, one half on each thread.
fn together(keys: [&[u64]; 2], checks: u64, check: impl Fn(MonoTime, &u64) -> bool + Sync) -> Duration {
    let barrier = Barrier::new(keys.len());
    let run = |keys: &[u64]| {
        let mut lap = Lap::new(keys);
        barrier.wait();
        let elapsed = lap.run(checks.div_ceil(2), &check);
        lap.expect_all_admitted();
        elapsed
    };
    thread::scope(|scope| {
        let running = keys.map(|keys| scope.spawn(move || run(keys)));
        let times = running.map(|thread| thread.join().unwrap_or(Duration::MAX));
        times.into_iter().max().unwrap_or_default()
    })
}
