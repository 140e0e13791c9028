#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod tenant;
mod actor;
mod scope;
mod clock;
mod id;
mod event;
mod page;
mod store_error;

pub use actor::{Actor, ActorId, ActorKind, InvalidActor};
pub use clock::{Clock, ManualClock, MonoTime, SystemClock, Timestamp};
pub use event::{Event, EventSink, MemorySink, NullSink};
pub use id::{IdSource, SeededIds, SystemIds};
pub use page::{Cursor, InvalidCursor, InvalidPageSize, Page, PageRequest};
pub use scope::Scope;
pub use store_error::{StoreError, StoreErrorKind};
pub use tenant::{InvalidTenantId, TenantId};
