//! What others do between two steps of a call, and what an upgrade leaves behind.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use guardian_core::{
    Event, EventSink, ManualClock, PageRequest, Scope, StoreError, StoreErrorKind, TenantId, Timestamp,
};
use guardian_sentiment::store::{AdaptationState, NewEntry, SentimentStore};
use guardian_sentiment::{
    Adaptation, Alert, Corrected, Ensemble, Entry, Error, Linear, MemoryStore, Message, ModelError, Polarity,
    Reading, Recorded, Segment, Sentiments, Told, Trend, TrendPolicy,
};
use parking_lot::Mutex;
use uuid::Uuid;

fn scope() -> Scope {
    Scope::system(TenantId::new("acme").unwrap())
}

fn of(name: &str, id: &str) -> Message {
    Message::new(id, "The spinner appeared on the start page").unwrap().of_customer(name).unwrap()
}

fn ann() -> Segment {
    Segment::customer("ann").unwrap()
}

/// What somebody else does.
#[derive(Debug)]
enum Other {
    Corrects(Message, Polarity),
    Forgets(Segment),
    ForgetsMessage(String),
    RecordsAgain(Message),
    ForgetsTenant,
}

/// A store between whose calls another process does something, once.
#[derive(Debug, Default)]
struct Between {
    inner: Arc<MemoryStore>,
    behind_correct: Mutex<Option<Other>>,
    before_forget: Mutex<Option<Other>>,
    behind_forget_message: Mutex<Option<Other>>,
    /// The store does not answer.
    is_away: AtomicBool,
    /// How often it was asked for alarms.
    pages: AtomicU32,
    /// How often it was asked for entries.
    looked_up: AtomicU32,
    /// Alarms besides those of the store.
    alarms: Mutex<Vec<Told>>,
}

impl Between {
    async fn other(&self, scope: &Scope, slot: &Mutex<Option<Other>>) {
        let other = slot.lock().take();
        let sentiments = Sentiments::new(Arc::clone(&self.inner));
        match other {
            Some(Other::Corrects(message, polarity)) => {
                sentiments.correct(scope, &message, polarity).await.unwrap();
            }
            Some(Other::Forgets(segment)) => {
                sentiments.forget(scope, &segment).await.unwrap();
            }
            Some(Other::ForgetsMessage(id)) => {
                assert!(sentiments.forget_message(scope, &id).await.unwrap());
            }
            Some(Other::RecordsAgain(message)) => {
                assert!(sentiments.record(scope, &message).await.unwrap().is_new);
            }
            Some(Other::ForgetsTenant) => sentiments.forget_tenant(scope).await.unwrap(),
            None => {}
        }
    }

    fn answers(&self) -> Result<(), StoreError> {
        let error = StoreError::new(StoreErrorKind::Unavailable, "between");
        if self.is_away.load(Relaxed) { Err(error) } else { Ok(()) }
    }
}

