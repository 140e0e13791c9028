use std::fmt;
use std::io;

use crate::checkpoint::CheckpointFault;
use crate::merkle::Hash;

/// What is wrong with a bundle, or why it could not be written or read. It names the file and, where one is at fault, the
/// event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file could not be read or written.
    #[error("`{file}` cannot be read or written")]
    Io {
        /// The file.
        file: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is missing.
    #[error("`{file}` is missing")]
    Missing {
        /// The file.
        file: &'static str,
    },
    /// A file is not what the manifest says: another length or another SHA-256.
    #[error("`{file}` was altered or cut: it is not the file of the manifest")]
    Altered {
        /// The file.
        file: &'static str,
    },
    /// A file is not as it must be.
    #[error("`{file}` at byte {at}: {why}")]
    Malformed {
        /// The file.
        file: &'static str,
        /// Where, in bytes from its beginning.
        at: u64,
        /// What is wrong there.
        why: String,
    },
    /// An event is not what it should be.
    #[error("event {sequence} in `events.bin` at byte {at}: {why}")]
    Event {
        /// The event.
        sequence: u64,
        /// Where it begins, in bytes from the beginning of the file.
        at: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The events and the proof lead to another root.
    #[error("the events lead to the root `{computed}`, and the log's is `{expected}`")]
    Root {
        /// Where they lead.
        computed: Hash,
        /// Where they should.
        expected: Hash,
    },
    /// A checkpoint is not what it should be.
    #[error("checkpoint {place} in `checkpoints.txt` is not right")]
    Checkpoint {
        /// Which one, counted from 1.
        place: u64,
        /// What is wrong with it.
        #[source]
        fault: CheckpointFault,
    },
    /// No accepted key sealed the checkpoint that the events belong to.
    #[error("no accepted key has signed the checkpoint of {size} events")]
    Untrusted {
        /// How many events it covers.
        size: u64,
    },
    /// The manifest and a file disagree.
    #[error("the manifest says {what} is {expected}, and it is {found}")]
    Disagrees {
        /// About what.
        what: &'static str,
        /// What the manifest says.
        expected: String,
        /// What is so.
        found: String,
    },
    /// The exporter's signature over the manifest does not hold.
    #[error("the signature in `manifest.sig` is not one of an accepted key over this manifest")]
    Signature,
}

impl BundleError {
    pub(super) fn io(file: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { file, source }
    }

    pub(super) fn malformed(file: &'static str, at: u64, why: impl Into<String>) -> Self {
        Self::Malformed { file, at, why: why.into() }
    }

    pub(super) fn disagrees(
        what: &'static str,
        expected: &dyn fmt::Display,
        found: &dyn fmt::Display,
    ) -> Self {
        Self::Disagrees { what, expected: expected.to_string(), found: found.to_string() }
    }
}
