//! Decisions held against the naive model, writes against the rules of escalation, stores against their laws.

#[cfg(test)]
mod decisions;
#[cfg(test)]
mod random;
