use std::sync::Arc;
use std::time::Duration;

use guardian_core::{
    Actor, Clock, Event, EventSink, ManualClock, PageRequest, Scope, SeededIds, StoreError, StoreErrorKind,
    TenantId,
};
use guardian_testkit::ensure;
use parking_lot::Mutex;

use super::{Fixture, Verdict, Violation};
use crate::store::{AdaptationState, SentimentStore};
use crate::{
    Confidence, Error, Explanation, Feeling, Message, Observation, Polarity, Reading, Segment, Sentiment,
    SentimentModel, Sentiments, Trend,
};

mod erasure;

pub use erasure::{
    a_clock_that_was_ahead_does_no_lasting_harm, a_message_is_forgotten_alone,
    a_message_is_read_anew_in_its_place, a_reading_without_numbers_is_none,
    alarms_that_wait_lose_the_words_of_the_forgotten, messages_of_one_microsecond_are_on_a_page_each,
    nothing_is_learned_of_what_is_forgotten, overlapping_forgets_leave_nothing,
    recording_and_forgetting_a_tenant_take_turns,
    what_was_learned_before_a_tenant_was_forgotten_stays_forgotten,
};

/// Reads the number that a text ends with as its score.
#[derive(Debug)]
struct Said;

impl SentimentModel for Said {
    fn read(&self, text: &str) -> Reading {
        let Some(score) = text.split(' ').next_back().and_then(|word| word.parse::<f64>().ok()) else {
            return Reading::Empty;
        };
        let (negative, positive) = ((-score).max(0.0), score.max(0.0));
        let neutral = 1.0 - negative - positive;
        let polarity = match score {
            score if score < -0.6 => Polarity::VeryNegative,
            score if score < -0.2 => Polarity::Negative,
            score if score > 0.6 => Polarity::VeryPositive,
            score if score > 0.2 => Polarity::Positive,
            _ => Polarity::Neutral,
        };
        Reading::Read(Sentiment {
            score,
            chances: [negative, neutral, positive],
            polarity,
            feeling: Feeling::Neutral,
            feelings: [positive, negative, 0.0, 0.0, neutral],
            confidence: Confidence::High,
        })
    }

    fn explain(&self, _text: &str) -> Option<Explanation> {
        None
    }
}

/// Keeps events, and fails when it is told to.
#[derive(Debug, Default)]
struct Sink {
    events: Mutex<Vec<Event>>,
    fails: Mutex<bool>,
}

#[async_trait::async_trait]
impl EventSink for Sink {
    async fn emit(&self, event: Event) -> Result<(), StoreError> {
        if *self.fails.lock() {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "sink"));
        }
        self.events.lock().push(event);
        Ok(())
    }
}

fn scope(tenant: &str) -> Result<Scope, Violation> {
    Ok(Scope::new(TenantId::new(tenant)?, Actor::user("u_1")?))
}

fn sentiments(store: impl SentimentStore, clock: &Arc<ManualClock>) -> Sentiments {
    Sentiments::with_model(store, Arc::new(Said)).with_clock(Arc::clone(clock)).with_ids(SeededIds::new(7))
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new())
}

fn near(one: Option<f64>, two: Option<f64>) -> bool {
    match (one, two) {
        (Some(one), Some(two)) => (one - two).abs() < 1e-9,
        (one, two) => one == two,
    }
}

fn page(size: u32) -> Result<PageRequest, Violation> {
    Ok(PageRequest::first(size)?)
}

/// A message is recorded and counted once, whichever process it comes to how often, and a different text under its id is not
/// looked at.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn a_message_is_counted_once(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (clock, scope) = (clock(), scope("once")?);
        let (one, two) = (sentiments(fixture.store(), &clock), sentiments(fixture.store(), &clock));
        let message = Message::new("m", "it is bad -0.5")?.of_customer("ann")?;
        let first = one.record(&scope, &message).await?;
        ensure!(first.is_new && first.updates.len() == 2, "the first time: {first:?}");
        for each in [&one, &two] {
            let again = each.record(&scope, &message).await?;
            ensure!(!again.is_new && again.updates.is_empty(), "again: {again:?}");
            ensure!(again.entry == first.entry, "another entry: {again:?}");
        }
        let other = Message::new("m", "it is good 0.9")?.of_customer("ben")?;
        let other = two.record(&scope, &other).await?;
        ensure!(other.entry == first.entry, "another text took the id: {other:?}");
        for segment in [Segment::all(), Segment::customer("ann")?] {
            let trend = two.trend(&scope, &segment).await?.ok_or_else(|| Violation::new("no series"))?;
            ensure!(trend.messages() == 1 && near(trend.level(), Some(-0.5)), "{segment}: {trend:?}");
        }
        ensure!(two.trend(&scope, &Segment::customer("ben")?).await?.is_none(), "a series of nothing");
        // What is not read is kept, and counts in no series.
        let empty = Message::new("e", "")?.of_customer("cas")?;
        let empty = one.record(&scope, &empty).await?;
        ensure!(
            empty.is_new && empty.entry.reading == Reading::Empty && empty.updates.is_empty(),
            "{empty:?}"
        );
        ensure!(two.entry(&scope, "e").await? == Some(empty.entry), "it was not kept");
        ensure!(two.trend(&scope, &Segment::customer("cas")?).await?.is_none(), "it was counted");
        Ok(())
    })
}

