use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use guardian_core::Scope;
use guardian_rbac::{Area, Error, Rbac, Resource};
use http::header::WWW_AUTHENTICATE;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use super::{Disclosure, Known, require, require_at_once};
use crate::{GuardedResponse, Problem};

type Locate = dyn Fn(&Parts) -> Vec<Area> + Send + Sync;

/// A layer that lets a request through if its actor has a permission.
///
/// ```
/// use guardian_http::{Disclosure, RequirePermissionLayer};
/// use guardian_rbac::{Area, Catalog, MemoryStore, Rbac};
///
/// let catalog = Catalog::builder().permission("report:export", "Take reports out").build()?;
/// let rbac = Rbac::new(catalog, MemoryStore::new());
/// let layer = RequirePermissionLayer::new(rbac, "report:export")?.disclosing(Disclosure::Permission);
/// # let _ = layer;
/// # Ok::<(), guardian_rbac::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct RequirePermissionLayer {
    config: Arc<Config>,
}

#[derive(Clone)]
struct Config {
    rbac: Rbac,
    permission: Known,
    disclosure: Disclosure,
    locate: Option<Arc<Locate>>,
}

impl RequirePermissionLayer {
    /// This permission, in the tenant as a whole.
    ///
    /// # Errors
    /// [`Error::UnknownPermission`] for one that the catalog does not have.
    pub fn new(rbac: Rbac, permission: &str) -> Result<Self, Error> {
        let permission = Known::of(&rbac, permission)?;
        let config = Config { rbac, permission, disclosure: Disclosure::default(), locate: None };
        Ok(Self { config: Arc::new(config) })
    }

    /// In the areas that are found in the request, such as a team in its path. None of them means the tenant as a whole.
    pub fn within(mut self, locate: impl Fn(&Parts) -> Vec<Area> + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.config).locate = Some(Arc::new(locate));
        self
    }

    /// With this much told to those who may not.
    pub fn disclosing(mut self, disclosure: Disclosure) -> Self {
        Arc::make_mut(&mut self.config).disclosure = disclosure;
        self
    }
}

impl fmt::Debug for RequirePermissionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequirePermissionLayer")
            .field("permission", &self.config.permission.name)
            .finish_non_exhaustive()
    }
}

impl<T> Layer<T> for RequirePermissionLayer {
    type Service = PermissionGuard<T>;

    fn layer(&self, inner: T) -> Self::Service {
        PermissionGuard { inner, config: Arc::clone(&self.config) }
    }
}

/// A service behind a permission; made by [`RequirePermissionLayer`].
#[derive(Clone)]
pub struct PermissionGuard<T> {
    inner: T,
    config: Arc<Config>,
}

impl<T: fmt::Debug> fmt::Debug for PermissionGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, config } = self;
        f.debug_struct("PermissionGuard")
            .field("inner", inner)
            .field("permission", &config.permission.name)
            .finish_non_exhaustive()
    }
}

impl<T, RequestBody, ResponseBody> Service<Request<RequestBody>> for PermissionGuard<T>
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
        let Config { rbac, permission, disclosure, locate } = &*self.config;
        if locate.is_none() {
            let scope = request.extensions().get::<Scope>();
            match require_at_once(rbac, scope, permission, Resource::new_in(&[]), *disclosure) {
                Some(Ok(())) => return GuardedResponse::goes(self.inner.call(request)),
                Some(Err(problem)) => return GuardedResponse::waits(async move { Ok(response(&problem)) }),
                None => {}
            }
        }
        // The service that was polled ready is the one to call; its clone has not been and waits for its own turn.
        let standby = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, standby);
        let config = Arc::clone(&self.config);
        let (parts, body) = request.into_parts();
        GuardedResponse::waits(async move {
            let areas = config.locate.as_ref().map(|locate| locate(&parts)).unwrap_or_default();
            let resource = Resource::new_in(&areas);
            let scope = parts.extensions.get::<Scope>();
            match require(&config.rbac, scope, &config.permission.name, resource, config.disclosure).await {
                Ok(()) => ready.call(Request::from_parts(parts, body)).await,
                Err(problem) => Ok(response(&problem)),
            }
        })
    }
}

fn response<B: From<Vec<u8>>>(problem: &Problem) -> Response<B> {
    let mut response = problem.to_response();
    if problem.status() == StatusCode::UNAUTHORIZED {
        // RFC 9110 asks for a challenge; which scheme authentication takes is its own affair, the most usual is named.
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
