use std::cmp::Ordering;

use super::hash::{Hash, empty_root, node_hash};
use super::node::NodeId;
use super::plan::{Side, walk};
use super::subtree::Subtree;

/// Why a proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The leaf is not one of the tree's.
    #[error("leaf {index} is not one of the leaves from {start} to below {end}")]
    OutOfRange {
        /// The leaf.
        index: u64,
        /// The first leaf of the tree.
        start: u64,
        /// The leaf behind the last.
        end: u64,
    },
    /// The older tree is the larger one.
    #[error("a tree of {new} leaves does not begin with one of {old}")]
    OutOfOrder {
        /// Leaves of the older tree.
        old: u64,
        /// Leaves of the newer tree.
        new: u64,
    },
    /// The range of leaves does not form a subtree.
    #[error("the leaves from {start} to below {end} do not form a subtree")]
    NotASubtree {
        /// The first leaf.
        start: u64,
        /// The leaf behind the last.
        end: u64,
    },
    /// From the empty tree there is nothing to prove: every tree begins with it.
    #[error("nothing can be proven about the empty tree")]
    FromNothing,
    /// The proof has not the length that the sizes ask for.
    #[error("{expected} hashes are needed here, not {found}")]
    WrongLength {
        /// How many hashes there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The proof leads to another root of the older tree, or of the subtree.
    #[error("the proof leads to the old root `{computed}`, not `{expected}`")]
    OldRoot {
        /// Where it leads.
        computed: Hash,
        /// Where it should.
        expected: Hash,
    },
    /// The proof leads to another root.
    #[error("the proof leads to the root `{computed}`, not `{expected}`")]
    Root {
        /// Where it leads.
        computed: Hash,
        /// Where it should.
        expected: Hash,
    },
    /// A node that the proof needs is not at hand.
    #[error("{node} is needed and not at hand")]
    MissingNode {
        /// The node.
        node: NodeId,
    },
    /// Bytes that are no proof.
    #[error("{length} bytes are no proof")]
    Malformed {
        /// How many bytes there are.
        length: usize,
    },
}

/// Checks that `leaf` is at `index` in the tree of `size` leaves with this root (RFC 9162, section 2.1.3.2).
///
/// It hashes once for each hash of the proof, of which there are at most 64, and never panics.
///
/// # Errors
/// When the proof does not show it.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: Hash,
    proof: &[Hash],
    root: Hash,
) -> Result<(), ProofError> {
    verify_subtree_inclusion(Subtree::tree(size), index, leaf, proof, root)
}

/// The root of the tree of `size` leaves in which the proof puts `leaf` at `index`. Compare it with one that you trust.
///
/// # Errors
/// When `index` is not below `size`, or the proof has another length than it must.
pub fn root_of_inclusion(index: u64, size: u64, leaf: Hash, proof: &[Hash]) -> Result<Hash, ProofError> {
    root_of_subtree_inclusion(Subtree::tree(size), index, leaf, proof)
}

/// Checks that `leaf` is at `index`, counted in the whole tree, in the subtree with this root
/// (draft-ietf-plants-merkle-tree-certs, section 4.2.3).
///
/// # Errors
/// When the proof does not show it.
pub fn verify_subtree_inclusion(
    subtree: Subtree,
    index: u64,
    leaf: Hash,
    proof: &[Hash],
    root: Hash,
) -> Result<(), ProofError> {
    same_root(root_of_subtree_inclusion(subtree, index, leaf, proof)?, root)
}

fn root_of_subtree_inclusion(
    subtree: Subtree,
    index: u64,
    leaf: Hash,
    proof: &[Hash],
) -> Result<Hash, ProofError> {
    if !subtree.contains(index) {
        return Err(ProofError::OutOfRange { index, start: subtree.start(), end: subtree.end() });
    }
    let walk = walk(subtree, Subtree::new(index, index.saturating_add(1))?)?;
    same_length(walk.steps.len(), proof.len())?;
    let up = |below: Hash, (step, beside): (&super::plan::Step, &Hash)| match step.side {
        Side::Right => node_hash(&below, beside),
        Side::Left | Side::Shared => node_hash(beside, &below),
    };
    Ok(walk.steps.iter().zip(proof).fold(leaf, up))
}

/// Checks that the tree of `old` leaves is the beginning of the tree of `new` leaves (RFC 9162, section 2.1.4.2).
///
/// As the RFC has it, trees of one size need the same root and an empty proof, and nothing is proven about a larger
/// tree from the empty one.
///
/// # Errors
/// When the proof does not show it.
pub fn verify_consistency(
    old: u64,
    new: u64,
    old_root: Hash,
    new_root: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    match old.cmp(&new) {
        Ordering::Greater => Err(ProofError::OutOfOrder { old, new }),
        Ordering::Equal => {
            same_length(0, proof.len())?;
            same_root(old_root, new_root)
        }
        Ordering::Less if old == 0 => Err(ProofError::FromNothing),
        Ordering::Less => grown(Subtree::tree(old), new, old_root, new_root, proof),
    }
}

/// Checks that the subtree with the root `subtree_root` is part of the tree of `size` leaves with the root `root`
/// (draft-ietf-plants-merkle-tree-certs, section 4.3.3). A subtree without leaves is part of every tree that reaches it.
///
/// # Errors
/// When the proof does not show it.
pub fn verify_subtree_consistency(
    subtree: Subtree,
    size: u64,
    subtree_root: Hash,
    root: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if subtree.end() > size {
        return Err(ProofError::OutOfOrder { old: subtree.end(), new: size });
    }
    if subtree.size() == 0 {
        same_length(0, proof.len())?;
        return same_old_root(empty_root(), subtree_root);
    }
    grown(subtree, size, subtree_root, root, proof)
}

