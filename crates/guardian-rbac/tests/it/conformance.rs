//! The laws of a store of policies.

use std::sync::Arc;

use guardian_rbac::MemoryStore;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use guardian_testkit::Fixture;
use guardian_testkit::InMemory;

mod memory {
    use super::*;
    guardian_rbac::store_conformance!(InMemory::new(Arc::new(MemoryStore::new())));
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn on(kind: guardian_sql::testkit::Kind) -> impl Fixture<Store = guardian_rbac::SqlStore> {
    let store = |db: &guardian_sql::Database| guardian_rbac::SqlStore::new(db.clone());
    guardian_sql::testkit::OnSql::new(kind, &guardian_rbac::store::MIGRATIONS, store).unwrap()
}

#[cfg(feature = "sqlite")]
mod sqlite_memory {
    use super::*;
    guardian_rbac::store_conformance!(on(guardian_sql::testkit::Kind::SqliteMemory));
}

#[cfg(feature = "sqlite")]
mod sqlite_file {
    use super::*;
    guardian_rbac::store_conformance!(on(guardian_sql::testkit::Kind::SqliteFile));
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;
    guardian_rbac::store_conformance!(on(guardian_sql::testkit::Kind::Postgres));
}
