//! What goes on in the background.

mod parts;

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use guardian_audit::AuditQueue;
use guardian_audit::store::AuditStore;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Error;
use crate::backend::Backend;
use crate::guardian::Guardian;
use parts::Part;

/// How long the last turn may take.
const LAST_TURN: Duration = Duration::from_secs(20);
/// The longest pause after a fault.
const MAX_PAUSE: Duration = Duration::from_secs(30);

type Trouble = dyn Fn(&'static str, &(dyn StdError + 'static)) + Send + Sync;

/// What has to go on in the background: it tells events, delivers webhooks, drives workflows and starts those that are due, takes up what
/// other processes changed, settles and signs the audit log, tells thresholds and spending, and cleans up. Every process may have its
/// own; they share the work.
///
/// Each part is a task of its own. One that fails, or panics, tries again after a pause that grows to half a minute, and keeps no other
/// one waiting.
#[must_use]
pub struct Workers<B: Backend> {
    guardian: Guardian<B>,
    trouble: Arc<Trouble>,
    queues: Vec<Arc<dyn Queue>>,
}

impl<B: Backend> Clone for Workers<B> {
    fn clone(&self) -> Self {
        Self {
            guardian: self.guardian.clone(),
            trouble: Arc::clone(&self.trouble),
            queues: self.queues.clone(),
        }
    }
}

impl<B: Backend> fmt::Debug for Workers<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("guardian", &self.guardian).finish_non_exhaustive()
    }
}

impl<B: Backend> Workers<B> {
    pub(crate) fn new(guardian: Guardian<B>) -> Self {
        Self { guardian, trouble: Arc::new(|_, _| {}), queues: Vec::new() }
    }

