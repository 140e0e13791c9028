use std::sync::Arc;
use std::time::Duration;

use guardian_audit::checkpoint::{CheckpointPolicy, Ed25519Signer, KeyRing, Notary, Sealer, Signer as _};
use guardian_audit::keys::MemoryKeys;
use guardian_audit::store::MemoryStore;
use guardian_audit::{AuditConfig, AuditEvent, AuditLog, PersonalData};
use guardian_core::{Actor, Clock as _, IdSource as _, ManualClock, Scope, SeededIds, TenantId};
use guardian_http::api::audit::api;
use serde_json::{Value, json};

use super::contract::{Contract, plain, scope, with};

const WHY: &str = "ticket 4711: a subpoena";

struct World {
    contract: Contract,
    log: AuditLog<Arc<MemoryStore>>,
    clock: ManualClock,
    sealer: Sealer,
}

fn world() -> World {
    let clock = ManualClock::at("2026-03-02T12:00:00Z".parse().unwrap());
    let config = AuditConfig::default()
        .with_clock(clock.clone())
        .with_personal_data(PersonalData::default(), MemoryKeys::new());
    let log = AuditLog::new(Arc::new(MemoryStore::new()), config);
    let signer = Ed25519Signer::from_seed("audit.example.com/2026", &[7; 32]).unwrap();
    let ring = KeyRing::new().accept(signer.verifying_key().clone());
    let policy = CheckpointPolicy::default().with_signatures(1, Duration::from_secs(10));
    let contract = Contract::unguarded(api(log.clone(), ring));
    World { contract, log, clock, sealer: Sealer::new(Notary::new(signer, policy)) }
}

fn items(body: &Value) -> &Vec<Value> {
    body["items"].as_array().unwrap()
}

#[tokio::test]
async fn the_api_of_the_audit_log_keeps_its_word() {
    let mut world = world();
    recording(&mut world).await;
    searching(&mut world.contract).await;
    figures(&mut world.contract).await;
    proof(&mut world).await;
    exports(&mut world.contract).await;
    following(&mut world.contract).await;
    others(&mut world.contract).await;
    keeping(&mut world).await;
    world.contract.finish().await;
}

async fn recording(world: &mut World) {
    let contract = &mut world.contract;
    let id = "019531a0-7c00-7000-8000-000000000004";
    let event = json!({
        "id": id, "action": "deal.updated", "target": {"kind": "deal", "id": "d_42", "name": "Acme renewal"},
        "changes": [{"path": "/stage", "before": null, "after": "won"}],
        "message": "=HYPERLINK(1)", "metadata": {"pipeline": "enterprise"},
    });
    let made = contract.expect(201, "POST", "/audit/events", with(event.clone())).await;
    assert_eq!(made.body["sequence"], 0);
    assert_ne!(made.body["id"], id, "the log has an id of its own");
    let again = contract.expect(200, "POST", "/audit/events", with(event)).await;
    assert_eq!((&again.body["sequence"], &again.body["duplicate"]), (&json!(0), &json!(true)));
    assert_eq!(again.body["id"], made.body["id"]);
    for (wrong, status) in [
        (json!({"action": ""}), 400),
        (json!({"action": "a b"}), 400),
        (json!({"action": "a", "id": "7"}), 400),
        (json!({"action": "a", "occurred": "+99999-01-01T00:00:00Z"}), 400),
        (json!({"action": "a", "message": "x".repeat(20_000)}), 400),
        (json!({"action": "a", "outcome": "maybe"}), 400),
        (json!({"action": "a", "changes": [{"path": "x".repeat(1025)}]}), 400),
        // What the log records of itself is evidence, and nobody else's to write.
        (json!({"action": "audit_log.verified"}), 422),
        (json!({"action": "audit_log.hold_lifted"}), 422),
        (json!({"action": "data_subject.erased"}), 422),
        (json!({"action": "deal.updated", "category": "audit_log"}), 422),
        // Who did it is not the caller's to say.
        (json!({"action": "a", "actor": {"kind": "user", "id": "bob"}}), 400),
    ] {
        contract.expect(status, "POST", "/audit/events", with(wrong)).await;
    }
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    contract
        .expect(400, "POST", "/audit/events", with(json!({"action": "a", "metadata": {"x": deep}})))
        .await;
    for number in 0..5 {
        world.clock.advance(Duration::from_secs(3600));
        let event = json!({"action": "user.login", "outcome": "failure", "metadata": {"number": number}});
        contract.expect(201, "POST", "/audit/events", with(event)).await;
    }
}

