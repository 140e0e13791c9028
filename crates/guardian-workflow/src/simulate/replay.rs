//! Recorded runs in another version: what would have been different.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Answer, Answers, Stubs, Trace, simulate};
use crate::action::Catalog;
use crate::definition::{Definition, NodeKind, Wait};
use crate::error::Error;
use crate::machine::Entry;
use crate::machine::state::Outcome;

/// What would have been different.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Replay {
    /// How the recorded run ended, if it has.
    pub before: Option<Outcome>,
    /// What the other version makes of the same.
    pub after: Trace,
    /// The first step that is another one: its number from 0, the recorded node and the other one.
    pub parts_at: Option<(usize, Option<String>, Option<String>)>,
    /// Nodes that ask for what was never recorded.
    pub unknown: Vec<String>,
}

impl Replay {
    /// Whether the path and the outcome are the same.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.parts_at.is_none() && self.before == self.after.outcome
    }
}

/// Lets a definition run on the input of a recorded run, with what its actions gave, the signals that came and the decisions
/// that were made then.
///
/// # Errors
/// As for [`simulate`].
pub fn replay(
    definition: &Definition,
    catalog: &Catalog,
    input: Value,
    history: &[Entry],
    before: Option<Outcome>,
) -> Result<Replay, Error> {
    let mut stubs = Stubs::default();
    let mut answers: BTreeMap<String, Vec<Answer>> = BTreeMap::new();
    for entry in history.iter().filter(|entry| entry.workflow.is_none()) {
        let node = entry.node.to_string();
        let kind = definition.nodes.get(&*entry.node).map(|node| &node.kind);
        match kind {
            Some(NodeKind::Action { .. }) | None => {
                answers.entry(node).or_default().push(match &entry.failure {
                    Some(failure) => Answer::Fail(failure.code.clone()),
                    None => Answer::Result(entry.output.clone()),
                });
            }
            Some(NodeKind::SubWorkflow { workflow, .. }) if entry.failure.is_none() => {
                let answer = Answer::Result(entry.output.clone());
                match stubs.workflows.entry(workflow.clone()).or_insert_with(|| Answers::InTurn(Vec::new())) {
                    Answers::InTurn(all) => all.push(answer),
                    Answers::Always(_) => {}
                }
            }
            Some(NodeKind::Wait { r#for: Wait::Signal(_) }) if entry.port.is_none() => {
                stubs.waits.entry(node).or_default().push(entry.output.clone());
            }
            Some(NodeKind::Approval { .. }) => {
                if let Some(approved) = entry.output.get("approved").and_then(Value::as_bool) {
                    stubs.decisions.insert(node, approved);
                }
            }
            Some(_) => {}
        }
    }
    stubs.actions = answers.into_iter().map(|(node, all)| (node, Answers::InTurn(all))).collect();
    let after = simulate(definition, catalog, input, &stubs)?;
    let recorded = history.iter().filter(|entry| entry.workflow.is_none());
    let parts_at = parts(recorded, after.entries.iter().filter(|entry| entry.workflow.is_none()));
    let unknown = after
        .entries
        .iter()
        .filter(|entry| entry.failure.as_ref().is_some_and(|failure| failure.code == "no_stub"))
        .map(|entry| entry.node.to_string())
        .collect();
    Ok(Replay { before, after, parts_at, unknown })
}

fn parts<'e>(
    mut before: impl Iterator<Item = &'e Entry>,
    mut after: impl Iterator<Item = &'e Entry>,
) -> Option<(usize, Option<String>, Option<String>)> {
    for at in 0.. {
        let (a, b) = (before.next(), after.next());
        let same = match (a, b) {
            (None, None) => return None,
            (Some(a), Some(b)) => a.node == b.node && a.port == b.port,
            _ => false,
        };
        if !same {
            let name = |entry: Option<&Entry>| entry.map(|entry| entry.node.to_string());
            return Some((at, name(a), name(b)));
        }
    }
    None
}
