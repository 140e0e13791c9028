use std::io;
use std::sync::Arc;

use chrono::DateTime;
use guardian_core::{TenantId, Timestamp};
use uuid::Uuid;

use super::block::{self, Block};
use super::find::{self, Finder};
use super::hot::Hot;
use super::part::{Part, Scratch};
use super::postings::Bits;
use crate::merkle::{Frontier, LeafHasher};
use crate::plan::Plan;
use crate::store::tally::Tally;
use crate::store::{Draft, Found, Head, Placed, Record};
use crate::terms::Terms;

/// One tenant's log: sealed blocks, then events that wait to be sealed, then the newest. Each begins where the one before
/// it ends.
#[derive(Debug)]
pub(super) struct TenantLog {
    pub(super) blocks: Vec<Arc<Block>>,
    pub(super) frozen: Vec<Arc<Hot>>,
    pub(super) hot: Hot,
    /// The edge of the tree after the newest event.
    frontier: Frontier,
    /// The edge before the first event of `hot`.
    pub(super) frontier_before_hot: Frontier,
    last_recorded: Option<i64>,
}

/// The parts that no longer change.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    blocks: Vec<Arc<Block>>,
    frozen: Vec<Arc<Hot>>,
}

impl TenantLog {
    pub(super) fn new(blocks: Vec<Arc<Block>>) -> Self {
        let last = blocks.last().map(|block| block.entry());
        let frontier = last.map(|entry| entry.frontier.clone()).unwrap_or_default();
        Self {
            hot: Hot::new(frontier.size()),
            frozen: Vec::new(),
            frontier_before_hot: frontier.clone(),
            last_recorded: last.map(|entry| entry.last_recorded),
            frontier,
            blocks,
        }
    }

    /// The sequence of the next event.
    pub(super) fn next(&self) -> u64 {
        self.frontier.size()
    }

    /// When an event that comes now is recorded.
    pub(super) fn recorded_at(&self, now: i64) -> i64 {
        self.last_recorded.map_or(now, |last| last.max(now))
    }

    /// Where the event of this id is.
    pub(super) fn place_of(&self, id: Uuid) -> io::Result<Option<Placed>> {
        let id = IdTerm::new(id);
        for hot in std::iter::once(&self.hot).chain(self.frozen.iter().rev().map(Arc::as_ref)) {
            if let Some(place) = hot.place_of_id(&id) {
                return placed(hot, place).map(Some);
            }
        }
        let mut hash = None;
        for block in self.blocks.iter().rev() {
            let hash = *hash.get_or_insert_with(|| block::Filter::hash(id.value()));
            if block.may_have(hash)?
                && let Some(postings) = block.postings(id.term())?
                && let Some(place) = postings.backwards().seek(u32::MAX)
            {
                return placed(block.as_ref(), place).map(Some);
            }
        }
        Ok(None)
    }

    /// Appends an event that is in the journal.
    pub(super) fn push(&mut self, heading: &[u8], recorded: i64, draft: &Draft) {
        self.push_parts(heading, recorded, draft.occurred, &draft.body, &draft.terms);
    }

    pub(super) fn push_parts(
        &mut self,
        heading: &[u8],
        recorded: i64,
        occurred: i64,
        body: &[u8],
        terms: &Terms,
    ) {
        let mut hasher = LeafHasher::new();
        hasher.update(heading);
        hasher.update(body);
        let leaf = hasher.finish();
        self.frontier.append(leaf);
        self.last_recorded = Some(recorded);
        self.hot.push(recorded, occurred, leaf, body, terms);
    }

    /// Sets the newest events aside to be sealed; with the edge of the tree before them.
    pub(super) fn freeze(&mut self) -> (Arc<Hot>, Frontier) {
        let next = Hot::after(&self.hot);
        let hot = std::mem::replace(&mut self.hot, next);
        let before = std::mem::replace(&mut self.frontier_before_hot, self.frontier.clone());
        let frozen = Arc::new(hot);
        self.frozen.push(Arc::clone(&frozen));
        (frozen, before)
    }

    pub(super) fn head(&self) -> Head {
        Head::new(self.frontier.size(), self.frontier.root().into(), self.last_recorded.map(time))
    }

    pub(super) fn settled(&self) -> Settled {
        Settled { blocks: self.blocks.clone(), frozen: self.frozen.clone() }
    }
}

