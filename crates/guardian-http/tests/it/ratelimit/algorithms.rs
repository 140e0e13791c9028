//! One golden exchange for each algorithm.

use guardian_http::RateLimitLayer;

use super::{Fixture, ask, request, service};

#[tokio::test]
async fn token_bucket() {
    let fixture = Fixture::new();
    let policy = fixture.define("bucket", "100/min burst 3");
    let service = service(RateLimitLayer::shared(&fixture.limiter).whole(policy));

    // 100 a minute are one every 0.6 s, so three tokens take 1.8 s.
    let policies = r#""bucket";q=3;w=2"#;
    ask(&service, request()).await.expect(200, policies, r#""bucket";r=2;t=1"#, "");
    ask(&service, request()).await.expect(200, policies, r#""bucket";r=1;t=2"#, "");
    ask(&service, request()).await.expect(200, policies, r#""bucket";r=0;t=2"#, "");
    let denied = ask(&service, request()).await;
    denied.expect(429, policies, r#""bucket";r=0;t=1"#, "1");
    assert_eq!(
        denied.body,
        concat!(
            r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","#,
            r#""title":"Quota Exceeded","status":429,"#,
            r#""detail":"the limit `bucket` (100 requests per minute, 3 at once) is used up; try again in 1 second","#,
            r#""violated-policies":["bucket"]}"#,
        )
    );
    // What was said holds.
    fixture.advance_millis(1000);
    assert_eq!(ask(&service, request()).await.status, 200);
}

/// A bucket as large as its rate's count allots what the rate says.
#[tokio::test]
async fn a_plain_rate_is_told_as_it_is_written() {
    let fixture = Fixture::new();
    let policy = fixture.define("plain", "1000/h");
    let service = service(RateLimitLayer::shared(&fixture.limiter).whole(policy));
    ask(&service, request()).await.expect(200, r#""plain";q=1000;w=3600"#, r#""plain";r=999;t=4"#, "");
}

#[tokio::test]
async fn exact_sliding_window() {
    let fixture = Fixture::new();
    let policy = fixture.define("window", "2/min sliding");
    let service = service(RateLimitLayer::shared(&fixture.limiter).whole(policy));
    let policies = r#""window";q=2;w=60"#;
    ask(&service, request()).await.expect(200, policies, r#""window";r=1;t=60"#, "");
    fixture.advance_millis(20_500);
    ask(&service, request()).await.expect(200, policies, r#""window";r=0;t=60"#, "");
    let denied = ask(&service, request()).await;
    denied.expect(429, policies, r#""window";r=0;t=40"#, "40");
    assert_eq!(
        denied.detail(),
        "the limit `window` (2 requests in any minute) is used up; try again in 40 seconds"
    );
    fixture.advance_millis(40_000);
    assert_eq!(ask(&service, request()).await.status, 200);
}

#[tokio::test]
async fn sliced_windows() {
    for precision in ["strict", "lenient"] {
        let fixture = Fixture::new();
        let policy = fixture.define("sliced", &format!("1/min sliding {precision} 60"));
        let service = service(RateLimitLayer::shared(&fixture.limiter).whole(policy));
        assert_eq!(ask(&service, request()).await.status, 200);
        let denied = ask(&service, request()).await;
        let [policies, limits, retry_after] = denied.fields();
        assert_eq!(policies.unwrap(), r#""sliced";q=1;w=60"#);
        let wait: u64 = retry_after.unwrap().parse().unwrap();
        assert_eq!(limits.unwrap(), format!(r#""sliced";r=0;t={wait}"#));
        assert!((59..=61).contains(&wait), "{precision}: {wait}");
        fixture.advance_millis(wait * 1000);
        assert_eq!(ask(&service, request()).await.status, 200, "{precision}");
    }
}

#[tokio::test]
async fn fixed_window() {
    let fixture = Fixture::new();
    // The manual clock starts at midnight.
    let policy = fixture.define("daily", "1/day fixed");
    let service = service(RateLimitLayer::shared(&fixture.limiter).whole(policy));
    fixture.advance_millis(86_400_000 - 1500);
    let policies = r#""daily";q=1;w=86400"#;
    ask(&service, request()).await.expect(200, policies, r#""daily";r=0;t=2"#, "");
    let denied = ask(&service, request()).await;
    denied.expect(429, policies, r#""daily";r=0;t=2"#, "2");
    assert_eq!(
        denied.detail(),
        "the limit `daily` (1 request in each day) is used up; try again in 2 seconds"
    );
}

/// A wait of a nanosecond is a second, not none.
#[tokio::test]
async fn the_shortest_wait_is_a_second() {
    let fixture = Fixture::new();
    let policy = fixture.define("fast", "1000/s burst 1");
    let service = service(RateLimitLayer::shared(&fixture.limiter).whole(policy));
    ask(&service, request()).await;
    ask(&service, request()).await.expect(429, r#""fast";q=1;w=1"#, r#""fast";r=0;t=1"#, "1");
}
