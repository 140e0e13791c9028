//! Reading texts, recording messages and putting right how they were read.

use axum::extract::State;
use guardian_core::{Timestamp, shorten};
use guardian_sentiment::mail::Mail;
use guardian_sentiment::{Correction, Feeling, Message, Polarity, Recorded, Sentiments};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::view::{
    SentimentAlert, SentimentEntry, SentimentExplanation, SentimentFeeling, SentimentPolarity,
    SentimentReading, entry_example, reading_example,
};
use super::{Answer, MESSAGE, failed, manages, reads, segment};
use crate::Problem;
use crate::api::bound::bounded;
use crate::api::platform::sensible;
use crate::api::{Api, Caller, Json, Kind, PathParam};

/// The longest text that is read and explained, in characters: the explanation is longer than the text.
const MOST: usize = 65_536;

/// A text to be read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SentimentText {
    /// The text.
    #[schema(max_length = 65_536)]
    text: String,
    /// Whether it is a mail, of which quoted messages and the signature are not read.
    #[serde(default)]
    mail: bool,
}

/// How a text is read, and why.
#[derive(Debug, Serialize, ToSchema)]
struct SentimentExplained {
    /// What was read of a mail, without quoted messages and the signature: the parts are parts of this. Null for what is no mail.
    own_text: Option<String>,
    /// How it is read.
    reading: SentimentReading,
    /// Why; null where it is not read, and where the model cannot say.
    explanation: Option<SentimentExplanation>,
}

/// A message to be recorded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSentimentMessage {
    /// The host's id of it, without control characters: a message that comes again with it is not counted again.
    #[schema(min_length = 1, max_length = 200)]
    id: String,
    /// What it says; it is read and not kept.
    #[schema(max_length = 1_048_576)]
    text: String,
    /// Whether it is a mail, of which quoted messages and the signature are not read.
    #[serde(default)]
    mail: bool,
    /// When it was written; left out, now. What is later than now is taken for now.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// The series that it is counted in besides that of all messages, such as `customer:c_17`, `account:acme`, `channel:email`,
    /// `topic:billing`.
    #[serde(default)]
    #[schema(max_items = 16)]
    segments: Vec<String>,
}

/// What a message did to a series.
#[derive(Debug, Serialize, ToSchema)]
struct SentimentUpdate {
    /// The series.
    segment: String,
    /// The mean of late, with this message.
    level: f64,
    /// What the series is held against; null until it has enough messages.
    baseline: Option<f64>,
    /// The alarm, when this message raised it.
    alert: Option<SentimentAlert>,
    /// Whether this message ended a fall.
    recovered: bool,
}

/// What became of a message that was recorded.
#[derive(Debug, Serialize, ToSchema)]
struct SentimentRecorded {
    /// Whether it was recorded now; otherwise a message with its id was there, and nothing changed.
    is_new: bool,
    /// What is kept of it.
    entry: SentimentEntry,
    /// What it did to each series; empty when it was there before, or was not read.
    updates: Vec<SentimentUpdate>,
}

/// What a message really says; the step, the type or both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SentimentCorrection {
    /// The message's text, which is not kept: the tenant's model learns from it. An empty one corrects without learning.
    #[schema(max_length = 1_048_576)]
    text: String,
    /// Whether it is a mail, of which quoted messages and the signature are not learned from.
    #[serde(default)]
    mail: bool,
    /// The step; left out, that of the type where it says one.
    #[serde(default)]
    polarity: Option<SentimentPolarity>,
    /// The type.
    #[serde(default)]
    feeling: Option<SentimentFeeling>,
}

impl SentimentCorrection {
    fn correction(&self) -> Result<Correction, Problem> {
        match (self.polarity.map(Polarity::from), self.feeling.map(Feeling::from)) {
            (Some(polarity), Some(feeling)) => Ok(Correction::new(polarity, feeling)),
            (Some(polarity), None) => Ok(polarity.into()),
            (None, Some(feeling)) => Ok(feeling.into()),
            (None, None) => Err(Kind::InvalidRequest
                .because("a correction names a `polarity`, a `feeling` or both: this one says nothing")),
        }
    }
}

impl NewSentimentMessage {
    fn message(self) -> Result<Message, Problem> {
        let mut message = Message::new(&self.id, self.text).map_err(|error| failed(&error))?;
        if self.segments.len() > Message::MAX_SEGMENTS {
            return Err(Kind::InvalidRequest.because(format_args!(
                "a message has at most {} segments, this one has {}",
                Message::MAX_SEGMENTS,
                self.segments.len()
            )));
        }
        for text in &self.segments {
            message = message.within(segment(text)?).map_err(|error| failed(&error))?;
        }
        if let Some(at) = self.at {
            message = message.written(sensible(at)?);
        }
        Ok(if self.mail { message.as_mail() } else { message })
    }
}

