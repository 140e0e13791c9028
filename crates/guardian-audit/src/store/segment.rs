//! A log in files of our own, for one process: an index in which the order of the events is the order of time.

mod block;
mod dictionary;
mod engine;
pub(crate) mod file;
mod find;
mod folder;
mod hot;
pub(crate) mod journal;
pub(crate) mod log;
mod notes;
mod number;
mod pairs;
mod part;
mod postings;
mod seal;
mod tenant;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId, Timestamp};

use super::{AuditStore, Batch, Count, Drop, Facet, Found, Head, Note, NoteKind, Placed, Record};
use crate::dimension::Dimension;
use crate::plan::Plan;
use engine::Engine;

/// Keeps logs in a folder of append-only files, with an index that is read from its newest end.
///
/// One process opens the folder at a time. New events go to a journal and to an index in memory; when there are enough,
/// [`maintain`](Self::maintain) seals them into a file, and merges files, so that a tenant's log is a few blocks whatever
/// its length. A search walks the lists of its terms backwards and stops when the page is full, so its time does not
/// depend on how many events a common word has.
///
/// Calls block the thread: a search for microseconds to a few milliseconds, an append until the disk has it. In an
/// asynchronous service, append through [`AuditQueue`](crate::AuditQueue) or on a thread for blocking work.
///
/// ```
/// use guardian_audit::store::SegmentStore;
///
/// let folder = std::env::temp_dir().join(format!("guardian-audit-doc-{}", std::process::id()));
/// let store = SegmentStore::open(&folder)?;
/// assert!(store.recovery().is_clean());
/// # drop(store);
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SegmentStore {
    engine: Engine,
}

/// How a [`SegmentStore`] trades safety and memory for speed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SegmentConfig {
    /// When an append is acknowledged.
    pub durability: Durability,
    /// How many events are kept in memory before they are ready to be sealed; 128 MiB of them are in any case. Memory is about
    /// 1 KiB for an event of usual size.
    pub seal_after: usize,
}

impl Default for SegmentConfig {
    fn default() -> Self {
        Self { durability: Durability::Synced, seal_after: 65_536 }
    }
}

impl SegmentConfig {
    /// The same settings with this durability.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The same settings, sealing after so many events; at least one.
    #[must_use]
    pub fn with_seal_after(mut self, events: usize) -> Self {
        self.seal_after = events.max(1);
        self
    }
}

/// When an append is acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// When the disk has it: it survives a loss of power. Appends at once share one wait for the disk.
    #[default]
    Synced,
    /// When the operating system has it: it survives a crash of the process, but not of the machine.
    Written,
}

/// What opening a store found and mended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Files whose last record was unfinished, and how many bytes of it were cut off. Such a record was never
    /// acknowledged.
    pub torn: Vec<(PathBuf, u64)>,
    /// How many events were read back from the journal.
    pub replayed: u64,
}

impl Recovery {
    /// Whether nothing was torn.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.torn.is_empty()
    }
}

/// What one step of maintenance did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Maintenance {
    /// There was nothing to do.
    Idle,
    /// Events in memory were sealed into a file.
    Sealed,
    /// Files were merged into one.
    Merged,
    /// A file was written anew without its dropped bodies.
    Rewritten,
}

impl SegmentStore {
    /// Opens the store in a folder, or makes one there.
    ///
    /// # Errors
    /// When the folder cannot be read or written, another process has it, or a file is damaged otherwise than at its end.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(folder, SegmentConfig::default())
    }

    /// Opens the store with these settings.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(folder: impl AsRef<Path>, config: SegmentConfig) -> Result<Self, StoreError> {
        Ok(Self { engine: Engine::open(folder.as_ref(), config).map_err(fault)? })
    }

    /// What opening found and mended.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        self.engine.recovery()
    }

    /// Does one step of the work that keeps searches fast and frees space: seals what is ready, merges files, or writes a
    /// file anew without what was dropped. Call it now and then, on a thread where a second of work does no harm, until it
    /// says [`Idle`](Maintenance::Idle). Searches and appends go on meanwhile.
    ///
    /// # Errors
    /// When a file could not be written; nothing is lost, and the next call tries again.
    pub fn maintain(&self) -> Result<Maintenance, StoreError> {
        self.engine.maintain().map_err(fault)
    }

    /// Writes every file anew from which bodies were dropped, however few: after retention, when they must be gone from the disk
    /// now and not once [`maintain`](Self::maintain) finds it worth while, which is when a quarter of a file is gone.
    ///
    /// # Errors
    /// As [`Self::maintain`].
    pub fn compact(&self) -> Result<(), StoreError> {
        self.engine.compact().map_err(fault)
    }

    /// Seals everything that is in memory, however little.
    ///
    /// # Errors
    /// As [`Self::maintain`].
    pub fn seal(&self) -> Result<(), StoreError> {
        self.engine.seal_all().map_err(fault)
    }

    /// The tenants that have a log here, in the order of their ids. For workers that go through all of them.
    #[must_use]
    pub fn tenants(&self) -> Vec<TenantId> {
        self.engine.tenants()
    }
}

