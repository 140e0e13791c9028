//! Real kills: worker processes end with SIGKILL, and others take over. A child is this test program again, told what to do by the
//! environment.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use guardian_core::{PageRequest, Scope, SystemClock, SystemIds, TenantId};
use guardian_sql::testkit::{Fresh, Kind};
use guardian_sql::{Database, DatabaseConfig, Migration, Migrations, Savepoint, params};
use guardian_workflow::store::MIGRATIONS;
use guardian_workflow::{
    ActionSpec, Actions, Call, Definition, Engine, Library, Note, Outcome, RunFilter, SqlAction, SqlStore,
    Start, Status, Trouble, Worker, WorkerConfig,
};
use serde_json::{Value, json};

const VARIABLE: &str = "GUARDIAN_WORKFLOW_TEST_CHILD";
const CHILD: &str = "kill::child";
const STEPS: i64 = 6;

/// What the transactional action writes: doubled if it happens twice.
const EFFECTS: Migrations = Migrations::new(
    "effects",
    &[Migration::same(
        1,
        "effects",
        "CREATE TABLE effects (tenant_id TEXT NOT NULL, run TEXT NOT NULL, node TEXT NOT NULL)",
    )],
);

#[derive(Debug)]
struct Book;

#[async_trait]
impl SqlAction for Book {
    async fn run(&self, tx: &mut Savepoint<'_, Scope>, call: &Call) -> Result<Value, Trouble> {
        let (tenant, run, node) = (call.scope.tenant(), call.run.to_string(), call.node.as_str().to_owned());
        tx.execute(
            "INSERT INTO effects (tenant_id, run, node) VALUES ($1, $2, $3)",
            params![tenant, run, node],
        )
        .await?;
        Ok(json!(1))
    }
}

fn scope() -> Scope {
    Scope::system(TenantId::new("acme").unwrap())
}

fn engine(db: Database) -> Engine<SqlStore> {
    let store = SqlStore::new(db, &scope()).unwrap().with_action("book", Book);
    let actions = Actions::new()
        .with_transactional(ActionSpec::new("book"))
        .unwrap()
        .with_fn(ActionSpec::new("note"), |call| Ok(json!(call.key)))
        .unwrap();
    Engine::new(store, actions, SystemClock::new(), SystemIds::new())
}

/// Effects of both kinds in turn, in a loop and behind it.
fn definition() -> Value {
    let mut nodes = serde_json::Map::new();
    let mut edges = vec![
        json!({"from": "loop", "port": "body", "to": "b0"}),
        json!({"from": "b0", "to": "n0"}),
        json!({"from": "loop", "to": "b1"}),
    ];
    nodes.insert("loop".to_owned(), json!({"type": "for_each", "items": "[1, 2]", "as": "x"}));
    for at in 0..STEPS {
        nodes.insert(format!("b{at}"), json!({"type": "action", "action": "book"}));
        nodes.insert(format!("n{at}"), json!({"type": "action", "action": "note"}));
        if at > 0 {
            edges.push(json!({"from": format!("b{at}"), "to": format!("n{at}")}));
            if at + 1 < STEPS {
                edges.push(json!({"from": format!("n{at}"), "to": format!("b{}", at + 1)}));
            }
        }
    }
    json!({"schema": 1, "name": "all", "start": "loop", "nodes": nodes, "edges": edges})
}

/// Does nothing in the run of the tests.
#[tokio::test]
async fn child() {
    let Some(url) = std::env::var_os(VARIABLE) else {
        return;
    };
    let config = DatabaseConfig::default().with_max_connections(2).with_busy_timeout(Duration::from_secs(60));
    let db = Database::open_with(&url.to_string_lossy(), config).await.unwrap();
    let config = WorkerConfig::default().with_lease(Duration::from_millis(1500)).with_capacity(4);
    let worker = Worker::new(&engine(db), config);
    loop {
        // A conflict with the other worker is no reason to stop.
        let _ = worker.run_once().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn spawn(fresh: &Fresh) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture"])
        .env(VARIABLE, fresh.url())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn done(engine: &Engine<SqlStore>) -> usize {
    let page = PageRequest::first(1000).unwrap();
    let filter = RunFilter::new().status(Status::Completed);
    engine.runs(&scope(), &filter, &page).await.unwrap().items.len()
}

async fn survive(kind: Kind, runs: usize, kills: u32) {
    let fresh = kind.open(&[&MIGRATIONS, &EFFECTS]).await.unwrap();
    let engine = engine(fresh.database().clone());
    let actions = Actions::new()
        .with_transactional(ActionSpec::new("book"))
        .unwrap()
        .with_fn(ActionSpec::new("note"), |_| Ok(json!(null)))
        .unwrap();
    let library = Library::new(engine.store().clone(), actions.catalog().clone(), SystemClock::new());
    library
        .save(&scope(), "all", &Definition::from_value(definition()).unwrap(), &Note::default())
        .await
        .unwrap();
    library.publish(&scope(), "all", 1).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..runs {
        ids.push(engine.start(&scope(), "all", Start::default()).await.unwrap());
    }
    let mut children = vec![spawn(&fresh), spawn(&fresh)];
    for kill in 0..kills {
        tokio::time::sleep(Duration::from_millis(40 + u64::from(kill % 7) * 23)).await;
        if done(&engine).await == runs {
            break;
        }
        let mut killed = children.remove(0);
        killed.kill().unwrap();
        killed.wait().unwrap();
        children.push(spawn(&fresh));
    }
    let finishing = async {
        while done(&engine).await < runs {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let finished = tokio::time::timeout(Duration::from_secs(120), finishing).await;
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    finished.expect("runs were lost");
    let mut tx = fresh.database().begin_read(&scope()).await.unwrap();
    let rows = tx
        .fetch_all("SELECT run, node, COUNT(*) AS times FROM effects GROUP BY run, node", params![])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut seen = 0;
    for row in &rows {
        let (node, times): (String, i64) = (row.get("node").unwrap(), row.get("times").unwrap());
        assert_eq!(times, if node == "b0" { 2 } else { 1 }, "{kind:?}: `{node}` happened {times} times");
        seen += 1;
    }
    assert_eq!(seen, runs * usize::try_from(STEPS).unwrap(), "{kind:?}: effects are missing");
    for id in ids {
        let run = engine.run(&scope(), id).await.unwrap();
        assert_eq!(run.state.outcome, Some(Outcome::Result(json!(null))));
        let history = engine.history(&scope(), id, 0, 1000).await.unwrap();
        let numbers: Vec<u64> = history.iter().map(|entry| entry.number).collect();
        assert_eq!(
            numbers,
            (1..=u64::try_from(1 + 2 * (STEPS + 1)).unwrap()).collect::<Vec<_>>(),
            "{kind:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_killed_on_sqlite_lose_and_double_nothing() {
    survive(Kind::SqliteFile, 40, 15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_killed_on_postgres_lose_and_double_nothing() {
    survive(Kind::Postgres, 60, 15).await;
}
