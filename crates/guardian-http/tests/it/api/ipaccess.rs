use std::sync::{Arc, Mutex};
use std::time::Duration;

use guardian_core::{Event, EventSink, ManualClock, Scope, StoreError};
use guardian_http::TrustedProxies;
use guardian_http::api::ipaccess::api;
use guardian_http::api::{Document, Unguarded};
use guardian_ipaccess::store::{AccessStore, Stored};
use guardian_ipaccess::{ForwardHeader, IpAccess, MemoryStore};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::contract::{Contract, plain, scope, with};

#[tokio::test]
async fn the_api_of_addresses_keeps_its_word() {
    let access = Arc::new(IpAccess::new(MemoryStore::new()));
    let mut contract = Contract::unguarded(api(Arc::clone(&access), TrustedProxies::none()));
    let empty = contract.expect(200, "GET", "/ip-access/policy", plain()).await;
    assert_eq!((&empty.body["revision"], empty.etag.as_deref()), (&json!(0), Some("\"0\"")));

    // From where the test comes, nobody knows.
    let office = json!({"text": "default deny\nallow 192.0.2.0/24 # office\nallow 192.0.2.7"});
    contract.expect(422, "PUT", "/ip-access/policy", with(office.clone()).if_match("\"0\"")).await;
    contract.peer = Some("203.0.113.9:4000".parse().unwrap());
    let kept_out =
        contract.expect(409, "PUT", "/ip-access/policy", with(office.clone()).if_match("\"0\"")).await;
    assert!(kept_out.body["detail"].as_str().unwrap().contains("203.0.113.9"), "{}", kept_out.body);
    contract.peer = Some("192.0.2.9:4000".parse().unwrap());
    contract.expect(428, "PUT", "/ip-access/policy", with(office.clone())).await;
    let put = contract.expect(200, "PUT", "/ip-access/policy", with(office.clone()).if_match("\"0\"")).await;
    assert_eq!(put.body["rules"].as_array().unwrap().len(), 2);
    contract.expect(412, "PUT", "/ip-access/policy", with(office).if_match("\"0\"")).await;

    let rules = with(json!({"text": "deny 198.51.100.0/24 # scanners"})).if_match(put.etag.unwrap());
    let added = contract.expect(201, "POST", "/ip-access/rules", rules).await;
    assert_eq!(added.body["rules"][2]["text"], "deny 198.51.100.0/24 # scanners");
    let wrong = contract
        .expect(400, "POST", "/ip-access/rules", with(json!({"text": "allow moon"})).if_match("*"))
        .await;
    assert!(wrong.body["detail"].as_str().unwrap().contains("line 1"), "{}", wrong.body);
    for setting in ["default allow", "default deny", "unknown country deny", "dry run"] {
        let rules = with(json!({"text": format!("deny 198.51.100.9\n{setting} # as well")})).if_match("*");
        let wrong = contract.expect(400, "POST", "/ip-access/rules", rules).await;
        let why = wrong.body["detail"].as_str().unwrap();
        assert!(why.contains("line 2") && why.contains(setting), "{why}");
    }
    let overlaps = contract.expect(200, "GET", "/ip-access/overlaps", plain()).await;
    assert_eq!(overlaps.body["items"], json!([{"kind": "redundant", "rule": 2, "other": 1}]));
    contract.expect(404, "DELETE", "/ip-access/rules/{rule=9}", plain().if_match("*")).await;
    let removed = contract.expect(200, "DELETE", "/ip-access/rules/{rule=2}", plain().if_match("*")).await;
    assert_eq!(removed.body["rules"].as_array().unwrap().len(), 2);

    let asked = json!({"address": "203.0.113.9", "user": "ann"});
    let why = contract.expect(200, "POST", "/ip-access/explanations", with(asked.clone())).await;
    assert_eq!(why.body["allowed"], false);
    contract.expect(400, "POST", "/ip-access/explanations", with(json!({"address": "moon"}))).await;
    let simulation = json!({"text": "allow 203.0.113.0/24", "requests": [asked.clone()]});
    let simulated = contract.expect(200, "POST", "/ip-access/simulations", with(simulation)).await;
    assert_eq!(
        (&simulated.body["items"][0]["allowed_now"], &simulated.body["items"][0]["allowed_then"]),
        (&json!(false), &json!(true))
    );

    let glass = with(json!({"user": "ann", "reason": "hotel network", "minutes": 60}));
    contract.expect(201, "POST", "/ip-access/break-glass", glass).await;
    let let_in = contract.expect(200, "POST", "/ip-access/explanations", with(asked)).await;
    assert_eq!(let_in.body["allowed"], true);
    contract
        .expect(
            400,
            "POST",
            "/ip-access/break-glass",
            with(json!({"user": "ann", "reason": "x", "minutes": 5000})),
        )
        .await;
    contract.expect(200, "DELETE", "/ip-access/break-glass/{user=ann}", plain()).await;
    let dry =
        contract.expect(200, "PUT", "/ip-access/dry-run", with(json!({"dry_run": true})).if_match("*")).await;
    assert_eq!(dry.body["dry_run"], true);

    // Another tenant has none of it.
    contract.scope = Some(scope("umbrella"));
    let theirs = contract.expect(200, "GET", "/ip-access/policy", plain()).await;
    assert_eq!(theirs.body["rules"], json!([]));
    contract.expect(404, "DELETE", "/ip-access/rules/{rule=1}", plain().if_match("*")).await;
    contract.finish().await;
}

