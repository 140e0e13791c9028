//! Every way to tamper with a log is found, and the first bad event named: over ten thousand generated cases.

mod forge;

use std::collections::BTreeMap;

use guardian_audit::merkle::Hash;
use guardian_audit::verify::{FaultKind, Report};

use forge::{Forged, Keys, Log, Random};

/// What must be found: the bad event, and whether it must be named exactly.
struct Expected {
    first: u64,
    exact: bool,
    kinds: fn(&FaultKind) -> bool,
}

fn exactly(first: usize, kinds: fn(&FaultKind) -> bool) -> Expected {
    Expected { first: first as u64, exact: true, kinds }
}

fn within(first: usize, kinds: fn(&FaultKind) -> bool) -> Expected {
    Expected { first: first as u64, exact: false, kinds }
}

/// A way to tamper: changes the log and says what must be found.
type Tamper = fn(&mut Forged, &mut Random, &Keys) -> Expected;

const WAYS: [(&str, Tamper); 19] = [
    ("edit a body", |log, random, _| {
        let at = log.with_body(random);
        log.edit(at, random, false);
        exactly(at, |kind| *kind == FaultKind::Edited)
    }),
    ("edit a body and its hash", |log, random, _| {
        let at = log.with_body(random);
        log.edit(at, random, true);
        within(at, |kind| *kind == FaultKind::Rewritten)
    }),
    ("edit a leaf hash", |log, random, _| {
        let at = log.with_body(random);
        log.spoil_hash(at, random);
        exactly(at, |kind| *kind == FaultKind::Edited)
    }),
    ("edit the hash of a dropped event", |log, random, _| {
        let at = log.sealed(random);
        log.drop_body(at);
        log.spoil_hash(at, random);
        within(at, |kind| *kind == FaultKind::Rewritten)
    }),
    ("edit an event of which somebody has a receipt", |log, random, _| {
        let at = log.with_body(random);
        log.keep_receipt(at);
        log.edit(at, random, true);
        exactly(at, |kind| *kind == FaultKind::Edited)
    }),
    ("delete an event", |log, random, _| {
        let at = log.sealed(random);
        log.events.remove(at);
        exactly(at, |kind| matches!(kind, FaultKind::Deleted | FaultKind::TailCut))
    }),
    ("delete several events", |log, random, _| {
        let at = log.sealed(random);
        let end = at + 1 + random.below(log.events.len() - at);
        log.events.drain(at..end);
        within(at, |kind| matches!(kind, FaultKind::Deleted | FaultKind::TailCut))
    }),
    ("delete an event and close the gap", |log, random, _| {
        let at = log.sealed(random);
        log.events.remove(at);
        log.renumber(at);
        within(at, |kind| matches!(kind, FaultKind::Rewritten | FaultKind::TailCut))
    }),
    ("empty an event's place", |log, random, _| {
        let at = log.sealed(random);
        log.events[at].record = None;
        log.events[at].hash = None;
        exactly(at, |kind| *kind == FaultKind::Deleted)
    }),
    ("put a copy in", |log, random, _| {
        let (from, at) = (log.with_body(random), log.sealed(random));
        let copy = log.events[from].clone();
        log.events.insert(at, copy);
        // Of two equal neighbours the second is the one too many.
        exactly(at + usize::from(from == at), |kind| {
            matches!(kind, FaultKind::Inserted | FaultKind::Reordered | FaultKind::Deleted)
        })
    }),
    ("put an event in and number the rest anew", |log, random, _| {
        let (from, at) = (log.with_body(random), log.sealed(random));
        let copy = log.events[from].clone();
        log.events.insert(at, copy);
        log.renumber(at);
        within(at + usize::from(from == at), |kind| *kind == FaultKind::Rewritten)
    }),
    ("swap two events", |log, random, _| {
        let (a, b) = log.two(random);
        log.events.swap(a, b);
        within(a.min(b), |kind| matches!(kind, FaultKind::Reordered))
    }),
    ("swap two events and number them anew", |log, random, _| {
        let (a, b) = log.two(random);
        log.events.swap(a, b);
        log.renumber(a.min(b));
        within(a.min(b), |kind| *kind == FaultKind::Rewritten)
    }),
    ("cut the tail", |log, random, _| {
        let at = log.sealed(random);
        log.events.truncate(at);
        within(at, |kind| *kind == FaultKind::TailCut)
    }),
    ("cut the tail and its checkpoints", |log, random, _| {
        let at = log.sealed(random);
        log.anchor_last();
        log.events.truncate(at);
        log.chain.retain(|sealed| sealed.checkpoint().size() <= at as u64);
        within(at, |kind| *kind == FaultKind::RolledBack)
    }),
    ("restore an old copy and write on", |log, random, keys| {
        let at = log.sealed(random);
        log.anchor_last();
        log.write_on(at, random, keys);
        within(at, |kind| *kind == FaultKind::RolledBack)
    }),
    ("bring in another tenant's event", |log, random, _| {
        let at = log.sealed(random);
        log.swap_tenant(at);
        exactly(at, |kind| matches!(kind, FaultKind::ForeignTenant { .. }))
    }),
    ("forge a checkpoint", |log, random, keys| {
        let at = random.below(log.chain.len());
        let first = log.before(at);
        log.forge_checkpoint(at, random, keys);
        within(first, |kind| matches!(kind, FaultKind::Checkpoint(_)))
    }),
    ("take a checkpoint out of the chain", |log, random, _| {
        let at = random.below(log.chain.len());
        log.anchor_last();
        let first = log.before(at);
        log.chain.remove(at);
        within(first, |kind| matches!(kind, FaultKind::Checkpoint(_) | FaultKind::CheckpointMissing))
    }),
];

