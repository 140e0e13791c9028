//! The Serverless Workflow DSL 1.0 of the CNCF: <https://github.com/serverlessworkflow/specification>.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Imported, Loss, set};
use crate::definition::{Definition, Span};
use crate::diff::pointer::escape;
use crate::error::Error;

mod expression;
mod tasks;

/// The longest document, in bytes.
const MAX_BYTES: usize = 4 << 20;
/// Tasks nest no deeper.
const MAX_NESTING: u32 = 32;
/// How often a way back is taken at most.
const MAX_REPEATS: u32 = 1000;

/// Reads a workflow from YAML or JSON and makes a definition of it.
///
/// The data that goes from task to task is the variable `data`. `call` becomes an action named like what is called, `run`
/// of a workflow a sub-workflow, `emit` the action `emit`, `listen` a wait for a signal of the event's type. What has no
/// counterpart is in [`Imported::losses`].
///
/// # Errors
/// [`Error::Import`] for a text that is no workflow.
///
/// ```
/// use guardian_workflow::import::serverless;
///
/// let imported = serverless::import(r#"{
///     "document": {"dsl": "1.0.0", "namespace": "crm", "name": "greet", "version": "0.1.0"},
///     "do": [{"hello": {"set": {"greeting": "${ \"hello \" + .name }"}}}]
/// }"#)?;
/// assert_eq!(imported.definition.name, "greet");
/// assert!(imported.losses.is_empty());
/// # Ok::<(), guardian_workflow::Error>(())
/// ```
pub fn import(text: &str) -> Result<Imported, Error> {
    let refused = |why: String| Error::Import { format: "serverless workflow", why };
    if text.len() > MAX_BYTES {
        return Err(refused(format!("it has {} bytes, the most is {MAX_BYTES}", text.len())));
    }
    let document = crate::definition::document(text, MAX_BYTES).map_err(refused)?;
    convert(&document).map_err(refused)
}

struct Builder<'d> {
    document: &'d Value,
    nodes: Map<String, Value>,
    edges: Vec<Value>,
    variables: Map<String, Value>,
    actions: BTreeSet<String>,
    losses: Vec<Loss>,
    names: BTreeMap<String, u32>,
    next: u32,
}

/// The variables of a part.
#[derive(Clone)]
struct Scope {
    data: String,
    /// The names that a loop or a `catch` gives, and the variables that they are here.
    names: BTreeMap<String, String>,
}

const END: &str = "end#";

/// Where a list of tasks stands.
#[derive(Clone)]
struct Level {
    scope: Scope,
    /// How deep.
    depth: u32,
    /// Whether it is outermost, where `end` is an edge to the end.
    outermost: bool,
}

fn convert(document: &Value) -> Result<Imported, String> {
    let head = document.get("document").and_then(Value::as_object).ok_or("`document` is missing")?;
    let word =
        |name: &str| head.get(name).and_then(Value::as_str).ok_or(format!("`document.{name}` is missing"));
    let (dsl, name, version) = (word("dsl")?, word("name")?, word("version")?);
    word("namespace")?;
    if !dsl.starts_with("1.") {
        return Err(format!("the version of its language is `{}`, not 1", guardian_core::shorten(dsl)));
    }
    let tasks = document.get("do").and_then(Value::as_array).filter(|tasks| !tasks.is_empty());
    let tasks = tasks.ok_or("`do` is a list with at least one task")?;
    let mut builder = Builder {
        document,
        nodes: Map::new(),
        edges: Vec::new(),
        variables: Map::new(),
        actions: BTreeSet::new(),
        losses: Vec::new(),
        names: BTreeMap::new(),
        next: 0,
    };
    let scope = builder.scope(None);
    let level = Level { scope: scope.clone(), depth: 0, outermost: true };
    let start = builder.tasks(tasks, "/do", &level)?;
    let given = match document.pointer("/input/from") {
        Some(from) => builder.value(from, "/input/from", &scope, "input"),
        None => json!("=input"),
    };
    builder.node("start#", json!({"type": "set", "values": { scope.data.clone(): given }}));
    builder.edge("start#", "next", &start);
    let shown = match document.pointer("/output/as") {
        Some(shape) => builder.value(shape, "/output/as", &scope, &scope.data.clone()),
        None => json!(format!("={}", scope.data)),
    };
    builder.node(END, json!({"type": "end", "result": shown}));
    for (field, known) in
        [("timeout", true), ("use", true), ("schedule", true), ("evaluate", false), ("metadata", false)]
    {
        if document.get(field).is_some() && !known {
            builder.lose(&format!("/{field}"), "it has no counterpart and does not count");
        }
    }
    let mut value = json!({
        "schema": Definition::SCHEMA, "name": name, "start": "start#",
        "description": head.get("summary").or(head.get("title")).and_then(Value::as_str).unwrap_or_default(),
        "nodes": builder.nodes, "edges": builder.edges, "variables": builder.variables,
    });
    if let Some(schema) = document.pointer("/input/schema/document") {
        set(&mut value, "input", schema.clone());
    }
    if let Some(span) = document.pointer("/timeout/after").and_then(span) {
        set(&mut value, "settings", json!({"limits": {"run_time": span.to_string()}}));
    }
    builder.schedule(&mut value);
    if let Some(secrets) = document.pointer("/use/secrets").and_then(Value::as_array) {
        set(&mut value, "secrets", Value::Array(secrets.clone()));
    }
    builder.lose_unless(
        version == "0.0.0",
        "/document/version",
        &format!("the version `{version}` is one of the document; here versions are numbered"),
    );
    builder.losses.retain(|loss| loss.path != "/document/version");
    let mut definition = Definition::from_value(value).map_err(|error| error.to_string())?;
    let end = crate::definition::NodeId::new(END).map_err(|error| error.to_string())?;
    if !definition.edges.iter().any(|edge| edge.to == end) {
        definition.nodes.remove(&end);
    }
    Ok(Imported { definition, actions: builder.actions.into_iter().collect(), losses: builder.losses })
}

