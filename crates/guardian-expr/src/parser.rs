//! The parser: operator precedence with an explicit stack, so no input is too deep for it.

use crate::ast::{Ast, BinaryOp, ChainOp, Children, Name, Node, NodeId, SelectKind, Span, UnaryOp, count};
use crate::error::{Error, Fault};
use crate::lexer::{Kind, Lexer, Token};
use crate::limits::Limits;
use crate::literal;

/// What was begun and waits for what follows.
#[derive(Debug, Clone, Copy)]
enum Frame {
    Unary(UnaryOp, u32),
    Binary(BinaryOp),
    /// A chain of an operator that has this many operands on the stack, the one to come left out.
    Chain(ChainOp, u32),
    /// After `?`, until `:`.
    Then,
    /// After `:` of a conditional.
    Otherwise,
    Group(Span),
    List(Open),
    Map(Open, bool),
    Call(Open, Name, bool),
    Method(Open, Name),
    Index(Span, bool),
}

/// A bracket whose contents are counted: where it stands, and the operands before it.
#[derive(Debug, Clone, Copy)]
struct Open {
    span: Span,
    base: u32,
    /// Whether the element that is being read is marked with `?`.
    optional: bool,
}

const CONDITIONAL: u8 = 0;
const OR: u8 = 1;
const AND: u8 = 2;
const RELATION: u8 = 3;
const SUM: u8 = 4;
const PRODUCT: u8 = 5;
const UNARY: u8 = 6;

impl Frame {
    /// How tightly an operator binds; brackets have none.
    fn precedence(self) -> Option<u8> {
        Some(match self {
            Self::Unary(..) => UNARY,
            Self::Binary(BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Remainder) => PRODUCT,
            Self::Binary(BinaryOp::Subtract) | Self::Chain(ChainOp::Add, _) => SUM,
            Self::Binary(_) => RELATION,
            Self::Chain(ChainOp::And, _) => AND,
            Self::Chain(ChainOp::Or, _) => OR,
            Self::Otherwise => CONDITIONAL,
            _ => return None,
        })
    }
}

pub(crate) struct Parser<'s> {
    source: &'s str,
    lexer: Lexer<'s>,
    token: Token,
    pub(crate) ast: Ast,
    frames: Vec<Frame>,
    operands: Vec<NodeId>,
    limits: Limits,
    depth: u32,
}

