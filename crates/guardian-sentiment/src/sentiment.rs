use serde::{Deserialize, Serialize};

use crate::{Feeling, Polarity};

/// What a model reads from one text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sentiment {
    /// From -1 (worst) to 1 (best); the calibrated chance of positive less that of negative.
    pub score: f64,
    /// The calibrated chances of negative, neutral and positive, in this order; they add up to 1.
    pub chances: [f64; 3],
    /// The step of the scale.
    pub polarity: Polarity,
    /// The type to act on: the likeliest, save that the shipped models prefer a rare type to a common one that is little likelier,
    /// lest rare types are never said.
    pub feeling: Feeling,
    /// The calibrated chances of the types in the order of [`Feeling::ALL`]; they add up to 1.
    pub feelings: [f64; 5],
    /// How far to trust it.
    pub confidence: Confidence,
}

impl Sentiment {
    /// Whether all of its numbers are some.
    pub(crate) fn is_finite(&self) -> bool {
        self.score.is_finite() && self.chances.iter().chain(&self.feelings).all(|chance| chance.is_finite())
    }
}

/// How far a reading may be trusted; ordered from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the bands are a closed scale")]
pub enum Confidence {
    /// The model says that it does not know: treat the text as not read.
    Abstain,
    /// A hint.
    Low,
    /// Right more often than not by a good margin.
    Medium,
    /// As good as the model gets: fit for acting without a person.
    High,
}

/// What became of a text: a sentiment, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reading {
    /// The text was read.
    Read(Sentiment),
    /// The text is in a language that the model does not know: its ISO 639-3 code.
    Unsupported(String),
    /// Nothing is left to read: the text is empty, or all of it was quoted.
    Empty,
}
