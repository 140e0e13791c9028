//! The laws.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use futures_util::future::join_all;
use guardian_core::Timestamp;

use super::{
    Clock, Fixture, Kept, LEASE, Maker, Message, RunFilter, Saved, Status, Uuid, Violation, WorkflowStore,
    ensure, first, json,
};
use crate::machine::Entry;
use crate::store::{Listening, MESSAGE_BYTES, Occasion};

fn entry(number: u64, now: Timestamp) -> Entry {
    Entry {
        number,
        node: "w".into(),
        workflow: None,
        iteration: String::new(),
        attempt: 1,
        started: now,
        ended: now,
        input: json!({"n": number, "half": 0.5, "none": null}),
        output: json!(null),
        port: None,
        failure: None,
        cost: 3,
        explanation: None,
    }
}

/// A change names the revision that it is made from; another one is refused, and nothing of it is stored.
///
/// # Errors
/// How the store broke the law.
pub fn a_change_of_an_old_revision_is_refused(fixture: &impl Fixture) -> Result<(), Violation> {
    let (store, maker) = (fixture.store(), Maker::new("acme")?);
    fixture.block_on(async {
        let (one, two) = (maker.save("w", 1)?, maker.save("w", 2)?);
        ensure!(store.save(&maker.scope, &two).await? == Saved::Conflict, "revision 2 came before 1");
        ensure!(store.version(&maker.scope, "w", 2).await?.is_none(), "a refused version is there");
        ensure!(store.save(&maker.scope, &one).await? == Saved::Done, "revision 1 was refused");
        ensure!(store.save(&maker.scope, &one).await? == Saved::Conflict, "revision 1 came twice");
        ensure!(store.save(&maker.scope, &two).await? == Saved::Done, "revision 2 was refused");
        let found = store.workflow(&maker.scope, "w").await?;
        ensure!(found.as_ref() == Some(&two.workflow), "the workflow is {found:?}");
        let found = store.version(&maker.scope, "w", 2).await?;
        ensure!(found == two.version, "the version is {found:?}");
        Ok(())
    })
}

/// A run is stored once, and comes back as it was.
///
/// # Errors
/// How the store broke the law.
pub fn what_was_started_is_there_once(fixture: &impl Fixture) -> Result<(), Violation> {
    let (store, maker) = (fixture.store(), Maker::new("acme")?);
    fixture.block_on(async {
        let run = maker.run("w", 1)?;
        let now = maker.clock.now();
        let entries = vec![entry(1, now)];
        ensure!(
            store.start(&maker.scope, run.clone(), entries.clone(), Some(now), None).await?,
            "it was there"
        );
        ensure!(
            !store.start(&maker.scope, run.clone(), entries.clone(), Some(now), None).await?,
            "it came twice"
        );
        let found = store.run(&maker.scope, run.id).await?;
        ensure!(found.as_ref() == Some(&run), "it came back as {found:?}");
        let found = store.history(&maker.scope, run.id, 0, 100).await?;
        ensure!(found == entries, "its history came back as {found:?}");
        Ok(())
    })
}

/// Nobody but its holder gets a run until the lease ends; then another one does, with a greater fence.
///
/// # Errors
/// How the store broke the law.
pub fn a_run_belongs_to_one_worker(fixture: &impl Fixture) -> Result<(), Violation> {
    let (store, maker) = (fixture.store(), Maker::new("acme")?);
    fixture.block_on(async {
        let run = maker.run("w", 1)?;
        let now = maker.clock.now();
        let later = now + LEASE;
        store.start(&maker.scope, run.clone(), Vec::new(), Some(later), None).await?;
        ensure!(store.claim(now, later, 10).await?.is_empty(), "it was given away before it was due");
        let claimed = store.claim(later, later + LEASE, 10).await?;
        ensure!(claimed.len() == 1 && claimed.iter().all(|each| each.run == run), "claimed {claimed:?}");
        let fence = claimed.first().map_or(0, |each| each.fence);
        ensure!(store.claim(later, later + LEASE, 10).await?.is_empty(), "it was given away twice");
        let almost = later + LEASE - std::time::Duration::from_millis(1);
        ensure!(
            store.claim(almost, almost + LEASE, 10).await?.is_empty(),
            "it was given away within the lease"
        );
        let kept = store.extend(&[(maker.scope.tenant().clone(), run.id, fence)], later + 3 * LEASE).await?;
        ensure!(kept == [run.id], "it could not be held longer");
        ensure!(
            store.claim(later + 2 * LEASE, later + 9 * LEASE, 10).await?.is_empty(),
            "it was not held longer"
        );
        let again = store.claim(later + 3 * LEASE, later + 4 * LEASE, 10).await?;
        ensure!(again.iter().any(|each| each.fence > fence), "the fence after {fence} is {again:?}");
        let kept = store.extend(&[(maker.scope.tenant().clone(), run.id, fence)], later + 9 * LEASE).await?;
        ensure!(kept.is_empty(), "who lost it held it longer");
        Ok(())
    })
}

