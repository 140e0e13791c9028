//! The sealed events of one tenant within a file: columns, and a dictionary of terms with their places.
//!
//! The dictionary is the terms in the order of their bytes, in groups of 64; each term is written as what it shares with
//! the one before it and the rest (front coding). A term of one event has its place in the dictionary itself. A small
//! index of the first term of each group is kept in memory once the block is asked.

use std::io;
use std::sync::{Arc, OnceLock};

use guardian_core::TenantId;
use parking_lot::RwLock;

use super::file::{Section, Sink, Source, Stretch};
use super::number::{Input, doc, narrow, put, put_bytes, wide};
use super::pairs::{Gathered, Pairs};
use super::part::{Numbers, Part, Phrase, Scratch, Span};
use super::postings::{self, Bits, Postings};
use crate::merkle::Frontier;

/// How many terms a group of the dictionary has.
const GROUP: u32 = 64;

/// How many bits of a filter each id sets.
const PROBES: u32 = 4;

/// Where the parts of a block lie in its file.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) tenant: TenantId,
    pub(super) base: u64,
    pub(super) length: u32,
    /// The edge of the tenant's tree after the last event of the block.
    pub(super) frontier: Frontier,
    pub(super) last_recorded: i64,
    lag: (i64, i64),
    terms: u32,
    bodies: Section,
    /// By column: body ends u64, recorded i64, occurred i64, leaves, word ends u64.
    columns: [Section; 5],
    words: Section,
    dictionary: Section,
    groups: Section,
    postings: Section,
    filter: Section,
    /// The places without a body, as bits; empty when every event has one.
    holes: Section,
    /// Which frequent words follow each other.
    pairs: Section,
}

impl Entry {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.tenant.as_str().as_bytes());
        out.extend_from_slice(&self.base.to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        put_bytes(out, &self.frontier.to_bytes());
        for time in [self.last_recorded, self.lag.0, self.lag.1] {
            out.extend_from_slice(&time.to_le_bytes());
        }
        put(out, self.terms.into());
        let rest =
            [self.words, self.dictionary, self.groups, self.postings, self.filter, self.holes, self.pairs];
        for section in std::iter::once(self.bodies).chain(self.columns).chain(rest) {
            put(out, section.offset);
            put(out, section.length);
        }
    }

    pub(super) fn read(input: &mut Input<'_>) -> Option<Self> {
        let tenant = TenantId::new(std::str::from_utf8(input.bytes()?).ok()?).ok()?;
        let base = u64::from_le_bytes(input.array()?);
        let length = u32::from_le_bytes(input.array()?);
        let frontier = Frontier::from_bytes(input.bytes()?).ok()?;
        let mut time = || input.array().map(i64::from_le_bytes);
        let (last_recorded, lag) = (time()?, (time()?, time()?));
        let terms = input.small()?;
        let mut section = || Some(Section { offset: input.number()?, length: input.number()? });
        let bodies = section()?;
        let columns = [section()?, section()?, section()?, section()?, section()?];
        let (words, dictionary, groups, postings, filter, holes, pairs) =
            (section()?, section()?, section()?, section()?, section()?, section()?, section()?);
        (base.checked_add(length.into())? == frontier.size()).then_some(Self {
            tenant,
            base,
            length,
            frontier,
            last_recorded,
            lag,
            terms,
            bodies,
            columns,
            words,
            dictionary,
            groups,
            postings,
            filter,
            holes,
            pairs,
        })
    }
}

/// Writes one block. First the events, oldest first; then the terms, in the order of their bytes; then the words of each
/// event, oldest first.
#[derive(Debug)]
pub(super) struct Writer<'s> {
    sink: &'s mut Sink,
    bodies: Section,
    columns: [Vec<u8>; 4],
    length: u32,
    lag: (i64, i64),
    last_recorded: i64,
    dictionary: Vec<u8>,
    groups: Vec<u8>,
    postings: Vec<u8>,
    terms: u32,
    last_term: Vec<u8>,
    filter: Filter,
    words: Vec<u8>,
    word_ends: Vec<u8>,
    pairs: Gathered,
    holes: Vec<u32>,
}

