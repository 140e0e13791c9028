//! What changed between two definitions, in words of workflows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::definition::{Definition, Edge, Node, NodeId, Place, Port, present};

mod apply;
mod class;
mod condition;
mod matching;
mod merge;
mod patch;
pub(crate) mod pointer;
mod text;
mod value;

pub use condition::{TermChange, term_changes};
pub use matching::{Match, diff_by_matching, match_nodes};
pub use merge::{Conflict, Merged, merge};
pub use patch::{JsonPatch, PatchOperation};
pub use text::text_diff;

/// What a change means for those who rely on a workflow; each is worse than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Class {
    /// Names, notes, places: nothing that runs.
    Cosmetic,
    /// It does the same as before, apart from how patient it is.
    Preserving,
    /// It does something else.
    Changing,
    /// What starts it or what it takes is no longer so.
    Breaking,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cosmetic => "cosmetic",
            Self::Preserving => "preserving",
            Self::Changing => "changing",
            Self::Breaking => "breaking",
        })
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// A node is new.
    NodeAdded {
        /// Its id.
        node: NodeId,
        /// What it is.
        content: Node,
    },
    /// A node is gone.
    NodeRemoved {
        /// Its id.
        node: NodeId,
        /// What it was.
        content: Node,
    },
    /// A node has another name.
    NodeRenamed {
        /// Its id.
        node: NodeId,
        /// The old name.
        old: String,
        /// The new name.
        new: String,
    },
    /// A node stands somewhere else in the picture.
    NodeMoved {
        /// Its id.
        node: NodeId,
        /// Where it stood.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<Place>,
        /// Where it stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<Place>,
    },
    /// A node is of another type.
    NodeRetyped {
        /// Its id.
        node: NodeId,
        /// What it was, apart from its name and note.
        old: Value,
        /// What it is.
        new: Value,
    },
    /// A field of a node has another value.
    ParameterChanged {
        /// Its id.
        node: NodeId,
        /// Where in the node, a JSON pointer.
        path: String,
        /// The old value; `None` where it was not there.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
        old: Option<Value>,
        /// The new value.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
        new: Option<Value>,
    },
    /// An expression of a node says something else.
    ConditionChanged {
        /// Its id.
        node: NodeId,
        /// Where in the node, a JSON pointer.
        path: String,
        /// The old text.
        old: String,
        /// The new text.
        new: String,
        /// What changed within it; empty if it says the same.
        terms: Vec<TermChange>,
    },
    /// An edge is new.
    EdgeAdded {
        /// The edge.
        edge: Edge,
    },
    /// An edge is gone.
    EdgeRemoved {
        /// The edge.
        edge: Edge,
    },
    /// A port leads to another node.
    EdgeRetargeted {
        /// The node at which the edge begins.
        from: NodeId,
        /// The port.
        port: Port,
        /// Where it led.
        old: NodeId,
        /// Where it leads.
        new: NodeId,
    },
    /// A trigger is new, gone or another one.
    TriggerChanged {
        /// Its id.
        trigger: NodeId,
        /// What it was; `None` if it is new.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<Value>,
        /// What it is; `None` if it is gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<Value>,
    },
    /// Something of the whole is different: its name, input, variables, start, limits.
    SettingChanged {
        /// Where in the definition, a JSON pointer.
        path: String,
        /// The old value; `None` where it was not there.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
        old: Option<Value>,
        /// The new value.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
        new: Option<Value>,
    },
}

/// The differences between two definitions.
///
/// ```
/// use guardian_workflow::{Class, Definition, diff};
///
/// let old = Definition::from_json(r#"{"schema": 1, "name": "x", "start": "a",
///     "nodes": {"a": {"type": "condition", "branches": [{"port": "yes", "when": "input.n > 5 && input.ok"}]}}}"#)?;
/// let mut text = old.canonical().replace("> 5", "> 9");
/// let new = Definition::from_json(&text)?;
/// let difference = diff(&old, &new);
/// assert_eq!(difference.to_string(), "~ `a` /branches/0/when: `input.n > 5` → `input.n > 9`\n");
/// assert_eq!(difference.class(), Class::Changing);
/// assert_eq!(difference.apply(&old)?, new);
/// assert_eq!(difference.invert().apply(&new)?, old);
/// # Ok::<(), guardian_workflow::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct Diff {
    /// The differences. Their order means nothing: each is about another part.
    pub changes: Vec<Change>,
}

