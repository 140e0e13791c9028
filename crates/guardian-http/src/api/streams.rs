use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use futures_util::future::select;
use futures_util::stream::unfold;
use guardian_core::{Scope, TenantId};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::Kind;
use super::caller::caller;
use super::routes::{Gatekeeper, Guarded};
use crate::{Problem, Stopping};

/// How many answers go on at once that last, streams of events and exports, and how they go on: a setting of a [`Document`](super::Document).
///
/// A stream looks for news of its own tenant in the store, at its own pace: what a client does not take is not looked for, so a slow reader costs a
/// connection and no memory. It ends when the service stops ([`Stopping`]), after five minutes, and when its caller lost the permission,
/// which is asked for again with each keep-alive, of exports too; a client then comes back with `Last-Event-ID` and goes on where it was. What else
/// stands in front of the service, the key, the tenant's state, its addresses, is asked when it comes back: a stream outlives those by five
/// minutes at most.
///
/// ```
/// use std::time::Duration;
/// use guardian_http::api::{Document, Streams, Unguarded};
///
/// let streams = Streams::new().per_tenant(4).at_once(200).looking_each(Duration::from_millis(250));
/// let document = Document::new("CRM", "1.0.0", Unguarded).streams(streams);
/// # let _ = document;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Streams {
    taken: Arc<Mutex<HashMap<TenantId, usize>>>,
    per_tenant: usize,
    at_once: usize,
    look: Duration,
    keep_alive: Duration,
    longest: Duration,
}

impl Streams {
    /// 16 of each tenant and 1,024 of all in this process, looking each second, with a keep-alive each 15 seconds, for five minutes at most.
    pub fn new() -> Self {
        Self {
            taken: Arc::default(),
            per_tenant: 16,
            at_once: 1_024,
            look: Duration::from_secs(1),
            keep_alive: Duration::from_secs(15),
            longest: Duration::from_secs(300),
        }
    }

    /// How many of one tenant go on at once in this process; one more is answered 429.
    pub fn per_tenant(self, most: usize) -> Self {
        Self { per_tenant: most, ..self }
    }

    /// How many go on at once in this process; one more is answered 429.
    pub fn at_once(self, most: usize) -> Self {
        Self { at_once: most, ..self }
    }

    /// How long a stream waits when there is nothing new, before it looks again.
    pub fn looking_each(self, look: Duration) -> Self {
        Self { look, ..self }
    }

    /// How often a stream says that it is there, and asks whether its caller may go on.
    pub fn keep_alive(self, keep_alive: Duration) -> Self {
        Self { keep_alive, ..self }
    }

    /// How long a stream goes on until its client has to come again.
    pub fn longest(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// A place for one more answer of this tenant's.
    fn enter(&self, tenant: &TenantId) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= self.at_once {
            return None;
        }
        let own = taken.get(tenant).copied().unwrap_or(0);
        if own >= self.per_tenant {
            return None;
        }
        taken.insert(tenant.clone(), own + 1);
        Some(Seat { taken: Arc::clone(&self.taken), tenant: tenant.clone() })
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self::new()
    }
}

/// The place of one answer, until it is dropped.
#[derive(Debug)]
struct Seat {
    taken: Arc<Mutex<HashMap<TenantId, usize>>>,
    tenant: TenantId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.tenant) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}

/// What a look at a source brought.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Events, as they are sent.
    pub(super) text: String,
    /// Whether there may be more at once.
    pub(super) more: bool,
    /// Whether nothing will ever come.
    pub(super) ended: bool,
}

impl News {
    /// An event with its id, which a client says when it comes again.
    pub(super) fn event(&mut self, id: u64, name: &str, data: &impl Serialize) -> Result<(), Problem> {
        self.text.push_str(&format!("id: {id}\n"));
        self.tell(name, data)
    }

    /// An event that a client cannot come back to.
    pub(super) fn tell(&mut self, name: &str, data: &impl Serialize) -> Result<(), Problem> {
        let data = serde_json::to_string(data)
            .map_err(|_| Kind::Internal.because("the event could not be written"))?;
        self.text.push_str(&format!("event: {name}\ndata: {data}\n\n"));
        Ok(())
    }

    /// That everything up to here was looked at: an id without an event.
    pub(super) fn seen(&mut self, id: u64) {
        self.text.push_str(&format!("id: {id}\n\n"));
    }
}

/// Where events come from: each look goes on where the last one ended.
#[async_trait]
pub(super) trait Source: Send + 'static {
    async fn look(&mut self) -> Result<News, Problem>;
}

/// A request for something that lasts.
pub(super) struct Lasting {
    streams: Streams,
    /// Held for as long as this is.
    _seat: Seat,
    /// When the permission was asked for.
    asked: Instant,
    scope: Scope,
    gatekeeper: Option<Gatekeeper>,
    permission: Option<&'static str>,
    stopping: Option<Stopping>,
    last: Option<u64>,
}

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

