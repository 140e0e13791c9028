//! What the files hold, and what becomes of damaged ones.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use guardian_audit::Plan;
use guardian_audit::store::{AuditStore, Batch, Drop, Maintenance, SegmentConfig, SegmentStore};
use guardian_audit::testkit::Sample;
use guardian_core::{Scope, StoreErrorKind, TenantId};

use super::now;

fn scope() -> Scope {
    Scope::system(TenantId::new("acme").unwrap())
}

fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect();
    found.sort();
    found
}

fn size(folder: &Path) -> u64 {
    files(folder, ".seg").iter().map(|path| fs::metadata(path).unwrap().len()).sum()
}

#[test]
fn one_process_at_a_time_has_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = SegmentStore::open(folder.path()).unwrap();
    let error = SegmentStore::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    drop(first);
    SegmentStore::open(folder.path()).unwrap();
}

#[test]
fn many_small_files_become_few() {
    let folder = tempfile::tempdir().unwrap();
    let store = SegmentStore::open(folder.path()).unwrap();
    let scope = scope();
    let mut sample = Sample::new(1);
    for _ in 0..40 {
        let drafts = sample.drafts(3).unwrap();
        now(store.append(&[Batch::new(&scope, &drafts)], Sample::start())).unwrap();
        store.seal().unwrap();
    }
    assert_eq!(files(folder.path(), ".seg").len(), 40);
    while store.maintain().unwrap() != Maintenance::Idle {}
    assert!(files(folder.path(), ".seg").len() < 12);
    assert_eq!(files(folder.path(), ".log").len(), 2, "a journal and the notes");
    assert_eq!(now(store.records(&scope, 0, 200)).unwrap().len(), 120);
}

#[test]
fn what_is_dropped_frees_its_space_and_leaves_no_word() {
    let folder = tempfile::tempdir().unwrap();
    let store = SegmentStore::open(folder.path()).unwrap();
    let scope = scope();
    let mut drafts = Sample::new(2).drafts(400).unwrap();
    let secret = guardian_audit::AuditEvent::new("a.b")
        .with_id(uuid::Uuid::from_u128(7))
        .with_occurred(Sample::start())
        .with_message("xylophonist");
    drafts.insert(10, guardian_audit::store::Draft::new(&secret, &Default::default(), &[], &[]).unwrap());
    now(store.append(&[Batch::new(&scope, &drafts)], Sample::start())).unwrap();
    store.seal().unwrap();
    let before = size(folder.path());
    let later = Sample::start() + TimeDelta::days(1);
    assert_eq!(now(store.drop_bodies(&scope, &Drop::new(&Plan::All, later, 350))).unwrap(), 350);
    assert_eq!(store.maintain().unwrap(), Maintenance::Rewritten);
    assert_eq!(store.maintain().unwrap(), Maintenance::Idle);
    // What is left of a dropped event are 32 bytes of its leaf and its times.
    assert!(size(folder.path()) * 3 < before, "{} of {before}", size(folder.path()));
    for file in files(folder.path(), "") {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(11).any(|window| window == b"xylophonist"), "{}", file.display());
    }
    assert_eq!(now(store.leaves(&scope, 0, 1_000)).unwrap().len(), 401);
}

#[test]
fn a_damaged_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = SegmentStore::open(folder.path()).unwrap();
    let drafts = Sample::new(3).drafts(50).unwrap();
    now(store.append(&[Batch::new(&scope(), &drafts)], Sample::start())).unwrap();
    store.seal().unwrap();
    drop(store);
    let file = files(folder.path(), ".seg").remove(0);
    let whole = fs::read(&file).unwrap();
    for cut in [0, 3, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..cut]).unwrap();
        let error = SegmentStore::open(folder.path()).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("segment-") && cause.contains("damaged"), "{cause}");
    }
    fs::write(&file, &whole).unwrap();
    fs::write(folder.path().join("manifest"), b"nonsense").unwrap();
    assert_eq!(SegmentStore::open(folder.path()).unwrap_err().kind(), StoreErrorKind::Corrupt);
}

/// Whatever a bit of a sealed file says, reading ends with a value or an error.
#[test]
fn a_flipped_bit_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let scope = scope();
    let store = SegmentStore::open(folder.path()).unwrap();
    let drafts = Sample::new(4).drafts(120).unwrap();
    now(store.append(&[Batch::new(&scope, &drafts)], Sample::start())).unwrap();
    store.seal().unwrap();
    drop(store);
    let file = files(folder.path(), ".seg").remove(0);
    let whole = fs::read(&file).unwrap();
    let plans: Vec<Plan> = ["renewal", "\"annual renewal\"", "ren*", "-country:US", "occurred:2025-01-02"]
        .map(|text| Plan::compile(&text.parse().unwrap(), &|_, _| None))
        .into();
    for at in (0..whole.len()).step_by(whole.len() / 300) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&file, &bytes).unwrap();
        let Ok(store) = SegmentStore::open(folder.path()) else { continue };
        for plan in &plans {
            let _ = now(store.search(&scope, plan, None, 20));
            let _ = now(store.count(&scope, plan, None));
        }
        let _ = now(store.records(&scope, 0, 200));
        let _ = now(store.facets(&scope, &Plan::All, guardian_audit::Dimension::Action, 5));
    }
}

#[test]
fn settings_do_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let config = SegmentConfig::default().with_seal_after(10);
    let store = SegmentStore::open_with(folder.path(), config).unwrap();
    let mut sample = Sample::new(5);
    for _ in 0..10 {
        let drafts = sample.drafts(5).unwrap();
        now(store.append(&[Batch::new(&scope(), &drafts)], Sample::start())).unwrap();
    }
    // Appends seal by themselves when nobody maintains the store.
    assert!(!files(folder.path(), ".seg").is_empty());
    assert_eq!(store.maintain().unwrap(), Maintenance::Sealed);
    assert_eq!(store.tenants(), [TenantId::new("acme").unwrap()]);
}
