//! Guardian's benches.
