//! Who has heard of an event.

use std::ops::BitOr;

/// Who has heard of an event: a bit each, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard(u8);

impl Heard {
    /// Nobody.
    pub(crate) const NOBODY: Self = Self(0);
    /// The tenant's audit log.
    pub(crate) const LOG: Self = Self(1);
    /// The tenant's webhooks.
    pub(crate) const WEBHOOKS: Self = Self(2);
    /// The tenant's workflows.
    pub(crate) const WORKFLOWS: Self = Self(4);
    /// The host.
    pub(crate) const HOST: Self = Self(8);
    /// The operator's log, which hears of what operators did.
    pub(crate) const OPERATOR: Self = Self(16);

    pub(crate) fn has(self, who: Self) -> bool {
        self.0 & who.0 == who.0
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    /// As it was kept; bits that nobody knows are nobody's.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn from_bits(bits: i64) -> Self {
        Self(u8::try_from(bits & 0xff).unwrap_or_default())
    }
}

impl BitOr for Heard {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
