use std::fmt;

use super::proof::ProofError;

/// A range of leaves that forms a tree of its own within the whole: its start is a multiple of the least power of two
/// that is not below its size (draft-ietf-plants-merkle-tree-certs, section 4.1).
///
/// The whole tree of *n* leaves is the subtree from 0 to *n*, and a single leaf is one.
///
/// ```
/// use guardian_audit::merkle::Subtree;
///
/// assert_eq!(Subtree::new(8, 13)?.to_string(), "[8, 13)");
/// assert!(Subtree::new(4, 9).is_err()); // five leaves need a multiple of eight
/// # Ok::<(), guardian_audit::merkle::ProofError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subtree {
    start: u64,
    end: u64,
}

impl Subtree {
    /// The subtree of the leaves from `start` to below `end`.
    ///
    /// # Errors
    /// When the two bounds form none.
    pub fn new(start: u64, end: u64) -> Result<Self, ProofError> {
        let invalid = ProofError::NotASubtree { start, end };
        let Some(size) = end.checked_sub(start) else { return Err(invalid) };
        let aligned = match size.checked_next_power_of_two() {
            Some(width) => start.is_multiple_of(width),
            // The width would be 2⁶⁴, of which only 0 is a multiple.
            None => start == 0,
        };
        if aligned { Ok(Self { start, end }) } else { Err(invalid) }
    }

    /// The whole tree of so many leaves.
    #[must_use]
    pub const fn tree(size: u64) -> Self {
        Self { start: 0, end: size }
    }

    /// The first leaf.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// The leaf behind the last.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.end - self.start
    }

    /// Whether the leaf with this index is one of its.
    #[must_use]
    pub const fn contains(&self, index: u64) -> bool {
        self.start <= index && index < self.end
    }

    /// Two neighbouring subtrees that together cover the leaves from `start` to below `end`: nothing lies behind the
    /// end, and what lies before the start is less than half of the first (section 4.4 of the draft). A range of at
    /// most one leaf is the first, and the second is empty.
    ///
    /// # Errors
    /// When `start` is greater than `end`.
    pub fn covering(start: u64, end: u64) -> Result<(Self, Self), ProofError> {
        let Some(size) = end.checked_sub(start) else { return Err(ProofError::NotASubtree { start, end }) };
        if size <= 1 {
            return Ok((Self { start, end }, Self { start: end, end }));
        }
        let last = end - 1;
        // Where the paths to the two ends part, from the top.
        let split = u64::BITS - 1 - (start ^ last).leading_zeros();
        let low = (1_u64 << split) - 1;
        let middle = last & !low;
        let free = u64::BITS - (!start & low).leading_zeros();
        let below = 1_u64.checked_shl(free).map_or(u64::MAX, |width| width - 1);
        Ok((Self::new(start & !below, middle)?, Self::new(middle, end)?))
    }
}

impl fmt::Display for Subtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}
