use std::collections::BTreeMap;

use async_trait::async_trait;
use guardian_core::{Event, Scope, StoreError, TenantId, Timestamp};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{Committed, MAX_NEWS, News, PolicyStore};
use crate::{Change, GrantId, Item, Key, Policy, Revision};

/// Policies in the memory of this process: for tests, demos, and hosts whose policies come from a file.
///
/// ```
/// use guardian_rbac::{Catalog, MemoryStore, Rbac};
///
/// let rbac = Rbac::new(Catalog::builder().permission("deal:read", "See deals").build()?, MemoryStore::new());
/// # let _ = rbac;
/// # Ok::<(), guardian_rbac::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore {
    tenants: Mutex<BTreeMap<TenantId, Tenant>>,
}

#[derive(Debug, Default)]
struct Tenant {
    policy: Policy,
    revision: Revision,
    log: BTreeMap<Revision, Vec<Change>>,
    undelivered: BTreeMap<Uuid, Event>,
    uses: BTreeMap<GrantId, Timestamp>,
}

impl MemoryStore {
    /// No policies yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, scope: &Scope, work: impl FnOnce(&mut Tenant) -> T) -> T {
        work(self.tenants.lock().entry(scope.tenant().clone()).or_default())
    }
}

#[async_trait]
impl PolicyStore for MemoryStore {
    async fn load(&self, scope: &Scope) -> Result<(Revision, Vec<Item>), StoreError> {
        Ok(self.with(scope, |tenant| (tenant.revision, tenant.policy.items().collect())))
    }

    async fn commit(
        &self,
        scope: &Scope,
        expected: Revision,
        changes: &[Change],
        events: &[Event],
    ) -> Result<Committed, StoreError> {
        Ok(self.with(scope, |tenant| {
            if tenant.revision != expected {
                return Committed::Conflict(tenant.revision);
            }
            for change in changes {
                if let Change::Remove(Key::Grant(grant)) = change {
                    tenant.uses.remove(grant);
                }
                tenant.policy.apply(change.clone());
            }
            tenant.revision = expected.next();
            tenant.log.insert(tenant.revision, changes.to_vec());
            tenant.undelivered.extend(events.iter().map(|event| (event.id, event.clone())));
            Committed::Done(tenant.revision)
        }))
    }

    async fn since(&self, scope: &Scope, after: Revision) -> Result<News, StoreError> {
        Ok(self.with(scope, |tenant| {
            if after >= tenant.revision {
                // One that is ahead is of another life of this store.
                return if after == tenant.revision { News::Changes(Vec::new()) } else { News::Reload };
            }
            let news: Vec<_> = tenant
                .log
                .range(after.next()..)
                .take(MAX_NEWS + 1)
                .map(|(at, changes)| (*at, changes.clone()))
                .collect();
            let complete =
                news.first().is_some_and(|(first, _)| *first == after.next()) && news.len() <= MAX_NEWS;
            if complete { News::Changes(news) } else { News::Reload }
        }))
    }

    async fn prune(&self, scope: &Scope, up_to: Revision) -> Result<(), StoreError> {
        self.with(scope, |tenant| tenant.log.retain(|at, _| *at > up_to));
        Ok(())
    }

    async fn undelivered(&self, scope: &Scope, limit: u32) -> Result<Vec<Event>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.with(scope, |tenant| tenant.undelivered.values().take(limit).cloned().collect()))
    }

    async fn delivered(&self, scope: &Scope, event: Uuid) -> Result<(), StoreError> {
        self.with(scope, |tenant| tenant.undelivered.remove(&event));
        Ok(())
    }

    async fn record_uses(&self, scope: &Scope, grants: &[GrantId], at: Timestamp) -> Result<(), StoreError> {
        self.with(scope, |tenant| {
            for grant in grants {
                if tenant.policy.grant(*grant).is_some() {
                    let last = tenant.uses.entry(*grant).or_insert(at);
                    *last = at.max(*last);
                }
            }
        });
        Ok(())
    }

    async fn uses(&self, scope: &Scope) -> Result<BTreeMap<GrantId, Timestamp>, StoreError> {
        Ok(self.with(scope, |tenant| tenant.uses.clone()))
    }
}
