//! What an expression may cost, before it runs.

use crate::ast::{BinaryOp, Comprehension};
use crate::budget::search_cost;
use crate::machine::{HANDLED, OPTIONAL};
use crate::operators::TEXT;
use crate::program::{Library, Op, Program, Start};
use crate::stdlib::effort::{Effort, MATCH};
use crate::value::{Elements, Entries, List, Map, Value};

/// How large the parts of an event are at most.
///
/// By default nothing is known, and every expression that goes through a list or text of the event may cost any amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizes {
    /// The bytes of the longest text.
    pub text: u64,
    /// The elements of the longest list or map.
    pub items: u64,
    /// How deeply lists and maps nest within a variable.
    pub depth: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { text: u64::MAX, items: u64::MAX, depth: u32::MAX }
    }
}

impl Sizes {
    /// Texts of at most so many bytes, lists and maps of at most so many elements, nesting at most so deeply.
    #[must_use]
    pub fn at_most(text: u64, items: u64, depth: u32) -> Self {
        Self { text, items, depth }
    }
}

/// The least and the most cost units of an evaluation that has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// What the cheapest way to a value costs.
    pub min: u64,
    /// What no evaluation exceeds; `u64::MAX` where there is no bound.
    pub max: u64,
}

/// A bound on a value and on everything within it.
#[derive(Debug, Clone, Copy, Default)]
struct Bound {
    text: u64,
    items: u64,
    depth: u32,
}

impl Bound {
    fn join(self, other: Self) -> Self {
        Self {
            text: self.text.max(other.text),
            items: self.items.max(other.items),
            depth: self.depth.max(other.depth),
        }
    }

    /// The cost of going once through it.
    fn weight(self) -> u64 {
        (self.text / 16).max(if self.depth > 0 { self.items } else { 0 })
    }

    /// The cost of going through it and everything within it.
    fn deep(self) -> u64 {
        let mut all: u64 = 1;
        for _ in 0..self.depth.min(70) {
            all = all.saturating_mul(self.items.saturating_add(1));
        }
        if self.depth > 70 && self.items > 0 {
            all = u64::MAX;
        }
        let each = 2 + self.text / 16;
        all.saturating_mul(each.saturating_add(if self.depth > 0 { self.items } else { 0 }))
    }

    /// What is so many levels within it.
    fn inside(self, levels: u64) -> Self {
        let levels = u32::try_from(levels).unwrap_or(u32::MAX);
        // What nests without bound does so within itself too.
        let depth = if self.depth == u32::MAX { self.depth } else { self.depth.saturating_sub(levels) };
        Self { depth, ..self }
    }

    fn within(self, more: u32) -> Self {
        Self { depth: self.depth.saturating_add(more), ..self }
    }
}

fn bound_of(value: &Value<'_>) -> Bound {
    // Constants nest within the depth that is allowed, so the parts still to be seen are few.
    let mut bound = Bound::default();
    let mut parts = vec![(value.clone(), 0_u32)];
    while let Some((part, depth)) = parts.pop() {
        bound.depth = bound.depth.max(depth);
        match &part {
            Value::List(List(Elements::Built(built))) => {
                bound.items = bound.items.max(built.items.len() as u64);
                bound.depth = bound.depth.max(depth + 1);
                parts.extend(built.items.iter().map(|item| (item.clone(), depth + 1)));
            }
            Value::Map(Map(Entries::Built(built))) => {
                bound.items = bound.items.max(built.entries.len() as u64);
                bound.depth = bound.depth.max(depth + 1);
                for (key, value) in &built.entries {
                    parts.extend([(key.clone(), depth + 1), (value.clone(), depth + 1)]);
                }
            }
            Value::Optional(Some(inner)) => parts.push(((**inner).clone(), depth + 1)),
            Value::Bytes(bytes) => bound.text = bound.text.max(bytes.len() as u64),
            other => bound.text = bound.text.max(other.as_str().map_or(0, |text| text.len() as u64)),
        }
    }
    bound
}

struct Estimator<'p> {
    program: &'p Program,
    event: Bound,
    stack: Vec<Bound>,
    slots: Vec<Bound>,
    /// For each open loop the bound of its range and how often it may run.
    ranges: Vec<(Bound, u64, u64)>,
    /// What jumps bring to the place where they arrive.
    arrivals: Vec<(u32, Bound)>,
    own: Vec<(u64, u64)>,
    /// Whether a jump arrives at the instruction, so that the one before it is not all that leads there.
    merged: bool,
}

