//! What Guardian's examples and quality suites share: reading the logs that web servers write.

pub mod access_log;
