//! For those who build and debug receivers: made-up payloads, a signature calculator, `curl` lines, snippets, payload diffs.

pub mod schema;

mod calculator;
mod curl;
mod diff;
mod snippets;

pub use calculator::{Calculation, calculate};
pub use curl::curl;
pub use diff::{Difference, payload_diff};
pub use snippets::{Language, snippet};