/// Who lost a run cannot keep anything of it, and does not keep others from keeping theirs.
///
/// # Errors
/// How the store broke the law.
pub fn a_fence_keeps_out_who_was_too_slow(fixture: &impl Fixture) -> Result<(), Violation> {
    let (store, maker) = (fixture.store(), Maker::new("acme")?);
    fixture.block_on(async {
        let (slow, other) = (maker.run("w", 1)?, maker.run("w", 1)?);
        let now = maker.clock.now();
        for run in [&slow, &other] {
            store.start(&maker.scope, run.clone(), Vec::new(), Some(now), None).await?;
        }
        let claimed = store.claim(now, now + LEASE, 10).await?;
        ensure!(claimed.len() == 2, "{} were claimed", claimed.len());
        let again = store.claim(now + LEASE, now + 2 * LEASE, 1).await?;
        let taken = again.first().ok_or_else(|| Violation::new("the lease never ended"))?;
        let mut batch = Vec::new();
        for each in &claimed {
            let mut checkpoint = maker.checkpoint(&each.run, each.fence);
            checkpoint.state.status = Status::Completed;
            checkpoint.entries = vec![entry(1, now)];
            batch.push(checkpoint);
        }
        let kept = store.checkpoint(batch).await?;
        for (each, kept) in claimed.iter().zip(&kept) {
            let lost = each.run.id == taken.run.id;
            ensure!((*kept == Kept::Lost) == lost, "the fence {} let {kept:?} through", each.fence);
            let stored = store.run(&maker.scope, each.run.id).await?;
            let completed = stored.is_some_and(|run| run.state.status == Status::Completed);
            ensure!(completed != lost, "what was stored is not what was said");
            let history = store.history(&maker.scope, each.run.id, 0, 10).await?;
            ensure!(history.is_empty() == lost, "the history has {} entries", history.len());
        }
        Ok(())
    })
}

/// A message makes a run due, is given to whoever claims it, and again until the state has taken it in.
///
/// # Errors
/// How the store broke the law.
pub fn a_message_makes_a_run_due(fixture: &impl Fixture) -> Result<(), Violation> {
    let (store, maker) = (fixture.store(), Maker::new("acme")?);
    fixture.block_on(async {
        let run = maker.run("w", 1)?;
        let now = maker.clock.now();
        store.start(&maker.scope, run.clone(), Vec::new(), None, None).await?;
        ensure!(store.claim(now, now + LEASE, 10).await?.is_empty(), "it was due without a message");
        let message = |n: i64| Message::Signal { name: "go".to_owned(), payload: json!({ "n": n }) };
        for n in 1..=2 {
            let number = store.send(&maker.scope, run.id, &message(n), now).await?;
            ensure!(number == Some(n), "the number of message {n} is {number:?}");
        }
        ensure!(
            store.send(&maker.scope, Uuid::nil(), &message(1), now).await?.is_none(),
            "nobody got a message"
        );
        let claimed = store.claim(now, now + LEASE, 10).await?;
        let each = claimed.first().ok_or_else(|| Violation::new("a message made nothing due"))?;
        ensure!(each.messages == [(1, message(1)), (2, message(2))], "it got {:?}", each.messages);
        let mut checkpoint = maker.checkpoint(&run, each.fence);
        checkpoint.state.seen = 1;
        store.checkpoint(vec![checkpoint]).await?;
        let claimed = store.claim(now, now + LEASE, 10).await?;
        let each = claimed.first().ok_or_else(|| Violation::new("a message was forgotten"))?;
        ensure!(each.messages == [(2, message(2))], "then it got {:?}", each.messages);
        let mut checkpoint = maker.checkpoint(&run, each.fence);
        checkpoint.state.seen = 2;
        store.checkpoint(vec![checkpoint]).await?;
        ensure!(store.claim(now, now + LEASE, 10).await?.is_empty(), "it stayed due");
        Ok(())
    })
}

