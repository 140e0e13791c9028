//! The layers as one, in their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use guardian_audit::store::MemoryStore as AuditMemory;
use guardian_audit::{AuditConfig, AuditLog, AuditQueue, Outcome, Overflow};
use guardian_core::{Actor, Clock, PageRequest, Scope, SystemClock, TenantId};
use guardian_http::{
    AuditLayer, AuthenticateLayer, BearerTokens, By, Identity, IpAccessLayer, OnMissing, OnOutage,
    OnRegistryOutage, Optional, PeerAddr, QuotaLayer, RateLimitLayer, Recorded, RequestIdLayer,
    RequirePermissionLayer, Stack, TenantLayer, TrustedProxies,
};
use guardian_ipaccess::{AccessPolicy, AccessRequest, Confirm, Defaults, IpAccess};
use guardian_quota::{Plan, PlanName, Quotas, Subject, Subscription};
use guardian_ratelimit::{Limiter, Policy};
use guardian_rbac::{Catalog, MemoryStore as RbacMemory, Rbac};
use guardian_tenant::{MemoryStore as TenantMemory, NewTenant, Platform, Registry, Version};
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceExt};

const ANN: &str = "4bJ8Yw2mQeR7tPz1LxK9vNcD";
const BOB: &str = "9vNcD4bJ8Yw2mQeR7tPz1LxK";

fn scope(key: &str) -> Scope {
    Scope::new(TenantId::new("acme").unwrap(), Actor::api_key(key).unwrap())
}

fn platform() -> Platform {
    let operator = TenantId::new("operator").unwrap();
    Platform::new(Scope::new(operator, Actor::user("ops").unwrap()), "a test of the stack").unwrap()
}

struct World {
    router: Router,
    queue: Arc<AuditQueue<AuditMemory>>,
    quotas: Quotas<guardian_quota::MemoryStore>,
    registry: Registry,
    done: Arc<AtomicUsize>,
}

/// Everything in memory: an address has 8 requests, a tenant 5, of which it has bought 3.
async fn world() -> World {
    let limiter = Limiter::in_memory();
    let define = |name: &str, rule: &str| limiter.define(Policy::new(name, rule).unwrap()).unwrap();
    let per_address = define("per-address", "8/h");
    let (per_org, per_key) = (define("per-org", "5/h"), define("per-key", "4/h"));
    let missing = OnMissing::Refuse(StatusCode::INTERNAL_SERVER_ERROR);
    let proxies = TrustedProxies::none();
    let by_address = By::client_addr(proxies.clone());
    let addresses = RateLimitLayer::shared(&limiter).limit(per_address, by_address, missing).build().unwrap();
    let limits = RateLimitLayer::per_tenant(&limiter, missing)
        .whole(per_org)
        .limit(per_key, By::api_key(), OnMissing::Skip)
        .build()
        .unwrap();

    let tokens = BearerTokens::new();
    tokens.insert(ANN, Identity::new(scope("ann"))).unwrap();
    tokens.insert(BOB, Identity::new(scope("bob"))).unwrap();

    let registry = Registry::new(TenantMemory::new());
    let acme = NewTenant::new(scope("ann").tenant().clone(), "Acme", "team", "eu").unwrap();
    registry.create(&platform(), acme).await.unwrap();

    let access = Arc::new(IpAccess::new(guardian_ipaccess::MemoryStore::new()));
    let rules = AccessPolicy::parse("allow 192.0.2.0/24", Defaults::closed()).unwrap();
    let author = AccessRequest::new([192, 0, 2, 1].into(), SystemClock::new().now());
    let replace = move |old: &mut AccessPolicy| {
        *old = rules;
        Ok(())
    };
    access.change(&scope("ann"), &author, Confirm::Meant, replace).await.unwrap();

    let catalog = Catalog::builder().permission("deal:write", "Change deals").build().unwrap();
    let rbac = Rbac::new(catalog, RbacMemory::new());

    let plan = r#"{"name": "free", "features": {"api_calls": {"metered":
        {"unit": "call", "aggregation": "count", "limits": {"org": {"amount": 3}}}}}}"#;
    let quotas = Quotas::in_memory([Plan::parse(plan).unwrap()]).unwrap();
    let anchor = "2026-01-01T00:00:00Z".parse().unwrap();
    let subscription = Subscription::new(PlanName::new("free").unwrap(), anchor);
    quotas.subscribe(&scope("ann"), subscription).await.unwrap();

    let log = AuditLog::new(AuditMemory::new(), AuditConfig::default());
    let queue = Arc::new(AuditQueue::new(log, 100, Overflow::Fail).unwrap());
    let audit = AuditLayer::new(Arc::clone(&queue), proxies.clone(), |error| panic!("{error}"));

    // In any order but theirs.
    let stack = Stack::new()
        .quota(QuotaLayer::new(&quotas, "api_calls", OnOutage::Refuse).unwrap())
        .audit(audit.recording(Recorded::changes_and_refusals))
        .limits(limits)
        .tenant(
            TenantLayer::new(registry.clone(), OnRegistryOutage::Refuse).fresh_for(std::time::Duration::ZERO),
        )
        .authenticate(AuthenticateLayer::new(tokens))
        .addresses(IpAccessLayer::new(access, proxies))
        .address_limits(addresses)
        .request_id(RequestIdLayer::new());
    let done = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&done);
    let handler = async move || {
        count.fetch_add(1, Ordering::SeqCst);
        "done"
    };
    let permitted = RequirePermissionLayer::new(rbac, "deal:write").unwrap();
    let router = Router::new()
        .route("/deals/{id}", post(handler))
        .route("/locked", get(async || "never").layer(permitted))
        .layer(stack);
    World { router, queue, quotas, registry, done }
}

