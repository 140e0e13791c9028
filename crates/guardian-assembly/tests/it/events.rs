//! Who hears of what: everybody, once, and nobody of what did not happen.

use guardian_assembly::{Backend, Error, Guardian};
use serde_json::json;

use crate::host::{Ears, Letterbox, ann, builder, listen, recorded, runs};

/// Everybody hears of an event once, in its own tenant.
async fn heard_once<B: Backend>(guardian: &Guardian<B>, ears: &Ears, letters: &Letterbox) {
    let (acme, globex) = (ann("acme"), ann("globex"));
    listen(guardian, &acme).await;
    listen(guardian, &globex).await;
    let workers = guardian.workers();
    workers.run_once().await.unwrap();

    let id = guardian.emit(&acme, "deal.won", json!({"deal": 7})).await.unwrap();
    workers.run_once().await.unwrap();
    workers.run_once().await.unwrap();
    assert_eq!(recorded(guardian, &acme, "deal.won").await, 1);
    assert_eq!(letters.ids_of("deal.won"), [id.to_string()]);
    assert_eq!(runs(guardian, &acme).await, 1);
    assert_eq!(ears.heard().iter().filter(|(heard, _)| *heard == id).count(), 1);
    // Of another tenant's, nobody.
    assert_eq!(recorded(guardian, &globex, "deal.won").await, 0);
    assert_eq!(runs(guardian, &globex).await, 0);

    let error = guardian.emit(&acme, "no name", json!({})).await.unwrap_err();
    assert!(matches!(error, Error::EventName { .. }) && error.to_string().contains("`no name`"), "{error}");
}

#[tokio::test]
async fn in_memory_everybody_hears_once() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).in_memory().await.unwrap();
    heard_once(&guardian, &ears, &letters).await;
}

