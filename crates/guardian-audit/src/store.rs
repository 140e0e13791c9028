//! Where a log is kept: the contract, and the stores.

mod memory;
mod segment;
pub(crate) mod spill;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
mod tally;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Scope, StoreError, TenantId, Timestamp};
use uuid::Uuid;

use crate::dimension::Dimension;
use crate::error::Malformed;
use crate::event::{Assessment, AuditEvent};
use crate::plan::Plan;
use crate::sealed::Sealed;
use crate::{canonical, terms::Terms};

pub use memory::MemoryStore;
pub use segment::{Durability, Maintenance, Recovery, SegmentConfig, SegmentStore};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::SqlStore;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use sql::wire;

/// An event that is ready to be stored: encoded but for its place, and with the terms that it is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Draft {
    /// The event's id, by which a store knows it again.
    pub id: Uuid,
    /// When it happened, in microseconds since 1970.
    pub occurred: i64,
    /// The [body](canonical::encode_body).
    pub body: Vec<u8>,
    /// What it is found by.
    pub terms: Terms,
    /// The keyed terms of what is sealed, which cannot be told from the body; part of `terms`.
    pub blind: Vec<String>,
}

impl Draft {
    /// The longest keyed term, in bytes: as long as the longest of the others may be.
    const LONGEST_BLIND: usize = 256;

    /// Prepares an event that has its id and its time; `blind` are the keyed terms of what is sealed.
    ///
    /// # Errors
    /// When the event has no id or no time, a keyed term is longer than 256 bytes, or the event cannot be
    /// [encoded](canonical::encode_body).
    pub fn new(
        event: &AuditEvent,
        risk: &Assessment,
        sealed: &[Sealed],
        blind: &[String],
    ) -> Result<Self, Malformed> {
        let id = event.id.ok_or_else(|| Malformed::new("the event has no id"))?;
        let occurred = event.occurred.ok_or_else(|| Malformed::new("the event has no time"))?;
        if let Some(long) = blind.iter().find(|term| term.len() > Self::LONGEST_BLIND) {
            let most = Self::LONGEST_BLIND;
            return Err(Malformed::new(format!("a keyed term has {} bytes, the most is {most}", long.len())));
        }
        let mut terms = Terms::of(event, risk);
        blind.iter().for_each(|term| terms.push(term));
        let body = canonical::encode_body(event, risk, sealed)?;
        Ok(Self { id, occurred: occurred.timestamp_micros(), body, terms, blind: blind.to_vec() })
    }
}

/// Events of one tenant that are appended together.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Batch<'a> {
    /// Whose log they go to.
    pub scope: &'a Scope,
    /// The events, in their order.
    pub drafts: &'a [Draft],
}

impl<'a> Batch<'a> {
    /// Events for the log of the scope's tenant.
    #[must_use]
    pub fn new(scope: &'a Scope, drafts: &'a [Draft]) -> Self {
        Self { scope, drafts }
    }
}

/// What became of one draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placed {
    /// Its place in the tenant's log.
    pub sequence: u64,
    /// When the log took it.
    pub recorded: Timestamp,
    /// Whether the log held an event of this id already, whose place this is.
    pub duplicate: bool,
}

impl Placed {
    /// A place in the log.
    #[must_use]
    pub fn new(sequence: u64, recorded: Timestamp, duplicate: bool) -> Self {
        Self { sequence, recorded, duplicate }
    }
}

/// A stored event as bytes.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Its place in the tenant's log.
    pub sequence: u64,
    /// When the log took it.
    pub recorded: Timestamp,
    /// Its body; `None` once retention has dropped it, when only its leaf hash is left.
    pub body: Option<Vec<u8>>,
}

impl Record {
    /// A stored event.
    #[must_use]
    pub fn new(sequence: u64, recorded: Timestamp, body: Option<Vec<u8>>) -> Self {
        Self { sequence, recorded, body }
    }

