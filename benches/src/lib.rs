//! What Guardian's benchmarks and quality suites share: generated keys, the memory of a process, the suites, and the
//! oracles that judge rate limits by brute force.

pub mod crm;
pub mod keys;
pub mod oracle;
pub mod resident;
pub mod sentiment;
pub mod suites;
