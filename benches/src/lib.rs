//! What Guardian's benchmarks and quality suites share: generated keys, the memory of a process, and oracles that
//! judge by brute force.

pub mod keys;
pub mod resident;
