use std::sync::Barrier;

use super::*;
use crate::TrendPolicy;

/// Repeats a call while its error says that it may help.
async fn persist<T, E, F: Future<Output = Result<T, E>>>(
    mut call: impl FnMut() -> F,
    is_transient: impl Fn(&E) -> bool,
) -> Result<T, E> {
    loop {
        match call().await {
            Err(error) if is_transient(&error) => {}
            result => break result,
        }
    }
}

/// Of two that forget messages which they share, neither says that none is left while one is.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn overlapping_forgets_leave_nothing(fixture: &impl Fixture) -> Verdict {
    for round in 0..6 {
        let (clock, scope) = (clock(), scope(&format!("overlap{round}"))?);
        fixture.block_on(async {
            let sentiments = sentiments(fixture.store(), &clock);
            for n in 0..24 {
                let message = Message::new(&format!("m{n:02}"), "so so 0.25")?;
                // The first ones are of both, so that both begin with these; behind them each has its own.
                let message = if n < 8 || n % 2 == 0 { message.of_account("acme")? } else { message };
                let message = if n < 8 || n % 2 == 1 { message.of_customer("ann")? } else { message };
                sentiments.record(&scope, &message).await?;
            }
            Ok::<_, Violation>(())
        })?;
        let both = [Segment::account("acme")?, Segment::customer("ann")?];
        let (start, whole) = (Barrier::new(both.len()), page(100)?);
        let left: Vec<Result<usize, StoreError>> = std::thread::scope(|threads| {
            let work = |segment: &Segment| {
                let (segment, start, scope, whole) = (segment.clone(), &start, &scope, &whole);
                move || {
                    fixture.block_on(async {
                        let (store, policy) = (fixture.store(), TrendPolicy::default());
                        start.wait();
                        while persist(|| store.forget(scope, &segment, 8, &policy), StoreError::is_transient)
                            .await?
                            > 0
                        {}
                        Ok(store.history(scope, &segment, None, whole).await?.len())
                    })
                }
            };
            let running: Vec<_> = both.iter().map(|segment| threads.spawn(work(segment))).collect();
            running.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        ensure!(left.len() == 2, "a thread panicked");
        for left in left {
            let left = left?;
            ensure!(left == 0, "{left} messages were left by one who had forgotten all");
        }
    }
    Ok(())
}

/// An alarm that is told after somebody was forgotten, of a series that they were in, has no words: these may be theirs.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn alarms_that_wait_lose_the_words_of_the_forgotten(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let mut cases = 0;
        // Whoever writes the message that raises the alarm: in one of the two it is Ben.
        for parity in 0..2 {
            let (clock, scope) = (clock(), scope(&format!("words{parity}"))?);
            let sink = Arc::new(Sink::default());
            *sink.fails.lock() = true;
            let sentiments = sentiments(fixture.store(), &clock).with_events(Arc::clone(&sink));
            for n in 0..90 {
                clock.advance(Duration::from_secs(12 * 3600));
                let is_ann = n >= 50 && n % 2 == parity;
                let text = if n < 50 {
                    "wonderful 0.6"
                } else if is_ann {
                    "marzipan -0.6"
                } else {
                    "late -0.6"
                };
                let message = Message::new(&format!("{}{n}", if is_ann { "ann" } else { "ben" }), text)?;
                let message = message.of_account("acme")?.of_customer(if is_ann { "ann" } else { "ben" })?;
                sentiments.record(&scope, &message).await?;
            }
            let account = Segment::account("acme")?;
            let of_ben = |told: &crate::Told| told.segment == account && told.message.starts_with("ben");
            let untold = fixture.store().untold(&scope, None, 10).await?;
            if !untold.iter().any(of_ben) {
                continue;
            }
            cases += 1;
            let has = |told: &crate::Told| told.alert.words.iter().any(|rising| rising.word == "marzipan");
            ensure!(untold.iter().any(has), "Ann's word did not rise: {untold:?}");
            sentiments.forget(&scope, &Segment::customer("ann")?).await?;
            let untold = fixture.store().untold(&scope, None, 10).await?;
            ensure!(untold.iter().any(of_ben), "Ben's alarm is lost: {untold:?}");
            ensure!(!untold.iter().any(has), "Ann's word stays: {untold:?}");
            *sink.fails.lock() = false;
            sentiments.relay(&scope).await?;
            let events = sink.events.lock().clone();
            ensure!(!events.is_empty(), "nothing is told");
            ensure!(events.iter().all(|event| !event.data.to_string().contains("marzipan")), "{events:?}");
        }
        ensure!(cases > 0, "no alarm was raised by Ben");
        Ok(())
    })
}

