//! The tests of the crate, in one program.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected fails"
)]

mod budget;
mod check;
mod generate;
mod hostile;
#[cfg(feature = "evalexpr")]
mod import;
mod language;
mod properties;
mod tools;
