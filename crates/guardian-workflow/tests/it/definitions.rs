//! Reading and writing definitions.

use guardian_workflow::{Definition, Schedule, Span};
use serde_json::json;

use crate::world::flow;

#[test]
fn a_definition_comes_back_as_it_was_written() {
    let value = flow(
        "a",
        json!({"a": {"type": "action", "action": "x", "name": "Say it", "params": {"a": null, "b": [1.5, "=x"]},
            "retry": [{"on": ["a"], "attempts": 3, "interval": "1s", "backoff": 1.5}]}, "b": {"type": "end", "result": 1}}),
        &["a b"],
    );
    let read = Definition::from_value(value.clone()).unwrap();
    assert_eq!(Definition::from_json(&read.canonical()).unwrap(), read);
    assert_eq!(read.to_value(), value);
}

#[test]
fn what_is_not_known_is_refused() {
    for (nodes, expected) in [
        (json!({"a": {"type": "end", "reslt": 1}}), "reslt"),
        (json!({"a": {"type": "nothing"}}), "nothing"),
        (json!({"a": {"type": "set", "values": {"input": 1}}}), "input"),
        (json!({"": {"type": "end"}}), "empty"),
        (json!({"a": {"name": 5, "type": "end"}}), "name"),
    ] {
        let error = Definition::from_value(flow("a", nodes, &[])).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let newer = json!({"schema": 2, "name": "x", "start": "a", "nodes": {}});
    assert!(Definition::from_value(newer).unwrap_err().to_string().contains("`2`"));
}

#[test]
fn the_hash_does_not_depend_on_order_or_layout() {
    let a = r#"{"schema":1,"name":"x","start":"a","nodes":{"a":{"type":"end"},"b":{"type":"end"}}}"#;
    let b = r#"{"nodes":{"b":{"type":"end"},"a":{"type":"end"}},"layout":{"a":{"x":1,"y":2}},"start":"a","name":"x","schema":1}"#;
    let hash = |text: &str| Definition::from_json(text).unwrap().content_hash();
    assert_eq!(hash(a), hash(b));
    assert_ne!(hash(a), hash(&a.replace("\"x\"", "\"y\"")));
}

#[test]
fn durations_and_schedules() {
    for (text, millis) in [
        ("90s", 90_000),
        ("1h 30m", 5_400_000),
        ("PT1H30M", 5_400_000),
        ("P1DT0.5S", 86_400_500),
        ("0.25s", 250),
        ("P2W", 1_209_600_000),
    ] {
        let span: Span = text.parse().unwrap();
        assert_eq!(span.as_millis(), millis, "{text}");
        assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
    }
    for text in
        ["", "5", "5 minutes", "P", "PT", "PT5", "P1Y", "P1M", "-5s", "1.2345s", "PT1S1H", "999999999999d"]
    {
        assert!(text.parse::<Span>().is_err(), "{text}");
    }
    for text in
        ["", "* * * *", "60 * * * *", "* * 0 * *", "*/0 * * * *", "every 1ms", "5-1 * * * *", "a * * * *"]
    {
        assert!(text.parse::<Schedule>().is_err(), "{text}");
    }
    let next = |text: &str, from: &str| {
        let schedule: Schedule = text.parse().unwrap();
        schedule.next_after(from.parse().unwrap()).map(|time| time.to_rfc3339())
    };
    assert_eq!(next("0 0 29 2 *", "2026-03-01T00:00:00Z").as_deref(), Some("2028-02-29T00:00:00+00:00"));
    assert_eq!(next("0 0 30 2 *", "2026-03-01T00:00:00Z"), None);
    assert_eq!(
        next("*/15 9-17 * * 1-5", "2026-05-01T17:45:00Z").as_deref(),
        Some("2026-05-04T09:00:00+00:00")
    );
    assert_eq!(next("0 12 13 * 5", "2026-05-01T12:00:00Z").as_deref(), Some("2026-05-08T12:00:00+00:00"));
    assert_eq!(next("0 0 * * 7", "2026-05-01T12:00:00Z").as_deref(), Some("2026-05-03T00:00:00+00:00"));
    assert_eq!(next("every 15m", "2026-05-01T12:07:00Z").as_deref(), Some("2026-05-01T12:15:00+00:00"));
}

/// A file of many nodes with one that is not understood.
fn long(faulty: &str) -> String {
    use std::fmt::Write;

    let mut text = "schema: 1\nname: test\nstart: n0\nnodes:\n".to_owned();
    for at in 0..40 {
        writeln!(text, "  n{at}:\n    type: end").unwrap();
    }
    text.push_str(faulty);
    text
}

#[test]
fn what_is_no_definition_says_where() {
    let yaml = |text: &str| Definition::from_yaml(text).unwrap_err().to_string();
    for (faulty, expected) in [
        (
            "  big:\n    type: condition\n    brances: []\n",
            "line 87: at `nodes.big`: unknown field `brances`, expected",
        ),
        (
            "  big:\n    type: condition\n    branches:\n      - when: input.n > 1\n        port: true\n",
            "invalid type: boolean `true`, expected a string; write it in quotes",
        ),
        (
            "edges:\n  - from: n1\n    to: n2\n  - from: n1\n    too: n2\n",
            "line 89: at `edges[1]`: unknown field `too`",
        ),
        ("variables:\n  input:\n    value: 1\n", "at `variables.input`: "),
        ("settings:\n  limit: 1\n", "line 86: at `settings`: unknown field `limit`"),
        (
            "triggers:\n  t:\n    type: hook\n    path: /a\n",
            "line 87: at `triggers.t`: unknown variant `hook`",
        ),
        ("colour: red\n", "line 85: unknown field `colour`"),
    ] {
        let error = yaml(&long(faulty));
        assert!(error.contains(expected), "{error}");
    }
    let error = yaml(&long(
        "  big:\n    type: condition\n    branches:\n      - when: input.n > 1\n        port: true\n",
    ));
    assert!(error.contains("at `nodes.big`: ") && error.contains("line "), "{error}");

    let text = "{\"schema\": 1, \"name\": \"x\", \"start\": \"a\",\n \"nodes\": {\n\"a\": {\"type\": \"end\",\n\"reslt\": 1}}}";
    let error = Definition::from_json(text).unwrap_err().to_string();
    assert!(error.contains("line 4: at `nodes.a`: unknown field `reslt`"), "{error}");
    let value = serde_json::from_str(text).unwrap();
    let error = Definition::from_value(value).unwrap_err().to_string();
    assert!(error.contains("at `nodes.a`: unknown field `reslt`") && !error.contains("line"), "{error}");
    let error = Definition::from_json("{\n\"schema\": 1,,").unwrap_err().to_string();
    assert!(error.contains("line 2"), "{error}");
    for text in ["", " \n"] {
        assert!(yaml(text).ends_with("the text is empty"), "{}", yaml(text));
        let error = Definition::from_json(text).unwrap_err().to_string();
        assert!(error.ends_with("the text is empty"), "{error}");
    }
}
