//! The extractor behind a router of axum.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use guardian_core::{Clock as _, ManualClock};
use guardian_webhook::axum::{Receiver, VerifiedWebhook};
use guardian_webhook::{MemoryReplayCache, Secret, SignedContent, Verifier, sign_v1};
use http::{Request, StatusCode};
use tower::ServiceExt as _;

#[derive(serde::Deserialize)]
struct Deal {
    id: u64,
}

async fn won(webhook: VerifiedWebhook<Deal>) -> String {
    format!("{} {} {}", webhook.payload.id, webhook.verified.id.unwrap_or_default(), webhook.body.len())
}

#[tokio::test]
async fn a_handler_gets_what_was_verified_and_nothing_else() {
    let (secret, clock) = (Secret::from_bytes(&[7; 32]).unwrap(), ManualClock::new());
    let verifier = Verifier::standard([secret.clone()], [])
        .unwrap()
        .with_replay_cache(Arc::new(MemoryReplayCache::default()));
    let receiver = Receiver::new(verifier, clock.clone()).with_max_body(1000);
    let app: Router = Router::new().route("/", post(won)).with_state(receiver);
    let now = clock.now().timestamp();
    let send = async |id: &str, time: i64, signed: &[u8], sent: Vec<u8>| {
        let signature = sign_v1(&secret, &SignedContent::new(id, time, signed).unwrap()).unwrap();
        let request = Request::post("/")
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", time.to_string())
            .header("webhook-signature", signature)
            .body(Body::from(sent))
            .unwrap();
        app.clone().oneshot(request).await.unwrap().status()
    };
    let body = br#"{"id": 7}"#;
    assert_eq!(send("a", now, body, body.to_vec()).await, StatusCode::OK);
    assert_eq!(send("a", now, body, body.to_vec()).await, StatusCode::CONFLICT);
    assert_eq!(send("b", now, body, b"{\"id\": 8}".to_vec()).await, StatusCode::UNAUTHORIZED);
    assert_eq!(send("c", now - 301, body, body.to_vec()).await, StatusCode::UNAUTHORIZED);
    assert_eq!(send("d", now, b"[]", b"[]".to_vec()).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(send("e", now, body, vec![b' '; 1001]).await, StatusCode::PAYLOAD_TOO_LARGE);
    let request = Request::post("/").body(Body::from("{}")).unwrap();
    assert_eq!(app.clone().oneshot(request).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}
