//! Sentiment: reading texts, histories and trends, on memory, SQLite and a real Postgres.

#[cfg(test)]
mod lexicon;
#[cfg(test)]
mod mail;
#[cfg(test)]
mod random;
#[cfg(test)]
mod trend;
#[cfg(test)]
mod stores;
#[cfg(test)]
mod language;
#[cfg(test)]
mod learning;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod kill;
