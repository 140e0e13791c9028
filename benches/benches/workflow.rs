//! Workflows beside durare 0.5, which runs steps that are code: ten steps in memory and on SQLite, four workers on PostgreSQL; and
//! the diff and the validation of a thousand nodes.
//!
//! - durare is a program of its own (`benches/peers/durare`), because two versions of SQLite cannot be linked together; it is
//!   built here and driven over a pipe, turn by turn with ours. What is measured is within each process.
//! - Ours has a condition in front of each of its ten actions; durare's workflow has none.
//! - SQLite runs with write-ahead logging and `synchronous = NORMAL` on both sides, which is durare's setting.
//! - `many` starts the same number of workflows on both sides, eight at a time; ours are then driven by one worker.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot run says so and ends"
)]

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use guardian_core::{Clock, Scope, SystemClock, SystemIds, TenantId};
use guardian_sql::testkit::Kind;
use guardian_sql::{Database, DatabaseConfig, Durability};
use guardian_workflow::store::MIGRATIONS;
use guardian_workflow::{
    ActionSpec, Actions, Catalog, Definition, Engine, Library, MemoryStore, Note, SqlStore, Start, Worker,
    WorkerConfig, WorkflowStore, diff, validate,
};
use serde_json::{Map, Value, json};

const TURNS: usize = 15;
const ONE: usize = 200;
const MANY: usize = 400;

fn main() {
    println!("bar workflow/memory_one vs durare 0.9");
    println!("bar workflow/sqlite_one vs durare 0.65");
    println!("bar workflow/sqlite_many vs durare 0.333");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    graphs();
    runtime.block_on(memory());
    runtime.block_on(sqlite());
    runtime.block_on(postgres());
}

fn scope() -> Scope {
    Scope::system(TenantId::new("acme").expect("an id"))
}

fn actions() -> Actions {
    let add = |call: &guardian_workflow::Call| Ok(json!(call.params.as_i64().unwrap_or(0) + 1));
    Actions::new().with_fn(ActionSpec::new("add").result(json!({"type": "integer"})), add).expect("an action")
}

/// Ten actions, each behind a condition.
fn ten() -> Definition {
    let (mut nodes, mut edges) = (Map::new(), Vec::new());
    for at in 0..10 {
        let (test, step) = (format!("test{at}"), format!("step{at}"));
        nodes.insert(
            test.clone(),
            json!({"type": "condition", "branches": [{"port": "yes", "when": "n < 100"}]}),
        );
        nodes.insert(step.clone(), json!({"type": "action", "action": "add", "params": "=n", "output": "n"}));
        edges.push(json!({"from": test, "port": "yes", "to": step}));
        edges.push(
            json!({"from": step, "to": if at < 9 { format!("test{}", at + 1) } else { "end".to_owned() }}),
        );
    }
    nodes.insert("end".to_owned(), json!({"type": "end", "result": "=n"}));
    let value = json!({"schema": 1, "name": "ten", "start": "test0", "nodes": nodes, "edges": edges,
        "variables": {"n": {"schema": {"type": "integer"}, "value": 0}}});
    Definition::from_value(value).expect("a definition")
}

async fn engine<S: WorkflowStore + Clone>(store: S) -> Engine<S> {
    let clock = SystemClock::new();
    let library = Library::new(store.clone(), actions().catalog().clone(), clock.clone());
    library.save(&scope(), "ten", &ten(), &Note::default()).await.expect("saved");
    library.publish(&scope(), "ten", 1).await.expect("published");
    Engine::new(store, actions(), clock, SystemIds::new())
}

/// durare as a child, with a pipe to it.
struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn new(store: &str) -> Self {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let target = format!("{root}/target/peer");
        let manifest = format!("{root}/benches/peers/durare/Cargo.toml");
        let built = Command::new("cargo")
            .args([
                "build",
                "--release",
                "--quiet",
                "--locked",
                "--manifest-path",
                &manifest,
                "--target-dir",
                &target,
            ])
            .status()
            .expect("cargo");
        assert!(built.success(), "durare could not be built");
        let mut child = Command::new(format!("{target}/release/guardian-peer-durare"))
            .arg(store)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the peer");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Self { child, input, output: BufReader::new(output) }
    }

    fn ask(&mut self, question: &str) -> Vec<u64> {
        writeln!(self.input, "{question}").expect("the peer listens");
        self.input.flush().expect("the peer listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the peer answers");
        line.split_whitespace().map(|nanos| nanos.parse().expect("a number")).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median<T: Copy + PartialOrd>(values: &mut [T]) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    values[values.len() / 2]
}