async fn searching(contract: &mut Contract) {
    let found = contract.expect(200, "GET", "/audit/events?q=action:deal.*", plain()).await;
    let deal = &items(&found.body)[0];
    assert_eq!((&deal["actor"]["id"], &deal["category"]), (&json!("ann"), &json!("deal")));
    assert_eq!(deal["changes"], json!([{"path": "/stage", "before": null, "after": "won"}]));
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = contract
            .expect(200, "GET", &format!("/audit/events?q=action:user.login&size=2{next}"), plain())
            .await;
        seen.extend(items(&page.body).iter().map(|event| event["metadata"]["number"].as_u64().unwrap()));
        match page.body["next"].as_str() {
            Some(cursor) => next = format!("&after={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, [4, 3, 2, 1, 0]);
    // A cursor is good for its query alone.
    contract.expect(400, "GET", &format!("/audit/events?q=action:deal.*{next}"), plain()).await;
    for wrong in ["q=(", "q=colour:red", "q=risk:none", "q=%00", "size=0", "after=00", "query=x"] {
        contract.expect(400, "GET", &format!("/audit/events?{wrong}"), plain()).await;
    }
    let long = "a".repeat(4097);
    contract.expect(400, "GET", &format!("/audit/events?q={long}"), plain()).await;
    let one = contract.expect(200, "GET", "/audit/events/{sequence=0}", plain()).await;
    assert_eq!(one.body, *deal);
    for none in ["9999", "-1", "x", "18446744073709551615"] {
        contract.expect(404, "GET", &format!("/audit/events/{{sequence={none}}}"), plain()).await;
    }
    let of_ann = "/audit/subjects/{kind=user}/{id=ann}/events?size=1";
    let of_ann = contract.expect(200, "GET", of_ann, plain()).await;
    assert_eq!(items(&of_ann.body).len(), 1);
}

async fn figures(contract: &mut Contract) {
    let count = contract.expect(200, "GET", "/audit/count?q=action:user.login", plain()).await;
    assert_eq!(count.body, json!({"count": 5, "exact": true}));
    let least = contract.expect(200, "GET", "/audit/count?q=action:user.login&limit=2", plain()).await;
    assert_eq!(least.body, json!({"count": 2, "exact": false}));
    contract.expect(400, "GET", "/audit/count?limit=0", plain()).await;
    let facets =
        contract.expect(200, "GET", "/audit/facets?dimension=outcome&q=action:user.*", plain()).await;
    assert_eq!(facets.body["items"], json!([{"value": "failure", "count": 5}]));
    for wrong in ["dimension=colour", "dimension=action&size=0", "q=x"] {
        contract.expect(400, "GET", &format!("/audit/facets?{wrong}"), plain()).await;
    }
    let day = "since=2026-03-02T12:00:00Z&until=2026-03-02T18:00:00Z";
    let hours = contract
        .expect(200, "GET", &format!("/audit/histogram?q=action:user.login&buckets=6&{day}"), plain())
        .await;
    let counts: Vec<_> = items(&hours.body).iter().map(|part| part["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [0, 1, 1, 1, 1, 1]);
    for wrong in [
        "",
        "since=2026-03-02T12:00:00Z",
        &format!("{day}&buckets=0"),
        &format!("{day}&buckets=4294967295"),
        "since=2026-03-02T12:00:00Z&until=2026-03-02T12:00:00Z",
    ] {
        contract.expect(400, "GET", &format!("/audit/histogram?{wrong}"), plain()).await;
    }
}

async fn proof(world: &mut World) {
    let contract = &mut world.contract;
    let none = contract.expect(200, "GET", "/audit/checkpoints", plain()).await;
    assert_eq!(none.body["items"], json!([]));
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(60));
        contract.expect(201, "POST", "/audit/events", with(json!({"action": "deal.seen"}))).await;
        let made = world.sealer.run_once(&world.log, &scope("acme"), world.clock.now()).await.unwrap();
        assert!(made.is_some());
    }
    let head = contract.expect(200, "GET", "/audit/head", plain()).await;
    let page = contract.expect(200, "GET", "/audit/checkpoints?size=2", plain()).await;
    let newest = &items(&page.body)[0];
    assert_eq!((&newest["size"], &newest["root"]), (&head.body["size"], &head.body["root"]));
    assert!(newest["note"].as_str().unwrap().contains("audit.example.com/2026"));
    let next = page.body["next"].as_str().unwrap();
    let rest = contract.expect(200, "GET", &format!("/audit/checkpoints?size=2&after={next}"), plain()).await;
    assert_eq!((items(&rest.body).len(), &rest.body["next"]), (1, &Value::Null));
    contract.expect(400, "GET", "/audit/checkpoints?after=00", plain()).await;
    let one = contract
        .expect(200, "GET", &format!("/audit/checkpoints/{{size={}}}", newest["size"]), plain())
        .await;
    assert_eq!(one.body, *newest);
    contract.expect(404, "GET", "/audit/checkpoints/{size=1}", plain()).await;
    contract.expect(404, "GET", "/audit/checkpoints/{size=x}", plain()).await;
    let keys = contract.expect(200, "GET", "/audit/keys", plain()).await;
    assert_eq!(items(&keys.body)[0]["id"], newest["keys"][0]);

    let verified = contract.expect(200, "POST", "/audit/verify", plain()).await;
    assert_eq!(
        (&verified.body["intact"], &verified.body["sealed"]),
        (&json!(true), &newest["size"]),
        "{}",
        verified.body
    );
    assert_eq!(verified.body["root"], head.body["root"]);
    // That somebody verified is an event, which no checkpoint covers yet.
    let again = contract.expect(200, "POST", "/audit/verify", plain()).await;
    assert_eq!(again.body["unsealed"], 1);
    let seen = contract.expect(200, "GET", "/audit/events?q=action:audit_log.verified", plain()).await;
    assert_eq!(items(&seen.body).len(), 2);
}

async fn exports(contract: &mut Contract) {
    let csv = contract.expect(200, "GET", "/audit/export/csv?q=action:deal.updated", plain()).await;
    let csv = csv.body.as_str().unwrap();
    assert!(csv.contains("'=HYPERLINK(1)") && csv.contains("#manifest"), "{csv}");
    let lines = contract.expect(200, "GET", "/audit/export/ndjson?q=action:user.login", plain()).await;
    let lines: Vec<Value> =
        lines.body.as_str().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[5]["manifest"]["count"]), (6, &json!(5)));
    let ocsf = contract.expect(200, "GET", "/audit/export/ocsf", plain()).await;
    assert!(ocsf.body.as_str().unwrap().contains("class_uid"));
    contract.expect(400, "GET", "/audit/export/csv?q=(", plain()).await;
    contract.expect(400, "GET", "/audit/export/csv?format=pdf", plain()).await;
}

