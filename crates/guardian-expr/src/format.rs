//! Writes a tree as text: one style for all expressions.

use std::fmt::Write;

use crate::ast::{Ast, BinaryOp, ChainOp, Children, Name, Node, NodeId, SelectKind, UnaryOp};
use crate::lexer::{is_plain_name, is_reserved, is_word};
use crate::value::{write_bytes, write_double, write_text};

/// Lines longer than this are broken between the terms of the outermost chain.
const WIDTH: usize = 100;

const ANY: u8 = 0;
const OR: u8 = 1;
const AND: u8 = 2;
const RELATION: u8 = 3;
const SUM: u8 = 4;
const PRODUCT: u8 = 5;
const UNARY: u8 = 6;
const MEMBER: u8 = 7;

enum Task {
    /// A node, and how tightly it must bind to stand without brackets.
    Node(NodeId, u8),
    Text(&'static str),
    Name(Name),
    Field(Name),
}

impl Ast {
    /// The expression in the one style: spaces around operators, no brackets that say nothing, texts in double quotes.
    ///
    /// Reading the result gives an equal tree, and formatting it again the same text. Comments come first, each on a line.
    ///
    /// ```
    /// let ast = guardian_expr::Env::new().parse("( a.b>5 )&&'x'in tags// why")?;
    /// assert_eq!(ast.format(), "// why\na.b > 5 && \"x\" in tags");
    /// # Ok::<(), guardian_expr::Error>(())
    /// ```
    #[must_use]
    pub fn format(&self) -> String {
        let mut out = String::with_capacity(self.source().len() + 16);
        for comment in &self.comments {
            out.push_str(self.part(*comment).trim_end());
            out.push('\n');
        }
        let start = out.len();
        self.write(&mut out, self.root(), ANY, false);
        if out.len() - start > WIDTH && matches!(self.node(self.root()), Node::Chain { .. }) {
            out.truncate(start);
            self.write(&mut out, self.root(), ANY, true);
        }
        out
    }

    /// One part of the expression as text.
    pub(crate) fn format_node(&self, id: NodeId) -> String {
        let mut out = String::new();
        self.write(&mut out, id, ANY, false);
        out
    }

    /// A part of the expression as text, of a long part only how it begins. O(1).
    pub(crate) fn brief(&self, id: NodeId) -> String {
        if self.is_short(id) {
            return self.format_node(id);
        }
        let front: String = self.snippet(id).chars().take(100).collect();
        format!("{}…", front.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Whether a part is so short that passes which look at the text of every part may look at it.
    pub(crate) fn is_short(&self, id: NodeId) -> bool {
        self.span(id).range().len() <= 1000
    }

    fn write(&self, out: &mut String, root: NodeId, least: u8, broken: bool) {
        let mut tasks = vec![Task::Node(root, least)];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Text(text) => out.push_str(text),
                Task::Name(name) => self.write_name(out, name),
                Task::Field(name) => self.write_field(out, name),
                Task::Node(id, least) => {
                    let first = tasks.len();
                    let open = self.precedence(id) < least;
                    if open {
                        tasks.push(Task::Text("("));
                    }
                    self.node_tasks(out, id, &mut tasks, broken && id == root);
                    if open {
                        tasks.push(Task::Text(")"));
                    }
                    // The tasks were pushed in the order in which they are to be done.
                    if let Some(added) = tasks.get_mut(first..) {
                        added.reverse();
                    }
                }
            }
        }
    }

    fn write_name(&self, out: &mut String, name: Name) {
        let text = self.name(name);
        match text.strip_prefix('@').and_then(|text| {
            let mut parts = text.split(':');
            Some((parts.next()?, parts.next()?, parts.next()?))
        }) {
            Some((kind, level, number)) => {
                let _ = write!(out, "cel.{kind}({level}, {number})");
            }
            None => out.push_str(text),
        }
    }

    fn write_field(&self, out: &mut String, name: Name) {
        let text = self.name(name);
        if is_plain_name(text) || is_word(text) && is_reserved(text) {
            out.push_str(text);
        } else {
            let _ = write!(out, "`{text}`");
        }
    }

