//! A PostgreSQL that is killed, hangs and comes back, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use guardian_core::{StoreError, StoreErrorKind};
use guardian_sql::testkit::PostgresServer;
use guardian_sql::{Database, DatabaseConfig, params};
use tokio::time::timeout;

use crate::basics::{NOTES, scope};

/// No call may take as long as this: far more than its timeouts, for a machine under load.
const BOUND: Duration = Duration::from_secs(10);

fn tight() -> DatabaseConfig {
    DatabaseConfig::default()
        .with_max_connections(4)
        .with_acquire_timeout(Duration::from_millis(500))
        .with_statement_timeout(Duration::from_millis(500))
}

async fn note(db: &Database, id: i64) -> Result<(), StoreError> {
    let mut tx = db.begin(&scope("acme")).await?;
    tx.execute("INSERT INTO notes (tenant_id, id, body) VALUES ('acme', $1, 'x')", params![id]).await?;
    tx.commit().await
}

async fn recovered(db: &Database) {
    let asking = async {
        while db.begin_read(&scope("acme")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(60), asking).await.expect("the database did not recover by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_calls_fail_as_unavailable_and_all_that_was_acknowledged_is_there() {
    let mut server = PostgresServer::new().unwrap();
    server.start().await.unwrap();
    let db = Database::open_with(&server.url(), tight()).await.unwrap();
    db.migrate(&NOTES).await.unwrap();
    let next = Arc::new(AtomicU64::new(0));
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let (stop, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let (db, stop, lost, next) =
                (db.clone(), Arc::clone(&stop), Arc::clone(&lost), Arc::clone(&next));
            tasks.push(tokio::spawn(async move {
                let mut kept = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let id = i64::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
                    match timeout(BOUND, note(&db, id)).await.expect("a call hung") {
                        Ok(()) => kept.push(id),
                        Err(error) => {
                            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
                            lost.fetch_add(1, Ordering::Relaxed);
                            tokio::task::yield_now().await;
                        }
                    }
                }
                kept
            }));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.kill().unwrap();
        let seen = async {
            while lost.load(Ordering::Relaxed) < 200 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), seen).await.expect("calls wait while the server is away");
        server.start().await.unwrap();
        recovered(&db).await;
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            acknowledged.extend(task.await.unwrap());
        }
        assert!(!acknowledged.is_empty(), "{round}");
    }
    let mut tx = db.begin_read(&scope("acme")).await.unwrap();
    let rows = tx.fetch_all("SELECT id FROM notes", &[]).await.unwrap();
    let found: std::collections::HashSet<i64> = rows.iter().map(|row| row.get(0).unwrap()).collect();
    assert!(acknowledged.iter().all(|id| found.contains(id)), "an acknowledged note is lost");
}

#[tokio::test]
async fn connections_that_lay_idle_through_a_restart_cost_no_error() {
    let mut server = PostgresServer::new().unwrap();
    server.start().await.unwrap();
    let db = Database::open_with(&server.url(), tight()).await.unwrap();
    db.migrate(&NOTES).await.unwrap();
    // Four idle connections.
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(db.begin(&scope("acme")).await.unwrap());
    }
    for tx in open {
        tx.rollback().await.unwrap();
    }
    server.kill().unwrap();
    server.start().await.unwrap();
    for id in 0..8 {
        note(&db, id).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_in_time_and_taken_back() {
    let mut server = PostgresServer::new().unwrap();
    server.start().await.unwrap();
    let db = Database::open_with(&server.url(), tight()).await.unwrap();
    db.migrate(&NOTES).await.unwrap();
    let mut tx = db.begin(&scope("acme")).await.unwrap();
    server.hang().unwrap();
    let call = tx.execute("INSERT INTO notes (tenant_id, id, body) VALUES ('acme', 1, 'x')", &[]);
    let error = timeout(BOUND, call).await.expect("a call hung").unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Timeout, "{error:?}");
    timeout(BOUND, tx.rollback()).await.expect("a rollback hung").unwrap();
    for _ in 0..3 {
        let error = timeout(BOUND, db.begin(&scope("acme"))).await.expect("a call hung").unwrap_err();
        assert!(error.is_transient(), "{error:?}");
    }
    server.go_on().unwrap();
    recovered(&db).await;
    note(&db, 2).await.unwrap();
}

#[tokio::test]
async fn a_service_starts_while_its_server_is_away() {
    let mut server = PostgresServer::new().unwrap();
    let db = Database::lazy(&server.url(), tight()).unwrap();
    for _ in 0..5 {
        let error = timeout(BOUND, db.begin(&scope("acme"))).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }
    assert!(Database::open_with(&server.url(), tight()).await.is_err());
    server.start().await.unwrap();
    db.migrate(&NOTES).await.unwrap();
    note(&db, 1).await.unwrap();
}
