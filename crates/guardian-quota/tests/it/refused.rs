//! What is refused, and that the error says what to do.

use std::error::Error as _;
use std::time::Duration;

use guardian_quota::testkit::{plan, quotas, scope};
use guardian_quota::{
    Aggregation, Cadence, Cycle, Error, Feature, FeatureName, Level, Limit, MemoryStore, Meter, Plan,
    PlanName, Quotas, Rollover, Subject, Subscription, Usage,
};

fn refused(text: &str) -> String {
    Plan::parse(text).unwrap_err().to_string()
}

/// A plan whose meter has this limit of the organisation.
fn limit(text: &str) -> String {
    refused(&format!(
        r#"{{"name": "pro", "features": {{"tokens": {{"metered": {{
            "unit": "token", "aggregation": "sum", "limits": {{"org": {text}}}}}}}}}}}"#
    ))
}

#[test]
fn a_key_of_a_plan_is_there_once() {
    let meter = r#"{"metered": {"unit": "t", "aggregation": "sum"}}"#;
    for (text, key) in [
        (
            r#"{"name": "p", "features": {"sso": {"boolean": true}, "sso": {"boolean": false}}}"#.to_owned(),
            "sso",
        ),
        (format!(r#"{{"name": "p", "features": {{"t": {meter}, "t": {meter}}}}}"#), "t"),
        (
            r#"{"name": "p", "features": {"t": {"metered": {"unit": "t", "aggregation": "sum", "limits": {
                "org": {"amount": 5}, "user": {"amount": 1}, "org": {"amount": 500}}}}}}"#
                .to_owned(),
            "org",
        ),
        (r#"{"name": "p", "features": {"m": {"static": {"deep": [{"x": 1, "x": 2}]}}}}"#.to_owned(), "x"),
    ] {
        let error = refused(&text);
        assert!(error.contains(&format!("`{key}` is there twice at line")), "{error}");
    }
    let twice = r#"{"name": "p", "features": {"sso": {"boolean": true, "static": 1}}}"#;
    assert!(refused(twice).contains("`{\"boolean\": …}`"), "{}", refused(twice));
}

