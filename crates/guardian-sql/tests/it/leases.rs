//! One holder at a time, tokens that grow, and a fence against those who overslept.

use std::collections::HashSet;
use std::time::Duration;

use guardian_core::{ManualClock, StoreErrorKind};
use guardian_sql::{Database, Leases, params};

use crate::basics::{on_each, scope};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_lease_has_one_holder_until_it_ends() {
    on_each(async |fresh| {
        fresh.migrate(&Leases::MIGRATIONS).await.unwrap();
        let clock = ManualClock::new();
        let leases = Leases::new(fresh.database(), clock.clone());
        let mut first = leases.acquire("job", "a", MINUTE).await.unwrap().unwrap();
        assert!(leases.acquire("job", "b", MINUTE).await.unwrap().is_none());
        assert!(
            leases.acquire("job", "a", MINUTE).await.unwrap().is_none(),
            "a restarted holder is another one"
        );
        assert!(leases.acquire("other", "b", MINUTE).await.unwrap().is_some());
        clock.advance(Duration::from_secs(59));
        assert!(leases.renew(&mut first, MINUTE).await.unwrap());
        clock.advance(Duration::from_secs(59));
        assert!(leases.acquire("job", "b", MINUTE).await.unwrap().is_none());
        clock.advance(Duration::from_secs(1));
        let second = leases.acquire("job", "b", MINUTE).await.unwrap().unwrap();
        assert!(second.token() > first.token());
        assert!(!leases.renew(&mut first, MINUTE).await.unwrap());
        assert!(!leases.release(first.clone()).await.unwrap());

        let db = fresh.database();
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        tx.execute("INSERT INTO notes (tenant_id, id, body) VALUES ('acme', 1, '')", &[]).await.unwrap();
        assert_eq!(first.fence(&mut tx).await.unwrap_err().kind(), StoreErrorKind::Conflict);
        assert!(tx.commit().await.is_err(), "a fenced transaction keeps nothing");
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        second.fence(&mut tx).await.unwrap();
        tx.commit().await.unwrap();

        assert!(leases.release(second).await.unwrap());
        let third = leases.acquire("job", "c", MINUTE).await.unwrap().unwrap();
        assert_eq!((third.token(), third.to_string()), (3, "job#3".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn names_and_times_are_bounded() {
    on_each(async |fresh| {
        fresh.migrate(&Leases::MIGRATIONS).await.unwrap();
        let leases = Leases::new(fresh.database(), ManualClock::new());
        let long = "x".repeat(201);
        for (name, holder, time) in [
            ("", "a", MINUTE),
            ("job", "", MINUTE),
            (&*long, "a", MINUTE),
            ("a\nb", "a", MINUTE),
            ("job", "a", Duration::ZERO),
            ("job", "a", Duration::MAX),
        ] {
            assert!(leases.acquire(name, holder, time).await.is_err());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_try_at_once_get_it_one_after_the_other() {
    on_each(async |fresh| {
        fresh.migrate(&Leases::MIGRATIONS).await.unwrap();
        let mut tasks = Vec::new();
        for worker in 0..8 {
            // Each over connections of its own, as another process would be; memory has only the one.
            let db = match fresh.url() {
                "sqlite::memory:" => fresh.database().clone(),
                url => Database::open(url).await.unwrap(),
            };
            tasks.push(tokio::spawn(async move {
                let leases = Leases::new(&db, ManualClock::new());
                let mut tokens = Vec::new();
                while tokens.len() < 10 {
                    let Some(lease) = leases.acquire("job", &format!("w{worker}"), MINUTE).await.unwrap()
                    else {
                        tokio::task::yield_now().await;
                        continue;
                    };
                    tokens.push(lease.token());
                    let mut tx = db.begin(&scope("acme")).await.unwrap();
                    lease.fence(&mut tx).await.unwrap();
                    let insert = "INSERT INTO notes (tenant_id, id, body) VALUES ('acme', $1, '')";
                    tx.execute(insert, params![lease.token()]).await.unwrap();
                    tx.commit().await.unwrap();
                    assert!(leases.release(lease).await.unwrap());
                }
                tokens
            }));
        }
        let mut tokens = HashSet::new();
        for task in tasks {
            for token in task.await.unwrap() {
                assert!(tokens.insert(token), "two holders had the token {token}");
            }
        }
        assert_eq!(tokens.len(), 80);
    })
    .await;
}
