//! On databases: two processes' worth of services, and walls that hold when a predicate is forgotten.

use std::sync::Arc;
use std::time::{Duration, Instant};

use guardian_core::{Actor, Scope, TenantId};
use guardian_rbac::{Ask, NewGrant, Rbac, Role, Rule, SqlStore, store::MIGRATIONS};
use guardian_sql::testkit::Kind;
use guardian_sql::{Database, Unscoped};

use crate::service::{as_user, catalog, host};

/// How often the services of the tests follow.
const TURN: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_seen_by_another_process_within_a_second() {
    for kind in [Kind::SqliteFile, Kind::Postgres] {
        let fresh = kind.open(&[&MIGRATIONS]).await.unwrap();
        // Two services that share nothing but the database, as two processes do: each has connections of its own.
        let one = Rbac::new(catalog(), SqlStore::new(Database::open(fresh.url()).await.unwrap()));
        let two = Rbac::new(catalog(), SqlStore::new(Database::open(fresh.url()).await.unwrap()));
        let role = Role::new("rep").unwrap().with(Rule::allow("deal:edit").unwrap());
        one.put_role(&host(), role).await.unwrap();
        two.load(&host()).await.unwrap();
        let follower = {
            let two = two.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(TURN).await;
                    two.follow().await.unwrap();
                }
            })
        };
        let ann = as_user("ann");
        let ask = Ask::new(ann.actor(), "deal:edit");
        let mut slowest = Duration::ZERO;
        for _ in 0..5 {
            let new = NewGrant::new("user:ann".parse().unwrap(), "rep", "a test").unwrap();
            let (grant, token) = one.grant(&host(), new).await.unwrap();
            assert!(two.ask_at_least(&ann, &ask, token).await.unwrap().is_allowed());
            one.revoke(&host(), grant).await.unwrap();
            assert!(!one.ask_local(&ann, &ask).unwrap().is_allowed());
            let revoked = clock();
            while two.ask_local(&ann, &ask).unwrap().is_allowed() {
                assert!(revoked.elapsed() < Duration::from_secs(10), "{kind:?}: never seen");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            slowest = slowest.max(revoked.elapsed());
        }
        follower.abort();
        assert!(slowest < Duration::from_secs(1), "{kind:?}: seen after {slowest:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_makes_a_change_seen_without_a_turn() {
    let fresh = Kind::Postgres.open(&[&MIGRATIONS]).await.unwrap();
    let one = Rbac::new(catalog(), SqlStore::new(Database::open(fresh.url()).await.unwrap()));
    let two = Rbac::new(catalog(), SqlStore::new(Database::open(fresh.url()).await.unwrap()));
    let role = Role::new("rep").unwrap().with(Rule::allow("deal:edit").unwrap());
    one.put_role(&host(), role).await.unwrap();
    two.load(&host()).await.unwrap();
    // The first answer is that anything may have changed before anybody listened.
    two.heed().await.unwrap();
    let follower = {
        let two = two.clone();
        tokio::spawn(async move {
            loop {
                two.heed().await.unwrap();
            }
        })
    };
    let ann = as_user("ann");
    let ask = Ask::new(ann.actor(), "deal:edit");
    let until = async |allowed: bool| {
        let begun = clock();
        while two.ask_local(&ann, &ask).unwrap().is_allowed() != allowed {
            assert!(begun.elapsed() < Duration::from_secs(10), "never seen");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    for _ in 0..5 {
        let new = NewGrant::new("user:ann".parse().unwrap(), "rep", "a test").unwrap();
        let (grant, _) = one.grant(&host(), new).await.unwrap();
        until(true).await;
        one.revoke(&host(), grant).await.unwrap();
        until(false).await;
    }
    follower.abort();
}

#[expect(clippy::disallowed_methods, reason = "it measures how long another process takes in truth")]
fn clock() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn a_statement_without_a_tenant_finds_nothing_of_another() {
    let fresh = Kind::Postgres.open(&[&MIGRATIONS]).await.unwrap();
    let rbac = Rbac::new(catalog(), SqlStore::new(fresh.database().clone()));
    rbac.put_role(&host(), Role::new("rep").unwrap().with(Rule::allow("deal:edit").unwrap())).await.unwrap();
    let new = NewGrant::new("user:ann".parse().unwrap(), "rep", "a test").unwrap();
    rbac.grant(&host(), new).await.unwrap();
    let counts = async |scope: &Scope| {
        let mut tx = fresh.database().begin_read(scope).await.unwrap();
        let mut found = Vec::new();
        for sql in [
            "SELECT count(*) FROM guardian_rbac_heads",
            "SELECT count(*) FROM guardian_rbac_items",
            "SELECT count(*) FROM guardian_rbac_log",
        ] {
            found.push(tx.fetch_one(sql, &[]).await.unwrap().get::<i64>(0).unwrap());
        }
        found
    };
    assert_eq!(counts(&host()).await, [1, 2, 2]);
    let other = Scope::new(TenantId::new("globex").unwrap(), Actor::user("eve").unwrap());
    assert_eq!(counts(&other).await, [0, 0, 0]);
    // Nor does a transaction across tenants: these tables know no platform.
    let reason = Unscoped::new(host(), "a test of the policies").unwrap();
    let mut tx = fresh.database().begin_unscoped(&reason).await.unwrap();
    let row = tx.fetch_one("SELECT count(*) FROM guardian_rbac_items", &[]).await.unwrap();
    assert_eq!(row.get::<i64>(0).unwrap(), 0);
    // Writing into another's policy is refused by the database.
    let mut tx = fresh.database().begin(&other).await.unwrap();
    let sql = "INSERT INTO guardian_rbac_heads (tenant_id, revision) VALUES ('acme', 99)";
    assert!(tx.execute(sql, &[]).await.is_err());
}

#[tokio::test]
async fn a_policy_survives_and_services_that_write_at_once_lose_nothing() {
    for kind in [Kind::SqliteFile, Kind::Postgres] {
        let fresh = kind.open(&[&MIGRATIONS]).await.unwrap();
        let services: Vec<Rbac> =
            (0..3).map(|_| Rbac::new(catalog(), SqlStore::new(fresh.database().clone()))).collect();
        services[0]
            .put_role(&host(), Role::new("rep").unwrap().with(Rule::allow("deal:edit").unwrap()))
            .await
            .unwrap();
        let writers: Vec<_> = services
            .iter()
            .enumerate()
            .map(|(at, rbac)| {
                let rbac = Arc::new(rbac.clone());
                tokio::spawn(async move {
                    for number in 0..6 {
                        let who = format!("user:u{at}-{number}").parse().unwrap();
                        let new = NewGrant::new(who, "rep", "a test").unwrap();
                        let mut tries = 0;
                        while let Err(error) = rbac.grant(&host(), new.clone()).await {
                            tries += 1;
                            assert!(tries < 50, "{error:?}");
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        let reopened = Rbac::new(catalog(), SqlStore::new(fresh.database().clone()));
        let policy = reopened.load(&host()).await.unwrap().policy();
        assert_eq!(policy.grants().len(), 18, "{kind:?}");
        for rbac in &services {
            rbac.refresh(&host()).await.unwrap();
            let tenant = rbac.tenant(host().tenant()).unwrap();
            assert_eq!(tenant.policy().grants().len(), 18, "{kind:?}");
            assert!(tenant.snapshot().principals() >= 18);
        }
    }
}
