//! All layers in the right order, as one.

use std::fmt;

use tower_layer::{Identity, Layer};

use crate::BodyLimitsLayer;

/// Layers of the suite in the order in which they belong, applied as one layer to an axum `Router` or any other tower service.
///
/// A request passes them in the order of the methods below, whatever the order in which they were given; what is not given
/// is not there, but for the bounds of bodies, which are there unless they are taken out. Each takes the suite's layer or any other in its place, [`Optional`](crate::Optional) ones included.
///
/// ```
/// use guardian_core::{Actor, Scope, TenantId};
/// use guardian_http::{AuthenticateLayer, BearerTokens, Identity, RequestIdLayer, Stack};
///
/// let tokens = BearerTokens::new();
/// let scope = Scope::new(TenantId::new("acme")?, Actor::api_key("key_1")?);
/// tokens.insert("4bJ8Yw2mQeR7tPz1LxK9vNcD", Identity::new(scope))?;
///
/// let stack = Stack::new()
///     .request_id(RequestIdLayer::new())
///     .authenticate(AuthenticateLayer::new(tokens));
/// # #[cfg(feature = "axum")]
/// let router: axum::Router = axum::Router::new()
///     .route("/deals", axum::routing::get(|| async { "[]" }))
///     .layer(stack);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Why this order:
///
/// - `request_id`: every response has an id, those of all refusals too;
/// - `address_limits`: guessing keys is limited before a key is looked at;
/// - `authenticate`: all that follows is about somebody;
/// - `audit`: refusals of all that follows are recorded; who is nobody has no log to stand in, and cannot fill one;
/// - `tenant`: nothing is counted for tenants that are suspended or gone;
/// - `addresses`: who comes from where the tenant does not want it uses up none of its limits;
/// - `limits`: a request too many costs neither a decision about permissions nor a unit;
/// - `permission`: nobody pays for what they may not do;
/// - `quota`: a unit is spent only for a request that goes on;
/// - `body`: only what is behind all of them reads a body, and so waits for one.
///
/// Put it on with `Router::layer`, not around a finished router: the matched route, which limits and events name, is known only there.
#[derive(Clone, Copy, Default)]
#[must_use]
pub struct Stack<
    I = Identity,
    A = Identity,
    U = Identity,
    D = Identity,
    T = Identity,
    P = Identity,
    L = Identity,
    M = Identity,
    Q = Identity,
    B = BodyLimitsLayer,
> {
    request_id: I,
    address_limits: A,
    authenticate: U,
    audit: D,
    tenant: T,
    addresses: P,
    limits: L,
    permission: M,
    quota: Q,
    body: B,
}

impl Stack {
    /// No layers yet but the bounds of bodies: see [`body`](Self::body).
    pub fn new() -> Self {
        Self::default()
    }
}

/// The stack with another layer in one slot: what the slot holds is a part of the stack's type, so all that stays is named.
macro_rules! with {
    ($stack:expr, $($kept:ident),+; $slot:ident) => {{
        let Self { $($kept,)+ .. } = $stack;
        Stack { $($kept,)+ $slot }
    }};
}

impl<I, A, U, D, T, P, L, M, Q, B> Stack<I, A, U, D, T, P, L, M, Q, B> {
    /// Gives each request its id; first, so that every response has one, those of all refusals too.
    pub fn request_id<New>(self, request_id: New) -> Stack<New, A, U, D, T, P, L, M, Q, B> {
        with!(self, address_limits, authenticate, audit, tenant, addresses, limits, permission, quota, body; request_id)
    }

    /// Limits each address, before anybody is authenticated: it is what guessing keys meets. A `RateLimitLayer::shared`.
    pub fn address_limits<New>(self, address_limits: New) -> Stack<I, New, U, D, T, P, L, M, Q, B> {
        with!(self, request_id, authenticate, audit, tenant, addresses, limits, permission, quota, body; address_limits)
    }

