//! `memory CONTESTANT`: fills a limiter from 10,000 to 2,000,000 keys and prints the bytes for each, by what the
//! kernel counts for this fresh process and, for ours, by what the store says about its tables.
#![expect(clippy::print_stdout, reason = "the measures are the program's result")]

use std::error::Error;
use std::num::NonZeroU32;

use foldhash::fast::RandomState;
use governor::{Quota, RateLimiter};
use guardian_benches::{keys, resident};
use guardian_core::{Clock, TenantId};
use guardian_ratelimit::{Limit, Limiter, MemoryConfig, MemoryStore, Policy, Realm, Subject};

const FIRST: u64 = 10_000;
const LAST: u64 = 2_000_000;
/// Three quarters of 2²¹: tables that grow by doubling, shard by shard alike, are three quarters full at this many.
const THREE_QUARTERS: u64 = 3 << 19;

fn main() -> Result<(), Box<dyn Error>> {
    let contestant = std::env::args().nth(1).unwrap_or_default();
    match contestant.as_str() {
        "guardian-id" => guardian("memory_u64", |fill, index| fill(Subject::Id(keys::id(index)))),
        "guardian-text" => guardian("memory_text", |fill, index| fill(Subject::Text(&keys::text(index)))),
        "governor-id" => governor("memory_u64", keys::id),
        "governor-text" => governor("memory_text", keys::text),
        _ => Err(format!(
            "unknown contestant `{contestant}`: guardian-id, guardian-text, governor-id or governor-text"
        )
        .into()),
    }
}

fn guardian(
    case: &str,
    with_subject: impl Fn(
        &mut dyn FnMut(Subject<'_>) -> Result<(), Box<dyn Error>>,
        u64,
    ) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let store = MemoryStore::with_config(MemoryConfig::default().with_max_keys(4_000_000));
    let limiter = Limiter::new(store);
    // No key is as good as new before the end, so the store must keep them all.
    let policy = limiter.define(Policy::new("per-key", "1/h burst 10")?)?;
    // Numbers in the shared realm are our smallest keys, texts in a tenant the largest.
    let tenant = TenantId::from(7);
    let now = limiter.clock().monotonic();
    let mut put = |subject: Subject<'_>| {
        let realm = match subject {
            Subject::Text(_) => Realm::Tenant(&tenant),
            _ => Realm::Shared,
        };
        limiter.check_one_local_at(realm, &Limit::of(policy, subject), now)?;
        Ok(())
    };
    let (mut tables, mut process) = (Measure::default(), Measure::default());
    let empty = resident::bytes()?;
    for (from, to) in steps() {
        for index in from..to {
            with_subject(&mut put, index)?;
        }
        process.take(to, resident::bytes()?.saturating_sub(empty));
        let stats = limiter.store().stats();
        if stats.keys as u64 != to {
            return Err(format!("the store holds {} keys instead of {to}", stats.keys).into());
        }
        tables.take(to, stats.table_bytes as u64);
    }
    tables.print(case, "guardian_tables");
    process.print(case, "guardian_resident");
    Ok(())
}

fn governor<K: std::hash::Hash + Eq + Clone>(
    case: &str,
    key: impl Fn(u64) -> K,
) -> Result<(), Box<dyn Error>> {
    let quota = Quota::per_hour(NonZeroU32::MIN).allow_burst(NonZeroU32::MAX);
    let limiter = RateLimiter::dashmap_with_hasher(quota, RandomState::default());
    let mut process = Measure::default();
    let empty = resident::bytes()?;
    for (from, to) in steps() {
        for index in from..to {
            limiter.check_key(&key(index)).map_err(|_| "the peer denied")?;
        }
        process.take(to, resident::bytes()?.saturating_sub(empty));
    }
    process.print(case, "governor_resident");
    Ok(())
}

/// From each number of keys to the next, about 2 % apart and through [`THREE_QUARTERS`].
fn steps() -> impl Iterator<Item = (u64, u64)> {
    let stops = std::iter::successors(Some(FIRST), |keys| {
        let next = keys + keys / 50;
        (*keys < LAST).then(|| {
            if (*keys + 1..next).contains(&THREE_QUARTERS) { THREE_QUARTERS } else { next.min(LAST) }
        })
    });
    let mut from = 0;
    stops.map(move |to| (std::mem::replace(&mut from, to), to))
}

/// Bytes for each key over all steps.
#[derive(Default)]
struct Measure {
    worst: f64,
    worst_above_100k: f64,
    at_three_quarters: f64,
}

impl Measure {
    #[expect(clippy::cast_precision_loss, reason = "bytes and keys are far below 2⁵²")]
    fn take(&mut self, keys: u64, bytes: u64) {
        let each = bytes as f64 / keys as f64;
        self.worst = self.worst.max(each);
        if keys >= 100_000 {
            self.worst_above_100k = self.worst_above_100k.max(each);
        }
        if keys == THREE_QUARTERS {
            self.at_three_quarters = each;
        }
    }

    fn print(&self, case: &str, what: &str) {
        let Self { worst, worst_above_100k, at_three_quarters } = self;
        println!("measure ratelimit/{case} {what}_worst {worst:.1} bytes/key");
        println!("measure ratelimit/{case} {what}_worst_above_100k {worst_above_100k:.1} bytes/key");
        println!("measure ratelimit/{case} {what}_three_quarters_full {at_three_quarters:.1} bytes/key");
    }
}
