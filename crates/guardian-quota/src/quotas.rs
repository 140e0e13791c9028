use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::{HashMap, HashMapExt};
use guardian_core::{
    Clock, EventSink, IdSource, NullSink, Scope, StoreError, StoreErrorKind, SystemClock, SystemIds,
    Timestamp,
};
use parking_lot::RwLock;
use serde_json::Value;

use crate::account::Account;
use crate::call::{Action, Call};
use crate::store::{AccountState, Executed, QuotaStore};
use crate::subscription::Resolved;
use crate::terms::MeterTerms;
use crate::{
    Aggregation, Balance, Decision, Entry, Error, Feature, FeatureName, Happened, Hold, InvalidPlan,
    MemoryStore, Plan, PlanName, Posted, Replay, Subject, Usage,
};

mod admin;

/// Quotas: what tenants may use, what they use, and what they have left.
///
/// Cloning is cheap, and clones share everything. See the [crate's page](crate) for an example.
pub struct Quotas<S> {
    inner: Arc<Inner<S>>,
}

struct Inner<S> {
    store: S,
    plans: RwLock<HashMap<PlanName, Arc<Plan>>>,
    /// What tenants have, as far as it was asked for. A store refuses calls that go by an old one.
    resolved: Box<[Known]>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    events: Arc<dyn EventSink>,
    /// The catalog as it is: a number that no other one of the process has.
    epoch: AtomicU64,
}

/// Tenants by their digest.
type Known = RwLock<HashMap<u128, Kept>>;

/// What a tenant has, as it was looked up.
#[derive(Clone)]
struct Kept {
    resolved: Arc<Resolved>,
    /// The catalog that its plan is from; under another one it is looked up anew.
    epoch: u64,
    at: Timestamp,
}

impl<S> Clone for Quotas<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<S: fmt::Debug> fmt::Debug for Quotas<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quotas").field("store", &self.inner.store).finish_non_exhaustive()
    }
}

impl Quotas<MemoryStore> {
    /// Quotas in this process's memory, on the system's clock.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn in_memory(plans: impl IntoIterator<Item = Plan>) -> Result<Self, Error> {
        Self::new(MemoryStore::new(), plans)
    }
}

const SHARDS: usize = 16;
/// More tenants than this in a shard are looked up anew.
const MAX_RESOLVED: usize = 10_000;
/// For how long answers go by a subscription that no store looks over.
const MAX_AGE: chrono::TimeDelta = chrono::TimeDelta::seconds(5);
/// How often a call is asked again with a newer subscription.
const MAX_STALE: u32 = 16;
/// How far in the future an event may have happened, by clocks that differ.
const AHEAD: chrono::TimeDelta = chrono::TimeDelta::minutes(5);

impl<S: QuotaStore> Quotas<S> {
    /// The longest that units can be held for without extending the hold: 30 days.
    pub const MAX_HOLD: Duration = Duration::from_secs(30 * 86_400);

