//! The laws of a delivery store, on memory, SQLite and PostgreSQL.

use std::sync::Arc;

use guardian_webhook::store::MemoryStore;
use guardian_webhook::testkit::Fixture;

struct InMemory(Arc<MemoryStore>);

impl Fixture for InMemory {
    type Store = Arc<MemoryStore>;

    fn store(&self) -> Self::Store {
        Arc::clone(&self.0)
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }
}

mod memory {
    use super::*;
    guardian_webhook::delivery_store_tests!(InMemory(Arc::new(MemoryStore::new())));
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
struct OnSql {
    runtime: tokio::runtime::Runtime,
    fresh: guardian_sql::testkit::Fresh,
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl OnSql {
    fn new(kind: guardian_sql::testkit::Kind) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let fresh = runtime.block_on(kind.open(&[&guardian_webhook::store::MIGRATIONS])).unwrap();
        Self { runtime, fresh }
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl Fixture for OnSql {
    type Store = guardian_webhook::store::SqlStore;

    fn store(&self) -> Self::Store {
        let operator = guardian_core::Scope::system(guardian_core::TenantId::new("operator").unwrap());
        guardian_webhook::store::SqlStore::new(self.fresh.database().clone(), &operator).unwrap()
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.handle().block_on(future)
    }
}

#[cfg(feature = "sqlite")]
mod sqlite_memory {
    use super::*;
    guardian_webhook::delivery_store_tests!(OnSql::new(guardian_sql::testkit::Kind::SqliteMemory));
}

#[cfg(feature = "sqlite")]
mod sqlite_file {
    use super::*;
    guardian_webhook::delivery_store_tests!(OnSql::new(guardian_sql::testkit::Kind::SqliteFile));
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;
    guardian_webhook::delivery_store_tests!(OnSql::new(guardian_sql::testkit::Kind::Postgres));
}

#[cfg(feature = "redis")]
struct OnRedis {
    runtime: tokio::runtime::Runtime,
    store: guardian_webhook::store::RedisStore,
}

#[cfg(feature = "redis")]
impl OnRedis {
    fn new() -> Self {
        use guardian_core::{Clock as _, IdSource as _};
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let url = std::env::var_os("GUARDIAN_TEST_REDIS_URL")
            .expect("GUARDIAN_TEST_REDIS_URL names the Redis of the tests");
        let url = url.to_string_lossy().into_owned();
        let prefix =
            guardian_core::SystemIds::new().next_id(guardian_core::SystemClock::new().now()).to_string();
        let store = runtime.block_on(guardian_webhook::store::RedisStore::connect(url, &prefix)).unwrap();
        Self { runtime, store }
    }
}

#[cfg(feature = "redis")]
impl Fixture for OnRedis {
    type Store = guardian_webhook::store::RedisStore;

    fn store(&self) -> Self::Store {
        self.store.clone()
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.handle().block_on(future)
    }
}

#[cfg(feature = "redis")]
mod redis {
    use super::*;
    guardian_webhook::delivery_store_tests!(OnRedis::new());
}
