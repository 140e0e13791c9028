#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod explanation;
mod feeling;
mod model;
mod polarity;
mod sentiment;

mod adaptation;
mod bytes;
mod core;
mod ensemble;
mod error;
mod external;
mod features;
mod file;
mod lexical;
mod lexicon;
mod linear;
#[cfg(feature = "tract")]
mod onnx;
mod readout;
mod tokens;
#[cfg(feature = "train")]
pub mod train;
mod weights;

pub mod mail;

mod chart;
mod failure;
mod language;
mod message;
mod segment;
mod sentiments;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
mod trend;

pub use adaptation::{Adaptation, Adapted, Correction, Learned, MAX_CORRECTIONS, Shadow};
pub use chart::Chart;
pub use ensemble::Ensemble;
pub use error::ModelError;
pub use explanation::{Explanation, Part};
pub use external::{Class, Classifier, External};
pub use failure::Error;
pub use feeling::Feeling;
pub use language::{English, Language};
pub use lexicon::{Effect, Lexicon, Rule, VaderScores, Valences};
pub use linear::Linear;
pub use message::{Corrected, Entry, Message, Recorded, Told};
pub use model::SentimentModel;
#[cfg(feature = "tract")]
pub use onnx::{Onnx, OnnxError, OnnxOptions, Tokenized, Tokenizer};
pub use polarity::Polarity;
pub use segment::{InvalidSegment, Segment, SegmentKind};
pub use sentiment::{Confidence, Reading, Sentiment};
pub use sentiments::Sentiments;
pub use store::memory::MemoryStore;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use store::sql::SqlStore;
pub use trend::{Alert, Day, Observation, Rising, Trend, TrendPolicy, Update};
