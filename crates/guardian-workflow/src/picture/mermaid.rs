//! Mermaid, for documents that render it.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::title;
use crate::definition::{Definition, NodeId, NodeKind};

/// A definition as a flow chart in Mermaid.
#[must_use]
pub fn mermaid(definition: &Definition) -> String {
    let mut text = String::from("flowchart TD\n");
    let names: BTreeMap<&NodeId, usize> =
        definition.nodes.keys().enumerate().map(|(at, id)| (id, at)).collect();
    // Letters that mean something become numbers, as Mermaid has it.
    let escape = |text: &str| {
        let mut safe = String::new();
        for c in text.chars() {
            match c {
                '"' | '#' | '&' | '<' | '>' | ';' | '|' | '`' => {
                    let _ = write!(safe, "#{};", u32::from(c));
                }
                c if c.is_control() => safe.push(' '),
                c => safe.push(c),
            }
        }
        safe
    };
    for (id, node) in &definition.nodes {
        let at = names.get(id).copied().unwrap_or(0);
        let (open, close) = match node.kind {
            NodeKind::Condition { .. } | NodeKind::Switch { .. } => ("{\"", "\"}"),
            NodeKind::End { .. } | NodeKind::Fail { .. } => ("([\"", "\"])"),
            NodeKind::ForEach { .. } | NodeKind::While { .. } | NodeKind::Repeat { .. } => ("[[\"", "\"]]"),
            _ => ("[\"", "\"]"),
        };
        let _ = writeln!(text, "    n{at}{open}{}{close}", escape(&title(id, definition)));
    }
    for edge in &definition.edges {
        if let (Some(from), Some(to)) = (names.get(&edge.from), names.get(&edge.to)) {
            let _ = match edge.port.as_str() {
                "next" => writeln!(text, "    n{from} --> n{to}"),
                port => writeln!(text, "    n{from} -- \"{}\" --> n{to}", escape(port)),
            };
        }
    }
    text
}