/// A message that is forgotten alone leaves its series with the others, without their words, and takes its alarms along.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn a_message_is_forgotten_alone(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (clock, scope) = (clock(), scope("alone")?);
        let sink = Arc::new(Sink::default());
        *sink.fails.lock() = true;
        let sentiments = sentiments(fixture.store(), &clock).with_events(Arc::clone(&sink));
        let (ann, store) = (Segment::customer("ann")?, fixture.store());
        for n in 0..90 {
            clock.advance(Duration::from_secs(3600));
            let text = if n < 50 { "wonderful 0.6" } else { "invoice -0.6" };
            sentiments.record(&scope, &Message::new(&format!("m{n}"), text)?.of_customer("ann")?).await?;
        }
        let untold = store.untold(&scope, None, 10).await?;
        ensure!(untold.len() == 2 && untold.iter().all(|told| !told.alert.words.is_empty()), "{untold:?}");
        let behind = store.untold(&scope, untold.first().map(|told| told.event), 10).await?;
        ensure!(behind == untold.get(1..).unwrap_or_default(), "behind the first are {behind:?}");
        ensure!(sentiments.forget_message(&scope, "m89").await?, "it was not there");
        ensure!(!sentiments.forget_message(&scope, "m89").await?, "it was there twice");
        ensure!(sentiments.entry(&scope, "m89").await?.is_none(), "the entry stayed");
        for segment in [&ann, &Segment::all()] {
            let trend =
                sentiments.trend(&scope, segment).await?.ok_or_else(|| Violation::new("no series"))?;
            ensure!((trend.messages(), trend.negatives()) == (89, 39), "{segment}: {trend:?}");
            ensure!(trend.rising(5).is_empty(), "{segment} has words");
            let history = sentiments.history(&scope, segment, &page(100)?).await?.items;
            ensure!(history.len() == 89 && history.iter().all(|entry| entry.id != "m89"), "the history");
        }
        let left = store.untold(&scope, None, 10).await?;
        ensure!(left.len() == 2 && left.iter().all(|told| told.alert.words.is_empty()), "{left:?}");
        let raised = left.first().map(|told| told.message.clone()).unwrap_or_default();
        sentiments.forget_message(&scope, &raised).await?;
        let left = store.untold(&scope, None, 10).await?;
        ensure!(left.iter().all(|told| told.message != raised), "its alarm stays: {left:?}");
        // With its last message a series is gone; what was never counted is none.
        let silent = Message::new("silent", "…")?.of_customer("cas")?;
        sentiments.record(&scope, &silent).await?;
        for n in 0..89 {
            sentiments.forget_message(&scope, &format!("m{n}")).await?;
        }
        ensure!(sentiments.segments(&scope, None, 10).await?.is_empty(), "a series stayed");
        ensure!(store.trend(&scope, &Segment::all()).await?.is_none(), "it counts nothing");
        ensure!(store.untold(&scope, None, 10).await?.is_empty(), "an alarm stayed");
        ensure!(sentiments.entry(&scope, "silent").await?.is_some(), "another message is gone");
        Ok(())
    })
}

