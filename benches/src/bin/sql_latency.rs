//! `sql_latency URL ...`: how long one check takes in SQL databases, for one limit, three and eight in a call.
//!
//! A URL is `sqlite://file` or that of a PostgreSQL database whose owner connects; the tables are made there. The
//! contestants take turns of one call each, so that a noisy moment is noisy for all; the median of each is printed.
#![expect(clippy::print_stdout, reason = "the measures are the program's result")]

use std::error::Error;
use std::time::Instant;

use guardian_core::TenantId;
use guardian_ratelimit::{Limit, Limiter, Policy, PolicyId, SqlStore};
use guardian_sql::Database;

const ROUNDS: usize = 2_000;
const WARM_UP: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::env::args().skip(1).try_for_each(|url| runtime.block_on(measure(&url)))
}

async fn measure(url: &str) -> Result<(), Box<dyn Error>> {
    let db = Database::open(url).await?;
    let store = SqlStore::new(&db);
    store.migrate().await?;
    let limiter = Limiter::new(store);
    let (tenant, database) = (TenantId::new("latency")?, db.dialect().name());
    for (name, rule) in [
        ("token_bucket", "1000000/s burst 1000000"),
        ("fixed", "1000000/min fixed"),
        ("sliding", "1000000/min sliding strict 60"),
    ] {
        let mut limits = Vec::new();
        for n in 0..8 {
            let policy: PolicyId = limiter.define(Policy::new(&format!("{name}-{n}"), rule)?)?;
            limits.push(Limit::of(policy, 1));
        }
        let mut times = [(1, Vec::new()), (3, Vec::new()), (8, Vec::new())];
        for round in 0..ROUNDS + WARM_UP {
            for (count, times) in &mut times {
                let took = time(&limiter, &tenant, limits.get(..*count).unwrap_or_default()).await?;
                if round >= WARM_UP {
                    times.push(took);
                }
            }
        }
        for (count, times) in times {
            println!("measure ratelimit/{database}_{name} p50_of_{count}_limits {:.0} µs", median(times));
        }
    }
    Ok(())
}

/// One check, in microseconds.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
async fn time(
    limiter: &Limiter<SqlStore>,
    tenant: &TenantId,
    limits: &[Limit<'_>],
) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let decision = limiter.check(tenant, limits).await?;
    let took = start.elapsed().as_secs_f64() * 1e6;
    if decision.is_denied() || decision.outcomes().len() != limits.len() {
        return Err("a check was not counted: is the database there?".into());
    }
    Ok(took)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
