//! Rate limits against exact models, laws, broken stores, and a real Redis and PostgreSQL that are killed now and then.
#![expect(
    clippy::cast_possible_truncation,
    clippy::unreachable,
    reason = "a test's numbers are its own, and one that meets the unexpected fails"
)]

#[cfg(test)]
mod conformance;
#[cfg(test)]
#[cfg(any(feature = "redis", feature = "sqlite", feature = "postgres"))]
mod differential;
#[cfg(test)]
mod leased;
#[cfg(test)]
mod limiter;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod models;
#[cfg(test)]
mod prepared;
#[cfg(test)]
mod random;
#[cfg(test)]
#[cfg(feature = "redis")]
mod redis;
#[cfg(test)]
#[cfg(feature = "redis")]
mod redis_differential;
#[cfg(test)]
#[cfg(feature = "redis")]
mod redis_outage;
#[cfg(test)]
#[cfg(feature = "redis")]
mod redis_states;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod sql_callers;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod sql_differential;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod sql_outage;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod sql_processes;
#[cfg(test)]
mod syntax;
