//! Drives runs: performs actions, lets timers ring, keeps what happened.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use guardian_core::{Actor, Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::action::{Call, Failure};
use crate::engine::{Begun, Engine, Start};
use crate::error::Error;
use crate::machine::Effect;
use crate::plan::{Op, Step};
use crate::store::{Kept, Performed, RunRecord, WorkflowStore};

mod held;

use held::{Attempt, Doing, Done, Held, Moved, Next, lease_end};

/// How a worker works.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// Runs that it holds at the same time; 64 by default.
    pub capacity: u32,
    /// How long an action may take, whenever it begins, before another worker may take the run over; 60 seconds by default. A
    /// run whose worker died waits up to half as long again. [`Worker::beat`] holds runs longer.
    pub lease: Duration,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self { capacity: 64, lease: Duration::from_secs(60) }
    }
}

impl WorkerConfig {
    /// With another number of runs at the same time, at least 1.
    #[must_use]
    pub fn with_capacity(mut self, runs: u32) -> Self {
        self.capacity = runs.max(1);
        self
    }

    /// With another lease.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }
}

/// What a worker did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Runs that it took.
    pub claimed: u64,
    /// Attempts at actions.
    pub attempts: u64,
    /// Transactions that kept checkpoints.
    pub commits: u64,
    /// Checkpoints that they kept.
    pub checkpoints: u64,
    /// Runs that another worker had taken over.
    pub lost: u64,
}

/// Drives the runs that are due. The host calls [`run_once`](Self::run_once) again and again, in one process or many.
///
/// A run belongs to one worker at a time. All runs that are ready are kept in one transaction, and an action is performed
/// only after the state that asks for it was kept, so that whoever takes over asks for the same with the same key.
#[derive(Debug)]
pub struct Worker<S> {
    engine: Engine<S>,
    config: WorkerConfig,
    held: Mutex<HashMap<(TenantId, Uuid), i64>>,
}

impl<S: WorkflowStore + Clone> Worker<S> {
    /// A worker of this engine.
    #[must_use]
    pub fn new(engine: &Engine<S>, config: WorkerConfig) -> Self {
        Self { engine: engine.clone(), config, held: Mutex::new(HashMap::new()) }
    }

    fn until(&self, now: Timestamp) -> Timestamp {
        lease_end(now, self.config.lease)
    }

    /// Takes runs that are due and drives them until each waits for something that has yet to come, and until no other one
    /// is due.
    ///
    /// It may be dropped at any time: what it held is due again when the lease ends.
    ///
    /// # Errors
    /// When the store fails. What was kept stays kept, and what was not is done again when the lease ends.
    pub async fn run_once(&self) -> Result<Progress, Error> {
        let mut shift = Shift::new(self);
        shift.work(true).await?;
        Ok(shift.progress)
    }

    /// Starts a run and drives it at once until it waits for something or ends, without another worker in between.
    ///
    /// # Errors
    /// As for [`Engine::start`] and [`Self::run_once`].
    pub async fn execute(&self, scope: &Scope, workflow: &str, start: Start) -> Result<Uuid, Error> {
        let until = self.until(self.engine.inner.clock.now());
        let Begun { id, driven, .. } = self.engine.begin(scope, workflow, start, until).await?;
        if let Some((record, plans, effects, more)) = driven {
            let mut shift = Shift::new(self);
            let RunRecord { tenant, id: run, state, .. } = record;
            self.held.lock().insert((tenant.clone(), run), 1);
            let at = shift.add(Held::new(acting(tenant), run, 1, Some(until), state, plans));
            if let Some(held) = shift.runs.get_mut(&at) {
                (held.effects, held.more) = (effects, more);
            }
            let now = shift.now();
            shift.dispatch(at, now);
            shift.work(false).await?;
        }
        Ok(id)
    }

    /// Holds the runs that it has longer, from now on. To be called every third of the lease or so while
    /// [`run_once`](Self::run_once) goes on, if actions may take longer than the lease.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn beat(&self) -> Result<(), Error> {
        let held: Vec<(TenantId, Uuid, i64)> =
            self.held.lock().iter().map(|((tenant, run), fence)| (tenant.clone(), *run, *fence)).collect();
        if !held.is_empty() {
            let until = self.until(self.engine.inner.clock.now());
            self.engine.inner.store.extend(&held, until).await?;
        }
        Ok(())
    }
}

/// Begins something. Most of it is done at once, and then it needs no place among what is waited for.
fn set_going(mut doing: Doing, all: &mut FuturesUnordered<Doing>, arrived: &mut VecDeque<(usize, Done)>) {
    // What is not done is asked again by those who wait for all, who also know whom to wake.
    match doing.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => arrived.push_back(done),
        Poll::Pending => all.push(doing),
    }
}

