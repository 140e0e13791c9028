//! Requests in the audit log.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use guardian_audit::store::AuditStore;
use guardian_audit::{AuditEvent, AuditQueue, Error};
use guardian_core::Scope;
use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use crate::retry_after::OUTAGE;
use crate::{Problem, RetryAfter, TrustedProxies};

mod noted;
mod response;

use noted::Noted;
pub use response::RecordedResponse;

type Select = dyn Fn(&Parts) -> Recorded + Send + Sync;
type Describe = dyn Fn(&Parts, AuditEvent) -> AuditEvent + Send + Sync;
type OnFailure = dyn Fn(&Error) + Send + Sync;

/// When a request is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Recorded {
    /// Never.
    Never,
    /// When it is answered 401, 402, 403 or 429.
    IfRefused,
    /// However it ends.
    Always,
}

impl Recorded {
    /// What changes something: every method but GET, HEAD and OPTIONS. The default of [`AuditLayer`].
    #[must_use]
    pub fn changes(request: &Parts) -> Self {
        Self::changes_by(&request.method)
    }

    fn changes_by(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => Self::Never,
            _ => Self::Always,
        }
    }

    /// What changes something, and of all the rest what is refused.
    #[must_use]
    pub fn changes_and_refusals(request: &Parts) -> Self {
        match Self::changes(request) {
            Self::Never => Self::IfRefused,
            recorded => recorded,
        }
    }
}

/// What becomes of a request that waits for the log, while the log is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failing {
    /// It is carried out and answered, and whoever hears of failures hears that its event is not in the log yet.
    Answer,
    /// It is not carried out: the log takes beforehand that it begins, as an event of its own, whose action ends in `.begun`, or
    /// the answer is 503. So the log knows of everything that was done, if need be without how it ended, which can still fail to
    /// be taken afterwards; the client is answered then, because it was done.
    Refuse,
}

/// A layer that records requests in the audit log of their tenant: who, what, from where, and how it ended.
///
/// It comes behind authentication, which puts a [`Scope`] into the request's extensions, and before everything whose refusals are to be
/// recorded too. A request that is to be recorded and has no `Scope` is answered 401, since there is no log that it belongs to.
///
/// | in the event | is |
/// |---|---|
/// | action | `http.`, the method and, with axum, the route as it was declared: `http.patch.contacts.:id`. Never the path, which has ids, nor the query, which has secrets |
/// | actor | that of the scope |
/// | origin | the client's address, if it is known beyond doubt, and the [`RequestId`](crate::RequestId) |
/// | outcome | success below 400, denied for 401, 402, 403 and 429, otherwise failure |
/// | metadata | `status`; `route`; `given_up` where the client went away before it was answered, which leaves open what was done |
///
/// [`describe`](Self::describe) adds to it what only the host knows. By default the response does not wait for the log: its event is in
/// the queue, whose thread makes it, finds out whether the log takes it, and appends it together with others, and what is in the queue of a process that is killed is lost. On a full queue its
/// [`Overflow`](guardian_audit::Overflow) holds. With [`durable`](Self::durable) no response goes out whose event the store does not have.
///
/// ```
/// use std::sync::Arc;
/// use guardian_audit::store::MemoryStore;
/// use guardian_audit::{AuditConfig, AuditLog, AuditQueue, Overflow, Target};
/// use guardian_http::{AuditLayer, Failing, Recorded, TrustedProxies};
///
/// let log = AuditLog::new(MemoryStore::new(), AuditConfig::default());
/// // A thread of the host's runs the queue, `queue.run(…)`.
/// let queue = Arc::new(AuditQueue::new(log, 10_000, Overflow::Fail)?);
/// let layer = AuditLayer::new(queue, TrustedProxies::none(), |error| eprintln!("not recorded: {error}"))
///     .recording(Recorded::changes_and_refusals)
///     .describe(|request, event| match request.uri.path().strip_prefix("/deals/") {
///         Some(id) => event.with_target(Target::new("deal", id)),
///         None => event,
///     })
///     .durable(Failing::Refuse);
/// # let _ = layer;
/// # Ok::<(), guardian_audit::Error>(())
/// ```
#[must_use]
pub struct AuditLayer<S = Arc<dyn AuditStore>> {
    config: Arc<Config<S>>,
}

struct Config<S> {
    queue: Arc<AuditQueue<S>>,
    proxies: TrustedProxies,
    /// [`Recorded::changes`] otherwise.
    select: Option<Arc<Select>>,
    describe: Option<Arc<Describe>>,
    durable: Option<Failing>,
    on_failure: Arc<OnFailure>,
}

impl<S: AuditStore> AuditLayer<S> {
    /// Requests that change something, of clients behind these proxies, through this queue. Whoever hears of failures is told of
    /// each event that may not be in the log, and should return at once.
    pub fn new(
        queue: Arc<AuditQueue<S>>,
        proxies: TrustedProxies,
        on_failure: impl Fn(&Error) + Send + Sync + 'static,
    ) -> Self {
        let config = Config {
            queue,
            proxies,
            select: None,
            describe: None,
            durable: None,
            on_failure: Arc::new(on_failure),
        };
        Self { config: Arc::new(config) }
    }

