//! What starts runs: events, schedules, webhooks, and that workflows are found by them.

use guardian_core::{Actor, Clock, Event, IdSource, Scope, SeededIds, TenantId};
use guardian_workflow::{Definition, Error, Note, Start};
use serde_json::{Value, json};

use crate::world::{World, block_on, flow, scope};

fn triggered(triggers: &Value) -> Value {
    let mut definition = flow("e", json!({"e": {"type": "end", "result": "=input"}}), &[]);
    definition["triggers"] = triggers.clone();
    definition
}

fn event(world: &World, scope: &Scope, name: &str, number: u64) -> Event {
    let now = world.clock.now();
    Event::new(SeededIds::new(number).next_id(now), now, scope, name).with_data(json!({"n": number}))
}

#[test]
fn events_start_those_who_listen_and_each_once() {
    let world = World::new();
    let on = |event: &str| {
        triggered(&json!({"t": {"type": "event", "event": event, "filter": "event.data.n > 0"}}))
    };
    world.publish("exact", &on("deal.won"));
    world.publish("deals", &on("deal.*"));
    world.publish("all", &on("*"));
    world.publish("other", &on("contact.*"));
    world.publish("retired", &on("deal.*"));
    block_on(world.library.archive(&scope(), "retired", true)).unwrap();
    // A draft listens to nothing yet, and a version that is published no more listens no more.
    let draft = Definition::from_value(on("deal.*")).unwrap();
    block_on(world.library.save(&scope(), "draft", &draft, &Note::default())).unwrap();
    world.publish("moved", &on("deal.*"));
    world.publish("moved", &on("contact.*"));

    let names = |event: &Event| {
        let runs = block_on(world.engine.on_event(event)).unwrap();
        let mut names: Vec<String> = runs.iter().map(|run| world.run(*run).workflow).collect();
        names.sort();
        names
    };
    let won = event(&world, &scope(), "deal.won", 7);
    assert_eq!(names(&won), ["all", "deals", "exact"]);
    assert_eq!(names(&won), ["all", "deals", "exact"], "it came again");
    let page = guardian_core::PageRequest::first(100).unwrap();
    let runs = block_on(world.engine.runs(&scope(), &guardian_workflow::RunFilter::new(), &page)).unwrap();
    assert_eq!(runs.items.len(), 3, "an event that comes twice starts runs once");
    assert_eq!(names(&event(&world, &scope(), "dealing", 8)), ["all"]);
    // Nothing of another tenant.
    let other = Scope::new(TenantId::new("globex").unwrap(), Actor::user("eve").unwrap());
    assert!(block_on(world.engine.on_event(&event(&world, &other, "deal.won", 9))).unwrap().is_empty());
}

#[test]
fn a_schedule_whose_workflow_does_not_take_it_keeps_no_other_from_starting() {
    let world = World::new();
    let mut picky = triggered(&json!({"t": {"type": "schedule", "at": "every 1h"}}));
    picky["input"] = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    world.publish("a", &picky);
    world.publish("b", &triggered(&json!({"t": {"type": "schedule", "at": "every 1h"}})));
    let from = world.clock.now();
    let to = from + std::time::Duration::from_secs(3 * 3600);
    let started = block_on(world.engine.on_schedule(&scope(), from, to)).unwrap();
    assert_eq!(started.len(), 3);
    assert_eq!(block_on(world.engine.on_schedule(&scope(), from, to)).unwrap(), started);
}

