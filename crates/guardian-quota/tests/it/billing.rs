//! What is spent is billed, in the shapes that billing systems take, and adds up.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Clock, Event, EventSink, StoreError, StoreErrorKind, TenantId};
use guardian_quota::billing::{BillingEvent, BillingSink, Receipt, Relay, RelayConfig};
use guardian_quota::testkit::{DAY, quotas, scope};
use guardian_quota::{
    FeatureName, Happened, MemoryStore, Period, Plan, PlanName, Quotas, Subject, Subscription, Usage,
};
use parking_lot::Mutex;
use uuid::Uuid;

/// A billing system that fails now and then, before it takes events or after.
#[derive(Debug, Default)]
struct Shaky {
    kept: Mutex<BTreeMap<Uuid, BillingEvent>>,
    calls: Mutex<u32>,
    deliveries: Mutex<u32>,
}

#[async_trait]
impl BillingSink for Shaky {
    async fn send(&self, events: &[BillingEvent]) -> Result<Vec<Receipt>, StoreError> {
        let call = {
            let mut calls = self.calls.lock();
            *calls += 1;
            *calls
        };
        if call % 3 == 1 {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "billing"));
        }
        let mut receipts = Vec::new();
        for event in events {
            *self.deliveries.lock() += 1;
            if event.value == 13 {
                receipts.push(Receipt::Rejected("unlucky".to_owned()));
                continue;
            }
            if let Some(before) = self.kept.lock().insert(event.id, event.clone()) {
                assert_eq!(before, *event, "one id, two events");
            }
            receipts.push(Receipt::Accepted);
        }
        if call % 3 == 2 {
            // Taken, and the answer is lost.
            return Err(StoreError::new(StoreErrorKind::Timeout, "billing"));
        }
        Ok(receipts)
    }

    async fn total(
        &self,
        tenant: &TenantId,
        feature: &FeatureName,
        period: Period,
    ) -> Result<Option<i128>, StoreError> {
        let kept = self.kept.lock();
        let own = |event: &&BillingEvent| {
            event.tenant == *tenant && event.feature == *feature && event.period == period
        };
        Ok(Some(kept.values().filter(own).map(|event| event.value).sum()))
    }
}

#[derive(Debug, Clone, Default)]
struct Told(Arc<Mutex<BTreeMap<Uuid, Event>>>);

#[async_trait]
impl EventSink for Told {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        self.0.lock().insert(event.id, event);
        Ok(())
    }
}

#[tokio::test]
async fn everything_billed_arrives_and_nothing_else() {
    let (quotas, clock, scope) = quotas(MemoryStore::new(), "acme").await.unwrap();
    let org = Subject::org();
    for amount in [5, 7, 13, 40] {
        drop(quotas.consume(&scope, &Usage::of("calls", &org, amount).unwrap()).await.unwrap());
    }
    quotas.give_back(&scope, &Usage::of("calls", &org, 2).unwrap()).await.unwrap();
    let hold =
        quotas.reserve(&scope, &Usage::of("tokens", &org, 100).unwrap(), DAY).await.unwrap().hold.unwrap();
    drop(quotas.commit(&scope, &hold, 60).await.unwrap());
    // A meter that is not billed.
    drop(quotas.consume(&scope, &Usage::of("exports", &org, 1).unwrap()).await.unwrap());
    clock.advance(31 * DAY);
    let late =
        Happened { usage: Usage::of("calls", &org, 9).unwrap(), at: "2026-01-20T00:00:00Z".parse().unwrap() };
    quotas.record(&scope, &late).await.unwrap();
    drop(quotas.consume(&scope, &Usage::of("calls", &org, 1).unwrap()).await.unwrap());

    let told = Told::default();
    let relay = Relay::new(&quotas, Shaky::default())
        .with_events(told.clone())
        .with_config(RelayConfig::default().with_batch(2));
    let before = relay.reconcile(&scope, "calls").await.unwrap();
    assert!(!before.rows[0].is_settled());
    for _ in 0..40 {
        relay.run_once().await.unwrap();
    }
    let kept: Vec<i128> = relay.sink().kept.lock().values().map(|event| event.value).collect();
    let mut sorted = kept.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [-2, 1, 5, 7, 9, 40, 60]);
    assert!(*relay.sink().deliveries.lock() > 7, "nothing was repeated, so nothing was tried");
    let after = relay.reconcile(&scope, "calls").await.unwrap();
    // What was rejected is what differs.
    assert_eq!(after.rows[0].ledger, 5 + 7 + 13 + 40 - 2 + 9);
    assert_eq!((after.rows[0].sent, after.rows[0].differing()), (after.rows[0].ledger, Some(13)));
    assert_eq!((after.rows[1].ledger, after.rows[1].is_settled()), (1, true));
    let names: Vec<String> = told.0.lock().values().map(|event| event.name.clone()).collect();
    assert_eq!(names.iter().filter(|name| *name == "quota.threshold_reached").count(), 1);
    assert_eq!(names.iter().filter(|name| *name == "quota.billing_rejected").count(), 1);
}

