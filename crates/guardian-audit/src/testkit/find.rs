use chrono::TimeDelta;

use super::{Fixture, QUERIES, Sample, Verdict, same, scope};
use crate::dimension::Dimension;
use crate::plan::Plan;
use crate::query::Query;
use crate::store::{AuditStore, Batch, Count, MemoryStore, Record};

/// How many events are compared.
const EVENTS: usize = 300;

/// A store and the plain model, with the same events.
fn filled<F: Fixture>(fixture: &F, tenant: &str) -> Result<(F::Store, MemoryStore), super::Violation> {
    let (store, model, scope) = (fixture.store(), MemoryStore::new(), scope(tenant)?);
    let drafts = Sample::new(5).drafts(EVENTS)?;
    for (hours, part) in (0..).map(|batch| batch * 4).zip(drafts.chunks(11)) {
        let now = Sample::start() + TimeDelta::hours(hours);
        let batches = [Batch::new(&scope, part)];
        fixture.block_on(store.append(&batches, now))?;
        fixture.block_on(model.append(&batches, now))?;
    }
    Ok((store, model))
}

fn plans() -> Result<Vec<(&'static str, Plan)>, super::Violation> {
    let blind = |_: Dimension, _: &str| None;
    QUERIES.iter().map(|text| Ok((*text, Plan::compile(&text.parse::<Query>()?, &blind)))).collect()
}

/// Every query finds the events that it means, newest first, whatever the size of a page.
///
/// # Errors
/// When the store breaks the law.
pub fn a_search_finds_what_the_plain_meaning_finds(fixture: &impl Fixture) -> Verdict {
    let (store, model) = filled(fixture, "find")?;
    let scope = scope("find")?;
    let mut some = 0;
    for (query, plan) in plans()? {
        let wanted = fixture.block_on(model.search(&scope, &plan, None, EVENTS))?.records;
        some += usize::from(!wanted.is_empty());
        for size in [1, 7, 50, EVENTS] {
            let mut found: Vec<Record> = Vec::new();
            loop {
                let before = found.last().map(|record| record.sequence);
                let page = fixture.block_on(store.search(&scope, &plan, before, size))?;
                same(format!("`{query}`: a page within its size"), &(page.records.len() <= size), &true)?;
                let full = page.records.len() == size;
                found.extend(page.records);
                if !page.more {
                    break;
                }
                same(format!("`{query}`: a page before the last is full"), &full, &true)?;
                if size == 1 && found.len() == 20 {
                    break;
                }
            }
            let wanted = if size == 1 { wanted.get(..20).unwrap_or(&wanted) } else { &wanted };
            same(format!("`{query}` in pages of {size}"), &found, &wanted.to_vec())?;
        }
    }
    same("most queries find something", &(some > QUERIES.len() * 3 / 4), &true)
}

/// Counts, facets and histograms say what a search of everything would show.
///
/// # Errors
/// When the store breaks the law.
pub fn counts_facets_and_histograms_agree_with_searches(fixture: &impl Fixture) -> Verdict {
    let (store, model) = filled(fixture, "count")?;
    let scope = scope("count")?;
    let day = |days| (Sample::start() + TimeDelta::days(days)).timestamp_micros();
    let edges: Vec<i64> = (1..5).map(day).collect();
    for (query, plan) in plans()? {
        for limit in [None, Some(10), Some(1)] {
            let wanted = fixture.block_on(model.count(&scope, &plan, limit))?;
            let found = fixture.block_on(store.count(&scope, &plan, limit))?;
            same(format!("`{query}` counted up to {limit:?}"), &found, &wanted)?;
        }
        for dimension in [Dimension::Action, Dimension::Country, Dimension::Actor, Dimension::Risk] {
            let wanted = fixture.block_on(model.facets(&scope, &plan, dimension, 3))?;
            let found = fixture.block_on(store.facets(&scope, &plan, dimension, 3))?;
            same(format!("`{query}` by {dimension}"), &found, &wanted)?;
        }
        let wanted = fixture.block_on(model.histogram(&scope, &plan, &edges))?;
        let found = fixture.block_on(store.histogram(&scope, &plan, &edges))?;
        same(format!("`{query}` by days"), &found, &wanted)?;
    }
    same("all", &fixture.block_on(store.count(&scope, &Plan::All, None))?, &Count::Exact(300))
}

/// Whoever pages through a list while others write sees each event that was there at the start once, and no other.
///
/// # Errors
/// When the store breaks the law.
pub fn pages_show_each_event_once_while_others_write(fixture: &impl Fixture) -> Verdict {
    let (store, _) = filled(fixture, "pages")?;
    let scope = scope("pages")?;
    let plan = Plan::compile(&"risk:low".parse()?, &|_, _| None);
    let wanted = fixture.block_on(store.search(&scope, &plan, None, EVENTS))?.records;
    let mut sample = Sample::new(6);
    let mut found: Vec<Record> = Vec::new();
    loop {
        let before = found.last().map(|record| record.sequence);
        let page = fixture.block_on(store.search(&scope, &plan, before, 9))?;
        found.extend(page.records);
        if !page.more {
            break;
        }
        let drafts = sample.drafts(6)?;
        let now = Sample::start() + TimeDelta::days(9);
        fixture.block_on(store.append(&[Batch::new(&scope, &drafts)], now))?;
    }
    same("what was there at the start", &found, &wanted)
}
