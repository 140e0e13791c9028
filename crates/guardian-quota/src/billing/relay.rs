use std::sync::Arc;
use std::time::Duration;

use guardian_core::{Event, EventSink, NullSink, Scope, StoreError, StoreErrorKind, Timestamp};
use serde_json::json;

use super::{BillingEvent, BillingSink, Receipt, derived};
use crate::entry::Entry;
use crate::store::{Book, QuotaStore};
use crate::{Error, Quotas};

/// How a [`Relay`] works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayConfig {
    /// Entries that are handed over at a time. Default: 500.
    pub batch: u32,
    /// For how long a relay has a ledger before another may take it: longer than a batch ever takes. Default: 60 s.
    pub lease: Duration,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self { batch: 500, lease: Duration::from_secs(60) }
    }
}

impl RelayConfig {
    /// With that many entries at a time; 0 counts as 1.
    #[must_use]
    pub fn with_batch(mut self, batch: u32) -> Self {
        self.batch = batch.clamp(1, crate::quotas::MAX_ENTRIES);
        self
    }

    /// With that long for a batch.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }
}

/// Hands the entries of all ledgers over: spending to the billing system, and thresholds that were reached to the event sink, as
/// `quota.threshold_reached`. The host drives it; several processes may, at once.
///
/// A threshold is reached in one entry of a period, and its event's id follows from the entry: a sink that keeps one of each id
/// tells it once, through crashes too.
///
/// ```
/// # async fn example<B: guardian_quota::billing::BillingSink>(quotas: guardian_quota::Quotas<guardian_quota::MemoryStore>, sink: B)
/// # -> Result<(), guardian_quota::Error> {
/// use guardian_quota::billing::Relay;
///
/// let relay = Relay::new(&quotas, sink);
/// let progress = relay.run_once().await?;
/// println!("{} events sent, {} thresholds told", progress.sent, progress.told);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Relay<S, B> {
    quotas: Quotas<S>,
    sink: B,
    events: Arc<dyn EventSink>,
    config: RelayConfig,
}

/// What a run of a [`Relay`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Ledgers that had something.
    pub ledgers: usize,
    /// Events that the billing system took.
    pub sent: usize,
    /// Events that it will never take.
    pub rejected: usize,
    /// Thresholds that were told.
    pub told: usize,
    /// Ledgers that somebody else has, or that failed and are tried again with the next run.
    pub left: usize,
}

/// Ledgers that are looked up at a time.
const PAGE: u32 = 500;

impl<S: QuotaStore, B: BillingSink> Relay<S, B> {
    /// A relay of these quotas to a billing system.
    #[must_use]
    pub fn new(quotas: &Quotas<S>, sink: B) -> Self {
        Self { quotas: quotas.clone(), sink, events: Arc::new(NullSink), config: RelayConfig::default() }
    }

    /// The same telling this sink of thresholds, and of events that the billing system rejects (`quota.billing_rejected`).
    #[must_use]
    pub fn with_events(mut self, events: impl EventSink) -> Self {
        self.events = Arc::new(events);
        self
    }

    /// The same with other settings.
    #[must_use]
    pub fn with_config(mut self, config: RelayConfig) -> Self {
        self.config = config;
        self
    }

    /// The billing system.
    #[must_use]
    pub fn sink(&self) -> &B {
        &self.sink
    }

    pub(crate) fn quotas(&self) -> &Quotas<S> {
        &self.quotas
    }

    /// Hands over what there is, and ends. A ledger that cannot be handed over keeps no other from it.
    ///
    /// # Errors
    /// When the store cannot say what there is.
    pub async fn run_once(&self) -> Result<Progress, Error> {
        self.run_hearing(|_, _| {}).await
    }

