use super::frontier::Frontier;
use super::hash::Hash;
use super::node::{Cover, NodeId};
use super::proof::ProofError;

/// One proof for many leaves: some leaves of a tree are known, and what lies between them stands as the roots of full
/// subtrees.
///
/// The leaves come in ascending order, so that neither side needs more memory than the tree is high. The prover asks for
/// the nodes of each [`gap`](Self::gap) and writes down their hashes; the verifier asks the same, reads them, and ends at
/// the [`root`](Self::root). A range without holes costs two gaps, some forty hashes in a million leaves; a sparse
/// selection shares what its paths have in common.
///
/// ```
/// use guardian_audit::merkle::{Hash, Selection, Tree, leaf_hash};
///
/// let leaf = |event: u64| leaf_hash(&event.to_be_bytes());
/// let mut tree = Tree::new();
/// (0..1000).for_each(|event| tree.append(leaf(event)));
///
/// let chosen = [7, 8, 500];
/// let mut selection = Selection::new(1000);
/// let mut proof: Vec<Hash> = Vec::new();
/// for index in chosen {
///     for node in selection.gap(index)? {
///         let hash = tree.node(node).unwrap();
///         proof.push(hash); // a verifier would take it from the proof
///         selection.skip(node, hash)?;
///     }
///     selection.leaf(leaf(index))?;
/// }
/// for node in selection.rest() {
///     let hash = tree.node(node).unwrap();
///     proof.push(hash);
///     selection.skip(node, hash)?;
/// }
/// assert_eq!(selection.root(), Some(tree.root()));
/// assert!(proof.len() < 30);
/// # Ok::<(), guardian_audit::merkle::ProofError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Selection {
    frontier: Frontier,
    size: u64,
}

impl Selection {
    /// The beginning of a selection from a tree of `size` leaves.
    #[must_use]
    pub const fn new(size: u64) -> Self {
        Self { frontier: Frontier::new(), size }
    }

    /// How many leaves of the tree are accounted for: the index of the next leaf.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.frontier.size()
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The nodes between here and the leaf at `index`, each to be [skipped](Self::skip).
    ///
    /// # Errors
    /// When the leaf lies behind, or not in the tree.
    pub fn gap(&self, index: u64) -> Result<Cover, ProofError> {
        if index < self.position() || index >= self.size {
            return Err(ProofError::OutOfRange { index, start: self.position(), end: self.size });
        }
        Ok(Cover::new(self.position(), index))
    }

    /// The nodes between here and the end of the tree.
    #[must_use]
    pub fn rest(&self) -> Cover {
        Cover::new(self.position(), self.size)
    }

    /// Takes the hash of a node in whose leaves nobody is interested.
    ///
    /// # Errors
    /// When the node does not begin here, or ends beyond the tree.
    pub fn skip(&mut self, node: NodeId, hash: Hash) -> Result<(), ProofError> {
        let (start, width) = (node.start(), node.width());
        let end = start.saturating_add(width);
        let fits = width > 0 && start == self.position() && end <= self.size;
        if fits && self.frontier.append_subtree(node.level, hash) {
            Ok(())
        } else {
            Err(ProofError::OutOfRange { index: start, start: self.position(), end: self.size })
        }
    }

    /// Takes the next leaf.
    ///
    /// # Errors
    /// When the tree has no more.
    pub fn leaf(&mut self, hash: Hash) -> Result<(), ProofError> {
        self.skip(NodeId::leaf(self.position()), hash)
    }

    /// The root, once every leaf is accounted for; `None` before.
    #[must_use]
    pub fn root(&self) -> Option<Hash> {
        (self.position() == self.size).then(|| self.frontier.root())
    }
}
