//! Which deliveries.

use guardian_core::Timestamp;
use guardian_webhook::{DeliveryFilter, DeliveryState, Error};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::failed;
use crate::Problem;
use crate::api::{Kind, PageParams};

/// Which deliveries an operation touches: all of what is named has to fit, and something has to be named.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookDeliverySelection {
    /// Only those to this endpoint.
    #[schema(max_length = 64)]
    endpoint: Option<String>,
    /// Only those of this message.
    #[schema(max_length = 64)]
    message: Option<String>,
    /// Only those of this event type.
    #[schema(max_length = 128)]
    event_type: Option<String>,
    /// Only those in this state: `queued`, `sending`, `waiting`, `succeeded`, `dead` or `cancelled`.
    #[schema(max_length = 16)]
    state: Option<String>,
    /// Only those whose last answer had this status.
    #[schema(minimum = 100, maximum = 999)]
    status: Option<u16>,
    /// Only those published then or later.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only those published before.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// Which deliveries a list shows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveryQuery {
    /// Only those to this endpoint.
    #[param(max_length = 64)]
    endpoint: Option<String>,
    /// Only those of this message.
    #[param(max_length = 64)]
    message: Option<String>,
    /// Only those of this event type.
    #[param(max_length = 128, example = "deal.won")]
    event_type: Option<String>,
    /// Only those in this state: `queued`, `sending`, `waiting`, `succeeded`, `dead` or `cancelled`.
    #[param(max_length = 16, example = "dead")]
    state: Option<String>,
    /// Only those whose last answer had this status.
    #[param(minimum = 100, maximum = 999)]
    status: Option<u16>,
    /// Only those published then or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only those published before.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Only those with this text in their payload, in an error or in the beginning of an answer, byte by byte. A page looks at no
    /// more than twenty times its size of what else is asked for, and 2,000; one with few or no items and with a `next` is followed by more.
    #[param(min_length = 1, max_length = 256, example = "d_42")]
    text: Option<String>,
    /// How many items at most; 50 when nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    size: Option<u32>,
    /// Where the page begins: `next` of the page before.
    #[param(max_length = 1024)]
    after: Option<String>,
}

impl DeliveryQuery {
    pub(super) fn split(self) -> (WebhookDeliverySelection, Option<String>, PageParams) {
        let Self { endpoint, message, event_type, state, status, since, until, text, size, after } = self;
        let selection =
            WebhookDeliverySelection { endpoint, message, event_type, state, status, since, until };
        (selection, text, PageParams { size, after })
    }
}

/// Which deliveries are followed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct FollowQuery {
    /// Only those to this endpoint.
    #[param(max_length = 64)]
    endpoint: Option<String>,
    /// Only those of this message.
    #[param(max_length = 64)]
    message: Option<String>,
    /// Only those of this event type.
    #[param(max_length = 128, example = "deal.won")]
    event_type: Option<String>,
    /// Only those in this state, as they come into it and are among the newest hundred that are in it: `queued`, `sending`, `waiting`, `succeeded`, `dead` or `cancelled`.
    #[param(max_length = 16, example = "dead")]
    state: Option<String>,
}

impl FollowQuery {
    pub(super) fn selection(self) -> WebhookDeliverySelection {
        let Self { endpoint, message, event_type, state } = self;
        WebhookDeliverySelection { endpoint, message, event_type, state, ..Default::default() }
    }
}

impl WebhookDeliverySelection {
    pub(super) fn filter(&self) -> Result<DeliveryFilter, Problem> {
        if self.status.is_some_and(|status| !(100..=999).contains(&status)) {
            return Err(Kind::InvalidRequest.because("a status is 100 to 999"));
        }
        self.read().map_err(|error| failed(&error))
    }

    /// The filter of an operation that changes what it shows: not everything by oversight.
    pub(super) fn some(&self) -> Result<DeliveryFilter, Problem> {
        let filter = self.filter()?;
        if filter == DeliveryFilter::new() {
            return Err(
                Kind::InvalidRequest.because("name at least one thing that the deliveries have in common")
            );
        }
        Ok(filter)
    }

    fn read(&self) -> Result<DeliveryFilter, Error> {
        let mut filter = DeliveryFilter::new();
        filter.endpoint = self.endpoint.as_deref().map(str::parse).transpose()?;
        filter.message = self.message.as_deref().map(str::parse).transpose()?;
        filter.event_type = self.event_type.as_deref().map(str::parse).transpose()?;
        filter.state = self.state.as_deref().map(str::parse::<DeliveryState>).transpose()?;
        filter.status = self.status;
        filter.since = self.since;
        filter.until = self.until;
        Ok(filter)
    }
}
