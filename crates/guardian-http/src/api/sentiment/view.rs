//! How readings, entries and alarms are told.

use guardian_core::Timestamp;
use guardian_sentiment::{
    Alert, Confidence, Corrected, Entry, Explanation, Feeling, Polarity, Reading, Rising, Sentiment,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// How good or bad a text is for its writer.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SentimentPolarity {
    /// At their wits' end.
    VeryNegative,
    /// Something is wrong.
    Negative,
    /// Neither, or as much of the one as of the other.
    Neutral,
    /// Something is right.
    Positive,
    /// Delighted.
    VeryPositive,
}

/// What a writer feels, in the types that a support team acts on differently.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SentimentFeeling {
    /// Content, thankful, delighted.
    Satisfied,
    /// Annoyed or furious.
    Angry,
    /// Let down, sad, resigned.
    Disappointed,
    /// Does not understand.
    Confused,
    /// None of these shows.
    Neutral,
}

/// How far a reading may be trusted.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SentimentConfidence {
    /// The model says that it does not know: the message does not count in trends.
    Abstain,
    /// A hint.
    Low,
    /// Right more often than not by a good margin.
    Medium,
    /// Fit for acting without a person.
    High,
}

/// The calibrated chances of the steps; they add up to 1.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SentimentChances {
    /// Of negative.
    negative: f64,
    /// Of neutral.
    neutral: f64,
    /// Of positive.
    positive: f64,
}

/// The calibrated chances of the types; they add up to 1.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SentimentFeelings {
    /// Of satisfied.
    satisfied: f64,
    /// Of angry.
    angry: f64,
    /// Of disappointed.
    disappointed: f64,
    /// Of confused.
    confused: f64,
    /// Of neutral.
    neutral: f64,
}

/// What a model read from a text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SentimentValue {
    /// From -1 (worst) to 1 (best).
    #[schema(minimum = -1, maximum = 1)]
    score: f64,
    /// The step of the scale.
    polarity: SentimentPolarity,
    /// The type to act on.
    feeling: SentimentFeeling,
    /// How far to trust it.
    confidence: SentimentConfidence,
    /// The chances of the steps.
    chances: SentimentChances,
    /// The chances of the types.
    feelings: SentimentFeelings,
}

/// What became of a text.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SentimentOutcome {
    /// It was read.
    Read,
    /// It is in a language that the model does not know.
    Unsupported,
    /// Nothing is left to read: it is empty, or all of it was quoted.
    Empty,
}

/// A text as it was read: a sentiment, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SentimentReading {
    /// What became of it.
    outcome: SentimentOutcome,
    /// The sentiment; null where it was not read.
    sentiment: Option<SentimentValue>,
    /// The ISO 639-3 code of a language that the model does not know, else null; `und` where only the script tells.
    language: Option<String>,
}

/// One part of a text, and what it adds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SentimentPart {
    /// Where it begins, in bytes of UTF-8.
    start: usize,
    /// Where it ends, that byte not included.
    end: usize,
    /// The part itself.
    text: String,
    /// Above zero when it speaks for good.
    contribution: f64,
}

/// Why a text is read as it is: with the bias the contributions of the parts add up to the margin.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SentimentExplanation {
    /// What an empty text would have.
    bias: f64,
    /// The model's value before it becomes a chance: above zero for good.
    margin: f64,
    /// The parts, in the order of the text.
    parts: Vec<SentimentPart>,
}

/// What a person said of a message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SentimentCorrected {
    /// The step, where they said so.
    polarity: Option<SentimentPolarity>,
    /// The type, where they said so.
    feeling: Option<SentimentFeeling>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who.
    by: String,
}

/// What is kept of a message: how it was read, not what it says.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SentimentEntry {
    /// The host's id of the message.
    id: String,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The series that it is counted in.
    segments: Vec<String>,
    /// How the model read it.
    reading: SentimentReading,
    /// What a person said of it; null when nobody did.
    correction: Option<SentimentCorrected>,
    /// The score that counts in trends: the corrected one, or the model's unless it abstained; null when there is neither.
    #[schema(minimum = -1, maximum = 1)]
    score: Option<f64>,
    /// The step that counts.
    polarity: Option<SentimentPolarity>,
    /// The type that counts.
    feeling: Option<SentimentFeeling>,
}

/// A word that is in more messages than it used to be.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SentimentWord {
    /// The word, in lower case.
    word: String,
    /// How sure that is: the log-odds between then and now over their standard deviation.
    strength: f64,
}

/// An alarm: a series falls.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SentimentAlert {
    /// When the message was written that raised it.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The mean of about the last dozen messages.
    recent: f64,
    /// The mean that the series had before.
    baseline: f64,
    /// How many messages the evidence rests on.
    messages: u32,
    /// The words that rose most, the strongest first.
    words: Vec<SentimentWord>,
}

impl From<Polarity> for SentimentPolarity {
    fn from(polarity: Polarity) -> Self {
        match polarity {
            Polarity::VeryNegative => Self::VeryNegative,
            Polarity::Negative => Self::Negative,
            Polarity::Neutral => Self::Neutral,
            Polarity::Positive => Self::Positive,
            Polarity::VeryPositive => Self::VeryPositive,
        }
    }
}

