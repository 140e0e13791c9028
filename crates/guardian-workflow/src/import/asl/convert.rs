//! Makes a definition of a state machine that keeps the rules.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::translate::{self, Scope};
use crate::definition::{Definition, NodeId};
use crate::diff::pointer::escape;
use crate::import::{Imported, Loss, set};

mod deciding;

/// How often a way back is taken at most.
const MAX_REPEATS: u32 = 1000;
/// What stands where something cannot be represented. It may be of any type, so that the rest is still checked; what needs a truth
/// value or a list of it fails when it gets there, and does not go on as if nothing were.
const NOTHING: &str = "dyn(null)";
/// Elements of a map that go side by side where the machine leaves it open.
const INLINE_CONCURRENCY: u64 = 40;
/// Elements that go side by side at most.
const MOST_CONCURRENCY: u64 = 1000;

pub(super) struct Builder {
    nodes: Map<String, Value>,
    edges: Vec<Value>,
    variables: Map<String, Value>,
    actions: BTreeSet<String>,
    pub(super) losses: Vec<Loss>,
    /// The number of the next machine within.
    next: u32,
    /// The variables in the order in which machines set them.
    set: Vec<String>,
    /// The variables that states assign, of all machines.
    taken: BTreeSet<String>,
}

/// A machine, with the names of the variables that are its own.
#[derive(Clone)]
struct Level {
    scope: Scope,
    jsonata: bool,
    outermost: bool,
}

/// The node behind which the whole is complete.
const END: &str = "end#";

pub(super) fn convert(document: &Value) -> Result<Imported, String> {
    let mut builder = Builder {
        nodes: Map::new(),
        edges: Vec::new(),
        variables: Map::new(),
        actions: BTreeSet::new(),
        losses: Vec::new(),
        next: 0,
        set: Vec::new(),
        taken: BTreeSet::new(),
    };
    let jsonata = document.get("QueryLanguage").and_then(Value::as_str) == Some("JSONata");
    let scope = builder.scope(None);
    let level = Level { scope: scope.clone(), jsonata, outermost: true };
    let start = builder.machine(document, "", &level);
    builder.node("start#", json!({"type": "set", "values": { scope.data.clone(): "=input" }}));
    builder.edge("start#", "next", &start);
    builder.node(END, json!({"type": "end", "result": format!("={}", scope.data)}));
    let comment = document.get("Comment").and_then(Value::as_str).unwrap_or_default();
    let mut value = json!({
        "schema": Definition::SCHEMA, "name": "state machine", "description": comment, "start": "start#",
        "nodes": builder.nodes, "edges": builder.edges, "variables": builder.variables,
        "settings": {"limits": {"iterations": 100_000, "steps": 25_000, "width": 10_000}},
    });
    if let Some(seconds) = document.get("TimeoutSeconds").and_then(Value::as_u64)
        && let Some(settings) = value.pointer_mut("/settings/limits")
    {
        set(settings, "run_time", json!(format!("{seconds}s")));
    }
    let mut definition = Definition::from_value(value).map_err(|error| error.to_string())?;
    // An end to which nothing leads, because every state ends within a failure.
    let end = NodeId::new(END).map_err(|error| error.to_string())?;
    if !definition.edges.iter().any(|edge| edge.to == end) {
        definition.nodes.remove(&end);
    }
    Ok(Imported { definition, actions: builder.actions.into_iter().collect(), losses: builder.losses })
}

fn text<'v>(state: &'v Value, name: &str) -> Option<&'v str> {
    state.get(name).and_then(Value::as_str)
}

impl Builder {
    fn scope(&mut self, outer: Option<&Scope>) -> Scope {
        let number = self.next;
        self.next += 1;
        let name = |name: &str| if number == 0 { name.to_owned() } else { format!("{name}_{number}") };
        let scope = Scope {
            data: name("data"),
            result: name("result"),
            caught: name("caught"),
            failure: name("failure"),
            item: outer.and_then(|outer| outer.item.clone()),
            index: outer.and_then(|outer| outer.index.clone()),
            names: outer.map(|outer| outer.names.clone()).unwrap_or_default(),
        };
        for variable in [&scope.data, &scope.result, &scope.failure] {
            self.sets(variable, &json!(null));
        }
        self.sets(&scope.caught, &json!(-1));
        scope
    }

