use std::collections::HashMap;

use async_trait::async_trait;
use guardian_core::{Scope, StoreError, TenantId};
use parking_lot::Mutex;

use super::{Anchor, Anchored, own};
use crate::checkpoint::SealedCheckpoint;

const BACKEND: &str = "memory anchor";

/// Keeps the latest checkpoint of each tenant in this process's memory: for tests and demonstrations. It guards against
/// nothing that happens while the process is not running.
#[derive(Debug, Default)]
pub struct MemoryAnchor {
    latest: Mutex<HashMap<TenantId, SealedCheckpoint>>,
}

impl MemoryAnchor {
    /// An anchor that keeps nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Anchor for MemoryAnchor {
    fn name(&self) -> &str {
        BACKEND
    }

    async fn publish(&self, scope: &Scope, checkpoint: &SealedCheckpoint) -> Result<Anchored, StoreError> {
        own(scope, checkpoint, BACKEND)?;
        let mut latest = self.latest.lock();
        if let Some(known) = Anchored::judge(latest.get(scope.tenant()), checkpoint) {
            return Ok(known);
        }
        latest.insert(scope.tenant().clone(), checkpoint.clone());
        Ok(Anchored::Kept)
    }

    async fn latest(&self, scope: &Scope) -> Result<Option<SealedCheckpoint>, StoreError> {
        Ok(self.latest.lock().get(scope.tenant()).cloned())
    }
}
