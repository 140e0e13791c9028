//! What runs do at each type of node.

use std::sync::Arc;

use guardian_core::{Actor, ManualClock, SeededIds};
use guardian_workflow::{
    ActionSpec, Actions, Definition, Doing, Engine, Error, Library, MemoryStore, Message, NodeId, Note,
    Outcome, Start, Status, Worker, WorkerConfig,
};
use serde_json::{Value, json};

use crate::world::{World, block_on, code, flow, result, scope};

#[test]
fn a_condition_goes_to_the_first_branch_that_holds() {
    let definition = flow(
        "big",
        json!({
            "big": {"type": "condition", "branches": [
                {"port": "huge", "when": "input.n > 100"}, {"port": "big", "when": "input.n > 10"}]},
            "a": {"type": "end", "result": "huge"},
            "b": {"type": "end", "result": "big"},
            "c": {"type": "end", "result": "small"}
        }),
        &["big:huge a", "big:big b", "big:else c"],
    );
    let world = World::new();
    for (n, expected) in [(1000, "huge"), (50, "big"), (1, "small")] {
        assert_eq!(result(&world.outcome(&definition, json!({"n": n}))), json!(expected));
    }
}

#[test]
fn a_switch_compares_values_as_the_language_does() {
    let definition = flow(
        "s",
        json!({
            "s": {"type": "switch", "on": "input.v", "cases": [
                {"equals": 1, "port": "one"}, {"equals": "x", "port": "x"}, {"equals": [1, 2], "port": "list"}]},
            "one": {"type": "end", "result": 1}, "x": {"type": "end", "result": "x"},
            "list": {"type": "end", "result": "list"}, "d": {"type": "end", "result": "default"}
        }),
        &["s:one one", "s:x x", "s:list list", "s:default d"],
    );
    let world = World::new();
    for (v, expected) in [
        (json!(1.0), json!(1)),
        (json!("x"), json!("x")),
        (json!([1, 2]), json!("list")),
        (json!(null), json!("default")),
    ] {
        assert_eq!(result(&world.outcome(&definition, json!({"v": v}))), expected);
    }
}

#[test]
fn actions_get_computed_parameters_and_their_results_are_variables() {
    let definition = flow(
        "d",
        json!({
            "d": {"type": "action", "action": "double", "params": {"n": "=input.n"}, "output": "twice"},
            "e": {"type": "end", "result": {"twice": "=twice", "said": ["=twice + 1", "plain"]}}
        }),
        &["d e"],
    );
    let world = World::new();
    assert_eq!(
        result(&world.outcome(&definition, json!({"n": 21}))),
        json!({"twice": 42, "said": [43, "plain"]})
    );
}

#[test]
fn a_loop_goes_through_a_list_and_gathers() {
    for concurrency in [1, 3] {
        let definition = flow(
            "l",
            json!({
                "l": {"type": "for_each", "items": "input.list", "as": "item", "index": "at", "concurrency": concurrency,
                      "collect": {"value": "item * 10 + at", "output": "all"}},
                "a": {"type": "action", "action": "echo", "params": "=item"},
                "e": {"type": "end", "result": "=all"}
            }),
            &["l:body a", "l e"],
        );
        let world = World::new();
        let list: Vec<i64> = (1..=7).collect();
        let expected: Vec<i64> = (0..7).map(|at| (at + 1) * 10 + at).collect();
        assert_eq!(result(&world.outcome(&definition, json!({"list": list}))), json!(expected));
        assert_eq!(result(&world.outcome(&definition, json!({"list": []}))), json!([]));
    }
}

#[test]
fn a_while_loop_ends_with_its_condition_or_fails_at_its_bound() {
    let definition = |max: u32| {
        let mut flow = flow(
            "w",
            json!({
                "w": {"type": "while", "when": "n < 5", "max": max},
                "s": {"type": "set", "values": {"n": "=n + 1"}},
                "e": {"type": "end", "result": "=n"}
            }),
            &["w:body s", "w e"],
        );
        flow["variables"] = json!({"n": {"value": 0}});
        flow
    };
    let world = World::new();
    assert_eq!(result(&world.outcome(&definition(5), json!({}))), json!(5));
    assert_eq!(code(&world.outcome(&definition(4), json!({}))), "limit.iterations");
}

