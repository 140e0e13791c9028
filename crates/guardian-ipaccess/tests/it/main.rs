//! Everything that a host can see of the crate.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

#[cfg(feature = "maxmind")]
mod databases;
mod model;
mod policies;
mod proxies;
mod reports;
mod service;
mod stores;
#[cfg(feature = "csv")]
mod tables;
mod watching;
mod winners;