/// What comes is told in its order, each event once, wherever a client begins.
async fn following(contract: &mut Contract) {
    let ids = |text: &str| -> Vec<u64> {
        let blocks = text.split("\n\n").filter(|block| block.contains("event: audit"));
        blocks
            .map(|block| block.lines().next().unwrap().strip_prefix("id: ").unwrap().parse().unwrap())
            .collect()
    };
    let stream = "/audit/events/stream?q=action:user.login";
    let all = contract.expect(200, "GET", &format!("{stream}&from=0"), plain()).await;
    let all = ids(all.body.as_str().unwrap());
    assert_eq!(all.len(), 5);
    assert!(all.is_sorted());
    for (at, id) in all.iter().enumerate() {
        let rest = contract.expect(200, "GET", stream, plain().header("last-event-id", id.to_string())).await;
        assert_eq!(ids(rest.body.as_str().unwrap()), all[at + 1..], "behind {id}");
    }
    let now = contract.expect(200, "GET", stream, plain()).await;
    assert_eq!(ids(now.body.as_str().unwrap()), [0_u64; 0]);
    let looked =
        contract.expect(200, "GET", "/audit/events/stream?q=action:audit_log.followed&from=0", plain()).await;
    assert_eq!(ids(looked.body.as_str().unwrap()).len(), 8, "the log records who follows it");
    for wrong in ["from=99999", "from=x", "q=(", "after=00"] {
        contract.expect(400, "GET", &format!("/audit/events/stream?{wrong}"), plain()).await;
    }
    for wrong in ["x", "-1", "99999", "18446744073709551615"] {
        contract.expect(400, "GET", stream, plain().header("last-event-id", wrong)).await;
    }
    contract.scope = Some(scope("umbrella"));
    let theirs = contract.expect(200, "GET", "/audit/events/stream?from=0", plain()).await;
    assert_eq!(ids(theirs.body.as_str().unwrap()), [0], "of this look alone");
    contract.scope = Some(scope("acme"));
}

