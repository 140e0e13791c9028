use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::dictionary::{Dictionary, Places};
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
    /// Of the terms of one event; kept for the next.
    hashes: Vec<u32>,
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
            hashes: Vec::new(),
        }
    }

    /// The last place of an event of this id.
    pub(super) fn place_of_id(&self, id: &IdTerm) -> Option<u32> {
        self.dictionary.find(id.term()).and_then(Places::last)
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
        self.dictionary.prepare(terms.iter().map(str::as_bytes), &mut self.hashes);
        for (term, hash) in terms.iter().map(str::as_bytes).zip(&self.hashes) {
            let Some(kind) = term.first() else {
                self.words.push(0);
                continue;
            };
            let number = self.dictionary.add(term, *hash, place);
            if char::from(*kind) == WORD {
                self.words.push(number + 1);
            }
        }
        self.word_ends.push(self.words.len());
    }

    /// The terms with their numbers, in the order of their bytes.
    pub(super) fn sorted_terms(&self) -> Vec<(u32, &[u8], Places<'_>)> {
        self.dictionary.sorted()
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
        self.bodies.len() + self.dictionary.size()
    }

    /// How many terms there are.
    pub(super) fn terms(&self) -> usize {
        self.dictionary.len()
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
        Ok(self.dictionary.find(term).map(Places::postings))
    }

    fn each_term(&self, span: &Span, each: &mut dyn FnMut(&[u8], Postings)) -> io::Result<()> {
        for (_, text, term) in self.dictionary.within(span) {
            each(text, term.postings());
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
