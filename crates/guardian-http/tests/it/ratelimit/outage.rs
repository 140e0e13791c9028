//! A store that is down, for each answer that a policy can give.

use std::num::NonZeroU32;
use std::time::Duration;

use guardian_core::{ManualClock, MonoTime, StoreError, StoreErrorKind};
use guardian_http::RateLimitLayer;
use guardian_ratelimit::store::{Call, Release, Store};
use guardian_ratelimit::{Decision, Limiter, OnStoreError, Policy, PolicyId, PolicyName};

use super::{ask, request, service};

/// A store whose network cable is cut.
#[derive(Debug)]
struct Down;

fn down() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "test")
}

impl Store for Down {
    fn register(&self, _: &PolicyName) -> u32 {
        0
    }

    async fn check(&self, _: &Call<'_>) -> Result<Decision, StoreError> {
        Err(down())
    }

    async fn peek(&self, _: &Call<'_>) -> Result<Decision, StoreError> {
        Err(down())
    }

    async fn refund(&self, _: &Call<'_>, _: MonoTime) -> Result<(), StoreError> {
        Err(down())
    }

    async fn reset(&self, _: &Call<'_>) -> Result<(), StoreError> {
        Err(down())
    }

    async fn release(&self, _: &Release) -> Result<(), StoreError> {
        Err(down())
    }

    fn release_detached(&self, _: Release) {}
}

fn limiter(policies: &[(&str, &str, OnStoreError)]) -> (Limiter<Down, ManualClock>, Vec<PolicyId>) {
    let limiter = Limiter::with_clock(Down, ManualClock::new());
    let ids = policies.iter().map(|(name, rule, answer)| {
        let policy = Policy::new(name, rule).unwrap().on_store_error(*answer);
        limiter.define(policy).unwrap()
    });
    let ids = ids.collect();
    (limiter, ids)
}

#[tokio::test]
async fn open_lets_pass_and_tells_only_the_policy() {
    let (limiter, ids) = limiter(&[("open", "1/min", OnStoreError::Open)]);
    let service = service(RateLimitLayer::shared(&limiter).whole(ids[0]));
    for _ in 0..3 {
        ask(&service, request()).await.expect(200, r#""open";q=1;w=60"#, "", "");
    }
}

#[tokio::test]
async fn closed_is_a_503_that_names_who_closed() {
    let (limiter, ids) =
        limiter(&[("open", "5/min", OnStoreError::Open), ("closed", "1/min", OnStoreError::Closed)]);
    let builder = RateLimitLayer::shared(&limiter).whole(ids[0]).whole(ids[1]);
    let answer = ask(&service(builder), request()).await;
    answer.expect(503, r#""open";q=5;w=60, "closed";q=1;w=60"#, "", "5");
    assert_eq!(
        answer.body,
        concat!(
            r#"{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","#,
            r#""title":"Temporary Reduced Capacity","status":503,"#,
            r#""detail":"requests cannot be counted for the moment; try again in 5 seconds","#,
            r#""violated-policies":["closed"]}"#,
        )
    );
    let builder = RateLimitLayer::shared(&limiter).whole(ids[1]);
    let builder = builder.outage_retry(Duration::from_millis(100));
    assert_eq!(ask(&service(builder), request()).await.headers["retry-after"], "1");
}

#[tokio::test]
async fn local_decides_by_this_process_share() {
    let processes = NonZeroU32::new(4).unwrap();
    let (limiter, ids) = limiter(&[("local", "8/min", OnStoreError::Local { processes })]);
    let service = service(RateLimitLayer::shared(&limiter).whole(ids[0]));
    let policies = r#""local";q=8;w=60"#;
    ask(&service, request()).await.expect(200, policies, r#""local";r=1;t=30"#, "");
    ask(&service, request()).await;
    ask(&service, request()).await.expect(429, policies, r#""local";r=0;t=30"#, "30");
}
