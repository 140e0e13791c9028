use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use guardian_core::shorten;

use crate::error::InvalidEvent;
use crate::event::AuditEvent;

/// What the events of an action must look like: a JSON Schema for each, held against an event before anything of it is stored.
///
/// A schema sees the event as JSON as the host gives it, before redaction: `metadata`, `target`, `changes` and the others by the
/// names of [`AuditEvent`]'s fields, absent ones left out.
///
/// Of JSON Schema (2020-12) these keywords are known, and any other is refused when the schema is given, so that none is
/// overlooked in silence: `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `minProperties`,
/// `maxProperties`, `items`, `minItems`, `maxItems`, `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `minLength`,
/// `maxLength`, `allOf`, `anyOf`, `oneOf`, `not`, and, which check nothing, `$schema`, `$id`, `$comment`, `title`, `description`,
/// `default`, `examples`, `deprecated`. There are no references and no patterns.
///
/// ```
/// use guardian_audit::store::MemoryStore;
/// use guardian_audit::{AuditConfig, AuditEvent, AuditLog, Schemas};
/// use guardian_core::{Scope, TenantId};
/// use serde_json::json;
///
/// let schemas = Schemas::new().with_action("invoice.paid", &json!({
///     "required": ["target", "metadata"],
///     "properties": { "metadata": {
///         "required": ["amount"],
///         "properties": { "amount": { "type": "number", "minimum": 0 } },
///         "additionalProperties": false,
///     } },
/// }))?;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let log = AuditLog::new(MemoryStore::new(), AuditConfig::default().with_schemas(schemas));
/// let scope = Scope::system(TenantId::new("acme")?);
/// let event = AuditEvent::new("invoice.paid")
///     .with_target(guardian_audit::Target::new("invoice", "i_7"))
///     .with_metadata("amount", "a lot");
/// let error = log.record(&scope, event).await.unwrap_err();
/// assert_eq!(error.to_string(), "invalid event `invoice.paid`: `/metadata/amount` is not of type `number`");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Schemas {
    of: HashMap<String, Arc<Rule>>,
    only_known: bool,
}

impl Schemas {
    /// No schemas: every event is taken.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with this schema for the events of this action, in the place of an earlier one.
    ///
    /// # Errors
    /// When it has a keyword that is not known or not used as it should be, or nests deeper than 32 levels.
    pub fn with_action(mut self, action: &str, schema: &Value) -> Result<Self, InvalidSchema> {
        let rule =
            Rule::read(schema, DEEPEST).map_err(|why| InvalidSchema { action: shorten(action), why })?;
        self.of.insert(action.to_owned(), Arc::new(rule));
        Ok(self)
    }

    /// The same, refusing events of actions that have no schema; those that the log records of itself are taken.
    #[must_use]
    pub fn only_known(mut self) -> Self {
        self.only_known = true;
        self
    }

    /// Whether the event is what the schema of its action says.
    ///
    /// # Errors
    /// What is wrong first, with its path in the event; the wrong value itself is not repeated.
    pub fn check(&self, event: &AuditEvent) -> Result<(), InvalidEvent> {
        let wrong = |why: String| InvalidEvent::new("event", &event.action, why);
        let Some(rule) = self.of.get(&event.action) else {
            return match self.only_known && !is_own(&event.action) {
                true => Err(wrong("the action has no schema, and only those that have are taken".to_owned())),
                false => Ok(()),
            };
        };
        let json = serde_json::to_value(event).map_err(|error| wrong(error.to_string()))?;
        rule.check(&json, "").map_err(wrong)
    }
}

/// What the log records of itself.
fn is_own(action: &str) -> bool {
    action.starts_with("audit_log.") || action == "data_subject.erased"
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut actions: Vec<_> = self.of.keys().collect();
        actions.sort_unstable();
        f.debug_struct("Schemas").field("of", &actions).field("only_known", &self.only_known).finish()
    }
}

/// A document that is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema of `{action}` is none: {why}")]
pub struct InvalidSchema {
    action: String,
    why: String,
}

/// The deepest that a schema nests.
const DEEPEST: usize = 32;

const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "integer", "string"];

/// A schema that was read.
#[derive(Debug)]
enum Rule {
    Anything,
    Nothing,
    All(Vec<Test>),
}

