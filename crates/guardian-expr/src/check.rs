//! The checker: what every name means, and of which type every node is.
//!
//! One loop over the nodes, children first. Where a macro binds a variable, its scope opens before the first node of the
//! macro's body and closes at the macro's own node.

mod calls;
mod operators;

use std::collections::HashMap;

use crate::ast::{Ast, Comprehension, Name, Node, NodeId, SelectKind, Span, count};
use crate::env::{Declarations, UNKNOWN};
use crate::error::{Error, Fault};
use crate::suggest::nearest;
use crate::type_table::{BOOL, BYTES, DOUBLE, DYN, INT, NULL, STRING, Ty, TypeId, Types, UINT};
use crate::types::Type;

/// What a node means beside what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Normal,
    /// Part of a name that a node above it stands for.
    Skip,
    /// The variable of this number.
    Global(u32),
    /// The place of a variable of a macro.
    Local(u32),
    /// The name of a type.
    TypeName(u32),
    /// A call of the function of this number; with `namespaced` the receiver is part of its name.
    Function {
        function: u32,
        namespaced: bool,
    },
    /// A call of a function that is not known.
    Unknown,
}

/// A conversion that a declared type asks for, because JSON does not tell 1 from 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coercion {
    None,
    ToInt,
    ToDouble,
}

/// What is known of a node; 24 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Info {
    pub(crate) role: Role,
    pub(crate) coercion: Coercion,
    r#type: TypeId,
    /// The node that it is a child of; itself for the root and for what macros consumed.
    pub(crate) parent: u32,
    /// The first node of its subtree.
    pub(crate) first: u32,
}

/// What is known of each node at first, and where scopes open: the first node of a macro's body, and the macro.
fn begin(ast: &Ast) -> (Vec<Info>, Vec<(u32, u32)>) {
    let mut infos: Vec<Info> = Vec::with_capacity(ast.nodes.len());
    let mut opens = Vec::new();
    for id in 0..count(ast.nodes.len()) {
        let mut first = id;
        ast.each_child(NodeId(id), |child| {
            if let Some(child) = infos.get_mut(child.at()) {
                child.parent = id;
                first = first.min(child.first);
            }
        });
        if let Some(body) = ast.body(NodeId(id)) {
            opens.push((infos.get(body.at()).map_or(id, |info| info.first), id));
        }
        infos.push(Info { role: Role::Normal, coercion: Coercion::None, r#type: DYN, parent: id, first });
    }
    // Where several scopes open at one node, the outer one does so first.
    opens.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    (infos, opens)
}

/// A variable that an expression uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variable {
    /// Where in the text of the tree its name stands.
    name: Span,
    /// Its type, if it is declared.
    declared: Option<TypeId>,
}

/// An expression, and all that is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) ast: Ast,
    pub(crate) infos: Vec<Info>,
    /// For each macro the place of its first variable.
    pub(crate) slots: Vec<(u32, u32)>,
    pub(crate) locals: u32,
    pub(crate) variables: Vec<Variable>,
    pub(crate) type_names: Vec<String>,
    pub(crate) result: Type,
}

impl Checked {
    pub(crate) fn role(&self, id: NodeId) -> Role {
        self.infos.get(id.at()).map_or(Role::Normal, |info| info.role)
    }

    pub(crate) fn coercion(&self, id: NodeId) -> Coercion {
        self.infos.get(id.at()).map_or(Coercion::None, |info| info.coercion)
    }

    pub(crate) fn parent(&self, id: NodeId) -> NodeId {
        NodeId(self.infos.get(id.at()).map_or(id.0, |info| info.parent))
    }

    /// The first node of a subtree.
    pub(crate) fn first(&self, id: NodeId) -> NodeId {
        NodeId(self.infos.get(id.at()).map_or(id.0, |info| info.first))
    }

    /// The name of the variable of this number.
    pub(crate) fn variable(&self, at: u32) -> &str {
        self.variables.get(at as usize).map_or("", |variable| self.ast.part(variable.name))
    }

    pub(crate) fn variable_names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|variable| self.ast.part(variable.name))
    }

    /// The place of the first variable of a macro.
    pub(crate) fn slot(&self, id: NodeId) -> u32 {
        let found = self.slots.binary_search_by_key(&id.0, |(node, _)| *node);
        found.ok().and_then(|at| self.slots.get(at)).map_or(0, |(_, slot)| *slot)
    }
}

