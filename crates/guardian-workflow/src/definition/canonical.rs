use std::fmt;
use std::str::FromStr;

use guardian_core::shorten;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Definition;
use crate::error::Error;

impl Definition {
    /// The content as one text: JSON without spaces, keys sorted by their bytes, without layout and without what is as by
    /// default. Two definitions that say the same have the same text.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.content().to_string()
    }

    /// The content as a JSON value: the definition without its layout.
    pub(crate) fn content(&self) -> Value {
        let mut value = self.to_value();
        if let Value::Object(members) = &mut value {
            members.remove("layout");
        }
        value
    }

    /// SHA-256 of [`Self::canonical`]: the identity of a version's content.
    ///
    /// ```
    /// use guardian_workflow::{Definition, Node, NodeId, NodeKind, Place};
    ///
    /// let end = NodeId::new("end")?;
    /// let mut definition = Definition::new("nothing", end.clone(), Node::new(NodeKind::End { result: None }));
    /// let hash = definition.content_hash();
    /// definition.layout.insert(end, Place::new(10, 20));
    /// assert_eq!(definition.content_hash(), hash);
    /// # Ok::<(), guardian_workflow::InvalidName>(())
    /// ```
    #[must_use]
    pub fn content_hash(&self) -> ContentHash {
        ContentHash(Sha256::digest(self.canonical().as_bytes()).into())
    }
}

/// What a definition says, as 32 bytes; as text lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// Of these bytes: the SHA-256.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

impl FromStr for ContentHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (pairs, odd) = text.as_bytes().as_chunks::<2>();
            let mut bytes = [0; 32];
            if !odd.is_empty() || pairs.len() != bytes.len() {
                return None;
            }
            for (byte, pair) in bytes.iter_mut().zip(pairs) {
                *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
            }
            Some(Self(bytes))
        };
        read().filter(|hash| hash.to_string() == text).ok_or_else(|| Error::Hash { input: shorten(text) })
    }
}

impl TryFrom<String> for ContentHash {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.to_string()
    }
}
