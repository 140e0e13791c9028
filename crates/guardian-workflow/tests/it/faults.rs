//! What is wrong with one tenant's run or workflow holds up nobody else's.

use std::time::Duration;

use async_trait::async_trait;
use guardian_core::{Actor, Clock, Event, IdSource, ManualClock, Scope, SeededIds, TenantId};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Migration, Migrations, Savepoint, params};
use guardian_workflow::store::{Checkpoint, Kept, MIGRATIONS};
use guardian_workflow::{
    ActionSpec, Actions, Call, Definition, Engine, Library, Message, Note, Outcome, SqlAction, SqlStore,
    Start, Status, Trouble, Worker, WorkerConfig, WorkflowStore,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::flow;

const NAMES: Migrations = Migrations::new(
    "names",
    &[Migration::same(
        1,
        "names",
        "CREATE TABLE names (tenant_id TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (tenant_id, name))",
    )],
);

/// Takes a name that may be taken.
#[derive(Debug)]
struct Take;

#[async_trait]
impl SqlAction for Take {
    async fn run(&self, tx: &mut Savepoint<'_, Scope>, call: &Call) -> Result<Value, Trouble> {
        let (tenant, name) = (call.scope.tenant(), call.params["name"].as_str().unwrap_or("none"));
        tx.execute("INSERT INTO names (tenant_id, name) VALUES ($1, $2)", params![tenant, name]).await?;
        Ok(json!(null))
    }
}

fn tenant(name: &str) -> Scope {
    Scope::new(TenantId::new(name).unwrap(), Actor::user("ann").unwrap())
}

struct Host {
    fresh: Fresh,
    clock: ManualClock,
    engine: Engine<SqlStore>,
    library: Library<SqlStore>,
}

impl Host {
    async fn new(kind: Kind) -> Self {
        let fresh = kind.open(&[&MIGRATIONS, &NAMES]).await.unwrap();
        let clock = ManualClock::new();
        let engine = Self::engine(&fresh, &clock, 1);
        let library = Library::new(engine.store().clone(), actions().catalog().clone(), clock.clone());
        Self { fresh, clock, engine, library }
    }

    fn engine(fresh: &Fresh, clock: &ManualClock, seed: u64) -> Engine<SqlStore> {
        let operator = Scope::system(TenantId::new("operator").unwrap());
        let store = SqlStore::new(fresh.database().clone(), &operator).unwrap().with_action("take", Take);
        Engine::new(store, actions(), clock.clone(), SeededIds::new(seed))
    }

    /// Another process, which remembers nothing.
    fn anew(&mut self) {
        self.engine = Self::engine(&self.fresh, &self.clock, 2);
    }

    async fn publish(&self, scope: &Scope, name: &str, definition: Value) {
        let definition = Definition::from_value(definition).unwrap();
        let update = self.library.save(scope, name, &definition, &Note::default()).await.unwrap();
        self.library.publish(scope, name, update.workflow.draft).await.unwrap();
    }

    async fn start(&self, scope: &Scope, name: &str, input: Value) -> Uuid {
        self.engine.start(scope, name, Start::with(input)).await.unwrap()
    }

    async fn work(&self) {
        Worker::new(&self.engine, WorkerConfig::default()).run_once().await.unwrap();
    }

    async fn outcome(&self, scope: &Scope, run: Uuid) -> Option<Outcome> {
        self.engine.run(scope, run).await.unwrap().state.outcome
    }

    async fn damage(&self, scope: &Scope, sql: &'static str) {
        let mut tx = self.fresh.owner().begin(scope).await.unwrap();
        assert!(tx.execute(sql, &[]).await.unwrap() > 0);
        tx.commit().await.unwrap();
    }
}

fn actions() -> Actions {
    Actions::new()
        .with_transactional(ActionSpec::new("take"))
        .unwrap()
        .with_fn(ActionSpec::new("note"), |_| Ok(json!(1)))
        .unwrap()
}

fn failure(outcome: Option<Outcome>) -> String {
    match outcome {
        Some(Outcome::Failure(failure)) => failure.code,
        other => panic!("{other:?}"),
    }
}

const BREAK_VERSIONS: &str =
    "UPDATE guardian_workflow_versions SET document = '{\"of\": \"the future\"}' WHERE tenant_id = 'acme'";

#[tokio::test]
async fn data_that_break_the_schema_fail_their_own_node() {
    for kind in Kind::all() {
        let host = Host::new(*kind).await;
        let (acme, bolt) = (tenant("acme"), tenant("bolt"));
        let take = flow(
            "t",
            json!({"t": {"type": "action", "action": "take", "params": {"name": "=input.name"}},
                   "n": {"type": "action", "action": "note"}}),
            &["t n"],
        );
        host.publish(&acme, "w", take.clone()).await;
        host.publish(&bolt, "w", take).await;
        let mut runs = Vec::new();
        for name in ["x", "x", "y"] {
            runs.push(host.start(&acme, "w", json!({"name": name})).await);
            host.clock.advance(Duration::from_millis(1));
        }
        let other = host.start(&bolt, "w", json!({"name": "x"})).await;
        host.work().await;
        assert!(matches!(host.outcome(&bolt, other).await, Some(Outcome::Result(_))), "{kind:?}");
        let mut codes = Vec::new();
        for run in runs {
            codes.push(match host.outcome(&acme, run).await {
                Some(Outcome::Failure(failure)) => failure.code,
                other => format!("{other:?}"),
            });
        }
        assert_eq!(codes.iter().filter(|code| *code == "constraint").count(), 1, "{kind:?}: {codes:?}");
        assert_eq!(codes.iter().filter(|code| code.contains("Result")).count(), 2, "{kind:?}: {codes:?}");
    }
}

#[tokio::test]
async fn a_version_that_cannot_be_read_holds_up_its_own_runs_alone() {
    for kind in Kind::all() {
        let mut host = Host::new(*kind).await;
        let (acme, bolt) = (tenant("acme"), tenant("bolt"));
        let note = flow("n", json!({"n": {"type": "action", "action": "note"}}), &[]);
        host.publish(&acme, "w", note.clone()).await;
        host.publish(&bolt, "w", note).await;
        let broken = host.start(&acme, "w", json!({})).await;
        host.clock.advance(Duration::from_millis(1));
        let fine = host.start(&bolt, "w", json!({})).await;
        host.damage(&acme, BREAK_VERSIONS).await;
        host.anew();
        for _ in 0..3 {
            host.work().await;
            host.clock.advance(Duration::from_secs(600));
        }
        assert!(host.outcome(&bolt, fine).await.is_some(), "{kind:?}");
        // It stays as it was, for a build that can read it.
        let found = host.engine.store().run(&acme, broken).await.unwrap().unwrap();
        assert_eq!(found.state.status, Status::Running, "{kind:?}");
    }
}

#[tokio::test]
async fn a_workflow_that_cannot_be_read_keeps_no_other_from_starting() {
    for kind in Kind::all() {
        let mut host = Host::new(*kind).await;
        let acme = tenant("acme");
        let mut listens = flow("n", json!({"n": {"type": "action", "action": "note"}}), &[]);
        listens["triggers"] =
            json!({"t": {"type": "event", "event": "deal.won"}, "s": {"type": "schedule", "at": "every 1h"}});
        host.publish(&acme, "a", listens.clone()).await;
        host.publish(&acme, "b", listens).await;
        let broken =
            "UPDATE guardian_workflow_versions SET document = '{\"of\": \"the future\"}' WHERE name = 'a'";
        host.damage(&acme, broken).await;
        host.anew();
        let now = host.clock.now();
        let event = Event::new(SeededIds::new(9).next_id(now), now, &acme, "deal.won");
        assert_eq!(host.engine.on_event(&event).await.unwrap().len(), 1, "{kind:?}");
        let later = now + Duration::from_secs(3600);
        assert_eq!(host.engine.on_schedule(&acme, now, later).await.unwrap().len(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_version_that_a_run_asks_for_and_nobody_can_read_fails_what_asks() {
    for kind in Kind::all() {
        let mut host = Host::new(*kind).await;
        let (acme, bolt) = (tenant("acme"), tenant("bolt"));
        let note = flow("n", json!({"n": {"type": "action", "action": "note"}}), &[]);
        let calls = flow("s", json!({"s": {"type": "sub_workflow", "workflow": "inner"}}), &[]);
        let waits = |by: &str| {
            flow(
                "w",
                json!({"w": {"type": "wait", "name": by, "for": {"signal": {"name": "go"}}}, "n": {"type": "action", "action": "note"}}),
                &["w n"],
            )
        };
        host.publish(&acme, "inner", note.clone()).await;
        host.publish(&acme, "outer", calls).await;
        host.publish(&acme, "moved", waits("one")).await;
        host.publish(&acme, "moved", waits("two")).await;
        host.publish(&bolt, "w", note).await;
        let start = Start::default().version(1);
        let moved = host.engine.start(&acme, "moved", start).await.unwrap();
        host.work().await;
        host.engine.migrate(&acme, moved, 2).await.unwrap();
        let outer = host.start(&acme, "outer", json!({})).await;
        let fine = host.start(&bolt, "w", json!({})).await;
        let broken = "UPDATE guardian_workflow_versions SET document = '{}' WHERE name = 'inner' OR name = 'moved' AND number = 2";
        host.damage(&acme, broken).await;
        host.anew();
        host.work().await;
        assert!(host.outcome(&bolt, fine).await.is_some(), "{kind:?}");
        let code = failure(host.outcome(&acme, outer).await);
        assert!(!code.is_empty(), "{kind:?}");
        // What cannot move goes on where it is.
        host.engine.signal(&acme, moved, "go", json!(1)).await.unwrap();
        host.work().await;
        let run = host.engine.run(&acme, moved).await.unwrap();
        assert_eq!((run.version, run.state.status), (1, Status::Completed), "{kind:?}");
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_holds_up_its_own_run_alone() {
    for kind in Kind::all() {
        let host = Host::new(*kind).await;
        let (acme, bolt) = (tenant("acme"), tenant("bolt"));
        let waits = flow("w", json!({"w": {"type": "wait", "for": {"signal": {"name": "go"}}}}), &[]);
        host.publish(&acme, "w", waits.clone()).await;
        host.publish(&bolt, "w", waits).await;
        let note = flow("n", json!({"n": {"type": "action", "action": "note"}}), &[]);
        host.publish(&acme, "n", note.clone()).await;
        host.publish(&bolt, "n", note).await;
        let broken = host.start(&acme, "w", json!({})).await;
        let fine = host.start(&bolt, "w", json!({})).await;
        host.work().await;
        for (scope, run) in [(&acme, broken), (&bolt, fine)] {
            host.engine.signal(scope, run, "go", json!(1)).await.unwrap();
            host.clock.advance(Duration::from_millis(1));
        }
        host.damage(&acme, "UPDATE guardian_workflow_messages SET message = '{\"of\": \"the future\"}' WHERE tenant_id = 'acme'")
            .await;
        host.work().await;
        assert!(host.outcome(&bolt, fine).await.is_some(), "{kind:?}");
        assert_eq!(host.outcome(&acme, broken).await, None, "{kind:?}");
        // Nor does one that comes while runs are held.
        let (now, store) = (host.clock.now() + Duration::from_secs(600), host.engine.store());
        let others = [host.start(&acme, "n", json!({})).await, host.start(&bolt, "n", json!({})).await];
        let claimed = store.claim(now, now + Duration::from_secs(60), 10).await.unwrap();
        let claimed: Vec<_> = claimed.into_iter().filter(|each| others.contains(&each.run.id)).collect();
        assert_eq!(claimed.len(), 2, "{kind:?}");
        host.engine.send(&acme, others[0], &Message::Pause).await.unwrap();
        host.damage(&acme, "UPDATE guardian_workflow_messages SET message = '{\"of\": \"the future\"}' WHERE tenant_id = 'acme'")
            .await;
        let mut kept = Vec::new();
        for each in claimed {
            let checkpoint = Checkpoint {
                tenant: each.run.tenant.clone(),
                run: each.run.id,
                fence: each.fence,
                state: each.run.state.clone(),
                entries: Vec::new(),
                due: None,
                held: Some(now + Duration::from_secs(60)),
                state_only: false,
                took: false,
                now,
            };
            kept.push((each.run.tenant.as_str().to_owned(), checkpoint));
        }
        kept.sort_by(|a, b| a.0.cmp(&b.0));
        let kept =
            store.checkpoint(kept.into_iter().map(|(_, checkpoint)| checkpoint).collect()).await.unwrap();
        assert_eq!(kept, [Kept::Lost, Kept::Yes(Vec::new())], "{kind:?}");
    }
}
