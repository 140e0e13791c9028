//! The face: policies of all tenants, loaded, asked, changed and followed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use foldhash::{HashMap, HashMapExt as _};
use guardian_core::{
    ActorKind, Clock, Event, EventSink, IdSource, NullSink, Scope, SystemClock, SystemIds, TenantId,
    Timestamp,
};
use parking_lot::Mutex;

use crate::store::{News, PolicyStore};
use crate::{
    Ask, Catalog, Change, Decision, Error, Explanation, Outcome, PermissionRef, Policy, Principal, Resource,
    Revision, Snapshot,
};

mod audit;
mod lifecycle;
mod writes;

pub use audit::{DecisionEvents, Recorded};
pub use lifecycle::{ReviewItem, Swept};

use audit::Observed;

/// What is answered when the policy was not compared with the store for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnStale {
    /// The answer of the old policy.
    Serve,
    /// [`Error::Stale`], which protects.
    Refuse,
}

/// The policies of all tenants: ask it, change them through it.
///
/// A tenant's policy is loaded once and then kept in memory, compiled. A change made here is seen by the next check in this
/// process. Changes of other processes are seen after the next [`follow`](Self::follow): whoever calls it each 250 ms sees them
/// within 250 ms and the time of one read for each loaded tenant.
///
/// ```
/// use guardian_core::{Actor, Scope, TenantId};
/// use guardian_rbac::{Catalog, MemoryStore, NewGrant, Rbac, Resource, Role, Rule};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let catalog = Catalog::builder().permission("deal:read", "See deals").permission("deal:edit", "Change deals").build()?;
/// let rbac = Rbac::new(catalog, MemoryStore::new());
///
/// // The host itself sets up a tenant.
/// let host = Scope::system(TenantId::new("acme")?);
/// rbac.put_role(&host, Role::new("viewer")?.with(Rule::allow("*:read")?)).await?;
/// rbac.put_role(&host, Role::new("rep")?.inherits("viewer")?.with(Rule::allow("deal:*")?)).await?;
/// rbac.grant(&host, NewGrant::new("user:ann".parse()?, "rep", "joined sales")?).await?;
///
/// // In a request.
/// let ann = Scope::new(TenantId::new("acme")?, Actor::user("ann")?);
/// assert!(rbac.check(&ann, "deal:edit", Resource::tenant()).await?.is_allowed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Rbac {
    inner: Arc<Inner>,
    /// The revision that writes are based on, where they are based on one.
    base: Option<Revision>,
}

#[derive(Clone)]
struct Inner {
    catalog: Catalog,
    store: Arc<dyn PolicyStore>,
    sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    staleness: Option<(Duration, OnStale)>,
    decisions: DecisionEvents,
    tenants: Arc<ArcSwap<HashMap<TenantId, TenantPolicy>>>,
    observed: Arc<Observed>,
}

impl fmt::Debug for Rbac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rbac")
            .field("catalog", &self.inner.catalog)
            .field("store", &self.inner.store)
            .field("loaded", &self.inner.tenants.load().len())
            .finish_non_exhaustive()
    }
}

/// The policy of one tenant in memory. Clones are cheap and share it.
#[derive(Clone)]
pub struct TenantPolicy(Arc<Tenant>);

struct Tenant {
    id: TenantId,
    current: ArcSwap<Snapshot>,
    live: Mutex<Policy>,
    /// When it was last compared with the store, in nanoseconds of the monotonic clock.
    synced: AtomicU64,
}

impl fmt::Debug for TenantPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantPolicy")
            .field("tenant", &self.0.id)
            .field("snapshot", &**self.0.current.load())
            .finish_non_exhaustive()
    }
}

impl TenantPolicy {
    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.0.id
    }

    /// The policy as it is now. Many checks of one request should use one snapshot, so that all of them see the same.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.current.load_full()
    }

    /// The policy as plain data, copied.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.0.live.lock().clone()
    }
}

impl Rbac {
    /// Policies in this store, with the system's clock and ids, whose events nobody hears.
    #[must_use]
    pub fn new(catalog: Catalog, store: impl PolicyStore) -> Self {
        let inner = Inner {
            catalog,
            store: Arc::new(store),
            sink: Arc::new(NullSink),
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(SystemIds::new()),
            staleness: None,
            decisions: DecisionEvents::default(),
            tenants: Arc::new(ArcSwap::from_pointee(HashMap::new())),
            observed: Arc::default(),
        };
        Self { inner: Arc::new(inner), base: None }
    }