/// A message that comes while a worker holds the run reaches it with its next checkpoint, or keeps the run due.
///
/// # Errors
/// How the store broke the law.
pub fn a_message_that_comes_meanwhile_is_not_lost(fixture: &impl Fixture) -> Result<(), Violation> {
    let (store, maker) = (fixture.store(), Maker::new("acme")?);
    fixture.block_on(async {
        let run = maker.run("w", 1)?;
        let now = maker.clock.now();
        ensure!(
            store.start(&maker.scope, run.clone(), Vec::new(), Some(now), Some(now + LEASE)).await?,
            "no start"
        );
        store.send(&maker.scope, run.id, &Message::Pause, now).await?;
        ensure!(store.claim(now, now + LEASE, 10).await?.is_empty(), "a message took a run from its holder");
        let mut checkpoint = maker.checkpoint(&run, 1);
        checkpoint.held = Some(now + LEASE);
        let kept = store.checkpoint(vec![checkpoint]).await?;
        ensure!(kept == [Kept::Yes(vec![(1, Message::Pause)])], "the holder got {kept:?}");
        let kept = store.checkpoint(vec![maker.checkpoint(&run, 1)]).await?;
        ensure!(kept == [Kept::Yes(Vec::new())], "who let go got {kept:?}");
        let claimed = store.claim(now, now + LEASE, 10).await?;
        let each = claimed.first().ok_or_else(|| Violation::new("a message was lost"))?;
        ensure!(each.messages == [(1, Message::Pause)], "it got {:?}", each.messages);
        Ok(())
    })
}

/// Of many large messages a run gets as many at a time as reach the limit of bytes, and one that is larger by itself alone; the
/// others come with its next checkpoint or claim.
///
/// # Errors
/// How the store broke the law.
pub fn large_messages_come_a_few_at_a_time(fixture: &impl Fixture) -> Result<(), Violation> {
    let (store, maker) = (fixture.store(), Maker::new("acme")?);
    fixture.block_on(async {
        let run = maker.run("w", 1)?;
        let now = maker.clock.now();
        store.start(&maker.scope, run.clone(), Vec::new(), None, None).await?;
        // In hundredths of the limit.
        for size in [40, 40, 40, 40, 150, 40, 1] {
            let payload = "x".repeat(usize::try_from(MESSAGE_BYTES / 100)? * size).into();
            let message = Message::Signal { name: "go".to_owned(), payload };
            store.send(&maker.scope, run.id, &message, now).await?;
        }
        let numbers =
            |messages: &[(i64, Message)]| messages.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        let claimed = store.claim(now, now + LEASE, 10).await?;
        let each = claimed.first().ok_or_else(|| Violation::new("messages made nothing due"))?;
        ensure!(numbers(&each.messages) == [1, 2, 3], "first it got {:?}", numbers(&each.messages));
        let mut checkpoint = maker.checkpoint(&run, each.fence);
        (checkpoint.state.seen, checkpoint.held) = (3, Some(now + LEASE));
        let kept = store.checkpoint(vec![checkpoint]).await?;
        let Some(Kept::Yes(messages)) = kept.first() else {
            return Err(Violation::new("a checkpoint was not kept"));
        };
        ensure!(numbers(messages) == [4, 5], "then it got {:?}", numbers(messages));
        let mut checkpoint = maker.checkpoint(&run, each.fence);
        checkpoint.state.seen = 4;
        store.checkpoint(vec![checkpoint]).await?;
        let claimed = store.claim(now, now + LEASE, 10).await?;
        let each = claimed.first().ok_or_else(|| Violation::new("messages were forgotten"))?;
        ensure!(numbers(&each.messages) == [5], "of its own size it got {:?}", numbers(&each.messages));
        let mut checkpoint = maker.checkpoint(&run, each.fence);
        checkpoint.state.seen = 5;
        store.checkpoint(vec![checkpoint]).await?;
        let claimed = store.claim(now, now + LEASE, 10).await?;
        let each = claimed.first().ok_or_else(|| Violation::new("the last messages were forgotten"))?;
        ensure!(numbers(&each.messages) == [6, 7], "at last it got {:?}", numbers(&each.messages));
        Ok(())
    })
}

