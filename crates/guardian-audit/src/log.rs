use std::sync::Arc;

use guardian_core::{
    Clock, Cursor, IdSource, Page, PageRequest, Scope, StoreError, StoreErrorKind, SystemClock, SystemIds,
    Timestamp,
};
use uuid::Uuid;

use crate::canonical;
use crate::cursor::CursorKey;
use crate::dimension::Dimension;
use crate::error::{Error, InvalidEvent};
use crate::event::{Assessment, AuditEvent, EventActor, StoredEvent, Target};
use crate::keys::KeyStore;
use crate::lifecycle::PersonalData;
use crate::lifecycle::personal::{self, SealedEvent};
use crate::plan::Plan;
use crate::query::{Condition, Query, TimeRange};
use crate::redact::Redaction;
use crate::risk::RiskRules;
use crate::schema::Schemas;
use crate::sealed::Sealed;
use crate::store::{AuditStore, Batch, Count, Draft, Facet, Head, Placed, Record};
use crate::terms;

/// The audit log of a service: records events, and answers what happened.
///
/// ```
/// use guardian_audit::store::MemoryStore;
/// use guardian_audit::{AuditConfig, AuditEvent, AuditLog, Target};
/// use guardian_core::{Actor, PageRequest, Scope, TenantId};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let log = AuditLog::new(MemoryStore::new(), AuditConfig::default());
/// let scope = Scope::new(TenantId::new("acme")?, Actor::user("u_17")?);
///
/// let event = AuditEvent::new("deal.updated")
///     .with_target(Target::new("deal", "d_42").with_name("Acme renewal"))
///     .with_message("Stage changed from open to won");
/// log.record(&scope, event).await?;
///
/// let page = log.search(&scope, &"renewal action:deal.*".parse()?, &PageRequest::first(50)?).await?;
/// assert_eq!(page.items[0].event.target.as_ref().unwrap().id, "d_42");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct AuditLog<S = Arc<dyn AuditStore>> {
    store: S,
    config: AuditConfig,
}

/// How an [`AuditLog`] treats what it is given.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AuditConfig {
    /// What is taken out of events.
    pub redaction: Redaction,
    /// What makes an event risky.
    pub risk: RiskRules,
    /// Which uses of the log are events of the log themselves.
    pub read_audit: ReadAudit,
    /// What events of an action must look like.
    pub schemas: Schemas,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    cursors: CursorKey,
    has_cursor_secret: bool,
    personal: Option<(PersonalData, Arc<dyn KeyStore>)>,
}

/// Which uses of the log are recorded in it. Recorded are who asked and the query; not what was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadAudit {
    /// The first page of each search, counts, facets and histograms, single events, and everything that leaves as a whole.
    #[default]
    Everything,
    /// Exports, bundles and verifications alone.
    Exports,
}

/// A part of a log that is [followed](AuditLog::follow).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Followed {
    /// The events, the oldest first.
    pub events: Vec<StoredEvent>,
    /// The place to go on at; the one that was asked for where there is nothing yet.
    pub next: u64,
    /// Whether the log goes further than that already.
    pub is_behind: bool,
}

/// What processes that share a key know each other's cursors by.
#[derive(Debug, Clone)]
pub struct SharedCursors(CursorKey);

impl SharedCursors {
    /// Derived from a key that has another use; who knows a cursor learns nothing about the key.
    #[must_use]
    pub fn derive(key: &[u8; 32]) -> Self {
        Self(CursorKey::derive(key))
    }
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            redaction: Redaction::standard(),
            risk: RiskRules::standard(),
            read_audit: ReadAudit::Everything,
            schemas: Schemas::new(),
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(SystemIds::new()),
            cursors: CursorKey::random(),
            has_cursor_secret: false,
            personal: None,
        }
    }
}

impl AuditConfig {
    /// The same settings with this redaction.
    #[must_use]
    pub fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// The same settings with these rules.
    #[must_use]
    pub fn with_risk(mut self, rules: RiskRules) -> Self {
        self.risk = rules;
        self
    }

