//! Simulation, test tables, coverage, replays, bundles, pictures, JSON patches.

use guardian_workflow::picture::{Paints, layout, mermaid, svg, svg_of_difference};
use guardian_workflow::simulate::{Stubs, TestTable, replay, run_table, simulate};
use guardian_workflow::{Bundle, Catalog, Definition, JsonPatch, Note, Outcome, Start};
use serde_json::{Value, json};

use crate::world::{World, actions, block_on, flow, scope};

fn approval() -> Value {
    flow(
        "big",
        json!({
            "big": {"type": "condition", "branches": [{"port": "big", "when": "input.n > 100"}]},
            "ask": {"type": "approval", "prompt": "Pay?", "timeout": "2d"},
            "pay": {"type": "action", "action": "echo", "params": "=input.n", "output": "paid", "retry": [{"attempts": 3, "interval": "1h"}]},
            "ok": {"type": "end", "result": "=paid"},
            "no": {"type": "fail", "code": "refused"},
            "late": {"type": "fail", "code": "late"}
        }),
        &["big:big ask", "big:else pay", "ask:approved pay", "ask:rejected no", "ask:timeout late", "pay ok"],
    )
}

fn table() -> Value {
    json!({"stubs": {"actions": {"echo": {"result": "paid"}}}, "cases": [
        {"name": "small ones need nobody", "input": {"n": 5}, "expect": {"result": "paid", "path": ["big", "pay", "ok"], "calls": {"echo": 1}}},
        {"name": "big ones are asked", "input": {"n": 500}, "stubs": {"decisions": {"ask": true}}, "expect": {"result": "paid", "visits": ["ask"]}},
        {"name": "no is no", "input": {"n": 500}, "stubs": {"decisions": {"ask": false}}, "expect": {"failure": "refused", "avoids": ["pay"]}},
        {"name": "nobody says anything", "input": {"n": 500}, "expect": {"failure": "late"}},
        {"name": "it is tried again", "input": {"n": 5}, "stubs": {"actions": {"pay": [{"fail": "x"}, {"result": "late but paid"}]}},
            "expect": {"result": "late but paid", "variables": {"paid": "late but paid"}}}
    ]})
}

#[test]
fn a_table_of_tests_and_what_it_covers() {
    let definition = Definition::from_value(approval()).unwrap();
    let mut table: TestTable = serde_json::from_value(table()).unwrap();
    let report = run_table(&definition, actions().catalog(), &table).unwrap();
    assert!(report.passed(), "{:?}", report.results);
    assert!(report.coverage.missed_nodes.is_empty() && report.coverage.missed_ways.is_empty());
    assert!(report.coverage.missed_conditions.is_empty());
    table.cases.truncate(1);
    table.cases[0].expect.result = Some(json!("other"));
    let report = run_table(&definition, actions().catalog(), &table).unwrap();
    assert_eq!(report.results[0].faults, ["expected the result `\"other\"`, found the result `\"paid\"`"]);
    assert_eq!(report.coverage.missed_nodes.len(), 3);
    assert!((report.coverage.node_share() - 0.5).abs() < 1e-9);
    assert!(report.coverage.missed_conditions.contains(&("big".to_owned(), "big".to_owned(), true)));
}

#[test]
fn what_waits_for_ever_is_said() {
    let definition = flow("w", json!({"w": {"type": "wait", "for": {"signal": {"name": "go"}}}}), &[]);
    let definition = Definition::from_value(definition).unwrap();
    let trace = simulate(&definition, &Catalog::new(), json!(null), &Stubs::default()).unwrap();
    assert_eq!((trace.outcome, trace.waiting), (None, vec!["w".to_owned()]));
    let stubs: Stubs = serde_json::from_value(json!({"signals": [{"name": "go", "at": "3h"}]})).unwrap();
    let trace = simulate(&definition, &Catalog::new(), json!(null), &stubs).unwrap();
    assert_eq!(
        (trace.outcome, trace.time.to_string()),
        (Some(Outcome::Result(json!(null))), "3h".to_owned())
    );
}

