//! Where events wait until everybody has heard of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guardian_core::{Event, EventSink, StoreError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What became of one turn of telling.
#[derive(Debug, Default)]
pub struct Turn {
    /// How many events were taken.
    pub taken: usize,
    /// What those said who did not take an event.
    pub refused: Vec<(Uuid, StoreError)>,
}

/// Moves what was recorded in callers' transactions into the audit log.
#[async_trait]
pub trait Settle: Send + Sync {
    /// Of one tenant.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    async fn settle(
        &self,
        db: &guardian_sql::Database,
        scope: &guardian_core::Scope,
    ) -> Result<(), StoreError>;
}

#[async_trait]
impl<S: guardian_audit::store::AuditStore> Settle for guardian_audit::AuditLog<S> {
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    async fn settle(
        &self,
        db: &guardian_sql::Database,
        scope: &guardian_core::Scope,
    ) -> Result<(), StoreError> {
        use guardian_core::StoreErrorKind;
        loop {
            match self.drain_outbox(db, scope, 1_000).await {
                Ok(drained) if drained.more => {}
                Ok(_) => return Ok(()),
                Err(guardian_audit::Error::Store(error)) => return Err(error),
                Err(other) => {
                    return Err(StoreError::new(StoreErrorKind::Internal, "audit").with_source(other));
                }
            }
        }
    }
}

/// An event, and what those need to know who tell it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Telling {
    /// The event.
    pub event: Event,
    /// What it is about: webhooks about one thing come in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The audit log has it already, with more than the event says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_recorded: bool,
}

impl From<Event> for Telling {
    fn from(event: Event) -> Self {
        Self { event, about: None, is_recorded: false }
    }
}

/// Tells everybody.
#[async_trait]
pub trait Teller: Send + Sync {
    /// Tells them of this.
    async fn tell(&self, telling: Telling) -> Result<(), StoreError>;
}

/// Where events wait.
#[async_trait]
pub trait Spool: fmt::Debug + Send + Sync + 'static {
    /// Where parts report.
    fn entrance(&self, everybody: &Arc<dyn EventSink>) -> Arc<dyn EventSink>;

    /// Waits until there may be events, or a while.
    async fn wait(&self, at_most: Duration);

    /// Tells everybody of at most a batch of events, oldest first. An event that somebody does not take waits longer each time and
    /// keeps nobody behind it waiting; it is never given up.
    async fn pump(&self, everybody: &dyn Teller) -> Result<Turn, StoreError>;

    /// Moves what was recorded in callers' transactions into the audit log.
    async fn settle(&self, log: &dyn Settle) -> Result<(), StoreError>;
}

/// In memory nothing waits.
#[derive(Debug, Clone, Copy)]
pub struct AtOnce;

#[async_trait]
impl Spool for AtOnce {
    fn entrance(&self, everybody: &Arc<dyn EventSink>) -> Arc<dyn EventSink> {
        Arc::clone(everybody)
    }

    async fn wait(&self, at_most: Duration) {
        tokio::time::sleep(at_most).await;
    }

    async fn pump(&self, _: &dyn Teller) -> Result<Turn, StoreError> {
        Ok(Turn::default())
    }

    async fn settle(&self, _: &dyn Settle) -> Result<(), StoreError> {
        Ok(())
    }
}
