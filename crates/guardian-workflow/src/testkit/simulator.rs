//! A deterministic simulator: two workers with clocks of their own, crashes after persisted writes, time that leaps. The same
//! seed is the same schedule, step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use guardian_core::{
    Clock, IdSource, MonoTime, Page, PageRequest, Scope, SeededIds, StoreError, TenantId, Timestamp,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Violation, ensure};
use crate::action::{Action, ActionSpec, Actions, Call, Failure};
use crate::definition::{Definition, NodeId};
use crate::engine::{Engine, Start};
use crate::library::{Library, Note};
use crate::machine::state::Status;
use crate::machine::{Entry, Message};
use crate::store::{
    Checkpoint, Claimed, Continue, Kept, MemoryStore, Occasion, Performed, RunFilter, RunRecord, Save, Saved,
    WorkflowStore,
};
use crate::version::{Version, Workflow};
use crate::worker::{Progress, Worker, WorkerConfig};

/// What is done to the workers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Simulation {
    /// Which schedule.
    pub seed: u64,
    /// After which persisted write, from 1, the worker that made it dies; `None` for a time by chance.
    pub crash_after: Option<u64>,
}

impl Simulation {
    /// The schedule of a seed, with crashes by chance.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed, crash_after: None }
    }

    /// With a crash after a certain write.
    #[must_use]
    pub fn crashing_after(mut self, write: u64) -> Self {
        self.crash_after = Some(write);
        self
    }
}

/// What a simulated schedule came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Simulated {
    /// Writes that were persisted.
    pub writes: u64,
    /// Workers that died.
    pub crashes: u64,
    /// How often a worker found that it had lost a run.
    pub lost: u64,
    /// A trace of the schedule: the same for the same seed.
    pub trace: u64,
}

/// `SplitMix64` (Steele, Lea, Flood, 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `most`.
    fn below(&mut self, most: u64) -> u64 {
        self.next() % most.max(1)
    }
}

/// A clock that leaps, also back, and that each worker sees with an error of its own.
#[derive(Debug, Clone)]
struct Leaping {
    micros: Arc<AtomicI64>,
    error: i64,
}

impl Clock for Leaping {
    fn now(&self) -> Timestamp {
        Timestamp::from_timestamp_micros(self.micros.load(Ordering::Relaxed) + self.error).unwrap_or_default()
    }

    fn monotonic(&self) -> MonoTime {
        let micros = u64::try_from(self.micros.load(Ordering::Relaxed)).unwrap_or(0);
        MonoTime::from_nanos(micros.saturating_mul(1000))
    }
}

