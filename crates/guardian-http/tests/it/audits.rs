//! Requests in the audit log.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::{any, get, post};
use guardian_audit::{AuditConfig, AuditLog, AuditQueue, Outcome, Overflow, StoredEvent, Target};
use guardian_core::{Actor, PageRequest, Scope, StoreErrorKind, TenantId};
use guardian_http::{AuditLayer, Failing, ForwardHeader, PeerAddr, Recorded, RequestIdLayer, TrustedProxies};
use http::{Method, Request, Response, StatusCode};
use tower::ServiceExt;

pub(crate) mod moody;

use moody::Moody;

fn scope() -> Scope {
    Scope::new(TenantId::new("acme").unwrap(), Actor::api_key("key_1").unwrap())
}

struct World {
    queue: Arc<AuditQueue<Moody>>,
    failures: Arc<Mutex<Vec<String>>>,
    done: Arc<Mutex<usize>>,
}

impl World {
    fn new(capacity: usize, overflow: Overflow) -> Self {
        let log = AuditLog::new(Moody::default(), AuditConfig::default());
        let queue = Arc::new(AuditQueue::new(log, capacity, overflow).unwrap());
        Self { queue, failures: Arc::default(), done: Arc::default() }
    }

    fn layer(&self) -> AuditLayer<Moody> {
        let failures = Arc::clone(&self.failures);
        let proxies = TrustedProxies::parse(ForwardHeader::XForwardedFor, ["10.0.0.0/8"]).unwrap();
        AuditLayer::new(Arc::clone(&self.queue), proxies, move |error| {
            failures.lock().unwrap().push(error.to_string());
        })
    }

    fn router(&self, layer: AuditLayer<Moody>) -> Router {
        let done = Arc::clone(&self.done);
        let count = async move || {
            *done.lock().unwrap() += 1;
            StatusCode::CREATED
        };
        Router::new()
            .route("/contacts/{id}/notes", post(count.clone()).get(count))
            .route(
                "/answers/{status}",
                any(async |Path(status): Path<u16>| StatusCode::from_u16(status).unwrap()),
            )
            .route("/files/{*path}", any(async || "a file"))
            .route("/slow", post(async || std::future::pending::<()>().await))
            .route("/", get(async || "home"))
            .layer(layer)
            .layer(RequestIdLayer::new())
    }

    fn run(&self) -> JoinHandle<()> {
        let queue = Arc::clone(&self.queue);
        std::thread::spawn(move || queue.run(|_| ()))
    }

    async fn events(&self) -> Vec<StoredEvent> {
        while self.queue.drain().await.unwrap() > 0 {}
        let log = self.queue.log();
        let (of, query, page) = (scope(), "action:http.*".parse().unwrap(), PageRequest::first(100).unwrap());
        let mut events = log.search(&of, &query, &page).await.unwrap().items;
        events.reverse();
        events
    }

    async fn actions(&self) -> Vec<String> {
        self.events().await.into_iter().map(|event| event.event.action).collect()
    }

    fn failures(&self) -> usize {
        self.failures.lock().unwrap().len()
    }

    fn done(&self) -> usize {
        *self.done.lock().unwrap()
    }
}

fn request(method: &Method, path: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    request.extensions_mut().insert(scope());
    request.extensions_mut().insert(PeerAddr(([10, 0, 0, 1], 4_711).into()));
    request.headers_mut().insert("x-forwarded-for", "203.0.113.7".parse().unwrap());
    request
}

async fn ask(router: &Router, method: &Method, path: &str) -> Response<Body> {
    router.clone().oneshot(request(method, path)).await.unwrap()
}

async fn status(router: &Router, method: &Method, path: &str) -> StatusCode {
    ask(router, method, path).await.status()
}

const NOTES: &str = "/contacts/c_17/notes?token=secret";

