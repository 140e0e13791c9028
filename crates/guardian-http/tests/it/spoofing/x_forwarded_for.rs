//! `X-Forwarded-For`, by network.

use guardian_http::StopReason::NotAnAddress;
use guardian_http::WalkEnd::{AllTrusted, Found, PeerIsClient, Stopped};

use super::Line::{F, Other, X, XBytes};
use super::Trust::{Nobody, Xff, XffLoopback, XffNets, XffPrivate};
use super::{Case, check};

#[test]
fn no_spoof_is_accepted() {
    check(CASES);
}

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    // Nobody is trusted.
    ("nobody is trusted", Nobody, "203.0.113.7", &[X("6.6.6.6"), F("for=6.6.6.6")], "203.0.113.7", PeerIsClient),
    ("nobody is trusted, mapped peer", Nobody, "::ffff:203.0.113.7", &[X("6.6.6.6")], "203.0.113.7", PeerIsClient),
    ("peer is no proxy", Xff, "203.0.113.7", &[X("6.6.6.6")], "203.0.113.7", PeerIsClient),
    ("peer is no proxy and claims to be one", Xff, "203.0.113.7", &[X("6.6.6.6, 10.0.0.1")], "203.0.113.7", PeerIsClient),
    ("no network is trusted", XffNets(&[]), "203.0.113.7", &[X("6.6.6.6")], "203.0.113.7", PeerIsClient),
    ("peer is next to the trusted network", XffNets(&["10.0.0.0/31"]), "10.0.0.2", &[X("6.6.6.6")], "10.0.0.2", PeerIsClient),
    ("loopback does not mean private", XffLoopback, "10.0.0.1", &[X("6.6.6.6")], "10.0.0.1", PeerIsClient),
    ("carrier-grade NAT is not private", XffPrivate, "100.64.0.1", &[X("6.6.6.6")], "100.64.0.1", PeerIsClient),
    // Plain chains.
    ("one proxy", Xff, "10.0.0.1", &[X("203.0.113.7")], "203.0.113.7", Found),
    ("one proxy, forged left", Xff, "10.0.0.1", &[X("6.6.6.6, 203.0.113.7")], "203.0.113.7", Found),
    ("two proxies, forged left", Xff, "10.0.0.1", &[X("6.6.6.6, 203.0.113.7, 10.0.0.2")], "203.0.113.7", Found),
    ("forged proxy address left of the client", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0.0.3, 203.0.113.7, 10.0.0.2")], "203.0.113.7", Found),
    ("forged loopback left of the client", Xff, "10.0.0.1", &[X("127.0.0.1, 203.0.113.7")], "203.0.113.7", Found),
    ("no header", Xff, "10.0.0.1", &[], "10.0.0.1", AllTrusted),
    ("whole chain trusted", Xff, "10.0.0.1", &[X("10.0.0.9, 10.0.0.2")], "10.0.0.9", AllTrusted),
    ("client alone in a trusted network", XffPrivate, "127.0.0.1", &[X("192.168.1.5")], "192.168.1.5", AllTrusted),
    ("loopback proxy", XffLoopback, "127.0.0.1", &[X("6.6.6.6, 192.168.1.5")], "192.168.1.5", Found),
    ("loopback IPv6 proxy", XffLoopback, "::1", &[X("6.6.6.6, fe80::1")], "fe80::1", Found),
    ("link local proxy", XffPrivate, "fe80::1", &[X("6.6.6.6, 203.0.113.7, 169.254.1.1, fd00::1")], "203.0.113.7", Found),
    ("IPv6 client and proxies", Xff, "2001:db8:ff::1", &[X("2001:db8:666::1, 2001:db8:7::1, 2001:db8:ff::2")], "2001:db8:7::1", Found),
    ("proxies of both families", Xff, "2001:db8:ff::1", &[X("6.6.6.6, 203.0.113.7, 10.0.0.2")], "203.0.113.7", Found),
    // Several lines.
    ("two lines", Xff, "10.0.0.1", &[X("6.6.6.6"), X("203.0.113.7")], "203.0.113.7", Found),
    ("three lines", Xff, "10.0.0.1", &[X("6.6.6.6"), X("203.0.113.7"), X("10.0.0.2")], "203.0.113.7", Found),
    ("lines and commas", Xff, "10.0.0.1", &[X("6.6.6.6, 6.6.6.6"), X("203.0.113.7, 10.0.0.3"), X("10.0.0.2")], "203.0.113.7", Found),
    ("another field between the lines", Xff, "10.0.0.1", &[X("6.6.6.6"), Other("x-real-ip", "6.6.6.6"), X("203.0.113.7")], "203.0.113.7", Found),
    ("last line empty", Xff, "10.0.0.1", &[X("6.6.6.6"), X("")], "10.0.0.1", Stopped(NotAnAddress)),
    ("middle line empty", Xff, "10.0.0.1", &[X("6.6.6.6"), X(""), X("10.0.0.2")], "10.0.0.2", Stopped(NotAnAddress)),
    ("line of whitespace", Xff, "10.0.0.1", &[X("6.6.6.6"), X(" \t ")], "10.0.0.1", Stopped(NotAnAddress)),
    // Other fields.
    ("Forwarded is not read", Xff, "10.0.0.1", &[F("for=6.6.6.6"), X("203.0.113.7")], "203.0.113.7", Found),
    ("Forwarded alone is not read", Xff, "10.0.0.1", &[F("for=6.6.6.6")], "10.0.0.1", AllTrusted),
    ("X-Real-IP is not read", Xff, "10.0.0.1", &[Other("x-real-ip", "6.6.6.6")], "10.0.0.1", AllTrusted),
    ("other client headers are not read", Xff, "10.0.0.1", &[Other("true-client-ip", "6.6.6.6"), Other("x-client-ip", "6.6.6.6"), X("203.0.113.7")], "203.0.113.7", Found),
    ("a pair of Forwarded", Xff, "10.0.0.1", &[X("for=6.6.6.6")], "10.0.0.1", Stopped(NotAnAddress)),
    // Elements that are not addresses end the walk.
    ("unknown", Xff, "10.0.0.1", &[X("6.6.6.6, unknown")], "10.0.0.1", Stopped(NotAnAddress)),
    ("unknown behind a proxy", Xff, "10.0.0.1", &[X("6.6.6.6, unknown, 10.0.0.2")], "10.0.0.2", Stopped(NotAnAddress)),
    ("obfuscated name", Xff, "10.0.0.1", &[X("6.6.6.6, _secret, 10.0.0.2")], "10.0.0.2", Stopped(NotAnAddress)),
    ("host name", Xff, "10.0.0.1", &[X("6.6.6.6, localhost")], "10.0.0.1", Stopped(NotAnAddress)),
    ("empty element", Xff, "10.0.0.1", &[X("6.6.6.6, , 10.0.0.2")], "10.0.0.2", Stopped(NotAnAddress)),
    ("trailing comma", Xff, "10.0.0.1", &[X("6.6.6.6, 203.0.113.7,")], "10.0.0.1", Stopped(NotAnAddress)),
    ("only commas", Xff, "10.0.0.1", &[X(",,,")], "10.0.0.1", Stopped(NotAnAddress)),
    ("quoted address", Xff, "10.0.0.1", &[X("6.6.6.6, \"203.0.113.7\"")], "10.0.0.1", Stopped(NotAnAddress)),
    ("quotation mark left open by the client", Xff, "10.0.0.1", &[X("\"6.6.6.6, 203.0.113.7")], "203.0.113.7", Found),
    ("a network", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0.0.0/8")], "10.0.0.1", Stopped(NotAnAddress)),
    ("semicolons do not separate", Xff, "10.0.0.1", &[X("6.6.6.6; 10.0.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("spaces do not separate", Xff, "10.0.0.1", &[X("6.6.6.6 10.0.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("space inside the address", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0. 0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("bytes that are not UTF-8", Xff, "10.0.0.1", &[XBytes(b"6.6.6.6, \xff")], "10.0.0.1", Stopped(NotAnAddress)),
    ("such bytes left of the client", Xff, "10.0.0.1", &[XBytes(b"\xff\xfe\xfd, 203.0.113.7")], "203.0.113.7", Found),
    ("no-break space around the address", Xff, "10.0.0.1", &[X("6.6.6.6,\u{a0}10.0.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("full-width comma", Xff, "10.0.0.1", &[X("6.6.6.6\u{ff0c}10.0.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("percent-encoded comma", Xff, "10.0.0.1", &[X("6.6.6.6%2C10.0.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    // Whitespace that is allowed.
    ("tabs and spaces around commas", Xff, "10.0.0.1", &[X("6.6.6.6\t,\t 203.0.113.7 \t,\t10.0.0.2\t")], "203.0.113.7", Found),
    ("no whitespace", Xff, "10.0.0.1", &[X("6.6.6.6,203.0.113.7,10.0.0.2")], "203.0.113.7", Found),
    // Spellings of IPv4 that some parsers take.
    ("octal", Xff, "10.0.0.1", &[X("6.6.6.6, 010.0.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("leading zeros", Xff, "10.0.0.1", &[X("6.6.6.6, 10.00.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("hexadecimal parts", Xff, "10.0.0.1", &[X("6.6.6.6, 0x0a.0.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("one hexadecimal number", Xff, "10.0.0.1", &[X("6.6.6.6, 0x0a000002")], "10.0.0.1", Stopped(NotAnAddress)),
    ("one decimal number", Xff, "10.0.0.1", &[X("6.6.6.6, 167772162")], "10.0.0.1", Stopped(NotAnAddress)),
    ("three parts", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("five parts", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0.0.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("part out of range", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0.0.256")], "10.0.0.1", Stopped(NotAnAddress)),
    ("part out of range by far", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0.0.4294967298")], "10.0.0.1", Stopped(NotAnAddress)),
    ("negative part", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0.0.-2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("trailing dot", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0.0.2.")], "10.0.0.1", Stopped(NotAnAddress)),
    ("unicode digits", Xff, "10.0.0.1", &[X("6.6.6.6, \u{661}0.0.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("full-width digits", Xff, "10.0.0.1", &[X("6.6.6.6, \u{ff11}\u{ff10}.0.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("IPv4 in brackets", Xff, "10.0.0.1", &[X("6.6.6.6, [10.0.0.2]")], "10.0.0.1", Stopped(NotAnAddress)),
    // Ports.
    ("IPv4 with port", Xff, "10.0.0.1", &[X("6.6.6.6:1, 203.0.113.7:80, 10.0.0.2:65535")], "203.0.113.7", Found),
    ("IPv6 with port", Xff, "10.0.0.1", &[X("6.6.6.6, [2001:db8:7::1]:443, [2001:db8:ff::2]")], "2001:db8:7::1", Found),
    ("empty port", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0.0.2:")], "10.0.0.1", Stopped(NotAnAddress)),
    ("port out of range", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0.0.2:65536")], "10.0.0.1", Stopped(NotAnAddress)),
    ("port of six digits", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0.0.2:000080")], "10.0.0.1", Stopped(NotAnAddress)),
    ("port with sign", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0.0.2:+80")], "10.0.0.1", Stopped(NotAnAddress)),
    ("port of letters", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0.0.2:http")], "10.0.0.1", Stopped(NotAnAddress)),
    ("obfuscated port", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0.0.2:_x")], "10.0.0.1", Stopped(NotAnAddress)),
    ("two ports", Xff, "10.0.0.1", &[X("6.6.6.6, 10.0.0.2:80:80")], "10.0.0.1", Stopped(NotAnAddress)),
    ("IPv6 with empty port", Xff, "10.0.0.1", &[X("6.6.6.6, [2001:db8:ff::2]:")], "10.0.0.1", Stopped(NotAnAddress)),
    ("text after the bracket", Xff, "10.0.0.1", &[X("6.6.6.6, [2001:db8:ff::2]x")], "10.0.0.1", Stopped(NotAnAddress)),
    // Spellings of IPv6.
    ("bare IPv6 takes no port", Xff, "10.0.0.1", &[X("6.6.6.6, 2001:db8:7::1:443")], "2001:db8:7::1:443", Found),
    ("upper case and zeros", Xff, "10.0.0.1", &[X("6.6.6.6, 2001:0DB8:0007:0000:0000:0000:0000:0001, 2001:DB8:FF::2")], "2001:db8:7::1", Found),
    ("zone", Xff, "10.0.0.1", &[X("6.6.6.6, fe80::1%eth0")], "10.0.0.1", Stopped(NotAnAddress)),
    ("zone in brackets", Xff, "10.0.0.1", &[X("6.6.6.6, [2001:db8:ff::2%25eth0]:443")], "10.0.0.1", Stopped(NotAnAddress)),
    ("bracket left open", Xff, "10.0.0.1", &[X("6.6.6.6, [2001:db8:ff::2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("bracket only closed", Xff, "10.0.0.1", &[X("6.6.6.6, 2001:db8:ff::2]")], "10.0.0.1", Stopped(NotAnAddress)),
    ("two elisions", Xff, "10.0.0.1", &[X("6.6.6.6, 2001::db8::2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("five digits in a group", Xff, "10.0.0.1", &[X("6.6.6.6, 2001:0db80:ff::2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("nine groups", Xff, "10.0.0.1", &[X("6.6.6.6, 1:2:3:4:5:6:7:8:9")], "10.0.0.1", Stopped(NotAnAddress)),
    // IPv4 inside IPv6.
    ("mapped peer", Xff, "::ffff:10.0.0.1", &[X("6.6.6.6, 203.0.113.7")], "203.0.113.7", Found),
    ("mapped proxy", Xff, "10.0.0.1", &[X("6.6.6.6, 203.0.113.7, ::ffff:10.0.0.2")], "203.0.113.7", Found),
    ("mapped proxy in hexadecimal", Xff, "10.0.0.1", &[X("6.6.6.6, 203.0.113.7, ::ffff:a00:2")], "203.0.113.7", Found),
    ("mapped proxy in full", Xff, "10.0.0.1", &[X("6.6.6.6, 203.0.113.7, [0:0:0:0:0:FFFF:0A00:0002]:80")], "203.0.113.7", Found),
    ("mapped client", Xff, "10.0.0.1", &[X("6.6.6.6, ::ffff:203.0.113.7")], "203.0.113.7", Found),
    ("mapped octal", Xff, "10.0.0.1", &[X("6.6.6.6, ::ffff:010.0.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("network of mapped addresses", XffNets(&["::ffff:10.0.0.0/104"]), "10.0.0.1", &[X("6.6.6.6, 203.0.113.7, 10.0.0.2")], "203.0.113.7", Found),
    ("IPv4-compatible is not IPv4", Xff, "10.0.0.1", &[X("6.6.6.6, ::10.0.0.2")], "::10.0.0.2", Found),
    ("NAT64 is not IPv4", Xff, "10.0.0.1", &[X("6.6.6.6, 64:ff9b::10.0.0.2")], "64:ff9b::10.0.0.2", Found),
    ("6to4 is not IPv4", Xff, "10.0.0.1", &[X("6.6.6.6, 2002:a00:2::1")], "2002:a00:2::1", Found),
    ("trust in all of IPv6 is no trust in IPv4", XffNets(&["::/0"]), "::ffff:203.0.113.7", &[X("6.6.6.6")], "203.0.113.7", PeerIsClient),
];