impl From<Recorded> for SentimentRecorded {
    fn from(recorded: Recorded) -> Self {
        let updates = recorded.updates.into_iter().map(|(segment, update)| SentimentUpdate {
            segment: segment.to_string(),
            level: update.level,
            baseline: update.baseline,
            alert: update.alert.map(SentimentAlert::from),
            recovered: update.recovered,
        });
        Self { is_new: recorded.is_new, updates: updates.collect(), entry: recorded.entry.into() }
    }
}

pub(super) fn declare(api: Api<Sentiments>) -> Api<Sentiments> {
    let text = "The export is broken again.";
    let recorded = |is_new: bool| {
        let update = json!({
            "segment": "all", "level": -0.81, "baseline": null, "alert": null, "recovered": false,
        });
        json!({"is_new": is_new, "entry": entry_example(), "updates": if is_new { vec![update] } else { vec![] }})
    };
    let explain = reads("readSentiment", "How a text is read, and why")
        .about("As the tenant's own model reads it. Nothing is kept.")
        .body::<SentimentText>(json!({"text": text, "mail": false}))
        .answers::<SentimentExplained>(
            StatusCode::OK,
            "The reading, and what each part of the text adds.",
            json!({
                "own_text": null, "reading": reading_example(),
                "explanation": {"bias": 0.1, "margin": -1.9, "parts": [
                    {"start": 14, "end": 20, "text": "broken", "contribution": -2.0},
                ]},
            }),
        );
    let record = manages("recordSentimentMessage", "Read a message, and count it in its series")
        .about("It is kept how it was read, not what it says. Its id names it for ever: the same id again changes nothing.")
        .body::<NewSentimentMessage>(json!({
            "id": "m-1", "text": text, "mail": false, "at": "2026-03-01T09:30:00Z", "segments": ["customer:c_17"],
        }))
        .answers::<SentimentRecorded>(StatusCode::CREATED, "It is recorded.", recorded(true))
        .answers::<SentimentRecorded>(StatusCode::OK, "A message with its id was there.", recorded(false));
    let read = reads("readSentimentMessage", "What is kept of a message")
        .path("message", MESSAGE, "m-1")
        .answers::<SentimentEntry>(StatusCode::OK, "The entry.", entry_example());
    let correct = manages("correctSentimentMessage", "Put right how a message was read")
        .about("In the history and in its series; and the tenant's model learns from it. The same again changes nothing.")
        .path("message", MESSAGE, "m-1")
        .body::<SentimentCorrection>(
            json!({"text": text, "mail": false, "polarity": "negative", "feeling": "disappointed"}),
        )
        .answers::<SentimentEntry>(StatusCode::OK, "The entry as it is now.", entry_example());
    api.post("/sentiment/readings", explain, read_text)
        .post("/sentiment/messages", record, record_message)
        .get("/sentiment/messages/{message}", read, read_message)
        .put("/sentiment/messages/{message}/correction", correct, correct_message)
}

async fn read_text(
    State(sentiments): State<Sentiments>,
    Caller(scope): Caller,
    Json(asked): Json<SentimentText>,
) -> Answer<SentimentExplained> {
    bounded("text", &asked.text, 0, MOST)?;
    let own_text = asked.mail.then(|| Mail::split(&asked.text).reply().into_owned());
    let text = own_text.as_deref().unwrap_or(&asked.text);
    let reading = sentiments.read(&scope, text).await.map_err(|error| failed(&error))?;
    let explanation = sentiments.explain(&scope, text).await.map_err(|error| failed(&error))?;
    let explanation = explanation.map(|explanation| SentimentExplanation::of(explanation, text));
    Ok(Json(SentimentExplained { reading: reading.into(), explanation, own_text }))
}

async fn record_message(
    State(sentiments): State<Sentiments>,
    Caller(scope): Caller,
    Json(new): Json<NewSentimentMessage>,
) -> Result<(StatusCode, Json<SentimentRecorded>), Problem> {
    let recorded = sentiments.record(&scope, &new.message()?).await.map_err(|error| failed(&error))?;
    let status = if recorded.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(recorded.into())))
}

async fn read_message(
    State(sentiments): State<Sentiments>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
) -> Answer<SentimentEntry> {
    let found = sentiments.entry(&scope, &id).await.map_err(|error| failed(&error))?;
    let none = || Kind::NotFound.because(format_args!("there is no message `{}`", shorten(&id)));
    found.map(|entry| Json(entry.into())).ok_or_else(none)
}

async fn correct_message(
    State(sentiments): State<Sentiments>,
    Caller(scope): Caller,
    PathParam(id): PathParam<String>,
    Json(said): Json<SentimentCorrection>,
) -> Answer<SentimentEntry> {
    let correction = said.correction()?;
    let message = Message::new(&id, said.text).map_err(|error| failed(&error))?;
    let message = if said.mail { message.as_mail() } else { message };
    let entry = sentiments.correct(&scope, &message, correction).await.map_err(|error| failed(&error))?;
    Ok(Json(entry.into()))
}