fn grown(
    subtree: Subtree,
    size: u64,
    subtree_root: Hash,
    root: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    let walk = walk(Subtree::tree(size), subtree)?;
    same_length(walk.steps.len() + usize::from(walk.seed.is_some()), proof.len())?;
    let (seed, rest) = match (walk.seed, proof.split_first()) {
        (Some(_), Some((seed, rest))) => (*seed, rest),
        _ => (subtree_root, proof),
    };
    let (mut old, mut new) = (seed, seed);
    for (step, beside) in walk.steps.iter().zip(rest) {
        match step.side {
            Side::Right => new = node_hash(&new, beside),
            Side::Left => new = node_hash(beside, &new),
            Side::Shared => {
                old = node_hash(beside, &old);
                new = node_hash(beside, &new);
            }
        }
    }
    same_old_root(old, subtree_root)?;
    same_root(new, root)
}

fn same_length(expected: usize, found: usize) -> Result<(), ProofError> {
    if expected == found { Ok(()) } else { Err(ProofError::WrongLength { expected, found }) }
}

fn same_root(computed: Hash, expected: Hash) -> Result<(), ProofError> {
    if computed == expected { Ok(()) } else { Err(ProofError::Root { computed, expected }) }
}

fn same_old_root(computed: Hash, expected: Hash) -> Result<(), ProofError> {
    if computed == expected { Ok(()) } else { Err(ProofError::OldRoot { computed, expected }) }
}

/// The proof that a leaf is in a tree, to hand out.
///
/// ```
/// use guardian_audit::merkle::{InclusionProof, Tree, leaf_hash};
///
/// let mut tree = Tree::new();
/// (0..7_u32).for_each(|event| tree.append(leaf_hash(&event.to_be_bytes())));
///
/// let proof = tree.prove_inclusion(3, 7)?;
/// proof.verify(leaf_hash(&3_u32.to_be_bytes()), tree.root())?;
/// assert!(proof.verify(leaf_hash(&4_u32.to_be_bytes()), tree.root()).is_err());
/// assert_eq!(InclusionProof::from_bytes(&proof.to_bytes())?, proof);
/// # Ok::<(), guardian_audit::merkle::ProofError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The leaf.
    pub index: u64,
    /// Leaves of the tree.
    pub size: u64,
    /// The hashes beside the path, from the bottom up; at most 64.
    pub hashes: Vec<Hash>,
}

impl InclusionProof {
    /// Checks that `leaf` is in the tree with this root, at [`Self::index`]; see [`verify_inclusion`].
    ///
    /// # Errors
    /// When the proof does not show it.
    pub fn verify(&self, leaf: Hash, root: Hash) -> Result<(), ProofError> {
        verify_inclusion(self.index, self.size, leaf, &self.hashes, root)
    }

    /// The proof in bytes: index and size as 8 bytes each, the highest first, then the hashes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self.index, self.size, &self.hashes)
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are no proof: too few, too many, or not of whole hashes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        let (index, size, hashes) = from_bytes(bytes)?;
        Ok(Self { index, size, hashes })
    }
}

/// The proof that a tree is the beginning of another, to hand out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// Leaves of the older tree.
    pub old: u64,
    /// Leaves of the newer tree.
    pub new: u64,
    /// The hashes beside the path, from the bottom up; at most 65.
    pub hashes: Vec<Hash>,
}

impl ConsistencyProof {
    /// Checks that the tree with the root `old` is the beginning of that with the root `new`; see
    /// [`verify_consistency`].
    ///
    /// # Errors
    /// When the proof does not show it.
    pub fn verify(&self, old: Hash, new: Hash) -> Result<(), ProofError> {
        verify_consistency(self.old, self.new, old, new, &self.hashes)
    }

    /// The proof in bytes: both sizes as 8 bytes each, the highest first, then the hashes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self.old, self.new, &self.hashes)
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are no proof: too few, too many, or not of whole hashes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        let (old, new, hashes) = from_bytes(bytes)?;
        Ok(Self { old, new, hashes })
    }
}

/// The most hashes that a proof has: one for each bit of a size, and the seed.
const MOST_HASHES: usize = 65;

fn to_bytes(first: u64, second: u64, hashes: &[Hash]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + Hash::LEN * hashes.len());
    bytes.extend_from_slice(&first.to_be_bytes());
    bytes.extend_from_slice(&second.to_be_bytes());
    for hash in hashes {
        bytes.extend_from_slice(hash.as_bytes());
    }
    bytes
}

fn from_bytes(bytes: &[u8]) -> Result<(u64, u64, Vec<Hash>), ProofError> {
    let malformed = ProofError::Malformed { length: bytes.len() };
    let Some((first, rest)) = bytes.split_first_chunk::<8>() else { return Err(malformed) };
    let Some((second, rest)) = rest.split_first_chunk::<8>() else { return Err(malformed) };
    let (hashes, rest) = rest.as_chunks::<{ Hash::LEN }>();
    if !rest.is_empty() || hashes.len() > MOST_HASHES {
        return Err(malformed);
    }
    let hashes = hashes.iter().copied().map(Hash::new).collect();
    Ok((u64::from_be_bytes(*first), u64::from_be_bytes(*second), hashes))
}