#[test]
fn ten_thousand_cases_are_found_and_the_first_bad_event_is_named() {
    const LOGS: usize = 44;
    const EACH: usize = 12;
    let keys = Keys::new();
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..LOGS as u64 {
        let mut random = Random::new(seed);
        let log = Log::generate(&mut random, &keys);
        for (name, tamper) in WAYS {
            for case in 0..EACH {
                let mut forged = log.forge(&mut random);
                let clean = forged.verify(&keys);
                assert!(clean.is_intact(), "an honest log: {:?}", clean.faults());
                assert_eq!(clean.proven, log.sealed_size());
                let expected = tamper(&mut forged, &mut random, &keys);
                let report = forged.verify(&keys);
                judge(&format!("log {seed}, {name}, case {case}"), &report, &expected);
                *found.entry(name).or_default() += 1;
            }
        }
    }
    let cases: usize = found.values().sum();
    assert!(found.len() == WAYS.len() && cases >= 10_000, "{cases} cases: {found:?}");
}

fn judge(what: &str, report: &Report, expected: &Expected) {
    let Some(fault) = report.first_fault() else {
        panic!("{what}: nothing was found, expected {}", expected.first);
    };
    let named = (fault.first..fault.end.max(fault.first + 1)).contains(&expected.first);
    assert!(named, "{what}: event {} is bad, found {:?}", expected.first, report.faults());
    assert!(
        !expected.exact || fault.first == expected.first,
        "{what}: not exact: {fault:?}, {}",
        expected.first
    );
    // Of several faults that begin alike, one is of the kind.
    let mut alike = report.faults().iter().filter(|other| other.first <= expected.first);
    assert!(alike.any(|fault| (expected.kinds)(&fault.kind)), "{what}: {:?}", report.faults());
    // What is proven is not more than what is right.
    let ranged = matches!(fault.kind, FaultKind::Rewritten | FaultKind::RolledBack);
    assert!(!ranged || report.proven <= expected.first.max(fault.end), "{what}");
}

#[test]
fn a_log_without_checkpoints_proves_nothing() {
    let keys = Keys::new();
    let mut random = Random::new(1);
    let mut forged = Log::generate(&mut random, &keys).forge(&mut random);
    forged.forget_checkpoints();
    let report = forged.verify(&keys);
    assert!(report.is_intact() && report.proven == 0 && report.unsealed == report.events);
}

#[test]
fn an_auditor_without_the_evolving_key_trusts_what_is_signed() {
    let keys = Keys::new();
    let mut random = Random::new(2);
    let forged = Log::generate(&mut random, &keys).forge(&mut random);
    let report = forged.verify_with(&keys.public_ring());
    assert!(report.is_intact(), "{:?}", report.faults());
    assert!(report.unjudged_checkpoints > 0 && report.sealed_checkpoints == 0);
    assert!(report.proven > 0);
}

#[test]
fn an_empty_log_that_should_be_empty_is_intact() {
    let keys = Keys::new();
    let mut random = Random::new(3);
    let mut forged = Log::generate(&mut random, &keys).forge(&mut random);
    forged.events.clear();
    let report = forged.verify(&keys);
    assert_eq!(report.first_fault().map(|fault| fault.first), Some(0));
    forged.forget_checkpoints();
    assert!(forged.verify(&keys).is_intact());
}

#[test]
fn memory_of_faults_is_bounded() {
    let keys = Keys::new();
    let mut random = Random::new(4);
    let mut forged = Log::generate(&mut random, &keys).forge(&mut random);
    let event = forged.events[0].clone();
    forged.events.extend(std::iter::repeat_n(event, 10_000));
    forged.events.iter_mut().for_each(|event| event.hash = Some(Hash::ZERO));
    let report = forged.verify(&keys);
    assert!(report.fault_count() > 10_000 && report.faults().len() == Report::MAX_FAULTS);
}

#[test]
fn the_head_misses_what_no_checkpoint_covers() {
    let keys = Keys::new();
    let mut random = Random::new(5);
    let mut forged = Log::generate(&mut random, &keys).forge(&mut random);
    forged.forget_checkpoints();
    let whole = forged.verify(&keys);
    let head = (whole.events, whole.root);
    assert!(forged.verify_with_head(&keys, head).is_intact());
    let events = forged.events.clone();
    let told = |report: &Report| {
        let faults: Vec<_> = report.faults().iter().map(|fault| (fault.kind.clone(), fault.first)).collect();
        faults
    };

    forged.events.truncate(events.len() - 2);
    assert!(forged.verify(&keys).is_intact(), "nothing else knows of it");
    let cut = forged.verify_with_head(&keys, head);
    assert_eq!(told(&cut), [(FaultKind::TailCut, head.0 - 2)]);
    forged.events.clear();
    assert_eq!(told(&forged.verify_with_head(&keys, head)), [(FaultKind::TailCut, 0)]);

    // One fault for one deleted event, and one for an event that was written anew with its hash.
    forged.events.clone_from(&events);
    forged.events.remove(1);
    assert_eq!(told(&forged.verify_with_head(&keys, head)), [(FaultKind::Deleted, 1)]);
    forged.events.clone_from(&events);
    let at = forged.events.iter().rposition(|event| event.record.is_some()).unwrap();
    forged.edit(at, &mut random, true);
    assert_eq!(told(&forged.verify_with_head(&keys, head)), [(FaultKind::Rewritten, 0)]);
}
