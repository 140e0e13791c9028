use std::borrow::Cow;
use std::collections::BTreeSet;

use chrono::SubsecRound;
use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::mail::Mail;
use crate::segment::shown;
use crate::{Alert, Confidence, Error, Feeling, InvalidSegment, Part, Polarity, Reading, Segment, Update};

/// A message to be read: a mail, a note, a line of a chat.
///
/// ```
/// use guardian_sentiment::Message;
///
/// let message = Message::new("mail-17", "It is broken again.\n\n> We fixed it.")?
///     .as_mail()
///     .of_customer("c_17")?
///     .of_account("acme")?
///     .by_channel("email")?
///     .about("billing")?;
/// assert_eq!(message.segments().len(), 5);
/// # Ok::<(), guardian_sentiment::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub(crate) id: String,
    text: String,
    pub(crate) at: Option<Timestamp>,
    is_mail: bool,
    segments: BTreeSet<Segment>,
}

impl Message {
    /// The longest id, in bytes.
    pub const MAX_ID: usize = 200;
    /// The longest text, in bytes: 1 MiB.
    pub const MAX_TEXT: usize = 1 << 20;
    /// The most series that one message is counted in, that of all messages among them.
    pub const MAX_SEGMENTS: usize = 16;

    /// A message. Its id is the host's: a message that comes again with the same id is not counted again.
    ///
    /// # Errors
    /// When the id is empty, too long or has a control character, or the text is too long.
    pub fn new(id: &str, text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        check_id(id)?;
        if text.len() > Self::MAX_TEXT {
            return Err(Error::TooLong { len: text.len() });
        }
        Ok(Self {
            id: id.to_owned(),
            text,
            at: None,
            is_mail: false,
            segments: BTreeSet::from([Segment::all()]),
        })
    }

    /// The same, written then, to the microsecond; without it, when it is recorded.
    #[must_use]
    pub fn written(mut self, at: Timestamp) -> Self {
        self.at = Some(at.trunc_subsecs(6));
        self
    }

    /// The same as a mail, of which quoted messages and the signature are not read.
    #[must_use]
    pub fn as_mail(mut self) -> Self {
        self.is_mail = true;
        self
    }

    /// The same from this person.
    ///
    /// # Errors
    /// When the name is none, or the message is in too many series.
    pub fn of_customer(self, name: &str) -> Result<Self, Error> {
        self.within(Segment::customer(name)?)
    }

    /// The same from this company.
    ///
    /// # Errors
    /// As for [`Self::of_customer`].
    pub fn of_account(self, name: &str) -> Result<Self, Error> {
        self.within(Segment::account(name)?)
    }

    /// The same by this way.
    ///
    /// # Errors
    /// As for [`Self::of_customer`].
    pub fn by_channel(self, name: &str) -> Result<Self, Error> {
        self.within(Segment::channel(name)?)
    }

    /// The same about this thing, besides others.
    ///
    /// # Errors
    /// As for [`Self::of_customer`].
    pub fn about(self, name: &str) -> Result<Self, Error> {
        self.within(Segment::topic(name)?)
    }

    /// The same counted in this series too.
    ///
    /// # Errors
    /// When the message is in too many series.
    pub fn within(mut self, segment: Segment) -> Result<Self, Error> {
        self.segments.insert(segment);
        if self.segments.len() > Self::MAX_SEGMENTS {
            return Err(Error::TooManySegments { id: shown(&self.id) });
        }
        Ok(self)
    }

    /// What its writer wrote themselves: of a mail, without quoted messages and the signature.
    #[must_use]
    pub fn own_text(&self) -> Cow<'_, str> {
        if self.is_mail { Mail::split(&self.text).reply() } else { Cow::Borrowed(&self.text) }
    }

    /// Brings spans of its own text to where they are in its whole text.
    pub(crate) fn spans_in_text(&self, parts: &mut [Part]) {
        if !self.is_mail {
            return;
        }
        let spans = Mail::split(&self.text).reply_spans();
        let mut spans = spans.into_iter();
        // The span of the text at hand, and where it begins in the own text. The parts are in the order of the text.
        let (mut here, mut begins) = (spans.next().unwrap_or_default(), 0);
        for part in parts {
            while part.span.start >= begins + here.len() {
                let Some(next) = spans.next() else { break };
                begins += here.len();
                here = next;
            }
            let start = here.start + part.span.start.saturating_sub(begins);
            // Parts of a mail are whole lines, over whose ends no word goes.
            part.span = start..(start + part.span.len()).min(here.end).max(start);
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The series that it is counted in, in their order.
    #[must_use]
    pub fn segments(&self) -> &BTreeSet<Segment> {
        &self.segments
    }
}

pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    if id.is_empty() || id.len() > Message::MAX_ID || id.chars().any(char::is_control) {
        return Err(Error::InvalidId { id: shown(id) });
    }
    Ok(())
}