#[tokio::test]
async fn what_changes_something_is_recorded_with_who_what_and_whence() {
    let world = World::new(100, Overflow::Fail);
    let router = world.router(world.layer());
    let response = ask(&router, &Method::POST, NOTES).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        ask(&router, &method, NOTES).await;
    }
    let events = world.events().await;
    assert_eq!(events.len(), 1);
    let event = &events[0].event;
    assert_eq!(event.action, "http.post.contacts.:id.notes");
    assert_eq!(event.category(), "http");
    assert_eq!(event.outcome, Outcome::Success);
    let actor = event.actor.as_ref().unwrap();
    assert_eq!((actor.kind.as_str(), actor.id.as_str()), ("api_key", "key_1"));
    assert_eq!(event.origin.address, Some([203, 0, 113, 7].into()));
    assert_eq!(event.origin.request.as_deref(), response.headers()["x-request-id"].to_str().ok());
    assert_eq!(event.metadata["status"], 201);
    assert_eq!(event.metadata["route"], "/contacts/{id}/notes");
    let whole = serde_json::to_string(&events[0]).unwrap();
    assert!(!whole.contains("c_17") && !whole.contains("secret"), "{whole}");
    assert_eq!(world.failures(), 0);
}

#[tokio::test]
async fn how_it_ended_and_where_there_is_no_beyond_doubt() {
    let world = World::new(100, Overflow::Fail);
    let router = world.router(world.layer().recording(Recorded::changes_and_refusals));
    let invented = Method::from_bytes(b"BREW\x21").unwrap();
    for (method, path) in [
        (&Method::PUT, "/answers/204"),
        (&Method::PUT, "/answers/302"),
        (&Method::PUT, "/answers/404"),
        (&Method::DELETE, "/answers/500"),
        (&Method::PATCH, "/answers/403"),
        (&Method::GET, "/answers/200"),
        (&Method::GET, "/answers/404"),
        (&Method::GET, "/answers/401"),
        (&Method::GET, "/answers/402"),
        (&Method::GET, "/answers/403"),
        (&Method::HEAD, "/answers/429"),
        (&invented, "/files/a/b"),
        (&Method::POST, "/no/such/route"),
    ] {
        ask(&router, method, path).await;
    }
    let mut untrusted = request(&Method::PUT, "/answers/204");
    untrusted.headers_mut().insert("x-forwarded-for", "unknown".parse().unwrap());
    router.clone().oneshot(untrusted).await.unwrap();
    let events = world.events().await;
    let told: Vec<_> =
        events.iter().map(|event| (event.event.action.as_str(), event.event.outcome)).collect();
    assert_eq!(
        told,
        [
            ("http.put.answers.:status", Outcome::Success),
            ("http.put.answers.:status", Outcome::Success),
            ("http.put.answers.:status", Outcome::Failure),
            ("http.delete.answers.:status", Outcome::Failure),
            ("http.patch.answers.:status", Outcome::Denied),
            ("http.get.answers.:status", Outcome::Denied),
            ("http.get.answers.:status", Outcome::Denied),
            ("http.get.answers.:status", Outcome::Denied),
            ("http.head.answers.:status", Outcome::Denied),
            ("http.other.files.:path", Outcome::Success),
            ("http.post", Outcome::Failure),
            ("http.put.answers.:status", Outcome::Success),
        ]
    );
    assert_eq!(events.last().unwrap().event.origin.address, None, "it is not known beyond doubt");
    // Who is nobody has no log; what would be recorded is not done.
    let mut nobody = request(&Method::POST, NOTES);
    nobody.extensions_mut().remove::<Scope>();
    assert_eq!(router.clone().oneshot(nobody).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(world.done(), 0);
}

#[tokio::test]
async fn the_host_describes_what_only_it_knows() {
    let world = World::new(100, Overflow::Fail);
    let layer = world.layer().describe(|request, event| {
        let id = request.uri.path().split('/').nth(2).unwrap_or_default();
        event.with_target(Target::new("contact", id))
    });
    let router = world.router(layer);
    ask(&router, &Method::POST, NOTES).await;
    let target = world.events().await[0].event.target.clone().unwrap();
    assert_eq!((target.kind.as_str(), target.id.as_str()), ("contact", "c_17"));
    // One that the log does not take is told of by the thread that appends, and the request was answered.
    let layer = world.layer().describe(|_, mut event| {
        event.action = "not an action".to_owned();
        event
    });
    assert_eq!(status(&world.router(layer), &Method::POST, NOTES).await, StatusCode::CREATED);
    let recorded = world.actions().await.len();
    assert_eq!((world.failures(), recorded), (1, 1));
}

#[tokio::test]
async fn nothing_is_lost_in_silence() {
    let world = World::new(2, Overflow::Fail);
    let router = world.router(world.layer());
    for _ in 0..3 {
        assert_eq!(status(&router, &Method::POST, NOTES).await, StatusCode::CREATED);
    }
    assert_eq!(world.failures(), 1, "the queue is full");
    // What its log can never take is told of by the thread that appends.
    *world.queue.log().store().fails.lock() = Some(StoreErrorKind::Corrupt);
    world.queue.drain().await.unwrap();
    assert_eq!(world.failures(), 3);
    *world.queue.log().store().fails.lock() = None;
    world.queue.close();
    assert_eq!(status(&router, &Method::POST, NOTES).await, StatusCode::CREATED);
    assert_eq!((world.failures(), world.actions().await.len()), (4, 0));
}

type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

fn begin(router: &Router, path: &str) -> Answer {
    let answer = router.clone().oneshot(request(&Method::POST, path));
    let mut answer: Answer = Box::pin(async { answer.await.unwrap() });
    assert!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    answer
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_an_event() {
    let world = World::new(2, Overflow::Block);
    let router = world.router(world.layer());
    drop(begin(&router, "/slow"));
    drop(begin(&router, "/slow"));
    let events = world.events().await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].event.outcome, Outcome::Failure);
    assert_eq!(events[0].event.metadata["given_up"], true);
    assert_eq!(world.failures(), 0);
    // On a full queue it cannot wait, nor can one that was waiting for room: both are told of.
    ask(&router, &Method::POST, NOTES).await;
    ask(&router, &Method::POST, NOTES).await;
    drop(begin(&router, "/slow"));
    assert_eq!(world.failures(), 1);
    drop(begin(&router, NOTES));
    assert_eq!(world.failures(), 2);
    assert_eq!(world.actions().await.len(), 4);
}

