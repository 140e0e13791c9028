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
