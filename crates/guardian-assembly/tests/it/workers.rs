//! What goes on in the background: until it is time to stop, and then to the end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use guardian_assembly::{Backend, Guardian};
use guardian_audit::{AuditEvent, AuditQueue, LaterEvent, Overflow, Receipt};
use guardian_core::Scope;
use serde_json::json;
use tokio::sync::oneshot;

use crate::host::{Ears, Letterbox, ann, builder, listen, recorded, runs, until};

async fn works<B: Backend>(guardian: Guardian<B>, ears: Ears, letters: Letterbox) {
    let acme = ann("acme");
    listen(&guardian, &acme).await;
    let troubles = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&troubles);
    let workers = guardian
        .workers()
        .on_trouble(move |part, error| heard.lock().unwrap().push(format!("{part}: {error}")));
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        workers
            .run(async {
                let _ = stopped.await;
            })
            .await;
    });
    let id = guardian.emit(&acme, "deal.won", json!({})).await.unwrap().to_string();
    until(async || letters.ids_of("deal.won") == [id.clone()] && runs(&guardian, &acme).await == 1).await;

    // What is emitted at the last moment is told before the workers end.
    let last = guardian.emit(&acme, "deal.won", json!({})).await.unwrap();
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(60), running).await.unwrap().unwrap();
    assert!(ears.heard().iter().any(|(id, _)| *id == last));
    assert_eq!(letters.ids_of("deal.won"), [id, last.to_string()], "it was not delivered");
    assert_eq!(runs(&guardian, &acme).await, 2, "it started nothing");
    assert_eq!(recorded(&guardian, &acme, "deal.won").await, 2);
    assert_eq!(troubles.lock().unwrap().as_slice(), [] as [String; 0]);
}

#[tokio::test]
async fn in_memory() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).in_memory().await.unwrap();
    works(guardian, ears, letters).await;
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[tokio::test]
async fn on_databases() {
    for kind in guardian_sql::testkit::Kind::all() {
        let fresh = kind.open(&[]).await.unwrap();
        let (ears, letters) = (Ears::default(), Letterbox::default());
        let guardian = builder(&ears, &letters).open(fresh.owner_url()).await.unwrap();
        let db = guardian.database().clone();
        works(guardian, ears, letters).await;
        db.close().await;
    }
}

/// One part that fails is told of, and the others go on.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[tokio::test]
async fn trouble_is_heard_and_keeps_nobody_waiting() {
    use guardian_sql::testkit::Kind;
    let fresh = Kind::SqliteFile.open(&[]).await.unwrap();
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).open(fresh.owner_url()).await.unwrap();
    let troubles = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&troubles);
    let workers = guardian.workers().on_trouble(move |part, _| heard.lock().unwrap().push(part));
    ears.refuse("deal.won", 1);
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        workers
            .run(async {
                let _ = stopped.await;
            })
            .await;
    });
    guardian.emit(&ann("acme"), "deal.won", json!({})).await.unwrap();
    guardian.emit(&ann("acme"), "deal.lost", json!({})).await.unwrap();
    until(async || ears.names().len() == 2).await;
    assert_eq!(ears.names(), ["deal.lost", "deal.won"]);
    assert_eq!(*troubles.lock().unwrap(), ["events"]);
    stop.send(()).unwrap();
    running.await.unwrap();
    guardian.database().close().await;
}

/// Somebody who listens and panics is told of, and ends nothing.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[tokio::test]
async fn a_panic_ends_nothing() {
    use guardian_sql::testkit::Kind;
    let fresh = Kind::SqliteFile.open(&[]).await.unwrap();
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).open(fresh.owner_url()).await.unwrap();
    ears.refuse("deal.panic", 1);
    let workers = guardian.workers();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        workers
            .run(async {
                let _ = stopped.await;
            })
            .await;
    });
    guardian.emit(&ann("acme"), "deal.panic", json!({})).await.unwrap();
    guardian.emit(&ann("acme"), "deal.won", json!({})).await.unwrap();
    until(async || ears.names() == ["deal.won", "deal.panic"]).await;
    assert_eq!(recorded(&guardian, &ann("acme"), "deal.panic").await, 1);
    stop.send(()).unwrap();
    running.await.unwrap();
    guardian.database().close().await;
}

