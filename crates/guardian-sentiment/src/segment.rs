use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Input as it may be shown in an error: bounded, control characters escaped.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown = String::new();
    for (at, char) in text.chars().enumerate() {
        if at >= SHOWN || shown.len() >= 4 * SHOWN {
            shown.push('…');
            break;
        }
        shown.extend(char.escape_debug());
    }
    shown
}

/// What a series of messages is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SegmentKind {
    /// All messages of the tenant.
    All,
    /// Those of one company that the tenant sells to.
    Account,
    /// Those that came by one way: `email`, `chat`.
    Channel,
    /// Those of one person.
    Customer,
    /// Those about one thing: `billing`.
    Topic,
}

impl SegmentKind {
    /// The name as it is written in texts and stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Account => "account",
            Self::Channel => "channel",
            Self::Customer => "customer",
            Self::Topic => "topic",
        }
    }
}

/// A series: a kind and a name, written `customer:c_17`; that of all messages is `all`.
///
/// ```
/// use guardian_sentiment::{Segment, SegmentKind};
///
/// let segment: Segment = "account:acme".parse()?;
/// assert_eq!((segment.kind(), segment.name()), (SegmentKind::Account, "acme"));
/// assert_eq!(Segment::account("acme")?, segment);
/// assert_eq!(Segment::all().to_string(), "all");
/// # Ok::<(), guardian_sentiment::InvalidSegment>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Segment {
    kind: SegmentKind,
    name: String,
}

/// A text that is no series, or no name of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid segment `{input}`: {why}")]
pub struct InvalidSegment {
    input: String,
    why: &'static str,
}

impl Segment {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 128;

    /// The series of all messages.
    #[must_use]
    pub fn all() -> Self {
        Self { kind: SegmentKind::All, name: String::new() }
    }

    /// The series of one person, by the bare name: `c_17`.
    ///
    /// # Errors
    /// When the name is empty, longer than [`Self::MAX_LEN`], or has a control character.
    pub fn customer(name: &str) -> Result<Self, InvalidSegment> {
        Self::named(SegmentKind::Customer, name)
    }

    /// The series of one company, by the bare name: `acme`.
    ///
    /// # Errors
    /// As for [`Self::customer`].
    pub fn account(name: &str) -> Result<Self, InvalidSegment> {
        Self::named(SegmentKind::Account, name)
    }

    /// The series of one way of coming in, by the bare name: `email`.
    ///
    /// # Errors
    /// As for [`Self::customer`].
    pub fn channel(name: &str) -> Result<Self, InvalidSegment> {
        Self::named(SegmentKind::Channel, name)
    }

    /// The series of one thing, by the bare name: `billing`.
    ///
    /// # Errors
    /// As for [`Self::customer`].
    pub fn topic(name: &str) -> Result<Self, InvalidSegment> {
        Self::named(SegmentKind::Topic, name)
    }

    fn named(kind: SegmentKind, name: &str) -> Result<Self, InvalidSegment> {
        let why = if name.is_empty() {
            "the name is empty"
        } else if name.len() > Self::MAX_LEN {
            "the name has more than 128 bytes"
        } else if name.chars().any(char::is_control) {
            "the name has a control character"
        } else {
            return Ok(Self { kind, name: name.to_owned() });
        };
        Err(InvalidSegment { input: shown(name), why })
    }

    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> SegmentKind {
        self.kind
    }

    /// The name within its kind; empty for that of all messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            SegmentKind::All => f.write_str("all"),
            kind => write!(f, "{}:{}", kind.as_str(), self.name),
        }
    }
}

impl FromStr for Segment {
    type Err = InvalidSegment;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            return Ok(Self::all());
        }
        let kinds = [SegmentKind::Account, SegmentKind::Channel, SegmentKind::Customer, SegmentKind::Topic];
        let found = text.split_once(':').and_then(|(kind, name)| {
            kinds.into_iter().find(|known| known.as_str() == kind).map(|kind| (kind, name))
        });
        match found {
            // The whole text is shown, and not the name alone: that may be empty.
            Some((kind, name)) => {
                Self::named(kind, name).map_err(|error| InvalidSegment { input: shown(text), ..error })
            }
            None => Err(InvalidSegment {
                input: shown(text),
                why: "it begins with none of `account:`, `channel:`, `customer:`, `topic:`, and is not `all`",
            }),
        }
    }
}

impl TryFrom<String> for Segment {
    type Error = InvalidSegment;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Segment> for String {
    fn from(segment: Segment) -> Self {
        segment.to_string()
    }
}
