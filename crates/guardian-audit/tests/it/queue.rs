//! The queue in front of the log: nothing is lost in silence, whatever the store does.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use guardian_audit::keys::{KeyStore, MemoryKeys, SubjectKey};
use guardian_audit::{
    AuditConfig, AuditEvent, AuditLog, AuditQueue, Error, EventActor, Overflow, PersonalData, Receipt,
};
use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId};
use uuid::Uuid;

use crate::moody::Moody;

fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn scope(tenant: &str) -> Scope {
    Scope::system(TenantId::new(tenant).unwrap())
}

fn queue(capacity: usize, overflow: Overflow) -> Arc<AuditQueue<Moody>> {
    let log = AuditLog::new(Moody::default(), AuditConfig::default());
    Arc::new(AuditQueue::new(log, capacity, overflow).unwrap())
}

fn size(queue: &AuditQueue<Moody>, tenant: &str) -> u64 {
    now(queue.log().head(&scope(tenant))).unwrap().size
}

#[test]
fn many_callers_are_answered_each_with_its_own_place() {
    let queue = queue(16, Overflow::Block);
    *queue.log().store().fails.lock() = 2;
    let worker = thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            let mut failures = 0;
            queue.run(|_| failures += 1);
            failures
        }
    });
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let tenant = scope(if caller % 2 == 0 { "acme" } else { "globex" });
                let record = |number: u64| {
                    let event = AuditEvent::new("a.b").with_metadata("n", number);
                    now(queue.record(&tenant, event)).unwrap().unwrap().sequence
                };
                (0..50).map(record).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut places: Vec<Vec<u64>> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    queue.close();
    assert_eq!(worker.join().unwrap(), 2, "the store failed twice, and nothing was lost or doubled");
    for own in &places {
        assert!(own.is_sorted(), "a caller's events keep their order");
    }
    let mut acme: Vec<u64> = places.drain(..).step_by(2).flatten().collect();
    acme.sort_unstable();
    assert_eq!(acme, (0..200).collect::<Vec<_>>());
    assert_eq!((size(&queue, "acme"), size(&queue, "globex")), (200, 200));
}

#[test]
fn a_full_queue_fails_when_it_is_to() {
    let queue = queue(2, Overflow::Fail);
    let acme = scope("acme");
    let context = || AuditEvent::new("a.b");
    let (mut one, mut two) =
        (Box::pin(queue.record(&acme, context())), Box::pin(queue.record(&acme, context())));
    let mut noop = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(one.as_mut().poll(&mut noop).is_pending());
    assert!(two.as_mut().poll(&mut noop).is_pending());
    assert_eq!(queue.waiting(), 2);
    let error = now(queue.record(&acme, context())).unwrap_err();
    assert!(matches!(error, Error::Store(error) if error.kind() == StoreErrorKind::Full));
    // A caller that went away took nothing back.
    drop(two);
    assert_eq!(now(queue.drain()).unwrap(), 2);
    assert!(one.as_mut().poll(&mut noop).is_ready());
    assert_eq!(size(&queue, "acme"), 2);
    queue.close();
    assert!(now(queue.record(&acme, context())).is_err());
}

#[test]
fn what_is_spilled_survives_and_comes_into_the_log_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spill.log");
    let acme = scope("acme");
    {
        let queue = queue(1, Overflow::Spill(path.clone()));
        let mut first = Box::pin(queue.record(&acme, AuditEvent::new("a.b")));
        let mut noop = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(first.as_mut().poll(&mut noop).is_pending());
        for _ in 0..3 {
            assert_eq!(now(queue.record(&acme, AuditEvent::new("c.d"))).unwrap(), None);
        }
        assert_eq!(queue.spilled(), 3);
        // The process ends here: the first was never acknowledged, the others were.
    }
    let queue = queue(1, Overflow::Spill(path.clone()));
    assert_eq!(queue.spilled(), 3);
    *queue.log().store().fails.lock() = 1;
    assert!(now(queue.drain()).is_err(), "the store took them, and the answer got lost");
    assert_eq!(now(queue.drain()).unwrap(), 3);
    assert_eq!((queue.spilled(), size(&queue, "acme")), (0, 3));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 20, "only the start of the file is left");
}

