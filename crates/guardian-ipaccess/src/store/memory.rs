use std::sync::Arc;

use async_trait::async_trait;
use foldhash::HashMap;
use guardian_core::{Scope, StoreError, TenantId};
use parking_lot::Mutex;

use super::{AccessStore, Stored};

/// Policies in this process's memory, gone when it ends.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tenants: Mutex<HashMap<TenantId, (i64, Arc<Stored>)>>,
}

impl MemoryStore {
    /// Without any policy yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl AccessStore for MemoryStore {
    async fn load(&self, scope: &Scope) -> Result<Option<(i64, Arc<Stored>)>, StoreError> {
        Ok(self.tenants.lock().get(scope.tenant()).cloned())
    }

    async fn revision(&self, scope: &Scope) -> Result<i64, StoreError> {
        Ok(self.tenants.lock().get(scope.tenant()).map_or(0, |(revision, _)| *revision))
    }

    async fn save(&self, scope: &Scope, expected: i64, stored: Arc<Stored>) -> Result<bool, StoreError> {
        let mut tenants = self.tenants.lock();
        if tenants.get(scope.tenant()).map_or(0, |(revision, _)| *revision) != expected {
            return Ok(false);
        }
        tenants.insert(scope.tenant().clone(), (expected + 1, stored));
        Ok(true)
    }
}
