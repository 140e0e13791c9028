//! A short list of networks, read from the shortest prefix to the longest.

use std::hint::select_unpredictable;

use super::code::Code;
use super::family::Bits;
use super::stretches::Claim;

/// So many networks are read through before an index is worth it.
pub(super) const SHORT: usize = 16;

#[derive(Debug)]
pub(super) struct Short<B> {
    networks: Box<[(B, B, Code)]>,
}

impl<B: Bits> Short<B> {
    pub(super) fn new(claims: &mut [Claim<B>]) -> Self {
        claims.sort_unstable_by_key(|claim| claim.prefix);
        let networks = claims.iter().map(|claim| (claim.first, claim.last.minus(claim.first), claim.code));
        Self { networks: networks.collect() }
    }

    /// What is said of an address. O(n), of a short list, which is read to its end: a branch that leaves it early is guessed wrong
    /// more often than not, and costs more than the rest of the list.
    #[inline]
    pub(super) fn find(&self, address: B) -> Code {
        let mut said = Code::NOTHING;
        for (first, size, code) in &self.networks {
            said = select_unpredictable(address.distance(*first) <= *size, *code, said);
        }
        said
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.networks)
    }
}