impl Diff {
    /// Whether nothing is different.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The same differences seen from the other side: what makes the old one of the new one.
    #[must_use]
    pub fn invert(&self) -> Self {
        Self { changes: self.changes.iter().map(Change::invert).collect() }
    }

    /// Whether nodes and edges were only added, moved or renamed.
    #[must_use]
    pub fn is_additive(&self) -> bool {
        let added: BTreeSet<&NodeId> = self
            .changes
            .iter()
            .filter_map(|change| match change {
                Change::NodeAdded { node, .. } => Some(node),
                _ => None,
            })
            .collect();
        self.changes.iter().all(|change| match change {
            Change::NodeAdded { .. }
            | Change::EdgeAdded { .. }
            | Change::NodeMoved { .. }
            | Change::NodeRenamed { .. } => true,
            Change::EdgeRetargeted { new, .. } => added.contains(new),
            Change::SettingChanged { path, old: None, .. } => path.starts_with("/variables/"),
            _ => false,
        })
    }
}

impl Change {
    /// The change seen from the other side.
    #[must_use]
    pub fn invert(&self) -> Self {
        match self.clone() {
            Self::NodeAdded { node, content } => Self::NodeRemoved { node, content },
            Self::NodeRemoved { node, content } => Self::NodeAdded { node, content },
            Self::NodeRenamed { node, old, new } => Self::NodeRenamed { node, old: new, new: old },
            Self::NodeMoved { node, old, new } => Self::NodeMoved { node, old: new, new: old },
            Self::NodeRetyped { node, old, new } => Self::NodeRetyped { node, old: new, new: old },
            Self::ParameterChanged { node, path, old, new } => {
                Self::ParameterChanged { node, path, old: new, new: old }
            }
            Self::ConditionChanged { node, path, old, new, terms } => Self::ConditionChanged {
                node,
                path,
                old: new,
                new: old,
                terms: terms.iter().map(TermChange::invert).collect(),
            },
            Self::EdgeAdded { edge } => Self::EdgeRemoved { edge },
            Self::EdgeRemoved { edge } => Self::EdgeAdded { edge },
            Self::EdgeRetargeted { from, port, old, new } => {
                Self::EdgeRetargeted { from, port, old: new, new: old }
            }
            Self::TriggerChanged { trigger, old, new } => {
                Self::TriggerChanged { trigger, old: new, new: old }
            }
            Self::SettingChanged { path, old, new } => Self::SettingChanged { path, old: new, new: old },
        }
    }

    /// The node that it is about, if it is about one.
    #[must_use]
    pub fn node(&self) -> Option<&NodeId> {
        match self {
            Self::NodeAdded { node, .. }
            | Self::NodeRemoved { node, .. }
            | Self::NodeRenamed { node, .. }
            | Self::NodeMoved { node, .. }
            | Self::NodeRetyped { node, .. }
            | Self::ParameterChanged { node, .. }
            | Self::ConditionChanged { node, .. } => Some(node),
            _ => None,
        }
    }
}

