//! A stated part of JSON Schema 2020-12, to check payloads and to make them up.
//!
//! Known are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `minItems`, `maxItems`,
//! `minLength`, `maxLength`, `minimum`, `maximum`, `format` (for made-up values alone), `anyOf`, `oneOf`, `allOf`, `$ref` to
//! `#/$defs/NAME`, and annotations. A keyword that constrains and is not known is refused when the schema is given, rather than
//! passed over when it matters.

use serde_json::{Map, Value};

use crate::error::Error;
use guardian_core::shorten;

/// How deep schemas and payloads are followed.
const MAX_DEPTH: u32 = 64;

/// How many steps one validation takes: schemas with `anyOf` within `anyOf` could take forever.
const MAX_STEPS: u32 = 100_000;

const KNOWN: &[&str] = &[
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "format",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
    "$defs",
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];

fn shown(place: &str) -> String {
    if place.is_empty() { "/".to_owned() } else { shorten(place) }
}

fn faulty(place: &str, why: impl Into<String>) -> Error {
    Error::Schema { place: shown(place), why: why.into() }
}

fn misfit(place: &str, why: impl Into<String>) -> Error {
    Error::Payload { place: shown(place), why: why.into() }
}

/// Whether a schema is one that is known in all its parts.
///
/// # Errors
/// Where it is not, and why.
pub fn check(schema: &Value) -> Result<(), Error> {
    check_at(schema, schema, "", 0)
}

fn check_at(root: &Value, schema: &Value, place: &str, depth: u32) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(faulty(place, "the schema is too deep"));
    }
    let Value::Object(map) = schema else {
        return if schema.is_boolean() {
            Ok(())
        } else {
            Err(faulty(place, "a schema is an object or a boolean"))
        };
    };
    if let Some(key) = map.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(faulty(
            &format!("{place}/{key}"),
            format!("the keyword `{}` is not known", shorten(key)),
        ));
    }
    let known_type = |name: &Value| {
        matches!(
            name.as_str(),
            Some("object" | "array" | "string" | "integer" | "number" | "boolean" | "null")
        )
    };
    let types = match map.get("type") {
        None => true,
        Some(Value::Array(names)) => names.iter().all(known_type) && !names.is_empty(),
        Some(name) => known_type(name),
    };
    if !types {
        return Err(faulty(&format!("{place}/type"), "`type` is a JSON type or a list of them"));
    }
    if let Some(target) = map.get("$ref") {
        resolve(root, target).ok_or_else(|| {
            faulty(&format!("{place}/$ref"), "`$ref` has to be `#/$defs/NAME` of this schema")
        })?;
    }
    let inner = |value: &Value, key: &str| check_at(root, value, &format!("{place}/{key}"), depth + 1);
    for key in ["properties", "$defs"] {
        match map.get(key) {
            None => {}
            Some(Value::Object(parts)) => {
                for (name, part) in parts {
                    inner(part, &format!("{key}/{name}"))?;
                }
            }
            Some(_) => return Err(faulty(&format!("{place}/{key}"), format!("`{key}` is an object"))),
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(part) = map.get(key) {
            inner(part, key)?;
        }
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        match map.get(key) {
            None => {}
            Some(Value::Array(parts)) if !parts.is_empty() => {
                parts.iter().enumerate().try_for_each(|(at, part)| inner(part, &format!("{key}/{at}")))?;
            }
            Some(_) => {
                return Err(faulty(&format!("{place}/{key}"), format!("`{key}` is a list of schemas")));
            }
        }
    }
    Ok(())
}

fn resolve<'s>(root: &'s Value, target: &Value) -> Option<&'s Value> {
    let name = target.as_str()?.strip_prefix("#/$defs/")?;
    root.get("$defs")?.get(name)
}

/// Whether a payload fits a schema.
///
/// # Errors
/// The first place that does not fit, as a JSON pointer, and why.
pub fn validate(schema: &Value, payload: &Value) -> Result<(), Error> {
    Validation { root: schema, steps: 0 }.value(schema, payload, "", 0)
}

struct Validation<'s> {
    root: &'s Value,
    steps: u32,
}

