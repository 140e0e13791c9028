//! All parts, put together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use guardian_audit::AuditEvent;
use guardian_audit::AuditLog;
use guardian_audit::checkpoint::{KeyRing, Sealer};
use guardian_core::{Clock, Event, EventSink, IdSource, Scope, TenantId};
use guardian_http::api::workflow::Approvers;
use guardian_http::api::{self, Document};
use guardian_http::{OnRegistryOutage, RequirePermissionLayer, TenantLayer, TrustedProxies};
use guardian_ipaccess::IpAccess;
use guardian_quota::Quotas;
use guardian_quota::billing::BillingSink;
use guardian_ratelimit::{AnyStore, Limiter, Rule};
use guardian_rbac::Rbac;
use guardian_sentiment::Sentiments;
use guardian_tenant::{Platform, Registry};
use guardian_webhook::{EventTypeName, HttpSender, Webhooks};
use guardian_workflow::{Engine, Library};
use serde_json::Value;
use uuid::Uuid;

use crate::Error;
use crate::backend::{Backend, Memory};
use crate::builder::Builder;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::heard::Heard;
use crate::rules::{Book, Rules};
use crate::seen::{Scheduled, Seen};
use crate::spool::Teller;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::spool::{Settle as _, Telling};
use crate::welcome::Equipment;
use crate::workers::Workers;

/// Everything that an assembly has.
pub(crate) struct Parts<B: Backend> {
    pub(crate) operator: Scope,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    /// Tells everybody at once.
    pub(crate) hub: Arc<dyn Teller>,
    /// Where parts report: the outbox, or everybody at once where there is none.
    pub(crate) events: Arc<dyn EventSink>,
    pub(crate) log: AuditLog<B::Audit>,
    pub(crate) access: Arc<IpAccess<B::Access>>,
    pub(crate) proxies: TrustedProxies,
    pub(crate) limiter: Limiter<AnyStore>,
    pub(crate) rules: Arc<dyn Rules>,
    pub(crate) rbac: Rbac,
    /// What new tenants begin with.
    pub(crate) equipment: Arc<Equipment<B>>,
    /// Until when rules of rate limits and schedules were looked at.
    pub(crate) limits_seen: Seen,
    pub(crate) scheduled: Scheduled,
    pub(crate) billing: Option<Arc<dyn BillingSink>>,
    pub(crate) quotas: Quotas<B::Quota>,
    pub(crate) webhooks: Webhooks<B::Webhook>,
    pub(crate) sender: Arc<dyn HttpSender>,
    pub(crate) keep_webhooks: Duration,
    pub(crate) library: Library<B::Workflow>,
    pub(crate) engine: Engine<B::Workflow>,
    pub(crate) approvers: Arc<dyn Approvers>,
    pub(crate) sentiments: Sentiments,
    pub(crate) registry: Registry,
    pub(crate) sealer: Option<Sealer>,
    pub(crate) spool: Arc<B::Spool>,
}

/// All parts of the suite, put together: what one reports, the others hear. Cheap to clone; one a process.
///
/// ```
/// use guardian_assembly::Guardian;
/// use guardian_core::{Actor, PageRequest, Scope, TenantId};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let guardian = Guardian::builder().secrets_key([7; 32]).in_memory().await?;
/// let acme = Scope::new(TenantId::new("acme")?, Actor::user("ann")?);
///
/// guardian.emit(&acme, "deal.won", serde_json::json!({"deal": 7})).await?;
/// let found = guardian.audit().search(&acme, &"action:deal.*".parse()?, &PageRequest::first(10)?).await?;
/// assert_eq!(found.items.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Guardian<B: Backend = Memory> {
    pub(crate) parts: Arc<Parts<B>>,
}

impl<B: Backend> Clone for Guardian<B> {
    fn clone(&self) -> Self {
        Self { parts: Arc::clone(&self.parts) }
    }
}

impl<B: Backend> fmt::Debug for Guardian<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guardian").field("operator", &self.parts.operator).finish_non_exhaustive()
    }
}

