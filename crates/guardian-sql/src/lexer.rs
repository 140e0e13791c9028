//! Just enough of both databases' lexical rules to know where a statement ends, how it begins and which parameters it
//! names. Nothing here decides what a statement means.
//!
//! Sources: PostgreSQL documentation, section 4.1 "Lexical Structure"; SQLite's `tokenize.c` and `complete.c`.

use crate::Dialect;

/// A token as far as anybody here cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A keyword or an unquoted name.
    Word(&'a str),
    /// `$3`.
    Placeholder(u32),
    /// `;`.
    Semicolon,
    /// Anything else that is not white space or a comment: a literal, an operator, a quoted name.
    Other(u8),
}

/// The tokens of a text. Total: every text has some, and an unclosed literal or comment reaches to the end.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    dialect: Dialect,
    /// A comment was not closed: what comes behind the text would be part of it.
    open_comment: bool,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str, dialect: Dialect) -> Self {
        Self { text, at: 0, dialect, open_comment: false }
    }

    /// The byte where the next token is looked for.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    fn peek(&self, ahead: usize) -> u8 {
        // A NUL never begins or continues anything, so it may stand for the end.
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn skip_line(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    }

    fn skip_block_comment(&mut self) {
        self.at += 2;
        let mut depth = 1_usize;
        while depth > 0 && self.at < self.text.len() {
            match (self.peek(0), self.peek(1)) {
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                }
                // PostgreSQL nests comments, SQLite does not.
                (b'/', b'*') if self.dialect == Dialect::Postgres => {
                    depth += 1;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
        self.open_comment |= depth > 0;
        self.at = self.at.min(self.text.len());
    }

    /// Skips a quoted thing whose quote is doubled inside it, or also escaped with a backslash.
    fn skip_quoted(&mut self, close: u8, backslash: bool) {
        self.at += 1;
        while self.at < self.text.len() {
            let byte = self.peek(0);
            self.at += 1;
            if backslash && byte == b'\\' {
                self.at += 1;
            } else if byte == close {
                // Square brackets cannot be doubled.
                if close == b']' || self.peek(0) != close {
                    return;
                }
                self.at += 1;
            }
        }
        self.at = self.at.min(self.text.len());
    }

    /// Skips `$tag$ … $tag$`; says whether one began here.
    fn skip_dollar_quoted(&mut self) -> bool {
        let rest = self.text.get(self.at + 1..).unwrap_or_default();
        let Some(tag_len) = rest.bytes().position(|byte| !is_word(byte) || byte == b'$') else {
            return false;
        };
        let starts_with_digit = rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
        if rest.as_bytes().get(tag_len) != Some(&b'$') || starts_with_digit {
            return false;
        }
        let Some(delimiter) = self.text.get(self.at..self.at + tag_len + 2) else {
            return false;
        };
        let body = self.at + delimiter.len();
        let end = self.text.get(body..).and_then(|body| body.find(delimiter));
        self.at = end.map_or(self.text.len(), |end| body + end + delimiter.len());
        true
    }

    fn word(&mut self) -> &'a str {
        let start = self.at;
        while is_word(self.peek(0)) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn placeholder(&mut self) -> Token<'a> {
        self.at += 1;
        let start = self.at;
        while self.peek(0).is_ascii_digit() {
            self.at += 1;
        }
        let digits = self.text.get(start..self.at).unwrap_or_default();
        Token::Placeholder(digits.parse().unwrap_or(u32::MAX))
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        while self.at < self.text.len() {
            let byte = self.peek(0);
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0c => self.at += 1,
                b'-' if self.peek(1) == b'-' => self.skip_line(),
                b'/' if self.peek(1) == b'*' => self.skip_block_comment(),
                b';' => {
                    self.at += 1;
                    return Some(Token::Semicolon);
                }
                b'\'' | b'"' => {
                    self.skip_quoted(byte, false);
                    return Some(Token::Other(byte));
                }
                b'`' if self.dialect == Dialect::Sqlite => {
                    self.skip_quoted(byte, false);
                    return Some(Token::Other(byte));
                }
                b'[' if self.dialect == Dialect::Sqlite => {
                    self.skip_quoted(b']', false);
                    return Some(Token::Other(byte));
                }
                b'$' if self.peek(1).is_ascii_digit() => return Some(self.placeholder()),
                b'$' if self.dialect == Dialect::Postgres && self.skip_dollar_quoted() => {
                    return Some(Token::Other(byte));
                }
                b'0'..=b'9' => {
                    // A number and what clings to it; `1e5` is not a word.
                    let _ = self.word();
                    return Some(Token::Other(byte));
                }
                _ if is_word(byte) && byte != b'$' => {
                    let word = self.word();
                    let escapes = self.dialect == Dialect::Postgres
                        && word.eq_ignore_ascii_case("e")
                        && self.peek(0) == b'\'';
                    if escapes {
                        self.skip_quoted(b'\'', true);
                        return Some(Token::Other(b'\''));
                    }
                    return Some(Token::Word(word));
                }
                _ => {
                    self.at += 1;
                    return Some(Token::Other(byte));
                }
            }
        }
        None
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// What one statement looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape<'a> {
    /// The first word; empty when it begins with something else.
    pub(crate) verb: &'a str,
    /// The highest `$n`.
    pub(crate) placeholders: u32,
}

