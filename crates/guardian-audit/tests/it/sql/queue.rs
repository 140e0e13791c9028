//! The queue in front of a log in a database, drained by a plain thread.

use std::sync::Arc;

use guardian_audit::store::SqlStore;
use guardian_audit::{AuditConfig, AuditEvent, AuditLog, AuditQueue, Overflow};
use guardian_core::{Scope, TenantId};
use guardian_sql::Database;

#[tokio::test]
async fn a_thread_of_the_host_s_drains_into_a_database() {
    let db = Database::open("sqlite::memory:").await.unwrap();
    let log = AuditLog::new(SqlStore::open(db).await.unwrap(), AuditConfig::default());
    let queue = Arc::new(AuditQueue::new(log, 10, Overflow::Block).unwrap());
    let worker = std::thread::spawn({
        let queue = Arc::clone(&queue);
        move || queue.run(|error| panic!("{error}"))
    });
    let acme = Scope::system(TenantId::new("acme").unwrap());
    for sequence in 0..25 {
        let receipt = queue.record(&acme, AuditEvent::new("a.b")).await.unwrap().unwrap();
        assert_eq!(receipt.sequence, sequence);
    }
    queue.close();
    tokio::task::spawn_blocking(|| worker.join().unwrap()).await.unwrap();
}
