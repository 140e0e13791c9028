//! Decisions that matter, as events.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use guardian_core::{Event, Scope, Timestamp};
use parking_lot::Mutex;
use serde_json::json;

use super::{Rbac, is_refusal};
use crate::{Ask, Decision, Error, PermissionRef, Snapshot};

/// The most events that wait for [`Rbac::flush_decisions`].
const MAX_WAITING: usize = 10_000;

/// Which decisions become events, named `rbac.decision`.
///
/// ```
/// use guardian_rbac::DecisionEvents;
///
/// // Every refusal too, not only what is sensitive.
/// let which = DecisionEvents::default().with_refusals(true);
/// # let _ = which;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct DecisionEvents {
    sensitive: bool,
    emergencies: bool,
    forbidden: bool,
    refusals: bool,
}

impl Default for DecisionEvents {
    /// Whatever is asked about sensitive permissions, what a grant of an emergency gives, and what a rule takes.
    fn default() -> Self {
        Self { sensitive: true, emergencies: true, forbidden: true, refusals: false }
    }
}

impl DecisionEvents {
    /// None.
    pub fn none() -> Self {
        Self { sensitive: false, emergencies: false, forbidden: false, refusals: false }
    }

    /// Whether every refusal is one.
    pub fn with_refusals(mut self, refusals: bool) -> Self {
        self.refusals = refusals;
        self
    }

    /// Whether every decision about a sensitive permission is one.
    pub fn with_sensitive(mut self, sensitive: bool) -> Self {
        self.sensitive = sensitive;
        self
    }
}

/// What became of the events of decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Recorded {
    /// How many the sink took.
    pub delivered: usize,
    /// How many were lost since the last time, because too many waited.
    pub lost: u64,
}

/// Events that wait.
#[derive(Debug, Default)]
pub(super) struct Observed {
    waiting: Mutex<VecDeque<Event>>,
    lost: AtomicU64,
}

impl Rbac {
    #[inline]
    pub(super) fn observe(
        &self,
        scope: &Scope,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        decision: &Decision,
        now: Timestamp,
    ) {
        let which = self.inner.decisions;
        let handle = match ask.permission {
            PermissionRef::Handle(handle) => Some(handle),
            PermissionRef::Name(name) => which.sensitive.then(|| snapshot.catalog().find(name)).flatten(),
        };
        let matters = (which.sensitive
            && handle.is_some_and(|handle| snapshot.catalog().is_sensitive(handle)))
            || (which.forbidden && decision.outcome == crate::Outcome::Forbidden)
            || (which.refusals && is_refusal(decision.outcome))
            || (which.emergencies && decision.emergency);
        if matters {
            self.note(scope, ask, snapshot, decision, now);
        }
    }

    #[cold]
    fn note(&self, scope: &Scope, ask: &Ask<'_>, snapshot: &Snapshot, decision: &Decision, now: Timestamp) {
        let permission = match ask.permission {
            PermissionRef::Name(name) => name.to_owned(),
            PermissionRef::Handle(handle) => {
                snapshot.catalog().permission(handle).map(ToString::to_string).unwrap_or_default()
            }
        };
        let data = json!({
            "principal": ask.who.to_string(),
            "permission": permission,
            "resource": ask.resource.to_string(),
            "decision": decision,
        });
        let event = self.event(scope, now, "rbac.decision", data);
        let mut waiting = self.inner.observed.waiting.lock();
        if waiting.len() >= MAX_WAITING {
            self.inner.observed.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            waiting.push_back(event);
        }
    }

    /// Gives the events of decisions that wait to the sink. At most 10,000 wait; what was lost is counted.
    ///
    /// # Errors
    /// When the sink fails; the rest waits on.
    pub async fn flush_decisions(&self) -> Result<Recorded, Error> {
        let observed = &self.inner.observed;
        let mut recorded = Recorded { delivered: 0, lost: observed.lost.swap(0, Ordering::Relaxed) };
        loop {
            let next = observed.waiting.lock().pop_front();
            let Some(event) = next else { return Ok(recorded) };
            if let Err(error) = self.inner.sink.emit(event.clone()).await {
                observed.waiting.lock().push_front(event);
                observed.lost.fetch_add(recorded.lost, Ordering::Relaxed);
                return Err(error.into());
            }
            recorded.delivered += 1;
        }
    }
}
