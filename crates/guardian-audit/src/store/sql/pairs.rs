//! Which words of an event follow each other, in few enough bits to be read with its place: the index knows that words are there, not
//! in which order.

use crate::terms::WORD;

/// How many bits each pair of words sets. An event of eight pairs then seems to have one of two hundred others.
const BITS: usize = 3;

/// The pairs of an event or of a phrase, laid over each other in 128 bits ("superimposed coding", Knuth, The Art of Computer Programming,
/// volume 3, section 6.5). Whatever has a pair has its bits; what has its bits need not have it, so texts are still looked at. They are
/// stored: the bits of a pair must stay the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pairs {
    pub(super) low: i64,
    pub(super) high: i64,
}

impl Pairs {
    /// Those of a text of tokens, a space between two: an event's, or a phrase's without a last word that is only a beginning.
    pub(super) fn of(tokens: &str) -> Self {
        let mut bits = 0_u128;
        let mut before: Option<usize> = None;
        let mut start = 0;
        for token in tokens.split(' ') {
            let end = start + token.len();
            let is_word = token.starts_with(WORD);
            if let Some(first) = before.filter(|_| is_word) {
                bits |= bits_of(tokens.get(first..end).unwrap_or_default());
            }
            before = is_word.then_some(start);
            start = end + 1;
        }
        Self { low: half(bits), high: half(bits >> 64) }
    }

    /// Both of them.
    pub(super) fn with(self, other: Self) -> Self {
        Self { low: self.low | other.low, high: self.high | other.high }
    }
}

fn bits_of(pair: &str) -> u128 {
    let hash = crc32fast::hash(pair.as_bytes());
    (0..BITS).fold(0, |bits, at| bits | 1 << (hash >> (7 * at) & 127))
}

fn half(bits: u128) -> i64 {
    bits.to_le_bytes().first_chunk().map_or(0, |half| i64::from_le_bytes(*half))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn has(event: Pairs, phrase: Pairs) -> bool {
        event.low & phrase.low == phrase.low && event.high & phrase.high == phrase.high
    }

    proptest! {
        #[test]
        fn whatever_has_a_phrase_has_its_bits(
            before in prop::collection::vec("[ow]?[a-z_0-9]{1,6}", 0..20), phrase in prop::collection::vec("w[a-z_0-9]{1,6}", 1..6), after in prop::collection::vec("[ow]?[a-z_0-9]{1,6}", 0..20),
        ) {
            let event = [before, phrase.clone(), after].concat().join(" ");
            prop_assert!(has(Pairs::of(&event), Pairs::of(&phrase.join(" "))), "{event}");
        }
    }

    #[test]
    fn only_words_that_follow_each_other_set_bits() {
        for none in ["", "wa", "wa - wb", "-a wa ob wb", "ta wb"] {
            assert_eq!(Pairs::of(none), Pairs::default(), "{none}");
        }
        let both = Pairs::of("-a wa wb wc on");
        assert_eq!(both, Pairs::of("wa wb").with(Pairs::of("wb wc")));
        assert_ne!(Pairs::of("wa wb"), Pairs::of("wb wa"));
    }

    #[test]
    fn the_bits_are_those_that_are_stored() {
        assert_eq!(
            Pairs::of("wrenewal wacme"),
            Pairs { low: 1_073_741_824, high: 1_152_923_703_630_102_528 }
        );
    }

    #[test]
    fn few_events_seem_to_have_a_pair_that_they_do_not_have() {
        let word = |number: u32| format!("w{:x}", number.wrapping_mul(0x9e37_79b9));
        let phrase = Pairs::of("wnot wthere");
        let seem = (0..10_000_u32).filter(|event| {
            let words: Vec<_> = (0..9).map(|at| word(event * 9 + at)).collect();
            has(Pairs::of(&words.join(" ")), phrase)
        });
        let seem = seem.count();
        assert!(seem < 100, "{seem}");
    }
}
