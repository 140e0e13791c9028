use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use guardian_core::{Scope, Timestamp};
use guardian_quota::store::QuotaStore;
use guardian_quota::{Decision, Error, FeatureName, Hold, Quotas, Subject, Usage};
use http::request::Parts;
use http::{Extensions, HeaderName, HeaderValue, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{OnOutage, Told, denied, left, undecided};
use crate::ratelimit_fields::quota_field;
use crate::{PolicyName, Problem};

type Who = dyn Fn(&Parts) -> Option<Subject> + Send + Sync;
type Cost = dyn Fn(&Parts) -> u64 + Send + Sync;
type Counts = dyn Fn(StatusCode) -> bool + Send + Sync;

/// A layer that spends units of a metered feature for each request, of the tenant in the request's
/// [`Scope`], where authentication puts it, and answers 429 or 402 when there is not enough.
///
/// ```
/// use guardian_http::{OnOutage, QuotaLayer};
/// use guardian_quota::{Plan, Quotas};
///
/// let plan = Plan::parse(r#"{"name": "free", "features": {"api_calls": {"metered":
///     {"unit": "call", "aggregation": "count", "limits": {"org": {"amount": 1000}}}}}}"#)?;
/// let quotas = Quotas::in_memory([plan])?;
/// // A request that our side fails is free.
/// let layer = QuotaLayer::new(&quotas, "api_calls", OnOutage::Admit)?.counting(|status| !status.is_server_error());
/// # let _ = layer;
/// # Ok::<(), guardian_quota::Error>(())
/// ```
#[must_use]
pub struct QuotaLayer<S> {
    config: Arc<Config<S>>,
}

struct Config<S> {
    quotas: Quotas<S>,
    feature: FeatureName,
    /// What a request costs of which nothing is special: a unit, of the organisation as a whole.
    plain: Usage,
    name: PolicyName,
    on_outage: OnOutage,
    who: Option<Arc<Who>>,
    cost: Option<Arc<Cost>>,
    counts: Option<Arc<Counts>>,
    key: Option<HeaderName>,
    hold: Duration,
    tells: bool,
    /// The field about the first limit that was told; most tenants of a service have one of a few plans.
    policy: OnceLock<(u64, Option<HeaderValue>)>,
}

impl<S> Clone for QuotaLayer<S> {
    fn clone(&self) -> Self {
        Self { config: Arc::clone(&self.config) }
    }
}

impl<S> Clone for Config<S> {
    fn clone(&self) -> Self {
        Self {
            quotas: self.quotas.clone(),
            feature: self.feature.clone(),
            plain: self.plain.clone(),
            name: self.name.clone(),
            on_outage: self.on_outage,
            who: self.who.clone(),
            cost: self.cost.clone(),
            counts: self.counts.clone(),
            key: self.key.clone(),
            hold: self.hold,
            tells: self.tells,
            policy: self.policy.clone(),
        }
    }
}

impl<S: QuotaStore> QuotaLayer<S> {
    /// One unit of this feature a request, of the organisation as a whole.
    ///
    /// # Errors
    /// When the feature's name is none.
    pub fn new(quotas: &Quotas<S>, feature: &str, on_outage: OnOutage) -> Result<Self, Error> {
        let feature = FeatureName::new(feature)?;
        let out_of_range =
            |_| Error::OutOfRange { what: "the feature's name", why: "what a header can carry" };
        let config = Config {
            quotas: quotas.clone(),
            plain: Usage::of(feature.as_str(), &Subject::org(), 1)?,
            name: PolicyName::new(feature.as_str()).map_err(out_of_range)?,
            feature,
            on_outage,
            who: None,
            cost: None,
            counts: None,
            key: None,
            hold: Duration::from_secs(60),
            tells: true,
            policy: OnceLock::new(),
        };
        Ok(Self { config: Arc::new(config) })
    }

    /// By the subject that is found in the request; a request without one is counted for the organisation alone.
    pub fn by(mut self, who: impl Fn(&Parts) -> Option<Subject> + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.config).who = Some(Arc::new(who));
        self
    }

    /// As many units as are found in the request; at 0 the request is free.
    pub fn costing(mut self, cost: impl Fn(&Parts) -> u64 + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.config).cost = Some(Arc::new(cost));
        self
    }

    /// Only requests whose answer counts are spent for: the units are held while the service works, and spent or released by
    /// the status of its answer. Those of a request that is never answered are free again after the hold's time, a minute unless
    /// [`holding_for`](Self::holding_for) says otherwise.
    pub fn counting(mut self, counts: impl Fn(StatusCode) -> bool + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.config).counts = Some(Arc::new(counts));
        self
    }

    /// For how long units are held at most while the service works.
    pub fn holding_for(mut self, time: Duration) -> Self {
        Arc::make_mut(&mut self.config).hold = time;
        self
    }

    /// Without `RateLimit` fields in answers of the service, for hosts that tell of other limits there. Refusals keep them.
    pub fn silent(mut self) -> Self {
        Arc::make_mut(&mut self.config).tells = false;
        self
    }

    /// A request that repeats the value of this header is spent for once: `idempotency-key`. In the ledger the value is
    /// [a client's](Usage::with_client_key): no key of the host's is taken or repeated by it.
    ///
    /// Whoever repeats a value goes on for nothing, so this is for services that answer a repetition from what they remember and
    /// do not work again.
    pub fn once_per(mut self, header: HeaderName) -> Self {
        Arc::make_mut(&mut self.config).key = Some(header);
        self
    }
}