impl Validation<'_> {
    fn value(&mut self, schema: &Value, value: &Value, place: &str, depth: u32) -> Result<(), Error> {
        self.steps += 1;
        if depth > MAX_DEPTH || self.steps > MAX_STEPS {
            return Err(misfit(place, "it takes too long to check"));
        }
        let map = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Object(map) => map,
            _ => return Err(misfit(place, "nothing is allowed here")),
        };
        if let Some(target) = map.get("$ref") {
            let target = resolve(self.root, target).cloned().unwrap_or(Value::Bool(false));
            self.value(&target, value, place, depth + 1)?;
        }
        simple(map, value, place)?;
        self.combined(map, value, place, depth)?;
        match value {
            Value::Object(object) => self.object(map, object, place, depth),
            Value::Array(items) => {
                let Some(schema) = map.get("items") else { return Ok(()) };
                for (at, item) in items.iter().enumerate() {
                    self.value(schema, item, &format!("{place}/{at}"), depth + 1)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn combined(
        &mut self,
        map: &Map<String, Value>,
        value: &Value,
        place: &str,
        depth: u32,
    ) -> Result<(), Error> {
        for key in ["allOf", "anyOf", "oneOf"] {
            let Some(Value::Array(parts)) = map.get(key) else { continue };
            let mut fits = 0;
            let mut first = None;
            for part in parts {
                match self.value(part, value, place, depth + 1) {
                    Ok(()) => fits += 1,
                    Err(error) => first = first.or(Some(error)),
                }
            }
            match (key, fits, first) {
                ("allOf", _, Some(error)) | ("anyOf" | "oneOf", 0, Some(error)) => return Err(error),
                ("oneOf", 2.., _) => return Err(misfit(place, "more than one of the alternatives fits")),
                _ => {}
            }
        }
        Ok(())
    }

    fn object(
        &mut self,
        schema: &Map<String, Value>,
        object: &Map<String, Value>,
        place: &str,
        depth: u32,
    ) -> Result<(), Error> {
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                return Err(misfit(place, format!("the property `{}` is missing", shorten(name))));
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, value) in object {
            let known = properties.and_then(|properties| properties.get(name));
            match known.or_else(|| schema.get("additionalProperties")) {
                Some(Value::Bool(false)) => {
                    return Err(misfit(place, format!("the property `{}` is not known", shorten(name))));
                }
                Some(part) => self.value(part, value, &format!("{place}/{name}"), depth + 1)?,
                None => {}
            }
        }
        Ok(())
    }
}

/// What a keyword says of the value alone.
fn simple(map: &Map<String, Value>, value: &Value, place: &str) -> Result<(), Error> {
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => false,
    };
    match map.get("type") {
        Some(Value::Array(names)) if !names.iter().any(is) => {
            return Err(misfit(place, "it is of none of the types"));
        }
        Some(name @ Value::String(text)) if !is(name) => {
            return Err(misfit(place, format!("it is not of the type `{text}`")));
        }
        _ => {}
    }
    if map.get("const").is_some_and(|expected| expected != value) {
        return Err(misfit(place, "it is not the one value that is allowed"));
    }
    if map.get("enum").and_then(Value::as_array).is_some_and(|values| !values.contains(value)) {
        return Err(misfit(place, "it is none of the values that are allowed"));
    }
    let size = match value {
        Value::String(text) => Some((text.chars().count(), "minLength", "maxLength")),
        Value::Array(items) => Some((items.len(), "minItems", "maxItems")),
        _ => None,
    };
    if let Some((size, least, most)) = size {
        let bound = |name: &str| map.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        if bound(least).is_some_and(|bound| size < bound) || bound(most).is_some_and(|bound| size > bound) {
            return Err(misfit(place, format!("its length {size} is out of bounds")));
        }
    }
    if let Some(number) = value.as_f64() {
        let bound = |name: &str| map.get(name).and_then(Value::as_f64);
        if bound("minimum").is_some_and(|bound| number < bound)
            || bound("maximum").is_some_and(|bound| number > bound)
        {
            return Err(misfit(place, "it is out of bounds"));
        }
    }
    Ok(())
}

/// A payload that fits the schema, made up; each seed gives another one and the same one again. `None` where none was found.
///
/// ```
/// use guardian_webhook::tools::schema;
/// use serde_json::json;
///
/// let deal = json!({"type": "object", "required": ["id", "stage"], "properties": {
///     "id": {"type": "string", "format": "uuid"}, "stage": {"enum": ["won", "lost"]}, "amount": {"type": "integer", "minimum": 1}}});
/// let payload = schema::simulate(&deal, 7).unwrap();
/// assert!(schema::validate(&deal, &payload).is_ok());
/// assert_eq!(schema::simulate(&deal, 7), Some(payload));
/// ```
#[must_use]
pub fn simulate(schema: &Value, seed: u64) -> Option<Value> {
    // Alternatives that exclude each other may need another draw.
    (0..32_u64).find_map(|turn| {
        let mut maker = Maker { root: schema, random: seed ^ turn.wrapping_mul(0xd134_2543_de82_ef95) };
        maker.value(schema, "", 0).filter(|payload| validate(schema, payload).is_ok())
    })
}

