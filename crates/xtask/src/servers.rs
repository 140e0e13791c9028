//! Throw-away Postgres and Redis servers for one run.
//!
//! A [`Servers`] owns what it started: dropping it, on whatever way out, stops exactly those processes and removes
//! their folder. Servers that the environment names are used as they are and never touched.

mod install;
mod postgres;
mod redis;

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::{interrupt, process};

/// Where the tests find Postgres.
const POSTGRES_URL: &str = "GUARDIAN_TEST_POSTGRES_URL";
/// The same as its superuser, for tests that have to make what only a superuser can, such as a role that passes by
/// row-level security.
const POSTGRES_SUPERUSER_URL: &str = "GUARDIAN_TEST_POSTGRES_SUPERUSER_URL";
/// The folder of the programs with which tests that kill a Postgres start their own.
const POSTGRES_BIN: &str = "GUARDIAN_TEST_POSTGRES_BIN";
/// Where the tests find Redis.
const REDIS_URL: &str = "GUARDIAN_TEST_REDIS_URL";
/// The program with which tests that kill a Redis start their own.
const REDIS_SERVER: &str = "GUARDIAN_TEST_REDIS_SERVER";

/// How long a server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a server may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Starts of one server: its port is free when we choose it, but another process may be faster.
const ATTEMPTS: usize = 3;

/// Whether Postgres waits for the disk before it says that a transaction is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commits {
    /// It does not: tests want the same answers sooner, and nobody needs their data after a power cut.
    Unsynced,
    /// It does, as it does where somebody would mind: what is called durable is measured on this.
    Synced,
}

/// The servers of one run. The order of the fields is the order of the clean-up.
#[derive(Debug)]
pub(crate) struct Servers {
    environment: Vec<(&'static str, OsString)>,
    /// Kept for their clean-up only.
    _running: Vec<Server>,
    _folder: TempDir,
}

impl Servers {
    /// Starts the servers that the environment does not name, installing their programs where we may.
    pub(crate) fn start(commits: Commits) -> Result<Self> {
        let start = Instant::now();
        let folder = tempfile::Builder::new()
            .prefix("guardian-test-")
            .tempdir()
            .map_err(Error::on("cannot make a temporary folder"))?;
        // The unprivileged user that Postgres runs as must be able to pass through.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))
            .map_err(Error::on("cannot open the temporary folder"))?;
        let programs =
            install::programs(env::var_os(POSTGRES_URL).is_none(), env::var_os(REDIS_URL).is_none())?;
        let mut environment = Vec::new();
        let mut running = Vec::new();
        if let Some(bin) = programs.postgres.as_ref().filter(|_| env::var_os(POSTGRES_URL).is_none()) {
            let (server, url) = postgres::start(bin, folder.path(), commits)?;
            running.push(server);
            environment.push((POSTGRES_SUPERUSER_URL, url.replacen("//guardian@", "//postgres@", 1).into()));
            environment.push((POSTGRES_URL, url.into()));
        }
        if let Some(program) = programs.redis.as_ref().filter(|_| env::var_os(REDIS_URL).is_none()) {
            let (server, url) = redis::start(program, folder.path())?;
            running.push(server);
            environment.push((REDIS_URL, url.into()));
        }
        match (env::var_os(POSTGRES_BIN), programs.postgres) {
            (Some(_), _) => {}
            (None, Some(bin)) => environment.push((POSTGRES_BIN, bin.into())),
            (None, None) => {
                eprintln!("servers: no postgres here; tests that restart a Postgres of their own will fail");
            }
        }
        match (env::var_os(REDIS_SERVER), programs.redis) {
            (Some(_), _) => {}
            (None, Some(program)) => environment.push((REDIS_SERVER, program.into())),
            (None, None) => {
                eprintln!("servers: no redis-server here; tests that restart a Redis of their own will fail");
            }
        }
        for server in &running {
            println!("servers: {} is process {} on port {}", server.name, server.child.id(), server.port);
        }
        println!("servers: ready in {:.1} s", start.elapsed().as_secs_f64());
        Ok(Self { environment, _running: running, _folder: folder })
    }

    /// The variables for the processes that use the servers, beyond those already in our own environment.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, &OsString)> {
        self.environment.iter().map(|(name, value)| (*name, value))
    }
}

/// `cargo xtask servers`: keeps the servers up until a signal arrives.
pub(crate) fn keep(commits: Commits) -> Result<bool> {
    let servers = Servers::start(commits)?;
    for (name, value) in servers.environment() {
        println!("export {name}='{}'", value.to_string_lossy());
    }
    println!("servers: Ctrl-C stops them");
    while interrupt::count() == 0 {
        thread::sleep(Duration::from_millis(50));
    }
    Ok(true)
}

/// A server that we started and therefore stop.
#[derive(Debug)]
struct Server {
    name: &'static str,
    child: Child,
    port: u16,
    /// The signal that makes this server end at once and tidily.
    stop: &'static str,
    log: PathBuf,
}

