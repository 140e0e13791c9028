use guardian_http::api::ratelimit::{Forgetful, api};
use guardian_ratelimit::{Limit, Limiter, Policy};
use serde_json::json;

use super::contract::{Contract, plain, scope, with};

#[tokio::test]
async fn the_api_of_rate_limits_keeps_its_word() {
    let limiter = Limiter::in_memory();
    let per_org = limiter.define(Policy::new("per-org", "120/min burst 40").unwrap()).unwrap();
    limiter.define(Policy::new("window", "100/h sliding").unwrap().dry_run()).unwrap();
    let mut contract = Contract::unguarded(api(limiter.clone(), Forgetful));

    let listed = contract.expect(200, "GET", "/rate-limits", plain()).await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 2);
    assert!(limiter.check(&scope("acme"), &[Limit::whole(per_org)]).await.unwrap().is_allowed());
    let read = contract.expect(200, "GET", "/rate-limits/{policy=per-org}", plain()).await;
    assert_eq!((&read.body["limit"], &read.body["remaining"]), (&json!(40), &json!(39)));
    contract.expect(404, "GET", "/rate-limits/{policy=per-moon}", plain()).await;

    let place = "/platform/tenants/{tenant=acme}/rate-limits/{policy=per-org}";
    let new = with(json!({"rule": "600/min burst 100"}));
    contract.expect(400, "PUT", place, new.clone()).await;
    let changed = contract.expect(200, "PUT", place, new.because("ticket 4711: a larger plan")).await;
    assert_eq!(changed.body["rule"], "600/min burst 100");
    assert_eq!(changed.body["remaining"], 99, "what was used stays used");
    let other = with(json!({"rule": "100/h sliding"})).because("another algorithm");
    contract.expect(422, "PUT", place, other).await;
    let wrong =
        contract.expect(400, "PUT", place, with(json!({"rule": "often"})).because("no rule at all")).await;
    assert!(wrong.body["detail"].as_str().unwrap().contains("`often`"));
    // Nobody else's limit has changed.
    contract.scope = Some(scope("umbrella"));
    let theirs = contract.expect(200, "GET", "/rate-limits/{policy=per-org}", plain()).await;
    assert_eq!((&theirs.body["limit"], &theirs.body["remaining"]), (&json!(40), &json!(40)));
    let listed = contract.expect(200, "GET", "/platform/tenants/{tenant=acme}/rate-limits", plain()).await;
    assert_eq!(listed.body["items"][0]["limit"], 100);

    contract.expect(204, "POST", &format!("{place}/reset"), plain().because("an incident of ours")).await;
    let back = contract.expect(200, "DELETE", place, plain().because("the plan has ended")).await;
    assert_eq!((&back.body["limit"], &back.body["remaining"]), (&json!(40), &json!(40)));
    contract.finish().await;
}

#[tokio::test]
async fn one_thing_that_is_wrong_never_makes_rate_limits_fail() {
    let limiter = Limiter::in_memory();
    limiter.define(Policy::new("per-org", "120/min burst 40").unwrap()).unwrap();
    let mut contract = Contract::unguarded(api(limiter, Forgetful));
    let sent = contract.mutants(&[("tenant", "acme"), ("policy", "per-org")]).await;
    assert!(sent > 150, "{sent}");
}
