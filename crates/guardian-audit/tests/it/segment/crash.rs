//! Killed at any point, the store loses nothing that it acknowledged, and holds nothing half.
//!
//! Here the journal is cut at lengths that a kill could leave; `kill` ends a process that writes for real.

use std::fs;

use guardian_audit::store::{AuditStore, Batch, SegmentStore};
use guardian_audit::testkit::Sample;
use guardian_core::{Scope, TenantId};

use super::now;

#[test]
fn a_journal_cut_anywhere_holds_whole_batches() {
    let folder = tempfile::tempdir().unwrap();
    let scope = Scope::system(TenantId::new("acme").unwrap());
    let store = SegmentStore::open(folder.path()).unwrap();
    let journal = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("journal-"))
        .unwrap();
    let mut sample = Sample::new(1);
    let mut ends = vec![0];
    for _ in 0..6 {
        let drafts = sample.drafts(4).unwrap();
        now(store.append(&[Batch::new(&scope, &drafts)], Sample::start())).unwrap();
        ends.push(fs::metadata(&journal).unwrap().len());
    }
    drop(store);
    let whole = fs::read(&journal).unwrap();
    let manifest = fs::read(folder.path().join("manifest")).unwrap();
    for length in (0..=whole.len()).step_by(23) {
        let again = tempfile::tempdir().unwrap();
        fs::write(again.path().join("manifest"), &manifest).unwrap();
        fs::write(again.path().join(journal.file_name().unwrap()), &whole[..length]).unwrap();
        let store = SegmentStore::open(again.path()).unwrap();
        let batches = ends.iter().filter(|end| **end <= u64::try_from(length).unwrap()).count() - 1;
        let records = now(store.records(&scope, 0, 100)).unwrap();
        assert_eq!(records.len(), batches * 4, "cut at {length}");
        assert_eq!(store.recovery().is_clean(), ends.contains(&u64::try_from(length).unwrap()));
        // It goes on where it was.
        let more = Sample::new(9).drafts(1).unwrap();
        let placed = now(store.append(&[Batch::new(&scope, &more)], Sample::start())).unwrap();
        assert_eq!(placed[0][0].sequence, u64::try_from(records.len()).unwrap());
    }
}
