//! The graph of a definition: its parts, their order, and what is wrong with the edges.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashMapExt as _};

use super::{Code, Report};
use crate::definition::{Definition, NodeId, NodeKind, Port};

/// Parts nest no deeper.
const MAX_NESTING: u32 = 64;

/// A part of a definition: the whole, the body of a loop, a branch, a handler.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) start: u32,
    /// The nodes, each behind those that lead to it. Empty if there is a cycle.
    pub(crate) order: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct Graph<'d> {
    pub(crate) ids: Vec<&'d NodeId>,
    pub(crate) index: HashMap<&'d str, u32>,
    /// Where each node goes on within its part: `None` for a port without an edge.
    pub(crate) outer: Vec<Vec<(Port, Option<u32>)>>,
    /// The parts of each node, by port.
    pub(crate) inner: Vec<Vec<(Port, u32)>>,
    /// The nodes at which the parts of each node begin, by port.
    starts: Vec<Vec<(Port, u32)>>,
    /// The part in which each node stands.
    pub(crate) home: Vec<Option<u32>>,
    pub(crate) parts: Vec<Part>,
    /// Whether the order of all parts is known.
    pub(crate) ordered: bool,
}

impl<'d> Graph<'d> {
    pub(crate) fn new(definition: &'d Definition, report: &mut Report) -> Option<Self> {
        let ids: Vec<&NodeId> = definition.nodes.keys().collect();
        let index: HashMap<&str, u32> = ids.iter().zip(0_u32..).map(|(id, at)| (id.as_str(), at)).collect();
        let targets = edges(definition, &index, report);
        let (mut outer, mut inner_starts) = (Vec::with_capacity(ids.len()), Vec::with_capacity(ids.len()));
        for (id, node) in &definition.nodes {
            let target = |port: &Port| targets.get(&(id.as_str(), port.as_str())).copied();
            let mut seen = BTreeSet::new();
            let starts: Vec<(Port, u32)> = node
                .kind
                .inner_ports()
                .into_iter()
                .filter(|port| seen.insert(port.clone()))
                .filter_map(|port| target(&port).map(|to| (port, to)))
                .collect();
            inner_starts.push(starts);
            outer.push(outer_targets(&node.kind, &target));
        }
        let Some(start) = index.get(definition.start.as_str()).copied() else {
            let start = &definition.start;
            report.add(
                Code::UnknownStart,
                None,
                format!("the start `{start}` is no node"),
                format!("make a node `{start}`, or name another as the start"),
            );
            return None;
        };
        let mut graph = Self {
            home: vec![None; ids.len()],
            inner: vec![Vec::new(); ids.len()],
            starts: inner_starts,
            ids,
            index,
            outer,
            parts: Vec::new(),
            ordered: true,
        };
        graph.find_parts(start, report);
        graph.unreachable(report);
        for at in 0..graph.parts.len() {
            graph.order(at, definition, report);
        }
        if graph.ordered {
            graph.repeats(definition, report);
        }
        graph.ends(definition, report);
        Some(graph)
    }

