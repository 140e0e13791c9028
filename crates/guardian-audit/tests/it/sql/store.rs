//! What is special about databases: plans of every shape, strange texts, rights, what dropping leaves, and outages.

use std::time::Duration;

use chrono::TimeDelta;
use guardian_audit::keys::SqlKeys;
use guardian_audit::store::{AuditStore, Batch, Draft, Drop, MemoryStore, SqlStore};
use guardian_audit::testkit::Sample;
use guardian_audit::{
    Assessment, AuditConfig, AuditEvent, AuditLog, EventActor, Origin, PersonalData, Plan, Query, ReadAudit,
    Subject, Target,
};
use guardian_core::{PageRequest, StoreErrorKind};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, DatabaseConfig, Migration, Migrations, TenantTx, params};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{fresh, runtime, scope};

async fn store(kind: Kind) -> (Fresh, SqlStore) {
    let fresh = fresh(kind, &[&SqlStore::MIGRATIONS, &SqlKeys::MIGRATIONS]).await;
    let store = SqlStore::new(fresh.database());
    (fresh, store)
}

async fn number(tx: &mut TenantTx, sql: &'static str) -> i64 {
    tx.fetch_one(sql, &[]).await.unwrap().get(0_usize).unwrap()
}

/// Plans that no query of people has.
fn plans() -> impl Strategy<Value = Plan> {
    let words = ["wannual", "wrenewal", "woffer", "wof", "wacme", "wcreme", "w契", "wnone"];
    let values = ["adeal.updated", "jdenied", "tlow", "pde", "mplan=team", "a", "o4", "zz", "w"];
    let start = Sample::start().timestamp_micros();
    let day = 86_400_000_000_i64;
    let times = move || (-1_i64..7, 0_i64..4).prop_map(move |(from, days)| (from, from + days));
    let of = |texts: &'static [&'static str]| prop::sample::select(texts).prop_map(str::to_owned);
    let words: &'static [&'static str] = Vec::from(words).leak();
    let values: &'static [&'static str] = Vec::from(values).leak();
    let leaf = prop_oneof![
        Just(Plan::All),
        Just(Plan::None),
        of(words).prop_map(Plan::Term),
        of(values).prop_map(Plan::Term),
        of(values).prop_map(Plan::Prefix),
        (prop::collection::vec(of(words), 2..4), any::<bool>())
            .prop_map(|(terms, open)| Plan::Phrase { terms, open }),
        (0_u32..0x300, 0_u32..0x600).prop_map(|(from, more)| {
            let base = 0x0a01_0000;
            Plan::Range(format!("o4{:08x}", base + from), format!("o4{:08x}", base + from + more))
        }),
        Just(Plan::Range("adeal.c".into(), "adeal.z".into())),
        times().prop_map(move |(from, to)| Plan::Recorded(start + from * day, start + to * day)),
        times()
            .prop_map(move |(from, to)| Plan::Occurred(start + from * day + 7, start + to * day + day / 3)),
        (0_u64..350, 0_u64..100).prop_map(|(from, more)| Plan::Sequence(from, from + more)),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|plan| Plan::Not(Box::new(plan))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Plan::And),
            prop::collection::vec(inner, 2..4).prop_map(Plan::Or),
        ]
    })
}

/// Events whose texts are everything that an index might trip over.
fn strange() -> Vec<AuditEvent> {
    let texts = [
        "O'Neil \"the\" \\ _ - ß",
        "_61 -a _ -- '' :* & | !",
        "NEAR AND NOT OR (x) ^ {y}",
        "tab\there and nbsp\u{a0}there",
        "100 % sûr : a=b ~c @d #e",
    ];
    let mut made = Sample::new(77);
    let of_text = |text: &&str| {
        let mut event = made.event();
        event.message = Some((*text).to_owned());
        event.actor = Some(EventActor::new("user", *text).with_name(*text));
        event.target = Some(Target::new(*text, *text));
        event.origin = Origin::default().with_user_agent(*text);
        event.with_metadata("k_-=", *text).with_metadata("nul", "a\u{0}b")
    };
    texts.iter().map(of_text).collect()
}

