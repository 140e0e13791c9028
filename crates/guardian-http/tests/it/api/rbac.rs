use guardian_core::{Actor, ManualClock, Scope};
use guardian_http::api::Document;
use guardian_http::api::rbac::api;
use guardian_rbac::{Catalog, Change, Item, Membership, MemoryStore, NewGrant, Rbac, Role, Rule, Window};
use serde_json::{Value, json};

use super::contract::{Contract, plain, scope, with};

/// Ann is an administrator of acme, and nobody anywhere else.
async fn rbac() -> Rbac {
    let catalog = Catalog::builder()
        .permission("deal:edit", "Change deals")
        .permission("deal:read", "See deals")
        .sensitive("deal:export", "Take deals out")
        .build()
        .unwrap();
    let rbac = Rbac::new(catalog, MemoryStore::new());
    let host = Scope::system(scope("acme").tenant().clone());
    let patterns = ["*:*", "rbac.role:*", "rbac.grant:*", "rbac.policy:*", "rbac.constraint:*"];
    let admin = Role::new("admin").unwrap();
    let admin = patterns.iter().fold(admin, |role, pattern| role.with(Rule::allow(pattern).unwrap()));
    rbac.put_role(&host, admin).await.unwrap();
    let emergency =
        Role::new("incident").unwrap().with(Rule::allow("deal:export").unwrap()).for_emergencies(3600);
    rbac.put_role(&host, emergency).await.unwrap();
    let glass = Rule::allow("rbac.grant:break_glass").unwrap();
    rbac.put_role(&host, Role::new("on-call").unwrap().with(glass)).await.unwrap();
    for role in ["admin", "on-call"] {
        let grant = NewGrant::new("user:ann".parse().unwrap(), role, "founder").unwrap().delegable(2);
        rbac.grant(&host, grant).await.unwrap();
    }
    rbac
}