/// What is acme's is to umbrella as if it were not there.
async fn others(contract: &mut Contract) {
    let page = contract.expect(200, "GET", "/audit/events?size=1", plain()).await;
    let cursor = page.body["next"].as_str().unwrap().to_owned();
    let newest = contract.expect(200, "GET", "/audit/checkpoints?size=1", plain()).await;
    let size = &items(&newest.body)[0]["size"];
    contract.scope = Some(scope("umbrella"));
    let head = contract.expect(200, "GET", "/audit/head", plain()).await;
    assert_eq!(head.body["size"], json!(1), "that it was followed");
    contract.expect(404, "GET", "/audit/events/{sequence=9}", plain()).await;
    contract.expect(404, "GET", &format!("/audit/checkpoints/{{size={size}}}"), plain()).await;
    contract.expect(400, "GET", &format!("/audit/events?size=1&after={cursor}"), plain()).await;
    let found = contract.expect(200, "GET", "/audit/events?q=-action:audit_log.*", plain()).await;
    assert_eq!(found.body["items"], json!([]));
    let lines = contract.expect(200, "GET", "/audit/export/ndjson?q=action:deal.*", plain()).await;
    assert_eq!(lines.body.as_str().unwrap().lines().count(), 1, "the manifest alone");
    // The same id is another event there.
    let id = "019531a0-7c00-7000-8000-000000000004";
    contract.expect(201, "POST", "/audit/events", with(json!({"id": id, "action": "deal.updated"}))).await;
    contract.scope = Some(scope("acme"));
}

