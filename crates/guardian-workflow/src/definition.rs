//! A workflow as data.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;

mod canonical;
mod identifier;
mod json_schema;
mod node;
mod place;
mod settings;
mod span;
mod trigger;

pub use canonical::ContentHash;
pub use identifier::{InvalidName, NodeId, Port, VariableName};
pub use json_schema::JSON_SCHEMA;
pub(crate) use node::knows;
pub use node::{
    Branch, Case, Catch, Collect, Compensate, Jitter, Join, Node, NodeKind, Retry, SubVersion, Until, Wait,
};
pub use settings::{Limits, Settings};
pub use span::{InvalidSpan, Span};
pub use trigger::{InvalidSchedule, Schedule, Trigger};

/// What a workflow is: triggers, nodes, and the edges between them.
///
/// It is read from JSON, and its [JSON Schema](JSON_SCHEMA) is published with the crate. A text in a place for a value
/// that begins with `=` is an expression; every other text is itself.
///
/// ```
/// use guardian_workflow::Definition;
///
/// let definition = Definition::from_json(r#"{
///     "schema": 1, "name": "greet", "start": "big",
///     "nodes": {
///         "big": {"type": "condition", "branches": [{"port": "yes", "when": "input.amount > 1000"}]},
///         "note": {"type": "set", "values": {"greeting": "='hello ' + input.name"}}
///     },
///     "edges": [{"from": "big", "port": "yes", "to": "note"}]
/// }"#)?;
/// assert_eq!(definition.nodes.len(), 2);
/// # Ok::<(), guardian_workflow::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Definition {
    /// The version of this format; [`Self::SCHEMA`].
    pub schema: u32,
    /// What people call it.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The JSON Schema of the input; without one the input may be anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// What starts it, beside a call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub triggers: BTreeMap<NodeId, Trigger>,
    /// The variables that have a type or a first value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<VariableName, Variable>,
    /// The names of the secrets that actions need; their values are never in a definition.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
    /// The node at which a run begins.
    pub start: NodeId,
    /// The nodes by their ids.
    pub nodes: BTreeMap<NodeId, Node>,
    /// Where a run goes on.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub edges: BTreeSet<Edge>,
    /// Limits and manners.
    #[serde(default, skip_serializing_if = "Settings::is_default")]
    pub settings: Settings,
    /// Where nodes stand in a picture; it is no part of the content.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub layout: BTreeMap<NodeId, Place>,
}

/// A variable of a workflow.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Variable {
    /// The JSON Schema of its values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Its value when a run begins; without one it has none until it is set.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub value: Option<Value>,
}

/// A value that is null is there all the same.
pub(crate) fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// From a port of a node to another node. What has no edge ends its part of the run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Edge {
    /// Where it begins.
    pub from: NodeId,
    /// At which port; `next` where nothing is said.
    #[serde(default, skip_serializing_if = "Port::is_next")]
    pub port: Port,
    /// Where it leads.
    pub to: NodeId,
}

impl Edge {
    /// An edge from a port.
    #[must_use]
    pub fn new(from: NodeId, port: Port, to: NodeId) -> Self {
        Self { from, port, to }
    }
}

/// Where a node stands in a picture, in the units of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Place {
    /// To the right.
    pub x: i64,
    /// Down.
    pub y: i64,
}

impl Place {
    /// A place.
    #[must_use]
    pub const fn new(x: i64, y: i64) -> Self {
        Self { x, y }
    }
}

impl Definition {
    /// The version of the format that this crate writes and reads.
    pub const SCHEMA: u32 = 1;
    /// The longest text that [`Self::from_json`] reads, in bytes.
    pub const MAX_BYTES: usize = 4 << 20;
    /// The most nodes of a definition.
    pub const MAX_NODES: usize = 10_000;

    /// A definition of one node, to add others to.
    #[must_use]
    pub fn new(name: impl Into<String>, start: NodeId, node: Node) -> Self {
        Self {
            schema: Self::SCHEMA,
            name: name.into(),
            description: String::new(),
            input: None,
            triggers: BTreeMap::new(),
            variables: BTreeMap::new(),
            secrets: BTreeSet::new(),
            nodes: BTreeMap::from([(start.clone(), node)]),
            start,
            edges: BTreeSet::new(),
            settings: Settings::default(),
            layout: BTreeMap::new(),
        }
    }

