//! The store in SQL databases obeys the laws: SQLite in memory and in a file, and PostgreSQL as a role that owns nothing.
#![cfg(any(feature = "sqlite", feature = "postgres"))]

use guardian_audit::store::SqlStore;
use guardian_audit::testkit::Fixture;
use guardian_core::{Scope, TenantId};
use guardian_sql::Migrations;
use guardian_sql::testkit::{Fresh, Kind};
use tokio::runtime::Runtime;

mod keys;
mod kill;
mod outbox;
mod queue;
mod store;
mod tampering;

/// A store and the runtime that serves its connections and every thread of a law.
struct InSql {
    store: SqlStore,
    runtime: Runtime,
    _fresh: Fresh,
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(crate) fn scope(tenant: &str) -> Scope {
    Scope::system(TenantId::new(tenant).unwrap())
}

pub(crate) async fn fresh(kind: Kind, sets: &[&Migrations]) -> Fresh {
    kind.open(sets).await.unwrap()
}

impl InSql {
    fn new(kind: Kind) -> Self {
        let runtime = runtime();
        let fresh = runtime.block_on(fresh(kind, &[&SqlStore::MIGRATIONS]));
        Self { store: SqlStore::new(fresh.database()), runtime, _fresh: fresh }
    }
}

impl Fixture for InSql {
    type Store = SqlStore;

    fn store(&self) -> SqlStore {
        self.store.clone()
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

#[cfg(feature = "sqlite")]
mod laws_in_sqlite_memory {
    use super::*;
    guardian_audit::store_conformance!(InSql::new(Kind::SqliteMemory));
}

#[cfg(feature = "sqlite")]
mod laws_in_a_sqlite_file {
    use super::*;
    guardian_audit::store_conformance!(InSql::new(Kind::SqliteFile));
}

#[cfg(feature = "postgres")]
mod laws_on_postgres {
    use super::*;
    guardian_audit::store_conformance!(InSql::new(Kind::Postgres));
}
