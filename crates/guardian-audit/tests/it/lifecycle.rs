//! Retention, legal holds, and people who are forgotten.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guardian_audit::keys::{FileKeys, KeyStore, MemoryKeys, SubjectKey};
use guardian_audit::merkle::leaf_hash;
use guardian_audit::store::{AuditStore, Maintenance, MemoryStore, Note, NoteKind, SegmentStore};
use guardian_audit::{
    AuditConfig, AuditEvent, AuditLog, Dimension, Error, EventActor, Origin, PersonalData, Query, ReadAudit,
    Retention, Subject, Target,
};
use guardian_core::{Clock, ManualClock, PageRequest, Scope, SeededIds, StoreError, TenantId};
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(86_400);

fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn scope(tenant: &str) -> Scope {
    Scope::system(TenantId::new(tenant).unwrap())
}

fn config(clock: &Arc<ManualClock>) -> AuditConfig {
    AuditConfig::default()
        .with_clock(Arc::clone(clock))
        .with_ids(SeededIds::new(1))
        .with_read_audit(ReadAudit::Exports)
}

fn found<S: AuditStore>(log: &AuditLog<S>, query: &str) -> usize {
    let page = PageRequest::first(1_000).unwrap();
    now(log.search(&scope("acme"), &query.parse().unwrap(), &page)).unwrap().items.len()
}

#[test]
fn the_first_rule_that_finds_an_event_decides_and_holds_stop_it() {
    let clock = Arc::new(ManualClock::new());
    let log = AuditLog::new(MemoryStore::new(), config(&clock));
    let acme = scope("acme");
    for action in ["role.granted", "contact.viewed", "deal.updated", "deal.updated"] {
        now(log.record(&acme, AuditEvent::new(action).with_message("spring"))).unwrap();
    }
    now(log.hold(&acme, "case 7", "sequence:2".parse().unwrap(), "a dispute")).unwrap();
    let policy = Retention::default()
        .with_rule("risk:>=high".parse().unwrap(), 1_000 * DAY)
        .with_rule("action:contact.*".parse().unwrap(), 30 * DAY)
        .with_rule(Query::text("spring"), 100 * DAY);

    clock.advance(31 * DAY);
    let head = now(log.head(&acme)).unwrap();
    assert_eq!(now(log.retain(&acme, &policy, 100)).unwrap().dropped, 1);
    assert_eq!((found(&log, "spring"), found(&log, "contact.viewed")), (3, 0));

    clock.advance(70 * DAY);
    let step = now(log.retain(&acme, &policy, 1)).unwrap();
    assert_eq!((step.dropped, step.more), (1, true));
    assert_eq!(now(log.retain(&acme, &policy, 100)).unwrap().dropped, 0);
    assert_eq!(found(&log, "spring"), 2, "the risky one, and the one that is held");

    assert!(now(log.lift_hold(&acme, "case 7")).unwrap());
    assert!(!now(log.lift_hold(&acme, "case 7")).unwrap());
    assert_eq!(now(log.retain(&acme, &policy, 100)).unwrap().dropped, 1);
    // The log knows of all this, and the leaves are as they were.
    assert_eq!(found(&log, "action:audit_log.*"), 5);
    let leaves = now(log.store().leaves(&acme, 0, 5)).unwrap();
    assert_eq!(leaves.len(), 5);
    assert!(now(log.head(&acme)).unwrap().size > head.size);
}

fn about_ann() -> Vec<AuditEvent> {
    let ann =
        || EventActor::user("u_ann").with_name("Annegret Zwiebelmeier").with_email("annegret@secret.example");
    let origin = || Origin::address("203.0.113.77".parse().unwrap()).with_user_agent("Annes Browser");
    vec![
        AuditEvent::new("deal.updated")
            .with_actor(ann())
            .with_origin(origin())
            .with_message("Call Zwiebelmeier back"),
        AuditEvent::new("contact.viewed")
            .with_actor(EventActor::user("u_ben").with_name("Ben Kurz"))
            .with_target(Target::new("user", "u_ann").with_name("Annegret Zwiebelmeier"))
            .with_message("Zwiebelmeier viewed"),
    ]
}

/// Every byte of every file below a folder.
fn holds(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        let bytes = if path.is_dir() { return holds(&path, text) } else { fs::read(&path).unwrap() };
        bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
    })
}