impl<'s> Writer<'s> {
    pub(super) fn new(sink: &'s mut Sink) -> Self {
        let bodies = Section { offset: sink.position(), length: 0 };
        Self {
            sink,
            bodies,
            columns: Default::default(),
            length: 0,
            lag: (i64::MAX, i64::MIN),
            last_recorded: i64::MIN,
            dictionary: Vec::new(),
            groups: Vec::new(),
            postings: Vec::new(),
            terms: 0,
            last_term: Vec::new(),
            filter: Filter::default(),
            words: Vec::new(),
            word_ends: Vec::new(),
            pairs: Gathered::default(),
            holes: Vec::new(),
        }
    }

    /// Writes an event; without a body when that was dropped.
    pub(super) fn event(
        &mut self,
        recorded: i64,
        occurred: i64,
        leaf: &[u8; 32],
        body: Option<&[u8]>,
    ) -> io::Result<()> {
        if body.is_none() {
            self.holes.push(self.length);
        }
        let body = body.unwrap_or_default();
        self.sink.write(body)?;
        self.bodies.length += wide(body.len());
        let [ends, recordeds, occurreds, leaves] = &mut self.columns;
        ends.extend_from_slice(&self.bodies.length.to_le_bytes());
        recordeds.extend_from_slice(&recorded.to_le_bytes());
        occurreds.extend_from_slice(&occurred.to_le_bytes());
        leaves.extend_from_slice(leaf);
        self.length += 1;
        self.last_recorded = recorded;
        let lag = recorded.saturating_sub(occurred);
        self.lag = (self.lag.0.min(lag), self.lag.1.max(lag));
        Ok(())
    }

    /// Writes a term with its places; its number is one more than how many came before it.
    pub(super) fn term(&mut self, term: &[u8], places: &[u32]) {
        let shared = match self.terms.is_multiple_of(GROUP) {
            true => {
                put_bytes(&mut self.groups, term);
                put(&mut self.groups, wide(self.dictionary.len()));
                0
            }
            false => term.iter().zip(&self.last_term).take_while(|(a, b)| a == b).count(),
        };
        put(&mut self.dictionary, wide(shared));
        put_bytes(&mut self.dictionary, term.get(shared..).unwrap_or_default());
        put(&mut self.dictionary, wide(places.len()));
        if let [place] = places {
            put(&mut self.dictionary, u64::from(*place));
        } else {
            let start = self.postings.len();
            postings::encode(&mut self.postings, places, self.length);
            put(&mut self.dictionary, wide(start));
            put(&mut self.dictionary, wide(self.postings.len() - start));
        }
        if let Some(id) = term.strip_prefix(b"x") {
            self.filter.add(id);
        }
        self.pairs.term(places.len());
        self.terms += 1;
        self.last_term.clear();
        self.last_term.extend_from_slice(term);
    }

    /// Writes the words of the next event: the numbers of their terms, 0 between two texts.
    pub(super) fn words(&mut self, words: impl Iterator<Item = u32>) {
        let mut last = 0;
        for word in words {
            put(&mut self.words, word.into());
            self.pairs.pair(last, word);
            last = word;
        }
        self.word_ends.extend_from_slice(&wide(self.words.len()).to_le_bytes());
    }

    /// Ends the block.
    pub(super) fn finish(self, tenant: TenantId, base: u64, frontier: Frontier) -> io::Result<Entry> {
        let mut holes = Bits::none(self.length);
        self.holes.iter().for_each(|place| holes.set(*place));
        let holes = if self.holes.is_empty() { Vec::new() } else { holes.to_bytes() };
        let sink = self.sink;
        let [ends, recordeds, occurreds, leaves] = self.columns;
        let columns = [
            sink.section(&ends)?,
            sink.section(&recordeds)?,
            sink.section(&occurreds)?,
            sink.section(&leaves)?,
            sink.section(&self.word_ends)?,
        ];
        Ok(Entry {
            tenant,
            base,
            length: self.length,
            frontier,
            last_recorded: self.last_recorded,
            lag: self.lag,
            terms: self.terms,
            bodies: self.bodies,
            columns,
            words: sink.section(&self.words)?,
            dictionary: sink.section(&self.dictionary)?,
            groups: sink.section(&self.groups)?,
            postings: sink.section(&self.postings)?,
            filter: sink.section(&self.filter.to_bytes())?,
            holes: sink.section(&holes)?,
            pairs: sink.section(&self.pairs.into_bytes())?,
        })
    }
}

/// Tells most ids that are not in a block without a look at its dictionary (a Bloom filter of 16 bits for each id: it is
/// wrong about one in 400).
#[derive(Debug, Default)]
pub(super) struct Filter {
    ids: Vec<u64>,
}

