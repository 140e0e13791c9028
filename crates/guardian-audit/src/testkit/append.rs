use std::thread;

use chrono::TimeDelta;

use super::{Fixture, Sample, Verdict, Violation, same, scope};
use crate::canonical;
use crate::store::{AuditStore, Batch};

/// Events are numbered 0, 1, 2 … and recorded at times that never go back, whatever the clock does.
///
/// # Errors
/// When the store breaks the law.
pub fn sequences_have_no_gap_and_time_never_goes_back(fixture: &impl Fixture) -> Verdict {
    let (store, scope) = (fixture.store(), scope("order")?);
    let mut sample = Sample::new(1);
    let (mut next, mut last) = (0, Sample::start());
    for hours in [1, 5, 3, -200, 4, 9] {
        let drafts = sample.drafts(7)?;
        let now = Sample::start() + TimeDelta::hours(hours);
        let placed = fixture.block_on(store.append(&[Batch::new(&scope, &drafts)], now))?;
        same("one result for each batch", &placed.len(), &1)?;
        let placed = placed.first().map(Vec::as_slice).unwrap_or_default();
        same("one result for each draft", &placed.len(), &drafts.len())?;
        last = last.max(now);
        for one in placed {
            same("the next place", &one.sequence, &next)?;
            same("the time of recording", &one.recorded, &last)?;
            same("a new event", &one.duplicate, &false)?;
            next += 1;
        }
    }
    let head = fixture.block_on(store.head(&scope))?;
    same("the size of the log", &head.size, &next)?;
    same("the time of the last event", &head.recorded, &Some(last))
}

/// Events come back byte for byte, from their place on and oldest first.
///
/// # Errors
/// When the store breaks the law.
pub fn what_is_stored_comes_back(fixture: &impl Fixture) -> Verdict {
    let (store, scope) = (fixture.store(), scope("verbatim")?);
    let drafts = Sample::new(2).drafts(60)?;
    for part in drafts.chunks(25) {
        fixture.block_on(store.append(&[Batch::new(&scope, part)], Sample::start()))?;
    }
    let records = fixture.block_on(store.records(&scope, 20, 30))?;
    same("as many as asked for", &records.len(), &30)?;
    for (record, (sequence, draft)) in records.iter().zip((20..).zip(drafts.iter().skip(20))) {
        same("the place", &record.sequence, &sequence)?;
        same("the body", &record.body.as_ref(), &Some(&draft.body))?;
        let leaf = record.leaf(scope.tenant()).ok_or_else(|| Violation::new("a record without a body"))?;
        same("the event", &canonical::decode(&leaf)?.event.id, &Some(draft.id))?;
    }
    same("nothing after the last", &fixture.block_on(store.records(&scope, 60, 10))?.len(), &0)?;
    same("what is left", &fixture.block_on(store.records(&scope, 55, 10))?.len(), &5)
}

/// An event whose id the log holds is not stored again, and its place is told; the same id in another tenant's log is
/// another event.
///
/// # Errors
/// When the store breaks the law.
pub fn an_event_is_stored_once(fixture: &impl Fixture) -> Verdict {
    let (store, ours, theirs) = (fixture.store(), scope("once")?, scope("twice")?);
    let mut sample = Sample::new(3);
    let mut drafts = sample.drafts(10)?;
    let first = fixture.block_on(store.append(&[Batch::new(&ours, &drafts)], Sample::start()))?;
    drafts.push(sample.draft()?);
    let double = drafts.first().cloned();
    drafts.extend(double);
    let later = Sample::start() + TimeDelta::hours(1);
    let again = fixture.block_on(store.append(&[Batch::new(&ours, &drafts)], later))?;
    let (first, again) = (first.concat(), again.concat());
    for (one, other) in first.iter().zip(&again) {
        same("the same place", &(other.sequence, other.recorded), &(one.sequence, one.recorded))?;
        same("known as a duplicate", &other.duplicate, &true)?;
    }
    let ends: Vec<_> = again.iter().skip(10).map(|placed| (placed.sequence, placed.duplicate)).collect();
    same("a new one, and one that came twice in a batch", &ends, &vec![(10, false), (0, true)])?;
    same("the size", &fixture.block_on(store.head(&ours))?.size, &11)?;
    let other = fixture.block_on(store.append(&[Batch::new(&theirs, &drafts)], later))?.concat();
    same(
        "another tenant's",
        &other.first().map(|placed| (placed.sequence, placed.duplicate)),
        &Some((0, false)),
    )
}

