//! The assembly on memory, SQLite and PostgreSQL.

mod administration;
mod events;
mod host;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod kill;
mod limits;
mod tenants;
mod workers;
