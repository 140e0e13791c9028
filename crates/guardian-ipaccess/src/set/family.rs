//! The two families of addresses, as numbers.

use std::hint::select_unpredictable;
use std::net::{Ipv4Addr, Ipv6Addr};

/// An address of a family as a number, and how an index keeps it.
pub(super) trait Bits: Copy + Ord + Default + std::fmt::Debug {
    const LEN: u8;
    const MAX: Self;
    /// Whether a few stretches are more than a cache line.
    const IS_WIDE: bool;
    /// A boundary between stretches: the words of its first address, then what holds from there on. Words, so that a stretch of an
    /// IPv6 address takes 20 bytes and not 32.
    type Stretch: Copy + std::fmt::Debug;

    fn stretch(self, code: u32) -> Self::Stretch;
    fn start(stretch: &Self::Stretch) -> Self;
    fn code(stretch: &Self::Stretch) -> u32;

    /// The lowest and the highest address of a network.
    fn ends(self, prefix: u8) -> (Self, Self);
    /// The next higher number, unless it is the highest.
    fn next(self) -> Option<Self>;
    /// The next lower number, or the lowest.
    fn before(self) -> Self;
    fn minus(self, other: Self) -> Self;
    /// Its upper bits, behind so many; all of it saturates at the largest `usize`.
    fn shifted(self, by: u32) -> usize;
    fn bits_used(self) -> u32;
    /// So many steps if the number is not below another, else none; without a branch.
    fn if_reaches(self, other: Self, steps: usize) -> usize;
}

impl Bits for u32 {
    const LEN: u8 = 32;
    const MAX: Self = Self::MAX;
    const IS_WIDE: bool = false;
    type Stretch = [u32; 2];

    #[inline]
    fn stretch(self, code: u32) -> [u32; 2] {
        [self, code]
    }

    #[inline]
    fn start(&[start, _]: &[u32; 2]) -> Self {
        start
    }

    #[inline]
    fn code(&[_, code]: &[u32; 2]) -> u32 {
        code
    }

    #[inline]
    fn ends(self, prefix: u8) -> (Self, Self) {
        let host = Self::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
        (self & !host, self | host)
    }

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn before(self) -> Self {
        self.saturating_sub(1)
    }

    #[inline]
    fn minus(self, other: Self) -> Self {
        self.saturating_sub(other)
    }

    #[inline]
    fn shifted(self, by: u32) -> usize {
        self.checked_shr(by).and_then(|bits| usize::try_from(bits).ok()).unwrap_or(0)
    }

    fn bits_used(self) -> u32 {
        Self::BITS - self.leading_zeros()
    }

    #[inline]
    fn if_reaches(self, other: Self, steps: usize) -> usize {
        select_unpredictable(other <= self, steps, 0)
    }
}

impl Bits for u128 {
    const LEN: u8 = 128;
    const MAX: Self = Self::MAX;
    const IS_WIDE: bool = true;
    type Stretch = [u32; 5];

    #[inline]
    fn stretch(self, code: u32) -> [u32; 5] {
        let word = |shift: u32| u32::try_from((self >> shift) & Self::from(u32::MAX)).unwrap_or(0);
        [word(0), word(32), word(64), word(96), code]
    }

    #[inline]
    fn start(&[a, b, c, d, _]: &[u32; 5]) -> Self {
        Self::from(a) | Self::from(b) << 32 | Self::from(c) << 64 | Self::from(d) << 96
    }

    #[inline]
    fn code(&[.., code]: &[u32; 5]) -> u32 {
        code
    }

    #[inline]
    fn ends(self, prefix: u8) -> (Self, Self) {
        let host = Self::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
        (self & !host, self | host)
    }

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn before(self) -> Self {
        self.saturating_sub(1)
    }

    #[inline]
    fn minus(self, other: Self) -> Self {
        self.saturating_sub(other)
    }

    #[inline]
    fn shifted(self, by: u32) -> usize {
        self.checked_shr(by).map_or(0, |bits| usize::try_from(bits).unwrap_or(usize::MAX))
    }

    fn bits_used(self) -> u32 {
        Self::BITS - self.leading_zeros()
    }

    #[inline]
    fn if_reaches(self, other: Self, steps: usize) -> usize {
        // Word by word, as a compiler makes a branch of a comparison of two words at once.
        let high = |number: Self| u64::try_from(number >> 64).unwrap_or(u64::MAX);
        let low = |number: Self| u64::try_from(number & Self::from(u64::MAX)).unwrap_or(u64::MAX);
        let reaches = (high(other) < high(self)) | ((high(other) == high(self)) & (low(other) <= low(self)));
        select_unpredictable(reaches, steps, 0)
    }
}

#[inline]
pub(super) fn v4(address: Ipv4Addr) -> u32 {
    u32::from(address)
}

#[inline]
pub(super) fn v6(address: Ipv6Addr) -> u128 {
    u128::from(address)
}
