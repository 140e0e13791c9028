//! A run in the hands of a worker.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use guardian_core::{Scope, StoreError, Timestamp};
use parking_lot::Mutex;
use serde_json::Value;
use uuid::Uuid;

use crate::action::Failure;
use crate::error::Error;
use crate::machine::state::RunState;
use crate::machine::{Effect, Entry, Machine, Message, Plans};
use crate::plan::Plan;
use crate::store::{Checkpoint, Continue, Performed};

/// An attempt: the token, the visit to its node, and the number of the attempt; 0 for the definition of a sub-workflow.
pub(super) type Attempt = (u32, u64, u32);

/// What a future of a run came to.
pub(super) enum Done {
    Attempt { attempt: Attempt, result: Result<Value, Failure> },
    Loaded { attempt: Attempt, found: Result<(u64, Arc<Plan>), Error> },
    Performed { attempt: Attempt, result: Result<Performed, StoreError>, moved: Option<Box<Moved>> },
    Migrated { attempt: Attempt, version: u64, found: Result<Arc<Plan>, Error> },
}

pub(super) type Doing = Pin<Box<dyn Future<Output = (usize, Done)> + Send>>;

/// A run in the hands of the worker.
pub(super) struct Held {
    pub(super) scope: Scope,
    pub(super) run: Uuid,
    pub(super) fence: i64,
    /// Until when it was said to be held; a checkpoint says so again only when less than the lease is left.
    until: Option<Timestamp>,
    /// The version and the number of the last message, as they are stored.
    kept: (u64, i64),
    pub(super) state: RunState,
    pub(super) plans: Plans,
    entries: Vec<Entry>,
    pub(super) effects: Vec<Effect>,
    /// Whether more is to do at once after the state was kept.
    pub(super) more: bool,
    /// Futures that are not done.
    pub(super) going: u32,
    /// The attempts that are under way or wait for their turn. What is asked for again, as after a pause, is not done twice.
    asked: Vec<Attempt>,
    /// Whether a transaction is under way, during which nothing else may change the state.
    pub(super) busy: bool,
    /// What was done meanwhile.
    pub(super) later: VecDeque<Done>,
    /// Transactional effects that wait for their turn.
    pub(super) transactional: VecDeque<Effect>,
}

/// What a run became within a transaction.
pub(super) struct Moved {
    state: RunState,
    plans: Plans,
    effects: Vec<Effect>,
    more: bool,
    until: Option<Timestamp>,
}

impl Held {
    /// A run as it is stored, held until then.
    pub(super) fn new(
        scope: Scope,
        run: Uuid,
        fence: i64,
        until: Option<Timestamp>,
        state: RunState,
        plans: Plans,
    ) -> Self {
        Self {
            scope,
            run,
            fence,
            until,
            kept: (state.version(), state.seen),
            state,
            plans,
            entries: Vec::new(),
            effects: Vec::new(),
            more: false,
            going: 0,
            asked: Vec::new(),
            busy: false,
            later: VecDeque::new(),
            transactional: VecDeque::new(),
        }
    }

