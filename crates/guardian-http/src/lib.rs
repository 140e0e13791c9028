#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod problem;
mod rate_key;
#[cfg(feature = "ratelimit")]
mod ratelimit;
mod ratelimit_fields;
#[cfg(feature = "rbac")]
mod rbac;
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
#[cfg(all(feature = "rbac", feature = "axum"))]
pub use rbac::RequirePermission;
#[cfg(feature = "rbac")]
pub use rbac::{Disclosure, PermissionGuard, RequirePermissionLayer};
pub use retry_after::RetryAfter;
