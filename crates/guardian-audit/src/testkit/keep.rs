use chrono::TimeDelta;

use super::{Fixture, Sample, Verdict, Violation, same, scope};
use crate::merkle::{Frontier, leaf_hash};
use crate::plan::Plan;
use crate::store::{AuditStore, Batch, Count, Drop, Note, NoteKind};

/// The leaves are the hashes of the records, and the head is the root of the tree over them.
///
/// # Errors
/// When the store breaks the law.
pub fn the_head_commits_to_every_leaf(fixture: &impl Fixture) -> Verdict {
    let (store, scope) = (fixture.store(), scope("head")?);
    let empty = fixture.block_on(store.head(&scope))?;
    same("the empty log", &(empty.size, empty.root), &(0, Frontier::new().root().into()))?;
    let drafts = Sample::new(7).drafts(600)?;
    let mut frontier = Frontier::new();
    for part in drafts.chunks(150) {
        fixture.block_on(store.append(&[Batch::new(&scope, part)], Sample::start()))?;
        let from = frontier.size();
        for record in fixture.block_on(store.records(&scope, from, 150))? {
            let leaf =
                record.leaf(scope.tenant()).ok_or_else(|| Violation::new("a record without a body"))?;
            frontier.append(leaf_hash(&leaf));
        }
        let head = fixture.block_on(store.head(&scope))?;
        same("the head", &(head.size, head.root), &(frontier.size(), frontier.root().into()))?;
    }
    let mut again = Frontier::new();
    for from in (0..700).step_by(100) {
        for leaf in fixture.block_on(store.leaves(&scope, from, 100))? {
            again.append(leaf.into());
        }
    }
    same("the leaves", &again, &frontier)
}

/// A dropped body is gone and found no more; its leaf, and so the head, is kept.
///
/// # Errors
/// When the store breaks the law.
pub fn a_dropped_body_leaves_its_leaf(fixture: &impl Fixture) -> Verdict {
    let (store, scope) = (fixture.store(), scope("drop")?);
    let mut sample = Sample::new(8);
    for hours in 0..10 {
        let drafts = sample.drafts(20)?;
        let now = Sample::start() + TimeDelta::hours(hours);
        fixture.block_on(store.append(&[Batch::new(&scope, &drafts)], now))?;
    }
    let head = fixture.block_on(store.head(&scope))?;
    let leaves = fixture.block_on(store.leaves(&scope, 0, 1_000))?;
    let plan = Plan::compile(&"risk:low".parse()?, &|_, _| None);
    let before = Sample::start() + TimeDelta::hours(5);
    let all = fixture.block_on(store.records(&scope, 0, 1_000))?;
    let low: Vec<u64> = fixture
        .block_on(store.search(&scope, &plan, Some(100), 1_000))?
        .records
        .iter()
        .map(|r| r.sequence)
        .collect();
    let mut dropped = 0;
    loop {
        let some = fixture.block_on(store.drop_bodies(&scope, &Drop::new(&plan, before, 15)))?;
        same("at most so many", &(some <= 15), &true)?;
        dropped += some;
        if some == 0 {
            break;
        }
    }
    same("as many as were found", &usize::try_from(dropped).ok(), &Some(low.len()))?;
    let kept: Vec<_> = all
        .into_iter()
        .map(|mut record| {
            if low.contains(&record.sequence) {
                record.body = None;
            }
            record
        })
        .collect();
    same("the records", &fixture.block_on(store.records(&scope, 0, 1_000))?, &kept)?;
    same("the head", &fixture.block_on(store.head(&scope))?, &head)?;
    same("the leaves", &fixture.block_on(store.leaves(&scope, 0, 1_000))?, &leaves)?;
    let left = fixture.block_on(store.search(&scope, &plan, Some(100), 1_000))?;
    same("found no more", &left.records.len(), &0)?;
    let all = fixture.block_on(store.count(&scope, &Plan::All, None))?;
    same("counted no more", &all, &Count::Exact(200 - dropped))
}

/// What was decided with other holds than there are drops nothing.
///
/// # Errors
/// When the store breaks the law.
pub fn a_drop_that_does_not_know_the_holds_drops_nothing(fixture: &impl Fixture) -> Verdict {
    let (store, scope) = (fixture.store(), scope("held")?);
    let drafts = Sample::new(9).drafts(5)?;
    fixture.block_on(store.append(&[Batch::new(&scope, &drafts)], Sample::start()))?;
    let later = Sample::start() + TimeDelta::days(1);
    let hold = Note::new("case", vec![1]);
    fixture.block_on(store.put_note(&scope, NoteKind::Hold, &hold))?;
    let outdated =
        fixture.block_on(store.drop_bodies(&scope, &Drop::new(&Plan::All, later, 9).with_holds(&[])));
    let kind = outdated.map_err(|error| error.kind());
    same("a drop without the hold", &kind, &Err(guardian_core::StoreErrorKind::Conflict))?;
    same("nothing dropped", &fixture.block_on(store.count(&scope, &Plan::All, None))?, &Count::Exact(5))?;
    let holds = [hold];
    let known = Drop::new(&Plan::All, later, 2).with_holds(&holds);
    same("a drop that knows it", &fixture.block_on(store.drop_bodies(&scope, &known))?, &2)
}

