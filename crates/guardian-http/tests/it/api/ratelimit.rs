use std::sync::{Arc, Mutex};

use axum::body::Body;
use guardian_core::{MonoTime, StoreError, StoreErrorKind, TenantId};
use guardian_http::api::ratelimit::{Forgetful, RuleBook, api};
use guardian_http::api::{Document, Operator, OperatorCaller, Unguarded};
use guardian_ratelimit::store::{Call, Release, Store};
use guardian_ratelimit::{Decision, Limit, Limiter, Policy, PolicyName, Rule, Subject};
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;

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
    let nobody = "/platform/tenants/{tenant=a%20b}/rate-limits/{policy=per-org}";
    contract.expect(404, "PUT", nobody, with(json!({"rule": "1/min"})).because("no tenant at all")).await;
    // Several at once: when one does not do, none is changed.
    let many = "/platform/tenants/{tenant=acme}/rate-limits";
    let rules = |rules: Value| with(json!({ "rules": rules })).because("ticket 4712: a trade fair");
    for (wrong, status) in [
        (json!({"per-org": "1/min", "per-moon": "1/min"}), 400),
        (json!({"per-org": "1/min", "per-key": "often"}), 400),
        (json!({"per-org": "100/h sliding"}), 422),
        (json!({}), 400),
    ] {
        contract.expect(status, "PUT", many, rules(wrong)).await;
    }
    let listed = contract.expect(200, "PUT", many, rules(json!({"per-org": "600/min burst 100"}))).await;
    assert_eq!(listed.body["items"][0]["rule"], "600/min burst 100", "as it was");
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

/// A rule book that takes long over its first rule, and keeps nothing for a policy `b`.
#[derive(Debug, Clone, Default)]
struct Slow(Arc<Mutex<Vec<String>>>);

#[async_trait::async_trait]
impl RuleBook for Slow {
    async fn keep(
        &self,
        _: &OperatorCaller,
        _: &TenantId,
        rules: &[(&str, Option<Rule>)],
    ) -> Result<(), StoreError> {
        if rules.iter().any(|(policy, _)| *policy == "b") {
            return Err(down());
        }
        let is_first = {
            let mut kept = self.0.lock().unwrap();
            kept.push(rules[0].1.map_or_else(String::new, |rule| rule.to_string()));
            kept.len() == 1
        };
        for _ in 0..if is_first { 100 } else { 0 } {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn note_reset(&self, _: &OperatorCaller, _: &TenantId, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

#[tokio::test]
async fn two_changes_at_once_end_with_the_rule_that_is_kept() {
    let limiter = Limiter::in_memory();
    let per_org = limiter.define(Policy::new("per-org", "120/min burst 40").unwrap()).unwrap();
    let book = Slow::default();
    let router = Document::new("test", "1.0.0", Unguarded)
        .with(api(limiter.clone(), book.clone()))
        .into_router()
        .unwrap();
    let put = |rule: &str| {
        let request = Request::put("/platform/tenants/acme/rate-limits/per-org")
            .header("content-type", "application/json")
            .header("guardian-reason", "two at the same time")
            .extension(Operator(scope("operator")))
            .body(Body::from(json!({"rule": rule}).to_string()));
        router.clone().oneshot(request.unwrap())
    };
    let (one, other) = tokio::join!(put("600/min burst 100"), put("60/min burst 10"));
    assert!(one.unwrap().status().is_success() && other.unwrap().status().is_success());
    let holds = limiter.effective_rule(per_org, scope("acme").tenant(), Subject::Whole).unwrap();
    assert_eq!(Some(&holds.to_string()), book.0.lock().unwrap().last());
}

#[tokio::test]
async fn several_rules_are_changed_all_or_none() {
    let limiter = Limiter::in_memory();
    let ids = ["a", "b"].map(|name| limiter.define(Policy::new(name, "120/min burst 40").unwrap()).unwrap());
    let mut contract = Contract::unguarded(api(limiter.clone(), Slow::default()));
    let place = "/platform/tenants/{tenant=acme}/rate-limits";
    let put = |rules: Value| with(json!({ "rules": rules })).because("ticket 4711: a larger plan");
    let rules_now = || {
        ids.map(|id| limiter.effective_rule(id, scope("acme").tenant(), Subject::Whole).unwrap().to_string())
    };
    let before = rules_now();
    contract
        .expect(503, "PUT", place, put(json!({"a": "600/min burst 100", "b": "600/min burst 100"})))
        .await;
    assert_eq!(rules_now(), before, "the book keeps all or none, and so does the limiter");
    let other = json!({"a": "600/min burst 100", "b": "5 concurrent for 30s"});
    contract.expect(422, "PUT", place, put(other)).await;
    assert_eq!(rules_now(), before, "nothing of it when one is of another algorithm");
    contract.expect(200, "PUT", place, put(json!({"a": "600/min burst 100"}))).await;
    assert_eq!(rules_now()[0], "600/min burst 100");
    assert_eq!(rules_now()[1], before[1]);
}

/// Counters that cannot be reached.
#[derive(Debug)]
struct Down;

fn down() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "test")
}

impl Store for Down {
    fn register(&self, _: &PolicyName) -> u32 {
        0
    }

    async fn check(&self, _: &Call<'_>) -> Result<Decision, StoreError> {
        Err(down())
    }

    async fn peek(&self, _: &Call<'_>) -> Result<Decision, StoreError> {
        Err(down())
    }

    async fn refund(&self, _: &Call<'_>, _: MonoTime) -> Result<(), StoreError> {
        Err(down())
    }

    async fn reset(&self, _: &Call<'_>) -> Result<(), StoreError> {
        Err(down())
    }

    async fn release(&self, _: &Release) -> Result<(), StoreError> {
        Err(down())
    }

    fn release_detached(&self, _: Release) {}
}

#[tokio::test]
async fn a_change_that_is_made_is_no_failure_for_counters_that_are_down() {
    let limiter = Limiter::new(Down);
    limiter.define(Policy::new("per-org", "120/min burst 40").unwrap()).unwrap();
    let mut contract = Contract::unguarded(api(limiter, Forgetful));
    let place = "/platform/tenants/{tenant=acme}/rate-limits/{policy=per-org}";
    let new = with(json!({"rule": "600/min burst 100"})).because("ticket 4711: a larger plan");
    let changed = contract.expect(200, "PUT", place, new).await;
    assert_eq!(
        (&changed.body["rule"], &changed.body["remaining"]),
        (&json!("600/min burst 100"), &Value::Null)
    );
    contract.expect(503, "GET", "/rate-limits/{policy=per-org}", plain()).await;
}
