//! The human syntax.

use std::time::Duration;

use guardian_ratelimit::{Precision, Rate, Rule};
use proptest::prelude::*;

fn rules() -> impl Strategy<Value = Rule> {
    let window = prop_oneof![
        (1u64..100_000).prop_map(Duration::from_millis),
        (1000u64..10_000_000).prop_map(Duration::from_micros),
        (1u64..366).prop_map(|days| Duration::from_secs(days * 86_400)),
    ];
    let rate = (1u32..=1_000_000, window.clone())
        .prop_filter_map("at most one per nanosecond", |(count, window)| Rate::new(count, window).ok());
    prop_oneof![
        (rate.clone(), 1u32..1_000_000)
            .prop_filter_map("fills", |(rate, burst)| Rule::token_bucket(rate, burst).ok()),
        (rate.clone(), 2u16..=1000).prop_map(|(rate, slices)| Rule::sliding_window(
            rate,
            Precision::Strict { slices }
        )
        .unwrap()),
        (rate.clone(), 2u16..=1000).prop_map(|(rate, slices)| Rule::sliding_window(
            rate,
            Precision::Lenient { slices }
        )
        .unwrap()),
        (1u32..=1024, window.clone()).prop_filter_map("at most one per nanosecond", |(count, window)| {
            Rule::sliding_window(Rate::new(count, window).ok()?, Precision::Exact).ok()
        }),
        rate.prop_map(Rule::fixed_window),
        (1u32..=10_000, window).prop_map(|(permits, ttl)| Rule::concurrency(permits, ttl).unwrap()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn what_is_written_reads_back(rule in rules()) {
        let text = rule.to_string();
        let read: Rule = text.parse().unwrap();
        prop_assert_eq!(read, rule);
        prop_assert_eq!(read.to_string(), text);
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_reason(text in "\\PC{0,40}|[0-9/ a-z_]{0,30}") {
        match text.parse::<Rule>() {
            Ok(rule) => prop_assert_eq!(rule.to_string().parse::<Rule>().unwrap(), rule),
            Err(error) => prop_assert!(error.to_string().starts_with("invalid rule `")),
        }
    }
}

#[test]
fn people_write_it_in_many_ways() {
    let same = [
        ("100/min", "100/min burst 100"),
        (" 100 / minute ", "100/min burst 100"),
        ("1_000/h burst 50", "1000/h burst 50"),
        ("5/10s", "5/10s burst 5"),
        // More microseconds than 32 bits hold.
        ("1/4294967297us", "1/4294967297us burst 1"),
        ("5/10 seconds", "5/10s burst 5"),
        ("3/1500ms", "3/1500ms burst 3"),
        ("60/60s burst 5", "60/min burst 5"),
        ("7/7days", "7/week burst 7"),
        ("10/min sliding", "10/min sliding exact"),
        ("100/min sliding", "100/min sliding strict 60"),
        ("100/min sliding lenient", "100/min sliding lenient 60"),
        ("100/min sliding strict 10", "100/min sliding strict 10"),
        ("1000/d fixed", "1000/day fixed"),
        ("10 concurrent for 30s", "10 concurrent for 30s"),
        ("1 concurrent for 1min", "1 concurrent for 1min"),
    ];
    for (text, canonical) in same {
        assert_eq!(text.parse::<Rule>().map(|rule| rule.to_string()).as_deref(), Ok(canonical), "{text}");
    }
}

#[test]
fn errors_say_what_and_where() {
    let errors = [
        ("", "invalid rule ``: expected a count at byte 0"),
        (
            "100",
            "invalid rule `100`: expected `/` and a unit, as in `100/min`, or `concurrent for 30s` at byte 3",
        ),
        (
            "100/",
            "invalid rule `100/`: expected a unit; use `ms`, `s`, `min`, `h`, `day` or `week` at byte 4",
        ),
        ("100/m", "invalid rule `100/m`: unknown unit `m` at byte 4; write `min` for minutes"),
        (
            "100/fortnight",
            "invalid rule `100/fortnight`: unknown unit `fortnight` at byte 4; use `ms`, `s`, `min`, `h`, `day` or `week`",
        ),
        ("0/s", "invalid rule `0/s`: the count must be 1 to 1000000000"),
        ("99999999999/s", "invalid rule `99999999999/s`: `99999999999` is too large at byte 0"),
        ("1__0/s", "invalid rule `1__0/s`: a `_` must stand between two digits at byte 0"),
        (
            "100/min burst",
            "invalid rule `100/min burst`: expected a number after `burst`, as in `burst 20` at byte 13",
        ),
        ("100/min burst 0", "invalid rule `100/min burst 0`: the burst must be 1 to 1000000000"),
        ("100/min burst 5 extra", "invalid rule `100/min burst 5 extra`: unexpected `extra` at byte 16"),
        ("100/min burst 5 !", "invalid rule `100/min burst 5 !`: unexpected `!` at byte 16"),
        (
            "1/day burst 1000000",
            "invalid rule `1/day burst 1000000`: an empty bucket would take more than ten years to fill",
        ),
        (
            "5000/min sliding exact",
            "invalid rule `5000/min sliding exact`: an exact window holds at most 1024; use `strict` or `lenient`",
        ),
        (
            "5/min sliding sloppy",
            "invalid rule `5/min sliding sloppy`: unknown word `sloppy`; expected `exact`, `strict` or `lenient` at byte 14",
        ),
        (
            "10 concurrent",
            "invalid rule `10 concurrent`: expected `for` and a time, as in `10 concurrent for 30s` at byte 13",
        ),
        (
            "1.5/s",
            "invalid rule `1.5/s`: expected `/` and a unit, as in `100/min`, or `concurrent for 30s` at byte 1",
        ),
    ];
    for (text, message) in errors {
        assert_eq!(text.parse::<Rule>().unwrap_err().to_string(), message);
    }
    let long = "9".repeat(100_000).parse::<Rule>().unwrap_err().to_string();
    assert!(long.len() < 300, "{}", long.len());
}