#[test]
fn a_repeat_leads_back_and_is_bounded() {
    let definition = |max: u32| {
        let mut flow = flow(
            "s",
            json!({
                "s": {"type": "set", "values": {"n": "=n + 1"}},
                "c": {"type": "condition", "branches": [{"port": "done", "when": "n >= 4"}]},
                "r": {"type": "repeat", "max": max},
                "e": {"type": "end", "result": "=n"}
            }),
            &["s c", "c:done e", "c:else r", "r s"],
        );
        flow["variables"] = json!({"n": {"value": 0}});
        flow
    };
    let world = World::new();
    assert_eq!(result(&world.outcome(&definition(3), json!({}))), json!(4));
    assert_eq!(code(&world.outcome(&definition(2), json!({}))), "limit.iterations");
}

#[test]
fn parallel_branches_join_as_asked() {
    let branches = |join: Value, b: &str| {
        let mut nodes = json!({
            "p": {"type": "parallel", "branches": ["a", "b", "c"]},
            "a": {"type": "action", "action": "echo", "params": 1, "output": "x"},
            "b": {"type": "action", "action": b, "output": "y"},
            "c": {"type": "wait", "for": {"duration": "1h"}},
            "e": {"type": "end", "result": "done"}
        });
        nodes["p"]["join"] = join;
        flow("p", nodes, &["p:a a", "p:b b", "p:c c", "p e"])
    };
    let world = World::new();
    assert_eq!(result(&world.outcome(&branches(json!("any"), "echo"), json!({}))), json!("done"));
    assert_eq!(result(&world.outcome(&branches(json!({"at_least": 2}), "echo"), json!({}))), json!("done"));
    assert_eq!(code(&world.outcome(&branches(json!("all"), "fail"), json!({}))), "broken");
    assert_eq!(result(&world.outcome(&branches(json!("any"), "fail"), json!({}))), json!("done"));
    // Two of three have to end well, and one has failed: it waits for the third.
    world.publish("w", &branches(json!({"at_least": 2}), "fail"));
    let id = world.start("w", json!({}));
    assert_eq!(world.run(id).state.status, Status::Running);
    world.advance(3600);
    assert_eq!(world.run(id).state.status, Status::Completed);
}

#[test]
fn of_a_race_the_first_one_counts() {
    let definition = flow(
        "r",
        json!({
            "r": {"type": "race", "branches": ["slow", "late"]},
            "w": {"type": "wait", "for": {"signal": {"name": "paid", "output": "payment"}}},
            "t": {"type": "wait", "for": {"duration": "3d"}},
            "f": {"type": "fail", "code": "unpaid"},
            "e": {"type": "end", "result": "paid"}
        }),
        &["r:slow w", "r:late t", "t f", "r e"],
    );
    let world = World::new();
    world.publish("w", &definition);
    let (a, b) = (world.start("w", json!({})), world.start("w", json!({})));
    block_on(world.engine.signal(&scope(), a, "paid", json!({"amount": 5}))).unwrap();
    world.work();
    assert_eq!(world.run(a).state.outcome, Some(Outcome::Result(json!("paid"))));
    world.advance(3 * 24 * 3600);
    assert_eq!(code(&world.run(b).state.outcome.unwrap()), "unpaid");
}

#[test]
fn a_signal_that_comes_early_is_kept_and_one_that_does_not_come_times_out() {
    let definition = flow(
        "s",
        json!({
            "s": {"type": "wait", "for": {"duration": "10s"}},
            "w": {"type": "wait", "for": {"signal": {"name": "go", "filter": "event.n > 1", "timeout": "1h", "output": "got"}}},
            "e": {"type": "end", "result": "=got.n"},
            "l": {"type": "end", "result": "late"}
        }),
        &["s w", "w e", "w:timeout l"],
    );
    let world = World::new();
    world.publish("w", &definition);
    let (a, b) = (world.start("w", json!({})), world.start("w", json!({})));
    for n in [1, 2, 3] {
        block_on(world.engine.signal(&scope(), a, "go", json!({"n": n}))).unwrap();
    }
    block_on(world.engine.signal(&scope(), b, "go", json!({"n": 1}))).unwrap();
    world.advance(10);
    assert_eq!(result(&world.run(a).state.outcome.unwrap()), json!(2));
    assert_eq!(world.run(b).positions[0].doing, Doing::Listening);
    world.advance(3600);
    assert_eq!(result(&world.run(b).state.outcome.unwrap()), json!("late"));
}

