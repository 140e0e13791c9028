//! Compiles the nodes of a definition one by one, and says what is wrong in each.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use guardian_expr::{Env, Error as ExprError, Program, Type};
use serde_json::Value;

use super::{
    ActionStep, ApprovalStep, EachStep, Go, Handler, Moment, Op, Reads, SignalStep, Step, Strictness,
    SubStep, Way,
};
use crate::action::Catalog;
use crate::definition::{Catch, Definition, Join, Node, NodeId, NodeKind, Port, Retry, Span, Trigger, Wait};
use crate::schema;
use crate::template::{self, Template};
use crate::validate::graph::Graph;
use crate::validate::{Code, Report, secrets};

pub(super) struct Compiler<'d> {
    definition: &'d Definition,
    catalog: &'d Catalog,
    env: Env,
    strictness: Strictness,
    /// What the expressions of the node read.
    pub(super) reads: Vec<Reads>,
    /// Expressions that were compiled: the same text means the same at every node.
    known: HashMap<String, Known>,
}

/// An expression that was compiled.
#[derive(Clone)]
struct Known {
    program: Arc<Program>,
    variables: Arc<BTreeSet<String>>,
}

/// What a value is to be.
#[derive(Clone, Copy, PartialEq)]
enum Want {
    Any,
    Bool,
    List,
}

impl<'d> Compiler<'d> {
    pub(super) fn new(
        definition: &'d Definition,
        catalog: &'d Catalog,
        env: Env,
        strictness: Strictness,
    ) -> Self {
        Self { definition, catalog, env, strictness, reads: Vec::new(), known: HashMap::new() }
    }

    /// An expression of a node, or `None` after a report.
    fn expression(
        &mut self,
        node: &NodeId,
        path: &str,
        source: &str,
        (want, moment): (Want, Moment),
        report: &mut Report,
    ) -> Option<Arc<Program>> {
        if let Some(known) = self.known.get(source).cloned() {
            if self.strictness == Strictness::Full {
                self.judge(node, path, &known.program, want, report);
                self.reads(moment, path, known.variables);
            }
            return Some(known.program);
        }
        let program = match self.env.compile(source) {
            Ok(program) => program,
            Err(error) => {
                let unchecked = self.env.compile_unchecked(source);
                if self.strictness == Strictness::Load
                    && let Ok(program) = unchecked
                {
                    return Some(Arc::new(program));
                }
                let code = if unchecked.is_err() { Code::Syntax } else { Code::TypeError };
                let mend = hint(&error).unwrap_or_else(|| "correct the expression".to_owned());
                report.add_at(code, Some(node), path.to_owned(), error.to_string(), mend);
                return None;
            }
        };
        let program = Arc::new(program);
        let mut variables = Arc::default();
        if self.strictness == Strictness::Full {
            self.judge(node, path, &program, want, report);
            variables = Arc::new(program.references().variables);
            self.reads(moment, path, Arc::clone(&variables));
        }
        self.known.insert(source.to_owned(), Known { program: Arc::clone(&program), variables });
        Some(program)
    }

    fn reads(&mut self, moment: Moment, path: &str, variables: Arc<BTreeSet<String>>) {
        if !variables.is_empty() {
            self.reads.push(Reads { moment, path: path.to_owned(), variables });
        }
    }

    fn judge(&self, node: &NodeId, path: &str, program: &Program, want: Want, report: &mut Report) {
        let found = program.result_type();
        let plain = match found {
            Type::Nullable(inner) => inner,
            other => other,
        };
        let (fits, wanted) = match want {
            Want::Any => (true, ""),
            Want::Bool => (matches!(plain, Type::Bool | Type::Dyn), "bool"),
            Want::List => (matches!(plain, Type::List(_) | Type::Dyn), "list"),
        };
        if !fits {
            let message = format!(
                "`{}` is of the type {found}, not {wanted}",
                guardian_core::shorten(program.source())
            );
            report.add_at(
                Code::TypeError,
                Some(node),
                path.to_owned(),
                message,
                format!("make it a {wanted}"),
            );
        } else if want == Want::Bool {
            for lint in program.lint() {
                let message = lint.message.clone();
                report.add_at(
                    Code::Suspicious,
                    Some(node),
                    path.to_owned(),
                    message,
                    "look at the condition again",
                );
            }
        }
    }