#[test]
fn a_webhook_is_found_by_its_path() {
    let world = World::new();
    let hook = |path: &str| triggered(&json!({"in": {"type": "webhook", "path": path}}));
    world.publish("orders", &hook("/orders"));
    world.publish("bills", &hook("/bills"));
    let call = |path: &str, key: Option<&str>| {
        block_on(world.engine.on_webhook(&scope(), path, json!({"n": 1}), key)).unwrap()
    };
    let run = call("/orders", None).unwrap();
    let found = world.run(run);
    assert_eq!((found.workflow.as_str(), found.trigger.as_str()), ("orders", "in"));
    assert_eq!(found.state.input(), &json!({"n": 1}));
    assert_eq!(call("/nothing", None), None);
    // Two deliveries of one call.
    assert_eq!(call("/bills", Some("d1")), call("/bills", Some("d1")));
    assert_ne!(call("/bills", Some("d1")), call("/bills", Some("d2")));
    let found = block_on(world.engine.webhook(&scope(), "/bills")).unwrap().unwrap();
    assert_eq!((found.0.as_str(), found.1.as_str()), ("bills", "in"));

    // A path is one workflow's.
    let definition = Definition::from_value(hook("/orders")).unwrap();
    block_on(world.library.save(&scope(), "thief", &definition, &Note::default())).unwrap();
    let refused = block_on(world.library.publish(&scope(), "thief", 1)).unwrap_err();
    assert!(matches!(&refused, Error::PathTaken { path } if path == "/orders"), "{refused}");
    block_on(world.library.archive(&scope(), "orders", true)).unwrap();
    block_on(world.library.publish(&scope(), "thief", 1)).unwrap();
    let refused = block_on(world.library.archive(&scope(), "orders", false)).unwrap_err();
    assert!(matches!(refused, Error::PathTaken { .. }));
    let run = call("/orders", None).unwrap();
    assert_eq!(world.run(run).workflow, "thief");
}

#[test]
fn a_call_is_for_the_version_that_listens_on_its_path() {
    let world = World::new();
    let hook = |path: &str| triggered(&json!({"in": {"type": "webhook", "path": path}}));
    world.publish("orders", &hook("/old"));
    let canary = Definition::from_value(hook("/new")).unwrap();
    block_on(world.library.save(&scope(), "orders", &canary, &Note::default())).unwrap();
    block_on(world.library.canary(&scope(), "orders", 2, 50)).unwrap();
    for (path, version) in [("/old", 1), ("/new", 2)] {
        for _ in 0..100 {
            let run = block_on(world.engine.on_webhook(&scope(), path, json!({}), None)).unwrap();
            assert_eq!(run.map(|run| world.run(run).version), Some(version), "{path}");
        }
    }
}

#[test]
fn a_key_of_one_kind_takes_no_place_of_another() {
    let world = World::new();
    let all = json!({
        "t": {"type": "schedule", "at": "every 1h"}, "e": {"type": "event", "event": "deal.won"},
        "in": {"type": "webhook", "path": "t"},
    });
    world.publish("w", &triggered(&all));
    let from = world.clock.now();
    let to = from + std::time::Duration::from_secs(3600);
    let won = event(&world, &scope(), "deal.won", 7);
    // Somebody who may start runs knows what the next ones will be called by.
    let time = to.timestamp() - to.timestamp().rem_euclid(3600);
    let call = |key: String| {
        block_on(world.engine.start(&scope(), "w", Start::with(json!({"false": true})).key(key))).unwrap()
    };
    let mut taken =
        vec![call(format!("t:{time}")), call(format!("t:{}", to.timestamp())), call(format!("e:{}", won.id))];
    for key in [time.to_string(), to.timestamp().to_string()] {
        let run =
            block_on(world.engine.on_webhook(&scope(), "t", json!({"false": true}), Some(&key))).unwrap();
        taken.push(run.unwrap());
    }
    let scheduled = block_on(world.engine.on_schedule(&scope(), from, to)).unwrap();
    assert_eq!(scheduled.len(), 1);
    let heard = block_on(world.engine.on_event(&won)).unwrap();
    assert_eq!(heard.len(), 1);
    for run in scheduled.into_iter().chain(heard) {
        assert!(!taken.contains(&run));
        assert!(world.run(run).state.input().get("false").is_none());
    }
}
