//! One rule: what it says, about which addresses, for whom, and when.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use guardian_core::Timestamp;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::address::{parse_network, unmapped};
use crate::{AccessRequest, AddressError, AddressRange, Country, Schedule};

/// Let in, or keep out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "there is no third answer to a knock on the door")]
pub enum Effect {
    /// The request may go on.
    Allow,
    /// It may not.
    Deny,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

/// A rule's number, unique within its policy and never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(u32);

impl RuleId {
    /// No rule has this number or a higher one.
    pub(crate) const END: u32 = 1 << 30;

    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What hides who a client is, as databases of anonymisers tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Anonymizer {
    /// Any of the others.
    Any,
    /// A virtual private network that is sold to the public.
    Vpn,
    /// An exit of the Tor network.
    Tor,
    /// A hosting provider: a machine in a data centre rather than a person.
    Hosting,
    /// A public proxy.
    PublicProxy,
    /// A proxy on somebody's home connection.
    ResidentialProxy,
}

impl Anonymizer {
    pub(crate) const ALL: [(Self, &'static str); 6] = [
        (Self::Any, "any"),
        (Self::Vpn, "vpn"),
        (Self::Tor, "tor"),
        (Self::Hosting, "hosting"),
        (Self::PublicProxy, "public_proxy"),
        (Self::ResidentialProxy, "residential_proxy"),
    ];

    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Anonymizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(each, _)| each == self).map_or("any", |(_, name)| name);
        f.write_str(name)
    }
}

/// Which addresses a rule is about.
///
/// ```
/// use guardian_ipaccess::Target;
///
/// assert_eq!("10.0.0.0/8".parse::<Target>()?.to_string(), "10.0.0.0/8");
/// assert_eq!("country DE".parse::<Target>()?.to_string(), "country DE");
/// assert_eq!("asn 64496".parse::<Target>()?.to_string(), "asn 64496");
/// # Ok::<(), guardian_ipaccess::InvalidTarget>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Target {
    /// A network, or a single address.
    Network(IpNet),
    /// A range of addresses. It counts as the networks that it is made of.
    Range(AddressRange),
    /// The addresses that an autonomous system announces.
    Asn(u32),
    /// The addresses of a country.
    Country(Country),
    /// The addresses of the countries of a [`Region`](crate::Region), by its name.
    Region(String),
    /// The addresses behind which clients hide.
    Anonymizer(Anonymizer),
}

/// A text that is no [`Target`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// Something like an address, but none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No country.
    #[error(transparent)]
    Country(#[from] crate::InvalidCountry),
    /// No number of an autonomous system: 1 to 4,294,967,295.
    #[error("`{input}` is no number of an autonomous system")]
    Asn {
        /// What was given.
        input: String,
    },
    /// No anonymiser.
    #[error(
        "`{input}` is no anonymiser; there are any, vpn, tor, hosting, public_proxy and residential_proxy"
    )]
    Anonymizer {
        /// What was given.
        input: String,
    },
    /// A name of a region that cannot be one.
    #[error("`{input}` is no name of a region: letters, digits, `-` and `_`, at most 64")]
    Region {
        /// What was given.
        input: String,
    },
}

impl Target {
    /// Whether an address is what decides, rather than what is known about it.
    #[must_use]
    pub fn is_address(&self) -> bool {
        matches!(self, Self::Network(_) | Self::Range(_))
    }

    /// Whether it is about this address. Geography is not asked: for anything but networks and ranges it is `false`.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match self {
            Self::Network(net) => net.contains(&address.to_canonical()),
            Self::Range(range) => range.contains(address),
            _ => false,
        }
    }

    /// The networks of an address target.
    pub(crate) fn networks(&self) -> impl Iterator<Item = IpNet> + use<> {
        let (one, many) = match self {
            Self::Network(net) => (Some(unmapped(net.trunc())), None),
            Self::Range(range) => (None, Some(range.networks())),
            _ => (None, None),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(input: &str) -> Result<Self, InvalidTarget> {
        let Some((kind, rest)) = input.trim().split_once(char::is_whitespace) else {
            let input = input.trim();
            if let Some(number) = input.strip_prefix("AS").filter(|rest| !rest.is_empty()) {
                return asn(number);
            }
            return Ok(match input.contains('-') {
                true => Self::Range(input.parse()?),
                false => Self::Network(parse_network(input)?),
            });
        };
        let rest = rest.trim();
        match kind {
            "asn" => asn(rest),
            "country" => Ok(Self::Country(rest.parse()?)),
            "region" if is_name(rest) => Ok(Self::Region(rest.to_owned())),
            "region" => Err(InvalidTarget::Region { input: guardian_core::shorten(rest) }),
            "anonymizer" => {
                let found = Anonymizer::ALL.iter().find(|(_, name)| *name == rest);
                let found =
                    found.ok_or_else(|| InvalidTarget::Anonymizer { input: guardian_core::shorten(rest) });
                found.map(|(anonymizer, _)| Self::Anonymizer(*anonymizer))
            }
            // A range may have blanks around its dash.
            _ => Ok(Self::Range(input.parse()?)),
        }
    }
}

fn asn(input: &str) -> Result<Target, InvalidTarget> {
    let number = input.bytes().all(|byte| byte.is_ascii_digit()).then(|| input.parse().ok()).flatten();
    number
        .filter(|number| *number > 0)
        .map(Target::Asn)
        .ok_or_else(|| InvalidTarget::Asn { input: guardian_core::shorten(input) })
}

pub(crate) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(net) if net.prefix_len() == net.max_prefix_len() => write!(f, "{}", net.addr()),
            Self::Network(net) => write!(f, "{net}"),
            Self::Range(range) => write!(f, "{range}"),
            Self::Asn(number) => write!(f, "asn {number}"),
            Self::Country(country) => write!(f, "country {country}"),
            Self::Region(name) => write!(f, "region {name}"),
            Self::Anonymizer(anonymizer) => write!(f, "anonymizer {anonymizer}"),
        }
    }
}