    fn template(
        &mut self,
        node: &NodeId,
        path: &str,
        value: &Value,
        moment: Moment,
        report: &mut Report,
    ) -> Option<Template> {
        let mut complete = true;
        let built = Template::new(value, path, &mut |path, source| {
            let program = self.expression(node, path, source, (Want::Any, moment), report);
            complete &= program.is_some();
            program
        });
        if self.strictness == Strictness::Full {
            let (mut found, mut named) = (Vec::new(), BTreeSet::new());
            secrets::look(value, path, &mut found, &mut named);
            for place in found {
                report.add_at(
                    Code::SecretLiteral,
                    Some(node),
                    place,
                    "it looks like a secret, and everybody who may see the definition would see it"
                        .to_owned(),
                    "name it in `secrets` and write `{\"$secret\": \"its name\"}`",
                );
            }
            for name in named.iter().filter(|name| !self.definition.secrets.contains(*name)) {
                let message = format!("the secret `{name}` is not named in `secrets`");
                report.add_at(
                    Code::UnknownSecret,
                    Some(node),
                    path.to_owned(),
                    message,
                    format!("add `{name}` to `secrets`"),
                );
            }
        }
        complete.then_some(built)
    }

    /// A text that may be an expression.
    fn text(&mut self, node: &NodeId, path: &str, text: &str, report: &mut Report) -> Option<Template> {
        self.template(node, path, &Value::from(text), Moment::Entry, report)
    }

    /// The triggers with their filters.
    pub(super) fn filters(&mut self, report: &mut Report) -> Vec<(Arc<str>, Trigger, Option<Arc<Program>>)> {
        let definition = self.definition;
        let mut filters = Vec::new();
        for (id, trigger) in &definition.triggers {
            let program = match trigger {
                Trigger::Event { filter: Some(filter), .. } => {
                    let wanted = (Want::Bool, Moment::Entry);
                    let program = self.expression(id, "/filter", filter, wanted, report);
                    let reads = std::mem::take(&mut self.reads);
                    for name in
                        reads.iter().flat_map(|reads| reads.variables.iter()).filter(|name| *name != "event")
                    {
                        let message = format!("a filter sees `event` alone, not `{name}`");
                        report.add_at(
                            Code::MaybeUnset,
                            Some(id),
                            "/filter".to_owned(),
                            message,
                            "use `event.data`",
                        );
                    }
                    program
                }
                Trigger::Webhook { path } => {
                    self.topic(id, "/path", path, report);
                    None
                }
                _ => None,
            };
            if let Trigger::Event { event, .. } = trigger {
                self.topic(id, "/event", event, report);
            }
            filters.push((id.as_str().into(), trigger.clone(), program));
        }
        filters
    }

    /// What a trigger listens to is a text by which it can be found.
    fn topic(&self, id: &NodeId, path: &str, topic: &str, report: &mut Report) {
        let fits = (1..=500).contains(&topic.len()) && !topic.chars().any(char::is_control);
        if !fits && self.strictness == Strictness::Full {
            let message = "it has 1 to 500 bytes without control characters".to_owned();
            report.add_at(Code::OutOfBounds, Some(id), path.to_owned(), message, "give it another one");
        }
    }

    pub(super) fn step(
        &mut self,
        id: &NodeId,
        node: &Node,
        graph: Option<&Graph<'_>>,
        report: &mut Report,
    ) -> Option<Step> {
        let at = graph.and_then(|graph| graph.index.get(id.as_str())).copied();
        let next = graph.zip(at).and_then(|(graph, at)| graph.target(at, &Port::next()));
        let home = graph.zip(at).and_then(|(graph, at)| graph.home.get(at as usize).copied().flatten());
        let op = self.op(id, &node.kind, graph.zip(at), report)?;
        Some(Step { id: id.as_str().into(), op, next, outermost: home == Some(0) })
    }

