//! The Redis store on a real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use guardian_core::{Clock, StoreErrorKind, TenantId};
use guardian_ratelimit::{Limit, Limiter, Policy, Realm, RedisConfig, RedisStore, Subject};

/// The server that the tests share.
#[expect(clippy::disallowed_methods, reason = "tests are told of their servers in the environment")]
pub(crate) fn url() -> String {
    std::env::var("GUARDIAN_TEST_REDIS_URL")
        .expect("GUARDIAN_TEST_REDIS_URL is not set: run `cargo xtask test`, or start a Redis and set it")
}

/// Waits long enough for a machine under load, under a prefix that no other test has.
pub(crate) fn config() -> RedisConfig {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut random = [0; 8];
    getrandom::fill(&mut random).unwrap();
    let prefix = format!("t{}-{:x}:", NEXT.fetch_add(1, Ordering::Relaxed), u64::from_le_bytes(random));
    RedisConfig::default()
        .with_prefix(prefix)
        .with_response_timeout(Duration::from_secs(10))
        .with_connect_timeout(Duration::from_secs(10))
}

pub(crate) async fn store() -> RedisStore {
    RedisStore::connect(url(), config()).await.unwrap()
}

pub(crate) async fn raw() -> redis::aio::MultiplexedConnection {
    let settings = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
    redis::Client::open(url()).unwrap().get_multiplexed_async_connection_with_config(&settings).await.unwrap()
}

