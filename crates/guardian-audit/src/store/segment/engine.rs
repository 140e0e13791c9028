//! The store without its async face: appends, searches, and the work behind them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use guardian_core::TenantId;
use parking_lot::{Mutex, RwLock};

use super::block::Block;
use super::folder::{Folder, Manifest};
use super::journal;
use super::log::{self, Log, Syncer};
use super::notes::Notes;
use super::number::{Input, put, put_bytes, wide};
use super::part::Part;
use super::postings::Bits;
use super::seal::{self, Frozen};
use super::tenant::{self, Look, TenantLog};
use super::{Durability, Maintenance, Recovery, SegmentConfig, file, write};
use crate::canonical;
use crate::dimension::Dimension;
use crate::plan::Plan;
use crate::store::tally::Tally;
use crate::store::{Batch, Count, Drop, Found, Head, Note, NoteKind, Placed, Record};
use crate::terms::Terms;

/// So many files of one size become one of the next.
const FAN: usize = 8;

/// So many bytes of bodies and terms in memory are ready to be sealed, however few events they are.
const MOST_BYTES: usize = 128 << 20;

/// Files of more events than this are not merged further.
const LARGEST: u64 = 8 << 20;

/// So many sets of events may wait to be sealed before an append seals one itself.
const MOST_WAITING: usize = 2;

/// A file is written anew once this share of its events was dropped since: one in four.
const WORTH_REWRITING: u64 = 4;

#[derive(Debug)]
pub(super) struct Engine {
    folder: Folder,
    config: SegmentConfig,
    recovery: Recovery,
    tenants: RwLock<HashMap<TenantId, Arc<RwLock<TenantLog>>>>,
    writer: Mutex<Writer>,
    disk: Mutex<Disk>,
    /// How many batches were written to the journal; what `Disk` compares with.
    written: AtomicU64,
    /// The next number for a file.
    next: AtomicU64,
    /// Held by whoever changes the sealed files. Taken before `writer`, never after it.
    files: Mutex<Files>,
    notes: Mutex<Notes>,
}

/// What appending needs, one at a time.
#[derive(Debug)]
struct Writer {
    journal: Log,
    /// Events in memory that are not set aside to be sealed.
    fresh: usize,
    /// The bytes of their bodies and terms.
    fresh_bytes: usize,
    /// The tenants that they belong to.
    touched: BTreeSet<TenantId>,
    waiting: VecDeque<Waiting>,
}

/// Events that wait to be sealed, and the first journal that is still needed when they are.
#[derive(Debug)]
struct Waiting {
    tenants: Vec<Frozen>,
    next_journal: u64,
}

/// How much of the journal is on the disk.
#[derive(Debug)]
struct Disk {
    journal: Syncer,
    synced: u64,
    /// After a failed sync nobody knows what the disk has: the store takes nothing more until it is opened again.
    failed: bool,
}

/// The sealed files.
#[derive(Debug)]
struct Files {
    manifest: Manifest,
    segments: BTreeMap<u64, Vec<Arc<Block>>>,
}

