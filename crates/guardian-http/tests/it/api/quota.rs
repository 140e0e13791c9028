use guardian_core::{Clock as _, ManualClock, Timestamp};
use guardian_http::api::quota::api;
use guardian_http::api::{Document, Unguarded};
use guardian_quota::{Plan, PlanName, Quotas, Subject, Subscription, Usage};
use serde_json::{Value, json};

use super::contract::{Contract, plain, scope, with};

const PRO: &str = r#"{"name": "pro", "features": {
    "sso": {"boolean": true},
    "region": {"static": {"name": "eu"}},
    "seats": {"metered": {"unit": "seat", "aggregation": "unique", "limits": {"org": {"amount": 5}}}},
    "tokens": {"metered": {"unit": "token", "aggregation": "sum", "billed": true, "limits": {
        "org": {"amount": 1000, "at_limit": {"overage": {"price": {"currency": "usd", "micros": 1000000, "per": 10}, "cap": 1000}},
            "thresholds": [80, 100], "rollover": {"most": 100, "periods": 1}},
        "user": {"amount": 50, "period": "day", "at_limit": {"grace": {"extra": 5}}}
    }}},
    "bytes": {"metered": {"unit": "byte", "aggregation": "latest", "limits": {"org": {"amount": 100, "period": "lifetime"}}}},
    "calls": {"metered": {"unit": "call", "aggregation": "count", "limits": {"org": {"amount": 9, "period": {"rolling": 3600}}}}}
}}"#;

const BASIC: &str = r#"{"name": "basic", "features": {
    "tokens": {"metered": {"unit": "token", "aggregation": "sum", "limits": {"org": {"amount": 10}, "user": {"amount": 10}}}}
}}"#;

const SUBSCRIPTION: &str = "/platform/tenants/{tenant=acme}/quotas/subscription";
const WHY: &str = "ticket 4711: a larger plan";

/// The API at noon of 2 March 2026; acme has the plan `pro`.
async fn quotas() -> (Contract, ManualClock) {
    let clock = ManualClock::at("2026-03-02T12:00:00Z".parse().unwrap());
    let plans = [PRO, BASIC].map(|plan| Plan::parse(plan).unwrap());
    let quotas = Quotas::in_memory(plans).unwrap().with_clock(clock.clone()).unwrap();
    let mut contract = Contract::unguarded(api(quotas));
    let new = json!({"plan": "pro", "anchor": "2026-01-31T00:00:00Z", "zone": "Europe/Vienna"});
    let made = contract.expect(201, "POST", SUBSCRIPTION, with(new).because(WHY)).await;
    assert_eq!(made.etag.as_deref(), Some("\"1\""));
    (contract, clock)
}

fn tokens(rest: &str) -> String {
    format!("/quotas/features/{{feature=tokens}}/{rest}")
}

fn platform(rest: &str) -> String {
    format!("/platform/tenants/{{tenant=acme}}/quotas/{rest}")
}

fn ann(amount: u64) -> super::contract::Sent {
    with(json!({"subject": "user:ann", "amount": amount}))
}

#[tokio::test]
async fn the_api_of_quotas_keeps_its_word() {
    let (mut contract, _) = quotas().await;
    plans_and_features(&mut contract).await;
    spending(&mut contract).await;
    holds(&mut contract).await;
    ledger_and_analytics(&mut contract).await;
    operators(&mut contract).await;
    contract.finish().await;
}

async fn plans_and_features(contract: &mut Contract) {
    let plans = contract.expect(200, "GET", "/platform/plans", plain()).await;
    assert_eq!(plans.body["items"].as_array().unwrap().len(), 2);
    contract.expect(200, "GET", "/platform/plans/{plan=pro}", plain()).await;
    contract.expect(404, "GET", "/platform/plans/{plan=moon}", plain()).await;
    let read = contract.expect(200, "GET", "/quotas/subscription", plain()).await;
    assert_eq!((&read.body["plan"], &read.body["zone"]), (&json!("pro"), &json!("Europe/Vienna")));
    contract.expect(304, "GET", "/quotas/subscription", plain().header("if-none-match", "\"1\"")).await;
    let plan = contract.expect(200, "GET", "/quotas/plan", plain()).await;
    let listed = contract.expect(200, "GET", "/quotas/features", plain()).await;
    assert_eq!(plan.body["features"], listed.body["items"]);
    let one = |name: &str| format!("/quotas/features/{{feature={name}}}");
    let sso = contract.expect(200, "GET", &one("sso"), plain()).await;
    assert_eq!((&sso.body["kind"], &sso.body["available"]), (&json!("boolean"), &json!(true)));
    let region = contract.expect(200, "GET", &one("region"), plain()).await;
    assert_eq!(region.body["setting"], json!({"name": "eu"}));
    let meter = contract.expect(200, "GET", &one("tokens"), plain()).await;
    let price = &meter.body["meter"]["limits"]["org"]["at_limit"]["overage"]["price"];
    assert_eq!(price["currency"], "usd", "{meter:?}");
    let rolling = contract.expect(200, "GET", &one("calls"), plain()).await;
    assert_eq!(rolling.body["meter"]["limits"]["org"]["period"], json!({"rolling": 3600}));
    contract.expect(404, "GET", &one("moon"), plain()).await;
}

