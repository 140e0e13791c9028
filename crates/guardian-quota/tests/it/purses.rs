//! Purses on a real Redis: nobody overspends, and what was paid out is in the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guardian_core::{Clock, ManualClock, Scope, SystemClock, SystemIds, TenantId};
use guardian_quota::{
    Aggregation, Beyond, Cadence, Error, Feature, FeatureName, Level, Limit, MemoryStore, Meter, Paid, Plan,
    PlanName, PurseConfig, Purses, Quotas, Subject, Subscription, Usage,
};

#[expect(clippy::disallowed_methods, reason = "tests are told of their servers in the environment")]
fn url() -> String {
    std::env::var("GUARDIAN_TEST_REDIS_URL")
        .expect("GUARDIAN_TEST_REDIS_URL is not set: run `cargo xtask test`, or start a Redis and set it")
}

fn scope() -> Scope {
    Scope::system(TenantId::new("acme").unwrap())
}

fn plan(limit: u64) -> Plan {
    let meter = Meter::new("token", Aggregation::Sum)
        .with_commits(Beyond::Refuse, Beyond::Always)
        .with_limit(Level::Org, Limit::hard(limit, Cadence::Year))
        .with_limit(Level::Team, Limit::hard(limit / 3 * 2, Cadence::Year))
        .with_limit(Level::User, Limit::hard(limit / 2, Cadence::Year));
    Plan::new(PlanName::new("p").unwrap())
        .with_feature(FeatureName::new("tokens").unwrap(), Feature::Metered(meter))
}

async fn quotas(limit: u64) -> Quotas<Arc<MemoryStore>> {
    let quotas = Quotas::new(Arc::new(MemoryStore::new()), [plan(limit)]).unwrap();
    let anchor = "2026-01-01T00:00:00Z".parse().unwrap();
    quotas.subscribe(&scope(), Subscription::new(PlanName::new("p").unwrap(), anchor)).await.unwrap();
    quotas
}

