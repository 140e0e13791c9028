//! Which rules had a say, and why they did or did not win.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use crate::address::embedded_v4;
use crate::geography::{Anonymizers, Geography, Located, Wanted};
use crate::{AccessRequest, CompiledPolicy, Country, Decision, Idle, OnStale, RuleId, Target};

/// A decision with all rules that are about the address, the winner first. As text it is for people, as JSON for machines.
///
/// ```
/// use guardian_ipaccess::{AccessPolicy, AccessRequest, CompiledPolicy, Defaults, Nowhere};
///
/// let policy = AccessPolicy::parse("allow 192.0.2.0/24 # office\ndeny 192.0.2.66 # printer", Defaults::closed())?;
/// let request = AccessRequest::new("192.0.2.66".parse()?, "2026-03-01T12:00:00Z".parse()?);
/// let explanation = CompiledPolicy::new(policy).explain(&request, &Nowhere);
/// assert_eq!(explanation.to_string(), "\
/// 192.0.2.66: deny by rule #2
///   #2 deny 192.0.2.66 # printer: decides
///   #1 allow 192.0.2.0/24 # office: a longer prefix wins
/// ");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The client's address.
    pub addr: IpAddr,
    /// What was decided.
    pub decision: Decision,
    /// The IPv4 address inside the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedded: Option<IpAddr>,
    /// The country, if rules asked for it and it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// The autonomous system, if rules asked for it and it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// The rules about the address, in the order in which they would win.
    pub rules: Vec<Considered>,
}

/// A rule about the address.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Considered {
    /// Which.
    pub rule: RuleId,
    /// The rule as it is written.
    pub text: String,
    /// The network of it that contains the address, for a rule about addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<IpNet>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fate {
    /// It decides.
    Decides,
    /// A rule about a smaller network wins.
    LongerPrefix,
    /// A rule about the same that denies, or that says the same and came first, wins.
    SameTarget,
    /// A rule about addresses wins over one about geography.
    AddressFirst,
    /// The policy's defaults come first: a database is missing or stale.
    DefaultsFirst,
    /// It is about the IPv4 address inside, which lets nobody in.
    InsideOnly,
    /// It does not hold for this request.
    Idle(Idle),
}

impl CompiledPolicy {
    /// Decides, and says which rules had a say. O(n) of the rules.
    #[must_use]
    pub fn explain(&self, request: &AccessRequest<'_>, geography: &(impl Geography + ?Sized)) -> Explanation {
        let decision = self.decide_in(request, geography);
        let embedded = match request.addr {
            IpAddr::V6(addr) => embedded_v4(addr).map(|(_, inside)| IpAddr::V4(inside)),
            IpAddr::V4(_) => None,
        };
        let wanted = Wanted { country: true, asn: true, anonymizer: true };
        let asked = self.wanted(request);
        let located = geography.look_up(request.addr, request.at, wanted);
        let believes = self.policy().defaults().stale_database == OnStale::Believe;
        let mut rules = self.considered(request, &located, believes, false);
        if let Some(inside) = embedded {
            let request = AccessRequest { addr: inside, ..*request };
            let located = geography.look_up(inside, request.at, wanted);
            rules.extend(self.considered(&request, &located, believes, true));
        }
        self.settle(&decision, &mut rules);
        Explanation {
            addr: request.addr,
            decision,
            embedded,
            country: asked.country.then(|| located.country.believed(believes)).flatten(),
            asn: asked.asn.then(|| located.asn.believed(believes)).flatten(),
            rules: rules.into_iter().map(|(_, considered)| considered).collect(),
        }
    }

    /// The rules about an address in the order in which they would win.
    fn considered(
        &self,
        request: &AccessRequest<'_>,
        located: &Located,
        believes: bool,
        inside: bool,
    ) -> Vec<(bool, Considered)> {
        let country = located.country.believed(believes);
        let asn = located.asn.believed(believes);
        let hides = located.anonymizer.believed(believes).unwrap_or_default();
        let mut found = Vec::new();
        for rule in self.policy().rules() {
            let network = rule
                .target
                .networks()
                .filter(|net| net.contains(&request.addr))
                .max_by_key(IpNet::prefix_len);
            let is_about = network.is_some() || is_meant(self, &rule.target, country, asn, hides);
            if is_about {
                let fate = match rule.idle(request) {
                    Some(idle) => Fate::Idle(idle),
                    None if inside => Fate::InsideOnly,
                    None => Fate::LongerPrefix,
                };
                let text = rule.to_string();
                let allows = rule.effect == crate::Effect::Allow;
                let rank = (network.map_or(-1, |net| i32::from(net.prefix_len())), allows);
                found.push((rank, Considered { rule: rule.id, text, network, fate }));
            }
        }
        // Those that were added first stay in front.
        found.sort_by_key(|((prefix, allows), _)| (std::cmp::Reverse(*prefix), *allows));
        found.into_iter().map(|(_, considered)| (inside, considered)).collect()
    }

    /// Says of each rule what became of it, beside the one that decided.
    fn settle(&self, decision: &Decision, rules: &mut [(bool, Considered)]) {
        let by_inside = matches!(decision.reason(), crate::Reason::Embedded(_));
        let decides = |inside: bool, considered: &Considered| {
            inside == by_inside
                && decision.rule() == Some(considered.rule)
                && !matches!(considered.fate, Fate::Idle(_))
        };
        let winner = rules.iter().find(|(inside, considered)| decides(*inside, considered));
        let winner = winner.map(|(_, considered)| considered.network);
        for (inside, considered) in rules {
            if matches!(considered.fate, Fate::Idle(_)) {
                continue;
            }
            considered.fate = match winner {
                Some(_) if decides(*inside, considered) => Fate::Decides,
                _ if *inside => Fate::InsideOnly,
                None => Fate::DefaultsFirst,
                Some(network) => match (network, considered.network) {
                    (Some(_), None) => Fate::AddressFirst,
                    (Some(winner), Some(own)) if winner.prefix_len() > own.prefix_len() => Fate::LongerPrefix,
                    // Of the winner's network, or about geography like the winner; or the address outside lost to the one inside.
                    _ => Fate::SameTarget,
                },
            };
        }
    }
}

fn is_meant(
    compiled: &CompiledPolicy,
    target: &Target,
    country: Option<Country>,
    asn: Option<u32>,
    hides: Anonymizers,
) -> bool {
    match target {
        Target::Network(_) | Target::Range(_) => false,
        Target::Asn(number) => asn == Some(*number),
        Target::Anonymizer(kind) => hides.has(*kind),
        target => country.is_some_and(|country| compiled.policy().countries_of(target).contains(&country)),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.addr)?;
        if let Some(country) = self.country {
            write!(f, " ({country})")?;
        }
        if let Some(asn) = self.asn {
            write!(f, " (AS{asn})")?;
        }
        writeln!(f, ": {}", self.decision)?;
        if let Some(inside) = self.embedded {
            writeln!(f, "  it carries {inside}")?;
        }
        for Considered { rule, text, fate, .. } in &self.rules {
            writeln!(f, "  {rule} {text}: {fate}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decides => "decides",
            Self::LongerPrefix => "a longer prefix wins",
            Self::SameTarget => "another rule about the same wins",
            Self::AddressFirst => "rules about addresses come first",
            Self::DefaultsFirst => "a default comes first",
            Self::InsideOnly => "it is about the address inside, which lets nobody in",
            Self::Idle(Idle::Expired) => "expired",
            Self::Idle(Idle::ForOthers) => "for others",
            Self::Idle(Idle::Closed) => "not at this hour",
        })
    }
}
