//! Who is counted as one.

use std::sync::{Arc, Mutex};

use guardian_core::{Actor, Scope, TenantId};
use guardian_http::{By, ForwardHeader, Key, OnMissing, RateLimitLayer, TrustedProxies};
use guardian_ratelimit::Policy;
use http::{HeaderName, HeaderValue, Request};

use super::{Fixture, ask, from_peer, request, service, with_extension};

/// How many of these requests pass a limit of one.
async fn admitted(by: By, requests: Vec<Request<()>>) -> usize {
    let fixture = Fixture::new();
    let policy = fixture.define("one-each", "1/h");
    let service = service(RateLimitLayer::shared(&fixture.limiter).limit(policy, by, OnMissing::Together));
    let mut admitted = 0;
    for request in requests {
        admitted += usize::from(ask(&service, request).await.status == 200);
    }
    admitted
}

fn with_header(mut request: Request<()>, name: &'static str, value: &str) -> Request<()> {
    request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    request
}

fn forwarded(peer: &str, value: &str) -> Request<()> {
    with_header(from_peer(peer), "x-forwarded-for", value)
}

fn proxies() -> TrustedProxies {
    TrustedProxies::parse(ForwardHeader::XForwardedFor, ["10.0.0.0/8"]).unwrap()
}

#[tokio::test]
async fn an_invented_header_is_no_fresh_allowance() {
    // A client that connects directly, and one behind the proxy, which appends what it saw.
    let direct = (0..20).map(|n| forwarded("203.0.113.7", &format!("198.51.100.{n}")));
    assert_eq!(admitted(By::client_addr(proxies()), direct.collect()).await, 1);
    let behind = (0..20).map(|n| forwarded("10.0.0.2", &format!("198.51.100.{n}, 203.0.113.7")));
    assert_eq!(admitted(By::client_addr(proxies()), behind.collect()).await, 1);
    // Nobody is believed unless the host says so.
    let unknown = (0..20).map(|n| forwarded("10.0.0.2", &format!("198.51.100.{n}")));
    assert_eq!(admitted(By::client_addr(TrustedProxies::none()), unknown.collect()).await, 1);
}

#[tokio::test]
async fn clients_behind_one_proxy_are_told_apart() {
    let requests = (0..20).map(|n| forwarded("10.0.0.2", &format!("203.0.113.{n}")));
    assert_eq!(admitted(By::client_addr(proxies()), requests.collect()).await, 20);
}

#[tokio::test]
async fn an_ipv6_client_is_its_64() {
    let by = || By::client_addr(TrustedProxies::none());
    let one_home = (0..20).map(|n| from_peer(&format!("2001:db8:0:1::{n:x}")));
    assert_eq!(admitted(by(), one_home.collect()).await, 1);
    let homes = (0..20).map(|n| from_peer(&format!("2001:db8:0:{n:x}::1")));
    assert_eq!(admitted(by(), homes.collect()).await, 20);
    let mapped = vec![from_peer("192.0.2.1"), from_peer("::ffff:192.0.2.1")];
    assert_eq!(admitted(by(), mapped).await, 1);
}

#[tokio::test]
async fn actors_are_counted_by_kind_and_id() {
    let of = |actor: Actor| with_extension(request(), Scope::new(TenantId::from(1), actor));
    let user = || of(Actor::user("7").unwrap());
    let key = || of(Actor::api_key("7").unwrap());
    assert_eq!(admitted(By::actor(), vec![user(), key(), user(), key()]).await, 2);
    // The key has no user, so it is one of those without: together.
    assert_eq!(admitted(By::user(), vec![user(), user(), key(), request()]).await, 2);
    assert_eq!(admitted(By::api_key(), vec![user(), key(), key()]).await, 2);
}

#[tokio::test]
async fn secrets_are_counted_by_digest() {
    let bearer = |value: &str| with_header(request(), "authorization", value);
    let requests = vec![
        bearer("Bearer a-token"),
        bearer("bearer  a-token"),
        bearer("Bearer b-token"),
        // Neither of these has a token.
        bearer("Basic YTpi"),
        bearer("Bearer "),
        request(),
    ];
    assert_eq!(admitted(By::bearer(), requests).await, 3);

    // The first 128 bits of SHA-256 of `abc` (FIPS 180-4's own example).
    assert_eq!(Key::digest_of(b"abc"), Key::from("sha256:ba7816bf8f01cfea414140de5dae2223"));
    let named = |value: &str| with_header(request(), "x-api-key", value);
    let by = || By::header(HeaderName::from_static("x-api-key"));
    assert_eq!(admitted(by(), vec![named("a"), named("a"), named("b"), named("")]).await, 3);
    let seen = Arc::new(Mutex::new(String::new()));
    let debug = Arc::clone(&seen);
    let fixture = Fixture::new();
    let policy = fixture.define("hidden", "1/h");
    let layer = RateLimitLayer::shared(&fixture.limiter).limit(policy, by(), OnMissing::Skip);
    let service = service(layer.on_decision(move |_, decision| {
        *debug.lock().unwrap() = format!("{decision:?}");
    }));
    ask(&service, named("top-secret")).await;
    assert!(!seen.lock().unwrap().contains("top-secret"));
    assert!(!format!("{:?}", fixture.limiter).contains("top-secret"));
}

/// A text that is too long for a limiter is neither an error nor cut: two texts stay two.
#[tokio::test]
async fn long_keys_are_digested() {
    let by = || By::with("name", |request| Some(Key::from(request.headers.get("x-name")?.to_str().ok()?)));
    let long = |end: &str| with_header(request(), "x-name", &format!("{}{end}", "x".repeat(600)));
    assert_eq!(admitted(by(), vec![long("a"), long("b"), long("a")]).await, 2);
}

#[tokio::test]
async fn a_subject_may_have_a_rule_of_its_own() {
    let fixture = Fixture::new();
    let policy = fixture.limiter.define(Policy::new("per-name", "1/min").unwrap()).unwrap();
    let more: guardian_ratelimit::Rule = "9/min".parse().unwrap();
    let shared = guardian_ratelimit::Realm::Shared;
    fixture.limiter.set_subject_override(policy, shared, 7, more).unwrap();
    let by = By::with("number", |request| {
        Some(Key::from(request.headers.get("x-n")?.to_str().ok()?.parse::<u64>().ok()?))
    });
    let service = service(RateLimitLayer::shared(&fixture.limiter).limit(policy, by, OnMissing::Skip));
    let numbered = |n| with_header(request(), "x-n", n);
    ask(&service, numbered("7")).await.expect(200, r#""per-name";q=9;w=60"#, r#""per-name";r=8;t=7"#, "");
    ask(&service, numbered("8")).await.expect(200, r#""per-name";q=1;w=60"#, r#""per-name";r=0;t=60"#, "");
}
