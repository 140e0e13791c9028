//! Rules about what is known of an address.

use foldhash::HashMap;

use super::Winner;
use super::code::{Code, Said};
use crate::geography::{Anonymizers, Finding, Located, Wanted};
use crate::rule::Anonymizer;
use crate::{AccessPolicy, AccessRequest, Country, Effect, Rule, Target};

/// Rules about countries, autonomous systems and anonymisers: those that always hold in tables, the others in a list.
#[derive(Debug, Default)]
pub(super) struct GeoRules {
    /// At each country's place the rule that wins.
    countries: Option<Box<[Code]>>,
    asns: HashMap<u32, Code>,
    anonymizers: Option<[Code; Anonymizer::ALL.len()]>,
    /// The places of rules that hold for some requests only.
    sometimes: Vec<u32>,
}

const LETTERS: usize = 26;

fn place_of(country: Country) -> usize {
    let letter = |byte: u8| usize::from(byte.wrapping_sub(b'A')) % LETTERS;
    match *country.as_str().as_bytes() {
        [a, b] => letter(a) * LETTERS + letter(b),
        _ => 0,
    }
}

/// What is believed of an address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) country: Option<Country>,
    asn: Option<u32>,
    anonymizer: Anonymizers,
}

impl Known {
    #[inline]
    pub(super) fn of(located: &Located, stale: bool) -> Self {
        let anonymizer = located.anonymizer.believed(stale).unwrap_or_default();
        Self { country: located.country.believed(stale), asn: located.asn.believed(stale), anonymizer }
    }

    fn is_meant_by(&self, policy: &AccessPolicy, target: &Target) -> bool {
        match target {
            Target::Asn(number) => self.asn == Some(*number),
            Target::Anonymizer(kind) => self.anonymizer.has(*kind),
            _ => self
                .country
                .is_some_and(|country| policy.countries_of(target).binary_search(&country).is_ok()),
        }
    }
}

/// What is the matter with a database.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Trouble {
    Missing,
    Stale,
}

impl Trouble {
    fn is_with<T>(self, finding: &Finding<T>) -> bool {
        match finding {
            Finding::NoDatabase => self == Self::Missing,
            Finding::Stale(_) => self == Self::Stale,
            _ => false,
        }
    }

    /// Whether it is the matter with a database that is wanted.
    pub(super) fn hits(self, wanted: Wanted, located: &Located) -> bool {
        (wanted.country && self.is_with(&located.country))
            || (wanted.asn && self.is_with(&located.asn))
            || (wanted.anonymizer && self.is_with(&located.anonymizer))
    }
}

fn want(wanted: &mut Wanted, target: &Target) {
    match target {
        Target::Asn(_) => wanted.asn = true,
        Target::Anonymizer(_) => wanted.anonymizer = true,
        Target::Country(_) | Target::Region(_) => wanted.country = true,
        Target::Network(_) | Target::Range(_) => {}
    }
}

impl GeoRules {
    pub(super) fn new(policy: &AccessPolicy) -> Self {
        let mut made = Self::default();
        for (rule, place) in policy.rules.iter().zip(0_u32..).filter(|(rule, _)| !rule.target.is_address()) {
            if rule.is_unconditional() {
                made.add(policy, rule, Code::rule(rule.effect, rule.id));
            } else {
                made.sometimes.push(place);
            }
        }
        made
    }

    fn add(&mut self, policy: &AccessPolicy, rule: &Rule, code: Code) {
        match &rule.target {
            Target::Asn(number) => improve(self.asns.entry(*number).or_insert(Code::NOTHING), code),
            Target::Anonymizer(kind) => {
                let table = self.anonymizers.get_or_insert([Code::NOTHING; Anonymizer::ALL.len()]);
                if let Some(entry) = table.get_mut(*kind as usize) {
                    improve(entry, code);
                }
            }
            target => {
                let table = || vec![Code::NOTHING; LETTERS * LETTERS].into();
                let table = self.countries.get_or_insert_with(table);
                for country in policy.countries_of(target) {
                    if let Some(entry) = table.get_mut(place_of(*country)) {
                        improve(entry, code);
                    }
                }
            }
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.countries.is_none()
            && self.asns.is_empty()
            && self.anonymizers.is_none()
            && self.sometimes.is_empty()
    }

    /// What rules that hold for the request ask for.
    #[inline]
    pub(super) fn wanted(&self, policy: &AccessPolicy, request: &AccessRequest<'_>) -> Wanted {
        let mut wanted = Wanted {
            country: self.countries.is_some(),
            asn: !self.asns.is_empty(),
            anonymizer: self.anonymizers.is_some(),
        };
        for rule in self.holding(policy, request) {
            want(&mut wanted, &rule.target);
        }
        wanted
    }

    fn holding<'p>(
        &'p self,
        policy: &'p AccessPolicy,
        request: &'p AccessRequest<'_>,
    ) -> impl Iterator<Item = &'p Rule> {
        let rules = self.sometimes.iter().filter_map(|place| policy.rules.get(*place as usize));
        rules.filter(|rule| rule.idle(request).is_none())
    }

    /// The rule that wins: one that denies, else one that allows, of each sort the first.
    #[inline]
    pub(super) fn winner(
        &self,
        policy: &AccessPolicy,
        request: &AccessRequest<'_>,
        known: &Known,
    ) -> Option<Winner> {
        let mut best = Code::NOTHING;
        let of_country = known.country.and_then(|country| self.countries.as_ref()?.get(place_of(country)));
        let of_asn = known.asn.and_then(|asn| self.asns.get(&asn));
        for code in of_country.into_iter().chain(of_asn) {
            improve(&mut best, *code);
        }
        for (code, (kind, _)) in self.anonymizers.iter().flatten().zip(Anonymizer::ALL) {
            if known.anonymizer.has(kind) {
                improve(&mut best, *code);
            }
        }
        for rule in self.holding(policy, request) {
            if known.is_meant_by(policy, &rule.target) {
                improve(&mut best, Code::rule(rule.effect, rule.id));
            }
        }
        match best.said() {
            Said::Rule(effect, id) => Some((effect, id)),
            _ => None,
        }
    }
}

/// Takes the better of two rules: deny beats allow, then the first one.
#[inline]
fn improve(best: &mut Code, code: Code) {
    let rank = |code: Code| match code.said() {
        Said::Rule(Effect::Deny, id) => (0, id.number()),
        Said::Rule(Effect::Allow, id) => (1, id.number()),
        _ => (2, 0),
    };
    if rank(code) < rank(*best) {
        *best = code;
    }
}
