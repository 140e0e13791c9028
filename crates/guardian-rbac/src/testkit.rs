//! What decisions and stores are held against; outside of semantic versioning: a new law may fail what passed before.
//!
//! Implement [`Fixture`] for your store and let [`store_conformance!`](crate::store_conformance) make one test of each law:
//!
//! ```
//! use std::sync::Arc;
//! use guardian_rbac::MemoryStore;
//! use guardian_rbac::testkit::Fixture;
//!
//! struct InMemory(Arc<MemoryStore>);
//!
//! impl Fixture for InMemory {
//!     type Store = Arc<MemoryStore>;
//!
//!     fn store(&self) -> Self::Store {
//!         Arc::clone(&self.0)
//!     }
//!
//!     fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
//!         tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
//!     }
//! }
//!
//! guardian_rbac::store_conformance!(InMemory(Arc::new(MemoryStore::new())));
//! # fn main() {}
//! ```

pub mod reference;
pub mod stores;

pub use stores::{Fixture, Violation};
