use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use memchr::memmem;

use super::file::Stretch;
use super::number::put;
use super::postings::{Bits, Postings};

/// A run of a tenant's events with its own index: one that is being written, or one in a file. A place is a sequence
/// less the base.
pub(super) trait Part {
    /// The sequence of the first event.
    fn base(&self) -> u64;

    /// How many events.
    fn length(&self) -> u32;

    /// The places of a term.
    fn postings(&self, term: &[u8]) -> io::Result<Option<Postings>>;

    /// Each term of the span with its places; not always in order.
    fn each_term(&self, span: &Span, each: &mut dyn FnMut(&[u8], Postings)) -> io::Result<()>;

    /// The numbers that the terms of a span have in [`Self::words`].
    fn word_numbers(&self, span: &Span) -> io::Result<Numbers>;

    /// Puts the numbers of the words of an event into the scratch, in the order of its text; 0 between two texts.
    fn words(&self, place: u32, scratch: &mut Scratch) -> io::Result<()>;

    /// Whether the word with one number may follow that with another in any event, both being [frequent](super::pairs::FREQUENT).
    fn may_follow(&self, _first: u32, _second: u32) -> io::Result<bool> {
        Ok(true)
    }

    /// Whether words of the phrase follow each other in the text of the event.
    fn has_phrase(&self, place: u32, phrase: &Phrase, scratch: &mut Scratch) -> io::Result<bool> {
        self.words(place, scratch)?;
        Ok(phrase.is_in(&scratch.words))
    }

    /// When the event was recorded. Never less than that of the place before.
    fn recorded(&self, place: u32) -> io::Result<i64>;

    /// When the event occurred.
    fn occurred(&self, place: u32, scratch: &mut Scratch) -> io::Result<i64>;

    /// The least and the most that events of the part were recorded after they occurred, in microseconds.
    fn lag(&self) -> (i64, i64);

    /// The body; `None` when it was dropped.
    fn body(&self, place: u32) -> io::Result<Option<Vec<u8>>>;

    /// When the event was recorded, and its body; for who reads many, one after the other.
    fn read(&self, place: u32, _: &mut Scratch) -> io::Result<(i64, Option<Vec<u8>>)> {
        Ok((self.recorded(place)?, self.body(place)?))
    }

    /// The leaf hashes from a place on.
    fn leaves(&self, from: u32, count: u32) -> io::Result<Vec<[u8; 32]>>;

    /// The places whose bodies were dropped, if any were.
    fn dropped(&self) -> Option<Arc<Bits>>;

    /// The first place that was recorded at or after the time.
    fn place_at(&self, micros: i64) -> io::Result<u32> {
        let (mut low, mut high) = (0, self.length());
        while low < high {
            let middle = u32::midpoint(low, high);
            match self.recorded(middle)? < micros {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        Ok(low)
    }
}

/// What a search that goes through a part backwards keeps of what it read.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The numbers of the words of the event that was asked for last.
    pub(super) words: Vec<u32>,
    pub(super) stretches: [Stretch; 6],
}

/// Terms from one on, up to and not with another; in the order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Vec<u8>,
    /// No end when there is none.
    pub(super) to: Option<Vec<u8>>,
}

impl Span {
    /// The one term.
    pub(super) fn term(term: &str) -> Self {
        Self::range(term, term)
    }

    /// The terms that begin so.
    pub(super) fn prefix(start: &str) -> Self {
        let from = start.as_bytes().to_vec();
        let mut to = from.clone();
        // The next text that does not begin so: terms are UTF-8, so no byte of them is 0xff.
        if let Some(last) = to.last_mut() {
            *last += 1;
        }
        Self { to: (!to.is_empty()).then_some(to), from }
    }

    /// The terms from one to another, both included.
    pub(super) fn range(from: &str, to: &str) -> Self {
        let mut end = to.as_bytes().to_vec();
        end.push(0);
        Self { from: from.as_bytes().to_vec(), to: Some(end) }
    }

