//! The store on PostgreSQL with a partition for each month.

use chrono::{Months, TimeDelta};
use guardian_audit::store::{AuditStore, Batch, Drop, MemoryStore, SqlStore};
use guardian_audit::testkit::Sample;
use guardian_audit::{Plan, Query};
use guardian_core::{Clock as _, StoreErrorKind, SystemClock, Timestamp};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, Migration, Migrations, Unscoped};

use super::{fresh, runtime, scope};

/// Both sets as one, for the fixture.
const BOTH: Migrations = Migrations::new(
    "guardian_audit",
    &[
        Migration::new(1, "log", "", include_str!("../../../migrations/0001_log.postgres.sql")),
        Migration::new(2, "search", "", include_str!("../../../migrations/0002_search.postgres.sql")),
        Migration::new(3, "months", "", include_str!("../../../migrations/4001_months.postgres.sql")),
        // Some of what the laws record is before these months, in them, between them, and after them.
        Migration::new(
            4,
            "some",
            "",
            "SELECT guardian_audit_add_month('2025-01-31'); SELECT guardian_audit_add_month('2025-03-01');
             SELECT guardian_audit_add_month('1970-01-01');",
        ),
    ],
);

mod laws {
    use super::*;
    use guardian_sql::testkit::OnSql;
    use guardian_testkit::Fixture;

    fn on_months() -> impl Fixture<Store = SqlStore> {
        OnSql::new(Kind::Postgres, &BOTH, SqlStore::new).unwrap()
    }

    guardian_audit::store_conformance!(on_months());
}

fn leave() -> Unscoped {
    Unscoped::new(scope("operator"), "partitions of months to come").unwrap()
}

async fn rows(db: &Database, table: &'static str) -> i64 {
    let mut tx = db.begin(&scope("acme")).await.unwrap();
    let found = tx.fetch_one(table, &[]).await.unwrap().get(0_usize).unwrap();
    tx.commit().await.unwrap();
    found
}

async fn plain() -> (Fresh, SqlStore) {
    let fresh = fresh(Kind::Postgres, &[&SqlStore::MIGRATIONS]).await;
    let store = SqlStore::new(fresh.database());
    (fresh, store)
}

/// A log that has events already keeps them, and goes on in months.
#[test]
fn a_log_with_events_is_partitioned_and_goes_on() {
    runtime().block_on(async {
        let ((fresh, store), model) = (plain().await, MemoryStore::new());
        let (acme, other) = (scope("acme"), scope("globex"));
        let mut sample = Sample::new(5);
        let append = async |drafts: &[_], at| {
            for tenant in [&acme, &other] {
                store.append(&[Batch::new(tenant, drafts)], at).await.unwrap();
                model.append(&[Batch::new(tenant, drafts)], at).await.unwrap();
            }
        };
        let first = sample.drafts(60).unwrap();
        append(&first, Sample::start()).await;
        let owner = SqlStore::new(fresh.owner());
        let error = owner.add_months(&leave(), Sample::start(), Sample::start()).await.unwrap_err();
        assert_ne!(error.kind(), StoreErrorKind::Unavailable, "there are no partitions yet");
        fresh.owner().migrate(&SqlStore::MONTHS).await.unwrap();
        fresh.owner().migrate(&SqlStore::MONTHS).await.unwrap();

        // The system's clock says where the first partition ends.
        let now = SystemClock::new().now();
        let [next, last] = [1, 3].map(|months| now.checked_add_months(Months::new(months)).unwrap());
        assert_eq!(owner.add_months(&leave(), now, last).await.unwrap(), 2, "the next one was there");
        assert_eq!(owner.add_months(&leave(), next, last).await.unwrap(), 0);
        assert!(
            store.add_months(&leave(), last + TimeDelta::days(40), last + TimeDelta::days(40)).await.is_err()
        );
        for months in [1, 2, 9] {
            append(&sample.drafts(40).unwrap(), now.checked_add_months(Months::new(months)).unwrap()).await;
        }
        // The same ids again are known, in whichever partition they are.
        let again = store.append(&[Batch::new(&acme, &first[..5])], last).await.unwrap();
        assert!(again.iter().flatten().all(|placed| placed.duplicate), "{again:?}");

        let parts = "SELECT count(DISTINCT tableoid) FROM guardian_audit_events";
        assert_eq!(rows(fresh.database(), parts).await, 4, "the first, two months, the common one");
        let parts = "SELECT count(DISTINCT tableoid) FROM guardian_audit_index";
        assert_eq!(rows(fresh.database(), parts).await, 4);
        assert_eq!(
            rows(fresh.database(), "SELECT count(*) FROM guardian_audit_events").await,
            180,
            "its own"
        );
        for direct in [
            "SELECT count(*) FROM guardian_audit_events_before",
            "SELECT count(*) FROM guardian_audit_events_other",
            "SELECT count(*) FROM guardian_audit_index_other",
        ] {
            assert!([40, 60].contains(&rows(fresh.database(), direct).await), "{direct}: its own alone");
        }

        let same = async |what: &str| {
            for text in [
                "renewal",
                "\"annual renewal\"",
                "ren*",
                "-country:US",
                "action:deal.updated",
                "occurred:2025-01",
            ] {
                let plan = Plan::compile(&text.parse::<Query>().unwrap(), &|_, _| None);
                for tenant in [&acme, &other] {
                    let found = store.search(tenant, &plan, None, 100).await.unwrap();
                    assert_eq!(
                        found,
                        model.search(tenant, &plan, None, 100).await.unwrap(),
                        "{what}: {text}"
                    );
                    let count = store.count(tenant, &plan, None).await.unwrap();
                    assert_eq!(count, model.count(tenant, &plan, None).await.unwrap(), "{what}: {text}");
                }
            }
            assert_eq!(store.head(&acme).await.unwrap(), model.head(&acme).await.unwrap(), "{what}");
        };
        same("appended").await;
        let drop = Drop::new(&Plan::All, last, 130);
        assert_eq!(
            store.drop_bodies(&acme, &drop).await.unwrap(),
            model.drop_bodies(&acme, &drop).await.unwrap()
        );
        same("dropped").await;
        assert_eq!(store.leaves(&acme, 0, 500).await.unwrap(), model.leaves(&acme, 0, 500).await.unwrap());
    });
}

