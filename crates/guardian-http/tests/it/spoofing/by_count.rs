//! Both fields, by a count of proxies.

use guardian_http::StopReason::{Malformed, NotAnAddress, TooManyElements};
use guardian_http::WalkEnd::{Found, PeerIsClient, Stopped, TooShort};
use guardian_http::{ClientAddr, ForwardHeader, TrustedProxies};

use super::Line::{F, X};
use super::Trust::{FwdHops, XffHops};
use super::{Case, check};

#[test]
fn no_spoof_is_accepted() {
    check(CASES);
}

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    ("no hops", XffHops(0), "203.0.113.7", &[X("6.6.6.6")], "203.0.113.7", PeerIsClient),
    ("one hop", XffHops(1), "192.0.2.1", &[X("6.6.6.6, 203.0.113.7")], "203.0.113.7", Found),
    ("two hops", XffHops(2), "192.0.2.1", &[X("6.6.6.6, 203.0.113.7, 192.0.2.2")], "203.0.113.7", Found),
    ("three hops in three lines", XffHops(3), "192.0.2.1", &[X("6.6.6.6, 203.0.113.7"), X("192.0.2.3"), X("192.0.2.2")], "203.0.113.7", Found),
    ("two hops of Forwarded", FwdHops(2), "192.0.2.1", &[F("for=6.6.6.6, for=\"[2001:db8:7::1]:1\";proto=http, for=192.0.2.2")], "2001:db8:7::1", Found),
    ("the other field is not counted", FwdHops(1), "192.0.2.1", &[X("6.6.6.6"), F("for=203.0.113.7"), X("6.6.6.6")], "203.0.113.7", Found),
    ("the client's address does not matter", XffHops(1), "192.0.2.1", &[X("6.6.6.6, 10.0.0.9")], "10.0.0.9", Found),
    ("one hop without header", XffHops(1), "203.0.113.7", &[], "203.0.113.7", TooShort),
    ("two hops without header", XffHops(2), "203.0.113.7", &[], "203.0.113.7", TooShort),
    ("two hops, one element", XffHops(2), "192.0.2.1", &[X("203.0.113.7")], "203.0.113.7", TooShort),
    ("three hops, client at the last proxy", XffHops(3), "192.0.2.1", &[X("6.6.6.6, 203.0.113.7")], "203.0.113.7", TooShort),
    ("four hops, client at the last proxy", XffHops(4), "192.0.2.1", &[X("6.6.6.6, 6.6.6.6, 203.0.113.7")], "203.0.113.7", TooShort),
    ("too short over lines", FwdHops(3), "192.0.2.1", &[F("for=6.6.6.6"), F("for=203.0.113.7")], "203.0.113.7", TooShort),
    ("no address from the peer", XffHops(1), "192.0.2.1", &[X("6.6.6.6, unknown")], "192.0.2.1", Stopped(NotAnAddress)),
    ("no address from the peer, two hops", XffHops(2), "192.0.2.1", &[X("6.6.6.6, 6.6.6.6, unknown")], "192.0.2.1", Stopped(NotAnAddress)),
    ("no address from the farthest proxy", XffHops(2), "192.0.2.1", &[X("6.6.6.6, unknown, 192.0.2.2")], "192.0.2.2", Stopped(NotAnAddress)),
    ("hidden client, three hops", FwdHops(3), "192.0.2.1", &[F("for=6.6.6.6, for=_client, for=192.0.2.3, for=192.0.2.2")], "192.0.2.3", Stopped(NotAnAddress)),
    ("no address on the way", XffHops(4), "192.0.2.1", &[X("6.6.6.6, unknown, 6.6.6.6, 203.0.113.7")], "203.0.113.7", Stopped(NotAnAddress)),
    ("an empty element is counted and ends it", XffHops(2), "192.0.2.1", &[X("6.6.6.6, , 192.0.2.2")], "192.0.2.2", Stopped(NotAnAddress)),
    ("a broken element ends it", FwdHops(2), "192.0.2.1", &[F("for=6.6.6.6;for=6.6.6.6, for=192.0.2.2")], "192.0.2.2", Stopped(Malformed)),
    ("quotation mark open, counted", FwdHops(1), "192.0.2.1", &[F("for=\", for=203.0.113.7")], "203.0.113.7", Found),
    ("mapped address, counted", XffHops(1), "::ffff:192.0.2.1", &[X("6.6.6.6, ::ffff:cb00:7107")], "203.0.113.7", Found),
    ("mapped peer without header", XffHops(1), "::ffff:203.0.113.7", &[], "203.0.113.7", TooShort),
];

#[test]
fn more_hops_than_elements_are_read() {
    let line = format!("6.6.6.6,{}203.0.113.7", "192.0.2.9,".repeat(70));
    let proxies = TrustedProxies::hops(ForwardHeader::XForwardedFor, 72);
    let client = ClientAddr::resolve_lines("192.0.2.1".parse().unwrap(), [line.as_bytes()], &proxies);
    assert_eq!(client.addr().to_string(), "203.0.113.7");
    assert_eq!(client.end(), Stopped(TooManyElements));
}

/// What the documentation warns of, so that it stays true: trust that is given to clients is abused by them.
#[test]
fn trust_has_its_price() {
    let resolve = |peer: &str, line: &str, proxies: &TrustedProxies| {
        ClientAddr::resolve_lines(peer.parse().unwrap(), [line.as_bytes()], proxies).addr().to_string()
    };
    let header = ForwardHeader::XForwardedFor;
    // A client that reaches the last of two proxies directly has one element of its own counted.
    assert_eq!(resolve("192.0.2.1", "6.6.6.6, 203.0.113.7", &TrustedProxies::hops(header, 2)), "6.6.6.6");
    // A client inside a trusted network is taken for a proxy.
    assert_eq!(resolve("10.0.0.1", "6.6.6.6, 10.9.9.9", &TrustedProxies::private(header)), "6.6.6.6");
    // Everybody is a proxy.
    let everybody = TrustedProxies::parse(header, ["0.0.0.0/0"]).unwrap();
    assert_eq!(resolve("10.0.0.1", "6.6.6.6, 203.0.113.7", &everybody), "6.6.6.6");
}