    /// The same; `failed` hears of each ledger that could not be handed over, and why. It is tried again with the next run, however
    /// often that is: nobody else tells that bills stand still.
    ///
    /// # Errors
    /// As for [`Self::run_once`].
    pub async fn run_hearing(&self, mut failed: impl FnMut(&Book, Error) + Send) -> Result<Progress, Error> {
        let mut progress = Progress::default();
        let mut after: Option<Book> = None;
        loop {
            let books = self.quotas.store().unsent(after.as_ref(), PAGE).await?;
            for book in &books {
                progress.ledgers += 1;
                if let Err(error) = self.relay(book, &mut progress).await {
                    progress.left += 1;
                    failed(book, error);
                }
            }
            if books.len() < PAGE as usize {
                return Ok(progress);
            }
            after = books.into_iter().last();
        }
    }

    async fn relay(&self, book: &Book, progress: &mut Progress) -> Result<(), Error> {
        let scope = Scope::system(book.tenant.clone());
        let store = self.quotas.store();
        loop {
            let now = self.quotas.now();
            let Some((sent, fence)) = store.claim(&book.tenant, &book.feature, now, self.until(now)).await?
            else {
                progress.left += 1;
                return Ok(());
            };
            let done = self.hand_over(&scope, book, sent, progress).await;
            let upto = *done.as_ref().unwrap_or(&sent);
            // Given back also when it failed, so that the next run need not wait.
            if !store.advance(&book.tenant, &book.feature, fence, upto).await? {
                return Err(StoreError::new(StoreErrorKind::Conflict, "quota").into());
            }
            if done? == sent {
                return Ok(());
            }
        }
    }

    fn until(&self, now: Timestamp) -> Timestamp {
        chrono::TimeDelta::from_std(self.config.lease)
            .ok()
            .and_then(|lease| now.checked_add_signed(lease))
            .unwrap_or(now)
    }

    /// Hands a batch over and says up to which entry.
    async fn hand_over(
        &self,
        scope: &Scope,
        book: &Book,
        sent: u64,
        progress: &mut Progress,
    ) -> Result<u64, Error> {
        let entries = self.quotas.store().entries(scope, &book.feature, sent, self.config.batch).await?;
        let Some(last) = entries.last().map(Entry::seq) else { return Ok(sent) };
        let events: Vec<BillingEvent> =
            entries.iter().filter_map(|entry| BillingEvent::of(&book.tenant, &book.feature, entry)).collect();
        if !events.is_empty() {
            let receipts = self.sink.send(&events).await?;
            if receipts.len() != events.len() {
                let why = "the billing system gave another number of receipts than it got events";
                return Err(StoreError::new(StoreErrorKind::Internal, "billing").with_source(why).into());
            }
            for (event, receipt) in events.iter().zip(receipts) {
                match receipt {
                    Receipt::Accepted => progress.sent += 1,
                    Receipt::Rejected(why) => {
                        progress.rejected += 1;
                        let data = json!({ "feature": event.feature, "event": event.id, "entry": event.entry, "why": why });
                        let id = derived(&event.tenant, &event.feature, event.entry, &[1]);
                        self.tell(Event::new(id, event.at, scope, "quota.billing_rejected").with_data(data))
                            .await?;
                    }
                }
            }
        }
        for entry in &entries {
            for (effect, percent) in entry.told() {
                let id = derived(
                    &book.tenant,
                    &book.feature,
                    entry.seq(),
                    &[2, effect.level as u64, percent.into()],
                );
                let data = json!({
                    "feature": book.feature,
                    "subject": entry.subject().at(effect.level),
                    "level": effect.level,
                    "percent": percent,
                    "of": effect.base.map(|base| base.to_string()),
                    "used": effect.used.to_string(),
                    "period": effect.period.to_string(),
                });
                self.tell(Event::new(id, entry.recorded(), scope, "quota.threshold_reached").with_data(data))
                    .await?;
                progress.told += 1;
            }
        }
        Ok(last)
    }

    async fn tell(&self, event: Event) -> Result<(), Error> {
        Ok(self.events.emit(event).await?)
    }
}