    /// What a variable of a machine is called. A machine within another one has a scope of its own: what it assigns has nothing to do
    /// with what the machines beside it assign under the same name.
    fn free_name(&mut self, name: &str) -> String {
        let plain = translate::variable(name);
        let mut found = plain.clone();
        for number in 2.. {
            if self.taken.insert(found.clone()) {
                break;
            }
            found = format!("{plain}_{number}");
        }
        found
    }

    /// A variable is set here; its first value where it has none yet.
    fn sets(&mut self, variable: &str, first: &Value) {
        self.set.push(variable.to_owned());
        if !self.variables.contains_key(variable) {
            self.variables.insert(variable.to_owned(), json!({ "value": first }));
        }
    }

    fn lose(&mut self, path: &str, message: impl Into<String>) {
        self.losses.push(Loss::new(path, message));
    }

    fn node(&mut self, id: &str, node: Value) {
        self.nodes.insert(id.to_owned(), node);
    }

    fn edge(&mut self, from: &str, port: &str, to: &str) {
        self.edges.push(json!({"from": from, "port": port, "to": to}));
    }

    /// The states of a machine; gives the node at which it begins.
    fn machine(&mut self, machine: &Value, path: &str, level: &Level) -> String {
        let empty = Map::new();
        let states = machine.get("States").and_then(Value::as_object).unwrap_or(&empty);
        let start = text(machine, "StartAt").unwrap_or_default();
        let back = ways_back(states, start);
        let mut level = level.clone();
        for name in assigned(states) {
            if !level.scope.names.contains_key(name) {
                let variable = self.free_name(name);
                level.scope.names.insert(name.to_owned(), variable);
            }
        }
        for (name, state) in states {
            let at = format!("{path}/States/{}", escape(name));
            let jsonata = match text(state, "QueryLanguage") {
                Some(language) => language == "JSONata",
                None => level.jsonata,
            };
            let level = Level { jsonata, ..level.clone() };
            self.state((name, state), &at, &level, &back);
        }
        start.to_owned()
    }

    /// Leads from a node to a state, through a `repeat` where that leads back, or to the end of the machine.
    fn lead(
        &mut self,
        (state, from): (&str, &str),
        port: &str,
        to: Option<&str>,
        level: &Level,
        back: &BTreeSet<(String, String)>,
    ) {
        match to {
            Some(to) if back.contains(&(state.to_owned(), to.to_owned())) => {
                let repeat = format!("{from}#{port}#back");
                self.node(&repeat, json!({"type": "repeat", "max": MAX_REPEATS}));
                self.edge(from, port, &repeat);
                self.edge(&repeat, "next", to);
            }
            Some(to) => self.edge(from, port, to),
            None if level.outermost => self.edge(from, port, END),
            None => {}
        }
    }

    fn state(
        &mut self,
        (name, state): (&str, &Value),
        path: &str,
        level: &Level,
        back: &BTreeSet<(String, String)>,
    ) {
        let next = text(state, "Next");
        let scope = &level.scope;
        match text(state, "Type").unwrap_or_default() {
            "Pass" => {
                let result = match state.get("Result") {
                    Some(result) => self.literal(result),
                    None => self.input(state, path, level),
                };
                let values = self.output(state, path, level, result, false);
                self.node(name, json!({"type": "set", "values": values}));
                self.lead((name, name), "next", next, level, back);
            }
            "Succeed" => {
                let shown = self.through(state, path, level);
                self.node(name, json!({"type": "set", "values": { scope.data.clone(): shown }}));
                self.lead((name, name), "next", None, level, back);
            }
            "Fail" => self.fail(name, state, path, level),
            "Wait" => {
                let wait = self.wait(state, path, level);
                self.node(name, json!({"type": "wait", "for": wait}));
                let behind = format!("{name}#output");
                let shown = self.through(state, path, level);
                self.node(&behind, json!({"type": "set", "values": { scope.data.clone(): shown }}));
                self.assigned(state, path, level, &behind);
                self.edge(name, "next", &behind);
                self.lead((name, &behind), "next", next, level, back);
            }
            "Choice" => self.choice((name, state), path, level, back),
            "Task" => {
                let action = text(state, "Resource").unwrap_or_default().to_owned();
                self.actions.insert(action.clone());
                let params = self.input(state, path, level);
                let mut node =
                    json!({"type": "action", "action": action, "params": params, "output": scope.result});
                if let Some(seconds) = state.get("TimeoutSeconds").and_then(Value::as_u64) {
                    set(&mut node, "timeout", json!(format!("{seconds}s")));
                }
                let retry = self.retries(state);
                if !retry.is_empty() {
                    set(&mut node, "retry", Value::Array(retry));
                }
                self.unrepresented(
                    state,
                    path,
                    &["TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath", "Credentials"],
                );
                self.guarded((name, state), path, level, back, node, &[]);
            }
            "Parallel" => self.parallel((name, state), path, level, back),
            "Map" => self.map((name, state), path, level, back),
            _ => {}
        }
    }