    fn with(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.inner);
        change(&mut inner);
        Self { inner: Arc::new(inner), base: self.base }
    }

    /// The same with events going to this sink.
    #[must_use]
    pub fn with_sink(self, sink: impl EventSink) -> Self {
        self.with(|inner| inner.sink = Arc::new(sink))
    }

    /// The same on this clock.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        self.with(|inner| inner.clock = Arc::new(clock))
    }

    /// The same with ids from here.
    #[must_use]
    pub fn with_ids(self, ids: impl IdSource) -> Self {
        self.with(|inner| inner.ids = Arc::new(ids))
    }

    /// The same with an answer for when a policy was not compared with the store for longer than this. Without it a policy in
    /// memory is served however old it is.
    #[must_use]
    pub fn with_staleness(self, most: Duration, then: OnStale) -> Self {
        self.with(|inner| inner.staleness = Some((most, then)))
    }

    /// The same with events for these decisions.
    #[must_use]
    pub fn with_decision_events(self, which: DecisionEvents) -> Self {
        self.with(|inner| inner.decisions = which)
    }

    /// The same for writes by somebody who has seen this revision of the policy: they fail with [`Error::Changed`] when the policy
    /// has another one, so that nobody overwrites what they have not seen. Without it a write holds for whatever is there.
    #[must_use]
    pub fn based_on(&self, revision: Revision) -> Self {
        Self { inner: Arc::clone(&self.inner), base: Some(revision) }
    }

    /// What its clock says: the moment that its decisions are made for.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// The permissions that there are.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// The policy of a tenant, if it is in memory.
    #[must_use]
    pub fn tenant(&self, tenant: &TenantId) -> Option<TenantPolicy> {
        self.inner.tenants.load().get(tenant).cloned()
    }

    /// Loads the policy of the scope's tenant, unless it is in memory.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn load(&self, scope: &Scope) -> Result<TenantPolicy, Error> {
        match self.tenant(scope.tenant()) {
            Some(known) => Ok(known),
            None => self.load_anew(scope).await,
        }
    }

    async fn load_anew(&self, scope: &Scope) -> Result<TenantPolicy, Error> {
        let started = self.inner.clock.monotonic();
        let before = self.tenant(scope.tenant()).map(|known| known.0.current.load().revision());
        let (revision, items) = self.inner.store.load(scope).await?;
        let policy = Policy::of(items);
        let snapshot = Arc::new(Snapshot::compile(&policy, &self.inner.catalog, revision)?);
        if let Some(known) = self.tenant(scope.tenant()) {
            let mut live = known.0.live.lock();
            // Somebody may have been faster, and what was written meanwhile must not be taken back: only a store that was behind
            // what was known before it was read began anew, as after a restore.
            let current = known.0.current.load().revision();
            let is_reset = before.is_some_and(|before| before > revision);
            if current <= revision || is_reset {
                *live = policy;
                known.0.current.store(snapshot);
            }
            known.0.synced.fetch_max(started.as_nanos(), Ordering::AcqRel);
            drop(live);
            return Ok(known);
        }
        let made = TenantPolicy(Arc::new(Tenant {
            id: scope.tenant().clone(),
            current: ArcSwap::new(snapshot),
            live: Mutex::new(policy),
            synced: AtomicU64::new(started.as_nanos()),
        }));
        self.inner.tenants.rcu(|tenants| {
            let mut tenants = HashMap::clone(tenants);
            tenants.entry(made.0.id.clone()).or_insert_with(|| made.clone());
            tenants
        });
        Ok(self.tenant(scope.tenant()).unwrap_or(made))
    }

    /// Forgets the policy of a tenant, which the next question loads anew. Handles of it end.
    pub fn unload(&self, tenant: &TenantId) {
        self.inner.tenants.rcu(|tenants| {
            let mut tenants = HashMap::clone(tenants);
            tenants.remove(tenant);
            tenants
        });
    }

    /// Brings the policy of a loaded tenant up to what the store has; returns its revision.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn refresh(&self, scope: &Scope) -> Result<Revision, Error> {
        let Some(tenant) = self.tenant(scope.tenant()) else {
            return Ok(self.load_anew(scope).await?.snapshot().revision());
        };
        let started = self.inner.clock.monotonic();
        let before = tenant.0.current.load().revision();
        match self.inner.store.since(scope, before).await? {
            News::Reload => {
                let reloaded = self.load_anew(scope).await?;
                Ok(reloaded.snapshot().revision())
            }
            News::Changes(news) => {
                let mut live = tenant.0.live.lock();
                for (revision, changes) in news {
                    let current = tenant.0.current.load_full();
                    if revision <= current.revision() {
                        continue;
                    }
                    let mut touched: Vec<Change> = changes.clone();
                    touched.extend(changes.into_iter().map(|change| live.apply(change)));
                    tenant.0.current.store(Arc::new(current.next(&live, &touched, revision)?));
                }
                drop(live);
                tenant.0.synced.fetch_max(started.as_nanos(), Ordering::AcqRel);
                Ok(tenant.0.current.load().revision())
            }
        }
    }

    /// Brings every loaded policy up to what the store has, delivers what is due, and notes which grants were used: the work
    /// that the host drives, each 250 ms say.
    ///
    /// # Errors
    /// The first fault of the store or the sink, after everything was tried.
    pub async fn follow(&self) -> Result<(), Error> {
        let tenants: Vec<TenantPolicy> = self.inner.tenants.load().values().cloned().collect();
        let mut first = Ok(());
        for tenant in tenants {
            let scope = Scope::system(tenant.0.id.clone());
            let done = self.refresh(&scope).await.map(drop);
            first = first.and(done);
            first = first.and(self.flush_uses(&scope).await);
            first = first.and(self.deliver(&scope).await.map(drop));
        }
        first.and(self.flush_decisions().await.map(drop))
    }

    /// Waits until another process says that it changed a policy, and brings that one up to date if it is loaded: what a change
    /// takes to be seen is then a notice and a read, some milliseconds. It hears PostgreSQL's notices; with other stores it waits
    /// for ever. Notices may be lost with a connection, so [`follow`](Self::follow) stays the floor:
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// use tokio::time::{MissedTickBehavior, interval};
    ///
    /// # async fn example(rbac: guardian_rbac::Rbac) {
    /// let mut turns = interval(Duration::from_millis(250));
    /// turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    /// loop {
    ///     tokio::select! {
    ///         // First, so that many notices do not keep it from its turn.
    ///         biased;
    ///         _ = turns.tick() => {}
    ///         heard = rbac.heed() => match heard {
    ///             Ok(()) => continue,
    ///             // A server that is away is asked again with the next turn, not at once.
    ///             Err(error) => {
    ///                 eprintln!("notices are not heard: {error}");
    ///                 turns.tick().await;
    ///             }
    ///         },
    ///     }
    ///     if let Err(error) = rbac.follow().await {
    ///         eprintln!("the policies may be old: {error}");
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store fails.
    pub async fn heed(&self) -> Result<(), Error> {
        match self.inner.store.changed().await? {
            Some(tenant) => {
                if self.tenant(&tenant).is_some() {
                    self.refresh(&Scope::system(tenant)).await?;
                }
                Ok(())
            }
            None => {
                let tenants: Vec<TenantId> = self.inner.tenants.load().keys().cloned().collect();
                for tenant in tenants {
                    self.refresh(&Scope::system(tenant)).await?;
                }
                Ok(())
            }
        }
    }

    /// Whether the scope's actor may do this; the policy is loaded if it is not in memory.
    ///
    /// # Errors
    /// [`Error::UnknownPermission`], [`Error::Stale`], or the store fails.
    pub async fn check<'a>(
        &self,
        scope: &'a Scope,
        permission: impl Into<PermissionRef<'a>>,
        resource: impl Into<Resource<'a>>,
    ) -> Result<Decision, Error> {
        self.load(scope).await?;
        self.check_local(scope, permission, resource)
    }

    /// The same without waiting for anything.
    ///
    /// # Errors
    /// [`Error::NotLoaded`] where the policy is not in memory, [`Error::UnknownPermission`], [`Error::Stale`].
    pub fn check_local<'a>(
        &self,
        scope: &'a Scope,
        permission: impl Into<PermissionRef<'a>>,
        resource: impl Into<Resource<'a>>,
    ) -> Result<Decision, Error> {
        self.ask_local(scope, &Ask::new(scope.actor(), permission).on(resource))
    }

    /// Answers any question about the scope's tenant, without waiting for anything.
    ///
    /// # Errors
    /// As for [`check_local`](Self::check_local).
    pub fn ask_local(&self, scope: &Scope, ask: &Ask<'_>) -> Result<Decision, Error> {
        let tenants = self.inner.tenants.load();
        let not_loaded = || Error::NotLoaded { tenant: scope.tenant().clone() };
        let tenant = tenants.get(scope.tenant()).ok_or_else(not_loaded)?;
        self.check_fresh(tenant)?;
        let snapshot = tenant.0.current.load();
        let now = self.inner.clock.now();
        let decision = snapshot.check(ask, now)?;
        self.observe(scope, ask, &snapshot, &decision, now);
        Ok(decision)
    }

    /// The same by a policy that is at least as new as a write: the [`Revision`] that the write returned. The policy is
    /// brought up to date if it is older.
    ///
    /// # Errors
    /// [`Error::TooOld`] where the store is older too, and as for [`check`](Self::check).
    pub async fn ask_at_least(
        &self,
        scope: &Scope,
        ask: &Ask<'_>,
        wanted: Revision,
    ) -> Result<Decision, Error> {
        let tenant = self.load(scope).await?;
        if tenant.0.current.load().revision() < wanted {
            let actual = self.refresh(scope).await?;
            if actual < wanted {
                return Err(Error::TooOld { actual, wanted });
            }
        }
        self.ask_local(scope, ask)
    }

    /// Why. For those who may read the policy: see [`REVIEW`](crate::REVIEW).
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    pub async fn explain(&self, scope: &Scope, ask: &Ask<'_>) -> Result<Explanation, Error> {
        self.load(scope).await?.snapshot().explain(ask, self.inner.clock.now())
    }

    fn check_fresh(&self, tenant: &TenantPolicy) -> Result<(), Error> {
        let Some((most, OnStale::Refuse)) = self.inner.staleness else { return Ok(()) };
        let now = self.inner.clock.monotonic();
        let age = now.since(guardian_core::MonoTime::from_nanos(tenant.0.synced.load(Ordering::Acquire)));
        if age <= most {
            return Ok(());
        }
        Err(Error::Stale { seconds: age.as_secs().saturating_add(1) })
    }

    /// Delivers events of changes that the sink has not taken yet; returns how many it took.
    ///
    /// # Errors
    /// When the store or the sink fails; the rest stays for the next time.
    pub async fn deliver(&self, scope: &Scope) -> Result<usize, Error> {
        const AT_ONCE: u32 = 100;
        let mut count = 0;
        loop {
            let events = self.inner.store.undelivered(scope, AT_ONCE).await?;
            if events.is_empty() {
                return Ok(count);
            }
            for event in events {
                let id = event.id;
                self.inner.sink.emit(event).await?;
                self.inner.store.delivered(scope, id).await?;
                count += 1;
            }
        }
    }

    fn event(&self, scope: &Scope, now: Timestamp, name: &str, data: serde_json::Value) -> Event {
        Event::new(self.inner.ids.next_id(now), now, scope, name).with_data(data)
    }

    /// Whether the actor is the host itself, which may do everything: it sets tenants up.
    fn is_host(scope: &Scope) -> bool {
        scope.actor().kind() == ActorKind::System
    }

    fn actor(scope: &Scope) -> Principal {
        Principal::from(scope.actor())
    }

    /// Notes in the store which grants decided something since this was last called.
    ///
    /// # Errors
    /// When the store fails; the uses are then noted the next time that the grants are used.
    pub async fn flush_uses(&self, scope: &Scope) -> Result<(), Error> {
        let Some(tenant) = self.tenant(scope.tenant()) else { return Ok(()) };
        let used: Vec<_> = tenant.snapshot().take_uses().iter().map(|grant| grant.id).collect();
        if used.is_empty() {
            return Ok(());
        }
        Ok(self.inner.store.record_uses(scope, &used, self.inner.clock.now()).await?)
    }

    /// Forgets the commits of a tenant but for the newest: processes that are further behind load its policy anew.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn prune(&self, scope: &Scope, keep: u32) -> Result<(), Error> {
        let revision = self.refresh(scope).await?;
        let up_to = Revision::new(revision.number().saturating_sub(i64::from(keep)));
        Ok(self.inner.store.prune(scope, up_to).await?)
    }

    /// When each grant was last used, as far as noted.
    async fn uses(&self, scope: &Scope) -> Result<BTreeMap<crate::GrantId, Timestamp>, Error> {
        self.flush_uses(scope).await?;
        Ok(self.inner.store.uses(scope).await?)
    }
}

/// Whether an outcome is one that clients hear as a refusal.
pub(crate) fn is_refusal(outcome: Outcome) -> bool {
    !outcome.is_allowed()
}
