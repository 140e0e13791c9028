//! The SQL store while its server is killed, and while the way to it is cut, hangs and comes back, under load. A relay between
//! the two is quicker to cut and open than a PostgreSQL is to kill and start.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use guardian_core::{StoreErrorKind, TenantId};
use guardian_ratelimit::{DecisionSource, Error, Limit, Limiter, OnStoreError, SqlStore};
use guardian_sql::testkit::{Fresh, Kind, PostgresServer};
use guardian_sql::{Database, DatabaseConfig, Durability};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::sql::{fresh, policy};

/// No call may take as long as this: far more than its timeouts, for a machine under load.
const BOUND: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Open,
    /// Bytes arrive and go no further.
    Hangs,
    /// Connections are closed, and new ones too.
    Cut,
}

/// Passes bytes on, as long as it may.
struct Relay {
    port: u16,
    way: watch::Sender<Way>,
    task: JoinHandle<()>,
}

impl Relay {
    async fn new(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (way, watcher) = watch::channel(Way::Open);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *watcher.borrow() == Way::Cut {
                    continue;
                }
                let server = TcpStream::connect(&server).await.unwrap();
                let ((from, to), (back_from, back_to)) = (client.into_split(), server.into_split());
                tokio::spawn(pass(from, back_to, watcher.clone()));
                tokio::spawn(pass(back_from, to, watcher.clone()));
            }
        });
        Self { port, way, task }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut way: watch::Receiver<Way>,
) {
    let mut bytes = vec![0; 8192];
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read.unwrap_or(0),
            gone = way.wait_for(|way| *way == Way::Cut) => { let _ = gone; 0 }
        };
        let open = way.wait_for(|way| *way != Way::Hangs).await.is_ok_and(|way| *way == Way::Open);
        if read == 0 || !open || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

/// Times that a request can bear.
fn tight() -> DatabaseConfig {
    DatabaseConfig::default()
        .with_max_connections(4)
        .with_acquire_timeout(Duration::from_millis(500))
        .with_statement_timeout(Duration::from_millis(500))
}

/// The application's database behind a relay.
async fn behind_a_relay(fresh: &Fresh) -> (Relay, Database) {
    let (before, rest) = fresh.url().rsplit_once('@').unwrap();
    let (address, rest) = rest.split_once('/').unwrap();
    let relay = Relay::new(address.to_owned()).await;
    let url = format!("{before}@127.0.0.1:{}/{rest}", relay.port);
    let db = Database::open_with(&url, tight()).await.unwrap();
    (relay, db)
}

