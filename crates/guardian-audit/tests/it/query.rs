//! The query language.

use guardian_audit::testkit::QUERIES;
use guardian_audit::{Dimension, Plan, Query};
use proptest::prelude::*;

fn plan(query: &Query) -> Plan {
    Plan::compile(query, &|_, _| None)
}

#[test]
fn what_is_written_reads_the_same() {
    for text in QUERIES {
        let query: Query = text.parse().unwrap();
        let again: Query = query.to_string().parse().unwrap();
        assert_eq!(plan(&again), plan(&query), "{text} as {query}");
    }
}

#[test]
fn errors_say_where_and_what_was_meant() {
    for (text, error) in [
        (
            "acton:x",
            "there is no qualifier `acton`; a text with a colon stands in quotation marks, at byte 0; did you mean `action:`?",
        ),
        (
            "risk:hgih",
            "`hgih` is no risk level: it is `low`, `medium`, `high` or `critical`, at byte 5; did you mean `high`?",
        ),
        ("a (b", "this `(` is not closed, at byte 2"),
        ("a b)", "this `)` closes nothing, at byte 3"),
        ("()", "the parentheses are empty, at byte 0"),
        ("a OR", "nothing follows this `OR`, at byte 2"),
        ("OR a", "nothing stands before this `OR`, at byte 0"),
        ("a AND", "this `AND` does not stand between two conditions, at byte 2"),
        ("- a", "nothing follows to be negated, at byte 0"),
        ("action:", "`action:` has no value, at byte 0"),
        ("\"open", "this quotation mark is not closed, at byte 0"),
        ("a*b", "the star of `a*b` does not stand at the end, at byte 0"),
        (
            "created:yesterday",
            "`yesterday` is no time: write `2025`, `2025-03`, `2025-03-07` or `2025-03-07T14:30Z`, at byte 8",
        ),
        ("created:2025-03..2025-01", "the range ends before it begins, at byte 8"),
        (
            "ip:10.0.0.300",
            "`10.0.0.300` is no address and no network: write `10.1.2.3` or `10.0.0.0/8`, at byte 3",
        ),
        (
            "outcome:sucess",
            "`sucess` is no outcome: it is `success`, `failure` or `denied`, at byte 8; did you mean `success`?",
        ),
        ("has:contry", "there is no dimension `contry`, at byte 4; did you mean `country`?"),
        ("…", "`…` has no letter and no digit, at byte 0"),
        (",", "`,` has no letter and no digit, at byte 0"),
        ("meta.:x", "`meta.` needs the name of an entry, at byte 0"),
        ("sequence:-1", "`-1` is no place in the log, at byte 9"),
        ("risk:>critical", "no level is above `critical`, at byte 5"),
        ("risk:<low", "no level is below `low`, at byte 5"),
    ] {
        assert_eq!(text.parse::<Query>().unwrap_err().to_string(), error, "{text}");
    }
}

#[test]
fn limits_are_errors() {
    let deep = format!("{}a{}", "(".repeat(40), ")".repeat(40));
    assert!(deep.parse::<Query>().unwrap_err().to_string().contains("nests deeper than 32"));
    let dashes = format!("{}a", "-".repeat(5_000));
    assert!(dashes.parse::<Query>().unwrap_err().to_string().contains("nests deeper than 32"));
    assert!("a ".repeat(300).parse::<Query>().unwrap_err().to_string().contains("more than 256 conditions"));
    assert!("a".repeat(9_000).parse::<Query>().unwrap_err().to_string().contains("the most is 8192"));
}

#[test]
fn the_two_forms_say_the_same() {
    let typed: Query = "a b OR -(c action:x*)".parse().unwrap();
    let built = Query::text("a")
        .and(Query::text("b"))
        .or(Query::text("c").and(Query::starts_with(Dimension::Action, "x")).negate());
    assert_eq!(typed, built);
    assert_eq!("meta.\"a key\":v".parse::<Query>().unwrap().to_string(), "meta.\"a key\":v");
    assert_eq!("ip:10.1.2.3/8".parse::<Query>().unwrap(), "ip:10.0.0.0/8".parse().unwrap());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[-a-z:\"()*,.0-9 <>=/\u{e9}A-Z\\\\]{0,60}") {
        if let Ok(query) = text.parse::<Query>() {
            let written = query.to_string();
            let again = written.parse::<Query>().unwrap();
            prop_assert_eq!(plan(&again), plan(&query), "{} as {}", text, written);
        }
    }

    #[test]
    fn words_around_a_query_are_read(a in "[a-z]{1,8}", b in "[a-z]{1,8}") {
        let query: Query = format!("{a} action:{b}").parse().unwrap();
        prop_assert_eq!(query, Query::text(a).and(Query::equals(Dimension::Action, b)));
    }
}