    fn precedence(&self, id: NodeId) -> u8 {
        match self.node(id) {
            Node::Conditional { .. } => ANY,
            Node::Chain { op: ChainOp::Or, .. } => OR,
            Node::Chain { op: ChainOp::And, .. } => AND,
            Node::Chain { op: ChainOp::Add, .. } | Node::Binary { op: BinaryOp::Subtract, .. } => SUM,
            Node::Binary { op: BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Remainder, .. } => PRODUCT,
            Node::Binary { .. } => RELATION,
            Node::Unary { .. } => UNARY,
            _ => MEMBER,
        }
    }

    /// Whether the text of a node begins with a number that a minus in front of it would change.
    fn begins_with_number(&self, mut id: NodeId) -> bool {
        loop {
            match self.node(id) {
                Node::Int(value) => return value >= 0,
                Node::Double(value) => return value.is_sign_positive(),
                Node::Select { operand, kind: SelectKind::Field | SelectKind::Optional, .. }
                | Node::Index { operand, .. } => id = operand,
                Node::Method { arguments, .. } => match self.list(arguments).first() {
                    Some(first) => id = *first,
                    None => return false,
                },
                Node::Comprehension { range, arguments, .. } => {
                    match self.comprehension(range, arguments).first() {
                        Some(first) => id = *first,
                        None => return false,
                    }
                }
                Node::OptionalMap { target, .. } => id = target,
                _ => return false,
            }
        }
    }

    fn node_tasks(&self, out: &mut String, id: NodeId, tasks: &mut Vec<Task>, broken: bool) {
        use Task::{Field, Name as Called, Node as Part, Text};
        let mut literal = String::new();
        match self.node(id) {
            Node::Dead => {}
            Node::Null => tasks.push(Text("null")),
            Node::Bool(true) => tasks.push(Text("true")),
            Node::Bool(false) => tasks.push(Text("false")),
            Node::Int(value) => {
                let _ = write!(literal, "{value}");
            }
            Node::Uint(value) => {
                let _ = write!(literal, "{value}u");
            }
            Node::Double(value) => {
                let _ = write_double(&mut literal, value);
            }
            Node::Text(name) => {
                let _ = write_text(&mut literal, self.name(name));
            }
            Node::Bytes(range) => {
                let _ = write_bytes(&mut literal, self.byte_literal(range));
            }
            Node::Ident { name, absolute } => {
                tasks.extend([Text(if absolute { "." } else { "" }), Called(name)]);
            }
            Node::Select { operand, field, kind } => {
                if kind == SelectKind::Test {
                    tasks.push(Text("has("));
                }
                tasks.push(Part(operand, MEMBER));
                tasks.push(Text(if kind == SelectKind::Optional { ".?" } else { "." }));
                tasks.push(Field(field));
                if kind == SelectKind::Test {
                    tasks.push(Text(")"));
                }
            }
            Node::Index { operand, index, optional } => {
                let open = if optional { "[?" } else { "[" };
                tasks.extend([Part(operand, MEMBER), Text(open), Part(index, ANY), Text("]")]);
            }
            Node::Unary { op: UnaryOp::Not, operand } => tasks.extend([Text("!"), Part(operand, UNARY)]),
            Node::Unary { op: UnaryOp::Negate, operand } => {
                tasks.push(Text("-"));
                if self.begins_with_number(operand) {
                    tasks.extend([Text("("), Part(operand, ANY), Text(")")]);
                } else {
                    tasks.push(Part(operand, UNARY));
                }
            }
            Node::Binary { op, left, right } => {
                let own = self.precedence(id);
                let symbol = match op {
                    BinaryOp::In => " in ",
                    BinaryOp::Equal => " == ",
                    BinaryOp::NotEqual => " != ",
                    BinaryOp::Less => " < ",
                    BinaryOp::LessEqual => " <= ",
                    BinaryOp::Greater => " > ",
                    BinaryOp::GreaterEqual => " >= ",
                    BinaryOp::Subtract => " - ",
                    BinaryOp::Multiply => " * ",
                    BinaryOp::Divide => " / ",
                    BinaryOp::Remainder => " % ",
                };
                tasks.extend([Part(left, own), Text(symbol), Part(right, own + 1)]);
            }
            Node::Chain { op, terms } => self.chain_tasks(op, terms, tasks, broken),
            Node::Conditional { condition, then, otherwise } => tasks.extend([
                Part(condition, OR),
                Text(" ? "),
                Part(then, OR),
                Text(" : "),
                Part(otherwise, ANY),
            ]),
            Node::Call { function, arguments, absolute } => {
                tasks.extend([Text(if absolute { "." } else { "" }), Called(function), Text("(")]);
                self.listed(self.list(arguments), tasks);
                tasks.push(Text(")"));
            }
            Node::Method { function, arguments } => {
                if let Some((target, rest)) = self.list(arguments).split_first() {
                    tasks.extend([Part(*target, MEMBER), Text("."), Field(function), Text("(")]);
                    self.listed(rest, tasks);
                    tasks.push(Text(")"));
                }
            }
            Node::List(elements) => {
                tasks.push(Text("["));
                self.listed(self.list(elements), tasks);
                tasks.push(Text("]"));
            }
            Node::Map(entries) => {
                tasks.push(Text("{"));
                for (at, entry) in self.list(entries).chunks(2).enumerate() {
                    let [key, value] = entry else { continue };
                    tasks.push(Text(if at > 0 { ", " } else { "" }));
                    let mut value = *value;
                    if let Node::OptionalElement(inner) = self.node(value) {
                        tasks.push(Text("?"));
                        value = inner;
                    }
                    tasks.extend([Part(*key, ANY), Text(": "), Part(value, ANY)]);
                }
                tasks.push(Text("}"));
            }
            Node::OptionalElement(inner) => tasks.extend([Text("?"), Part(inner, ANY)]),
            Node::Comprehension { kind, first, second, range, arguments } => {
                if let Some((target, rest)) = self.comprehension(range, arguments).split_first() {
                    tasks.extend([Part(*target, MEMBER), Text("."), Text(kind.name()), Text("(")]);
                    tasks.push(Called(first));
                    if let Some(second) = second {
                        tasks.extend([Text(", "), Called(second.get())]);
                    }
                    tasks.push(Text(", "));
                    self.listed(rest, tasks);
                    tasks.push(Text(")"));
                }
            }
            Node::Bind { name, value, body } => tasks.extend([
                Text("cel.bind("),
                Called(name),
                Text(", "),
                Part(value, ANY),
                Text(", "),
                Part(body, ANY),
                Text(")"),
            ]),
            Node::OptionalMap { name, target, body, flat } => tasks.extend([
                Part(target, MEMBER),
                Text(if flat { ".optFlatMap(" } else { ".optMap(" }),
                Called(name),
                Text(", "),
                Part(body, ANY),
                Text(")"),
            ]),
            Node::Block(list) => {
                if let Some((body, values)) = self.list(list).split_last() {
                    tasks.push(Text("cel.block(["));
                    self.listed(values, tasks);
                    tasks.extend([Text("], "), Part(*body, ANY), Text(")")]);
                }
            }
            Node::BlockIndex(index) => {
                let _ = write!(literal, "cel.index({index})");
            }
        }
        // A literal is all of its node, and everything in front of it is written already.
        out.push_str(&literal);
    }

