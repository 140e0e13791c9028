//! Events that commit with the caller's own change.

use std::sync::Arc;

use guardian_audit::store::{AuditStore, Count, SqlStore};
use guardian_audit::{
    AuditConfig, AuditEvent, AuditLog, Drained, OUTBOX_MIGRATIONS, ReadAudit, outbox_tenants,
};
use guardian_core::{Scope, TenantId};
use guardian_sql::Unscoped;
use guardian_sql::testkit::Kind;

use super::{fresh, scope};
use crate::moody::Moody;

fn log<S: AuditStore>(store: S) -> AuditLog<S> {
    AuditLog::new(store, AuditConfig::default().with_read_audit(ReadAudit::Exports))
}

fn event(message: &str) -> AuditEvent {
    AuditEvent::new("deal.updated").with_message(message)
}

async fn messages<S: AuditStore>(log: &AuditLog<S>, scope: &Scope) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(one) = log.get(scope, found.len().try_into().unwrap()).await.unwrap() {
        found.push(one.event.message.unwrap());
    }
    found
}

#[tokio::test]
async fn an_event_is_in_the_log_if_and_only_if_the_change_was_committed() {
    for kind in Kind::all() {
        let fresh = fresh(*kind, &[&OUTBOX_MIGRATIONS, &SqlStore::MIGRATIONS]).await;
        let (db, acme) = (fresh.database(), scope("acme"));
        let log = log(SqlStore::new(db));
        let mut tx = db.begin(&acme).await.unwrap();
        let kept = log.record_in(&mut tx, event("first")).await.unwrap();
        log.record_in(&mut tx, event("second")).await.unwrap();
        let mut part = tx.savepoint().await.unwrap();
        log.record_in(&mut part, event("undone")).await.unwrap();
        part.roll_back().await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = db.begin(&acme).await.unwrap();
        log.record_in(&mut tx, event("rolled back")).await.unwrap();
        tx.rollback().await.unwrap();
        let mut tx = db.begin(&acme).await.unwrap();
        log.record_in(&mut tx, event("abandoned")).await.unwrap();
        drop(tx);

        let leave = Unscoped::new(scope("operator"), "events that wait").unwrap();
        let waiting = outbox_tenants(db, &leave, None, 10).await.unwrap();
        assert_eq!(waiting, [TenantId::new("acme").unwrap()], "{kind:?}");
        assert_eq!(log.drain_outbox(db, &scope("other"), 10).await.unwrap(), Drained::default());
        let one = log.drain_outbox(db, &acme, 1).await.unwrap();
        assert_eq!((one.moved, one.duplicates, one.more), (1, 0, true), "{kind:?}");
        let rest = log.drain_outbox(db, &acme, 10).await.unwrap();
        assert_eq!((rest.moved, rest.duplicates, rest.more), (1, 0, false), "{kind:?}");
        assert_eq!(messages(&log, &acme).await, ["first", "second"], "{kind:?}");
        assert_eq!(log.get(&acme, 0).await.unwrap().unwrap().event.id, Some(kept.id));
        let query = "\"first\" action:deal.*".parse().unwrap();
        assert_eq!(log.count(&acme, &query, None).await.unwrap(), Count::Exact(1), "{kind:?}");
        assert!(outbox_tenants(db, &leave, None, 10).await.unwrap().is_empty(), "{kind:?}");
    }
}

#[tokio::test]
async fn a_crash_between_the_append_and_the_striking_off_repeats_nothing() {
    for kind in Kind::all() {
        let fresh = fresh(*kind, &[&OUTBOX_MIGRATIONS]).await;
        let (db, acme) = (fresh.database(), scope("acme"));
        let moody = Moody::default();
        *moody.fails.lock() = 1;
        let log = log(Arc::new(moody));
        let mut tx = db.begin(&acme).await.unwrap();
        for message in ["a", "b", "c"] {
            log.record_in(&mut tx, event(message)).await.unwrap();
        }
        tx.commit().await.unwrap();
        log.drain_outbox(db, &acme, 10).await.unwrap_err();
        assert_eq!(log.head(&acme).await.unwrap().size, 3, "{kind:?}: the log has them");
        let again = log.drain_outbox(db, &acme, 10).await.unwrap();
        assert_eq!((again.moved, again.duplicates), (3, 3), "{kind:?}");
        assert_eq!(messages(&log, &acme).await, ["a", "b", "c"], "{kind:?}");
        assert_eq!(log.drain_outbox(db, &acme, 10).await.unwrap(), Drained::default(), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_who_drain_at_once_keep_the_order_and_repeat_nothing() {
    for kind in Kind::all() {
        let fresh = fresh(*kind, &[&OUTBOX_MIGRATIONS, &SqlStore::MIGRATIONS]).await;
        let (db, acme) = (fresh.database().clone(), scope("acme"));
        let log = log(SqlStore::new(&db));
        for batch in 0..10 {
            let mut tx = db.begin(&acme).await.unwrap();
            for one in 0..4 {
                log.record_in(&mut tx, event(&format!("{batch}.{one}"))).await.unwrap();
            }
            tx.commit().await.unwrap();
        }
        let drains: Vec<_> = (3..7)
            .map(|limit| {
                let (log, db, acme) = (log.clone(), db.clone(), acme.clone());
                tokio::spawn(
                    async move { while log.drain_outbox(&db, &acme, limit).await.unwrap().moved > 0 {} },
                )
            })
            .collect();
        for drain in drains {
            drain.await.unwrap();
        }
        let wanted: Vec<_> = (0..40).map(|at| format!("{}.{}", at / 4, at % 4)).collect();
        assert_eq!(messages(&log, &acme).await, wanted, "{kind:?}");
    }
}