impl World {
    async fn ask(&self, method: &str, path: &str, peer: [u8; 4], token: &str) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(PeerAddr((peer, 4_711).into()));
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()["x-request-id"].len(), 36, "every response has one");
        response
    }

    async fn status(&self, method: &str, path: &str, peer: [u8; 4], token: &str) -> StatusCode {
        self.ask(method, path, peer, token).await.status()
    }

    async fn used(&self) -> i128 {
        self.quotas.balance(&scope("ann"), "api_calls", &Subject::org()).await.unwrap().used
    }
}

const OFFICE: [u8; 4] = [192, 0, 2, 9];

#[tokio::test]
async fn each_layer_refuses_before_the_next_one_counts() {
    let world = world().await;
    let deal = "/deals/d_1";
    // Guessing is limited by the address, before anybody looks at a key.
    for _ in 0..8 {
        assert_eq!(world.status("POST", deal, [203, 0, 113, 66], "").await, StatusCode::UNAUTHORIZED);
    }
    let limited = world.status("POST", deal, [203, 0, 113, 66], ANN).await;
    assert_eq!(limited, StatusCode::TOO_MANY_REQUESTS, "even with a good key");
    // From where the tenant does not want it.
    assert_eq!(world.status("POST", deal, [203, 0, 113, 7], ANN).await, StatusCode::FORBIDDEN);
    // Through all of them, and with the fields of all limits.
    let through = world.ask("POST", deal, OFFICE, ANN).await;
    assert_eq!(through.status(), StatusCode::OK);
    let limits: Vec<_> = through.headers().get_all("ratelimit").iter().map(|f| f.to_str().unwrap()).collect();
    let limits = limits.join(", ");
    for name in ["per-address", "per-org", "per-key", "api_calls"] {
        assert!(limits.contains(name), "{limits}");
    }
    assert!(limits.contains(r#""per-org";r=4"#), "what was refused before was not counted: {limits}");
    // What the route's own permission refuses was spent for by the stack; it stands inside.
    assert_eq!(world.status("GET", "/locked", OFFICE, ANN).await, StatusCode::FORBIDDEN);
    assert_eq!(world.used().await, 2);
    assert_eq!(world.status("POST", deal, OFFICE, ANN).await, StatusCode::OK);
    // The quota is used up, the key's own limit not yet; then the limit comes first and nothing is spent.
    let spent = world.ask("POST", deal, OFFICE, ANN).await;
    assert_eq!(spent.status(), StatusCode::TOO_MANY_REQUESTS);
    let limited = world.ask("POST", deal, OFFICE, ANN).await;
    assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!((world.used().await, world.done.load(Ordering::SeqCst)), (3, 2));

    let acme = scope("ann").tenant().clone();
    world.registry.suspend(&platform(), &acme, Version::FIRST, "unpaid").await.unwrap();
    assert_eq!(world.status("POST", deal, OFFICE, BOB).await, StatusCode::FORBIDDEN);

    // In the log is everything that somebody known tried.
    while world.queue.drain().await.unwrap() > 0 {}
    let page = PageRequest::first(50).unwrap();
    let found =
        world.queue.log().search(&scope("ann"), &"action:http.*".parse().unwrap(), &page).await.unwrap();
    let mut told: Vec<_> = found
        .items
        .iter()
        .map(|event| {
            let actor = event.event.actor.as_ref().unwrap().id.as_str();
            (actor, event.event.action.as_str(), event.event.outcome, event.event.metadata["status"].clone())
        })
        .collect();
    told.reverse();
    let post = "http.post.deals.:id";
    assert_eq!(
        told,
        [
            ("ann", post, Outcome::Denied, 403.into()),
            ("ann", post, Outcome::Success, 200.into()),
            ("ann", "http.get.locked", Outcome::Denied, 403.into()),
            ("ann", post, Outcome::Success, 200.into()),
            ("ann", post, Outcome::Denied, 429.into()),
            ("ann", post, Outcome::Denied, 429.into()),
            ("bob", post, Outcome::Denied, 403.into()),
        ]
    );
}

#[tokio::test]
async fn a_part_is_left_out_or_the_hosts_own() {
    let nothing = Router::new().route("/", get(async || "home")).layer(Stack::new());
    let answer = nothing.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers().get("x-request-id").is_none());

    // Of one type, whatever the settings say; on a server that is not axum's; with the host's own authentication.
    let limiter = Limiter::in_memory();
    let policy = limiter.define(Policy::new("per-org", "1/h").unwrap()).unwrap();
    for wanted in [false, true] {
        let per_tenant = RateLimitLayer::per_tenant(&limiter, OnMissing::Refuse(StatusCode::UNAUTHORIZED));
        let limits =
            if wanted { per_tenant.whole(policy).build().unwrap() } else { RateLimitLayer::off(&limiter) };
        let own = tower::util::MapRequestLayer::new(|mut request: Request<()>| {
            request.extensions_mut().insert(scope("ann"));
            request
        });
        let stack = Stack::new()
            .request_id(Optional::from(wanted.then(RequestIdLayer::new)))
            .authenticate(own)
            .limits(limits)
            // What these requests have is no body.
            .body(tower_layer::Identity::new());
        assert!(format!("{stack:?}").starts_with("Stack"));
        let inner = tower::service_fn(|_: Request<()>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Vec::<u8>::new()))
        });
        let mut service = stack.layer(inner);
        let mut statuses = Vec::new();
        for _ in 0..2 {
            let answer = service.ready().await.unwrap().call(Request::new(())).await.unwrap();
            assert_eq!(answer.headers().contains_key("x-request-id"), wanted);
            statuses.push(answer.status().as_u16());
        }
        assert_eq!(statuses, if wanted { [200, 429] } else { [200, 200] });
    }
}
