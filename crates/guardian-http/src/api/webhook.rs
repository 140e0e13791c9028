//! Webhooks: endpoints with their keys and queues, event types, messages, and the log of deliveries with what was said in each.
//!
//! All of it is the tenant's own. A key is in the one answer that makes it and in no other; of an endpoint's headers, which may
//! carry credentials, the names are told and never the values.

use std::str::FromStr;
use std::sync::Arc;

use guardian_core::shorten;
use guardian_webhook::{DeliveryStore, EndpointId, Error, HttpSender, Refused, Webhooks};

use super::{Api, Json, Kind, Listed, Operation};
use crate::Problem;

mod delivery;
mod endpoint;
mod following;
mod message;
mod selection;
mod trial;

/// The operations on webhooks: the permissions `webhooks:read` and `webhooks:manage`. Test messages go out by the sender.
pub fn api<S: DeliveryStore>(webhooks: Webhooks<S>, sender: impl HttpSender) -> Api {
    let api = Api::new("webhooks", "Where messages go, and what became of each.");
    let api = endpoint::declare(api);
    let api = trial::declare(api);
    let api = message::declare(api);
    let api = following::declare(api);
    delivery::declare(api).with_state(Reached { webhooks, sender: Arc::new(sender) })
}

/// What the handlers reach.
#[derive(Debug)]
struct Reached<S> {
    webhooks: Webhooks<S>,
    sender: Arc<dyn HttpSender>,
}

impl<S> Clone for Reached<S> {
    fn clone(&self) -> Self {
        Self { webhooks: self.webhooks.clone(), sender: Arc::clone(&self.sender) }
    }
}

const ENDPOINT: &str = "The id of the endpoint.";
const ENDPOINT_ID: &str = "ep_019531a07c0070008000000000000001";
const MESSAGE_ID: &str = "msg_019531a07c0070008000000000000002";
const DELIVERY_ID: &str = "dlv_019531a07c0070008000000000000003";

fn reads(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, summary).takes("webhooks:read")
}

fn manages(id: &'static str, summary: &'static str) -> Operation {
    let operation = Operation::new(id, summary).takes("webhooks:manage");
    operation.may(Kind::Unprocessable).may(Kind::Conflict)
}

fn of_endpoint(operation: Operation) -> Operation {
    operation.path("endpoint", ENDPOINT, ENDPOINT_ID)
}

/// An id of the path. A text that is none names nothing, like an id of another tenant.
fn named<T: FromStr>(what: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Kind::NotFound.because(format_args!("there is no {what} `{}`", shorten(text))))
}

fn endpoint_id(text: &str) -> Result<EndpointId, Problem> {
    named("endpoint", text)
}

fn failed(error: &Error) -> Problem {
    match error {
        Error::Store(error) => error.into(),
        Error::NoEndpoint { .. } | Error::NoMessage { .. } | Error::NoDelivery { .. } => {
            Kind::NotFound.because(error)
        }
        Error::Reused { .. } | Error::Conflict { .. } => Kind::Conflict.because(error),
        Error::Id { .. }
        | Error::EventType { .. }
        | Error::Pattern { .. }
        | Error::Key { .. }
        | Error::Setting { .. } => Kind::InvalidRequest.because(error),
        // What the host has to mend: the vault, its key service, the machine.
        Error::Sealed | Error::Sign { .. } | Error::Random | Error::Client { .. } => {
            Kind::Internal.because("the endpoint's key could not be made or used")
        }
        Error::Refused(refused) => Kind::Unprocessable.because(Refused::for_tenants(&refused.to_string())),
        Error::Endpoint { .. }
        | Error::Message { .. }
        | Error::NoEventType { .. }
        | Error::NoTypeFits { .. }
        | Error::Schema { .. }
        | Error::Payload { .. }
        | Error::External { .. } => Kind::Unprocessable.because(error),
        // Whatever else a service may say of a request: that it cannot be done.
        error => Kind::Unprocessable.because(error),
    }
}

type Answer<T> = Result<Json<T>, Problem>;
type Items<T> = Result<Json<Listed<T>>, Problem>;