impl Filter {
    /// The hash of an id.
    pub(super) fn hash(id: &[u8]) -> u64 {
        // FNV-1a with a last mix: whoever makes ids that collide pays with slower writes of their own.
        let hash = id.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn probes(hash: u64, bits: u64) -> impl Iterator<Item = u64> {
        let (first, step) = (hash >> 32, hash & 0xffff_ffff | 1);
        (0..u64::from(PROBES)).map(move |probe| (first + probe * step) % bits.max(1))
    }

    fn add(&mut self, id: &[u8]) {
        self.ids.push(Self::hash(id));
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.ids.len() * 2];
        let bits = wide(bytes.len() * 8);
        for id in &self.ids {
            for bit in Self::probes(*id, bits) {
                if let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| bytes.get_mut(at)) {
                    *byte |= 1 << (bit % 8);
                }
            }
        }
        bytes
    }

    fn may_have(bytes: &[u8], hash: u64) -> bool {
        let bits = wide(bytes.len() * 8);
        Self::probes(hash, bits).all(|bit| {
            let byte = usize::try_from(bit / 8).ok().and_then(|at| bytes.get(at));
            byte.is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
        })
    }
}

/// A sealed block, open for reading.
#[derive(Debug)]
pub(super) struct Block {
    source: Arc<Source>,
    entry: Entry,
    groups: OnceLock<Groups>,
    filter: OnceLock<Vec<u8>>,
    pairs: OnceLock<Pairs>,
    dropped: RwLock<Option<Arc<Bits>>>,
    /// How many bodies were gone when the block was written.
    written_holes: u64,
}

/// The first term of each group of the dictionary, and where the group begins.
#[derive(Debug)]
struct Groups {
    text: Vec<u8>,
    /// The end of each term in `text`, and the offset of its group.
    groups: Vec<(u32, u64)>,
}

impl Groups {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        let mut groups = Self { text: Vec::new(), groups: Vec::new() };
        while !input.0.is_empty() {
            groups.text.extend_from_slice(input.bytes()?);
            groups.groups.push((doc(groups.text.len()), input.number()?));
        }
        Some(groups)
    }

    fn first_term(&self, group: usize) -> &[u8] {
        let end = |group: usize| self.groups.get(group).map_or(0, |(end, _)| narrow(*end));
        let start = group.checked_sub(1).map_or(0, end);
        self.text.get(start..end(group)).unwrap_or_default()
    }

    /// The group that has the term, if any has.
    fn of(&self, term: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.groups.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.first_term(middle) <= term {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low.saturating_sub(1)
    }
}

/// A term of the dictionary.
struct Found<'a> {
    text: &'a [u8],
    /// One more than how many terms come before it.
    number: u32,
    list: List,
}

/// Where the places of a term are.
#[derive(Clone, Copy)]
enum List {
    One(u32),
    At { offset: u64, length: u64 },
}

impl Block {
    pub(super) fn new(source: Arc<Source>, entry: Entry) -> io::Result<Self> {
        let dropped = match entry.holes.length {
            0 => None,
            _ => Some(source.read(entry.holes)?),
        };
        let dropped = dropped.map(|bytes| {
            Bits::from_bytes(&bytes, entry.length).map(Arc::new).ok_or_else(|| source.damaged("its holes"))
        });
        let dropped = dropped.transpose()?;
        let written_holes = dropped.as_ref().map_or(0, |dropped| dropped.count());
        let dropped = RwLock::new(dropped);
        let (groups, filter, pairs) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Ok(Self { source, entry, groups, filter, pairs, dropped, written_holes })
    }

    pub(super) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The sequence after the last event.
    pub(super) fn end(&self) -> u64 {
        self.entry.base + u64::from(self.entry.length)
    }

    /// Sets which bodies are dropped.
    pub(super) fn set_dropped(&self, dropped: Bits) {
        *self.dropped.write() = Some(Arc::new(dropped));
    }

    /// How many bodies were dropped since the block was written.
    pub(super) fn fresh_holes(&self) -> u64 {
        let dropped = self.dropped.read().as_ref().map_or(0, |dropped| dropped.count());
        dropped.saturating_sub(self.written_holes)
    }

