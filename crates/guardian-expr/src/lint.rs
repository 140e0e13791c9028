//! Conditions that are surely not what was meant.

use std::collections::BTreeMap;

use crate::ast::{Ast, BinaryOp, ChainOp, Node, NodeId, Span, UnaryOp, count};
use crate::number::int_to_double;
use crate::program::{Op, Program};
use crate::value::Value;

/// What is suspicious about a part of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LintKind {
    /// It is true whatever the event is.
    AlwaysTrue,
    /// It is true for no event.
    NeverTrue,
    /// It says what another part says.
    Duplicate,
    /// A comparison of a value with itself, with `true`, or of a size with what no size is.
    Suspicious,
}

/// Something suspicious, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lint {
    /// What it is.
    pub kind: LintKind,
    /// Where it stands.
    pub span: Span,
    /// What is suspicious about it.
    pub message: String,
}

/// What a term says about one path.
#[derive(Debug, Clone)]
struct Limits {
    low: f64,
    low_open: bool,
    high: f64,
    high_open: bool,
    equal: Option<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { low: f64::NEG_INFINITY, low_open: false, high: f64::INFINITY, high_open: false, equal: None }
    }
}

impl Limits {
    fn is_empty(&self) -> bool {
        self.low > self.high || self.low == self.high && (self.low_open || self.high_open)
    }

    fn at_least(&mut self, value: f64, open: bool) {
        if value > self.low || value == self.low && open {
            (self.low, self.low_open) = (value, open);
        }
    }

    fn at_most(&mut self, value: f64, open: bool) {
        if value < self.high || value == self.high && open {
            (self.high, self.high_open) = (value, open);
        }
    }
}

impl Program {
    /// What is suspicious about the expression: conditions that are always or never true, ranges that nothing is in, terms
    /// that are there twice, comparisons that decide nothing. O(length · log length).
    ///
    /// ```
    /// use guardian_expr::{Env, LintKind};
    ///
    /// let lints = Env::new().compile("deal.amount > 100 && deal.amount < 50")?.lint();
    /// assert_eq!(lints[0].kind, LintKind::NeverTrue);
    /// assert_eq!(lints[0].message, "no `deal.amount` is above 100 and below 50");
    /// # Ok::<(), guardian_expr::Error>(())
    /// ```
    #[must_use]
    pub fn lint(&self) -> Vec<Lint> {
        let mut linter = Linter { ast: &self.checked.ast, lints: Vec::new() };
        if let [Op::Constant(at)] = self.code.as_slice()
            && let Some(Value::Bool(value)) = self.constants.get(*at as usize)
            && !matches!(self.checked.ast.node(self.checked.ast.root()), Node::Bool(_))
        {
            linter.constant(self.checked.ast.root(), *value);
        }
        for at in 0..count(self.checked.ast.nodes.len()) {
            linter.node(NodeId(at));
        }
        let mut lints = linter.lints;
        lints.sort_by_key(|lint| (lint.span.start, lint.span.end));
        lints.dedup();
        lints
    }
}

struct Linter<'a> {
    ast: &'a Ast,
    lints: Vec<Lint>,
}

