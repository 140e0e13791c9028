//! The SQL store on SQLite in memory, SQLite in a file and PostgreSQL, there as a role that owns nothing.

use std::sync::Arc;
use std::time::Duration;

use guardian_core::{Clock, ManualClock, Scope, StoreErrorKind, SystemClock, TenantId};
use guardian_ratelimit::{Error, Limit, Limiter, Policy, Realm, SqlStore, Subject};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, Dialect, TenantTx, Unscoped, params};

use crate::conformance::InSql;

pub(crate) fn policy(name: &str, rule: &str) -> Policy {
    Policy::new(name, rule).unwrap()
}

pub(crate) async fn fresh(kind: Kind) -> Fresh {
    kind.open(&[&SqlStore::MIGRATIONS]).await.unwrap()
}

pub(crate) fn scope(tenant: &TenantId) -> Scope {
    Scope::system(tenant.clone())
}

fn leave() -> Unscoped {
    Unscoped::new(Scope::system(TenantId::new("operator").unwrap()), "rate limits that are as good as new")
        .unwrap()
}

/// How many rows of each table there are, of all tenants.
async fn rows(db: &Database) -> (i64, i64) {
    let mut tx = db.begin_unscoped(&leave()).await.unwrap();
    let limits = tx.fetch_one("SELECT count(*) FROM guardian_rate_limits", &[]).await.unwrap();
    let permits = tx.fetch_one("SELECT count(*) FROM guardian_rate_permits", &[]).await.unwrap();
    (limits.get(0).unwrap(), permits.get(0).unwrap())
}

#[cfg(feature = "sqlite")]
mod laws_in_sqlite_memory {
    use super::*;
    guardian_ratelimit::store_conformance!(InSql::new(Kind::SqliteMemory));
}

#[cfg(feature = "sqlite")]
mod laws_in_a_sqlite_file {
    use super::*;
    guardian_ratelimit::store_conformance!(InSql::new(Kind::SqliteFile));
}

#[cfg(feature = "postgres")]
mod laws_on_postgres {
    use super::*;
    guardian_ratelimit::store_conformance!(InSql::new(Kind::Postgres));
}

/// One limit of each algorithm.
const RULES: &[&str] = &[
    "2/h burst 2",
    "2/h sliding exact",
    "2/h sliding strict 60",
    "2/h sliding lenient 60",
    "2/h fixed",
    "2 concurrent for 1h",
];