#[test]
fn an_approval_waits_for_who_decides() {
    let definition = flow(
        "a",
        json!({
            "a": {"type": "approval", "prompt": "='pay ' + string(input.n) + '?'", "approvers": ["cfo"], "output": "said"},
            "y": {"type": "end", "result": "=said.by"}, "n": {"type": "end", "result": "=said.comment"}
        }),
        &["a:approved y", "a:rejected n"],
    );
    let world = World::new();
    world.publish("w", &definition);
    let node = NodeId::new("a").unwrap();
    let (yes, no) = (world.start("w", json!({"n": 5})), world.start("w", json!({"n": 6})));
    let asked = Doing::Approving { prompt: "pay 5?".to_owned(), approvers: json!(["cfo"]) };
    assert_eq!(world.run(yes).positions[0].doing, asked);
    block_on(world.engine.decide(&scope(), yes, &node, true, "")).unwrap();
    block_on(world.engine.decide(&scope(), no, &node, false, "too much")).unwrap();
    world.work();
    assert_eq!(result(&world.run(yes).state.outcome.unwrap()), json!("user:ann"));
    assert_eq!(result(&world.run(no).state.outcome.unwrap()), json!("too much"));
    let error = block_on(world.engine.decide(&scope(), yes, &node, true, "")).unwrap_err();
    assert!(error.to_string().contains("completed"), "{error}");
}

/// Of several who are asked at one node each decides about their own item, however often they say it before anybody looks.
#[test]
fn a_decision_is_about_the_item_whose_approvers_decided() {
    let definition = flow(
        "l",
        json!({
            "l": {"type": "for_each", "items": "['ann', 'bob']", "as": "who", "concurrency": 2},
            "a": {"type": "approval", "prompt": "Pay?", "approvers": "=who"},
            "e": {"type": "end", "result": "ok"}
        }),
        &["l:body a", "l e"],
    );
    let world = World::new();
    world.publish("w", &definition);
    let (node, id) = (NodeId::new("a").unwrap(), world.start("w", json!({})));
    let asked = || world.run(id).positions.iter().filter(|at| at.node == node).count();
    assert_eq!(asked(), 2);
    for _ in 0..2 {
        block_on(world.engine.decide_for(&scope(), id, &node, json!("ann"), true, "")).unwrap();
    }
    world.work();
    assert_eq!(asked(), 1, "a decision of Ann's was about Bob's item");
    assert!(block_on(world.engine.decide_for(&scope(), id, &node, json!("ann"), true, "")).is_err());
    block_on(world.engine.decide_for(&scope(), id, &node, json!("bob"), true, "")).unwrap();
    world.work();
    assert_eq!(result(&world.run(id).state.outcome.unwrap()), json!("ok"));
}

#[test]
fn failures_are_tried_again_caught_and_the_last_word_is_said() {
    let definition = |fail: Value| {
        flow(
            "t",
            json!({
                "t": {"type": "try", "catch": [{"on": ["net.*"], "port": "net", "output": "failure"}]},
                "f": {"type": "action", "action": "fail", "params": fail,
                      "retry": [{"on": ["net.*"], "attempts": 3, "interval": "10s"}]},
                "h": {"type": "set", "values": {"handled": "=failure.code"}},
                "z": {"type": "set", "values": {"last": true}},
                "e": {"type": "end", "result": "ok"}
            }),
            &["t:body f", "t:net h", "t:finally z", "t e"],
        )
    };
    let world = World::new();
    world.publish("w", &definition(json!({"code": "net.reset", "until": 3})));
    let id = world.start("w", json!({}));
    assert_eq!(world.run(id).positions[0].doing, Doing::BackingOff);
    world.advance(10);
    world.advance(20);
    assert_eq!(result(&world.run(id).state.outcome.clone().unwrap()), json!("ok"));
    assert_eq!(world.path(id), ["t", "f", "f", "f", "z", "e"]);
    assert!(!world.run(id).state.variables().contains_key("handled"));

    world.publish("w", &definition(json!({"code": "net.down"})));
    let id = world.start("w", json!({}));
    world.advance(10);
    world.advance(20);
    assert_eq!(world.run(id).state.variables()["handled"], json!("net.down"));
    assert_eq!(world.path(id), ["t", "f", "f", "f", "t:net", "h", "z", "e"]);

    world.publish("w", &definition(json!({"code": "other"})));
    let id = world.start("w", json!({}));
    assert_eq!(code(&world.run(id).state.outcome.clone().unwrap()), "other");
    assert_eq!(world.run(id).state.variables()["last"], json!(true));
}

