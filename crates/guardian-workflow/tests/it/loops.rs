//! Loops whose elements have variables of their own, and bodies that are tried again as a whole.

use guardian_workflow::{Catalog, Code, Definition, Doing, Message, validate};
use serde_json::{Value, json};

use crate::world::{World, actions, block_on, code, flow, result, scope};

/// Each element doubles its number by way of a variable.
fn doubling(concurrency: u32, own: &Value) -> Value {
    let mut definition = flow(
        "l",
        json!({
            "l": {"type": "for_each", "items": "input.list", "as": "item", "concurrency": concurrency, "own": own,
                  "collect": {"value": "x", "output": "all"}},
            "s": {"type": "set", "values": {"x": "=x + item"}},
            "p": {"type": "parallel", "branches": ["a"]},
            "d": {"type": "action", "action": "double", "params": {"n": "=x"}, "output": "x"},
            "e": {"type": "end", "result": "=[all, x]"}
        }),
        &["l:body s", "s p", "p:a d", "l e"],
    );
    definition["variables"] = json!({"x": {"schema": {"type": "integer"}, "value": 100}});
    definition
}

#[test]
fn elements_have_variables_of_their_own() {
    let world = World::new();
    let expected = json!([[202, 204, 206, 208, 210], 100]);
    for concurrency in [1, 3] {
        let outcome = world.outcome(&doubling(concurrency, &json!(["x"])), json!({"list": [1, 2, 3, 4, 5]}));
        assert_eq!(result(&outcome), expected, "{concurrency} at a time");
    }
    let side_by_side = Definition::from_value(doubling(3, &json!([]))).unwrap();
    let report = validate(&side_by_side, actions().catalog());
    assert_eq!(report.of(Code::ParallelWrite).count(), 1, "{report}");
}

#[test]
fn what_is_an_elements_own_is_not_set_behind_the_loop_or_before_it_in_another_element() {
    let definition = |result: &str, collect: &str| {
        let value = flow(
            "l",
            json!({
                "l": {"type": "for_each", "items": "[1, 2]", "as": "item", "own": ["x"],
                      "collect": {"value": collect, "output": "all"}},
                "s": {"type": "set", "values": {"x": "=item"}},
                "e": {"type": "end", "result": result}
            }),
            &["l:body s", "l e"],
        );
        Definition::from_value(value).unwrap()
    };
    let unset = |result: &str, collect: &str| {
        validate(&definition(result, collect), &Catalog::new()).of(Code::MaybeUnset).count()
    };
    assert_eq!(unset("=all", "x"), 0);
    assert_eq!(unset("=x", "x"), 1);
}

#[test]
fn gathered_values_are_bounded_while_they_are_gathered() {
    for concurrency in [1, 4] {
        let mut definition = flow(
            "l",
            json!({
                "l": {"type": "for_each", "items": "input.list", "as": "item", "concurrency": concurrency,
                      "collect": {"value": "input.big", "output": "all"}},
                "a": {"type": "action", "action": "echo"}
            }),
            &["l:body a"],
        );
        definition["settings"] = json!({"limits": {"variable_bytes": 10_000}});
        let world = World::new();
        let input = json!({"list": [1, 2, 3, 4, 5, 6, 7, 8], "big": "x".repeat(3000)});
        assert_eq!(code(&world.outcome(&definition, input)), "limit.variable_bytes");
    }
}

#[test]
fn a_whole_body_is_tried_again() {
    let definition = |attempts: u32, until: u64| {
        let mut definition = flow(
            "t",
            json!({
                "t": {"type": "try", "retry": [{"on": ["net.*"], "attempts": attempts, "interval": "10s"}],
                      "catch": [{"port": "caught", "output": "failure"}]},
                "s": {"type": "set", "values": {"n": "=n + 1"}},
                "c": {"type": "condition", "branches": [{"port": "ok", "when": format!("n >= {until}")}]},
                "f": {"type": "fail", "code": "net.down"},
                "h": {"type": "end", "result": "=failure.code"},
                "e": {"type": "end", "result": "=n"}
            }),
            &["t:body s", "s c", "c:else f", "t:caught h", "t e"],
        );
        definition["variables"] = json!({"n": {"value": 0}});
        definition
    };
    let world = World::new();
    world.publish("w", &definition(3, 3));
    let id = world.start("w", json!({}));
    assert_eq!(world.run(id).positions[0].doing, Doing::BackingOff);
    assert_eq!(world.run(id).positions[0].node.as_str(), "t");
    world.advance(9);
    assert_eq!(world.run(id).positions[0].doing, Doing::BackingOff);
    world.advance(1);
    world.advance(20);
    assert_eq!(result(&world.run(id).state.outcome.unwrap()), json!(3));
    assert_eq!(world.path(id).iter().filter(|at| *at == "t:retry").count(), 2);

    world.publish("w", &definition(2, 5));
    let id = world.start("w", json!({}));
    world.advance(10);
    assert_eq!(result(&world.run(id).state.outcome.unwrap()), json!("net.down"));
}

#[test]
fn what_elements_have_for_themselves_is_bounded_before_it_is_made() {
    let definition = |concurrency: u32, first: usize| {
        let mut definition = flow(
            "l",
            json!({
                "l": {"type": "for_each", "items": "input.list", "as": "item", "concurrency": concurrency, "own": ["x"]},
                "a": {"type": "action", "action": "echo"}
            }),
            &["l:body a"],
        );
        definition["variables"] = json!({"x": {"value": "x".repeat(first)}});
        definition["settings"] = json!({"limits": {"variable_bytes": 10_000}});
        definition
    };
    let input = json!({"list": [1, 2, 3, 4, 5, 6, 7, 8]});
    let world = World::new();
    // The variable itself counts as well: 3,000 bytes for it and 3,000 for each element at a time.
    for concurrency in [1, 2] {
        assert_eq!(result(&world.outcome(&definition(concurrency, 3000), input.clone())), json!(null));
    }
    for (concurrency, first) in [(1, 6000), (3, 3000), (8, 3000)] {
        let outcome = world.outcome(&definition(concurrency, first), input.clone());
        assert_eq!(code(&outcome), "limit.variable_bytes", "{concurrency} at a time");
    }
}

#[test]
fn what_elements_had_for_themselves_counts_no_more_when_a_run_is_tried_again() {
    for concurrency in [1, 2] {
        let mut definition = flow(
            "l",
            json!({
                "l": {"type": "for_each", "items": "[1, 2, 3]", "as": "item", "concurrency": concurrency, "own": ["x"]},
                "s": {"type": "set", "values": {"x": "=x"}},
                "f": {"type": "action", "action": "fail"}
            }),
            &["l:body s", "s f"],
        );
        definition["variables"] = json!({"x": {"value": "x".repeat(3000)}});
        definition["settings"] = json!({"limits": {"variable_bytes": 10_000}});
        let world = World::new();
        world.publish("w", &definition);
        let id = world.start("w", json!({}));
        for _ in 0..5 {
            assert_eq!(code(&world.run(id).state.outcome.unwrap()), "broken", "{concurrency} at a time");
            let node = "l".parse().unwrap();
            block_on(world.engine.send(&scope(), id, &Message::RetryFrom { node })).unwrap();
            world.work();
        }
    }
}
