#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "api")]
pub mod api;
#[cfg(feature = "ipaccess")]
mod ipaccess;
#[cfg(any(feature = "ipaccess", feature = "ratelimit"))]
mod peer;
mod problem;
#[cfg(feature = "quota")]
mod quota;
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
#[cfg(feature = "ipaccess")]
pub use ipaccess::{IpAccessGuard, IpAccessLayer};
#[cfg(any(feature = "ipaccess", feature = "ratelimit"))]
pub use peer::PeerAddr;
pub use problem::{Problem, ProblemError};
#[cfg(feature = "quota")]
pub use quota::{OnOutage, QuotaGuard, QuotaLayer};
pub use rate_key::{RateKey, V6PrefixLen, V6PrefixLenError};
#[cfg(feature = "ratelimit")]
pub use ratelimit::{
    By, Key, LayerError, LimitedBody, OnMissing, RateLimit, RateLimitBuilder, RateLimitLayer,
};
pub use ratelimit_fields::{
    FieldError, PartitionKey, PolicyName, QuotaPolicy, QuotaUnit, RATELIMIT, RATELIMIT_POLICY, ServiceLimit,
};
#[cfg(all(feature = "rbac", feature = "axum"))]
pub use rbac::RequirePermission;
#[cfg(feature = "rbac")]
pub use rbac::{Disclosure, PermissionGuard, RequirePermissionLayer};
pub use retry_after::RetryAfter;
