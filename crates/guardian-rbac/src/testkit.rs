//! What decisions and stores are held against; outside of semantic versioning.

pub mod reference;
