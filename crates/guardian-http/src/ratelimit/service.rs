use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use guardian_core::Clock;
use guardian_ratelimit::store::Store;
use guardian_ratelimit::{AnyStore, Decision, FastClock};
use http::request::Parts;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::LimitedBody;
use super::body::Held;
use super::fields::Fields;
use super::layer::Config;
use super::refusal::Refusal;
use super::request::{Asked, Kept};

/// A service behind rate limits; made by [`RateLimitLayer`](crate::RateLimitLayer).
pub struct RateLimit<T, S = AnyStore, C = FastClock> {
    inner: T,
    config: Arc<Config<S, C>>,
}

/// What becomes of a request.
enum Verdict {
    /// It goes on, and its response gets the fields.
    Pass {
        fields: Option<Fields>,
        permit: Option<Box<dyn Held>>,
    },
    Refuse(Refusal),
}

impl<T, S, C> RateLimit<T, S, C> {
    pub(super) fn new(inner: T, config: Arc<Config<S, C>>) -> Self {
        Self { inner, config }
    }
}

impl<T, S, C, RequestBody, ResponseBody> Service<Request<RequestBody>> for RateLimit<T, S, C>
where
    T: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    T::Future: Send,
    S: Store,
    C: Clock,
    RequestBody: Send + 'static,
{
    type Response = Response<LimitedBody<ResponseBody>>;
    type Error = T::Error;
    type Future = LimitedResponse<T::Future, ResponseBody, T::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let kept = match judge_at_once(&self.config, &parts) {
            Judged::Now(Verdict::Pass { fields, permit }) => {
                let answer = self.inner.call(Request::from_parts(parts, body));
                return LimitedResponse { state: Answering::Goes { answer, fields, permit } };
            }
            Judged::Now(Verdict::Refuse(refusal)) => {
                let answer = Box::pin(async move { Ok(refusal.into_response()) });
                return LimitedResponse { state: Answering::Waits { answer } };
            }
            Judged::Later(kept) => kept,
        };
        // The service that was polled ready is the one to call; its clone has not been and waits for its own turn.
        let standby = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, standby);
        let config = Arc::clone(&self.config);
        let answer = Box::pin(async move {
            match judge(&config, &parts, &kept).await {
                Verdict::Pass { fields, permit } => {
                    let response = ready.call(Request::from_parts(parts, body)).await?;
                    Ok(passed(response, fields, permit))
                }
                Verdict::Refuse(refusal) => Ok(refusal.into_response()),
            }
        });
        LimitedResponse { state: Answering::Waits { answer } }
    }
}

/// The service's answer, with what the client is told of the limits.
fn passed<B>(
    mut response: Response<B>,
    fields: Option<Fields>,
    permit: Option<Box<dyn Held>>,
) -> Response<LimitedBody<B>> {
    if let Some(fields) = fields {
        fields.add_to(response.headers_mut());
    }
    response.map(|body| LimitedBody::of_service(body, permit))
}

pin_project! {
    /// A response to come of a service behind rate limits.
    ///
    /// Where the decision was at hand it is little more than the service's own; only where it has to be waited for, or the request
    /// is refused, it lies on the heap.
    pub struct LimitedResponse<F, B, E> {
        #[pin]
        state: Answering<F, B, E>,
    }
}

type Waited<B, E> = dyn Future<Output = Result<Response<LimitedBody<B>>, E>> + Send;

pin_project! {
    #[project = AnsweringProjection]
    enum Answering<F, B, E> {
        Goes { #[pin] answer: F, fields: Option<Fields>, permit: Option<Box<dyn Held>> },
        Waits { answer: Pin<Box<Waited<B, E>>> },
    }
}

impl<F, B, E> Future for LimitedResponse<F, B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<LimitedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            AnsweringProjection::Goes { answer, fields, permit } => {
                let response = ready!(answer.poll(context))?;
                Poll::Ready(Ok(passed(response, fields.take(), permit.take())))
            }
            AnsweringProjection::Waits { answer } => answer.as_mut().poll(context),
        }
    }
}

impl<F, B, E> fmt::Debug for LimitedResponse<F, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitedResponse").finish_non_exhaustive()
    }
}

enum Judged {
    Now(Verdict),
    /// The store has to be waited for.
    Later(Kept),
}

fn judge_at_once<S: Store, C: Clock>(config: &Config<S, C>, request: &Parts) -> Judged {
    let (realm, cost) = match Asked::begin(config, request) {
        Ok(Some(begun)) => begun,
        Ok(None) => return Judged::Now(Verdict::Pass { fields: None, permit: None }),
        Err(missing) => return Judged::Now(Verdict::Refuse(Refusal::missing(&missing))),
    };
    let mut asked = Asked::new(realm, cost);
    // In place: it is large, and moving it about takes longer than to find what is in it.
    if let Err(missing) = asked.find(config, request) {
        return Judged::Now(Verdict::Refuse(Refusal::missing(&missing)));
    }
    if asked.counted.is_empty() {
        return Judged::Now(Verdict::Pass { fields: None, permit: None });
    }
    match asked.decide_at_once(config) {
        Some(decision) => Judged::Now(verdict(config, request, &asked, &decision, None)),
        None => Judged::Later(asked.keep()),
    }
}

async fn judge<S: Store, C: Clock>(config: &Config<S, C>, request: &Parts, kept: &Kept) -> Verdict {
    // What a check may complain about was excluded when the layer was built. Should a later version of the limiter
    // find something new, then nothing was decided, and that protects.
    let undecided = || Verdict::Refuse(Refusal::outage(std::iter::empty(), config.outage));
    let Some(asked) = kept.asked(config, request) else { return undecided() };
    match asked.decide(config).await {
        Ok((decision, permit)) => verdict(config, request, &asked, &decision, permit),
        Err(_) => undecided(),
    }
}

fn verdict<S: Store, C: Clock>(
    config: &Config<S, C>,
    request: &Parts,
    asked: &Asked<'_>,
    decision: &Decision,
    permit: Option<Box<dyn Held>>,
) -> Verdict {
    if let Some(observe) = &config.on_decision {
        observe(request, decision);
    }
    if decision.is_denied() {
        return Verdict::Refuse(Refusal::denied(config, asked, decision));
    }
    let fields = config.fields_on_success.then(|| Fields::of(config, asked, decision));
    Verdict::Pass { fields, permit }
}

impl<T: Clone, S, C> Clone for RateLimit<T, S, C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), config: Arc::clone(&self.config) }
    }
}

impl<T: fmt::Debug, S, C> fmt::Debug for RateLimit<T, S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("inner", &self.inner).field("layer", &self.config).finish()
    }
}
