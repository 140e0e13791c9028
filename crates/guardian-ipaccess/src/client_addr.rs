//! Who the client is when proxies stand in front of the service.
//!
//! A proxy appends the address that connected to it to a header field. A client can send that field too, so
//! everything left of what the trusted proxies appended is the client's invention. The rule that follows is the
//! only sound one: begin at the connection's peer, go from right to left while the addresses are trusted, and
//! take the first that is not. An element that is no address ends the way: it is never passed over, because what
//! is left of it was not vouched for by anyone.
//!
//! This module reads bytes and addresses, does no I/O, allocates next to nothing, and examines at most
//! [`ClientAddr::MAX_HEADER_BYTES`] bytes and [`ClientAddr::MAX_ELEMENTS`] elements from the right.

mod chain;
mod forwarded;
mod node;
mod trust;
mod x_forwarded_for;

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};

pub use trust::{ForwardHeader, TrustError, TrustedProxies};

use chain::Chain;
use trust::{Reach, Rule};

/// Where a client's address was found.
///
/// ```
/// use guardian_ipaccess::{AddrSource, ClientAddr, TrustedProxies};
///
/// let client = ClientAddr::resolve([192, 0, 2, 1].into(), &http::HeaderMap::new(), &TrustedProxies::none());
/// assert_eq!(client.source(), AddrSource::Peer);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddrSource {
    /// It is the other end of the connection.
    Peer,
    /// A trusted proxy reported it in this field.
    Header(ForwardHeader),
}

/// Why the search for the client ended.
///
/// ```
/// use guardian_ipaccess::{ClientAddr, ForwardHeader, StopReason, TrustedProxies, WalkEnd};
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("x-forwarded-for", "198.51.100.9, unknown".parse()?);
/// let proxies = TrustedProxies::loopback(ForwardHeader::XForwardedFor);
/// let client = ClientAddr::resolve([127, 0, 0, 1].into(), &headers, &proxies);
/// assert_eq!(client.end(), WalkEnd::Stopped(StopReason::NotAnAddress));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WalkEnd {
    /// The peer is not a trusted proxy, so no header was read.
    PeerIsClient,
    /// The first address that is not a trusted proxy, or the one at the configured place.
    Found,
    /// Every address is trusted, so the farthest one is the client.
    AllTrusted,
    /// By count only: the chain has fewer elements than there should be proxies.
    TooShort,
    /// The next element to the left could not be believed.
    Stopped(StopReason),
}

/// Why an element is not believed, nor anything left of it.
///
/// See [`WalkEnd`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// It is empty, `unknown`, an obfuscated name, has no `for`, or spells an address in a way that is not taken.
    NotAnAddress,
    /// It breaks the grammar of RFC 7239 section 4.
    Malformed,
    /// It comes after [`ClientAddr::MAX_ELEMENTS`] others.
    TooManyElements,
    /// It goes beyond [`ClientAddr::MAX_HEADER_BYTES`].
    TooLong,
}

/// The client of a request, and how it was found.
///
/// The address is never an IPv4 address mapped into IPv6: `::ffff:192.0.2.1` is given as `192.0.2.1`, whether it
/// came from the connection or from a header.
///
/// ```
/// use guardian_ipaccess::{ClientAddr, ForwardHeader, TrustedProxies};
///
/// let proxies = TrustedProxies::parse(ForwardHeader::Forwarded, ["2001:db8:ff::/48"])?;
/// let mut headers = http::HeaderMap::new();
/// // The first element is what the client would like to be; the second is what the proxy saw.
/// headers.insert("forwarded", r#"for=10.0.0.1, for="[2001:db8:7::1]:4711""#.parse()?);
///
/// let client = ClientAddr::resolve("2001:db8:ff::5".parse()?, &headers, &proxies);
/// assert_eq!(client.addr(), "2001:db8:7::1".parse::<std::net::IpAddr>()?);
/// assert!(client.is_conclusive());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct ClientAddr {
    addr: IpAddr,
    source: AddrSource,
    end: WalkEnd,
}

