//! States that decide, wait and fail.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Builder, Level, text};
use crate::import::asl::choice::{self, With};
use crate::import::asl::{paths, translate};

impl Builder {
    pub(super) fn choice(
        &mut self,
        (name, state): (&str, &Value),
        path: &str,
        level: &Level,
        back: &BTreeSet<(String, String)>,
    ) {
        let mut branches = Vec::new();
        let rules = state.get("Choices").and_then(Value::as_array).cloned().unwrap_or_default();
        for (at, rule) in rules.iter().enumerate() {
            let (port, rule_path) = (format!("rule {at}"), format!("{path}/Choices/{at}"));
            let when = match rule.get("Condition") {
                Some(Value::Bool(holds)) => holds.to_string(),
                Some(Value::String(text)) => self.jsonata(text, &rule_path, level, &level.scope.data),
                _ => self.rule(rule, &rule_path, level),
            };
            branches.push(json!({"port": port, "when": when}));
            for lost in ["Assign", "Output"].iter().filter(|field| rule.get(**field).is_some()) {
                self.lose(&format!("{rule_path}/{lost}"), "a rule of a choice sets nothing");
            }
            self.lead((name, name), &port, text(rule, "Next"), level, back);
        }
        self.unrepresented(state, path, &["Assign", "Output", "InputPath", "OutputPath"]);
        self.node(name, json!({"type": "condition", "branches": branches}));
        match text(state, "Default") {
            Some(default) => self.lead((name, name), "else", Some(default), level, back),
            None => {
                let none = format!("{name}#none");
                self.node(&none, json!({"type": "fail", "code": "States.NoChoiceMatched", "message": "no rule of the choice fits"}));
                self.edge(name, "else", &none);
            }
        }
    }

    pub(super) fn rule(&mut self, rule: &Value, path: &str, level: &Level) -> String {
        for (name, join) in [("And", " && "), ("Or", " || ")] {
            if let Some(rules) = rule.get(name).and_then(Value::as_array).cloned() {
                let parts: Vec<String> = rules
                    .iter()
                    .enumerate()
                    .map(|(at, rule)| format!("({})", self.rule(rule, &format!("{path}/{name}/{at}"), level)))
                    .collect();
                return parts.join(join);
            }
        }
        if let Some(inner) = rule.get("Not") {
            return format!("!({})", self.rule(inner, &format!("{path}/Not"), level));
        }
        let data = level.scope.data.clone();
        let variable = text(rule, "Variable").unwrap_or_default().to_owned();
        let left = self.path(&variable, path, level, &data);
        let Some((name, value)) =
            rule.as_object().into_iter().flatten().find(|(name, _)| choice::operator(name).is_some())
        else {
            return "false".to_owned();
        };
        let Some((with, from_path)) = choice::operator(name) else { return "false".to_owned() };
        let holds =
            |is: String, wanted: &Value| if wanted == &Value::Bool(false) { format!("!({is})") } else { is };
        match name.as_str() {
            "IsNull" => return holds(format!("{left} == null"), value),
            "IsNumeric" => return holds(format!("type({left}) in [int, double]"), value),
            "IsString" => return holds(format!("type({left}) == string"), value),
            "IsBoolean" => return holds(format!("type({left}) == bool"), value),
            "IsTimestamp" => {
                let is = format!(
                    "type({left}) == string && {left}.matches(\"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T.*Z$\")"
                );
                return holds(is, value);
            }
            "IsPresent" => {
                let present = translate::present(&variable, &data);
                if present.is_none() {
                    self.lose(path, "whether such a place is there cannot be asked; it counts as absent");
                }
                return holds(present.unwrap_or_else(|| "false".to_owned()), value);
            }
            "StringMatches" => {
                let pattern = translate::glob(value.as_str().unwrap_or_default());
                return format!("{left}.matches({})", translate::quoted(&pattern));
            }
            _ => {}
        }
        let right = match value.as_str() {
            Some(place) if from_path => self.path(place, path, level, &data),
            Some(text) => translate::quoted(text),
            None => value.to_string(),
        };
        let operator =
            match name.trim_end_matches("Path").trim_start_matches(|c: char| c.is_ascii_uppercase()) {
                tail if tail.ends_with("LessThanEquals") => "<=",
                tail if tail.ends_with("GreaterThanEquals") => ">=",
                tail if tail.ends_with("LessThan") => "<",
                tail if tail.ends_with("GreaterThan") => ">",
                _ => "==",
            };
        if with == With::Time {
            return format!("timestamp({left}) {operator} timestamp({right})");
        }
        format!("{left} {operator} {right}")
    }

    pub(super) fn wait(&mut self, state: &Value, path: &str, level: &Level) -> Value {
        let data = level.scope.data.clone();
        let expression =
            |builder: &mut Self, value: &str| format!("={}", builder.jsonata(value, path, level, &data));
        if let Some(seconds) = state.get("Seconds") {
            return match seconds {
                Value::String(text) => json!({"duration": expression(self, text)}),
                number => json!({"duration": format!("{}s", number.as_u64().unwrap_or(0))}),
            };
        }
        if let Some(place) = text(state, "SecondsPath") {
            return json!({"duration": format!("={}", self.path(place, path, level, &data))});
        }
        if let Some(place) = text(state, "TimestampPath") {
            return json!({"until": format!("={}", self.path(place, path, level, &data))});
        }
        let time = text(state, "Timestamp").unwrap_or_default();
        if time.starts_with("{%") {
            return json!({"until": expression(self, time)});
        }
        if time.parse::<guardian_core::Timestamp>().is_err() {
            self.lose(&format!("{path}/Timestamp"), "what a tool fills in is not known; it does not wait");
            return json!({"duration": "0s"});
        }
        json!({"until": time})
    }

    pub(super) fn fail(&mut self, name: &str, state: &Value, path: &str, level: &Level) {
        let data = level.scope.data.clone();
        let mut said = |field: &str, otherwise: &str| {
            let place = text(state, &format!("{field}Path")).map(|place| {
                if paths::is_call(place) {
                    self.call(place, path, level, &data)
                } else {
                    self.path(place, path, level, &data)
                }
            });
            match (place, text(state, field)) {
                (Some(expression), _) => json!(format!("={expression}")),
                (None, Some(text)) if level.jsonata && text.starts_with("{%") => {
                    json!(format!("={}", self.jsonata(text, path, level, &data)))
                }
                (None, Some(text)) => self.literal(&json!(text)),
                (None, None) => json!(otherwise),
            }
        };
        let (code, message) = (said("Error", "States.Fail"), said("Cause", ""));
        self.node(name, json!({"type": "fail", "code": code, "message": message}));
    }
}
