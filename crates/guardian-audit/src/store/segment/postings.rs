//! The events with a term, as a list of places: read backwards, newest first.
//!
//! Encoded, a list is one of
//!
//! ```text
//! 0 | count | blocks × (last u32, end u32) | deltas     blocks of 128 places, each delta LEB128
//! 1 | bits                                               one bit for each place, when more than 1 in 16 has the term
//! ```
//!
//! The pairs in front of the deltas are the skips: a place is found by them without decoding what lies between.

use super::number::{Input, doc, narrow, put, wide};

const BLOCK: usize = 128;
const SPARSE: u8 = 0;
const DENSE: u8 = 1;

/// Encodes ascending places of a part of `length` events.
pub(super) fn encode(out: &mut Vec<u8>, places: &[u32], length: u32) {
    if places.len() * 16 > narrow(length) {
        out.push(DENSE);
        let start = out.len();
        out.resize(start + Bits::words_for(length) * 8, 0);
        for place in places {
            if let Some(byte) = out.get_mut(start + narrow(*place) / 8) {
                *byte |= 1 << (place % 8);
            }
        }
        return;
    }
    out.push(SPARSE);
    put(out, wide(places.len()));
    let mut deltas = Vec::with_capacity(places.len() * 2);
    let mut last = 0;
    for block in places.chunks(BLOCK) {
        for place in block {
            put(&mut deltas, u64::from(place - last));
            last = *place;
        }
        out.extend_from_slice(&last.to_le_bytes());
        out.extend_from_slice(&doc(deltas.len()).to_le_bytes());
    }
    out.extend_from_slice(&deltas);
}

/// A list of places, ready to be read.
#[derive(Debug, Clone)]
pub(super) enum Postings {
    /// One place: most terms have no more.
    One(u32),
    /// Ascending places in memory.
    Plain(Vec<u32>),
    /// Encoded with skips.
    Sparse(Sparse),
    /// One bit for each place.
    Dense(Bits),
}

/// Blocks of encoded places.
#[derive(Debug, Clone)]
pub(super) struct Sparse {
    bytes: Vec<u8>,
    count: u32,
    /// Where the skips begin in `bytes`, how many there are, and where the deltas begin.
    skips: usize,
    blocks: usize,
    deltas: usize,
}

impl Sparse {
    fn skip(&self, block: usize) -> Option<(u32, usize)> {
        let at = self.skips + block * 8;
        let mut input = Input(self.bytes.get(at..at + 8)?);
        let last = u32::from_le_bytes(input.array()?);
        Some((last, narrow(u32::from_le_bytes(input.array()?))))
    }

    /// The first block whose last place is at or above the place: the one that has the place, if any has.
    fn block_of(&self, place: u32) -> usize {
        let (mut low, mut high) = (0, self.blocks);
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.skip(middle) {
                Some((last, _)) if last < place => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// The places of a block; none where the bytes are damaged.
    fn decode(&self, block: usize, places: &mut Vec<u32>) {
        places.clear();
        let (mut last, start) = match block.checked_sub(1) {
            Some(before) => self.skip(before).unwrap_or_default(),
            None => (0, 0),
        };
        let Some((_, end)) = self.skip(block) else { return };
        let Some(bytes) = self.bytes.get(self.deltas + start..self.deltas + end) else { return };
        let mut input = Input(bytes);
        while let Some(delta) = input.small() {
            let Some(place) = last.checked_add(delta) else { return };
            last = place;
            places.push(last);
        }
    }
}

impl Postings {
    /// Reads an encoded list of a part of `length` events; `None` when the bytes are not one.
    pub(super) fn read(bytes: Vec<u8>, length: u32) -> Option<Self> {
        let mut input = Input(&bytes);
        match input.array()? {
            [DENSE] => Some(Self::Dense(Bits::from_bytes(input.0, length)?)),
            [SPARSE] => {
                let count = input.small()?;
                let blocks = narrow(count).div_ceil(BLOCK);
                let skips = bytes.len() - input.0.len();
                let deltas = skips.checked_add(blocks.checked_mul(8)?)?;
                (deltas <= bytes.len()).then_some(Self::Sparse(Sparse {
                    count,
                    skips,
                    blocks,
                    deltas,
                    bytes,
                }))
            }
            _ => None,
        }
    }

    /// How many places.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Plain(places) => wide(places.len()),
            Self::Sparse(sparse) => u64::from(sparse.count),
            Self::Dense(bits) => bits.count(),
        }
    }