#[test]
fn an_end_within_a_try_and_a_branch_ends_the_whole() {
    let definition = flow(
        "p",
        json!({
            "p": {"type": "parallel", "branches": ["a", "b"]},
            "t": {"type": "try"},
            "e": {"type": "end", "result": "early"},
            "z": {"type": "set", "values": {"last": 1}},
            "w": {"type": "wait", "for": {"duration": "1h"}}
        }),
        &["p:a t", "t:body e", "t:finally z", "p:b w"],
    );
    let world = World::new();
    world.publish("w", &definition);
    let id = world.start("w", json!({}));
    let run = world.run(id);
    assert_eq!(result(&run.state.outcome.clone().unwrap()), json!("early"));
    assert_eq!(run.state.variables()["last"], json!(1));
}

#[test]
fn a_sub_workflow_gives_its_result_or_its_failure() {
    let world = World::new();
    world.publish(
        "inner",
        &flow(
            "c",
            json!({
                "c": {"type": "condition", "branches": [{"port": "ok", "when": "input.n > 0"}]},
                "d": {"type": "action", "action": "double", "params": {"n": "=input.n"}, "output": "x"},
                "e": {"type": "end", "result": "=x"},
                "f": {"type": "fail", "code": "negative", "message": "='no ' + string(input.n)"}
            }),
            &["c:ok d", "d e", "c:else f"],
        ),
    );
    let outer = flow(
        "s",
        json!({
            "s": {"type": "sub_workflow", "workflow": "inner", "input": {"n": "=input.n"}, "output": "x"},
            "e": {"type": "end", "result": "=[x, input.n]"}
        }),
        &["s e"],
    );
    assert_eq!(result(&world.outcome(&outer, json!({"n": 4}))), json!([8, 4]));
    assert_eq!(code(&world.outcome(&outer, json!({"n": -4}))), "negative");
    let missing = flow("s", json!({"s": {"type": "sub_workflow", "workflow": "nothing"}}), &[]);
    assert_eq!(code(&world.outcome(&missing, json!({}))), "unknown_workflow");
    let itself = flow("s", json!({"s": {"type": "sub_workflow", "workflow": "w"}}), &[]);
    assert_eq!(code(&world.outcome(&itself, json!({}))), "limit.depth");
}

#[test]
fn what_was_done_is_undone_in_reverse() {
    let mut definition = flow(
        "a",
        json!({
            "a": {"type": "action", "action": "echo", "params": 1, "compensate": {"action": "echo", "params": "=outcome + 10"}},
            "b": {"type": "action", "action": "echo", "params": 2, "compensate": {"action": "echo", "params": "=outcome + 10"}},
            "f": {"type": "action", "action": "fail"}
        }),
        &["a b", "b f"],
    );
    definition["settings"] = json!({"compensate_on_failure": true});
    let world = World::new();
    world.publish("w", &definition);
    let id = world.start("w", json!({}));
    assert_eq!(world.run(id).state.status, Status::Failed);
    assert_eq!(world.path(id), ["a", "b", "f", "b:compensate", "a:compensate"]);
    let undone: Vec<Value> = world.history(id).iter().skip(3).map(|entry| entry.output.clone()).collect();
    assert_eq!(undone, [json!(12), json!(11)]);
}

#[test]
fn a_run_can_be_paused_cancelled_and_taken_up_again() {
    let definition = flow(
        "w",
        json!({
            "w": {"type": "wait", "for": {"duration": "10s"}},
            "a": {"type": "action", "action": "echo", "params": "=run.workflow", "output": "x"},
            "e": {"type": "end", "result": "=x"}
        }),
        &["w a", "a e"],
    );
    let world = World::new();
    world.publish("w", &definition);
    let id = world.start("w", json!({}));
    let send = |message: Message| block_on(world.engine.send(&scope(), id, &message));
    send(Message::Pause).unwrap();
    world.work();
    world.advance(100);
    assert_eq!(world.run(id).state.status, Status::Running);
    send(Message::Resume).unwrap();
    world.work();
    assert_eq!(world.run(id).state.status, Status::Completed);

    let id = world.start("w", json!({}));
    let send = |message: Message| block_on(world.engine.send(&scope(), id, &message));
    send(Message::Cancel { reason: "no more".to_owned(), compensate: false }).unwrap();
    world.work();
    assert_eq!(world.run(id).state.outcome, Some(Outcome::Cancelled("no more".to_owned())));
    assert!(send(Message::Pause).is_err());
    send(Message::RetryFrom { node: NodeId::new("a").unwrap() }).unwrap();
    world.work();
    assert_eq!(result(&world.run(id).state.outcome.unwrap()), json!("w"));
    assert!(send(Message::RetryFrom { node: NodeId::new("nothing").unwrap() }).is_err());
}

