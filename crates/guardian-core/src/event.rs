use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{Actor, Scope, StoreError, TenantId, Timestamp};

/// Something that happened in a domain and that others may want to know: audit, webhooks, workflow triggers,
/// alerts and metrics all listen to these.
///
/// ```
/// use guardian_core::{Actor, Clock, Event, IdSource, ManualClock, Scope, SeededIds, TenantId};
///
/// let scope = Scope::new(TenantId::new("acme")?, Actor::user("u_17")?);
/// let now = ManualClock::new().now();
/// let event = Event::new(SeededIds::new(1).next_id(now), now, &scope, "deal.updated")
///     .with_data(serde_json::json!({ "deal": 7, "stage": "won" }));
/// assert_eq!(event.name, "deal.updated");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// Unique; a sink that sees an id again has seen the event before.
    pub id: Uuid,
    /// When it happened.
    pub occurred: Timestamp,
    /// In whose tenant it happened.
    pub tenant: TenantId,
    /// Who did it.
    pub actor: Actor,
    /// What happened, `noun.past_tense`: `deal.updated`, `rate_limit.exceeded`.
    pub name: String,
    /// The particulars; an object, or null.
    pub data: Value,
}

impl Event {
    /// An event without particulars.
    #[must_use]
    pub fn new(id: Uuid, occurred: Timestamp, scope: &Scope, name: impl Into<String>) -> Self {
        Self {
            id,
            occurred,
            tenant: scope.tenant().clone(),
            actor: scope.actor().clone(),
            name: name.into(),
            data: Value::Null,
        }
    }

    /// The same event with these particulars.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}

/// Where events go.
///
/// # Contract
/// `Ok` means that the sink has taken the event over: a durable sink has stored it. An event may arrive twice
/// (same id); a sink that must act once remembers ids. A sink that cannot take the event says so with an error
/// and does not block the caller beyond its own timeout.
#[async_trait]
pub trait EventSink: Send + Sync + fmt::Debug + 'static {
    /// Takes one event over.
    ///
    /// # Errors
    /// When the sink could not take it.
    async fn emit(&self, event: Event) -> Result<(), StoreError>;
}

#[async_trait]
impl<S: EventSink + ?Sized> EventSink for Arc<S> {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        (**self).emit(event).await
    }
}

/// A sink that forgets every event: the default where a host wires nothing.
///
/// ```
/// let nobody_listens: std::sync::Arc<dyn guardian_core::EventSink> = std::sync::Arc::new(guardian_core::NullSink);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct NullSink;

#[async_trait]
impl EventSink for NullSink {
    async fn emit(&self, _event: Event) -> Result<(), StoreError> {
        Ok(())
    }
}
