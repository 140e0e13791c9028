#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod calendar;
mod name;
mod period;
mod price;
mod subject;

mod grant;
mod limit;
mod plan;
mod subscription;
mod terms;

mod account;
mod call;
mod decision;
mod entry;
mod replay;
mod shape;

pub mod analytics;
mod balance;
pub mod billing;
mod error;
mod event;
#[cfg(feature = "redis")]
mod purses;
mod quotas;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
mod usage;
mod written;

pub use balance::Balance;
pub use call::Call;
pub use decision::{Decision, Posted, Reason};
pub use entry::{Entry, EntryKind};
pub use error::{Error, InvalidPlan};
pub use event::InvalidEvent;
pub use grant::{Grant, GrantBalance, Hold};
pub use limit::{Aggregation, AtLimit, Limit, MAX_AMOUNT, Rollover};
pub use name::{EventKey, FeatureName, InvalidName, PlanName};
pub use period::{Cadence, Cycle, Period};
pub use plan::{Beyond, Feature, Meter, Plan};
pub use price::Price;
#[cfg(feature = "redis")]
pub use purses::{Paid, PurseConfig, Purses, Settled};
pub use quotas::Quotas;
pub use replay::{Replay, Replayed};
pub use store::memory::MemoryStore;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use store::sql::SqlStore;
pub use subject::{InvalidSubject, Level, Subject};
pub use subscription::{Proration, Subscription};
pub use terms::MeterTerms;
pub use usage::{Happened, Usage};
