//! The crate's integration tests, in one binary.

#[cfg(test)]
mod leased;
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