#[test]
fn a_log_that_takes_nothing_keeps_back_nothing_else_that_was_spilled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spill.log");
    let mut noop = std::task::Context::from_waker(std::task::Waker::noop());
    {
        let queue = queue(1, Overflow::Spill(path.clone()));
        let acme = scope("acme");
        let mut first = Box::pin(queue.record(&acme, AuditEvent::new("a.b")));
        assert!(first.as_mut().poll(&mut noop).is_pending());
        for tenant in ["acme", "globex", "acme", "umbrella"] {
            now(queue.record(&scope(tenant), AuditEvent::new("c.d"))).unwrap();
        }
        *queue.log().store().damaged.lock() = Some(TenantId::new("acme").unwrap());
        let error = now(queue.drain()).unwrap_err();
        assert!(matches!(error, Error::Store(error) if error.kind() == StoreErrorKind::Corrupt));
        assert_eq!((size(&queue, "globex"), size(&queue, "umbrella")), (1, 1));
        // What came later is drained as ever, and the refused ones are kept.
        assert_eq!(now(queue.drain()).unwrap(), 1, "the one that was in memory");
        assert_eq!(now(queue.drain()).unwrap(), 0);
        assert_eq!(queue.spilled(), 2);
    }
    let queue = queue(1, Overflow::Spill(path));
    assert_eq!(queue.spilled(), 4, "the file was not emptied: a store knows what it has");
    assert_eq!(now(queue.drain()).unwrap(), 4);
    assert_eq!((queue.spilled(), size(&queue, "acme")), (0, 2));
}

/// Events that a log refuses stay in the spill file, and what the logs have goes out of it: it does not grow for ever for their sake.
#[test]
fn a_spill_file_is_not_kept_for_what_the_log_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spill.log");
    let length = || std::fs::metadata(&path).unwrap().len();
    let mut noop = std::task::Context::from_waker(std::task::Waker::noop());
    {
        let queue = queue(1, Overflow::Spill(path.clone()));
        let (acme, globex) = (scope("acme"), scope("globex"));
        *queue.log().store().damaged.lock() = Some(TenantId::new("acme").unwrap());
        // A process that ended half-way left this.
        std::fs::write(folder.path().join("spill.log.new"), "half").unwrap();
        let mut first = Box::pin(queue.record(&globex, AuditEvent::new("a.b")));
        assert!(first.as_mut().poll(&mut noop).is_pending());
        now(queue.record(&acme, AuditEvent::new("c.d"))).unwrap();
        let one = length();
        for _ in 0..1_100 {
            now(queue.record(&globex, AuditEvent::new("c.d"))).unwrap();
        }
        assert!(length() > 1_000 * (one - 20));
        let mut refusals = 0;
        while queue.spilled() > 1 {
            refusals += usize::from(now(queue.drain()).is_err());
        }
        assert_eq!((refusals, size(&queue, "globex")), (1, 1_100));
        assert_eq!(length(), one, "the refused one alone");
        // It takes more, which survives.
        now(queue.record(&globex, AuditEvent::new("e.f"))).unwrap();
        assert_eq!(queue.spilled(), 2);
    }
    let queue = queue(1, Overflow::Spill(path));
    assert_eq!(queue.spilled(), 2);
    assert_eq!(now(queue.drain()).unwrap(), 2);
    assert_eq!((size(&queue, "acme"), size(&queue, "globex")), (1, 1));
}

/// The time that this thread was at work.
#[cfg(target_os = "linux")]
fn at_work() -> std::time::Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    std::time::Duration::from_nanos(told.split_whitespace().next().unwrap().parse().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn whoever_waits_for_another_to_drain_sleeps() {
    let pause = || thread::sleep(std::time::Duration::from_millis(400));
    let queue = queue(10, Overflow::Block);
    let acme = scope("acme");
    *queue.log().store().stuck.lock() = true;
    now(queue.enqueue(&acme, AuditEvent::new("a.b"), |_| {})).unwrap();
    let other = thread::spawn({
        let queue = Arc::clone(&queue);
        move || now(queue.drain()).unwrap()
    });
    pause();
    now(queue.enqueue(&acme, AuditEvent::new("a.b"), |_| {})).unwrap();
    let worker = thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            queue.run(|_| {});
            at_work()
        }
    });
    pause();
    *queue.log().store().stuck.lock() = false;
    queue.close();
    assert_eq!(other.join().unwrap(), 1);
    let worked = worker.join().unwrap();
    assert!(worked < std::time::Duration::from_millis(100), "it was at work for {worked:?}");
    assert_eq!(size(&queue, "acme"), 2);
}