fn config(chunk: u64) -> PurseConfig {
    let id = guardian_core::IdSource::next_id(&SystemIds::new(), SystemClock::new().now());
    PurseConfig::default()
        .with_prefix(format!("q{id}:"))
        .with_chunk(chunk)
        .with_timeout(Duration::from_secs(10))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_overspends_and_the_ledger_learns_it_all() {
    const LIMIT: u64 = 2_000;
    let quotas = quotas(LIMIT).await;
    let config = config(50);
    let paid = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..16_u64)
        .map(|number| {
            let purses = Purses::new(&quotas, url(), config.clone()).unwrap();
            let paid = Arc::clone(&paid);
            tokio::spawn(async move {
                let user = Subject::org().user(format!("u{}", number % 4)).unwrap();
                for turn in 0..200_u64 {
                    let usage = Usage::of("tokens", &user, 1 + turn % 3).unwrap();
                    if purses.spend(&scope(), &usage).await.unwrap().is_allowed() {
                        paid.fetch_add(usage.amount(), Ordering::Relaxed);
                    }
                    if turn % 50 == 49 {
                        purses.settle(false).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let purses = Purses::new(&quotas, url(), config).unwrap();
    purses.settle(true).await.unwrap();
    let balance = quotas.balance(&scope(), "tokens", &Subject::org()).await.unwrap();
    let paid = paid.load(Ordering::Relaxed);
    println!("{paid} paid");
    assert_eq!(balance.used, i128::from(paid));
    assert_eq!(balance.held, 0);
    assert!(paid <= LIMIT && paid > LIMIT - 4 * 50, "{paid} paid of {LIMIT}");
}

#[tokio::test]
async fn keys_are_paid_once_and_a_loss_is_bounded() {
    let quotas = quotas(1_000).await;
    let config = config(100);
    let purses = Purses::new(&quotas, url(), config.clone()).unwrap();
    let user = Subject::org().user("ann").unwrap();
    let keyed = Usage::of("tokens", &user, 30).unwrap().with_key("e1").unwrap();
    assert_eq!(purses.spend(&scope(), &keyed).await.unwrap(), Paid::Yes { left: 70, replayed: false });
    assert_eq!(purses.spend(&scope(), &keyed).await.unwrap(), Paid::Yes { left: 70, replayed: true });
    let other = Usage::of("tokens", &user, 31).unwrap().with_key("e1").unwrap();
    assert!(matches!(purses.spend(&scope(), &other).await, Err(Error::KeyReused { .. })));
    // More than a chunk, and more than the user has.
    assert!(purses.spend(&scope(), &Usage::of("tokens", &user, 250).unwrap()).await.unwrap().is_allowed());
    assert!(!purses.spend(&scope(), &Usage::of("tokens", &user, 400).unwrap()).await.unwrap().is_allowed());
    purses.settle(true).await.unwrap();
    let used = |balance: guardian_quota::Balance| (balance.used, balance.held);
    assert_eq!(used(quotas.balance(&scope(), "tokens", &user).await.unwrap()), (280, 0));
    // Redis forgets everything: a chunk at most is not counted, and it is held until its time.
    assert!(purses.spend(&scope(), &Usage::of("tokens", &user, 10).unwrap()).await.unwrap().is_allowed());
    let mut raw = redis::Client::open(url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("{}*", config.prefix)).query_async(&mut raw).await.unwrap();
    let _: () = redis::cmd("DEL").arg(keys).query_async(&mut raw).await.unwrap();
    assert_eq!(purses.settle(true).await.unwrap().purses, 0);
    assert_eq!(used(quotas.balance(&scope(), "tokens", &user).await.unwrap()), (280, 100));
}

#[tokio::test]
async fn without_redis_calls_fail_and_nothing_is_spent() {
    let quotas = quotas(100).await;
    let purses = Purses::new(&quotas, "redis://127.0.0.1:1/", config(10)).unwrap();
    let usage = Usage::of("tokens", &Subject::org(), 1).unwrap();
    assert!(matches!(purses.spend(&scope(), &usage).await, Err(Error::Store(_))));
    assert_eq!(quotas.balance(&scope(), "tokens", &Subject::org()).await.unwrap().used, 0);
    assert!(Purses::new(&quotas, "nonsense", config(10)).is_err());
}

async fn redis() -> redis::aio::MultiplexedConnection {
    redis::Client::open(url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn lines_that_the_ledger_never_takes_stop_nobody() {
    let quotas = quotas(10_000).await;
    let config = config(100);
    let purses = Purses::new(&quotas, url(), config.clone()).unwrap();
    let user = Subject::org().user("ann").unwrap();
    let usage = Usage::of("tokens", &user, 30).unwrap();
    assert!(purses.spend(&scope(), &usage).await.unwrap().is_allowed());
    let mut raw = redis().await;
    let key = |kind: &str| format!("{}{{acme/tokens/{user}}}:{kind}", config.prefix);
    // A tenant that is gone can be there again: those lines wait. The others are of no use to anybody.
    let taken: String =
        redis::cmd("HGET").arg(key("purse")).arg("document").query_async(&mut raw).await.unwrap();
    let gone = taken.replace("acme", "gone");
    for number in 0..150 {
        let line = if number % 10 == 0 { format!("{number} nonsense") } else { format!("{number} {gone}") };
        let _: () = redis::cmd("RPUSH").arg(key("old")).arg(line).query_async(&mut raw).await.unwrap();
    }
    let settled = purses.settle(true).await.unwrap();
    assert_eq!((settled.purses, settled.units, settled.left, settled.dead), (1, 30, 135, 15));
    assert_eq!(quotas.balance(&scope(), "tokens", &user).await.unwrap().used, 30);
    let dead: u64 = redis::cmd("LLEN").arg(key("dead")).query_async(&mut raw).await.unwrap();
    assert_eq!(dead, 15);
    let settled = purses.settle(true).await.unwrap();
    assert_eq!((settled.purses, settled.left, settled.dead), (0, 135, 0));
}

#[tokio::test]
async fn purses_of_which_nothing_is_left_are_forgotten() {
    let quotas = quotas(10_000).await;
    let config = config(100).with_ttl(Duration::from_millis(400));
    let purses = Purses::new(&quotas, url(), config.clone()).unwrap();
    let mut raw = redis().await;
    let registry = format!("{}purses", config.prefix);
    for number in 0..5 {
        let usage = Usage::of("tokens", &Subject::org().user(format!("u{number}")).unwrap(), 1).unwrap();
        assert!(purses.spend(&scope(), &usage).await.unwrap().is_allowed());
    }
    let mut known = async || -> u64 {
        let keys: Vec<String> =
            redis::cmd("KEYS").arg(format!("{}*", config.prefix)).query_async(&mut raw).await.unwrap();
        u64::try_from(keys.len()).unwrap()
    };
    assert_eq!(known().await, 6);
    purses.settle(true).await.unwrap();
    // They may be about to be filled.
    assert_eq!(known().await, 1, "{registry}");
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    purses.settle(false).await.unwrap();
    assert_eq!(known().await, 0);
    assert_eq!(quotas.balance(&scope(), "tokens", &Subject::org()).await.unwrap().used, 5);
}

#[tokio::test]
async fn a_purse_does_not_outlive_its_hold() {
    // The call stood still after the ledger had answered it, for longer than a purse pays out.
    let clock = ManualClock::at(SystemClock::new().now() - Duration::from_secs(90));
    let quotas = quotas(1_000).await;
    let late =
        Quotas::new(Arc::clone(quotas.store()), [plan(1_000)]).unwrap().with_clock(clock.clone()).unwrap();
    let config = config(100).with_ttl(Duration::from_secs(120));
    let purses = Purses::new(&late, url(), config.clone()).unwrap();
    let usage = Usage::of("tokens", &Subject::org(), 10).unwrap();
    assert!(matches!(purses.spend(&scope(), &usage).await, Err(Error::Store(_))));
    assert_eq!(late.balance(&scope(), "tokens", &Subject::org()).await.unwrap().held, 0);
    // A shorter stop leaves what is left of the time.
    clock.advance(Duration::from_secs(50));
    assert!(purses.spend(&scope(), &usage).await.unwrap().is_allowed());
    let key = format!("{}{{acme/tokens/org}}:purse", config.prefix);
    let ends: i64 = redis::cmd("HGET").arg(key).arg("expires").query_async(&mut redis().await).await.unwrap();
    assert_eq!(ends, (clock.now() + Duration::from_secs(60)).timestamp_millis());
}

#[tokio::test]
async fn a_purse_gets_what_the_narrowest_level_has() {
    // The organisation has less than a chunk, the team less than that, the user less again.
    let quotas = quotas(900).await;
    let purses = Purses::new(&quotas, url(), config(1_000)).unwrap();
    let user = Subject::org().team("t").unwrap().user("ann").unwrap();
    let paid = purses.spend(&scope(), &Usage::of("tokens", &user, 10).unwrap()).await.unwrap();
    assert_eq!(paid, Paid::Yes { left: 440, replayed: false });
}
