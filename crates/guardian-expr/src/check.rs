//! The checker: what every name means, and of which type every node is.
//!
//! One loop over the nodes, children first. Where a macro binds a variable, its scope opens before the first node of the
//! macro's body and closes at the macro's own node.

mod calls;
mod operators;

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

/// An expression, and all that is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) ast: Ast,
    pub(crate) roles: Vec<Role>,
    pub(crate) coercions: Vec<Coercion>,
    pub(crate) parents: Vec<u32>,
    pub(crate) firsts: Vec<u32>,
    /// For each macro the place of its first variable.
    pub(crate) slots: Vec<(u32, u32)>,
    pub(crate) locals: u32,
    pub(crate) variables: Vec<String>,
    pub(crate) type_names: Vec<String>,
    pub(crate) result: Type,
}

impl Checked {
    pub(crate) fn role(&self, id: NodeId) -> Role {
        self.roles.get(id.at()).copied().unwrap_or(Role::Normal)
    }

    pub(crate) fn coercion(&self, id: NodeId) -> Coercion {
        self.coercions.get(id.at()).copied().unwrap_or(Coercion::None)
    }

    /// The place of the first variable of a macro.
    pub(crate) fn slot(&self, id: NodeId) -> u32 {
        let found = self.slots.binary_search_by_key(&id.0, |(node, _)| *node);
        found.ok().and_then(|at| self.slots.get(at)).map_or(0, |(_, slot)| *slot)
    }
}

/// After so many faults the rest is left out.
const MAX_FAULTS: usize = 20;

struct Local {
    name: Name,
    r#type: TypeId,
    slot: u32,
    /// Values of `cel.block` have no name.
    index: Option<u32>,
}

struct Checker<'e> {
    declarations: &'e Declarations,
    types: Types<'e>,
    ast: Ast,
    node_types: Vec<TypeId>,
    roles: Vec<Role>,
    parents: Vec<u32>,
    firsts: Vec<u32>,
    opens: Vec<u32>,
    slots: Vec<(u32, u32)>,
    scope: Vec<Local>,
    locals: u32,
    variables: Vec<String>,
    /// Their types, for those that are declared.
    variable_types: Vec<Option<TypeId>>,
    type_names: Vec<String>,
    faults: Vec<Fault>,
    lenient: bool,
    buffer: String,
    /// Types of nodes that stand for a name with dots and come later.
    ahead: Vec<(NodeId, TypeId)>,
}

