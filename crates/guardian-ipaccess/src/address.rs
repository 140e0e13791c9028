//! Addresses as people write them, and what IPv4 hides inside IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use guardian_core::shorten;
use ipnet::{IpNet, Ipv4Net};

/// Why a text is no address, or no network.
///
/// ```
/// use guardian_ipaccess::{AddressError, parse_address};
///
/// let error = parse_address("fe80::1%eth0").unwrap_err();
/// assert_eq!(error, AddressError::Zone { input: "fe80::1%eth0".into() });
/// assert_eq!(error.to_string(), "address `fe80::1%eth0` has a zone, which means something on one machine only");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Neither an address nor what was asked for.
    #[error("`{input}` is no IP address")]
    NotAnAddress {
        /// What was given, at most 64 characters of it.
        input: String,
    },
    /// Neither an address nor a network in CIDR notation.
    #[error(
        "`{input}` is neither an address, a network such as `192.0.2.0/24`, nor a range such as `192.0.2.1-192.0.2.9`"
    )]
    NotANetwork {
        /// What was given, at most 64 characters of it.
        input: String,
    },
    /// A scoped address such as `fe80::1%eth0` (RFC 4007, section 11).
    #[error("address `{input}` has a zone, which means something on one machine only")]
    Zone {
        /// What was given, at most 64 characters of it.
        input: String,
    },
    /// Bits outside the prefix, so it is unclear whether one host or the network was meant.
    #[error("network `{input}` has host bits set, write `{network}` or `{host}`")]
    HostBits {
        /// What was given.
        input: String,
        /// The network that contains the address.
        network: IpNet,
        /// The address alone.
        host: IpAddr,
    },
    /// A range whose end comes before its beginning, or of two families.
    #[error("range `{input}` does not go from a lower address to a higher one of the same family")]
    Backwards {
        /// What was given.
        input: String,
    },
}

/// Reads one address. An IPv4 address mapped into IPv6 (`::ffff:192.0.2.1`) is the IPv4 address. Octal and short forms, leading
/// zeros, ports and zones are refused.
///
/// ```
/// use guardian_ipaccess::parse_address;
///
/// assert_eq!(parse_address("::ffff:192.0.2.1")?, parse_address("192.0.2.1")?);
/// assert!(parse_address("192.0.2.01").is_err());
/// # Ok::<(), guardian_ipaccess::AddressError>(())
/// ```
///
/// # Errors
/// [`AddressError::Zone`] for a scoped address, [`AddressError::NotAnAddress`] for all else.
pub fn parse_address(input: &str) -> Result<IpAddr, AddressError> {
    match input.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_canonical()),
        Err(_) if is_scoped(input) => Err(AddressError::Zone { input: shorten(input) }),
        Err(_) => Err(AddressError::NotAnAddress { input: shorten(input) }),
    }
}

fn is_scoped(input: &str) -> bool {
    input.split_once('%').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok())
}

/// Reads a network or a single address; what is mapped into IPv6 loses its mapping.
pub(crate) fn parse_network(input: &str) -> Result<IpNet, AddressError> {
    if input.contains('/') {
        let Ok(net) = input.parse::<IpNet>() else {
            let scoped = input.split('/').next().is_some_and(is_scoped);
            let input = shorten(input);
            return Err(if scoped {
                AddressError::Zone { input }
            } else {
                AddressError::NotANetwork { input }
            });
        };
        let network = net.trunc();
        if network != net {
            return Err(AddressError::HostBits { input: shorten(input), network, host: net.addr() });
        }
        return Ok(unmapped(net));
    }
    parse_address(input).map(IpNet::from).map_err(|error| match error {
        AddressError::NotAnAddress { input } => AddressError::NotANetwork { input },
        other => other,
    })
}

/// A network of mapped addresses (`::ffff:10.0.0.0/104`) is the IPv4 network, as addresses lose their mapping before they are
/// looked up.
pub(crate) fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let mapped = v6.prefix_len().checked_sub(96).zip(v6.addr().to_ipv4_mapped());
    mapped.and_then(|(prefix, address)| Ipv4Net::new(address, prefix).ok()).map_or(net, IpNet::V4)
}

/// How an IPv4 address came to be part of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transition {
    /// The well-known prefix of NAT64, `64:ff9b::/96` (RFC 6052, section 2.1).
    Nat64,
    /// 6to4, `2002::/16` (RFC 3056, section 2).
    SixToFour,
    /// Teredo, `2001::/32`: the client's address behind its NAT (RFC 4380, section 4).
    Teredo,
}

/// The IPv4 address inside an IPv6 address of a transition mechanism.
///
/// Whoever sends packets chooses what is written there, so it is never a reason to let somebody in. It is a reason to keep somebody
/// out: a network that is denied does not become welcome by a tunnel.
///
/// ```
/// use guardian_ipaccess::{Transition, embedded_v4};
///
/// let nat64 = embedded_v4("64:ff9b::c000:201".parse()?);
/// assert_eq!(nat64, Some((Transition::Nat64, "192.0.2.1".parse()?)));
/// assert_eq!(embedded_v4("2001:db8::1".parse()?), None);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[inline]
#[must_use]
pub fn embedded_v4(address: Ipv6Addr) -> Option<(Transition, Ipv4Addr)> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (a, b) {
        (0x0064, 0xff9b) if (c, d, e, f) == (0, 0, 0, 0) => Some((Transition::Nat64, v4(g, h))),
        (0x2002, _) => Some((Transition::SixToFour, v4(b, c))),
        // Written upside down, so that no NAT on the way rewrites it.
        (0x2001, 0) => Some((Transition::Teredo, v4(!g, !h))),
        _ => None,
    }
}