    fn unrepresented(&mut self, state: &Value, path: &str, names: &[&str]) {
        for name in names.iter().filter(|name| state.get(**name).is_some()) {
            self.lose(&format!("{path}/{name}"), "it has no counterpart and does not count");
        }
    }

    /// A node that may fail, with its catchers, and what is made of its result.
    fn guarded(
        &mut self,
        (name, state): (&str, &Value),
        path: &str,
        level: &Level,
        back: &BTreeSet<(String, String)>,
        node: Value,
        inner: &[(String, String)],
    ) {
        let (scope, next) = (&level.scope, text(state, "Next"));
        let catchers = state.get("Catch").and_then(Value::as_array).cloned().unwrap_or_default();
        let result = json!(format!("={}", scope.result));
        let values = self.output(state, path, level, result, true);
        let behind = format!("{name}#output");
        self.node(&behind, json!({"type": "set", "values": values}));
        // A task is tried again by itself; what has machines within, as a whole.
        let retry = match text(state, "Type") {
            Some("Parallel" | "Map") => self.retries(state),
            _ => Vec::new(),
        };
        if catchers.is_empty() && retry.is_empty() {
            self.node(name, node);
            inner.iter().for_each(|(port, to)| self.edge(name, port, to));
            self.edge(name, "next", &behind);
            self.lead((name, &behind), "next", next, level, back);
            return;
        }
        let (work, attempt, after) = (format!("{name}#work"), format!("{name}#try"), format!("{name}#next"));
        self.node(name, json!({"type": "set", "values": { scope.caught.clone(): -1 }}));
        self.edge(name, "next", &attempt);
        self.node(&work, node);
        inner.iter().for_each(|(port, to)| self.edge(&work, port, to));
        self.edge(&attempt, "body", &work);
        self.edge(&work, "next", &behind);
        let (mut catch, mut branches) = (Vec::new(), Vec::new());
        for (at, catcher) in catchers.iter().enumerate() {
            let (port, handler) = (format!("catch {at}"), format!("{name}#catch {at}"));
            catch.push(json!({"on": codes(catcher), "port": port, "output": scope.failure}));
            let failure = json!({"Error": format!("={}.code", scope.failure), "Cause": format!("={}.message", scope.failure)});
            let at_path = format!("{path}/Catch/{at}");
            let mut values = Map::new();
            values.insert(scope.caught.clone(), json!(at));
            let data = match text(catcher, "ResultPath") {
                _ if catcher.get("ResultPath") == Some(&Value::Null) => None,
                Some(place) if place != "$" => {
                    let made = translate::keys(place);
                    made.map(|keys| {
                        json!(format!(
                            "=put({}, {}, {{\"Error\": {f}.code, \"Cause\": {f}.message}})",
                            scope.data,
                            translate::quoted(&keys.join(".")),
                            f = scope.failure
                        ))
                    })
                }
                _ => Some(failure),
            };
            if let Some(data) = data {
                values.insert(scope.data.clone(), data);
            }
            if let Some(output) = catcher.get("Output") {
                let output = self.template(output, &at_path, level, &scope.data);
                values.insert(scope.data.clone(), output);
            }
            if let Some(assign) = catcher.get("Assign").and_then(Value::as_object).cloned() {
                let error = format!("({{\"Error\": {f}.code, \"Cause\": {f}.message}})", f = scope.failure);
                let root = if level.jsonata { &scope.data } else { &error };
                self.assign(&assign, &at_path, level, root, &mut values);
            }
            self.node(&handler, json!({"type": "set", "values": values}));
            self.edge(&attempt, &port, &handler);
            branches.push(json!({"port": port, "when": format!("{} == {at}", scope.caught)}));
            self.lead((name, &after), &port, text(catcher, "Next"), level, back);
        }
        self.node(&attempt, json!({"type": "try", "catch": catch, "retry": retry}));
        if branches.is_empty() {
            return self.lead((name, &attempt), "next", next, level, back);
        }
        self.edge(&attempt, "next", &after);
        self.node(&after, json!({"type": "condition", "branches": branches}));
        self.lead((name, &after), "else", next, level, back);
    }

