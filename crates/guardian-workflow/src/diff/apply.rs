//! Makes a definition of another one and the differences between them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Change, Diff, kind, pointer, whole};
use crate::definition::{Definition, Edge, Node, NodeId, NodeKind};
use crate::error::Error;

impl Diff {
    /// Makes the new definition of the old one. Where the old one is not what the diff was made from, nothing is made.
    ///
    /// # Errors
    /// [`Error::Change`] with what does not fit.
    pub fn apply(&self, old: &Definition) -> Result<Definition, Error> {
        let mut new = old.clone();
        let mut settings = whole(old);
        let mut touched: BTreeMap<NodeId, Value> = BTreeMap::new();
        for change in &self.changes {
            one(change, &mut new, &mut settings, &mut touched)?;
        }
        for (id, value) in touched {
            let kind: NodeKind = serde_json::from_value(value)
                .map_err(|error| Error::change(format!("the node `{id}` would be none: {error}")))?;
            if let Some(node) = new.nodes.get_mut(&id) {
                node.kind = kind;
            }
        }
        settled(new, settings)
    }
}

/// A definition with what is about the whole as a JSON value says.
fn settled(mut new: Definition, settings: Value) -> Result<Definition, Error> {
    if settings == whole(&new) {
        return Ok(new);
    }
    let Value::Object(mut members) = settings else {
        return Err(Error::change("the definition would be none"));
    };
    members.insert("nodes".to_owned(), Value::Object(Map::new()));
    let read: Definition = serde_json::from_value(Value::Object(members))
        .map_err(|error| Error::change(format!("the definition would be none: {error}")))?;
    new.schema = read.schema;
    new.name = read.name;
    new.description = read.description;
    new.input = read.input;
    new.start = read.start;
    new.variables = read.variables;
    new.secrets = read.secrets;
    new.settings = read.settings;
    Ok(new)
}

fn misfit(what: impl std::fmt::Display) -> Error {
    Error::change(format!("{what} is not what it was"))
}

fn one(
    change: &Change,
    new: &mut Definition,
    settings: &mut Value,
    touched: &mut BTreeMap<NodeId, Value>,
) -> Result<(), Error> {
    let node_of = |new: &mut Definition, id: &NodeId| -> Result<Node, Error> {
        new.nodes.get(id).cloned().ok_or_else(|| Error::change(format!("there is no node `{id}`")))
    };
    match change {
        Change::NodeAdded { node, content } => {
            if new.nodes.insert(node.clone(), content.clone()).is_some() {
                return Err(Error::change(format!("there is a node `{node}` already")));
            }
        }
        Change::NodeRemoved { node, content } => {
            if new.nodes.remove(node).as_ref() != Some(content) {
                return Err(misfit(format!("the node `{node}`")));
            }
        }
        Change::NodeRenamed { node, old, new: name } => {
            let known = new.nodes.get_mut(node).filter(|known| known.name == *old);
            known.ok_or_else(|| misfit(format!("the name of the node `{node}`")))?.name.clone_from(name);
        }
        Change::NodeMoved { node, old, new: place } => {
            if new.layout.get(node) != old.as_ref() {
                return Err(misfit(format!("the place of the node `{node}`")));
            }
            match place {
                Some(place) => new.layout.insert(node.clone(), *place),
                None => new.layout.remove(node),
            };
        }
        Change::NodeRetyped { node, old, new: value } => {
            if kind(&node_of(new, node)?) != *old {
                return Err(misfit(format!("the node `{node}`")));
            }
            touched.insert(node.clone(), value.clone());
        }
        Change::ParameterChanged { node, path, old, new: value } if path == "/note" => {
            let found = node_of(new, node)?;
            let text =
                |value: &Option<Value>| value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
            if found.note != text(old) {
                return Err(misfit(format!("the note of the node `{node}`")));
            }
            if let Some(found) = new.nodes.get_mut(node) {
                found.note = text(value);
            }
        }
        Change::ParameterChanged { node, path, old, new: value } => {
            let current = touched.entry(node.clone()).or_insert(kind(&node_of(new, node)?));
            replace(current, path, old.as_ref(), value.as_ref())
                .map_err(|()| misfit(format!("`{path}` of the node `{node}`")))?;
        }
        Change::ConditionChanged { node, path, old, new: text, .. } => {
            let current = touched.entry(node.clone()).or_insert(kind(&node_of(new, node)?));
            replace(current, path, Some(&Value::from(old.as_str())), Some(&Value::from(text.as_str())))
                .map_err(|()| misfit(format!("`{path}` of the node `{node}`")))?;
        }
        Change::EdgeAdded { edge } => {
            if !new.edges.insert(edge.clone()) {
                return Err(Error::change(format!(
                    "there is an edge from `{}` to `{}` already",
                    edge.from, edge.to
                )));
            }
        }
        Change::EdgeRemoved { edge } => {
            if !new.edges.remove(edge) {
                return Err(misfit(format!("the edge from `{}` to `{}`", edge.from, edge.to)));
            }
        }
        Change::EdgeRetargeted { from, port, old, new: to } => {
            let edge = |to: &NodeId| Edge::new(from.clone(), port.clone(), to.clone());
            if !new.edges.remove(&edge(old)) || !new.edges.insert(edge(to)) {
                return Err(misfit(format!("the edge from `{from}` at `{port}`")));
            }
        }
        Change::TriggerChanged { trigger, old, new: value } => {
            let known = new.triggers.get(trigger).and_then(|known| serde_json::to_value(known).ok());
            if known != *old {
                return Err(misfit(format!("the trigger `{trigger}`")));
            }
            match value {
                Some(value) => {
                    let read = serde_json::from_value(value.clone()).map_err(|error| {
                        Error::change(format!("the trigger `{trigger}` would be none: {error}"))
                    })?;
                    new.triggers.insert(trigger.clone(), read);
                }
                None => {
                    new.triggers.remove(trigger);
                }
            }
        }
        Change::SettingChanged { path, old, new: value } => {
            replace(settings, path, old.as_ref(), value.as_ref())
                .map_err(|()| misfit(format!("`{path}`")))?;
        }
    }
    Ok(())
}

/// Puts a value in the place of another one, if that is there.
fn replace(root: &mut Value, path: &str, old: Option<&Value>, new: Option<&Value>) -> Result<(), ()> {
    let parts = pointer::parts(path).ok_or(())?;
    let Some((last, above)) = parts.split_last() else {
        if Some(&*root) != old {
            return Err(());
        }
        *root = new.cloned().ok_or(())?;
        return Ok(());
    };
    match pointer::get_mut(root, above).ok_or(())? {
        Value::Object(members) => {
            if members.get(last) != old {
                return Err(());
            }
            match new {
                Some(new) => members.insert(last.clone(), new.clone()),
                None => members.remove(last),
            };
        }
        Value::Array(items) => {
            let place = pointer::index(last).and_then(|at| items.get_mut(at)).ok_or(())?;
            if Some(&*place) != old {
                return Err(());
            }
            *place = new.cloned().ok_or(())?;
        }
        _ => return Err(()),
    }
    Ok(())
}
