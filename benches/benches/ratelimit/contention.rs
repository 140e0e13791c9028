//! Two threads at once: the time from their common start to the end of the slower one, for each check.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use criterion::Criterion;
use guardian_core::MonoTime;

use super::contestants::{ROOMY_FOR_ALL, Single};
use super::lap::{Case, HALF_TURN, Lap};

/// Each thread has half of the keys for itself.
pub(crate) fn distinct_keys(criterion: &mut Criterion) {
    let single = Single::new(10_000);
    let (left, right) = single.keys.split_at(single.keys.len() / 2);
    compare(criterion, "two_threads_distinct_keys", &single, [left, right]);
}

/// Both threads want the same key at the same time.
pub(crate) fn one_hot_key(criterion: &mut Criterion) {
    let single = Single::with_rule(10_000, ROOMY_FOR_ALL);
    let hot = vec![single.keys.first().copied().unwrap_or_default(); 10_000];
    compare(criterion, "two_threads_one_hot_key", &single, [&hot, &hot]);
}

fn compare(criterion: &mut Criterion, case: &'static str, single: &Single, keys: [&[u64]; 2]) {
    Case::new(case)
        .with_turn("guardian:gate", || together(keys, |now, key| single.ours_gate(now, key)))
        .with_turn("guardian:one_limit", || together(keys, |now, key| single.ours_one(now, key)))
        .with_turn("vs/governor_foldhash", || together(keys, |_, key| single.peer_foldhash(key)))
        .with_turn("guardian:with_clock", || together(keys, |_, key| single.ours_with_clock(key)))
        .run(criterion);
}

/// A turn, one half on each thread.
fn together(keys: [&[u64]; 2], check: impl Fn(MonoTime, &u64) -> bool + Sync) -> Duration {
    let barrier = Barrier::new(keys.len());
    let run = |keys: &[u64]| {
        let mut lap = Lap::new(keys);
        barrier.wait();
        lap.run(HALF_TURN, true, &check)
    };
    thread::scope(|scope| {
        let running = keys.map(|keys| scope.spawn(|| run(keys)));
        let times = running.map(|thread| thread.join().unwrap_or(Duration::MAX));
        times.into_iter().max().unwrap_or_default()
    })
}
