use std::fmt;

use crate::lexer::{self, Statement};
use crate::{Dialect, Error};

/// The migrations of one crate: its schema as a list of steps, each applied once and never changed.
///
/// ```
/// use guardian_sql::{Migration, Migrations};
///
/// const MIGRATIONS: Migrations = Migrations::new(
///     "guardian_notes",
///     &[Migration::new(
///         1,
///         "create_notes",
///         "CREATE TABLE notes (tenant_id TEXT NOT NULL, id BLOB NOT NULL, PRIMARY KEY (tenant_id, id)) WITHOUT ROWID",
///         "CREATE TABLE notes (tenant_id TEXT NOT NULL, id UUID NOT NULL, PRIMARY KEY (tenant_id, id))",
///     )],
/// );
/// assert_eq!(MIGRATIONS.latest(), 1);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    set: &'static str,
    steps: &'static [Migration],
}

impl Migrations {
    /// The longest name of a set, in bytes: PostgreSQL's names have 63 at most.
    pub const MAX_NAME: usize = 48;

    /// The migrations of the set of this name; its table is `NAME_migrations`. The name is 1 to 48 characters of
    /// `a-z 0-9 _` and begins with a letter; the steps are numbered from 1 without a gap. [`Database::migrate`] checks
    /// both, and that no step ends its transaction.
    ///
    /// [`Database::migrate`]: crate::Database::migrate
    #[must_use]
    pub const fn new(set: &'static str, steps: &'static [Migration]) -> Self {
        Self { set, steps }
    }

    /// The name of the set.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.set
    }

    /// The steps, first one first.
    #[must_use]
    pub const fn steps(&self) -> &'static [Migration] {
        self.steps
    }

    /// The version that the last step leads to; 0 when there is none.
    #[must_use]
    pub fn latest(&self) -> i64 {
        self.steps.last().map_or(0, |step| step.version)
    }

    /// Checks what can be checked without a database.
    ///
    /// # Errors
    /// [`Error::InvalidMigrations`].
    pub fn check(&self, dialect: Dialect) -> Result<(), Error> {
        let invalid = |why: String| Error::InvalidMigrations { set: self.set.to_owned(), why };
        let well_named = self.set.starts_with(|c: char| c.is_ascii_lowercase())
            && self.set.len() <= Self::MAX_NAME
            && self.set.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !well_named {
            let why = "the name is 1 to 48 characters of `a-z 0-9 _` and begins with a letter";
            return Err(invalid(why.to_owned()));
        }
        for (step, expected) in self.steps.iter().zip(1_i64..) {
            let Migration { version, name, .. } = step;
            if *version != expected {
                return Err(invalid(format!(
                    "expected version {expected}, found {version}: number from 1 without a gap"
                )));
            }
            if let Some(why) = fault(step.sql(dialect), dialect) {
                return Err(invalid(format!("version {version} `{name}` {why}")));
            }
        }
        Ok(())
    }
}

/// What is wrong with the text of one step, if anything is.
pub(crate) fn fault(sql: &str, dialect: Dialect) -> Option<String> {
    if sql.len() > Migration::MAX_LEN {
        return Some(format!("has {} bytes, the most is {}", sql.len(), Migration::MAX_LEN));
    }
    if sql.contains('\0') {
        return Some("has a NUL".to_owned());
    }
    let line = |at: usize| 1 + sql.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count();
    lexer::statements(sql, dialect).find(|statement| leaves(statement, dialect)).map(
        |Statement { verb, at, .. }| {
            format!(
                "has `{verb}` near line {}: a migration is one transaction, which it cannot end",
                line(at)
            )
        },
    )
}

/// Whether a statement would end the transaction, or outlive it on the connection.
fn leaves(statement: &Statement<'_>, dialect: Dialect) -> bool {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(statement.verb));
    let local = ["LOCAL", "CONSTRAINTS"].iter().any(|word| word.eq_ignore_ascii_case(statement.second));
    let vacuum =
        ["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "VACUUM", "DISCARD", "ATTACH", "DETACH"];
    let prepare = ["PREPARE", "SAVEPOINT", "RELEASE", "COPY"];
    is(&vacuum)
        || is(&prepare)
        || (dialect == Dialect::Sqlite && is(&["PRAGMA"]))
        || (is(&["SET"]) && !local)
        || is(&["RESET"])
}

/// One step of a schema.
///
/// Its text may have several statements and is one transaction: all of it happens, or nothing. What was applied once is
/// never edited; a change is a new step.
#[derive(Clone, Copy)]
pub struct Migration {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

impl Migration {
    /// The longest text, in bytes.
    pub const MAX_LEN: usize = 1 << 20;

    /// A step whose text differs between the databases. An empty text does nothing there.
    #[must_use]
    pub const fn new(version: i64, name: &'static str, sqlite: &'static str, postgres: &'static str) -> Self {
        Self { version, name, sqlite, postgres }
    }

    /// A step with the same text for both.
    #[must_use]
    pub const fn same(version: i64, name: &'static str, sql: &'static str) -> Self {
        Self::new(version, name, sql, sql)
    }

    /// The version that it leads to.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// What it does, in a few words.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Its text for one of the databases.
    #[must_use]
    pub const fn sql(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

impl fmt::Debug for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Migration({} {})", self.version, self.name)
    }
}
