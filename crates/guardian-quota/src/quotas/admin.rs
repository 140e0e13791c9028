//! What administrators do. Each tells the event sink, after it is done.

use std::collections::BTreeSet;

use guardian_core::{Event, Scope, StoreError, StoreErrorKind};
use serde_json::{Value, json};

use super::{Quotas, adds_up};
use crate::call::Action;
use crate::store::QuotaStore;
use crate::terms::MeterTerms;
use crate::{Error, FeatureName, Grant, Limit, PlanName, Posted, Proration, Subject, Subscription, Usage};

/// How often a change of a subscription is tried against others.
const MAX_TRIES: u32 = 16;

impl<S: QuotaStore> Quotas<S> {
    /// Gives a tenant its subscription: once, when it becomes a customer, not at every start of a process. Whether it has one
    /// tells [`subscription`](Self::subscription); another plan comes by [`change_plan`](Self::change_plan).
    ///
    /// # Errors
    /// [`Error::AlreadySubscribed`] when the tenant has one; when the plan is unknown, or the store fails.
    pub async fn subscribe(&self, scope: &Scope, subscription: Subscription) -> Result<(), Error> {
        self.plan(&subscription.plan)?;
        let subscription = Subscription { revision: 1, ..subscription };
        if !self.inner.store.subscribe(scope, &subscription).await? {
            return Err(Error::AlreadySubscribed(scope.tenant().to_string()));
        }
        self.forget(scope);
        let data =
            json!({ "plan": subscription.plan, "anchor": subscription.anchor, "zone": subscription.zone() });
        self.tell(scope, "quota.subscribed", data).await
    }