#[test]
fn a_recorded_run_is_replayed_in_another_version() {
    let world = World::new();
    world.publish("w", &approval());
    let id = world.start("w", json!({"n": 50}));
    let (history, outcome) = (world.history(id), world.run(id).state.outcome);
    let replayed = |definition: &Value| {
        let definition = Definition::from_value(definition.clone()).unwrap();
        replay(&definition, actions().catalog(), json!({"n": 50}), &history, outcome.clone()).unwrap()
    };
    assert!(replayed(&approval()).is_same());
    let mut stricter = approval();
    stricter["nodes"]["big"]["branches"][0]["when"] = json!("input.n > 10");
    let found = replayed(&stricter);
    assert!(!found.is_same());
    assert_eq!(found.parts_at.unwrap().0, 0);
    assert_eq!(found.after.path().collect::<Vec<_>>(), ["big", "ask", "late"]);
    let mut more = approval();
    more["nodes"]["tell"] = json!({"type": "action", "action": "echo"});
    more["edges"].as_array_mut().unwrap().retain(|edge| edge["from"] != json!("pay"));
    more["edges"]
        .as_array_mut()
        .unwrap()
        .extend([json!({"from": "pay", "to": "tell"}), json!({"from": "tell", "to": "ok"})]);
    assert_eq!(replayed(&more).unknown, ["tell"]);
}

#[test]
fn a_bundle_goes_elsewhere_with_its_versions() {
    let world = World::new();
    world.publish("w", &approval());
    let mut second = approval();
    second["nodes"]["big"]["branches"][0]["when"] = json!("input.n > 10");
    world.publish("w", &second);
    let other = World::new();
    block_on(async {
        let bundle = world.library.export(&scope(), "w").await.unwrap().signed("key-1", <[u8]>::to_vec);
        let text = bundle.to_json();
        let read = Bundle::from_json(&text).unwrap();
        assert_eq!(read, bundle);
        assert!(read.is_signed(|key, hash, signature| key == "key-1" && hash == signature));
        assert!(
            Bundle::from_json(&text.replace("n > 10\"", "n > 11\""))
                .unwrap_err()
                .to_string()
                .contains("version 2")
        );
        assert!(
            Bundle::from_json(&text.replace("user", "service"))
                .unwrap_err()
                .to_string()
                .contains("its versions")
        );
        let report = other.library.import_bundle(&scope(), "copy", &read).await.unwrap();
        assert!(report.missing_actions.is_empty() && report.left_out.is_empty());
        assert_eq!(report.update.unwrap().workflow.draft, 2);
        let copied = other.library.version(&scope(), "copy", 1).await.unwrap();
        assert_eq!(copied.hash, read.versions[0].hash);
        let bare = guardian_workflow::Library::new(
            other.library.store().clone(),
            Catalog::new(),
            other.clock.clone(),
        );
        let report = bare.import_bundle(&scope(), "none", &read).await.unwrap();
        assert_eq!(report.missing_actions.iter().collect::<Vec<_>>(), ["echo"]);
        assert!(report.update.is_none());
    });
}

#[test]
fn pictures_are_whole_and_safe() {
    let mut value = approval();
    value["nodes"]["pay"]["name"] = json!("<script>alert(\"&\")</script>");
    value["edges"].as_array_mut().unwrap().push(json!({"from": "pay", "port": "error", "to": "r"}));
    value["nodes"]["r"] = json!({"type": "repeat", "max": 2});
    value["edges"].as_array_mut().unwrap().push(json!({"from": "r", "to": "pay"}));
    let definition = Definition::from_value(value.clone()).unwrap();
    let places = layout(&definition);
    let mut seen = std::collections::BTreeSet::new();
    assert!(places.places.values().all(|place| seen.insert((place.x, place.y))), "two nodes at one place");
    assert_eq!(places.places.len(), definition.nodes.len());
    for edge in &definition.edges {
        let below = places.places[&edge.to].y > places.places[&edge.from].y;
        assert!(below || edge.from.as_str() == "r", "{edge:?} leads up");
    }
    let picture = svg(&definition, &Paints::default());
    assert!(!picture.contains("<script>") && picture.contains("&lt;script&gt;"));
    assert_eq!(
        picture.matches("<rect").count() + picture.matches("<polygon").count(),
        definition.nodes.len() + 1
    );
    assert_eq!(picture.matches("marker-end").count(), definition.edges.len());
    let mut changed = value;
    changed["nodes"]["new"] = json!({"type": "end"});
    let both = svg_of_difference(&definition, &Definition::from_value(changed).unwrap());
    assert!(both.contains("#bbf7d0"));
    let chart = mermaid(&definition);
    assert_eq!(chart.lines().count(), 1 + definition.nodes.len() + definition.edges.len());
    assert!(!chart.contains("<script>"));
    let world = World::new();
    world.publish("w", &approval());
    let id = world.start("w", json!({"n": 5}));
    let run = Definition::from_value(approval()).unwrap();
    let paints = Paints::of_run(&run, &world.history(id));
    assert_eq!((paints.nodes.len(), paints.edges.len()), (3, 2));
}

