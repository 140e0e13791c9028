//! A policy made ready to decide.

mod code;
mod family;
mod geo;
mod prepare;
mod stretches;

use std::hint::select_unpredictable;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::embedded_v4;
use crate::geography::{Geography, Located, Nowhere, Wanted};
use crate::{AccessPolicy, AccessRequest, AddressRange, Decision, Effect, OnStale, Reason, Rule, RuleId};
use code::{Code, Said};
use family::Bits;
use geo::{GeoRules, Known, Trouble};
use prepare::Chain;
use stretches::Stretches;

/// A policy made ready: immutable, to be shared by all requests and swapped as a whole when the policy changes.
///
/// A decision about an address takes some nanoseconds whether there are ten rules or a hundred thousand: the networks become disjoint
/// stretches of addresses behind a table (16 bytes a network and less for IPv4, 40 for IPv6, and 2 for the table; of a short list the
/// table is the larger part, half a kilobyte). Rules that hold for some requests only are chained behind the stretch, innermost network first.
///
/// ```
/// use guardian_ipaccess::{AccessPolicy, AccessRequest, CompiledPolicy, Defaults};
///
/// let policy = AccessPolicy::parse("allow 192.0.2.0/24\ndeny 192.0.2.66", Defaults::closed())?;
/// let compiled = CompiledPolicy::new(policy);
/// let ask = |addr: &str| AccessRequest::new(addr.parse().unwrap(), "2026-03-01T12:00:00Z".parse().unwrap());
/// assert!(compiled.decide(&ask("192.0.2.7")).is_allowed());
/// assert!(compiled.decide(&ask("192.0.2.66")).denies());
/// assert!(compiled.decide(&ask("203.0.113.1")).denies());
/// # Ok::<(), guardian_ipaccess::PolicyError>(())
/// ```
#[derive(Debug)]
pub struct CompiledPolicy {
    policy: AccessPolicy,
    v4: Stretches<u32>,
    v6: Stretches<u128>,
    chains: Box<[Chain]>,
    /// The rules of the chains, each by its place.
    chained: Box<[u32]>,
    geo: GeoRules,
    /// Whether all rules are about addresses.
    is_plain: bool,
    /// What is decided where no rule is about the request.
    no_rule: Decision,
}

/// The rule that decides, and what it says.
type Winner = (Effect, RuleId);