impl From<SentimentPolarity> for Polarity {
    fn from(polarity: SentimentPolarity) -> Self {
        match polarity {
            SentimentPolarity::VeryNegative => Self::VeryNegative,
            SentimentPolarity::Negative => Self::Negative,
            SentimentPolarity::Neutral => Self::Neutral,
            SentimentPolarity::Positive => Self::Positive,
            SentimentPolarity::VeryPositive => Self::VeryPositive,
        }
    }
}

impl From<Feeling> for SentimentFeeling {
    fn from(feeling: Feeling) -> Self {
        match feeling {
            Feeling::Satisfied => Self::Satisfied,
            Feeling::Angry => Self::Angry,
            Feeling::Disappointed => Self::Disappointed,
            Feeling::Confused => Self::Confused,
            Feeling::Neutral => Self::Neutral,
        }
    }
}

impl From<SentimentFeeling> for Feeling {
    fn from(feeling: SentimentFeeling) -> Self {
        match feeling {
            SentimentFeeling::Satisfied => Self::Satisfied,
            SentimentFeeling::Angry => Self::Angry,
            SentimentFeeling::Disappointed => Self::Disappointed,
            SentimentFeeling::Confused => Self::Confused,
            SentimentFeeling::Neutral => Self::Neutral,
        }
    }
}

impl From<Confidence> for SentimentConfidence {
    fn from(confidence: Confidence) -> Self {
        match confidence {
            Confidence::Abstain => Self::Abstain,
            Confidence::Low => Self::Low,
            Confidence::Medium => Self::Medium,
            Confidence::High => Self::High,
        }
    }
}

impl From<Sentiment> for SentimentValue {
    fn from(read: Sentiment) -> Self {
        let [negative, neutral, positive] = read.chances;
        let [satisfied, angry, disappointed, confused, indifferent] = read.feelings;
        Self {
            score: read.score.clamp(-1.0, 1.0),
            polarity: read.polarity.into(),
            feeling: read.feeling.into(),
            confidence: read.confidence.into(),
            chances: SentimentChances { negative, neutral, positive },
            feelings: SentimentFeelings { satisfied, angry, disappointed, confused, neutral: indifferent },
        }
    }
}

impl From<Reading> for SentimentReading {
    fn from(reading: Reading) -> Self {
        let (outcome, sentiment, language) = match reading {
            Reading::Read(sentiment) => (SentimentOutcome::Read, Some(sentiment.into()), None),
            Reading::Unsupported(language) => (SentimentOutcome::Unsupported, None, Some(language)),
            // What a later model may say besides: nothing was read.
            _ => (SentimentOutcome::Empty, None, None),
        };
        Self { outcome, sentiment, language }
    }
}

impl SentimentExplanation {
    /// An explanation of this text.
    pub(super) fn of(explanation: Explanation, text: &str) -> Self {
        let tell = |part: guardian_sentiment::Part| SentimentPart {
            start: part.span.start,
            end: part.span.end,
            text: text.get(part.span).unwrap_or_default().to_owned(),
            contribution: part.contribution,
        };
        Self {
            bias: explanation.bias,
            margin: explanation.margin,
            parts: explanation.parts.into_iter().map(tell).collect(),
        }
    }
}

impl From<Corrected> for SentimentCorrected {
    fn from(said: Corrected) -> Self {
        Self {
            polarity: said.polarity.map(SentimentPolarity::from),
            feeling: said.feeling.map(SentimentFeeling::from),
            at: said.at,
            by: said.by,
        }
    }
}

impl From<Entry> for SentimentEntry {
    fn from(entry: Entry) -> Self {
        Self {
            score: entry.score().map(|score| score.clamp(-1.0, 1.0)),
            polarity: entry.polarity().map(SentimentPolarity::from),
            feeling: entry.feeling().map(SentimentFeeling::from),
            id: entry.id,
            at: entry.at,
            segments: entry.segments.into_iter().map(String::from).collect(),
            reading: entry.reading.into(),
            correction: entry.correction.map(SentimentCorrected::from),
        }
    }
}

impl From<Rising> for SentimentWord {
    fn from(rising: Rising) -> Self {
        Self { word: rising.word, strength: rising.strength }
    }
}

impl From<Alert> for SentimentAlert {
    fn from(alert: Alert) -> Self {
        Self {
            at: alert.at,
            recent: alert.recent,
            baseline: alert.baseline,
            messages: alert.messages,
            words: alert.words.into_iter().map(SentimentWord::from).collect(),
        }
    }
}

pub(super) fn reading_example() -> Value {
    json!({
        "outcome": "read", "language": null,
        "sentiment": {
            "score": -0.81, "polarity": "very_negative", "feeling": "angry", "confidence": "high",
            "chances": {"negative": 0.87, "neutral": 0.07, "positive": 0.06},
            "feelings": {
                "satisfied": 0.05, "angry": 0.62, "disappointed": 0.2, "confused": 0.05, "neutral": 0.08,
            },
        },
    })
}

pub(super) fn entry_example() -> Value {
    json!({
        "id": "m-1", "at": "2026-03-01T09:30:00Z", "segments": ["all", "customer:c_17"],
        "reading": reading_example(), "correction": null, "score": -0.81, "polarity": "very_negative",
        "feeling": "angry",
    })
}
