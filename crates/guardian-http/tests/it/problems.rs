//! Problem details, byte for byte.

use guardian_http::{Problem, ProblemError};
use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};

fn text(problem: &Problem) -> String {
    String::from_utf8(problem.to_bytes()).unwrap()
}

#[test]
fn problems_of_the_draft() {
    assert_eq!(
        text(&Problem::quota_exceeded(["daily", "bandwidth"])),
        r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota Exceeded","status":429,"violated-policies":["daily","bandwidth"]}"#
    );
    assert_eq!(
        text(&Problem::temporary_reduced_capacity(["hourly"])),
        r#"{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","title":"Temporary Reduced Capacity","status":503,"violated-policies":["hourly"]}"#
    );
    assert_eq!(
        text(&Problem::abnormal_usage_detected([String::from("hourly")])),
        r#"{"type":"https://iana.org/assignments/http-problem-types#abnormal-usage-detected","title":"Abnormal Usage Detected","status":429,"violated-policies":["hourly"]}"#
    );
    assert_eq!(
        text(&Problem::quota_exceeded(Vec::<String>::new())),
        r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota Exceeded","status":429,"violated-policies":[]}"#
    );
}

#[test]
fn blank_problems() {
    assert_eq!(
        text(&Problem::new(StatusCode::FORBIDDEN)),
        r#"{"type":"about:blank","title":"Forbidden","status":403}"#
    );
    assert_eq!(
        text(&Problem::new(StatusCode::from_u16(599).unwrap())),
        r#"{"type":"about:blank","title":"Unknown","status":599}"#
    );
    assert_eq!(Problem::CONTENT_TYPE, "application/problem+json");
}

#[test]
fn members_have_their_order() {
    let problem = Problem::quota_exceeded(["daily"])
        .with_extension("zebra", 1)
        .unwrap()
        .with_instance("urn:uuid:00000000-0000-0000-0000-000000000001")
        .with_extension("alpha", json!({"a": null}))
        .unwrap()
        .with_detail("the \"daily\" quota is used up\n");
    assert_eq!(
        text(&problem),
        r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota Exceeded","status":429,"detail":"the \"daily\" quota is used up\n","instance":"urn:uuid:00000000-0000-0000-0000-000000000001","violated-policies":["daily"],"zebra":1,"alpha":{"a":null}}"#
    );
    assert_eq!(problem.type_uri(), Problem::QUOTA_EXCEEDED);
    assert_eq!(problem.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[test]
fn extensions_are_replaced_in_place() {
    let problem = Problem::new(StatusCode::CONFLICT)
        .with_extension("one", 1)
        .and_then(|problem| problem.with_extension("two", 2))
        .and_then(|problem| problem.with_extension("one", "again"))
        .unwrap();
    assert_eq!(
        text(&problem),
        r#"{"type":"about:blank","title":"Conflict","status":409,"one":"again","two":2}"#
    );
}

#[test]
fn standard_members_are_no_extensions() {
    for name in ["type", "title", "status", "detail", "instance"] {
        assert_eq!(
            Problem::new(StatusCode::OK).with_extension(name, Value::Null),
            Err(ProblemError::StandardMember { name: name.to_owned() })
        );
    }
}

proptest! {
    /// Every problem is one JSON object with the members that it was given, each of them once.
    #[test]
    fn problems_are_json(
        code in 100..600_u16, uri in any::<String>(), title in any::<String>(),
        detail in prop::option::of(any::<String>()),
        extensions in prop::collection::vec((any::<String>(), any::<String>()), 0..5),
    ) {
        let mut problem = Problem::new(StatusCode::from_u16(code).unwrap()).with_type(uri.clone(), title.clone());
        let mut expected = json!({"type": uri, "title": title, "status": code});
        if let Some(detail) = detail {
            problem = problem.with_detail(detail.clone());
            expected["detail"] = Value::from(detail);
        }
        for (name, value) in extensions {
            if let Ok(extended) = problem.clone().with_extension(name.clone(), value.clone()) {
                problem = extended;
                expected[name] = Value::from(value);
            }
        }
        let bytes = problem.to_bytes();
        let parsed: Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(&parsed, &expected);
        // No member is there twice: the text is as long as that of the parsed object.
        prop_assert_eq!(bytes.len(), parsed.to_string().len());
    }
}