struct Maker<'s> {
    root: &'s Value,
    random: u64,
}

impl Maker<'_> {
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut next = self.random;
        next = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        next = (next ^ (next >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        next ^ (next >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    fn pick<'v>(&mut self, values: &'v [Value]) -> Option<&'v Value> {
        let at = self.below(values.len());
        values.get(at)
    }

    fn value(&mut self, schema: &Value, name: &str, depth: u32) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        let map = match schema {
            Value::Bool(true) => return Some(Value::Null),
            Value::Object(map) => map,
            _ => return None,
        };
        if let Some(value) = map.get("const") {
            return Some(value.clone());
        }
        for key in ["enum", "examples"] {
            if let Some(values) = map.get(key).and_then(Value::as_array).filter(|values| !values.is_empty()) {
                return self.pick(values).cloned();
            }
        }
        if let Some(target) = map.get("$ref") {
            let target = resolve(self.root, target)?.clone();
            return self.value(&target, name, depth + 1);
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(parts) = map.get(key).and_then(Value::as_array) {
                let part = self.pick(parts)?.clone();
                return self.merged(map, &part, name, depth);
            }
        }
        if let Some(parts) = map.get("allOf").and_then(Value::as_array) {
            let whole = parts.iter().try_fold(Value::Object(Map::new()), |mut whole, part| {
                join(&mut whole, part)?;
                Some(whole)
            })?;
            return self.merged(map, &whole, name, depth);
        }
        let kind = match map.get("type") {
            Some(Value::Array(names)) => self.pick(names)?.as_str().map(str::to_owned),
            Some(name) => name.as_str().map(str::to_owned),
            None if map.contains_key("properties") => Some("object".to_owned()),
            None => None,
        };
        self.of_kind(kind.as_deref().unwrap_or("null"), map, name, depth)
    }

    /// The schema together with the chosen part of it.
    fn merged(&mut self, map: &Map<String, Value>, part: &Value, name: &str, depth: u32) -> Option<Value> {
        let mut whole = map.clone();
        for key in ["oneOf", "anyOf", "allOf"] {
            whole.remove(key);
        }
        let mut whole = Value::Object(whole);
        join(&mut whole, part)?;
        self.value(&whole, name, depth + 1)
    }

    fn of_kind(&mut self, kind: &str, map: &Map<String, Value>, name: &str, depth: u32) -> Option<Value> {
        let bound = |key: &str| map.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        Some(match kind {
            "object" => {
                let required: Vec<&str> = map
                    .get("required")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                let mut object = Map::new();
                for (key, part) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
                    if required.contains(&key.as_str()) || self.below(4) > 0 && depth < 8 {
                        object.insert(key.clone(), self.value(part, key, depth + 1)?);
                    }
                }
                for key in required {
                    object.entry(key).or_insert(Value::Null);
                }
                Value::Object(object)
            }
            "array" => {
                let least = bound("minItems").unwrap_or(0).min(1000);
                let most = bound("maxItems").unwrap_or(least.max(1) + 2).min(1000).max(least);
                let count = least + self.below(most - least + 1);
                let part = map.get("items").cloned().unwrap_or(Value::Bool(true));
                Value::Array((0..count).map(|_| self.value(&part, name, depth + 1)).collect::<Option<_>>()?)
            }
            "string" => Value::String(self.text(map, name, bound("minLength"), bound("maxLength"))),
            "integer" => {
                let low = map.get("minimum").and_then(Value::as_f64).map_or(1.0, f64::ceil);
                let high = map.get("maximum").and_then(Value::as_f64).map_or(low + 9_999.0, f64::floor);
                let span = (high - low).clamp(0.0, 1e6);
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "a payload's bound that large is no integer of JSON here"
                )]
                #[expect(clippy::cast_sign_loss, reason = "it is clamped to zero and above")]
                let (low, span) = (low as i64, span as usize);
                Value::from(low.saturating_add(i64::try_from(self.below(span + 1)).unwrap_or(0)))
            }
            "number" => {
                let low = map.get("minimum").and_then(Value::as_f64).unwrap_or(0.0);
                let high = map.get("maximum").and_then(Value::as_f64).unwrap_or(low + 100.0);
                let part = f64::from(u32::try_from(self.next() >> 40).unwrap_or(0)) / f64::from(1 << 24);
                Value::from(low + (high - low) * part)
            }
            "boolean" => Value::Bool(self.below(2) == 1),
            _ => Value::Null,
        })
    }

    fn text(
        &mut self,
        map: &Map<String, Value>,
        name: &str,
        least: Option<usize>,
        most: Option<usize>,
    ) -> String {
        const NAMES: [&str; 6] = ["Ada", "Zoë", "Łukasz", "東京", "O'Brien", "Grace"];
        let number = self.next();
        let mut text = match map.get("format").and_then(Value::as_str) {
            Some("uuid") => uuid::Builder::from_random_bytes(
                (u128::from(number) << 64 | u128::from(self.next())).to_be_bytes(),
            )
            .into_uuid()
            .to_string(),
            Some("date-time") => {
                format!("2026-{:02}-{:02}T{:02}:00:00Z", number % 12 + 1, number % 28 + 1, number % 24)
            }
            Some("date") => format!("2026-{:02}-{:02}", number % 12 + 1, number % 28 + 1),
            Some("email") => format!("user{}@example.com", number % 1000),
            Some("uri" | "url") => format!("https://example.com/{}", number % 1000),
            Some("ipv4") => format!("198.51.100.{}", number % 255),
            _ if name.to_ascii_lowercase().contains("name") => {
                NAMES.get(self.below(NAMES.len())).copied().unwrap_or("Ada").to_owned()
            }
            _ => format!("{}-{:x}", if name.is_empty() { "text" } else { name }, number % 0x1_0000),
        };
        let least = least.unwrap_or(0).min(10_000);
        while text.chars().count() < least {
            text.push(char::from(b'a' + u8::try_from(self.below(26)).unwrap_or(0)));
        }
        match most {
            Some(most) => text.chars().take(most).collect(),
            None => text,
        }
    }
}

