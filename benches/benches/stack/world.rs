//! The two routers, and what they are asked.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use guardian_audit::store::AuditStore;
use guardian_audit::{AuditConfig, AuditLog, AuditQueue, Overflow};
use guardian_core::{Actor, Clock as _, Scope, SystemClock, TenantId};
use guardian_http::{
    AuditLayer, AuthenticateLayer, BearerTokens, By, Failing, Identity, IpAccessLayer, OnMissing, OnOutage,
    OnRegistryOutage, Optional, PeerAddr, QuotaLayer, RateLimitLayer, RequestIdLayer, RequirePermissionLayer,
    Stack, TenantLayer, TrustedProxies,
};
use guardian_ipaccess::{AccessPolicy, AccessRequest, Confirm, Defaults, IpAccess};
use guardian_quota::{Plan, PlanName, Quotas, Subscription};
use guardian_ratelimit::{AnyStore, Limiter, MemoryStore, Policy};
use guardian_rbac::{Catalog, NewGrant, Rbac, Role, Rule};
use guardian_tenant::{NewTenant, Platform, Registry};
use http::{Request, StatusCode};

/// The keys of the tenant's integrations.
const KEYS: usize = 100;

pub(crate) fn token(number: usize) -> String {
    format!("k{:04}-4bJ8Yw2mQeR7tPz1LxK9vNcD", number % KEYS)
}

fn key(number: usize) -> Scope {
    let actor = Actor::api_key(format!("key_{}", number % KEYS)).expect("an id");
    Scope::new(TenantId::new("acme").expect("an id"), actor)
}

pub(crate) fn request(number: usize) -> Request<Body> {
    let mut request = Request::post("/deals/d_4711/notes")
        .header("host", "crm.example")
        .header("user-agent", "bench/1")
        .header("accept", "application/json")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", token(number)))
        .body(Body::from("{}"))
        .expect("a request");
    request.extensions_mut().insert(PeerAddr(([127, 0, 0, 1], 49_152).into()));
    request
}

/// What a server asks: it turns handlers and layers into services once, and not for each request.
pub(crate) fn bare() -> Router {
    routes().with_state(())
}

fn routes() -> Router {
    Router::new().route("/deals/{id}/notes", post(async || (StatusCode::CREATED, "created")))
}

pub(crate) fn queue<S: AuditStore>(store: S, overflow: Overflow) -> Arc<AuditQueue<S>> {
    let log = AuditLog::new(store, AuditConfig::default());
    Arc::new(AuditQueue::new(log, 100_000, overflow).expect("a queue"))
}

/// The same router behind everything; `without` names one part that is left out.
pub(crate) async fn full<S: AuditStore>(
    queue: &Arc<AuditQueue<S>>,
    durable: Option<Failing>,
    without: &str,
) -> Router {
    let unless = |part: &str| without != part;
    let limiter = Limiter::with_clock(AnyStore::new(MemoryStore::new()), SystemClock::new());
    let define = |name: &str| {
        let policy = Policy::new(name, "1000000/s burst 1000000000").expect("a rule");
        limiter.define(policy).expect("a policy")
    };
    let missing = OnMissing::Refuse(StatusCode::INTERNAL_SERVER_ERROR);
    let proxies = TrustedProxies::none();
    let by_address = By::client_addr(proxies.clone());
    let addresses = RateLimitLayer::shared(&limiter).limit(define("per-address"), by_address, missing);
    let limits = RateLimitLayer::per_tenant(&limiter, missing)
        .whole(define("per-org"))
        .limit(define("per-endpoint"), By::route(), OnMissing::Together)
        .limit(define("per-key"), By::api_key(), OnMissing::Skip)
        .build()
        .expect("a layer");
    let limits = if unless("no_limits") { limits } else { RateLimitLayer::off(&limiter) };

    let tokens = BearerTokens::new();
    for number in 0..KEYS {
        tokens.insert(&token(number), Identity::new(key(number))).expect("a token");
    }

    let stack = Stack::new()
        .request_id(RequestIdLayer::new())
        .address_limits(addresses.build().expect("a layer"))
        .authenticate(AuthenticateLayer::new(tokens))
        .audit(Optional::from(unless("no_audit").then(|| audit(queue, durable))))
        .tenant(Optional::from(unless("no_tenant").then_some(tenants().await)))
        .addresses(Optional::from(unless("no_addresses").then_some(access(proxies).await)))
        .limits(limits)
        .permission(Optional::from(unless("no_permission").then_some(permission().await)))
        .quota(Optional::from(unless("no_quota").then_some(quota().await)));
    routes().layer(stack).with_state(())
}

