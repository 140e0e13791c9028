//! Events that the thread that appends makes.

use std::sync::Arc;

use guardian_audit::{AuditConfig, AuditEvent, AuditLog, AuditQueue, Error, LaterEvent, Overflow, Receipt};
use guardian_core::{Clock as _, ManualClock, Scope, TenantId};
use parking_lot::Mutex;

use crate::moody::Moody;

fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// What became of each event, by its action.
type Heard = Arc<Mutex<Vec<(&'static str, Option<u64>)>>>;

struct Later {
    scope: Scope,
    action: &'static str,
    heard: Heard,
}

impl LaterEvent for Later {
    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn make(&self) -> AuditEvent {
        assert_ne!(self.action, "panics");
        AuditEvent::new(self.action)
    }

    fn told(self: Box<Self>, told: Result<Option<Receipt>, Error>) {
        self.heard.lock().push((self.action, told.ok().flatten().map(|receipt| receipt.sequence)));
    }
}

struct World {
    queue: AuditQueue<Moody>,
    clock: ManualClock,
    heard: Heard,
}

impl World {
    fn new(capacity: usize, overflow: Overflow) -> Self {
        let clock = ManualClock::new();
        let config = AuditConfig::default().with_clock(clock.clone());
        let queue = AuditQueue::new(AuditLog::new(Moody::default(), config), capacity, overflow).unwrap();
        Self { queue, clock, heard: Heard::default() }
    }

    fn later(&self, action: &'static str) -> Box<Later> {
        let scope = Scope::system(TenantId::new("acme").unwrap());
        Box::new(Later { scope, action, heard: Arc::clone(&self.heard) })
    }

    /// Whether it came back.
    fn enqueue(&self, action: &'static str) -> Result<bool, Error> {
        self.queue
            .enqueue_later(self.later(action))
            .map(|back| back.is_some_and(|back| back.action == action))
    }

    fn heard(&self) -> Vec<(&'static str, Option<u64>)> {
        self.heard.lock().clone()
    }
}

#[test]
fn an_event_is_made_when_it_is_appended_and_occurred_when_it_was_enqueued() {
    let world = World::new(2, Overflow::Fail);
    let came = world.clock.now();
    assert!(!world.enqueue("a.b").unwrap());
    world.clock.advance(std::time::Duration::from_secs(5));
    *world.queue.log().store().fails.lock() = 1;
    assert!(now(world.queue.drain()).is_err());
    assert_eq!((world.queue.waiting(), world.heard()), (1, vec![]), "it waits for the store");
    assert_eq!(now(world.queue.drain()).unwrap(), 1);
    assert_eq!(world.heard(), [("a.b", Some(0))]);
    let stored = now(world.queue.log().get(world.later("").scope(), 0)).unwrap().unwrap();
    assert_eq!((stored.event.action.as_str(), stored.event.occurred), ("a.b", Some(came)));
}

#[test]
fn one_without_room_comes_back_and_one_of_a_closed_queue_hears_nothing() {
    for overflow in [Overflow::Block, Overflow::Fail] {
        let world = World::new(1, overflow);
        assert!(!world.enqueue("a.b").unwrap());
        assert!(world.enqueue("c.d").unwrap());
        assert_eq!(now(world.queue.drain()).unwrap(), 1);
        world.queue.close();
        assert!(world.enqueue("e.f").is_err());
        assert_eq!(world.heard(), [("a.b", Some(0))]);
    }
}

#[test]
fn one_that_the_log_does_not_take_hears_of_it_and_keeps_nobody_out() {
    let world = World::new(9, Overflow::Fail);
    for action in ["a.b", "no such!", "c.d"] {
        assert!(!world.enqueue(action).unwrap());
    }
    assert_eq!(now(world.queue.drain()).unwrap(), 3);
    assert_eq!(world.heard(), [("no such!", None), ("a.b", Some(0)), ("c.d", Some(1))]);
    assert_eq!(world.queue.waiting(), 0);
}

#[test]
fn one_that_panics_is_not_tried_again() {
    let world = World::new(9, Overflow::Fail);
    for action in ["a.b", "panics", "c.d"] {
        assert!(!world.enqueue(action).unwrap());
    }
    let drain = || now(world.queue.drain());
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(drain)).is_err());
    assert_eq!((world.queue.waiting(), world.heard()), (3, vec![]));
    assert_eq!(drain().unwrap(), 3);
    assert_eq!(world.heard(), [("panics", None), ("a.b", Some(0)), ("c.d", Some(1))]);
    assert_eq!(world.queue.waiting(), 0);
}
