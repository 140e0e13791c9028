//! The steps of an append: places for the drafts, one write to the journal, and the index in memory.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use guardian_core::TenantId;
use parking_lot::RwLock;
use uuid::Uuid;

use super::journal;
use super::log::Log;
use super::number::wide;
use super::tenant::{self, Heading, TenantLog};
use crate::store::{Batch, Draft, Placed};

/// So many bytes of bodies, or events, go to the journal at once.
const TOGETHER: (usize, usize) = (4 << 20, 8_192);

/// How many of the first batches are written together; at least one.
pub(super) fn together(batches: &[Batch<'_>]) -> usize {
    let (mut bytes, mut events) = (0, 0);
    let fits = |batch: &&Batch<'_>| {
        bytes += batch.drafts.iter().map(|draft| draft.body.len()).sum::<usize>();
        events += batch.drafts.len();
        bytes <= TOGETHER.0 && events <= TOGETHER.1
    };
    batches.iter().take_while(fits).count().max(1)
}

/// What an append does, first as a whole to the journal and then, when that has it, to the logs.
pub(super) struct Steps<'b> {
    now: i64,
    logs: Vec<Open<'b>>,
    /// Where the log of a tenant is in `logs`.
    index: HashMap<&'b TenantId, usize, RandomState>,
    /// The ids that are new in this append, by log, and where their events will be.
    ids: HashMap<(usize, Uuid), u64, RandomState>,
    new: Vec<&'b Draft>,
    /// The batches that have something new.
    runs: Vec<Run>,
}

/// A log that something is appended to.
struct Open<'b> {
    tenant: &'b TenantId,
    log: Arc<RwLock<TenantLog>>,
    next: u64,
    recorded: i64,
}

/// New events of one batch, in a row.
struct Run {
    log: usize,
    base: u64,
    new: Range<usize>,
}

/// What was added to the memory.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) events: usize,
    /// Of bodies and terms.
    pub(super) bytes: usize,
}

impl<'b> Steps<'b> {
    pub(super) fn new(now: i64) -> Self {
        Self {
            now,
            logs: Vec::new(),
            index: HashMap::default(),
            ids: HashMap::default(),
            new: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Whether nothing is new.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Gives each draft of a batch its place. Nobody else appends meanwhile.
    pub(super) fn place(
        &mut self,
        batch: &Batch<'b>,
        open: impl FnOnce(&TenantId) -> Arc<RwLock<TenantLog>>,
    ) -> io::Result<Vec<Placed>> {
        let tenant = batch.scope.tenant();
        let at = match self.index.get(tenant) {
            Some(at) => *at,
            None => {
                let log = open(tenant);
                let (next, recorded) = {
                    let log = log.read();
                    (log.next(), log.recorded_at(self.now))
                };
                self.logs.push(Open { tenant, log, next, recorded });
                self.index.insert(tenant, self.logs.len() - 1);
                self.logs.len() - 1
            }
        };
        let Some(Open { log, next, recorded, .. }) = self.logs.get_mut(at) else { return Ok(Vec::new()) };
        let (base, first, time) = (*next, self.new.len(), tenant::time(*recorded));
        let mut placed = Vec::with_capacity(batch.drafts.len());
        self.ids.reserve(batch.drafts.len());
        let log = log.read();
        for draft in batch.drafts {
            let known = match self.ids.get(&(at, draft.id)) {
                Some(place) => Some(Placed::new(*place, time, true)),
                None => log.place_of(draft.id)?,
            };
            placed.push(known.unwrap_or_else(|| {
                let sequence = *next;
                *next += 1;
                self.ids.insert((at, draft.id), sequence);
                self.new.push(draft);
                Placed::new(sequence, time, false)
            }));
        }
        if self.new.len() > first {
            self.runs.push(Run { log: at, base, new: first..self.new.len() });
        }
        Ok(placed)
    }

    fn of(&self, run: &Run) -> Option<(&Open<'b>, &[&'b Draft])> {
        Some((self.logs.get(run.log)?, self.new.get(run.new.clone())?))
    }

    /// Writes what is new to the journal; after an error nothing of it is there.
    pub(super) fn write(&self, journal: &mut Log) -> io::Result<()> {
        for run in &self.runs {
            let Some((open, new)) = self.of(run) else { continue };
            journal.stage(|out| {
                journal::write(out, open.tenant, run.base, open.recorded, new.iter().copied());
            })?;
        }
        if self.runs.is_empty() { Ok(()) } else { journal.write_staged() }
    }

    /// Puts what the journal has into the logs; `touched` is told whose log had nothing in memory.
    pub(super) fn push(&self, mut touched: impl FnMut(&TenantId)) -> Taken {
        let mut taken = Taken::default();
        for run in &self.runs {
            let Some((open, new)) = self.of(run) else { continue };
            let mut heading = Heading::new(open.tenant, open.recorded);
            let mut log = open.log.write();
            if log.hot.is_empty() {
                touched(open.tenant);
            }
            for (draft, sequence) in new.iter().zip(run.base..) {
                log.push(heading.at(sequence), open.recorded, draft);
                taken.bytes += draft.body.len() + draft.terms.size();
            }
            taken.events += new.len();
        }
        debug_assert!(taken.events == self.new.len() && wide(taken.events) > 0);
        taken
    }
}
