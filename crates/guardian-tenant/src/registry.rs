use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guardian_core::{
    Clock, Event, EventSink, IdSource, NullSink, Page, PageRequest, Scope, StoreError, StoreErrorKind,
    SystemClock, SystemIds, TenantId,
};
use serde_json::{Value, json};

use crate::store::{TenantFilter, TenantStore, Written};
use crate::{Error, NewTenant, Platform, Profile, Status, Tenant, TenantChange, Transition, Version};

/// The tenants of the platform: who they are, what they have bought, where they are in their life.
///
/// Everything but [`own`](Self::own) is the platform's business and wants a [`Platform`]. Each change is stored
/// together with its event; the event then goes to the [`EventSink`], and when the sink fails it waits in the store for
/// [`deliver`](Self::deliver). So a sink sees the event of every change at least once, and never that of a change that
/// did not happen.
///
/// ```
/// use guardian_core::{Actor, Scope, TenantId};
/// use guardian_tenant::{MemoryStore, NewTenant, Platform, Registry};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let registry = Registry::new(MemoryStore::new());
/// let operator = Scope::new(TenantId::new("operator")?, Actor::user("ops_3")?);
/// let platform = Platform::new(operator, "sign-up form of the web site")?;
/// let id = TenantId::new("acme")?;
///
/// let acme = registry.create(&platform, NewTenant::new(id.clone(), "Acme", "team", "eu")?).await?;
/// let acme = registry.suspend(&platform, &id, acme.version, "unpaid").await?;
///
/// // A user of the tenant reads its profile, and no more than that.
/// let profile = registry.own(&Scope::new(id, Actor::user("ann")?)).await?;
/// assert_eq!(profile.status, "suspended");
/// # let _ = acme;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Registry {
    store: Arc<dyn TenantStore>,
    sink: Arc<dyn EventSink>,
    purger: Arc<dyn Purger>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    reserved: Vec<TenantId>,
}

impl Registry {
    /// A registry on this store, with the system's clock and ids, whose events nobody hears.
    #[must_use]
    pub fn new(store: impl TenantStore) -> Self {
        Self {
            store: Arc::new(store),
            sink: Arc::new(NullSink),
            purger: Arc::new(NothingToPurge),
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(SystemIds::new()),
            reserved: Vec::new(),
        }
    }

    /// The same with events going to this sink.
    #[must_use]
    pub fn with_sink(mut self, sink: impl EventSink) -> Self {
        self.sink = Arc::new(sink);
        self
    }

    /// The same with an id that nobody gets, such as that of the operator's own tenant, which is no customer's.
    #[must_use]
    pub fn with_reserved(mut self, id: TenantId) -> Self {
        self.reserved.push(id);
        self
    }

    /// The same with this to remove a tenant's data from the rest of the host.
    #[must_use]
    pub fn with_purger(mut self, purger: impl Purger) -> Self {
        self.purger = Arc::new(purger);
        self
    }

    /// The same on this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The same with ids from here.
    #[must_use]
    pub fn with_ids(mut self, ids: impl IdSource) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// Creates an active tenant at [`Version::FIRST`]; emits `tenant.created`.
    ///
    /// # Errors
    /// [`Error::Exists`] when the id is or was in use, or is reserved.
    pub async fn create(&self, platform: &Platform, new: NewTenant) -> Result<Tenant, Error> {
        if self.reserved.contains(&new.id) {
            return Err(Error::Exists { tenant: new.id });
        }
        let now = self.clock.now();
        let tenant = Tenant {
            id: new.id,
            name: new.name,
            plan: new.plan,
            region: new.region,
            industry: new.industry,
            settings: new.settings,
            internal: new.internal,
            status: Status::Active,
            version: Version::FIRST,
            created: now,
            updated: now,
        };
        let event = self.event(
            platform,
            &tenant,
            "tenant.created",
            json!({ "plan": tenant.plan, "region": tenant.region, "industry": tenant.industry }),
        );
        match self.store.insert(platform, &tenant, &event).await? {
            Written::Done => {}
            _ => return Err(Error::Exists { tenant: tenant.id }),
        }
        self.hand_over(platform, event).await;
        Ok(tenant)
    }

    /// Changes a tenant that is active or suspended; emits `tenant.updated` with the names of the changed fields. A
    /// change that changes nothing writes nothing and returns the tenant as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] when it has another version, [`Error::NotChangeable`].
    pub async fn update(
        &self,
        platform: &Platform,
        id: &TenantId,
        expected: Version,
        change: TenantChange,
    ) -> Result<Tenant, Error> {
        let mut tenant = self.read(platform, id, expected).await?;
        if !matches!(tenant.status, Status::Active | Status::Suspended(_)) {
            return Err(Error::NotChangeable { tenant: tenant.id, status: tenant.status.name() });
        }
        let fields = change.apply(&mut tenant);
        if fields.is_empty() {
            return Ok(tenant);
        }
        self.write(platform, tenant, "tenant.updated", json!({ "fields": fields })).await
    }

