//! Bundles: events of a log with all that shows that they are the log's, for an auditor who verifies them offline.
//!
//! A bundle is a folder of a few files, each of which is written and read in one pass and constant memory:
//!
//! | file | holds |
//! |---|---|
//! | `manifest.json` | whose events these are, what was asked for, how many, from which to which, the size and root of the tree, and the length and SHA-256 of each other file |
//! | `events.bin` | the events in ascending order: sequence, leaf hash and canonical bytes of each |
//! | `proof.bin` | the hashes of what lies between the events, as one proof for all of them ([`Selection`](crate::merkle::Selection)) |
//! | `checkpoints.txt` | the checkpoints up to the one that the root belongs to, each with the proof that it contains the one before |
//! | `keys.txt` | the public keys |
//! | `manifest.sig` | the exporter's signature over the manifest, where it signs |
//!
//! What it proves: every event is in the log at its place, whole and in order, and the log is the one that was sealed. For
//! events without a gap it also proves that none is left out between the first and the last. That a search left none out
//! it cannot prove; that is what the exporter's signature vouches for.
//!
//! The keys in a bundle prove nothing by themselves: an auditor compares them with those that were published elsewhere, or
//! hands in a [`KeyRing`](crate::checkpoint::KeyRing).

mod checkpoints;
mod error;
mod events;
mod hashed;
mod manifest;
mod place;
mod verifier;
mod writer;

pub use error::BundleError;
pub use manifest::{FileEntry, Manifest};
pub use place::{BundleSink, BundleSource, Folder, InMemory};
pub use verifier::{BundleVerifier, Verified};
pub use writer::{BundleHead, BundleWriter, Seals};

/// The names of the files.
pub(crate) mod file {
    pub(crate) const MANIFEST: &str = "manifest.json";
    pub(crate) const EVENTS: &str = "events.bin";
    pub(crate) const PROOF: &str = "proof.bin";
    pub(crate) const CHECKPOINTS: &str = "checkpoints.txt";
    pub(crate) const KEYS: &str = "keys.txt";
    pub(crate) const SIGNATURE: &str = "manifest.sig";
    /// Those that the manifest lists.
    pub(crate) const LISTED: [&str; 4] = [EVENTS, PROOF, CHECKPOINTS, KEYS];
}
