//! Where the policies of tenants live: the contract that every store keeps.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Scope, StoreError};
use serde::{Deserialize, Serialize};

use crate::{AccessPolicy, BreakGlass};

mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;

pub use memory::MemoryStore;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::{MIGRATIONS, SqlStore};

/// What is stored of a tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "the service makes it and stores keep it whole")]
pub struct Stored {
    /// The policy.
    pub policy: AccessPolicy,
    /// Emergency overrides that have not ended.
    pub overrides: Vec<BreakGlass>,
}

/// Keeps one document a tenant, with a revision.
///
/// # Contract
/// Every method is atomic and concerns the scope's tenant alone. What was acknowledged survives whatever the store says that it
/// survives. The `testkit` (feature) has each promise as a law to run against any store.
#[async_trait]
pub trait AccessStore: Send + Sync + fmt::Debug + 'static {
    /// What is stored, and its revision.
    ///
    /// # Errors
    /// When the store fails.
    async fn load(&self, scope: &Scope) -> Result<Option<(i64, Arc<Stored>)>, StoreError>;

    /// The revision alone: a cheap question for whoever has the rest already. 0 if there is nothing.
    ///
    /// # Errors
    /// When the store fails.
    async fn revision(&self, scope: &Scope) -> Result<i64, StoreError>;

    /// Stores it if the revision is still this one (0: there is nothing yet), with the next revision. `false` if it is another one;
    /// nothing was stored then.
    ///
    /// # Errors
    /// When the store fails.
    async fn save(&self, scope: &Scope, expected: i64, stored: Arc<Stored>) -> Result<bool, StoreError>;
}

#[async_trait]
impl<S: AccessStore + ?Sized> AccessStore for Arc<S> {
    async fn load(&self, scope: &Scope) -> Result<Option<(i64, Arc<Stored>)>, StoreError> {
        (**self).load(scope).await
    }

    async fn revision(&self, scope: &Scope) -> Result<i64, StoreError> {
        (**self).revision(scope).await
    }

    async fn save(&self, scope: &Scope, expected: i64, stored: Arc<Stored>) -> Result<bool, StoreError> {
        (**self).save(scope, expected, stored).await
    }
}