/// A message that is read anew counts once, in the series that it is in then, at the time that it was written.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn a_message_is_read_anew_in_its_place(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (clock, scope) = (clock(), scope("anew")?);
        let sentiments = sentiments(fixture.store(), &clock);
        let (ann, ben) = (Segment::customer("ann")?, Segment::customer("ben")?);
        let policy = sentiments.policy().clone();
        let (mut expected, mut last) = (Trend::new(), None);
        for n in 0..30 {
            clock.advance(Duration::from_secs(3600));
            let message = Message::new(&format!("m{n}"), "wonderful 0.6")?.of_customer("ann")?;
            let entry = sentiments.record(&scope, &message).await?.entry;
            let score = if n == 29 { -0.8 } else { 0.6 };
            let mut observation = Observation::new(entry.at, score);
            observation.is_negative = score < 0.0;
            expected.push(&observation, &policy);
            last = Some(entry);
        }
        let last = last.ok_or_else(|| Violation::new("nothing was recorded"))?;
        clock.advance(Duration::from_secs(3600));
        let words = sentiments.trend(&scope, &ann).await?.map(|trend| trend.rising(9));
        // One bad message that is saved ever again is one bad message.
        for n in 0..40 {
            let changed = Message::new("m29", format!("annoying{n} -0.8"))?.of_customer("ann")?;
            let recorded = sentiments.reread(&scope, &changed).await?;
            ensure!(!recorded.is_new && recorded.updates.is_empty(), "{recorded:?}");
            ensure!(recorded.entry.at == last.at, "it is of another time");
        }
        for segment in [&ann, &Segment::all()] {
            let trend =
                sentiments.trend(&scope, segment).await?.ok_or_else(|| Violation::new("no series"))?;
            ensure!((trend.messages(), trend.negatives()) == (30, 1), "{segment}: {trend:?}");
            ensure!(near(trend.level(), expected.level()), "{segment}: {trend:?}");
            ensure!(trend.falling_since().is_none(), "{segment} falls");
            ensure!(Some(trend.rising(9)) == words, "{segment} has other words: {:?}", trend.rising(9));
        }
        ensure!(fixture.store().untold(&scope, None, 9).await?.is_empty(), "an alarm");
        let mut unknown = last.clone();
        "unknown".clone_into(&mut unknown.id);
        ensure!(!fixture.store().replace(&scope, &unknown, &policy).await?, "it replaced what is not there");
        ensure!(sentiments.entry(&scope, "unknown").await?.is_none(), "it recorded what is not there");
        // It goes to another series, and to another time.
        let moved =
            Message::new("m29", "so -0.8")?.of_customer("ben")?.written(last.at - Duration::from_secs(7200));
        let entry = sentiments.reread(&scope, &moved).await?.entry;
        ensure!(sentiments.entry(&scope, "m29").await? == Some(entry), "another entry");
        for (segment, messages) in [(&ann, 29), (&ben, 1), (&Segment::all(), 30)] {
            let trend = sentiments.trend(&scope, segment).await?.map_or(0, |trend| trend.messages());
            let history = sentiments.history(&scope, segment, &page(100)?).await?.items;
            ensure!(
                trend == messages && history.len() as u64 == messages,
                "{segment}: {trend}, {}",
                history.len()
            );
        }
        let order = sentiments.history(&scope, &Segment::all(), &page(3)?).await?.items;
        ensure!(order.iter().map(|entry| entry.id.as_str()).eq(["m28", "m29", "m27"]), "{order:?}");
        let back = Message::new("m29", "so -0.8")?.of_customer("ann")?;
        sentiments.reread(&scope, &back).await?;
        ensure!(sentiments.segments(&scope, None, 9).await? == [Segment::all(), ann], "a series of nothing");
        // What is not read counts no more.
        sentiments.reread(&scope, &Message::new("m29", "…")?.of_customer("ben")?).await?;
        let all = sentiments.trend(&scope, &Segment::all()).await?.map_or(0, |trend| trend.messages());
        ensure!(all == 29, "{all} are counted");
        Ok(())
    })
}

/// A model that says no number spoils no history.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn a_reading_without_numbers_is_none(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (clock, scope) = (clock(), scope("numbers")?);
        let sentiments = sentiments(fixture.store(), &clock);
        let ann = Segment::customer("ann")?;
        for text in ["so NaN", "so inf", "so -inf"] {
            let message = Message::new(text, text)?.of_customer("ann")?;
            let recorded = sentiments.record(&scope, &message).await?;
            ensure!(recorded.entry.reading == Reading::Unsupported("und".to_owned()), "{recorded:?}");
            ensure!(
                sentiments.entry(&scope, text).await? == Some(recorded.entry),
                "another entry of `{text}`"
            );
        }
        ensure!(sentiments.trend(&scope, &ann).await?.is_none(), "it was counted");
        ensure!(sentiments.history(&scope, &ann, &page(9)?).await?.items.len() == 3, "the history");
        ensure!(sentiments.forget(&scope, &ann).await? == 3, "it cannot be forgotten");
        Ok(())
    })
}

