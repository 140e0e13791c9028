//! `abstraction direct|generic|boxed N`: N checks without a future, through the store's contract, or through the store
//! whose type is erased. `abstraction compare` counts the instructions of each under valgrind and prints their ratios.
//!
//! Times of two such loops differ less from each other than from run to run; instructions are the same each time.
#![expect(clippy::print_stdout, reason = "the measures are the program's result")]

use std::error::Error;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::process::Command;
use std::task::{Context, Poll, Waker};

use guardian_benches::keys;
use guardian_core::{Clock, ManualClock};
use guardian_ratelimit::store::Store;
use guardian_ratelimit::{AnyStore, Decision, Limit, Limiter, MemoryStore, Policy, PolicyId, Realm};

const KEYS: u64 = 1000;
/// What the generic way may cost beside the direct one.
const BAR: f64 = 1.05;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["compare"] => compare(),
        ["direct", laps] => direct(laps.parse()?),
        ["generic", laps] => generic(MemoryStore::new(), laps.parse()?),
        ["boxed", laps] => generic(AnyStore::new(MemoryStore::new()), laps.parse()?),
        _ => Err("expected `compare`, or `direct`, `generic` or `boxed` with a number of laps".into()),
    }
}

fn direct(laps: u64) -> Result<(), Box<dyn Error>> {
    let (limiter, policy) = limiter(MemoryStore::new())?;
    run(laps, |key| {
        let now = limiter.clock().monotonic();
        limiter.check_local_at(Realm::Shared, &[Limit::of(policy, key)], now)
    })
}

fn generic<S: Store>(store: S, laps: u64) -> Result<(), Box<dyn Error>> {
    let (limiter, policy) = limiter(store)?;
    run(laps, |key| {
        let now = limiter.clock().monotonic();
        ready(limiter.check_at(Realm::Shared, &[Limit::of(policy, key)], now))
    })
}

fn limiter<S: Store>(store: S) -> Result<(Limiter<S, ManualClock>, PolicyId), Box<dyn Error>> {
    // A clock that stands still: the processor's is calibrated for a time that differs from run to run.
    let limiter = Limiter::with_clock(store, ManualClock::new());
    let policy = limiter.define(Policy::new("per-key", "1000/s burst 1000000000")?)?;
    Ok((limiter, policy))
}

fn run(
    laps: u64,
    check: impl Fn(u64) -> Result<Decision, guardian_ratelimit::Error>,
) -> Result<(), Box<dyn Error>> {
    let keys = keys::shuffled_ids(KEYS);
    for _ in 0..laps {
        for key in &keys {
            if check(black_box(*key))?.is_denied() {
                return Err("a check was denied".into());
            }
        }
    }
    Ok(())
}

/// The value of a future that has nothing to wait for, which is every one on memory.
fn ready<T>(
    future: impl Future<Output = Result<T, guardian_ratelimit::Error>>,
) -> Result<T, guardian_ratelimit::Error> {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

fn compare() -> Result<(), Box<dyn Error>> {
    let each = |way: &str| -> Result<f64, Box<dyn Error>> {
        // What a process does before and after the loop is in both counts and falls out.
        let (few, many) = (instructions(way, 10)?, instructions(way, 60)?);
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2⁵²")]
        let each = (many - few) as f64 / (50 * KEYS) as f64;
        println!("measure ratelimit/abstraction {way} {each:.1} instructions/check");
        Ok(each)
    };
    let (direct, generic, boxed) = (each("direct")?, each("generic")?, each("boxed")?);
    println!("measure ratelimit/abstraction generic_vs_direct {:.3} ratio", generic / direct);
    println!("measure ratelimit/abstraction generic_vs_direct_bar {BAR:.3} ratio");
    println!("measure ratelimit/abstraction boxed_vs_direct {:.3} ratio", boxed / direct);
    if generic / direct > BAR {
        println!("abstraction: the generic way is above its bar");
    }
    Ok(())
}

/// How many instructions this program executes for so many laps.
fn instructions(way: &str, laps: u64) -> Result<u64, Box<dyn Error>> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([way, &laps.to_string()]);
    let output = command
        .output()
        .map_err(|error| format!("cannot run `valgrind`, which counts the instructions: {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind failed: {report}").into());
    }
    let count = report.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    count.ok_or_else(|| format!("valgrind printed no count: {report}").into())
}
