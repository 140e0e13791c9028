//! The laws of a store of sentiments, on memory, SQLite and PostgreSQL.

use std::sync::Arc;

use guardian_sentiment::MemoryStore;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use guardian_testkit::Fixture;
use guardian_testkit::InMemory;

mod memory {
    use super::*;
    guardian_sentiment::sentiment_store_tests!(InMemory::new(Arc::new(MemoryStore::new())));
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn on(kind: guardian_sql::testkit::Kind) -> impl Fixture<Store = guardian_sentiment::SqlStore> {
    use guardian_sentiment::SqlStore;
    let store = |db: &guardian_sql::Database| SqlStore::new(db.clone());
    guardian_sql::testkit::OnSql::new(kind, &SqlStore::MIGRATIONS, store).unwrap()
}

#[cfg(feature = "sqlite")]
mod sqlite_memory {
    use super::*;
    guardian_sentiment::sentiment_store_tests!(on(guardian_sql::testkit::Kind::SqliteMemory));
}

#[cfg(feature = "sqlite")]
mod sqlite_file {
    use super::*;
    guardian_sentiment::sentiment_store_tests!(on(guardian_sql::testkit::Kind::SqliteFile));
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;
    guardian_sentiment::sentiment_store_tests!(on(guardian_sql::testkit::Kind::Postgres));
}
