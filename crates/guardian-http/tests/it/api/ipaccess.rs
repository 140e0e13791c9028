use std::sync::Arc;

use guardian_http::TrustedProxies;
use guardian_http::api::ipaccess::api;
use guardian_ipaccess::{IpAccess, MemoryStore};
use serde_json::json;

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
async fn one_thing_that_is_wrong_never_makes_rules_about_addresses_fail() {
    let access = Arc::new(IpAccess::new(MemoryStore::new()));
    let mut contract = Contract::unguarded(api(access, TrustedProxies::none()));
    contract.peer = Some("192.0.2.9:4000".parse().unwrap());
    let office = json!({"text": "default deny\nallow 192.0.2.0/24 # office"});
    contract.expect(200, "PUT", "/ip-access/policy", with(office).if_match("\"0\"")).await;
    let sent = contract.mutants(&[("rule", "1"), ("user", "ann")]).await;
    assert!(sent > 300, "{sent}");
}
