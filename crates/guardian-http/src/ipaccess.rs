//! Rules about addresses in front of a service.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use guardian_core::{ActorKind, Clock, Scope};
use guardian_ipaccess::store::AccessStore;
use guardian_ipaccess::{AccessRequest, Decision, Door, Error, IpAccess};
use http::request::Parts;
use http::{Extensions, HeaderMap, Request, Response, StatusCode, Uri};
use tower_layer::Layer;
use tower_service::Service;

use crate::peer::peer;
use crate::{ClientAddr, GuardedResponse, Problem, TrustedProxies};

type Roles = dyn Fn(&Parts) -> Vec<String> + Send + Sync;
type OnDecision = dyn Fn(&Parts, &Decision) + Send + Sync;

/// A layer that lets a request through if its tenant's rules about addresses do.
///
/// It comes behind authentication, which puts a [`Scope`] into the request's extensions; a request without one is answered 401. The
/// client's address is found behind the proxies that are trusted; if it cannot be, the policy's `unparsable` decides. A
/// refusal is a problem document with status 403 that says neither which rule it was nor what the address is taken for. If the
/// tenant's rules cannot be read, because the store is down, the answer is 503; once they were read the store is not asked again.
///
/// Rules for users and API keys ask for the scope's actor, rules for routes for the path; what roles the actor has, the host tells with
/// [`roles`](Self::roles).
///
/// ```
/// use std::sync::Arc;
///
/// use guardian_http::{IpAccessLayer, TrustedProxies};
/// use guardian_ipaccess::{IpAccess, MemoryStore};
///
/// let access = Arc::new(IpAccess::new(MemoryStore::new()));
/// let layer = IpAccessLayer::new(access, TrustedProxies::none());
/// # let _ = layer;
/// ```
#[must_use]
pub struct IpAccessLayer<S> {
    config: Arc<Config<S>>,
}

struct Config<S> {
    access: Arc<IpAccess<S>>,
    proxies: TrustedProxies,
    roles: Option<Arc<Roles>>,
    on_decision: Option<Arc<OnDecision>>,
}

impl<S: AccessStore> IpAccessLayer<S> {
    /// The rules of the request's tenant, about a client behind these proxies.
    pub fn new(access: Arc<IpAccess<S>>, proxies: TrustedProxies) -> Self {
        Self { config: Arc::new(Config { access, proxies, roles: None, on_decision: None }) }
    }

    /// The same, and rules for roles hold for those that are found in the request.
    pub fn roles(mut self, roles: impl Fn(&Parts) -> Vec<String> + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.config).roles = Some(Arc::new(roles));
        self
    }

    /// The same, and somebody hears of each decision: what a dry run would have denied, what a
    /// [`Watch`](guardian_ipaccess::Watch) looks at.
    pub fn on_decision(mut self, hear: impl Fn(&Parts, &Decision) + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.config).on_decision = Some(Arc::new(hear));
        self
    }
}

impl<S> Clone for Config<S> {
    fn clone(&self) -> Self {
        Self {
            access: Arc::clone(&self.access),
            proxies: self.proxies.clone(),
            roles: self.roles.clone(),
            on_decision: self.on_decision.clone(),
        }
    }
}

impl<S> Clone for IpAccessLayer<S> {
    fn clone(&self) -> Self {
        Self { config: Arc::clone(&self.config) }
    }
}

impl<S> fmt::Debug for IpAccessLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IpAccessLayer").field("proxies", &self.config.proxies).finish_non_exhaustive()
    }
}

impl<T, S> Layer<T> for IpAccessLayer<S> {
    type Service = IpAccessGuard<T, S>;

    fn layer(&self, inner: T) -> Self::Service {
        IpAccessGuard { inner, config: Arc::clone(&self.config) }
    }
}

/// A service behind rules about addresses; made by [`IpAccessLayer`].
pub struct IpAccessGuard<T, S> {
    inner: T,
    config: Arc<Config<S>>,
}

impl<T: Clone, S> Clone for IpAccessGuard<T, S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), config: Arc::clone(&self.config) }
    }
}

