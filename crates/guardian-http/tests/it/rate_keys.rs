//! Rate keys: who shares an allowance.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use guardian_http::{RateKey, V6PrefixLen};
use proptest::prelude::*;

fn key(address: &str) -> RateKey {
    RateKey::new(address.parse().unwrap())
}

fn prefix(bits: u8) -> V6PrefixLen {
    V6PrefixLen::new(bits).unwrap()
}

#[test]
fn prefixes() {
    let address: IpAddr = "2001:db8:1234:5678:9abc:def0:1234:5678".parse().unwrap();
    let text = |bits| RateKey::with_prefix(address, prefix(bits)).to_string();
    assert_eq!(text(32), "2001:db8::/32");
    assert_eq!(text(48), "2001:db8:1234::/48");
    assert_eq!(text(56), "2001:db8:1234:5600::/56");
    assert_eq!(text(64), "2001:db8:1234:5678::/64");
    assert_eq!(text(127), "2001:db8:1234:5678:9abc:def0:1234:5678/127");
    assert_eq!(text(128), "2001:db8:1234:5678:9abc:def0:1234:5678/128");
    for bits in [0, 1, 31, 129, 255] {
        assert_eq!(V6PrefixLen::new(bits).unwrap_err().given, bits);
    }
}

#[test]
fn ipv4_inside_ipv6() {
    for address in ["192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207", "64:ff9b::192.0.2.7"] {
        assert_eq!(key(address).to_string(), "192.0.2.7", "{address}");
        assert_eq!(key(address), key("192.0.2.7"));
    }
    // Not the well-known prefix of RFC 6052, or not IPv4 at all.
    for address in ["64:ff9b:1::192.0.2.7", "64:ff9b::1:192.0.2.7", "::192.0.2.7", "2002:c000:207::1"] {
        assert!(key(address).to_string().ends_with("/64"), "{address}");
    }
}

#[test]
fn bytes_tell_keys_apart() {
    assert_eq!(key("192.0.2.7").to_bytes(), [4, 32, 192, 0, 2, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        key("2001:db8:0:1::5").to_bytes(),
        [6, 64, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    let address: IpAddr = "2001:db8::".parse().unwrap();
    let (short, long) =
        (RateKey::with_prefix(address, prefix(48)), RateKey::with_prefix(address, prefix(64)));
    assert_ne!(short, long);
    assert_ne!(short.to_bytes(), long.to_bytes());
}

#[test]
fn keys_count() {
    let mut counts: HashMap<RateKey, u32> = HashMap::new();
    for address in ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "192.0.2.1", "::ffff:192.0.2.1"] {
        *counts.entry(key(address)).or_default() += 1;
    }
    assert_eq!(counts[&key("2001:db8::9")], 2);
    assert_eq!(counts[&key("192.0.2.1")], 2);
    assert_eq!(counts.len(), 3);
}

proptest! {
    #[test]
    fn two_addresses_share_a_key_exactly_when_they_share_the_prefix(
        a in any::<u128>(), flip in 0_u32..128, bits in 32_u8..=128,
    ) {
        // Keep clear of the ranges that hold IPv4 addresses.
        let a = a | (1 << 127);
        let b = a ^ (1_u128 << (127 - flip)) | (1 << 127);
        let key = |n: u128| RateKey::with_prefix(Ipv6Addr::from(n).into(), prefix(bits));
        let same = a == b || flip >= u32::from(bits);
        prop_assert_eq!(key(a) == key(b), same);
        prop_assert_eq!(key(a).to_bytes() == key(b).to_bytes(), same);
        prop_assert_eq!(key(a).to_string() == key(b).to_string(), same);
        prop_assert!(key(a).net().contains(&IpAddr::from(Ipv6Addr::from(a))));
    }

    #[test]
    fn every_ipv4_address_has_a_key_of_its_own(a in any::<u32>(), b in any::<u32>()) {
        let key = |n: u32| RateKey::from(IpAddr::from(Ipv4Addr::from(n)));
        prop_assert_eq!(key(a) == key(b), a == b);
        prop_assert_eq!(key(a).to_bytes() == key(b).to_bytes(), a == b);
    }
}