    /// The same, recording what this says, [`Recorded::changes`] otherwise.
    pub fn recording(mut self, select: impl Fn(&Parts) -> Recorded + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.config).select = Some(Arc::new(select));
        self
    }

    /// The same, with events as the host describes them, when the request comes: another action, a target, the user agent.
    pub fn describe(
        mut self,
        describe: impl Fn(&Parts, AuditEvent) -> AuditEvent + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.config).describe = Some(Arc::new(describe));
        self
    }

    /// The same, and the response waits until the store has the event. The thread that runs the queue appends many at once, so
    /// this costs time and hardly any throughput.
    ///
    /// A store that is away is noticed by its own time limits, and within 2 seconds while it stays away.
    pub fn durable(mut self, failing: Failing) -> Self {
        Arc::make_mut(&mut self.config).durable = Some(failing);
        self
    }
}

/// The head of a request, as far as it is always looked at.
struct Head<'r> {
    method: &'r Method,
    headers: &'r HeaderMap,
    extensions: &'r Extensions,
    /// All of it, where a function of the host's has to see it.
    whole: Option<&'r Parts>,
}

/// What is to be recorded of a request.
enum Noting<S: AuditStore> {
    Nothing,
    /// Something is, and there is no log that it belongs to.
    Nobodys,
    This(Noted<S>),
}

impl<S: AuditStore> Config<S> {
    fn noting(self: &Arc<Self>, head: &Head<'_>) -> Noting<S> {
        let recorded = match (&self.select, head.whole) {
            (Some(select), Some(whole)) => select(whole),
            _ => Recorded::changes_by(head.method),
        };
        match (recorded, head.extensions.get::<Scope>()) {
            (Recorded::Never, _) | (Recorded::IfRefused, None) => Noting::Nothing,
            (Recorded::Always, None) => Noting::Nobodys,
            (recorded, Some(scope)) => {
                Noting::This(Noted::of(Arc::clone(self), head, scope.clone(), recorded))
            }
        }
    }
}

impl<S> Clone for Config<S> {
    fn clone(&self) -> Self {
        Self {
            queue: Arc::clone(&self.queue),
            proxies: self.proxies.clone(),
            select: self.select.clone(),
            describe: self.describe.clone(),
            durable: self.durable,
            on_failure: Arc::clone(&self.on_failure),
        }
    }
}

impl<S> Clone for AuditLayer<S> {
    fn clone(&self) -> Self {
        Self { config: Arc::clone(&self.config) }
    }
}

impl<S> fmt::Debug for AuditLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLayer").field("durable", &self.config.durable).finish_non_exhaustive()
    }
}

impl<T, S> Layer<T> for AuditLayer<S> {
    type Service = AuditGuard<T, S>;

    fn layer(&self, inner: T) -> Self::Service {
        AuditGuard { inner, config: Arc::clone(&self.config) }
    }
}

/// A service whose requests are recorded; made by [`AuditLayer`].
pub struct AuditGuard<T, S = Arc<dyn AuditStore>> {
    inner: T,
    config: Arc<Config<S>>,
}

impl<T: Clone, S> Clone for AuditGuard<T, S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), config: Arc::clone(&self.config) }
    }
}

impl<T: fmt::Debug, S> fmt::Debug for AuditGuard<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditGuard").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<T, S, RequestBody, ResponseBody> Service<Request<RequestBody>> for AuditGuard<T, S>
where
    T: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    T::Future: Send,
    T::Error: Send,
    S: AuditStore,
    RequestBody: Send + 'static,
    ResponseBody: From<Vec<u8>> + Send,
{
    type Response = Response<ResponseBody>;
    type Error = T::Error;
    type Future = RecordedResponse<T::Future, S>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let (request, noting) = if self.config.select.is_some() || self.config.describe.is_some() {
            let (parts, body) = request.into_parts();
            let Parts { method, headers, extensions, .. } = &parts;
            let noting = self.config.noting(&Head { method, headers, extensions, whole: Some(&parts) });
            (Request::from_parts(parts, body), noting)
        } else {
            let (method, headers, extensions) = (request.method(), request.headers(), request.extensions());
            let noting = self.config.noting(&Head { method, headers, extensions, whole: None });
            (request, noting)
        };
        let noted = match noting {
            Noting::Nothing => return RecordedResponse::goes(self.inner.call(request), None),
            Noting::Nobodys => {
                let problem = Problem::new(StatusCode::UNAUTHORIZED).with_detail("this request is nobody's");
                return RecordedResponse::waits(async move { Ok(problem.to_response()) });
            }
            Noting::This(noted) => noted,
        };
        if self.config.durable.is_none() {
            return RecordedResponse::goes(self.inner.call(request), Some(noted));
        }
        // The service that was polled ready is the one to call; its clone has not been and waits for its own turn.
        let standby = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, standby);
        let config = Arc::clone(&self.config);
        RecordedResponse::waits(async move {
            if let Err(error) = noted.begin().await {
                noted.forget();
                (config.on_failure)(&error);
                return Ok(unrecorded(&error));
            }
            let answer = ready.call(request).await;
            noted.end(answer.as_ref().ok().map(Response::status)).await;
            answer
        })
    }
}

/// The log does not take that the request begins, so it does not.
fn unrecorded<B: From<Vec<u8>>>(error: &Error) -> Response<B> {
    let transient = matches!(error, Error::Store(error) if error.is_transient());
    let status = if transient { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
    let problem = Problem::new(status)
        .with_detail("this cannot be recorded at the moment, and is not done without; nothing was done");
    let mut response = problem.to_response();
    if transient {
        response.headers_mut().insert(RETRY_AFTER, RetryAfter::from(OUTAGE).header_value());
    }
    response
}
