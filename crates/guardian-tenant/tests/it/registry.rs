//! The registry: its steps, its events, and a comparison with a naive model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use guardian_core::{
    Actor, Event, EventSink, ManualClock, Scope, SeededIds, StoreError, StoreErrorKind, TenantId,
};
use guardian_tenant::{
    Error, MemoryStore, NewTenant, Plan, Platform, Purger, Registry, Settings, TenantChange, Version,
};
use parking_lot::Mutex;
use proptest::prelude::*;

#[derive(Debug, Clone, Default)]
struct Ears {
    heard: Arc<Mutex<Vec<Event>>>,
    deaf: Arc<AtomicBool>,
}

#[async_trait]
impl EventSink for Ears {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        if self.deaf.load(Ordering::Relaxed) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "ears"));
        }
        self.heard.lock().push(event);
        Ok(())
    }
}

impl Ears {
    fn names(&self) -> Vec<String> {
        self.heard.lock().iter().map(|event| event.name.clone()).collect()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn platform() -> Platform {
    let operator = Scope::new(TenantId::new("operator").unwrap(), Actor::user("ops").unwrap());
    Platform::new(operator, "a test of the registry").unwrap()
}

fn setting() -> (Registry, ManualClock, Ears) {
    let (clock, ears) = (ManualClock::new(), Ears::default());
    let registry = Registry::new(MemoryStore::new())
        .with_clock(clock.clone())
        .with_ids(SeededIds::new(1))
        .with_sink(ears.clone());
    (registry, clock, ears)
}

fn new(id: &str) -> NewTenant {
    NewTenant::new(TenantId::new(id).unwrap(), "Acme", "team", "eu").unwrap()
}

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_life_from_creation_to_purge() {
    let (registry, clock, ears) = setting();
    let p = platform();
    block_on(async {
        let acme =
            registry.create(&p, new("acme").internal(r#"{"credit": "bad"}"#.parse().unwrap())).await.unwrap();
        let id = acme.id.clone();
        let v = registry.suspend(&p, &id, acme.version, "unpaid").await.unwrap().version;
        let v = registry.delete(&p, &id, v, 30 * DAY).await.unwrap().version;
        clock.advance(DAY);
        // It comes back suspended, as it was.
        let back = registry.undelete(&p, &id, v).await.unwrap();
        assert_eq!(back.status.name(), "suspended");
        let v = registry.resume(&p, &id, back.version).await.unwrap().version;
        let v = registry.delete(&p, &id, v, 30 * DAY).await.unwrap().version;
        let early = registry.purge(&p, &id, v).await.unwrap_err();
        assert_eq!(early.to_string(), "cannot purge the tenant `acme`");
        clock.advance(30 * DAY);
        let late = registry.undelete(&p, &id, v).await.unwrap_err();
        assert!(matches!(late, Error::Transition { step: "undelete", .. }), "{late:?}");
        assert_eq!(registry.purge_due(&p, 10).await.unwrap(), 1);
        let gone = registry.get(&p, &id).await.unwrap();
        assert_eq!((gone.status.name(), gone.internal == Settings::new()), ("purged", true));
        // Its id is not free, and it does not see itself.
        assert!(matches!(registry.create(&p, new("acme")).await.unwrap_err(), Error::Exists { .. }));
        assert!(matches!(registry.own(&Scope::system(id)).await.unwrap_err(), Error::NotFound { .. }));
        let names = ears.names();
        assert_eq!(
            names,
            [
                "tenant.created",
                "tenant.suspended",
                "tenant.deletion_started",
                "tenant.undeleted",
                "tenant.resumed",
                "tenant.deletion_started",
                "tenant.purged"
            ]
        );
    });
}

#[test]
fn a_tenant_sees_no_notes_and_no_reason() {
    let (registry, _, _) = setting();
    let p = platform();
    block_on(async {
        let acme = registry
            .create(&p, new("acme").internal(r#"{"credit": "canary-note"}"#.parse().unwrap()))
            .await
            .unwrap();
        registry.suspend(&p, &acme.id, acme.version, "canary-reason").await.unwrap();
        let profile = registry.own(&Scope::system(acme.id)).await.unwrap();
        let text = serde_json::to_string(&profile).unwrap();
        assert!(!text.contains("canary"), "{text}");
        assert_eq!(profile.status, "suspended");
    });
}

#[test]
fn an_old_version_changes_nothing() {
    let (registry, _, ears) = setting();
    let p = platform();
    block_on(async {
        let acme = registry.create(&p, new("acme")).await.unwrap();
        let change = || TenantChange::new().plan(Plan::new("enterprise").unwrap());
        let changed = registry.update(&p, &acme.id, acme.version, change()).await.unwrap();
        assert_eq!(changed.version, Version::new(2));
        let stale = registry.update(&p, &acme.id, acme.version, change()).await.unwrap_err();
        assert_eq!(
            stale.to_string(),
            "the tenant `acme` is at version 2, not 1: read it again and decide anew"
        );
        // Nothing changes, so nothing is written.
        let same = registry.update(&p, &acme.id, changed.version, change()).await.unwrap();
        assert_eq!(same.version, changed.version);
        assert_eq!(ears.names(), ["tenant.created", "tenant.updated"]);
        let heard = ears.heard.lock();
        assert_eq!(heard[1].data["fields"], serde_json::json!(["plan"]));
        assert_eq!(heard[1].data["reason"], "a test of the registry");
    });
}

#[test]
fn events_wait_for_a_sink_that_is_away() {
    let (registry, _, ears) = setting();
    let p = platform();
    block_on(async {
        ears.deaf.store(true, Ordering::Relaxed);
        let acme = registry.create(&p, new("acme")).await.unwrap();
        registry.suspend(&p, &acme.id, acme.version, "unpaid").await.unwrap();
        assert!(registry.deliver(&p, 10).await.is_err());
        ears.deaf.store(false, Ordering::Relaxed);
        assert_eq!(registry.deliver(&p, 10).await.unwrap(), 2);
        assert_eq!(registry.deliver(&p, 10).await.unwrap(), 0);
        assert_eq!(ears.names(), ["tenant.created", "tenant.suspended"]);
    });
}

#[derive(Debug, Default, Clone)]
struct Shredder {
    asked: Arc<Mutex<Vec<String>>>,
    broken: Arc<AtomicBool>,
}

#[async_trait]
impl Purger for Shredder {
    async fn purge(&self, scope: &Scope) -> Result<(), StoreError> {
        self.asked.lock().push(scope.tenant().to_string());
        if self.broken.load(Ordering::Relaxed) && scope.tenant().as_str() == "a" {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "shredder"));
        }
        Ok(())
    }
}

#[test]
fn a_tenant_whose_data_cannot_be_purged_stays() {
    let (registry, clock, _) = setting();
    let shredder = Shredder::default();
    let registry = registry.with_purger(shredder.clone());
    let p = platform();
    block_on(async {
        for id in ["a", "b"] {
            let tenant = registry.create(&p, new(id)).await.unwrap();
            registry.delete(&p, &tenant.id, tenant.version, DAY).await.unwrap();
        }
        clock.advance(DAY);
        shredder.broken.store(true, Ordering::Relaxed);
        let error = registry.purge_due(&p, 10).await.unwrap_err();
        assert_eq!(error.to_string(), "the data of the tenant `a` could not be purged");
        let status = |id: &'static str| {
            let (registry, p) = (registry.clone(), p.clone());
            async move { registry.get(&p, &TenantId::new(id).unwrap()).await.unwrap().status.name() }
        };
        assert_eq!((status("a").await, status("b").await), ("deleting", "purged"));
        shredder.broken.store(false, Ordering::Relaxed);
        assert_eq!(registry.purge_due(&p, 10).await.unwrap(), 1);
        assert_eq!(status("a").await, "purged");
        assert_eq!(*shredder.asked.lock(), ["a", "b", "a"]);
    });
}

/// What a naive reading of the diagram says about a step.
fn model(status: &str, was_suspended: bool, step: u8, grace_over: bool) -> Option<&'static str> {
    match (status, step) {
        ("active", 0) => Some("suspended"),
        ("suspended", 1) => Some("active"),
        ("active" | "suspended", 2) => Some("deleting"),
        ("deleting", 3) if !grace_over => Some(if was_suspended { "suspended" } else { "active" }),
        ("deleting", 4) if grace_over => Some("purged"),
        _ => None,
    }
}

proptest! {
    #[test]
    fn every_sequence_of_steps_does_what_the_diagram_says(
        steps in proptest::collection::vec((0_u8..6, 0_u8..3, 0_u64..3, any::<bool>()), 1..60)
    ) {
        let (registry, clock, ears) = setting();
        let p = platform();
        block_on(async {
            // Status, whether it was suspended when its deletion began, the end of its grace, version.
            let mut known: BTreeMap<String, (&'static str, bool, u64, i64)> = BTreeMap::new();
            let (mut now, mut changes) = (0_u64, 0);
            for (step, who, wait, stale) in steps {
                now += wait;
                clock.advance(Duration::from_secs(wait));
                let id = TenantId::from(u64::from(who));
                let entry = known.get(id.as_str()).copied();
                if step == 5 {
                    let done = registry.create(&p, new(id.as_str())).await;
                    prop_assert_eq!(done.is_ok(), entry.is_none());
                    if entry.is_none() {
                        known.insert(id.to_string(), ("active", false, 0, 1));
                        changes += 1;
                    }
                    continue;
                }
                let actual = entry.map_or(1, |entry| entry.3);
                let version = Version::new(if stale { actual + 1 } else { actual });
                let done = match step {
                    0 => registry.suspend(&p, &id, version, "test").await,
                    1 => registry.resume(&p, &id, version).await,
                    2 => registry.delete(&p, &id, version, Duration::from_secs(2)).await,
                    3 => registry.undelete(&p, &id, version).await,
                    _ => registry.purge(&p, &id, version).await,
                };
                let Some((status, was, end, _)) = entry else {
                    prop_assert!(matches!(done, Err(Error::NotFound { .. })), "{:?}", done);
                    continue;
                };
                if stale {
                    prop_assert!(matches!(done, Err(Error::Conflict { .. })), "{:?}", done);
                    continue;
                }
                match model(status, was, step, now >= end) {
                    None => prop_assert!(matches!(done, Err(Error::Transition { .. })), "{:?}", done),
                    Some(next) => {
                        let done = done.unwrap();
                        prop_assert_eq!(done.status.name(), next);
                        prop_assert_eq!(done.version.number(), actual + 1);
                        let was = if step == 2 { status == "suspended" } else { was };
                        let end = if step == 2 { now + 2 } else { end };
                        known.insert(id.to_string(), (next, was, end, actual + 1));
                        changes += 1;
                    }
                }
            }
            prop_assert_eq!(ears.heard.lock().len(), changes);
            Ok(())
        })?;
    }

    #[test]
    fn settings_that_parse_keep_the_limits_and_survive(text in "\\PC{0,40}|\\{\"[a-z]{0,3}\": ?[0-9\\[\\]{}\",a]{0,12}\\}") {
        if let Ok(settings) = text.parse::<Settings>() {
            let again: Settings = settings.to_string().parse().unwrap();
            prop_assert_eq!(&again, &settings);
            prop_assert!(settings.to_string().len() <= Settings::MAX_BYTES);
        }
    }
}

#[test]
fn settings_say_which_limit_they_break() {
    for (text, why) in [
        ("[".repeat(20_000), "recursion limit"),
        (format!("{{\"a\": {}1{}}}", "[".repeat(16), "]".repeat(16)), "nested deeper than 16 levels"),
        (format!("{{\"a\": \"{}\"}}", "x".repeat(66_000)), "more than 65536 bytes"),
        (format!("{{\"a\": [{}1]}}", "1,".repeat(5000)), "more than 4096 values"),
        ("{\"\": 1}".to_owned(), "a key must have"),
        ("{\"a\": 18446744073709551615}".to_owned(), "64 bits with a sign"),
        ("{\"a\": \"\\u0000\"}".to_owned(), "U+0000"),
        ("x".repeat(200_000), "more than 131072 bytes"),
    ] {
        let error = text.parse::<Settings>().unwrap_err().to_string();
        assert!(error.contains(why) && error.len() < 400, "{error}");
    }
}
