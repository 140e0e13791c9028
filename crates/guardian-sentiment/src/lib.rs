#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod explanation;
mod feeling;
mod lexicon;
pub mod mail;
mod model;
mod polarity;
mod sentiment;
mod trend;

pub use explanation::{Explanation, Part};
pub use feeling::Feeling;
pub use lexicon::{Effect, Lexicon, Rule, VaderScores, Valences};
pub use model::SentimentModel;
pub use polarity::Polarity;
pub use sentiment::{Confidence, Reading, Sentiment};
pub use trend::{Alert, Day, Observation, Rising, Trend, TrendPolicy, Update};
