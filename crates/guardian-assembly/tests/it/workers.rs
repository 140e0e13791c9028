//! What goes on in the background: until it is time to stop, and then to the end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use guardian_assembly::{Backend, Guardian};
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
