//! A decision takes one round trip to PostgreSQL: counted by a proxy that reads the protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guardian_core::{Scope, TenantId};
use guardian_quota::{
    Aggregation, Cadence, Feature, FeatureName, Level, Limit, Meter, Plan, PlanName, Quotas, SqlStore,
    Subject, Subscription, Usage,
};
use guardian_sql::testkit::Kind;
use guardian_sql::{Database, DatabaseConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Passes everything on, and counts the messages of the client that ask for an answer: `Sync` and `Query`.
async fn proxy(server: String) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                let mut kept = Vec::new();
                // The first message has no type.
                let mut is_first = true;
                let mut buffer = vec![0; 16 * 1024];
                while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                    kept.extend_from_slice(&buffer[..count]);
                    loop {
                        let head = usize::from(!is_first);
                        let Some(length) = kept.get(head..head + 4) else { break };
                        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize + head;
                        if kept.len() < length {
                            break;
                        }
                        if !is_first && matches!(kept[0], b'S' | b'Q') {
                            counter.fetch_add(1, Ordering::SeqCst);
                        }
                        is_first = false;
                        kept.drain(..length);
                    }
                    to_server.write_all(&buffer[..count]).await.unwrap();
                }
            });
        }
    });
    (port, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_takes_one_round_trip() {
    let fresh = Kind::Postgres.open(&[&SqlStore::MIGRATIONS]).await.unwrap();
    let (front, rest) =
        fresh.url().split_once("@127.0.0.1:").expect("the tests' server is on the loopback address");
    let (port, path) = rest.split_once('/').unwrap();
    let (own, asked) = proxy(format!("127.0.0.1:{port}")).await;
    let url = format!("{front}@127.0.0.1:{own}/{path}?sslmode=disable");
    let db = Database::open_with(&url, DatabaseConfig::default().with_max_connections(2)).await.unwrap();
    let limit = || Limit::hard(1_000, Cadence::Month).with_thresholds([50]);
    let meter = Meter::new("call", Aggregation::Count)
        .with_limit(Level::Org, limit())
        .with_limit(Level::User, limit());
    let plan = Plan::new(PlanName::new("p").unwrap())
        .with_feature(FeatureName::new("calls").unwrap(), Feature::Metered(meter));
    let scope = Scope::system(TenantId::new("acme").unwrap());
    let quotas = Quotas::new(SqlStore::new(db, &scope).unwrap(), [plan]).unwrap();
    let anchor = "2026-01-01T00:00:00Z".parse().unwrap();
    quotas.subscribe(&scope, Subscription::new(PlanName::new("p").unwrap(), anchor)).await.unwrap();
    let user = Subject::org().user("ann").unwrap();
    let plain = Usage::of("calls", &user, 1).unwrap();
    let hold = async || quotas.reserve(&scope, &plain, Duration::from_secs(60)).await.unwrap().hold.unwrap();
    let all = async |turn: u64| {
        drop(quotas.consume(&scope, &plain).await.unwrap());
        let keyed = plain.clone().with_key(format!("k{turn}")).unwrap();
        drop(quotas.consume(&scope, &keyed).await.unwrap());
        let held = hold().await;
        drop(quotas.commit(&scope, &held, 1).await.unwrap());
        let denied = Usage::of("calls", &user, 2_000).unwrap();
        assert!(quotas.consume(&scope, &denied).await.unwrap().is_denied());
        drop(quotas.check(&scope, &plain).await.unwrap());
    };
    // Statements are prepared on the first turns.
    for turn in 0..5 {
        all(turn).await;
    }
    let before = asked.load(Ordering::SeqCst);
    for turn in 5..25 {
        all(turn).await;
    }
    let decisions = 20 * 6;
    assert_eq!(asked.load(Ordering::SeqCst) - before, decisions, "round trips for {decisions} decisions");
}
