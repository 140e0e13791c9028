//! Definitions and callers that mean harm: nothing grows without bound, nothing is done twice, nobody is in anybody's way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use guardian_core::{ManualClock, SeededIds};
use guardian_workflow::{
    ActionSpec, Actions, Catalog, Definition, Engine, Library, MemoryStore, Message, Note, Start, Status,
    Worker, WorkerConfig, validate,
};
use serde_json::{Value, json};

use crate::world::{World, block_on, code, flow, scope};

#[test]
fn a_value_that_nests_ever_deeper_is_a_failure_and_no_crash() {
    let mut definition = flow(
        "w",
        json!({
            "w": {"type": "while", "when": "true", "max": 1000},
            "s": {"type": "set", "values": {"x": {"a": {"b": {"c": {"d": "=x"}}}}}}
        }),
        &["w:body s"],
    );
    definition["variables"] = json!({"x": {"value": 0}});
    let world = World::new();
    assert_eq!(code(&world.outcome(&definition, json!({}))), "limit.nesting");
}

#[test]
fn what_comes_from_outside_is_bounded() {
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let world = World::new();
    world.publish("w", &flow("w", json!({"w": {"type": "wait", "for": {"signal": {"name": "go"}}}}), &[]));
    let refused = block_on(world.engine.start(&scope(), "w", Start::with(deep.clone()))).unwrap_err();
    assert!(refused.to_string().contains("deeper"), "{refused}");
    let run = world.start("w", json!({}));
    for payload in [deep, Value::from("x".repeat(2 << 20))] {
        let refused = block_on(world.engine.signal(&scope(), run, "go", payload)).unwrap_err();
        assert!(refused.to_string().contains("signal"), "{refused}");
    }
    assert_eq!(world.run(run).state.status, Status::Running);
}

#[test]
fn signals_that_nobody_waits_for_end_in_a_failure_and_not_in_silence() {
    let world = World::new();
    world.publish("w", &flow("w", json!({"w": {"type": "wait", "for": {"signal": {"name": "go"}}}}), &[]));
    let run = world.start("w", json!({}));
    for n in 0..1200 {
        block_on(world.engine.signal(&scope(), run, "other", json!(n))).unwrap();
    }
    world.work();
    assert_eq!(code(&world.run(run).state.outcome.unwrap()), "limit.signals");
}

/// A host whose actions are counted.
fn counting(definition: &Value) -> (Engine<Arc<MemoryStore>>, Worker<Arc<MemoryStore>>, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let count = move |_: &guardian_workflow::Call| Ok(json!(counted.fetch_add(1, Ordering::Relaxed)));
    let booked = Arc::clone(&calls);
    let actions = Actions::new()
        .with_fn(ActionSpec::new("count"), count)
        .unwrap()
        .with_transactional(ActionSpec::new("book"))
        .unwrap()
        .with_transactional(ActionSpec::new("unknown"))
        .unwrap();
    let store = MemoryStore::new()
        .with_transactional("book", move |_| Ok(json!(booked.fetch_add(1, Ordering::Relaxed))));
    let (store, clock) = (Arc::new(store), ManualClock::new());
    let library = Library::new(Arc::clone(&store), actions.catalog().clone(), clock.clone());
    let definition = Definition::from_value(definition.clone()).unwrap();
    block_on(library.save(&scope(), "w", &definition, &Note::default())).unwrap();
    block_on(library.publish(&scope(), "w", 1)).unwrap();
    let engine = Engine::new(store, actions, clock, SeededIds::new(1));
    let worker = Worker::new(&engine, WorkerConfig::default());
    (engine, worker, calls)
}

#[test]
fn an_action_that_is_asked_for_twice_is_done_once() {
    for action in ["count", "book"] {
        let (engine, worker, calls) =
            counting(&flow("a", json!({"a": {"type": "action", "action": action}}), &[]));
        let run = block_on(engine.start(&scope(), "w", Start::default())).unwrap();
        for message in [Message::Pause, Message::Resume, Message::Pause, Message::Resume] {
            block_on(engine.send(&scope(), run, &message)).unwrap();
        }
        block_on(worker.run_once()).unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 1, "{action}");
        assert_eq!(block_on(engine.run(&scope(), run)).unwrap().state.status, Status::Completed);
    }
}

#[test]
fn what_is_asked_for_and_no_longer_wanted_holds_nothing_up() {
    // Both branches ask for a transaction at once; the first one that is done drops the other.
    let (engine, worker, calls) = counting(&flow(
        "r",
        json!({
            "r": {"type": "race", "branches": ["a", "b", "c"]},
            "a": {"type": "action", "action": "book"}, "b": {"type": "action", "action": "book"},
            "c": {"type": "action", "action": "book"},
            "e": {"type": "wait", "for": {"signal": {"name": "go"}}}
        }),
        &["r:a a", "r:b b", "r:c c", "r e"],
    ));
    let run = block_on(engine.start(&scope(), "w", Start::default())).unwrap();
    block_on(worker.run_once()).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    // It was let go of, so that a message reaches it before any lease ends.
    block_on(engine.signal(&scope(), run, "go", json!(1))).unwrap();
    block_on(worker.run_once()).unwrap();
    assert_eq!(block_on(engine.run(&scope(), run)).unwrap().state.status, Status::Completed);
}

#[test]
fn a_transaction_that_the_store_does_not_know_fails_its_own_node_alone() {
    let (engine, worker, calls) = counting(&flow(
        "p",
        json!({
            "p": {"type": "parallel", "branches": ["a", "b"], "join": "any"},
            "a": {"type": "action", "action": "unknown"},
            "b": {"type": "action", "action": "count", "output": "n"},
            "e": {"type": "end", "result": "=run.workflow"}
        }),
        &["p:a a", "p:b b", "p e"],
    ));
    let run = block_on(engine.start(&scope(), "w", Start::default())).unwrap();
    block_on(worker.run_once()).unwrap();
    let run = block_on(engine.run(&scope(), run)).unwrap();
    assert_eq!(run.state.status, Status::Completed, "{:?}", run.state.outcome);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn texts_and_graphs_that_are_made_to_be_slow_are_not() {
    // One long text that looks like the beginning of a token everywhere.
    let text = "eyJ".repeat(1 << 20);
    let definition = flow("a", json!({"a": {"type": "action", "action": "x", "params": {"t": text}}}), &[]);
    let _ = validate(&Definition::from_value(definition).unwrap(), &Catalog::new());
    // A chain in which every second node leads back to the first.
    let mut nodes = serde_json::Map::new();
    let mut edges = Vec::new();
    for at in 0..2500 {
        let (c, r) = (format!("c{at}"), format!("r{at}"));
        nodes.insert(
            c.clone(),
            json!({"type": "condition", "branches": [{"port": "yes", "when": "input.n > 1"}]}),
        );
        nodes.insert(r.clone(), json!({"type": "repeat", "max": 3}));
        edges.push(json!({"from": c, "port": "yes", "to": r}));
        edges.push(json!({"from": r, "to": "c0"}));
        if at < 2499 {
            edges.push(json!({"from": c, "port": "else", "to": format!("c{}", at + 1)}));
        }
    }
    let value = json!({"schema": 1, "name": "x", "start": "c0", "nodes": nodes, "edges": edges});
    let report = validate(&Definition::from_value(value).unwrap(), &Catalog::new());
    assert!(report.is_valid(), "{}", report.findings.len());
}