    fn op(
        &mut self,
        id: &NodeId,
        kind: &NodeKind,
        place: Option<(&Graph<'_>, u32)>,
        report: &mut Report,
    ) -> Option<Op> {
        let definition = self.definition;
        let go = |port: &Port| -> Go { place.and_then(|(graph, at)| graph.target(at, port)) };
        let most = definition.settings.limits.iterations;
        Some(match kind {
            NodeKind::Action { action, params, output, retry, timeout, compensate } => {
                self.known_action(id, "/action", action, report);
                let built = self.params(id, "/params", action, params, Moment::Entry, report);
                check_retries(id, retry, report);
                let compensate = match compensate {
                    Some(undo) => {
                        self.known_action(id, "/compensate/action", &undo.action, report);
                        let path = "/compensate/params";
                        let params =
                            self.params(id, path, &undo.action, &undo.params, Moment::Done, report)?;
                        Some((undo.action.as_str().into(), params))
                    }
                    None => None,
                };
                Op::Action(Box::new(ActionStep {
                    action: action.as_str().into(),
                    params: built?,
                    output: output.clone().map(Into::into),
                    retry: retry.clone(),
                    timeout: *timeout,
                    compensate,
                    error: go(&Port::error()),
                }))
            }
            NodeKind::Condition { branches } => {
                if branches.is_empty() {
                    empty(id, "it has no branch", report);
                }
                let mut ways = Vec::with_capacity(branches.len());
                let mut complete = true;
                for (index, branch) in branches.iter().enumerate() {
                    let path = format!("/branches/{index}/when");
                    let wanted = (Want::Bool, Moment::Entry);
                    match self.expression(id, &path, &branch.when, wanted, report) {
                        Some(when) => {
                            ways.push(Way { port: branch.port.as_str().into(), when, go: go(&branch.port) });
                        }
                        None => complete = false,
                    }
                }
                complete.then(|| Op::Condition { ways, otherwise: go(&Port::otherwise()) })?
            }
            NodeKind::Switch { on, cases } => {
                if cases.is_empty() {
                    empty(id, "it has no case", report);
                }
                if go(&Port::default_case()).is_none() && self.strictness == Strictness::Full {
                    report.add(
                        Code::MissingDefault,
                        Some(id),
                        "what fits no case ends the part of the run here".to_owned(),
                        "lead an edge from its port `default`, perhaps to a `fail`",
                    );
                }
                let on = self.expression(id, "/on", on, (Want::Any, Moment::Entry), report)?;
                let way = |case: &crate::definition::Case| Way {
                    port: case.port.as_str().into(),
                    when: case.equals.clone(),
                    go: go(&case.port),
                };
                Op::Switch { on, ways: cases.iter().map(way).collect(), default: go(&Port::default_case()) }
            }
            NodeKind::ForEach { items, r#as, index, concurrency, max, collect, own } => {
                let body = go(&Port::body());
                if body.is_none() {
                    empty(id, "its body is empty", report);
                }
                bound(id, max.unwrap_or(most), most, report);
                if *concurrency == 0 {
                    report.add_at(
                        Code::OutOfBounds,
                        Some(id),
                        "/concurrency".to_owned(),
                        "no element at a time is too few".to_owned(),
                        "let it be 1 or more",
                    );
                }
                let program = self.expression(id, "/items", items, (Want::List, Moment::Entry), report);
                let collect = match collect {
                    Some(each) => {
                        let wanted = (Want::Any, Moment::BodyEnd);
                        let value = self.expression(id, "/collect/value", &each.value, wanted, report)?;
                        Some((value, each.output.clone().into()))
                    }
                    None => None,
                };
                Op::ForEach(Box::new(EachStep {
                    items: program?,
                    element: r#as.clone().into(),
                    index: index.clone().map(Into::into),
                    concurrency: *concurrency,
                    max: max.unwrap_or(most),
                    body,
                    collect,
                    own: own
                        .iter()
                        .map(|name| {
                            let known = definition.variables.get(name);
                            (name.clone().into(), known.and_then(|known| known.value.clone()))
                        })
                        .collect(),
                }))
            }
            NodeKind::While { when, max } => {
                let body = go(&Port::body());
                if body.is_none() {
                    empty(id, "its body is empty", report);
                }
                self.bounded(id, *max, most, report);
                let when = self.expression(id, "/when", when, (Want::Bool, Moment::Entry), report)?;
                Op::While { when, max: max.unwrap_or(most), body }
            }
            NodeKind::Repeat { max } => {
                self.bounded(id, *max, most, report);
                Op::Repeat { max: max.unwrap_or(most) }
            }
            NodeKind::Parallel { branches, join } => {
                if let Join::AtLeast(least) = join
                    && (*least == 0 || *least as usize > branches.len())
                {
                    let message = format!("it cannot wait for {least} of {} branches", branches.len());
                    report.add_at(
                        Code::OutOfBounds,
                        Some(id),
                        "/join".to_owned(),
                        message,
                        "wait for fewer, at least one",
                    );
                }
                self.branches(id, branches, report);
                let branches = branches.iter().map(|port| (port.as_str().into(), go(port))).collect();
                Op::Parallel { branches, join: *join }
            }
            NodeKind::Race { branches } => {
                self.branches(id, branches, report);
                Op::Race { branches: branches.iter().map(|port| (port.as_str().into(), go(port))).collect() }
            }
            NodeKind::Wait { r#for: Wait::Duration(text) } => {
                if template::expression_text(text).is_none() && text.parse::<Span>().is_err() {
                    invalid_time(
                        id,
                        "/for/duration",
                        text,
                        "write it like `90s`, `1h 30m` or `PT1H30M`",
                        report,
                    );
                }
                Op::Sleep { duration: self.text(id, "/for/duration", text, report)? }
            }
            NodeKind::Wait { r#for: Wait::Until(text) } => {
                if template::expression_text(text).is_none()
                    && text.parse::<guardian_core::Timestamp>().is_err()
                {
                    invalid_time(id, "/for/until", text, "write it like `2026-03-01T12:00:00Z`", report);
                }
                Op::Until { time: self.text(id, "/for/until", text, report)? }
            }
            NodeKind::Wait { r#for: Wait::Signal(until) } => {
                let filter = match &until.filter {
                    Some(filter) => {
                        let wanted = (Want::Bool, Moment::Entry);
                        Some(self.expression(id, "/for/signal/filter", filter, wanted, report)?)
                    }
                    None => None,
                };
                Op::Signal(Box::new(SignalStep {
                    name: until.name.as_str().into(),
                    filter,
                    timeout: until.timeout,
                    output: until.output.clone().map(Into::into),
                    late: go(&Port::timeout()),
                }))
            }
            NodeKind::Approval { prompt, approvers, timeout, output } => {
                Op::Approval(Box::new(ApprovalStep {
                    prompt: self.text(id, "/prompt", prompt, report)?,
                    approvers: self.template(id, "/approvers", approvers, Moment::Entry, report)?,
                    timeout: *timeout,
                    output: output.clone().map(Into::into),
                    approved: go(&Port::approved()),
                    rejected: go(&Port::rejected()),
                    late: go(&Port::timeout()),
                }))
            }
            NodeKind::SubWorkflow { workflow, version, input, output } => Op::Sub(Box::new(SubStep {
                workflow: workflow.as_str().into(),
                version: version.clone(),
                input: self.template(id, "/input", input, Moment::Entry, report)?,
                output: output.clone().map(Into::into),
                error: go(&Port::error()),
            })),
            NodeKind::Set { values } => {
                let mut built = Vec::with_capacity(values.len());
                for (name, value) in values {
                    let path = format!("/values/{name}");
                    let schema = definition.variables.get(name).and_then(|variable| variable.schema.as_ref());
                    if let Some(schema) = schema
                        && self.strictness == Strictness::Full
                        && let Some(why) = schema::misfit_template(schema, value, is_open)
                    {
                        report.add_at(
                            Code::InvalidValue,
                            Some(id),
                            path.clone(),
                            why,
                            "let the value fit the variable's schema",
                        );
                    }
                    built
                        .push((name.clone().into(), self.template(id, &path, value, Moment::Entry, report)?));
                }
                Op::Set { values: built }
            }
            NodeKind::Try { catch, retry } => {
                if go(&Port::body()).is_none() {
                    empty(id, "its body is empty", report);
                }
                check_retries(id, retry, report);
                if catch.is_empty() && retry.is_empty() && go(&Port::finally()).is_none() {
                    report.add(
                        Code::UselessTry,
                        Some(id),
                        "it catches nothing, and nothing comes last".to_owned(),
                        "add a `catch`, or an edge from its port `finally`",
                    );
                }
                let handler = |each: &Catch| Handler {
                    on: each.on.clone(),
                    output: each.output.clone().map(Into::into),
                    port: each.port.as_str().into(),
                    go: go(&each.port),
                };
                Op::Try {
                    body: go(&Port::body()),
                    retry: retry.clone(),
                    handlers: catch.iter().map(handler).collect(),
                    finally: go(&Port::finally()),
                }
            }
            NodeKind::End { result } => Op::End {
                result: match result {
                    Some(result) => Some(self.template(id, "/result", result, Moment::Entry, report)?),
                    None => None,
                },
            },
            NodeKind::Fail { code, message } => Op::Fail {
                code: self.text(id, "/code", code, report)?,
                message: self.text(id, "/message", message, report)?,
            },
        })
    }

    fn known_action(&self, id: &NodeId, path: &str, action: &str, report: &mut Report) {
        if self.strictness == Strictness::Full && self.catalog.get(action).is_none() {
            let mend = match self.catalog.nearest(action) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "register the action, or use another".to_owned(),
            };
            let message = format!("there is no action `{}`", guardian_core::shorten(action));
            report.add_at(Code::UnknownAction, Some(id), path.to_owned(), message, mend);
        }
    }