/// Nothing of a tenant is seen or changed in the scope of another.
///
/// # Errors
/// How the store broke the law.
pub fn a_tenant_sees_its_own_alone(fixture: &impl Fixture) -> Result<(), Violation> {
    let (store, acme, other) = (fixture.store(), Maker::new("acme")?, Maker::new("bolt")?);
    fixture.block_on(async {
        let run = acme.run("w", 1)?;
        let now = acme.clock.now();
        store.save(&acme.scope, &acme.save("w", 1)?).await?;
        store.start(&acme.scope, run.clone(), vec![entry(1, now)], Some(now), None).await?;
        let page = first(10)?;
        ensure!(store.workflow(&other.scope, "w").await?.is_none(), "a workflow is seen");
        ensure!(store.workflows(&other.scope, &page).await?.items.is_empty(), "workflows are seen");
        ensure!(store.version(&other.scope, "w", 1).await?.is_none(), "a version is seen");
        ensure!(store.versions(&other.scope, "w", &page).await?.items.is_empty(), "versions are seen");
        ensure!(store.run(&other.scope, run.id).await?.is_none(), "a run is seen");
        ensure!(store.runs(&other.scope, &RunFilter::new(), &page).await?.items.is_empty(), "runs are seen");
        ensure!(store.history(&other.scope, run.id, 0, 10).await?.is_empty(), "a history is seen");
        ensure!(
            store.send(&other.scope, run.id, &Message::Pause, now).await?.is_none(),
            "a run got a message"
        );
        ensure!(store.forget_versions(&other.scope, "w", &[1]).await?.is_empty(), "a version was forgotten");
        ensure!(store.save(&other.scope, &other.save("w", 1)?).await? == Saved::Done, "a name is taken");
        // The same id may be another tenant's run.
        let mut same = other.run("w", 1)?;
        same.id = run.id;
        ensure!(store.start(&other.scope, same, Vec::new(), None, None).await?, "an id is taken");
        ensure!(store.version(&acme.scope, "w", 1).await?.is_some(), "the version is gone");
        Ok(())
    })
}

/// Versions that a run was pinned to are not forgotten, all others are.
///
/// # Errors
/// How the store broke the law.
pub fn a_version_that_a_run_needs_stays(fixture: &impl Fixture) -> Result<(), Violation> {
    let (store, maker) = (fixture.store(), Maker::new("acme")?);
    fixture.block_on(async {
        for number in 1..=4 {
            store.save(&maker.scope, &maker.save("w", number)?).await?;
        }
        let now = maker.clock.now();
        store.start(&maker.scope, maker.run("w", 2)?, Vec::new(), Some(now), None).await?;
        let gone = store.forget_versions(&maker.scope, "w", &[1, 2, 3, 9]).await?;
        ensure!(gone == [1, 3], "gone are {gone:?}");
        let left = store.versions(&maker.scope, "w", &first(10)?).await?;
        let left: Vec<u64> = left.items.iter().map(|version| version.number).collect();
        ensure!(left == [4, 2], "left are {left:?}");
        let mut save = maker.save("w", 5)?;
        save.squashed = Some(4);
        store.save(&maker.scope, &save).await?;
        ensure!(store.version(&maker.scope, "w", 4).await?.is_none(), "a squashed version is there");
        Ok(())
    })
}

/// Entries come in order, from where they are asked for, and of every checkpoint that was kept.
///
/// # Errors
/// How the store broke the law.
pub fn history_comes_in_order(fixture: &impl Fixture) -> Result<(), Violation> {
    let (store, maker) = (fixture.store(), Maker::new("acme")?);
    fixture.block_on(async {
        let run = maker.run("w", 1)?;
        let now = maker.clock.now();
        store.start(&maker.scope, run.clone(), vec![entry(1, now)], None, Some(now + LEASE)).await?;
        for from in [2, 5, 8] {
            let mut checkpoint = maker.checkpoint(&run, 1);
            checkpoint.held = Some(now + LEASE);
            checkpoint.entries = (from..from + 3).map(|number| entry(number, now)).collect();
            store.checkpoint(vec![checkpoint]).await?;
        }
        let (mut seen, mut after) = (Vec::new(), 0);
        loop {
            let some = store.history(&maker.scope, run.id, after, 2).await?;
            let Some(last) = some.last() else { break };
            after = last.number;
            seen.extend(some.iter().map(|entry| entry.number));
        }
        ensure!(seen == (1..=10).collect::<Vec<_>>(), "the history is {seen:?}");
        let whole = store.history(&maker.scope, run.id, 4, 1).await?;
        ensure!(whole.first() == Some(&entry(5, now)), "entry 5 came back as {whole:?}");
        Ok(())
    })
}

