//! Quotas beside the least that anybody could do in their place.
//!
//! - In memory the peer is a bare sharded counter: a map behind a mutex on each of 64 shards, the same hasher, a key that is
//!   two numbers, a comparison with the limit and an addition. It has no levels, no periods, no ledger, no holds and no reasons,
//!   and it needs no time; ours is given the request's time, as a host does that reads it once. Ours writes an entry of the
//!   ledger for each call.
//! - On PostgreSQL and SQLite the peer is sqlx used directly, for a bare `UPDATE … SET used = used + $2 WHERE … used + $2 <= hard
//!   RETURNING used`, prepared, in a transaction of its own, on the same server or a file with the same settings. Ours writes the
//!   account and an entry of the ledger, and minds row-level security.
//! - Both walk the same keys in the same order, and the sums prove that both counted all. They take turns of some milliseconds,
//!   so that a slow moment of the machine strikes them alike; the median of the ratios of the turns is what counts.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot run says so, and it reports"
)]

use std::hint::black_box;
use std::time::Duration;

use foldhash::{HashMap, HashMapExt};
use guardian_core::{Clock, Scope, SystemClock, TenantId, Timestamp};
use guardian_quota::{
    Aggregation, Cadence, Feature, FeatureName, Level, Limit, MemoryStore, Meter, Plan, PlanName, Quotas,
    Subject, Subscription, Usage,
};
use parking_lot::Mutex;
use tokio::runtime::Runtime;

#[cfg(feature = "quota-sql")]
#[path = "quota/sql.rs"]
mod sql;

/// Tenants that are at work, which fit the caches of a processor.
const TENANTS: u64 = 64;
const LIMIT: u64 = 1 << 50;

fn main() {
    // Cargo passes `--test` on `cargo test --benches`, where nothing is measured.
    let is_test = std::env::args().any(|argument| argument == "--test");
    println!("bar quota/memory_one_level vs bare_counter 3.0");
    println!("bar quota/memory_three_levels vs bare_counter 6.0");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    memory(&runtime, if is_test { 2 } else { 300 });
    #[cfg(feature = "quota-sql")]
    sql::all(&runtime, if is_test { 2 } else { 150 });
}

pub(crate) fn plan() -> Plan {
    let limit = || Limit::hard(LIMIT, Cadence::Month);
    let flat = Meter::new("call", Aggregation::Count).with_limit(Level::Org, limit());
    let deep = flat.clone().with_limit(Level::Team, limit()).with_limit(Level::User, limit());
    Plan::new(PlanName::new("p").expect("a name"))
        .with_feature(FeatureName::new("flat").expect("a name"), Feature::Metered(flat))
        .with_feature(FeatureName::new("deep").expect("a name"), Feature::Metered(deep))
}

pub(crate) fn subscription() -> Subscription {
    let anchor = "2026-01-01T00:00:00Z".parse().expect("a time");
    Subscription::new(PlanName::new("p").expect("a name"), anchor)
}

/// The least that anybody could do.
struct Bare(Vec<Mutex<HashMap<(u128, u64), u64>>>);

impl Bare {
    fn new(scopes: &[Scope]) -> Self {
        let bare = Self((0..64).map(|_| Mutex::new(HashMap::new())).collect());
        for scope in scopes {
            let key = (scope.tenant().digest(), 1);
            bare.shard(key.0).lock().insert(key, 0);
        }
        bare
    }

    #[inline]
    fn shard(&self, digest: u128) -> &Mutex<HashMap<(u128, u64), u64>> {
        let [.., high, low] = digest.to_be_bytes();
        let place = usize::from(u16::from_be_bytes([high, low])) % self.0.len();
        self.0.get(place).expect("a shard")
    }

    #[inline]
    fn add(&self, digest: u128, amount: u64) -> bool {
        let mut shard = self.shard(digest).lock();
        let Some(used) = shard.get_mut(&(digest, 1)) else { return false };
        if *used + amount > LIMIT {
            return false;
        }
        *used += amount;
        true
    }
}

