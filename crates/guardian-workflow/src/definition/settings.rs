use serde::{Deserialize, Serialize};

use super::span::Span;

/// Limits and manners of a workflow's runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Settings {
    /// What a run may use up.
    #[serde(skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
    /// Whether a run that fails undoes what it did, through the compensations of its actions.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub compensate_on_failure: bool,
    /// Whether the history keeps why conditions held, each part with its value.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub explain: bool,
}

impl Settings {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a run may use up. Whatever goes beyond ends in a failure whose code is `limit.` and the limit's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Limits {
    /// Iterations of one loop; 1,000 by default. A loop node may say less.
    pub iterations: u32,
    /// Nodes that a run enters, all together; 10,000 by default.
    pub steps: u64,
    /// Branches that run side by side, all together; 256 by default.
    pub width: u32,
    /// Sub-workflows within each other; 16 by default.
    pub depth: u32,
    /// Bytes of the variables, as JSON; 1 MiB by default.
    pub variable_bytes: u64,
    /// From the beginning to the end; 365 days by default.
    pub run_time: Span,
    /// Cost units of one evaluation of an expression; 1,000,000 by default.
    pub expression_cost: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            iterations: 1000,
            steps: 10_000,
            width: 256,
            depth: 16,
            variable_bytes: 1 << 20,
            run_time: Span::from_secs(365 * 24 * 3600),
            expression_cost: 1_000_000,
        }
    }
}

impl Limits {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
