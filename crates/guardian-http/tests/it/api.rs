//! The API and its document agree: each operation is called, and what comes back is held against what the document says.

mod audit;
mod contract;
mod entrance;
mod exports;
mod ipaccess;
mod kit;
mod quota;
mod ratelimit;
mod rbac;
mod sentiment;
mod tenant;
mod webhook;
mod whole;
mod workflow;
