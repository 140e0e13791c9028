//! The crate's tests, one binary.
#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]
#![cfg_attr(
    feature = "api",
    expect(clippy::indexing_slicing, clippy::panic, reason = "a failed assumption is a failed test")
)]

#[cfg(feature = "api")]
mod api;
mod audits;
mod authentication;
mod bodies;
mod chains;
mod forwarded_grammar;
mod ipaccess;
mod problems;
mod quota;
mod rate_keys;
mod ratelimit;
mod ratelimit_fields;
mod rbac;
mod request_ids;
mod retry_after;
mod serving;
mod spoofing;
mod stack;
mod structured;
mod tenants;
mod trust;