#[test]
fn two_who_drain_at_once_lose_nothing_that_was_spilled() {
    let folder = tempfile::tempdir().unwrap();
    let queue = queue(1, Overflow::Spill(folder.path().join("spill.log")));
    let acme = scope("acme");
    let mut first = Box::pin(queue.record(&acme, AuditEvent::new("a.b")));
    let mut noop = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(first.as_mut().poll(&mut noop).is_pending());
    for _ in 0..1_500 {
        now(queue.record(&acme, AuditEvent::new("c.d"))).unwrap();
    }
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| (0..4).for_each(|_| drop(now(queue.drain()))));
        }
    });
    while now(queue.drain()).unwrap() > 0 {}
    assert_eq!((queue.spilled(), size(&queue, "acme")), (0, 1_501));
    assert!(
        AuditQueue::new(
            AuditLog::new(Moody::default(), AuditConfig::default()),
            1,
            Overflow::Spill(folder.path().join("spill.log"))
        )
        .is_err()
    );
}

#[test]
fn who_has_no_time_hears_later_what_became_of_an_event() {
    let queue = queue(2, Overflow::Fail);
    let acme = scope("acme");
    let heard = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let enqueue = || {
        let heard = Arc::clone(&heard);
        let told = move |told: Result<Option<Receipt>, Error>| {
            heard.lock().push(told.unwrap().map(|receipt| receipt.sequence));
        };
        now(queue.enqueue(&acme, AuditEvent::new("a.b"), told))
    };
    enqueue().unwrap();
    enqueue().unwrap();
    let full = enqueue().unwrap_err();
    assert!(matches!(full, Error::Store(error) if error.kind() == StoreErrorKind::Full));
    *queue.log().store().fails.lock() = 1;
    assert!(now(queue.drain()).is_err());
    assert!(heard.lock().is_empty(), "they wait on");
    assert_eq!(now(queue.drain()).unwrap(), 2);
    assert_eq!(*heard.lock(), [Some(0), Some(1)]);
    assert!(now(queue.enqueue(&acme, AuditEvent::new("no such!"), |_| ())).is_err());
    queue.close();
    assert!(enqueue().is_err());
    assert_eq!(heard.lock().len(), 2);
}

#[test]
fn who_is_told_promptly_does_not_wait_for_a_store_that_fails_and_loses_nothing() {
    let queue = queue(2, Overflow::Block);
    let acme = scope("acme");
    let event = || AuditEvent::new("a.b");
    let mut noop = std::task::Context::from_waker(std::task::Waker::noop());
    let mut prompt = Box::pin(queue.record_promptly(&acme, event()));
    let mut patient = Box::pin(queue.record(&acme, event()));
    let mut without_room = Box::pin(queue.record_promptly(&acme, event()));
    let mut waits_for_room = Box::pin(queue.record(&acme, event()));
    assert!(prompt.as_mut().poll(&mut noop).is_pending());
    assert!(patient.as_mut().poll(&mut noop).is_pending());
    assert!(without_room.as_mut().poll(&mut noop).is_pending(), "the store may work");
    assert!(waits_for_room.as_mut().poll(&mut noop).is_pending());
    *queue.log().store().fails.lock() = 1;
    assert!(now(queue.drain()).is_err());
    let refused = |polled| match polled {
        std::task::Poll::Ready(Err(Error::Store(error))) => Some(error.kind()),
        _ => None,
    };
    assert_eq!(refused(prompt.as_mut().poll(&mut noop)), Some(StoreErrorKind::Timeout));
    assert_eq!(refused(without_room.as_mut().poll(&mut noop)), Some(StoreErrorKind::Full));
    assert!(patient.as_mut().poll(&mut noop).is_pending());
    assert!(waits_for_room.as_mut().poll(&mut noop).is_pending());
    // What was told of a failure is in the log all the same, once.
    assert_eq!(now(queue.drain()).unwrap(), 2);
    assert!(patient.as_mut().poll(&mut noop).is_ready());
    assert_eq!(size(&queue, "acme"), 2);
    let mut again = Box::pin(queue.record_promptly(&acme, event()));
    assert!(again.as_mut().poll(&mut noop).is_pending());
    assert_eq!(now(queue.drain()).unwrap(), 1);
    assert!(matches!(again.as_mut().poll(&mut noop), std::task::Poll::Ready(Ok(Some(_)))));
}

#[test]
fn an_event_comes_back_where_there_is_no_room_for_it_at_once() {
    let queue = queue(1, Overflow::Block);
    let acme = scope("acme");
    let heard = Arc::new(parking_lot::Mutex::new(0));
    let enqueue = |action: &str| {
        let heard = Arc::clone(&heard);
        queue.enqueue_at_once(&acme, AuditEvent::new(action), move |_| *heard.lock() += 1)
    };
    assert!(enqueue("no such!").is_err());
    assert_eq!(enqueue("a.b").unwrap(), None);
    assert_eq!(enqueue("c.d").unwrap().map(|event| event.action), Some("c.d".to_owned()));
    assert_eq!(now(queue.drain()).unwrap(), 1);
    queue.close();
    assert!(enqueue("a.b").is_err());
    assert_eq!((*heard.lock(), size(&queue, "acme")), (1, 1));
}

