//! Transactions that meet are run again, and the result is as if they had come one after the other.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use guardian_core::{StoreError, StoreErrorKind};
use guardian_sql::{Retry, params, retry};

use crate::basics::{on_each, scope};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_increment_is_lost_between_serializable_transactions() {
    on_each(async |fresh| {
        let db = fresh.database();
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        tx.execute("INSERT INTO notes (tenant_id, id, body) VALUES ('acme', 0, '0')", &[]).await.unwrap();
        tx.commit().await.unwrap();
        let policy = Retry::default()
            .with_attempts(100)
            .with_backoff(Duration::from_micros(100), Duration::from_millis(5));
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let (db, policy) = (db.clone(), policy.clone());
            tasks.push(tokio::spawn(async move {
                for _ in 0..25 {
                    retry(&policy, || async {
                        let mut tx = db.begin_serializable(&scope("acme")).await?;
                        let row = tx
                            .fetch_one("SELECT body FROM notes WHERE tenant_id = 'acme' AND id = 0", &[])
                            .await?;
                        let next = row.get::<&str>(0)?.parse::<i64>().unwrap() + 1;
                        let update = "UPDATE notes SET body = $1 WHERE tenant_id = 'acme' AND id = 0";
                        tx.execute(update, params![next.to_string()]).await?;
                        tx.commit().await
                    })
                    .await
                    .unwrap();
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let mut tx = db.begin_read(&scope("acme")).await.unwrap();
        let row = tx.fetch_one("SELECT body FROM notes", &[]).await.unwrap();
        assert_eq!(row.get::<&str>(0).unwrap(), "100");
    })
    .await;
}

#[tokio::test]
async fn attempts_are_bounded_and_other_errors_come_at_once() {
    for (kind, expected) in [(StoreErrorKind::Conflict, 3), (StoreErrorKind::Unavailable, 1)] {
        let calls = AtomicU32::new(0);
        let policy = Retry::default().with_attempts(3).with_backoff(Duration::ZERO, Duration::ZERO);
        let done: Result<(), StoreError> = retry(&policy, || async {
            calls.fetch_add(1, Ordering::Relaxed);
            Err(StoreError::new(kind, "memory"))
        })
        .await;
        assert_eq!(done.unwrap_err().kind(), kind);
        assert_eq!(calls.load(Ordering::Relaxed), expected);
    }
}

#[test]
fn delays_double_up_to_the_cap_and_are_drawn_from_the_source() {
    let (ms, cap) = (Duration::from_millis, Duration::from_millis(50));
    let most = Retry::default().with_backoff(ms(10), cap).with_random(|| u64::MAX);
    for (attempt, limit) in [(1, 10), (2, 20), (3, 40), (4, 50), (40, 50), (u32::MAX, 50)] {
        let delay = most.delay(attempt);
        assert!(delay <= ms(limit) && delay > ms(limit - 1), "{attempt}: {delay:?}");
    }
    let least = most.clone().with_random(|| 0);
    assert_eq!(least.delay(5), Duration::ZERO);
    let half = most.with_random(|| 1 << 31);
    assert_eq!(half.delay(1), ms(5));
}
