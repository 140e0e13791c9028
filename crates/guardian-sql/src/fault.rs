use std::fmt;

use guardian_core::StoreError;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use guardian_core::StoreErrorKind;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use sqlx::error::{DatabaseError, ErrorKind};

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::Dialect;

/// What a database said about a failed statement: the source of a [`StoreError`].
///
/// It has the database's code and message, but not its details, which may quote another row's data.
///
/// ```
/// use guardian_core::{StoreError, StoreErrorKind};
/// use guardian_sql::{Fault, Violation};
///
/// fn is_taken(error: &StoreError) -> bool {
///     Fault::of(error).and_then(Fault::violation) == Some(Violation::Unique)
/// }
/// assert!(!is_taken(&StoreError::new(StoreErrorKind::Timeout, "postgres")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    code: Option<String>,
    message: String,
    violation: Option<Violation>,
    constraint: Option<String>,
}

/// Which rule of the schema the data broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Violation {
    /// The key is taken: a primary key or a unique index.
    Unique,
    /// The row that is referred to does not exist, or is still referred to.
    ForeignKey,
    /// A value is missing.
    NotNull,
    /// A check failed.
    Check,
    /// A row-level security policy refused the new row.
    Policy,
    /// Another rule: an exclusion constraint, a value out of the type's range.
    Other,
}

impl Fault {
    /// What the database said, when the error came from a statement of this crate.
    #[must_use]
    pub fn of(error: &StoreError) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }

    /// The database's code: an SQLSTATE on PostgreSQL, an extended result code on SQLite.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The database's message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Which rule of the schema was broken, if that was it.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// The name of the broken constraint; PostgreSQL only, SQLite names the columns in its message.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        self.constraint.as_deref()
    }

    /// A fault that this crate found itself.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn own(message: impl Into<String>) -> Self {
        Self { code: None, message: message.into(), violation: None, constraint: None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.code.as_ref().map_or(Ok(()), |code| write!(f, " (code {code})"))
    }
}

impl std::error::Error for Fault {}

/// A store error with a message of our own.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) fn own(kind: StoreErrorKind, dialect: Dialect, message: impl Into<String>) -> StoreError {
    StoreError::new(kind, dialect.name()).with_source(Fault::own(message))
}

/// What the driver reports, in the suite's terms.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands the error over")]
pub(crate) fn from_driver(error: sqlx::Error, dialect: Dialect) -> StoreError {
    use StoreErrorKind as Kind;
    let kind = match &error {
        sqlx::Error::Database(database) => {
            let (kind, violation) = classify(database.as_ref(), dialect);
            let fault = Fault {
                code: database.code().map(std::borrow::Cow::into_owned),
                message: database.message().to_owned(),
                violation,
                constraint: database.constraint().map(str::to_owned),
            };
            return StoreError::new(kind, dialect.name()).with_source(fault);
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Kind::Unavailable,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::TypeNotFound { .. } => {
            Kind::Corrupt
        }
        _ => Kind::Internal,
    };
    own(kind, dialect, error.to_string())
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn classify(error: &dyn DatabaseError, dialect: Dialect) -> (StoreErrorKind, Option<Violation>) {
    let code = error.code();
    let code = code.as_deref().unwrap_or_default();
    let (kind, broken) = match dialect {
        Dialect::Sqlite => (sqlite(code), None),
        Dialect::Postgres => postgres(error, code),
    };
    let violation = (kind == StoreErrorKind::Constraint).then(|| match error.kind() {
        _ if broken.is_some() => broken.unwrap_or(Violation::Other),
        ErrorKind::UniqueViolation => Violation::Unique,
        ErrorKind::ForeignKeyViolation => Violation::ForeignKey,
        ErrorKind::NotNullViolation => Violation::NotNull,
        ErrorKind::CheckViolation => Violation::Check,
        _ => Violation::Other,
    });
    (kind, violation)
}

/// <https://www.sqlite.org/rescode.html>; the primary code is the low byte.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn sqlite(code: &str) -> StoreErrorKind {
    use StoreErrorKind as Kind;
    match code.parse::<u32>().map_or(0, |code| code & 0xff) {
        // BUSY, LOCKED, SCHEMA: somebody else was first.
        5 | 6 | 17 => Kind::Conflict,
        // INTERRUPT: we end a statement that takes too long.
        9 => Kind::Timeout,
        // IOERR, CANTOPEN, PROTOCOL.
        10 | 14 | 15 => Kind::Unavailable,
        // CORRUPT, FORMAT, NOTADB.
        11 | 24 | 26 => Kind::Corrupt,
        // NOMEM, FULL.
        7 | 13 => Kind::Full,
        // CONSTRAINT, TOOBIG, MISMATCH.
        18..=20 => Kind::Constraint,
        // PERM, READONLY, NOLFS, AUTH.
        3 | 8 | 22 | 23 => Kind::Unsupported,
        _ => Kind::Internal,
    }
}

/// PostgreSQL documentation, appendix A "PostgreSQL Error Codes".
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn postgres(error: &dyn DatabaseError, code: &str) -> (StoreErrorKind, Option<Violation>) {
    use StoreErrorKind as Kind;
    let class = code.get(..2).unwrap_or_default();
    let kind = match (class, code) {
        // A new row that a policy refuses has the code of a missing privilege; only the place that raised it differs.
        (_, "42501") => {
            return if is_policy(error) {
                (Kind::Constraint, Some(Violation::Policy))
            } else {
                (Kind::Unsupported, None)
            };
        }
        ("40", _) | (_, "55P03") => Kind::Conflict,
        ("23", _) => Kind::Constraint,
        ("22", _) => return (Kind::Constraint, Some(Violation::Other)),
        (_, "57014" | "25P03" | "25P04" | "57P05") => Kind::Timeout,
        ("08" | "57" | "58", _) | (_, "53300") => Kind::Unavailable,
        ("53", _) => Kind::Full,
        ("0A", _) | (_, "25006") => Kind::Unsupported,
        ("XX", "XX001" | "XX002") => Kind::Corrupt,
        _ => Kind::Internal,
    };
    (kind, None)
}

#[cfg(feature = "postgres")]
fn is_policy(error: &dyn DatabaseError) -> bool {
    let error = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>();
    error.and_then(sqlx::postgres::PgDatabaseError::routine) == Some("ExecWithCheckOptions")
}

#[cfg(all(feature = "sqlite", not(feature = "postgres")))]
fn is_policy(_error: &dyn DatabaseError) -> bool {
    false
}
