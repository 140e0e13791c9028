use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use guardian_audit::store::AuditStore;
use guardian_audit::{AuditEvent, Error, LaterEvent, Outcome, Receipt};
use guardian_core::{Scope, StoreError, StoreErrorKind};
use http::{Extensions, Method, StatusCode};

use super::{Config, Failing, Head, OnFailure, Recorded};
use crate::peer::peer;
use crate::{ClientAddr, RequestId};

/// The longest action that the log takes, in bytes.
const MAX_ACTION: usize = 128;
/// What the action of a request ends in that is about to be carried out.
const BEGUN: &str = ".begun";

/// A request that is to be recorded. If it is dropped before its end, because its client went away, it is recorded as given up.
pub(super) struct Noted<S: AuditStore> {
    config: Arc<Config<S>>,
    recorded: Recorded,
    /// Taken when what becomes of it is settled.
    open: Option<Box<Open>>,
}

/// What the event of a request is made of. The thread that appends makes it, so that the response does not wait for that.
struct Open {
    scope: Scope,
    facts: Facts,
    end: End,
    on_failure: Arc<OnFailure>,
}

enum Facts {
    /// The host described the event when the request came.
    Described(Box<AuditEvent>),
    Seen {
        verb: &'static str,
        route: Option<Route>,
        address: Option<IpAddr>,
        id: Option<RequestId>,
    },
}

/// How a request ended.
enum End {
    /// Its client went away before it was answered.
    GivenUp,
    /// With this status; without one the service failed.
    Answered(Option<StatusCode>),
}

impl Facts {
    fn of<S>(config: &Config<S>, head: &Head<'_>) -> Self {
        let client =
            peer(head.extensions).map(|peer| ClientAddr::resolve(peer, head.headers, &config.proxies));
        let seen = Self::Seen {
            verb: verb(head.method),
            route: route(head.extensions),
            address: client.filter(ClientAddr::is_conclusive).map(|client| client.addr()),
            id: head.extensions.get::<RequestId>().cloned(),
        };
        match (&config.describe, head.whole) {
            (Some(describe), Some(whole)) => Self::Described(Box::new(describe(whole, seen.event()))),
            _ => seen,
        }
    }

    /// The event of a request that came.
    fn event(&self) -> AuditEvent {
        match self {
            Self::Described(event) => AuditEvent::clone(event),
            Self::Seen { verb, route, address, id } => {
                let route = route.as_ref().map(path);
                let mut event = AuditEvent::new(action(verb, route.unwrap_or_default()));
                event.origin.address = *address;
                event.origin.request = id.as_ref().map(|id| id.as_str().to_owned());
                if let Some(route) = route {
                    event.metadata.insert("route".to_owned(), route.into());
                }
                event
            }
        }
    }
}

impl LaterEvent for Open {
    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn make(&self) -> AuditEvent {
        let event = self.facts.event();
        match self.end {
            End::GivenUp => event.with_outcome(Outcome::Failure).with_metadata("given_up", true),
            End::Answered(None) => event.with_outcome(Outcome::Failure),
            End::Answered(Some(status)) => {
                event.with_outcome(outcome(Some(status))).with_metadata("status", status.as_u16())
            }
        }
    }

    fn told(self: Box<Self>, told: Result<Option<Receipt>, Error>) {
        hear(&self.on_failure)(told);
    }
}

impl<S: AuditStore> Noted<S> {
    pub(super) fn of(config: Arc<Config<S>>, head: &Head<'_>, scope: Scope, recorded: Recorded) -> Self {
        let (facts, on_failure) = (Facts::of(&config, head), Arc::clone(&config.on_failure));
        let open = Box::new(Open { scope, facts, end: End::GivenUp, on_failure });
        Self { config, recorded, open: Some(open) }
    }

    /// Has the log take that the request begins, where it is not carried out otherwise.
    pub(super) async fn begin(&self) -> Result<(), Error> {
        let (Some(open), Some(Failing::Refuse), Recorded::Always) =
            (&self.open, self.config.durable, self.recorded)
        else {
            return Ok(());
        };
        let scope = open.scope.clone();
        let mut begun = open.facts.event();
        // Two events have two ids.
        begun.id = None;
        // What a host writes may be anything; what is no action the log refuses.
        begun.action = begun.action.chars().take(MAX_ACTION - BEGUN.len()).collect();
        begun.action.push_str(BEGUN);
        self.config.queue.record_promptly(&scope, begun).await.map(drop)
    }

    /// Nothing was done, so nothing is recorded.
    pub(super) fn forget(mut self) {
        self.open = None;
    }

