//! The laws on the memory store, on an erased store, and on stores that are broken on purpose.

use std::sync::Arc;

use guardian_core::{ManualClock, MonoTime, StoreError};
use guardian_ratelimit::store::{Call, Item, Release, Store};
use guardian_ratelimit::testkit::{self, Fixture};
use guardian_ratelimit::{AnyStore, Decision, MemoryStore, Outcome, PolicyName, Realm};

use crate::models::block_on;

struct Kit<S> {
    store: Arc<S>,
    clock: ManualClock,
}

impl<S> Kit<S> {
    fn new(store: S) -> Self {
        Self { store: Arc::new(store), clock: ManualClock::new() }
    }
}

impl<S: Store> Fixture for Kit<S> {
    type Store = Arc<S>;

    fn store(&self) -> Arc<S> {
        Arc::clone(&self.store)
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        block_on(future)
    }
}

mod memory {
    use super::*;
    guardian_ratelimit::store_conformance!(Kit::new(MemoryStore::new()));
}

mod erased {
    use super::*;
    guardian_ratelimit::store_conformance!(Kit::new(AnyStore::new(MemoryStore::new())));
}

#[cfg(feature = "redis")]
mod redis {
    use super::*;
    use guardian_ratelimit::RedisStore;

    /// One runtime serves the fixture's connection and every thread of a law.
    struct OnRedis {
        store: RedisStore,
        clock: ManualClock,
        runtime: tokio::runtime::Runtime,
    }

    impl OnRedis {
        fn new() -> Self {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let clock = ManualClock::new();
            let store = runtime.block_on(crate::redis::store()).with_time_source(Arc::new(clock.clone()));
            Self { store, clock, runtime }
        }
    }

    impl Fixture for OnRedis {
        type Store = RedisStore;

        fn store(&self) -> RedisStore {
            self.store.clone()
        }

        fn clock(&self) -> &ManualClock {
            &self.clock
        }

        fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
            self.runtime.handle().block_on(future)
        }
    }

    guardian_ratelimit::store_conformance!(OnRedis::new());
}

/// The SQL store on one of its databases. One runtime serves the fixture's connections and every thread of a law.
#[cfg(all(feature = "sqlite", feature = "postgres"))]
pub(crate) struct InSql {
    pub(crate) store: guardian_ratelimit::SqlStore,
    pub(crate) clock: ManualClock,
    pub(crate) fresh: guardian_sql::testkit::Fresh,
    pub(crate) runtime: tokio::runtime::Runtime,
}

#[cfg(all(feature = "sqlite", feature = "postgres"))]
impl InSql {
    pub(crate) fn new(kind: guardian_sql::testkit::Kind) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let clock = ManualClock::new();
        let fresh = runtime.block_on(crate::sql::fresh(kind));
        let store =
            guardian_ratelimit::SqlStore::new(fresh.database()).with_time_source(Arc::new(clock.clone()));
        Self { store, clock, fresh, runtime }
    }
}

#[cfg(all(feature = "sqlite", feature = "postgres"))]
impl Fixture for InSql {
    type Store = guardian_ratelimit::SqlStore;

    fn store(&self) -> Self::Store {
        self.store.clone()
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.handle().block_on(future)
    }
}

/// A store that is right but for one fault.
#[derive(Debug)]
struct Broken {
    inner: MemoryStore,
    fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Reads and writes in two steps, as a GET followed by a SET would: two callers may both see the last place.
    LostUpdate,
    /// Tells clients that a limit is over one second before it is.
    WrongReset,
    /// Leaves the tenant out of the key.
    CrossTenantKey,
}

impl Broken {
    fn call<'a>(&self, call: &Call<'a>) -> Call<'a> {
        let realm = if self.fault == Fault::CrossTenantKey { Realm::Shared } else { call.realm };
        Call { realm, ..*call }
    }
}

impl Store for Broken {
    fn register(&self, name: &PolicyName) -> u32 {
        self.inner.register(name)
    }

    async fn check(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        let call = self.call(call);
        if self.fault == Fault::LostUpdate && call.items.len() > 1 {
            let seen = self.inner.peek(&call).await?;
            // Lets the other callers read too.
            std::thread::sleep(std::time::Duration::from_micros(50));
            if seen.is_allowed() {
                // Writes what follows from what was read, whatever was written in between.
                for item in call.items {
                    let one: &[Item<'_>] = &[*item];
                    let _ = self.inner.check(&Call { items: one, ..call }).await?;
                }
            }
            return Ok(seen);
        }
        let decision = self.inner.check(&call).await?;
        if self.fault == Fault::WrongReset {
            let early = decision.outcomes().iter().zip(call.items).map(|(outcome, item)| {
                let wait = outcome.retry_after().map(|wait| wait / 2);
                let (limit, remaining) = (outcome.limit(), outcome.remaining());
                Outcome::new(
                    item.policy,
                    item.mode,
                    outcome.admits(),
                    limit,
                    remaining,
                    wait,
                    outcome.reset_after() / 2,
                )
            });
            return Ok(Decision::from_outcomes(call.now, early));
        }
        Ok(decision)
    }

    async fn peek(&self, call: &Call<'_>) -> Result<Decision, StoreError> {
        self.inner.peek(&self.call(call)).await
    }

    async fn refund(&self, call: &Call<'_>, consumed_at: MonoTime) -> Result<(), StoreError> {
        self.inner.refund(&self.call(call), consumed_at).await
    }

    async fn reset(&self, call: &Call<'_>) -> Result<(), StoreError> {
        self.inner.reset(&self.call(call)).await
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        self.inner.release(release).await
    }

    fn release_detached(&self, release: Release) {
        self.inner.release_detached(release);
    }
}

fn broken(fault: Fault) -> Kit<Broken> {
    Kit::new(Broken { inner: MemoryStore::new(), fault })
}

#[test]
fn the_kit_catches_a_lost_update() {
    let violation =
        testkit::concurrent_checks_admit_exactly_the_capacity(&broken(Fault::LostUpdate)).unwrap_err();
    assert!(violation.to_string().contains("admitted"), "{violation}");
}

#[test]
fn the_kit_catches_a_wrong_reset() {
    let violation = testkit::retry_after_is_enough(&broken(Fault::WrongReset)).unwrap_err();
    assert!(violation.to_string().contains("denied after the wait"), "{violation}");
}

#[test]
fn the_kit_catches_a_cross_tenant_key() {
    let violation = testkit::tenants_do_not_meet(&broken(Fault::CrossTenantKey)).unwrap_err();
    assert!(violation.to_string().contains("another tenant"), "{violation}");
}