    /// Whether an event of the id with this hash may be in the block; when not, it is not.
    pub(super) fn may_have(&self, hash: u64) -> io::Result<bool> {
        if self.filter.get().is_none() {
            let bytes = self.source.read(self.entry.filter)?;
            let _ = self.filter.set(bytes);
        }
        Ok(self.filter.get().is_some_and(|filter| Filter::may_have(filter, hash)))
    }

    fn groups(&self) -> io::Result<&Groups> {
        if self.groups.get().is_none() {
            let bytes = self.source.read(self.entry.groups)?;
            let groups = Groups::read(&bytes).ok_or_else(|| self.source.damaged("its index of terms"))?;
            let _ = self.groups.set(groups);
        }
        self.groups.get().ok_or_else(|| self.source.damaged("its index of terms"))
    }

    fn list(&self, list: List) -> io::Result<Postings> {
        match list {
            List::One(place) if place < self.entry.length => Ok(Postings::One(place)),
            List::One(_) => Err(self.source.damaged("a place is beyond the block")),
            List::At { offset, length } => {
                let end = offset.checked_add(length).ok_or_else(|| self.source.damaged("a list"))?;
                let bytes = self.source.slice(self.entry.postings, offset, end)?;
                Postings::read(bytes, self.entry.length)
                    .ok_or_else(|| self.source.damaged("a list of places"))
            }
        }
    }

    /// Gives the terms of a span, in order, until `each` says that it has enough.
    fn within(&self, span: &Span, mut each: impl FnMut(Found<'_>) -> io::Result<bool>) -> io::Result<()> {
        let groups = self.groups()?;
        let mut text = Vec::new();
        let first = groups.of(&span.from);
        for (group, (_, offset)) in groups.groups.iter().enumerate().skip(first) {
            if span.is_before(groups.first_term(group)) {
                return Ok(());
            }
            let end =
                groups.groups.get(group + 1).map_or(self.entry.dictionary.length, |(_, offset)| *offset);
            let bytes = self.source.slice(self.entry.dictionary, *offset, end)?;
            let mut input = Input(&bytes);
            let mut number = doc(group).saturating_mul(GROUP);
            while !input.0.is_empty() {
                number += 1;
                let list =
                    term(&mut input, &mut text).ok_or_else(|| self.source.damaged("its dictionary"))?;
                if text.as_slice() < span.from.as_slice() {
                    continue;
                }
                if span.is_before(&text) || !each(Found { text: &text, number, list })? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Gives each event, oldest first: when it was recorded, when it occurred, its leaf, and its body if that is there.
    pub(super) fn each_event(
        &self,
        mut each: impl FnMut(i64, i64, &[u8; 32], Option<&[u8]>) -> io::Result<()>,
    ) -> io::Result<()> {
        let [ends, recorded, occurred, leaves, _] = self.entry.columns;
        let [ends, recorded, occurred] =
            [self.source.read(ends)?, self.source.read(recorded)?, self.source.read(occurred)?];
        let leaves = self.source.read(leaves)?;
        let number = |bytes: &[u8; 8]| i64::from_le_bytes(*bytes);
        let times = recorded.as_chunks().0.iter().map(number).zip(occurred.as_chunks().0.iter().map(number));
        let bodies = ends.as_chunks().0.iter().map(|end| u64::from_le_bytes(*end));
        let dropped = self.dropped.read().clone();
        let mut stretch = Stretch::default();
        let (mut start, mut place) = (0, 0);
        for (((recorded, occurred), leaf), end) in times.zip(leaves.as_chunks().0).zip(bodies) {
            let gone = dropped.as_ref().is_some_and(|dropped| dropped.has(place));
            match gone || start == end {
                true => each(recorded, occurred, leaf, None)?,
                false => each(
                    recorded,
                    occurred,
                    leaf,
                    Some(stretch.get(&self.source, self.entry.bodies, start, end)?),
                )?,
            }
            (start, place) = (end, place + 1);
        }
        Ok(())
    }

    /// Gives the words of each event, oldest first, as they were written.
    pub(super) fn each_words(&self, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let [.., ends] = self.entry.columns;
        let ends = self.source.read(ends)?;
        let mut stretch = Stretch::default();
        let mut start = 0;
        for end in ends.as_chunks().0 {
            let end = u64::from_le_bytes(*end);
            each(stretch.get(&self.source, self.entry.words, start, end)?)?;
            start = end;
        }
        Ok(())
    }

    /// Every term with its places, in the order of their bytes, for merging.
    pub(super) fn all_terms(&self) -> Terms<'_> {
        Terms { block: self, group: 0, bytes: Vec::new(), at: 0, text: Vec::new(), number: 0 }
    }

    fn column<const N: usize>(&self, column: usize, place: u32) -> io::Result<[u8; N]> {
        let section = self.entry.columns.get(column).copied().unwrap_or_default();
        self.source.array(section, u64::from(place) * wide(N))
    }

    /// Where an item begins and ends, told by the column of ends.
    fn bounds(&self, ends: Section, place: u32, stretch: &mut Stretch) -> io::Result<(u64, u64)> {
        let first = u64::from(place.saturating_sub(1)) * 8;
        let mut pair = Input(stretch.get(&self.source, ends, first, u64::from(place) * 8 + 8)?);
        let mut next = || pair.array().map(u64::from_le_bytes).ok_or_else(|| self.source.damaged("its ends"));
        Ok(if place == 0 { (0, next()?) } else { (next()?, next()?) })
    }

    /// The words of an event as they are written.
    fn written_words<'s>(&self, place: u32, stretches: &'s mut [Stretch; 6]) -> io::Result<&'s [u8]> {
        let [.., ends] = self.entry.columns;
        let [end_bytes, word_bytes, ..] = stretches;
        let (start, end) = self.bounds(ends, place, end_bytes)?;
        if start == end {
            return Ok(&[]);
        }
        word_bytes.get(&self.source, self.entry.words, start, end)
    }

    fn item(&self, ends: usize, section: Section, place: u32) -> io::Result<Vec<u8>> {
        let (start, end) = match place.checked_sub(1) {
            None => (0, u64::from_le_bytes(self.column(ends, 0)?)),
            Some(before) => {
                let column = self.entry.columns.get(ends).copied().unwrap_or_default();
                let pair: [u8; 16] = self.source.array(column, u64::from(before) * 8)?;
                let mut input = Input(&pair);
                let mut next = || input.array().map(u64::from_le_bytes).unwrap_or_default();
                (next(), next())
            }
        };
        self.source.slice(section, start, end)
    }
}

/// Reads the next term of a group into `text`.
fn term(input: &mut Input<'_>, text: &mut Vec<u8>) -> Option<List> {
    let shared = input.size()?;
    let rest = input.bytes()?;
    if shared > text.len() {
        return None;
    }
    text.truncate(shared);
    text.extend_from_slice(rest);
    Some(match input.number()? {
        1 => List::One(input.small()?),
        _ => List::At { offset: input.number()?, length: input.number()? },
    })
}

/// The terms of a block in order.
#[derive(Debug)]
pub(super) struct Terms<'b> {
    block: &'b Block,
    group: usize,
    bytes: Vec<u8>,
    at: usize,
    text: Vec<u8>,
    number: u32,
}