    /// Parameters, and whether they fit the schema of the action.
    fn params(
        &mut self,
        id: &NodeId,
        path: &str,
        action: &str,
        params: &Value,
        moment: Moment,
        report: &mut Report,
    ) -> Option<Template> {
        let built = self.template(id, path, params, moment, report)?;
        let schema = self.catalog.get(action).and_then(|spec| spec.parameters.as_ref());
        if let (Some(schema), Strictness::Full) = (schema, self.strictness) {
            let empty = Value::Object(serde_json::Map::new());
            let given = if params.is_null() { &empty } else { params };
            let fault = schema::misfit_template(schema, given, is_open)
                .or_else(|| misfit(schema, schema, &built, ""));
            if let Some(why) = fault {
                report.add_at(
                    Code::Parameters,
                    Some(id),
                    path.to_owned(),
                    why,
                    format!("give `{action}` what its schema asks for"),
                );
            }
        }
        Some(built)
    }

    fn bounded(&self, id: &NodeId, max: Option<u32>, most: u32, report: &mut Report) {
        match max {
            Some(max) => bound(id, max, most, report),
            None => report.add(
                Code::UnboundedLoop,
                Some(id),
                "it does not say how often it repeats at most".to_owned(),
                format!("add `max`, at most {most}"),
            ),
        }
    }

