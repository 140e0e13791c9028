use super::frontier::Frontier;
use super::hash::Hash;
use super::node::{Cover, NodeId};
use super::plan::ProofPlan;
use super::proof::{ConsistencyProof, InclusionProof, ProofError};

/// A whole tree in memory: 64 bytes for each leaf, every node at hand.
///
/// ```
/// use guardian_audit::merkle::{Tree, leaf_hash};
///
/// let mut tree = Tree::new();
/// tree.append(leaf_hash(b"first"));
/// let before = tree.root();
/// tree.append(leaf_hash(b"second"));
/// assert_eq!(tree.root_at(1), Some(before));
/// tree.prove_consistency(1, 2)?.verify(before, tree.root())?;
/// # Ok::<(), guardian_audit::merkle::ProofError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Tree {
    frontier: Frontier,
    /// The full nodes of each level, from left to right.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { frontier: Frontier::new(), levels: Vec::new() }
    }

    /// Appends a leaf.
    pub fn append(&mut self, leaf: Hash) {
        let Self { frontier, levels } = self;
        frontier.append_with(leaf, |node, hash| match levels.get_mut(usize::from(node.level)) {
            Some(level) => level.push(hash),
            // A level begins right above the one that was there.
            None => levels.push(vec![hash]),
        });
    }

    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Its right edge.
    #[must_use]
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The root that it had with `size` leaves; `None` when it has fewer.
    #[must_use]
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        let roots: Option<Vec<Hash>> = Cover::new(0, size).map(|node| self.node(node)).collect();
        Some(Frontier::from_parts(size, roots?).ok()?.root())
    }

    /// The hash of a full node; `None` when the tree does not fill it.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Option<Hash> {
        self.levels.get(usize::from(node.level))?.get(usize::try_from(node.index).ok()?).copied()
    }

    /// The hashes of all leaves, in order.
    #[must_use]
    pub fn leaves(&self) -> &[Hash] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// The proof that the leaf at `index` was in the tree when it had `size` leaves.
    ///
    /// # Errors
    /// When it was not, or the tree has fewer leaves.
    pub fn prove_inclusion(&self, index: u64, size: u64) -> Result<InclusionProof, ProofError> {
        let hashes = self.prove(&ProofPlan::inclusion(index, size)?)?;
        Ok(InclusionProof { index, size, hashes })
    }

    /// The proof that the tree with `new` leaves began with that of `old`.
    ///
    /// # Errors
    /// When `old` is greater than `new`, or the tree has fewer than `new` leaves.
    pub fn prove_consistency(&self, old: u64, new: u64) -> Result<ConsistencyProof, ProofError> {
        let hashes = self.prove(&ProofPlan::consistency(old, new)?)?;
        Ok(ConsistencyProof { old, new, hashes })
    }

    /// The proof that a plan describes.
    ///
    /// # Errors
    /// When the tree does not have what the plan needs.
    pub fn prove(&self, plan: &ProofPlan) -> Result<Vec<Hash>, ProofError> {
        let hash = |node: &NodeId| self.node(*node).ok_or(ProofError::MissingNode { node: *node });
        let hashes: Vec<Hash> = plan.nodes().iter().map(hash).collect::<Result<_, _>>()?;
        plan.assemble(&hashes)
    }
}
