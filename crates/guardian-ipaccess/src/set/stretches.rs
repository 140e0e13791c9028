//! All addresses of a family, cut into stretches of which each has one answer.

use super::code::Code;
use super::family::Bits;

/// A network, and what it says where no smaller network says otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim<B> {
    pub(super) first: B,
    pub(super) last: B,
    pub(super) prefix: u8,
    pub(super) code: Code,
}

/// Disjoint stretches in their order, found through a table of where they begin.
///
/// Looking an address up is one step into the table and a search among the few stretches that begin in the same part of the
/// space. The parts divide evenly what lies between the second boundary and the last, so rules about one corner of the space are
/// spread as well as others; if all crowd in one part the search is the logarithm of their number.
///
/// The search has no branch that depends on the address, or one that nearly always goes the same way: half of all guesses would be
/// wrong, and a wrong guess costs more than the look-up.
#[derive(Debug)]
pub(super) struct Stretches<B: Bits> {
    /// The first begins at the lowest address. Behind the last are [`NEXT`] that say the same, so that there is always a next one.
    stretches: Box<[B::Stretch]>,
    /// For each part how many stretches behind the first begin before it, and at last how many there are behind the first: so the
    /// place of the stretch that a part begins in, and in the next entry of the one that it ends in.
    before: Box<[u32]>,
    low: B,
    shift: u32,
    /// So many halvings find one stretch among those of any part.
    halvings: u32,
}

/// So many stretches begin in a part of a long list, were they spread evenly.
const PER_PART: usize = 4;
/// So many parts has a short list for each stretch, until there are [`FEW_PARTS`].
const PARTS_PER: usize = 4;
const FEW_PARTS: usize = 128;
/// So many wide stretches are read through.
const FEW: usize = 8;
/// So many narrow stretches behind the first of a part are looked at together: they are a cache line, and few parts have more.
const NEXT: usize = 8;
/// Where no part has more stretches than so many halvings find, these are sooner done.
const FEW_HALVINGS: u32 = 2;

impl<B: Bits> Stretches<B> {
    /// From networks in any order. Of equal networks only one may be there. O(n log n).
    pub(super) fn new(claims: &mut [Claim<B>]) -> Self {
        Self::index(cut(claims))
    }

    fn index(mut stretches: Vec<B::Stretch>) -> Self {
        // The first begins where the space does and says nothing about where rules are.
        let starts = || stretches.iter().skip(1).map(B::start);
        let low = starts().next().unwrap_or_default();
        let high = starts().last().unwrap_or_default();
        let count = stretches.len();
        let parts = (count / PER_PART).max((count * PARTS_PER).min(FEW_PARTS)).next_power_of_two();
        let shift = high.minus(low).bits_used().saturating_sub(parts.ilog2());
        let mut before = vec![0_u32; parts + 1];
        for start in starts() {
            let part = part_of(start, low, shift, parts);
            if let Some(after) = before.get_mut(part + 1) {
                *after += 1;
            }
        }
        let most = before.iter().max().map_or(0, |most| *most);
        let mut sum = 0;
        for count in &mut before {
            sum += *count;
            *count = sum;
        }
        let halvings = u32::BITS - most.leading_zeros();
        if let Some(last) = stretches.last().map(B::code) {
            stretches.extend(std::iter::repeat_n(B::MAX.stretch(last), NEXT));
        }
        Self { stretches: stretches.into(), before: before.into(), low, shift, halvings }
    }

    /// What is said of an address. O(1) where rules are spread evenly, O(log n) always.
    #[inline]
    pub(super) fn find(&self, address: B) -> Code {
        let part = part_of(address, self.low, self.shift, self.before.len() - 1);
        if !B::IS_WIDE
            && self.halvings > FEW_HALVINGS
            && let Some(code) = self.among_the_next(part, address)
        {
            return code;
        }
        let bounds = self.before.get(part).zip(self.before.get(part + 1));
        let (first, last) = bounds.map_or((0, 0), |(first, last)| (*first as usize, *last as usize));
        // The stretch that began last is this one or one of so many behind it.
        let (mut place, mut behind) = (first, last.saturating_sub(first));
        if B::IS_WIDE && behind <= FEW {
            // These lie on several cache lines, which are fetched side by side where they are all looked at.
            let here = self.stretches.get(first + 1..=last).unwrap_or_default();
            place += here.iter().map(|stretch| address.if_reaches(B::start(stretch), 1)).sum::<usize>();
            behind = 0;
        }
        let halvings = if behind == 0 { 0 } else { self.halvings };
        for _ in 0..halvings {
            let half = behind - behind / 2;
            let start = self.stretches.get(place + half).map_or(B::MAX, B::start);
            place += address.if_reaches(start, half);
            behind -= half;
        }
        self.stretches.get(place).map_or(Code::NOTHING, |stretch| Code::from_bits(B::code(stretch)))
    }

