//! Several limits at once, costs, dry runs, and layers behind layers.

use std::sync::{Arc, Mutex};

use guardian_core::TenantId;
use guardian_http::{By, Key, LayerError, OnMissing, RateLimitLayer};
use guardian_ratelimit::{Limit, Policy, Rule};
use http::StatusCode;
use tower::{ServiceBuilder, service_fn};

use super::{Answer, Data, Fixture, ask, from_peer, of_tenant, request, service};

#[tokio::test]
async fn a_denied_request_is_charged_nowhere_and_names_only_what_denies_it() {
    let fixture = Fixture::new();
    let per_org = fixture.define("per-org", "100/min");
    let per_key = fixture.define("per-key", "1/min");
    let layer = RateLimitLayer::per_tenant(&fixture.limiter, OnMissing::Skip);
    let service = service(layer.whole(per_org).limit(per_key, By::api_key(), OnMissing::Skip));

    let policies = r#""per-org";q=100;w=60, "per-key";q=1;w=60"#;
    let limits = r#""per-org";r=99;t=1, "per-key";r=0;t=60"#;
    ask(&service, of_tenant("acme")).await.expect(200, policies, limits, "");
    for _ in 0..5 {
        let denied = ask(&service, of_tenant("acme")).await;
        denied.expect(429, policies, r#""per-key";r=0;t=60"#, "60");
        assert!(denied.body.ends_with(r#""violated-policies":["per-key"]}"#));
    }
    let acme = TenantId::new("acme").unwrap();
    let left = fixture.limiter.peek(&acme, &[Limit::whole(per_org).cost(99)]).await.unwrap();
    assert!(left.is_allowed(), "the denied requests were charged");
}

#[tokio::test]
async fn all_that_deny_are_named_and_the_longest_wait_counts() {
    let fixture = Fixture::new();
    let short = fixture.define("short", "1/10s");
    let long = fixture.define("long", "1/h");
    let service = service(RateLimitLayer::shared(&fixture.limiter).whole(short).whole(long));
    ask(&service, request()).await;
    let denied = ask(&service, request()).await;
    let policies = r#""short";q=1;w=10, "long";q=1;w=3600"#;
    denied.expect(429, policies, r#""short";r=0;t=10, "long";r=0;t=3600"#, "3600");
    assert_eq!(
        denied.detail(),
        "the limits `short` (1 request per 10 seconds) and `long` (1 request per hour) are used up; try again in 3600 seconds"
    );
}

#[tokio::test]
async fn costs_are_charged_and_a_cost_of_none_exempts() {
    let fixture = Fixture::new();
    let policy = fixture.define("cost", "10/min");
    let cost =
        |request: &http::request::Parts| request.uri.path().trim_start_matches('/').parse().unwrap_or(1);
    let service = service(RateLimitLayer::shared(&fixture.limiter).whole(policy).cost(cost));
    let of_cost = |cost: &str| {
        let mut request = request();
        *request.uri_mut() = format!("/{cost}").parse().unwrap();
        request
    };
    ask(&service, of_cost("0")).await.expect(200, "", "", "");
    let policies = r#""cost";q=10;w=60"#;
    ask(&service, of_cost("7")).await.expect(200, policies, r#""cost";r=3;t=42"#, "");
    ask(&service, of_cost("4")).await.expect(429, policies, r#""cost";r=3;t=6"#, "6");
    // No wait would help, so none is told.
    let never = ask(&service, of_cost("11")).await;
    never.expect(429, policies, r#""cost";r=3"#, "");
    assert_eq!(
        never.detail(),
        "this request costs more than the limit `cost` (10 requests per minute) will ever admit at once"
    );
}

#[tokio::test]
async fn a_dry_run_denies_nobody_shows_nothing_and_can_be_observed() {
    let fixture = Fixture::new();
    let trial = Policy::new("trial", "1/min").unwrap().dry_run();
    let trial = fixture.limiter.define(trial).unwrap();
    let real = fixture.define("real", "10/min");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let builder = RateLimitLayer::shared(&fixture.limiter).whole(trial).whole(real);
    let service = service(builder.on_decision(move |_, decision| {
        let would_deny = decision.outcomes().iter().filter(|outcome| outcome.would_deny());
        log.lock().unwrap().push((decision.is_allowed(), would_deny.count()));
    }));
    for left in [9, 8, 7] {
        let limits = format!(r#""real";r={left};t={}"#, (10 - left) * 6);
        ask(&service, request()).await.expect(200, r#""real";q=10;w=60"#, &limits, "");
    }
    assert_eq!(*seen.lock().unwrap(), [(true, 0), (true, 1), (true, 1)]);
}

#[tokio::test]
async fn two_tenants_never_see_each_other() {
    let fixture = Fixture::new();
    let per_org = fixture.define("per-org", "2/min");
    let per_key = fixture.define("per-key", "5/min");
    let globex = TenantId::new("globex").unwrap();
    let plan: Rule = "50/min".parse().unwrap();
    fixture.limiter.set_override(per_org, &globex, plan).unwrap();
    let layer = RateLimitLayer::per_tenant(&fixture.limiter, OnMissing::Skip);
    let service = service(layer.whole(per_org).limit(per_key, By::api_key(), OnMissing::Skip));

    // Both call their key `k1`.
    let acme = r#""per-org";q=2;w=60, "per-key";q=5;w=60"#;
    let globex = r#""per-org";q=50;w=60, "per-key";q=5;w=60"#;
    ask(&service, of_tenant("acme")).await;
    let limits = r#""per-org";r=0;t=60, "per-key";r=3;t=24"#;
    ask(&service, of_tenant("acme")).await.expect(200, acme, limits, "");
    assert_eq!(ask(&service, of_tenant("acme")).await.status, 429);
    let limits = r#""per-org";r=49;t=2, "per-key";r=4;t=12"#;
    ask(&service, of_tenant("globex")).await.expect(200, globex, limits, "");
}

#[tokio::test]
async fn a_layer_behind_a_layer_adds_its_own_fields() {
    let fixture = Fixture::new();
    let per_address = fixture.define("per-address", "10/min");
    let everyone = fixture.define("everyone", "1/min");
    let by = By::with("client address", |_| Some(Key::from("192.0.2.1")));
    let outer = RateLimitLayer::shared(&fixture.limiter).limit(per_address, by, OnMissing::Skip);
    let inner = RateLimitLayer::shared(&fixture.limiter).whole(everyone);
    let service = ServiceBuilder::new()
        .layer(outer.build().unwrap())
        .layer(inner.build().unwrap())
        .service(service_fn(|_| async { Ok(http::Response::new(http_body_util::Full::new(Data::new()))) }));
    let ask = || async {
        let response = tower::ServiceExt::oneshot(service.clone(), from_peer("192.0.2.1")).await;
        let response: Result<_, std::convert::Infallible> = response;
        let (head, _) = response.unwrap().into_parts();
        Answer { status: head.status, headers: head.headers, body: String::new() }
    };
    let policies = r#""everyone";q=1;w=60, "per-address";q=10;w=60"#;
    let limits = r#""everyone";r=0;t=60, "per-address";r=9;t=6"#;
    ask().await.expect(200, policies, limits, "");
    // The request is denied by the inner limits, and its fields are about those.
    ask().await.expect(429, policies, r#""everyone";r=0;t=60"#, "60");
}

#[tokio::test]
async fn fields_can_be_kept_off_responses_to_allowed_requests() {
    let fixture = Fixture::new();
    let policy = fixture.define("quiet", "1/min");
    let builder = RateLimitLayer::shared(&fixture.limiter).whole(policy);
    let service = service(builder.fields_on_success(false));
    ask(&service, request()).await.expect(200, "", "", "");
    ask(&service, request()).await.expect(429, r#""quiet";q=1;w=60"#, r#""quiet";r=0;t=60"#, "60");
}

#[test]
fn layers_that_cannot_be() {
    let fixture = Fixture::new();
    let shared = || RateLimitLayer::shared(&fixture.limiter);
    let policies: Vec<_> = (0..9).map(|n| fixture.define(&format!("p{n}"), "1/s")).collect();
    let first = policies[0];
    let all = policies.iter().fold(shared(), |builder, policy| builder.whole(*policy));

    assert_eq!(shared().build().unwrap_err(), LayerError::NoLimits);
    assert_eq!(all.build().unwrap_err(), LayerError::TooManyLimits { given: 9 });
    assert_eq!(
        shared().whole(first).whole(first).build().unwrap_err().to_string(),
        "the layer names the policy `p0` twice"
    );
    let refuse = OnMissing::Refuse(StatusCode::OK);
    assert_eq!(
        shared().limit(first, By::actor(), refuse).build().unwrap_err().to_string(),
        "status `200 OK` is not an error, refuse with 400 to 599"
    );
    let empty = Fixture::new();
    assert_eq!(
        RateLimitLayer::shared(&empty.limiter).whole(first).build().unwrap_err(),
        LayerError::UnknownPolicy
    );
}
