use std::collections::BTreeMap;
use std::ops::Bound;

use async_trait::async_trait;
use guardian_core::{Event, Page, PageRequest, Scope, StoreError, TenantId, Timestamp};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{TenantFilter, TenantStore, Written, cursor_after, id_of_cursor};
use crate::{Platform, Tenant, Version};

/// Tenants in the memory of this process: for tests, demos, and hosts whose tenants come from a file.
///
/// ```
/// use guardian_tenant::{MemoryStore, Registry};
///
/// let registry = Registry::new(MemoryStore::new());
/// # let _ = registry;
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tenants: BTreeMap<TenantId, Tenant>,
    undelivered: BTreeMap<Uuid, Event>,
}

impl MemoryStore {
    /// No tenants yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl TenantStore for MemoryStore {
    async fn insert(&self, _: &Platform, tenant: &Tenant, event: &Event) -> Result<Written, StoreError> {
        let mut state = self.state.lock();
        if state.tenants.contains_key(&tenant.id) {
            return Ok(Written::Exists);
        }
        state.tenants.insert(tenant.id.clone(), tenant.clone());
        state.undelivered.insert(event.id, event.clone());
        Ok(Written::Done)
    }

    async fn replace(
        &self,
        _: &Platform,
        tenant: &Tenant,
        expected: Version,
        event: &Event,
    ) -> Result<Written, StoreError> {
        let mut state = self.state.lock();
        let Some(slot) = state.tenants.get_mut(&tenant.id) else {
            return Ok(Written::Missing);
        };
        if slot.version != expected {
            return Ok(Written::Conflict(slot.version));
        }
        *slot = tenant.clone();
        state.undelivered.insert(event.id, event.clone());
        Ok(Written::Done)
    }

    async fn get(&self, _: &Platform, id: &TenantId) -> Result<Option<Tenant>, StoreError> {
        Ok(self.state.lock().tenants.get(id).cloned())
    }

    async fn own(&self, scope: &Scope) -> Result<Option<Tenant>, StoreError> {
        Ok(self.state.lock().tenants.get(scope.tenant()).cloned())
    }

    async fn list(
        &self,
        _: &Platform,
        filter: &TenantFilter,
        page: &PageRequest,
    ) -> Result<Page<Tenant>, StoreError> {
        let after = id_of_cursor(page, "memory")?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.state.lock();
        let mut found = state
            .tenants
            .range((from, Bound::Unbounded))
            .map(|(_, tenant)| tenant)
            .filter(|tenant| filter.matches(tenant));
        let size = usize::try_from(page.size()).unwrap_or(usize::MAX);
        let items: Vec<Tenant> = found.by_ref().take(size).cloned().collect();
        let more = found.next().is_some();
        let next = items.last().filter(|_| more).map(|last| cursor_after(&last.id));
        Ok(Page::new(items, next))
    }

    async fn due(&self, _: &Platform, now: Timestamp, limit: u32) -> Result<Vec<Tenant>, StoreError> {
        let state = self.state.lock();
        let mut due: Vec<(Timestamp, &Tenant)> = state
            .tenants
            .values()
            .filter_map(|tenant| Some((tenant.status.purge_after().filter(|after| *after <= now)?, tenant)))
            .collect();
        // The sort is stable and the map ordered, so that equal times stay ordered by id.
        due.sort_by_key(|(after, _)| *after);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(due.into_iter().take(limit).map(|(_, tenant)| tenant.clone()).collect())
    }

    async fn undelivered(&self, _: &Platform, limit: u32) -> Result<Vec<Event>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.state.lock().undelivered.values().take(limit).cloned().collect())
    }

    async fn delivered(&self, _: &Platform, event: Uuid) -> Result<(), StoreError> {
        self.state.lock().undelivered.remove(&event);
        Ok(())
    }
}