/// Batches of many tenants in one call, several of each among those of others, come into their logs in the order in which they were
/// given.
///
/// # Errors
/// When the store breaks the law.
pub fn batches_of_many_tenants_keep_their_order(fixture: &impl Fixture) -> Verdict {
    let (store, mut sample) = (fixture.store(), Sample::new(9));
    let scopes = (0..7).map(|tenant| scope(&format!("many-{tenant}"))).collect::<Result<Vec<_>, _>>()?;
    let drafts = (1..=21).map(|count| sample.drafts(count)).collect::<Result<Vec<_>, _>>()?;
    let batches: Vec<_> =
        scopes.iter().cycle().zip(&drafts).map(|(scope, drafts)| Batch::new(scope, drafts)).collect();
    let placed = fixture.block_on(store.append(&batches, Sample::start()))?;
    same("the batches", &placed.len(), &batches.len())?;
    for (tenant, scope) in scopes.iter().enumerate() {
        let own = || drafts.iter().zip(&placed).skip(tenant).step_by(scopes.len());
        let places: Vec<_> = own().flat_map(|(_, placed)| placed.iter().map(|one| one.sequence)).collect();
        let count = u64::try_from(places.len()).unwrap_or(u64::MAX);
        same("the places", &places, &(0..count).collect())?;
        let records = fixture.block_on(store.records(scope, 0, places.len()))?;
        let bodies: Vec<_> = records.into_iter().filter_map(|record| record.body).collect();
        let given: Vec<_> = own().flat_map(|(drafts, _)| drafts).map(|draft| draft.body.clone()).collect();
        same("the events", &bodies, &given)?;
    }
    Ok(())
}

/// No call for one tenant sees, counts or changes the log of another.
///
/// # Errors
/// When the store breaks the law.
pub fn a_batch_goes_to_its_tenant_alone(fixture: &impl Fixture) -> Verdict {
    use crate::dimension::Dimension;
    use crate::plan::Plan;
    use crate::store::{Count, Drop, Note, NoteKind};

    let (store, ours, theirs) = (fixture.store(), scope("ann")?, scope("ann-2")?);
    let mut sample = Sample::new(4);
    let (mine, other) = (sample.drafts(30)?, sample.drafts(20)?);
    let batches = [Batch::new(&ours, &mine), Batch::new(&theirs, &other)];
    let placed = fixture.block_on(store.append(&batches, Sample::start()))?;
    same("the batches", &placed.iter().map(Vec::len).collect::<Vec<_>>(), &vec![30, 20])?;
    let before = fixture.block_on(store.records(&theirs, 0, 100))?;
    let bodies: Vec<_> =
        fixture.block_on(store.records(&ours, 0, 100))?.into_iter().filter_map(|r| r.body).collect();
    same("our events", &bodies, &mine.iter().map(|draft| draft.body.clone()).collect::<Vec<_>>())?;
    for draft in &other {
        let plan = Plan::Term(format!("x{}", draft.id.hyphenated()));
        same(
            "their id found by us",
            &fixture.block_on(store.search(&ours, &plan, None, 10))?.records.len(),
            &0,
        )?;
        same("their id counted", &fixture.block_on(store.count(&ours, &plan, None))?, &Count::Exact(0))?;
    }
    let ids = fixture.block_on(store.facets(&ours, &Plan::All, Dimension::Id, 100))?;
    same("ids in our facets", &ids.len(), &30)?;
    let strange = other.iter().any(|draft| ids.iter().any(|facet| facet.value == draft.id.to_string()));
    same("their ids in our facets", &strange, &false)?;
    fixture.block_on(store.put_note(&ours, NoteKind::Hold, &Note::new("h", vec![1])))?;
    same("our note seen by them", &fixture.block_on(store.notes(&theirs, NoteKind::Hold))?.len(), &0)?;
    same(
        "our note removed by them",
        &fixture.block_on(store.remove_note(&theirs, NoteKind::Hold, "h"))?,
        &false,
    )?;
    let drop = Drop::new(&Plan::All, Sample::start() + TimeDelta::days(9), 1_000);
    same("dropped", &fixture.block_on(store.drop_bodies(&ours, &drop))?, &30)?;
    same("their events afterwards", &fixture.block_on(store.records(&theirs, 0, 100))?, &before)
}

/// Writers at once leave no gap, and every event is there once.
///
/// # Errors
/// When the store breaks the law.
pub fn racing_writers_leave_no_gap(fixture: &impl Fixture) -> Verdict {
    const WRITERS: u64 = 4;
    let scope = scope("race")?;
    let verdicts: Vec<Result<Vec<u64>, Violation>> = thread::scope(|threads| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, scope) = (fixture.store(), &scope);
                threads.spawn(move || {
                    let mut sample = Sample::new(100 + writer);
                    let mut places = Vec::new();
                    for _ in 0..10 {
                        let drafts = sample.drafts(5)?;
                        let placed = fixture
                            .block_on(store.append(&[Batch::new(scope, &drafts)], Sample::start()))?
                            .concat();
                        let inside: Vec<_> = placed.iter().map(|one| one.sequence).collect();
                        let first = inside.first().copied().unwrap_or_default();
                        same("a batch is in one piece", &inside, &(first..first + 5).collect())?;
                        places.extend(inside);
                    }
                    Ok(places)
                })
            })
            .collect();
        let gone = |_| Err(Violation::new("a writer panicked"));
        writers.into_iter().map(|writer| writer.join().unwrap_or_else(gone)).collect()
    });
    let mut places = Vec::new();
    for verdict in verdicts {
        places.extend(verdict?);
    }
    places.sort_unstable();
    same("each place once", &places, &(0..WRITERS * 50).collect())?;
    let records = fixture.block_on(fixture.store().records(&scope, 0, 1_000))?;
    same("each event in its place", &records.iter().map(|r| r.sequence).collect::<Vec<_>>(), &places)
}