#[tokio::test]
async fn a_rule_about_the_path_of_a_nested_api_locks_nobody_out() {
    let access = Arc::new(IpAccess::new(MemoryStore::new()));
    let api = Document::new("test", "1.0.0", Unguarded).with(api(access, TrustedProxies::none()));
    let router = axum::Router::new().nest("/admin", api.into_router().unwrap());
    let put = async |text: &str| {
        let body = json!({"text": text}).to_string();
        let mut request = http::Request::put("/admin/ip-access/policy")
            .header("content-type", "application/json")
            .header("if-match", "*")
            .body(axum::body::Body::from(body))
            .unwrap();
        request.extensions_mut().insert(scope("acme"));
        let peer: std::net::SocketAddr = "192.0.2.9:4000".parse().unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        router.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    assert_eq!(put("deny 192.0.2.0/24 for route /admin").await, 409);
    assert_eq!(put("deny 192.0.2.0/24 for route /ip-access").await, 200);
}

#[tokio::test]
async fn one_thing_that_is_wrong_never_makes_rules_about_addresses_fail() {
    let access = Arc::new(IpAccess::new(MemoryStore::new()));
    let mut contract = Contract::unguarded(api(access, TrustedProxies::none()));
    contract.peer = Some("192.0.2.9:4000".parse().unwrap());
    let office = json!({"text": "default deny\nallow 192.0.2.0/24 # office"});
    contract.expect(200, "PUT", "/ip-access/policy", with(office).if_match("\"0\"")).await;
    let sent = contract.mutants(&[("rule", "1"), ("user", "ann")]).await;
    assert!(sent > 300, "{sent}");
}

#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<Vec<Event>>>);

#[async_trait::async_trait]
impl EventSink for Heard {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        self.0.lock().unwrap().push(event);
        Ok(())
    }
}

/// A store in which somebody else is always faster.
#[derive(Debug)]
struct Raced;

#[async_trait::async_trait]
impl AccessStore for Raced {
    async fn load(&self, _: &Scope) -> Result<Option<(i64, Arc<Stored>)>, StoreError> {
        Ok(None)
    }

    async fn revision(&self, _: &Scope) -> Result<i64, StoreError> {
        Ok(7)
    }

    async fn save(&self, _: &Scope, _: i64, _: Arc<Stored>) -> Result<bool, StoreError> {
        Ok(false)
    }
}

#[tokio::test]
async fn a_race_of_overrides_is_a_conflict_for_nobody_said_what_they_had_seen() {
    let mut contract = Contract::unguarded(api(Arc::new(IpAccess::new(Raced)), TrustedProxies::none()));
    contract.peer = Some("192.0.2.9:4000".parse().unwrap());
    let glass = with(json!({"user": "ann", "reason": "hotel network", "minutes": 60}));
    contract.expect(409, "POST", "/ip-access/break-glass", glass).await;
    contract.expect(409, "DELETE", "/ip-access/break-glass/{user=ann}", plain()).await;
    // Whoever did say so hears that it is another revision.
    let office = with(json!({"text": "allow 192.0.2.0/24"}));
    contract.expect(412, "PUT", "/ip-access/policy", office.if_match("\"0\"")).await;
}

#[tokio::test]
async fn a_user_has_one_override_the_last_one() {
    let clock = ManualClock::at("2026-03-02T12:00:00Z".parse().unwrap());
    let access = Arc::new(IpAccess::new(MemoryStore::new()).with_clock(clock.clone()));
    let mut contract = Contract::unguarded(api(access, TrustedProxies::none()));
    let shut = with(json!({"text": "default deny", "confirm": true})).if_match("*");
    contract.expect(200, "PUT", "/ip-access/policy", shut).await;
    for minutes in [60, 1] {
        let glass = with(json!({"user": "ann", "reason": "hotel network", "minutes": minutes}));
        contract.expect(201, "POST", "/ip-access/break-glass", glass).await;
    }
    let ask = with(json!({"address": "203.0.113.9", "user": "ann"}));
    let now = contract.expect(200, "POST", "/ip-access/explanations", ask.clone()).await;
    assert_eq!(now.body["allowed"], true);
    clock.advance(Duration::from_secs(120));
    let then = contract.expect(200, "POST", "/ip-access/explanations", ask).await;
    assert_eq!(then.body["allowed"], false, "the longer one is replaced");
}

#[tokio::test]
async fn from_where_a_change_came_is_told_as_far_as_it_is_known() {
    let heard = Heard::default();
    let access = Arc::new(IpAccess::new(MemoryStore::new()).with_events(heard.clone()));
    let proxies = TrustedProxies::parse(ForwardHeader::XForwardedFor, ["10.0.0.0/8"]).unwrap();
    let mut contract = Contract::unguarded(api(access, proxies));
    let office = || with(json!({"text": "allow 192.0.2.0/24", "confirm": true})).if_match("*");
    // No peer, a proxy that names nobody, and a client.
    contract.expect(200, "PUT", "/ip-access/policy", office()).await;
    contract.peer = Some("10.0.0.1:4000".parse().unwrap());
    contract.expect(200, "PUT", "/ip-access/policy", office().header("x-forwarded-for", "unknown")).await;
    contract.expect(200, "PUT", "/ip-access/policy", office().header("x-forwarded-for", "192.0.2.7")).await;
    let from: Vec<Value> = heard.0.lock().unwrap().iter().map(|event| event.data["from"].clone()).collect();
    assert_eq!(from, [json!(null), json!("10.0.0.1"), json!("192.0.2.7")]);
}
