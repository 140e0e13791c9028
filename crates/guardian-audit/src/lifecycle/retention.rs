use std::time::Duration;

use chrono::TimeDelta;
use guardian_core::{Scope, StoreErrorKind};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::event::{AuditEvent, Target};
use crate::log::AuditLog;
use crate::query::Query;
use crate::store::{AuditStore, Drop};

/// How long a tenant's events are kept: the first rule that finds an event decides, and one that no rule finds is kept.
///
/// ```
/// use std::time::Duration;
/// use guardian_audit::Retention;
///
/// const DAY: Duration = Duration::from_secs(86_400);
/// let policy = Retention::default()
///     .with_rule("risk:>=high".parse()?, 2_555 * DAY)
///     .with_rule("category:access".parse()?, 90 * DAY)
///     .with_rule("".parse()?, 365 * DAY);
/// assert_eq!(policy.rules.len(), 3);
/// # Ok::<(), guardian_audit::QueryError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Retention {
    /// The rules, the first that finds an event counts.
    pub rules: Vec<RetentionRule>,
}

/// One rule of [`Retention`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RetentionRule {
    /// Which events.
    pub query: Query,
    /// How long after they were recorded they are kept.
    pub keep: Duration,
}

impl Retention {
    /// The same policy with one more rule, after the others.
    #[must_use]
    pub fn with_rule(mut self, query: Query, keep: Duration) -> Self {
        self.rules.push(RetentionRule { query, keep });
        self
    }
}

/// How often a policy is looked at anew because holds changed.
const TRIES: u32 = 16;

/// What a step of retention did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retained {
    /// How many bodies were dropped.
    pub dropped: u64,
    /// Whether the step stopped at its limit: call again.
    pub more: bool,
}

impl<S: AuditStore> AuditLog<S> {
    /// Drops the bodies of events that are past their time, at most `limit` and at least one, and not what a [hold](crate::Hold) finds.
    /// Their leaves stay, so every proof over the log still verifies. The log records how many went.
    ///
    /// Several processes may do this at once: a body is dropped once.
    ///
    /// # Errors
    /// When the store failed; some bodies may have been dropped.
    pub async fn retain(&self, scope: &Scope, policy: &Retention, limit: u64) -> Result<Retained, Error> {
        let mut tries = 0;
        let mut retained = Retained::default();
        loop {
            match self.retain_once(scope, policy, limit.max(1), &mut retained).await {
                // A hold was placed or lifted meanwhile: the policy is looked at anew, with it.
                Err(Error::Store(error)) if error.kind() == StoreErrorKind::Conflict && tries < TRIES => {
                    tries += 1;
                }
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        if retained.dropped > 0 {
            let event = AuditEvent::new("audit_log.retained")
                .with_category("audit_log")
                .with_target(Target::new("audit_log", scope.tenant().as_str()))
                .with_metadata("dropped", retained.dropped);
            self.record(scope, event).await?;
        }
        Ok(retained)
    }

    async fn retain_once(
        &self,
        scope: &Scope,
        policy: &Retention,
        limit: u64,
        retained: &mut Retained,
    ) -> Result<(), Error> {
        let now = self.config().now();
        let (notes, holds) = self.holds_as_stored(scope).await?;
        let mut not: Vec<Query> = holds.into_iter().map(|hold| hold.query).collect();
        for rule in &policy.rules {
            let keep = TimeDelta::from_std(rule.keep).ok().and_then(|keep| now.checked_sub_signed(keep));
            if let Some(before) = keep {
                let others = not.iter().cloned().map(Query::negate);
                let query = others.fold(rule.query.clone(), Query::and);
                let left = limit - retained.dropped;
                let plan = self.plan(scope, &query).await?;
                let drop = Drop::new(&plan, before, left).with_holds(&notes);
                retained.dropped += self.store().drop_bodies(scope, &drop).await?;
            }
            if retained.dropped >= limit {
                retained.more = true;
                break;
            }
            not.push(rule.query.clone());
        }
        Ok(())
    }
}
