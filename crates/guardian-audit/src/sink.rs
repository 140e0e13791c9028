//! What other parts report, recorded.

use async_trait::async_trait;
use guardian_core::{Event, EventSink, Scope, StoreError, StoreErrorKind};
use serde_json::{Map, Value};

use crate::store::AuditStore;
use crate::{AuditEvent, AuditLog, Error};

/// An event of another part as one of the log: its name is the action, its particulars are the metadata.
impl From<Event> for AuditEvent {
    fn from(event: Event) -> Self {
        let mut made = Self::new(event.name).with_id(event.id).with_occurred(event.occurred);
        made.metadata = match event.data {
            Value::Null => Map::new(),
            Value::Object(members) => members,
            other => Map::from_iter([("data".to_owned(), other)]),
        };
        made
    }
}

/// A log takes what other parts of the suite report: changes of roles and of rules about addresses, denials, alarms. What arrives twice,
/// with the same id, is recorded once.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use guardian_audit::{AuditConfig, AuditLog, store::MemoryStore};
/// use guardian_core::{Actor, Clock, Event, EventSink, ManualClock, PageRequest, Scope, SeededIds, IdSource, TenantId};
///
/// let log = AuditLog::new(MemoryStore::new(), AuditConfig::default());
/// let scope = Scope::new(TenantId::new("acme")?, Actor::user("ann")?);
/// let now = ManualClock::new().now();
/// let event = Event::new(SeededIds::new(1).next_id(now), now, &scope, "ip_access.policy_changed");
/// log.emit(event.clone()).await?;
/// log.emit(event).await?;
/// let found = log.search(&scope, &"action:ip_access.*".parse()?, &PageRequest::first(10)?).await?;
/// assert_eq!(found.items.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[async_trait]
impl<S: AuditStore> EventSink for AuditLog<S> {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        let scope = Scope::new(event.tenant.clone(), event.actor.clone());
        match self.record(&scope, event.into()).await {
            Ok(_) => Ok(()),
            Err(Error::Store(error)) => Err(error),
            Err(other) => Err(StoreError::new(StoreErrorKind::Internal, "audit").with_source(other)),
        }
    }
}
