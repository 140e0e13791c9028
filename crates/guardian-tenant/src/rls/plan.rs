use std::fmt;

/// The statements that install isolation, in order, each with its purpose. Printed, it is a script for `psql`.
///
/// Every statement may run again and then changes nothing. They belong into one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct RlsPlan {
    steps: Vec<RlsStep>,
}

/// One statement of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RlsStep {
    /// What it is for, in a sentence.
    pub purpose: String,
    /// The statement, without a semicolon at its end.
    pub sql: String,
}

impl RlsPlan {
    pub(crate) fn push(&mut self, purpose: impl Into<String>, sql: impl Into<String>) {
        self.steps.push(RlsStep { purpose: purpose.into(), sql: sql.into() });
    }

    /// The statements.
    #[must_use]
    pub fn steps(&self) -> &[RlsStep] {
        &self.steps
    }
}

impl fmt::Display for RlsPlan {
    /// `BEGIN;`, each purpose as a comment above its statement, `COMMIT;`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BEGIN;\n")?;
        for step in &self.steps {
            // A purpose may name a table, and a table's name may hold a line break.
            write!(f, "\n-- {}\n{};\n", step.purpose.escape_debug(), step.sql)?;
        }
        f.write_str("\nCOMMIT;\n")
    }
}
