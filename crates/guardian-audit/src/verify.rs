//! Verifying a whole log: every event against the checkpoints and the anchors, in one pass and constant memory.
//!
//! What is found, and how exactly the first bad event is named:
//!
//! | tampering | seen by | named |
//! |---|---|---|
//! | a body was edited | its leaf hash | the event |
//! | events were deleted, inserted or moved, or are of another tenant | their sequence and tenant, which the leaf commits to | the event |
//! | the leaf hashes were rewritten too | the first checkpoint that does not fit | the events since the last one that fits |
//! | the tail was cut | a checkpoint that covers more, or the [head](Verifier::with_head) of the log | the first missing event |
//! | the tail was cut together with its checkpoints, or an old copy was restored | an [anchor](crate::anchor) | the first missing event, or the events since the last checkpoint that fits |
//! | a checkpoint was forged, altered or removed | its seals, and the hash that the next one names | the checkpoint |
//!
//! What was appended since the last checkpoint is bound by nothing yet but the log's own head; the report counts it.

mod evidence;
mod order;
mod report;

use std::collections::BTreeMap;
use std::fmt;

use guardian_core::TenantId;

use crate::canonical;
use crate::checkpoint::{KeyRing, SealedCheckpoint};
use crate::merkle::{Frontier, Hash, leaf_hash};

use evidence::Evidence;
use order::{Anomaly, Order};

pub use report::{Fault, FaultKind, Report};

/// One event as the log has it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Leaf<'a> {
    /// The place that the log says it has.
    pub sequence: u64,
    /// The leaf hash that the log keeps beside the event, where it keeps one.
    pub hash: Option<Hash>,
    /// The canonical bytes; `None` when retention has dropped them.
    pub record: Option<&'a [u8]>,
}

impl<'a> Leaf<'a> {
    /// An event with the hash that was kept beside it.
    #[must_use]
    pub fn new(sequence: u64, hash: Hash, record: &'a [u8]) -> Self {
        Self { sequence, hash: Some(hash), record: Some(record) }
    }

    /// An event of a log that keeps no leaf hashes apart.
    #[must_use]
    pub fn of_record(sequence: u64, record: &'a [u8]) -> Self {
        Self { sequence, hash: None, record: Some(record) }
    }

    /// An event whose body is gone: only its hash is left.
    #[must_use]
    pub fn dropped(sequence: u64, hash: Hash) -> Self {
        Self { sequence, hash: Some(hash), record: None }
    }
}

/// Verifies one tenant's log. Events are pushed in their order, from the first, so that it does not matter where they
/// come from; memory does not grow with their number.
///
/// ```
/// use guardian_audit::canonical;
/// use guardian_audit::checkpoint::{Checkpoint, Ed25519Signer, KeyRing, SealedCheckpoint, Signer};
/// use guardian_audit::merkle::{Frontier, leaf_hash};
/// use guardian_audit::verify::{FaultKind, Leaf, Verifier};
/// use guardian_core::{Clock, ManualClock, TenantId};
///
/// let (acme, now) = (TenantId::new("acme")?, ManualClock::new().now());
/// let mut records: Vec<Vec<u8>> = (0..100).map(|n| canonical::heading(&acme, n, now)).collect();
/// let hashes: Vec<_> = records.iter().map(|record| leaf_hash(record)).collect();
/// let mut log = Frontier::new();
/// log.append_all(&hashes);
///
/// let signer = Ed25519Signer::from_seed("audit.example.com/2026", &[7; 32])?;
/// let checkpoint = Checkpoint::new(acme.clone(), log.size(), log.root(), None, now)?;
/// let checkpoint = SealedCheckpoint::signed(checkpoint, &signer)?;
/// let ring = KeyRing::new().accept(signer.verifying_key().clone());
///
/// let verify = |records: &[Vec<u8>]| {
///     let mut verifier = Verifier::new(acme.clone(), &ring).with_checkpoints([checkpoint.clone()]);
///     for (sequence, (record, hash)) in (0..).zip(records.iter().zip(&hashes)) {
///         verifier.push(Leaf::new(sequence, *hash, record));
///     }
///     verifier.finish()
/// };
/// assert!(verify(&records).is_intact());
///
/// records[42].push(b'!');
/// let report = verify(&records);
/// let fault = report.first_fault().unwrap();
/// assert_eq!((&fault.kind, fault.first), (&FaultKind::Edited, 42));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Verifier<'k> {
    tenant: TenantId,
    ring: &'k KeyRing,
    chain: Vec<SealedCheckpoint>,
    anchors: Vec<SealedCheckpoint>,
    receipts: BTreeMap<u64, Hash>,
    head: Option<(u64, Hash)>,
    progress: Option<Box<dyn FnMut(u64) + Send + 'k>>,
    run: Option<Run>,
}

impl fmt::Debug for Verifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("tenant", &self.tenant)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

/// What has been seen of the events so far.
#[derive(Debug)]
struct Run {
    evidence: Evidence,
    order: Order,
    frontier: Frontier,
    report: Report,
}

impl<'k> Verifier<'k> {
    /// How many events lie between two calls of the progress function.
    pub const PROGRESS: u64 = 4_096;

    /// A verifier of this tenant's log that believes the keys of the ring.
    #[must_use]
    pub fn new(tenant: TenantId, ring: &'k KeyRing) -> Self {
        Self {
            tenant,
            ring,
            chain: Vec::new(),
            anchors: Vec::new(),
            receipts: BTreeMap::new(),
            head: None,
            progress: None,
            run: None,
        }
    }

    /// The checkpoints that the log has, from the first, in their order.
    #[must_use]
    pub fn with_checkpoints(mut self, chain: impl IntoIterator<Item = SealedCheckpoint>) -> Self {
        self.chain.extend(chain);
        self
    }

