#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod client_addr;
mod problem;
#[cfg(feature = "ratelimit")]
mod ratelimit;
mod ratelimit_fields;
#[cfg(feature = "rbac")]
mod rbac;
mod retry_after;

pub use client_addr::{
    AddrSource, ClientAddr, ForwardHeader, RateKey, StopReason, TrustError, TrustedProxies, V6PrefixLen,
    V6PrefixLenError, WalkEnd,
};
pub use problem::{Problem, ProblemError};
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