impl Program {
    /// What an evaluation may cost on events of such sizes, so that a host can refuse an expression when it is saved.
    ///
    /// No evaluation costs more than the maximum, if functions of the host return nothing larger than the event's parts.
    /// O(length).
    ///
    /// ```
    /// use guardian_expr::{Env, Sizes};
    ///
    /// let program = Env::new().compile("deal.items.all(i, i.qty > 0)")?;
    /// let estimate = program.estimate(Sizes::at_most(1_000, 100, 5));
    /// assert!(estimate.max < 5_000);
    /// assert_eq!(program.estimate(Sizes::default()).max, u64::MAX);
    /// # Ok::<(), guardian_expr::Error>(())
    /// ```
    #[must_use]
    pub fn estimate(&self, sizes: Sizes) -> Estimate {
        let event = Bound { text: sizes.text, items: sizes.items, depth: sizes.depth };
        let mut estimator = Estimator {
            program: self,
            event,
            stack: Vec::new(),
            slots: vec![Bound::default(); self.slots as usize],
            ranges: vec![(event, 0, u64::MAX); self.loops.len()],
            arrivals: Vec::new(),
            own: Vec::with_capacity(self.code.len()),
            merged: false,
        };
        for (at, op) in self.code.iter().enumerate() {
            estimator.arrive(crate::ast::count(at));
            let own = estimator.step(*op, at);
            estimator.own.push(own);
        }
        estimator.sum()
    }
}

