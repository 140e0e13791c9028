//! `redis_latency URL`: how long one check takes on a Redis server, for one limit, three and eight in a call.
//!
//! The contestants take turns of one call each, so that a noisy moment is noisy for all; the median of each is
//! printed. `cargo xtask servers` brings up a server and prints its URL.
#![expect(clippy::print_stdout, reason = "the measures are the program's result")]

use std::error::Error;
use std::time::Instant;

use guardian_core::TenantId;
use guardian_ratelimit::{Limit, Limiter, Policy, PolicyId, RedisConfig, RedisStore};

const ROUNDS: usize = 5_000;
const WARM_UP: usize = 500;
/// Three limits in a call may take so many times as long as one.
const BAR: f64 = 1.4;

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("expected the server's URL, such as redis://127.0.0.1:6379")?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(&url))
}

async fn measure(url: &str) -> Result<(), Box<dyn Error>> {
    let config = RedisConfig::default().with_prefix(format!("latency-{}:", std::process::id()));
    let limiter = Limiter::new(RedisStore::connect(url, config).await?);
    let tenant = TenantId::new("latency")?;
    for (name, rule) in [
        ("token_bucket", "1000000/s burst 1000000"),
        ("fixed", "1000000/min fixed"),
        ("sliding", "1000000/min sliding strict 60"),
    ] {
        let policies: Vec<PolicyId> = (0..8)
            .map(|n| limiter.define(Policy::new(&format!("{name}-{n}"), rule)?))
            .collect::<Result<_, _>>()?;
        let limits: Vec<Limit<'_>> = policies.iter().map(|policy| Limit::of(*policy, 1)).collect();
        let contestants = [1, 3, 8].map(|count| limits.iter().copied().take(count).collect::<Vec<_>>());
        let mut times = [const { Vec::new() }; 3];
        for round in 0..ROUNDS + WARM_UP {
            for (limits, times) in contestants.iter().zip(&mut times) {
                let took = time(&limiter, &tenant, limits).await?;
                if round >= WARM_UP {
                    times.push(took);
                }
            }
        }
        let [one, three, eight] = times.map(median);
        println!("measure ratelimit/redis_{name} p50_of_1_limit {one:.1} µs");
        println!("measure ratelimit/redis_{name} p50_of_3_limits {three:.1} µs");
        println!("measure ratelimit/redis_{name} p50_of_8_limits {eight:.1} µs");
        let judged = if three / one <= BAR { "ok" } else { "over" };
        println!(
            "measure ratelimit/redis_{name} 3_limits_vs_1 {:.3} ratio (bar {BAR}, {judged})",
            three / one
        );
    }
    Ok(())
}

/// One check, in microseconds.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
async fn time(
    limiter: &Limiter<RedisStore>,
    tenant: &TenantId,
    limits: &[Limit<'_>],
) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let decision = limiter.check(tenant, limits).await?;
    let took = start.elapsed().as_secs_f64() * 1e6;
    if decision.is_denied() || decision.outcomes().len() != limits.len() {
        return Err("a check was not counted: is the server there?".into());
    }
    Ok(took)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