/// Asks until the store itself answers.
async fn recovered(limiter: &Limiter<SqlStore>, limits: &[Limit<'_>]) {
    recovered_for(limiter, &TenantId::from(1), limits).await;
}

async fn recovered_for(limiter: &Limiter<SqlStore>, tenant: &TenantId, limits: &[Limit<'_>]) {
    let asking = async {
        while limiter.check(tenant, limits).await.unwrap().source() != DecisionSource::Store {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(60), asking).await.expect("the store did not recover by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_off_under_load_each_policy_answers_as_declared_and_all_recover() {
    let fresh = fresh(Kind::Postgres).await;
    let (relay, db) = behind_a_relay(&fresh).await;
    let limiter = Limiter::new(SqlStore::new(&db));
    let processes = NonZeroU32::new(10).unwrap();
    let of = |name, rule, answer| limiter.define(policy(name, rule).on_store_error(answer)).unwrap();
    let open = of("open", "1000000000/h", OnStoreError::Open);
    let closed = of("closed", "1000000000/h", OnStoreError::Closed);
    let local = of("local", "20/h", OnStoreError::Local { processes });
    let answers = [(open, DecisionSource::FailOpen, true), (closed, DecisionSource::FailClosed, false)];
    for _ in 0..3 {
        let (stop, without) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = Vec::new();
        for (id, source, allowed) in answers.into_iter().cycle().take(8) {
            let (limiter, stop, without) = (limiter.clone(), Arc::clone(&stop), Arc::clone(&without));
            tasks.push(tokio::spawn(async move {
                let limits = [Limit::whole(id)];
                while !stop.load(Ordering::Relaxed) {
                    let tenant = TenantId::from(1);
                    let call = limiter.check(&tenant, &limits);
                    let decision = timeout(BOUND, call).await.expect("a call hung").unwrap();
                    if decision.source() != DecisionSource::Store {
                        assert_eq!((decision.source(), decision.is_allowed()), (source, allowed));
                        without.fetch_add(1, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                    }
                }
            }));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        relay.way.send_replace(Way::Cut);
        let seen = async {
            while without.load(Ordering::Relaxed) < 200 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), seen).await.expect("calls wait while the server is away");
        let mut admitted = 0;
        for _ in 0..10 {
            let decision = limiter.check(&TenantId::from(2), &[Limit::whole(local)]).await.unwrap();
            assert_eq!(decision.source(), DecisionSource::LocalShare);
            admitted += u32::from(decision.is_allowed());
        }
        assert!(admitted <= 2, "a tenth of 20 is 2");
        relay.way.send_replace(Way::Open);
        for id in [open, closed, local] {
            recovered(&limiter, &[Limit::whole(id)]).await;
        }
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_given_up_in_time_and_taken_back() {
    let fresh = fresh(Kind::Postgres).await;
    let (relay, db) = behind_a_relay(&fresh).await;
    let limiter = Limiter::new(SqlStore::new(&db));
    let (tenant, limits) = (TenantId::from(1), [Limit::whole(limiter.define(policy("p", "100/h")).unwrap())]);
    assert!(limiter.check(&tenant, &limits).await.unwrap().is_allowed());
    relay.way.send_replace(Way::Hangs);
    for _ in 0..3 {
        match timeout(BOUND, limiter.peek(&tenant, &limits)).await.expect("a call hung") {
            Err(Error::Store(error)) => {
                assert!(
                    matches!(error.kind(), StoreErrorKind::Timeout | StoreErrorKind::Unavailable),
                    "{error:?}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    relay.way.send_replace(Way::Open);
    recovered(&limiter, &limits).await;
}

#[tokio::test]
async fn a_killed_server_is_answered_for_at_once_and_the_counters_are_there_when_it_is_back() {
    let mut server = PostgresServer::new().unwrap();
    server.start().await.unwrap();
    let db = Database::open_with(&server.url(), tight()).await.unwrap();
    db.migrate(&SqlStore::MIGRATIONS).await.unwrap();
    // Otherwise the counters of the last moments would be gone, which they may.
    let limiter = Limiter::new(SqlStore::new(&db).with_durability(Durability::Full));
    let processes = NonZeroU32::new(10).unwrap();
    let of = |name, answer| limiter.define(policy(name, "20/h burst 20").on_store_error(answer)).unwrap();
    let answers = [
        (of("open", OnStoreError::Open), DecisionSource::FailOpen),
        (of("closed", OnStoreError::Closed), DecisionSource::FailClosed),
        (of("local", OnStoreError::Local { processes }), DecisionSource::LocalShare),
    ];
    let tenant = TenantId::from(7);
    for round in 0..2 {
        for (id, _) in answers {
            let decision = limiter.check(&tenant, &[Limit::whole(id)]).await.unwrap();
            assert_eq!((decision.source(), decision.is_allowed()), (DecisionSource::Store, true), "{round}");
        }
        server.kill().unwrap();
        for (id, source) in answers {
            // From the very first call on, though the pool still holds connections that were well a moment ago.
            for _ in 0..5 {
                let decision = timeout(BOUND, limiter.check(&tenant, &[Limit::whole(id)]))
                    .await
                    .expect("a call hung")
                    .unwrap();
                assert_eq!(decision.source(), source);
                match source {
                    DecisionSource::FailOpen => assert!(decision.is_allowed()),
                    DecisionSource::FailClosed => assert!(!decision.is_allowed()),
                    _ => {}
                }
            }
        }
        server.start().await.unwrap();
        for (id, _) in answers {
            recovered_for(&limiter, &tenant, &[Limit::whole(id)]).await;
        }
    }
    // What was charged before the kills still is: of 20, two checks before and two recoveries were admitted, nothing that
    // was decided without the store, and the peek tells what its own request would leave.
    let left = limiter.peek(&tenant, &[Limit::whole(answers[0].0)]).await.unwrap();
    assert_eq!(left.source(), DecisionSource::Store);
    assert_eq!(left.outcomes().first().unwrap().remaining(), 15);
}