    fn retries(&self, state: &Value) -> Vec<Value> {
        let rules = state.get("Retry").and_then(Value::as_array).into_iter().flatten();
        rules
            .map(|rule| {
                let number =
                    |name: &str, otherwise: u64| rule.get(name).and_then(Value::as_u64).unwrap_or(otherwise);
                let rate = rule.get("BackoffRate").and_then(Value::as_f64).unwrap_or(2.0).clamp(1.0, 100.0);
                let mut made = json!({
                    "on": codes(rule), "attempts": number("MaxAttempts", 3).min(999) + 1,
                    "interval": format!("{}s", number("IntervalSeconds", 1)), "backoff": rate,
                });
                if let Some(most) = rule.get("MaxDelaySeconds").and_then(Value::as_u64) {
                    set(&mut made, "max_interval", json!(format!("{most}s")));
                }
                if text(rule, "JitterStrategy") == Some("FULL") {
                    set(&mut made, "jitter", json!("full"));
                }
                made
            })
            .collect()
    }

    fn parallel(
        &mut self,
        (name, state): (&str, &Value),
        path: &str,
        level: &Level,
        back: &BTreeSet<(String, String)>,
    ) {
        let scope = &level.scope;
        let input = self.input(state, path, level);
        let (mut ports, mut inner, mut results) = (Vec::new(), Vec::new(), Vec::new());
        let branches = state.get("Branches").and_then(Value::as_array).cloned().unwrap_or_default();
        for (at, branch) in branches.iter().enumerate() {
            let own = self.scope(Some(scope));
            let port = format!("branch {at}");
            let first = format!("{name}#branch {at}");
            let within = Level { scope: own.clone(), jsonata: level.jsonata, outermost: false };
            let start = self.machine(branch, &format!("{path}/Branches/{at}"), &within);
            // Computed before anything in a branch runs, from what the branches do not change.
            self.node(&first, json!({"type": "set", "values": { own.data.clone(): input }}));
            self.edge(&first, "next", &start);
            results.push(own.data);
            inner.push((port.clone(), first));
            ports.push(port);
        }
        let node = json!({"type": "parallel", "branches": ports});
        self.gathered((name, state), path, level, back, node, &inner, &format!("=[{}]", results.join(", ")));
    }

    /// A node whose parts leave their results in variables: they are the result of the whole.
    #[expect(clippy::too_many_arguments, reason = "two callers, which differ in each")]
    fn gathered(
        &mut self,
        (name, state): (&str, &Value),
        path: &str,
        level: &Level,
        back: &BTreeSet<(String, String)>,
        node: Value,
        inner: &[(String, String)],
        result: &str,
    ) {
        let collect = format!("{name}#result");
        let before = self.edges.len();
        self.guarded((name, state), path, level, back, node, inner);
        // In between comes the node that puts the results together.
        self.node(&collect, json!({"type": "set", "values": { level.scope.result.clone(): result }}));
        let behind = format!("{name}#output");
        for edge in self.edges.iter_mut().skip(before) {
            if text(edge, "to") == Some(&behind) && text(edge, "port") == Some("next") {
                set(edge, "to", json!(collect));
            }
        }
        self.edge(&collect, "next", &behind);
    }

