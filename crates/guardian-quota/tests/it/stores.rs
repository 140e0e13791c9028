//! The laws of a quota store, on memory, SQLite and PostgreSQL.

use std::sync::Arc;

use guardian_quota::MemoryStore;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use guardian_testkit::Fixture;
use guardian_testkit::InMemory;

mod memory {
    use super::*;
    guardian_quota::quota_store_tests!(InMemory::new(Arc::new(MemoryStore::new())));
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn on(kind: guardian_sql::testkit::Kind) -> impl Fixture<Store = guardian_quota::SqlStore> {
    let operator = guardian_core::Scope::system(guardian_core::TenantId::new("operator").unwrap());
    let store =
        move |db: &guardian_sql::Database| guardian_quota::SqlStore::new(db.clone(), &operator).unwrap();
    guardian_sql::testkit::OnSql::new(kind, &guardian_quota::SqlStore::MIGRATIONS, store).unwrap()
}

#[cfg(feature = "sqlite")]
mod sqlite_memory {
    use super::*;
    guardian_quota::quota_store_tests!(on(guardian_sql::testkit::Kind::SqliteMemory));
}

#[cfg(feature = "sqlite")]
mod sqlite_file {
    use super::*;
    guardian_quota::quota_store_tests!(on(guardian_sql::testkit::Kind::SqliteFile));
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;
    guardian_quota::quota_store_tests!(on(guardian_sql::testkit::Kind::Postgres));
}
