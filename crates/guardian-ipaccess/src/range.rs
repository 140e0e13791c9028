//! Ranges of addresses, and the networks that they are made of.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use guardian_core::shorten;
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use crate::address::{AddressError, parse_address};

/// All addresses from one to another of the same family, both included.
///
/// ```
/// use guardian_ipaccess::AddressRange;
///
/// let range: AddressRange = "192.0.2.1-192.0.2.9".parse()?;
/// assert!(range.contains("192.0.2.9".parse()?) && !range.contains("192.0.2.10".parse()?));
/// // In networks: .1, .2/31, .4/30, .8/31
/// assert_eq!(range.networks().count(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressRange(Ends);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ends {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl AddressRange {
    /// From one address to another, or `None` if they are of two families or the wrong way around.
    #[must_use]
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        let ends = match (first.to_canonical(), last.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => Ends::V4(first, last),
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => Ends::V6(first, last),
            _ => return None,
        };
        Some(Self(ends))
    }

    /// From one address to another, as they are.
    pub(crate) fn of_v4(first: Ipv4Addr, last: Ipv4Addr) -> Self {
        Self(Ends::V4(first, last))
    }

    /// From one address to another, as they are: the addresses between may be mapped ones.
    pub(crate) fn of_v6(first: Ipv6Addr, last: Ipv6Addr) -> Self {
        Self(Ends::V6(first, last))
    }

    /// The lowest address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        match self.0 {
            Ends::V4(first, _) => first.into(),
            Ends::V6(first, _) => first.into(),
        }
    }

    /// The highest address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        match self.0 {
            Ends::V4(_, last) => last.into(),
            Ends::V6(_, last) => last.into(),
        }
    }

    /// Whether an address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match (self.0, address) {
            (Ends::V4(first, last), IpAddr::V4(address)) => (first..=last).contains(&address),
            (Ends::V6(first, last), IpAddr::V6(address)) => (first..=last).contains(&address),
            _ => false,
        }
    }

    /// The fewest networks that are the range together; at most 62 for IPv4, 254 for IPv6.
    pub fn networks(&self) -> impl Iterator<Item = IpNet> + use<> {
        let (v4, v6) = match self.0 {
            Ends::V4(first, last) => (Some(Ipv4Subnets::new(first, last, 0)), None),
            Ends::V6(first, last) => (None, Some(Ipv6Subnets::new(first, last, 0))),
        };
        v4.into_iter().flatten().map(IpNet::V4).chain(v6.into_iter().flatten().map(IpNet::V6))
    }
}

impl std::str::FromStr for AddressRange {
    type Err = AddressError;

    fn from_str(input: &str) -> Result<Self, AddressError> {
        let (first, last) =
            input.split_once('-').ok_or_else(|| AddressError::NotANetwork { input: shorten(input) })?;
        let (first, last) = (parse_address(first.trim())?, parse_address(last.trim())?);
        Self::new(first, last).ok_or_else(|| AddressError::Backwards { input: shorten(input) })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first(), self.last())
    }
}
