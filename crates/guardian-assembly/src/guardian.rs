//! All parts, put together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use guardian_audit::AuditLog;
use guardian_audit::checkpoint::{KeyRing, Sealer};
use guardian_core::{Clock, Event, EventSink, IdSource, Scope};
use guardian_http::api::workflow::Approvers;
use guardian_http::api::{self, Document};
use guardian_http::{RequirePermissionLayer, TrustedProxies};
use guardian_ipaccess::IpAccess;
use guardian_quota::Quotas;
use guardian_ratelimit::{AnyStore, Limiter};
use guardian_rbac::{Item, Rbac};
use guardian_sentiment::Sentiments;
use guardian_tenant::Registry;
use guardian_webhook::{EventTypeName, HttpSender, Webhooks};
use guardian_workflow::{Engine, Library};
use serde_json::Value;
use uuid::Uuid;

use crate::Error;
use crate::backend::{Backend, Memory};
use crate::builder::Builder;
use crate::rules::{Book, Rules};
use crate::workers::Workers;

/// Everything that an assembly has.
pub(crate) struct Parts<B: Backend> {
    pub(crate) operator: Scope,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    /// Tells everybody at once.
    pub(crate) hub: Arc<dyn EventSink>,
    /// Where parts report: the outbox, or everybody at once where there is none.
    pub(crate) events: Arc<dyn EventSink>,
    pub(crate) log: AuditLog<B::Audit>,
    pub(crate) access: Arc<IpAccess<B::Access>>,
    pub(crate) proxies: TrustedProxies,
    pub(crate) limiter: Limiter<AnyStore>,
    pub(crate) rules: Arc<dyn Rules>,
    pub(crate) rbac: Rbac,
    /// What new tenants begin with.
    pub(crate) roles: Vec<Item>,
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
    pub(crate) spool: B::Spool,
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
    /// When the name is none, or the event could not be kept or told. It was not kept then, or may come again with the same id.
    pub async fn emit(&self, scope: &Scope, name: &str, data: Value) -> Result<Uuid, Error> {
        let name = named(name)?;
        let now = self.parts.clock.now();
        let event = Event::new(self.parts.ids.next_id(now), now, scope, name).with_data(data);
        let id = event.id;
        self.parts.events.emit(event).await?;
        Ok(id)
    }

    /// In front of a route: this permission.
    ///
    /// # Errors
    /// When the catalog does not have it.
    pub fn takes(&self, permission: &str) -> Result<RequirePermissionLayer, Error> {
        Ok(RequirePermissionLayer::new(self.parts.rbac.clone(), permission)?)
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
        let book = Book { rules: Arc::clone(&parts.rules), log: parts.log.clone() };
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
    /// When the name is none, or the statement fails.
    pub async fn emit_in(
        &self,
        tx: &mut guardian_sql::TenantTx,
        name: &str,
        data: Value,
    ) -> Result<Uuid, Error> {
        let name = named(name)?;
        Ok(self.parts.spool.put_new(tx, name, data).await?)
    }

    /// There may be events that were committed.
    pub fn committed(&self) {
        self.parts.spool.ring();
    }
}

/// A name that webhooks can have as well.
fn named(name: &str) -> Result<&str, Error> {
    let known: Result<EventTypeName, _> = name.parse();
    known.map(|_| name).map_err(|_| Error::EventName { name: guardian_core::shorten(name) })
}
