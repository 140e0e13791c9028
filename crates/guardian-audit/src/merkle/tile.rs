use std::collections::BTreeMap;

use super::frontier::Frontier;
use super::hash::{Hash, node_hash};
use super::node::{Cover, NodeId};
use super::proof::ProofError;

/// The place of a [`Tile`]: `level` 0 holds leaves, each further one the roots of the tiles below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// The level of tiles, 0 to 7: the hashes are nodes at eight times this level.
    pub level: u8,
    /// How many tiles of this level lie to the left.
    pub index: u64,
}

impl TileId {
    /// The tile from which the hash of a node is computed.
    #[must_use]
    pub fn of(node: NodeId) -> Self {
        let within = node.level % Tile::HEIGHT;
        let entry = node.index.checked_shl(u32::from(within)).unwrap_or(0);
        Self { level: node.level / Tile::HEIGHT, index: entry >> Tile::HEIGHT }
    }

    /// The tiles from which the hashes of these nodes are computed, each once, in order.
    #[must_use]
    pub fn of_all(nodes: &[NodeId]) -> Vec<Self> {
        let mut tiles: Vec<Self> = nodes.iter().copied().map(Self::of).collect();
        tiles.sort_unstable();
        tiles.dedup();
        tiles
    }

    /// How many hashes the tile has in a tree of `size` leaves: at most [`Tile::WIDTH`], fewer at the right edge.
    #[must_use]
    pub fn width(&self, size: u64) -> usize {
        let entries = size.checked_shr(u32::from(self.level) * u32::from(Tile::HEIGHT)).unwrap_or(0);
        let before = self.index.saturating_mul(Tile::WIDTH as u64);
        usize::try_from(entries.saturating_sub(before)).map_or(Tile::WIDTH, |width| width.min(Tile::WIDTH))
    }
}

/// Up to 256 hashes that lie side by side: what a store reads at once to prove something.
///
/// The layout is that of C2SP tlog-tiles and static-ct: a tile of level *l* holds nodes at height 8*l*, and the root of a
/// full tile is one hash of the level above. A tree of a million leaves has tiles on three levels, and whatever is
/// proven about it needs a few of each.
///
/// ```
/// use guardian_audit::merkle::{Frontier, ProofPlan, Tile, TileId, TileSet, leaf_hash, verify_inclusion};
///
/// // What a store writes while it appends: the leaf, and each root of a full tile.
/// let mut stored: [Vec<_>; 3] = Default::default();
/// let mut frontier = Frontier::new();
/// for event in 0..100_000_u32 {
///     frontier.append_with(leaf_hash(&event.to_be_bytes()), |node, hash| {
///         if node.level % Tile::HEIGHT == 0 {
///             stored[usize::from(node.level / Tile::HEIGHT)].push(hash);
///         }
///     });
/// }
///
/// // What it does to prove.
/// let plan = ProofPlan::inclusion(4711, 100_000)?;
/// let mut tiles = TileSet::new().with_frontier(&frontier);
/// for id in tiles.missing(plan.nodes()) {
///     let hashes = stored[usize::from(id.level)].chunks(Tile::WIDTH).nth(id.index as usize).unwrap();
///     tiles.insert(Tile::new(id, hashes.to_vec())?);
/// }
/// assert!(tiles.len() <= 3);
/// let proof = plan.assemble(&tiles.hashes(plan.nodes())?)?;
/// verify_inclusion(4711, 100_000, leaf_hash(&4711_u32.to_be_bytes()), &proof, frontier.root())?;
/// # Ok::<(), guardian_audit::merkle::ProofError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    id: TileId,
    hashes: Vec<Hash>,
}

impl Tile {
    /// The levels of the tree that a tile spans.
    pub const HEIGHT: u8 = 8;

    /// The most hashes of a tile.
    pub const WIDTH: usize = 1 << Self::HEIGHT;

    /// The tile at this place with these hashes.
    ///
    /// # Errors
    /// When there are more than [`Self::WIDTH`].
    pub fn new(id: TileId, hashes: Vec<Hash>) -> Result<Self, ProofError> {
        if hashes.len() > Self::WIDTH {
            return Err(ProofError::WrongLength { expected: Self::WIDTH, found: hashes.len() });
        }
        Ok(Self { id, hashes })
    }