/// A series in the store is what its messages make of it in memory, in whatever order they come and from whichever process.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn series_follow_their_messages(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (clock, scope) = (clock(), scope("series")?);
        let (one, two) = (sentiments(fixture.store(), &clock), sentiments(fixture.store(), &clock));
        let mut expected = Trend::new();
        let policy = one.policy().clone();
        let start = clock.now();
        clock.advance(Duration::from_secs(30 * 86_400));
        for n in 0..40_u32 {
            let at = start + Duration::from_secs(u64::from(n * 7919 % 40) * 40_000);
            let score = f64::from(n * 37 % 20) / 10.0 - 0.9;
            let text = format!("wor{} {score}", ["th", "k", "ry"].get(n as usize % 3).unwrap_or(&""));
            let message = Message::new(&format!("m{n}"), text.clone())?.written(at).of_account("acme")?;
            let recorded = if n % 2 == 0 { &one } else { &two }.record(&scope, &message).await?;
            let mut observation = Observation::new(at, score).with_text(&text);
            observation.is_negative = recorded.entry.polarity() < Some(Polarity::Neutral);
            let update = expected.push(&observation, &policy);
            let found = recorded.updates.iter().find(|(segment, _)| *segment != Segment::all());
            let level = found.map(|(_, update)| update.level);
            ensure!(near(level, Some(update.level)), "message {n}: {found:?}, not {update:?}");
        }
        let account = Segment::account("acme")?;
        let found = one.trend(&scope, &account).await?.ok_or_else(|| Violation::new("no series"))?;
        ensure!(found.messages() == 40 && found.negatives() == expected.negatives(), "{found:?}");
        ensure!(near(found.level(), expected.level()), "{found:?}");
        ensure!(near(found.baseline(&policy), expected.baseline(&policy)), "{found:?}");
        ensure!(found.days().len() == expected.days().len(), "{:?}", found.days());
        let words = |trend: &Trend| trend.rising(9).into_iter().map(|rising| rising.word).collect::<Vec<_>>();
        ensure!(words(&found) == words(&expected), "{:?}", words(&found));
        let segments = one.segments(&scope, None, 10).await?;
        ensure!(segments == [account.clone(), Segment::all()], "{segments:?}");
        let behind = one.segments(&scope, Some(&account), 10).await?;
        ensure!(behind == [Segment::all()], "{behind:?}");
        Ok(())
    })
}