    fn map(
        &mut self,
        (name, state): (&str, &Value),
        path: &str,
        level: &Level,
        back: &BTreeSet<(String, String)>,
    ) {
        let scope = &level.scope;
        let before = self.set.len();
        let mut own = self.scope(Some(scope));
        let number = self.next;
        (own.item, own.index) = (Some(format!("item_{number}")), Some(format!("index_{number}")));
        let (item, index) = (own.item.clone().unwrap_or_default(), own.index.clone().unwrap_or_default());
        let items = match (text(state, "ItemsPath"), state.get("Items")) {
            (Some(place), _) => self.path(place, path, level, &scope.data),
            (None, Some(Value::String(expression))) => self.jsonata(expression, path, level, &scope.data),
            (None, Some(list)) => translate::expression_of(&self.template(list, path, level, &scope.data)),
            (None, None) => match text(state, "InputPath") {
                Some(place) => self.path(place, path, level, &scope.data),
                None => scope.data.clone(),
            },
        };
        let processor =
            state.get("ItemProcessor").or_else(|| state.get("Iterator")).cloned().unwrap_or_default();
        let field = if state.get("ItemProcessor").is_some() { "ItemProcessor" } else { "Iterator" };
        let within = Level { scope: own.clone(), jsonata: level.jsonata, outermost: false };
        let start = self.machine(&processor, &format!("{path}/{field}"), &within);
        let first = format!("{name}#item");
        let selector = state.get("ItemSelector").or_else(|| state.get("Parameters"));
        let selected = match selector {
            Some(selector) => {
                let inner =
                    Level { scope: Scope { data: scope.data.clone(), ..own.clone() }, ..level.clone() };
                self.template(selector, path, &inner, &scope.data)
            }
            None => json!(format!("={item}")),
        };
        self.node(&first, json!({"type": "set", "values": { own.data.clone(): selected }}));
        self.edge(&first, "next", &start);
        let concurrency = match state.get("MaxConcurrency").and_then(Value::as_u64) {
            None | Some(0) => INLINE_CONCURRENCY,
            Some(most) => most.min(MOST_CONCURRENCY),
        };
        // Whatever a machine within sets is each element's own.
        let own_variables: BTreeSet<&String> = self.set.iter().skip(before).collect();
        let node = json!({"type": "for_each", "items": items, "as": item, "index": index,
            "concurrency": concurrency, "own": own_variables,
            "collect": {"value": own.data, "output": scope.result}});
        self.unrepresented(
            state,
            path,
            &[
                "ItemReader",
                "ItemBatcher",
                "ResultWriter",
                "ToleratedFailurePercentage",
                "ToleratedFailureCount",
                "ToleratedFailurePercentagePath",
                "ToleratedFailureCountPath",
                "MaxConcurrencyPath",
                "Label",
            ],
        );
        self.guarded((name, state), path, level, back, node, &[("body".to_owned(), first)]);
    }

    /// What a state is given, as a value with expressions.
    fn input(&mut self, state: &Value, path: &str, level: &Level) -> Value {
        let data = level.scope.data.clone();
        if level.jsonata {
            return match state.get("Arguments") {
                Some(arguments) => self.template(arguments, &format!("{path}/Arguments"), level, &data),
                None => json!(format!("={data}")),
            };
        }
        let root = match state.get("InputPath") {
            Some(Value::String(place)) => self.path(place, path, level, &data),
            Some(Value::Null) => "{}".to_owned(),
            _ => data,
        };
        match state.get("Parameters") {
            Some(parameters) => self.template(parameters, &format!("{path}/Parameters"), level, &root),
            None => json!(format!("={root}")),
        }
    }

