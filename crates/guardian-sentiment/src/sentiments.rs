mod learning;
mod own;

use std::sync::Arc;

use guardian_core::{
    Clock, Cursor, Event, EventSink, IdSource, NullSink, Page, PageRequest, Scope, SystemClock, SystemIds,
    Timestamp,
};
use own::Owns;
use parking_lot::Mutex;

use crate::message::check_id;
use crate::store::{NewEntry, SentimentStore};
use crate::{
    Ensemble, Entry, Error, Explanation, Message, Reading, Recorded, Segment, SentimentModel, Told, Trend,
    TrendPolicy,
};

/// Reads messages, keeps how they were read, follows the series that they are in, and learns from corrections.
///
/// ```
/// use guardian_core::{Scope, TenantId};
/// use guardian_sentiment::{MemoryStore, Message, Polarity, Segment, Sentiments};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let sentiments = Sentiments::new(MemoryStore::new());
/// let scope = Scope::system(TenantId::new("acme")?);
///
/// let message = Message::new("m-1", "The export is broken again, this is ridiculous!")?.of_customer("c_17")?;
/// let recorded = sentiments.record(&scope, &message).await?;
/// assert!(recorded.entry.polarity() < Some(Polarity::Neutral));
/// // The same message once more changes nothing.
/// assert!(!sentiments.record(&scope, &message).await?.is_new);
///
/// let trend = sentiments.trend(&scope, &Segment::customer("c_17")?).await?.unwrap();
/// assert_eq!((trend.messages(), trend.negatives()), (1, 1));
///
/// // A person knows better: the history and the series follow, and the tenant's model learns.
/// sentiments.correct(&scope, &message, Polarity::VeryNegative).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What is promised
/// A message that was acknowledged is in the history and counted exactly once in each of its series, whatever crashes. An alarm
/// is told as the event `sentiment.falling` at least once, always with the same id: what was not told because of a crash is told by
/// [`relay`](Self::relay).
#[derive(Clone, Debug)]
pub struct Sentiments {
    store: Arc<dyn SentimentStore>,
    model: Model,
    policy: TrendPolicy,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    events: Arc<dyn EventSink>,
    owns: Arc<Mutex<Owns>>,
}

#[derive(Clone, Debug)]
enum Model {
    /// The shipped one, with what each tenant taught it.
    Learning(Ensemble),
    /// One that does not learn.
    Fixed(Arc<dyn SentimentModel>),
}

/// How often learning is tried when others learn at the same time.
const MAX_TRIES: u32 = 16;
/// Entries that are forgotten at a time.
const BATCH: u32 = 200;
/// Alarms that are told at a time.
const MAX_TOLD: u32 = 100;

impl Sentiments {
    /// With the model that comes with the crate, which reads English and says so of other languages, and learns from each
    /// tenant's corrections.
    #[must_use]
    pub fn new(store: impl SentimentStore) -> Self {
        Self::with(store, Model::Learning(Ensemble::default()))
    }

    /// With another model, which does not learn.
    #[must_use]
    pub fn with_model(store: impl SentimentStore, model: Arc<dyn SentimentModel>) -> Self {
        Self::with(store, Model::Fixed(model))
    }

    fn with(store: impl SentimentStore, model: Model) -> Self {
        Self {
            store: Arc::new(store),
            model,
            policy: TrendPolicy::default(),
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(SystemIds::new()),
            events: Arc::new(NullSink),
            owns: Arc::default(),
        }
    }

    /// The same by another policy; a series keeps the half-lives that it began with.
    #[must_use]
    pub fn with_policy(mut self, policy: TrendPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The same on another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The same with other ids of events.
    #[must_use]
    pub fn with_ids(mut self, ids: impl IdSource) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// The same, telling alarms there.
    #[must_use]
    pub fn with_events(mut self, events: impl EventSink) -> Self {
        self.events = Arc::new(events);
        self
    }

    /// How series are counted.
    #[must_use]
    pub fn policy(&self) -> &TrendPolicy {
        &self.policy
    }

    /// Reads a text as the tenant's model does, without keeping anything. While the store is away it reads with what this process knows
    /// the tenant to have taught, or with the shipped model if it knows nothing.
    ///
    /// # Errors
    /// When the store fails in a way that does not pass.
    pub async fn read(&self, scope: &Scope, text: &str) -> Result<Reading, Error> {
        Ok(finite(self.model_at_hand(scope).await?.read(text)))
    }

    /// Why a text is read as it is; `None` where it is not read.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub async fn explain(&self, scope: &Scope, text: &str) -> Result<Option<Explanation>, Error> {
        Ok(self.model_at_hand(scope).await?.explain(text))
    }