#[tokio::test]
async fn the_shapes_of_billing_systems() {
    let (quotas, _, scope) = quotas(MemoryStore::new(), "acme").await.unwrap();
    let user = Subject::org().user("u_17").unwrap();
    drop(quotas.consume(&scope, &Usage::of("calls", &user, 3).unwrap()).await.unwrap());
    let entry = &quotas.entries(&scope, "calls", 0, 1).await.unwrap()[0];
    let event = BillingEvent::of(scope.tenant(), &FeatureName::new("calls").unwrap(), entry).unwrap();
    assert_eq!(
        event.to_stripe("cus_1"),
        serde_json::json!({
            "event_name": "calls", "identifier": event.id, "timestamp": 1_768_478_400,
            "payload": { "stripe_customer_id": "cus_1", "value": "3" }
        })
    );
    assert_eq!(
        event.to_cloud_event("guardian"),
        serde_json::json!({
            "specversion": "1.0", "id": event.id, "source": "guardian", "type": "calls", "subject": "acme",
            "time": "2026-01-15T12:00:00Z", "datacontenttype": "application/json",
            "data": { "value": "3", "subject": "user:u_17", "entry": 1 }
        })
    );
    // What we send can be read again.
    let read = Happened::parse(&event.to_cloud_event("guardian").to_string()).unwrap();
    assert_eq!((read.usage.amount(), read.usage.subject()), (3, &user));
}

#[tokio::test]
async fn an_invoice_has_what_went_beyond() {
    let (quotas, clock, scope) = quotas(MemoryStore::new(), "acme").await.unwrap();
    let org = Subject::org();
    drop(quotas.consume(&scope, &Usage::of("emails", &org, 12).unwrap()).await.unwrap());
    drop(quotas.reserve(&scope, &Usage::of("emails", &org, 1).unwrap(), DAY).await.unwrap());
    let now = clock.now();
    let lines = quotas.invoice(&scope, now).await.unwrap();
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!(
        (line.included, line.used, line.beyond, line.micros, line.minor()),
        (10, 12, 2, 10_000_000, 10)
    );
    clock.advance(31 * DAY);
    let late = Happened { usage: Usage::of("emails", &org, 5).unwrap(), at: now };
    quotas.record(&scope, &late).await.unwrap();
    assert_eq!(quotas.invoice(&scope, now).await.unwrap()[0].beyond, 7, "what came late is charged too");
    assert!(quotas.invoice(&scope, clock.now()).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_given_back_with_a_reason_is_in_the_ledger_and_told_once() {
    let plan = Plan::parse(
        r#"{"name": "p", "features": {"seats": {"metered": {"unit": "seat", "aggregation": "count", "limits": {
            "org": {"amount": 25, "period": "lifetime"}}}}}}"#,
    );
    let (told, scope) = (Told::default(), scope("acme").unwrap());
    let quotas = Quotas::in_memory([plan.unwrap()]).unwrap().with_events(told.clone()).unwrap();
    let anchor = "2026-01-01T00:00:00Z".parse().unwrap();
    quotas.subscribe(&scope, Subscription::new(PlanName::new("p").unwrap(), anchor)).await.unwrap();
    let seat = Usage::of("seats", &Subject::org(), 1).unwrap();
    drop(quotas.consume(&scope, &seat).await.unwrap());
    let keyed = seat.with_key("back-1").unwrap();
    let first = quotas.give_back_because(&scope, &keyed, "ann has left").await.unwrap();
    let again = quotas.give_back_because(&scope, &keyed, "ann has left").await.unwrap();
    assert_eq!((again.entry, again.replayed), (first.entry, true));
    let nothing = Usage::of("seats", &Subject::org(), 0).unwrap();
    assert_eq!(quotas.give_back_because(&scope, &nothing, "a mistake").await.unwrap().entry, None);
    let entries = quotas.entries(&scope, "seats", 0, 10).await.unwrap();
    assert_eq!(
        entries.iter().map(guardian_quota::Entry::note).collect::<Vec<_>>(),
        [None, Some("ann has left")]
    );
    let given: Vec<_> =
        told.0.lock().values().filter(|event| event.name == "quota.given_back").cloned().collect();
    assert_eq!(given.len(), 1);
    assert_eq!(given[0].data["why"], "ann has left");
}
