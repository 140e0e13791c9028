//! The rate limit layer: what clients see, byte for byte, and who is counted.

mod algorithms;
mod concurrency;
mod denials;
mod in_axum;
mod keys;
mod missing;
mod outage;
mod tower_contract;

use std::convert::Infallible;
use std::time::Duration;

use guardian_core::{Actor, ManualClock, Scope, TenantId};
use guardian_http::{LimitedBody, PeerAddr, RateLimitBuilder};
use guardian_ratelimit::store::Store;
use guardian_ratelimit::{Limiter, MemoryStore, Policy, PolicyId};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{ServiceBuilder, ServiceExt, service_fn};

use crate::structured::{Bare, parse_list};

/// The data of the test's bodies: neither axum's nor hyper's, to show that the layer does not care.
type Data = std::collections::VecDeque<u8>;

/// A limiter whose time stands still.
struct Fixture {
    limiter: Limiter<MemoryStore, ManualClock>,
    clock: ManualClock,
}

impl Fixture {
    fn new() -> Self {
        let clock = ManualClock::new();
        Self { limiter: Limiter::with_clock(MemoryStore::new(), clock.clone()), clock }
    }

    fn define(&self, name: &str, rule: &str) -> PolicyId {
        self.limiter.define(Policy::new(name, rule).unwrap()).unwrap()
    }

    fn advance_millis(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }
}

/// What a client received.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    /// All lines of a field, joined as a recipient joins them.
    fn field(&self, name: &str) -> Option<String> {
        let lines = self.headers.get_all(name).iter().map(|line| line.to_str().unwrap());
        let lines: Vec<_> = lines.collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    /// The three fields, which obey the grammar and agree with each other.
    fn fields(&self) -> [Option<String>; 3] {
        let fields = ["ratelimit-policy", "ratelimit", "retry-after"].map(|name| self.field(name));
        for list in fields.iter().take(2).flatten() {
            assert!(parse_list(list.as_bytes()).is_some(), "{list}");
        }
        if let [_, limits, Some(retry_after)] = &fields {
            let wait: u64 = retry_after.parse().unwrap();
            assert!(wait >= 1);
            for item in limits.iter().flat_map(|limits| parse_list(limits.as_bytes()).unwrap()) {
                for (_, value) in item.params.iter().filter(|(key, _)| key == "t") {
                    assert!(matches!(value, Bare::Integer(window) if *window <= wait), "{self:?}");
                }
            }
        }
        fields
    }

    fn expect(&self, status: u16, policies: &str, limits: &str, retry_after: &str) {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.fields(), [text(policies), text(limits), text(retry_after)]);
    }

    fn detail(&self) -> String {
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        let member = |name| problem.get(name).unwrap();
        assert_eq!(self.field("content-type").unwrap(), "application/problem+json");
        assert_eq!(*member("status"), self.status.as_u16());
        member("detail").as_str().unwrap().to_owned()
    }
}

/// A service that says `ok`, behind the layer.
fn service<S: Store>(
    builder: RateLimitBuilder<S, ManualClock>,
) -> impl tower::Service<
    Request<()>,
    Response = Response<LimitedBody<Full<Data>>>,
    Error = Infallible,
    Future: Send,
> + Clone {
    ServiceBuilder::new().layer(builder.build().unwrap()).service(service_fn(|_: Request<()>| async {
        Ok(Response::new(Full::new(Data::from(b"ok".to_vec()))))
    }))
}

async fn ask<T>(service: &T, request: Request<()>) -> Answer
where
    T: tower::Service<Request<()>, Response = Response<LimitedBody<Full<Data>>>, Error = Infallible> + Clone,
{
    let (head, body) = service.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().aggregate_to_string();
    Answer { status: head.status, headers: head.headers, body }
}

/// The text of a collected body.
trait AggregateToString {
    fn aggregate_to_string(self) -> String;
}

impl AggregateToString for http_body_util::Collected<Data> {
    fn aggregate_to_string(self) -> String {
        String::from_utf8(self.to_bytes().to_vec()).unwrap()
    }
}

fn request() -> Request<()> {
    Request::new(())
}

fn of_tenant(tenant: &str) -> Request<()> {
    let scope = Scope::new(TenantId::new(tenant).unwrap(), Actor::api_key("k1").unwrap());
    with_extension(request(), scope)
}

fn from_peer(peer: &str) -> Request<()> {
    with_extension(request(), PeerAddr((peer.parse::<std::net::IpAddr>().unwrap(), 4711).into()))
}

fn with_extension<E: Clone + Send + Sync + 'static>(mut request: Request<()>, extension: E) -> Request<()> {
    request.extensions_mut().insert(extension);
    request
}
