//! Processes that migrate at the same time, and one that is killed in the middle. A child is this test program again,
//! told what to do by the environment.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, DatabaseConfig, Dialect, Migration, Migrations, params};

use crate::basics::scope;

const URL: &str = "GUARDIAN_SQL_TEST_CHILD_URL";
const CHILD: &str = "processes::child";

/// Many small steps, so that processes meet in the middle.
const MANY: Migrations = {
    const fn step(version: i64, sql: &'static str) -> Migration {
        Migration::same(version, "step", sql)
    }
    Migrations::new(
        "many",
        &[
            step(1, "CREATE TABLE steps (n BIGINT PRIMARY KEY); INSERT INTO steps VALUES (1)"),
            step(2, "INSERT INTO steps VALUES (2); CREATE TABLE a (id BIGINT)"),
            step(3, "INSERT INTO steps VALUES (3); CREATE TABLE b (id BIGINT)"),
            step(4, "INSERT INTO steps VALUES (4); CREATE INDEX a_id ON a (id)"),
            step(5, "INSERT INTO steps VALUES (5); DROP TABLE b"),
            step(6, "INSERT INTO steps VALUES (6); CREATE TABLE c (id BIGINT)"),
            step(7, "INSERT INTO steps VALUES (7); ALTER TABLE c ADD COLUMN d TEXT"),
            step(8, "INSERT INTO steps VALUES (8); CREATE TABLE e (id BIGINT)"),
        ],
    )
};

/// Its second step makes a table and then takes for ever.
const STUCK: Migrations = Migrations::new("stuck", &[STUCK_FIRST, Migration::new(
    2,
    "stuck",
    "CREATE TABLE half (id INTEGER); INSERT INTO half WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
     SELECT count(*) FROM n WHERE i < 0;",
    "CREATE TABLE half (id BIGINT); SELECT pg_sleep(3600)",
)]);
const STUCK_FIRST: Migration = Migration::same(1, "first", "CREATE TABLE first (id BIGINT)");
/// What the same step does in the next version of the program.
const MENDED: Migrations =
    Migrations::new("stuck", &[STUCK_FIRST, Migration::same(2, "stuck", "CREATE TABLE half (id BIGINT)")]);

/// Does nothing in the run of the tests; in a child it migrates what it is told.
#[tokio::test]
async fn child() {
    let Some(url) = std::env::var_os(URL) else {
        return;
    };
    let url = url.to_string_lossy();
    let (what, url) = url.split_once(' ').unwrap();
    let db = Database::open(url).await.unwrap();
    let set = if what == "many" { MANY } else { STUCK };
    db.migrate(&set).await.unwrap();
}

fn spawn(what: &str, fresh: &Fresh) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture"])
        .env(URL, format!("{what} {}", fresh.owner_url()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Those that several processes can share.
fn shared() -> impl Iterator<Item = Kind> {
    Kind::all().iter().copied().filter(|kind| *kind != Kind::SqliteMemory)
}

#[tokio::test]
async fn processes_that_migrate_at_once_agree() {
    for kind in shared() {
        for _ in 0..3 {
            let fresh = kind.open(&[]).await.unwrap();
            let children: Vec<_> = (0..4).map(|_| spawn("many", &fresh)).collect();
            let own = fresh.owner().migrate(&MANY).await;
            for child in children {
                let output = child.wait_with_output().unwrap();
                assert!(output.status.success(), "{kind:?}: {}", String::from_utf8_lossy(&output.stderr));
            }
            own.unwrap();
            let mut tx = fresh.owner().begin_read(&scope("acme")).await.unwrap();
            let rows = tx.fetch_all("SELECT n FROM steps ORDER BY n", &[]).await.unwrap();
            let steps: Vec<i64> = rows.iter().map(|row| row.get(0).unwrap()).collect();
            assert_eq!(steps, (1..=8).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn several_make_and_migrate_one_new_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let url = format!("sqlite://{}/{round}.db", folder.path().display());
        let children: Vec<_> = (0..4)
            .map(|_| {
                Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", CHILD, "--nocapture"])
                    .env(URL, format!("many {url}"))
                    .stdout(Stdio::null())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// Waits until the child is in the middle of the step that never ends, as others can see it.
async fn until_stuck(fresh: &Fresh) {
    let db = match fresh.owner().dialect() {
        Dialect::Postgres => fresh.owner().clone(),
        // Finds the file locked at once instead of waiting.
        Dialect::Sqlite => {
            let config = DatabaseConfig::default().with_busy_timeout(Duration::ZERO);
            Database::open_with(fresh.owner_url(), config).await.unwrap()
        }
    };
    loop {
        let mut tx = db.begin_read(&scope("acme")).await.unwrap();
        let stuck = match db.dialect() {
            Dialect::Postgres => {
                let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
                tx.fetch_one(sql, &[]).await.unwrap().get::<i64>(0).unwrap() > 0
            }
            Dialect::Sqlite => {
                let sql = "SELECT count(*) FROM sqlite_schema WHERE name = $1";
                let first = tx.fetch_one(sql, params!["first"]).await.unwrap().get::<i64>(0).unwrap() > 0;
                let mut writer = db.begin(&scope("acme")).await.unwrap();
                first && writer.fetch_one("SELECT 1", &[]).await.is_err()
            }
        };
        if stuck {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_process_killed_in_the_middle_of_a_step_leaves_no_half() {
    for kind in shared() {
        let fresh = kind.open(&[]).await.unwrap();
        let mut child = spawn("stuck", &fresh);
        until_stuck(&fresh).await;
        child.kill().unwrap();
        child.wait().unwrap();
        // The server notices by itself that its client is gone, and the lock goes with it.
        let db = fresh.owner();
        assert_eq!(db.migrate(&MENDED).await.unwrap(), 1, "{kind:?}");
        assert_eq!(db.schema_version(&MENDED).await.unwrap(), Some(2));
        let mut tx = db.begin_read(&scope("acme")).await.unwrap();
        assert!(tx.fetch_optional("SELECT 1 FROM half", &[]).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn processes_killed_at_any_moment_leave_whole_steps() {
    for kind in shared() {
        for round in 0..8_u64 {
            let fresh = kind.open(&[]).await.unwrap();
            let mut child = spawn("many", &fresh);
            tokio::time::sleep(Duration::from_millis(4 * round)).await;
            child.kill().unwrap();
            child.wait().unwrap();
            let db = fresh.owner();
            db.migrate(&MANY).await.unwrap();
            let mut tx = db.begin_read(&scope("acme")).await.unwrap();
            let row = tx.fetch_one("SELECT count(*) FROM steps", &[]).await.unwrap();
            assert_eq!(row.get::<i64>(0).unwrap(), 8, "{kind:?} {round}");
        }
    }
}
