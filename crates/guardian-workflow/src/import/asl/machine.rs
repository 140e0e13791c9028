//! The rules of a state machine as a whole: names, transitions, ends.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::states;
use crate::diff::pointer::escape;
use crate::import::Fault;

/// Machines nest no deeper.
const MAX_NESTING: u32 = 32;
/// No more is reported.
const MAX_FAULTS: usize = 200;
const MAX_NAME: usize = 80;

pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(Fault { path: path.into(), message: message.into() });
        }
    }
}

/// What is known about where a state stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub(super) path: &'p str,
    pub(super) jsonata: bool,
    pub(super) depth: u32,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Whole,
    Branch,
    Processor,
}

pub(super) fn check(document: &Value) -> Vec<Fault> {
    let mut checker = Checker { faults: Faults(Vec::new()), names: BTreeMap::new() };
    checker.machine(document, Kind::Whole, Place { path: "", jsonata: false, depth: 0 });
    checker.faults.0
}

pub(super) struct Checker {
    pub(super) faults: Faults,
    /// Where each name was seen.
    names: BTreeMap<String, String>,
}

impl Checker {
    /// A machine: the whole, a branch of a `Parallel`, the processor of a `Map`.
    pub(super) fn machine(&mut self, value: &Value, kind: Kind, place: Place<'_>) {
        let path = place.path;
        let Some(members) = value.as_object() else {
            return self.faults.add(path, "a state machine is an object");
        };
        if place.depth > MAX_NESTING {
            return self.faults.add(path, format!("machines are nested deeper than {MAX_NESTING}"));
        }
        self.top(members, kind, path);
        let own = members.get("QueryLanguage").and_then(Value::as_str);
        let jsonata = match own {
            Some("JSONata") => true,
            Some("JSONPath") if place.jsonata => {
                self.faults.add(
                    format!("{path}/QueryLanguage"),
                    "what is within JSONata cannot go back to JSONPath",
                );
                false
            }
            Some("JSONPath") => false,
            _ => place.jsonata,
        };
        let start = members.get("StartAt");
        let start = match start {
            Some(Value::String(start)) => Some(start.as_str()),
            Some(_) => {
                self.faults.add(format!("{path}/StartAt"), "it is the name of a state");
                None
            }
            None => {
                self.faults.add(path, "`StartAt` is missing");
                None
            }
        };
        let states = match members.get("States") {
            Some(Value::Object(states)) if !states.is_empty() => states,
            Some(_) => {
                return self.faults.add(format!("{path}/States"), "it is an object with at least one state");
            }
            None => return self.faults.add(path, "`States` is missing"),
        };
        if let Some(start) = start
            && !states.contains_key(start)
        {
            self.faults.add(format!("{path}/StartAt"), format!("there is no state `{start}` here"));
        }
        for (name, state) in states {
            let at = format!("{path}/States/{}", escape(name));
            if name.is_empty() || name.chars().count() > MAX_NAME {
                self.faults.add(at.clone(), format!("a state's name has 1 to {MAX_NAME} characters"));
            }
            if let Some(other) = self.names.insert(name.clone(), at.clone()) {
                self.faults.add(at.clone(), format!("there is a state `{name}` at {other} too"));
            }
            self.state(state, Place { path: &at, jsonata, depth: place.depth });
        }
        self.transitions(states, start, path);
    }

    fn top(&mut self, members: &Map<String, Value>, kind: Kind, path: &str) {
        let known: &[&str] = match kind {
            Kind::Whole => &["Comment", "StartAt", "States", "Version", "TimeoutSeconds", "QueryLanguage"],
            Kind::Branch => &["Comment", "StartAt", "States", "QueryLanguage"],
            Kind::Processor => &["Comment", "StartAt", "States", "QueryLanguage", "ProcessorConfig"],
        };
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            self.faults.add(format!("{path}/{}", escape(name)), "a state machine has no such field");
        }
        for name in ["Comment", "Version"] {
            if members.get(name).is_some_and(|value| !value.is_string()) {
                self.faults.add(format!("{path}/{name}"), "it is a text");
            }
        }
        if members.get("TimeoutSeconds").is_some_and(|value| value.as_u64().is_none_or(|n| n == 0)) {
            self.faults.add(format!("{path}/TimeoutSeconds"), "it is a whole number above 0");
        }
        if let Some(config) = members.get("ProcessorConfig").filter(|_| kind == Kind::Processor) {
            states::processor_config(&mut self.faults, config, &format!("{path}/ProcessorConfig"));
        }
        self.query_language(members, path);
    }

    pub(super) fn query_language(&mut self, members: &Map<String, Value>, path: &str) {
        if let Some(language) = members.get("QueryLanguage")
            && !matches!(language.as_str(), Some("JSONPath" | "JSONata"))
        {
            self.faults.add(format!("{path}/QueryLanguage"), "it is `JSONPath` or `JSONata`");
        }
    }

    /// All targets are there, all states are reached, and there is an end.
    fn transitions(&mut self, states: &Map<String, Value>, start: Option<&str>, path: &str) {
        let mut targets: BTreeMap<&str, Vec<(String, &str)>> = BTreeMap::new();
        let mut ends = false;
        for (name, state) in states {
            let kind = state.get("Type").and_then(Value::as_str).unwrap_or_default();
            ends |= matches!(kind, "Succeed" | "Fail") || state.get("End") == Some(&Value::Bool(true));
            let list = targets.entry(name.as_str()).or_default();
            let mut add = |place: String, value: Option<&'_ Value>| {
                if let Some(target) = value.and_then(Value::as_str) {
                    // The names live in the states.
                    list.push((place, states.get_key_value(target).map_or("", |(name, _)| name.as_str())));
                    return (states.get(target).is_none()).then(|| target.to_owned());
                }
                None
            };
            let base = format!("{path}/States/{}", escape(name));
            let mut missing = Vec::new();
            if kind != "Choice" {
                missing.push((format!("{base}/Next"), add("Next".to_owned(), state.get("Next"))));
            } else {
                missing.push((format!("{base}/Default"), add("Default".to_owned(), state.get("Default"))));
            }
            for (field, wanted) in [("Choices", kind == "Choice"), ("Catch", true)] {
                let list = state.get(field).and_then(Value::as_array).filter(|_| wanted);
                for (at, each) in list.into_iter().flatten().enumerate() {
                    let place = format!("{base}/{field}/{at}/Next");
                    missing.push((place.clone(), add(place, each.get("Next"))));
                }
            }
            for (place, target) in missing {
                if let Some(target) = target {
                    self.faults.add(place, format!("there is no state `{target}` here"));
                }
            }
        }
        if !ends {
            self.faults.add(format!("{path}/States"), "no state ends the machine");
        }
        let Some(start) = start.filter(|start| states.contains_key(*start)) else { return };
        let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(name) = open.pop() {
            if seen.insert(name) {
                open.extend(
                    targets.get(name).into_iter().flatten().map(|(_, to)| *to).filter(|to| !to.is_empty()),
                );
            }
        }
        for name in states.keys().filter(|name| !seen.contains(name.as_str())) {
            self.faults.add(format!("{path}/States/{}", escape(name)), "nothing leads to it");
        }
    }
}
