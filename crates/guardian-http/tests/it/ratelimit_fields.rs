//! The rate-limit fields: exact texts, and agreement with the grammar for everything that can be given.

use std::time::Duration;

use guardian_http::{
    FieldError, PartitionKey, PolicyName, QuotaPolicy, QuotaUnit, RATELIMIT, RATELIMIT_POLICY, ServiceLimit,
};
use proptest::prelude::*;

use crate::structured::{Bare, Item, parse_list};

const MAX_INTEGER: u64 = 999_999_999_999_999;

fn name(text: &str) -> PolicyName {
    PolicyName::new(text).unwrap()
}

fn key(bytes: &[u8]) -> PartitionKey {
    PartitionKey::new(bytes).unwrap()
}

fn policy_text(policy: &QuotaPolicy) -> String {
    QuotaPolicy::field([policy]).unwrap().to_str().unwrap().to_owned()
}

/// A name of any length that is allowed is followed by the next member as a short one is.
#[test]
fn long_names_are_members_of_a_list_like_others() {
    let long = "a".repeat(300);
    let policies = [QuotaPolicy::new(name(&long), 1), QuotaPolicy::new(name("b"), 2)];
    let field = QuotaPolicy::field(&policies).unwrap();
    assert_eq!(field.to_str().unwrap(), format!("\"{long}\";q=1, \"b\";q=2"));
}

#[test]
fn field_names() {
    assert_eq!(RATELIMIT, "RateLimit");
    assert_eq!(RATELIMIT_POLICY, "RateLimit-Policy");
}

/// The draft's own examples, with the space after the comma that the serialisation of RFC 9651 writes.
#[test]
fn examples_of_the_draft() {
    let policy =
        |text, quota, seconds| QuotaPolicy::new(name(text), quota).with_window(Duration::from_secs(seconds));
    assert_eq!(
        QuotaPolicy::field([policy("burst", 100, 60), policy("daily", 1000, 86_400)]).unwrap(),
        r#""burst";q=100;w=60, "daily";q=1000;w=86400"#
    );
    assert_eq!(
        policy_text(
            &policy("peruser", 65_535, 10).with_unit(QuotaUnit::ContentBytes).with_partition_key(key(b"u"))
        ),
        r#""peruser";q=65535;w=10;qu="content-bytes";pk=:dQ==:"#
    );
    let default = name("default");
    assert_eq!(
        ServiceLimit::field([ServiceLimit::new(&default, 50).with_reset(Duration::from_secs(30))]).unwrap(),
        r#""default";r=50;t=30"#
    );
    assert_eq!(
        ServiceLimit::field([ServiceLimit::new(&default, 999).with_partition_key(&key(b"trial121323"))])
            .unwrap(),
        r#""default";r=999;pk=:dHJpYWwxMjEzMjM=:"#
    );
    assert_eq!(
        ServiceLimit::field([ServiceLimit::new(&default, 300_000_000)
            .with_reset(Duration::from_secs(60))
            .with_partition_key(&key(b"App-999"))])
        .unwrap(),
        r#""default";r=300000000;t=60;pk=:QXBwLTk5OQ==:"#
    );
}