async fn spending(contract: &mut Contract) {
    let check = contract.expect(200, "POST", &tokens("check"), ann(50)).await;
    assert_eq!((&check.body["allowed"], &check.body["level"]), (&json!(true), &json!("user")));
    let keyed = ann(40).header("idempotency-key", "req-1");
    let spent = contract.expect(200, "POST", &tokens("consume"), keyed.clone()).await;
    assert_eq!((&spent.body["used"], &spent.body["replayed"]), (&json!(40), &json!(false)));
    let again = contract.expect(200, "POST", &tokens("consume"), keyed).await;
    assert_eq!((&again.body["used"], &again.body["replayed"]), (&json!(40), &json!(true)));
    // In double quotes it is the same key, and another use under it a conflict.
    let other = ann(41).header("idempotency-key", "\"req-1\"");
    contract.expect(409, "POST", &tokens("consume"), other).await;
    contract.expect(400, "POST", &tokens("consume"), ann(1).header("idempotency-key", "a b")).await;
    contract.expect(400, "POST", &tokens("consume"), ann(1).header("idempotency-key", "close:1")).await;
    let denied = contract.expect(200, "POST", &tokens("consume"), ann(100)).await;
    assert_eq!((&denied.body["allowed"], &denied.body["entry"]), (&json!(false), &Value::Null));
    contract.expect(400, "POST", &tokens("consume"), ann(u64::MAX)).await;
    contract.expect(400, "POST", &tokens("consume"), with(json!({"subject": "ann", "amount": 1}))).await;
    contract.expect(422, "POST", &tokens("consume"), with(json!({"amount": 1, "value": "x"}))).await;
    let seats = "/quotas/features/{feature=seats}/consume";
    contract.expect(200, "POST", seats, with(json!({"amount": 1, "value": "ann"}))).await;
    contract.expect(422, "POST", seats, with(json!({"amount": 1}))).await;
    contract.expect(422, "POST", "/quotas/features/{feature=sso}/consume", ann(1)).await;
    contract.expect(404, "POST", "/quotas/features/{feature=moon}/consume", ann(1)).await;

    // What is given back is not paid for: an operator does so, and says why.
    let give_back = platform("features/{feature=tokens}/give-back");
    contract.expect(400, "POST", &give_back, ann(10)).await;
    let keyed = ann(10).because(WHY).header("idempotency-key", "back-1");
    let back = contract.expect(200, "POST", &give_back, keyed.clone()).await;
    assert!(back.body["entry"].is_u64());
    assert_eq!(contract.expect(200, "POST", &give_back, keyed).await.body["replayed"], true);
    let entries = contract.expect(200, "GET", &tokens("entries?size=1000"), plain()).await;
    let last = entries.body["items"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["note"], &last["key"]), (&json!(WHY), &json!("client:back-1")));
    let more = contract.expect(422, "POST", &give_back, ann(31).because(WHY)).await;
    assert!(more.body["detail"].as_str().unwrap().contains("at most 30"), "{more:?}");
    let bytes = platform("features/{feature=bytes}/give-back");
    contract.expect(422, "POST", &bytes, ann(1).because(WHY)).await;
    let late = json!({"subject": "user:bob", "amount": 7, "at": "2026-03-01T09:00:00Z"});
    contract.expect(200, "POST", &tokens("record"), with(late)).await;
    for at in ["2026-03-02T13:00:00Z", "+20000-01-01T00:00:00Z"] {
        let future = json!({"subject": "user:bob", "amount": 7, "at": at});
        contract.expect(400, "POST", &tokens("record"), with(future)).await;
    }
}

