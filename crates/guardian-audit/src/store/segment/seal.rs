//! Writes sealed files: from what is in memory, and from older files that are merged or rewritten.

use std::io;
use std::path::Path;
use std::sync::Arc;

use guardian_core::TenantId;

use super::block::{Block, Entry, Writer};
use super::file::{Sink, Source};
use super::hot::Hot;
use super::number::{Input, narrow, put, wide};
use super::part::Part;
use super::tenant::heading;
use crate::merkle::{Frontier, Hash, LeafHasher};

/// The newest events of a tenant, and the edge of its tree before them.
#[derive(Debug, Clone)]
pub(super) struct Frozen {
    pub(super) tenant: TenantId,
    pub(super) events: Arc<Hot>,
    pub(super) before: Frontier,
}

/// Writes a file of what was in memory.
pub(super) fn seal(path: &Path, frozen: &[Frozen]) -> io::Result<()> {
    let mut sink = Sink::create(path)?;
    let mut entries = Vec::with_capacity(frozen.len());
    for Frozen { tenant, events, before } in frozen {
        entries.push(seal_one(&mut sink, tenant, events, before.clone())?);
    }
    finish(sink, &entries)
}

fn seal_one(sink: &mut Sink, tenant: &TenantId, hot: &Hot, mut frontier: Frontier) -> io::Result<Entry> {
    let mut writer = Writer::new(sink);
    for (place, leaf) in (0..).zip(hot.leaves(0, hot.length())?) {
        let body = hot.body(place)?;
        writer.event(hot.recorded(place)?, hot.occurred_at(place), &leaf, body.as_deref())?;
        frontier.append(Hash::new(leaf));
    }
    // The number of a word in memory, less one, is that of its term there: to the order of the bytes.
    let mut numbers = vec![0; hot.terms() + 1];
    let mut places = Vec::new();
    for (sorted, (number, text, term)) in (1..).zip(hot.sorted_terms()) {
        term.into(&mut places);
        writer.term(text, &places);
        if let Some(slot) = numbers.get_mut(narrow(number) + 1) {
            *slot = sorted;
        }
    }
    for place in 0..hot.length() {
        writer.words(
            hot.words_of(place).iter().map(|word| numbers.get(narrow(*word)).copied().unwrap_or_default()),
        );
    }
    writer.finish(tenant.clone(), hot.base(), frontier)
}

/// Writes a file of the blocks of older files; the blocks of a tenant follow each other. Dropped bodies, and what they
/// were found by, are left out.
pub(super) fn merge(path: &Path, tenants: &[Vec<Arc<Block>>]) -> io::Result<()> {
    let mut sink = Sink::create(path)?;
    let mut entries = Vec::with_capacity(tenants.len());
    for blocks in tenants {
        if let (Some(first), Some(last)) = (blocks.first(), blocks.last()) {
            let (first, last) = (first.entry(), last.entry());
            let mut writer = Writer::new(&mut sink);
            merge_one(&mut writer, blocks, first.base)?;
            entries.push(writer.finish(first.tenant.clone(), first.base, last.frontier.clone())?);
        }
    }
    finish(sink, &entries)
}

fn merge_one(writer: &mut Writer<'_>, blocks: &[Arc<Block>], base: u64) -> io::Result<()> {
    for block in blocks {
        let (tenant, mut sequence) = (&block.entry().tenant, block.base());
        block.each_event(|recorded, occurred, leaf, body| {
            // What was damaged on the disk is not carried on as if it were whole.
            if let Some(body) = body {
                let mut hasher = LeafHasher::new();
                hasher.update(&heading(tenant, sequence, recorded));
                hasher.update(body);
                if hasher.finish() != Hash::new(*leaf) {
                    let what = format!("event {sequence} of `{tenant}` is not the one that was recorded");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
            }
            sequence += 1;
            writer.event(recorded, occurred, leaf, body)
        })?;
    }
    let numbers = merge_terms(writer, blocks, base)?;
    for (block, numbers) in blocks.iter().zip(numbers) {
        let dropped = block.dropped();
        let mut place = 0;
        block.each_words(|bytes| {
            let gone = dropped.as_ref().is_some_and(|dropped| dropped.has(place));
            place += 1;
            let mut input = Input(if gone { &[] } else { bytes });
            let words = std::iter::from_fn(|| {
                let number = input.small()?;
                Some(numbers.get(narrow(number)).copied().unwrap_or_default())
            });
            writer.words(words);
            Ok(())
        })?;
    }
    Ok(())
}

/// Merges the dictionaries; for each block, the new number of each of its terms.
fn merge_terms(writer: &mut Writer<'_>, blocks: &[Arc<Block>], base: u64) -> io::Result<Vec<Vec<u32>>> {
    let mut numbers: Vec<Vec<u32>> = blocks.iter().map(|_| vec![0]).collect();
    let mut readers = Vec::with_capacity(blocks.len());
    for block in blocks {
        let mut terms = block.all_terms();
        let next = terms.next()?;
        let shift = u32::try_from(block.base() - base).map_err(|_| too_large())?;
        readers.push((terms, next, shift, block.dropped()));
    }
    let mut next_number = 0;
    let (mut term, mut places) = (Vec::new(), Vec::new());
    loop {
        let least =
            readers.iter().filter(|(_, next, ..)| next.is_some()).map(|(terms, ..)| terms.text()).min();
        match least {
            None => return Ok(numbers),
            Some(least) => {
                term.clear();
                term.extend_from_slice(least);
            }
        }
        places.clear();
        let number = next_number + 1;
        let mut used = Vec::with_capacity(readers.len());
        for (index, (terms, next, shift, dropped)) in readers.iter_mut().enumerate() {
            if terms.text() != term.as_slice() {
                continue;
            }
            let Some(postings) = next.take() else { continue };
            postings.for_each(|place| {
                if !dropped.as_ref().is_some_and(|dropped| dropped.has(place)) {
                    places.push(place + *shift);
                }
            });
            used.push((index, terms.number()));
            *next = terms.next()?;
        }
        let number = if places.is_empty() { 0 } else { number };
        for (index, old) in used {
            if let Some(numbers) = numbers.get_mut(index) {
                numbers.resize(narrow(old) + 1, 0);
                if let Some(slot) = numbers.last_mut() {
                    *slot = number;
                }
            }
        }
        if number > 0 {
            writer.term(&term, &places);
            next_number = number;
        }
    }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a block would have more events than it can")
}

fn finish(sink: Sink, entries: &[Entry]) -> io::Result<()> {
    let mut directory = Vec::new();
    put(&mut directory, wide(entries.len()));
    entries.iter().for_each(|entry| entry.write(&mut directory));
    sink.finish(&directory)
}

/// Opens a sealed file: its blocks.
pub(super) fn open(path: &Path) -> io::Result<Vec<Arc<Block>>> {
    let (source, directory) = Source::open(path)?;
    let source = Arc::new(source);
    let mut input = Input(&directory);
    let damaged = || source.damaged("its directory");
    let count = input.size().ok_or_else(damaged)?;
    let mut blocks = Vec::new();
    for _ in 0..count {
        let entry = Entry::read(&mut input).ok_or_else(damaged)?;
        blocks.push(Arc::new(Block::new(Arc::clone(&source), entry)?));
    }
    match input.0.is_empty() {
        true => Ok(blocks),
        false => Err(damaged()),
    }
}
