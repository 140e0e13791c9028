//! Drives runs: performs actions, lets timers ring, keeps what happened.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use guardian_core::{Scope, StoreErrorKind, TenantId, Timestamp};
use parking_lot::Mutex;
use serde_json::Value;
use uuid::Uuid;

use crate::action::{Call, Failure};
use crate::engine::{Begun, Engine, Start};
use crate::error::Error;
use crate::machine::state::RunState;
use crate::machine::{Effect, Entry, Machine, Message, Plans};
use crate::plan::{Op, Plan, Step};
use crate::store::{Checkpoint, Continue, Kept, Performed, RunRecord, WorkflowStore};

/// How a worker works.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// Runs that it holds at the same time; 64 by default.
    pub capacity: u32,
    /// How long it holds a run without saying so again; 60 seconds by default. [`Worker::beat`] holds them longer.
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

/// What a future of a run came to.
enum Done {
    Attempt { token: u32, visit: u64, attempt: u32, result: Result<Value, Failure> },
    Loaded { token: u32, visit: u64, found: Result<(u64, Arc<Plan>), Failure> },
    Performed(Result<Performed, guardian_core::StoreError>, Option<Box<Moved>>),
    Migrated { version: u64, found: Result<Arc<Plan>, Error> },
}

type Doing = Pin<Box<dyn Future<Output = (usize, Done)> + Send>>;

/// A run in the hands of the worker.
struct Held {
    scope: Scope,
    run: Uuid,
    fence: i64,
    /// Until when it was said to be held; a checkpoint says so again only in the second half of the lease.
    until: Option<Timestamp>,
    state: RunState,
    plans: Plans,
    entries: Vec<Entry>,
    effects: Vec<Effect>,
    /// Whether more is to do at once after the state was kept.
    more: bool,
    /// Futures that are not done.
    going: u32,
    /// Whether a transaction is under way, during which nothing else may change the state.
    busy: bool,
    /// What was done meanwhile.
    later: VecDeque<Done>,
    /// Transactional effects that wait for their turn.
    transactional: VecDeque<Effect>,
}

/// What a run became within a transaction.
struct Moved {
    state: RunState,
    plans: Plans,
    effects: Vec<Effect>,
    more: bool,
}

impl<S: WorkflowStore + Clone> Worker<S> {
    /// A worker of this engine.
    #[must_use]
    pub fn new(engine: &Engine<S>, config: WorkerConfig) -> Self {
        Self { engine: engine.clone(), config, held: Mutex::new(HashMap::new()) }
    }

    fn until(&self, now: Timestamp) -> Timestamp {
        now.checked_add_signed(
            chrono::TimeDelta::from_std(self.config.lease).unwrap_or(chrono::TimeDelta::MAX),
        )
        .unwrap_or(Timestamp::MAX_UTC)
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
        let Begun { id, driven } = self.engine.begin(scope, workflow, start, until).await?;
        if let Some((record, plans, effects, more)) = driven {
            let mut shift = Shift::new(self);
            let RunRecord { tenant, id: run, state, .. } = record;
            self.held.lock().insert((tenant, run), 1);
            let at = shift.add(Held::new(scope.clone(), run, 1, state, plans));
            if let Some(held) = shift.runs.get_mut(&at) {
                (held.effects, held.more) = (effects, more);
            }
            shift.dispatch(at);
            shift.work(false).await?;
        }
        Ok(id)
    }

    /// Holds the runs that it has longer, by its lease from now on. To be called every third of the lease or so while
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

impl Held {
    fn new(scope: Scope, run: Uuid, fence: i64, state: RunState, plans: Plans) -> Self {
        Self {
            scope,
            run,
            fence,
            until: None,
            state,
            plans,
            entries: Vec::new(),
            effects: Vec::new(),
            more: false,
            going: 0,
            busy: false,
            later: VecDeque::new(),
            transactional: VecDeque::new(),
        }
    }

