use std::collections::BTreeSet;
use std::fmt;

use super::Code;

/// One hole: where it is, why it is one, and the statement that mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    code: Code,
    object: String,
    why: String,
    mend: String,
}

impl Finding {
    pub(crate) fn new(
        code: Code,
        object: impl Into<String>,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { code, object: object.into(), why: why.into(), mend: mend.into() }
    }

    /// Which kind of hole.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The table, view, role, function or the like.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.object
    }

    /// Why it is a hole, in a sentence.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// The statement that mends it; several are separated by semicolons. Where a decision is the host's, it begins with
    /// `--` and says which.
    #[must_use]
    pub fn mend(&self) -> &str {
        &self.mend
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.code, self.object.escape_debug(), self.why.escape_debug())
    }
}

/// What the lint found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Report {
    pub(crate) findings: Vec<Finding>,
    pub(crate) allowed: Vec<(Finding, String)>,
    pub(crate) checked: BTreeSet<String>,
    pub(crate) unused: Vec<String>,
}

impl Report {
    /// The holes that nobody allowed, ordered by object and code.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The holes that are allowed, each with the reason.
    #[must_use]
    pub fn allowed(&self) -> &[(Finding, String)] {
        &self.allowed
    }

    /// Allowances that allowed nothing: what they were for is mended, or misspelt.
    #[must_use]
    pub fn unused_allowances(&self) -> &[String] {
        &self.unused
    }

    /// How many objects were checked and how many of them have no hole.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        let holed: BTreeSet<_> = self.findings.iter().map(|finding| finding.object.as_str()).collect();
        let total = self.checked.iter().map(String::as_str).chain(holed.iter().copied());
        let total: BTreeSet<_> = total.collect();
        Coverage { covered: total.len() - holed.len(), total: total.len() }
    }
}

/// How much of a database is walled off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coverage {
    /// Objects without a hole.
    pub covered: usize,
    /// Objects that were checked: tables, views, sequences, functions, roles, schemas.
    pub total: usize,
}

impl Coverage {
    /// Whole per cent, rounded down: 100 only with no hole at all. A database without any object is covered.
    #[must_use]
    pub fn percent(self) -> usize {
        (self.covered * 100).checked_div(self.total).unwrap_or(100)
    }

    /// Whether there is no hole.
    #[must_use]
    pub fn is_complete(self) -> bool {
        self.covered == self.total
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % ({} of {})", self.percent(), self.covered, self.total)
    }
}
