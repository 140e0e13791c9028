//! Rules about addresses in front of a service.

use std::sync::{Arc, Mutex};

use guardian_core::{Actor, Clock, Scope, SystemClock, TenantId};
use guardian_http::{ForwardHeader, IpAccessLayer, PeerAddr, TrustedProxies};
use guardian_ipaccess::{AccessPolicy, AccessRequest, Confirm, Defaults, IpAccess, MemoryStore};
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceExt};

type Body = Vec<u8>;

fn scope(tenant: &str, actor: Actor) -> Scope {
    Scope::new(TenantId::new(tenant).unwrap(), actor)
}

async fn access(rules: &str) -> Arc<IpAccess<MemoryStore>> {
    let access = IpAccess::new(MemoryStore::new());
    let author = AccessRequest::new([192, 0, 2, 1].into(), SystemClock::new().now());
    let policy = AccessPolicy::parse(rules, Defaults::closed()).unwrap();
    let acme = scope("acme", Actor::user("ann").unwrap());
    let replace = move |old: &mut AccessPolicy| {
        *old = policy;
        Ok(())
    };
    access.change(&acme, &author, Confirm::Meant, replace).await.unwrap();
    Arc::new(access)
}

fn request(peer: [u8; 4], actor: Actor) -> Request<()> {
    let mut request = Request::get("/admin/users").body(()).unwrap();
    request.extensions_mut().insert(PeerAddr((peer, 4711).into()));
    request.extensions_mut().insert(scope("acme", actor));
    request
}

async fn status(layer: &IpAccessLayer<MemoryStore>, request: Request<()>) -> StatusCode {
    answer(layer, request).await.status()
}

async fn answer(layer: &IpAccessLayer<MemoryStore>, request: Request<()>) -> Response<Body> {
    let inner = tower::service_fn(|_: Request<()>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Body::default()))
    });
    layer.layer(inner).ready().await.unwrap().call(request).await.unwrap()
}

fn ann() -> Actor {
    Actor::user("ann").unwrap()
}

#[tokio::test]
async fn who_may_not_come_in_hears_no_more_than_that() {
    let layer =
        IpAccessLayer::new(access("allow 192.0.2.0/24 # the secret office").await, TrustedProxies::none());
    assert_eq!(status(&layer, request([192, 0, 2, 9], ann())).await, StatusCode::OK);
    let refused = answer(&layer, request([203, 0, 113, 9], ann())).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    let body = String::from_utf8(refused.into_body()).unwrap();
    assert!(!body.contains("secret") && !body.contains("203"), "{body}");
}

#[tokio::test]
async fn the_client_is_found_behind_proxies_and_an_invention_lets_nobody_in() {
    let proxies = TrustedProxies::parse(ForwardHeader::XForwardedFor, ["10.0.0.0/8"]).unwrap();
    let layer = IpAccessLayer::new(access("unparsable deny\nallow 192.0.2.0/24").await, proxies);
    let forwarded = |peer, value: &str| {
        let mut request = request(peer, ann());
        request.headers_mut().insert("x-forwarded-for", value.parse().unwrap());
        request
    };
    assert_eq!(status(&layer, forwarded([10, 0, 0, 1], "192.0.2.9")).await, StatusCode::OK);
    assert_eq!(
        status(&layer, forwarded([10, 0, 0, 1], "192.0.2.9, 203.0.113.1")).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(status(&layer, forwarded([203, 0, 113, 1], "192.0.2.9")).await, StatusCode::FORBIDDEN);
    assert_eq!(status(&layer, forwarded([10, 0, 0, 1], "192.0.2.9, unknown")).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn without_a_peer_or_a_tenant_nobody_comes_in() {
    let layer = IpAccessLayer::new(access("unparsable deny\nallow 0.0.0.0/0").await, TrustedProxies::none());
    let mut nowhere = Request::new(());
    nowhere.extensions_mut().insert(scope("acme", ann()));
    assert_eq!(status(&layer, nowhere).await, StatusCode::FORBIDDEN);
    let mut nobody = Request::new(());
    nobody.extensions_mut().insert(PeerAddr(([192, 0, 2, 1], 1).into()));
    assert_eq!(status(&layer, nobody).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn rules_for_users_keys_roles_and_routes_hold_for_theirs() {
    let rules = "allow 192.0.2.1 for user ann\nallow 192.0.2.2 for key k1\nallow 192.0.2.3 for role admin\nallow 192.0.2.4 for route /admin\nallow 192.0.2.5 for route /other";
    let layer = IpAccessLayer::new(access(rules).await, TrustedProxies::none());
    let with_roles = layer.clone().roles(|_| vec!["admin".to_owned()]);
    let key = || Actor::api_key("k1").unwrap();
    for (layer, host, actor, expected) in [
        (&layer, 1, ann(), StatusCode::OK),
        (&layer, 1, key(), StatusCode::FORBIDDEN),
        (&layer, 2, key(), StatusCode::OK),
        (&layer, 2, ann(), StatusCode::FORBIDDEN),
        (&layer, 3, ann(), StatusCode::FORBIDDEN),
        (&with_roles, 3, ann(), StatusCode::OK),
        (&layer, 4, ann(), StatusCode::OK),
        (&layer, 5, ann(), StatusCode::FORBIDDEN),
    ] {
        assert_eq!(status(layer, request([192, 0, 2, host], actor)).await, expected, "192.0.2.{host}");
    }
}

#[tokio::test]
async fn a_dry_run_lets_in_and_is_heard_of() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&heard);
    let layer = IpAccessLayer::new(access("dry run\ndefault deny").await, TrustedProxies::none())
        .on_decision(move |_, decision| listener.lock().unwrap().push(decision.denies()));
    assert_eq!(status(&layer, request([203, 0, 113, 9], ann())).await, StatusCode::OK);
    assert_eq!(*heard.lock().unwrap(), [true]);
}
