//! Tenants' lives in front of a service: whoever is suspended or gone does not come in.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use guardian_core::{Clock, Scope, SystemClock, TenantId};
use guardian_tenant::Registry;
use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use crate::retry_after::OUTAGE;
use crate::{GuardedResponse, Problem, RetryAfter};

mod known;

use known::{Known, Standing, Untold};

type SuspendedMay = dyn Fn(&Parts) -> bool + Send + Sync;

/// What becomes of requests while the registry cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnRegistryOutage {
    /// They get a 503.
    Refuse,
    /// What was last known of their tenant holds, for so long after the registry said it; those of tenants of which nothing is
    /// known, or nothing so new, get a 503. A tenant that is suspended meanwhile works on for that long.
    LastKnown(Duration),
}

/// A layer that lets in requests of tenants that are active, as the registry says.
///
/// It comes behind authentication, which puts a [`Scope`] into the request's extensions; a request without one is answered 401.
///
/// | the tenant is | answer |
/// |---|---|
/// | active | the service's |
/// | suspended | 403 of the type [`SUSPENDED`](TenantLayer::SUSPENDED), unless it [may](TenantLayer::suspended_may) do this all the same |
/// | [besides](TenantLayer::besides) the registry, as the operator's own is | the service's |
/// | being deleted, purged or not in the registry | 403 of the type [`GONE`](TenantLayer::GONE), the same for all three: the credentials are good and open nothing, so that other credentials (401) are not what it takes |
/// | not known, because the registry is away | 503 with `Retry-After`, or what [`OnRegistryOutage`] says; 500 if another try would not help |
///
/// What the registry says is good for a second, or [how long](TenantLayer::fresh_for) the host says: **a change is seen by every request
/// that comes later than that after it**, and one request of a tenant in so long asks the registry; others that come
/// meanwhile wait for its answer. At most 10,000 tenants are remembered, or [as many](TenantLayer::remembering) as the host says.
///
/// ```
/// use std::time::Duration;
/// use guardian_http::{OnRegistryOutage, TenantLayer};
/// use guardian_tenant::{MemoryStore, Registry};
///
/// let registry = Registry::new(MemoryStore::new());
/// let layer = TenantLayer::new(registry, OnRegistryOutage::LastKnown(Duration::from_secs(300)))
///     .suspended_may(|request| request.uri.path().starts_with("/billing"));
/// # let _ = layer;
/// ```
#[derive(Clone)]
#[must_use]
pub struct TenantLayer {
    registry: Registry,
    on_outage: OnRegistryOutage,
    clock: Arc<dyn Clock>,
    fresh: Duration,
    capacity: usize,
    suspended_may: Option<Arc<SuspendedMay>>,
    besides: Vec<TenantId>,
    /// Made with the first service, for all services of the layer.
    known: Arc<std::sync::OnceLock<Arc<Known>>>,
}

impl TenantLayer {
    /// The problem type of a tenant that is suspended.
    pub const SUSPENDED: &'static str = "urn:guardian:problem:tenant-suspended";
    /// The problem type of a tenant that is being deleted, or is no more.
    pub const GONE: &'static str = "urn:guardian:problem:tenant-gone";

    /// The tenants of this registry.
    pub fn new(registry: Registry, on_outage: OnRegistryOutage) -> Self {
        Self {
            registry,
            on_outage,
            clock: Arc::new(SystemClock::new()),
            fresh: Duration::from_secs(1),
            capacity: 10_000,
            suspended_may: None,
            besides: Vec::new(),
            known: Arc::default(),
        }
    }

    /// The same, and what the registry says is good for so long. With zero, requests that come at the same time share an answer
    /// and no others do.
    pub fn fresh_for(mut self, time: Duration) -> Self {
        self.fresh = time;
        self.anew()
    }

    /// The same, remembering at most so many tenants, at least two. Of a tenant that was forgotten for others the registry is
    /// asked again.
    pub fn remembering(mut self, tenants: usize) -> Self {
        self.capacity = tenants;
        self.anew()
    }