impl Guardian {
    /// Begins to put everything together.
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl<B: Backend> Guardian<B> {
    pub(crate) fn of(parts: Parts<B>) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Who did what.
    #[must_use]
    pub fn audit(&self) -> &AuditLog<B::Audit> {
        &self.parts.log
    }

    /// Who may come from where.
    #[must_use]
    pub fn addresses(&self) -> &Arc<IpAccess<B::Access>> {
        &self.parts.access
    }

    /// The proxies that are believed.
    #[must_use]
    pub fn proxies(&self) -> &TrustedProxies {
        &self.parts.proxies
    }

    /// How often who may ask.
    #[must_use]
    pub fn limiter(&self) -> &Limiter<AnyStore> {
        &self.parts.limiter
    }

    /// Who may do what.
    #[must_use]
    pub fn roles(&self) -> &Rbac {
        &self.parts.rbac
    }

    /// What may be used, and what is left.
    #[must_use]
    pub fn quotas(&self) -> &Quotas<B::Quota> {
        &self.parts.quotas
    }

    /// Who is told.
    #[must_use]
    pub fn webhooks(&self) -> &Webhooks<B::Webhook> {
        &self.parts.webhooks
    }

    /// What sends webhooks.
    #[must_use]
    pub fn sender(&self) -> &Arc<dyn HttpSender> {
        &self.parts.sender
    }

    /// What tenants automate.
    #[must_use]
    pub fn workflows(&self) -> &Library<B::Workflow> {
        &self.parts.library
    }

    /// What is running of it.
    #[must_use]
    pub fn engine(&self) -> &Engine<B::Workflow> {
        &self.parts.engine
    }

    /// What customers feel.
    #[must_use]
    pub fn sentiments(&self) -> &Sentiments {
        &self.parts.sentiments
    }

    /// Who the tenants are.
    #[must_use]
    pub fn tenants(&self) -> &Registry {
        &self.parts.registry
    }

    /// The scope of the operator's own tenant.
    #[must_use]
    pub fn operator(&self) -> &Scope {
        &self.parts.operator
    }

    /// Tells everybody of something that happened: the audit log, the tenant's webhooks and workflows, and the host's own sink; its id.
    /// On a database it is committed when this returns, and told at once by the [workers](Self::workers); in memory it is told when
    /// this returns. For an event that belongs to a change in the same database, there is `emit_in`.
    ///
    /// # Errors
    /// When the name is none, or the data are more than 200 KiB or more than 30 deep; when the event cannot be kept. In memory also when
    /// somebody refuses it; the others have heard of it then.
    pub async fn emit(&self, scope: &Scope, name: &str, data: Value) -> Result<Uuid, Error> {
        let name = named(name)?;
        fits(&data)?;
        let now = self.parts.clock.now();
        let event = Event::new(self.parts.ids.next_id(now), now, scope, name).with_data(data);
        let id = event.id;
        self.parts.events.emit(event).await?;
        Ok(id)
    }

    /// Gives a tenant a rule of its own for a limit, from its next request on in this process, and within a quarter of a second in others; `None`
    /// takes it back. What it has used stays used. Who did it and why is in the operator's log.
    ///
    /// # Errors
    /// When there is no such limit, the rule is of another algorithm, or it cannot be kept; nothing changes then.
    pub async fn limit_tenant(
        &self,
        platform: &Platform,
        tenant: &TenantId,
        limit: &str,
        rule: Option<Rule>,
    ) -> Result<(), Error> {
        let limiter = &self.parts.limiter;
        let unknown = || guardian_ratelimit::Error::UnknownPolicy { policy: limit.to_owned() };
        let id = limiter.find(limit).ok_or_else(unknown)?;
        // What the limiter refuses is not kept: a policy keeps its algorithm.
        let fits = |rule: Rule| limiter.policy(id).is_some_and(|policy| rule.same_algorithm(policy.rule()));
        if rule.is_none_or(fits) {
            let by = (platform.scope(), platform.reason());
            self.book().rules(by, tenant, &[(limit, rule)]).await?;
        }
        Ok(limiter.set_override(id, tenant, rule)?)
    }

    fn book(&self) -> Book<B::Audit> {
        Book { rules: Arc::clone(&self.parts.rules), log: self.parts.log.clone() }
    }

    /// In front of a route: this permission.
    ///
    /// # Errors
    /// When the catalog does not have it.
    pub fn takes(&self, permission: &str) -> Result<RequirePermissionLayer, Error> {
        Ok(RequirePermissionLayer::new(self.parts.rbac.clone(), permission)?)
    }

    /// In front of all routes, behind authentication: tenants that are suspended or gone may not go on, the operator's own may. **Without it
    /// a suspended tenant goes on.** While the registry is away, what it said last holds for five minutes.
    pub fn tenant_layer(&self) -> TenantLayer {
        let last = OnRegistryOutage::LastKnown(Duration::from_secs(300));
        TenantLayer::new(self.parts.registry.clone(), last).besides(self.parts.operator.tenant().clone())
    }

    /// The API of administrators, with everything that the parts have. Say where it is served with
    /// [`under`](Document::under), add operations of your own with [`with`](Document::with), and serve its
    /// [router](Document::into_router) behind an authentication that puts a [`Scope`] into the request's extensions.
    ///
    /// `ring` has the public keys that checkpoints of the audit log are held against.
    pub fn administration(
        &self,
        title: impl Into<String>,
        version: impl Into<String>,
        ring: KeyRing,
    ) -> Document {
        let parts = &self.parts;
        let book = self.book();
        let approvers = Arc::clone(&parts.approvers);
        Document::new(title, version, parts.rbac.clone())
            .with(api::tenant::api(parts.registry.clone()))
            .with(api::ratelimit::api(parts.limiter.clone(), book))
            .with(api::ipaccess::api(Arc::clone(&parts.access), parts.proxies.clone()))
            .with(api::rbac::api(parts.rbac.clone()))
            .with(api::quota::api(parts.quotas.clone()))
            .with(api::webhook::api(parts.webhooks.clone(), Arc::clone(&parts.sender)))
            .with(api::workflow::api(parts.library.clone(), parts.engine.clone(), approvers))
            .with(api::sentiment::api(parts.sentiments.clone()))
            .with(api::audit::api(parts.log.clone(), ring))
    }

    /// What has to go on in the background.
    pub fn workers(&self) -> Workers<B> {
        Workers::new(self.clone())
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl Guardian<crate::Sql> {
    /// The database.
    #[must_use]
    pub fn database(&self) -> &guardian_sql::Database {
        self.parts.spool.database()
    }

    /// Tells everybody of something that happened, if the caller's transaction commits, and nobody if it does not; its id. The tenant is
    /// the transaction's. After the commit, [`committed`](Self::committed) wakes the workers; without it they look within a quarter
    /// of a second.
    ///
    /// # Errors
    /// When the name is none, or the data are more than 200 KiB or more than 30 deep; when the statement fails.
    pub async fn emit_in(
        &self,
        tx: &mut guardian_sql::TenantTx,
        name: &str,
        data: Value,
    ) -> Result<Uuid, Error> {
        let name = named(name)?;
        fits(&data)?;
        let event = self.parts.spool.event(tx, name, data);
        let id = event.id;
        self.parts.spool.put(tx, &event.into(), Heard::NOBODY).await?;
        Ok(id)
    }

    /// The same, with what the audit log is to know besides: the target, the changes, where it was asked from. `data` is what all others
    /// hear. Webhooks about one target come in order, to endpoints that want that. The event's id, and time where it has none, are made
    /// here.
    ///
    /// The log has it when it is settled: by the workers, within a quarter of a second, or by [`settle`](Self::settle).
    ///
    /// # Errors
    /// When the name or the event is none that the log takes, or a statement fails; the transaction is to be rolled back then.
    pub async fn record_in(
        &self,
        tx: &mut guardian_sql::TenantTx,
        event: AuditEvent,
        data: Value,
    ) -> Result<Uuid, Error> {
        let name = named(&event.action)?;
        fits(&data)?;
        let told = self.parts.spool.event(tx, name, data);
        let id = told.id;
        let about = event.target.as_ref().map(|target| format!("{}/{}", target.kind, target.id));
        let mut event = event.with_id(id);
        event.occurred.get_or_insert(told.occurred);
        self.parts.log.record_in(tx, event).await?;
        self.parts.spool.put(tx, &Telling { event: told, about }, Heard::LOG).await?;
        Ok(id)
    }

    /// Moves what was [recorded](Self::record_in) by one tenant's transactions into the log now, for those who want to read at once what
    /// they wrote.
    ///
    /// # Errors
    /// When the database fails; the workers try again.
    pub async fn settle(&self, scope: &Scope) -> Result<(), Error> {
        while self.parts.log.settle(self.database(), scope).await? {}
        Ok(())
    }

    /// There may be events that were committed.
    pub fn committed(&self) {
        self.parts.spool.ring();
    }
}

/// Data that all who listen can take.
fn fits(data: &Value) -> Result<(), Error> {
    crate::spool::check(data).map_err(|why| Error::EventData { why })
}

/// A name that webhooks can have as well.
fn named(name: &str) -> Result<&str, Error> {
    let known: Result<EventTypeName, _> = name.parse();
    known.map(|_| name).map_err(|_| Error::EventName { name: guardian_core::shorten(name) })
}