/// Thresholds of quotas are told, and workflows with schedules run.
#[tokio::test]
async fn what_is_due_happens() {
    use guardian_quota::{Plan, Subject, Usage};
    use guardian_workflow::{Definition, Note};
    let plan = r#"{ "name": "team", "features": { "exports": { "metered": { "unit": "export", "aggregation": "count",
        "limits": { "org": { "amount": 10, "thresholds": [50] } } } } } }"#;
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).plan(Plan::parse(plan).unwrap()).in_memory().await.unwrap();
    guardian.welcome(&crate::host::platform(&guardian), crate::host::new_tenant("acme")).await.unwrap();
    let acme = ann("acme");
    for _ in 0..6 {
        let usage = Usage::of("exports", &Subject::org(), 1).unwrap();
        assert!(guardian.quotas().consume(&acme, &usage).await.unwrap().allowed);
    }
    let definition = json!({
        "schema": 1, "name": "Sweep", "start": "note",
        "triggers": {"often": {"type": "schedule", "at": "every 1m"}},
        "nodes": {"note": {"type": "action", "name": "Note", "action": "note"}},
        "edges": [],
    });
    let definition = Definition::from_value(definition).unwrap();
    guardian.workflows().save(&acme, "thank", &definition, &Note::new("the first")).await.unwrap();
    guardian.workflows().publish(&acme, "thank", 1).await.unwrap();
    guardian.workers().run_once().await.unwrap();
    guardian.workers().run_once().await.unwrap();
    assert_eq!(recorded(&guardian, &acme, "quota.threshold_reached").await, 1);
    let started = runs(&guardian, &acme).await;
    assert!((1..=3).contains(&started), "{started}");
}

/// Somebody who listens and never answers keeps neither the others nor other events waiting for long.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[tokio::test]
async fn who_never_answers_keeps_nobody_waiting() {
    use guardian_sql::testkit::Kind;
    let fresh = Kind::SqliteFile.open(&[]).await.unwrap();
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).open(fresh.owner_url()).await.unwrap();
    let acme = ann("acme");
    listen(&guardian, &acme).await;
    let id = guardian.emit(&acme, "deal.hang", json!({})).await.unwrap();
    guardian.emit(&acme, "deal.won", json!({})).await.unwrap();
    let begun = tokio::time::Instant::now();
    guardian.workers().run_once().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(ears.names().contains(&"deal.won".to_owned()));
    assert_eq!(recorded(&guardian, &acme, "deal.hang").await, 1);
    assert_eq!(letters.ids_of("deal.hang"), [id.to_string()]);
    guardian.database().close().await;
}

/// A billing system that takes nothing.
#[derive(Debug)]
struct Away;

#[async_trait::async_trait]
impl guardian_quota::billing::BillingSink for Away {
    async fn send(
        &self,
        _: &[guardian_quota::billing::BillingEvent],
    ) -> Result<Vec<guardian_quota::billing::Receipt>, guardian_core::StoreError> {
        Err(guardian_core::StoreError::new(guardian_core::StoreErrorKind::Unavailable, "billing"))
    }
}

