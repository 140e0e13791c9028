//! The terms of events in memory, and where they are: what each event that is recorded looks up some forty times.
//!
//! A look-up is as fast as memory is far. Most terms are of one event and never asked for again (ids, requests); most look-ups
//! are for the few others. These have a table of their own, small enough for a cache, that is asked first; a part of each hash
//! stands beside the number, and a term has its first bytes and its newest places in one line of the cache.

use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

use foldhash::fast::RandomState;

use super::number::{doc, narrow};
use super::part::Span;
use super::postings::Postings;

/// The terms of a part, by text and by number.
#[derive(Debug)]
pub(super) struct Dictionary {
    text: Vec<u8>,
    /// Every term by its number.
    terms: Vec<Term>,
    /// The terms of more than one event.
    common: Vec<Common>,
    commons: Table,
    /// Finds the number of a term. Those that became common stay in it, and are never come to.
    numbers: Table,
    hasher: &'static RandomState,
    /// The terms by their first byte, so that a span looks at those of its kind alone.
    kinds: Vec<Vec<u32>>,
}

/// A term.
#[derive(Debug, Clone, Copy)]
struct Term {
    start: u32,
    /// The place of its one event, or which common term it is.
    place: u32,
    length: u16,
    is_common: bool,
}

/// How many places a term has by itself.
const RECENT: usize = 3;

/// A term of several events; as long as a line of the cache.
#[derive(Debug)]
#[repr(align(64))]
struct Common {
    /// Places, ascending, before the recent ones.
    older: Vec<u32>,
    recent: [u32; RECENT],
    number: u32,
    start: u32,
    length: u16,
    /// How many recent places there are; at least one.
    count: u8,
    ends: Ends,
}

impl Common {
    fn new(number: u32, term: Term, text: &[u8]) -> Self {
        let Term { start, place, length, .. } = term;
        Self {
            older: Vec::new(),
            recent: [place; RECENT],
            number,
            start,
            length,
            count: 1,
            ends: Ends::of(text),
        }
    }

    fn push(&mut self, place: u32) {
        let count = usize::from(self.count);
        if count.checked_sub(1).and_then(|last| self.recent.get(last)) == Some(&place) {
            return;
        }
        match self.recent.get_mut(count) {
            Some(free) => {
                *free = place;
                self.count += 1;
            }
            None => {
                self.older.extend_from_slice(&self.recent);
                (self.recent, self.count) = ([place; RECENT], 1);
            }
        }
    }

    fn recent(&self) -> &[u32] {
        self.recent.get(..usize::from(self.count)).unwrap_or_default()
    }
}

/// Where a term is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'d>(Kind<'d>);

#[derive(Debug, Clone, Copy)]
enum Kind<'d> {
    One(u32),
    Many(&'d Common),
}

impl Places<'_> {
    /// The last place.
    pub(super) fn last(self) -> Option<u32> {
        match self.0 {
            Kind::One(place) => Some(place),
            Kind::Many(common) => common.recent().last().copied(),
        }
    }

    /// Puts all places into a buffer, in their order.
    pub(super) fn into(self, places: &mut Vec<u32>) {
        places.clear();
        match self.0 {
            Kind::One(place) => places.push(place),
            Kind::Many(common) => {
                places.extend_from_slice(&common.older);
                places.extend_from_slice(common.recent());
            }
        }
    }

    pub(super) fn postings(self) -> Postings {
        match self.0 {
            Kind::One(place) => Postings::One(place),
            Kind::Many(common) => match (common.older.as_slice(), common.recent()) {
                ([], [place]) => Postings::One(*place),
                (older, recent) => Postings::Plain([older, recent].concat()),
            },
        }
    }
}

/// The first bytes of a text and its last ones: two texts of one length up to [`Ends::WHOLE`] with the same are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends(u64, u64);

impl Ends {
    const WHOLE: usize = 16;

    fn of(text: &[u8]) -> Self {
        if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            return Self(u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        }
        if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            return Self(u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into());
        }
        Self(text.iter().fold(0, |bytes, byte| bytes << 8 | u64::from(*byte)), 0)
    }
}

/// Numbers by hashes: an open table with linear probing. What is in it stays.
#[derive(Debug, Default)]
struct Table {
    /// The hash and the number in one; none has all bits set. As many as a power of two.
    slots: Vec<u64>,
    used: usize,
}

const FREE: u64 = u64::MAX;

/// So many of eight slots are used at most.
const FILL: usize = 5;

impl Table {
    fn with_room(numbers: usize) -> Self {
        let mut table = Self::default();
        if numbers > 0 {
            table.slots = vec![FREE; (numbers * 8 / FILL + 1).next_power_of_two()];
        }
        table
    }