    /// Has the interpreter do something with the run, and lets it go on.
    fn drive(&mut self, now: Timestamp, first: impl FnOnce(&mut Machine<'_>)) {
        let mut machine = Machine {
            run: self.run,
            state: &mut self.state,
            plans: &mut self.plans,
            now,
            entries: &mut self.entries,
            effects: &mut self.effects,
            turns: VecDeque::new(),
        };
        first(&mut machine);
        machine.ring();
        self.more = machine.advance();
    }

    fn take(machine: &mut Machine<'_>, messages: Vec<(i64, Message)>) {
        for (number, message) in messages {
            if number > machine.state.seen {
                machine.state.seen = number;
                machine.take(message);
                machine.settle();
            }
        }
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
            held.remove(&(run.scope.tenant().clone(), run.run));
        }
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
                self.keep().await?;
                if takes_new && self.runs.len() < active {
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
        let room = self.worker.config.capacity.saturating_sub(u32::try_from(active).unwrap_or(u32::MAX));
        let claiming = engine.inner.store.claim(now, self.worker.until(now), room);
        let claimed = beside(&mut self.doing, &mut self.arrived, claiming).await?;
        let more = claimed.len() as u64 == u64::from(room);
        for each in claimed {
            self.progress.claimed += 1;
            let RunRecord { id, tenant, state, .. } = each.run;
            let scope = Scope::system(tenant);
            let reading = engine.plans(&scope, &state);
            let plans = match beside(&mut self.doing, &mut self.arrived, reading).await {
                Ok(plans) => plans,
                Err(Error::Store(error)) => return Err(error.into()),
                // A version that this build cannot read: the run stays as it is, for one that can.
                Err(_) => {
                    self.progress.lost += 1;
                    continue;
                }
            };
            let mut held = Held::new(scope, id, each.fence, state, plans);
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
            self.kept(at, stays, kept);
        }
        Ok(())
    }

    fn kept(&mut self, at: usize, stays: bool, kept: Kept) {
        match kept {
            Kept::Lost => {
                self.progress.lost += 1;
                self.let_go(at);
            }
            Kept::Yes(_) if !stays => self.let_go(at),
            Kept::Yes(messages) => {
                if !messages.is_empty() {
                    let now = self.now();
                    if let Some(held) = self.runs.get_mut(&at) {
                        held.drive(now, |machine| Held::take(machine, messages));
                    }
                    self.dirty.push(at);
                }
                let more = self.runs.get(&at).is_some_and(|held| held.more);
                if more {
                    let now = self.now();
                    if let Some(held) = self.runs.get_mut(&at) {
                        held.drive(now, |_| {});
                    }
                    if !self.dirty.contains(&at) {
                        self.dirty.push(at);
                    }
                }
                // What a state asks for that is not kept yet has to wait for that.
                if !self.dirty.contains(&at) {
                    self.dispatch(at);
                }
            }
        }
    }

    fn let_go(&mut self, at: usize) {
        if let Some(held) = self.runs.remove(&at) {
            self.worker.held.lock().remove(&(held.scope.tenant().clone(), held.run));
        }
    }

    /// Does what a run asks for.
    fn dispatch(&mut self, at: usize) {
        let Some(held) = self.runs.get_mut(&at) else { return };
        let effects = std::mem::take(&mut held.effects);
        for effect in effects {
            let transactional = self.worker.is_transactional(held, &effect);
            if transactional {
                held.transactional.push_back(effect);
            } else if let Some(doing) = self.worker.doing(at, held, effect) {
                held.going += 1;
                self.progress.attempts += 1;
                self.doing.push(doing);
            }
        }
        if !held.busy
            && let Some(effect) = held.transactional.pop_front()
        {
            held.busy = true;
            held.going += 1;
            self.progress.attempts += 1;
            self.doing.push(self.worker.performing(at, held, effect));
        }
    }

    fn handle(&mut self, at: usize, done: Done) -> Result<(), Error> {
        let now = self.now();
        let Some(held) = self.runs.get_mut(&at) else { return Ok(()) };
        if let Done::Performed(result, moved) = done {
            held.busy = false;
            held.going -= 1;
            let performed = match result {
                Ok(performed) => performed,
                Err(error) if error.kind() == StoreErrorKind::Unsupported => {
                    // The host's mistake, not the database's: the run says so.
                    let failed = Failure::new(
                        "unsupported",
                        std::error::Error::source(&error)
                            .map_or_else(|| error.to_string(), ToString::to_string),
                    );
                    held.drive(now, |machine| {
                        let running: Vec<_> = machine
                            .state
                            .tokens
                            .iter()
                            .filter(|token| {
                                matches!(token.phase, crate::machine::state::Phase::Running { .. })
                            })
                            .map(|token| (token.id, token.visit, token.attempt))
                            .collect();
                        for (token, visit, attempt) in running {
                            machine.attempted(token, visit, attempt, Err(failed.clone()));
                        }
                    });
                    self.dirty.push(at);
                    return Ok(());
                }
                Err(error) => {
                    self.let_go(at);
                    return Err(error.into());
                }
            };
            match (performed, moved) {
                (Performed::Kept(checkpoint, _), Some(_)) if checkpoint.held.is_none() => {
                    self.progress.commits += 1;
                    self.progress.checkpoints += 1;
                    self.let_go(at);
                }
                (Performed::Kept(_, messages), Some(moved)) => {
                    (held.state, held.plans) = (moved.state, moved.plans);
                    held.effects.extend(moved.effects);
                    held.more = moved.more;
                    self.progress.commits += 1;
                    self.progress.checkpoints += 1;
                    let mut changed = false;
                    while let Some(later) = held.later.pop_front() {
                        changed = true;
                        held.apply(now, later);
                    }
                    if !messages.is_empty() {
                        changed = true;
                        held.drive(now, |machine| Held::take(machine, messages));
                    }
                    if held.more && !changed {
                        changed = true;
                        held.drive(now, |_| {});
                    }
                    if changed
                        || (held.going == 0 && held.effects.is_empty() && held.transactional.is_empty())
                    {
                        self.dirty.push(at);
                    } else {
                        self.dispatch(at);
                    }
                }
                _ => {
                    self.progress.lost += 1;
                    self.let_go(at);
                }
            }
            return Ok(());
        }
        held.going -= 1;
        if held.busy {
            held.later.push_back(done);
            return Ok(());
        }
        held.apply(now, done);
        if !self.dirty.contains(&at) {
            self.dirty.push(at);
        }
        Ok(())
    }
}

impl Held {
    fn apply(&mut self, now: Timestamp, done: Done) {
        self.drive(now, |machine| {
            match done {
                Done::Attempt { token, visit, attempt, result } => {
                    machine.attempted(token, visit, attempt, result);
                }
                Done::Loaded { token, visit, found } => machine.loaded(token, visit, found),
                Done::Migrated { version, found } => {
                    if let Ok(plan) = found {
                        // Who sent the message looked before; if the run has moved on meanwhile, it stays where it is.
                        let _ = machine.migrate(version, plan);
                    }
                }
                Done::Performed(..) => {}
            }
            machine.settle();
        });
    }