impl Terms<'_> {
    /// Goes to the next term: its places. [`Self::text`] is its text, [`Self::number`] its number.
    pub(super) fn next(&mut self) -> io::Result<Option<Postings>> {
        while self.at >= self.bytes.len() {
            let groups = self.block.groups()?;
            let Some((_, offset)) = groups.groups.get(self.group) else { return Ok(None) };
            let end = groups.groups.get(self.group + 1);
            let end = end.map_or(self.block.entry.dictionary.length, |(_, offset)| *offset);
            self.bytes = self.block.source.slice(self.block.entry.dictionary, *offset, end)?;
            (self.at, self.group) = (0, self.group + 1);
            self.text.clear();
        }
        let mut input = Input(self.bytes.get(self.at..).unwrap_or_default());
        let damaged = || self.block.source.damaged("its dictionary");
        let list = term(&mut input, &mut self.text).ok_or_else(damaged)?;
        self.at = self.bytes.len() - input.0.len();
        self.number += 1;
        self.block.list(list).map(Some)
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }
}

const BODY_ENDS: usize = 0;
const RECORDED: usize = 1;
const LEAVES: usize = 3;

impl Part for Block {
    fn base(&self) -> u64 {
        self.entry.base
    }

    fn length(&self) -> u32 {
        self.entry.length
    }

    fn postings(&self, term: &[u8]) -> io::Result<Option<Postings>> {
        let mut end = term.to_vec();
        end.push(0);
        let mut found = None;
        self.within(&Span { from: term.to_vec(), to: Some(end) }, |term| {
            found = Some(term.list);
            Ok(false)
        })?;
        found.map(|list| self.list(list)).transpose()
    }

