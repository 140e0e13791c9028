//! `Forwarded`, by network.

use guardian_http::StopReason::{Malformed, NotAnAddress};
use guardian_http::WalkEnd::{AllTrusted, Found, PeerIsClient, Stopped};

use super::Line::{F, FBytes, X};
use super::Trust::{Fwd, FwdNets};
use super::{Case, check};

#[test]
fn no_spoof_is_accepted() {
    check(CASES);
}

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    // Plain chains.
    ("Forwarded from a peer that is no proxy", Fwd, "203.0.113.7", &[F("for=6.6.6.6")], "203.0.113.7", PeerIsClient),
    ("Forwarded by one proxy", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=203.0.113.7")], "203.0.113.7", Found),
    ("Forwarded by two proxies", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=203.0.113.7, for=10.0.0.2")], "203.0.113.7", Found),
    ("Forwarded absent", Fwd, "10.0.0.1", &[], "10.0.0.1", AllTrusted),
    ("Forwarded whole chain trusted", Fwd, "10.0.0.1", &[F("for=10.0.0.9, for=10.0.0.2")], "10.0.0.9", AllTrusted),
    ("X-Forwarded-For is not read", Fwd, "10.0.0.1", &[X("6.6.6.6"), F("for=203.0.113.7")], "203.0.113.7", Found),
    ("X-Forwarded-For alone is not read", Fwd, "10.0.0.1", &[X("6.6.6.6")], "10.0.0.1", AllTrusted),
    ("a bare address", Fwd, "10.0.0.1", &[F("6.6.6.6")], "10.0.0.1", Stopped(Malformed)),
    ("Forwarded in several lines", Fwd, "10.0.0.1", &[F("for=6.6.6.6"), F("for=203.0.113.7"), F("for=10.0.0.2")], "203.0.113.7", Found),
    ("Forwarded with empty last line", Fwd, "10.0.0.1", &[F("for=6.6.6.6"), F("")], "10.0.0.1", Stopped(NotAnAddress)),
    // Parameters.
    ("for after other parameters", Fwd, "10.0.0.1", &[F("for=6.6.6.6, proto=https;by=10.0.0.1;for=203.0.113.7;host=a.example")], "203.0.113.7", Found),
    ("For in other cases", Fwd, "10.0.0.1", &[F("for=6.6.6.6, FOR=203.0.113.7, For=10.0.0.2, fOr=10.0.0.3")], "203.0.113.7", Found),
    ("whitespace around separators", Fwd, "10.0.0.1", &[F("for=6.6.6.6 ,\tfor=203.0.113.7 ; proto=http\t,  for=10.0.0.2\t ")], "203.0.113.7", Found),
    ("empty pairs are allowed", Fwd, "10.0.0.1", &[F("for=6.6.6.6, ;for=203.0.113.7;;proto=http;")], "203.0.113.7", Found),
    ("by is not for", Fwd, "10.0.0.1", &[F("for=6.6.6.6, by=203.0.113.7")], "10.0.0.1", Stopped(NotAnAddress)),
    ("xfor is not for", Fwd, "10.0.0.1", &[F("for=6.6.6.6, xfor=10.0.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("two for in an element", Fwd, "10.0.0.1", &[F("for=6.6.6.6;for=10.0.0.2")], "10.0.0.1", Stopped(Malformed)),
    ("two for in different cases", Fwd, "10.0.0.1", &[F("for=203.0.113.7, for=6.6.6.6;proto=http;FOR=10.0.0.2, for=10.0.0.3")], "10.0.0.3", Stopped(Malformed)),
    ("two for, one of them hidden", Fwd, "10.0.0.1", &[F("for=_hidden;for=6.6.6.6")], "10.0.0.1", Stopped(Malformed)),
    ("for with a number of its own", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for*=10.0.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    ("space before =", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for =10.0.0.2")], "10.0.0.1", Stopped(Malformed)),
    ("space after =", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for= 10.0.0.2")], "10.0.0.1", Stopped(Malformed)),
    ("no =", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for")], "10.0.0.1", Stopped(Malformed)),
    ("no value", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=")], "10.0.0.1", Stopped(Malformed)),
    ("no name", Fwd, "10.0.0.1", &[F("for=6.6.6.6, =10.0.0.2")], "10.0.0.1", Stopped(Malformed)),
    ("two =", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for==10.0.0.2")], "10.0.0.1", Stopped(Malformed)),
    ("a chain of =", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=6.6.6.6=10.0.0.2")], "10.0.0.1", Stopped(Malformed)),
    ("name in quotation marks", Fwd, "10.0.0.1", &[F("for=6.6.6.6, \"for\"=10.0.0.2")], "10.0.0.1", Stopped(Malformed)),
    ("another parameter is broken", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=10.0.0.2;proto")], "10.0.0.1", Stopped(Malformed)),
    ("two pairs without a separator", Fwd, "10.0.0.1", &[F("for=6.6.6.6 for=10.0.0.2")], "10.0.0.1", Stopped(Malformed)),
    ("full-width semicolon", Fwd, "10.0.0.1", &[F("for=6.6.6.6, proto=http\u{ff1b}for=10.0.0.2")], "10.0.0.1", Stopped(Malformed)),
    ("empty Forwarded element", Fwd, "10.0.0.1", &[F("for=6.6.6.6, , for=10.0.0.2")], "10.0.0.2", Stopped(NotAnAddress)),
    ("trailing comma in Forwarded", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=203.0.113.7,")], "10.0.0.1", Stopped(NotAnAddress)),
    ("only separators", Fwd, "10.0.0.1", &[F(";,;;,")], "10.0.0.1", Stopped(NotAnAddress)),
    // Names instead of addresses.
    ("Forwarded unknown", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=unknown, for=10.0.0.2")], "10.0.0.2", Stopped(NotAnAddress)),
    ("Forwarded Unknown with port", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=\"UNKNOWN:80\"")], "10.0.0.1", Stopped(NotAnAddress)),
    ("Forwarded obfuscated", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=_gazonk, for=10.0.0.2")], "10.0.0.2", Stopped(NotAnAddress)),
    ("Forwarded obfuscated with address inside", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=_10.0.0.2")], "10.0.0.1", Stopped(NotAnAddress)),
    // Quoted strings.
    ("quoted IPv4", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=\"203.0.113.7\", for=\"10.0.0.2\"")], "203.0.113.7", Found),
    ("quoted IPv4 with port", Fwd, "10.0.0.1", &[F("for=\"6.6.6.6:1\", for=\"203.0.113.7:4711\"")], "203.0.113.7", Found),
    ("quoted IPv6", Fwd, "10.0.0.1", &[F("for=\"[2001:db8:666::1]\", for=\"[2001:db8:7::1]\", for=\"[2001:db8:ff::2]:443\"")], "2001:db8:7::1", Found),
    ("quoted IPv6 with hidden port", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=\"[2001:db8:7::1]:_p.0-rt\"")], "2001:db8:7::1", Found),
    ("hidden port of one mark", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=\"10.0.0.2:_\"")], "10.0.0.1", Stopped(NotAnAddress)),
    ("IPv4 with port but no quotation marks", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=10.0.0.2:80")], "10.0.0.1", Stopped(Malformed)),
    ("IPv6 without quotation marks", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=[2001:db8:ff::2]")], "10.0.0.1", Stopped(Malformed)),
    ("IPv6 without brackets", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=\"2001:db8:ff::2\"")], "10.0.0.1", Stopped(NotAnAddress)),
    ("quoted zone", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=\"[fe80::1%eth0]\"")], "10.0.0.1", Stopped(NotAnAddress)),
    ("quoted port out of range", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=\"10.0.0.2:99999\"")], "10.0.0.1", Stopped(NotAnAddress)),
    ("quoted port of six digits", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=\"10.0.0.2:000080\"")], "10.0.0.1", Stopped(NotAnAddress)),
    ("quoted octal", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=\"010.0.0.2\"")], "10.0.0.1", Stopped(NotAnAddress)),
    ("quoted mapped in hexadecimal", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=203.0.113.7, for=\"[::ffff:a00:2]\"")], "203.0.113.7", Found),
    ("space inside quotation marks", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=\" 10.0.0.2\"")], "10.0.0.1", Stopped(NotAnAddress)),
    ("nothing inside quotation marks", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=\"\"")], "10.0.0.1", Stopped(NotAnAddress)),
    ("apostrophes are not quotation marks", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for='10.0.0.2'")], "10.0.0.1", Stopped(NotAnAddress)),
    ("a list inside quotation marks", Fwd, "10.0.0.1", &[F("for=\"6.6.6.6, 10.0.0.2\"")], "10.0.0.1", Stopped(NotAnAddress)),
    ("text after the quotation mark", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=\"10.0.0.2\"x")], "10.0.0.1", Stopped(Malformed)),
    ("two quoted strings", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=\"10.0\"\".0.2\"")], "10.0.0.1", Stopped(Malformed)),
    // Quotation marks and commas that pretend.
    ("comma inside a quoted string", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=203.0.113.7;host=\"a, for=6.6.6.6, b\", for=10.0.0.2")], "203.0.113.7", Found),
    ("semicolon inside a quoted string", Fwd, "10.0.0.1", &[F("for=203.0.113.7;host=\"a;for=6.6.6.6;b\"")], "203.0.113.7", Found),
    ("escaped quotation marks hide a comma", Fwd, "10.0.0.1", &[F("for=203.0.113.7;host=\"\\\", for=6.6.6.6, x=\\\"\"")], "203.0.113.7", Found),
    ("escaped backslash before the end", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=203.0.113.7;host=\"a\\\\\"")], "203.0.113.7", Found),
    ("escaped end", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=10.0.0.2;host=\"a\\\"")], "10.0.0.1", Stopped(Malformed)),
    ("escaped characters are themselves", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=\"20\\3.0.113\\.7\"")], "203.0.113.7", Found),
    ("quotation mark left open on the left", Fwd, "10.0.0.1", &[F("for=\"6.6.6.6, for=203.0.113.7")], "203.0.113.7", Found),
    ("quotation mark left open before a quoted one", Fwd, "10.0.0.1", &[F("for=6.6.6.6;x=\", for=\"[2001:db8:7::1]\"")], "2001:db8:7::1", Found),
    ("backslash left open on the left", Fwd, "10.0.0.1", &[F("for=\"6.6.6.6\\, for=\"[2001:db8:7::1]:1\", for=10.0.0.2")], "2001:db8:7::1", Found),
    ("quotation mark left open in the line before", Fwd, "10.0.0.1", &[F("for=\"6.6.6.6"), F("for=203.0.113.7;host=\"a\"")], "203.0.113.7", Found),
    ("a quoted string over two lines", Fwd, "10.0.0.1", &[F("for=6.6.6.6;x=\"a"), F("b\"")], "10.0.0.1", Stopped(Malformed)),
    ("quotation mark left open by a proxy", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=\"10.0.0.2")], "10.0.0.1", Stopped(Malformed)),
    ("quotation mark only closed", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=10.0.0.2\"")], "10.0.0.1", Stopped(Malformed)),
    ("one quotation mark", Fwd, "10.0.0.1", &[F("\"")], "10.0.0.1", Stopped(Malformed)),
    // Bytes.
    ("Forwarded bytes that are not UTF-8", Fwd, "10.0.0.1", &[FBytes(b"for=6.6.6.6, for=10.0.0.2;host=\"\xff\"")], "10.0.0.1", Stopped(Malformed)),
    ("such bytes outside quotation marks", Fwd, "10.0.0.1", &[FBytes(b"for=6.6.6.6, \xfffor=10.0.0.2")], "10.0.0.1", Stopped(Malformed)),
    ("such bytes further left", Fwd, "10.0.0.1", &[FBytes(b"\xff\"\xfe\\, for=203.0.113.7")], "203.0.113.7", Found),
    ("UTF-8 in a quoted string", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=203.0.113.7;host=\"\u{e9}.example\"")], "203.0.113.7", Found),
    ("tab in a quoted string", Fwd, "10.0.0.1", &[F("for=6.6.6.6, for=203.0.113.7;host=\"a\tb\"")], "203.0.113.7", Found),
    // The examples of RFC 7239 section 4.
    ("example with port of section 4", FwdNets(&["10.0.0.0/8"]), "10.0.0.1", &[F("For=\"[2001:db8:cafe::17]:4711\"")], "2001:db8:cafe::17", Found),
    ("example with by of section 4", Fwd, "10.0.0.1", &[F("for=192.0.2.60;proto=http;by=203.0.113.43")], "192.0.2.60", Found),
];
