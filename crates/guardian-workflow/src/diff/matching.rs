//! Finds out which nodes are the same where ids were lost.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, Hash, Hasher};

use serde::Serialize;
use serde_json::Value;

use super::{Diff, diff, kind};
use crate::definition::{Definition, Edge, Node, NodeId};

/// Two nodes that are the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Match {
    /// Its id in the old definition.
    pub old: NodeId,
    /// Its id in the new one.
    pub new: NodeId,
    /// How certain that is: 1 where the ids are equal, less the less they have in common.
    pub confidence: f64,
}

/// Two nodes with less in common are not the same.
const LEAST: f64 = 0.5;

/// Which nodes are the same: by id and type, then by type and name, then by what they do and what is around them, then by
/// how much of what they do is equal. Each node has one partner at most. O(n²) in nodes of one type that nothing else tells
/// apart.
#[must_use]
pub fn match_nodes(old: &Definition, new: &Definition) -> Vec<Match> {
    let mut matches = Vec::new();
    let mut left: BTreeMap<&NodeId, &Node> = old.nodes.iter().collect();
    let mut right: BTreeMap<&NodeId, &Node> = new.nodes.iter().collect();
    let mut settle = |pairs: Vec<(NodeId, NodeId, f64)>,
                      left: &mut BTreeMap<&NodeId, &Node>,
                      right: &mut BTreeMap<&NodeId, &Node>| {
        for (old, new, confidence) in pairs {
            if left.remove(&old).is_some() && right.remove(&new).is_some() {
                matches.push(Match { old, new, confidence });
            }
        }
    };
    let same_id = left
        .iter()
        .filter(|(id, node)| {
            right.get(*id).is_some_and(|other| other.kind.type_name() == node.kind.type_name())
        })
        .map(|(id, _)| ((*id).clone(), (*id).clone(), 1.0))
        .collect();
    settle(same_id, &mut left, &mut right);
    let named =
        |_: &NodeId, node: &Node| (!node.name.is_empty()).then(|| (node.kind.type_name(), node.name.clone()));
    let pairs = unique(&left, &right, named, named, 0.9);
    settle(pairs, &mut left, &mut right);
    for (rounds, confidence) in [(2, 0.85), (1, 0.8), (0, 0.7)] {
        let (a, b) = (surroundings(old, rounds), surroundings(new, rounds));
        let pairs = unique(&left, &right, |id, _| a.get(id).copied(), |id, _| b.get(id).copied(), confidence);
        settle(pairs, &mut left, &mut right);
    }
    let pairs = similar(&left, &right);
    settle(pairs, &mut left, &mut right);
    matches.sort_by(|a, b| a.old.cmp(&b.old));
    matches
}

/// The pairs whose key only they have.
fn unique<K: Ord>(
    left: &BTreeMap<&NodeId, &Node>,
    right: &BTreeMap<&NodeId, &Node>,
    left_key: impl Fn(&NodeId, &Node) -> Option<K>,
    right_key: impl Fn(&NodeId, &Node) -> Option<K>,
    confidence: f64,
) -> Vec<(NodeId, NodeId, f64)> {
    let mut by_key: BTreeMap<K, (Vec<&NodeId>, Vec<&NodeId>)> = BTreeMap::new();
    for (id, node) in left {
        if let Some(key) = left_key(id, node) {
            by_key.entry(key).or_default().0.push(id);
        }
    }
    for (id, node) in right {
        if let Some(key) = right_key(id, node) {
            by_key.entry(key).or_default().1.push(id);
        }
    }
    let pair = |(left, right): (Vec<&NodeId>, Vec<&NodeId>)| match (left.as_slice(), right.as_slice()) {
        ([a], [b]) => Some(((*a).clone(), (*b).clone(), confidence)),
        _ => None,
    };
    by_key.into_values().filter_map(pair).collect()
}

