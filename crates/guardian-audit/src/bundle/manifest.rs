use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use guardian_core::TenantId;
use serde::{Deserialize, Serialize};

use super::error::BundleError;
use super::file;
use crate::merkle::Hash;

/// What a bundle says of itself, in `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// Always [`Self::FORMAT`].
    pub format: String,
    /// The version of the format: [`Self::VERSION`].
    pub version: u32,
    /// Whose events these are.
    pub tenant: TenantId,
    /// What was asked for, as text; absent when nothing was left out on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// When the bundle was made.
    pub created: DateTime<Utc>,
    /// How many events it has.
    pub events: u64,
    /// How many of them have only their leaf hash left, because retention dropped the rest.
    pub dropped: u64,
    /// The sequence of the first event; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// The sequence of the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
    /// How many events the log had.
    pub size: u64,
    /// The root over all of them.
    pub root: Hash,
    /// How many checkpoints the bundle has.
    pub checkpoints: u64,
    /// Length and hash of each other file, by its name.
    pub files: BTreeMap<String, FileEntry>,
}

/// A file in a [`Manifest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FileEntry {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: Hash,
}

impl FileEntry {
    pub(super) fn new(bytes: u64, sha256: Hash) -> Self {
        Self { bytes, sha256 }
    }
}

impl Manifest {
    /// The name of the format.
    pub const FORMAT: &'static str = "guardian-audit-bundle";

    /// The version that is written and read.
    pub const VERSION: u32 = 1;

    /// The longest manifest, in bytes.
    pub const MAX_LEN: usize = 64 * 1024;

    /// The longest query, in bytes.
    pub const MAX_QUERY: usize = 16 * 1024;

    /// Reads a manifest and checks what can be checked of it alone.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let wrong = |why: String| BundleError::malformed(file::MANIFEST, 0, why);
        if bytes.len() > Self::MAX_LEN {
            return Err(wrong(format!("it has more than {} bytes", Self::MAX_LEN)));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        let span = match (manifest.first, manifest.last) {
            (None, None) if manifest.events == 0 => Some(0),
            (Some(first), Some(last)) if manifest.events > 0 && last < manifest.size => {
                last.checked_sub(first)
            }
            _ => None,
        };
        let why = if manifest.format != Self::FORMAT {
            format!("the format is not `{}`", Self::FORMAT)
        } else if manifest.version != Self::VERSION {
            format!("version {} is unknown, version {} is known", manifest.version, Self::VERSION)
        } else if manifest.query.as_ref().is_some_and(|query| query.len() > Self::MAX_QUERY) {
            format!("the query has more than {} bytes", Self::MAX_QUERY)
        } else if span.is_none_or(|span| manifest.events > span.saturating_add(1)) {
            "the number of events, the first and the last do not go together".to_owned()
        } else if manifest.dropped > manifest.events {
            "more events are dropped than there are".to_owned()
        } else if !manifest.files.keys().map(String::as_str).eq(sorted()) {
            "the list of files is not the one of this format".to_owned()
        } else {
            return Ok(manifest);
        };
        Err(wrong(why))
    }

    /// Whether no event is left out between the first and the last.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        match (self.first, self.last) {
            (Some(first), Some(last)) => {
                last.checked_sub(first).and_then(|span| span.checked_add(1)) == Some(self.events)
            }
            _ => true,
        }
    }
}

fn sorted() -> impl Iterator<Item = &'static str> {
    let mut names = file::LISTED;
    names.sort_unstable();
    names.into_iter()
}
