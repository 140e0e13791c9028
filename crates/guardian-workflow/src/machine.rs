//! The interpreter: a state, an input, and what is to be done next. It does no I/O, asks no clock and draws no number.

use std::collections::VecDeque;
use std::sync::Arc;

use guardian_core::Timestamp;
use guardian_expr::Budget;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

pub(crate) mod context;
mod events;
mod flow;
mod leaving;
pub(crate) mod state;
pub(crate) use events::overdue;
mod steps;

use context::{Context, RunView};
use state::{Phase, RunState, ScopeState, Status, Token, bytes_of, is_too_deep, weight};

use crate::action::Failure;
use crate::definition::{NodeId, SubVersion};
use crate::plan::{EachStep, Plan, Step};

/// Nodes that are entered in one go; then the state is kept before it goes on.
const BURST: u32 = 1000;
/// Signals that wait for somebody to listen.
pub(crate) const MAX_INBOX: usize = 1000;

/// A message to a run, taken in by whoever drives it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Message {
    /// A signal; it is kept until a node waits for it.
    Signal {
        /// Its name.
        name: String,
        /// What it carries.
        payload: Value,
    },
    /// A decision about an approval.
    Decide {
        /// The approval node.
        node: NodeId,
        /// Yes or no.
        approved: bool,
        /// Who decided.
        by: String,
        /// What they added.
        comment: String,
        /// Who may decide, where that was looked at: it decides about an item with these approvers alone, of the several that may wait at
        /// one node.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approvers: Option<Value>,
    },
    /// The end, wherever it stands.
    Cancel {
        /// Why.
        reason: String,
        /// Whether what was done is undone.
        compensate: bool,
    },
    /// Nothing new begins until it is resumed.
    Pause,
    /// It goes on.
    Resume,
    /// A run that failed or was cancelled goes on at a node of the outermost part, with its variables as they are.
    RetryFrom {
        /// The node.
        node: NodeId,
    },
    /// It goes on in another version; whoever sends it has made sure that it can.
    Migrate {
        /// The version's number.
        version: u64,
    },
}

impl Message {
    /// About how many bytes it has as JSON.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Signal { name, payload } => name.len() as u64 + weight(payload),
            Self::Decide { node, by, comment, .. } => (node.as_str().len() + by.len() + comment.len()) as u64,
            Self::Cancel { reason, .. } => reason.len() as u64,
            Self::RetryFrom { node } => node.as_str().len() as u64,
            Self::Pause | Self::Resume | Self::Migrate { .. } => 0,
        }
    }
}

/// What is to be done outside of the interpreter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// The host's action of a token.
    Call { token: u32, visit: u64, attempt: u32 },
    /// The definition of a sub-workflow.
    Load { token: u32, visit: u64, workflow: Arc<str>, version: SubVersion },
    /// The run goes on in another version, whose plan is needed.
    Migrate { version: u64 },
}

/// One entry of a run's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// Its number within the run, from 1.
    pub number: u64,
    /// The node.
    pub node: Arc<str>,
    /// The workflow, where it is a sub-workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Arc<str>>,
    /// Iterations of the loops around it, from the outermost, with dots in between.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub iteration: String,
    /// Which attempt.
    pub attempt: u32,
    /// When it was entered.
    pub started: Timestamp,
    /// When it was done.
    pub ended: Timestamp,
    /// What it was given.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub input: Value,
    /// What it gave.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
    /// The port that it went to, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Arc<str>>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Cost units of its expressions.
    #[serde(default)]
    pub cost: u64,
    /// Why conditions held, where the workflow asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
}

/// The plans of a run's scopes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plans(Vec<(u32, Arc<Plan>)>);

impl Plans {
    pub(crate) fn add(&mut self, scope: u32, plan: Arc<Plan>) {
        self.0.retain(|(each, _)| *each != scope);
        self.0.push((scope, plan));
    }

    pub(crate) fn keep(&mut self, scopes: &[u32]) {
        self.0.retain(|(scope, _)| scopes.contains(scope));
    }

