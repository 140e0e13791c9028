//! The rules of single states.

use serde_json::{Map, Value};

use super::machine::{Checker, Faults, Kind, Place};
use super::{choice, fields, jsonata, paths};
use crate::diff::pointer::escape;

/// Values nest no deeper than JSON that is read.
const MAX_DEPTH: u32 = 128;

type State = Map<String, Value>;

impl Checker {
    pub(super) fn state(&mut self, state: &Value, place: Place<'_>) {
        let path = place.path;
        let Some(members) = state.as_object() else { return self.faults.add(path, "a state is an object") };
        self.query_language(members, path);
        let jsonata = match members.get("QueryLanguage").and_then(Value::as_str) {
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
        let place = Place { jsonata, ..place };
        let kind = match members.get("Type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(_) => return self.faults.add(format!("{path}/Type"), "it is a text"),
            None => return self.faults.add(path, "`Type` is missing"),
        };
        let Some(allowed) = fields::of(kind) else {
            let message = format!("there are no states of the type `{}`", guardian_core::shorten(kind));
            return self.faults.add(format!("{path}/Type"), message);
        };
        for name in members.keys() {
            if let Some(why) = allowed.refuse(name, jsonata) {
                self.faults.add(format!("{path}/{}", escape(name)), why);
            }
        }
        if members.get("Comment").is_some_and(|value| !value.is_string()) {
            self.faults.add(format!("{path}/Comment"), "it is a text");
        }
        self.next(kind, members, path);
        self.data(members, place);
        match kind {
            "Task" => self.task(members, place),
            "Choice" => self.choices(members, place),
            "Wait" => self.wait(members, place),
            "Fail" => self.fail(members, place),
            "Parallel" => self.parallel(members, place),
            "Map" => self.map(members, place),
            _ => {}
        }
        self.retries(members, place);
        self.catches(members, place);
    }

    fn next(&mut self, kind: &str, members: &State, path: &str) {
        if !matches!(kind, "Pass" | "Task" | "Wait" | "Parallel" | "Map") {
            return;
        }
        if members.get("Next").is_some_and(|next| !next.is_string()) {
            self.faults.add(format!("{path}/Next"), "it is the name of a state");
        }
        match (members.contains_key("Next"), members.get("End")) {
            (true, Some(Value::Bool(true))) => self.faults.add(path, "it has both `Next` and `End`"),
            (false, None | Some(Value::Bool(false))) => {
                self.faults.add(path, "it has neither `Next` nor `End`");
            }
            (_, None | Some(Value::Bool(_))) => {}
            (_, Some(_)) => self.faults.add(format!("{path}/End"), "it is `true`"),
        }
    }

    /// What goes in and comes out.
    fn data(&mut self, members: &State, place: Place<'_>) {
        let path = place.path;
        for name in ["InputPath", "OutputPath"] {
            match members.get(name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if paths::is_path(text) => {}
                Some(_) => self.faults.add(format!("{path}/{name}"), "it is a path or null"),
            }
        }
        match members.get("ResultPath") {
            None | Some(Value::Null) => {}
            // Neither in the context nor in a variable.
            Some(Value::String(text))
                if paths::is_reference(text)
                    && text
                        .strip_prefix('$')
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])) => {}
            Some(_) => self.faults.add(format!("{path}/ResultPath"), "it is a path to one place, or null"),
        }
        for name in [
            "ItemsPath",
            "SecondsPath",
            "TimestampPath",
            "TimeoutSecondsPath",
            "HeartbeatSecondsPath",
            "MaxConcurrencyPath",
            "ToleratedFailurePercentagePath",
            "ToleratedFailureCountPath",
        ] {
            match members.get(name) {
                None => {}
                Some(Value::String(text)) if paths::is_path(text) => {}
                Some(_) => self.faults.add(format!("{path}/{name}"), "it is a path"),
            }
        }
        for name in ["ErrorPath", "CausePath"] {
            match members.get(name) {
                None => {}
                Some(Value::String(text))
                    if paths::is_path(text)
                        || (paths::is_call(text) && paths::intrinsic_fault(text).is_none()) => {}
                Some(_) => self.faults.add(format!("{path}/{name}"), "it is a path or a call"),
            }
        }
        if place.jsonata {
            for name in ["Arguments", "Output", "Items", "ItemSelector", "Credentials"] {
                if let Some(value) = members.get(name) {
                    self.jsonata_value(value, &format!("{path}/{name}"), 0);
                }
            }
        } else {
            for name in ["Parameters", "ResultSelector", "ItemSelector", "Credentials"] {
                if let Some(value) = members.get(name) {
                    self.template(value, &format!("{path}/{name}"), 0);
                }
            }
        }
        if let Some(assign) = members.get("Assign") {
            self.assign(assign, Place { path: &format!("{path}/Assign"), ..place });
        }
    }

    pub(super) fn assign(&mut self, value: &Value, place: Place<'_>) {
        let path = place.path;
        let Some(members) = value.as_object() else { return self.faults.add(path, "it is an object") };
        for name in members.keys() {
            let plain = if place.jsonata { name.as_str() } else { name.strip_suffix(".$").unwrap_or(name) };
            let begins = plain.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
            let rest = plain.chars().all(|c| c.is_alphanumeric() || c == '_');
            if !begins || !rest || plain.chars().count() > 80 || plain == "states" {
                self.faults.add(format!("{path}/{}", escape(name)), "it is no name of a variable");
            }
        }
        if place.jsonata { self.jsonata_value(value, path, 0) } else { self.template(value, path, 0) }
    }

    /// A payload template: fields that end in `.$` are paths or calls.
    pub(super) fn template(&mut self, value: &Value, path: &str, depth: u32) {
        if depth > MAX_DEPTH {
            return;
        }
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let place = format!("{path}/{}", escape(name));
                    let Some(plain) = name.strip_suffix(".$") else {
                        self.template(member, &place, depth + 1);
                        continue;
                    };
                    if members.contains_key(plain) {
                        let plain = guardian_core::shorten(plain);
                        self.faults.add(place.clone(), format!("the field `{plain}` is there too"));
                    }
                    match member {
                        Value::String(text) if paths::is_call(text) => {
                            if let Some(why) = paths::intrinsic_fault(text) {
                                self.faults.add(place, why);
                            }
                        }
                        Value::String(text) if paths::is_path(text) => {}
                        _ => self
                            .faults
                            .add(place, "a field that ends in `.$` is a path or a call of a function"),
                    }
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.template(item, &format!("{path}/{at}"), depth + 1);
                }
            }
            _ => {}
        }
    }

    /// A value in which texts `{% … %}` are expressions.
    pub(super) fn jsonata_value(&mut self, value: &Value, path: &str, depth: u32) {
        match value {
            _ if depth > MAX_DEPTH => {}
            Value::String(text) => {
                if let Some(why) = jsonata::refused(text) {
                    self.faults.add(path, why);
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.jsonata_value(item, &format!("{path}/{at}"), depth + 1);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    self.jsonata_value(member, &format!("{path}/{}", escape(name)), depth + 1);
                }
            }
            _ => {}
        }
    }

    /// A whole number within bounds, or an expression where the state uses JSONata.
    fn number(&mut self, value: Option<&Value>, (least, most): (u64, u64), place: Place<'_>, name: &str) {
        let fits = match value {
            None => true,
            Some(Value::String(text)) => place.jsonata && paths::is_jsonata(text),
            Some(value) => {
                let whole = value.as_u64().or_else(|| {
                    let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
                    format!("{number:.0}").parse().ok()
                });
                whole.is_some_and(|number| number >= least && number <= most)
            }
        };
        if !fits {
            let range =
                if most == u64::MAX { format!("at least {least}") } else { format!("{least} to {most}") };
            self.faults.add(format!("{}/{name}", place.path), format!("it is a whole number, {range}"));
        }
    }

    fn task(&mut self, members: &State, place: Place<'_>) {
        let path = place.path;
        match members.get("Resource") {
            Some(Value::String(text)) if is_resource(text, place.jsonata) => {}
            Some(Value::String(_)) => {
                self.faults.add(format!("{path}/Resource"), "it is the URI of what does the work");
            }
            Some(_) => self.faults.add(format!("{path}/Resource"), "it is a text"),
            None => self.faults.add(path, "`Resource` is missing"),
        }
        self.number(members.get("TimeoutSeconds"), (1, 99_999_999), place, "TimeoutSeconds");
        self.number(members.get("HeartbeatSeconds"), (1, 99_999_999), place, "HeartbeatSeconds");
        for name in ["TimeoutSeconds", "HeartbeatSeconds"] {
            if members.contains_key(name) && members.contains_key(&format!("{name}Path")) {
                self.faults.add(path, format!("it has both `{name}` and `{name}Path`"));
            }
        }
        let seconds = |name: &str| members.get(name).and_then(Value::as_u64);
        if let (Some(heartbeat), Some(timeout)) = (seconds("HeartbeatSeconds"), seconds("TimeoutSeconds"))
            && heartbeat >= timeout
        {
            self.faults.add(format!("{path}/HeartbeatSeconds"), "it is less than `TimeoutSeconds`");
        }
    }

    fn wait(&mut self, members: &State, place: Place<'_>) {
        let ways = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"];
        if ways.iter().filter(|name| members.contains_key(**name)).count() != 1 {
            self.faults
                .add(place.path, "it has one of `Seconds`, `SecondsPath`, `Timestamp` and `TimestampPath`");
        }
        self.number(members.get("Seconds"), (0, 99_999_999), place, "Seconds");
        match members.get("Timestamp") {
            None => {}
            Some(Value::String(text))
                if choice::is_time(text) || (place.jsonata && paths::is_jsonata(text)) => {}
            Some(_) => {
                self.faults.add(format!("{}/Timestamp", place.path), "it is a point in time of RFC 3339");
            }
        }
    }

    fn fail(&mut self, members: &State, place: Place<'_>) {
        for name in ["Error", "Cause"] {
            match members.get(name) {
                None => {}
                Some(Value::String(text)) if !(place.jsonata && paths::is_broken_jsonata(text)) => {}
                Some(_) => self.faults.add(format!("{}/{name}", place.path), "it is a text"),
            }
            if members.contains_key(name) && members.contains_key(&format!("{name}Path")) {
                self.faults.add(place.path, format!("it has both `{name}` and `{name}Path`"));
            }
        }
    }

    fn parallel(&mut self, members: &State, place: Place<'_>) {
        let path = format!("{}/Branches", place.path);
        match members.get("Branches") {
            Some(Value::Array(branches)) if !branches.is_empty() => {
                for (at, branch) in branches.iter().enumerate() {
                    let path = format!("{path}/{at}");
                    self.machine(
                        branch,
                        Kind::Branch,
                        Place { path: &path, depth: place.depth + 1, ..place },
                    );
                }
            }
            Some(_) => self.faults.add(path, "it is a list with at least one branch"),
            None => self.faults.add(place.path, "`Branches` is missing"),
        }
    }

    fn map(&mut self, members: &State, place: Place<'_>) {
        let path = place.path;
        match (members.get("ItemProcessor"), members.get("Iterator")) {
            (Some(_), Some(_)) => self.faults.add(path, "it has both `ItemProcessor` and `Iterator`"),
            (None, None) => self.faults.add(path, "`ItemProcessor` is missing"),
            (Some(processor), None) => {
                let path = format!("{path}/ItemProcessor");
                self.machine(
                    processor,
                    Kind::Processor,
                    Place { path: &path, depth: place.depth + 1, ..place },
                );
            }
            (None, Some(iterator)) => {
                let path = format!("{path}/Iterator");
                self.machine(
                    iterator,
                    Kind::Processor,
                    Place { path: &path, depth: place.depth + 1, ..place },
                );
            }
        }
        if members.contains_key("Parameters") && members.contains_key("ItemSelector") {
            self.faults.add(path, "it has both `Parameters` and `ItemSelector`");
        }
        self.number(members.get("MaxConcurrency"), (0, u64::MAX), place, "MaxConcurrency");
        self.number(members.get("ToleratedFailureCount"), (0, u64::MAX), place, "ToleratedFailureCount");
        let share = members.get("ToleratedFailurePercentage");
        let fits = share.is_none_or(|share| match share {
            Value::String(text) => place.jsonata && paths::is_jsonata(text),
            other => other.as_f64().is_some_and(|share| (0.0..=100.0).contains(&share)),
        });
        if !fits {
            self.faults.add(format!("{path}/ToleratedFailurePercentage"), "it is a number, 0 to 100");
        }
        for name in ["MaxConcurrency", "ToleratedFailurePercentage", "ToleratedFailureCount"] {
            if members.contains_key(name) && members.contains_key(&format!("{name}Path")) {
                self.faults.add(path, format!("it has both `{name}` and `{name}Path`"));
            }
        }
        if let Some(label) = members.get("Label")
            && label.as_str().is_none_or(|label| label.is_empty() || label.chars().count() > 40)
        {
            self.faults.add(format!("{path}/Label"), "it is a text of 1 to 40 characters");
        }
        if let Some(items) = members.get("Items") {
            let fits = match items {
                Value::Array(_) | Value::Object(_) => true,
                Value::String(text) => paths::is_jsonata(text),
                _ => false,
            };
            if !fits {
                self.faults.add(format!("{path}/Items"), "it is a list or an expression");
            }
        }
        self.reader(members, place);
        self.part(
            members,
            "ItemBatcher",
            &[
                "BatchInput",
                "MaxItemsPerBatch",
                "MaxItemsPerBatchPath",
                "MaxInputBytesPerBatch",
                "MaxInputBytesPerBatchPath",
            ],
            place,
        );
        self.part(members, "ResultWriter", &["Resource", "Parameters", "Arguments", "WriterConfig"], place);
    }

    fn reader(&mut self, members: &State, place: Place<'_>) {
        self.part(members, "ItemReader", &["Resource", "ReaderConfig", "Parameters", "Arguments"], place);
        let Some(Value::Object(reader)) = members.get("ItemReader") else { return };
        let path = format!("{}/ItemReader", place.path);
        if !reader.get("Resource").is_some_and(Value::is_string) {
            self.faults.add(path.clone(), "`Resource` is missing");
        }
        let Some(config) = reader.get("ReaderConfig") else { return };
        let path = format!("{path}/ReaderConfig");
        let Some(config) = config.as_object() else { return self.faults.add(path, "it is an object") };
        let one_of = |name: &str, allowed: &[&str]| {
            config.get(name).is_none_or(|value| {
                value.as_str().is_some_and(|text| {
                    allowed.contains(&text) || paths::is_jsonata(text) || text.contains("${")
                })
            })
        };
        if !one_of("InputType", &["CSV", "JSON", "JSONL", "PARQUET", "MANIFEST"]) {
            self.faults
                .add(format!("{path}/InputType"), "it is `CSV`, `JSON`, `JSONL`, `PARQUET` or `MANIFEST`");
        }
        if !one_of("CSVHeaderLocation", &["FIRST_ROW", "GIVEN"]) {
            self.faults.add(format!("{path}/CSVHeaderLocation"), "it is `FIRST_ROW` or `GIVEN`");
        }
        if config.get("CSVHeaderLocation").and_then(Value::as_str) == Some("GIVEN")
            && !config.get("CSVHeaders").is_some_and(Value::is_array)
        {
            self.faults.add(path.clone(), "`CSVHeaders` is missing");
        }
        if config.contains_key("MaxItems") && config.contains_key("MaxItemsPath") {
            self.faults.add(path, "it has both `MaxItems` and `MaxItemsPath`");
        }
    }

    /// A part of a `Map` with fields of its own.
    fn part(&mut self, members: &State, name: &str, known: &[&str], place: Place<'_>) {
        let Some(value) = members.get(name) else { return };
        let path = format!("{}/{name}", place.path);
        let Some(fields) = value.as_object() else { return self.faults.add(path, "it is an object") };
        for field in fields.keys().filter(|field| !known.contains(&field.as_str())) {
            self.faults.add(format!("{path}/{}", escape(field)), "there is no such field here");
        }
        for field in ["Parameters", "BatchInput"] {
            if let Some(value) = fields.get(field).filter(|_| !place.jsonata) {
                self.template(value, &format!("{path}/{field}"), 0);
            }
        }
        if let Some(value) = fields.get("Arguments") {
            if place.jsonata {
                self.jsonata_value(value, &format!("{path}/Arguments"), 0);
            } else {
                self.faults
                    .add(format!("{path}/Arguments"), "it belongs to JSONata, and the state uses JSONPath");
            }
        }
    }

    fn retries(&mut self, members: &State, place: Place<'_>) {
        let Some(value) = members.get("Retry") else { return };
        let path = format!("{}/Retry", place.path);
        let Some(rules) = value.as_array() else { return self.faults.add(path, "it is a list") };
        for (at, rule) in rules.iter().enumerate() {
            let path = format!("{path}/{at}");
            let place = Place { path: &path, ..place };
            let Some(fields) = rule.as_object() else {
                self.faults.add(path, "a rule is an object");
                continue;
            };
            const KNOWN: [&str; 7] = [
                "ErrorEquals",
                "IntervalSeconds",
                "MaxAttempts",
                "BackoffRate",
                "MaxDelaySeconds",
                "JitterStrategy",
                "Comment",
            ];
            for field in fields.keys().filter(|field| !KNOWN.contains(&field.as_str())) {
                self.faults.add(format!("{path}/{}", escape(field)), "a rule has no such field");
            }
            self.errors(fields, &path, at + 1 == rules.len());
            self.number(
                fields.get("IntervalSeconds"),
                (1, 99_999_999),
                Place { jsonata: false, ..place },
                "IntervalSeconds",
            );
            self.number(
                fields.get("MaxAttempts"),
                (0, 99_999_999),
                Place { jsonata: false, ..place },
                "MaxAttempts",
            );
            self.number(
                fields.get("MaxDelaySeconds"),
                (1, 31_622_400),
                Place { jsonata: false, ..place },
                "MaxDelaySeconds",
            );
            if fields.get("BackoffRate").is_some_and(|rate| rate.as_f64().is_none_or(|rate| rate < 1.0)) {
                self.faults.add(format!("{path}/BackoffRate"), "it is a number, at least 1");
            }
            let seconds = |name: &str| fields.get(name).and_then(Value::as_u64);
            if let (Some(most), Some(first)) = (seconds("MaxDelaySeconds"), seconds("IntervalSeconds"))
                && most <= first
            {
                self.faults.add(format!("{path}/MaxDelaySeconds"), "it is more than `IntervalSeconds`");
            }
            if let Some(jitter) = fields.get("JitterStrategy")
                && !matches!(jitter.as_str(), Some("FULL" | "NONE"))
            {
                self.faults.add(format!("{path}/JitterStrategy"), "it is `FULL` or `NONE`");
            }
        }
    }

    fn catches(&mut self, members: &State, place: Place<'_>) {
        let Some(value) = members.get("Catch") else { return };
        let path = format!("{}/Catch", place.path);
        let Some(rules) = value.as_array() else { return self.faults.add(path, "it is a list") };
        for (at, rule) in rules.iter().enumerate() {
            let path = format!("{path}/{at}");
            let Some(fields) = rule.as_object() else {
                self.faults.add(path, "a rule is an object");
                continue;
            };
            let known: &[&str] = if place.jsonata {
                &["ErrorEquals", "Next", "Output", "Assign", "Comment"]
            } else {
                &["ErrorEquals", "Next", "ResultPath", "Assign", "Comment"]
            };
            for field in fields.keys().filter(|field| !known.contains(&field.as_str())) {
                self.faults.add(format!("{path}/{}", escape(field)), "a rule has no such field");
            }
            self.errors(fields, &path, at + 1 == rules.len());
            if !fields.get("Next").is_some_and(Value::is_string) {
                self.faults.add(path.clone(), "`Next` is missing");
            }
            self.data(fields, Place { path: &path, ..place });
        }
    }

    /// The errors that a rule is for.
    fn errors(&mut self, fields: &State, path: &str, last: bool) {
        let list = match fields.get("ErrorEquals") {
            Some(Value::Array(list)) if !list.is_empty() => list,
            Some(_) => {
                return self
                    .faults
                    .add(format!("{path}/ErrorEquals"), "it is a list with at least one error");
            }
            None => return self.faults.add(path, "`ErrorEquals` is missing"),
        };
        for (at, error) in list.iter().enumerate() {
            // Names that begin with `States.` are reserved by the specification. Machines that raise one of their own and catch it are in
            // use all the same, and nobody refuses them.
            if !error.is_string() {
                self.faults.add(format!("{path}/ErrorEquals/{at}"), "it is a text");
            }
        }
        if list.iter().any(|error| error.as_str() == Some("States.ALL")) && (list.len() > 1 || !last) {
            self.faults.add(format!("{path}/ErrorEquals"), "`States.ALL` stands alone, in the last rule");
        }
    }
}

