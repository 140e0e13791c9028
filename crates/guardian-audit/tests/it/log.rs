//! The log as a host uses it.

use std::sync::Arc;

use guardian_audit::store::{AuditStore, Count, MemoryStore};
use guardian_audit::{
    AuditConfig, AuditEvent, AuditLog, Dimension, Error, Query, ReadAudit, Risk, Target, TimeRange,
};
use guardian_core::{Actor, Clock, ManualClock, PageRequest, Scope, SeededIds, TenantId};
use proptest::prelude::*;

fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn scope(tenant: &str) -> Scope {
    Scope::new(TenantId::new(tenant).unwrap(), Actor::user("u_17").unwrap())
}

fn log(clock: &Arc<ManualClock>, reads: ReadAudit) -> AuditLog<MemoryStore> {
    let config = AuditConfig::default()
        .with_clock(Arc::clone(clock))
        .with_ids(SeededIds::new(1))
        .with_cursor_secret([7; 32])
        .with_read_audit(reads);
    AuditLog::new(MemoryStore::new(), config)
}

#[test]
fn what_is_absent_is_filled_in_and_what_is_secret_is_taken_out() {
    let clock = Arc::new(ManualClock::new());
    let log = log(&clock, ReadAudit::Exports);
    let event = AuditEvent::new("role.granted").with_metadata("password", "hunter2");
    let receipt = now(log.record(&scope("acme"), event)).unwrap();
    assert_eq!((receipt.sequence, receipt.recorded, receipt.duplicate), (0, clock.now(), false));
    assert_eq!(
        (receipt.risk.level, receipt.risk.reasons.as_slice()),
        (Risk::High, &["permissions changed".into()][..])
    );
    let stored = now(log.get(&scope("acme"), 0)).unwrap().unwrap();
    assert_eq!(stored.event.id, Some(receipt.id));
    assert_eq!(stored.event.occurred, Some(clock.now()));
    assert_eq!(stored.event.actor.as_ref().unwrap().id, "u_17");
    assert_eq!(stored.event.metadata["password"], "[redacted]");
    assert_eq!(
        now(log.search(&scope("acme"), &Query::text("hunter2"), &PageRequest::first(5).unwrap()))
            .unwrap()
            .items,
        []
    );
}

#[test]
fn an_event_that_is_none_names_its_field_and_keeps_the_others_out() {
    let log = log(&Arc::new(ManualClock::new()), ReadAudit::Exports);
    let events = vec![AuditEvent::new("a.b"), AuditEvent::new("no spaces")];
    let error = now(log.record_all(&scope("acme"), events)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid action `no spaces`: an action has 1 to 128 characters of `a-z A-Z 0-9 . _ : -`"
    );
    assert_eq!(now(log.head(&scope("acme"))).unwrap().size, 0);
    let huge = AuditEvent::new("a.b").with_metadata("x", "y".repeat(300_000));
    assert!(matches!(now(log.record(&scope("acme"), huge)), Err(Error::InvalidEvent(_))));
}

#[test]
fn reads_are_events() {
    let log = log(&Arc::new(ManualClock::new()), ReadAudit::Everything);
    let scope = scope("acme");
    for _ in 0..3 {
        now(log.record(&scope, AuditEvent::new("deal.updated"))).unwrap();
    }
    let query: Query = "action:deal.*".parse().unwrap();
    let first = now(log.search(&scope, &query, &PageRequest::first(2).unwrap())).unwrap();
    let second = PageRequest::first(2).unwrap().after(first.next.unwrap());
    now(log.search(&scope, &query, &second)).unwrap();
    now(log.count(&scope, &query, None)).unwrap();
    now(log.facets(&scope, &query, Dimension::Action, 9)).unwrap();
    let range =
        TimeRange::new(first.items[0].recorded, first.items[0].recorded + chrono::TimeDelta::minutes(1));
    now(log.histogram(&scope, &query, range, 4)).unwrap();
    now(log.get(&scope, 0)).unwrap().unwrap();
    assert!(now(log.get(&scope, 99)).unwrap().is_none());
    let reads =
        now(log.store().facets(&scope, &guardian_audit::Plan::Prefix("aaudit".into()), Dimension::Action, 9))
            .unwrap();
    let reads: Vec<_> = reads.iter().map(|facet| (facet.value.as_str(), facet.count)).collect();
    let each = ["charted", "counted", "faceted", "read", "searched"].map(|what| format!("audit_log.{what}"));
    assert_eq!(reads, each.each_ref().map(|action| (action.as_str(), 1)));
    let read = now(log.get(&scope, 3)).unwrap().unwrap();
    assert_eq!(read.event.metadata["query"], "action:deal.*");
    let read = now(log.get(&scope, 7)).unwrap().unwrap();
    assert_eq!((read.event.action.as_str(), &read.event.metadata["sequence"]), ("audit_log.read", &0.into()));
}

