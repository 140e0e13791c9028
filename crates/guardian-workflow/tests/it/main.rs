//! Workflows: definitions, validation, versions, differences, runs, on memory, SQLite and a real Postgres.

#[cfg(test)]
mod definitions;
#[cfg(test)]
mod differences;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod faults;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod imports;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod kill;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod leaving;
#[cfg(test)]
mod loops;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod stores;
#[cfg(test)]
mod triggers;
#[cfg(test)]
mod trying;
#[cfg(test)]
mod validation;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod world;
