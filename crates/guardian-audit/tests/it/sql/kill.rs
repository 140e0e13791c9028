//! A process that writes into a database is killed at any moment: what it had acknowledged is there, nothing is there in part,
//! and every leaf is that of its event.
//!
//! The process is this test's own program, run again for one test only; an address in its environment tells it that it is the
//! one to be killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use guardian_audit::merkle::{Frontier, Hash, leaf_hash};
use guardian_audit::store::{AuditStore, Batch, SqlStore};
use guardian_audit::testkit::Sample;
use guardian_core::Scope;
use guardian_sql::Database;
use guardian_sql::testkit::Kind;
use tokio::runtime::Runtime;

use super::{fresh, runtime, scope};

const ADDRESS: &str = "GUARDIAN_AUDIT_KILL_DATABASE";
const KILLS: u64 = 200;
/// Each call appends so many events, so a part of one would show.
const BATCH: usize = 3;

fn scopes() -> [Scope; 2] {
    ["acme", "globex"].map(scope)
}

/// Writes until it is killed; says after each call how far each log goes.
fn write(address: &str) -> ! {
    let runtime = runtime();
    let store = SqlStore::new(&runtime.block_on(Database::open(address)).unwrap());
    let scopes = scopes();
    let mut sample = Sample::new(u64::from(std::process::id()));
    loop {
        for scope in &scopes {
            let drafts = sample.drafts(BATCH).unwrap();
            let batch = [Batch::new(scope, &drafts)];
            let placed = runtime.block_on(store.append(&batch, Sample::start())).unwrap();
            let last = placed[0][BATCH - 1].sequence;
            let mut out = std::io::stdout().lock();
            writeln!(out, "acknowledged {} {last}", scope.tenant()).unwrap();
            out.flush().unwrap();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a process tells the one that it starts what to do")]
fn kill(kind: Kind, name: &str) {
    if let Ok(address) = std::env::var(ADDRESS) {
        write(&address);
    }
    let runtime = runtime();
    let fresh = runtime.block_on(fresh(kind, &[&SqlStore::MIGRATIONS]));
    let mut logs = scopes().map(|scope| Known { scope, acknowledged: 0, frontier: Frontier::new() });
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(ADDRESS, fresh.url())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        // Killed after some calls and a part of one; what it said before is read to its end.
        let calls = usize::try_from(kill * 7 % 11).unwrap() + 1;
        let mut lines = out.lines();
        let mut said = 0;
        let mut note = |line: &str| {
            let mut words = line.split("acknowledged ").nth(1)?.split(' ');
            let tenant = usize::from(words.next()? == "globex");
            logs[tenant].acknowledged = words.next()?.parse::<u64>().ok()? + 1;
            Some(())
        };
        while said < calls {
            let line = lines.next().expect("the writer goes on until it is killed").unwrap();
            said += usize::from(note(&line).is_some());
        }
        std::thread::sleep(Duration::from_micros(kill * 131 % 5_000));
        child.kill().unwrap();
        lines.map_while(Result::ok).for_each(|line| {
            note(&line);
        });
        child.wait().unwrap();
        // Another connection, as after a restart.
        let store = SqlStore::new(&runtime.block_on(Database::open(fresh.url())).unwrap());
        logs.iter_mut().for_each(|log| log.check(&runtime, &store, kill));
    }
}

/// A log, as far as it was seen to be whole.
struct Known {
    scope: Scope,
    acknowledged: u64,
    frontier: Frontier,
}

impl Known {
    fn check(&mut self, runtime: &Runtime, store: &SqlStore, kill: u64) {
        // On a server the last transaction may still end while this looks.
        let head = runtime.block_on(store.head(&self.scope)).unwrap();
        assert!(head.size >= self.acknowledged, "kill {kill}: {} of {}", head.size, self.acknowledged);
        assert_eq!(head.size % u64::try_from(BATCH).unwrap(), 0, "kill {kill}: a part of a batch");
        let (from, new) = (self.frontier.size(), usize::try_from(head.size - self.frontier.size()).unwrap());
        let records = runtime.block_on(store.records(&self.scope, from, new)).unwrap();
        let leaves = runtime.block_on(store.leaves(&self.scope, from, new)).unwrap();
        for ((record, leaf), sequence) in records.iter().zip(&leaves).zip(from..) {
            assert_eq!(record.sequence, sequence);
            assert_eq!(leaf_hash(&record.leaf(self.scope.tenant()).unwrap()), Hash::new(*leaf));
            self.frontier.append(Hash::new(*leaf));
        }
        let here = (self.frontier.size(), self.frontier.root());
        assert_eq!(here, (head.size, Hash::new(head.root)), "kill {kill}");
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn a_killed_writer_of_sqlite_loses_nothing_that_it_acknowledged() {
    kill(Kind::SqliteFile, "sql::kill::a_killed_writer_of_sqlite_loses_nothing_that_it_acknowledged");
}

#[cfg(feature = "postgres")]
#[test]
fn a_killed_writer_of_postgres_loses_nothing_that_it_acknowledged() {
    kill(Kind::Postgres, "sql::kill::a_killed_writer_of_postgres_loses_nothing_that_it_acknowledged");
}
