//! How long and how slow the body of a request may be.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf as _;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_layer::Layer;
use tower_service::Service;

use crate::Problem;

/// A layer that bounds the bodies of requests: how many bytes they have, how long the reader may wait for them in all, and how long a client
/// may send nothing of them.
///
/// A body whose declared length is too long is refused before anybody reads it. Else it is the reader that meets the bound: its read
/// fails, and whatever failure it answers (a status of 400 or more) becomes
///
/// - 413 `urn:guardian:problem:too-large`, when the body was too long;
/// - 408 `urn:guardian:problem:body-too-slow`, when it was too slow; the connection ends with it (RFC 9110, section 15.5.9).
///
/// So handlers and extractors need to know nothing of it. Only the time counts in which the reader waits for the client: what nobody reads is not
/// waited for, and a service that takes its time between two reads, to write to a database say, uses up none of the client's. It takes
/// tokio's timers, so the service runs on tokio. Extractors of axum have a bound of their own, of 2 MB: where more is to come, take that out
/// with `axum::extract::DefaultBodyLimit::disable()`.
///
/// ```
/// use std::time::Duration;
/// use guardian_http::BodyLimitsLayer;
///
/// let forms = BodyLimitsLayer::new(); // 1 MiB, 30 s in all, 10 s without a byte
/// let imports = BodyLimitsLayer::new()
///     .max_bytes(64 << 20)
///     .whole_within(Duration::from_secs(300))
///     .silent_for(Duration::from_secs(10));
/// # let _ = (forms, imports);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct BodyLimitsLayer {
    max_bytes: u64,
    whole: Duration,
    silence: Duration,
}

impl BodyLimitsLayer {
    /// The longest body unless said otherwise, in bytes: 1 MiB.
    pub const MAX_BYTES: u64 = 1 << 20;
    /// How long the reader may wait for a body in all unless said otherwise: 30 seconds.
    pub const WHOLE: Duration = Duration::from_secs(30);
    /// How long a client may send nothing unless said otherwise: 10 seconds.
    pub const SILENCE: Duration = Duration::from_secs(10);

    /// The bounds above.
    pub fn new() -> Self {
        Self { max_bytes: Self::MAX_BYTES, whole: Self::WHOLE, silence: Self::SILENCE }
    }

    /// The longest body, in bytes.
    pub fn max_bytes(self, max_bytes: u64) -> Self {
        Self { max_bytes, ..self }
    }

    /// How long the reader may wait for a body in all.
    pub fn whole_within(self, whole: Duration) -> Self {
        Self { whole, ..self }
    }

    /// How long a client may send nothing of it.
    pub fn silent_for(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }
}

impl Default for BodyLimitsLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for BodyLimitsLayer {
    type Service = BodyLimits<S>;

    fn layer(&self, inner: S) -> BodyLimits<S> {
        BodyLimits { inner, limits: *self }
    }
}

/// A service whose bodies are bounded; made by [`BodyLimitsLayer`].
#[derive(Clone, Debug)]
pub struct BodyLimits<S> {
    inner: S,
    limits: BodyLimitsLayer,
}

impl<S, B, R> Service<Request<B>> for BodyLimits<S>
where
    S: Service<Request<BoundedBody<B>>, Response = Response<R>>,
    B: Body,
    R: From<Vec<u8>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoundedResponse<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        // What a server framed by the field; a body of another making tells by its hint.
        let declared =
            parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if declared.unwrap_or(0).max(body.size_hint().lower()) > self.limits.max_bytes {
            return BoundedResponse::of(State::Refused { max_bytes: self.limits.max_bytes });
        }
        if body.is_end_stream() {
            let request = Request::from_parts(parts, BoundedBody { body, watch: None });
            return BoundedResponse::of(State::Goes {
                future: Box::pin(self.inner.call(request)),
                fate: None,
            });
        }
        let fate = Arc::new(Fate { what: AtomicU8::new(FINE), max_bytes: self.limits.max_bytes });
        let watch = Watch {
            fate: Arc::clone(&fate),
            limits: self.limits,
            left: self.limits.max_bytes,
            patience: self.limits.whole,
            waiting: None,
        };
        let request = Request::from_parts(parts, BoundedBody { body, watch: Some(watch) });
        BoundedResponse::of(State::Goes { future: Box::pin(self.inner.call(request)), fate: Some(fate) })
    }
}

const FINE: u8 = 0;
const TOO_LONG: u8 = 1;
const TOO_SLOW: u8 = 2;

/// What became of a body, for the response.
#[derive(Debug)]
struct Fate {
    what: AtomicU8,
    max_bytes: u64,
}

/// Why a body could not be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyRefused {
    /// It has more bytes than it may.
    #[error("the body is longer than it may be")]
    TooLong,
    /// It did not come in time.
    #[error("the body did not come in time")]
    TooSlow,
}

