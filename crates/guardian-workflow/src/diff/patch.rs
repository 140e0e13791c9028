//! JSON Patch (RFC 6902): for machines.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pointer::{self, escape};
use crate::definition::Definition;
use crate::error::Error;

/// A JSON Patch.
///
/// ```
/// use guardian_workflow::JsonPatch;
/// use serde_json::json;
///
/// let patch = JsonPatch::between(&json!({"a": 1, "b": [1, 2]}), &json!({"b": [1, 3, 2]}));
/// assert_eq!(patch.apply(&json!({"a": 1, "b": [1, 2]}))?, json!({"b": [1, 3, 2]}));
/// # Ok::<(), guardian_workflow::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct JsonPatch {
    /// The operations in their order.
    pub operations: Vec<PatchOperation>,
}

/// An operation of a JSON Patch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "RFC 6902 has these")]
pub enum PatchOperation {
    /// Adds a value, in a list in front of what is there.
    Add {
        /// Where.
        path: String,
        /// The value.
        value: Value,
    },
    /// Removes a value.
    Remove {
        /// Where.
        path: String,
    },
    /// Puts a value in the place of another one.
    Replace {
        /// Where.
        path: String,
        /// The value.
        value: Value,
    },
    /// Removes a value and adds it elsewhere.
    Move {
        /// Where it was.
        from: String,
        /// Where it comes.
        path: String,
    },
    /// Adds a value that is elsewhere too.
    Copy {
        /// Where it is.
        from: String,
        /// Where it comes.
        path: String,
    },
    /// Fails unless a value is there.
    Test {
        /// Where.
        path: String,
        /// The value.
        value: Value,
    },
}

/// No document becomes larger by a patch, counted in values; a few `copy` could double it again and again.
const MAX_VALUES: usize = 1_000_000;

impl JsonPatch {
    /// Reads a patch from JSON.
    ///
    /// # Errors
    /// [`Error::Patch`] with the number of the operation that is none.
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        let Value::Array(items) = value else {
            return Err(Error::Patch { index: 0, why: "a patch is a list".to_owned() });
        };
        let read = |(index, item): (usize, &Value)| {
            PatchOperation::deserialize(item).map_err(|error| Error::Patch { index, why: error.to_string() })
        };
        Ok(Self { operations: items.iter().enumerate().map(read).collect::<Result<_, _>>()? })
    }

    /// Applies the operations in their order; all or none.
    ///
    /// # Errors
    /// [`Error::Patch`] with the number of the operation that does not fit.
    pub fn apply(&self, document: &Value) -> Result<Value, Error> {
        let mut document = document.clone();
        let mut values = count(&document);
        for (index, operation) in self.operations.iter().enumerate() {
            operation.apply(&mut document, &mut values).map_err(|why| Error::Patch { index, why })?;
        }
        Ok(document)
    }

    /// A patch that makes the new document of the old one. In lists, what is equal at the beginning and the end stays.
    #[must_use]
    pub fn between(old: &Value, new: &Value) -> Self {
        let mut operations = Vec::new();
        between("", old, new, &mut operations);
        Self { operations }
    }

    /// A patch that makes the JSON of the new definition of that of the old one.
    #[must_use]
    pub fn between_definitions(old: &Definition, new: &Definition) -> Self {
        Self::between(&old.to_value(), &new.to_value())
    }
}

fn count(value: &Value) -> usize {
    let (mut total, mut open) = (0, vec![value]);
    while let Some(value) = open.pop() {
        total += 1;
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(members) => open.extend(members.values()),
            _ => {}
        }
    }
    total
}

fn parts(path: &str) -> Result<Vec<String>, String> {
    pointer::parts(path).ok_or_else(|| format!("`{}` is no JSON pointer", guardian_core::shorten(path)))
}

fn missing(path: &str) -> String {
    format!("there is nothing at `{}`", guardian_core::shorten(path))
}

fn take(document: &mut Value, path: &str) -> Result<Value, String> {
    let parts = parts(path)?;
    let Some((last, above)) = parts.split_last() else { return Ok(std::mem::take(document)) };
    let found = match pointer::get_mut(document, above) {
        Some(Value::Object(members)) => members.remove(last),
        Some(Value::Array(items)) => {
            pointer::index(last).filter(|at| *at < items.len()).map(|at| items.remove(at))
        }
        _ => None,
    };
    found.ok_or_else(|| missing(path))
}

