//! Callers that go away in the middle: no open transaction and no setting outlives them.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use guardian_core::StoreErrorKind;
use guardian_sql::testkit::Kind;
use guardian_sql::{DatabaseConfig, Dialect, params};

use crate::basics::{NOTES, on_each, scope};

/// Time for another thread to get on with its work.
const MOMENT: Duration = Duration::from_micros(200);

/// Lets a future run for that many polls, and drops it. They are a moment of real time apart, or follow each other at once:
/// then the work has hardly begun, however slow the machine is.
async fn abandon(work: impl Future, polls: usize, pause: Option<Duration>) -> bool {
    let mut work = pin!(work);
    for _ in 0..polls {
        if matches!(work.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_)) {
            return true;
        }
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_dropped_at_any_point_is_whole_or_absent() {
    on_each(async |fresh| {
        let db = fresh.database();
        let (mut finished, mut dropped) = (0_i64, 0);
        // On some days the work is nearly always done before it is dropped; then it takes more rounds until enough was dropped.
        for round in 0..1_000_usize {
            if round >= 60 && dropped > 5 {
                break;
            }
            let work = async {
                let mut tx = db.begin(&scope("acme")).await.unwrap();
                let id = i64::try_from(round).unwrap();
                let insert = "INSERT INTO notes (tenant_id, id, body) VALUES ($1, $2, 'x')";
                tx.execute(insert, params!["acme", id * 2]).await.unwrap();
                if round % 3 == 0 {
                    tx.execute_and_commit(insert, params!["acme", id * 2 + 1]).await.unwrap();
                } else {
                    tx.execute(insert, params!["acme", id * 2 + 1]).await.unwrap();
                    tx.commit().await.unwrap();
                }
            };
            let pause = (round % 2 == 0).then_some(MOMENT);
            if abandon(work, round % 30, pause).await { finished += 1 } else { dropped += 1 }
        }
        assert!(dropped > 5, "{dropped}");
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        let rows = tx.fetch_all("SELECT id FROM notes ORDER BY id", &[]).await.unwrap();
        let ids: Vec<i64> = rows.iter().map(|row| row.get(0).unwrap()).collect();
        assert!(
            ids.chunks(2).all(|pair| pair.len() == 2 && pair[0] % 2 == 0 && pair[1] == pair[0] + 1),
            "{ids:?}"
        );
        // A commit whose caller went away may have been kept.
        assert!(i64::try_from(ids.len()).unwrap() / 2 >= finished, "{ids:?} {finished}");
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_commit_after_an_abandoned_statement_fails() {
    on_each(async |fresh| {
        let db = fresh.database();
        let insert = "INSERT INTO notes (tenant_id, id, body) VALUES ('acme', $1, 'x')";
        let tx_dialect = db.dialect();
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        tx.execute(insert, params![1_i64]).await.unwrap();
        assert!(!abandon(tx.execute(slow(tx_dialect), &[]), 1, Some(MOMENT)).await);
        assert!(tx.execute(insert, params![3_i64]).await.is_err());
        assert!(tx.commit().await.is_err());
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        assert!(tx.fetch_optional("SELECT 1 FROM notes", &[]).await.unwrap().is_none());
        // Through a savepoint the transaction goes on.
        tx.execute(insert, params![1_i64]).await.unwrap();
        {
            let mut part = tx.savepoint().await.unwrap();
            part.execute(insert, params![2_i64]).await.unwrap();
            assert!(!abandon(part.execute(slow(tx_dialect), &[]), 1, Some(MOMENT)).await);
        }
        tx.execute(insert, params![3_i64]).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = db.begin_read(&scope("acme")).await.unwrap();
        let ids: Vec<i64> = tx
            .fetch_all("SELECT id FROM notes ORDER BY id", &[])
            .await
            .unwrap()
            .iter()
            .map(|r| r.get(0).unwrap())
            .collect();
        assert_eq!(ids, [1, 3]);
    })
    .await;
}

/// Takes for ever, unless it is stopped.
fn endless(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => {
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n WHERE i < 0"
        }
        Dialect::Postgres => "SELECT count(pg_sleep(3600)) FROM generate_series(1, 2)",
    }
}

/// Takes a while, or as long as it is let.
fn slow(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => endless(dialect),
        Dialect::Postgres => "SELECT pg_sleep(0.2)",
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended_and_the_connection_serves_on() {
    for kind in Kind::all() {
        let config = DatabaseConfig::default()
            .with_max_connections(1)
            .with_statement_timeout(Duration::from_millis(100));
        let fresh = kind.open_with(&[&NOTES], config).await.unwrap();
        let db = fresh.database();
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        tx.execute("INSERT INTO notes (tenant_id, id, body) VALUES ('acme', 1, 'x')", &[]).await.unwrap();
        {
            let mut part = tx.savepoint().await.unwrap();
            let error = part.fetch_one(endless(db.dialect()), &[]).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Timeout, "{error:?}");
            part.roll_back().await.unwrap();
        }
        // The rest of the transaction is not stopped along with it.
        for id in 2..50_i64 {
            tx.execute("INSERT INTO notes (tenant_id, id, body) VALUES ('acme', $1, 'x')", params![id])
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        let error = tx.fetch_one(endless(db.dialect()), &[]).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Timeout, "{error:?}");
        drop(tx);
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        let row = tx.fetch_one("SELECT count(*) FROM notes", &[]).await.unwrap();
        assert_eq!(row.get::<i64>(0).unwrap(), 49);
    }
}

#[tokio::test]
async fn an_endless_statement_whose_caller_went_away_holds_nobody_up() {
    on_each(async |fresh| {
        let db = fresh.database();
        for _ in 0..4 {
            let mut tx = db.begin(&scope("acme")).await.unwrap();
            tx.execute("INSERT INTO notes (tenant_id, id, body) VALUES ('acme', 1, 'x')", &[]).await.unwrap();
            assert!(!abandon(tx.fetch_one(endless(db.dialect()), &[]), 3, Some(MOMENT)).await);
        }
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        tx.execute("INSERT INTO notes (tenant_id, id, body) VALUES ('acme', 1, 'x')", &[]).await.unwrap();
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_transaction_can_be_dropped_outside_of_the_runtime() {
    on_each(async |fresh| {
        let db = fresh.database();
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        tx.execute("INSERT INTO notes (tenant_id, id, body) VALUES ('acme', 1, 'x')", &[]).await.unwrap();
        std::thread::spawn(move || drop(tx)).join().unwrap();
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        assert!(tx.fetch_optional("SELECT 1 FROM notes", &[]).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_stream_dropped_early_costs_nothing_and_the_transaction_goes_on() {
    on_each(async |fresh| {
        let mut tx = fresh.database().begin(&scope("acme")).await.unwrap();
        let many =
            "WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
        for wanted in [0_i64, 1, 10, 255, 256, 257, 1000] {
            let mut rows = tx.stream(many, &[]).await.unwrap();
            for expected in 1..=wanted {
                assert_eq!(rows.next().await.unwrap().unwrap().get::<i64>(0).unwrap(), expected);
            }
            drop(rows);
            assert_eq!(tx.fetch_one("SELECT 5 AS v", &[]).await.unwrap().get::<i64>("v").unwrap(), 5);
        }
        let error = tx.stream("DELETE FROM notes", &[]).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported);
        tx.commit().await.unwrap();
    })
    .await;
}