#[test]
fn a_person_who_is_erased_leaves_no_byte_and_every_proof_holds() {
    let (clock, folder) = (Arc::new(ManualClock::new()), tempfile::tempdir().unwrap());
    let acme = scope("acme");
    let keys = Arc::new(FileKeys::open(folder.path().join("keys")).unwrap());
    let config = config(&clock).with_personal_data(PersonalData::default(), Arc::clone(&keys));
    let log = AuditLog::new(SegmentStore::open(folder.path().join("log")).unwrap(), config.clone());
    now(log.record_all(&acme, about_ann())).unwrap();

    // While the key is there, everything is: read, and found by what it equals.
    let ann = Subject::new("user", "u_ann");
    let page = now(log.subject_events(&acme, &ann, &PageRequest::first(9).unwrap())).unwrap();
    let (by_ann, of_ann) = (&page.items[1].event, &page.items[0].event);
    assert_eq!(by_ann.actor.as_ref().unwrap().name.as_deref(), Some("Annegret Zwiebelmeier"));
    assert_eq!(by_ann.message.as_deref(), Some("Call Zwiebelmeier back"));
    assert_eq!(of_ann.target.as_ref().unwrap().name.as_deref(), Some("Annegret Zwiebelmeier"));
    assert_eq!(found(&log, "email:ANNEGRET@secret.example"), 1);
    assert_eq!(found(&log, "ip:203.0.113.77"), 1);
    assert_eq!(found(&log, "actor:\"annegret zwiebelmeier\""), 1);
    assert_eq!(now(log.facets(&acme, &Query::All, Dimension::ActorName, 9)).unwrap(), []);
    let leaves = now(log.store().leaves(&acme, 0, 10)).unwrap();

    let erased = now(log.erase_subject(&acme, &ann)).unwrap();
    assert!(erased.key_destroyed);
    log.store().seal().unwrap();
    while log.store().maintain().unwrap() != Maintenance::Idle {}
    drop(log);
    for text in ["zwiebel", "annegret", "secret.example", "203.0.113.77", "annes browser"] {
        assert!(!holds(folder.path(), text), "{text}");
    }

    let log = AuditLog::new(SegmentStore::open(folder.path().join("log")).unwrap(), config);
    let page = now(log.subject_events(&acme, &ann, &PageRequest::first(9).unwrap())).unwrap();
    let gone = page.items.iter().find(|event| event.event.action == "deal.updated").unwrap();
    assert_eq!((gone.event.message.as_deref(), gone.event.origin.address), (None, None));
    assert_eq!(gone.sealed.len(), 1, "what cannot be opened stays sealed");
    let viewed = page.items.iter().find(|event| event.event.action == "contact.viewed").unwrap();
    assert_eq!(viewed.event.actor.as_ref().unwrap().name.as_deref(), Some("Ben Kurz"), "others stay");
    for (record, leaf) in now(log.store().records(&acme, 0, 2)).unwrap().iter().zip(leaves) {
        assert_eq!(leaf_hash(&record.leaf(acme.tenant()).unwrap()), leaf.into());
    }
    assert!(!now(log.erase_subject(&acme, &ann)).unwrap().key_destroyed);
}

#[test]
fn a_held_person_is_not_erased() {
    let clock = Arc::new(ManualClock::new());
    let config = config(&clock).with_personal_data(PersonalData::default(), MemoryKeys::new());
    let log = AuditLog::new(MemoryStore::new(), config);
    let acme = scope("acme");
    now(log.record_all(&acme, about_ann())).unwrap();
    now(log.hold(&acme, "case 9", "action:deal.*".parse().unwrap(), "a dispute")).unwrap();
    let error = now(log.erase_subject(&acme, &Subject::new("user", "u_ann"))).unwrap_err();
    assert!(matches!(error, Error::Held { .. }));
    assert_eq!(error.to_string(), "`user:u_ann` cannot be erased: the hold `case 9` keeps their events");
    assert!(now(log.erase_subject(&acme, &Subject::new("user", "u_ben"))).is_ok());
    let plain = AuditLog::new(MemoryStore::new(), AuditConfig::default().with_clock(clock.clone()));
    assert!(now(plain.erase_subject(&acme, &Subject::new("user", "u_ann"))).is_err());
}

#[test]
fn the_sealed_fields_of_one_event_do_not_open_in_another() {
    let clock = Arc::new(ManualClock::new());
    let log = AuditLog::new(
        MemoryStore::new(),
        config(&clock).with_personal_data(PersonalData::default(), MemoryKeys::new()),
    );
    let (first, _) = now(log.prepare(&scope("acme"), about_ann().remove(0))).unwrap();
    let (second, _) = now(log.prepare(&scope("acme"), about_ann().remove(0))).unwrap();
    assert_ne!(first.body, second.body, "the same fields are sealed differently");
    assert_eq!(first.blind, second.blind, "and found alike");
}