/// The fault of a file, in the words of the suite.
fn fault(error: io::Error) -> StoreError {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreErrorKind::Full,
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => StoreErrorKind::Corrupt,
        io::ErrorKind::InvalidInput => StoreErrorKind::Constraint,
        io::ErrorKind::WouldBlock => StoreErrorKind::Conflict,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, "segment").with_source(error)
}

#[async_trait]
impl AuditStore for SegmentStore {
    async fn append(&self, batches: &[Batch<'_>], now: Timestamp) -> Result<Vec<Vec<Placed>>, StoreError> {
        self.engine.append(batches, now.timestamp_micros()).map_err(fault)
    }

    async fn search(
        &self,
        scope: &Scope,
        plan: &Plan,
        before: Option<u64>,
        size: usize,
    ) -> Result<Found, StoreError> {
        self.engine.search(scope.tenant(), plan, before, size).map_err(fault)
    }

    async fn count(&self, scope: &Scope, plan: &Plan, limit: Option<u64>) -> Result<Count, StoreError> {
        self.engine.count(scope.tenant(), plan, limit).map_err(fault)
    }

    async fn facets(
        &self,
        scope: &Scope,
        plan: &Plan,
        dimension: Dimension,
        top: usize,
    ) -> Result<Vec<Facet>, StoreError> {
        self.engine.facets(scope.tenant(), plan, dimension, top).map_err(fault)?.finish("segment")
    }

    async fn histogram(&self, scope: &Scope, plan: &Plan, edges: &[i64]) -> Result<Vec<u64>, StoreError> {
        self.engine.histogram(scope.tenant(), plan, edges).map_err(fault)
    }

    async fn records(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<Record>, StoreError> {
        self.engine.records(scope.tenant(), from, size).map_err(fault)
    }

    async fn leaves(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<[u8; 32]>, StoreError> {
        self.engine.leaves(scope.tenant(), from, size).map_err(fault)
    }

    async fn head(&self, scope: &Scope) -> Result<Head, StoreError> {
        Ok(self.engine.head(scope.tenant()))
    }

    async fn drop_bodies(&self, scope: &Scope, drop: &Drop<'_>) -> Result<u64, StoreError> {
        self.engine.drop_bodies(scope.tenant(), drop).map_err(fault)
    }

    async fn put_note(&self, scope: &Scope, kind: NoteKind, note: &Note) -> Result<(), StoreError> {
        self.engine.write_note(scope.tenant(), kind, &note.name, Some(&note.bytes)).map(drop).map_err(fault)
    }

    async fn notes(&self, scope: &Scope, kind: NoteKind) -> Result<Vec<Note>, StoreError> {
        Ok(self.engine.notes(scope.tenant(), kind))
    }

    async fn remove_note(&self, scope: &Scope, kind: NoteKind, name: &str) -> Result<bool, StoreError> {
        self.engine.write_note(scope.tenant(), kind, name, None).map_err(fault)
    }

    async fn put_checkpoint(
        &self,
        scope: &Scope,
        last: Option<&str>,
        checkpoint: &Note,
        state: Option<&Note>,
    ) -> Result<bool, StoreError> {
        self.engine.write_checkpoint(scope.tenant(), last, checkpoint, state).map_err(fault)
    }
}
