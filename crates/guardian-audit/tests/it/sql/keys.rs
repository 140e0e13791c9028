//! Keys of data subjects in databases.

use guardian_audit::keys::{KeyStore, SqlKeys};
use guardian_sql::testkit::Kind;
use uuid::Uuid;

use super::{fresh, scope};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_has_one_key_until_it_is_destroyed() {
    for kind in Kind::all() {
        let fresh = fresh(*kind, &[&SqlKeys::MIGRATIONS]).await;
        let (keys, ours, theirs) = (SqlKeys::new(fresh.database()), scope("ours"), scope("theirs"));
        let racing: Vec<_> = (0..6)
            .map(|_| {
                let (keys, ours) = (keys.clone(), ours.clone());
                tokio::spawn(async move { keys.key_of(&ours, "user:u_1").await.unwrap() })
            })
            .collect();
        let key = keys.key_of(&ours, "user:u_1").await.unwrap();
        for other in racing {
            let other = other.await.unwrap();
            assert_eq!((other.id, other.secret), (key.id, key.secret.clone()), "{kind:?}");
        }
        let foreign = keys.key_of(&theirs, "user:u_1").await.unwrap();
        assert_ne!(foreign.id, key.id, "{kind:?}");
        let held = keys.keys(&ours, &[key.id, foreign.id, Uuid::nil()]).await.unwrap();
        assert_eq!(held.keys().collect::<Vec<_>>(), [&key.id], "{kind:?}");

        assert!(!keys.destroy(&theirs, "user:u_2").await.unwrap(), "{kind:?}");
        assert!(keys.destroy(&ours, "user:u_1").await.unwrap(), "{kind:?}");
        assert!(!keys.destroy(&ours, "user:u_1").await.unwrap(), "{kind:?}");
        assert!(keys.keys(&ours, &[key.id]).await.unwrap().is_empty(), "{kind:?}");
        assert_eq!(keys.keys(&theirs, &[foreign.id]).await.unwrap().len(), 1, "{kind:?}");
        let next = keys.key_of(&ours, "user:u_1").await.unwrap();
        assert!(next.id != key.id && next.secret != key.secret, "{kind:?}");
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_destroyed_key_is_not_in_the_file() {
    let fresh = fresh(Kind::SqliteFile, &[&SqlKeys::MIGRATIONS]).await;
    let path = std::path::PathBuf::from(fresh.url().strip_prefix("sqlite://").unwrap());
    let contains = |secret: &[u8; 32]| std::fs::read(&path).unwrap().windows(32).any(|part| part == secret);
    let (keys, acme) = (SqlKeys::new(fresh.database()), scope("acme"));
    let key = keys.key_of(&acme, "user:u_1").await.unwrap();
    keys.key_of(&acme, "user:u_2").await.unwrap();
    keys.destroy(&acme, "user:u_1").await.unwrap();
    // The last connection moves the write-ahead log into the file.
    fresh.database().close().await;
    assert!(!contains(&key.secret));
}