    /// Why a message is read as it is, with the spans of its parts in its whole text: of a mail, in the mail with its quotes.
    /// `None` where it is not read.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub async fn explain_message(
        &self,
        scope: &Scope,
        message: &Message,
    ) -> Result<Option<Explanation>, Error> {
        let mut explanation = self.explain(scope, &message.own_text()).await?;
        if let Some(explanation) = &mut explanation {
            message.spans_in_text(&mut explanation.parts);
        }
        Ok(explanation)
    }

    /// Reads a message, keeps how it was read, counts it in its series, and tells alarms. A message whose id was recorded before
    /// changes nothing, even if its text is another.
    ///
    /// # Errors
    /// When the store fails: then the message may be recorded or not; record it again. An event that cannot be told is no
    /// error; it is told by [`Self::relay`].
    pub async fn record(&self, scope: &Scope, message: &Message) -> Result<Recorded, Error> {
        let text = message.own_text();
        let reading = finite(self.model_of(scope).await?.read(&text));
        let now = self.clock.now();
        // Nothing is from the future: a wrong clock of a sender would make the present weigh nothing.
        let at = message.at.map_or(now, |at| at.min(now));
        let entry = Entry::new(message, at, reading);
        let events = entry.segments.iter().map(|_| self.ids.next_id(now)).collect();
        let words = crate::trend::words_of(&text);
        let new = NewEntry { entry, words, now, policy: self.policy.clone(), events };
        let recorded = self.store.record(scope, &new).await?;
        for told in new.raised(&recorded.updates) {
            // It stays to be told when this fails.
            drop(self.emit(scope, &told).await);
        }
        Ok(recorded)
    }

    /// Reads a message anew whose text or series have changed, and counts it in place of what it was: where it was in time, unless the
    /// message says when it was written. Saving one message often is no fall: nothing is tested, no alarm is raised and no word is
    /// counted. What a person said of the text before goes, with what it taught, so call it only when something changed. A
    /// message that was not recorded yet is recorded.
    ///
    /// # Errors
    /// As for [`Self::record`] and [`Self::forget`]; reread it then.
    pub async fn reread(&self, scope: &Scope, message: &Message) -> Result<Recorded, Error> {
        for _ in 0..MAX_TRIES {
            let Some(was) = self.store.entry(scope, message.id()).await? else {
                let recorded = self.record(scope, message).await?;
                if recorded.is_new {
                    return Ok(recorded);
                }
                // Another recorded it meanwhile, perhaps as it was before.
                continue;
            };
            let reading = finite(self.model_of(scope).await?.read(&message.own_text()));
            let now = self.clock.now();
            let entry = Entry::new(message, message.at.map_or(was.at, |at| at.min(now)), reading);
            if self.store.replace(scope, &entry, &self.policy).await? {
                self.unlearn(scope, Some(message.id())).await?;
                return Ok(Recorded { entry, is_new: false, updates: Vec::new() });
            }
        }
        Err(Error::Contended)
    }

    /// One entry of the history.
    ///
    /// # Errors
    /// When the id is none, or the store fails.
    pub async fn entry(&self, scope: &Scope, id: &str) -> Result<Option<Entry>, Error> {
        check_id(id)?;
        Ok(self.store.entry(scope, id).await?)
    }

    /// A page of a series' history, the newest first.
    ///
    /// # Errors
    /// When the cursor is none of this list, or the store fails.
    pub async fn history(
        &self,
        scope: &Scope,
        segment: &Segment,
        page: &PageRequest,
    ) -> Result<Page<Entry>, Error> {
        let after = page.cursor().map(place).transpose()?;
        let entries = self.store.history(scope, segment, after.as_ref(), page).await?;
        let is_full = u32::try_from(entries.len()).is_ok_and(|len| len >= page.size());
        let next = entries.last().filter(|_| is_full).map(cursor);
        Ok(Page::new(entries, next))
    }

    /// How a series stands; `None` when nothing was counted in it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn trend(&self, scope: &Scope, segment: &Segment) -> Result<Option<Trend>, Error> {
        Ok(self.store.trend(scope, segment).await?.filter(|trend| trend.messages() > 0))
    }

    /// The tenant's series behind one, in the order of their texts; at most 1,000 of them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn segments(
        &self,
        scope: &Scope,
        after: Option<&Segment>,
        limit: u32,
    ) -> Result<Vec<Segment>, Error> {
        Ok(self.store.segments(scope, after, limit.min(PageRequest::MAX_SIZE)).await?)
    }

    /// Forgets every message of a series: in the history, in all series that they are counted in, and in what the tenant's model learned.
    /// For a customer who asks for it, `customer:…`. Says how many messages were forgotten. When it fails it may be half done:
    /// do it again. Once it is done nobody in this process reads with what the messages taught: until the tenant's model is computed
    /// without it, who reads waits. Other processes follow within 30 seconds.
    ///
    /// # Errors
    /// When the store fails, or a later version of this crate wrote what was learned: then all is forgotten but what the messages
    /// taught, and a process of that version has to be asked.
    pub async fn forget(&self, scope: &Scope, segment: &Segment) -> Result<u64, Error> {
        let mut forgotten = 0;
        loop {
            let batch = self.store.forget(scope, segment, BATCH, &self.policy).await?;
            forgotten += u64::from(batch);
            // Another who forgets at the same time may have taken some of a batch.
            if batch == 0 {
                break;
            }
        }
        // Behind that: what is learned from now on is looked up in the history by who learns it.
        self.unlearn(scope, None).await?;
        Ok(forgotten)
    }

    /// Forgets one message: in the history, in all series that it is counted in, whose words are forgotten with it, and in what the
    /// tenant's model learned. Says whether there was such a message. For one that was deleted; one that was changed is to be
    /// [reread](Self::reread).
    ///
    /// # Errors
    /// When the id is none, or as for [`Self::forget`]: then it may be half done; do it again.
    pub async fn forget_message(&self, scope: &Scope, id: &str) -> Result<bool, Error> {
        check_id(id)?;
        let was = self.store.forget_message(scope, id, &self.policy).await?;
        self.unlearn(scope, Some(id)).await?;
        Ok(was)
    }

    /// Forgets everything of the tenant.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_tenant(&self, scope: &Scope) -> Result<(), Error> {
        self.store.forget_tenant(scope).await?;
        self.owns.lock().forgotten(scope.tenant(), self.clock.monotonic());
        Ok(())
    }

    /// Tells the tenant's alarms that were raised and not told, and says how many these were. For the start of a process, and
    /// now and then, in case a process ended between an alarm and its event.
    ///
    /// # Errors
    /// The first failure of the store or the sink; the alarms behind it are told all the same, and what was not told stays.
    pub async fn relay(&self, scope: &Scope) -> Result<u64, Error> {
        let (mut count, mut after, mut first) = (0, None, None);
        loop {
            let untold = self.store.untold(scope, after, MAX_TOLD).await?;
            for told in &untold {
                match self.emit(scope, told).await {
                    Ok(()) => count += 1,
                    Err(error) => drop(first.get_or_insert(error)),
                }
            }
            // One that cannot be told keeps none behind it back.
            match untold.last() {
                Some(last) => after = Some(last.event),
                None => return first.map_or(Ok(count), Err),
            }
        }
    }

    async fn emit(&self, scope: &Scope, told: &Told) -> Result<(), Error> {
        self.events.emit(self.event(scope, told)).await?;
        Ok(self.store.told(scope, told.event).await?)
    }

    fn event(&self, scope: &Scope, told: &Told) -> Event {
        let words: Vec<&str> = told.alert.words.iter().map(|rising| rising.word.as_str()).collect();
        Event::new(told.event, told.alert.at, scope, "sentiment.falling").with_data(serde_json::json!({
            "segment": told.segment.to_string(),
            "message": told.message,
            "recent": told.alert.recent,
            "baseline": told.alert.baseline,
            "messages": told.alert.messages,
            "words": words,
        }))
    }
}

/// A reading that every store can keep: of a model that says no number, nothing is known.
fn finite(reading: Reading) -> Reading {
    match reading {
        Reading::Read(sentiment) if !sentiment.is_finite() => Reading::Unsupported("und".to_owned()),
        reading => reading,
    }
}

fn cursor(entry: &Entry) -> Cursor {
    let mut bytes = entry.at.timestamp_micros().to_be_bytes().to_vec();
    bytes.extend_from_slice(entry.id.as_bytes());
    Cursor::from_bytes(&bytes)
}

fn place(cursor: &Cursor) -> Result<(Timestamp, String), Error> {
    let (micros, id) = cursor.as_bytes().split_first_chunk::<8>().ok_or(Error::InvalidCursor)?;
    let at = Timestamp::from_timestamp_micros(i64::from_be_bytes(*micros)).ok_or(Error::InvalidCursor)?;
    let id = std::str::from_utf8(id).map_err(|_| Error::InvalidCursor)?;
    Ok((at, id.to_owned()))
}
