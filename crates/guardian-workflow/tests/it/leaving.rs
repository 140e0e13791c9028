//! What is taken out of its work before it is done: its `finally` comes first.

use guardian_workflow::{Message, Outcome, Status};
use serde_json::{Value, json};

use crate::world::{World, block_on, flow, result, scope};

/// With variables that begin like this.
fn with(mut definition: Value, variables: &[(&str, Value)]) -> Value {
    let mut all = serde_json::Map::new();
    for (name, value) in variables {
        all.insert((*name).to_owned(), json!({ "value": value }));
    }
    definition["variables"] = Value::Object(all);
    definition
}

fn cancel(world: &World, run: uuid::Uuid, compensate: bool) {
    let message = Message::Cancel { reason: "no more".to_owned(), compensate };
    block_on(world.engine.send(&scope(), run, &message)).unwrap();
    world.work();
}

#[test]
fn who_loses_a_race_comes_to_its_last_word_before_it_goes_on() {
    let definition = flow(
        "r",
        json!({
            "r": {"type": "race", "branches": ["fast", "slow"]},
            "f": {"type": "wait", "for": {"duration": "10s"}},
            "t": {"type": "try"},
            "w": {"type": "wait", "for": {"duration": "1d"}},
            "z": {"type": "action", "action": "echo", "params": "released", "output": "said"},
            "e": {"type": "end", "result": "=said"}
        }),
        &["r:fast f", "r:slow t", "t:body w", "t:finally z", "r e"],
    );
    let world = World::new();
    world.publish("w", &with(definition, &[("said", json!("nothing"))]));
    let id = world.start("w", json!({}));
    world.advance(10);
    assert_eq!(world.run(id).state.outcome, Some(Outcome::Result(json!("released"))));
    assert_eq!(world.path(id), ["r", "t", "f", "z", "e"]);
}

#[test]
fn inner_last_words_come_before_outer_ones_and_none_is_said_twice() {
    let said = |word: &str| json!({"type": "set", "values": {"said": format!("=said + '{word}'")}});
    let definition = flow(
        "r",
        json!({
            "r": {"type": "race", "branches": ["fast", "slow"]},
            "f": {"type": "wait", "for": {"duration": "10s"}},
            "outer": {"type": "try"},
            "p": {"type": "parallel", "branches": ["a", "b"]},
            "ta": {"type": "try"}, "wa": {"type": "wait", "for": {"duration": "1d"}}, "za": said("a"),
            "wb": {"type": "wait", "for": {"duration": "1d"}},
            "zo": said("o"),
            "e": {"type": "end", "result": "=said"}
        }),
        &[
            "r:fast f",
            "r:slow outer",
            "outer:body p",
            "p:a ta",
            "ta:body wa",
            "ta:finally za",
            "p:b wb",
            "outer:finally zo",
            "r e",
        ],
    );
    let world = World::new();
    world.publish("w", &with(definition, &[("said", json!(""))]));
    let id = world.start("w", json!({}));
    world.advance(10);
    assert_eq!(world.run(id).state.outcome, Some(Outcome::Result(json!("ao"))));
}

#[test]
fn a_last_word_that_takes_time_is_waited_for_and_one_that_fails_is_no_ones_failure() {
    let definition = |last: Value| {
        flow(
            "p",
            json!({
                "p": {"type": "parallel", "branches": ["a", "b"], "join": "any"},
                "a": {"type": "wait", "for": {"duration": "10s"}},
                "outer": {"type": "try", "catch": [{"port": "caught"}]},
                "t": {"type": "try"},
                "w": {"type": "wait", "for": {"signal": {"name": "never"}}},
                "z": last,
                "h": {"type": "fail", "code": "handled"},
                "e": {"type": "end", "result": "done"}
            }),
            &["p:a a", "p:b outer", "outer:body t", "outer:caught h", "t:body w", "t:finally z", "p e"],
        )
    };
    let world = World::new();
    world.publish("w", &definition(json!({"type": "wait", "for": {"duration": "1h"}})));
    let id = world.start("w", json!({}));
    world.advance(10);
    assert_eq!(world.run(id).state.status, Status::Running);
    assert_eq!(world.run(id).positions.iter().filter(|at| at.node.as_str() == "z").count(), 1);
    world.advance(3600);
    assert_eq!(result(&world.run(id).state.outcome.unwrap()), json!("done"));

    world.publish("w", &definition(json!({"type": "action", "action": "fail"})));
    let id = world.start("w", json!({}));
    world.advance(10);
    assert_eq!(result(&world.run(id).state.outcome.unwrap()), json!("done"));
    assert!(!world.path(id).contains(&"h".to_owned()), "{:?}", world.path(id));
}

