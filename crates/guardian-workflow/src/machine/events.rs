//! What comes from outside: results of actions, timers, messages.

use std::sync::Arc;

use guardian_core::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::state::{Frame, JoinKind, JoinState, Phase, Status, Undo, weight};
use super::{Effect, MAX_INBOX, Machine, Message, Turn};
use crate::action::Failure;
use crate::definition::{Jitter, Retry, Span, knows};
use crate::plan::{ActionStep, Op, Plan, Step};
use crate::template;

/// Attempts at a compensation; what cannot be undone then is left, and said in the history.
const UNDO_ATTEMPTS: u32 = 5;

impl Machine<'_> {
    /// An attempt at an action ended. One that nobody waits for any more is ignored.
    pub(crate) fn attempted(&mut self, id: u32, visit: u64, attempt: u32, result: Result<Value, Failure>) {
        let Some(token) = self.state.token_mut(id) else { return };
        if token.visit != visit || token.attempt != attempt {
            return;
        }
        let Phase::Running { params, deadline } = &mut token.phase else { return };
        let (params, deadline) = (std::mem::take(params), *deadline);
        let late = deadline.is_some_and(|deadline| self.now > deadline);
        let result = if late { Err(Failure::new("timeout", "the action took too long")) } else { result };
        let result = result.and_then(Self::keepable);
        if token.undo.is_some() {
            return self.undone(id, params, result);
        }
        let Some((plan, at)) = self.place(id) else { return };
        let Some(step) = plan.step(at) else { return };
        let Op::Action(action) = &step.op else { return };
        match result {
            Ok(value) => {
                if let Err(failure) = self.succeeded(id, step, action, params, value) {
                    self.turns.push_back(Turn::Raise(id, failure));
                }
            }
            Err(failure) => self.missed(id, step, action, params, failure.at(&step.id)),
        }
    }

    fn succeeded(
        &mut self,
        id: u32,
        step: &Step,
        action: &ActionStep,
        params: Value,
        value: Value,
    ) -> Result<(), Failure> {
        let kept = if action.output.is_some() { value.clone() } else { Value::Null };
        let outcome = if action.compensate.is_some() { value.clone() } else { Value::Null };
        self.record(id, step, |entry| {
            entry.input = params;
            entry.output = value;
        });
        if let Some(output) = &action.output {
            self.assign(id, output, kept)?;
        }
        if let Some((undo, params)) = &action.compensate {
            // From here on there is something to undo; if what it is given cannot be computed, that is a failure too.
            let params = self.see(id, Some(("outcome", &outcome)), |context, plan| {
                params.evaluate(context, Self::budget(plan), &mut 0)
            })?;
            self.state.undo.push(Undo { node: Arc::clone(&step.id), action: Arc::clone(undo), params });
        }
        self.go(id, step.next);
        Ok(())
    }

    fn missed(&mut self, id: u32, step: &Step, action: &ActionStep, params: Value, failure: Failure) {
        let rule = action.retry.iter().find(|rule| knows(&rule.on, &failure.code));
        let Some(token) = self.state.token_mut(id) else { return };
        let attempt = token.attempt;
        match rule.filter(|rule| attempt < rule.attempts) {
            Some(rule) => {
                let wait = delay(rule, attempt, self.run, token.visit);
                token.phase = Phase::Backoff { params: params.clone(), until: wait.after(self.now) };
                self.record(id, step, |entry| {
                    entry.input = params;
                    entry.failure = Some(failure);
                });
            }
            None => self.failed(id, step, action.error, failure),
        }
    }

    /// An attempt to undo something ended.
    fn undone(&mut self, id: u32, params: Value, result: Result<Value, Failure>) {
        let Some(token) = self.state.token_mut(id) else { return };
        let attempt = token.attempt;
        let again = result.is_err() && attempt < UNDO_ATTEMPTS;
        if again {
            let wait = delay(&Retry::attempts(UNDO_ATTEMPTS), attempt, self.run, token.visit);
            token.phase = Phase::Backoff { params: params.clone(), until: wait.after(self.now) };
        }
        let node = token.undo.as_ref().map(|undo| Arc::clone(&undo.node));
        if let Some((plan, at)) = self.place(id)
            && let Some(step) = plan.step(at)
        {
            self.record(id, step, |entry| {
                entry.node = node.unwrap_or_else(|| Arc::clone(&entry.node));
                entry.port = Some("compensate".into());
                entry.input = params;
                match result {
                    Ok(value) => entry.output = value,
                    Err(failure) => entry.failure = Some(failure),
                }
            });
        }
        if !again {
            self.state.tokens.retain(|token| token.id != id);
            self.undo_next();
        }
    }

    /// The definition of a sub-workflow is there, or is not.
    pub(crate) fn loaded(&mut self, id: u32, visit: u64, found: Result<(u64, Arc<Plan>), Failure>) {
        let Some(token) = self.state.token_mut(id) else { return };
        if token.visit != visit {
            return;
        }
        let Phase::Loading { input } = &mut token.phase else { return };
        let input = std::mem::take(input);
        token.phase = Phase::Joining;
        let scope = token.scope;
        let Some((plan, at)) = self.place(id) else { return };
        let Some(step) = plan.step(at) else { return };
        let Op::Sub(sub) = &step.op else { return };
        let found = found.and_then(|(version, plan)| {
            let misfit = plan.input.as_ref().and_then(|schema| crate::schema::misfit(schema, &input));
            match misfit {
                Some(why) => Err(Failure::new("input", format!("the input does not fit: {why}"))),
                None => Ok((version, plan)),
            }
        });
        match found {
            Ok((version, plan)) => {
                let depth = self.state.scope(scope).map_or(0, |scope| scope.depth) + 1;
                let join = self.state.fresh();
                let kind = JoinKind::Sub;
                self.state.joins.push(JoinState::new(join, id, kind, 1));
                let name = Arc::clone(&sub.workflow);
                let opened = self.state.open(name, version, &plan, input, depth, Some(join), self.now);
                self.plans.add(opened, plan);
            }
            Err(failure) => self.failed(id, step, sub.error, failure),
        }
    }

    /// Lets timers ring that are due.
    pub(crate) fn ring(&mut self) {
        if self.state.paused || self.state.status.is_final() {
            return;
        }
        let now = self.now;
        let due: Vec<u32> = self
            .state
            .tokens
            .iter()
            .filter(|token| match &token.phase {
                Phase::Backoff { until, .. } | Phase::Sleeping { until } | Phase::Again { until } => {
                    *until <= now
                }
                Phase::Listening { until } | Phase::Approving { until, .. } => {
                    until.is_some_and(|until| until <= now)
                }
                _ => false,
            })
            .map(|token| token.id)
            .collect();
        for id in due {
            self.ring_at(id);
        }
    }

    fn ring_at(&mut self, id: u32) {
        let Some((plan, at)) = self.place(id) else { return };
        let Some(step) = plan.step(at) else { return };
        let now = self.now;
        let Some(token) = self.state.token_mut(id) else { return };
        match &mut token.phase {
            Phase::Backoff { params, .. } => {
                let params = std::mem::take(params);
                let deadline = match &step.op {
                    Op::Action(action) if token.undo.is_none() => action.timeout.map(|span| span.after(now)),
                    _ => None,
                };
                token.attempt += 1;
                token.entered = now;
                token.phase = Phase::Running { params, deadline };
                self.call(id);
            }
            Phase::Sleeping { .. } => {
                self.record(id, step, |_| {});
                self.go(id, step.next);
            }
            Phase::Again { .. } => {
                if let Op::Try { body, .. } = &step.op {
                    self.go(id, *body);
                }
            }
            Phase::Listening { .. } => {
                let late = match &step.op {
                    Op::Signal(signal) => signal.late,
                    _ => None,
                };
                self.too_late(id, step, late, "the signal did not come in time");
            }
            Phase::Approving { .. } => {
                let late = match &step.op {
                    Op::Approval(approval) => approval.late,
                    _ => None,
                };
                self.too_late(id, step, late, "nobody decided in time");
            }
            _ => {}
        }
    }

    fn too_late(&mut self, id: u32, step: &Step, late: Option<u32>, message: &str) {
        match late {
            Some(_) => {
                self.record(id, step, |entry| entry.port = Some("timeout".into()));
                self.go(id, late);
            }
            None => self.failed(id, step, None, Failure::new("timeout", message)),
        }
    }

    /// Whoever takes a run over asks again for what was going on when its state was kept.
    pub(crate) fn resume(&mut self) {
        if let Some(version) = self.state.migrating {
            self.effects.push(Effect::Migrate { version });
        }
        if self.state.paused {
            return;
        }
        let going: Vec<(u32, bool)> = self
            .state
            .tokens
            .iter()
            .filter_map(|token| match token.phase {
                Phase::Running { .. } => Some((token.id, true)),
                Phase::Loading { .. } => Some((token.id, false)),
                _ => None,
            })
            .collect();
        for (id, call) in going {
            if call { self.call(id) } else { self.load(id) }
        }
    }

    /// Takes a message in.
    pub(crate) fn take(&mut self, message: Message) {
        if self.state.status.is_final() {
            if let Message::RetryFrom { node } = message {
                self.retry_from(node.as_str());
            }
            return;
        }
        match message {
            Message::Signal { name, payload } => {
                self.state.inbox.push_back((name, payload));
                let listening: Vec<u32> = self
                    .state
                    .tokens
                    .iter()
                    .filter(|token| matches!(token.phase, Phase::Listening { .. }))
                    .map(|token| token.id)
                    .collect();
                for id in listening {
                    self.look_into_inbox(id);
                }
                self.check_inbox();
            }
            Message::Decide { node, approved, by, comment, approvers } => {
                self.decide(node.as_str(), approvers.as_ref(), approved, &by, &comment);
            }
            Message::Cancel { reason, compensate } => self.cancel(reason, compensate),
            Message::Pause => self.state.paused = true,
            Message::Resume => {
                if std::mem::take(&mut self.state.paused) {
                    self.resume();
                }
            }
            Message::RetryFrom { .. } => {}
            Message::Migrate { version } => {
                // Kept, so that whoever takes the run over does it.
                self.state.migrating = Some(version);
                self.effects.push(Effect::Migrate { version });
            }
        }
    }

    /// Signals that nobody waits for are kept, but not any number of them.
    fn check_inbox(&mut self) {
        let first = self.state.scopes.first().and_then(|scope| self.plans.get(scope.id));
        let most = first.map_or(u64::MAX, |plan| plan.limits.variable_bytes);
        let bytes: u64 =
            self.state.inbox.iter().map(|(name, payload)| name.len() as u64 + weight(payload)).sum();
        if self.state.inbox.len() > MAX_INBOX || bytes > most {
            let count = self.state.inbox.len();
            let message = format!("{count} signals with {bytes} bytes wait for somebody to listen");
            self.fail(Failure::new("limit.signals", message));
        }
    }

    /// The version to which the run goes over is there, or cannot be read.
    pub(crate) fn migrated(&mut self, version: u64, plan: Option<Arc<Plan>>) {
        if self.state.migrating != Some(version) {
            return;
        }
        self.state.migrating = None;
        if let Some(plan) = plan {
            // Who sent the message looked before; if the run has moved on meanwhile, it stays where it is.
            let _ = self.migrate(version, plan);
        }
    }

    /// Gives a token that listens the first signal that is for it.
    pub(super) fn look_into_inbox(&mut self, id: u32) {
        let Some((plan, at)) = self.place(id) else { return };
        let Some(step) = plan.step(at) else { return };
        let Op::Signal(signal) = &step.op else { return };
        let mut found = None;
        for (index, (name, payload)) in self.state.inbox.iter().enumerate() {
            if **name != *signal.name {
                continue;
            }
            let fits = match &signal.filter {
                None => Ok(true),
                Some(filter) => self.see(id, Some(("event", payload)), |context, plan| {
                    let outcome = filter.run(context, Self::budget(plan));
                    let value = outcome.value.map_err(|error| template::failure(filter, &error))?;
                    Ok(value.as_bool() == Some(true))
                }),
            };
            // A signal on which the filter fails is not the one that is waited for.
            if fits == Ok(true) {
                found = Some(index);
                break;
            }
        }
        let Some((_, payload)) = found.and_then(|index| self.state.inbox.remove(index)) else { return };
        let recorded = payload.clone();
        self.record(id, step, |entry| entry.output = recorded);
        let assigned = match &signal.output {
            Some(output) => self.assign(id, output, payload),
            None => Ok(()),
        };
        match assigned {
            Ok(()) => self.go(id, step.next),
            Err(failure) => self.turns.push_back(Turn::Raise(id, failure)),
        }
    }

    fn decide(&mut self, node: &str, of: Option<&Value>, approved: bool, by: &str, comment: &str) {
        let is_asked = |phase: &Phase| match phase {
            Phase::Approving { approvers, .. } => of.is_none_or(|of| of == approvers),
            _ => false,
        };
        let waiting = self.state.tokens.iter().find(|token| {
            is_asked(&token.phase)
                && self.plans.get(token.scope).is_some_and(|plan| &*plan.id(token.at) == node)
        });
        let Some(id) = waiting.map(|token| token.id) else { return };
        let Some((plan, at)) = self.place(id) else { return };
        let Some(step) = plan.step(at) else { return };
        let Op::Approval(approval) = &step.op else { return };
        let decision = serde_json::json!({ "approved": approved, "by": by, "comment": comment });
        if let Some(output) = &approval.output
            && let Err(failure) = self.assign(id, output, decision.clone())
        {
            self.turns.push_back(Turn::Raise(id, failure));
            return;
        }
        let port = if approved { "approved" } else { "rejected" };
        self.record(id, step, |entry| {
            entry.output = decision;
            entry.port = Some(port.into());
        });
        match (approved, approval.rejected) {
            (true, _) => self.go(id, approval.approved),
            (false, Some(rejected)) => self.go(id, Some(rejected)),
            (false, None) => {
                let failure = Failure::new("rejected", format!("`{by}` said no"));
                self.turns.push_back(Turn::Raise(id, failure));
            }
        }
    }

    fn retry_from(&mut self, node: &str) {
        let Some(scope) = self.state.scopes.first().map(|scope| scope.id) else { return };
        let Some(plan) = self.plan(scope) else { return };
        let Some(at) = plan.index.get(node).copied() else { return };
        if !plan.step(at).is_some_and(|step| step.outermost) {
            return;
        }
        self.state.status = Status::Running;
        self.state.outcome = None;
        self.state.started = self.now;
        self.state.tokens.clear();
        self.state.joins.clear();
        self.state.scopes.truncate(1);
        self.count_first();
        self.state.spawn(scope, at, None, 0, self.now);
    }

    /// Lets the run go on in another version, in which its nodes have the same ids.
    ///
    /// # Errors
    /// Why it cannot, in words; nothing has changed then.
    pub(crate) fn migrate(&mut self, version: u64, plan: Arc<Plan>) -> Result<(), String> {
        let Some(scope) = self.state.scopes.first().map(|scope| scope.id) else {
            return Err("it has no position".to_owned());
        };
        let Some(old) = self.plan(scope) else { return Err("its version is not known".to_owned()) };
        let map = |at: u32| -> Result<u32, String> {
            let id = old.id(at);
            let to = plan.index.get(&id).copied().ok_or_else(|| format!("the node `{id}` is gone"))?;
            let same = match (old.step(at), plan.step(to)) {
                (Some(a), Some(b)) => std::mem::discriminant(&a.op) == std::mem::discriminant(&b.op),
                _ => false,
            };
            if same { Ok(to) } else { Err(format!("the node `{id}` is of another type now")) }
        };
        let mut tokens = self.state.tokens.clone();
        for token in tokens.iter_mut().filter(|token| token.scope == scope && token.undo.is_none()) {
            token.at = map(token.at)?;
            for frame in &mut token.frames {
                let (Frame::Each { node, .. }
                | Frame::While { node, .. }
                | Frame::Item { node, .. }
                | Frame::Try { node, .. }) = frame;
                *node = map(*node)?;
            }
            for (node, _, _) in &mut token.repeats {
                *node = map(*node)?;
            }
        }
        self.state.tokens = tokens;
        if let Some(first) = self.state.scope_mut(scope) {
            first.version = version;
            for (name, value) in &plan.first {
                if !first.variables.contains_key(name) {
                    first.bytes += name.len() as u64 + weight(value);
                    first.variables.insert(name.clone(), value.clone());
                }
            }
        }
        self.plans.add(scope, plan);
        Ok(())
    }
}