impl Estimator<'_> {
    fn arrive(&mut self, at: u32) {
        self.merged = false;
        while let Some((_, bound)) = self.arrivals.pop_if(|(target, _)| *target == at) {
            self.merged = true;
            match self.stack.last_mut() {
                Some(top) => *top = top.join(bound),
                None => self.stack.push(bound),
            }
        }
    }

    fn pop(&mut self) -> Bound {
        self.stack.pop().unwrap_or(self.event)
    }

    fn constant(&self, at: u32) -> Bound {
        self.program.constants.get(at as usize).map(bound_of).unwrap_or_default()
    }

    /// The bound of a path, and what it costs to follow it at least and at most.
    fn path(&self, at: u32) -> (Bound, u64, u64) {
        let Some(path) = self.program.paths.get(at as usize) else { return (self.event, 0, u64::MAX) };
        let bound = match path.start {
            Start::Variable(_) => self.event,
            Start::Local(slot) => self.slots.get(slot as usize).copied().unwrap_or(self.event),
        };
        let keys = u64::from(path.keys.len);
        (bound.inside(keys), keys, keys.saturating_mul(1 + search_cost(bound.items)))
    }

    fn comparison(left: Bound, right: Bound) -> u64 {
        left.deep().min(right.deep()).saturating_add(left.weight().min(right.weight()))
    }

    /// What an instruction costs by itself, at least and at most; keeps the bounds of the stack.
    #[expect(clippy::too_many_lines, reason = "one arm for each instruction")]
    fn step(&mut self, op: Op, at: usize) -> (u64, u64) {
        let flat = Bound::default();
        match op {
            Op::Constant(constant) => {
                let bound = self.constant(constant);
                self.stack.push(bound);
                (1, 1)
            }
            Op::Path(path) => {
                let (bound, least, most) = self.path(path);
                self.stack.push(bound);
                (1 + least, most.saturating_add(1))
            }
            Op::ComparePath { path, constant, .. } => {
                let (bound, least, most) = self.path(path);
                let comparison = Self::comparison(bound, self.constant(constant));
                self.stack.push(flat);
                (1 + least, most.saturating_add(1).saturating_add(comparison))
            }
            Op::Compare { constant, .. } => {
                let bound = self.pop();
                let most = Self::comparison(bound, self.constant(constant));
                self.stack.push(flat);
                (1, most.saturating_add(1))
            }
            Op::PathInSet { path, set } => {
                let (bound, least, most) = self.path(path);
                self.stack.push(flat);
                (1 + least, self.set_cost(set, bound).saturating_add(1).saturating_add(most))
            }
            Op::InSet(set) => {
                let bound = self.pop();
                self.stack.push(flat);
                (1, self.set_cost(set, bound).saturating_add(1))
            }
            Op::Select(_) | Op::SelectOptional(_) | Op::Coerce(_) | Op::Negate | Op::WrapOptional => {
                let bound = self.pop();
                let wraps = matches!(op, Op::WrapOptional | Op::SelectOptional(_));
                self.stack.push(if wraps { bound.within(1) } else { bound });
                (1, 2 + OPTIONAL + search_cost(bound.items))
            }
            Op::Has(_) | Op::Not => {
                let bound = self.pop();
                self.stack.push(flat);
                (1, 2 + search_cost(bound.items))
            }
            Op::Index | Op::IndexOptional => {
                self.pop();
                let bound = self.pop();
                self.stack.push(bound.within(u32::from(op == Op::IndexOptional)));
                (1, 1 + OPTIONAL + search_cost(bound.items))
            }
            Op::Binary(op) => {
                let (right, left) = (self.pop(), self.pop());
                self.stack.push(flat);
                let most = match op {
                    BinaryOp::In => right
                        .items
                        .saturating_mul(Self::comparison(left, right).saturating_add(2))
                        .saturating_add(left.weight())
                        .saturating_add(search_cost(right.items)),
                    op if op.is_comparison() => Self::comparison(left, right),
                    _ => 0,
                };
                (1, most.saturating_add(1))
            }
            Op::Add(terms) => self.addition(terms),
            Op::Jump(target) => {
                let bound = self.pop();
                self.arrivals.push((target, bound));
                (1, 1)
            }
            // A comparison gives its value to these without an instruction.
            Op::And { .. } | Op::Or { .. } => {
                self.pop();
                (0, 1)
            }
            Op::Call { function, arguments } => {
                let function = self.program.natives.get(function as usize);
                self.call(function, arguments)
            }
            Op::CallHost { function, arguments } => {
                for _ in 0..arguments {
                    self.pop();
                }
                self.stack.push(self.event);
                let hosts = self.program.hosts.get(function as usize);
                let costs = hosts.into_iter().flat_map(|(_, hosts)| hosts.iter().map(|host| host.cost));
                let native = self
                    .program
                    .natives
                    .iter()
                    .any(|native| hosts.is_some_and(|(each, _)| each == native.name));
                let most = if native { u64::MAX } else { costs.clone().max().unwrap_or(0) };
                let result = (self.event.text / 16).saturating_add(self.event.items.saturating_mul(3));
                (costs.min().unwrap_or(0), most.saturating_add(1).saturating_add(result))
            }
            Op::NoFunction(_) | Op::Undecided { .. } => {
                self.stack.push(flat);
                (1, 1)
            }
            Op::List(length)
            | Op::ListOptional { length, .. }
            | Op::Map(length)
            | Op::MapOptional { length, .. } => {
                let mut bound = flat;
                for _ in 0..length {
                    bound = bound.join(self.pop());
                }
                bound.items = bound.items.max(u64::from(length));
                self.stack.push(bound.within(1));
                let cost = 1 + 3 * u64::from(length);
                (cost, cost)
            }
            Op::LoopStart(index) => {
                let range = self.pop();
                let fixed = at.checked_sub(1).and_then(|before| self.program.code.get(before));
                let fixed = match fixed {
                    Some(Op::Constant(constant)) if !self.merged => {
                        match self.program.constants.get(*constant as usize) {
                            Some(Value::List(list)) => Some(list.len() as u64),
                            _ => None,
                        }
                    }
                    _ => None,
                };
                let runs = (fixed.unwrap_or(0), fixed.unwrap_or(range.items));
                if let Some(place) = self.ranges.get_mut(index as usize) {
                    *place = (range, runs.0, runs.1);
                }
                (1, range.items.saturating_mul(3).saturating_add(1))
            }
            Op::LoopNext(index) => {
                let (range, ..) =
                    self.ranges.get(index as usize).copied().unwrap_or((self.event, 0, u64::MAX));
                let info = self.program.loops.get(index as usize);
                for slot in info.into_iter().flat_map(|info| [info.slot, info.slot + u32::from(info.two)]) {
                    if let Some(place) = self.slots.get_mut(slot as usize) {
                        *place = range.inside(1);
                    }
                }
                (1, 1)
            }
            Op::LoopFilter(_) | Op::Branch(_) => {
                self.pop();
                (1, 1)
            }
            Op::LoopStep(index) => self.loop_step(index),
            Op::LoopEnd(index) => {
                let (range, _, runs) =
                    self.ranges.get(index as usize).copied().unwrap_or((self.event, 0, u64::MAX));
                let kind = self.program.loops.get(index as usize).map(|info| info.kind);
                let sort = match kind {
                    Some(Comprehension::SortBy) => {
                        runs.saturating_mul(66).saturating_mul(range.text / 16 + 1)
                    }
                    _ => 0,
                };
                self.stack.push(range);
                (1, sort.saturating_add(1))
            }
            Op::Store(slot) | Op::OpenOptional { slot, .. } => {
                let bound = self.pop();
                if let Some(place) = self.slots.get_mut(slot as usize) {
                    *place = bound;
                }
                (1, 2)
            }
            Op::Otherwise { end, .. } => {
                let bound = self.pop();
                self.arrivals.push((end, bound));
                (1, 1)
            }
            Op::Trace(_) => (0, 1),
        }
    }

    /// What the body made becomes part of what the loop makes.
    fn loop_step(&mut self, index: u32) -> (u64, u64) {
        let made = self.pop();
        if let Some((range, _, runs)) = self.ranges.get_mut(index as usize) {
            let entries = match self.program.loops.get(index as usize).map(|info| info.kind) {
                // Each step may add all entries of a map.
                Some(Comprehension::TransformMapEntry) => runs.saturating_mul(made.items.max(1)),
                _ => *runs,
            };
            let each = made.items.saturating_mul(4);
            *range = range.join(made).within(1);
            range.items = range.items.max(entries);
            return (0, each.saturating_add(3));
        }
        (0, u64::MAX)
    }

    fn set_cost(&self, set: u32, bound: Bound) -> u64 {
        let Some(set) = self.program.sets.get(set as usize) else { return u64::MAX };
        let others = set.others.iter().map(|other| Self::comparison(bound, bound_of(other)) + 1);
        let others = others.fold(0_u64, u64::saturating_add);
        (bound.text / 16).saturating_add(others)
    }

    fn addition(&mut self, terms: u32) -> (u64, u64) {
        let mut sum = Bound::default();
        for _ in 0..terms {
            let term = self.pop();
            sum = Bound {
                text: sum.text.saturating_add(term.text),
                items: sum.items.saturating_add(term.items),
                depth: sum.depth.max(term.depth),
            };
        }
        self.stack.push(sum);
        let most = u64::from(terms)
            .saturating_add(TEXT)
            .saturating_add(sum.text / 16)
            .saturating_add(if sum.depth > 0 { sum.items.saturating_mul(3) } else { 0 });
        (u64::from(terms), most)
    }

    /// What a function of the library costs, and how large its result is.
    fn call(&mut self, function: Option<&Library>, arguments: u32) -> (u64, u64) {
        let (name, price) = function.map_or(("", 0), |function| (function.name, function.price));
        let effort = function.and_then(|function| function.effort);
        let mut all = Vec::new();
        for _ in 0..arguments {
            all.push(self.pop());
        }
        all.reverse();
        let argument = |at: usize| all.get(at).copied().unwrap_or_default();
        let (a, b, c) = (argument(0), argument(1), argument(2));
        let weights = all.iter().map(|each| each.text / 16 + 1).fold(0_u64, u64::saturating_add);
        let items = all.iter().map(|each| if each.depth > 0 { each.items } else { 0 });
        let weights = items.fold(weights, u64::saturating_add);
        let mut result = all.iter().fold(Bound::default(), |all, each| all.join(*each));
        let plus = |a: u64, b: u64| a.saturating_add(b);
        let times = |a: u64, b: u64| a.saturating_mul(b);
        let mut extra = 0;
        match name {
            "string" | "type" => result.text = plus(result.text, 512),
            "replace" => {
                result.text = plus(a.text, times(a.text.saturating_add(1), c.text));
                extra = times(plus(a.text, 1), crate::stdlib::REPLACED);
            }
            "join" => {
                result.text = times(a.items, plus(a.text, b.text));
                extra = a.items;
            }
            "contains" | "indexOf" | "lastIndexOf" => extra = a.text / 16,
            "strings.quote" => result.text = plus(times(a.text, 2), 2),
            "base64.encode" => result.text = plus(times(a.text, 2), 4),
            "split" | "regex.extractAll" => {
                result.items = plus(a.text, 1);
                result.depth = 1;
                extra = plus(times(plus(a.text, 1), 4), a.text / 16);
            }
            "format" => {
                let each = plus(times(b.deep(), 64), 2048);
                result.text = plus(a.text, times(a.text, each));
                extra = times(a.text, each);
            }
            "sets.contains" | "sets.equivalent" | "sets.intersects" => {
                let pairs = times(a.items, b.items);
                extra = times(times(pairs, 2), plus(Self::comparison(a, b), 2));
            }
            "distinct" => extra = plus(times(times(a.items, a.items), plus(a.deep(), 2)), times(a.items, 2)),
            "sort" => extra = plus(times(times(a.items, 66), plus(a.text / 16, 1)), times(a.items, 2)),
            "flatten" => {
                extra = times(a.deep(), 4);
                result.items = a.deep();
            }
            "lists.range" => {
                result.items = u64::MAX;
                result.depth = 1;
                extra = u64::MAX;
            }
            "slice" | "reverse" | "unwrapOpt" | "optional.unwrap" => extra = times(a.items, 2),
            "optional.of" | "optional.ofNonZeroValue" | "first" | "last" => result = result.within(1),
            _ => {}
        }
        if name.starts_with("regex.") || name == "matches" {
            extra = plus(extra, effort.unwrap_or(Effort::most()).search(a.text));
            extra = plus(extra, plus(times(b.text, 10), 10));
            if effort.is_none() {
                extra = plus(extra, Effort::most().compilation);
            }
            if name == "regex.replace" {
                let each = plus(times(plus(c.text, 1), plus(a.text, 1)), 1);
                result.text = plus(a.text, times(plus(a.text, 1), each));
                extra = plus(extra, times(plus(a.text, 1), MATCH));
            } else {
                extra = plus(extra, times(plus(a.text, 1), MATCH + 3));
                result = result.within(1);
            }
        }
        extra = plus(extra, plus(result.text / 16, 3));
        self.stack.push(result);
        (1, plus(plus(1, price), plus(weights, extra)))
    }

    /// Adds the costs up, from the end of the program to its beginning.
    fn sum(&self) -> Estimate {
        let code = &self.program.code;
        let mut rest: Vec<(u64, u64)> = vec![(0, 0); code.len() + 1];
        let add = |a: (u64, u64), b: (u64, u64)| (a.0.saturating_add(b.0), a.1.saturating_add(b.1));
        let either = |a: (u64, u64), b: (u64, u64)| (a.0.min(b.0), a.1.max(b.1));
        // They are in the order of their starts.
        let mut handlers = self.program.handlers.iter().rev().peekable();
        for (at, op) in code.iter().enumerate().rev() {
            let own = self.own.get(at).copied().unwrap_or((0, u64::MAX));
            let from = |place: usize| rest.get(place).copied().unwrap_or((0, 0));
            let next = from(at + 1);
            let total = match *op {
                Op::Jump(target) => add(own, from(target as usize)),
                Op::Branch(target) => add(own, either(next, from(target as usize))),
                Op::And { end, .. }
                | Op::Or { end, .. }
                | Op::OpenOptional { end, .. }
                | Op::Otherwise { end, .. } => add(own, either(next, from(end as usize))),
                // An element ends here; how many there are is counted where the loop begins.
                Op::LoopStep(_) => own,
                Op::LoopFilter(_) => add(own, either(next, (0, 0))),
                Op::LoopNext(index) => {
                    let (_, least, most) =
                        self.ranges.get(index as usize).copied().unwrap_or((self.event, 0, u64::MAX));
                    let info = self.program.loops.get(index as usize);
                    let end = info.map_or(code.len(), |info| info.end as usize);
                    let decides = info.is_some_and(|info| crate::machine::absorbs(info.kind));
                    let least = if decides { least.min(1) } else { least };
                    let after = if decides { either(from(end), from(end + 1)) } else { from(end) };
                    // A loop that is known to be empty does not even look at its body.
                    let body = (
                        own.0.saturating_add(next.0).saturating_mul(least),
                        own.1.saturating_add(next.1).saturating_mul(most),
                    );
                    let finish = if decides { (0, own.1) } else { own };
                    add(add(body, finish), after)
                }
                _ => add(own, next),
            };
            // What begins here may fail at once, and go on where the error is handled; in a loop with the next element.
            let mut total = total;
            while let Some(handler) = handlers.next_if(|handler| handler.start as usize == at) {
                let resume = handler.resume as usize;
                let after = if resume > at { rest.get(resume).map_or(0, |rest| rest.0) } else { 0 };
                total.0 = total.0.min(after.saturating_add(1));
                total.1 = total.1.saturating_add(HANDLED);
            }
            if let Some(place) = rest.get_mut(at) {
                *place = total;
            }
        }
        let (min, max) = rest.first().copied().unwrap_or((0, 0));
        Estimate { min, max }
    }
}
