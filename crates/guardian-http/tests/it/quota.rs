//! Quotas in front of a service: what is spent, and what clients hear.

use axum::body::Body;
use axum::routing::get;
use axum::{Extension, Router};
use guardian_core::{Actor, ManualClock, Scope, TenantId};
use guardian_http::{OnOutage, QuotaLayer};
use guardian_quota::{MemoryStore, Plan, PlanName, Quotas, Subject, Subscription, Usage};
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

fn scope() -> Scope {
    Scope::new(TenantId::new("acme").unwrap(), Actor::user("ann").unwrap())
}

async fn quotas() -> Quotas<MemoryStore> {
    quotas_at(ManualClock::at("2026-01-31T23:00:00Z".parse().unwrap())).await
}

async fn quotas_at(clock: ManualClock) -> Quotas<MemoryStore> {
    let plan = Plan::parse(
        r#"{"name": "free", "features": {
            "api_calls": {"metered": {"unit": "call", "aggregation": "count", "limits": {
                "org": {"amount": 3}, "user": {"amount": 2, "period": "day"}}}},
            "seats": {"metered": {"unit": "seat", "aggregation": "sum", "limits": {"org": {"amount": 1, "period": "lifetime"}}}}
        }}"#,
    )
    .unwrap();
    let quotas = Quotas::in_memory([plan]).unwrap().with_clock(clock).unwrap();
    let anchor = "2026-01-01T00:00:00Z".parse().unwrap();
    quotas.subscribe(&scope(), Subscription::new(PlanName::new("free").unwrap(), anchor)).await.unwrap();
    quotas
}