/// Notes are kept by kind and name, listed in the order of their names, replaced and removed.
///
/// # Errors
/// When the store breaks the law.
pub fn notes_are_kept_by_name(fixture: &impl Fixture) -> Verdict {
    let (store, scope) = (fixture.store(), scope("notes")?);
    let note = |name: &str, byte: u8| Note::new(name, vec![byte; 3]);
    for one in [note("b", 1), note("a", 2), note("c", 3), note("a", 4)] {
        fixture.block_on(store.put_note(&scope, NoteKind::Checkpoint, &one))?;
    }
    fixture.block_on(store.put_note(&scope, NoteKind::Hold, &note("z", 5)))?;
    let wanted = vec![note("a", 4), note("b", 1), note("c", 3)];
    same("the notes", &fixture.block_on(store.notes(&scope, NoteKind::Checkpoint))?, &wanted)?;
    same("removed", &fixture.block_on(store.remove_note(&scope, NoteKind::Checkpoint, "b"))?, &true)?;
    same("removed again", &fixture.block_on(store.remove_note(&scope, NoteKind::Checkpoint, "b"))?, &false)?;
    let wanted = vec![note("a", 4), note("c", 3)];
    same("what is left", &fixture.block_on(store.notes(&scope, NoteKind::Checkpoint))?, &wanted)?;
    same("the other kind", &fixture.block_on(store.notes(&scope, NoteKind::Hold))?, &vec![note("z", 5)])
}

/// A checkpoint is written only behind the one that was the last when it was made, with the state of its key.
///
/// # Errors
/// When the store breaks the law.
pub fn a_checkpoint_follows_the_last_one(fixture: &impl Fixture) -> Verdict {
    let (store, scope) = (fixture.store(), scope("checkpoints")?);
    let note = |name: &str, byte: u8| Note::new(name, vec![byte; 3]);
    let put = |last: Option<&str>, one: &Note, state: Option<&Note>| {
        fixture.block_on(store.put_checkpoint(&scope, last, one, state))
    };
    same("behind one that is not there", &put(Some("0"), &note("1", 1), Some(&note("key", 1)))?, &false)?;
    same("the first", &put(None, &note("1", 1), Some(&note("key", 2)))?, &true)?;
    same("another first", &put(None, &note("2", 2), Some(&note("key", 3)))?, &false)?;
    same("the next", &put(Some("1"), &note("2", 2), Some(&note("key", 4)))?, &true)?;
    same("behind an old one", &put(Some("1"), &note("3", 3), None)?, &false)?;
    same("the same again", &put(Some("2"), &note("2", 5), None)?, &true)?;
    let wanted = vec![note("1", 1), note("2", 5)];
    same("the checkpoints", &fixture.block_on(store.notes(&scope, NoteKind::Checkpoint))?, &wanted)?;
    same("the state", &fixture.block_on(store.notes(&scope, NoteKind::Seal))?, &vec![note("key", 4)])?;
    let head = fixture.block_on(store.head(&scope))?;
    same("the log is as it was", &head.size, &0)
}

/// Of all who make the next checkpoint at once, one does.
///
/// # Errors
/// When the store breaks the law.
pub fn racing_checkpoints_make_one_chain(fixture: &impl Fixture) -> Verdict {
    const ROUNDS: usize = 8;
    let (store, scope) = (fixture.store(), scope("racing")?);
    let mut last: Option<String> = None;
    for round in 0..ROUNDS {
        let written = std::thread::scope(|threads| {
            let race = |racer: usize| {
                let (store, scope, last) = (&store, &scope, last.as_deref());
                threads.spawn(move || {
                    let one = Note::new(format!("{round}-{racer}"), vec![1]);
                    fixture.block_on(store.put_checkpoint(scope, last, &one, None)).map(|done| (done, one))
                })
            };
            let racers: Vec<_> = (0..4).map(race).collect();
            let ended = racers.into_iter().map(|racer| {
                racer.join().map_err(|_| Violation::new("a thread panicked"))?.map_err(Violation::from)
            });
            ended.collect::<Result<Vec<_>, _>>()
        })?;
        let done: Vec<_> = written.into_iter().filter(|(done, _)| *done).map(|(_, one)| one.name).collect();
        same(format!("written in round {round}"), &done.len(), &1)?;
        last = done.into_iter().next();
    }
    same("all", &fixture.block_on(store.notes(&scope, NoteKind::Checkpoint))?.len(), &ROUNDS)
}
