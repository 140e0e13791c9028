//! The rules of a `Choice`.

use serde_json::{Map, Value};

use super::machine::{Checker, Place};
use super::{jsonata, paths};
use crate::diff::pointer::escape;

/// What a comparison is with.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum With {
    Text,
    Number,
    Bool,
    Time,
}

/// Rules nest no deeper.
const MAX_DEPTH: u32 = 32;

/// What an operator compares with, and whether it takes that from a path.
pub(super) fn operator(name: &str) -> Option<(With, bool)> {
    let (plain, path) = name.strip_suffix("Path").map_or((name, false), |plain| (plain, true));
    let with = match plain {
        "StringEquals"
        | "StringLessThan"
        | "StringGreaterThan"
        | "StringLessThanEquals"
        | "StringGreaterThanEquals" => With::Text,
        "StringMatches" if !path => With::Text,
        "NumericEquals"
        | "NumericLessThan"
        | "NumericGreaterThan"
        | "NumericLessThanEquals"
        | "NumericGreaterThanEquals" => With::Number,
        "BooleanEquals" => With::Bool,
        "TimestampEquals"
        | "TimestampLessThan"
        | "TimestampGreaterThan"
        | "TimestampLessThanEquals"
        | "TimestampGreaterThanEquals" => With::Time,
        "IsNull" | "IsPresent" | "IsNumeric" | "IsString" | "IsBoolean" | "IsTimestamp" if !path => {
            With::Bool
        }
        _ => return None,
    };
    Some((with, path))
}

impl Checker {
    pub(super) fn choices(&mut self, members: &Map<String, Value>, place: Place<'_>) {
        let path = format!("{}/Choices", place.path);
        match members.get("Choices") {
            Some(Value::Array(rules)) if !rules.is_empty() => {
                for (at, rule) in rules.iter().enumerate() {
                    let path = format!("{path}/{at}");
                    self.rule(rule, Place { path: &path, ..place }, true, 0);
                }
            }
            Some(_) => self.faults.add(path, "it is a list with at least one rule"),
            None => self.faults.add(place.path, "`Choices` is missing"),
        }
        if members.get("Default").is_some_and(|value| !value.is_string()) {
            self.faults.add(format!("{}/Default", place.path), "it is the name of a state");
        }
    }

    fn rule(&mut self, rule: &Value, place: Place<'_>, outermost: bool, depth: u32) {
        let path = place.path;
        let Some(members) = rule.as_object() else { return self.faults.add(path, "a rule is an object") };
        if depth > MAX_DEPTH {
            return self.faults.add(path, format!("rules are nested deeper than {MAX_DEPTH}"));
        }
        match (members.get("Next"), outermost) {
            (None, true) => self.faults.add(path, "`Next` is missing"),
            (Some(Value::String(_)), true) | (None, false) => {}
            (Some(_), true) => self.faults.add(format!("{path}/Next"), "it is the name of a state"),
            (Some(_), false) => self.faults.add(format!("{path}/Next"), "a rule within a rule has no `Next`"),
        }
        if members.get("Comment").is_some_and(|value| !value.is_string()) {
            self.faults.add(format!("{path}/Comment"), "it is a text");
        }
        if let Some(assign) = members.get("Assign") {
            self.assign(assign, Place { path: &format!("{path}/Assign"), ..place });
        }
        if place.jsonata {
            return self.condition(members, place, outermost);
        }
        let operators: Vec<&String> = members
            .keys()
            .filter(|name| !matches!(name.as_str(), "Next" | "Comment" | "Assign" | "Variable"))
            .collect();
        let [operator_name] = operators.as_slice() else {
            return self.faults.add(path, "a rule has one operator");
        };
        let value = members.get(operator_name.as_str()).unwrap_or(&Value::Null);
        let at = format!("{path}/{}", escape(operator_name));
        match operator_name.as_str() {
            "And" | "Or" | "Not" if members.contains_key("Variable") => {
                self.faults.add(at, "a rule of rules has no `Variable`");
            }
            "And" | "Or" => match value {
                Value::Array(rules) if !rules.is_empty() => {
                    for (index, rule) in rules.iter().enumerate() {
                        let path = format!("{at}/{index}");
                        self.rule(rule, Place { path: &path, ..place }, false, depth + 1);
                    }
                }
                _ => self.faults.add(at, "it is a list with at least one rule"),
            },
            "Not" => self.rule(value, Place { path: &at, ..place }, false, depth + 1),
            name => self.comparison(members, (name, value), place, &at),
        }
    }

    fn comparison(
        &mut self,
        members: &Map<String, Value>,
        (name, value): (&str, &Value),
        place: Place<'_>,
        at: &str,
    ) {
        match members.get("Variable") {
            Some(Value::String(variable)) if paths::is_path(variable) => {}
            Some(_) => self.faults.add(format!("{}/Variable", place.path), "it is a path"),
            None => self.faults.add(place.path, "`Variable` is missing"),
        }
        let Some((with, path)) = operator(name) else {
            return self.faults.add(at, "there is no such operator");
        };
        let fault = match (with, path, value) {
            (_, true, Value::String(text)) if paths::is_path(text) => return,
            (_, true, _) => "it is a path",
            (With::Text, _, Value::String(_))
            | (With::Number, _, Value::Number(_))
            | (With::Bool, _, Value::Bool(_)) => return,
            (With::Time, _, Value::String(text)) if is_time(text) => return,
            (With::Text, ..) => "it is a text",
            (With::Number, ..) => "it is a number",
            (With::Bool, ..) => "it is `true` or `false`",
            (With::Time, ..) => "it is a point in time of RFC 3339",
        };
        self.faults.add(at, fault);
    }

    fn condition(&mut self, members: &Map<String, Value>, place: Place<'_>, outermost: bool) {
        let path = place.path;
        for name in members.keys() {
            if !matches!(name.as_str(), "Condition" | "Next" | "Comment" | "Assign" | "Output") {
                self.faults.add(format!("{path}/{}", escape(name)), "a rule in JSONata has no such field");
            }
        }
        match members.get("Condition") {
            Some(Value::String(text)) if paths::is_jsonata(text) => {
                if let Some(why) = jsonata::refused(text) {
                    self.faults.add(format!("{path}/Condition"), why);
                }
            }
            Some(Value::Bool(_)) => {}
            Some(_) => {
                self.faults
                    .add(format!("{path}/Condition"), "it is an expression `{% … %}` or a truth value");
            }
            None if outermost => self.faults.add(path, "`Condition` is missing"),
            None => {}
        }
        if let Some(output) = members.get("Output") {
            self.jsonata_value(output, &format!("{path}/Output"), 0);
        }
    }
}

/// Whether a text is a point in time of RFC 3339 with capital `T` and `Z`.
pub(super) fn is_time(text: &str) -> bool {
    text.contains("${")
        || (text.contains('T')
            && text.parse::<guardian_core::Timestamp>().is_ok()
            && !text.contains(['t', 'z']))
}