#[test]
fn a_run_that_is_cancelled_comes_to_its_last_words() {
    let mut definition = flow(
        "t",
        json!({
            "t": {"type": "try"},
            "a": {"type": "action", "action": "echo", "params": 1, "compensate": {"action": "echo", "params": "undo"}},
            "w": {"type": "wait", "for": {"signal": {"name": "never"}}},
            "z": {"type": "wait", "for": {"duration": "1m"}},
            "y": {"type": "action", "action": "echo", "params": "closed"}
        }),
        &["t:body a", "a w", "t:finally z", "z y"],
    );
    definition["settings"] = json!({"compensate_on_failure": true});
    let world = World::new();
    world.publish("w", &definition);
    let id = world.start("w", json!({}));
    cancel(&world, id, true);
    assert_eq!(world.run(id).state.status, Status::Running);
    world.advance(60);
    let run = world.run(id);
    assert_eq!(run.state.status, Status::Cancelled);
    assert_eq!(run.state.outcome, Some(Outcome::Cancelled("no more".to_owned())));
    assert_eq!(world.path(id), ["t", "a", "z", "y", "a:compensate"]);

    // Who asks twice does not want to wait.
    let id = world.start("w", json!({}));
    cancel(&world, id, false);
    cancel(&world, id, false);
    assert_eq!(world.run(id).state.status, Status::Cancelled);
    assert_eq!(world.path(id), ["t", "a"]);

    // One that is paused as well.
    let id = world.start("w", json!({}));
    block_on(world.engine.send(&scope(), id, &Message::Pause)).unwrap();
    world.work();
    cancel(&world, id, false);
    world.advance(60);
    assert_eq!(world.run(id).state.status, Status::Cancelled);
    assert_eq!(world.path(id), ["t", "a", "z", "y"]);
}

#[test]
fn a_sub_workflow_that_is_dropped_comes_to_its_last_word() {
    let world = World::new();
    let inner = flow(
        "t",
        json!({"t": {"type": "try"}, "w": {"type": "wait", "for": {"duration": "1d"}},
               "z": {"type": "action", "action": "echo", "params": "inner"}}),
        &["t:body w", "t:finally z"],
    );
    world.publish("inner", &inner);
    let outer = flow(
        "r",
        json!({
            "r": {"type": "race", "branches": ["a", "b"]},
            "a": {"type": "wait", "for": {"duration": "10s"}},
            "s": {"type": "sub_workflow", "workflow": "inner"},
            "e": {"type": "end", "result": "done"}
        }),
        &["r:a a", "r:b s", "r e"],
    );
    world.publish("w", &outer);
    let id = world.start("w", json!({}));
    world.advance(10);
    assert_eq!(result(&world.run(id).state.outcome.unwrap()), json!("done"));
    assert_eq!(world.path(id), ["r", "t", "a", "z", "e"]);
}

#[test]
fn an_end_in_a_branch_waits_for_the_last_words_of_the_others() {
    let definition = flow(
        "p",
        json!({
            "p": {"type": "parallel", "branches": ["a", "b"]},
            "w": {"type": "wait", "for": {"duration": "10s"}},
            "e": {"type": "end", "result": "early"},
            "t": {"type": "try"},
            "x": {"type": "wait", "for": {"duration": "1d"}},
            "z": {"type": "action", "action": "echo", "params": 1}
        }),
        &["p:a w", "w e", "p:b t", "t:body x", "t:finally z"],
    );
    let world = World::new();
    world.publish("w", &definition);
    let id = world.start("w", json!({}));
    world.advance(10);
    assert_eq!(result(&world.run(id).state.outcome.unwrap()), json!("early"));
    assert_eq!(world.path(id), ["p", "t", "w", "e", "z"]);
}
