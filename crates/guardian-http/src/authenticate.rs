//! Authentication in front of a service: the port that says who somebody is, and the layer that asks it.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use guardian_core::{ActorKind, Scope, StoreError, TenantId};
use http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Extensions, HeaderValue, Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use crate::retry_after::OUTAGE;
use crate::{GuardedResponse, Problem, RetryAfter};

/// Says who a request is of: the host's own sessions, tokens, certificates or keys.
///
/// ```
/// use async_trait::async_trait;
/// use guardian_core::{Actor, Scope, StoreError, TenantId};
/// use guardian_http::{Authenticate, Identity, NotAuthenticated, bearer_token};
/// use http::request::Parts;
///
/// # struct Sessions;
/// # impl Sessions { async fn of_digest(&self, _: [u8; 32]) -> Result<Option<Scope>, StoreError> { Ok(None) } }
/// # fn sha256(_: &str) -> [u8; 32] { [0; 32] }
/// #[async_trait]
/// impl Authenticate for Sessions {
///     async fn authenticate(&self, request: &Parts) -> Result<Identity, NotAuthenticated> {
///         let token = bearer_token(&request.headers).ok_or(NotAuthenticated::Refused)?;
///         // The table has digests: it is of no use to whoever gets hold of it, and what its index tells by
///         // the time it takes is about a digest, from which nobody finds a token.
///         let scope = self.of_digest(sha256(token)).await?;
///         scope.map(Identity::new).ok_or(NotAuthenticated::Refused)
///     }
/// }
/// ```
///
/// # Contract
/// - What is wrong with the credentials is the port's own affair: all refusals are one, [`NotAuthenticated::Refused`], so that nobody
///   learns which half of a pair was right. It takes no longer for one than for the other either.
/// - Secrets that are kept are kept as digests, of passwords by a slow function. Two secrets are never compared byte by byte up to the first
///   difference: digests are looked up, or compared in constant time.
/// - A call may be dropped half-way, when its client goes away.
#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    /// Who the request with this head is of.
    ///
    /// # Errors
    /// [`NotAuthenticated::Refused`] when it is nobody's, or its credentials are not good; [`NotAuthenticated::Away`] when that
    /// cannot be told.
    async fn authenticate(&self, request: &Parts) -> Result<Identity, NotAuthenticated>;

    /// The same without a future, for ports that have what they need in memory: it is asked first. `None`, unless a port says
    /// otherwise, where [`authenticate`](Self::authenticate) has to be asked.
    fn authenticate_at_once(&self, request: &Parts) -> Option<Result<Identity, NotAuthenticated>> {
        let _ = request;
        None
    }

    /// What a refused client is asked for, the value of `WWW-Authenticate` (RFC 9110, section 11.6.1): `Bearer` unless this says
    /// otherwise. It is the same for all refusals.
    fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static("Bearer")
    }
}

#[async_trait]
impl<A: Authenticate + ?Sized> Authenticate for Arc<A> {
    async fn authenticate(&self, request: &Parts) -> Result<Identity, NotAuthenticated> {
        (**self).authenticate(request).await
    }

    fn authenticate_at_once(&self, request: &Parts) -> Option<Result<Identity, NotAuthenticated>> {
        (**self).authenticate_at_once(request)
    }

    fn challenge(&self) -> HeaderValue {
        (**self).challenge()
    }
}

/// Who a request is of, and what else the host knows of them.
///
/// ```
/// use guardian_core::{Actor, Scope, TenantId};
/// use guardian_http::Identity;
///
/// #[derive(Clone)]
/// struct Session(u64);
///
/// let scope = Scope::new(TenantId::new("acme")?, Actor::user("ann")?);
/// let identity = Identity::new(scope).with(Session(17));
/// assert_eq!(identity.scope().tenant().as_str(), "acme");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Identity {
    scope: Scope,
    /// On the heap, because most have none and all are moved about.
    extensions: Option<Box<Extensions>>,
}

impl Identity {
    /// The actor and the tenant of this scope.
    pub fn new(scope: Scope) -> Self {
        Self { scope, extensions: None }
    }

