#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod base64;
mod change;
mod dimension;
mod event;
mod sealed;

pub mod anchor;
pub mod bundle;
pub mod canonical;
pub mod checkpoint;
pub mod merkle;
pub mod query;

mod error;
mod plan;
pub mod store;
mod terms;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod verify;

pub use change::{Change, changes_between};
pub use dimension::Dimension;
pub use error::{Error, InvalidEvent, Malformed};
pub use event::{Assessment, AuditEvent, EventActor, Origin, Outcome, Risk, StoredEvent, Target};
pub use plan::{Candidate, Plan};
pub use query::{Condition, Query, QueryError, TimeRange};
pub use sealed::Sealed;
pub use terms::Terms;
