//! The crate's integration tests, in one binary.

#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod redis_differential;
#[cfg(feature = "redis")]
mod redis_outage;