/// A duration: an object of days, hours, minutes, seconds and milliseconds, or a text of ISO 8601.
fn span(value: &Value) -> Option<Span> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Object(parts) => {
            let part = |name: &str, millis: u64| {
                parts.get(name).map_or(Some(0), |value| value.as_u64()?.checked_mul(millis))
            };
            let all = [
                part("days", 86_400_000)?,
                part("hours", 3_600_000)?,
                part("minutes", 60_000)?,
                part("seconds", 1000)?,
                part("milliseconds", 1)?,
            ];
            let known = parts.keys().all(|name| {
                matches!(name.as_str(), "days" | "hours" | "minutes" | "seconds" | "milliseconds")
            });
            known.then(|| Span::from_millis(all.iter().fold(0, |sum: u64, part| sum.saturating_add(*part))))
        }
        _ => None,
    }
}

impl Builder<'_> {
    fn scope(&mut self, outer: Option<&Scope>) -> Scope {
        let number = self.next;
        self.next += 1;
        let data = if number == 0 { "data".to_owned() } else { format!("data_{number}") };
        self.variables.insert(data.clone(), json!({"value": null}));
        Scope { data, names: outer.map(|outer| outer.names.clone()).unwrap_or_default() }
    }

    fn lose(&mut self, path: &str, message: &str) {
        self.losses.push(Loss::new(path, message));
    }

    fn lose_unless(&mut self, holds: bool, path: &str, message: &str) {
        if !holds {
            self.lose(path, message);
        }
    }

    fn node(&mut self, id: &str, node: Value) {
        self.nodes.insert(id.to_owned(), node);
    }

    fn edge(&mut self, from: &str, port: &str, to: &str) {
        self.edges.push(json!({"from": from, "port": port, "to": to}));
    }

    /// An id for a task; names are unique within their list alone.
    fn id(&mut self, name: &str) -> String {
        let count = self.names.entry(name.to_owned()).or_default();
        *count += 1;
        if *count == 1 { name.to_owned() } else { format!("{name}~{count}") }
    }

    /// A value with expressions `${ … }`, as ours.
    fn value(&mut self, value: &Value, path: &str, scope: &Scope, root: &str) -> Value {
        match value {
            Value::String(text) => match expression::inner(text) {
                Some(source) => json!(format!("={}", self.expression(source, path, scope, root))),
                None if text.starts_with('=') => json!(format!("={}", expression::quoted(text))),
                None => value.clone(),
            },
            Value::Array(items) => {
                let mut made = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    made.push(self.value(item, &format!("{path}/{at}"), scope, root));
                }
                Value::Array(made)
            }
            Value::Object(members) => {
                let mut made = Map::new();
                for (name, member) in members {
                    let member = self.value(member, &format!("{path}/{}", escape(name)), scope, root);
                    made.insert(name.clone(), member);
                }
                Value::Object(made)
            }
            other => other.clone(),
        }
    }

    fn expression(&mut self, source: &str, path: &str, scope: &Scope, root: &str) -> String {
        expression::translate(source, root, &scope.names).unwrap_or_else(|| {
            let message = format!(
                "the expression `{}` cannot be represented; it is null",
                guardian_core::shorten(source)
            );
            self.lose(path, &message);
            "null".to_owned()
        })
    }

    /// A condition, with or without `${ … }`.
    fn condition(&mut self, text: &Value, path: &str, scope: &Scope) -> String {
        let source = text.as_str().unwrap_or("false");
        let source = expression::inner(source).unwrap_or(source);
        self.expression(source, path, scope, &scope.data.clone())
    }

    /// A list of tasks; gives the node at which it begins.
    fn tasks(&mut self, tasks: &[Value], path: &str, level: &Level) -> Result<String, String> {
        if level.depth > MAX_NESTING {
            return Err(format!("{path}: tasks are nested deeper than {MAX_NESTING}"));
        }
        let mut named = Vec::with_capacity(tasks.len());
        for (at, entry) in tasks.iter().enumerate() {
            let entry = entry.as_object().filter(|entry| entry.len() == 1);
            let entry = entry.and_then(|entry| entry.iter().next());
            let (name, task) =
                entry.ok_or_else(|| format!("{path}/{at}: a task is an object with its name alone"))?;
            let id = self.id(name);
            named.push((name.clone(), id, task.clone(), format!("{path}/{at}/{}", escape(name))));
        }
        let order: Vec<(String, String)> =
            named.iter().map(|(name, id, _, _)| (name.clone(), id.clone())).collect();
        for (at, (_, id, task, path)) in named.iter().enumerate() {
            self.task(id, task, path, level, (&order, at))?;
        }
        order.first().map(|(_, id)| id.clone()).ok_or_else(|| format!("{path}: it has no task"))
    }

    /// Leads on from a node as a directive says: `continue`, `exit`, `end` or the name of a task of the list.
    fn lead(
        &mut self,
        from: &str,
        port: &str,
        then: Option<&str>,
        path: &str,
        level: &Level,
        (order, at): (&[(String, String)], usize),
    ) -> Result<(), String> {
        let target = match then {
            None | Some("continue") => order.get(at + 1).map(|(_, id)| (id.clone(), false)),
            Some("exit") => None,
            Some("end") if level.outermost => {
                self.edge(from, port, END);
                return Ok(());
            }
            Some("end") => {
                let end = format!("{from}#{port}#end");
                self.node(&end, json!({"type": "end", "result": format!("={}", level.scope.data)}));
                self.edge(from, port, &end);
                return Ok(());
            }
            Some(name) => {
                let to = order.iter().position(|(known, _)| known == name);
                let to = to.ok_or_else(|| {
                    format!("{path}/then: there is no task `{}` here", guardian_core::shorten(name))
                })?;
                order.get(to).map(|(_, id)| (id.clone(), to <= at))
            }
        };
        match target {
            Some((to, true)) => {
                let repeat = format!("{from}#{port}#back");
                self.node(&repeat, json!({"type": "repeat", "max": MAX_REPEATS}));
                self.edge(from, port, &repeat);
                self.edge(&repeat, "next", &to);
            }
            Some((to, false)) => self.edge(from, port, &to),
            None if level.outermost => self.edge(from, port, END),
            None => {}
        }
        Ok(())
    }

    fn task(
        &mut self,
        id: &str,
        task: &Value,
        path: &str,
        level: &Level,
        place: (&[(String, String)], usize),
    ) -> Result<(), String> {
        let fields = task.as_object().ok_or_else(|| format!("{path}: a task is an object"))?;
        let then = task.get("then").and_then(Value::as_str);
        let scope = &level.scope;
        const COMMON: [&str; 8] = ["if", "input", "output", "export", "then", "timeout", "metadata", "with"];
        const KINDS: [&str; 12] =
            ["call", "do", "fork", "emit", "for", "listen", "raise", "run", "set", "switch", "try", "wait"];
        let kind = KINDS
            .iter()
            .find(|kind| fields.contains_key(**kind) && !(**kind == "do" && fields.contains_key("for")));
        let kind = *kind.ok_or_else(|| format!("{path}: it is no task that is known"))?;
        for field in fields.keys() {
            let own: &[&str] = match kind {
                "for" => &["for", "while", "do"],
                "try" => &["try", "catch"],
                "listen" => &["listen", "foreach"],
                _ => &[],
            };
            if field != kind && !COMMON.contains(&field.as_str()) && !own.contains(&field.as_str()) {
                self.lose(&format!("{path}/{}", escape(field)), "it has no counterpart and does not count");
            }
        }
        self.lose_unless(
            task.get("export").is_none(),
            &format!("{path}/export"),
            "there is no context beside the data",
        );
        self.lose_unless(
            task.pointer("/input/schema").is_none(),
            &format!("{path}/input/schema"),
            "the input of a task is not checked",
        );
        self.lose_unless(
            task.pointer("/output/schema").is_none(),
            &format!("{path}/output/schema"),
            "the output of a task is not checked",
        );
        // `if`, then what the task takes, then the task, then what it gives.
        let mut first = id.to_owned();
        if let Some(when) = task.get("if") {
            let when = self.condition(when, &format!("{path}/if"), scope);
            self.node(&first, json!({"type": "condition", "branches": [{"port": "yes", "when": when}]}));
            self.lead(&first, "else", None, path, level, place)?;
            let inner = format!("{id}#do");
            self.edge(&first, "yes", &inner);
            first = inner;
        }
        if let Some(from) = task.pointer("/input/from") {
            let given = self.value(from, &format!("{path}/input/from"), scope, &scope.data.clone());
            self.node(&first, json!({"type": "set", "values": { scope.data.clone(): given }}));
            let inner = format!("{id}#task");
            self.edge(&first, "next", &inner);
            first = inner;
        }
        let output = task.pointer("/output/as").map(|shape| {
            (
                format!("{id}#output"),
                self.value(shape, &format!("{path}/output/as"), scope, &scope.data.clone()),
            )
        });
        let last = match kind {
            "switch" => return self.switch(&first, task, path, level, place, output.is_some()),
            "set" => {
                let given = self.value(
                    task.get("set").unwrap_or(&Value::Null),
                    &format!("{path}/set"),
                    scope,
                    &scope.data.clone(),
                );
                self.node(&first, json!({"type": "set", "values": { scope.data.clone(): given }}));
                first
            }
            "do" => self.block(&first, task.get("do"), &format!("{path}/do"), level)?,
            "wait" => {
                match task.get("wait").map(|value| (span(value), value)) {
                    Some((Some(span), _)) => {
                        self.node(&first, json!({"type": "wait", "for": {"duration": span.to_string()}}));
                    }
                    Some((None, Value::String(text))) if expression::inner(text).is_some() => {
                        let source = expression::inner(text).unwrap_or_default();
                        let made =
                            self.expression(source, &format!("{path}/wait"), scope, &scope.data.clone());
                        self.node(&first, json!({"type": "wait", "for": {"duration": format!("={made}")}}));
                    }
                    _ => return Err(format!("{path}/wait: it is no duration")),
                }
                first
            }
            "raise" => {
                self.raise(&first, task, path, scope)?;
                return Ok(());
            }
            "emit" => {
                let event = task
                    .pointer("/emit/event/with")
                    .ok_or_else(|| format!("{path}/emit: `event.with` is missing"))?;
                let given = self.value(event, &format!("{path}/emit/event/with"), scope, &scope.data.clone());
                self.actions.insert("emit".to_owned());
                self.node(&first, json!({"type": "action", "action": "emit", "params": given}));
                first
            }
            "listen" => self.listen(&first, task, path, level)?,
            "call" => self.call(&first, task, path, level)?,
            "run" => self.run(&first, task, path, level)?,
            "for" => self.each(&first, task, path, level)?,
            "fork" => self.fork(&first, task, path, level)?,
            _ => self.attempt(&first, task, path, level)?,
        };
        let last = match output {
            Some((node, shape)) => {
                self.node(&node, json!({"type": "set", "values": { scope.data.clone(): shape }}));
                self.edge(&last, "next", &node);
                node
            }
            None => last,
        };
        if let Some(limit) = task.get("timeout") {
            let known = limit.get("after").and_then(span).filter(|_| matches!(kind, "call" | "run"));
            match (known, self.nodes.get_mut(id)) {
                (Some(span), Some(node)) if node.get("type") == Some(&json!("action")) => {
                    set(node, "timeout", json!(span.to_string()));
                }
                _ => {
                    self.lose(&format!("{path}/timeout"), "only a call that stands alone has a timeout here");
                }
            }
        }
        self.lead(&last, "next", then, path, level, place)
    }

    /// Tasks as a part of their own, within a `try` that catches nothing.
    fn block(
        &mut self,
        id: &str,
        tasks: Option<&Value>,
        path: &str,
        level: &Level,
    ) -> Result<String, String> {
        let tasks = tasks.and_then(Value::as_array).filter(|tasks| !tasks.is_empty());
        let tasks = tasks.ok_or_else(|| format!("{path}: it is a list with at least one task"))?;
        let inner = Level { depth: level.depth + 1, outermost: false, scope: level.scope.clone() };
        let start = self.tasks(tasks, path, &inner)?;
        self.node(id, json!({"type": "try"}));
        self.edge(id, "body", &start);
        Ok(id.to_owned())
    }
}
