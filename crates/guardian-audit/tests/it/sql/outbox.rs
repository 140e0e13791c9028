//! Events that commit with the caller's own change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use guardian_audit::store::{
    AuditStore, Batch, Count, Drop, Facet, Found, Head, MemoryStore, Note, NoteKind, Placed, Record, SqlStore,
};
use guardian_audit::{
    AuditConfig, AuditEvent, AuditLog, Dimension, Drained, OUTBOX_MIGRATIONS, Plan, ReadAudit, outbox_tenants,
};
use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use guardian_sql::Unscoped;
use guardian_sql::testkit::Kind;

use super::{fresh, scope};

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

/// A store that takes what it is given and dies before it can say so.
#[derive(Debug, Default)]
struct Dying {
    inner: MemoryStore,
    dies: AtomicBool,
}

#[async_trait]
impl AuditStore for Dying {
    async fn append(&self, batches: &[Batch<'_>], now: Timestamp) -> Result<Vec<Vec<Placed>>, StoreError> {
        let placed = self.inner.append(batches, now).await;
        if self.dies.swap(false, Ordering::Relaxed) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "test"));
        }
        placed
    }

    async fn search(
        &self,
        scope: &Scope,
        plan: &Plan,
        before: Option<u64>,
        size: usize,
    ) -> Result<Found, StoreError> {
        self.inner.search(scope, plan, before, size).await
    }

    async fn count(&self, scope: &Scope, plan: &Plan, limit: Option<u64>) -> Result<Count, StoreError> {
        self.inner.count(scope, plan, limit).await
    }

    async fn facets(
        &self,
        scope: &Scope,
        plan: &Plan,
        dimension: Dimension,
        top: usize,
    ) -> Result<Vec<Facet>, StoreError> {
        self.inner.facets(scope, plan, dimension, top).await
    }

    async fn histogram(&self, scope: &Scope, plan: &Plan, edges: &[i64]) -> Result<Vec<u64>, StoreError> {
        self.inner.histogram(scope, plan, edges).await
    }

    async fn records(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<Record>, StoreError> {
        self.inner.records(scope, from, size).await
    }

    async fn leaves(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<[u8; 32]>, StoreError> {
        self.inner.leaves(scope, from, size).await
    }

    async fn head(&self, scope: &Scope) -> Result<Head, StoreError> {
        self.inner.head(scope).await
    }

    async fn drop_bodies(&self, scope: &Scope, drop: &Drop<'_>) -> Result<u64, StoreError> {
        self.inner.drop_bodies(scope, drop).await
    }

    async fn put_note(&self, scope: &Scope, kind: NoteKind, note: &Note) -> Result<(), StoreError> {
        self.inner.put_note(scope, kind, note).await
    }

    async fn notes(&self, scope: &Scope, kind: NoteKind) -> Result<Vec<Note>, StoreError> {
        self.inner.notes(scope, kind).await
    }

    async fn remove_note(&self, scope: &Scope, kind: NoteKind, name: &str) -> Result<bool, StoreError> {
        self.inner.remove_note(scope, kind, name).await
    }
}

#[tokio::test]
async fn a_crash_between_the_append_and_the_striking_off_repeats_nothing() {
    for kind in Kind::all() {
        let fresh = fresh(*kind, &[&OUTBOX_MIGRATIONS]).await;
        let (db, acme) = (fresh.database(), scope("acme"));
        let log = log(Arc::new(Dying { dies: AtomicBool::new(true), ..Dying::default() }));
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
