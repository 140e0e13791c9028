use thiserror::Error;

/// Why the bytes of a model, or of what was learned on top of one, are refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The bytes are not what they should be.
    #[error("not a sentiment model: it does not begin with `{expected}`")]
    Foreign {
        /// What it should begin with.
        expected: &'static str,
    },
    /// A later version of this crate wrote them.
    #[error("version `{found}` of the format is unknown; known is `{known}`")]
    Version {
        /// The version in the bytes.
        found: u32,
        /// The version that is read here.
        known: u32,
    },
    /// They end too early or too late.
    #[error("the length does not fit: `{found}` bytes instead of `{expected}`")]
    Length {
        /// How many bytes there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A byte has changed since they were written.
    #[error("the checksum does not fit: the bytes are damaged")]
    Checksum,
    /// A number is out of its range.
    #[error("`{field}` is out of its range")]
    Range {
        /// What the number is.
        field: &'static str,
    },
    /// They were learned on top of another model.
    #[error("learned on top of another model, whose checksum is `{found:016x}`")]
    OtherModel {
        /// The checksum of that model.
        found: u64,
    },
}
