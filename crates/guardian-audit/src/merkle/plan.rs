use super::hash::{Hash, node_hash};
use super::node::{Cover, NodeId};
use super::proof::ProofError;
use super::subtree::Subtree;

/// On which side of the path the hash of a proof stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// To its right: the new tree has it, the proven subtree does not.
    Right,
    /// To its left, outside of the proven subtree.
    Left,
    /// To its left and part of the proven subtree.
    Shared,
}

/// One step on the way up from a subtree to the root of the tree around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) side: Side,
    start: u64,
    end: u64,
}

/// The way from a subtree up to the root of the tree around it.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    /// Where the way begins when the subtree itself is no node of the tree: its right end, which the proof has to name.
    pub(super) seed: Option<Step>,
    /// From the bottom up.
    pub(super) steps: Vec<Step>,
}

/// `SUBTREE_PROOF` of draft-ietf-plants-merkle-tree-certs, section 4.3.1. With one leaf inside it is `PATH`, with the
/// same start it is `PROOF` of RFC 6962, sections 2.1.1 and 2.1.2. The loop halves the range, so it ends within 64 rounds.
pub(super) fn walk(outer: Subtree, inner: Subtree) -> Result<Walk, ProofError> {
    let (mut low, mut high) = (outer.start(), outer.end());
    let (mut start, end) = (inner.start(), inner.end());
    if start < low || end > high || start >= end {
        return Err(ProofError::NotASubtree { start, end });
    }
    let mut steps = Vec::with_capacity(32);
    let mut whole = true;
    while (low, high) != (start, end) {
        let middle = low + largest_power_below(high - low);
        if end <= middle {
            steps.push(Step { side: Side::Right, start: middle, end: high });
            high = middle;
        } else if middle <= start {
            steps.push(Step { side: Side::Left, start: low, end: middle });
            low = middle;
        } else if low == start {
            steps.push(Step { side: Side::Shared, start: low, end: middle });
            (low, start) = (middle, middle);
            whole = false;
        } else {
            return Err(ProofError::NotASubtree { start, end });
        }
    }
    steps.reverse();
    let seed = (!whole).then_some(Step { side: Side::Shared, start: low, end: high });
    Ok(Walk { seed, steps })
}

/// The largest power of two below `size`, which is at least 2.
fn largest_power_below(size: u64) -> u64 {
    1 << size.saturating_sub(1).checked_ilog2().unwrap_or(0)
}

/// What a proof needs, before anything is read: the [nodes](Self::nodes) to fetch, from which it is
/// [assembled](Self::assemble).
///
/// ```
/// use guardian_audit::merkle::{ProofPlan, Tree, leaf_hash, verify_inclusion};
///
/// let mut tree = Tree::new();
/// (0..1000_u32).for_each(|event| tree.append(leaf_hash(&event.to_be_bytes())));
///
/// let plan = ProofPlan::inclusion(421, 1000)?;
/// let fetched: Option<Vec<_>> = plan.nodes().iter().map(|node| tree.node(*node)).collect();
/// let proof = plan.assemble(&fetched.unwrap())?;
/// verify_inclusion(421, 1000, leaf_hash(&421_u32.to_be_bytes()), &proof, tree.root())?;
/// # Ok::<(), guardian_audit::merkle::ProofError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ProofPlan {
    nodes: Vec<NodeId>,
    /// How many of the nodes make each hash of the proof.
    groups: Vec<usize>,
}

impl ProofPlan {
    /// The proof that the leaf at `index` is in the tree of `size` leaves: `PATH` of RFC 6962, section 2.1.1.
    ///
    /// # Errors
    /// When `index` is not below `size`.
    pub fn inclusion(index: u64, size: u64) -> Result<Self, ProofError> {
        Self::subtree_inclusion(Subtree::tree(size), index)
    }

    /// The proof that the tree of `old` leaves is the beginning of the tree of `new` leaves: `PROOF` of RFC 6962,
    /// section 2.1.2. It is empty when nothing was added, and when there was nothing.
    ///
    /// # Errors
    /// When `old` is greater than `new`.
    pub fn consistency(old: u64, new: u64) -> Result<Self, ProofError> {
        Self::subtree_consistency(Subtree::tree(old), new)
    }

    /// The proof that the leaf at `index`, counted in the whole tree, is in a subtree.
    ///
    /// # Errors
    /// When it is not.
    pub fn subtree_inclusion(subtree: Subtree, index: u64) -> Result<Self, ProofError> {
        if !subtree.contains(index) {
            return Err(ProofError::OutOfRange { index, start: subtree.start(), end: subtree.end() });
        }
        let leaf = Subtree::new(index, index.saturating_add(1))?;
        Ok(Self::of(&walk(subtree, leaf)?))
    }

    /// The proof that a subtree is part of the tree of `size` leaves.
    ///
    /// # Errors
    /// When it ends beyond the tree.
    pub fn subtree_consistency(subtree: Subtree, size: u64) -> Result<Self, ProofError> {
        if subtree.end() > size {
            return Err(ProofError::OutOfOrder { old: subtree.end(), new: size });
        }
        if subtree.size() == 0 {
            return Ok(Self { nodes: Vec::new(), groups: Vec::new() });
        }
        Ok(Self::of(&walk(Subtree::tree(size), subtree)?))
    }

    fn of(walk: &Walk) -> Self {
        let mut plan =
            Self { nodes: Vec::with_capacity(32), groups: Vec::with_capacity(walk.steps.len() + 1) };
        for step in walk.seed.iter().chain(&walk.steps) {
            let before = plan.nodes.len();
            plan.nodes.extend(Cover::new(step.start, step.end));
            plan.groups.push(plan.nodes.len() - before);
        }
        plan
    }

    /// The nodes whose hashes the proof is made of.
    #[must_use]
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// How many hashes the proof has.
    #[must_use]
    pub fn proof_len(&self) -> usize {
        self.groups.len()
    }

    /// The proof, from the hashes of [`Self::nodes`] in their order.
    ///
    /// # Errors
    /// When there are more or fewer hashes than nodes.
    pub fn assemble(&self, hashes: &[Hash]) -> Result<Vec<Hash>, ProofError> {
        if hashes.len() != self.nodes.len() {
            return Err(ProofError::WrongLength { expected: self.nodes.len(), found: hashes.len() });
        }
        let mut rest = hashes;
        let fold = |group: &usize| {
            let (these, others) = rest.split_at_checked(*group)?;
            rest = others;
            let (last, left) = these.split_last()?;
            Some(left.iter().rev().fold(*last, |right, left| node_hash(left, &right)))
        };
        let proof: Option<Vec<Hash>> = self.groups.iter().map(fold).collect();
        proof.ok_or(ProofError::WrongLength { expected: self.nodes.len(), found: hashes.len() })
    }
}
