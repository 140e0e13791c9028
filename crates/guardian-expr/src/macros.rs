//! The macros: calls that the parser turns into nodes of their own.

use crate::ast::{Ast, Children, Comprehension, Name, Node, NodeId, NonMaxName, SelectKind, Span};
use crate::error::Fault;
use crate::parser::Parser;

impl Parser<'_> {
    pub(crate) fn finish_call(
        &mut self,
        function: Name,
        arguments: Children,
        absolute: bool,
        span: Span,
    ) -> Result<NodeId, Fault> {
        if self.ast.name(function) == "has" && !absolute && arguments.len == 1 {
            let Some(id) = self.ast.list(arguments).first().copied() else {
                return Err(Fault::new(span, "`has` takes a field"));
            };
            let Node::Select { operand, field, kind: SelectKind::Field } = self.ast.node(id) else {
                return Err(Fault::new(self.ast.span(id), "`has` takes a field, such as `has(deal.owner)`"));
            };
            // The node of the field is the last one, so it can become the test itself.
            self.set(id, Node::Select { operand, field, kind: SelectKind::Test });
            if let Some(place) = self.ast.spans.get_mut(id.at()) {
                *place = span;
            }
            return Ok(id);
        }
        Ok(self.add(Node::Call { function, arguments, absolute }, span))
    }

    pub(crate) fn finish_method(
        &mut self,
        function: Name,
        arguments: Children,
        span: Span,
        name_span: Span,
    ) -> Result<NodeId, Fault> {
        let node = match self.expand(function, arguments, name_span)? {
            Some(node) => node,
            None => Node::Method { function, arguments },
        };
        Ok(self.add(node, span))
    }

    fn set(&mut self, id: NodeId, node: Node) {
        if let Some(place) = self.ast.nodes.get_mut(id.at()) {
            *place = node;
        }
    }

    /// What the call on a receiver stands for, if it is a macro.
    fn expand(&mut self, function: Name, arguments: Children, span: Span) -> Result<Option<Node>, Fault> {
        let list: [Option<NodeId>; 5] = {
            let list = self.ast.list(arguments);
            std::array::from_fn(|at| list.get(at).copied())
        };
        let count = arguments.len as usize - 1;
        let name = self.ast.name(function);
        let on_cel = list[0].is_some_and(|id| is_cel(&self.ast, id));
        if on_cel {
            return self.expand_cel(function, arguments, list, span);
        }
        let two = match (name, count) {
            ("all", 2 | 3) => (Comprehension::All, count == 3),
            ("exists", 2 | 3) => (Comprehension::Exists, count == 3),
            ("exists_one" | "existsOne", 2 | 3) => (Comprehension::ExistsOne, count == 3),
            ("map", 2 | 3) => (Comprehension::Map, false),
            ("filter", 2) => (Comprehension::Filter, false),
            ("sortBy", 2) => (Comprehension::SortBy, false),
            ("transformList", 3 | 4) => (Comprehension::TransformList, true),
            ("transformMap", 3 | 4) => (Comprehension::TransformMap, true),
            ("transformMapEntry", 3 | 4) => (Comprehension::TransformMapEntry, true),
            ("optMap" | "optFlatMap", 2) => {
                let flat = name == "optFlatMap";
                let [Some(target), Some(variable), Some(body), ..] = list else { return Ok(None) };
                let name = self.variable(variable)?;
                return Ok(Some(Node::OptionalMap { name, target, body, flat }));
            }
            _ => return Ok(None),
        };
        let (kind, two) = two;
        let [_, Some(first), second, ..] = list else { return Ok(None) };
        let first_name = self.variable(first)?;
        let mut second_name = None;
        if two && let Some(second) = second {
            let name = self.variable(second)?;
            if self.ast.name(name) == self.ast.name(first_name) {
                return Err(Fault::new(self.ast.span(second), "the two variables have the same name"));
            }
            second_name = NonMaxName::new(name);
        }
        // The variables are no children: the range and the expressions move together.
        let start = arguments.start as usize;
        let gap = 1 + usize::from(two);
        self.ast.children.drain(start + 1..start + 1 + gap);
        let arguments_left = u8::try_from(count - gap).unwrap_or(u8::MAX);
        Ok(Some(Node::Comprehension {
            kind,
            first: first_name,
            second: second_name,
            range: arguments.start,
            arguments: arguments_left,
        }))
    }

    /// The name that a macro binds; the node that spelled it is no longer part of the tree.
    fn variable(&mut self, id: NodeId) -> Result<Name, Fault> {
        match self.ast.node(id) {
            Node::Ident { name, absolute: false } => {
                self.set(id, Node::Dead);
                Ok(name)
            }
            _ => Err(Fault::new(self.ast.span(id), "a simple name is expected here")
                .hint("the macro binds a variable of this name, as in `list.all(item, item > 0)`")),
        }
    }

    fn expand_cel(
        &mut self,
        function: Name,
        arguments: Children,
        list: [Option<NodeId>; 5],
        span: Span,
    ) -> Result<Option<Node>, Fault> {
        let count = arguments.len as usize - 1;
        let node = match (self.ast.name(function), count, list) {
            ("bind", 3, [_, Some(variable), Some(value), Some(body), _]) => {
                let name = self.variable(variable)?;
                Node::Bind { name, value, body }
            }
            ("block", 2, [_, Some(values), Some(body), ..]) => {
                let Node::List(elements) = self.ast.node(values) else {
                    return Err(Fault::new(self.ast.span(values), "`cel.block` takes a list of values"));
                };
                self.set(values, Node::Dead);
                let children = self.ast.list(elements).to_vec();
                let start = crate::ast::count(self.ast.children.len());
                self.ast.children.extend(children);
                self.ast.children.push(body);
                let len = elements.len + 1;
                Node::Block(Children { start, len })
            }
            ("index", 1, [_, Some(number), ..]) => {
                let Node::Int(index) = self.ast.node(number) else {
                    return Err(Fault::new(self.ast.span(number), "`cel.index` takes a number"));
                };
                let index = u32::try_from(index)
                    .map_err(|_| Fault::new(self.ast.span(number), "the index is out of range"))?;
                self.set(number, Node::Dead);
                Node::BlockIndex(index)
            }
            (kind @ ("iterVar" | "accuVar"), 2, [_, Some(depth), Some(index), ..]) => {
                let (Node::Int(level), Node::Int(number)) = (self.ast.node(depth), self.ast.node(index))
                else {
                    return Err(Fault::new(span, "the variable of a block takes two numbers"));
                };
                let text = format!("@{kind}:{level}:{number}");
                self.set(depth, Node::Dead);
                self.set(index, Node::Dead);
                let name = self.intern(&text);
                Node::Ident { name, absolute: false }
            }
            _ => return Ok(None),
        };
        if let Some(cel) = list[0] {
            self.set(cel, Node::Dead);
        }
        Ok(Some(node))
    }
}

fn is_cel(ast: &Ast, id: NodeId) -> bool {
    matches!(ast.node(id), Node::Ident { name, .. } if ast.name(name) == "cel")
}
