//! The examples, run as the programs that they are.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed assumption is a failed test")]

mod access_log;
mod client;
mod crm;
mod guide;
mod hostile;
mod rbac_matrix;
mod sentiment_inbox;