#[tokio::test]
async fn somebody_who_refuses_in_memory_is_told_of() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).in_memory().await.unwrap();
    ears.refuse("deal.won", 1);
    assert!(guardian.emit(&ann("acme"), "deal.won", json!({})).await.is_err());
    assert!(guardian.emit(&ann("acme"), "deal.won", json!({})).await.is_ok());
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod on_a_database {
    use guardian_sql::testkit::Kind;

    use super::*;
    use crate::host::{tenant, until};

    #[tokio::test]
    async fn everybody_hears_once() {
        for kind in Kind::all() {
            let fresh = kind.open(&[]).await.unwrap();
            let (ears, letters) = (Ears::default(), Letterbox::default());
            let guardian = builder(&ears, &letters).open(fresh.owner_url()).await.unwrap();
            heard_once(&guardian, &ears, &letters).await;
            guardian.database().close().await;
        }
    }

    #[tokio::test]
    async fn an_event_belongs_to_its_transaction() {
        for kind in Kind::all() {
            let fresh = kind.open(&[]).await.unwrap();
            let (ears, letters) = (Ears::default(), Letterbox::default());
            let guardian = builder(&ears, &letters).open(fresh.owner_url()).await.unwrap();
            let acme = ann("acme");
            let mut tx = guardian.database().begin(&acme).await.unwrap();
            guardian.emit_in(&mut tx, "deal.lost", json!({})).await.unwrap();
            tx.rollback().await.unwrap();
            let mut tx = guardian.database().begin(&acme).await.unwrap();
            let id = guardian.emit_in(&mut tx, "deal.won", json!({})).await.unwrap();
            tx.commit().await.unwrap();
            guardian.workers().run_once().await.unwrap();
            assert_eq!(ears.heard(), [(id, "deal.won".to_owned())]);
            assert_eq!(recorded(&guardian, &acme, "deal.*").await, 1);
            guardian.database().close().await;
        }
    }

    /// One that somebody refuses comes again, with the same id, and keeps nobody behind it waiting.
    #[tokio::test]
    async fn what_is_refused_comes_again() {
        for kind in Kind::all() {
            let fresh = kind.open(&[]).await.unwrap();
            let (ears, letters) = (Ears::default(), Letterbox::default());
            let guardian = builder(&ears, &letters).open(fresh.owner_url()).await.unwrap();
            let acme = ann("acme");
            listen(&guardian, &acme).await;
            guardian.workers().run_once().await.unwrap();
            ears.refuse("deal.won", 2);
            let id = guardian.emit(&acme, "deal.won", json!({})).await.unwrap();
            guardian.emit(&acme, "deal.lost", json!({})).await.unwrap();
            until(async || {
                guardian.workers().run_once().await.unwrap();
                assert!(ears.names().contains(&"deal.lost".to_owned()), "it waited behind");
                ears.heard().iter().any(|(heard, _)| *heard == id)
            })
            .await;
            guardian.workers().run_once().await.unwrap();
            // Told three times, it has happened once.
            assert_eq!(recorded(&guardian, &acme, "deal.won").await, 1);
            assert_eq!(letters.ids_of("deal.won"), [id.to_string()]);
            assert_eq!(runs(&guardian, &acme).await, 1);
            guardian.database().close().await;
        }
    }

    /// A tenant's transaction sees its own waiting events alone.
    #[tokio::test]
    async fn waiting_events_are_behind_the_wall() {
        for kind in Kind::all().iter().filter(|kind| **kind != Kind::SqliteMemory) {
            let fresh = kind.open(&[&guardian_assembly::MIGRATIONS]).await.unwrap();
            let (ears, letters) = (Ears::default(), Letterbox::default());
            let guardian = builder(&ears, &letters).open(fresh.owner_url()).await.unwrap();
            guardian.emit(&ann("acme"), "deal.won", json!({})).await.unwrap();
            if fresh.app_role().is_some() {
                let mut tx = fresh.database().begin(&ann("globex")).await.unwrap();
                let rows = tx.fetch_all("SELECT id FROM guardian_outbox", &[]).await.unwrap();
                assert!(rows.is_empty(), "{kind:?}");
                let sql = "INSERT INTO guardian_outbox (tenant_id, id, event, heard, attempts, next_at) \
                           VALUES ('acme', $1, '{}', 0, 0, now())";
                let put = tx.execute(sql, guardian_sql::params![uuid::Uuid::nil()]).await;
                assert!(put.is_err(), "{kind:?}");
            }
            let mut tx = fresh.database().begin(&ann("acme")).await.unwrap();
            let sql = "SELECT id FROM guardian_outbox WHERE tenant_id = $1";
            let rows = tx.fetch_all(sql, guardian_sql::params![&tenant("acme")]).await.unwrap();
            assert_eq!(rows.len(), 1, "{kind:?}");
            drop(tx);
            guardian.database().close().await;
        }
    }

    /// A row that nobody can read keeps no other from being told.
    #[tokio::test]
    async fn a_row_that_cannot_be_read_keeps_nobody_waiting() {
        for kind in Kind::all() {
            let fresh = kind.open(&[]).await.unwrap();
            let (ears, letters) = (Ears::default(), Letterbox::default());
            let guardian = builder(&ears, &letters).open(fresh.owner_url()).await.unwrap();
            let mut tx = guardian.database().begin(&ann("acme")).await.unwrap();
            let sql = "INSERT INTO guardian_outbox (tenant_id, id, event, heard, attempts, next_at) \
                       VALUES ('acme', $1, '{', 0, 0, $2)";
            let at = chrono::DateTime::UNIX_EPOCH;
            tx.execute(sql, guardian_sql::params![uuid::Uuid::nil(), at]).await.unwrap();
            tx.commit().await.unwrap();
            guardian.emit(&ann("acme"), "deal.won", json!({})).await.unwrap();
            let troubles = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
            let heard = std::sync::Arc::clone(&troubles);
            let workers = guardian
                .workers()
                .on_trouble(move |part, error| heard.lock().unwrap().push(format!("{part}: {error}")));
            workers.run_once().await.unwrap();
            assert_eq!(ears.names(), ["deal.won"], "{kind:?}");
            let troubles = troubles.lock().unwrap().clone();
            assert!(troubles.iter().any(|trouble| trouble.starts_with("events: the outbox")), "{troubles:?}");
            guardian.database().close().await;
        }
    }

    /// Events about one thing are delivered in their order, however many processes tell them.
    #[tokio::test(flavor = "multi_thread")]
    async fn events_about_one_thing_come_in_order() {
        use guardian_audit::{AuditEvent, Target};
        for kind in Kind::all().iter().filter(|kind| **kind != Kind::SqliteMemory) {
            let fresh = kind.open(&[]).await.unwrap();
            let (ears, letters) = (Ears::default(), Letterbox::default());
            let one = builder(&ears, &letters).open(fresh.owner_url()).await.unwrap();
            let two = builder(&ears, &letters).open(fresh.owner_url()).await.unwrap();
            let acme = ann("acme");
            listen(&one, &acme).await;
            let mut expected = Vec::new();
            for n in 0..20 {
                let process = if n % 2 == 0 { &one } else { &two };
                let mut tx = process.database().begin(&acme).await.unwrap();
                let event = AuditEvent::new("deal.moved").with_target(Target::new("deal", "7"));
                let id = process.record_in(&mut tx, event, json!({"n": n})).await.unwrap();
                tx.commit().await.unwrap();
                expected.push(id.to_string());
            }
            until(async || {
                let (first, second) = (one.workers(), two.workers());
                let (first, second) = tokio::join!(first.run_once(), second.run_once());
                first.unwrap();
                second.unwrap();
                letters.ids_of("deal.moved").len() == expected.len()
            })
            .await;
            assert_eq!(letters.ids_of("deal.moved"), expected, "{kind:?}");
            assert_eq!(recorded(&one, &acme, "deal.moved").await, 20);
            one.database().close().await;
            two.database().close().await;
        }
    }

    /// What webhooks say of themselves is kept as well: the endpoint is made, its secret given, and who listens hears of it later.
    #[tokio::test]
    async fn an_endpoint_is_made_though_nobody_hears_of_it() {
        let fresh = Kind::SqliteFile.open(&[]).await.unwrap();
        let (ears, letters) = (Ears::default(), Letterbox::default());
        let guardian = builder(&ears, &letters).open(fresh.owner_url()).await.unwrap();
        ears.refuse("webhook.endpoint.created", 1);
        listen(&guardian, &ann("acme")).await;
        until(async || {
            guardian.workers().run_once().await.unwrap();
            ears.names().contains(&"webhook.endpoint.created".to_owned())
        })
        .await;
        assert_eq!(recorded(&guardian, &ann("acme"), "webhook.endpoint.created").await, 1);
        assert!(letters.ids_of("webhook.endpoint.created").is_empty(), "it told of itself");
        guardian.database().close().await;
    }
}