async fn holds(contract: &mut Contract) {
    let wanted = |amount: u64| with(json!({"subject": "user:cat", "amount": amount, "seconds": 60}));
    let denied = contract.expect(200, "POST", &tokens("holds"), wanted(100)).await;
    assert_eq!((&denied.body["allowed"], &denied.body["hold"]), (&json!(false), &Value::Null));
    contract.expect(400, "POST", &tokens("holds"), wanted(0)).await;
    let forever = with(json!({"amount": 1, "seconds": u64::MAX}));
    contract.expect(400, "POST", &tokens("holds"), forever).await;
    let held = contract.expect(201, "POST", &tokens("holds"), wanted(30)).await;
    let hold = &held.body["hold"];
    let at = |what: &str| tokens(&format!("holds/{{hold={}}}/{what}", hold["id"].as_str().unwrap()));
    let longer = with(json!({"subject": "user:cat", "seconds": 120}));
    let extended = contract.expect(200, "POST", &at("extend"), longer.clone()).await;
    assert_eq!(extended.body["expires"], "2026-03-02T12:02:00Z");
    let commit =
        |amount: u64| with(json!({"subject": "user:cat", "expires": hold["expires"], "amount": amount}));
    let release = with(json!({"subject": "user:cat", "expires": hold["expires"]}));

    // To another tenant the hold is like none.
    contract.scope = Some(scope("umbrella"));
    let theirs = "/platform/tenants/{tenant=umbrella}/quotas/subscription";
    contract.expect(404, "POST", &at("commit"), commit(20)).await;
    contract.expect(404, "GET", "/quotas/subscription", plain()).await;
    contract.expect(404, "GET", "/quotas/balances", plain()).await;
    contract.expect(201, "POST", theirs, with(json!({"plan": "pro"})).because(WHY)).await;
    let unknown = at("x").replace(hold["id"].as_str().unwrap(), "019531a0-7c00-7000-8000-00000000000f");
    for (what, sent) in [("commit", commit(20)), ("extend", longer), ("release", release.clone())] {
        let other = contract.expect(404, "POST", &at(what), sent.clone()).await;
        let none = contract.expect(404, "POST", &unknown.replace("/x", &format!("/{what}")), sent).await;
        assert_eq!((&other.body["type"], &other.body["title"]), (&none.body["type"], &none.body["title"]));
    }
    let empty = contract.expect(200, "GET", &tokens("entries"), plain()).await;
    assert_eq!(empty.body["items"], json!([]));
    contract.scope = Some(scope("acme"));

    let spent = contract.expect(200, "POST", &at("commit"), commit(20)).await;
    assert_eq!(spent.body["used"], 20);
    let again = contract.expect(200, "POST", &at("commit"), commit(20)).await;
    assert_eq!(again.body["replayed"], true);
    contract.expect(409, "POST", &at("commit"), commit(21)).await;
    contract.expect(409, "POST", &at("release"), release).await;
    let other = contract.expect(201, "POST", &tokens("holds"), wanted(5)).await;
    let other = &other.body["hold"];
    let place = tokens(&format!("holds/{{hold={}}}/release", other["id"].as_str().unwrap()));
    let release = with(json!({"subject": "user:cat", "expires": other["expires"]}));
    contract.expect(204, "POST", &place, release).await;
}

