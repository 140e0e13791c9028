//! What happens when a token enters a node.

use std::sync::Arc;

use guardian_core::Timestamp;
use guardian_expr::{Program, Value as ExprValue};
use serde_json::Value;

use super::state::{Frame, JoinKind, JoinState, Phase, Stage};
use super::{Effect, Machine, Turn};
use crate::action::Failure;
use crate::definition::{Join, Span};
use crate::plan::{EachStep, Go, Op, Plan, Step, Way};
use crate::template::{self, Template};

impl Machine<'_> {
    /// Enters the node at which a token stands.
    pub(super) fn enter(&mut self, id: u32) {
        let Some((plan, at)) = self.place(id) else {
            return self.lose(id);
        };
        let Some(step) = plan.step(at) else {
            return self.lose(id);
        };
        self.state.steps += 1;
        let (visit, now) = (self.state.steps, self.now);
        if let Some(token) = self.state.token_mut(id) {
            token.visit = visit;
            token.attempt = 1;
            token.entered = now;
        }
        let most = self.steps_allowed();
        if visit > most {
            let message = format!("the run has entered {most} nodes, the most that its workflow allows");
            return self.fail(Failure::new("limit.steps", message).at(&step.id));
        }
        if let Err(failure) = self.perform(id, &plan, step) {
            let recorded = failure.clone();
            self.record(id, step, |entry| entry.failure = Some(recorded));
            self.turns.push_back(Turn::Raise(id, failure));
        }
    }

    /// A token that fits no plan: a defect, or a store that was tampered with.
    fn lose(&mut self, _token: u32) {
        self.fail(Failure::new("internal", "the state of the run does not fit its version"));
    }

    fn steps_allowed(&self) -> u64 {
        let first = self.state.scopes.first().and_then(|scope| self.plans.get(scope.id));
        first.map_or(u64::MAX, |plan| plan.limits.steps)
    }

    fn perform(&mut self, id: u32, plan: &Arc<Plan>, step: &Step) -> Result<(), Failure> {
        match &step.op {
            Op::Action(action) => {
                let (params, _) = self.compute(id, &action.params)?;
                let deadline = action.timeout.map(|span| span.after(self.now));
                self.phase(id, Phase::Running { params, deadline });
                self.call(id);
            }
            Op::Condition { ways, otherwise } => self.condition(id, plan, step, ways, *otherwise)?,
            Op::Switch { on, ways, default } => {
                let (value, cost) = self.value(id, on)?;
                let found = ways.iter().find(|way| same(&way.when, &value));
                let (port, go) =
                    found.map_or(("default".into(), *default), |way| (Arc::clone(&way.port), way.go));
                self.record(id, step, |entry| {
                    entry.output = value;
                    entry.port = Some(port);
                    entry.cost = cost;
                });
                self.go(id, go);
            }
            Op::ForEach(each) => self.for_each(id, step, each)?,
            Op::While { when, max, body } => {
                let at = self.state.token(id).map_or(0, |token| token.at);
                if let Some(token) = self.state.token_mut(id) {
                    token.frames.push(Frame::While { node: at, count: 0 });
                }
                self.around(id, step, when, *max, *body)?;
            }
            Op::Repeat { max } => self.repeat(id, step, *max)?,
            Op::Parallel { branches, join } => {
                let need = match join {
                    Join::All => u32::try_from(branches.len()).unwrap_or(u32::MAX),
                    Join::Any => 1,
                    Join::AtLeast(need) => *need,
                };
                self.fork(id, step, branches, JoinKind::Need(need))?;
            }
            Op::Race { branches } => self.fork(id, step, branches, JoinKind::Race)?,
            Op::Sleep { duration } => {
                let (value, _) = self.raw(id, duration)?;
                let span = span_of(&value)?;
                self.phase(id, Phase::Sleeping { until: span.after(self.now) });
            }
            Op::Until { time } => {
                let (value, _) = self.raw(id, time)?;
                let text = value.as_str().unwrap_or_default();
                let until: Timestamp = text.parse().map_err(|_| {
                    Failure::new(
                        "expression",
                        format!("`{}` is no point in time", crate::error::shorten_json(&value)),
                    )
                })?;
                self.phase(id, Phase::Sleeping { until });
            }
            Op::Signal(signal) => {
                let until = signal.timeout.map(|span| span.after(self.now));
                self.phase(id, Phase::Listening { until });
                self.look_into_inbox(id);
            }
            Op::Approval(approval) => {
                let (prompt, _) = self.compute(id, &approval.prompt)?;
                let (approvers, _) = self.compute(id, &approval.approvers)?;
                let until = approval.timeout.map(|span| span.after(self.now));
                self.phase(id, Phase::Approving { prompt, approvers, until });
            }
            Op::Sub(sub) => {
                let (input, _) = self.compute(id, &sub.input)?;
                let scope = self.state.token(id).and_then(|token| self.state.scope(token.scope));
                let depth = scope.map_or(0, |scope| scope.depth);
                let most = self.state.scopes.first().and_then(|scope| self.plans.get(scope.id));
                let most = most.map_or(0, |plan| plan.limits.depth);
                if depth + 1 > most {
                    let message =
                        format!("sub-workflows are nested {most} deep, the most that the workflow allows");
                    return Err(Failure::new("limit.depth", message));
                }
                self.phase(id, Phase::Loading { input });
                self.load(id);
            }
            Op::Set { values } => {
                let mut cost = 0;
                let mut computed = Vec::with_capacity(values.len());
                for (name, value) in values {
                    let (value, spent) = self.compute(id, value)?;
                    cost += spent;
                    computed.push((name, value));
                }
                let output = computed.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
                for (name, value) in computed {
                    self.assign(id, name, value)?;
                }
                self.record(id, step, |entry| {
                    entry.output = Value::Object(output);
                    entry.cost = cost;
                });
                self.go(id, step.next);
            }
            Op::Try { body, .. } => {
                self.record(id, step, |_| {});
                if let Some(token) = self.state.token_mut(id) {
                    let node = token.at;
                    token.frames.push(Frame::Try { node, stage: Stage::Body, attempt: 1 });
                }
                self.go(id, *body);
            }
            Op::End { result } => {
                let (value, cost) = match result {
                    Some(result) => self.compute(id, result)?,
                    None => (Value::Null, 0),
                };
                let output = value.clone();
                self.record(id, step, |entry| {
                    entry.output = output;
                    entry.cost = cost;
                });
                self.turns.push_back(Turn::Finish(id, value));
            }
            Op::Fail { code, message } => {
                let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let (code, message) = (text(self.compute(id, code)?.0), text(self.compute(id, message)?.0));
                return Err(Failure::new(code, message));
            }
        }
        Ok(())
    }

    /// Lets a token go on.
    pub(super) fn go(&mut self, id: u32, go: Go) {
        match go {
            Some(at) => {
                if let Some(token) = self.state.token_mut(id) {
                    token.at = at;
                    token.phase = Phase::Ready;
                }
            }
            None => self.turns.push_back(Turn::EndPart(id)),
        }
    }

    pub(super) fn phase(&mut self, id: u32, phase: Phase) {
        if let Some(token) = self.state.token_mut(id) {
            token.phase = phase;
        }
    }

    /// Asks for the action of a token.
    pub(super) fn call(&mut self, id: u32) {
        if let Some(token) = self.state.token(id) {
            let effect = Effect::Call { token: id, visit: token.visit, attempt: token.attempt };
            self.effects.push(effect);
        }
    }

    /// Asks for the definition of a sub-workflow.
    pub(super) fn load(&mut self, id: u32) {
        let Some((plan, at)) = self.place(id) else { return };
        if let (Some(Op::Sub(sub)), Some(token)) = (plan.step(at).map(|step| &step.op), self.state.token(id))
        {
            self.effects.push(Effect::Load {
                token: id,
                visit: token.visit,
                workflow: Arc::clone(&sub.workflow),
                version: sub.version.clone(),
            });
        }
    }

    /// The value of a template at a token, and its cost.
    pub(super) fn compute(&self, id: u32, template: &Template) -> Result<(Value, u64), Failure> {
        if let Template::Literal(value) = template {
            return Ok((value.clone(), 0));
        }
        self.see(id, None, |context, plan| {
            let mut cost = 0;
            let value = template.evaluate(context, Self::budget(plan), &mut cost)?;
            Ok((Self::keepable(value)?, cost))
        })
    }

    /// The same where a duration stays one, as a text that [`span_of`] reads.
    fn raw(&self, id: u32, template: &Template) -> Result<(Value, u64), Failure> {
        let Template::Computed(program) = template else { return self.compute(id, template) };
        self.see(id, None, |context, plan| {
            let outcome = program.run(context, Self::budget(plan));
            let value = outcome.value.map_err(|error| template::failure(program, &error))?;
            let value = match value {
                ExprValue::Duration(span) => {
                    let millis = span.seconds().saturating_mul(1000) + i64::from(span.nanos()) / 1_000_000;
                    Value::from(format!("{}ms", millis.max(0)))
                }
                other => other.to_json(),
            };
            Ok((value, outcome.cost))
        })
    }

    pub(super) fn value(&self, id: u32, program: &Program) -> Result<(Value, u64), Failure> {
        self.see(id, None, |context, plan| {
            let outcome = program.run(context, Self::budget(plan));
            let value = outcome.value.map_err(|error| template::failure(program, &error))?;
            Ok((Self::keepable(value.to_json())?, outcome.cost))
        })
    }

    /// Whether a condition holds at a token.
    pub(super) fn holds(
        &self,
        id: u32,
        program: &Program,
        extra: Option<(&str, &Value)>,
        cost: &mut u64,
    ) -> Result<bool, Failure> {
        self.see(id, extra, |context, plan| {
            let outcome = program.run(context, Self::budget(plan));
            *cost += outcome.cost;
            match outcome.value.map_err(|error| template::failure(program, &error))? {
                ExprValue::Bool(holds) => Ok(holds),
                other => {
                    let message = format!("a condition is a `bool`, not a `{}`", other.type_name());
                    Err(Failure::new("expression", message))
                }
            }
        })
    }

    fn condition(
        &mut self,
        id: u32,
        plan: &Plan,
        step: &Step,
        ways: &[Way<Arc<Program>>],
        otherwise: Go,
    ) -> Result<(), Failure> {
        let mut cost = 0;
        let mut explanation = None;
        let mut taken = None;
        for way in ways {
            let holds = self.holds(id, &way.when, None, &mut cost)?;
            if plan.explain {
                let shown = self.see(id, None, |context, _| Ok(way.when.explain(context).to_string()))?;
                explanation.get_or_insert_with(String::new).push_str(&shown);
            }
            if holds {
                taken = Some(way);
                break;
            }
        }
        let (port, go) = match taken {
            Some(way) => (Arc::clone(&way.port), way.go),
            None => (Arc::from("else"), otherwise),
        };
        self.record(id, step, |entry| {
            entry.port = Some(port);
            entry.cost = cost;
            entry.explanation = explanation;
        });
        self.go(id, go);
        Ok(())
    }

    fn for_each(&mut self, id: u32, step: &Step, each: &EachStep) -> Result<(), Failure> {
        let (value, cost) = self.value(id, &each.items)?;
        let Value::Array(items) = value else {
            let message = format!("`{}` is no list", guardian_core::shorten(each.items.source()));
            return Err(Failure::new("expression", message));
        };
        if items.len() > each.max as usize {
            let message = format!("the list has {} elements, the most is {}", items.len(), each.max);
            return Err(Failure::new("limit.iterations", message));
        }
        let count = items.len();
        let total = u32::try_from(count).unwrap_or(u32::MAX);
        let at_once = total.min(each.concurrency);
        let Some((node, scope)) = self.state.token(id).map(|token| (token.at, token.scope)) else {
            return Ok(());
        };
        self.room_for_own(scope, each, at_once)?;
        self.record(id, step, |entry| {
            entry.output = Value::from(count);
            entry.cost = cost;
        });
        if count == 0 {
            if let Some((_, output)) = &each.collect {
                self.assign(id, output, Value::Array(Vec::new()))?;
            }
            self.go(id, step.next);
            return Ok(());
        }
        let items = Arc::new(items);
        if each.concurrency == 1 {
            let own = self.own_variables(scope, each);
            if let Some(token) = self.state.token_mut(id) {
                token.frames.push(Frame::Each {
                    node,
                    index: 0,
                    items,
                    collected: Vec::new(),
                    bytes: 0,
                    own,
                });
            }
            self.go(id, each.body);
            return Ok(());
        }
        let join = self.state.fresh();
        let collected = if each.collect.is_some() { vec![Value::Null; count] } else { Vec::new() };
        self.widen(id, at_once)?;
        self.phase(id, Phase::Joining);
        let kind = JoinKind::Each { items: Arc::clone(&items), next: at_once, collected, bytes: 0 };
        self.state.joins.push(JoinState::new(join, id, kind, total));
        for (index, item) in (0..at_once).zip(items.iter()) {
            self.element(scope, node, join, index, item.clone(), each);
        }
        Ok(())
    }

    /// A token for one element of a loop whose elements go side by side.
    pub(super) fn element(
        &mut self,
        scope: u32,
        node: u32,
        join: u32,
        index: u32,
        item: Value,
        each: &EachStep,
    ) {
        let own = self.own_variables(scope, each);
        let token = self.state.spawn(scope, each.body.unwrap_or(node), Some(join), index, self.now);
        if let Some(token) = self.state.token_mut(token) {
            token.frames.push(Frame::Item { node, index, item, own });
        }
        if each.body.is_none() {
            self.turns.push_back(Turn::EndPart(token));
        }
    }

    /// Whether so many branches more are within the limit.
    fn widen(&self, _id: u32, more: u32) -> Result<(), Failure> {
        let plan = self.state.scopes.first().and_then(|scope| self.plans.get(scope.id));
        let most = plan.map_or(u32::MAX, |plan| plan.limits.width);
        let width = self.state.tokens.iter().filter(|token| token.phase != Phase::Joining).count();
        if width + more as usize > most as usize + 1 {
            let message =
                format!("{} branches would run side by side, the most is {most}", width + more as usize);
            return Err(Failure::new("limit.width", message));
        }
        Ok(())
    }

    fn fork(
        &mut self,
        id: u32,
        step: &Step,
        branches: &[(Arc<str>, Go)],
        kind: JoinKind,
    ) -> Result<(), Failure> {
        let total = u32::try_from(branches.len()).unwrap_or(u32::MAX);
        self.widen(id, total)?;
        self.record(id, step, |_| {});
        let Some(token) = self.state.token_mut(id) else { return Ok(()) };
        let (node, scope) = (token.at, token.scope);
        token.phase = Phase::Joining;
        let join = self.state.fresh();
        self.state.joins.push(JoinState::new(join, id, kind, total));
        for (branch, (_, go)) in (0..).zip(branches) {
            let child = self.state.spawn(scope, go.unwrap_or(node), Some(join), branch, self.now);
            if go.is_none() {
                // Nothing to do in this branch; it must not enter the node again.
                self.phase(child, Phase::Joining);
                self.turns.push_back(Turn::EndPart(child));
            }
        }
        Ok(())
    }

    /// The next iteration of a `while`, or what comes behind it.
    pub(super) fn around(
        &mut self,
        id: u32,
        step: &Step,
        when: &Program,
        max: u32,
        body: Go,
    ) -> Result<(), Failure> {
        let mut cost = 0;
        let holds = self.holds(id, when, None, &mut cost);
        let Some(token) = self.state.token_mut(id) else { return Ok(()) };
        let Some(Frame::While { count, .. }) = token.frames.last_mut() else { return Ok(()) };
        let holds = match holds {
            Ok(holds) if !holds => false,
            Ok(_) if *count < max => true,
            failed => {
                // The loop itself failed: it is left, and a `try` around it may catch that.
                let message = format!("the loop has run {max} times and its condition still holds");
                token.frames.pop();
                return Err(failed.err().unwrap_or_else(|| Failure::new("limit.iterations", message)));
            }
        };
        if holds {
            *count += 1;
            let depth = u32::try_from(token.frames.len()).unwrap_or(u32::MAX);
            token.repeats.retain(|(_, at, _)| *at < depth);
            self.go(id, body);
        } else {
            let count = *count;
            token.frames.pop();
            self.record(id, step, |entry| {
                entry.output = Value::from(count);
                entry.cost = cost;
            });
            self.go(id, step.next);
        }
        Ok(())
    }

    fn repeat(&mut self, id: u32, step: &Step, max: u32) -> Result<(), Failure> {
        let Some(token) = self.state.token_mut(id) else { return Ok(()) };
        let (node, depth) = (token.at, u32::try_from(token.frames.len()).unwrap_or(u32::MAX));
        let known = token.repeats.iter().position(|(at, within, _)| (*at, *within) == (node, depth));
        let counter = match known.and_then(|at| token.repeats.get_mut(at)) {
            Some((_, _, counter)) => {
                *counter += 1;
                *counter
            }
            None => {
                token.repeats.push((node, depth, 1));
                1
            }
        };
        if counter > max {
            let message = format!("it has led back {max} times, the most that it may");
            return Err(Failure::new("limit.iterations", message));
        }
        self.record(id, step, |entry| entry.output = Value::from(counter));
        self.go(id, step.next);
        Ok(())
    }
}

/// Equality of the language: numbers by their value.
fn same(a: &Value, b: &Value) -> bool {
    a == b || ExprValue::from(a) == ExprValue::from(b)
}

fn span_of(value: &Value) -> Result<Span, Failure> {
    let read = match value {
        Value::Number(seconds) => seconds
            .as_f64()
            .and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok())
            .and_then(|span| u64::try_from(span.as_millis()).ok())
            .map(Span::from_millis),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    read.ok_or_else(|| {
        Failure::new("expression", format!("`{}` is no duration", crate::error::shorten_json(value)))
    })
}