    /// What is said of an address, if its stretch is one of the first few of the part. They are compared side by side: nothing waits for
    /// where the last comparison led.
    #[inline]
    fn among_the_next(&self, part: usize, address: B) -> Option<Code> {
        let here = self.stretches.get(*self.before.get(part)? as usize..)?.first_chunk::<{ NEXT + 1 }>()?;
        let [_, next @ .., beyond] = here;
        if B::start(beyond) <= address {
            return None;
        }
        let place = next.iter().map(|stretch| address.if_reaches(B::start(stretch), 1)).sum::<usize>();
        here.get(place).map(|stretch| Code::from_bits(B::code(stretch)))
    }

    /// All stretches: from where to where, and what is said there.
    pub(super) fn all(&self) -> Vec<(B, B, Code)> {
        let stretches = self.stretches.get(..self.stretches.len().saturating_sub(NEXT)).unwrap_or_default();
        let ends = stretches.iter().skip(1).map(|next| B::start(next).before()).chain([B::MAX]);
        let stretches = stretches.iter().zip(ends);
        stretches.map(|(stretch, end)| (B::start(stretch), end, Code::from_bits(B::code(stretch)))).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.stretches) + size_of_val(&*self.before)
    }
}

#[inline]
fn part_of<B: Bits>(address: B, low: B, shift: u32, parts: usize) -> usize {
    address.minus(low).shifted(shift).min(parts - 1)
}

/// Cuts the space at every edge of a network. Neighbours that say the same become one.
fn cut<B: Bits>(claims: &mut [Claim<B>]) -> Vec<B::Stretch> {
    // A network comes after those that contain it.
    claims.sort_unstable_by_key(|claim| (claim.first, claim.prefix));
    let mut stretches = Made { stretches: Vec::with_capacity(claims.len() * 2 + 1) };
    stretches.begin(B::default(), Code::NOTHING);
    // The networks around the place that the sweep is at, the innermost last.
    let mut around: Vec<(B, Code)> = Vec::new();
    for claim in claims.iter() {
        leave(&mut around, &mut stretches, |last| last < claim.first);
        around.push((claim.last, claim.code));
        stretches.begin(claim.first, claim.code);
    }
    leave(&mut around, &mut stretches, |_| true);
    stretches.stretches
}

/// Leaves the networks that end, and goes on with what is around them.
fn leave<B: Bits>(around: &mut Vec<(B, Code)>, stretches: &mut Made<B>, ends: impl Fn(B) -> bool) {
    while let Some((last, _)) = around.pop_if(|(last, _)| ends(*last)) {
        let outer = around.last().map_or(Code::NOTHING, |(_, code)| *code);
        if let Some(next) = last.next() {
            stretches.begin(next, outer);
        }
    }
}

struct Made<B: Bits> {
    stretches: Vec<B::Stretch>,
}

impl<B: Bits> Made<B> {
    /// From here on this is said.
    fn begin(&mut self, start: B, code: Code) {
        if self.stretches.last().is_some_and(|last| B::start(last) == start) {
            self.stretches.pop();
        }
        if self.stretches.last().is_none_or(|last| B::code(last) != code.bits()) {
            self.stretches.push(start.stretch(code.bits()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Effect, RuleId};

    /// Lists whose boundaries come one for one, some to a part or all in one, up to the highest address: each edge, and what is on both
    /// of its sides, is found where the list says.
    #[test]
    fn every_edge_is_found_however_dense_it_is_there() {
        let mut ways = [0_usize; 3];
        for (count, step) in [(1, 1), (2, 7), (9, 1), (40, 3), (300, 1), (300, 1 << 20), (5_000, 1 << 18)] {
            for end in [u32::MAX, u32::MAX - 1, 1 << 31] {
                let mut claims: Vec<_> = (0..count)
                    .filter_map(|number: u32| {
                        // Every tenth is far from the others, so that most crowd in few parts.
                        let apart =
                            number.checked_mul(step)?.checked_mul(if number % 10 == 9 { 97 } else { 2 })?;
                        let first = end.checked_sub(apart)?;
                        let code = Code::rule(Effect::Deny, RuleId::new(number));
                        Some(Claim { first, last: first, prefix: 32, code })
                    })
                    .collect();
                claims.sort_by_key(|claim| claim.first);
                claims.dedup_by_key(|claim| claim.first);
                let said = claims.clone();
                let index = Stretches::new(&mut claims);
                for claim in &said {
                    for address in [claim.first.saturating_sub(1), claim.first, claim.first.saturating_add(1)]
                    {
                        let found = said.binary_search_by_key(&address, |claim| claim.first);
                        let expected =
                            found.ok().and_then(|at| said.get(at)).map_or(Code::NOTHING, |c| c.code);
                        assert_eq!(index.find(address), expected, "{address} of {count} by {step}");
                        let part = part_of(address, index.low, index.shift, index.before.len() - 1);
                        let way = match index.among_the_next(part, address) {
                            _ if index.halvings <= FEW_HALVINGS => 0,
                            Some(_) => 1,
                            None => 2,
                        };
                        if let Some(count) = ways.get_mut(way) {
                            *count += 1;
                        }
                    }
                }
                let all = index.all();
                assert_eq!(all.first().map(|stretch| stretch.0), Some(0));
                assert_eq!(all.last().map(|stretch| stretch.1), Some(u32::MAX));
            }
        }
        // Each way to find one was gone.
        assert!(ways.iter().all(|count| *count > 100), "{ways:?}");
    }
}
