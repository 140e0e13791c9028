//! The SQL store under several connections and processes, some of which are killed. A child is this test program again,
//! told what to do by the environment.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use guardian_core::TenantId;
use guardian_ratelimit::{Limit, Limiter, PolicyId, SqlStore};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, DatabaseConfig};
use tokio::time::timeout;

use crate::sql::{fresh, policy};

const VARIABLE: &str = "GUARDIAN_RATELIMIT_TEST_CHILD";
const CHILD: &str = "sql_processes::child";

/// Three limits, of which the bucket is the narrowest: it admits 30 and refills none within a test.
fn stacked(limiter: &Limiter<SqlStore>) -> [PolicyId; 3] {
    [("org", "40/366d fixed"), ("key", "60/h burst 30"), ("endpoint", "35/day sliding strict 60")]
        .map(|(name, rule)| limiter.define(policy(name, rule)).unwrap())
}

/// Three limits that never deny, charged together by whoever charges.
fn wide(limiter: &Limiter<SqlStore>) -> [PolicyId; 3] {
    [("a", "1000000/366d fixed"), ("b", "1000000/week sliding strict 60"), ("c", "10000 concurrent for 1h")]
        .map(|(name, rule)| limiter.define(policy(name, rule)).unwrap())
}

async fn open(url: &str) -> Database {
    let config = DatabaseConfig::default()
        .with_max_connections(1)
        .with_acquire_timeout(Duration::from_secs(60))
        .with_busy_timeout(Duration::from_secs(60));
    Database::open_with(url, config).await.unwrap()
}

/// How many of `tries` were admitted. The limits come in another order each time.
async fn race(limiter: &Limiter<SqlStore>, ids: [PolicyId; 3], tenant: &TenantId, tries: usize) -> u32 {
    let mut admitted = 0;
    for at in 0..tries {
        let [org, key, endpoint] = ids;
        let mut limits = [Limit::whole(org), Limit::of(key, 1), Limit::of(endpoint, "POST /deals")];
        limits.rotate_left(at % 3);
        admitted += u32::from(limiter.check(tenant, &limits).await.unwrap().is_allowed());
    }
    admitted
}

/// Does nothing in the run of the tests.
#[tokio::test]
async fn child() {
    let Some(told) = std::env::var_os(VARIABLE) else {
        return;
    };
    let told = told.to_string_lossy();
    let (what, url) = told.split_once(' ').unwrap();
    let limiter = Limiter::new(SqlStore::new(&open(url).await));
    if what == "race" {
        let ids = stacked(&limiter);
        let admitted = race(&limiter, ids, &TenantId::from(1), 60).await;
        std::fs::write(
            format!("{}.{}", url.trim_start_matches("sqlite://"), std::process::id()),
            admitted.to_string(),
        )
        .unwrap();
        return;
    }
    let limits = wide(&limiter).map(Limit::whole);
    loop {
        let admission = limiter.acquire(&TenantId::from(1), &limits).await.unwrap();
        std::mem::forget(admission);
    }
}

