//! What is wrong with a URL, a file or a disk is said clearly, and never with the password.

use std::fs;

use guardian_core::StoreErrorKind;
use guardian_sql::testkit::Kind;
use guardian_sql::{Database, DatabaseConfig, Fault, params};

use crate::basics::{NOTES, on_each, scope};

/// An error with its whole chain.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(" {error} {error:?}"));
        source = error.source();
    }
    text
}

#[tokio::test]
async fn a_url_that_is_none_is_told() {
    for (url, why) in [
        ("", "it has no scheme"),
        ("guardian.db", "it has no scheme"),
        ("mysql://root@localhost/x", "unknown scheme"),
        ("SQLITE://x", "unknown scheme"),
        ("sqlite:", "it names no file"),
        ("sqlite://", "it names no file"),
        ("sqlite://x.db?mode=memory", "`mode` is one of"),
        ("sqlite://x.db?cache=shared", "unknown setting `cache`"),
        ("sqlite::memory:?mode=ro", "has no mode"),
        ("sqlite::other:", "would mean something else"),
        ("sqlite://file:x", "would mean something else"),
        ("sqlite://a%zz", "two hexadecimal digits"),
        ("sqlite://a%00b", "it has a NUL"),
        ("sqlite://a\nb", "control character"),
        ("postgres:localhost", "expected `postgres://"),
        ("postgres://user@host", "it names no database"),
        ("postgres://host/db", "it names no user"),
        ("postgres://@host/db", "it names no user"),
        ("postgres://user@/db", "it names no host"),
        ("postgres://user@host/", "it names no database"),
        ("postgres://user@host:port/db", "the port is not"),
        ("postgres://user@host:70000/db", "the port is not"),
        ("postgres://user@[::1/db", "no closing `]`"),
        ("postgres://user@host/db?sslmode=maybe", "`sslmode` is one of"),
        ("postgres://user@host/db?passfile=x", "unknown setting; expected one of `sslmode`"),
    ] {
        let error = Database::open(url).await.unwrap_err().to_string();
        assert!(error.starts_with("invalid database url `") && error.contains(why), "{url}: {error}");
    }
    let error = Database::open(&format!("sqlite://{}", "x".repeat(5000))).await.unwrap_err().to_string();
    assert!(error.contains("the most is 4096") && error.len() < 300, "{error}");
}

#[tokio::test]
async fn a_password_is_never_shown() {
    let config = DatabaseConfig::default().with_acquire_timeout(std::time::Duration::from_millis(500));
    for url in [
        "postgres://ann:s3cret@127.0.0.1:1/db",
        "postgres://ann:s3cret@127.0.0.1:1",
        "postgres://ann:s3cret@127.0.0.1:nan/db",
        "postgres://ann:s3cret%zz@127.0.0.1/db",
        "postgres://ann:p/s3cret@127.0.0.1/db",
        "postgres://ann:p?s3cret@127.0.0.1/db",
        "postgres://ann:p@s3cret@127.0.0.1:nan/db",
        "mysql://ann:s3cret@127.0.0.1/db",
        "ann:s3cret@127.0.0.1/db",
        "s3cret@127.0.0.1",
        "postgres://ann:s3cret",
        "postgres://ann:s3cret?x=y",
        "postgres://ann:s3cret?x@y/db",
        "postgres://ann:p@h/d?s3cret@127.0.0.1/db",
        "postgres://ann@127.0.0.1/db?password=s3cret",
        "postgres://ann:s3cret@127.0.0.1/db?sslmode=s3cret",
    ] {
        let error = Database::open_with(url, config.clone()).await.unwrap_err();
        assert!(!told(&error).contains("s3cret"), "{url}: {}", told(&error));
    }
    let db = Database::lazy("postgres://ann:s3cret@127.0.0.1:1/db", config).unwrap();
    assert!(!format!("{db:?}").contains("s3cret"));
    assert!(!told(&db.begin(&scope("acme")).await.unwrap_err()).contains("s3cret"));
}

#[tokio::test]
async fn a_missing_folder_or_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = |rest: &str| format!("sqlite://{}/{rest}", folder.path().display());
    for (url, why) in [
        (at("no/such/folder/x.db"), "its folder does not exist"),
        (at("x.db?mode=rw"), "its mode says not to make it"),
        (at("x.db?mode=ro"), "its mode says not to make it"),
        (at("."), "it is a folder"),
    ] {
        let error = Database::open(&url).await.unwrap_err().to_string();
        assert!(error.starts_with("cannot open `") && error.ends_with(why), "{error}");
    }
    // What needs escaping in a URL.
    Database::open(&at("a%20b%3Fc%25.db")).await.unwrap();
    assert!(folder.path().join("a b?c%.db").is_file());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    fs::write(&file, "this is not a database, whatever its name says".repeat(100)).unwrap();
    let error = Database::open(&format!("sqlite://{}", file.display())).await.unwrap_err();
    assert_eq!(error.store_kind(), Some(StoreErrorKind::Corrupt), "{}", told(&error));
}

