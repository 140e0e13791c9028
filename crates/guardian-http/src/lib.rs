#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "api")]
pub mod api;
#[cfg(feature = "audit")]
mod audit;
#[cfg(feature = "authenticate")]
mod authenticate;
#[cfg(feature = "authenticate")]
mod bearer;
#[cfg(feature = "body-limits")]
mod body_limits;
#[cfg(any(feature = "authenticate", feature = "ipaccess", feature = "rbac", feature = "tenant"))]
mod guarded;
#[cfg(feature = "ipaccess")]
mod ipaccess;
#[cfg(feature = "stack")]
mod optional;
#[cfg(any(feature = "audit", feature = "ipaccess", feature = "ratelimit", feature = "server"))]
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
#[cfg(feature = "request-id")]
mod request_id;
mod retry_after;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "stack")]
mod stack;
#[cfg(any(feature = "api", feature = "server"))]
mod stopping;
#[cfg(feature = "tenant")]
mod tenant;

#[cfg(feature = "audit")]
pub use audit::{AuditGuard, AuditLayer, Failing, Recorded, RecordedResponse};
#[cfg(feature = "authenticate")]
pub use authenticate::{Authenticate, AuthenticateGuard, AuthenticateLayer, Identity, NotAuthenticated};
#[cfg(feature = "authenticate")]
pub use bearer::{ApiKeyHeader, BearerTokens, WeakToken, api_key, bearer_token};
#[cfg(feature = "body-limits")]
pub use body_limits::{BodyLimits, BodyLimitsLayer, BodyRefused, BoundedBody, BoundedResponse};
#[cfg(any(feature = "authenticate", feature = "ipaccess", feature = "rbac", feature = "tenant"))]
pub use guarded::GuardedResponse;
pub use guardian_ipaccess::{
    AddrSource, ClientAddr, ForwardHeader, StopReason, TrustError, TrustedProxies, WalkEnd,
};
#[cfg(feature = "ipaccess")]
pub use ipaccess::{IpAccessGuard, IpAccessLayer};
#[cfg(feature = "stack")]
pub use optional::{Optional, OptionalGuard, OptionalResponse};
#[cfg(any(feature = "audit", feature = "ipaccess", feature = "ratelimit", feature = "server"))]
pub use peer::PeerAddr;
pub use problem::{Problem, ProblemError};
#[cfg(feature = "quota")]
pub use quota::{OnOutage, QuotaGuard, QuotaLayer, QuotaResponse};
pub use rate_key::{RateKey, V6PrefixLen, V6PrefixLenError};
#[cfg(feature = "ratelimit")]
pub use ratelimit::{
    By, Key, LayerError, LimitedBody, LimitedResponse, OnMissing, RateLimit, RateLimitBuilder, RateLimitLayer,
};
pub use ratelimit_fields::{
    FieldError, PartitionKey, PolicyName, QuotaPolicy, QuotaUnit, RATELIMIT, RATELIMIT_POLICY, ServiceLimit,
};
#[cfg(all(feature = "rbac", feature = "axum"))]
pub use rbac::RequirePermission;
#[cfg(feature = "rbac")]
pub use rbac::{Disclosure, PermissionGuard, RequirePermissionLayer};
#[cfg(feature = "request-id")]
pub use request_id::{IdentifiedResponse, RequestId, RequestIdLayer, RequestIdentifier};
pub use retry_after::RetryAfter;
#[cfg(feature = "server")]
pub use server::Server;
#[cfg(feature = "stack")]
pub use stack::Stack;
#[cfg(any(feature = "api", feature = "server"))]
pub use stopping::{Stop, Stopping};
#[cfg(feature = "tenant")]
pub use tenant::{OnRegistryOutage, TenantGuard, TenantLayer};