    fn chain_tasks(&self, op: ChainOp, terms: Children, tasks: &mut Vec<Task>, broken: bool) {
        let (symbol, least) = match (op, broken) {
            (ChainOp::And, false) => (" && ", RELATION),
            (ChainOp::And, true) => (" &&\n", RELATION),
            (ChainOp::Or, false) => (" || ", AND),
            (ChainOp::Or, true) => (" ||\n", AND),
            (ChainOp::Add, false) => (" + ", PRODUCT),
            (ChainOp::Add, true) => (" +\n", PRODUCT),
        };
        for (at, term) in self.list(terms).iter().enumerate() {
            if at > 0 {
                tasks.push(Task::Text(symbol));
            }
            // A difference may begin a sum; a sum within a sum was in brackets.
            let is_difference = matches!(self.node(*term), Node::Binary { op: BinaryOp::Subtract, .. });
            let least = if op == ChainOp::Add && at == 0 && is_difference { SUM } else { least };
            tasks.push(Task::Node(*term, least));
        }
    }

    fn listed(&self, list: &[NodeId], tasks: &mut Vec<Task>) {
        for (at, id) in list.iter().enumerate() {
            if at > 0 {
                tasks.push(Task::Text(", "));
            }
            tasks.push(Task::Node(*id, ANY));
        }
    }
}
