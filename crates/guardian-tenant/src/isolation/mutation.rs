use std::collections::BTreeSet;
use std::fmt;

use super::suite::{Host, Suite};
use super::{Breach, Failure, drop_predicates};

/// One wall, broken on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    name: String,
    kind: MutantKind,
    /// The statement that is rewritten, and into what.
    rewrite: Option<(String, String)>,
}

/// Which sort of wall is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MutantKind {
    /// A statement forgets a tenant predicate.
    DroppedPredicate,
    /// A transaction does not say whose it is.
    SkippedTenant,
    /// The statements run as a role that row-level security does not hold.
    SwappedRole,
    /// Whatever the host breaks by itself.
    Other,
}

impl Mutant {
    /// A break of the host's own, known by its name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: MutantKind::Other, rewrite: None }
    }

    /// No transaction says whose it is.
    #[must_use]
    pub fn skipped_tenant() -> Self {
        Self { name: "no tenant is set".to_owned(), kind: MutantKind::SkippedTenant, rewrite: None }
    }

    /// The statements run as a role that row-level security does not hold.
    #[must_use]
    pub fn swapped_role() -> Self {
        Self {
            name: "the role passes by the policies".to_owned(),
            kind: MutantKind::SwappedRole,
            rewrite: None,
        }
    }

    /// One mutant for each tenant predicate in the statements, see [`drop_predicates`]. A statement that is given twice
    /// counts once.
    #[must_use]
    pub fn dropped_predicates<'a>(
        statements: impl IntoIterator<Item = &'a str>,
        columns: &[&str],
    ) -> Vec<Self> {
        let statements: BTreeSet<&str> = statements.into_iter().collect();
        let of = |statement: &str| {
            let mutate = |(at, changed): (usize, String)| Self {
                name: format!("predicate {} of `{statement}`", at + 1),
                kind: MutantKind::DroppedPredicate,
                rewrite: Some((statement.to_owned(), changed)),
            };
            drop_predicates(statement, columns).into_iter().enumerate().map(mutate).collect::<Vec<_>>()
        };
        statements.into_iter().flat_map(of).collect()
    }

    /// What is broken.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which sort of wall.
    #[must_use]
    pub fn kind(&self) -> MutantKind {
        self.kind
    }

    /// The text that runs in the place of this statement, if it is the one that is rewritten.
    #[must_use]
    pub fn rewritten(&self, statement: &str) -> Option<&str> {
        self.rewrite
            .as_ref()
            .filter(|(original, _)| original == statement)
            .map(|(_, changed)| changed.as_str())
    }
}

/// How a mutant fared.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kill {
    /// The suite noticed it.
    Noticed(Breach),
    /// Nothing works any more: no world could be seeded, which is how a strict wall answers when no tenant is set.
    Refused(String),
    /// The suite passed all the same.
    Survived,
    /// The host said that this break breaks nothing, and why.
    Equivalent(String),
}

/// How all mutants fared.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct MutationReport {
    outcomes: Vec<(Mutant, Kill)>,
}

impl MutationReport {
    /// Each mutant with how it fared.
    #[must_use]
    pub fn outcomes(&self) -> &[(Mutant, Kill)] {
        &self.outcomes
    }

    /// Those that the suite did not notice.
    pub fn survivors(&self) -> impl Iterator<Item = &Mutant> {
        self.outcomes.iter().filter(|(_, kill)| *kill == Kill::Survived).map(|(mutant, _)| mutant)
    }

    /// The share that was noticed, 0 to 1; without mutants 0, because then nothing was shown.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate_where(|_| true)
    }

    /// The same of one kind.
    #[must_use]
    pub fn rate_of(&self, kind: MutantKind) -> f64 {
        self.rate_where(|mutant| mutant.kind == kind)
    }

    fn rate_where(&self, wanted: impl Fn(&Mutant) -> bool) -> f64 {
        let counted = self
            .outcomes
            .iter()
            .filter(|(mutant, kill)| wanted(mutant) && !matches!(kill, Kill::Equivalent(_)));
        let (mut total, mut killed) = (0_u32, 0_u32);
        for (_, kill) in counted {
            total += 1;
            killed += u32::from(*kill != Kill::Survived);
        }
        if total == 0 { 0.0 } else { f64::from(killed) / f64::from(total) }
    }

    /// The same report with a survivor that breaks nothing taken out of the count: say, a predicate that another one on the
    /// same row repeats. Without a reason nothing is taken out.
    pub fn equivalent(mut self, name: &str, reason: &str) -> Self {
        for (mutant, kill) in &mut self.outcomes {
            if mutant.name.contains(name) && *kill == Kill::Survived && !reason.trim().is_empty() {
                *kill = Kill::Equivalent(reason.to_owned());
            }
        }
        self
    }
}

impl fmt::Display for MutationReport {
    /// One line for each mutant, and the rate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (mutant, kill) in &self.outcomes {
            match kill {
                Kill::Noticed(breach) => writeln!(f, "noticed   {}: {breach}", mutant.name)?,
                Kill::Refused(why) => writeln!(f, "refused   {}: {why}", mutant.name)?,
                Kill::Survived => writeln!(f, "SURVIVED  {}", mutant.name)?,
                Kill::Equivalent(why) => writeln!(f, "no break  {}: {why}", mutant.name)?,
            }
        }
        write!(f, "kill rate {:.1} %", self.rate() * 100.0)
    }
}

impl<H: Host> Suite<H> {
    /// Breaks one wall after the other and makes at most `calls` calls each, until the suite notices.
    ///
    /// A dropped predicate counts as noticed only by a breach: a statement that fails altogether shows nothing.
    ///
    /// # Errors
    /// When the suite does not pass with all walls in place; and when a world with a dropped predicate cannot be built.
    pub async fn mutate(&self, mutants: &[Mutant], calls: u64, seed: u64) -> Result<MutationReport, Failure> {
        self.run(calls, seed).await?.verify()?;
        let mut report = MutationReport::default();
        for mutant in mutants {
            let kill = match self.run_in(Some(mutant), calls, seed, true).await {
                Ok((found, _)) => found.breaches.into_iter().next().map_or(Kill::Survived, Kill::Noticed),
                Err(error) if mutant.kind == MutantKind::DroppedPredicate => return Err(error),
                Err(error) => Kill::Refused(error.to_string()),
            };
            report.outcomes.push((mutant.clone(), kill));
        }
        Ok(report)
    }
}
