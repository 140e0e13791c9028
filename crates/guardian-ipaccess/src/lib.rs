#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod country;
mod policy;
mod range;
mod request;
mod rule;
mod schedule;
mod syntax;

mod decision;
mod explain;
mod geography;
mod report;
mod set;

mod access;
mod break_glass;
mod door;
mod error;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
mod watch;

mod client_addr;
mod proxy_protocol;

pub use access::{Confirm, IpAccess};
pub use address::{AddressError, Transition, embedded_v4, parse_address};
pub use break_glass::BreakGlass;
pub use client_addr::{
    AddrSource, ClientAddr, ForwardHeader, StopReason, TrustError, TrustedProxies, WalkEnd,
};
pub use country::{Country, InvalidCountry, Region};
pub use decision::{Decision, Reason};
pub use door::Door;
pub use error::Error;
pub use explain::{Considered, Explanation, Fate};
#[cfg(feature = "maxmind")]
pub use geography::maxmind::{DatabaseError, DatabaseKind, MaxMind};
pub use geography::{Anonymizers, Coordinates, Finding, Geography, Located, Nowhere, Wanted};
pub use policy::{AccessPolicy, Defaults, OnStale, PolicyError};
pub use proxy_protocol::{Parsed, ProxyError, ProxyHeader};
pub use range::AddressRange;
pub use report::Overlap;
pub use request::AccessRequest;
pub use rule::{Anonymizer, Applies, Effect, Idle, InvalidTarget, Rule, RuleId, Target};
pub use schedule::{InvalidSchedule, Schedule};
pub use set::CompiledPolicy;
pub use store::{AccessStore, MemoryStore};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use store::{MIGRATIONS, SqlStore};
pub use watch::{Notice, Watch, WatchConfig};