    /// The same with something else for the request's extensions: a session, or for operators of the platform the API's `Operator`.
    pub fn with<T: Clone + Send + Sync + 'static>(mut self, extension: T) -> Self {
        self.extensions.get_or_insert_default().insert(extension);
        self
    }

    /// The scope.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether it says to be the host itself, here or as an operator.
    fn is_system(&self) -> bool {
        let system = |scope: &Scope| scope.actor().kind() == ActorKind::System;
        #[cfg(feature = "api")]
        let operator = self
            .extensions
            .as_ref()
            .and_then(|extensions| extensions.get::<crate::api::Operator>())
            .is_some_and(|operator| system(&operator.0));
        #[cfg(not(feature = "api"))]
        let operator = false;
        operator || system(&self.scope)
    }
}

/// Why nobody is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAuthenticated {
    /// The request has no credentials, or they are not good; which of them, is not said.
    #[error("the request is nobody's")]
    Refused,
    /// It cannot be told.
    #[error("it cannot be told who the request is of")]
    Away(#[from] StoreError),
}

type OnRefusal = dyn Fn(&Parts, &NotAuthenticated) + Send + Sync;

/// A layer that asks who a request is of and puts the [`Scope`] into its extensions, where all the layers behind it look for it.
///
/// A `Scope` that is there already is taken out first, and so are a `TenantId` and, with the API, an `Operator`: behind this layer they are
/// those of its port and of nobody else. A request that is nobody's, or whose credentials are not good, is answered 401 with a
/// problem document, in the same words, and the port's [challenge](Authenticate::challenge). When it cannot be told, the answer is 503 with
/// `Retry-After`, or 500 where another try would not help.
///
/// [`ActorKind::System`] is the host's own identity, which no request can have: from a port it is a mistake, and answered 500.
///
/// Whatever everybody may reach, a page to sign in or a health check, belongs outside of this layer.
///
/// ```
/// use guardian_core::{Actor, Scope, TenantId};
/// use guardian_http::{AuthenticateLayer, BearerTokens, Identity};
///
/// let scope = Scope::new(TenantId::new("acme")?, Actor::api_key("key_1")?);
/// let tokens = BearerTokens::new();
/// tokens.insert("4bJ8Yw2mQeR7tPz1LxK9vNcD", Identity::new(scope))?;
/// let layer = AuthenticateLayer::new(tokens);
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct AuthenticateLayer<A> {
    config: Arc<Config<A>>,
}

struct Config<A> {
    port: Arc<A>,
    on_refusal: Option<Arc<OnRefusal>>,
}

impl<A: Authenticate> AuthenticateLayer<A> {
    /// Who this port says.
    pub fn new(port: A) -> Self {
        Self { config: Arc::new(Config { port: Arc::new(port), on_refusal: None }) }
    }

    /// The same, and somebody hears of each request that the port refuses (401) or cannot tell of (503, 500), with its head, and should return
    /// at once: for logs and metrics, and for locking out who guesses. It does not hear of a port's own mistake, the
    /// [system](ActorKind::System) as a client, which is answered 500.
    pub fn on_refusal(mut self, hear: impl Fn(&Parts, &NotAuthenticated) + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.config).on_refusal = Some(Arc::new(hear));
        self
    }
}

impl<A> Clone for Config<A> {
    fn clone(&self) -> Self {
        Self { port: Arc::clone(&self.port), on_refusal: self.on_refusal.clone() }
    }
}

impl<A> Clone for AuthenticateLayer<A> {
    fn clone(&self) -> Self {
        Self { config: Arc::clone(&self.config) }
    }
}

impl<A> fmt::Debug for AuthenticateLayer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateLayer").finish_non_exhaustive()
    }
}

impl<T, A> Layer<T> for AuthenticateLayer<A> {
    type Service = AuthenticateGuard<T, A>;

    fn layer(&self, inner: T) -> Self::Service {
        AuthenticateGuard { inner, config: Arc::clone(&self.config) }
    }
}