/// Messages of one series from many threads all count, each once.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn concurrent_messages_all_count(fixture: &impl Fixture) -> Verdict {
    let (clock, scope) = (clock(), scope("threads")?);
    let results: Vec<Result<(), Error>> = std::thread::scope(|threads| {
        let work = |thread: u32| {
            let (clock, scope) = (&clock, &scope);
            move || {
                fixture.block_on(async {
                    let sentiments =
                        sentiments(fixture.store(), clock).with_ids(SeededIds::new(u64::from(thread)));
                    for n in 0..12 {
                        // Every message comes from two threads.
                        let message = Message::new(&format!("m{}-{n}", thread / 2), "so so 0.25")?
                            .of_account("acme")?
                            .by_channel(&format!("c{}", n % 3))?;
                        loop {
                            match sentiments.record(scope, &message).await {
                                Err(error) if error.is_transient() => {}
                                result => break result.map(drop)?,
                            }
                        }
                    }
                    Ok(())
                })
            }
        };
        let running: Vec<_> = (0..6).map(|thread| threads.spawn(work(thread))).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    ensure!(results.len() == 6, "a thread panicked");
    results.into_iter().collect::<Result<(), _>>()?;
    fixture.block_on(async {
        let sentiments = sentiments(fixture.store(), &clock);
        for (segment, count) in [
            (Segment::all(), 36),
            (Segment::account("acme")?, 36),
            (Segment::channel("c0")?, 12),
            (Segment::channel("c2")?, 12),
        ] {
            let found = sentiments.trend(&scope, &segment).await?.map_or(0, |trend| trend.messages());
            ensure!(found == count, "{segment} counts {found}, not {count}");
        }
        let history = sentiments.history(&scope, &Segment::all(), &page(100)?).await?;
        ensure!(history.items.len() == 36, "the history has {}", history.items.len());
        Ok(())
    })
}

/// A correction is kept, and counts in place of what the model read; another takes its place.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn a_correction_is_counted_in_place_of_the_reading(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (clock, scope) = (clock(), scope("corrections")?);
        let sentiments = sentiments(fixture.store(), &clock);
        let ann = Segment::customer("ann")?;
        let first = Message::new("a", "so 0.8")?.of_customer("ann")?;
        let second = Message::new("b", "so 0.4")?.of_customer("ann")?;
        for message in [&first, &second] {
            sentiments.record(&scope, message).await?;
        }
        for (polarity, level, negatives) in [
            (Polarity::VeryNegative, -0.3, 1),
            (Polarity::VeryNegative, -0.3, 1),
            (Polarity::Positive, 0.45, 0),
        ] {
            let entry = sentiments.correct(&scope, &first, polarity).await?;
            ensure!(entry.polarity() == Some(polarity), "{entry:?}");
            ensure!(sentiments.entry(&scope, "a").await? == Some(entry), "another entry");
            let corrected = fixture.store().corrected(&scope, &["b", "a", "c"].map(str::to_owned)).await?;
            ensure!(corrected.iter().eq(["a"]), "{corrected:?} are corrected");
            let trend = sentiments.trend(&scope, &ann).await?.ok_or_else(|| Violation::new("no series"))?;
            ensure!(near(trend.level(), Some(level)), "{polarity}: {trend:?}");
            ensure!((trend.messages(), trend.negatives()) == (2, negatives), "{trend:?}");
        }
        // The same by another later leaves who said it first.
        let first_said = sentiments.entry(&scope, "a").await?;
        clock.advance(Duration::from_secs(60));
        let other = Scope::new(scope.tenant().clone(), Actor::user("u_2")?);
        let again = sentiments.correct(&other, &first, Polarity::Positive).await?;
        ensure!(first_said == Some(again), "it has another writer: {first_said:?}");
        let missing = sentiments.correct(&scope, &Message::new("c", "so 0.4")?, Polarity::Neutral).await;
        ensure!(matches!(missing, Err(Error::UnknownMessage { .. })), "{missing:?}");
        // What was not read counts once a person said what it is.
        let silent = Message::new("d", "…")?.of_customer("ann")?;
        sentiments.record(&scope, &silent).await?;
        sentiments.correct(&scope, &silent, Polarity::Neutral).await?;
        let trend = sentiments.trend(&scope, &ann).await?.ok_or_else(|| Violation::new("no series"))?;
        ensure!(trend.messages() == 3, "{trend:?}");
        Ok(())
    })
}

/// A history comes page by page, the newest first, each entry once, while new ones are added.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn histories_are_read_page_by_page(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (clock, scope) = (clock(), scope("pages")?);
        let sentiments = sentiments(fixture.store(), &clock);
        let ann = Segment::customer("ann")?;
        for n in 0..23 {
            // Some at the same moment.
            if n % 3 == 0 {
                clock.advance(Duration::from_secs(60));
            }
            let message = Message::new(&format!("m{n:02}"), "so 0.1")?;
            let message =
                if n % 5 == 4 { message.of_customer("ben")? } else { message.of_customer("ann")? };
            sentiments.record(&scope, &message).await?;
        }
        let mut found = Vec::new();
        let mut request = page(4)?;
        loop {
            let page = sentiments.history(&scope, &ann, &request).await?;
            ensure!(page.items.len() <= 4, "a page of {}", page.items.len());
            found.extend(page.items.into_iter().map(|entry| entry.id));
            clock.advance(Duration::from_secs(1));
            let late = Message::new(&format!("x{}", found.len()), "so 0.1")?.of_customer("ann")?;
            sentiments.record(&scope, &late).await?;
            match page.next {
                Some(next) => request = request.after(next),
                None => break,
            }
        }
        let expected: Vec<String> =
            (0..23).rev().filter(|n| n % 5 != 4).map(|n| format!("m{n:02}")).collect();
        ensure!(found == expected, "{found:?}");
        let odd = page(4)?.after(guardian_core::Cursor::from_bytes(b"odd"));
        let odd = sentiments.history(&scope, &ann, &odd).await;
        ensure!(matches!(odd, Err(Error::InvalidCursor)), "{odd:?}");
        Ok(())
    })
}