    /// The variables that a state sets with its result.
    fn output(&mut self, state: &Value, path: &str, level: &Level, result: Value, selects: bool) -> Value {
        let scope = level.scope.clone();
        let mut values = Map::new();
        let shown = if level.jsonata {
            match state.get("Output") {
                Some(output) => self.template(output, &format!("{path}/Output"), level, &scope.data),
                None => result,
            }
        } else {
            let result = match state.get("ResultSelector").filter(|_| selects) {
                Some(selector) => {
                    self.template(selector, &format!("{path}/ResultSelector"), level, &scope.result)
                }
                None => result,
            };
            self.placed(state, path, level, result)
        };
        values.insert(scope.data.clone(), shown);
        if let Some(assign) = state.get("Assign").and_then(Value::as_object).cloned() {
            // What has a result of its own assigns from that.
            let root = if selects && !level.jsonata { &scope.result } else { &scope.data };
            self.assign(&assign, path, level, root, &mut values);
        }
        Value::Object(values)
    }

    /// A result at its place in the data, and the part of that which goes on.
    fn placed(&mut self, state: &Value, path: &str, level: &Level, result: Value) -> Value {
        let data = level.scope.data.clone();
        let whole = match state.get("ResultPath") {
            Some(Value::Null) => json!(format!("={data}")),
            Some(Value::String(place)) if place != "$" => match translate::keys(place) {
                Some(keys) => {
                    let result = translate::expression_of(&result);
                    json!(format!("=put({data}, {}, {result})", translate::quoted(&keys.join("."))))
                }
                None => {
                    self.lose(
                        &format!("{path}/ResultPath"),
                        "a result cannot be put there; the data stays as it is",
                    );
                    json!(format!("={data}"))
                }
            },
            _ => result,
        };
        match state.get("OutputPath") {
            Some(Value::String(place)) if place != "$" => {
                let inner = translate::expression_of(&whole);
                let shown = self.path(place, path, level, "it_");
                json!(format!("=cel.bind(it_, {inner}, {shown})"))
            }
            Some(Value::Null) => json!({}),
            _ => whole,
        }
    }

    /// What goes through a state that has no result.
    fn through(&mut self, state: &Value, path: &str, level: &Level) -> Value {
        let data = level.scope.data.clone();
        if let Some(output) = state.get("Output") {
            return self.template(output, path, level, &data);
        }
        let root = match state.get("InputPath") {
            Some(Value::String(place)) => self.path(place, path, level, &data),
            Some(Value::Null) => return json!({}),
            _ => data,
        };
        match state.get("OutputPath") {
            Some(Value::String(place)) => json!(format!("={}", self.path(place, path, level, &root))),
            Some(Value::Null) => json!({}),
            _ => json!(format!("={root}")),
        }
    }

    fn assigned(&mut self, state: &Value, path: &str, level: &Level, node: &str) {
        if let Some(assign) = state.get("Assign").and_then(Value::as_object).cloned() {
            let mut values = Map::new();
            self.assign(&assign, path, level, &level.scope.data, &mut values);
            if let Some(Value::Object(known)) =
                self.nodes.get_mut(node).and_then(|node| node.get_mut("values"))
            {
                known.extend(values);
            }
        }
    }

    fn assign(
        &mut self,
        assign: &Map<String, Value>,
        path: &str,
        level: &Level,
        root: &str,
        values: &mut Map<String, Value>,
    ) {
        let made = self.template(&Value::Object(assign.clone()), &format!("{path}/Assign"), level, root);
        for (name, value) in made.as_object().cloned().unwrap_or_default() {
            let variable = level.scope.variable(&name);
            self.sets(&variable, &json!(null));
            values.insert(variable, value);
        }
    }

    fn literal(&self, value: &Value) -> Value {
        translate::literal(value)
    }