fn audit<S: AuditStore>(queue: &Arc<AuditQueue<S>>, durable: Option<Failing>) -> AuditLayer<S> {
    let layer = AuditLayer::new(Arc::clone(queue), TrustedProxies::none(), |error| {
        // Nothing may be lost here.
        eprint(error);
    });
    match durable {
        Some(failing) => layer.durable(failing),
        None => layer,
    }
}

fn eprint(error: &guardian_audit::Error) {
    println!("not recorded: {error}");
}

async fn tenants() -> TenantLayer {
    let registry = Registry::new(guardian_tenant::MemoryStore::new());
    let operator = Scope::new(TenantId::new("operator").expect("an id"), Actor::user("ops").expect("an id"));
    let platform = Platform::new(operator, "a benchmark of the stack").expect("a reason");
    let acme = NewTenant::new(key(0).tenant().clone(), "Acme", "team", "eu").expect("a tenant");
    registry.create(&platform, acme).await.expect("a tenant");
    TenantLayer::new(registry, OnRegistryOutage::Refuse)
}

async fn access(proxies: TrustedProxies) -> IpAccessLayer<guardian_ipaccess::MemoryStore> {
    let access = IpAccess::new(guardian_ipaccess::MemoryStore::new());
    let rules: Vec<String> = (0..9).map(|net| format!("allow 10.{net}.0.0/16")).collect();
    let rules = format!("{}\nallow 127.0.0.0/8", rules.join("\n"));
    let policy = AccessPolicy::parse(&rules, Defaults::closed()).expect("rules");
    let author = AccessRequest::new([127, 0, 0, 1].into(), SystemClock::new().now());
    let replace = move |old: &mut AccessPolicy| {
        *old = policy;
        Ok(())
    };
    access.change(&key(0), &author, Confirm::Meant, replace).await.expect("a change");
    IpAccessLayer::new(Arc::new(access), proxies)
}

async fn permission() -> RequirePermissionLayer {
    let catalog = Catalog::builder().permission("deal:write", "Change deals").build().expect("a catalog");
    let rbac = Rbac::new(catalog, guardian_rbac::MemoryStore::new());
    let host = Scope::system(key(0).tenant().clone());
    let role = Role::new("rep").expect("a name").with(Rule::allow("deal:*").expect("a rule"));
    rbac.put_role(&host, role).await.expect("a role");
    for number in 0..KEYS {
        let who = key(number).actor().to_string().parse().expect("a principal");
        let grant = NewGrant::new(who, "rep", "a benchmark").expect("a grant");
        rbac.grant(&host, grant).await.expect("a grant");
    }
    RequirePermissionLayer::new(rbac, "deal:write").expect("a layer")
}

async fn quota() -> QuotaLayer<guardian_quota::MemoryStore> {
    let plan = Plan::parse(
        r#"{"name": "team", "features": {"api_calls": {"metered":
            {"unit": "call", "aggregation": "count", "limits": {"org": {"amount": 1000000000}}}}}}"#,
    );
    let quotas = Quotas::in_memory([plan.expect("a plan")]).expect("quotas");
    let anchor = "2026-01-01T00:00:00Z".parse().expect("a time");
    let subscription = Subscription::new(PlanName::new("team").expect("a name"), anchor);
    quotas.subscribe(&key(0), subscription).await.expect("a subscription");
    QuotaLayer::new(&quotas, "api_calls", OnOutage::Refuse).expect("a layer")
}