/// Our turns and those of the peer, and the median of their ratios.
fn report(case: &str, ours: &mut [f64], peer: &mut [f64]) {
    let mut ratios: Vec<f64> = ours.iter().zip(peer.iter()).map(|(a, b)| a / b).collect();
    println!("measure workflow/{case} guardian {:.1} us", median(ours) / 1000.0);
    println!("measure workflow/{case} durare {:.1} us", median(peer) / 1000.0);
    println!("measure workflow/{case} median_of_turns {:.3} ratio", median(&mut ratios));
}

async fn one<S: WorkflowStore + Clone>(worker: &Worker<S>) -> f64 {
    let clock = SystemClock::new();
    let mut times = Vec::with_capacity(ONE);
    for _ in 0..ONE {
        let begin = clock.monotonic();
        black_box(worker.execute(&scope(), "ten", Start::default()).await.expect("a run"));
        times.push(clock.monotonic().since(begin).as_nanos() as f64);
    }
    median(&mut times)
}

async fn memory() {
    let engine = engine(Arc::new(MemoryStore::new())).await;
    let worker = Worker::new(&engine, WorkerConfig::default());
    let mut peer = Peer::new("memory");
    one(&worker).await;
    peer.ask(&format!("one {ONE}"));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        ours.push(one(&worker).await);
        let mut times: Vec<f64> = peer.ask(&format!("one {ONE}")).iter().map(|nanos| *nanos as f64).collect();
        theirs.push(median(&mut times));
    }
    report("memory_one", &mut ours, &mut theirs);
}

/// Starts many runs, eight at a time, and drives them.
async fn many<S: WorkflowStore + Clone>(engine: &Engine<S>, worker: &Worker<S>) -> (f64, u64) {
    let (clock, scope) = (SystemClock::new(), scope());
    let begin = clock.monotonic();
    let starts =
        stream::iter(0..MANY).map(|_| engine.start(&scope, "ten", Start::default())).buffer_unordered(8);
    starts.for_each(|started| async move { _ = started.expect("a run") }).await;
    let progress = worker.run_once().await.expect("work");
    (clock.monotonic().since(begin).as_nanos() as f64, progress.commits)
}