async fn ledger_and_analytics(contract: &mut Contract) {
    let whole = contract.expect(200, "GET", &tokens("entries"), plain()).await;
    let whole = whole.body["items"].as_array().unwrap().clone();
    let (mut paged, mut next) = (Vec::new(), String::new());
    loop {
        let page = contract.expect(200, "GET", &tokens(&format!("entries?size=2{next}")), plain()).await;
        paged.extend(page.body["items"].as_array().unwrap().clone());
        match page.body["next"].as_str() {
            Some(cursor) => next = format!("&after={cursor}"),
            None => break,
        }
    }
    assert_eq!(paged, whole);
    assert_eq!(whole[0]["key"], "client:req-1");
    contract.expect(400, "GET", &tokens("entries?after=00"), plain()).await;
    contract.expect(200, "GET", &tokens("entries?after=ffffffffffffffff"), plain()).await;
    let all = contract.expect(200, "GET", "/quotas/balances?subject=user:ann", plain()).await;
    assert_eq!(all.body["items"].as_array().unwrap().len(), 4);
    let one = contract.expect(200, "GET", &tokens("balance?subject=user:ann"), plain()).await;
    assert_eq!((&one.body["used"], &one.body["limit"]), (&json!(30), &json!(50)));
    let life = contract.expect(200, "GET", "/quotas/features/{feature=bytes}/balance", plain()).await;
    assert_eq!((&life.body["period_start"], &life.body["period_end"]), (&Value::Null, &Value::Null));
    contract.expect(400, "GET", &tokens("balance?subject=x"), plain()).await;
    contract.expect(400, "GET", &tokens("balance?whose=org"), plain()).await;
    let span = "since=2026-03-01T00:00:00Z&until=2026-03-03T00:00:00Z";
    let days = contract.expect(200, "GET", &tokens(&format!("usage?{span}")), plain()).await;
    // The zone is an hour before UTC: the last hour of 2 March is of the 3rd.
    let amounts: Vec<_> =
        days.body["items"].as_array().unwrap().iter().map(|day| day["amount"].clone()).collect();
    assert_eq!(amounts, [7, 50, 0]);
    contract.expect(200, "GET", &tokens("usage?step=month&subject=user:ann"), plain()).await;
    for wrong in [
        "step=hour",
        "since=2026-03-03T00:00:00Z&until=2026-03-01T00:00:00Z",
        "since=soon",
        "since=0001-01-01T00:00:00Z&until=9999-01-01T00:00:00Z",
        "until=%2B99999-01-01T00:00:00Z",
    ] {
        contract.expect(400, "GET", &tokens(&format!("usage?{wrong}")), plain()).await;
    }
    let top = contract.expect(200, "GET", &tokens(&format!("top?level=user&size=2&{span}")), plain()).await;
    assert_eq!(
        top.body["items"],
        json!([
            {"subject": "user:ann", "amount": 30}, {"subject": "user:cat", "amount": 20},
        ])
    );
    contract.expect(400, "GET", &tokens("top?size=0"), plain()).await;
    let forecast = contract.expect(200, "GET", &tokens("forecast"), plain()).await;
    assert_eq!(forecast.body["available"], false, "there are no three days to go by");
    let invoice = contract.expect(200, "GET", "/quotas/invoice", plain()).await;
    assert_eq!(invoice.body["items"][0]["used"], 57);
    contract.expect(200, "GET", &tokens("grants"), plain()).await;
    contract.expect(200, "GET", "/quotas/limits", plain()).await;
}

