//! Tries a definition out: on a virtual clock, with stubs in the place of actions.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::action::{Catalog, Failure};
use crate::definition::{Definition, Node, NodeId, NodeKind, Span};
use crate::error::Error;
use crate::machine::state::{Outcome, Phase, RunState};
use crate::machine::{Effect, Entry, Machine, Message, Plans};
use crate::plan::{Op, Plan};

mod coverage;
mod replay;
mod table;

pub use coverage::Coverage;
pub use replay::{Replay, replay};
pub use table::{Expectation, TestCase, TestReport, TestResult, TestTable, run_table};

/// What stands in for the world.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Stubs {
    /// What actions give, by the node's id or else the action's name: one thing always, or a list of things in turn, the
    /// last of which stays.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub actions: BTreeMap<String, Answers>,
    /// What sub-workflows give, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub workflows: BTreeMap<String, Answers>,
    /// Signals and when they come, from the beginning.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<Signal>,
    /// Signals that come as soon as the node waits, by its id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub waits: BTreeMap<String, Vec<Value>>,
    /// How approvals are decided, by the node's id; without one nobody decides.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub decisions: BTreeMap<String, bool>,
}

/// One answer always, or several in turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Answers {
    /// In turn; the last one stays.
    InTurn(Vec<Answer>),
    /// Always this one.
    Always(Answer),
}

/// What an action gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Answer {
    /// A result.
    Result(Value),
    /// A failure with this code.
    Fail(String),
}

/// A signal and when it comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Signal {
    /// Its name.
    pub name: String,
    /// When, from the beginning.
    #[serde(default)]
    pub at: Span,
    /// What it carries.
    #[serde(default)]
    pub payload: Value,
}

/// A call of an action that the simulation saw.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StubCall {
    /// The node.
    pub node: String,
    /// The action.
    pub action: String,
    /// What it was given.
    pub params: Value,
}

/// What a simulation came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Trace {
    /// How it ended; `None` if it waits for what never comes.
    pub outcome: Option<Outcome>,
    /// The nodes at which it waits then.
    pub waiting: Vec<String>,
    /// Every step.
    pub entries: Vec<Entry>,
    /// The calls, in their order.
    pub calls: Vec<StubCall>,
    /// The variables at the end.
    pub variables: Map<String, Value>,
    /// Cost units of all expressions.
    pub cost: u64,
    /// The virtual time that it took.
    pub time: Span,
}

impl Trace {
    /// The nodes in their order.
    pub fn path(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| &*entry.node)
    }
}

/// Where a simulation begins in time: 2020-01-01T00:00:00Z.
const BEGINNING: i64 = 1_577_836_800;
/// Turns after which a simulation gives up.
const MAX_TURNS: u32 = 100_000;

/// Runs a definition with stubs on a virtual clock, which leaps from timer to timer. It does no I/O and needs no store.
///
/// ```
/// use guardian_workflow::simulate::{Stubs, simulate};
/// use guardian_workflow::{ActionSpec, Catalog, Definition, Outcome};
/// use serde_json::json;
///
/// let definition = Definition::from_value(json!({"schema": 1, "name": "remind", "start": "wait",
///     "nodes": {"wait": {"type": "wait", "for": {"duration": "3d"}},
///               "mail": {"type": "action", "action": "mail", "params": {"to": "=input.to"}, "output": "sent"},
///               "end": {"type": "end", "result": "=sent"}},
///     "edges": [{"from": "wait", "to": "mail"}, {"from": "mail", "to": "end"}]}))?;
/// let catalog = Catalog::new().with(ActionSpec::new("mail"))?;
/// let stubs: Stubs = serde_json::from_value(json!({"actions": {"mail": {"result": "ok"}}})).unwrap();
/// let trace = simulate(&definition, &catalog, json!({"to": "ann"}), &stubs)?;
/// assert_eq!(trace.outcome, Some(Outcome::Result(json!("ok"))));
/// assert_eq!(trace.time.to_string(), "3d");
/// assert_eq!(trace.calls[0].params, json!({"to": "ann"}));
/// # Ok::<(), guardian_workflow::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] for a definition that makes no sense, [`Error::Input`] for an input that does not fit.
pub fn simulate(
    definition: &Definition,
    catalog: &Catalog,
    input: Value,
    stubs: &Stubs,
) -> Result<Trace, Error> {
    let plan = Arc::new(Plan::new(definition, catalog)?);
    run(&plan, &definition.name, input, stubs)
}

