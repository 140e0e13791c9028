//! The kinds of tasks.

use serde_json::{Value, json};

use super::{Builder, Level, Scope, span};
use crate::definition::Span;
use crate::diff::pointer::escape;
use crate::import::set;

impl Builder<'_> {
    pub(super) fn switch(
        &mut self,
        id: &str,
        task: &Value,
        path: &str,
        level: &Level,
        place: (&[(String, String)], usize),
        shaped: bool,
    ) -> Result<(), String> {
        let cases = task.get("switch").and_then(Value::as_array).filter(|cases| !cases.is_empty());
        let cases = cases.ok_or_else(|| format!("{path}/switch: it is a list with at least one case"))?;
        self.lose_unless(!shaped, &format!("{path}/output"), "a switch gives nothing of its own");
        let (mut branches, mut default) = (Vec::new(), None);
        for (at, case) in cases.iter().enumerate() {
            let entry = case.as_object().filter(|case| case.len() == 1).and_then(|case| case.iter().next());
            let (name, case) = entry
                .ok_or_else(|| format!("{path}/switch/{at}: a case is an object with its name alone"))?;
            let at_path = format!("{path}/switch/{at}/{}", escape(name));
            let then = case.get("then").and_then(Value::as_str);
            match case.get("when") {
                Some(when) => {
                    let port = format!("case {at}");
                    let when = self.condition(when, &format!("{at_path}/when"), &level.scope);
                    branches.push(json!({"port": port, "when": when}));
                    self.lead(id, &port, then, &at_path, level, place)?;
                }
                None => default = Some((then, at_path)),
            }
        }
        match default {
            Some((then, at_path)) => self.lead(id, "else", then, &at_path, level, place)?,
            None => self.lead(id, "else", task.get("then").and_then(Value::as_str), path, level, place)?,
        }
        if branches.is_empty() {
            branches.push(json!({"port": "never", "when": "false"}));
        }
        self.node(id, json!({"type": "condition", "branches": branches}));
        Ok(())
    }

    pub(super) fn raise(&mut self, id: &str, task: &Value, path: &str, scope: &Scope) -> Result<(), String> {
        let error =
            task.pointer("/raise/error").ok_or_else(|| format!("{path}/raise: `error` is missing"))?;
        let error = match error.as_str() {
            Some(name) => {
                self.document.pointer(&format!("/use/errors/{}", escape(name))).ok_or_else(|| {
                    format!("{path}/raise/error: there is no error `{}`", guardian_core::shorten(name))
                })?
            }
            None => error,
        };
        let mut said = |names: &[&str], otherwise: &str| {
            let found = names.iter().find_map(|name| error.get(*name)).cloned();
            found.map_or_else(
                || json!(otherwise),
                |value| self.value(&value, &format!("{path}/raise/error"), scope, &scope.data.clone()),
            )
        };
        let (code, message) = (said(&["type"], "error"), said(&["detail", "title"], ""));
        self.node(id, json!({"type": "fail", "code": code, "message": message}));
        Ok(())
    }

    pub(super) fn listen(
        &mut self,
        id: &str,
        task: &Value,
        path: &str,
        level: &Level,
    ) -> Result<String, String> {
        let to = task.pointer("/listen/to").ok_or_else(|| format!("{path}/listen: `to` is missing"))?;
        let scope = &level.scope;
        self.lose_unless(
            task.get("foreach").is_none(),
            &format!("{path}/foreach"),
            "events are not gone through one by one",
        );
        let event = |filter: &Value| -> Option<String> {
            filter.pointer("/with/type").and_then(Value::as_str).map(str::to_owned)
        };
        let wait =
            |builder: &mut Self, id: &str, filter: &Value, at: &str, output: &str| -> Result<(), String> {
                let name = event(filter).ok_or_else(|| format!("{at}: `with.type` is missing"))?;
                let others = filter
                    .get("with")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                    .filter(|(name, _)| *name != "type");
                for (name, _) in others {
                    builder.lose(
                        &format!("{at}/with/{}", escape(name)),
                        "only the type of an event is looked at",
                    );
                }
                builder.lose_unless(
                    filter.get("correlate").is_none(),
                    &format!("{at}/correlate"),
                    "signals are sent to a run, which needs no correlation",
                );
                builder
                    .node(id, json!({"type": "wait", "for": {"signal": {"name": name, "output": output}}}));
                Ok(())
            };
        if let Some(one) = to.get("one") {
            wait(self, id, one, &format!("{path}/listen/to/one"), &scope.data)?;
            return Ok(id.to_owned());
        }
        let (list, any) = match (to.get("all"), to.get("any")) {
            (Some(list), _) => (list, false),
            (None, Some(list)) => (list, true),
            (None, None) => return Err(format!("{path}/listen/to: it is `one`, `any` or `all`")),
        };
        let list = list
            .as_array()
            .filter(|list| !list.is_empty())
            .ok_or_else(|| format!("{path}/listen/to: it is a list of events"))?;
        let (mut ports, mut outputs) = (Vec::new(), Vec::new());
        for (at, filter) in list.iter().enumerate() {
            let own = self.scope(Some(scope));
            let (port, node) = (format!("event {at}"), format!("{id}#event {at}"));
            wait(self, &node, filter, &format!("{path}/listen/to/{at}"), &own.data)?;
            self.edge(id, &port, &node);
            ports.push(port);
            outputs.push(own.data);
        }
        self.node(
            id,
            json!({"type": "parallel", "branches": ports, "join": if any { "any" } else { "all" }}),
        );
        let gather = format!("{id}#events");
        let shown = if any {
            format!("=[{}].filter(e, e != null)", outputs.join(", "))
        } else {
            format!("=[{}]", outputs.join(", "))
        };
        self.node(&gather, json!({"type": "set", "values": { scope.data.clone(): shown }}));
        self.edge(id, "next", &gather);
        Ok(gather)
    }

    pub(super) fn call(
        &mut self,
        id: &str,
        task: &Value,
        path: &str,
        level: &Level,
    ) -> Result<String, String> {
        let scope = &level.scope;
        let called = task
            .get("call")
            .and_then(Value::as_str)
            .ok_or_else(|| format!("{path}/call: it is the name of a function"))?;
        self.actions.insert(called.to_owned());
        let given = match task.get("with") {
            Some(with) => self.value(with, &format!("{path}/with"), scope, &scope.data.clone()),
            None => json!(format!("={}", scope.data)),
        };
        self.node(id, json!({"type": "action", "action": called, "params": given, "output": scope.data}));
        Ok(id.to_owned())
    }

    pub(super) fn run(
        &mut self,
        id: &str,
        task: &Value,
        path: &str,
        level: &Level,
    ) -> Result<String, String> {
        let scope = &level.scope;
        let run = task
            .get("run")
            .and_then(Value::as_object)
            .ok_or_else(|| format!("{path}/run: it is an object"))?;
        let data = scope.data.clone();
        if let Some(workflow) = run.get("workflow") {
            let name = workflow
                .get("name")
                .and_then(Value::as_str)
                .ok_or_else(|| format!("{path}/run/workflow: `name` is missing"))?;
            let given = match workflow.get("input") {
                Some(input) => self.value(input, &format!("{path}/run/workflow/input"), scope, &data),
                None => json!(format!("={data}")),
            };
            self.lose_unless(
                workflow.get("version").and_then(Value::as_str).is_none_or(|version| version == "latest"),
                &format!("{path}/run/workflow/version"),
                "the published version runs",
            );
            self.lose_unless(
                run.get("await") != Some(&Value::Bool(false)),
                &format!("{path}/run/await"),
                "a sub-workflow is always waited for",
            );
            self.node(id, json!({"type": "sub_workflow", "workflow": name, "input": given, "output": data}));
            return Ok(id.to_owned());
        }
        let (kind, what) = run.iter().next().ok_or_else(|| format!("{path}/run: it runs nothing"))?;
        let given = self.value(what, &format!("{path}/run/{}", escape(kind)), scope, &data);
        let action = format!("run {kind}");
        self.actions.insert(action.clone());
        self.node(id, json!({"type": "action", "action": action, "params": given, "output": data}));
        Ok(id.to_owned())
    }

    pub(super) fn each(
        &mut self,
        id: &str,
        task: &Value,
        path: &str,
        level: &Level,
    ) -> Result<String, String> {
        let scope = &level.scope;
        let each = task
            .get("for")
            .and_then(Value::as_object)
            .ok_or_else(|| format!("{path}/for: it is an object"))?;
        let name = |field: &str, otherwise: &str| {
            each.get(field).and_then(Value::as_str).unwrap_or(otherwise).to_owned()
        };
        let number = self.next;
        self.next += 1;
        let (item, index) = (format!("item_{number}"), format!("index_{number}"));
        let source = each.get("in").cloned().unwrap_or_default();
        let items = self.condition(&source, &format!("{path}/for/in"), scope);
        let mut inner = scope.clone();
        inner.names.insert(name("each", "item"), item.clone());
        inner.names.insert(name("at", "index"), index.clone());
        let tasks = task.get("do").and_then(Value::as_array).filter(|tasks| !tasks.is_empty());
        let tasks = tasks.ok_or_else(|| format!("{path}/do: it is a list with at least one task"))?;
        let within = Level { scope: inner.clone(), depth: level.depth + 1, outermost: false };
        let mut start = self.tasks(tasks, &format!("{path}/do"), &within)?;
        if let Some(when) = task.get("while") {
            let when = self.condition(when, &format!("{path}/while"), &inner);
            let test = format!("{id}#while");
            self.node(&test, json!({"type": "condition", "branches": [{"port": "yes", "when": when}]}));
            self.edge(&test, "yes", &start);
            self.lose(
                &format!("{path}/while"),
                "the elements behind the first for which it does not hold are passed by one by one",
            );
            start = test;
        }
        self.node(id, json!({"type": "for_each", "items": items, "as": item, "index": index}));
        self.edge(id, "body", &start);
        Ok(id.to_owned())
    }

    pub(super) fn fork(
        &mut self,
        id: &str,
        task: &Value,
        path: &str,
        level: &Level,
    ) -> Result<String, String> {
        let scope = &level.scope;
        let branches =
            task.pointer("/fork/branches").and_then(Value::as_array).filter(|list| !list.is_empty()).cloned();
        let branches =
            branches.ok_or_else(|| format!("{path}/fork/branches: it is a list with at least one task"))?;
        let competes = task.pointer("/fork/compete") == Some(&Value::Bool(true));
        let (mut ports, mut results) = (Vec::new(), Vec::new());
        for (at, branch) in branches.iter().enumerate() {
            let own = self.scope(Some(scope));
            let within = Level { scope: own.clone(), depth: level.depth + 1, outermost: false };
            let start =
                self.tasks(std::slice::from_ref(branch), &format!("{path}/fork/branches/{at}"), &within)?;
            let (port, first) = (format!("branch {at}"), format!("{id}#branch {at}"));
            self.node(
                &first,
                json!({"type": "set", "values": { own.data.clone(): format!("={}", scope.data) }}),
            );
            self.edge(id, &port, &first);
            self.edge(&first, "next", &start);
            ports.push(port);
            results.push((own.data, start));
        }
        let gather = format!("{id}#results");
        if competes {
            // Who was first said so at its end.
            self.node(id, json!({"type": "race", "branches": ports}));
            self.lose(
                &format!("{path}/fork/compete"),
                "the result is the list of all branches as they were when the first one ended",
            );
        } else {
            self.node(id, json!({"type": "parallel", "branches": ports}));
        }
        let list: Vec<&str> = results.iter().map(|(data, _)| data.as_str()).collect();
        self.node(
            &gather,
            json!({"type": "set", "values": { scope.data.clone(): format!("=[{}]", list.join(", ")) }}),
        );
        self.edge(id, "next", &gather);
        Ok(gather)
    }

    pub(super) fn attempt(
        &mut self,
        id: &str,
        task: &Value,
        path: &str,
        level: &Level,
    ) -> Result<String, String> {
        let scope = &level.scope;
        let inner = Level { depth: level.depth + 1, outermost: false, scope: scope.clone() };
        let tasks = task.get("try").and_then(Value::as_array).filter(|tasks| !tasks.is_empty());
        let tasks = tasks.ok_or_else(|| format!("{path}/try: it is a list with at least one task"))?;
        let start = self.tasks(tasks, &format!("{path}/try"), &inner)?;
        let catch = task.get("catch").and_then(Value::as_object).cloned().unwrap_or_default();
        let at_path = format!("{path}/catch");
        for (field, _) in
            catch.iter().filter(|(field, _)| !matches!(field.as_str(), "errors" | "as" | "do" | "retry"))
        {
            self.lose(
                &format!("{at_path}/{}", escape(field)),
                "whether an error is caught is decided by its type alone",
            );
        }
        let on = match catch.get("errors").and_then(|errors| errors.get("with")) {
            Some(with) => {
                let others = with.as_object().into_iter().flatten().filter(|(name, _)| *name != "type");
                for (name, _) in others {
                    self.lose(
                        &format!("{at_path}/errors/with/{}", escape(name)),
                        "only the type of an error is looked at",
                    );
                }
                with.get("type").and_then(Value::as_str).unwrap_or("*").to_owned()
            }
            None => "*".to_owned(),
        };
        let number = self.next;
        self.next += 1;
        let variable = format!("error_{number}");
        self.variables.insert(variable.clone(), json!({"value": null}));
        let mut handler = inner.clone();
        let name = catch.get("as").and_then(Value::as_str).unwrap_or("error").to_owned();
        handler.scope.names.insert(name, variable.clone());
        let mut node =
            json!({"type": "try", "catch": [{"on": [on.clone()], "port": "caught", "output": variable}]});
        if let Some(retry) = catch.get("retry") {
            let rule = self.retry(&on, retry, &format!("{at_path}/retry"))?;
            set(&mut node, "retry", json!([rule]));
        }
        self.node(id, node);
        self.edge(id, "body", &start);
        if let Some(tasks) = catch.get("do").and_then(Value::as_array).filter(|tasks| !tasks.is_empty()) {
            let start = self.tasks(tasks, &format!("{at_path}/do"), &handler)?;
            self.edge(id, "caught", &start);
        }
        Ok(id.to_owned())
    }

    /// The rule by which a whole `try` is tried again.
    fn retry(&mut self, on: &str, retry: &Value, path: &str) -> Result<Value, String> {
        let retry = match retry.as_str() {
            Some(name) => {
                self.document.pointer(&format!("/use/retries/{}", escape(name))).cloned().ok_or_else(
                    || format!("{path}: there is no retry policy `{}`", guardian_core::shorten(name)),
                )?
            }
            None => retry.clone(),
        };
        let mut rule = json!({
            "on": [on],
            "attempts": retry.pointer("/limit/attempt/count").and_then(Value::as_u64).unwrap_or(3).clamp(1, 999) + 1,
            "interval": retry.get("delay").and_then(span).unwrap_or(Span::from_secs(1)).to_string(),
            "backoff": if retry.pointer("/backoff/exponential").is_some() { 2.0 } else { 1.0 },
        });
        if retry.get("jitter").is_some() {
            set(&mut rule, "jitter", json!("full"));
        }
        if retry.pointer("/backoff/linear").is_some() {
            self.lose(&format!("{path}/backoff"), "waits do not grow by a fixed amount; they stay as long");
        }
        for field in ["when", "exceptWhen"].iter().filter(|field| retry.get(**field).is_some()) {
            self.lose(
                &format!("{path}/{field}"),
                "whether it is tried again is decided by the error's type alone",
            );
        }
        Ok(rule)
    }

    pub(super) fn schedule(&mut self, value: &mut Value) {
        let Some(schedule) = self.document.get("schedule").and_then(Value::as_object).cloned() else {
            return;
        };
        let mut triggers = serde_json::Map::new();
        for (field, given) in &schedule {
            let path = format!("/schedule/{}", escape(field));
            let at = match (field.as_str(), given) {
                ("cron", Value::String(cron)) => Some(cron.clone()),
                ("every", every) => span(every).map(|span| format!("every {span}")),
                _ => None,
            };
            match at.filter(|at| at.parse::<crate::definition::Schedule>().is_ok()) {
                Some(at) => {
                    let trigger = json!({"type": "schedule", "at": at});
                    triggers.insert("schedule".to_owned(), trigger);
                }
                None if field == "on" => {
                    let event = given.pointer("/one/with/type").and_then(Value::as_str);
                    match event {
                        Some(event) => {
                            let trigger = json!({"type": "event", "event": event});
                            triggers.insert("event".to_owned(), trigger);
                        }
                        None => self.lose(&path, "only one event, known by its type, starts a workflow"),
                    }
                }
                None => self.lose(&path, "it has no counterpart and starts nothing"),
            }
        }
        set(value, "triggers", Value::Object(triggers));
    }
}
