//! Webhooks: signatures, egress, stores, delivery, receivers that misbehave, on memory, SQLite and a real Postgres.

#[cfg(test)]
#[cfg(feature = "axum")]
mod extractor;
#[cfg(test)]
mod failing;
#[cfg(test)]
#[cfg(feature = "http")]
mod hostile;
#[cfg(test)]
#[cfg(all(feature = "http", feature = "sqlite", feature = "postgres"))]
mod kill;
#[cfg(test)]
mod providers;
#[cfg(test)]
#[cfg(feature = "postgres")]
mod races;
#[cfg(test)]
mod service;
#[cfg(test)]
mod snippets;
#[cfg(test)]
mod stores;
#[cfg(test)]
#[cfg(feature = "http")]
mod tls;
#[cfg(test)]
mod world;
