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
