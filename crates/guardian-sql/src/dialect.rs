use std::fmt;

/// Which of the two databases speaks, for the few places where a store's SQL differs.
///
/// ```
/// use guardian_sql::Dialect;
///
/// let lock = match Dialect::Postgres {
///     Dialect::Postgres => "SELECT id FROM jobs WHERE due <= $1 FOR UPDATE SKIP LOCKED",
///     Dialect::Sqlite => "SELECT id FROM jobs WHERE due <= $1",
/// };
/// assert!(lock.ends_with("SKIP LOCKED"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a store matches on both, and a third database would be a new suite"
)]
pub enum Dialect {
    /// SQLite: embedded, one file or memory.
    Sqlite,
    /// PostgreSQL: a server, row-level security.
    Postgres,
}

impl Dialect {
    /// The name as store errors carry it: `sqlite` or `postgres`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// The most parameters of one statement: 32,766 (`SQLITE_MAX_VARIABLE_NUMBER`) and 65,535 (the protocol's 16 bits).
    #[must_use]
    pub const fn max_params(self) -> usize {
        match self {
            Self::Sqlite => 32_766,
            Self::Postgres => 65_535,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