#[test]
fn any_plan_finds_what_the_plain_meaning_finds() {
    let runtime = runtime();
    for kind in Kind::all() {
        let (_fresh, store) = runtime.block_on(store(*kind));
        let (model, scope) = (MemoryStore::new(), scope("find"));
        let drafts = Sample::new(12).drafts(300).unwrap();
        for (hours, part) in (0..).map(|batch| batch * 5).zip(drafts.chunks(13)) {
            let now = Sample::start() + TimeDelta::hours(hours);
            runtime.block_on(store.append(&[Batch::new(&scope, part)], now)).unwrap();
            runtime.block_on(model.append(&[Batch::new(&scope, part)], now)).unwrap();
        }
        let old = Sample::start() + TimeDelta::hours(9);
        for plan in [Plan::Term("jdenied".into()), Plan::Occurred(i64::MIN, i64::MAX)] {
            let drop = Drop::new(&plan, old, 7);
            let dropped = runtime.block_on(store.drop_bodies(&scope, &drop)).unwrap();
            assert_eq!(dropped, runtime.block_on(model.drop_bodies(&scope, &drop)).unwrap(), "{kind:?}");
        }
        let config = ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() };
        let checked =
            TestRunner::new(config).run(&(plans(), 1_usize..60, 0_u64..330), |(plan, size, before)| {
                for before in [None, Some(before)] {
                    let wanted = runtime.block_on(model.search(&scope, &plan, before, size)).unwrap();
                    let found = runtime.block_on(store.search(&scope, &plan, before, size)).unwrap();
                    prop_assert_eq!(&found, &wanted);
                }
                let wanted = runtime.block_on(model.count(&scope, &plan, None)).unwrap();
                prop_assert_eq!(runtime.block_on(store.count(&scope, &plan, None)).unwrap(), wanted);
                Ok(())
            });
        if let Err(error) = checked {
            panic!("{kind:?}: {error}");
        }
    }
}

#[test]
fn strange_texts_are_found_by_what_they_say() {
    let runtime = runtime();
    for kind in Kind::all() {
        let (_fresh, store) = runtime.block_on(store(*kind));
        let (model, scope) = (MemoryStore::new(), scope("strange"));
        let risk = Assessment::default();
        let drafts: Vec<_> =
            strange().iter().map(|event| Draft::new(event, &risk, &[], &[]).unwrap()).collect();
        let batch = [Batch::new(&scope, &drafts)];
        runtime.block_on(store.append(&batch, Sample::start())).unwrap();
        runtime.block_on(model.append(&batch, Sample::start())).unwrap();
        for draft in &drafts {
            for term in draft.terms.iter().filter(|term| !term.is_empty()) {
                let start: String = term.chars().take(3).collect();
                for plan in [Plan::Term(term.into()), Plan::Prefix(term.into()), Plan::Prefix(start)] {
                    let wanted = runtime.block_on(model.search(&scope, &plan, None, 10)).unwrap();
                    let found = runtime.block_on(store.search(&scope, &plan, None, 10)).unwrap();
                    assert_eq!(found, wanted, "{kind:?} {plan:?}");
                    assert!(!found.records.is_empty());
                }
            }
        }
    }
}

#[tokio::test]
async fn a_full_index_gives_more_than_its_newest_thousand() {
    for kind in Kind::all() {
        let (_fresh, store) = store(*kind).await;
        let scope = scope("long");
        let mut sample = Sample::new(31);
        let mut drafts = sample.drafts(2_500).unwrap();
        let rare = sample.event().with_message("unheard of");
        drafts.insert(40, Draft::new(&rare, &Assessment::default(), &[], &[]).unwrap());
        for part in drafts.chunks(900) {
            store.append(&[Batch::new(&scope, part)], Sample::start()).await.unwrap();
        }
        let found = store.search(&scope, &Plan::Term("wunheard".into()), None, 10).await.unwrap();
        assert_eq!(found.records.iter().map(|record| record.sequence).collect::<Vec<_>>(), [40], "{kind:?}");
        let plan = Plan::Prefix("w".into());
        let all = store.search(&scope, &plan, None, 5_000).await.unwrap().records;
        assert_eq!((all.len(), all.is_sorted_by(|a, b| a.sequence > b.sequence)), (2_501, true), "{kind:?}");
    }
}

