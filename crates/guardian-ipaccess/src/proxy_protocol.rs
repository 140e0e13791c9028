//! The PROXY protocol: how a load balancer that does not read HTTP says who connected to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What stands in front of a connection's own bytes, by the PROXY protocol (HAProxy, "The PROXY protocol, versions 1 & 2",
/// 2020/03/05).
///
/// Read it only from a peer that is trusted to write it: anybody can write anything. And then read it always: the text says that a
/// receiver must not guess whether a header is there.
///
/// ```
/// use guardian_ipaccess::{Parsed, ProxyHeader};
///
/// let bytes = b"PROXY TCP4 203.0.113.7 192.0.2.1 51234 443\r\nGET / HTTP/1.1\r\n";
/// let Parsed::Whole { header, len } = ProxyHeader::parse(bytes)? else { panic!("all of it is there") };
/// assert_eq!(header.client(), Some("203.0.113.7:51234".parse()?));
/// assert!(bytes[len..].starts_with(b"GET"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeader {
    /// The proxy speaks for itself, a health check for example, or does not know: the client is the connection's peer.
    Local,
    /// The connection is forwarded for this client.
    Proxied {
        /// Who connected to the proxy. An IPv4 address mapped into IPv6 has lost its mapping.
        client: SocketAddr,
        /// Where it connected to.
        destination: SocketAddr,
    },
}

/// How far a header was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a header is there or is not all there")]
pub enum Parsed {
    /// All of it is there.
    Whole {
        /// What it says.
        header: ProxyHeader,
        /// How many bytes it takes; behind it come the connection's own.
        len: usize,
    },
    /// What is there begins a header. No more than [`ProxyHeader::MAX_BYTES`] are ever asked for.
    Partial,
}

/// Why bytes are no header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// They begin like none.
    #[error("the connection does not begin with a PROXY header")]
    NotAHeader,
    /// A line of version 1 that breaks the rules.
    #[error("the PROXY line is malformed: {why}")]
    Line {
        /// What is wrong.
        why: &'static str,
    },
    /// A block of version 2 that breaks the rules.
    #[error("the PROXY block is malformed: {why}")]
    Block {
        /// What is wrong.
        why: &'static str,
    },
    /// Longer than is read.
    #[error("the PROXY header is longer than {max} bytes")]
    TooLong {
        /// How much is read.
        max: usize,
    },
}

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1, its end included.
const MAX_LINE: usize = 107;
const FIXED: usize = 16;
const CRC32C: u8 = 0x03;

impl ProxyHeader {
    /// The most bytes that a header may have. Version 2 would allow 65,551; nobody sends that much.
    pub const MAX_BYTES: usize = 4096;

    /// Reads the header at the beginning of a connection.
    ///
    /// # Errors
    /// When the bytes are no header, whatever may follow. The connection is to be closed then.
    pub fn parse(bytes: &[u8]) -> Result<Parsed, ProxyError> {
        let begins = |with: &[u8]| bytes.iter().zip(with).all(|(a, b)| a == b);
        if begins(SIGNATURE) {
            parse_block(bytes)
        } else if begins(b"PROXY ") {
            parse_line(bytes)
        } else {
            Err(ProxyError::NotAHeader)
        }
    }

    /// The client, where the proxy names one.
    #[must_use]
    pub fn client(&self) -> Option<SocketAddr> {
        match self {
            Self::Local => None,
            Self::Proxied { client, .. } => Some(*client),
        }
    }
}

fn parse_line(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let wrong = |why| ProxyError::Line { why };
    let head = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let Some(end) = head.windows(2).position(|two| two == b"\r\n") else {
        return if bytes.len() < MAX_LINE {
            Ok(Parsed::Partial)
        } else {
            Err(ProxyError::TooLong { max: MAX_LINE })
        };
    };
    let line =
        std::str::from_utf8(head.get(..end).unwrap_or_default()).map_err(|_| wrong("it is no ASCII"))?;
    let len = end + 2;
    // Exactly one blank between words.
    let mut words = line.split(' ').skip(1);
    let header = match words.next() {
        // What follows is to be ignored.
        Some("UNKNOWN") => ProxyHeader::Local,
        Some(family @ ("TCP4" | "TCP6")) => {
            let mut address = || {
                let word = words.next().unwrap_or_default();
                let address: IpAddr = word.parse().map_err(|_| wrong("an address is none"))?;
                (address.is_ipv4() == (family == "TCP4"))
                    .then_some(address)
                    .ok_or_else(|| wrong("an address is of the other family"))
            };
            let (client, destination) = (address()?, address()?);
            let mut port = || {
                let word = words.next().unwrap_or_default();
                let digits = (1..=5).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
                let plain = digits && (word == "0" || !word.starts_with('0'));
                plain.then(|| word.parse::<u16>().ok()).flatten().ok_or_else(|| wrong("a port is none"))
            };
            let (client_port, destination_port) = (port()?, port()?);
            if words.next().is_some() {
                return Err(wrong("something follows the ports"));
            }
            proxied((client, client_port), (destination, destination_port))
        }
        _ => return Err(wrong("the protocol is not TCP4, TCP6 or UNKNOWN")),
    };
    Ok(Parsed::Whole { header, len })
}