    /// Says who a request is of, for everything behind it. An [`AuthenticateLayer`](crate::AuthenticateLayer), or the host's own that puts a `Scope` into the request's extensions.
    pub fn authenticate<New>(self, authenticate: New) -> Stack<I, A, New, D, T, P, L, M, Q, B> {
        with!(self, request_id, address_limits, audit, tenant, addresses, limits, permission, quota, body; authenticate)
    }

    /// Records requests, and as it stands right behind authentication also those that the layers behind it refuse; who is nobody has no log to stand in, and cannot fill one. An `AuditLayer`.
    pub fn audit<New>(self, audit: New) -> Stack<I, A, U, New, T, P, L, M, Q, B> {
        with!(self, request_id, address_limits, authenticate, tenant, addresses, limits, permission, quota, body; audit)
    }

    /// Turns away tenants that are suspended or gone, before anything is counted for them. A `TenantLayer`.
    pub fn tenant<New>(self, tenant: New) -> Stack<I, A, U, D, New, P, L, M, Q, B> {
        with!(self, request_id, address_limits, authenticate, audit, addresses, limits, permission, quota, body; tenant)
    }

    /// Holds the tenant's own rules about addresses. An `IpAccessLayer`.
    pub fn addresses<New>(self, addresses: New) -> Stack<I, A, U, D, T, New, L, M, Q, B> {
        with!(self, request_id, address_limits, authenticate, audit, tenant, limits, permission, quota, body; addresses)
    }

    /// Limits tenants, endpoints and keys. A `RateLimitLayer::per_tenant`.
    pub fn limits<New>(self, limits: New) -> Stack<I, A, U, D, T, P, New, M, Q, B> {
        with!(self, request_id, address_limits, authenticate, audit, tenant, addresses, permission, quota, body; limits)
    }

    /// Asks for one permission for everything behind the stack, if that is what the host wants; more often each route has a `RequirePermissionLayer` of its own.
    pub fn permission<New>(self, permission: New) -> Stack<I, A, U, D, T, P, L, New, Q, B> {
        with!(self, request_id, address_limits, authenticate, audit, tenant, addresses, limits, quota, body; permission)
    }

    /// Spends a unit of what the tenant bought; last, so that nobody pays for a request that was refused. A `QuotaLayer`.
    pub fn quota<New>(self, quota: New) -> Stack<I, A, U, D, T, P, L, M, New, B> {
        with!(self, request_id, address_limits, authenticate, audit, tenant, addresses, limits, permission, body; quota)
    }

    /// Bounds the bodies of requests. Unlike the others it is there from the beginning, with the bounds of [`BodyLimitsLayer::new`]; tower's
    /// `Identity` takes it out.
    pub fn body<New>(self, body: New) -> Stack<I, A, U, D, T, P, L, M, Q, New> {
        with!(self, request_id, address_limits, authenticate, audit, tenant, addresses, limits, permission, quota; body)
    }
}

impl<S, I, A, U, D, T, P, L, M, Q, B> Layer<S> for Stack<I, A, U, D, T, P, L, M, Q, B>
where
    B: Layer<S>,
    Q: Layer<B::Service>,
    M: Layer<Q::Service>,
    L: Layer<M::Service>,
    P: Layer<L::Service>,
    T: Layer<P::Service>,
    D: Layer<T::Service>,
    U: Layer<D::Service>,
    A: Layer<U::Service>,
    I: Layer<A::Service>,
{
    type Service = I::Service;

    fn layer(&self, inner: S) -> Self::Service {
        let inner = self.body.layer(inner);
        let inner = self.quota.layer(inner);
        let inner = self.permission.layer(inner);
        let inner = self.limits.layer(inner);
        let inner = self.addresses.layer(inner);
        let inner = self.tenant.layer(inner);
        let inner = self.audit.layer(inner);
        let inner = self.authenticate.layer(inner);
        let inner = self.address_limits.layer(inner);
        self.request_id.layer(inner)
    }
}

impl<I, A, U, D, T, P, L, M, Q, B> fmt::Debug for Stack<I, A, U, D, T, P, L, M, Q, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").finish_non_exhaustive()
    }
}