/// A fall is told once, with one id; when the sink is away it is told later.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn a_fall_is_told_once(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (clock, scope) = (clock(), scope("falls")?);
        let sink = Arc::new(Sink::default());
        *sink.fails.lock() = true;
        let falling = sentiments(fixture.store(), &clock).with_events(Arc::clone(&sink));
        let mut alerts = 0;
        for n in 0..90 {
            clock.advance(Duration::from_secs(3600));
            let score = if n < 50 { 0.6 } else { -0.6 };
            let text = format!("{} {score}", if n < 50 { "wonderful" } else { "invoice" });
            let message = Message::new(&format!("m{n}"), text)?.of_account("acme")?;
            let recorded = falling.record(&scope, &message).await?;
            alerts += recorded.updates.iter().filter(|(_, update)| update.alert.is_some()).count();
        }
        ensure!(alerts == 2, "{alerts} alarms, not one of each series");
        ensure!(sink.events.lock().is_empty(), "the sink failed and has events");
        let untold = fixture.store().untold(&scope, None, 10).await?;
        ensure!(untold.len() == 2, "{untold:?}");

        // Another process tells what the first could not.
        *sink.fails.lock() = false;
        let other = sentiments(fixture.store(), &clock).with_events(Arc::clone(&sink));
        ensure!(other.relay(&scope).await? == 2, "not all was told");
        ensure!(other.relay(&scope).await? == 0, "it was told again");
        let events = sink.events.lock().clone();
        let mut ids: Vec<_> = events.iter().map(|event| event.id).collect();
        let mut expected: Vec<_> = untold.iter().map(|told| told.event).collect();
        ids.sort();
        expected.sort();
        ensure!(ids == expected, "other ids");
        for event in &events {
            ensure!(event.name == "sentiment.falling" && event.tenant == *scope.tenant(), "{event:?}");
            ensure!(event.data.pointer("/words/0").is_some_and(|word| word == "invoice"), "{event:?}");
        }
        let account = falling.trend(&scope, &Segment::account("acme")?).await?;
        ensure!(account.is_some_and(|trend| trend.falling_since().is_some()), "the series does not fall");
        Ok(())
    })
}

/// A customer who is forgotten is in no history and counts in no series; others stay.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn a_customer_is_forgotten_everywhere(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (clock, scope) = (clock(), scope("forgetting")?);
        let sentiments = sentiments(fixture.store(), &clock);
        let policy = sentiments.policy().clone();
        let mut expected = Trend::new();
        for n in 0..250_u32 {
            clock.advance(Duration::from_secs(600));
            let is_ann = n % 5 != 2;
            let score = f64::from(n % 10) / 10.0 - 0.3;
            let message = Message::new(&format!("m{n}"), format!("annoying {score}"))?.by_channel("chat")?;
            let message = message.of_customer(if is_ann { "ann" } else { "ben" })?;
            let entry = sentiments.record(&scope, &message).await?.entry;
            if !is_ann {
                expected.push(&Observation::new(entry.at, score), &policy);
            }
        }
        let (ann, ben) = (Segment::customer("ann")?, Segment::customer("ben")?);
        let forgotten = sentiments.forget(&scope, &ann).await?;
        ensure!(forgotten == 200, "{forgotten} were forgotten");
        ensure!(sentiments.trend(&scope, &ann).await?.is_none(), "the series stayed");
        ensure!(sentiments.entry(&scope, "m0").await?.is_none(), "an entry stayed");
        ensure!(sentiments.history(&scope, &ann, &page(5)?).await?.items.is_empty(), "a history stayed");
        let segments = sentiments.segments(&scope, None, 10).await?;
        ensure!(segments == [Segment::all(), Segment::channel("chat")?, ben.clone()], "{segments:?}");
        for segment in [ben, Segment::channel("chat")?, Segment::all()] {
            let trend =
                sentiments.trend(&scope, &segment).await?.ok_or_else(|| Violation::new("no series"))?;
            ensure!(trend.messages() == 50, "{segment}: {}", trend.messages());
            let wide = |one: Option<f64>, two: Option<f64>| {
                one.zip(two).is_some_and(|(one, two)| (one - two).abs() < 1e-7)
            };
            ensure!(
                wide(trend.level(), expected.level()),
                "{segment}: {:?} {:?}",
                trend.level(),
                expected.level()
            );
            ensure!(wide(trend.baseline(&policy), expected.baseline(&policy)), "{segment}");
        }
        ensure!(sentiments.forget(&scope, &ann).await? == 0, "there was something left");
        sentiments.forget_tenant(&scope).await?;
        ensure!(sentiments.segments(&scope, None, 10).await?.is_empty(), "the tenant stayed");
        ensure!(sentiments.trend(&scope, &Segment::all()).await?.is_none(), "a series of the tenant stayed");
        Ok(())
    })
}

