//! The whole life of a webhook, on the loopback address: an event type with a schema, a payload made up from it, an endpoint, a test
//! with the full exchange, deliveries that fail, are retried and die, the log, replays, rotation, and what a receiver does.
//!
//! ```sh
//! cargo run --example webhook_lab
//! cargo run --example webhook_lab -- --db sqlite://webhooks.db
//! cargo run --example webhook_lab -- --db postgres://user:password@localhost/webhooks
//! ```
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it shows a person at a terminal what happens"
)]

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guardian::core::{
    Clock, Event, EventSink, ManualClock, MonoTime, PageRequest, Scope, StoreError, SystemClock, SystemIds,
    TenantId, Timestamp,
};
use guardian::sql::Database;
use guardian::webhook::sink::{Behaviour, Sink};
use guardian::webhook::store::SqlStore;
use guardian::webhook::tools::{Language, calculate, curl, payload_diff, snippet};
use guardian::webhook::{
    AeadVault, Config, DeliveryFilter, DeliveryState, EgressPolicy, EndpointSettings, EventType, EventTypes,
    HealthRules, KeyChoice, NewKey, PublicKeys, Publish, ReqwestSender, RetrySchedule, Verifier, Webhooks,
    Worker, WorkerConfig,
};
use serde_json::json;

/// Tells what happens.
#[derive(Debug)]
struct Teller;

#[async_trait]
impl EventSink for Teller {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        println!("    event {} {}", event.name, event.data);
        Ok(())
    }
}

/// The system's clock, which can be set forward: a day of retries passes in a moment.
#[derive(Debug, Clone)]
struct Ahead {
    system: SystemClock,
    ahead: ManualClock,
    from: Timestamp,
}

impl Ahead {
    fn new() -> Self {
        let ahead = ManualClock::new();
        Self { system: SystemClock::new(), from: ahead.now(), ahead }
    }

    fn skip(&self, span: Duration) {
        self.ahead.advance(span);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.system.now() + (self.ahead.now() - self.from)
    }

