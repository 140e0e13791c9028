//! A host: what the tests have in common.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use guardian_assembly::{Backend, Builder, Guardian};
use guardian_core::{Actor, Event, EventSink, Scope, StoreError, StoreErrorKind, TenantId};
use guardian_tenant::{NewTenant, Platform};
use guardian_webhook::{Answer, EndpointSettings, HttpSender, KeyChoice, Request, SendError};
use guardian_workflow::{ActionSpec, Actions, Definition, Note};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub(crate) fn ann(of: &str) -> Scope {
    Scope::new(tenant(of), Actor::user("ann").unwrap())
}

pub(crate) fn new_tenant(name: &str) -> NewTenant {
    NewTenant::new(tenant(name), name, "team", "eu").unwrap()
}

pub(crate) fn platform<B: Backend>(guardian: &Guardian<B>) -> Platform {
    Platform::new(guardian.operator().clone(), "a test of the assembly").unwrap()
}

/// Hears events, and refuses those of a name as often as it is told to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ears(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    events: Vec<(Uuid, String)>,
    refuse: BTreeMap<String, u32>,
}

impl Ears {
    pub(crate) fn heard(&self) -> Vec<(Uuid, String)> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).events.clone()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.heard().into_iter().map(|(_, name)| name).collect()
    }

    pub(crate) fn refuse(&self, name: &str, times: u32) {
        self.0.lock().unwrap().refuse.insert(name.to_owned(), times);
    }
}

#[async_trait]
impl EventSink for Ears {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        if event.name.ends_with(".hang") {
            std::future::pending::<()>().await;
        }
        let mut heard = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(times) = heard.refuse.get_mut(&event.name).filter(|times| **times > 0) {
            *times -= 1;
            if event.name.ends_with(".panic") {
                panic!("somebody who listens");
            }
            return Err(StoreError::new(StoreErrorKind::Unavailable, "ears"));
        }
        heard.events.push((event.id, event.name));
        Ok(())
    }
}

/// Sends webhooks nowhere, and says that they arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Letterbox(Arc<Mutex<Vec<Value>>>);

impl Letterbox {
    pub(crate) fn ids_of(&self, name: &str) -> Vec<String> {
        let sent = self.0.lock().unwrap();
        let of_name = sent.iter().filter(|body| body["type"] == name);
        of_name.map(|body| body["id"].as_str().unwrap().to_owned()).collect()
    }
}

impl Letterbox {
    pub(crate) fn bodies(&self, name: &str) -> Vec<Value> {
        let sent = self.0.lock().unwrap();
        sent.iter().filter(|body| body["type"] == name).map(|body| body["data"].clone()).collect()
    }
}

#[async_trait]
impl HttpSender for Letterbox {
    async fn send(&self, request: Request) -> Result<Answer, SendError> {
        self.0.lock().unwrap().push(serde_json::from_slice(&request.body).unwrap());
        Ok(Answer::new(200))
    }
}

/// A host with its ears and its letterbox.
pub(crate) fn builder(ears: &Ears, letters: &Letterbox) -> Builder {
    let actions = Actions::new();
    let actions = actions.with_fn(ActionSpec::new("note"), |_| Ok(json!({}))).unwrap();
    Guardian::builder().secrets_key([7; 32]).events(ears.clone()).sender(letters.clone()).actions(actions)
}

/// A workflow of a tenant that runs on `deal.won`, and an endpoint that wants everything.
pub(crate) async fn listen<B: Backend>(guardian: &Guardian<B>, scope: &Scope) {
    let definition = json!({
        "schema": 1, "name": "Thank", "start": "note",
        "triggers": {"won": {"type": "event", "event": "deal.won"}},
        "nodes": {"note": {"type": "action", "name": "Note", "action": "note"}},
        "edges": [],
    });
    let definition = Definition::from_value(definition).unwrap();
    guardian.workflows().save(scope, "thank", &definition, &Note::new("the first")).await.unwrap();
    guardian.workflows().publish(scope, "thank", 1).await.unwrap();
    let settings = EndpointSettings::new("https://hooks.example.com/all").with_ordering(true);
    guardian.webhooks().create_endpoint(scope, settings, KeyChoice::NewSecret).await.unwrap();
}

/// How many runs the tenant's workflow has had.
pub(crate) async fn runs<B: Backend>(guardian: &Guardian<B>, scope: &Scope) -> usize {
    let filter = guardian_workflow::RunFilter::new().workflow("thank");
    let page = guardian_core::PageRequest::first(1000).unwrap();
    guardian.engine().runs(scope, &filter, &page).await.unwrap().items.len()
}

/// How many events of a name the tenant's log has.
pub(crate) async fn recorded<B: Backend>(guardian: &Guardian<B>, scope: &Scope, name: &str) -> usize {
    let query = format!("action:{name}").parse().unwrap();
    let page = guardian_core::PageRequest::first(1000).unwrap();
    guardian.audit().search(scope, &query, &page).await.unwrap().items.len()
}

/// Waits until something is the case.
pub(crate) async fn until(mut done: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(120), waiting).await.is_ok(), "it takes too long");
}
