use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use chrono::DateTime;
use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId, Timestamp};
use parking_lot::RwLock;
use uuid::Uuid;

use super::tally::Tally;
use super::{AuditStore, Batch, Count, Draft, Drop, Facet, Found, Head, Note, NoteKind, Placed, Record};
use crate::canonical;
use crate::dimension::Dimension;
use crate::plan::{Candidate, Plan};
use crate::terms::Terms;

/// Keeps logs in memory and searches them event by event: for tests and demos, and as the plain meaning that the other
/// stores are held against. A search takes time in proportion to the tenant's log.
///
/// ```
/// use guardian_audit::store::MemoryStore;
///
/// let store = MemoryStore::new();
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore {
    logs: RwLock<HashMap<TenantId, Log>>,
}

#[derive(Debug, Default)]
struct Log {
    events: Vec<Stored>,
    places: HashMap<Uuid, usize>,
    notes: BTreeMap<(NoteKind, String), Vec<u8>>,
}

#[derive(Debug)]
struct Stored {
    recorded: Timestamp,
    leaf: [u8; 32],
    /// Gone once it was dropped.
    draft: Option<Draft>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn read<T>(&self, scope: &Scope, look: impl FnOnce(&Log) -> T) -> T {
        let logs = self.logs.read();
        match logs.get(scope.tenant()) {
            Some(log) => look(log),
            None => look(&Log::default()),
        }
    }
}

impl Log {
    fn append(&mut self, tenant: &TenantId, draft: &Draft, now: Timestamp) -> Placed {
        if let Some(&at) = self.places.get(&draft.id)
            && let Some(stored) = self.events.get(at)
        {
            return Placed::new(sequence(at), stored.recorded, true);
        }
        let at = self.events.len();
        let recorded = self.events.last().map_or(now, |last| last.recorded.max(now));
        let mut record = canonical::heading(tenant, sequence(at), recorded);
        record.extend_from_slice(&draft.body);
        let leaf = crate::merkle::leaf_hash(&record);
        self.events.push(Stored { recorded, leaf: leaf.into(), draft: Some(draft.clone()) });
        self.places.insert(draft.id, at);
        Placed::new(sequence(at), recorded, false)
    }

    fn notes(&self, kind: NoteKind) -> Vec<Note> {
        let of_kind = self.notes.iter().filter(|((other, _), _)| *other == kind);
        of_kind.map(|((_, name), bytes)| Note::new(name.clone(), bytes.clone())).collect()
    }

    /// The events that the plan finds, newest first.
    fn found<'a>(&'a self, plan: &'a Plan) -> impl DoubleEndedIterator<Item = (u64, &'a Stored, &'a Draft)> {
        self.events.iter().enumerate().rev().filter_map(|(at, stored)| {
            let draft = stored.draft.as_ref()?;
            let micros = stored.recorded.timestamp_micros();
            let candidate = Candidate::new(&draft.terms, sequence(at), micros, draft.occurred);
            plan.finds(&candidate).then_some((sequence(at), stored, draft))
        })
    }
}

/// Places are counted up from 0: they fit.
fn sequence(at: usize) -> u64 {
    u64::try_from(at).unwrap_or(u64::MAX)
}

fn place(sequence: u64) -> usize {
    usize::try_from(sequence).unwrap_or(usize::MAX)
}

#[async_trait]
impl AuditStore for MemoryStore {
    async fn append(&self, batches: &[Batch<'_>], now: Timestamp) -> Result<Vec<Vec<Placed>>, StoreError> {
        let now = DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now);
        let mut logs = self.logs.write();
        let placed = batches.iter().map(|batch| {
            let tenant = batch.scope.tenant();
            let log = logs.entry(tenant.clone()).or_default();
            batch.drafts.iter().map(|draft| log.append(tenant, draft, now)).collect()
        });
        Ok(placed.collect())
    }

    async fn search(
        &self,
        scope: &Scope,
        plan: &Plan,
        before: Option<u64>,
        size: usize,
    ) -> Result<Found, StoreError> {
        Ok(self.read(scope, |log| {
            let older =
                log.found(plan).filter(|(sequence, ..)| before.is_none_or(|before| *sequence < before));
            let mut records: Vec<_> = older
                .take(size.saturating_add(1))
                .map(|(sequence, stored, draft)| {
                    Record::new(sequence, stored.recorded, Some(draft.body.clone()))
                })
                .collect();
            let more = records.len() > size;
            records.truncate(size);
            Found::new(records, more)
        }))
    }

    async fn count(&self, scope: &Scope, plan: &Plan, limit: Option<u64>) -> Result<Count, StoreError> {
        let most = limit.map_or(usize::MAX, place);
        let count = self.read(scope, |log| sequence(log.found(plan).take(most).count()));
        Ok(match limit {
            Some(limit) if count >= limit => Count::AtLeast(limit),
            _ => Count::Exact(count),
        })
    }

