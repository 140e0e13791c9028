//! What clients and broken proxies put into the header, and who the client is nevertheless.
//!
//! In every table `6.6.6.6` and `2001:db8:666::/48` are what the attacker would like to be; the client is
//! `203.0.113.7` or `2001:db8:7::1`, and the proxies are in `10.0.0.0/8` and `2001:db8:ff::/48`.

mod by_count;
mod forwarded;
mod x_forwarded_for;

use std::net::IpAddr;

use guardian_http::{AddrSource, ClientAddr, ForwardHeader, TrustedProxies, WalkEnd};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Whom the service of a case trusts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trust {
    Nobody,
    /// The proxies' networks, reading `X-Forwarded-For` or `Forwarded`.
    Xff,
    Fwd,
    XffNets(&'static [&'static str]),
    FwdNets(&'static [&'static str]),
    XffLoopback,
    XffPrivate,
    XffHops(u8),
    FwdHops(u8),
}

const PROXIES: &[&str] = &["10.0.0.0/8", "2001:db8:ff::/48"];

impl Trust {
    fn proxies(self) -> TrustedProxies {
        let nets = |header, nets: &[&str]| TrustedProxies::parse(header, nets).unwrap();
        let (xff, fwd) = (ForwardHeader::XForwardedFor, ForwardHeader::Forwarded);
        match self {
            Trust::Nobody => TrustedProxies::none(),
            Trust::Xff => nets(xff, PROXIES),
            Trust::Fwd => nets(fwd, PROXIES),
            Trust::XffNets(list) => nets(xff, list),
            Trust::FwdNets(list) => nets(fwd, list),
            Trust::XffLoopback => TrustedProxies::loopback(xff),
            Trust::XffPrivate => TrustedProxies::private(xff),
            Trust::XffHops(count) => TrustedProxies::hops(xff, count),
            Trust::FwdHops(count) => TrustedProxies::hops(fwd, count),
        }
    }
}

