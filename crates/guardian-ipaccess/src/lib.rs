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
mod geography;
mod set;

mod client_addr;

pub use address::{AddressError, Transition, embedded_v4, parse_address};
pub use client_addr::{
    AddrSource, ClientAddr, ForwardHeader, StopReason, TrustError, TrustedProxies, WalkEnd,
};
pub use country::{Country, InvalidCountry, Region};
pub use decision::{Decision, Reason};
pub use geography::{Anonymizers, Finding, Geography, Located, Nowhere, Wanted};
pub use policy::{AccessPolicy, Defaults, OnStale, PolicyError};
pub use range::AddressRange;
pub use request::AccessRequest;
pub use rule::{Anonymizer, Applies, Effect, Idle, InvalidTarget, Rule, RuleId, Target};
pub use schedule::{InvalidSchedule, Schedule};
pub use set::CompiledPolicy;
