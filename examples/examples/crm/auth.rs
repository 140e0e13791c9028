//! Who is asking: API keys in `Authorization: Bearer`.

use std::error::Error;

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use guardian::core::{Actor, Scope, TenantId};
use guardian::http::Problem;
use guardian::http::api::Operator;
use guardian::tenant::Platform;

/// An API key of the demo. A real host keeps digests of secrets, not secrets, and compares them in constant time.
pub(crate) struct DemoKey {
    pub(crate) secret: &'static str,
    pub(crate) tenant: &'static str,
    pub(crate) plan: &'static str,
    pub(crate) id: &'static str,
    pub(crate) role: &'static str,
}

pub(crate) const DEMO_KEYS: [DemoKey; 4] = [
    DemoKey {
        secret: "acme-website-key",
        tenant: "acme",
        plan: "starter",
        id: "acme-website",
        role: "admin",
    },
    DemoKey {
        secret: "acme-import-key",
        tenant: "acme",
        plan: "starter",
        id: "acme-import",
        role: "integration",
    },
    DemoKey { secret: "acme-viewer-key", tenant: "acme", plan: "starter", id: "acme-viewer", role: "viewer" },
    DemoKey {
        secret: "globex-website-key",
        tenant: "globex",
        plan: "business",
        id: "globex-website",
        role: "admin",
    },
];

/// The tenants that have keys.
pub(crate) fn tenants() -> impl Iterator<Item = TenantId> {
    let mut names: Vec<_> = DEMO_KEYS.iter().map(|key| key.tenant).collect();
    names.dedup();
    names.into_iter().filter_map(|name| TenantId::new(name).ok())
}

/// The key of whoever runs the service.
pub(crate) const ADMIN_KEY: &str = "operator-key";

/// The operator's own tenant, which has an administrator like the others.
pub(crate) const OPERATOR: &str = "operator";

/// The right to work across tenants.
pub(crate) fn platform(why: &str) -> Result<Platform, Box<dyn Error>> {
    let scope = Scope::new(TenantId::new(OPERATOR)?, Actor::user("op")?);
    Ok(Platform::new(scope, why)?)
}

/// Puts the [`Scope`] of the key into the request. From here on everything takes its tenant from there, the limits and
/// the store alike, and nothing from what the client wrote into its request. The operator's key makes an operator, who works across
/// tenants where the API of administrators says so, below `/v1/platform`.
pub(crate) async fn require_key(mut request: Request, next: Next) -> Response {
    let Some(secret) = bearer(request.headers()) else { return unauthorized() };
    if secret == ADMIN_KEY {
        let Ok(platform) = platform("the operator's key was shown") else { return unauthorized() };
        request.extensions_mut().insert(Operator(platform.scope().clone()));
        request.extensions_mut().insert(platform.scope().clone());
        return next.run(request).await;
    }
    match scope_of(secret) {
        Some(scope) => {
            request.extensions_mut().insert(scope);
            next.run(request).await
        }
        None => unauthorized(),
    }
}

pub(crate) async fn require_admin(request: Request, next: Next) -> Response {
    if bearer(request.headers()) == Some(ADMIN_KEY) { next.run(request).await } else { unauthorized() }
}

fn scope_of(secret: &str) -> Option<Scope> {
    let key = DEMO_KEYS.iter().find(|key| key.secret == secret)?;
    let tenant = TenantId::new(key.tenant).ok()?;
    Some(Scope::new(tenant, Actor::api_key(key.id).ok()?))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The same answer whether the key is missing or wrong, with the field that RFC 9110 asks for.
fn unauthorized() -> Response {
    let problem =
        Problem::new(StatusCode::UNAUTHORIZED).with_detail("send a valid key as `Authorization: Bearer KEY`");
    let mut response = problem.into_response();
    let challenge = HeaderValue::from_static("Bearer");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}
