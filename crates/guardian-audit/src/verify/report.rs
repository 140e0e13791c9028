use std::fmt;

use guardian_core::TenantId;

use crate::checkpoint::CheckpointFault;
use crate::merkle::{Hash, empty_root};

/// What kind of tampering was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The event is not what was recorded: its bytes and its leaf hash do not belong together, or it stands where another
    /// belongs.
    Edited,
    /// Somewhere in the range, leaf hashes are not those that a checkpoint was made of: events were edited, put in or
    /// taken out, and the hashes rewritten with them.
    Rewritten,
    /// The events are missing, while later ones are there.
    Deleted,
    /// An event stands before this one that does not belong there.
    Inserted,
    /// The events were moved.
    Reordered,
    /// The log ends here, and a checkpoint covers more.
    TailCut,
    /// The event is of another tenant's log.
    ForeignTenant {
        /// The tenant that it names.
        found: TenantId,
    },
    /// An anchor shows that the log was longer, or another: an old copy was restored, or the tail was cut together with
    /// its checkpoints.
    RolledBack,
    /// The checkpoint that covers these events is not right.
    Checkpoint(CheckpointFault),
    /// A checkpoint that covers these events is missing: the first does not begin the chain, or one that an anchor keeps
    /// is not in it.
    CheckpointMissing,
    /// What an anchor keeps is no checkpoint of this log.
    Anchor(CheckpointFault),
}

impl FaultKind {
    /// Whether single events are at fault, and not a range or what is beside the log.
    fn is_of_events(&self) -> bool {
        matches!(
            self,
            Self::Edited | Self::Deleted | Self::Inserted | Self::Reordered | Self::ForeignTenant { .. }
        )
    }
}

/// One thing that is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// The sequence of the first event that it is about.
    pub first: u64,
    /// The sequence behind the last. The first bad event is exactly named when it is one more than `first`; else it is one
    /// of the range.
    pub end: u64,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, first: u64, end: u64) -> Self {
        Self { kind, first, end: end.max(first) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.first;
        let last = self.end.saturating_sub(1);
        if last <= first {
            write!(f, "event {first}: ")?;
        } else {
            write!(f, "events {first} to {last}: ")?;
        }
        match &self.kind {
            FaultKind::Edited => f.write_str("edited, the bytes are not those that were recorded"),
            FaultKind::Rewritten => {
                f.write_str("rewritten together with their hashes, the checkpoint does not fit")
            }
            FaultKind::Deleted => f.write_str("deleted"),
            FaultKind::Inserted => f.write_str("an event was put in before it"),
            FaultKind::Reordered => f.write_str("moved"),
            FaultKind::TailCut => f.write_str("cut off the end"),
            FaultKind::ForeignTenant { found } => write!(f, "of the tenant `{found}`"),
            FaultKind::RolledBack => f.write_str("an old copy was restored, an anchor shows another log"),
            FaultKind::Checkpoint(fault) => {
                write!(f, "the checkpoint that covers them is not right: {fault}")
            }
            FaultKind::CheckpointMissing => f.write_str("the checkpoint that covers them is missing"),
            FaultKind::Anchor(fault) => write!(f, "the anchor's checkpoint is not right: {fault}"),
        }
    }
}

/// What a [`Verifier`](super::Verifier) found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Whose log it is.
    pub tenant: TenantId,
    /// How many events were seen.
    pub events: u64,
    /// How many of them have only their hash left: retention dropped the bytes, and nothing but the hash was verified.
    pub dropped: u64,
    /// The root over the leaf hashes that were seen.
    pub root: Hash,
    /// How many events, from the first, a trusted checkpoint shows to be whole: those and their order are proven but for
    /// the [faults](Self::faults) that are named.
    pub proven: u64,
    /// How many events the last trusted checkpoint covers.
    pub sealed: u64,
    /// How many events were appended since: nothing would show if one of them was rewritten.
    pub unsealed: u64,
    /// How many checkpoints were signed, by an accepted key.
    pub signed_checkpoints: u64,
    /// How many checkpoints an evolving key sealed.
    pub sealed_checkpoints: u64,
    /// How many checkpoints and anchors nobody could judge, because the ring has no key for them.
    pub unjudged_checkpoints: u64,
    /// How many anchored checkpoints fit.
    pub anchors: u64,
    faults: Vec<Fault>,
    /// How many faults there were, of which only the first are kept.
    total: u64,
}

impl Report {
    /// The most faults that are kept.
    pub const MAX_FAULTS: usize = 1_000;

    pub(super) fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            events: 0,
            dropped: 0,
            root: empty_root(),
            proven: 0,
            sealed: 0,
            unsealed: 0,
            signed_checkpoints: 0,
            sealed_checkpoints: 0,
            unjudged_checkpoints: 0,
            anchors: 0,
            faults: Vec::new(),
            total: 0,
        }
    }

    pub(super) fn add(&mut self, fault: Fault) {
        self.total += 1;
        if self.faults.len() < Self::MAX_FAULTS {
            self.faults.push(fault);
        }
    }

    /// Whether a fault of single events begins in this range. When there are more faults than are kept, one may.
    pub(super) fn has_bad_event(&self, first: u64, end: u64) -> bool {
        let within = |fault: &Fault| fault.kind.is_of_events() && (first..end).contains(&fault.first);
        self.faults.iter().any(within) || self.faults.len() >= Self::MAX_FAULTS
    }

    pub(super) fn close(&mut self, end: u64) {
        self.unsealed = end.saturating_sub(self.sealed);
        self.faults.sort_by_key(|fault| (fault.first, fault.end));
    }

    /// Whether nothing is wrong. Look at [`Self::unsealed`] too: those events nobody vouches for yet.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.total == 0
    }

    /// What is wrong, in the order of the events; the first [`Self::MAX_FAULTS`] that were found.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// How many faults there are.
    #[must_use]
    pub fn fault_count(&self) -> u64 {
        self.total
    }

    /// The fault of the first bad event.
    #[must_use]
    pub fn first_fault(&self) -> Option<&Fault> {
        self.faults.first()
    }
}