    async fn facets(
        &self,
        scope: &Scope,
        plan: &Plan,
        dimension: Dimension,
        top: usize,
    ) -> Result<Vec<Facet>, StoreError> {
        let codes: Vec<char> = dimension.parts().into_iter().filter_map(Dimension::code).collect();
        let mut tally = Tally::new(dimension, top);
        self.read(scope, |log| {
            for (_, _, draft) in log.found(plan) {
                values(&draft.terms, &codes).for_each(|value| tally.add(value, 1));
            }
        });
        tally.finish("memory")
    }

    async fn histogram(&self, scope: &Scope, plan: &Plan, edges: &[i64]) -> Result<Vec<u64>, StoreError> {
        let mut counts = vec![0; edges.len().saturating_sub(1)];
        self.read(scope, |log| {
            for (_, stored, _) in log.found(plan) {
                let micros = stored.recorded.timestamp_micros();
                let after = edges.partition_point(|edge| *edge <= micros);
                if let Some(count) = after.checked_sub(1).and_then(|bucket| counts.get_mut(bucket)) {
                    *count += 1;
                }
            }
        });
        Ok(counts)
    }

    async fn records(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<Record>, StoreError> {
        Ok(self.read(scope, |log| {
            let stored = log.events.iter().enumerate().skip(place(from)).take(size);
            let record = |(at, stored): (usize, &Stored)| {
                Record::new(
                    sequence(at),
                    stored.recorded,
                    stored.draft.as_ref().map(|draft| draft.body.clone()),
                )
            };
            stored.map(record).collect()
        }))
    }

    async fn leaves(&self, scope: &Scope, from: u64, size: usize) -> Result<Vec<[u8; 32]>, StoreError> {
        Ok(self.read(scope, |log| log.events.iter().skip(place(from)).take(size).map(|e| e.leaf).collect()))
    }

    async fn head(&self, scope: &Scope) -> Result<Head, StoreError> {
        Ok(self.read(scope, |log| {
            let mut frontier = crate::merkle::Frontier::new();
            for stored in &log.events {
                frontier.append(stored.leaf.into());
            }
            let recorded = log.events.last().map(|last| last.recorded);
            Head::new(sequence(log.events.len()), frontier.root().into(), recorded)
        }))
    }

    async fn drop_bodies(&self, scope: &Scope, drop: &Drop<'_>) -> Result<u64, StoreError> {
        let mut logs = self.logs.write();
        let Some(log) = logs.get_mut(scope.tenant()) else { return Ok(0) };
        if !drop.knows(&log.notes(NoteKind::Hold)) {
            return Err(StoreError::new(StoreErrorKind::Conflict, "memory"));
        }
        let old: Vec<usize> = log
            .found(drop.plan)
            .rev()
            .filter(|(_, stored, _)| stored.recorded < drop.before)
            .take(place(drop.limit))
            .map(|(sequence, ..)| place(sequence))
            .collect();
        for at in &old {
            if let Some(stored) = log.events.get_mut(*at) {
                stored.draft = None;
            }
        }
        Ok(sequence(old.len()))
    }

    async fn put_note(&self, scope: &Scope, kind: NoteKind, note: &Note) -> Result<(), StoreError> {
        let mut logs = self.logs.write();
        let log = logs.entry(scope.tenant().clone()).or_default();
        log.notes.insert((kind, note.name.clone()), note.bytes.clone());
        Ok(())
    }

    async fn notes(&self, scope: &Scope, kind: NoteKind) -> Result<Vec<Note>, StoreError> {
        Ok(self.read(scope, |log| log.notes(kind)))
    }

    async fn remove_note(&self, scope: &Scope, kind: NoteKind, name: &str) -> Result<bool, StoreError> {
        let mut logs = self.logs.write();
        let log = logs.get_mut(scope.tenant());
        Ok(log.and_then(|log| log.notes.remove(&(kind, name.to_owned()))).is_some())
    }

    async fn put_checkpoint(
        &self,
        scope: &Scope,
        last: Option<&str>,
        checkpoint: &Note,
        state: Option<&Note>,
    ) -> Result<bool, StoreError> {
        let mut logs = self.logs.write();
        let log = logs.entry(scope.tenant().clone()).or_default();
        let mut checkpoints = log.notes.keys().filter(|(kind, _)| *kind == NoteKind::Checkpoint);
        if checkpoints.next_back().map(|(_, name)| name.as_str()) != last {
            return Ok(false);
        }
        for (kind, note) in [(NoteKind::Checkpoint, Some(checkpoint)), (NoteKind::Seal, state)] {
            if let Some(note) = note {
                log.notes.insert((kind, note.name.clone()), note.bytes.clone());
            }
        }
        Ok(true)
    }
}

/// The values of an event in the dimensions of these codes.
pub(crate) fn values<'a>(terms: &'a Terms, codes: &[char]) -> impl Iterator<Item = &'a str> {
    let mut seen: Vec<&str> = terms.iter().filter(|term| term.starts_with(codes)).collect();
    seen.sort_unstable();
    seen.dedup();
    seen.into_iter().filter_map(|term| term.get(1..))
}
