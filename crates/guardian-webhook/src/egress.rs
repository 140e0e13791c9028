//! Where webhooks may go: what is checked of a URL, and what of the addresses that its name has.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use url::{Host, ParseError, Url};

use crate::address::AddressClass;
use guardian_core::shorten;

/// Why a target is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is no URL with a host.
    #[error("the URL `{url}` does not read: {why}")]
    Url {
        /// The URL, shortened.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// Its scheme is not allowed.
    #[error("the scheme `{scheme}` is not allowed: use `https`")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// It has a user name or a password in it, which would be written down with it everywhere.
    #[error("the URL has a user name or a password in it: use a header of the endpoint")]
    UserInfo,
    /// Its port is not allowed.
    #[error("the port {port} is not allowed: use {allowed}")]
    Port {
        /// The port.
        port: u16,
        /// Which ones are.
        allowed: String,
    },
    /// Its host is named as hosts of the inside are.
    #[error("the host `{host}` is not one of the Internet{}", hint(host, Some(*port)))]
    Name {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// An address of it is not public.
    #[error("the address {} is not public: it is {class}{}", of(host, *address), hint_at(*class, host, *port))]
    Address {
        /// The host: a name, or the address itself.
        host: String,
        /// The address.
        address: IpAddr,
        /// What it is.
        class: AddressClass,
        /// The port, where it is known.
        port: Option<u16>,
    },
    /// It has no address, or too many.
    #[error("the host `{host}` has no usable address: {why}")]
    NoAddress {
        /// The host.
        host: String,
        /// Why not.
        why: String,
    },
}

impl Refused {
    /// What the tenant may read of a text with a refusal in it, such as the error of an attempt: without what the host's developer could set, which
    /// is none of the tenant's business.
    #[must_use]
    pub fn for_tenants(text: &str) -> &str {
        text.split(HINT).next().unwrap_or(text)
    }

    /// With the port of the target, where the resolver did not know it.
    #[cfg(feature = "http")]
    pub(crate) fn at(self, to: u16) -> Self {
        match self {
            Self::Address { host, address, class, port: None } => {
                Self::Address { host, address, class, port: Some(to) }
            }
            other => other,
        }
    }
}

/// How the hint begins.
const HINT: &str = "; for a receiver of your own";

/// What a developer has to do whose own receiver it is.
fn hint(host: &str, port: Option<u16>) -> String {
    let port = port.map_or_else(|| "PORT".to_owned(), |port| port.to_string());
    format!(
        "{HINT}, have the egress policy of `Config` `allow_target(\"{host}\", {port})` and make the sender with `config.http()`"
    )
}

/// The same, for addresses at which somebody may have a receiver: none is where clouds keep keys.
fn hint_at(class: AddressClass, host: &str, port: Option<u16>) -> String {
    match class {
        AddressClass::Loopback | AddressClass::Private | AddressClass::CarrierNat => hint(host, port),
        _ => String::new(),
    }
}

/// An address with the name that has it.
fn of(host: &str, address: IpAddr) -> String {
    if host == address.to_string() { host.to_owned() } else { format!("{address} of `{host}`") }
}

/// Ports below 1024 besides 80 and 443 are closed, and above it those of services that take what a stranger sends: the
/// bad ports of the Fetch standard, and data stores, brokers and control planes that are commonly reachable inside.
const CLOSED_PORTS: &[u16] = &[
    1433, 1434, 1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190,
    4369, 5060, 5061, 5432, 5433, 5672, 5984, 6000, 6379, 6380, 6566, 6665, 6666, 6667, 6668, 6669, 6679,
    6697, 9042, 9200, 9300, 10080, 10250, 11211, 27017,
];

/// Names that resolve inside or nowhere: RFC 6761, RFC 6762, RFC 8375, RFC 9476 and names that clouds and networks use.
const CLOSED_SUFFIXES: &[&str] = &[
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "home.arpa",
    "alt",
    "onion",
    "invalid",
    "test",
    "in-addr.arpa",
    "ip6.arpa",
];

/// Which targets are allowed. The default is the public Internet over `https` or `http` on usual ports.
///
/// It is asked twice, and in two places has to be the same: an endpoint is taken by the policy of [`Config`](crate::Config), an attempt
/// is let out by that of the sender. [`Config::http`] makes the sender's settings with the policy of the webhooks:
/// `ReqwestSender::new(webhooks.config().http())`.
///
/// [`Config::http`]: crate::Config::http
///
/// ```
/// use guardian_webhook::EgressPolicy;
///
/// let policy = EgressPolicy::default();
/// assert!(policy.check_url("https://hooks.example.com:8443/a").is_ok());
/// for refused in ["http://127.1/", "http://0xa9fea9fe/", "http://[::ffff:10.0.0.1]/", "ftp://example.com/",
///     "https://user:pass@example.com/", "http://db.internal/", "https://example.com:6379/"] {
///     assert!(policy.check_url(refused).is_err(), "{refused}");
/// }
/// // For development, one target at a time; the sender has to have the same policy (`Config::http` gives it):
/// let policy = EgressPolicy::default().allow_target("127.0.0.1", 3000);
/// assert!(policy.check_url("http://127.0.0.1:3000/").is_ok());
/// assert!(policy.check_url("http://127.0.0.1:3001/").is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    https_only: bool,
    ports: Option<Vec<u16>>,
    allowed: Vec<(String, u16)>,
}