    /// Quotas of these plans in a store.
    ///
    /// # Errors
    /// When a plan says something that cannot be, or two have one name.
    pub fn new(store: S, plans: impl IntoIterator<Item = Plan>) -> Result<Self, Error> {
        let mut catalog = HashMap::new();
        for plan in plans {
            plan.check()?;
            let name = plan.name.clone();
            if catalog.insert(name.clone(), Arc::new(plan)).is_some() {
                return Err(InvalidPlan::new("catalog", format!("there are two plans `{name}`")).into());
            }
        }
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                plans: RwLock::new(catalog),
                resolved: std::iter::repeat_with(RwLock::default).take(SHARDS).collect(),
                clock: Arc::new(SystemClock::new()),
                ids: Arc::new(SystemIds::new()),
                events: Arc::new(NullSink),
                epoch: AtomicU64::new(next_epoch()),
            }),
        })
    }

    /// The same on another clock.
    ///
    /// # Errors
    /// When clones exist already, which would go by the old one.
    pub fn with_clock(self, clock: impl Clock) -> Result<Self, Error> {
        self.rebuilt(|inner| inner.clock = Arc::new(clock))
    }

    /// The same with another source of ids.
    ///
    /// # Errors
    /// As for [`Self::with_clock`].
    pub fn with_ids(self, ids: impl IdSource) -> Result<Self, Error> {
        self.rebuilt(|inner| inner.ids = Arc::new(ids))
    }

    /// The same telling a sink of what administrators do, for the audit log: `quota.subscribed`, `quota.plan_changed`,
    /// `quota.limit_changed`, `quota.limits_changed` (by [`Self::set_limits`], for each hundred), `quota.granted`, `quota.adjusted`, `quota.given_back` (by [`Self::give_back_because`]), `quota.reset`.
    ///
    /// # Errors
    /// As for [`Self::with_clock`].
    pub fn with_events(self, events: impl EventSink) -> Result<Self, Error> {
        self.rebuilt(|inner| inner.events = Arc::new(events))
    }

    fn rebuilt(self, change: impl FnOnce(&mut Inner<S>)) -> Result<Self, Error> {
        let mut inner = self.inner;
        let Some(own) = Arc::get_mut(&mut inner) else {
            return Err(Error::range("the moment", "before the first clone is made"));
        };
        change(own);
        Ok(Self { inner })
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.inner.store
    }

    /// The time by its clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Puts a plan into the catalog, or another in its place: what it says holds from the next call on. Every process has
    /// a catalog of its own.
    ///
    /// # Errors
    /// When the plan says something that cannot be.
    pub fn define(&self, plan: Plan) -> Result<(), Error> {
        plan.check()?;
        self.inner.plans.write().insert(plan.name.clone(), Arc::new(plan));
        // After the plan: who reads this number finds the plan. What was made before it has another number, whenever it
        // is kept.
        self.inner.epoch.store(next_epoch(), Ordering::Release);
        for shard in &self.inner.resolved {
            shard.write().clear();
        }
        Ok(())
    }

    /// The plans of this process's catalog, by their names.
    #[must_use]
    pub fn plans(&self) -> Vec<Arc<Plan>> {
        let mut plans: Vec<_> = self.inner.plans.read().values().cloned().collect();
        plans.sort_by(|a, b| a.name.cmp(&b.name));
        plans
    }

    #[inline]
    fn epoch(&self) -> u64 {
        self.inner.epoch.load(Ordering::Acquire)
    }

    fn plan(&self, name: &PlanName) -> Result<Arc<Plan>, Error> {
        let found = self.inner.plans.read().get(name).cloned();
        found.ok_or_else(|| Error::UnknownPlan(name.to_string()))
    }

    fn shard(&self, scope: &Scope) -> Option<&Known> {
        let [first, ..] = scope.tenant().digest().to_be_bytes();
        self.inner.resolved.get(usize::from(first) % SHARDS)
    }

    /// What is kept of a tenant, of the catalog as it is.
    fn kept(&self, scope: &Scope) -> Option<Kept> {
        let kept = self.shard(scope)?.read().get(&scope.tenant().digest()).cloned();
        kept.filter(|kept| kept.epoch == self.epoch())
    }

    /// What a tenant has, of any age: for calls that the store refuses when the subscription was changed.
    async fn resolved(&self, scope: &Scope) -> Result<Arc<Resolved>, Error> {
        match self.kept(scope) {
            Some(kept) => Ok(kept.resolved),
            None => self.resolve(scope).await,
        }
    }

    /// What a tenant has, a few seconds old at most: for answers that no store looks over.
    async fn fresh(&self, scope: &Scope) -> Result<Arc<Resolved>, Error> {
        let now = self.now();
        match self.kept(scope) {
            Some(kept) if kept.at <= now && now - kept.at < MAX_AGE => Ok(kept.resolved),
            _ => self.resolve(scope).await,
        }
    }

    /// Looks the subscription up, whatever is known.
    async fn resolve(&self, scope: &Scope) -> Result<Arc<Resolved>, Error> {
        // Both before what they are about: it is younger than they say, never older.
        let (epoch, at) = (self.epoch(), self.now());
        let found = self.inner.store.subscription(scope).await?;
        let subscription = found.ok_or_else(|| Error::NoSubscription(scope.tenant().to_string()))?;
        let plan = self.plan(&subscription.plan)?;
        let resolved = Arc::new(Resolved::new(&subscription, plan));
        self.keep(scope, Kept { resolved: Arc::clone(&resolved), epoch, at });
        Ok(resolved)
    }

    fn keep(&self, scope: &Scope, kept: Kept) {
        let Some(shard) = self.shard(scope) else { return };
        let mut shard = shard.write();
        if shard.len() >= MAX_RESOLVED {
            shard.clear();
        }
        shard.insert(scope.tenant().digest(), kept);
    }

    fn forget(&self, scope: &Scope) {
        if let Some(shard) = self.shard(scope) {
            shard.write().remove(&scope.tenant().digest());
        }
    }

    fn terms(resolved: &Resolved, feature: &FeatureName) -> Result<Arc<MeterTerms>, Error> {
        if let Some(terms) = resolved.meters.get(feature) {
            return Ok(Arc::clone(terms));
        }
        Err(match resolved.plan.features.get(feature) {
            Some(_) => Error::kind(feature, "has no meter"),
            None => {
                Error::UnknownFeature { plan: resolved.plan.name.to_string(), feature: feature.to_string() }
            }
        })
    }

    /// The meter of what a call goes by, or of what the tenant has now: its plan may have got the meter since.
    async fn terms_of(
        &self,
        scope: &Scope,
        resolved: &Resolved,
        feature: &FeatureName,
    ) -> Result<Arc<MeterTerms>, Error> {
        match Self::terms(resolved, feature) {
            Ok(terms) => Ok(terms),
            Err(_) => Self::terms(&*self.fresh(scope).await?, feature),
        }
    }

    /// The meter as the tenant's plan has it.
    pub(crate) async fn meter(&self, scope: &Scope, feature: &FeatureName) -> Result<Arc<MeterTerms>, Error> {
        Self::terms(&*self.fresh(scope).await?, feature)
    }

    /// All meters of the tenant's plan.
    pub(crate) async fn meters(&self, scope: &Scope) -> Result<Vec<Arc<MeterTerms>>, Error> {
        Ok(self.fresh(scope).await?.meters.values().cloned().collect())
    }

    /// Whether the tenant's plan has a feature: a switch that is on, or a setting or a meter that is there. A change of plan by
    /// another process shows within five seconds.
    ///
    /// # Errors
    /// When the tenant has no subscription, its plan is unknown, or the store fails.
    pub async fn has(&self, scope: &Scope, feature: &str) -> Result<bool, Error> {
        let resolved = self.fresh(scope).await?;
        Ok(match resolved.plan.features.get(feature) {
            Some(Feature::Boolean(on)) => *on,
            Some(_) => true,
            None => false,
        })
    }

    /// The setting of the tenant's plan under this name.
    ///
    /// # Errors
    /// As for [`Self::has`].
    pub async fn setting(&self, scope: &Scope, feature: &str) -> Result<Option<Value>, Error> {
        let resolved = self.fresh(scope).await?;
        Ok(match resolved.plan.features.get(feature) {
            Some(Feature::Static(value)) => Some(value.clone()),
            _ => None,
        })
    }

    /// Spends, if every level has enough; else nothing changes anywhere.
    ///
    /// An amount of 0 of a meter that adds up is allowed and writes nothing: the decision has no
    /// [`entry`](Decision::entry), and the key stays free. To meters of the maximum, of different values and of what is
    /// reported last it is a report like any other.
    ///
    /// # Errors
    /// When nothing could be decided: the tenant has no subscription, its plan lacks the meter, the key was used for
    /// something else, or the store fails.
    pub async fn consume(&self, scope: &Scope, usage: &Usage) -> Result<Decision, Error> {
        self.consume_at(scope, usage, self.now()).await
    }

    /// The same at a time that the host read already.
    ///
    /// # Errors
    /// As for [`Self::consume`].
    pub async fn consume_at(&self, scope: &Scope, usage: &Usage, now: Timestamp) -> Result<Decision, Error> {
        if let Some(decision) = self.consume_at_once(scope, usage, now) {
            return Ok(decision);
        }
        let action = |terms: &MeterTerms| {
            check_value(terms, usage)?;
            Ok(Action::Consume { amount: usage.amount, value: usage.value })
        };
        self.run(scope, usage, now, action).await
    }

    /// The same without waiting, where the store can: memory, and a call that has no key and of which nothing is special.
    /// `None` changes nothing, and [`Self::consume`] decides.
    #[inline]
    #[must_use]
    pub fn consume_at_once(&self, scope: &Scope, usage: &Usage, now: Timestamp) -> Option<Decision> {
        if usage.key.is_some() || usage.value.is_some() || usage.amount == 0 {
            return None;
        }
        self.inner.store.consume_at_once(scope, usage, self.epoch(), now)
    }

    /// Whether [`Self::consume`] would be allowed now. Nothing changes, and nothing is promised: between a check and what
    /// follows others use the same units. [`Self::reserve`] promises.
    ///
    /// # Errors
    /// As for [`Self::consume`].
    pub async fn check(&self, scope: &Scope, usage: &Usage) -> Result<Decision, Error> {
        let now = self.now();
        let action = Action::Consume { amount: usage.amount, value: usage.value };
        let (call, states) = self.look(scope, &usage.feature, &usage.subject, &action, now).await?;
        check_value(&call.terms, usage)?;
        Ok(call.look(states))
    }

    /// The accounts that a call would touch, by the subscription as it is.
    async fn look(
        &self,
        scope: &Scope,
        feature: &FeatureName,
        subject: &Subject,
        action: &Action,
        now: Timestamp,
    ) -> Result<(Call, Vec<Account>), Error> {
        // Read before the terms: terms of a newer catalog under an older number are looked up once more, and no others.
        let epoch = self.epoch();
        let mut resolved = self.resolved(scope).await?;
        for _ in 0..MAX_STALE {
            let call = Call {
                epoch,
                scope: scope.clone(),
                terms: self.terms_of(scope, &resolved, feature).await?,
                subject: subject.clone(),
                action: action.clone(),
                key: None,
                note: None,
                now,
            };
            if let Some(states) = self.inner.store.accounts(&call).await? {
                return Ok((call, states.into_iter().map(|AccountState(account)| account).collect()));
            }
            resolved = self.resolve(scope).await?;
        }
        Err(StoreError::new(StoreErrorKind::Conflict, "quota").into())
    }

    /// Notes what was used already. It is never denied, and may exceed every limit. An event of a period that is over becomes
    /// a correction of that period; the present one is not touched. An amount of 0 is as for [`Self::consume`].
    ///
    /// # Errors
    /// As for [`Self::consume`], and when it happened more than five minutes from now.
    pub async fn record(&self, scope: &Scope, event: &Happened) -> Result<Posted, Error> {
        let now = self.now();
        if event.at > now + AHEAD {
            return Err(Error::range("the time of the event", "at most five minutes from now"));
        }
        let usage = &event.usage;
        let action = |terms: &MeterTerms| {
            check_value(terms, usage)?;
            Ok(Action::Record { amount: usage.amount, value: usage.value, at: event.at })
        };
        Ok(self.run(scope, usage, now, action).await?.into())
    }

    /// Holds units for a time, if every level has enough. A hold is no spending: it becomes that by [`Self::commit`], and
    /// ends by [`Self::release`] or by itself.
    ///
    /// # Errors
    /// As for [`Self::consume`]; when the meter does not add up, the amount is 0, or the time is none of 1 ms to
    /// [`Self::MAX_HOLD`].
    pub async fn reserve(&self, scope: &Scope, usage: &Usage, ttl: Duration) -> Result<Decision, Error> {
        self.hold(scope, usage, ttl, false).await
    }

    /// The same for a caller who may close holds, but not the host's own: the hold tells that it was made so, see
    /// [`Hold::is_callers`]. Whoever takes commits and releases of callers looks at that first.
    ///
    /// # Errors
    /// As for [`Self::reserve`].
    pub async fn reserve_for_caller(
        &self,
        scope: &Scope,
        usage: &Usage,
        ttl: Duration,
    ) -> Result<Decision, Error> {
        self.hold(scope, usage, ttl, true).await
    }

    async fn hold(
        &self,
        scope: &Scope,
        usage: &Usage,
        ttl: Duration,
        is_callers: bool,
    ) -> Result<Decision, Error> {
        let now = self.now();
        let expires = hold_end(now, ttl)?;
        if usage.amount == 0 {
            return Err(Error::range("the amount of a hold", "at least 1"));
        }
        let id = Hold::mark(self.inner.ids.next_id(now), is_callers);
        let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let action = |terms: &MeterTerms| {
            adds_up(terms)?;
            Ok(Action::Reserve { id, amount: usage.amount, expires, ttl: millis })
        };
        self.run(scope, usage, now, action).await
    }

    /// Spends what was held, or another amount; the rest of the hold is free again. What a commit beyond the hold or after
    /// its end may do is a rule of the meter. The spending counts for the period in which the hold was made.
    ///
    /// A repetition with the same amount changes nothing and gets the same answer.
    ///
    /// # Errors
    /// [`Error::HoldClosed`] when it was released, or committed with another amount; [`Error::UnknownHold`]; and as for
    /// [`Self::consume`].
    pub async fn commit(&self, scope: &Scope, hold: &Hold, actual: u64) -> Result<Decision, Error> {
        let usage = Usage::of(hold.feature.as_str(), &hold.subject, actual)?;
        let action =
            |_: &MeterTerms| Ok(Action::Commit { id: hold.id, amount: actual, expires: hold.expires });
        self.run(scope, &usage, self.now(), action).await
    }

    /// Makes a hold last for so long from now; never shorter than it does.
    ///
    /// # Errors
    /// [`Error::UnknownHold`] when it has ended or was closed; and as for [`Self::consume`].
    pub async fn extend(&self, scope: &Scope, hold: &Hold, ttl: Duration) -> Result<Hold, Error> {
        let now = self.now();
        let expires = hold_end(now, ttl)?.max(hold.expires);
        let usage = Usage::of(hold.feature.as_str(), &hold.subject, hold.amount)?;
        let action = |_: &MeterTerms| Ok(Action::Extend { id: hold.id, expires });
        drop(self.run(scope, &usage, now, action).await?);
        Ok(Hold { expires, ..hold.clone() })
    }

    /// Gives up a hold; nothing was spent. A hold that ended by itself is none to give up, and no error.
    ///
    /// # Errors
    /// [`Error::HoldClosed`] when it was committed; and as for [`Self::consume`].
    pub async fn release(&self, scope: &Scope, hold: &Hold) -> Result<(), Error> {
        let now = self.now();
        let usage = Usage::of(hold.feature.as_str(), &hold.subject, 0)?;
        match self.run(scope, &usage, now, |_: &MeterTerms| Ok(Action::Release { id: hold.id })).await {
            Ok(_) => Ok(()),
            Err(Error::UnknownHold { .. }) if hold.expires <= now => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How a subject's account stands.
    ///
    /// # Errors
    /// As for [`Self::consume`].
    pub async fn balance(&self, scope: &Scope, feature: &str, subject: &Subject) -> Result<Balance, Error> {
        let feature = FeatureName::new(feature)?;
        let now = self.now();
        // A call that would touch the subject's own account, whether it has a limit or not.
        let probe = crate::grant::GrantState {
            id: uuid::Uuid::nil(),
            amount: 0,
            left: 0,
            priority: 0,
            starts: 0,
            expires: 0,
            created: 0,
        };
        let (call, states) =
            self.look(scope, &feature, subject, &Action::Grant { grant: probe, starts: None }, now).await?;
        let (rungs, time) = (call.rungs(), call.time(&states));
        let mut account = states.into_iter().last().unwrap_or_default();
        let rung = rungs.last().ok_or_else(|| StoreError::new(StoreErrorKind::Internal, "quota"))?;
        account.settle(rung.terms, rung.digest, time);
        Ok(Balance::new(&feature, subject, rung.terms, &account, crate::period::moment(time)))
    }

    /// At most `limit` entries of a meter's ledger after a number, in their order.
    ///
    /// # Errors
    /// When the name is none, or the store fails.
    pub async fn entries(
        &self,
        scope: &Scope,
        feature: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Entry>, Error> {
        Ok(self
            .inner
            .store
            .entries(scope, &FeatureName::new(feature)?, after, limit.min(MAX_ENTRIES))
            .await?)
    }

    /// The whole ledger of a meter, added up anew: what the balances must be.
    ///
    /// # Errors
    /// As for [`Self::consume`].
    pub async fn replay(&self, scope: &Scope, feature: &str) -> Result<Replay, Error> {
        let feature = FeatureName::new(feature)?;
        let terms = self.meter(scope, &feature).await?;
        let mut replay = Replay::new(terms.meter.aggregation);
        let mut after = 0;
        loop {
            let entries = self.inner.store.entries(scope, &feature, after, MAX_ENTRIES).await?;
            let Some(last) = entries.last() else { return Ok(replay) };
            after = last.seq;
            entries.iter().for_each(|entry| replay.add(entry));
        }
    }

    /// Runs a call, again with the newer subscription when it was changed meanwhile.
    async fn run(
        &self,
        scope: &Scope,
        usage: &Usage,
        now: Timestamp,
        action: impl Fn(&MeterTerms) -> Result<Action, Error>,
    ) -> Result<Decision, Error> {
        self.run_noted(scope, usage, now, None, action).await
    }

    async fn run_noted(
        &self,
        scope: &Scope,
        usage: &Usage,
        now: Timestamp,
        note: Option<&str>,
        action: impl Fn(&MeterTerms) -> Result<Action, Error>,
    ) -> Result<Decision, Error> {
        let epoch = self.epoch();
        let mut resolved = self.resolved(scope).await?;
        for _ in 0..MAX_STALE {
            let terms = self.terms_of(scope, &resolved, &usage.feature).await?;
            let call = Call {
                epoch,
                scope: scope.clone(),
                action: action(&terms)?,
                terms,
                subject: usage.subject.clone(),
                key: usage.key.clone(),
                note: note.map(Into::into),
                now,
            };
            match self.inner.store.execute(&call).await? {
                Executed::Decided(decision) => return Ok(decision),
                Executed::Stale => resolved = self.resolve(scope).await?,
            }
        }
        Err(StoreError::new(StoreErrorKind::Conflict, "quota").into())
    }
}

/// A number for a catalog.
fn next_epoch() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The most entries that are read at a time.
pub(crate) const MAX_ENTRIES: u32 = 10_000;

fn hold_end(now: Timestamp, ttl: Duration) -> Result<Timestamp, Error> {
    let range = || Error::range("the time of a hold", "1 ms to 30 days");
    if ttl < Duration::from_millis(1) || ttl > Quotas::<MemoryStore>::MAX_HOLD {
        return Err(range());
    }
    now.checked_add_signed(chrono::TimeDelta::from_std(ttl).map_err(|_| range())?).ok_or_else(range)
}

fn adds_up(terms: &MeterTerms) -> Result<(), Error> {
    if terms.meter.aggregation.adds_up() {
        return Ok(());
    }
    Err(Error::kind(&terms.feature, "does not add up: nothing of it can be held or corrected"))
}

fn check_value(terms: &MeterTerms, usage: &Usage) -> Result<(), Error> {
    match (terms.meter.aggregation, usage.value) {
        (Aggregation::Unique, None) => {
            Err(Error::kind(&usage.feature, "counts different values, and none was given"))
        }
        (Aggregation::Unique, Some(_)) | (_, None) => Ok(()),
        (_, Some(_)) => Err(Error::kind(&usage.feature, "does not count values")),
    }
}

#[cfg(test)]
mod tests {
    use guardian_core::TenantId;

    use super::*;
    use crate::Subscription;

    #[tokio::test]
    async fn what_was_looked_up_before_a_plan_is_not_used_after_it() -> Result<(), Error> {
        let plan = |on| -> Result<Plan, Error> {
            let (name, feature) = (PlanName::new("p")?, FeatureName::new("sso")?);
            Ok(Plan::new(name).with_feature(feature, Feature::Boolean(on)))
        };
        let quotas = Quotas::in_memory([plan(false)?])?;
        let tenant = TenantId::new("acme").unwrap();
        let scope = Scope::system(tenant);
        quotas.subscribe(&scope, Subscription::new(PlanName::new("p")?, quotas.now())).await?;
        assert!(!quotas.has(&scope, "sso").await?);
        // A call that looked up slowly keeps what it found after the catalog was changed.
        let slow = quotas.kept(&scope).unwrap();
        quotas.define(plan(true)?)?;
        quotas.keep(&scope, slow);
        assert!(quotas.has(&scope, "sso").await?);
        Ok(())
    }
}