/// Waits for a future and lets what is under way go on meanwhile: an action may hold what the future waits for, such as the
/// one connection that writes.
async fn beside<T>(
    doing: &mut FuturesUnordered<Doing>,
    arrived: &mut VecDeque<(usize, Done)>,
    future: impl Future<Output = T>,
) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        if doing.is_empty() {
            return future.await;
        }
        match select(future.as_mut(), doing.next()).await {
            Either::Left((done, _)) => return done,
            Either::Right((each, _)) => arrived.extend(each),
        }
    }
}

/// One call of a worker: the runs that it holds, and what goes on for them.
struct Shift<'w, S> {
    worker: &'w Worker<S>,
    runs: BTreeMap<usize, Held>,
    /// The number of the next one; a number is never used again, for futures of a lost run may still be under way.
    next: usize,
    doing: FuturesUnordered<Doing>,
    /// What was done while something else was waited for.
    arrived: VecDeque<(usize, Done)>,
    /// Runs whose state has to be kept.
    dirty: Vec<usize>,
    progress: Progress,
}

impl<S> Drop for Shift<'_, S> {
    /// What is left is nobody's any more, so that nobody says that it is still held.
    fn drop(&mut self) {
        let mut held = self.worker.held.lock();
        for run in self.runs.values() {
            forget(&mut held, run);
        }
    }
}

/// The code of a failure for what the database would say again and again to the same action: the fault of the action or of its
/// run, which must hold up no other run.
fn own_fault(kind: StoreErrorKind) -> Option<&'static str> {
    match kind {
        StoreErrorKind::Unsupported => Some("unsupported"),
        StoreErrorKind::Constraint => Some("constraint"),
        StoreErrorKind::Corrupt => Some("corrupt"),
        _ => None,
    }
}

/// The scope of a tenant's runs: an actor of its own, whoever started them and whichever worker has them.
fn acting(tenant: TenantId) -> Scope {
    Scope::new(tenant, Actor::workflow())
}

/// A run is nobody's here any more, unless it was taken anew meanwhile.
fn forget(all: &mut HashMap<(TenantId, Uuid), i64>, run: &Held) {
    let key = (run.scope.tenant().clone(), run.run);
    if all.get(&key) == Some(&run.fence) {
        all.remove(&key);
    }
}

impl<'w, S: WorkflowStore + Clone> Shift<'w, S> {
    fn new(worker: &'w Worker<S>) -> Self {
        Self {
            worker,
            runs: BTreeMap::new(),
            next: 0,
            doing: FuturesUnordered::new(),
            arrived: VecDeque::new(),
            dirty: Vec::new(),
            progress: Progress::default(),
        }
    }

    fn now(&self) -> Timestamp {
        self.worker.engine.inner.clock.now()
    }

    fn add(&mut self, held: Held) -> usize {
        let at = self.next;
        self.next += 1;
        self.runs.insert(at, held);
        at
    }

    async fn work(&mut self, takes_new: bool) -> Result<(), Error> {
        let mut looked = !takes_new;
        loop {
            let active = self.runs.len();
            if !looked && (active as u64) < u64::from(self.worker.config.capacity) {
                looked = !self.claim(active).await?;
            }
            if !self.dirty.is_empty() {
                let held = self.runs.len();
                self.keep().await?;
                // What was let go may be due again, and there is room for others.
                if takes_new && self.runs.len() < held {
                    looked = false;
                }
                continue;
            }
            let next = match self.arrived.pop_front() {
                Some(next) => Some(next),
                None => self.doing.next().await,
            };
            let Some((at, done)) = next else {
                if looked {
                    return Ok(());
                }
                continue;
            };
            self.handle(at, done)?;
            while let Some((at, done)) = self.arrived.pop_front() {
                self.handle(at, done)?;
            }
            // Everything else that is done by now goes into the same transaction.
            while let Some(Some((at, done))) = self.doing.next().now_or_never() {
                self.handle(at, done)?;
            }
        }
    }

    /// Takes runs that are due; whether there may be more.
    async fn claim(&mut self, active: usize) -> Result<bool, Error> {
        let (now, engine) = (self.now(), &self.worker.engine);
        let until = self.worker.until(now);
        let room = self.worker.config.capacity.saturating_sub(u32::try_from(active).unwrap_or(u32::MAX));
        let claiming = engine.inner.store.claim(now, until, room);
        let claimed = beside(&mut self.doing, &mut self.arrived, claiming).await?;
        let more = claimed.len() as u64 == u64::from(room);
        for each in claimed {
            self.progress.claimed += 1;
            let RunRecord { id, tenant, state, .. } = each.run;
            let scope = acting(tenant);
            let reading = engine.plans(&scope, &state);
            let plans = match beside(&mut self.doing, &mut self.arrived, reading).await {
                Ok(plans) => plans,
                Err(error) if error.is_outage() => return Err(error),
                // A version that this build cannot read: the run stays as it is, for one that can.
                Err(_) => {
                    self.progress.lost += 1;
                    continue;
                }
            };
            let mut held = Held::new(scope, id, each.fence, Some(until), state, plans);
            self.worker.held.lock().insert((held.scope.tenant().clone(), id), each.fence);
            held.drive(now, |machine| {
                machine.resume();
                Held::take(machine, each.messages);
            });
            let at = self.add(held);
            self.dirty.push(at);
        }
        Ok(more)
    }

