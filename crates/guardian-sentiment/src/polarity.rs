use std::fmt;

use serde::{Deserialize, Serialize};

/// How good or bad a text is for its writer, in five steps; ordered from the worst to the best.
///
/// The steps are those that help desks know (Zendesk's five).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the five steps are those of help desks")]
pub enum Polarity {
    /// The writer is at their wits' end.
    VeryNegative,
    /// Something is wrong for the writer.
    Negative,
    /// Neither, or as much of the one as of the other.
    Neutral,
    /// Something is right for the writer.
    Positive,
    /// The writer is delighted.
    VeryPositive,
}

impl Polarity {
    /// All five, from the worst to the best.
    pub const ALL: [Self; 5] =
        [Self::VeryNegative, Self::Negative, Self::Neutral, Self::Positive, Self::VeryPositive];

    /// The name as it is written in JSON and stores, such as `very_negative`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VeryNegative => "very_negative",
            Self::Negative => "negative",
            Self::Neutral => "neutral",
            Self::Positive => "positive",
            Self::VeryPositive => "very_positive",
        }
    }
}

impl fmt::Display for Polarity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VeryNegative => "very negative",
            Self::VeryPositive => "very positive",
            other => other.as_str(),
        })
    }
}
