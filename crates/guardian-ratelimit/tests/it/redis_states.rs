//! What the Redis store keeps, and for how long.

use std::sync::Arc;
use std::time::Duration;

use guardian_core::{ManualClock, StoreErrorKind, TenantId};
use guardian_ratelimit::{Limit, Limiter, RedisStore};

use crate::redis::{config, policy, raw, store, url};

#[tokio::test]
async fn permits_are_held_released_and_expire() {
    let clock = ManualClock::new();
    let store = store().await.with_time_source(Arc::new(clock.clone()));
    let limiter = Limiter::with_clock(store, clock.clone());
    let id = limiter.define(policy("exports", "3 concurrent for 10s")).unwrap();
    let tenant = TenantId::from(1);
    let one = [Limit::whole(id)];
    let first = limiter.acquire(&tenant, &[Limit::whole(id).cost(2)]).await.unwrap();
    clock.advance(Duration::from_secs(4));
    let second = limiter.acquire(&tenant, &one).await.unwrap();
    let third = limiter.acquire(&tenant, &one).await.unwrap();
    assert!(third.decision.is_denied());
    assert_eq!(third.decision.retry_after(), Some(Duration::from_secs(6)));
    assert_eq!(third.decision.binding().unwrap().reset_after(), Duration::from_secs(10));
    second.permit.unwrap().release().await.unwrap();
    assert_eq!(limiter.peek(&tenant, &one).await.unwrap().binding().unwrap().remaining(), 0);
    clock.advance(Duration::from_secs(6));
    assert_eq!(limiter.peek(&tenant, &one).await.unwrap().binding().unwrap().remaining(), 2);
    // What has expired is nothing to end, and ends nothing else.
    let fourth = limiter.acquire(&tenant, &[Limit::whole(id).cost(3)]).await.unwrap();
    first.permit.unwrap().release().await.unwrap();
    assert!(limiter.peek(&tenant, &one).await.unwrap().is_denied());
    // Dropping it tells the server in the background.
    drop(fourth);
    while limiter.peek(&tenant, &one).await.unwrap().is_denied() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn ten_thousand_permits_at_once() {
    let limiter = Limiter::new(store().await);
    let id = limiter.define(policy("p", "10000 concurrent for 1h")).unwrap();
    let tenant = TenantId::from(1);
    let all = limiter.acquire(&tenant, &[Limit::whole(id).cost(10_000)]).await.unwrap();
    assert!(limiter.acquire(&tenant, &[Limit::whole(id)]).await.unwrap().decision.is_denied());
    all.permit.unwrap().release().await.unwrap();
    assert!(limiter.acquire(&tenant, &[Limit::whole(id)]).await.unwrap().decision.is_allowed());
}

#[tokio::test]
async fn every_key_vanishes_by_itself() {
    let config = config();
    let limiter = Limiter::new(RedisStore::connect(url(), config.clone()).await.unwrap());
    let rules = ["1/s burst 2", "2/s sliding", "2/s sliding strict 4", "2/s sliding lenient 4", "2/s fixed"];
    let mut limits = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        limits.push(Limit::whole(limiter.define(policy(&format!("p{at}"), rule)).unwrap()));
    }
    let permits = limiter.define(policy("c", "2 concurrent for 1s")).unwrap();
    limits.push(Limit::whole(permits));
    let tenant = TenantId::from(1);
    let admission = limiter.acquire(&tenant, &limits).await.unwrap();
    let mut raw = raw().await;
    for name in ["p0", "p1", "p2", "p3", "p4", "c"] {
        let key = format!("{}{{1}}:{name}:w", config.prefix);
        let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut raw).await.unwrap();
        assert!((0..=2_020).contains(&left), "{key} lives for {left} ms");
    }
    drop(admission);
}

#[tokio::test]
async fn a_state_that_cannot_be_read_is_an_error_and_another_algorithms_is_none() {
    let config = config();
    let limiter = Limiter::new(RedisStore::connect(url(), config.clone()).await.unwrap());
    let ids = ["1/h", "1/h sliding", "1/h fixed", "1 concurrent for 1h"]
        .map(|rule| limiter.define(policy(&format!("p{}", rule.replace(['/', ' '], ".")), rule)).unwrap());
    let names = ids.map(|id| limiter.policy(id).unwrap().name().to_string());
    let mut raw = raw().await;
    for (name, id) in names.iter().zip(ids) {
        let key = format!("{}{{1}}:{name}:w", config.prefix);
        for other in ["b5:x", "wx", "f5", "b1:1:99999999999999:0", "f99999999999999999:1:1:1"] {
            let () = redis::cmd("SET").arg(&key).arg(other).query_async(&mut raw).await.unwrap();
            let answer = limiter.peek(&TenantId::from(1), &[Limit::whole(id)]).await;
            match answer {
                Ok(_) => {}
                Err(guardian_ratelimit::Error::Store(error)) => {
                    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
                }
                Err(error) => panic!("{error}"),
            }
        }
        let () = redis::cmd("SET").arg(&key).arg("b1:1:1:0").query_async(&mut raw).await.unwrap();
        assert!(
            limiter.acquire(&TenantId::from(1), &[Limit::whole(id)]).await.unwrap().decision.is_allowed()
        );
        let () = redis::cmd("DEL").arg(&key).query_async(&mut raw).await.unwrap();
        let () = redis::cmd("ZADD").arg(&key).arg(1).arg("m").query_async(&mut raw).await.unwrap();
        assert!(
            limiter.acquire(&TenantId::from(1), &[Limit::whole(id)]).await.unwrap().decision.is_allowed()
        );
    }
}

#[tokio::test]
async fn a_peek_writes_nothing() {
    let config = config();
    let limiter = Limiter::new(RedisStore::connect(url(), config.clone()).await.unwrap());
    let rules = ["1/s burst 2", "2/s sliding", "2/s sliding strict 4", "2/s fixed", "2 concurrent for 1s"];
    let mut limits = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        limits.push(Limit::whole(limiter.define(policy(&format!("p{at}"), rule)).unwrap()));
    }
    for _ in 0..3 {
        assert!(limiter.peek(&TenantId::from(1), &limits).await.unwrap().is_allowed());
    }
    let pattern = format!("{}*", config.prefix);
    let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(&mut raw().await).await.unwrap();
    assert_eq!(keys, Vec::<String>::new());
}

#[tokio::test]
async fn reset_makes_all_as_good_as_new() {
    let limiter = Limiter::new(store().await);
    let rules = ["2/h", "2/h sliding", "2/h fixed", "2 concurrent for 1h"];
    let mut limits = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        limits.push(Limit::whole(limiter.define(policy(&format!("p{at}"), rule)).unwrap()).cost(2));
    }
    let tenant = TenantId::from(1);
    for _ in 0..3 {
        let admission = limiter.acquire(&tenant, &limits).await.unwrap();
        assert!(admission.decision.is_allowed());
        std::mem::forget(admission);
        assert!(limiter.acquire(&tenant, &limits).await.unwrap().decision.is_denied());
        limiter.reset(&tenant, &limits).await.unwrap();
    }
}
