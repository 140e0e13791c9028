//! A definition, ready to run: expressions compiled, edges resolved.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use guardian_expr::Program;
use serde_json::{Map, Value};

use crate::action::Catalog;
use crate::definition::{Definition, Join, Limits, NodeId, Retry, Span, SubVersion, Trigger};
use crate::environment::environment;
use crate::error::Error;
use crate::template::Template;
use crate::validate::graph::Graph;
use crate::validate::{Code, Report, flow};

mod compiler;

use compiler::Compiler;

/// Where it goes on: `None` at the end of the part.
pub(crate) type Go = Option<u32>;

/// A definition that can be interpreted. It is shared by the runs of its version.
#[derive(Debug)]
pub struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) index: HashMap<Arc<str>, u32>,
    pub(crate) start: u32,
    pub(crate) limits: Limits,
    pub(crate) compensate_on_failure: bool,
    pub(crate) explain: bool,
    pub(crate) first: Map<String, Value>,
    pub(crate) input: Option<Value>,
    pub(crate) filters: Vec<(Arc<str>, Trigger, Option<Arc<Program>>)>,
    /// Whether elements of any loop have variables for themselves.
    pub(crate) has_own: bool,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) id: Arc<str>,
    pub(crate) op: Op,
    pub(crate) next: Go,
    /// Whether it stands in the outermost part.
    pub(crate) outermost: bool,
}

#[derive(Debug)]
pub(crate) struct ActionStep {
    pub(crate) action: Arc<str>,
    pub(crate) params: Template,
    pub(crate) output: Option<Arc<str>>,
    pub(crate) retry: Vec<Retry>,
    pub(crate) timeout: Option<Span>,
    pub(crate) compensate: Option<(Arc<str>, Template)>,
    pub(crate) error: Go,
}

#[derive(Debug)]
pub(crate) struct EachStep {
    pub(crate) items: Arc<Program>,
    pub(crate) element: Arc<str>,
    pub(crate) index: Option<Arc<str>>,
    pub(crate) concurrency: u32,
    pub(crate) max: u32,
    pub(crate) body: Go,
    pub(crate) collect: Option<(Arc<Program>, Arc<str>)>,
    /// The variables that each element has for itself, with their first values.
    pub(crate) own: Vec<(Arc<str>, Option<Value>)>,
}

#[derive(Debug)]
pub(crate) struct ApprovalStep {
    pub(crate) prompt: Template,
    pub(crate) approvers: Template,
    pub(crate) timeout: Option<Span>,
    pub(crate) output: Option<Arc<str>>,
    pub(crate) approved: Go,
    pub(crate) rejected: Go,
    pub(crate) late: Go,
}

#[derive(Debug)]
pub(crate) struct SignalStep {
    pub(crate) name: Arc<str>,
    pub(crate) filter: Option<Arc<Program>>,
    pub(crate) timeout: Option<Span>,
    pub(crate) output: Option<Arc<str>>,
    pub(crate) late: Go,
}

#[derive(Debug)]
pub(crate) struct SubStep {
    pub(crate) workflow: Arc<str>,
    pub(crate) version: SubVersion,
    pub(crate) input: Template,
    pub(crate) output: Option<Arc<str>>,
    pub(crate) error: Go,
}

#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) on: Vec<String>,
    pub(crate) output: Option<Arc<str>>,
    pub(crate) port: Arc<str>,
    pub(crate) go: Go,
}

/// A way that a decision may take.
#[derive(Debug)]
pub(crate) struct Way<T> {
    pub(crate) port: Arc<str>,
    pub(crate) when: T,
    pub(crate) go: Go,
}

#[derive(Debug)]
pub(crate) enum Op {
    Action(Box<ActionStep>),
    Condition { ways: Vec<Way<Arc<Program>>>, otherwise: Go },
    Switch { on: Arc<Program>, ways: Vec<Way<Value>>, default: Go },
    ForEach(Box<EachStep>),
    While { when: Arc<Program>, max: u32, body: Go },
    Repeat { max: u32 },
    Parallel { branches: Vec<(Arc<str>, Go)>, join: Join },
    Race { branches: Vec<(Arc<str>, Go)> },
    Sleep { duration: Template },
    Until { time: Template },
    Signal(Box<SignalStep>),
    Approval(Box<ApprovalStep>),
    Sub(Box<SubStep>),
    Set { values: Vec<(Arc<str>, Template)> },
    Try { body: Go, retry: Vec<Retry>, handlers: Vec<Handler>, finally: Go },
    End { result: Option<Template> },
    Fail { code: Template, message: Template },
}