    /// A payload template or a value with JSONata, as a value with expressions.
    fn template(&mut self, value: &Value, path: &str, level: &Level, root: &str) -> Value {
        match value {
            Value::String(text) if level.jsonata && text.starts_with("{%") => {
                json!(format!("={}", self.jsonata(text, path, level, root)))
            }
            Value::Object(members) => {
                let mut made = Map::new();
                for (name, member) in members {
                    let at = format!("{path}/{}", escape(name));
                    match (name.strip_suffix(".$"), member.as_str()) {
                        (Some(plain), Some(text)) if !level.jsonata => {
                            let expression = if super::paths::is_call(text) {
                                self.call(text, &at, level, root)
                            } else {
                                self.path(text, &at, level, root)
                            };
                            made.insert(plain.to_owned(), json!(format!("={expression}")));
                        }
                        _ => {
                            let member = self.template(member, &at, level, root);
                            made.insert(name.clone(), member);
                        }
                    }
                }
                Value::Object(made)
            }
            Value::Array(items) => {
                let mut made = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    made.push(self.template(item, &format!("{path}/{at}"), level, root));
                }
                Value::Array(made)
            }
            other => self.literal(other),
        }
    }

    fn path(&mut self, place: &str, path: &str, level: &Level, root: &str) -> String {
        translate::path(place, root, &level.scope).unwrap_or_else(|| {
            self.lose(
                path,
                format!("the path `{}` cannot be represented; it is null", guardian_core::shorten(place)),
            );
            NOTHING.to_owned()
        })
    }

    fn call(&mut self, call: &str, path: &str, level: &Level, root: &str) -> String {
        translate::call(call, root, &level.scope).unwrap_or_else(|| {
            self.lose(
                path,
                format!("the call `{}` cannot be represented; it is null", guardian_core::shorten(call)),
            );
            NOTHING.to_owned()
        })
    }

    fn jsonata(&mut self, text: &str, path: &str, level: &Level, root: &str) -> String {
        translate::jsonata(text, root, &level.scope).unwrap_or_else(|| {
            self.lose(
                path,
                format!(
                    "the expression `{}` cannot be represented; it is null",
                    guardian_core::shorten(text)
                ),
            );
            NOTHING.to_owned()
        })
    }
}

/// The variables that the states of a machine assign, without those of machines within.
fn assigned(states: &Map<String, Value>) -> BTreeSet<&str> {
    let mut found = Vec::new();
    for state in states.values() {
        found.extend(state.get("Assign"));
        for field in ["Choices", "Catch"] {
            let list = state.get(field).and_then(Value::as_array).into_iter().flatten();
            found.extend(list.filter_map(|each| each.get("Assign")));
        }
    }
    let names = found.into_iter().filter_map(Value::as_object).flat_map(Map::keys);
    names.map(|name| name.strip_suffix(".$").unwrap_or(name)).collect()
}

/// The codes of a rule, in ours.
fn codes(rule: &Value) -> Vec<String> {
    let errors =
        rule.get("ErrorEquals").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    errors
        .map(|error| match error {
            "States.ALL" | "States.TaskFailed" => "*".to_owned(),
            "States.Timeout" | "States.HeartbeatTimeout" => "timeout".to_owned(),
            other => other.to_owned(),
        })
        .collect()
}

/// The transitions that lead back, found by going through the states in depth.
fn ways_back(states: &Map<String, Value>, start: &str) -> BTreeSet<(String, String)> {
    let targets = |name: &str| -> Vec<String> {
        let Some(state) = states.get(name) else { return Vec::new() };
        let mut found: Vec<String> =
            ["Next", "Default"].iter().filter_map(|field| text(state, field)).map(str::to_owned).collect();
        for field in ["Choices", "Catch"] {
            let list = state.get(field).and_then(Value::as_array).into_iter().flatten();
            found.extend(list.filter_map(|each| text(each, "Next")).map(str::to_owned));
        }
        found
    };
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        Open,
        Closed,
    }
    let mut back = BTreeSet::new();
    let mut marks: BTreeMap<String, Mark> = BTreeMap::new();
    let mut stack = vec![(start.to_owned(), targets(start))];
    marks.insert(start.to_owned(), Mark::Open);
    while let Some((name, left)) = stack.last_mut() {
        match left.pop() {
            Some(to) => match marks.get(&to) {
                Some(Mark::Open) => {
                    back.insert((name.clone(), to));
                }
                Some(Mark::Closed) => {}
                None => {
                    marks.insert(to.clone(), Mark::Open);
                    let next = targets(&to);
                    stack.push((to, next));
                }
            },
            None => {
                marks.insert(name.clone(), Mark::Closed);
                stack.pop();
            }
        }
    }
    back
}
