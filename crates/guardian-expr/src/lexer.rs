//! Splits the source into tokens, one at a time.

use crate::ast::{Span, count};
use crate::error::Fault;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    End,
    Ident,
    /// A name in backticks.
    Quoted,
    Reserved,
    True,
    False,
    Null,
    In,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Dot,
    Comma,
    Colon,
    Question,
    Not,
    Minus,
    Plus,
    Star,
    Slash,
    Percent,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    OpenRound,
    CloseRound,
    OpenSquare,
    CloseSquare,
    OpenCurly,
    CloseCurly,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// Words that are kept for languages that embed this one; they may be fields, but not variables (langdef, "Identifiers").
pub(crate) fn is_reserved(word: &str) -> bool {
    matches!(
        word,
        "as" | "break"
            | "const"
            | "continue"
            | "else"
            | "for"
            | "function"
            | "if"
            | "import"
            | "let"
            | "loop"
            | "namespace"
            | "package"
            | "return"
            | "var"
            | "void"
            | "while"
    )
}

/// Whether it is letters, digits and `_`, and begins with no digit.
pub(crate) fn is_word(word: &str) -> bool {
    let mut bytes = word.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether the word may be a field without backticks.
pub(crate) fn is_plain_name(word: &str) -> bool {
    is_word(word) && !matches!(word, "true" | "false" | "null" | "in")
}

pub(crate) struct Lexer<'s> {
    source: &'s str,
    bytes: &'s [u8],
    at: usize,
    pub(crate) comments: Vec<Span>,
}

