//! Quotas: decisions, periods, ledgers and relays, on memory, SQLite and a real Postgres.

#[cfg(test)]
mod analytics;
#[cfg(test)]
mod billing;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod histories;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod kill;
#[cfg(test)]
mod model;
#[cfg(test)]
mod periods;
#[cfg(test)]
mod plain;
#[cfg(test)]
#[cfg(feature = "redis")]
mod purses;
#[cfg(test)]
mod random;
#[cfg(test)]
mod refused;
#[cfg(test)]
#[cfg(feature = "postgres")]
mod round_trips;
#[cfg(test)]
mod stores;
