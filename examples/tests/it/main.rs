//! The examples, run as the programs that they are.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]
#![expect(clippy::disallowed_methods, reason = "how long a process takes is told by the machine's own clock")]

mod access_log;
mod client;
mod crm;
mod guide;
mod hostile;
mod rbac_matrix;
mod sentiment_inbox;
mod streams;