    /// The tenant's subscription; `None` when it was never given one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn subscription(&self, scope: &Scope) -> Result<Option<Subscription>, Error> {
        Ok(self.inner.store.subscription(scope).await?)
    }

    /// Moves a tenant to another plan, now.
    ///
    /// # Errors
    /// When one of the plans is unknown, the tenant has no subscription, or the store fails.
    pub async fn change_plan(
        &self,
        scope: &Scope,
        plan: &PlanName,
        how: Proration,
    ) -> Result<Subscription, Error> {
        self.move_to(scope, None, plan, how).await
    }

    /// The same from a revision that was read, so that two administrators do not undo each other's work.
    ///
    /// # Errors
    /// [`Error::Changed`] when the subscription is at another revision; and as for [`change_plan`](Self::change_plan).
    pub async fn change_plan_at(
        &self,
        scope: &Scope,
        revision: u64,
        plan: &PlanName,
        how: Proration,
    ) -> Result<Subscription, Error> {
        self.move_to(scope, Some(revision), plan, how).await
    }

    async fn move_to(
        &self,
        scope: &Scope,
        revision: Option<u64>,
        plan: &PlanName,
        how: Proration,
    ) -> Result<Subscription, Error> {
        let new = self.plan(plan)?;
        let now = self.now();
        let mut before = None;
        let changed = self
            .change(scope, revision, |current| {
                let old = self.plan(&current.plan)?;
                before = Some(current.plan.clone());
                Ok(current.changed(&old, &new, now, how))
            })
            .await?;
        let data = json!({ "from": before, "to": plan, "proration": how });
        self.tell(scope, "quota.plan_changed", data).await?;
        Ok(changed)
    }

    /// Gives one subject a limit of its own, or with `None` that of the plan again.
    ///
    /// # Errors
    /// When the plan lacks the meter, the limit cannot be, there are too many of them, or the store fails.
    pub async fn set_limit(
        &self,
        scope: &Scope,
        feature: &str,
        subject: &Subject,
        limit: Option<Limit>,
    ) -> Result<Subscription, Error> {
        self.limit_to(scope, None, feature, subject, limit).await
    }

    /// The same from a revision of the subscription that was read.
    ///
    /// # Errors
    /// [`Error::Changed`] when the subscription is at another revision; and as for [`set_limit`](Self::set_limit).
    pub async fn set_limit_at(
        &self,
        scope: &Scope,
        revision: u64,
        feature: &str,
        subject: &Subject,
        limit: Option<Limit>,
    ) -> Result<Subscription, Error> {
        self.limit_to(scope, Some(revision), feature, subject, limit).await
    }

    async fn limit_to(
        &self,
        scope: &Scope,
        revision: Option<u64>,
        feature: &str,
        subject: &Subject,
        limit: Option<Limit>,
    ) -> Result<Subscription, Error> {
        let changed = self.change_limits(scope, revision, &[(feature, subject, limit.as_ref())]).await?;
        let data = json!({ "feature": feature, "subject": subject, "limit": limit });
        self.tell(scope, "quota.limit_changed", data).await?;
        Ok(changed)
    }

    /// Gives many subjects limits of their own, or takes them back, all or none, from a revision of the subscription that was read where one is
    /// named. An event `quota.limits_changed` tells of a hundred of them.
    ///
    /// # Errors
    /// What each alone would meet; none at all, or one that is named twice; nothing is changed then. [`Error::Changed`] when the subscription
    /// is at another revision. When the sink of events fails, they are changed, and not all of it was told.
    pub async fn set_limits(
        &self,
        scope: &Scope,
        revision: Option<u64>,
        limits: &[(String, Subject, Option<Limit>)],
    ) -> Result<Subscription, Error> {
        /// What an event of it has room for, whatever the limits are.
        const TOLD: usize = 100;
        let named: BTreeSet<_> =
            limits.iter().map(|(feature, subject, _)| (feature, subject.to_string())).collect();
        if named.is_empty() || named.len() < limits.len() {
            return Err(Error::range(
                "the list of limits",
                "at least one, each feature and subject named once",
            ));
        }
        let each: Vec<_> = limits
            .iter()
            .map(|(feature, subject, limit)| (feature.as_str(), subject, limit.as_ref()))
            .collect();
        let changed = self.change_limits(scope, revision, &each).await?;
        for some in each.chunks(TOLD) {
            let some = some.iter().map(
                |(feature, subject, limit)| json!({ "feature": feature, "subject": subject, "limit": limit }),
            );
            self.tell(scope, "quota.limits_changed", json!({ "limits": some.collect::<Vec<_>>() })).await?;
        }
        Ok(changed)
    }

    async fn change_limits(
        &self,
        scope: &Scope,
        revision: Option<u64>,
        limits: &[(&str, &Subject, Option<&Limit>)],
    ) -> Result<Subscription, Error> {
        let mut named = Vec::with_capacity(limits.len());
        for (feature, subject, limit) in limits {
            let feature = FeatureName::new(feature)?;
            let terms = self.meter(scope, &feature).await?;
            if let Some(limit) = limit {
                limit.check(terms.meter.aggregation)?;
            }
            named.push((feature, *subject, *limit));
        }
        self.change(scope, revision, |current| {
            let mut next = current.clone();
            for (feature, subject, limit) in &named {
                next.set_override(feature, subject, limit.cloned())?;
            }
            Ok(next)
        })
        .await
    }

    async fn change(
        &self,
        scope: &Scope,
        wanted: Option<u64>,
        mut change: impl FnMut(&Subscription) -> Result<Subscription, Error>,
    ) -> Result<Subscription, Error> {
        for _ in 0..MAX_TRIES {
            let current = self.inner.store.subscription(scope).await?;
            let current = current.ok_or_else(|| Error::NoSubscription(scope.tenant().to_string()))?;
            if wanted.is_some_and(|wanted| wanted != current.revision) {
                return Err(Error::Changed { revision: current.revision });
            }
            let next = Subscription { revision: current.revision + 1, ..change(&current)? };
            if self.inner.store.subscribe(scope, &next).await? {
                self.forget(scope);
                return Ok(next);
            }
        }
        Err(StoreError::new(StoreErrorKind::Conflict, "quota").into())
    }

    /// Gives a subject units besides what its plan includes. Under an id of the caller's a repetition changes nothing.
    ///
    /// # Errors
    /// When the meter does not add up or has no limit at that level, the grant ends before it begins, the id was used for another
    /// one, the subject has 256 grants that are not used up, or the store fails.
    pub async fn grant(
        &self,
        scope: &Scope,
        feature: &str,
        subject: &Subject,
        grant: &Grant,
    ) -> Result<Posted, Error> {
        let now = self.now();
        let id = grant.id.unwrap_or_else(|| self.inner.ids.next_id(now));
        let state = grant.opened(id, now)?;
        let starts = grant.starts.map(|at| at.timestamp_micros());
        let usage = Usage::of(feature, subject, 0)?;
        let action = |terms: &MeterTerms| {
            adds_up(terms)?;
            if !terms.limits(subject) {
                return Err(Error::kind(
                    &terms.feature,
                    "has no limit at that level, so a grant would not be used",
                ));
            }
            Ok(Action::Grant { grant: state.clone(), starts })
        };
        let decision = self.run(scope, &usage, now, action).await?;
        let data = json!({ "feature": feature, "subject": subject, "grant": id, "amount": grant.amount });
        self.tell(scope, "quota.granted", data).await?;
        Ok(decision.into())
    }

    /// Corrects what was spent in the present period, up or down, at every level. Down to nothing at most.
    ///
    /// # Errors
    /// [`Error::MoreThanUsed`] when a level that has a limit used less than is to be taken back; when the meter does not add up or
    /// has a rolling window, or the store fails.
    pub async fn adjust(
        &self,
        scope: &Scope,
        feature: &str,
        subject: &Subject,
        amount: i64,
        why: &str,
    ) -> Result<Posted, Error> {
        let usage = Usage::of(feature, subject, 0)?;
        let posted = self.correct(scope, &usage, amount, Some(why)).await?;
        let data = json!({ "feature": feature, "subject": subject, "amount": amount, "why": why });
        self.tell(scope, "quota.adjusted", data).await?;
        Ok(posted)
    }

    /// Gives back what was consumed in the present period: a seat that is free again, a record that was deleted, a call that
    /// failed. Under a key a repetition changes nothing. No event: it is everyday work. Nothing given back writes nothing, as
    /// with [`consume`](Self::consume).
    ///
    /// Only levels that have a limit know what they used. Where the organisation alone has one, what is given back for a user
    /// who never took any is taken off the organisation's: give users a limit too, and it is an error.
    ///
    /// # Errors
    /// As for [`Self::adjust`].
    pub async fn give_back(&self, scope: &Scope, usage: &Usage) -> Result<Posted, Error> {
        let amount = i64::try_from(usage.amount).unwrap_or(i64::MAX);
        self.correct(scope, usage, -amount, None).await
    }

    /// [`give_back`](Self::give_back) by somebody who says why: it is kept in the ledger, and `quota.given_back` tells of it. What
    /// wrote nothing, as a repetition, tells nothing.
    ///
    /// # Errors
    /// As for [`Self::adjust`].
    pub async fn give_back_because(&self, scope: &Scope, usage: &Usage, why: &str) -> Result<Posted, Error> {
        let amount = i64::try_from(usage.amount).unwrap_or(i64::MAX);
        // A correction by nothing would be a line for its reason alone.
        let note = (amount != 0).then_some(why);
        let posted = self.correct(scope, usage, -amount, note).await?;
        if posted.entry.is_some() && !posted.replayed {
            let (feature, subject) = (&usage.feature, &usage.subject);
            let data = json!({ "feature": feature, "subject": subject, "amount": amount, "why": why });
            self.tell(scope, "quota.given_back", data).await?;
        }
        Ok(posted)
    }

    async fn correct(
        &self,
        scope: &Scope,
        usage: &Usage,
        amount: i64,
        why: Option<&str>,
    ) -> Result<Posted, Error> {
        let action = |terms: &MeterTerms| {
            adds_up(terms)?;
            Ok(Action::Adjust { amount: amount.into() })
        };
        Ok(self.run_noted(scope, usage, self.now(), why, action).await?.into())
    }

    /// Sets what a subject spent in the present period to nothing; what levels above it spent stays.
    ///
    /// # Errors
    /// When the meter does not add up, or the store fails.
    pub async fn reset(
        &self,
        scope: &Scope,
        feature: &str,
        subject: &Subject,
        why: &str,
    ) -> Result<Posted, Error> {
        let usage = Usage::of(feature, subject, 0)?;
        let action = |terms: &MeterTerms| {
            adds_up(terms)?;
            if terms.of(subject).cycle.rolling().is_some() {
                return Err(Error::kind(&terms.feature, "has a rolling window, which cannot be reset"));
            }
            Ok(Action::Reset)
        };
        let decision = self.run_noted(scope, &usage, self.now(), Some(why), action).await?;
        self.tell(scope, "quota.reset", json!({ "feature": feature, "subject": subject, "why": why }))
            .await?;
        Ok(decision.into())
    }

    async fn tell(&self, scope: &Scope, name: &str, data: Value) -> Result<(), Error> {
        let now = self.now();
        let event = Event::new(self.inner.ids.next_id(now), now, scope, name).with_data(data);
        Ok(self.inner.events.emit(event).await?)
    }
}