#[test]
fn several_limits() {
    let (burst, daily) = (name("burst"), name("daily"));
    let limits = [
        ServiceLimit::new(&burst, 0).with_reset(Duration::ZERO),
        ServiceLimit::new(&daily, 7).with_reset(Duration::from_secs(3600)),
    ];
    assert_eq!(ServiceLimit::field(limits).unwrap(), r#""burst";r=0;t=0, "daily";r=7;t=3600"#);
}

#[test]
fn no_members_no_field() {
    assert_eq!(QuotaPolicy::field(Vec::<QuotaPolicy>::new()), None);
    assert_eq!(ServiceLimit::field([]), None);
}

#[test]
fn units() {
    let text = |unit| policy_text(&QuotaPolicy::new(name("p"), 1).with_unit(unit));
    assert_eq!(text(QuotaUnit::Requests), r#""p";q=1;qu="requests""#);
    assert_eq!(text(QuotaUnit::ContentBytes), r#""p";q=1;qu="content-bytes""#);
    assert_eq!(text(QuotaUnit::ConcurrentRequests), r#""p";q=1;qu="concurrent-requests""#);
}

#[test]
fn seconds_round_up() {
    let policy = name("p");
    let window = |window| policy_text(&QuotaPolicy::new(policy.clone(), 1).with_window(window));
    let reset = |reset| ServiceLimit::field([ServiceLimit::new(&policy, 1).with_reset(reset)]).unwrap();
    assert_eq!(window(Duration::ZERO), r#""p";q=1;w=1"#);
    assert_eq!(window(Duration::from_nanos(1)), r#""p";q=1;w=1"#);
    assert_eq!(window(Duration::from_millis(1500)), r#""p";q=1;w=2"#);
    assert_eq!(window(Duration::MAX), r#""p";q=1;w=999999999999999"#);
    assert_eq!(reset(Duration::ZERO), r#""p";r=1;t=0"#);
    assert_eq!(reset(Duration::from_nanos(1)), r#""p";r=1;t=1"#);
    assert_eq!(reset(Duration::from_secs(1)), r#""p";r=1;t=1"#);
    assert_eq!(reset(Duration::new(1, 1)), r#""p";r=1;t=2"#);
    assert_eq!(reset(Duration::MAX), r#""p";r=1;t=999999999999999"#);
}

#[test]
fn integers_stay_within_fifteen_digits() {
    let text = |quota| policy_text(&QuotaPolicy::new(name("p"), quota));
    assert_eq!(text(0), r#""p";q=0"#);
    assert_eq!(text(MAX_INTEGER), r#""p";q=999999999999999"#);
    assert_eq!(text(MAX_INTEGER + 1), r#""p";q=999999999999999"#);
    assert_eq!(text(u64::MAX), r#""p";q=999999999999999"#);
}

#[test]
fn names_are_escaped_or_refused() {
    assert_eq!(policy_text(&QuotaPolicy::new(name(r#"a"b\c, d;e=~ "#), 1)), r#""a\"b\\c, d;e=~ ";q=1"#);
    assert_eq!(PolicyName::new(""), Err(FieldError::EmptyName));
    for wrong in ["täglich", "a\tb", "a\nb", "a\r\nSet-Cookie: b", "\u{7f}", "\0", "日"] {
        assert!(matches!(PolicyName::new(wrong), Err(FieldError::NotPrintable { .. })), "{wrong:?}");
    }
    assert_eq!(
        PolicyName::new("a\r\nb").unwrap_err().to_string(),
        r"policy name `a\r\nb` has characters that are not printable ASCII"
    );
    assert!(PolicyName::new("x".repeat(1024)).is_ok());
    assert_eq!(
        PolicyName::new("x".repeat(1025)).unwrap_err().to_string(),
        "policy name has 1025 characters, more than 1024"
    );
}

#[test]
fn keys_are_base64() {
    let text = |bytes: &[u8]| policy_text(&QuotaPolicy::new(name("p"), 1).with_partition_key(key(bytes)));
    // The test vectors of RFC 4648 section 10, and the two digits that differ in the URL alphabet.
    for (bytes, base64) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(text(bytes.as_bytes()), format!("\"p\";q=1;pk=:{base64}:"));
    }
    assert_eq!(text(&[0xfb, 0xff]), r#""p";q=1;pk=:+/8=:"#);
    assert!(PartitionKey::new(vec![0; 16_384]).is_ok());
    assert_eq!(
        PartitionKey::new(vec![0; 16_385]).unwrap_err().to_string(),
        "partition key has 16385 bytes, more than 16384"
    );
}

fn any_duration() -> impl Strategy<Value = Duration> {
    let seconds = prop_oneof![0..100_u64, any::<u64>()];
    let nanos = prop_oneof![Just(0), Just(1), 0..1_000_000_000_u32];
    (seconds, nanos).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
}

fn any_key() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..40))
}

fn ceil(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000_000).min(u128::from(MAX_INTEGER))).unwrap()
}

fn integer(key: &str, value: u64) -> (String, Bare) {
    (key.to_owned(), Bare::Integer(value.min(MAX_INTEGER)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn policies_are_read_back(given in prop::collection::vec(
        ("[ -~]{1,40}", any::<u64>(), prop::option::of(any_duration()), 0..4_usize, any_key()), 1..6,
    )) {
        let units = [None, Some(QuotaUnit::Requests), Some(QuotaUnit::ContentBytes), Some(QuotaUnit::ConcurrentRequests)];
        let (mut policies, mut expected) = (Vec::new(), Vec::new());
        for (text, quota, window, unit, partition) in given {
            let mut policy = QuotaPolicy::new(name(&text), quota);
            let mut params = vec![integer("q", quota)];
            if let Some(window) = window {
                policy = policy.with_window(window);
                params.push(integer("w", ceil(window).max(1)));
            }
            if let Some(unit) = units[unit] {
                policy = policy.with_unit(unit);
                params.push(("qu".to_owned(), Bare::String(unit.as_str().to_owned())));
            }
            if let Some(partition) = partition {
                policy = policy.with_partition_key(key(&partition));
                params.push(("pk".to_owned(), Bare::Bytes(partition)));
            }
            policies.push(policy);
            expected.push(Item { value: Bare::String(text), params });
        }
        let field = QuotaPolicy::field(&policies).unwrap();
        prop_assert_eq!(parse_list(field.as_bytes()), Some(expected));
    }

    #[test]
    fn limits_are_read_back(given in prop::collection::vec(
        ("[ -~]{1,40}", any::<u64>(), prop::option::of(any_duration()), any_key()), 1..6,
    )) {
        let given: Vec<_> = given.into_iter().map(|(text, remaining, reset, partition)| {
            (name(&text), remaining, reset, partition.map(|bytes| key(&bytes)))
        }).collect();
        let (mut limits, mut expected) = (Vec::new(), Vec::new());
        for (policy, remaining, reset, partition) in &given {
            let mut limit = ServiceLimit::new(policy, *remaining);
            let mut params = vec![integer("r", *remaining)];
            if let Some(reset) = reset {
                limit = limit.with_reset(*reset);
                params.push(integer("t", ceil(*reset)));
            }
            if let Some(partition) = partition {
                limit = limit.with_partition_key(partition);
                params.push(("pk".to_owned(), Bare::Bytes(partition.as_bytes().to_vec())));
            }
            limits.push(limit);
            expected.push(Item { value: Bare::String(policy.as_str().to_owned()), params });
        }
        let field = ServiceLimit::field(limits).unwrap();
        prop_assert_eq!(parse_list(field.as_bytes()), Some(expected));
    }

    /// Whatever is accepted as a name can be written.
    #[test]
    fn names(text in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
        let printable = !text.is_empty() && text.chars().all(|c| (' '..='~').contains(&c));
        prop_assert_eq!(PolicyName::new(text.clone()).is_ok(), printable);
        if let Ok(name) = PolicyName::new(text) {
            prop_assert!(ServiceLimit::field([ServiceLimit::new(&name, 1)]).is_some());
        }
    }
}