/// The longest URL, in bytes.
const MAX_URL: usize = 2048;

/// The most addresses that a name may have.
const MAX_ADDRESSES: usize = 32;

impl EgressPolicy {
    /// With `https` alone: what production should use.
    #[must_use]
    pub fn https_only(mut self) -> Self {
        self.https_only = true;
        self
    }

    /// With these ports alone.
    #[must_use]
    pub fn with_ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.ports = Some(ports.into_iter().collect());
        self
    }

    /// With a host (a name or an address as the URL has it) and port that is allowed whatever its address is: for
    /// development, and for receivers of your own inside. Both the webhooks and their sender have to have this policy, see
    /// [`EgressPolicy`].
    #[must_use]
    pub fn allow_target(mut self, host: impl AsRef<str>, port: u16) -> Self {
        self.allowed.push((host.as_ref().trim_matches(['[', ']']).to_ascii_lowercase(), port));
        self
    }

    /// What can be said without asking for the name's addresses: scheme, port, name, and the address where the URL has one
    /// instead of a name. The URL is read as browsers read it, so `127.1`, `0x7f.1` and `１２７.０.０.１` are what
    /// they are to them.
    ///
    /// # Errors
    /// Why the target is refused.
    pub fn check_url(&self, text: &str) -> Result<Target, Refused> {
        let unreadable = |why: &str| Refused::Url { url: shorten(text), why: why.to_owned() };
        if text.len() > MAX_URL {
            return Err(unreadable("it is longer than 2048 bytes"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(unreadable("it has spaces or control characters in it"));
        }
        if text.contains('\\') {
            return Err(unreadable("it has a backslash in it, which programs read differently"));
        }
        let begin = || unreadable("begin it with `https://`");
        let url = Url::parse(text).map_err(|error| match error {
            ParseError::RelativeUrlWithoutBase => begin(),
            error => unreadable(&error.to_string()),
        })?;
        if !matches!(url.scheme(), "https" | "http") && !text.contains("://") {
            // `localhost:3000` has a scheme by the letter.
            return Err(begin());
        }
        if !(url.scheme() == "https" || url.scheme() == "http" && !self.https_only) {
            return Err(Refused::Scheme { scheme: shorten(url.scheme()) });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::UserInfo);
        }
        let host = url.host().ok_or_else(|| unreadable("it has no host"))?;
        let port = url.port_or_known_default().ok_or_else(|| unreadable("it has no port"))?;
        let (name, literal) = match host {
            Host::Domain(name) => (name.trim_end_matches('.').to_ascii_lowercase(), None),
            Host::Ipv4(address) => (address.to_string(), Some(IpAddr::V4(address))),
            Host::Ipv6(address) => (address.to_string(), Some(IpAddr::V6(address))),
        };
        let exempt = self.is_exempt(&name, port);
        if !exempt {
            self.check_port(port)?;
            match literal {
                Some(address) => check_address(&name, Some(port), address)?,
                None => check_name(&name, port)?,
            }
        }
        Ok(Target { host: name.into(), port, literal, exempt, url })
    }

    fn check_port(&self, port: u16) -> Result<(), Refused> {
        let open = match &self.ports {
            Some(ports) => ports.contains(&port),
            None => matches!(port, 80 | 443 | 1024..) && !CLOSED_PORTS.contains(&port),
        };
        if open {
            return Ok(());
        }
        let allowed = match &self.ports {
            Some(ports) if ports.is_empty() => "none, for no port is allowed".to_owned(),
            Some(ports) => ports.iter().map(u16::to_string).collect::<Vec<_>>().join(" or "),
            None => "80, 443 or one from 1024 that is no data store's".to_owned(),
        };
        Err(Refused::Port { port, allowed })
    }

    fn is_exempt(&self, host: &str, port: u16) -> bool {
        self.allowed.iter().any(|(name, allowed)| name == host && *allowed == port)
    }

    /// Checks the addresses that a name was resolved to: every one has to be public, for a name that has both kinds is a trick
    /// or a mistake. The answer is what may be connected to, and nothing else may.
    ///
    /// # Errors
    /// The first address that is not public; or there is none, or more than 32.
    pub fn check_addresses(&self, target: &Target, found: &[IpAddr]) -> Result<Vec<SocketAddr>, Refused> {
        let found = match &target.literal {
            Some(address) => std::slice::from_ref(address),
            None => found,
        };
        if !target.exempt {
            check_all(&target.host, Some(target.port), found)?;
        }
        Ok(found.iter().map(|address| SocketAddr::new(*address, target.port)).collect())
    }

    /// Resolves a target once and checks every address. Connect to the answer, never to the name again.
    ///
    /// # Errors
    /// Why the target is refused, or that the resolver has no answer.
    pub async fn resolve(
        &self,
        resolver: &dyn Resolver,
        target: &Target,
    ) -> Result<Vec<SocketAddr>, Refused> {
        let found = match target.literal {
            Some(_) => Vec::new(),
            None => resolver.resolve(&target.host).await.map_err(|why| no_address(&target.host, &why))?,
        };
        self.check_addresses(target, &found)
    }
}

