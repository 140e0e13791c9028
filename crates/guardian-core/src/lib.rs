#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod actor;
mod clock;
mod event;
mod id;
mod page;
mod scope;
mod shorten;
mod store_error;
mod tenant;

pub use actor::{Actor, ActorId, ActorKind, InvalidActor};
pub use clock::{Clock, ManualClock, MonoTime, SystemClock, Timestamp};
pub use event::{Event, EventSink, NullSink};
pub use id::{IdSource, SeededIds, SystemIds};
pub use page::{Cursor, InvalidCursor, InvalidPageSize, Page, PageRequest};
pub use scope::Scope;
pub use shorten::shorten;
pub use store_error::{StoreError, StoreErrorKind};
pub use tenant::{InvalidTenantId, TenantId};
