//! The assembly on memory, SQLite and PostgreSQL.

#[cfg(test)]
mod administration;
#[cfg(test)]
mod events;
#[cfg(test)]
mod host;
#[cfg(test)]
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod kill;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod tenants;
#[cfg(test)]
mod workers;
