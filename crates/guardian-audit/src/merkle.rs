//! The Merkle tree that a tenant's log grows: RFC 6962, section 2.1, and RFC 9162, section 2.1, over SHA-256.
//!
//! A leaf is the hash of one event's canonical bytes. A [`Frontier`] is all that an appending store keeps in memory; the
//! hashes of leaves lie in [tiles](Tile) of 256, so that a proof over a million events reads a handful of them. What a
//! proof needs and how it is put together are two steps ([`ProofPlan`]), so a store that reads in between may be
//! synchronous or not.
//!
//! Verifying takes no store and never panics: [`verify_inclusion`], [`verify_consistency`], and the same for
//! [subtrees](Subtree) (draft-ietf-plants-merkle-tree-certs, section 4).

mod frontier;
mod hash;
mod node;
mod plan;
mod proof;
mod selection;
mod subtree;
mod tile;
mod tree;

pub use frontier::{Frontier, InvalidFrontier};
pub use hash::{Hash, InvalidHash, LeafHasher, empty_root, leaf_hash, node_hash};
pub use node::{Cover, NodeId};
pub use plan::ProofPlan;
pub use proof::{
    ConsistencyProof, InclusionProof, ProofError, root_of_inclusion, verify_consistency, verify_inclusion,
    verify_subtree_consistency, verify_subtree_inclusion,
};
pub use selection::Selection;
pub use subtree::Subtree;
pub use tile::{Tile, TileId, TileSet};
pub use tree::Tree;