    /// Records how it ended, without waiting for anything; without a status the service failed. It comes back where there is no
    /// room for it, and then [`end`](Self::end) does what the queue's policy is.
    pub(super) fn end_at_once(mut self, status: Option<StatusCode>) -> Option<Self> {
        let open = self.ended(status)?;
        match self.config.queue.enqueue_later(open) {
            Ok(None) => None,
            Ok(back) => {
                self.open = back;
                Some(self)
            }
            Err(error) => {
                (self.config.on_failure)(&error);
                None
            }
        }
    }

    /// Records how it ended; without a status the service failed.
    pub(super) async fn end(mut self, status: Option<StatusCode>) {
        let Some(open) = self.ended(status) else { return };
        let (scope, event) = (open.scope.clone(), open.make());
        drop(open);
        let doubt = Doubt(Some(&self.config.on_failure));
        let recorded = if self.config.durable.is_some() {
            self.config.queue.record_promptly(&scope, event).await.map(drop)
        } else {
            self.config.queue.enqueue(&scope, event, hear(&self.config.on_failure)).await
        };
        doubt.settled();
        if let Err(error) = recorded {
            (self.config.on_failure)(&error);
        }
    }

    /// What is to be recorded of it now that it ended.
    fn ended(&mut self, status: Option<StatusCode>) -> Option<Box<Open>> {
        let mut open = self.open.take()?;
        open.end = End::Answered(status);
        (self.recorded != Recorded::IfRefused || outcome(status) == Outcome::Denied).then_some(open)
    }
}

/// Whoever hears of failures hears what the queue says later.
fn hear(on_failure: &Arc<OnFailure>) -> impl FnOnce(Result<Option<Receipt>, Error>) + Send + 'static {
    let on_failure = Arc::clone(on_failure);
    move |told| {
        if let Err(error) = told {
            on_failure(&error);
        }
    }
}

/// What was done is not known, and that is recorded without waiting for anything, because nobody waits here.
impl<S: AuditStore> Drop for Noted<S> {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        if self.recorded != Recorded::Always {
            return;
        }
        let told = hear(&self.config.on_failure);
        let recording = pin!(self.config.queue.enqueue(&open.scope, open.make(), told));
        match recording.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => (self.config.on_failure)(&error),
            Poll::Pending => (self.config.on_failure)(&given_up()),
        }
    }
}

/// While it is not known whether the log has the event.
struct Doubt<'a>(Option<&'a Arc<OnFailure>>);

impl Doubt<'_> {
    fn settled(mut self) {
        self.0 = None;
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if let Some(on_failure) = self.0 {
            on_failure(&given_up());
        }
    }
}

fn given_up() -> Error {
    let error = StoreError::new(StoreErrorKind::Unavailable, "audit queue");
    error.with_source("the request was given up before it was known whether the log has its event").into()
}

fn outcome(status: Option<StatusCode>) -> Outcome {
    match status {
        Some(
            StatusCode::UNAUTHORIZED
            | StatusCode::PAYMENT_REQUIRED
            | StatusCode::FORBIDDEN
            | StatusCode::TOO_MANY_REQUESTS,
        ) => Outcome::Denied,
        Some(status) if !status.is_client_error() && !status.is_server_error() => Outcome::Success,
        _ => Outcome::Failure,
    }
}

/// The method, as it stands in an action.
fn verb(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        Method::CONNECT => "connect",
        Method::TRACE => "trace",
        // A client may invent as many as it likes.
        _ => "other",
    }
}

/// `http.`, the method and the route, in the characters that an action may have.
fn action(verb: &str, route: &str) -> String {
    let mut action = String::with_capacity(48);
    action.push_str("http.");
    action.push_str(verb);
    for segment in route.split('/').filter(|segment| !segment.is_empty()) {
        action.push('.');
        let mut rest = segment;
        while let Some(at) = rest.bytes().position(|byte| !is_plain(byte)) {
            let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
            action.push_str(plain);
            let mut special = special.chars();
            match special.next() {
                Some('{') => action.push(':'),
                Some('}' | '*') | None => {}
                Some(_) => action.push('_'),
            }
            rest = special.as_str();
        }
        action.push_str(rest);
    }
    // All of it is ASCII.
    action.truncate(MAX_ACTION);
    action
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-')
}

/// The route as it was declared.
#[cfg(feature = "axum")]
type Route = axum::extract::MatchedPath;

/// Who served the request does not say.
#[cfg(not(feature = "axum"))]
type Route = std::convert::Infallible;

#[cfg(feature = "axum")]
fn route(extensions: &Extensions) -> Option<Route> {
    extensions.get::<Route>().cloned()
}

#[cfg(not(feature = "axum"))]
fn route(_: &Extensions) -> Option<Route> {
    None
}

#[cfg(feature = "axum")]
fn path(route: &Route) -> &str {
    route.as_str()
}

#[cfg(not(feature = "axum"))]
fn path(route: &Route) -> &str {
    match *route {}
}