impl<'s> Lexer<'s> {
    pub(crate) fn new(source: &'s str) -> Self {
        Self { source, bytes: source.as_bytes(), at: 0, comments: Vec::new() }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn token(&mut self, kind: Kind, start: usize, length: usize) -> Token {
        self.at = start + length;
        Token { kind, span: Span::new(count(start), count(self.at)) }
    }

    fn fault(&self, start: usize, end: usize, message: impl Into<String>) -> Fault {
        let mut end = end.min(self.bytes.len());
        while end < self.bytes.len() && !self.source.is_char_boundary(end) {
            end += 1;
        }
        Fault::new(Span::new(count(start), count(end)), message)
    }

    fn skip_blanks(&mut self) {
        loop {
            match self.peek(0) {
                b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' => self.at += 1,
                b'/' if self.peek(1) == b'/' => {
                    let rest = self.bytes.get(self.at..).unwrap_or_default();
                    let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                    self.comments.push(Span::new(count(self.at), count(self.at + length)));
                    self.at += length;
                }
                _ => return,
            }
        }
    }

    pub(crate) fn next(&mut self) -> Result<Token, Fault> {
        self.skip_blanks();
        let start = self.at;
        let first = self.peek(0);
        let (kind, length) = match first {
            0 if start >= self.bytes.len() => (Kind::End, 0),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => return self.word(start),
            b'0'..=b'9' => return self.number(start),
            b'.' if self.peek(1).is_ascii_digit() => return self.number(start),
            b'"' | b'\'' => return self.quoted(start, start, false, false),
            b'`' => return self.backticks(start),
            b'.' => (Kind::Dot, 1),
            b',' => (Kind::Comma, 1),
            b':' => (Kind::Colon, 1),
            b'?' => (Kind::Question, 1),
            b'!' if self.peek(1) == b'=' => (Kind::NotEqual, 2),
            b'!' => (Kind::Not, 1),
            b'-' => (Kind::Minus, 1),
            b'+' => (Kind::Plus, 1),
            b'*' => (Kind::Star, 1),
            b'/' => (Kind::Slash, 1),
            b'%' => (Kind::Percent, 1),
            b'=' if self.peek(1) == b'=' => (Kind::Equal, 2),
            b'<' if self.peek(1) == b'=' => (Kind::LessEqual, 2),
            b'<' => (Kind::Less, 1),
            b'>' if self.peek(1) == b'=' => (Kind::GreaterEqual, 2),
            b'>' => (Kind::Greater, 1),
            b'&' if self.peek(1) == b'&' => (Kind::And, 2),
            b'|' if self.peek(1) == b'|' => (Kind::Or, 2),
            b'(' => (Kind::OpenRound, 1),
            b')' => (Kind::CloseRound, 1),
            b'[' => (Kind::OpenSquare, 1),
            b']' => (Kind::CloseSquare, 1),
            b'{' => (Kind::OpenCurly, 1),
            b'}' => (Kind::CloseCurly, 1),
            _ => return Err(self.unknown(start)),
        };
        Ok(self.token(kind, start, length))
    }

    fn unknown(&self, start: usize) -> Fault {
        let character = self.source.get(start..).and_then(|rest| rest.chars().next()).unwrap_or('\u{fffd}');
        let fault = self.fault(start, start + 1, format!("unexpected `{}`", character.escape_debug()));
        match character {
            '=' => fault.hint("equality is written `==`"),
            '&' => fault.hint("`and` is written `&&`"),
            '|' => fault.hint("`or` is written `||`"),
            '“' | '”' | '„' | '‘' | '’' => fault.hint("texts stand in straight quotes: `\"…\"`"),
            '≥' => fault.hint("`at least` is written `>=`"),
            '≤' => fault.hint("`at most` is written `<=`"),
            '≠' => fault.hint("`not equal` is written `!=`"),
            _ => fault,
        }
    }

    fn word(&mut self, start: usize) -> Result<Token, Fault> {
        let rest = self.bytes.get(start..).unwrap_or_default();
        let length =
            rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').unwrap_or(rest.len());
        // The prefixes of texts: `r`, `b`, and both.
        if length <= 2 && matches!(rest.get(length), Some(b'"' | b'\'')) {
            let prefix = rest.get(..length).unwrap_or_default();
            let raw = prefix.iter().any(|byte| byte.eq_ignore_ascii_case(&b'r'));
            let bytes = prefix.iter().any(|byte| byte.eq_ignore_ascii_case(&b'b'));
            if usize::from(raw) + usize::from(bytes) == length {
                return self.quoted(start, start + length, raw, bytes);
            }
        }
        let word = self.source.get(start..start + length).unwrap_or_default();
        let kind = match word {
            "true" => Kind::True,
            "false" => Kind::False,
            "null" => Kind::Null,
            "in" => Kind::In,
            _ if is_reserved(word) => Kind::Reserved,
            _ => Kind::Ident,
        };
        Ok(self.token(kind, start, length))
    }

    fn digits(&self, mut at: usize, hexadecimal: bool) -> usize {
        while let Some(byte) = self.bytes.get(at) {
            if !(byte.is_ascii_digit() || hexadecimal && byte.is_ascii_hexdigit()) {
                break;
            }
            at += 1;
        }
        at
    }

    fn number(&mut self, start: usize) -> Result<Token, Fault> {
        let byte = |at: usize| self.bytes.get(at).copied().unwrap_or(0);
        let mut kind = Kind::Int;
        let mut at;
        if byte(start) == b'0' && matches!(byte(start + 1), b'x' | b'X') {
            at = self.digits(start + 2, true);
            if at == start + 2 {
                return Err(self.fault(start, at, "a hexadecimal number has digits after `0x`"));
            }
        } else {
            at = self.digits(start, false);
            if byte(at) == b'.' && byte(at + 1).is_ascii_digit() {
                kind = Kind::Double;
                at = self.digits(at + 1, false);
            }
            if matches!(byte(at), b'e' | b'E') {
                let signed = at + 1 + usize::from(matches!(byte(at + 1), b'+' | b'-'));
                if byte(signed).is_ascii_digit() {
                    kind = Kind::Double;
                    at = self.digits(signed, false);
                }
            }
        }
        if kind == Kind::Int && matches!(byte(at), b'u' | b'U') {
            kind = Kind::Uint;
            at += 1;
        }
        if byte(at).is_ascii_alphanumeric() || byte(at) == b'_' {
            let end = self.digits(at, true).max(at + 1);
            return Err(self
                .fault(start, end, "a number is followed directly by a name")
                .hint("put an operator or a space between them"));
        }
        Ok(self.token(kind, start, at - start))
    }

    /// A text whose quotes begin at `open`; its escapes are decoded when it is used.
    fn quoted(&mut self, start: usize, open: usize, raw: bool, bytes: bool) -> Result<Token, Fault> {
        let quote = self.bytes.get(open).copied().unwrap_or(b'"');
        let rest = self.bytes.get(open..).unwrap_or_default();
        let triple = rest.starts_with(&[quote; 3]);
        let mut at = if triple { 3 } else { 1 };
        loop {
            match rest.get(at) {
                None => break,
                Some(b'\\') if !raw => at += 2,
                // In a raw text a backslash stands for itself, and the next quote ends the text.
                Some(b'\n' | b'\r') if !triple => break,
                Some(byte) if *byte == quote => {
                    if !triple {
                        return Ok(self.quoted_token(start, open + at + 1, bytes));
                    }
                    if rest.get(at..).unwrap_or_default().starts_with(&[quote; 3]) {
                        return Ok(self.quoted_token(start, open + at + 3, bytes));
                    }
                    at += 1;
                }
                Some(_) => at += 1,
            }
        }
        let mut end = (open + at).min(self.bytes.len());
        while !self.source.is_char_boundary(end) {
            end += 1;
        }
        let fault = self.fault(start, end, "the text is not closed");
        Err(fault.hint(if triple {
            "it ends with the three quotes that it began with"
        } else {
            "it ends with the quote that it began with, on the same line"
        }))
    }

    fn quoted_token(&mut self, start: usize, end: usize, bytes: bool) -> Token {
        self.token(if bytes { Kind::Bytes } else { Kind::Text }, start, end - start)
    }

    fn backticks(&mut self, start: usize) -> Result<Token, Fault> {
        let rest = self.bytes.get(start + 1..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || b"_.-/ ".contains(byte)))
            .unwrap_or(rest.len());
        if length == 0 || rest.get(length) != Some(&b'`') {
            return Err(self
                .fault(start, start + 1 + length, "the name in backticks is not complete")
                .hint("it may have letters, digits, `_`, `.`, `-`, `/` and spaces"));
        }
        Ok(self.token(Kind::Quoted, start, length + 2))
    }
}
