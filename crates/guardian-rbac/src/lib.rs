#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod area;
mod catalog;
mod condition;
mod grant;
mod name;
mod permission;
mod policy;
mod principal;
mod role;
mod window;

mod ask;
mod decision;
mod explain;
mod filter;
mod graph;
mod matrix;
mod preview;
mod query;
mod session;
mod snapshot;

mod authority;
pub mod import;
mod rbac;
pub mod role_sets;
pub mod store;

mod error;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use area::{Area, Resource};
pub use ask::{Ask, PermissionRef};
pub use catalog::{
    BIND, BREAK_GLASS, Catalog, CatalogBuilder, ESCALATE, PermissionHandle, REVIEW, WRITE_AREAS,
    WRITE_CONSTRAINTS, WRITE_GRANTS, WRITE_ROLES,
};
pub use condition::Condition;
pub use decision::{Decision, Outcome, Revision};
pub use error::Error;
pub use explain::{Chain, Explanation, Miss, Why};
pub use filter::{ScopeFilter, SqlClause};
pub use grant::{Approval, Constraint, Duty, Grant, GrantId, Membership, NewGrant, Place};
pub use matrix::{Matrix, MatrixCell};
pub use name::{ConstraintId, GroupId, InvalidName, RoleId};
pub use permission::{Permission, PermissionPattern};
pub use policy::{Change, Item, Key, Policy};
pub use preview::{Difference, difference};
pub use principal::{Principal, PrincipalRef, Subject};
pub use query::{CanDo, WhoCan};
pub use rbac::{DecisionEvents, OnStale, Rbac, Recorded, ReviewItem, Swept, TenantPolicy};
pub use role::{Effect, Role, Rule};
pub use session::Session;
pub use snapshot::{AreaHandle, PrincipalHandle, Snapshot};
pub use store::MemoryStore;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use store::SqlStore;
pub use window::{Recurrence, Window, WindowState};
