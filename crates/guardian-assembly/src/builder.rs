//! What a host says before everything is put together.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use guardian_audit::checkpoint::{Notary, Sealer};
use guardian_audit::{AuditConfig, SharedCursors};
use guardian_core::{Clock, EventSink, IdSource, NullSink, Scope, SystemClock, SystemIds, TenantId};
use guardian_http::TrustedProxies;
use guardian_http::api::PERMISSIONS;
use guardian_http::api::workflow::{Approvers, ByName};
use guardian_ipaccess::{AccessPolicy, Geography, IpAccess};
use guardian_quota::billing::BillingSink;
use guardian_quota::{Plan, Quotas};
use guardian_ratelimit::{AnyStore, Limiter, MemoryStore, Policy, PolicyId};
use guardian_rbac::import::{Imported, read_policy};
use guardian_rbac::{Catalog, Rbac};
use guardian_sentiment::{Ensemble, SentimentModel, Sentiments};
use guardian_tenant::{Purger, Registry};
use guardian_webhook::{AeadVault, Config, HttpSender, ReqwestSender, Vault, Webhooks};
use guardian_workflow::{Actions, Engine, Library};

use crate::Error;
use crate::backend::{Backend, Memory, Stores};
use crate::events::{Hub, OfPlatform};
use crate::guardian::{Guardian, Parts};
use crate::heard::Heard;
use crate::purge::Purge;
use crate::rules;
use crate::seen::{Scheduled, Seen};
use crate::spool::{Spool as _, Teller};
use crate::welcome::Equipment;

/// Everything that can be said; what is not said has a default, but for the [key of secrets](Self::secrets_key). Begin with
/// [`Guardian::builder`], end with [`in_memory`](Self::in_memory) or `open`.
#[must_use]
pub struct Builder {
    operator: String,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    host: Arc<dyn EventSink>,
    roles: Option<Imported>,
    counters: Option<AnyStore>,
    policies: Vec<Policy>,
    plans: Vec<Plan>,
    proxies: TrustedProxies,
    access: Option<AccessPolicy>,
    geography: Option<Arc<dyn Geography>>,
    vault: Option<Arc<dyn Vault>>,
    webhooks: Config,
    sender: Option<Arc<dyn HttpSender>>,
    actions: Actions,
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    transactional: Vec<(String, Transactional)>,
    approvers: Arc<dyn Approvers>,
    model: Arc<dyn SentimentModel>,
    audit: AuditConfig,
    notary: Option<Notary>,
    purger: Option<Arc<dyn Purger>>,
    keep_webhooks: Duration,
    billing: Option<Arc<dyn BillingSink>>,
    cursors: Option<SharedCursors>,
}

