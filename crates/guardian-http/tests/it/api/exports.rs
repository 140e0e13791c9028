//! Exports are sent while they are made.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use guardian_audit::checkpoint::KeyRing;
use guardian_audit::{AuditConfig, AuditEvent, AuditLog};
use guardian_core::{Scope, StoreErrorKind};
use guardian_http::Problem;
use guardian_http::api::{Document, Kind, Permit, Streams, Unguarded, audit};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::contract::scope;
use crate::audits::moody::Moody;

const EVENTS: usize = 3_500;

/// A log of so many events, of which a hundred are a part of an export.
async fn world() -> (AuditLog<Arc<Moody>>, Router) {
    guarded(Unguarded, Streams::new()).await
}

async fn guarded(gatekeeper: impl Permit, streams: Streams) -> (AuditLog<Arc<Moody>>, Router) {
    let log = AuditLog::new(Arc::new(Moody::default()), AuditConfig::default());
    let events =
        |many: usize| (0..many).map(|n| AuditEvent::new("deal.updated").with_metadata("n", n)).collect();
    for _ in 0..EVENTS / 500 {
        log.record_all(&scope("acme"), events(500)).await.unwrap();
    }
    let document = Document::new("test", "1.0.0", gatekeeper)
        .with(audit::api(log.clone(), KeyRing::new()))
        .streams(streams.per_tenant(2));
    (log, document.into_router().unwrap())
}

async fn export(router: &Router) -> http::Response<Body> {
    let mut request = Request::get("/audit/export/ndjson?q=action:deal.updated").body(Body::empty()).unwrap();
    request.extensions_mut().insert(scope("acme"));
    router.clone().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn a_long_file_comes_in_parts_and_is_whole() {
    let (_, router) = world().await;
    let mut body = export(&router).await.into_body();
    let (mut text, mut longest, mut parts) = (Vec::new(), 0, 0);
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        longest = longest.max(data.len());
        parts += 1;
        text.extend_from_slice(&data);
    }
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((parts, lines.len()), (EVENTS.div_ceil(100), EVENTS + 1));
    assert!(longest < text.len() / 30, "{longest} of {}", text.len());
    let manifest = &lines[EVENTS]["manifest"];
    assert_eq!((&manifest["count"], &manifest["first"]), (&EVENTS.into(), &(EVENTS - 1).into()));
}

#[tokio::test]
async fn what_fails_half_way_is_no_whole_file() {
    let (log, router) = world().await;
    let mut body = export(&router).await.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    *log.store().finds_nothing.lock() = Some(StoreErrorKind::Unavailable);
    // A server cuts the connection off at an error: the client sees that the answer is not whole.
    let error = body.frame().await.unwrap().unwrap_err();
    assert!(!error.to_string().is_empty());
    assert!(body.frame().await.is_none() && !body.is_end_stream());
    assert!(!String::from_utf8(first.to_vec()).unwrap().contains("manifest"));
    // What fails at once is told as such.
    assert_eq!(export(&router).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn so_many_go_on_at_once() {
    let (_, router) = world().await;
    let (first, second) = (export(&router).await, export(&router).await);
    let third = export(&router).await;
    assert_eq!(third.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(third.headers().contains_key("retry-after"));
    // One that was taken, and one that was given up, make room.
    first.into_body().collect().await.unwrap();
    drop(second);
    assert_eq!(export(&router).await.status(), StatusCode::OK);
}

/// Permits so many times, and says something else from then on.
#[derive(Debug)]
struct Until(AtomicUsize, Kind);

#[async_trait::async_trait]
impl Permit for Until {
    async fn permit(&self, _: &Scope, _: &str) -> Result<(), Problem> {
        let left = self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| self.1.because("as the test says"))
    }
}

#[tokio::test]
async fn a_file_ends_where_the_permission_does_and_not_where_nobody_can_tell() {
    let asking = || Streams::new().keep_alive(Duration::ZERO);
    let parts = async |then: Kind, streams: Streams| {
        let (_, router) = guarded(Until(AtomicUsize::new(5), then), streams).await;
        let (mut body, mut parts) = (export(&router).await.into_body(), 0);
        loop {
            match body.frame().await {
                Some(Ok(_)) => parts += 1,
                end => return (parts, end.is_none()),
            }
        }
    };
    let all = EVENTS.div_ceil(100);
    assert_eq!(parts(Kind::Forbidden, asking()).await, (5, false), "cut off behind what was permitted");
    assert_eq!(parts(Kind::Unavailable, asking()).await, (all, true), "roles that are away for a moment");
    let short = asking().longest(Duration::ZERO);
    assert_eq!(parts(Kind::Unavailable, short).await, (5, false), "but not for longer than a stream lasts");
}