async fn operators(contract: &mut Contract) {
    let why = |sent: super::contract::Sent| sent.because(WHY);
    contract.expect(409, "POST", SUBSCRIPTION, why(with(json!({"plan": "pro"})))).await;
    contract.expect(422, "POST", SUBSCRIPTION, why(with(json!({"plan": "moon"})))).await;
    contract.expect(400, "POST", SUBSCRIPTION, why(with(json!({"plan": "pro", "zone": "Moon/Sea"})))).await;
    contract.expect(400, "POST", SUBSCRIPTION, with(json!({"plan": "pro"})).because("short")).await;
    // Limits of several subjects, all or none.
    let many = platform("limits");
    let own = |subject: &str, feature: &str| json!({"feature": feature, "subject": subject, "limit": {"amount": 7}});
    let limits = |all: Vec<Value>| why(with(json!({ "limits": all })));
    let one_is_wrong = limits(vec![own("user:dan", "tokens"), own("user:eve", "moons")]);
    contract.expect(404, "PUT", &many, one_is_wrong.if_match("*")).await;
    contract.expect(400, "PUT", &many, limits(vec![]).if_match("*")).await;
    contract.expect(428, "PUT", &many, limits(vec![own("user:dan", "tokens")])).await;
    let read = contract.expect(200, "GET", SUBSCRIPTION, plain()).await;
    let tag = read.etag.unwrap();
    let both = limits(vec![own("user:dan", "tokens"), own("user:eve", "tokens")]);
    contract.expect(200, "PUT", &many, both.clone().if_match(tag.clone())).await;
    contract.expect(412, "PUT", &many, both.if_match(tag)).await;
    let listed = contract.expect(200, "GET", "/quotas/limits", plain()).await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 2, "{}", listed.body);
    let away = |subject: &str| json!({"feature": "tokens", "subject": subject, "limit": null});
    contract.expect(200, "PUT", &many, limits(vec![away("user:dan"), away("user:eve")]).if_match("*")).await;
    let read = contract.expect(200, "GET", SUBSCRIPTION, plain()).await;
    let tag = read.etag.unwrap();
    // A limit of one subject.
    let limit = platform("features/{feature=tokens}/limit?subject=user:ann");
    let new = why(with(json!({"amount": 500, "period": "day", "at_limit": "soft"})));
    contract.expect(428, "PUT", &limit, new.clone()).await;
    let put = contract.expect(200, "PUT", &limit, new.clone().if_match(tag.clone())).await;
    assert_eq!(put.etag.as_deref(), Some("\"4\""));
    contract.expect(412, "PUT", &limit, new.clone().if_match(tag.clone())).await;
    for wrong in [
        json!({"amount": 1, "period": {"rolling": 5}}),
        json!({"amount": 1, "period": {"custom": ["soon"]}}),
        json!({"amount": 1, "period": "fortnight"}),
        json!({"amount": 1, "thresholds": [90, 80]}),
        json!({"amount": u64::MAX}),
        json!({"amount": 1, "at_limit": {"grace": {"second": 60}}}),
        json!({"amount": 1, "at_limit": {"overage": {"price": {"currency": "usd", "micros": 1}, "capp": 100}}}),
        json!({"amount": 1, "at_limit": {"overage": {"price": {"currency": "usd", "micros": 1, "pre": 5}}}}),
        json!({"amount": 1, "rollover": {"most": 1, "periods": 1, "for": 1}}),
    ] {
        contract.expect(400, "PUT", &limit, why(with(wrong)).if_match("*")).await;
    }
    let balance = platform("features/{feature=tokens}/balance?subject=user:ann");
    let seen = contract.expect(200, "GET", &balance, plain()).await;
    assert_eq!((&seen.body["limit"], &seen.body["used"]), (&json!(500), &json!(30)));
    let limits = contract.expect(200, "GET", &platform("limits"), plain()).await;
    assert_eq!(limits.body["items"][0]["subject"], "user:ann");
    contract.expect(200, "DELETE", &limit, why(plain()).if_match("\"4\"")).await;
    contract.expect(412, "DELETE", &limit, why(plain()).if_match("\"4\"")).await;
    // Grants and corrections.
    let grants = platform("features/{feature=tokens}/grants");
    let id = "019531a0-7c00-7000-8000-000000000001";
    let grant = why(with(json!({"amount": 500, "id": id, "expires": "2026-05-01T00:00:00Z"})));
    contract.expect(201, "POST", &grants, grant.clone()).await;
    let again = contract.expect(201, "POST", &grants, grant).await;
    assert_eq!(again.body["replayed"], true);
    contract.expect(409, "POST", &grants, why(with(json!({"amount": 501, "id": id})))).await;
    for wrong in [
        json!({"amount": 0}),
        json!({"amount": 1, "id": "7"}),
        json!({"amount": 1, "expires": "2020-01-01T00:00:00Z"}),
    ] {
        contract.expect(400, "POST", &grants, why(with(wrong))).await;
    }
    let listed = contract.expect(200, "GET", &tokens("grants"), plain()).await;
    assert_eq!((&listed.body["items"][0]["id"], &listed.body["items"][0]["left"]), (&json!(id), &json!(500)));
    let adjust = platform("features/{feature=tokens}/adjust");
    contract.expect(200, "POST", &adjust, why(with(json!({"subject": "user:ann", "amount": -10})))).await;
    contract.expect(422, "POST", &adjust, why(with(json!({"subject": "user:ann", "amount": -1000})))).await;
    contract.expect(400, "POST", &adjust, why(with(json!({"amount": i64::MIN})))).await;
    let reset = platform("features/{feature=tokens}/reset");
    contract.expect(200, "POST", &reset, why(with(json!({"subject": "user:ann"})))).await;
    contract.expect(422, "POST", &platform("features/{feature=calls}/reset"), why(with(json!({})))).await;
    let last = contract.expect(200, "GET", &tokens("entries?size=1000"), plain()).await;
    let last = last.body["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["kind"], &last["note"]), (&json!("reset"), &json!(WHY)), "why is in the ledger");
    // Another plan.
    let change = platform("subscription/plan");
    let basic = why(with(json!({"plan": "basic"})));
    contract.expect(412, "PUT", &change, basic.clone().if_match(tag)).await;
    contract.expect(422, "PUT", &change, why(with(json!({"plan": "moon"}))).if_match("*")).await;
    let changed = contract.expect(200, "PUT", &change, basic.if_match("\"5\"")).await;
    assert_eq!((&changed.body["plan"], &changed.body["revision"]), (&json!("basic"), &json!(6)));
    contract.expect(404, "GET", "/quotas/features/{feature=sso}", plain()).await;
}

