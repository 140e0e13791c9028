use std::fmt;

use serde::{Deserialize, Serialize};

/// What a writer feels, in the five types that a support team acts on differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the five types are what tables and models have columns for")]
pub enum Feeling {
    /// Content, thankful, delighted: ask for a reference.
    Satisfied,
    /// Annoyed or furious: answer first, and by somebody who may decide.
    Angry,
    /// Let down, sad, resigned: about to leave without a word.
    Disappointed,
    /// Does not understand: an explanation helps.
    Confused,
    /// None of these shows.
    Neutral,
}

impl Feeling {
    /// All five, in the order of tables and models.
    pub const ALL: [Self; 5] =
        [Self::Satisfied, Self::Angry, Self::Disappointed, Self::Confused, Self::Neutral];

    /// The name as it is written in JSON and stores, such as `disappointed`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Satisfied => "satisfied",
            Self::Angry => "angry",
            Self::Disappointed => "disappointed",
            Self::Confused => "confused",
            Self::Neutral => "neutral",
        }
    }
}

impl fmt::Display for Feeling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
