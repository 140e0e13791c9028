use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId};
use parking_lot::{Condvar, Mutex};

use crate::canonical;
use crate::error::Error;
use crate::event::{Assessment, AuditEvent};
use crate::log::{AuditLog, Receipt};
use crate::store::spill::Spill;
use crate::store::{AuditStore, Batch, Draft, Placed};

/// Takes events from many tasks and appends them in batches from one thread: callers wait for the disk together.
///
/// The host gives the thread, which runs [`run`](Self::run), or calls [`drain`](Self::drain) itself. An event is
/// acknowledged when the store has it; with [`Overflow::Spill`], when the spill file has it. What is waiting when the
/// process ends was not acknowledged.
///
/// ```
/// use std::sync::Arc;
/// use guardian_audit::store::MemoryStore;
/// use guardian_audit::{AuditConfig, AuditEvent, AuditLog, AuditQueue, Overflow};
/// use guardian_core::{Scope, TenantId};
///
/// let log = AuditLog::new(MemoryStore::new(), AuditConfig::default());
/// let queue = Arc::new(AuditQueue::new(log, 10_000, Overflow::Block)?);
/// let worker = std::thread::spawn({
///     let queue = Arc::clone(&queue);
///     move || queue.run(|error| eprintln!("the audit log: {error}"))
/// });
///
/// let acme = Scope::system(TenantId::new("acme")?);
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let receipt = queue.record(&acme, AuditEvent::new("deal.updated")).await?;
/// assert_eq!(receipt.map(|receipt| receipt.sequence), Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// queue.close();
/// worker.join().expect("the worker ends once the queue is empty");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AuditQueue<S = Arc<dyn AuditStore>> {
    log: AuditLog<S>,
    capacity: usize,
    overflow: Overflow,
    state: Mutex<State>,
    /// Told when something waits, or the queue closes.
    work: Condvar,
    spill: Option<Mutex<Spill>>,
    draining: AtomicBool,
    /// The runtime that the queue was made in: stores in databases need its timers, on whatever thread they are called.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    runtime: Option<tokio::runtime::Handle>,
}

/// What became of a tenant's events.
type Answered = Result<Vec<Placed>, (StoreErrorKind, &'static str)>;

/// One at a time drains.
struct Turn<'q>(&'q AtomicBool);

impl<'q> Turn<'q> {
    fn take(draining: &'q AtomicBool) -> Option<Self> {
        // Made only when it is this one's turn: dropping one ends the turn.
        (!draining.swap(true, Ordering::AcqRel)).then(|| Self(draining))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Events that were handed to the store. Those without an answer go back to the front of the queue, however it ends.
struct Taken<'q> {
    state: &'q Mutex<State>,
    waiting: Vec<Waiting>,
    count: usize,
}

impl<'q> Taken<'q> {
    fn take<S>(queue: &'q AuditQueue<S>) -> Self {
        let mut state = queue.state.lock();
        let count = state.waiting.len().min(BATCH);
        state.busy += count;
        Self { state: &queue.state, waiting: state.waiting.drain(..count).collect(), count }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let woken = {
            let mut state = self.state.lock();
            state.busy -= self.count;
            self.waiting.drain(..).rev().for_each(|one| state.waiting.push_front(one));
            std::mem::take(&mut state.blocked)
        };
        woken.into_iter().for_each(Waker::wake);
    }
}

/// The events of one tenant.
struct Of {
    scope: Scope,
    drafts: Vec<Draft>,
}

fn by_tenant(waiting: &[Waiting]) -> Vec<Of> {
    let mut by_tenant: Vec<Of> = Vec::new();
    let mut index: HashMap<&TenantId, usize> = HashMap::new();
    for one in waiting {
        let at = *index.entry(one.scope.tenant()).or_insert_with(|| {
            by_tenant.push(Of { scope: one.scope.clone(), drafts: Vec::new() });
            by_tenant.len() - 1
        });
        if let Some(of) = by_tenant.get_mut(at) {
            of.drafts.push(one.draft.clone());
        }
    }
    by_tenant
}

/// What becomes of an event when the queue is full. It is never dropped in silence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The caller waits for room.
    Block,
    /// The caller gets an error at once: the operation that is to be audited should fail.
    Fail,
    /// The event goes to this file, which survives a crash, and from there into the log later. Its place is not known yet,
    /// so there is no receipt.
    Spill(PathBuf),
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// How many events were handed to the store and are not answered yet.
    busy: usize,
    /// Callers that wait for room.
    blocked: Vec<Waker>,
    closed: bool,
    /// Whether the last attempt to append failed.
    failing: bool,
}

#[derive(Debug)]
struct Waiting {
    scope: Scope,
    draft: Draft,
    risk: Assessment,
    answer: Arc<Answer>,
}