/// The differences between two definitions. O(size of both); nodes are the same if their ids are.
#[must_use]
pub fn diff(old: &Definition, new: &Definition) -> Diff {
    let mut changes = Vec::new();
    wholes(old, new, &mut changes);
    for trigger in old.triggers.keys().chain(new.triggers.keys()).collect::<BTreeSet<_>>() {
        let (before, after) = (old.triggers.get(trigger), new.triggers.get(trigger));
        if before != after {
            let value = |each| serde_json::to_value(each).ok();
            let (old, new) = (before.and_then(value), after.and_then(value));
            changes.push(Change::TriggerChanged { trigger: trigger.clone(), old, new });
        }
    }
    both(&old.nodes, &new.nodes, |node, before, after| match (before, after) {
        (None, Some(content)) => {
            changes.push(Change::NodeAdded { node: node.clone(), content: content.clone() });
        }
        (Some(content), None) => {
            changes.push(Change::NodeRemoved { node: node.clone(), content: content.clone() });
        }
        (Some(before), Some(after)) if before != after => nodes(node, before, after, &mut changes),
        _ => {}
    });
    edges(&old.edges, &new.edges, &mut changes);
    both(&old.layout, &new.layout, |node, before, after| {
        if before != after {
            changes.push(Change::NodeMoved { node: node.clone(), old: before.copied(), new: after.copied() });
        }
    });
    Diff { changes }
}

/// Goes through two sorted maps side by side.
fn both<'m, K: Ord, V>(
    old: &'m BTreeMap<K, V>,
    new: &'m BTreeMap<K, V>,
    mut each: impl FnMut(&'m K, Option<&'m V>, Option<&'m V>),
) {
    let (mut left, mut right) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some((a, _)), Some((b, _))) => a.cmp(b),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => return,
        };
        let before = if order.is_le() { left.next() } else { None };
        let after = if order.is_ge() { right.next() } else { None };
        if let Some((key, _)) = before.or(after) {
            each(key, before.map(|(_, value)| value), after.map(|(_, value)| value));
        }
    }
}

/// What is about the whole, compared as JSON.
fn wholes(old: &Definition, new: &Definition, changes: &mut Vec<Change>) {
    let (old, new) = (whole(old), whole(new));
    if old != new {
        value::walk("", Some(&old), Some(&new), &mut |path, before, after| {
            changes.push(Change::SettingChanged {
                path: path.to_owned(),
                old: before.cloned(),
                new: after.cloned(),
            });
        });
    }
}

