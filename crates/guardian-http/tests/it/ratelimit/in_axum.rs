//! The layer under axum, with axum's extensions.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use axum::{Extension, Router};
use guardian_core::TenantId;
use guardian_http::{By, OnMissing, Problem, RateLimitLayer, TrustedProxies};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::{Answer, Fixture};

async fn ask(router: &Router, method: &str, path: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    let peer: SocketAddr = ([192, 0, 2, 7], 4711).into();
    request.extensions_mut().unwrap().insert(ConnectInfo(peer));
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status, headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

#[tokio::test]
async fn addresses_before_authentication_and_routes_behind() {
    let fixture = Fixture::new();
    let per_address = fixture.define("per-address", "100/min");
    let per_endpoint = fixture.define("per-endpoint", "2/min");
    let refuse = OnMissing::Refuse(StatusCode::SERVICE_UNAVAILABLE);
    let before = RateLimitLayer::shared(&fixture.limiter)
        .limit(per_address, By::client_addr(TrustedProxies::none()), refuse)
        .build()
        .unwrap();
    let after = RateLimitLayer::per_tenant(&fixture.limiter, refuse)
        .limit(per_endpoint, By::route(), OnMissing::Together)
        .build()
        .unwrap();
    let router = Router::new()
        .route("/contacts/{id}", get(|| async { "contact" }).delete(|| async {}))
        .route("/deals", post(|| async { StatusCode::CREATED }))
        .layer(after)
        .layer(Extension(TenantId::from(7)))
        .layer(before);

    let policies = r#""per-endpoint";q=2;w=60, "per-address";q=100;w=60"#;
    let first = ask(&router, "GET", "/contacts/1").await;
    first.expect(200, policies, r#""per-endpoint";r=1;t=30, "per-address";r=99;t=1"#, "");
    assert_eq!(first.body, "contact");
    // Another contact is the same endpoint, and so is a HEAD.
    let head = ask(&router, "HEAD", "/contacts/2").await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
    let denied = ask(&router, "GET", "/contacts/3").await;
    denied.expect(429, policies, r#""per-endpoint";r=0;t=30"#, "30");
    let length = denied.body.len().to_string();
    assert_eq!(denied.headers["content-length"], length.as_str());
    // Another method and another route are others.
    assert_eq!(ask(&router, "DELETE", "/contacts/1").await.status, 200);
    assert_eq!(ask(&router, "POST", "/deals").await.status, 201);
    // A method that was made up is not a fresh allowance each time.
    for (method, status) in [("AA", 405), ("BB", 405), ("CC", 429)] {
        assert_eq!(ask(&router, method, "/deals").await.status, status);
    }
}

#[tokio::test]
async fn a_server_that_does_not_tell_addresses_is_told_so() {
    let fixture = Fixture::new();
    let policy = fixture.define("per-address", "1/min");
    let refuse = OnMissing::Refuse(StatusCode::SERVICE_UNAVAILABLE);
    let layer = RateLimitLayer::shared(&fixture.limiter).limit(
        policy,
        By::client_addr(TrustedProxies::none()),
        refuse,
    );
    let router = Router::new().route("/", get(|| async {})).layer(layer.build().unwrap());
    let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
    assert_eq!(response.status(), 503);
}

#[tokio::test]
async fn a_problem_is_a_response() {
    let handler =
        get(|| async { Err::<(), _>(Problem::new(StatusCode::NOT_FOUND).with_detail("no such deal")) });
    let answer = ask(&Router::new().route("/", handler), "GET", "/").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.detail(), "no such deal");
}
