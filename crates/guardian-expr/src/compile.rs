//! Turns a checked tree into instructions: one loop over its nodes, which are already in the order of their evaluation.

use std::sync::Arc;

use crate::ast::{
    BinaryOp, ChainOp, Children, Comprehension, Name, Node, NodeId, SelectKind, Span, UnaryOp, count,
};
use crate::budget::{Budget, Context};
use crate::check::{Checked, Coercion, Role};
use crate::env::{Declarations, Env};
use crate::operators;
use crate::program::{Handler, Keep, Library, Loop, Op, Path, Program, Start};
use crate::stdlib::{self, Native, price};
use crate::value::{List, Value};

mod paths;
mod sets;

use paths::share_paths;

struct Compiler<'e> {
    declarations: &'e Declarations,
    program: Program,
    /// The length of the code when a node was reached; for the first node of a subtree, where its code begins.
    starts: Vec<u32>,
    /// For nodes that need a place known before their children are compiled: chains, and loops.
    notes: Vec<(u32, u32)>,
    height: u32,
    traced: bool,
    /// Jumps that wait for the end of a node: the node, and the instruction.
    jumps: Vec<(u32, usize)>,
    /// How many calls there are whose pattern is a constant.
    patterns: u32,
}

/// So many calls with a constant as their pattern do not pay for it.
const KNOWN_PATTERNS: u32 = 16;

pub(crate) fn compile(env: &Env, checked: Checked, traced: bool) -> Program {
    let size = checked.ast.nodes.len();
    let program = Program {
        env: env.clone(),
        code: Vec::with_capacity(size),
        nodes: Vec::with_capacity(size),
        constants: Vec::with_capacity(size.min(16) / 2),
        keys: Vec::with_capacity(size.min(16) / 2),
        paths: Vec::with_capacity(size.min(16) / 2),
        handlers: Vec::new(),
        loops: Vec::new(),
        sets: Vec::new(),
        marks: Vec::new(),
        natives: Vec::new(),
        hosts: Vec::new(),
        chains: 0,
        slots: 0,
        stack: 0,
        checked,
    };
    let mut compiler = Compiler {
        declarations: &env.declarations,
        program,
        starts: Vec::with_capacity(size),
        notes: Vec::with_capacity(4),
        height: 0,
        traced,
        jumps: Vec::new(),
        patterns: 0,
    };
    for at in 0..count(size) {
        let id = NodeId(at);
        compiler.starts.push(compiler.here());
        if compiler.program.checked.role(id) != Role::Skip {
            compiler.node(id);
        }
        compiler.after(id);
    }
    compiler.finish()
}

/// The most cost units that folding one operator may use.
const FOLDING: u64 = 10_000;