/// Lets the other worker come in between.
async fn give_way() {
    let mut gave = false;
    poll_fn(|context| {
        if std::mem::replace(&mut gave, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The life of a worker, which ends after a write.
#[derive(Debug)]
struct Life {
    writes: Arc<AtomicU64>,
    crash_after: Arc<AtomicU64>,
    dead: AtomicBool,
}

/// A store whose user dies after a write.
#[derive(Clone)]
struct Deadly {
    inner: Arc<MemoryStore>,
    life: Arc<Life>,
}

impl fmt::Debug for Deadly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deadly")
    }
}

impl Deadly {
    async fn wrote<T>(&self, result: T) -> T {
        let count = self.life.writes.fetch_add(1, Ordering::Relaxed) + 1;
        if count == self.life.crash_after.load(Ordering::Relaxed) {
            self.life.dead.store(true, Ordering::Relaxed);
            pending::<()>().await;
        }
        give_way().await;
        result
    }
}

#[async_trait]
impl WorkflowStore for Deadly {
    async fn save(&self, scope: &Scope, save: &Save) -> Result<Saved, StoreError> {
        self.inner.save(scope, save).await
    }
    async fn workflow(&self, scope: &Scope, name: &str) -> Result<Option<Workflow>, StoreError> {
        self.inner.workflow(scope, name).await
    }
    async fn workflows(&self, scope: &Scope, page: &PageRequest) -> Result<Page<Workflow>, StoreError> {
        self.inner.workflows(scope, page).await
    }
    async fn listeners(
        &self,
        scope: &Scope,
        occasion: Occasion<'_>,
        page: &PageRequest,
    ) -> Result<Page<Workflow>, StoreError> {
        self.inner.listeners(scope, occasion, page).await
    }
    async fn version(&self, scope: &Scope, name: &str, number: u64) -> Result<Option<Version>, StoreError> {
        self.inner.version(scope, name, number).await
    }
    async fn versions(
        &self,
        scope: &Scope,
        name: &str,
        page: &PageRequest,
    ) -> Result<Page<Version>, StoreError> {
        self.inner.versions(scope, name, page).await
    }
    async fn forget_versions(
        &self,
        scope: &Scope,
        name: &str,
        numbers: &[u64],
    ) -> Result<Vec<u64>, StoreError> {
        self.inner.forget_versions(scope, name, numbers).await
    }
    async fn start(
        &self,
        scope: &Scope,
        run: RunRecord,
        entries: Vec<Entry>,
        due: Option<Timestamp>,
        held: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.inner.start(scope, run, entries, due, held).await
    }
    async fn run(&self, scope: &Scope, id: Uuid) -> Result<Option<RunRecord>, StoreError> {
        self.inner.run(scope, id).await
    }
    async fn runs(
        &self,
        scope: &Scope,
        filter: &RunFilter,
        page: &PageRequest,
    ) -> Result<Page<RunRecord>, StoreError> {
        self.inner.runs(scope, filter, page).await
    }
    async fn history(
        &self,
        scope: &Scope,
        id: Uuid,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.inner.history(scope, id, after, limit).await
    }
    async fn send(
        &self,
        scope: &Scope,
        id: Uuid,
        message: &Message,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        self.inner.send(scope, id, message, now).await
    }
    async fn claim(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<Claimed>, StoreError> {
        give_way().await;
        let claimed = self.inner.claim(now, until, limit).await;
        match &claimed {
            Ok(some) if !some.is_empty() => self.wrote(claimed).await,
            _ => claimed,
        }
    }
    async fn checkpoint(&self, batch: Vec<Checkpoint>) -> Result<Vec<Kept>, StoreError> {
        give_way().await;
        let kept = self.inner.checkpoint(batch).await;
        self.wrote(kept).await
    }
    async fn extend(
        &self,
        held: &[(TenantId, Uuid, i64)],
        until: Timestamp,
    ) -> Result<Vec<Uuid>, StoreError> {
        self.inner.extend(held, until).await
    }
    async fn perform(&self, call: &Call, fence: i64, next: &dyn Continue) -> Result<Performed, StoreError> {
        give_way().await;
        let performed = self.inner.perform(call, fence, next).await;
        self.wrote(performed).await
    }
}

/// What was done: for each key, how often.
type Ledger = Arc<Mutex<BTreeMap<String, u32>>>;

/// An action that takes its time and notes its key.
#[derive(Debug)]
struct Noting(Ledger);

#[async_trait]
impl Action for Noting {
    async fn run(&self, call: &Call) -> Result<Value, Failure> {
        give_way().await;
        *self.0.lock().entry(call.key.clone()).or_default() += 1;
        give_way().await;
        let until = call.params.get("until").and_then(Value::as_u64).unwrap_or(0);
        if u64::from(call.attempt) < until {
            Err(Failure::new("flaky", "not yet"))
        } else {
            Ok(call.params.clone())
        }
    }
}

/// A bit of everything: loops, branches, retries, a handler, timers, a signal, a sub-workflow, effects of both kinds.
fn definition() -> Value {
    json!({"schema": 1, "name": "all", "start": "list", "variables": {"n": {"value": 0}, "failure": {"value": null}, "m": {"value": 0}},
    "nodes": {
        "list": {"type": "for_each", "items": "[1, 2, 3]", "as": "x", "collect": {"value": "x * 2", "output": "doubled"}},
        "pay": {"type": "action", "action": "book", "params": "=x"},
        "tell": {"type": "action", "action": "note", "params": {"until": 2}, "retry": [{"attempts": 3, "interval": "5s"}]},
        "fork": {"type": "parallel", "branches": ["a", "b", "c"]},
        "a1": {"type": "action", "action": "book", "params": "a"},
        "a2": {"type": "wait", "for": {"duration": "30s"}},
        "a3": {"type": "action", "action": "book", "params": "a again"},
        "b1": {"type": "action", "action": "note", "params": {}},
        "b2": {"type": "action", "action": "note", "params": {}},
        "c1": {"type": "wait", "for": {"signal": {"name": "go", "output": "got"}}},
        "c2": {"type": "action", "action": "book", "params": "=got"},
        "try": {"type": "try", "catch": [{"port": "handle", "output": "failure"}]},
        "bad": {"type": "action", "action": "note", "params": {"until": 9}},
        "mend": {"type": "action", "action": "book", "params": "=failure.code"},
        "last": {"type": "set", "values": {"n": "=n + 100"}},
        "race": {"type": "race", "branches": ["x", "y"]},
        "x1": {"type": "wait", "for": {"duration": "7s"}},
        "guard": {"type": "try"},
        "long": {"type": "wait", "for": {"duration": "1d"}},
        "release": {"type": "action", "action": "book", "params": "released"},
        "wide": {"type": "for_each", "items": "[1, 2, 3]", "as": "y", "concurrency": 2, "own": ["m"],
                 "collect": {"value": "m", "output": "tens"}},
        "ten": {"type": "set", "values": {"m": "=y * 10"}},
        "each": {"type": "action", "action": "book", "params": "=m"},
        "again": {"type": "while", "when": "n < 103", "max": 10},
        "one": {"type": "set", "values": {"n": "=n + 1"}},
        "act": {"type": "action", "action": "note", "params": {}},
        "sub": {"type": "sub_workflow", "workflow": "inner", "input": {"n": "=n"}, "output": "inner"},
        "end": {"type": "end", "result": {"doubled": "=doubled", "tens": "=tens", "n": "=n", "inner": "=inner", "code": "=failure.code"}}
    },
    "edges": [
        {"from": "list", "port": "body", "to": "pay"}, {"from": "pay", "to": "tell"}, {"from": "list", "to": "fork"},
        {"from": "fork", "port": "a", "to": "a1"}, {"from": "a1", "to": "a2"}, {"from": "a2", "to": "a3"},
        {"from": "fork", "port": "b", "to": "b1"}, {"from": "b1", "to": "b2"},
        {"from": "fork", "port": "c", "to": "c1"}, {"from": "c1", "to": "c2"}, {"from": "fork", "to": "try"},
        {"from": "try", "port": "body", "to": "bad"}, {"from": "try", "port": "handle", "to": "mend"},
        {"from": "try", "port": "finally", "to": "last"}, {"from": "try", "to": "race"},
        {"from": "race", "port": "x", "to": "x1"}, {"from": "race", "port": "y", "to": "guard"},
        {"from": "guard", "port": "body", "to": "long"}, {"from": "guard", "port": "finally", "to": "release"},
        {"from": "race", "to": "wide"}, {"from": "wide", "port": "body", "to": "ten"}, {"from": "ten", "to": "each"},
        {"from": "wide", "to": "again"},
        {"from": "again", "port": "body", "to": "one"}, {"from": "one", "to": "act"}, {"from": "again", "to": "sub"},
        {"from": "sub", "to": "end"}
    ]})
}

fn inner() -> Value {
    json!({"schema": 1, "name": "inner", "start": "pay", "nodes": {
            "pay": {"type": "action", "action": "book", "params": "=input.n", "output": "paid"},
            "end": {"type": "end", "result": "=paid"}},
        "edges": [{"from": "pay", "to": "end"}]})
}

/// How often each transactional effect happens: by its node.
const EFFECTS: [(&str, u32); 8] =
    [("pay", 4), ("release", 1), ("each", 3), ("a1", 1), ("a3", 1), ("c2", 1), ("mend", 1), ("inner", 0)];
/// How often each other action is attempted, by its node, apart from repetitions with the same key.
const NOTES: [(&str, usize); 5] = [("tell", 6), ("b1", 1), ("b2", 1), ("bad", 1), ("act", 3)];

type Working = Pin<Box<dyn Future<Output = Result<Progress, crate::Error>>>>;

struct Actor {
    life: Arc<Life>,
    working: Option<Working>,
}

/// Runs one schedule on the memory store and checks that nothing was lost and nothing doubled.
///
/// # Errors
/// What was lost or doubled.
pub fn simulate_schedule(simulation: &Simulation) -> Result<Simulated, Violation> {
    let mut chance = Chance(simulation.seed);
    let (effects, notes): (Ledger, Ledger) = (Arc::default(), Arc::default());
    let ledger = Arc::clone(&effects);
    let store = Arc::new(MemoryStore::new().with_transactional("book", move |call| {
        *ledger.lock().entry(call.key.clone()).or_default() += 1;
        Ok(call.params.clone())
    }));
    let micros = Arc::new(AtomicI64::new(1_767_225_600_000_000));
    let scope = Scope::system(TenantId::new("acme")?);
    let actions = Actions::new()
        .with(ActionSpec::new("note"), Noting(Arc::clone(&notes)))?
        .with_transactional(ActionSpec::new("book"))?;
    let true_clock = Leaping { micros: Arc::clone(&micros), error: 0 };
    let ids: Arc<dyn IdSource> = Arc::new(SeededIds::new(simulation.seed));
    let (writes, crash_after) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(u64::MAX)));
    let host = Engine::new(Arc::clone(&store), actions.clone(), true_clock.clone(), Arc::clone(&ids));
    let run = finish(async {
        let library = Library::new(Arc::clone(&store), actions.catalog().clone(), true_clock.clone());
        for (name, value) in [("inner", inner()), ("all", definition())] {
            library.save(&scope, name, &Definition::from_value(value)?, &Note::default()).await?;
            library.publish(&scope, name, 1).await?;
        }
        host.start(&scope, "all", Start::default()).await
    })?;
    crash_after.store(simulation.crash_after.unwrap_or_else(|| 1 + chance.below(60)), Ordering::Relaxed);
    let mut actors: Vec<Actor> = Vec::new();
    let (mut crashes, mut lost, mut trace, mut signalled) = (0, 0, 0_u64, false);
    let signal_at = chance.below(200);
    for round in 0..100_000_u64 {
        let dice = chance.next();
        trace = trace.rotate_left(5) ^ dice ^ writes.load(Ordering::Relaxed);
        if !signalled && round >= signal_at {
            signalled = true;
            let message = Message::Signal { name: "go".to_owned(), payload: json!("signal") };
            let now = true_clock.now();
            finish(async { Ok::<_, crate::Error>(store.send(&scope, run, &message, now).await?) })?;
        }
        leap(&micros, &mut chance);
        while actors.len() < 2 {
            let life = Arc::new(Life {
                writes: Arc::clone(&writes),
                crash_after: Arc::clone(&crash_after),
                dead: AtomicBool::new(false),
            });
            actors.push(Actor { life, working: None });
        }
        let at = usize::try_from(chance.below(2)).unwrap_or(0);
        let Some(actor) = actors.get_mut(at) else { continue };
        if actor.working.is_none() {
            // Up to 40 seconds wrong, which is more than the lease has left at times.
            let error = i64::try_from(chance.below(80_000_000)).unwrap_or(0) - 40_000_000;
            let clock = Leaping { micros: Arc::clone(&micros), error };
            let deadly = Deadly { inner: Arc::clone(&store), life: Arc::clone(&actor.life) };
            let engine = Engine::new(deadly, actions.clone(), clock, Arc::clone(&ids));
            let config = WorkerConfig::default().with_lease(Duration::from_secs(30));
            let worker = Worker::new(&engine, config);
            actor.working = Some(Box::pin(async move { worker.run_once().await }));
        }
        let polled = actor
            .working
            .as_mut()
            .map(|working| working.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())));
        match polled {
            Some(Poll::Ready(done)) => {
                lost += done?.lost;
                actor.working = None;
            }
            _ if actor.life.dead.load(Ordering::Relaxed)
                || (simulation.crash_after.is_none() && chance.below(400) == 0) =>
            {
                // It is gone without a word; what it held stays held until the lease ends.
                actors.remove(at);
                crashes += 1;
                if simulation.crash_after.is_none() {
                    let next = writes.load(Ordering::Relaxed) + 1 + chance.below(20);
                    crash_after.store(next, Ordering::Relaxed);
                }
            }
            _ => {}
        }
        let found = finish(async { Ok::<_, crate::Error>(store.run(&scope, run).await?) })?;
        if found.is_some_and(|record| record.state.status.is_final()) {
            let writes = writes.load(Ordering::Relaxed);
            check(&store, &scope, run, &effects, &notes)?;
            return Ok(Simulated { writes, crashes, lost, trace });
        }
    }
    Err(Violation::new(format!("the run of seed {} does not end", simulation.seed)))
}