#[tokio::test]
async fn what_is_dropped_is_in_no_index() {
    for kind in Kind::all() {
        let (fresh, store) = store(*kind).await;
        let log = AuditLog::new(store.clone(), AuditConfig::default().with_read_audit(ReadAudit::Exports));
        let acme = scope("acme");
        for _ in 0..3 {
            let event = AuditEvent::new("deal.updated").with_message("a xylophone for the zebrafish");
            log.record(&acme, event).await.unwrap();
        }
        let entries = match kind {
            Kind::Postgres => {
                "SELECT count(*) FROM guardian_audit_index WHERE terms::text LIKE '%xylophone%'"
            }
            _ => {
                "SELECT count(*) FROM guardian_audit_index_data \
                 WHERE instr(block, CAST('xylophone' AS BLOB)) > 0 OR instr(block, CAST('zebrafish' AS BLOB)) > 0"
            }
        };
        let mut tx = fresh.database().begin_read(&acme).await.unwrap();
        assert!(number(&mut tx, entries).await > 0, "{kind:?}: it was there");
        tx.commit().await.unwrap();
        let later = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();
        let all = Drop::new(&Plan::All, later, 10);
        assert_eq!(store.drop_bodies(&acme, &all).await.unwrap(), 3);
        let mut tx = fresh.database().begin_read(&acme).await.unwrap();
        assert_eq!(number(&mut tx, entries).await, 0, "{kind:?}");
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn sealed_values_are_found_until_their_key_is_destroyed() {
    for kind in Kind::all() {
        let (fresh, store) = store(*kind).await;
        let keys = SqlKeys::new(fresh.database());
        let config = AuditConfig::default()
            .with_read_audit(ReadAudit::Exports)
            .with_personal_data(PersonalData::default(), keys);
        let log = AuditLog::new(store, config);
        let acme = scope("acme");
        let actor = EventActor::user("u_17").with_email("ann@acme.example");
        log.record(&acme, AuditEvent::new("deal.updated").with_actor(actor)).await.unwrap();
        let query: Query = "email:ann@acme.example".parse().unwrap();
        let page = PageRequest::first(10).unwrap();
        let found = log.search(&acme, &query, &page).await.unwrap().items;
        let email = |found: &[guardian_audit::StoredEvent]| {
            found.first().and_then(|one| one.event.actor.clone()).and_then(|actor| actor.email)
        };
        assert_eq!(email(&found).as_deref(), Some("ann@acme.example"), "{kind:?}");
        log.erase_subject(&acme, &Subject::new("user", "u_17")).await.unwrap();
        let all = log.search(&acme, &"action:deal.*".parse().unwrap(), &page).await.unwrap().items;
        assert_eq!((all.len(), email(&all)), (1, None), "{kind:?}");
    }
}

/// A batch that the database refuses keeps back those behind it of its tenant, harms none that was begun, and ends the call: who comes
/// after it would only wait for a database that is away.
#[tokio::test]
async fn a_batch_that_fails_keeps_back_what_is_behind_it() {
    for &kind in Kind::all() {
        let (fresh, store) = store(kind).await;
        fresh.migrate(&REFUSAL).await.unwrap();
        let mut sample = Sample::new(9);
        let (few, risk) = (sample.drafts(3).unwrap(), Assessment::default());
        let refused = vec![Draft::new(&sample.event().with_message("outrageous"), &risk, &[], &[]).unwrap()];
        let bad = scope("bad");
        let others: Vec<_> = (0..40).map(|number| scope(&format!("other-{number}"))).collect();
        let mut batches = vec![Batch::new(&bad, &few), Batch::new(&bad, &refused)];
        let behind = sample.drafts(2).unwrap();
        batches.push(Batch::new(&bad, &behind));
        batches.extend(others.iter().map(|scope| Batch::new(scope, &few)));

        assert!(store.append(&batches, Sample::start()).await.is_err(), "{kind:?}");
        assert_eq!(
            store.head(&bad).await.unwrap().size,
            3,
            "{kind:?}: what was before it, and nothing behind"
        );
        let mut sizes = Vec::new();
        for scope in &others {
            sizes.push(store.head(scope).await.unwrap().size);
        }
        assert!(sizes.iter().all(|size| [0, 3].contains(size)), "{kind:?}: nothing half done in {sizes:?}");
        assert_eq!(sizes.last(), Some(&0), "{kind:?}: {sizes:?}");
        // Once the refused one is out of the way, the same batches go in, and what was there is not there twice.
        batches.remove(1);
        store.append(&batches, Sample::start()).await.unwrap();
        assert_eq!(store.head(&bad).await.unwrap().size, 5, "{kind:?}");
        for scope in &others {
            assert_eq!(store.head(scope).await.unwrap().size, 3, "{kind:?}");
        }
    }
}

/// Makes the database refuse events with one word.
const REFUSAL: Migrations = Migrations::new(
    "refusal",
    &[Migration::new(
        1,
        "refuse",
        "CREATE TRIGGER refuse BEFORE INSERT ON guardian_audit_events WHEN NEW.terms LIKE '% woutrageous%' \
         BEGIN SELECT RAISE(ABORT, 'refused'); END;",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON guardian_audit_events FOR EACH ROW \
         WHEN (NEW.terms LIKE '% woutrageous%') EXECUTE FUNCTION refuse();",
    )],
);

#[cfg(feature = "postgres")]
#[tokio::test]
async fn without_a_predicate_the_policies_hold() {
    use guardian_audit::keys::KeyStore;
    use guardian_sql::Unscoped;

    let (fresh, store) = store(Kind::Postgres).await;
    let (ours, theirs) = (scope("ours"), scope("theirs"));
    let mut sample = Sample::new(9);
    let (few, many) = (sample.drafts(3).unwrap(), sample.drafts(8).unwrap());
    // One call after the other, so that ours is the first number of the index and theirs the second.
    for (scope, drafts) in [(&ours, &few), (&theirs, &many)] {
        store.append(&[Batch::new(scope, drafts)], Sample::start()).await.unwrap();
    }
    let note = guardian_audit::store::Note::new("h", vec![1]);
    store.put_note(&theirs, guardian_audit::store::NoteKind::Hold, &note).await.unwrap();

    let mut tx = fresh.database().begin(&ours).await.unwrap();
    assert_eq!(number(&mut tx, "SELECT count(*) FROM guardian_audit_heads").await, 1);
    assert_eq!(number(&mut tx, "SELECT count(*) FROM guardian_audit_events").await, 3);
    assert_eq!(number(&mut tx, "SELECT count(*) FROM guardian_audit_index").await, 3);
    assert_eq!(number(&mut tx, "SELECT count(*) FROM guardian_audit_notes").await, 0);
    // Their number in the index, guessed, and what is in no event.
    for (query, wanted) in [("'1.-a'", 3), ("'2.-a'", 0), ("'2.w':*", 0), ("!'x'", 3)] {
        let sql = "SELECT count(*) FROM guardian_audit_search.find($1, 0, 100, $2, 100)";
        for oldest_first in [false, true] {
            let found: i64 =
                tx.fetch_one(sql, params![query, oldest_first]).await.unwrap().get(0_usize).unwrap();
            assert_eq!(found, wanted, "{query}");
        }
    }
    tx.rollback().await.unwrap();
    fresh.migrate(&guardian_audit::OUTBOX_MIGRATIONS).await.unwrap();
    let mut tx = fresh.database().begin(&theirs).await.unwrap();
    let log = AuditLog::new(store.clone(), AuditConfig::default());
    log.record_in(&mut tx, AuditEvent::new("deal.updated")).await.unwrap();
    tx.commit().await.unwrap();
    SqlKeys::new(fresh.database()).key_of(&theirs, "user:u_1").await.unwrap();
    let mut tx = fresh.database().begin(&ours).await.unwrap();
    assert_eq!(number(&mut tx, "SELECT count(*) FROM guardian_audit_outbox").await, 0);
    assert_eq!(number(&mut tx, "SELECT count(*) FROM guardian_audit_keys").await, 0);
    tx.rollback().await.unwrap();
    for sql in [
        "DELETE FROM guardian_audit_outbox",
        "UPDATE guardian_audit_events SET body = NULL",
        "DELETE FROM guardian_audit_index",
        "DELETE FROM guardian_audit_notes",
    ] {
        let mut tx = fresh.database().begin(&ours).await.unwrap();
        assert!(tx.execute(sql, &[]).await.unwrap() <= 3, "{sql}");
        tx.rollback().await.unwrap();
    }
    let mut tx = fresh.database().begin(&ours).await.unwrap();
    let foreign =
        "INSERT INTO guardian_audit_notes (tenant_id, kind, name, bytes) VALUES ('theirs', 'hold', 'x', '')";
    assert_eq!(tx.execute(foreign, &[]).await.unwrap_err().kind(), StoreErrorKind::Constraint);
    tx.rollback().await.unwrap();

    let leave = Unscoped::new(ours.clone(), "a search without a tenant").unwrap();
    let mut tx = fresh.database().begin_unscoped(&leave).await.unwrap();
    let error =
        tx.fetch_all("SELECT find FROM guardian_audit_search.find('''1.-a''', 0, 9, false, 9)", &[]).await;
    assert_eq!(error.unwrap_err().kind(), StoreErrorKind::Unsupported);
    tx.rollback().await.unwrap();
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn whoever_may_not_read_the_events_may_not_search_them() {
    use guardian_sql::Sql;

    let (fresh, store) = store(Kind::Postgres).await;
    let acme = scope("acme");
    let drafts = Sample::new(9).drafts(3).unwrap();
    store.append(&[Batch::new(&acme, &drafts)], Sample::start()).await.unwrap();
    let mut sql = Sql::builder("REVOKE SELECT ON guardian_audit_events FROM ");
    let sql = sql.name(fresh.app_role().unwrap()).finish();
    let mut tx = fresh.owner().begin(&acme).await.unwrap();
    tx.execute(sql, &[]).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = fresh.database().begin(&acme).await.unwrap();
    let found =
        tx.fetch_all("SELECT find FROM guardian_audit_search.find('''1.-a''', 0, 9, false, 9)", &[]).await;
    assert_eq!(found.unwrap_err().kind(), StoreErrorKind::Unsupported);
    tx.rollback().await.unwrap();
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_database_that_is_away_is_unavailable() {
    let config = DatabaseConfig::default().with_acquire_timeout(Duration::from_millis(200));
    let db = Database::lazy("postgres://nobody@127.0.0.1:1/nothing", config).unwrap();
    let store = SqlStore::new(&db);
    let acme = scope("acme");
    let drafts = Sample::new(9).drafts(1).unwrap();
    let appended = store.append(&[Batch::new(&acme, &drafts)], Sample::start()).await;
    assert_eq!(appended.unwrap_err().kind(), StoreErrorKind::Unavailable);
    let found = store.search(&acme, &Plan::All, None, 1).await;
    assert_eq!(found.unwrap_err().kind(), StoreErrorKind::Unavailable);
}

/// What the language allows is answered, however deep: the index's own reader takes less.
#[tokio::test]
async fn the_deepest_queries_are_answered() {
    let deep = |open: &str, close: &str, inner: &str| {
        // A dash and a parenthesis are two levels.
        let levels = (guardian_audit::query::MAX_DEPTH - 1) / if open.starts_with('-') { 2 } else { 1 };
        format!("{}{inner}{}", open.repeat(levels), close.repeat(levels)).parse::<Query>().unwrap()
    };
    let queries = [
        deep("renewal OR offer (", ")", "acme"),
        deep("renewal (offer OR ", ")", "acme"),
        deep("-(renewal OR ", ")", "acme"),
        deep("-(acme ", ")", "offer"),
    ];
    for kind in Kind::all() {
        let (_fresh, store) = store(*kind).await;
        let (model, acme) = (MemoryStore::new(), scope("acme"));
        let drafts = Sample::new(3).drafts(60).unwrap();
        for store in [&store as &dyn AuditStore, &model] {
            store.append(&[Batch::new(&acme, &drafts)], Sample::start()).await.unwrap();
        }
        for query in &queries {
            let plan = Plan::compile(query, &|_, _| None);
            let found = store.search(&acme, &plan, None, 100).await.unwrap();
            assert_eq!(found, model.search(&acme, &plan, None, 100).await.unwrap(), "{kind:?}: {query}");
        }
    }
}