impl<S> fmt::Debug for QuotaLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuotaLayer").field("feature", &self.config.feature).finish_non_exhaustive()
    }
}

impl<S, T> Layer<T> for QuotaLayer<S> {
    type Service = QuotaGuard<S, T>;

    fn layer(&self, inner: T) -> Self::Service {
        QuotaGuard { inner, config: Arc::clone(&self.config) }
    }
}

/// A service behind a quota; made by [`QuotaLayer`].
pub struct QuotaGuard<S, T> {
    inner: T,
    config: Arc<Config<S>>,
}

impl<S, T: Clone> Clone for QuotaGuard<S, T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), config: Arc::clone(&self.config) }
    }
}

impl<S, T: fmt::Debug> fmt::Debug for QuotaGuard<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuotaGuard")
            .field("inner", &self.inner)
            .field("feature", &self.config.feature)
            .finish_non_exhaustive()
    }
}

/// A request that goes on.
struct Admitted {
    decision: Option<Decision>,
    hold: Option<Hold>,
}

/// What was decided without waiting: what the client is told of it, or the denial.
type AtOnce = Result<Option<Told>, Box<Response<Vec<u8>>>>;

impl<S: QuotaStore> Config<S> {
    fn usage(&self, parts: &Parts) -> Result<Usage, Error> {
        let subject = self.who.as_ref().and_then(|who| who(parts)).unwrap_or_else(Subject::org);
        let cost = self.cost.as_ref().map_or(1, |cost| cost(parts));
        let usage = Usage::of(self.feature.as_str(), &subject, cost)?;
        let key = self.key.as_ref().and_then(|header| parts.headers.get(header));
        match key.map(|value| value.to_str().unwrap_or_default()) {
            Some(key) => usage.with_client_key(key),
            None => Ok(usage),
        }
    }

    /// Spends a unit without waiting, where the quotas are in memory and nothing about the request is special. `None` changed
    /// nothing, and [`admit`](Self::admit) decides.
    fn admit_at_once(&self, extensions: &Extensions) -> Option<AtOnce> {
        let is_plain =
            self.who.is_none() && self.cost.is_none() && self.counts.is_none() && self.key.is_none();
        let scope = extensions.get::<Scope>().filter(|_| is_plain)?;
        let now = self.quotas.now();
        let decision = self.quotas.consume_at_once(scope, &self.plain, now)?;
        Some(match decision.allowed {
            true => Ok(self.tells.then(|| self.told(&decision, now))),
            false => Err(Box::new(denied(&self.name, &decision, now))),
        })
    }

    async fn admit(&self, parts: &Parts) -> Result<Admitted, Box<Response<Vec<u8>>>> {
        let Some(scope) = parts.extensions.get::<Scope>() else {
            let problem = Problem::new(StatusCode::UNAUTHORIZED).with_detail("this request is nobody's");
            return Err(Box::new(problem.to_response()));
        };
        let usage = self.usage(parts).map_err(|error| Box::new(undecided(&error)))?;
        if usage.amount() == 0 {
            return Ok(Admitted { decision: None, hold: None });
        }
        let decided = match self.counts {
            Some(_) => self.quotas.reserve(scope, &usage, self.hold).await,
            None => self.quotas.consume(scope, &usage).await,
        };
        match decided {
            Ok(mut decision) if decision.allowed => match decision.hold.take() {
                // A repetition whose units were held so long ago that they are free again: it is spent for before it goes on.
                Some(hold) if decision.replayed && hold.expires <= self.quotas.now() => {
                    let spent = self.quotas.commit(scope, &hold, hold.amount).await;
                    self.admitted(spent, None)
                }
                hold => self.admitted(Ok(decision), hold),
            },
            decided => self.admitted(decided, None),
        }
    }

