use std::error::Error;
use std::fmt;

/// Why a store could not do what it was asked to. One opaque type for every backend of every crate, so that no
/// database driver shows through the suite's API.
///
/// ```
/// use guardian_core::{StoreError, StoreErrorKind};
///
/// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// let error = StoreError::new(StoreErrorKind::Unavailable, "redis").with_source(refused);
/// assert!(error.is_transient());
/// assert_eq!(error.to_string(), "the redis store is unavailable");
/// ```
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    backend: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// A fault of `backend` (`"memory"`, `"sqlite"`, `"postgres"`, `"redis"`, or a host's own).
    #[must_use]
    pub fn new(kind: StoreErrorKind, backend: &'static str) -> Self {
        Self { kind, backend, source: None }
    }

    /// The same fault with what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Which backend it went wrong in.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// Whether the same call may succeed later, unchanged.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            StoreErrorKind::Unavailable
                | StoreErrorKind::Timeout
                | StoreErrorKind::Conflict
                | StoreErrorKind::Full
        )
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            StoreErrorKind::Unavailable => "is unavailable",
            StoreErrorKind::Timeout => "did not answer in time",
            StoreErrorKind::Conflict => "found a concurrent change",
            StoreErrorKind::Constraint => "refused the data",
            StoreErrorKind::Full => "is full",
            StoreErrorKind::Corrupt => "holds data that cannot be read",
            StoreErrorKind::Unsupported => "cannot do this",
            StoreErrorKind::Internal => "failed",
        };
        write!(f, "the {} store {what}", self.backend)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

/// The kinds of [`StoreError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The backend cannot be reached. Transient; whether the call took effect is unknown.
    Unavailable,
    /// The backend did not answer in time. Transient; whether the call took effect is unknown.
    Timeout,
    /// Another writer was first. Transient: nothing was written, read again and retry.
    Conflict,
    /// The data breaks a rule of the store (a unique key, a reference). Nothing was written.
    Constraint,
    /// The store has no room. Transient: nothing was written.
    Full,
    /// What is stored cannot be understood: written by a newer version, or damaged.
    Corrupt,
    /// This backend does not offer the operation.
    Unsupported,
    /// Anything else: a defect in the store or its backend.
    Internal,
}
