//! What a host does with webhooks: endpoints, publishing, the log, sending again.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use guardian_core::{
    Clock, Event, EventSink, IdSource, NullSink, Page, PageRequest, Scope, TenantId, Timestamp,
};
use parking_lot::Mutex;
use serde_json::json;

use crate::config::Config;
use crate::delivery::{Attempt, Delivery, DeliveryFilter, DeliveryState};
use crate::dispatch::signer;
use crate::endpoint::{DisableReason, Endpoint, EndpointKey, EndpointSettings, EndpointStatus, KeyKind};
use crate::error::Error;
use crate::event_type::TypePattern;
use crate::id::{DeliveryId, EndpointId, MessageId};
use crate::message::{Message, Publish};
use crate::secret::{PrivateKey, PublicKey, Secret, encode};
use crate::store::{DeliveryStore, Enqueue, Enqueued, QueueState, Removed, Saved};
use crate::time::after;
use crate::vault::Vault;
use guardian_core::shorten;

mod search;

/// A key of an endpoint, as it is shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NewKey {
    /// The shared secret: its receiver has to have it.
    Secret(Secret),
    /// The public key: its receiver has to have it, and may show it to anybody.
    Public(PublicKey),
    /// A key service's.
    External,
}

/// What an endpoint shall be signed with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum KeyChoice {
    /// A new shared secret, `v1`.
    NewSecret,
    /// A shared secret that exists.
    Secret(Secret),
    /// A new Ed25519 key, `v1a`.
    NewPrivateKey,
    /// An Ed25519 key that exists.
    PrivateKey(PrivateKey),
    /// A key of a key service, by its reference; the [`Vault`] has its signer.
    External(String),
}

/// What publishing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Published {
    /// It is stored for so many endpoints.
    New {
        /// Its id.
        id: MessageId,
        /// To how many endpoints it goes.
        deliveries: usize,
    },
    /// It was published before with its idempotency key, and is not published a second time. Another message with that key is
    /// [`Error::Reused`].
    Duplicate {
        /// The id of that one.
        id: MessageId,
    },
}

impl Published {
    /// The id of the message.
    #[must_use]
    pub fn id(&self) -> MessageId {
        match self {
            Self::New { id, .. } | Self::Duplicate { id } => *id,
        }
    }
}

/// Webhooks of all tenants.
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use guardian_core::{Scope, SystemClock, SystemIds, TenantId};
/// use guardian_webhook::store::MemoryStore;
/// use guardian_webhook::{AeadVault, Config, EndpointSettings, KeyChoice, Publish, Webhooks};
/// use serde_json::json;
///
/// let webhooks = Webhooks::new(MemoryStore::new(), AeadVault::new([7; 32]), SystemClock::new(), SystemIds::new(), Config::default());
/// let acme = Scope::system(TenantId::new("acme")?);
///
/// let (endpoint, key) = webhooks
///     .create_endpoint(&acme, EndpointSettings::new("https://example.com/hooks").with_types(["deal.*"])?, KeyChoice::NewSecret)
///     .await?;
/// webhooks.publish(&acme, Publish::json("deal.won", &json!({"id": 7}))?).await?;
/// assert_eq!(webhooks.queue(&acme, endpoint.id).await?.open, 1);
/// # let _ = key;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Webhooks<S> {
    pub(crate) inner: Arc<Inner<S>>,
}

impl<S> Clone for Webhooks<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<S: fmt::Debug> fmt::Debug for Webhooks<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks").field("store", &self.inner.store).finish_non_exhaustive()
    }
}

pub(crate) struct Inner<S> {
    pub(crate) store: S,
    pub(crate) vault: Box<dyn Vault>,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) ids: Box<dyn IdSource>,
    pub(crate) events: Arc<dyn EventSink>,
    pub(crate) config: Config,
    known: Mutex<HashMap<TenantId, Known>>,
}

