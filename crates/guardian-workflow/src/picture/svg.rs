//! SVG.

use std::fmt::Write;

use super::layout::{NODE_HEIGHT, NODE_WIDTH, layout};
use super::{Paints, title};
use crate::definition::{Definition, NodeKind, Place};

/// Between two pictures.
const GAP: i64 = 40;
/// Letters that a node has room for.
const LETTERS: usize = 22;

pub(super) fn document(pictures: &[(&Definition, &Paints)]) -> String {
    let (mut body, mut left, mut height) = (String::new(), 0, 0);
    for (definition, paints) in pictures {
        let width = one(definition, paints, left, &mut body, &mut height);
        left += width + GAP;
    }
    let width = (left - GAP).max(1);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\"><defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" \
         markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0 8 4 0 8z\" fill=\"#475569\"/></marker></defs>\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>{body}</svg>\n"
    )
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= LETTERS {
        return text.to_owned();
    }
    let front: String = text.chars().take(LETTERS - 1).collect();
    format!("{front}…")
}

fn one(definition: &Definition, paints: &Paints, left: i64, body: &mut String, height: &mut i64) -> i64 {
    let found = layout(definition);
    *height = (*height).max(found.height);
    let place = |id| found.places.get(id).map(|place| Place::new(place.x + left, place.y));
    for edge in &definition.edges {
        let (Some(from), Some(to)) = (place(&edge.from), place(&edge.to)) else { continue };
        let paint = paints.edges.get(&(edge.from.clone(), edge.port.to_string()));
        let (stroke, thick) = match paint {
            Some(super::Paint::Added) => ("#16a34a", 3),
            Some(super::Paint::Removed) => ("#dc2626", 3),
            Some(super::Paint::Changed) => ("#d97706", 3),
            Some(_) => ("#2563eb", 3),
            None => ("#475569", 1),
        };
        let (y1, y2) = (from.y + NODE_HEIGHT / 2, to.y - NODE_HEIGHT / 2);
        let bend = ((y2 - y1).abs() / 2).clamp(20, 80);
        // Writing to a text does not fail.
        let _ = write!(
            body,
            "<path d=\"M{} {y1}C{} {} {} {} {} {y2}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{thick}\" \
             marker-end=\"url(#tip)\"/>",
            from.x,
            from.x,
            y1 + bend,
            to.x,
            y2 - bend,
            to.x
        );
        if edge.port.as_str() != "next" {
            let _ = write!(
                body,
                "<text x=\"{}\" y=\"{}\" fill=\"#475569\" font-size=\"11\" text-anchor=\"middle\">{}</text>",
                (from.x + to.x) / 2,
                (y1 + y2) / 2,
                escape(&shorten(edge.port.as_str()))
            );
        }
    }
    for (id, node) in &definition.nodes {
        let Some(at) = place(id) else { continue };
        let fill = paints.nodes.get(id).map_or("#f8fafc", |paint| paint.fill());
        let stroke = if *id == definition.start { 3 } else { 1 };
        let (x, y) = (at.x - NODE_WIDTH / 2, at.y - NODE_HEIGHT / 2);
        let _ = match node.kind {
            NodeKind::Condition { .. } | NodeKind::Switch { .. } => write!(
                body,
                "<polygon points=\"{},{} {},{y} {},{y} {},{} {},{} {},{}\" fill=\"{fill}\" stroke=\"#334155\" stroke-width=\"{stroke}\"/>",
                x,
                at.y,
                x + 16,
                x + NODE_WIDTH - 16,
                x + NODE_WIDTH,
                at.y,
                x + NODE_WIDTH - 16,
                y + NODE_HEIGHT,
                x + 16,
                y + NODE_HEIGHT
            ),
            _ => {
                let round =
                    if matches!(node.kind, NodeKind::End { .. } | NodeKind::Fail { .. }) { 23 } else { 6 };
                write!(
                    body,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{NODE_WIDTH}\" height=\"{NODE_HEIGHT}\" rx=\"{round}\" fill=\"{fill}\" \
                     stroke=\"#334155\" stroke-width=\"{stroke}\"/>"
                )
            }
        };
        let _ = write!(
            body,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-size=\"10\" fill=\"#64748b\">{}</text>",
            at.x,
            at.y - 2,
            escape(&shorten(&title(id, definition))),
            at.x,
            at.y + 14,
            node.kind.type_name()
        );
    }
    found.width
}