    /// Keeps the state of all runs that changed, in one transaction, and then does what they ask for.
    async fn keep(&mut self) -> Result<(), Error> {
        let now = self.now();
        let until = self.worker.until(now);
        let mut order = Vec::with_capacity(self.dirty.len());
        let mut batch = Vec::with_capacity(self.dirty.len());
        for at in std::mem::take(&mut self.dirty) {
            let Some(held) = self.runs.get_mut(&at) else { continue };
            let checkpoint = held.checkpoint(now, until);
            order.push((at, checkpoint.held.is_some()));
            batch.push(checkpoint);
        }
        self.progress.commits += 1;
        self.progress.checkpoints += batch.len() as u64;
        let keeping = self.worker.engine.inner.store.checkpoint(batch);
        let kept = beside(&mut self.doing, &mut self.arrived, keeping).await?;
        for ((at, stays), kept) in order.into_iter().zip(kept) {
            self.kept(at, stays, kept, now);
        }
        Ok(())
    }

    fn kept(&mut self, at: usize, stays: bool, kept: Kept, now: Timestamp) {
        match kept {
            Kept::Lost => {
                self.progress.lost += 1;
                self.let_go(at);
            }
            Kept::Yes(_) if !stays => self.let_go(at),
            Kept::Yes(messages) => {
                let later = if messages.is_empty() { now } else { self.now() };
                let Some(held) = self.runs.get_mut(&at) else { return };
                if !messages.is_empty() {
                    held.drive(later, |machine| Held::take(machine, messages));
                } else if held.more {
                    held.drive(later, |_| {});
                } else {
                    return self.dispatch(at, now);
                }
                // What a state asks for that is not kept yet has to wait for that.
                self.changed(at);
            }
        }
    }

    fn let_go(&mut self, at: usize) {
        if let Some(held) = self.runs.remove(&at) {
            forget(&mut self.worker.held.lock(), &held);
        }
    }

    /// The state of a run has to be kept.
    fn changed(&mut self, at: usize) {
        if !self.dirty.contains(&at) {
            self.dirty.push(at);
        }
    }

    /// Does what a run asks for.
    fn dispatch(&mut self, at: usize, now: Timestamp) {
        let Some(held) = self.runs.get_mut(&at) else { return };
        for effect in std::mem::take(&mut held.effects) {
            let Some(attempt) = held.ask(&effect) else { continue };
            if self.worker.is_transactional(held, &effect) {
                held.transactional.push_back(effect);
            } else if let Some(doing) = self.worker.doing(at, held, effect, attempt, now) {
                held.going += 1;
                self.progress.attempts += 1;
                set_going(doing, &mut self.doing, &mut self.arrived);
            } else {
                held.over(attempt);
            }
        }
        while !held.busy
            && let Some(effect) = held.transactional.pop_front()
        {
            let Effect::Call { token, visit, attempt } = effect else { continue };
            let attempt = (token, visit, attempt);
            match self.worker.performing(at, held, &effect, attempt) {
                Some(doing) => {
                    held.busy = true;
                    held.going += 1;
                    self.progress.attempts += 1;
                    set_going(doing, &mut self.doing, &mut self.arrived);
                }
                None => held.over(attempt),
            }
        }
        if held.going == 0 {
            // Nobody waits any more for what was asked for.
            self.changed(at);
        }
    }

    fn handle(&mut self, at: usize, done: Done) -> Result<(), Error> {
        let now = self.now();
        let Some(held) = self.runs.get_mut(&at) else { return Ok(()) };
        held.going = held.going.saturating_sub(1);
        let done = match done {
            Done::Performed { attempt, result, moved } => {
                held.over(attempt);
                return self.performed(at, attempt, result, moved);
            }
            // The store's fault, not the run's: it is asked for again when the lease ends.
            Done::Loaded { found: Err(error), .. } | Done::Migrated { found: Err(error), .. }
                if error.is_outage() =>
            {
                self.let_go(at);
                return Err(error);
            }
            done => done,
        };
        if let Done::Attempt { attempt, .. } | Done::Loaded { attempt, .. } | Done::Migrated { attempt, .. } =
            &done
        {
            held.over(*attempt);
        }
        if held.busy {
            held.later.push_back(done);
            return Ok(());
        }
        held.apply(now, done);
        self.changed(at);
        Ok(())
    }

