use std::collections::BTreeSet;
use std::fmt;

/// What one run found.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct IsolationReport {
    pub(super) calls: u64,
    pub(super) positions: BTreeSet<(String, usize)>,
    pub(super) breaches: Vec<Breach>,
}

impl IsolationReport {
    /// How many calls were made in the world where B exists.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// In how many positions of arguments B's values were tried.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.positions.len()
    }

    /// What got through; at most a hundred are kept.
    #[must_use]
    pub fn breaches(&self) -> &[Breach] {
        &self.breaches
    }

    /// Fails unless nothing got through.
    ///
    /// # Errors
    /// The first breach, and how many there are.
    pub fn verify(&self) -> Result<(), super::Failure> {
        match self.breaches.split_first() {
            None => Ok(()),
            Some((first, others)) => Err(format!("{first} (and {} others)", others.len()).into()),
        }
    }
}

/// One thing that got through.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Breach {
    /// The operation.
    pub operation: String,
    /// What got through.
    pub kind: BreachKind,
    /// The arguments of the call.
    pub arguments: String,
    /// What was seen.
    pub seen: String,
}

/// How something got through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreachKind {
    /// A mark or an id of B was in the result, the error or the export.
    Mark,
    /// A saw something else than it does where B does not exist.
    Difference,
    /// B's rows changed.
    Changed,
    /// The operation never succeeded on A's own data, or never showed it: that it leaks nothing proves nothing.
    Vacuous,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            BreachKind::Mark => "shows what belongs to the other tenant",
            BreachKind::Difference => "answers differently because the other tenant exists",
            BreachKind::Changed => "changed the other tenant's rows",
            BreachKind::Vacuous => "did not work on the tenant's own data",
        };
        write!(f, "`{}` {what}, called with {}: {}", self.operation, self.arguments, self.seen)
    }
}