    fn branches(&self, id: &NodeId, branches: &[Port], report: &mut Report) {
        if branches.is_empty() {
            empty(id, "it has no branch", report);
        }
        for port in branches {
            if port.is_next() {
                let message = "a branch cannot be called `next`, where the node itself goes on".to_owned();
                report.add(Code::DuplicatePort, Some(id), message, "give the branch another name");
            }
        }
        let most = self.definition.settings.limits.width as usize;
        if branches.len() > most {
            let message = format!("it has {} branches, the most is {most}", branches.len());
            report.add(
                Code::OutOfBounds,
                Some(id),
                message,
                "use fewer branches, or `for_each` with `concurrency`",
            );
        }
    }
}

/// Whether what a value will be is not known.
fn is_open(value: &Value) -> bool {
    template::expression(value).is_some() || value.get(secrets::SECRET).is_some()
}

/// Why the type of an expression does not fit its place in a schema.
fn misfit(root: &Value, schema: &Value, template: &Template, path: &str) -> Option<String> {
    match template {
        Template::Literal(_) => None,
        Template::Computed(program) => {
            let allowed: Vec<&str> = match schema::resolve(root, schema)?.get("type")? {
                Value::String(kind) => vec![kind],
                Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
                _ => return None,
            };
            let mut found = program.result_type();
            if let Type::Nullable(inner) = found {
                found = inner;
            }
            let kinds: &[&str] = match found {
                Type::Bool => &["boolean"],
                Type::Int | Type::Uint => &["integer", "number"],
                Type::Double => &["number"],
                Type::String | Type::Bytes | Type::Timestamp | Type::Duration => &["string"],
                Type::List(_) => &["array"],
                Type::Map(..) | Type::Object(_) => &["object"],
                Type::Null => &["null"],
                _ => return None,
            };
            let fits = kinds.iter().any(|kind| allowed.contains(kind));
            (!fits).then(|| {
                let source = guardian_core::shorten(program.source());
                format!("at `{path}`: `{source}` is of the type {found}, expected {}", allowed.join(" or "))
            })
        }
        Template::List(items) => items.iter().enumerate().find_map(|(index, item)| {
            let key = index.to_string();
            misfit(root, schema::part(root, schema, &key)?, item, &format!("{path}/{key}"))
        }),
        Template::Object(members) => members.iter().find_map(|(name, member)| {
            misfit(root, schema::part(root, schema, name)?, member, &format!("{path}/{name}"))
        }),
    }
}