impl<S: Send + Sync> FromRequestParts<S> for Lasting {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let scope = caller(&parts.extensions).map_err(IntoResponse::into_response)?.clone();
        let last = parts.headers.get(LAST_EVENT_ID).map(|value| {
            let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
            let invalid =
                || Kind::InvalidRequest.because("the header `Last-Event-ID` is no id of this stream");
            number.ok_or_else(invalid)
        });
        let last = last.transpose().map_err(IntoResponse::into_response)?;
        let streams = parts.extensions.get::<Streams>().cloned().unwrap_or_default();
        let Some(seat) = streams.enter(scope.tenant()) else {
            let mut response =
                Kind::Limited.because("too many streams and exports go on at the moment").into_response();
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            return Err(response);
        };
        Ok(Self {
            streams,
            _seat: seat,
            asked: Instant::now(),
            scope,
            gatekeeper: parts.extensions.get::<Gatekeeper>().cloned(),
            permission: parts.extensions.get::<Guarded>().map(|Guarded(permission)| *permission),
            stopping: parts.extensions.get::<Stopping>().cloned(),
            last,
        })
    }
}

impl Lasting {
    /// The last event that the client has.
    pub(super) fn last(&self) -> Option<u64> {
        self.last
    }

    /// Whether its caller may have more of it, which is asked at the pace of keep-alives. While nobody can tell, what was said last holds
    /// for as long as a stream may last.
    pub(super) async fn may_go_on(&mut self) -> bool {
        let now = Instant::now();
        if self.asked + self.streams.keep_alive > now {
            return true;
        }
        let permission = match (&self.gatekeeper, self.permission) {
            (Some(Gatekeeper(gatekeeper)), Some(permission)) => {
                gatekeeper.permit(&self.scope, permission).await
            }
            (_, None) => Ok(()),
            (None, Some(_)) => return false,
        };
        match permission {
            Ok(()) => self.asked = now,
            Err(problem) if problem.status().is_server_error() => {
                return self.asked + self.streams.longest > now;
            }
            Err(_) => return false,
        }
        true
    }

    /// The source's events until its client goes, or it ends.
    pub(super) fn stream(self, source: impl Source) -> Response {
        let now = Instant::now();
        let flow = Flow {
            until: now + self.streams.longest,
            quiet: now + self.streams.keep_alive,
            lasting: self,
            source: Box::new(source),
            has_begun: false,
            has_looked: false,
            is_up_to_date: false,
            ended: false,
        };
        let body = Body::from_stream(unfold(flow, |mut flow| async move {
            let text = flow.next().await?;
            Some((Ok::<_, Infallible>(Bytes::from(text)), flow))
        }));
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM)),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            // What stands in front is not to collect events before it passes them on.
            (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        ];
        (headers, body).into_response()
    }
}

/// The media type of server-sent events.
pub(super) const EVENT_STREAM: &str = "text/event-stream";

struct Flow {
    lasting: Lasting,
    source: Box<dyn Source>,
    until: Instant,
    /// When something has to be said.
    quiet: Instant,
    has_begun: bool,
    has_looked: bool,
    /// It looked a moment ago, and there was no more than it told.
    is_up_to_date: bool,
    ended: bool,
}

impl Flow {
    /// The next text; nothing at the end. A fault of the store ends the stream: its client comes again and goes on where it was.
    async fn next(&mut self) -> Option<String> {
        if !self.has_begun {
            // At once, so that a client knows that it is connected; and how long it is to wait before it comes again.
            self.has_begun = true;
            return Some("retry: 2000\n\n".to_owned());
        }
        while !self.ended {
            if std::mem::take(&mut self.is_up_to_date) {
                let pause = pin!(sleep(self.lasting.streams.look));
                match &mut self.lasting.stopping {
                    Some(stopping) => {
                        select(pause, pin!(stopping.wait())).await;
                    }
                    None => pause.await,
                }
            }
            let is_stopping = self.lasting.stopping.as_ref().is_some_and(Stopping::is_now);
            if (is_stopping && self.has_looked) || Instant::now() >= self.until {
                return None;
            }
            let keep_alive = self.lasting.streams.keep_alive;
            if !self.lasting.may_go_on().await {
                return None;
            }
            let news = self.source.look().await.ok()?;
            self.has_looked = true;
            (self.ended, self.is_up_to_date) = (news.ended, !news.more);
            if !news.text.is_empty() {
                self.quiet = Instant::now() + keep_alive;
                return Some(news.text);
            }
            if !self.ended && self.is_up_to_date && Instant::now() >= self.quiet {
                self.quiet = Instant::now() + keep_alive;
                return Some(":\n\n".to_owned());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenant_has_so_many_and_all_have_so_many() {
        let streams = Streams::new().per_tenant(2).at_once(3);
        let tenant = |name: &str| TenantId::new(name).unwrap();
        let first = streams.enter(&tenant("acme")).unwrap();
        let _second = streams.enter(&tenant("acme")).unwrap();
        assert!(streams.enter(&tenant("acme")).is_none());
        let _third = streams.enter(&tenant("globex")).unwrap();
        assert!(streams.enter(&tenant("initech")).is_none());
        drop(first);
        assert!(streams.enter(&tenant("initech")).is_some());
        assert_eq!(streams.taken.lock().unwrap().len(), 2);
    }
}