impl Server {
    /// Starts `command`, which is to serve on `port`, with its output in `log`.
    fn spawn(
        name: &'static str,
        mut command: Command,
        port: u16,
        stop: &'static str,
        log: PathBuf,
    ) -> Result<Self> {
        let output =
            fs::File::create(&log).map_err(Error::on(format!("cannot write `{}`", log.display())))?;
        let errors = output.try_clone().map_err(Error::on("cannot share the log"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C goes to our process group; the servers stop after the tests, and by our hand.
            .process_group(0)
            .spawn()
            .map_err(Error::on(format!("cannot start {name}")))?;
        Ok(Self { name, child, port, stop, log })
    }

    /// Waits until the server answers; `Ok(false)` when it ended instead.
    fn wait_until(&mut self, answers: impl Fn() -> bool) -> Result<bool> {
        let start = Instant::now();
        loop {
            interrupt::check()?;
            if !matches!(self.child.try_wait(), Ok(None)) {
                return Ok(false);
            }
            if answers() {
                return Ok(true);
            }
            if start.elapsed() > START_LIMIT {
                let seconds = START_LIMIT.as_secs();
                return Err(self.failure(&format!("did not answer within {seconds} s")));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What happened, with the end of the server's own log.
    fn failure(&self, what: &str) -> Error {
        Error::failed(format!("{} {what}; its log ends with\n{}", self.name, tail(&self.log)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An ended child keeps its number until it is waited for, so the signal cannot hit a stranger.
        if matches!(self.child.try_wait(), Ok(None)) {
            process::signal(self.stop, self.child.id());
            if process::wait_within(&mut self.child, STOP_LIMIT).is_none() {
                let _ = self.child.kill();
            }
        }
        let _ = self.child.wait();
    }
}

/// Starts a server on a free port, and again on another when it ended before it answered.
fn start_on_free_port(
    spawn: impl Fn(u16) -> Result<Server>,
    answers: impl Fn(u16) -> bool,
) -> Result<Server> {
    let mut failure = Error::failed("no start was tried");
    for _ in 0..ATTEMPTS {
        let port = free_port()?;
        let mut server = spawn(port)?;
        if server.wait_until(|| answers(port))? {
            return Ok(server);
        }
        failure = server.failure("ended before it answered");
    }
    Err(failure)
}

/// A loopback port that nobody listens on at this moment.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(Error::on("cannot find a free port"))
}

/// A command that the system ends when we are killed in a way that leaves no time for a clean-up (SIGKILL), where the
/// tool for that is present; elsewhere the plain command. The signal comes when the thread that started the server
/// ends, so servers are started on the main thread.
fn bound_to_us(program: &Path, stop: &str) -> Command {
    let bound = |setpriv: &Path, program: &Path| {
        let mut command = Command::new(setpriv);
        command.arg(format!("--pdeathsig={stop}")).arg("--").arg(program);
        command
    };
    // Other tools of this name do not know the option, hence the trial.
    match process::find("setpriv").filter(|tool| process::output(&mut bound(tool, Path::new("true"))).is_ok())
    {
        Some(setpriv) => bound(&setpriv, program),
        None => Command::new(program),
    }
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(20);
    lines.get(from..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that ignores its stop signal or not, standing in for the real ones.
    fn fake(folder: &Path, script: &str) -> Server {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Server::spawn("fake", command, 1, "TERM", folder.join("log")).unwrap()
    }

    #[test]
    fn dropping_a_server_ends_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let server = fake(folder.path(), "exec sleep 600");
        let stat = format!("/proc/{}", server.child.id());
        drop(server);
        assert!(!Path::new(&stat).exists());
    }

    #[test]
    fn a_panic_ends_the_server_too() {
        let folder = tempfile::tempdir().unwrap();
        let server = fake(folder.path(), "exec sleep 600");
        let stat = format!("/proc/{}", server.child.id());
        let unwound = thread::spawn(move || {
            let _held = server;
            panic!("on purpose");
        });
        assert!(unwound.join().is_err());
        assert!(!Path::new(&stat).exists());
    }

    #[test]
    fn a_server_that_ends_early_is_tried_again_and_then_told_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let starts = std::cell::Cell::new(0);
        let spawn = |_| {
            starts.set(starts.get() + 1);
            Ok(fake(folder.path(), "echo no room"))
        };
        let error = start_on_free_port(spawn, |_| false).unwrap_err().to_string();
        assert_eq!(starts.get(), ATTEMPTS);
        assert_eq!(error, "fake ended before it answered; its log ends with\nno room");
    }

    #[test]
    fn the_tail_is_the_end_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let text: String = (0..50).map(|line| format!("{line}\n")).collect();
        fs::write(&log, text).unwrap();
        assert!(tail(&log).starts_with("30\n") && tail(&log).ends_with("\n49"));
        assert_eq!(tail(Path::new("/nowhere")), "");
    }
}
