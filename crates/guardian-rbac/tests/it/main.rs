//! Decisions held against the naive model, writes against the rule of escalation, stores against their laws.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod decisions;
#[cfg(test)]
mod escalation;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod random;
#[cfg(test)]
mod service;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod sql;