/// The laws of a store of keys.
fn keys_obey(keys: &dyn KeyStore) {
    let (ours, theirs) = (scope("acme"), scope("globex"));
    let ann = now(keys.key_of(&ours, "user:ann")).unwrap();
    assert_eq!(now(keys.key_of(&ours, "user:ann")).unwrap().id, ann.id);
    assert_ne!(now(keys.key_of(&theirs, "user:ann")).unwrap().secret, ann.secret);
    assert_eq!(now(keys.keys(&ours, &[ann.id])).unwrap()[&ann.id].secret, ann.secret);
    assert!(now(keys.keys(&theirs, &[ann.id])).unwrap().is_empty());
    assert!(!now(keys.destroy(&theirs, "user:ben")).unwrap());
    assert!(now(keys.destroy(&ours, "user:ann")).unwrap());
    assert!(now(keys.keys(&ours, &[ann.id])).unwrap().is_empty());
    assert_ne!(now(keys.key_of(&ours, "user:ann")).unwrap().id, ann.id);
    assert!(!format!("{ann:?}").contains(&ann.secret[0].to_string().repeat(2)));
}

#[test]
fn stores_of_keys_obey_their_laws() {
    keys_obey(&MemoryKeys::new());
    let folder = tempfile::tempdir().unwrap();
    keys_obey(&FileKeys::open(folder.path()).unwrap());
    // Opened again, the keys are there and the destroyed one is not.
    let keys = FileKeys::open(folder.path()).unwrap();
    assert!(FileKeys::open(folder.path()).is_err(), "one process at a time");
    assert!(now(keys.destroy(&scope("acme"), "user:ann")).unwrap());
    assert!(now(keys.destroy(&scope("globex"), "user:ann")).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only the lock is left");
}

#[test]
fn a_query_about_a_person_is_recorded_without_them() {
    let clock = Arc::new(ManualClock::new());
    let config = config(&clock)
        .with_personal_data(PersonalData::default(), MemoryKeys::new())
        .with_read_audit(ReadAudit::Everything);
    let log = AuditLog::new(MemoryStore::new(), config);
    let acme = scope("acme");
    let query = "zwiebel* email:ann@secret.example ip:203.0.113.7 actor:\"Ann Zwiebel\" actor_id:u_ann -meta.note:zwiebel";
    assert_eq!(found(&log, query), 0);
    let read = now(log.get(&acme, 0)).unwrap().unwrap().event;
    assert_eq!(
        read.metadata["query"],
        "sealed email:sealed ip:sealed actor:sealed actor_id:u_ann -meta.note:sealed"
    );
    now(log.hold(&acme, "case", "email:ann@secret.example".parse().unwrap(), "why")).unwrap();
    // In between stands that somebody read the event above.
    let placed = now(log.get(&acme, 2)).unwrap().unwrap().event;
    assert_eq!(placed.metadata["query"], "email:sealed");
}

#[test]
fn a_hold_that_could_not_be_read_again_is_refused() {
    let log = AuditLog::new(MemoryStore::new(), config(&Arc::new(ManualClock::new())));
    let acme = scope("acme");
    let many = (0..300).map(|user| Query::equals(Dimension::ActorId, format!("u_{user}")));
    let many = many.reduce(Query::or).unwrap();
    let error = now(log.hold(&acme, "many", many, "why")).unwrap_err();
    assert!(error.to_string().contains("it cannot be written as a text"), "{error}");
    // What finds nothing does not read back as what finds everything.
    for nothing in [Query::Or(Vec::new()), Query::All.negate(), Query::text("!")] {
        now(log.hold(&acme, "nothing", nothing, "why")).unwrap();
        let hold = now(log.holds(&acme)).unwrap().remove(0);
        assert_ne!(hold.query, Query::All);
        assert_eq!(found(&log, &hold.query.to_string()), 0);
    }
}

#[test]
fn a_key_whose_destruction_was_cut_short_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let keys = FileKeys::open(folder.path()).unwrap();
    let key = now(keys.key_of(&scope("acme"), "user:ann")).unwrap();
    drop(keys);
    let file = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with(".key"))
        .unwrap();
    fs::write(&file, [0; 48]).unwrap();
    let keys = FileKeys::open(folder.path()).unwrap();
    assert!(!file.exists());
    assert_ne!(now(keys.key_of(&scope("acme"), "user:ann")).unwrap().id, key.id);
}