impl TryFrom<String> for Target {
    type Error = InvalidTarget;

    fn try_from(input: String) -> Result<Self, InvalidTarget> {
        input.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

/// For whom a rule holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Applies {
    /// Every request of the tenant.
    #[default]
    Everyone,
    /// Requests of a user.
    User(String),
    /// Requests of whoever has a role.
    Role(String),
    /// Requests with an API key.
    ApiKey(String),
    /// Requests to a path and all below it: `/admin` is about `/admin` and `/admin/users`, not about `/administrators`.
    Route(String),
}

impl Applies {
    fn is_about(&self, request: &AccessRequest<'_>) -> bool {
        match self {
            Self::Everyone => true,
            Self::User(user) => request.user == Some(user.as_str()),
            Self::Role(role) => request.roles.contains(&role.as_str()),
            Self::ApiKey(key) => request.api_key == Some(key.as_str()),
            Self::Route(path) => request.route.is_some_and(|route| {
                let below = route.strip_prefix(path.trim_end_matches('/'));
                below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }),
        }
    }
}

/// One rule of an [`AccessPolicy`](crate::AccessPolicy).
///
/// ```
/// use guardian_ipaccess::{AccessPolicy, Applies, Effect, Rule};
///
/// let rule = Rule::new(Effect::Allow, "192.0.2.0/24".parse()?).labelled("office").for_whom(Applies::Role("admin".into()));
/// assert_eq!(rule.to_string(), "allow 192.0.2.0/24 for role admin # office");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rule {
    /// Its number; given by the policy when the rule is added.
    #[serde(default = "unnumbered")]
    pub id: RuleId,
    /// What it says.
    pub effect: Effect,
    /// About which addresses.
    pub target: Target,
    /// For whom.
    #[serde(default, skip_serializing_if = "is_default")]
    pub applies: Applies,
    /// What it is for, in words.
    #[serde(default, skip_serializing_if = "is_default")]
    pub label: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub owner: String,
    /// From this time on it does not hold any more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub expires: Option<Timestamp>,
    /// When in the week it holds; `None`: always.
    #[serde(default, skip_serializing_if = "is_default")]
    pub schedule: Option<Schedule>,
}

fn unnumbered() -> RuleId {
    RuleId::new(0)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Rule {
    /// A rule for everyone, for good.
    #[must_use]
    pub fn new(effect: Effect, target: Target) -> Self {
        Self {
            id: unnumbered(),
            effect,
            target,
            applies: Applies::Everyone,
            label: String::new(),
            owner: String::new(),
            expires: None,
            schedule: None,
        }
    }

    /// The same with words about what it is for.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same with somebody who answers for it.
    #[must_use]
    pub fn owned_by(mut self, owner: impl Into<String>) -> Self {
        self.owner = owner.into();
        self
    }

    /// The same for some requests only.
    #[must_use]
    pub fn for_whom(mut self, applies: Applies) -> Self {
        self.applies = applies;
        self
    }

    /// The same until a time.
    #[must_use]
    pub fn until(mut self, expires: Timestamp) -> Self {
        self.expires = Some(expires);
        self
    }

    /// The same at some hours only.
    #[must_use]
    pub fn during(mut self, schedule: Schedule) -> Self {
        self.schedule = Some(schedule);
        self
    }

    /// Whether it holds for every request at every time.
    pub(crate) fn is_unconditional(&self) -> bool {
        self.applies == Applies::Everyone && self.expires.is_none() && self.schedule.is_none()
    }

    /// Why it does not hold for a request, apart from the address.
    #[must_use]
    pub fn idle(&self, request: &AccessRequest<'_>) -> Option<Idle> {
        if self.expires.is_some_and(|expires| request.at >= expires) {
            Some(Idle::Expired)
        } else if !self.applies.is_about(request) {
            Some(Idle::ForOthers)
        } else if self.schedule.is_some_and(|schedule| !schedule.is_open(request.at)) {
            Some(Idle::Closed)
        } else {
            None
        }
    }
}

/// Why a rule about an address does not hold for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Idle {
    /// It has expired.
    Expired,
    /// It is for other users, roles, keys or routes.
    ForOthers,
    /// It does not hold at this hour.
    Closed,
}
