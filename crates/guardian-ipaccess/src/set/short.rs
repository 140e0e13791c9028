//! A short list of networks, read from the longest prefix to the shortest.

use super::code::Code;
use super::family::Bits;
use super::stretches::Claim;

/// So many networks are read through before an index is worth it.
pub(super) const SHORT: usize = 24;

#[derive(Debug)]
pub(super) struct Short<B> {
    networks: Box<[(B, B, Code)]>,
}

impl<B: Bits> Short<B> {
    pub(super) fn new(claims: &mut [Claim<B>]) -> Self {
        claims.sort_unstable_by_key(|claim| std::cmp::Reverse(claim.prefix));
        let networks = claims.iter().map(|claim| (claim.first, claim.last.minus(claim.first), claim.code));
        Self { networks: networks.collect() }
    }

    /// What is said of an address. O(n), of a short list.
    #[inline]
    pub(super) fn find(&self, address: B) -> Code {
        let contains = |first: B, size: B| address >= first && address.minus(first) <= size;
        let found = self.networks.iter().find(|(first, size, _)| contains(*first, *size));
        found.map_or(Code::NOTHING, |(_, _, code)| *code)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.networks)
    }
}
