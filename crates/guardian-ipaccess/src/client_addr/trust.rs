//! Whom to believe: the proxies in front of the service, and the header field that they write.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderName;
use http::header::FORWARDED;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The header field in which the proxies report the address that connected to them.
///
/// There is one field, and the choice is the host's: a proxy maintains the field that it was configured for and
/// passes the other one on as the client sent it, so whoever reads both reads what a client wrote.
///
/// ```
/// use guardian_ipaccess::ForwardHeader;
///
/// assert_eq!(ForwardHeader::XForwardedFor.name(), "x-forwarded-for");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardHeader {
    /// `Forwarded`, RFC 7239.
    Forwarded,
    /// `X-Forwarded-For`, the older custom that most proxies follow by default.
    XForwardedFor,
}

impl ForwardHeader {
    /// The name of the field.
    #[must_use]
    pub fn name(self) -> HeaderName {
        match self {
            Self::Forwarded => FORWARDED,
            Self::XForwardedFor => X_FORWARDED_FOR,
        }
    }
}

/// A text that does not name a network of trusted proxies.
///
/// ```
/// use guardian_ipaccess::{ForwardHeader, TrustError, TrustedProxies};
///
/// let error = TrustedProxies::parse(ForwardHeader::Forwarded, ["10.0.0.1/8"]).unwrap_err();
/// assert_eq!(error.to_string(), "network `10.0.0.1/8` has host bits set, write `10.0.0.0/8` or `10.0.0.1`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Neither an address nor a network in CIDR notation.
    #[error("`{input}` is neither an address nor a network in CIDR notation")]
    NotANetwork {
        /// What was given.
        input: String,
    },
    /// The address has bits outside its prefix, so it is unclear whether one host or the network was meant.
    #[error("network `{input}` has host bits set, write `{network}` or `{host}`")]
    HostBits {
        /// What was given.
        input: String,
        /// The network that contains the address.
        network: IpNet,
        /// The address alone.
        host: IpAddr,
    },
}

/// Which proxies are believed, and in which header field they report the client.
///
/// The default believes nobody and reads nothing: the client is the peer of the connection.
///
/// **By network** ([`parse`](Self::parse), [`from_nets`](Self::from_nets), [`loopback`](Self::loopback),
/// [`private`](Self::private)): the field counts only when the peer is in a trusted network; it is read from the
/// right, trusted addresses are passed over, and the first one that is not trusted is the client. This suits a
/// service whose proxies have known addresses. Name the proxies and no more: whoever sits in a trusted network
/// can claim any address, and trusting `0.0.0.0/0` means that every client can.
///
/// **By count** ([`hops`](Self::hops)): exactly so many proxies stand in front, whatever their addresses. It suits
/// proxies with changing addresses, and it is sound only when nobody can reach the service around them.
///
/// ```
/// use guardian_ipaccess::{ForwardHeader, TrustedProxies};
///
/// let proxies = TrustedProxies::parse(ForwardHeader::XForwardedFor, ["10.0.0.0/8", "2001:db8:1::7"])?;
/// assert!(proxies.trusts("10.1.2.3".parse()?));
/// assert!(!proxies.trusts("192.0.2.1".parse()?));
/// assert_eq!(TrustedProxies::default().header(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies {
    pub(super) rule: Option<Rule>,
}

/// How far the reports in `header` are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) header: ForwardHeader,
    pub(super) reach: Reach,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Nets(Nets),
    Hops(u8),
}

/// Networks, one list per family, because an address is only ever compared with its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Nets {
    v4: Arc<[Ipv4Net]>,
    v6: Arc<[Ipv6Net]>,
}

impl Nets {
    fn new(nets: impl IntoIterator<Item = IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in nets {
            match unmap(net) {
                IpNet::V4(net) => v4.push(net.trunc()),
                IpNet::V6(net) => v6.push(net.trunc()),
            }
        }
        Self { v4: v4.into(), v6: v6.into() }
    }

    /// `address` is in canonical form: never an IPv4 address mapped into IPv6.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.iter().any(|net| net.contains(&address)),
            IpAddr::V6(address) => self.v6.iter().any(|net| net.contains(&address)),
        }
    }
}

/// Addresses lose their mapping before they are compared, so a network of mapped addresses
/// (`::ffff:10.0.0.0/104`) must lose it too, or it would never match.
fn unmap(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let mapped = v6.prefix_len().checked_sub(96).zip(v6.addr().to_ipv4_mapped());
    mapped.and_then(|(prefix, address)| Ipv4Net::new(address, prefix).ok()).map_or(net, IpNet::V4)
}