/// After so many faults the rest is left out.
const MAX_FAULTS: usize = 20;

/// Up to so many variables are looked for one by one.
const FEW: usize = 16;

/// The variable of a macro.
struct Local {
    name: Name,
    r#type: TypeId,
    slot: u32,
}

/// The values of a `cel.block`, which have no names.
struct Block {
    slot: u32,
    types: Vec<TypeId>,
}

struct Checker<'e> {
    declarations: &'e Declarations,
    types: Types<'e>,
    ast: Ast,
    infos: Vec<Info>,
    slots: Vec<(u32, u32)>,
    scope: Vec<Local>,
    blocks: Vec<Block>,
    /// The places that the open scopes take, and the most that were taken at once.
    taken: u32,
    locals: u32,
    variables: Vec<Variable>,
    /// Their numbers, once there are more than a few.
    numbers: HashMap<String, usize>,
    type_names: Vec<String>,
    faults: Vec<Fault>,
    lenient: bool,
    buffer: String,
    /// Types of nodes that stand for a name with dots and come later.
    ahead: Vec<(NodeId, TypeId)>,
}

pub(crate) fn check(declarations: &Declarations, ast: Ast, lenient: bool) -> Result<Checked, Error> {
    let size = ast.nodes.len();
    let (infos, opens) = begin(&ast);
    let mut opens = opens.into_iter().peekable();
    let mut checker = Checker {
        declarations,
        types: Types::new(&declarations.types),
        infos,
        slots: Vec::new(),
        scope: Vec::new(),
        blocks: Vec::new(),
        taken: 0,
        locals: 0,
        variables: Vec::new(),
        numbers: HashMap::new(),
        type_names: Vec::new(),
        faults: Vec::new(),
        lenient,
        buffer: String::new(),
        ahead: Vec::new(),
        ast,
    };
    for at in 0..count(size) {
        while let Some((_, opener)) = opens.next_if(|(first, _)| *first == at) {
            checker.open_scope(NodeId(opener));
        }
        let found = checker.node(NodeId(at));
        if let Some(info) = checker.infos.get_mut(at as usize) {
            info.r#type = found;
        }
        checker.after(NodeId(at));
        if checker.faults.len() >= MAX_FAULTS {
            break;
        }
    }
    checker.finish()
}

impl<'e> Checker<'e> {
    fn finish(mut self) -> Result<Checked, Error> {
        if !self.faults.is_empty() {
            self.faults.sort_by_key(|fault| fault.span.start);
            return Err(Error::new(self.ast.source(), self.faults));
        }
        let result = self.type_of(self.ast.root());
        let result = self.types.show(result);
        if !self.lenient {
            self.coerce();
        }
        self.slots.sort_unstable();
        Ok(Checked {
            ast: self.ast,
            infos: self.infos,
            slots: self.slots,
            locals: self.locals,
            variables: self.variables,
            type_names: self.type_names,
            result,
        })
    }

    /// Takes so many places, and says which is the first.
    fn take(&mut self, places: u32) -> u32 {
        let slot = self.taken;
        self.taken += places;
        self.locals = self.locals.max(self.taken);
        slot
    }

