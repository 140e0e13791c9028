//! A PostgreSQL that is killed, hangs and comes back, under load.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use guardian_core::{StoreError, StoreErrorKind};
use guardian_sql::{Database, DatabaseConfig, params};
use tokio::time::timeout;

use crate::basics::{NOTES, scope};

/// No call may take as long as this: far more than its timeouts, for a machine under load.
const BOUND: Duration = Duration::from_secs(10);

/// A PostgreSQL of our own, to kill.
struct Server {
    bin: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Server {
    fn new() -> Self {
        let bin = std::env::var_os("GUARDIAN_TEST_POSTGRES_BIN").expect(
            "GUARDIAN_TEST_POSTGRES_BIN is not set: run `cargo xtask test`, or set it to the folder of `initdb` and `postgres`",
        );
        let folder = tempfile::Builder::new().prefix("guardian-sql-").tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { bin: bin.into(), folder, port, child: None };
        if let Some((user, group)) = server.owner() {
            chown(server.folder.path(), Some(user), Some(group)).unwrap();
        }
        let mut initdb = server.command("initdb");
        initdb.arg("--pgdata").arg(server.data());
        initdb.args([
            "--username=guardian",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
            "--no-instructions",
        ]);
        let output = initdb.arg("--locale=C").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        server
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// PostgreSQL does not run as root.
    fn owner(&self) -> Option<(u32, u32)> {
        if fs::metadata("/proc/self").is_ok_and(|us| us.uid() != 0) {
            return None;
        }
        let users = fs::read_to_string("/etc/passwd").unwrap();
        ["postgres:", "nobody:"].iter().find_map(|name| {
            let line = users.lines().find(|line| line.starts_with(name))?;
            let mut numbers = line.split(':').skip(2);
            Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
        })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(Path::new(&self.bin).join(program));
        if let Some((user, group)) = self.owner() {
            command.uid(user).gid(group);
        }
        command.current_dir(self.folder.path()).env("LC_ALL", "C").stdout(Stdio::null());
        command
    }

    fn url(&self) -> String {
        format!("postgres://guardian@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    async fn start(&mut self) {
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string()]);
        for setting in
            ["listen_addresses=127.0.0.1", "fsync=off", "shared_buffers=16MB", "max_connections=40"]
        {
            command.args(["-c", setting]);
        }
        self.child = Some(command.stderr(Stdio::null()).spawn().unwrap());
        let ready = async {
            let config = DatabaseConfig::default().with_max_connections(1);
            while Database::open_with(&self.url(), config.clone()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(60), ready).await.unwrap();
    }

    fn signal(&self, name: &str, to_all: bool) {
        let id = self.child.as_ref().unwrap().id();
        let mut targets = vec![id.to_string()];
        if to_all {
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
            targets.extend(children.split_whitespace().map(str::to_owned));
        }
        // A child may have ended by itself.
        let _ = Command::new("kill").arg(name).args(targets).stderr(Stdio::null()).status().unwrap();
    }

    /// As an immediate shutdown or a crash of the machine: every connection is cut.
    fn kill(&mut self) {
        self.signal("-QUIT", false);
        self.child.take().unwrap().wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.signal("-CONT", true);
            self.kill();
        }
    }
}

fn tight() -> DatabaseConfig {
    DatabaseConfig::default()
        .with_max_connections(4)
        .with_acquire_timeout(Duration::from_millis(500))
        .with_statement_timeout(Duration::from_millis(500))
}

async fn note(db: &Database, id: i64) -> Result<(), StoreError> {
    let mut tx = db.begin(&scope("acme")).await?;
    tx.execute("INSERT INTO notes (tenant_id, id, body) VALUES ('acme', $1, 'x')", params![id]).await?;
    tx.commit().await
}

async fn recovered(db: &Database) {
    let asking = async {
        while db.begin_read(&scope("acme")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(60), asking).await.expect("the database did not recover by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_calls_fail_as_unavailable_and_all_that_was_acknowledged_is_there() {
    let mut server = Server::new();
    server.start().await;
    let db = Database::open_with(&server.url(), tight()).await.unwrap();
    db.migrate(&NOTES).await.unwrap();
    let next = Arc::new(AtomicU64::new(0));
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let (stop, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let (db, stop, lost, next) =
                (db.clone(), Arc::clone(&stop), Arc::clone(&lost), Arc::clone(&next));
            tasks.push(tokio::spawn(async move {
                let mut kept = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let id = i64::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
                    match timeout(BOUND, note(&db, id)).await.expect("a call hung") {
                        Ok(()) => kept.push(id),
                        Err(error) => {
                            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
                            lost.fetch_add(1, Ordering::Relaxed);
                            tokio::task::yield_now().await;
                        }
                    }
                }
                kept
            }));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.kill();
        let seen = async {
            while lost.load(Ordering::Relaxed) < 200 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), seen).await.expect("calls wait while the server is away");
        server.start().await;
        recovered(&db).await;
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            acknowledged.extend(task.await.unwrap());
        }
        assert!(!acknowledged.is_empty(), "{round}");
    }
    let mut tx = db.begin_read(&scope("acme")).await.unwrap();
    let rows = tx.fetch_all("SELECT id FROM notes", &[]).await.unwrap();
    let found: std::collections::HashSet<i64> = rows.iter().map(|row| row.get(0).unwrap()).collect();
    assert!(acknowledged.iter().all(|id| found.contains(id)), "an acknowledged note is lost");
}

#[tokio::test]
async fn connections_that_lay_idle_through_a_restart_cost_no_error() {
    let mut server = Server::new();
    server.start().await;
    let db = Database::open_with(&server.url(), tight()).await.unwrap();
    db.migrate(&NOTES).await.unwrap();
    // Four idle connections.
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(db.begin(&scope("acme")).await.unwrap());
    }
    for tx in open {
        tx.rollback().await.unwrap();
    }
    server.kill();
    server.start().await;
    for id in 0..8 {
        note(&db, id).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_in_time_and_taken_back() {
    let mut server = Server::new();
    server.start().await;
    let db = Database::open_with(&server.url(), tight()).await.unwrap();
    db.migrate(&NOTES).await.unwrap();
    let mut tx = db.begin(&scope("acme")).await.unwrap();
    server.signal("-STOP", true);
    let call = tx.execute("INSERT INTO notes (tenant_id, id, body) VALUES ('acme', 1, 'x')", &[]);
    let error = timeout(BOUND, call).await.expect("a call hung").unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Timeout, "{error:?}");
    timeout(BOUND, tx.rollback()).await.expect("a rollback hung").unwrap();
    for _ in 0..3 {
        let error = timeout(BOUND, db.begin(&scope("acme"))).await.expect("a call hung").unwrap_err();
        assert!(error.is_transient(), "{error:?}");
    }
    server.signal("-CONT", true);
    recovered(&db).await;
    note(&db, 2).await.unwrap();
}

#[tokio::test]
async fn a_service_starts_while_its_server_is_away() {
    let mut server = Server::new();
    let db = Database::lazy(&server.url(), tight()).unwrap();
    for _ in 0..5 {
        let error = timeout(BOUND, db.begin(&scope("acme"))).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }
    assert!(Database::open_with(&server.url(), tight()).await.is_err());
    server.start().await;
    db.migrate(&NOTES).await.unwrap();
    note(&db, 1).await.unwrap();
}
