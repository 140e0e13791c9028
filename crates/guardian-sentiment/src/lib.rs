#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod adaptation;
mod bytes;
mod core;
mod ensemble;
mod error;
mod explanation;
mod external;
mod features;
mod feeling;
mod file;
mod lexical;
mod lexicon;
mod linear;
pub mod mail;
mod model;
mod polarity;
mod readout;
mod sentiment;
mod tokens;
#[cfg(feature = "train")]
pub mod train;
mod trend;
mod weights;

pub use adaptation::{Adaptation, Adapted, Correction, Learned, MAX_CORRECTIONS, MAX_ID, Shadow};
pub use ensemble::Ensemble;
pub use error::ModelError;
pub use explanation::{Explanation, Part};
pub use external::{Class, Classifier, External};
pub use feeling::Feeling;
pub use lexicon::{Effect, Lexicon, Rule, VaderScores, Valences};
pub use linear::Linear;
pub use model::SentimentModel;
pub use polarity::Polarity;
pub use sentiment::{Confidence, Reading, Sentiment};
pub use trend::{Alert, Day, Observation, Rising, Trend, TrendPolicy, Update};
