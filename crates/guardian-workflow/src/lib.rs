#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod action;
mod definition;
mod environment;
mod plan;
mod schema;
mod template;
mod validate;

mod engine;
mod machine;
mod worker;

mod version;

mod diff;

mod error;
pub mod store;

pub use action::{Action, ActionSpec, Actions, Call, Catalog, Failure};
pub use definition::{
    Branch, Case, Catch, Collect, Compensate, ContentHash, Definition, Edge, InvalidName, InvalidSpan, JSON_SCHEMA,
    Jitter, Join, Limits, Node, NodeId, NodeKind, Place, Port, Retry, Schedule, Settings, Span, SubVersion, Trigger,
    Until, Variable, VariableName, Wait,
};
pub use diff::Class;
pub use engine::{Doing, Engine, Position, Run, Start};
pub use error::Error;
pub use machine::state::{Outcome, RunState, Status};
pub use machine::{Entry, Message};
pub use plan::Plan;
pub use store::{MemoryStore, RunFilter, RunRecord, WorkflowStore};
pub use validate::{Code, Finding, Report, Severity, validate};
pub use version::{Canary, Origin, Semver, Version, Workflow};
pub use worker::{Progress, Worker, WorkerConfig};
