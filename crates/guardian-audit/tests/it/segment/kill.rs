//! A process that writes is killed at any moment, and the log is opened: what it had acknowledged is there, nothing is there in
//! part, and every leaf is that of its event.
//!
//! The process is this test's own program, run again for one test only; a folder's name in its environment tells it that it is
//! the one to be killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use guardian_audit::merkle::{Frontier, Hash, leaf_hash};
use guardian_audit::store::{AuditStore, Batch, SegmentConfig, SegmentStore};
use guardian_audit::testkit::Sample;
use guardian_core::{Scope, TenantId};

use super::now;

const FOLDER: &str = "GUARDIAN_AUDIT_KILL_FOLDER";
const NAME: &str = "segment::kill::a_killed_writer_loses_nothing_that_it_acknowledged";
const KILLS: u64 = 200;
/// Each call appends so many events, so a part of one would show.
const BATCH: usize = 3;

fn scopes() -> [Scope; 2] {
    ["acme", "globex"].map(|tenant| Scope::system(TenantId::new(tenant).unwrap()))
}

/// Writes until it is killed, sealing and merging all the time; says after each call how far each log goes.
fn write(folder: &Path) -> ! {
    let store = SegmentStore::open_with(folder, SegmentConfig::default().with_seal_after(12)).unwrap();
    let scopes = scopes();
    let mut sample = Sample::new(u64::from(std::process::id()));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            loop {
                store.maintain().unwrap();
            }
        });
        loop {
            for scope in &scopes {
                let drafts = sample.drafts(BATCH).unwrap();
                let placed = now(store.append(&[Batch::new(scope, &drafts)], Sample::start())).unwrap();
                let last = placed[0][BATCH - 1].sequence;
                let mut out = std::io::stdout().lock();
                writeln!(out, "acknowledged {} {last}", scope.tenant()).unwrap();
                out.flush().unwrap();
            }
        }
    })
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a process tells the one that it starts what to do")]
fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    if let Ok(folder) = std::env::var(FOLDER) {
        write(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = [0_u64; 2];
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        // Killed after some calls and a part of one; what it said before is read to its end.
        let calls = usize::try_from(kill * 7 % 23).unwrap() + 1;
        let mut lines = out.lines();
        let mut said = 0;
        let mut note = |line: &str| {
            let mut words = line.split("acknowledged ").nth(1)?.split(' ');
            let tenant = usize::from(words.next()? == "globex");
            acknowledged[tenant] = words.next()?.parse::<u64>().ok()? + 1;
            Some(())
        };
        while said < calls {
            let line = lines.next().expect("the writer goes on until it is killed").unwrap();
            said += usize::from(note(&line).is_some());
        }
        std::thread::sleep(Duration::from_micros(kill * 131 % 3_000));
        child.kill().unwrap();
        lines.map_while(Result::ok).for_each(|line| {
            note(&line);
        });
        child.wait().unwrap();
        check(folder.path(), acknowledged, kill);
    }
}

fn check(folder: &Path, acknowledged: [u64; 2], kill: u64) {
    let store = SegmentStore::open(folder).unwrap();
    for (scope, acknowledged) in scopes().iter().zip(acknowledged) {
        let head = now(store.head(scope)).unwrap();
        assert!(head.size >= acknowledged, "kill {kill}: {} of {acknowledged}", head.size);
        assert_eq!(head.size % u64::try_from(BATCH).unwrap(), 0, "kill {kill}: a part of a batch");
        let records = now(store.records(scope, 0, usize::MAX)).unwrap();
        let leaves = now(store.leaves(scope, 0, usize::MAX)).unwrap();
        let mut frontier = Frontier::new();
        for ((record, leaf), sequence) in records.iter().zip(&leaves).zip(0..) {
            assert_eq!(record.sequence, sequence);
            assert_eq!(leaf_hash(&record.leaf(scope.tenant()).unwrap()), Hash::new(*leaf));
            frontier.append(Hash::new(*leaf));
        }
        assert_eq!((frontier.size(), frontier.root()), (head.size, Hash::new(head.root)), "kill {kill}");
    }
}