/// Where a caller waits for what became of its event.
#[derive(Default)]
struct Answer {
    slot: Mutex<Slot>,
    /// Whether the caller wants to hear of the first attempt that fails, and not to wait for the one that does not.
    prompt: bool,
}

#[derive(Default)]
struct Slot {
    answer: Option<Result<Receipt, StoreError>>,
    waker: Option<Waker>,
    /// Told instead, where nobody waits.
    told: Option<Told>,
}

type Told = Box<dyn FnOnce(Result<Option<Receipt>, Error>) + Send>;

impl Answer {
    fn prompt() -> Self {
        Self { prompt: true, ..Self::default() }
    }

    fn told(told: impl FnOnce(Result<Option<Receipt>, Error>) + Send + 'static) -> Self {
        let slot = Slot { told: Some(Box::new(told)), ..Slot::default() };
        Self { slot: Mutex::new(slot), prompt: false }
    }

    fn take_told(&self) -> Option<Told> {
        self.slot.lock().told.take()
    }

    fn give(&self, answer: Result<Receipt, StoreError>) {
        if let Some(told) = self.take_told() {
            return told(answer.map(Some).map_err(Error::from));
        }
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

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("prompt", &self.prompt).finish_non_exhaustive()
    }
}

/// How many events are appended at once.
const BATCH: usize = 1_000;

/// How long the worker waits after the store failed, at first and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));

impl<S: AuditStore> AuditQueue<S> {
    /// A queue in front of a log, for at most so many events; what an earlier process spilled is taken up again. For a
    /// store in a database, call it where the runtime is that the database was opened in.
    ///
    /// # Errors
    /// When the spill file cannot be opened or read.
    pub fn new(log: AuditLog<S>, capacity: usize, overflow: Overflow) -> Result<Self, Error> {
        let spill = match &overflow {
            Overflow::Spill(path) => Some(Mutex::new(open(path)?)),
            _ => None,
        };
        let (state, work) = (Mutex::new(State::default()), Condvar::new());
        Ok(Self {
            log,
            capacity: capacity.max(1),
            overflow,
            state,
            work,
            spill,
            draining: AtomicBool::new(false),
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            runtime: tokio::runtime::Handle::try_current().ok(),
        })
    }

    /// The log behind the queue.
    #[must_use]
    pub fn log(&self) -> &AuditLog<S> {
        &self.log
    }

