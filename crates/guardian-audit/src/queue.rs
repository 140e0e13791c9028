use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::canonical;
use crate::error::Error;
use crate::event::AuditEvent;
use crate::log::{AuditLog, Receipt};
use crate::store::spill::Spill;
use crate::store::{AuditStore, Batch, Draft, Placed};

mod waiting;

pub use waiting::LaterEvent;
use waiting::{Answer, Content, Receive, Reply, State, Taken, Told, Waiting, Worker, by_tenant};

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

/// How many events are appended at once.
const BATCH: usize = 1_000;

/// How long the worker lets events come together after it appended some, while nobody waits for them.
const LINGER: Duration = Duration::from_millis(10);

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

    /// How many events wait in the spill file, those included that their tenants' logs refused.
    #[must_use]
    pub fn spilled(&self) -> usize {
        self.spill.as_ref().map_or(0, |spill| spill.lock().len())
    }

    /// Records an event; returns when the store has it. Without a receipt the spill file has it.
    ///
    /// A caller that stops waiting does not take the event back.
    ///
    /// Where personal data is sealed, the event is sealed before it enters the queue: while the store of keys is away this fails
    /// at once, and the event is kept nowhere.
    ///
    /// # Errors
    /// When the event is none the log takes, or the store of keys failed; [`StoreErrorKind::Full`] when the queue is full and
    /// its policy is to fail; when the queue is closed; when the spill file does not take it.
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
    /// A store of keys that is away is another matter than the log's: it is asked before the event enters the queue, as by
    /// [`record`](Self::record), so the event is kept nowhere then. While keys are away for an event that was
    /// [enqueued](Self::enqueue) before, that one holds up all behind it, and this returns the error of the keys too, with its own
    /// event in the queue. Who gives events ids of their own need not tell these apart: recording one again is harmless.
    ///
    /// # Errors
    /// As [`record`](Self::record). When the log's store failed, the event keeps its place in the queue and is appended once
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
        let (draft, risk) = self.log.prepare(scope, event).await?;
        let mut waiting = Some(Waiting {
            scope: scope.clone(),
            content: Content::Ready(draft, risk),
            reply: Reply::Awaited(Arc::clone(&answer)),
        });
        let prompt = answer.prompt;
        let enter = Enter { queue: self, waiting: &mut waiting, prompt };
        if enter.await? {
            return Ok(Some(Receive(&answer).await?));
        }
        if let Some(Waiting { content: Content::Ready(draft, _), .. }) = waiting {
            self.spill(scope, &draft)?;
        }
        Ok(None)
    }

    /// Puts an event into the queue and does not wait for the store: for callers who have no time for a disk. It waits
    /// for room where the policy is to wait for it. Redaction and all else that makes an event ready to be stored is done by
    /// the thread that appends, and before anything is spilled.
    ///
    /// The event may be a hundredth of a second on its way to the store, unless somebody waits: so that one turn of that
    /// thread is enough for many.
    ///
    /// What becomes of the event is `told`, from the thread that appends and before it goes on, so it should return at
    /// once: the receipt, or nothing when the spill file has it, or why the tenant's log can never take it. It is not
    /// told of an event that still waits when the process ends.
    ///
    /// Where personal data is sealed, that thread asks the store of keys. While it is away, the event waits in its place like
    /// for the log's own store, and with it everything behind it, whosever it is and whether it has to be sealed or not; a fault of
    /// the keys that does not pass, `told` hears of. A queue that fills up meanwhile does as its policy says, but for
    /// [`Overflow::Spill`]: what goes into the spill file is sealed first, by the caller, so while the keys are away this fails
    /// and the event is kept nowhere.
    ///
    /// # Errors
    /// As [`record`](Self::record); of the stores, only of keys, and only on the way into the spill file. `told` is not called then.
    pub async fn enqueue(
        &self,
        scope: &Scope,
        event: AuditEvent,
        told: impl FnOnce(Result<Option<Receipt>, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let mut waiting = Some(self.given(scope, Box::new(event), Box::new(told))?);
        let enter = Enter { queue: self, waiting: &mut waiting, prompt: false };
        if enter.await? {
            return Ok(());
        }
        if let Some(mut waiting) = waiting {
            waiting.make_ready(&self.log).await?;
            if let Waiting { content: Content::Ready(draft, _), reply: Reply::Told(told), .. } = waiting {
                self.spill(scope, &draft)?;
                told(Ok(None));
            }
        }
        Ok(())
    }

    /// [`enqueue`](Self::enqueue) without a future, if there is room now. The event comes back if there is none, and `told` is
    /// not called then: what becomes of it [`enqueue`](Self::enqueue) decides.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub fn enqueue_at_once(
        &self,
        scope: &Scope,
        event: impl Into<Box<AuditEvent>>,
        told: impl FnOnce(Result<Option<Receipt>, Error>) + Send + 'static,
    ) -> Result<Option<Box<AuditEvent>>, Error> {
        let mut waiting = Some(self.given(scope, event.into(), Box::new(told))?);
        if self.enter(&mut waiting)?.is_none() {
            return Ok(None);
        }
        Ok(waiting.and_then(|waiting| match waiting.content {
            Content::Given(event, _) => Some(event),
            Content::Later(..) | Content::Ready(..) => None,
        }))
    }

    /// [`enqueue_at_once`](Self::enqueue_at_once) for an event that is not made yet: the thread that appends makes it, so that whoever
    /// enqueues it does no more than to note down what it is made of. If there is no room now it comes back, and is told nothing;
    /// what becomes of it [`enqueue`](Self::enqueue) decides, once it is made.
    ///
    /// That the log does not take such an event, because of its fields or of the schema of its action, is found out late: it is
    /// told then, as of all else that keeps it out of the log.
    ///
    /// # Errors
    /// When the queue is closed; the event is told nothing then.
    pub fn enqueue_later<L: LaterEvent>(&self, later: Box<L>) -> Result<Option<Box<L>>, Error> {
        let scope = later.scope().clone();
        let content = Content::Later(self.log.config().now(), false);
        let mut later = Some(later);
        let entered = self.enter_as(false, || {
            later.take().map(|later| Waiting { scope, content, reply: Reply::Later(later) })
        })?;
        drop(entered);
        Ok(later)
    }

    /// An event that was looked at, and is to be made ready later.
    fn given(&self, scope: &Scope, mut event: Box<AuditEvent>, told: Told) -> Result<Waiting, Error> {
        let came = self.log.look(&mut event)?;
        Ok(Waiting { scope: scope.clone(), content: Content::Given(event, came), reply: Reply::Told(told) })
    }

    /// Takes the event if there is room. If there is none the state is given back, as it was found.
    fn enter(&self, waiting: &mut Option<Waiting>) -> Result<Option<MutexGuard<'_, State>>, Error> {
        let is_awaited = waiting.as_ref().is_some_and(|waiting| waiting.reply.is_awaited());
        self.enter_as(is_awaited, || waiting.take())
    }

    /// The same for what is asked for when there is room.
    fn enter_as(
        &self,
        is_awaited: bool,
        waiting: impl FnOnce() -> Option<Waiting>,
    ) -> Result<Option<MutexGuard<'_, State>>, Error> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(unavailable("the queue is closed").into());
        }
        if state.waiting.len() + state.busy >= self.capacity {
            return Ok(Some(state));
        }
        state.hurried |= is_awaited;
        state.waiting.extend(waiting());
        let wakes = match state.worker {
            Worker::Looks => false,
            Worker::Lingers => self.is_urgent(&state),
            Worker::Sleeps => true,
        };
        if wakes {
            // Once is enough.
            state.worker = Worker::Looks;
            drop(state);
            self.work.notify_one();
        }
        Ok(None)
    }

    /// Whether what waits should not wait for more of it.
    fn is_urgent(&self, state: &State) -> bool {
        state.hurried || state.closed || state.waiting.len() >= (self.capacity / 2).clamp(1, BATCH)
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
    /// else waiting. One that was spilled stays in the spill file, which is not emptied then, and is tried again when the file is
    /// opened the next time. A caller who drops this half-way leaves everything waiting as it was.
    ///
    /// # Errors
    /// When the store failed and may work later: the events wait on, in their order. And when a log refused spilled events; what else was
    /// spilled is in the store.
    pub async fn drain(&self) -> Result<usize, Error> {
        Ok(self.drain_alone().await?.unwrap_or(0))
    }

    /// The same; nothing while somebody else drains.
    async fn drain_alone(&self) -> Result<Option<usize>, Error> {
        let Some(_turn) = Turn::take(&self.draining) else { return Ok(None) };
        match self.drain_spill().await {
            Ok(Some(count)) => return Ok(Some(count)),
            Ok(None) => {}
            Err(error) => {
                if let Error::Store(error) = &error
                    && error.is_transient()
                {
                    self.failed(&[], error);
                }
                return Err(error);
            }
        }
        let mut taken = Taken::take(&self.state, BATCH);
        let count = taken.count;
        if let Err(error) = self.make_ready(&mut taken.waiting).await {
            self.failed(&taken.waiting, &error);
            return Err(error.into());
        }
        if taken.waiting.is_empty() {
            return Ok(Some(count));
        }
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
        for one in taken.waiting.drain(..) {
            match index.get(one.scope.tenant()).and_then(|at| answers.get_mut(*at)) {
                Some(Ok(placed)) => {
                    if let Some(placed) = placed.next() {
                        one.appended(placed);
                    }
                }
                Some(Err((kind, backend))) => one.reply.give(Err(StoreError::new(*kind, backend).into())),
                None => {}
            }
        }
        Ok(Some(count))
    }

    /// Makes those ready that are not. Whoever's event the log can never take is told, and it is taken out.
    async fn make_ready(&self, waiting: &mut Vec<Waiting>) -> Result<(), StoreError> {
        let mut at = 0;
        while let Some(one) = waiting.get_mut(at) {
            match one.make_ready(&self.log).await {
                Ok(()) => at += 1,
                Err(Error::Store(error)) if error.is_transient() => return Err(error),
                Err(error) => waiting.remove(at).reply.give(Err(error)),
            }
        }
        Ok(())
    }

    /// The store failed and may work later: whoever wants to know hears of it.
    fn failed(&self, taken: &[Waiting], error: &StoreError) {
        let mut state = self.state.lock();
        state.failing = true;
        let prompt = taken.iter().chain(&state.waiting).filter_map(|one| one.reply.prompt());
        let answers: Vec<Arc<Answer>> = prompt.map(Arc::clone).collect();
        drop(state);
        for answer in answers {
            answer.give(Err(StoreError::new(error.kind(), error.backend()).into()));
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
        // A crash before they are done with appends them again, and the store knows them.
        match self.log.store().append(&batches, self.log.config().now()).await {
            Ok(_) => spill.lock().done(drafts.len(), |_| false).map_err(unavailable)?,
            Err(error) if error.is_transient() => return Err(error.into()),
            // One tenant's log cannot take them: the others' can.
            Err(_) => {
                let answers = self.one_by_one(&batches).await?;
                let is_refused = |at: usize| answers.get(at).is_some_and(Result::is_err);
                spill.lock().done(drafts.len(), is_refused).map_err(unavailable)?;
                if let Some((kind, backend)) =
                    answers.iter().find_map(|answer| answer.as_ref().err().copied())
                {
                    return Err(StoreError::new(kind, backend).into());
                }
            }
        }
        Ok(Some(drafts.len()))
    }

    /// Appends what waits until the queue is closed and empty. For a thread of the host's. `failed` is told when the store
    /// fails; the events wait, and it is tried again after a while.
    pub fn run(&self, mut failed: impl FnMut(&Error)) {
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        let _entered = self.runtime.as_ref().map(tokio::runtime::Handle::enter);
        let mut pause = BACK_OFF.0;
        loop {
            match block_on(self.drain_alone()) {
                // Somebody else is at it. There is nothing to be done meanwhile.
                Ok(None) => std::thread::sleep(LINGER),
                Ok(Some(count)) => {
                    if count > 0 {
                        pause = BACK_OFF.0;
                    }
                    let has_more = self.spill.as_ref().is_some_and(|spill| spill.lock().has_more());
                    let mut state = self.state.lock();
                    if has_more || count >= BATCH {
                        continue;
                    }
                    if state.closed && state.waiting.is_empty() {
                        return;
                    }
                    // A look now and then, should somebody else drain too.
                    let (worker, time) = match count {
                        0 => (Worker::Sleeps, Duration::from_millis(100)),
                        _ => (Worker::Lingers, LINGER),
                    };
                    if state.waiting.is_empty() || (count > 0 && !self.is_urgent(&state)) {
                        state.worker = worker;
                        self.work.wait_for(&mut state, time);
                        state.worker = Worker::Looks;
                    }
                }
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
        let Some(mut state) = queue.enter(self.waiting)? else { return Poll::Ready(Ok(true)) };
        match queue.overflow {
            Overflow::Block if self.prompt && state.failing => Poll::Ready(Err(full().into())),
            Overflow::Block => {
                // A caller that is polled again and again while it waits is to be woken once.
                if !state.blocked.iter().any(|waker| waker.will_wake(context.waker())) {
                    state.blocked.push(context.waker().clone());
                }
                drop(state);
                // Who lingers now keeps somebody waiting.
                queue.work.notify_one();
                Poll::Pending
            }
            Overflow::Fail => Poll::Ready(Err(full().into())),
            Overflow::Spill(_) => Poll::Ready(Ok(false)),
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
