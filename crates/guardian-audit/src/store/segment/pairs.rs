//! Which frequent words follow each other anywhere in a block.
//!
//! A phrase of which one word is rare is held against few events. One of frequent words alone would be held against all that
//! have them, to find nothing where no two of its words ever stand side by side: that is what these pairs tell at once.

use foldhash::{HashSet, HashSetExt as _};

use super::number::{Input, narrow, put, wide};

/// Words of so many events in a block are frequent. Files are written by it: another number needs another magic.
pub(super) const FREQUENT: u64 = 1_024;

/// Of more pairs than this none are kept, and nothing is known.
const MOST: usize = 1 << 20;

/// Gathers the pairs of a block that is written.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// By the number of the word, less one.
    frequent: Vec<bool>,
    seen: HashSet<u64>,
    are_too_many: bool,
}

impl Gathered {
    /// The next word of the block, which so many events have.
    pub(super) fn term(&mut self, events: usize) {
        self.frequent.push(wide(events) >= FREQUENT);
    }

    /// One word follows another in an event; 0 is none.
    pub(super) fn pair(&mut self, first: u32, second: u32) {
        if !self.are_too_many && self.is_frequent(first) && self.is_frequent(second) {
            self.seen.insert(key(first, second));
            if self.seen.len() > MOST {
                (self.seen, self.are_too_many) = (HashSet::new(), true);
            }
        }
    }

    fn is_frequent(&self, word: u32) -> bool {
        let place = word.checked_sub(1).map(narrow);
        place.and_then(|place| self.frequent.get(place)).copied().unwrap_or(false)
    }

    /// How many there are, then each as what it is above the one before it; nothing where they are too many.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.are_too_many {
            return bytes;
        }
        let mut keys: Vec<u64> = self.seen.into_iter().collect();
        keys.sort_unstable();
        put(&mut bytes, wide(keys.len()));
        let mut last = 0;
        for key in keys {
            put(&mut bytes, key - last);
            last = key;
        }
        bytes
    }
}

/// The pairs of a block that is read; nothing where nothing is known.
#[derive(Debug)]
pub(super) struct Pairs(Option<Vec<u64>>);

impl Pairs {
    /// Reads what [`Gathered::into_bytes`] wrote; `None` when the bytes are something else.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self(None));
        }
        let mut input = Input(bytes);
        let count = input.size().filter(|count| *count <= MOST)?;
        let (mut keys, mut last) = (Vec::with_capacity(count.min(bytes.len())), 0_u64);
        for _ in 0..count {
            last = last.checked_add(input.number()?)?;
            keys.push(last);
        }
        input.0.is_empty().then_some(Self(Some(keys)))
    }

    /// Whether one may follow the other, both being frequent.
    pub(super) fn may_have(&self, first: u32, second: u32) -> bool {
        self.0.as_ref().is_none_or(|keys| keys.binary_search(&key(first, second)).is_ok())
    }
}

fn key(first: u32, second: u32) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gathered(events: &[u16], pairs: &[(u32, u32)]) -> Gathered {
        let mut gathered = Gathered::default();
        events.iter().for_each(|events| gathered.term((*events).into()));
        pairs.iter().for_each(|(first, second)| gathered.pair(*first, *second));
        gathered
    }

    proptest! {
        #[test]
        fn what_was_gathered_is_read(
            events in prop::collection::vec(1_000_u16..1_050, 0..40),
            pairs in prop::collection::vec((0_u32..45, 0_u32..45), 0..200),
        ) {
            let read = Pairs::read(&gathered(&events, &pairs).into_bytes()).unwrap();
            let is_frequent = |word: u32| {
                word.checked_sub(1).and_then(|at| events.get(at as usize)).is_some_and(|events| *events >= 1_024)
            };
            for first in 0..45 {
                for second in 0..45 {
                    let stands = is_frequent(first) && is_frequent(second) && pairs.contains(&(first, second));
                    prop_assert_eq!(read.may_have(first, second), stands);
                }
            }
        }

        #[test]
        fn any_bytes_are_pairs_or_none(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Pairs::read(&bytes);
        }
    }

    #[test]
    fn too_many_are_none_at_all() {
        let mut gathered = gathered(&[2_000; 1_100], &[]);
        (1..=1_100).for_each(|first| (1..=1_000).for_each(|second| gathered.pair(first, second)));
        let read = Pairs::read(&gathered.into_bytes()).unwrap();
        assert!(read.may_have(1, 1_050), "nothing is known");
    }
}
