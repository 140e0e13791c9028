#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod problem;
mod rate_key;
#[cfg(feature = "ratelimit")]
mod ratelimit;
mod ratelimit_fields;
mod retry_after;

pub use guardian_ipaccess::{
    AddrSource, ClientAddr, ForwardHeader, StopReason, TrustError, TrustedProxies, WalkEnd,
};
pub use problem::{Problem, ProblemError};
pub use rate_key::{RateKey, V6PrefixLen, V6PrefixLenError};
#[cfg(feature = "ratelimit")]
pub use ratelimit::{
    By, Key, LayerError, LimitedBody, OnMissing, PeerAddr, RateLimit, RateLimitBuilder, RateLimitLayer,
};
pub use ratelimit_fields::{
    FieldError, PartitionKey, PolicyName, QuotaPolicy, QuotaUnit, RATELIMIT, RATELIMIT_POLICY, ServiceLimit,
};
pub use retry_after::RetryAfter;
