//! Schemas: applied once, in order, whole or not at all, and never rewritten.

use guardian_core::StoreErrorKind;
use guardian_sql::testkit::Kind;
use guardian_sql::{Database, Dialect, Error, Migration, Migrations};

use crate::basics::scope;

const FIRST: Migration =
    Migration::same(1, "first", "CREATE TABLE one (id BIGINT); CREATE TABLE two (id BIGINT)");
const SECOND: Migration = Migration::same(2, "second", "ALTER TABLE one ADD COLUMN body TEXT");

async fn tables(db: &Database) -> Vec<String> {
    let mut tx = db.begin_read(&scope("acme")).await.unwrap();
    let sql = match db.dialect() {
        Dialect::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
        Dialect::Postgres => {
            "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename COLLATE \"C\""
        }
    };
    tx.fetch_all(sql, &[]).await.unwrap().iter().map(|row| row.get("name").unwrap()).collect()
}

#[tokio::test]
async fn steps_are_applied_once_and_in_order() {
    const ONE: Migrations = Migrations::new("notes", &[FIRST]);
    const BOTH: Migrations = Migrations::new("notes", &[FIRST, SECOND]);
    const OTHER: Migrations =
        Migrations::new("other", &[Migration::same(1, "other", "CREATE TABLE three (id BIGINT)")]);
    const NONE: Migrations = Migrations::new("none", &[]);
    for kind in Kind::all() {
        let fresh = kind.open(&[]).await.unwrap();
        let db = fresh.owner();
        assert_eq!(db.schema_version(&ONE).await.unwrap(), None);
        assert_eq!(db.migrate(&ONE).await.unwrap(), 1);
        assert_eq!(db.migrate(&ONE).await.unwrap(), 0);
        assert_eq!(db.migrate(&BOTH).await.unwrap(), 1);
        assert_eq!(db.schema_version(&BOTH).await.unwrap(), Some(2));
        assert_eq!(db.migrate(&OTHER).await.unwrap(), 1);
        assert_eq!(db.migrate(&NONE).await.unwrap(), 0);
        assert_eq!(
            tables(db).await,
            ["none_migrations", "notes_migrations", "one", "other_migrations", "three", "two"]
        );
        // The application may look, though not migrate.
        assert_eq!(fresh.database().migrate(&BOTH).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_failing_step_leaves_nothing_of_itself() {
    const BROKEN: Migrations = Migrations::new(
        "notes",
        &[
            FIRST,
            Migration::same(2, "broken", "CREATE TABLE half (id BIGINT); INSERT INTO nowhere VALUES (1)"),
        ],
    );
    for kind in Kind::all() {
        let fresh = kind.open(&[]).await.unwrap();
        let db = fresh.owner();
        let error = db.migrate(&BROKEN).await.unwrap_err();
        assert_eq!(error.to_string(), "migration 2 `broken` of `notes` failed and was undone");
        assert_eq!(error.store_kind(), Some(StoreErrorKind::Internal));
        assert_eq!(tables(db).await, ["notes_migrations", "one", "two"]);
        assert_eq!(db.migrate(&Migrations::new("notes", &[FIRST, SECOND])).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_changed_past_and_a_newer_schema_are_refused() {
    const BOTH: Migrations = Migrations::new("notes", &[FIRST, SECOND]);
    const OLDER: Migrations = Migrations::new("notes", &[FIRST]);
    const EDITED: Migrations =
        Migrations::new("notes", &[Migration::same(1, "first", "CREATE TABLE one (id BIGINT)"), SECOND]);
    const RENAMED: Migrations =
        Migrations::new("notes", &[Migration::same(1, "1st", FIRST.sql(Dialect::Sqlite)), SECOND]);
    for kind in Kind::all() {
        let fresh = kind.open(&[&BOTH]).await.unwrap();
        let db = fresh.owner();
        let newer = db.migrate(&OLDER).await.unwrap_err();
        assert!(matches!(newer, Error::NewerSchema { found: 2, known: 1, .. }), "{newer}");
        assert!(newer.to_string().contains("start the newer program"), "{newer}");
        for changed in [EDITED, RENAMED] {
            let error = db.migrate(&changed).await.unwrap_err();
            assert!(matches!(error, Error::ChangedMigration { version: 1, .. }), "{error}");
        }
        assert_eq!(db.migrate(&BOTH).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn wrong_migrations_are_told_before_anything_happens() {
    const LONG: &str = "a_name_that_is_longer_than_any_table_should_be_called";
    for (set, why) in [
        (Migrations::new("Notes", &[FIRST]), "the name is"),
        (Migrations::new("", &[FIRST]), "the name is"),
        (Migrations::new(LONG, &[FIRST]), "the name is"),
        (Migrations::new("notes", &[SECOND]), "expected version 1, found 2"),
        (Migrations::new("notes", &[FIRST, FIRST]), "expected version 2, found 1"),
        (
            Migrations::new("notes", const { &[Migration::same(1, "x", "SELECT 1;\nCOMMIT")] }),
            "has `COMMIT` near line",
        ),
        (
            Migrations::new("notes", const { &[Migration::same(1, "x", "BEGIN; SELECT 1; END")] }),
            "has `BEGIN` near line 1",
        ),
        (Migrations::new("notes", const { &[Migration::same(1, "x", "SET search_path = x")] }), "has `SET`"),
        (Migrations::new("notes", const { &[Migration::same(1, "x", "VACUUM")] }), "has `VACUUM`"),
    ] {
        for kind in Kind::all() {
            let fresh = kind.open(&[]).await.unwrap();
            let error = fresh.owner().migrate(&set).await.unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert!(tables(fresh.owner()).await.is_empty());
        }
    }
}

#[tokio::test]
async fn bodies_with_semicolons_are_part_of_their_statement() {
    const BODIES: Migrations = Migrations::new(
        "bodies",
        &[Migration::new(
            1,
            "bodies",
            "CREATE TABLE log (id INTEGER, n INTEGER);
             CREATE TRIGGER count AFTER INSERT ON log BEGIN
                 UPDATE log SET n = CASE WHEN n IS NULL THEN 1 ELSE 2 END WHERE id = new.id;
                 DELETE FROM log WHERE id < 0;
             END;
             INSERT INTO log (id) VALUES (7);",
            "CREATE TABLE log (id BIGINT, n BIGINT);
             CREATE FUNCTION atomic(v BIGINT) RETURNS BIGINT LANGUAGE SQL
             BEGIN ATOMIC
                 SELECT 1;
                 SELECT CASE WHEN v > 0 THEN 1 ELSE 0 END;
             END;
             CREATE FUNCTION block() RETURNS TRIGGER LANGUAGE plpgsql AS $body$
             BEGIN
                 NEW.n := CASE WHEN NEW.n IS NULL THEN 1 ELSE 2 END; -- COMMIT;
                 RETURN NEW;
             END;
             $body$;
             CREATE TRIGGER count BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION block();
             SET LOCAL client_min_messages = warning;
             INSERT INTO log (id) VALUES (7);",
        )],
    );
    for kind in Kind::all() {
        let fresh = kind.open(&[&BODIES]).await.unwrap();
        let mut tx = fresh.owner().begin_read(&scope("acme")).await.unwrap();
        let row = tx.fetch_one("SELECT n FROM log", &[]).await.unwrap();
        assert_eq!(row.get::<i64>("n").unwrap(), 1);
    }
}
