use std::collections::BTreeSet;

use guardian_core::TenantId;

use super::report::{Fault, FaultKind, Report};
use crate::checkpoint::{CheckpointChain, CheckpointFault, KeyRing, SealedCheckpoint, Standing};
use crate::merkle::Hash;

/// What is known of the log from elsewhere: its roots at some sizes.
#[derive(Debug)]
pub(super) struct Evidence {
    /// In the order of their sizes.
    targets: Vec<Target>,
    /// The first that was not compared yet.
    next: usize,
    /// The largest size at which the chain's root was right, and no smaller one was wrong.
    matched: u64,
    /// The first comparison that failed, of the chain and of the anchors.
    chain_broken: Option<(u64, u64)>,
    anchor_broken: Option<(u64, u64)>,
    /// How many events the chain covers.
    covered: u64,
}

#[derive(Debug)]
struct Target {
    size: u64,
    root: Hash,
    source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Chain,
    Anchor {
        /// Whether the chain has the same checkpoint.
        in_chain: bool,
    },
}

impl Evidence {
    /// Judges the checkpoints and anchors, and keeps what can be trusted.
    pub(super) fn gather(
        tenant: &TenantId,
        ring: &KeyRing,
        chain: &[SealedCheckpoint],
        anchors: &[SealedCheckpoint],
        report: &mut Report,
    ) -> Self {
        let mut targets = Vec::new();
        let mut hashes = BTreeSet::new();
        let mut judged = CheckpointChain::new(tenant.clone(), ring);
        // Those that only a later one vouches for.
        let mut waiting: Vec<Target> = Vec::new();
        let mut before = 0;
        for (place, sealed) in chain.iter().enumerate() {
            let checkpoint = sealed.checkpoint();
            let size = checkpoint.size();
            hashes.insert(checkpoint.hash());
            if place == 0 && checkpoint.previous().is_some() {
                report.add(Fault::new(FaultKind::CheckpointMissing, 0, size));
            }
            let outcome = judged.push(sealed);
            let target = Target { size, root: checkpoint.root(), source: Source::Chain };
            if let Err(fault) = outcome {
                let (first, end) = (before.min(size), before.max(size));
                report.add(Fault::new(FaultKind::Checkpoint(fault), first, end));
                waiting.clear();
            } else if judged.is_last_sealed() {
                targets.append(&mut waiting);
            }
            if judged.is_last_sealed() {
                targets.push(target);
            } else {
                waiting.push(target);
            }
            before = size;
        }
        let covered = targets.iter().map(|target| target.size).max().unwrap_or(0);
        report.sealed = covered;
        report.signed_checkpoints = judged.signed();
        report.sealed_checkpoints = judged.sealed();
        report.unjudged_checkpoints = judged.unjudged();
        let mut checker = ring.checker();
        for anchor in anchors {
            let checkpoint = anchor.checkpoint();
            let fault = match checker.check(anchor) {
                _ if checkpoint.tenant() != tenant => {
                    CheckpointFault::ForeignTenant { found: checkpoint.tenant().clone() }
                }
                Standing::Signed(_) | Standing::Sealed(..) => {
                    let source = Source::Anchor { in_chain: hashes.contains(&checkpoint.hash()) };
                    targets.push(Target { size: checkpoint.size(), root: checkpoint.root(), source });
                    continue;
                }
                Standing::Forged(key) => CheckpointFault::Forged { key },
                Standing::Retired(key) => CheckpointFault::Retired { key },
                Standing::Unknown if ring.knows_evolving() => CheckpointFault::Unsigned,
                Standing::Unknown => {
                    report.unjudged_checkpoints += 1;
                    continue;
                }
            };
            let size = checkpoint.size();
            report.add(Fault::new(FaultKind::Anchor(fault), size.saturating_sub(1), size));
        }
        targets.sort_by_key(|target| target.size);
        Self { targets, next: 0, matched: 0, chain_broken: None, anchor_broken: None, covered }
    }

    /// Compares the root of the first `size` events with what is known of a log of that size.
    pub(super) fn compare(&mut self, size: u64, root: impl Fn() -> Hash, report: &mut Report) {
        while let Some(target) = self.targets.get(self.next).filter(|target| target.size == size) {
            self.next += 1;
            let fits = root() == target.root;
            match target.source {
                Source::Chain if fits => {
                    self.matched = size;
                    report.proven = size;
                }
                Source::Chain => {
                    self.chain_broken.get_or_insert((self.matched, size));
                }
                Source::Anchor { in_chain } if fits => {
                    report.anchors += 1;
                    if !in_chain {
                        let first = self.matched.min(size);
                        report.add(Fault::new(FaultKind::CheckpointMissing, first, size));
                    }
                }
                Source::Anchor { .. } => {
                    self.anchor_broken.get_or_insert((self.matched.min(size), size));
                }
            }
        }
    }

    /// Adds what the roots show, after all that single events show is in the report; the log ends before `end`.
    pub(super) fn finish(self, end: u64, report: &mut Report) {
        if let Some((first, size)) = self.chain_broken
            && !report.has_bad_event(first, size)
        {
            report.add(Fault::new(FaultKind::Rewritten, first, size));
        }
        if let Some((first, size)) = self.anchor_broken
            && self.chain_broken.is_none_or(|(_, broken)| broken > size)
        {
            report.proven = report.proven.min(first);
            if !report.has_bad_event(first, size) {
                report.add(Fault::new(FaultKind::RolledBack, first, size));
            }
        }
        if end < self.covered {
            report.add(Fault::new(FaultKind::TailCut, end, self.covered));
        }
        let is_anchor = |target: &&Target| matches!(target.source, Source::Anchor { .. });
        let anchored = self.targets.iter().filter(is_anchor).map(|target| target.size).max().unwrap_or(0);
        if end.max(self.covered) < anchored {
            report.add(Fault::new(FaultKind::RolledBack, end, anchored));
        }
    }
}
