//! Rate limits against exact models, laws and broken stores.

mod conformance;
mod limiter;
mod memory;
mod models;
mod random;
mod syntax;
