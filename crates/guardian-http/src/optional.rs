//! A layer that is there or not, as the host's settings say.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// A layer that may be left out when the program runs, of one type either way. The layer must not change the type of what it
/// answers; of a `RateLimitLayer`, which does, `off` is the one without limits.
///
/// ```
/// use guardian_http::{Optional, RequestIdLayer};
///
/// let wanted = false;
/// let layer = Optional::from(wanted.then(RequestIdLayer::new));
/// # let _ = layer;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[must_use]
pub struct Optional<L>(Option<L>);

impl<L> From<Option<L>> for Optional<L> {
    fn from(layer: Option<L>) -> Self {
        Self(layer)
    }
}

impl<S, L: Layer<S>> Layer<S> for Optional<L> {
    type Service = OptionalGuard<L::Service, S>;

    fn layer(&self, inner: S) -> Self::Service {
        OptionalGuard(match &self.0 {
            Some(layer) => Either::With(layer.layer(inner)),
            None => Either::Without(inner),
        })
    }
}

/// A service with or without a layer; made by [`Optional`].
#[derive(Debug, Clone)]
pub struct OptionalGuard<A, B>(Either<A, B>);

#[derive(Debug, Clone)]
enum Either<A, B> {
    With(A),
    Without(B),
}

impl<R, A, B> Service<R> for OptionalGuard<A, B>
where
    A: Service<R>,
    B: Service<R, Response = A::Response, Error = A::Error>,
{
    type Response = A::Response;
    type Error = A::Error;
    type Future = OptionalResponse<A::Future, B::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match &mut self.0 {
            Either::With(service) => service.poll_ready(context),
            Either::Without(service) => service.poll_ready(context),
        }
    }

    fn call(&mut self, request: R) -> Self::Future {
        OptionalResponse {
            of: match &mut self.0 {
                Either::With(service) => Of::With { answer: service.call(request) },
                Either::Without(service) => Of::Without { answer: service.call(request) },
            },
        }
    }
}

pin_project! {
    /// A response to come, with or without a layer.
    pub struct OptionalResponse<A, B> {
        #[pin]
        of: Of<A, B>,
    }
}

pin_project! {
    #[project = OfProjection]
    enum Of<A, B> {
        With { #[pin] answer: A },
        Without { #[pin] answer: B },
    }
}

impl<A: Future, B: Future<Output = A::Output>> Future for OptionalResponse<A, B> {
    type Output = A::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().of.project() {
            OfProjection::With { answer } => answer.poll(context),
            OfProjection::Without { answer } => answer.poll(context),
        }
    }
}

impl<A, B> fmt::Debug for OptionalResponse<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OptionalResponse").finish_non_exhaustive()
    }
}