/// A URL that passed the checks that need no resolver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    host: Arc<str>,
    port: u16,
    literal: Option<IpAddr>,
    exempt: bool,
}

impl Target {
    /// The URL, normalized.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The host: a name in ASCII and lower case, or an address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address where the URL has one instead of a name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.literal
    }

    /// Whether the policy allows it by name, whatever its addresses are.
    #[must_use]
    pub fn is_exempt(&self) -> bool {
        self.exempt
    }

    #[cfg(feature = "http")]
    pub(crate) fn parsed(&self) -> &Url {
        &self.url
    }
}

/// Finds the addresses of a name. The sender's own one asks the system; tests have theirs.
#[async_trait]
pub trait Resolver: Send + Sync + fmt::Debug + 'static {
    /// All addresses of a name.
    ///
    /// # Errors
    /// Why there are none.
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, String>;
}

/// Every address has to be public.
pub(crate) fn check_all(host: &str, port: Option<u16>, found: &[IpAddr]) -> Result<(), Refused> {
    if found.is_empty() {
        return Err(no_address(host, "the name has none"));
    }
    if found.len() > MAX_ADDRESSES {
        return Err(no_address(host, "the name has more than 32"));
    }
    found.iter().try_for_each(|address| check_address(host, port, *address))
}

fn no_address(host: &str, why: &str) -> Refused {
    Refused::NoAddress { host: shorten(host), why: shorten(why) }
}

fn check_address(host: &str, port: Option<u16>, address: IpAddr) -> Result<(), Refused> {
    let class = AddressClass::of(address);
    if class.is_public() {
        return Ok(());
    }
    Err(Refused::Address { host: shorten(host), address, class, port })
}