#[test]
fn every_limit_is_a_typed_failure() {
    let limited = |limits: Value, nodes: Value, edges: &[&str]| {
        let mut definition = flow("a", nodes, edges);
        definition["settings"] = json!({"limits": limits});
        definition["variables"] = json!({"n": {"value": 0}});
        definition
    };
    let circle = json!({"a": {"type": "set", "values": {"n": "=n + 1"}}, "r": {"type": "repeat", "max": 1000},
        "c": {"type": "condition", "branches": [{"port": "out", "when": "n > 2000"}]}});
    let world = World::new();
    let steps = limited(json!({"steps": 100}), circle, &["a c", "c:else r", "r a"]);
    assert_eq!(code(&world.outcome(&steps, json!({}))), "limit.steps");
    let grow = json!({"a": {"type": "while", "when": "true", "max": 100}, "g": {"type": "set", "values": {"s": "=s + s"}}});
    let mut bytes = limited(json!({"variable_bytes": 10_000}), grow, &["a:body g"]);
    bytes["variables"] = json!({"s": {"value": "0123456789"}});
    assert_eq!(code(&world.outcome(&bytes, json!({}))), "limit.variable_bytes");
    let wide = json!({"a": {"type": "for_each", "items": "[1,2,3,4,5,6]", "as": "x", "concurrency": 6},
        "b": {"type": "wait", "for": {"duration": "1h"}}});
    assert_eq!(
        code(&world.outcome(&limited(json!({"width": 4}), wide, &["a:body b"]), json!({}))),
        "limit.width"
    );
    let slow = json!({"a": {"type": "condition", "branches": [{"port": "x",
        "when": "[1,2,3,4,5,6,7,8].all(a, [1,2,3,4,5,6,7,8].all(b, a + b > 0))"}]}});
    assert_eq!(
        code(&world.outcome(&limited(json!({"expression_cost": 50}), slow, &[]), json!({}))),
        "limit.expression"
    );
    let long = json!({"a": {"type": "wait", "for": {"duration": "2h"}}});
    world.publish("w", &limited(json!({"run_time": "1h"}), long, &[]));
    let id = world.start("w", json!({}));
    world.advance(3600);
    assert_eq!(code(&world.run(id).state.outcome.unwrap()), "limit.run_time");
    let many = json!({"a": {"type": "for_each", "items": "[1,2,3]", "as": "x", "max": 2}, "b": {"type": "set", "values": {"y": 1}}});
    assert_eq!(code(&world.outcome(&limited(json!({}), many, &["a:body b"]), json!({}))), "limit.iterations");
}

#[test]
fn the_same_key_starts_one_run() {
    let world = World::new();
    world.publish("w", &flow("e", json!({"e": {"type": "end"}}), &[]));
    let start = || block_on(world.engine.start(&scope(), "w", Start::default().key("order-7"))).unwrap();
    assert_eq!(start(), start());
}

#[test]
fn a_key_finds_its_run_whatever_became_of_the_workflow_and_never_another_input() {
    let world = World::new();
    let refused = block_on(world.engine.start(&scope(), "w", Start::default())).unwrap_err();
    assert!(matches!(refused, Error::NoWorkflow { .. }), "{refused}");
    let definition = flow("e", json!({"e": {"type": "end", "result": "=input.n"}}), &[]);
    block_on(world.library.save(
        &scope(),
        "w",
        &Definition::from_value(definition.clone()).unwrap(),
        &Note::default(),
    ))
    .unwrap();
    let refused = block_on(world.engine.start(&scope(), "w", Start::default())).unwrap_err();
    assert!(matches!(refused, Error::NotPublished { .. }), "{refused}");
    world.publish("w", &definition);

    let with =
        |n: f64| block_on(world.engine.start(&scope(), "w", Start::with(json!({"n": n})).key("order-7")));
    let first = with(0.1).unwrap();
    block_on(world.worker.run_once()).unwrap();
    block_on(world.library.archive(&scope(), "w", true)).unwrap();
    assert_eq!(with(0.1).unwrap(), first, "it ended, and is archived");
    let other = with(0.2).unwrap_err();
    assert!(matches!(other, Error::Reused { run, .. } if run == first), "{other}");
    let other = Start::with(json!({"n": 0.2})).key("order-7");
    let refused = block_on(world.worker.execute(&scope(), "w", other)).unwrap_err();
    assert!(matches!(refused, Error::Reused { .. }), "{refused}");
    let new = block_on(world.engine.start(&scope(), "w", Start::with(json!({"n": 0.1})).key("order-8")))
        .unwrap_err();
    assert!(matches!(new, Error::Archived { .. }), "{new}");
}