/// Everything of a definition but triggers, nodes, edges and layout.
fn whole(definition: &Definition) -> Value {
    let mut members = Map::new();
    let mut add = |name: &str, value: serde_json::Result<Value>| {
        if let Ok(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    add("schema", serde_json::to_value(definition.schema));
    add("name", serde_json::to_value(&definition.name));
    if !definition.description.is_empty() {
        add("description", serde_json::to_value(&definition.description));
    }
    if let Some(input) = &definition.input {
        add("input", Ok(input.clone()));
    }
    add("start", serde_json::to_value(&definition.start));
    // Empty ones are as good as absent, and their parts are changes of their own.
    add("variables", serde_json::to_value(&definition.variables));
    add("secrets", serde_json::to_value(&definition.secrets));
    add("settings", serde_json::to_value(&definition.settings));
    Value::Object(members)
}

fn nodes(node: &NodeId, old: &Node, new: &Node, changes: &mut Vec<Change>) {
    if old.name != new.name {
        let (old, new) = (old.name.clone(), new.name.clone());
        changes.push(Change::NodeRenamed { node: node.clone(), old, new });
    }
    if old.note != new.note {
        let text = |note: &str| (!note.is_empty()).then(|| Value::from(note));
        changes.push(Change::ParameterChanged {
            node: node.clone(),
            path: "/note".to_owned(),
            old: text(&old.note),
            new: text(&new.note),
        });
    }
    if old.kind == new.kind {
        return;
    }
    let (before, after) = (kind(old), kind(new));
    if before.get("type") != after.get("type") {
        changes.push(Change::NodeRetyped { node: node.clone(), old: before, new: after });
        return;
    }
    value::walk("", Some(&before), Some(&after), &mut |path, old, new| {
        let change = match (old, new) {
            (Some(Value::String(old)), Some(Value::String(new)))
                if condition::is_expression(path, old, new) =>
            {
                let (text_old, text_new) = (condition::source(old), condition::source(new));
                Change::ConditionChanged {
                    node: node.clone(),
                    path: path.to_owned(),
                    old: old.clone(),
                    new: new.clone(),
                    terms: term_changes(text_old, text_new),
                }
            }
            _ => Change::ParameterChanged {
                node: node.clone(),
                path: path.to_owned(),
                old: old.cloned(),
                new: new.cloned(),
            },
        };
        changes.push(change);
    });
}

/// A node as JSON, without its name and note.
pub(crate) fn kind(node: &Node) -> Value {
    serde_json::to_value(&node.kind).unwrap_or_default()
}

fn edges(old: &BTreeSet<Edge>, new: &BTreeSet<Edge>, changes: &mut Vec<Change>) {
    let mut gone: BTreeMap<(&NodeId, &Port), Vec<&Edge>> = BTreeMap::new();
    for edge in old.difference(new) {
        gone.entry((&edge.from, &edge.port)).or_default().push(edge);
    }
    let mut added = Vec::new();
    for edge in new.difference(old) {
        match gone.get_mut(&(&edge.from, &edge.port)).and_then(Vec::pop) {
            Some(before) => changes.push(Change::EdgeRetargeted {
                from: edge.from.clone(),
                port: edge.port.clone(),
                old: before.to.clone(),
                new: edge.to.clone(),
            }),
            None => added.push(edge),
        }
    }
    let removed = gone.into_values().flatten();
    changes.extend(removed.map(|edge| Change::EdgeRemoved { edge: edge.clone() }));
    changes.extend(added.into_iter().map(|edge| Change::EdgeAdded { edge: edge.clone() }));
}

impl fmt::Display for Diff {
    /// A line for each difference.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.changes.iter().try_for_each(|change| writeln!(f, "{change}"))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| {
            value.as_ref().map_or_else(
                || "nothing".to_owned(),
                |value| format!("`{}`", crate::error::shorten_json(value)),
            )
        };
        match self {
            Self::NodeAdded { node, content } => write!(f, "+ node `{node}` ({})", content.kind.type_name()),
            Self::NodeRemoved { node, content } => {
                write!(f, "- node `{node}` ({})", content.kind.type_name())
            }
            Self::NodeRenamed { node, old, new } => write!(f, "~ `{node}` renamed: `{old}` → `{new}`"),
            Self::NodeMoved { node, .. } => write!(f, "~ `{node}` moved"),
            Self::NodeRetyped { node, old, new } => {
                let kind =
                    |value: &Value| value.get("type").and_then(Value::as_str).unwrap_or("?").to_owned();
                write!(f, "~ `{node}` is another type: {} → {}", kind(old), kind(new))
            }
            Self::ParameterChanged { node, path, old, new } => {
                write!(f, "~ `{node}` {path}: {} → {}", shown(old), shown(new))
            }
            Self::ConditionChanged { node, path, old, new, terms } => {
                write!(f, "~ `{node}` {path}: ")?;
                if terms.is_empty() {
                    return write!(f, "`{old}` → `{new}`, which says the same");
                }
                for (at, term) in terms.iter().enumerate() {
                    write!(f, "{}{term}", if at > 0 { ", " } else { "" })?;
                }
                Ok(())
            }
            Self::EdgeAdded { edge } => write!(f, "+ edge `{}` {} → `{}`", edge.from, edge.port, edge.to),
            Self::EdgeRemoved { edge } => write!(f, "- edge `{}` {} → `{}`", edge.from, edge.port, edge.to),
            Self::EdgeRetargeted { from, port, old, new } => {
                write!(f, "~ edge `{from}` {port}: → `{old}` now → `{new}`")
            }
            Self::TriggerChanged { trigger, old, new } => {
                write!(f, "~ trigger `{trigger}`: {} → {}", shown(old), shown(new))
            }
            Self::SettingChanged { path, old, new } => write!(f, "~ {path}: {} → {}", shown(old), shown(new)),
        }
    }
}
