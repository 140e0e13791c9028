//! Where nodes stand: layers from the start down (K. Sugiyama, S. Tagawa, M. Toda, 1981).

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::{Definition, NodeId, Place};

/// Places of nodes in units of the picture, at their middles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Layout {
    /// By node.
    pub places: BTreeMap<NodeId, Place>,
    /// How wide everything together is.
    pub width: i64,
    /// How high.
    pub height: i64,
}

pub(super) const NODE_WIDTH: i64 = 170;
pub(super) const NODE_HEIGHT: i64 = 46;
const COLUMN: i64 = 200;
const ROW: i64 = 96;
const MARGIN: i64 = 20;
/// Sweeps that bring nodes near to those that they are joined to.
const SWEEPS: usize = 6;

/// Where the nodes stand: as the definition says where it says so for all, else in layers. O(nodes · edges) at worst, near
/// linear on graphs that people draw.
#[must_use]
pub fn layout(definition: &Definition) -> Layout {
    let told = definition.nodes.keys().all(|id| definition.layout.contains_key(id));
    let places =
        if told && !definition.nodes.is_empty() { told_places(definition) } else { layered(definition) };
    let width = places.values().map(|place| place.x).max().unwrap_or(0) + NODE_WIDTH / 2 + MARGIN;
    let height = places.values().map(|place| place.y).max().unwrap_or(0) + NODE_HEIGHT / 2 + MARGIN;
    Layout { places, width, height }
}

/// The places that the definition tells, moved into the picture. Far away counts as a million.
fn told_places(definition: &Definition) -> BTreeMap<NodeId, Place> {
    const FAR: i64 = 1_000_000;
    let near = |place: &Place| (place.x.clamp(-FAR, FAR), place.y.clamp(-FAR, FAR));
    let told = || definition.layout.iter().filter(|(id, _)| definition.nodes.contains_key(*id));
    let left = told().map(|(_, place)| near(place).0).min().unwrap_or(0);
    let top = told().map(|(_, place)| near(place).1).min().unwrap_or(0);
    told()
        .map(|(id, place)| {
            let (x, y) = near(place);
            (id.clone(), Place::new(x - left + MARGIN + NODE_WIDTH / 2, y - top + MARGIN + NODE_HEIGHT / 2))
        })
        .collect()
}

fn layered(definition: &Definition) -> BTreeMap<NodeId, Place> {
    let ids: Vec<&NodeId> = definition.nodes.keys().collect();
    let index: BTreeMap<&NodeId, usize> = ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); ids.len()];
    for edge in &definition.edges {
        if let (Some(from), Some(to)) = (index.get(&edge.from), index.get(&edge.to))
            && let Some(list) = below.get_mut(*from)
        {
            list.push(*to);
        }
    }
    let forward = without_ways_back(&below, index.get(&definition.start).copied());
    let layers = longest(&forward);
    let mut rows: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (node, layer) in layers.iter().enumerate() {
        rows.entry(*layer).or_default().push(node);
    }
    let mut above: Vec<Vec<usize>> = vec![Vec::new(); ids.len()];
    for (from, targets) in forward.iter().enumerate() {
        for to in targets {
            if let Some(list) = above.get_mut(*to) {
                list.push(from);
            }
        }
    }
    let mut column: Vec<usize> = vec![0; ids.len()];
    let number = |rows: &BTreeMap<usize, Vec<usize>>, column: &mut Vec<usize>| {
        for row in rows.values() {
            for (at, node) in row.iter().enumerate() {
                if let Some(place) = column.get_mut(*node) {
                    *place = at;
                }
            }
        }
    };
    number(&rows, &mut column);
    for sweep in 0..SWEEPS {
        let around = if sweep % 2 == 0 { &above } else { &forward };
        for row in rows.values_mut() {
            // The middle of the neighbours, in thousandths; a node without any stays.
            let middle = |node: usize| {
                let list = around.get(node).map(Vec::as_slice).unwrap_or_default();
                let sum: usize = list.iter().filter_map(|other| column.get(*other)).sum();
                let own = column.get(node).copied().unwrap_or(0) * 1000;
                (sum * 1000).checked_div(list.len()).unwrap_or(own)
            };
            row.sort_by_cached_key(|node| middle(*node));
        }
        number(&rows, &mut column);
    }
    let widest = rows.values().map(Vec::len).max().unwrap_or(1);
    let unit = |count: usize| i64::try_from(count).unwrap_or(i64::MAX / 1_000_000);
    let mut places = BTreeMap::new();
    for (layer, row) in &rows {
        let indent = (unit(widest) - unit(row.len())) * COLUMN / 2;
        for (at, node) in row.iter().enumerate() {
            if let Some(id) = ids.get(*node) {
                let x = MARGIN + NODE_WIDTH / 2 + indent + unit(at) * COLUMN;
                let y = MARGIN + NODE_HEIGHT / 2 + unit(*layer) * ROW;
                places.insert((*id).clone(), Place::new(x, y));
            }
        }
    }
    places
}

/// The edges without those that lead back, found by going through the graph in depth.
fn without_ways_back(below: &[Vec<usize>], start: Option<usize>) -> Vec<Vec<usize>> {
    let mut forward: Vec<Vec<usize>> = vec![Vec::new(); below.len()];
    let (mut open, mut done) = (BTreeSet::new(), BTreeSet::new());
    for first in start.into_iter().chain(0..below.len()) {
        if done.contains(&first) {
            continue;
        }
        let mut stack = vec![(first, 0_usize)];
        open.insert(first);
        while let Some((node, at)) = stack.last_mut() {
            let (node, next) = (*node, below.get(*node).and_then(|list| list.get(*at)).copied());
            *at += 1;
            match next {
                Some(to) if open.contains(&to) => {}
                Some(to) => {
                    if let Some(list) = forward.get_mut(node) {
                        list.push(to);
                    }
                    if !done.contains(&to) {
                        open.insert(to);
                        stack.push((to, 0));
                    }
                }
                None => {
                    open.remove(&node);
                    done.insert(node);
                    stack.pop();
                }
            }
        }
    }
    forward
}

/// For each node the length of the longest way to it.
fn longest(forward: &[Vec<usize>]) -> Vec<usize> {
    let mut waiting = vec![0_usize; forward.len()];
    for to in forward.iter().flatten() {
        if let Some(count) = waiting.get_mut(*to) {
            *count += 1;
        }
    }
    let mut layers = vec![0_usize; forward.len()];
    let mut ready: Vec<usize> = (0..forward.len()).filter(|node| waiting.get(*node) == Some(&0)).collect();
    while let Some(node) = ready.pop() {
        let layer = layers.get(node).copied().unwrap_or(0) + 1;
        for to in forward.get(node).into_iter().flatten() {
            if let (Some(known), Some(left)) = (layers.get_mut(*to), waiting.get_mut(*to)) {
                *known = (*known).max(layer);
                *left = left.saturating_sub(1);
                if *left == 0 {
                    ready.push(*to);
                }
            }
        }
    }
    layers
}
