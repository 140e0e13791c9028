//! What a layer answers that lets requests through or not: most decisions are at hand, and then it costs no future of its own.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    /// A response to come of a service that a request was let through to or not.
    ///
    /// Where the decision was at hand it is the service's own; only where it has to be waited for, or the request is refused, it
    /// lies on the heap.
    pub struct GuardedResponse<F>
    where
        F: Future,
    {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F>
    where
        F: Future,
    {
        Goes { #[pin] answer: F },
        Waits { answer: Pin<Box<dyn Future<Output = F::Output> + Send>> },
    }
}

impl<F: Future> GuardedResponse<F> {
    /// The request was let through.
    pub(crate) fn goes(answer: F) -> Self {
        Self { state: State::Goes { answer } }
    }

    /// It is not decided yet, or refused.
    pub(crate) fn waits(answer: impl Future<Output = F::Output> + Send + 'static) -> Self {
        Self { state: State::Waits { answer: Box::pin(answer) } }
    }
}

impl<F: Future> Future for GuardedResponse<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Goes { answer } => answer.poll(context),
            StateProjection::Waits { answer } => answer.as_mut().poll(context),
        }
    }
}

impl<F: Future> fmt::Debug for GuardedResponse<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedResponse").finish_non_exhaustive()
    }
}
