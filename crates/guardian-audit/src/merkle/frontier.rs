use super::hash::{Hash, empty_root, node_hash};
use super::node::NodeId;

/// The right edge of a tree: the roots of the full subtrees that its leaves form, one for each bit of the size.
///
/// It is what a store keeps of a tenant's tree to append to it and to know the root: 32 bytes for each bit, at most
/// 64. (In the literature a *compact range*; RFC 9162, section 2.1.2, has the procedure.)
///
/// ```
/// use guardian_audit::merkle::{Frontier, Tree, leaf_hash};
///
/// let (mut frontier, mut tree) = (Frontier::new(), Tree::new());
/// for event in 0..1000_u32 {
///     let leaf = leaf_hash(&event.to_be_bytes());
///     frontier.append(leaf);
///     tree.append(leaf);
/// }
/// assert_eq!(frontier.root(), tree.root());
/// assert_eq!(Frontier::from_bytes(&frontier.to_bytes())?, frontier);
/// # Ok::<(), guardian_audit::merkle::InvalidFrontier>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// One for each bit that is set in `size`, the highest first.
    roots: Vec<Hash>,
}

impl Frontier {
    /// The edge of the tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, roots: Vec::new() }
    }

    /// The edge of a tree of `size` leaves, with the roots of its full subtrees as [`Cover`](super::Cover) names them
    /// from 0 to `size`.
    ///
    /// # Errors
    /// When there are more or fewer roots than the size has bits that are set.
    pub fn from_parts(size: u64, roots: Vec<Hash>) -> Result<Self, InvalidFrontier> {
        if usize::try_from(size.count_ones()).is_ok_and(|count| count == roots.len()) {
            Ok(Self { size, roots })
        } else {
            Err(InvalidFrontier { size, found: roots.len() })
        }
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the full subtrees, the largest first.
    #[must_use]
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Appends a leaf. It takes as many hashes as the size ends in ones: one on average.
    ///
    /// A tree holds at most 2⁶⁴ − 1 leaves; a full one stays as it is.
    pub fn append(&mut self, leaf: Hash) {
        self.append_with(leaf, |_, _| {});
    }

    /// Appends leaves in their order.
    pub fn append_all(&mut self, leaves: &[Hash]) {
        for leaf in leaves {
            self.append(*leaf);
        }
    }

    /// Appends a leaf and tells `filled` of every node that it fills, from the leaf upwards.
    ///
    /// A store that keeps [tiles](super::Tile) writes those whose level is a multiple of 8, the leaf first.
    pub fn append_with(&mut self, leaf: Hash, mut filled: impl FnMut(NodeId, Hash)) {
        self.grow(0, leaf, &mut filled);
    }

    /// Appends 2ˡᵉᵛᵉˡ leaves of which only the root is known. Returns whether it could: the size must be a multiple of
    /// that width, and what comes must fit.
    #[must_use = "a subtree that does not fit is left out"]
    pub fn append_subtree(&mut self, level: u8, root: Hash) -> bool {
        let fits = 1_u64
            .checked_shl(u32::from(level))
            .is_some_and(|width| self.size.is_multiple_of(width) && self.size.checked_add(width).is_some());
        if fits {
            self.grow(level, root, &mut |_, _| {});
        }
        fits
    }

    fn grow(&mut self, level: u8, root: Hash, filled: &mut impl FnMut(NodeId, Hash)) {
        let Some(size) = 1_u64.checked_shl(u32::from(level)).and_then(|width| self.size.checked_add(width))
        else {
            return;
        };
        let mut node = NodeId { level, index: self.size >> level };
        let mut root = root;
        filled(node, root);
        // Each one at the end of the node's index is a full left neighbour.
        while node.index & 1 == 1 {
            let Some(left) = self.roots.pop() else { break };
            root = node_hash(&left, &root);
            node = NodeId { level: node.level + 1, index: node.index >> 1 };
            filled(node, root);
        }
        self.roots.push(root);
        self.size = size;
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        match roots.next() {
            None => empty_root(),
            Some(last) => roots.fold(*last, |right, left| node_hash(left, &right)),
        }
    }

    /// The edge in bytes: the size as 8 bytes, the highest first, then the roots.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + Hash::LEN * self.roots.len());
        bytes.extend_from_slice(&self.size.to_be_bytes());
        for root in &self.roots {
            bytes.extend_from_slice(root.as_bytes());
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote. It cannot know whether the hashes are those of the tree; compare the root.
    ///
    /// # Errors
    /// When the length is not the one that the size asks for.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidFrontier> {
        let Some((size, roots)) = bytes.split_first_chunk::<8>() else {
            return Err(InvalidFrontier { size: 0, found: 0 });
        };
        let size = u64::from_be_bytes(*size);
        let (roots, rest) = roots.as_chunks::<{ Hash::LEN }>();
        if !rest.is_empty() {
            return Err(InvalidFrontier { size, found: roots.len() });
        }
        Self::from_parts(size, roots.iter().copied().map(Hash::new).collect())
    }
}

/// Something that is no [`Frontier`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the edge of a tree of {size} leaves has {} hashes of 32 bytes, not {found}", size.count_ones())]
pub struct InvalidFrontier {
    size: u64,
    found: usize,
}