fn spawn(what: &str, fresh: &Fresh) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture"])
        .env(VARIABLE, format!("{what} {}", fresh.url()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn assert_thirty(limiter: &Limiter<SqlStore>, tenant: &TenantId, admitted: u32) {
    assert_eq!(admitted, 30);
    let [org, _, endpoint] = ["org", "key", "endpoint"].map(|name| limiter.find(name).unwrap());
    let decision =
        limiter.peek(tenant, &[Limit::whole(org), Limit::of(endpoint, "POST /deals")]).await.unwrap();
    assert_eq!(decision.outcomes()[0].remaining(), 40 - 30 - 1);
    assert_eq!(decision.outcomes()[1].remaining(), 35 - 30 - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_connections_racing_on_three_limits_admit_exactly_the_limit() {
    for kind in [Kind::Postgres, Kind::SqliteFile] {
        let fresh = fresh(kind).await;
        let mut racers = Vec::new();
        for _ in 0..8 {
            let limiter = Limiter::new(SqlStore::new(&open(fresh.url()).await));
            let ids = stacked(&limiter);
            racers.push((limiter, ids));
        }
        for round in 0..10_u64 {
            let tenant = TenantId::from(round);
            let admitted = Arc::new(AtomicU32::new(0));
            let mut tasks = Vec::new();
            for (limiter, ids) in racers.iter().cloned() {
                let (tenant, admitted) = (tenant.clone(), Arc::clone(&admitted));
                tasks.push(tokio::spawn(async move {
                    admitted.fetch_add(race(&limiter, ids, &tenant, 8).await, Ordering::Relaxed);
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
            assert_thirty(&racers[0].0, &tenant, admitted.load(Ordering::Relaxed)).await;
        }
    }
}

#[tokio::test]
async fn two_processes_racing_on_a_sqlite_file_admit_exactly_the_limit() {
    let fresh = fresh(Kind::SqliteFile).await;
    let children = [spawn("race", &fresh), spawn("race", &fresh)];
    let mut admitted = 0;
    for child in children {
        let id = child.id();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let path = format!("{}.{id}", fresh.url().trim_start_matches("sqlite://"));
        admitted += std::fs::read_to_string(path).unwrap().parse::<u32>().unwrap();
    }
    let limiter = Limiter::new(SqlStore::new(fresh.database()));
    let _ = stacked(&limiter);
    assert_thirty(&limiter, &TenantId::from(1), admitted).await;
}

/// How much each of the wide limits was charged.
async fn charged(limiter: &Limiter<SqlStore>) -> [u32; 3] {
    let limits = ["a", "b", "c"].map(|name| Limit::whole(limiter.find(name).unwrap()));
    let decision = limiter.peek(&TenantId::from(1), &limits).await.unwrap();
    let used: Vec<u32> =
        decision.outcomes().iter().map(|outcome| outcome.limit() - 1 - outcome.remaining()).collect();
    used.try_into().unwrap()
}

#[tokio::test]
async fn a_process_killed_while_it_charges_leaves_nothing_half_done() {
    for kind in [Kind::Postgres, Kind::SqliteFile] {
        let fresh = fresh(kind).await;
        let limiter = Limiter::new(SqlStore::new(fresh.database()));
        let (limits, tenant) = (wide(&limiter).map(Limit::whole), TenantId::from(1));
        let mut before = 0;
        for round in 0..6_u64 {
            let mut children = [spawn("charge", &fresh), spawn("charge", &fresh)];
            let charging = async {
                while charged(&limiter).await[0] < before + 20 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(Duration::from_secs(60), charging).await.expect("nothing is charged");
            tokio::time::sleep(Duration::from_micros(317 * round)).await;
            for child in &mut children {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            // A server that was told to commit may do so after its client's death, so the three are asked together.
            let [a, b, c] = charged(&limiter).await;
            assert!(a == b && b == c, "{kind:?} {round}: charged {a}, {b} and {c}");
            // Whoever comes next is not kept waiting by the dead.
            let check = limiter.acquire(&tenant, &limits);
            std::mem::forget(
                timeout(Duration::from_secs(30), check).await.expect("the dead hold a lock").unwrap(),
            );
            before = a + 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_future_is_dropped_leaves_a_charge_that_is_whole_or_absent() {
    for kind in [Kind::Postgres, Kind::SqliteFile, Kind::SqliteMemory] {
        let fresh = fresh(kind).await;
        let limiter = Limiter::new(SqlStore::new(fresh.database()));
        let limits = wide(&limiter).map(Limit::whole);
        let (mut finished, tenant) = (0, TenantId::from(1));
        for round in 0..200_u64 {
            // Without the permits, which such a call gives back by itself.
            let call = limiter.check(&tenant, &limits[..2]);
            if let Ok(decision) = timeout(Duration::from_micros(round * 20), call).await {
                assert!(decision.unwrap().is_allowed());
                finished += 1;
            }
        }
        let [a, b, _] = charged(&limiter).await;
        assert!(a == b && a >= finished, "{kind:?}: charged {a} and {b}, {finished} finished");
    }
}