/// A month that something was recorded in without its partitions is left out, those around it are not.
#[test]
fn a_month_that_has_events_elsewhere_is_left_out() {
    runtime().block_on(async {
        let (fresh, store) = plain().await;
        fresh.owner().migrate(&SqlStore::MONTHS).await.unwrap();
        let now = SystemClock::new().now();
        let owner = SqlStore::new(fresh.owner());
        let next = now.checked_add_months(Months::new(1)).unwrap();
        assert_eq!(owner.add_months(&leave(), now, next).await.unwrap(), 0, "the migration has made them");
        let drafts = Sample::new(6).drafts(3).unwrap();
        store.append(&[Batch::new(&scope("acme"), &drafts)], Sample::start()).await.unwrap();
        let [before, after] = [-1, 1].map(|days| Sample::start() + TimeDelta::days(days * 31));
        assert_eq!(owner.add_months(&leave(), before, after).await.unwrap(), 2);
        store
            .append(&[Batch::new(&scope("acme"), &drafts), Batch::new(&scope("globex"), &drafts)], now)
            .await
            .unwrap();
        let parts = "SELECT count(DISTINCT tableoid) FROM guardian_audit_events";
        assert_eq!(rows(fresh.database(), parts).await, 1, "known events are where they are");
        let all = store.search(&scope("acme"), &Plan::All, None, 10).await.unwrap();
        assert_eq!(all.records.len(), 3);
    });
}

/// Two processes that add the same months make each once; a span that nobody means makes none.
#[test]
fn months_are_made_once_and_so_many() {
    runtime().block_on(async {
        let (fresh, _) = plain().await;
        fresh.owner().migrate(&SqlStore::MONTHS).await.unwrap();
        let owner = SqlStore::new(fresh.owner());
        let [from, to] =
            [400, 420].map(|months| Sample::start().checked_add_months(Months::new(months)).unwrap());
        let operator = leave();
        let (one, two) =
            tokio::join!(owner.add_months(&operator, from, to), owner.add_months(&operator, from, to));
        assert_eq!(one.unwrap() + two.unwrap(), 21);
        assert_eq!(owner.add_months(&operator, to, from).await.unwrap(), 0, "from later to earlier");
        let error = owner.add_months(&operator, Timestamp::MIN_UTC, Timestamp::MAX_UTC).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Constraint);
        assert!(
            std::error::Error::source(&error).unwrap().to_string().contains("months at once"),
            "{error:?}"
        );
        #[cfg(feature = "sqlite")]
        {
            let fresh = super::fresh(Kind::SqliteMemory, &[&SqlStore::MIGRATIONS, &SqlStore::MONTHS]).await;
            let made = SqlStore::new(fresh.database()).add_months(&operator, from, to).await.unwrap();
            assert_eq!(made, 0, "there are none on SQLite");
        }
    });
}

/// Nobody who writes and searches is harmed by months that are added meanwhile, nor by the partitioning itself.
#[test]
fn writers_and_readers_go_on_meanwhile() {
    runtime().block_on(async {
        let (fresh, store) = plain().await;
        let work = async |tenant: &str, seed| {
            let (scope, mut sample) = (scope(tenant), Sample::new(seed));
            let plan = Plan::compile(&"renewal -country:US".parse::<Query>().unwrap(), &|_, _| None);
            for _ in 0..60 {
                let drafts = sample.drafts(5).unwrap();
                store.append(&[Batch::new(&scope, &drafts)], Sample::start()).await.unwrap();
                store.search(&scope, &plan, None, 20).await.unwrap();
                store.count(&scope, &plan, None).await.unwrap();
            }
            store.head(&scope).await.unwrap().size
        };
        let change = async {
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
            fresh.owner().migrate(&SqlStore::MONTHS).await.unwrap();
            let owner = SqlStore::new(fresh.owner());
            let mut month = SystemClock::new().now();
            for _ in 0..12 {
                month = month.checked_add_months(Months::new(1)).unwrap();
                owner.add_months(&leave(), month, month).await.unwrap();
            }
        };
        let (one, two, ()) = tokio::join!(work("acme", 1), work("globex", 2), change);
        assert_eq!((one, two), (300, 300));
    });
}