fn limits(limiter: &Limiter<SqlStore, impl Clock>, subject: Subject<'static>) -> Vec<Limit<'static>> {
    let define = |(at, rule): (usize, &&str)| {
        let name = format!("p{at}");
        let id = limiter.find(&name).unwrap_or_else(|| limiter.define(policy(&name, rule)).unwrap());
        Limit::of(id, subject)
    };
    RULES.iter().enumerate().map(define).collect()
}

#[tokio::test]
async fn a_peek_and_a_denial_write_nothing() {
    for kind in Kind::all() {
        let fresh = fresh(*kind).await;
        let limiter = Limiter::new(SqlStore::new(fresh.database()));
        let all = limits(&limiter, Subject::Whole);
        for realm in [Realm::Tenant(&TenantId::from(1)), Realm::Shared] {
            for _ in 0..3 {
                assert!(limiter.peek(realm, &all).await.unwrap().is_allowed());
            }
            let much: Vec<_> = all.iter().map(|limit| limit.cost(3)).collect();
            assert!(limiter.acquire(realm, &much).await.unwrap().decision.is_denied());
        }
        assert_eq!(rows(fresh.database()).await, (0, 0), "{kind:?}");
    }
}

#[tokio::test]
async fn reset_makes_all_as_good_as_new() {
    for kind in Kind::all() {
        let fresh = fresh(*kind).await;
        let limiter = Limiter::new(SqlStore::new(fresh.database()));
        let all: Vec<_> = limits(&limiter, Subject::Id(7)).iter().map(|limit| limit.cost(2)).collect();
        let other = TenantId::from(2);
        let held = limiter.acquire(&other, &all).await.unwrap();
        for realm in [Realm::Tenant(&TenantId::from(1)), Realm::Shared] {
            for _ in 0..2 {
                let admission = limiter.acquire(realm, &all).await.unwrap();
                assert!(admission.decision.is_allowed(), "{kind:?} {realm:?}");
                std::mem::forget(admission);
                assert!(limiter.acquire(realm, &all).await.unwrap().decision.is_denied());
                limiter.reset(realm, &all).await.unwrap();
            }
        }
        assert_eq!(rows(fresh.database()).await, (5, 1), "{kind:?}: the other tenant's are left");
        drop(held);
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_an_error_and_another_algorithms_is_none() {
    for kind in Kind::all() {
        let fresh = fresh(*kind).await;
        let limiter = Limiter::new(SqlStore::new(fresh.database()));
        let (all, tenant) = (limits(&limiter, Subject::Whole), TenantId::from(1));
        for limit in &all[..5] {
            assert!(limiter.check(&tenant, &[*limit]).await.unwrap().is_allowed());
        }
        for state in [
            "b1:1:1:0",
            "f1:1:1",
            "w0:1:0:0",
            "x",
            "",
            "b5:x",
            "w1",
            "f5",
            "b0:1:1:0",
            "w0:1:0:1:1",
            "b1:1:1:9223372036854775808",
        ] {
            let mut tx = fresh.database().begin(&scope(&tenant)).await.unwrap();
            let changed =
                tx.execute("UPDATE guardian_rate_limits SET state = $1", params![state]).await.unwrap();
            assert_eq!(changed, 5);
            tx.commit().await.unwrap();
            for limit in &all[..5] {
                match limiter.peek(&tenant, &[*limit]).await {
                    Ok(decision) => assert!(decision.is_allowed(), "{kind:?} {state}"),
                    Err(Error::Store(error)) => {
                        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{state} {error:?}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        limiter.reset(&tenant, &all).await.unwrap();
        assert!(limiter.acquire(&tenant, &all).await.unwrap().decision.is_allowed());
    }
}

#[tokio::test]
async fn rows_that_are_as_good_as_new_are_swept_and_no_others() {
    for kind in Kind::all() {
        let fresh = fresh(*kind).await;
        let clock = ManualClock::new();
        let store = SqlStore::new(fresh.database()).with_time_source(Arc::new(clock.clone()));
        let limiter = Limiter::with_clock(store.clone(), clock.clone());
        let short = limiter.define(policy("short", "1/s burst 1")).unwrap();
        let long = limiter.define(policy("long", "1/day fixed")).unwrap();
        let permits = limiter.define(policy("permits", "2 concurrent for 1s")).unwrap();
        let mut held = Vec::new();
        for tenant in 0..5_u64 {
            let limits = [short, long, permits].map(Limit::whole);
            held.push(limiter.acquire(&TenantId::from(tenant), &limits).await.unwrap());
        }
        held.push(limiter.acquire(Realm::Shared, &[short, permits].map(Limit::whole)).await.unwrap());
        assert_eq!(store.sweep(&leave(), 100).await.unwrap(), 0, "{kind:?}");
        assert_eq!(rows(fresh.database()).await, (11, 6));
        // Rows live to the end of a minute on PostgreSQL.
        clock.advance(Duration::from_secs(70));
        let mut swept = Vec::new();
        while swept.last() != Some(&0) {
            swept.push(store.sweep(&leave(), 4).await.unwrap());
        }
        assert_eq!(swept, [8, 4, 0], "{kind:?}: bounded");
        assert_eq!(rows(fresh.database()).await, (5, 0), "{kind:?}: the day's are left");
        for tenant in 0..5_u64 {
            assert!(limiter.check(&TenantId::from(tenant), &[Limit::whole(long)]).await.unwrap().is_denied());
        }
    }
}

#[tokio::test]
async fn what_was_counted_outlives_the_process() {
    let fresh = fresh(Kind::SqliteFile).await;
    let tenant = TenantId::from(1);
    for left in [1, 0] {
        let db = Database::open(fresh.url()).await.unwrap();
        let store = SqlStore::new(&db);
        assert_eq!(store.migrate().await.unwrap(), 0);
        let limiter = Limiter::new(store);
        let all = limits(&limiter, Subject::Text("POST /deals"));
        let admission = limiter.acquire(&tenant, &all).await.unwrap();
        for outcome in admission.decision.outcomes() {
            assert_eq!(outcome.remaining(), left, "{outcome:?}");
        }
        // As a process that ends without saying good bye.
        std::mem::forget(admission);
        db.close().await;
    }
}

#[tokio::test]
async fn a_tenants_transaction_neither_sees_nor_changes_another_tenants_rows_nor_the_shared_ones() {
    let fresh = fresh(Kind::Postgres).await;
    let db = fresh.database();
    let limiter = Limiter::new(SqlStore::new(db));
    let all = limits(&limiter, Subject::Whole);
    let (a, b) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
    let mut held = Vec::new();
    for realm in [Realm::Tenant(&a), Realm::Tenant(&b), Realm::Shared] {
        held.push(limiter.acquire(realm, &all).await.unwrap());
    }
    let mut tx = db.begin(&scope(&a)).await.unwrap();
    for (sql, expected) in [
        ("UPDATE guardian_rate_limits SET expires_at = expires_at", 5),
        ("UPDATE guardian_rate_permits SET cost = cost", 1),
        ("DELETE FROM guardian_rate_limits WHERE tenant_id = 'b'", 0),
        ("DELETE FROM guardian_rate_limits WHERE tenant_id = '*'", 0),
        ("DELETE FROM guardian_rate_permits WHERE tenant_id <> 'a'", 0),
    ] {
        assert_eq!(tx.execute(sql, &[]).await.unwrap(), expected, "{sql}");
    }
    tx.rollback().await.unwrap();
    // Neither are rows made for another tenant, nor does a function work for one.
    for sql in [
        "INSERT INTO guardian_rate_limits (tenant_id, policy, subject, state, expires_at) VALUES ('b', 'p', 'w', '', 0)",
        "INSERT INTO guardian_rate_limits (tenant_id, policy, subject, state, expires_at) VALUES ('*', 'p', 'w', '', 0)",
        "UPDATE guardian_rate_limits SET tenant_id = 'b', policy = 'q'",
        "INSERT INTO guardian_rate_permits (tenant_id, policy, subject, permit, ends_at, cost) VALUES ('b', 'p', 'w', '', 0, 1)",
        "SELECT guardian_rate_limits_reset('b', 'p0', 'w')",
        "SELECT guardian_rate_limits_reset('*', 'p0', 'w')",
        "SELECT guardian_rate_limits_check('b', 'p0', 'w', '3,1,1,2,1000,0,0', '', false, NULL)::bigint",
        "SELECT guardian_rate_limits_release('b', 'p5', 'w', '')",
        "SELECT count(*) FROM check_rate_limit('b', 'p0', NULL, '2/h')",
    ] {
        let mut tx = db.begin(&scope(&a)).await.unwrap();
        let error = tx.execute(sql, &[]).await.unwrap_err();
        assert!(
            matches!(error.kind(), StoreErrorKind::Constraint | StoreErrorKind::Unsupported),
            "{sql}: {error:?}"
        );
        tx.rollback().await.unwrap();
    }
    // A transaction without a tenant sees none, and after a call of the shared realm that one is closed again.
    let mut tx = db.begin(&scope(&a)).await.unwrap();
    tx.execute("SELECT count(*) FROM check_rate_limit(NULL, 'p0', NULL, '2/h burst 2')", &[]).await.unwrap();
    assert_eq!(tx.execute("DELETE FROM guardian_rate_limits WHERE tenant_id = '*'", &[]).await.unwrap(), 0);
    tx.rollback().await.unwrap();
    assert_eq!(rows(db).await, (15, 3));
    for admission in held {
        admission.permit.unwrap().release().await.unwrap();
    }
    assert_eq!(rows(db).await, (15, 0));
}

#[tokio::test]
async fn ten_thousand_permits_at_once() {
    for kind in Kind::all() {
        let fresh = fresh(*kind).await;
        let limiter = Limiter::new(SqlStore::new(fresh.database()));
        let id = limiter.define(policy("p", "10000 concurrent for 1h")).unwrap();
        let tenant = TenantId::from(1);
        let all = limiter.acquire(&tenant, &[Limit::whole(id).cost(10_000)]).await.unwrap();
        let denied = limiter.acquire(&tenant, &[Limit::whole(id)]).await.unwrap().decision;
        assert!(
            denied.is_denied() && denied.retry_after().is_some_and(|wait| wait <= Duration::from_secs(3600))
        );
        all.permit.unwrap().release().await.unwrap();
        let one = limiter.acquire(&tenant, &[Limit::whole(id)]).await.unwrap();
        assert!(one.decision.is_allowed());
        // Dropping it tells the database in the background.
        drop(one);
        while rows(fresh.database()).await.1 > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn by_the_own_clock_the_stated_wait_is_enough_and_a_refund_finds_its_charge() {
    let clock = SystemClock::new();
    for kind in Kind::all() {
        let fresh = fresh(*kind).await;
        let limiter = Limiter::new(SqlStore::new(fresh.database()));
        let tenant = TenantId::from(1);
        for (at, rule) in ["7/100ms burst 1", "1/30ms sliding", "2/30ms sliding strict 3"].iter().enumerate()
        {
            let limits = [Limit::whole(limiter.define(policy(&format!("p{at}"), rule)).unwrap())];
            for _ in 0..10 {
                let mut decision = limiter.check(&tenant, &limits).await.unwrap();
                while decision.is_allowed() {
                    decision = limiter.check(&tenant, &limits).await.unwrap();
                }
                tokio::time::sleep(decision.retry_after().unwrap()).await;
                assert!(limiter.check(&tenant, &limits).await.unwrap().is_allowed(), "{kind:?} {rule}");
            }
        }
        for (at, rule) in ["5/h", "5/h sliding", "5/h sliding strict 7", "5/day fixed"].iter().enumerate() {
            let limits = [Limit::whole(limiter.define(policy(&format!("r{at}"), rule)).unwrap())];
            let begun = clock.monotonic();
            let decision = limiter.check(&tenant, &limits).await.unwrap();
            // A check that the server was slow to hear of is given back less the time until it heard.
            let under_way = clock.monotonic().since(begun);
            for _ in 0..2 {
                // The second time it is never better than new.
                limiter.refund(&tenant, &limits, decision.at()).await.unwrap();
                if *kind == Kind::Postgres {
                    tokio::time::sleep(under_way).await;
                }
                let after = limiter.peek(&tenant, &limits).await.unwrap();
                assert_eq!(after.binding().unwrap().remaining(), 4, "{kind:?} {rule}");
            }
        }
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_refund_is_whole_although_the_check_and_the_refund_had_to_wait() {
    let clock = SystemClock::new();
    let fresh = fresh(Kind::SqliteFile).await;
    let limiter = Limiter::new(SqlStore::new(fresh.database()));
    let (tenant, other) = (TenantId::from(1), TenantId::from(2));
    let write = "INSERT INTO guardian_rate_limits (tenant_id, policy, subject, state, expires_at)
        VALUES ($1, 'p', $2, 'f9:9:9', 9)";
    for (at, rule) in ["5/h", "5/h sliding", "5/h sliding strict 7", "5/day fixed"].iter().enumerate() {
        let limits = [Limit::whole(limiter.define(policy(&format!("p{at}"), rule)).unwrap())];
        let busy = async |subject: &str| {
            let mut tx = fresh.database().begin(&scope(&other)).await.unwrap();
            tx.execute(write, params![other, format!("{subject}{at}")]).await.unwrap();
            tx
        };
        let hold = async |tx: TenantTx| {
            tokio::time::sleep(Duration::from_millis(300)).await;
            tx.commit().await.unwrap();
        };
        let begun = clock.monotonic();
        let (decision, ()) = tokio::join!(limiter.check(&tenant, &limits), hold(busy("check").await));
        let refund = limiter.refund(&tenant, &limits, decision.unwrap().at());
        let (refunded, ()) = tokio::join!(refund, hold(busy("refund").await));
        refunded.unwrap();
        assert!(clock.monotonic().since(begun) >= Duration::from_millis(600));
        let after = limiter.peek(&tenant, &limits).await.unwrap();
        assert_eq!(after.binding().unwrap().remaining(), 4, "{rule}");
    }
}

#[test]
fn the_schema_is_well_made() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        SqlStore::MIGRATIONS.check(dialect).unwrap();
    }
}