/// The endpoints of a tenant, and the number of their state.
type Known = (i64, Arc<Vec<Endpoint>>);

/// Tenants whose endpoints are remembered.
const MAX_KNOWN: usize = 4096;

impl<S: DeliveryStore> Webhooks<S> {
    /// Webhooks in this store, with their secrets sealed by this vault.
    pub fn new(store: S, vault: impl Vault, clock: impl Clock, ids: impl IdSource, config: Config) -> Self {
        Self::with_events(store, vault, clock, ids, config, Arc::new(NullSink))
    }

    /// The same, telling a sink what happens: `webhook.endpoint.created`, `.updated`, `.removed`, `.disabling`, `.disabled`,
    /// `.enabled`, `.failing` (the breaker opened), `.recovered`, `.key_rotated`, and `webhook.delivery.dead`.
    pub fn with_events(
        store: S,
        vault: impl Vault,
        clock: impl Clock,
        ids: impl IdSource,
        config: Config,
        events: Arc<dyn EventSink>,
    ) -> Self {
        let inner = Inner {
            store,
            vault: Box::new(vault),
            clock: Box::new(clock),
            ids: Box::new(ids),
            events,
            config,
            known: Mutex::new(HashMap::new()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.inner.store
    }

    /// How it is set up.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The time by its clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    pub(crate) async fn tell(&self, scope: &Scope, name: &str, data: serde_json::Value) -> Result<(), Error> {
        let now = self.now();
        let event = Event::new(self.inner.ids.next_id(now), now, scope, name).with_data(data);
        Ok(self.inner.events.emit(event).await?)
    }

    /// Makes an endpoint. Its key is in the answer and nowhere else in plain text.
    ///
    /// # Errors
    /// When the settings or the URL do not do, a pattern is about none of the event types that there are, the tenant has too many, or
    /// the store or vault fails.
    pub async fn create_endpoint(
        &self,
        scope: &Scope,
        settings: EndpointSettings,
        key: KeyChoice,
    ) -> Result<(Endpoint, NewKey), Error> {
        self.check(&settings, &[])?;
        let (_, known) = self.known(scope).await?;
        if known.len() >= self.inner.config.max_endpoints {
            return Err(too_many(known.len()));
        }
        let now = self.now();
        let id = EndpointId::new(self.inner.ids.next_id(now));
        let (key, shown) = self.sealed(scope, id, key, now).await?;
        let endpoint = Endpoint {
            id,
            settings,
            keys: vec![key],
            status: EndpointStatus::Enabled,
            created: now,
            revision: 1,
        };
        self.put(scope, &endpoint).await?;
        // Others may have made one at the same time: then none of them stays, rather than one too many.
        let (_, known) = self.known(scope).await?;
        if known.len() > self.inner.config.max_endpoints {
            self.inner.store.remove_endpoint(scope, id, None, self.now()).await?;
            return Err(too_many(known.len() - 1));
        }
        self.tell(scope, "webhook.endpoint.created", json!({"endpoint": id, "url": endpoint.settings.url}))
            .await?;
        Ok((endpoint, shown))
    }

    /// Whether settings do. Patterns from before are left alone: an event type may have been given up meanwhile.
    fn check(&self, settings: &EndpointSettings, before: &[TypePattern]) -> Result<(), Error> {
        settings.check()?;
        let Config { egress, types, .. } = &self.inner.config;
        egress.check_url(&settings.url)?;
        let never = |pattern: &&TypePattern| !types.have(pattern) && !before.contains(pattern);
        match settings.types.iter().find(never) {
            Some(pattern) => Err(Error::NoTypeFits { pattern: pattern.to_string() }),
            None => Ok(()),
        }
    }

    async fn put(&self, scope: &Scope, endpoint: &Endpoint) -> Result<(), Error> {
        match self.inner.store.put_endpoint(scope, endpoint, self.now()).await? {
            Saved::Done => Ok(()),
            Saved::Conflict => Err(Error::Conflict { id: endpoint.id.to_string() }),
        }
    }

    async fn sealed(
        &self,
        scope: &Scope,
        id: EndpointId,
        choice: KeyChoice,
        now: Timestamp,
    ) -> Result<(EndpointKey, NewKey), Error> {
        let (tenant, vault) = (scope.tenant(), &self.inner.vault);
        let key =
            |kind, sealed: String, public| EndpointKey { kind, sealed, public, since: now, until: None };
        let secret = match choice {
            KeyChoice::External(reference) => {
                vault.external(tenant, &reference).await?;
                return Ok((key(KeyKind::External, reference, None), NewKey::External));
            }
            KeyChoice::PrivateKey(private) => Err(private),
            KeyChoice::NewPrivateKey => Err(PrivateKey::generate()?),
            KeyChoice::Secret(secret) => Ok(secret),
            KeyChoice::NewSecret => Ok(Secret::generate()?),
        };
        Ok(match secret {
            Ok(secret) => {
                let sealed = vault.seal(tenant, id, secret.bytes()).await?;
                (key(KeyKind::Hmac, encode(sealed), None), NewKey::Secret(secret))
            }
            Err(private) => {
                let sealed = vault.seal(tenant, id, &*private.seed()).await?;
                let public = private.public();
                (key(KeyKind::Ed25519, encode(sealed), Some(public.to_string())), NewKey::Public(public))
            }
        })
    }

    /// An endpoint.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub async fn endpoint(&self, scope: &Scope, id: EndpointId) -> Result<Endpoint, Error> {
        self.inner.store.endpoint(scope, id).await?.ok_or_else(|| Error::NoEndpoint { id: id.to_string() })
    }

