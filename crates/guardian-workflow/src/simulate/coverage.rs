//! How much of a definition tests went through.

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::{Definition, NodeKind};
use crate::machine::Entry;

/// What was gone through, and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Coverage {
    /// Nodes that were entered.
    pub nodes: BTreeSet<String>,
    /// Nodes that were not.
    pub missed_nodes: BTreeSet<String>,
    /// Decisions that were taken, as node and port.
    pub ways: BTreeSet<(String, String)>,
    /// Decisions that were never taken.
    pub missed_ways: BTreeSet<(String, String)>,
    /// Conditions with the values that they never had: node, branch, value.
    pub missed_conditions: BTreeSet<(String, String, bool)>,
}

impl Coverage {
    /// The share of nodes that were entered, 0 to 1.
    #[must_use]
    pub fn node_share(&self) -> f64 {
        share(self.nodes.len(), self.missed_nodes.len())
    }

    /// The share of decisions that were taken, 0 to 1.
    #[must_use]
    pub fn way_share(&self) -> f64 {
        share(self.ways.len(), self.missed_ways.len())
    }

    pub(crate) fn of<'e>(definition: &Definition, entries: impl Iterator<Item = &'e Entry>) -> Self {
        let mut taken: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for entry in entries.filter(|entry| entry.workflow.is_none()) {
            let ports = taken.entry(entry.node.to_string()).or_default();
            ports.extend(entry.port.iter().map(ToString::to_string));
        }
        let mut coverage = Self::default();
        for (id, node) in &definition.nodes {
            let id = id.to_string();
            let ports = taken.get(&id);
            if ports.is_some() {
                coverage.nodes.insert(id.clone())
            } else {
                coverage.missed_nodes.insert(id.clone())
            };
            let took = |port: &str| ports.is_some_and(|ports| ports.contains(port));
            let decides = matches!(
                node.kind,
                NodeKind::Condition { .. } | NodeKind::Switch { .. } | NodeKind::Approval { .. }
            );
            for port in node.kind.outer_ports().iter().filter(|_| decides) {
                let way = (id.clone(), port.to_string());
                if took(port.as_str()) {
                    coverage.ways.insert(way)
                } else {
                    coverage.missed_ways.insert(way)
                };
            }
            if let NodeKind::Condition { branches } = &node.kind {
                for (at, branch) in branches.iter().enumerate() {
                    let later =
                        branches.iter().skip(at + 1).any(|other| took(other.port.as_str())) || took("else");
                    if !took(branch.port.as_str()) {
                        coverage.missed_conditions.insert((id.clone(), branch.port.to_string(), true));
                    }
                    if !later {
                        coverage.missed_conditions.insert((id.clone(), branch.port.to_string(), false));
                    }
                }
            }
        }
        coverage
    }
}

fn share(done: usize, missed: usize) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    if done + missed == 0 { 1.0 } else { number(done) / number(done + missed) }
}
