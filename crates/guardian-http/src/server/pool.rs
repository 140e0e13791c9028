//! The connections that there are, and which of them nobody misses.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// All connections: at most so many, and those that wait for a request by how long they do.
#[derive(Debug)]
pub(super) struct Pool {
    room: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    is_full: AtomicBool,
    /// While it is full: one more waits for a request.
    one_waits: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    since: BTreeMap<u64, Arc<Connection>>,
}

/// One connection, as its parts see it.
#[derive(Debug)]
pub(super) struct Connection {
    /// Its place among those that wait for a request; 0 while it is at one.
    stamp: AtomicU64,
    has_served: AtomicBool,
    /// Its last request is answered, and the answer may still be on its way.
    is_answered: AtomicBool,
    has_left: AtomicBool,
    closed: Notify,
}

impl Connection {
    /// It is the service's own from now on, and bound by nothing.
    pub(super) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Acquire)
    }

    /// Since when it waits for a request, as a number that is another one each time; nothing while it is at one.
    pub(super) fn waits_since(&self) -> Option<u64> {
        Some(self.stamp.load(Ordering::Acquire)).filter(|stamp| *stamp != 0)
    }

    /// Whether it had a request before.
    pub(super) fn has_served(&self) -> bool {
        self.has_served.load(Ordering::Relaxed)
    }

    /// The last request is answered: it waits for another one when all of the answer is written.
    pub(super) fn answered(&self) {
        self.is_answered.store(true, Ordering::Release);
    }

    /// Until its place is given to another one.
    pub(super) async fn closed(&self) {
        self.closed.notified().await;
    }
}

impl Pool {
    pub(super) fn new(most: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))),
            waiting: Mutex::default(),
            is_full: AtomicBool::new(false),
            one_waits: Notify::new(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for one more. When there is none, the connection that has waited longest for a request gives its place; when all are at one,
    /// it takes until one of them is done.
    pub(super) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() {
            return Some(permit);
        }
        self.is_full.store(true, Ordering::SeqCst);
        let mut acquiring = std::pin::pin!(Arc::clone(&self.room).acquire_owned());
        let permit = loop {
            let one_waits = self.one_waits.notified();
            if self.close_one() {
                break acquiring.as_mut().await;
            }
            tokio::select! {
                permit = acquiring.as_mut() => break permit,
                () = one_waits => {}
            }
        };
        self.is_full.store(false, Ordering::SeqCst);
        permit.ok()
    }

    /// Closes the connection that has waited longest for a request; whether there was one.
    pub(super) fn close_one(&self) -> bool {
        let Some((_, longest)) = self.waiting().since.pop_first() else { return false };
        longest.closed.notify_one();
        true
    }

    /// A new connection, which waits for its first request.
    pub(super) fn enter(&self) -> Arc<Connection> {
        let connection = Arc::new(Connection {
            stamp: AtomicU64::new(0),
            has_served: AtomicBool::new(false),
            is_answered: AtomicBool::new(false),
            has_left: AtomicBool::new(false),
            closed: Notify::new(),
        });
        self.waits(&connection);
        connection
    }

    /// All that there was to write is written. A connection whose request was answered waits for the next one from now on, and not
    /// before: a client that takes its time over an answer is no idle one.
    pub(super) fn flushed(&self, connection: &Arc<Connection>) {
        if connection.is_answered.swap(false, Ordering::AcqRel) {
            self.waits(connection);
        }
    }

    /// The connection waits for a request.
    fn waits(&self, connection: &Arc<Connection>) {
        let mut waiting = self.waiting();
        if connection.has_left() {
            return;
        }
        waiting.last += 1;
        let stamp = waiting.last;
        connection.stamp.store(stamp, Ordering::Release);
        waiting.since.insert(stamp, Arc::clone(connection));
        drop(waiting);
        if self.is_full.load(Ordering::SeqCst) {
            self.one_waits.notify_one();
        }
    }

    /// The connection has a request; false when its place was given to another one already.
    pub(super) fn is_at_work(&self, connection: &Connection) -> bool {
        let stamp = connection.stamp.swap(0, Ordering::AcqRel);
        connection.has_served.store(true, Ordering::Relaxed);
        connection.is_answered.store(false, Ordering::Release);
        // One that has begun to answer a request is at its next one without having waited.
        stamp == 0 || self.waiting().since.remove(&stamp).is_some()
    }

    /// The connection is gone.
    pub(super) fn leave(&self, connection: &Connection) {
        let mut waiting = self.waiting();
        connection.has_left.store(true, Ordering::Release);
        waiting.since.remove(&connection.stamp.swap(0, Ordering::AcqRel));
    }
}
