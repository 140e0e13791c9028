//! Integration tests of the audit log.

mod canonical;
mod memory;
mod query;