/// Time goes on a little, leaps ahead, or goes back.
fn leap(micros: &AtomicI64, chance: &mut Chance) {
    let by = match chance.below(20) {
        0 => 45_000_000,
        1 => -5_000_000,
        _ => 200_000,
    };
    micros.fetch_add(by, Ordering::Relaxed);
}

/// Runs a future that never has to wait.
fn finish<T>(future: impl Future<Output = Result<T, crate::Error>>) -> Result<T, Violation> {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(std::task::Waker::noop());
    for _ in 0..1000 {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Ok(done?);
        }
    }
    Err(Violation::new("the memory store waits"))
}

fn node_of(key: &str) -> &str {
    key.split('/').nth(1).unwrap_or_default()
}

fn check(
    store: &Arc<MemoryStore>,
    scope: &Scope,
    run: Uuid,
    effects: &Ledger,
    notes: &Ledger,
) -> Result<(), Violation> {
    let record = finish(async { Ok(store.run(scope, run).await?) })?;
    let record = record.ok_or_else(|| Violation::new("the run is gone"))?;
    let expected =
        json!({"doubled": [2, 4, 6], "tens": [10, 20, 30], "n": 103, "inner": 103, "code": "flaky"});
    ensure!(record.state.status == Status::Completed, "the run is {:?}", record.state);
    let outcome = serde_json::to_value(&record.state.outcome).unwrap_or_default();
    ensure!(outcome == json!({ "result": expected }), "the result is {outcome}");
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for (key, count) in effects.lock().iter() {
        ensure!(*count == 1, "the effect `{key}` happened {count} times");
        *counts.entry(node_of(key).to_owned()).or_default() += 1;
    }
    for (node, count) in EFFECTS {
        let found = counts.get(node).copied().unwrap_or(0);
        ensure!(found == count, "the effect of `{node}` happened {found} times, not {count}");
    }
    for (node, count) in NOTES {
        let keys = notes.lock().keys().filter(|key| node_of(key) == node).count();
        ensure!(keys == count, "`{node}` has {keys} keys, not {count}");
    }
    let entries = finish(async { Ok(store.history(scope, run, 0, 1000).await?) })?;
    let numbers: Vec<u64> = entries.iter().map(|entry| entry.number).collect();
    ensure!(numbers == (1..=entries.len() as u64).collect::<Vec<_>>(), "the history has holes: {numbers:?}");
    let nodes: BTreeSet<&str> = entries.iter().map(|entry| &*entry.node).collect();
    let value = definition();
    let all = value.get("nodes").and_then(Value::as_object).into_iter().flatten().map(|(node, _)| node);
    // The branch that loses the race is taken out at this one.
    for node in all.filter(|node| *node != "long") {
        ensure!(NodeId::new(node).is_ok() && nodes.contains(node.as_str()), "the history lacks `{node}`");
    }
    Ok(())
}