impl Compiler<'_> {
    fn here(&self) -> u32 {
        count(self.program.code.len())
    }

    fn emit(&mut self, id: NodeId, op: Op) -> usize {
        self.program.code.push(op);
        self.program.nodes.push(id.0);
        self.program.code.len() - 1
    }

    fn grow(&mut self, by: u32) {
        self.height += by;
        self.program.stack = self.program.stack.max(self.height);
    }

    fn shrink(&mut self, by: u32) {
        self.height = self.height.saturating_sub(by);
    }

    /// Where a name stands, at the same place for equal names. Only the last ones are looked at, so that many names take
    /// no quadratic time.
    fn place(&self, name: Name) -> Span {
        let ast = &self.program.checked.ast;
        let text = ast.name(name);
        let same = self.program.keys.iter().rev().take(24).find(|each| ast.part(**each) == text);
        same.copied().unwrap_or_else(|| ast.place(name))
    }

    fn key(&mut self, name: Name) -> u32 {
        let place = self.place(name);
        self.program.keys.push(place);
        count(self.program.keys.len()) - 1
    }

    fn constant(&mut self, id: NodeId, value: Value<'static>) {
        self.program.constants.push(value);
        self.emit(id, Op::Constant(count(self.program.constants.len()) - 1));
    }

    /// Where the code of a node's subtree begins.
    fn start_of(&self, id: NodeId) -> u32 {
        let first = self.program.checked.first(id);
        self.starts.get(first.at()).copied().unwrap_or(0)
    }

    fn patch(&mut self, at: usize, op: Op) {
        if let Some(place) = self.program.code.get_mut(at) {
            *place = op;
        }
    }

    fn drop_last(&mut self, instructions: usize) {
        let left = self.program.code.len().saturating_sub(instructions);
        self.program.code.truncate(left);
        self.program.nodes.truncate(left);
    }

    /// The instruction that a child consists of, if it is one.
    fn single(&self, id: NodeId, end: u32) -> Option<Op> {
        let start = self.start_of(id);
        (end.checked_sub(1) == Some(start)).then(|| self.program.code.get(start as usize).copied()).flatten()
    }

    /// The operands of a node, if all are constants: the last instructions, and the last constants.
    fn constants(&self, operands: &[NodeId]) -> Option<&[Value<'static>]> {
        let last = self.program.code.last();
        if self.traced || !operands.is_empty() && !matches!(last, Some(Op::Constant(_))) {
            return None;
        }
        let first = self.program.code.len().checked_sub(operands.len())?;
        let instructions = self.program.code.get(first..)?;
        let base = self.program.constants.len().checked_sub(operands.len())?;
        let mut each = operands.iter().zip(instructions).enumerate();
        let are_last = each.all(|(place, (id, op))| {
            matches!(op, Op::Constant(at) if *at as usize == base + place)
                && self.start_of(*id) as usize == first + place
        });
        are_last.then(|| self.program.constants.get(base..)).flatten()
    }

    /// Forgets operands that are constants.
    fn drop_constants(&mut self, operands: usize) {
        self.drop_last(operands);
        let left = self.program.constants.len().saturating_sub(operands);
        self.program.constants.truncate(left);
    }

    fn replace(&mut self, id: NodeId, operands: usize, value: Value<'static>) {
        self.drop_constants(operands);
        self.constant(id, value);
    }

    fn node(&mut self, id: NodeId) {
        let ast = &self.program.checked.ast;
        match ast.node(id) {
            Node::Dead => return,
            Node::Null => self.literal(id, Value::Null),
            Node::Bool(value) => self.literal(id, Value::Bool(value)),
            Node::Int(value) => self.literal(id, Value::Int(value)),
            Node::Uint(value) => self.literal(id, Value::Uint(value)),
            Node::Double(value) => self.literal(id, Value::Double(value)),
            Node::Text(name) => {
                let text: Arc<str> = ast.name(name).into();
                self.literal(id, Value::Shared(text));
            }
            Node::Bytes(range) => {
                let bytes: Arc<[u8]> = ast.byte_literal(range).into();
                self.literal(id, Value::Bytes(bytes));
            }
            Node::Ident { .. } | Node::BlockIndex(_) => self.variable(id),
            Node::Select { operand, field, kind } => match self.program.checked.role(id) {
                Role::Global(_) | Role::TypeName(_) => self.variable(id),
                _ => self.select(id, operand, field, kind),
            },
            Node::Index { operand, index, optional } => self.index(id, operand, index, optional),
            Node::Unary { op, operand } => self.unary(id, op, operand),
            Node::Binary { op, left, right } => self.binary(id, op, left, right),
            Node::Chain { op: ChainOp::Add, terms } => self.addition(id, terms),
            Node::Chain { op, terms } => self.end_chain(id, op, terms),
            Node::Call { function, arguments, .. } => self.call(id, function, arguments, 0),
            Node::Method { function, arguments } => {
                let skip = matches!(self.program.checked.role(id), Role::Function { namespaced: true, .. });
                self.call(id, function, arguments, u32::from(skip));
            }
            Node::List(elements) => self.list(id, elements),
            Node::Map(entries) => self.map(id, entries),
            // What these are was made after their children.
            Node::Conditional { .. } | Node::OptionalElement(_) | Node::Bind { .. } | Node::Block(_) => {}
            Node::OptionalMap { flat, .. } => {
                if !flat {
                    self.emit(id, Op::WrapOptional);
                }
            }
            Node::Comprehension { .. } => self.end_loop(id),
        }
        self.land(id);
        let coercion = self.program.checked.coercion(id);
        if coercion != Coercion::None && !matches!(self.program.code.last(), Some(Op::Path(_))) {
            self.emit(id, Op::Coerce(coercion));
        }
        if self.traced {
            self.emit(id, Op::Trace(id.0));
        }
    }

    /// Lets the jumps to the end of a node arrive here.
    fn land(&mut self, id: NodeId) {
        let here = self.here();
        while let Some((_, at)) = self.jumps.pop_if(|(node, _)| *node == id.0) {
            let op = match self.program.code.get(at).copied() {
                Some(Op::Jump(_)) => Op::Jump(here),
                Some(Op::And { chain, .. }) => Op::And { chain, end: here },
                Some(Op::Or { chain, .. }) => Op::Or { chain, end: here },
                Some(Op::OpenOptional { slot, .. }) => Op::OpenOptional { slot, end: here },
                Some(Op::Otherwise { unwrap, .. }) => Op::Otherwise { unwrap, end: here },
                _ => continue,
            };
            self.patch(at, op);
        }
    }

    fn literal(&mut self, id: NodeId, value: Value<'static>) {
        self.grow(1);
        self.constant(id, value);
    }

    fn variable(&mut self, id: NodeId) {
        self.grow(1);
        match self.program.checked.role(id) {
            Role::Local(slot) => {
                let coercion = self.program.checked.coercion(id);
                self.path(
                    id,
                    Path {
                        start: Start::Local(slot),
                        keys: Children::default(),
                        coercion,
                        slot: 0,
                        cache: None,
                    },
                );
            }
            Role::TypeName(at) => {
                let name = self.program.checked.type_names.get(at as usize).cloned().unwrap_or_default();
                self.constant(id, Value::Type(name.into()));
            }
            Role::Global(at) => {
                let coercion = self.program.checked.coercion(id);
                self.path(
                    id,
                    Path {
                        start: Start::Variable(at),
                        keys: Children::default(),
                        coercion,
                        slot: 0,
                        cache: None,
                    },
                );
            }
            _ => {
                self.constant(id, Value::Null);
            }
        }
    }

    fn path(&mut self, id: NodeId, path: Path) {
        self.program.paths.push(path);
        self.emit(id, Op::Path(count(self.program.paths.len()) - 1));
    }

    fn select(&mut self, id: NodeId, operand: NodeId, field: Name, kind: SelectKind) {
        match kind {
            SelectKind::Optional => {
                let key = self.key(field);
                self.emit(id, Op::SelectOptional(key));
            }
            SelectKind::Test => {
                let key = self.key(field);
                self.emit(id, Op::Has(key));
            }
            SelectKind::Field => {
                let coercion = self.program.checked.coercion(id);
                match self.single(operand, self.here()) {
                    Some(Op::Path(at)) if !self.traced => {
                        // A path that no other instruction uses grows by the field.
                        let key = self.place(field);
                        let program = &mut self.program;
                        if let Some(path) = program.paths.get_mut(at as usize) {
                            let end = path.keys.start + path.keys.len;
                            if path.keys.len == 0 {
                                path.keys.start = count(program.keys.len());
                            } else if end as usize != program.keys.len() {
                                // Keys of another path lie behind its own, so they move to the end.
                                let range = path.keys.start as usize..end as usize;
                                path.keys.start = count(program.keys.len());
                                program.keys.extend_from_within(range);
                            }
                            program.keys.push(key);
                            path.keys.len += 1;
                            path.coercion = coercion;
                        }
                        if let Some(node) = self.program.nodes.last_mut() {
                            *node = id.0;
                        }
                    }
                    _ => {
                        let key = self.key(field);
                        self.emit(id, Op::Select(key));
                    }
                }
            }
        }
    }

    fn index(&mut self, id: NodeId, operand: NodeId, index: NodeId, optional: bool) {
        self.shrink(1);
        // A text in brackets says the same as a field.
        if let Node::Text(field) = self.program.checked.ast.node(index)
            && !optional
            && !self.traced
            && let Some(Op::Path(_)) = self.single(operand, self.here() - 1)
        {
            self.drop_constants(1);
            return self.select(id, operand, field, SelectKind::Field);
        }
        if let Some(values) = self.constants(&[operand, index]) {
            let [of, by] = values else { return };
            let folded = match optional {
                true => operators::index_optional(of.clone(), by),
                false => operators::index(of.clone(), by),
            };
            if let Ok(value) = folded {
                return self.replace(id, 2, value);
            }
        }
        self.emit(id, if optional { Op::IndexOptional } else { Op::Index });
    }

    fn unary(&mut self, id: NodeId, op: UnaryOp, operand: NodeId) {
        if let Some([value]) = self.constants(&[operand]) {
            match (op, value) {
                (UnaryOp::Not, Value::Bool(value)) => {
                    let value = Value::Bool(!value);
                    return self.replace(id, 1, value);
                }
                (UnaryOp::Negate, value) => {
                    if let Ok(value) = operators::negate(value) {
                        return self.replace(id, 1, value);
                    }
                }
                (UnaryOp::Not, _) => {}
            }
        }
        self.emit(id, if op == UnaryOp::Not { Op::Not } else { Op::Negate });
    }

    fn binary(&mut self, id: NodeId, op: BinaryOp, left: NodeId, right: NodeId) {
        self.shrink(1);
        if let Some([a, b]) = self.constants(&[left, right]) {
            let mut context = Context::new(Budget::default().with_cost(FOLDING));
            if let Ok(value) = operators::binary(&mut context, op, a, b) {
                return self.replace(id, 2, value);
            }
        }
        if self.traced {
            self.emit(id, Op::Binary(op));
            return;
        }
        let here = self.here();
        let by = self.single(right, here);
        if op == BinaryOp::In
            && let Some(set) = by.and_then(|by| self.set(by))
        {
            self.drop_last(1);
            match self.single(left, here - 1) {
                Some(Op::Path(path)) => {
                    self.drop_last(1);
                    self.emit(id, Op::PathInSet { path, set });
                }
                _ => {
                    self.emit(id, Op::InSet(set));
                }
            }
            return;
        }
        if op.is_comparison() {
            if let Some(Op::Constant(constant)) = by {
                self.drop_last(1);
                match self.single(left, here - 1) {
                    Some(Op::Path(path)) => {
                        self.drop_last(1);
                        self.emit(id, Op::ComparePath { op, path, constant });
                    }
                    _ => {
                        self.emit(id, Op::Compare { op, constant });
                    }
                }
                return;
            }
            if let (Some(Op::Path(path)), Some(Op::Constant(constant))) = (by, self.single(left, here - 1)) {
                self.drop_last(2);
                self.emit(id, Op::ComparePath { op: turned(op), path, constant });
                return;
            }
        }
        self.emit(id, Op::Binary(op));
    }

    fn addition(&mut self, id: NodeId, terms: Children) {
        self.shrink(terms.len.saturating_sub(1));
        if let Some(values) = self.constants(self.program.checked.ast.list(terms)) {
            let mut context = Context::new(Budget::default().with_cost(FOLDING));
            if let Ok(value) = operators::add(&mut context, values) {
                return self.replace(id, terms.len as usize, value);
            }
        }
        self.emit(id, Op::Add(terms.len));
    }

    fn call(&mut self, id: NodeId, function: Name, arguments: Children, skip: u32) {
        if self.otherwise(id).is_some() {
            return;
        }
        let arity = arguments.len - skip;
        let Role::Function { function: at, namespaced } = self.program.checked.role(id) else {
            return self.no_function(id, function, arity);
        };
        let Some(declared) = self.declarations.functions.get(at as usize) else {
            return self.no_function(id, function, arity);
        };
        let receiver = !namespaced;
        let most = matches!(declared.name.as_str(), "math.greatest" | "math.least");
        let fits = most && arity > 0
            || declared
                .overloads
                .iter()
                .any(|each| each.receiver == receiver && each.parameters.len() == arity as usize);
        if !fits {
            return self.no_function(id, function, arity);
        }
        self.shrink(arity);
        self.grow(1);
        let hosts: Vec<_> = declared.overloads.iter().filter_map(|each| each.host.clone()).collect();
        let native = declared.native;
        if let Some((native, name)) = native
            && hosts.is_empty()
        {
            let operands = self.program.checked.ast.list(arguments).get(skip as usize..).unwrap_or_default();
            if let Some(values) = self.constants(operands) {
                let mut context =
                    Context::new(Budget::default().with_cost(FOLDING).with_memory(FOLDING * 16));
                if let Ok(value) = native(&mut context, values).and_then(|value| context.shallow(value)) {
                    return self.replace(id, arity as usize, value);
                }
            }
            let pattern = operands.get(1).copied();
            let function = pattern.and_then(|pattern| self.with_known_pattern(name, pattern));
            let function = count(function.unwrap_or_else(|| self.native(native, name)));
            self.emit(id, Op::Call { function, arguments: arity });
            return;
        }
        if let Some((native, name)) = native {
            self.native(native, name);
        }
        self.program.hosts.push((declared.name.clone(), hosts));
        let function = count(self.program.hosts.len()) - 1;
        self.emit(id, Op::CallHost { function, arguments: arity });
    }

    /// The place of a function for a call whose pattern is a constant. There are not many of them, because their patterns are
    /// not paid for at each call.
    fn with_known_pattern(&mut self, name: &'static str, pattern: NodeId) -> Option<usize> {
        let Node::Text(pattern) = self.program.checked.ast.node(pattern) else { return None };
        if self.patterns >= KNOWN_PATTERNS {
            return None;
        }
        let (native, effort) = stdlib::with_known_pattern(name, self.program.checked.ast.name(pattern))?;
        self.patterns += 1;
        self.program.natives.push(Library { native, name, price: price(name), effort: Some(effort) });
        Some(self.program.natives.len() - 1)
    }

    /// The place of a function of the library.
    fn native(&mut self, native: Native, name: &'static str) -> usize {
        let natives = &mut self.program.natives;
        natives.iter().position(|each| each.name == name && each.effort.is_none()).unwrap_or_else(|| {
            natives.push(Library { native, name, price: price(name), effort: None });
            natives.len() - 1
        })
    }

    fn no_function(&mut self, id: NodeId, function: Name, arity: u32) {
        self.shrink(arity);
        self.grow(1);
        let key = self.key(function);
        self.emit(id, Op::NoFunction(key));
    }

    /// The marks of the elements that may be left out, if there are any.
    fn marks(&mut self, operands: Children) -> Option<u32> {
        let ast = &self.program.checked.ast;
        let is_marked = |id: &NodeId| matches!(ast.node(*id), Node::OptionalElement(_));
        let operands = ast.list(operands);
        if !operands.iter().any(is_marked) {
            return None;
        }
        let marks: Vec<bool> = operands.iter().map(is_marked).collect();
        self.program.marks.push(marks);
        Some(count(self.program.marks.len()) - 1)
    }

    fn list(&mut self, id: NodeId, elements: Children) {
        self.shrink(elements.len);
        self.grow(1);
        let marks = self.marks(elements);
        if marks.is_none()
            && let Some(values) = self.constants(self.program.checked.ast.list(elements))
        {
            if self.is_searched(id) {
                return self.searched(id, elements.len as usize);
            }
            let list = Value::List(List::new(values.to_vec()));
            if list.depth() < crate::value::MAX_DEPTH {
                return self.replace(id, elements.len as usize, list);
            }
        }
        let op = match marks {
            Some(marks) => Op::ListOptional { length: elements.len, marks },
            None => Op::List(elements.len),
        };
        self.emit(id, op);
    }

    fn map(&mut self, id: NodeId, entries: Children) {
        self.shrink(entries.len);
        self.grow(1);
        let marks = self.marks(entries);
        if marks.is_none()
            && let Some(values) = self.constants(self.program.checked.ast.list(entries))
        {
            let mut values = values.iter().cloned();
            let mut pairs = Vec::with_capacity(entries.len as usize / 2);
            while let (Some(key), Some(value)) = (values.next(), values.next()) {
                pairs.push((key, value));
            }
            if let Ok(map) = operators::build_map(pairs)
                && map.depth() < crate::value::MAX_DEPTH
            {
                return self.replace(id, entries.len as usize, map);
            }
        }
        let op = match marks {
            Some(marks) => Op::MapOptional { length: entries.len, marks },
            None => Op::Map(entries.len),
        };
        self.emit(id, op);
    }

    // -- Between the children of a node --

    /// Whether a call is `or` (without taking the value out) or `orValue` (with it): their argument is evaluated only if
    /// the receiver has no value.
    fn otherwise(&self, id: NodeId) -> Option<bool> {
        let Node::Method { function, arguments } = self.program.checked.ast.node(id) else { return None };
        let is_call = matches!(self.program.checked.role(id), Role::Function { namespaced: false, .. });
        match self.program.checked.ast.name(function) {
            "or" if is_call && arguments.len == 2 => Some(false),
            "orValue" if is_call && arguments.len == 2 => Some(true),
            _ => None,
        }
    }

    /// What stands between a child and the next one.
    fn after(&mut self, id: NodeId) {
        let parent = self.program.checked.parent(id);
        if parent == id {
            return;
        }
        match self.program.checked.ast.node(parent) {
            Node::Chain { op: op @ (ChainOp::And | ChainOp::Or), terms } => self.term(id, parent, op, terms),
            Node::Conditional { condition, then, .. } => {
                if id == condition {
                    self.shrink(1);
                    let at = self.emit(parent, Op::Branch(0));
                    self.notes.push((parent.0, count(at)));
                } else if id == then {
                    let jump = self.emit(parent, Op::Jump(0));
                    let here = self.here();
                    if let Some((_, branch)) = self.notes.pop_if(|(node, _)| *node == parent.0) {
                        self.patch(branch as usize, Op::Branch(here));
                    }
                    self.jumps.push((parent.0, jump));
                    // The value of the other branch takes the same place.
                    self.shrink(1);
                }
            }
            Node::Bind { value, .. } if id == value => {
                let slot = self.program.checked.slot(parent);
                self.store(id, slot);
            }
            Node::Block(list) => {
                let place = self.program.checked.ast.list(list).binary_search(&id);
                if let Ok(place) = place
                    && place + 1 < list.len as usize
                {
                    let slot = self.program.checked.slot(parent) + count(place);
                    self.store(id, slot);
                }
            }
            Node::Method { arguments, .. }
                if self.program.checked.ast.list(arguments).first() == Some(&id)
                    && let Some(unwrap) = self.otherwise(parent) =>
            {
                let at = self.emit(parent, Op::Otherwise { unwrap, end: 0 });
                self.jumps.push((parent.0, at));
                self.shrink(1);
            }
            Node::OptionalMap { target, .. } if id == target => {
                let slot = self.program.checked.slot(parent);
                let at = self.emit(parent, Op::OpenOptional { slot, end: 0 });
                self.jumps.push((parent.0, at));
                self.shrink(1);
            }
            Node::Comprehension { kind, second, range, arguments, .. } => {
                let list = self.program.checked.ast.comprehension(range, arguments);
                let place = list.iter().position(|each| *each == id);
                self.loop_part(parent, kind, second.is_some(), place, arguments);
            }
            _ => {}
        }
    }

    /// Keeps a value, or the error that it met, for those who use it.
    fn store(&mut self, value: NodeId, slot: u32) {
        let start = self.start_of(value);
        self.emit(value, Op::Store(slot));
        self.shrink(1);
        let end = self.here();
        self.handler(start, end, end, self.height, Keep::Local(slot));
    }

    fn handler(&mut self, start: u32, end: u32, resume: u32, height: u32, keep: Keep) {
        self.program.handlers.push(Handler { start, end, resume, height, keep, outer: u32::MAX });
    }

    fn term(&mut self, id: NodeId, parent: NodeId, op: ChainOp, terms: Children) {
        let start = self.start_of(id);
        let is_first = self.program.checked.ast.list(terms).first() == Some(&id);
        if is_first {
            let chain = self.program.chains;
            self.program.chains += 1;
            self.notes.push((parent.0, chain));
        }
        let chain = self.notes.last().map_or(0, |(_, chain)| *chain);
        self.shrink(1);
        let end = self.here();
        // A comparison of a path cannot be entered from elsewhere, so the error handler needs only the term itself.
        let at = match op {
            ChainOp::And => self.emit(parent, Op::And { chain, end: 0 }),
            _ => self.emit(parent, Op::Or { chain, end: 0 }),
        };
        self.jumps.push((parent.0, at));
        let resume = self.here();
        let height = self.height;
        self.handler(start, end, resume, height, Keep::Chain(chain));
    }

    fn end_chain(&mut self, id: NodeId, op: ChainOp, _terms: Children) {
        let chain = self.notes.pop_if(|(node, _)| *node == id.0).map_or(0, |(_, chain)| chain);
        self.emit(id, Op::Undecided { chain, value: op == ChainOp::And });
        self.grow(1);
    }

    fn loop_part(
        &mut self,
        parent: NodeId,
        kind: Comprehension,
        two: bool,
        place: Option<usize>,
        arguments: u8,
    ) {
        match place {
            Some(0) => {
                let at = count(self.program.loops.len());
                let chain = self.program.chains;
                self.program.chains += 1;
                let slot = self.program.checked.slot(parent);
                self.program.loops.push(Loop { kind, slot, two, next: 0, end: 0, chain });
                self.notes.push((parent.0, at));
                self.emit(parent, Op::LoopStart(at));
                self.shrink(1);
                let next = self.here();
                self.emit(parent, Op::LoopNext(at));
                if let Some(info) = self.program.loops.get_mut(at as usize) {
                    info.next = next;
                }
            }
            // The condition of a macro with a condition and an expression.
            Some(1) if arguments == 2 => {
                let at = self.notes.last().map_or(0, |(_, at)| *at);
                self.shrink(1);
                self.emit(parent, Op::LoopFilter(at));
            }
            _ => {}
        }
    }

    fn end_loop(&mut self, id: NodeId) {
        let at = self.notes.pop_if(|(node, _)| *node == id.0).map_or(0, |(_, at)| at);
        self.shrink(1);
        let end = self.here() + 1;
        self.emit(id, Op::LoopStep(at));
        self.emit(id, Op::LoopEnd(at));
        let height = self.height;
        let Some(info) = self.program.loops.get_mut(at as usize) else { return };
        info.end = end;
        let info = *info;
        if crate::machine::absorbs(info.kind) {
            // An error of an element is kept until an element decides or the elements end.
            self.handler(info.next + 1, end - 1, info.next, height, Keep::Chain(info.chain));
        }
        self.grow(1);
    }

    fn finish(mut self) -> Program {
        let program = &mut self.program;
        // Outer handlers come first where several begin at one place. Those of one chain come in this order.
        let order = |a: &Handler, b: &Handler| a.start.cmp(&b.start).then(b.end.cmp(&a.end));
        if !program.handlers.is_sorted_by(|a, b| order(a, b).is_le()) {
            program.handlers.sort_by(order);
        }
        let mut open: Vec<u32> = Vec::with_capacity(program.handlers.len().min(8));
        for at in 0..program.handlers.len() {
            let Some(handler) = program.handlers.get(at).copied() else { break };
            while let Some(last) = open.last().copied()
                && program.handlers.get(last as usize).is_some_and(|outer| outer.end <= handler.start)
            {
                open.pop();
            }
            let outer = open.last().copied().unwrap_or(u32::MAX);
            if let Some(handler) = program.handlers.get_mut(at) {
                handler.outer = outer;
            }
            open.push(count(at));
        }
        share_paths(program);
        self.program
    }
}

/// The comparison with its sides exchanged.
fn turned(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::LessEqual => BinaryOp::GreaterEqual,
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::GreaterEqual => BinaryOp::LessEqual,
        other => other,
    }
}
