//! An action has the whole of the lease, whenever it begins.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use guardian_core::{Clock, ManualClock, SeededIds};
use guardian_workflow::{
    ActionSpec, Actions, Definition, Engine, Library, MemoryStore, Note, Start, Status, Worker, WorkerConfig,
    WorkflowStore,
};
use serde_json::json;

use crate::world::{block_on, flow, scope};

const LEASE: u64 = 60;

#[test]
fn an_action_has_the_whole_lease_before_another_worker_may_take_its_run_over() {
    // What came before took some part of the lease.
    for before in 0..LEASE {
        let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::new());
        let (passing, looking, shared) = (clock.clone(), clock.clone(), Arc::clone(&store));
        let actions = Actions::new()
            .with_fn(ActionSpec::new("short"), move |_| {
                passing.advance(Duration::from_secs(before));
                Ok(json!(null))
            })
            .unwrap()
            .with_fn(ActionSpec::new("long"), move |_| {
                looking.advance(Duration::from_secs(LEASE - 1));
                // Another worker looks for what is nobody's.
                let now = looking.now();
                let claimed = shared.claim(now, now + Duration::from_secs(LEASE), 10).now_or_never();
                Ok(json!(claimed.unwrap().unwrap().len()))
            })
            .unwrap();
        let library = Library::new(Arc::clone(&store), actions.catalog().clone(), clock.clone());
        let definition = flow(
            "a",
            json!({
                "a": {"type": "action", "action": "short"},
                "b": {"type": "action", "action": "long"},
                "c": {"type": "action", "action": "short"},
                "d": {"type": "action", "action": "long", "output": "taken"},
                "e": {"type": "end", "result": "=taken"}
            }),
            &["a b", "b c", "c d", "d e"],
        );
        let engine = Engine::new(Arc::clone(&store), actions, clock, SeededIds::new(1));
        let config = WorkerConfig::default().with_lease(Duration::from_secs(LEASE));
        block_on(async {
            let definition = Definition::from_value(definition).unwrap();
            library.save(&scope(), "w", &definition, &Note::default()).await.unwrap();
            library.publish(&scope(), "w", 1).await.unwrap();
            let run = engine.start(&scope(), "w", Start::default()).await.unwrap();
            let progress = Worker::new(&engine, config).run_once().await.unwrap();
            assert_eq!(progress.lost, 0, "{before} seconds before");
            assert_eq!(engine.run(&scope(), run).await.unwrap().state.status, Status::Completed);
            let history = engine.history(&scope(), run, 0, 100).await.unwrap();
            for node in ["b", "d"] {
                let entry = history.iter().find(|entry| &*entry.node == node).unwrap();
                assert_eq!(entry.output, json!(0), "`{node}` was taken over, {before} seconds before");
            }
        });
    }
}
