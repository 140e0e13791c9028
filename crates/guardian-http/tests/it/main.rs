//! The crate's tests, one binary.
#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

mod chains;
mod forwarded_grammar;
mod rate_keys;
mod spoofing;
mod trust;
