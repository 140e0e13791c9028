//! Many tenants on few connections: no setting of one is ever seen by another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guardian_core::StoreErrorKind;
use guardian_sql::testkit::Kind;
use guardian_sql::{DatabaseConfig, Migration, Migrations, params};

use crate::basics::{NOTES, scope};

/// A table that row-level security guards, as guardian-tenant installs it.
const GUARDED: Migrations = Migrations::new(
    "guarded",
    &[Migration::new(
        1,
        "create_guarded",
        "",
        "CREATE TABLE guarded (tenant_id TEXT NOT NULL, id BIGINT NOT NULL, PRIMARY KEY (tenant_id, id));
         ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
         ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
         CREATE POLICY tenant ON guarded USING (tenant_id = current_setting('guardian.tenant'))
             WITH CHECK (tenant_id = current_setting('guardian.tenant'))",
    )],
);

const SETTING: &str = "SELECT current_setting('guardian.tenant') AS tenant, count(*) AS n, min(tenant_id) AS least, \
                       max(tenant_id) AS greatest FROM guarded";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_interleaved_transactions_of_fifty_tenants_on_four_connections() {
    let config =
        DatabaseConfig::default().with_max_connections(4).with_acquire_timeout(Duration::from_secs(120));
    let fresh = Kind::Postgres.open_with(&[&GUARDED], config).await.unwrap();
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for _ in 0..16 {
        let (db, next) = (fresh.database().clone(), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= 10_000 {
                    return;
                }
                let tenant = format!("t{}", number % 50);
                let mut tx = db.begin(&scope(&tenant)).await.unwrap();
                let id = i64::try_from(number).unwrap();
                // No statement names the tenant where it reads: the setting alone keeps them apart.
                let row = tx.fetch_one(SETTING, &[]).await.unwrap();
                assert_eq!(row.get::<&str>("tenant").unwrap(), tenant);
                for column in ["least", "greatest"] {
                    assert!(row.get::<Option<&str>>(column).unwrap().is_none_or(|found| found == tenant));
                }
                let insert = "INSERT INTO guarded (tenant_id, id) VALUES ($1, $2)";
                match number % 7 {
                    0 => drop(tx),
                    1 => tx.rollback().await.unwrap(),
                    2 => {
                        // A write in another's name is refused, and the transaction with it.
                        let error = tx.execute(insert, params!["somebody-else", id]).await.unwrap_err();
                        assert_eq!(error.kind(), StoreErrorKind::Constraint, "{error:?}");
                        let violation =
                            guardian_sql::Fault::of(&error).and_then(guardian_sql::Fault::violation);
                        assert_eq!(violation, Some(guardian_sql::Violation::Policy));
                        assert!(tx.commit().await.is_err());
                    }
                    _ => {
                        tx.execute(insert, params![tenant, id]).await.unwrap();
                        tx.commit().await.unwrap();
                    }
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    // What the last transactions left on the connections: nothing, which reads as empty and not as NULL.
    let unscoped = guardian_sql::Unscoped::new(scope("operator"), "look at what is left behind").unwrap();
    for _ in 0..8 {
        let mut tx = fresh.database().begin_unscoped(&unscoped).await.unwrap();
        let row = tx.fetch_one("SELECT current_setting('guardian.tenant') AS t", &[]).await.unwrap();
        assert_eq!(row.get::<Option<&str>>("t").unwrap(), Some(""));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_one_file_take_turns_and_readers_do_not_wait() {
    let config =
        DatabaseConfig::default().with_max_connections(4).with_acquire_timeout(Duration::from_secs(60));
    let fresh = Kind::SqliteFile.open_with(&[&NOTES], config).await.unwrap();
    let db = fresh.database();
    // A reader that holds its view while eight writers write.
    let mut reader = db.begin_read(&scope("acme")).await.unwrap();
    let count = "SELECT count(*) AS n FROM notes";
    assert_eq!(reader.fetch_one(count, &[]).await.unwrap().get::<i64>("n").unwrap(), 0);
    let mut tasks = Vec::new();
    for writer in 0..8_i64 {
        let db = db.clone();
        tasks.push(tokio::spawn(async move {
            for id in 0..50 {
                let mut tx = db.begin(&scope("acme")).await.unwrap();
                tx.execute(
                    "INSERT INTO notes (tenant_id, id, body) VALUES ('acme', $1, 'x')",
                    params![writer * 100 + id],
                )
                .await
                .unwrap();
                tx.commit().await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(reader.fetch_one(count, &[]).await.unwrap().get::<i64>("n").unwrap(), 0);
    drop(reader);
    let mut reader = db.begin_read(&scope("acme")).await.unwrap();
    assert_eq!(reader.fetch_one(count, &[]).await.unwrap().get::<i64>("n").unwrap(), 400);
}

#[tokio::test]
async fn a_closed_database_waits_for_what_runs_and_takes_nothing_new() {
    for kind in Kind::all() {
        let fresh = kind.open(&[&NOTES]).await.unwrap();
        let db = fresh.database().clone();
        let tx = db.begin(&scope("acme")).await.unwrap();
        let mut closing = Box::pin(db.close());
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut closing).await.is_err());
        tx.commit().await.unwrap();
        closing.await;
        let error = db.begin(&scope("acme")).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }
}
