//! A Postgres that trades durability for speed, unless it is asked to wait for the disk.
//!
//! The tests connect as the role `guardian`, which owns the database `guardian` and may create roles and databases
//! but is no superuser: a superuser passes by row-level security, so tests run as one would prove nothing about it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Commits, Server, bound_to_us, start_on_free_port};
use crate::error::{Error, Result};
use crate::process;

/// One statement a line, as the single-user mode reads them.
const SET_UP: &str = "\
CREATE ROLE guardian LOGIN CREATEDB CREATEROLE;
CREATE DATABASE guardian OWNER guardian;
";

/// For tests, which are many at a time and whose data is small and needed by nobody when they are over. Whoever measures gets the server
/// as it ships.
const SMALL_AND_HASTY: [&str; 8] = [
    "max_connections=200",
    "shared_buffers=64MB",
    "max_wal_size=256MB",
    "autovacuum_max_workers=1",
    "max_parallel_workers=2",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
];

/// Starts the server whose programs are in `bin`; the text is its URL.
pub(super) fn start(bin: &Path, folder: &Path, commits: Commits) -> Result<(Server, String)> {
    let home = folder.join("postgres");
    let data = home.join("data");
    fs::create_dir(&home).map_err(Error::on("cannot make the folder of Postgres"))?;
    let owner = Owner::choose(folder)?;
    owner.give(&home)?;

    let mut initdb = owner.command(Command::new(bin.join("initdb")), &home);
    initdb
        .arg("--pgdata")
        .arg(&data)
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "--no-instructions"])
        .arg(if cfg!(target_os = "macos") { "--locale=en_US.UTF-8" } else { "--locale=C.UTF-8" });
    process::output(&mut initdb)?;
    set_up(owner.command(Command::new(bin.join("postgres")), &home), &data)?;

    let spawn = |port: u16| {
        let mut command = owner.command(bound_to_us(&bin.join("postgres"), "QUIT"), &home);
        command.arg("-D").arg(&data).arg("-k").arg(&home).args(["-p", &port.to_string()]);
        let mut settings = vec!["listen_addresses=127.0.0.1"];
        if commits == Commits::Unsynced {
            settings.extend(SMALL_AND_HASTY);
        }
        for setting in settings {
            command.args(["-c", setting]);
        }
        // SIGQUIT is the immediate shutdown: nobody needs this data again.
        Server::spawn("postgres", command, port, "QUIT", folder.join("postgres.log"))
    };
    let ready = |port: u16| {
        let mut probe = Command::new(bin.join("pg_isready"));
        probe.args(["--quiet", "--host=127.0.0.1", "--timeout=1", &format!("--port={port}")]);
        process::output(&mut probe).is_ok()
    };
    let server = start_on_free_port(spawn, ready)?;
    let url = format!("postgres://guardian@127.0.0.1:{}/guardian", server.port);
    Ok((server, url))
}

/// Makes the role and the database of the tests before the server starts.
fn set_up(mut postgres: Command, data: &Path) -> Result<()> {
    let mut child = postgres
        .args(["--single", "-j", "-c", "fsync=off", "-D"])
        .arg(data)
        .arg("postgres")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Error::on("cannot run `postgres --single`"))?;
    if let Some(mut input) = child.stdin.take() {
        // With -j a statement ends at a semicolon followed by an empty line.
        let text = SET_UP.replace('\n', "\n\n");
        // A server that refuses its input tells why on its standard error.
        let _ = input.write_all(text.as_bytes());
    }
    let output = child.wait_with_output().map_err(Error::on("cannot wait for `postgres --single`"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    // A failed statement leaves the exit status at success.
    if output.status.success() && !errors.contains("ERROR") && !errors.contains("FATAL") {
        return Ok(());
    }
    Err(Error::failed(format!("cannot set up the database: {}\n{}", output.status, errors.trim_end())))
}

/// Who Postgres runs as: it refuses the superuser of the system.
struct Owner(Option<(u32, u32)>);

impl Owner {
    /// Ourselves, or an unprivileged user when we are root. The folder is ours, so its owner is who we are.
    fn choose(folder: &Path) -> Result<Self> {
        let us = fs::metadata(folder).map_err(Error::on("cannot read the temporary folder"))?.uid();
        if us != 0 {
            return Ok(Self(None));
        }
        let users = fs::read_to_string("/etc/passwd").map_err(Error::on("cannot read `/etc/passwd`"))?;
        let found = ["postgres", "nobody"].iter().find_map(|name| user(&users, name));
        let missing = "postgres does not run as root, and there is no user `postgres` or `nobody`; add one";
        found.map(|ids| Self(Some(ids))).ok_or_else(|| Error::failed(missing))
    }

    /// Makes the folder theirs.
    fn give(&self, folder: &Path) -> Result<()> {
        let Self(Some((user, group))) = self else {
            return Ok(());
        };
        chown(folder, Some(*user), Some(*group))
            .map_err(Error::on(format!("cannot give away `{}`", folder.display())))
    }

    /// The command run as them; the standard library also drops our supplementary groups.
    fn command(&self, mut command: Command, home: &Path) -> Command {
        if let Self(Some((user, group))) = self {
            command.uid(*user).gid(*group);
        }
        command.current_dir(home).env("LC_ALL", "C").env_remove("PGOPTIONS");
        command
    }
}

/// User and group number of a name in the text of `/etc/passwd`.
fn user(users: &str, name: &str) -> Option<(u32, u32)> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let users =
            "root:x:0:0::/root:/bin/sh\npostgresql:x:9:9::/:\npostgres:x:101:104:admin:/var:/bin/bash\n";
        assert_eq!(user(users, "postgres"), Some((101, 104)));
        assert_eq!(user(users, "nobody"), None);
    }
}
