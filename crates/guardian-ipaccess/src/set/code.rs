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

    /// The chain, if it is one.
    #[inline]
    pub(super) fn as_chain(self) -> Option<u32> {
        // One comparison, as nothing is the highest.
        (self.0.wrapping_sub(CHAIN) < Self::NOTHING.0 - CHAIN).then_some(self.0 & (DENY - 1))
    }

    /// The rule and what it says, of a code that names one; of any other something without a meaning.
    #[inline]
    pub(super) fn rule_or_any(self) -> (Effect, RuleId) {
        let effect = if self.0 & DENY == 0 { Effect::Allow } else { Effect::Deny };
        (effect, RuleId::new(self.0 & (DENY - 1)))
    }

    #[inline]
    pub(super) fn said(self) -> Said {
        if self == Self::NOTHING {
            return Said::Nothing;
        }
        self.as_chain().map_or_else(
            || {
                let (effect, id) = self.rule_or_any();
                Said::Rule(effect, id)
            },
            Said::Chain,
        )
    }
}