/// Puts an action into a store of workflows.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
type Transactional = Box<dyn FnOnce(guardian_workflow::SqlStore) -> guardian_workflow::SqlStore + Send>;

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("operator", &self.operator)
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            operator: "operator".to_owned(),
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(SystemIds::new()),
            host: Arc::new(NullSink),
            roles: None,
            counters: None,
            policies: Vec::new(),
            plans: Vec::new(),
            proxies: TrustedProxies::none(),
            access: None,
            geography: None,
            vault: None,
            webhooks: Config::default(),
            sender: None,
            actions: Actions::new(),
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            transactional: Vec::new(),
            approvers: Arc::new(ByName),
            model: Arc::new(Ensemble::default()),
            audit: AuditConfig::default(),
            notary: None,
            purger: None,
            keep_webhooks: Duration::from_secs(30 * 24 * 60 * 60),
            billing: None,
            cursors: None,
        }
    }

    /// The key that secrets of webhooks are sealed with (XChaCha20-Poly1305): 32 bytes from where the host keeps its passwords. The
    /// same for ever, or what was sealed cannot be opened; for a key that changes, give a [`vault`](Self::vault).
    ///
    /// What cursors of the audit log are known by is derived from it as well, unless [`audit`](Self::audit) has a secret of its own: so
    /// a next page is good in every process with this key.
    pub fn secrets_key(mut self, key: [u8; 32]) -> Self {
        self.cursors = Some(SharedCursors::derive(&key));
        self.vault(AeadVault::new(key))
    }

    /// What seals secrets instead of a [key](Self::secrets_key), such as a key service. Several processes with one that was given alone need
    /// [`AuditConfig::with_cursor_secret`] too.
    pub fn vault(mut self, vault: impl Vault) -> Self {
        self.vault = Some(Arc::new(vault));
        self
    }

    /// The operator's own tenant, in whose audit log stands what the platform does to others; `operator` otherwise. No customer gets this
    /// id; [`Guardian::welcome_operator`] gives it roles.
    pub fn operator(mut self, tenant: impl Into<String>) -> Self {
        self.operator = tenant.into();
        self
    }

    /// The host's permissions, and the roles that new tenants begin with; otherwise there are `admin`, who may do everything that
    /// the API has, and `viewer`, who may look at it. The API's own permissions are added to the catalog.
    pub fn roles(mut self, roles: Imported) -> Self {
        self.roles = Some(roles);
        self
    }

    /// A rate limit. Where it applies say the layers in front of the host's routes.
    pub fn limit(mut self, policy: Policy) -> Self {
        self.policies.push(policy);
        self
    }

    /// Where rate limits count, such as Redis for several processes; in memory otherwise.
    pub fn counters(mut self, store: impl guardian_ratelimit::store::Store) -> Self {
        self.counters = Some(AnyStore::new(store));
        self
    }

    /// A plan that tenants may be on.
    pub fn plan(mut self, plan: Plan) -> Self {
        self.plans.push(plan);
        self
    }

    /// The proxies that are believed when they say for whom they ask; none otherwise.
    pub fn proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// The rules about addresses of tenants that have none of their own; otherwise everybody may come from everywhere.
    pub fn access(mut self, policy: AccessPolicy) -> Self {
        self.access = Some(policy);
        self
    }

    /// Where addresses are, for rules about countries and networks.
    pub fn geography(mut self, geography: impl Geography) -> Self {
        self.geography = Some(Arc::new(geography));
        self
    }

    /// How webhooks are set up: where they may go, which types of events there are, how they are signed.
    pub fn webhooks(mut self, config: Config) -> Self {
        self.webhooks = config;
        self
    }

    /// What sends webhooks; otherwise a client of HTTP that keeps to the egress policy.
    pub fn sender(mut self, sender: impl HttpSender) -> Self {
        self.sender = Some(Arc::new(sender));
        self
    }

    /// Where spending goes; otherwise nobody bills.
    pub fn billing(mut self, sink: impl BillingSink) -> Self {
        self.billing = Some(Arc::new(sink));
        self
    }

    /// How long what became of webhooks can be looked up; 30 days otherwise.
    pub fn keep_webhooks(mut self, time: Duration) -> Self {
        self.keep_webhooks = time;
        self
    }

    /// What workflows can do.
    pub fn actions(mut self, actions: Actions) -> Self {
        self.actions = actions;
        self
    }

    /// Does an action within the transaction that keeps the run: exactly once. Declare it in [`actions`](Self::actions) by
    /// [`Actions::with_transactional`].
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub fn transactional(
        mut self,
        name: impl Into<String>,
        action: impl guardian_workflow::SqlAction,
    ) -> Self {
        let name = name.into();
        let into = name.clone();
        self.transactional.push((name, Box::new(move |store| store.with_action(into, action))));
        self
    }

    /// Who may decide approvals of workflows; otherwise those whom the workflow names.
    pub fn approvers(mut self, approvers: impl Approvers) -> Self {
        self.approvers = Arc::new(approvers);
        self
    }

    /// What reads the mood of messages; otherwise the built-in model.
    pub fn model(mut self, model: Arc<dyn SentimentModel>) -> Self {
        self.model = model;
        self
    }

    /// How the audit log is set up: redaction, risk, schemas, personal data.
    pub fn audit(mut self, config: AuditConfig) -> Self {
        self.audit = config;
        self
    }

    /// Signs checkpoints of the audit log as they fall due.
    pub fn notary(mut self, notary: Notary) -> Self {
        self.notary = Some(notary);
        self
    }

    /// Hears every event, after everybody else: the host's own metrics and alarms. What it refuses comes again, with the same id.
    pub fn events(mut self, sink: impl EventSink) -> Self {
        self.host = Arc::new(sink);
        self
    }

    /// Removes what the host itself keeps of a tenant that is purged.
    pub fn purger(mut self, purger: impl Purger) -> Self {
        self.purger = Some(Arc::new(purger));
        self
    }

    /// Whose time it is; the system's otherwise.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Where ids come from; UUIDs of version 7 otherwise.
    pub fn ids(mut self, ids: impl IdSource) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// Puts everything together in memory.
    ///
    /// # Errors
    /// When something that was said makes no sense; nothing was begun then.
    pub async fn in_memory(self) -> Result<Guardian<Memory>, Error> {
        self.check()?;
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        if let Some((action, _)) = self.transactional.into_iter().next() {
            return Err(Error::NoTransactions { action });
        }
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        let this = Self { transactional: Vec::new(), ..self };
        #[cfg(not(any(feature = "sqlite", feature = "postgres")))]
        let this = self;
        let operator = Scope::system(TenantId::new(&this.operator)?);
        let stores = Stores::in_memory();
        this.assemble(stores, operator).await
    }

    /// Opens a database, `sqlite://FILE`, `sqlite::memory:` or `postgres://…`, and puts everything together on it.
    ///
    /// # Errors
    /// When the database does not open, or its tables are newer than this code; and as for [`in_memory`](Self::in_memory).
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub async fn open(self, url: &str) -> Result<Guardian<crate::Sql>, Error> {
        // Before a file is made for nothing.
        self.check()?;
        let db = guardian_sql::Database::open(url).await?;
        self.on(db).await
    }

    /// Puts everything together on a database that is open; the tables are made or brought up to date.
    ///
    /// # Errors
    /// When the tables are newer than this code; and as for [`in_memory`](Self::in_memory).
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub async fn on(mut self, db: guardian_sql::Database) -> Result<Guardian<crate::Sql>, Error> {
        self.check()?;
        let operator = Scope::system(TenantId::new(&self.operator)?);
        let times = (Arc::clone(&self.clock), Arc::clone(&self.ids));
        let mut stores = Stores::<crate::Sql>::open(&db, &operator, times).await?;
        for (_, put) in std::mem::take(&mut self.transactional) {
            stores.workflow = put(stores.workflow);
        }
        self.assemble(stores, operator).await
    }

    /// What can be told before anything is opened.
    fn check(&self) -> Result<(), Error> {
        TenantId::new(&self.operator)?;
        if self.vault.is_none() { Err(Error::NoVault) } else { Ok(()) }
    }

    async fn assemble<B: Backend>(self, stores: Stores<B>, operator: Scope) -> Result<Guardian<B>, Error> {
        let vault = self.vault.ok_or(Error::NoVault)?;
        let (clock, ids) = (self.clock, self.ids);
        let audit = self.cursors.into_iter().fold(self.audit, AuditConfig::with_cursors_from);
        let audit = audit.with_clock(Arc::clone(&clock)).with_ids(Arc::clone(&ids));
        let log = guardian_audit::AuditLog::new(stores.audit, audit);

        let library =
            Library::new(stores.workflow.clone(), self.actions.catalog().clone(), Arc::clone(&clock));
        let engine = Engine::new(stores.workflow, self.actions, Arc::clone(&clock), Arc::clone(&ids));
        let hub = Arc::new(Hub::<B> {
            log: log.clone(),
            webhooks: OnceLock::new(),
            engine: engine.clone(),
            host: Arc::clone(&self.host),
            operator: operator.clone(),
        });
        let everybody: Arc<dyn Teller> = hub.clone();
        let spool = Arc::new(stores.spool);
        let events = spool.entrance(&everybody, Heard::NOBODY);

        let mut config = self.webhooks;
        // An event may come again for as long as somebody does not take it.
        config.idempotency = config.idempotency.max(self.keep_webhooks);
        let webhooks = Webhooks::with_events(
            stores.webhook,
            vault,
            Arc::clone(&clock),
            Arc::clone(&ids),
            config,
            // What webhooks say of themselves goes to no webhook, or one that fails would tell of itself.
            spool.entrance(&everybody, Heard::WEBHOOKS | Heard::WORKFLOWS),
        );
        // Nobody else has set them.
        let _ = hub.webhooks.set(webhooks.clone());
        let sender = match self.sender {
            Some(sender) => sender,
            None => Arc::new(ReqwestSender::new(webhooks.config().http())?),
        };

        let limiter = Limiter::new(self.counters.unwrap_or_else(|| AnyStore::new(MemoryStore::new())));
        for policy in self.policies {
            let _named: PolicyId = limiter.define(policy)?;
        }
        // What is not taken any more is told by the workers: it keeps nobody from starting.
        let _told_later = rules::take_up(&*stores.rules, &limiter, None).await?;

        let roles = match self.roles {
            Some(roles) => roles,
            None => plain_roles()?,
        };
        let rbac = Rbac::new(with_the_apis(&roles.catalog)?, stores.roles)
            .with_sink(Arc::clone(&events))
            .with_clock(Arc::clone(&clock))
            .with_ids(Arc::clone(&ids));

        let mut access = IpAccess::new(stores.access)
            .with_clock(Arc::clone(&clock))
            .with_ids(Arc::clone(&ids))
            .with_events(Arc::clone(&events));
        if let Some(policy) = self.access {
            access = access.with_default_policy(policy);
        }
        if let Some(geography) = self.geography {
            access = access.with_geography(geography);
        }

        let quotas = Quotas::new(stores.quota, self.plans)?
            .with_clock(Arc::clone(&clock))?
            .with_ids(Arc::clone(&ids))?
            .with_events(Arc::clone(&events))?;

        let sentiments = Sentiments::with_model(stores.sentiment, self.model)
            .with_clock(Arc::clone(&clock))
            .with_ids(Arc::clone(&ids))
            .with_events(Arc::clone(&events));

        let equipment = Arc::new(Equipment::<B> {
            tenants: Arc::clone(&stores.tenants),
            rbac: rbac.clone(),
            roles: roles.items,
            quotas: quotas.clone(),
            clock: Arc::clone(&clock),
        });
        let of_platform = OfPlatform {
            log: log.clone(),
            operator: operator.clone(),
            host: Arc::clone(&self.host),
            equipment: equipment.clone(),
        };
        let purge = Purge::<B> {
            webhooks: webhooks.clone(),
            library: library.clone(),
            engine: engine.clone(),
            sentiments: sentiments.clone(),
            rbac: rbac.clone(),
            spool: Arc::clone(&spool),
            everybody: Arc::clone(&everybody),
            host: self.purger,
        };
        let registry = Registry::new(stores.tenants)
            .with_sink(of_platform)
            .with_purger(purge)
            .with_reserved(operator.tenant().clone())
            .with_clock(Arc::clone(&clock))
            .with_ids(Arc::clone(&ids));

        Ok(Guardian::of(Parts {
            operator,
            clock,
            ids,
            hub: everybody,
            events,
            log,
            access: Arc::new(access),
            proxies: self.proxies,
            limiter,
            rules: stores.rules,
            rbac,
            equipment,
            limits_seen: Seen::default(),
            scheduled: Scheduled::default(),
            billing: self.billing,
            quotas,
            webhooks,
            sender,
            keep_webhooks: self.keep_webhooks,
            library,
            engine,
            approvers: self.approvers,
            sentiments,
            registry,
            sealer: self.notary.map(Sealer::new),
            spool,
        }))
    }
}

/// A catalog with the permissions of the API that it does not have.
fn with_the_apis(catalog: &Catalog) -> Result<Catalog, guardian_rbac::Error> {
    let missing = PERMISSIONS.iter().filter(|(permission, _)| catalog.handle(permission).is_err());
    missing.fold(catalog.to_builder(), |more, (permission, title)| more.permission(permission, title)).build()
}

/// The roles of a host that has none of its own.
fn plain_roles() -> Result<Imported, guardian_rbac::Error> {
    let mut text = String::from("permissions:\n");
    for (permission, title) in PERMISSIONS {
        text.push_str(&format!("  \"{permission}\": \"{title}\"\n"));
    }
    text.push_str("roles:\n");
    text.push_str("  admin: { title: \"Runs the organisation\", allow: \"*\" }\n");
    text.push_str("  viewer: { title: \"Looks, and changes nothing\", allow: \"*:read\" }\n");
    // There is nothing in it that has a time.
    read_policy(&text, chrono::DateTime::UNIX_EPOCH)
}
