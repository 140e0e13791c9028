//! The memory store obeys the laws.

use std::sync::Arc;

use guardian_audit::store::MemoryStore;
use guardian_audit::testkit::Fixture;

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

guardian_audit::store_conformance!(InMemory(Arc::new(MemoryStore::new())));