#[test]
fn patches_of_rfc_6902() {
    let apply = |document: Value, patch: Value| {
        JsonPatch::from_value(&patch)
            .and_then(|patch| patch.apply(&document))
            .map_err(|error| error.to_string())
    };
    // The examples of appendix A.
    assert_eq!(
        apply(json!({"foo": "bar"}), json!([{"op": "add", "path": "/baz", "value": "qux"}])),
        Ok(json!({"baz": "qux", "foo": "bar"}))
    );
    assert_eq!(
        apply(json!({"foo": ["bar", "baz"]}), json!([{"op": "add", "path": "/foo/1", "value": "qux"}])),
        Ok(json!({"foo": ["bar", "qux", "baz"]}))
    );
    assert_eq!(
        apply(
            json!({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {}}),
            json!([{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}])
        ),
        Ok(json!({"foo": {"bar": "baz"}, "qux": {"thud": "fred"}}))
    );
    assert_eq!(
        apply(json!({"/": 9, "~1": 10}), json!([{"op": "test", "path": "/~01", "value": 10}])),
        Ok(json!({"/": 9, "~1": 10}))
    );
    for patch in [
        json!([{"op": "test", "path": "/a", "value": "1"}]),
        json!([{"op": "add", "path": "/b/c", "value": 1}]),
        json!([{"op": "remove", "path": "/b"}]),
        json!([{"op": "replace", "path": "/b", "value": 1}]),
        json!([{"op": "add", "path": "a", "value": 1}]),
        json!([{"op": "nothing", "path": "/a"}]),
        json!([{"op": "add", "path": "/a"}]),
        json!({"op": "add"}),
        json!([{"op": "move", "from": "/a", "path": "/a/b"}]),
        json!([{"op": "add", "path": "/l/01", "value": 1}]),
    ] {
        assert!(apply(json!({"a": 1, "l": [1, 2]}), patch.clone()).is_err(), "{patch}");
    }
    let doubling: Vec<Value> = (0..40).map(|_| json!({"op": "copy", "from": "/x", "path": "/x/-"})).collect();
    assert!(apply(json!({"x": [1]}), Value::Array(doubling)).unwrap_err().contains("more than"));
}

#[test]
fn events_and_schedules_start_runs_once() {
    use guardian_core::{Actor, Clock, Event, Scope};
    let world = World::new();
    let mut definition = flow("e", json!({"e": {"type": "end", "result": "=input.data.id"}}), &[]);
    definition["triggers"] = json!({"won": {"type": "event", "event": "deal.*", "filter": "event.data.amount > 10"},
        "nightly": {"type": "schedule", "at": "0 3 * * *"}});
    world.publish("w", &definition);
    let by = Scope::new(scope().tenant().clone(), Actor::user("bob").unwrap());
    let event = |name: &str, amount: i64| {
        Event::new(uuid(amount), world.clock.now(), &by, name)
            .with_data(json!({"id": amount, "amount": amount}))
    };
    block_on(async {
        let started = world.engine.on_event(&event("deal.won", 50)).await.unwrap();
        assert_eq!(started.len(), 1);
        assert_eq!(world.engine.on_event(&event("deal.won", 50)).await.unwrap(), started);
        assert!(world.engine.on_event(&event("deal.won", 5)).await.unwrap().is_empty());
        assert!(world.engine.on_event(&event("contact.new", 50)).await.unwrap().is_empty());
        let now = world.clock.now();
        let later = now + std::time::Duration::from_secs(3 * 24 * 3600);
        let started = world.engine.on_schedule(&scope(), now, later).await.unwrap();
        assert_eq!(started.len(), 3);
        assert_eq!(world.engine.on_schedule(&scope(), now, later).await.unwrap(), started);
        world.library.archive(&scope(), "w", true).await.unwrap();
        assert!(world.engine.on_event(&event("deal.won", 60)).await.unwrap().is_empty());
        assert!(world.engine.start(&scope(), "w", Start::default()).await.is_err());
    });
    let _ = Note::default();
}

fn uuid(from: i64) -> uuid::Uuid {
    uuid::Uuid::from_u128(u128::try_from(from).unwrap())
}