    /// How many events wait in memory.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let state = self.state.lock();
        state.waiting.len() + state.busy
    }

    /// How many events wait in the spill file.
    #[must_use]
    pub fn spilled(&self) -> usize {
        self.spill.as_ref().map_or(0, |spill| spill.lock().len())
    }

    /// Records an event; returns when the store has it. Without a receipt the spill file has it.
    ///
    /// A caller that stops waiting does not take the event back.
    ///
    /// # Errors
    /// When the event is none the log takes; [`StoreErrorKind::Full`] when the queue is full and its policy is to fail;
    /// when the queue is closed; when the spill file does not take it.
    pub async fn record(&self, scope: &Scope, event: AuditEvent) -> Result<Option<Receipt>, Error> {
        self.record_as(scope, event, Answer::default()).await
    }

    /// Records an event, and returns as soon as it is known whether the store takes events: the same as
    /// [`record`](Self::record), which waits for a store that fails until it works again, but for callers who have
    /// something to answer meanwhile.
    ///
    /// How soon that is, is a matter of the store's own time limits and of the pause of [`run`](Self::run) between two
    /// attempts, at most 2 seconds.
    ///
    /// # Errors
    /// As [`record`](Self::record). When the store failed, the event keeps its place in the queue and is appended once
    /// the store works, unless the process ends before; only where there was no room for it in the queue either, it is
    /// not ([`StoreErrorKind::Full`]).
    pub async fn record_promptly(&self, scope: &Scope, event: AuditEvent) -> Result<Option<Receipt>, Error> {
        self.record_as(scope, event, Answer::prompt()).await
    }

    async fn record_as(
        &self,
        scope: &Scope,
        event: AuditEvent,
        answer: Answer,
    ) -> Result<Option<Receipt>, Error> {
        let answer = Arc::new(answer);
        if !self.enter(scope, event, &answer).await? {
            return Ok(None);
        }
        Ok(Some(Receive(&answer).await?))
    }

    /// Puts an event into the queue and does not wait for the store: for callers who have no time for a disk. It waits
    /// for room where the policy is to wait for it.
    ///
    /// What becomes of the event is `told`, from the thread that appends and before it goes on, so it should return at
    /// once: the receipt, or nothing when the spill file has it, or why the tenant's log can never take it. It is not
    /// told of an event that still waits when the process ends.
    ///
    /// # Errors
    /// As [`record`](Self::record), without those of the store. `told` is not called then.
    pub async fn enqueue(
        &self,
        scope: &Scope,
        event: AuditEvent,
        told: impl FnOnce(Result<Option<Receipt>, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let answer = Arc::new(Answer::told(told));
        if !self.enter(scope, event, &answer).await?
            && let Some(told) = answer.take_told()
        {
            told(Ok(None));
        }
        Ok(())
    }

    /// True when the event is in the queue, false when it is in the spill file.
    async fn enter(&self, scope: &Scope, event: AuditEvent, answer: &Arc<Answer>) -> Result<bool, Error> {
        let (draft, risk) = self.log.prepare(scope, event).await?;
        let mut waiting = Some(Waiting { scope: scope.clone(), draft, risk, answer: Arc::clone(answer) });
        let entered = Enter { queue: self, waiting: &mut waiting, prompt: answer.prompt }.await?;
        if !entered && let Some(Waiting { scope, draft, .. }) = waiting {
            self.spill(&scope, &draft)?;
        }
        Ok(entered)
    }

    fn spill(&self, scope: &Scope, draft: &Draft) -> Result<(), Error> {
        let Some(spill) = &self.spill else { return Err(full().into()) };
        spill.lock().push(scope.tenant(), draft).map_err(unavailable)?;
        self.work.notify_one();
        Ok(())
    }

    /// Appends what waits, at most a thousand events; how many. What was spilled goes first. While somebody else drains, nothing
    /// is done.
    ///
    /// An event that its tenant's log can never take, because that log is damaged, is answered with the error, and keeps nobody
    /// else waiting. A caller who drops this half-way leaves everything waiting as it was.
    ///
    /// # Errors
    /// When the store failed and may work later: the events wait on, in their order.
    pub async fn drain(&self) -> Result<usize, Error> {
        let Some(_turn) = Turn::take(&self.draining) else { return Ok(0) };
        match self.drain_spill().await {
            Ok(Some(count)) => return Ok(count),
            Ok(None) => {}
            Err(error) => {
                if let Error::Store(error) = &error {
                    self.failed(&[], error);
                }
                return Err(error);
            }
        }
        let mut taken = Taken::take(self);
        if taken.waiting.is_empty() {
            return Ok(0);
        }
        let count = taken.waiting.len();
        let by_tenant = by_tenant(&taken.waiting);
        let batches: Vec<_> = by_tenant.iter().map(|of| Batch::new(&of.scope, &of.drafts)).collect();
        let answers: Vec<Answered> = match self.log.store().append(&batches, self.log.config().now()).await {
            Ok(placed) => placed.into_iter().map(Ok).collect(),
            Err(error) if error.is_transient() => {
                self.failed(&taken.waiting, &error);
                return Err(error.into());
            }
            // One tenant's log cannot take them: the others' can.
            Err(_) => match self.one_by_one(&batches).await {
                Ok(answers) => answers,
                Err(error) => {
                    self.failed(&taken.waiting, &error);
                    return Err(error.into());
                }
            },
        };
        self.state.lock().failing = false;
        let mut answers: Vec<_> = answers.into_iter().map(|of| of.map(Vec::into_iter)).collect();
        let index: HashMap<&TenantId, usize> =
            by_tenant.iter().enumerate().map(|(at, of)| (of.scope.tenant(), at)).collect();
        for one in &taken.waiting {
            match index.get(one.scope.tenant()).and_then(|at| answers.get_mut(*at)) {
                Some(Ok(placed)) => {
                    if let Some(placed) = placed.next() {
                        one.answer.give(Ok(receipt(one, placed)));
                    }
                }
                Some(Err((kind, backend))) => one.answer.give(Err(StoreError::new(*kind, backend))),
                None => {}
            }
        }
        taken.waiting.clear();
        Ok(count)
    }

    /// The store failed and may work later: whoever wants to know hears of it.
    fn failed(&self, taken: &[Waiting], error: &StoreError) {
        let mut state = self.state.lock();
        state.failing = true;
        let prompt = taken.iter().chain(&state.waiting).filter(|one| one.answer.prompt);
        let answers: Vec<Arc<Answer>> = prompt.map(|one| Arc::clone(&one.answer)).collect();
        drop(state);
        for answer in answers {
            answer.give(Err(StoreError::new(error.kind(), error.backend())));
        }
    }

    /// Appends each tenant's events by themselves.
    async fn one_by_one(&self, batches: &[Batch<'_>]) -> Result<Vec<Answered>, StoreError> {
        let mut answers = Vec::with_capacity(batches.len());
        for batch in batches {
            match self.log.store().append(std::slice::from_ref(batch), self.log.config().now()).await {
                Ok(placed) => answers.push(Ok(placed.into_iter().flatten().collect())),
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => answers.push(Err((error.kind(), error.backend()))),
            }
        }
        Ok(answers)
    }

    /// Appends what was spilled; how many, or nothing when there is none.
    async fn drain_spill(&self) -> Result<Option<usize>, Error> {
        let Some(spill) = &self.spill else { return Ok(None) };
        let some = spill.lock().first(BATCH);
        if some.is_empty() {
            return Ok(None);
        }
        let scopes: Vec<Scope> = some.iter().map(|(tenant, _)| Scope::system(tenant.clone())).collect();
        let drafts: Vec<Draft> = some.into_iter().map(|(_, draft)| draft).collect();
        let pairs = scopes.iter().zip(&drafts);
        let batches: Vec<_> =
            pairs.map(|(scope, draft)| Batch::new(scope, std::slice::from_ref(draft))).collect();
        self.log.store().append(&batches, self.log.config().now()).await?;
        // A crash before this appends them again, and the store knows them.
        spill.lock().done(drafts.len()).map_err(unavailable)?;
        Ok(Some(drafts.len()))
    }

    /// Appends what waits until the queue is closed and empty. For a thread of the host's. `failed` is told when the store
    /// fails; the events wait, and it is tried again after a while.
    pub fn run(&self, mut failed: impl FnMut(&Error)) {
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        let _entered = self.runtime.as_ref().map(tokio::runtime::Handle::enter);
        let mut pause = BACK_OFF.0;
        loop {
            match block_on(self.drain()) {
                Ok(0) => {
                    let mut state = self.state.lock();
                    if state.waiting.is_empty() && self.spilled() == 0 {
                        if state.closed {
                            return;
                        }
                        // A look now and then, should somebody else drain too.
                        self.work.wait_for(&mut state, Duration::from_millis(100));
                    }
                }
                Ok(_) => pause = BACK_OFF.0,
                Err(error) => {
                    failed(&error);
                    // Whoever comes meanwhile does not cut this short: a store that fails is left alone.
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(BACK_OFF.1);
                }
            }
        }
    }

    /// Takes no more events. What waits is appended still.
    pub fn close(&self) {
        let blocked = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.blocked)
        };
        blocked.into_iter().for_each(Waker::wake);
        self.work.notify_all();
    }
}

