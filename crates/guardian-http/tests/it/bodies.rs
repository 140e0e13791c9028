//! Bodies that are too long or too slow. Time is tokio's own and stands still but for what waits for it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::post;
use guardian_http::{BodyLimitsLayer, BodyRefused};
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use tokio::time::{Instant, Sleep, sleep};
use tower::ServiceExt as _;

/// A body that comes in parts, each after a while; and after the last one never ends, where it does not.
struct Drips {
    parts: std::vec::IntoIter<(Duration, usize)>,
    next: Option<(Pin<Box<Sleep>>, usize)>,
    ends: bool,
}

impl Drips {
    fn of(parts: Vec<(Duration, usize)>, ends: bool) -> Body {
        Body::new(Self { parts: parts.into_iter(), next: None, ends })
    }
}

impl http_body::Body for Drips {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.next.is_none() {
            let Some((pause, length)) = self.parts.next() else {
                return if self.ends { Poll::Ready(None) } else { Poll::Pending };
            };
            self.next = Some((Box::pin(sleep(pause)), length));
        }
        let (pause, length) = self.next.as_mut().unwrap();
        match pause.as_mut().poll(context) {
            Poll::Ready(()) => {
                let data = Bytes::from(vec![b' '; *length]);
                self.next = None;
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

fn layer() -> BodyLimitsLayer {
    BodyLimitsLayer::new()
        .max_bytes(100)
        .whole_within(Duration::from_secs(30))
        .silent_for(Duration::from_secs(10))
}

/// A service that reads the body and says how long it is, or answers 400 as extractors do.
fn reader() -> Router {
    let read = async |body: Bytes| body.len().to_string();
    Router::new().route("/", post(read)).layer(layer())
}

async fn sent(body: Body, declared: Option<u64>) -> (StatusCode, Option<String>, String) {
    let mut request = Request::post("/");
    if let Some(length) = declared {
        request = request.header("content-length", length);
    }
    let answer = reader().oneshot(request.body(body).unwrap()).await.unwrap();
    let status = answer.status();
    let connection = answer.headers().get("connection").map(|value| value.to_str().unwrap().to_owned());
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, connection, String::from_utf8(bytes.to_vec()).unwrap())
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn bodies_within_the_bounds_go_through() {
    assert_eq!(sent(Body::empty(), None).await.2, "0");
    assert_eq!(sent(Body::from(vec![b' '; 100]), None).await.2, "100");
    assert_eq!(
        sent(Drips::of(vec![(9 * SECOND, 50), (9 * SECOND, 50), (9 * SECOND, 0)], true), None).await.2,
        "100"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_too_long_is_413_whether_it_says_so_or_not() {
    for (body, declared) in [
        (Body::from(vec![b' '; 101]), None),
        (Body::empty(), Some(101)),
        (Body::empty(), Some(u64::MAX)),
        (Drips::of(vec![(SECOND, 60), (SECOND, 60)], true), None),
        // Nobody waits for the rest.
        (Drips::of(vec![(SECOND, 60), (SECOND, 60)], false), None),
    ] {
        let (status, connection, text) = sent(body, declared).await;
        assert_eq!((status, connection.as_deref()), (StatusCode::PAYLOAD_TOO_LARGE, Some("close")), "{text}");
        assert!(text.contains("urn:guardian:problem:too-large") && text.contains("100 bytes"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_slow_is_408() {
    let drips = vec![(8 * SECOND, 1); 20];
    for (parts, ends, after) in [
        (vec![], false, 10),
        (vec![(SECOND, 50)], false, 11),
        (drips, true, 30),
        (vec![(11 * SECOND, 1)], true, 10),
    ] {
        let begun = Instant::now();
        let (status, connection, text) = sent(Drips::of(parts, ends), None).await;
        assert_eq!((status, connection.as_deref()), (StatusCode::REQUEST_TIMEOUT, Some("close")), "{text}");
        assert!(text.contains("urn:guardian:problem:body-too-slow"), "{text}");
        assert_eq!(begun.elapsed().as_secs(), after);
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_reads_is_not_waited_for() {
    let deaf = Router::new().route("/", post(async || "fine")).layer(layer());
    let answer = deaf.oneshot(Request::post("/").body(Drips::of(vec![], false)).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

/// A service that takes its time between two reads keeps a client waiting, and not the other way round.
#[tokio::test(start_paused = true)]
async fn the_time_of_the_service_is_not_the_clients() {
    let import = async |body: Body| {
        let mut body = body.into_data_stream();
        let mut length = 0;
        while let Some(part) = futures_util::StreamExt::next(&mut body).await {
            length += part.unwrap().len();
            sleep(20 * SECOND).await;
        }
        length.to_string()
    };
    let router = Router::new().route("/", post(import)).layer(layer());
    let slow = Request::post("/").body(Drips::of(vec![(5 * SECOND, 10); 5], true)).unwrap();
    let answer = router.oneshot(slow).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "50");
}

/// The reader hears which of the two it was, and what it answers in spite of it is its own.
#[tokio::test(start_paused = true)]
async fn a_reader_may_answer_in_spite_of_it() {
    let stubborn = async |body: Body| {
        let error = body.collect().await.unwrap_err();
        let error = std::error::Error::source(&error).unwrap().downcast_ref::<BodyRefused>().copied();
        format!("{error:?}")
    };
    let router = Router::new().route("/", post(stubborn)).layer(layer());
    let long = Request::post("/").body(Drips::of(vec![(SECOND, 200)], true)).unwrap();
    let answer = router.oneshot(long).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "Some(TooLong)");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// As a naive reader of the clock and the scales would say.
    #[test]
    fn every_body_is_judged_as_it_comes(parts in prop::collection::vec((0_u64..15, 0_usize..60), 0..8), ends: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let expected = {
            let (mut at, mut length) = (0, 0);
            let mut judged = None;
            for (pause, more) in &parts {
                // A part at the very end of the time may be seen either way.
                prop_assume!(*pause != 10 && at + pause != 30);
                if *pause > 10 || at + pause > 30 {
                    judged = Some(408);
                    break;
                }
                at += pause;
                length += more;
                if length > 100 {
                    judged = Some(413);
                    break;
                }
            }
            judged.unwrap_or(if ends { 200 } else { 408 })
        };
        let parts = parts.into_iter().map(|(pause, length)| (Duration::from_secs(pause), length)).collect();
        let (status, ..) = runtime.block_on(sent(Drips::of(parts, ends), None));
        prop_assert_eq!(status.as_u16(), expected);
    }
}