    /// Reads a tile from the hashes' bytes, one after the other.
    ///
    /// # Errors
    /// When they are not whole hashes, or more than [`Self::WIDTH`].
    pub fn from_bytes(id: TileId, bytes: &[u8]) -> Result<Self, ProofError> {
        let (hashes, rest) = bytes.as_chunks::<{ Hash::LEN }>();
        if !rest.is_empty() {
            return Err(ProofError::Malformed { length: bytes.len() });
        }
        Self::new(id, hashes.iter().copied().map(Hash::new).collect())
    }

    /// Where it is.
    #[must_use]
    pub const fn id(&self) -> TileId {
        self.id
    }

    /// Its hashes, from left to right.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The hash of a node that this tile has or covers in full; `None` otherwise.
    ///
    /// It hashes once less than the hashes that the node covers here, at most 127 times.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Option<Hash> {
        if TileId::of(node) != self.id {
            return None;
        }
        let within = u32::from(node.level % Self::HEIGHT);
        let first = node.index.checked_shl(within)? % Self::WIDTH as u64;
        let first = usize::try_from(first).ok()?;
        full_root(self.hashes.get(first..first + (1 << within))?)
    }

    /// The root of a full tile, which the tile above has as one hash; `None` while it is not full.
    #[must_use]
    pub fn root(&self) -> Option<Hash> {
        if self.hashes.len() == Self::WIDTH { full_root(&self.hashes) } else { None }
    }
}

/// The root over so many hashes as a power of two. The recursion is at most eight deep.
fn full_root(hashes: &[Hash]) -> Option<Hash> {
    match hashes {
        [] => None,
        [one] => Some(*one),
        more => {
            let (left, right) = more.split_at(more.len() / 2);
            Some(node_hash(&full_root(left)?, &full_root(right)?))
        }
    }
}

/// The tiles that were read for a proof; see [`Tile`].
#[derive(Debug, Clone, Default)]
pub struct TileSet {
    tiles: BTreeMap<TileId, Tile>,
    edge: BTreeMap<NodeId, Hash>,
}

impl TileSet {
    /// No tiles.
    #[must_use]
    pub const fn new() -> Self {
        Self { tiles: BTreeMap::new(), edge: BTreeMap::new() }
    }

    /// The same with the nodes of a tree's edge, which a store has in memory. A proof about the tree of this size needs
    /// some of them, and otherwise reads and hashes tiles at the right edge for each.
    #[must_use]
    pub fn with_frontier(mut self, frontier: &Frontier) -> Self {
        self.edge.extend(Cover::new(0, frontier.size()).zip(frontier.roots().iter().copied()));
        self
    }

    /// The tiles that are to be read for these nodes, each once, in order.
    #[must_use]
    pub fn missing(&self, nodes: &[NodeId]) -> Vec<TileId> {
        let unknown: Vec<NodeId> =
            nodes.iter().copied().filter(|node| !self.edge.contains_key(node)).collect();
        let mut tiles = TileId::of_all(&unknown);
        tiles.retain(|tile| !self.tiles.contains_key(tile));
        tiles
    }

    /// Adds a tile.
    pub fn insert(&mut self, tile: Tile) {
        self.tiles.insert(tile.id, tile);
    }

    /// How many tiles there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tiles.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tiles.is_empty()
    }

    /// The hash of a node; `None` when its tile is not here or too short.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Option<Hash> {
        match self.edge.get(&node) {
            Some(hash) => Some(*hash),
            None => self.tiles.get(&TileId::of(node))?.node(node),
        }
    }

    /// The hashes of these nodes, in their order: what [`ProofPlan::assemble`](super::ProofPlan::assemble) takes.
    ///
    /// # Errors
    /// The first node whose tile is not here or too short.
    pub fn hashes(&self, nodes: &[NodeId]) -> Result<Vec<Hash>, ProofError> {
        nodes.iter().map(|node| self.node(*node).ok_or(ProofError::MissingNode { node: *node })).collect()
    }
}