/// Pages show everything once, in order.
///
/// # Errors
/// How the store broke the law.
pub fn lists_come_in_pages(fixture: &impl Fixture) -> Result<(), Violation> {
    let (store, maker) = (fixture.store(), Maker::new("acme")?);
    fixture.block_on(async {
        let names: Vec<String> = (0..7).map(|at| format!("w{at}")).collect();
        let mut ids = Vec::new();
        for name in names.iter().rev() {
            store.save(&maker.scope, &maker.save(name, 1)?).await?;
            let run = maker.run(name, 1)?;
            ids.push(run.id);
            store.start(&maker.scope, run, Vec::new(), None, None).await?;
        }
        ids.reverse();
        let (mut page, mut seen) = (Some(first(3)?), Vec::new());
        while let Some(request) = page.take() {
            let found = store.workflows(&maker.scope, &request).await?;
            seen.extend(found.items.into_iter().map(|workflow| workflow.name));
            page = match found.next {
                Some(next) => Some(first(3)?.after(next)),
                None => None,
            };
        }
        ensure!(seen == names, "the workflows are {seen:?}");
        let (mut page, mut seen) = (Some(first(2)?), Vec::new());
        while let Some(request) = page.take() {
            let found = store.runs(&maker.scope, &RunFilter::new(), &request).await?;
            seen.extend(found.items.into_iter().map(|run| run.id));
            page = match found.next {
                Some(next) => Some(first(2)?.after(next)),
                None => None,
            };
        }
        ensure!(seen == ids, "the runs are {seen:?}");
        let filter = RunFilter::new().workflow("w3").status(Status::Running).version(1);
        let some = store.runs(&maker.scope, &filter, &first(10)?).await?;
        ensure!(some.items.len() == 1, "{} runs are of w3", some.items.len());
        let none = store.runs(&maker.scope, &RunFilter::new().status(Status::Failed), &first(10)?).await?;
        ensure!(none.items.is_empty(), "{} runs have failed", none.items.len());
        Ok(())
    })
}

/// Workers that claim at the same time never get the same run.
///
/// # Errors
/// How the store broke the law.
pub fn of_concurrent_claims_each_run_is_in_one(fixture: &impl Fixture) -> Result<(), Violation> {
    const RUNS: usize = 60;
    let (store, maker) = (fixture.store(), Maker::new("acme")?);
    let now = maker.clock.now();
    fixture.block_on(async {
        for _ in 0..RUNS {
            store.start(&maker.scope, maker.run("w", 1)?, Vec::new(), Some(now), None).await?;
        }
        Ok::<_, Violation>(())
    })?;
    let claimed: Vec<Result<Vec<Uuid>, Violation>> = std::thread::scope(|threads| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                threads.spawn(|| {
                    let (store, mut mine) = (fixture.store(), Vec::new());
                    fixture.block_on(async {
                        loop {
                            let some = store.claim(now, now + LEASE, 7).await?;
                            if some.is_empty() {
                                return Ok(mine);
                            }
                            mine.extend(some.iter().map(|each| each.run.id));
                        }
                    })
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| Err(Violation::new("a worker panicked"))))
            .collect()
    });
    let mut all = Vec::new();
    for mine in claimed {
        all.extend(mine?);
    }
    // One that found nothing because others were about to take it may have stopped early.
    fixture.block_on(async {
        all.extend(store.claim(now, now + LEASE, 100).await?.iter().map(|each| each.run.id));
        Ok::<_, Violation>(())
    })?;
    let different: BTreeSet<&Uuid> = all.iter().collect();
    ensure!(all.len() == RUNS && different.len() == RUNS, "{} claims of {} runs", all.len(), different.len());
    Ok(())
}