    /// Somebody hears what goes wrong: the part, `events`, `webhooks`, `workflows`, `schedules`, `roles`, `addresses`, `limits`, `audit`,
    /// `quotas`, `sentiment` or `tenants`, and why. It is tried again in any case; an event that a part of Guardian will never take is told
    /// here once.
    pub fn on_trouble(
        mut self,
        hear: impl Fn(&'static str, &(dyn StdError + 'static)) + Send + Sync + 'static,
    ) -> Self {
        self.trouble = Arc::new(hear);
        self
    }

    /// With the queue of an `AuditLayer`: [`run`](Self::run) appends what is in it to the log, on a thread of its own, and at the end closes it and
    /// waits until it is empty. Its faults are told as `audit`. A queue is run once: give it to the workers of one process alone, and call
    /// `run` once.
    pub fn recording<S: AuditStore>(mut self, queue: Arc<AuditQueue<S>>) -> Self {
        self.queues.push(queue);
        self
    }

    /// Works until `shutdown` is done, and then takes a last turn: events are told, workflows driven, what these told is told, webhooks
    /// delivered, the audit log settled. What is under way has 20 seconds to end and the last turn as many; what is left is in the database for the
    /// next start, or for another process. Stop taking requests first.
    ///
    /// It runs within a tokio runtime with time and I/O (`enable_all()`). It may also be dropped: what was under way is done again
    /// when its lease ends.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) {
        let (stop, stopped) = watch::channel(false);
        let mut parts = JoinSet::new();
        let recorded: Vec<_> = self.queues.iter().filter_map(|queue| self.record(queue)).collect();
        for part in Part::ALL {
            let workers = self.clone();
            parts.spawn(workers.part(part, stopped.clone()));
        }
        let closing = Closing(&self.queues);
        shutdown.await;
        stop.send_replace(true);
        // Requests are at an end, so nothing more is recorded of them.
        drop(closing);
        // A part that hangs keeps nobody from the last turn.
        let ended = timeout(LAST_TURN, async { while parts.join_next().await.is_some() {} });
        let emptied = timeout(LAST_TURN, async {
            for one in recorded {
                drop(one.await);
            }
        });
        let (_, emptied) = tokio::join!(ended, emptied);
        parts.abort_all();
        if emptied.is_err() {
            (self.trouble)("audit", &Unrecorded);
        }
        if timeout(LAST_TURN, self.last_turn()).await.is_err() {
            (self.trouble)("events", &Unfinished);
        }
    }

    /// Begins to append what a queue has, on a thread: it waits for a store for as long as that takes, which no task may.
    fn record(&self, queue: &Arc<dyn Queue>) -> Option<oneshot::Receiver<()>> {
        let (done, recorded) = oneshot::channel();
        let (queue, trouble) = (Arc::clone(queue), Arc::clone(&self.trouble));
        let appending = move || {
            let append = || queue.append(&mut |error| trouble("audit", error));
            // Requests wait for the queue: it goes on, whoever panicked.
            let mut failed = 0_u32;
            while catch_unwind(AssertUnwindSafe(append)).is_err() {
                let _ = catch_unwind(AssertUnwindSafe(|| trouble("audit", &Panicked)));
                failed = failed.saturating_add(1);
                std::thread::sleep(after_faults(failed));
            }
            // Nobody may be waiting any more.
            let _ = done.send(());
        };
        match std::thread::Builder::new().name("guardian-audit-queue".to_owned()).spawn(appending) {
            Ok(_) => Some(recorded),
            Err(error) => {
                (self.trouble)("audit", &error);
                None
            }
        }
    }

    /// A part of the work, again and again until it is time to stop; begun again when it panics.
    async fn part(self, part: Part, mut stop: watch::Receiver<bool>) {
        let mut failed = 0_u32;
        while !*stop.borrow() {
            let (workers, until) = (self.clone(), stop.clone());
            // A task of its own, so that a panic ends nothing else.
            let mut turn = JoinSet::new();
            turn.spawn(async move { workers.turn(part, until).await });
            match turn.join_next().await {
                Some(Ok(Ok(()))) | None => failed = 0,
                Some(Ok(Err(error))) => {
                    failed = failed.saturating_add(1);
                    (self.trouble)(part.name(), &error);
                }
                Some(Err(panicked)) => {
                    failed = failed.saturating_add(1);
                    (self.trouble)(part.name(), &panicked);
                }
            }
            let pause = if failed == 0 { part.pause() } else { after_faults(failed) };
            // Whoever could ask it to stop is gone: that is asking as well.
            let _ = timeout(pause, stop.wait_for(|stop| *stop)).await;
        }
    }

    /// What is left when everything else has ended.
    async fn last_turn(&self) {
        let hear = |part: Part, done: Result<(), Error>| {
            if let Err(error) = done {
                (self.trouble)(part.name(), &error);
            }
        };
        // What runs tell is told as well.
        for _ in 0..2 {
            hear(Part::Events, self.tell_all(None).await);
            hear(Part::Workflows, self.drive_once().await);
        }
        hear(Part::Events, self.tell_all(None).await);
        hear(Part::Webhooks, self.deliver_once().await);
        hear(Part::Audit, self.settle_audit().await);
    }

    /// Everything that is due, once. For tests, and for hosts that have a scheduler of their own.
    ///
    /// # Errors
    /// The first fault, after everything was tried.
    pub async fn run_once(&self) -> Result<(), Error> {
        let mut first = self.start_scheduled().await;
        first = first.and(self.tell_all(None).await);
        first = first.and(self.drive_once().await);
        first = first.and(self.tell_thresholds().await);
        first = first.and(self.follow_roles().await);
        first = first.and(self.relay_sentiments().await);
        // What all of these told.
        first = first.and(self.tell_all(None).await);
        first = first.and(self.deliver_once().await);
        first = first.and(self.follow_addresses().await);
        first = first.and(self.follow_limits().await);
        first = first.and(self.settle_audit().await);
        first.and(self.look_after_tenants().await)
    }
}

/// A queue of events, whatever its store.
trait Queue: Send + Sync {
    fn append(&self, failed: &mut dyn FnMut(&guardian_audit::Error));
    fn close(&self);
}

impl<S: AuditStore> Queue for AuditQueue<S> {
    fn append(&self, failed: &mut dyn FnMut(&guardian_audit::Error)) {
        self.run(failed);
    }

    fn close(&self) {
        AuditQueue::close(self);
    }
}

/// Closes the queues when it is dropped, so that their threads end however the workers do.
struct Closing<'a>(&'a [Arc<dyn Queue>]);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|queue| queue.close());
    }
}

/// Whoever appends what a queue has panicked.
#[derive(Debug, thiserror::Error)]
#[error("appending what requests left behind panicked; it is begun again")]
struct Panicked;

/// The log did not take in time what requests left behind.
#[derive(Debug, thiserror::Error)]
#[error("it took too long to record what the last requests left behind")]
struct Unrecorded;

/// The last turn ran out of time.
#[derive(Debug, thiserror::Error)]
#[error("it took too long to tell and deliver what was left; the rest is there for the next start")]
struct Unfinished;

/// The pause after so many faults in a row.
fn after_faults(failed: u32) -> Duration {
    let exponent = failed.saturating_sub(1).min(7);
    (Duration::from_millis(250) * 2_u32.pow(exponent)).min(MAX_PAUSE)
}