    pub(crate) fn id(&self, at: u32) -> Option<&'d NodeId> {
        self.ids.get(at as usize).copied()
    }

    /// Where a port of a node leads.
    pub(crate) fn target(&self, at: u32, port: &Port) -> Option<u32> {
        let outer = self.outer.get(at as usize)?.iter().find(|(known, _)| known == port);
        match outer {
            Some((_, to)) => *to,
            None => self.starts.get(at as usize)?.iter().find(|(known, _)| known == port).map(|(_, to)| *to),
        }
    }

    pub(crate) fn successors(&self, at: u32) -> impl Iterator<Item = u32> {
        self.outer.get(at as usize).into_iter().flatten().filter_map(|(_, to)| *to)
    }

    /// Goes from part to part and says which nodes stand in each.
    fn find_parts(&mut self, start: u32, report: &mut Report) {
        let mut open = vec![(start, 0_u32, None::<(u32, Port)>)];
        while let Some((start, depth, owner)) = open.pop() {
            let part = u32::try_from(self.parts.len()).unwrap_or(u32::MAX);
            self.parts.push(Part { start, order: Vec::new() });
            if let Some((owner, port)) = owner
                && let Some(parts) = self.inner.get_mut(owner as usize)
            {
                parts.push((port, part));
            }
            let mut reached = vec![start];
            while let Some(at) = reached.pop() {
                let Some(home) = self.home.get_mut(at as usize) else { continue };
                match *home {
                    Some(known) if known == part => continue,
                    Some(_) => {
                        report.add(
                            Code::CrossesParts,
                            self.id(at),
                            "it is reached from two parts: the way into a body, a branch or a handler is its port alone"
                                .to_owned(),
                            "let each part have nodes of its own, and go on behind the node that has the parts",
                        );
                        self.ordered = false;
                        continue;
                    }
                    None => *home = Some(part),
                }
                reached.extend(self.successors(at));
                for (port, to) in self.starts.get(at as usize).into_iter().flatten() {
                    if depth >= MAX_NESTING {
                        self.ordered = false;
                        let message = format!("parts are nested deeper than {MAX_NESTING}");
                        report.add(
                            Code::TooDeep,
                            self.id(at),
                            message,
                            "move a part into a workflow of its own",
                        );
                    } else {
                        open.push((*to, depth + 1, Some((at, port.clone()))));
                    }
                }
            }
        }
        for parts in &mut self.inner {
            parts.sort();
        }
    }

    fn unreachable(&self, report: &mut Report) {
        for (id, home) in self.ids.iter().zip(&self.home) {
            if home.is_none() {
                report.add(
                    Code::Unreachable,
                    Some(id),
                    "nothing leads to it".to_owned(),
                    "lead an edge to it, or remove it",
                );
            }
        }
    }

    /// Kahn's order of a part (A. B. Kahn, "Topological sorting of large networks", 1962), the edges of `repeat` left out.
    fn order(&mut self, part: usize, definition: &Definition, report: &mut Report) {
        let Some(start) = self.parts.get(part).map(|part| part.start) else { return };
        let home = self.home.get(start as usize).copied().flatten();
        if home.and_then(|home| usize::try_from(home).ok()) != Some(part) {
            return;
        }
        let goes_back = |at: u32| {
            let node = self.id(at).and_then(|id| definition.nodes.get(id));
            matches!(node.map(|node| &node.kind), Some(NodeKind::Repeat { .. }))
        };
        let mut members = Vec::new();
        let mut waiting: HashMap<u32, u32> = HashMap::new();
        let (mut seen, mut open) = (BTreeSet::from([start]), vec![start]);
        while let Some(at) = open.pop() {
            members.push(at);
            for to in self.successors(at) {
                if self.home.get(to as usize).copied().flatten() != home {
                    continue;
                }
                if !goes_back(at) {
                    *waiting.entry(to).or_default() += 1;
                }
                if seen.insert(to) {
                    open.push(to);
                }
            }
        }
        let mut ready: Vec<u32> =
            members.iter().copied().filter(|at| waiting.get(at).copied().unwrap_or(0) == 0).collect();
        let mut order = Vec::with_capacity(members.len());
        while let Some(at) = ready.pop() {
            order.push(at);
            if goes_back(at) {
                continue;
            }
            for to in self.successors(at) {
                if let Some(left) = waiting.get_mut(&to) {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        ready.push(to);
                    }
                }
            }
        }
        if order.len() < members.len() {
            self.ordered = false;
            let placed: BTreeSet<u32> = order.iter().copied().collect();
            let round: Vec<u32> = self.in_circle(&members, &placed);
            let names: Vec<String> =
                round.iter().take(6).filter_map(|at| self.id(*at)).map(|id| format!("`{id}`")).collect();
            report.add(
                Code::Cycle,
                round.first().and_then(|at| self.id(*at)),
                format!("edges lead in a circle: {}", names.join(" → ")),
                "make it a `while` or `for_each`, or let a `repeat` node lead back",
            );
            order.clear();
        }
        if let Some(part) = self.parts.get_mut(part) {
            part.order = order;
        }
    }

    /// A circle among the nodes that could not be placed.
    fn in_circle(&self, members: &[u32], placed: &BTreeSet<u32>) -> Vec<u32> {
        // Of those, each has one before it that could not be placed either: going backwards ends in a circle.
        let mut before: BTreeMap<u32, u32> = BTreeMap::new();
        for at in members.iter().filter(|at| !placed.contains(at)) {
            for to in self.successors(*at).filter(|to| !placed.contains(to)) {
                before.insert(to, *at);
            }
        }
        let Some(mut at) = before.keys().next().copied() else { return Vec::new() };
        for _ in 0..members.len() {
            at = before.get(&at).copied().unwrap_or(at);
        }
        let mut round = vec![at];
        let mut next = before.get(&at).copied().unwrap_or(at);
        while next != at && round.len() <= members.len() {
            round.push(next);
            next = before.get(&next).copied().unwrap_or(at);
        }
        round.reverse();
        round
    }

    /// A `repeat` leads to a node from which it is reached.
    fn repeats(&self, definition: &Definition, report: &mut Report) {
        // Which walk came to a node last, so that many walks need no new marks.
        let mut seen = vec![0_u32; self.ids.len()];
        let mut walk = 0;
        for (id, node) in &definition.nodes {
            if !matches!(node.kind, NodeKind::Repeat { .. }) {
                continue;
            }
            let Some(at) = self.index.get(id.as_str()).copied() else { continue };
            let Some(to) = self.successors(at).next() else {
                report.add(
                    Code::Empty,
                    Some(id),
                    "it leads nowhere".to_owned(),
                    "lead its edge `next` to an earlier node",
                );
                continue;
            };
            walk += 1;
            let mut comes = |at: u32| match seen.get_mut(at as usize) {
                Some(last) => std::mem::replace(last, walk) != walk,
                None => false,
            };
            comes(to);
            let mut open = vec![to];
            let mut found = to == at;
            while let Some(next) = open.pop().filter(|_| !found) {
                found = next == at;
                open.extend(self.successors(next).filter(|each| comes(*each)));
            }
            if !found {
                report.add(
                    Code::RepeatForward,
                    Some(id),
                    "it does not lead back: it cannot be reached from its target".to_owned(),
                    "lead its edge to a node before it, or replace it by an edge",
                );
            }
        }
    }

    /// From every node of a part, its end or the run's can be reached.
    fn ends(&self, definition: &Definition, report: &mut Report) {
        let count = self.ids.len();
        let mut before = vec![Vec::new(); count];
        let mut open = Vec::new();
        for (at, targets) in (0_u32..).zip(&self.outer) {
            let node = self.id(at).and_then(|id| definition.nodes.get(id));
            let stops =
                matches!(node.map(|node| &node.kind), Some(NodeKind::End { .. } | NodeKind::Fail { .. }));
            if stops || targets.iter().any(|(_, to)| to.is_none()) {
                open.push(at);
            }
            for to in targets.iter().filter_map(|(_, to)| *to) {
                if let Some(list) = before.get_mut(to as usize) {
                    list.push(at);
                }
            }
        }
        let mut ends = vec![false; count];
        while let Some(at) = open.pop() {
            if let Some(known) = ends.get_mut(at as usize)
                && !*known
            {
                *known = true;
                open.extend(before.get(at as usize).into_iter().flatten());
            }
        }
        let stuck = (0_usize..count)
            .filter(|at| self.home.get(*at).is_some_and(Option::is_some) && ends.get(*at) == Some(&false))
            .filter_map(|at| self.ids.get(at))
            .take(1);
        for id in stuck {
            report.add(
                Code::NoEnd,
                Some(id),
                "no end can be reached from it".to_owned(),
                "lead a way out of the circle, to a node without further edges or to an `end`",
            );
        }
    }
}