    /// The same on this clock.
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self.anew()
    }

    /// The same, letting in these requests of suspended tenants: to pay the bill, to take their data out.
    pub fn suspended_may(mut self, may: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.suspended_may = Some(Arc::new(may));
        self.anew()
    }

    /// The same, letting in a tenant that is in no registry because it is no customer: the operator's own.
    pub fn besides(mut self, tenant: TenantId) -> Self {
        self.besides.push(tenant);
        self
    }

    fn anew(mut self) -> Self {
        self.known = Arc::default();
        self
    }

    fn known(&self) -> Arc<Known> {
        let make = || {
            let Self { registry, on_outage, clock, fresh, capacity, .. } = self.clone();
            Arc::new(Known::new(registry, on_outage, clock, fresh, capacity))
        };
        Arc::clone(self.known.get_or_init(make))
    }
}

impl fmt::Debug for TenantLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantLayer")
            .field("on_outage", &self.on_outage)
            .field("fresh", &self.fresh)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl<T> Layer<T> for TenantLayer {
    type Service = TenantGuard<T>;

    fn layer(&self, inner: T) -> Self::Service {
        let (suspended_may, besides) = (self.suspended_may.clone(), self.besides.clone());
        let config = Config { known: self.known(), suspended_may, besides };
        TenantGuard { inner, config: Arc::new(config) }
    }
}

struct Config {
    known: Arc<Known>,
    suspended_may: Option<Arc<SuspendedMay>>,
    besides: Vec<TenantId>,
}

/// A service for tenants that are active; made by [`TenantLayer`].
#[derive(Clone)]
pub struct TenantGuard<T> {
    inner: T,
    config: Arc<Config>,
}

impl<T: fmt::Debug> fmt::Debug for TenantGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantGuard").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<T, RequestBody, ResponseBody> Service<Request<RequestBody>> for TenantGuard<T>
where
    T: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    T::Future: Send,
    RequestBody: Send + 'static,
    ResponseBody: From<Vec<u8>>,
{
    type Response = Response<ResponseBody>;
    type Error = T::Error;
    type Future = GuardedResponse<T::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let scope = request.extensions().get::<Scope>();
        if scope.and_then(|scope| self.config.known.at_hand(scope)) == Some(Standing::Active) {
            return GuardedResponse::goes(self.inner.call(request));
        }
        // The service that was polled ready is the one to call; its clone has not been and waits for its own turn.
        let standby = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, standby);
        let config = Arc::clone(&self.config);
        GuardedResponse::waits(async move {
            let (parts, body) = request.into_parts();
            match judge(&config, &parts).await {
                Ok(()) => ready.call(Request::from_parts(parts, body)).await,
                Err(problem) => Ok(response(&problem)),
            }
        })
    }
}

async fn judge(config: &Config, request: &Parts) -> Result<(), Problem> {
    let Some(scope) = request.extensions.get::<Scope>() else {
        return Err(Problem::new(StatusCode::UNAUTHORIZED).with_detail("this request is nobody's"));
    };
    if config.besides.contains(scope.tenant()) {
        return Ok(());
    }
    let may = || config.suspended_may.as_ref().is_some_and(|may| may(request));
    match config.known.standing(scope).await {
        Ok(Standing::Active) => Ok(()),
        Ok(Standing::Suspended) if may() => Ok(()),
        Ok(Standing::Suspended) => Err(Problem::new(StatusCode::FORBIDDEN)
            .with_type(TenantLayer::SUSPENDED, "Tenant suspended")
            .with_detail("this organisation is suspended")),
        Ok(Standing::Gone) => Err(Problem::new(StatusCode::FORBIDDEN)
            .with_type(TenantLayer::GONE, "Tenant gone")
            .with_detail("this organisation is no more")),
        Err(Untold::Away) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE)
            .with_detail("it cannot be told at the moment whether this organisation may work")),
        Err(Untold::Broken) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
            .with_detail("it cannot be told whether this organisation may work")),
    }
}

fn response<B: From<Vec<u8>>>(problem: &Problem) -> Response<B> {
    let mut response = problem.to_response();
    if problem.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, RetryAfter::from(OUTAGE).header_value());
    }
    response
}
