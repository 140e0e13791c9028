use std::net::IpAddr;

use guardian_core::StoreError;

use crate::{PolicyError, Reason};

/// Why something about a tenant's policy could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The policy would be none.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Whoever makes the change would be kept out by it, and has not said that this is meant.
    #[error(
        "the change would lock `{addr}` out, from where it is made: {reason}; confirm it if that is meant"
    )]
    WouldLockOut {
        /// The author's address.
        addr: IpAddr,
        /// What would deny it.
        reason: Reason,
    },
    /// Somebody else has changed the policy meanwhile; nothing was stored.
    #[error("the policy was changed meanwhile, it has revision {actual} and not {expected}")]
    Conflict {
        /// What the change began from.
        expected: i64,
        /// What there is.
        actual: i64,
    },
    /// An override that is none.
    #[error("the emergency override {why}")]
    BreakGlass {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The store failed.
    #[error("the store of address rules failed")]
    Store(#[from] StoreError),
    /// The change is stored, and could not be reported.
    #[error("revision {revision} is stored, and the event about it was not taken")]
    Unreported {
        /// What is stored.
        revision: i64,
        /// Why the event was not taken.
        source: StoreError,
    },
}