    /// What is to be kept of the run now.
    fn checkpoint(&mut self, now: Timestamp, until: Timestamp) -> Checkpoint {
        let stays = self.more
            || self.going > 0
            || self.busy
            || !self.effects.is_empty()
            || !self.transactional.is_empty();
        let left = |end: Timestamp| end.signed_duration_since(now);
        let said = self.until.filter(|said| left(*said) * 2 > left(until));
        let until = said.unwrap_or(until);
        self.until = Some(until);
        Checkpoint {
            tenant: self.scope.tenant().clone(),
            run: self.run,
            fence: self.fence,
            state: self.state.clone(),
            entries: std::mem::take(&mut self.entries),
            due: self.state.due(now, Machine::run_time_ends(&self.state, &self.plans)),
            held: stays.then_some(until),
            now,
        }
    }
}

impl<S: WorkflowStore + Clone> Worker<S> {
    fn call(&self, held: &mut Held, effect: &Effect) -> Option<Call> {
        let now = self.engine.inner.clock.now();
        let (mut entries, mut effects) = (Vec::new(), Vec::new());
        let machine = Machine {
            run: held.run,
            state: &mut held.state,
            plans: &mut held.plans,
            now,
            entries: &mut entries,
            effects: &mut effects,
            turns: VecDeque::new(),
        };
        self.engine.call(&held.scope, held.run, &machine, effect)
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
    fn doing(&self, at: usize, held: &mut Held, effect: Effect) -> Option<Doing> {
        match effect {
            Effect::Call { token, visit, attempt } => {
                let call = self.call(held, &effect)?;
                let now = self.engine.inner.clock.now();
                let late =
                    held.state.token(token).is_some_and(|token| crate::machine::overdue(&token.phase, now));
                if late {
                    let result = Err(Failure::new("timeout", "the action took too long"));
                    return Some(Box::pin(
                        async move { (at, Done::Attempt { token, visit, attempt, result }) },
                    ));
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
                    (at, Done::Attempt { token, visit, attempt, result })
                }))
            }
            Effect::Load { token, visit, workflow, version } => {
                let (engine, scope) = (self.engine.clone(), held.scope.clone());
                Some(Box::pin(async move {
                    let found = engine.sub(&scope, &workflow, &version).await.map_err(|error| {
                        let code =
                            if matches!(error, Error::Store(_)) { "store" } else { "unknown_workflow" };
                        Failure::new(code, error.to_string())
                    });
                    (at, Done::Loaded { token, visit, found })
                }))
            }
            Effect::Migrate { version } => {
                let (engine, scope) = (self.engine.clone(), held.scope.clone());
                let workflow = held.state.scopes.first().map(|scope| Arc::clone(&scope.workflow))?;
                Some(Box::pin(async move {
                    let found = engine.plan(&scope, &workflow, version).await;
                    (at, Done::Migrated { version, found })
                }))
            }
        }
    }