    /// The number of this hash for which `is` holds, or the free slot where it would be.
    fn find(&self, hash: u32, mut is: impl FnMut(u32) -> bool) -> Result<u32, usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = narrow(hash) & mask;
        loop {
            let slot = self.slots.get(at).copied().unwrap_or(FREE);
            if slot == FREE {
                return Err(at);
            }
            let number = u32::try_from(slot & 0xffff_ffff).unwrap_or_default();
            if slot >> 32 == u64::from(hash) && is(number) {
                return Ok(number);
            }
            at = (at + 1) & mask;
        }
    }

    /// The first slot that is looked at for a hash.
    fn first(&self, hash: u32) -> u64 {
        self.slots.get(narrow(hash) & self.slots.len().wrapping_sub(1)).copied().unwrap_or(FREE)
    }

    /// Puts a number into the free slot that [`Self::find`] gave.
    fn put(&mut self, at: usize, hash: u32, number: u32) {
        let slot = u64::from(hash) << 32 | u64::from(number);
        if (self.used + 1) * 8 > self.slots.len() * FILL {
            self.grow();
            self.put_anew(slot);
        } else if let Some(free) = self.slots.get_mut(at) {
            *free = slot;
        }
        self.used += 1;
    }

    fn grow(&mut self) {
        let longer = vec![FREE; (self.slots.len() * 2).max(16)];
        for slot in std::mem::replace(&mut self.slots, longer) {
            if slot != FREE {
                self.put_anew(slot);
            }
        }
    }

    fn put_anew(&mut self, slot: u64) {
        let hash = u32::try_from(slot >> 32).unwrap_or_default();
        if let Err(at) = self.find(hash, |_| false)
            && let Some(free) = self.slots.get_mut(at)
        {
            *free = slot;
        }
    }
}

/// How terms are hashed: by secrets of this process.
fn hasher() -> &'static RandomState {
    static HASHER: OnceLock<RandomState> = OnceLock::new();
    HASHER.get_or_init(RandomState::default)
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            terms: Vec::new(),
            common: Vec::new(),
            commons: Table::default(),
            numbers: Table::default(),
            hasher: hasher(),
            kinds: Vec::new(),
        }
    }
}

impl Dictionary {
    /// An empty one with room for as much as another has.
    pub(super) fn like(other: &Self) -> Self {
        Self {
            text: Vec::with_capacity(other.text.len()),
            terms: Vec::with_capacity(other.terms.len()),
            common: Vec::with_capacity(other.common.len()),
            commons: Table::with_room(other.common.len()),
            numbers: Table::with_room(other.terms.len()),
            hasher: hasher(),
            kinds: other.kinds.iter().map(|kind| Vec::with_capacity(kind.len())).collect(),
        }
    }

    /// How many terms there are.
    pub(super) fn len(&self) -> usize {
        self.terms.len()
    }

    /// How many bytes their texts take.
    pub(super) fn size(&self) -> usize {
        self.text.len()
    }