#[tokio::test]
async fn a_hold_is_no_longer_than_the_service_lets_it_be() {
    let (mut contract, clock) = quotas().await;
    let held =
        contract.expect(201, "POST", &tokens("holds"), with(json!({"amount": 5, "seconds": 60}))).await;
    let id = held.body["hold"]["id"].as_str().unwrap().to_owned();
    let place = tokens(&format!("holds/{{hold={id}}}/extend"));
    contract.expect(400, "POST", &place, with(json!({"seconds": 2_592_001}))).await;
    // Nobody can say that it lasts longer than it does.
    contract
        .expect(400, "POST", &place, with(json!({"seconds": 1, "expires": "2030-01-01T00:00:00Z"})))
        .await;
    clock.advance(std::time::Duration::from_secs(61));
    contract.expect(404, "POST", &place, with(json!({"seconds": 60}))).await;
    let ended: Timestamp = held.body["hold"]["expires"].as_str().unwrap().parse().unwrap();
    assert!(clock.now() > ended);
}

#[tokio::test]
async fn one_thing_that_is_wrong_never_makes_quotas_fail() {
    let (mut contract, _) = quotas().await;
    let held =
        contract.expect(201, "POST", &tokens("holds"), with(json!({"amount": 5, "seconds": 60}))).await;
    let hold = held.body["hold"]["id"].as_str().unwrap();
    let known = [("tenant", "acme"), ("feature", "tokens"), ("plan", "pro"), ("hold", hold)];
    let sent = contract.mutants(&known).await;
    assert!(sent > 1500, "{sent}");
}

#[test]
fn quotas_take_two_permissions() {
    let quotas = Quotas::in_memory([Plan::parse(PRO).unwrap()]).unwrap();
    let document = Document::new("test", "1.0.0", Unguarded).with(api(quotas));
    assert_eq!(document.permissions().into_iter().collect::<Vec<_>>(), ["quotas:manage", "quotas:read"]);
}

#[tokio::test]
async fn what_the_host_holds_is_nobody_elses_to_close() {
    let plans = [Plan::parse(PRO).unwrap(), Plan::parse(BASIC).unwrap()];
    let clock = ManualClock::at("2026-03-02T12:00:00Z".parse().unwrap());
    let quotas = Quotas::in_memory(plans).unwrap().with_clock(clock.clone()).unwrap();
    let acme = scope("acme");
    quotas.subscribe(&acme, Subscription::new(PlanName::new("pro").unwrap(), clock.now())).await.unwrap();
    let mut contract = Contract::unguarded(api(quotas.clone()));
    let minute = std::time::Duration::from_secs(60);
    let usage = Usage::of("tokens", &Subject::org(), 40).unwrap();
    let hold = quotas.reserve(&acme, &usage, minute).await.unwrap().hold.unwrap();
    assert!(!hold.is_callers());
    let at = |what: &str| tokens(&format!("holds/{{hold={}}}/{what}", hold.id));
    // Its id is to be read, and nothing more.
    let seen = contract.expect(200, "GET", &tokens("balance"), plain()).await;
    assert_eq!(seen.body["holds"][0]["id"], hold.id.to_string());
    let end = json!({"subject": "org", "expires": hold.expires});
    let less = json!({"subject": "org", "expires": hold.expires, "amount": 1});
    contract.expect(404, "POST", &at("commit"), with(less)).await;
    contract.expect(404, "POST", &at("release"), with(end)).await;
    contract.expect(404, "POST", &at("extend"), with(json!({"subject": "org", "seconds": 120}))).await;
    let spent = quotas.commit(&acme, &hold, 40).await.unwrap();
    assert_eq!((spent.allowed, spent.used), (true, 40));

    // Nor is it reached by a key: that of a caller is another one.
    let wanted = with(json!({"amount": 40, "seconds": 60})).header("idempotency-key", "job-7");
    let callers = contract.expect(201, "POST", &tokens("holds"), wanted).await;
    let id = callers.body["hold"]["id"].as_str().unwrap();
    assert_eq!(id.chars().nth(14), Some('8'), "{id}");
    let usage = usage.with_key("job-7").unwrap();
    let own = quotas.reserve(&acme, &usage, minute).await.unwrap();
    assert!(!own.replayed && !own.hold.unwrap().is_callers());
    let (long, shorter) = ("k".repeat(128), "k".repeat(127));
    for (key, replayed) in [(&long, false), (&long, true), (&shorter, false)] {
        let sent = with(json!({"amount": 1})).header("idempotency-key", key.as_str());
        assert_eq!(contract.expect(200, "POST", &tokens("consume"), sent).await.body["replayed"], replayed);
    }
}
