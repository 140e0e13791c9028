use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use guardian_audit::store::AuditStore;
use http::Response;
use pin_project_lite::pin_project;

use super::noted::Noted;

pin_project! {
    /// A response to come of a service whose requests are recorded.
    ///
    /// Where the log is not waited for it is little more than the service's own; otherwise it lies on the heap.
    pub struct RecordedResponse<F, S>
    where
        F: Future,
        S: AuditStore,
    {
        #[pin]
        state: State<F, S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, S>
    where
        F: Future,
        S: AuditStore,
    {
        Goes { #[pin] answer: F, noted: Option<Noted<S>> },
        Ends { recording: Pin<Box<dyn Future<Output = ()> + Send>>, answer: Option<F::Output> },
        Waits { answer: Pin<Box<dyn Future<Output = F::Output> + Send>> },
    }
}

impl<F: Future, S: AuditStore> RecordedResponse<F, S> {
    /// What is noted is recorded at the end, without waiting for the log.
    pub(super) fn goes(answer: F, noted: Option<Noted<S>>) -> Self {
        Self { state: State::Goes { answer, noted } }
    }

    pub(super) fn waits(answer: impl Future<Output = F::Output> + Send + 'static) -> Self {
        Self { state: State::Waits { answer: Box::pin(answer) } }
    }
}

impl<F, S, B, E> Future for RecordedResponse<F, S>
where
    F: Future<Output = Result<Response<B>, E>>,
    S: AuditStore,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        if let StateProjection::Goes { answer, noted } = state.as_mut().project() {
            let answer = ready!(answer.poll(context));
            let status = answer.as_ref().ok().map(Response::status);
            let Some(waits) = noted.take().and_then(|noted| noted.end_at_once(status)) else {
                return Poll::Ready(answer);
            };
            state.set(State::Ends { recording: Box::pin(waits.end(status)), answer: Some(answer) });
        }
        match state.project() {
            StateProjection::Ends { recording, answer } => {
                ready!(recording.as_mut().poll(context));
                // It is there until it was given out.
                answer.take().map_or(Poll::Pending, Poll::Ready)
            }
            StateProjection::Waits { answer } => answer.as_mut().poll(context),
            StateProjection::Goes { .. } => Poll::Pending,
        }
    }
}

impl<F: Future, S: AuditStore> fmt::Debug for RecordedResponse<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedResponse").finish_non_exhaustive()
    }
}