    /// The node of a token, by its id.
    pub(crate) fn node_of(&self, token: &Token) -> Option<NodeId> {
        let name = match &token.undo {
            Some(undo) => Arc::clone(&undo.node),
            None => self.get(token.scope)?.id(token.at),
        };
        Some(NodeId::known(name))
    }

    pub(crate) fn get(&self, scope: u32) -> Option<&Arc<Plan>> {
        self.0.iter().find(|(each, _)| *each == scope).map(|(_, plan)| plan)
    }
}

fn too_deep() -> Failure {
    let message = format!("the value nests deeper than {}", state::MAX_NESTING);
    Failure::new("limit.nesting", message)
}

/// What has to happen before the next node is entered.
#[derive(Debug)]
pub(crate) enum Turn {
    /// A token came to the end of its part.
    EndPart(u32),
    /// A token failed at its node.
    Raise(u32, Failure),
    /// A token came to an `end`.
    Finish(u32, Value),
    /// A token has nothing further to do.
    Done(u32, Result<(), Failure>),
    /// The sub-workflow that a token waits for ended.
    SubDone(u32, Result<Value, Failure>),
}

impl Turn {
    fn token(&self) -> u32 {
        match self {
            Self::EndPart(id)
            | Self::Raise(id, _)
            | Self::Finish(id, _)
            | Self::Done(id, _)
            | Self::SubDone(id, _) => *id,
        }
    }
}

/// The interpreter at work on one run.
pub(crate) struct Machine<'a> {
    pub(crate) run: Uuid,
    pub(crate) state: &'a mut RunState,
    pub(crate) plans: &'a mut Plans,
    pub(crate) now: Timestamp,
    pub(crate) entries: &'a mut Vec<Entry>,
    pub(crate) effects: &'a mut Vec<Effect>,
    pub(crate) turns: VecDeque<Turn>,
}

impl RunState {
    /// The state of a run that begins now.
    pub(crate) fn new(workflow: Arc<str>, version: u64, plan: &Plan, input: Value, now: Timestamp) -> Self {
        let mut state = Self {
            status: Status::Running,
            paused: false,
            started: now,
            outcome: None,
            tokens: Vec::with_capacity(1),
            joins: Vec::new(),
            scopes: Vec::with_capacity(1),
            next_id: 0,
            steps: 0,
            entries: 0,
            undo: Vec::new(),
            inbox: VecDeque::new(),
            seen: 0,
            migrating: None,
            ending: None,
        };
        state.open(workflow, version, plan, input, 0, None, now);
        state
    }

    /// A new scope with a token at its start.
    #[expect(
        clippy::too_many_arguments,
        reason = "two callers, and each argument is a field of what it makes"
    )]
    pub(crate) fn open(
        &mut self,
        workflow: Arc<str>,
        version: u64,
        plan: &Plan,
        input: Value,
        depth: u32,
        join: Option<u32>,
        now: Timestamp,
    ) -> u32 {
        let scope = self.fresh();
        let variables: Map<String, Value> = plan.first.clone();
        let bytes = bytes_of(&variables);
        self.scopes.push(ScopeState { id: scope, workflow, version, depth, input, variables, bytes });
        self.spawn(scope, plan.start, join, 0, now);
        scope
    }

    pub(crate) fn spawn(
        &mut self,
        scope: u32,
        at: u32,
        join: Option<u32>,
        branch: u32,
        now: Timestamp,
    ) -> u32 {
        let id = self.fresh();
        self.tokens.push(Token {
            id,
            scope,
            join,
            branch,
            at,
            phase: Phase::Ready,
            frames: Vec::new(),
            repeats: Vec::new(),
            attempt: 1,
            visit: 0,
            entered: now,
            undo: None,
        });
        id
    }
}