#[tokio::test]
async fn the_api_of_roles_keeps_its_word() {
    let rbac = rbac().await;
    let document = Document::new("test", "1.0.0", rbac.clone()).with(api(rbac));
    let mut contract = Contract::of(document);

    let mine = contract.expect(200, "GET", "/permissions", plain()).await;
    assert!(
        mine.body["items"]
            .as_array()
            .unwrap()
            .contains(&json!({"permission": "deal:edit", "outcome": "allow"}))
    );
    let catalog = contract.expect(200, "GET", "/permission-catalog", plain()).await;
    assert!(catalog.body["items"].as_array().unwrap().iter().any(|each| each["sensitive"] == true));

    // Roles, at the revision that was seen.
    let rep = json!({"id": "rep", "title": "Sales", "rules": [{"permissions": "deal:read"}]});
    contract.expect(428, "PUT", "/roles/{role=rep}", with(rep.clone())).await;
    contract.expect(412, "PUT", "/roles/{role=rep}", with(rep.clone()).if_match("\"1\"")).await;
    let preview = contract.expect(200, "POST", "/role-previews", with(json!({"roles": [rep]}))).await;
    assert_eq!(preview.body["items"], json!([]), "nobody has it yet");
    let put = contract.expect(200, "PUT", "/roles/{role=rep}", with(rep.clone()).if_match("*")).await;
    let read = contract.expect(200, "GET", "/roles/{role=rep}", plain()).await;
    assert_eq!((&read.body["rules"][0]["effect"], &read.etag), (&json!("allow"), &put.etag));
    contract
        .expect(304, "GET", "/roles/{role=rep}", plain().header("if-none-match", put.etag.unwrap()))
        .await;
    let other = with(json!({"id": "boss"})).if_match("*");
    contract.expect(400, "PUT", "/roles/{role=rep}", other).await;
    let unknown = with(json!({"id": "rep", "rules": [{"permissions": "moon:land"}]})).if_match("*");
    contract.expect(422, "PUT", "/roles/{role=rep}", unknown).await;
    contract.expect(404, "GET", "/roles/{role=moon}", plain()).await;
    assert_eq!(
        contract.expect(200, "GET", "/roles", plain()).await.body["items"].as_array().unwrap().len(),
        4
    );
    let matrix = contract.expect(200, "GET", "/role-matrix", plain()).await;
    assert_eq!(matrix.body["rows"].as_array().unwrap().len(), 4);

    // Grants.
    let grant = json!({"subject": "user:bob", "role": "rep", "reason": "joined sales", "depth": 1});
    let given = contract.expect(201, "POST", "/grants", with(grant.clone())).await;
    let id = given.body["id"].as_str().unwrap().to_owned();
    let one = format!("/grants/{{grant={id}}}");
    assert_eq!(contract.expect(200, "GET", &one, plain()).await.body["subject"], "user:bob");
    let nobody = with(json!({"subject": "user:bob", "role": "moon", "reason": "why not"}));
    contract.expect(422, "POST", "/grants", nobody).await;
    let listed = contract.expect(200, "GET", "/grants?subject=user:bob&size=1", plain()).await;
    assert_eq!((listed.body["items"].as_array().unwrap().len(), &listed.body["next"]), (1, &json!(null)));
    let first = contract.expect(200, "GET", "/grants?size=2", plain()).await;
    let next = first.body["next"].as_str().unwrap();
    let second = contract.expect(200, "GET", &format!("/grants?size=2&after={next}"), plain()).await;
    assert_eq!((second.body["items"].as_array().unwrap().len(), &second.body["next"]), (1, &json!(null)));
    let check = json!({"principal": "user:bob", "permission": "deal:read"});
    assert_eq!(contract.expect(200, "POST", "/access-checks", with(check)).await.body["allowed"], true);
    let who = contract.expect(200, "POST", "/who-can", with(json!({"permission": "deal:read"}))).await;
    let both = json!({"everyone": false, "principals": ["user:ann", "user:bob"], "truncated": false});
    assert_eq!(who.body, both);
    contract.expect(204, "POST", &format!("{one}/certifications"), plain()).await;
    let reviews = contract.expect(200, "GET", "/grant-reviews", plain()).await;
    assert_eq!(reviews.body["items"].as_array().unwrap().len(), 3);
    let (mut paged, mut next) = (Vec::new(), String::new());
    loop {
        let page = contract.expect(200, "GET", &format!("/grant-reviews?size=1{next}"), plain()).await;
        paged.extend(page.body["items"].as_array().unwrap().clone());
        match page.body["next"].as_str() {
            Some(cursor) => next = format!("&after={cursor}"),
            None => break,
        }
    }
    // When a grant was used last changes with each request.
    let ids = |items: &[Value]| items.iter().map(|item| item["grant"]["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&paged), ids(reviews.body["items"].as_array().unwrap()));
    contract.expect(400, "GET", "/grant-reviews?after=00ff", plain()).await;
    contract.expect(400, "GET", "/grants?after=00ff", plain()).await;
    contract.expect(409, "DELETE", "/roles/{role=rep}", plain().if_match("*")).await;
    many_grants(&mut contract).await;

    // Bob passes his on, and may do nothing else.
    let ann = contract.scope.clone();
    contract.scope = Some(Scope::new(scope("acme").tenant().clone(), Actor::user("bob").unwrap()));
    contract.expect(403, "GET", "/roles", plain()).await;
    contract.expect(403, "POST", "/grants", with(grant)).await;
    let part = json!({"subject": "user:cid", "role": "rep", "reason": "covers for me"});
    contract.expect(201, "POST", &format!("{one}/delegations"), with(part.clone())).await;
    // Another tenant knows nothing of it.
    contract.scope = Some(scope("umbrella"));
    contract.expect(404, "DELETE", &one, plain()).await;
    contract.expect(404, "POST", &format!("{one}/delegations"), with(part)).await;
    contract.expect(403, "GET", &one, plain()).await;
    contract.scope = ann;
    contract.expect(204, "DELETE", &one, plain()).await;
    contract.expect(404, "GET", &one, plain()).await;

    // Groups and separations of duty.
    let member = "/groups/{group=sales}/members/{member=user:dan}";
    contract.expect(204, "PUT", member, plain()).await;
    let members = contract.expect(200, "GET", "/groups/{group=sales}/members", plain()).await;
    assert_eq!(members.body["items"], json!([{"member": "user:dan"}]));
    contract.expect(204, "DELETE", member, plain()).await;
    contract.expect(404, "DELETE", member, plain()).await;
    let apart = json!({"id": "four-eyes", "duty": "static", "roles": ["rep", "incident"], "limit": 2});
    let one = "/constraints/{constraint=four-eyes}";
    contract.expect(428, "PUT", one, with(apart.clone())).await;
    contract.expect(404, "GET", one, plain()).await;
    let put = contract.expect(200, "PUT", one, with(apart.clone()).if_match("*")).await;
    assert_eq!(contract.expect(200, "GET", "/constraints", plain()).await.body["items"], json!([apart]));
    let read = contract.expect(200, "GET", one, plain()).await;
    assert_eq!((&read.body, &read.etag), (&apart, &put.etag));
    let seen = read.etag.unwrap();
    contract.expect(304, "GET", one, plain().header("if-none-match", seen.clone())).await;
    // Somebody else changes it: who has seen what it was before overwrites nothing.
    let stricter = json!({"id": "four-eyes", "duty": "dynamic", "roles": ["rep", "incident"], "limit": 2});
    contract.expect(200, "PUT", one, with(stricter.clone()).if_match(seen.clone())).await;
    contract.expect(412, "PUT", one, with(apart).if_match(seen.clone())).await;
    contract.expect(428, "DELETE", one, plain()).await;
    contract.expect(412, "DELETE", one, plain().if_match(seen)).await;
    assert_eq!(contract.expect(200, "GET", one, plain()).await.body, stricter);
    contract.expect(204, "DELETE", one, plain().if_match("*")).await;

    let fire = json!({"role": "incident", "reason": "the site is down", "seconds": 60});
    contract.expect(201, "POST", "/emergencies", with(fire)).await;
    contract.expect(204, "DELETE", "/roles/{role=rep}", plain().if_match("*")).await;
    contract.finish().await;
}

#[tokio::test]
async fn one_thing_that_is_wrong_never_makes_roles_fail() {
    let rbac = rbac().await;
    let mut contract = Contract::of(Document::new("test", "1.0.0", rbac.clone()).with(api(rbac)));
    let rep = json!({"id": "rep", "title": "Sales", "rules": [{"permissions": "deal:read"}]});
    contract.expect(200, "PUT", "/roles/{role=rep}", with(rep).if_match("*")).await;
    let grant = json!({"subject": "user:bob", "role": "rep", "reason": "joined sales", "depth": 1});
    let given = contract.expect(201, "POST", "/grants", with(grant)).await;
    contract.expect(204, "PUT", "/groups/{group=sales}/members/{member=user:dan}", plain()).await;
    let known = [
        ("role", "rep"),
        ("grant", given.body["id"].as_str().unwrap()),
        ("group", "sales"),
        ("member", "user:dan"),
        ("constraint", "four-eyes"),
    ];
    let sent = contract.mutants(&known).await;
    assert!(sent > 1000, "{sent}");
}

#[tokio::test]
async fn windows_are_told_by_the_clock_that_decides() {
    let clock = ManualClock::at("2020-03-02T12:00:00Z".parse().unwrap());
    let catalog = Catalog::builder().permission("deal:edit", "Change deals").build().unwrap();
    let rbac = Rbac::new(catalog, MemoryStore::new()).with_clock(clock);
    let host = Scope::system(scope("acme").tenant().clone());
    let all = Role::new("all").unwrap().with(Rule::allow("*:*").unwrap());
    let all = all.with(Rule::allow("rbac.policy:*").unwrap());
    rbac.put_role(&host, all).await.unwrap();
    let grant = NewGrant::new("user:ann".parse().unwrap(), "all", "for a year").unwrap();
    let until = Window::until("2021-01-01T00:00:00Z".parse().unwrap());
    rbac.grant(&host, grant.during(until)).await.unwrap();
    let mut contract = Contract::of(Document::new("test", "1.0.0", rbac.clone()).with(api(rbac)));
    let mine = contract.expect(200, "GET", "/permissions", plain()).await;
    let edit = json!({"permission": "deal:edit", "outcome": "allow"});
    assert!(mine.body["items"].as_array().unwrap().contains(&edit), "{}", mine.body);
    let who = contract.expect(200, "POST", "/who-can", with(json!({"permission": "deal:edit"}))).await;
    assert_eq!(who.body["principals"], json!(["user:ann"]));
}

#[tokio::test]
async fn answers_that_are_cut_say_so() {
    let rbac = rbac().await;
    let host = Scope::system(scope("acme").tenant().clone());
    let read = Role::new("reader").unwrap().with(Rule::allow("deal:read").unwrap());
    rbac.put_role(&host, read).await.unwrap();
    let grant = NewGrant::new("group:all".parse().unwrap(), "reader", "everybody reads").unwrap();
    rbac.grant(&host, grant).await.unwrap();
    let member = |number: u32| {
        let member = format!("user:u_{number}").parse().unwrap();
        Change::Put(Item::Membership(Membership::new("all".parse().unwrap(), member)))
    };
    for numbers in [0..6_000, 6_000..10_001] {
        rbac.import(&host, numbers.map(member).collect()).await.unwrap();
    }
    let mut contract = Contract::of(Document::new("test", "1.0.0", rbac.clone()).with(api(rbac)));
    let who = contract.expect(200, "POST", "/who-can", with(json!({"permission": "deal:read"}))).await;
    assert_eq!(who.body["principals"].as_array().unwrap().len(), 10_000);
    assert_eq!(who.body["truncated"], true);
    let roles = json!({"roles": [{"id": "reader", "rules": []}]});
    let many = contract.expect(422, "POST", "/role-previews", with(roles)).await;
    assert!(many.body["detail"].as_str().unwrap().contains("fewer roles"), "{}", many.body);
}

/// Many at once, all or none, and in whatever order.
async fn many_grants(contract: &mut Contract) {
    let new =
        |subject: &str, role: &str| json!({"subject": subject, "role": role, "reason": "a team that joins"});
    let before =
        contract.expect(200, "GET", "/grants", plain()).await.body["items"].as_array().unwrap().len();
    let one_is_wrong = json!({"grants": [new("user:dan", "rep"), new("user:eve", "moon")]});
    contract.expect(422, "POST", "/grants/batch", with(one_is_wrong)).await;
    for wrong in [
        json!({"grants": []}),
        json!({"grants": vec![new("user:dan", "rep"); 1001]}),
        json!({"grants": ["x"]}),
    ] {
        contract.expect(400, "POST", "/grants/batch", with(wrong)).await;
    }
    let still = contract.expect(200, "GET", "/grants", plain()).await;
    assert_eq!(still.body["items"].as_array().unwrap().len(), before, "none of them was given");
    let team = json!({"grants": [new("user:eve", "rep"), new("user:dan", "rep"), new("user:fay", "rep")]});
    let given = contract.expect(201, "POST", "/grants/batch", with(team)).await;
    let ids = given.body["ids"].as_array().unwrap().clone();
    assert_eq!(ids.len(), 3);

    for (sort, is_down) in [
        ("subject", false),
        ("-subject", true),
        ("role", false),
        ("-role", true),
        ("id", false),
        ("-id", true),
    ] {
        let (mut seen, mut next) = (Vec::new(), String::new());
        loop {
            let page =
                contract.expect(200, "GET", &format!("/grants?size=2&sort={sort}{next}"), plain()).await;
            seen.extend(page.body["items"].as_array().unwrap().iter().map(|grant| {
                (
                    grant[sort.trim_start_matches('-')].as_str().unwrap().to_owned(),
                    grant["id"].as_str().unwrap().to_owned(),
                )
            }));
            match page.body["next"].as_str() {
                Some(cursor) => next = format!("&after={cursor}"),
                None => break,
            }
        }
        let mut sorted = seen.clone();
        sorted.sort();
        if is_down {
            sorted.reverse();
        }
        assert_eq!((seen.len(), &seen), (before + 3, &sorted), "{sort}");
    }
    let first = contract.expect(200, "GET", "/grants?size=1&sort=subject", plain()).await;
    let cursor = first.body["next"].as_str().unwrap();
    contract.expect(400, "GET", &format!("/grants?size=1&sort=role&after={cursor}"), plain()).await;
    let unknown = contract.expect(400, "GET", "/grants?sort=colour", plain()).await;
    assert!(unknown.body["detail"].as_str().unwrap().contains("colour"), "{}", unknown.body);

    let one_is_none = json!({"grants": [ids[0], "018f3a4e-0000-7000-8000-000000000000"]});
    contract.expect(404, "POST", "/grants/revocations", with(one_is_none)).await;
    contract.expect(404, "POST", "/grants/revocations", with(json!({"grants": ["x"]}))).await;
    contract.expect(400, "POST", "/grants/revocations", with(json!({"grants": []}))).await;
    let gone = contract.expect(200, "POST", "/grants/revocations", with(json!({"grants": ids}))).await;
    assert_eq!(gone.body["revoked"], 3);
    let after = contract.expect(200, "GET", "/grants", plain()).await;
    assert_eq!(after.body["items"].as_array().unwrap().len(), before);
}
