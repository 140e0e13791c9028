//! The syntax tree, in an arena.
//!
//! Nodes lie in post-order: the nodes of a subtree are contiguous, children come before their parent, and siblings lie in
//! the order in which they are evaluated. Every pass over a tree is therefore a loop over a vector, from the front
//! (children first) or from the back (parents first): none needs a stack, however deep the expression is, and
//! dropping a tree frees a few vectors.

use std::fmt;
use std::ops::Range;

/// A part of the source text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Span {
    /// Where it begins.
    pub start: u32,
    /// Where it ends; the byte there is no longer part of it.
    pub end: u32,
}

impl Span {
    pub(crate) fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    pub(crate) fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A node of an [`Ast`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    pub(crate) fn at(self) -> usize {
        self.0 as usize
    }
}

/// A name or a text literal: an entry of the tree's table of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) u32);

/// Consecutive entries of the tree's table of children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Children {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnaryOp {
    Not,
    Negate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl BinaryOp {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::In => "in",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    pub(crate) fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal | Self::NotEqual | Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual
        )
    }
}

/// The operators whose chains are one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChainOp {
    And,
    Or,
    Add,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SelectKind {
    /// `a.b`
    Field,
    /// `a.?b`
    Optional,
    /// `has(a.b)`
    Test,
}

/// What a comprehension makes of its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comprehension {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
    TransformList,
    TransformMap,
    TransformMapEntry,
    SortBy,
}

impl Comprehension {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Exists => "exists",
            Self::ExistsOne => "exists_one",
            Self::Filter => "filter",
            Self::Map => "map",
            Self::TransformList => "transformList",
            Self::TransformMap => "transformMap",
            Self::TransformMapEntry => "transformMapEntry",
            Self::SortBy => "sortBy",
        }
    }
}

/// A node; 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Node {
    /// What macros consumed: the name of a loop variable, the `cel` of `cel.bind`.
    Dead,
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Name),
    Bytes(Children),
    /// A variable; with a leading dot it is looked up in the root namespace only.
    Ident {
        name: Name,
        absolute: bool,
    },
    Select {
        operand: NodeId,
        field: Name,
        kind: SelectKind,
    },
    Index {
        operand: NodeId,
        index: NodeId,
        optional: bool,
    },
    Unary {
        op: UnaryOp,
        operand: NodeId,
    },
    Binary {
        op: BinaryOp,
        left: NodeId,
        right: NodeId,
    },
    Chain {
        op: ChainOp,
        terms: Children,
    },
    Conditional {
        condition: NodeId,
        then: NodeId,
        otherwise: NodeId,
    },
    Call {
        function: Name,
        arguments: Children,
        absolute: bool,
    },
    /// A call on a receiver, which is the first of the children.
    Method {
        function: Name,
        arguments: Children,
    },
    List(Children),
    /// Keys and values in turn.
    Map(Children),
    /// An element or value that is left out where it is absent: `[?x]`, `{?k: x}`.
    OptionalElement(NodeId),
    /// The children are the range and one or two expressions.
    Comprehension {
        kind: Comprehension,
        first: Name,
        second: Option<NonMaxName>,
        range: u32,
        arguments: u8,
    },
    /// `cel.bind(name, value, body)`
    Bind {
        name: Name,
        value: NodeId,
        body: NodeId,
    },
    /// `target.optMap(name, body)`, or `optFlatMap`.
    OptionalMap {
        name: Name,
        target: NodeId,
        body: NodeId,
        flat: bool,
    },
    /// `cel.block([values…], body)`; the body is the last child.
    Block(Children),
    /// `cel.index(n)`
    BlockIndex(u32),
}

/// A name whose absence takes no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NonMaxName(std::num::NonZeroU32);

impl NonMaxName {
    pub(crate) fn new(name: Name) -> Option<Self> {
        std::num::NonZeroU32::new(name.0.wrapping_add(1)).map(Self)
    }

    pub(crate) fn get(self) -> Name {
        Name(self.0.get() - 1)
    }
}

/// A parsed expression.
///
/// Two trees are equal when they say the same, whatever the spaces, brackets and comments of their sources.
#[derive(Clone, Default)]
pub struct Ast {
    /// The source, and behind it the texts that do not stand in it as they are.
    pub(crate) text: String,
    /// The bytes of the source.
    pub(crate) length: u32,
    pub(crate) nodes: Vec<Node>,
    pub(crate) spans: Vec<Span>,
    pub(crate) children: Vec<NodeId>,
    /// Where in the text each name and each text literal stands.
    pub(crate) names: Vec<Span>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) comments: Vec<Span>,
}

impl Ast {
    /// The text that was parsed.
    #[must_use]
    pub fn source(&self) -> &str {
        self.text.get(..self.length as usize).unwrap_or_default()
    }

    /// The node that stands for the whole expression.
    #[must_use]
    pub fn root(&self) -> NodeId {
        NodeId(count(self.nodes.len()).saturating_sub(1))
    }

    /// How many nodes there are, those included that macros consumed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node; a tree from the parser has at least one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Where in the source a node stands.
    #[must_use]
    pub fn span(&self, id: NodeId) -> Span {
        self.spans.get(id.at()).copied().unwrap_or_default()
    }

    /// The text of a node in the source.
    #[must_use]
    pub fn snippet(&self, id: NodeId) -> &str {
        self.part(self.span(id))
    }

    pub(crate) fn node(&self, id: NodeId) -> Node {
        self.nodes.get(id.at()).copied().unwrap_or(Node::Dead)
    }

    pub(crate) fn name(&self, name: Name) -> &str {
        self.part(self.place(name))
    }

