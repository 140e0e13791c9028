use guardian_http::api::tenant::api;
use guardian_tenant::{MemoryStore, Registry};
use serde_json::json;

use super::contract::{Contract, plain, scope, with};

#[tokio::test]
async fn the_api_of_tenants_keeps_its_word() {
    let mut contract = Contract::unguarded(api(Registry::new(MemoryStore::new())));
    let why = "ticket 4711: a new customer";
    contract.expect(404, "GET", "/tenant", plain()).await;
    let new = json!({"id": "acme", "name": "Acme Inc.", "plan": "team", "region": "eu", "settings": {"locale": "en"}});
    contract.expect(400, "POST", "/platform/tenants", with(new.clone())).await;
    contract.expect(400, "POST", "/platform/tenants", with(new.clone()).because("short")).await;
    let made = contract.expect(201, "POST", "/platform/tenants", with(new.clone()).because(why)).await;
    assert_eq!((&made.body["status"], made.etag.as_deref()), (&json!("active"), Some("\"1\"")));
    contract.expect(409, "POST", "/platform/tenants", with(new).because(why)).await;
    let wrong = with(json!({"id": "a b", "name": "A", "plan": "team", "region": "eu"})).because(why);
    let wrong = contract.expect(400, "POST", "/platform/tenants", wrong).await;
    assert!(wrong.body["detail"].as_str().unwrap().contains("`a b`"), "{}", wrong.body);

    let one = "/platform/tenants/{tenant=acme}";
    let change = with(json!({"plan": "enterprise", "internal": {"risk": "low"}})).because(why);
    contract.expect(428, "PATCH", one, change.clone()).await;
    let changed = contract.expect(200, "PATCH", one, change.clone().if_match("\"1\"")).await;
    assert_eq!((&changed.body["plan"], changed.etag.as_deref()), (&json!("enterprise"), Some("\"2\"")));
    contract.expect(412, "PATCH", one, change.if_match("\"1\"")).await;
    let industry = with(json!({"industry": "retail"})).because(why).if_match("*");
    assert_eq!(contract.expect(200, "PATCH", one, industry).await.body["industry"], "retail");
    let none = with(json!({"industry": null})).because(why).if_match("*");
    assert_eq!(contract.expect(200, "PATCH", one, none).await.body["industry"], json!(null));
    contract.expect(200, "GET", one, plain()).await;
    contract.expect(304, "GET", one, plain().header("if-none-match", "\"4\"")).await;

    let own = contract.expect(200, "GET", "/tenant", plain()).await;
    assert!(own.body.get("internal").is_none() && own.body["settings"]["locale"] == "en", "{}", own.body);
    contract.scope = Some(scope("umbrella"));
    contract.expect(404, "GET", "/tenant", plain()).await;

    let listed =
        contract.expect(200, "GET", "/platform/tenants?status=active&plan=enterprise&size=10", plain()).await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    contract.expect(400, "GET", "/platform/tenants?plan=No Plan".replace(' ', "%20").as_str(), plain()).await;

    for (id, name) in [("globex", "Acme Inc."), ("hooli", "Zeta")] {
        let new = json!({"id": id, "name": name, "plan": "free", "region": "eu"});
        contract.expect(201, "POST", "/platform/tenants", with(new).because(why)).await;
    }
    for (sort, expected) in [
        ("id", ["acme", "globex", "hooli"]),
        ("-id", ["hooli", "globex", "acme"]),
        ("name", ["acme", "globex", "hooli"]),
        ("-name", ["hooli", "globex", "acme"]),
        ("created", ["acme", "globex", "hooli"]),
        ("-created", ["hooli", "globex", "acme"]),
    ] {
        let list = format!("/platform/tenants?sort={sort}&size=2");
        let first = contract.expect(200, "GET", &list, plain()).await;
        let next = first.body["next"].as_str().unwrap();
        let last = contract.expect(200, "GET", &format!("{list}&after={next}"), plain()).await;
        let pages =
            [&first.body["items"], &last.body["items"]].map(|items| items.as_array().unwrap().clone());
        let ids: Vec<_> = pages.iter().flatten().map(|tenant| tenant["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{sort}");
        let other = if sort == "name" { "id" } else { "name" };
        contract.expect(400, "GET", &format!("/platform/tenants?sort={other}&after={next}"), plain()).await;
    }
    contract.expect(400, "GET", "/platform/tenants?sort=colour", plain()).await;

    let step = || plain().because("ticket 4712: unpaid invoices").if_match("*");
    contract.expect(409, "POST", &format!("{one}/resume"), step()).await;
    let stopped = contract.expect(200, "POST", &format!("{one}/suspend"), step()).await;
    assert_eq!(stopped.body["reason"], "ticket 4712: unpaid invoices");
    assert_eq!(contract.expect(200, "POST", &format!("{one}/resume"), step()).await.body["status"], "active");
    contract.expect(400, "DELETE", &format!("{one}?grace_days=4000"), step()).await;
    let going = contract.expect(200, "DELETE", one, step()).await;
    assert!(going.body["purge_after"].is_string());
    contract.expect(409, "POST", &format!("{one}/purge"), step()).await;
    contract.expect(200, "POST", &format!("{one}/undelete"), step()).await;
    contract.expect(200, "DELETE", &format!("{one}?grace_days=0"), step()).await;
    assert_eq!(contract.expect(200, "POST", &format!("{one}/purge"), step()).await.body["status"], "purged");
    contract.expect(404, "GET", "/platform/tenants/{tenant=umbrella}", plain()).await;
    contract.expect(404, "GET", "/platform/tenants/{tenant=a%20b}", plain()).await;
    contract.finish().await;
}

#[tokio::test]
async fn one_thing_that_is_wrong_never_makes_tenants_fail() {
    let mut contract = Contract::unguarded(api(Registry::new(MemoryStore::new())));
    let new = json!({"id": "acme", "name": "Acme Inc.", "plan": "team", "region": "eu"});
    let why = "ticket 4711: a new customer";
    contract.expect(201, "POST", "/platform/tenants", with(new).because(why)).await;
    let sent = contract.mutants(&[("tenant", "acme")]).await;
    assert!(sent > 300, "{sent}");
}
