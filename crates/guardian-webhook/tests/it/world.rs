//! What the tests share: a service in memory on a clock of its own, and a sender that answers as it is told.

use std::sync::Arc;

use async_trait::async_trait;
use guardian_core::{Event, EventSink, ManualClock, PageRequest, Scope, SeededIds, StoreError, TenantId};
use guardian_webhook::store::MemoryStore;
use guardian_webhook::{
    AeadVault, Answer, Attempt, Config, Delivery, DeliveryFilter, Endpoint, EndpointSettings, HttpSender,
    KeyChoice, NewKey, Request, SendError, Webhooks, Worker, WorkerConfig,
};
use parking_lot::Mutex;

pub(crate) type Service = Webhooks<Arc<MemoryStore>>;

#[derive(Debug, Default, Clone)]
pub(crate) struct Events(Arc<Mutex<Vec<Event>>>);

impl Events {
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.lock().iter().map(|event| event.name.clone()).collect()
    }
}

#[async_trait]
impl EventSink for Events {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        self.0.lock().push(event);
        Ok(())
    }
}

type Script = dyn Fn(usize, &Request) -> Result<Answer, SendError> + Send + Sync;

/// Answers each request by a script, and keeps it.
#[derive(Clone)]
pub(crate) struct Scripted {
    pub(crate) requests: Arc<Mutex<Vec<Request>>>,
    script: Arc<Script>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    pub(crate) fn new(
        script: impl Fn(usize, &Request) -> Result<Answer, SendError> + Send + Sync + 'static,
    ) -> Self {
        Self { requests: Arc::default(), script: Arc::new(script) }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::new(move |_, _| Ok(Answer::new(status)))
    }
}

#[async_trait]
impl HttpSender for Scripted {
    async fn send(&self, request: Request) -> Result<Answer, SendError> {
        let number = {
            let mut requests = self.requests.lock();
            requests.push(request.clone());
            requests.len()
        };
        (self.script)(number, &request)
    }
}

pub(crate) struct World {
    pub(crate) webhooks: Service,
    pub(crate) clock: ManualClock,
    pub(crate) events: Events,
    pub(crate) acme: Scope,
}

pub(crate) fn world_with(config: Config) -> World {
    let (clock, events) = (ManualClock::new(), Events::default());
    let webhooks = Webhooks::with_events(
        Arc::new(MemoryStore::new()),
        AeadVault::new([7; 32]),
        clock.clone(),
        SeededIds::new(1),
        config,
        Arc::new(events.clone()),
    );
    World { webhooks, clock, events, acme: Scope::system(TenantId::new("acme").unwrap()) }
}

pub(crate) fn world() -> World {
    world_with(Config::default())
}

impl World {
    pub(crate) async fn endpoint(&self, settings: EndpointSettings) -> Endpoint {
        self.webhooks.create_endpoint(&self.acme, settings, KeyChoice::NewSecret).await.unwrap().0
    }

    pub(crate) async fn keyed(&self, key: KeyChoice) -> (Endpoint, NewKey) {
        let settings = EndpointSettings::new("https://example.com/hooks");
        self.webhooks.create_endpoint(&self.acme, settings, key).await.unwrap()
    }

    pub(crate) fn worker(&self, sender: &Scripted) -> Worker<Arc<MemoryStore>, Scripted> {
        Worker::new(&self.webhooks, sender.clone(), WorkerConfig::default())
    }

    pub(crate) async fn all(&self) -> Vec<Delivery> {
        let page = PageRequest::first(1000).unwrap();
        self.webhooks.deliveries(&self.acme, &DeliveryFilter::new(), &page).await.unwrap().items
    }

    /// The one delivery that there is, with its attempts.
    pub(crate) async fn only(&self) -> (Delivery, Vec<Attempt>) {
        let all = self.all().await;
        assert_eq!(all.len(), 1, "{all:?}");
        self.webhooks.delivery(&self.acme, all[0].id).await.unwrap()
    }
}