    /// The same settings, recording these uses of the log.
    #[must_use]
    pub fn with_read_audit(mut self, reads: ReadAudit) -> Self {
        self.read_audit = reads;
        self
    }

    /// The same settings, holding events against these schemas.
    #[must_use]
    pub fn with_schemas(mut self, schemas: Schemas) -> Self {
        self.schemas = schemas;
        self
    }

    /// The same settings with this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The same settings with this source of ids.
    #[must_use]
    pub fn with_ids(mut self, ids: impl IdSource) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// The same settings with this secret for cursors, so that those of one process are good in another, and after a
    /// restart. Without it each process has a random one.
    #[must_use]
    pub fn with_cursor_secret(mut self, secret: [u8; 32]) -> Self {
        self.cursors = CursorKey::new(secret);
        self.has_cursor_secret = true;
        self
    }

    /// The same settings with what cursors are known by, unless [a secret](Self::with_cursor_secret) was given.
    #[must_use]
    pub fn with_cursors_from(mut self, shared: SharedCursors) -> Self {
        if !self.has_cursor_secret {
            self.cursors = shared.0;
        }
        self
    }

    /// The same settings, sealing personal data with the keys of this store, so that a person can be
    /// [forgotten](AuditLog::erase_subject).
    #[must_use]
    pub fn with_personal_data(mut self, policy: PersonalData, keys: impl KeyStore) -> Self {
        self.personal = Some((policy, Arc::new(keys)));
        self
    }

    pub(crate) fn keys(&self) -> Option<&dyn KeyStore> {
        self.personal.as_ref().map(|(_, keys)| &**keys)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn new_id(&self, now: Timestamp) -> Uuid {
        self.ids.next_id(now)
    }
}

/// What the log says of an event that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The event's id.
    pub id: Uuid,
    /// Its place in the tenant's log.
    pub sequence: u64,
    /// When the log took it.
    pub recorded: Timestamp,
    /// How risky it was found.
    pub risk: Assessment,
    /// Whether the log had an event of this id already; nothing was recorded then.
    pub duplicate: bool,
}

