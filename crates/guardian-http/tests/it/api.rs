//! The API and its document agree: each operation is called, and what comes back is held against what the document says.

#[cfg(feature = "audit")]
mod audit;
mod contract;
mod kit;
#[cfg(feature = "quota")]
mod quota;
#[cfg(feature = "ratelimit")]
mod ratelimit;
#[cfg(feature = "webhook")]
mod webhook;
#[cfg(all(feature = "audit", feature = "quota", feature = "ratelimit", feature = "webhook"))]
mod whole;
