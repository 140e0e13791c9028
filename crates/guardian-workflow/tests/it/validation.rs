//! Every finding, and that what has none runs.

use guardian_workflow::{Code, Definition, validate};
use serde_json::{Value, json};

use crate::world::{actions, flow};

fn codes(definition: &Value) -> Vec<(Code, String)> {
    let definition = Definition::from_value(definition.clone()).unwrap();
    let report = validate(&definition, actions().catalog());
    assert!(report.findings.iter().all(|finding| !finding.message.is_empty() && !finding.mend.is_empty()));
    let node = |node: Option<&guardian_workflow::NodeId>| node.map(ToString::to_string).unwrap_or_default();
    report.findings.iter().map(|finding| (finding.code, node(finding.node.as_ref()))).collect()
}

fn one(definition: &Value, code: Code, node: &str) {
    assert_eq!(codes(definition), [(code, node.to_owned())], "{definition}");
}

const END: &str = r#"{"type": "end"}"#;

fn end() -> Value {
    serde_json::from_str(END).unwrap()
}

#[test]
fn edges_and_reachability() {
    let set = json!({"type": "set", "values": {"v": 1}});
    one(&flow("a", json!({"b": end()}), &[]), Code::UnknownStart, "");
    one(&flow("a", json!({"a": set}), &["a b"]), Code::DanglingEdge, "a");
    one(&flow("a", json!({"a": set}), &["b a"]), Code::DanglingEdge, "b");
    one(&flow("a", json!({"a": set, "b": end()}), &["a b", "a:other b"]), Code::UnknownPort, "a");
    let twice = codes(&flow("a", json!({"a": set, "b": end(), "c": end()}), &["a b", "a c"]));
    assert!(twice.contains(&(Code::PortTaken, "a".to_owned())), "{twice:?}");
    one(&flow("a", json!({"a": set, "b": end()}), &[]), Code::Unreachable, "b");
}

#[test]
fn circles_and_ends() {
    let set = json!({"type": "set", "values": {"v": 1}});
    let found = codes(&flow("a", json!({"a": set, "b": set}), &["a b", "b a"]));
    assert!(
        found.contains(&(Code::Cycle, "a".to_owned())) || found.contains(&(Code::Cycle, "b".to_owned())),
        "{found:?}"
    );
    assert!(found.iter().any(|(code, _)| *code == Code::NoEnd));
    let repeat = json!({"type": "repeat", "max": 5});
    one(&flow("a", json!({"a": set, "r": repeat}), &["a r", "r a"]), Code::NoEnd, "a");
    let choose = json!({"type": "condition", "branches": [{"port": "again", "when": "input.x"}]});
    assert_eq!(
        codes(&flow("a", json!({"a": set, "c": choose, "r": repeat}), &["a c", "c:again r", "r a"])),
        []
    );
    one(
        &flow("c", json!({"c": choose, "r": repeat, "b": end()}), &["c:again r", "r b"]),
        Code::RepeatForward,
        "r",
    );
    one(&flow("c", json!({"c": choose, "r": repeat}), &["c:again r"]), Code::Empty, "r");
}

#[test]
fn loops_and_parts() {
    let set = json!({"type": "set", "values": {"v": 1}});
    let each = json!({"type": "for_each", "items": "[1]", "as": "x"});
    one(&flow("a", json!({"a": each}), &[]), Code::Empty, "a");
    one(
        &flow("a", json!({"a": {"type": "while", "when": "input.x"}, "b": set}), &["a:body b"]),
        Code::UnboundedLoop,
        "a",
    );
    one(
        &flow(
            "a",
            json!({"a": {"type": "while", "when": "input.x", "max": 100_000}, "b": set}),
            &["a:body b"],
        ),
        Code::UnboundedLoop,
        "a",
    );
    one(&flow("a", json!({"a": each, "b": set}), &["a:body b", "a b"]), Code::CrossesParts, "b");
    let fork = json!({"type": "parallel", "branches": ["x", "x"]});
    one(&flow("a", json!({"a": fork, "b": set}), &["a:x b"]), Code::DuplicatePort, "a");
    one(&flow("a", json!({"a": {"type": "parallel", "branches": []}}), &[]), Code::Empty, "a");
    let few = json!({"type": "parallel", "branches": ["x", "y"], "join": {"at_least": 3}});
    one(&flow("a", json!({"a": few, "b": set}), &["a:x b"]), Code::OutOfBounds, "a");
    one(
        &flow(
            "a",
            json!({"a": {"type": "switch", "on": "input.x", "cases": [{"equals": 1, "port": "b"}]}, "b": end()}),
            &["a:b b"],
        ),
        Code::MissingDefault,
        "a",
    );
    one(&flow("a", json!({"a": {"type": "try"}, "b": set}), &["a:body b"]), Code::UselessTry, "a");
}