/// Keys that have something done in the moment in which one of them is destroyed.
struct Meanwhile<F> {
    keys: MemoryKeys,
    work: F,
}

impl<F> std::fmt::Debug for Meanwhile<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

#[async_trait::async_trait]
impl<F: Fn() + Send + Sync + 'static> KeyStore for Meanwhile<F> {
    async fn key_of(&self, scope: &Scope, subject: &str) -> Result<SubjectKey, StoreError> {
        self.keys.key_of(scope, subject).await
    }

    async fn keys(&self, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, SubjectKey>, StoreError> {
        self.keys.keys(scope, ids).await
    }

    async fn destroy(&self, scope: &Scope, subject: &str) -> Result<bool, StoreError> {
        (self.work)();
        self.keys.destroy(scope, subject).await
    }
}

#[test]
fn a_hold_that_comes_too_late_is_told() {
    let (clock, store) = (Arc::new(ManualClock::new()), Arc::new(MemoryStore::new()));
    let config = config(&clock);
    let other = AuditLog::new(Arc::clone(&store), config.clone());
    let told = Arc::new(Mutex::new(Vec::new()));
    let placed = {
        let told = Arc::clone(&told);
        move || {
            for (name, query) in [("case 1", "action:deal.*"), ("case 2", "action:nothing.*")] {
                // A runtime of its own: the thread of the erasure has one.
                let result = std::thread::scope(|threads| {
                    let place = || now(other.hold(&scope("acme"), name, query.parse().unwrap(), "a dispute"));
                    threads.spawn(place).join().unwrap()
                });
                told.lock().unwrap().push(result);
            }
        }
    };
    let keys = Meanwhile { keys: MemoryKeys::new(), work: placed };
    let log = AuditLog::new(store, config.with_personal_data(PersonalData::default(), keys));
    let (acme, ann) = (scope("acme"), Subject::new("user", "u_ann"));
    now(log.record_all(&acme, about_ann())).unwrap();
    assert!(now(log.erase_subject(&acme, &ann)).unwrap().key_destroyed);
    let told = told.lock().unwrap();
    assert!(matches!(&told[0], Err(Error::Erasing { subject, hold }) if *subject == ann && hold == "case 1"));
    assert!(told[1].is_ok());
    assert_eq!(now(log.holds(&acme)).unwrap().len(), 2);
    // It is over: the next is placed in peace, and stops the next erasure.
    now(log.hold(&acme, "case 1", "action:deal.*".parse().unwrap(), "a dispute")).unwrap();
    assert!(matches!(now(log.erase_subject(&acme, &ann)), Err(Error::Held { .. })));
    assert_eq!(now(log.store().notes(&acme, NoteKind::Erasure)).unwrap(), []);
}

/// Who began to erase died: after a while nobody waits for it.
#[test]
fn an_erasure_that_was_given_up_stops_no_hold_for_ever() {
    let clock = Arc::new(ManualClock::new());
    let log = AuditLog::new(MemoryStore::new(), config(&clock));
    let acme = scope("acme");
    now(log.record_all(&acme, about_ann())).unwrap();
    let since = clock.now().to_rfc3339();
    let intent = format!(r#"{{"kind":"user","id":"u_ann","since":"{since}"}}"#);
    now(log.store().put_note(&acme, NoteKind::Erasure, &Note::new("x", intent.into_bytes()))).unwrap();
    let hold = || now(log.hold(&acme, "case", "action:deal.*".parse().unwrap(), "a dispute"));
    assert!(matches!(hold(), Err(Error::Erasing { .. })));
    clock.advance(Duration::from_secs(601));
    assert!(hold().is_ok());
}

#[cfg(unix)]
#[test]
fn files_of_keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let files = || {
        let all = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|file| file.extension().is_some_and(|end| end == "key")).collect::<Vec<_>>()
    };
    {
        let keys = FileKeys::open(&path).unwrap();
        now(keys.key_of(&scope("acme"), "user:ann")).unwrap();
    }
    assert_eq!((mode(&path), mode(&files()[0])), (0o700, 0o600));
    fs::set_permissions(&files()[0], fs::Permissions::from_mode(0o644)).unwrap();
    let keys = FileKeys::open(&path).unwrap();
    assert_eq!(mode(&files()[0]), 0o600);
    now(keys.destroy(&scope("acme"), "user:ann")).unwrap();
    assert_eq!(files().len(), 0);
}