    pub(super) fn has(&self, term: &[u8]) -> bool {
        term >= self.from.as_slice() && !self.is_before(term)
    }

    /// Whether the span ends before the term.
    pub(super) fn is_before(&self, term: &[u8]) -> bool {
        self.to.as_deref().is_some_and(|to| term >= to)
    }
}

/// Words that follow each other: for each place, the numbers that a word may have there.
#[derive(Debug)]
pub(super) struct Phrase {
    words: Vec<Numbers>,
    needle: Option<Needle>,
}

impl Phrase {
    pub(super) fn new(words: Vec<Numbers>) -> Self {
        let needle = Needle::of(&words);
        Self { words, needle }
    }

    /// The phrase as bytes, where each of its words is one.
    pub(super) fn needle(&self) -> Option<&Needle> {
        self.needle.as_ref()
    }

    pub(super) fn is_in(&self, text: &[u32]) -> bool {
        let follow = |window: &[u32]| {
            window.iter().zip(&self.words).all(|(word, numbers)| *word != 0 && numbers.has(*word))
        };
        text.windows(self.words.len().max(1)).any(follow)
    }
}

/// The numbers of the words of a phrase as they are written: what holds a phrase against thousands of events need not read their
/// numbers.
#[derive(Debug)]
pub(super) struct Needle(memmem::Finder<'static>);

impl Needle {
    fn of(words: &[Numbers]) -> Option<Self> {
        let mut written = Vec::with_capacity(16);
        for numbers in words {
            put(&mut written, numbers.only()?.into());
        }
        (!written.is_empty()).then(|| Self(memmem::Finder::new(&written).into_owned()))
    }

    /// Whether the phrase is in a text of written numbers.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        let mut start = 0;
        while let Some(at) = text.get(start..).and_then(|rest| self.0.find(rest)) {
            let place = start + at;
            // What comes before the phrase ends a number, or is nothing: the highest bit of its last byte is zero.
            if place.checked_sub(1).and_then(|before| text.get(before)).is_none_or(|byte| *byte < 0x80) {
                return true;
            }
            start = place + 1;
        }
        false
    }
}

/// The numbers of some words.
#[derive(Debug)]
pub(super) enum Numbers {
    /// From one up to, and not with, another.
    Between(u32, u32),
    /// These.
    Among(HashSet<u32>),
}

impl Numbers {
    pub(super) fn has(&self, number: u32) -> bool {
        match self {
            Self::Between(from, to) => (*from..*to).contains(&number),
            Self::Among(numbers) => numbers.contains(&number),
        }
    }

    /// The number, if it is one alone.
    pub(super) fn only(&self) -> Option<u32> {
        match self {
            Self::Between(from, to) if *from > 0 && from.checked_add(1) == Some(*to) => Some(*from),
            _ => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Between(from, to) => from >= to,
            Self::Among(numbers) => numbers.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The bytes of a phrase are in those of a text just when its words follow each other.
        #[test]
        fn a_needle_finds_what_the_words_say(
            text in prop::collection::vec(prop_oneof![0_u32..4, 126_u32..131, 16_383_u32..16_386], 0..20),
            phrase in prop::collection::vec(prop_oneof![1_u32..4, 126_u32..131, 16_383_u32..16_386], 1..6),
            from in 0_usize..20,
            taken in any::<bool>(),
        ) {
            let phrase: Vec<u32> = match taken {
                true => text.iter().skip(from).take(phrase.len()).copied().filter(|word| *word > 0).collect(),
                false => phrase,
            };
            prop_assume!(!phrase.is_empty());
            let phrase = Phrase::new(phrase.iter().map(|word| Numbers::Between(*word, word + 1)).collect());
            let mut written = Vec::new();
            text.iter().for_each(|word| put(&mut written, u64::from(*word)));
            if let Some(needle) = phrase.needle() {
                prop_assert_eq!(needle.is_in(&written), phrase.is_in(&text));
            }
        }
    }
}