/// A number for each node that says what it does and what is around it, without ids (B. Weisfeiler, A. Leman, 1968).
fn surroundings(definition: &Definition, rounds: u32) -> HashMap<&NodeId, u64> {
    let hasher = std::hash::BuildHasherDefault::<std::collections::hash_map::DefaultHasher>::default();
    let mut marks: HashMap<&NodeId, u64> =
        definition.nodes.iter().map(|(id, node)| (id, hasher.hash_one(kind(node).to_string()))).collect();
    for _ in 0..rounds {
        let mut around: HashMap<&NodeId, Vec<(bool, &str, u64)>> = HashMap::new();
        for edge in &definition.edges {
            let mark = |id: &NodeId| marks.get(id).copied().unwrap_or(0);
            around.entry(&edge.from).or_default().push((true, edge.port.as_str(), mark(&edge.to)));
            around.entry(&edge.to).or_default().push((false, edge.port.as_str(), mark(&edge.from)));
        }
        marks = marks
            .iter()
            .map(|(id, mark)| {
                let mut list = around.remove(id).unwrap_or_default();
                list.sort_unstable();
                let mut state = hasher.build_hasher();
                mark.hash(&mut state);
                list.hash(&mut state);
                (*id, state.finish())
            })
            .collect();
    }
    marks
}

/// The pairs of a type with the most in common, the best first.
fn similar(left: &BTreeMap<&NodeId, &Node>, right: &BTreeMap<&NodeId, &Node>) -> Vec<(NodeId, NodeId, f64)> {
    let leaves: Vec<BTreeMap<&NodeId, (&str, BTreeSet<String>)>> = [left, right]
        .map(|nodes| nodes.iter().map(|(id, node)| (*id, (node.kind.type_name(), leaves(node)))).collect())
        .into();
    let (Some(a), Some(b)) = (leaves.first(), leaves.get(1)) else { return Vec::new() };
    let mut found = Vec::new();
    for (x, (kind, mine)) in a {
        for (y, (other_kind, other)) in b {
            if kind != other_kind {
                continue;
            }
            let (common, all) = (mine.intersection(other).count(), mine.union(other).count());
            let share = ratio(common, all.max(1));
            if share >= LEAST {
                found.push(((*x).clone(), (*y).clone(), 0.3 + 0.4 * share));
            }
        }
    }
    found.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)).then(a.1.cmp(&b.1)));
    found
}

fn ratio(part: usize, whole: usize) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    number(part) / number(whole)
}

/// The places of a node with their values.
fn leaves(node: &Node) -> BTreeSet<String> {
    let (value, mut found) = (kind(node), BTreeSet::new());
    let mut open = vec![(String::new(), &value)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(members) => {
                open.extend(members.iter().map(|(name, member)| (format!("{path}/{name}"), member)));
            }
            Value::Array(items) => open.extend(items.iter().map(|item| (format!("{path}/-"), item))),
            other => {
                found.insert(format!("{path}={other}"));
            }
        }
    }
    found
}

/// The differences where ids were lost: nodes that are the same get the ids that they had.
///
/// The definition that comes back is the new one with these ids; the differences lead from the old one to it.
#[must_use]
pub fn diff_by_matching(old: &Definition, new: &Definition) -> (Diff, Definition, Vec<Match>) {
    let matches = match_nodes(old, new);
    let mut names: BTreeMap<&NodeId, NodeId> =
        matches.iter().map(|each| (&each.new, each.old.clone())).collect();
    let mut taken: BTreeSet<NodeId> = names.values().cloned().collect();
    for id in new.nodes.keys() {
        if !names.contains_key(id) {
            let free = (0_u32..)
                .map(|number| if number == 0 { id.to_string() } else { format!("{id}-{number}") })
                .filter_map(|text| NodeId::new(text).ok())
                .find(|id| !taken.contains(id));
            let free = free.unwrap_or_else(|| id.clone());
            taken.insert(free.clone());
            names.insert(id, free);
        }
    }
    let name = |id: &NodeId| names.get(id).unwrap_or(id).clone();
    let mut renamed = new.clone();
    renamed.nodes = new.nodes.iter().map(|(id, node)| (name(id), node.clone())).collect();
    renamed.start = name(&new.start);
    renamed.layout = new.layout.iter().map(|(id, place)| (name(id), *place)).collect();
    renamed.edges = new
        .edges
        .iter()
        .map(|edge| Edge { from: name(&edge.from), port: edge.port.clone(), to: name(&edge.to) })
        .collect();
    (diff(old, &renamed), renamed, matches)
}