impl CompiledPolicy {
    /// Makes a policy ready. O(n log n) of its rules.
    #[must_use]
    pub fn new(policy: AccessPolicy) -> Self {
        let mut prepared = prepare::prepare(&policy);
        let mut no_rule = Decision::new(policy.defaults.no_rule, Reason::NoRule);
        no_rule.dry_run = policy.dry_run;
        let geo = GeoRules::new(&policy);
        Self {
            is_plain: geo.is_empty(),
            no_rule,
            geo,
            policy,
            v4: Stretches::new(&mut prepared.v4),
            v6: Stretches::new(&mut prepared.v6),
            chains: prepared.chains.into(),
            chained: prepared.chained.into(),
        }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &AccessPolicy {
        &self.policy
    }

    /// How many bytes the indexes of addresses take, without the rules themselves.
    #[must_use]
    pub fn index_bytes(&self) -> usize {
        self.v4.bytes() + self.v6.bytes() + size_of_val(&*self.chains) + size_of_val(&*self.chained)
    }

    /// Decides about a request without a geography database: where rules about addresses do not decide and there are others,
    /// [`no_database`](crate::Defaults::no_database) does.
    #[inline]
    pub fn decide(&self, request: &AccessRequest<'_>) -> Decision {
        self.decide_in(request, &Nowhere)
    }

    /// Decides about a request.
    #[inline]
    pub fn decide_in(&self, request: &AccessRequest<'_>, geography: &(impl Geography + ?Sized)) -> Decision {
        let code = self.code_of(request.addr);
        if self.is_plain && code.as_chain().is_none() && inside(request.addr).is_none() {
            // Nothing here branches on whether there is a rule and what it says, which a processor cannot foresee.
            let (effect, id) = code.rule_or_any();
            let is_ruled = code != Code::NOTHING;
            let effect = select_unpredictable(is_ruled, effect, self.no_rule.effect);
            let reason = if is_ruled { Reason::Rule(id) } else { Reason::NoRule };
            return Decision { effect, reason, dry_run: self.no_rule.dry_run };
        }
        self.decide_by_all(code, request, geography)
    }

    /// What is decided about a client whose address is not known.
    pub fn unparsable(&self) -> Decision {
        let mut decision = Decision::new(self.policy.defaults.unparsable, Reason::Unparsable);
        decision.dry_run = self.policy.dry_run;
        decision
    }

    #[inline(never)]
    fn decide_by_all(
        &self,
        code: Code,
        request: &AccessRequest<'_>,
        geography: &(impl Geography + ?Sized),
    ) -> Decision {
        let mut decision = self.decide_outside(code, request, geography);
        if decision.effect == Effect::Allow
            && let Some(inside) = inside(request.addr)
        {
            let inside = AccessRequest { addr: inside.into(), ..*request };
            if let Some(denied @ (Effect::Deny, _)) = self.winner(&inside, geography) {
                decision = by_rule(denied, Reason::Embedded);
            }
        }
        decision.dry_run = self.policy.dry_run;
        decision
    }

    fn decide_outside(
        &self,
        code: Code,
        request: &AccessRequest<'_>,
        geography: &(impl Geography + ?Sized),
    ) -> Decision {
        if let Some(winner) = self.winner_of(code, request) {
            return by_rule(winner, Reason::Rule);
        }
        if self.geo.is_empty() {
            return self.no_rule;
        }
        self.decide_by_geography(request, geography)
    }

    #[inline]
    fn rule_at(&self, place: u32) -> Option<&Rule> {
        self.policy.rules.get(place as usize)
    }

    #[inline]
    fn code_of(&self, addr: IpAddr) -> Code {
        match addr {
            IpAddr::V4(addr) => self.v4.find(family::v4(addr)),
            IpAddr::V6(addr) => self.code_of_v6(addr),
        }
    }

    /// Apart, so that what is left of a decision is small enough to become a part of its caller.
    #[inline(never)]
    fn code_of_v6(&self, addr: Ipv6Addr) -> Code {
        self.v6.find(family::v6(addr))
    }

    /// The rule about the address that wins, if one is.
    fn winner_of(&self, code: Code, request: &AccessRequest<'_>) -> Option<Winner> {
        match code.said() {
            Said::Nothing => None,
            Said::Rule(effect, id) => Some((effect, id)),
            Said::Chain(chain) => self.along(chain, request),
        }
    }

    /// The first rule of a chain that holds for the request.
    fn along(&self, mut chain: u32, request: &AccessRequest<'_>) -> Option<Winner> {
        // A chain goes on to one of a larger network, of which there are no more than prefixes.
        for _ in 0..=u128::LEN {
            let Chain { from, until, next } = self.chains.get(chain as usize)?;
            for place in self.chained.get(*from as usize..*until as usize)? {
                if let Some(rule) = self.rule_at(*place)
                    && rule.idle(request).is_none()
                {
                    return Some((rule.effect, rule.id));
                }
            }
            match next.said() {
                Said::Nothing => return None,
                Said::Rule(effect, id) => return Some((effect, id)),
                Said::Chain(next) => chain = next,
            }
        }
        None
    }

    /// The rule that wins, of those about addresses and then of the others.
    fn winner(&self, request: &AccessRequest<'_>, geography: &(impl Geography + ?Sized)) -> Option<Winner> {
        self.winner_of(self.code_of(request.addr), request).or_else(|| {
            let wanted = self.wanted(request);
            if wanted.is_nothing() {
                return None;
            }
            let located = geography.look_up(request.addr, request.at, wanted);
            self.geo.winner(&self.policy, request, &self.known(&located))
        })
    }

    fn decide_by_geography(
        &self,
        request: &AccessRequest<'_>,
        geography: &(impl Geography + ?Sized),
    ) -> Decision {
        let defaults = &self.policy.defaults;
        let wanted = self.wanted(request);
        if wanted.is_nothing() {
            return self.no_rule;
        }
        let located = geography.look_up(request.addr, request.at, wanted);
        let known = self.known(&located);
        let winner = self.geo.winner(&self.policy, request, &known);
        if let Some(denied @ (Effect::Deny, _)) = winner {
            return by_rule(denied, Reason::Rule);
        }
        // A rule that would have denied may not have been found.
        if Trouble::Missing.hits(wanted, &located) {
            return Decision::new(defaults.no_database, Reason::NoDatabase);
        }
        let stale = match defaults.stale_database {
            OnStale::Believe => None,
            OnStale::Allow => Some(Effect::Allow),
            OnStale::Deny => Some(Effect::Deny),
        };
        if let Some(effect) = stale
            && Trouble::Stale.hits(wanted, &located)
        {
            return Decision::new(effect, Reason::StaleDatabase);
        }
        match winner {
            Some(allowed) => by_rule(allowed, Reason::Rule),
            None if wanted.country && known.country.is_none() => {
                Decision::new(defaults.unknown_country, Reason::UnknownCountry)
            }
            None => self.no_rule,
        }
    }

    /// What rules that hold for the request ask for.
    #[inline]
    pub(crate) fn wanted(&self, request: &AccessRequest<'_>) -> Wanted {
        self.geo.wanted(&self.policy, request)
    }

    #[inline]
    fn known(&self, located: &Located) -> Known {
        Known::of(located, self.policy.defaults.stale_database == OnStale::Believe)
    }
}

/// The IPv4 address inside an IPv6 address.
#[inline]
fn inside(addr: IpAddr) -> Option<Ipv4Addr> {
    match addr {
        IpAddr::V4(_) => None,
        IpAddr::V6(addr) => embedded_v4(addr).map(|(_, inside)| inside),
    }
}

#[inline]
fn by_rule((effect, id): Winner, reason: impl Fn(RuleId) -> Reason) -> Decision {
    Decision::new(effect, reason(id))
}

/// What rules about addresses say, stretch by stretch, where all of them hold for every request.
pub(crate) fn stretches_of(policy: &AccessPolicy) -> Vec<(AddressRange, Effect)> {
    let mut prepared = prepare::prepare(policy);
    let v4 = Stretches::new(&mut prepared.v4).all().into_iter();
    let v4 = v4.map(|(first, last, code)| (AddressRange::of_v4(first.into(), last.into()), code));
    let v6 = Stretches::new(&mut prepared.v6).all().into_iter();
    let v6 = v6.map(|(first, last, code)| (AddressRange::of_v6(first.into(), last.into()), code));
    let said = |(range, code): (AddressRange, Code)| match code.said() {
        Said::Rule(effect, _) => Some((range, effect)),
        _ => None,
    };
    v4.chain(v6).filter_map(said).collect()
}
