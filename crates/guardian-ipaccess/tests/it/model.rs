//! What the documentation says, as plainly as it can be written: every rule is looked at for every address.

use std::net::IpAddr;

use guardian_ipaccess::{
    AccessPolicy, AccessRequest, Anonymizers, Effect, Finding, Geography, Located, OnStale, Reason, Region,
    Rule, Target, embedded_v4,
};
use ipnet::IpNet;

/// The decision of the documentation: effect and reason.
pub(crate) fn decide(
    policy: &AccessPolicy,
    request: &AccessRequest<'_>,
    geo: &impl Geography,
) -> (Effect, Reason) {
    let outside = decide_outside(policy, request, geo);
    if outside.0 == Effect::Allow
        && let IpAddr::V6(addr) = request.addr
        && let Some((_, inside)) = embedded_v4(addr)
    {
        let mut inside_request = *request;
        inside_request.addr = inside.into();
        if let Some(rule) = winner(policy, &inside_request, geo)
            && rule.effect == Effect::Deny
        {
            return (Effect::Deny, Reason::Embedded(rule.id));
        }
    }
    outside
}

fn decide_outside(
    policy: &AccessPolicy,
    request: &AccessRequest<'_>,
    geo: &impl Geography,
) -> (Effect, Reason) {
    if let Some(rule) = by_address(policy, request) {
        return (rule.effect, Reason::Rule(rule.id));
    }
    let about = holding(policy, request).filter(|rule| !is_address(&rule.target)).collect::<Vec<_>>();
    let defaults = policy.defaults();
    if about.is_empty() {
        return (defaults.no_rule, Reason::NoRule);
    }
    let located = everything(geo, request);
    let winner = by_geography(policy, request, &located);
    if let Some(rule) = winner
        && rule.effect == Effect::Deny
    {
        return (Effect::Deny, Reason::Rule(rule.id));
    }
    let asked = |rule: &&Rule| match rule.target {
        Target::Asn(_) => state(&located.asn),
        Target::Anonymizer(_) => state(&located.anonymizer),
        _ => state(&located.country),
    };
    if about.iter().any(|rule| asked(rule) == State::Missing) {
        return (defaults.no_database, Reason::NoDatabase);
    }
    if about.iter().any(|rule| asked(rule) == State::Stale) {
        match defaults.stale_database {
            OnStale::Believe => {}
            OnStale::Allow => return (Effect::Allow, Reason::StaleDatabase),
            OnStale::Deny => return (Effect::Deny, Reason::StaleDatabase),
        }
    }
    if let Some(rule) = winner {
        return (rule.effect, Reason::Rule(rule.id));
    }
    let countries = about.iter().any(|rule| matches!(rule.target, Target::Country(_) | Target::Region(_)));
    let stale = defaults.stale_database == OnStale::Believe;
    if countries && value(located.country, stale).is_none() {
        return (defaults.unknown_country, Reason::UnknownCountry);
    }
    (defaults.no_rule, Reason::NoRule)
}

fn winner<'p>(
    policy: &'p AccessPolicy,
    request: &AccessRequest<'_>,
    geo: &impl Geography,
) -> Option<&'p Rule> {
    by_address(policy, request).or_else(|| by_geography(policy, request, &everything(geo, request)))
}

fn everything(geo: &impl Geography, request: &AccessRequest<'_>) -> Located {
    let mut wanted = guardian_ipaccess::Wanted::default();
    (wanted.country, wanted.asn, wanted.anonymizer) = (true, true, true);
    geo.look_up(request.addr, request.at, wanted)
}

fn is_address(target: &Target) -> bool {
    matches!(target, Target::Network(_) | Target::Range(_))
}

fn holding<'p>(policy: &'p AccessPolicy, request: &AccessRequest<'_>) -> impl Iterator<Item = &'p Rule> {
    policy.rules().iter().filter(move |rule| rule.idle(request).is_none())
}

fn by_address<'p>(policy: &'p AccessPolicy, request: &AccessRequest<'_>) -> Option<&'p Rule> {
    let mut best: Option<(u8, &Rule)> = None;
    for rule in holding(policy, request) {
        let nets: Vec<IpNet> = match &rule.target {
            Target::Network(net) => vec![*net],
            Target::Range(range) => range.networks().collect(),
            _ => continue,
        };
        for net in nets.iter().filter(|net| net.contains(&request.addr)) {
            let better = match best {
                None => true,
                Some((prefix, _)) if net.prefix_len() != prefix => net.prefix_len() > prefix,
                Some((_, other)) => rule.effect == Effect::Deny && other.effect == Effect::Allow,
            };
            if better {
                best = Some((net.prefix_len(), rule));
            }
        }
    }
    best.map(|(_, rule)| rule)
}

fn by_geography<'p>(
    policy: &'p AccessPolicy,
    request: &AccessRequest<'_>,
    located: &Located,
) -> Option<&'p Rule> {
    let stale = policy.defaults().stale_database == OnStale::Believe;
    let country = value(located.country, stale);
    let asn = value(located.asn, stale);
    let hides = value(located.anonymizer, stale).unwrap_or(Anonymizers::none());
    let meant = |target: &Target| match target {
        Target::Asn(number) => asn == Some(*number),
        Target::Anonymizer(kind) => hides.has(*kind),
        Target::Country(wanted) => country == Some(*wanted),
        Target::Region(name) => {
            let region = policy.regions().iter().find(|region| region.name() == name);
            country.is_some_and(|country| region.is_some_and(|region: &Region| region.contains(country)))
        }
        _ => false,
    };
    let matching = || holding(policy, request).filter(|rule| meant(&rule.target));
    matching().find(|rule| rule.effect == Effect::Deny).or_else(|| matching().next())
}

#[derive(PartialEq)]
enum State {
    Fine,
    Missing,
    Stale,
}

fn state<T>(finding: &Finding<T>) -> State {
    match finding {
        Finding::Known(_) | Finding::Unknown => State::Fine,
        Finding::Stale(_) => State::Stale,
        Finding::NoDatabase => State::Missing,
    }
}

fn value<T>(finding: Finding<T>, stale: bool) -> Option<T> {
    match finding {
        Finding::Known(value) => Some(value),
        Finding::Stale(value) if stale => value,
        _ => None,
    }
}