    /// Has the interpreter do something with the run, and lets it go on.
    pub(super) fn drive(&mut self, now: Timestamp, first: impl FnOnce(&mut Machine<'_>)) {
        let mut machine = Machine {
            run: self.run,
            state: &mut self.state,
            plans: &mut self.plans,
            now,
            entries: &mut self.entries,
            effects: &mut self.effects,
            turns: VecDeque::new(),
        };
        first(&mut machine);
        machine.ring();
        self.more = machine.advance();
    }

    pub(super) fn take(machine: &mut Machine<'_>, messages: Vec<(i64, Message)>) {
        for (number, message) in messages {
            if number > machine.state.seen {
                machine.state.seen = number;
                machine.take(message);
                machine.settle();
            }
        }
    }

    /// The attempt that an effect is, unless it was asked for already and is not over.
    pub(super) fn ask(&mut self, effect: &Effect) -> Option<Attempt> {
        let attempt = match effect {
            Effect::Call { token, visit, attempt } => (*token, *visit, *attempt),
            Effect::Load { token, visit, .. } => (*token, *visit, 0),
            // Tokens have numbers from 1.
            Effect::Migrate { version } => (0, *version, 0),
        };
        if self.asked.contains(&attempt) {
            return None;
        }
        self.asked.push(attempt);
        Some(attempt)
    }

    /// An attempt is over.
    pub(super) fn over(&mut self, attempt: Attempt) {
        self.asked.retain(|each| *each != attempt);
    }

    pub(super) fn apply(&mut self, now: Timestamp, done: Done) {
        self.drive(now, |machine| {
            match done {
                Done::Attempt { attempt: (token, visit, attempt), result } => {
                    machine.attempted(token, visit, attempt, result);
                }
                Done::Loaded { attempt: (token, visit, _), found } => {
                    let found = found.map_err(|error| Failure::new("unknown_workflow", error.to_string()));
                    machine.loaded(token, visit, found);
                }
                Done::Migrated { version, found, .. } => machine.migrated(version, found.ok()),
                Done::Performed { .. } => {}
            }
            machine.settle();
        });
    }

    /// Does with what came during a transaction; whether anything changed.
    pub(super) fn catch_up(&mut self, now: Timestamp, messages: Vec<(i64, Message)>) -> bool {
        let mut changed = false;
        while let Some(later) = self.later.pop_front() {
            changed = true;
            self.apply(now, later);
        }
        if !messages.is_empty() {
            changed = true;
            self.drive(now, |machine| Self::take(machine, messages));
        }
        if self.more && !changed {
            changed = true;
            self.drive(now, |_| {});
        }
        changed
    }

    /// Takes over what the run became within a transaction.
    pub(super) fn follow(&mut self, moved: Moved) {
        (self.state, self.plans, self.until) = (moved.state, moved.plans, moved.until);
        self.kept = (self.state.version(), self.state.seen);
        self.effects.extend(moved.effects);
        self.more = moved.more;
    }

    /// Whether somebody has to stay with the run.
    pub(super) fn stays(&self) -> bool {
        self.more || self.going > 0 || self.busy || !self.effects.is_empty() || !self.transactional.is_empty()
    }

    /// What is to be kept of the run now.
    pub(super) fn checkpoint(&mut self, now: Timestamp, until: Timestamp) -> Checkpoint {
        let stays = self.stays();
        let left = |end: Timestamp| end.signed_duration_since(now);
        // What begins now has the whole of the lease before it.
        let said = self.until.filter(|said| left(*said) * HOLDS.0 >= left(until) * HOLDS.1);
        let until_then = said.unwrap_or(until);
        self.until = Some(until_then);
        let before = std::mem::replace(&mut self.kept, (self.state.version(), self.state.seen));
        Checkpoint {
            tenant: self.scope.tenant().clone(),
            run: self.run,
            fence: self.fence,
            state: self.state.clone(),
            entries: std::mem::take(&mut self.entries),
            due: self.state.due(now, Machine::run_time_ends(&self.state, &self.plans)),
            held: stays.then_some(until_then),
            state_only: stays && said.is_some() && before.0 == self.kept.0,
            took: before.1 != self.kept.1,
            now,
        }
    }
}

/// Goes on with a run behind a transactional action.
pub(super) struct Next {
    scope: Scope,
    run: Uuid,
    fence: i64,
    until: Option<Timestamp>,
    state: RunState,
    plans: Plans,
    attempt: Attempt,
    going: bool,
    clock: Arc<dyn guardian_core::Clock>,
    lease: Duration,
    moved: Mutex<Option<Moved>>,
}

impl Next {
    pub(super) fn new(
        held: &Held,
        attempt: Attempt,
        clock: Arc<dyn guardian_core::Clock>,
        lease: Duration,
    ) -> Self {
        Self {
            scope: held.scope.clone(),
            run: held.run,
            fence: held.fence,
            until: held.until,
            state: held.state.clone(),
            plans: held.plans.clone(),
            attempt,
            going: held.going > 0 || !held.transactional.is_empty(),
            clock,
            lease,
            moved: Mutex::new(None),
        }
    }

    pub(super) fn moved(self) -> Option<Box<Moved>> {
        self.moved.into_inner().map(Box::new)
    }
}

impl Continue for Next {
    fn checkpoint(&self, result: Result<Value, Failure>) -> Checkpoint {
        let now = self.clock.now();
        let (scope, state, plans) = (self.scope.clone(), self.state.clone(), self.plans.clone());
        let mut held = Held::new(scope, self.run, self.fence, self.until, state, plans);
        held.apply(now, Done::Attempt { attempt: self.attempt, result });
        held.busy = self.going;
        let checkpoint = held.checkpoint(now, lease_end(now, self.lease));
        let Held { state, plans, effects, more, until, .. } = held;
        *self.moved.lock() = Some(Moved { state, plans, effects, more, until });
        checkpoint
    }
}

/// A run is held for three halves of the lease, and anew as soon as less than the lease is left: an action has all of it before it,
/// whenever it begins, and most checkpoints need not say until when.
const HOLDS: (i32, i32) = (3, 2);

/// Until when a run is held from now on.
pub(super) fn lease_end(now: Timestamp, lease: Duration) -> Timestamp {
    let held = lease.saturating_mul(HOLDS.0.unsigned_abs()) / HOLDS.1.unsigned_abs();
    now.checked_add_signed(chrono::TimeDelta::from_std(held).unwrap_or(chrono::TimeDelta::MAX))
        .unwrap_or(Timestamp::MAX_UTC)
}
