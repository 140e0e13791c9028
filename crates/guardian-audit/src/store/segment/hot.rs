use std::hash::{BuildHasher, Hasher};
use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::number::{doc, narrow, wide};
use super::part::{Numbers, Part, Scratch, Span};
use super::postings::{Bits, Postings};
use super::tenant::IdTerm;
use crate::merkle::Hash;
use crate::terms::{Terms, WORD};

/// The newest events of one tenant, indexed in memory until they are sealed into a file.
#[derive(Debug, Default)]
pub(super) struct Hot {
    base: u64,
    recorded: Vec<i64>,
    occurred: Vec<i64>,
    bodies: Vec<u8>,
    /// Where each body ends in `bodies`.
    body_ends: Vec<usize>,
    leaves: Vec<[u8; 32]>,
    dictionary: Dictionary,
    /// The numbers of the words of each event, one more than the place of the term; 0 between two texts.
    words: Vec<u32>,
    /// Where the words of each event end in `words`.
    word_ends: Vec<usize>,
    lag: (i64, i64),
}

/// The terms of the part: texts in one buffer, found by a table of their hashes.
#[derive(Debug)]
struct Dictionary {
    text: Vec<u8>,
    terms: Vec<Term>,
    table: HashTable<Slot>,
    hasher: &'static RandomState,
    /// The terms by their first byte, so that a span looks at those of its kind alone.
    kinds: Vec<Vec<u32>>,
}

/// A term in the table: with its hash, so that neither a term of another hash is visited nor, when the table grows, any.
#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u32,
    number: u32,
}

impl Slot {
    /// The hash as the table wants it, which looks at its highest and at its lowest bits.
    fn wide(self) -> u64 {
        u64::from(self.hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// How terms are hashed: by secrets of this process, the same in all parts, so that an id is hashed once for all of them.
fn hasher() -> &'static RandomState {
    static HASHER: OnceLock<RandomState> = OnceLock::new();
    HASHER.get_or_init(RandomState::default)
}

#[derive(Debug)]
struct Term {
    start: u32,
    length: u16,
    places: Places,
}

/// Most terms have one place.
#[derive(Debug)]
enum Places {
    One(u32),
    Many(Vec<u32>),
}

impl Places {
    fn push(&mut self, place: u32) {
        match self {
            Self::One(first) if *first == place => {}
            Self::One(first) => *self = Self::Many(vec![*first, place]),
            Self::Many(places) => {
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
    }

    fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Many(places) => places,
        }
    }

    fn postings(&self) -> Postings {
        match self {
            Self::One(place) => Postings::One(*place),
            Self::Many(places) => Postings::Plain(places.clone()),
        }
    }
}

impl Dictionary {
    /// An empty one with room for as much as another has.
    fn like(other: &Self) -> Self {
        Self {
            text: Vec::with_capacity(other.text.len()),
            terms: Vec::with_capacity(other.terms.len()),
            table: HashTable::with_capacity(other.terms.len()),
            hasher: hasher(),
            kinds: other.kinds.iter().map(|kind| Vec::with_capacity(kind.len())).collect(),
        }
    }

    fn slot(&self, term: &[u8], number: u32) -> Slot {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(term);
        let hash = hasher.finish();
        Slot { hash: u32::try_from((hash >> 32) ^ (hash & 0xffff_ffff)).unwrap_or_default(), number }
    }

    fn text_of<'t>(text: &'t [u8], term: &Term) -> &'t [u8] {
        let start = narrow(term.start);
        text.get(start..start + usize::from(term.length)).unwrap_or_default()
    }

    fn find(&self, term: &[u8]) -> Option<(u32, &Term)> {
        let wanted = self.slot(term, 0);
        let same = |slot: &Slot| {
            slot.hash == wanted.hash
                && self
                    .terms
                    .get(narrow(slot.number))
                    .is_some_and(|known| Self::text_of(&self.text, known) == term)
        };
        let Slot { number, .. } = *self.table.find(wanted.wide(), same)?;
        Some((number, self.terms.get(narrow(number))?))
    }