fn proxied(client: (IpAddr, u16), destination: (IpAddr, u16)) -> ProxyHeader {
    let canonical = |(addr, port): (IpAddr, u16)| SocketAddr::new(addr.to_canonical(), port);
    ProxyHeader::Proxied { client: canonical(client), destination: canonical(destination) }
}

fn parse_block(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let wrong = |why| ProxyError::Block { why };
    let Some([version, family, high, low]) = bytes.get(SIGNATURE.len()..FIXED) else {
        return Ok(Parsed::Partial);
    };
    let len = FIXED + usize::from(u16::from_be_bytes([*high, *low]));
    if version >> 4 != 2 {
        return Err(wrong("the version is not 2"));
    }
    if len > ProxyHeader::MAX_BYTES {
        return Err(ProxyError::TooLong { max: ProxyHeader::MAX_BYTES });
    }
    let Some(whole) = bytes.get(..len) else { return Ok(Parsed::Partial) };
    let body = whole.get(FIXED..).unwrap_or_default();
    let is_local = match version & 0xf {
        0 => true,
        1 => false,
        _ => return Err(wrong("the command is neither LOCAL nor PROXY")),
    };
    let (header, extensions) = match family {
        // TCP and UDP over IPv4.
        0x11 | 0x12 => addresses::<4>(body, |octets| Ipv4Addr::from(octets).into())
            .ok_or_else(|| wrong("its addresses are cut off"))?,
        0x21 | 0x22 => addresses::<16>(body, |octets| Ipv6Addr::from(octets).into())
            .ok_or_else(|| wrong("its addresses are cut off"))?,
        // Unix sockets have two names of 108 bytes, and no address.
        0x31 | 0x32 => {
            (ProxyHeader::Local, body.get(216..).ok_or_else(|| wrong("its addresses are cut off"))?)
        }
        0x00 => (ProxyHeader::Local, &[][..]),
        _ if is_local => (ProxyHeader::Local, &[][..]),
        _ => return Err(wrong("the family is unknown")),
    };
    check_extensions(whole, extensions)?;
    Ok(Parsed::Whole { header: if is_local { ProxyHeader::Local } else { header }, len })
}

/// The two addresses and ports, and what follows them.
fn addresses<const N: usize>(body: &[u8], addr: impl Fn([u8; N]) -> IpAddr) -> Option<(ProxyHeader, &[u8])> {
    let (client, rest) = body.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (client_port, rest) = rest.split_first_chunk::<2>()?;
    let (destination_port, rest) = rest.split_first_chunk::<2>()?;
    let client = (addr(*client), u16::from_be_bytes(*client_port));
    let destination = (addr(*destination), u16::from_be_bytes(*destination_port));
    Some((proxied(client, destination), rest))
}

/// Walks the extensions, which have to fill their space, and holds the block against its checksum if it carries one.
fn check_extensions(whole: &[u8], mut extensions: &[u8]) -> Result<(), ProxyError> {
    let wrong = |why| ProxyError::Block { why };
    while let Some(([kind, high, low], rest)) = extensions.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, after) = rest.split_at_checked(length).ok_or_else(|| wrong("an extension is cut off"))?;
        if *kind == CRC32C {
            let given = <[u8; 4]>::try_from(value).map_err(|_| wrong("the checksum has not four bytes"))?;
            // The checksum counts as zeros while it is computed.
            let at = whole.len() - extensions.len() + 3;
            let zeroed = whole
                .iter()
                .zip(0..)
                .map(|(byte, place)| if (at..at + 4).contains(&place) { 0 } else { *byte });
            if crc32c(zeroed) != u32::from_be_bytes(given) {
                return Err(wrong("the checksum is not that of the block"));
            }
        }
        extensions = after;
    }
    if extensions.is_empty() { Ok(()) } else { Err(wrong("an extension is cut off")) }
}

/// CRC-32C (RFC 3720, appendix B.4), bit by bit: a header has some hundred bytes.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        assert_eq!(super::crc32c([0_u8; 32].into_iter()), 0x8a91_36aa);
        assert_eq!(super::crc32c((0..32).collect::<Vec<u8>>().into_iter()), 0x46dd_794e);
    }
}
