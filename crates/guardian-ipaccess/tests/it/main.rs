//! Everything that a host can see of the crate.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod model;
mod policies;
mod winners;
