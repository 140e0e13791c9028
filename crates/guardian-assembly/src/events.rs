//! Who hears of what.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use guardian_audit::store::AuditStore;
use guardian_audit::{AuditEvent, AuditLog, Target};
use guardian_core::{ActorKind, Event, EventSink, Scope, StoreError, StoreErrorKind, TenantId};
use guardian_http::api::OperatorCaller;
use guardian_webhook::{Publish, Webhooks};
use guardian_workflow::Engine;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::backend::Backend;
use crate::heard::Heard;
use crate::spool::{Refusal, Teller, Telling, Told};

/// Events of tenants: into the audit log, to the tenant's webhooks, to its workflows and to the host. Each hears of it whatever the
/// others say, and knows an event by its id, so that it may come again.
pub(crate) struct Hub<B: Backend> {
    pub(crate) log: AuditLog<B::Audit>,
    /// What they say of themselves comes here as well, so they are made after it.
    pub(crate) webhooks: OnceLock<Webhooks<B::Webhook>>,
    pub(crate) engine: Engine<B::Workflow>,
    pub(crate) host: Arc<dyn EventSink>,
    pub(crate) operator: Scope,
}

impl<B: Backend> fmt::Debug for Hub<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("host", &self.host).finish_non_exhaustive()
    }
}

/// How long each listener may take. All together are done well before an event's lease ends.
const MOST: Duration = Duration::from_secs(5);

/// Why an event was not taken, and whether it never will be.
type Outcome = Result<(), (StoreError, bool)>;

#[async_trait]
impl<B: Backend> Teller for Hub<B> {
    async fn tell(&self, telling: &Telling, heard: Heard) -> Told {
        let mut told = Told { heard, refusals: Vec::new() };
        let event = &telling.event;
        // What an operator did is the tenant's to know; why is not.
        let is_operators = is_operators(event);
        let of_tenant = if is_operators { without_reasons(event) } else { event.clone() };
        let scope = Scope::new(event.tenant.clone(), event.actor.clone());
        if is_operators && !told.heard.has(Heard::OPERATOR) {
            let recorded = record_for(&self.log, &self.operator, event);
            told.note(Heard::OPERATOR, "the operator's log", within(recorded).await);
        }
        if !told.heard.has(Heard::LOG) {
            let recorded =
                async { of_audit(self.log.record(&scope, of_tenant.clone().into()).await.map(drop)) };
            told.note(Heard::LOG, "the audit log", within(recorded).await);
        }
        if !told.heard.has(Heard::WEBHOOKS) {
            let published = self.publish(&scope, &of_tenant, telling.about.as_deref());
            told.note(Heard::WEBHOOKS, "webhooks", within(published).await);
        }
        if !told.heard.has(Heard::WORKFLOWS) {
            let started = async { of_workflows(self.engine.on_event(&of_tenant).await.map(drop)) };
            told.note(Heard::WORKFLOWS, "workflows", within(started).await);
        }
        if !told.heard.has(Heard::HOST) {
            let heard = async { self.host.emit(event.clone()).await.map_err(|error| (error, false)) };
            told.note(Heard::HOST, "the host", within(heard).await);
        }
        told
    }
}

impl Told {
    fn note(&mut self, listener: Heard, who: &'static str, outcome: Outcome) {
        match outcome {
            Ok(()) => self.heard = self.heard | listener,
            Err((error, is_final)) => {
                if is_final {
                    self.heard = self.heard | listener;
                }
                self.refusals.push(Refusal { who, of: listener, error, is_final });
            }
        }
    }
}

impl<B: Backend> Hub<B> {
    async fn publish(&self, scope: &Scope, event: &Event, about: Option<&str>) -> Outcome {
        // Until they are made there is nobody who could have told anything.
        let Some(webhooks) = self.webhooks.get() else { return Ok(()) };
        let published = match as_webhook(event, about) {
            Ok(publish) => webhooks.publish(scope, publish).await,
            Err(error) => Err(error),
        };
        match published {
            // The host has said which types there are, and this is none.
            Ok(_) | Err(guardian_webhook::Error::NoEventType { .. }) => Ok(()),
            Err(guardian_webhook::Error::Store(error)) => Err((error, false)),
            Err(other) => Err(never("webhooks", other)),
        }
    }
}

