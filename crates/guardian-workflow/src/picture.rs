//! Pictures of definitions: SVG and Mermaid.

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::{Definition, NodeId, NodeKind};
use crate::diff::{Change, Diff, diff};
use crate::machine::Entry;

mod layout;
mod mermaid;
mod svg;

pub use layout::{Layout, layout};
pub use mermaid::mermaid;

/// How a node is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Paint {
    /// A run went through it.
    Visited,
    /// It failed.
    Failed,
    /// A run stands at it.
    Standing,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another one.
    Changed,
}

impl Paint {
    fn fill(self) -> &'static str {
        match self {
            Self::Visited => "#dbeafe",
            Self::Failed | Self::Removed => "#fecaca",
            Self::Standing => "#fef08a",
            Self::Added => "#bbf7d0",
            Self::Changed => "#fde68a",
        }
    }
}

/// Nodes and edges that are painted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Paints {
    /// By node.
    pub nodes: BTreeMap<NodeId, Paint>,
    /// Edges as their beginning and port.
    pub edges: BTreeMap<(NodeId, String), Paint>,
}

impl Paints {
    /// The path of a run: where it was, and where it failed.
    #[must_use]
    pub fn of_run(definition: &Definition, history: &[Entry]) -> Self {
        let mut paints = Self::default();
        let own: Vec<&Entry> = history.iter().filter(|entry| entry.workflow.is_none()).collect();
        let visited: BTreeSet<&str> = own.iter().map(|entry| &*entry.node).collect();
        for entry in &own {
            let Ok(node) = NodeId::new(&*entry.node) else { continue };
            let paint = if entry.failure.is_some() { Paint::Failed } else { Paint::Visited };
            paints.nodes.insert(node.clone(), paint);
            if let Some(port) = &entry.port {
                paints.edges.insert((node, port.to_string()), Paint::Visited);
            }
        }
        for edge in &definition.edges {
            let decides = definition.nodes.get(&edge.from).is_some_and(|node| {
                matches!(
                    node.kind,
                    NodeKind::Condition { .. } | NodeKind::Switch { .. } | NodeKind::Approval { .. }
                )
            });
            if !decides && visited.contains(edge.from.as_str()) && visited.contains(edge.to.as_str()) {
                paints.edges.insert((edge.from.clone(), edge.port.to_string()), Paint::Visited);
            }
        }
        paints
    }

    /// What a difference removes from the old definition, adds to the new one, and changes in both.
    fn of_diff(diff: &Diff, new: bool) -> Self {
        let mut paints = Self::default();
        let (gone, come) = (Paint::Removed, Paint::Added);
        for change in &diff.changes {
            match change {
                Change::NodeAdded { node, .. } if new => {
                    paints.nodes.insert(node.clone(), come);
                }
                Change::NodeRemoved { node, .. } if !new => {
                    paints.nodes.insert(node.clone(), gone);
                }
                Change::EdgeAdded { edge } if new => {
                    paints.edges.insert((edge.from.clone(), edge.port.to_string()), come);
                }
                Change::EdgeRemoved { edge } if !new => {
                    paints.edges.insert((edge.from.clone(), edge.port.to_string()), gone);
                }
                Change::EdgeRetargeted { from, port, .. } => {
                    paints.edges.insert((from.clone(), port.to_string()), Paint::Changed);
                }
                Change::NodeRenamed { node, .. }
                | Change::NodeRetyped { node, .. }
                | Change::ParameterChanged { node, .. }
                | Change::ConditionChanged { node, .. } => {
                    paints.nodes.insert(node.clone(), Paint::Changed);
                }
                _ => {}
            }
        }
        paints
    }
}

/// A definition as SVG: where its layout says for all nodes, or in layers from the start down.
///
/// ```
/// use guardian_workflow::picture::{Paints, svg};
/// use guardian_workflow::Definition;
///
/// let definition = Definition::from_json(r#"{"schema": 1, "name": "x", "start": "a", "nodes": {"a": {"type": "end"}}}"#)?;
/// assert!(svg(&definition, &Paints::default()).starts_with("<svg "));
/// # Ok::<(), guardian_workflow::Error>(())
/// ```
#[must_use]
pub fn svg(definition: &Definition, paints: &Paints) -> String {
    svg::document(&[(definition, paints)])
}

/// Two definitions side by side as SVG: what is gone, new and changed is coloured.
#[must_use]
pub fn svg_of_difference(old: &Definition, new: &Definition) -> String {
    let found = diff(old, new);
    let (before, after) = (Paints::of_diff(&found, false), Paints::of_diff(&found, true));
    svg::document(&[(old, &before), (new, &after)])
}

/// What stands in a node.
fn title(id: &NodeId, definition: &Definition) -> String {
    let name = definition.nodes.get(id).map(|node| node.name.as_str()).filter(|name| !name.is_empty());
    name.unwrap_or(id.as_str()).to_owned()
}
