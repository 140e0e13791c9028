//! Walks in graphs that must not have cycles, without recursion.

use std::collections::{BTreeMap, BTreeSet};

/// The way from `start` back to itself, if there is one: `start` first and last.
pub(crate) fn cycle<K: Ord + Clone>(start: &K, mut next: impl FnMut(&K) -> Vec<K>) -> Option<Vec<K>> {
    let mut came_from: BTreeMap<K, K> = BTreeMap::new();
    let mut waiting = vec![start.clone()];
    while let Some(at) = waiting.pop() {
        for to in next(&at) {
            if to == *start {
                let mut path = vec![to];
                let mut step = at;
                while step != *start {
                    let before = came_from.get(&step).cloned();
                    path.push(step);
                    step = before?;
                }
                path.push(step);
                path.reverse();
                return Some(path);
            }
            if !came_from.contains_key(&to) {
                came_from.insert(to.clone(), at.clone());
                waiting.push(to);
            }
        }
    }
    None
}

/// Everything that can be reached from `start`, itself included.
pub(crate) fn reach<K: Ord + Clone>(start: &K, mut next: impl FnMut(&K) -> Vec<K>) -> BTreeSet<K> {
    let mut reached = BTreeSet::from([start.clone()]);
    let mut waiting = vec![start.clone()];
    while let Some(at) = waiting.pop() {
        for to in next(&at) {
            if reached.insert(to.clone()) {
                waiting.push(to);
            }
        }
    }
    reached
}