#[test]
fn variables_are_set_where_they_are_used() {
    let choose = json!({"type": "condition", "branches": [{"port": "x", "when": "input.x"}]});
    let set = json!({"type": "set", "values": {"v": 1}});
    let used = json!({"type": "end", "result": "=v"});
    let nodes = json!({"c": choose, "s": set, "e": used});
    one(&flow("c", nodes.clone(), &["c:x s", "s e", "c:else e"]), Code::MaybeUnset, "e");
    assert_eq!(codes(&flow("s", json!({"s": set, "e": used}), &["s e"])), []);
    let mut with_value = flow("c", nodes, &["c:x s", "s e", "c:else e"]);
    with_value["variables"] = json!({"v": {"value": 0}});
    assert_eq!(codes(&with_value), []);
    // Of all branches, of the first; behind a loop that may not run at all.
    let fork = |join: &str| json!({"type": "parallel", "branches": ["x", "y"], "join": join});
    let wait = json!({"type": "wait", "for": {"duration": "1s"}});
    let all = |join: &str| {
        flow("p", json!({"p": fork(join), "s": set, "w": wait, "e": used}), &["p:x s", "p:y w", "p e"])
    };
    assert_eq!(codes(&all("all")), []);
    one(&all("any"), Code::MaybeUnset, "e");
    let each = json!({"type": "for_each", "items": "[1]", "as": "x"});
    one(&flow("l", json!({"l": each, "s": set, "e": used}), &["l:body s", "l e"]), Code::MaybeUnset, "e");
    one(
        &flow("l", json!({"l": each, "s": set, "e": {"type": "end", "result": "=x"}}), &["l:body s", "l e"]),
        Code::MaybeUnset,
        "e",
    );
    // What a failed action would have given, and what a handler cannot rely on.
    let act = json!({"type": "action", "action": "echo", "output": "v"});
    one(&flow("a", json!({"a": act, "e": used, "f": used}), &["a e", "a:error f"]), Code::MaybeUnset, "f");
    let attempt = json!({"type": "try", "catch": [{"port": "h"}]});
    one(
        &flow("t", json!({"t": attempt, "a": act, "h": wait, "e": used}), &["t:body a", "t:h h", "t e"]),
        Code::MaybeUnset,
        "e",
    );
    one(
        &flow(
            "t",
            json!({"t": attempt, "a": act, "h": {"type": "set", "values": {"y": "=v"}}}),
            &["t:body a", "t:h h"],
        ),
        Code::MaybeUnset,
        "h",
    );
    assert_eq!(
        codes(&flow(
            "t",
            json!({"t": attempt, "a": act, "h": set, "e": used}),
            &["t:body a", "t:h h", "t e"]
        )),
        []
    );
}

#[test]
fn branches_do_not_set_the_same_variable() {
    let set = json!({"type": "set", "values": {"v": 1}});
    let fork = json!({"type": "parallel", "branches": ["x", "y"]});
    one(&flow("p", json!({"p": fork, "a": set, "b": set}), &["p:x a", "p:y b"]), Code::ParallelWrite, "p");
    let each = json!({"type": "for_each", "items": "[1]", "as": "x", "concurrency": 2});
    one(&flow("l", json!({"l": each, "a": set}), &["l:body a"]), Code::ParallelWrite, "l");
}