#[derive(Debug)]
enum Test {
    Type(Vec<String>),
    Among(Vec<Value>),
    Properties {
        of: BTreeMap<String, Rule>,
        others: Option<Box<Rule>>,
    },
    Required(Vec<String>),
    Items(Box<Rule>),
    /// How many members, items or characters, or which number; from, to.
    Bound(&'static str, Bound, f64),
    AllOf(Vec<Rule>),
    AnyOf(Vec<Rule>),
    OneOf(Vec<Rule>),
    Not(Box<Rule>),
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    Least,
    Most,
    Above,
    Below,
}

impl Rule {
    fn read(schema: &Value, depth: usize) -> Result<Self, String> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(format!("it nests deeper than {DEEPEST} levels"));
        };
        let keywords = match schema {
            Value::Bool(true) => return Ok(Self::Anything),
            Value::Bool(false) => return Ok(Self::Nothing),
            Value::Object(keywords) => keywords,
            _ => return Err("a schema is an object, `true` or `false`".to_owned()),
        };
        let mut tests = Vec::new();
        for (keyword, value) in keywords {
            if let Some(test) = Self::keyword(keywords, keyword, value, depth)? {
                tests.push(test);
            }
        }
        Ok(Self::All(tests))
    }

    fn keyword(
        keywords: &Map<String, Value>,
        keyword: &str,
        value: &Value,
        depth: usize,
    ) -> Result<Option<Test>, String> {
        let wrong = || format!("`{}` is not what it should be", shorten(keyword));
        let rule = |value: &Value| Self::read(value, depth).map(Box::new);
        let rules = |value: &Value| -> Result<Vec<Self>, String> {
            let rules = value.as_array().filter(|rules| !rules.is_empty()).ok_or_else(wrong)?;
            rules.iter().map(|value| Self::read(value, depth)).collect()
        };
        let texts = |value: &Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let bound = |what, bound, whole: bool| {
            let number = value.as_f64().filter(|_| !whole || value.as_u64().is_some());
            number.map(|number| Some(Test::Bound(what, bound, number))).ok_or_else(wrong)
        };
        Ok(Some(match keyword {
            "type" => {
                let types = value.as_str().map(|text| vec![text.to_owned()]).or_else(|| texts(value));
                let known = |types: &Vec<String>| types.iter().all(|one| TYPES.contains(&one.as_str()));
                Test::Type(types.filter(known).ok_or_else(wrong)?)
            }
            "enum" => Test::Among(value.as_array().cloned().ok_or_else(wrong)?),
            "const" => Test::Among(vec![value.clone()]),
            "properties" => {
                let of = value.as_object().ok_or_else(wrong)?;
                let of = of.iter().map(|(name, value)| Ok((name.clone(), Self::read(value, depth)?)));
                let others = keywords.get("additionalProperties").map(rule).transpose()?;
                Test::Properties { of: of.collect::<Result<_, String>>()?, others }
            }
            "additionalProperties" if keywords.contains_key("properties") => return Ok(None),
            "additionalProperties" => Test::Properties { of: BTreeMap::new(), others: Some(rule(value)?) },
            "required" => Test::Required(texts(value).ok_or_else(wrong)?),
            "items" => Test::Items(rule(value)?),
            "minProperties" => return bound("members", Bound::Least, true),
            "maxProperties" => return bound("members", Bound::Most, true),
            "minItems" => return bound("items", Bound::Least, true),
            "maxItems" => return bound("items", Bound::Most, true),
            "minLength" => return bound("characters", Bound::Least, true),
            "maxLength" => return bound("characters", Bound::Most, true),
            "minimum" => return bound("number", Bound::Least, false),
            "maximum" => return bound("number", Bound::Most, false),
            "exclusiveMinimum" => return bound("number", Bound::Above, false),
            "exclusiveMaximum" => return bound("number", Bound::Below, false),
            "allOf" => Test::AllOf(rules(value)?),
            "anyOf" => Test::AnyOf(rules(value)?),
            "oneOf" => Test::OneOf(rules(value)?),
            "not" => Test::Not(rule(value)?),
            "$schema" | "$id" | "$comment" | "title" | "description" | "default" | "examples"
            | "deprecated" => return Ok(None),
            _ => return Err(format!("the keyword `{}` is not known", shorten(keyword))),
        }))
    }

    /// What is wrong with the value at this path.
    fn check(&self, value: &Value, path: &str) -> Result<(), String> {
        match self {
            Self::Anything => Ok(()),
            Self::Nothing => Err(format!("`{}` must not be there", shown(path))),
            Self::All(tests) => tests.iter().try_for_each(|test| test.check(value, path)),
        }
    }

    fn takes(&self, value: &Value) -> bool {
        self.check(value, "").is_ok()
    }
}