impl TrustedProxies {
    /// Believes nobody and reads no header; the same as the default.
    #[must_use]
    pub const fn none() -> Self {
        Self { rule: None }
    }

    /// Believes the proxies in `nets`. Bits outside a network's prefix are ignored; with no network at all,
    /// nobody is believed.
    #[must_use]
    pub fn from_nets(header: ForwardHeader, nets: impl IntoIterator<Item = IpNet>) -> Self {
        Self { rule: Some(Rule { header, reach: Reach::Nets(Nets::new(nets)) }) }
    }

    /// Believes the proxies in the networks that `nets` spell, in CIDR notation or as single addresses.
    ///
    /// # Errors
    /// [`TrustError`] names the first text that is not a network, or that has bits outside its prefix.
    pub fn parse<T: AsRef<str>>(
        header: ForwardHeader,
        nets: impl IntoIterator<Item = T>,
    ) -> Result<Self, TrustError> {
        let nets = nets.into_iter().map(|text| parse_net(text.as_ref())).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::from_nets(header, nets))
    }

    /// Believes proxies on this machine: `127.0.0.0/8` and `::1`.
    #[must_use]
    pub fn loopback(header: ForwardHeader) -> Self {
        Self::from_nets(header, LOOPBACK)
    }

    /// Believes proxies in the networks that no route on the Internet leads to: RFC 1918, unique local
    /// (RFC 4193), link local, and loopback. Shared address space (RFC 6598, `100.64.0.0/10`) is not among
    /// them, because there it is a carrier's customers who have such addresses.
    ///
    /// Clients in these networks (an office behind the same router, another tenant's container) are believed
    /// too, and can claim any address.
    #[must_use]
    pub fn private(header: ForwardHeader) -> Self {
        Self::from_nets(header, LOOPBACK.into_iter().chain(PRIVATE))
    }

    /// Believes exactly `count` proxies, the peer among them; `0` is [`none`](Self::none).
    ///
    /// The client is then the element in place `count` from the right: with one proxy the last element, which
    /// the peer wrote, with two the last but one. This is what Envoy does for `xff_num_trusted_hops` on a
    /// listener that does not append the remote address itself.
    ///
    /// When that element cannot be reached (the chain is too short, or a nearer element is not an address), the
    /// request did not come the configured way, and how many of the elements came from a proxy is unknown. Only
    /// the peer surely is one, so its own report, the last element, is the client; without one it is the peer.
    /// The leftmost element would be the wrong choice: with three hops configured, a client that reaches the last
    /// proxy directly sends one element of its own, the proxy adds the client's address, and the leftmost of the
    /// two is the invention.
    ///
    /// Every peer is believed, so nobody may be able to reach the service, or any but the first of the proxies,
    /// around the proxies before: such a client can send elements enough to have its invention counted.
    #[must_use]
    pub fn hops(header: ForwardHeader, count: u8) -> Self {
        if count == 0 {
            Self::none()
        } else {
            Self { rule: Some(Rule { header, reach: Reach::Hops(count) }) }
        }
    }

    /// The field that is read, `None` when nobody is believed.
    #[must_use]
    pub fn header(&self) -> Option<ForwardHeader> {
        self.rule.as_ref().map(|rule| rule.header)
    }

    /// Whether a proxy at `address` is believed because of its network. By count, no address is trusted as
    /// such, and this is `false`.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        match &self.rule {
            Some(Rule { reach: Reach::Nets(nets), .. }) => nets.contain(address.to_canonical()),
            Some(Rule { reach: Reach::Hops(_), .. }) | None => false,
        }
    }
}

impl Default for TrustedProxies {
    fn default() -> Self {
        Self::none()
    }
}

fn parse_net(input: &str) -> Result<IpNet, TrustError> {
    if let Ok(address) = input.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let net: IpNet = input.parse().map_err(|_| TrustError::NotANetwork { input: input.to_owned() })?;
    let network = net.trunc();
    if network == net {
        Ok(net)
    } else {
        Err(TrustError::HostBits { input: input.to_owned(), network, host: net.addr() })
    }
}

const LOOPBACK: [IpNet; 2] = [v4([127, 0, 0, 0], 8), v6([0, 0, 0, 0, 0, 0, 0, 1], 128)];

const PRIVATE: [IpNet; 6] = [
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([169, 254, 0, 0], 16),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(std::net::Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(std::net::Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix))
}
