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
    for _ in 0..6 {
        let drafts = sample.drafts(4).unwrap();
        now(store.append(&[Batch::new(&scope, &drafts)], Sample::start())).unwrap();
    }
    drop(store);
    // Behind the records is room.
    let mut whole = fs::read(&journal).unwrap();
    let mut ends = vec![20];
    for _ in 0..6 {
        let at = ends.last().unwrap() + 4;
        let length = u32::from_le_bytes(whole[at..at + 4].try_into().unwrap());
        ends.push(at + 24 + usize::try_from(length).unwrap());
    }
    whole.truncate(ends[6]);
    let manifest = fs::read(folder.path().join("manifest")).unwrap();
    // A kill leaves the beginning of the file, or the beginning and the room that was made before.
    let lengths =
        (0..=whole.len()).step_by(47).chain(ends.iter().flat_map(|end| [end.saturating_sub(1), *end]));
    for (length, room) in lengths.flat_map(|length| [(length, 0), (length, 100_000)]) {
        let again = tempfile::tempdir().unwrap();
        fs::write(again.path().join("manifest"), &manifest).unwrap();
        let left = [&whole[..length], &vec![0; if length < 20 { 0 } else { room }]].concat();
        fs::write(again.path().join(journal.file_name().unwrap()), left).unwrap();
        let store = SegmentStore::open(again.path()).unwrap();
        // Where there is room, a record is whole without the zeros at its end.
        let is_whole = |end: &usize| {
            *end <= length || (length >= 20 && room > 0 && whole[length..*end].iter().all(|byte| *byte == 0))
        };
        let batches = ends.iter().skip(1).take_while(|end| is_whole(end)).count();
        let records = now(store.records(&scope, 0, 100)).unwrap();
        assert_eq!(records.len(), batches * 4, "cut at {length}, room {room}");
        let clean = length == 0 || ends[batches] >= length && length >= 20;
        assert_eq!(store.recovery().is_clean(), clean, "cut at {length}, room {room}");
        // It goes on where it was.
        let more = Sample::new(9).drafts(1).unwrap();
        let placed = now(store.append(&[Batch::new(&scope, &more)], Sample::start())).unwrap();
        assert_eq!(placed[0][0].sequence, u64::try_from(records.len()).unwrap());
    }
}