pub(crate) fn check(declarations: &Declarations, ast: Ast, lenient: bool) -> Result<Checked, Error> {
    let size = ast.nodes.len();
    let (parents, firsts) = ast.links();
    let mut checker = Checker {
        declarations,
        types: Types::new(&declarations.types),
        node_types: Vec::with_capacity(size),
        roles: vec![Role::Normal; size],
        parents,
        firsts,
        opens: Vec::new(),
        slots: Vec::new(),
        scope: Vec::new(),
        locals: 0,
        variables: Vec::new(),
        variable_types: Vec::new(),
        type_names: Vec::new(),
        faults: Vec::new(),
        lenient,
        buffer: String::new(),
        ahead: Vec::new(),
        ast,
    };
    checker.find_scopes();
    for at in 0..count(size) {
        let opener = checker.opens.get(at as usize).copied().unwrap_or(0);
        if opener > 0 {
            checker.open_scope(NodeId(opener - 1));
        }
        let found = checker.node(NodeId(at));
        checker.node_types.push(found);
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
            return Err(Error::new(&self.ast.source, self.faults));
        }
        let result = self.type_of(self.ast.root());
        let result = self.types.show(result);
        let coercions = if self.lenient { Vec::new() } else { self.coercions() };
        self.slots.sort_unstable();
        Ok(Checked {
            ast: self.ast,
            roles: self.roles,
            coercions,
            parents: self.parents,
            firsts: self.firsts,
            slots: self.slots,
            locals: self.locals,
            variables: self.variables,
            type_names: self.type_names,
            result,
        })
    }

    fn find_scopes(&mut self) {
        for at in 0..count(self.ast.nodes.len()) {
            let body = match self.ast.node(NodeId(at)) {
                Node::Comprehension { range, arguments, .. } => {
                    self.ast.comprehension(range, arguments).get(1).copied()
                }
                Node::Bind { body, .. } | Node::OptionalMap { body, .. } => Some(body),
                Node::Block(list) => self.ast.list(list).first().copied(),
                _ => continue,
            };
            if self.opens.is_empty() {
                self.opens = vec![0; self.ast.nodes.len()];
            }
            let first = body.and_then(|body| self.firsts.get(body.at()).copied());
            if let Some(place) = first.and_then(|first| self.opens.get_mut(first as usize)) {
                *place = at + 1;
            }
        }
    }

    fn declare(&mut self, name: Name, r#type: TypeId, index: Option<u32>) {
        let slot = count(self.scope.len());
        self.scope.push(Local { name, r#type, slot, index });
        self.locals = self.locals.max(slot + 1);
    }

    fn open_scope(&mut self, opener: NodeId) {
        self.slots.push((opener.0, count(self.scope.len())));
        match self.ast.node(opener) {
            Node::Comprehension { kind, first, second, range, arguments } => {
                let range = self.ast.comprehension(range, arguments).first().copied().unwrap_or(NodeId(0));
                let (one, two) = self.elements(kind, range, second.is_some());
                self.declare(first, one, None);
                if let Some(second) = second {
                    self.declare(second.get(), two, None);
                }
            }
            Node::Bind { name, value, .. } => {
                let found = self.type_of(value);
                self.declare(name, found, None);
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
                self.declare(name, inner, None);
            }
            Node::Block(list) => {
                for index in 0..list.len.saturating_sub(1) {
                    // Each value may refer to those before it; its type is set when it is known.
                    self.declare(Name(u32::MAX), DYN, Some(index));
                }
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
        self.node_types.get(id.at()).copied().unwrap_or(DYN)
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
        if !self.types.assign(found, BOOL) {
            let shown = self.show(found);
            self.fault(id, format!("{what} is a `bool`, not a `{shown}`"));
        }
    }

    /// What must happen after a node beside giving it a type: values of a block become known.
    fn after(&mut self, id: NodeId) {
        let parent = self.parents.get(id.at()).copied().unwrap_or(id.0);
        if parent == id.0 {
            return;
        }
        if let Node::Block(list) = self.ast.node(NodeId(parent)) {
            let place = self.ast.list(list).iter().position(|each| *each == id);
            let found = self.type_of(id);
            let base = self.slots.last().map_or(0, |(_, slot)| *slot);
            if let Some(place) = place
                && let Some(local) = self.scope.get_mut(base as usize + place)
            {
                local.r#type = found;
            }
        }
    }

    fn node(&mut self, id: NodeId) -> TypeId {
        if self.roles.get(id.at()) == Some(&Role::Skip) {
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
            Node::Select { operand, field, kind } => match self.roles.get(id.at()) {
                Some(Role::Global(_) | Role::TypeName(_)) => {
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
                self.close_scope(1 + usize::from(second.is_some()));
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
                self.close_scope(list.len.saturating_sub(1) as usize);
                self.ast.list(list).last().map_or(DYN, |body| self.type_of(*body))
            }
            Node::BlockIndex(index) => self.block_index(id, index),
        }
    }

    fn close_scope(&mut self, variables: usize) {
        let left = self.scope.len().saturating_sub(variables);
        self.scope.truncate(left);
    }

    fn block_index(&mut self, id: NodeId, index: u32) -> TypeId {
        match self.scope.iter().find(|local| local.index == Some(index)) {
            Some(local) => {
                let (slot, found) = (local.slot, local.r#type);
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
        if let Some(place) = self.roles.get_mut(id.at()) {
            *place = role;
        }
    }

    // -- Names --

    fn identifier(&mut self, id: NodeId, name: Name, absolute: bool) -> TypeId {
        if !absolute {
            let text = self.ast.name(name);
            let local = self
                .scope
                .iter()
                .rev()
                .find(|local| local.index.is_none() && self.ast.name(local.name) == text);
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
        if let Some((key, declaration)) = declarations.variables.get_key_value(text) {
            return self.use_declaration(id, key, declaration);
        }
        if !self.declarations.open && !self.lenient {
            let known = self.declarations.variables.iter().filter(|(_, each)| !each.is_type);
            let locals = self.scope.iter().map(|local| self.ast.name(local.name));
            let near = nearest(text, known.map(|(name, _)| name.as_str()).chain(locals));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            let message = format!("unknown variable `{text}`");
            self.hinted(self.ast.span(id), message, hint);
        }
        let text = self.ast.name(name).to_owned();
        self.use_variable(id, &text, None);
        UNKNOWN
    }

    /// A declared variable that the expression has used already: its number and its type. Only a few are looked at.
    fn again(&self, name: &str) -> Option<(u32, TypeId)> {
        let at = self.variables.iter().take(8).position(|each| each == name)?;
        Some((count(at), self.variable_types.get(at).copied().flatten()?))
    }

    fn use_variable(&mut self, id: NodeId, name: &str, declared: Option<TypeId>) {
        let at = self.variables.iter().position(|each| each == name).unwrap_or_else(|| {
            self.variables.push(name.to_owned());
            self.variable_types.push(declared);
            self.variables.len() - 1
        });
        self.set_role(id, Role::Global(count(at)));
    }

    fn use_declaration(&mut self, id: NodeId, name: &str, declaration: &crate::env::Declaration) -> TypeId {
        if declaration.is_type {
            self.type_names.push(name.to_owned());
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
        let parent = NodeId(self.parents.get(id.at()).copied().unwrap_or(id.0));
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
            let parent = NodeId(self.parents.get(last.at()).copied().unwrap_or(last.0));
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
                let name = buffer.clone();
                let r#type = self.use_declaration(top, &name, declaration);
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
