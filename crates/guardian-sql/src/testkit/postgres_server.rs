use std::fs;
use std::io::{Error, Result};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::timeout;

use crate::{Database, DatabaseConfig};

const VARIABLE: &str = "GUARDIAN_TEST_POSTGRES_BIN";
/// How long a server may take to start, on a machine under load.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// A PostgreSQL of a test's own, to kill, to hang and to bring back; it and its data go with this value.
///
/// The programs `initdb` and `postgres` are those in the folder `GUARDIAN_TEST_POSTGRES_BIN`, which `cargo xtask test`
/// names. Nothing is promised to survive a power failure, for speed; what was acknowledged survives [`kill`](Self::kill).
/// The one role is a superuser, whom row-level security does not bind.
///
/// ```
/// use guardian_sql::Database;
/// use guardian_sql::testkit::PostgresServer;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let mut server = PostgresServer::new()?;
/// server.start().await?;
/// let db = Database::open(&server.url()).await?;
/// server.kill()?;
/// server.start().await?;
/// // `db` is well again, by itself.
/// # Ok(())
/// # }
/// # // The documentation's tests have no server.
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct PostgresServer {
    bin: PathBuf,
    folder: tempfile::TempDir,
    /// Whom the server runs as, where that is not ourselves: PostgreSQL does not run as root.
    user: Option<(u32, u32)>,
    port: u16,
    child: Option<Child>,
}

impl PostgresServer {
    /// Makes the data of a server on a free port of the loopback address. It is not started yet.
    ///
    /// # Errors
    /// When the programs are not found, or do not make what they should.
    pub fn new() -> Result<Self> {
        let bin = std::env::var_os(VARIABLE).ok_or_else(|| {
            Error::other(format!(
                "{VARIABLE} is not set: run `cargo xtask test`, or set it to the folder of `initdb` and `postgres`"
            ))
        })?;
        let folder = tempfile::Builder::new().prefix("guardian-sql-").tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let user = unprivileged()?;
        let server = Self { bin: bin.into(), folder, user, port, child: None };
        if let Some((user, group)) = user {
            chown(server.folder.path(), Some(user), Some(group))?;
        }
        let mut initdb = server.command("initdb");
        initdb.arg("--pgdata").arg(server.data());
        initdb.args(["--username=guardian", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        let output = initdb.args(["--no-sync", "--no-instructions"]).output()?;
        if output.status.success() {
            return Ok(server);
        }
        Err(Error::other(format!("`initdb` failed: {}", String::from_utf8_lossy(&output.stderr))))
    }

    /// Where it is, as its superuser; the same after every start.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://guardian@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// Starts it and waits until it answers. One that runs is left alone.
    ///
    /// # Errors
    /// When the program cannot be run, ends at once, or does not answer within a minute.
    pub async fn start(&mut self) -> Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        command.args(["-p", &self.port.to_string()]);
        for setting in
            ["listen_addresses=127.0.0.1", "fsync=off", "shared_buffers=16MB", "max_connections=40"]
        {
            command.args(["-c", setting]);
        }
        let child = self.child.insert(command.stderr(Stdio::null()).spawn()?);
        let url = format!("postgres://guardian@127.0.0.1:{}/postgres?sslmode=disable", self.port);
        let ready = async {
            let config = DatabaseConfig::default().with_max_connections(1);
            while Database::open_with(&url, config.clone()).await.is_err() {
                if let Some(status) = child.try_wait()? {
                    return Err(Error::other(format!("`postgres` ended at once: {status}")));
                }
                tokio::time::sleep(PAUSE).await;
            }
            Ok(())
        };
        let late = |_| Error::other(format!("`postgres` does not answer within {} s", PATIENCE.as_secs()));
        let done = timeout(PATIENCE, ready).await.unwrap_or_else(|elapsed| Err(late(elapsed)));
        if done.is_err() {
            self.kill()?;
        }
        done
    }

    /// Ends it as an immediate shutdown or a crash does: every connection is cut. One that does not run is left alone.
    ///
    /// # Errors
    /// When it cannot be signalled or waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.signal("-QUIT", false)?;
        self.child.take().map_or(Ok(()), |mut child| child.wait().map(drop))
    }

    /// Stops all of its processes, so that connections stay and nothing answers.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn hang(&self) -> Result<()> {
        self.signal("-STOP", true)
    }

    /// Lets it go on after [`hang`](Self::hang).
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn go_on(&self) -> Result<()> {
        self.signal("-CONT", true)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.current_dir(self.folder.path()).env("LC_ALL", "C").stdout(Stdio::null());
        command
    }

    /// Through the program `kill`, because a call of the system's function is not safe Rust.
    fn signal(&self, name: &str, to_all: bool) -> Result<()> {
        let Some(child) = &self.child else { return Ok(()) };
        let id = child.id();
        let mut targets = vec![id.to_string()];
        if to_all {
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
            targets.extend(children.split_whitespace().map(str::to_owned));
        }
        // The outcome says nothing: a child may have ended by itself.
        Command::new("kill").arg(name).args(targets).stderr(Stdio::null()).status().map(drop)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // One that hangs would not hear the signal. Nobody is there to be told of a failure.
        let _ = self.go_on();
        let _ = self.kill();
    }
}

/// A user without rights, where we are root.
fn unprivileged() -> Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self").is_ok_and(|us| us.uid() != 0) {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let found = ["postgres:", "nobody:"].iter().find_map(|name| {
        let line = users.lines().find(|line| line.starts_with(name))?;
        let mut numbers = line.split(':').skip(2);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    });
    found.map(Some).ok_or_else(|| Error::other("there is neither a user `postgres` nor a user `nobody`"))
}
