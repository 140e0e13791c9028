//! Where events wait until everybody has heard of them.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use guardian_core::{Event, EventSink, StoreError, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::heard::Heard;

/// An event, and what those need to know who tell it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Telling {
    /// The event.
    pub event: Event,
    /// What it is about: webhooks about one thing come in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

impl From<Event> for Telling {
    fn from(event: Event) -> Self {
        Self { event, about: None }
    }
}

/// The most bytes of an event's data, and how deep they may be: the audit log takes a little more.
const MAX_LEN: usize = 200 << 10;
const MAX_DEPTH: usize = 30;

/// Whether everybody could take the event: what is too large or too deep is told before it is kept.
pub(crate) fn check(data: &Value) -> Result<(), &'static str> {
    fn is_deeper(value: &Value, most: usize) -> bool {
        match (value, most.checked_sub(1)) {
            (Value::Array(_) | Value::Object(_), None) => true,
            (Value::Array(items), Some(most)) => items.iter().any(|item| is_deeper(item, most)),
            (Value::Object(members), Some(most)) => members.values().any(|member| is_deeper(member, most)),
            _ => false,
        }
    }
    if is_deeper(data, MAX_DEPTH) {
        return Err("it is nested more than 30 deep");
    }
    let length = serde_json::to_string(data).map_or(usize::MAX, |text| text.len());
    if length > MAX_LEN { Err("it has more than 200 KiB") } else { Ok(()) }
}

/// What somebody said who did not take an event.
#[derive(Debug)]
pub struct Refusal {
    /// Who.
    pub who: &'static str,
    /// The same as a bit; of nobody where it could not be told.
    pub of: Heard,
    /// Why.
    pub error: StoreError,
    /// It never will, so it is not asked again.
    pub is_final: bool,
}

/// What became of telling.
#[derive(Debug)]
pub struct Told {
    /// Who has heard now.
    pub heard: Heard,
    /// Who has not.
    pub refusals: Vec<Refusal>,
}

impl Told {
    /// Why one of the audit logs, or the host, does not have it yet. A log that is damaged never will.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn into_missing(self) -> Option<StoreError> {
        let may_take_it = |refusal: &Refusal| {
            let is_log = refusal.of.has(Heard::LOG) || refusal.of.has(Heard::OPERATOR);
            !refusal.is_final && (refusal.of.has(Heard::HOST) || is_log && refusal.error.is_transient())
        };
        self.refusals.into_iter().find(may_take_it).map(|refusal| refusal.error)
    }

    /// Nobody has to hear of it again.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn is_done(&self) -> bool {
        self.refusals.iter().all(|refusal| refusal.is_final)
    }
}

/// Tells everybody.
#[async_trait]
pub trait Teller: fmt::Debug + Send + Sync + 'static {
    /// Tells those who have not heard, whatever the others say.
    async fn tell(&self, telling: &Telling, heard: Heard) -> Told;
}

/// What became of one turn of telling.
#[derive(Debug, Default)]
pub struct Turn {
    /// How many events were taken.
    pub taken: usize,
    /// What those said who did not take an event.
    pub refusals: Vec<Refusal>,
}

/// Moves what was recorded in callers' transactions into the audit log.
#[async_trait]
pub trait Settle: Send + Sync {
    /// Of one tenant; whether there may be more.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    async fn settle(
        &self,
        db: &guardian_sql::Database,
        scope: &guardian_core::Scope,
    ) -> Result<bool, StoreError>;
}

#[async_trait]
impl<S: guardian_audit::store::AuditStore> Settle for guardian_audit::AuditLog<S> {
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    async fn settle(
        &self,
        db: &guardian_sql::Database,
        scope: &guardian_core::Scope,
    ) -> Result<bool, StoreError> {
        match self.drain_outbox(db, scope, 1_000).await {
            Ok(drained) => Ok(drained.more),
            Err(guardian_audit::Error::Store(error)) => Err(error),
            Err(other) => {
                let kind = guardian_core::StoreErrorKind::Internal;
                Err(StoreError::new(kind, "audit").with_source(other))
            }
        }
    }
}

/// Where events wait.
#[async_trait]
pub trait Spool: fmt::Debug + Send + Sync + 'static {
    /// Where parts report; these are not told.
    fn entrance(&self, everybody: &Arc<dyn Teller>, but: Heard) -> Arc<dyn EventSink>;

    /// Waits until there may be events, or a while.
    async fn wait(&self, at_most: Duration);

    /// Tells everybody of at most a batch of events. An event that somebody does not take waits longer each time, and keeps back only
    /// those about the same thing; it is never given up.
    async fn pump(&self, everybody: &dyn Teller) -> Result<Turn, StoreError>;

    /// Moves what was recorded in callers' transactions into the audit log, some of each tenant. One tenant's fault keeps no other's back.
    async fn settle(&self, log: &dyn Settle) -> Result<(), StoreError>;

    /// Forgets what waits of a tenant that is gone, when the audit log and the host were told, and what it had of its own.
    async fn forget(&self, tenant: &TenantId, everybody: &dyn Teller) -> Result<(), StoreError>;
}

/// In memory nothing waits.
#[derive(Debug, Clone, Copy)]
pub struct AtOnce;

#[async_trait]
impl Spool for AtOnce {
    fn entrance(&self, everybody: &Arc<dyn Teller>, but: Heard) -> Arc<dyn EventSink> {
        // Webhooks are of those who are told, who would keep themselves alive.
        let owned = (!but.has(Heard::WEBHOOKS)).then(|| Arc::clone(everybody));
        Arc::new(Direct { everybody: Arc::downgrade(everybody), _owned: owned, but })
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

    async fn forget(&self, _: &TenantId, _: &dyn Teller) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Tells at once; the first who refuses makes it fail, after the others were told.
#[derive(Debug)]
struct Direct {
    everybody: Weak<dyn Teller>,
    _owned: Option<Arc<dyn Teller>>,
    but: Heard,
}

#[async_trait]
impl EventSink for Direct {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        let Some(everybody) = self.everybody.upgrade() else { return Ok(()) };
        let told = everybody.tell(&event.into(), self.but).await;
        // What webhooks say of themselves makes nothing fail: an endpoint that was made stays made.
        if self.but.has(Heard::WEBHOOKS) {
            return Ok(());
        }
        told.refusals.into_iter().next().map_or(Ok(()), |refusal| Err(refusal.error))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;

    #[test]
    fn what_nobody_could_take_is_not_kept() {
        let deep = |depth: usize| (0..depth).fold(json!(1), |inside, _| Value::Array(vec![inside]));
        assert!(check(&deep(30)).is_ok());
        assert!(check(&deep(31)).is_err());
        assert!(check(&json!("x".repeat(200 << 10))).is_err());
    }
}
