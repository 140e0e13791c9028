//! The laws of a quota store, on memory, SQLite and PostgreSQL.

use std::sync::Arc;

use guardian_quota::MemoryStore;
use guardian_quota::testkit::Fixture;

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
    guardian_quota::quota_store_tests!(InMemory(Arc::new(MemoryStore::new())));
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
        let fresh = runtime.block_on(kind.open(&[&guardian_quota::SqlStore::MIGRATIONS])).unwrap();
        Self { runtime, fresh }
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl Fixture for OnSql {
    type Store = guardian_quota::SqlStore;

    fn store(&self) -> Self::Store {
        let operator = guardian_core::Scope::system(guardian_core::TenantId::new("operator").unwrap());
        guardian_quota::SqlStore::new(self.fresh.database().clone(), &operator).unwrap()
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.handle().block_on(future)
    }
}

#[cfg(feature = "sqlite")]
mod sqlite_memory {
    use super::*;
    guardian_quota::quota_store_tests!(OnSql::new(guardian_sql::testkit::Kind::SqliteMemory));
}

#[cfg(feature = "sqlite")]
mod sqlite_file {
    use super::*;
    guardian_quota::quota_store_tests!(OnSql::new(guardian_sql::testkit::Kind::SqliteFile));
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;
    guardian_quota::quota_store_tests!(OnSql::new(guardian_sql::testkit::Kind::Postgres));
}
