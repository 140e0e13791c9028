//! What a store does all day.

use guardian_core::{Scope, StoreErrorKind, TenantId};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{
    DatabaseConfig, Fault, Insert, Migration, Migrations, Param, Plans, ToParam, Violation, params,
};

pub(crate) const NOTES: Migrations = Migrations::new(
    "notes",
    &[Migration::same(
        1,
        "create_notes",
        "CREATE TABLE notes (tenant_id TEXT NOT NULL, id BIGINT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tenant_id, id));
         CREATE INDEX notes_body ON notes (tenant_id, body);",
    )],
);

pub(crate) fn scope(tenant: &str) -> Scope {
    Scope::system(TenantId::new(tenant).unwrap())
}

pub(crate) async fn on_each(test: impl AsyncFn(&Fresh)) {
    for kind in Kind::all() {
        let fresh = kind.open(&[&NOTES]).await.unwrap();
        println!("on {kind:?}");
        test(&fresh).await;
    }
}

#[tokio::test]
async fn what_is_committed_is_there_and_what_is_dropped_is_not() {
    on_each(async |fresh| {
        let db = fresh.database();
        let acme = scope("acme");
        let mut tx = db.begin(&acme).await.unwrap();
        let insert = "INSERT INTO notes (tenant_id, id, body) VALUES ($1, $2, $3)";
        assert_eq!(tx.execute(insert, params!["acme", 1_i64, "a"]).await.unwrap(), 1);
        tx.commit().await.unwrap();
        let mut tx = db.begin(&acme).await.unwrap();
        tx.execute(insert, params!["acme", 2_i64, "b"]).await.unwrap();
        drop(tx);
        let mut tx = db.begin_read(&acme).await.unwrap();
        let rows = tx.fetch_all("SELECT id, body FROM notes ORDER BY id", &[]).await.unwrap();
        let rows: Vec<(i64, &str)> =
            rows.iter().map(|row| (row.get("id").unwrap(), row.get(1).unwrap())).collect();
        assert_eq!(rows, [(1, "a")]);
    })
    .await;
}

