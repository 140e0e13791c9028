//! JSON Schema as types.

use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::error::Error;
use crate::types::{Field, ObjectType, Type};

/// Schemas nest no deeper; what would is not known.
const MAX_DEPTH: usize = 32;
/// Schemas have no more parts; references that multiply end there.
const MAX_PARTS: usize = 20_000;

/// The type of the JSON that a schema describes.
///
/// `type`, `properties`, `required`, `additionalProperties`, `items`, `enum`, `const`, `nullable` and references within the
/// schema are understood; what is described by other words has an unknown type.
pub(crate) fn type_of(name: &str, schema: &Json) -> Result<Type, Error> {
    Reader { root: schema, name, left: Cell::new(MAX_PARTS) }.read(schema, name, 0)
}

struct Reader<'s> {
    root: &'s Json,
    name: &'s str,
    left: Cell<usize>,
}

impl Reader<'_> {
    fn read(&self, schema: &Json, name: &str, depth: usize) -> Result<Type, Error> {
        self.left.set(self.left.get().saturating_sub(1));
        if depth > MAX_DEPTH || self.left.get() == 0 {
            return Ok(Type::Dyn);
        }
        let members = match schema {
            Json::Bool(_) => return Ok(Type::Dyn),
            Json::Object(members) => members,
            _ => return Err(self.fault(name, "is neither an object nor a boolean")),
        };
        if let Some(reference) = members.get("$ref") {
            let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
            let target = pointer.and_then(|pointer| self.root.pointer(pointer));
            let target = target.ok_or_else(|| self.fault(name, "refers to something outside of it"))?;
            return self.read(target, name, depth + 1);
        }
        let mut kinds = match members.get("type") {
            Some(Json::String(kind)) => BTreeSet::from([kind.as_str()]),
            Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).collect(),
            Some(_) => return Err(self.fault(name, "has a `type` that is neither a text nor a list")),
            None => kinds_of_values(members),
        };
        if kinds.is_empty() && members.contains_key("properties") {
            kinds.insert("object");
        }
        let nullable = kinds.remove("null") || members.get("nullable") == Some(&Json::Bool(true));
        if kinds.contains("number") {
            // Every integer is a number.
            kinds.remove("integer");
        }
        let mut only = kinds.iter();
        let read = match (only.next().copied(), only.next()) {
            (None, _) if nullable => return Ok(Type::Null),
            (Some("boolean"), None) => Type::Bool,
            (Some("integer"), None) => Type::Int,
            (Some("number"), None) => Type::Double,
            (Some("string"), None) => Type::String,
            (Some("array"), None) => match members.get("items") {
                Some(items) => Type::list(self.read(items, name, depth + 1)?),
                None => Type::list(Type::Dyn),
            },
            (Some("object"), None) => self.object(members, name, depth)?,
            (Some(kind), None) => return Err(self.fault(name, &format!("has the unknown type `{kind}`"))),
            _ => Type::Dyn,
        };
        Ok(if nullable && read != Type::Dyn { Type::nullable(read) } else { read })
    }

    fn object(
        &self,
        members: &serde_json::Map<String, Json>,
        name: &str,
        depth: usize,
    ) -> Result<Type, Error> {
        let others = match members.get("additionalProperties") {
            Some(Json::Bool(true)) => Some(Type::Dyn),
            Some(Json::Bool(false)) | None => None,
            Some(schema) => Some(self.read(schema, name, depth + 1)?),
        };
        let Some(properties) = members.get("properties") else {
            return Ok(Type::map(Type::String, others.unwrap_or(Type::Dyn)));
        };
        let properties =
            properties.as_object().ok_or_else(|| self.fault(name, "has `properties` that are no object"))?;
        let required: BTreeSet<&str> = members
            .get("required")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        let mut object = ObjectType::new(name);
        object.others = others;
        for (property, schema) in properties {
            let r#type = self.read(schema, &format!("{name}.{property}"), depth + 1)?;
            let optional = !required.contains(property.as_str());
            object.fields.insert(property.clone(), Field { r#type, optional });
        }
        Ok(object.into())
    }

    fn fault(&self, at: &str, message: &str) -> Error {
        Error::plain(format!("the schema of `{}` {message} at `{at}`", self.name))
    }
}

/// The kinds of the values of `enum` or `const`.
fn kinds_of_values(members: &serde_json::Map<String, Json>) -> BTreeSet<&'static str> {
    let listed = members.get("enum").and_then(Json::as_array).into_iter().flatten();
    listed
        .chain(members.get("const"))
        .map(|value| match value {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(number) if number.is_i64() => "integer",
            Json::Number(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        })
        .collect()
}