pub(crate) fn run(plan: &Arc<Plan>, name: &str, input: Value, stubs: &Stubs) -> Result<Trace, Error> {
    if let Some(why) = plan.input.as_ref().and_then(|schema| crate::schema::misfit(schema, &input)) {
        return Err(Error::Input { why });
    }
    let begin = Timestamp::from_timestamp(BEGINNING, 0).unwrap_or_default();
    let state = RunState::new(name.into(), 1, plan, input, begin);
    let mut plans = Plans::default();
    if let Some(first) = state.scopes.first() {
        plans.add(first.id, Arc::clone(plan));
    }
    let mut world = World {
        stubs,
        state,
        plans,
        now: begin,
        begin,
        entries: Vec::new(),
        calls: Vec::new(),
        turns: BTreeMap::new(),
        signals: stubs.signals.iter().collect(),
    };
    world.signals.make_contiguous().sort_by_key(|signal| signal.at);
    world.go();
    Ok(world.trace())
}

struct World<'s> {
    stubs: &'s Stubs,
    state: RunState,
    plans: Plans,
    now: Timestamp,
    begin: Timestamp,
    entries: Vec<Entry>,
    calls: Vec<StubCall>,
    /// How often each answer was given.
    turns: BTreeMap<String, usize>,
    signals: VecDeque<&'s Signal>,
}

