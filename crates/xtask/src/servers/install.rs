//! Finds the programs of the servers and, on Debian and its kin, installs those that are missing.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::{interrupt, process};

/// Installs the packages named by its arguments. The packages would start system services on the usual ports; the
/// policy file, which the maintainer scripts ask, forbids that while this script runs. An existing policy is the
/// administrator's and stays as it is.
const INSTALL: &str = r"
set -eu
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive
# A list that cannot be refreshed may still do.
apt-get update -qq >/dev/null || true
apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 $@ >/dev/null
";

/// Where the programs are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Programs {
    /// The folder with `initdb` and `postgres`; `None` only when no Postgres is to be started.
    pub(super) postgres: Option<PathBuf>,
    /// `redis-server`; `None` only when no Redis is to be started.
    pub(super) redis: Option<PathBuf>,
}

/// Finds the programs of the servers that are needed, after installing them if need be.
pub(super) fn programs(needs_postgres: bool, needs_redis: bool) -> Result<Programs> {
    let look = || Programs {
        // Tests that restart a server of their own want its program even when a server is given.
        postgres: find_postgres(),
        redis: process::find("redis-server"),
    };
    let found = look();
    let wanted = missing(&found, needs_postgres, needs_redis);
    if wanted.is_empty() {
        return Ok(found);
    }
    install(&wanted)?;
    let found = look();
    match missing(&found, needs_postgres, needs_redis).as_slice() {
        [] => Ok(found),
        still => {
            Err(Error::failed(format!("installed but not found on the search path: {}", still.join(" "))))
        }
    }
}

/// The packages without which the needed servers cannot start.
fn missing(found: &Programs, needs_postgres: bool, needs_redis: bool) -> Vec<&'static str> {
    let postgres = (needs_postgres && found.postgres.is_none()).then_some("postgresql");
    let redis = (needs_redis && found.redis.is_none()).then_some("redis-server");
    postgres.into_iter().chain(redis).collect()
}

/// The folder of the programs of Postgres: the one on the search path, else the newest that Debian installed.
fn find_postgres() -> Option<PathBuf> {
    // The search path may hold links to some of the programs only; all of them are where the links lead.
    let on_path = process::find("initdb").and_then(|program| fs::canonicalize(program).ok());
    let on_path = on_path.and_then(|program| Some(program.parent()?.to_path_buf()));
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<_> = debian.map(|entry| entry.path()).collect();
    debian.sort_by_key(|folder| folder.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    let complete =
        |bin: &PathBuf| ["initdb", "postgres", "pg_isready"].iter().all(|name| bin.join(name).is_file());
    on_path.into_iter().chain(debian.into_iter().rev().map(|folder| folder.join("bin"))).find(complete)
}

/// Installs packages if we may, else says in one line what to install.
fn install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    let advice =
        format!("missing servers, install them: apt-get install {names} (or the like of your system)");
    let root = fs::metadata("/proc/self").is_ok_and(|us| us.uid() == 0);
    let may = root || process::output(Command::new("sudo").args(["-n", "true"])).is_ok();
    if process::find("apt-get").is_none() || !may {
        return Err(Error::failed(advice));
    }
    println!("servers: installing {names}");
    let mut command = if root {
        Command::new("/bin/sh")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "/bin/sh"]);
        sudo
    };
    command.current_dir(env::temp_dir()).args(["-c", INSTALL, "install"]).args(packages);
    // A package manager that is stopped halfway leaves the system broken, so Ctrl-C waits until it is done.
    let status = command.stdin(Stdio::null()).process_group(0).status();
    interrupt::check()?;
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Error::failed(advice)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_and_absent_is_missing() {
        let nothing = Programs::default();
        assert_eq!(missing(&nothing, true, true), ["postgresql", "redis-server"]);
        assert_eq!(missing(&nothing, false, true), ["redis-server"]);
        assert!(missing(&nothing, false, false).is_empty());
        let redis = Programs { redis: Some("/bin/redis-server".into()), postgres: None };
        assert_eq!(missing(&redis, true, true), ["postgresql"]);
    }
}
