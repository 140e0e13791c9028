//! A store that does not answer while it is told to.

use async_trait::async_trait;
use guardian_audit::store::{
    AuditStore, Batch, Count, Drop, Facet, Found, Head, MemoryStore, Note, NoteKind, Placed, Record,
};
use guardian_audit::{Dimension, Plan};
use guardian_core::{Scope, StoreError, StoreErrorKind, Timestamp};
use parking_lot::Mutex;

/// A store that fails while it is told to.
#[derive(Debug, Default)]
pub(crate) struct Moody {
    store: MemoryStore,
    /// How it fails.
    pub(crate) fails: Mutex<Option<StoreErrorKind>>,
    /// How searches fail.
    pub(crate) finds_nothing: Mutex<Option<StoreErrorKind>>,
}

#[async_trait]
impl AuditStore for Moody {
    async fn append(&self, batches: &[Batch<'_>], at: Timestamp) -> Result<Vec<Vec<Placed>>, StoreError> {
        if let Some(kind) = *self.fails.lock() {
            return Err(StoreError::new(kind, "moody"));
        }
        self.store.append(batches, at).await
    }

    async fn search(
        &self,
        scope: &Scope,
        plan: &Plan,
        before: Option<u64>,
        size: usize,
    ) -> Result<Found, StoreError> {
        if let Some(kind) = *self.finds_nothing.lock() {
            return Err(StoreError::new(kind, "moody"));
        }
        self.store.search(scope, plan, before, size).await
    }

    async fn count(&self, scope: &Scope, plan: &Plan, limit: Option<u64>) -> Result<Count, StoreError> {
        self.store.count(scope, plan, limit).await
    }

    async fn facets(
        &self,
        scope: &Scope,
        plan: &Plan,
        by: Dimension,
        top: usize,
    ) -> Result<Vec<Facet>, StoreError> {
        self.store.facets(scope, plan, by, top).await
    }

    async fn histogram(&self, scope: &Scope, plan: &Plan, edges: &[i64]) -> Result<Vec<u64>, StoreError> {
        self.store.histogram(scope, plan, edges).await
    }

    async fn records(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<Record>, StoreError> {
        self.store.records(scope, from, size).await
    }

    async fn leaves(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<[u8; 32]>, StoreError> {
        self.store.leaves(scope, from, size).await
    }

    async fn head(&self, scope: &Scope) -> Result<Head, StoreError> {
        self.store.head(scope).await
    }

    async fn drop_bodies(&self, scope: &Scope, drop: &Drop<'_>) -> Result<u64, StoreError> {
        self.store.drop_bodies(scope, drop).await
    }

    async fn put_note(&self, scope: &Scope, kind: NoteKind, note: &Note) -> Result<(), StoreError> {
        self.store.put_note(scope, kind, note).await
    }

    async fn notes(&self, scope: &Scope, kind: NoteKind) -> Result<Vec<Note>, StoreError> {
        self.store.notes(scope, kind).await
    }

    async fn remove_note(&self, scope: &Scope, kind: NoteKind, name: &str) -> Result<bool, StoreError> {
        self.store.remove_note(scope, kind, name).await
    }

    async fn put_checkpoint(
        &self,
        scope: &Scope,
        last: Option<&str>,
        checkpoint: &Note,
        state: Option<&Note>,
    ) -> Result<bool, StoreError> {
        self.store.put_checkpoint(scope, last, checkpoint, state).await
    }
}
