//! JSON Schema, as far as parameters and inputs need it.

use guardian_core::shorten;
use serde_json::Value;

/// Schemas and values nest no deeper; what would is not looked at.
const MAX_DEPTH: usize = 64;

/// Why the value does not fit the schema, and where; `None` if it does.
///
/// `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `minItems`, `maxItems`, `minLength`,
/// `maxLength`, `minimum`, `maximum`, `anyOf`, `oneOf`, `allOf`, `nullable` and references within the schema count.
pub(crate) fn misfit(schema: &Value, value: &Value) -> Option<String> {
    Checker { root: schema, skip: None }.check(schema, value, "", 0)
}

/// The same where some texts are expressions, whose values are not known.
pub(crate) fn misfit_template(schema: &Value, value: &Value, skip: fn(&Value) -> bool) -> Option<String> {
    Checker { root: schema, skip: Some(skip) }.check(schema, value, "", 0)
}

/// The schema of a part of a value, where it says something about it.
pub(crate) fn part<'s>(root: &'s Value, schema: &'s Value, key: &str) -> Option<&'s Value> {
    let schema = resolve(root, schema)?;
    if let Some(property) = schema.get("properties").and_then(|all| all.get(key)) {
        return Some(property);
    }
    if key.bytes().all(|byte| byte.is_ascii_digit()) && schema.get("items").is_some() {
        return schema.get("items");
    }
    schema.get("additionalProperties").filter(|rest| rest.is_object())
}

pub(crate) fn resolve<'s>(root: &'s Value, schema: &'s Value) -> Option<&'s Value> {
    let mut schema = schema;
    for _ in 0..MAX_DEPTH {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return Some(schema) };
        schema = root.pointer(reference.strip_prefix('#')?)?;
    }
    None
}

struct Checker<'s> {
    root: &'s Value,
    skip: Option<fn(&Value) -> bool>,
}

impl Checker<'_> {
    fn check(&self, schema: &Value, value: &Value, path: &str, depth: usize) -> Option<String> {
        if depth > MAX_DEPTH || self.skip.is_some_and(|skip| skip(value)) {
            return None;
        }
        let schema = resolve(self.root, schema)?;
        let rules = match schema {
            Value::Object(rules) => rules,
            Value::Bool(false) => return Some(at(path, "nothing may be here")),
            _ => return None,
        };
        let nullable = rules.get("nullable") == Some(&Value::Bool(true));
        if value.is_null() && nullable {
            return None;
        }
        if let Some(kinds) = rules.get("type") {
            let known: Vec<&str> = match kinds {
                Value::String(kind) => vec![kind],
                Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            if !known.is_empty() && !known.iter().any(|kind| is_of(value, kind)) {
                let found = kind_of(value);
                return Some(at(path, &format!("expected {}, found {found}", known.join(" or "))));
            }
        }
        if let Some(allowed) = rules.get("enum").and_then(Value::as_array)
            && !allowed.contains(value)
        {
            let listed: Vec<String> = allowed.iter().take(8).map(|each| format!("`{each}`")).collect();
            let found = crate::error::shorten_json(value);
            return Some(at(path, &format!("`{found}` is not one of {}", listed.join(", "))));
        }
        if let Some(constant) = rules.get("const")
            && constant != value
        {
            return Some(at(path, &format!("expected `{}`", crate::error::shorten_json(constant))));
        }
        self.bounds(rules, value, path)
            .or_else(|| self.combined(rules, value, path, depth))
            .or_else(|| self.parts(rules, value, path, depth))
    }

    fn bounds(&self, rules: &serde_json::Map<String, Value>, value: &Value, path: &str) -> Option<String> {
        let (size, unit) = match value {
            Value::String(text) => (text.chars().count(), "Length"),
            Value::Array(items) => (items.len(), "Items"),
            Value::Object(members) => (members.len(), "Properties"),
            Value::Number(number) => {
                let number = number.as_f64()?;
                let bound = |name: &str| rules.get(name).and_then(Value::as_f64);
                let fault = match (bound("minimum"), bound("maximum")) {
                    (Some(least), _) if number < least => format!("`{value}` is below {least}"),
                    (_, Some(most)) if number > most => format!("`{value}` is above {most}"),
                    _ => return None,
                };
                return Some(at(path, &fault));
            }
            _ => return None,
        };
        let bound = |prefix: &str| {
            let value = rules.get(&format!("{prefix}{unit}")).and_then(Value::as_u64)?;
            usize::try_from(value).ok()
        };
        let unit = unit.to_lowercase();
        if let Some(least) = bound("min").filter(|least| size < *least) {
            return Some(at(path, &format!("its {unit} is {size}, the least is {least}")));
        }
        let most = bound("max").filter(|most| size > *most)?;
        Some(at(path, &format!("its {unit} is {size}, the most is {most}")))
    }

    fn combined(
        &self,
        rules: &serde_json::Map<String, Value>,
        value: &Value,
        path: &str,
        depth: usize,
    ) -> Option<String> {
        let list = |name: &str| rules.get(name).and_then(Value::as_array);
        for schema in list("allOf").into_iter().flatten() {
            if let Some(why) = self.check(schema, value, path, depth + 1) {
                return Some(why);
            }
        }
        for choices in ["anyOf", "oneOf"].into_iter().filter_map(list) {
            let mut first = None;
            let fits = choices.iter().any(|schema| match self.check(schema, value, path, depth + 1) {
                None => true,
                Some(why) => {
                    first.get_or_insert(why);
                    false
                }
            });
            if !fits {
                return first.or_else(|| Some(at(path, "no alternative is allowed")));
            }
        }
        None
    }

    fn parts(
        &self,
        rules: &serde_json::Map<String, Value>,
        value: &Value,
        path: &str,
        depth: usize,
    ) -> Option<String> {
        match value {
            Value::Array(items) => {
                let schema = rules.get("items")?;
                items
                    .iter()
                    .enumerate()
                    .find_map(|(index, item)| self.check(schema, item, &format!("{path}/{index}"), depth + 1))
            }
            Value::Object(members) => {
                let required = rules.get("required").and_then(Value::as_array).into_iter().flatten();
                for name in required.filter_map(Value::as_str) {
                    if !members.contains_key(name) {
                        return Some(at(path, &format!("`{}` is missing", shorten(name))));
                    }
                }
                let properties = rules.get("properties");
                members.iter().find_map(|(name, member)| {
                    let schema = properties
                        .and_then(|all| all.get(name))
                        .or_else(|| rules.get("additionalProperties"))?;
                    if schema == &Value::Bool(false) {
                        return Some(at(path, &format!("`{}` is not known", shorten(name))));
                    }
                    self.check(schema, member, &format!("{path}/{}", shorten(name)), depth + 1)
                })
            }
            _ => None,
        }
    }
}

fn at(path: &str, what: &str) -> String {
    if path.is_empty() { what.to_owned() } else { format!("at `{path}`: {what}") }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
        "number" => value.is_number(),
        other => kind_of(value) == other,
    }
}

pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