/// A URI, or what a tool will replace by one.
fn is_resource(text: &str, jsonata: bool) -> bool {
    if text.is_empty() || (jsonata && paths::is_broken_jsonata(text)) {
        return false;
    }
    let placeholder = ["${", "{{", "<", "%", "#{"].iter().any(|mark| text.contains(mark));
    let scheme = text.split_once(':').is_some_and(|(scheme, rest)| {
        let mut characters = scheme.chars();
        characters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
            && !rest.is_empty()
    });
    let arn = !text.starts_with("arn:") || text.matches(':').count() >= 5;
    placeholder || (scheme && arn)
}

pub(super) fn processor_config(faults: &mut Faults, config: &Value, path: &str) {
    let Some(fields) = config.as_object() else { return faults.add(path, "it is an object") };
    for field in fields.keys().filter(|field| !matches!(field.as_str(), "Mode" | "ExecutionType")) {
        faults.add(format!("{path}/{}", escape(field)), "there is no such field here");
    }
    let mode = fields.get("Mode");
    if mode.is_some_and(|mode| !matches!(mode.as_str(), Some("INLINE" | "DISTRIBUTED"))) {
        faults.add(format!("{path}/Mode"), "it is `INLINE` or `DISTRIBUTED`");
    }
    let execution = fields.get("ExecutionType");
    if execution.is_some_and(|kind| !matches!(kind.as_str(), Some("STANDARD" | "EXPRESS"))) {
        faults.add(format!("{path}/ExecutionType"), "it is `STANDARD` or `EXPRESS`");
    }
    if mode.and_then(Value::as_str) == Some("DISTRIBUTED") && execution.is_none() {
        faults.add(path, "`ExecutionType` is missing");
    }
}