#[test]
fn a_run_that_is_driven_at_once_needs_one_write_a_step() {
    let mut nodes = serde_json::Map::new();
    let mut edges = Vec::new();
    for at in 0..10 {
        nodes.insert(format!("n{at}"), json!({"type": "action", "action": "echo", "params": at}));
        edges.push(format!("n{at} n{}", at + 1));
    }
    edges.pop();
    let edges: Vec<&str> = edges.iter().map(String::as_str).collect();
    let world = World::new();
    world.publish("w", &flow("n0", Value::Object(nodes), &edges));
    let id = block_on(world.worker.execute(&scope(), "w", Start::default())).unwrap();
    assert_eq!(world.run(id).state.status, Status::Completed);
    assert_eq!(world.history(id).len(), 10);
}

#[test]
fn whoever_starts_a_run_its_actions_are_the_workflows_own() {
    let tell = |call: &guardian_workflow::Call| Ok(json!(call.scope.actor().to_string()));
    let actions = Actions::new().with_fn(ActionSpec::new("tell"), tell).unwrap();
    let actions = actions.with_transactional(ActionSpec::new("book")).unwrap();
    let store = Arc::new(MemoryStore::new().with_transactional("book", tell));
    let clock = ManualClock::new();
    let library = Library::new(Arc::clone(&store), actions.catalog().clone(), clock.clone());
    let engine = Engine::new(store, actions, clock, SeededIds::new(1));
    let worker = Worker::new(&engine, WorkerConfig::default());
    let definition = flow(
        "a",
        json!({
            "a": {"type": "action", "action": "tell", "output": "one"},
            "b": {"type": "action", "action": "book", "output": "two"},
            "e": {"type": "end", "result": ["=one", "=two"]}
        }),
        &["a b", "b e"],
    );
    let definition = Definition::from_value(definition).unwrap();
    block_on(library.save(&scope(), "w", &definition, &Note::default())).unwrap();
    block_on(library.publish(&scope(), "w", 1)).unwrap();
    let claimed = block_on(engine.start(&scope(), "w", Start::default())).unwrap();
    block_on(worker.run_once()).unwrap();
    let driven = block_on(worker.execute(&scope(), "w", Start::default())).unwrap();
    for run in [claimed, driven] {
        let outcome = block_on(engine.run(&scope(), run)).unwrap().state.outcome.unwrap();
        assert_eq!(result(&outcome), json!(["service:workflow", "service:workflow"]));
    }
    assert_eq!(Actor::workflow(), Actor::service("workflow").unwrap());
}

#[test]
fn a_version_of_an_archived_workflow_begins_no_more_and_a_draft_where_it_may() {
    let world = World::new();
    let definition = |n: u64| flow("e", json!({"e": {"type": "end", "result": n}}), &[]);
    world.publish("w", &definition(1));
    let draft = Definition::from_value(definition(2)).unwrap();
    block_on(world.library.save(&scope(), "w", &draft, &Note::default())).unwrap();
    let start = |start: Start| block_on(world.engine.start(&scope(), "w", start));

    start(Start::default().version(2)).unwrap();
    start(Start::default().version(1).released()).unwrap();
    let refused = start(Start::default().version(2).released()).unwrap_err();
    assert!(matches!(refused, Error::NotPublished { .. }), "{refused}");
    let refused = start(Start::default().version(9).released()).unwrap_err();
    assert!(matches!(refused, Error::NoVersion { .. }), "{refused}");
    block_on(world.library.canary(&scope(), "w", 2, 1)).unwrap();
    start(Start::default().version(2).released()).unwrap();

    block_on(world.library.archive(&scope(), "w", true)).unwrap();
    let refused = start(Start::default().version(1)).unwrap_err();
    assert!(matches!(refused, Error::Archived { .. }), "{refused}");
    let refused = block_on(world.worker.execute(&scope(), "w", Start::default().version(1))).unwrap_err();
    assert!(matches!(refused, Error::Archived { .. }), "{refused}");
}