impl World<'_> {
    fn drive(&mut self, first: impl FnOnce(&mut Machine<'_>)) -> (Vec<Effect>, bool) {
        let mut effects = Vec::new();
        let mut machine = Machine {
            run: Uuid::nil(),
            state: &mut self.state,
            plans: &mut self.plans,
            now: self.now,
            entries: &mut self.entries,
            effects: &mut effects,
            turns: VecDeque::new(),
        };
        first(&mut machine);
        machine.settle();
        machine.ring();
        let more = machine.advance();
        (effects, more)
    }

    fn go(&mut self) {
        let (mut effects, mut more) = self.drive(|_| {});
        for _ in 0..MAX_TURNS {
            if let Some(effect) = (!effects.is_empty()).then(|| effects.remove(0)) {
                let (new, again) = self.answer(effect);
                effects.extend(new);
                more |= again;
            } else if more {
                (effects, more) = self.drive(|_| {});
            } else if self.state.status.is_final() {
                return;
            } else if let Some(message) = self.awaited() {
                (effects, more) = self.drive(|machine| machine.take(message));
            } else {
                let timer = self.state.due(self.now, Machine::run_time_ends(&self.state, &self.plans));
                let next = self.signals.front().map(|signal| signal.at.after(self.begin));
                // What waits for a message alone ends with the run's time, which nobody wants to sit out.
                let real = self.state.due(self.now, None);
                match (real, next) {
                    (_, Some(next)) if timer.is_none_or(|timer| next <= timer) => {
                        self.now = self.now.max(next);
                        if let Some(signal) = self.signals.pop_front() {
                            let message = Message::Signal {
                                name: signal.name.clone(),
                                payload: signal.payload.clone(),
                            };
                            (effects, more) = self.drive(|machine| machine.take(message));
                        }
                    }
                    (Some(_), _) => {
                        self.now = timer.map_or(self.now, |timer| self.now.max(timer));
                        (effects, more) = self.drive(|_| {});
                    }
                    (None, _) => return,
                }
            }
        }
    }

    /// What comes to a node that waits, if the stubs say so.
    fn awaited(&mut self) -> Option<Message> {
        for token in &self.state.tokens {
            let plan = self.plans.get(token.scope)?;
            let node = plan.id(token.at);
            match (&token.phase, plan.step(token.at).map(|step| &step.op)) {
                (Phase::Approving { .. }, _) => {
                    if let Some(approved) = self.stubs.decisions.get(&*node) {
                        let node = NodeId::new(&*node).ok()?;
                        let (by, comment) = ("stub".to_owned(), String::new());
                        return Some(Message::Decide {
                            node,
                            approved: *approved,
                            by,
                            comment,
                            approvers: None,
                        });
                    }
                }
                (Phase::Listening { .. }, Some(Op::Signal(signal))) => {
                    let given = self.turns.entry(format!("wait {node}")).or_default();
                    if let Some(payload) = self.stubs.waits.get(&*node).and_then(|all| all.get(*given)) {
                        *given += 1;
                        return Some(Message::Signal {
                            name: signal.name.to_string(),
                            payload: payload.clone(),
                        });
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The next answer under one of these keys.
    fn next(
        &mut self,
        keys: &[String],
        of: impl Fn(&Stubs, &str) -> Option<Answers>,
    ) -> Result<Value, Failure> {
        for key in keys {
            let Some(answers) = of(self.stubs, key) else { continue };
            let turn = self.turns.entry(key.clone()).or_default();
            let answer = match &answers {
                Answers::Always(answer) => Some(answer),
                Answers::InTurn(all) => all.get(*turn).or(all.last()),
            };
            *turn += 1;
            match answer {
                Some(Answer::Result(value)) => return Ok(value.clone()),
                Some(Answer::Fail(code)) => {
                    return Err(Failure::new(code.clone(), "a stub failed as it was told"));
                }
                None => {}
            }
        }
        let asked = keys.last().map(String::as_str).unwrap_or_default();
        Err(Failure::new("no_stub", format!("there is no stub for `{asked}`")))
    }

    fn answer(&mut self, effect: Effect) -> (Vec<Effect>, bool) {
        match effect {
            Effect::Call { token, visit, attempt } => {
                let Some(at) = self.state.token(token) else { return (Vec::new(), false) };
                let Phase::Running { params, .. } = &at.phase else { return (Vec::new(), false) };
                let params = params.clone();
                let (node, action) = match (&at.undo, self.plans.get(at.scope)) {
                    (Some(undo), _) => (undo.node.to_string(), undo.action.to_string()),
                    (None, Some(plan)) => match plan.step(at.at).map(|step| (&step.id, &step.op)) {
                        Some((id, Op::Action(action))) => (id.to_string(), action.action.to_string()),
                        _ => return (Vec::new(), false),
                    },
                    (None, None) => return (Vec::new(), false),
                };
                let is_undo = at.undo.is_some();
                self.calls.push(StubCall { node: node.clone(), action: action.clone(), params });
                let keys = if is_undo { vec![action] } else { vec![node, action] };
                let result = self.next(&keys, |stubs, key| stubs.actions.get(key).cloned());
                self.drive(|machine| machine.attempted(token, visit, attempt, result))
            }
            Effect::Load { token, visit, workflow, .. } => {
                let keys = [workflow.to_string()];
                let result = self.next(&keys, |stubs, key| stubs.workflows.get(key).cloned());
                let found = result.and_then(|value| {
                    stand_in(&workflow, value).ok_or_else(|| Failure::new("no_stub", "a stub cannot be made"))
                });
                self.drive(|machine| machine.loaded(token, visit, found.map(|plan| (1, plan))))
            }
            Effect::Migrate { .. } => (Vec::new(), false),
        }
    }

    fn trace(self) -> Trace {
        let waiting = self
            .state
            .tokens
            .iter()
            .filter(|token| token.phase != Phase::Joining)
            .filter_map(|token| Some(self.plans.get(token.scope)?.id(token.at).to_string()))
            .collect();
        let time = self.now.signed_duration_since(self.begin).num_milliseconds();
        Trace {
            outcome: self.state.outcome.clone(),
            waiting,
            cost: self.entries.iter().map(|entry| entry.cost).sum(),
            entries: self.entries,
            calls: self.calls,
            variables: self.state.variables().clone(),
            time: Span::from_millis(u64::try_from(time).unwrap_or(0)),
        }
    }
}

/// A workflow that gives this value.
fn stand_in(name: &str, value: Value) -> Option<Arc<Plan>> {
    let start = NodeId::new("stub").ok()?;
    // Through a variable, so that no text in it is taken for an expression.
    let end = Node::new(NodeKind::End { result: Some(Value::from("=given")) });
    let mut definition = Definition::new(name, start, end);
    let variable = crate::definition::Variable { schema: None, value: Some(value) };
    definition.variables.insert(crate::definition::VariableName::new("given").ok()?, variable);
    Plan::new(&definition, &Catalog::new()).ok().map(Arc::new)
}