#[test]
fn what_waits_is_not_shown_before_its_redaction() {
    let queue = queue(1, Overflow::Fail);
    let event = AuditEvent::new("a.b").with_metadata("password", "hunter2");
    now(queue.enqueue(&scope("acme"), event, |_| ())).unwrap();
    assert!(!format!("{queue:?}").contains("hunter2"));
    assert_eq!(now(queue.drain()).unwrap(), 1);
    let stored = now(queue.log().get(&scope("acme"), 0)).unwrap().unwrap();
    assert!(!format!("{stored:?}").contains("hunter2"));
}

#[test]
fn events_that_nobody_waits_for_come_together_and_keep_nobody_waiting() {
    let queue = queue(10_000, Overflow::Fail);
    let worker = thread::spawn({
        let queue = Arc::clone(&queue);
        move || queue.run(|_| ())
    });
    let acme = scope("acme");
    for turn in 1..=20 {
        for _ in 0..9 {
            now(queue.enqueue(&acme, AuditEvent::new("a.b"), |_| ())).unwrap();
        }
        let receipt = now(queue.record(&acme, AuditEvent::new("c.d"))).unwrap().unwrap();
        assert_eq!(receipt.sequence, turn * 10 - 1, "they keep their order");
    }
    now(queue.enqueue(&acme, AuditEvent::new("a.b"), |_| ())).unwrap();
    queue.close();
    worker.join().unwrap();
    assert_eq!(size(&queue, "acme"), 201);
}

/// Keys that are away for so many calls.
#[derive(Debug, Default)]
struct MoodyKeys {
    keys: MemoryKeys,
    away: parking_lot::Mutex<usize>,
    broken: parking_lot::Mutex<bool>,
}

#[async_trait::async_trait]
impl KeyStore for MoodyKeys {
    async fn key_of(&self, scope: &Scope, subject: &str) -> Result<SubjectKey, StoreError> {
        if *self.broken.lock() {
            return Err(StoreError::new(StoreErrorKind::Corrupt, "keys"));
        }
        let left = self.away.lock().checked_sub(1);
        if let Some(left) = left {
            *self.away.lock() = left;
            return Err(StoreError::new(StoreErrorKind::Unavailable, "keys"));
        }
        self.keys.key_of(scope, subject).await
    }

    async fn keys(&self, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, SubjectKey>, StoreError> {
        self.keys.keys(scope, ids).await
    }

    async fn destroy(&self, scope: &Scope, subject: &str) -> Result<bool, StoreError> {
        self.keys.destroy(scope, subject).await
    }
}

#[test]
fn an_event_waits_for_keys_that_are_away_and_hears_of_those_that_are_broken() {
    let keys = Arc::new(MoodyKeys::default());
    let config = AuditConfig::default().with_personal_data(PersonalData::default(), Arc::clone(&keys));
    let queue = AuditQueue::new(AuditLog::new(Moody::default(), config), 10, Overflow::Fail).unwrap();
    let heard = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let enqueue = |name: &str| {
        let heard = Arc::clone(&heard);
        let actor = EventActor::user("u1").with_name(name);
        let event = AuditEvent::new("a.b").with_actor(actor);
        let told = move |told: Result<Option<Receipt>, Error>| heard.lock().push(told.is_ok());
        now(queue.enqueue(&scope("acme"), event, told)).unwrap();
    };
    *keys.away.lock() = 2;
    enqueue("Ann");
    assert!(now(queue.drain()).is_err());
    assert!(now(queue.drain()).is_err());
    assert_eq!((queue.waiting(), heard.lock().len()), (1, 0));
    assert_eq!(now(queue.drain()).unwrap(), 1);
    assert_eq!(*heard.lock(), [true]);
    let stored = now(queue.log().get(&scope("acme"), 0)).unwrap().unwrap();
    assert_eq!(stored.event.actor.unwrap().name.as_deref(), Some("Ann"));
    *keys.broken.lock() = true;
    enqueue("Bob");
    assert_eq!(now(queue.drain()).unwrap(), 1);
    assert_eq!((heard.lock().clone(), queue.waiting()), (vec![true, false], 0));
}
