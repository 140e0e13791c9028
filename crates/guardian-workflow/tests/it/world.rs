//! A small host: a store in memory, a clock that stands still, and actions that count.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use guardian_core::{Actor, ManualClock, Scope, SeededIds, TenantId};
use guardian_workflow::{
    ActionSpec, Actions, Definition, Engine, Entry, Failure, Library, MemoryStore, Note, Outcome, Run, Start,
    Worker, WorkerConfig,
};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(crate) fn scope() -> Scope {
    Scope::new(TenantId::new("acme").unwrap(), Actor::user("ann").unwrap())
}

pub(crate) fn actions() -> Actions {
    let number = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    Actions::new()
        .with_fn(ActionSpec::new("echo"), |call| Ok(call.params.clone()))
        .unwrap()
        .with_fn(ActionSpec::new("double").parameters(number).result(json!({"type": "integer"})), |call| {
            Ok(json!(call.params["n"].as_i64().unwrap() * 2))
        })
        .unwrap()
        .with_fn(ActionSpec::new("fail"), |call| {
            let until = call.params["until"].as_u64().unwrap_or(u64::MAX);
            let code = call.params["code"].as_str().unwrap_or("broken");
            if u64::from(call.attempt) >= until {
                Ok(json!(call.attempt))
            } else {
                Err(Failure::new(code, "it broke"))
            }
        })
        .unwrap()
        .with_transactional(ActionSpec::new("book"))
        .unwrap()
}

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) engine: Engine<Arc<MemoryStore>>,
    pub(crate) library: Library<Arc<MemoryStore>>,
    pub(crate) worker: Worker<Arc<MemoryStore>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::new();
        let store = MemoryStore::new().with_transactional("book", |call| Ok(call.params.clone()));
        let store = Arc::new(store);
        let engine = Engine::new(Arc::clone(&store), actions(), clock.clone(), SeededIds::new(1));
        let library = Library::new(store, actions().catalog().clone(), clock.clone());
        let worker = Worker::new(&engine, WorkerConfig::default());
        Self { clock, engine, library, worker }
    }

    pub(crate) fn publish(&self, name: &str, definition: &Value) {
        let definition = Definition::from_value(definition.clone()).unwrap();
        block_on(async {
            let update = self.library.save(&scope(), name, &definition, &Note::default()).await.unwrap();
            self.library.publish(&scope(), name, update.workflow.draft).await.unwrap();
        });
    }

    pub(crate) fn start(&self, name: &str, input: Value) -> Uuid {
        block_on(async {
            let run = self.engine.start(&scope(), name, Start::with(input)).await.unwrap();
            self.worker.run_once().await.unwrap();
            run
        })
    }

    pub(crate) fn work(&self) {
        block_on(self.worker.run_once()).unwrap();
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.work();
    }

    pub(crate) fn run(&self, id: Uuid) -> Run {
        block_on(self.engine.run(&scope(), id)).unwrap()
    }

    pub(crate) fn history(&self, id: Uuid) -> Vec<Entry> {
        block_on(self.engine.history(&scope(), id, 0, 10_000)).unwrap()
    }

    /// The nodes in the order of the history, with the port that was taken.
    pub(crate) fn path(&self, id: Uuid) -> Vec<String> {
        self.history(id)
            .iter()
            .map(|entry| match &entry.port {
                Some(port) => format!("{}:{port}", entry.node),
                None => entry.node.to_string(),
            })
            .collect()
    }

    /// Publishes, starts and runs to the end; the outcome.
    pub(crate) fn outcome(&self, definition: &Value, input: Value) -> Outcome {
        self.publish("w", definition);
        let id = self.start("w", input);
        self.run(id).state.outcome.expect("the run has not ended")
    }
}

/// A definition of these nodes and edges, the first one being the start; edges are `from to` or `from:port to`.
#[expect(clippy::needless_pass_by_value, reason = "a literal is written at each call")]
pub(crate) fn flow(start: &str, nodes: Value, edges: &[&str]) -> Value {
    let edges: Vec<Value> = edges
        .iter()
        .map(|edge| {
            let (from, to) = edge.split_once(' ').unwrap();
            match from.split_once(':') {
                Some((from, port)) => json!({"from": from, "port": port, "to": to}),
                None => json!({"from": from, "to": to}),
            }
        })
        .collect();
    json!({"schema": 1, "name": "test", "start": start, "nodes": nodes, "edges": edges})
}

pub(crate) fn result(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Result(value) => value.clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn code(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failure(failure) => failure.code.clone(),
        other => panic!("{other:?}"),
    }
}
