//! Why a command ended early.

use std::fmt;

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why a command ended early. A check that ran and found something is not an error but `Ok(false)`.
#[derive(Debug)]
pub(crate) enum Error {
    /// The arguments make no sense.
    Usage(String),
    /// Ctrl-C or a request to terminate arrived.
    Interrupted,
    /// The work could not be done.
    Failed(String),
}

impl Error {
    /// The work could not be done, for this reason.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// Puts what was being done in front of a fault of the system: `.map_err(Error::on("cannot read `x`"))`.
    pub(crate) fn on<E: fmt::Display>(doing: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |fault| Self::Failed(format!("{doing}: {fault}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Failed(message) => f.write_str(message),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Error {}