impl Linter<'_> {
    fn add(&mut self, id: NodeId, kind: LintKind, message: String) {
        self.lints.push(Lint { kind, span: self.ast.span(id), message });
    }

    fn constant(&mut self, id: NodeId, value: bool) {
        let kind = if value { LintKind::AlwaysTrue } else { LintKind::NeverTrue };
        self.add(id, kind, format!("this is always `{value}`"));
    }

    fn node(&mut self, id: NodeId) {
        match self.ast.node(id) {
            Node::Binary { op, left, right } if self.ast.is_short(id) => self.comparison(id, op, left, right),
            Node::Chain { op: op @ (ChainOp::And | ChainOp::Or), terms } => {
                let mut terms = self.ast.list(terms).to_vec();
                terms.retain(|term| self.ast.is_short(*term));
                self.duplicates(&terms, op);
                for term in &terms {
                    if let Node::Bool(value) = self.ast.node(*term) {
                        self.decides(id, op, value);
                    }
                }
                match op {
                    ChainOp::And => self.ranges(id, &terms),
                    _ => self.covers_all(id, &terms),
                }
            }
            Node::Conditional { condition, .. } => {
                if let Node::Bool(value) = self.ast.node(condition) {
                    self.constant(condition, value);
                }
            }
            _ => {}
        }
    }

    fn decides(&mut self, id: NodeId, op: ChainOp, value: bool) {
        if (op == ChainOp::Or) == value {
            self.constant(id, value);
        } else {
            let symbol = if value { "&& true" } else { "|| false" };
            self.add(id, LintKind::Suspicious, format!("`{symbol}` changes nothing"));
        }
    }

    /// Terms that are there twice, and terms beside their negation.
    fn duplicates(&mut self, terms: &[NodeId], op: ChainOp) {
        let mut seen: BTreeMap<String, NodeId> = BTreeMap::new();
        let mut negated: BTreeMap<String, NodeId> = BTreeMap::new();
        for term in terms {
            let text = self.ast.format_node(*term);
            if let Node::Unary { op: UnaryOp::Not, operand } = self.ast.node(*term) {
                negated.insert(self.ast.format_node(operand), *term);
            }
            if seen.insert(text.clone(), *term).is_some() {
                self.add(*term, LintKind::Duplicate, format!("`{text}` is there twice"));
            }
        }
        for (text, term) in negated {
            if seen.contains_key(&text) {
                self.constant(term, op == ChainOp::Or);
            }
        }
    }

    fn comparison(&mut self, id: NodeId, op: BinaryOp, left: NodeId, right: NodeId) {
        let (a, b) = (self.ast.node(left), self.ast.node(right));
        if op.is_comparison() && !is_literal(a) && self.ast.format_node(left) == self.ast.format_node(right) {
            self.add(id, LintKind::Suspicious, "a value is compared with itself".to_owned());
        }
        if matches!(op, BinaryOp::Equal | BinaryOp::NotEqual)
            && let (Node::Bool(value), _) | (_, Node::Bool(value)) = (a, b)
        {
            let keeps = value == (op == BinaryOp::Equal);
            let hint =
                if keeps { "write the condition alone" } else { "write `!` in front of the condition" };
            self.add(id, LintKind::Suspicious, format!("a condition is compared with `{value}`: {hint}"));
        }
        if op == BinaryOp::In && matches!(b, Node::List(list) if list.len == 0) {
            self.add(id, LintKind::NeverTrue, "nothing is in an empty list".to_owned());
        }
        if let (Some(size), Some(limit)) = (self.size_of(left), number(b)) {
            let always = match op {
                BinaryOp::GreaterEqual if limit <= 0.0 => Some(true),
                BinaryOp::Greater if limit < 0.0 => Some(true),
                BinaryOp::Less if limit <= 0.0 => Some(false),
                BinaryOp::LessEqual | BinaryOp::Equal if limit < 0.0 => Some(false),
                _ => None,
            };
            if let Some(always) = always {
                let kind = if always { LintKind::AlwaysTrue } else { LintKind::NeverTrue };
                self.add(id, kind, format!("`{size}` is never below 0"));
            }
        }
        if matches!(op, BinaryOp::Equal)
            && let (Node::Method { function, .. }, Node::Text(text)) = (a, b)
        {
            let text = self.ast.name(text);
            let wrong = match self.ast.name(function) {
                "lowerAscii" => text.bytes().any(|byte| byte.is_ascii_uppercase()),
                "upperAscii" => text.bytes().any(|byte| byte.is_ascii_lowercase()),
                _ => false,
            };
            if wrong {
                self.add(id, LintKind::NeverTrue, "the letters of the text are of the other case".to_owned());
            }
        }
    }

    fn size_of(&self, id: NodeId) -> Option<String> {
        let (Node::Call { function, .. } | Node::Method { function, .. }) = self.ast.node(id) else {
            return None;
        };
        (self.ast.name(function) == "size").then(|| self.ast.format_node(id))
    }

    /// A comparison of something that is no literal with a number or text: what is compared, how, and with what.
    fn limit(&self, id: NodeId) -> Option<(String, BinaryOp, Node)> {
        let Node::Binary { op, left, right } = self.ast.node(id) else { return None };
        let (a, b) = (self.ast.node(left), self.ast.node(right));
        match (is_literal(a), is_literal(b)) {
            (false, true) => Some((self.ast.format_node(left), op, b)),
            (true, false) => {
                let turned = match op {
                    BinaryOp::Less => BinaryOp::Greater,
                    BinaryOp::LessEqual => BinaryOp::GreaterEqual,
                    BinaryOp::Greater => BinaryOp::Less,
                    BinaryOp::GreaterEqual => BinaryOp::LessEqual,
                    BinaryOp::Equal | BinaryOp::NotEqual => op,
                    _ => return None,
                };
                Some((self.ast.format_node(right), turned, a))
            }
            _ => None,
        }
    }

    /// Terms of `&&` that exclude each other.
    fn ranges(&mut self, id: NodeId, terms: &[NodeId]) {
        let mut all: BTreeMap<String, Limits> = BTreeMap::new();
        for term in terms {
            let Some((path, op, literal)) = self.limit(*term) else { continue };
            let limits = all.entry(path.clone()).or_default();
            if op == BinaryOp::Equal {
                let shown = self.literal(literal);
                if let Some(before) = limits.equal.replace(shown.clone())
                    && before != shown
                    && !(number(literal).is_some()
                        && before.parse() == Ok(number(literal).unwrap_or(f64::NAN)))
                {
                    let message = format!("no `{path}` is both {before} and {shown}");
                    self.add(id, LintKind::NeverTrue, message);
                    return;
                }
            }
            let Some(value) = number(literal) else { continue };
            match op {
                BinaryOp::Greater => limits.at_least(value, true),
                BinaryOp::GreaterEqual => limits.at_least(value, false),
                BinaryOp::Less => limits.at_most(value, true),
                BinaryOp::LessEqual => limits.at_most(value, false),
                BinaryOp::Equal => {
                    limits.at_least(value, false);
                    limits.at_most(value, false);
                }
                _ => {}
            }
            if limits.is_empty() {
                let low = if limits.low_open { "above" } else { "at least" };
                let high = if limits.high_open { "below" } else { "at most" };
                let message = format!("no `{path}` is {low} {} and {high} {}", limits.low, limits.high);
                self.add(id, LintKind::NeverTrue, message);
                return;
            }
        }
    }

    /// Terms of `||` that leave nothing out: `a > 5 || a <= 10`, `a != 1 || a != 2`.
    fn covers_all(&mut self, id: NodeId, terms: &[NodeId]) {
        let mut all: BTreeMap<String, (Limits, Option<String>)> = BTreeMap::new();
        for term in terms {
            let Some((path, op, literal)) = self.limit(*term) else { continue };
            let shown = self.literal(literal);
            let (outside, unequal) = all.entry(path.clone()).or_default();
            if op == BinaryOp::NotEqual
                && let Some(before) = unequal.replace(shown.clone())
                && before != shown
            {
                let message = format!("every `{path}` is not {before} or not {shown}");
                self.add(id, LintKind::AlwaysTrue, message);
                return;
            }
            // What no term covers: for `a > 5` it is `a <= 5`.
            let Some(value) = number(literal) else { continue };
            match op {
                BinaryOp::Greater => outside.at_most(value, false),
                BinaryOp::GreaterEqual => outside.at_most(value, true),
                BinaryOp::Less => outside.at_least(value, false),
                BinaryOp::LessEqual => outside.at_least(value, true),
                _ => continue,
            }
            if outside.is_empty() {
                let message = format!("every number `{path}` is in one of these ranges");
                self.add(id, LintKind::AlwaysTrue, message);
                return;
            }
        }
    }

    fn literal(&self, node: Node) -> String {
        match node {
            Node::Text(name) => format!("\"{}\"", self.ast.name(name)),
            Node::Bool(value) => value.to_string(),
            other => number(other).map_or_else(|| "null".to_owned(), |value| value.to_string()),
        }
    }
}

fn is_literal(node: Node) -> bool {
    matches!(
        node,
        Node::Null | Node::Bool(_) | Node::Int(_) | Node::Uint(_) | Node::Double(_) | Node::Text(_)
    )
}

fn number(node: Node) -> Option<f64> {
    match node {
        Node::Int(value) => Some(int_to_double(value)),
        Node::Uint(value) => Some(crate::number::uint_to_double(value)),
        Node::Double(value) => Some(value),
        _ => None,
    }
}