#[test]
fn settings_are_what_was_written() {
    let value = r#"{"a": [1, -2, 2.5, "x", null, true, {}], "b": {"c": 18446744073709551615}}"#;
    let plan =
        Plan::parse(&format!(r#"{{"name": "p", "features": {{"s": {{"static": {value}}}}}}}"#)).unwrap();
    let expected: serde_json::Value = serde_json::from_str(value).unwrap();
    assert_eq!(plan.features["s"], Feature::Static(expected));
    let again = serde_json::to_string(&plan).unwrap();
    assert_eq!(Plan::parse(&again).unwrap(), plan);
}

#[test]
fn two_plans_of_one_name_are_refused() {
    let error = Quotas::in_memory([plan("small").unwrap(), plan("large").unwrap(), plan("small").unwrap()])
        .unwrap_err()
        .to_string();
    assert_eq!(error, "invalid catalog: there are two plans `small`");
}

#[test]
fn a_faulty_plan_says_what_to_write() {
    let error = refused("{\"name\": \"pro\", \"features\": {\n  \"sso\": true\n}}");
    assert_eq!(
        error,
        "invalid feature of `sso` of `pro`: it is an object such as `{\"boolean\": …}`, `{\"static\": …}` or \
         `{\"metered\": …}`, and not true or false"
    );
    assert!(refused("name: pro").starts_with("invalid plan: it is not JSON: "), "{}", refused("name: pro"));
    for (text, expected) in [
        (r#"["pro", {}]"#, "invalid plan: it is an object such as"),
        (r#"{"name": "pro", "features": []}"#, "invalid features of `pro`: it is an object such as"),
        (
            r#"{"name": "pro", "features": {"t": {"metered": ["t", "sum"]}}}"#,
            "invalid meter of `t` of `pro`: it is an object such as",
        ),
        (
            r#"{"name": "pro", "features": {"t": {"metered": {"unit": "t", "aggregation": "often"}}}}"#,
            "invalid feature of `t` of `pro`: unknown variant `often`",
        ),
    ] {
        assert!(refused(text).starts_with(expected), "{}", refused(text));
    }
    for wrong in ["1000", "[1000]"] {
        let error = limit(wrong);
        assert!(
            error.starts_with(
                "invalid limit of `org` of `tokens` of `pro`: it is an object such as `{\"amount\": 1000}`"
            ),
            "{error}"
        );
    }
    let error = limit(r#"{"amount": 5, "at_limit": "overage"}"#);
    assert!(error.contains("overage needs a price: `{\"overage\": {\"price\": …}}`"), "{error}");
    let error = limit(r#"{"amount": 5, "at_limit": "grace"}"#);
    assert!(error.contains("`{\"grace\": {\"extra\": …, \"seconds\": …}}`"), "{error}");
    // What nobody reads is no way to say it.
    assert!(limit(r#"{"amount": 5, "at_limit": {"grace": {"extra": 5, "hours": 3}}}"#).contains("`hours`"));
    assert!(limit(r#"{"amount": 5, "at_limit": "harsh"}"#).contains("`harsh`"));
    assert_eq!(
        limit(r#"{"amount": 5, "period": "lifetime", "rollover": {"most": 1, "periods": 1}}"#),
        "invalid limit of `org` of `tokens` of `pro`: a rollover needs periods that follow each other, not `lifetime`"
    );
    let rolled = Limit::hard(5, Cadence::Rolling(60)).with_rollover(Rollover { most: 1, periods: 1 });
    let meter = Meter::new("t", Aggregation::Sum).with_limit(Level::Org, rolled);
    let feature = Feature::Metered(meter);
    let plan = Plan::new(PlanName::new("p").unwrap()).with_feature(FeatureName::new("t").unwrap(), feature);
    assert!(plan.check().unwrap_err().to_string().ends_with("not `rolling`"));
}

#[test]
fn an_unknown_zone_is_named() {
    let expected = "there is no time zone `Europe/Wien`: write an IANA name such as `Europe/Vienna`";
    let anchor = "2026-01-01T00:00:00Z".parse().unwrap();
    let subscription = Subscription::new(PlanName::new("p").unwrap(), anchor);
    assert_eq!(subscription.with_zone("Europe/Wien").unwrap_err().to_string(), expected);
    assert_eq!(Cycle::new(Cadence::Day, anchor, "Europe/Wien").unwrap_err().to_string(), expected);
    let text = r#"{"plan": "p", "anchor": "2026-01-01T00:00:00Z", "zone": "Europe/Wien"}"#;
    assert!(serde_json::from_str::<Subscription>(text).unwrap_err().to_string().starts_with(expected));
}

#[tokio::test]
async fn a_tenant_subscribes_once() {
    let (quotas, _, scope) = quotas(MemoryStore::new(), "acme").await.unwrap();
    let anchor = "2026-01-01T00:00:00Z".parse().unwrap();
    let error = quotas
        .subscribe(&scope, Subscription::new(PlanName::new("large").unwrap(), anchor))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::AlreadySubscribed(_)) && error.source().is_none());
    assert_eq!(error.to_string(), "the tenant `acme` has a subscription already: use `change_plan`");
    assert_eq!(quotas.subscription(&scope).await.unwrap().unwrap().plan().as_str(), "small");
}

#[tokio::test]
async fn a_plan_that_the_process_lacks_is_named() {
    let quotas = Quotas::in_memory([plan("team").unwrap()]).unwrap();
    let anchor = "2026-01-01T00:00:00Z".parse().unwrap();
    let scope = scope("acme").unwrap();
    let subscription = Subscription::new(PlanName::new("taem").unwrap(), anchor);
    let error = quotas.subscribe(&scope, subscription).await.unwrap_err();
    assert_eq!(error.to_string(), "this process has no plan `taem`: pass it to `Quotas::new` or `define` it");
}

#[tokio::test]
async fn a_closed_hold_says_how() {
    let (quotas, _, scope) = quotas(MemoryStore::new(), "acme").await.unwrap();
    let usage = Usage::of("calls", &Subject::org(), 5).unwrap();
    let minute = Duration::from_secs(60);
    let hold = quotas.reserve(&scope, &usage, minute).await.unwrap().hold.unwrap();
    drop(quotas.commit(&scope, &hold, 1).await.unwrap());
    let error = quotas.commit(&scope, &hold, 2).await.unwrap_err().to_string();
    assert_eq!(error, format!("the hold `{}` was committed with 1 before", hold.id));
    let hold = quotas.reserve(&scope, &usage, minute).await.unwrap().hold.unwrap();
    quotas.release(&scope, &hold).await.unwrap();
    let error = quotas.commit(&scope, &hold, 2).await.unwrap_err().to_string();
    assert_eq!(error, format!("the hold `{}` was released before", hold.id));
}

/// The guide's recipe for seats: the organisation has some, and a user takes one.
#[tokio::test]
async fn a_seat_that_nobody_took_is_not_given_back() {
    let seats = |users: &str| {
        Plan::parse(&format!(
            r#"{{"name": "p", "features": {{"seats": {{"metered": {{"unit": "seat", "aggregation": "count", "limits": {{
                {users} "org": {{"amount": 25, "period": "lifetime"}}}}}}}}}}}}"#
        ))
        .unwrap()
    };
    let scope = scope("acme").unwrap();
    let (ann, bob) = (Subject::org().user("ann").unwrap(), Subject::org().user("bob").unwrap());
    let seat = |who: &Subject| Usage::of("seats", who, 1).unwrap();
    for (users, guarded) in [(r#""user": {"amount": 1, "period": "lifetime"},"#, true), ("", false)] {
        let quotas = Quotas::in_memory([seats(users)]).unwrap();
        let anchor = "2026-01-01T00:00:00Z".parse().unwrap();
        quotas.subscribe(&scope, Subscription::new(PlanName::new("p").unwrap(), anchor)).await.unwrap();
        assert!(quotas.consume(&scope, &seat(&ann)).await.unwrap().allowed);
        assert_eq!(quotas.consume(&scope, &seat(&ann)).await.unwrap().is_denied(), guarded);
        let given = quotas.give_back(&scope, &seat(&bob)).await;
        if guarded {
            assert_eq!(
                given.unwrap_err().to_string(),
                "the correction is out of range: at most 0, which were used in the period by `user:bob`"
            );
        } else {
            // Nobody keeps a count of users: it is the organisation's.
            given.unwrap();
        }
        assert_eq!(quotas.balance(&scope, "seats", &Subject::org()).await.unwrap().used, 1);
        quotas.give_back(&scope, &seat(&ann)).await.unwrap();
        let error = quotas.give_back(&scope, &seat(&ann)).await.unwrap_err().to_string();
        assert!(error.contains("at most 0, which were used in the period by `org`"), "{error}");
    }
}