    /// Where in the text a name stands.
    pub(crate) fn place(&self, name: Name) -> Span {
        self.names.get(name.0 as usize).copied().unwrap_or_default()
    }

    /// A part of the source, or of the texts behind it.
    pub(crate) fn part(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or_default()
    }

    /// Keeps a text that does not stand in the source.
    pub(crate) fn append(&mut self, text: &str) -> Span {
        let start = count(self.text.len());
        self.text.push_str(text);
        Span::new(start, count(self.text.len()))
    }

    pub(crate) fn list(&self, children: Children) -> &[NodeId] {
        let start = children.start as usize;
        self.children.get(start..start + children.len as usize).unwrap_or_default()
    }

    pub(crate) fn byte_literal(&self, range: Children) -> &[u8] {
        let start = range.start as usize;
        self.bytes.get(start..start + range.len as usize).unwrap_or_default()
    }

    pub(crate) fn comprehension(&self, range: u32, arguments: u8) -> &[NodeId] {
        self.list(Children { start: range, len: u32::from(arguments) + 1 })
    }

    /// The first part of a macro in which its variables are known, if the node is a macro that has variables.
    pub(crate) fn body(&self, id: NodeId) -> Option<NodeId> {
        match self.node(id) {
            Node::Comprehension { range, arguments, .. } => {
                self.comprehension(range, arguments).get(1).copied()
            }
            Node::Bind { body, .. } | Node::OptionalMap { body, .. } => Some(body),
            Node::Block(list) => self.list(list).first().copied(),
            _ => None,
        }
    }

    /// Calls `visit` for each child of the node, in the order of their evaluation.
    pub(crate) fn each_child(&self, id: NodeId, mut visit: impl FnMut(NodeId)) {
        match self.node(id) {
            Node::Dead
            | Node::Null
            | Node::Bool(_)
            | Node::Int(_)
            | Node::Uint(_)
            | Node::Double(_)
            | Node::Text(_)
            | Node::Bytes(_)
            | Node::Ident { .. }
            | Node::BlockIndex(_) => {}
            Node::Select { operand, .. } | Node::Unary { operand, .. } | Node::OptionalElement(operand) => {
                visit(operand);
            }
            Node::Index { operand, index, .. } => {
                visit(operand);
                visit(index);
            }
            Node::Binary { left, right, .. } => {
                visit(left);
                visit(right);
            }
            Node::Conditional { condition, then, otherwise } => {
                visit(condition);
                visit(then);
                visit(otherwise);
            }
            Node::Chain { terms: list, .. }
            | Node::Call { arguments: list, .. }
            | Node::Method { arguments: list, .. }
            | Node::List(list)
            | Node::Map(list)
            | Node::Block(list) => self.list(list).iter().copied().for_each(visit),
            Node::Comprehension { range, arguments, .. } => {
                self.comprehension(range, arguments).iter().copied().for_each(visit);
            }
            Node::Bind { value, body, .. } => {
                visit(value);
                visit(body);
            }
            Node::OptionalMap { target, body, .. } => {
                visit(target);
                visit(body);
            }
        }
    }

    /// The nodes with their texts in place of their table entries, and without what macros consumed.
    fn canonical(&self) -> Vec<String> {
        let mut places = Vec::with_capacity(self.nodes.len());
        let mut lines = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            places.push(lines.len());
            if *node == Node::Dead {
                continue;
            }
            let mut children = Vec::new();
            self.each_child(NodeId(count(at)), |child| children.push(places.get(child.at()).copied()));
            lines.push(format!("{} {children:?}", self.label(*node)));
        }
        lines
    }

    fn label(&self, node: Node) -> String {
        match node {
            Node::Text(name) => format!("text {:?}", self.name(name)),
            Node::Bytes(range) => format!("bytes {:?}", self.byte_literal(range)),
            Node::Ident { name, absolute } => format!("ident {absolute} {:?}", self.name(name)),
            Node::Select { field, kind, .. } => format!("select {kind:?} {:?}", self.name(field)),
            Node::Index { optional, .. } => format!("index {optional}"),
            Node::Unary { op, .. } => format!("{op:?}"),
            Node::Binary { op, .. } => format!("{op:?}"),
            Node::Chain { op, .. } => format!("chain {op:?}"),
            Node::Conditional { .. } => "conditional".to_owned(),
            Node::Call { function, absolute, .. } => format!("call {absolute} {:?}", self.name(function)),
            Node::Method { function, .. } => format!("method {:?}", self.name(function)),
            Node::List(_) => "list".to_owned(),
            Node::Map(_) => "map".to_owned(),
            Node::OptionalElement(_) => "optional".to_owned(),
            Node::Comprehension { kind, first, second, .. } => {
                format!("{kind:?} {:?} {:?}", self.name(first), second.map(|name| self.name(name.get())))
            }
            Node::Bind { name, .. } => format!("bind {:?}", self.name(name)),
            Node::OptionalMap { name, flat, .. } => format!("optmap {flat} {:?}", self.name(name)),
            Node::Block(_) => "block".to_owned(),
            Node::Double(value) => format!("double {:?}", value.to_bits()),
            Node::Dead | Node::Null | Node::Bool(_) | Node::Int(_) | Node::Uint(_) | Node::BlockIndex(_) => {
                format!("{node:?}")
            }
        }
    }
}

impl PartialEq for Ast {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl fmt::Debug for Ast {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Ast")
            .field("source", &self.source())
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

/// A length as an id. Sources are at most 256 MiB, so nothing here reaches 2³².
pub(crate) fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