/// Messages that come while their tenant is forgotten are in the history and counted, or neither.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn recording_and_forgetting_a_tenant_take_turns(fixture: &impl Fixture) -> Verdict {
    let (clock, scope) = (clock(), scope("turns")?);
    for round in 0..10 {
        let results: Vec<Result<(), Error>> = std::thread::scope(|threads| {
            let work = |thread: u64| {
                let (clock, scope) = (&clock, &scope);
                move || {
                    fixture.block_on(async {
                        let sentiments = sentiments(fixture.store(), clock).with_ids(SeededIds::new(thread));
                        for n in 0..10 {
                            if thread == 0 {
                                persist(|| sentiments.forget_tenant(scope), Error::is_transient).await?;
                                continue;
                            }
                            let message = Message::new(&format!("m{round}-{thread}-{n}"), "so so 0.25")?
                                .of_account("acme")?
                                .of_customer(&format!("c{n}"))?;
                            persist(|| sentiments.record(scope, &message), Error::is_transient).await?;
                        }
                        Ok(())
                    })
                }
            };
            let running: Vec<_> = (0..4).map(|thread| threads.spawn(work(thread))).collect();
            running.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        ensure!(results.len() == 4, "a thread panicked");
        results.into_iter().collect::<Result<(), _>>()?;
        fixture.block_on(async {
            let sentiments = sentiments(fixture.store(), &clock);
            let mut segments = vec![Segment::all(), Segment::account("acme")?];
            for n in 0..10 {
                segments.push(Segment::customer(&format!("c{n}"))?);
            }
            for segment in segments {
                let counted = sentiments.trend(&scope, &segment).await?.map_or(0, |trend| trend.messages());
                let kept = sentiments.history(&scope, &segment, &page(200)?).await?.items.len();
                ensure!(usize::try_from(counted)? == kept, "{segment} counts {counted} of {kept} messages");
            }
            Ok::<_, Violation>(())
        })?;
    }
    Ok(())
}

/// Who learned something before the tenant was forgotten cannot keep it behind what was learned since.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn what_was_learned_before_a_tenant_was_forgotten_stays_forgotten(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (scope, store) = (scope("relearning")?, fixture.store());
        let mut before = 0;
        for byte in 0..5 {
            let first = AdaptationState { version: 1, bytes: vec![byte] };
            ensure!(store.put_adaptation(&scope, &first, None).await?.is_some(), "the first is not kept");
            let late = AdaptationState { version: before + 1, bytes: vec![99] };
            ensure!(
                byte == 0 || store.put_adaptation(&scope, &late, None).await?.is_none(),
                "what was forgotten is back"
            );
            let kept = store.adaptation(&scope).await?.ok_or_else(|| Violation::new("nothing is kept"))?;
            ensure!(
                kept.bytes == [byte] && kept.version > 0 && kept.version != before,
                "{kept:?} after version {before}"
            );
            before = kept.version;
            store.forget_tenant(&scope).await?;
        }
        Ok(())
    })
}

/// A message that was recorded with a clock that was a month ahead does not keep a series from being watched.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn a_clock_that_was_ahead_does_no_lasting_harm(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (clock, ahead, scope) = (clock(), clock(), scope("ahead")?);
        ahead.advance(Duration::from_secs(30 * 86_400));
        let (right, wrong) = (sentiments(fixture.store(), &clock), sentiments(fixture.store(), &ahead));
        let mut alarms = 0;
        for n in 0..90 {
            clock.advance(Duration::from_secs(3600));
            if n == 40 {
                wrong.record(&scope, &Message::new("stray", "so 0.6")?).await?;
            }
            let score = if n < 50 { 0.6 } else { -0.6 };
            let recorded =
                right.record(&scope, &Message::new(&format!("m{n}"), format!("so {score}"))?).await?;
            alarms += recorded.updates.iter().filter(|(_, update)| update.alert.is_some()).count();
        }
        ensure!(alarms == 1, "{alarms} alarms");
        let trend = right.trend(&scope, &Segment::all()).await?;
        ensure!(trend.as_ref().and_then(Trend::level).is_some_and(|level| level < -0.2), "{trend:?}");
        Ok(())
    })
}