/// What the host has not declared is no webhook, and everybody else hears of it.
#[tokio::test]
async fn an_event_of_no_declared_type_goes_to_everybody_else() {
    use guardian_webhook::{Config, EventType, EventTypes};
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let types = EventTypes::new([EventType::new("deal.lost", "A deal was lost").unwrap()]);
    let guardian =
        builder(&ears, &letters).webhooks(Config::default().with_types(types)).in_memory().await.unwrap();
    let acme = ann("acme");
    listen(&guardian, &acme).await;
    guardian.emit(&acme, "deal.won", json!({})).await.unwrap();
    guardian.emit(&acme, "deal.lost", json!({})).await.unwrap();
    guardian.workers().run_once().await.unwrap();
    assert_eq!(recorded(&guardian, &acme, "deal.*").await, 2);
    assert_eq!(runs(&guardian, &acme).await, 1);
    assert_eq!((letters.ids_of("deal.won").len(), letters.ids_of("deal.lost").len()), (0, 1));
}

#[tokio::test]
async fn an_event_that_not_all_could_take_is_refused_at_once() {
    let (ears, letters) = (Ears::default(), Letterbox::default());
    let guardian = builder(&ears, &letters).in_memory().await.unwrap();
    let deep = (0..40).fold(json!(1), |inside, _| json!([inside]));
    for data in [deep, json!({"text": "x".repeat(300 << 10)})] {
        let error = guardian.emit(&ann("acme"), "deal.won", data).await.unwrap_err();
        assert!(matches!(error, Error::EventData { .. }), "{error}");
    }
    assert!(ears.heard().is_empty());
}