fn router(layer: QuotaLayer<MemoryStore>) -> Router {
    Router::new()
        .route("/ok", get(async || "fine"))
        .route("/broken", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .layer(layer)
        .layer(Extension(scope()))
}

async fn ask(router: &Router, path: &str, key: Option<&str>) -> (Response<Body>, String) {
    let mut request = Request::get(path);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (Response::from_parts(parts, Body::empty()), text)
}

fn header<'r>(response: &'r Response<Body>, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn requests_are_spent_for_and_clients_hear_what_is_left() {
    let quotas = quotas().await;
    let router = router(QuotaLayer::new(&quotas, "api_calls", OnOutage::Refuse).unwrap());
    let (response, body) = ask(&router, "/ok", None).await;
    assert_eq!((response.status(), body.as_str()), (StatusCode::OK, "fine"));
    assert_eq!(header(&response, "ratelimit-policy"), r#""api_calls";q=3"#);
    assert_eq!(header(&response, "ratelimit"), r#""api_calls";r=2;t=3600"#);
    for _ in 0..2 {
        assert_eq!(ask(&router, "/broken", None).await.0.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    let (response, body) = ask(&router, "/ok", None).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(header(&response, "retry-after"), "3600");
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["violated-policies"], serde_json::json!(["api_calls"]));
    assert_eq!((&problem["reason"], &problem["level"]), (&"limit_reached".into(), &"org".into()));
}

#[tokio::test]
async fn what_our_side_fails_is_free_and_a_repetition_is_spent_for_once() {
    let quotas = quotas().await;
    let user = |_: &http::request::Parts| Subject::org().user("ann").ok();
    let layer = QuotaLayer::new(&quotas, "api_calls", OnOutage::Refuse)
        .unwrap()
        .by(user)
        .counting(|status| !status.is_server_error());
    let counted = router(layer);
    for _ in 0..5 {
        assert_eq!(ask(&counted, "/broken", None).await.0.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert_eq!(ask(&counted, "/ok", None).await.0.status(), StatusCode::OK);
    let balance = quotas.balance(&scope(), "api_calls", &Subject::org()).await.unwrap();
    assert_eq!((balance.used, balance.held), (1, 0));
    let once = router(
        QuotaLayer::new(&quotas, "api_calls", OnOutage::Refuse)
            .unwrap()
            .by(user)
            .once_per(HeaderName::from_static("idempotency-key")),
    );
    for _ in 0..3 {
        assert_eq!(ask(&once, "/ok", Some("k1")).await.0.status(), StatusCode::OK);
    }
    assert_eq!(
        ask(&once, "/ok", Some("k2")).await.0.status(),
        StatusCode::TOO_MANY_REQUESTS,
        "the user's day"
    );
    assert_eq!(ask(&once, "/ok", Some("k 3")).await.0.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_clients_key_is_none_of_the_hosts() {
    let quotas = quotas().await;
    let layer = QuotaLayer::new(&quotas, "api_calls", OnOutage::Refuse).unwrap();
    let router = router(layer.once_per(HeaderName::from_static("idempotency-key")));
    let usage = Usage::of("api_calls", &Subject::org(), 1).unwrap();
    let own = usage.clone().with_key("job-7").unwrap();
    assert!(quotas.consume(&scope(), &own).await.unwrap().allowed);
    // The client repeats it, and is spent for all the same.
    assert_eq!(ask(&router, "/ok", Some("job-7")).await.0.status(), StatusCode::OK);
    assert_eq!(quotas.balance(&scope(), "api_calls", &Subject::org()).await.unwrap().used, 2);
    // What the client was first with is the host's own still.
    assert_eq!(ask(&router, "/ok", Some("job-8")).await.0.status(), StatusCode::OK);
    let own = usage.clone().with_key("job-8").unwrap();
    assert!(!quotas.consume(&scope(), &own).await.unwrap().replayed);
    assert!(usage.with_key("client:job-8").is_err());
}

#[tokio::test]
async fn a_repetition_of_what_failed_is_spent_for() {
    let clock = ManualClock::at("2026-01-31T12:00:00Z".parse().unwrap());
    let quotas = quotas_at(clock.clone()).await;
    let layer = QuotaLayer::new(&quotas, "api_calls", OnOutage::Refuse).unwrap();
    let layer = layer.counting(|status| !status.is_server_error());
    let router = router(layer.once_per(HeaderName::from_static("idempotency-key")));
    let used = async || quotas.balance(&scope(), "api_calls", &Subject::org()).await.unwrap().used;

    // It fails, is repeated while its unit is held, and is spent for once however often it is repeated then.
    assert_eq!(ask(&router, "/broken", Some("a")).await.0.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(used().await, 0);
    for _ in 0..3 {
        assert_eq!(ask(&router, "/ok", Some("a")).await.0.status(), StatusCode::OK);
    }
    assert_eq!(used().await, 1);

    // It fails and is repeated when its unit is free again, with room and without.
    for key in ["b", "c"] {
        assert_eq!(ask(&router, "/broken", Some(key)).await.0.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    clock.advance(std::time::Duration::from_secs(120));
    assert_eq!(ask(&router, "/ok", Some("b")).await.0.status(), StatusCode::OK);
    assert_eq!(used().await, 2);
    assert_eq!(ask(&router, "/ok", Some("d")).await.0.status(), StatusCode::OK);
    for _ in 0..2 {
        assert_eq!(ask(&router, "/ok", Some("c")).await.0.status(), StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(used().await, 3);
}

#[tokio::test]
async fn where_waiting_does_not_help_it_takes_a_payment() {
    let quotas = quotas().await;
    let seats = router(QuotaLayer::new(&quotas, "seats", OnOutage::Refuse).unwrap());
    assert_eq!(ask(&seats, "/ok", None).await.0.status(), StatusCode::OK);
    assert_eq!(ask(&seats, "/ok", None).await.0.status(), StatusCode::PAYMENT_REQUIRED);
    let lacking = router(QuotaLayer::new(&quotas, "exports", OnOutage::Admit).unwrap());
    assert_eq!(ask(&lacking, "/ok", None).await.0.status(), StatusCode::PAYMENT_REQUIRED);
    let nobody = Router::new()
        .route("/ok", get(async || "fine"))
        .layer(QuotaLayer::new(&quotas, "api_calls", OnOutage::Refuse).unwrap());
    assert_eq!(ask(&nobody, "/ok", None).await.0.status(), StatusCode::UNAUTHORIZED);
}