#[async_trait]
impl SentimentStore for Between {
    async fn record(&self, scope: &Scope, new: &NewEntry) -> Result<Recorded, StoreError> {
        self.answers()?;
        self.inner.record(scope, new).await
    }
    async fn correct(
        &self,
        scope: &Scope,
        id: &str,
        correction: &Corrected,
        policy: &TrendPolicy,
    ) -> Result<Option<Entry>, StoreError> {
        let entry = self.inner.correct(scope, id, correction, policy).await;
        self.other(scope, &self.behind_correct).await;
        entry
    }
    async fn replace(&self, scope: &Scope, entry: &Entry, policy: &TrendPolicy) -> Result<bool, StoreError> {
        self.inner.replace(scope, entry, policy).await
    }
    async fn corrected(&self, scope: &Scope, ids: &[String]) -> Result<BTreeSet<String>, StoreError> {
        self.looked_up.fetch_add(1, Relaxed);
        self.inner.corrected(scope, ids).await
    }
    async fn entry(&self, scope: &Scope, id: &str) -> Result<Option<Entry>, StoreError> {
        self.looked_up.fetch_add(1, Relaxed);
        self.inner.entry(scope, id).await
    }
    async fn history(
        &self,
        scope: &Scope,
        segment: &Segment,
        after: Option<&(Timestamp, String)>,
        page: &PageRequest,
    ) -> Result<Vec<Entry>, StoreError> {
        self.inner.history(scope, segment, after, page).await
    }
    async fn trend(&self, scope: &Scope, segment: &Segment) -> Result<Option<Trend>, StoreError> {
        self.inner.trend(scope, segment).await
    }
    async fn segments(
        &self,
        scope: &Scope,
        after: Option<&Segment>,
        limit: u32,
    ) -> Result<Vec<Segment>, StoreError> {
        self.inner.segments(scope, after, limit).await
    }
    async fn forget(
        &self,
        scope: &Scope,
        segment: &Segment,
        limit: u32,
        policy: &TrendPolicy,
    ) -> Result<u32, StoreError> {
        self.other(scope, &self.before_forget).await;
        self.inner.forget(scope, segment, limit, policy).await
    }
    async fn forget_message(
        &self,
        scope: &Scope,
        id: &str,
        policy: &TrendPolicy,
    ) -> Result<bool, StoreError> {
        let was = self.inner.forget_message(scope, id, policy).await;
        self.other(scope, &self.behind_forget_message).await;
        was
    }
    async fn forget_tenant(&self, scope: &Scope) -> Result<(), StoreError> {
        self.inner.forget_tenant(scope).await
    }
    async fn untold(&self, _scope: &Scope, after: Option<Uuid>, limit: u32) -> Result<Vec<Told>, StoreError> {
        self.pages.fetch_add(1, Relaxed);
        let alarms = self.alarms.lock();
        let behind = alarms.iter().filter(|told| after.is_none_or(|after| told.event > after));
        Ok(behind.take(usize::try_from(limit).unwrap()).cloned().collect())
    }
    async fn told(&self, _scope: &Scope, event: Uuid) -> Result<(), StoreError> {
        self.alarms.lock().retain(|told| told.event != event);
        Ok(())
    }
    async fn adaptation(&self, scope: &Scope) -> Result<Option<AdaptationState>, StoreError> {
        self.answers()?;
        self.inner.adaptation(scope).await
    }
    async fn put_adaptation(
        &self,
        scope: &Scope,
        state: &AdaptationState,
        learned_from: Option<&str>,
    ) -> Result<Option<u64>, StoreError> {
        self.inner.put_adaptation(scope, state, learned_from).await
    }
}