    /// Performs a transactional action and keeps the checkpoint that follows it.
    fn performing(&self, at: usize, held: &mut Held, effect: Effect) -> Doing {
        let call = self.call(held, &effect);
        let (engine, fence, until) = (self.engine.clone(), held.fence, self.config.lease);
        let next = Next {
            scope: held.scope.clone(),
            run: held.run,
            fence,
            state: held.state.clone(),
            plans: held.plans.clone(),
            effect,
            going: held.going > 0 || !held.transactional.is_empty(),
            clock: Arc::clone(&engine.inner.clock),
            lease: until,
            moved: Mutex::new(None),
        };
        Box::pin(async move {
            let Some(call) = call else { return (at, Done::Performed(Ok(Performed::Lost), None)) };
            let result = engine.inner.store.perform(&call, fence, &next).await;
            let moved = next.moved.lock().take().map(Box::new);
            (at, Done::Performed(result, moved))
        })
    }
}

/// Goes on with a run behind a transactional action.
struct Next {
    scope: Scope,
    run: Uuid,
    fence: i64,
    state: RunState,
    plans: Plans,
    effect: Effect,
    going: bool,
    clock: Arc<dyn guardian_core::Clock>,
    lease: Duration,
    moved: Mutex<Option<Moved>>,
}

impl Continue for Next {
    fn checkpoint(&self, result: Result<Value, Failure>) -> Checkpoint {
        let now = self.clock.now();
        let mut held =
            Held::new(self.scope.clone(), self.run, self.fence, self.state.clone(), self.plans.clone());
        if let Effect::Call { token, visit, attempt } = self.effect {
            held.apply(now, Done::Attempt { token, visit, attempt, result });
        }
        held.busy = self.going;
        let until = now
            .checked_add_signed(chrono::TimeDelta::from_std(self.lease).unwrap_or(chrono::TimeDelta::MAX))
            .unwrap_or(Timestamp::MAX_UTC);
        let checkpoint = held.checkpoint(now, until);
        let Held { state, plans, effects, more, .. } = held;
        *self.moved.lock() = Some(Moved { state, plans, effects, more });
        checkpoint
    }
}
