//! Crossing tenants is told before it happens, and does not happen when it cannot be told.

use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Event, EventSink, ManualClock, SeededIds, StoreError, StoreErrorKind};
use guardian_sql::{Dialect, Unscoped};
use tokio::sync::Mutex;

use crate::basics::{on_each, scope};

#[derive(Debug, Default)]
struct Sink {
    seen: Mutex<Vec<Event>>,
    broken: bool,
}

#[async_trait]
impl EventSink for Sink {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        if self.broken {
            return Err(StoreError::new(StoreErrorKind::Full, "memory"));
        }
        self.seen.lock().await.push(event);
        Ok(())
    }
}

#[tokio::test]
async fn an_unscoped_transaction_emits_its_reason_first() {
    on_each(async |fresh| {
        let sink = Arc::new(Sink::default());
        let db = fresh.database().with_events(Arc::clone(&sink), ManualClock::new(), SeededIds::new(1));
        let unscoped = Unscoped::new(scope("operator"), "count the notes of all tenants").unwrap();
        let mut tx = db.begin_unscoped(&unscoped).await.unwrap();
        {
            let seen = sink.seen.lock().await;
            assert_eq!(seen.len(), 1);
            assert_eq!((seen[0].name.as_str(), seen[0].tenant.as_str()), (Unscoped::EVENT, "operator"));
            assert_eq!(seen[0].data["reason"], "count the notes of all tenants");
        }
        tx.fetch_one("SELECT count(*) FROM notes", &[]).await.unwrap();
        if tx.dialect() == Dialect::Postgres {
            let sql = "SELECT current_setting('guardian.tenant', true) AS t, current_setting('guardian.unscoped', true) AS u";
            let row = tx.fetch_one(sql, &[]).await.unwrap();
            assert_eq!((row.get::<&str>("t").unwrap(), row.get::<&str>("u").unwrap()), ("", "on"));
            tx.commit().await.unwrap();
            let mut tx = db.begin(&scope("acme")).await.unwrap();
            let row = tx.fetch_one(sql, &[]).await.unwrap();
            assert_eq!((row.get::<&str>("t").unwrap(), row.get::<Option<&str>>("u").unwrap()), ("acme", Some("")));
        }
        let broken = Sink { broken: true, ..Sink::default() };
        let db = fresh.database().with_events(broken, ManualClock::new(), SeededIds::new(1));
        assert_eq!(db.begin_unscoped(&unscoped).await.unwrap_err().kind(), StoreErrorKind::Full);
    })
    .await;
}

#[test]
fn a_reason_says_something() {
    for (reason, why) in [
        ("", "it has fewer than 10 characters"),
        ("   because   ", "it has fewer than 10 characters"),
        ("delete\nall the old rows", "it has a control character"),
        (&"x".repeat(201), "it has more than 200 characters"),
    ] {
        let error = Unscoped::new(scope("operator"), reason).unwrap_err().to_string();
        assert!(error.ends_with(why), "{error}");
    }
}
