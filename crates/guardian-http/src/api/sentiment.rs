//! Sentiment: reading texts, recording and correcting messages, histories and trends of series, and what the tenant's model
//! learned.
//!
//! Of a message it is kept how it was read, not what it says. A tenant forgets what it likes of its own: a person's messages, what
//! was learned, all of it.

use std::str::FromStr as _;

use guardian_sentiment::{Error, Segment, Sentiments};

use super::{Api, Json, Kind, Listed, Operation};
use crate::Problem;

mod learning;
mod message;
mod series;
mod view;

/// The operations on sentiment: the permissions `sentiment:read` and `sentiment:manage`.
pub fn api(sentiments: Sentiments) -> Api {
    let api = Api::new("sentiment", "What customers feel, why one thinks so, and whether it is turning.");
    let api = message::declare(api);
    let api = series::declare(api);
    learning::declare(api).with_state(sentiments)
}

const SEGMENT: &str =
    "The series: `all`, or one of `account:`, `channel:`, `customer:`, `topic:` with a name.";
const MESSAGE: &str = "The host's id of the message.";

fn reads(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, summary).takes("sentiment:read")
}

fn manages(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, summary).takes("sentiment:manage").may(Kind::Conflict)
}

fn of_segment(operation: Operation) -> Operation {
    operation.path("segment", SEGMENT, "customer:c_17")
}

fn segment(text: &str) -> Result<Segment, Problem> {
    Segment::from_str(text).map_err(|error| Kind::InvalidRequest.because(error))
}

fn failed(error: &Error) -> Problem {
    match error {
        Error::Store(error) => error.into(),
        Error::UnknownMessage { .. } => Kind::NotFound.because(error),
        Error::Contended => Kind::Unavailable.because(error),
        // The host put another model in, or the store is damaged: nothing that a caller can mend.
        Error::Model(_) => Kind::Internal.because(error),
        // Ids, series, texts and cursors that are none.
        error => Kind::InvalidRequest.because(error),
    }
}

type Answer<T> = Result<Json<T>, Problem>;
type Items<T> = Result<Json<Listed<T>>, Problem>;
