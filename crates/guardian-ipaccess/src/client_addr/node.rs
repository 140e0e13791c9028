//! The spellings of one address that the two header fields allow.
//!
//! Both parsers are deliberately narrow: whatever is not plainly an address is no address, and the walk stops
//! there. The standard library's parsers already refuse what other languages accept to their cost: octal or
//! short IPv4 forms, leading zeros, hexadecimal and whole-integer spellings, zone identifiers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads one `X-Forwarded-For` element whose surrounding whitespace is gone: an address, `v4:port`, `[v6]` or
/// `[v6]:port`.
///
/// Without brackets an IPv6 address has no port, so `2001:db8::1:443` is that address and nothing else.
pub(super) fn parse_bare(text: &str) -> Option<IpAddr> {
    if text.starts_with('[') {
        return parse_bracketed(text, is_port);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (host, port) = text.split_once(':')?;
    is_port(port).then(|| host.parse::<Ipv4Addr>().ok().map(IpAddr::V4)).flatten()
}

/// Reads one `node` of RFC 7239 section 6 after its quotes are gone: `v4`, `[v6]`, each with an optional port,
/// which may be an obfuscated one. `unknown` and obfuscated names give `None`.
pub(super) fn parse_node(text: &str) -> Option<IpAddr> {
    let port_ok = |port: &str| is_port(port) || is_obfuscated(port);
    if text.starts_with('[') {
        return parse_bracketed(text, port_ok);
    }
    let host = match text.split_once(':') {
        Some((host, port)) => port_ok(port).then_some(host)?,
        None => text,
    };
    host.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

fn parse_bracketed(text: &str, port_ok: impl Fn(&str) -> bool) -> Option<IpAddr> {
    let (inside, after) = text.strip_prefix('[')?.split_once(']')?;
    let address = inside.parse::<Ipv6Addr>().ok()?;
    let rest_ok = match after.strip_prefix(':') {
        Some(port) => port_ok(port),
        None => after.is_empty(),
    };
    rest_ok.then(|| IpAddr::V6(address).to_canonical())
}

/// One to five digits that fit a port. The length is checked first, because a number parser would take
/// `+80` and `0000000080`.
fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u16>().is_ok()
}

/// `obfport` of RFC 7239 section 6.3 (which has the same shape as `obfnode`).
fn is_obfuscated(text: &str) -> bool {
    text.strip_prefix('_').is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    })
}
