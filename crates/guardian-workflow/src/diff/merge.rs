//! Joins two lines of edits.

use serde::Serialize;

use super::{Change, Diff, diff};
use crate::definition::{Definition, NodeId};
use crate::error::Error;

/// What a merge came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Merged {
    /// Our definition with what they changed, as far as nothing of ours stands against it.
    pub definition: Definition,
    /// What they changed and we changed otherwise; in the definition it is as we have it.
    pub conflicts: Vec<Conflict>,
}

/// Two changes that cannot both be made.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Conflict {
    /// Our changes that are in the way.
    pub ours: Vec<Change>,
    /// Theirs.
    pub theirs: Change,
}

/// What a change is about.
enum Target<'c> {
    /// A node as a whole.
    Node(&'c NodeId),
    /// A part of a node: its name, its place, a field.
    Part(&'c NodeId, &'c str),
    /// A port of a node, and the nodes to which it leads.
    Port(&'c NodeId, &'c str, Vec<&'c NodeId>),
    Trigger(&'c NodeId),
    Setting(&'c str),
}

fn target(change: &Change) -> Target<'_> {
    match change {
        Change::NodeAdded { node, .. } | Change::NodeRemoved { node, .. } => Target::Node(node),
        Change::NodeRenamed { node, .. } => Target::Part(node, "#name"),
        Change::NodeMoved { node, .. } => Target::Part(node, "#place"),
        // Everything but name, note and place.
        Change::NodeRetyped { node, .. } => Target::Part(node, ""),
        Change::ParameterChanged { node, path, .. } if path == "/note" => Target::Part(node, "#note"),
        Change::ParameterChanged { node, path, .. } | Change::ConditionChanged { node, path, .. } => {
            Target::Part(node, path)
        }
        Change::EdgeAdded { edge } => Target::Port(&edge.from, edge.port.as_str(), vec![&edge.to]),
        Change::EdgeRemoved { edge } => Target::Port(&edge.from, edge.port.as_str(), Vec::new()),
        Change::EdgeRetargeted { from, port, new, .. } => Target::Port(from, port.as_str(), vec![new]),
        Change::TriggerChanged { trigger, .. } => Target::Trigger(trigger),
        Change::SettingChanged { path, .. } => Target::Setting(path),
    }
}

/// Whether a place is the other one, or within it.
fn within(a: &str, b: &str) -> bool {
    a.strip_prefix(b).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn overlap(a: &str, b: &str) -> bool {
    let fields = !a.starts_with('#') && !b.starts_with('#');
    a == b || (fields && (within(a, b) || within(b, a)))
}

/// Whether two changes cannot both be made, or would be about the same.
fn meet(a: &Change, b: &Change) -> bool {
    let removed = |change: &Change| matches!(change, Change::NodeRemoved { .. });
    match (target(a), target(b)) {
        (Target::Node(x), Target::Node(y)) | (Target::Trigger(x), Target::Trigger(y)) => x == y,
        (Target::Part(x, left), Target::Part(y, right)) => x == y && overlap(left, right),
        (Target::Port(x, left, _), Target::Port(y, right, _)) => x == y && left == right,
        (Target::Setting(left), Target::Setting(right)) => overlap(left, right),
        // Where one side moved the places of a node that the other removed, the node is gone either way.
        (Target::Node(x), Target::Part(y, part)) => x == y && !(removed(a) && part == "#place"),
        (Target::Part(x, part), Target::Node(y)) => x == y && !(removed(b) && part == "#place"),
        // An edge to or from a node that is no longer there.
        (Target::Node(x), Target::Port(from, _, to)) => {
            removed(a) && leads(b) && (x == from || to.contains(&x))
        }
        (Target::Port(from, _, to), Target::Node(x)) => {
            removed(b) && leads(a) && (x == from || to.contains(&x))
        }
        (Target::Setting(path), Target::Node(x)) => starts_at(a, path, x) && removed(b),
        (Target::Node(x), Target::Setting(path)) => starts_at(b, path, x) && removed(a),
        _ => false,
    }
}

fn leads(change: &Change) -> bool {
    !matches!(change, Change::EdgeRemoved { .. })
}

/// Whether a change lets runs begin at the node.
fn starts_at(change: &Change, path: &str, node: &NodeId) -> bool {
    path == "/start"
        && matches!(change, Change::SettingChanged { new: Some(new), .. } if new.as_str() == Some(node.as_str()))
}

/// The changes of one side that the other does not have.
fn without(side: &Diff, other: &Diff) -> Vec<Change> {
    side.changes.iter().filter(|change| !other.changes.contains(change)).cloned().collect()
}

/// Joins what we and they made of a common base. Changes that both made alike are made once; where they cannot both be
/// made, ours stays, and the conflict is reported.
///
/// # Errors
/// [`Error::Change`] where the changes do not fit together although none stands against another.
pub fn merge(base: &Definition, ours: &Definition, theirs: &Definition) -> Result<Merged, Error> {
    let (mine, other) = (diff(base, ours), diff(base, theirs));
    let (mut conflicts, mut wanted) = (Vec::new(), Vec::new());
    // What both changed alike stands against nothing.
    let (ours_alone, theirs_alone) = (without(&mine, &other), without(&other, &mine));
    for change in theirs_alone {
        let against: Vec<Change> = ours_alone.iter().filter(|each| meet(each, &change)).cloned().collect();
        if against.is_empty() {
            wanted.push(change);
        } else {
            conflicts.push(Conflict { ours: against, theirs: change });
        }
    }
    // What they built on a change that is not made cannot be made either: an edge to a node that stays away.
    let absent: Vec<NodeId> = conflicts
        .iter()
        .filter_map(|conflict| match &conflict.theirs {
            Change::NodeAdded { node, .. } => Some(node.clone()),
            _ => None,
        })
        .filter(|node| !ours.nodes.contains_key(node))
        .collect();
    let (kept, dropped) = wanted.into_iter().partition(|change| match target(change) {
        Target::Port(_, _, to) => !to.iter().any(|to| absent.contains(to)),
        _ => true,
    });
    let dropped: Vec<Change> = dropped;
    conflicts.extend(dropped.into_iter().map(|theirs| Conflict { ours: Vec::new(), theirs }));
    let definition = Diff { changes: kept }.apply(ours)?;
    Ok(Merged { definition, conflicts })
}