    /// A transactional action is over.
    fn performed(
        &mut self,
        at: usize,
        attempt: Attempt,
        result: Result<Performed, StoreError>,
        moved: Option<Box<Moved>>,
    ) -> Result<(), Error> {
        let now = self.now();
        let Some(held) = self.runs.get_mut(&at) else { return Ok(()) };
        held.busy = false;
        match (result, moved) {
            (Ok(Performed::Kept(checkpoint, messages)), Some(moved)) => {
                self.progress.commits += 1;
                self.progress.checkpoints += 1;
                if checkpoint.held.is_none() {
                    self.let_go(at);
                    return Ok(());
                }
                held.follow(*moved);
                if held.catch_up(now, messages) {
                    self.changed(at);
                } else {
                    self.dispatch(at, now);
                }
                Ok(())
            }
            (Err(error), _) => {
                let Some(code) = own_fault(error.kind()) else {
                    self.let_go(at);
                    return Err(error.into());
                };
                let source = std::error::Error::source(&error);
                let why = source.map_or_else(|| error.to_string(), ToString::to_string);
                held.apply(now, Done::Attempt { attempt, result: Err(Failure::new(code, why)) });
                held.catch_up(now, Vec::new());
                self.changed(at);
                Ok(())
            }
            (Ok(_), _) => {
                self.progress.lost += 1;
                self.let_go(at);
                Ok(())
            }
        }
    }
}

impl<S: WorkflowStore + Clone> Worker<S> {
    fn call(&self, held: &Held, effect: &Effect) -> Option<Call> {
        self.engine.call(&held.scope, held.run, &held.state, &held.plans, effect)
    }

    fn is_transactional(&self, held: &Held, effect: &Effect) -> bool {
        let Effect::Call { token, .. } = effect else { return false };
        let Some(token) = held.state.token(*token) else { return false };
        let actions = &self.engine.inner.actions;
        match (&token.undo, held.plans.get(token.scope).and_then(|plan| plan.step(token.at))) {
            (Some(undo), _) => actions.is_transactional(&undo.action),
            (None, Some(Step { op: Op::Action(action), .. })) => actions.is_transactional(&action.action),
            _ => false,
        }
    }

    /// What performs an effect; `None` if the run has moved on.
    fn doing(
        &self,
        at: usize,
        held: &Held,
        effect: Effect,
        attempt: Attempt,
        now: Timestamp,
    ) -> Option<Doing> {
        match effect {
            Effect::Call { token, .. } => {
                let call = self.call(held, &effect)?;
                let late =
                    held.state.token(token).is_some_and(|token| crate::machine::overdue(&token.phase, now));
                if late {
                    let result = Err(Failure::new("timeout", "the action took too long"));
                    return Some(Box::pin(async move { (at, Done::Attempt { attempt, result }) }));
                }
                let action = self.engine.inner.actions.get(&call.action).cloned();
                Some(Box::pin(async move {
                    let result = match action {
                        Some(action) => action.run(&call).await,
                        None => Err(Failure::new(
                            "unknown_action",
                            format!("there is no action `{}`", call.action),
                        )),
                    };
                    (at, Done::Attempt { attempt, result })
                }))
            }
            Effect::Load { workflow, version, .. } => {
                let (engine, scope) = (self.engine.clone(), held.scope.clone());
                Some(Box::pin(async move {
                    let found = engine.sub(&scope, &workflow, &version).await;
                    (at, Done::Loaded { attempt, found })
                }))
            }
            Effect::Migrate { version } => {
                let (engine, scope) = (self.engine.clone(), held.scope.clone());
                let workflow = held.state.scopes.first().map(|scope| Arc::clone(&scope.workflow))?;
                Some(Box::pin(async move {
                    let found = engine.plan(&scope, &workflow, version).await;
                    (at, Done::Migrated { attempt, version, found })
                }))
            }
        }
    }

    /// Performs a transactional action and keeps the checkpoint that follows it; `None` if the run has moved on.
    fn performing(&self, at: usize, held: &Held, effect: &Effect, attempt: Attempt) -> Option<Doing> {
        let call = self.call(held, effect)?;
        let (engine, fence) = (self.engine.clone(), held.fence);
        let next = Next::new(held, attempt, Arc::clone(&engine.inner.clock), self.config.lease);
        Some(Box::pin(async move {
            let result = engine.inner.store.perform(&call, fence, &next).await;
            (at, Done::Performed { attempt, result, moved: next.moved() })
        }))
    }
}
