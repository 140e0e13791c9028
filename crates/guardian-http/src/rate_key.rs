//! What stands for a client's address when requests are counted.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// How many leading bits of an IPv6 address count as one client: 32 to 128, 64 by default.
///
/// A provider hands out at least a /64 per customer, and its owner can use every address in it; counting whole
/// addresses would give one machine 2^64 allowances. Larger sites hold a /56 or a /48.
///
/// ```
/// use guardian_http::V6PrefixLen;
///
/// assert_eq!(V6PrefixLen::default().get(), 64);
/// assert_eq!(V6PrefixLen::new(56).unwrap().get(), 56);
/// assert_eq!(V6PrefixLen::new(8).unwrap_err().to_string(), "prefix length `8` is not in 32 to 128");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct V6PrefixLen(u8);

/// A prefix length that [`V6PrefixLen`] does not allow.
///
/// ```
/// let error = guardian_http::V6PrefixLen::new(129).unwrap_err();
/// assert_eq!(error.to_string(), "prefix length `129` is not in 32 to 128");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("prefix length `{given}` is not in 32 to 128")]
#[non_exhaustive]
pub struct V6PrefixLenError {
    /// The length that was given, in bits.
    pub given: u8,
}

impl V6PrefixLen {
    /// A prefix of `bits` bits.
    ///
    /// # Errors
    /// [`V6PrefixLenError`] unless `bits` is 32 to 128. Below 32 one key would hold several providers.
    pub const fn new(bits: u8) -> Result<Self, V6PrefixLenError> {
        if bits >= 32 && bits <= 128 { Ok(Self(bits)) } else { Err(V6PrefixLenError { given: bits }) }
    }

    /// The length in bits.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for V6PrefixLen {
    fn default() -> Self {
        Self(64)
    }
}

/// The network that is counted as one client.
///
/// An IPv4 address stands for itself, an IPv6 address for its prefix. IPv4 addresses that travel inside IPv6 are
/// taken out first: the mapped ones (`::ffff:0:0/96`, RFC 4291 section 2.5.5.2), and those of NAT64
/// (`64:ff9b::/96`, RFC 6052 section 2.1), which would otherwise all share one /64 and one allowance.
///
/// A key is for counting only. Never decide access by it: a key names a whole network, and the address inside a
/// NAT64 one was put there by a translator that the service knows nothing about.
///
/// ```
/// use guardian_http::RateKey;
///
/// let key = |text: &str| RateKey::new(text.parse().unwrap());
/// assert_eq!(key("192.0.2.7").to_string(), "192.0.2.7");
/// assert_eq!(key("2001:db8:0:1:aaaa::1").to_string(), "2001:db8:0:1::/64");
/// assert_eq!(key("2001:db8:0:1:aaaa::1"), key("2001:db8:0:1:bbbb::2"));
/// assert_eq!(key("64:ff9b::c000:207"), key("192.0.2.7"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RateKey {
    net: IpNet,
}

impl RateKey {
    /// The key of `address`, IPv6 by the default /64.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self::with_prefix(address, V6PrefixLen::default())
    }

    /// The key of `address`, IPv6 by the given prefix.
    #[must_use]
    pub fn with_prefix(address: IpAddr, prefix: V6PrefixLen) -> Self {
        let net = match unwrap_v4(address) {
            IpAddr::V4(address) => IpNet::V4(Ipv4Net::from(address)),
            IpAddr::V6(address) => {
                // The length is at most 128, so the fallback, the address alone, is never taken.
                let net = Ipv6Net::new(address, prefix.get()).unwrap_or_else(|_| Ipv6Net::from(address));
                IpNet::V6(net.trunc())
            }
        };
        Self { net }
    }

    /// The network; bits outside its prefix are zero.
    #[must_use]
    pub fn net(self) -> IpNet {
        self.net
    }

    /// What it is displayed as; that of an IPv4 address, for which there are most, without what formatting costs.
    #[cfg(feature = "ratelimit")]
    pub(crate) fn into_text(self) -> String {
        let IpNet::V4(net) = self.net else { return self.to_string() };
        let mut bytes = [0; "255.255.255.255.".len()];
        let (mut places, mut length) = (bytes.iter_mut(), 0_usize);
        let mut put = |byte| {
            if let Some(place) = places.next() {
                *place = byte;
                length += 1;
            }
        };
        for octet in net.addr().octets() {
            if octet >= 100 {
                put(b'0' + octet / 100);
            }
            if octet >= 10 {
                put(b'0' + octet / 10 % 10);
            }
            put(b'0' + octet % 10);
            put(b'.');
        }
        // Without the last point. All of it is ASCII.
        let text = bytes.get(..length.saturating_sub(1)).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default().to_owned()
    }

    /// Eighteen bytes that differ when the keys differ: the family (4 or 6), the prefix length, and the address
    /// in network order, IPv4 followed by twelve zeros. The layout is stable, so it may be stored.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 18] {
        match self.net {
            IpNet::V4(net) => {
                let [a, b, c, d] = net.addr().octets();
                [4, net.prefix_len(), a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            }
            IpNet::V6(net) => {
                let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = net.addr().octets();
                [6, net.prefix_len(), a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
            }
        }
    }
}

/// An IPv4 address in the usual notation, an IPv6 prefix in CIDR notation.
impl fmt::Display for RateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.net {
            IpNet::V4(net) => net.addr().fmt(f),
            IpNet::V6(net) => net.fmt(f),
        }
    }
}

impl From<IpAddr> for RateKey {
    fn from(address: IpAddr) -> Self {
        Self::new(address)
    }
}

fn unwrap_v4(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => match v6.octets() {
            [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => Ipv4Addr::new(a, b, c, d).into(),
            _ => IpAddr::V6(v6),
        },
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(all(test, feature = "ratelimit"))]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_is_displayed() {
        for octet in 0..=u8::MAX {
            for address in [[octet, 0, 10, 255], [1, octet, 99, 100], [9, 200, 0, octet]] {
                let key = RateKey::new(IpAddr::from(address));
                assert_eq!(key.into_text(), key.to_string());
            }
        }
        let key = RateKey::new(IpAddr::from([0x2001, 0xdb8, 0, 1, 2, 3, 4, 5]));
        assert_eq!(key.into_text(), "2001:db8:0:1::/64");
    }
}