    /// The bytes whose hash is the event's leaf in the tree of `tenant`; `None` when the body is gone.
    #[must_use]
    pub fn leaf(&self, tenant: &TenantId) -> Option<Vec<u8>> {
        let mut leaf = canonical::heading(tenant, self.sequence, self.recorded);
        leaf.extend_from_slice(self.body.as_deref()?);
        Some(leaf)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.body.as_ref().map(Vec::len);
        f.debug_struct("Record")
            .field("sequence", &self.sequence)
            .field("bytes", &bytes)
            .finish_non_exhaustive()
    }
}

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The events, newest first.
    pub records: Vec<Record>,
    /// Whether there may be older ones.
    pub more: bool,
}

impl Found {
    /// What a search found.
    #[must_use]
    pub fn new(records: Vec<Record>, more: bool) -> Self {
        Self { records, more }
    }
}

/// How many events a plan finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Count {
    /// So many.
    Exact(u64),
    /// So many or more: counting stopped here.
    AtLeast(u64),
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, plus) = match self {
            Self::Exact(number) => (number, ""),
            Self::AtLeast(number) => (number, "+"),
        };
        let digits = number.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index) % 3 == 0 {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        f.write_str(plus)
    }
}

/// How many of the found events have one value of a dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facet {
    /// The value, in lower case.
    pub value: String,
    /// How many events have it.
    pub count: u64,
}

impl Facet {
    /// A value and how many events have it.
    #[must_use]
    pub fn new(value: impl Into<String>, count: u64) -> Self {
        Self { value: value.into(), count }
    }
}

/// How far a tenant's log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// How many events it has, dropped ones included: the next one's sequence.
    pub size: u64,
    /// The root of the tree over the leaf hashes of them all (RFC 6962).
    pub root: [u8; 32],
    /// When the last one was recorded.
    pub recorded: Option<Timestamp>,
}

impl Head {
    /// A log's head.
    #[must_use]
    pub fn new(size: u64, root: [u8; 32], recorded: Option<Timestamp>) -> Self {
        Self { size, root, recorded }
    }
}

/// What retention drops: the bodies of events that the plan finds and that were recorded before the moment.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Drop<'a> {
    /// Which events.
    pub plan: &'a Plan,
    /// Only those that were recorded earlier.
    pub before: Timestamp,
    /// At most so many, oldest first, so that one call is short.
    pub limit: u64,
    /// The notes of the kind [`NoteKind::Hold`] that the plan was made with, in the order of their names. When those of the log
    /// are others by now, nothing is dropped.
    pub holds: Option<&'a [Note]>,
}

impl<'a> Drop<'a> {
    /// The bodies of what the plan finds among the events recorded before the moment, at most `limit`.
    #[must_use]
    pub fn new(plan: &'a Plan, before: Timestamp, limit: u64) -> Self {
        Self { plan, before, limit, holds: None }
    }

    /// The same, if the log's holds are these.
    #[must_use]
    pub fn with_holds(mut self, holds: &'a [Note]) -> Self {
        self.holds = Some(holds);
        self
    }

    /// Whether the plan was made with these holds, or without regard to any.
    #[must_use]
    pub fn knows(&self, holds: &[Note]) -> bool {
        self.holds.is_none_or(|known| known == holds)
    }
}

/// What a tenant's log keeps besides its events, by kind and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NoteKind {
    /// A signed checkpoint; the name is the size of the tree, in 20 digits.
    Checkpoint,
    /// A legal hold.
    Hold,
    /// The state of the evolving key between checkpoints.
    Seal,
    /// That a person is about to be forgotten, while it is being done.
    Erasure,
}

impl NoteKind {
    /// The kind as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Hold => "hold",
            Self::Seal => "seal",
            Self::Erasure => "erasure",
        }
    }
}

/// A small document of a tenant's log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// Its name; unique within its kind.
    pub name: String,
    /// What it says.
    pub bytes: Vec<u8>,
}

impl Note {
    /// A note.
    #[must_use]
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }
}

