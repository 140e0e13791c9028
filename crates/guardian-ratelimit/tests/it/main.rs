//! Rate limits against exact models, laws and broken stores.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::cast_possible_truncation,
    reason = "a test that meets the unexpected fails, and its numbers are its own"
)]

mod conformance;
mod limiter;
mod memory;
mod models;
mod random;
mod syntax;
