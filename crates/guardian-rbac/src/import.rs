//! Policies from files, of this crate's own form and of other systems.
//!
//! What is read becomes an [`Imported`]: a catalog, and the things of a policy to give to
//! [`Rbac::import`](crate::Rbac::import). Each reader has a limit of size and of depth, and its errors name the line.

use guardian_core::Timestamp;
use uuid::Uuid;

use crate::{Catalog, Change, Error, Grant, GrantId, Item, NewGrant, Policy, Principal, Revision, Snapshot};

mod casbin;
mod file;
mod kubernetes;
mod yaml;

pub use casbin::{CasbinModel, FieldMatch};
pub use file::read_policy;
pub use kubernetes::read_kubernetes;

/// The longest text of a policy, in bytes.
pub const MAX_BYTES: usize = 16 << 20;

/// A policy that was read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Imported {
    /// The permissions that it names.
    pub catalog: Catalog,
    /// Its things, each behind those that it needs.
    pub items: Vec<Item>,
    /// What could not be taken over as it was, line by line.
    pub notes: Vec<String>,
}

impl Imported {
    /// The policy of these things.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy::of(self.items.iter().cloned())
    }

    /// The changes that write it.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        self.items.iter().cloned().map(Change::Put).collect()
    }

    /// The policy compiled, after a look whether it makes sense.
    ///
    /// # Errors
    /// What does not make sense first.
    pub fn compile(&self) -> Result<Snapshot, Error> {
        let policy = self.policy();
        policy.validate(&self.catalog, &self.changes())?;
        Snapshot::compile(&policy, &self.catalog, Revision::new(1))
    }
}

/// Gives grants ids that are the same each time that the same text is read.
struct Maker {
    at: Timestamp,
    next: u128,
    giver: Principal,
}

impl Maker {
    fn new(at: Timestamp) -> Result<Self, Error> {
        Ok(Self { at, next: 1, giver: Principal::new(guardian_core::ActorKind::System, "import")? })
    }

    fn grant(&mut self, new: NewGrant) -> Grant {
        // Version 8: made by a rule of our own.
        let id = Uuid::from_u128(0x6775_6172_6469_8000_8000_0000_0000_0000 | self.next);
        self.next += 1;
        Grant::of(new, GrantId::new(id), self.giver.clone(), self.at)
    }
}

fn fault(line: usize, why: impl Into<String>) -> Error {
    Error::Import { line, why: why.into() }
}

fn check_size(text: &str) -> Result<(), Error> {
    if text.len() > MAX_BYTES {
        return Err(fault(0, format!("the text has {} bytes, the most is {MAX_BYTES}", text.len())));
    }
    Ok(())
}

/// An error with the line where it is met.
fn on_line<T>(line: usize, result: Result<T, impl Into<Error>>) -> Result<T, Error> {
    result.map_err(|error| match error.into() {
        error @ Error::Import { .. } => error,
        error => {
            let cause =
                std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
            fault(line, format!("{error}{cause}"))
        }
    })
}
