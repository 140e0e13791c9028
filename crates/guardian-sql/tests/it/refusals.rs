//! No statement ends the transaction behind its back, or leaves something for the connection's next user.

use guardian_core::StoreErrorKind;
use guardian_sql::{Dialect, Fault, params};

use crate::basics::{on_each, scope};

#[tokio::test]
async fn statements_that_touch_the_transaction_are_refused_and_nothing_runs() {
    on_each(async |fresh| {
        let db = fresh.database();
        for sql in [
            "COMMIT",
            "  commit ;",
            "/* hidden */ COMMIT",
            "-- hidden\nEND",
            "/* */ -- x\n\tRollback",
            "BEGIN",
            "START TRANSACTION",
            "ABORT",
            "SAVEPOINT a",
            "RELEASE guardian_1",
            "PREPARE TRANSACTION 'x'",
            "SET guardian.tenant = 'globex'",
            "SET LOCAL guardian.tenant = 'globex'",
            "RESET ALL",
            "DISCARD ALL",
            "PRAGMA foreign_keys = OFF",
            "ATTACH 'x.db' AS other",
            "VACUUM",
            "LISTEN x",
            "COPY notes FROM STDIN",
            "COMMIT; SELECT 1",
            "SELECT 1; COMMIT",
            "INSERT INTO notes VALUES ('acme', 9, ''); COMMIT; BEGIN",
            "SELECT ';' ; DELETE FROM notes",
            "SELECT 1;;",
            "",
            " -- nothing\n",
            ";",
        ] {
            let mut tx = db.begin(&scope("acme")).await.unwrap();
            let error = tx.execute(sql, &[]).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{sql}: {:?}", Fault::of(&error));
            // Refused before it was sent, so the transaction goes on.
            tx.execute("INSERT INTO notes (tenant_id, id, body) VALUES ('acme', 1, '')", &[]).await.unwrap();
            tx.rollback().await.unwrap();
        }
        let mut tx = db.begin_read(&scope("acme")).await.unwrap();
        assert!(tx.fetch_optional("SELECT 1 FROM notes", &[]).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_semicolon_in_a_literal_or_at_the_end_is_none() {
    on_each(async |fresh| {
        let mut tx = fresh.database().begin(&scope("acme")).await.unwrap();
        for sql in [
            "SELECT 'a;b' AS v",
            "SELECT 'it''s; COMMIT' AS v;",
            "SELECT 'x' AS \"a;b\" -- ; done\n",
            "/* ; */ (SELECT 'x' AS v) ; /* end */",
        ] {
            // SQLite knows no parentheses around a whole query.
            if tx.dialect() == Dialect::Sqlite && sql.contains('(') {
                continue;
            }
            assert!(tx.fetch_one(sql, &[]).await.is_ok(), "{sql}");
        }
        if tx.dialect() == Dialect::Postgres {
            for sql in [
                "SELECT $$;$$ AS v",
                "SELECT $a$ $$; $a$ AS v",
                r"SELECT E'\'; COMMIT' AS v",
                "/* /* ; */ */ SELECT 1",
            ] {
                assert!(tx.fetch_one(sql, &[]).await.is_ok(), "{sql}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_number_of_parameters_is_right_or_the_statement_does_not_run() {
    on_each(async |fresh| {
        let mut tx = fresh.database().begin(&scope("acme")).await.unwrap();
        let insert = "INSERT INTO notes (tenant_id, id, body) VALUES ($1, $2, $3)";
        for given in [params![], params!["acme", 1_i64], params!["acme", 1_i64, "a", "b"]] {
            let error = tx.execute(insert, given).await.unwrap_err();
            let message = Fault::of(&error).unwrap().message().to_owned();
            assert!(message.contains("names 3 parameters"), "{message}");
        }
        assert!(tx.execute("SELECT $0", &[]).await.is_err());
        assert!(
            tx.fetch_optional(
                "SELECT 1 FROM notes WHERE id = $2 AND body = $1 AND id > $2",
                params!["a", 1_i64]
            )
            .await
            .is_ok()
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_read_only_transaction_writes_nothing() {
    on_each(async |fresh| {
        let db = fresh.database();
        let mut tx = db.begin_read(&scope("acme")).await.unwrap();
        let error = tx
            .execute("INSERT INTO notes (tenant_id, id, body) VALUES ('acme', 1, '')", &[])
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{error:?}");
        drop(tx);
        // And the next one on the connection may.
        for _ in 0..5 {
            let mut tx = db.begin(&scope("acme")).await.unwrap();
            tx.execute("INSERT INTO notes (tenant_id, id, body) VALUES ('acme', 1, '')", &[]).await.unwrap();
            tx.rollback().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn one_statement_with_other_types_is_prepared_anew() {
    on_each(async |fresh| {
        let mut tx = fresh.database().begin(&scope("acme")).await.unwrap();
        for _ in 0..3 {
            let row = tx.fetch_one("SELECT $1 AS v", params![7_i64]).await.unwrap();
            assert_eq!(row.get::<i64>("v").unwrap(), 7);
            // Eight bytes of text must not be read as a number.
            let row = tx.fetch_one("SELECT $1 AS v", params!["12345678"]).await.unwrap();
            assert_eq!(row.get::<&str>("v").unwrap(), "12345678");
        }
    })
    .await;
}

#[tokio::test]
async fn savepoints_nest_and_a_dropped_one_undoes_its_part_alone() {
    on_each(async |fresh| {
        let insert = "INSERT INTO notes (tenant_id, id, body) VALUES ('acme', $1, '')";
        let mut tx = fresh.database().begin(&scope("acme")).await.unwrap();
        tx.execute(insert, params![1_i64]).await.unwrap();
        {
            let mut outer = tx.savepoint().await.unwrap();
            outer.execute(insert, params![2_i64]).await.unwrap();
            {
                let mut inner = outer.savepoint().await.unwrap();
                inner.execute(insert, params![3_i64]).await.unwrap();
                let mut innermost = inner.savepoint().await.unwrap();
                innermost.execute(insert, params![4_i64]).await.unwrap();
            }
            outer.execute(insert, params![5_i64]).await.unwrap();
            let mut kept = outer.savepoint().await.unwrap();
            kept.execute(insert, params![6_i64]).await.unwrap();
            kept.release().await.unwrap();
            outer.release().await.unwrap();
        }
        {
            let mut undone = tx.savepoint().await.unwrap();
            undone.execute(insert, params![7_i64]).await.unwrap();
            assert!(undone.execute(insert, params![7_i64]).await.is_err());
            undone.roll_back().await.unwrap();
        }
        let rows = tx.fetch_all("SELECT id FROM notes ORDER BY id", &[]).await.unwrap();
        let ids: Vec<i64> = rows.iter().map(|row| row.get(0).unwrap()).collect();
        assert_eq!(ids, [1, 2, 5, 6]);
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_comment_without_an_end_is_refused_as_it_would_swallow_what_ends_the_transaction() {
    on_each(async |fresh| {
        for sql in [
            "DELETE FROM notes /* all of them",
            "DELETE FROM notes; /* all of them",
            "/* DELETE FROM notes",
            "DELETE FROM notes /* a */ /*",
        ] {
            let tx = fresh.database().begin(&scope("acme")).await.unwrap();
            let refused = tx.execute_and_commit(sql, &[]).await.unwrap_err();
            assert_eq!(refused.kind(), StoreErrorKind::Unsupported, "{sql}");
        }
        let tx = fresh.database().begin(&scope("acme")).await.unwrap();
        tx.execute_and_commit("DELETE FROM notes /* all of them */", &[]).await.unwrap();
    })
    .await;
}