/// A listener's answer, within its time and whatever it does.
async fn within(answer: impl Future<Output = Outcome> + Send) -> Outcome {
    let why = match timeout(MOST, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(outcome)) => return outcome,
        Ok(Err(_)) => "it panicked",
        Err(_) => "it takes too long",
    };
    Err((StoreError::new(StoreErrorKind::Unavailable, "events").with_source(Unanswered(why)), false))
}

/// Why a listener gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unanswered(&'static str);

/// The body that endpoints get; the same however often the event comes, as its key is.
fn as_webhook(event: &Event, about: Option<&str>) -> Result<Publish, guardian_webhook::Error> {
    let body = json!({
        "type": event.name,
        "id": event.id,
        "timestamp": event.occurred,
        "actor": event.actor.to_string(),
        "data": event.data,
    });
    let publish = Publish::json(&event.name, &body)?.with_idempotency_key(event.id.to_string());
    Ok(about.into_iter().fold(publish, Publish::with_ordering_key))
}

fn of_audit(recorded: Result<(), guardian_audit::Error>) -> Outcome {
    recorded.map_err(|error| match error {
        guardian_audit::Error::Store(error) => (error, false),
        other => never("audit", other),
    })
}

fn of_workflows(started: Result<(), guardian_workflow::Error>) -> Outcome {
    started.map_err(|error| match error {
        guardian_workflow::Error::Store(error) => (error, false),
        other => never("workflows", other),
    })
}

/// An error that is the same the next time.
fn never(part: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> (StoreError, bool) {
    (StoreError::new(StoreErrorKind::Internal, part).with_source(error), true)
}

/// As the API writes operators who work in a tenant.
fn is_operators(event: &Event) -> bool {
    event.actor.kind() == ActorKind::Service && event.actor.id().as_str().starts_with(OperatorCaller::PREFIX)
}

/// The same without what only the platform is to read.
fn without_reasons(event: &Event) -> Event {
    let mut event = event.clone();
    if let Value::Object(members) = &mut event.data {
        members.remove("why");
        members.remove("reason");
    }
    event
}

/// Into the operator's own log, with the tenant as what it is about.
async fn record_for<S: AuditStore>(log: &AuditLog<S>, operator: &Scope, event: &Event) -> Outcome {
    let scope = Scope::new(operator.tenant().clone(), event.actor.clone());
    let target = Target::new("tenant", event.tenant.as_str());
    let recorded = log.record(&scope, AuditEvent::from(event.clone()).with_target(target)).await;
    of_audit(recorded.map(drop))
}

/// What a new tenant is given.
#[async_trait]
pub(crate) trait Equip: fmt::Debug + Send + Sync + 'static {
    /// Gives it what it lacks.
    async fn equip(&self, tenant: &TenantId) -> Result<(), StoreError>;
}

/// What the platform does to tenants: into the log of the operator's own tenant, because it says why, which the tenant itself does
/// not read; and to the host. Who was created gets what a tenant begins with.
pub(crate) struct OfPlatform<S> {
    pub(crate) log: AuditLog<S>,
    pub(crate) operator: Scope,
    pub(crate) host: Arc<dyn EventSink>,
    pub(crate) equipment: Arc<dyn Equip>,
}

impl<S> fmt::Debug for OfPlatform<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfPlatform").field("operator", &self.operator).finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: AuditStore> EventSink for OfPlatform<S> {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        if event.name == "tenant.created" {
            self.equipment.equip(&event.tenant).await?;
        }
        match record_for(&self.log, &self.operator, &event).await {
            // What the log will never take keeps the platform's other events from nobody.
            Ok(()) | Err((_, true)) => self.host.emit(event).await,
            Err((error, false)) => Err(error),
        }
    }
}
