//! IP addresses and ranges of them, as Kubernetes defines them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::{Entry, mismatch};
use crate::budget::Context;
use crate::error::{ErrorKind, EvalError};
use crate::value::{Cidr, Value};

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Entry] = &[
    ("isIP", is_ip, &["isIP(string) -> bool"]),
    ("ip", ip, &["ip(string) -> net.IP", "net.CIDR.ip() -> net.IP"]),
    ("ip.isCanonical", is_canonical, &["ip.isCanonical(string) -> bool"]),
    ("family", family, &["net.IP.family() -> int"]),
    ("isUnspecified", is_unspecified, &["net.IP.isUnspecified() -> bool"]),
    ("isLoopback", is_loopback, &["net.IP.isLoopback() -> bool"]),
    ("isGlobalUnicast", is_global_unicast, &["net.IP.isGlobalUnicast() -> bool"]),
    ("isLinkLocalMulticast", is_link_local_multicast, &["net.IP.isLinkLocalMulticast() -> bool"]),
    ("isLinkLocalUnicast", is_link_local_unicast, &["net.IP.isLinkLocalUnicast() -> bool"]),
    ("isCIDR", is_cidr, &["isCIDR(string) -> bool"]),
    ("cidr", cidr, &["cidr(string) -> net.CIDR"]),
    (
        "containsIP",
        contains_ip,
        &["net.CIDR.containsIP(net.IP) -> bool", "net.CIDR.containsIP(string) -> bool"],
    ),
    (
        "containsCIDR",
        contains_cidr,
        &["net.CIDR.containsCIDR(net.CIDR) -> bool", "net.CIDR.containsCIDR(string) -> bool"],
    ),
    ("masked", masked, &["net.CIDR.masked() -> net.CIDR"]),
    ("prefixLength", prefix_length, &["net.CIDR.prefixLength() -> int"]),
];

fn wrong(text: &str, what: &str) -> EvalError {
    EvalError::new(ErrorKind::Conversion, format!("`{text}` is no {what}"))
}

/// Reads an address. Zones are refused, and so are IPv4 addresses that are dressed as IPv6 with dots; in digits they are
/// the IPv4 address.
fn read_ip(text: &str) -> std::result::Result<IpAddr, EvalError> {
    let address: IpAddr = text.parse().map_err(|_| wrong(text, "IP address"))?;
    if let IpAddr::V6(v6) = address
        && let Some(v4) = v6.to_ipv4_mapped()
    {
        if text.contains('.') {
            return Err(wrong(text, "IP address that is allowed: it is IPv4 within IPv6"));
        }
        return Ok(IpAddr::V4(v4));
    }
    Ok(address)
}

fn read_cidr(text: &str) -> std::result::Result<Cidr, EvalError> {
    let what = "range of IP addresses such as `10.0.0.0/8`";
    let (address, bits) = text.split_once('/').ok_or_else(|| wrong(text, what))?;
    let address: IpAddr = address.parse().map_err(|_| wrong(text, what))?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let canonical = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
    let leading = bits.len() > 1 && bits.starts_with('0');
    let bits = bits.parse::<u8>().ok().filter(|bits| canonical && !leading && *bits <= most);
    let bits = bits.ok_or_else(|| wrong(text, what))?;
    if matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
        return Err(wrong(text, "range that is allowed: it is IPv4 within IPv6"));
    }
    Ok(Cidr { address, bits })
}

/// The canonical text of an address (RFC 5952).
pub(super) fn show(address: IpAddr) -> String {
    address.to_string()
}

fn bits_of(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

fn mask(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

fn covers(range: &Cidr, address: IpAddr) -> bool {
    let ((network, width), (bits, other)) = (bits_of(range.address), bits_of(address));
    width == other && (network ^ bits) & mask(range.bits) == 0
}

fn is_ip<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [text] = arguments else { return Err(mismatch()) };
    Ok(Value::Bool(read_ip(text.as_str().ok_or_else(mismatch)?).is_ok()))
}

fn ip<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    match arguments {
        [Value::Cidr(range)] => Ok(Value::Ip(Arc::new(range.address))),
        [text] => Ok(Value::Ip(Arc::new(read_ip(text.as_str().ok_or_else(mismatch)?)?))),
        _ => Err(mismatch()),
    }
}

fn is_canonical<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [text] = arguments else { return Err(mismatch()) };
    let text = text.as_str().ok_or_else(mismatch)?;
    Ok(Value::Bool(show(read_ip(text)?) == text))
}

fn address(arguments: &[Value<'_>]) -> std::result::Result<IpAddr, EvalError> {
    match arguments {
        [Value::Ip(address)] => Ok(**address),
        _ => Err(mismatch()),
    }
}

fn family<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Int(if address(arguments)?.is_ipv4() { 4 } else { 6 }))
}

fn is_unspecified<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Bool(address(arguments)?.is_unspecified()))
}

fn is_loopback<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Bool(address(arguments)?.is_loopback()))
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Everything that is neither unspecified, loopback, multicast, link-local nor the broadcast address.
fn is_global_unicast<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let address = address(arguments)?;
    let special = address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || is_link_local(address)
        || address == IpAddr::V4(Ipv4Addr::BROADCAST);
    Ok(Value::Bool(!special))
}

fn is_link_local_multicast<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Bool(match address(arguments)? {
        IpAddr::V4(v4) => v4.octets().starts_with(&[224, 0, 0]),
        IpAddr::V6(v6) => is_link_local_group(v6),
    }))
}

/// `ff02::/16` with any flags.
fn is_link_local_group(address: Ipv6Addr) -> bool {
    address.segments().first().is_some_and(|first| first & 0xff0f == 0xff02)
}

fn is_link_local_unicast<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Bool(is_link_local(address(arguments)?)))
}

fn is_cidr<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [text] = arguments else { return Err(mismatch()) };
    Ok(Value::Bool(read_cidr(text.as_str().ok_or_else(mismatch)?).is_ok()))
}

fn cidr<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [text] = arguments else { return Err(mismatch()) };
    Ok(Value::Cidr(Arc::new(read_cidr(text.as_str().ok_or_else(mismatch)?)?)))
}

fn contains_ip<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [Value::Cidr(range), other] = arguments else { return Err(mismatch()) };
    let address = match other {
        Value::Ip(address) => **address,
        other => read_ip(other.as_str().ok_or_else(mismatch)?)?,
    };
    Ok(Value::Bool(covers(range, address)))
}

fn contains_cidr<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [Value::Cidr(range), other] = arguments else { return Err(mismatch()) };
    let inner = match other {
        Value::Cidr(inner) => **inner,
        other => read_cidr(other.as_str().ok_or_else(mismatch)?)?,
    };
    Ok(Value::Bool(inner.bits >= range.bits && covers(range, inner.address)))
}

fn masked<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    let [Value::Cidr(range)] = arguments else { return Err(mismatch()) };
    let bits = bits_of(range.address).0 & mask(range.bits);
    let address = match range.address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits >> 96).unwrap_or(0))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    };
    Ok(Value::Cidr(Arc::new(Cidr { address, bits: range.bits })))
}

fn prefix_length<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
    match arguments {
        [Value::Cidr(range)] => Ok(Value::Int(range.bits.into())),
        _ => Err(mismatch()),
    }
}
