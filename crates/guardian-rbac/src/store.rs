//! Where policies live: the contract that every store keeps, and the stores that come with the crate.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Event, Scope, StoreError, TenantId, Timestamp};
use uuid::Uuid;

use crate::{Change, GrantId, Item, Revision};

mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;

pub use memory::MemoryStore;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::{MIGRATIONS, SqlStore};

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "stores make it and the service reads it; a new case breaks both"
)]
pub enum Committed {
    /// It is stored, at this revision.
    Done(Revision),
    /// Others wrote since: the policy is at this revision. Nothing was written.
    Conflict(Revision),
}

/// What was written since a revision.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "stores make it and the service reads it; a new case breaks both"
)]
pub enum News {
    /// The commits behind the revision, the oldest first; none when there are none.
    Changes(Vec<(Revision, Vec<Change>)>),
    /// They are not kept any more, or are too many: load the policy anew.
    Reload,
}

/// Keeps the policies of tenants, the changes that made them, the events of the changes until they are delivered, and when
/// grants were last used.
///
/// # Contract
/// Every method is atomic, and sees and touches the tenant of its scope alone. A call that returns an error may or may not
/// have happened, and nothing of it is half done. What `Ok` acknowledged survives whatever the store says that it survives.
///
/// The `testkit` (feature) has each promise as a law to run against any store.
#[async_trait]
pub trait PolicyStore: Send + Sync + fmt::Debug + 'static {
    /// The whole policy, in no order, and its revision; 0 and nothing for a tenant that never wrote.
    ///
    /// # Errors
    /// When the store fails.
    async fn load(&self, scope: &Scope) -> Result<(Revision, Vec<Item>), StoreError>;

    /// Makes changes in their order if the policy is at the revision `expected`, which it then is one above, and stores the
    /// events with them: all or nothing. At most [`MAX_CHANGES`] changes.
    ///
    /// # Errors
    /// When the store fails; another revision is [`Committed::Conflict`].
    async fn commit(
        &self,
        scope: &Scope,
        expected: Revision,
        changes: &[Change],
        events: &[Event],
    ) -> Result<Committed, StoreError>;

    /// What was committed behind a revision.
    ///
    /// # Errors
    /// When the store fails.
    async fn since(&self, scope: &Scope, after: Revision) -> Result<News, StoreError>;

    /// Forgets the commits up to this revision; the policy stays as it is. Whoever is behind loads it anew.
    ///
    /// # Errors
    /// When the store fails.
    async fn prune(&self, scope: &Scope, up_to: Revision) -> Result<(), StoreError>;

    /// At most `limit` events that were stored and not yet marked as delivered, ordered by id.
    ///
    /// # Errors
    /// When the store fails.
    async fn undelivered(&self, scope: &Scope, limit: u32) -> Result<Vec<Event>, StoreError>;

    /// Forgets an event, because its sink has taken it over. One that is not known is nothing to forget.
    ///
    /// # Errors
    /// When the store fails.
    async fn delivered(&self, scope: &Scope, event: Uuid) -> Result<(), StoreError>;

    /// Notes that grants were used; of several times the latest counts.
    ///
    /// # Errors
    /// When the store fails.
    async fn record_uses(&self, scope: &Scope, grants: &[GrantId], at: Timestamp) -> Result<(), StoreError>;

    /// When each grant was last used, of those that ever were and still exist.
    ///
    /// # Errors
    /// When the store fails.
    async fn uses(&self, scope: &Scope) -> Result<BTreeMap<GrantId, Timestamp>, StoreError>;

    /// Waits until somebody committed, here or in another process, and says to which policy; `None` where it may have been to
    /// any. A hint that may be late or lost: what was committed is what [`since`](Self::since) says. A store that hears nothing
    /// waits for ever. It may be dropped while it waits.
    ///
    /// # Errors
    /// When the store fails.
    async fn changed(&self) -> Result<Option<TenantId>, StoreError> {
        std::future::pending().await
    }
}

/// The most changes of one commit.
pub const MAX_CHANGES: usize = 10_000;

/// The most commits that [`PolicyStore::since`] returns before it asks to load anew.
pub(crate) const MAX_NEWS: usize = 1_000;

#[async_trait]
impl<S: PolicyStore + ?Sized> PolicyStore for Arc<S> {
    async fn load(&self, scope: &Scope) -> Result<(Revision, Vec<Item>), StoreError> {
        (**self).load(scope).await
    }

    async fn commit(
        &self,
        scope: &Scope,
        expected: Revision,
        changes: &[Change],
        events: &[Event],
    ) -> Result<Committed, StoreError> {
        (**self).commit(scope, expected, changes, events).await
    }

    async fn since(&self, scope: &Scope, after: Revision) -> Result<News, StoreError> {
        (**self).since(scope, after).await
    }

    async fn prune(&self, scope: &Scope, up_to: Revision) -> Result<(), StoreError> {
        (**self).prune(scope, up_to).await
    }

    async fn undelivered(&self, scope: &Scope, limit: u32) -> Result<Vec<Event>, StoreError> {
        (**self).undelivered(scope, limit).await
    }

    async fn delivered(&self, scope: &Scope, event: Uuid) -> Result<(), StoreError> {
        (**self).delivered(scope, event).await
    }

    async fn record_uses(&self, scope: &Scope, grants: &[GrantId], at: Timestamp) -> Result<(), StoreError> {
        (**self).record_uses(scope, grants, at).await
    }

    async fn uses(&self, scope: &Scope) -> Result<BTreeMap<GrantId, Timestamp>, StoreError> {
        (**self).uses(scope).await
    }

    async fn changed(&self) -> Result<Option<TenantId>, StoreError> {
        (**self).changed().await
    }
}
