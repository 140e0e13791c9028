use std::collections::BTreeMap;

use async_trait::async_trait;
use guardian_core::{Event, Page, PageRequest, Scope, StoreError, TenantId, Timestamp};
use parking_lot::Mutex;
use uuid::Uuid;

use super::order::Place;
use super::{TenantFilter, TenantStore, Written};
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
        let order = filter.order;
        let behind = order.behind(page, "memory")?;
        let wanted = usize::try_from(page.size()).unwrap_or(usize::MAX).saturating_add(1);
        let state = self.state.lock();
        let matching = state.tenants.values().filter(|tenant| filter.matches(tenant));
        let mut found: Vec<(Place, &Tenant)> = matching
            .map(|tenant| (order.place_of(tenant), tenant))
            .filter(|(place, _)| behind.as_ref().is_none_or(|behind| order.compare(place, behind).is_gt()))
            .collect();
        // The page alone is sorted, and not all that is behind it.
        let compare = |(one, _): &(Place, _), (other, _): &(Place, _)| order.compare(one, other);
        if wanted < found.len() {
            found.select_nth_unstable_by(wanted, compare);
            found.truncate(wanted);
        }
        found.sort_unstable_by(compare);
        Ok(order.page(found.into_iter().map(|(_, tenant)| tenant.clone()).collect(), page))
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
