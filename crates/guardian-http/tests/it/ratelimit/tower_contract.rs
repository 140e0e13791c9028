//! The layer as a tower service: readiness is the inner service's, and nobody is called who is not ready.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use guardian_http::RateLimitLayer;
use http::{Request, Response};
use tower::{Layer, Service, ServiceExt};

use super::{Fixture, request};

/// Panics when it is called without having been polled ready, as tower allows.
#[derive(Default)]
struct Strict {
    ready: bool,
    polled: Arc<AtomicUsize>,
}

impl Clone for Strict {
    /// A clone has not been polled, whatever the original has.
    fn clone(&self) -> Self {
        Self { ready: false, polled: Arc::clone(&self.polled) }
    }
}

impl Service<Request<()>> for Strict {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        self.polled.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being ready");
        ready(Ok(Response::new(String::new())))
    }
}

#[tokio::test]
async fn readiness_is_not_lost() {
    let fixture = Fixture::new();
    let policy = fixture.define("two", "2/min");
    let layer = RateLimitLayer::shared(&fixture.limiter).whole(policy).build().unwrap();
    let strict = Strict::default();
    let polled = Arc::clone(&strict.polled);
    let mut service = layer.layer(strict);
    for status in [200, 200, 429, 429] {
        let response = service.ready().await.unwrap().call(request()).await.unwrap();
        assert_eq!(response.status(), status);
    }
    assert_eq!(polled.load(Ordering::SeqCst), 4, "asked once for each request");
}

/// Futures may be polled later and in another order than their calls.
#[tokio::test]
async fn calls_may_overlap() {
    let fixture = Fixture::new();
    let policy = fixture.define("many", "10/min");
    let layer = RateLimitLayer::shared(&fixture.limiter).whole(policy).build().unwrap();
    let mut service = layer.layer(Strict::default());
    let first = service.ready().await.unwrap().call(request());
    let second = service.ready().await.unwrap().call(request());
    assert_eq!(second.await.unwrap().headers()["ratelimit"], r#""many";r=9;t=6"#);
    assert_eq!(first.await.unwrap().headers()["ratelimit"], r#""many";r=8;t=12"#);
}