/// The ids that the tenant's model has learned from.
async fn learned(store: &MemoryStore) -> Vec<String> {
    let Some(state) = store.adaptation(&scope()).await.unwrap() else { return Vec::new() };
    let adaptation = Adaptation::from_bytes(&Ensemble::default(), &state.bytes).unwrap();
    adaptation.ids().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_customer_who_is_forgotten_within_a_correction_has_taught_nothing() {
    for forgets in [Other::Forgets(ann()), Other::ForgetsMessage("a".to_owned())] {
        let store = Arc::new(Between::default());
        let sentiments = Sentiments::new(Arc::clone(&store));
        sentiments.record(&scope(), &of("ann", "a")).await.unwrap();
        sentiments.record(&scope(), &of("ben", "b")).await.unwrap();
        sentiments.correct(&scope(), &of("ben", "b"), Polarity::Negative).await.unwrap();
        *store.behind_correct.lock() = Some(forgets);
        let found = sentiments.correct(&scope(), &of("ann", "a"), Polarity::Negative).await;
        assert!(matches!(found, Err(Error::UnknownMessage { .. })), "{found:?}");
        assert_eq!(learned(&store.inner).await, ["b"]);
    }
}

#[tokio::test]
async fn a_correction_within_forgetting_teaches_nothing() {
    let store = Arc::new(Between::default());
    let sentiments = Sentiments::new(Arc::clone(&store));
    sentiments.record(&scope(), &of("ann", "a")).await.unwrap();
    *store.before_forget.lock() = Some(Other::Corrects(of("ann", "a"), Polarity::Negative));
    assert_eq!(sentiments.forget(&scope(), &ann()).await.unwrap(), 1);
    assert_eq!(learned(&store.inner).await, [""; 0]);
}

#[tokio::test]
async fn of_two_who_correct_at_once_the_model_learns_what_the_history_has() {
    let store = Arc::new(Between::default());
    let sentiments = Sentiments::new(Arc::clone(&store));
    sentiments.record(&scope(), &of("ann", "a")).await.unwrap();
    *store.behind_correct.lock() = Some(Other::Corrects(of("ann", "a"), Polarity::Positive));
    let entry = sentiments.correct(&scope(), &of("ann", "a"), Polarity::Negative).await.unwrap();
    assert_eq!(entry.polarity(), Some(Polarity::Positive));
    assert_eq!(sentiments.entry(&scope(), "a").await.unwrap(), Some(entry));
    let mut right = Adaptation::new(&Ensemble::default());
    right.learn("a", &of("ann", "a").own_text(), Polarity::Positive);
    let text = "The spinner again";
    assert_eq!(
        sentiments.read(&scope(), text).await.unwrap(),
        guardian_sentiment::SentimentModel::read(&right.model(), text)
    );
}

#[tokio::test]
async fn the_same_correction_again_leaves_who_said_it_first() {
    let clock = Arc::new(ManualClock::new());
    let sentiments = Sentiments::new(MemoryStore::new()).with_clock(Arc::clone(&clock));
    sentiments.record(&scope(), &of("ann", "a")).await.unwrap();
    let first = sentiments.correct(&scope(), &of("ann", "a"), Polarity::Negative).await.unwrap();
    clock.advance(Duration::from_secs(60));
    let again = sentiments.correct(&scope(), &of("ann", "a"), Polarity::Negative).await.unwrap();
    assert_eq!(first, again);
}

/// The files of two versions of the crate differ; a tenant who corrected something with the one goes on with the other.
#[tokio::test]
async fn a_new_model_locks_nobody_out() {
    let store = Arc::new(MemoryStore::new());
    let before = Ensemble::from(Linear::shipped().with_manifest("{}").unwrap());
    let mut old = Adaptation::new(&before);
    old.learn("a", "The spinner appeared on the start page", Polarity::Negative);
    old.learn("b", "The spinner appeared on the start page", Polarity::Negative);
    // The store chooses the first version; those after it follow.
    let mut version = 1;
    for _ in 0..7 {
        let state = AdaptationState { version, bytes: old.to_bytes() };
        version = store.put_adaptation(&scope(), &state, None).await.unwrap().unwrap() + 1;
    }

    let sentiments = Sentiments::new(Arc::clone(&store));
    // What the old version did in the history.
    let history = Sentiments::with_model(Arc::clone(&store), Arc::new(before.clone()));
    for (name, id) in [("ann", "a"), ("ben", "b")] {
        assert!(history.record(&scope(), &of(name, id)).await.unwrap().is_new);
        history.correct(&scope(), &of(name, id), Polarity::Negative).await.unwrap();
    }
    assert!(sentiments.record(&scope(), &of("cas", "c")).await.unwrap().is_new);
    let text = "The spinner again";
    let base = guardian_sentiment::SentimentModel::read(&Ensemble::default(), text);
    assert_eq!(sentiments.read(&scope(), text).await.unwrap(), base);
    assert_eq!(sentiments.shadow(&scope()).await.unwrap(), None);
    assert_eq!(sentiments.version(&scope()).await.unwrap(), 0);

    // Who is forgotten is so in what processes of the old version go on with, too.
    sentiments.forget(&scope(), &ann()).await.unwrap();
    let state = store.adaptation(&scope()).await.unwrap().unwrap();
    let left = Adaptation::from_bytes(&before, &state.bytes).unwrap();
    assert_eq!(left.ids().collect::<Vec<_>>(), ["b"]);

    sentiments.correct(&scope(), &of("ben", "b"), Polarity::Negative).await.unwrap();
    assert_eq!(sentiments.version(&scope()).await.unwrap(), 1);
    assert_ne!(sentiments.read(&scope(), text).await.unwrap(), base);
    assert_eq!(learned(&store).await, ["b"]);
}

/// Damaged bytes, or none at all, are as if nothing had been learned: messages are recorded, and learning begins anew.
#[tokio::test]
async fn what_is_damaged_keeps_nothing_from_being_recorded_or_forgotten() {
    let store = Arc::new(MemoryStore::new());
    let sentiments = Sentiments::new(Arc::clone(&store));
    let state = AdaptationState { version: 1, bytes: b"damaged".to_vec() };
    store.put_adaptation(&scope(), &state, None).await.unwrap().unwrap();
    sentiments.record(&scope(), &of("ann", "a")).await.unwrap();
    assert!(matches!(sentiments.read(&scope(), "good").await.unwrap(), Reading::Read(_)));
    assert_eq!(sentiments.version(&scope()).await.unwrap(), 0);
    assert_eq!(sentiments.forget(&scope(), &ann()).await.unwrap(), 1);
    let left = store.adaptation(&scope()).await.unwrap().unwrap();
    assert!(!left.bytes.windows(7).any(|window| window == b"damaged"), "it went altogether");

    sentiments.record(&scope(), &of("ben", "b")).await.unwrap();
    sentiments.correct(&scope(), &of("ben", "b"), Polarity::Negative).await.unwrap();
    assert_eq!(learned(&store).await, ["b"]);
}

/// What a later version of the crate wrote is not used, and neither written over nor half forgotten.
#[tokio::test]
async fn a_later_format_is_left_alone() {
    let store = Arc::new(MemoryStore::new());
    let sentiments = Sentiments::new(Arc::clone(&store));
    sentiments.record(&scope(), &of("ann", "a")).await.unwrap();
    sentiments.correct(&scope(), &of("ann", "a"), Polarity::Negative).await.unwrap();
    let mut later = store.adaptation(&scope()).await.unwrap().unwrap();
    later.version += 1;
    later.bytes[8] += 1;
    store.put_adaptation(&scope(), &later, None).await.unwrap().unwrap();

    let sentiments = Sentiments::new(Arc::clone(&store));
    let text = "The spinner again";
    let base = guardian_sentiment::SentimentModel::read(&Ensemble::default(), text);
    assert_eq!(sentiments.read(&scope(), text).await.unwrap(), base);
    assert!(sentiments.explain(&scope(), text).await.unwrap().is_some());
    assert!(sentiments.record(&scope(), &of("ben", "b")).await.unwrap().is_new);
    assert_eq!(sentiments.shadow(&scope()).await.unwrap(), None);
    let refused = sentiments.correct(&scope(), &of("ben", "b"), Polarity::Negative).await;
    assert!(matches!(refused, Err(Error::Model(ModelError::Version { .. }))), "{refused:?}");
    assert!(sentiments.roll_back(&scope(), 0).await.is_err());
    assert!(sentiments.forget(&scope(), &ann()).await.is_err(), "what she taught cannot be forgotten here");
    assert_eq!(sentiments.entry(&scope(), "a").await.unwrap(), None, "all else is");
    assert_eq!(store.adaptation(&scope()).await.unwrap(), Some(later));
}

/// Who reads needs no store: it goes on with what is at hand, and nothing is recorded.
#[tokio::test]
async fn texts_are_read_while_the_store_is_away() {
    let clock = Arc::new(ManualClock::new());
    let store = Arc::new(Between::default());
    let sentiments = Sentiments::new(Arc::clone(&store)).with_clock(Arc::clone(&clock));
    sentiments.record(&scope(), &of("ann", "a")).await.unwrap();
    sentiments.correct(&scope(), &of("ann", "a"), Polarity::Negative).await.unwrap();
    let text = "The spinner again";
    let taught = sentiments.read(&scope(), text).await.unwrap();
    store.is_away.store(true, Relaxed);
    clock.advance(Duration::from_secs(60));
    assert_eq!(sentiments.read(&scope(), text).await.unwrap(), taught);
    assert!(sentiments.explain(&scope(), text).await.unwrap().is_some());
    assert!(sentiments.record(&scope(), &of("ann", "b")).await.unwrap_err().is_transient());
    // A process that knows nothing reads with the shipped model.
    let fresh = Sentiments::new(Arc::clone(&store));
    let base = guardian_sentiment::SentimentModel::read(&Ensemble::default(), text);
    assert_eq!(fresh.read(&scope(), text).await.unwrap(), base);
    assert_ne!(taught, base);
    // That is no knowledge: once the store is there, it reads with what the tenant taught.
    store.is_away.store(false, Relaxed);
    assert_eq!(fresh.read(&scope(), text).await.unwrap(), taught);
}

/// However much a tenant taught, one message is forgotten with one look into the history.
#[tokio::test]
async fn forgetting_looks_once_into_the_history() {
    let store = Arc::new(Between::default());
    let sentiments = Sentiments::new(Arc::clone(&store));
    for n in 0..30 {
        let message = of(if n < 10 { "ann" } else { "ben" }, &format!("m{n}"));
        sentiments.record(&scope(), &message).await.unwrap();
        sentiments.correct(&scope(), &message, Polarity::Negative).await.unwrap();
    }
    let asked = || store.looked_up.swap(0, Relaxed);
    asked();
    sentiments.forget_message(&scope(), "m0").await.unwrap();
    assert_eq!(asked(), 1);
    sentiments.forget_message(&scope(), "of nobody").await.unwrap();
    assert_eq!(asked(), 0, "it was not learned");
    assert_eq!(sentiments.forget(&scope(), &ann()).await.unwrap(), 9);
    assert_eq!(asked(), 1);
    assert_eq!(learned(&store.inner).await.len(), 20);
}

/// An id that is used again within forgetting has taught nothing: what was learned was of the text before.
#[tokio::test]
async fn an_id_that_is_used_again_keeps_nothing_of_its_old_text() {
    let store = Arc::new(Between::default());
    let sentiments = Sentiments::new(Arc::clone(&store));
    sentiments.record(&scope(), &of("ann", "a")).await.unwrap();
    sentiments.correct(&scope(), &of("ann", "a"), Polarity::Negative).await.unwrap();
    let other = Message::new("a", "All is well").unwrap();
    *store.behind_forget_message.lock() = Some(Other::RecordsAgain(other));
    assert!(sentiments.forget_message(&scope(), "a").await.unwrap());
    assert!(sentiments.entry(&scope(), "a").await.unwrap().is_some());
    assert_eq!(learned(&store.inner).await, [""; 0]);
}

/// A process goes on with what was taught after its tenant was forgotten by another, not with what it knew.
#[tokio::test]
async fn what_was_forgotten_elsewhere_is_not_read_with_after_a_correction() {
    let store = Arc::new(Between::default());
    let (one, two) = (Sentiments::new(Arc::clone(&store)), Sentiments::new(Arc::clone(&store)));
    for n in 0..6 {
        let message = of("ann", &format!("m{n}"));
        one.record(&scope(), &message).await.unwrap();
        one.correct(&scope(), &message, Polarity::Negative).await.unwrap();
    }
    two.forget_tenant(&scope()).await.unwrap();
    one.record(&scope(), &of("ben", "b")).await.unwrap();
    one.correct(&scope(), &of("ben", "b"), Polarity::Positive).await.unwrap();
    let mut right = Adaptation::new(&Ensemble::default());
    right.learn("b", &of("ben", "b").own_text(), Polarity::Positive);
    let right = |text| guardian_sentiment::SentimentModel::read(&right.model(), text);
    let text = "The spinner again";
    assert_eq!(one.read(&scope(), text).await.unwrap(), right(text));
    // Within a correction: then there is nothing to be corrected any more.
    *store.behind_correct.lock() = Some(Other::ForgetsTenant);
    let gone = one.correct(&scope(), &of("ben", "b"), Polarity::Negative).await;
    assert!(matches!(gone, Err(Error::UnknownMessage { .. })), "{gone:?}");
    assert_eq!(
        one.read(&scope(), text).await.unwrap(),
        guardian_sentiment::SentimentModel::read(&Ensemble::default(), text)
    );
}

/// Own models are large enough to be computed by a thread; who asks meanwhile is not given the one before.
#[tokio::test]
async fn once_it_is_forgotten_nobody_reads_with_it() {
    let (clock, store) = (Arc::new(ManualClock::new()), Arc::new(MemoryStore::new()));
    let process = || Sentiments::new(Arc::clone(&store)).with_clock(Arc::clone(&clock));
    let (one, two) = (process(), process());
    let mut right = Adaptation::new(&Ensemble::default());
    for n in 0..40 {
        let words: String = (0..50).map(|word| format!("word{n}x{word} ")).collect();
        let (name, polarity) =
            if n % 2 == 0 { ("ann", Polarity::Negative) } else { ("ben", Polarity::Positive) };
        let text = format!("{} {words}", if name == "ann" { "spinner" } else { "carousel" });
        let message = Message::new(&format!("m{n}"), text).unwrap().of_customer(name).unwrap();
        one.record(&scope(), &message).await.unwrap();
        one.correct(&scope(), &message, polarity).await.unwrap();
        if name == "ben" {
            right.learn(message.id(), &message.own_text(), polarity);
        }
    }
    let text = "The spinner again";
    let right = guardian_sentiment::SentimentModel::read(&right.model(), text);
    for process in [&one, &two] {
        assert_ne!(process.read(&scope(), text).await.unwrap(), right, "the model is at hand");
    }
    let read_by_three = async |process: &Sentiments| {
        let read = || async { process.read(&scope(), text).await.unwrap() };
        <[Reading; 3]>::from(tokio::join!(read(), read(), read()))
    };
    one.forget(&scope(), &ann()).await.unwrap();
    assert_eq!(read_by_three(&one).await, [right.clone(), right.clone(), right.clone()]);
    // Another process hears of it within 30 seconds, also when more was learned since.
    let late = of("ben", "late");
    one.record(&scope(), &late).await.unwrap();
    one.correct(&scope(), &late, Polarity::Neutral).await.unwrap();
    let right = one.read(&scope(), text).await.unwrap();
    clock.advance(Duration::from_secs(30));
    assert_eq!(read_by_three(&two).await, [right.clone(), right.clone(), right]);
}

/// Of a tenant who is forgotten within a correction not even an empty row stays.
#[tokio::test]
async fn a_tenant_who_is_forgotten_within_a_correction_leaves_no_row() {
    let store = Arc::new(Between::default());
    let sentiments = Sentiments::new(Arc::clone(&store));
    for known in [false, true] {
        sentiments.record(&scope(), &of("ann", "a")).await.unwrap();
        sentiments.record(&scope(), &of("ben", "b")).await.unwrap();
        if known {
            sentiments.correct(&scope(), &of("ben", "b"), Polarity::Negative).await.unwrap();
        }
        *store.behind_correct.lock() = Some(Other::ForgetsTenant);
        let gone = sentiments.correct(&scope(), &of("ann", "a"), Polarity::Negative).await;
        assert!(matches!(gone, Err(Error::UnknownMessage { .. })), "{gone:?}");
        assert_eq!(store.inner.adaptation(&scope()).await.unwrap(), None);
    }
}

/// What was said of a text goes with it: of a message that was changed nothing stays learned.
#[tokio::test]
async fn a_message_that_is_read_anew_has_taught_nothing() {
    let store = Arc::new(MemoryStore::new());
    let sentiments = Sentiments::new(Arc::clone(&store));
    let first = sentiments.reread(&scope(), &of("ann", "a")).await.unwrap();
    assert!(first.is_new, "it was not recorded yet");
    sentiments.correct(&scope(), &of("ann", "a"), Polarity::Negative).await.unwrap();
    let changed = Message::new("a", "All is wonderful now, thank you!").unwrap().of_customer("ann").unwrap();
    let again = sentiments.reread(&scope(), &changed).await.unwrap();
    assert!(!again.is_new && again.updates.is_empty());
    assert_eq!((again.entry.at, &again.entry.correction), (first.entry.at, &None));
    assert!(again.entry.polarity() > Some(Polarity::Neutral), "{again:?}");
    assert_eq!(sentiments.entry(&scope(), "a").await.unwrap(), Some(again.entry));
    assert_eq!(learned(&store).await, [""; 0]);
}

/// A sink that refuses one event for good, and all while none is named.
#[derive(Debug)]
struct Picky {
    refused: Mutex<Option<BTreeSet<Uuid>>>,
    told: Mutex<Vec<Uuid>>,
}

#[async_trait]
impl EventSink for Picky {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        if self.refused.lock().as_ref().is_none_or(|refused| refused.contains(&event.id)) {
            return Err(StoreError::new(StoreErrorKind::Internal, "picky"));
        }
        self.told.lock().push(event.id);
        Ok(())
    }
}