/// Where each port leads; the faults of single edges are reported.
fn edges<'d>(
    definition: &'d Definition,
    index: &HashMap<&str, u32>,
    report: &mut Report,
) -> HashMap<(&'d str, &'d str), u32> {
    let mut targets = HashMap::with_capacity(definition.edges.len());
    for edge in &definition.edges {
        let (from, to) = (&edge.from, &edge.to);
        let Some(node) = definition.nodes.get(from) else {
            let message = format!("an edge to `{to}` begins at `{from}`, which is no node");
            report.add(Code::DanglingEdge, Some(from), message, "remove the edge, or make the node");
            continue;
        };
        let Some(target) = index.get(to.as_str()) else {
            let message = format!("the edge at `{}` leads to `{to}`, which is no node", edge.port);
            report.add(Code::DanglingEdge, Some(from), message, "lead the edge to a node, or remove it");
            continue;
        };
        if !node.kind.has_port(&edge.port) {
            let ports = node.kind.inner_ports().into_iter().chain(node.kind.outer_ports());
            let known: Vec<String> = ports.map(|port| format!("`{port}`")).collect();
            report.add(
                Code::UnknownPort,
                Some(from),
                format!("it has no port `{}`", edge.port),
                if known.is_empty() {
                    "remove the edge: nothing comes after this node".to_owned()
                } else {
                    format!("use one of {}", known.join(", "))
                },
            );
            continue;
        }
        if targets.insert((from.as_str(), edge.port.as_str()), *target).is_some() {
            let message = format!("two edges begin at its port `{}`", edge.port);
            report.add(Code::PortTaken, Some(from), message, "use `parallel` to go two ways, or remove one");
        }
    }
    let named = definition.nodes.iter().filter(|(_, node)| {
        // Only these have ports whose names somebody chose.
        matches!(node.kind, NodeKind::Parallel { .. } | NodeKind::Race { .. } | NodeKind::Try { .. })
    });
    for (id, node) in named {
        let mut seen = BTreeSet::new();
        for port in node.kind.inner_ports().into_iter().chain(node.kind.outer_ports()) {
            if !seen.insert(port.clone()) {
                report.add(
                    Code::DuplicatePort,
                    Some(id),
                    format!("two of its ports are called `{port}`"),
                    "give each branch and handler a port of its own",
                );
            }
        }
    }
    targets
}

/// Where a node goes on. A failure that no edge is for is no way to go on.
fn outer_targets(kind: &NodeKind, target: &dyn Fn(&Port) -> Option<u32>) -> Vec<(Port, Option<u32>)> {
    let mut ports = kind.outer_ports();
    // Only branches and cases may share a port.
    if matches!(kind, NodeKind::Condition { .. } | NodeKind::Switch { .. }) {
        let mut seen = BTreeSet::new();
        ports.retain(|port| seen.insert(port.clone()));
    }
    ports
        .into_iter()
        .map(|port| {
            let to = target(&port);
            (port, to)
        })
        .filter(|(port, to)| {
            let raises = match kind {
                NodeKind::Action { .. } | NodeKind::SubWorkflow { .. } => *port == Port::error(),
                NodeKind::Wait { .. } => *port == Port::timeout(),
                NodeKind::Approval { .. } => *port != Port::approved(),
                _ => false,
            };
            to.is_some() || !raises
        })
        .collect()
}
