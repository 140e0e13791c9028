//! `workflow_run [DEFINITION.json] [EVENTS.ndjson] [--svg FILE]`: runs a workflow on each event, one JSON object a line. Prints the
//! path of each run, and draws the last one. Without files a workflow and events of a CRM are used. Actions print what they are
//! asked to do.
#![expect(clippy::print_stdout, reason = "the report is the program's result")]

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

use guardian_core::{Actor, Scope, SystemClock, SystemIds, TenantId};
use guardian_workflow::picture::{Paints, svg};
use guardian_workflow::{
    ActionSpec, Actions, Catalog, Definition, Engine, Library, MemoryStore, NodeKind, Note, Start, Worker,
    WorkerConfig, validate,
};
use serde_json::{Value, json};

const SAMPLE: &str = include_str!("deal_won.json");

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let picture = match arguments.iter().position(|argument| argument == "--svg") {
        Some(at) if at + 1 < arguments.len() => {
            let file = arguments.remove(at + 1);
            arguments.remove(at);
            Some(file)
        }
        Some(_) => return Err("`--svg` needs a file".into()),
        None => None,
    };
    let read = |path: &String| {
        std::fs::read_to_string(path).map_err(|error| format!("cannot read `{path}`: {error}"))
    };
    let definition = match arguments.first() {
        Some(path) => Definition::from_json(&read(path)?)?,
        None => Definition::from_json(SAMPLE)?,
    };
    let events: Vec<Value> = match arguments.get(1) {
        Some(path) => read(path)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?,
        None => [500, 25_000, 90_000]
            .iter()
            .map(|amount| json!({"deal": amount / 100, "amount": amount, "owner": "ann"}))
            .collect(),
    };
    tokio::runtime::Builder::new_current_thread().build()?.block_on(run(
        &definition,
        &events,
        picture.as_deref(),
    ))
}

/// Every action that the definition names; each prints what it is asked to do.
fn actions(definition: &Definition) -> Result<Actions, guardian_workflow::Error> {
    let mut names = BTreeSet::new();
    for node in definition.nodes.values() {
        if let NodeKind::Action { action, compensate, .. } = &node.kind {
            names.insert(action.clone());
            names.extend(compensate.iter().map(|undo| undo.action.clone()));
        }
    }
    names.into_iter().try_fold(Actions::new(), |actions, name| {
        actions.with_fn(ActionSpec::new(name), |call| {
            println!("    {} {}", call.action, call.params);
            Ok(call.params.clone())
        })
    })
}

async fn run(definition: &Definition, events: &[Value], picture: Option<&str>) -> Result<(), Box<dyn Error>> {
    let actions = actions(definition)?;
    let catalog: &Catalog = actions.catalog();
    let report = validate(definition, catalog);
    print!("{report}");
    let scope = Scope::new(TenantId::new("acme")?, Actor::user("ann")?);
    let (store, clock) = (Arc::new(MemoryStore::new()), SystemClock::new());
    let library = Library::new(Arc::clone(&store), catalog.clone(), clock.clone());
    let version =
        library.save(&scope, "example", definition, &Note::new("from a file")).await?.workflow.draft;
    library.publish(&scope, "example", version).await?;
    let engine = Engine::new(store, actions, clock, SystemIds::new());
    let worker = Worker::new(&engine, WorkerConfig::default());
    let mut last = Vec::new();
    for event in events {
        println!("{event}");
        let id = worker.execute(&scope, "example", Start::with(event.clone())).await?;
        last = engine.history(&scope, id, 0, 10_000).await?;
        let path: Vec<String> = last
            .iter()
            .map(|entry| {
                entry
                    .port
                    .as_ref()
                    .map_or_else(|| entry.node.to_string(), |port| format!("{}:{port}", entry.node))
            })
            .collect();
        let run = engine.run(&scope, id).await?;
        println!("  {}", path.join(" → "));
        match (&run.state.outcome, run.positions.as_slice()) {
            (Some(outcome), _) => println!("  {}", serde_json::to_string(outcome)?),
            (None, positions) => {
                let waits: Vec<String> = positions.iter().map(|at| format!("`{}`", at.node)).collect();
                println!("  waits at {}", waits.join(", "));
            }
        }
    }
    if let Some(file) = picture {
        std::fs::write(file, svg(definition, &Paints::of_run(definition, &last)))?;
        println!("the last run is drawn in {file}");
    }
    Ok(())
}