#[test]
fn a_cursor_of_another_search_is_refused() {
    let log = log(&Arc::new(ManualClock::new()), ReadAudit::Exports);
    for tenant in ["acme", "globex"] {
        for _ in 0..5 {
            now(log.record(&scope(tenant), AuditEvent::new("deal.updated"))).unwrap();
        }
    }
    let page = PageRequest::first(2).unwrap();
    let cursor = now(log.search(&scope("acme"), &Query::All, &page)).unwrap().next.unwrap();
    let with = || PageRequest::first(2).unwrap().after(cursor.clone());
    assert_eq!(now(log.search(&scope("acme"), &Query::All, &with())).unwrap().items.len(), 2);
    assert!(matches!(now(log.search(&scope("globex"), &Query::All, &with())), Err(Error::ForeignCursor)));
    assert!(matches!(now(log.search(&scope("acme"), &Query::text("x"), &with())), Err(Error::ForeignCursor)));
}

#[test]
fn counts_and_histograms_say_when() {
    let clock = Arc::new(ManualClock::new());
    let log = log(&clock, ReadAudit::Exports);
    let scope = scope("acme");
    let start = clock.now();
    for minutes in [1, 1, 30, 1] {
        clock.advance(std::time::Duration::from_secs(minutes * 60));
        now(log.record(&scope, AuditEvent::new("deal.updated").with_target(Target::new("deal", "d"))))
            .unwrap();
    }
    assert_eq!(now(log.count(&scope, &Query::All, Some(3))).unwrap(), Count::AtLeast(3));
    assert_eq!(now(log.count(&scope, &Query::All, Some(9))).unwrap(), Count::Exact(4));
    let range = TimeRange::new(start, start + chrono::TimeDelta::minutes(40));
    let bars = now(log.histogram(&scope, &Query::All, range, 4)).unwrap();
    assert_eq!(bars.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [2, 0, 0, 2]);
    assert_eq!(bars[1].0, start + chrono::TimeDelta::minutes(10));
    assert!(now(log.histogram(&scope, &Query::All, TimeRange::default(), 4)).is_err());
}

proptest! {
    /// Whatever is recorded while somebody pages: each event once, none missed, none of another tenant.
    #[test]
    fn paging_shows_each_event_once(size in 1_u32..7, writes in proptest::collection::vec(0_usize..5, 1..12)) {
        let log = log(&Arc::new(ManualClock::new()), ReadAudit::Exports);
        let (ours, theirs) = (scope("acme"), scope("globex"));
        for number in 0..20 {
            now(log.record(&ours, AuditEvent::new("a.b").with_metadata("n", number))).unwrap();
            now(log.record(&theirs, AuditEvent::new("a.b").with_metadata("theirs", number))).unwrap();
        }
        let mut page = PageRequest::first(size).unwrap();
        let mut seen = Vec::new();
        let mut writes = writes.into_iter().cycle();
        loop {
            let found = now(log.search(&ours, &"action:a.b".parse().unwrap(), &page)).unwrap();
            seen.extend(found.items.iter().map(|event| event.event.metadata["n"].as_i64().unwrap()));
            match found.next {
                Some(cursor) => page = PageRequest::first(size).unwrap().after(cursor),
                None => break,
            }
            for _ in 0..writes.next().unwrap() {
                now(log.record(&ours, AuditEvent::new("a.b").with_metadata("n", 99))).unwrap();
            }
        }
        prop_assert_eq!(seen, (0..20).rev().collect::<Vec<_>>());
    }
}
