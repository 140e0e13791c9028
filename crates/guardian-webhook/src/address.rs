//! What kind of place an address is: only the public Internet is open.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is, by the special-purpose registries of IANA (RFC 6890 and its successors).
///
/// IPv6 is decided the other way round than IPv4: only `2000::/3` is given out at all, so everything else is closed, and within
/// it the ranges that are not hosts of the Internet. Forms that carry an IPv4 address: the mapped one (`::ffff:a.b.c.d`) is
/// that address, because the system connects to it. All translated ones (NAT64, 6to4, Teredo, IPv4-compatible, SIIT,
/// ISATAP) are closed, whatever they carry: where they go is up to a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressClass {
    /// A host of the Internet.
    Public,
    /// `0.0.0.0/8`, `::`
    Unspecified,
    /// `127.0.0.0/8`, `::1`
    Loopback,
    /// `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`, `fc00::/7`, `fec0::/10`
    Private,
    /// `100.64.0.0/10`
    CarrierNat,
    /// `169.254.0.0/16`, `fe80::/10`: also where clouds keep the keys of their machines. So does Azure at `168.63.129.16`, the channel
    /// from its machines to their host, which is no address of the Internet.
    LinkLocal,
    /// `192.0.2.0/24`, `198.51.100.0/24`, `203.0.113.0/24`, `2001:db8::/32`, `3fff::/20`
    Documentation,
    /// `198.18.0.0/15`, `2001:2::/48`
    Benchmarking,
    /// `224.0.0.0/4`, `ff00::/8`
    Multicast,
    /// An IPv4 address within an IPv6 one that a router would translate.
    Translated,
    /// `192.0.0.0/24`, `2001::/23`: addresses of protocols.
    Protocol,
    /// `240.0.0.0/4` with the broadcast address, and what is not given out.
    Reserved,
}

impl AddressClass {
    /// The class of an address.
    ///
    /// ```
    /// use guardian_webhook::AddressClass;
    ///
    /// assert_eq!(AddressClass::of("1.1.1.1".parse()?), AddressClass::Public);
    /// assert_eq!(AddressClass::of("169.254.169.254".parse()?), AddressClass::LinkLocal);
    /// assert_eq!(AddressClass::of("::ffff:10.0.0.1".parse()?), AddressClass::Private);
    /// assert_eq!(AddressClass::of("64:ff9b::a00:1".parse()?), AddressClass::Translated);
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => address.to_ipv4_mapped().map_or_else(|| of_v6(address), of_v4),
        }
    }

    /// Whether it is a host of the Internet.
    #[must_use]
    pub fn is_public(self) -> bool {
        self == Self::Public
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::CarrierNat => "behind a carrier's NAT",
            Self::LinkLocal => "link-local",
            Self::Documentation => "for documentation",
            Self::Benchmarking => "for benchmarks",
            Self::Multicast => "multicast",
            Self::Translated => "a translated IPv4 address",
            Self::Protocol => "of a protocol",
            Self::Reserved => "reserved",
        })
    }
}

fn of_v4(address: Ipv4Addr) -> AddressClass {
    let [a, b, c, d] = address.octets();
    match (a, b, c) {
        (0, ..) => AddressClass::Unspecified,
        (127, ..) => AddressClass::Loopback,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => AddressClass::Private,
        (100, 64..=127, _) => AddressClass::CarrierNat,
        (169, 254, _) => AddressClass::LinkLocal,
        (168, 63, 129) if d == 16 => AddressClass::LinkLocal,
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => AddressClass::Documentation,
        (192, 0, 0) => AddressClass::Protocol,
        // The relays of 6to4, which RFC 7526 put out of use.
        (192, 88, 99) => AddressClass::Translated,
        (198, 18..=19, _) => AddressClass::Benchmarking,
        (224..=239, ..) => AddressClass::Multicast,
        (240.., ..) => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> AddressClass {
    let [a, b, c, d, e, f, ..] = address.segments();
    match (a, b) {
        (0, 0) => match address.to_bits() {
            0 => AddressClass::Unspecified,
            1 => AddressClass::Loopback,
            // `::a.b.c.d` (RFC 4291), `::ffff:0:a.b.c.d` (RFC 2765).
            _ if (c, d, e, f) == (0, 0, 0, 0) || (c, d, e, f) == (0, 0, 0xffff, 0) => {
                AddressClass::Translated
            }
            _ => AddressClass::Reserved,
        },
        // NAT64, 6to4, Teredo.
        (0x64, 0xff9b) | (0x2002, _) | (0x2001, 0) => AddressClass::Translated,
        (0x2001, 2) if c == 0 => AddressClass::Benchmarking,
        (0x2001, 0x0001..=0x01ff) => AddressClass::Protocol,
        (0x2001, 0x0db8) | (0x3fff, 0..=0x0fff) => AddressClass::Documentation,
        // The interface of an ISATAP host (RFC 5214).
        (0x2000..=0x3fff, _) if matches!(e, 0 | 0x0200) && f == 0x5efe => AddressClass::Translated,
        (0x2000..=0x3fff, _) => AddressClass::Public,
        (0xfc00..=0xfdff | 0xfec0..=0xfeff, _) => AddressClass::Private,
        (0xfe80..=0xfebf, _) => AddressClass::LinkLocal,
        (0xff00.., _) => AddressClass::Multicast,
        _ => AddressClass::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> AddressClass {
        AddressClass::of(text.parse().unwrap())
    }

    #[test]
    fn the_neighbours_of_every_closed_range_are_open() {
        for open in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::1",
            "2001:200::1",
            "2001:db7:ffff::",
            "2001:db9::",
            "2003::",
            "3ffe::",
            "3fff:1000::",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(class(open), AddressClass::Public, "{open}");
        }
    }

    #[test]
    fn translated_addresses_are_closed_whatever_they_carry() {
        for text in [
            "::8.8.8.8",
            "::ffff:0:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "2002:808:808::1",
            "2001:0:808:808::1",
            "2a00::5efe:10.0.0.1",
            "2a00::200:5efe:10.0.0.1",
            "192.88.99.1",
        ] {
            assert_eq!(class(text), AddressClass::Translated, "{text}");
        }
    }

    #[test]
    fn the_channel_to_the_host_of_a_cloud_is_closed() {
        for text in ["168.63.129.16", "::ffff:168.63.129.16"] {
            assert_eq!(class(text), AddressClass::LinkLocal, "{text}");
        }
        assert_eq!(class("168.63.129.15"), AddressClass::Public);
        assert_eq!(class("168.63.129.17"), AddressClass::Public);
    }

    #[test]
    fn what_is_not_given_out_is_closed() {
        for text in ["100::1", "5f00::1", "4000::1", "1fff::1", "::1:0:0:0", "e000::", "240.0.0.1"] {
            assert_eq!(class(text), AddressClass::Reserved, "{text}");
        }
    }
}
