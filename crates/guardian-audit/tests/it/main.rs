//! The audit log, on every store and in every way to tamper with it.

#[cfg(test)]
mod merkle;