/// What is kept of a message: how it was read, not what it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// The host's id of the message.
    pub id: String,
    /// When it was written.
    pub at: Timestamp,
    /// The series that it is counted in.
    pub segments: BTreeSet<Segment>,
    /// How the model read it.
    pub reading: Reading,
    /// What a person said of it, who knows better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<Corrected>,
}

impl Entry {
    pub(crate) fn new(message: &Message, at: Timestamp, reading: Reading) -> Self {
        Self { id: message.id.clone(), at, segments: message.segments.clone(), reading, correction: None }
    }

    /// The score that counts in trends: the corrected one, or the model's unless it abstained; `None` when there is neither.
    #[must_use]
    pub fn score(&self) -> Option<f64> {
        let corrected = self.correction.as_ref().and_then(Corrected::score);
        corrected.or(match &self.reading {
            Reading::Read(sentiment) if sentiment.confidence > Confidence::Abstain => Some(sentiment.score),
            _ => None,
        })
    }

    /// The step that counts.
    #[must_use]
    pub fn polarity(&self) -> Option<Polarity> {
        let corrected = self.correction.as_ref().and_then(|correction| correction.polarity);
        corrected.or(match &self.reading {
            Reading::Read(sentiment) => Some(sentiment.polarity),
            _ => None,
        })
    }

    /// The type that counts.
    #[must_use]
    pub fn feeling(&self) -> Option<Feeling> {
        let corrected = self.correction.as_ref().and_then(|correction| correction.feeling);
        corrected.or(match &self.reading {
            Reading::Read(sentiment) => Some(sentiment.feeling),
            _ => None,
        })
    }
}

/// What a person says of a message that a model read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Corrected {
    /// How good or bad it is, where the person says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polarity: Option<Polarity>,
    /// Its type, where the person says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feeling: Option<Feeling>,
    /// When it was said.
    pub at: Timestamp,
    /// Who said it.
    pub by: String,
}

impl Corrected {
    pub(crate) fn new(correction: crate::Correction, at: Timestamp, by: String) -> Self {
        Self { polarity: correction.polarity, feeling: correction.feeling, at, by }
    }

    /// Whether another says the same, whoever says it when.
    pub(crate) fn says_as(&self, other: &Self) -> bool {
        (self.polarity, self.feeling) == (other.polarity, other.feeling)
    }

    /// The score that the step stands for: -1, -0.5, 0, 0.5 or 1; `None` where the person said nothing of it.
    #[must_use]
    pub fn score(&self) -> Option<f64> {
        self.polarity.map(|polarity| match polarity {
            Polarity::VeryNegative => -1.0,
            Polarity::Negative => -0.5,
            Polarity::Neutral => 0.0,
            Polarity::Positive => 0.5,
            Polarity::VeryPositive => 1.0,
        })
    }
}

/// What became of a message that was recorded.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recorded {
    /// What is kept of it.
    pub entry: Entry,
    /// Whether it was recorded now; otherwise a message with its id was there, and nothing changed.
    pub is_new: bool,
    /// What it did to each series, in their order; empty when it was there before, or was not read.
    pub updates: Vec<(Segment, Update)>,
}

/// An alarm of a series, as it is kept until it was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Told {
    /// The id of the event.
    pub event: uuid::Uuid,
    /// The series.
    pub segment: Segment,
    /// The message that raised it.
    pub message: String,
    /// The alarm.
    pub alert: Alert,
}

impl From<InvalidSegment> for Error {
    fn from(error: InvalidSegment) -> Self {
        Self::Segment(error)
    }
}