    fn hash(&self, term: &[u8]) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(term);
        let hash = hasher.finish();
        u32::try_from((hash >> 32) ^ (hash & 0xffff_ffff)).unwrap_or_default()
    }

    fn text(&self, start: u32, length: u16) -> &[u8] {
        let start = narrow(start);
        self.text.get(start..start + usize::from(length)).unwrap_or_default()
    }

    /// Looks for a common term of this hash.
    fn look(&self, term: &[u8], hash: u32) -> Result<u32, usize> {
        let ends = Ends::of(term);
        self.commons.find(hash, |at| {
            self.common.get(narrow(at)).is_some_and(|known| {
                known.ends == ends
                    && usize::from(known.length) == term.len()
                    && (term.len() <= Ends::WHOLE || self.text(known.start, known.length) == term)
            })
        })
    }

    /// Hashes the terms of an event, and has what they are found by brought near: all of it at once, and not one after the other
    /// as each is needed.
    pub(super) fn prepare<'t>(&self, terms: impl Iterator<Item = &'t [u8]>, hashes: &mut Vec<u32>) {
        hashes.clear();
        hashes.extend(terms.map(|term| self.hash(term)));
        let slots = hashes.iter().map(|hash| self.commons.first(*hash) ^ self.numbers.first(*hash));
        let mut seen = slots.fold(0, |seen, slot| seen ^ slot);
        for hash in &*hashes {
            let slot = self.commons.first(*hash);
            if slot >> 32 == u64::from(*hash) {
                let at = usize::try_from(slot & 0xffff_ffff).unwrap_or(usize::MAX);
                seen ^= self.common.get(at).map_or(0, |common| u64::from(common.number));
            }
        }
        std::hint::black_box(seen);
    }

    /// Looks for the number of a term of this hash.
    fn number(&self, term: &[u8], hash: u32) -> Result<u32, usize> {
        self.numbers.find(hash, |number| {
            self.terms.get(narrow(number)).is_some_and(|known| self.text(known.start, known.length) == term)
        })
    }

    fn places(&self, term: &Term) -> Option<Places<'_>> {
        Some(Places(match term.is_common {
            true => Kind::Many(self.common.get(narrow(term.place))?),
            false => Kind::One(term.place),
        }))
    }

    /// The places of a term.
    pub(super) fn find(&self, term: &[u8]) -> Option<Places<'_>> {
        let number = self.number(term, self.hash(term)).ok()?;
        self.places(self.terms.get(narrow(number))?)
    }

    /// Adds a place to a term of this hash; the term's number.
    pub(super) fn add(&mut self, term: &[u8], hash: u32, place: u32) -> u32 {
        let free = match self.look(term, hash) {
            Ok(at) => {
                let Some(known) = self.common.get_mut(narrow(at)) else { return 0 };
                known.push(place);
                return known.number;
            }
            Err(free) => free,
        };
        match self.number(term, hash) {
            Ok(number) => {
                let at = doc(self.common.len());
                if let Some(known) = self.terms.get_mut(narrow(number))
                    && known.place != place
                {
                    let mut common = Common::new(number, *known, term);
                    common.push(place);
                    (known.place, known.is_common) = (at, true);
                    self.common.push(common);
                    self.commons.put(free, hash, at);
                }
                number
            }
            Err(free) => self.add_new(term, hash, place, free),
        }
    }

    fn add_new(&mut self, term: &[u8], hash: u32, place: u32, free: usize) -> u32 {
        let number = doc(self.terms.len());
        self.numbers.put(free, hash, number);
        let length = u16::try_from(term.len()).unwrap_or(u16::MAX);
        self.terms.push(Term { start: doc(self.text.len()), place, length, is_common: false });
        self.text.extend_from_slice(term);
        let kind = usize::from(term.first().copied().unwrap_or_default());
        if self.kinds.len() <= kind {
            self.kinds.resize_with(kind + 1, Vec::new);
        }
        if let Some(kind) = self.kinds.get_mut(kind) {
            kind.push(number);
        }
        number
    }

    /// The terms of a span with their numbers.
    pub(super) fn within<'a>(&'a self, span: &'a Span) -> impl Iterator<Item = (u32, &'a [u8], Places<'a>)> {
        let kind = span.from.first().map(|kind| usize::from(*kind));
        let numbers: &[u32] =
            kind.and_then(|kind| self.kinds.get(kind)).map(Vec::as_slice).unwrap_or_default();
        numbers.iter().filter_map(|number| {
            let term = self.terms.get(narrow(*number))?;
            let text = self.text(term.start, term.length);
            if !span.has(text) {
                return None;
            }
            Some((*number, text, self.places(term)?))
        })
    }

    /// The terms with their numbers, in the order of their bytes.
    pub(super) fn sorted(&self) -> Vec<(u32, &[u8], Places<'_>)> {
        let numbered = (0..).zip(&self.terms);
        let mut sorted: Vec<_> = numbered
            .filter_map(|(number, term)| {
                Some((number, self.text(term.start, term.length), self.places(term)?))
            })
            .collect();
        sorted.sort_unstable_by(|a, b| a.1.cmp(b.1));
        sorted
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_dictionary_is_a_map_of_lists(
            events in prop::collection::vec(prop::collection::vec("[ab]{0,2}|w[a-f]{14,20}", 0..6), 0..120),
        ) {
            let mut dictionary = Dictionary::default();
            let mut wanted: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
            for (place, terms) in (0..).zip(&events) {
                let mut hashes = Vec::new();
                dictionary.prepare(terms.iter().map(String::as_bytes), &mut hashes);
                for (term, hash) in terms.iter().zip(hashes) {
                    dictionary.add(term.as_bytes(), hash, place);
                    let places = wanted.entry(term.clone().into_bytes()).or_default();
                    if places.last() != Some(&place) {
                        places.push(place);
                    }
                }
            }
            let mut places = Vec::new();
            let mut found = BTreeMap::new();
            for (number, text, term) in dictionary.sorted() {
                term.into(&mut places);
                prop_assert_eq!(term.last(), places.last().copied());
                prop_assert_eq!(dictionary.number(text, dictionary.hash(text)), Ok(number));
                prop_assert_eq!(dictionary.find(text).and_then(Places::last), places.last().copied());
                let mut given = Vec::new();
                term.postings().for_each(|place| given.push(place));
                prop_assert_eq!(&given, &places);
                found.insert(text.to_vec(), places.clone());
            }
            prop_assert_eq!(&found, &wanted);
            prop_assert!(dictionary.find(b"none").is_none());
            let again = Dictionary::like(&dictionary);
            prop_assert!(again.find(b"a").is_none() && again.len() == 0);
        }
    }
}
