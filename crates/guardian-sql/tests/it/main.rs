//! The SQL layer on real databases: SQLite in memory and in a file, and a real PostgreSQL.
#![cfg(all(feature = "sqlite", feature = "postgres"))]

#[cfg(test)]
mod basics;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod cancellation;
#[cfg(test)]
mod events;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod load;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod notices;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod parsers;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod trouble;
#[cfg(test)]
mod values;
