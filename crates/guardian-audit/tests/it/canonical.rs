//! One event, one encoding.

use chrono::DateTime;
use guardian_audit::testkit::Sample;
use guardian_audit::{Assessment, AuditEvent, Sealed, canonical};
use guardian_core::TenantId;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

fn record(event: &AuditEvent, sealed: &[Sealed]) -> Vec<u8> {
    let tenant = TenantId::new("acme").unwrap();
    let recorded = DateTime::from_timestamp_micros(1_735_716_653_290_776).unwrap();
    let mut record = canonical::heading(&tenant, 7, recorded);
    let risk = Assessment::new(55, vec!["new_country".into(), "admin".into()], 3);
    record.extend(canonical::encode_body(event, &risk, sealed).unwrap());
    record
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(".{0,8}", inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_was_written_is_read(seed: u64, value in json_value(), sealed in any::<Option<(u128, [u8; 24])>>()) {
        let event = Sample::new(seed).event().with_metadata("any", value);
        let sealed: Vec<_> = sealed
            .map(|(key, nonce)| Sealed { key: Uuid::from_u128(key), nonce, ciphertext: vec![1, 2, 3] })
            .into_iter()
            .collect();
        let bytes = record(&event, &sealed);
        let read = canonical::decode(&bytes).unwrap();
        prop_assert_eq!(&read.event, &event);
        prop_assert_eq!(&read.sealed, &sealed);
        prop_assert_eq!((read.sequence, read.tenant.as_str(), read.risk.score), (7, "acme", 55));
        prop_assert_eq!(canonical::encode(&read).unwrap(), bytes);
    }

    /// Whatever is accepted is what would have been written: no event has two forms.
    #[test]
    fn an_altered_record_is_another_event_or_none(seed: u64, at: prop::sample::Index, bit in 0_u8..8) {
        let bytes = record(&Sample::new(seed).event(), &[]);
        let mut altered = bytes.clone();
        altered[at.index(bytes.len())] ^= 1 << bit;
        if let Ok(read) = canonical::decode(&altered) {
            prop_assert_eq!(canonical::encode(&read).unwrap(), altered);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(read) = canonical::decode(&bytes) {
            prop_assert_eq!(canonical::encode(&read).unwrap(), bytes);
        }
    }
}

#[test]
fn a_cut_record_is_refused() {
    let bytes = record(&Sample::new(1).event(), &[]);
    let whole = canonical::decode(&bytes).unwrap();
    for length in 0..bytes.len() {
        if let Ok(read) = canonical::decode(&bytes[..length]) {
            assert_ne!(read, whole);
        }
    }
}

#[test]
fn limits_are_errors() {
    let mut deep = json!(1);
    for _ in 0..canonical::MAX_DEPTH {
        deep = json!([deep]);
    }
    let too_deep = AuditEvent::new("a").with_metadata("deep", deep);
    let error = canonical::encode_body(&too_deep, &Assessment::default(), &[]).unwrap_err();
    assert_eq!(error.to_string(), "a value nests deeper than 32 levels");
    let too_long = AuditEvent::new("a").with_metadata("long", "x".repeat(canonical::MAX_BODY));
    assert!(canonical::encode_body(&too_long, &Assessment::default(), &[]).is_err());
}

/// The bytes of version 1, written down: a change of them breaks every log there is.
#[test]
fn the_first_version_stays_as_it_is() {
    let event = AuditEvent::new("deal.updated").with_metadata("n", 1);
    let bytes = record(&event, &[]);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "010461636d65000000000000000700062aa0068cd518030c6465616c2e757064617465640501001501021601371712\
         0b6e65775f636f756e7472790561646d696e1804000000031b0c01016e030000000000000001"
    );
}