impl Settled {
    /// Gives each part, newest first, until `each` says that it has enough.
    pub(super) fn newest_first(&self, mut each: impl FnMut(Look<'_>) -> io::Result<bool>) -> io::Result<()> {
        for frozen in self.frozen.iter().rev() {
            if !each(Look::Hot(frozen))? {
                return Ok(());
            }
        }
        for block in self.blocks.iter().rev() {
            if !each(Look::Block(block))? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// A part of either kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum Look<'a> {
    Hot(&'a Hot),
    Block(&'a Block),
}

impl Look<'_> {
    pub(super) fn base(self) -> u64 {
        match self {
            Self::Hot(part) => part.base(),
            Self::Block(part) => part.base(),
        }
    }

    pub(super) fn end(self) -> u64 {
        match self {
            Self::Hot(part) => part.end(),
            Self::Block(part) => part.end(),
        }
    }

    /// Adds what the plan finds to a page, newest first, up to its size and one more to know whether there is more.
    pub(super) fn search(
        self,
        plan: &Plan,
        before: Option<u64>,
        size: usize,
        found: &mut Found,
    ) -> io::Result<()> {
        match self {
            Self::Hot(part) => search(part, plan, before, size, found),
            Self::Block(part) => search(part, plan, before, size, found),
        }
    }

    /// The places that the plan finds, as bits, and the part, handed to `each`.
    pub(super) fn matches(self, plan: &Plan) -> io::Result<Bits> {
        match self {
            Self::Hot(part) => find::matches(part, plan),
            Self::Block(part) => find::matches(part, plan),
        }
    }

    /// How many events the plan finds.
    pub(super) fn count(self, plan: &Plan) -> io::Result<u64> {
        match (self, plan) {
            // What the dictionary says by itself.
            (Self::Block(part), Plan::Term(term)) if part.dropped().is_none() => {
                Ok(part.postings(term.as_bytes())?.map_or(0, |postings| postings.count()))
            }
            _ => Ok(self.matches(plan)?.count()),
        }
    }

    pub(super) fn facets(self, plan: &Plan, codes: &[char], tally: &mut Tally) -> io::Result<()> {
        let found = self.matches(plan)?;
        match self {
            Self::Hot(part) => find::facets(part, &found, codes, tally),
            Self::Block(part) => find::facets(part, &found, codes, tally),
        }
    }

    pub(super) fn histogram(self, plan: &Plan, edges: &[i64], counts: &mut [u64]) -> io::Result<()> {
        let found = self.matches(plan)?;
        match self {
            Self::Hot(part) => find::histogram(part, &found, edges, counts),
            Self::Block(part) => find::histogram(part, &found, edges, counts),
        }
    }

    /// The events of sequences from one up to, and not with, another.
    pub(super) fn records(self, from: u64, to: u64, records: &mut Vec<Record>) -> io::Result<()> {
        match self {
            Self::Hot(part) => read(part, from, to, records),
            Self::Block(part) => read(part, from, to, records),
        }
    }

    pub(super) fn leaves(self, from: u64, to: u64, leaves: &mut Vec<[u8; 32]>) -> io::Result<()> {
        let place = |sequence: u64| {
            u32::try_from(sequence.clamp(self.base(), self.end()) - self.base()).unwrap_or(u32::MAX)
        };
        let (from, count) = (place(from), place(to).saturating_sub(place(from)));
        leaves.extend(match self {
            Self::Hot(part) => part.leaves(from, count)?,
            Self::Block(part) => part.leaves(from, count)?,
        });
        Ok(())
    }
}

fn search<P: Part>(
    part: &P,
    plan: &Plan,
    before: Option<u64>,
    size: usize,
    found: &mut Found,
) -> io::Result<()> {
    if before.is_some_and(|before| before <= part.base()) {
        return Ok(());
    }
    let mut finder = Finder::new(part, plan, before)?;
    let mut scratch = Scratch::default();
    while let Some(place) = finder.next()? {
        if found.records.len() >= size {
            found.more = true;
            return Ok(());
        }
        found.records.push(record(part, place, &mut scratch)?);
    }
    Ok(())
}

fn read<P: Part>(part: &P, from: u64, to: u64, records: &mut Vec<Record>) -> io::Result<()> {
    let end = part.base() + u64::from(part.length());
    let mut scratch = Scratch::default();
    for sequence in from.max(part.base())..to.min(end) {
        let place = u32::try_from(sequence - part.base()).unwrap_or(u32::MAX);
        records.push(record(part, place, &mut scratch)?);
    }
    Ok(())
}

fn record<P: Part>(part: &P, place: u32, scratch: &mut Scratch) -> io::Result<Record> {
    let (recorded, body) = part.read(place, scratch)?;
    Ok(Record::new(part.base() + u64::from(place), time(recorded), body))
}

fn placed<P: Part>(part: &P, place: u32) -> io::Result<Placed> {
    Ok(Placed::new(part.base() + u64::from(place), time(part.recorded(place)?), true))
}

/// The term of an id.
pub(super) struct IdTerm([u8; 1 + uuid::fmt::Hyphenated::LENGTH]);

impl IdTerm {
    fn new(id: Uuid) -> Self {
        let mut term = [b'x'; 1 + uuid::fmt::Hyphenated::LENGTH];
        if let Some((_, value)) = term.split_first_mut() {
            id.hyphenated().encode_lower(value);
        }
        Self(term)
    }

    pub(super) fn term(&self) -> &[u8] {
        &self.0
    }

    fn value(&self) -> &[u8] {
        self.0.split_first().map_or(&[], |(_, value)| value)
    }
}

/// A time that the log wrote: it is one.
pub(super) fn time(micros: i64) -> Timestamp {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

/// The heading of an event of this tenant.
pub(super) fn heading(tenant: &TenantId, sequence: u64, recorded: i64) -> Vec<u8> {
    crate::canonical::heading(tenant, sequence, time(recorded))
}

/// The headings of events of one tenant that were recorded together.
pub(super) struct Heading(Vec<u8>);

impl Heading {
    pub(super) fn new(tenant: &TenantId, recorded: i64) -> Self {
        Self(crate::canonical::heading(tenant, 0, time(recorded)))
    }

    /// That of the event at this place.
    pub(super) fn at(&mut self, sequence: u64) -> &[u8] {
        // The sequence stands before the time, at the end.
        if let Some([place, _]) = self.0.as_rchunks_mut::<8>().1.last_chunk_mut() {
            *place = sequence.to_be_bytes();
        }
        &self.0
    }
}

/// The oldest places of a set, at most so many.
pub(super) fn oldest(bits: &Bits, limit: u64, length: u32) -> Bits {
    let mut some = Bits::none(length);
    let mut left = limit;
    bits.for_each(|place| {
        if left > 0 {
            some.set(place);
            left -= 1;
        }
    });
    some
}
