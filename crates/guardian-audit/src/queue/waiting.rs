//! What waits in the queue, and who waits for it.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use guardian_core::{Scope, TenantId, Timestamp};
use parking_lot::Mutex;

use crate::error::{Error, InvalidEvent};
use crate::event::{Assessment, AuditEvent};
use crate::log::{AuditLog, Receipt};
use crate::store::{AuditStore, Draft, Placed};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) waiting: VecDeque<Waiting>,
    /// How many events were handed to the store and are not answered yet.
    pub(super) busy: usize,
    /// Callers that wait for room.
    pub(super) blocked: Vec<Waker>,
    pub(super) closed: bool,
    /// Whether the last attempt to append failed.
    pub(super) failing: bool,
    /// Whether somebody waits for what becomes of an event that waits.
    pub(super) hurried: bool,
    pub(super) worker: Worker,
}

/// What the thread that appends does, as far as those must know who have something for it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worker {
    /// It looks at the queue before it sleeps, or there is none.
    #[default]
    Looks,
    /// It looks soon; only who is in a hurry wakes it.
    Lingers,
    /// It has to be woken.
    Sleeps,
}

pub(super) struct Waiting {
    pub(super) scope: Scope,
    pub(super) content: Content,
    pub(super) reply: Reply,
}

/// An event that waits.
pub(super) enum Content {
    /// As the host gave it, at this time: its redaction is still to come.
    Given(Box<AuditEvent>, Timestamp),
    /// It came at this time, and [`Reply::Later`] makes it; whether it is at that, or was and panicked.
    Later(Timestamp, bool),
    /// As the store takes it.
    Ready(Draft, Assessment),
}

/// An event that is not made yet: what it is made of, and who hears what becomes of it. See
/// [`enqueue_later`](crate::AuditQueue::enqueue_later).
pub trait LaterEvent: Send + 'static {
    /// Whose event it is.
    fn scope(&self) -> &Scope;

    /// The event. It is asked for by the thread that appends, and again if the event could not be made ready then. It should come
    /// out the same each time, and may leave out [`occurred`](AuditEvent::occurred), which is when it was enqueued. One that panics
    /// is not in the log, and is told so.
    fn make(&self) -> AuditEvent;

    /// Hears what became of the event, as `told` of [`enqueue`](crate::AuditQueue::enqueue) does; should return at once.
    fn told(self: Box<Self>, told: Result<Option<Receipt>, Error>);
}

/// What is in it may be what redaction takes out.
impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl Waiting {
    /// Makes the event what the store takes, if it is not. However it ends, and also if it is dropped half-way, the event stays
    /// here unless the log can never take it.
    pub(super) async fn make_ready<S: AuditStore>(&mut self, log: &AuditLog<S>) -> Result<(), Error> {
        let (event, came) = match (&mut self.content, &self.reply) {
            (Content::Given(event, came), _) if log.config().keys().is_some() => {
                (AuditEvent::clone(event), *came)
            }
            (Content::Given(event, came), _) => (std::mem::replace(&mut **event, AuditEvent::new("")), *came),
            (Content::Later(came, is_making), Reply::Later(later)) => {
                if std::mem::replace(is_making, true) {
                    // Tried again and again, it would keep all behind it out of the log.
                    return Err(InvalidEvent::new("event", "", "it panicked when it was made").into());
                }
                let mut event = later.make();
                *is_making = false;
                log.look_at(&mut event, *came)?;
                (event, *came)
            }
            _ => return Ok(()),
        };
        // What is not sealed is ready at once, so nothing is lost of an event that was taken out.
        let (draft, risk) = log.make(&self.scope, event, came).await?;
        self.content = Content::Ready(draft, risk);
        Ok(())
    }

    /// The event in the store's form; none of it is there before it was [made ready](Self::make_ready).
    fn draft(&self) -> Option<&Draft> {
        match &self.content {
            Content::Given(..) | Content::Later(..) => None,
            Content::Ready(draft, _) => Some(draft),
        }
    }

    pub(super) fn appended(self, placed: Placed) {
        let Placed { sequence, recorded, duplicate } = placed;
        if let Content::Ready(draft, risk) = self.content {
            self.reply.give(Ok(Receipt { id: draft.id, sequence, recorded, risk, duplicate }));
        }
    }
}