fn memory(runtime: &Runtime, rounds: usize) {
    const TURN: usize = 20_000;
    // The ledger is bounded, as a host in memory would have it.
    let store = MemoryStore::new().with_max_entries(256);
    let quotas = Quotas::new(store, [plan()]).expect("a plan");
    let scopes: Vec<Scope> = (0..TENANTS).map(|tenant| Scope::system(TenantId::from(tenant))).collect();
    let deep = Subject::org().team("sales").and_then(|team| team.user("ann")).expect("a subject");
    let flat = Usage::of("flat", &Subject::org(), 1).expect("a usage");
    let deep = Usage::of("deep", &deep, 1).expect("a usage");
    let bare = Bare::new(&scopes);
    let now = SystemClock::new().now();
    runtime.block_on(async {
        for scope in &scopes {
            quotas.subscribe(scope, subscription()).await.expect("a subscription");
            for usage in [&flat, &deep] {
                assert!(quotas.consume_at(scope, usage, now).await.expect("a decision").allowed);
            }
        }
    });
    let order: Vec<usize> = (0..TURN).map(|turn| turn * 7919 % scopes.len()).collect();
    for (case, usage) in [("memory_one_level", &flat), ("memory_three_levels", &deep)] {
        let mut turns = Turns::default();
        for _ in 0..rounds {
            turns.add(
                || spend(&quotas, &scopes, &order, usage, now),
                || {
                    let admitted = order.iter().filter(|at| {
                        scopes.get(**at).is_some_and(|scope| bare.add(scope.tenant().digest(), 1))
                    });
                    assert_eq!(black_box(admitted.count()), TURN);
                },
            );
        }
        turns.report(case, TURN);
    }
    // What reading the system's clock for each call costs besides.
    let mut turns = Turns::default();
    for _ in 0..rounds {
        turns.add(
            || {
                for at in &order {
                    let scope = scopes.get(*at).expect("a scope");
                    let decided = quotas.consume_at_once(scope, &flat, quotas.now()).expect("a plain call");
                    assert!(black_box(decided).allowed);
                }
            },
            || spend(&quotas, &scopes, &order, &flat, now),
        );
    }
    turns.report("memory_clock_read", TURN);
}

#[inline]
fn spend(quotas: &Quotas<MemoryStore>, scopes: &[Scope], order: &[usize], usage: &Usage, now: Timestamp) {
    for at in order {
        let scope = scopes.get(*at).expect("a scope");
        let decided = quotas.consume_at_once(scope, usage, now).expect("a plain call");
        assert!(black_box(decided).allowed);
    }
}

/// Turns of ours and the peer's, one right after the other.
#[derive(Default)]
pub(crate) struct Turns {
    ours: Vec<f64>,
    peers: Vec<f64>,
}

impl Turns {
    pub(crate) fn add(&mut self, ours: impl FnOnce(), peers: impl FnOnce()) {
        let clock = SystemClock::new();
        let timed = |work: &mut dyn FnMut()| {
            let start = clock.monotonic();
            work();
            clock.monotonic().since(start).as_secs_f64()
        };
        let (mut ours, mut peers) = (Some(ours), Some(peers));
        let mut run_ours = || ours.take().map_or((), |work| work());
        let mut run_peers = || peers.take().map_or((), |work| work());
        // Either goes first in turn.
        if self.ours.len().is_multiple_of(2) {
            self.ours.push(timed(&mut run_ours));
            self.peers.push(timed(&mut run_peers));
        } else {
            self.peers.push(timed(&mut run_peers));
            self.ours.push(timed(&mut run_ours));
        }
    }

    #[cfg(feature = "quota-sql")]
    pub(crate) async fn add_async(
        &mut self,
        ours: impl Future<Output = ()>,
        peers: impl Future<Output = ()>,
    ) {
        let clock = SystemClock::new();
        if self.ours.len().is_multiple_of(2) {
            self.ours.push(timed(&clock, ours).await);
            self.peers.push(timed(&clock, peers).await);
        } else {
            self.peers.push(timed(&clock, peers).await);
            self.ours.push(timed(&clock, ours).await);
        }
    }

    pub(crate) fn report(&self, case: &str, turn: usize) {
        let ratios = self.ours.iter().zip(&self.peers).map(|(ours, peer)| ours / peer).collect();
        println!("measure quota/{case} median_of_turns {:.3} ratio", median(ratios));
        let each = |times: &[f64]| Duration::from_secs_f64(median(times.to_vec())).as_nanos() / turn as u128;
        println!("measure quota/{case} ours {} ns", each(&self.ours));
        println!("measure quota/{case} peer {} ns", each(&self.peers));
    }
}

#[cfg(feature = "quota-sql")]
async fn timed(clock: &SystemClock, work: impl Future<Output = ()>) -> f64 {
    let start = clock.monotonic();
    work.await;
    clock.monotonic().since(start).as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