/// Starts that come at the same time, some of them twice and some of them abandoned, are stored once each, with their history.
///
/// # Errors
/// How the store broke the law.
pub fn of_concurrent_starts_each_is_stored_once(fixture: &impl Fixture) -> Result<(), Violation> {
    let (store, maker, other) = (fixture.store(), Maker::new("acme")?, Maker::new("globex")?);
    fixture.block_on(async {
        let now = maker.clock.now();
        let mut runs = Vec::new();
        for at in 0..50 {
            let owner = if at % 5 == 0 { &other } else { &maker };
            let run = owner.run("w", 1)?;
            runs.push((owner, run.clone()));
            if at % 3 == 0 {
                runs.push((owner, run));
            }
        }
        let starts = runs
            .iter()
            .map(|(owner, run)| store.start(&owner.scope, run.clone(), vec![entry(1, now)], Some(now), None));
        // Who goes away in the middle holds nobody up.
        let mut abandoned = Vec::new();
        for _ in 0..5 {
            abandoned.push(maker.run("w", 1)?);
        }
        for run in &abandoned {
            let start = store.start(&maker.scope, run.clone(), Vec::new(), Some(now), None);
            let _ = start.now_or_never();
        }
        let mut new = 0;
        for stored in join_all(starts).await {
            new += usize::from(stored?);
        }
        ensure!(new == 50, "{new} of 50 were new");
        for (owner, run) in &runs {
            let found = store.run(&owner.scope, run.id).await?;
            ensure!(found.as_ref() == Some(run), "it came back as {found:?}");
            let history = store.history(&owner.scope, run.id, 0, 10).await?;
            ensure!(history.len() == 1, "its history has {} entries", history.len());
        }
        Ok(())
    })
}

/// A checkpoint may keep the state alone: the lease stays as it was, and who lost the run cannot do that either.
///
/// # Errors
/// How the store broke the law.
pub fn the_state_alone_can_be_kept(fixture: &impl Fixture) -> Result<(), Violation> {
    let (store, maker) = (fixture.store(), Maker::new("acme")?);
    fixture.block_on(async {
        let now = maker.clock.now();
        let mut runs = Vec::new();
        for _ in 0..5 {
            let run = maker.run("w", 1)?;
            store.start(&maker.scope, run.clone(), Vec::new(), Some(now), Some(now + 2 * LEASE)).await?;
            runs.push(run);
        }
        let mut batch = Vec::new();
        for run in &runs {
            let mut checkpoint = maker.checkpoint(run, 1);
            (checkpoint.held, checkpoint.state_only, checkpoint.took) = (Some(now), true, false);
            checkpoint.state.entries = 7;
            checkpoint.entries = vec![entry(1, now)];
            batch.push(checkpoint);
        }
        let lost = batch.first().cloned();
        let kept = store.checkpoint(batch).await?;
        ensure!(kept.iter().all(|kept| *kept == Kept::Yes(Vec::new())), "they were kept as {kept:?}");
        for run in &runs {
            let stored = store.run(&maker.scope, run.id).await?;
            ensure!(stored.is_some_and(|run| run.state.entries == 7), "the state was not kept");
            ensure!(store.history(&maker.scope, run.id, 0, 10).await?.len() == 1, "no history was kept");
        }
        ensure!(store.claim(now + LEASE, now + 9 * LEASE, 10).await?.is_empty(), "the lease was shortened");
        let claimed = store.claim(now + 2 * LEASE, now + 9 * LEASE, 10).await?;
        ensure!(claimed.len() == 5, "{} of 5 were due after the lease", claimed.len());
        if let Some(checkpoint) = lost {
            let kept = store.checkpoint(vec![checkpoint]).await?;
            ensure!(kept == [Kept::Lost], "who lost the run kept {kept:?}");
        }
        Ok(())
    })
}

/// Messages that a state has taken in are removed, and what comes later has later numbers.
///
/// # Errors
/// How the store broke the law.
pub fn what_was_taken_in_is_removed(fixture: &impl Fixture) -> Result<(), Violation> {
    let (store, maker) = (fixture.store(), Maker::new("acme")?);
    fixture.block_on(async {
        let run = maker.run("w", 1)?;
        let now = maker.clock.now();
        store.start(&maker.scope, run.clone(), Vec::new(), None, None).await?;
        for _ in 0..3 {
            store.send(&maker.scope, run.id, &Message::Pause, now).await?;
        }
        let fence = store.claim(now, now + LEASE, 10).await?.first().map_or(0, |each| each.fence);
        let mut checkpoint = maker.checkpoint(&run, fence);
        checkpoint.state.seen = 2;
        store.checkpoint(vec![checkpoint]).await?;
        // Somebody who forgot that they were taken in does not get them again.
        let fence = store.claim(now, now + LEASE, 10).await?.first().map_or(0, |each| each.fence);
        let mut checkpoint = maker.checkpoint(&run, fence);
        (checkpoint.state.seen, checkpoint.took) = (0, false);
        store.checkpoint(vec![checkpoint]).await?;
        let claimed = store.claim(now, now + LEASE, 10).await?;
        let messages = claimed.first().map(|each| each.messages.clone()).unwrap_or_default();
        ensure!(messages == [(3, Message::Pause)], "what is left is {messages:?}");
        let number = store.send(&maker.scope, run.id, &Message::Resume, now).await?;
        ensure!(number == Some(4), "the next one has the number {number:?}");
        Ok(())
    })
}