fn put(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let parts = parts(path)?;
    let Some((last, above)) = parts.split_last() else {
        *document = value;
        return Ok(());
    };
    match pointer::get_mut(document, above) {
        Some(Value::Object(members)) => {
            members.insert(last.clone(), value);
            Ok(())
        }
        Some(Value::Array(items)) => {
            let at = if last == "-" { Some(items.len()) } else { pointer::index(last) };
            let at = at.filter(|at| *at <= items.len()).ok_or_else(|| missing(path))?;
            items.insert(at, value);
            Ok(())
        }
        _ => Err(missing(path)),
    }
}

/// Equality of RFC 6902: numbers by their value, objects in any order.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            x == y || (x.as_f64() == y.as_f64() && x.is_f64() != y.is_f64())
        }
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| equal(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(name, x)| y.get(name).is_some_and(|y| equal(x, y)))
        }
        _ => a == b,
    }
}

impl PatchOperation {
    fn apply(&self, document: &mut Value, values: &mut usize) -> Result<(), String> {
        let mut grow = |value: &Value| {
            *values += count(value);
            if *values > MAX_VALUES {
                Err(format!("the document would have more than {MAX_VALUES} values"))
            } else {
                Ok(())
            }
        };
        match self {
            Self::Add { path, value } => {
                grow(value)?;
                put(document, path, value.clone())
            }
            Self::Remove { path } => take(document, path).map(drop),
            Self::Replace { path, value } => {
                grow(value)?;
                let place = pointer::get_mut(document, &parts(path)?).ok_or_else(|| missing(path))?;
                *place = value.clone();
                Ok(())
            }
            Self::Move { from, path } => {
                if from != path && path.strip_prefix(from.as_str()).is_some_and(|rest| rest.starts_with('/'))
                {
                    return Err("a value cannot be moved into itself".to_owned());
                }
                let value = take(document, from)?;
                put(document, path, value)
            }
            Self::Copy { from, path } => {
                let value = pointer::get(document, &parts(from)?).ok_or_else(|| missing(from))?.clone();
                grow(&value)?;
                put(document, path, value)
            }
            Self::Test { path, value } => {
                let found = pointer::get(document, &parts(path)?).ok_or_else(|| missing(path))?;
                if equal(found, value) {
                    Ok(())
                } else {
                    Err(format!("another value is at `{}`", guardian_core::shorten(path)))
                }
            }
        }
    }
}

fn between(path: &str, old: &Value, new: &Value, operations: &mut Vec<PatchOperation>) {
    match (old, new) {
        _ if old == new => {}
        (Value::Object(before), Value::Object(after)) => {
            for key in before.keys().filter(|key| !after.contains_key(*key)) {
                operations.push(PatchOperation::Remove { path: format!("{path}/{}", escape(key)) });
            }
            for (key, value) in after {
                let place = format!("{path}/{}", escape(key));
                match before.get(key) {
                    Some(known) => between(&place, known, value, operations),
                    None => operations.push(PatchOperation::Add { path: place, value: value.clone() }),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            let front = before.iter().zip(after).take_while(|(a, b)| a == b).count();
            let most = before.len().min(after.len()) - front;
            let back =
                before.iter().rev().zip(after.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
            let (old_end, new_end) = (before.len() - back, after.len() - back);
            let changed = before.get(front..old_end).unwrap_or_default();
            let made = after.get(front..new_end).unwrap_or_default();
            let common = changed.len().min(made.len());
            for (at, (a, b)) in (front..).zip(changed.iter().zip(made)) {
                between(&format!("{path}/{at}"), a, b, operations);
            }
            for at in (front + common..old_end).rev() {
                operations.push(PatchOperation::Remove { path: format!("{path}/{at}") });
            }
            for (at, value) in (front + common..).zip(made.iter().skip(common)) {
                operations.push(PatchOperation::Add { path: format!("{path}/{at}"), value: value.clone() });
            }
        }
        _ => operations.push(PatchOperation::Replace { path: path.to_owned(), value: new.clone() }),
    }
}
