//! The laws of a store, on every store.

use std::sync::Arc;

use guardian_ipaccess::{MemoryStore, testkit};

#[tokio::test]
async fn memory_obeys_every_law() {
    for name in testkit::LAWS {
        let store = Arc::new(MemoryStore::new());
        testkit::law(name, &store).await.unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_obey_every_law() {
    use guardian_ipaccess::{MIGRATIONS, SqlStore};
    use guardian_sql::testkit::Kind;

    for kind in Kind::all() {
        for name in testkit::LAWS {
            let fresh = kind.open(&[&MIGRATIONS]).await.unwrap();
            let store = Arc::new(SqlStore::new(fresh.database().clone()));
            testkit::law(name, &store).await.unwrap_or_else(|wrong| panic!("{kind:?}, {name}: {wrong}"));
        }
    }
}

/// A store that breaks a promise is found out.
#[tokio::test]
async fn laws_notice_a_store_that_breaks_them() {
    use async_trait::async_trait;
    use guardian_core::{Actor, Scope, StoreError, TenantId};
    use guardian_ipaccess::AccessStore;
    use guardian_ipaccess::store::Stored;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Breaks {
        Tenants,
        Revisions,
    }

    #[derive(Debug)]
    struct Broken(MemoryStore, Breaks);

    impl Broken {
        fn scope(&self, scope: &Scope) -> Scope {
            let tenant = if self.1 == Breaks::Tenants {
                TenantId::new("one").unwrap()
            } else {
                scope.tenant().clone()
            };
            Scope::new(tenant, Actor::system())
        }
    }

    #[async_trait]
    impl AccessStore for Broken {
        async fn load(&self, scope: &Scope) -> Result<Option<(i64, Arc<Stored>)>, StoreError> {
            self.0.load(&self.scope(scope)).await
        }

        async fn revision(&self, scope: &Scope) -> Result<i64, StoreError> {
            self.0.revision(&self.scope(scope)).await
        }

        async fn save(&self, scope: &Scope, expected: i64, stored: Arc<Stored>) -> Result<bool, StoreError> {
            let scope = self.scope(scope);
            let actual = self.0.revision(&scope).await?;
            self.0.save(&scope, if self.1 == Breaks::Revisions { actual } else { expected }, stored).await
        }
    }

    for (breaks, law) in [
        (Breaks::Tenants, "tenants_are_apart"),
        (Breaks::Revisions, "a_revision_is_saved_once"),
        (Breaks::Revisions, "of_many_at_once_one_wins"),
    ] {
        let store = Arc::new(Broken(MemoryStore::new(), breaks));
        assert!(testkit::law(law, &store).await.is_err(), "{breaks:?} {law}");
    }
}
