//! The registry, row-level security, the lint and the isolation suite, on memory, SQLite and a real Postgres.
#![cfg_attr(
    all(feature = "sqlite", feature = "postgres"),
    expect(clippy::string_slice, reason = "the names of a test are its own")
)]

#[cfg(test)]
mod conformance;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod corpus;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod isolation;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod lint;
#[cfg(test)]
mod registry;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod rls;
#[cfg(test)]
mod texts;