    /// Adds a place to a term; the term's number.
    fn add(&mut self, term: &[u8], place: u32) -> u32 {
        let slot = self.slot(term, doc(self.terms.len()));
        let Self { text, terms, table, kinds, .. } = self;
        let same = |known: &Slot| {
            known.hash == slot.hash
                && terms.get(narrow(known.number)).is_some_and(|known| Self::text_of(text, known) == term)
        };
        match table.entry(slot.wide(), same, |slot| slot.wide()) {
            Entry::Occupied(known) => {
                let number = known.get().number;
                if let Some(known) = terms.get_mut(narrow(number)) {
                    known.places.push(place);
                }
                return number;
            }
            Entry::Vacant(free) => {
                free.insert(slot);
            }
        }
        let start = doc(text.len());
        text.extend_from_slice(term);
        terms.push(Term {
            start,
            length: u16::try_from(term.len()).unwrap_or(u16::MAX),
            places: Places::One(place),
        });
        let kind = usize::from(term.first().copied().unwrap_or_default());
        if kinds.len() <= kind {
            kinds.resize_with(kind + 1, Vec::new);
        }
        if let Some(kind) = kinds.get_mut(kind) {
            kind.push(slot.number);
        }
        slot.number
    }

    /// The terms of a span with their numbers.
    fn within<'a>(&'a self, span: &'a Span) -> impl Iterator<Item = (u32, &'a [u8], &'a Term)> {
        let kind = span.from.first().map(|kind| usize::from(*kind));
        let numbers: &[u32] =
            kind.and_then(|kind| self.kinds.get(kind)).map(Vec::as_slice).unwrap_or_default();
        numbers.iter().filter_map(|number| {
            let term = self.terms.get(narrow(*number))?;
            let text = Self::text_of(&self.text, term);
            span.has(text).then_some((*number, text, term))
        })
    }
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            terms: Vec::new(),
            table: HashTable::new(),
            hasher: hasher(),
            kinds: Vec::new(),
        }
    }
}

impl Hot {
    /// An empty part that begins at this sequence.
    pub(super) fn new(base: u64) -> Self {
        Self { base, ..Self::default() }
    }

    /// An empty part that begins where another ends, with room for as much as that has: it will likely get as much, and need
    /// not grow step by step.
    pub(super) fn after(other: &Self) -> Self {
        Self {
            base: other.end(),
            recorded: Vec::with_capacity(other.recorded.len()),
            occurred: Vec::with_capacity(other.occurred.len()),
            bodies: Vec::with_capacity(other.bodies.len()),
            body_ends: Vec::with_capacity(other.body_ends.len()),
            leaves: Vec::with_capacity(other.leaves.len()),
            dictionary: Dictionary::like(&other.dictionary),
            words: Vec::with_capacity(other.words.len()),
            word_ends: Vec::with_capacity(other.word_ends.len()),
            lag: (0, 0),
        }
    }

    /// The last place of an event of this id.
    pub(super) fn place_of_id(&self, id: &IdTerm) -> Option<u32> {
        self.dictionary.find(id.term()).and_then(|(_, term)| term.places.as_slice().last().copied())
    }

