//! Phrases of words that are so frequent that the file knows which of them follow each other.

use guardian_audit::store::{AuditStore, Batch, Count, Draft, Drop, Maintenance, MemoryStore, SegmentStore};
use guardian_audit::testkit::Sample;
use guardian_audit::{AuditEvent, Plan};
use guardian_core::{Scope, TenantId};

use super::now;

const WORDS: [&str; 5] = ["owner", "about", "renewal", "of", "contract"];

/// Messages in which `owner` follows `of` nowhere, and others as chance wills.
fn drafts(from: u128, count: u128) -> Vec<Draft> {
    let mut random = 0x2545_f491_4f6c_dd1d_u64 ^ u64::try_from(from).unwrap();
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % u64::try_from(below).unwrap()).unwrap()
    };
    let draft = |id| {
        let mut words: Vec<&str> = Vec::new();
        for _ in 0..2 + next(5) {
            let word = WORDS[next(WORDS.len())];
            match (words.last(), word) {
                (Some(&"of"), "owner") => {}
                _ => words.push(word),
            }
        }
        let event = AuditEvent::new("a.b")
            .with_id(uuid::Uuid::from_u128(id))
            .with_occurred(Sample::start())
            .with_message(words.join(" "));
        Draft::new(&event, &Default::default(), &[], &[]).unwrap()
    };
    (from..from + count).map(draft).collect()
}

#[test]
fn phrases_of_frequent_words_are_found_as_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (store, memory) = (SegmentStore::open(folder.path()).unwrap(), MemoryStore::new());
    let scope = Scope::system(TenantId::new("acme").unwrap());
    let same = |what: &str| {
        let pairs = WORDS.iter().flat_map(|one| WORDS.map(|two| format!("\"{one} {two}\"")));
        let three = WORDS.iter().flat_map(|one| WORDS.map(|two| format!("\"{one} {two} renewal\"")));
        let open = WORDS.map(|one| format!("\"of {one} ow\"*"));
        let mut nowhere = 0;
        for text in pairs.chain(three).chain(open) {
            let Ok(query) = text.parse() else { continue };
            let plan = Plan::compile(&query, &|_, _| None);
            let places = |store: &dyn AuditStore| {
                let found = now(store.search(&scope, &plan, None, 10_000)).unwrap();
                found.records.iter().map(|record| record.sequence).collect::<Vec<_>>()
            };
            let found = places(&store);
            assert_eq!(found, places(&memory), "{what}: {text}");
            assert_eq!(now(store.count(&scope, &plan, None)).unwrap(), Count::Exact(found.len() as u64));
            nowhere += usize::from(found.is_empty());
        }
        assert!(nowhere >= 2, "{what}: `of owner` and `of owner renewal` are nowhere");
    };
    for round in 0..3 {
        for drafts in [drafts(round * 10_000, 2_500), drafts(round * 10_000 + 5_000, 900)] {
            now(store.append(&[Batch::new(&scope, &drafts)], Sample::start())).unwrap();
            now(memory.append(&[Batch::new(&scope, &drafts)], Sample::start())).unwrap();
            store.seal().unwrap();
        }
        same("sealed");
    }
    while store.maintain().unwrap() != Maintenance::Idle {}
    same("merged");
    let later = Sample::start() + chrono::TimeDelta::days(1);
    for store in [&store as &dyn AuditStore, &memory] {
        now(store.drop_bodies(&scope, &Drop::new(&Plan::All, later, 4_000))).unwrap();
    }
    same("dropped");
    while store.maintain().unwrap() != Maintenance::Idle {}
    same("rewritten");
    drop(store);
    let store = SegmentStore::open(folder.path()).unwrap();
    let plan = Plan::compile(&"\"of owner\"".parse().unwrap(), &|_, _| None);
    assert!(now(store.search(&scope, &plan, None, 10)).unwrap().records.is_empty());
}
