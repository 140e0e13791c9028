//! The store in SQL databases obeys the laws: SQLite in memory and in a file, and PostgreSQL as a role that owns nothing.
#![cfg(any(feature = "sqlite", feature = "postgres"))]

use guardian_audit::store::SqlStore;
use guardian_core::{Scope, TenantId};
use guardian_sql::Migrations;
use guardian_sql::testkit::{Fresh, Kind, OnSql};
use guardian_testkit::Fixture;
use tokio::runtime::Runtime;

mod keys;
mod kill;
#[cfg(feature = "postgres")]
mod months;
mod outbox;
mod queue;
mod store;
mod tampering;

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(crate) fn scope(tenant: &str) -> Scope {
    Scope::system(TenantId::new(tenant).unwrap())
}

pub(crate) async fn fresh(kind: Kind, sets: &[&Migrations]) -> Fresh {
    kind.open(sets).await.unwrap()
}

fn on(kind: Kind) -> impl Fixture<Store = SqlStore> {
    OnSql::new(kind, &SqlStore::MIGRATIONS, SqlStore::new).unwrap()
}

#[cfg(feature = "sqlite")]
mod laws_in_sqlite_memory {
    use super::*;
    guardian_audit::store_conformance!(on(Kind::SqliteMemory));
}

#[cfg(feature = "sqlite")]
mod laws_in_a_sqlite_file {
    use super::*;
    guardian_audit::store_conformance!(on(Kind::SqliteFile));
}

#[cfg(feature = "postgres")]
mod laws_on_postgres {
    use super::*;
    guardian_audit::store_conformance!(on(Kind::Postgres));
}