/// One header line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line {
    X(&'static str),
    F(&'static str),
    /// Bytes that are not text.
    XBytes(&'static [u8]),
    FBytes(&'static [u8]),
    /// Some other field.
    Other(&'static str, &'static str),
}

impl Line {
    fn parts(self) -> (HeaderName, &'static [u8]) {
        let xff = HeaderName::from_static("x-forwarded-for");
        match self {
            Line::X(text) => (xff, text.as_bytes()),
            Line::F(text) => (http::header::FORWARDED, text.as_bytes()),
            Line::XBytes(bytes) => (xff, bytes),
            Line::FBytes(bytes) => (http::header::FORWARDED, bytes),
            Line::Other(name, text) => (HeaderName::from_static(name), text.as_bytes()),
        }
    }
}

/// Name, whom the service trusts, peer, header lines, client, why the search ended.
pub(crate) type Case = (&'static str, Trust, &'static str, &'static [Line], &'static str, WalkEnd);

fn is_attackers_wish(address: IpAddr) -> bool {
    let wishes: [ipnet::IpNet; 2] = ["6.6.6.6/32".parse().unwrap(), "2001:db8:666::/48".parse().unwrap()];
    wishes.iter().any(|net| net.contains(&address))
}

fn resolve(trust: Trust, peer: &str, lines: &[Line]) -> ClientAddr {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.parts();
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    ClientAddr::resolve(peer.parse().unwrap(), &headers, &trust.proxies())
}

/// Runs a table and reports every case that fails, not the first alone.
pub(crate) fn check(table: &[Case]) {
    let mut failures = Vec::new();
    for (name, trust, peer, lines, client, end) in table {
        let found = resolve(*trust, peer, lines);
        let expected: IpAddr = client.parse().unwrap();
        if (found.addr(), found.end()) != (expected, *end) {
            failures.push(format!(
                "{name}: got {} {:?}, expected {expected} {end:?}",
                found.addr(),
                found.end()
            ));
        }
        if is_attackers_wish(found.addr()) {
            failures.push(format!("{name}: the attacker chose {}", found.addr()));
        }
    }
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), table.len(), failures.join("\n"));
}

#[test]
fn there_are_enough_cases() {
    let cases = x_forwarded_for::CASES.len() + forwarded::CASES.len() + by_count::CASES.len();
    assert!(cases >= 100, "{cases}");
    let tables = [x_forwarded_for::CASES, forwarded::CASES, by_count::CASES];
    let names: std::collections::BTreeSet<_> =
        tables.iter().flat_map(|table| table.iter().map(|c| c.0)).collect();
    assert_eq!(names.len(), cases, "every case has a name of its own");
}

#[test]
fn the_source_is_told() {
    let source = |trust, lines: &[Line]| resolve(trust, "10.0.0.1", lines).source();
    let (x, f) = (Line::X("203.0.113.7"), Line::F("for=203.0.113.7"));
    assert_eq!(source(Trust::Nobody, &[x, f]), AddrSource::Peer);
    assert_eq!(source(Trust::Xff, &[x, f]), AddrSource::Header(ForwardHeader::XForwardedFor));
    assert_eq!(source(Trust::Fwd, &[x, f]), AddrSource::Header(ForwardHeader::Forwarded));
    assert_eq!(source(Trust::FwdHops(1), &[x, f]), AddrSource::Header(ForwardHeader::Forwarded));
    assert_eq!(source(Trust::Xff, &[Line::X("203.0.113.7, nobody")]), AddrSource::Peer);
}

#[test]
fn elements_beyond_the_limit_are_not_read() {
    let resolve = |line: &str, proxies| {
        ClientAddr::resolve_lines("10.0.0.1".parse().unwrap(), [line.as_bytes()], &proxies)
    };
    use guardian_http::StopReason::{TooLong, TooManyElements};
    let nets = || TrustedProxies::private(ForwardHeader::XForwardedFor);

    let hops = |count: usize| vec!["10.0.0.9"; count].join(",");
    let found = resolve(&format!("203.0.113.7,{}", hops(63)), nets());
    assert_eq!((found.addr().to_string().as_str(), found.end()), ("203.0.113.7", WalkEnd::Found));
    let found = resolve(&format!("6.6.6.6,{}", hops(64)), nets());
    assert_eq!(
        (found.addr().to_string().as_str(), found.end()),
        ("10.0.0.9", WalkEnd::Stopped(TooManyElements))
    );
    assert_eq!(resolve(&hops(64), nets()).end(), WalkEnd::AllTrusted);

    // 8,192 bytes are read: the element and the spaces after its comma just fit, or just do not.
    let spaces = |count: usize| format!("6.6.6.6,{}203.0.113.7", " ".repeat(count));
    let fits = ClientAddr::MAX_HEADER_BYTES - "203.0.113.7".len() - ",".len();
    assert_eq!(resolve(&spaces(fits), nets()).end(), WalkEnd::Found);
    let found = resolve(&spaces(fits + 1), nets());
    assert_eq!((found.addr().to_string().as_str(), found.end()), ("10.0.0.1", WalkEnd::Stopped(TooLong)));

    // The budget is shared by the elements of a line, and by the lines.
    let half = " ".repeat(ClientAddr::MAX_HEADER_BYTES / 2);
    let found = resolve(&format!("6.6.6.6,{half}10.0.0.3,{half}10.0.0.2"), nets());
    assert_eq!((found.addr().to_string().as_str(), found.end()), ("10.0.0.2", WalkEnd::Stopped(TooLong)));
    let long = "x".repeat(ClientAddr::MAX_HEADER_BYTES);
    let lines = [long.as_bytes(), b"10.0.0.2"];
    let found = ClientAddr::resolve_lines("10.0.0.1".parse().unwrap(), lines, &nets());
    assert_eq!((found.addr().to_string().as_str(), found.end()), ("10.0.0.2", WalkEnd::Stopped(TooLong)));

    // A quoted string that began beyond the budget is not believed, whatever its end looks like.
    let line = format!("for=203.0.113.7;x=\"{}\"", "y".repeat(ClientAddr::MAX_HEADER_BYTES));
    let found = resolve(&line, TrustedProxies::private(ForwardHeader::Forwarded));
    assert_eq!((found.addr().to_string().as_str(), found.end()), ("10.0.0.1", WalkEnd::Stopped(TooLong)));
}