/// How long to wait before the attempt after this one. The same run, node and attempt wait alike wherever they are replayed.
pub(super) fn delay(rule: &Retry, attempt: u32, run: Uuid, visit: u64) -> Span {
    let factor = rule.backoff.max(1.0).powi(i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX));
    let first = std::time::Duration::from_millis(rule.interval.as_millis()).as_secs_f64();
    let wait = std::time::Duration::try_from_secs_f64(first * factor).unwrap_or(std::time::Duration::MAX);
    let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let most = rule.max_interval.map_or(u64::MAX, Span::as_millis);
    let wait = Span::from_millis(wait.min(most)).as_millis();
    match rule.jitter {
        Jitter::None => Span::from_millis(wait),
        Jitter::Full => {
            let (high, low) = run.as_u64_pair();
            let mut draw =
                high ^ low.rotate_left(32) ^ visit.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(attempt);
            draw = (draw ^ (draw >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            draw = (draw ^ (draw >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            draw ^= draw >> 31;
            Span::from_millis(draw.checked_rem(wait.saturating_add(1)).unwrap_or(0))
        }
    }
}

/// The moment at which the deadline of what is going on has passed, for a worker that takes a run over.
pub(crate) fn overdue(phase: &Phase, now: Timestamp) -> bool {
    matches!(phase, Phase::Running { deadline: Some(deadline), .. } if *deadline < now)
}
