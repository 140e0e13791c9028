//! What decisions and stores are held against; outside of semantic versioning: a new law may fail what passed before.
//!
//! Make a [`Fixture`] of your store and let [`store_conformance!`](crate::store_conformance) make one test of each law:
//!
//! ```
//! use std::sync::Arc;
//! use guardian_testkit::InMemory;
//! use guardian_rbac::MemoryStore;
//!
//! guardian_rbac::store_conformance!(InMemory::new(Arc::new(MemoryStore::new())));
//! # fn main() {}
//! ```

pub mod reference;
pub mod stores;

pub use stores::{Fixture, Violation};
