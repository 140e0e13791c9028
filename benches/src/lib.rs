//! What Guardian's benchmarks and quality suites share: generated keys, the memory of a process, the suites, the
//! oracles that judge rate limits by brute force, and what holds a trained model against its trainer.

pub mod crm;
pub mod keys;
pub mod oracle;
pub mod resident;
pub mod sentiment;
pub mod suites;
pub mod trained;