    /// Stops a tenant; emits `tenant.suspended`. The reason is for operators: it is in the event, not in the profile.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Transition`] when it is not active, or [`Error::InvalidField`]
    /// when the reason does not have 1 to 500 characters without control characters.
    pub async fn suspend(
        &self,
        platform: &Platform,
        id: &TenantId,
        expected: Version,
        reason: &str,
    ) -> Result<Tenant, Error> {
        let length = reason.trim().chars().count();
        if length == 0 || reason.len() > 2000 || length > 500 || reason.contains(char::is_control) {
            let why = "it must have 1 to 500 characters without control characters";
            return Err(crate::InvalidField::new("reason", reason, why).into());
        }
        let step = Transition::Suspend { reason: reason.to_owned() };
        self.step(platform, id, expected, step).await
    }

    /// Lets a suspended tenant work again; emits `tenant.resumed`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], or [`Error::Transition`] when it is not suspended.
    pub async fn resume(
        &self,
        platform: &Platform,
        id: &TenantId,
        expected: Version,
    ) -> Result<Tenant, Error> {
        self.step(platform, id, expected, Transition::Resume).await
    }

    /// Begins to delete a tenant, which can be brought back for the time of `grace`; emits `tenant.deletion_started`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], or [`Error::Transition`] when it is being deleted already or gone, or the
    /// grace ends beyond the year 9999.
    pub async fn delete(
        &self,
        platform: &Platform,
        id: &TenantId,
        expected: Version,
        grace: Duration,
    ) -> Result<Tenant, Error> {
        self.step(platform, id, expected, Transition::Delete { grace }).await
    }

    /// Brings a tenant back to what it was before it was deleted; emits `tenant.undeleted`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], or [`Error::Transition`] when it is not being deleted or the grace is over.
    pub async fn undelete(
        &self,
        platform: &Platform,
        id: &TenantId,
        expected: Version,
    ) -> Result<Tenant, Error> {
        self.step(platform, id, expected, Transition::Undelete).await
    }

    /// Makes an end of a tenant whose grace is over: first the [`Purger`] removes its data, then name, settings and notes
    /// go; emits `tenant.purged`. The id stays taken. Should the purger fail, or two callers meet, nothing is lost: the
    /// tenant is still being deleted, and purging again is the remedy.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Purge`], or [`Error::Transition`] when the grace is not over.
    pub async fn purge(
        &self,
        platform: &Platform,
        id: &TenantId,
        expected: Version,
    ) -> Result<Tenant, Error> {
        let tenant = self.read(platform, id, expected).await?;
        let now = self.clock.now();
        let status = tenant.status.after(&Transition::Purge, now);
        let status =
            status.map_err(|source| Error::Transition { tenant: id.clone(), step: "purge", source })?;
        let purged = self.purger.purge(&platform.within(id)).await;
        purged.map_err(|source| Error::Purge { tenant: id.clone(), source })?;
        let gone = Tenant {
            name: crate::DisplayName::new("(purged)")?,
            industry: None,
            settings: crate::Settings::new(),
            internal: crate::Settings::new(),
            status,
            ..tenant
        };
        self.write(platform, gone, Transition::Purge.event(), Value::Null).await
    }

    /// Purges at most `limit` tenants whose grace is over; returns how many. One that cannot be purged does not keep the
    /// others from it.
    ///
    /// # Errors
    /// When the list of them cannot be read; after the others, the first failure of one.
    pub async fn purge_due(&self, platform: &Platform, limit: u32) -> Result<u32, Error> {
        let mut done = 0;
        let mut first = None;
        for tenant in self.store.due(platform, self.clock.now(), limit).await? {
            match self.purge(platform, &tenant.id, tenant.version).await {
                Ok(_) => done += 1,
                // Somebody else was faster, and that is as good.
                Err(Error::Conflict { .. }) => {}
                Err(error) => first = first.or(Some(error)),
            }
        }
        first.map_or(Ok(done), Err)
    }