#[tokio::test]
async fn somebody_hears_that_bills_stand_still() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let team = r#"{ "name": "team", "features": { "exports": { "metered": {
        "unit": "export", "aggregation": "count", "billed": true, "limits": { "org": { "amount": 100 } } } } } }"#;
    let team = guardian_quota::Plan::parse(team).unwrap();
    let guardian = builder(&ears, &letters).plan(team).billing(Away).in_memory().await.unwrap();
    let platform = crate::host::platform(&guardian);
    guardian.welcome(&platform, crate::host::new_tenant("acme")).await.unwrap();
    let usage = guardian_quota::Usage::of("exports", &guardian_quota::Subject::org(), 1).unwrap();
    assert!(guardian.quotas().consume(&ann("acme"), &usage).await.unwrap().allowed);
    let troubles = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&troubles);
    let workers = guardian
        .workers()
        .on_trouble(move |part, error| heard.lock().unwrap().push(format!("{part}: {error}")));
    workers.run_once().await.unwrap();
    let troubles = troubles.lock().unwrap();
    let wanted = "quotas: the ledger of `exports` of `acme` could not be handed over: ";
    assert!(troubles.len() == 1 && troubles[0].starts_with(wanted), "{troubles:?}");
}

/// What requests leave in the queue of an audit layer is in the log when the workers have ended.
#[tokio::test]
async fn the_queue_of_an_audit_layer_is_emptied() {
    let guardian = builder(&Ears::default(), &Letterbox::default()).in_memory().await.unwrap();
    let queue = Arc::new(AuditQueue::new(guardian.audit().clone(), 1_000, Overflow::Block).unwrap());
    let workers = guardian.workers().recording(Arc::clone(&queue));
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(async move { workers.run(async { drop(stopped.await) }).await });
    let acme = ann("acme");
    queue.record(&acme, AuditEvent::new("http.post.deals")).await.unwrap();
    assert_eq!(recorded(&guardian, &acme, "http.post.deals").await, 1);
    for _ in 0..100 {
        queue.enqueue(&acme, AuditEvent::new("http.post.deals"), |_| {}).await.unwrap();
    }
    drop(stop);
    tokio::time::timeout(Duration::from_secs(60), running).await.unwrap().unwrap();
    assert_eq!(recorded(&guardian, &acme, "http.post.deals").await, 101);
    assert!(queue.record(&acme, AuditEvent::new("http.post.deals")).await.is_err(), "it is closed");
}

/// An event that nobody can make.
struct Panics(Scope);

impl LaterEvent for Panics {
    fn scope(&self) -> &Scope {
        &self.0
    }

    fn make(&self) -> AuditEvent {
        panic!("what the host describes")
    }

    fn told(self: Box<Self>, told: Result<Option<Receipt>, guardian_audit::Error>) {
        assert!(told.is_err());
    }
}

/// Requests wait for the thread of the queue: it goes on, whoever panicked.
#[tokio::test]
async fn a_panic_ends_no_queue_of_an_audit_layer() {
    let guardian = builder(&Ears::default(), &Letterbox::default()).in_memory().await.unwrap();
    let queue = Arc::new(AuditQueue::new(guardian.audit().clone(), 1_000, Overflow::Block).unwrap());
    let (troubles, acme) = (Arc::new(Mutex::new(Vec::new())), ann("acme"));
    let heard = Arc::clone(&troubles);
    let workers = guardian.workers().recording(Arc::clone(&queue));
    let workers =
        workers.on_trouble(move |part, error| heard.lock().unwrap().push(format!("{part}: {error}")));
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(async move { workers.run(async { drop(stopped.await) }).await });
    for _ in 0..2 {
        assert!(queue.enqueue_later(Box::new(Panics(acme.clone()))).unwrap().is_none());
        queue.record(&acme, AuditEvent::new("http.post.deals")).await.unwrap();
    }
    drop(stop);
    tokio::time::timeout(Duration::from_secs(60), running).await.unwrap().unwrap();
    assert_eq!(recorded(&guardian, &acme, "http.post.deals").await, 2);
    let troubles = troubles.lock().unwrap();
    let panicked = troubles.iter().filter(|trouble| trouble.contains("panicked; it is begun again")).count();
    assert_eq!(panicked, 2, "{troubles:?}");
}