    pub(super) fn end(&self) -> u64 {
        self.base + wide(self.recorded.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.recorded.is_empty()
    }

    /// Appends an event.
    pub(super) fn push(&mut self, recorded: i64, occurred: i64, leaf: Hash, body: &[u8], terms: &Terms) {
        let place = doc(self.recorded.len());
        let lag = recorded.saturating_sub(occurred);
        self.lag = match place {
            0 => (lag, lag),
            _ => (self.lag.0.min(lag), self.lag.1.max(lag)),
        };
        self.recorded.push(recorded);
        self.occurred.push(occurred);
        self.bodies.extend_from_slice(body);
        self.body_ends.push(self.bodies.len());
        self.leaves.push(leaf.into());
        for term in terms.iter().map(str::as_bytes) {
            let Some(kind) = term.first() else {
                self.words.push(0);
                continue;
            };
            let number = self.dictionary.add(term, place);
            if char::from(*kind) == WORD {
                self.words.push(number + 1);
            }
        }
        self.word_ends.push(self.words.len());
    }

    /// The terms with their numbers and places, in the order of their bytes.
    pub(super) fn sorted_terms(&self) -> Vec<(u32, &[u8], &[u32])> {
        let Dictionary { text, terms, .. } = &self.dictionary;
        let numbered = (0..).zip(terms);
        let mut sorted: Vec<_> = numbered
            .map(|(number, term)| (number, Dictionary::text_of(text, term), term.places.as_slice()))
            .collect();
        sorted.sort_unstable_by(|a, b| a.1.cmp(b.1));
        sorted
    }

    /// The numbers of the words of an event; 0 between two texts.
    pub(super) fn words_of(&self, place: u32) -> &[u32] {
        self.words.get(range(&self.word_ends, place)).unwrap_or_default()
    }

    /// When an event occurred.
    pub(super) fn occurred_at(&self, place: u32) -> i64 {
        self.occurred.get(narrow(place)).copied().unwrap_or_default()
    }

    /// How many bytes its bodies and terms take.
    pub(super) fn size(&self) -> usize {
        self.bodies.len() + self.dictionary.text.len()
    }

    /// How many terms there are.
    pub(super) fn terms(&self) -> usize {
        self.dictionary.terms.len()
    }
}

/// Where an item lies in a buffer of items with these ends.
fn range(ends: &[usize], place: u32) -> Range<usize> {
    let place = narrow(place);
    let start = place.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or_default();
    start..ends.get(place).copied().unwrap_or(start)
}

/// A place beyond the part, which only a defect asks for.
fn beyond() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the place is beyond the part")
}

impl Part for Hot {
    fn base(&self) -> u64 {
        self.base
    }

    fn length(&self) -> u32 {
        doc(self.recorded.len())
    }

    fn postings(&self, term: &[u8]) -> io::Result<Option<Postings>> {
        Ok(self.dictionary.find(term).map(|(_, term)| term.places.postings()))
    }

    fn each_term(&self, span: &Span, each: &mut dyn FnMut(&[u8], Postings)) -> io::Result<()> {
        for (_, text, term) in self.dictionary.within(span) {
            each(text, term.places.postings());
        }
        Ok(())
    }

    fn word_numbers(&self, span: &Span) -> io::Result<Numbers> {
        Ok(Numbers::Among(self.dictionary.within(span).map(|(number, ..)| number + 1).collect()))
    }

    fn words(&self, place: u32, scratch: &mut Scratch) -> io::Result<()> {
        scratch.words.clear();
        scratch.words.extend_from_slice(self.words_of(place));
        Ok(())
    }

    fn recorded(&self, place: u32) -> io::Result<i64> {
        self.recorded.get(narrow(place)).copied().ok_or_else(beyond)
    }

    fn occurred(&self, place: u32, _: &mut Scratch) -> io::Result<i64> {
        self.occurred.get(narrow(place)).copied().ok_or_else(beyond)
    }

    fn lag(&self) -> (i64, i64) {
        self.lag
    }

    fn body(&self, place: u32) -> io::Result<Option<Vec<u8>>> {
        self.bodies.get(range(&self.body_ends, place)).map(|body| Some(body.to_vec())).ok_or_else(beyond)
    }

    fn leaves(&self, from: u32, count: u32) -> io::Result<Vec<[u8; 32]>> {
        Ok(self.leaves.iter().skip(narrow(from)).take(narrow(count)).copied().collect())
    }

    fn dropped(&self) -> Option<Arc<Bits>> {
        // What is to be dropped is sealed first.
        None
    }
}