    fn declare(&mut self, name: Name, r#type: TypeId) {
        let slot = self.take(1);
        self.scope.push(Local { name, r#type, slot });
    }

    fn open_scope(&mut self, opener: NodeId) {
        self.slots.push((opener.0, self.taken));
        match self.ast.node(opener) {
            Node::Comprehension { kind, first, second, range, arguments } => {
                let range = self.ast.comprehension(range, arguments).first().copied().unwrap_or(NodeId(0));
                let (one, two) = self.elements(kind, range, second.is_some());
                self.declare(first, one);
                if let Some(second) = second {
                    self.declare(second.get(), two);
                }
            }
            Node::Bind { name, value, .. } => {
                let found = self.type_of(value);
                self.declare(name, found);
            }
            Node::OptionalMap { name, target, .. } => {
                let inner = match self.types.get(self.type_of(target)) {
                    Ty::Optional(inner) => inner,
                    Ty::Dyn | Ty::Var(_) => DYN,
                    _ => {
                        let shown = self.show(self.type_of(target));
                        self.fault(target, format!("a value of type `{shown}` is not optional"));
                        DYN
                    }
                };
                self.declare(name, inner);
            }
            Node::Block(list) => {
                let values = list.len.saturating_sub(1);
                let slot = self.take(values);
                // Each value may refer to those before it; its type is set when it is known.
                self.blocks.push(Block { slot, types: vec![DYN; values as usize] });
            }
            _ => {}
        }
    }

    /// The types of the variables of a comprehension over a range.
    fn elements(&mut self, kind: Comprehension, range: NodeId, two: bool) -> (TypeId, TypeId) {
        let mut ty = self.types.get(self.type_of(range));
        if let Ty::Nullable(inner) = ty {
            ty = self.types.get(inner);
        }
        match ty {
            Ty::List(element) if two => (INT, element),
            Ty::List(element) => (element, DYN),
            Ty::Map(key, value) if kind != Comprehension::SortBy => (key, value),
            Ty::Object(_) if kind != Comprehension::SortBy => (STRING, DYN),
            Ty::Dyn | Ty::Var(_) => (DYN, DYN),
            _ => {
                let shown = self.show(self.type_of(range));
                self.fault(range, format!("`{}` cannot go through a value of type `{shown}`", kind.name()));
                (DYN, DYN)
            }
        }
    }

    fn type_of(&self, id: NodeId) -> TypeId {
        self.infos.get(id.at()).map_or(DYN, |info| info.r#type)
    }

    fn role(&self, id: NodeId) -> Role {
        self.infos.get(id.at()).map_or(Role::Normal, |info| info.role)
    }

    fn parent(&self, id: NodeId) -> NodeId {
        NodeId(self.infos.get(id.at()).map_or(id.0, |info| info.parent))
    }

    fn show(&self, id: TypeId) -> Type {
        self.types.show(id)
    }

    fn fault(&mut self, id: NodeId, message: impl Into<String>) {
        if !self.lenient {
            self.faults.push(Fault::new(self.ast.span(id), message));
        }
    }

    fn hinted(&mut self, span: Span, message: String, hint: Option<String>) {
        if !self.lenient {
            let mut fault = Fault::new(span, message);
            fault.hint = hint;
            self.faults.push(fault);
        }
    }

    /// Reports a condition that is no truth value.
    fn expect_bool(&mut self, id: NodeId, what: &str) {
        let found = self.type_of(id);
        if found != BOOL && !self.types.assign(found, BOOL) {
            let shown = self.show(found);
            self.fault(id, format!("{what} is a `bool`, not a `{shown}`"));
        }
    }

    /// What must happen after a node beside giving it a type: values of a block become known.
    fn after(&mut self, id: NodeId) {
        let parent = self.parent(id);
        if parent == id {
            return;
        }
        if let Node::Block(list) = self.ast.node(parent) {
            let place = self.ast.list(list).binary_search(&id);
            let found = self.type_of(id);
            let types = self.blocks.last_mut().map(|block| &mut block.types);
            if let (Ok(place), Some(types)) = (place, types)
                && let Some(known) = types.get_mut(place)
            {
                *known = found;
            }
        }
    }

    fn node(&mut self, id: NodeId) -> TypeId {
        if self.role(id) == Role::Skip {
            return DYN;
        }
        match self.ast.node(id) {
            Node::Dead => DYN,
            Node::Null => NULL,
            Node::Bool(_) => BOOL,
            Node::Int(_) => INT,
            Node::Uint(_) => UINT,
            Node::Double(_) => DOUBLE,
            Node::Text(_) => STRING,
            Node::Bytes(_) => BYTES,
            Node::Ident { name, absolute } => self.identifier(id, name, absolute),
            Node::Select { operand, field, kind } => match self.role(id) {
                Role::Global(_) | Role::TypeName(_) => {
                    self.ahead.pop_if(|(node, _)| *node == id).map_or(DYN, |(_, found)| found)
                }
                _ => self.select(id, operand, field, kind),
            },
            Node::Index { operand, index, optional } => self.index(operand, index, optional),
            Node::Unary { op, operand } => self.unary(id, op, operand),
            Node::Binary { op, left, right } => self.binary(id, op, left, right),
            Node::Chain { op, terms } => self.chain(id, op, terms),
            Node::Conditional { condition, then, otherwise } => {
                self.expect_bool(condition, "a condition");
                let (a, b) = (self.type_of(then), self.type_of(otherwise));
                self.types.join(a, b)
            }
            Node::Call { function, arguments, absolute } => self.call(id, function, arguments, absolute),
            Node::Method { function, arguments } => self.method(id, function, arguments),
            Node::List(elements) => self.list(elements),
            Node::Map(entries) => self.map(entries),
            Node::OptionalElement(operand) => {
                let found = self.type_of(operand);
                match self.types.get(found) {
                    Ty::Optional(inner) => inner,
                    Ty::Dyn | Ty::Var(_) => DYN,
                    _ => {
                        let shown = self.show(found);
                        self.fault(operand, format!("`?` marks an optional value, not a `{shown}`"));
                        DYN
                    }
                }
            }
            Node::Comprehension { kind, second, range, arguments, .. } => {
                let list: Vec<NodeId> = self.ast.comprehension(range, arguments).to_vec();
                let found = self.comprehension(kind, &list);
                self.close_scope(1 + u32::from(second.is_some()));
                found
            }
            Node::Bind { body, .. } => {
                self.close_scope(1);
                self.type_of(body)
            }
            Node::OptionalMap { body, flat, .. } => {
                self.close_scope(1);
                let found = self.type_of(body);
                if !flat {
                    return self.types.add(Ty::Optional(found));
                }
                if !matches!(self.types.get(found), Ty::Optional(_) | Ty::Dyn | Ty::Var(_)) {
                    let shown = self.show(found);
                    self.fault(body, format!("`optFlatMap` makes an optional value, not a `{shown}`"));
                }
                found
            }
            Node::Block(list) => {
                self.blocks.pop();
                self.taken = self.taken.saturating_sub(list.len.saturating_sub(1));
                self.ast.list(list).last().map_or(DYN, |body| self.type_of(*body))
            }
            Node::BlockIndex(index) => self.block_index(id, index),
        }
    }

    fn close_scope(&mut self, variables: u32) {
        let left = self.scope.len().saturating_sub(variables as usize);
        self.scope.truncate(left);
        self.taken = self.taken.saturating_sub(variables);
    }

    fn block_index(&mut self, id: NodeId, index: u32) -> TypeId {
        let value = |block: &Block| Some((block.slot + index, *block.types.get(index as usize)?));
        match self.blocks.iter().find_map(value) {
            Some((slot, found)) => {
                self.set_role(id, Role::Local(slot));
                found
            }
            None => {
                self.faults
                    .push(Fault::new(self.ast.span(id), "no value of this index in a block around it"));
                DYN
            }
        }
    }

    fn set_role(&mut self, id: NodeId, role: Role) {
        if let Some(info) = self.infos.get_mut(id.at()) {
            info.role = role;
        }
    }

    // -- Names --

    fn identifier(&mut self, id: NodeId, name: Name, absolute: bool) -> TypeId {
        if !absolute {
            let text = self.ast.name(name);
            let local = self.scope.iter().rev().find(|local| self.ast.name(local.name) == text);
            if let Some(local) = local {
                let (slot, found) = (local.slot, local.r#type);
                self.set_role(id, Role::Local(slot));
                return found;
            }
        }
        if (self.declarations.most_parts > 1 || !self.declarations.container.is_empty())
            && let Some(found) = self.qualified(id, name, absolute)
        {
            return found;
        }
        let text = self.ast.name(name);
        if let Some((at, found)) = self.again(text) {
            self.set_role(id, Role::Global(at));
            return found;
        }
        let declarations = self.declarations;
        if let Some(declaration) = declarations.variables.get(text) {
            let place = self.ast.place(name);
            return self.use_declaration(id, place, declaration);
        }
        if !self.declarations.open && !self.lenient {
            let known = self.declarations.variables.iter().filter(|(_, each)| !each.is_type);
            let locals = self.scope.iter().map(|local| self.ast.name(local.name));
            let near = nearest(text, known.map(|(name, _)| name.as_str()).chain(locals));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            let message = format!("unknown variable `{text}`");
            self.hinted(self.ast.span(id), message, hint);
        }
        let place = self.ast.place(name);
        self.use_variable(id, place, None);
        UNKNOWN
    }

    /// A declared variable that the expression has used already: its number and its type. Only a few are looked at.
    fn again(&self, name: &str) -> Option<(u32, TypeId)> {
        let mut few = self.variables.iter().take(8);
        let at = few.position(|each| self.ast.part(each.name) == name)?;
        Some((count(at), self.variables.get(at)?.declared?))
    }

    fn use_variable(&mut self, id: NodeId, name: Span, declared: Option<TypeId>) {
        let at = self.number(name).unwrap_or_else(|| {
            self.variables.push(Variable { name, declared });
            let at = self.variables.len() - 1;
            if at >= FEW {
                let unlisted = self.variables.iter().enumerate().skip(self.numbers.len());
                let unlisted = unlisted.map(|(at, each)| (self.ast.part(each.name).to_owned(), at));
                self.numbers.extend(unlisted);
            }
            at
        });
        self.set_role(id, Role::Global(count(at)));
    }

    /// The number of a variable that was used before.
    fn number(&self, name: Span) -> Option<usize> {
        let text = self.ast.part(name);
        if self.variables.len() > FEW {
            return self.numbers.get(text).copied();
        }
        self.variables.iter().position(|each| self.ast.part(each.name) == text)
    }

    fn use_declaration(&mut self, id: NodeId, name: Span, declaration: &crate::env::Declaration) -> TypeId {
        if declaration.is_type {
            self.type_names.push(self.ast.part(name).to_owned());
            self.set_role(id, Role::TypeName(count(self.type_names.len()) - 1));
        } else {
            self.use_variable(id, name, Some(declaration.r#type));
        }
        declaration.r#type
    }

    /// Looks for the longest name with dots that begins here and means a function or a variable.
    fn qualified(&mut self, id: NodeId, name: Name, absolute: bool) -> Option<TypeId> {
        let declarations = self.declarations;
        let first = self.ast.name(name);
        let container = if absolute { "" } else { declarations.container.as_str() };
        let parent = self.parent(id);
        let is_chain = parent != id
            && matches!(
                self.ast.node(parent),
                Node::Select { kind: SelectKind::Field, .. } | Node::Method { .. }
            );
        if container.is_empty() && !(is_chain && declarations.namespaces.contains(first)) {
            return None;
        }
        let mut parts = vec![(id, first.to_owned())];
        let mut call = None;
        let mut last = id;
        while parts.len() < declarations.most_parts {
            let parent = self.parent(last);
            match self.ast.node(parent) {
                Node::Select { operand, field, kind: SelectKind::Field }
                    if operand == last && parent != last =>
                {
                    parts.push((parent, self.ast.name(field).to_owned()));
                    last = parent;
                }
                Node::Method { function, arguments }
                    if parent != last && self.ast.list(arguments).first() == Some(&last) =>
                {
                    call = Some((parent, self.ast.name(function).to_owned()));
                    break;
                }
                _ => break,
            }
        }
        let mut prefixes: Vec<&str> = Vec::new();
        let mut prefix = container;
        while !prefix.is_empty() {
            prefixes.push(prefix);
            prefix = prefix.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
        prefixes.push("");
        let join = |buffer: &mut String, prefix: &str, parts: &[(NodeId, String)]| {
            buffer.clear();
            buffer.push_str(prefix);
            for (_, part) in parts {
                if !buffer.is_empty() {
                    buffer.push('.');
                }
                buffer.push_str(part);
            }
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut found = None;
        if let Some((method, function)) = call
            && (!container.is_empty() || declarations.namespaces.contains(first))
        {
            for prefix in &prefixes {
                join(&mut buffer, prefix, &parts);
                buffer.push('.');
                buffer.push_str(&function);
                if let Some(function) = declarations.function_names.get(&buffer) {
                    for (part, _) in &parts {
                        self.set_role(*part, Role::Skip);
                    }
                    self.set_role(method, Role::Function { function: *function, namespaced: true });
                    found = Some(DYN);
                    break;
                }
            }
        }
        'names: for length in (1..=parts.len()).rev() {
            if found.is_some() || length == 1 && prefixes.len() == 1 {
                break;
            }
            let (used, _) = parts.split_at_checked(length).unwrap_or((&parts, &[]));
            for prefix in &prefixes {
                join(&mut buffer, prefix, used);
                let Some(declaration) = declarations.variables.get(&buffer) else { continue };
                let top = used.last().map_or(id, |(part, _)| *part);
                for (part, _) in used {
                    self.set_role(*part, Role::Skip);
                }
                let name = self.ast.append(&buffer);
                let r#type = self.use_declaration(top, name, declaration);
                if top != id {
                    // The node above takes its type from here when its turn comes.
                    self.ahead.push((top, r#type));
                }
                found = Some(if top == id { r#type } else { DYN });
                break 'names;
            }
        }
        self.buffer = buffer;
        found
    }
}