impl ClientAddr {
    /// How many bytes of the header field are examined, over all its lines, from the right.
    pub const MAX_HEADER_BYTES: usize = 8 * 1024;
    /// How many elements are examined from the right.
    pub const MAX_ELEMENTS: usize = 64;

    /// Finds the client of a request that came from `peer` with `headers`.
    ///
    /// Lines of the same name count in their order, as if joined by commas. Only the field that `proxies` names
    /// is read. The time is linear in the bytes examined.
    pub fn resolve(peer: IpAddr, headers: &HeaderMap, proxies: &TrustedProxies) -> Self {
        match proxies.header() {
            None => Self::resolve_lines(peer, [], proxies),
            Some(header) => {
                let lines = headers.get_all(header.name()).into_iter().map(HeaderValue::as_bytes);
                Self::resolve_lines(peer, lines, proxies)
            }
        }
    }

    /// The same for the raw lines of the field that `proxies` names, which need not be valid header values.
    pub fn resolve_lines<'a, L>(peer: IpAddr, lines: L, proxies: &TrustedProxies) -> Self
    where
        L: IntoIterator<Item = &'a [u8]>,
        L::IntoIter: DoubleEndedIterator,
    {
        let peer = Self { addr: peer.to_canonical(), source: AddrSource::Peer, end: WalkEnd::PeerIsClient };
        let Some(Rule { header, reach }) = &proxies.rule else {
            return peer;
        };
        let chain = Chain::new(*header, lines.into_iter());
        match reach {
            Reach::Nets(nets) if !nets.contain(peer.addr) => peer,
            Reach::Nets(nets) => peer.walk(*header, chain, |address| nets.contain(address)),
            Reach::Hops(count) => peer.count(*header, chain, *count),
        }
    }

    /// The address.
    #[must_use]
    pub fn addr(&self) -> IpAddr {
        self.addr
    }

    /// Where the address was found.
    #[must_use]
    pub fn source(&self) -> AddrSource {
        self.source
    }

    /// Why the search ended there.
    #[must_use]
    pub fn end(&self) -> WalkEnd {
        self.end
    }

    /// Whether the address is the client's, rather than that of the last proxy that could be believed.
    ///
    /// When it is not, the address is still safe to count requests by, but a rule that lets the service's own
    /// proxies in should not let this request in.
    #[must_use]
    pub fn is_conclusive(&self) -> bool {
        !matches!(self.end, WalkEnd::TooShort | WalkEnd::Stopped(_))
    }

    /// Goes left from the trusted peer `self` while the addresses are trusted.
    fn walk<C>(mut self, header: ForwardHeader, chain: C, trusted: impl Fn(IpAddr) -> bool) -> Self
    where
        C: Iterator<Item = Result<IpAddr, StopReason>>,
    {
        for element in chain {
            match element {
                Err(reason) => return self.ending(WalkEnd::Stopped(reason)),
                Ok(addr) => self = Self { addr, source: AddrSource::Header(header), ..self },
            }
            if !trusted(self.addr) {
                return self.ending(WalkEnd::Found);
            }
        }
        self.ending(WalkEnd::AllTrusted)
    }

    /// Goes left from the peer `self` to the element in place `count`.
    fn count<C>(self, header: ForwardHeader, chain: C, count: u8) -> Self
    where
        C: Iterator<Item = Result<IpAddr, StopReason>>,
    {
        // What the peer reported, and what the last proxy on the way reported.
        let mut nearest = self;
        let mut latest = self;
        for (place, element) in (1..=count).zip(chain) {
            match element {
                Ok(addr) => latest = Self { addr, source: AddrSource::Header(header), ..self },
                // All proxies are there, and the farthest could or would not tell: it is the last one known.
                Err(reason) if place == count => return latest.ending(WalkEnd::Stopped(reason)),
                Err(reason) => return nearest.ending(WalkEnd::Stopped(reason)),
            }
            if place == count {
                return latest.ending(WalkEnd::Found);
            }
            if place == 1 {
                nearest = latest;
            }
        }
        nearest.ending(WalkEnd::TooShort)
    }

    fn ending(self, end: WalkEnd) -> Self {
        Self { end, ..self }
    }
}
