//! Two threads at once: the time from their common start to the end of the slower one, for each check.

use std::cell::Cell;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use criterion::Criterion;
use guardian_core::MonoTime;

use super::contestants::Single;
use super::lap::{Case, HALF_TURN, Lap};

/// Each thread has half of the keys for itself.
pub(crate) fn distinct_keys(criterion: &mut Criterion) {
    let single = Single::new(10_000);
    let (left, right) = single.keys.split_at(single.keys.len() / 2);
    compare(criterion, "two_threads_distinct_keys", &single, |_| [left.to_vec(), right.to_vec()]);
}

/// Both threads want the same key at the same time, in each turn another, as the checks of a minute would empty any bucket.
pub(crate) fn one_hot_key(criterion: &mut Criterion) {
    let single = Single::new(10_000);
    let hot = |turn: usize| {
        let key = single.keys.iter().copied().cycle().nth(turn).unwrap_or_default();
        [vec![key; 10_000], vec![key; 10_000]]
    };
    compare(criterion, "two_threads_one_hot_key", &single, hot);
}

fn compare(
    criterion: &mut Criterion,
    case: &'static str,
    single: &Single,
    keys: impl Fn(usize) -> [Vec<u64>; 2],
) {
    let turns = Cell::new(0_usize);
    let next = || {
        turns.set(turns.get() + 1);
        keys(turns.get())
    };
    Case::new(case)
        .with_turn("guardian:gate", || together(next(), |now, key| single.ours_gate(now, key)))
        .with_turn("guardian:one_limit", || together(next(), |now, key| single.ours_one(now, key)))
        .with_turn("vs/governor_foldhash", || together(next(), |_, key| single.peer_foldhash(key)))
        .with_turn("guardian:with_clock", || together(next(), |_, key| single.ours_with_clock(key)))
        .run(criterion);
}

/// A turn, one half on each thread.
fn together(keys: [Vec<u64>; 2], check: impl Fn(MonoTime, &u64) -> bool + Sync) -> Duration {
    let barrier = Barrier::new(keys.len());
    let run = &|keys: Vec<u64>| {
        let mut lap = Lap::new(&keys);
        barrier.wait();
        lap.run(HALF_TURN, true, &check)
    };
    thread::scope(|scope| {
        let running = keys.map(|keys| scope.spawn(move || run(keys)));
        let times = running.map(|thread| thread.join().unwrap_or(Duration::MAX));
        times.into_iter().max().unwrap_or_default()
    })
}
