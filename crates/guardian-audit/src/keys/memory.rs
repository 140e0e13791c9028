use std::collections::HashMap;

use async_trait::async_trait;
use guardian_core::{Scope, StoreError, TenantId};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{KeyStore, SubjectKey};

/// Keys in memory, for tests and demos: what they sealed is unreadable after the process ends.
#[derive(Debug, Default)]
pub struct MemoryKeys {
    keys: Mutex<HashMap<(TenantId, String), SubjectKey>>,
}

impl MemoryKeys {
    /// No keys yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl KeyStore for MemoryKeys {
    async fn key_of(&self, scope: &Scope, subject: &str) -> Result<SubjectKey, StoreError> {
        let mut keys = self.keys.lock();
        let owner = (scope.tenant().clone(), subject.to_owned());
        if let Some(key) = keys.get(&owner) {
            return Ok(key.clone());
        }
        let key = SubjectKey::generate()?;
        keys.insert(owner, key.clone());
        Ok(key)
    }

    async fn keys(&self, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, SubjectKey>, StoreError> {
        let keys = self.keys.lock();
        let ours = keys.iter().filter(|((tenant, _), key)| tenant == scope.tenant() && ids.contains(&key.id));
        Ok(ours.map(|(_, key)| (key.id, key.clone())).collect())
    }

    async fn destroy(&self, scope: &Scope, subject: &str) -> Result<bool, StoreError> {
        Ok(self.keys.lock().remove(&(scope.tenant().clone(), subject.to_owned())).is_some())
    }
}