#[tokio::test]
async fn a_file_that_is_only_read_takes_no_writes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    let url = format!("sqlite://{}", file.display());
    let db = Database::open(&url).await.unwrap();
    db.migrate(&NOTES).await.unwrap();
    db.close().await;
    let db = Database::open(&format!("{url}?mode=ro")).await.unwrap();
    assert_eq!(db.migrate(&NOTES).await.unwrap(), 0, "an up-to-date schema needs no write");
    let mut tx = db.begin_read(&scope("acme")).await.unwrap();
    assert!(tx.fetch_optional("SELECT 1 FROM notes", &[]).await.unwrap().is_none());
    drop(tx);
    let write = async {
        let mut tx = db.begin(&scope("acme")).await?;
        tx.execute("INSERT INTO notes (tenant_id, id, body) VALUES ('acme', 1, 'x')", &[]).await
    };
    let error = write.await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{}", told(&error));
}

#[tokio::test]
async fn a_full_disk_is_full_keeps_what_was_there_and_serves_on() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/x.db", folder.path().display());
    let db = Database::open_with(&url, DatabaseConfig::default().with_max_pages(20)).await.unwrap();
    db.migrate(&NOTES).await.unwrap();
    let body = "x".repeat(3000);
    let insert = "INSERT INTO notes (tenant_id, id, body) VALUES ('acme', $1, $2)";
    let mut kept = 0_i64;
    let error = loop {
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        let done = match tx.execute(insert, params![kept, body]).await {
            Ok(_) => tx.commit().await,
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 100, "the bound does not hold");
    };
    assert_eq!(error.kind(), StoreErrorKind::Full, "{}", told(&error));
    assert_eq!(error.to_string(), "the sqlite store is full");
    // SQLite rolls back by itself there; the connection is as good as new.
    for _ in 0..3 {
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        let row = tx.fetch_one("SELECT count(*) FROM notes", &[]).await.unwrap();
        assert_eq!(row.get::<i64>(0).unwrap(), kept);
        tx.execute("DELETE FROM notes WHERE tenant_id = 'acme' AND id = $1", params![kept - 1])
            .await
            .unwrap();
        tx.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn what_the_database_refuses_has_its_kind() {
    on_each(async |fresh| {
        let db = fresh.owner();
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        for sql in [
            "CREATE TABLE parent (id BIGINT PRIMARY KEY)",
            "CREATE TABLE child (id BIGINT NOT NULL CHECK (id > 0), parent BIGINT REFERENCES parent (id))",
        ] {
            tx.execute(sql, &[]).await.unwrap();
        }
        tx.commit().await.unwrap();
        use guardian_sql::Violation;
        for (sql, violation) in [
            ("INSERT INTO child (id, parent) VALUES (1, 7)", Violation::ForeignKey),
            ("INSERT INTO child (id, parent) VALUES (1, 7) RETURNING id", Violation::ForeignKey),
            ("INSERT INTO child (id) VALUES (NULL)", Violation::NotNull),
            ("INSERT INTO child (id) VALUES (-1)", Violation::Check),
            ("INSERT INTO parent (id) VALUES (1), (1)", Violation::Unique),
        ] {
            let mut tx = db.begin(&scope("acme")).await.unwrap();
            let error = tx.fetch_optional(sql, &[]).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Constraint, "{sql}: {}", told(&error));
            assert_eq!(Fault::of(&error).unwrap().violation(), Some(violation), "{sql}: {}", told(&error));
        }
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        assert_eq!(tx.execute("SELEKT 1", &[]).await.unwrap_err().kind(), StoreErrorKind::Internal);
        drop(tx);
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        let error = tx.fetch_optional("SELECT 1 AS v UNION ALL SELECT 2 ORDER BY v", &[]).await.unwrap_err();
        assert!(told(&error).contains("a second row"), "{}", told(&error));
        drop(tx);
        let mut tx = db.begin(&scope("acme")).await.unwrap();
        assert!(told(&tx.fetch_one("SELECT id FROM parent", &[]).await.unwrap_err()).contains("no row"));
    })
    .await;
}

#[tokio::test]
async fn no_free_connection_is_unavailable_within_the_time() {
    for kind in Kind::all() {
        let config = DatabaseConfig::default()
            .with_max_connections(1)
            .with_acquire_timeout(std::time::Duration::from_millis(50));
        let fresh = kind.open_with(&[&NOTES], config).await.unwrap();
        let db = fresh.database();
        let held = db.begin(&scope("acme")).await.unwrap();
        let error = db.begin(&scope("acme")).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(told(&error).contains("no connection within 50 ms"), "{}", told(&error));
        drop(held);
        // The rollback runs by itself.
        let free = async { while db.begin(&scope("acme")).await.is_err() {} };
        tokio::time::timeout(std::time::Duration::from_secs(10), free).await.unwrap();
    }
}
