//! The CRM over TCP: data, tenants, limits.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};
use guardian::sentiment::{Sentiments, SqlStore};
use guardian::webhook::Verifier;
use guardian_core::{Clock, Scope, SystemClock, TenantId};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, Unscoped};
use serde_json::json;

use crate::client::{Reply, Server, complaint};

const ACME: Option<&str> = Some("acme-website-key");
const ACME_IMPORT: Option<&str> = Some("acme-import-key");
const GLOBEX: Option<&str> = Some("globex-website-key");

#[test]
fn records_live_and_die() {
    let crm = Server::start("crm");
    let created = crm.send("POST", "/contacts", GLOBEX, r#"{"name":"Ada","email":"ada@example.com"}"#);
    assert_eq!(created.status, 201);
    let path = format!("/contacts/{}", created.text("id"));
    assert_eq!(created.field("location"), [&path]);

    assert_eq!(crm.send("GET", &path, GLOBEX, "").body, created.body);
    let replaced = crm.send("PUT", &path, GLOBEX, r#"{"name":"Ada L."}"#);
    assert_eq!(replaced.text("name"), "Ada L.");
    assert_eq!(crm.send("DELETE", &path, GLOBEX, "").status, 204);
    assert_eq!(crm.send("GET", &path, GLOBEX, "").status, 404);

    let deal = crm.send("POST", "/deals", GLOBEX, r#"{"title":"Fleet","amount_cents":990000}"#);
    assert_eq!((deal.status, deal.text("stage")), (201, "open"));
    let note = crm.send("POST", "/notes", GLOBEX, r#"{"text":"call back"}"#);
    assert_eq!(note.status, 201);
}

#[test]
fn changes_are_told_to_the_tenants_endpoints_in_order() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let told = told.clone();
            std::thread::spawn(move || {
                while let Some(request) = next_request(&mut stream) {
                    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
                    told.send(request).unwrap();
                }
            });
        }
    });
    let crm = Server::start_with("crm", "sqlite::memory:", &["--hooks", &port.to_string()]);
    let inside = crm.send("POST", "/webhooks", GLOBEX, r#"{"url":"http://127.0.0.1:1/"}"#);
    assert_eq!(inside.status, 400, "a target inside was taken");
    assert_eq!(crm.send("POST", "/webhooks", ACME_IMPORT, r#"{"url":"https://example.com/"}"#).status, 403);
    let asked = json!({"url": format!("http://127.0.0.1:{port}/hooks"), "types": ["contact.*"]}).to_string();
    let created = crm.send("POST", "/webhooks", GLOBEX, &asked);
    assert_eq!(created.status, 201);
    let verifier = Verifier::standard([created.text("secret").parse().unwrap()], []).unwrap();

    let contact = crm.send("POST", "/contacts", GLOBEX, r#"{"name":"Ada"}"#);
    let path = format!("/contacts/{}", contact.text("id"));
    crm.send("POST", "/deals", GLOBEX, r#"{"title":"Fleet","amount_cents":1}"#);
    crm.send("PUT", &path, GLOBEX, r#"{"name":"Ada L."}"#);
    crm.send("DELETE", &path, GLOBEX, "");
    crm.send("POST", "/contacts", ACME, r#"{"name":"Not theirs"}"#);
    for expected in ["contact.created", "contact.updated", "contact.deleted"] {
        let (headers, body) = heard.recv_timeout(Duration::from_secs(20)).unwrap();
        verifier.verify(&headers, &body, SystemClock::new().now()).unwrap();
        let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&event["type"], &event["data"]["id"]), (&json!(expected), &json!(contact.text("id"))));
    }
    assert!(heard.recv_timeout(Duration::from_millis(300)).is_err(), "something else was told");
}

#[test]
fn an_account_whose_notes_turn_bad_is_told() {
    let crm = Server::start("crm");
    let note = |text: &str| {
        let body = json!({"text": text, "account": "ada-inc"}).to_string();
        assert_eq!(crm.send("POST", "/notes", GLOBEX, &body).status, 201);
    };
    let glad = [
        "They love the new export, great feedback",
        "Very happy with our support",
        "Wonderful call, thanks a lot",
    ];
    let cross = [
        "The invoice is wrong again, they are furious",
        "Terrible, nobody answered about the invoice",
        "They hate the new invoice, awful",
    ];
    for n in 0..30 {
        note(glad[n % 3]);
    }
    let before = crm.send("GET", "/sentiment?of=account:ada-inc", GLOBEX, "");
    assert!(before.body["level"].as_f64().unwrap() > 0.2, "{}", before.body);
    assert_eq!((&before.body["messages"], &before.body["falling_since"]), (&json!(30), &json!(null)));
    for n in 0..30 {
        note(cross[n % 3]);
    }
    let after = crm.send("GET", "/sentiment?of=account:ada-inc", GLOBEX, "");
    assert!(after.body["falling_since"].is_string(), "{}", after.body);
    // The account, and all notes of the tenant, which are the same.
    eventually(|| {
        let told = crm.send("GET", "/audit?q=action:sentiment.falling", GLOBEX, "");
        told.body["items"].as_array().unwrap().len() == 2
    });
    assert_eq!(crm.send("GET", "/sentiment", ACME, "").body["messages"], json!(0), "another tenant");
    assert_eq!(crm.send("GET", "/sentiment?of=mood", GLOBEX, "").status, 400);
}

#[test]
fn a_note_that_is_changed_or_deleted_is_read_anew_or_forgotten() {
    let crm = Server::start("crm");
    let body = |text: &str| json!({"text": text, "account": "bob-inc"}).to_string();
    let made = crm.send("POST", "/notes", GLOBEX, &body("Terrible, they are furious"));
    let note = format!("/notes/{}", made.body["id"].as_str().unwrap());
    let mood = || crm.send("GET", "/sentiment?of=account:bob-inc", GLOBEX, "").body;
    assert_eq!((&mood()["messages"], &mood()["negative"]), (&json!(1), &json!(1)));
    assert_eq!(crm.send("PUT", &note, GLOBEX, &body("Wonderful call, thanks a lot")).status, 200);
    assert_eq!((&mood()["messages"], &mood()["negative"]), (&json!(1), &json!(0)));
    // To another account.
    let moved = json!({"text": "Wonderful call, thanks a lot", "account": "eve-inc"}).to_string();
    assert_eq!(crm.send("PUT", &note, GLOBEX, &moved).status, 200);
    assert_eq!(mood()["messages"], json!(0));
    assert_eq!(crm.send("GET", "/sentiment?of=account:eve-inc", GLOBEX, "").body["messages"], json!(1));
    assert_eq!(crm.send("DELETE", &note, GLOBEX, "").status, 204);
    assert_eq!(crm.send("GET", "/sentiment", GLOBEX, "").body["messages"], json!(0));
}

/// A program that saves a note at each pause in typing tells nobody that the account turned.
#[test]
fn a_note_that_is_saved_often_is_no_fall() {
    let crm = Server::start("crm");
    let body = |text: &str| json!({"text": text, "account": "ada-inc"}).to_string();
    for n in 0..30 {
        let glad = ["They love the new export, great feedback", "Very happy with our support"];
        assert_eq!(crm.send("POST", "/notes", GLOBEX, &body(glad[n % 2])).status, 201);
    }
    let mood = || crm.send("GET", "/sentiment?of=account:ada-inc", GLOBEX, "").body;
    let words = mood()["words"].clone();
    let bad = "Terrible, they are furious about the invoice";
    let made = crm.send("POST", "/notes", GLOBEX, &body(bad));
    let note = format!("/notes/{}", made.body["id"].as_str().unwrap());
    let saved = mood();
    for n in 0..30 {
        let text = format!("{bad}{}", "!".repeat(n % 3));
        assert_eq!(crm.send("PUT", &note, GLOBEX, &body(&text)).status, 200);
    }
    assert_eq!((&mood()["messages"], &mood()["negative"]), (&json!(31), &json!(1)));
    assert_eq!((&mood()["falling_since"], &mood()["words"]), (&json!(null), &saved["words"]), "not {words}");
    let told = crm.send("GET", "/audit?q=action:sentiment.falling", GLOBEX, "");
    assert_eq!(told.body["items"], json!([]));
}

/// Of requests that change and delete the same note at once, the mood is that of the note as it is in the end.
#[test]
fn notes_that_are_changed_at_once_have_their_own_mood() {
    let crm = Server::start("crm");
    let body = |text: &str| json!({"text": text}).to_string();
    let texts = ["Terrible, they are furious", "Wonderful call, thanks a lot"];
    let mut negative = 0;
    for round in 0..6 {
        let made = crm.send("POST", "/notes", GLOBEX, &body("So so"));
        let note = format!("/notes/{}", made.body["id"].as_str().unwrap());
        std::thread::scope(|threads| {
            for text in texts {
                threads.spawn(|| crm.send("PUT", &note, GLOBEX, &body(text)));
            }
            if round % 2 == 1 {
                threads.spawn(|| crm.send("DELETE", &note, GLOBEX, ""));
            }
        });
        let left = crm.send("GET", &note, GLOBEX, "");
        negative += u32::from(left.body["text"] == json!(texts[0]));
    }
    let mood = crm.send("GET", "/sentiment", GLOBEX, "").body;
    assert_eq!((&mood["messages"], &mood["negative"]), (&json!(3), &json!(negative)));
}

/// Waits until something is the case that follows from what was acknowledged.
fn eventually(holds: impl Fn() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("it never comes");
}

/// The next request of a connection: its headers and its body.
fn next_request(stream: &mut TcpStream) -> Option<(HeaderMap, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut headers, mut line) = (HeaderMap::new(), String::new());
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let length: usize = headers.get("content-length").unwrap().to_str().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((headers, body))
}

#[test]
fn workflows_run_on_events_keep_their_history_and_are_rolled_back() {
    let crm = Server::start("crm");
    let won = r#"{"title":"Fleet","amount_cents":990000,"stage":"won"}"#;
    let notes = || {
        let page = crm.send("GET", "/notes", GLOBEX, "");
        page.body
            .get("items")
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .map(|note| note["text"].to_string())
            .collect::<Vec<_>>()
    };
    // Events are told, and runs are driven, a moment after what they are about was committed.
    let ended = |count: usize| {
        eventually(|| {
            let runs = crm.send("GET", "/workflows/follow-up/runs", GLOBEX, "");
            let runs = runs.body["items"].as_array().unwrap().clone();
            runs.len() == count && runs.iter().all(|run| !run["outcome"].is_null())
        });
    };
    assert_eq!(crm.send("POST", "/deals", GLOBEX, won).status, 201);
    ended(1);
    assert_eq!(notes(), ["\"say thank you for Fleet\""]);
    let shown = crm.send("GET", "/workflows/follow-up", GLOBEX, "");
    let mut definition = shown.body["versions"][0]["definition"].clone();
    definition["nodes"]["large"]["branches"][0]["when"] = json!("input.data.amount_cents >= 100000000");
    let saved = crm.send("PUT", "/workflows/follow-up", GLOBEX, &definition.to_string());
    assert_eq!(
        (saved.status, &saved.body["version"], &saved.body["class"]),
        (200, &json!(2), &json!("changing"))
    );
    assert_eq!(crm.send("POST", "/deals", GLOBEX, won).status, 201);
    ended(2);
    assert_eq!(notes().len(), 1);
    let back = crm.send("POST", "/workflows/follow-up/rollback", GLOBEX, r#"{"to":1}"#);
    assert_eq!((back.status, &back.body["version"], &back.body["published"]), (200, &json!(3), &json!(3)));
    assert_eq!(crm.send("POST", "/deals", GLOBEX, won).status, 201);
    ended(3);
    assert_eq!(notes().len(), 2);
    let runs = crm.send("GET", "/workflows/follow-up/runs", GLOBEX, "");
    let versions: Vec<_> =
        runs.body["items"].as_array().unwrap().iter().map(|run| run["version"].clone()).collect();
    assert_eq!(versions.len(), 3);
    assert!(versions.contains(&json!(1)) && versions.contains(&json!(2)) && versions.contains(&json!(3)));
    let first = runs.body["items"].as_array().unwrap().iter().find(|run| run["version"] == json!(1)).unwrap();
    let history = crm.send("GET", &format!("/runs/{}/history", first["id"].as_str().unwrap()), GLOBEX, "");
    assert_eq!(history.body["items"].as_array().unwrap().len(), 2);
    // Another tenant has its own.
    assert_eq!(crm.send("GET", "/workflows/follow-up/runs", ACME, "").body["items"], json!([]));
    definition["nodes"]["note"]["action"] = json!("send_rocket");
    let refused = crm.send("PUT", "/workflows/follow-up", GLOBEX, &definition.to_string());
    assert_eq!(refused.status, 400);
    assert!(refused.text("detail").contains("send_rocket"));
}

#[test]
fn lists_come_in_pages() {
    let crm = Server::start("crm");
    for n in 0..5 {
        let body = json!({ "text": format!("note {n}") }).to_string();
        assert_eq!(crm.send("POST", "/notes", GLOBEX, &body).status, 201);
    }
    let (mut texts, mut target) = (Vec::new(), "/notes?size=2".to_owned());
    loop {
        let page = crm.send("GET", &target, GLOBEX, "");
        let items = page.body.get("items").unwrap().as_array().unwrap();
        assert!(items.len() <= 2);
        texts.extend(items.iter().map(|note| note.get("text").unwrap().as_str().unwrap().to_owned()));
        if page.body.get("next").unwrap().is_null() {
            break;
        }
        target = format!("/notes?size=2&after={}", page.text("next"));
    }
    assert_eq!(texts, ["note 0", "note 1", "note 2", "note 3", "note 4"]);
}

#[test]
fn mistakes_are_explained() {
    let crm = Server::start("crm");
    let problem = |reply: &Reply, status: u16, detail: &str| {
        assert_eq!(reply.status, status, "{reply:?}");
        assert_eq!(reply.field("content-type"), ["application/problem+json"]);
        assert!(reply.text("detail").contains(detail), "{reply:?}");
    };
    let anonymous = crm.send("GET", "/contacts", None, "");
    problem(&anonymous, 401, "no credentials");
    assert_eq!(anonymous.field("www-authenticate"), ["Bearer"]);
    problem(&crm.send("GET", "/contacts", Some("guess"), ""), 401, "no credentials");
    problem(&crm.send("GET", "/nothing", GLOBEX, ""), 404, "/nothing");
    problem(&crm.send("PATCH", "/contacts", GLOBEX, ""), 405, "PATCH");
    let send = |body| crm.send("POST", "/contacts", GLOBEX, body);
    problem(&send("{"), 400, "EOF");
    problem(&send(r#"{"name":" "}"#), 400, "`name` is empty");
    problem(&send(r#"{"name":"Ada","emial":""}"#), 422, "emial");
    problem(&crm.send("GET", "/contacts?size=0", GLOBEX, ""), 400, "page size `0`");
    problem(&crm.send("GET", "/contacts?after=x", GLOBEX, ""), 400, "cursor `x`");
}

#[test]
fn tenants_do_not_meet() {
    let crm = Server::start("crm");
    let created = crm.send("POST", "/deals", ACME, r#"{"title":"Secret","amount_cents":1}"#);
    let path = format!("/deals/{}", created.text("id"));
    for (method, body) in [("GET", ""), ("PUT", r#"{"title":"Mine","amount_cents":1}"#), ("DELETE", "")] {
        assert_eq!(crm.send(method, &path, GLOBEX, body).status, 404, "{method}");
    }
    assert_eq!(crm.send("GET", "/deals", GLOBEX, "").body, json!({ "items": [], "next": null }));
    // The other key of the same tenant sees it.
    assert_eq!(crm.send("GET", &path, ACME_IMPORT, "").text("title"), "Secret");
    // A customer is no operator.
    assert_eq!(crm.send("GET", "/v1/platform/tenants/acme/rate-limits", ACME, "").status, 403);
}

#[test]
fn a_key_may_do_what_its_role_says() {
    let crm = Server::start("crm");
    let created = crm.send("POST", "/deals", ACME, r#"{"title":"Renewal","amount_cents":1}"#);
    let path = format!("/deals/{}", created.text("id"));
    let viewer = Some("acme-viewer-key");
    assert_eq!(crm.send("GET", &path, viewer, "").status, 200);
    let refused = crm.send("DELETE", &path, viewer, "");
    assert_eq!(refused.status, 403);
    assert_eq!(refused.field("content-type"), ["application/problem+json"]);
    assert_eq!(refused.text("detail"), "you may not do this");
    assert_eq!(crm.send("GET", "/audit", viewer, "").status, 403);
    // The import brings records in and takes none away.
    assert_eq!(
        crm.send("POST", "/contacts", ACME_IMPORT, r#"{"name":"Ada","email":"a@example.com"}"#).status,
        201
    );
    assert_eq!(crm.send("DELETE", &path, ACME_IMPORT, "").status, 403);
    let mine = crm.send("GET", "/permissions", viewer, "");
    let names: Vec<_> =
        mine.body["permissions"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    assert!(names.contains(&"deal:read") && !names.contains(&"deal:edit"), "{names:?}");
    assert_eq!(crm.send("DELETE", &path, ACME, "").status, 204);
}

#[test]
fn administrators_have_an_api_that_describes_itself() {
    let crm = Server::start("crm");
    let document = crm.send("GET", "/v1/openapi.json", ACME, "").body;
    assert_eq!((&document["openapi"], &document["servers"][0]["url"]), (&json!("3.1.0"), &json!("/v1")));
    let paths = document["paths"].as_object().unwrap().values();
    let operations: usize = paths.map(|item| item.as_object().unwrap().len()).sum();
    assert!(operations >= 80, "{operations}");

    // The domains behind it are those of the CRM itself.
    let deal = crm.send("POST", "/deals", ACME, r#"{"title":"Fleet","amount_cents":990000,"stage":"won"}"#);
    assert_eq!(deal.status, 201);
    for (path, shown) in [
        ("/v1/roles/admin", "Runs the organisation"),
        ("/v1/quotas/plan", "starter"),
        ("/v1/runs?workflow=follow-up", "follow-up"),
        ("/v1/audit/events?q=action:deal.created", "deal.created"),
        ("/v1/rate-limits/per-org", "120/min burst 40"),
    ] {
        eventually(|| {
            let reply = crm.send("GET", path, ACME, "");
            reply.status == 200 && reply.body.to_string().contains(shown)
        });
    }
    // So are its roles: who brings records in may not look at the policy.
    assert_eq!(crm.send("GET", "/v1/roles", ACME_IMPORT, "").status, 403);
    assert_eq!(crm.send("GET", "/v1/roles", None, "").status, 401);
}

#[test]
fn a_key_is_worth_nothing_from_elsewhere() {
    let crm = Server::start("crm");
    let from = |addr: &str, key| crm.send_from(addr, "GET", "/contacts", key).status;
    assert_eq!((from("203.0.113.9", ACME), from("203.0.113.9", GLOBEX)), (200, 200));
    let rules = "default deny\nallow 127.0.0.1 # this machine\nallow 198.51.100.0/24 # office";
    assert_eq!(crm.send("PUT", "/addresses", ACME, rules).status, 200);
    assert_eq!((from("203.0.113.9", ACME), from("198.51.100.7", ACME)), (403, 200));
    assert_eq!(from("203.0.113.9", GLOBEX), 200, "the other tenant has rules of its own");

    let out = crm.send("PUT", "/addresses", ACME, "deny 127.0.0.0/8");
    assert_eq!(out.status, 409, "whoever changes them would be locked out: {:?}", out.body);
    let wrong = crm.send("PUT", "/addresses", ACME, "allow 10.0.0.1/8");
    assert_eq!(wrong.status, 400);
    let shown = crm.send("GET", "/addresses?explain=203.0.113.9", ACME, "");
    assert!(shown.text("policy").contains("allow 198.51.100.0/24 # office"));
    assert!(shown.text("explanation").contains("deny"), "{:?}", shown.body);
    eventually(|| {
        let trail = crm.send("GET", "/audit?q=action:ip_access.*", ACME, "");
        trail.body["items"].as_array().is_some_and(|items| items.len() == 1)
    });
}

#[test]
fn every_change_leaves_a_trace_that_its_tenant_alone_sees() {
    let crm = Server::start("crm");
    let created = crm.send("POST", "/deals", ACME, r#"{"title":"Renewal","amount_cents":1}"#);
    let path = format!("/deals/{}", created.text("id"));
    crm.send("PUT", &path, ACME, r#"{"title":"Renewal","amount_cents":1,"stage":"won"}"#);
    assert_eq!(crm.send("DELETE", &path, ACME, "").status, 204);
    assert_eq!(crm.send("DELETE", &path, ACME, "").status, 404);
    let trail = crm.send("GET", "/audit?q=category:deal", ACME, "");
    let items = trail.body["items"].as_array().unwrap();
    let actions: Vec<_> = items.iter().map(|item| item["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["deal.deleted", "deal.updated", "deal.created"]);
    assert_eq!(items[1]["changes"], json!([{ "path": "/stage", "before": "open", "after": "won" }]));
    assert_eq!(items[1]["target"]["id"], created.text("id"));
    assert_eq!(crm.send("GET", "/audit?q=category:deal", GLOBEX, "").body["items"], json!([]));
    // Whoever reads the trail is in it.
    let reads = crm.send("GET", "/audit?q=action:audit_log.searched", ACME, "");
    assert_eq!(reads.body["items"][0]["metadata"]["query"], "category:deal");
    let mistake = crm.send("GET", "/audit?q=risk:hihg", ACME, "");
    assert_eq!(mistake.status, 400);
    assert!(mistake.text("detail").contains("did you mean `high`?"), "{mistake:?}");
}

#[test]
fn a_limit_denies_explains_and_recovers() {
    let crm = Server::start("crm");
    let list = |key| crm.send("GET", "/contacts", key, "");
    let first = list(ACME);
    assert_eq!(
        first.field("ratelimit-policy"),
        [
            r#""per-org";q=40;w=20, "per-endpoint";q=20;w=20, "per-key";q=10;w=10"#,
            r#""per-address";q=200;w=4"#
        ]
    );
    let fields = first.field("ratelimit");
    assert!(
        fields
            .first()
            .unwrap()
            .starts_with(r#""per-org";r=39;t=1, "per-endpoint";r=19;t=1, "per-key";r=9;t=1"#)
    );

    let denied = (0..100).map(|_| list(ACME)).find(|reply| reply.status != 200);
    let denied = denied.unwrap_or_else(|| panic!("a hundred requests in a row were allowed"));
    assert_eq!(denied.status, 429);
    assert_eq!(denied.field("retry-after"), ["1"]);
    assert_eq!(denied.field("ratelimit"), [r#""per-key";r=0;t=1"#]);
    assert_eq!(denied.field("ratelimit-policy"), first.field("ratelimit-policy"));
    assert_eq!(denied.body.get("violated-policies"), Some(&json!(["per-key"])));
    assert_eq!(
        denied.text("detail"),
        "the limit `per-key` (1 request per second, 10 at once) is used up; try again in 1 second"
    );
    // Another key of the same tenant, and the other tenant, go on.
    assert_eq!(list(ACME_IMPORT).status, 200);
    assert_eq!(list(GLOBEX).status, 200);

    // The process has the system's clock, so this is the one test that waits: as long as it was told to.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(list(ACME).status, 200);
}

#[test]
fn a_plan_includes_records_calls_and_seats() {
    let crm = Server::start("crm");
    let usage = |reply: &Reply, feature: &str| reply.body["usage"][feature]["used"].clone();
    let created = crm.send("POST", "/contacts", ACME, r#"{"name":"Ada"}"#);
    assert_eq!(created.status, 201);
    let told = crm.send("GET", "/usage", ACME_IMPORT, "");
    assert_eq!(told.body["plan"], "starter");
    assert_eq!((usage(&told, "records"), usage(&told, "seats")), (json!(1), json!(2)));
    assert_eq!(usage(&told, "api_calls"), json!(1), "this request is still at work");
    assert_eq!(crm.send("DELETE", &format!("/contacts/{}", created.text("id")), ACME, "").status, 204);
    let plan = "/v1/platform/tenants/acme/quotas/subscription/plan";
    let changed = crm.operate("PUT", plan, r#"{"plan":"business"}"#);
    assert_eq!(changed.body["plan"], "business");
    let told = crm.send("GET", "/usage", ACME_IMPORT, "");
    assert_eq!(usage(&told, "records"), json!(0));
    assert_eq!(told.body["usage"]["records"]["included"], json!(100_000));
    assert_eq!(crm.operate("PUT", plan, r#"{"plan":"gold"}"#).status, 422);
}

#[test]
fn a_plan_changes_while_the_service_runs() {
    let crm = Server::start("crm");
    let limits = "/v1/platform/tenants/acme/rate-limits";
    assert_eq!(rule_of(&crm, "acme"), "1/s burst 10");
    let path = format!("{limits}/per-key");
    let changed = crm.operate("PUT", &path, r#"{"rule":"100/s burst 30"}"#);
    assert_eq!(changed.text("rule"), "100/s burst 30");
    let told = crm.send("GET", "/contacts", ACME, "");
    let policies = told.field("ratelimit-policy").join(", ");
    assert!(policies.contains(r#""per-key";q=30;w=1"#), "{policies}");
    let wrong = crm.operate("PUT", &path, r#"{"rule":"100/m"}"#);
    assert_eq!(wrong.status, 400);
    assert!(wrong.text("detail").contains("write `min` for minutes"));
    assert_eq!(crm.operate("DELETE", &path, "").text("rule"), "1/s burst 10");
}

/// The rule that a tenant's keys have.
fn rule_of(crm: &Server, tenant: &str) -> String {
    let limits = crm.operate("GET", &format!("/v1/platform/tenants/{tenant}/rate-limits"), "");
    let mut items = limits.body["items"].as_array().unwrap().iter();
    items.find(|limit| limit["policy"] == "per-key").unwrap()["rule"].as_str().unwrap().to_owned()
}

/// The process is killed, not stopped: what it has acknowledged is there again all the same.
#[test]
fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let db = format!("sqlite://{}", folder.path().join("crm.db").display());
    let mut paths: Vec<String> = Vec::new();
    for round in 0..3 {
        let crm = Server::start_on("crm", &db);
        for path in &paths {
            assert_eq!(crm.send("GET", path, GLOBEX, "").status, 200, "{path} in round {round}");
            assert_eq!(crm.send("GET", path, ACME, "").status, 404, "{path} in round {round}");
        }
        let created = crm.send("POST", "/notes", GLOBEX, r#"{"text":"still here"}"#);
        assert_eq!(created.status, 201);
        paths.push(format!("/notes/{}", created.text("id")));
    }
}

/// A process may end between a note and its mood, and a note be changed while the moods cannot be reached.
#[test]
fn moods_that_are_missing_are_read_at_the_start_and_those_without_a_note_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let db = format!("sqlite://{}", folder.path().join("crm.db").display());
    let crm = Server::start_on("crm", &db);
    for n in 0..3 {
        let note = format!(r#"{{"text":"Terrible, they are furious about invoice {n}"}}"#);
        assert_eq!(crm.send("POST", "/notes", GLOBEX, &note).status, 201);
    }
    let mood = crm.send("GET", "/sentiment", GLOBEX, "").body;
    assert_eq!((&mood["messages"], &mood["negative"]), (&json!(3), &json!(3)));
    drop(crm);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let moods = Sentiments::new(SqlStore::new(Database::open(&db).await.unwrap()));
        moods.forget_tenant(&Scope::system(TenantId::new("globex").unwrap())).await.unwrap();
    });
    let crm = Server::start_on("crm", &db);
    assert_eq!(crm.send("GET", "/sentiment", GLOBEX, "").body["messages"], json!(3));
    drop(crm);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let globex = Scope::system(TenantId::new("globex").unwrap());
        let mut tx = Database::open(&db).await.unwrap().begin(&globex).await.unwrap();
        let sql = "DELETE FROM notes WHERE id = (SELECT min(id) FROM notes WHERE tenant_id = 'globex')";
        assert_eq!(tx.execute(sql, &[]).await.unwrap(), 1);
        tx.commit().await.unwrap();
    });
    let crm = Server::start_on("crm", &db);
    assert_eq!(crm.send("GET", "/sentiment", GLOBEX, "").body["messages"], json!(2));
}

#[test]
fn a_tenant_s_rules_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let db = format!("sqlite://{}", folder.path().join("crm.db").display());
    let path = "/v1/platform/tenants/acme/rate-limits/per-key";
    let crm = Server::start_on("crm", &db);
    assert_eq!(crm.operate("PUT", path, r#"{"rule":"7/s burst 30"}"#).status, 200);
    // Another algorithm is refused, and not kept either.
    assert_eq!(crm.operate("PUT", path, r#"{"rule":"7/s fixed"}"#).status, 422);
    drop(crm);
    let crm = Server::start_on("crm", &db);
    assert_eq!(rule_of(&crm, "acme"), "7/s burst 30");
    assert_eq!(rule_of(&crm, "globex"), "50/s burst 100");
    assert_eq!(crm.operate("DELETE", path, "").status, 200);
    drop(crm);
    assert_eq!(rule_of(&Server::start_on("crm", &db), "acme"), "1/s burst 10");
}

/// What a statement without a tenant finds in each table, in a transaction of this tenant.
async fn found(db: &Database, tenant: &str) -> Vec<i64> {
    let mut tx = db.begin_read(&Scope::system(TenantId::new(tenant).unwrap())).await.unwrap();
    let mut counts = Vec::new();
    for sql in [
        "SELECT count(*) FROM contacts",
        "SELECT count(*) FROM deals",
        "SELECT count(*) FROM notes",
        "SELECT count(*) FROM guardian_limit_rules",
    ] {
        counts.push(tx.fetch_one(sql, &[]).await.unwrap().get(0).unwrap());
    }
    counts
}

#[tokio::test]
async fn the_same_on_postgres_where_a_statement_without_a_tenant_finds_nothing_of_another() {
    let fresh: Fresh = Kind::Postgres.open(&[]).await.unwrap();
    // As the role that owns the tables, for the demo has no other.
    let db = fresh.owner_url().to_owned();
    let crm = Server::start_on("crm", &db);
    let created = crm.send("POST", "/deals", GLOBEX, r#"{"title":"Fleet","amount_cents":990000}"#);
    let path = format!("/deals/{}", created.text("id"));
    assert_eq!(crm.send("POST", "/notes", GLOBEX, r#"{"text":"call back"}"#).status, 201);
    let limits = "/v1/platform/tenants/acme/rate-limits/per-key";
    assert_eq!(crm.operate("PUT", limits, r#"{"rule":"7/s burst 30"}"#).status, 200);
    drop(crm);
    let crm = Server::start_on("crm", &db);
    assert_eq!(crm.send("GET", &path, GLOBEX, "").text("title"), "Fleet");
    assert_eq!(crm.send("GET", &path, ACME, "").status, 404);

    assert_eq!(found(fresh.owner(), "globex").await, [0, 1, 1, 3]);
    assert_eq!(found(fresh.owner(), "acme").await, [0, 0, 0, 1]);
    let nobody =
        Unscoped::new(Scope::system(TenantId::new("operator").unwrap()), "a test of the policies").unwrap();
    let mut tx = fresh.owner().begin_unscoped(&nobody).await.unwrap();
    let refused = tx.fetch_one("SELECT count(*) FROM deals", &[]).await.unwrap_err();
    let told = std::error::Error::source(&refused).unwrap().to_string();
    assert!(told.contains("no tenant is set"), "{told}");
    drop(tx);

    assert_eq!(crm.send("DELETE", &path, GLOBEX, "").status, 204);
}

#[test]
fn what_cannot_start_says_why() {
    assert!(complaint("crm", &["--port"]).contains("usage: crm"));
    assert!(complaint("crm", &["--port", "70000"]).contains("`70000` is not a port"));
    assert!(complaint("crm", &["--db", "mysql://localhost"]).contains("mysql"));
    assert!(complaint("crm", &["--db", "sqlite:///no/such/folder/crm.db"]).contains("/no/such/folder"));
}

#[test]
fn ids_and_tenants_that_are_none_are_not_found() {
    let crm = Server::start("crm");
    assert_eq!(crm.send("GET", "/notes/7", GLOBEX, "").status, 404);
    assert_eq!(crm.operate("GET", "/v1/platform/tenants/initech", "").status, 404);
    let nothing = crm.send("GET", "/v1/nothing", GLOBEX, "");
    assert_eq!((nothing.status, nothing.text("type")), (404, "urn:guardian:problem:not-found"));
    assert_eq!(crm.send("GET", "/nothing", None, "").status, 401, "who is nobody learns nothing of paths");
    // A cursor of another making.
    assert_eq!(crm.send("GET", "/notes?after=AAAA", GLOBEX, "").status, 400);
}

/// Two processes on one PostgreSQL and one Redis are one service: limits, roles, addresses, quotas, workflows and webhooks; one that is
/// killed loses nothing.
#[tokio::test]
async fn two_processes_are_one_service() {
    let fresh: Fresh = Kind::Postgres.open(&[]).await.unwrap();
    let redis = std::env::var_os("GUARDIAN_TEST_REDIS_URL").expect("the tests have a Redis");
    let redis = redis.into_string().unwrap();
    let more = ["--redis", redis.as_str()];
    let one = Server::start_with("crm", fresh.owner_url(), &more);
    let two = Server::start_with("crm", fresh.owner_url(), &more);

    // Limits: what is used up here is used up there. The Redis is shared with other tests, the tenant with nobody.
    let limits = "/v1/platform/tenants/acme/rate-limits/per-key";
    let put = |crm: &Server, rule: &str| {
        let fields = "Authorization: Bearer operator-key\r\nGuardian-Reason: a test of two processes\r\n\
                      Content-Type: application/json\r\n";
        crm.raw("PUT", limits, fields, &json!({ "rule": rule }).to_string()).status
    };
    assert_eq!(put(&one, "1/h burst 6"), 200);
    eventually(|| {
        two.send("GET", "/contacts", ACME, "").field("ratelimit-policy").join(",").contains("q=6;w=21600")
    });
    let codes: Vec<u16> = (0..12)
        .map(|n| if n % 2 == 0 { &one } else { &two })
        .map(|crm| crm.send("GET", "/contacts", ACME, "").status)
        .collect();
    assert!(codes.iter().filter(|code| **code == 200).count() <= 5, "{codes:?}");
    assert_eq!(codes.last(), Some(&429));

    // Addresses and quotas.
    let rules = "allow 127.0.0.1\ndeny 203.0.113.0/24";
    assert_eq!(one.send("PUT", "/addresses", GLOBEX, rules).status, 200);
    eventually(|| two.send_from("203.0.113.9", "GET", "/contacts", GLOBEX).status == 403);
    let used = |crm: &Server| crm.send("GET", "/usage", GLOBEX, "").body["usage"]["records"]["used"].clone();
    let deal = |title: &str| json!({"title": title, "amount_cents": 990_000, "stage": "won"}).to_string();
    assert_eq!(one.send("POST", "/deals", GLOBEX, &deal("A")).status, 201);
    assert_eq!(two.send("POST", "/deals", GLOBEX, &deal("B")).status, 201);
    assert_eq!((used(&one), used(&two)), (json!(2), json!(2)));

    // Killed behind its answer: the other one does what it had promised.
    assert_eq!(one.send("POST", "/deals", GLOBEX, &deal("C")).status, 201);
    drop(one);
    eventually(|| {
        let notes = two.send("GET", "/notes", GLOBEX, "").body;
        let notes = notes["items"].as_array().unwrap();
        let of = |title: &str| {
            notes.iter().filter(|note| note["text"] == json!(format!("say thank you for {title}"))).count()
        };
        (of("A"), of("B"), of("C")) == (1, 1, 1)
    });
    let trail = two.send("GET", "/audit?q=action:deal.created", GLOBEX, "");
    assert_eq!(trail.body["items"].as_array().unwrap().len(), 3);
}
