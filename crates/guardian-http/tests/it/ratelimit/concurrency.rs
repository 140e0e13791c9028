//! Permits: a request counts until its response was read or given up.

use guardian_http::RateLimitLayer;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::{Fixture, ask, request, service};

#[tokio::test]
async fn a_permit_lives_as_long_as_the_body() {
    let fixture = Fixture::new();
    let exports = fixture.define("exports", "1 concurrent for 10min");
    let service = service(RateLimitLayer::shared(&fixture.limiter).whole(exports));
    let policies = r#""exports";q=1;qu="concurrent-requests""#;

    let first = service.clone().oneshot(request()).await.unwrap();
    assert_eq!(first.headers()["ratelimit"], r#""exports";r=0"#);
    // The head has arrived and the body has not: still one at work. Ten minutes would be no useful answer.
    let denied = ask(&service, request()).await;
    denied.expect(429, policies, r#""exports";r=0"#, "1");
    assert_eq!(
        denied.detail(),
        "the limit `exports` (1 request at a time) is used up; try again in 1 second"
    );

    drop(first);
    let second = service.clone().oneshot(request()).await.unwrap();
    assert_eq!(second.status(), 200);
    let mut body = second.into_body();
    while body.frame().await.is_some() {}
    // The end was read, so the permit is gone before the body is.
    assert_eq!(ask(&service, request()).await.status, 200);
    drop(body);
}

#[tokio::test]
async fn a_denied_request_holds_nothing() {
    let fixture = Fixture::new();
    let exports = fixture.define("exports", "5 concurrent for 10min");
    let rate = fixture.define("rate", "1/min");
    let builder = RateLimitLayer::shared(&fixture.limiter).whole(exports).whole(rate);
    let service = service(builder.cost(|_| 1));
    let held = service.clone().oneshot(request()).await.unwrap();
    for _ in 0..10 {
        let denied = ask(&service, request()).await;
        assert_eq!(denied.field("ratelimit").unwrap(), r#""rate";r=0;t=60"#);
    }
    drop(held);
}
