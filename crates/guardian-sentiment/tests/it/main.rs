//! Sentiment: reading texts, histories and trends, on memory, SQLite and a real Postgres.

#[cfg(test)]
mod adaptation;
#[cfg(test)]
mod between;
#[cfg(test)]
mod external;
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod kill;
#[cfg(test)]
mod language;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod learning;
#[cfg(test)]
mod lexicon;
#[cfg(test)]
mod mail;
#[cfg(test)]
#[cfg(feature = "tract")]
mod onnx;
#[cfg(test)]
mod random;
#[cfg(test)]
mod series;
#[cfg(test)]
mod shipped;
#[cfg(test)]
mod stores;
#[cfg(all(test, feature = "train"))]
mod train;
#[cfg(test)]
mod trend;
