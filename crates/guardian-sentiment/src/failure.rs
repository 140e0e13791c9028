use guardian_core::StoreError;

use crate::{InvalidSegment, ModelError};

/// Why a message was not recorded, or a history not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A series or its name is none.
    #[error(transparent)]
    Segment(InvalidSegment),
    /// The id of a message is none.
    #[error("invalid message id `{id}`: it needs 1 to 200 bytes without control characters")]
    InvalidId {
        /// The id, shortened.
        id: String,
    },
    /// The text is too long.
    #[error("the text has {len} bytes, the most is 1048576")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The message is in too many series.
    #[error("the message `{id}` is in more than 16 segments")]
    TooManySegments {
        /// The id, shortened.
        id: String,
    },
    /// The message was not recorded, or was forgotten.
    #[error(
        "the message `{id}` was not recorded, or was forgotten or read anew meanwhile: `record` it first"
    )]
    UnknownMessage {
        /// The id, shortened.
        id: String,
    },
    /// A page is asked for with a cursor that is none of this list.
    #[error("the cursor is none of this list: pass on the one that the last page gave, unchanged")]
    InvalidCursor,
    /// What was learned for the tenant was written by a later version of this crate, and is not written over.
    #[error("what was learned for the tenant cannot be changed: a later version wrote it")]
    Model(#[from] ModelError),
    /// Others changed the same again and again: what was learned for the tenant, or a message.
    #[error("others changed the same again and again: try again")]
    Contended,
    /// The store failed.
    #[error("the store of sentiments failed")]
    Store(#[from] StoreError),
}

impl Error {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Contended => true,
            _ => false,
        }
    }
}