impl Engine {
    pub(super) fn open(path: &Path, config: SegmentConfig) -> io::Result<Self> {
        let folder = Folder::take(path)?;
        let mut manifest = folder.read()?;
        folder.clean(&manifest)?;
        let mut recovery = Recovery::default();
        let mut segments = BTreeMap::new();
        let mut logs: HashMap<TenantId, TenantLog> = HashMap::new();
        let mut blocks: HashMap<TenantId, Vec<Arc<Block>>> = HashMap::new();
        for number in &manifest.segments {
            let sealed = seal::open(&folder.segment(*number))?;
            read_dropped(&folder, *number, &sealed)?;
            for block in &sealed {
                blocks.entry(block.entry().tenant.clone()).or_default().push(Arc::clone(block));
            }
            segments.insert(*number, sealed);
        }
        for (tenant, mut blocks) in blocks {
            blocks.sort_by_key(|block| block.base());
            logs.insert(tenant, TenantLog::new(blocks));
        }
        for number in folder.journals(&manifest)? {
            let path = folder.journal(number);
            let (_, torn) = Log::open(&path, |payload| replay(&mut logs, payload, &mut recovery.replayed))?;
            recovery.torn.extend(torn.map(|torn| (path, torn.bytes)));
            manifest.next = manifest.next.max(number + 1);
        }
        let (notes, torn) = Notes::open(&folder.notes())?;
        recovery.torn.extend(torn.map(|torn| (folder.notes(), torn.bytes)));

        // What was replayed goes on in a journal of its own; the old ones are needed until it is sealed.
        let number = manifest.next;
        manifest.next += 1;
        folder.write(&manifest)?;
        let journal = Log::create_with_room(&folder.journal(number))?;
        file::sync_folder(journal.path())?;
        let touched =
            logs.iter().filter(|(_, log)| !log.hot.is_empty()).map(|(tenant, _)| tenant.clone()).collect();
        let fresh = usize::try_from(recovery.replayed).unwrap_or(usize::MAX);
        let fresh_bytes = logs.values().map(|log| log.hot.size()).sum();
        let disk = Disk { journal: journal.syncer()?, synced: 0, failed: false };
        let logs = logs.into_iter().map(|(tenant, log)| (tenant, Arc::new(RwLock::new(log))));
        Ok(Self {
            tenants: RwLock::new(logs.collect()),
            writer: Mutex::new(Writer { journal, fresh, fresh_bytes, touched, waiting: VecDeque::new() }),
            disk: Mutex::new(disk),
            written: AtomicU64::new(0),
            next: AtomicU64::new(manifest.next),
            files: Mutex::new(Files { manifest, segments }),
            notes: Mutex::new(notes),
            folder,
            config,
            recovery,
        })
    }

    pub(super) fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    pub(super) fn tenants(&self) -> Vec<TenantId> {
        let mut tenants: Vec<_> = self.tenants.read().keys().cloned().collect();
        tenants.sort_unstable();
        tenants
    }