/// A name of the Internet has at least two labels, none of them empty, and ends in none of the suffixes of the inside.
fn check_name(name: &str, port: u16) -> Result<(), Refused> {
    let labels: Vec<&str> = name.split('.').collect();
    let closed =
        |suffix: &&str| name.strip_suffix(*suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let bad = labels.len() < 2
        || name.len() > 253
        || labels.iter().any(|label| {
            label.is_empty()
                || label.len() > 63
                || !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
        || CLOSED_SUFFIXES.iter().any(closed);
    if bad { Err(Refused::Name { host: shorten(name), port }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_urls_are_refused() {
        let policy = EgressPolicy::default();
        for url in [
            "",
            "example.com",
            "//example.com",
            "http:",
            "http://",
            "http:///x",
            "https://exa mple.com/",
            "http://localhost",
            "http://LOCALHOST./",
            "http://a.localhost",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://017700000001/",
            "http://127.0.0.1.:80/",
            "http://①②⑦.⓪.⓪.①/",
            "http://[::1]/",
            "http://[::ffff:7f00:1]/",
            "http://[::7f00:1]/",
            "http://example.com@127.0.0.1/",
            "http://127.0.0.1@example.com/",
            "https://:x@example.com/",
            "http://metadata.google.internal/",
            "http://router.home.arpa/",
            "http://single/",
            "http://a..b.com/",
            "https://example.com:22/",
            "https://example.com:0/",
            "https://example.com:25/",
            "https://example.com:99999/",
            "data:text/plain,x",
            "ftp://example.com/",
            "ws://example.com/",
            "http://example.com\\@127.0.0.1/",
            "http://example.com\r\nx: y/",
            "http://exa\u{0}mple.com/",
            "http://0/",
            "http://0.0.0.0/",
            "http://[::]:443/",
            "http://1.1.1.1.1.1.1.1/x y",
            "http://256.256.256.256/",
        ] {
            assert!(policy.check_url(url).is_err(), "{url}");
        }
        assert!(policy.clone().https_only().check_url("http://example.com/").is_err());
        assert!(policy.with_ports([443]).check_url("https://example.com:8443/").is_err());
    }

    #[test]
    fn what_is_refused_says_what_to_do() {
        let policy = EgressPolicy::default();
        let said = |url: &str| policy.check_url(url).unwrap_err().to_string();
        assert_eq!(
            said("http://localhost:3000/hooks"),
            "the host `localhost` is not one of the Internet; for a receiver of your own, have the egress policy of `Config` \
             `allow_target(\"localhost\", 3000)` and make the sender with `config.http()`"
        );
        assert_eq!(
            said("http://127.1:3000/"),
            "the address 127.0.0.1 is not public: it is loopback; for a receiver of your own, have the egress policy of \
             `Config` `allow_target(\"127.0.0.1\", 3000)` and make the sender with `config.http()`"
        );
        assert_eq!(
            said("http://169.254.169.254/latest/meta-data"),
            "the address 169.254.169.254 is not public: it is link-local"
        );
        assert_eq!(
            said("https://example.com:22/"),
            "the port 22 is not allowed: use 80, 443 or one from 1024 that is no data store's"
        );
        let few = policy.clone().with_ports([443, 8443]);
        assert_eq!(
            few.check_url("https://example.com:80/").unwrap_err().to_string(),
            "the port 80 is not allowed: use 443 or 8443"
        );
        for url in ["example.com/hooks", "//example.com", "localhost:3000", "example.com:8080/hooks"] {
            assert_eq!(said(url), format!("the URL `{url}` does not read: begin it with `https://`"));
        }
        assert_eq!(said("ftp://example.com/"), "the scheme `ftp` is not allowed: use `https`");
        // What the hint says helps.
        assert!(
            policy.clone().allow_target("localhost", 3000).check_url("http://localhost:3000/hooks").is_ok()
        );
        assert!(policy.clone().allow_target("127.0.0.1", 3000).check_url("http://127.1:3000/").is_ok());
        assert!(policy.clone().allow_target("::1", 80).check_url("http://[::1]/").is_ok());

        let target = policy.check_url("https://hooks.example.com/").unwrap();
        let refused = policy.check_addresses(&target, &["10.0.0.1".parse().unwrap()]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the address 10.0.0.1 of `hooks.example.com` is not public: it is private; for a receiver of your own, have the \
             egress policy of `Config` `allow_target(\"hooks.example.com\", 443)` and make the sender with `config.http()`"
        );
        let told = "the address 10.0.0.1 of `hooks.example.com` is not public: it is private";
        assert_eq!(Refused::for_tenants(&refused.to_string()), told);
        assert_eq!(Refused::for_tenants(told), told);
    }

    #[test]
    fn one_private_address_among_public_ones_refuses_all() {
        let policy = EgressPolicy::default();
        let target = policy.check_url("https://example.com/").unwrap();
        let addresses =
            |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        assert!(policy.check_addresses(&target, &addresses(&["1.1.1.1", "2606:4700::1"])).is_ok());
        assert!(policy.check_addresses(&target, &addresses(&["1.1.1.1", "10.0.0.1"])).is_err());
        assert!(policy.check_addresses(&target, &[]).is_err());
        assert!(policy.check_addresses(&target, &addresses(&["1.1.1.1"; 33])).is_err());
    }
}
