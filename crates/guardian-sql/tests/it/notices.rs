//! What was told while nobody listened is never passed over in silence.

use std::time::Duration;

use guardian_sql::Database;
use guardian_sql::testkit::PostgresServer;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loss_is_told_though_who_waits_was_dropped_while_it_connects_again() {
    let mut server = PostgresServer::new().unwrap();
    server.start().await.unwrap();
    let db = Database::open(&server.url()).await.unwrap();
    let notices = db.notices("tests").unwrap();
    assert_eq!(notices.next().await.unwrap(), None, "at the beginning");
    let patience = Duration::from_millis(300);
    assert!(timeout(patience, notices.next()).await.is_err(), "nothing was told yet");
    // The connection is lost, and the server takes new ones without an answer.
    server.kill().unwrap();
    server.start().await.unwrap();
    server.hang().unwrap();
    for _ in 0..3 {
        // An error says that something is wrong too; what must not be is a listener that listens again as if nothing had been.
        if let Ok(told) = timeout(patience, notices.next()).await {
            assert!(told.is_err(), "{told:?}");
        }
    }
    server.go_on().unwrap();
    let told = timeout(Duration::from_secs(20), async {
        loop {
            if let Ok(told) = notices.next().await {
                return told;
            }
        }
    });
    assert_eq!(told.await.expect("the loss is never told"), None);
}
