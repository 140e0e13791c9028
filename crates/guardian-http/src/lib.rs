#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod client_addr;
mod problem;
mod ratelimit_fields;
mod retry_after;

pub use client_addr::{
    AddrSource, ClientAddr, ForwardHeader, RateKey, StopReason, TrustError, TrustedProxies, V6PrefixLen,
    V6PrefixLenError, WalkEnd,
};
pub use problem::{Problem, ProblemError};
pub use ratelimit_fields::{
    FieldError, PartitionKey, PolicyName, QuotaPolicy, QuotaUnit, RATELIMIT, RATELIMIT_POLICY, ServiceLimit,
};
pub use retry_after::RetryAfter;
