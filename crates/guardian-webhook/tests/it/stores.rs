//! The laws of a delivery store, on memory, SQLite, PostgreSQL and Redis.

use std::sync::Arc;

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
use guardian_testkit::Fixture;
use guardian_testkit::InMemory;
use guardian_webhook::store::MemoryStore;

mod memory {
    use super::*;
    guardian_webhook::delivery_store_tests!(InMemory::new(Arc::new(MemoryStore::new())));
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn on(kind: guardian_sql::testkit::Kind) -> impl Fixture<Store = guardian_webhook::store::SqlStore> {
    let operator = guardian_core::Scope::system(guardian_core::TenantId::new("operator").unwrap());
    let store = move |db: &guardian_sql::Database| {
        guardian_webhook::store::SqlStore::new(db.clone(), &operator).unwrap()
    };
    guardian_sql::testkit::OnSql::new(kind, &guardian_webhook::store::MIGRATIONS, store).unwrap()
}

#[cfg(feature = "sqlite")]
mod sqlite_memory {
    use super::*;
    guardian_webhook::delivery_store_tests!(on(guardian_sql::testkit::Kind::SqliteMemory));
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_message_whose_key_is_taken_leaves_the_callers_transaction_as_it_was() {
    use guardian_core::{Scope, SystemClock, SystemIds, TenantId};
    use guardian_webhook::{AeadVault, Config, EndpointSettings, Error, KeyChoice, Publish, Webhooks};
    let db = guardian_sql::Database::open("sqlite::memory:").await.unwrap();
    let operator = Scope::system(TenantId::new("operator").unwrap());
    let store = guardian_webhook::store::SqlStore::open(db.clone(), &operator).await.unwrap();
    let webhooks = Webhooks::new(
        store,
        AeadVault::new([7; 32]),
        SystemClock::new(),
        SystemIds::new(),
        Config::default(),
    );
    let acme = Scope::system(TenantId::new("acme").unwrap());
    let settings = EndpointSettings::new("https://example.com");
    let (endpoint, _) = webhooks.create_endpoint(&acme, settings, KeyChoice::NewSecret).await.unwrap();
    let deal = |body: &'static str, key: &str| {
        Publish::bytes("deal.won", "text/plain", body.as_bytes()).unwrap().with_idempotency_key(key)
    };

    let mut tx = db.begin(&acme).await.unwrap();
    webhooks.publish_in(&mut tx, deal("7", "k")).await.unwrap();
    let reused = webhooks.publish_in(&mut tx, deal("8", "k")).await;
    assert!(matches!(reused, Err(Error::Reused { .. })), "{reused:?}");
    webhooks.publish_in(&mut tx, deal("8", "other")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(webhooks.queue(&acme, endpoint.id).await.unwrap().open, 2);
}

#[cfg(feature = "sqlite")]
mod sqlite_file {
    use super::*;
    guardian_webhook::delivery_store_tests!(on(guardian_sql::testkit::Kind::SqliteFile));
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;
    guardian_webhook::delivery_store_tests!(on(guardian_sql::testkit::Kind::Postgres));
}

#[cfg(feature = "redis")]
struct OnRedis {
    runtime: tokio::runtime::Runtime,
    store: guardian_webhook::store::RedisStore,
}

#[cfg(feature = "redis")]
impl OnRedis {
    fn new() -> Self {
        use guardian_core::{Clock as _, IdSource as _};
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let url = std::env::var_os("GUARDIAN_TEST_REDIS_URL")
            .expect("GUARDIAN_TEST_REDIS_URL names the Redis of the tests");
        let url = url.to_string_lossy().into_owned();
        let prefix =
            guardian_core::SystemIds::new().next_id(guardian_core::SystemClock::new().now()).to_string();
        let store = runtime.block_on(guardian_webhook::store::RedisStore::connect(url, &prefix)).unwrap();
        Self { runtime, store }
    }
}

#[cfg(feature = "redis")]
impl Fixture for OnRedis {
    type Store = guardian_webhook::store::RedisStore;

    fn store(&self) -> Self::Store {
        self.store.clone()
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.handle().block_on(future)
    }
}

#[cfg(feature = "redis")]
mod redis {
    use super::*;
    guardian_webhook::delivery_store_tests!(OnRedis::new());
}