    /// Checkpoints of this log that were kept elsewhere, in any order.
    #[must_use]
    pub fn with_anchors(mut self, anchors: impl IntoIterator<Item = SealedCheckpoint>) -> Self {
        self.anchors.extend(anchors);
        self
    }

    /// Leaf hashes that somebody else keeps, by their sequence: who recorded an event may keep its receipt. They name a
    /// rewritten event exactly.
    #[must_use]
    pub fn with_receipts(mut self, receipts: impl IntoIterator<Item = (u64, Hash)>) -> Self {
        self.receipts.extend(receipts);
        self
    }

    /// How many events the log says that it has, and the root over them: its [head](crate::AuditLog::head), read before the events. That
    /// is no seal, for who writes events can write it as well; but events that are gone without it are missed. What was appended
    /// behind it is not to be pushed.
    #[must_use]
    pub fn with_head(mut self, size: u64, root: Hash) -> Self {
        self.head = Some((size, root));
        self
    }

    /// A function that hears how many events were seen, each [`Self::PROGRESS`] of them and at the end.
    #[must_use]
    pub fn with_progress(mut self, progress: impl FnMut(u64) + Send + 'k) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// The next event.
    pub fn push(&mut self, leaf: Leaf<'_>) {
        let Self { tenant, ring, chain, anchors, receipts, run, progress, .. } = self;
        let run = run.get_or_insert_with(|| Run::begin(tenant, ring, chain, anchors));
        run.push(tenant, receipts, leaf);
        if run.report.events.is_multiple_of(Self::PROGRESS)
            && let Some(progress) = progress
        {
            progress(run.report.events);
        }
    }

    /// What was found. A log that was never pushed to is an empty one.
    #[must_use]
    pub fn finish(self) -> Report {
        let Self { tenant, ring, chain, anchors, run, progress, head, .. } = self;
        let run = run.unwrap_or_else(|| Run::begin(&tenant, ring, &chain, &anchors));
        let report = run.finish(head);
        if let Some(mut progress) = progress {
            progress(report.events);
        }
        report
    }
}

impl Run {
    fn begin(
        tenant: &TenantId,
        ring: &KeyRing,
        chain: &[SealedCheckpoint],
        anchors: &[SealedCheckpoint],
    ) -> Self {
        let mut report = Report::new(tenant.clone());
        let evidence = Evidence::gather(tenant, ring, chain, anchors, &mut report);
        let mut run = Self { evidence, order: Order::default(), frontier: Frontier::new(), report };
        run.compare();
        run
    }

    fn push(&mut self, tenant: &TenantId, receipts: &BTreeMap<u64, Hash>, leaf: Leaf<'_>) {
        self.report.events += 1;
        let mut sequence = leaf.sequence;
        let computed = leaf.record.map(leaf_hash);
        let mut kind = None;
        match leaf.record.map(canonical::split) {
            None => self.report.dropped += 1,
            Some(Ok((whose, own, ..))) if whose == *tenant => {
                kind = (own != sequence).then_some(FaultKind::Edited);
            }
            Some(Ok((found, ..))) => {
                // Another tenant's sequence says nothing here.
                sequence = self.order.expected();
                kind = Some(FaultKind::ForeignTenant { found });
            }
            Some(Err(_)) => kind = Some(FaultKind::Edited),
        }
        let kept = match (leaf.hash, computed) {
            (Some(kept), Some(computed)) if kept != computed => {
                kind.get_or_insert(FaultKind::Edited);
                kept
            }
            (Some(kept), _) => kept,
            (None, Some(computed)) => computed,
            // A place that is empty: the tree cannot be what it was.
            (None, None) => {
                kind = Some(FaultKind::Deleted);
                Hash::ZERO
            }
        };
        if receipts.get(&sequence).is_some_and(|receipt| *receipt != kept) {
            kind.get_or_insert(FaultKind::Edited);
        }
        if let Some(kind) = kind {
            self.report.add(Fault::new(kind, sequence, sequence.saturating_add(1)));
        }
        self.order.push(sequence);
        self.frontier.append(kept);
        self.compare();
    }

    fn compare(&mut self) {
        let Self { evidence, frontier, report, .. } = self;
        evidence.compare(frontier.size(), || frontier.root(), report);
    }

    fn finish(mut self, head: Option<(u64, Hash)>) -> Report {
        for anomaly in self.order.finish() {
            let (kind, first, end) = match anomaly {
                Anomaly::Missing { first, end } => (FaultKind::Deleted, first, end),
                Anomaly::Extra { place } => (FaultKind::Inserted, place, place.saturating_add(1)),
                Anomaly::Replaced { place } => (FaultKind::Edited, place, place.saturating_add(1)),
                Anomaly::Moved { first, end } => (FaultKind::Reordered, first, end),
            };
            self.report.add(Fault::new(kind, first, end));
        }
        let end = self.order.expected();
        self.evidence.finish(end, &mut self.report);
        self.report.root = self.frontier.root();
        if let Some((size, root)) = head {
            hold_against(size, root, end, &mut self.report);
        }
        self.report.close(end);
        self.report
    }
}

/// Adds what the head of the log shows and nothing else did.
fn hold_against(size: u64, root: Hash, end: u64, report: &mut Report) {
    let known = end.max(report.sealed);
    if known < size {
        report.add(Fault::new(FaultKind::TailCut, known, size));
    }
    let is_told = report
        .faults()
        .iter()
        .any(|fault| matches!(fault.kind, FaultKind::Rewritten | FaultKind::RolledBack | FaultKind::TailCut));
    let first = report.proven.min(size);
    if report.root != root && !is_told && !report.has_bad_event(first, size.max(end)) {
        report.add(Fault::new(FaultKind::Rewritten, first, size));
    }
}
