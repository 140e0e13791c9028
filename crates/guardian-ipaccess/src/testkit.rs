//! The laws that every store must obey, to run against your own. Outside of semantic versioning.

use std::sync::Arc;

use futures_util::future::join_all;
use guardian_core::{Actor, Scope, TenantId};

use crate::store::{AccessStore, Stored};
use crate::{AccessPolicy, Defaults, Effect};

/// Each law by its name and as a test of a store that is empty.
pub const LAWS: &[&str] = &[
    "nothing_is_there_at_first",
    "what_was_saved_is_read",
    "a_revision_is_saved_once",
    "tenants_are_apart",
    "of_many_at_once_one_wins",
];

fn scope(tenant: &str) -> Scope {
    // Both texts are names.
    match (TenantId::new(tenant), Actor::user("ann")) {
        (Ok(tenant), Ok(actor)) => Scope::new(tenant, actor),
        _ => Scope::system(TenantId::from(1)),
    }
}

fn stored(addr: &str) -> Arc<Stored> {
    let mut policy = AccessPolicy::new(Defaults::closed());
    // An address as the laws write it is one.
    let added = policy.add_list(addr, Effect::Allow);
    debug_assert!(added.is_ok(), "{added:?}");
    Arc::new(Stored { policy, overrides: Vec::new() })
}

/// Runs the law of this name against a store that is empty; what is wrong, if anything is.
///
/// # Errors
/// What the store did and should not have done.
pub async fn law<S: AccessStore>(name: &str, store: &Arc<S>) -> Result<(), String> {
    let (acme, other) = (scope("acme"), scope("other"));
    let failed = |error| format!("the store failed: {error}");
    match name {
        "nothing_is_there_at_first" => {
            same("revision", store.revision(&acme).await.map_err(failed)?, 0)?;
            same("load", store.load(&acme).await.map_err(failed)?, None)
        }
        "what_was_saved_is_read" => {
            same("save", store.save(&acme, 0, stored("192.0.2.1")).await.map_err(failed)?, true)?;
            same("save", store.save(&acme, 1, stored("192.0.2.2")).await.map_err(failed)?, true)?;
            same("load", store.load(&acme).await.map_err(failed)?, Some((2, stored("192.0.2.2"))))?;
            same("revision", store.revision(&acme).await.map_err(failed)?, 2)
        }
        "a_revision_is_saved_once" => {
            same("save", store.save(&acme, 1, stored("192.0.2.1")).await.map_err(failed)?, false)?;
            same("save", store.save(&acme, 0, stored("192.0.2.1")).await.map_err(failed)?, true)?;
            same("save", store.save(&acme, 0, stored("192.0.2.2")).await.map_err(failed)?, false)?;
            same("load", store.load(&acme).await.map_err(failed)?, Some((1, stored("192.0.2.1"))))
        }
        "tenants_are_apart" => {
            same("save", store.save(&acme, 0, stored("192.0.2.1")).await.map_err(failed)?, true)?;
            same("load", store.load(&other).await.map_err(failed)?, None)?;
            same("revision", store.revision(&other).await.map_err(failed)?, 0)?;
            same("save", store.save(&other, 1, stored("192.0.2.9")).await.map_err(failed)?, false)?;
            same("save", store.save(&other, 0, stored("192.0.2.9")).await.map_err(failed)?, true)?;
            same("load", store.load(&acme).await.map_err(failed)?, Some((1, stored("192.0.2.1"))))
        }
        "of_many_at_once_one_wins" => {
            let addrs = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
            let tries = addrs.map(|addr| store.save(&acme, 0, stored(addr)));
            let won = join_all(tries).await.into_iter().collect::<Result<Vec<_>, _>>().map_err(failed)?;
            same("winners", won.iter().filter(|won| **won).count(), 1)?;
            same("revision", store.revision(&acme).await.map_err(failed)?, 1)
        }
        _ => Err(format!("there is no law `{name}`")),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, given: T, expected: T) -> Result<(), String> {
    match (given, expected) {
        (given, expected) if given == expected => Ok(()),
        (given, expected) => Err(format!("{what}: {given:?} instead of {expected:?}")),
    }
}