    /// A number for a file that no other has.
    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::AcqRel)
    }

    fn log(&self, tenant: &TenantId) -> Option<Arc<RwLock<TenantLog>>> {
        self.tenants.read().get(tenant).cloned()
    }

    fn log_to_write(&self, tenant: &TenantId) -> Arc<RwLock<TenantLog>> {
        if let Some(log) = self.log(tenant) {
            return log;
        }
        let new = || Arc::new(RwLock::new(TenantLog::new(Vec::new())));
        Arc::clone(self.tenants.write().entry(tenant.clone()).or_insert_with(new))
    }

    pub(super) fn append(&self, batches: &[Batch<'_>], now: i64) -> io::Result<Vec<Vec<Placed>>> {
        if self.disk.lock().failed {
            return Err(disk_failed());
        }
        let mut placed = Vec::with_capacity(batches.len());
        let mut writer = self.writer.lock();
        let mut rest = batches;
        while !rest.is_empty() {
            let (some, later) = rest.split_at(write::together(rest));
            self.append_some(&mut writer, some, now, &mut placed)?;
            if writer.fresh >= self.config.seal_after || writer.fresh_bytes >= MOST_BYTES {
                // The events are in the log already: should this fail, the next append tries again.
                let _ = self.rotate(&mut writer);
            }
            rest = later;
        }
        let written = self.written.load(Ordering::Acquire);
        let overdue = writer.waiting.len() > MOST_WAITING;
        drop(writer);
        if self.config.durability == Durability::Synced {
            self.sync(written)?;
        }
        if overdue {
            // What fails here is told to who maintains the store.
            let _ = self.seal_next();
        }
        Ok(placed)
    }

    /// Appends batches by one write to the journal.
    fn append_some(
        &self,
        writer: &mut Writer,
        batches: &[Batch<'_>],
        now: i64,
        placed: &mut Vec<Vec<Placed>>,
    ) -> io::Result<()> {
        let mut steps = write::Steps::new(now);
        for batch in batches {
            placed.push(steps.place(batch, |tenant| self.log_to_write(tenant))?);
        }
        if let Err(error) = steps.write(&mut writer.journal) {
            if error.kind() == io::ErrorKind::Other {
                self.disk.lock().failed = true;
            }
            return Err(error);
        }
        if steps.is_empty() {
            return Ok(());
        }
        self.written.fetch_add(1, Ordering::AcqRel);
        let touched = &mut writer.touched;
        let taken = steps.push(|tenant| {
            touched.insert(tenant.clone());
        });
        writer.fresh += taken.events;
        writer.fresh_bytes += taken.bytes;
        Ok(())
    }

    /// Waits until the disk has what was written. Whoever comes first asks the disk for all that was written by then; the
    /// others find it done.
    fn sync(&self, written: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        if disk.failed {
            return Err(disk_failed());
        }
        if disk.synced >= written {
            return Ok(());
        }
        let target = self.written.load(Ordering::Acquire);
        if let Err(error) = disk.journal.sync() {
            disk.failed = true;
            return Err(error);
        }
        disk.synced = target;
        Ok(())
    }

    /// Begins a new journal, and sets what is in memory aside to be sealed.
    fn rotate(&self, writer: &mut Writer) -> io::Result<()> {
        let number = self.number();
        let journal = Log::create_with_room(&self.folder.journal(number))?;
        file::sync_folder(journal.path())?;
        let syncer = journal.syncer()?;
        {
            let mut disk = self.disk.lock();
            if let Err(error) = disk.journal.sync() {
                disk.failed = true;
                return Err(error);
            }
            disk.synced = self.written.load(Ordering::Acquire);
            disk.journal = syncer;
        }
        writer.journal = journal;
        let mut tenants = Vec::with_capacity(writer.touched.len());
        for tenant in std::mem::take(&mut writer.touched) {
            if let Some(log) = self.log(&tenant) {
                let (events, before) = log.write().freeze();
                tenants.push(Frozen { tenant, events, before });
            }
        }
        (writer.fresh, writer.fresh_bytes) = (0, 0);
        writer.waiting.push_back(Waiting { tenants, next_journal: number });
        Ok(())
    }

    /// Seals the oldest events that wait for it; whether any did.
    fn seal_next(&self) -> io::Result<bool> {
        let mut files = self.files.lock();
        // Only whoever holds the files takes from the front, so this one stays there until it is sealed.
        let (tenants, next_journal) = match self.writer.lock().waiting.front() {
            Some(waiting) => (waiting.tenants.clone(), waiting.next_journal),
            None => return Ok(false),
        };
        let number = self.number();
        let path = self.folder.segment(number);
        let sealed = seal::seal(&path, &tenants).and_then(|()| seal::open(&path));
        let blocks = sealed.inspect_err(|_| self.folder.forget_segment(number))?;
        let old_journal = files.manifest.journal;
        let mut manifest = files.manifest.clone();
        manifest.segments.push(number);
        manifest.journal = next_journal;
        manifest.next = self.next.load(Ordering::Acquire);
        self.folder.write(&manifest)?;
        files.manifest = manifest;
        for block in &blocks {
            if let Some(log) = self.log(&block.entry().tenant) {
                let mut log = log.write();
                log.blocks.push(Arc::clone(block));
                log.frozen.retain(|frozen| frozen.base() != block.base());
            }
        }
        files.segments.insert(number, blocks);
        self.writer.lock().waiting.pop_front();
        for journal in old_journal..next_journal {
            remove(&self.folder.journal(journal))?;
        }
        Ok(true)
    }

    pub(super) fn seal_all(&self) -> io::Result<()> {
        {
            let mut writer = self.writer.lock();
            if writer.fresh > 0 {
                self.rotate(&mut writer)?;
            }
        }
        while self.seal_next()? {}
        Ok(())
    }

    pub(super) fn maintain(&self) -> io::Result<Maintenance> {
        if self.seal_next()? {
            return Ok(Maintenance::Sealed);
        }
        let mut files = self.files.lock();
        if let Some(number) = files.worth_rewriting() {
            self.replace(&mut files, &[number])?;
            return Ok(Maintenance::Rewritten);
        }
        match files.worth_merging() {
            Some(numbers) => {
                self.replace(&mut files, &numbers)?;
                Ok(Maintenance::Merged)
            }
            None => Ok(Maintenance::Idle),
        }
    }

    /// Writes every file anew from which a body was dropped since it was written.
    pub(super) fn compact(&self) -> io::Result<()> {
        let mut files = self.files.lock();
        for number in files.manifest.segments.clone() {
            if files.fresh_holes(number) > 0 {
                self.replace(&mut files, &[number])?;
            }
        }
        Ok(())
    }

    /// Writes one file in the place of neighbours.
    fn replace(&self, files: &mut Files, numbers: &[u64]) -> io::Result<()> {
        let mut by_tenant: BTreeMap<TenantId, Vec<Arc<Block>>> = BTreeMap::new();
        for block in numbers.iter().filter_map(|number| files.segments.get(number)).flatten() {
            by_tenant.entry(block.entry().tenant.clone()).or_default().push(Arc::clone(block));
        }
        for blocks in by_tenant.values_mut() {
            blocks.sort_by_key(|block| block.base());
        }
        let number = self.number();
        let path = self.folder.segment(number);
        let merged = seal::merge(&path, &by_tenant.into_values().collect::<Vec<_>>());
        let blocks =
            merged.and_then(|()| seal::open(&path)).inspect_err(|_| self.folder.forget_segment(number))?;
        let mut manifest = files.manifest.clone();
        let first = manifest.segments.iter().position(|other| numbers.contains(other)).unwrap_or_default();
        manifest.segments.retain(|other| !numbers.contains(other));
        manifest.segments.insert(first, number);
        manifest.next = self.next.load(Ordering::Acquire);
        self.folder.write(&manifest)?;
        files.manifest = manifest;
        for block in &blocks {
            if let Some(log) = self.log(&block.entry().tenant) {
                let mut log = log.write();
                log.blocks.retain(|old| old.base() < block.base() || old.base() >= block.end());
                log.blocks.push(Arc::clone(block));
                log.blocks.sort_by_key(|block| block.base());
            }
        }
        files.segments.insert(number, blocks);
        for number in numbers {
            files.segments.remove(number);
            remove(&self.folder.segment(*number))?;
            remove(&self.folder.dropped(*number))?;
        }
        Ok(())
    }

    /// Gives each part of a tenant's log, newest first, until `each` has enough.
    fn newest_first(
        &self,
        tenant: &TenantId,
        mut each: impl FnMut(Look<'_>) -> io::Result<bool>,
    ) -> io::Result<()> {
        let Some(log) = self.log(tenant) else { return Ok(()) };
        let settled = {
            let log = log.read();
            let go_on = log.hot.is_empty() || each(Look::Hot(&log.hot))?;
            go_on.then(|| log.settled())
        };
        // The lock is free again: files are read without holding writers up.
        settled.map_or(Ok(()), |settled| settled.newest_first(each))
    }

    pub(super) fn search(
        &self,
        tenant: &TenantId,
        plan: &Plan,
        before: Option<u64>,
        size: usize,
    ) -> io::Result<Found> {
        let mut found = Found::default();
        self.newest_first(tenant, |part| {
            part.search(plan, before, size, &mut found)?;
            Ok(!found.more)
        })?;
        Ok(found)
    }

    pub(super) fn count(&self, tenant: &TenantId, plan: &Plan, limit: Option<u64>) -> io::Result<Count> {
        let mut count = 0;
        self.newest_first(tenant, |part| {
            count += part.count(plan)?;
            Ok(limit.is_none_or(|limit| count < limit))
        })?;
        Ok(match limit {
            Some(limit) if count >= limit => Count::AtLeast(limit),
            _ => Count::Exact(count),
        })
    }

    pub(super) fn facets(
        &self,
        tenant: &TenantId,
        plan: &Plan,
        dimension: Dimension,
        top: usize,
    ) -> io::Result<Tally> {
        let codes: Vec<char> = dimension.parts().into_iter().filter_map(Dimension::code).collect();
        let mut tally = Tally::new(dimension, top);
        self.newest_first(tenant, |part| {
            part.facets(plan, &codes, &mut tally)?;
            Ok(true)
        })?;
        Ok(tally)
    }

    pub(super) fn histogram(&self, tenant: &TenantId, plan: &Plan, edges: &[i64]) -> io::Result<Vec<u64>> {
        let mut counts = vec![0; edges.len().saturating_sub(1)];
        self.newest_first(tenant, |part| {
            part.histogram(plan, edges, &mut counts)?;
            Ok(true)
        })?;
        Ok(counts)
    }

    pub(super) fn records(&self, tenant: &TenantId, from: u64, size: usize) -> io::Result<Vec<Record>> {
        let mut parts = Vec::new();
        let to = from.saturating_add(wide(size));
        self.newest_first(tenant, |part| {
            let mut records = Vec::new();
            part.records(from, to, &mut records)?;
            parts.push(records);
            Ok(part.base() > from)
        })?;
        Ok(parts.into_iter().rev().flatten().collect())
    }

    pub(super) fn leaves(&self, tenant: &TenantId, from: u64, size: usize) -> io::Result<Vec<[u8; 32]>> {
        let mut parts = Vec::new();
        let to = from.saturating_add(wide(size));
        self.newest_first(tenant, |part| {
            let mut leaves = Vec::new();
            part.leaves(from, to, &mut leaves)?;
            parts.push(leaves);
            Ok(part.base() > from)
        })?;
        Ok(parts.into_iter().rev().flatten().collect())
    }

    pub(super) fn head(&self, tenant: &TenantId) -> Head {
        match self.log(tenant) {
            Some(log) => log.read().head(),
            None => TenantLog::new(Vec::new()).head(),
        }
    }

    pub(super) fn drop_bodies(&self, tenant: &TenantId, drop: &Drop<'_>) -> io::Result<u64> {
        let before = drop.before.timestamp_micros();
        let Some(log) = self.log(tenant) else { return Ok(0) };
        // Bodies are dropped from sealed files alone; what is old enough and still in memory is sealed first.
        let in_memory = {
            let log = log.read();
            let old =
                |part: &super::hot::Hot| Ok::<_, io::Error>(!part.is_empty() && part.recorded(0)? < before);
            let frozen = log.frozen.iter().map(|part| old(part)).collect::<io::Result<Vec<_>>>()?;
            old(&log.hot)? || frozen.contains(&true)
        };
        if in_memory {
            self.seal_all()?;
        }
        let files = self.files.lock();
        // Held until the end: no hold is placed or lifted meanwhile.
        let notes = self.notes.lock();
        if !drop.knows(&notes.list(tenant, NoteKind::Hold)) {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "the holds have changed"));
        }
        let blocks = log.read().blocks.clone();
        let plan = Plan::And(vec![drop.plan.clone(), Plan::Recorded(i64::MIN, before)]);
        let mut left = drop.limit;
        for block in blocks {
            if left == 0 || block.length() == 0 || block.recorded(0)? >= before {
                break;
            }
            let found = super::find::matches(block.as_ref(), &plan)?;
            let some = tenant::oldest(&found, left, block.length());
            if some.count() == 0 {
                continue;
            }
            left -= some.count();
            let mut all = some;
            if let Some(old) = block.dropped() {
                all.or(&old);
            }
            let sealed = files
                .segments
                .iter()
                .find(|(_, blocks)| blocks.iter().any(|other| Arc::ptr_eq(other, &block)));
            let Some((number, blocks)) = sealed else { continue };
            write_dropped(&self.folder, *number, blocks, &block, &all)?;
            block.set_dropped(all);
        }
        Ok(drop.limit - left)
    }

    pub(super) fn write_note(
        &self,
        tenant: &TenantId,
        kind: NoteKind,
        name: &str,
        bytes: Option<&[u8]>,
    ) -> io::Result<bool> {
        self.notes.lock().write(tenant, kind, name, bytes)
    }

    pub(super) fn write_checkpoint(
        &self,
        tenant: &TenantId,
        last: Option<&str>,
        checkpoint: &Note,
        state: Option<&Note>,
    ) -> io::Result<bool> {
        self.notes.lock().write_checkpoint(tenant, last, checkpoint, state)
    }

    pub(super) fn notes(&self, tenant: &TenantId, kind: NoteKind) -> Vec<Note> {
        self.notes.lock().list(tenant, kind)
    }
}