#[tokio::test]
async fn an_alarm_that_cannot_be_told_keeps_none_back() {
    let alarm: Alert = serde_json::from_value(serde_json::json!({
        "at": "2026-01-01T00:00:00Z", "recent": -0.5, "baseline": 0.5, "messages": 20, "words": [],
    }))
    .unwrap();
    let told = |n: u128| -> Told {
        serde_json::from_value(serde_json::json!({
            "event": Uuid::from_u128(n), "segment": "all", "message": "m", "alert": alarm,
        }))
        .unwrap()
    };
    let store = Arc::new(Between::default());
    *store.alarms.lock() = (0..350).map(told).collect();
    // The first, and a whole batch and more behind it.
    let refused: BTreeSet<Uuid> = (0..130).chain([200]).map(Uuid::from_u128).collect();
    let sink = Arc::new(Picky { refused: Mutex::new(Some(refused)), told: Mutex::default() });
    let sentiments = Sentiments::new(Arc::clone(&store)).with_events(Arc::clone(&sink));
    assert!(sentiments.relay(&scope()).await.is_err());
    assert_eq!(sink.told.lock().len(), 350 - 131);
    assert_eq!(store.pages.swap(0, Relaxed), 5, "each page once, and one of nothing");
    assert_eq!(store.alarms.lock().len(), 131, "what was not told stays");
    *sink.refused.lock() = Some(BTreeSet::new());
    assert_eq!(sentiments.relay(&scope()).await.unwrap(), 131);
    assert_eq!(sentiments.relay(&scope()).await.unwrap(), 0);
}