/// Messages that were written within one microsecond are each on one page.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn messages_of_one_microsecond_are_on_a_page_each(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (clock, scope) = (clock(), scope("microsecond")?);
        let sentiments = sentiments(fixture.store(), &clock);
        let start = clock.now();
        clock.advance(Duration::from_secs(60));
        for (id, nanos) in [("c", 100), ("a", 900), ("b", 500)] {
            let message = Message::new(id, "so 0.1")?.written(start + Duration::from_nanos(nanos));
            sentiments.record(&scope, &message).await?;
        }
        let (mut found, mut request) = (Vec::new(), page(1)?);
        loop {
            let page = sentiments.history(&scope, &Segment::all(), &request).await?;
            found.extend(page.items.into_iter().map(|entry| entry.id));
            match page.next {
                Some(next) => request = request.after(next),
                None => break,
            }
        }
        ensure!(found == ["c", "b", "a"], "{found:?}");
        Ok(())
    })
}

/// What was learned from a message is kept only while the message has a correction; of a tenant who is forgotten while somebody
/// corrects, nothing stays.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn nothing_is_learned_of_what_is_forgotten(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (clock, scope, store) = (clock(), scope("unlearned")?, fixture.store());
        let sentiments = sentiments(fixture.store(), &clock);
        let first = AdaptationState { version: 1, bytes: vec![1] };
        let message = Message::new("m", "so 0.5")?;
        let kept = store.put_adaptation(&scope, &first, Some("m")).await?;
        ensure!(kept.is_none(), "it was learned from a message that is not there");
        sentiments.record(&scope, &message).await?;
        let kept = store.put_adaptation(&scope, &first, Some("m")).await?;
        ensure!(kept.is_none(), "it was learned from a message that nobody corrected");
        sentiments.correct(&scope, &message, Polarity::Negative).await?;
        let kept = store.put_adaptation(&scope, &first, Some("m")).await?;
        let version = kept.ok_or_else(|| Violation::new("it was not learned"))?;
        // Of the store alone: `Sentiments` would take the learned bytes for damaged ones, and change them.
        ensure!(store.forget_message(&scope, "m", &TrendPolicy::default()).await?, "it is not forgotten");
        let next = AdaptationState { version: version + 1, bytes: vec![2] };
        let kept = store.put_adaptation(&scope, &next, Some("m")).await?;
        ensure!(kept.is_none(), "it was learned from a message that is forgotten");
        ensure!(store.put_adaptation(&scope, &next, None).await? == Some(version + 1), "it is no turn");
        Ok::<_, Violation>(())
    })?;
    for round in 0..12 {
        let (clock, scope) = (clock(), scope(&format!("unlearned{round}"))?);
        fixture.block_on(async {
            let sentiments = sentiments(fixture.store(), &clock);
            for n in 0..4 {
                sentiments.record(&scope, &Message::new(&format!("m{n}"), "so 0.5")?).await?;
            }
            Ok::<_, Violation>(())
        })?;
        let start = Barrier::new(5);
        let results: Vec<Result<(), Violation>> = std::thread::scope(|threads| {
            let work = |n: usize| {
                let (start, scope, clock) = (&start, &scope, &clock);
                move || {
                    fixture.block_on(async {
                        // With the model that learns.
                        let sentiments = Sentiments::new(fixture.store()).with_clock(clock.clone());
                        let message = Message::new(&format!("m{n}"), "the spinner again")?;
                        start.wait();
                        if n == 4 {
                            persist(|| sentiments.forget_tenant(scope), Error::is_transient).await?;
                            return Ok(());
                        }
                        let corrected = persist(
                            || sentiments.correct(scope, &message, Polarity::Negative),
                            Error::is_transient,
                        );
                        match corrected.await {
                            Ok(_) | Err(Error::UnknownMessage { .. }) => Ok(()),
                            Err(error) => Err(error.into()),
                        }
                    })
                }
            };
            let running: Vec<_> = (0..5).map(|n| threads.spawn(work(n))).collect();
            running.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        ensure!(results.len() == 5, "a thread panicked");
        results.into_iter().collect::<Result<(), _>>()?;
        fixture.block_on(async {
            let store = fixture.store();
            ensure!(
                store.history(&scope, &Segment::all(), None, &page(9)?).await?.is_empty(),
                "a message stays"
            );
            ensure!(store.adaptation(&scope).await?.is_none(), "something stays learned in round {round}");
            Ok::<_, Violation>(())
        })?;
    }
    Ok(())
}