impl Files {
    fn events(&self, number: u64) -> u64 {
        self.segments.get(&number).into_iter().flatten().map(|block| u64::from(block.length())).sum()
    }

    /// How many bodies were dropped from a file since it was written.
    fn fresh_holes(&self, number: u64) -> u64 {
        self.segments.get(&number).into_iter().flatten().map(|block| block.fresh_holes()).sum()
    }

    /// A file of which much was dropped since it was written.
    fn worth_rewriting(&self) -> Option<u64> {
        self.manifest.segments.iter().copied().find(|number| {
            let dropped = self.fresh_holes(*number);
            dropped > 0 && dropped * WORTH_REWRITING >= self.events(*number)
        })
    }

    /// As many neighbours as become one, none of which is most of what they are together: each event is then written
    /// anew a number of times that grows with the logarithm of the log.
    fn worth_merging(&self) -> Option<Vec<u64>> {
        let sizes: Vec<u64> = self.manifest.segments.iter().map(|number| self.events(*number)).collect();
        let runs = self.manifest.segments.windows(FAN).zip(sizes.windows(FAN));
        // The newest first: they are the smallest.
        let (numbers, _) = runs.rev().find(|(_, sizes)| {
            let (sum, largest) = (sizes.iter().sum::<u64>(), sizes.iter().max().copied().unwrap_or_default());
            sum <= LARGEST && largest * 4 <= sum
        })?;
        Some(numbers.to_vec())
    }
}