/// A service behind authentication; made by [`AuthenticateLayer`].
pub struct AuthenticateGuard<T, A> {
    inner: T,
    config: Arc<Config<A>>,
}

impl<T: Clone, A> Clone for AuthenticateGuard<T, A> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), config: Arc::clone(&self.config) }
    }
}

impl<T: fmt::Debug, A> fmt::Debug for AuthenticateGuard<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateGuard").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<T, A, RequestBody, ResponseBody> Service<Request<RequestBody>> for AuthenticateGuard<T, A>
where
    T: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    T::Future: Send,
    A: Authenticate,
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
        let (mut parts, body) = request.into_parts();
        forget_identity(&mut parts.extensions);
        if let Some(told) = self.config.port.authenticate_at_once(&parts) {
            return match let_in(&self.config, &mut parts, told) {
                Ok(()) => GuardedResponse::goes(self.inner.call(Request::from_parts(parts, body))),
                Err(not) => {
                    let config = Arc::clone(&self.config);
                    GuardedResponse::waits(async move { Ok(not.response(&*config.port)) })
                }
            };
        }
        // The service that was polled ready is the one to call; its clone has not been and waits for its own turn.
        let standby = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, standby);
        let config = Arc::clone(&self.config);
        GuardedResponse::waits(async move {
            let told = config.port.authenticate(&parts).await;
            match let_in(&config, &mut parts, told) {
                Ok(()) => ready.call(Request::from_parts(parts, body)).await,
                Err(not) => Ok(not.response(&*config.port)),
            }
        })
    }
}

/// Why a request is not let in.
enum Not {
    /// It says to be of the service itself.
    AClient,
    Authenticated(NotAuthenticated),
}

impl Not {
    fn response<B: From<Vec<u8>>>(&self, port: &impl Authenticate) -> Response<B> {
        match self {
            Self::AClient => not_a_client().to_response(),
            Self::Authenticated(refusal) => refused(refusal, port),
        }
    }
}

/// Puts who the request is of into it.
fn let_in<A>(
    config: &Config<A>,
    parts: &mut Parts,
    told: Result<Identity, NotAuthenticated>,
) -> Result<(), Not> {
    match told {
        Ok(identity) if identity.is_system() => Err(Not::AClient),
        Ok(Identity { scope, extensions }) => {
            if let Some(extensions) = extensions {
                parts.extensions.extend(*extensions);
            }
            // Last, so that no extension takes its place.
            parts.extensions.insert(scope);
            Ok(())
        }
        Err(refusal) => {
            if let Some(hear) = &config.on_refusal {
                hear(parts, &refusal);
            }
            Err(Not::Authenticated(refusal))
        }
    }
}

/// Takes out whoever the request says it is of already.
fn forget_identity(extensions: &mut Extensions) {
    extensions.remove::<Scope>();
    extensions.remove::<TenantId>();
    #[cfg(feature = "api")]
    extensions.remove::<crate::api::Operator>();
}

fn refused<B: From<Vec<u8>>>(refusal: &NotAuthenticated, port: &impl Authenticate) -> Response<B> {
    match refusal {
        NotAuthenticated::Refused => {
            let problem = Problem::new(StatusCode::UNAUTHORIZED)
                .with_type("urn:guardian:problem:unauthenticated", "Nobody is signed in")
                .with_detail("this request has no credentials, or none that are good");
            let mut response = problem.to_response();
            response.headers_mut().insert(WWW_AUTHENTICATE, port.challenge());
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        NotAuthenticated::Away(error) if error.is_transient() => {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE)
                .with_detail("it cannot be told at the moment who this request is of");
            let mut response = problem.to_response();
            response.headers_mut().insert(RETRY_AFTER, RetryAfter::from(OUTAGE).header_value());
            response
        }
        NotAuthenticated::Away(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
            .with_detail("it cannot be told who this request is of")
            .to_response(),
    }
}

fn not_a_client() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR).with_detail(
        "authentication took this request for one of the service itself, whose identity no request can have",
    )
}