/// Workflows are found by what they listen to: by the name of an event, its beginning, a schedule, the path of a webhook, which
/// is one workflow's.
///
/// # Errors
/// How the store broke the law.
pub fn who_listens_is_found(fixture: &impl Fixture) -> Result<(), Violation> {
    let (store, maker, other) = (fixture.store(), Maker::new("acme")?, Maker::new("globex")?);
    fixture.block_on(async {
        let event = |name: &str| Listening::Event(name.to_owned());
        let events = |beginning: &str| Listening::Events(beginning.to_owned());
        let hook = |path: &str| Listening::Webhook(path.to_owned());
        let all = [
            ("a", vec![event("deal.won"), hook("/a")]),
            ("b", vec![events("deal."), Listening::Schedule]),
            ("c", vec![events(""), event("deal.won"), events("deal")]),
            ("d", vec![event("deal.lost"), events("deal.won."), events("Deal.")]),
            ("e", vec![events("ü."), event("x%")]),
        ];
        for (name, listens) in &all {
            let mut save = maker.save(name, 1)?;
            save.listens = Some(listens.iter().cloned().collect());
            ensure!(store.save(&maker.scope, &save).await? == Saved::Done, "`{name}` was refused");
        }
        let mut foreign = other.save("z", 1)?;
        foreign.listens = Some([events(""), hook("/a"), Listening::Schedule].into());
        ensure!(
            store.save(&other.scope, &foreign).await? == Saved::Done,
            "a path of another tenant is taken"
        );
        let cases = [
            (Occasion::Event("deal.won"), vec!["a", "b", "c"]),
            (Occasion::Event("deal.lost"), vec!["b", "c", "d"]),
            (Occasion::Event("ü.1"), vec!["c", "e"]),
            (Occasion::Event("xy"), vec!["c"]),
            (Occasion::Schedule, vec!["b"]),
            (Occasion::Webhook("/a"), vec!["a"]),
            (Occasion::Webhook("/b"), vec![]),
        ];
        for (occasion, expected) in cases {
            // In pages of two.
            let (mut found, mut page) = (Vec::new(), Some(first(2)?));
            while let Some(request) = page.take() {
                let part = store.listeners(&maker.scope, occasion, &request).await?;
                found.extend(part.items.into_iter().map(|workflow| workflow.name));
                if let Some(next) = part.next {
                    page = Some(first(2)?.after(next));
                }
            }
            ensure!(found == expected, "{occasion:?} finds {found:?}");
        }
        // A path is taken, and nothing of a refused change is there.
        let mut thief = maker.save("t", 1)?;
        thief.listens = Some([hook("/a"), event("deal.won")].into());
        let saved = store.save(&maker.scope, &thief).await?;
        ensure!(saved == Saved::Taken("/a".to_owned()), "a path that was taken gave {saved:?}");
        ensure!(store.workflow(&maker.scope, "t").await?.is_none(), "a refused workflow is there");
        // What changes its mind is found otherwise; where nothing is said it stays.
        let mut second = maker.save("a", 2)?;
        second.listens = None;
        store.save(&maker.scope, &second).await?;
        let page = first(10)?;
        let found = store.listeners(&maker.scope, Occasion::Webhook("/a"), &page).await?;
        ensure!(found.items.first().is_some_and(|found| found.revision == 2), "it is found as {found:?}");
        let mut third = maker.save("a", 3)?;
        third.listens = Some([hook("/c")].into());
        store.save(&maker.scope, &third).await?;
        let found = store.listeners(&maker.scope, Occasion::Event("deal.won"), &page).await?;
        ensure!(found.items.len() == 2, "it still listens");
        ensure!(store.save(&maker.scope, &thief).await? == Saved::Done, "a path that is free was refused");
        Ok(())
    })
}
