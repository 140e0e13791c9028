use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a response that went through a [`RateLimitLayer`](crate::RateLimitLayer): the service's own, or a
    /// problem document.
    ///
    /// It is a type of its own because of concurrency limits: the permit of an allowed request lives in it, and
    /// ends when the last byte was read or the body is dropped, so that a long download counts for as long as it
    /// lasts. Any body whose data can be made of a `Vec<u8>` will do, above all `Bytes`, the data of axum and hyper.
    pub struct LimitedBody<B> {
        #[pin]
        content: Content<B>,
        permit: Option<Box<dyn Held>>,
    }
}

pin_project! {
    #[project = ContentProjection]
    enum Content<B> {
        Service { #[pin] body: B },
        Problem { bytes: Option<Vec<u8>> },
    }
}

/// A permit, whatever its limiter's store and clock are.
pub(super) trait Held: Send + Sync {}

impl<T: Send + Sync> Held for T {}

impl<B> LimitedBody<B> {
    pub(super) fn of_service(body: B, permit: Option<Box<dyn Held>>) -> Self {
        Self { content: Content::Service { body }, permit }
    }

    pub(super) fn of_problem(bytes: Vec<u8>) -> Self {
        Self { content: Content::Problem { bytes: Some(bytes) }, permit: None }
    }
}

/// The body of an answer that a layer around this one gives itself.
impl<B> From<Vec<u8>> for LimitedBody<B> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::of_problem(bytes)
    }
}

impl<B> Body for LimitedBody<B>
where
    B: Body,
    B::Data: From<Vec<u8>>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let polled = match this.content.project() {
            ContentProjection::Service { body } => body.poll_frame(context),
            ContentProjection::Problem { bytes } => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes.into()))))
            }
        };
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            *this.permit = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Service { body } => body.is_end_stream(),
            Content::Problem { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Service { body } => body.size_hint(),
            Content::Problem { bytes } => {
                let length = bytes.as_ref().map_or(0, Vec::len);
                // No target of Rust has more than 64 bits.
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
        }
    }
}

impl<B> fmt::Debug for LimitedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = match &self.content {
            Content::Service { .. } => "service",
            Content::Problem { .. } => "problem",
        };
        f.debug_struct("LimitedBody")
            .field("content", &content)
            .field("holds_permit", &self.permit.is_some())
            .finish()
    }
}