pub(crate) fn policy(name: &str, rule: &str) -> Policy {
    Policy::new(name, rule).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_connections_racing_on_three_limits_admit_exactly_the_limit() {
    let config = config();
    let mut racers = Vec::new();
    for _ in 0..8 {
        let limiter = Limiter::new(RedisStore::connect(url(), config.clone()).await.unwrap());
        let ids = [
            limiter.define(policy("org", "40/h fixed")).unwrap(),
            limiter.define(policy("key", "60/h burst 30")).unwrap(),
            limiter.define(policy("endpoint", "35/h sliding strict 60")).unwrap(),
        ];
        racers.push((limiter, ids));
    }
    for round in 0..40u64 {
        let tenant = TenantId::from(round);
        let admitted = Arc::new(AtomicU64::new(0));
        let mut tasks = Vec::new();
        for (limiter, [org, key, endpoint]) in &racers {
            let (limiter, tenant, admitted) = (limiter.clone(), tenant.clone(), Arc::clone(&admitted));
            let (org, key, endpoint) = (*org, *key, *endpoint);
            tasks.push(tokio::spawn(async move {
                for _ in 0..12 {
                    let limits = [Limit::whole(org), Limit::of(key, 1), Limit::of(endpoint, "POST /deals")];
                    if limiter.check(&tenant, &limits).await.unwrap().is_allowed() {
                        admitted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        // 96 tries, of which the bucket of 30 admits 30; a bucket of 60/h refills none within a round.
        let admitted = admitted.load(Ordering::Relaxed);
        assert_eq!(admitted, 30, "round {round}");
        let (limiter, [org, _, endpoint]) = &racers[0];
        let decision =
            limiter.peek(&tenant, &[Limit::whole(*org), Limit::of(*endpoint, "POST /deals")]).await.unwrap();
        assert_eq!(decision.outcomes()[0].remaining(), 40 - 30 - 1);
        assert_eq!(decision.outcomes()[1].remaining(), 35 - 30 - 1);
    }
}

#[tokio::test]
async fn a_denial_at_one_limit_charges_none() {
    let limiter = Limiter::new(store().await);
    let names = ["8/h", "8/h fixed", "8/h sliding", "8/h sliding lenient 4"];
    let wide: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(at, rule)| limiter.define(policy(&format!("wide-{at}"), rule)).unwrap())
        .collect();
    let narrow = limiter.define(policy("narrow", "1/h")).unwrap();
    let trial = limiter.define(policy("trial", "1/h fixed").dry_run()).unwrap();
    let mut limits: Vec<_> = wide.iter().map(|id| Limit::whole(*id)).collect();
    limits.push(Limit::whole(narrow));
    limits.push(Limit::whole(trial));
    let tenant = TenantId::from(1);
    assert!(limiter.check(&tenant, &limits).await.unwrap().is_allowed());
    for _ in 0..5 {
        assert!(limiter.check(&tenant, &limits).await.unwrap().is_denied());
    }
    let decision = limiter.peek(&tenant, &limits[..4]).await.unwrap();
    for outcome in decision.outcomes() {
        assert_eq!(outcome.remaining(), 6, "{outcome:?}");
    }
    // A dry run that would deny does not stand in the way, and is not charged.
    let decision = limiter.check(&tenant, &[Limit::whole(wide[0]), Limit::whole(trial)]).await.unwrap();
    assert!(decision.is_allowed());
    assert!(decision.outcomes()[1].would_deny());
}

#[tokio::test]
async fn a_server_that_forgot_its_scripts_is_told_again() {
    let limiter = Limiter::new(store().await);
    let id = limiter.define(policy("p", "3/h")).unwrap();
    let permits = limiter.define(policy("c", "3 concurrent for 1h")).unwrap();
    let tenant = TenantId::from(1);
    let mut raw = raw().await;
    for left in [2, 1, 0] {
        let () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut raw).await.unwrap();
        let decision = limiter.check(&tenant, &[Limit::whole(id)]).await.unwrap();
        assert_eq!(decision.binding().unwrap().remaining(), left);
    }
    let () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut raw).await.unwrap();
    let at = limiter.clock().monotonic();
    limiter.refund(&tenant, &[Limit::whole(id)], at).await.unwrap();
    let permit = limiter.acquire(&tenant, &[Limit::whole(permits)]).await.unwrap();
    let () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut raw).await.unwrap();
    permit.permit.unwrap().release().await.unwrap();
    let decision = limiter.peek(&tenant, &[Limit::whole(id), Limit::whole(permits)]).await.unwrap();
    assert_eq!(decision.outcomes()[0].remaining(), 0);
    assert_eq!(decision.outcomes()[1].remaining(), 2);
}

#[tokio::test]
async fn hostile_subjects_have_counters_of_their_own() {
    let limiter = Limiter::new(store().await);
    let id = limiter.define(policy("p", "1/h fixed")).unwrap();
    let other = limiter.define(policy("p.i", "1/h fixed")).unwrap();
    let long = "x".repeat(Subject::MAX_LEN);
    let braces = "{".repeat(Subject::MAX_LEN);
    let texts = [
        "",
        "7",
        ":7",
        "i:7",
        "w",
        "{1}",
        "}{",
        "%7B1%7D",
        "{1}:p:w",
        "a\nb",
        "a\r\nDEL x\r\n",
        "\0",
        "a\0b",
        "ü",
        &long,
        &braces,
    ];
    let subjects =
        texts.map(Subject::Text).into_iter().chain([Subject::Whole, Subject::Id(7), Subject::Id(u64::MAX)]);
    let subjects: Vec<_> = subjects.collect();
    let (one, two) = (TenantId::from(1), TenantId::new("1:p").unwrap());
    for realm in [Realm::Tenant(&one), Realm::Tenant(&two), Realm::Shared] {
        for id in [id, other] {
            for subject in &subjects {
                let limit = [Limit::of(id, *subject)];
                assert!(limiter.check(realm, &limit).await.unwrap().is_allowed(), "{realm:?} {subject:?}");
                assert!(limiter.check(realm, &limit).await.unwrap().is_denied(), "{realm:?} {subject:?}");
            }
        }
    }
}

#[tokio::test]
async fn by_the_servers_own_clock_the_stated_wait_is_enough_and_a_refund_finds_its_charge() {
    let limiter = Limiter::new(store().await);
    let rules = ["7/100ms burst 1", "1/30ms sliding", "2/30ms sliding strict 3", "2/30ms sliding lenient 3"];
    let tenant = TenantId::from(1);
    for (at, rule) in rules.iter().enumerate() {
        let id = limiter.define(policy(&format!("p{at}"), rule)).unwrap();
        let limits = [Limit::whole(id)];
        for _ in 0..20 {
            let mut decision = limiter.check(&tenant, &limits).await.unwrap();
            while decision.is_allowed() {
                decision = limiter.check(&tenant, &limits).await.unwrap();
            }
            tokio::time::sleep(decision.retry_after().unwrap()).await;
            assert!(limiter.check(&tenant, &limits).await.unwrap().is_allowed(), "{rule}");
        }
    }
    for rule in ["5/h", "5/h sliding", "5/h sliding strict 7", "5/h sliding lenient 7", "5/day fixed"] {
        let id = limiter.define(policy(&format!("r{}", rule.replace(['/', ' '], ".")), rule)).unwrap();
        let limits = [Limit::whole(id)];
        let decision = limiter.check(&tenant, &limits).await.unwrap();
        limiter.refund(&tenant, &limits, decision.at()).await.unwrap();
        let after = limiter.peek(&tenant, &limits).await.unwrap();
        assert_eq!(after.binding().unwrap().remaining(), 4, "{rule}");
        // Never better than new.
        limiter.refund(&tenant, &limits, decision.at()).await.unwrap();
        let after = limiter.peek(&tenant, &limits).await.unwrap();
        assert_eq!(after.binding().unwrap().remaining(), 4, "{rule}");
    }
}

#[tokio::test]
async fn secrets_stay_secret() {
    let secret = "hunter2";
    let wrong = format!("redis://user:{secret}@127.0.0.1:1/0");
    let store = RedisStore::lazy(wrong.as_str(), RedisConfig::default()).unwrap();
    let error = RedisStore::connect(wrong.as_str(), RedisConfig::default()).await.unwrap_err();
    let unreadable = RedisStore::lazy(format!("redis:/{secret}@[x"), RedisConfig::default()).unwrap_err();
    let refused = url().replacen("redis://", &format!("redis://user:{secret}@"), 1);
    let refused = RedisStore::connect(refused, RedisConfig::default()).await.unwrap_err();
    for shown in
        [format!("{store:?} {error} {error:?}"), format!("{unreadable} {unreadable:?} {refused} {refused:?}")]
    {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(format!("{store:?}").contains("127.0.0.1:1"));
}

/// A service that starts under load admits nothing uncounted: the calls that come while the first one connects wait
/// for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_come_while_the_first_one_connects_are_counted() {
    for _ in 0..20 {
        let limiter = Limiter::new(RedisStore::lazy(url(), config()).unwrap());
        let id = limiter.define(policy("start", "10/h")).unwrap();
        let tasks: Vec<_> = (0..40)
            .map(|_| {
                let limiter = limiter.clone();
                tokio::spawn(async move {
                    limiter.check(Realm::Shared, &[Limit::whole(id)]).await.unwrap().is_allowed()
                })
            })
            .collect();
        let mut admitted = 0;
        for task in tasks {
            admitted += u32::from(task.await.unwrap());
        }
        assert_eq!(admitted, 10);
    }
}