#[tokio::test]
async fn a_failed_statement_makes_the_commit_fail_and_a_savepoint_heals() {
    on_each(async |fresh| {
        let db = fresh.database();
        let acme = scope("acme");
        let insert = "INSERT INTO notes (tenant_id, id, body) VALUES ($1, $2, $3)";
        let mut tx = db.begin(&acme).await.unwrap();
        tx.execute(insert, params!["acme", 1_i64, "a"]).await.unwrap();
        let taken = tx.execute(insert, params!["acme", 1_i64, "b"]).await.unwrap_err();
        assert_eq!(taken.kind(), StoreErrorKind::Constraint);
        assert_eq!(Fault::of(&taken).and_then(Fault::violation), Some(Violation::Unique));
        assert!(tx.commit().await.is_err());
        let mut tx = db.begin(&acme).await.unwrap();
        tx.execute(insert, params!["acme", 1_i64, "a"]).await.unwrap();
        let mut part = tx.savepoint().await.unwrap();
        assert!(part.execute(insert, params!["acme", 1_i64, "b"]).await.is_err());
        drop(part);
        tx.execute(insert, params!["acme", 2_i64, "c"]).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = db.begin_read(&acme).await.unwrap();
        let row = tx.fetch_one("SELECT count(*) AS n FROM notes", &[]).await.unwrap();
        assert_eq!(row.get::<i64>("n").unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn many_rows_go_in_and_come_out_one_by_one() {
    const INSERT: Insert<3> = Insert::into("notes", ["tenant_id", "id", "body"]);
    on_each(async |fresh| {
        let mut tx = fresh.database().begin(&scope("acme")).await.unwrap();
        let rows = (0..1_000_i64).map(|id| ["acme".to_param(), Param::Integer(id), "x".to_param()]);
        assert_eq!(tx.insert_many(&INSERT, rows).await.unwrap(), 1_000);
        let mut rows = tx
            .stream("SELECT id FROM notes WHERE tenant_id = $1 ORDER BY id", params!["acme"])
            .await
            .unwrap();
        let mut next = 0;
        while let Some(row) = rows.next().await.unwrap() {
            assert_eq!(row.get::<i64>(0).unwrap(), next);
            next += 1;
        }
        assert_eq!(next, 1_000);
        drop(rows);
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn each_transaction_plans_as_its_database_was_told_to() {
    for (plans, mode) in [(Plans::Server, "auto"), (Plans::Generic, "force_generic_plan")] {
        let config = DatabaseConfig::default().with_max_connections(1).with_plans(plans);
        let fresh = Kind::Postgres.open_with(&[&NOTES], config).await.unwrap();
        let db = fresh.database();
        let shown = "SELECT current_setting('plan_cache_mode')";
        for reads in [false, true] {
            let acme = scope("acme");
            let begun = if reads { db.begin_read(&acme).await } else { db.begin(&acme).await };
            let mut tx = begun.unwrap();
            assert_eq!(tx.fetch_one(shown, &[]).await.unwrap().get::<&str>(0).unwrap(), mode);
        }
    }
}

#[tokio::test]
async fn a_last_statement_is_kept_with_all_before_it_or_nothing_is() {
    on_each(async |fresh| {
        let (db, acme) = (fresh.database(), scope("acme"));
        let insert = "INSERT INTO notes (tenant_id, id, body) VALUES ($1, $2, $3)";
        let ids = async || {
            let mut tx = db.begin_read(&acme).await.unwrap();
            let rows = tx.fetch_all("SELECT id FROM notes ORDER BY id", &[]).await.unwrap();
            rows.iter().map(|row| row.get(0).unwrap()).collect::<Vec<i64>>()
        };
        // The last one is the only one, and what stands at its end is not what ends the transaction.
        for (sql, id) in [
            (insert, 1_i64),
            ("INSERT INTO notes (tenant_id, id, body) VALUES ($1, $2, $3);", 2),
            ("INSERT INTO notes (tenant_id, id, body) VALUES ($1, $2, $3) -- the end", 3),
        ] {
            let tx = db.begin(&acme).await.unwrap();
            assert_eq!(tx.execute_and_commit(sql, params!["acme", id, "a"]).await.unwrap(), 1, "{sql}");
        }
        assert_eq!(ids().await, [1, 2, 3]);
        let mut tx = db.begin(&acme).await.unwrap();
        tx.execute(insert, params!["acme", 4_i64, "b"]).await.unwrap();
        let mut part = tx.savepoint().await.unwrap();
        part.execute(insert, params!["acme", 5_i64, "b"]).await.unwrap();
        drop(part);
        let changed = tx.execute_and_commit("UPDATE notes SET body = $1", params!["c"]).await.unwrap();
        assert_eq!((changed, ids().await), (4, vec![1, 2, 3, 4]), "without the part that was dropped");
        let tx = db.begin(&acme).await.unwrap();
        tx.execute_and_commit("SELECT body FROM notes", &[]).await.unwrap();

        const NOTES: Insert<3> = Insert::into("notes", ["tenant_id", "id", "body"]);
        for count in [0_i64, 1, 3, 256, 257, 600] {
            let rows = (0..count)
                .map(|at| ["acme".to_param(), Param::Integer(count * 1_000 + at), "many".to_param()]);
            let mut tx = db.begin(&acme).await.unwrap();
            tx.execute("DELETE FROM notes WHERE body = $1", params!["many"]).await.unwrap();
            assert_eq!(tx.insert_many_and_commit(&NOTES, rows).await.unwrap(), u64::try_from(count).unwrap());
            assert_eq!(ids().await.len(), 4 + usize::try_from(count).unwrap());
        }
        let mut tx = db.begin(&acme).await.unwrap();
        tx.execute("DELETE FROM notes WHERE body = $1", params!["many"]).await.unwrap();
        let rows = (0..300).map(|at| ["acme".to_param(), Param::Integer(300 - at), "many".to_param()]);
        // The last row but a few is there already.
        assert_eq!(
            tx.insert_many_and_commit(&NOTES, rows).await.unwrap_err().kind(),
            StoreErrorKind::Constraint
        );
        assert_eq!(ids().await.len(), 604);
        let tx = db.begin(&acme).await.unwrap();
        tx.execute_and_commit("DELETE FROM notes WHERE body = $1", params!["many"]).await.unwrap();

        // When it fails, nothing is kept, and the next one finds the connection free.
        let mut tx = db.begin(&acme).await.unwrap();
        tx.execute(insert, params!["acme", 6_i64, "b"]).await.unwrap();
        let taken = tx.execute_and_commit(insert, params!["acme", 1_i64, "b"]).await.unwrap_err();
        assert_eq!(taken.kind(), StoreErrorKind::Constraint);
        assert_eq!(ids().await, [1, 2, 3, 4]);
        let mut tx = db.begin(&acme).await.unwrap();
        tx.execute(insert, params!["acme", 1_i64, "b"]).await.unwrap_err();
        assert!(
            tx.execute_and_commit(insert, params!["acme", 7_i64, "b"]).await.is_err(),
            "it has failed before"
        );
        assert_eq!(ids().await, [1, 2, 3, 4]);
    })
    .await;
}

#[tokio::test]
async fn a_transaction_of_which_nothing_was_asked_ends_in_each_way() {
    on_each(async |fresh| {
        let (db, acme) = (fresh.database(), scope("acme"));
        for _ in 0..3 {
            db.begin(&acme).await.unwrap().commit().await.unwrap();
            db.begin(&acme).await.unwrap().rollback().await.unwrap();
            drop(db.begin(&acme).await.unwrap());
            let mut tx = db.begin(&acme).await.unwrap();
            // A stream that nobody reads sends nothing, and the transaction has begun all the same.
            drop(tx.stream("SELECT id FROM notes", &[]).await.unwrap());
            tx.execute("DELETE FROM notes", &[]).await.unwrap();
            let insert = "INSERT INTO notes (tenant_id, id, body) VALUES ($1, $2, $3)";
            tx.execute(insert, params!["acme", 1_i64, "a"]).await.unwrap();
            tx.rollback().await.unwrap();
            let mut tx = db.begin_read(&acme).await.unwrap();
            assert!(tx.fetch_all("SELECT id FROM notes", &[]).await.unwrap().is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn a_commit_that_fails_with_its_last_statement_keeps_nothing() {
    const FAMILIES: Migrations = Migrations::new(
        "families",
        &[Migration::same(
            1,
            "families",
            "CREATE TABLE parents (tenant_id TEXT NOT NULL, id BIGINT NOT NULL, PRIMARY KEY (tenant_id, id));
             CREATE TABLE children (tenant_id TEXT NOT NULL, id BIGINT NOT NULL, parent BIGINT NOT NULL, PRIMARY KEY (tenant_id, id),
               FOREIGN KEY (tenant_id, parent) REFERENCES parents (tenant_id, id) DEFERRABLE INITIALLY DEFERRED);",
        )],
    );
    for kind in Kind::all() {
        let fresh = kind.open(&[&FAMILIES]).await.unwrap();
        let (db, acme) = (fresh.database(), scope("acme"));
        let insert = "INSERT INTO children (tenant_id, id, parent) VALUES ($1, $2, $3)";
        for _ in 0..3 {
            let tx = db.begin(&acme).await.unwrap();
            let failed = tx.execute_and_commit(insert, params!["acme", 1_i64, 7_i64]).await.unwrap_err();
            assert_eq!(failed.kind(), StoreErrorKind::Constraint, "{kind:?}");
            let mut tx = db.begin(&acme).await.unwrap();
            assert!(tx.fetch_optional("SELECT 1 FROM children", &[]).await.unwrap().is_none());
            tx.rollback().await.unwrap();
        }
        let mut tx = db.begin(&acme).await.unwrap();
        tx.execute(insert, params!["acme", 1_i64, 7_i64]).await.unwrap();
        let parent = "INSERT INTO parents (tenant_id, id) VALUES ($1, $2)";
        assert_eq!(tx.execute_and_commit(parent, params!["acme", 7_i64]).await.unwrap(), 1);
    }
}