/// Adds a schema to another: properties and required ones of both, of every other keyword the added one.
fn join(whole: &mut Value, part: &Value) -> Option<()> {
    let whole = whole.as_object_mut()?;
    for (key, value) in part.as_object()? {
        match (whole.get_mut(key), value) {
            (Some(Value::Object(to)), Value::Object(from)) if key == "properties" => {
                to.extend(from.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            (Some(Value::Array(to)), Value::Array(from)) if key == "required" => {
                to.extend(from.iter().cloned());
            }
            _ => {
                whole.insert(key.clone(), value.clone());
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_made_up_fits() {
        let schemas = [
            json!({"type": "object", "required": ["type", "data"], "properties": {"type": {"const": "deal.won"},
                "data": {"$ref": "#/$defs/deal"}}, "$defs": {"deal": {"type": "object", "required": ["id", "tags"],
                "additionalProperties": false, "properties": {"id": {"type": "string", "format": "uuid"},
                "tags": {"type": "array", "minItems": 2, "items": {"type": "string", "minLength": 3, "maxLength": 5}},
                "amount": {"type": ["integer", "null"], "minimum": -5, "maximum": 5},
                "parent": {"$ref": "#/$defs/deal"}}}}}),
            json!({"oneOf": [{"type": "string", "format": "email"}, {"type": "number", "minimum": 0.5, "maximum": 0.6}]}),
            json!({"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"properties": {"b": {"type": "boolean"}}, "required": ["b"]}]}),
            json!({"anyOf": [{"type": "null"}, {"enum": [1, "two"]}]}),
        ];
        for schema in &schemas {
            check(schema).unwrap();
            for seed in 0..200 {
                let payload = simulate(schema, seed).unwrap_or_else(|| panic!("{schema} at {seed}"));
                validate(schema, &payload).unwrap();
            }
        }
    }

    #[test]
    fn what_is_not_known_is_refused_when_it_is_given() {
        for schema in [
            json!({"pattern": "x"}),
            json!({"type": "text"}),
            json!({"$ref": "#/other"}),
            json!([]),
            json!({"items": 3}),
            json!({"anyOf": []}),
            json!({"properties": {"a": {"if": true}}}),
        ] {
            assert!(check(&schema).is_err(), "{schema}");
        }
        // It is the schema that is at fault then, not a payload.
        let said = |schema: Value| check(&schema).unwrap_err().to_string();
        assert_eq!(
            said(json!({"type": "text"})),
            "the schema is faulty at `/type`: `type` is a JSON type or a list of them"
        );
        assert_eq!(
            said(json!({"properties": {"a": {"if": true}}})),
            "the schema is faulty at `/properties/a/if`: the keyword `if` is not known"
        );
        assert_eq!(said(json!([])), "the schema is faulty at `/`: a schema is an object or a boolean");
    }

    #[test]
    fn circles_end() {
        let schema = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}});
        check(&schema).unwrap();
        assert!(validate(&schema, &json!(1)).is_err());
        assert_eq!(simulate(&schema, 1), None);
    }
}