/// The shape of a text that is to be exactly one statement, with or without a semicolon at its end.
pub(crate) fn single_statement(sql: &str, dialect: Dialect) -> Result<Shape<'_>, &'static str> {
    let mut tokens = Lexer::new(sql, dialect);
    let mut placeholders = 0;
    let mut verb = "";
    let mut first = true;
    // `SELECT` may stand in parentheses.
    let mut opening = true;
    while let Some(token) = tokens.next() {
        match token {
            Token::Semicolon if first => return Err("it begins with a semicolon"),
            Token::Semicolon => {
                return match tokens.next() {
                    None if tokens.open_comment => Err(OPEN_COMMENT),
                    None => Ok(Shape { verb, placeholders }),
                    Some(_) => Err("it has more than one statement"),
                };
            }
            Token::Placeholder(0) => return Err("parameters are numbered from `$1`"),
            Token::Placeholder(number) => placeholders = placeholders.max(number),
            Token::Word(word) if opening => {
                verb = word;
                opening = false;
            }
            Token::Other(b'(') if opening => {}
            Token::Other(b'?') if dialect == Dialect::Sqlite => {
                return Err("parameters are written `$1`, not `?`");
            }
            Token::Word(_) | Token::Other(_) => opening = false,
        }
        first = false;
    }
    match first {
        _ if tokens.open_comment => Err(OPEN_COMMENT),
        true => Err("it is empty"),
        false => Ok(Shape { verb, placeholders }),
    }
}

const OPEN_COMMENT: &str = "a comment in it has no end";

/// Whether a statement that begins with this word ends or opens a transaction, or leaves something behind on the
/// connection for its next user.
pub(crate) fn touches_the_connection(verb: &str) -> bool {
    const WORDS: [&str; 22] = [
        "BEGIN",
        "START",
        "COMMIT",
        "END",
        "ROLLBACK",
        "ABORT",
        "SAVEPOINT",
        "RELEASE",
        "PREPARE",
        "EXECUTE",
        "DEALLOCATE",
        "SET",
        "RESET",
        "DISCARD",
        "LISTEN",
        "UNLISTEN",
        "LOAD",
        "COPY",
        "PRAGMA",
        "ATTACH",
        "DETACH",
        "VACUUM",
    ];
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(verb))
}

/// The statements of a script, each with its first word, as far as semicolons end them.
///
/// Bodies of SQLite triggers and of PostgreSQL functions in the style `BEGIN ATOMIC … END` hold semicolons that end
/// nothing; a body in quotes is one token anyway.
pub(crate) fn statements(script: &str, dialect: Dialect) -> impl Iterator<Item = Statement<'_>> {
    let mut tokens = Lexer::new(script, dialect);
    std::iter::from_fn(move || {
        let mut statement: Option<Statement<'_>> = None;
        let mut words = 0_usize;
        // How many bodies are open: `BEGIN` (of a trigger, or atomic) and `CASE` open one, `END` closes one.
        let mut bodies = 0_usize;
        let (mut creates, mut trigger, mut previous) = (false, false, "");
        loop {
            let start = tokens.position();
            let Some(token) = tokens.next() else {
                return statement;
            };
            if matches!(token, Token::Semicolon) && bodies == 0 {
                if statement.is_some() {
                    return statement;
                }
                continue;
            }
            let current = statement.get_or_insert(Statement { verb: "", second: "", at: start });
            let Token::Word(word) = token else {
                previous = "";
                continue;
            };
            words += 1;
            match words {
                1 => current.verb = word,
                2 => current.second = word,
                _ => {}
            }
            let is = |name: &str| word.eq_ignore_ascii_case(name);
            creates |= words == 1 && is("CREATE");
            trigger |= creates && words <= 3 && is("TRIGGER");
            if creates {
                let opens = match dialect {
                    Dialect::Sqlite => trigger && is("BEGIN"),
                    Dialect::Postgres => previous.eq_ignore_ascii_case("BEGIN") && is("ATOMIC"),
                };
                if opens || (bodies > 0 && is("CASE")) {
                    bodies += 1;
                } else if bodies > 0 && is("END") {
                    bodies -= 1;
                }
            }
            previous = word;
        }
    })
}

/// One statement of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Statement<'a> {
    /// Its first word.
    pub(crate) verb: &'a str,
    /// Its second word.
    pub(crate) second: &'a str,
    /// The byte before its first token.
    pub(crate) at: usize,
}