/// What was learned is changed by one at a time: who comes second learns anew.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn learning_is_kept_in_turns(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (scope, store) = (scope("learning")?, fixture.store());
        ensure!(store.adaptation(&scope).await?.is_none(), "something was learned");
        let state = |version: u64, byte: u8| AdaptationState { version, bytes: vec![byte; 1000] };
        ensure!(
            store.put_adaptation(&scope, &state(2, 9), None).await?.is_none(),
            "a second one without a first"
        );
        let kept = store.put_adaptation(&scope, &state(1, 1), None).await?;
        let found = store.adaptation(&scope).await?.ok_or_else(|| Violation::new("nothing is kept"))?;
        ensure!(found.bytes == state(1, 1).bytes && found.version > 0, "another one is kept");
        ensure!(kept == Some(found.version), "it says {kept:?}, and has {}", found.version);
        let next = found.version + 1;
        for (version, byte, fits) in
            [(1, 2, false), (next + 1, 3, false), (next, 4, true), (next, 5, false), (1, 6, false)]
        {
            let kept = fixture.store().put_adaptation(&scope, &state(version, byte), None).await?;
            ensure!(kept == fits.then_some(version), "version {version} with {byte}: {kept:?}");
        }
        let found = store.adaptation(&scope).await?;
        ensure!(found == Some(state(next, 4)), "another one is kept");
        store.forget_tenant(&scope).await?;
        ensure!(store.adaptation(&scope).await?.is_none(), "it was not forgotten");
        Ok(())
    })
}

/// A tenant sees nothing of another, and changes nothing, even where all names are the same.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn tenants_do_not_meet(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let clock = clock();
        let sentiments = sentiments(fixture.store(), &clock);
        let (one, two) = (scope("one")?, scope("two")?);
        let good = Message::new("m", "so 0.9")?.of_customer("ann")?;
        let bad = Message::new("m", "so -0.9")?.of_customer("ann")?;
        ensure!(sentiments.record(&one, &good).await?.is_new, "the first");
        let ann = Segment::customer("ann")?;
        ensure!(sentiments.trend(&two, &ann).await?.is_none(), "a series of another");
        ensure!(sentiments.entry(&two, "m").await?.is_none(), "an entry of another");
        ensure!(sentiments.segments(&two, None, 9).await?.is_empty(), "segments of another");
        ensure!(
            sentiments.correct(&two, &good, Polarity::Negative).await.is_err(),
            "a correction of another"
        );
        ensure!(sentiments.record(&two, &bad).await?.is_new, "the same id in another tenant");
        fixture.store().put_adaptation(&one, &AdaptationState { version: 1, bytes: vec![1] }, None).await?;
        ensure!(fixture.store().adaptation(&two).await?.is_none(), "what another learned");
        ensure!(sentiments.forget(&two, &ann).await? == 1, "what was forgotten");
        sentiments.forget_tenant(&two).await?;
        let kept = sentiments.trend(&one, &ann).await?.ok_or_else(|| Violation::new("no series"))?;
        ensure!(near(kept.level(), Some(0.9)) && kept.messages() == 1, "{kept:?}");
        ensure!(
            sentiments.history(&one, &ann, &page(9)?).await?.items.len() == 1,
            "the history of the other"
        );
        ensure!(fixture.store().adaptation(&one).await?.is_some(), "what the other learned");
        Ok(())
    })
}