/// Who hears what becomes of an event.
pub(super) enum Reply {
    /// A caller that waits for it.
    Awaited(Arc<Answer>),
    /// Nobody waits.
    Told(Told),
    /// Nobody waits, and the event is still to be made.
    Later(Box<dyn LaterEvent>),
}

pub(super) type Told = Box<dyn FnOnce(Result<Option<Receipt>, Error>) + Send>;

impl Reply {
    pub(super) fn give(self, answer: Result<Receipt, Error>) {
        match self {
            Self::Awaited(awaited) => awaited.give(answer),
            Self::Told(told) => told(answer.map(Some)),
            Self::Later(later) => later.told(answer.map(Some)),
        }
    }

    /// The caller that wants to hear of the first attempt that fails.
    pub(super) fn prompt(&self) -> Option<&Arc<Answer>> {
        match self {
            Self::Awaited(answer) => Some(answer).filter(|answer| answer.prompt),
            Self::Told(_) | Self::Later(_) => None,
        }
    }

    pub(super) fn is_awaited(&self) -> bool {
        matches!(self, Self::Awaited(_))
    }
}

/// Where a caller waits for what became of its event.
#[derive(Default)]
pub(super) struct Answer {
    slot: Mutex<Slot>,
    /// Whether the caller wants to hear of the first attempt that fails, and not to wait for the one that does not.
    pub(super) prompt: bool,
}

#[derive(Default)]
struct Slot {
    answer: Option<Result<Receipt, Error>>,
    waker: Option<Waker>,
}

impl Answer {
    pub(super) fn prompt() -> Self {
        Self { prompt: true, ..Self::default() }
    }

    pub(super) fn give(&self, answer: Result<Receipt, Error>) {
        let waker = {
            let mut slot = self.slot.lock();
            slot.answer = Some(answer);
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Waits for a receipt.
pub(super) struct Receive<'a>(pub(super) &'a Answer);

impl Future for Receive<'_> {
    type Output = Result<Receipt, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.slot.lock();
        match slot.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Events that were handed to the store. Those without an answer go back to the front of the queue, however it ends.
pub(super) struct Taken<'q> {
    state: &'q Mutex<State>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) count: usize,
}

impl<'q> Taken<'q> {
    /// At most so many.
    pub(super) fn take(state: &'q Mutex<State>, most: usize) -> Self {
        let mut locked = state.lock();
        let count = locked.waiting.len().min(most);
        locked.busy += count;
        let waiting: Vec<_> = locked.waiting.drain(..count).collect();
        locked.hurried &= !locked.waiting.is_empty();
        drop(locked);
        Self { state, waiting, count }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let woken = {
            let mut state = self.state.lock();
            state.busy -= self.count;
            state.hurried |= self.waiting.iter().any(|one| one.reply.is_awaited());
            self.waiting.drain(..).rev().for_each(|one| state.waiting.push_front(one));
            std::mem::take(&mut state.blocked)
        };
        woken.into_iter().for_each(Waker::wake);
    }
}

/// The events of one tenant.
pub(super) struct Of {
    pub(super) scope: Scope,
    pub(super) drafts: Vec<Draft>,
}

pub(super) fn by_tenant(waiting: &[Waiting]) -> Vec<Of> {
    let mut by_tenant: Vec<Of> = Vec::new();
    let mut index: HashMap<&TenantId, usize> = HashMap::new();
    for one in waiting {
        let at = *index.entry(one.scope.tenant()).or_insert_with(|| {
            by_tenant.push(Of { scope: one.scope.clone(), drafts: Vec::new() });
            by_tenant.len() - 1
        });
        if let Some(of) = by_tenant.get_mut(at) {
            of.drafts.extend(one.draft().cloned());
        }
    }
    by_tenant
}