impl Test {
    fn check(&self, value: &Value, path: &str) -> Result<(), String> {
        let wrong = |why: &str| Err(format!("`{}` {why}", shown(path)));
        match (self, value) {
            (Self::Type(types), _) => match types.iter().any(|one| is_of(value, one)) {
                true => Ok(()),
                false => wrong(&format!("is not of type `{}`", types.join("` or `"))),
            },
            (Self::Among(values), _) => match values.iter().any(|one| is_same(one, value)) {
                true => Ok(()),
                false => wrong("is none of the values that it may be"),
            },
            (Self::Properties { of, others }, Value::Object(members)) => {
                members.iter().try_for_each(|(name, value)| {
                    let path = || format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                    match (of.get(name), others) {
                        (Some(rule), _) => rule.check(value, &path()),
                        (None, Some(rule)) => rule.check(value, &path()),
                        (None, None) => Ok(()),
                    }
                })
            }
            (Self::Required(names), Value::Object(members)) => {
                match names.iter().find(|name| !members.contains_key(*name)) {
                    Some(name) => wrong(&format!("has no `{}`", shorten(name))),
                    None => Ok(()),
                }
            }
            (Self::Items(rule), Value::Array(items)) => (0..)
                .zip(items)
                .try_for_each(|(at, item): (usize, _)| rule.check(item, &format!("{path}/{at}"))),
            (Self::Bound(what, bound, limit), _) => match size(value, what) {
                Some(size) if !bound.holds(size, *limit) => {
                    let of = if *what == "number" { String::new() } else { format!(" {what}") };
                    wrong(&format!("must be {} {limit}{of}", bound.as_str()))
                }
                _ => Ok(()),
            },
            (Self::AllOf(rules), _) => rules.iter().try_for_each(|rule| rule.check(value, path)),
            (Self::AnyOf(rules), _) => match rules.iter().any(|rule| rule.takes(value)) {
                true => Ok(()),
                false => wrong("is nothing that it may be"),
            },
            (Self::OneOf(rules), _) => match rules.iter().filter(|rule| rule.takes(value)).count() {
                1 => Ok(()),
                _ => wrong("is not exactly one of what it may be"),
            },
            (Self::Not(rule), _) => match rule.takes(value) {
                true => wrong("is what it must not be"),
                false => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl Bound {
    fn holds(self, size: f64, limit: f64) -> bool {
        match self {
            Self::Least => size >= limit,
            Self::Most => size <= limit,
            Self::Above => size > limit,
            Self::Below => size < limit,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Least => "at least",
            Self::Most => "at most",
            Self::Above => "more than",
            Self::Below => "less than",
        }
    }
}

/// What a bound is about; nothing when the value has none.
fn size(value: &Value, what: &str) -> Option<f64> {
    let count = match (what, value) {
        ("number", Value::Number(number)) => return number.as_f64(),
        ("members", Value::Object(members)) => members.len(),
        ("items", Value::Array(items)) => items.len(),
        ("characters", Value::String(text)) => text.chars().count(),
        _ => return None,
    };
    u32::try_from(count).ok().map(f64::from)
}

fn is_of(value: &Value, kind: &str) -> bool {
    match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::Object(_) => kind == "object",
        Value::Array(_) => kind == "array",
        Value::String(_) => kind == "string",
        Value::Number(number) => {
            let whole = || number.as_f64().is_some_and(|number| number.fract() == 0.0);
            kind == "number" || (kind == "integer" && whole())
        }
    }
}

/// Numbers are the same by their value: `1.0` is `1`.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) if a != b => {
            (a.is_f64() || b.is_f64())
                && a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a.total_cmp(&b).is_eq())
        }
        _ => one == other,
    }
}

/// A path as it is shown; names in it are the host's or its callers'.
fn shown(path: &str) -> String {
    if path.is_empty() { "/".to_owned() } else { shorten(path) }
}
