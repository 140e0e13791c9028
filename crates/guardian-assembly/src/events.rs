//! Who hears of what.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use guardian_audit::{AuditEvent, AuditLog, Target};
use guardian_core::{Event, EventSink, Scope, StoreError, StoreErrorKind};
use guardian_webhook::{Publish, Webhooks};
use guardian_workflow::Engine;
use serde_json::json;

use crate::backend::Backend;
use crate::spool::{Teller, Telling};

/// Events of tenants: into the audit log, to the tenant's webhooks, to its workflows and to the host, in this order. Each of them
/// knows an event by its id, so that it may come again when one of them failed.
pub(crate) struct Hub<B: Backend> {
    pub(crate) log: AuditLog<B::Audit>,
    pub(crate) webhooks: Webhooks<B::Webhook>,
    pub(crate) engine: Engine<B::Workflow>,
    pub(crate) host: Arc<dyn EventSink>,
}

impl<B: Backend> fmt::Debug for Hub<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("host", &self.host).finish_non_exhaustive()
    }
}

#[async_trait]
impl<B: Backend> Teller for Hub<B> {
    async fn tell(&self, Telling { event, about, is_recorded }: Telling) -> Result<(), StoreError> {
        let scope = Scope::new(event.tenant.clone(), event.actor.clone());
        if !is_recorded {
            self.log.emit(event.clone()).await?;
        }
        self.webhooks.publish(&scope, as_webhook(&event, about)?).await.map_err(of_webhooks)?;
        self.engine.on_event(&event).await.map_err(of_workflows)?;
        self.host.emit(event).await
    }
}

#[async_trait]
impl<B: Backend> EventSink for Hub<B> {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        self.tell(event.into()).await
    }
}

/// The body that endpoints get; the same however often the event comes, as its key is.
fn as_webhook(event: &Event, about: Option<String>) -> Result<Publish, StoreError> {
    let body = json!({
        "type": event.name,
        "id": event.id,
        "timestamp": event.occurred,
        "actor": event.actor.to_string(),
        "data": event.data,
    });
    let publish = Publish::json(&event.name, &body).map_err(of_webhooks)?;
    let publish = publish.with_idempotency_key(event.id.to_string());
    Ok(about.into_iter().fold(publish, Publish::with_ordering_key))
}

fn of_webhooks(error: guardian_webhook::Error) -> StoreError {
    match error {
        guardian_webhook::Error::Store(error) => error,
        other => StoreError::new(StoreErrorKind::Internal, "webhooks").with_source(other),
    }
}

fn of_workflows(error: guardian_workflow::Error) -> StoreError {
    match error {
        guardian_workflow::Error::Store(error) => error,
        other => StoreError::new(StoreErrorKind::Internal, "workflows").with_source(other),
    }
}

/// What webhooks say of themselves: into the audit log and to the host. It goes to no webhook, or one that fails would tell of
/// itself.
pub(crate) struct OfWebhooks<S> {
    pub(crate) log: AuditLog<S>,
    pub(crate) host: Arc<dyn EventSink>,
}

impl<S> fmt::Debug for OfWebhooks<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfWebhooks").field("host", &self.host).finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: guardian_audit::store::AuditStore> EventSink for OfWebhooks<S> {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        self.log.emit(event.clone()).await?;
        self.host.emit(event).await
    }
}

/// What the platform does to tenants: into the log of the operator's own tenant, because it says why, which the tenant itself does
/// not read; and to the host.
pub(crate) struct OfPlatform<S> {
    pub(crate) log: AuditLog<S>,
    pub(crate) operator: Scope,
    pub(crate) host: Arc<dyn EventSink>,
}

impl<S> fmt::Debug for OfPlatform<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfPlatform").field("operator", &self.operator).finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: guardian_audit::store::AuditStore> EventSink for OfPlatform<S> {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        let scope = Scope::new(self.operator.tenant().clone(), event.actor.clone());
        let target = Target::new("tenant", event.tenant.as_str());
        let recorded = self.log.record(&scope, AuditEvent::from(event.clone()).with_target(target)).await;
        match recorded {
            Ok(_) => self.host.emit(event).await,
            Err(guardian_audit::Error::Store(error)) => Err(error),
            Err(other) => Err(StoreError::new(StoreErrorKind::Internal, "audit").with_source(other)),
        }
    }
}