    /// The endpoints, by their ids.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn endpoints(&self, scope: &Scope, page: &PageRequest) -> Result<Page<Endpoint>, Error> {
        Ok(self.inner.store.endpoints(scope, page).await?)
    }

    /// How the queue of an endpoint stands: what waits, and how the endpoint does.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub async fn queue(&self, scope: &Scope, id: EndpointId) -> Result<QueueState, Error> {
        self.inner.store.queue(scope, id).await?.ok_or_else(|| Error::NoEndpoint { id: id.to_string() })
    }

    /// Changes the settings of an endpoint that was read before; a change by somebody else in between is a conflict.
    ///
    /// # Errors
    /// When the settings do not do, a new pattern is about none of the event types that there are, the endpoint was changed meanwhile, or
    /// the store fails.
    pub async fn update_endpoint(
        &self,
        scope: &Scope,
        endpoint: &Endpoint,
        settings: EndpointSettings,
    ) -> Result<Endpoint, Error> {
        self.check(&settings, &endpoint.settings.types)?;
        let changed = Endpoint { settings, revision: endpoint.revision + 1, ..endpoint.clone() };
        self.put(scope, &changed).await?;
        self.tell(scope, "webhook.endpoint.updated", json!({"endpoint": endpoint.id})).await?;
        Ok(changed)
    }

    /// Forgets an endpoint; what was queued for it is cancelled.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub async fn remove_endpoint(&self, scope: &Scope, id: EndpointId) -> Result<(), Error> {
        self.remove(scope, id, None).await
    }

    /// Forgets an endpoint as [`remove_endpoint`](Self::remove_endpoint) does, if it still has the revision that the caller has seen.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it has another one; else as for [`remove_endpoint`](Self::remove_endpoint).
    pub async fn remove_endpoint_at(
        &self,
        scope: &Scope,
        id: EndpointId,
        revision: u64,
    ) -> Result<(), Error> {
        self.remove(scope, id, Some(revision)).await
    }

    async fn remove(&self, scope: &Scope, id: EndpointId, revision: Option<u64>) -> Result<(), Error> {
        match self.inner.store.remove_endpoint(scope, id, revision, self.now()).await? {
            Removed::Done => self.tell(scope, "webhook.endpoint.removed", json!({"endpoint": id})).await,
            Removed::Missing => Err(Error::NoEndpoint { id: id.to_string() }),
            Removed::Conflict => Err(Error::Conflict { id: id.to_string() }),
        }
    }

    /// Disables an endpoint: nothing new is queued for it, and what is queued waits.
    ///
    /// An event is told before (`webhook.endpoint.disabling`) and after it. Disabled already, it stays as it is.
    ///
    /// # Errors
    /// When there is none, or the store or the sink fails.
    pub async fn disable_endpoint(
        &self,
        scope: &Scope,
        id: EndpointId,
        reason: DisableReason,
    ) -> Result<Endpoint, Error> {
        let data = json!({"endpoint": id, "reason": reason});
        self.change(scope, id, |endpoint, now| {
            (endpoint.status == EndpointStatus::Enabled).then(|| {
                endpoint.status = EndpointStatus::Disabled { since: now, reason };
                ("webhook.endpoint.disabling", "webhook.endpoint.disabled", data.clone())
            })
        })
        .await
    }

    /// Enables an endpoint again, with a closed breaker; what was queued goes on.
    ///
    /// # Errors
    /// When there is none, or the store or the sink fails.
    pub async fn enable_endpoint(&self, scope: &Scope, id: EndpointId) -> Result<Endpoint, Error> {
        self.change(scope, id, |endpoint, _| {
            (endpoint.status != EndpointStatus::Enabled).then(|| {
                endpoint.status = EndpointStatus::Enabled;
                ("", "webhook.endpoint.enabled", json!({"endpoint": id}))
            })
        })
        .await
    }

    /// Changes an endpoint as it is now, again if somebody else was first.
    async fn change(
        &self,
        scope: &Scope,
        id: EndpointId,
        change: impl Fn(&mut Endpoint, Timestamp) -> Option<(&'static str, &'static str, serde_json::Value)>
        + Send
        + Sync,
    ) -> Result<Endpoint, Error> {
        for _ in 0..10 {
            let mut endpoint = self.endpoint(scope, id).await?;
            let Some((before, behind, data)) = change(&mut endpoint, self.now()) else { return Ok(endpoint) };
            if !before.is_empty() {
                self.tell(scope, before, data.clone()).await?;
            }
            endpoint.revision += 1;
            match self.put(scope, &endpoint).await {
                Err(Error::Conflict { .. }) => {}
                other => {
                    other?;
                    self.tell(scope, behind, data).await?;
                    return Ok(endpoint);
                }
            }
        }
        Err(Error::Conflict { id: id.to_string() })
    }

    /// Gives an endpoint a new key. Those before it go on signing for the time of [`Config::overlap`], so that the receiver can
    /// change over without a gap; each attempt has a signature of every valid key meanwhile. Those of them that the vault cannot open any
    /// more end at once: nothing could be signed with them, and nothing at all would be sent for their sake.
    ///
    /// # Errors
    /// When there is no such endpoint, it was changed meanwhile, or the store or vault fails.
    pub async fn rotate_key(&self, scope: &Scope, id: EndpointId, key: KeyChoice) -> Result<NewKey, Error> {
        let mut endpoint = self.endpoint(scope, id).await?;
        let now = self.now();
        let (key, shown) = self.sealed(scope, id, key, now).await?;
        let mut kept = Vec::with_capacity(endpoint.keys.len());
        for key in std::mem::take(&mut endpoint.keys) {
            if !key.has_ended(now) && self.opens(scope, id, &key).await? {
                kept.push(key);
            }
        }
        endpoint.keys = kept;
        let until = after(now, self.inner.config.overlap);
        for old in &mut endpoint.keys {
            old.until = Some(old.until.map_or(until, |earlier| earlier.min(until)));
        }
        endpoint.keys.push(key);
        if endpoint.keys.len() > 5 {
            return Err(Error::endpoint(
                "it has five keys that are valid: wait until the first of them has ended",
            ));
        }
        endpoint.revision += 1;
        self.put(scope, &endpoint).await?;
        self.tell(scope, "webhook.endpoint.key_rotated", json!({"endpoint": id})).await?;
        Ok(shown)
    }

    /// Whether the vault opens a key. What is only away now may open it later.
    async fn opens(&self, scope: &Scope, id: EndpointId, key: &EndpointKey) -> Result<bool, Error> {
        match signer(scope.tenant(), id, key, &*self.inner.vault).await {
            Ok(_) => Ok(true),
            Err(Error::Sealed) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The endpoints of a tenant and the number of their state, remembered until that changes.
    async fn known(&self, scope: &Scope) -> Result<Known, Error> {
        let revision = self.inner.store.endpoints_revision(scope).await?;
        if let Some(known) = self.remembered(scope.tenant(), revision) {
            return Ok((revision, known));
        }
        let mut all = Vec::new();
        let mut request = page_of_most();
        while let Some(page) = &request {
            let found = self.inner.store.endpoints(scope, page).await?;
            all.extend(found.items);
            request = found.next.and_then(|next| Some(page_of_most()?.after(next)));
        }
        Ok((revision, self.remember(scope.tenant(), revision, all)))
    }

    pub(crate) fn remembered(&self, tenant: &TenantId, revision: i64) -> Option<Arc<Vec<Endpoint>>> {
        let known = self.inner.known.lock();
        known.get(tenant).filter(|(known, _)| *known == revision).map(|(_, endpoints)| Arc::clone(endpoints))
    }

    pub(crate) fn remember(
        &self,
        tenant: &TenantId,
        revision: i64,
        all: Vec<Endpoint>,
    ) -> Arc<Vec<Endpoint>> {
        let all = Arc::new(all);
        let mut known = self.inner.known.lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(tenant.clone(), (revision, Arc::clone(&all)));
        all
    }

    /// What is stored of a message: itself and where it goes.
    pub(crate) fn enqueue_of(
        &self,
        endpoints: &[Endpoint],
        publish: Publish,
        now: Timestamp,
    ) -> Result<Enqueue, Error> {
        publish.check(self.inner.config.max_payload)?;
        let types = &self.inner.config.types;
        if !types.is_empty() {
            let payload = serde_json::from_slice(&publish.body)
                .map_err(|_| Error::message("its event type has a schema and its body is not JSON"))?;
            types.check(&publish.event_type, &payload)?;
        }
        let idempotency =
            publish.idempotency_key.clone().map(|key| (key, after(now, self.inner.config.idempotency)));
        let message = Message::of(MessageId::new(self.inner.ids.next_id(now)), now, publish);
        let fanout = endpoints
            .iter()
            .filter(|each| each.status == EndpointStatus::Enabled && each.settings.wants(&message.event_type))
            .map(|each| {
                let lane = message.ordering_key.clone().filter(|_| each.settings.ordered);
                (DeliveryId::new(self.inner.ids.next_id(now)), each.id, lane)
            })
            .collect();
        Ok(Enqueue { message, fanout, idempotency })
    }

    /// Publishes a message: it is stored, and workers deliver it. To publish it with a change of your own, in one transaction, see
    /// [`publish_in`](Self::publish_in).
    ///
    /// # Errors
    /// When the message does not do, its idempotency key was used for another one, or the store fails.
    pub async fn publish(&self, scope: &Scope, publish: Publish) -> Result<Published, Error> {
        let mut published = self.publish_all(scope, [publish]).await?;
        published.pop().ok_or_else(|| Error::message("nothing was stored"))
    }

    /// Publishes messages, all or none.
    ///
    /// # Errors
    /// When a message does not do, an idempotency key was used for another one, or the store fails.
    pub async fn publish_all(
        &self,
        scope: &Scope,
        messages: impl IntoIterator<Item = Publish>,
    ) -> Result<Vec<Published>, Error> {
        let messages: Vec<Publish> = messages.into_iter().collect();
        let (_, endpoints) = self.known(scope).await?;
        let now = self.now();
        let batch = messages
            .into_iter()
            .map(|message| self.enqueue_of(&endpoints, message, now))
            .collect::<Result<Vec<_>, _>>()?;
        let enqueued = self.inner.store.enqueue(scope, &batch).await?;
        published(&batch, &enqueued)
    }

    /// A message.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub async fn message(&self, scope: &Scope, id: MessageId) -> Result<Message, Error> {
        self.inner.store.message(scope, id).await?.ok_or_else(|| Error::NoMessage { id: id.to_string() })
    }

    /// The log: deliveries that the filter shows, the newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn deliveries(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<Page<Delivery>, Error> {
        Ok(self.inner.store.deliveries(scope, filter, page).await?)
    }

    /// A delivery with its attempts.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub async fn delivery(&self, scope: &Scope, id: DeliveryId) -> Result<(Delivery, Vec<Attempt>), Error> {
        let gone = || Error::NoDelivery { id: id.to_string() };
        let page = PageRequest::first(1).map_err(|_| gone())?;
        let found = self.inner.store.deliveries(scope, &DeliveryFilter::new().delivery(id), &page).await?;
        let delivery = found.items.into_iter().next().ok_or_else(gone)?;
        Ok((delivery, self.inner.store.attempts(scope, id).await?))
    }

    /// Cancels what the filter shows and has not ended; how many deliveries it were.
    ///
    /// # Errors
    /// When the store fails; some may be cancelled then.
    pub async fn cancel(&self, scope: &Scope, filter: &DeliveryFilter) -> Result<u64, Error> {
        let mut all = 0;
        loop {
            let some = self.inner.store.cancel(scope, filter, BATCH, self.now()).await?;
            all += some;
            if some < u64::from(BATCH) {
                return Ok(all);
            }
        }
    }

    /// Sends again what the filter shows and has ended, whatever its end was: a replay. How many deliveries it were.
    ///
    /// # Errors
    /// When the store fails; some may be sent again then.
    pub async fn replay(&self, scope: &Scope, filter: &DeliveryFilter) -> Result<u64, Error> {
        // What ends anew meanwhile ended after this moment, and does not come twice.
        let now = self.now();
        let mut all = 0;
        loop {
            let some = self.inner.store.redrive(scope, filter, BATCH, now).await?;
            all += some;
            if some < u64::from(BATCH) {
                return Ok(all);
            }
        }
    }

    /// Sends one delivery again. One that has not ended is left alone.
    ///
    /// # Errors
    /// When there is no such delivery, or the store fails.
    pub async fn resend(&self, scope: &Scope, id: DeliveryId) -> Result<bool, Error> {
        self.delivery(scope, id).await?;
        let filter = DeliveryFilter::new().delivery(id);
        Ok(self.inner.store.redrive(scope, &filter, 1, self.now()).await? > 0)
    }

    /// Sends again all dead letters of an endpoint that were published since: after it was mended.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn recover(&self, scope: &Scope, endpoint: EndpointId, since: Timestamp) -> Result<u64, Error> {
        let filter = DeliveryFilter::new().endpoint(endpoint).state(DeliveryState::Dead).since(since);
        self.replay(scope, &filter).await
    }

    /// Forgets messages older than this whose deliveries have all ended; how many it were. Idempotency keys whose time is over go with
    /// them. For all tenants: to be called by the host now and then.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn purge(&self, older_than: Duration) -> Result<u64, Error> {
        let now = self.now();
        let before =
            chrono::TimeDelta::from_std(older_than).ok().and_then(|span| now.checked_sub_signed(span));
        let Some(before) = before else { return Ok(0) };
        let mut all = 0;
        loop {
            let some = self.inner.store.purge(before, now, BATCH).await?;
            all += some;
            // Fewer than a batch is not the end: what is sent again meanwhile was passed by.
            if some == 0 {
                return Ok(all);
            }
        }
    }
}

