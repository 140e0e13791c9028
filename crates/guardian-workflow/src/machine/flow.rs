//! Ends of parts, failures, joins: how a token goes on when it does not simply go on.

use std::sync::Arc;

use serde_json::Value;

use super::events::delay;
use super::state::{
    Closing, Frame, JoinKind, Outcome, Pending, Phase, Stage, Status, Token, bytes_of, weight,
};
use super::{Machine, Turn};
use crate::action::Failure;
use crate::definition::knows;
use crate::plan::{EachStep, Op, Plan, Step};

/// What is done with a frame when a failure or an end passes.
enum Caught {
    Not,
    /// A handler has it.
    Handled,
}

impl Machine<'_> {
    /// Does what has to happen before the next node is entered.
    pub(crate) fn settle(&mut self) {
        while let Some(turn) = self.turns.pop_front() {
            if self.state.status.is_final() {
                self.turns.clear();
                return;
            }
            match turn {
                Turn::EndPart(id) => self.end_part(id),
                Turn::Raise(id, failure) => self.raise(id, failure),
                Turn::Finish(id, value) => self.finish(id, value),
                Turn::Done(id, result) => self.done(id, result),
                Turn::SubDone(id, result) => self.sub_done(id, result),
            }
        }
    }

    /// A token came to the end of the part in which it is.
    fn end_part(&mut self, id: u32) {
        let Some(token) = self.state.token(id) else { return };
        let Some(plan) = self.plan(token.scope) else { return };
        let Some(frame) = token.frames.last() else {
            self.turns.push_back(Turn::Done(id, Ok(())));
            return;
        };
        let (Frame::Each { node, .. }
        | Frame::While { node, .. }
        | Frame::Item { node, .. }
        | Frame::Try { node, .. }) = frame;
        let node = *node;
        let Some(step) = plan.step(node) else { return };
        match frame {
            Frame::Each { .. } => self.end_iteration(id, node, step),
            Frame::While { .. } => {
                let now = self.now;
                if let Some(token) = self.state.token_mut(id) {
                    token.at = node;
                    token.entered = now;
                }
                if let Op::While { when, max, body } = &step.op
                    && let Err(failure) = self.around(id, step, when, *max, *body)
                {
                    self.turns.push_back(Turn::Raise(id, failure));
                }
            }
            Frame::Item { .. } => self.end_element(id, step),
            Frame::Try { stage: Stage::Finally(pending), .. } => {
                let pending = pending.clone();
                self.pop(id);
                self.at_node(id, node);
                match pending.map(|pending| *pending) {
                    None => self.go(id, step.next),
                    Some(Pending::Fail(failure)) => self.turns.push_back(Turn::Raise(id, failure)),
                    Some(Pending::End(value)) => self.turns.push_back(Turn::Finish(id, value)),
                    Some(Pending::Out) => self.unwind(id),
                }
            }
            Frame::Try { .. } => {
                if !self.lead_to_finally(id, step, None) {
                    self.pop(id);
                    self.at_node(id, node);
                    self.go(id, step.next);
                }
            }
        }
    }

    pub(super) fn pop(&mut self, id: u32) {
        if let Some(token) = self.state.token_mut(id) {
            let freed = token.frames.pop().map_or(0, |frame| frame.own_bytes());
            let depth = u32::try_from(token.frames.len()).unwrap_or(u32::MAX);
            token.repeats.retain(|(_, at, _)| *at <= depth);
            let scope = token.scope;
            self.free(scope, freed);
        }
    }

    fn at_node(&mut self, id: u32, node: u32) {
        if let Some(token) = self.state.token_mut(id) {
            token.at = node;
        }
    }

    /// Leads a token to the `finally` of the `try` in its last frame, if there is one.
    pub(super) fn lead_to_finally(&mut self, id: u32, step: &Step, pending: Option<Pending>) -> bool {
        let Op::Try { finally: Some(finally), .. } = &step.op else { return false };
        let Some(token) = self.state.token_mut(id) else { return false };
        if let Some(Frame::Try { stage, .. }) = token.frames.last_mut() {
            *stage = Stage::Finally(pending.map(Box::new));
        }
        self.go(id, Some(*finally));
        true
    }

    /// What an iteration leaves, within what a loop may gather.
    fn gather(&self, id: u32, each: &EachStep, before: u64) -> Result<Option<(Value, u64)>, Failure> {
        let Some((program, output)) = &each.collect else { return Ok(None) };
        let (value, _) = self.value(id, program)?;
        let most = self.state.token(id).and_then(|token| self.plans.get(token.scope));
        let most = most.map_or(u64::MAX, |plan| plan.limits.variable_bytes);
        let bytes = before + 1 + weight(&value);
        if bytes > most {
            let message = format!("`{output}` would have {bytes} bytes, the most is {most}");
            return Err(Failure::new("limit.variable_bytes", message));
        }
        Ok(Some((value, bytes)))
    }

    fn end_iteration(&mut self, id: u32, node: u32, step: &Step) {
        let Op::ForEach(each) = &step.op else { return };
        let before = match self.state.token(id).and_then(|token| token.frames.last()) {
            Some(Frame::Each { bytes, .. }) => *bytes,
            _ => 0,
        };
        let gathered = match self.gather(id, each, before) {
            Ok(gathered) => gathered,
            Err(failure) => {
                self.pop(id);
                self.at_node(id, node);
                self.turns.push_back(Turn::Raise(id, failure));
                return;
            }
        };
        let Some(token) = self.state.token_mut(id) else { return };
        let depth = u32::try_from(token.frames.len()).unwrap_or(u32::MAX);
        token.repeats.retain(|(_, at, _)| *at < depth);
        let scope = token.scope;
        let Some(frame) = token.frames.last_mut() else { return };
        let freed = frame.own_bytes();
        let Frame::Each { index, items, collected, bytes, own, .. } = frame else { return };
        if let Some((value, sum)) = gathered {
            collected.push(value);
            *bytes = sum;
        }
        own.clear();
        *index += 1;
        let more = (*index as usize) < items.len();
        let collected = if more { Vec::new() } else { std::mem::take(collected) };
        self.free(scope, freed);
        if more {
            if let Err(failure) = self.room_for_own(scope, each, 1) {
                self.pop(id);
                self.at_node(id, node);
                self.turns.push_back(Turn::Raise(id, failure));
                return;
            }
            let fresh = self.own_variables(scope, each);
            if let Some(Frame::Each { own, .. }) =
                self.state.token_mut(id).and_then(|token| token.frames.last_mut())
            {
                *own = fresh;
            }
            return self.go(id, each.body);
        }
        self.pop(id);
        self.at_node(id, node);
        self.loop_done(id, step, collected);
    }

    /// A loop has gone through all elements.
    fn loop_done(&mut self, id: u32, step: &Step, collected: Vec<Value>) {
        if let Op::ForEach(each) = &step.op
            && let Some((_, output)) = &each.collect
            && let Err(failure) = self.assign(id, output, Value::Array(collected))
        {
            self.turns.push_back(Turn::Raise(id, failure));
            return;
        }
        self.go(id, step.next);
    }

    /// One of the elements that go side by side is through.
    fn end_element(&mut self, id: u32, step: &Step) {
        let Op::ForEach(each) = &step.op else { return };
        let place = self.state.token(id).and_then(|token| Some((token.join?, token.branch)));
        let before = place.and_then(|(join, _)| self.state.joins.iter().find(|each| each.id == join));
        let before = match before.map(|join| &join.kind) {
            Some(JoinKind::Each { bytes, .. }) => *bytes,
            _ => 0,
        };
        let gathered = match self.gather(id, each, before) {
            Ok(gathered) => gathered,
            Err(failure) => {
                self.pop(id);
                self.turns.push_back(Turn::Raise(id, failure));
                return;
            }
        };
        if let Some((join, branch)) = place
            && let Some(join) = self.state.join_mut(join)
            && let JoinKind::Each { collected, bytes, .. } = &mut join.kind
            && let Some((value, sum)) = gathered
            && let Some(place) = collected.get_mut(branch as usize)
        {
            *place = value;
            *bytes = sum;
        }
        self.pop(id);
        self.turns.push_back(Turn::EndPart(id));
    }

    /// A failure goes outwards until something handles it.
    fn raise(&mut self, id: u32, failure: Failure) {
        let Some(token) = self.state.token(id) else { return };
        let Some(plan) = self.plan(token.scope) else { return };
        let failure = failure.at(&plan.id(token.at));
        // A run that is out of steps or time is not saved by a handler.
        let fatal = matches!(failure.code.as_str(), "limit.steps" | "limit.run_time" | "internal");
        while let Some(frame) = self.state.token(id).and_then(|token| token.frames.last()) {
            let out = frame.leads_out();
            if let Frame::Try { node, stage, .. } = frame {
                let (node, in_body) = (*node, *stage == Stage::Body);
                let in_finally = matches!(stage, Stage::Finally(_));
                if out {
                    // Nobody asks for the failure of what is on its way out; the history has it.
                    self.pop(id);
                    return self.unwind(id);
                }
                if in_body && !fatal && self.again(id, node, &plan, &failure) {
                    return;
                }
                if let Some(step) = plan.step(node) {
                    if in_body && !fatal && matches!(self.handle(id, step, &failure), Caught::Handled) {
                        return;
                    }
                    if !in_finally && self.lead_to_finally(id, step, Some(Pending::Fail(failure.clone()))) {
                        return;
                    }
                }
            }
            self.pop(id);
        }
        self.turns.push_back(Turn::Done(id, Err(failure)));
    }

    /// Whether the whole body of the `try` in the last frame is tried again.
    fn again(&mut self, id: u32, node: u32, plan: &Plan, failure: &Failure) -> bool {
        let Some(step) = plan.step(node) else { return false };
        let Op::Try { retry, .. } = &step.op else { return false };
        let Some(rule) = retry.iter().find(|rule| knows(&rule.on, &failure.code)) else { return false };
        let (run, now) = (self.run, self.now);
        let Some(token) = self.state.token_mut(id) else { return false };
        let depth = u32::try_from(token.frames.len()).unwrap_or(u32::MAX);
        let Some(Frame::Try { attempt, .. }) = token.frames.last_mut() else { return false };
        if *attempt >= rule.attempts {
            return false;
        }
        let until = delay(rule, *attempt, run, token.visit).after(now);
        *attempt += 1;
        token.repeats.retain(|(_, at, _)| *at < depth);
        token.at = node;
        token.phase = Phase::Again { until };
        let failure = failure.clone();
        self.record(id, step, |entry| {
            entry.port = Some("retry".into());
            entry.failure = Some(failure);
        });
        true
    }

    fn handle(&mut self, id: u32, step: &Step, failure: &Failure) -> Caught {
        let Op::Try { handlers, .. } = &step.op else { return Caught::Not };
        let Some(handler) = handlers.iter().find(|each| knows(&each.on, &failure.code)) else {
            return Caught::Not;
        };
        if let Some(output) = &handler.output
            && self.assign(id, output, failure.to_value()).is_err()
        {
            return Caught::Not;
        }
        if let Some(token) = self.state.token_mut(id)
            && let Some(Frame::Try { stage, .. }) = token.frames.last_mut()
        {
            *stage = Stage::Handler;
        }
        let port = Arc::clone(&handler.port);
        self.record(id, step, |entry| entry.port = Some(port));
        self.go(id, handler.go);
        Caught::Handled
    }

    /// The workflow of a token ends with a value; what has to come last comes first.
    fn finish(&mut self, id: u32, value: Value) {
        let Some(token) = self.state.token(id) else { return };
        let Some(plan) = self.plan(token.scope) else { return };
        while let Some(frame) = self.state.token(id).and_then(|token| token.frames.last()) {
            let out = frame.leads_out();
            if let Frame::Try { node, stage: Stage::Body | Stage::Handler, .. } = frame
                && let Some(step) = plan.step(*node)
                && self.lead_to_finally(id, step, Some(Pending::End(value.clone())))
            {
                return;
            }
            self.pop(id);
            if out {
                return self.unwind(id);
            }
        }
        let join = self.state.token(id).and_then(|token| token.join);
        let Some(join) = join.and_then(|join| self.state.joins.iter().find(|each| each.id == join)) else {
            self.complete(Outcome::Result(value));
            return;
        };
        let (is_sub, join, shut) = (join.kind == JoinKind::Sub, join.id, join.closing.is_some());
        self.drop_tokens(&[id]);
        match (shut, is_sub) {
            // It was to leave anyway.
            (true, _) => self.close_if_empty(join),
            (false, true) => self.shut(join, Closing::Sub(Ok(value))),
            (false, false) => self.shut(join, Closing::Finish(value)),
        }
    }

    /// A token has nothing further to do.
    fn done(&mut self, id: u32, result: Result<(), Failure>) {
        let Some(token) = self.state.token(id) else { return };
        let Some(join_id) = token.join else {
            match result {
                Ok(()) => self.complete(Outcome::Result(Value::Null)),
                Err(failure) => self.fail(failure),
            }
            return;
        };
        let scope = token.scope;
        self.drop_tokens(&[id]);
        let Some(join) = self.state.join_mut(join_id) else { return };
        if join.closing.is_some() {
            return self.close_if_empty(join_id);
        }
        let waiting = join.token;
        match (&mut join.kind, result) {
            (JoinKind::Sub, result) => self.shut(join_id, Closing::Sub(result.map(|()| Value::Null))),
            (JoinKind::Race, Ok(())) => self.shut(join_id, Closing::Release),
            (JoinKind::Race | JoinKind::Each { .. }, Err(failure)) => {
                self.shut(join_id, Closing::Raise(failure));
            }
            (JoinKind::Need(need), Ok(())) => {
                let need = *need;
                join.done += 1;
                if join.done >= need {
                    self.shut(join_id, Closing::Release);
                }
            }
            (JoinKind::Need(need), Err(failure)) => {
                let need = *need;
                join.failed += 1;
                if join.total - join.failed < need {
                    self.shut(join_id, Closing::Raise(failure));
                }
            }
            (JoinKind::Each { items, next, collected, .. }, Ok(())) => {
                join.done += 1;
                if join.done == join.total {
                    let collected = std::mem::take(collected);
                    self.state.joins.retain(|each| each.id != join_id);
                    if let Some((plan, at)) = self.place(waiting)
                        && let Some(step) = plan.step(at)
                    {
                        self.loop_done(waiting, step, collected);
                    }
                    return;
                }
                let (index, items) = (*next, Arc::clone(items));
                if let Some(item) = items.get(index as usize) {
                    *next += 1;
                    if let Some((plan, node)) = self.place(waiting)
                        && let Some(Op::ForEach(each)) = plan.step(node).map(|step| &step.op)
                    {
                        if let Err(failure) = self.room_for_own(scope, each, 1) {
                            return self.shut(join_id, Closing::Raise(failure));
                        }
                        self.element(scope, node, join_id, index, item.clone(), each);
                    }
                }
            }
        }
    }

    pub(super) fn drop_tokens(&mut self, ids: &[u32]) {
        let mut open = ids.to_vec();
        while let Some(id) = open.pop() {
            if let Some(at) = self.state.tokens.iter().position(|token| token.id == id) {
                let token = self.state.tokens.remove(at);
                self.free(token.scope, token.frames.iter().map(Frame::own_bytes).sum());
            }
            let below: Vec<u32> =
                self.state.joins.iter().filter(|join| join.token == id).map(|join| join.id).collect();
            self.state.joins.retain(|join| join.token != id);
            let under = |token: &&Token| token.join.is_some_and(|join| below.contains(&join));
            open.extend(self.state.tokens.iter().filter(under).map(|token| token.id));
        }
        let used = |scope: u32| self.state.tokens.iter().any(|token| token.scope == scope);
        let first = self.state.scopes.first().map(|scope| scope.id);
        let keep: Vec<u32> = self
            .state
            .scopes
            .iter()
            .map(|scope| scope.id)
            .filter(|scope| Some(*scope) == first || used(*scope))
            .collect();
        self.state.scopes.retain(|scope| keep.contains(&scope.id));
        self.plans.keep(&keep);
    }

    fn sub_done(&mut self, id: u32, result: Result<Value, Failure>) {
        let Some((plan, at)) = self.place(id) else { return };
        let Some(step) = plan.step(at) else { return };
        let Op::Sub(sub) = &step.op else { return };
        match result {
            Ok(value) => {
                let recorded = value.clone();
                self.record(id, step, |entry| entry.output = recorded);
                let assigned = match &sub.output {
                    Some(output) => self.assign(id, output, value),
                    None => Ok(()),
                };
                match assigned {
                    Ok(()) => self.go(id, step.next),
                    Err(failure) => self.turns.push_back(Turn::Raise(id, failure)),
                }
            }
            Err(failure) => self.failed(id, step, sub.error, failure),
        }
    }

    /// A node failed for good.
    pub(super) fn failed(&mut self, id: u32, step: &Step, error: Option<u32>, failure: Failure) {
        let recorded = failure.clone();
        let port = error.map(|_| Arc::from("error"));
        self.record(id, step, |entry| {
            entry.failure = Some(recorded);
            entry.port = port;
        });
        match error {
            Some(_) => self.go(id, error),
            None => self.turns.push_back(Turn::Raise(id, failure)),
        }
    }

    /// The run ended well.
    fn complete(&mut self, outcome: Outcome) {
        self.state.outcome = Some(outcome);
        self.end(Status::Completed);
    }

    /// The run failed.
    pub(crate) fn fail(&mut self, failure: Failure) {
        if self.state.ending.is_some() {
            return self.cancelled();
        }
        let undoes = self.state.scopes.first().and_then(|scope| self.plans.get(scope.id));
        let undoes = undoes.is_some_and(|plan| plan.compensate_on_failure);
        self.state.outcome = Some(Outcome::Failure(failure));
        self.undo_or(undoes, Status::Failed);
    }

    /// Cancels the run: what comes last in it comes first. Asked a second time, that is not waited for.
    pub(super) fn cancel(&mut self, reason: String, compensate: bool) {
        if self.state.status != Status::Running {
            self.state.outcome = Some(Outcome::Cancelled(reason));
            return self.end(Status::Cancelled);
        }
        self.state.paused = false;
        if self.state.ending.replace((reason, compensate)).is_some() {
            return self.cancelled();
        }
        let outermost = self.state.tokens.iter().find(|token| token.join.is_none()).map(|token| token.id);
        match outermost {
            Some(token) => self.take_out(token),
            None => self.cancelled(),
        }
    }

    /// Everything has left a run that is cancelled.
    pub(super) fn cancelled(&mut self) {
        let (reason, compensate) = self.state.ending.take().unwrap_or_default();
        self.state.outcome = Some(Outcome::Cancelled(reason));
        self.undo_or(compensate, Status::Cancelled);
    }

    fn undo_or(&mut self, undoes: bool, otherwise: Status) {
        if undoes && !self.state.undo.is_empty() && self.state.status == Status::Running {
            self.clear();
            self.state.status = Status::Compensating;
            self.undo_next();
        } else {
            self.end(otherwise);
        }
    }

    fn clear(&mut self) {
        self.turns.clear();
        self.effects.clear();
        self.state.tokens.clear();
        self.state.joins.clear();
        self.state.scopes.truncate(1);
        self.state.migrating = None;
        self.state.ending = None;
        self.count_first();
    }

    /// Counts the variables of the run's own workflow anew, once no loop is left whose elements have some for themselves.
    pub(super) fn count_first(&mut self) {
        if let Some(first) = self.state.scopes.first_mut() {
            first.bytes = bytes_of(&first.variables);
        }
    }

    fn end(&mut self, status: Status) {
        self.clear();
        self.state.status = status;
        self.state.paused = false;
        self.state.inbox.clear();
    }

    /// Asks for the next compensation, or ends the run after the last one.
    pub(super) fn undo_next(&mut self) {
        let Some(undo) = self.state.undo.pop() else {
            let status = match self.state.outcome {
                Some(Outcome::Cancelled(_)) => Status::Cancelled,
                _ => Status::Failed,
            };
            return self.end(status);
        };
        let Some(scope) = self.state.scopes.first().map(|scope| scope.id) else { return };
        let at = self.plans.get(scope).map_or(0, |plan| plan.start);
        let id = self.state.spawn(scope, at, None, 0, self.now);
        self.state.steps += 1;
        let visit = self.state.steps;
        if let Some(token) = self.state.token_mut(id) {
            token.visit = visit;
            token.phase = Phase::Running { params: undo.params.clone(), deadline: None };
            token.undo = Some(undo);
        }
        self.call(id);
    }
}
