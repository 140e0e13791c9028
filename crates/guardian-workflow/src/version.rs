//! Workflows and their versions, as they are stored.

use std::fmt;

use guardian_core::{Actor, Timestamp};
use serde::{Deserialize, Serialize};

use crate::definition::{ContentHash, Definition, NodeId, Place};

/// A workflow: its name, its channels, and where its nodes stand in pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Workflow {
    /// Its name, unique within the tenant.
    pub name: String,
    /// How often it was changed, channels and layout included; what concurrent changes are told apart by.
    pub revision: u64,
    /// The newest version, the draft.
    pub draft: u64,
    /// The version that new runs get; `None` while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<u64>,
    /// A version that some new runs get instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// Where the draft's nodes stand.
    #[serde(default)]
    pub layout: std::collections::BTreeMap<NodeId, Place>,
    /// Whether nothing starts it any more.
    #[serde(default)]
    pub archived: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
}

impl Workflow {
    /// A workflow that begins with one draft.
    #[must_use]
    pub fn new(name: impl Into<String>, now: Timestamp) -> Self {
        Self {
            name: name.into(),
            revision: 1,
            draft: 1,
            published: None,
            canary: None,
            layout: std::collections::BTreeMap::new(),
            archived: false,
            created: now,
            updated: now,
        }
    }

    /// The version of a run that starts now. `draw` is a number from 0 to 99 that says which of a hundred runs it is.
    #[must_use]
    pub fn route(&self, draw: u8) -> Option<u64> {
        match &self.canary {
            Some(canary) if draw < canary.weight => Some(canary.version),
            _ => self.published,
        }
    }

    /// Whether new runs get the version: it is published, or the canary.
    #[must_use]
    pub fn is_released(&self, version: u64) -> bool {
        self.published == Some(version) || self.canary.is_some_and(|canary| canary.version == version)
    }

    /// Whether a channel leads to the version.
    #[must_use]
    pub fn leads_to(&self, version: u64) -> bool {
        self.draft == version || self.is_released(version)
    }
}

/// A version that a part of the new runs get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Canary {
    /// The version.
    pub version: u64,
    /// How many of a hundred runs get it, 1 to 100.
    pub weight: u8,
}

impl Canary {
    /// So many of a hundred new runs get this version.
    #[must_use]
    pub fn new(version: u64, weight: u8) -> Self {
        Self { version, weight: weight.min(100) }
    }
}

/// What a workflow was at a time. A version is never changed: its number always means the same content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Version {
    /// Its number, from 1; numbers of squashed drafts are missing.
    pub number: u64,
    /// The content, without a layout.
    pub definition: Definition,
    /// The hash of the content.
    pub hash: ContentHash,
    /// The version that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u64>,
    /// Who made it.
    pub author: Actor,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When.
    pub created: Timestamp,
    /// A name in semantic versioning that fits what changed.
    pub semver: Semver,
    /// How it came about.
    pub origin: Origin,
    /// How many earlier drafts it took the place of.
    #[serde(default)]
    pub squashed: u32,
}

/// How a version came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// Somebody edited it.
    Edit,
    /// It says the same as this earlier one.
    Rollback(u64),
    /// It came from elsewhere.
    Import,
    /// Two lines of edits became one.
    Merge,
}

/// A version in semantic versioning, `2.1.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub struct Semver {
    /// Grows with changes that break who relies on the workflow.
    pub major: u32,
    /// Grows with changes of what it does.
    pub minor: u32,
    /// Grows with changes that keep what it does.
    pub patch: u32,
}

impl Semver {
    /// The first one.
    pub const FIRST: Self = Self { major: 1, minor: 0, patch: 0 };

    /// The next one after such a change.
    #[must_use]
    pub fn after(self, class: crate::diff::Class) -> Self {
        use crate::diff::Class;
        match class {
            Class::Breaking => Self { major: self.major.saturating_add(1), minor: 0, patch: 0 },
            Class::Changing => Self { minor: self.minor.saturating_add(1), patch: 0, ..self },
            Class::Preserving | Class::Cosmetic => Self { patch: self.patch.saturating_add(1), ..self },
        }
    }
}

impl fmt::Display for Semver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl From<Semver> for String {
    fn from(version: Semver) -> Self {
        version.to_string()
    }
}

impl TryFrom<String> for Semver {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let invalid =
            || format!("invalid version `{}`: write it like `1.0.0`", guardian_core::shorten(&text));
        let mut parts = text.split('.').map(str::parse::<u32>);
        let mut next = || parts.next().and_then(Result::ok).ok_or_else(invalid);
        let version = Self { major: next()?, minor: next()?, patch: next()? };
        if parts.next().is_some() { Err(invalid()) } else { Ok(version) }
    }
}
