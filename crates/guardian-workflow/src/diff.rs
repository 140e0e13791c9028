//! What changed between two definitions, in words of workflows.

pub(crate) mod pointer;

use serde::{Deserialize, Serialize};

/// What a change means for those who rely on a workflow; each is worse than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Class {
    /// Names, notes, places: nothing that runs.
    Cosmetic,
    /// It does the same as before.
    Preserving,
    /// It does something else.
    Changing,
    /// What starts it, what it takes, or what runs in flight stand at is no longer so.
    Breaking,
}