impl<S: AuditStore> AuditLog<S> {
    /// A log in this store.
    #[must_use]
    pub fn new(store: S, config: AuditConfig) -> Self {
        Self { store, config }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The store, when the log is needed no more.
    #[must_use]
    pub fn into_store(self) -> S {
        self.store
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &AuditConfig {
        &self.config
    }

    /// Records an event in the log of the scope's tenant. When it returns, the store has it.
    ///
    /// # Errors
    /// When the event is none the log takes, or the store failed; it is safe to record the same event, with its id,
    /// again.
    pub async fn record(&self, scope: &Scope, event: AuditEvent) -> Result<Receipt, Error> {
        let (draft, risk) = self.prepare(scope, event).await?;
        let placed = self.append(scope, std::slice::from_ref(&draft)).await?;
        let placed = placed.first().copied().ok_or_else(lost)?;
        Ok(receipt(draft.id, risk, placed))
    }

    /// Records events together, all of them or none.
    ///
    /// # Errors
    /// As [`Self::record`]; one event that the log does not take keeps the others out.
    pub async fn record_all(&self, scope: &Scope, events: Vec<AuditEvent>) -> Result<Vec<Receipt>, Error> {
        let (mut drafts, mut risks) = (Vec::with_capacity(events.len()), Vec::with_capacity(events.len()));
        for event in events {
            let (draft, risk) = self.prepare(scope, event).await?;
            drafts.push(draft);
            risks.push(risk);
        }
        let placed = self.append(scope, &drafts).await?;
        if placed.len() != drafts.len() {
            return Err(lost());
        }
        Ok(drafts
            .iter()
            .zip(risks)
            .zip(placed)
            .map(|((draft, risk), one)| receipt(draft.id, risk, one))
            .collect())
    }

    /// Makes an event ready to be stored: fills in what is absent, assesses the risk, redacts, seals, encodes. For who
    /// appends to the store by other ways than [`Self::record`].
    ///
    /// # Errors
    /// When the event is none the log takes, or the store of keys failed.
    pub async fn prepare(&self, scope: &Scope, mut event: AuditEvent) -> Result<(Draft, Assessment), Error> {
        let now = self.look(&mut event)?;
        self.make(scope, event, now).await
    }

    /// Whether the log takes an event; when it came, which is when it occurred unless it says another time. The part of
    /// [`prepare`](Self::prepare) that takes next to no time.
    pub(crate) fn look(&self, event: &mut AuditEvent) -> Result<Timestamp, Error> {
        let now = self.config.now();
        self.look_at(event, now)?;
        Ok(now)
    }

    /// The same for an event that came at this time.
    pub(crate) fn look_at(&self, event: &mut AuditEvent, came: Timestamp) -> Result<(), Error> {
        event.check()?;
        self.config.schemas.check(event)?;
        event.occurred.get_or_insert(came);
        Ok(())
    }

    /// Makes an event ready that was [looked at](Self::look) when it came.
    pub(crate) async fn make(
        &self,
        scope: &Scope,
        event: AuditEvent,
        came: Timestamp,
    ) -> Result<(Draft, Assessment), Error> {
        let Some((policy, keys)) = &self.config.personal else {
            return self.make_unsealed(scope, event, came);
        };
        let (event, risk) = self.redacted(scope, event, came);
        let SealedEvent { event, sealed, blind } = personal::seal(policy, keys, scope, event).await?;
        Ok((draft(&event, &risk, &sealed, &blind)?, risk))
    }

    /// The same where nothing is sealed.
    fn make_unsealed(
        &self,
        scope: &Scope,
        event: AuditEvent,
        came: Timestamp,
    ) -> Result<(Draft, Assessment), Error> {
        let (event, risk) = self.redacted(scope, event, came);
        Ok((draft(&event, &risk, &[], &[])?, risk))
    }

    fn redacted(&self, scope: &Scope, mut event: AuditEvent, came: Timestamp) -> (AuditEvent, Assessment) {
        event.id.get_or_insert_with(|| self.config.ids.next_id(came));
        event.actor.get_or_insert_with(|| EventActor::of(scope));
        // The risk is told from the whole event; what is stored of it is not.
        let risk = self.config.risk.assess(&event);
        (self.config.redaction.apply(event), risk)
    }

    async fn append(&self, scope: &Scope, drafts: &[Draft]) -> Result<Vec<Placed>, Error> {
        let placed = self.store.append(&[Batch::new(scope, drafts)], self.config.now()).await?;
        Ok(placed.into_iter().flatten().collect())
    }

    /// The events that the query finds, newest first.
    ///
    /// A page begins where the one before it ended, whatever was recorded meanwhile: paging shows each event once, and none
    /// is missed. A cursor is good for the tenant and the query that it was made for.
    ///
    /// # Errors
    /// When the cursor is not one of this search, or the store failed.
    pub async fn search(
        &self,
        scope: &Scope,
        query: &Query,
        page: &PageRequest,
    ) -> Result<Page<StoredEvent>, Error> {
        let tenant = scope.tenant();
        let before =
            page.cursor().map(|cursor| self.config.cursors.open(tenant, query, cursor)).transpose()?;
        let size = usize::try_from(page.size()).unwrap_or(usize::MAX);
        let found = self.store.search(scope, &self.plan(scope, query).await?, before, size).await?;
        let next = found.records.last().filter(|_| found.more);
        let next: Option<Cursor> = next.map(|last| self.config.cursors.after(tenant, query, last.sequence));
        let items = self.decode_all(scope, &found.records).await?;
        if before.is_none() {
            self.audit_read(scope, "audit_log.searched", query).await?;
        }
        Ok(Page::new(items, next))
    }

    /// The next events that the query finds from a place of the log on, the oldest first, and the place to go on at: for those who follow a
    /// log as it grows, and miss none and get none twice. They are 32 at most, and far more of the log is passed over where the query
    /// finds few.
    ///
    /// The log does not record each look; [`followed`](Self::followed) records that somebody begins to.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn follow(&self, scope: &Scope, query: &Query, from: u64) -> Result<Followed, Error> {
        /// Events may be large, and many follow at once.
        const MOST: u64 = 32;
        /// So far it is looked in one step.
        const FAR: u64 = 4_096;
        let head = self.store.head(scope).await?.size;
        let size = usize::try_from(MOST).unwrap_or(usize::MAX);
        for span in [FAR, MOST] {
            let next = head.min(from.saturating_add(span));
            let Some(newest) = next.checked_sub(1).filter(|newest| *newest >= from) else {
                return Ok(Followed { events: Vec::new(), next: from, is_behind: false });
            };
            let within = query.clone().and(Condition::Sequence(from, newest).into());
            let mut found = self.store.search(scope, &self.plan(scope, &within).await?, None, size).await?;
            // The newest come first: where there are more, those that are missing come before them.
            if found.more {
                continue;
            }
            found.records.reverse();
            let events = self.decode_all(scope, &found.records).await?;
            return Ok(Followed { events, next, is_behind: next < head });
        }
        // As many places hold no more events than that.
        Err(StoreError::new(StoreErrorKind::Corrupt, "audit log").into())
    }

    /// Records that somebody begins to [follow](Self::follow) the log, where it records who [reads](ReadAudit) it.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn followed(&self, scope: &Scope, query: &Query) -> Result<(), Error> {
        self.audit_read(scope, "audit_log.followed", query).await
    }