impl Machine<'_> {
    /// Goes on until every token waits for something or the run is over. `true` if more is to do at once, after the state
    /// was kept.
    pub(crate) fn advance(&mut self) -> bool {
        self.overtime();
        for _ in 0..BURST {
            self.settle();
            if self.state.paused || self.state.status != Status::Running {
                return false;
            }
            let ready = self.state.tokens.iter().find(|token| token.phase == Phase::Ready);
            let Some(token) = ready.map(|token| token.id) else { return false };
            self.enter(token);
        }
        self.settle();
        self.state.tokens.iter().any(|token| token.phase == Phase::Ready)
    }

    pub(crate) fn plan(&self, scope: u32) -> Option<Arc<Plan>> {
        self.plans.get(scope).cloned()
    }

    /// The plan and the step of a token.
    pub(crate) fn place(&self, token: u32) -> Option<(Arc<Plan>, u32)> {
        let token = self.state.token(token)?;
        Some((self.plan(token.scope)?, token.at))
    }

    /// Calls `with` with what the expressions of a token see.
    pub(crate) fn see<T>(
        &self,
        token: u32,
        extra: Option<(&str, &Value)>,
        with: impl FnOnce(&Context<'_>, &Plan) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let lost = || Failure::new("internal", "the state of the run does not fit together");
        let token = self.state.token(token).ok_or_else(lost)?;
        let scope = self.state.scope(token.scope).ok_or_else(lost)?;
        let plan = self.plans.get(token.scope).ok_or_else(lost)?;
        let run = RunView {
            id: self.run,
            workflow: &scope.workflow,
            version: scope.version,
            started: self.state.started,
            now: self.now,
        };
        let context = Context { state: self.state, scope, token, plan, run, extra };
        with(&context, plan)
    }

    pub(crate) fn budget(plan: &Plan) -> Budget<'static> {
        Budget::default().with_cost(plan.limits.expression_cost)
    }

    /// A value that can be kept, or why not.
    pub(crate) fn keepable(value: Value) -> Result<Value, Failure> {
        if is_too_deep(&value) { Err(too_deep()) } else { Ok(value) }
    }

    /// The token and the frame that have a variable for themselves, where a loop around the token has it so.
    fn owner(&self, token: u32, name: &str) -> Option<(u32, usize)> {
        let mut token = self.state.token(token)?;
        let plan = self.plans.get(token.scope)?;
        if !plan.has_own {
            return None;
        }
        loop {
            for (at, frame) in token.frames.iter().enumerate().rev() {
                let Some((node, _)) = frame.own() else { continue };
                if plan.owns(node, name) {
                    return Some((token.id, at));
                }
            }
            let join = token.join?;
            let join = self.state.joins.iter().find(|each| each.id == join)?;
            token = self.state.token(join.token).filter(|parent| parent.scope == token.scope)?;
        }
    }

    /// Gives a variable a value.
    pub(crate) fn assign(&mut self, token: u32, name: &str, value: Value) -> Result<(), Failure> {
        let Some(scope) = self.state.token(token).map(|token| token.scope) else { return Ok(()) };
        let most = self.plans.get(scope).map_or(u64::MAX, |plan| plan.limits.variable_bytes);
        let owner = self.owner(token, name);
        let value = Self::keepable(value)?;
        let added = weight(&value);
        let RunState { scopes, tokens, .. } = &mut *self.state;
        let Some(scope) = scopes.iter_mut().find(|each| each.id == scope) else { return Ok(()) };
        let variables = match owner {
            Some((owner, at)) => tokens
                .iter_mut()
                .find(|token| token.id == owner)
                .and_then(|token| token.frames.get_mut(at))
                .and_then(state::Frame::own_mut),
            None => Some(&mut scope.variables),
        };
        let Some(variables) = variables else { return Ok(()) };
        let old = variables.get(name).map_or(0, |old| name.len() as u64 + weight(old));
        let bytes = scope.bytes.saturating_sub(old) + name.len() as u64 + added;
        if bytes > most {
            let message = format!("the variables would have {bytes} bytes with `{name}`, the most is {most}");
            return Err(Failure::new("limit.variable_bytes", message));
        }
        scope.bytes = bytes;
        match variables.get_mut(name) {
            Some(place) => *place = value,
            None => {
                variables.insert(name.to_owned(), value);
            }
        }
        Ok(())
    }

    /// Whether the variables that so many new elements of a loop have for themselves are within the limit, before any is made.
    fn room_for_own(&self, scope: u32, each: &EachStep, elements: u32) -> Result<(), Failure> {
        if each.own.is_empty() {
            return Ok(());
        }
        let first: u64 = each
            .own
            .iter()
            .filter_map(|(name, value)| Some(name.len() as u64 + weight(value.as_ref()?)))
            .fold(0, u64::saturating_add);
        let most = self.plans.get(scope).map_or(u64::MAX, |plan| plan.limits.variable_bytes);
        let now = self.state.scope(scope).map_or(0, |scope| scope.bytes);
        let bytes = first.saturating_mul(u64::from(elements)).saturating_add(now);
        if bytes > most {
            let message = format!(
                "the variables would have {bytes} bytes with those that elements have for themselves, the most is {most}"
            );
            return Err(Failure::new("limit.variable_bytes", message));
        }
        Ok(())
    }

    /// The variables that a new element of a loop has for itself; they count from now on.
    fn own_variables(&mut self, scope: u32, each: &EachStep) -> Map<String, Value> {
        let first = each.own.iter().filter_map(|(name, value)| Some((name.to_string(), value.clone()?)));
        let own: Map<String, Value> = first.collect();
        if let Some(scope) = self.state.scope_mut(scope) {
            scope.bytes += bytes_of(&own);
        }
        own
    }

    /// Bytes of variables that are no more.
    fn free(&mut self, scope: u32, bytes: u64) {
        if let Some(scope) = self.state.scope_mut(scope) {
            scope.bytes = scope.bytes.saturating_sub(bytes);
        }
    }

    /// Adds an entry to the history for what a token did at its node.
    pub(crate) fn record(&mut self, token: u32, step: &Step, fill: impl FnOnce(&mut Entry)) {
        self.state.entries += 1;
        let number = self.state.entries;
        let Some(token) = self.state.token(token) else { return };
        let mut entry = Entry {
            number,
            node: Arc::clone(&step.id),
            workflow: self.within(token.scope),
            iteration: self.iteration(token),
            attempt: token.attempt,
            started: token.entered,
            ended: self.now,
            input: Value::Null,
            output: Value::Null,
            port: None,
            failure: None,
            cost: 0,
            explanation: None,
        };
        fill(&mut entry);
        self.entries.push(entry);
    }

    /// The name of the sub-workflow that a scope is; `None` for the run's own.
    fn within(&self, scope: u32) -> Option<Arc<str>> {
        if self.state.scopes.first().is_some_and(|first| first.id == scope) {
            return None;
        }
        self.state.scope(scope).map(|scope| Arc::clone(&scope.workflow))
    }

    fn iteration(&self, token: &Token) -> String {
        if token.frames.is_empty() && token.join.is_none() {
            return String::new();
        }
        let mut counters = Vec::new();
        let mut token = token;
        loop {
            counters.extend(token.frames.iter().rev().filter_map(|frame| match frame {
                state::Frame::Each { index, .. } | state::Frame::Item { index, .. } => Some(*index),
                state::Frame::While { count, .. } => Some(count.saturating_sub(1)),
                state::Frame::Try { .. } => None,
            }));
            let parent = token
                .join
                .and_then(|join| self.state.joins.iter().find(|each| each.id == join))
                .and_then(|join| self.state.token(join.token));
            match parent {
                Some(parent) => token = parent,
                None => break,
            }
        }
        counters.iter().rev().map(ToString::to_string).collect::<Vec<_>>().join(".")
    }

    /// When the run has taken too long.
    pub(crate) fn run_time_ends(state: &RunState, plans: &Plans) -> Option<Timestamp> {
        let scope = state.scopes.first()?;
        Some(plans.get(scope.id)?.limits.run_time.after(state.started))
    }

    /// A run that takes too long fails, whatever it does.
    fn overtime(&mut self) {
        if self.state.status == Status::Running
            && Self::run_time_ends(self.state, self.plans).is_some_and(|end| self.now >= end)
        {
            self.fail(Failure::new("limit.run_time", "the run has taken longer than its workflow allows"));
        }
    }
}
