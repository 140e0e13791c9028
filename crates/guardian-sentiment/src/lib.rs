#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod core;
mod ensemble;
mod explanation;
mod features;
mod feeling;
mod lexical;
mod linear;
mod lexicon;
pub mod mail;
mod model;
mod polarity;
mod readout;
mod sentiment;
mod tokens;
#[cfg(feature = "train")]
pub mod train;
mod weights;

pub use ensemble::Ensemble;
pub use explanation::{Explanation, Part};
pub use feeling::Feeling;
pub use linear::Linear;
pub use lexicon::{Effect, Lexicon, Rule, VaderScores, Valences};
pub use model::SentimentModel;
pub use polarity::Polarity;
pub use sentiment::{Confidence, Reading, Sentiment};
