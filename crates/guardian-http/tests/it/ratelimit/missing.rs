//! Requests that do not carry what a limit counts by.

use guardian_core::TenantId;
use guardian_http::{By, OnMissing, RateLimitLayer, TrustedProxies};
use http::StatusCode;

use super::{Fixture, ask, request, service, with_extension};

#[tokio::test]
async fn a_key_can_be_missing() {
    let fixture = Fixture::new();
    let policy = fixture.define("per-address", "1/h");
    let layer = |answer| {
        let by = By::client_addr(TrustedProxies::none());
        service(RateLimitLayer::shared(&fixture.limiter).limit(policy, by, answer))
    };

    let skipping = layer(OnMissing::Skip);
    for _ in 0..3 {
        ask(&skipping, request()).await.expect(200, "", "", "");
    }

    let refusing = layer(OnMissing::Refuse(StatusCode::SERVICE_UNAVAILABLE));
    let refused = ask(&refusing, request()).await;
    refused.expect(503, "", "", "");
    assert_eq!(refused.detail(), "this request has no client address, by which requests are counted here");

    let together = layer(OnMissing::Together);
    assert_eq!(ask(&together, request()).await.status, 200);
    assert_eq!(ask(&together, request()).await.status, 429);
    // Those who do have an address are not among them.
    assert_eq!(ask(&together, super::from_peer("192.0.2.1")).await.status, 200);
}

#[tokio::test]
async fn a_limit_that_is_skipped_leaves_the_others() {
    let fixture = Fixture::new();
    let per_org = fixture.define("per-org", "10/min");
    let per_key = fixture.define("per-key", "1/min");
    let layer = RateLimitLayer::per_tenant(&fixture.limiter, OnMissing::Skip);
    let service = service(layer.whole(per_org).limit(per_key, By::api_key(), OnMissing::Skip));
    let request = with_extension(request(), TenantId::from(1));
    ask(&service, request).await.expect(200, r#""per-org";q=10;w=60"#, r#""per-org";r=9;t=6"#, "");
}

#[tokio::test]
async fn the_tenant_can_be_missing() {
    let fixture = Fixture::new();
    let policy = fixture.define("per-org", "1/h");
    let layer = |answer| service(RateLimitLayer::per_tenant(&fixture.limiter, answer).whole(policy));

    ask(&layer(OnMissing::Skip), request()).await.expect(200, "", "", "");
    let refused = ask(&layer(OnMissing::Refuse(StatusCode::UNAUTHORIZED)), request()).await;
    refused.expect(401, "", "", "");
    assert_eq!(
        refused.body,
        concat!(
            r#"{"type":"about:blank","title":"Unauthorized","status":401,"#,
            r#""detail":"this request has no tenant, by which requests are counted here"}"#,
        )
    );
    let together = layer(OnMissing::Together);
    assert_eq!(ask(&together, request()).await.status, 200);
    assert_eq!(ask(&together, request()).await.status, 429);
    assert_eq!(ask(&together, super::of_tenant("acme")).await.status, 200);
}