/// Puts a frame of the journal back into memory.
fn replay(logs: &mut HashMap<TenantId, TenantLog>, payload: &[u8], replayed: &mut u64) -> io::Result<()> {
    let damaged =
        |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("a journal is damaged: {what}"));
    let entry = journal::read(payload).ok_or_else(|| damaged("a record cannot be read"))?;
    let log = logs.entry(entry.tenant.clone()).or_insert_with(|| TenantLog::new(Vec::new()));
    for (event, sequence) in entry.events.iter().zip(entry.base..) {
        if sequence < log.next() {
            // In a sealed file already.
            continue;
        }
        if sequence > log.next() {
            return Err(damaged(&format!("event {sequence} of `{}` follows a gap", entry.tenant)));
        }
        let (decoded, risk, _) =
            canonical::read_body(event.body).map_err(|error| damaged(&error.to_string()))?;
        let mut terms = Terms::of(&decoded, &risk);
        event.blind.iter().for_each(|term| terms.push(term));
        let occurred = decoded.occurred.map_or(entry.recorded, |time| time.timestamp_micros());
        let heading = tenant::heading(&entry.tenant, sequence, entry.recorded);
        log.push_parts(&heading, entry.recorded, occurred, event.body, &terms);
        *replayed += 1;
    }
    Ok(())
}