    fn each_term(&self, span: &Span, each: &mut dyn FnMut(&[u8], Postings)) -> io::Result<()> {
        self.within(span, |term| {
            each(term.text, self.list(term.list)?);
            Ok(true)
        })
    }

    fn word_numbers(&self, span: &Span) -> io::Result<Numbers> {
        let mut range = None;
        self.within(span, |term| {
            let first = range.map_or(term.number, |(first, _)| first);
            range = Some((first, term.number + 1));
            Ok(true)
        })?;
        let (from, to) = range.unwrap_or_default();
        Ok(Numbers::Between(from, to))
    }

    fn may_follow(&self, first: u32, second: u32) -> io::Result<bool> {
        if self.pairs.get().is_none() {
            let bytes = self.source.read(self.entry.pairs)?;
            let pairs = Pairs::read(&bytes).ok_or_else(|| self.source.damaged("its pairs of words"))?;
            let _ = self.pairs.set(pairs);
        }
        Ok(self.pairs.get().is_none_or(|pairs| pairs.may_have(first, second)))
    }

    fn words(&self, place: u32, scratch: &mut Scratch) -> io::Result<()> {
        let Scratch { words, stretches } = scratch;
        words.clear();
        let mut input = Input(self.written_words(place, stretches)?);
        while !input.0.is_empty() {
            words.push(input.small().ok_or_else(|| self.source.damaged("its words"))?);
        }
        Ok(())
    }

    fn has_phrase(&self, place: u32, phrase: &Phrase, scratch: &mut Scratch) -> io::Result<bool> {
        if let Some(needle) = phrase.needle() {
            return Ok(needle.is_in(self.written_words(place, &mut scratch.stretches)?));
        }
        self.words(place, scratch)?;
        Ok(phrase.is_in(&scratch.words))
    }

    fn recorded(&self, place: u32) -> io::Result<i64> {
        self.column(RECORDED, place).map(i64::from_le_bytes)
    }

    fn occurred(&self, place: u32, scratch: &mut Scratch) -> io::Result<i64> {
        let [_, _, occurred, ..] = self.entry.columns;
        let [_, _, times, ..] = &mut scratch.stretches;
        let from = u64::from(place) * 8;
        let mut time = Input(times.get(&self.source, occurred, from, from + 8)?);
        time.array().map(i64::from_le_bytes).ok_or_else(|| self.source.damaged("its times"))
    }

    fn lag(&self) -> (i64, i64) {
        self.entry.lag
    }

    fn body(&self, place: u32) -> io::Result<Option<Vec<u8>>> {
        if self.dropped.read().as_ref().is_some_and(|dropped| dropped.has(place)) {
            return Ok(None);
        }
        let body = self.item(BODY_ENDS, self.entry.bodies, place)?;
        // An event always has an action: what has no bytes was dropped before the block was written.
        Ok((!body.is_empty()).then_some(body))
    }

    fn read(&self, place: u32, scratch: &mut Scratch) -> io::Result<(i64, Option<Vec<u8>>)> {
        let [ends, recorded, ..] = self.entry.columns;
        let [_, _, _, times, end_bytes, bodies] = &mut scratch.stretches;
        let at = u64::from(place) * 8;
        let mut time = Input(times.get(&self.source, recorded, at, at + 8)?);
        let time = time.array().map(i64::from_le_bytes).ok_or_else(|| self.source.damaged("its times"))?;
        if self.dropped.read().as_ref().is_some_and(|dropped| dropped.has(place)) {
            return Ok((time, None));
        }
        let (start, end) = self.bounds(ends, place, end_bytes)?;
        if start == end {
            return Ok((time, None));
        }
        Ok((time, Some(bodies.get(&self.source, self.entry.bodies, start, end)?.to_vec())))
    }

    fn leaves(&self, from: u32, count: u32) -> io::Result<Vec<[u8; 32]>> {
        let to = from.saturating_add(count).min(self.entry.length);
        let section = self.entry.columns.get(LEAVES).copied().unwrap_or_default();
        let bytes = self.source.slice(section, u64::from(from.min(to)) * 32, u64::from(to) * 32)?;
        Ok(bytes.as_chunks().0.to_vec())
    }

    fn dropped(&self) -> Option<Arc<Bits>> {
        self.dropped.read().clone()
    }
}
