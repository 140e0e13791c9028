#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod policy;
mod rate;
mod rule;
mod syntax;

mod bucket;
mod concurrency;
mod fixed;
mod grid;
mod reading;
mod window;

mod clock;
mod decision;
mod error;
mod gate;
mod limit;
mod limiter;
mod permit;
mod registry;
mod stack;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use clock::FastClock;
pub use decision::{Decision, DecisionSource, Outcome};
pub use error::{Error, InvalidRule};
pub use gate::Gate;
pub use limit::{Limit, Realm, Subject};
pub use limiter::Limiter;
pub use permit::{Admission, Permit, PermitId};
pub use policy::{Mode, OnStoreError, Policy, PolicyId, PolicyName};
pub use rate::Rate;
pub use rule::{Algorithm, Precision, Rule};
pub use stack::{Stack, Verdict};
pub use store::memory::{AtCapacity, MemoryConfig, MemoryStats, MemoryStore};
#[cfg(feature = "redis")]
pub use store::redis::{RedisConfig, RedisStore};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use store::sql::SqlStore;
pub use store::{AnyStore, LeaseConfig, LeasedStore};
