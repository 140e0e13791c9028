//! Checkpoints that a sealer makes: one chain, however many make it and whenever they die.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use guardian_audit::checkpoint::SealedCheckpoint;
use guardian_audit::checkpoint::{
    CheckpointChain, CheckpointPolicy, Ed25519Signer, KeyRing, MasterKey, Notary, Sealer, Signer,
};
use guardian_audit::merkle::{Hash, Tree, leaf_hash};
use guardian_audit::store::{AuditStore, MemoryStore, Note, NoteKind, SegmentStore};
use guardian_audit::{AuditConfig, AuditEvent, AuditLog};
use guardian_core::{Clock, ManualClock, Scope, TenantId, Timestamp};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn scope() -> Scope {
    Scope::system(TenantId::new("acme").unwrap())
}

fn now() -> Timestamp {
    ManualClock::new().now()
}

fn signer() -> Ed25519Signer {
    Ed25519Signer::from_seed("audit.example.com/1", &[1; 32]).unwrap()
}

fn master() -> MasterKey {
    MasterKey::new("audit.example.com/mac", &[3; 32]).unwrap()
}

fn sealer() -> Sealer {
    let policy = CheckpointPolicy::default()
        .with_signatures(10, Duration::from_secs(10))
        .with_seals(3, Duration::from_secs(1));
    Sealer::new(Notary::new(signer(), policy)).with_evolving(|tenant| Some(master().begin(tenant)))
}

fn record<S: AuditStore>(log: &AuditLog<S>, count: usize) {
    let events = (0..count).map(|_| AuditEvent::new("deal.updated")).collect();
    run(log.record_all(&scope(), events)).unwrap();
}

fn checkpoints<S: AuditStore>(log: &AuditLog<S>) -> Vec<SealedCheckpoint> {
    let notes = run(log.store().notes(&scope(), NoteKind::Checkpoint)).unwrap();
    notes
        .iter()
        .map(|note| SealedCheckpoint::parse(std::str::from_utf8(&note.bytes).unwrap()).unwrap())
        .collect()
}

/// The stored checkpoints follow each other, their seals hold, and their roots are those of the log.
fn check<S: AuditStore>(log: &AuditLog<S>) -> Vec<SealedCheckpoint> {
    let mut tree = Tree::new();
    for record in run(log.store().records(&scope(), 0, 10_000)).unwrap() {
        tree.append(leaf_hash(&record.leaf(scope().tenant()).unwrap()));
    }
    let ring = KeyRing::new().accept(signer().verifying_key().clone()).accept_evolving(master());
    let mut chain = CheckpointChain::new(scope().tenant().clone(), &ring);
    let checkpoints = checkpoints(log);
    for sealed in &checkpoints {
        chain.push(sealed).unwrap();
        let root: Hash = tree.root_at(sealed.checkpoint().size()).unwrap();
        assert_eq!(sealed.checkpoint().root(), root);
    }
    checkpoints
}

#[test]
fn a_log_is_sealed_as_it_grows_and_signed_where_it_rests() {
    let log = AuditLog::new(MemoryStore::new(), AuditConfig::default());
    let (sealer, start) = (sealer(), now());
    let at = |millis: i64| start + TimeDelta::milliseconds(millis);
    let once = |millis: i64| run(sealer.run_once(&log, &scope(), at(millis))).unwrap();
    assert_eq!(once(0), None);
    record(&log, 2);
    assert_eq!(once(100), None);
    record(&log, 1);
    let sealed = once(200).unwrap();
    assert_eq!((sealed.checkpoint().size(), sealed.seals().len()), (3, 1));
    assert_eq!(once(300), None);
    // Ten seconds later it is signed, though nothing happened: on the checkpoint that is there.
    let signed = once(10_300).unwrap();
    assert_eq!((signed.checkpoint(), signed.seals().len()), (sealed.checkpoint(), 2));
    assert_eq!(once(99_000), None);
    record(&log, 10);
    let signed = once(99_100).unwrap();
    assert_eq!((signed.checkpoint().size(), signed.seals().len()), (13, 1));
    assert_eq!(signed.seals()[0].key(), signer().verifying_key().id());
    assert_eq!(check(&log).len(), 2);
}

/// Each step is done by a process that knows only what is stored, and dies after it.
#[test]
fn a_chain_goes_on_in_a_new_process() {
    let folder = tempfile::tempdir().unwrap();
    for step in 0..40_i64 {
        let log = AuditLog::new(SegmentStore::open(folder.path()).unwrap(), AuditConfig::default());
        record(&log, 1 + usize::try_from(step % 5).unwrap());
        run(sealer().run_once(&log, &scope(), now() + TimeDelta::seconds(step))).unwrap();
        check(&log);
    }
    let log = AuditLog::new(SegmentStore::open(folder.path()).unwrap(), AuditConfig::default());
    let made = check(&log);
    assert!(made.len() > 20, "{}", made.len());
    let signed =
        made.iter().filter(|one| one.seals().iter().any(|seal| seal.key() == signer().verifying_key().id()));
    assert!((3..15).contains(&signed.count()));
}

#[test]
fn many_sealers_make_one_chain() {
    let log = Arc::new(AuditLog::new(MemoryStore::new(), AuditConfig::default()));
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let sealer = sealer();
                for step in 0..100 {
                    record(&log, 1);
                    run(sealer.run_once(&log, &scope(), now() + TimeDelta::milliseconds(step * 100)))
                        .unwrap();
                }
            });
        }
    });
    assert!(check(&log).len() > 50);
}

/// A process died after it stored the state of its key, and before the checkpoint: the generation is skipped.
#[test]
fn a_state_without_its_checkpoint_leaves_a_gap_and_no_fault() {
    let log = AuditLog::new(MemoryStore::new(), AuditConfig::default());
    record(&log, 3);
    run(sealer().run_once(&log, &scope(), now())).unwrap().unwrap();
    let mut key = master().begin(scope().tenant());
    key.seal(b"one");
    key.seal(b"two");
    let state = Note::new(key.id().name(), key.to_bytes().to_vec());
    run(log.store().put_note(&scope(), NoteKind::Seal, &state)).unwrap();
    record(&log, 3);
    run(sealer().run_once(&log, &scope(), now())).unwrap().unwrap();
    assert_eq!(check(&log).len(), 2);
}

#[test]
fn a_log_that_lost_events_is_not_sealed() {
    let log = AuditLog::new(MemoryStore::new(), AuditConfig::default());
    record(&log, 12);
    run(sealer().run_once(&log, &scope(), now())).unwrap().unwrap();
    let shorter = AuditLog::new(MemoryStore::new(), AuditConfig::default());
    record(&shorter, 11);
    for note in run(log.store().notes(&scope(), NoteKind::Checkpoint)).unwrap() {
        run(shorter.store().put_note(&scope(), NoteKind::Checkpoint, &note)).unwrap();
    }
    let error = run(sealer().run_once(&shorter, &scope(), now())).unwrap_err();
    let guardian_audit::Error::Store(error) = error else { panic!("{error}") };
    assert_eq!(error.kind(), guardian_core::StoreErrorKind::Corrupt);
}