/// Keeps the logs of all tenants.
///
/// # Contract
/// - **Scope**: a call sees and changes the log of its scope's tenant alone.
/// - **Sequence**: the events of a tenant are numbered 0, 1, 2 … without a gap, in the order in which they were appended;
///   two calls at once are one after the other.
/// - **Time**: an event is recorded at the `now` of its call, or at the time of the event before it if that is later.
/// - **Atomicity**: each batch is appended as a whole or not at all. An error of [`StoreErrorKind::Unavailable`] or
///   `Timeout` leaves open whether it was; the same drafts may then be appended again.
/// - **Idempotence**: a draft whose id the tenant's log holds, in an event whose body was not dropped, is not appended again;
///   its place is returned.
/// - **Durability**: what a call acknowledged survives a crash of the process (memory excepted).
/// - **Order**: a search gives events newest first, each once. An event that is appended while somebody pages comes
///   before the first page; it is never part of a later one.
/// - **Commitment**: the leaf of an event is `SHA-256(0x00 || record)` ([RFC 6962, section 2.1]), and it is kept when
///   the body is dropped.
///
/// [`StoreErrorKind::Unavailable`]: guardian_core::StoreErrorKind::Unavailable
/// [RFC 6962, section 2.1]: https://www.rfc-editor.org/rfc/rfc6962#section-2.1
#[async_trait]
pub trait AuditStore: Send + Sync + fmt::Debug + 'static {
    /// Appends batches, each to its tenant's log, those of one tenant in their order; one result for each draft, in the order of
    /// the batches.
    ///
    /// # Errors
    /// When a batch could not be stored; others may have been, but none behind it of the same tenant.
    async fn append(&self, batches: &[Batch<'_>], now: Timestamp) -> Result<Vec<Vec<Placed>>, StoreError>;

    /// The newest events that the plan finds, at most `size`, all of them with a sequence below `before`.
    ///
    /// # Errors
    /// When the store failed.
    async fn search(
        &self,
        scope: &Scope,
        plan: &Plan,
        before: Option<u64>,
        size: usize,
    ) -> Result<Found, StoreError>;

    /// How many events the plan finds; counting may stop at `limit`.
    ///
    /// # Errors
    /// When the store failed.
    async fn count(&self, scope: &Scope, plan: &Plan, limit: Option<u64>) -> Result<Count, StoreError>;

    /// The values of a dimension among the events that the plan finds, most frequent first, at most `top`; values
    /// of the same number in their order. A dimension that stands for several counts the values of each.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unsupported`](guardian_core::StoreErrorKind::Unsupported) when the events have more than a million
    /// values; when the store failed.
    async fn facets(
        &self,
        scope: &Scope,
        plan: &Plan,
        dimension: Dimension,
        top: usize,
    ) -> Result<Vec<Facet>, StoreError>;

    /// How many events that the plan finds were recorded between each edge and the next, the edges in microseconds
    /// since 1970 and ascending: one number less than there are edges.
    ///
    /// # Errors
    /// When the store failed.
    async fn histogram(&self, scope: &Scope, plan: &Plan, edges: &[i64]) -> Result<Vec<u64>, StoreError>;

    /// The events from a place on, oldest first, at most `size`; dropped ones are there without a body.
    ///
    /// # Errors
    /// When the store failed.
    async fn records(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<Record>, StoreError>;

    /// The leaf hashes from a place on, at most `size`.
    ///
    /// # Errors
    /// When the store failed.
    async fn leaves(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<[u8; 32]>, StoreError>;

    /// How far the log goes.
    ///
    /// # Errors
    /// When the store failed.
    async fn head(&self, scope: &Scope) -> Result<Head, StoreError>;

    /// Drops bodies and everything they are found by, for good; how many. Between looking at the holds and dropping, no hold
    /// is placed or lifted.
    ///
    /// # Errors
    /// [`StoreErrorKind::Conflict`](guardian_core::StoreErrorKind::Conflict) when the holds are others than those that the
    /// plan was made with; nothing was dropped. When the store failed, some may have been dropped.
    async fn drop_bodies(&self, scope: &Scope, drop: &Drop<'_>) -> Result<u64, StoreError>;

    /// Writes a note, in the place of one of the same name.
    ///
    /// # Errors
    /// When the store failed.
    async fn put_note(&self, scope: &Scope, kind: NoteKind, note: &Note) -> Result<(), StoreError>;

    /// The notes of a kind in the order of their names.
    ///
    /// # Errors
    /// When the store failed.
    async fn notes(&self, scope: &Scope, kind: NoteKind) -> Result<Vec<Note>, StoreError>;

    /// Removes a note; whether there was one.
    ///
    /// # Errors
    /// When the store failed.
    async fn remove_note(&self, scope: &Scope, kind: NoteKind, name: &str) -> Result<bool, StoreError>;

    /// Writes a checkpoint if the log's last one, by the order of their names, is still the one of the name `last`, or there
    /// is still none; whether it was written. With it, in one step, the state of the evolving key that sealed it. A crash may
    /// leave the state without the checkpoint, never the checkpoint without the state.
    ///
    /// # Errors
    /// When the store failed.
    async fn put_checkpoint(
        &self,
        scope: &Scope,
        last: Option<&str>,
        checkpoint: &Note,
        state: Option<&Note>,
    ) -> Result<bool, StoreError>;
}

#[async_trait]
impl<S: AuditStore + ?Sized> AuditStore for Arc<S> {
    async fn append(&self, batches: &[Batch<'_>], now: Timestamp) -> Result<Vec<Vec<Placed>>, StoreError> {
        (**self).append(batches, now).await
    }

    async fn search(
        &self,
        scope: &Scope,
        plan: &Plan,
        before: Option<u64>,
        size: usize,
    ) -> Result<Found, StoreError> {
        (**self).search(scope, plan, before, size).await
    }

    async fn count(&self, scope: &Scope, plan: &Plan, limit: Option<u64>) -> Result<Count, StoreError> {
        (**self).count(scope, plan, limit).await
    }

    async fn facets(
        &self,
        scope: &Scope,
        plan: &Plan,
        dimension: Dimension,
        top: usize,
    ) -> Result<Vec<Facet>, StoreError> {
        (**self).facets(scope, plan, dimension, top).await
    }

    async fn histogram(&self, scope: &Scope, plan: &Plan, edges: &[i64]) -> Result<Vec<u64>, StoreError> {
        (**self).histogram(scope, plan, edges).await
    }

    async fn records(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<Record>, StoreError> {
        (**self).records(scope, from, size).await
    }

    async fn leaves(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<[u8; 32]>, StoreError> {
        (**self).leaves(scope, from, size).await
    }

    async fn head(&self, scope: &Scope) -> Result<Head, StoreError> {
        (**self).head(scope).await
    }

    async fn drop_bodies(&self, scope: &Scope, drop: &Drop<'_>) -> Result<u64, StoreError> {
        (**self).drop_bodies(scope, drop).await
    }

    async fn put_note(&self, scope: &Scope, kind: NoteKind, note: &Note) -> Result<(), StoreError> {
        (**self).put_note(scope, kind, note).await
    }

    async fn notes(&self, scope: &Scope, kind: NoteKind) -> Result<Vec<Note>, StoreError> {
        (**self).notes(scope, kind).await
    }

    async fn remove_note(&self, scope: &Scope, kind: NoteKind, name: &str) -> Result<bool, StoreError> {
        (**self).remove_note(scope, kind, name).await
    }

    async fn put_checkpoint(
        &self,
        scope: &Scope,
        last: Option<&str>,
        checkpoint: &Note,
        state: Option<&Note>,
    ) -> Result<bool, StoreError> {
        (**self).put_checkpoint(scope, last, checkpoint, state).await
    }
}
