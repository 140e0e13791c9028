#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod base64;
mod change;
mod cursor;
mod dimension;
mod event;
mod sealed;

pub mod anchor;
pub mod bundle;
pub mod canonical;
pub mod checkpoint;
pub mod keys;
pub mod merkle;
pub mod query;

mod error;
mod export;
mod lifecycle;
mod log;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod outbox;
mod plan;
mod queue;
mod redact;
mod risk;
mod schema;
mod sink;
pub mod store;
mod terms;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod verify;

pub use change::{Change, changes_between};
pub use dimension::Dimension;
pub use error::{Error, InvalidEvent, Malformed};
pub use event::{Assessment, AuditEvent, EventActor, Origin, Outcome, Risk, StoredEvent, Target};
pub use export::{ExportFormat, ExportManifest, ExportParts};
pub use lifecycle::{Erased, Hold, PersonalData, Retained, Retention, RetentionRule, Subject, Whose};
pub use log::{AuditConfig, AuditLog, Followed, ReadAudit, Receipt, SharedCursors};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use outbox::{Drained, OUTBOX_MIGRATIONS, Pending, migrate_outbox, outbox_tenants};
pub use plan::{Candidate, Plan};
pub use query::{Condition, Query, QueryError, TimeRange};
pub use queue::{AuditQueue, LaterEvent, Overflow};
pub use redact::{Redaction, Treatment};
pub use risk::{RiskRule, RiskRules};
pub use schema::{InvalidSchema, Schemas};
pub use sealed::Sealed;
pub use terms::Terms;
