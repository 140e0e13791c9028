//! Which variables are certainly set where, and which are set side by side.

use std::collections::BTreeSet;
use std::rc::Rc;

use foldhash::{HashMap, HashMapExt as _};

use super::graph::Graph;
use super::{Code, Report};
use crate::definition::{Definition, Join, NodeKind, VariableName, Wait};
use crate::plan::{Moment, Reads};

/// A set of variables.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Names(Vec<u64>);

impl Names {
    fn none(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn all(count: usize) -> Self {
        Self(vec![u64::MAX; count.div_ceil(64)])
    }

    fn has(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    fn add(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    fn remove(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word &= !(1 << (at % 64));
        }
    }

    fn join(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    fn meet(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= other);
    }
}

/// Reports variables that may not be set where they are used, and variables that branches set side by side.
pub(crate) fn check(definition: &Definition, graph: &Graph<'_>, reads: &[Vec<Reads>], report: &mut Report) {
    if !graph.ordered {
        return;
    }
    let mut names: HashMap<&str, usize> = HashMap::new();
    for name in definition.variables.keys() {
        let next = names.len();
        names.entry(name.as_str()).or_insert(next);
    }
    for node in definition.nodes.values() {
        for name in writes(&node.kind).into_iter().chain(locals(&node.kind)) {
            let next = names.len();
            names.entry(name).or_insert(next);
        }
    }
    let mut first = Names::none(names.len());
    for (name, variable) in &definition.variables {
        if variable.value.is_some()
            && let Some(at) = names.get(name.as_str())
        {
            first.add(*at);
        }
    }
    let mut flow = Flow { definition, graph, reads, names: &names, report };
    flow.part(0, first);
    flow.side_by_side();
}

struct Flow<'a, 'd> {
    definition: &'d Definition,
    graph: &'a Graph<'d>,
    reads: &'a [Vec<Reads>],
    names: &'a HashMap<&'d str, usize>,
    report: &'a mut Report,
}

impl<'d> Flow<'_, 'd> {
    /// Goes through a part with what is set at its beginning; gives what is set at its end, if it ends. Parts nest 64 deep
    /// at most.
    fn part(&mut self, part: usize, set: Names) -> Option<Names> {
        let graph = self.graph;
        let part = graph.parts.get(part)?;
        let mut at_entry: HashMap<u32, Names> = HashMap::new();
        at_entry.insert(part.start, set);
        let mut at_end: Option<Names> = None;
        for at in &part.order {
            let Some(entry) = at_entry.remove(at) else { continue };
            let Some(node) = graph.id(*at).and_then(|id| self.definition.nodes.get(id)) else { continue };
            self.read(*at, Moment::Entry, &entry);
            let done = self.node(*at, &node.kind, &entry);
            let Some(done) = done else { continue };
            if matches!(node.kind, NodeKind::Repeat { .. }) {
                continue;
            }
            for (port, to) in graph.outer.get(*at as usize).into_iter().flatten() {
                // A failed action gave no result, and what did not come in time was not received.
                let failed = (port.as_str() == "error"
                    && matches!(node.kind, NodeKind::Action { .. } | NodeKind::SubWorkflow { .. }))
                    || (port.as_str() == "timeout"
                        && matches!(node.kind, NodeKind::Wait { .. } | NodeKind::Approval { .. }));
                let set = if failed { &entry } else { &done };
                match to {
                    Some(to) => match at_entry.get_mut(to) {
                        Some(known) => known.meet(set),
                        None => {
                            at_entry.insert(*to, set.clone());
                        }
                    },
                    None => match &mut at_end {
                        Some(known) => known.meet(set),
                        None => at_end = Some(set.clone()),
                    },
                }
            }
        }
        at_end
    }

    /// What is set behind a node; `None` if nothing comes behind it.
    fn node(&mut self, at: u32, kind: &'d NodeKind, entry: &Names) -> Option<Names> {
        let graph = self.graph;
        let inner: Vec<(&str, usize)> = graph
            .inner
            .get(at as usize)
            .into_iter()
            .flatten()
            .map(|(port, part)| (port.as_str(), *part as usize))
            .collect();
        let mut done = entry.clone();
        match kind {
            NodeKind::ForEach { .. } | NodeKind::While { .. } => {
                let mut within = entry.clone();
                for name in own(kind) {
                    let first =
                        self.definition.variables.get(name).is_some_and(|known| known.value.is_some());
                    match self.names.get(name.as_str()) {
                        Some(at) if first => within.add(*at),
                        Some(at) => within.remove(*at),
                        None => {}
                    }
                }
                self.add(&mut within, &locals(kind));
                for (_, part) in inner {
                    match self.part(part, within.clone()) {
                        Some(end) => self.read(at, Moment::BodyEnd, &end),
                        None => self.read(at, Moment::BodyEnd, &Names::all(self.names.len())),
                    }
                }
            }
            NodeKind::Parallel { join: Join::All, .. } => {
                for (_, part) in inner {
                    match self.part(part, entry.clone()) {
                        Some(end) => done.join(&end),
                        None => return None,
                    }
                }
            }
            NodeKind::Parallel { .. } | NodeKind::Race { .. } => {
                let mut common: Option<Names> = None;
                for (_, part) in inner {
                    if let Some(end) = self.part(part, entry.clone()) {
                        match &mut common {
                            Some(known) => known.meet(&end),
                            None => common = Some(end),
                        }
                    }
                }
                done.join(&common?);
            }
            NodeKind::Try { catch, .. } => {
                let mut ways: Vec<Names> = Vec::new();
                let has = |name: &str| inner.iter().find(|(port, _)| *port == name).map(|(_, part)| *part);
                match has("body") {
                    Some(part) => ways.extend(self.part(part, entry.clone())),
                    None => ways.push(entry.clone()),
                }
                for handler in catch {
                    let mut caught = entry.clone();
                    self.add(
                        &mut caught,
                        &handler.output.iter().map(VariableName::as_str).collect::<Vec<_>>(),
                    );
                    match has(handler.port.as_str()) {
                        Some(part) => ways.extend(self.part(part, caught)),
                        None => ways.push(caught),
                    }
                }
                let mut ways = ways.into_iter();
                let both = ways.next().map(|first| {
                    ways.fold(first, |mut both, way| {
                        both.meet(&way);
                        both
                    })
                });
                if let Some(part) = has("finally") {
                    // It also runs on the way of a failure, when nothing more than at the entry is certain.
                    let last = self.part(part, entry.clone())?;
                    done = both?;
                    done.join(&last);
                } else {
                    done = both?;
                }
            }
            NodeKind::End { .. } | NodeKind::Fail { .. } => return None,
            _ => {}
        }
        self.add(&mut done, &if matches!(kind, NodeKind::Try { .. }) { Vec::new() } else { writes(kind) });
        self.read(at, Moment::Done, &done);
        Some(done)
    }

    fn add(&self, set: &mut Names, names: &[&str]) {
        names.iter().filter_map(|name| self.names.get(name)).for_each(|at| set.add(*at));
    }

    /// Reports what is read at a moment and not certainly set then.
    fn read(&mut self, at: u32, moment: Moment, set: &Names) {
        for reads in self.reads.get(at as usize).into_iter().flatten().filter(|reads| reads.moment == moment)
        {
            for name in reads.variables.iter() {
                let Some(bit) = self.names.get(name.as_str()) else { continue };
                if !set.has(*bit) {
                    self.report.add_at(
                        Code::MaybeUnset,
                        self.graph.id(at),
                        reads.path.clone(),
                        format!("the variable `{name}` is not set on every way to here"),
                        format!("give `{name}` a first value in `variables`, or set it on each way"),
                    );
                }
            }
        }
    }

    fn side_by_side(&mut self) {
        for (id, node) in &self.definition.nodes {
            let Some(at) = self.graph.index.get(id.as_str()).copied() else { continue };
            let alone = match &node.kind {
                NodeKind::Parallel { .. } | NodeKind::Race { .. } => false,
                NodeKind::ForEach { concurrency, .. } if *concurrency > 1 => true,
                _ => continue,
            };
            let parts = self.graph.inner.get(at as usize).cloned().unwrap_or_default();
            let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
            for (_, part) in parts {
                for name in self.written_in(part, own(&node.kind).map(VariableName::as_str).collect()) {
                    if !seen.insert(name) || alone {
                        twice.insert(name);
                    }
                }
            }
            for name in twice {
                self.report.add(
                    Code::ParallelWrite,
                    Some(id),
                    format!("branches that run side by side set the variable `{name}`"),
                    "let each branch set a variable of its own, or gather values with `collect`",
                );
            }
        }
    }

    /// The variables that nodes of a part set, those within its parts included, except those that are somebody's own.
    fn written_in(&self, part: u32, hidden: BTreeSet<&'d str>) -> BTreeSet<&'d str> {
        let (mut found, mut open) = (BTreeSet::new(), vec![(part, Rc::new(hidden))]);
        while let Some((part, hidden)) = open.pop() {
            for at in self.graph.parts.get(part as usize).map(|part| &part.order).into_iter().flatten() {
                let node = self.graph.id(*at).and_then(|id| self.definition.nodes.get(id));
                let Some(kind) = node.map(|node| &node.kind) else { continue };
                found.extend(writes(kind).into_iter().filter(|name| !hidden.contains(*name)));
                let hidden = if own(kind).next().is_none() {
                    Rc::clone(&hidden)
                } else {
                    Rc::new(own(kind).map(VariableName::as_str).chain(hidden.iter().copied()).collect())
                };
                let inner = self.graph.inner.get(*at as usize).into_iter().flatten();
                open.extend(inner.map(|(_, part)| (*part, Rc::clone(&hidden))));
            }
        }
        found
    }
}

/// The variables that each element of a loop has for itself.
fn own(kind: &NodeKind) -> impl Iterator<Item = &VariableName> {
    let own = match kind {
        NodeKind::ForEach { own, .. } => Some(own),
        _ => None,
    };
    own.into_iter().flatten()
}

/// The variables that a node sets for all that comes behind it.
pub(crate) fn writes(kind: &NodeKind) -> Vec<&str> {
    match kind {
        NodeKind::Action { output, .. }
        | NodeKind::SubWorkflow { output, .. }
        | NodeKind::Approval { output, .. } => output.iter().map(VariableName::as_str).collect(),
        NodeKind::Wait { r#for: Wait::Signal(until) } => {
            until.output.iter().map(VariableName::as_str).collect()
        }
        NodeKind::Set { values } => values.keys().map(VariableName::as_str).collect(),
        NodeKind::ForEach { collect, .. } => collect.iter().map(|each| each.output.as_str()).collect(),
        NodeKind::Try { catch, .. } => {
            catch.iter().filter_map(|each| each.output.as_ref()).map(VariableName::as_str).collect()
        }
        _ => Vec::new(),
    }
}

/// The variables that are known within a node's body alone.
pub(crate) fn locals(kind: &NodeKind) -> Vec<&str> {
    match kind {
        NodeKind::ForEach { r#as, index, .. } => {
            [r#as].into_iter().chain(index).map(VariableName::as_str).collect()
        }
        _ => Vec::new(),
    }
}