    /// Reads a definition from JSON. Whether it makes sense is what [`validate`](crate::validate()) says.
    ///
    /// # Errors
    /// [`Error::Definition`] for a text that is too long, nests deeper than 128, is no JSON or does not have this form, with the
    /// line and the part that is to blame.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        if text.len() > Self::MAX_BYTES {
            return Err(Error::definition(format!(
                "it has {} bytes, the most is {}",
                text.len(),
                Self::MAX_BYTES
            )));
        }
        if text.trim().is_empty() {
            return Err(Error::definition("the text is empty"));
        }
        let read = serde_json::from_str(text).map_err(|error| {
            if !error.is_data() {
                return error.to_string();
            }
            let limits = guardian_yaml::Limits::default().with_bytes(Self::MAX_BYTES).with_depth(128);
            let document = limits.read_one(text).ok();
            let value = serde_json::from_str(text).unwrap_or_default();
            place::explain(&value, &error, document.as_ref().map(|document| (document, text)))
        });
        Self::checked(read)
    }

    /// Reads a definition from YAML, of which JSON is a part; plain scalars mean what the core schema of YAML 1.2 says, so that
    /// an expression that begins with `=` needs no quotes and a text that looks like a number does.
    ///
    /// ```
    /// use guardian_workflow::Definition;
    ///
    /// let definition = Definition::from_yaml("
    /// schema: 1
    /// name: greet
    /// start: note
    /// nodes:
    ///   note: { type: set, values: { greeting: =\"hello \" + input.name } }
    /// ")?;
    /// assert_eq!(definition.nodes.len(), 1);
    /// # Ok::<(), guardian_workflow::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Definition`] with the line for a text that is too long, nests deeper than 64, has more than half a million values or
    /// more than 4 MiB that aliases repeat, or more than a hundred aliases, has tags, is no YAML, or for one that does not have this form.
    pub fn from_yaml(text: &str) -> Result<Self, Error> {
        let refused = |error: guardian_yaml::Error| Error::definition(error.to_string());
        let document = yaml_document(text, Self::MAX_BYTES).map_err(refused)?;
        let value = document.to_json().map_err(refused)?;
        Self::checked(
            Self::deserialize(&value)
                .map_err(|error| place::explain(&value, &error, Some((&document, text)))),
        )
    }

    /// Reads a definition from a JSON value, as [`Self::from_json`] does from a text.
    ///
    /// # Errors
    /// [`Error::Definition`] for a value that does not have this form, with the part that is to blame.
    #[expect(clippy::needless_pass_by_value, reason = "hosts give away what they read or made for it")]
    pub fn from_value(value: Value) -> Result<Self, Error> {
        // Where it is, is looked for in those alone that are refused.
        Self::checked(Self::deserialize(&value).map_err(|error| place::explain(&value, &error, None)))
    }

    fn checked(read: Result<Self, String>) -> Result<Self, Error> {
        let read = read.map_err(Error::definition)?;
        if read.schema != Self::SCHEMA {
            return Err(Error::definition(format!(
                "its schema is `{}`, and the one that is understood is `{}`",
                read.schema,
                Self::SCHEMA
            )));
        }
        if read.nodes.len() > Self::MAX_NODES {
            return Err(Error::definition(format!(
                "it has {} nodes, the most is {}",
                read.nodes.len(),
                Self::MAX_NODES
            )));
        }
        Ok(read)
    }

    /// The definition as a JSON value, with sorted keys and without what is as by default.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // Every part of it is made of texts, numbers and maps with text keys.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Where the node leads to from a port, if an edge is there.
    #[must_use]
    pub fn target(&self, from: &NodeId, port: &Port) -> Option<&NodeId> {
        let first = Edge { from: from.clone(), port: port.clone(), to: NodeId::least() };
        let edge = self.edges.range(first..).next()?;
        (edge.from == *from && edge.port == *port).then_some(&edge.to)
    }
}

/// The only document of a text in YAML.
fn yaml_document(text: &str, most: usize) -> Result<guardian_yaml::Node, guardian_yaml::Error> {
    let limits = guardian_yaml::Limits::default().with_bytes(most).with_values(500_000).with_aliases(100);
    limits.read_one(text)
}

/// The only document of a text in YAML, as JSON.
pub(crate) fn yaml(text: &str, most: usize) -> Result<Value, guardian_yaml::Error> {
    yaml_document(text, most)?.to_json()
}

/// A document in JSON or, where it does not begin like an object of it, in YAML.
pub(crate) fn document(text: &str, most: usize) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        // A map of YAML in one line begins like this as well.
        return serde_json::from_str(text).or_else(|error| yaml(text, most).map_err(|_| error.to_string()));
    }
    yaml(text, most).map_err(|error| error.to_string())
}