#[test]
fn expressions_fit() {
    let condition = |when: &str| {
        flow("a", json!({"a": {"type": "condition", "branches": [{"port": "x", "when": when}]}}), &[])
    };
    one(&condition("1 +"), Code::Syntax, "a");
    one(&condition("'x' + 1 == 2"), Code::TypeError, "a");
    one(&condition("1 + 1"), Code::TypeError, "a");
    one(&condition("nothing > 1"), Code::TypeError, "a");
    one(&condition("input.x == input.x"), Code::Suspicious, "a");
    let mut typed = condition("input.ammount > 5");
    typed["input"] = json!({"type": "object", "properties": {"amount": {"type": "number"}}});
    one(&typed, Code::TypeError, "a");
    let report = validate(&Definition::from_value(typed).unwrap(), actions().catalog());
    assert_eq!(report.findings[0].mend, "did you mean `amount`?");
    one(
        &flow("a", json!({"a": {"type": "for_each", "items": "5", "as": "x"}, "b": end()}), &["a:body b"]),
        Code::TypeError,
        "a",
    );
    // The type of a variable follows from what sets it.
    let nodes = json!({"s": {"type": "set", "values": {"v": "='text'"}}, "c": {"type": "condition", "branches": [{"port": "x", "when": "v > 1"}]}});
    one(&flow("s", nodes, &["s c"]), Code::TypeError, "c");
    let nodes = json!({"d": {"type": "action", "action": "double", "params": {"n": 1}, "output": "v"},
        "c": {"type": "condition", "branches": [{"port": "x", "when": "v.startsWith('x')"}]}});
    one(&flow("d", nodes, &["d c"]), Code::TypeError, "c");
}

#[test]
fn actions_and_their_parameters() {
    let act = |action: &str, params: Value| {
        flow("a", json!({"a": {"type": "action", "action": action, "params": params}}), &[])
    };
    one(&act("ecko", json!(null)), Code::UnknownAction, "a");
    one(&act("double", json!({})), Code::Parameters, "a");
    one(&act("double", json!({"n": "five"})), Code::Parameters, "a");
    one(&act("double", json!({"n": "='five'"})), Code::Parameters, "a");
    assert_eq!(codes(&act("double", json!({"n": "=2 + 3"}))), []);
    assert_eq!(codes(&act("double", json!({"n": "=input.n"}))), []);
    let mut retries = act("echo", json!(null));
    retries["nodes"]["a"]["retry"] = json!([{"attempts": 0}]);
    one(&retries, Code::OutOfBounds, "a");
}

#[test]
fn secrets_stay_out() {
    let act =
        |params: Value| flow("a", json!({"a": {"type": "action", "action": "echo", "params": params}}), &[]);
    for params in [
        json!({"password": "hunter2"}),
        json!({"auth": {"apiKey": "abc"}}),
        json!({"text": "key sk_live_0123456789abcdefghijkl"}),
        json!({"url": "https://bot:pa55@example.com/x"}),
        json!({"t": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc"}),
        json!({"pem": "-----BEGIN RSA PRIVATE KEY-----\nabc"}),
    ] {
        one(&act(params), Code::SecretLiteral, "a");
    }
    one(&act(json!({"password": {"$secret": "smtp"}})), Code::UnknownSecret, "a");
    let mut named = act(json!({"password": {"$secret": "smtp"}}));
    named["secrets"] = json!(["smtp"]);
    assert_eq!(codes(&named), []);
    assert_eq!(
        codes(&act(
            json!({"token": "=input.token", "secretary": "Ann", "url": "https://example.com/@ann:x"})
        )),
        []
    );
}

#[test]
fn times_values_and_schemas() {
    one(&flow("a", json!({"a": {"type": "wait", "for": {"duration": "soon"}}}), &[]), Code::InvalidTime, "a");
    one(&flow("a", json!({"a": {"type": "wait", "for": {"until": "2026"}}}), &[]), Code::InvalidTime, "a");
    let mut value = flow("a", json!({"a": end()}), &[]);
    value["variables"] = json!({"n": {"schema": {"type": "integer"}, "value": "x"}});
    one(&value, Code::InvalidValue, "");
    let mut schema = flow("a", json!({"a": end()}), &[]);
    schema["input"] = json!({"type": "nonsense"});
    one(&schema, Code::InvalidSchema, "");
    let mut set = flow("a", json!({"a": {"type": "set", "values": {"n": "x"}}}), &[]);
    set["variables"] = json!({"n": {"schema": {"type": "integer"}}});
    one(&set, Code::InvalidValue, "a");
}
