//! Rate limits in memory beside governor.
//!
//! What makes the comparison fair to the peer:
//!
//! - `vs/governor_foldhash` is governor with the hasher that we use, which is faster than its default;
//!   `vs/governor_default` is what its users get without asking.
//! - `guardian:gate` and `guardian:stack_…` are the forms for a host's hot path: a policy, or several, looked up when the
//!   host starts, as governor's limiter is one policy that was made when the host started. The bars are theirs. `one_limit`,
//!   `slice_of_one`, `tenant` and `shared` are the ordinary calls, which look every policy up and check how many
//!   limits there are and whether two are the same.
//! - A request's time is read once and passed to us, which governor cannot take. So that this is no hidden advantage,
//!   `vs/governor_given_time` is governor with a clock that is only a load from memory, and `..._with_clock` counts our
//!   own clock too.
//! - Both walk the same keys in the same order by the same loop, every outcome is counted, the tables are filled
//!   before the time begins, and the counts prove that both admitted (or denied) the same.
//! - Within a case all take turns of some milliseconds, so a slow moment of the machine strikes them alike.
//!   A turn finds the caches as another contestant left them, which with a million keys is as good as cold for all.

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
use lap::Case;

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
    println!("bar ratelimit/one_check_10k:gate vs governor_foldhash 0.55");
    println!("bar ratelimit/one_check_10k_with_clock:gate vs governor_foldhash 0.95");
    println!("bar ratelimit/three_stacked_10k:stack_tenant vs governor_foldhash 0.65");
    println!("bar ratelimit/three_stacked_10k:stack_shared vs governor_foldhash 0.65");
    println!("bar ratelimit/one_check_1m vs governor_foldhash 0.65");
}

/// 10,000 keys, which fit the processor's caches; the request's time is given.
fn one_check_10k(criterion: &mut Criterion) {
    let single = Single::new(10_000);
    let keys = single.keys.as_slice();
    Case::new("one_check_10k")
        .with("guardian:gate", keys, true, |now, key| single.ours_gate(now, key))
        .with("vs/governor_foldhash", keys, true, |_, key| single.peer_foldhash(key))
        .with("guardian:one_limit", keys, true, |now, key| single.ours_one(now, key))
        .with("guardian:slice_of_one", keys, true, |now, key| single.ours_slice(now, key))
        .with("vs/governor_given_time", keys, true, |now, key| single.peer_given_time(now, key))
        .with("vs/governor_default", keys, true, |_, key| single.peer_default(key))
        .run(criterion);
}

/// The same with our clock read in every check.
fn one_check_10k_with_clock(criterion: &mut Criterion) {
    let single = Single::new(10_000);
    let keys = single.keys.as_slice();
    Case::new("one_check_10k_with_clock")
        .with("guardian:gate", keys, true, |_, key| single.ours_gate_with_clock(key))
        .with("vs/governor_foldhash", keys, true, |_, key| single.peer_foldhash(key))
        .with("guardian:one_limit", keys, true, |_, key| single.ours_with_clock(key))
        .run(criterion);
}

/// Organisation, integration and endpoint: one call of ours beside three of the peer, which does not undo the first
/// when the last denies.
fn three_stacked_10k(criterion: &mut Criterion) {
    let stacked = Stacked::new(10_000);
    let keys = stacked.keys.as_slice();
    Case::new("three_stacked_10k")
        .with("guardian:stack_tenant", keys, true, |now, key| stacked.ours_stack_in_tenant(now, key))
        .with("vs/governor_foldhash", keys, true, |_, key| stacked.peer_foldhash(key))
        .with("guardian:stack_shared", keys, true, |now, key| stacked.ours_stack_in_shared(now, key))
        .with("guardian:tenant", keys, true, |now, key| stacked.ours_in_tenant(now, key))
        .with("guardian:shared", keys, true, |now, key| stacked.ours_in_shared(now, key))
        .with("vs/governor_given_time", keys, true, |now, key| stacked.peer_given_time(now, key))
        .run(criterion);
}

/// A million keys, which do not fit: what is measured is mostly memory.
fn one_check_1m(criterion: &mut Criterion) {
    let single = Single::new(1_000_000);
    let keys = single.keys.as_slice();
    Case::new("one_check_1m")
        .with("guardian:gate", keys, true, |now, key| single.ours_gate(now, key))
        .with("vs/governor_foldhash", keys, true, |_, key| single.peer_foldhash(key))
        .with("guardian:one_limit", keys, true, |now, key| single.ours_one(now, key))
        .with("vs/governor_given_time", keys, true, |now, key| single.peer_given_time(now, key))
        .run(criterion);
}

/// Clients that are over their limit and go on: texts in one tenant beside the peer's texts without a tenant.
fn one_check_denied(criterion: &mut Criterion) {
    let denying = Denying::new(10_000);
    let keys = denying.keys.as_slice();
    Case::new("one_check_denied")
        .with("guardian:gate", keys, false, |now, key| denying.ours_gate(now, key))
        .with("guardian:one_limit", keys, false, |now, key| denying.ours_one(now, key))
        .with("vs/governor_foldhash", keys, false, |_, key| denying.peer_foldhash(key))
        .with("guardian:with_clock", keys, false, |_, key| denying.ours_with_clock(key))
        .run(criterion);
}
