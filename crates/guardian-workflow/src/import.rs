//! Workflows of other systems: read, judged by their own rules, and turned into definitions.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::definition::Definition;

pub mod asl;
pub mod serverless;

/// A definition that was made of a document of another system.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Imported {
    /// The definition.
    pub definition: Definition,
    /// The actions that it needs, by name.
    pub actions: Vec<String>,
    /// What cannot be represented, or means something else; nothing is dropped without a word.
    pub losses: Vec<Loss>,
}

/// Something that cannot be represented as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Loss {
    /// Where in the document, a JSON pointer.
    pub path: String,
    /// What it is, and what was made of it.
    pub message: String,
}

impl Loss {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// A fault of a document by the rules of its own system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// Where in the document, a JSON pointer.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        write!(f, "{path}: {}", self.message)
    }
}

/// Gives an object a member. What is no object becomes one.
pub(crate) fn set(value: &mut Value, name: &str, member: Value) {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    if let Value::Object(members) = value {
        members.insert(name.to_owned(), member);
    }
}