async fn sqlite() {
    let folder = std::env::temp_dir().join(format!("guardian-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = |name: &str| format!("sqlite://{}", folder.join(name).display());
    let config = DatabaseConfig::default().with_durability(Durability::Relaxed);
    let db = Database::open_with(&path("ours.db"), config).await.expect("a database");
    let engine = engine(SqlStore::open(db, &scope()).await.expect("tables")).await;
    let worker = Worker::new(&engine, WorkerConfig::default());
    let mut peer = Peer::new(&path("peer.db"));
    one(&worker).await;
    peer.ask(&format!("one {ONE}"));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut ours_many, mut theirs_many, mut commits) = (Vec::new(), Vec::new(), 0);
    for _ in 0..TURNS {
        ours.push(one(&worker).await);
        let mut times: Vec<f64> = peer.ask(&format!("one {ONE}")).iter().map(|nanos| *nanos as f64).collect();
        theirs.push(median(&mut times));
        let (time, writes) = many(&engine, &worker).await;
        ours_many.push(time / MANY as f64);
        commits += writes;
        theirs_many.push(peer.ask(&format!("many {MANY} 8"))[0] as f64 / MANY as f64);
    }
    report("sqlite_one", &mut ours, &mut theirs);
    println!(
        "measure workflow/sqlite_many guardian_per_second {:.0} 1/s",
        1e9 / median(&mut ours_many.clone())
    );
    println!(
        "measure workflow/sqlite_many durare_per_second {:.0} 1/s",
        1e9 / median(&mut theirs_many.clone())
    );
    println!(
        "measure workflow/sqlite_many commits_a_step {:.3} 1",
        commits as f64 / (TURNS * MANY * 10) as f64
    );
    report("sqlite_many", &mut ours_many, &mut theirs_many);
    drop(peer);
    let _ = std::fs::remove_dir_all(&folder);
}

async fn postgres() {
    let fresh =
        Kind::Postgres.open(&[&MIGRATIONS]).await.expect("a Postgres server: run it with `--servers`");
    let store = |db| SqlStore::new(db, &scope()).expect("a store");
    let first = engine(store(fresh.database().clone())).await;
    let mut workers = Vec::new();
    for _ in 0..4 {
        let config = DatabaseConfig::default().with_max_connections(2);
        let db = Database::open_with(fresh.url(), config).await.expect("a database");
        let engine = Engine::new(store(db), actions(), SystemClock::new(), SystemIds::new());
        workers.push(Arc::new(Worker::new(&engine, WorkerConfig::default())));
    }
    let (clock, mut rates, mut writes, mut steps) = (SystemClock::new(), Vec::new(), 0, 0);
    for _ in 0..TURNS {
        let (begin, scope) = (clock.monotonic(), scope());
        let starts =
            stream::iter(0..MANY).map(|_| first.start(&scope, "ten", Start::default())).buffer_unordered(8);
        starts.for_each(|started| async move { _ = started.expect("a run") }).await;
        let going: Vec<_> = workers
            .iter()
            .map(|worker| {
                let worker = Arc::clone(worker);
                tokio::spawn(async move { worker.run_once().await.expect("work") })
            })
            .collect();
        let mut done = 0;
        for each in going {
            let progress = each.await.expect("a worker");
            writes += progress.commits;
            steps += progress.attempts;
            done += progress.claimed;
        }
        assert_eq!(done, MANY as u64, "a run was claimed twice or not at all");
        rates.push(MANY as f64 / clock.monotonic().since(begin).as_secs_f64());
    }
    println!("measure workflow/postgres_four_workers per_second {:.0} 1/s", median(&mut rates));
    println!("measure workflow/postgres_four_workers commits_a_step {:.3} 1", writes as f64 / steps as f64);
}

/// A thousand nodes: two hundred times a condition, an action, a `set`, a loop and its body.
fn thousand(changed: bool) -> Definition {
    let (mut nodes, mut edges) = (Map::new(), Vec::new());
    for at in 0..200 {
        let id = |kind: &str| format!("{kind}{at}");
        let threshold = if changed && at % 7 == 0 { at + 1 } else { at };
        nodes.insert(id("c"), json!({"type": "condition", "branches": [{"port": "yes", "when": format!("input.amount > {threshold} && input.stage == 'open'")}]}));
        nodes.insert(id("a"), json!({"type": "action", "action": "add", "params": {"to": "=input.owner", "n": at, "text": "hello"}, "output": format!("v{at}")}));
        nodes.insert(id("s"), json!({"type": "set", "values": {"total": "=total + 1"}}));
        nodes.insert(id("l"), json!({"type": "for_each", "items": "input.items", "as": "item"}));
        nodes.insert(id("b"), json!({"type": "action", "action": "add", "params": "=item", "name": if changed && at % 5 == 0 { "Renamed" } else { "Add" }}));
        let next = if at < 199 { format!("c{}", at + 1) } else { "end".to_owned() };
        edges.extend([
            json!({"from": id("c"), "port": "yes", "to": id("a")}),
            json!({"from": id("c"), "port": "else", "to": id("s")}),
            json!({"from": id("a"), "to": id("s")}),
            json!({"from": id("s"), "to": id("l")}),
            json!({"from": id("l"), "port": "body", "to": id("b")}),
            json!({"from": id("l"), "to": next}),
        ]);
    }
    nodes.insert("end".to_owned(), json!({"type": "end", "result": "=total"}));
    let input: Value = json!({"type": "object", "properties": {"amount": {"type": "number"}, "stage": {"type": "string"},
        "owner": {"type": "string"}, "items": {"type": "array", "items": {"type": "integer"}}},
        "required": ["amount", "stage", "owner", "items"]});
    Definition::from_value(
        json!({"schema": 1, "name": "thousand", "start": "c0", "nodes": nodes, "edges": edges,
        "input": input, "variables": {"total": {"schema": {"type": "integer"}, "value": 0}}}),
    )
    .expect("a definition")
}

fn graphs() {
    let clock = SystemClock::new();
    let (old, new) = (thousand(false), thousand(true));
    let catalog: Catalog = actions().catalog().clone();
    let report = validate(&old, &catalog);
    assert!(report.is_valid(), "{report}");
    let time = |work: &dyn Fn()| {
        let mut times: Vec<f64> = (0..101)
            .map(|_| {
                let begin = clock.monotonic();
                work();
                clock.monotonic().since(begin).as_secs_f64() * 1000.0
            })
            .collect();
        median(&mut times)
    };
    println!("measure workflow/thousand_nodes diff {:.3} ms", time(&|| drop(black_box(diff(&old, &new)))));
    println!("measure workflow/thousand_nodes changes {} 1", diff(&old, &new).changes.len());
    println!(
        "measure workflow/thousand_nodes validation {:.3} ms",
        time(&|| drop(black_box(validate(&old, &catalog))))
    );
}
