//! A message on its way to an endpoint, and what was tried.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::event_type::EventTypeName;
use crate::id::{DeliveryId, EndpointId, MessageId};

/// A message on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Delivery {
    /// Its id; later ones are greater.
    pub id: DeliveryId,
    /// What is delivered.
    pub message: MessageId,
    /// Where to.
    pub endpoint: EndpointId,
    /// What happened.
    pub event_type: EventTypeName,
    /// How far it is.
    pub state: DeliveryState,
    /// Why it ended, where it did not succeed.
    pub reason: Option<String>,
    /// Attempts that were recorded.
    pub attempts: u32,
    /// Attempts before the present round: a resend begins the schedule anew.
    pub round_start: u32,
    /// When it is tried next, or a worker's lease ends.
    pub next_at: Option<Timestamp>,
    /// When it was published.
    pub created: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// Its lane, at an ordered endpoint.
    pub lane: Option<String>,
    /// The status of the last answer.
    pub last_status: Option<u16>,
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryState {
    /// It is tried at its time.
    Queued,
    /// A worker has it.
    Sending,
    /// Another one of its lane comes first.
    Waiting,
    /// The endpoint took it.
    Succeeded,
    /// It is given up and can be sent again: a dead letter.
    Dead,
    /// Somebody cancelled it.
    Cancelled,
}

impl DeliveryState {
    const ALL: [(Self, i64, &str); 6] = [
        (Self::Queued, 0, "queued"),
        (Self::Sending, 1, "sending"),
        (Self::Waiting, 2, "waiting"),
        (Self::Succeeded, 3, "succeeded"),
        (Self::Dead, 4, "dead"),
        (Self::Cancelled, 5, "cancelled"),
    ];

    /// Whether it has ended.
    #[must_use]
    pub fn is_final(self) -> bool {
        self >= Self::Succeeded
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, ..)| *state == self).map_or("queued", |(.., name)| name)
    }

    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
    pub(crate) fn number(self) -> i64 {
        Self::ALL.iter().find(|(state, ..)| *state == self).map_or(0, |(_, number, _)| *number)
    }

    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
    pub(crate) fn of_number(number: i64) -> Option<Self> {
        Self::ALL.iter().find(|(_, each, _)| *each == number).map(|(state, ..)| *state)
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeliveryState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().find(|(.., name)| *name == text).map(|(state, ..)| *state).ok_or_else(|| {
            Error::Setting {
                why: "a state is queued, sending, waiting, succeeded, dead or cancelled".to_owned(),
            }
        })
    }
}

/// One attempt, as it is recorded: once, whatever happens to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attempt {
    /// Its number within the delivery, from 1.
    pub number: u32,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub latency: Duration,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// Where it was connected to.
    pub address: Option<IpAddr>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// What was said, both ways.
    pub exchange: Exchange,
}

impl Attempt {
    /// Whether the endpoint took the message: an answer of 200 to 299.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether its error or what was kept of the answer's body has this text in it.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.exchange.body.contains(text) || self.error.as_ref().is_some_and(|error| error.contains(text))
    }
}

/// What was said in an attempt. The body that was sent is the message's; values of the endpoint's own headers are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Exchange {
    /// Headers that were sent.
    pub request: Vec<(String, String)>,
    /// Headers of the answer.
    pub response: Vec<(String, String)>,
    /// The beginning of the answer's body; what is not UTF-8 is replaced.
    pub body: String,
    /// Whether the answer's body was longer.
    pub truncated: bool,
}

/// Which deliveries a list shows, or an operation touches; what is not named is not asked for.
///
/// ```
/// use guardian_webhook::{DeliveryFilter, DeliveryState};
///
/// let dead_deals = DeliveryFilter::new().state(DeliveryState::Dead).event_type("deal.won".parse()?);
/// # let _ = dead_deals;
/// # Ok::<(), guardian_webhook::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct DeliveryFilter {
    /// Only that one.
    pub delivery: Option<DeliveryId>,
    /// Only those of this message.
    pub message: Option<MessageId>,
    /// Only those to this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Only those of this event type.
    pub event_type: Option<EventTypeName>,
    /// Only those in this state.
    pub state: Option<DeliveryState>,
    /// Only those whose last answer had this status.
    pub status: Option<u16>,
    /// Only those published then or later, to the millisecond.
    pub since: Option<Timestamp>,
    /// Only those published before, to the millisecond.
    pub until: Option<Timestamp>,
}

impl DeliveryFilter {
    /// All of them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only that one.
    pub fn delivery(mut self, id: DeliveryId) -> Self {
        self.delivery = Some(id);
        self
    }

    /// Only those of this message.
    pub fn message(mut self, id: MessageId) -> Self {
        self.message = Some(id);
        self
    }

    /// Only those to this endpoint.
    pub fn endpoint(mut self, id: EndpointId) -> Self {
        self.endpoint = Some(id);
        self
    }

    /// Only those of this event type.
    pub fn event_type(mut self, name: EventTypeName) -> Self {
        self.event_type = Some(name);
        self
    }

    /// Only those in this state.
    pub fn state(mut self, state: DeliveryState) -> Self {
        self.state = Some(state);
        self
    }

    /// Only those whose last answer had this status.
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Only those published at this time or later.
    pub fn since(mut self, time: Timestamp) -> Self {
        self.since = Some(time);
        self
    }

    /// Only those published before this time.
    pub fn until(mut self, time: Timestamp) -> Self {
        self.until = Some(time);
        self
    }

    /// Whether it shows this one.
    #[must_use]
    pub fn shows(&self, delivery: &Delivery) -> bool {
        let number = delivery.id.number();
        self.delivery.is_none_or(|id| id == delivery.id)
            && self.message.is_none_or(|id| id == delivery.message)
            && self.endpoint.is_none_or(|id| id == delivery.endpoint)
            && self.event_type.as_ref().is_none_or(|name| *name == delivery.event_type)
            && self.state.is_none_or(|state| state == delivery.state)
            && self.status.is_none_or(|status| delivery.last_status == Some(status))
            && self.since.is_none_or(|time| number >= first_id(time))
            && self.until.is_none_or(|time| number < first_id(time))
    }
}

/// The least number that an id of this millisecond can have: ids begin with their time (RFC 9562, version 7).
pub(crate) fn first_id(time: Timestamp) -> uuid::Uuid {
    let millis = u64::try_from(time.timestamp_millis()).unwrap_or(0);
    uuid::Uuid::from_u128(u128::from(millis) << 80)
}