/// When an expression of a node is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Entry,
    BodyEnd,
    Done,
}

/// What an expression reads.
#[derive(Debug)]
pub(crate) struct Reads {
    pub(crate) moment: Moment,
    pub(crate) path: String,
    pub(crate) variables: Arc<BTreeSet<String>>,
}

/// How a definition is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Before it is saved: everything counts.
    Full,
    /// To run what was saved: the host's actions may have changed since, which shows when it runs.
    Load,
}

/// Validates a definition and prepares it; the plan is there if nothing keeps it from running.
pub(crate) fn compile(
    definition: &Definition,
    catalog: &Catalog,
    strictness: Strictness,
) -> (Report, Option<Plan>) {
    let mut report = Report::default();
    let (env, faults) = environment(definition, catalog);
    for (pointer, message) in faults {
        report.add_at(Code::InvalidSchema, None, pointer, message, "write a JSON Schema");
    }
    compiler::check_whole(definition, &mut report);
    let graph = Graph::new(definition, &mut report);
    let mut compiler = Compiler::new(definition, catalog, env, strictness);
    let mut steps = Vec::with_capacity(definition.nodes.len());
    let mut reads = Vec::with_capacity(definition.nodes.len());
    for (id, node) in &definition.nodes {
        let step = compiler.step(id, node, graph.as_ref(), &mut report);
        reads.push(std::mem::take(&mut compiler.reads));
        steps.push(step);
    }
    let filters = compiler.filters(&mut report);
    if let Some(graph) = &graph
        && strictness == Strictness::Full
    {
        flow::check(definition, graph, &reads, &mut report);
    }
    report.findings.sort_by(|a, b| a.node.cmp(&b.node).then(a.code.cmp(&b.code)));
    let built = graph.filter(|_| report.is_valid()).and_then(|graph| {
        let steps: Vec<Step> = steps.into_iter().collect::<Option<_>>()?;
        let start = graph.index.get(definition.start.as_str()).copied()?;
        let has_own = steps.iter().any(|step| matches!(&step.op, Op::ForEach(each) if !each.own.is_empty()));
        Some(Plan {
            has_own,
            index: steps.iter().zip(0..).map(|(step, at)| (Arc::clone(&step.id), at)).collect(),
            steps,
            start,
            limits: definition.settings.limits.clone(),
            compensate_on_failure: definition.settings.compensate_on_failure,
            explain: definition.settings.explain,
            first: definition
                .variables
                .iter()
                .filter_map(|(name, variable)| Some((name.as_str().to_owned(), variable.value.clone()?)))
                .collect(),
            input: definition.input.clone(),
            filters,
        })
    });
    (report, built)
}

impl Plan {
    /// Prepares a definition that was validated.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what is wrong.
    pub fn new(definition: &Definition, catalog: &Catalog) -> Result<Self, Error> {
        let (report, plan) = compile(definition, catalog, Strictness::Full);
        plan.ok_or_else(|| Error::Invalid { report: Box::new(report) })
    }

    /// Prepares one that was saved before.
    pub(crate) fn load(definition: &Definition, catalog: &Catalog) -> Result<Self, Error> {
        let (report, plan) = compile(definition, catalog, Strictness::Load);
        plan.ok_or_else(|| Error::Invalid { report: Box::new(report) })
    }

    pub(crate) fn step(&self, at: u32) -> Option<&Step> {
        self.steps.get(at as usize)
    }

    /// The trigger that is a webhook with this path.
    pub(crate) fn webhook(&self, path: &str) -> Option<NodeId> {
        let found = self
            .filters
            .iter()
            .find(|(_, trigger, _)| matches!(trigger, Trigger::Webhook { path: own } if own == path));
        found.map(|(id, _, _)| NodeId::known(Arc::clone(id)))
    }

    /// Whether each element of a loop has a variable for itself.
    pub(crate) fn owns(&self, node: u32, name: &str) -> bool {
        let step = self.step(node).map(|step| &step.op);
        matches!(step, Some(Op::ForEach(each)) if each.own.iter().any(|(own, _)| **own == *name))
    }

    pub(crate) fn id(&self, at: u32) -> Arc<str> {
        self.step(at).map_or_else(|| Arc::from(""), |step| Arc::clone(&step.id))
    }
}
