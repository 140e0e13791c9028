use std::fmt;

/// A node whose subtree is full: at `level` *l* and `index` *i* it covers the leaves from *i* · 2ˡ to below
/// (*i* + 1) · 2ˡ. Leaves are at level 0.
///
/// A full node never changes as the tree grows; that is what makes it worth storing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// How far above the leaves, 0 to 63.
    pub level: u8,
    /// How many nodes of its level lie to the left.
    pub index: u64,
}

impl NodeId {
    /// The leaf with this index.
    #[must_use]
    pub const fn leaf(index: u64) -> Self {
        Self { level: 0, index }
    }

    /// The first leaf below the node.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.index.checked_shl(u32::from(self.level)).unwrap_or(0)
    }

    /// How many leaves lie below the node.
    #[must_use]
    pub fn width(&self) -> u64 {
        1_u64.checked_shl(u32::from(self.level)).unwrap_or(0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} of level {}", self.index, self.level)
    }
}

/// The fewest full nodes that cover a range of leaves, from left to right.
///
/// There are at most 126 of them: up to 63 that grow from the start, then up to 63 that shrink towards the end.
///
/// ```
/// use guardian_audit::merkle::{Cover, NodeId};
///
/// let nodes: Vec<NodeId> = Cover::new(3, 9).collect();
/// let levels: Vec<u8> = nodes.iter().map(|node| node.level).collect();
/// assert_eq!(levels, [0, 2, 0]); // leaf 3, the node over 4 to 7, leaf 8
/// ```
#[derive(Debug, Clone)]
pub struct Cover {
    at: u64,
    end: u64,
}

impl Cover {
    /// The nodes that cover the leaves from `start` to below `end`; none when `end` is not greater.
    #[must_use]
    pub const fn new(start: u64, end: u64) -> Self {
        Self { at: start, end }
    }
}

impl Iterator for Cover {
    type Item = NodeId;

    fn next(&mut self) -> Option<NodeId> {
        let left = self.end.checked_sub(self.at)?;
        let largest = left.checked_ilog2()?;
        // A node begins at a multiple of its width; at 0 every width does.
        let level = largest.min(self.at.trailing_zeros());
        let node = NodeId { level: u8::try_from(level).ok()?, index: self.at >> level };
        self.at += 1 << level;
        Some(node)
    }
}
