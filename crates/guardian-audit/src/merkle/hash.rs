use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

/// A SHA-256 hash in the tree: of a leaf, of a node, or the root.
///
/// As text it is 64 lower-case hexadecimal digits. Roots and leaf hashes are public values, so comparing them takes no
/// constant time.
///
/// ```
/// use guardian_audit::merkle::{Hash, leaf_hash, node_hash};
///
/// let (ann, ben) = (leaf_hash(b"ann"), leaf_hash(b"ben"));
/// let root = node_hash(&ann, &ben);
/// assert_eq!(root.to_string().parse::<Hash>()?, root);
/// # Ok::<(), guardian_audit::merkle::InvalidHash>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash([u8; Hash::LEN]);

impl Hash {
    /// The length of a hash, in bytes.
    pub const LEN: usize = 32;

    /// Thirty-two zero bytes: stands where there is no hash, for SHA-256 of nothing that anybody knows is zero.
    pub const ZERO: Self = Self([0; Self::LEN]);

    /// The hash with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The hash in a slice of exactly [`Self::LEN`] bytes; `None` when there are more or fewer.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl From<[u8; Hash::LEN]> for Hash {
    fn from(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }
}

impl From<Hash> for [u8; Hash::LEN] {
    fn from(hash: Hash) -> Self {
        hash.0
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let (pairs, odd) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; Self::LEN];
        if pairs.len() != Self::LEN || !odd.is_empty() {
            return Err(InvalidHash { length: text.len() });
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low)) else {
                return Err(InvalidHash { length: text.len() });
            };
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

/// Lower-case only, so that a hash has one spelling.
fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl TryFrom<String> for Hash {
    type Error = InvalidHash;

    fn try_from(text: String) -> Result<Self, InvalidHash> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

/// A text that is no [`struct@Hash`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 digits of `0-9 a-f`, not a text of {length} bytes that is none")]
pub struct InvalidHash {
    length: usize,
}

/// The root of the tree without leaves: SHA-256 of nothing (RFC 6962, section 2.1).
#[must_use]
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// The hash of a leaf: SHA-256 of a zero byte and the leaf's bytes (RFC 6962, section 2.1).
///
/// The byte in front tells leaves from inner nodes, so nobody passes the two hashes under a node off as a leaf.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    let mut hasher = LeafHasher::new();
    hasher.update(bytes);
    hasher.finish()
}

/// The state that SHA-256 begins with (FIPS 180-4, section 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The length of what a node hashes, in bits, which stands behind the padding (section 5.1.1).
const NODE_BITS: u64 = 8 * 65;

/// The hash of an inner node: SHA-256 of a one byte and the hashes of its children (RFC 6962, section 2.1).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    // The message has 65 bytes whatever it says, so that its two blocks are laid out at once: a node is hashed for each leaf
    // and for each step of a proof, and a hasher that buffers takes half as long again.
    let mut blocks = [[0; 64]; 2];
    // The lengths are known to the compiler, so that nothing of this is decided when it runs.
    if let Some((prefix, rest)) = blocks.as_flattened_mut().split_first_mut()
        && let Some((first, rest)) = rest.split_first_chunk_mut()
        && let Some((second, rest)) = rest.split_first_chunk_mut()
        && let Some(padding) = rest.first_mut()
    {
        (*prefix, *first, *second, *padding) = (1, left.0, right.0, 0x80);
    }
    let [_, last] = &mut blocks;
    if let Some(length) = last.last_chunk_mut() {
        *length = NODE_BITS.to_be_bytes();
    }
    let mut state = INITIAL;
    compress256(&mut state, &blocks);
    let mut hash = [0; Hash::LEN];
    for (to, from) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *to = from.to_be_bytes();
    }
    Hash(hash)
}

/// The [`leaf_hash`] of bytes that come in pieces.
///
/// ```
/// use guardian_audit::merkle::{LeafHasher, leaf_hash};
///
/// let mut hasher = LeafHasher::new();
/// hasher.update(b"heading, ");
/// hasher.update(b"body");
/// assert_eq!(hasher.finish(), leaf_hash(b"heading, body"));
/// ```
#[derive(Debug, Clone)]
pub struct LeafHasher(Sha256);

impl LeafHasher {
    /// A hasher that has seen nothing of the leaf yet.
    #[must_use]
    pub fn new() -> Self {
        let mut hasher = Sha256::new();
        hasher.update([0]);
        Self(hasher)
    }

    /// Takes the next bytes of the leaf.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all that it took.
    #[must_use]
    pub fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

impl Default for LeafHasher {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_what_a_hasher_says() {
        let mut hash = leaf_hash(b"first");
        for round in 0..100_u8 {
            let other = leaf_hash(&[round]);
            let mut hasher = Sha256::new();
            for part in [&[1][..], hash.as_ref(), other.as_ref()] {
                hasher.update(part);
            }
            let wanted = Hash(hasher.finalize().into());
            assert_eq!(node_hash(&hash, &other), wanted);
            hash = wanted;
        }
    }
}
