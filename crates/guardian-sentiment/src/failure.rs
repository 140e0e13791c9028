use guardian_core::{StoreError, StoreErrorKind};

use crate::InvalidSegment;

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
    /// There is no such message.
    #[error("there is no message `{id}`")]
    UnknownMessage {
        /// The id, shortened.
        id: String,
    },
    /// A page is asked for with a cursor that is none of this list.
    #[error("the cursor is none of this list: pass on the one that the last page gave, unchanged")]
    InvalidCursor,
    /// The store failed.
    #[error("the store of sentiments failed")]
    Store(#[from] StoreError),
}

impl Error {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }

    pub(crate) fn internal(backend: &'static str, why: &'static str) -> Self {
        Self::Store(StoreError::new(StoreErrorKind::Internal, backend).with_source(why))
    }
}