    /// Gives each place to `each`, in ascending order.
    pub(super) fn for_each(&self, mut each: impl FnMut(u32)) {
        match self {
            Self::One(place) => each(*place),
            Self::Plain(places) => places.iter().copied().for_each(each),
            Self::Sparse(sparse) => {
                let mut places = Vec::with_capacity(BLOCK);
                for block in 0..sparse.blocks {
                    sparse.decode(block, &mut places);
                    places.iter().copied().for_each(&mut each);
                }
            }
            Self::Dense(bits) => bits.for_each(each),
        }
    }

    /// A reader that goes backwards.
    pub(super) fn backwards(self) -> Backwards {
        Backwards { postings: self, block: usize::MAX, places: Vec::new(), end: usize::MAX }
    }
}

impl Backwards {
    /// The whole list as bits, if that is what it is read from.
    pub(super) fn into_bits(self) -> Result<Bits, Self> {
        match self.postings {
            Postings::Dense(bits) => Ok(bits),
            _ => Err(self),
        }
    }
}

/// Reads a list from its end.
#[derive(Debug)]
pub(super) struct Backwards {
    postings: Postings,
    /// The block that is decoded in `places`.
    block: usize,
    places: Vec<u32>,
    /// Where the places begin, of those that are in memory, that were above what was asked for last.
    end: usize,
}

impl Backwards {
    /// The last place at or before `at_most`.
    pub(super) fn seek(&mut self, at_most: u32) -> Option<u32> {
        match &self.postings {
            Postings::One(place) => Some(*place).filter(|place| *place <= at_most),
            Postings::Plain(places) => last_up_to(places, &mut self.end, at_most),
            Postings::Dense(bits) => bits.last_up_to(at_most),
            Postings::Sparse(sparse) => {
                let within = self.places.first().is_some_and(|first| *first <= at_most)
                    && self.places.last().is_some_and(|last| *last >= at_most);
                if !within {
                    let block = sparse.block_of(at_most).min(sparse.blocks.saturating_sub(1));
                    if block != self.block {
                        sparse.decode(block, &mut self.places);
                        (self.block, self.end) = (block, self.places.len());
                    }
                    if self.places.first().is_none_or(|first| *first > at_most) {
                        // Between two blocks: the last place of the one before.
                        let before = block.checked_sub(1)?;
                        return sparse.skip(before).map(|(last, _)| last);
                    }
                }
                last_up_to(&self.places, &mut self.end, at_most)
            }
        }
    }
}

/// The last place at or before `at_most`. Who goes backwards finds it near the one that was found last: it is looked for from there, in
/// steps that double.
fn last_up_to(places: &[u32], end: &mut usize, at_most: u32) -> Option<u32> {
    if places.get(*end).is_none_or(|place| *place <= at_most) {
        *end = places.len();
    }
    let (mut high, mut step) = (*end, 1);
    let mut low = loop {
        match high.checked_sub(step) {
            Some(before) if places.get(before).is_some_and(|place| *place > at_most) => {
                (high, step) = (before, step * 2);
            }
            before => break before.unwrap_or(0),
        }
    };
    // All below `low` are at most the place, unless it is 0, and all from `high` on are above.
    while low < high {
        let middle = usize::midpoint(low, high);
        match places.get(middle) {
            Some(place) if *place <= at_most => low = middle + 1,
            _ => high = middle,
        }
    }
    *end = high;
    places.get(high.checked_sub(1)?).copied()
}

/// A set of places as bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
    length: u32,
}

impl Bits {
    fn words_for(length: u32) -> usize {
        narrow(length).div_ceil(64)
    }

    pub(super) fn none(length: u32) -> Self {
        Self { words: vec![0; Self::words_for(length)], length }
    }

    pub(super) fn all(length: u32) -> Self {
        let mut bits = Self { words: vec![u64::MAX; Self::words_for(length)], length };
        bits.trim();
        bits
    }

    /// Takes away bits beyond the length.
    fn trim(&mut self) {
        let used = self.length % 64;
        if let (1.., Some(last)) = (used, self.words.last_mut()) {
            *last &= (1 << used) - 1;
        }
    }

    pub(super) fn from_bytes(bytes: &[u8], length: u32) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        if words.len() != Self::words_for(length) || !rest.is_empty() {
            return None;
        }
        let mut bits = Self { words: words.iter().map(|word| u64::from_le_bytes(*word)).collect(), length };
        bits.trim();
        Some(bits)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(super) fn set(&mut self, place: u32) {
        if place < self.length
            && let Some(word) = self.words.get_mut(narrow(place / 64))
        {
            *word |= 1 << (place % 64);
        }
    }

