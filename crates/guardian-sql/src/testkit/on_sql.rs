//! A store on a fresh database, as a fixture of a test kit.

use std::fmt;

use guardian_testkit::Fixture;
use tokio::runtime::{Builder, Runtime};

use super::{Fresh, Kind};
use crate::{Database, Migrations};

/// A store on a fresh database, with a runtime of its own, to hold it against laws.
///
/// ```
/// use guardian_sql::testkit::{Kind, OnSql};
/// use guardian_sql::{Database, Migration, Migrations};
/// use guardian_testkit::Fixture;
///
/// const MIGRATIONS: Migrations = Migrations::new("t", &[Migration::same(1, "t", "CREATE TABLE t (tenant_id TEXT NOT NULL)")]);
///
/// # #[cfg(feature = "sqlite")]
/// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let fixture = OnSql::new(Kind::SqliteMemory, &MIGRATIONS, Database::clone)?;
/// assert_eq!(fixture.block_on(async { fixture.store().schema_version(&MIGRATIONS).await })?, Some(1));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
pub struct OnSql<F> {
    runtime: Runtime,
    fresh: Fresh,
    make: F,
}

impl<S, F: Fn(&Database) -> S> OnSql<F> {
    /// A fresh database with this schema, and how a store is made of it: anew each time, so that no two share what they remember.
    ///
    /// # Errors
    /// As for [`Kind::open`].
    pub fn new(
        kind: Kind,
        migrations: &Migrations,
        make: F,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let fresh = runtime.block_on(kind.open(&[migrations]))?;
        Ok(Self { runtime, fresh, make })
    }
}

impl<F> fmt::Debug for OnSql<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnSql").field("fresh", &self.fresh).finish_non_exhaustive()
    }
}

impl<S, F: Fn(&Database) -> S + Sync> Fixture for OnSql<F> {
    type Store = S;

    fn store(&self) -> S {
        (self.make)(self.fresh.database())
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        // By the handle: several threads of a law wait at once.
        self.runtime.handle().block_on(future)
    }
}
