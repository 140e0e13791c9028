//! Anchors obey their laws, and files of them survive being torn.

use std::fs;

use async_trait::async_trait;
use guardian_audit::anchor::{Anchor, Anchored, FileAnchor, MemoryAnchor, Webhook, WebhookAnchor, laws};
use guardian_audit::checkpoint::{Checkpoint, Ed25519Signer, SealedCheckpoint};
use guardian_audit::merkle::leaf_hash;
use guardian_core::{Clock, ManualClock, Scope, StoreError, StoreErrorKind, TenantId};
use tokio::sync::Mutex;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn scope() -> Scope {
    Scope::system(TenantId::new("acme").unwrap())
}

fn checkpoint(size: u64) -> SealedCheckpoint {
    let signer = Ed25519Signer::from_seed("audit.example.com/1", &[1; 32]).unwrap();
    let now = ManualClock::new().now();
    let root = leaf_hash(&size.to_be_bytes());
    let checkpoint = Checkpoint::new(scope().tenant().clone(), size, root, None, now).unwrap();
    SealedCheckpoint::signed(checkpoint, &signer).unwrap()
}

#[test]
fn memory_obeys() {
    block_on(laws::obeys(&MemoryAnchor::new())).unwrap();
}

#[test]
fn a_file_obeys() {
    let folder = tempfile::tempdir().unwrap();
    let (anchor, _) = FileAnchor::open(folder.path().join("anchor")).unwrap();
    block_on(laws::obeys(&anchor)).unwrap();
}

/// Somebody who keeps every note.
#[derive(Debug, Default)]
struct Receiver(Mutex<Vec<(TenantId, String)>>);

#[async_trait]
impl Webhook for Receiver {
    async fn deliver(&self, scope: &Scope, note: &str) -> Result<(), StoreError> {
        self.0.lock().await.push((scope.tenant().clone(), note.to_owned()));
        Ok(())
    }

    async fn fetch(&self, scope: &Scope) -> Result<Option<String>, StoreError> {
        let notes = self.0.lock().await;
        Ok(notes.iter().rev().find(|(tenant, _)| tenant == scope.tenant()).map(|(_, note)| note.clone()))
    }
}

#[test]
fn a_webhook_obeys_and_believes_no_nonsense() {
    block_on(async {
        laws::obeys(&WebhookAnchor::new("receiver", Receiver::default())).await.unwrap();
        for note in ["", "no note", &checkpoint(3).note().repeat(2), &"x".repeat(100_000)] {
            let receiver = Receiver::default();
            receiver.deliver(&scope(), note).await.unwrap();
            let anchor = WebhookAnchor::new("receiver", receiver);
            let error = anchor.latest(&scope()).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Corrupt);
            assert!(anchor.publish(&scope(), &checkpoint(4)).await.is_err());
        }
        // A note about another tenant.
        let receiver = Receiver::default();
        let other = Scope::system(TenantId::new("other").unwrap());
        receiver.deliver(&other, &checkpoint(3).note()).await.unwrap();
        let anchor = WebhookAnchor::new("receiver", receiver);
        assert_eq!(anchor.latest(&other).await.unwrap_err().kind(), StoreErrorKind::Corrupt);
    });
}

#[test]
fn a_file_that_was_torn_anywhere_keeps_what_was_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anchor");
    let mut ends = Vec::new();
    {
        let (anchor, _) = FileAnchor::open(&path).unwrap();
        for size in 1..=3 {
            assert_eq!(block_on(anchor.publish(&scope(), &checkpoint(size))).unwrap(), Anchored::Kept);
            ends.push(fs::metadata(&path).unwrap().len());
        }
        // One process at a time.
        assert!(FileAnchor::open(&path).is_err());
    }
    let whole = fs::read(&path).unwrap();
    for cut in 0..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let (anchor, torn) = FileAnchor::open(&path).unwrap();
        let kept = ends.iter().filter(|end| **end <= cut as u64).count() as u64;
        let latest = block_on(anchor.latest(&scope())).unwrap();
        assert_eq!(latest.map_or(0, |latest| latest.checkpoint().size()), kept);
        let clean = cut <= 16 || ends.contains(&(cut as u64));
        assert_eq!(torn.is_none(), clean, "cut at {cut}");
        // It goes on where it ended.
        assert_eq!(block_on(anchor.publish(&scope(), &checkpoint(9))).unwrap(), Anchored::Kept);
        drop(anchor);
        let (anchor, torn) = FileAnchor::open(&path).unwrap();
        assert!(torn.is_none());
        assert_eq!(block_on(anchor.latest(&scope())).unwrap(), Some(checkpoint(9)));
    }
}

#[test]
fn a_file_that_was_damaged_is_no_torn_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anchor");
    {
        let (anchor, _) = FileAnchor::open(&path).unwrap();
        for size in 1..=3 {
            let _ = block_on(anchor.publish(&scope(), &checkpoint(size))).unwrap();
        }
    }
    let whole = fs::read(&path).unwrap();
    let first_end = 16 + (whole.len() - 16) / 3;
    for at in 0..first_end {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, &damaged).unwrap();
        let error = FileAnchor::open(&path).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "byte {at}");
        assert_eq!(fs::read(&path).unwrap(), damaged, "nothing is cut off");
    }
    fs::write(&path, "something else").unwrap();
    assert!(FileAnchor::open(&path).is_err());
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql {
    use guardian_audit::anchor::{MIGRATIONS, SqlAnchor};
    use guardian_sql::params;
    use guardian_sql::testkit::Kind;

    use super::*;

    fn obeys(kind: Kind) {
        block_on(async {
            let fresh = kind.open(&[&MIGRATIONS]).await.unwrap();
            let anchor = SqlAnchor::new(fresh.database().clone());
            laws::obeys(&anchor).await.unwrap();
            // Nobody changes or deletes a row.
            let _ = anchor.publish(&scope(), &checkpoint(7)).await.unwrap();
            for sql in [
                "UPDATE guardian_audit_anchors SET size = 1 WHERE tenant_id = $1",
                "DELETE FROM guardian_audit_anchors WHERE tenant_id = $1",
            ] {
                let mut tx = fresh.database().begin(&scope()).await.unwrap();
                let changed = tx.execute(sql, params![scope().tenant()]).await;
                assert!(matches!(changed, Err(_) | Ok(0)), "{changed:?}");
                let _ = tx.commit().await;
            }
            assert_eq!(anchor.latest(&scope()).await.unwrap(), Some(checkpoint(7)));
            // Racing processes: the anchor ends at the largest.
            let racers = (10..26).map(|size| {
                let anchor = anchor.clone();
                tokio::spawn(async move { anchor.publish(&scope(), &checkpoint(size)).await.unwrap() })
            });
            for racer in racers.collect::<Vec<_>>() {
                let _ = racer.await.unwrap();
            }
            assert_eq!(anchor.latest(&scope()).await.unwrap(), Some(checkpoint(25)));
        });
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn sqlite_obeys() {
        obeys(Kind::SqliteMemory);
        obeys(Kind::SqliteFile);
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn postgres_obeys() {
        obeys(Kind::Postgres);
    }
}