impl<T: fmt::Debug, S> fmt::Debug for IpAccessGuard<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IpAccessGuard").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<T, S, RequestBody, ResponseBody> Service<Request<RequestBody>> for IpAccessGuard<T, S>
where
    T: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    T::Future: Send,
    S: AccessStore,
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
        match judge_plainly(&self.config, &request) {
            Some(true) => return GuardedResponse::goes(self.inner.call(request)),
            Some(false) => return GuardedResponse::waits(async move { Ok(kept_out().to_response()) }),
            None => {}
        }
        let (parts, body) = request.into_parts();
        if let Some(judged) = judge_at_once(&self.config, &parts) {
            return match judged {
                Ok(()) => GuardedResponse::goes(self.inner.call(Request::from_parts(parts, body))),
                Err(problem) => GuardedResponse::waits(async move { Ok(problem.to_response()) }),
            };
        }
        // The service that was polled ready is the one to call; its clone has not been and waits for its own turn.
        let standby = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, standby);
        let config = Arc::clone(&self.config);
        GuardedResponse::waits(async move {
            match judge(&config, &parts).await {
                Ok(()) => ready.call(Request::from_parts(parts, body)).await,
                Err(problem) => Ok(problem.to_response()),
            }
        })
    }
}

/// Whether a request may come in, where nobody has to see its head whole and the tenant's rules are at hand.
fn judge_plainly<S: AccessStore, B>(config: &Config<S>, request: &Request<B>) -> Option<bool> {
    if config.roles.is_some() || config.on_decision.is_some() {
        return None;
    }
    let scope = request.extensions().get::<Scope>()?;
    let door = config.access.door_at_hand(scope)?;
    let seen = Seen { extensions: request.extensions(), headers: request.headers(), uri: request.uri() };
    Some(decide(config, &door, scope, seen, &[]).is_allowed())
}

/// Decides, and says what the client hears that may not come in; `None` where the tenant's rules are to be read first.
fn judge_at_once<S: AccessStore>(config: &Config<S>, request: &Parts) -> Option<Result<(), Problem>> {
    let Some(scope) = request.extensions.get::<Scope>() else { return Some(Err(nobodys())) };
    let door = config.access.door_at_hand(scope)?;
    Some(pass(config, &door, scope, request))
}

/// The same, with time to read the rules.
async fn judge<S: AccessStore>(config: &Config<S>, request: &Parts) -> Result<(), Problem> {
    let Some(scope) = request.extensions.get::<Scope>() else { return Err(nobodys()) };
    let door = config.access.door(scope).await.map_err(|error| undecided(&error))?;
    pass(config, &door, scope, request)
}

fn pass<S: AccessStore>(
    config: &Config<S>,
    door: &Door,
    scope: &Scope,
    request: &Parts,
) -> Result<(), Problem> {
    let roles = config.roles.as_ref().map(|roles| roles(request)).unwrap_or_default();
    // Neither takes memory where there are none.
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let seen = Seen { extensions: &request.extensions, headers: &request.headers, uri: &request.uri };
    let decision = decide(config, door, scope, seen, &roles);
    if let Some(hear) = &config.on_decision {
        hear(request, &decision);
    }
    if decision.is_allowed() {
        return Ok(());
    }
    Err(kept_out())
}

fn kept_out() -> Problem {
    Problem::new(StatusCode::FORBIDDEN).with_detail("this may not be reached from where you are")
}

fn nobodys() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED).with_detail("this request is nobody's")
}

/// What of a request decides.
#[derive(Clone, Copy)]
struct Seen<'r> {
    extensions: &'r Extensions,
    headers: &'r HeaderMap,
    uri: &'r Uri,
}

fn decide<S: AccessStore>(
    config: &Config<S>,
    door: &Door,
    scope: &Scope,
    seen: Seen<'_>,
    roles: &[&str],
) -> Decision {
    let client = peer(seen.extensions).map(|peer| ClientAddr::resolve(peer, seen.headers, &config.proxies));
    let Some(client) = client.filter(ClientAddr::is_conclusive) else { return door.unparsable() };
    let actor = scope.actor();
    let mut asked = AccessRequest::new(client.addr(), config.access.clock().now()).route(seen.uri.path());
    match actor.kind() {
        ActorKind::User => asked = asked.user(actor.id().as_str()),
        ActorKind::ApiKey => asked = asked.api_key(actor.id().as_str()),
        _ => {}
    }
    door.decide(&asked.roles(roles))
}

/// Nobody could tell, and that protects.
fn undecided(error: &Error) -> Problem {
    let transient = matches!(error, Error::Store(error) if error.is_transient());
    let status = if transient { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
    Problem::new(status).with_detail("rules about addresses cannot be told at the moment")
}
