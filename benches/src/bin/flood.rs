//! `flood`: 100,000,000 distinct keys, one microsecond apart, against a store that may hold 1,000,000. Fails if the
//! process grows by more than a tenth after the first 5,000,000.
#![expect(clippy::print_stdout, reason = "the program reports on standard output")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use guardian_benches::{keys, resident};
use guardian_core::{Clock, MonoTime, SystemClock};
use guardian_ratelimit::{Limit, Limiter, MemoryConfig, MemoryStore, Policy, Realm};

const KEYS: u64 = 100_000_000;
const CAP: usize = 1_000_000;
const SETTLED: u64 = 5_000_000;
const REPORT: u64 = 10_000_000;
const STEP: Duration = Duration::from_micros(1);

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let limiter = Limiter::new(MemoryStore::with_config(MemoryConfig::default().with_max_keys(CAP)));
    // After one request a key is as good as new in six seconds, when six million others have come: six times the cap,
    // so sweeping alone does not keep it.
    let policy = limiter.define(Policy::new("per-client", "10/min burst 5")?)?;
    let clock = SystemClock::new();
    let (start, mut now) = (clock.monotonic(), MonoTime::from_nanos(clock.monotonic().as_nanos()));
    let (mut settled, mut highest, mut denied) = (0, 0, 0_u64);
    for index in 0..KEYS {
        let outcome = limiter.check_one_local_at(Realm::Shared, &Limit::of(policy, keys::id(index)), now)?;
        denied += u64::from(outcome.denies());
        now = now + STEP;
        let done = index + 1;
        if done == SETTLED {
            settled = resident::bytes()?;
        }
        // Between the lines the process is looked at too, but a peak does not flood the output.
        if done > SETTLED && done.is_multiple_of(1_000_000) {
            highest = highest.max(resident::bytes()?);
        }
        if done == SETTLED || done.is_multiple_of(REPORT) {
            let (stats, seconds) = (limiter.store().stats(), clock.monotonic().since(start).as_secs());
            println!(
                "{:>3} M keys seen  {:>9} kept  {:>6.1} MB of tables  {:>6.1} MB resident  {seconds:>3} s",
                done / 1_000_000,
                stats.keys,
                megabytes(stats.table_bytes as u64),
                megabytes(resident::bytes()?),
            );
            if stats.keys > CAP {
                println!("flood: failed: {} keys are above the cap of {CAP}", stats.keys);
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    let bound = settled + settled / 10;
    let verdict = if highest <= bound && denied == 0 { "passed" } else { "failed" };
    println!(
        "flood: {verdict}: {:.1} MB resident after {} M keys, at most {:.1} MB later (bound {:.1} MB), {denied} denied",
        megabytes(settled),
        SETTLED / 1_000_000,
        megabytes(highest),
        megabytes(bound),
    );
    Ok(if verdict == "passed" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::cast_precision_loss, reason = "a number for people, far below 2⁵²")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
