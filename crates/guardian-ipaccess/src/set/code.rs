//! What an index says of an address, in 32 bits.

use crate::{Effect, RuleId};

/// Nothing, a rule, or a chain of rules that hold for some requests only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(u32);

const CHAIN: u32 = 1 << 31;
const DENY: u32 = RuleId::END;

/// What a code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    Rule(Effect, RuleId),
    Chain(u32),
}

impl Code {
    pub(super) const NOTHING: Self = Self(u32::MAX);

    /// A rule by its number, which a policy keeps below [`RuleId::END`]: so no table of rules need be read to name it.
    pub(super) fn rule(effect: Effect, id: RuleId) -> Self {
        Self(id.number() & (DENY - 1) | if effect == Effect::Deny { DENY } else { 0 })
    }

    /// The chain in this place; there are fewer than 2³⁰.
    pub(super) fn chain(place: u32) -> Self {
        Self(place & (DENY - 1) | CHAIN)
    }

    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    #[inline]
    pub(super) fn said(self) -> Said {
        let place = self.0 & (DENY - 1);
        if self == Self::NOTHING {
            Said::Nothing
        } else if self.0 & CHAIN != 0 {
            Said::Chain(place)
        } else {
            let effect = if self.0 & DENY == 0 { Effect::Allow } else { Effect::Deny };
            Said::Rule(effect, RuleId::new(place))
        }
    }
}