    fn monotonic(&self) -> MonoTime {
        self.system.monotonic()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("webhook_lab: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let url = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => "sqlite::memory:".to_owned(),
        ["--db", url] => (*url).to_owned(),
        _ => return Err("usage: webhook_lab [--db URL]".into()),
    };
    let acme = Scope::system(TenantId::new("acme")?);
    let store = SqlStore::open(Database::open(&url).await?, &acme).await?;
    let sink = Sink::start(1000).await?;
    // The receiver is on this machine: the policy has to allow it by name.
    let policy = EgressPolicy::default().allow_target("127.0.0.1", sink.address().port());
    let types = EventTypes::new([EventType::new("deal.won", "A deal was won")?.with_schema(json!({
        "type": "object", "required": ["id", "amount", "contact"],
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "amount": {"type": "integer", "minimum": 1, "maximum": 100_000},
            "contact": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "email": {"type": "string", "format": "email"}}}
        }
    }))?]);
    let config = Config::default().with_egress(policy).with_types(types);
    let clock = Ahead::new();
    let webhooks = Webhooks::with_events(
        store,
        AeadVault::new([7; 32]),
        clock.clone(),
        SystemIds::new(),
        config,
        Arc::new(Teller),
    );
    let sender = ReqwestSender::new(webhooks.config().http())?;

    println!("1. an endpoint\n");
    for refused in
        ["http://169.254.169.254/latest/meta-data/", "http://2130706433/", "https://example.com:6379/"]
    {
        let settings = EndpointSettings::new(refused);
        if let Err(error) = webhooks.create_endpoint(&acme, settings, KeyChoice::NewSecret).await {
            println!("    {refused}: {error}");
        }
    }
    let settings = EndpointSettings::new(sink.url("/hooks")).with_types(["deal.*"])?.with_ordering(true);
    let (endpoint, key) = webhooks.create_endpoint(&acme, settings, KeyChoice::NewSecret).await?;
    let NewKey::Secret(secret) = key else { return Err("a secret was asked for".into()) };
    println!("    its secret, shown once: {}", &*secret.reveal());

    println!("\n2. a payload made up from the schema, and a test with the full exchange\n");
    let made = webhooks.simulate("deal.won", 7)?;
    println!("    {made}");
    sink.behave(|_| Behaviour::header(202, "x-receiver", "the lab"));
    let trial = webhooks.send_test(&acme, endpoint.id, &sender, Publish::json("deal.won", &made)?).await?;
    for (name, value) in &trial.request.headers {
        println!("    > {name}: {value}");
    }
    if let Ok(answer) = &trial.outcome {
        println!("    < {} {:?}, success: {}", answer.status, answer.headers, trial.verdict.success);
    }
    println!("\n    {}", curl(&trial.request));

    println!("\n3. what a receiver does\n");
    let received = sink.received().pop().ok_or("the sink got nothing")?;
    let verifier = Verifier::standard([secret.clone()], [])?;
    let verified = verifier.verify(&received.header_map(), &received.body, clock.now())?;
    println!("    verified: {:?} at {:?}", verified.id, verified.timestamp);
    let (id, stamp) =
        (received.header("webhook-id").unwrap_or(""), received.header("webhook-timestamp").unwrap_or(""));
    let calculated = calculate(&secret.reveal(), id, stamp.parse()?, &received.body)?;
    println!("    the calculator says {}", calculated.signature);
    println!("    snippets for {}", Language::ALL.map(|language| language.to_string()).join(", "));
    println!("\n{}", snippet(Language::Python));

    println!("4. the schedule before it happens\n");
    let schedule = RetrySchedule::default();
    let config = WorkerConfig::default()
        .with_rules(HealthRules::default().with_failures(20)?.with_disable_after(None));
    let worker = Worker::new(&webhooks, sender, config);
    let published =
        webhooks.publish(&acme, Publish::json("deal.won", &made)?.with_ordering_key("deal-7")).await?;
    let changed = json!({"id": made.get("id"), "amount": 5, "contact": made.get("contact")});
    webhooks.publish(&acme, Publish::json("deal.won", &changed)?.with_ordering_key("deal-7")).await?;
    let filter = DeliveryFilter::new().message(published.id());
    let page = PageRequest::first(10)?;
    let delivery =
        webhooks.deliveries(&acme, &filter, &page).await?.items.pop().ok_or("it is not in the log")?;
    for (number, at) in (1..).zip(schedule.timeline(delivery.id, clock.now())) {
        println!("    attempt {number:>2} at {at}");
    }

    println!("\n5. a receiver that is ill; the clock is set forward\n");
    sink.behave(|_| Behaviour::status(500));
    for _ in 0..12 {
        worker.run_once().await?;
        clock.skip(Duration::from_secs(27 * 3600));
    }
    for dead in
        webhooks.deliveries(&acme, &DeliveryFilter::new().state(DeliveryState::Dead), &page).await?.items
    {
        println!(
            "    {} is {}: {}, {} attempts",
            dead.id,
            dead.state,
            dead.reason.unwrap_or_default(),
            dead.attempts
        );
    }

    println!("\n6. it is well again; dead letters come back, in order\n");
    sink.behave(|_| Behaviour::status(204));
    let before = sink.received().len();
    webhooks.cancel(&acme, &DeliveryFilter::new().state(DeliveryState::Queued)).await?;
    println!("    sent again: {}", webhooks.replay(&acme, &DeliveryFilter::new()).await?);
    worker.run_once().await?;
    let again = sink.received().split_off(before);
    for each in &again {
        println!("    {} {}", each.header("webhook-id").unwrap_or(""), String::from_utf8_lossy(&each.body));
    }
    if let [one, two, ..] = again.as_slice() {
        for difference in payload_diff(&one.body, &two.body) {
            println!("    {difference}");
        }
    }
    for attempt in webhooks.delivery(&acme, delivery.id).await?.1 {
        println!(
            "    attempt {:>2} {} {:?} {:?}",
            attempt.number, attempt.started, attempt.status, attempt.latency
        );
    }

    println!("\n7. a new key; both sign for a day\n");
    webhooks.rotate_key(&acme, endpoint.id, KeyChoice::NewPrivateKey).await?;
    webhooks.publish(&acme, Publish::json("deal.won", &made)?).await?;
    worker.run_once().await?;
    let last = sink.received().pop().ok_or("the sink got nothing")?;
    println!("    webhook-signature: {}", last.header("webhook-signature").unwrap_or(""));
    let endpoint = webhooks.endpoint(&acme, endpoint.id).await?;
    println!("    public keys: {}", PublicKeys::of(&endpoint, clock.now()).to_json());
    Ok(())
}