    /// How many events the query finds; counting stops at `limit`, where there is one.
    ///
    /// ```
    /// use guardian_audit::store::Count;
    ///
    /// assert_eq!(Count::AtLeast(10_000).to_string(), "10,000+");
    /// ```
    ///
    /// # Errors
    /// When the store failed.
    pub async fn count(&self, scope: &Scope, query: &Query, limit: Option<u64>) -> Result<Count, Error> {
        let count = self.store.count(scope, &self.plan(scope, query).await?, limit).await?;
        self.audit_read(scope, "audit_log.counted", query).await?;
        Ok(count)
    }

    /// The most frequent values of a dimension among the events that the query finds, at most `top`.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn facets(
        &self,
        scope: &Scope,
        query: &Query,
        dimension: Dimension,
        top: usize,
    ) -> Result<Vec<Facet>, Error> {
        let plan = self.plan(scope, query).await?;
        let mut facets = self.store.facets(scope, &plan, dimension, top).await?;
        if dimension == Dimension::Address {
            for facet in &mut facets {
                if let Some(address) = terms::address_of(&facet.value) {
                    facet.value = address.to_string();
                }
            }
        }
        self.audit_read(scope, "audit_log.faceted", query).await?;
        Ok(facets)
    }

    /// How many of the events that the query finds were recorded in each of `buckets` equal parts of a time: the start of
    /// each part, and the number. At most 10,000 parts are made.
    ///
    /// # Errors
    /// When the time has no beginning or no end, or the store failed.
    pub async fn histogram(
        &self,
        scope: &Scope,
        query: &Query,
        range: TimeRange,
        buckets: u32,
    ) -> Result<Vec<(Timestamp, u64)>, Error> {
        let (Some(from), Some(to)) = (range.from, range.to) else {
            return Err(InvalidEvent::new("range", "", "a histogram needs a beginning and an end").into());
        };
        let buckets = i64::from(buckets.clamp(1, 10_000));
        let (start, end) = (i128::from(from.timestamp_micros()), i128::from(to.timestamp_micros()));
        let edge = |index: i64| start + (end - start).max(0) * i128::from(index) / i128::from(buckets);
        let edges: Vec<i64> =
            (0..=buckets).map(|index| i64::try_from(edge(index)).unwrap_or(i64::MAX)).collect();
        let counts = self.store.histogram(scope, &self.plan(scope, query).await?, &edges).await?;
        self.audit_read(scope, "audit_log.charted", query).await?;
        let start = |micros: &i64| chrono::DateTime::from_timestamp_micros(*micros).unwrap_or_default();
        Ok(edges.iter().map(start).zip(counts).collect())
    }

    /// The event at a place of the log; `None` when there is none, or its body was dropped.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn get(&self, scope: &Scope, sequence: u64) -> Result<Option<StoredEvent>, Error> {
        let records = self.store.records(scope, sequence, 1).await?;
        match records.first().filter(|record| record.sequence == sequence) {
            Some(record) => {
                let event = self.decode_all(scope, std::slice::from_ref(record)).await?.pop();
                if event.is_some() && self.config.read_audit == ReadAudit::Everything {
                    let read = own(scope, "audit_log.read").with_metadata("sequence", sequence);
                    self.record(scope, read).await?;
                }
                Ok(event)
            }
            None => Ok(None),
        }
    }

    /// How far the tenant's log goes, and the root of its tree.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn head(&self, scope: &Scope) -> Result<Head, Error> {
        Ok(self.store.head(scope).await?)
    }

    pub(crate) async fn plan(&self, scope: &Scope, query: &Query) -> Result<Plan, Error> {
        Ok(match self.config.keys() {
            None => Plan::compile(query, &|_, _| None),
            Some(keys) => {
                let index = personal::index_key(keys, scope).await?;
                Plan::compile(query, &|dimension, value| personal::blind_term(&index, dimension, value))
            }
        })
    }

    /// The events of records whose bodies are there, opened as far as there are keys.
    pub(crate) async fn decode_all(
        &self,
        scope: &Scope,
        records: &[Record],
    ) -> Result<Vec<StoredEvent>, Error> {
        let mut events = Vec::with_capacity(records.len());
        for Record { sequence, recorded, body } in records {
            let Some(body) = body else { continue };
            let (sequence, recorded, tenant) = (*sequence, *recorded, scope.tenant().clone());
            let corrupt = |source| Error::Corrupt { sequence, source };
            let (event, risk, sealed) = canonical::read_body(body).map_err(corrupt)?;
            events.push(StoredEvent { tenant, sequence, recorded, risk, event, sealed });
        }
        if let Some(keys) = self.config.keys() {
            personal::open(keys, scope, &mut events).await?;
        }
        Ok(events)
    }

    /// Records that somebody used the log.
    pub(crate) async fn audit_read(&self, scope: &Scope, action: &str, query: &Query) -> Result<(), Error> {
        if self.config.read_audit == ReadAudit::Everything {
            self.audit_use(scope, action, query).await?;
        }
        Ok(())
    }

    /// A query as the log keeps it: where personal data is sealed, without the values that may be somebody's.
    pub(crate) fn as_recorded(&self, query: &Query) -> String {
        match self.config.personal {
            Some(_) => personal::veiled(query).to_string(),
            None => query.to_string(),
        }
    }

    /// Records that somebody took events out of the log.
    pub(crate) async fn audit_use(&self, scope: &Scope, action: &str, query: &Query) -> Result<(), Error> {
        let event = own(scope, action).with_metadata("query", self.as_recorded(query));
        self.record(scope, event).await.map(drop)
    }
}

/// An event about the tenant's log itself.
fn own(scope: &Scope, action: &str) -> AuditEvent {
    AuditEvent::new(action)
        .with_category("audit_log")
        .with_target(Target::new("audit_log", scope.tenant().as_str()))
}

fn draft(
    event: &AuditEvent,
    risk: &Assessment,
    sealed: &[Sealed],
    blind: &[String],
) -> Result<Draft, InvalidEvent> {
    Draft::new(event, risk, sealed, blind)
        .map_err(|error| InvalidEvent::new("event", &event.action, error.to_string()))
}

fn receipt(id: Uuid, risk: Assessment, placed: Placed) -> Receipt {
    let Placed { sequence, recorded, duplicate } = placed;
    Receipt { id, sequence, recorded, risk, duplicate }
}

/// A store that answers for fewer events than it was given.
pub(crate) fn lost() -> Error {
    StoreError::new(StoreErrorKind::Internal, "audit").into()
}
