use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use guardian_audit::store::AuditStore;
use guardian_audit::{AuditEvent, Error, Origin, Outcome, Receipt};
use guardian_core::{Scope, StoreError, StoreErrorKind};
use http::request::Parts;
use http::{Method, StatusCode};

use super::{Config, Failing, OnFailure, Recorded};
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
    open: Option<(Scope, Box<AuditEvent>)>,
}

impl<S: AuditStore> Noted<S> {
    pub(super) fn of(config: Arc<Config<S>>, request: &Parts, scope: Scope, recorded: Recorded) -> Self {
        let mut event = Box::new(AuditEvent::new(action(request)));
        event.origin = origin(&config, request);
        if let Some(route) = route(request) {
            event.metadata.insert("route".to_owned(), route.into());
        }
        if let Some(describe) = &config.describe {
            event = Box::new(describe(request, *event));
        }
        Self { config, recorded, open: Some((scope, event)) }
    }

    /// Has the log take that the request begins, where it is not carried out otherwise.
    pub(super) async fn begin(&self) -> Result<(), Error> {
        let (Some((scope, event)), Some(Failing::Refuse), Recorded::Always) =
            (&self.open, self.config.durable, self.recorded)
        else {
            return Ok(());
        };
        let mut begun = AuditEvent::clone(event);
        // Two events have two ids.
        begun.id = None;
        // What a host writes may be anything; what is no action the log refuses.
        begun.action = begun.action.chars().take(MAX_ACTION - BEGUN.len()).collect();
        begun.action.push_str(BEGUN);
        self.config.queue.record_promptly(scope, begun).await.map(drop)
    }

    /// Nothing was done, so nothing is recorded.
    pub(super) fn forget(mut self) {
        self.open = None;
    }

    /// Records how it ended, without waiting for anything; without a status the service failed. It comes back where there is no
    /// room for it, and then [`end`](Self::end) does what the queue's policy is.
    pub(super) fn end_at_once(mut self, status: Option<StatusCode>) -> Option<Self> {
        let (scope, mut event) = self.open.take()?;
        if !self.ends(&mut event, status) {
            return None;
        }
        match self.config.queue.enqueue_at_once(&scope, event, told(&self.config)) {
            Ok(None) => None,
            Ok(Some(event)) => {
                self.open = Some((scope, event));
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
        let Some((scope, mut event)) = self.open.take() else { return };
        if !self.ends(&mut event, status) {
            return;
        }
        let doubt = Doubt(Some(&self.config.on_failure));
        let recorded = if self.config.durable.is_some() {
            self.config.queue.record_promptly(&scope, *event).await.map(drop)
        } else {
            self.config.queue.enqueue(&scope, *event, told(&self.config)).await
        };
        doubt.settled();
        if let Err(error) = recorded {
            (self.config.on_failure)(&error);
        }
    }

    /// Completes the event; false when it is not to be recorded.
    fn ends(&self, event: &mut AuditEvent, status: Option<StatusCode>) -> bool {
        event.outcome = outcome(status);
        if self.recorded == Recorded::IfRefused && event.outcome != Outcome::Denied {
            return false;
        }
        if let Some(status) = status {
            event.metadata.insert("status".to_owned(), status.as_u16().into());
        }
        true
    }
}

/// Whoever hears of failures hears what the queue says later.
fn told<S>(config: &Config<S>) -> impl FnOnce(Result<Option<Receipt>, Error>) + Send + 'static {
    let on_failure = Arc::clone(&config.on_failure);
    move |told| {
        if let Err(error) = told {
            on_failure(&error);
        }
    }
}

/// What was done is not known, and that is recorded without waiting for anything, because nobody waits here.
impl<S: AuditStore> Drop for Noted<S> {
    fn drop(&mut self) {
        let Some((scope, event)) = self.open.take() else { return };
        if self.recorded != Recorded::Always {
            return;
        }
        let event = event.with_outcome(Outcome::Failure).with_metadata("given_up", true);
        let recording = pin!(self.config.queue.enqueue(&scope, event, told(&self.config)));
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

fn origin<S>(config: &Config<S>, request: &Parts) -> Origin {
    let client = peer(request).map(|peer| ClientAddr::resolve(peer, &request.headers, &config.proxies));
    let mut origin = Origin::default();
    origin.address = client.filter(ClientAddr::is_conclusive).map(|client| client.addr());
    origin.request = request.extensions.get::<RequestId>().map(|id| id.as_str().to_owned());
    origin
}

/// `http.`, the method and the route, in the characters that an action may have.
fn action(request: &Parts) -> String {
    let mut action = String::with_capacity(48);
    action.push_str("http.");
    action.push_str(match request.method {
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
    });
    for segment in route(request).unwrap_or_default().split('/').filter(|segment| !segment.is_empty()) {
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
fn route(request: &Parts) -> Option<&str> {
    request.extensions.get::<axum::extract::MatchedPath>().map(axum::extract::MatchedPath::as_str)
}

/// Who served the request does not say.
#[cfg(not(feature = "axum"))]
fn route(_: &Parts) -> Option<&str> {
    None
}