pub(crate) fn parse(source: &str, limits: Limits) -> Result<Ast, Error> {
    let bytes = count(source.len());
    if bytes > limits.max_bytes {
        // The source is not repeated in the message.
        return Err(Error::plain(format!(
            "the expression has {bytes} bytes, more than the {} that are allowed",
            limits.max_bytes
        )));
    }
    let nodes = source.len() / 6 + 4;
    let mut parser = Parser {
        source,
        lexer: Lexer::new(source),
        token: Token { kind: Kind::End, span: Span::default() },
        ast: Ast {
            nodes: Vec::with_capacity(nodes),
            spans: Vec::with_capacity(nodes),
            names: Vec::with_capacity(nodes / 2),
            text: source.to_owned(),
            length: bytes,
            children: Vec::with_capacity(nodes / 2),
            ..Ast::default()
        },
        frames: Vec::with_capacity(16),
        operands: Vec::with_capacity(16),
        limits,
        depth: 0,
    };
    match parser.run() {
        Ok(()) => {
            let mut ast = parser.ast;
            ast.comments = parser.lexer.comments;
            Ok(ast)
        }
        Err(fault) => Err(Error::new(source, vec![fault])),
    }
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), Fault> {
        self.advance()?;
        loop {
            self.operand()?;
            if self.continuation()? {
                return Ok(());
            }
        }
    }

    fn advance(&mut self) -> Result<(), Fault> {
        self.token = self.lexer.next()?;
        Ok(())
    }

    fn text(&self, span: Span) -> &str {
        self.source.get(span.range()).unwrap_or_default()
    }

    pub(crate) fn add(&mut self, node: Node, span: Span) -> NodeId {
        let id = NodeId(count(self.ast.nodes.len()));
        self.ast.nodes.push(node);
        self.ast.spans.push(span);
        id
    }

    fn push(&mut self, node: Node, span: Span) {
        let id = self.add(node, span);
        self.operands.push(id);
    }

    pub(crate) fn intern(&mut self, text: &str) -> Name {
        let place = self.ast.append(text);
        self.name_at(place)
    }

    /// The name that stands at a place of the text.
    fn name_at(&mut self, place: Span) -> Name {
        self.ast.names.push(place);
        Name(count(self.ast.names.len()) - 1)
    }

    fn pop(&mut self) -> NodeId {
        // Every frame is pushed when its operands are on the stack, so there is always one to pop.
        self.operands.pop().unwrap_or(NodeId(0))
    }

    fn open(&mut self, frame: Frame, span: Span) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > self.limits.max_depth {
            return Err(Fault::new(span, format!("nested deeper than {}", self.limits.max_depth)));
        }
        self.frames.push(frame);
        Ok(())
    }

    fn base(&self, span: Span) -> Open {
        Open { span, base: count(self.operands.len()), optional: false }
    }

    /// Reads up to and with one operand; opens the brackets before it.
    fn operand(&mut self) -> Result<(), Fault> {
        loop {
            let Token { kind, span } = self.token;
            match kind {
                Kind::Not => {
                    self.frames.push(Frame::Unary(UnaryOp::Not, span.start));
                    self.advance()?;
                    continue;
                }
                Kind::Minus => {
                    self.advance()?;
                    if matches!(self.token.kind, Kind::Int | Kind::Double) {
                        return self.number(Some(span));
                    }
                    self.frames.push(Frame::Unary(UnaryOp::Negate, span.start));
                    continue;
                }
                Kind::OpenRound => {
                    self.open(Frame::Group(span), span)?;
                    self.advance()?;
                    continue;
                }
                Kind::OpenSquare => {
                    let open = self.base(span);
                    self.advance()?;
                    if self.token.kind == Kind::CloseSquare {
                        self.push(Node::List(Children::default()), span.to(self.token.span));
                        return self.advance();
                    }
                    let open = self.marked(open)?;
                    self.open(Frame::List(open), span)?;
                    continue;
                }
                Kind::OpenCurly => {
                    let open = self.base(span);
                    self.advance()?;
                    if self.token.kind == Kind::CloseCurly {
                        self.push(Node::Map(Children::default()), span.to(self.token.span));
                        return self.advance();
                    }
                    let open = self.marked(open)?;
                    self.open(Frame::Map(open, true), span)?;
                    continue;
                }
                Kind::Dot => {
                    self.advance()?;
                    if self.token.kind != Kind::Ident {
                        return Err(self.unexpected("a name after the dot"));
                    }
                    if self.identifier(span.to(self.token.span), true)? {
                        return Ok(());
                    }
                }
                Kind::Ident => {
                    if self.identifier(span, false)? {
                        return Ok(());
                    }
                }
                Kind::Int | Kind::Uint | Kind::Double => return self.number(None),
                Kind::Text | Kind::Bytes => return self.quoted(),
                Kind::True => self.push(Node::Bool(true), span),
                Kind::False => self.push(Node::Bool(false), span),
                Kind::Null => self.push(Node::Null, span),
                _ => return Err(self.unexpected("a value")),
            }
            if matches!(kind, Kind::True | Kind::False | Kind::Null) {
                return self.advance();
            }
        }
    }

    /// Takes the mark `?` of an element.
    fn marked(&mut self, mut open: Open) -> Result<Open, Fault> {
        open.optional = self.token.kind == Kind::Question;
        if open.optional {
            self.advance()?;
        }
        Ok(open)
    }

    /// A variable, or the call of a function; whether it is complete.
    fn identifier(&mut self, span: Span, absolute: bool) -> Result<bool, Fault> {
        let name = self.name_at(self.token.span);
        self.advance()?;
        if self.token.kind != Kind::OpenRound {
            self.push(Node::Ident { name, absolute }, span);
            return Ok(true);
        }
        let open = self.base(span);
        self.call(Frame::Call(open, name, absolute))
    }

    /// Opens the arguments of a call; whether there are none.
    fn call(&mut self, frame: Frame) -> Result<bool, Fault> {
        let round = self.token.span;
        self.open(frame, round)?;
        self.advance()?;
        if self.token.kind == Kind::CloseRound {
            self.close()?;
            return Ok(true);
        }
        Ok(false)
    }

    fn number(&mut self, minus: Option<Span>) -> Result<(), Fault> {
        let Token { kind, span } = self.token;
        let text = self.text(span);
        let whole = minus.map_or(span, |minus| minus.to(span));
        let node = match kind {
            Kind::Int => literal::int(text, minus.is_some()).map(Node::Int),
            Kind::Uint => literal::uint(text).map(Node::Uint),
            _ => {
                literal::double(text).map(|value| Node::Double(if minus.is_some() { -value } else { value }))
            }
        };
        let node = node.ok_or_else(|| {
            let range = match kind {
                Kind::Int => "-9223372036854775808 to 9223372036854775807",
                Kind::Uint => "0u to 18446744073709551615u",
                _ => "the doubles",
            };
            Fault::new(whole, format!("the number is outside of {range}"))
        })?;
        self.push(node, whole);
        self.advance()
    }

    fn quoted(&mut self) -> Result<(), Fault> {
        let Token { kind, span } = self.token;
        let literal = self.source.get(span.range()).unwrap_or_default();
        let wrong = |(offset, message): (usize, String)| {
            let at = span.start + count(offset);
            Fault::new(Span::new(at, (at + 2).min(span.end)), message)
        };
        if kind == Kind::Bytes {
            let start = count(self.ast.bytes.len());
            literal::unquote(literal, true, &mut self.ast.bytes).map_err(wrong)?;
            let len = count(self.ast.bytes.len()) - start;
            self.push(Node::Bytes(Children { start, len }), span);
        } else {
            let inner = literal.get(1..literal.len() - 1).unwrap_or_default();
            // Most texts have neither escapes nor prefixes and are taken as they are.
            let place = if inner.bytes().all(|byte| !matches!(byte, b'\\' | b'"' | b'\''))
                && !literal.starts_with(['r', 'R'])
            {
                Span::new(span.start + 1, span.end - 1)
            } else {
                let mut bytes = Vec::with_capacity(literal.len());
                literal::unquote(literal, false, &mut bytes).map_err(wrong)?;
                let text =
                    String::from_utf8(bytes).map_err(|_| Fault::new(span, "the text is not valid UTF-8"))?;
                self.ast.append(&text)
            };
            let name = self.name_at(place);
            self.push(Node::Text(name), span);
        }
        self.advance()
    }

    /// Reads what follows an operand, until another operand is needed; whether the expression is complete.
    fn continuation(&mut self) -> Result<bool, Fault> {
        loop {
            match self.token.kind {
                Kind::Dot => {
                    if !self.member()? {
                        return Ok(false);
                    }
                    continue;
                }
                Kind::OpenSquare => {
                    let span = self.token.span;
                    self.advance()?;
                    let optional = self.token.kind == Kind::Question;
                    if optional {
                        self.advance()?;
                    }
                    self.open(Frame::Index(span, optional), span)?;
                    return Ok(false);
                }
                Kind::Or => self.chain(ChainOp::Or, OR),
                Kind::And => self.chain(ChainOp::And, AND),
                Kind::Plus => self.chain(ChainOp::Add, SUM),
                Kind::Minus => self.binary(BinaryOp::Subtract, SUM),
                Kind::Star => self.binary(BinaryOp::Multiply, PRODUCT),
                Kind::Slash => self.binary(BinaryOp::Divide, PRODUCT),
                Kind::Percent => self.binary(BinaryOp::Remainder, PRODUCT),
                Kind::Equal => self.binary(BinaryOp::Equal, RELATION),
                Kind::NotEqual => self.binary(BinaryOp::NotEqual, RELATION),
                Kind::Less => self.binary(BinaryOp::Less, RELATION),
                Kind::LessEqual => self.binary(BinaryOp::LessEqual, RELATION),
                Kind::Greater => self.binary(BinaryOp::Greater, RELATION),
                Kind::GreaterEqual => self.binary(BinaryOp::GreaterEqual, RELATION),
                Kind::In => self.binary(BinaryOp::In, RELATION),
                Kind::Question => {
                    self.reduce(OR);
                    self.frames.push(Frame::Then);
                }
                Kind::Colon => self.colon()?,
                Kind::Comma => self.comma()?,
                Kind::CloseRound | Kind::CloseSquare | Kind::CloseCurly => {
                    self.close()?;
                    continue;
                }
                Kind::End => {
                    self.reduce(CONDITIONAL);
                    return match self.frames.last() {
                        None => Ok(true),
                        Some(_) => Err(self.unexpected("more")),
                    };
                }
                _ => return Err(self.unexpected("an operator")),
            }
            self.advance()?;
            if matches!(
                self.frames.last(),
                Some(Frame::List(_) | Frame::Map(..) | Frame::Call(..) | Frame::Method(..))
            ) && self.trailing()?
            {
                continue;
            }
            return Ok(false);
        }
    }

    /// After a comma: takes the mark of an element, and ends a list or map that ends with a comma.
    fn trailing(&mut self) -> Result<bool, Fault> {
        match (self.frames.last().copied(), self.token.kind) {
            (Some(Frame::List(_)), Kind::CloseSquare) | (Some(Frame::Map(_, true)), Kind::CloseCurly) => {
                self.finish_bracket()?;
                Ok(true)
            }
            (Some(Frame::List(open)), Kind::Question) => {
                let open = self.marked(open)?;
                self.replace(Frame::List(open));
                Ok(false)
            }
            (Some(Frame::Map(open, true)), Kind::Question) => {
                let open = self.marked(open)?;
                self.replace(Frame::Map(open, true));
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    fn replace(&mut self, frame: Frame) {
        if let Some(last) = self.frames.last_mut() {
            *last = frame;
        }
    }

    /// `.field`, `.?field`, or the beginning of a call on a receiver; whether an operand is complete.
    fn member(&mut self) -> Result<bool, Fault> {
        self.advance()?;
        let mut kind = SelectKind::Field;
        if self.token.kind == Kind::Question {
            kind = SelectKind::Optional;
            self.advance()?;
        }
        let Token { kind: token, span } = self.token;
        if !matches!(token, Kind::Ident | Kind::Quoted | Kind::Reserved) {
            return Err(self.unexpected("a field"));
        }
        // Backticks are not part of the name.
        let ticks = u32::from(token == Kind::Quoted);
        let name = self.name_at(Span::new(span.start + ticks, span.end - ticks));
        self.advance()?;
        if self.token.kind == Kind::OpenRound && token != Kind::Quoted {
            if kind == SelectKind::Optional {
                return Err(self.unexpected("no call after `.?`"));
            }
            let mut open = self.base(span);
            // The receiver is the first of the operands.
            open.base = open.base.saturating_sub(1);
            return self.call(Frame::Method(open, name));
        }
        if self.token.kind == Kind::OpenCurly {
            return Err(Fault::new(self.token.span, "messages of protocol buffers are not supported")
                .hint("write a map: `{\"field\": value}`"));
        }
        let operand = self.pop();
        let whole = self.ast.span(operand).to(span);
        self.push(Node::Select { operand, field: name, kind }, whole);
        Ok(true)
    }

    fn chain(&mut self, op: ChainOp, precedence: u8) {
        // What binds tighter is complete, and so is what binds as tightly but is not this chain.
        self.reduce(precedence + 1);
        if let Some(Frame::Chain(open, terms)) = self.frames.last_mut()
            && *open == op
        {
            *terms += 1;
            return;
        }
        self.reduce(precedence);
        self.frames.push(Frame::Chain(op, 1));
    }

    fn binary(&mut self, op: BinaryOp, precedence: u8) {
        self.reduce(precedence);
        self.frames.push(Frame::Binary(op));
    }

    /// Builds the nodes of the operators on top that bind at least so tightly.
    fn reduce(&mut self, least: u8) {
        while let Some(frame) = self.frames.last().copied()
            && frame.precedence().is_some_and(|precedence| precedence >= least)
        {
            self.frames.pop();
            match frame {
                Frame::Unary(op, start) => {
                    let operand = self.pop();
                    let span = Span::new(start, self.ast.span(operand).end);
                    self.push(Node::Unary { op, operand }, span);
                }
                Frame::Binary(op) => {
                    let right = self.pop();
                    let left = self.pop();
                    let span = self.ast.span(left).to(self.ast.span(right));
                    self.push(Node::Binary { op, left, right }, span);
                }
                Frame::Chain(op, terms) => {
                    let base = self.operands.len().saturating_sub(terms as usize + 1);
                    let terms = self.take(base);
                    let span = self.span_of(terms);
                    self.push(Node::Chain { op, terms }, span);
                }
                Frame::Otherwise => {
                    let otherwise = self.pop();
                    let then = self.pop();
                    let condition = self.pop();
                    let span = self.ast.span(condition).to(self.ast.span(otherwise));
                    self.push(Node::Conditional { condition, then, otherwise }, span);
                }
                _ => return,
            }
        }
    }

    /// The operands from `base` on, as children.
    fn take(&mut self, base: usize) -> Children {
        let start = count(self.ast.children.len());
        self.ast.children.extend(self.operands.drain(base.min(self.operands.len())..));
        Children { start, len: count(self.ast.children.len()) - start }
    }

    fn span_of(&self, children: Children) -> Span {
        let list = self.ast.list(children);
        match (list.first(), list.last()) {
            (Some(first), Some(last)) => self.ast.span(*first).to(self.ast.span(*last)),
            _ => Span::default(),
        }
    }

    fn colon(&mut self) -> Result<(), Fault> {
        self.reduce(CONDITIONAL);
        match self.frames.last().copied() {
            Some(Frame::Then) => self.replace(Frame::Otherwise),
            Some(Frame::Map(open, true)) => self.replace(Frame::Map(open, false)),
            _ => return Err(self.unexpected("no colon")),
        }
        Ok(())
    }

    /// Marks the element that just ended, if it began with `?`.
    fn end_element(&mut self, optional: bool) {
        if optional {
            let operand = self.pop();
            let span = self.ast.span(operand);
            self.push(Node::OptionalElement(operand), span);
        }
    }

    fn comma(&mut self) -> Result<(), Fault> {
        self.reduce(CONDITIONAL);
        match self.frames.last().copied() {
            Some(Frame::List(open)) => {
                self.end_element(open.optional);
                self.replace(Frame::List(Open { optional: false, ..open }));
            }
            Some(Frame::Map(open, false)) => {
                self.end_element(open.optional);
                self.replace(Frame::Map(Open { optional: false, ..open }, true));
            }
            Some(Frame::Call(..) | Frame::Method(..)) => {}
            _ => return Err(self.unexpected("no comma")),
        }
        Ok(())
    }

    /// A closing bracket after an operand, or after `(` of a call without arguments.
    fn close(&mut self) -> Result<(), Fault> {
        self.reduce(CONDITIONAL);
        match (self.frames.last().copied(), self.token.kind) {
            (Some(Frame::List(open)), Kind::CloseSquare)
            | (Some(Frame::Map(open, false)), Kind::CloseCurly) => self.end_element(open.optional),
            _ => {}
        }
        self.finish_bracket()
    }

    fn finish_bracket(&mut self) -> Result<(), Fault> {
        let end = self.token.span;
        let Some(frame) = self.frames.last().copied() else {
            return Err(self.unexpected("no bracket, because none is open"));
        };
        match (frame, self.token.kind) {
            (Frame::Group(_), Kind::CloseRound) => {}
            (Frame::List(open), Kind::CloseSquare) => {
                let elements = self.take(open.base as usize);
                self.push(Node::List(elements), open.span.to(end));
            }
            (Frame::Map(open, _), Kind::CloseCurly) => {
                let entries = self.take(open.base as usize);
                if entries.len % 2 == 1 {
                    return Err(self.unexpected("`:` and a value"));
                }
                self.push(Node::Map(entries), open.span.to(end));
            }
            (Frame::Index(_, optional), Kind::CloseSquare) => {
                let index = self.pop();
                let operand = self.pop();
                let span = self.ast.span(operand).to(end);
                self.push(Node::Index { operand, index, optional }, span);
            }
            (Frame::Call(open, name, absolute), Kind::CloseRound) => {
                let arguments = self.take(open.base as usize);
                let id = self.finish_call(name, arguments, absolute, open.span.to(end))?;
                self.operands.push(id);
            }
            (Frame::Method(open, name), Kind::CloseRound) => {
                let arguments = self.take(open.base as usize);
                let start = self.ast.list(arguments).first().map_or(open.span, |id| self.ast.span(*id));
                let id = self.finish_method(name, arguments, start.to(end), open.span)?;
                self.operands.push(id);
            }
            _ => return Err(self.unexpected("another bracket")),
        }
        self.frames.pop();
        self.depth = self.depth.saturating_sub(1);
        self.advance()
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        let Token { kind, span } = self.token;
        let text: String = self.text(span).chars().take(40).collect();
        if kind == Kind::End {
            let mut fault = Fault::new(span, format!("the expression ends where {wanted} is expected"));
            let open = self.frames.iter().rev().find_map(|frame| match frame {
                Frame::Group(span) | Frame::Index(span, _) => Some(*span),
                Frame::List(open) | Frame::Map(open, _) | Frame::Call(open, ..) | Frame::Method(open, _) => {
                    Some(open.span)
                }
                _ => None,
            });
            if wanted == "more" {
                fault.message = match open {
                    Some(_) => "a bracket is not closed".to_owned(),
                    None => "`?` is not followed by `:`".to_owned(),
                };
                if let Some(open) = open {
                    fault.span = open;
                }
            }
            return fault;
        }
        if kind == Kind::Reserved {
            return Fault::new(span, format!("`{text}` is a reserved word"))
                .hint("reserved words can be fields, as in `event.for`, but not variables");
        }
        let fault = Fault::new(span, format!("unexpected `{text}`"));
        match text.to_ascii_lowercase().as_str() {
            "and" => fault.hint("`and` is written `&&`"),
            "or" => fault.hint("`or` is written `||`"),
            "not" => fault.hint("`not` is written `!`"),
            "is" => fault.hint("equality is written `==`"),
            "contains" | "startswith" | "endswith" | "matches" => {
                fault.hint(format!("write a call: `text.{text}(…)`"))
            }
            _ if kind == Kind::OpenCurly => fault.hint("messages of protocol buffers are not supported"),
            _ if !wanted.starts_with("no ") && wanted != "another bracket" => {
                fault.hint(format!("{wanted} is expected here"))
            }
            _ => fault,
        }
    }
}