/// Alarms that a sink refuses for good do not come with each new one: who records tells what they raised.
#[tokio::test]
async fn a_message_tells_the_alarms_that_it_raised_and_no_others() {
    let clock = Arc::new(ManualClock::new());
    let sink = Arc::new(Picky { refused: Mutex::new(None), told: Mutex::default() });
    let store = Arc::new(MemoryStore::new());
    let sentiments =
        Sentiments::new(Arc::clone(&store)).with_clock(Arc::clone(&clock)).with_events(Arc::clone(&sink));
    let record = async |n: u32, text: &str, name: &str| {
        clock.advance(Duration::from_secs(3600));
        let message = Message::new(&format!("{name}{n}"), text).unwrap().of_account(name).unwrap();
        let updates = sentiments.record(&scope(), &message).await.unwrap().updates;
        updates.into_iter().any(|(segment, update)| segment != Segment::all() && update.alert.is_some())
    };
    let good = ["Thanks, that was great", "It is rather bad"];
    for name in ["acme", "bolt"] {
        for n in 0..60 {
            assert!(!record(n, good[n as usize % 2], name).await);
        }
    }
    for n in 60..110 {
        record(n, "Terrible invoice, awful", "acme").await;
    }
    let waiting = store.untold(&scope(), None, 10).await.unwrap();
    assert!(!waiting.is_empty() && sink.told.lock().is_empty());
    // Those are refused for good, and only those.
    *sink.refused.lock() = Some(waiting.iter().map(|told| told.event).collect());
    let mut raised = 0;
    for n in 60..110 {
        raised += u32::from(record(n, "Terrible invoice, awful", "bolt").await);
    }
    assert_eq!((raised, sink.told.lock().len()), (1, 1));
    assert_eq!(store.untold(&scope(), None, 10).await.unwrap(), waiting);
}