    fn admitted(
        &self,
        decided: Result<Decision, Error>,
        hold: Option<Hold>,
    ) -> Result<Admitted, Box<Response<Vec<u8>>>> {
        match decided {
            Ok(decision) if decision.allowed => Ok(Admitted { decision: Some(decision), hold }),
            Ok(decision) => Err(Box::new(denied(&self.name, &decision, self.quotas.now()))),
            Err(Error::Store(_)) if self.on_outage == OnOutage::Admit => {
                Ok(Admitted { decision: None, hold: None })
            }
            Err(error) => Err(Box::new(undecided(&error))),
        }
    }

    fn told(&self, decision: &Decision, now: Timestamp) -> Told {
        let policy = decision.limit.and_then(|limit| {
            let (first, field) = self.policy.get_or_init(|| (limit, quota_field(&self.name, limit)));
            if *first == limit { field.clone() } else { quota_field(&self.name, limit) }
        });
        Told { policy, left: left(&self.name, decision, now) }
    }

    /// Spends what was held, or gives it up. The answer is there: a fault of the store does not take it from the client, and
    /// the hold ends by itself.
    async fn settle(&self, scope: &Scope, hold: &Hold, status: StatusCode) {
        let counts = self.counts.as_ref().is_none_or(|counts| counts(status));
        if counts {
            drop(self.quotas.commit(scope, hold, hold.amount).await);
        } else if self.key.is_none() {
            drop(self.quotas.release(scope, hold).await);
        }
        // With a key the request may come again: it gets the same hold, which must not be closed, or it would be spent for never.
    }
}

impl<S, T, RequestBody, ResponseBody> Service<Request<RequestBody>> for QuotaGuard<S, T>
where
    S: QuotaStore,
    T: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    T::Future: Send,
    RequestBody: Send + 'static,
    T::Error: Send,
    ResponseBody: From<Vec<u8>> + Send,
{
    type Response = Response<ResponseBody>;
    type Error = T::Error;
    type Future = QuotaResponse<T::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        match self.config.admit_at_once(request.extensions()) {
            Some(Ok(told)) => {
                let answer = self.inner.call(request);
                return QuotaResponse { state: State::Goes { answer, told } };
            }
            Some(Err(refusal)) => {
                let answer = Box::pin(async move { Ok(refusal.map(ResponseBody::from)) });
                return QuotaResponse { state: State::Waits { answer } };
            }
            None => {}
        }
        // The service that was polled ready is the one to call; its clone has not been and waits for its own turn.
        let standby = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, standby);
        let config = Arc::clone(&self.config);
        let (parts, body) = request.into_parts();
        let answer = Box::pin(async move {
            let Admitted { decision, hold } = match config.admit(&parts).await {
                Ok(admitted) => admitted,
                Err(refusal) => return Ok(refusal.map(ResponseBody::from)),
            };
            let scope = parts.extensions.get::<Scope>().cloned();
            let answer = ready.call(Request::from_parts(parts, body)).await;
            if let (Some(scope), Some(hold)) = (scope, hold) {
                let status = answer.as_ref().map_or(StatusCode::INTERNAL_SERVER_ERROR, Response::status);
                config.settle(&scope, &hold, status).await;
            }
            let mut response = answer?;
            if let Some(decision) = decision.filter(|_| config.tells) {
                config.told(&decision, config.quotas.now()).add_to(response.headers_mut());
            }
            Ok(response)
        });
        QuotaResponse { state: State::Waits { answer } }
    }
}

pin_project! {
    /// A response to come of a service behind a quota.
    ///
    /// Where the units were spent at once it is little more than the service's own; only where that has to be waited for, or the
    /// request is refused, it lies on the heap.
    pub struct QuotaResponse<F>
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
        Goes { #[pin] answer: F, told: Option<Told> },
        Waits { answer: Pin<Box<dyn Future<Output = F::Output> + Send>> },
    }
}

impl<F, B, E> Future for QuotaResponse<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Goes { answer, told } => {
                let mut answer = ready!(answer.poll(context));
                if let (Ok(response), Some(told)) = (&mut answer, told.take()) {
                    told.add_to(response.headers_mut());
                }
                Poll::Ready(answer)
            }
            StateProjection::Waits { answer } => answer.as_mut().poll(context),
        }
    }
}

impl<F: Future> fmt::Debug for QuotaResponse<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuotaResponse").finish_non_exhaustive()
    }
}
