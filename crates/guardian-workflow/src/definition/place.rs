//! Where in a document what is wrong with a definition is.

use std::fmt;

use guardian_core::shorten;
use guardian_yaml::{Content, Node as Part};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Edge, Node, NodeId, Place, Settings, Trigger, Variable, VariableName};

/// What is wrong with a document that is no definition, and where. With its text in YAML, of which JSON is a part, the line is known.
pub(super) fn explain(value: &Value, error: &serde_json::Error, written: Option<(&Part, &str)>) -> String {
    let found = find(value);
    let why = found.as_ref().map_or_else(|| error.to_string(), |(_, why)| why.clone());
    let place = found.map(|(place, _)| place);
    let part = written.and_then(|(document, text)| {
        Some((place.as_ref().map_or(Some(document), |place| place.of(document))?, text))
    });
    let line = part.map_or_else(String::new, |(part, text)| format!("line {}: ", line(part, text, &why)));
    let place = place.map_or_else(String::new, |place| format!("at `{place}`: "));
    let plain = ["boolean", "integer", "floating point"]
        .iter()
        .any(|kind| why.strip_prefix("invalid type: ").is_some_and(|why| why.starts_with(kind)));
    let mend = if plain && why.contains("expected a string") { "; write it in quotes" } else { "" };
    format!("{line}{place}{why}{mend}")
}

/// A part of a definition.
enum Spot {
    Member(&'static str),
    Named(&'static str, String),
    Numbered(&'static str, usize),
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(member) => f.write_str(member),
            Self::Named(member, name) => write!(f, "{member}.{}", shorten(name)),
            Self::Numbered(member, index) => write!(f, "{member}[{index}]"),
        }
    }
}

impl Spot {
    fn of<'d>(&self, document: &'d Part) -> Option<&'d Part> {
        match self {
            Self::Member(member) => document.get(member),
            Self::Named(member, name) => document.get(member)?.get(name),
            Self::Numbered(member, index) => match &document.get(member)?.content {
                Content::List(items) => items.get(*index),
                _ => None,
            },
        }
    }
}

/// The first part that does not have its form, and why.
fn find(value: &Value) -> Option<(Spot, String)> {
    named::<NodeId, Node>(value, "nodes")
        .or_else(|| named::<NodeId, Trigger>(value, "triggers"))
        .or_else(|| named::<VariableName, Variable>(value, "variables"))
        .or_else(|| {
            let mut edges = value.get("edges")?.as_array()?.iter().enumerate();
            edges.find_map(|(at, edge)| Some((Spot::Numbered("edges", at), misread::<Edge>(edge)?)))
        })
        .or_else(|| Some((Spot::Member("settings"), misread::<Settings>(value.get("settings")?)?)))
        .or_else(|| named::<NodeId, Place>(value, "layout"))
}

fn named<K: DeserializeOwned, T: DeserializeOwned>(
    value: &Value,
    member: &'static str,
) -> Option<(Spot, String)> {
    value.get(member)?.as_object()?.iter().find_map(|(name, part)| {
        let why = misread::<K>(&Value::from(name.as_str())).or_else(|| misread::<T>(part))?;
        Some((Spot::Named(member, name.clone()), why))
    })
}

fn misread<T: DeserializeOwned>(part: &Value) -> Option<String> {
    T::deserialize(part).err().map(|error| error.to_string())
}

/// The line of what an error names first, where it is found, or else of what it is in.
fn line(part: &Part, text: &str, why: &str) -> usize {
    let Some(name) = why.split('`').nth(1) else { return part.line };
    let Some(last) = within(part, name) else { return part.line };
    // A list or a map may begin behind the line of its name.
    let lines = text.lines().zip(1..).take(last).skip(part.line.saturating_sub(1));
    lines.filter(|(text, _)| text.contains(name)).last().map_or(last, |(_, number)| number)
}

/// The line of the first scalar of this text, or of what has this name.
fn within(part: &Part, name: &str) -> Option<usize> {
    match &part.content {
        Content::Scalar { text, .. } => (text == name).then_some(part.line),
        Content::List(items) => items.iter().find_map(|item| within(item, name)),
        Content::Map(entries) => entries
            .iter()
            .find_map(|(key, value)| if key == name { Some(value.line) } else { within(value, name) }),
    }
}
