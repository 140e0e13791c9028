//! Trusted networks: what is parsed, what is refused, what they contain.

use guardian_http::{ForwardHeader, TrustedProxies};
use ipnet::IpNet;

fn trusts(proxies: &TrustedProxies, address: &str) -> bool {
    proxies.trusts(address.parse().unwrap())
}

#[test]
fn errors_name_the_input() {
    let error =
        |text| TrustedProxies::parse(ForwardHeader::Forwarded, ["10.0.0.0/8", text]).unwrap_err().to_string();
    for text in [
        "",
        " 10.0.0.1",
        "10.0.0.0/33",
        "10.0.0/8",
        "10.0.0.0/",
        "fe80::1%eth0",
        "proxy.example",
        "2001:db8::/129",
    ] {
        assert_eq!(error(text), format!("`{text}` is neither an address nor a network in CIDR notation"));
    }
    assert_eq!(
        error("2001:db8::1/32"),
        "network `2001:db8::1/32` has host bits set, write `2001:db8::/32` or `2001:db8::1`"
    );
}

#[test]
fn nets_from_code_lose_their_host_bits() {
    let net: IpNet = "10.1.2.3/8".parse().unwrap();
    let proxies = TrustedProxies::from_nets(ForwardHeader::Forwarded, [net]);
    assert!(trusts(&proxies, "10.255.0.1"));
    assert_eq!(proxies, TrustedProxies::parse(ForwardHeader::Forwarded, ["10.0.0.0/8"]).unwrap());
}

#[test]
fn presets_end_where_they_should() {
    let loopback = TrustedProxies::loopback(ForwardHeader::Forwarded);
    let private = TrustedProxies::private(ForwardHeader::Forwarded);
    for address in ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"] {
        assert!(trusts(&loopback, address) && trusts(&private, address), "{address}");
    }
    for address in [
        "10.0.0.0",
        "10.255.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.168.0.0",
        "192.168.255.255",
        "169.254.0.0",
        "169.254.255.255",
        "fc00::",
        "fdff:ffff::1",
        "fe80::",
        "febf::1",
        "::ffff:10.0.0.1",
    ] {
        assert!(!trusts(&loopback, address) && trusts(&private, address), "{address}");
    }
    for address in [
        "9.255.255.255",
        "11.0.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "100.64.0.1",
        "126.255.255.255",
        "128.0.0.0",
        "0.0.0.0",
        "::",
        "::2",
        "fbff::1",
        "fe00::1",
        "fec0::1",
        "2001:db8::1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "::10.0.0.1",
    ] {
        assert!(!trusts(&loopback, address) && !trusts(&private, address), "{address}");
    }
}

#[test]
fn nobody_is_the_default() {
    assert_eq!(TrustedProxies::default(), TrustedProxies::none());
    assert_eq!(TrustedProxies::hops(ForwardHeader::Forwarded, 0), TrustedProxies::none());
    assert!(!trusts(&TrustedProxies::none(), "127.0.0.1"));
    assert!(!trusts(&TrustedProxies::hops(ForwardHeader::Forwarded, 3), "127.0.0.1"));
    assert_eq!(TrustedProxies::hops(ForwardHeader::Forwarded, 3).header(), Some(ForwardHeader::Forwarded));
}

#[test]
fn mapped_networks_are_networks_of_ipv4() {
    let proxies =
        TrustedProxies::parse(ForwardHeader::Forwarded, ["::ffff:192.0.2.0/120", "::ffff:10.0.0.1"]).unwrap();
    assert!(trusts(&proxies, "192.0.2.255"));
    assert!(trusts(&proxies, "10.0.0.1"));
    assert!(!trusts(&proxies, "10.0.0.2"));
    let all_mapped = TrustedProxies::parse(ForwardHeader::Forwarded, ["::ffff:0:0/96"]).unwrap();
    assert!(trusts(&all_mapped, "203.0.113.7"));
    assert!(!trusts(&all_mapped, "::203.0.113.7"));
}

#[test]
fn field_names() {
    assert_eq!(ForwardHeader::Forwarded.name(), http::header::FORWARDED);
    assert_eq!(ForwardHeader::XForwardedFor.name(), "X-Forwarded-For");
}