#[tokio::test]
async fn a_durable_answer_waits_for_the_log() {
    let world = World::new(100, Overflow::Block);
    let router = world.router(world.layer().durable(Failing::Answer));
    let mut answer = begin(&router, NOTES);
    assert_eq!(world.done(), 1);
    assert_eq!(world.queue.drain().await.unwrap(), 1);
    assert!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    // The log is away: the client hears what was done, the host that it is not recorded yet.
    *world.queue.log().store().fails.lock() = Some(StoreErrorKind::Unavailable);
    let mut answer = begin(&router, NOTES);
    assert!(world.queue.drain().await.is_err());
    assert!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!((world.done(), world.failures()), (2, 1));
    *world.queue.log().store().fails.lock() = None;
    assert_eq!(world.actions().await.len(), 2, "and in the end it is");
}

#[tokio::test]
async fn nothing_is_done_that_the_log_does_not_know_of() {
    let world = World::new(100, Overflow::Block);
    let router = world.router(world.layer().durable(Failing::Refuse));
    let worker = world.run();
    assert_eq!(status(&router, &Method::POST, NOTES).await, StatusCode::CREATED);
    let expected = ["http.post.contacts.:id.notes.begun", "http.post.contacts.:id.notes"];
    assert_eq!(world.actions().await, expected);
    *world.queue.log().store().fails.lock() = Some(StoreErrorKind::Unavailable);
    let refused = ask(&router, &Method::POST, NOTES).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "5");
    assert_eq!((world.done(), world.failures()), (1, 1));
    assert_eq!(status(&router, &Method::GET, NOTES).await, StatusCode::CREATED, "what is only read goes on");
    *world.queue.log().store().fails.lock() = None;
    world.queue.close();
    worker.join().unwrap();
    assert_eq!(status(&router, &Method::POST, NOTES).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.done(), 2);
}
