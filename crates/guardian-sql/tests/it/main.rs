//! The SQL layer on real databases: SQLite in memory and in a file, and a real PostgreSQL.
#![cfg(all(feature = "sqlite", feature = "postgres"))]

#[cfg(test)]
mod basics;