/// Enters an event into the queue: true when it is in, false when it is to be spilled.
struct Enter<'q, S> {
    queue: &'q AuditQueue<S>,
    waiting: &'q mut Option<Waiting>,
    /// Whether there is no waiting for room while the store fails.
    prompt: bool,
}

impl<S> fmt::Debug for Enter<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Enter")
    }
}

impl<S: AuditStore> Future for Enter<'_, S> {
    type Output = Result<bool, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        let mut state = queue.state.lock();
        if state.closed {
            return Poll::Ready(Err(unavailable("the queue is closed").into()));
        }
        if state.waiting.len() + state.busy < queue.capacity {
            state.waiting.extend(self.waiting.take());
            drop(state);
            queue.work.notify_one();
            return Poll::Ready(Ok(true));
        }
        match queue.overflow {
            Overflow::Block if self.prompt && state.failing => Poll::Ready(Err(full().into())),
            Overflow::Block => {
                // A caller that is polled again and again while it waits is to be woken once.
                if !state.blocked.iter().any(|waker| waker.will_wake(context.waker())) {
                    state.blocked.push(context.waker().clone());
                }
                Poll::Pending
            }
            Overflow::Fail => Poll::Ready(Err(full().into())),
            Overflow::Spill(_) => Poll::Ready(Ok(false)),
        }
    }
}

/// Waits for a receipt.
struct Receive<'a>(&'a Answer);

impl Future for Receive<'_> {
    type Output = Result<Receipt, StoreError>;

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

/// Runs a future on this thread, asleep while it waits.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);

    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn receipt(waiting: &Waiting, placed: Placed) -> Receipt {
    let Placed { sequence, recorded, duplicate } = placed;
    Receipt { id: waiting.draft.id, sequence, recorded, risk: waiting.risk.clone(), duplicate }
}

fn open(path: &Path) -> Result<Spill, Error> {
    Ok(Spill::open(path, |body, blind| {
        let (event, risk, sealed) = canonical::read_body(body).ok()?;
        Draft::new(&event, &risk, &sealed, &blind).ok()
    })
    .map_err(unavailable)?)
}

fn full() -> StoreError {
    StoreError::new(StoreErrorKind::Full, "audit queue")
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "audit queue").with_source(error)
}