/// Watches over one body.
#[derive(Debug)]
struct Watch {
    fate: Arc<Fate>,
    limits: BodyLimitsLayer,
    left: u64,
    /// How long the reader may still wait in all.
    patience: Duration,
    /// Since when the reader waits, and when it gives up.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Watch {
    /// The reader waits; whether it has waited long enough.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let most = self.patience.min(self.limits.silence);
        let (_, timer) = self.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + most)))
        });
        timer.as_mut().poll(context).is_ready()
    }

    /// The reader waits no more; whether it has waited too long in all. A client that sends a little at a time never lets the timer run out.
    fn has_lost_patience(&mut self) -> bool {
        let Some((since, _)) = self.waiting.take() else { return false };
        self.patience = self.patience.saturating_sub(since.elapsed());
        self.patience.is_zero()
    }

    fn refuses(&self, what: u8, why: BodyRefused) -> BodyError {
        self.fate.what.store(what, Ordering::Release);
        why.into()
    }
}

type BodyError = Box<dyn StdError + Send + Sync>;

pin_project! {
    /// The body of a request that went through a [`BodyLimitsLayer`].
    #[derive(Debug)]
    pub struct BoundedBody<B> {
        #[pin]
        body: B,
        watch: Option<Watch>,
    }
}

impl<B> Body for BoundedBody<B>
where
    B: Body,
    B::Error: Into<BodyError>,
{
    type Data = B::Data;
    /// Of the body itself, or a [`BodyRefused`].
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BodyError>>> {
        let this = self.project();
        let Some(watch) = this.watch else {
            return this.body.poll_frame(context).map_err(Into::into);
        };
        let frame = match this.body.poll_frame(context) {
            Poll::Pending if watch.is_late(context) => {
                return Poll::Ready(Some(Err(watch.refuses(TOO_SLOW, BodyRefused::TooSlow))));
            }
            Poll::Pending => return Poll::Pending,
            Poll::Ready(frame) => frame,
        };
        if watch.has_lost_patience() && frame.is_some() {
            return Poll::Ready(Some(Err(watch.refuses(TOO_SLOW, BodyRefused::TooSlow))));
        }
        let Some(frame) = frame else { return Poll::Ready(None) };
        let frame = frame.map_err(Into::into)?;
        if let Some(data) = frame.data_ref() {
            let length = u64::try_from(data.remaining()).unwrap_or(u64::MAX);
            match watch.left.checked_sub(length) {
                Some(left) => watch.left = left,
                None => return Poll::Ready(Some(Err(watch.refuses(TOO_LONG, BodyRefused::TooLong)))),
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The response of a [`BodyLimits`] service.
///
/// The service's own lies on the heap: it is the innermost of the stack's, has the request in it, and would be moved by each layer
/// around it.
pub struct BoundedResponse<F> {
    state: State<F>,
}

enum State<F> {
    Goes { future: Pin<Box<F>>, fate: Option<Arc<Fate>> },
    Refused { max_bytes: u64 },
}

impl<F> BoundedResponse<F> {
    fn of(state: State<F>) -> Self {
        Self { state }
    }
}

impl<F> fmt::Debug for BoundedResponse<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedResponse").finish_non_exhaustive()
    }
}

impl<F, R, E> Future for BoundedResponse<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: From<Vec<u8>>,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Refused { max_bytes } => Poll::Ready(Ok(too_long(*max_bytes))),
            State::Goes { future, fate } => {
                let response = ready!(future.as_mut().poll(context))?;
                let Some(fate) = fate.take() else { return Poll::Ready(Ok(response)) };
                let failed = response.status().is_client_error() || response.status().is_server_error();
                Poll::Ready(Ok(match fate.what.load(Ordering::Acquire) {
                    TOO_LONG if failed => too_long(fate.max_bytes),
                    TOO_SLOW if failed => too_slow(),
                    _ => response,
                }))
            }
        }
    }
}

/// Nobody reads the rest of the body, so the connection cannot be used again.
fn closing<R: From<Vec<u8>>>(problem: &Problem) -> Response<R> {
    let mut response = problem.to_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn too_long<R: From<Vec<u8>>>(max_bytes: u64) -> Response<R> {
    let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE)
        .with_type("urn:guardian:problem:too-large", "The body is too long")
        .with_detail(format!("the body has more than {max_bytes} bytes"));
    closing(&problem)
}

fn too_slow<R: From<Vec<u8>>>() -> Response<R> {
    let problem = Problem::new(StatusCode::REQUEST_TIMEOUT)
        .with_type("urn:guardian:problem:body-too-slow", "The body is too slow")
        .with_detail("the body did not come in time");
    closing(&problem)
}