fn hint(error: &ExprError) -> Option<String> {
    error.faults().iter().find_map(|fault| fault.hint.clone())
}

fn empty(id: &NodeId, message: &str, report: &mut Report) {
    report.add(Code::Empty, Some(id), message.to_owned(), "add what it is to do, or remove it");
}

fn bound(id: &NodeId, max: u32, most: u32, report: &mut Report) {
    if max == 0 || max > most {
        report.add_at(
            Code::UnboundedLoop,
            Some(id),
            "/max".to_owned(),
            format!("it repeats at most {max} times, and the workflow's limit is {most}"),
            format!("let `max` be 1 to {most}, or raise `settings.limits.iterations`"),
        );
    }
}

fn invalid_time(id: &NodeId, path: &str, text: &str, mend: &str, report: &mut Report) {
    let message = format!("`{}` is no time that is understood", guardian_core::shorten(text));
    report.add_at(Code::InvalidTime, Some(id), path.to_owned(), message, mend);
}

fn check_retries(id: &NodeId, rules: &[Retry], report: &mut Report) {
    for (index, rule) in rules.iter().enumerate() {
        let fault = if rule.attempts == 0 || rule.attempts > 1000 {
            "it has 1 to 1000 attempts"
        } else if !(1.0..=100.0).contains(&rule.backoff) {
            "its backoff is 1 to 100"
        } else if rule.on.is_empty() {
            "it knows no code"
        } else {
            continue;
        };
        report.add_at(
            Code::OutOfBounds,
            Some(id),
            format!("/retry/{index}"),
            fault.to_owned(),
            "correct the rule",
        );
    }
}

/// What is not about one node.
pub(super) fn check_whole(definition: &Definition, report: &mut Report) {
    if definition.name.is_empty()
        || definition.name.len() > 200
        || definition.name.chars().any(char::is_control)
    {
        let message = "the name has 1 to 200 bytes without control characters".to_owned();
        report.add(Code::OutOfBounds, None, message, "give it another name");
    }
    for (name, variable) in &definition.variables {
        if let (Some(schema), Some(value)) = (&variable.schema, &variable.value)
            && let Some(why) = schema::misfit(schema, value)
        {
            let path = format!("/variables/{name}/value");
            report.add_at(Code::InvalidValue, None, path, why, "let the first value fit the schema");
        }
    }
    let limits = &definition.settings.limits;
    let counts =
        [u64::from(limits.iterations), limits.steps, u64::from(limits.width), u64::from(limits.depth)];
    if counts.contains(&0) || limits.depth > 64 || limits.iterations > 1_000_000 || limits.width > 10_000 {
        let message =
            "limits are at least 1; iterations at most 1,000,000, width 10,000, depth 64".to_owned();
        report.add_at(Code::OutOfBounds, None, "/settings/limits".to_owned(), message, "correct the limits");
    }
}
