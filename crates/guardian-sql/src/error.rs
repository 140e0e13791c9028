use guardian_core::{StoreError, StoreErrorKind};

/// Why a database could not be opened or brought to its schema.
///
/// Statements fail with the suite's one [`StoreError`]; this adds what only opening and migrating can find wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a URL of a database. What may be a password in it is not shown.
    #[error("invalid database url `{input}`: {why}")]
    InvalidUrl {
        /// The text, shortened and without what may be a secret.
        input: String,
        /// What is wrong with it.
        why: String,
    },
    /// The crate was built without this database.
    #[error(
        "this build has no {database}: turn on the feature `{feature}` of the dependency that brings Guardian in \
         (`guardian-facade`, or the crate that you use alone; it passes the feature on to `guardian-sql`)"
    )]
    NotBuilt {
        /// The database.
        database: &'static str,
        /// The feature that brings it.
        feature: &'static str,
    },
    /// The folder of a SQLite file does not exist, or the file does not and may not be made.
    #[error("cannot open `{path}`: {why}")]
    NoFile {
        /// The file.
        path: String,
        /// What is missing.
        why: &'static str,
    },
    /// The reason for crossing tenants says nothing.
    #[error("invalid reason `{input}`: {why}")]
    InvalidReason {
        /// The text, shortened.
        input: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The name of a lease does not read.
    #[error("invalid lease name `{input}`: {why}")]
    InvalidLease {
        /// The text, shortened.
        input: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The migrations themselves are wrong: numbered badly, empty, or ending their own transaction.
    #[error("the migrations of `{set}` are wrong: {why}")]
    InvalidMigrations {
        /// Whose they are.
        set: String,
        /// What is wrong with them.
        why: String,
    },
    /// A migration that was applied is not the one in the program any more.
    #[error(
        "migration {version} of `{set}` was applied as `{applied}` and has changed since: what was applied is never \
         edited, add a new migration"
    )]
    ChangedMigration {
        /// Whose it is.
        set: String,
        /// Its number.
        version: i64,
        /// Its name when it was applied.
        applied: String,
    },
    /// The database was migrated by a newer program.
    #[error(
        "the schema of `{set}` is at version {found} and this program knows versions up to {known}: start the newer program"
    )]
    NewerSchema {
        /// Whose it is.
        set: String,
        /// The version in the database.
        found: i64,
        /// The newest version in the program.
        known: i64,
    },
    /// A migration failed, and nothing of it was kept.
    #[error("migration {version} `{name}` of `{set}` failed and was undone")]
    MigrationFailed {
        /// Whose it is.
        set: String,
        /// Its number.
        version: i64,
        /// Its name.
        name: String,
        /// Why.
        source: StoreError,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    /// What kind of fault of the store this is; `None` when the caller's input was wrong.
    #[must_use]
    pub fn store_kind(&self) -> Option<StoreErrorKind> {
        match self {
            Self::Store(error) | Self::MigrationFailed { source: error, .. } => Some(error.kind()),
            _ => None,
        }
    }
}