    /// The tenant of this id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, platform: &Platform, id: &TenantId) -> Result<Tenant, Error> {
        self.store.get(platform, id).await?.ok_or_else(|| Error::NotFound { tenant: id.clone() })
    }

    /// The tenants that the filter lets through, by id unless it has another order.
    ///
    /// # Errors
    /// [`Error::ForeignCursor`] when the cursor is of another list.
    pub async fn list(
        &self,
        platform: &Platform,
        filter: &TenantFilter,
        page: &PageRequest,
    ) -> Result<Page<Tenant>, Error> {
        self.store.list(platform, filter, page).await.map_err(|error| match error.kind() {
            StoreErrorKind::Constraint => Error::ForeignCursor,
            _ => error.into(),
        })
    }

    /// What a tenant may read of itself, with the rights of its own scope.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a tenant that is gone.
    pub async fn own(&self, scope: &Scope) -> Result<Profile, Error> {
        let found = self.store.own(scope).await?;
        found
            .filter(|tenant| !matches!(tenant.status, Status::Purged { .. }))
            .map(|tenant| tenant.profile())
            .ok_or_else(|| Error::NotFound { tenant: scope.tenant().clone() })
    }

    /// Hands at most `limit` waiting events to the sink, oldest first; returns how many it took. The host calls this now
    /// and then, from as many processes as it likes.
    ///
    /// # Errors
    /// When the store or the sink fails; what was not handed over keeps waiting.
    pub async fn deliver(&self, platform: &Platform, limit: u32) -> Result<u32, Error> {
        let mut done = 0;
        for event in self.store.undelivered(platform, limit).await? {
            let id = event.id;
            self.sink.emit(event).await?;
            self.store.delivered(platform, id).await?;
            done += 1;
        }
        Ok(done)
    }

    async fn step(
        &self,
        platform: &Platform,
        id: &TenantId,
        expected: Version,
        step: Transition,
    ) -> Result<Tenant, Error> {
        let mut tenant = self.read(platform, id, expected).await?;
        let status = tenant.status.after(&step, self.clock.now());
        let fault = |source| Error::Transition { tenant: id.clone(), step: step.name(), source };
        tenant.status = status.map_err(fault)?;
        let data = match &tenant.status {
            Status::Suspended(suspension) => json!({ "suspended_for": suspension.reason }),
            Status::Deleting(deletion) => json!({ "purge_after": deletion.purge_after }),
            _ => Value::Null,
        };
        self.write(platform, tenant, step.event(), data).await
    }

    /// The tenant, if it still has the version that the caller read.
    async fn read(&self, platform: &Platform, id: &TenantId, expected: Version) -> Result<Tenant, Error> {
        let tenant = self.get(platform, id).await?;
        if tenant.version != expected {
            return Err(Error::Conflict { tenant: tenant.id, expected, actual: tenant.version });
        }
        Ok(tenant)
    }

    /// Stores a tenant that was read and changed, as its next version.
    async fn write(
        &self,
        platform: &Platform,
        mut tenant: Tenant,
        name: &str,
        data: Value,
    ) -> Result<Tenant, Error> {
        let expected = tenant.version;
        tenant.version = expected.next();
        tenant.updated = self.clock.now();
        let event = self.event(platform, &tenant, name, data);
        match self.store.replace(platform, &tenant, expected, &event).await? {
            Written::Done => {}
            Written::Conflict(actual) => return Err(Error::Conflict { tenant: tenant.id, expected, actual }),
            Written::Missing | Written::Exists => return Err(Error::NotFound { tenant: tenant.id }),
        }
        self.hand_over(platform, event).await;
        Ok(tenant)
    }

    fn event(&self, platform: &Platform, tenant: &Tenant, name: &str, data: Value) -> Event {
        let now = self.clock.now();
        let mut data = if let Value::Object(map) = data { map } else { serde_json::Map::new() };
        data.insert("version".into(), tenant.version.number().into());
        data.insert("status".into(), tenant.status.name().into());
        data.insert("reason".into(), platform.reason().into());
        Event::new(self.ids.next_id(now), now, &platform.within(&tenant.id), name)
            .with_data(Value::Object(data))
    }

    /// Gives an event that is stored to the sink. A failure is none of the caller's: the change is made, and the event
    /// waits for [`Self::deliver`].
    async fn hand_over(&self, platform: &Platform, event: Event) {
        let id = event.id;
        if self.sink.emit(event).await.is_ok() {
            let _ = self.store.delivered(platform, id).await;
        }
    }
}

/// Removes a tenant's data from the rest of the host, once and for all: a port that the host wires to its domains.
///
/// # Contract
/// It may be called again for the same tenant, also at the same time, and is done only when it says `Ok`.
#[async_trait]
pub trait Purger: Send + Sync + fmt::Debug + 'static {
    /// Removes all that the host keeps of the scope's tenant.
    ///
    /// # Errors
    /// When something may be left.
    async fn purge(&self, scope: &Scope) -> Result<(), StoreError>;
}

#[async_trait]
impl<P: Purger + ?Sized> Purger for Arc<P> {
    async fn purge(&self, scope: &Scope) -> Result<(), StoreError> {
        (**self).purge(scope).await
    }
}

/// For hosts that keep nothing besides the registry, and those that purge on the event.
#[derive(Debug)]
struct NothingToPurge;

#[async_trait]
impl Purger for NothingToPurge {
    async fn purge(&self, _: &Scope) -> Result<(), StoreError> {
        Ok(())
    }
}