async fn keeping(world: &mut World) {
    let contract = &mut world.contract;
    let holds = "/platform/tenants/{tenant=acme}/audit/holds";
    let hold = format!("{holds}/{{hold=case-7}}");
    let new = with(json!({"query": "actor_id:ann"}));
    contract.expect(400, "PUT", &hold, new.clone()).await;
    let placed = contract.expect(200, "PUT", &hold, new.because(WHY)).await;
    assert_eq!((&placed.body["query"], &placed.body["reason"]), (&json!("actor_id:ann"), &json!(WHY)));
    contract.expect(400, "PUT", &hold, with(json!({"query": "("})).because(WHY)).await;
    contract
        .expect(400, "PUT", &format!("{holds}/{{hold=a%20b}}"), with(json!({"query": "x"})).because(WHY))
        .await;
    // An operator is nobody of the tenant's own.
    let told =
        contract.expect(200, "GET", "/audit/events?q=action:audit_log.hold_placed&size=1", plain()).await;
    let actor = &items(&told.body)[0]["actor"];
    assert_eq!((&actor["kind"], &actor["id"]), (&json!("service"), &json!("operator.user:ann")));
    let listed = contract.expect(200, "GET", holds, plain()).await;
    assert_eq!(items(&listed.body)[0]["name"], "case-7");
    let elsewhere =
        contract.expect(200, "GET", "/platform/tenants/{tenant=umbrella}/audit/holds", plain()).await;
    assert_eq!(elsewhere.body["items"], json!([]));

    let erase = "/platform/tenants/{tenant=acme}/audit/erasures";
    let ann = with(json!({"kind": "user", "id": "ann"})).because(WHY);
    contract.expect(409, "POST", erase, ann.clone()).await;
    let retain = "/platform/tenants/{tenant=acme}/audit/retention";
    world.clock.advance(Duration::from_secs(100 * 86_400));
    let rules = with(json!({"rules": [{"query": "action:user.login", "keep_days": 90}]})).because(WHY);
    let kept = contract.expect(200, "POST", retain, rules.clone()).await;
    assert_eq!(kept.body["dropped"], 0, "a hold keeps them");
    contract.expect(204, "DELETE", &hold, plain().because(WHY)).await;
    contract.expect(404, "DELETE", &hold, plain().because(WHY)).await;
    let dropped = contract.expect(200, "POST", retain, rules).await;
    assert_eq!(dropped.body, json!({"dropped": 5, "more": false}));
    for wrong in [
        json!({"rules": []}),
        json!({"rules": [{"query": "", "keep_days": 0}]}),
        json!({"rules": [{"query": "(", "keep_days": 1}]}),
        json!({"rules": [{"query": "", "keep_days": 1}], "limit": 0}),
    ] {
        contract.expect(400, "POST", retain, with(wrong).because(WHY)).await;
    }
    contract.expect(404, "GET", "/audit/events/{sequence=1}", plain()).await;
    let erased = contract.expect(200, "POST", erase, ann.clone()).await;
    assert_eq!(erased.body["key_destroyed"], true);
    let again = contract.expect(200, "POST", erase, ann).await;
    assert!(again.body["key_destroyed"].is_boolean());
    contract.expect(400, "POST", erase, with(json!({"kind": "", "id": "ann"})).because(WHY)).await;
    let sealed = contract.expect(200, "GET", "/audit/events/{sequence=0}", plain()).await;
    assert_eq!(sealed.body["sequence"], 0);
    // Whatever was dropped and forgotten, the log still proves what is there.
    let verified = contract.expect(200, "POST", "/audit/verify", plain()).await;
    assert_eq!(
        (&verified.body["intact"], &verified.body["dropped"]),
        (&json!(true), &json!(5)),
        "{}",
        verified.body
    );
}

#[tokio::test]
async fn one_thing_that_is_wrong_never_makes_the_log_fail() {
    let World { mut contract, log, clock, sealer } = world();
    contract.expect(201, "POST", "/audit/events", with(json!({"action": "deal.seen"}))).await;
    sealer.run_once(&log, &scope("acme"), clock.now()).await.unwrap();
    let known = [
        ("tenant", "acme"),
        ("hold", "case-7"),
        ("sequence", "0"),
        ("size", "1"),
        ("kind", "user"),
        ("id", "ann"),
    ];
    let sent = contract.mutants(&known).await;
    assert!(sent > 900, "{sent}");
}

#[tokio::test]
async fn a_log_without_keys_forgets_nobody_and_says_so() {
    let log = AuditLog::new(MemoryStore::new(), AuditConfig::default());
    let mut contract = Contract::unguarded(api(log, KeyRing::new()));
    let person = with(json!({"kind": "user", "id": "ann"})).because(WHY);
    contract.expect(422, "POST", "/platform/tenants/{tenant=acme}/audit/erasures", person).await;
}

#[tokio::test]
async fn nobody_takes_the_id_of_an_event_that_is_on_its_way() {
    let World { mut contract, log, clock, .. } = world();
    // Its id is seen by webhooks and runs before the log has heard of it.
    let told = SeededIds::new(7).next_id(clock.now());
    let fake = with(json!({"id": told.to_string(), "action": "deal.seen"}));
    contract.expect(201, "POST", "/audit/events", fake.clone()).await;
    let event = AuditEvent::new("role.granted").with_id(told);
    let receipt = log.record(&scope("acme"), event).await.unwrap();
    assert!(!receipt.duplicate);
    // Nor does one caller keep out what another one records.
    contract.scope = Some(Scope::new(TenantId::new("acme").unwrap(), Actor::user("bob").unwrap()));
    let other = contract.expect(201, "POST", "/audit/events", fake.clone()).await;
    assert_eq!(other.body["duplicate"], false);
    contract.expect(200, "POST", "/audit/events", fake).await;
    assert_eq!(log.head(&scope("acme")).await.unwrap().size, 3);
}
