use std::fmt;
use std::sync::Arc;

use guardian_core::{Actor, ActorKind, Scope, TenantId};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderName, Method};

use super::Key;
use crate::peer::peer;
use crate::{ClientAddr, RateKey, TrustedProxies, V6PrefixLen};

/// Whom a limit counts: how its key is found in a request.
///
/// | | counts | reads |
/// |---|---|---|
/// | [`client_addr`](Self::client_addr) | each client address, IPv6 by /64 | [`PeerAddr`](crate::PeerAddr) or axum's `ConnectInfo<SocketAddr>`, and the field of the trusted proxies |
/// | [`actor`](Self::actor), [`user`](Self::user), [`api_key`](Self::api_key) | each authenticated actor, person, API key | the extension [`Scope`] |
/// | [`bearer`](Self::bearer), [`header`](Self::header) | each value of a header, by its digest | the header |
/// | `route` (feature `axum`) | each endpoint | the method and axum's `MatchedPath` |
/// | [`with`](Self::with) | what you like | what you like |
///
/// ```
/// use guardian_http::{By, Key};
///
/// // An integration calls itself by name once it is authenticated.
/// #[derive(Clone)]
/// struct Integration(u64);
///
/// let by_integration = By::with("integration", |request| {
///     request.extensions.get::<Integration>().map(|integration| Key::from(integration.0))
/// });
/// ```
#[derive(Clone)]
pub struct By {
    what: &'static str,
    find: Arc<Find>,
}

type Find = dyn for<'r> Fn(&'r Parts) -> Option<Key<'r>> + Send + Sync;

impl By {
    /// Counts by whatever the function finds. `what` names it for clients that lack it, as the noun in "this request
    /// has no *API key*, by which requests are counted here".
    ///
    /// A key that clients choose freely is a key that they change freely: it limits nobody unless another limit
    /// holds the same clients.
    #[must_use]
    pub fn with<F>(what: &'static str, find: F) -> Self
    where
        F: for<'r> Fn(&'r Parts) -> Option<Key<'r>> + Send + Sync + 'static,
    {
        Self { what, find: Arc::new(find) }
    }

    /// Counts by client address: an IPv4 address for itself, IPv6 by its /64.
    #[must_use]
    pub fn client_addr(proxies: TrustedProxies) -> Self {
        Self::client_addr_with(proxies, V6PrefixLen::default())
    }

    /// The same with another length of the IPv6 prefix.
    #[must_use]
    pub fn client_addr_with(proxies: TrustedProxies, prefix: V6PrefixLen) -> Self {
        Self::with("client address", move |request| {
            let client = ClientAddr::resolve(peer(&request.extensions)?, &request.headers, &proxies);
            Some(Key::from(RateKey::with_prefix(client.addr(), prefix).into_text()))
        })
    }

    /// Counts by the actor of the request's [`Scope`], whatever kind it is of.
    #[must_use]
    pub fn actor() -> Self {
        Self::with("actor", |request| {
            request.extensions.get::<Scope>().map(|scope| Key::from(scope.actor().to_string()))
        })
    }

    /// Counts by the person who signed in; requests of API keys and services do not have it.
    #[must_use]
    pub fn user() -> Self {
        Self::with("signed-in user", |request| actor_of_kind(request, ActorKind::User))
    }

    /// Counts by the public id of the API key that was authenticated; requests of people do not have it.
    #[must_use]
    pub fn api_key() -> Self {
        Self::with("API key", |request| actor_of_kind(request, ActorKind::ApiKey))
    }

    /// Counts by the token after `Authorization: Bearer`, by its digest.
    ///
    /// Nobody has checked the token yet, and who invents one for each request is counted anew each time. Use it in
    /// front of authentication only together with [`client_addr`](Self::client_addr).
    #[must_use]
    pub fn bearer() -> Self {
        Self::with("bearer token", |request| {
            let value = request.headers.get(AUTHORIZATION)?.as_bytes();
            let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
            let token = token.trim_ascii();
            (scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()).then(|| Key::digest_of(token))
        })
    }

    /// Counts by the value of a header, by its digest; the caution of [`bearer`](Self::bearer) applies.
    #[must_use]
    pub fn header(name: HeaderName) -> Self {
        Self::with("identifying header", move |request| {
            let value = request.headers.get(&name)?.as_bytes();
            (!value.is_empty()).then(|| Key::digest_of(value))
        })
    }

    /// Counts by endpoint: the method and the route as it was declared, `GET /contacts/{id}`. HEAD counts as GET,
    /// and methods that HTTP does not define count as one, since a client could invent a new one each time.
    ///
    /// The path itself would not do: every id in it would be an endpoint of its own.
    #[cfg(feature = "axum")]
    #[must_use]
    pub fn route() -> Self {
        Self::with("known route", |request| {
            let path = request.extensions.get::<axum::extract::MatchedPath>()?;
            Some(Key::from([method_name(&request.method), path.as_str()].join(" ")))
        })
    }

    /// What the key is, for a client that did not send it.
    pub(super) fn what(&self) -> &'static str {
        self.what
    }

    pub(super) fn find<'r>(&self, request: &'r Parts) -> Option<Key<'r>> {
        (self.find)(request).and_then(Key::checked)
    }
}

impl fmt::Debug for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "By({})", self.what)
    }
}

/// The tenant that authentication found.
pub(super) fn tenant(request: &Parts) -> Option<&TenantId> {
    let scope = request.extensions.get::<Scope>().map(Scope::tenant);
    scope.or_else(|| request.extensions.get::<TenantId>())
}

fn actor_of_kind(request: &Parts, kind: ActorKind) -> Option<Key<'_>> {
    let actor: &Actor = request.extensions.get::<Scope>()?.actor();
    (actor.kind() == kind).then(|| Key::from(actor.id().as_str()))
}

#[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "only routes need it"))]
fn method_name(method: &Method) -> &str {
    match *method {
        // They ask for the same, and a client that may choose should not have two allowances.
        Method::GET | Method::HEAD => "GET",
        Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS
        | Method::CONNECT
        | Method::TRACE => method.as_str(),
        _ => "other",
    }
}
