//! The API of administrators: every operation declared once, served and described from the same words.
//!
//! An [`Api`] is the operations on one domain, made by a function of a module here (such as `ratelimit::api`). A
//! [`Document`] takes several, puts each behind its permission, and is both: a router of axum, and what OpenAPI 3.1 says
//! of it.
//!
//! | what | how |
//! |---|---|
//! | who asks | the request has a [`Scope`](guardian_core::Scope) in its extensions; an operation of the platform wants an [`Operator`] |
//! | may they | each operation names a permission, which [`Permit`] decides |
//! | lists | `?size=1..1000&after=CURSOR`, answered `{"items": […], "next": CURSOR or null}` |
//! | updates | what changes has an `ETag`; to change it takes `If-Match` with that (428 without, 412 when it is old) |
//! | repetitions | `Idempotency-Key` where an operation says so |
//! | bodies | JSON of at most [`MAX_BODY`] bytes, unknown members refused |
//! | failures | problem documents (RFC 9457) whose types are [`Kind`]s |

#[cfg(any(feature = "audit", feature = "rbac", feature = "sentiment"))]
mod alone;
#[cfg(feature = "audit")]
pub mod audit;
mod body;
#[cfg(any(feature = "ipaccess", feature = "sentiment", feature = "workflow"))]
mod bound;
mod caller;
mod clash;
mod document;
mod idempotency;
#[cfg(feature = "ipaccess")]
pub mod ipaccess;
mod kind;
mod objects;
mod operation;
mod page;
mod params;
#[cfg(any(feature = "tenant", feature = "webhook"))]
mod patch;
mod permissions;
mod permit;
#[cfg(any(feature = "audit", feature = "quota", feature = "sentiment"))]
mod platform;
#[cfg(feature = "quota")]
pub mod quota;
#[cfg(feature = "ratelimit")]
pub mod ratelimit;
#[cfg(feature = "rbac")]
pub mod rbac;
mod revision;
mod routes;
#[cfg(feature = "sentiment")]
pub mod sentiment;
#[cfg_attr(
    not(any(feature = "audit", feature = "workflow")),
    expect(dead_code, reason = "without these domains nothing lasts")
)]
mod streams;
#[cfg(feature = "tenant")]
pub mod tenant;
#[cfg(feature = "webhook")]
pub mod webhook;
#[cfg(feature = "workflow")]
pub mod workflow;

pub use body::{Json, MAX_BODY};
pub use caller::{Caller, Operator, OperatorCaller};
pub use clash::Clash;
pub use document::Document;
pub use idempotency::IdempotencyKey;
pub use kind::Kind;
pub use operation::Operation;
pub use page::{Listed, PageParams};
pub use params::{Params, PathParam};
pub use permissions::PERMISSIONS;
pub use permit::{Permit, Unguarded};
pub use revision::{IfMatch, IfNoneMatch, Tagged};
pub use routes::Api;
pub use streams::Streams;
