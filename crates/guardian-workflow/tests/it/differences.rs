//! Differences: their laws over generated pairs, and what they say.

use std::collections::BTreeSet;

use guardian_workflow::{
    Change, Class, Definition, Edge, JsonPatch, Node, NodeId, Place, Port, diff, diff_by_matching,
    match_nodes, merge, term_changes, text_diff,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::flow;

fn node() -> impl Strategy<Value = Value> {
    let expression = prop_oneof![
        Just("input.a > 1"),
        Just("input.a > 2"),
        Just("input.a > 1 && input.b"),
        Just("input.b && input.a > 1"),
        Just("x || y"),
        Just("x"),
        Just("true"),
    ];
    let literal = prop_oneof![
        Just(json!(null)),
        Just(json!(1)),
        Just(json!("=input.x")),
        Just(json!({"a": null})),
        Just(json!({"a": [1, 2]})),
        Just(json!({"a": [1, 3]})),
        Just(json!({"a": [1]})),
        Just(json!({"a~/b": {"c": 1}})),
        Just(json!([])),
    ];
    let name = prop_oneof![Just(""), Just("One"), Just("Two")];
    let note = prop_oneof![Just(""), Just("a note")];
    (0..7_u8, expression, literal, name, note, 1..4_u32).prop_map(|(kind, expression, literal, name, note, number)| {
        let mut node = match kind {
            0 => json!({"type": "action", "action": "echo", "params": literal}),
            1 => json!({"type": "condition", "branches": [{"port": "a", "when": expression}, {"port": "b", "when": "false"}]}),
            2 => json!({"type": "condition", "branches": [{"port": "a", "when": expression}]}),
            3 => json!({"type": "set", "values": {"v": literal}}),
            4 => json!({"type": "while", "when": expression, "max": number}),
            5 => json!({"type": "action", "action": "double", "retry": [{"attempts": number}]}),
            _ => json!({"type": "end"}),
        };
        node["name"] = json!(name);
        node["note"] = json!(note);
        node
    })
}

fn definition() -> impl Strategy<Value = Definition> {
    static IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let id = prop::sample::select(&IDS[..]);
    let nodes = prop::collection::btree_map(id.clone(), node(), 1..6);
    let port = prop::sample::select(&["next", "a", "b", "body"][..]);
    let edges = prop::collection::btree_set((id.clone(), port, id.clone()), 0..8);
    let layout = prop::collection::btree_map(id.clone(), (0..3_i64, 0..3_i64), 0..4);
    let trigger = prop::option::of(prop_oneof![Just("deal.won"), Just("deal.lost")]);
    let input = prop_oneof![
        Just(json!(null)),
        Just(json!({"type": "object"})),
        Just(json!({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]})),
    ];
    let steps = prop::option::of(1..4_u64);
    (nodes, edges, layout, trigger, (input, steps, id, prop::bool::ANY)).prop_map(
        |(nodes, edges, layout, trigger, (input, steps, start, variable))| {
            let mut value = json!({"schema": 1, "name": "generated", "start": start, "nodes": nodes});
            value["edges"] =
                edges.iter().map(|(from, port, to)| json!({"from": from, "port": port, "to": to})).collect();
            value["layout"] =
                layout.iter().map(|(id, (x, y))| ((*id).to_owned(), json!({"x": x, "y": y}))).collect();
            if let Some(event) = trigger {
                value["triggers"] = json!({"t": {"type": "event", "event": event}});
            }
            if !input.is_null() {
                value["input"] = input;
            }
            if let Some(steps) = steps {
                value["settings"] = json!({"limits": {"steps": steps}});
            }
            if variable {
                value["variables"] = json!({"v": {"value": null}});
            }
            Definition::from_value(value).unwrap()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn what_differs_makes_the_new_one_of_the_old_one(old in definition(), new in definition()) {
        let found = diff(&old, &new);
        prop_assert_eq!(&found.apply(&old).unwrap(), &new);
        prop_assert_eq!(&found.invert().apply(&new).unwrap(), &old);
        prop_assert_eq!(&found.invert().invert(), &found);
        prop_assert_eq!(found.is_empty(), old == new);
        prop_assert_eq!(diff(&new, &old).class() >= Class::Cosmetic, true);
        let text = serde_json::to_string(&found).unwrap();
        prop_assert_eq!(&serde_json::from_str::<guardian_workflow::Diff>(&text).unwrap(), &found);
        let patch = JsonPatch::between_definitions(&old, &new);
        prop_assert_eq!(patch.apply(&old.to_value()).unwrap(), new.to_value());
        prop_assert_eq!(text_diff(&old, &new).is_empty(), old.content_hash() == new.content_hash());
    }

    #[test]
    fn merging(base in definition(), ours in definition(), theirs in definition()) {
        prop_assert_eq!(&merge(&base, &ours, &base).unwrap().definition, &ours);
        prop_assert_eq!(&merge(&base, &base, &theirs).unwrap().definition, &theirs);
        let same = merge(&base, &ours, &ours).unwrap();
        prop_assert!(same.conflicts.is_empty());
        prop_assert_eq!(&same.definition, &ours);
        let (one, other) = (merge(&base, &ours, &theirs).unwrap(), merge(&base, &theirs, &ours).unwrap());
        prop_assert_eq!(one.conflicts.is_empty(), other.conflicts.is_empty());
        if one.conflicts.is_empty() {
            prop_assert_eq!(&one.definition, &other.definition);
            // Everything that they wanted is so.
            for change in diff(&base, &theirs).changes {
                if let Change::ParameterChanged { node, .. } = &change {
                    prop_assert!(one.definition.nodes.contains_key(node));
                }
            }
        }
    }
}

#[test]
fn edits_of_different_parts_merge() {
    let base = Definition::from_value(flow(
        "a",
        json!({"a": {"type": "action", "action": "echo", "params": {"x": 1, "y": 1}}, "e": {"type": "end"}}),
        &["a e"],
    ))
    .unwrap();
    let edit = |change: &dyn Fn(&mut Value)| {
        let mut value = base.to_value();
        change(&mut value);
        Definition::from_value(value).unwrap()
    };
    let ours = edit(&|value| value["nodes"]["a"]["params"]["x"] = json!(2));
    let theirs = edit(&|value| value["nodes"]["a"]["params"]["y"] = json!(3));
    let merged = merge(&base, &ours, &theirs).unwrap();
    assert!(merged.conflicts.is_empty());
    assert_eq!(merged.definition.to_value()["nodes"]["a"]["params"], json!({"x": 2, "y": 3}));
    let against = edit(&|value| value["nodes"]["a"]["params"]["x"] = json!(9));
    let merged = merge(&base, &ours, &against).unwrap();
    assert_eq!((merged.conflicts.len(), &merged.definition), (1, &ours));
    let gone = edit(&|value| {
        value["nodes"].as_object_mut().unwrap().remove("a");
        value["edges"] = json!([]);
        value["start"] = json!("e");
    });
    assert_eq!(merge(&base, &gone, &ours).unwrap().conflicts.len(), 1);
    assert_eq!(merge(&base, &ours, &gone).unwrap().conflicts.len(), 1);
}

#[test]
fn conditions_are_compared_by_their_terms() {
    let shown = |old: &str, new: &str| {
        term_changes(old, new).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(shown("a > 1 && b", "b&&(a>1)"), "");
    assert_eq!(shown("a > 1 && b", "a > 2 && b"), "`a > 1` → `a > 2`");
    assert_eq!(shown("a > 1", "a >= 1"), "`a > 1` → `a >= 1`");
    assert_eq!(shown("a > 1", "a > 1 && c"), "+ && `c`");
    assert_eq!(shown("a || b || c", "a || c"), "- || `b`");
    assert_eq!(shown("a && (x > 1 || y)", "a && (x > 3 || y)"), "`x > 1` → `x > 3`");
    assert_eq!(shown("a", "b"), "`a` → `b`");
    assert_eq!(shown("a &&", "b"), "`a &&` → `b`");
}

#[test]
fn differences_are_classified() {
    let mut base = flow(
        "a",
        json!({"a": {"type": "action", "action": "echo", "params": 1}, "c": {"type": "condition", "branches": [{"port": "x", "when": "input.n > 1"}]}}),
        &["a c"],
    );
    base["input"] = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    base["triggers"] = json!({"t": {"type": "event", "event": "deal.won"}});
    let class = |change: &dyn Fn(&mut Value)| {
        let mut value = base.clone();
        change(&mut value);
        let read = |value: &Value| Definition::from_value(value.clone()).unwrap();
        diff(&read(&base), &read(&value)).class()
    };
    assert_eq!(class(&|value| value["nodes"]["a"]["name"] = json!("Say")), Class::Cosmetic);
    assert_eq!(class(&|value| value["layout"] = json!({"a": {"x": 1, "y": 1}})), Class::Cosmetic);
    assert_eq!(
        class(&|value| value["nodes"]["c"]["branches"][0]["when"] = json!("(input.n>1)")),
        Class::Preserving
    );
    assert_eq!(class(&|value| value["nodes"]["a"]["timeout"] = json!("5s")), Class::Preserving);
    assert_eq!(class(&|value| value["nodes"]["a"]["params"] = json!(2)), Class::Changing);
    assert_eq!(
        class(&|value| value["nodes"]["c"]["branches"][0]["when"] = json!("input.n > 2")),
        Class::Changing
    );
    assert_eq!(class(&|value| value["nodes"]["x"] = json!({"type": "end"})), Class::Changing);
    assert_eq!(class(&|value| value["triggers"]["t"]["event"] = json!("deal.lost")), Class::Breaking);
    assert_eq!(class(&|value| value["triggers"] = json!({})), Class::Breaking);
    assert_eq!(class(&|value| value["input"]["properties"]["n"]["type"] = json!("string")), Class::Breaking);
    assert_eq!(
        class(&|value| value["input"]["properties"]["n"]["type"] = json!("number")),
        Class::Preserving
    );
    assert_eq!(class(&|value| value["input"]["properties"] = json!({})), Class::Breaking);
    assert_eq!(class(&|value| value["input"]["required"] = json!([])), Class::Preserving);
    assert_eq!(class(&|value| value["input"]["required"] = json!(["n", "m"])), Class::Breaking);
    assert_eq!(
        class(&|value| value["input"]["properties"]["m"] = json!({"type": "integer"})),
        Class::Changing
    );
}

#[test]
fn nodes_whose_ids_were_lost_are_found_again() {
    let value = flow(
        "a",
        json!({
            "a": {"type": "action", "action": "echo", "params": {"x": 1, "y": 2, "z": 3}},
            "b": {"type": "action", "action": "echo", "params": {"to": "ann"}, "name": "Tell Ann"},
            "c": {"type": "condition", "branches": [{"port": "x", "when": "input.n > 1"}]},
            "d": {"type": "end"}
        }),
        &["a b", "b c", "c:x d"],
    );
    let old = Definition::from_value(value.clone()).unwrap();
    let mut text = value.to_string();
    for (from, to) in [("\"a\"", "\"n1\""), ("\"b\"", "\"n2\""), ("\"c\"", "\"n3\""), ("\"d\"", "\"n4\"")] {
        text = text.replace(from, to);
    }
    let mut new = Definition::from_json(&text).unwrap();
    assert_eq!(match_nodes(&old, &new).len(), 4);
    let (found, _, _) = diff_by_matching(&old, &new);
    assert!(found.is_empty(), "{found}");
    // With changes too: a parameter, and a name that stays while the rest is another.
    let mut value = new.to_value();
    value["nodes"]["n1"]["params"]["z"] = json!(4);
    value["nodes"]["n2"]["params"] = json!({"to": "bob"});
    new = Definition::from_value(value).unwrap();
    let (found, renamed, matches) = diff_by_matching(&old, &new);
    assert_eq!(found.changes.len(), 2, "{found}");
    assert_eq!(found.apply(&old).unwrap(), renamed);
    let sure: BTreeSet<_> =
        matches.iter().filter(|each| each.confidence < 0.6).map(|each| each.old.as_str()).collect();
    assert!(sure.len() <= 1, "{matches:?}");
}

#[test]
fn a_rename_and_a_move_are_one_change_each() {
    let old = Definition::from_value(flow("a", json!({"a": {"type": "end", "name": "x"}}), &[])).unwrap();
    let mut new = old.clone();
    let id = NodeId::new("a").unwrap();
    if let Some(node) = new.nodes.get_mut(&id) {
        *node = Node::new(node.kind.clone()).named("y");
    }
    new.layout.insert(id.clone(), Place::new(1, 2));
    assert_eq!(diff(&old, &new).to_string(), "~ `a` renamed: `x` → `y`\n~ `a` moved\n");
    let mut edge = old.clone();
    edge.edges.insert(Edge::new(id.clone(), Port::next(), id));
    assert_eq!(diff(&old, &edge).to_string(), "+ edge `a` next → `a`\n");
}
