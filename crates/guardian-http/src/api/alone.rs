use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use guardian_core::{Scope, TenantId};

use super::Kind;
use crate::Problem;

/// Work that takes long: one at a time for each tenant, in this process.
#[derive(Debug, Clone)]
pub(super) struct Alone {
    busy: Arc<Mutex<HashSet<TenantId>>>,
    why: &'static str,
}

/// The work of one tenant, until it is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Entered {
    busy: Arc<Mutex<HashSet<TenantId>>>,
    tenant: TenantId,
}

impl Alone {
    /// Nobody is at work, and this is what others hear while somebody is.
    pub(super) fn new(why: &'static str) -> Self {
        Self { busy: Arc::default(), why }
    }

    /// Begins, or says 409 when the tenant is at it already.
    pub(super) fn enter(&self, scope: &Scope) -> Result<Entered, Problem> {
        let tenant = scope.tenant().clone();
        let is_first = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant.clone());
        if is_first {
            return Ok(Entered { busy: Arc::clone(&self.busy), tenant });
        }
        Err(Kind::Conflict.because(self.why))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.tenant);
    }
}

#[cfg(test)]
mod tests {
    use guardian_core::{Actor, Scope, TenantId};
    use http::StatusCode;

    use super::Alone;

    fn scope(tenant: &str) -> Scope {
        Scope::new(TenantId::new(tenant).unwrap(), Actor::user("ann").unwrap())
    }

    #[test]
    fn one_at_a_time_for_each_tenant() {
        let alone = Alone::new("somebody is at it");
        let first = alone.enter(&scope("acme")).unwrap();
        let second = alone.clone().enter(&scope("acme")).unwrap_err();
        assert_eq!(second.status(), StatusCode::CONFLICT);
        let _other = alone.enter(&scope("umbrella")).unwrap();
        drop(first);
        assert!(alone.enter(&scope("acme")).is_ok());
    }
}
