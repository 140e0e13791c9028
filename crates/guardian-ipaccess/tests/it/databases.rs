//! MaxMind DB files: made here, damaged here.

use std::net::{IpAddr, Ipv4Addr};

use chrono::TimeDelta;
use guardian_core::Timestamp;
use guardian_ipaccess::{
    AccessPolicy, AccessRequest, Anonymizer, CompiledPolicy, DatabaseError, DatabaseKind, Defaults, Finding,
    Geography, MaxMind, Reason, Wanted,
};
use proptest::prelude::*;

const ALL: Wanted = Wanted { country: true, asn: true, anonymizer: true };

fn at() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// Writes values as the format says (MaxMind DB File Format 2.0, "Data Section").
mod write {
    pub(super) fn text(text: &str) -> Vec<u8> {
        assert!(text.len() < 29);
        [&[0x40 | u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    }

    pub(super) fn unsigned(kind: u8, value: u64) -> Vec<u8> {
        let bytes = value.to_be_bytes();
        let bytes = &bytes[value.leading_zeros() as usize / 8..];
        let length = u8::try_from(bytes.len()).unwrap();
        // Types above 7 are written in a byte of their own.
        let head = if kind <= 7 { vec![kind << 5 | length] } else { vec![length, kind - 7] };
        [&head[..], bytes].concat()
    }

    pub(super) fn truth() -> Vec<u8> {
        vec![1, 14 - 7]
    }

    pub(super) fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![0xe0 | u8::try_from(entries.len()).unwrap()];
        for (key, value) in entries {
            bytes.extend(text(key));
            bytes.extend(value);
        }
        bytes
    }
}

/// A database of IPv4 in which 0.0.0.0/1 has one record, 128.0.0.0/2 another, and 192.0.0.0/2 none.
fn database(kind: &str, records: &[Vec<u8>; 2], built: Timestamp) -> Vec<u8> {
    let nodes = 2_u32;
    let data = |offset: usize| nodes + 16 + u32::try_from(offset).unwrap();
    let first = data(0);
    let second = data(records[0].len());
    // Node 0: record one, node 1. Node 1: record two, nothing (the number of nodes).
    let mut bytes = Vec::new();
    for pointer in [first, 1, second, nodes] {
        bytes.extend(&pointer.to_be_bytes()[1..]);
    }
    bytes.extend([0; 16]);
    bytes.extend(records.concat());
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    bytes.extend(write::map(&[
        ("binary_format_major_version", write::unsigned(5, 2)),
        ("binary_format_minor_version", write::unsigned(5, 0)),
        ("build_epoch", write::unsigned(9, u64::try_from(built.timestamp()).unwrap())),
        ("database_type", write::text(kind)),
        ("description", write::map(&[("en", write::text("made by a test"))])),
        ("ip_version", write::unsigned(5, 4)),
        ("languages", vec![0, 11 - 7]),
        ("node_count", write::unsigned(6, u64::from(nodes))),
        ("record_size", write::unsigned(5, 24)),
    ]));
    bytes
}

fn countries() -> Vec<u8> {
    let country = |code| write::map(&[("country", write::map(&[("iso_code", write::text(code))]))]);
    database("Test-Country", &[country("DE"), country("NO")], at())
}

#[test]
fn countries_are_found_and_an_address_of_the_other_family_is_unknown() {
    let geography = MaxMind::new();
    geography.load(DatabaseKind::Country, countries()).unwrap();
    let country = |addr: &str| geography.look_up(addr.parse().unwrap(), at(), ALL).country;
    for _ in 0..2 {
        // The second time from what was remembered.
        assert_eq!(country("10.0.0.1"), Finding::Known("DE".parse().unwrap()));
        assert_eq!(country("150.0.0.1"), Finding::Known("NO".parse().unwrap()));
        assert_eq!(country("200.0.0.1"), Finding::Unknown);
        assert_eq!(country("2001:db8::1"), Finding::Unknown);
    }
    let located = geography.look_up("10.0.0.1".parse().unwrap(), at(), ALL);
    assert_eq!((located.asn, located.anonymizer), (Finding::NoDatabase, Finding::NoDatabase));
}

#[test]
fn systems_and_anonymisers_are_found() {
    let geography = MaxMind::new();
    let asn = |number| write::map(&[("autonomous_system_number", write::unsigned(6, number))]);
    geography
        .load(DatabaseKind::Asn, database("Test-ASN", &[asn(64_496), asn(4_200_000_000)], at()))
        .unwrap();
    let tor = write::map(&[("is_anonymous", write::truth()), ("is_tor_exit_node", write::truth())]);
    let hosting = write::map(&[("is_hosting_provider", write::truth())]);
    geography.load(DatabaseKind::Anonymous, database("Test-Anonymous", &[tor, hosting], at())).unwrap();
    let look = |addr: &str| geography.look_up(addr.parse().unwrap(), at(), ALL);
    assert_eq!(look("10.0.0.1").asn, Finding::Known(64_496));
    assert_eq!(look("150.0.0.1").asn, Finding::Known(4_200_000_000));
    let kinds = |addr| look(addr).anonymizer.believed(false).unwrap();
    assert!(kinds("10.0.0.1").has(Anonymizer::Tor) && !kinds("10.0.0.1").has(Anonymizer::Hosting));
    assert!(kinds("150.0.0.1").has(Anonymizer::Hosting) && kinds("150.0.0.1").has(Anonymizer::Any));
    // Who is in no record hides nobody.
    assert!(!kinds("200.0.0.1").has(Anonymizer::Any));
}

#[test]
fn what_is_too_old_is_stale_and_policies_say_what_that_means() {
    let geography = MaxMind::new().stale_after(TimeDelta::days(30));
    geography.load(DatabaseKind::Country, countries()).unwrap();
    let text = "default deny\nallow country DE\nstale database ";
    for (stale, later, expected) in [
        (
            "deny",
            29,
            Reason::Rule(
                AccessPolicy::parse(text.split_once("stale").unwrap().0, Defaults::closed()).unwrap().rules()
                    [0]
                .id,
            ),
        ),
        ("deny", 31, Reason::StaleDatabase),
        ("allow", 31, Reason::StaleDatabase),
    ] {
        let policy = AccessPolicy::parse(&format!("{text}{stale}"), Defaults::closed()).unwrap();
        let request = AccessRequest::new("10.0.0.1".parse().unwrap(), at() + TimeDelta::days(later));
        let decision = CompiledPolicy::new(policy).decide_in(&request, &geography);
        assert_eq!(decision.reason(), expected, "{stale} after {later} days");
        assert_eq!(decision.is_allowed(), stale == "allow" || later == 29);
    }
}

#[test]
fn a_damaged_file_is_refused_and_the_one_before_goes_on() {
    let geography = MaxMind::new();
    geography.load(DatabaseKind::Country, countries()).unwrap();
    let whole = countries();
    let broken = geography.load(DatabaseKind::Country, whole[..whole.len() / 2].to_vec());
    assert!(matches!(broken, Err(DatabaseError::Broken { .. })), "{broken:?}");
    let other = geography
        .load(DatabaseKind::Country, database("Test-ASN", &[write::map(&[]), write::map(&[])], at()));
    assert_eq!(other.unwrap_err().to_string(), "a database of type `Test-ASN` is not about country");
    let country = geography.look_up(Ipv4Addr::new(10, 0, 0, 1).into(), at(), ALL).country;
    assert_eq!(country, Finding::Known("DE".parse().unwrap()));
    geography.unload(DatabaseKind::Country);
    assert_eq!(geography.look_up(Ipv4Addr::LOCALHOST.into(), at(), ALL).country, Finding::NoDatabase);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever is written over, cut off or appended: the file is refused, or every look-up ends.
    #[test]
    fn a_damaged_file_is_refused_or_harmless(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::weighted(0.2, any::<proptest::sample::Index>()),
        addrs in proptest::collection::vec(any::<u32>(), 8),
    ) {
        let mut bytes = countries();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let geography = MaxMind::new();
        for kind in [DatabaseKind::Country, DatabaseKind::Asn, DatabaseKind::Anonymous] {
            let _ = geography.load(kind, bytes.clone());
        }
        for addr in addrs {
            let addr = IpAddr::from(Ipv4Addr::from(addr));
            let _ = geography.look_up(addr, at(), ALL);
            let _ = geography.coordinates(addr);
        }
        let _ = geography.look_up("2001:db8::1".parse().unwrap(), at(), ALL);
    }
}
