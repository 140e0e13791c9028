#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod action;
mod definition;
mod environment;
mod functions;
mod plan;
mod schema;
mod template;
mod validate;

mod engine;
mod machine;
mod worker;

mod library;
mod version;

mod bundle;
mod diff;
pub mod import;
pub mod picture;

pub mod simulate;

mod error;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use action::{Action, ActionSpec, Actions, Call, Catalog, Failure};
pub use bundle::{Bundle, BundleReport, Signature};
pub use definition::{
    Branch, Case, Catch, Collect, Compensate, ContentHash, Definition, Edge, InvalidName, InvalidSchedule,
    InvalidSpan, JSON_SCHEMA, Jitter, Join, Limits, Node, NodeId, NodeKind, Place, Port, Retry, Schedule,
    Settings, Span, SubVersion, Trigger, Until, Variable, VariableName, Wait,
};
pub use diff::{
    Change, Class, Conflict, Diff, JsonPatch, Match, Merged, PatchOperation, TermChange, diff,
    diff_by_matching, match_nodes, merge, term_changes, text_diff,
};
pub use engine::{Doing, Engine, Position, Run, Start};
pub use error::Error;
pub use library::{Library, MigrationReport, Note, Update};
pub use machine::state::{Outcome, RunState, Status};
pub use machine::{Entry, Message};
pub use plan::Plan;
pub use store::{MemoryStore, RunFilter, RunRecord, WorkflowStore};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use store::{SqlAction, SqlStore, Trouble};
pub use validate::{Code, Finding, Report, Severity, validate};
pub use version::{Canary, Origin, Semver, Version, Workflow};
pub use worker::{Progress, Worker, WorkerConfig};