fn too_many(endpoints: usize) -> Error {
    Error::endpoint(format!("the tenant has {endpoints} already"))
}

/// Deliveries that one transaction of a bulk operation touches.
const BATCH: u32 = 500;

pub(crate) fn page_of_most() -> Option<PageRequest> {
    PageRequest::first(PageRequest::MAX_SIZE).ok()
}

fn published(batch: &[Enqueue], enqueued: &[Enqueued]) -> Result<Vec<Published>, Error> {
    batch
        .iter()
        .zip(enqueued)
        .map(|(each, enqueued)| match enqueued {
            Enqueued::New => Ok(Published::New { id: each.message.id, deliveries: each.fanout.len() }),
            Enqueued::Duplicate(id) => Ok(Published::Duplicate { id: *id }),
            Enqueued::Taken(id) => {
                let key = each.idempotency.as_ref().map_or_else(String::new, |(key, _)| shorten(key));
                Err(Error::Reused { key, id: id.to_string() })
            }
        })
        .collect()
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl Webhooks<crate::store::SqlStore> {
    /// Publishes a message within a transaction of the caller: it is delivered if that commits, and leaves no trace if it does
    /// not. The tables have to be in the same database; the tenant is the transaction's.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use guardian_core::{Scope, SystemClock, SystemIds, TenantId};
    /// # use guardian_sql::Database;
    /// # use guardian_webhook::{AeadVault, Config, DeliveryFilter, EndpointSettings, KeyChoice, Publish, Webhooks, store::SqlStore};
    /// let db = Database::open("sqlite::memory:").await?;
    /// let operator = Scope::system(TenantId::new("operator")?);
    /// let store = SqlStore::open(db.clone(), &operator).await?;
    /// let webhooks = Webhooks::new(store, AeadVault::new([7; 32]), SystemClock::new(), SystemIds::new(), Config::default());
    /// let acme = Scope::system(TenantId::new("acme")?);
    /// let (endpoint, _) = webhooks.create_endpoint(&acme, EndpointSettings::new("https://example.com"), KeyChoice::NewSecret).await?;
    ///
    /// let mut tx = db.begin(&acme).await?;
    /// // … the change itself …
    /// webhooks.publish_in(&mut tx, Publish::bytes("deal.won", "text/plain", *b"7")?).await?;
    /// tx.rollback().await?;
    /// assert_eq!(webhooks.queue(&acme, endpoint.id).await?.open, 0);
    ///
    /// let mut tx = db.begin(&acme).await?;
    /// webhooks.publish_in(&mut tx, Publish::bytes("deal.won", "text/plain", *b"7")?).await?;
    /// tx.commit().await?;
    /// assert_eq!(webhooks.queue(&acme, endpoint.id).await?.open, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the message does not do, its idempotency key was used for another one, or the database fails. In the first two cases
    /// nothing of it is in the transaction, which may go on.
    pub async fn publish_in(
        &self,
        tx: &mut guardian_sql::TenantTx,
        publish: Publish,
    ) -> Result<Published, Error> {
        let tenant = tx.scope().tenant().clone();
        let store = &self.inner.store;
        let revision = store.revision_in(tx).await?;
        let endpoints = match self.remembered(&tenant, revision) {
            Some(endpoints) => endpoints,
            None => {
                let all = store.endpoints_in(tx).await?;
                self.remember(&tenant, revision, all)
            }
        };
        let batch = [self.enqueue_of(&endpoints, publish, self.now())?];
        let enqueued = store.enqueue_in(tx, &batch).await?;
        published(&batch, &enqueued)?.pop().ok_or_else(|| Error::message("nothing was stored"))
    }
}
