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
                let sql = "INSERT INTO guardian_outbox (tenant_id, id, event, attempts, next_at) \
                           VALUES ('acme', $1, '{}', 0, now())";
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
}
