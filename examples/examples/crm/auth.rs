//! Who is asking: API keys in `Authorization: Bearer`.

use std::error::Error;

use async_trait::async_trait;
use axum::http::request::Parts;
use guardian::core::{Actor, Scope, TenantId};
use guardian::http::api::Operator;
use guardian::http::{Authenticate, Identity, NotAuthenticated, bearer_token};
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

/// Says whose a key is. From there on everything takes its tenant from the [`Scope`], the limits and the store alike, and nothing from
/// what the client wrote into its request. The operator's key makes an operator, who works across tenants where the API of
/// administrators says so, below `/v1/platform`.
#[derive(Debug)]
pub(crate) struct DemoKeys;

impl DemoKeys {
    fn look_up(request: &Parts) -> Result<Identity, NotAuthenticated> {
        let secret = bearer_token(&request.headers).ok_or(NotAuthenticated::Refused)?;
        if secret == ADMIN_KEY {
            let platform = platform("the operator's key was shown").map_err(|_| NotAuthenticated::Refused)?;
            let scope = platform.scope().clone();
            return Ok(Identity::new(scope.clone()).with(Operator(scope)));
        }
        scope_of(secret).map(Identity::new).ok_or(NotAuthenticated::Refused)
    }
}

#[async_trait]
impl Authenticate for DemoKeys {
    async fn authenticate(&self, request: &Parts) -> Result<Identity, NotAuthenticated> {
        Self::look_up(request)
    }

    fn authenticate_at_once(&self, request: &Parts) -> Option<Result<Identity, NotAuthenticated>> {
        Some(Self::look_up(request))
    }
}

fn scope_of(secret: &str) -> Option<Scope> {
    let key = DEMO_KEYS.iter().find(|key| key.secret == secret)?;
    let tenant = TenantId::new(key.tenant).ok()?;
    Some(Scope::new(tenant, Actor::api_key(key.id).ok()?))
}
