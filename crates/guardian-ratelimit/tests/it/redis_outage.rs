//! The Redis store while its server is killed, stopped, hung and started again, and while callers go away.

use std::net::TcpListener;
use std::num::NonZeroU32;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use guardian_core::{StoreErrorKind, TenantId};
use guardian_ratelimit::{
    DecisionSource, Error, Limit, Limiter, OnStoreError, Policy, RedisConfig, RedisStore,
};
use tokio::time::timeout;

use crate::redis::{config, url};

/// No call may take as long as this: far more than its timeouts, for a machine under load.
const BOUND: Duration = Duration::from_secs(5);

/// A Redis of our own, to kill.
struct Server {
    port: u16,
    child: Option<Child>,
    folder: std::path::PathBuf,
}

impl Server {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let folder = std::env::temp_dir().join(format!("guardian-ratelimit-redis-{port}"));
        std::fs::create_dir_all(&folder).unwrap();
        Self { port, child: None, folder }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    async fn start(&mut self) {
        let program = std::env::var_os("GUARDIAN_TEST_REDIS_SERVER").expect(
            "GUARDIAN_TEST_REDIS_SERVER is not set: run `cargo xtask test`, or set it to a redis-server",
        );
        let child = Command::new(program)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&self.folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let answers = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(30), answers).await.unwrap();
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn tight() -> RedisConfig {
    config()
        .with_response_timeout(Duration::from_millis(250))
        .with_connect_timeout(Duration::from_millis(250))
        .with_reconnect_backoff(Duration::from_millis(5), Duration::from_millis(50))
}

fn policy(name: &str, rule: &str, answer: OnStoreError) -> Policy {
    Policy::new(name, rule).unwrap().on_store_error(answer)
}

/// Asks until the store itself answers.
async fn recovered(limiter: &Limiter<RedisStore>, limits: &[Limit<'_>]) {
    let tenant = TenantId::from(1);
    let asking = async {
        while limiter.check(&tenant, limits).await.unwrap().source() != DecisionSource::Store {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), asking).await.expect("the store did not recover by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_each_policy_answers_as_declared_and_all_recover() {
    let mut server = Server::new();
    server.start().await;
    let limiter = Limiter::new(RedisStore::connect(server.url(), tight()).await.unwrap());
    let processes = NonZeroU32::new(10).unwrap();
    let open = limiter.define(policy("open", "1000000000/h", OnStoreError::Open)).unwrap();
    let closed = limiter.define(policy("closed", "1000000000/h", OnStoreError::Closed)).unwrap();
    let local = limiter.define(policy("local", "20/h", OnStoreError::Local { processes })).unwrap();
    let answers = [(open, DecisionSource::FailOpen, true), (closed, DecisionSource::FailClosed, false)];
    for _ in 0..3 {
        let (stop, without) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = Vec::new();
        for (id, source, allowed) in answers.into_iter().cycle().take(8) {
            let (limiter, stop, without) = (limiter.clone(), Arc::clone(&stop), Arc::clone(&without));
            tasks.push(tokio::spawn(async move {
                let tenant = TenantId::from(1);
                while !stop.load(Ordering::Relaxed) {
                    let limits = [Limit::whole(id)];
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
        server.kill();
        let seen = async {
            while without.load(Ordering::Relaxed) < 1_000 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(30), seen).await.expect("calls wait while the server is away");
        let tenant = TenantId::from(2);
        let mut admitted = 0;
        for _ in 0..10 {
            let decision = limiter.check(&tenant, &[Limit::whole(local)]).await.unwrap();
            assert_eq!(decision.source(), DecisionSource::LocalShare);
            admitted += u32::from(decision.is_allowed());
        }
        assert!(admitted <= 2, "a tenth of 20 is 2");
        server.start().await;
        for id in [open, closed, local] {
            recovered(&limiter, &[Limit::whole(id)]).await;
        }
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_hung_server_costs_one_timeout_and_then_nothing() {
    let mut server = Server::new();
    server.start().await;
    let config = tight().with_reconnect_backoff(Duration::from_secs(1), Duration::from_secs(1));
    let limiter = Limiter::new(RedisStore::connect(server.url(), config).await.unwrap());
    let id = limiter.define(policy("p", "100/h", OnStoreError::Open)).unwrap();
    let (tenant, limits) = (TenantId::from(1), [Limit::whole(id)]);
    let _ = limiter.check(&tenant, &limits).await.unwrap();
    server.signal("-STOP");
    let kind = |answer: Result<_, Error>| match answer {
        Err(Error::Store(error)) => error.kind(),
        other => panic!("{other:?}"),
    };
    let first = timeout(BOUND, limiter.peek(&tenant, &limits)).await.unwrap();
    assert_eq!(kind(first), StoreErrorKind::Timeout);
    // The one that tries to connect, and those that know better.
    let second = timeout(BOUND, limiter.peek(&tenant, &limits)).await.unwrap();
    assert_eq!(kind(second), StoreErrorKind::Unavailable);
    let many = async {
        for _ in 0..100 {
            assert_eq!(kind(limiter.peek(&tenant, &limits).await), StoreErrorKind::Unavailable);
        }
    };
    timeout(BOUND, many).await.expect("calls wait although the server is known to be away");
    server.signal("-CONT");
    recovered(&limiter, &limits).await;
}

#[tokio::test]
async fn a_service_starts_while_redis_is_down() {
    let mut server = Server::new();
    let limiter = Limiter::new(RedisStore::lazy(server.url(), tight()).unwrap());
    let id = limiter.define(policy("p", "100/h", OnStoreError::Closed)).unwrap();
    let (tenant, limits) = (TenantId::from(1), [Limit::whole(id)]);
    for _ in 0..20 {
        let decision = timeout(BOUND, limiter.check(&tenant, &limits)).await.unwrap().unwrap();
        assert_eq!(decision.source(), DecisionSource::FailClosed);
    }
    server.start().await;
    recovered(&limiter, &limits).await;
}

#[tokio::test]
async fn one_call_connects_while_the_others_wait_once_and_then_fail_at_once() {
    // Accepts and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}/", silent.local_addr().unwrap());
    let config = tight().with_connect_timeout(Duration::from_secs(60));
    let limiter = Limiter::new(RedisStore::lazy(url, config).unwrap());
    let id = limiter.define(policy("p", "100/h", OnStoreError::Open)).unwrap();
    let (tenant, limits) = (TenantId::from(1), [Limit::whole(id)]);
    let mut connecting = Box::pin(limiter.peek(&tenant, &limits));
    assert!(timeout(Duration::from_millis(50), &mut connecting).await.is_err());
    let others = async {
        for _ in 0..100 {
            assert!(limiter.peek(&tenant, &limits).await.is_err());
        }
    };
    timeout(BOUND, others).await.expect("others wait again and again for the one that connects");
    // Its caller goes away: the next one takes over.
    drop(connecting);
    assert!(timeout(Duration::from_millis(50), limiter.peek(&tenant, &limits)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_whose_callers_went_away_are_whole_or_absent_and_poison_nothing() {
    let limiter = Limiter::new(RedisStore::lazy(url(), config()).unwrap());
    let ids = ["1000000/day fixed", "1000000/365day sliding lenient 2"].map(|rule| {
        let name = rule.replace(['/', ' '], ".");
        limiter.define(policy(&name, rule, OnStoreError::Closed)).unwrap()
    });
    let tenant = TenantId::from(1);
    let limits = ids.map(Limit::whole);
    let (mut given_up, mut finished) = (0u32, 0u32);
    for round in 0..2_000u64 {
        let polls = round % 5;
        let mut call = Box::pin(limiter.check(&tenant, &limits));
        let mut done = false;
        for _ in 0..polls {
            tokio::select! {
                biased;
                decision = &mut call => {
                    done = decision.unwrap().source() == DecisionSource::Store;
                    break;
                }
                () = tokio::time::sleep(Duration::from_micros(20 * (round % 7))) => {}
            }
        }
        if done { finished += 1 } else { given_up += 1 }
    }
    assert!(given_up > 100 && finished > 10, "{given_up} {finished}");
    // The answer to the last one may still be on its way; one connection keeps its order.
    let decision = limiter.check(&tenant, &limits).await.unwrap();
    assert_eq!(decision.source(), DecisionSource::Store);
    let left: Vec<_> = decision.outcomes().iter().map(|o| o.limit() - o.remaining()).collect();
    assert_eq!(left[0], left[1], "half of a call was charged");
    assert!((finished + 1..=2_001).contains(&left[0]), "{left:?} {finished}");
}
