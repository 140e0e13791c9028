//! The memory store obeys the laws.

use std::sync::Arc;

use guardian_audit::store::MemoryStore;
use guardian_testkit::InMemory;

guardian_audit::store_conformance!(InMemory::new(Arc::new(MemoryStore::new())));