/// Which bodies of a sealed file were dropped after it was written.
fn read_dropped(folder: &Folder, number: u64, blocks: &[Arc<Block>]) -> io::Result<()> {
    let path = folder.dropped(number);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("`{}` is damaged", path.display()));
    let Some((payload, [])) = log::frame(&bytes) else { return Err(damaged()) };
    let mut input = Input(payload);
    while !input.0.is_empty() {
        let index = input.size().ok_or_else(damaged)?;
        let block = blocks.get(index).ok_or_else(damaged)?;
        let bits =
            input.bytes().and_then(|bytes| Bits::from_bytes(bytes, block.length())).ok_or_else(damaged)?;
        block.set_dropped(bits);
    }
    Ok(())
}

/// Writes which bodies of a file are dropped, with those of one block as they will be.
fn write_dropped(
    folder: &Folder,
    number: u64,
    blocks: &[Arc<Block>],
    changed: &Arc<Block>,
    bits: &Bits,
) -> io::Result<()> {
    let mut out = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let dropped = match Arc::ptr_eq(block, changed) {
            true => Some(Arc::new(bits.clone())),
            false => block.dropped(),
        };
        if let Some(dropped) = dropped {
            put(&mut out, wide(index));
            put_bytes(&mut out, &dropped.to_bytes());
        }
    }
    file::replace(&folder.dropped(number), &out)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn disk_failed() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the disk failed to take the journal: open the store again to find out what it has",
    )
}
