//! From rules to networks of which each says one thing.

use super::code::Code;
use super::family::{self, Bits};
use super::stretches::Claim;
use crate::{AccessPolicy, Effect};
use ipnet::IpNet;

/// Rules of one network that hold for some requests only, and what is said if none of them does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    pub(super) from: u32,
    pub(super) until: u32,
    pub(super) next: Code,
}

pub(super) struct Prepared {
    pub(super) v4: Vec<Claim<u32>>,
    pub(super) v6: Vec<Claim<u128>>,
    pub(super) chains: Vec<Chain>,
    pub(super) chained: Vec<u32>,
}

/// A rule about a network. Of one network those come first that win.
struct Entry<B> {
    first: B,
    prefix: u8,
    allows: bool,
    always: bool,
    place: u32,
}

pub(super) fn prepare(policy: &AccessPolicy) -> Prepared {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for (rule, place) in policy.rules.iter().zip(0..) {
        let (allows, always) = (rule.effect == Effect::Allow, rule.is_unconditional());
        for net in rule.target.networks() {
            let prefix = net.prefix_len();
            match net {
                IpNet::V4(net) => {
                    v4.push(Entry { first: family::v4(net.network()), prefix, allows, always, place });
                }
                IpNet::V6(net) => {
                    v6.push(Entry { first: family::v6(net.network()), prefix, allows, always, place });
                }
            }
        }
    }
    let (mut chains, mut chained) = (Vec::new(), Vec::new());
    let v4 = claims(v4, &mut chains, &mut chained);
    let v6 = claims(v6, &mut chains, &mut chained);
    Prepared { v4, v6, chains, chained }
}

/// One claim for each network, those that contain others first.
fn claims<B: Bits>(
    mut entries: Vec<Entry<B>>,
    chains: &mut Vec<Chain>,
    chained: &mut Vec<u32>,
) -> Vec<Claim<B>> {
    // Deny beats allow, and of those that say the same the first is named.
    entries.sort_unstable_by_key(|entry| (entry.first, entry.prefix, entry.allows, entry.place));
    let mut claims: Vec<Claim<B>> = Vec::new();
    let mut around: Vec<(B, Code)> = Vec::new();
    for same in entries.chunk_by(|one, other| one.first == other.first && one.prefix == other.prefix) {
        let Some(Entry { first, prefix, .. }) = same.first() else { continue };
        let (first, last) = first.ends(*prefix);
        while around.pop_if(|(end, _)| *end < first).is_some() {}
        let outer = around.last().map_or(Code::NOTHING, |(_, code)| *code);
        let code = said_by(same, outer, chains, chained);
        around.push((last, code));
        claims.push(Claim { first, last, prefix: *prefix, code });
    }
    claims
}

/// What the rules of one network say; `outer` is what holds where none of them does.
fn said_by<B>(same: &[Entry<B>], outer: Code, chains: &mut Vec<Chain>, chained: &mut Vec<u32>) -> Code {
    let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let effect = |entry: &Entry<B>| if entry.allows { Effect::Allow } else { Effect::Deny };
    // Those behind the first that always holds are never asked. Denials come first.
    let always = same.iter().position(|entry| entry.always);
    let (sometimes, next) = match always.and_then(|at| same.split_at_checked(at)) {
        Some((sometimes, [always, ..])) => (sometimes, Code::rule(always.place, effect(always))),
        _ => (same, outer),
    };
    if sometimes.is_empty() {
        return next;
    }
    let from = number(chained.len());
    chained.extend(sometimes.iter().map(|entry| entry.place));
    chains.push(Chain { from, until: number(chained.len()), next });
    Code::chain(number(chains.len() - 1))
}