/// Parts of a mail's explanation are in the mail, also behind quotes.
#[tokio::test]
async fn an_explanation_is_shown_in_the_mail() {
    let sentiments = Sentiments::new(MemoryStore::new());
    let text = " \r\n\n> The quote is wonderful.\n\n  Terrible répons. \n> Is it lovely now?\n\nNo, it is awful!\n\n-- \nAnn Lovely\n";
    let mail = Message::new("m", text).unwrap().as_mail();
    let explanation = sentiments.explain_message(&scope(), &mail).await.unwrap().unwrap();
    let words: Vec<&str> =
        explanation.parts.iter().map(|part| text.get(part.span.clone()).unwrap()).collect();
    let own = mail.own_text();
    let of_own = sentiments.explain(&scope(), &own).await.unwrap().unwrap();
    let expected: Vec<&str> = of_own.parts.iter().map(|part| own.get(part.span.clone()).unwrap()).collect();
    assert_eq!(words, expected);
    for (word, line) in [("Terrible", "  Terrible"), ("awful", "No, it is awful")] {
        let part = explanation.parts.iter().find(|part| text.get(part.span.clone()) == Some(word)).unwrap();
        assert_eq!(part.span.end, text.find(line).unwrap() + line.len(), "{word}");
    }
    let plain = Message::new("p", "So good").unwrap();
    let explanation = sentiments.explain_message(&scope(), &plain).await.unwrap();
    assert_eq!(explanation, sentiments.explain(&scope(), "So good").await.unwrap());
}
