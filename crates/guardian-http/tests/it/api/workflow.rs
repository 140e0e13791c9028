use guardian_core::{Actor, Scope, SystemClock, SystemIds};
use guardian_http::api::workflow::{ByName, api};
use guardian_workflow::{Actions, Engine, Library, MemoryStore, Worker, WorkerConfig};
use serde_json::{Value, json};

use super::contract::{Contract, plain, scope, with};

/// Waits for a signal, asks somebody, ends.
fn definition(prompt: &str) -> Value {
    json!({
        "schema": 1, "name": "Follow up", "start": "wait",
        "nodes": {
            "wait": {"type": "wait", "for": {"signal": {"name": "paid"}}},
            "ask": {"type": "approval", "prompt": prompt, "approvers": ["user:ann"], "timeout": "2d"},
            "end": {"type": "end"}
        },
        "edges": [
            {"from": "wait", "port": "next", "to": "ask"},
            {"from": "ask", "port": "approved", "to": "end"}
        ]
    })
}

#[tokio::test]
async fn the_api_of_workflows_keeps_its_word() {
    let store = std::sync::Arc::new(MemoryStore::new());
    let actions = Actions::new();
    let library = Library::new(store.clone(), actions.catalog().clone(), SystemClock::new());
    let engine = Engine::new(store, actions, SystemClock::new(), SystemIds::new());
    let worker = Worker::new(&engine, WorkerConfig::default());
    let mut contract = Contract::unguarded(api(library, engine, ByName));

    // Definitions and versions.
    let checked = with(json!({"definition": definition("Ship?")}));
    let checked = contract.expect(200, "POST", "/workflow-validations", checked).await;
    assert_eq!(checked.body["valid"], true, "{}", checked.body);
    let mut faulty = definition("Ship?");
    faulty["edges"][0]["to"] = json!("moon");
    let report =
        contract.expect(200, "POST", "/workflow-validations", with(json!({"definition": faulty}))).await;
    assert_eq!(report.body["valid"], false);
    let one = "/workflows/{workflow=follow-up}";
    contract.expect(422, "PUT", one, with(json!({"definition": faulty})).if_match("*")).await;
    contract.expect(400, "PUT", one, with(json!({"definition": {"nodes": 7}})).if_match("*")).await;
    contract.expect(428, "PUT", one, with(json!({"definition": definition("Ship?")}))).await;
    let mut placed = definition("Ship?");
    placed["layout"] = json!({"wait": {"x": 10, "y": 20}});
    let first = with(json!({"definition": placed, "message": "the first one"})).if_match("\"0\"");
    let made = contract.expect(200, "PUT", one, first.clone()).await;
    contract.expect(412, "PUT", one, first).await;
    let again = with(json!({"definition": made.body["draft"]["definition"], "message": "as it was read"}));
    let again = contract.expect(200, "PUT", one, again.if_match(made.etag.clone().unwrap())).await;
    assert_eq!(
        (&again.etag, &again.body),
        (&made.etag, &made.body),
        "nothing changed, not the layout either"
    );
    assert_eq!(
        (made.etag.as_deref(), &made.body["draft"]["message"]),
        (Some("\"1\""), &json!("the first one"))
    );
    let second = with(json!({"definition": definition("Ship it?")}));
    contract.expect(200, "PUT", one, second.clone().if_match("\"1\"")).await;
    let late = with(json!({"definition": definition("Too late?")})).if_match("\"1\"");
    contract.expect(412, "PUT", one, late).await;
    let read = contract.expect(200, "GET", one, plain()).await;
    assert_eq!(read.etag.as_deref(), Some("\"2\""));
    contract.expect(304, "GET", one, plain().header("if-none-match", "\"2\"")).await;
    let versions = contract.expect(200, "GET", &format!("{one}/versions?size=1"), plain()).await;
    assert_eq!(versions.body["items"][0]["number"], 2);
    let next = versions.body["next"].as_str().unwrap();
    let older = contract.expect(200, "GET", &format!("{one}/versions?size=1&after={next}"), plain()).await;
    assert_eq!(older.body["items"][0]["number"], 1);
    contract.expect(200, "GET", &format!("{one}/versions/{{version=1}}"), plain()).await;
    contract.expect(404, "GET", &format!("{one}/versions/{{version=9}}"), plain()).await;
    let diff =
        contract.expect(200, "GET", &format!("{one}/versions/{{version=2}}/diff?from=1"), plain()).await;
    assert_eq!(diff.body["changes"].as_array().unwrap().len(), 1, "{}", diff.body);

    // Channels.
    let version = |number: u64| with(json!({"version": number}));
    contract.expect(409, "POST", &format!("{one}/runs"), with(json!({}))).await;
    contract.expect(404, "POST", "/workflows/{workflow=moon}/runs", with(json!({}))).await;
    contract.expect(428, "PUT", &format!("{one}/publication"), version(1)).await;
    contract.expect(412, "PUT", &format!("{one}/publication"), version(1).if_match("\"1\"")).await;
    let before = contract.expect(200, "GET", one, plain()).await.etag.unwrap();
    let published =
        contract.expect(200, "PUT", &format!("{one}/publication"), version(1).if_match("*")).await;
    assert_eq!(published.body["published"], 1);
    // What a reader holds is old now, although no version was made.
    let read = contract.expect(200, "GET", one, plain().header("if-none-match", before)).await;
    assert_eq!(read.body["published"], 1);
    contract.expect(404, "PUT", &format!("{one}/publication"), version(9).if_match("*")).await;
    // A draft is started by nobody.
    contract.expect(409, "POST", &format!("{one}/runs"), version(2)).await;
    contract.expect(404, "POST", &format!("{one}/runs"), version(9)).await;
    contract
        .expect(
            400,
            "PUT",
            &format!("{one}/canary"),
            with(json!({"version": 2, "weight": 101})).if_match("*"),
        )
        .await;
    contract
        .expect(200, "PUT", &format!("{one}/canary"), with(json!({"version": 2, "weight": 0})).if_match("*"))
        .await;
    contract
        .expect(200, "PUT", &format!("{one}/archived"), with(json!({"archived": true})).if_match("*"))
        .await;
    contract.expect(409, "POST", &format!("{one}/runs"), version(1)).await;
    contract
        .expect(200, "PUT", &format!("{one}/archived"), with(json!({"archived": false})).if_match("*"))
        .await;
    assert_eq!(
        contract.expect(200, "GET", "/workflows", plain()).await.body["items"][0]["name"],
        "follow-up"
    );

    // A run, once by its key.
    let begin = with(json!({"input": {"deal": 7}})).header("idempotency-key", "deal-7");
    let started = contract.expect(201, "POST", &format!("{one}/runs"), begin.clone()).await;
    let again = contract.expect(201, "POST", &format!("{one}/runs"), begin).await;
    assert_eq!(started.body, again.body);
    let other = with(json!({"input": {"deal": 8}})).header("idempotency-key", "deal-7");
    contract.expect(409, "POST", &format!("{one}/runs"), other).await;
    let run = format!("/runs/{{run={}}}", started.body["id"].as_str().unwrap());
    worker.run_once().await.unwrap();
    let shown = contract.expect(200, "GET", &run, plain()).await;
    assert_eq!(
        (&shown.body["status"], &shown.body["positions"][0]["doing"]),
        (&json!("running"), &json!("listening"))
    );
    let listed = contract.expect(200, "GET", "/runs?workflow=follow-up&status=running", plain()).await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    contract.expect(400, "GET", "/runs?status=odd", plain()).await;
    // It goes on where the newest version is the same there.
    let moved = contract.expect(200, "GET", &format!("{run}/migration?to=2"), plain()).await;
    assert_eq!(moved.body["possible"], true, "{}", moved.body);
    contract.expect(202, "POST", &format!("{run}/migration"), version(2)).await;
    worker.run_once().await.unwrap();
    contract.expect(202, "POST", &format!("{run}/pause"), plain()).await;
    contract.expect(202, "POST", &format!("{run}/resume"), plain()).await;
    contract
        .expect(202, "POST", &format!("{run}/signals"), with(json!({"name": "paid", "payload": {"sum": 1}})))
        .await;
    worker.run_once().await.unwrap();
    let asked = contract.expect(200, "GET", &run, plain()).await;
    assert_eq!(
        (&asked.body["version"], &asked.body["positions"][0]["prompt"]),
        (&json!(2), &json!("Ship it?"))
    );
    // Another tenant knows nothing of it.
    contract.scope = Some(scope("umbrella"));
    contract.expect(404, "GET", &run, plain()).await;
    contract.expect(404, "GET", &format!("{run}/history"), plain()).await;
    contract.expect(404, "POST", &format!("{run}/pause"), plain()).await;
    contract.expect(404, "GET", one, plain()).await;
    contract.scope = Some(scope("acme"));
    contract
        .expect(409, "POST", &format!("{run}/decisions"), with(json!({"node": "wait", "approved": true})))
        .await;
    let yes = with(json!({"node": "ask", "approved": true, "comment": "fine"}));
    // Whoever may run workflows may not therefore decide for the one who is asked.
    let ann = contract.scope.replace(Scope::new(scope("acme").tenant().clone(), Actor::user("bob").unwrap()));
    contract.expect(403, "POST", &format!("{run}/decisions"), yes.clone()).await;
    contract.scope = ann;
    contract.expect(202, "POST", &format!("{run}/decisions"), yes).await;
    worker.run_once().await.unwrap();
    let ended = contract.expect(200, "GET", &run, plain()).await;
    assert_eq!(ended.body["status"], "completed", "{}", ended.body);
    let first = contract.expect(200, "GET", &format!("{run}/history?size=1"), plain()).await;
    assert_eq!(first.body["items"].as_array().unwrap().len(), 1, "{}", first.body);
    let next = first.body["next"].as_str().unwrap();
    let history = contract.expect(200, "GET", &format!("{run}/history?after={next}"), plain()).await;
    assert_eq!((&history.body["items"][0]["number"], &history.body["next"]), (&json!(2), &json!(null)));

    // The same as a stream, and again from where a client was.
    let stream = format!("{run}/history/stream");
    let told = contract.expect(200, "GET", &stream, plain()).await;
    let told = told.body.as_str().unwrap();
    assert!(told.starts_with("retry: 2000\n\nid: 1\nevent: entry\ndata: {"), "{told}");
    assert!(told.contains("event: end\ndata: {\"status\":\"completed\"}"), "{told}");
    let again = contract.expect(200, "GET", &stream, plain().header("last-event-id", "1")).await;
    assert!(
        again.body.as_str().unwrap().starts_with("retry: 2000\n\nid: 2\nevent: entry\n"),
        "{}",
        again.body
    );
    for wrong in ["one", "1000"] {
        contract.expect(400, "GET", &stream, plain().header("last-event-id", wrong)).await;
    }
    contract.scope = Some(scope("umbrella"));
    contract.expect(404, "GET", &stream, plain()).await;
    contract.scope = Some(scope("acme"));

    // One that is cancelled goes on.
    let other = contract.expect(201, "POST", &format!("{one}/runs"), with(json!({}))).await;
    let run = format!("/runs/{{run={}}}", other.body["id"].as_str().unwrap());
    contract
        .expect(202, "POST", &format!("{run}/cancellation"), with(json!({"reason": "no longer needed"})))
        .await;
    worker.run_once().await.unwrap();
    contract.expect(409, "POST", &format!("{run}/pause"), plain()).await;
    contract.expect(422, "POST", &format!("{run}/retry"), with(json!({"node": "moon"}))).await;
    contract.expect(202, "POST", &format!("{run}/retry"), with(json!({"node": "wait"}))).await;
    contract.expect(200, "POST", &format!("{one}/rollback"), version(1).if_match("*")).await;
    contract.finish().await;
}

#[tokio::test]
async fn one_thing_that_is_wrong_never_makes_workflows_fail() {
    let store = std::sync::Arc::new(MemoryStore::new());
    let actions = Actions::new();
    let library = Library::new(store.clone(), actions.catalog().clone(), SystemClock::new());
    let engine = Engine::new(store, actions, SystemClock::new(), SystemIds::new());
    let worker = Worker::new(&engine, WorkerConfig::default());
    let mut contract = Contract::unguarded(api(library, engine, ByName));
    let one = "/workflows/{workflow=follow-up}";
    contract.expect(200, "PUT", one, with(json!({"definition": definition("Ship?")})).if_match("*")).await;
    contract
        .expect(200, "PUT", &format!("{one}/publication"), with(json!({"version": 1})).if_match("*"))
        .await;
    let started = contract.expect(201, "POST", &format!("{one}/runs"), with(json!({}))).await;
    worker.run_once().await.unwrap();
    let known = [("workflow", "follow-up"), ("version", "1"), ("run", started.body["id"].as_str().unwrap())];
    let sent = contract.mutants(&known).await;
    assert!(sent > 1000, "{sent}");
}