    pub(super) fn has(&self, place: u32) -> bool {
        self.words.get(narrow(place / 64)).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Sets the places of a list.
    pub(super) fn add(&mut self, postings: &Postings) {
        match postings {
            Postings::Dense(other) => self.or(other),
            other => other.for_each(|place| self.set(place)),
        }
    }

    pub(super) fn and(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    pub(super) fn or(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Takes the places of the other set away.
    pub(super) fn minus(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    pub(super) fn negate(&mut self) {
        self.words.iter_mut().for_each(|word| *word = !*word);
        self.trim();
    }

    /// Keeps the places from `from` up to, and not with, `to`.
    pub(super) fn keep(&mut self, from: u32, to: u32) {
        for (word, start) in self.words.iter_mut().zip((0..).step_by(64)) {
            *word &= window(start, from, to);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// How many places from `from` up to, and not with, `to`.
    pub(super) fn count_between(&self, from: u32, to: u32) -> u64 {
        let words = self.words.iter().zip((0..).step_by(64));
        let first = narrow(from / 64);
        let last = narrow(to.div_ceil(64)).max(first);
        let words = words.skip(first).take(last - first);
        words.map(|(word, start)| u64::from((word & window(start, from, to)).count_ones())).sum()
    }

    /// How many places of the list are in the set.
    pub(super) fn count_common(&self, postings: &Postings) -> u64 {
        match postings {
            Postings::Dense(other) => {
                let pairs = self.words.iter().zip(&other.words);
                pairs.map(|(word, other)| u64::from((word & other).count_ones())).sum()
            }
            other => {
                let mut count = 0;
                other.for_each(|place| count += u64::from(self.has(place)));
                count
            }
        }
    }

    pub(super) fn last_up_to(&self, at_most: u32) -> Option<u32> {
        let at_most = at_most.min(self.length.checked_sub(1)?);
        let mut index = narrow(at_most / 64);
        let mut word = self.words.get(index)? & (u64::MAX >> (63 - at_most % 64));
        loop {
            if word != 0 {
                return Some(doc(index) * 64 + word.ilog2());
            }
            index = index.checked_sub(1)?;
            word = *self.words.get(index)?;
        }
    }

    pub(super) fn for_each(&self, mut each: impl FnMut(u32)) {
        for (word, start) in self.words.iter().zip((0_u32..).step_by(64)) {
            let mut word = *word;
            while word != 0 {
                each(start + word.trailing_zeros());
                word &= word - 1;
            }
        }
    }
}

/// The bits of the word that begins at `start` which lie between `from` and, not included, `to`.
fn window(start: u32, from: u32, to: u32) -> u64 {
    let below = |bound: u32| match bound.saturating_sub(start) {
        bits @ 0..=63 => (1_u64 << bits) - 1,
        _ => u64::MAX,
    };
    below(to) & !below(from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(places: &[u32], length: u32) {
        let mut bytes = Vec::new();
        encode(&mut bytes, places, length);
        let list = Postings::read(bytes, length).unwrap();
        assert_eq!(list.count(), wide(places.len()));
        let mut found = Vec::new();
        list.for_each(|place| found.push(place));
        assert_eq!(found, places);
        let mut bits = Bits::none(length);
        bits.add(&list);
        assert_eq!(bits.count(), wide(places.len()));
        let mut reader = list.clone().backwards();
        let mut at = length;
        let mut found = Vec::new();
        while let Some(place) = reader.seek(at) {
            found.push(place);
            let Some(next) = place.checked_sub(1) else { break };
            at = next;
        }
        found.reverse();
        assert_eq!(found, places);
        for at in (0..length).step_by(37) {
            let wanted = places.iter().rev().find(|place| **place <= at).copied();
            assert_eq!(list.clone().backwards().seek(at), wanted);
            assert_eq!(bits.last_up_to(at), wanted);
            let between = places.iter().filter(|place| (at / 2..at).contains(place)).count();
            assert_eq!(bits.count_between(at / 2, at), wide(between));
        }
    }

    proptest! {
        #[test]
        fn lists_read_as_they_were_written(
            places in proptest::collection::btree_set(0_u32..5_000, 0..700),
            length in 5_000_u32..40_000,
        ) {
            check(&places.into_iter().collect::<Vec<_>>(), length);
        }

        #[test]
        fn any_bytes_are_a_list_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..300), at: u32) {
            if let Some(list) = Postings::read(bytes, 1_000) {
                list.for_each(|_| ());
                list.backwards().seek(at);
            }
        }
    }

    #[test]
    fn windows_cut_at_any_bit() {
        let mut bits = Bits::all(200);
        bits.keep(3, 130);
        assert_eq!((bits.count(), bits.last_up_to(199)), (127, Some(129)));
        bits.negate();
        assert_eq!((bits.count(), bits.has(130), bits.has(129), bits.has(200)), (73, true, false, false));
    }
}
