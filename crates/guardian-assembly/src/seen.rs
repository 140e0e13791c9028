//! What a process has looked at already.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use guardian_core::{TenantId, Timestamp};

/// A moment that is known or not.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Option<Timestamp>>);

impl Seen {
    pub(crate) fn get(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}

/// Until when schedules of tenants were looked at.
#[derive(Debug, Default)]
pub(crate) struct Scheduled(Mutex<HashMap<TenantId, Timestamp>>);

impl Scheduled {
    pub(crate) fn since(&self, tenant: &TenantId, otherwise: Timestamp) -> Timestamp {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(tenant).copied().unwrap_or(otherwise)
    }

    pub(crate) fn seen(&self, tenant: TenantId, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant, now);
    }
}
